"""What to read from the event store: frozen values without SQL, the same for every store.

Plans are made from checked documents (`events.filters`); what cannot be computed never gets here.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from common.matching import SPELLINGS


class Subject(StrEnum):
    """Whose property a condition is about."""

    EVENT = "event"
    PERSON = "person"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PropertyCondition:
    """A condition on one property; `operator` and `value` as `common.matching` reads them (lists as tuples).

    Conditions on true, on 1 and on 1.0 are not equal: they match other events.
    """

    subject: Subject
    key: str
    operator: str
    value: Any
    group_type_index: int | None = None

    @property
    def compares_dates(self) -> bool:
        """Whether the value is a date, which may be relative to the moment of reading."""
        return SPELLINGS.get(self.operator, self.operator).startswith("is_date")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PropertyCondition) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return self.subject, self.key, self.operator, repr(self.value), self.group_type_index


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortCondition:
    """The person is (or is not) a member of the cohort as last calculated."""

    cohort_id: int
    is_member: bool


Condition = PropertyCondition | CohortCondition


class UrlMatching(StrEnum):
    """How the address of a step is compared with that of an event."""

    CONTAINS = "contains"
    EXACT = "exact"
    REGEX = "regex"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Events that satisfy every given part. Without a name: events of any name."""

    event: str | None = None
    url: str | None = None
    url_matching: UrlMatching = UrlMatching.CONTAINS
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Events that match any of the steps (none: no event) and all of the conditions."""

    steps: tuple[Step, ...]
    conditions: tuple[Condition, ...] = ()

    @property
    def is_of_names(self) -> bool:
        """Whether nothing but their names tells which events it selects."""
        return self.steps == tuple(Step(event=step.event) for step in self.steps if step.event) and not self.conditions


EVERY_EVENT = Selection(steps=(Step(),))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPlan:
    """Events for a list, by time and uuid. `behind` is the time and uuid of the last row of the page before."""

    project_id: int
    selection: Selection = EVERY_EVENT
    zone: str = "UTC"
    event: str | None = None
    distinct_id: str | None = None
    person_id: UUID | None = None
    uuid: UUID | None = None
    after: datetime | None = None
    before: datetime | None = None
    newest_first: bool = True
    behind: tuple[datetime, UUID] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How often: `operator` is exact, gte or lte."""

    operator: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonsPlan:
    """The persons with matching events in a window, both ends inclusive, at least once or as often as `count` says."""

    project_id: int
    selection: Selection
    start: datetime | None = None
    end: datetime | None = None
    count: Count | None = None
    zone: str = "UTC"


class MultipleVariants(StrEnum):
    """What becomes of a unit that saw several variants."""

    EXCLUDE = "exclude"
    FIRST_SEEN = "first_seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposurePlan:
    """Who was exposed to which variant, and when first, in the window from `start` to `end`, both inclusive.

    `selection` None means the calls of the flag. `unit_group` None makes persons the units, else the groups of that
    type. `activation` is the later event that completes an exposure. `variants` are those that count.
    """

    project_id: int
    flag_key: str
    variants: tuple[str, ...]
    start: datetime
    end: datetime
    zone: str
    handling: MultipleVariants
    selection: Selection | None = None
    test_account_conditions: tuple[Condition, ...] = ()
    activation: Selection | None = None
    unit_group: int | None = None
