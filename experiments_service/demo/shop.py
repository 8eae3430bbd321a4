"""The visitors of a made-up shop, and what they do: the same on every machine. Pure: no clock, no rows.

Visitors differ: some come often, some spend more. The shop is busier on weekdays. What the variants change is in
`BEHAVIOURS` and nowhere else, so that the results have something to find, and something not to find.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import orjson

from events.incoming import IncomingEvent, new_uuid
from feature_flags.evaluation.bucketing import digest, ends

FLAG_KEY = "demo-one-page-checkout"
VARIANTS: Mapping[str, tuple[str, float]] = {
    "control": ("Three steps", 34),
    "test": ("One page", 33),
    "test-wallet": ("One page with wallet buttons", 33),
}
# Chosen: with most others chance makes one of the comparisons look changed that the variants leave alone. With this
# one a demo of the default size shows on each of its days what it is made to show.
SEED = 25
# Visits before the experiment started, for statistics that compare with them, and after it. What happens does not
# depend on how much of it is over: the demo goes on each day as it has begun.
DAYS_BEFORE = 14
DAYS = 21


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a checkout goes: the chance that a payment fails, and that the visitor pays in the end."""

    fails: float
    pays: float


BEHAVIOURS: Mapping[str, Behaviour] = {
    "control": Behaviour(fails=0.10, pays=0.50),
    "test": Behaviour(fails=0.10, pays=0.57),
    "test-wallet": Behaviour(fails=0.15, pays=0.59),
}
# Monday to Sunday.
_BUSY = (1.1, 1.12, 1.08, 1.02, 0.96, 0.72, 0.78)
_HOURS = (1, 1, 1, 1, 1, 2, 4, 7, 10, 11, 11, 11, 12, 12, 11, 11, 11, 12, 14, 16, 16, 13, 8, 3)
_DEVICES = (("Desktop", "Firefox"), ("Desktop", "Chrome"), ("Mobile", "Mobile Safari"), ("Mobile", "Chrome"))
_COUNTRIES = ("DE", "FR", "GB", "NL", "PL", "US")
_PRODUCTS = ("armchair", "bookcase", "desk", "lamp", "rug", "sofa", "table")
_ENDS = ends(weight for _, weight in VARIANTS.values())


def variant_of(distinct_id: str) -> str:
    """The variant that the flag serves this visitor."""
    index = bisect_right(_ENDS, digest(f"{FLAG_KEY}.{distinct_id}variant".encode()))
    if index == len(_ENDS):
        raise ValueError("the weights of the variants do not reach 100")
    return list(VARIANTS)[index]


def events(*, visitors: int, start: datetime, until: datetime) -> Iterator[list[IncomingEvent]]:
    """What each visitor did, in order, from DAYS_BEFORE `start` to before `until`, for DAYS at most.

    Equal for equal arguments; a later `until` only adds to it.
    """
    for number in range(visitors):
        yield _Visitor(number, start=start, until=until).events()


class _Visitor:
    def __init__(self, number: int, *, start: datetime, until: datetime) -> None:
        self.random = Random(f"{SEED}.{number}")  # a text: seeded alike in every release of Python
        self.distinct_id = f"demo-visitor-{number + 1:05}"
        self.start, self.until = start, until
        self.variant = variant_of(self.distinct_id)
        self.activity = self.random.gammavariate(1.4, 1 / 1.4)
        self.spending = self.random.gauss(3.7, 0.45)
        self.device, self.browser = self.random.choice(_DEVICES)
        self.country = self.random.choice(_COUNTRIES)
        self.made: list[IncomingEvent] = []
        self.session = ""

    def events(self) -> list[IncomingEvent]:
        [first] = self.random.choices(range(DAYS), weights=[self._busy(day) for day in range(DAYS)])
        joins = -DAYS_BEFORE if self.random.random() < 0.6 else first
        for day in range(joins, DAYS):
            is_first = joins == day >= 0
            if is_first or self.random.random() < min(0.09 * self.activity * self._busy(day), 0.8):
                self._visit(self._moment_of(self.start + timedelta(days=day)))
        return [event for event in self.made if event.timestamp < self.until]

    def _busy(self, day: int) -> float:
        return _BUSY[(self.start + timedelta(days=day)).weekday()]

    def _moment_of(self, day: datetime) -> datetime:
        [hour] = self.random.choices(range(24), weights=_HOURS)
        midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
        moment = midnight + timedelta(hours=hour, seconds=self.random.randrange(3600))
        return max(moment, day) if day == self.start else moment

    def _visit(self, time: datetime) -> None:
        chance = self.random.random
        in_experiment = time >= self.start
        behaviour = BEHAVIOURS[self.variant if in_experiment else "control"]
        self.session = self._uuid(time)
        self._did("$pageview", time, **{"$current_url": "https://shop.example.com/"})
        for _ in range(1 + int(self.random.expovariate(0.8))):
            time += timedelta(seconds=self.random.randrange(5, 90))
            self._did("product_viewed", time, product=self.random.choice(_PRODUCTS))
        if chance() > 0.62:
            return
        if in_experiment:
            time += timedelta(seconds=self.random.randrange(2, 40))
            told = {"$feature_flag": FLAG_KEY, "$feature_flag_response": self.variant}
            self._did("$feature_flag_called", time, **told)
        seen = {f"$feature/{FLAG_KEY}": self.variant} if in_experiment else {}
        time += timedelta(seconds=1)
        self._did("cart_viewed", time, **seen)
        if chance() > 0.75:
            return
        time += timedelta(seconds=self.random.randrange(5, 120))
        self._did("checkout_started", time, **seen)
        if chance() < behaviour.fails:
            time += timedelta(seconds=self.random.randrange(20, 90))
            self._did("payment_failed", time, **seen)
        if chance() < behaviour.pays:
            time += timedelta(seconds=self.random.randrange(20, 300))
            amount = round(self.random.lognormvariate(self.spending, 0.55), 2)
            self._did("purchase", time, amount=amount, currency="EUR", **seen)

    def _did(self, name: str, time: datetime, **properties: Any) -> None:
        told: dict[str, Any] = {
            **properties,
            "$session_id": self.session,
            "$device_type": self.device,
            "$browser": self.browser,
            "$lib": "demo",
        }
        if not self.made:
            told["$set_once"] = {"country": self.country}
        text = orjson.dumps(told).decode()
        self.made.append(IncomingEvent(self._uuid(time), name, self.distinct_id, time, told, text))

    def _uuid(self, time: datetime) -> str:
        return new_uuid(time, bits=self.random.getrandbits)
