"""Stored flags and subjects as the documented cases write them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.matching import Moment
from feature_flags.evaluation.definitions import Flag, compile_flag
from feature_flags.evaluation.evaluate import Evaluator
from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.evaluation.project import Definitions, compile_cohorts, relate
from feature_flags.evaluation.subject import Subject

_CASES = Path(__file__).parents[2] / "cases"
EVALUATION: dict[str, Any] = json.loads((_CASES / "evaluation.json").read_text())
HASH: dict[str, Any] = json.loads((_CASES / "hash.json").read_text())
NOW = Moment(datetime(2026, 1, 15, 12, tzinfo=UTC))
EVERYBODY: dict[str, Any] = {"properties": [], "rollout_percentage": 100}


@dataclass(frozen=True, slots=True)
class Told(Evaluation):
    """An answer that equals every other with the same fields; the evaluator's own are told apart by their flags."""


def told(evaluation: Evaluation) -> Told:
    return Told(**asdict(evaluation))


def stored(document: Mapping[str, Any]) -> Flag:
    """A flag from `{id, key, active, filters, ...}`."""
    return compile_flag(
        id=document["id"],
        key=document["key"],
        filters=document["filters"],
        active=document.get("active", True),
        by_device=document.get("bucketing_identifier") == "device_id",
        continuity=document.get("ensure_experience_continuity", False),
    )


def flag(key: str = "beta", flag_id: int = 1, *, active: bool = True, **filters: Any) -> Flag:
    """A flag for everybody unless `groups` says otherwise."""
    return stored({"id": flag_id, "key": key, "active": active, "filters": {"groups": [EVERYBODY]} | filters})


def project(
    flags: Iterable[Flag],
    cohorts: Mapping[int, tuple[bool, Any]] | None = None,
    group_types: Mapping[int, str] | None = None,
) -> Definitions:
    return relate(flags=flags, cohorts=compile_cohorts(cohorts or {}), group_types=group_types or {})


def subject(distinct_id: str = "user-61", **known: Any) -> Subject:
    person = {**known.pop("person", {}), "distinct_id": distinct_id}
    return Subject(distinct_id=distinct_id, person=person, moment=NOW, **known)


def answer(definitions: Definitions, key: str, who: Subject) -> Told | None:
    """The answer of one flag; None when it is inactive."""
    flag = definitions.by_key[key]
    found = Evaluator(definitions, who).all(definitions.select([flag])).get(flag.id)
    return None if found is None else told(found)


def answers(definitions: Definitions, who: Subject) -> dict[str, Told]:
    """The answers of all active flags by key."""
    selection = definitions.select(definitions.by_key.values())
    found = Evaluator(definitions, who).all(selection)
    return {flag.key: told(found[flag.id]) for flag in selection.flags}


def condition(key: str, value: Any, operator: str = "exact", **more: Any) -> dict[str, Any]:
    return {"key": key, "value": value, "operator": operator, "type": "person", **more}


def asks(flag_id: int, value: Any = True) -> dict[str, Any]:
    """A group that holds when another flag answers `value`."""
    return {"properties": [{"key": str(flag_id), "type": "flag", "value": value, "operator": "flag_evaluates_to"}]}
