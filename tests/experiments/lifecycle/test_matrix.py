"""Every act in every state, by either door."""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pytest

from experiments.lifecycle import TRANSITIONS, Refused, State
from tests.cast import error
from tests.experiments.lifecycle.conftest import Clock, Experiments, Shown
from tests.experiments.lifecycle.expected import (
    ACTIONS,
    ARGUMENTS,
    NOW,
    PATCHES,
    STATES,
    ChangesNothing,
    Does,
    Outcome,
    Refuses,
)

# What the read form of a flag derives from elsewhere or from the clock.
_DERIVED = (
    "updated_at",
    "last_modified_by",
    "status",
    "experiment_set",
    "experiment_set_metadata",
    "rollout_percentage",
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One act in one state. `action` None: it is sent as a PATCH."""

    state: str
    action: str | None
    body: Mapping[str, Any]
    outcome: Outcome
    name: str


CELLS = [
    Cell(state=state, action=action, body=ARGUMENTS.get(action, {}), outcome=row[state], name=f"{action}-{state}")
    for action, row in ACTIONS.items()
    for state in STATES
] + [
    Cell(state=state, action=None, body=body, outcome=row[state], name=f"PATCH {sent}-{state}")
    for sent, (body, row) in PATCHES.items()
    for state in STATES
]


@dataclass(frozen=True)
class Picture:
    """All that an act could touch, byte for byte."""

    experiment: bytes
    etag: str
    flag: bytes
    log: list[Shown]


def picture(experiments: Experiments, experiment: Shown) -> Picture:
    flag = experiments.client.get(experiments.flag_url(experiment["feature_flag"]["id"]))
    shown = experiments.get(experiment)
    return Picture(shown.content, shown["ETag"], flag.content, experiments.log())


@pytest.mark.parametrize("cell", CELLS, ids=[cell.name for cell in CELLS])
def test_lifecycle__every_act_in_every_state_by_either_door__has_exactly_the_stated_outcome(
    experiments: Experiments, clock: Clock, cell: Cell
) -> None:
    experiment = experiments.bring_to(cell.state, clock)
    flag = experiments.flag(experiment)
    before = picture(experiments, experiment)
    clock.set(NOW)
    if cell.action is None:
        answer = experiments.patch(experiment, dict(cell.body))
    else:
        answer = experiments.act(experiment, cell.action, **cell.body)
    match cell.outcome:
        case Refuses(detail):
            assert (answer.status_code, answer.json()) == (400, error("invalid_input", detail))
            assert picture(experiments, experiment) == before
        case ChangesNothing():
            assert (answer.status_code, answer.content) == (200, before.experiment)
            assert picture(experiments, experiment) == before
        case Does() as does:
            after = experiments.succeeded(answer)
            assert after == _with_effect(experiment, does)
            assert answer["ETag"] != before.etag
            assert state_of(after) == does.to
            assert _own(experiments.flag(experiment)) == _own(flag | dict(does.flag) | _stepped(flag, does))
            log = experiments.log()
            assert log[: len(before.log)] == before.log
            assert sorted(map(_bare, log[len(before.log) :]), key=itemgetter("scope")) == _rows(experiment, does)


def _with_effect(experiment: Shown, does: Does) -> Shown:
    flag = experiment["feature_flag"]
    if does.flag:
        flag = flag | dict(does.flag) | _stepped(flag, does)
    effect: Shown = {"feature_flag": flag, "status": does.to.replace("archived", "stopped"), **does.experiment}
    if does.experiment or "filters" in does.flag:
        effect["updated_at"] = NOW
    if "filters" in does.flag:
        shipped = does.flag["filters"]["multivariate"]["variants"]
        variants = [{**variant, "split_percent": variant["rollout_percentage"]} for variant in shipped]
        effect["parameters"] = {"feature_flag_variants": variants}
    return experiment | effect


def _stepped(flag: Shown, does: Does) -> Shown:
    return {"version": flag["version"] + 1} if does.flag else {}


def _own(flag: Shown) -> Shown:
    return {name: value for name, value in flag.items() if name not in _DERIVED}


def _rows(experiment: Shown, does: Does) -> list[Shown]:
    """The activity rows of the act: one of the experiment and one of the flag, as far as each of them changes."""
    trigger = does.act and {"job_type": "experiment_action", "job_id": None, "payload": {"action": does.act}}
    flag = experiment["feature_flag"]
    changed = dict(does.flag) | _stepped(flag, does)
    rows = []
    if does.experiment:
        changes = _changes("Experiment", experiment, does.experiment)
        if "filters" in does.flag:
            # What the experiment keeps of the flag's variants follows them; until then it kept none.
            followed = {"feature_flag_variants": does.flag["filters"]["multivariate"]["variants"]}
            changes = _sorted([*changes, *_changes("Experiment", {"parameters": {}}, {"parameters": followed})])
        rows.append(
            {"scope": "Experiment", "item_id": str(experiment["id"]), "activity": does.activity, "changes": changes}
        )
    if does.flag:
        changes = _changes("FeatureFlag", flag, changed)
        rows.append({"scope": "FeatureFlag", "item_id": str(flag["id"]), "activity": "updated", "changes": changes})
    return [{**row, "trigger": trigger} for row in rows]


def _changes(scope: str, before: Shown, effect: Mapping[str, Any]) -> list[Shown]:
    return _sorted(
        {
            "type": scope,
            "action": "created" if before[name] is None else "deleted" if value is None else "changed",
            "field": name,
            "before": before[name],
            "after": value,
        }
        for name, value in effect.items()
    )


def _sorted(changes: Any) -> list[Shown]:
    return sorted(changes, key=itemgetter("field"))


def _bare(row: Shown) -> Shown:
    names = ("scope", "item_id", "activity", "changes", "trigger")
    return {name: row[name] for name in names} | {"changes": _sorted(row["changes"])}


def state_of(experiment: Shown) -> str:
    """The state by dates, mark and flag, whatever `status` says."""
    if experiment["start_date"] is None:
        return "draft"
    if experiment["end_date"] is None:
        return "running" if experiment["feature_flag"]["active"] else "paused"
    return "archived" if experiment["archived"] else "stopped"


def test_matrix__is_complete() -> None:
    assert len(CELLS) == (8 + 9) * 5 == 85


@pytest.mark.parametrize("name", TRANSITIONS)
def test_transitions__each__is_possible_where_it_is_expected_and_says_why_elsewhere(name: str) -> None:
    transition = TRANSITIONS[name]
    assert transition.has_action == (name in ACTIONS)
    row = ACTIONS[name] if transition.has_action else PATCHES[str(transition.patch)][1]
    possible = {state for state in STATES if isinstance(row[state], Does)}
    assert {state.value for state in transition.sources} == possible
    if transition.has_action:
        assert {state: _first_refusal(name, state) for state in STATES} == {
            state: outcome.detail if isinstance(outcome, Refuses) else None for state, outcome in row.items()
        }


def _first_refusal(name: str, state: str) -> str | None:
    by_state = (refusal for refusal in TRANSITIONS[name].refusals if isinstance(refusal, Refused))
    return next((refusal.text for refusal in by_state if State(state) in refusal.states), None)


@pytest.mark.parametrize("sent", PATCHES)
def test_transitions__each_way_of_a_patch__is_named_by_the_transition_it_makes(sent: str) -> None:
    made = {outcome.act for outcome in PATCHES[sent][1].values() if isinstance(outcome, Does)} - {None}
    assert made == {name for name, transition in TRANSITIONS.items() if transition.patch == sent}
