"""What every act must do in every state, written down from the documentation and not from the code.

`ACTIONS` are the endpoints, `PATCHES` what a PATCH can send to the same ends. The times are those of
`Experiments.bring_to`: launched on January 10th, ended on the 20th, and now it is March.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STATES = ("draft", "running", "paused", "stopped", "archived")
NOW = "2026-03-01T12:00:00Z"
START = "2026-01-05T00:00:00Z"
END = "2026-02-01T00:00:00Z"

SHIPPED = {
    "groups": [
        {
            "properties": [],
            "rollout_percentage": 100,
            "description": "Added automatically when the experiment was ended to keep only one variant.",
        },
        {"properties": [], "rollout_percentage": 100},
    ],
    "multivariate": {
        "variants": [
            {"key": "control", "name": "Control Group", "rollout_percentage": 0},
            {"key": "test", "name": "Test Variant", "rollout_percentage": 100},
        ]
    },
    "payloads": {},
    "aggregation_group_type_index": None,
}


@dataclass(frozen=True, kw_only=True)
class Does:
    """An act that is possible: the state it leads to and the values that change, all others stay.

    `act` is the lifecycle act that the activity log names, None for an ordinary change.
    """

    to: str
    act: str | None = None
    activity: str = "updated"
    experiment: Mapping[str, Any] = field(default_factory=dict)
    flag: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refuses:
    """An act that is answered with 400 and this sentence, and changes nothing."""

    detail: str


@dataclass(frozen=True)
class ChangesNothing:
    """A PATCH that is answered with 200 and changes nothing."""


Outcome = Does | Refuses | ChangesNothing
Row = Mapping[str, Outcome]

NOTHING = ChangesNothing()
NOT_LAUNCHED = Refuses("Experiment has not been launched yet.")
ENDED = Refuses("Experiment has already ended.")
NOT_ENDED = Refuses("Experiment must be ended before it can be archived.")
LAUNCHED = Refuses("Experiment has already been launched.")
NOT_PAUSED = Refuses("Experiment is not paused.")
NOT_ARCHIVED = Refuses("Experiment is not archived.")

PAUSE = Does(act="pause", to="paused", flag={"active": False})
RESUME = Does(act="resume", to="running", flag={"active": True})
ARCHIVE = Does(act="archive", to="archived", experiment={"archived": True})
UNARCHIVE = Does(act="unarchive", to="stopped", experiment={"archived": False})

_NO_CONCLUSION = {"end_date": None, "conclusion": None, "conclusion_comment": None}
RESET_OF_RUNNING = Does(act="reset", to="draft", activity="reset", experiment={"start_date": None})
RESET_OF_STOPPED = Does(act="reset", to="draft", activity="reset", experiment={"start_date": None, **_NO_CONCLUSION})
RESET_OF_ARCHIVED = Does(
    act="reset", to="draft", activity="reset", experiment={"start_date": None, **_NO_CONCLUSION, "archived": False}
)


def _launch(start: str) -> Does:
    return Does(act="launch", to="running", experiment={"start_date": start}, flag={"active": True})


def _end(end: str, **conclusion: str) -> Does:
    return Does(act="end", to="stopped", experiment={"end_date": end, **conclusion})


def _ship(to: str, **changed: Any) -> Does:
    return Does(act="ship_variant", to=to, experiment=changed, flag={"filters": SHIPPED})


# What is sent to the endpoints; all others take no body.
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "end": {"conclusion": "lost", "conclusion_comment": "No difference."},
    "ship_variant": {"variant_key": "test", "conclusion": "inconclusive"},
}
_SENT = ARGUMENTS["end"]

ACTIONS: Mapping[str, Row] = {
    "launch": {
        "draft": _launch(NOW),
        "running": LAUNCHED,
        "paused": LAUNCHED,
        "stopped": LAUNCHED,
        "archived": LAUNCHED,
    },
    "pause": {
        "draft": NOT_LAUNCHED,
        "running": PAUSE,
        "paused": Refuses("Experiment is already paused."),
        "stopped": ENDED,
        "archived": ENDED,
    },
    "resume": {
        "draft": NOT_LAUNCHED,
        "running": NOT_PAUSED,
        "paused": RESUME,
        "stopped": ENDED,
        "archived": ENDED,
    },
    "end": {
        "draft": NOT_LAUNCHED,
        "running": _end(NOW, **_SENT),
        "paused": _end(NOW, **_SENT),
        "stopped": ENDED,
        "archived": ENDED,
    },
    "ship_variant": {
        "draft": NOT_LAUNCHED,
        "running": _ship("stopped", end_date=NOW, conclusion="inconclusive"),
        "paused": _ship("stopped", end_date=NOW, conclusion="inconclusive"),
        "stopped": _ship("stopped", conclusion="inconclusive"),
        "archived": _ship("archived", conclusion="inconclusive"),
    },
    "archive": {
        "draft": NOT_ENDED,
        "running": NOT_ENDED,
        "paused": NOT_ENDED,
        "stopped": ARCHIVE,
        "archived": Refuses("Experiment is already archived."),
    },
    "unarchive": {
        "draft": NOT_ARCHIVED,
        "running": NOT_ARCHIVED,
        "paused": NOT_ARCHIVED,
        "stopped": NOT_ARCHIVED,
        "archived": UNARCHIVE,
    },
    "reset": {
        "draft": Refuses("Experiment is already in draft state."),
        "running": RESET_OF_RUNNING,
        "paused": RESET_OF_RUNNING,
        "stopped": RESET_OF_STOPPED,
        "archived": RESET_OF_ARCHIVED,
    },
}


def _changed(**fields: Any) -> Row:
    return {state: Does(to=state, experiment=fields) for state in STATES}


def _deleted() -> Row:
    return {state: Does(to=state, activity="deleted", experiment={"deleted": True}) for state in STATES}


def _moved(state: str, **fields: str) -> Does:
    return Does(to=state, experiment=fields)


# Body of the PATCH, as the documentation writes it, and its outcome in every state.
PATCHES: Mapping[str, tuple[Mapping[str, Any], Row]] = {
    "start_date": (
        {"start_date": START},
        {
            "draft": _launch(START),
            "running": _moved("running", start_date=START),
            "paused": _moved("paused", start_date=START),
            "stopped": _moved("stopped", start_date=START),
            "archived": _moved("archived", start_date=START),
        },
    ),
    "start_date: null": (
        {"start_date": None},
        {
            "draft": NOTHING,
            "running": RESET_OF_RUNNING,
            "paused": RESET_OF_RUNNING,
            "stopped": RESET_OF_STOPPED,
            "archived": RESET_OF_ARCHIVED,
        },
    ),
    "end_date": (
        {"end_date": END},
        {
            "draft": _moved("draft", end_date=END),
            "running": _end(END),
            "paused": _end(END),
            "stopped": _moved("stopped", end_date=END),
            "archived": _moved("archived", end_date=END),
        },
    ),
    "end_date: null": (
        {"end_date": None},
        {
            "draft": NOTHING,
            "running": NOTHING,
            "paused": NOTHING,
            "stopped": Does(act="reopen", to="running", experiment={"end_date": None}),
            "archived": Does(act="reopen", to="running", experiment={"end_date": None, "archived": False}),
        },
    ),
    "archived: true": (
        {"archived": True},
        {"draft": NOT_ENDED, "running": NOT_ENDED, "paused": NOT_ENDED, "stopped": ARCHIVE, "archived": NOTHING},
    ),
    "archived: false": (
        {"archived": False},
        {"draft": NOTHING, "running": NOTHING, "paused": NOTHING, "stopped": NOTHING, "archived": UNARCHIVE},
    ),
    "conclusion": ({"conclusion": "stopped_early"}, _changed(conclusion="stopped_early")),
    "conclusion_comment": ({"conclusion_comment": "Later."}, _changed(conclusion_comment="Later.")),
    "deleted: true": ({"deleted": True}, _deleted()),
}
