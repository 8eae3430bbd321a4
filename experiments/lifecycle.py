"""Every transition of an experiment; nothing else writes start_date, end_date, archived or status.

Two doors lead here: the action endpoints (`perform`) and PATCH (`route`). Both get an experiment whose row and flag
are locked (`experiments.locking`), change it in memory and say what has to become of the flag; `experiments.services`
writes both. Refusals are tested in the order in which a transition lists them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from common.errors import Invalid, InvalidState
from experiments.flag_config import shipped_filters
from experiments.models import Experiment, ExperimentStatus
from experiments.variants import NO_CONTROL, TOO_FEW, check_flag_variants
from feature_flags.services import FlagChanges
from feature_flags.validation.variants import variant_keys

END_BEFORE_START = "End date must be after start date"
NOT_ENDED = "Experiment must be ended before it can be archived."
VARIANT_NOT_FOUND = "Variant '<key>' not found on feature flag."


class State(StrEnum):
    """What an experiment is: its dates, and of its flag whether it is on. `archived` is a mark on a stopped one."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    ARCHIVED = "archived"


def state_of(experiment: Experiment) -> State:
    """The state by the experiment's present values, saved or not."""
    if experiment.start_date is None:
        return State.DRAFT
    if experiment.end_date is None:
        return State.RUNNING if experiment.feature_flag.active else State.PAUSED
    return State.ARCHIVED if experiment.archived else State.STOPPED


def status_of_dates(start: datetime | None, end: datetime | None) -> str:
    """The stored status that agrees with the dates."""
    if start is None:
        return ExperimentStatus.DRAFT.value
    return (ExperimentStatus.RUNNING if end is None else ExperimentStatus.STOPPED).value


def check_date_order(start: datetime | None, end: datetime | None) -> None:
    """Raise Invalid unless the experiment ends after it starts."""
    if start is not None and end is not None and start >= end:
        raise Invalid(END_BEFORE_START)


@dataclass(slots=True, kw_only=True)
class Act:
    """One transition under way: `at` is the instant it is to bear, `arguments` what the caller sent with it.

    `flag_filters` are those of the flag once everything in the request is written.
    """

    experiment: Experiment
    at: datetime
    flag_filters: Mapping[str, Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    flag_changes: FlagChanges = field(default_factory=FlagChanges)


@dataclass(frozen=True, slots=True)
class Refused:
    """The states in which a transition is refused, and the sentence that says so."""

    states: frozenset[State]
    text: str

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,)

    def __call__(self, act: Act) -> None:
        if state_of(act.experiment) in self.states:
            raise InvalidState(self.text)


@dataclass(frozen=True, slots=True)
class NeedsFlag:
    """Refused, with the sentence, when the flag has been deleted."""

    text: str

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,)

    def __call__(self, act: Act) -> None:
        if act.experiment.feature_flag.deleted:
            raise InvalidState(self.text)


@dataclass(frozen=True, slots=True)
class Rule:
    """Refused by a rule of its own, which says one of these sentences; `<key>` in one stands for what was sent."""

    texts: tuple[str, ...]
    check: Callable[[Act], None]

    def __call__(self, act: Act) -> None:
        self.check(act)


Refusal = Refused | NeedsFlag | Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A named transition: when it is refused, in order, and what it does (the docstring of `effect`).

    `has_action`: there is an endpoint of this name. `patch`: what a PATCH sends to the same end, None where it cannot.
    """

    name: str
    refusals: tuple[Refusal, ...]
    effect: Callable[[Act], None]
    has_action: bool
    patch: str | None

    @property
    def sources(self) -> frozenset[State]:
        """The states it is possible from."""
        refused = [refusal.states for refusal in self.refusals if isinstance(refusal, Refused)]
        return frozenset(State).difference(*refused)


TRANSITIONS: dict[str, Transition] = {}


def _transition(
    *refusals: Refusal, patch: str | None = None, has_action: bool = True
) -> Callable[[Callable[[Act], None]], None]:
    def register(effect: Callable[[Act], None]) -> None:
        name = effect.__name__.removeprefix("_")
        TRANSITIONS[name] = Transition(name=name, refusals=refusals, effect=effect, has_action=has_action, patch=patch)

    return register


def _refused(text: str, *states: State) -> Refused:
    return Refused(frozenset(states), text)


_NOT_LAUNCHED = _refused("Experiment has not been launched yet.", State.DRAFT)
_ENDED = _refused("Experiment has already ended.", State.STOPPED, State.ARCHIVED)
_FLAG_LINKED = NeedsFlag("Experiment does not have a feature flag linked.")


def _check_variants(act: Act) -> None:
    check_flag_variants(variant_keys(act.flag_filters))


def _check_start(act: Act) -> None:
    check_date_order(act.at, act.experiment.end_date)


def _check_end(act: Act) -> None:
    if act.experiment.end_date is None:
        check_date_order(act.experiment.start_date, act.at)


def _check_shipped(act: Act) -> None:
    key = act.arguments["variant_key"]
    if key not in variant_keys(act.flag_filters):
        raise InvalidState(VARIANT_NOT_FOUND.replace("<key>", key))


_VARIANTS_SUFFICE = Rule((TOO_FEW, NO_CONTROL), _check_variants)
_STARTS_BEFORE_ITS_END = Rule((END_BEFORE_START,), _check_start)
_ENDS_AFTER_ITS_START = Rule((END_BEFORE_START,), _check_end)
_HAS_VARIANT = Rule((VARIANT_NOT_FOUND,), _check_shipped)


@_transition(
    _refused("Experiment has already been launched.", State.RUNNING, State.PAUSED, State.STOPPED, State.ARCHIVED),
    NeedsFlag("Experiment cannot be launched because its feature flag has been deleted."),
    _VARIANTS_SUFFICE,
    _STARTS_BEFORE_ITS_END,
    patch="start_date",
)
def _launch(act: Act) -> None:
    """`start_date` is set; the flag is switched on and serves its variants."""
    act.experiment.start_date = act.at
    act.flag_changes["active"] = True


@_transition(_NOT_LAUNCHED, _ENDED, _FLAG_LINKED, _refused("Experiment is already paused.", State.PAUSED))
def _pause(act: Act) -> None:
    """The flag is switched off and serves nobody until the experiment is resumed."""
    act.flag_changes["active"] = False


@_transition(_NOT_LAUNCHED, _ENDED, _FLAG_LINKED, _refused("Experiment is not paused.", State.RUNNING))
def _resume(act: Act) -> None:
    """The flag is switched on and serves its variants again."""
    act.flag_changes["active"] = True


@_transition(_NOT_LAUNCHED, _ENDED, _ENDS_AFTER_ITS_START, patch="end_date")
def _end(act: Act) -> None:
    """`end_date`, and what was sent of `conclusion` and `conclusion_comment`, are set: the window of the results
    closes. The flag stays as it is: users keep their variants.
    """
    act.experiment.end_date = act.at
    _conclude(act)


@_transition(
    _NOT_LAUNCHED,
    NeedsFlag("Experiment does not have a linked feature flag."),
    _HAS_VARIANT,
    _ENDS_AFTER_ITS_START,
)
def _ship_variant(act: Act) -> None:
    """`end_date` is set unless there is one, as are `conclusion` and `conclusion_comment` where sent. In the flag one
    variant gets all the weight; whether it is on does not change.
    """
    experiment = act.experiment
    if experiment.end_date is None:
        experiment.end_date = act.at
    _conclude(act)
    act.flag_changes["filters"] = shipped_filters(
        act.flag_filters,
        variant_key=act.arguments["variant_key"],
        release_to_everyone=act.arguments["release_to_everyone"],
    )


@_transition(
    _refused("Experiment is already archived.", State.ARCHIVED),
    _refused(NOT_ENDED, State.DRAFT, State.RUNNING, State.PAUSED),
    patch="archived: true",
)
def _archive(act: Act) -> None:
    """`archived` is set: the experiment leaves the default list. The flag stays as it is."""
    act.experiment.archived = True


@_transition(
    _refused("Experiment is not archived.", State.DRAFT, State.RUNNING, State.PAUSED, State.STOPPED),
    patch="archived: false",
)
def _unarchive(act: Act) -> None:
    """`archived` is cleared: the experiment is in the default list again. The flag stays as it is."""
    act.experiment.archived = False


@_transition(_refused("Experiment is already in draft state.", State.DRAFT), patch="start_date: null")
def _reset(act: Act) -> None:
    """`start_date`, `end_date`, `conclusion`, `conclusion_comment` and `archived` are cleared, all else is kept. The
    flag stays as it is, even switched on.
    """
    experiment = act.experiment
    experiment.start_date = experiment.end_date = None
    experiment.archived = False
    experiment.conclusion = experiment.conclusion_comment = None


@_transition(
    _refused("Experiment has not ended.", State.DRAFT, State.RUNNING, State.PAUSED),
    patch="end_date: null",
    has_action=False,
)
def _reopen(act: Act) -> None:
    """`end_date` and `archived` are cleared, all else is kept: the experiment goes on. The flag stays as it is."""
    act.experiment.end_date = None
    act.experiment.archived = False


def _conclude(act: Act) -> None:
    for name in ("conclusion", "conclusion_comment"):
        if name in act.arguments:
            setattr(act.experiment, name, act.arguments[name])


def perform(
    name: str,
    experiment: Experiment,
    *,
    at: datetime,
    arguments: Mapping[str, Any] | None = None,
    flag_filters: Mapping[str, Any] | None = None,
) -> FlagChanges:
    """Make a transition in memory; answers what has to become of the flag.

    `flag_filters`, where the request changes them, are those that the flag is going to have.
    Raises Invalid (attr None) with the transition's own sentence when the present state does not allow it.
    """
    transition = TRANSITIONS[name]
    filters = experiment.feature_flag.filters if flag_filters is None else flag_filters
    act = Act(experiment=experiment, at=at, flag_filters=filters, arguments=arguments or {})
    for refusal in transition.refusals:
        refusal(act)
    transition.effect(act)
    experiment.status = status_of_dates(experiment.start_date, experiment.end_date)
    return act.flag_changes


@dataclass(frozen=True, slots=True)
class Routed:
    """What a PATCH came to: the transitions it made, in order, and what has to become of the flag."""

    transitions: tuple[str, ...]
    flag_changes: FlagChanges


def route(
    experiment: Experiment, changes: Mapping[str, Any], *, now: datetime, flag_filters: Mapping[str, Any]
) -> Routed:
    """Apply start_date, end_date and archived of a PATCH, each on the outcome of the one before it.

    Equal values change nothing. Raises Invalid like the actions they stand for; that the values fit each other has
    been checked (`check_date_order`).
    """
    made: list[str] = []
    flag_changes = FlagChanges()

    def make(name: str, at: datetime = now) -> None:
        flag_changes.update(perform(name, experiment, at=at, flag_filters=flag_filters))
        made.append(name)

    if "start_date" in changes and changes["start_date"] != experiment.start_date:
        _route_start(experiment, changes["start_date"], changes=changes, make=make)
    if "end_date" in changes and changes["end_date"] != experiment.end_date:
        _route_end(experiment, changes["end_date"], make=make)
    if "archived" in changes and changes["archived"] != experiment.archived:
        make("archive" if changes["archived"] else "unarchive")
    experiment.status = status_of_dates(experiment.start_date, experiment.end_date)
    return Routed(tuple(made), flag_changes)


def _route_start(
    experiment: Experiment, start: datetime | None, *, changes: Mapping[str, Any], make: Callable[..., None]
) -> None:
    if start is None:
        make("reset")
    elif experiment.start_date is None:
        if "end_date" in changes:
            experiment.end_date = None  # The one in the body takes its place, after the launch.
        make("launch", start)
    else:
        experiment.start_date = start


def _route_end(experiment: Experiment, end: datetime | None, *, make: Callable[..., None]) -> None:
    if experiment.start_date is None:
        experiment.end_date = end
    elif end is None:
        make("reopen")
    elif experiment.end_date is None:
        make("end", end)
    else:
        experiment.end_date = end
