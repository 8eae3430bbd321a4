"""Evaluating flags for a subject. Never raises, whatever was stored; the order of the steps is that of the text."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from common.matching import MISSING
from feature_flags.evaluation import outcomes
from feature_flags.evaluation.bucketing import MAX_ID_LENGTH, START, digest, encoded
from feature_flags.evaluation.conditions import (
    CohortCondition,
    CohortNode,
    CohortTree,
    Condition,
    FlagCondition,
    GroupCondition,
    MetadataCondition,
    Negated,
    PersonCondition,
)
from feature_flags.evaluation.definitions import ENROLLMENT_KEY, ConditionSet, Flag, Holdout
from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.evaluation.project import Cohort, Definitions, Selection
from feature_flags.evaluation.subject import Subject

_NO_GROUPS = Evaluation(False, outcomes.NO_CONDITION_MATCH)
# The reason that outranks the others is given when nothing matches.
_RANKS: Mapping[str, int] = {
    outcomes.NO_GROUP_TYPE: 1,
    outcomes.NO_CONDITION_MATCH: 2,
    outcomes.OUT_OF_ROLLOUT_BOUND: 3,
}


class Evaluator:
    """Evaluates flags of one project for one subject: each flag, each cohort and each property at most once, however
    many ask for it."""

    __slots__ = ("_definitions", "_distinct_id", "_held", "_members", "_results", "_subject")

    def __init__(self, definitions: Definitions, subject: Subject) -> None:
        self._definitions = definitions
        self._subject = subject
        self._distinct_id = encoded(subject.distinct_id[:MAX_ID_LENGTH])
        # What is known of conditions on the person alone; equal ones are the same object.
        self._held: dict[Condition, bool] = {}
        self._results: dict[int, Evaluation] = {}
        self._members: dict[int, bool] = {}

    def all(self, selection: Selection) -> dict[int, Evaluation]:
        """The answers of the selected flags by id, and of the flags they ask."""
        results = self._results
        for flag in selection.order:
            if flag.id not in results:
                results[flag.id] = flag.verdict or self._evaluate(flag)
        return results

    # --- one flag --------------------------------------------------------------------------------------------------

    def _evaluate(self, flag: Flag) -> Evaluation:
        rules = flag.rules
        if rules.asks_enrollment:
            enrolled = self._subject.person.get(ENROLLMENT_KEY + flag.key, MISSING)
            if enrolled is not MISSING:
                return Evaluation(
                    enrolled is True or enrolled == "true", outcomes.SUPER_CONDITION_VALUE, condition_index=0
                )
        if rules.holdout is not None and self._is_held_out(flag, rules.holdout):
            return Evaluation(True, outcomes.HOLDOUT_CONDITION_VALUE, rules.holdout.variant)
        best, best_rank, lacked_group = _NO_GROUPS, 0, False
        for conditions in rules.sets:
            answer = self.judge(flag, conditions)
            if answer.enabled:
                return answer
            rank = _RANKS[answer.reason]
            if rank == 1:
                lacked_group = True
            if rank >= best_rank:
                best, best_rank = answer, rank
            if rank == 3 and rules.early_exit and self._bucketing_id(flag, conditions.aggregation) is not None:
                break
        if lacked_group and best_rank == 2:
            return best._replace(lacked_group=True)
        return best

    def judge(self, flag: Flag, conditions: ConditionSet) -> Evaluation:
        """What one group of conditions comes to, taken alone."""
        aggregation = conditions.aggregation
        plain = aggregation is None and flag.by_distinct_id
        identifier = self._distinct_id if plain else self._bucketing_id(flag, aggregation)
        if identifier is None:
            return conditions.out_of_rollout if aggregation is None else conditions.no_group
        for condition in conditions.conditions:
            held = self._held.get(condition)
            if not (self.holds(condition, aggregation) if held is None else held):
                return conditions.no_match
        # An empty id stands at the beginning of every rollout.
        if conditions.rollout is not None and identifier and digest(flag.salt + identifier) >= conditions.rollout:
            return conditions.out_of_rollout
        if conditions.match is not None:
            return conditions.match
        position = digest(flag.salt + identifier + b"variant") if identifier else START
        return conditions.matches[bisect_right(flag.rules.ends, position)]

    def _is_held_out(self, flag: Flag, holdout: Holdout) -> bool:
        identifier = self._bucketing_id(flag, flag.rules.aggregation)
        if identifier is None:
            return False
        return holdout.excluded is None or digest(b"holdout-" + identifier) < holdout.excluded

    def _bucketing_id(self, flag: Flag, aggregation: int | None) -> bytes | None:
        """What is hashed: the key of the group, the device, or the person as the flag knows them. None without one."""
        subject = self._subject
        if aggregation is not None:
            name = self._definitions.group_types.get(aggregation)
            identifier = None if name is None else subject.groups.get(name)
        elif flag.by_distinct_id:
            return self._distinct_id
        elif flag.by_device:
            identifier = subject.device_id
        else:
            identifier = subject.overrides.get(flag.id) or subject.anonymous_id or subject.distinct_id
        return None if identifier is None else encoded(identifier[:MAX_ID_LENGTH])

    # --- one condition ---------------------------------------------------------------------------------------------

    def holds(self, condition: Condition, aggregation: int | None) -> bool:
        """Whether a condition of a flag holds; `aggregation` is that of its group."""
        if isinstance(condition, PersonCondition):
            held = condition.matcher.matches(condition.read(self._subject.person), self._subject.moment)
            self._held[condition] = held
            return held
        if isinstance(condition, CohortCondition):
            return self.is_member(condition.cohort_id) is condition.wanted
        if isinstance(condition, GroupCondition):
            return condition.matcher.matches(self.group_value(condition, aggregation), self._subject.moment)
        if isinstance(condition, FlagCondition):
            return self._answered(condition)
        return self._metadata_holds(condition)

    def group_value(self, condition: GroupCondition, aggregation: int | None) -> Any:
        """The property of a group that a condition looks at, MISSING when there is none."""
        index = aggregation if condition.group_type_index is None else condition.group_type_index
        name = None if index is None else self._definitions.group_types.get(index)
        return self._subject.properties_of_group(name).get(condition.key, MISSING)

    def _answered(self, condition: FlagCondition) -> bool:
        result = None if condition.flag_id is None else self._results.get(condition.flag_id)
        if isinstance(condition.wanted, bool):
            return (result is not None and result.enabled) is condition.wanted
        return result is not None and result.enabled and result.variant == condition.wanted

    def _metadata_holds(self, condition: MetadataCondition) -> bool:
        value = self._subject.person_metadata.get(condition.key, MISSING)
        return condition.matcher.matches(value, self._subject.moment)

    def is_member(self, cohort_id: int) -> bool:
        """Whether the person is a member of a cohort that can be evaluated."""
        known = self._members.get(cohort_id)
        if known is not None:
            return known
        cohort = self._definitions.cohorts[cohort_id]
        for other in (*cohort.before, cohort):
            if other.id not in self._members:
                self._members[other.id] = self._compute_membership(other)
        return self._members[cohort_id]

    def _compute_membership(self, cohort: Cohort) -> bool:
        if cohort.tree is None:
            return cohort.id in self._subject.static_cohorts
        return self._satisfies(cohort.tree)

    def _satisfies(self, node: CohortNode) -> bool:
        if isinstance(node, CohortTree):
            if not node.members:
                return True
            return (all if node.every else any)(self._satisfies(member) for member in node.members)
        if isinstance(node, Negated):
            return not self.holds(node.condition, None)
        return self.holds(node, None)
