"""The table of docs/lifecycle.md, made of the transitions themselves."""

from collections.abc import Iterable

from experiments.lifecycle import TRANSITIONS, NeedsFlag, Refusal, Refused, State, Transition

BEGIN = "<!-- Written by `make lifecycle` from experiments/lifecycle.py; do not edit. -->"
END = "<!-- End of what `make lifecycle` writes. -->"
_COLUMNS = ("transition", "from", "action", "PATCH", "effect", "refusals, tested in this order")


def lifecycle_table() -> str:
    """The transitions as a Markdown table, one row each."""
    rows = [_COLUMNS, ["---"] * len(_COLUMNS), *map(_row, TRANSITIONS.values())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def with_table(document: str) -> str:
    """The document with the present table between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{lifecycle_table()}\n\n{END}{after}"


def _row(transition: Transition) -> list[str]:
    return [
        f"**{transition.name}**",
        _states(transition.sources),
        f"`POST {transition.name}/`" if transition.has_action else "-",
        f"`{transition.patch}`" if transition.patch else "-",
        " ".join((transition.effect.__doc__ or "").split()),
        "<br>".join(_refusal(refusal) for refusal in transition.refusals),
    ]


def _refusal(refusal: Refusal) -> str:
    sentences = "<br>".join(f"`{text}`" for text in refusal.texts)
    if isinstance(refusal, Refused):
        return f"{sentences} ({_states(refusal.states)})"
    if isinstance(refusal, NeedsFlag):
        return f"{sentences} (flag deleted)"
    return sentences


def _states(states: Iterable[State]) -> str:
    return ", ".join(state.value for state in State if state in states)
