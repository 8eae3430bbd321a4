"""Rollups where something is rare: large numbers, limits of time, interruptions, and histories of every kind."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from events import person_deletion
from events.identity import natural_id
from events.models import Person, PersonOverride, Rollup, RollupMeasure, RollupUnit
from events.store import event_store, partitions
from events.store.base import StoreTimeout
from events.store.measures import AggregatePlan, Math, Mean, Value
from events.store.plans import MultipleVariants, PropertyCondition, Selection, Step, Subject
from events.store.rollups import changes, job, values
from events.store.units import ExposedUnits
from projects.models import Project, User
from tests.capturing import Capture, event
from tests.experiments.results.kept_exposures import EXPERIMENT, START, Json, call, plan_of, snapshot
from tests.experiments.results.rolled_up import an_hour_passes, roll_up, roll_up_in_peace
from tests.experiments.results.test_rolled_up_sums import (
    SEEN,
    SPENT,
    STAFF,
    measured,
    same_both_ways,
    selection,
    some_traffic,
    used_for,
)

PERSONS = 9


# --- histories ---------------------------------------------------------------------------------------------------


class History:
    """Whatever clients may send and members may do, by chance."""

    def __init__(self, seed: int, project: Project, owner: User, capture: Capture) -> None:
        self.random = random.Random(seed)
        self.project = project
        self.owner = owner
        self.capture = capture
        self.sent: list[Json] = []

    def who(self) -> str:
        return f"user-{self.random.randrange(PERSONS)}"

    def time(self) -> datetime:
        """Early, late and future, in whole half hours, so that rows of one instant are not rare."""
        return START - timedelta(days=2) + timedelta(minutes=30 * self.random.randrange(48 * 24))

    def goes_on(self) -> None:
        acts = [self.traffic, self.traffic, self.sent_again, self.told, self.merged, self.chained, self.person_deleted]
        for act in self.random.sample(acts, 3):
            act()

    def traffic(self, count: int = 6) -> None:
        self.send(*(self.one() for _ in range(count)))

    def one(self) -> Json:
        profile = {"$process_person_profile": False} if self.random.random() < 0.4 else {}
        if self.random.random() < 0.4:
            variant = self.random.choice(["control", "test", "test", "third"])
            return call(self.who(), variant, self.time(), **profile)
        name = self.random.choice(["bought", "seen", "exposed"])
        amount = self.random.choice([round(self.random.uniform(-50, 99), 2)] * 9 + [0, "7", None])
        more = {"amount": amount, "$session_id": f"s{self.random.randrange(3)}", "$feature/f": "test", **profile}
        return event(name, self.who(), timestamp=self.time().isoformat(), properties=more)

    def told(self) -> None:
        change: Json = self.random.choice(
            [
                {"$set": {"staff": True}},
                {"$set": {"staff": False}},
                {"$set_once": {"staff": True}},
                {"$unset": ["staff"]},
            ]
        )
        self.send(event("told", self.who(), timestamp=self.time().isoformat(), properties=change))

    def merged(self) -> None:
        one, other = self.who(), self.who()
        name, source = self.random.choice(
            [("$identify", "$anon_distinct_id"), ("$create_alias", "alias"), ("$merge_dangerously", "alias")]
        )
        self.send(event(name, one, timestamp=self.time().isoformat(), properties={source: other}))

    def chained(self) -> None:
        """Three become one in one batch, with what they do in between."""
        one, two, three = (f"user-{number}" for number in self.random.sample(range(PERSONS), 3))
        self.send(
            self.one(),
            event("$merge_dangerously", two, timestamp=self.time().isoformat(), properties={"alias": one}),
            event("$merge_dangerously", three, timestamp=self.time().isoformat(), properties={"alias": two}),
            self.one(),
        )

    def sent_again(self) -> None:
        if self.sent:
            self.capture(*self.random.choices(self.sent, k=4), self.one())

    def person_deleted(self) -> None:
        person = Person.objects.filter(project=self.project).order_by("?").first()
        if person is None or self.random.random() < 0.5:
            return
        old = list(PersonOverride.objects.filter(person_id=person.uuid).values_list("old_person_id", flat=True))
        with_events = self.random.random() < 0.4
        if not with_events or self.random.random() < 0.7:
            person_deletion.delete_person(project=self.project, person=person, user=self.owner, delete_events=False)
        if with_events:
            person_deletion.delete_events(
                project_id=self.project.pk, person_ids=[person.uuid], old_person_ids=old, before=datetime.now(UTC)
            )

    def send(self, *events: Json) -> None:
        numbered = [one | {"uuid": str(UUID(int=self.random.getrandbits(128), version=4))} for one in events]
        self.sent += numbered
        self.capture(*numbered)


EXPOSURES: list[Json] = [
    {},
    {"test_account_conditions": (STAFF,)},
    {"selection": selection("exposed"), "handling": MultipleVariants.FIRST_SEEN},
    {"selection": Selection(steps=(Step(event="exposed", conditions=(STAFF,)), Step(event="seen")))},
    {"zone": "America/New_York", "handling": MultipleVariants.FIRST_SEEN},
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.django_db
def test_sums__any_history__equal_those_of_the_direct_path(
    project: Project,
    owner: User,
    capture: Capture,
    seed: int,
) -> None:
    history = History(seed, project, owner, capture)
    exposure = plan_of(project, **{"end": START + timedelta(days=4), **EXPOSURES[seed % len(EXPOSURES)]})
    history.traffic(60)
    used = 0
    for _ in range(14):
        an_hour_passes()
        if history.random.random() < 0.5:
            # Also with some metrics left out, and back later.
            plans = measured(exposure)
            assert roll_up(*history.random.sample(plans, history.random.randrange(1, len(plans) + 1))) == 1
            if history.random.random() < 0.8:
                an_hour_passes()
        history.goes_on()
        exposure = replace(exposure, end=exposure.end + timedelta(hours=history.random.randrange(30)))
        used += same_both_ways(exposure)
    assert used


# --- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_large_sums__are_floats_as_on_the_direct_path(project: Project, capture: Capture) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    time = (START + timedelta(hours=4)).isoformat()
    capture(*(event("bought", f"user-{one}", timestamp=time, properties={"amount": 3e15}) for one in range(6)))
    an_hour_passes()
    plan = AggregatePlan(exposure=exposure, measure=Mean(value=SPENT))
    roll_up(plan)
    an_hour_passes()
    with snapshot():
        direct = event_store().expose(exposure).aggregate(plan)[(), "test"]
        kept = event_store().expose(exposure, preaggregated_for=EXPERIMENT).aggregate(plan)[(), "test"]
    assert kept == direct
    assert (type(kept.n), type(kept.s), type(kept.q)) == (int, float, float)


# --- one metric and the others -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_metrics_with_conditions_on_true_and_on_1__are_not_taken_for_one(
    project: Project,
    capture: Capture,
) -> None:
    exposure = plan_of(project)
    time = (START + timedelta(hours=1)).isoformat()
    capture(call("ada", "test", START), *(event("seen", "ada", timestamp=time, properties={"beta": 1}) for _ in "abc"))
    capture(event("seen", "ada", timestamp=time, properties={"beta": True}))
    an_hour_passes()
    plans = [
        AggregatePlan(exposure=exposure, measure=Mean(value=Value(selection=selection("seen", beta), math=Math.TOTAL)))
        for beta in (
            PropertyCondition(subject=Subject.EVENT, key="beta", operator="exact", value=value) for value in (1, True)
        )
    ]
    roll_up(*plans)
    an_hour_passes()
    for experiment in (None, EXPERIMENT):
        with snapshot():
            units = event_store().expose(exposure, preaggregated_for=experiment)
            units.expect(plans)
            assert [units.aggregate(plan)[(), "test"].s for plan in plans] == [3, 1]


@pytest.mark.django_db
@pytest.mark.parametrize("experiment", [None, EXPERIMENT], ids=["direct", "rolled up"])
def test_plans_expected_one_after_the_other__have_the_sums_that_they_have_alone(
    project: Project,
    capture: Capture,
    experiment: int | None,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    an_hour_passes()
    plans = measured(exposure)
    roll_up(*plans)
    an_hour_passes()
    some_traffic(capture)
    alone = []
    for plan in plans:
        with snapshot():
            alone.append(event_store().expose(exposure).aggregate(plan))
    with snapshot():
        units = event_store().expose(exposure, preaggregated_for=experiment)
        for plan in plans:
            units.expect([plan, plans[0]])
        assert [units.aggregate(plan) for plan in plans] == alone


@pytest.mark.django_db
def test_exposures_that_take_too_long_for_other_metrics__leave_those_that_are_rolled_up(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    an_hour_passes()
    known = AggregatePlan(exposure=exposure, measure=Mean(value=SEEN))
    others = [replace(known, window_seconds=days * 86400, matured_only=True) for days in (1, 2)]
    roll_up(known)
    an_hour_passes()
    capture(event("seen", "user-1", timestamp=(START + timedelta(hours=5)).isoformat()))
    with snapshot():
        units = event_store().expose(exposure, preaggregated_for=EXPERIMENT)
        asked = 0

        def too_long(*_: Any, **__: Any) -> None:
            nonlocal asked
            asked += 1
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)")

        monkeypatch.setattr("events.store.rollups.reading.ExposedUnits", too_long)
        units.expect([others[0], known, others[1]])
        for other in others:
            with pytest.raises(StoreTimeout):
                units.aggregate(other)
        assert units.aggregate(known)[(), "test"].s == 3 + 1
    # Nobody waits for it again.
    assert asked == 1


@pytest.mark.django_db
def test_job__metric_that_takes_too_long__leaves_the_others(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    an_hour_passes()
    seen, spent = (AggregatePlan(exposure=exposure, measure=Mean(value=value)) for value in (SEEN, SPENT))
    keep = values.keep

    def slow(measure_id: int, units: ExposedUnits, plan: AggregatePlan) -> None:
        keep(measure_id, units, plan)
        if plan == spent:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)")

    with monkeypatch.context() as slowly:
        slowly.setattr(values, "keep", slow)
        for _ in range(2):
            assert roll_up(seen, spent) == 1
            assert RollupMeasure.objects.count() == 1
            an_hour_passes()
            some_traffic(capture, persons=2)
    assert roll_up(seen, spent) == 1
    assert RollupMeasure.objects.count() == 2
    an_hour_passes()
    assert used_for(exposure)
    assert same_both_ways(exposure)
    # Once it is kept, too.
    some_traffic(capture, persons=2)
    monkeypatch.setattr(values, "keep", slow)
    assert roll_up(seen, spent) == 1
    assert RollupMeasure.objects.count() == 1
    assert same_both_ways(exposure)


# --- interruptions -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_job__more_has_just_changed_than_a_rollup_is_of_use_for__makes_nothing_anew(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    roll_up_in_peace(*measured(exposure))
    before = Rollup.objects.get()
    monkeypatch.setattr(changes, "MOST", 3)
    # As while a transaction is open that is older than these.
    some_traffic(capture, persons=4)
    assert roll_up(*measured(exposure)) == 0
    assert Rollup.objects.get().stored_before == before.stored_before
    assert not used_for(exposure)
    an_hour_passes()
    assert roll_up(*measured(exposure)) == 1
    assert Rollup.objects.get().pk != before.pk


@pytest.mark.django_db
def test_expired_events__interrupted_before_the_rollups_are_forgotten__are_still_there(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exposure = plan_of(project)
    some_traffic(capture)
    roll_up(*measured(exposure))

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "_forget", interrupted)
    with pytest.raises(KeyboardInterrupt):
        event_store().drop_before(datetime(2026, 3, 1, tzinfo=UTC))
    assert used_for(exposure)
    assert same_both_ways(exposure)


@pytest.mark.django_db
def test_expired_events_without_a_month_of_their_own__forget_the_rollups(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions, "ensure", lambda months: None)
    start = datetime(2001, 6, 2, tzinfo=UTC)
    exposure = plan_of(project, start=start)
    time = start - timedelta(days=3)
    capture(call("ada", "test", start), event("bought", "ada", timestamp=time.isoformat(), properties={"amount": 5}))
    plan = AggregatePlan(exposure=exposure, measure=Mean(value=SPENT), lookback_seconds=7 * 86400)
    roll_up_in_peace(plan)
    event_store().drop_before(datetime(2001, 5, 1, tzinfo=UTC))
    assert same_both_ways(exposure)
    event_store().drop_before(datetime(2001, 6, 1, tzinfo=UTC))
    assert not same_both_ways(exposure)
    assert not Rollup.objects.exists()


@pytest.mark.django_db
def test_person_whose_events_are_gone__parts_with_those_merged_into_it(
    project: Project,
    owner: User,
    capture: Capture,
) -> None:
    exposure = plan_of(project)
    capture(event("$merge_dangerously", "ada", timestamp=START.isoformat(), properties={"alias": "old"}))
    ada = Person.objects.get()
    (old,) = PersonOverride.objects.values_list("old_person_id", flat=True)
    cut = datetime.now(UTC)
    person_deletion.delete_person(project=project, person=ada, user=owner, delete_events=False)
    with connection.cursor() as cursor:
        # As when its month has expired.
        cursor.execute("DELETE FROM events_event")
    without = {"$process_person_profile": False}
    capture(*(call(who, "test", START + timedelta(hours=1), **without) for who in ("ada", "old")))
    assert {ada.uuid, old} == {natural_id(project.pk, who) for who in ("ada", "old")}
    roll_up_in_peace(*measured(exposure))
    assert RollupUnit.objects.count() == 1
    person_deletion.delete_events(
        project_id=project.pk, person_ids=[ada.uuid], old_person_ids=[old], before=cut - timedelta(days=1)
    )
    assert same_both_ways(exposure)
    with snapshot():
        assert event_store().expose(exposure, preaggregated_for=EXPERIMENT).by_day().total("test") == 2
