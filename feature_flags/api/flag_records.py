"""The answers of flags in the shapes that generations of client libraries expect.

The record of a flag depends on its answer alone, and few answers are possible: each is written once and kept, as
bytes, with the definitions it was made from.
"""

from collections.abc import Callable
from typing import Any

import orjson

from feature_flags.answers import Answers
from feature_flags.evaluation.definitions import Flag
from feature_flags.evaluation.outcomes import Evaluation

CONFIG_VERSION = 1

Kept = dict[str, dict[Evaluation, bytes]]
# Writes the members of an answer, without the braces around them, in pieces: answers are long, to join them once saves
# copying them.
Pieces = tuple[bytes, ...]
Shape = Callable[[Answers, Kept], Pieces]


def _member(flag: Flag, evaluation: Evaluation, *, with_value: bool) -> bytes:
    record: dict[str, Any] = {"key": flag.key, "enabled": evaluation.enabled, "variant": evaluation.variant}
    metadata: dict[str, Any] = {
        "id": flag.id,
        "version": flag.version,
        "description": None,
        "payload": flag.payload(evaluation),
        "has_experiment": flag.has_experiment,
    }
    if evaluation.failed:
        record["failed"] = True
    if with_value:
        record["value"] = None if evaluation.failed else evaluation.value
        metadata["config_version"] = CONFIG_VERSION
    record["reason"] = {
        "code": evaluation.reason,
        "condition_index": evaluation.condition_index,
        "description": evaluation.description,
    }
    record["metadata"] = metadata
    return orjson.dumps(flag.key) + b":" + orjson.dumps(record)


def _records(found: Answers, kept: Kept, *, with_value: bool) -> Pieces:
    written = kept.setdefault("with value" if with_value else "without value", {})
    try:
        members = b",".join(map(written.__getitem__, found.evaluations))
    except KeyError:
        for flag, evaluation in found:
            if evaluation not in written:
                written[evaluation] = _member(flag, evaluation, with_value=with_value)
        members = b",".join(map(written.__getitem__, found.evaluations))
    errors = b"true" if found.any_failed else b"false"
    return b'"errorsWhileComputingFlags":', errors, b',"flags":{', members, b"}"


def records(found: Answers, kept: Kept) -> Pieces:
    """A record for each flag."""
    return _records(found, kept, with_value=False)


def records_with_value(found: Answers, kept: Kept) -> Pieces:
    """Records that tell the value too, for clients that would otherwise remark on its absence."""
    return _records(found, kept, with_value=True)


def values_and_payloads(found: Answers, kept: Kept) -> Pieces:
    """The value of each flag, and the payloads there are."""
    payloads = {flag.key: flag.payload(evaluation) for flag, evaluation in found}
    return _members(
        {
            "featureFlags": {flag.key: evaluation.value for flag, evaluation in found},
            "featureFlagPayloads": {key: payload for key, payload in payloads.items() if payload is not None},
            "errorsWhileComputingFlags": found.any_failed,
        }
    )


def enabled_values(found: Answers, kept: Kept) -> Pieces:
    """The value of each enabled flag."""
    values = {flag.key: evaluation.value for flag, evaluation in found if evaluation.enabled}
    return _members({"featureFlags": values, "errorsWhileComputingFlags": found.any_failed})


def enabled_keys(found: Answers, kept: Kept) -> Pieces:
    """The keys of the enabled flags."""
    keys = [flag.key for flag, evaluation in found if evaluation.enabled]
    return _members({"featureFlags": keys, "errorsWhileComputingFlags": found.any_failed})


def _members(document: dict[str, Any]) -> Pieces:
    return (orjson.dumps(document)[1:-1],)
