"""Flags compiled from their stored documents.

Compiling happens once per change, so that evaluating neither looks into documents nor meets surprises: a document
that the rules would not have let in makes its own flag fail and no other.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from feature_flags.evaluation import bucketing, outcomes
from feature_flags.evaluation.conditions import (
    Condition,
    Malformed,
    compile_condition,
    group_type_index,
    listed,
    mapping,
)
from feature_flags.evaluation.outcomes import Evaluation

ENROLLMENT_KEY = "$feature_enrollment/"


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """One group of conditions. `fraction` None lets everybody in; `aggregation` None speaks of persons.

    Its possible answers are made beforehand, but for the matches, which are kept by variant once they occur.
    """

    index: int
    conditions: tuple[Condition, ...]
    fraction: float | None
    variant: str | None
    aggregation: int | None
    no_group: Evaluation
    no_match: Evaluation
    out_of_rollout: Evaluation
    matches: dict[str | None, Evaluation] = field(default_factory=dict, compare=False)

    def match(self, variant: str | None) -> Evaluation:
        """The answer for a subject that is let in."""
        kept = self.matches.get(variant)
        if kept is None:
            kept = self.matches[variant] = Evaluation(True, outcomes.CONDITION_MATCH, variant, self.index)
        return kept


@dataclass(frozen=True, slots=True)
class Holdout:
    """Who is kept out; the answer names the holdout."""

    variant: str
    fraction: float | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a flag's `filters` say."""

    sets: tuple[ConditionSet, ...] = ()
    variants: tuple[str, ...] = ()
    ends: tuple[float, ...] = ()
    payloads: Mapping[str, str] = field(default_factory=dict)
    aggregation: int | None = None
    holdout: Holdout | None = None
    asks_enrollment: bool = False
    early_exit: bool = False

    def conditions(self) -> Iterable[Condition]:
        return (condition for conditions in self.sets for condition in conditions.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag as it is evaluated and answered. `verdict` is its answer for everybody, if it has one."""

    id: int
    key: str
    rules: Rules
    active: bool = True
    version: int = 1
    by_device: bool = False
    continuity: bool = False
    runtime: str = "all"
    contexts: frozenset[str] = frozenset()
    has_experiment: bool = False
    is_remote_configuration: bool = False
    verdict: Evaluation | None = None

    def payload(self, evaluation: Evaluation) -> str | None:
        """The JSON text that goes with an answer."""
        if not evaluation.enabled:
            return None
        return self.rules.payloads.get("true" if evaluation.variant is None else evaluation.variant)


def compile_rules(filters: Any) -> Rules:
    """The rules in stored filters. Raises Malformed."""
    document = mapping(filters, "filters")
    aggregation = _aggregation(document.get("aggregation_group_type_index"))
    multivariate = document.get("multivariate")
    variants = [] if multivariate is None else listed(mapping(multivariate, "multivariate").get("variants"), "variants")
    return Rules(
        sets=tuple(
            _condition_set(group, index, aggregation)
            for index, group in enumerate(listed(document.get("groups"), "groups"))
        ),
        variants=tuple(_text(mapping(variant, "a variant").get("key")) for variant in variants),
        ends=bucketing.boundaries(_percentage(variant.get("rollout_percentage")) for variant in variants),
        payloads=_payloads(document.get("payloads")),
        aggregation=aggregation,
        holdout=_holdout(document.get("holdout")),
        asks_enrollment=document.get("feature_enrollment") is True,
        early_exit=document.get("early_exit") is True,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed("a key is no text")
    return value


def _percentage(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Malformed("a percentage is no number")
    return float(value)


def _fraction(value: Any) -> float | None:
    """The share to let in; None lets in everybody without hashing."""
    percentage = 100.0 if value is None else _percentage(value)
    return None if percentage == 100 else percentage / 100


def _aggregation(value: Any) -> int | None:
    return None if value is None else group_type_index(value)


def _condition_set(stored: Any, index: int, aggregation: int | None) -> ConditionSet:
    group = mapping(stored, "a group")
    variant = group.get("variant")
    return ConditionSet(
        index=index,
        conditions=tuple(compile_condition(condition) for condition in listed(group.get("properties"), "properties")),
        fraction=_fraction(group.get("rollout_percentage")),
        variant=variant if isinstance(variant, str) else None,
        aggregation=_aggregation(group.get("aggregation_group_type_index"))
        if "aggregation_group_type_index" in group
        else aggregation,
        no_group=Evaluation(False, outcomes.NO_GROUP_TYPE, None, index),
        no_match=Evaluation(False, outcomes.NO_CONDITION_MATCH, None, index),
        out_of_rollout=Evaluation(False, outcomes.OUT_OF_ROLLOUT_BOUND, None, index),
    )


def _payloads(stored: Any) -> dict[str, str]:
    payloads = {} if stored is None else mapping(stored, "payloads")
    return {key: text for key, text in payloads.items() if isinstance(text, str)}


def _holdout(stored: Any) -> Holdout | None:
    if stored is None:
        return None
    document = mapping(stored, "a holdout")
    number = document.get("id")
    if isinstance(number, bool) or not isinstance(number, int):
        raise Malformed("a holdout has no number")
    excluded = _percentage(document.get("exclusion_percentage"))
    return Holdout(f"holdout-{number}", _fraction(min(max(excluded, 0.0), 100.0)))


def compile_flag(*, filters: Any, **columns: Any) -> Flag:
    """A flag alone, not yet put in relation to others; `columns` are the further fields of `Flag`.

    One whose filters are malformed fails for everybody.
    """
    try:
        rules = compile_rules(filters)
    except Malformed:
        return Flag(rules=Rules(), verdict=outcomes.failure(outcomes.UNREADABLE), **columns)
    return Flag(rules=rules, **columns)
