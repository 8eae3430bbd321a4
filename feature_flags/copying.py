"""Copies of a flag in other projects of the organization, with the cohorts they need."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from approvals.gate import Passed, approval_gate
from cohorts.models import Cohort
from cohorts.services import StaticSource, create_cohort
from common.errors import Invalid
from feature_flags import encryption, gating, schedules, services
from feature_flags.models import FeatureFlag, ScheduledChange
from feature_flags.validation.cohorts import nested_cohorts
from feature_flags.validation.properties import cohort_id
from projects.models import Project, User

_COPIED = (
    "ensure_experience_continuity",
    "bucketing_identifier",
    "evaluation_runtime",
    "is_remote_configuration",
    "has_encrypted_payloads",
)
# Of a dynamic cohort's criteria no more levels are stored.
_MAX_NESTING = 100


@approval_gate
@transaction.atomic
def copy_flag(
    *,
    flag: FeatureFlag,
    target: Project,
    user: User,
    copy_schedule: bool,
    disabled: bool,
    gate: Passed | None = None,
) -> FeatureFlag:
    """The flag in another project: a new one, or the live one with its key updated in name, state and filters.

    Cohorts are those of the same name, else made; a static one is made empty, its persons belong to the other
    project. Holdouts are not copied. `disabled` leaves the copy switched off. Raises Invalid when a flag it depends on
    has no namesake there, and for whatever else the target's rules refuse; ApprovalRequired when the target's gate
    holds the copy back, which is then a request for all of it, cohorts and schedule included.
    """
    if flag.project_id == target.pk:
        raise Invalid("A feature flag cannot be copied into its own project.")
    adoption = _Adoption(source=flag.project_id, target=target, user=user)
    stored = encryption.opened(flag.filters) if flag.has_encrypted_payloads else flag.filters
    filters = adoption.filters({name: part for name, part in stored.items() if name != "holdout"})
    active = flag.active and not disabled
    present = FeatureFlag.objects.filter(project=target, key=flag.key, deleted=False).values_list("pk", flat=True)
    present_id = present.first()
    act = gating.copy_act(flag, is_new=present_id is None, copy_schedule=copy_schedule, disabled=disabled)
    if present_id is None:
        columns = {name: getattr(flag, name) for name in _COPIED}
        # A flag that matches nobody has no groups, which a creation may leave out but not send.
        given: dict[str, Any] = {"filters": filters} if filters["groups"] else {}
        copy = services.create_flag(
            project=target,
            user=user,
            key=flag.key,
            name=flag.name,
            active=active,
            evaluation_contexts=list(flag.evaluation_contexts),
            tags=list(flag.tags),
            gate=gate or Passed(),
            **columns,
            **given,
        )
        if not given:
            services.update_flag(flag=copy, user=user, changes={"filters": filters}, gate=gate or Passed())
        if gate is None:
            gating.ask_to_create(copy, act=act, user=user)
    else:
        copy = services.lock_flag(project=target, flag_id=present_id, with_experiments=True)
        own = {"holdout": copy.filters["holdout"]} if "holdout" in copy.filters else {}
        changes: services.FlagChanges = {"name": flag.name, "active": active, "filters": {**filters, **own}}
        planned = services.plan_update(flag=copy, changes=changes, replace_filters=True)
        services.apply_update(planned, user=user, gate=gate or act)
    if copy_schedule:
        _copy_schedule(flag, copy, adoption)
    return copy


def _copy_schedule(flag: FeatureFlag, copy: FeatureFlag, adoption: "_Adoption") -> None:
    pending = ScheduledChange.objects.filter(project_id=flag.project_id, record_id=str(flag.pk), executed_at=None)
    for change in pending.order_by("pk"):
        schedules.schedule(
            project=adoption.target,
            user=adoption.user,
            fields={
                "record_id": str(copy.pk),
                "model_name": change.model_name,
                "payload": adoption.payload(change.payload),
                "scheduled_at": change.scheduled_at,
                "is_recurring": change.is_recurring,
                "recurrence_interval": change.recurrence_interval if change.is_recurring else None,
                "cron_expression": change.cron_expression,
                "end_date": change.end_date,
                "timezone": change.timezone,
            },
        )


class _Adoption:
    """Documents of one project in the words of another: ids of cohorts and flags are those of their namesakes."""

    def __init__(self, *, source: int, target: Project, user: User) -> None:
        self.source, self.target, self.user = source, target, user
        self._cohorts: dict[int, int] = {}

    def filters(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        return {**filters, "groups": self._groups(filters.get("groups") or [])}

    def payload(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of a scheduled change."""
        value = payload["value"]
        if not isinstance(value, dict) or not isinstance(value.get("groups"), list):
            return dict(payload)
        return {**payload, "value": {**value, "groups": self._groups(value["groups"])}}

    def _groups(self, groups: list[Any]) -> list[Any]:
        return [
            {**group, "properties": [self._property(one) for one in group["properties"]]}
            if isinstance(group, dict) and isinstance(group.get("properties"), list)
            else group
            for group in groups
        ]

    def _property(self, condition: Any) -> Any:
        if not isinstance(condition, dict):
            return condition
        if condition.get("type") == "cohort":
            return {**condition, "value": self._cohort(cohort_id(condition.get("value")), _MAX_NESTING)}
        if condition.get("type") == "flag":
            return {**condition, "key": str(self._flag(condition.get("key")))}
        return condition

    def _flag(self, reference: Any) -> int:
        number = cohort_id(reference)
        flags = FeatureFlag.objects.filter(deleted=False)
        key = flags.filter(project_id=self.source, pk=number or 0).values_list("key", flat=True).first()
        found = flags.filter(project=self.target, key=key).values_list("pk", flat=True).first()
        if found is None:
            raise Invalid(f"The flag '{key or reference}' that this one depends on does not exist in the project.")
        return found

    def _cohort(self, number: int | None, levels: int) -> int:
        """The id of the namesake in the target; made when there is none, those it refers to first."""
        if number in self._cohorts:
            return self._cohorts[number]
        cohort = Cohort.objects.filter(project_id=self.source, pk=number or 0, deleted=False).first()
        if cohort is None or levels == 0:
            raise Invalid(f"Cohort with id {number} does not exist", code="cohort_does_not_exist", attr="filters")
        namesakes = Cohort.objects.filter(project=self.target, name=cohort.name, deleted=False)
        found = namesakes.order_by("pk").values_list("pk", flat=True).first()
        if found is None:
            found = self._made(cohort, levels).pk
        self._cohorts[cohort.pk] = found
        return found

    def _made(self, cohort: Cohort, levels: int) -> Cohort:
        references = (
            {} if cohort.is_static else {one: self._cohort(one, levels - 1) for one in nested_cohorts(cohort.filters)}
        )
        fields: Any = {"name": cohort.name, "description": cohort.description}
        if not cohort.is_static:
            fields["filters"] = {"properties": _with_cohorts(cohort.filters["properties"], references)}
        return create_cohort(
            project=self.target,
            user=self.user,
            fields=fields,
            is_static=cohort.is_static,
            source=StaticSource(person_uuids=[] if cohort.is_static else None),
            folder=None,
        )


def _with_cohorts(node: Mapping[str, Any], references: Mapping[int, int]) -> dict[str, Any]:
    if isinstance(node.get("values"), list):
        return {**node, "values": [_with_cohorts(member, references) for member in node["values"]]}
    number = cohort_id(node.get("value")) if node.get("type") == "cohort" else None
    return dict(node) if number is None else {**node, "value": references[number]}
