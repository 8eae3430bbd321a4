"""Cohorts over REST: making, changing, deleting, listing."""

from typing import Any

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from activity.models import ActivityEntry
from cohorts import tasks
from cohorts.models import Cohort
from experiments.models import Experiment
from feature_flags import services as flag_services
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests.cast import ClientFor, error
from tests.cohorts.conftest import URL, criteria, did, member_of, person

SUPPORTED = "Supported: performed_event, performed_event_multiple."
MISSING = "Missing required keys for behavioral filter:"


def flag_on(project: Project, user: User, key: str, cohort_id: int, *, active: bool = True) -> None:
    groups = [{"properties": [{"type": "cohort", "key": "id", "value": cohort_id}], "rollout_percentage": 100}]
    flag_services.create_flag(project=project, user=user, key=key, filters={"groups": groups}, active=active)


def waiting_jobs() -> list[int]:
    jobs = ProcrastinateJob.objects.filter(task_name="cohorts.calculate", status="todo").order_by("pk")
    return [job.args["cohort_id"] for job in jobs]


def test_create__answers_the_cohort_and_queues_its_calculation(api: Any, project: Project, member: User):
    filters = criteria(person("plan", ["pro"]), criteria(person("n", 1, "gt"), type="OR")["properties"])
    made = api.post(URL, {"name": "Pro", "description": "d", "filters": filters, "_create_in_folder": "x"}).json()

    assert made | {"created_at": ""} == {
        "id": made["id"],
        "name": "Pro",
        "description": "d",
        "deleted": False,
        "filters": filters,
        "is_static": False,
        "created_at": "",
        "created_by": made["created_by"],
        "experiment_set": [],
        "cohort_type": "person_property",
        "groups": [],
        "query": None,
        "search_match_type": None,
        "version": None,
        "pending_version": 1,
        "is_calculating": True,
        "last_calculation": None,
        "last_backfill_person_properties_at": None,
        "count": None,
        "errors_calculating": 0,
        "last_error_message": None,
    }
    assert made["created_by"]["email"] == member.email
    assert Cohort.objects.get().folder == "x"
    assert waiting_jobs() == [made["id"]]
    assert api.get(f"{URL}{made['id']}/").json() == made


@pytest.mark.parametrize(
    ("filters", "detail"),
    [
        (None, "Must contain a 'properties' key with type and values"),
        ({}, "Must contain a 'properties' key with type and values"),
        ([], "Must contain a 'properties' key with type and values"),
        ({"properties": {"values": []}}, "Must contain a 'properties' key with type and values"),
        (criteria({"type": "person", "key": "plan"}), "Missing required keys for person filter: value, operator"),
        (criteria({"type": "cohort"}), "Missing required keys for cohort filter: key, value"),
        (criteria(did("a", value="lapsed")), f"Unsupported behavioral value: 'lapsed'. {SUPPORTED}"),
        (criteria(did("a", value=["x"])), f"Unsupported behavioral value: '['x']'. {SUPPORTED}"),
        (criteria(did("a", time_value=None, time_interval=None)), f"{MISSING} time_value, time_interval"),
        (criteria(did("a", value="performed_event_multiple")), f"{MISSING} operator, operator_value"),
        (criteria(did(5)), "The key of a behavioral filter on events must be the name of an event."),
        (criteria(did("a", explicit_datetime="yesterday")), "Invalid date value: yesterday."),
        (criteria(person("a", 1, wrong=1)), "properties.values[0].wrong: Extra inputs are not permitted"),
        (criteria(criteria(person("a", 1, "like"))["properties"]), None),
        (criteria(person("a", 1, "not_in")), "Operator 'not_in' cannot be computed."),
        (criteria(person("a", 1, "is_cleaned_path_exact")), "Operator 'is_cleaned_path_exact' cannot be computed."),
        (criteria({"type": "group", "key": "a"}), None),
        (criteria("x"), None),  # type: ignore[arg-type]  # the mistake itself
        ({"properties": {"type": "XOR", "values": []}}, None),
        (criteria(member_of(7_000_000)), "Cohort with id 7000000 does not exist"),
        (criteria(member_of(10**30)), f"Cohort with id {10**30} does not exist"),
    ],
)  # fmt: skip
def test_create__bad_criteria__refused(api: Any, project: Project, filters: Any, detail: str | None):
    response = api.post(URL, {"name": "x", "filters": filters})

    assert (response.status_code, response.json()["attr"]) == (400, "filters")
    assert detail is None or response.json() == error("invalid_input", detail, "filters")
    assert not Cohort.objects.exists()


def test_create__nested_beyond_all_need__refused(api: Any, project: Project):
    filters = criteria(person("a", 1))
    for _ in range(40):
        filters = criteria(filters["properties"])

    assert api.post(URL, {"name": "x", "filters": filters}).json()["attr"] == "filters"


@pytest.mark.parametrize(("body", "attr"), [({}, "name"), ({"name": ""}, "name"), ({"name": "x" * 401}, "name")])
def test_create__bad_name__refused(api: Any, project: Project, body: dict[str, Any], attr: str):
    response = api.post(URL, {**body, "filters": criteria()})

    assert (response.status_code, response.json()["attr"]) == (400, attr)


def test_create__query__refused(api: Any, project: Project):
    body = {"name": "x", "filters": criteria()}
    response = api.post(URL, {**body, "query": {}})

    assert response.json() == error("invalid_input", "Query cohorts are not supported.", "query")
    assert api.post(URL, {**body, "query": None}).status_code == 201


def test_update__new_criteria__are_a_new_version(api: Any, make: Any):
    made = make("x", person("a", 1))
    Cohort.objects.update(is_calculating=False, version=1, count=3)
    unchanged = api.patch(f"{URL}{made['id']}/", {"name": "y", "filters": made["filters"]}).json()
    changed = api.patch(f"{URL}{made['id']}/", {"filters": criteria(did("a"))}).json()

    assert (unchanged["name"], unchanged["pending_version"], unchanged["is_calculating"]) == ("y", 1, False)
    assert (changed["pending_version"], changed["is_calculating"], changed["version"], changed["count"]) == (
        2,
        True,
        1,
        3,
    )
    assert changed["cohort_type"] == "behavioral"
    assert waiting_jobs() == [made["id"]]


def test_update__loop__refused(api: Any, make: Any):
    first = make("first", person("a", 1))["id"]
    second = make("second", member_of(first))["id"]
    third = make("third", member_of(second))["id"]
    loop = error("invalid_input", "Cohorts cannot reference other cohorts in a loop.", "filters")

    for target in (first, second, third):
        assert api.patch(f"{URL}{first}/", {"filters": criteria(member_of(target))}).json() == loop


def test_update__events_in_a_cohort_of_flags__refused(api: Any, make: Any, project: Project, member: User):
    inner = make("inner", person("a", 1))["id"]
    outer = make("outer", member_of(inner))["id"]
    flag_on(project, member, "flag", outer)
    refused = error(
        "behavioral_cohort_found", "Behavioral filters cannot be added to cohorts used in feature flags.", "filters"
    )

    for cohort in (inner, outer):
        assert api.patch(f"{URL}{cohort}/", {"filters": criteria(did("a"))}).json() == refused
    FeatureFlag.objects.update(active=False)
    assert api.patch(f"{URL}{inner}/", {"filters": criteria(did("a"))}).status_code == 200


def test_delete__detaches_it_from_experiments(api: Any, make: Any, project: Project, member: User):
    cohort = Cohort.objects.get(pk=make("x", person("a", 1))["id"])
    flag = flag_services.create_flag(project=project, user=member, key="f")
    experiment = Experiment.objects.create(project=project, name="e", feature_flag=flag, exposure_cohort=cohort)
    assert api.get(f"{URL}{cohort.pk}/").json()["experiment_set"] == [experiment.pk]
    assert api.get(f"{URL}{cohort.pk}/used_in").json()["experiments"] == [{"id": experiment.pk, "name": "e"}]
    response = api.patch(f"{URL}{cohort.pk}/", {"deleted": True})

    assert (response.json()["deleted"], response.json()["experiment_set"]) == (True, [])
    experiment.refresh_from_db()
    assert experiment.exposure_cohort is None
    assert api.get(URL).json()["results"] == []
    assert api.patch(f"{URL}{cohort.pk}/", {"deleted": False}).json()["deleted"] is False


def test_delete__used_by_active_flags__refused(api: Any, make: Any, project: Project, member: User):
    cohort = make("x", person("a", 1))["id"]
    for key, active in (("one", True), ("two", True), ("off", False)):
        flag_on(project, member, key, cohort, active=active)
    response = api.patch(f"{URL}{cohort}/", {"deleted": True})

    assert response.json() == error(
        "invalid_input",
        "This cohort is used in 2 active feature flag(s): one, two. "
        "Please remove the cohort from these feature flags before deleting it.",
    )
    assert [flag["key"] for flag in api.get(f"{URL}{cohort}/used_in").json()["feature_flags"]] == ["one", "two", "off"]


def test_delete__used_by_cohorts__refused(api: Any, make: Any):
    cohort = make("x", person("a", 1))["id"]
    other = make("other", member_of(cohort))["id"]
    response = api.patch(f"{URL}{cohort}/", {"deleted": True})

    assert response.json() == error(
        "invalid_input",
        "This cohort is used in 1 other cohort(s): other. "
        "Please remove the cohort from these cohorts before deleting it.",
    )
    assert api.get(f"{URL}{cohort}/used_in").json()["cohorts"] == [{"id": other, "name": "other"}]
    api.patch(f"{URL}{other}/", {"deleted": True})
    assert api.patch(f"{URL}{cohort}/", {"deleted": True}).status_code == 200


def test_delete__verb__is_refused_with_an_empty_body(api: Any, project: Project):
    response = api.delete(f"{URL}5/")

    assert (response.status_code, response.content) == (405, b"")


def test_history__of_changes(api: Any, make: Any):
    made = make("x", person("a", 1))["id"]
    api.patch(f"{URL}{made}/", {"name": "y"})
    api.patch(f"{URL}{made}/", {"name": "y"})
    api.patch(f"{URL}{made}/", {"deleted": True})
    api.patch(f"{URL}{made}/", {"deleted": False})
    rows = api.get(f"{URL}{made}/activity").json()

    assert [row["activity"] for row in rows["results"]] == ["restored", "deleted", "updated", "created"]
    assert rows["total_count"] == 4
    assert ActivityEntry.objects.filter(scope="Cohort").count() == 4


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.json()
    return [cohort["name"] for cohort in response.json()["results"]]


@pytest.fixture
def some_cohorts(api: Any, make: Any, member: User, project: Project) -> None:
    make("by property", person("a", "behavioral"))
    make("by events", did("a"))
    Cohort.objects.create(project=project, name="Static", is_static=True, filters=criteria(did("a")), count=2)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["Static", "by events", "by property"]),
        ({"type": "static"}, ["Static"]),
        ({"type": "dynamic"}, ["by events", "by property"]),
        ({"search": "BY"}, ["by events", "by property"]),
        ({"hide_behavioral_cohorts": "true"}, ["Static", "by property"]),
        ({"created_by_id": "99999999"}, []),
        ({"limit": 1}, ["Static"]),
    ],
)
def test_list__parameters(api: Any, some_cohorts: None, query: dict[str, Any], found: list[str]):
    assert names(api.get(URL, query)) == found


def test_list__basic(api: Any, some_cohorts: None):
    first = api.get(URL, {"basic": "true"}).json()["results"][0]

    assert first == {"id": first["id"], "name": "Static", "count": 2, "is_static": True}


@pytest.mark.parametrize(
    ("query", "attr"),
    [({"type": "x"}, "type"), ({"created_by_id": "x"}, "created_by_id"), ({"search": "x" * 201}, None)],
)
def test_list__bad_parameters__refused(api: Any, project: Project, query: dict[str, Any], attr: str | None):
    response = api.get(URL, query)

    assert (response.status_code, response.json()["attr"]) == (400, attr)


def test_list__statements_do_not_grow(api: Any, make: Any, django_assert_max_num_queries: Any):
    for number in range(10):
        make(str(number), person("a", 1))
    with django_assert_max_num_queries(8):
        assert len(names(api.get(URL))) == 10


def test_other_project__404(outsider_api: Any, make: Any):
    made = make("x", person("a", 1))["id"]

    assert outsider_api.get(f"{URL}{made}/").status_code == 404
    assert outsider_api.get(f"{URL}{made}/persons").status_code == 404
    assert outsider_api.patch(f"{URL}{made}/", {"name": "y"}).status_code == 404


def test_scopes(project: Project, member: User, client_for: ClientFor):
    reading = client_for(member, scopes=["cohort:read"])

    assert reading.get(URL).status_code == 200
    assert reading.post(URL, {"name": "x"}).status_code == 403


def test_hourly_job__queues_cohorts_a_day_old(make: Any, project: Project):
    made = make("x", person("a", 1))["id"]
    gone = make("gone", person("a", 1))["id"]
    Cohort.objects.filter(pk=gone).update(deleted=True)
    Cohort.objects.create(project=project, name="Static", is_static=True)

    assert tasks.calculate_old_cohorts(timestamp=0) == 1
    assert waiting_jobs() == [made, gone]
