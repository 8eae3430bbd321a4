"""docs/lifecycle.md says what the code does."""

import re
from pathlib import Path

from experiments.lifecycle_table import lifecycle_table, with_table
from tests.experiments.lifecycle.expected import ACTIONS, PATCHES, STATES, ChangesNothing, Does, Outcome, Refuses

DOCUMENT = (Path(__file__).parents[3] / "docs" / "lifecycle.md").read_text()


def test_document__table_of_transitions__is_that_of_the_code() -> None:
    assert lifecycle_table() in DOCUMENT
    assert with_table(DOCUMENT) == DOCUMENT, "run `make lifecycle`"


def test_document__diagram__has_every_way_from_state_to_state() -> None:
    expected = {
        (state, outcome.to, outcome.act)
        for row in [*ACTIONS.values(), *(row for _, row in PATCHES.values())]
        for state, outcome in row.items()
        if isinstance(outcome, Does) and outcome.act is not None
    }
    drawn = {
        (start, end, act)
        for start, end, acts in re.findall(r"^ +(\w+) --> (\w+): (.+)$", DOCUMENT, re.MULTILINE)
        for act in acts.split(", ")
    }
    assert drawn == expected


COLUMNS = {"draft": 0, "running": 1, "paused": 1, "stopped": 2, "archived": 2}
PATCHED = ("start_date", "start_date: null", "end_date", "end_date: null", "archived: true", "archived: false")


def test_document__table_of_patches__says_what_is_expected_of_them() -> None:
    said = {sent.replace(": a time", ""): cells for sent, *cells in map(_cells, DOCUMENT.splitlines())}
    for sent in PATCHED:
        for state in STATES:
            assert _agrees(said[sent][COLUMNS[state]], PATCHES[sent][1][state]), (sent, state)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]


def _agrees(cell: str, outcome: Outcome) -> bool:
    match outcome:
        case Refuses():
            return cell == "refused"
        case ChangesNothing():
            # Also where the value is there already: nothing to clear, archived before, not archived.
            return cell in {"nothing", "clears a stored one", "archive", "unarchive"}
        case Does(act=None):
            return cell.startswith(("moves ", "stored, "))
        case Does(act=act):
            return cell.split(maxsplit=1)[0] == act
