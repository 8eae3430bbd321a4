"""Answers in the words of the OpenFeature Remote Evaluation Protocol."""

from typing import Any

from feature_flags.evaluation import outcomes
from feature_flags.evaluation.definitions import Flag
from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.project_definitions import parsed

ON, OFF = "on", "off"
GENERAL = "GENERAL"


def success(flag: Flag, evaluation: Evaluation | None) -> dict[str, Any]:
    """The answer of a flag; of an inactive one for None. Without `value` the caller's own default is to be used."""
    if evaluation is None:
        answer: dict[str, Any] = {"key": flag.key, "reason": "DISABLED", "variant": OFF}
        if not flag.rules.variants and not flag.is_remote_configuration:
            answer["value"] = False
        return answer | {"metadata": {"flagId": flag.id, "version": flag.version}}
    answer = {"key": flag.key, "reason": _reason(flag, evaluation), "variant": _variant(flag, evaluation)}
    answer |= _value(flag, evaluation)
    metadata: dict[str, Any] = {"flagId": flag.id, "version": flag.version, "reasonCode": evaluation.reason}
    if evaluation.condition_index is not None:
        metadata["conditionIndex"] = evaluation.condition_index
    payload = flag.payload(evaluation)
    if payload is not None:
        metadata["payload"] = payload
    return answer | {"metadata": metadata}


def failure(key: str | None, code: str, details: str) -> dict[str, Any]:
    """An error; of the whole request without a key."""
    answer: dict[str, Any] = {} if key is None else {"key": key}
    return answer | {"errorCode": code, "errorDetails": details}


def answer_of(flag: Flag, evaluation: Evaluation | None) -> dict[str, Any]:
    """A success, or the failure of a flag that could not be evaluated."""
    if evaluation is not None and evaluation.failed:
        return failure(flag.key, GENERAL, evaluation.reason)
    return success(flag, evaluation)


def _is_held_out(evaluation: Evaluation) -> bool:
    return evaluation.reason == outcomes.HOLDOUT_CONDITION_VALUE


def _variant(flag: Flag, evaluation: Evaluation) -> str:
    if evaluation.variant is not None and not flag.is_remote_configuration:
        return evaluation.variant
    if _is_held_out(evaluation) and evaluation.variant is not None:
        return evaluation.variant
    return ON if evaluation.enabled else OFF


def _value(flag: Flag, evaluation: Evaluation) -> dict[str, Any]:
    if _is_held_out(evaluation):
        return {}
    if flag.is_remote_configuration:
        payload = flag.payload(evaluation)
        return {} if payload is None else {"value": parsed(payload)}
    if evaluation.variant is not None:
        return {"value": evaluation.variant}
    return {} if flag.rules.variants else {"value": evaluation.enabled}


def _reason(flag: Flag, evaluation: Evaluation) -> str:
    if evaluation.reason in (outcomes.HOLDOUT_CONDITION_VALUE, outcomes.OUT_OF_ROLLOUT_BOUND):
        return "SPLIT"
    if evaluation.reason == outcomes.CONDITION_MATCH and evaluation.condition_index is not None:
        matched = flag.rules.sets[evaluation.condition_index]
        by_hash = evaluation.variant is not None and evaluation.variant != matched.variant
        if matched.rollout is not None or by_hash:
            return "SPLIT"
    elif evaluation.reason != outcomes.SUPER_CONDITION_VALUE:
        return "UNKNOWN"
    first = flag.rules.sets[0] if flag.rules.sets else None
    return "STATIC" if first is not None and not first.conditions and first.rollout is None else "TARGETING_MATCH"
