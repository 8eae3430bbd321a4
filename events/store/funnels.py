"""How far a unit gets in a funnel. Pure: rows in, furthest step out.

A row is a time and a mask: bit 0 says that it is an exposure, bit k that it matches step k. Times are any numbers;
rows come in the order of their times.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from events.store.measures import FunnelOrder

Row = tuple[float, int]
_NEVER = float("-inf")


def furthest_step(rows: Sequence[Row], *, steps: int, order: FunnelOrder, window: float) -> int:
    """The furthest of `steps` steps that the rows of one unit reach within `window` of an exposure, 0 for none."""
    return _FURTHEST[order](rows, steps, window)


def reached_by(rows: Sequence[Row], *, steps: int, order: FunnelOrder, window: float) -> tuple[int, int]:
    """The furthest step, and the place among `rows` of the row that reaches it: for step 0 of the first exposure."""
    furthest = furthest_step(rows, steps=steps, order=order, window=window)
    if not furthest:
        return 0, next((place for place, (_, mask) in enumerate(rows) if mask & 1), 0)
    # More rows never take a unit less far, so that the row is the last of the shortest beginning that gets there.
    too_few, enough = 0, len(rows)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if furthest_step(rows[:middle], steps=steps, order=order, window=window) == furthest:
            enough = middle
        else:
            too_few = middle
    last = enough - 1
    if order is FunnelOrder.UNORDERED:
        return furthest, last
    # Rows of one instant are in any order: one of them that matches the step.
    time = rows[last][0]
    matching = (place for place, row in enumerate(rows) if row[0] == time and row[1] >> furthest & 1)
    return furthest, next(matching, last)


def _ordered(rows: Sequence[Row], steps: int, window: float) -> int:
    # started[k]: the latest exposure from which step k has been reached. A later one leaves more time, so that no
    # other chain can get further.
    started = [_NEVER] * (steps + 1)
    furthest = 0
    for time, masks in _instants(rows):
        if len(masks) == 1:
            mask = masks[0]
            # From the last step down, so that a row serves one step only.
            for step in range(steps, 0, -1):
                if mask >> step & 1 and started[step - 1] >= time - window:
                    started[step] = max(started[step], started[step - 1])
                    furthest = max(furthest, step)
            if mask & 1:
                started[0] = time
        else:
            furthest = max(furthest, _several_at_once(started, time, masks, window))
    return furthest


def _several_at_once(started: list[float], time: float, masks: Sequence[int], window: float) -> int:
    """Rows of one instant follow each other in step order, the exposure first; each serves one step."""
    steps = len(started) - 1
    before = [*started, _NEVER]
    furthest = 0
    # Chains that an exposure of this instant begins, and those that stood at some step before.
    for begun in range(-1, steps):
        beginning = time if begun < 0 else before[begun]
        if beginning < time - window:
            continue
        for step in range(begun + 1, steps + 1):
            if not _can_serve(masks, range(begun + 1, step + 1)):
                break
            started[step] = max(started[step], beginning)
            furthest = max(furthest, step)
    return furthest


def _can_serve(masks: Sequence[int], wanted: range) -> bool:
    """Whether different rows can serve each of the wanted steps."""
    return _matched(masks, wanted) == len(wanted)


def _matched(masks: Sequence[int], wanted: range) -> int:
    """How many of the wanted steps different rows can serve: a maximum matching, by augmenting paths."""
    row_of: dict[int, int] = {}
    step_of: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for step in wanted:
            if masks[row] >> step & 1 and step not in tried:
                tried.add(step)
                if step not in row_of or place(row_of[step], tried):
                    row_of[step], step_of[row] = row, step
                    return True
        return False

    for row in range(len(masks)):
        place(row, set())
    return len(row_of)


def _strict(rows: Sequence[Row], steps: int, window: float) -> int:
    # started[k]: as in `_ordered`, but only for chains whose last step, or a repeat of it, is the row before.
    started: dict[int, float] = {}
    furthest = 0
    for time, mask in _in_step_order(rows):
        reached: dict[int, float] = {0: time} if mask & 1 else {}
        for step in range(1, steps + 1):
            if not mask >> step & 1:
                continue
            begun = max(started.get(step, _NEVER), _within(started.get(step - 1, _NEVER), time, window))
            if begun > _NEVER:
                reached[step] = begun
                furthest = max(furthest, step)
        started = reached
    return furthest


def _within(begun: float, time: float, window: float) -> float:
    return begun if begun >= time - window else _NEVER


def _in_step_order(rows: Sequence[Row]) -> Iterator[Row]:
    """Rows that concern the funnel; those of one instant in the order of their first step, the exposure first."""
    for time, masks in _instants(rows):
        for mask in sorted(masks, key=lambda mask: mask & -mask):
            yield time, mask


def _instants(rows: Sequence[Row]) -> Iterator[tuple[float, list[int]]]:
    for time, together in groupby((row for row in rows if row[1]), key=lambda row: row[0]):
        yield time, [mask for _, mask in together]


def _unordered(rows: Sequence[Row], steps: int, window: float) -> int:
    wanted = range(steps + 1)
    most, oldest = 1, 0
    inside: Counter[int] = Counter()
    for time, mask in rows:
        inside[mask] += 1
        while rows[oldest][0] < time - window:
            inside[rows[oldest][1]] -= 1
            oldest += 1
        # More rows alike than there are steps can serve no more of them.
        masks = [kind for kind, times in inside.items() for _ in range(min(times, steps + 1))]
        if _union_size(masks, wanted) > most:
            most = max(most, _matched(masks, wanted))
        if most == steps + 1:
            break
    return most - 1


def _union_size(masks: Iterable[int], wanted: range) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return sum(union >> step & 1 for step in wanted)


_FURTHEST: Mapping[FunnelOrder, Callable[[Sequence[Row], int, float], int]] = {
    FunnelOrder.ORDERED: _ordered,
    FunnelOrder.STRICT: _strict,
    FunnelOrder.UNORDERED: _unordered,
}
