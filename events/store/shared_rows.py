"""The events of all measures of a request, read once, in a table of the connection.

Each measure needs events of a few kinds, spread over all pages of the events' table. So one statement reads what any
of them needs and keeps of each row the unit, the time, a mask of the selections that it matches, and the values that
are taken of it. Measures for which there is no room read for themselves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from events.store.funnel_kinds import is_plain
from events.store.measures import AggregatePlan, Funnel, Math, Mean, Retention, Value, selections_of, values_of
from events.store.plans import Selection

ROWS = "events_measured_rows"
NUMBERS, MARKS = 6, 3
# Bits of a bigint that stays positive.
SELECTIONS = 62
_COLUMNS = ", ".join(
    [*(f"number_{place} float8" for place in range(NUMBERS)), *(f"mark_{place} text" for place in range(MARKS))]
)
TABLE = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS {ROWS} (
    person uuid, group_key text, time timestamptz, uuid uuid, mask bigint, {_COLUMNS}
) ON COMMIT DELETE ROWS
"""
EMPTYING = f"DELETE FROM {ROWS}"  # noqa: S608  (a constant of this file)
# What is taken of a row: a number of a property, or a text of which different ones are counted.
Taken = tuple[Math | None, str | int]


def taken_of(value: Value) -> Taken | None:
    """What the value takes of each of its rows; None when it only counts them."""
    if value.math is Math.TOTAL:
        return None
    if value.math in (Math.UNIQUE_SESSION, Math.DAU):
        return (value.math, "")
    if value.math is Math.UNIQUE_GROUP:
        return (value.math, value.group_type_index)
    # Sums, least, greatest and averages are of the same numbers.
    return (None, value.property or "")


@dataclass(slots=True)
class SharedRows:
    """Which selections and values have a place in the table."""

    bits: dict[Selection, int] = field(default_factory=dict)
    columns: dict[Taken, str] = field(default_factory=dict)
    # The selections whose rows a value is taken of.
    needed_by: dict[Taken, list[Selection]] = field(default_factory=dict)
    lookback_seconds: int = 0
    # Whether rows have to be told apart.
    with_uuids: bool = False

    def serves(self, plan: AggregatePlan) -> bool:
        """Whether the rows begin early enough for the plan."""
        return (plan.lookback_seconds or 0) <= self.lookback_seconds

    def holds(self, selections: Iterable[Selection]) -> bool:
        return all(selection in self.bits for selection in selections)


def shared_by(plans: Sequence[AggregatePlan]) -> SharedRows | None:
    """Room for as many of the plans as possible; None when the events are read once anyway."""
    # Also of those without room: a selection of theirs may be there for others.
    shared = SharedRows(lookback_seconds=max((plan.lookback_seconds or 0 for plan in plans), default=0))
    readings = sum(_add(shared, plan) for plan in plans)
    return shared if readings > 1 else None


def _add(shared: SharedRows, plan: AggregatePlan) -> int:
    """How many readings of the events the plan is spared."""
    values = values_of(plan.measure)
    selections = set(selections_of(plan.measure))
    taken = {kind for value in values if (kind := taken_of(value)) is not None}
    new = taken - shared.columns.keys()
    numbers = sum(kind[0] is None for kind in new)
    has_room = (
        len(selections | shared.bits.keys()) <= SELECTIONS
        and _count(shared, numbers=True) + numbers <= NUMBERS
        and _count(shared, numbers=False) + len(new) - numbers <= MARKS
    )
    if not has_room or any(value.of_sessions for value in values):
        return 0
    shared.with_uuids |= _needs_uuids(plan)
    for selection in selections:
        shared.bits.setdefault(selection, len(shared.bits))
    for kind in new:
        is_number = kind[0] is None
        place = _count(shared, numbers=is_number)
        shared.columns[kind] = f"number_{place}" if is_number else f"mark_{place}"
    for value in values:
        kind = taken_of(value)
        if kind is not None:
            shared.needed_by.setdefault(kind, []).append(value.selection)
    return 1 if isinstance(plan.measure, Mean | Funnel) else 2


def _needs_uuids(plan: AggregatePlan) -> bool:
    measure = plan.measure
    if isinstance(measure, Funnel):
        return not is_plain(plan, measure)
    return isinstance(measure, Retention) and not measure.comes_back_later


def _count(shared: SharedRows, *, numbers: bool) -> int:
    return sum((kind[0] is None) == numbers for kind in shared.columns)
