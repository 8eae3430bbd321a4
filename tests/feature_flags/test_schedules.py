"""Scheduled changes: what can be scheduled, and what happens when they are due."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from activity.models import ActivityEntry
from approvals.models import ApprovalPolicy, ChangeRequest
from feature_flags import recurrence
from feature_flags.models import FeatureFlag, ScheduledChange
from feature_flags.schedules import apply_due
from feature_flags.tasks import apply_scheduled_changes
from projects.models import Organization, OrganizationMembership, Project, User
from tests.cast import error
from tests.feature_flags.conftest import CONTROL_AND_TEST, Flags, key_of
from tests.feature_flags.sdk.conftest import EVERYBODY, PRO

SOON = "2026-03-01T09:00:00Z"
AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
OFF = {"operation": "update_status", "value": False}


class Schedules(Flags):
    """A caller of the scheduled changes of one project."""

    def __init__(self, project: Project, key: str) -> None:
        super().__init__(project, key)
        self.base = f"/api/projects/{project.pk}/scheduled_changes/"

    def planned(self, flag: dict[str, Any], payload: Any = OFF, **fields: Any) -> Any:
        body = {"record_id": str(flag["id"]), "model_name": "FeatureFlag", "payload": payload, "scheduled_at": SOON}
        return self.post(body=body | fields)

    def made_for(self, flag: dict[str, Any], payload: Any = OFF, **fields: Any) -> dict[str, Any]:
        answer = self.planned(flag, payload, **fields)
        assert answer.status_code == 201, answer.json()
        made: dict[str, Any] = answer.json()
        return made

    def seen(self, change: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.get(change["id"]).json()
        return found


@pytest.fixture
def schedules(project: Project, owner: User) -> Schedules:
    return Schedules(project, key_of(owner))


@pytest.fixture
def flag(flags: Flags) -> dict[str, Any]:
    return flags.made(filters={"groups": [EVERYBODY]})


def stored(flag: dict[str, Any]) -> FeatureFlag:
    return FeatureFlag.objects.get(pk=flag["id"])


# --- REST ----------------------------------------------------------------------------------------------------------


def test_create__answers_the_whole_object(schedules: Schedules, project: Project, flag: dict[str, Any]) -> None:
    made = schedules.made_for(flag)
    assert made.pop("created_by")["email"] == "olivia@acme.test"
    assert made.pop("created_at") <= made.pop("updated_at")
    assert made == {
        "id": made["id"],
        "team_id": project.pk,
        "record_id": str(flag["id"]),
        "model_name": "FeatureFlag",
        "payload": OFF,
        "scheduled_at": SOON,
        "executed_at": None,
        "failure_reason": None,
        "is_recurring": False,
        "recurrence_interval": None,
        "cron_expression": None,
        "last_executed_at": None,
        "end_date": None,
        "timezone": "UTC",
        "change_request": None,
    }


def test_list__is_filtered_by_flag(schedules: Schedules, flags: Flags, flag: dict[str, Any]) -> None:
    other = flags.made(key="other")
    first, second = schedules.made_for(flag), schedules.made_for(other)
    assert [row["id"] for row in schedules.get().json()["results"]] == [second["id"], first["id"]]
    found = schedules.get(model_name="FeatureFlag", record_id=str(flag["id"])).json()["results"]
    assert [row["id"] for row in found] == [first["id"]]


def test_patch_and_delete(schedules: Schedules, flag: dict[str, Any]) -> None:
    made = schedules.made_for(flag)
    changed = schedules.patch(made["id"], {"scheduled_at": "2026-04-01T09:00:00Z"})
    assert changed.json()["scheduled_at"] == "2026-04-01T09:00:00Z"
    assert schedules.client.delete(schedules.url(made["id"])).status_code == 204
    assert schedules.get(made["id"]).status_code == 404
    assert not ScheduledChange.objects.exists()


BOTH = "Cannot set both cron_expression and recurrence_interval. Use one or the other."
NEITHER = "Either recurrence_interval or cron_expression is required when is_recurring is true."
NOT_RECURRING = "Cannot set recurrence_interval when is_recurring is false for new schedules."
REFUSALS: list[tuple[dict[str, Any], str]] = [
    (
        {"is_recurring": True, "cron_expression": "0 9 * * *", "recurrence_interval": "daily"},
        BOTH,
    ),
    ({"is_recurring": True}, NEITHER),
    ({"recurrence_interval": "daily"}, NOT_RECURRING),
    ({"end_date": SOON}, "End date must be after the scheduled start date."),
    ({"record_id": "999999"}, "Feature flag not found"),
    ({"record_id": "x"}, "Feature flag not found"),
]


@pytest.mark.parametrize(("fields", "detail"), REFUSALS)
def test_create__broken_rule__is_told(
    schedules: Schedules, flag: dict[str, Any], fields: dict[str, Any], detail: str
) -> None:
    answer = schedules.planned(flag, **fields)
    assert (answer.status_code, answer.json()) == (400, error("invalid_input", detail))
    assert not ScheduledChange.objects.exists()


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"payload": {"operation": "explode"}}, "payload__operation"),
        ({"payload": []}, "payload__operation"),
        ({"payload": {"operation": "update_status", "value": "no"}}, "payload__value"),
        ({"payload": {"operation": "update_variants", "value": {}}}, "payload__value__variants"),
        ({"payload": {"operation": "add_release_condition", "value": {"groups": 5}}}, "payload__value__groups"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"is_recurring": True, "cron_expression": "often"}, "cron_expression"),
        ({"is_recurring": True, "cron_expression": "0 0 30 2 *"}, "cron_expression"),
        ({"is_recurring": True, "cron_expression": "* * * * * *"}, "cron_expression"),
        ({"model_name": "Dashboard"}, "model_name"),
        ({"scheduled_at": "soon"}, "scheduled_at"),
    ],
)
def test_create__wrong_value__names_its_field(
    schedules: Schedules, flag: dict[str, Any], fields: dict[str, Any], attr: str
) -> None:
    answer = schedules.planned(flag, **fields)
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)


def test_recurring_release_condition__is_refused(schedules: Schedules, flag: dict[str, Any]) -> None:
    payload = {"operation": "add_release_condition", "value": {"groups": [EVERYBODY]}}
    answer = schedules.planned(flag, payload, is_recurring=True, recurrence_interval="daily")
    assert answer.status_code == 400


def test_other_projects_rows__are_not_reached(
    schedules: Schedules, flag: dict[str, Any], organization: Organization, owner: User
) -> None:
    made = schedules.made_for(flag)
    other = Schedules(Project.objects.create(organization=organization, name="Other"), key_of(owner))
    assert other.get(made["id"]).status_code == 404
    assert other.patch(made["id"], {}).status_code == 404
    assert other.planned(flag).json()["detail"] == "Feature flag not found"


# --- when due ------------------------------------------------------------------------------------------------------


def test_not_due__nothing_happens(schedules: Schedules, flag: dict[str, Any]) -> None:
    schedules.made_for(flag)
    assert apply_due(now=AT - timedelta(seconds=1)) == 0
    assert stored(flag).active


def test_due__changes_the_flag_once_in_its_creators_name(
    schedules: Schedules, flag: dict[str, Any], owner: User
) -> None:
    change = schedules.made_for(flag)
    assert apply_due(now=AT) == 1
    assert apply_due(now=AT) == 0
    assert (stored(flag).active, stored(flag).version) == (False, 2)
    seen = schedules.seen(change)
    assert (seen["executed_at"], seen["failure_reason"], seen["last_executed_at"]) == (SOON, None, None)
    entry = ActivityEntry.objects.filter(scope="FeatureFlag", activity="updated").get()
    assert entry.user == owner
    assert entry.detail["trigger"] == {"job_type": "scheduled_change", "job_id": str(change["id"]), "payload": OFF}


def test_executed__cannot_be_changed(schedules: Schedules, flag: dict[str, Any]) -> None:
    change = schedules.made_for(flag)
    apply_due(now=AT)
    answer = schedules.patch(change["id"], {"scheduled_at": "2027-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "Cannot modify a scheduled change that has already executed.",
    )


def test_release_condition__is_appended(schedules: Schedules, flag: dict[str, Any]) -> None:
    group = {"properties": [PRO], "rollout_percentage": 5}
    schedules.made_for(flag, {"operation": "add_release_condition", "value": {"groups": [group]}})
    apply_due(now=AT)
    assert stored(flag).filters["groups"] == [EVERYBODY, group]


def test_variants__are_replaced(schedules: Schedules, flag: dict[str, Any]) -> None:
    value = {"variants": CONTROL_AND_TEST, "payloads": {"test": "1"}}
    schedules.made_for(flag, {"operation": "update_variants", "value": value})
    apply_due(now=AT)
    assert stored(flag).filters["multivariate"] == {"variants": CONTROL_AND_TEST}
    assert stored(flag).filters["payloads"] == {"test": "1"}


def test_refused_change__says_why_and_changes_nothing(schedules: Schedules, flag: dict[str, Any]) -> None:
    half = [{"key": "only", "rollout_percentage": 50}]
    change = schedules.made_for(flag, {"operation": "update_variants", "value": {"variants": half}})
    other = schedules.made_for(flag)
    apply_due(now=AT)
    seen = schedules.seen(change)
    assert seen["executed_at"] == SOON
    assert "must sum to 100" in seen["failure_reason"]
    assert stored(flag).filters == {"groups": [EVERYBODY]}
    assert schedules.seen(other)["failure_reason"] is None
    assert not stored(flag).active


def test_creator_who_left__may_no_longer_change(schedules: Schedules, flag: dict[str, Any]) -> None:
    change = schedules.made_for(flag)
    OrganizationMembership.objects.all().delete()
    apply_due(now=AT)
    reason = ScheduledChange.objects.get(pk=change["id"]).failure_reason
    assert reason == "You don't have edit permissions for this feature flag"
    assert stored(flag).active


def test_flag_deleted_meanwhile__is_not_found(schedules: Schedules, flags: Flags, flag: dict[str, Any]) -> None:
    change = schedules.made_for(flag)
    flags.patch(flag["id"], {"deleted": True})
    apply_due(now=AT)
    assert schedules.seen(change)["failure_reason"] == "Feature flag not found"


def test_recurring__moves_on_until_its_end(schedules: Schedules, flag: dict[str, Any]) -> None:
    change = schedules.made_for(flag, is_recurring=True, recurrence_interval="daily", end_date="2026-03-03T00:00:00Z")
    apply_due(now=AT)
    seen = schedules.seen(change)
    assert (seen["scheduled_at"], seen["last_executed_at"], seen["executed_at"]) == ("2026-03-02T09:00:00Z", SOON, None)
    apply_due(now=AT + timedelta(days=1))
    seen = schedules.seen(change)
    assert (seen["last_executed_at"], seen["executed_at"]) == ("2026-03-02T09:00:00Z", "2026-03-02T09:00:00Z")


def test_recurring__goes_on_after_a_failure(schedules: Schedules, flag: dict[str, Any]) -> None:
    half = [{"key": "only", "rollout_percentage": 50}]
    payload = {"operation": "update_variants", "value": {"variants": half}}
    change = schedules.made_for(flag, payload, is_recurring=True, cron_expression="30 9 * * 1-5")
    apply_due(now=AT)
    seen = schedules.seen(change)
    assert seen["failure_reason"] is not None
    assert (seen["executed_at"], seen["scheduled_at"]) == (None, "2026-03-02T09:30:00Z")  # the Monday after


def test_recurring__after_a_long_silence__skips_what_was_missed(schedules: Schedules, flag: dict[str, Any]) -> None:
    change = schedules.made_for(flag, is_recurring=True, recurrence_interval="weekly")
    assert apply_due(now=AT + timedelta(days=36)) == 1
    assert schedules.seen(change)["scheduled_at"] == "2026-04-12T09:00:00Z"


def test_job__applies_what_is_due(schedules: Schedules, flag: dict[str, Any]) -> None:
    schedules.made_for(flag, scheduled_at=(timezone.now() - timedelta(minutes=1)).isoformat())
    assert apply_scheduled_changes(timestamp=0) == 1
    assert not stored(flag).active


# --- times ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "begins", "after", "expected"),
    [
        ("daily", "2026-03-01T09:00", "2026-03-01T09:00", "2026-03-02T09:00"),
        ("weekly", "2026-03-01T09:00", "2026-03-05T00:00", "2026-03-08T09:00"),
        ("monthly", "2026-01-31T09:00", "2026-01-31T09:00", "2026-02-28T09:00"),
        ("monthly", "2026-01-31T09:00", "2026-02-28T09:00", "2026-03-31T09:00"),
        ("yearly", "2024-02-29T09:00", "2025-02-28T09:00", "2026-02-28T09:00"),
        ("yearly", "2024-02-29T09:00", "2027-06-01T00:00", "2028-02-29T09:00"),
    ],
)
def test_interval__keeps_day_and_time(interval: str, begins: str, after: str, expected: str) -> None:
    first, last, wanted = (datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (begins, after, expected))
    found = recurrence.next_by_interval(interval=interval, begins_at=first, after=last, zone=ZoneInfo("UTC"))
    assert found == wanted


def test_interval__keeps_the_time_of_day_of_its_zone() -> None:
    # Berlin's clocks go forward on 29 March 2026: nine o'clock is 08:00 UTC before, 07:00 UTC after.
    begins = datetime(2026, 3, 28, 8, tzinfo=UTC)
    found = recurrence.next_by_interval(
        interval="daily", begins_at=begins, after=begins, zone=ZoneInfo("Europe/Berlin")
    )
    assert found == datetime(2026, 3, 29, 7, tzinfo=UTC)


def test_cron__is_read_in_its_zone() -> None:
    after = datetime(2026, 1, 1, 0, tzinfo=UTC)
    found = recurrence.next_by_cron(expression="0 9 * * *", after=after, zone=ZoneInfo("America/New_York"))
    assert found == datetime(2026, 1, 1, 14, tzinfo=UTC)


# --- approvals -----------------------------------------------------------------------------------------------------


def needs_approval(project: Project, approver: User) -> None:
    ApprovalPolicy.objects.create(
        organization=project.organization,
        project=project,
        action_key="feature_flag.disable",
        approver_config={"quorum": 1, "users": [approver.pk], "roles": []},
    )


def test_change_that_needs_approval__becomes_a_request_and_counts_as_executed(
    schedules: Schedules, flag: dict[str, Any], project: Project, owner: User
) -> None:
    needs_approval(project, User.objects.create_user("ann@acme.test"))
    change = schedules.made_for(flag)
    assert apply_due(now=AT) == 1
    request = ChangeRequest.objects.get()
    seen = schedules.seen(change)
    assert seen["change_request"] == {"id": str(request.pk), "state": "pending"}
    assert (seen["executed_at"], seen["failure_reason"]) == (SOON, None)
    assert request.created_by == owner
    assert (stored(flag).active, stored(flag).version) == (True, 1)
    assert apply_due(now=AT) == 0
