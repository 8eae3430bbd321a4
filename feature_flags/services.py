"""Writing flags. Every door (REST, experiments, scheduled and copied writes) comes through here.

An update is planned first (all rules, nothing written) and then applied, on a locked row and in one transaction with
its activity row and with what linked experiments keep of the flag.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from django.db import IntegrityError, transaction

from activity.recorder import Trigger
from approvals.gate import Passed, approval_gate
from common.documents import same_document
from common.errors import Invalid, Missing
from feature_flags import configuration, gating, history, keys, state, usage, versions
from feature_flags.gating import Gate
from feature_flags.models import BucketingIdentifier, EvaluationRuntime, FeatureFlag
from projects.models import Project, User

# Changes of these may concern the experiments on the flag, whose rows are locked before the flag's.
_REACHES_EXPERIMENTS = frozenset({"filters", "deleted", "is_remote_configuration"})


class FlagChanges(TypedDict, total=False):
    """The fields that an update may carry. `filters` is a part: its top-level keys replace the stored ones."""

    key: str
    name: str
    filters: Any
    active: bool
    archived: bool
    deleted: bool
    ensure_experience_continuity: bool
    bucketing_identifier: str
    evaluation_runtime: str
    evaluation_contexts: list[str]
    tags: list[str]
    is_remote_configuration: bool
    has_encrypted_payloads: bool


_OMITTED: Any = object()
# What a creation is told of a flag.
_CREATED = (*FlagChanges.__annotations__, "folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedUpdate:
    """An update that passed all rules. `after` holds the fields that change, and nothing when nothing does.

    `sent` is what was asked for of these, whole filters included: planned again it comes to the same.
    """

    flag: FeatureFlag
    after: Mapping[str, Any]
    sent: Mapping[str, Any]


@approval_gate
@transaction.atomic
def create_flag(
    *,
    project: Project,
    user: User | None,
    key: str,
    filters: Any = _OMITTED,
    name: str = "",
    active: bool = True,
    archived: bool = False,
    deleted: bool = False,
    ensure_experience_continuity: bool = False,
    bucketing_identifier: str = BucketingIdentifier.DISTINCT_ID,
    evaluation_runtime: str = EvaluationRuntime.ALL,
    evaluation_contexts: list[str] | None = None,
    tags: list[str] | None = None,
    is_remote_configuration: bool = False,
    has_encrypted_payloads: bool = False,
    folder: str | None = None,
    trigger: Trigger | None = None,
    gate: Gate = None,
) -> FeatureFlag:
    """A new flag, version 1. Without `filters` it matches nobody. The gate is asked last.

    Raises KeyTaken when a live flag has the key (also when it was made at the same moment), Invalid for every other
    broken rule.
    """
    keys.check_key(key)
    keys.free_key(project=project, key=key)
    if filters is _OMITTED and not (is_remote_configuration or has_encrypted_payloads):
        stored: dict[str, Any] = {"groups": []}
    else:
        stored = configuration.new_filters(
            {} if filters is _OMITTED else filters,
            key=key,
            project_id=project.pk,
            is_remote_configuration=is_remote_configuration,
            has_encrypted_payloads=has_encrypted_payloads,
        )
    flag = FeatureFlag(
        project=project,
        key=key,
        name=name,
        filters=stored,
        active=active,
        archived=archived,
        deleted=deleted,
        ensure_experience_continuity=ensure_experience_continuity,
        bucketing_identifier=bucketing_identifier,
        evaluation_runtime=evaluation_runtime,
        evaluation_contexts=evaluation_contexts or [],
        tags=tags or [],
        is_remote_configuration=is_remote_configuration,
        has_encrypted_payloads=has_encrypted_payloads,
        folder=folder,
        created_by=user,
        last_modified_by=user,
    )
    state.check_new(flag)
    _save(flag)
    history.record(flag=flag, user=user, activity="created", before=None, trigger=_trigger(gate, trigger))
    if not isinstance(gate, Passed):
        sent = {name: getattr(flag, name) for name in _CREATED if name != "filters" or filters is not _OMITTED}
        act = gate or gating.creation_act(sent, encrypted=has_encrypted_payloads)
        gating.ask_to_create(flag, act=act, user=user)
    return flag


def _trigger(gate: Gate, trigger: Trigger | None) -> Trigger | None:
    return gate.trigger or trigger if isinstance(gate, Passed) else trigger


def lock_flag(*, project: Project, flag_id: int, with_experiments: bool = False) -> FeatureFlag:
    """The flag, locked until the transaction ends; deleted flags too. Raises Missing.

    `with_experiments` locks the experiment rows on it first, as writes that reach them must.
    """
    flag = lock_flags([flag_id], with_experiments=with_experiments).get(flag_id)
    if flag is None or flag.project_id != project.pk:
        raise Missing
    flag.project = project
    return flag


def lock_flags(flag_ids: Collection[int], *, with_experiments: bool = False) -> dict[int, FeatureFlag]:
    """Flags by id, locked in ascending id until the transaction ends; unknown ids are missing.

    `with_experiments` locks the experiment rows on all of them first. Whoever links an experiment to a flag holds the
    flag's row, so that the set is complete once the flags are locked.
    """
    while True:
        savepoint = transaction.savepoint()
        locked: set[int] = set()
        if with_experiments:
            locked = _linked_ids(flag_ids)
            usage.lock(flag_ids)
        rows = FeatureFlag.objects.select_for_update(of=("self",)).select_related("last_modified_by")
        flags = {flag.pk: flag for flag in rows.filter(pk__in=flag_ids).order_by("pk")}
        if not with_experiments or _linked_ids(flag_ids) <= locked:
            transaction.savepoint_commit(savepoint)
            return flags
        # An experiment was linked between the two locks. Giving both up and starting over keeps their order.
        transaction.savepoint_rollback(savepoint)


def _linked_ids(flag_ids: Collection[int]) -> set[int]:
    return {experiment.id for experiments in usage.linked(flag_ids).values() for experiment in experiments}


@approval_gate
@transaction.atomic
def edit_flag(
    *,
    project: Project,
    flag_id: int,
    user: User | None,
    changes: FlagChanges,
    version: int | None = None,
    original: Mapping[str, Any] | None = None,
    trigger: Trigger | None = None,
    gate: Gate = None,
) -> FeatureFlag:
    """Change a flag from outside: lock it, reconcile an edit begun on an older version, update it.

    Raises Missing, Invalid for a broken rule, Conflict when the edit contradicts one made since, ApprovalRequired.
    """
    flag = lock_flag(
        project=project, flag_id=flag_id, with_experiments=not _REACHES_EXPERIMENTS.isdisjoint(changes.keys())
    )
    remaining, conflicting = versions.reconcile(flag=flag, changes=changes, version=version, original=original)
    planned = plan_update(flag=flag, changes=remaining)  # type: ignore[arg-type]  # a part of FlagChanges
    if conflicting:
        raise versions.conflict(flag)
    apply_update(planned, user=user, trigger=trigger, gate=gate)
    return flag


@approval_gate
@transaction.atomic
def update_flag(
    *,
    flag: FeatureFlag,
    user: User | None,
    changes: FlagChanges,
    trigger: Trigger | None = None,
    gate: Gate = None,
) -> bool:
    """Change a flag that the caller has locked (`lock_flag`), with its experiments when `filters` are to change.

    Steps the version by one, writes the activity row and tells linked experiments, unless nothing changes: then
    nothing is written and the answer is False. Raises Invalid for a broken rule, ApprovalRequired when the gate holds
    the change back.
    """
    return apply_update(plan_update(flag=flag, changes=changes), user=user, trigger=trigger, gate=gate)


def plan_update(*, flag: FeatureFlag, changes: FlagChanges, replace_filters: bool = False) -> PlannedUpdate:
    """What an update of a locked flag comes to. Raises Invalid for the first broken rule; writes nothing to the flag.

    With `replace_filters` stored keys that `filters` lacks are dropped.
    A soft-deleted flag that holds a wanted key gives it up here already, in the caller's transaction.
    """
    after: dict[str, Any] = {name: getattr(flag, name) for name in FlagChanges.__annotations__} | dict(changes)
    deleting, restoring = after["deleted"] and not flag.deleted, flag.deleted and not after["deleted"]
    unchanged = keys.restored_key(flag) if restoring else flag.key
    after["key"] = _changed_key(flag, changes.get("key"), unchanged=unchanged)
    if deleting:
        state.refuse_deleting(flag)
        if usage.linked_to(flag.pk):
            after["key"] = keys.deleted_key(after["key"], flag.pk)
    if not {"filters", "is_remote_configuration", "has_encrypted_payloads"}.isdisjoint(changes):
        after["filters"] = configuration.changed_filters(
            flag, changes.get("filters", {}), after=after, replace=replace_filters and "filters" in changes
        )
    state.check_change(flag, after)
    changing = {name: value for name, value in after.items() if not same_document(value, getattr(flag, name))}
    sent = {name: value for name, value in changes.items() if name in changing}
    if "filters" in sent:
        sent["filters"] = changing["filters"]
    return PlannedUpdate(flag=flag, after=changing, sent=sent)


def _changed_key(flag: FeatureFlag, sent: str | None, *, unchanged: str) -> str:
    # A deleted flag may be sent back with its key as it was.
    if sent is None or sent in {flag.key, flag.plain_key}:
        return unchanged
    keys.check_key(sent)
    keys.free_key(project=flag.project, key=sent)
    return sent


@approval_gate
@transaction.atomic
def apply_update(
    planned: PlannedUpdate, *, user: User | None, trigger: Trigger | None = None, gate: Gate = None
) -> bool:
    """Write a planned update once the gate lets it through; False when there is nothing to write."""
    flag = planned.flag
    if not planned.after:
        return False
    if not isinstance(gate, Passed):
        encrypted = planned.after.get("has_encrypted_payloads", flag.has_encrypted_payloads)
        act = gate or gating.change_act(planned.sent, encrypted=encrypted)
        gating.ask_to_update(flag, planned.after, act=act, user=user)
    before = history.snapshot(flag)
    filters_before, was_deleted = flag.filters, flag.deleted
    for name, value in planned.after.items():
        setattr(flag, name, value)
    flag.version += 1
    flag.last_modified_by = user
    _save(flag, fields=[*planned.after, "version", "last_modified_by", "updated_at"])
    activity = "updated" if flag.deleted == was_deleted else "deleted" if flag.deleted else "restored"
    history.record(flag=flag, user=user, activity=activity, before=before, trigger=_trigger(gate, trigger))
    if "filters" in planned.after:
        configuration.tell_users(flag, filters_before)
    return True


def _save(flag: FeatureFlag, fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            flag.save(update_fields=fields)
    except IntegrityError as error:
        # Two writers took one key at the same moment; the database let the first have it.
        if "flag_key_unique" in str(error):
            raise keys.KeyTaken from None
        raise


@dataclass(frozen=True, slots=True)
class _Act:
    changes: FlagChanges
    name: str


_ACTS: Mapping[str, _Act] = {
    "enable": _Act({"active": True}, "enabling"),
    "disable": _Act({"active": False}, "disabling"),
    "archive": _Act({"archived": True, "active": False}, "archiving"),
    "unarchive": _Act({"archived": False}, "unarchiving"),
}


@approval_gate
@transaction.atomic
def act_on_flag(
    *, project: Project, flag_id: int, user: User | None, act: str, gate: Passed | None = None
) -> FeatureFlag:
    """Enable, disable, archive or unarchive. Repeating an act changes nothing.

    Raises Missing, Invalid on a deleted flag or when the act is refused, ApprovalRequired.
    """
    wanted = _ACTS[act]
    flag = lock_flag(project=project, flag_id=flag_id)
    if flag.deleted:
        detail = f"This feature flag has been deleted. Restore it before {wanted.name} it."
        raise Invalid(detail, extra={"error": detail, "success": False})
    update_flag(flag=flag, user=user, changes=wanted.changes, gate=gate or gating.named_act(act, wanted.changes))
    return flag
