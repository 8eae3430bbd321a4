"""my_flags, evaluation_reasons, user_blast_radius and test_evaluation."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from activity.models import ActivityEntry
from cohorts.models import Cohort
from events.models import CohortMembership, Group, GroupType, Person, PersonDistinctId
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests.cast import error
from tests.feature_flags.conftest import Flags, key_of
from tests.feature_flags.sdk.conftest import EVERYBODY, LAYOUTS, PRO

HALF = EVERYBODY | {"rollout_percentage": 50}


def person(project: Project, distinct_id: str, **columns: Any) -> Person:
    made = Person.objects.create(project=project, uuid=uuid4(), **columns)
    PersonDistinctId.objects.create(project=project, person=made, distinct_id=distinct_id)
    return made


def company(project: Project, **groups: Any) -> None:
    GroupType.objects.create(project=project, group_type="company", group_type_index=0)
    for key, properties in groups.items():
        Group.objects.create(project=project, group_type_index=0, group_key=key, group_properties=properties)


# --- my_flags ------------------------------------------------------------------------------------------------------


def test_my_flags__are_the_active_ones_for_the_caller(flags: Flags, project: Project, owner: User) -> None:
    made = flags.made(key="beta", filters={"groups": [EVERYBODY]})
    flags.made(key="off", active=False)
    mine = {"key": "distinct_id", "type": "person", "value": str(owner.distinct_id), "operator": "exact"}
    flags.made(key="mine", filters={"groups": [{"properties": [mine]}]})
    flags.made(key="nobody", filters={"groups": [EVERYBODY | {"rollout_percentage": 0}]})
    answer = flags.get("my_flags")
    assert answer.status_code == 200
    assert {row["feature_flag"]["key"]: row["value"] for row in answer.json()} == {
        "beta": True,
        "mine": True,
        "nobody": False,
    }
    assert answer.json()[0]["feature_flag"] == {
        "id": made["id"],
        "team_id": project.pk,
        "name": "",
        "key": "beta",
        "filters": made["filters"],
        "deleted": False,
        "active": True,
        "ensure_experience_continuity": False,
        "has_encrypted_payloads": False,
        "version": 1,
        "evaluation_runtime": "all",
        "bucketing_identifier": "distinct_id",
        "evaluation_contexts": [],
    }


@pytest.mark.parametrize("keys", ["b,c", '["b", "c"]'])
def test_my_flags__of_some_keys(flags: Flags, keys: str) -> None:
    for key in ("a", "b", "c"):
        flags.made(key=key)
    assert [row["feature_flag"]["key"] for row in flags.get("my_flags", flag_keys=keys).json()] == ["b", "c"]


def test_my_flags__for_a_group(flags: Flags, project: Project) -> None:
    company(project)
    by_company = {"aggregation_group_type_index": 0, "groups": [EVERYBODY]}
    flags.made(key="dashboard", filters=by_company)
    assert flags.get("my_flags").json()[0]["value"] is False
    assert flags.get("my_flags", groups='{"company": "acme"}').json()[0]["value"] is True


@pytest.mark.parametrize("groups", ["{", "[]", "5"])
def test_groups__that_are_no_object__are_refused(flags: Flags, groups: str) -> None:
    for path, more in (("my_flags", {}), ("evaluation_reasons", {"distinct_id": "a"})):
        answer = flags.get(path, groups=groups, **more)
        assert answer.status_code == 400
        assert answer.json() == error("invalid_input", "groups must be a JSON object.", "groups")


# --- evaluation_reasons --------------------------------------------------------------------------------------------


def test_reasons__are_told_of_inactive_flags_too(flags: Flags, project: Project) -> None:
    flags.made(key="layout", filters={"groups": [EVERYBODY], "multivariate": {"variants": LAYOUTS}})
    flags.made(key="off", active=False)
    flags.made(key="pro", filters={"groups": [{"properties": [PRO]}]})
    person(project, "user-61", properties={"plan": "free"})
    answer = flags.get("evaluation_reasons", distinct_id="user-61").json()
    variant = answer["layout"].pop("value")
    assert variant in {"control", "compact", "spacious"}
    assert answer == {
        "layout": {
            "evaluation": {
                "reason": "condition_match",
                "condition_index": 0,
                "description": "Matched condition set 1",
            }
        },
        "off": {
            "value": False,
            "evaluation": {"reason": "disabled", "condition_index": None, "description": "Feature flag is disabled"},
        },
        "pro": {
            "value": False,
            "evaluation": {
                "reason": "no_condition_match",
                "condition_index": 0,
                "description": "No matching condition set",
            },
        },
    }
    assert flags.get("evaluation_reasons", distinct_id="user-61", flag_keys="off").json().keys() == {"off"}


def test_reasons__without_distinct_id__are_refused(flags: Flags) -> None:
    answer = flags.get("evaluation_reasons")
    assert (answer.status_code, answer.json()) == (400, error("required", "This field is required.", "distinct_id"))


# --- user_blast_radius ---------------------------------------------------------------------------------------------


def reached(flags: Flags, condition: Any, index: int | None = None) -> Any:
    answer = flags.post("user_blast_radius", {"condition": condition, "group_type_index": index})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_blast_radius__counts_matching_persons(flags: Flags, project: Project) -> None:
    member = person(project, "a", properties={"plan": "pro"})
    person(project, "b", properties={"plan": "free"}, created_at=datetime(2020, 1, 1, tzinfo=UTC))
    person(project, "c", properties={"plan": "pro"})
    static = Cohort.objects.create(project=project, name="Some", is_static=True)
    CohortMembership.objects.create(project=project, cohort_id=static.pk, person=member)
    in_cohort = {"key": "id", "type": "cohort", "value": static.pk, "operator": "in"}
    old = {"key": "created_at", "type": "person_metadata", "value": "2021-01-01", "operator": "is_date_before"}
    other = {"key": "999", "type": "flag", "value": True, "operator": "flag_evaluates_to"}
    for properties, affected in (
        ([], 3),
        ([PRO], 2),
        ([PRO, in_cohort], 1),
        ([in_cohort | {"operator": "not_in"}], 2),
        ([old], 1),
        ([PRO, other], 2),
    ):
        condition = {"properties": properties, "rollout_percentage": 1}
        assert reached(flags, condition) == {"affected": affected, "total": 3}


def test_blast_radius__counts_matching_groups(flags: Flags, project: Project) -> None:
    company(project, acme={"tier": "gold"}, tiny={"tier": "tin"}, none={})
    gold = {"key": "tier", "type": "group", "value": "gold", "operator": "exact", "group_type_index": 0}
    acme = {"key": "$group_key", "type": "group", "value": "acme", "operator": "exact", "group_type_index": 0}
    assert reached(flags, {"properties": [gold]}, 0) == {"affected": 1, "total": 3}
    assert reached(flags, {"properties": [acme]}, 0) == {"affected": 1, "total": 3}
    assert reached(flags, {"properties": []}, 0) == {"affected": 3, "total": 3}
    assert reached(flags, {"properties": []}, 1) == {"affected": 0, "total": 0}


@pytest.mark.parametrize(
    ("properties", "affected"),
    [
        ({"$initial_utm": "a"}, 1),
        ({"$utm": "a"}, 1),
        ({"utm": "a"}, 1),
        ({"$initial_utm": "b", "utm": "a"}, 0),
        ({"$utm": None, "utm": "a"}, 0),
        ({}, 0),
    ],
)
@pytest.mark.parametrize("through_a_cohort", [False, True])
def test_blast_radius__initial_property_that_is_missing__is_read_from_the_present_one(
    flags: Flags, project: Project, properties: Any, affected: int, through_a_cohort: bool
) -> None:
    person(project, "a", properties=properties)
    initial = PRO | {"key": "$initial_utm", "value": "a"}
    if through_a_cohort:
        criteria = {"properties": {"type": "OR", "values": [initial]}}
        cohort = Cohort.objects.create(project=project, name="Came from a", filters=criteria)
        initial = {"key": "id", "type": "cohort", "value": cohort.pk, "operator": "in"}
    assert reached(flags, {"properties": [initial]}) == {"affected": affected, "total": 1}


def test_blast_radius__of_any_size__is_counted_by_as_many_queries(
    flags: Flags, project: Project, django_assert_max_num_queries: Any
) -> None:
    criteria = {"properties": {"type": "AND", "values": [PRO]}}
    cohort = Cohort.objects.create(project=project, name="Pro", filters=criteria)
    member = {"key": "id", "type": "cohort", "value": cohort.pk, "operator": "not_in"}
    with CaptureQueriesContext(connection) as few:
        assert reached(flags, {"properties": [member]}) == {"affected": 0, "total": 0}
    Person.objects.bulk_create(
        Person(project=project, uuid=uuid4(), properties={"plan": "pro" if number % 3 else "free"})
        for number in range(3000)
    )
    with django_assert_max_num_queries(len(few)):
        assert reached(flags, {"properties": [member]}) == {"affected": 1000, "total": 3000}


def test_blast_radius__that_takes_too_long__is_cancelled(flags: Flags, project: Project, settings: Any) -> None:
    settings.LIST_STATEMENT_TIMEOUT_SECONDS = 0.2
    with connection.cursor() as cursor:
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE events_person RENAME TO kept;"
            "CREATE VIEW events_person AS SELECT kept.* FROM pg_sleep(10), kept"
        )
    answer = flags.post("user_blast_radius", {"condition": {"properties": [PRO]}})
    assert (answer.status_code, answer.json()["code"]) == (504, "query_timeout")


def test_blast_radius__without_a_condition__is_refused(flags: Flags) -> None:
    for body in ({}, {"condition": None}, {"condition": "x"}):
        answer = flags.post("user_blast_radius", body)
        assert answer.status_code == 400
        assert answer.json() == error("invalid_input", "Missing condition for which to get blast radius")


def test_blast_radius__of_what_cannot_be_saved__is_refused(flags: Flags) -> None:
    for condition in (
        {"key": "a", "type": "person", "value": "(", "operator": "regex"},
        {"key": "id", "type": "cohort", "value": 99, "operator": "in"},
        {"key": "a", "type": "group", "value": "x", "operator": "exact", "group_type_index": 0},
    ):
        assert flags.post("user_blast_radius", {"condition": {"properties": [condition]}}).status_code == 400


# --- test_evaluation -----------------------------------------------------------------------------------------------


def tried(flags: Flags, flag: Any, **body: Any) -> Any:
    answer = flags.post(f"{flag['id']}/test_evaluation", body)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_trial__tells_every_step(flags: Flags, project: Project) -> None:
    flag = flags.made(
        key="layout",
        active=False,
        filters={
            "groups": [{"properties": [PRO], "rollout_percentage": 100, "variant": "spacious"}, EVERYBODY],
            "multivariate": {"variants": LAYOUTS},
            "payloads": {"spacious": "1"},
        },
    )
    person(project, "user-1", properties={"plan": "pro"})
    assert tried(flags, flag, distinct_id="user-1") == {
        "flag_key": "layout",
        "result": "spacious",
        "reason": "condition_match",
        "condition_index": 0,
        "payload": "1",
        "person_properties": {"plan": "pro", "distinct_id": "user-1"},
        "evaluation_distinct_id": "user-1",
        "conditions": [
            {
                "index": 0,
                "matched": True,
                "properties_matched": True,
                "explanation": "Matched condition set 1",
                "rollout_percentage": 100,
                "rollout_excluded": False,
                "variant": "spacious",
                "properties": [
                    {
                        "key": "plan",
                        "operator": "exact",
                        "value": "pro",
                        "type": "person",
                        "actual_value": "pro",
                        "matched": True,
                        "explanation": 'Matches: it is "pro".',
                    }
                ],
            },
            {
                "index": 1,
                "matched": False,
                "properties_matched": True,
                "explanation": "Matched condition set 2",
                "rollout_percentage": 100,
                "rollout_excluded": False,
                "variant": None,
                "properties": [],
            },
        ],
    }


def test_trial__of_a_rollout_miss__says_so(flags: Flags) -> None:
    flag = flags.made(filters={"groups": [EVERYBODY | {"rollout_percentage": 0}]})
    condition = tried(flags, flag, distinct_id="stranger")["conditions"][0]
    assert (condition["matched"], condition["properties_matched"], condition["rollout_excluded"]) == (False, True, True)


def test_trial__for_a_person__is_that_of_its_first_id(flags: Flags, project: Project) -> None:
    flag = flags.made(filters={"groups": [{"properties": [PRO]}]})
    somebody = person(project, "user-1", properties={"plan": "pro"})
    for name in (somebody.pk, somebody.uuid):
        answer = tried(flags, flag, person_id=str(name))
        assert (answer["result"], answer["evaluation_distinct_id"]) == (True, None)
    for unknown in ("999999", str(uuid4()), "x"):
        assert flags.post(f"{flag['id']}/test_evaluation", {"person_id": unknown}).status_code == 404


@pytest.mark.parametrize("body", [{}, {"distinct_id": "a", "person_id": "1"}, {"distinct_id": None}])
def test_trial__without_exactly_one_id__is_refused(flags: Flags, body: dict[str, Any]) -> None:
    assert flags.post(f"{flags.made()['id']}/test_evaluation", body).status_code == 400


def test_trial__at_a_time__takes_the_flag_as_it_was(flags: Flags) -> None:
    flag = flags.made(filters={"groups": [EVERYBODY]})
    before = timezone.now()
    flags.patch(flag["id"], {"filters": {"groups": [EVERYBODY | {"rollout_percentage": 0}]}})
    flags.patch(flag["id"], {"name": "renamed", "active": False})
    assert tried(flags, flag, distinct_id="a")["result"] is False
    assert tried(flags, flag, distinct_id="a", timestamp=before.isoformat())["result"] is True
    naive = before.replace(tzinfo=None).isoformat()
    assert tried(flags, flag, distinct_id="a", timestamp=naive)["result"] is True
    assert tried(flags, flag, distinct_id="a", timestamp="2999-01-01")["result"] is False
    assert flags.get(flag["id"]).json()["version"] == 3


def test_trial__before_the_flag_was__is_refused(flags: Flags) -> None:
    flag = flags.made()
    earlier = (timezone.now() - timedelta(days=1)).isoformat()
    answer = flags.post(f"{flag['id']}/test_evaluation", {"distinct_id": "a", "timestamp": earlier})
    assert (answer.status_code, answer.json()["attr"]) == (400, "timestamp")


def test_trial__past_a_change_without_history__is_refused(flags: Flags) -> None:
    flag = flags.made(filters={"groups": [EVERYBODY]})
    before = timezone.now().isoformat()
    flags.patch(flag["id"], {"filters": {"groups": [HALF]}})
    FeatureFlag.objects.update(filters={"groups": []})
    answer = flags.post(f"{flag['id']}/test_evaluation", {"distinct_id": "a", "timestamp": before})
    assert answer.status_code == 400


def test_trial__leaves_no_trace(flags: Flags, project: Project) -> None:
    flag = flags.made(filters={"groups": [EVERYBODY]}, ensure_experience_continuity=True)
    entries = ActivityEntry.objects.count()
    tried(flags, flag, distinct_id="user-1")
    assert ActivityEntry.objects.count() == entries
    assert not Person.objects.exists()


def test_trial__of_dependencies_cohorts_and_groups__tells_what_was_found(flags: Flags, project: Project) -> None:
    company(project, acme={"tier": "gold"})
    cohort = Cohort.objects.create(project=project, name="Pro", filters={"properties": {"values": [PRO]}})
    other = flags.made(key="other", filters={"groups": [EVERYBODY], "multivariate": {"variants": LAYOUTS}})
    asks = {"key": str(other["id"]), "type": "flag", "value": True, "operator": "flag_evaluates_to"}
    member = {"key": "id", "type": "cohort", "value": cohort.pk, "operator": "in"}
    flag = flags.made(filters={"groups": [{"properties": [asks, member]}]})
    properties = tried(flags, flag, distinct_id="user-1")["conditions"][0]["properties"]
    assert [one["matched"] for one in properties] == [True, False]
    assert properties[0]["actual_value"] in {"control", "compact", "spacious"}
    assert properties[1]["actual_value"] is False
    gold = {"key": "tier", "type": "group", "value": "gold", "operator": "exact", "group_type_index": 0}
    grouped = flags.made(key="grouped", filters={"aggregation_group_type_index": 0, "groups": [{"properties": [gold]}]})
    answer = tried(flags, grouped, distinct_id="user-1", groups={"company": "acme"})
    assert answer["result"] is True
    assert answer["conditions"][0]["properties"][0]["actual_value"] == "gold"


def test_scopes__reading_suffices(flags: Flags, project: Project, owner: User) -> None:
    flag = flags.made()
    reader = Flags(project, key_of(owner, "feature_flag:read"))
    assert reader.get("my_flags").status_code == 200
    assert reader.post("user_blast_radius", {"condition": {"properties": []}}).status_code == 200
    assert reader.post(f"{flag['id']}/test_evaluation", {"distinct_id": "a"}).status_code == 200
