"""What flags answer, asked by members of the project: their own answers, and reasons for anybody's."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from feature_flags.answers import Asked, answers
from feature_flags.evaluation import outcomes
from feature_flags.evaluation.definitions import Flag
from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.project_definitions import ProjectDefinitions

_DISABLED = Evaluation(False, outcomes.DISABLED)


def _wanted(project: ProjectDefinitions, keys: frozenset[str] | None) -> list[Flag]:
    return [flag for flag in project.definitions.by_key.values() if keys is None or flag.key in keys]


def values(
    *,
    project: ProjectDefinitions,
    distinct_id: str,
    groups: Mapping[str, str],
    keys: frozenset[str] | None,
    now: datetime,
) -> dict[int, str | bool]:
    """The value of each active flag by id, in the order of keys; `keys` restricts them."""
    asked = Asked(distinct_id=distinct_id, groups=groups)
    selection = project.definitions.select(_wanted(project, keys))
    found = answers(project=project, asked=asked, selection=selection, now=now)
    return {flag.id: evaluation.value for flag, evaluation in found}


def reasons(
    *,
    project: ProjectDefinitions,
    distinct_id: str,
    groups: Mapping[str, str],
    keys: frozenset[str] | None,
    now: datetime,
) -> dict[str, Any]:
    """Value and reason of each flag by key, inactive ones included; `keys` restricts them."""
    wanted = _wanted(project, keys)
    asked = Asked(distinct_id=distinct_id, groups=groups)
    found = answers(project=project, asked=asked, selection=project.definitions.select(wanted), now=now)
    evaluations = {flag.id: evaluation for flag, evaluation in found}
    return dict(_reasons(wanted, evaluations))


def _reasons(flags: Iterable[Flag], evaluations: Mapping[int, Evaluation]) -> Iterable[tuple[str, Any]]:
    for flag in flags:
        evaluation = evaluations.get(flag.id, _DISABLED)
        yield (
            flag.key,
            {
                "value": evaluation.value,
                "evaluation": {
                    "reason": evaluation.reason,
                    "condition_index": evaluation.condition_index,
                    "description": evaluation.description,
                },
            },
        )
