"""Rollups: the same sums as without them, whatever happens in between."""

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from threading import Event as Signal
from threading import Thread
from typing import Any

import pytest
from django.db import connection

from events import ingestion, person_deletion
from events.incoming import Clock, read_event
from events.models import Person, Rollup, RollupMeasure, RollupUnit, RollupValue
from events.store import event_store
from events.store.jobs import alone
from events.store.measures import (
    AggregatePlan,
    Breakdown,
    Clamp,
    Funnel,
    FunnelOrder,
    Math,
    Mean,
    Measure,
    Ratio,
    Retention,
    RetentionUnit,
    Value,
)
from events.store.plans import (
    CohortCondition,
    ExposurePlan,
    MultipleVariants,
    PropertyCondition,
    Selection,
    Step,
    Subject,
)
from events.store.rollups import changes
from events.store.rollups.reading import RolledUpUnits
from projects.models import Project, User
from projects.services import delete_project
from tests.capturing import Capture, event
from tests.experiments.results.kept_exposures import EXPERIMENT, START, Json, call, plan_of, snapshot
from tests.experiments.results.rolled_up import an_hour_passes, roll_up, roll_up_in_peace
from tests.together import meanwhile

PERSONS = 12
DAY = 86400


def selection(name: str, *conditions: PropertyCondition) -> Selection:
    return Selection(steps=(Step(event=name),), conditions=conditions)


STAFF = PropertyCondition(subject=Subject.PERSON, key="staff", operator="is_not", value=True)
SPENT = Value(selection=selection("bought"), math=Math.SUM, property="amount")
SEEN = Value(selection=selection("seen"), math=Math.TOTAL)
STEPS = (selection("seen"), selection("bought"))
MEASURES: Sequence[tuple[Measure, Json]] = [
    (Mean(value=SEEN), {}),
    (Mean(value=replace(SEEN, selection=selection("seen", STAFF))), {"window_seconds": 3 * DAY}),
    (Mean(value=SPENT), {"lookback_seconds": 7 * DAY}),
    (Mean(value=replace(SPENT, math=Math.MAX), clamp=Clamp(lower=0.1, upper=0.8, ignore_zeros=True)), {}),
    (Mean(value=SPENT, threshold=30), {}),
    (Mean(value=replace(SPENT, math=Math.UNIQUE_SESSION)), {}),
    (Ratio(numerator=SPENT, denominator=SEEN), {"lookback_seconds": 7 * DAY}),
    (Ratio(numerator=SPENT, denominator=SEEN, denominator_clamp=Clamp(upper=0.7)), {}),
    *((Funnel(steps=STEPS, order=order), {"window_seconds": 2 * DAY}) for order in FunnelOrder),
    (Funnel(steps=STEPS), {"lookback_seconds": 7 * DAY}),
    (Retention(start=selection("seen"), completion=selection("bought"), first=1, last=7, unit=RetentionUnit.DAY), {}),
]


def measured(exposure: ExposurePlan) -> list[AggregatePlan]:
    return [AggregatePlan(exposure=exposure, measure=measure, **more) for measure, more in MEASURES]


def some_events(random_: random.Random, count: int) -> list[Json]:
    made = []
    for _ in range(count):
        # Whole half hours, so that rows of one instant are not rare; also before the start and after the end.
        time = START - timedelta(days=1) + timedelta(minutes=30 * random_.randrange(48 * 22))
        who = f"user-{random_.randrange(PERSONS)}"
        chance = random_.random()
        if chance < 0.4:
            made.append(call(who, random_.choice(["control", "test", "test", "third"]), time))
        else:
            properties = {"amount": round(random_.uniform(-5, 99), 2), "$session_id": f"s{random_.randrange(4)}"}
            name = "bought" if chance < 0.7 else "seen"
            made.append(event(name, who, timestamp=time.isoformat(), properties=properties))
    return made


def shown(units: Any, plans: Sequence[AggregatePlan]) -> list[Any]:
    units.expect(plans)
    sums = [{arm: asdict(found) for (_, arm), found in units.aggregate(plan).items()} for plan in plans]
    return [{f"{arm}:{day}": number for (arm, day), number in units.by_day().by_day.items()}, *map(flat, sums)]


def flat(sums: dict[str, Json]) -> Json:
    return {
        f"{arm} {name} {place}": number
        for arm, found in sums.items()
        for name, held in found.items()
        for place, number in enumerate(held if isinstance(held, list) else [held])
    }


def same_both_ways(exposure: ExposurePlan) -> bool:
    """Whether a rollup was used; the sums are the same with and without it."""
    plans = measured(exposure)
    with snapshot():
        direct = shown(event_store().expose(exposure), plans)
        units = event_store().expose(exposure, preaggregated_for=EXPERIMENT)
        for number, (found, expected) in enumerate(zip(shown(units, plans), direct, strict=True)):
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-9), f"{number} of {MEASURES}"
        return isinstance(units, RolledUpUnits)


def something_happens(
    random_: random.Random,
    project: Project,
    owner: User,
    capture: Capture,
) -> None:
    chance = random_.random()
    if chance < 0.5:
        capture(*some_events(random_, 5))
    elif chance < 0.7:
        alias, into = (f"user-{number}" for number in random_.sample(range(PERSONS), 2))
        capture(event("$merge_dangerously", into, properties={"alias": alias}))
    elif chance < 0.85:
        who = f"user-{random_.randrange(PERSONS)}"
        capture(event("told", who, properties={"$set": {"staff": random_.random() < 0.5}}))
    else:
        person = Person.objects.filter(project=project).order_by("?").first()
        if person is None:
            return
        if random_.random() < 0.5:
            person_deletion.delete_events(
                project_id=project.pk, person_ids=[person.uuid], old_person_ids=[], before=datetime.now(UTC)
            )
        else:
            person_deletion.delete_person(project=project, person=person, user=owner, delete_events=False)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.django_db
def test_sums__whatever_happens__equal_those_of_the_direct_path(
    project: Project,
    owner: User,
    capture: Capture,
    seed: int,
) -> None:
    random_ = random.Random(seed)
    exposure = plan_of(
        project,
        end=START + timedelta(days=5),
        handling=list(MultipleVariants)[seed % 2],
        zone="Asia/Kathmandu",
        test_account_conditions=(STAFF,) if seed % 3 else (),
    )
    capture(*some_events(random_, 80))
    used = 0
    for _ in range(12):
        an_hour_passes()
        if random_.random() < 0.5:
            assert roll_up(*measured(exposure)) == 1
            an_hour_passes()
        something_happens(random_, project, owner, capture)
        # Time passes: what was in the future is in the window now.
        exposure = replace(exposure, end=exposure.end + timedelta(hours=random_.randrange(36)))
        used += same_both_ways(exposure)
        same_both_ways(replace(exposure, variants=("test", "third")))
        same_both_ways(replace(exposure, end=exposure.end - timedelta(days=3)))
    assert used


@pytest.mark.django_db(transaction=True)
def test_sums__while_events_arrive_and_the_job_runs__equal_those_of_the_direct_path(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise everything of the test counts as just stored.
    monkeypatch.setattr(changes, "_SETTLED", changes._SETTLED.replace("'1 minute'", "'50 milliseconds'"))
    exposure = plan_of(project)

    def ingest(random_: random.Random) -> None:
        clock = Clock(now=datetime.now(UTC))
        sent = some_events(random_, 3)
        if random_.random() < 0.1:
            alias, into = (f"user-{number}" for number in random_.sample(range(PERSONS), 2))
            sent.append(event("$merge_dangerously", into, timestamp=START.isoformat(), properties={"alias": alias}))
        ingestion.store(project=project, events=[read_event(one, clock=clock) for one in sent])

    used = 0
    deadline = datetime.now(UTC) + timedelta(seconds=6)
    with meanwhile(ingest, ingest, lambda _: roll_up(*measured(exposure))):
        while datetime.now(UTC) < deadline:
            used += same_both_ways(exposure)
    assert used
    assert roll_up(*measured(exposure)) == 1
    assert same_both_ways(exposure)
    assert RollupValue.objects.count() > RollupUnit.objects.count() > 0


# --- single reasons ----------------------------------------------------------------------------------------------


def some_traffic(capture: Capture, *, persons: int = 6) -> None:
    for number in range(persons):
        who, hour = f"user-{number}", timedelta(hours=1)
        capture(
            call(who, "test" if number % 2 else "control", START + hour),
            event("seen", who, timestamp=(START + 2 * hour).isoformat()),
            event("bought", who, timestamp=(START + 3 * hour).isoformat(), properties={"amount": number}),
        )


def used_for(exposure: ExposurePlan) -> bool:
    with snapshot():
        return isinstance(event_store().expose(exposure, preaggregated_for=EXPERIMENT), RolledUpUnits)


@pytest.mark.django_db
def test_person_deleted_without_events__is_no_member_of_staff_any_more(
    project: Project,
    owner: User,
    capture: Capture,
) -> None:
    exposure = plan_of(project, test_account_conditions=(STAFF,))
    some_traffic(capture)
    capture(event("told", "user-3", properties={"$set": {"staff": True}}))
    roll_up_in_peace(*measured(exposure))
    with snapshot():
        assert event_store().expose(exposure, preaggregated_for=EXPERIMENT).by_day().total("test") == 2
    person = Person.objects.get(distinct_id_rows__distinct_id="user-3")
    person_deletion.delete_person(project=project, person=person, user=owner, delete_events=False)
    assert same_both_ways(exposure)
    with snapshot():
        assert event_store().expose(exposure, preaggregated_for=EXPERIMENT).by_day().total("test") == 3


@pytest.mark.django_db
def test_sum__small_beside_what_has_changed__keeps_its_digits(
    project: Project,
    capture: Capture,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    time = (START + timedelta(hours=4)).isoformat()
    capture(event("bought", "user-1", timestamp=time, properties={"amount": 1e17}))
    an_hour_passes()
    plan = AggregatePlan(exposure=exposure, measure=Mean(value=SPENT))
    roll_up(plan)
    an_hour_passes()
    capture(event("bought", "user-1", timestamp=time, properties={"amount": -1e17}))
    with snapshot():
        direct = event_store().expose(exposure).aggregate(plan)
        assert event_store().expose(exposure, preaggregated_for=EXPERIMENT).aggregate(plan) == direct
    # 3 and 5 of the others, and what floats leave of user-1's own 1 beside the large ones.
    assert direct[(), "test"].s == pytest.approx(8, abs=1)


@pytest.mark.django_db
def test_too_many_changed__are_read_from_the_events(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    roll_up_in_peace(*measured(exposure))
    assert used_for(exposure)
    some_traffic(capture, persons=4)
    monkeypatch.setattr(changes, "MOST", 3)
    assert not used_for(exposure)
    # The job makes everything anew then.
    assert roll_up_in_peace(*measured(exposure)) == 1
    assert used_for(exposure)
    assert same_both_ways(exposure)


@pytest.mark.django_db
def test_measure_that_is_not_rolled_up__is_computed_beside_the_others(
    project: Project,
    capture: Capture,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    an_hour_passes()
    known, matured, broken_down = (
        AggregatePlan(exposure=exposure, measure=Mean(value=SPENT)),
        AggregatePlan(exposure=exposure, measure=Mean(value=SPENT), window_seconds=DAY, matured_only=True),
        AggregatePlan(exposure=exposure, measure=Mean(value=SPENT), breakdowns=(Breakdown(property="$browser"),)),
    )
    roll_up(known, matured, broken_down)
    an_hour_passes()
    assert RollupMeasure.objects.count() == 1
    capture(event("bought", "user-1", timestamp=(START + timedelta(hours=5)).isoformat(), properties={"amount": 7}))
    with snapshot():
        direct, rolled_up = (event_store().expose(exposure, preaggregated_for=given) for given in (None, EXPERIMENT))
        assert rolled_up.is_precomputed
        rolled_up.expect([known, matured])
        found = [rolled_up.aggregate(plan) for plan in (known, broken_down, matured, known)]
        assert [rolled_up.is_precomputed_for(plan) for plan in (known, broken_down, matured)] == [True, False, False]
        assert direct.aggregate(known) != {}
    with snapshot():
        direct = event_store().expose(exposure)
        assert found == [direct.aggregate(plan) for plan in (known, broken_down, matured, known)]
    assert found[0][(), "test"].s == 1 + 3 + 5 + 7


@pytest.mark.django_db
def test_job__other_measures__forgets_and_adds_them_without_the_rest(
    project: Project,
    capture: Capture,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    an_hour_passes()
    spent, seen = (AggregatePlan(exposure=exposure, measure=Mean(value=value)) for value in (SPENT, SEEN))
    roll_up(spent)
    first = set(RollupMeasure.objects.values_list("pk", flat=True))
    roll_up(spent, seen)
    assert first < set(RollupMeasure.objects.values_list("pk", flat=True))
    roll_up(seen)
    assert RollupMeasure.objects.count() == 1
    assert RollupValue.objects.count() == 6
    assert event_store().roll_up({}, timeout_seconds=60) == 0
    for model in (Rollup, RollupMeasure, RollupUnit, RollupValue):
        assert not model.objects.exists(), model


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes_",
    [
        {"activation": selection("activated")},
        {"unit_group": 0},
        {"test_account_conditions": (CohortCondition(cohort_id=1, is_member=False),)},
        {"test_account_conditions": (replace(STAFF, operator="is_date_after", value="-7d"),)},
    ],
    ids=["activation", "groups", "cohort", "relative date"],
)
def test_units_that_change_without_events_of_their_own__are_not_rolled_up(project: Project, changes_: Json) -> None:
    exposure = plan_of(project, **changes_)
    assert roll_up(*measured(exposure)) == 0
    assert not used_for(exposure)


@pytest.mark.django_db
def test_expired_months__are_forgotten(project: Project, capture: Capture) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    roll_up(*measured(exposure))
    assert not event_store().drop_before(datetime(2025, 12, 1, tzinfo=UTC))
    assert Rollup.objects.exists()
    assert event_store().drop_before(datetime(2026, 3, 1, tzinfo=UTC))
    assert not Rollup.objects.exists()
    assert not RollupValue.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_deletion_of_events__waits_for_a_rollup_in_the_making(project: Project) -> None:
    clock = Clock(now=datetime.now(UTC))
    ingestion.store(project=project, events=[read_event(call("ada", "test", START), clock=clock)])
    exposure = plan_of(project)
    ada = Person.objects.get()
    deleted = Signal()

    def delete() -> None:
        person_deletion.delete_events(
            project_id=project.pk, person_ids=[ada.uuid], old_person_ids=[], before=datetime.now(UTC)
        )
        deleted.set()
        connection.close()

    deleter = Thread(target=delete)
    with alone("events rollups") as mine:
        assert mine
        deleter.start()
        assert not deleted.wait(1)
    deleter.join(30)
    assert deleted.is_set()
    roll_up(*measured(exposure))
    assert not RollupUnit.objects.exists()


@pytest.mark.django_db
def test_deleted_project__leaves_nothing(project: Project, capture: Capture) -> None:
    some_traffic(capture)
    roll_up(*measured(plan_of(project)))
    delete_project(project=project)
    for model in (Rollup, RollupMeasure, RollupUnit, RollupValue):
        assert not model.objects.exists(), model


@pytest.mark.django_db
def test_changed__who_is_not_exposed__does_not_matter(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    roll_up_in_peace(*measured(exposure))
    monkeypatch.setattr(changes, "MOST", 3)
    time = (START + timedelta(hours=5)).isoformat()
    capture(*(event("bought", f"passer-by-{number}", timestamp=time) for number in range(20)))
    assert used_for(exposure)
    # With a property of persons among the criteria any event of theirs may expose them.
    by_person = plan_of(project, test_account_conditions=(STAFF,))
    roll_up(*measured(by_person))
    assert not used_for(by_person)
    # A call of the flag, and a merge into somebody who is exposed.
    roll_up(*measured(exposure))
    an_hour_passes()
    capture(
        call("passer-by-1", "test", START + timedelta(hours=6)),
        event("$merge_dangerously", "passer-by-2", properties={"alias": "user-1"}),
    )
    assert same_both_ways(exposure)
    with snapshot():
        assert event_store().expose(exposure, preaggregated_for=EXPERIMENT).by_day().total("test") == 4


@pytest.mark.django_db
@pytest.mark.parametrize("persons", [2, 3])
def test_more_than_a_tenth_changed__are_read_from_the_events(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
    persons: int,
) -> None:
    monkeypatch.setattr(changes, "FEW", 1)
    exposure = plan_of(project)
    some_traffic(capture, persons=20)
    roll_up_in_peace(*measured(exposure))
    some_traffic(capture, persons=persons)
    assert used_for(exposure) == (persons == 2)
    monkeypatch.setattr(changes, "FEW", 3)
    assert used_for(exposure)
