"""Changes of flags at a later time: what can be scheduled, and making due ones happen."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.db import transaction
from django.db.models import Q

from activity.recorder import Trigger
from approvals import requests
from approvals.gate import ApprovalRequired
from common.errors import DomainError, Invalid
from feature_flags import recurrence, services
from feature_flags.models import FeatureFlag, ScheduledChange
from projects.access import parse_id
from projects.models import OrganizationMembership, Project, User

MODEL_NAME = "FeatureFlag"
_FLAG_NOT_FOUND = "Feature flag not found"
_NOT_ALLOWED = "You don't have edit permissions for this feature flag"


def schedule(*, project: Project, user: User, fields: Mapping[str, Any]) -> ScheduledChange:
    """A new scheduled change. `fields` are the model's. Raises Invalid for the first broken rule."""
    change = ScheduledChange(project=project, created_by=user, **fields)
    change.begins_at = change.scheduled_at
    if change.recurrence_interval is not None and not change.is_recurring:
        raise Invalid("Cannot set recurrence_interval when is_recurring is false for new schedules.")
    _check(change)
    change.save()
    return change


@transaction.atomic
def reschedule(*, project: Project, change_id: int, fields: Mapping[str, Any]) -> ScheduledChange | None:
    """Change what has not been executed yet; None when there is no such row. Raises Invalid."""
    change = ScheduledChange.objects.select_for_update(of=("self",)).filter(project=project, pk=change_id).first()
    if change is None:
        return None
    if change.executed_at is not None:
        raise Invalid("Cannot modify a scheduled change that has already executed.")
    change.project = project
    for name, value in fields.items():
        setattr(change, name, value)
    if "scheduled_at" in fields:
        change.begins_at = change.scheduled_at
    _check(change)
    change.save()
    return change


def _check(change: ScheduledChange) -> None:
    check_payload(change.payload)
    if change.timezone not in available_timezones():
        raise Invalid(f'"{change.timezone}" is not a valid choice.', code="invalid_choice", attr="timezone")
    if change.cron_expression is not None and not recurrence.is_cron(change.cron_expression):
        raise Invalid("A cron expression has five fields that some time fits.", attr="cron_expression")
    if change.cron_expression is not None and change.recurrence_interval is not None:
        raise Invalid("Cannot set both cron_expression and recurrence_interval. Use one or the other.")
    if change.is_recurring and change.cron_expression is None and change.recurrence_interval is None:
        raise Invalid("Either recurrence_interval or cron_expression is required when is_recurring is true.")
    if change.end_date is not None and change.end_date <= change.scheduled_at:
        raise Invalid("End date must be after the scheduled start date.")
    if change.is_recurring and change.payload["operation"] == "add_release_condition":
        raise Invalid("Adding a release condition cannot recur: each time would add it once more.")
    if _flag_id(change) is None:
        raise Invalid(_FLAG_NOT_FOUND)


def _flag_id(change: ScheduledChange) -> int | None:
    """The id of the live flag that the change is for."""
    number = parse_id(change.record_id)
    flags = FeatureFlag.objects.filter(project_id=change.project_id, deleted=False)
    return None if number is None else flags.filter(pk=number).values_list("pk", flat=True).first()


def check_payload(payload: Any) -> None:
    """Raise Invalid unless this is an operation with a value of its kind. What the flag says to it shows when due."""
    operation = payload.get("operation") if isinstance(payload, dict) else None
    value = payload.get("value") if isinstance(payload, dict) else None
    if operation == "update_status":
        if not isinstance(value, bool):
            raise Invalid("Must be a valid boolean.", attr="payload__value")
    elif operation in ("add_release_condition", "update_variants"):
        if not isinstance(value, dict):
            kind = type(value).__name__
            raise Invalid(f"Invalid data. Expected a dictionary, but got {kind}.", attr="payload__value")
        part = "groups" if operation == "add_release_condition" else "variants"
        if not isinstance(value.get(part), list):
            raise Invalid(
                f'Expected a list of items but got type "{type(value.get(part)).__name__}".',
                code="not_a_list",
                attr=f"payload__value__{part}",
            )
    else:
        raise Invalid(f'"{operation}" is not a valid choice.', code="invalid_choice", attr="payload__operation")


# --- when they are due ---------------------------------------------------------------------------------------------


def apply_due(*, now: datetime) -> int:
    """Make every due change happen, each in a transaction of its own; returns how many were tried.

    A change that fails says why in `failure_reason`, one that needs approval becomes a change request. Neither is
    tried again; a recurring one is when its next time comes. Several workers do not get into each other's way.
    """
    tried = 0
    while _apply_next(now=now):
        tried += 1
    return tried


@transaction.atomic
def _apply_next(*, now: datetime) -> bool:
    due = Q(executed_at=None, scheduled_at__lte=now)
    change = (
        ScheduledChange.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("project__organization", "created_by")
        .filter(due)
        .order_by("scheduled_at", "pk")
        .first()
    )
    if change is None:
        return False
    change.failure_reason, change.change_request = None, None
    try:
        with transaction.atomic():
            _apply(change)
    except ApprovalRequired as held_back:
        change.change_request = requests.file(held_back).request
    except DomainError as error:
        change.failure_reason = error.detail
    _move_on(change, now)
    change.save()
    return True


def _apply(change: ScheduledChange) -> None:
    flag_id = _flag_id(change)
    if flag_id is None:
        raise Invalid(_FLAG_NOT_FOUND)
    user = change.created_by
    if user is None or not _may_edit(user, change.project):
        raise Invalid(_NOT_ALLOWED)
    flag = services.lock_flag(project=change.project, flag_id=flag_id, with_experiments=True)
    services.update_flag(
        flag=flag,
        user=user,
        changes=_changes(flag, change.payload),
        trigger=Trigger(job_type="scheduled_change", job_id=str(change.pk), payload=change.payload),
    )


def _may_edit(user: User, project: Project) -> bool:
    members = OrganizationMembership.objects.filter(organization_id=project.organization_id, user=user)
    return user.is_active and members.exists()


def _changes(flag: FeatureFlag, payload: Mapping[str, Any]) -> services.FlagChanges:
    value = payload["value"]
    if payload["operation"] == "update_status":
        return {"active": value}
    given = {name: value[name] for name in ("payloads", "multivariate") if value.get(name)}
    if payload["operation"] == "add_release_condition":
        return {"filters": {**given, "groups": [*flag.filters.get("groups", []), *value["groups"]]}}
    return {"filters": {"multivariate": {"variants": value["variants"]}, "payloads": value.get("payloads") or {}}}


def _move_on(change: ScheduledChange, now: datetime) -> None:
    """After a try: the next time of a recurring change, else its end."""
    following = _next_time(change, now) if change.is_recurring else None
    change.last_executed_at = now if change.is_recurring else None
    if following is None or (change.end_date is not None and following > change.end_date):
        change.executed_at = now
    else:
        change.scheduled_at = following


def _next_time(change: ScheduledChange, now: datetime) -> datetime | None:
    """Times that have passed meanwhile are left out."""
    zone = ZoneInfo(change.timezone)
    if change.cron_expression is not None:
        return recurrence.next_by_cron(expression=change.cron_expression, after=now, zone=zone)
    if change.recurrence_interval is None:
        return None
    return recurrence.next_by_interval(
        interval=change.recurrence_interval, begins_at=change.begins_at, after=now, zone=zone
    )
