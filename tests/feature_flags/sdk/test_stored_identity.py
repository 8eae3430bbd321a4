"""What is stored of persons and groups takes part in evaluation; what is sent along wins over it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cohorts.models import Cohort
from events.models import CohortMembership, ContinuityOverride, Group, GroupType, Person, PersonDistinctId
from feature_flags.models import FeatureFlag
from projects.models import Organization, Project
from tests.feature_flags.sdk.conftest import EVERYBODY, PRO, Sdk

Make = Callable[..., FeatureFlag]


def person(project: Project, *distinct_ids: str, **columns: Any) -> Person:
    made = Person.objects.create(project=project, uuid=uuid4(), **columns)
    for one in distinct_ids:
        PersonDistinctId.objects.create(project=project, person=made, distinct_id=one)
    return made


def only(key: str, value: Any, operator: str = "exact", **more: Any) -> list[dict[str, Any]]:
    return [{"properties": [{"key": key, "value": value, "operator": operator, "type": "person"} | more]}]


def test_stored_property__is_read(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    person(project, "user-1", "user-61", properties={"plan": "pro"})
    stored_flag("pro", groups=[{"properties": [PRO]}])
    assert sdk.values() == {"pro": True}
    assert sdk.values(distinct_id="stranger") == {"pro": False}


def test_stored_property__of_another_project__is_not_read(
    sdk: Sdk, organization: Organization, stored_flag: Make
) -> None:
    person(Project.objects.create(organization=organization, name="Other"), "user-61", properties={"plan": "pro"})
    stored_flag("pro", groups=[{"properties": [PRO]}])
    assert sdk.values() == {"pro": False}


def test_sent_property__wins_over_the_stored_one(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    person(project, "user-61", properties={"plan": "pro", "country": "de"})
    stored_flag("pro", groups=[{"properties": [PRO]}])
    stored_flag("german", groups=only("country", "de"))
    assert sdk.values(person_properties={"plan": "free"}) == {"pro": False, "german": True}


def test_only_override_properties__leaves_stored_ones_aside(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    person(project, "user-61", properties={"plan": "pro"})
    stored_flag("pro", groups=[{"properties": [PRO]}])
    path = "/flags/?v=2&only_use_override_person_properties=true"
    assert sdk.ask(path)["flags"]["pro"]["enabled"] is False
    assert sdk.ask(path, person_properties={"plan": "pro"})["flags"]["pro"]["enabled"] is True


def test_distinct_id__cannot_be_overridden(sdk: Sdk, stored_flag: Make) -> None:
    stored_flag("me", groups=only("distinct_id", "user-61"))
    assert sdk.values(person_properties={"distinct_id": "somebody"}) == {"me": True}


def test_person_metadata__is_when_the_person_was_first_seen(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    person(project, "user-61", created_at=datetime(2026, 1, 2, tzinfo=UTC))
    stored_flag("new", groups=only("created_at", "2026-01-01", "is_date_after", type="person_metadata"))
    assert sdk.values(person_properties={"created_at": "2020-01-01"}) == {"new": True}
    assert sdk.values(distinct_id="stranger") == {"new": False}


@pytest.mark.parametrize(("operator", "expected"), [("in", [True, False]), ("not_in", [False, True])])
def test_static_cohort__has_the_listed_members(
    sdk: Sdk, project: Project, stored_flag: Make, operator: str, expected: list[bool]
) -> None:
    cohort = Cohort.objects.create(project=project, name="Beta", is_static=True)
    member = person(project, "user-61")
    CohortMembership.objects.create(project=project, cohort_id=cohort.pk, person=member)
    stored_flag("beta", groups=only("id", cohort.pk, operator, type="cohort"))
    assert [sdk.values()["beta"], sdk.values(distinct_id="stranger")["beta"]] == expected


def test_dynamic_cohort__is_computed_from_merged_properties(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    criteria = {"type": "AND", "values": [PRO, {"key": "seats", "type": "person", "value": 5, "operator": "gt"}]}
    cohort = Cohort.objects.create(project=project, name="Large", filters={"properties": criteria})
    person(project, "user-61", properties={"plan": "pro"})
    stored_flag("large", groups=only("id", cohort.pk, "in", type="cohort"))
    assert sdk.values(person_properties={"seats": 6}) == {"large": True}
    assert sdk.values() == {"large": False}


def test_deleted_cohort__fails_its_flag(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    cohort = Cohort.objects.create(project=project, name="Gone", deleted=True)
    stored_flag("beta", groups=only("id", cohort.pk, "in", type="cohort"))
    record = sdk.ask()["flags"]["beta"]
    assert (record["failed"], record["reason"]["code"]) == (True, "dependency_not_found_cohort")


def test_group__stored_properties_are_overlaid_by_sent_ones(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    GroupType.objects.create(project=project, group_type="company", group_type_index=0)
    Group.objects.create(
        project=project, group_type_index=0, group_key="acme", group_properties={"tier": "gold", "size": 5}
    )
    stored_flag(
        "gold",
        filters={
            "aggregation_group_type_index": 0,
            "groups": only("tier", "gold", type="group", group_type_index=0),
        },
    )
    assert sdk.values(groups={"company": "acme"}) == {"gold": True}
    assert sdk.values(groups={"company": "other"}) == {"gold": False}
    assert sdk.values(groups={"company": "acme"}, group_properties={"company": {"tier": "tin"}}) == {"gold": False}
    nobody: list[Any] = [{}, {"company": None}, {"company": ""}, {"project": "acme"}, {"company": {"a": 1}}, []]
    for nothing in nobody:
        record = sdk.ask(groups=nothing)["flags"]["gold"]
        assert record["reason"]["code"] == "no_group_type"


# --- experience continuity -----------------------------------------------------------------------------------------


def continuous(make: Make, key: str = "continuity") -> FeatureFlag:
    # user-17 is out at 70, anon-1 is in at 80, sticky-1 is in at 70 (the documented cases).
    return make(key, groups=[EVERYBODY | {"rollout_percentage": 70}], ensure_experience_continuity=True)


def test_anonymous_id__is_kept_for_the_person_and_never_changed(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    flag = continuous(stored_flag)
    stored_flag("another")
    somebody = person(project, "user-17")
    sdk.ask(distinct_id="user-17", **{"$anon_distinct_id": "sticky-1"})
    sdk.ask(distinct_id="user-17", **{"$anon_distinct_id": "anon-1"})
    rows = ContinuityOverride.objects.values_list("person_id", "feature_flag_id", "hash_key")
    assert list(rows) == [(somebody.pk, flag.pk, "sticky-1")]
    assert sdk.values(distinct_id="user-17")["continuity"] is True


def test_anonymous_id__of_a_person_not_identified_yet__is_kept_for_the_anonymous_one(
    sdk: Sdk, project: Project, stored_flag: Make
) -> None:
    continuous(stored_flag)
    anonymous = person(project, "sticky-1")
    sdk.ask(distinct_id="user-17", **{"$anon_distinct_id": "sticky-1"})
    assert ContinuityOverride.objects.get().person_id == anonymous.pk


def test_anonymous_id__of_nobody_known__counts_and_is_not_kept(sdk: Sdk, stored_flag: Make) -> None:
    continuous(stored_flag)
    assert sdk.values(distinct_id="user-17", **{"$anon_distinct_id": "sticky-1"}) == {"continuity": True}
    assert not ContinuityOverride.objects.exists()


def test_kept_id__of_an_inactive_flag__is_not_made(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    stored_flag("off", active=False, ensure_experience_continuity=True)
    stored_flag("plain")
    person(project, "user-17")
    sdk.ask(distinct_id="user-17", **{"$anon_distinct_id": "sticky-1"})
    assert not ContinuityOverride.objects.exists()


# --- how much it costs ---------------------------------------------------------------------------------------------


def queries(sdk: Sdk, table: str, **body: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        sdk.ask(**body)
    return [query["sql"] for query in captured if table in query["sql"]]


def test_everything_stored__is_read_by_one_query(sdk: Sdk, project: Project, stored_flag: Make) -> None:
    GroupType.objects.create(project=project, group_type="company", group_type_index=0)
    cohort = Cohort.objects.create(project=project, name="Beta", is_static=True)
    stored_flag("pro", groups=[{"properties": [PRO]}])
    stored_flag("beta", groups=only("id", cohort.pk, "in", type="cohort"))
    stored_flag("gold", filters={"groups": only("tier", 1, type="group", group_type_index=0)})
    continuous(stored_flag)
    found = queries(sdk, "events_", groups={"company": "acme"})
    assert len([sql for sql in found if "events_grouptype" not in sql]) == 1


@pytest.mark.parametrize(
    "body", [{"person_properties": {"plan": "free"}}, {"flag_keys_to_evaluate": ["open"]}, {"disable_flags": True}]
)
def test_what_was_sent_suffices__nothing_stored_is_read(sdk: Sdk, stored_flag: Make, body: dict[str, Any]) -> None:
    stored_flag("open")
    stored_flag("pro", groups=[{"properties": [PRO]}])
    assert queries(sdk, "events_person")
    assert not queries(sdk, "events_person", **body)
