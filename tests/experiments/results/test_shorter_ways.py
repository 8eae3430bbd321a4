"""Shorter ways to the same sums: for funnels and retentions that need no close look, and for rows read once for all."""

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest

from events.store import event_store, funnel_kinds, funnel_sums
from events.store.measures import AggregatePlan, Funnel, Math, Mean, Measure, Retention, RetentionUnit, Value
from events.store.plans import ExposurePlan, PropertyCondition, Selection, Step, Subject
from projects.models import Project
from tests.capturing import Capture, event
from tests.experiments.results.kept_exposures import START, Json, call, plan_of, snapshot

PERSONS = 15


def named(*names: str) -> Selection:
    return Selection(steps=tuple(Step(event=name) for name in names))


LARGE = PropertyCondition(subject=Subject.EVENT, key="amount", operator="gte", value=50)
FUNNELS = [
    (named("seen"), named("added"), named("bought")),
    (named("seen", "added"), named("bought")),
    (named("seen"), replace(named("bought"), conditions=(LARGE,)), named("added")),
]
RETENTIONS = [
    Retention(
        start=named("seen"),
        completion=named("seen", "bought"),
        first=first,
        last=4,
        unit=unit,
        anchored_at_last=at_last,
    )
    for first in (0, 1)
    for unit in (RetentionUnit.DAY, RetentionUnit.HOUR)
    for at_last in (False, True)
]
MEANS = [
    Mean(value=Value(selection=named("seen"), math=Math.TOTAL)),
    Mean(value=Value(selection=replace(named("bought"), conditions=(LARGE,)), math=Math.SUM, property="amount")),
]


def some_events(random_: random.Random) -> list[Json]:
    made = []
    for _ in range(150):
        # Whole hours of four days: rows of one instant are frequent, also with the exposure.
        time = START - timedelta(days=1) + timedelta(hours=random_.randrange(24 * 4))
        who = f"user-{random_.randrange(PERSONS)}"
        if random_.random() < 0.2:
            made.append(call(who, random_.choice(["control", "test"]), time))
        else:
            name = random_.choice(["seen", "added", "bought"])
            properties = {"amount": random_.randrange(100)}
            made.append(event(name, who, timestamp=time.isoformat(), properties=properties))
    return made


def sums(exposure: ExposurePlan, measures: Sequence[Measure], *, shared: bool, **more: Any) -> list[Any]:
    with snapshot():
        units = event_store().expose(exposure)
        plans = [AggregatePlan(exposure=exposure, measure=measure, **more) for measure in measures]
        if shared:
            units.expect(plans)
        return [{arm: asdict(found) for (_, arm), found in units.aggregate(plan).items()} for plan in plans]


@pytest.mark.parametrize("lookback", [None, 86400])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.django_db
def test_funnels__by_minima_and_row_by_row__agree(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    lookback: int | None,
) -> None:
    capture(*some_events(random.Random(seed)))
    exposure = plan_of(project)
    funnels = [Funnel(steps=steps) for steps in FUNNELS]
    for funnel in funnels:
        assert funnel_kinds.is_plain(AggregatePlan(exposure=exposure, measure=funnel), funnel)
    found = [sums(exposure, funnels, shared=shared, lookback_seconds=lookback) for shared in (False, True)]
    monkeypatch.setattr(funnel_sums, "is_plain", lambda *_: False)
    row_by_row = sums(exposure, funnels, shared=False, lookback_seconds=lookback)
    assert found == [row_by_row, row_by_row]
    assert any(arm["s"] for of_funnel in row_by_row for arm in of_funnel.values())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.django_db
def test_retentions__by_minima_and_with_uuids__agree(
    project: Project,
    capture: Capture,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    capture(*some_events(random.Random(seed)))
    exposure = plan_of(project)
    found = [sums(exposure, RETENTIONS, shared=shared) for shared in (False, True)]
    monkeypatch.setattr(Retention, "comes_back_later", False)
    with_uuids = sums(exposure, RETENTIONS, shared=False)
    assert found == [with_uuids, with_uuids]
    assert any(arm["s"] < arm["d"] for of_one in with_uuids for arm in of_one.values())


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"window_seconds": 86400},
        {"lookback_seconds": 86400},
        {"window_seconds": 86400, "matured_only": True},
    ],
)
@pytest.mark.django_db
def test_rows_read_once_for_all__give_the_same_sums(
    project: Project,
    capture: Capture,
    more: Json,
) -> None:
    capture(*some_events(random.Random(9)))
    exposure = plan_of(project, end=START + timedelta(days=2))
    measures: list[Measure] = [*MEANS, *(Funnel(steps=steps) for steps in FUNNELS), *RETENTIONS[-1:]]
    apart = sums(exposure, measures, shared=False, **more)
    assert sums(exposure, measures, shared=True, **more) == apart
    assert all(of_one for of_one in apart)


@pytest.mark.parametrize(
    "steps",
    [
        (named("seen"), named("seen")),
        (named("seen", "bought"), named("bought")),
        (Selection(steps=(Step(),)), named("bought")),
        (named("$feature_flag_called"), named("bought")),
    ],
)
@pytest.mark.django_db
def test_funnel__a_row_may_match_two_steps__is_not_plain(project: Project, steps: tuple[Selection, ...]) -> None:
    funnel = Funnel(steps=steps)
    assert not funnel_kinds.is_plain(AggregatePlan(exposure=plan_of(project), measure=funnel), funnel)
