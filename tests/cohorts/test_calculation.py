"""Who is in a cohort: by properties, by what persons did, by other cohorts; and how the outcome is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from cohorts import calculation
from cohorts.models import Cohort
from events import person_reading
from events.models import Action, CohortMembership, Person, PersonDistinctId
from events.person_reading import PersonSearch
from events.store.base import StoreTimeout
from experiments.exposure_cohort import create_exposure_cohort
from experiments.models import Experiment
from feature_flags import services as flag_services
from projects.models import Project, User
from tests.capturing import Capture, event
from tests.cohorts.conftest import URL, criteria, did, member_of, person


def members(cohort_id: int) -> set[str]:
    persons = CohortMembership.objects.filter(cohort_id=cohort_id).values("person_id")
    return set(PersonDistinctId.objects.filter(person_id__in=persons).values_list("distinct_id", flat=True))


def calculated(made: dict[str, Any]) -> set[str]:
    calculation.calculate(made["id"])
    cohort = Cohort.objects.get(pk=made["id"])
    assert (cohort.last_error_message, cohort.is_calculating) == (None, False)
    found = members(cohort.pk)
    assert cohort.count == CohortMembership.objects.filter(cohort_id=cohort.pk).count()
    return found


def ago(**span: Any) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


@pytest.fixture
def persons(capture: Capture) -> None:
    capture(
        event("seen", "ada", timestamp="2026-01-05T00:00:00Z", properties={"$set": {"plan": "Pro", "n": 3}}),
        event("seen", "bob", timestamp="2026-03-05T00:00:00Z", properties={"$set": {"plan": "free", "n": 10}}),
        event("seen", "eve", timestamp="2026-03-06T00:00:00Z"),
    )


@pytest.mark.parametrize(
    ("leaves", "found"),
    [
        ([], {"ada", "bob", "eve"}),
        ([person("plan", "pro")], {"ada"}),
        ([person("plan", ["pro", "free"])], {"ada", "bob"}),
        ([person("plan", "pro", negation=True)], {"bob", "eve"}),
        ([person("plan", "pro", "is_not")], {"bob", "eve"}),
        ([person("plan", operator="is_not_set")], {"eve"}),
        ([person("n", 3, "gt")], {"bob"}),
        ([person("n", 3, "min")], {"ada", "bob"}),
        ([person("n", 3, "gte"), person("plan", "pro")], {"ada"}),
        ([criteria(person("plan", "pro"), person("n", 10), type="OR")["properties"]], {"ada", "bob"}),
        ([criteria(type="OR")["properties"]], {"ada", "bob", "eve"}),
        ([criteria(person("plan", "pro"), person("n", 10))["properties"]], set()),
        (
            [{"type": "person_metadata", "key": "created_at", "operator": "is_date_before", "value": "2026-02-01"}],
            {"ada"},
        ),
        (
            [
                {
                    "type": "person_metadata",
                    "key": "created_at",
                    "operator": "is_date_after",
                    "value": "2026-03-05T00:00:00Z",
                }
            ],
            {"eve"},
        ),
    ],
)
def test_by_properties(make: Any, persons: None, leaves: list[Any], found: set[str]):
    assert calculated(make("x", *leaves)) == found


def test_by_what_they_did__window_and_filters(make: Any, capture: Capture):
    capture(
        event("bought", "ada", timestamp=ago(days=3), properties={"amount": 5}),
        event("bought", "bob", timestamp=ago(days=10), properties={"amount": 50}),
        event("bought", "eve", timestamp=ago(days=40), properties={"amount": 500}),
        event("seen", "zoe", timestamp=ago(days=1)),
    )
    big = [{"key": "amount", "operator": "gte", "value": 50}]

    assert calculated(make("week", did("bought", time_value=1, time_interval="week"))) == {"ada"}
    assert calculated(make("days", did("bought", time_value=30, time_interval="day"))) == {"ada", "bob"}
    assert calculated(make("year", did("bought", time_value=1, time_interval="year"))) == {"ada", "bob", "eve"}
    assert calculated(make("since", did("bought", explicit_datetime=ago(days=20)))) == {"ada", "bob"}
    assert calculated(make("back", did("bought", explicit_datetime="-20d"))) == {"ada", "bob"}
    between = did("bought", explicit_datetime=ago(days=20), explicit_datetime_to=ago(days=5))
    assert calculated(make("between", between)) == {"bob"}
    assert calculated(make("big", did("bought", event_filters=big))) == {"bob"}
    assert calculated(make("not", did("bought", negation=True))) == {"eve", "zoe"}
    assert calculated(make("both", did("bought"), did("seen"))) == set()
    either = criteria(did("bought", time_value=7), did("seen"), type="OR")["properties"]
    assert calculated(make("either", either)) == {"ada", "zoe"}


def test_by_how_often(make: Any, capture: Capture):
    capture(*(event("bought", who) for who, times in (("ada", 1), ("bob", 2), ("eve", 3)) for _ in range(times)))

    def often(operator: str, times: int) -> set[str]:
        leaf = did("bought", value="performed_event_multiple", operator=operator, operator_value=times)
        return calculated(make(f"{operator} {times}", leaf))

    assert often("exact", 2) == {"bob"}
    assert often("gte", 2) == {"bob", "eve"}
    assert often("lte", 2) == {"ada", "bob"}
    assert often("exact", 0) == set()


def test_by_an_action(make: Any, api: Any, project: Project, capture: Capture):
    capture(event("bought", "ada", properties={"n": 1}), event("bought", "bob"), event("seen", "eve"))
    action = Action.objects.create(project=project, name="x", steps=[{"event": "bought"}, {"event": "other"}])
    leaf = did(action.pk, event_type="actions")

    assert calculated(make("x", leaf)) == {"ada", "bob"}
    filtered = {**leaf, "event_filters": [{"key": "n", "operator": "is_set"}]}
    made = make("y", filtered)
    assert calculated(made) == {"ada"}
    action.deleted = True
    action.save()
    calculation.calculate(made["id"])
    shown = api.get(f"{URL}{made['id']}/").json()
    assert shown["last_error_message"] == f"Action with id {action.pk} does not exist"
    assert (shown["errors_calculating"], shown["is_calculating"], shown["count"]) == (1, False, 1)
    assert members(made["id"]) == {"ada"}


def test_events_before_a_merge__count_for_the_survivor(make: Any, capture: Capture):
    capture(event("bought", "anon-1"), event("bought", "ada"))
    made = make("twice", did("bought", value="performed_event_multiple", operator="exact", operator_value=2))
    assert calculated(made) == set()
    capture(event("$identify", "ada", properties={"$anon_distinct_id": "anon-1"}))

    assert calculated(made) == {"ada", "anon-1"}


def test_nested__dynamic_by_criteria_static_by_members(make: Any, project: Project, persons: None):
    inner = make("inner", person("plan", "pro"))
    static = Cohort.objects.create(project=project, name="s", is_static=True, filters=criteria(person("n", 3)))
    bob = PersonDistinctId.objects.get(distinct_id="bob").person
    CohortMembership.objects.create(project=project, cohort_id=static.pk, person=bob)

    assert calculated(make("a", member_of(inner["id"]))) == {"ada"}
    assert calculated(make("b", member_of(inner["id"], negation=True))) == {"bob", "eve"}
    assert calculated(make("c", member_of(static.pk))) == {"bob"}
    assert calculated(make("d", member_of(inner["id"]), member_of(static.pk))) == set()


def test_nested__deleted_cohort__fails_and_keeps_the_persons(api: Any, make: Any, persons: None):
    inner = make("inner", person("plan", "pro"))
    outer = make("outer", member_of(inner["id"]))
    assert calculated(outer) == {"ada"}
    Cohort.objects.filter(pk=inner["id"]).update(deleted=True)
    calculation.calculate(outer["id"])
    calculation.calculate(outer["id"])
    shown = api.get(f"{URL}{outer['id']}/").json()

    assert shown["last_error_message"] == f"Cohort with id {inner['id']} does not exist"
    assert (shown["errors_calculating"], shown["version"], shown["count"]) == (2, 1, 1)
    assert members(outer["id"]) == {"ada"}


def test_recalculation__takes_in_and_leaves_out(make: Any, capture: Capture, persons: None):
    made = make("x", person("plan", "pro"))
    assert calculated(made) == {"ada"}
    before = set(CohortMembership.objects.values_list("pk", flat=True))
    capture(event("e", "eve", properties={"$set": {"plan": "pro"}}))
    assert calculated(made) == {"ada", "eve"}
    assert before < set(CohortMembership.objects.values_list("pk", flat=True))
    capture(event("e", "ada", properties={"$set": {"plan": "free"}}))
    assert calculated(made) == {"eve"}


def test_filter_that_is_not_computed__fails_by_name(api: Any, make: Any, persons: None):
    made = make("x", did("a", event_filters=[{"type": "hogql", "key": "1"}]))
    calculation.calculate(made["id"])

    message = api.get(f"{URL}{made['id']}/").json()["last_error_message"]
    assert message == "Property filters of type 'hogql' cannot be computed."


def test_statement_that_takes_too_long__fails_and_keeps_the_persons(make: Any, persons: None):
    made = make("x", person("plan", "pro"))
    assert calculated(made) == {"ada"}
    with patch("cohorts.calculation._Work.find_behaviors", side_effect=StoreTimeout("too long")):
        calculation.calculate(made["id"])
    cohort = Cohort.objects.get()

    assert cohort.last_error_message == "The calculation took too long."
    assert members(cohort.pk) == {"ada"}


def test_criteria_changed_meanwhile__keep_it_calculating(make: Any, persons: None):
    made = make("x", person("plan", "pro"))

    def change(work: Any) -> None:
        Cohort.objects.update(pending_version=2)

    with patch("cohorts.calculation._Work.find_behaviors", change):
        calculation.calculate(made["id"])
    cohort = Cohort.objects.get()

    assert (cohort.version, cohort.pending_version, cohort.is_calculating) == (1, 2, True)


def test_history_of_calculations(api: Any, make: Any, persons: None):
    made = make("x", person("plan", "pro"))
    calculated(made)
    with patch("cohorts.calculation._calculate", side_effect=StoreTimeout("too long")):
        calculation.calculate(made["id"])
    page = api.get(f"{URL}{made['id']}/calculation_history").json()

    assert page["count"] == 2
    assert [(row["version"], row["count"], row["error"]) for row in page["results"]] == [
        (1, None, "The calculation took too long."),
        (1, 1, None),
    ]


def test_unknown_or_deleted_cohort__is_left_alone(db: None):
    calculation.calculate(5)

    assert not Cohort.objects.exists()


def test_other_projects_persons__are_not_members(make: Any, project: Project, persons: None, outsider: Any):
    foreign = Project.objects.exclude(pk=project.pk).get()
    theirs = Cohort.objects.create(project=foreign, name="x", filters=criteria(), pending_version=1)
    calculation.calculate(theirs.pk)

    assert members(theirs.pk) == set()


def test_persons__json_and_csv(api: Any, make: Any, persons: None):
    made = make("x", person("plan", operator="is_set"))
    calculated(made)
    page = api.get(f"{URL}{made['id']}/persons", {"limit": 1}).json()
    response = api.get(f"{URL}{made['id']}/persons.csv")

    assert set(page) == {"results", "next", "previous"}
    assert [one["distinct_ids"] for one in page["results"]] == [["bob"]]
    assert [one["distinct_ids"] for one in api.get(page["next"]).json()["results"]] == [["ada"]]
    assert [one["name"] for one in api.get(f"{URL}{made['id']}/persons/", {"search": "ada"}).json()["results"]] == [
        "ada"
    ]
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    lines = b"".join(response.streaming_content).decode().splitlines()
    assert lines[0] == "person_id,distinct_id,email,name"
    assert [line.split(",")[1] for line in lines[1:]] == ["bob", "ada"]


def test_persons_csv__several_pages__names_each_person_once(api: Any, make: Any, project: Project, monkeypatch: Any):
    monkeypatch.setattr("cohorts.api.cohorts._CSV_ROWS", 2)
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    for day in (0, 1, 1, 1, 2):
        Person.objects.create(project=project, uuid=uuid4(), created_at=monday + timedelta(days=day))
    made = make("x")
    calculated(made)
    response = api.get(f"{URL}{made['id']}/persons.csv")
    lines = b"".join(response.streaming_content).decode().splitlines()

    newest_first = Person.objects.order_by("-created_at", "-pk").values_list("uuid", flat=True)
    assert [line.split(",")[0] for line in lines[1:]] == [str(uuid) for uuid in newest_first]


def test_persons_csv__a_later_page_takes_too_long__is_refused_as_a_whole(
    api: Any, make: Any, persons: None, monkeypatch: Any
):
    """A list that broke off would look like a whole one."""
    monkeypatch.setattr("cohorts.api.cohorts._CSV_ROWS", 1)
    search = person_reading.search

    def slow_on_the_second(*, wanted: PersonSearch, **options: Any) -> Any:
        if wanted.behind is not None:
            raise StoreTimeout("too slow")
        return search(wanted=wanted, **options)

    monkeypatch.setattr(person_reading, "search", slow_on_the_second)
    made = make("x")
    calculated(made)
    response = api.get(f"{URL}{made['id']}/persons.csv")

    assert (response.status_code, response.json()["code"]) == (504, "query_timeout")
    assert "Content-Disposition" not in response


def test_persons_csv__says_its_length(api: Any, make: Any, persons: None, monkeypatch: Any):
    """Also when it is longer than what is kept in memory."""
    monkeypatch.setattr("cohorts.api.cohorts._CSV_BYTES_IN_MEMORY", 50)
    made = make("x")
    calculated(made)
    response = api.get(f"{URL}{made['id']}/persons.csv")
    content = b"".join(response.streaming_content)

    assert len(content) > 150
    assert response["Content-Length"] == str(len(content))
    assert response["Content-Disposition"] == f'attachment; filename="cohort-{made["id"]}.csv"'


def test_exposure_cohort__has_the_exposed_persons(api: Any, project: Project, member: User, capture: Capture):
    flag = flag_services.create_flag(project=project, user=member, key="f")
    start = datetime.now(UTC) - timedelta(days=5)
    experiment = Experiment.objects.create(
        project=project, name="e", feature_flag=flag, start_date=start, status="running"
    )

    def call(who: str, key: str, when: str) -> dict[str, Any]:
        called = {"$feature_flag": key, "$feature_flag_response": "test"}
        return event("$feature_flag_called", who, timestamp=when, properties=called)

    capture(
        call("ada", "f", ago(days=2)),
        call("bob", "f", ago(days=10)),
        call("eve", "other", ago(days=2)),
        call("anon-1", "f", ago(days=1)),
        event("$identify", "ada", properties={"$anon_distinct_id": "anon-1"}),
    )
    cohort = create_exposure_cohort(experiment, user=member)
    calculation.calculate(cohort.pk)
    shown = api.get(f"{URL}{cohort.pk}/").json()

    assert members(cohort.pk) == {"ada", "anon-1"}
    assert (shown["count"], shown["is_calculating"], shown["experiment_set"]) == (1, False, [experiment.pk])
