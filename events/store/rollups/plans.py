"""Which plans can be rolled up, and by which digest it is known."""

from collections.abc import Iterator
from dataclasses import asdict

from events.store.digests import digest_of
from events.store.measures import AggregatePlan, selections_of, values_of
from events.store.plans import CohortCondition, Condition, ExposurePlan, PropertyCondition, Selection, Subject

# Changed whenever the same events would give other values.
_VERSION = 1


def has_units(plan: ExposurePlan) -> bool:
    """Whether each unit is a person whose own events, and nothing else, make it one.

    What cohorts and groups say may change without an event of the person, and so may an activation with the exposure;
    dates may be relative to the moment of reading.
    """
    return plan.unit_group is None and plan.activation is None and all(map(_is_own, _conditions_on_units(plan)))


def depends_on_persons(plan: ExposurePlan) -> bool:
    """Whether properties of persons decide who is a unit."""
    return any(
        isinstance(condition, PropertyCondition) and condition.subject is Subject.PERSON
        for condition in _conditions_on_units(plan)
    )


def has_values(plan: AggregatePlan) -> bool:
    """Whether each unit's value follows from the person's own events, and stays when only time passes."""
    # The events of a session may be of several persons.
    of_sessions = any(value.of_sessions for value in values_of(plan.measure))
    conditions = [condition for selection in selections_of(plan.measure) for condition in _conditions(selection)]
    return not (of_sessions or plan.matured_only or plan.breakdowns) and all(map(_is_own, conditions))


def digest_of_units(plan: ExposurePlan) -> str:
    """By which units are known, whenever the window ends."""
    return digest_of([_VERSION, {**asdict(plan), "end": None}])


def digest_of_values(plan: AggregatePlan) -> str:
    """By which a measure of units is known."""
    return digest_of([_VERSION, {**asdict(plan), "exposure": None, "kind": type(plan.measure).__name__}])


def _conditions_on_units(plan: ExposurePlan) -> list[Condition]:
    return [*plan.test_account_conditions, *_conditions(plan.selection)]


def _conditions(selection: Selection | None) -> Iterator[Condition]:
    if selection is not None:
        yield from selection.conditions
        for step in selection.steps:
            yield from step.conditions


def _is_own(condition: Condition) -> bool:
    """Whether only events of the person itself can change how its events meet the condition."""
    if isinstance(condition, CohortCondition) or condition.subject is Subject.GROUP:
        return False
    return not condition.compares_dates
