"""Reading stored events through the store."""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from events import filters, ingestion
from events.identity import natural_id
from events.incoming import Clock, read_event
from events.models import CohortMembership, Group
from events.store import event_store
from events.store.base import StoreTimeout
from events.store.plans import (
    CohortCondition,
    Count,
    ExposurePlan,
    MultipleVariants,
    PersonsPlan,
    PropertyCondition,
    RowsPlan,
    Selection,
    Step,
    Subject,
)
from projects.models import Project
from tests.capturing import Capture, event, person_of

SEMANTICS = json.loads((Path(__file__).parent.parent / "cases" / "semantics.json").read_text())["cases"]


def named(name: str, *conditions: Any) -> Selection:
    return Selection(steps=(Step(event=name),), conditions=conditions)


def about_event(key: str, value: Any, operator: str = "exact") -> PropertyCondition:
    return PropertyCondition(subject=Subject.EVENT, key=key, operator=operator, value=value)


def names(project: Project, **plan: Any) -> list[str]:
    return [row.event for row in event_store().rows(RowsPlan(project_id=project.pk, **plan))]


# --- rows --------------------------------------------------------------------------------------------------------


def test_rows__newest_first__equal_times_by_uuid(project: Project, capture: Capture):
    capture(
        event("a", timestamp="2026-01-01T00:00:00Z"),
        event("b", timestamp="2026-01-03T00:00:00Z", uuid="00000000-0000-7000-8000-000000000001"),
        event("c", timestamp="2026-01-03T00:00:00Z", uuid="00000000-0000-7000-8000-000000000002"),
    )

    assert names(project) == ["c", "b", "a"]
    assert names(project, newest_first=False) == ["a", "b", "c"]
    assert names(project, limit=2) == ["c", "b"]


def test_rows__behind__goes_on_after_that_row(project: Project, capture: Capture):
    capture(*(event(str(number), timestamp="2026-01-03T00:00:00Z") for number in range(5)))
    found = event_store().rows(RowsPlan(project_id=project.pk, limit=2))
    more = event_store().rows(RowsPlan(project_id=project.pk, behind=(found[-1].timestamp, found[-1].uuid)))

    assert len({row.event for row in [*found, *more]}) == 5
    assert len(more) == 3


def test_rows__before_and_after__leave_out_the_bounds(project: Project, capture: Capture):
    capture(*(event(str(day), timestamp=f"2026-01-0{day}T00:00:00Z") for day in (1, 2, 3)))
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)

    assert names(project, after=first, before=last) == ["2"]


def test_rows__of_a_person__include_those_stored_before_a_merge(project: Project, capture: Capture):
    capture(event("before", "anon-1"), event("other", "bob"))
    capture(event("$identify", "ada", properties={"$anon_distinct_id": "anon-1"}))
    ada = natural_id(project.pk, "ada")
    found = event_store().rows(RowsPlan(project_id=project.pk, person_id=ada))

    assert {(row.event, row.person_id) for row in found} == {("before", ada), ("$identify", ada)}
    assert names(project, distinct_id="anon-1") == ["before"]


def test_rows__of_another_project__are_not_seen(project: Project, capture: Capture, outsider: Any):
    capture(event())
    foreign = Project.objects.exclude(pk=project.pk).get()

    assert names(foreign) == []


def test_rows__conditions_on_person_group_and_cohort(project: Project, capture: Capture):
    capture(
        event(
            "$groupidentify", "x", properties={"$group_type": "company", "$group_key": "acme", "$group_set": {"n": 1}}
        ),
        event("by ada", "ada", properties={"$set": {"plan": "pro"}, "$groups": {"company": "acme"}}),
        event("by bob", "bob", properties={"$groups": {"company": "other"}}),
        event("by nobody", "eve", properties={"$process_person_profile": False}),
    )
    CohortMembership.objects.create(project=project, cohort_id=5, person=person_of(project, "bob"))
    Group.objects.get(group_key="acme")
    person = PropertyCondition(subject=Subject.PERSON, key="plan", operator="exact", value="pro")
    without = PropertyCondition(subject=Subject.PERSON, key="plan", operator="is_not_set", value=None)
    group = PropertyCondition(subject=Subject.GROUP, key="n", operator="gte", value=1, group_type_index=0)

    def of(*conditions: Any) -> set[str]:
        return set(names(project, selection=Selection(steps=(Step(),), conditions=conditions)))

    assert of(person) == {"by ada"}
    assert of(without) == {"$groupidentify", "by bob", "by nobody"}
    assert of(group) == {"by ada"}
    assert of(group, without) == set()
    assert of(CohortCondition(cohort_id=5, is_member=True)) == {"by bob"}
    assert of(CohortCondition(cohort_id=5, is_member=False)) == {"$groupidentify", "by ada", "by nobody"}


def test_rows__steps__any_of_them_with_all_of_its_parts(project: Project, capture: Capture):
    capture(
        event("view", properties={"$current_url": "https://shop.example/Welcome?x=50%_off"}),
        event("view", properties={"$current_url": 5}),
        event("view"),
        event("sign up", properties={"plan": "pro"}),
        event("sign up", properties={"plan": "free"}),
    )

    def count(*steps: Step) -> int:
        return len(names(project, selection=Selection(steps=steps)))

    assert count() == 0
    assert count(Step()) == 5
    assert count(Step(event="")) == 0
    assert count(Step(event="view", url="/Welcome")) == 1
    assert count(Step(event="view", url="/welcome")) == 0
    assert count(Step(url="50%_off")) == 1
    assert count(Step(url="50%.off")) == 0
    assert count(Step(event="sign up", conditions=(about_event("plan", ("pro", "team")),)), Step(event="view")) == 4
    assert count(Step(event="sign up"), Step(event="sign up", conditions=(about_event("plan", "pro"),))) == 2


# --- persons -----------------------------------------------------------------------------------------------------


def test_persons__with_matching_events__each_once_after_merges(project: Project, capture: Capture):
    capture(event("bought", "anon-1"), event("bought", "ada"), event("seen", "bob"))
    capture(event("$identify", "ada", properties={"$anon_distinct_id": "anon-1"}))

    def found(**plan: Any) -> set[UUID]:
        persons = list(event_store().persons(PersonsPlan(project_id=project.pk, selection=named("bought"), **plan)))
        assert len(persons) == len(set(persons))
        return set(persons)

    ada = natural_id(project.pk, "ada")
    assert found() == {ada}
    assert found(count=Count(operator="exact", times=2)) == {ada}
    assert found(count=Count(operator="gte", times=3)) == set()
    assert found(count=Count(operator="lte", times=2)) == {ada}


def test_persons__window__includes_both_ends(project: Project, capture: Capture):
    capture(*(event("bought", f"user-{day}", timestamp=f"2026-01-0{day}T00:00:00Z") for day in (1, 2, 3, 4)))
    plan = PersonsPlan(
        project_id=project.pk,
        selection=named("bought"),
        start=datetime(2026, 1, 2, tzinfo=UTC),
        end=datetime(2026, 1, 3, tzinfo=UTC),
    )

    assert set(event_store().persons(plan)) == {natural_id(project.pk, "user-2"), natural_id(project.pk, "user-3")}


# --- exposures ---------------------------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def plan_of(project: Project, case: dict[str, Any]) -> ExposurePlan:
    experiment = case.get("experiment", {})
    criteria = experiment.get("exposure_criteria", {})
    keys = [variant["key"] for variant in experiment.get("variants", [{"key": "control"}, {"key": "test"}])]
    activation = criteria.get("activation_config")
    return ExposurePlan(
        project_id=project.pk,
        flag_key="checkout-copy",
        variants=tuple(key for key in keys if key not in experiment.get("excluded_variants", [])),
        start=at(experiment.get("start_date", "2026-01-01T00:00:00Z")),
        end=at(experiment.get("end_date", "2026-01-31T00:00:00Z")),
        zone=case.get("project", {}).get("timezone", "UTC"),
        handling=MultipleVariants(criteria.get("multiple_variant_handling", "exclude")),
        activation=None if activation is None else named(activation["event"]),
    )


def sent_of(case: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for distinct_id, time, response, *more in case["exposures"]:
        properties = {"$feature_flag": "checkout-copy", "$feature_flag_response": response, **(more[0] if more else {})}
        yield event("$feature_flag_called", distinct_id, timestamp=time, properties=properties)
    for distinct_id, time, name, properties, *count in case.get("events", []):
        for _ in range(count[0] if count else 1):
            yield event(name, distinct_id, timestamp=time, properties=properties)


@pytest.mark.parametrize("case", [case for case in SEMANTICS if "total_exposures" in case["expected"]],
                         ids=lambda case: case["id"])  # fmt: skip
def test_exposures__documented_cases(project: Project, capture: Capture, case: dict[str, Any]):
    capture(*sent_of(case))
    for source, target in case.get("merges", []):
        capture(event("$merge_dangerously", target, properties={"alias": source}))
    plan = plan_of(project, case)
    found = event_store().exposures(plan)

    arms = {arm for arm, _ in found.by_day} | set(plan.variants)
    assert {arm: found.total(arm) for arm in arms} == case["expected"]["total_exposures"]
    for series in case["expected"].get("timeseries", []):
        new = [found.by_day.get((series["variant"], date.fromisoformat(day)), 0) for day in series["days"]]
        assert list(accumulate(new)) == series["exposure_counts"]


def exposed(project: Project, **changes: Any) -> dict[tuple[str, str], int]:
    plan = {
        "project_id": project.pk,
        "flag_key": "f",
        "variants": ("control", "test"),
        "start": at("2026-01-01T00:00:00Z"),
        "end": at("2026-01-31T00:00:00Z"),
        "zone": "UTC",
        "handling": MultipleVariants.EXCLUDE,
        **changes,
    }
    return {
        (arm, str(day)): units for (arm, day), units in event_store().exposures(ExposurePlan(**plan)).by_day.items()
    }


def call(distinct_id: str, response: Any, time: str, **properties: Any) -> dict[str, Any]:
    called = {"$feature_flag": "f", "$feature_flag_response": response, **properties}
    return event("$feature_flag_called", distinct_id, timestamp=time, properties=called)


def test_exposures__days__are_those_of_the_zone(project: Project, capture: Capture):
    capture(call("a", "test", "2026-01-02T20:00:00Z"), call("b", "test", "2026-01-02T17:00:00Z"))

    assert exposed(project, zone="Asia/Kathmandu") == {("test", "2026-01-03"): 1, ("test", "2026-01-02"): 1}


def test_exposures__window__includes_both_ends(project: Project, capture: Capture):
    capture(
        call("early", "test", "2025-12-31T23:59:59.999999Z"),
        call("first", "test", "2026-01-01T00:00:00Z"),
        call("last", "test", "2026-01-31T00:00:00Z"),
        call("late", "test", "2026-01-31T00:00:00.000001Z"),
    )

    assert exposed(project) == {("test", "2026-01-01"): 1, ("test", "2026-01-31"): 1}


def test_exposures__by_group__rows_without_a_key_are_dropped(project: Project, capture: Capture):
    capture(
        call("a", "test", "2026-01-02T00:00:00Z", **{"$group_1": "acme"}),
        call("b", "test", "2026-01-03T00:00:00Z", **{"$group_1": "acme"}),
        call("c", "control", "2026-01-03T00:00:00Z", **{"$group_1": ""}),
        call("d", "control", "2026-01-03T00:00:00Z"),
    )

    assert exposed(project, unit_group=1) == {("test", "2026-01-02"): 1}


def test_exposures__own_event__variant_is_its_flag_property(project: Project, capture: Capture):
    at_ = {"timestamp": "2026-01-02T00:00:00Z"}
    capture(
        event("paywall", "a", properties={"$feature/f": "test", "plan": "pro"}, **at_),
        event("paywall", "b", properties={"$feature/f": "test", "plan": "free"}, **at_),
        event("paywall", "c", properties={"$feature/f": "unknown", "plan": "pro"}, **at_),
        call("d", "test", "2026-01-02T00:00:00Z"),
    )

    assert exposed(project, selection=named("paywall", about_event("plan", "pro"))) == {("test", "2026-01-02"): 1}


def test_exposures__test_accounts__are_filtered_from_exposure_and_activation(project: Project, capture: Capture):
    capture(
        call("a", "test", "2026-01-02T00:00:00Z", internal=False),
        call("b", "test", "2026-01-02T00:00:00Z", internal=True),
        event("activated", "a", timestamp="2026-01-05T00:00:00Z", properties={"internal": True}),
        event("activated", "a", timestamp="2026-01-06T00:00:00Z", properties={"internal": False}),
    )
    ours = (about_event("internal", True, "is_not"),)

    assert exposed(project, test_account_conditions=ours) == {("test", "2026-01-02"): 1}
    assert exposed(project, test_account_conditions=ours, activation=named("activated")) == {("test", "2026-01-06"): 1}


# --- the rest ----------------------------------------------------------------------------------------------------


def test_last_flag_calls__the_newest_of_each(project: Project, capture: Capture):
    capture(call("a", "test", "2026-01-02T00:00:00Z"), call("b", "test", "2026-01-05T00:00:00Z"))

    found = event_store().last_flag_calls(project_id=project.pk, flag_keys=["f", "never"])
    assert found == {"f": at("2026-01-05T00:00:00Z")}


def test_any_property_with_prefix(project: Project, capture: Capture):
    capture(
        event("bought", properties={"$feature/f": "test"}, timestamp="2026-01-02T00:00:00Z"),
        event("seen", properties={"x$feature/": 1}, timestamp="2026-01-02T00:00:00Z"),
    )

    def any_(name: str, since: str) -> bool:
        return event_store().any_property_with_prefix(
            project_id=project.pk, selection=named(name), since=at(since), prefix="$feature/"
        )

    assert any_("bought", "2026-01-01T00:00:00Z")
    assert not any_("bought", "2026-01-03T00:00:00Z")
    assert not any_("seen", "2026-01-01T00:00:00Z")


def test_delete_persons__spares_events_stored_later_and_others(project: Project, capture: Capture):
    capture(event("mine"), event("theirs", "bob"))
    ada = natural_id(project.pk, "ada")
    now = datetime.now(UTC)

    def delete(before: datetime) -> int:
        return event_store().delete_persons(project_id=project.pk, person_ids=[ada], before=before)

    assert delete(now - timedelta(days=1)) == 0
    assert delete(now + timedelta(days=1)) == 1
    assert names(project) == ["theirs"]


def test_snapshot__statement_beyond_its_time__is_cancelled(db: None):
    with (
        pytest.raises(StoreTimeout, match="longer than it may"),
        event_store().snapshot(timeout_seconds=0.05),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(5)")


@pytest.mark.django_db(transaction=True)
def test_snapshot__shows_nothing_of_what_is_stored_meanwhile(project: Project, capture: Capture):
    clock = Clock(now=datetime.now(UTC))
    with event_store().snapshot(timeout_seconds=5):
        assert names(project) == []
        _in_another_connection(lambda: ingestion.store(project=project, events=[read_event(event(), clock=clock)]))
        assert names(project) == []
    assert names(project) == ["bought"]


def _in_another_connection(act: Any) -> None:
    from threading import Thread

    def run() -> None:
        act()
        connection.close()

    thread = Thread(target=run)
    thread.start()
    thread.join()


# --- filters of documents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_", "text"),
    [
        (
            {"key": "a", "type": "session", "operator": "exact", "value": 1},
            "Property filters of type 'session' cannot be computed.",
        ),
        ({"key": "a", "type": "hogql"}, "Property filters of type 'hogql' cannot be computed."),
        ({"key": "1", "type": "flag", "value": True}, "Property filters of type 'flag' cannot be computed."),
        (
            {"key": "a", "operator": "is_cleaned_path_exact", "value": "x"},
            "Operator 'is_cleaned_path_exact' cannot be computed.",
        ),
        ({"type": "cohort", "value": 5, "operator": "is_not"}, "Operator 'is_not' cannot be computed."),
        ({"type": "cohort", "value": 5}, "Cohort with id 5 does not exist"),
    ],
)  # fmt: skip
def test_filters__not_computed__say_so(project: Project, filter_: dict[str, Any], text: str):
    with pytest.raises(filters.NotComputed) as refusal:
        filters.stored_conditions([filter_], project=project)

    assert (refusal.value.detail, refusal.value.code) == (text, "unsupported-property-filter")


def test_filters__every_form__becomes_a_condition(project: Project):
    sent: list[dict[str, Any]] = [
        {},
        {"key": "a", "value": [1, "b"]},
        {"key": "a", "type": "feature", "operator": "is_set"},
        {"key": "a", "type": "person", "operator": "gt", "value": 5},
        {"key": "a", "type": "group", "operator": "exact", "value": "x", "group_type_index": 2},
    ]

    assert filters.stored_conditions(sent, project=project) == (
        about_event("a", (1, "b")),
        about_event("a", None, "is_set"),
        PropertyCondition(subject=Subject.PERSON, key="a", operator="gt", value=5),
        PropertyCondition(subject=Subject.GROUP, key="a", operator="exact", value="x", group_type_index=2),
    )
    assert filters.stored_conditions(None, project=project) == filters.stored_conditions({}, project=project) == ()
