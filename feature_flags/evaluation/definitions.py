"""Flags compiled from their stored documents.

Compiling happens once per change, so that evaluating neither looks into documents nor meets surprises: a document
that the rules would not have let in makes its own flag fail and no other.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from feature_flags.evaluation import bucketing, outcomes
from feature_flags.evaluation.bucketing import Bound, Hash
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
    """One group of conditions. `rollout` None lets everybody in; `aggregation` None speaks of persons.

    Its possible answers are made beforehand. `match` is that of everybody who is let in; None where a hash decides
    between `matches`, one for each variant and a last one for those whom no variant reaches.
    """

    index: int
    conditions: tuple[Condition, ...]
    rollout: Bound | None
    variant: str | None
    aggregation: int | None
    no_group: Evaluation
    no_match: Evaluation
    # The same when another group of conditions was passed over for want of a group.
    no_match_lacking_group: Evaluation
    out_of_rollout: Evaluation
    match: Evaluation | None
    matches: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True)
class Holdout:
    """Who is kept out; `answer` names the holdout."""

    answer: Evaluation
    excluded: Bound | None


@dataclass(frozen=True, slots=True)
class Enrollment:
    """The answers of a flag that persons enroll in themselves, which `key` of their properties tells."""

    key: str
    enrolled: Evaluation
    declined: Evaluation


@dataclass(frozen=True, slots=True)
class Rules:
    """What a flag's `filters` say."""

    sets: tuple[ConditionSet, ...] = ()
    # The answer without any group of conditions.
    no_sets: Evaluation = field(default_factory=lambda: Evaluation(False, outcomes.NO_CONDITION_MATCH))
    variants: tuple[str, ...] = ()
    ends: tuple[Bound, ...] = ()
    payloads: Mapping[str, str] = field(default_factory=dict)
    aggregation: int | None = None
    holdout: Holdout | None = None
    enrollment: Enrollment | None = None
    early_exit: bool = False
    # Whether nothing comes before the conditions: neither enrollment nor holdout.
    by_conditions_alone: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_conditions_alone", self.enrollment is None and self.holdout is None)

    def conditions(self) -> Iterable[Condition]:
        return (condition for conditions in self.sets for condition in conditions.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag as it is evaluated and answered. `verdict` is its answer for everybody, if it has one.

    Persons are told apart by device, by the id that is kept for the flag, or else by their distinct id; `salted` is the
    hash of its ids, begun.
    """

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
    by_distinct_id: bool = field(init=False)
    salted: Hash = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_distinct_id", not (self.by_device or self.continuity))
        object.__setattr__(self, "salted", bucketing.begun(bucketing.encoded(f"{self.key}.")))

    def payload(self, evaluation: Evaluation) -> str | None:
        """The JSON text that goes with an answer."""
        if not evaluation.enabled:
            return None
        return self.rules.payloads.get("true" if evaluation.variant is None else evaluation.variant)


def compile_rules(filters: Any, *, key: str) -> Rules:
    """The rules in the stored filters of the flag with this key. Raises Malformed."""
    document = mapping(filters, "filters")
    aggregation = _aggregation(document.get("aggregation_group_type_index"))
    multivariate = document.get("multivariate")
    stored = [] if multivariate is None else listed(mapping(multivariate, "multivariate").get("variants"), "variants")
    variants = tuple(_text(mapping(variant, "a variant").get("key")) for variant in stored)
    return Rules(
        sets=tuple(
            _condition_set(group, index, aggregation, variants)
            for index, group in enumerate(listed(document.get("groups"), "groups"))
        ),
        variants=variants,
        ends=bucketing.ends(_percentage(variant.get("rollout_percentage")) for variant in stored),
        payloads=_payloads(document.get("payloads")),
        aggregation=aggregation,
        holdout=_holdout(document.get("holdout")),
        enrollment=_enrollment(key) if document.get("feature_enrollment") is True else None,
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


def _bound(percentage: float) -> Bound | None:
    """The share to let in; None lets in everybody without hashing."""
    return None if percentage == 100 else bucketing.up_to(percentage / 100)


def _aggregation(value: Any) -> int | None:
    return None if value is None else group_type_index(value)


def _condition_set(stored: Any, index: int, aggregation: int | None, variants: tuple[str, ...]) -> ConditionSet:
    group = mapping(stored, "a group")
    variant, percentage = group.get("variant"), group.get("rollout_percentage")
    matches = tuple(Evaluation(True, outcomes.CONDITION_MATCH, key, index) for key in (*variants, None))
    if variant in variants:
        match: Evaluation | None = matches[variants.index(variant)]
    else:
        match = None if variants else matches[-1]
    return ConditionSet(
        index=index,
        conditions=tuple(compile_condition(condition) for condition in listed(group.get("properties"), "properties")),
        rollout=None if percentage is None else _bound(_percentage(percentage)),
        variant=variant if isinstance(variant, str) else None,
        aggregation=_aggregation(group.get("aggregation_group_type_index"))
        if "aggregation_group_type_index" in group
        else aggregation,
        no_group=Evaluation(False, outcomes.NO_GROUP_TYPE, None, index),
        no_match=Evaluation(False, outcomes.NO_CONDITION_MATCH, None, index),
        no_match_lacking_group=Evaluation(False, outcomes.NO_CONDITION_MATCH, None, index, lacked_group=True),
        out_of_rollout=Evaluation(False, outcomes.OUT_OF_ROLLOUT_BOUND, None, index),
        match=match,
        matches=matches,
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
    answer = Evaluation(True, outcomes.HOLDOUT_CONDITION_VALUE, f"holdout-{number}")
    return Holdout(answer, _bound(min(max(excluded, 0.0), 100.0)))


def _enrollment(key: str) -> Enrollment:
    enrolled, declined = (
        Evaluation(enabled, outcomes.SUPER_CONDITION_VALUE, condition_index=0) for enabled in (True, False)
    )
    return Enrollment(ENROLLMENT_KEY + key, enrolled, declined)


def compile_flag(*, filters: Any, key: str, **columns: Any) -> Flag:
    """A flag alone, not yet put in relation to others; `columns` are the further fields of `Flag`.

    One whose filters are malformed fails for everybody.
    """
    try:
        rules = compile_rules(filters, key=key)
    except Malformed:
        return Flag(key=key, rules=Rules(), verdict=outcomes.failure(outcomes.UNREADABLE), **columns)
    return Flag(key=key, rules=rules, **columns)
