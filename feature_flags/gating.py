"""What of a flag needs approval, and how a change of it is put before approvers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from approvals import conditions, gate
from approvals.conditions import ACTIVE, EXCLUSION, ROLLOUT, Observed
from approvals.families import Family
from approvals.gate import Passed, Proposal
from approvals.models import ChangeRequest
from common.datetimes import format_datetime
from feature_flags import encryption, usage
from feature_flags.models import FeatureFlag
from feature_flags.validation.variants import variants_of
from projects.models import User

RESOURCE = "feature_flag"
HOLDOUT_PATH = "holdout.exclusion_percentage"
MOVED = "The feature flag was changed since this change was requested."
GONE = "The feature flag no longer exists."
SOURCE_MOVED = "The feature flag to be copied was changed since this change was requested."


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedAct:
    """The act that a flag write belongs to, for those who approve it and for what applies it then.

    registered: the act's name in the registry, which is given `payload`.
    sent: what the caller sent, validated, without secrets.
    description: a sentence with `{key}` in it for the flag's key.
    experiment: id and name when an experiment acts; the id is None for one to be created.
    preconditions: what beside the flag's version the act was decided on.
    """

    registered: str
    name: str
    http_method: str
    description: str
    sent: Mapping[str, Any]
    payload: Mapping[str, Any]
    experiment: tuple[int | None, str] | None = None
    preconditions: Mapping[str, Any] = field(default_factory=dict)


# The gate passed, or the act to ask for; None for a change of the flag in its own right.
Gate = Passed | GatedAct | None


def observed(*, active: bool, filters: Mapping[str, Any]) -> Observed:
    """What users feel of a flag, by path. A rollout of null is one of 100."""
    rollouts = {
        f"groups[{index}].rollout_percentage": _percentage(group)
        for index, group in enumerate(filters.get("groups", []))
    } | {
        f"multivariate.variants[{index}].rollout_percentage": _percentage(variant)
        for index, variant in enumerate(variants_of(filters))
    }
    holdout = filters.get("holdout")
    excluded = {} if holdout is None else {HOLDOUT_PATH: holdout["exclusion_percentage"]}
    return {ACTIVE: {"active": active}, ROLLOUT: rollouts, EXCLUSION: excluded}


def _percentage(part: Mapping[str, Any]) -> Any:
    percentage = part.get("rollout_percentage")
    return 100 if percentage is None else percentage


def families_of(before: Observed, after: Observed) -> list[Family]:
    """The families that a change trips; `before` is empty for a creation."""
    was_active = before.get(ACTIVE, {}).get("active", False)
    is_active = after[ACTIVE]["active"]
    families = [Family.ENABLE] if is_active and not was_active else []
    if was_active and not is_active:
        families.append(Family.DISABLE)
    if _rollout_paths(before, after):
        families.append(Family.UPDATE)
    return families


def _rollout_paths(before: Observed, after: Observed) -> list[str]:
    return [path for name in (ROLLOUT, EXCLUSION) for path in conditions.differing_paths(before, after, name)]


def ask_to_update(flag: FeatureFlag, after: Mapping[str, Any], *, act: GatedAct, user: User | None) -> None:
    """Raise unless a locked flag may become what `after` says of its fields. Nothing has been written yet."""
    old = observed(active=flag.active, filters=flag.filters)
    new = observed(active=after.get("active", flag.active), filters=after.get("filters", flag.filters))
    _ask(
        flag,
        act=act,
        user=user,
        families=families_of(old, new),
        before=old,
        after=new,
        is_new=False,
    )


def ask_to_create(
    flag: FeatureFlag, *, act: GatedAct, user: User | None, only: Collection[Family] = tuple(Family)
) -> None:
    """Raise unless a flag like this, stored or not, may be made. `only` these families are looked at."""
    new = observed(active=flag.active, filters=flag.filters)
    families = [family for family in families_of({}, new) if family in only]
    _ask(flag, act=act, user=user, families=families, before={}, after=new, is_new=True)


def _ask(
    flag: FeatureFlag,
    *,
    act: GatedAct,
    user: User | None,
    families: Sequence[Family],
    before: Observed,
    after: Observed,
    is_new: bool,
) -> None:
    gate.require(
        project=flag.project,
        user=user,
        families=families,
        before=before,
        after=after,
        on_experiment=lambda: act.experiment is not None or (not is_new and _is_on_experiment(flag)),
        propose=lambda family: _proposal(flag, act, family, before=before, after=after, is_new=is_new),
    )


def _is_on_experiment(flag: FeatureFlag) -> bool:
    return any(not experiment.deleted for experiment in usage.linked_to(flag.pk))


def _proposal(
    flag: FeatureFlag, act: GatedAct, family: Family, *, before: Observed, after: Observed, is_new: bool
) -> Proposal:
    experiment_id, experiment_name = act.experiment or (None, None)
    paths = _rollout_paths(before, after) if family is Family.UPDATE else ["active"]
    current = None if is_new else _gated_values(family, paths, before)
    changed = _gated_values(family, paths, after)
    display = {"description": act.description.replace("{key}", flag.plain_key), "before": current, "after": changed}
    return Proposal(
        act=act.registered,
        resource_type=RESOURCE,
        resource_id=None if is_new else str(flag.pk),
        subject=f"key:{flag.key}" if is_new else str(flag.pk),
        intent={
            "act": act.name,
            "http_method": act.http_method,
            "flag_id": None if is_new else flag.pk,
            "flag_key": flag.plain_key,
            "experiment_id": experiment_id,
            "experiment_name": experiment_name,
            "current_state": current,
            "gated_changes": changed,
            "triggered_paths": paths,
            "full_request_data": dict(act.sent),
            "preconditions": None if is_new else _preconditions(flag) | dict(act.preconditions),
        },
        intent_display=display | ({"triggered_paths": paths} if family is Family.UPDATE else {}),
        payload=act.payload,
    )


def _gated_values(family: Family, paths: Sequence[str], state: Observed) -> dict[str, Any]:
    if family is not Family.UPDATE:
        return {"active": state[ACTIVE]["active"]}
    values = {**state.get(ROLLOUT, {}), **state.get(EXCLUSION, {})}
    return {"rollout_percentage": [{"path": path, "value": values.get(path)} for path in paths]}


def _preconditions(flag: FeatureFlag) -> dict[str, Any]:
    return {"version": flag.version, "updated_at": format_datetime(flag.updated_at)}


def moved(requests: Sequence[ChangeRequest]) -> dict[UUID, str]:
    """Of these requests about flags, those whose flag has another version by now. One query."""
    wanted = {
        request.pk: (request.intent["flag_id"], request.intent["preconditions"]["version"])
        for request in requests
        if request.intent["preconditions"] is not None
    }
    flag_ids = {flag_id for flag_id, _ in wanted.values()}
    versions = dict(FeatureFlag.objects.filter(pk__in=flag_ids).values_list("pk", "version")) if flag_ids else {}
    return {
        request_id: MOVED if flag_id in versions else GONE
        for request_id, (flag_id, version) in wanted.items()
        if versions.get(flag_id) != version
    }


# --- Changes of a flag in its own right ------------------------------------------------------------------------------


def change_act(sent: Mapping[str, Any], *, encrypted: bool) -> GatedAct:
    """The act of changing a flag's fields. `encrypted` says whether the filters among them hold ciphertext."""
    return GatedAct(
        registered=f"{RESOURCE}.update",
        name="update",
        http_method="PATCH",
        description="Update feature flag '{key}'",
        sent=_without_secrets(sent, encrypted=encrypted),
        payload={"changes": dict(sent), "encrypted": encrypted},
    )


def named_act(act: str, changes: Mapping[str, Any]) -> GatedAct:
    """One of the acts on a flag by its name. To archive an active flag is to disable it."""
    return GatedAct(
        registered=f"{RESOURCE}.act",
        name="disable" if act == "archive" else act,
        http_method="POST",
        description=f"{act.capitalize()} feature flag '{{key}}'",
        sent=changes,
        payload={"act": act},
    )


def creation_act(fields: Mapping[str, Any], *, encrypted: bool) -> GatedAct:
    """The act of making a flag of these stored values."""
    return GatedAct(
        registered=f"{RESOURCE}.create",
        name="create",
        http_method="POST",
        description="Create feature flag '{key}'",
        sent=_without_secrets(fields, encrypted=encrypted),
        payload={"fields": dict(fields), "encrypted": encrypted},
    )


def copy_act(flag: FeatureFlag, *, is_new: bool, copy_schedule: bool, disabled: bool) -> GatedAct:
    """The act of copying a flag as it is now into another project, where it is new or updates its namesake."""
    return GatedAct(
        registered=f"{RESOURCE}.copy",
        name="create" if is_new else "update",
        http_method="POST",
        description=f"Copy feature flag '{{key}}' from project {flag.project_id}",
        sent={
            "feature_flag_key": flag.key,
            "from_project": flag.project_id,
            "copy_schedule": copy_schedule,
            "disable_copied_flag": disabled,
        },
        payload={
            "flag_id": flag.pk,
            "version": flag.version,
            "copy_schedule": copy_schedule,
            "disabled": disabled,
        },
    )


def copy_moved(requests: Sequence[ChangeRequest]) -> dict[UUID, str]:
    """Of these requests to copy flags, those whose flag, on either side, has another version by now. Two queries."""
    found = moved(requests)
    sources = {request.payload["flag_id"] for request in requests}
    versions = dict(FeatureFlag.objects.filter(pk__in=sources).values_list("pk", "version"))
    for request in requests:
        if versions.get(request.payload["flag_id"]) != request.payload["version"]:
            found.setdefault(request.pk, SOURCE_MOVED)
    return found


def _without_secrets(sent: Mapping[str, Any], *, encrypted: bool) -> dict[str, Any]:
    shown = dict(sent)
    if encrypted and "filters" in shown:
        shown["filters"] = encryption.redacted(shown["filters"])
    return shown
