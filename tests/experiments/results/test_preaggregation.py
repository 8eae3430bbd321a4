"""Exposures kept in advance: which days, of which experiments, and what becomes of them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from events import person_deletion
from events.models import (
    AggregatedDay,
    ChangedDay,
    ExposureAggregation,
    ExposureWindow,
    Person,
    PreaggregatedExposure,
    Rollup,
)
from events.store import changed_days, event_store
from events.store.measures import AggregatePlan, Funnel, FunnelOrder
from events.store.plans import PropertyCondition, Selection, Step, Subject
from experiments.models import Experiment
from experiments.results import preaggregation, rollups
from projects.models import Project
from tests.capturing import Capture, event
from tests.experiments.conftest import STARTED, Experiments
from tests.experiments.results.kept_exposures import (
    END,
    EXPERIMENT,
    START,
    Json,
    aggregate,
    call,
    is_precomputed,
    plan_of,
    same_both_ways,
    snapshot,
)

# --- which days --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_aggregate__makes_windows_of_at_most_seven_ended_days(project: Project) -> None:
    assert aggregate(plan_of(project)) == 4
    days = list(ExposureWindow.objects.order_by("first_day").values_list("first_day", "last_day"))
    assert days == [
        (date(2026, 1, 1), date(2026, 1, 4)),
        (date(2026, 1, 5), date(2026, 1, 11)),
        (date(2026, 1, 12), date(2026, 1, 18)),
        (date(2026, 1, 19), date(2026, 1, 19)),
    ]
    assert AggregatedDay.objects.count() == 19


@pytest.mark.django_db
def test_aggregate__next_day__makes_the_last_window_anew_only(project: Project) -> None:
    plan = plan_of(project)
    aggregate(plan)
    before = set(ExposureWindow.objects.values_list("pk", flat=True))
    assert aggregate(replace(plan, end=END + timedelta(days=1))) == 1
    after = set(ExposureWindow.objects.values_list("pk", flat=True))
    assert len(after) == len(before)
    assert len(after - before) == 1


@pytest.mark.django_db
def test_aggregate__nothing_new__does_nothing(project: Project) -> None:
    aggregate(plan_of(project))
    assert aggregate(plan_of(project)) == 0


@pytest.mark.django_db
def test_late_event__makes_its_window_anew(
    project: Project,
    capture: Capture,
) -> None:
    plan = plan_of(project)
    aggregate(plan)
    capture(call("ada", "test", START + timedelta(days=1)))
    assert list(ChangedDay.objects.values_list("day", flat=True)) == [date(2026, 1, 2)]
    rows, *_ = same_both_ways(plan)
    assert len(rows) == 1
    assert not PreaggregatedExposure.objects.exists()
    assert aggregate(plan) == 1
    assert not ChangedDay.objects.exists()
    kept = PreaggregatedExposure.objects.get()
    assert (kept.variant, kept.first_time, kept.last_time) == (
        "test",
        START + timedelta(days=1),
        START + timedelta(days=1),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("days", [-3, 19])
def test_event_of_a_day_not_aggregated__is_not_noted(
    project: Project,
    capture: Capture,
    days: int,
) -> None:
    aggregate(plan_of(project))
    capture(call("ada", "test", START + timedelta(days=days)))
    assert not ChangedDay.objects.exists()


@pytest.mark.django_db
def test_row__one_a_person_and_variant__tells_of_first_and_last(
    project: Project,
    capture: Capture,
) -> None:
    times = [START + timedelta(days=1, hours=hours) for hours in (5, 1, 3)]
    uuids = [f"00000000-0000-7000-8000-00000000000{number}" for number in range(3)]
    capture(*({**call("ada", "test", time), "uuid": uuid} for time, uuid in zip(times, uuids, strict=True)))
    aggregate(plan_of(project))
    kept = PreaggregatedExposure.objects.get()
    assert (kept.first_time, kept.last_time, kept.first_uuid) == (times[1], times[0], UUID(uuids[1]))


# --- what is not kept, or not any more ---------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"activation": Selection(steps=(Step(event="activated"),))},
        {"test_account_conditions": (
            PropertyCondition(subject=Subject.GROUP, key="k", operator="exact", value=1, group_type_index=0),)},
        {"test_account_conditions": (
            PropertyCondition(subject=Subject.EVENT, key="k", operator="is_date_after", value="-7d"),)},
        {"unit_group": 0, "test_account_conditions": (
            PropertyCondition(subject=Subject.PERSON, key="k", operator="exact", value=1),)},
    ],
    ids=["activation", "group", "relative date", "person of a group"],
)  # fmt: skip
def test_plan__depends_on_more_than_its_rows__is_read_directly(project: Project, changes: Json) -> None:
    plan = plan_of(project, **changes)
    assert aggregate(plan) == 0
    assert not is_precomputed(plan)


@pytest.mark.django_db
def test_aggregate__other_criteria__forget_the_rows_of_before(
    project: Project,
    capture: Capture,
) -> None:
    capture(call("ada", "test", START + timedelta(days=1)))
    aggregate(plan_of(project))
    other = plan_of(project, flag_key="g")
    assert not is_precomputed(other)
    aggregate(other)
    assert ExposureAggregation.objects.count() == 1
    assert not PreaggregatedExposure.objects.exists()
    aggregate()
    assert not ExposureAggregation.objects.exists()
    assert not ExposureWindow.objects.exists()
    assert not AggregatedDay.objects.exists()


@pytest.mark.django_db
def test_deleted_person__leaves_no_row(
    project: Project,
    capture: Capture,
) -> None:
    capture(call("ada", "test", START + timedelta(days=1)), call("bob", "test", START + timedelta(days=1)))
    plan = plan_of(project)
    aggregate(plan)
    ada = Person.objects.get(distinct_id_rows__distinct_id="ada")
    person_deletion.delete_events(
        project_id=project.pk, person_ids=[ada.uuid], old_person_ids=[], before=datetime.now(UTC)
    )
    assert not PreaggregatedExposure.objects.filter(person_id=ada.uuid).exists()
    assert PreaggregatedExposure.objects.count() == 1
    rows, *_ = same_both_ways(plan)
    assert len(rows) == 1


@pytest.mark.django_db
def test_note__two_queries_a_batch(project: Project, django_assert_num_queries: Any) -> None:
    with transaction.atomic(), django_assert_num_queries(2):
        changed_days.note(project_id=project.pk, days={date(2026, 1, day) for day in range(1, 29)})


# --- experiments -------------------------------------------------------------------------------------------------

PURCHASES: Json = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "uuid": "purchases",
    "source": {"kind": "EventsNode", "event": "bought"},
}


def precomputed(experiments: Experiments, experiment: Json) -> tuple[bool, Any]:
    url = experiments.url(f"{experiment['id']}/results")
    answer = experiments.client.get(url, {"refresh": "true"})
    assert answer.status_code == 200, answer.json()
    result = answer.json()["metrics"][0]["result"]
    return result.pop("is_precomputed"), result


@pytest.mark.django_db
@pytest.mark.parametrize("enabled", [True, False])
def test_results__say_which_path_answered(
    experiments: Experiments,
    capture: Capture,
    enabled: bool,
) -> None:
    experiment = experiments.running(metrics=[PURCHASES], exposure_preaggregation_enabled=enabled)
    key = experiment["feature_flag_key"]
    for number in range(60):
        sent = {"$feature_flag": key, "$feature_flag_response": "test" if number % 2 else "control"}
        capture(
            event("$feature_flag_called", f"u{number}", timestamp="2026-01-03T00:00:00Z", properties=sent),
            event("bought", f"u{number}", timestamp="2026-01-04T00:00:00Z"),
        )
    before, direct = precomputed(experiments, experiment)
    assert not before
    assert bool(preaggregation.keep_up_to_date()) == enabled
    after, kept = precomputed(experiments, experiment)
    assert after == enabled
    assert kept == direct
    assert bool(rollups.keep_up_to_date()) == enabled
    assert Rollup.objects.exists() == enabled
    assert precomputed(experiments, experiment) == (enabled, direct)
    stored = Experiment.objects.get(pk=experiment["id"])
    assert preaggregation.kept_for(stored, mode="direct") is None
    assert preaggregation.kept_for(stored, mode="precomputed") == (stored.pk if enabled else None)


def test_keep_up_to_date__draft_and_unusable__are_left_alone(experiments: Experiments) -> None:
    experiments.made(exposure_preaggregation_enabled=True)
    broken = experiments.made(
        feature_flag_key="other", exposure_preaggregation_enabled=True, start_date=STARTED,
    )  # fmt: skip
    Experiment.objects.filter(pk=broken["id"]).update(excluded_variants=["control", "test"])
    assert preaggregation.keep_up_to_date() == 0
    assert not ExposureAggregation.objects.exists()


# --- the order of a funnel --------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("order", list(FunnelOrder))
def test_funnel__strict_and_unordered__see_every_exposure(
    project: Project,
    capture: Capture,
    order: FunnelOrder,
) -> None:
    capture(
        call("ada", "test", START + timedelta(hours=1)),
        call("ada", "test", START + timedelta(days=3)),
        event("a", "ada", timestamp=(START + timedelta(hours=2)).isoformat()),
        event("b", "ada", timestamp=(START + timedelta(days=3, hours=2)).isoformat()),
    )
    plan = plan_of(project)
    aggregate(plan)
    steps = tuple(Selection(steps=(Step(event=name),)) for name in "ab")
    measured = AggregatePlan(exposure=plan, measure=Funnel(steps=steps, order=order))
    with snapshot():
        units = event_store().expose(plan, preaggregated_for=EXPERIMENT)
        assert units.is_precomputed
        found = units.aggregate(measured)[(), "test"].step_counts
    # Between a and b the flag was called again.
    assert found == ([1, 0] if order is FunnelOrder.STRICT else [1, 1])
