"""One flag and one person, step by step: what each group of conditions came to, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common import documents
from common.matching import MISSING, Moment
from feature_flags.answers import Asked, subject
from feature_flags.evaluation import outcomes
from feature_flags.evaluation.conditions import (
    CohortCondition,
    Condition,
    GroupCondition,
    MetadataCondition,
    PersonCondition,
    compile_condition,
)
from feature_flags.evaluation.definitions import Flag
from feature_flags.evaluation.evaluate import Evaluator
from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.evaluation.project import relate
from feature_flags.identities import StoredIdentity
from feature_flags.project_definitions import FlagRow, ProjectDefinitions, compile_row, parsed


@dataclass(frozen=True, slots=True)
class Explained:
    """The evaluation of a flag as if it were active, with what led to it."""

    flag: Flag
    evaluation: Evaluation
    person: Mapping[str, Any]
    conditions: list[dict[str, Any]]


def explain(
    *, project: ProjectDefinitions, row: FlagRow, asked: Asked, stored: StoredIdentity, now: datetime
) -> Explained:
    """Evaluate the flag of `row`, which takes the place of the project's own, and say why. Nothing is written."""
    others = [flag for flag in project.compiled.values() if flag.id != row.id]
    definitions = relate(
        flags=[*others, compile_row(row._replace(active=True))],
        cohorts=project.definitions.cohorts,
        group_types=project.definitions.group_types,
    )
    flag = definitions.by_id[row.id]
    who = subject(definitions, asked, stored, Moment(now, project.zone))
    evaluator = Evaluator(definitions, who)
    results = evaluator.all(definitions.select([flag]))
    evaluation = results[flag.id]
    if flag.verdict is not None:
        # There is nothing to go through: it is so for everybody.
        return Explained(flag, evaluation, who.person, [])
    explained = _Explainer(evaluator, flag, evaluation, results, who.person, who.person_metadata)
    return Explained(flag, evaluation, who.person, explained.sets(parsed(row.text_filters)))


@dataclass(frozen=True, slots=True)
class _Explainer:
    evaluator: Evaluator
    flag: Flag
    evaluation: Evaluation
    results: Mapping[int, Evaluation]
    person: Mapping[str, Any]
    metadata: Mapping[str, Any]

    def sets(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [self._set(index, stored) for index, stored in enumerate(filters.get("groups") or [])]

    def _set(self, index: int, stored: Mapping[str, Any]) -> dict[str, Any]:
        compiled = self.flag.rules.sets[index]
        alone = self.evaluator.judge(self.flag, (compiled,))
        properties = [self._property(one, compiled.aggregation) for one in stored.get("properties") or []]
        decided = self.evaluation.enabled and self.evaluation.reason == outcomes.CONDITION_MATCH
        properties_matched = all(one["matched"] for one in properties)
        return {
            "index": index,
            "matched": decided and self.evaluation.condition_index == index,
            "properties_matched": properties_matched,
            "explanation": alone.description,
            "rollout_percentage": stored.get("rollout_percentage"),
            "rollout_excluded": properties_matched and alone.reason == outcomes.OUT_OF_ROLLOUT_BOUND,
            "variant": stored.get("variant"),
            "properties": properties,
        }

    def _property(self, stored: Mapping[str, Any], aggregation: int | None) -> dict[str, Any]:
        condition = compile_condition(stored)
        actual = self._actual(condition, aggregation)
        matched = self.evaluator.holds(condition, aggregation)
        found = "there is none" if actual is MISSING else f"it is {documents.dumps(actual)}"
        return {
            "key": stored.get("key"),
            "operator": stored.get("operator", "exact"),
            "value": stored.get("value"),
            "type": stored.get("type", "person"),
            "actual_value": None if actual is MISSING else actual,
            "matched": matched,
            "explanation": f"{'Matches' if matched else 'Does not match'}: {found}.",
        }

    def _actual(self, condition: Condition, aggregation: int | None) -> Any:
        """What the condition looks at: a property, whether the person is a member, what the other flag answers."""
        if isinstance(condition, PersonCondition):
            return condition.read(self.person)
        if isinstance(condition, MetadataCondition):
            return self.metadata.get(condition.key, MISSING)
        if isinstance(condition, GroupCondition):
            return self.evaluator.group_value(condition, aggregation)
        if isinstance(condition, CohortCondition):
            return self.evaluator.is_member(condition.cohort_id)
        answered = None if condition.flag_id is None else self.results.get(condition.flag_id)
        return False if answered is None else answered.value
