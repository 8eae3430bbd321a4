"""Evaluating flags for a subject. Never raises, whatever was stored; the order of the steps is that of the text."""

from bisect import bisect_right
from typing import Any

from common.matching import MISSING
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
from feature_flags.evaluation.definitions import ConditionSet, Flag, Holdout
from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.evaluation.project import Cohort, Definitions, Selection
from feature_flags.evaluation.subject import Subject


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
            rules = flag.rules
            answer = flag.verdict
            if answer is None and not rules.by_conditions_alone:
                answer = self._ahead_of_conditions(flag)
            results[flag.id] = answer or self.judge(flag, rules.sets)
        return results

    # --- one flag --------------------------------------------------------------------------------------------------

    def _ahead_of_conditions(self, flag: Flag) -> Evaluation | None:
        """The answer that keeps the conditions from being asked: the person's own choice, or a holdout."""
        rules = flag.rules
        if rules.enrollment is not None:
            enrolled = self._subject.person.get(rules.enrollment.key, MISSING)
            if enrolled is not MISSING:
                is_enrolled = enrolled is True or enrolled == "true"
                return rules.enrollment.enrolled if is_enrolled else rules.enrollment.declined
        if rules.holdout is not None and self._is_held_out(flag, rules.holdout):
            return rules.holdout.answer
        return None

    def judge(self, flag: Flag, sets: tuple[ConditionSet, ...]) -> Evaluation:
        """What some groups of conditions of a flag come to. The first that matches decides.

        When none does, the answer is that of the last for the reason that outranks the others: out of the rollout,
        then no match, then no group.

        Nearly all the time of a request is spent in this loop. Hence no calls in it for the common case, persons told
        apart by their distinct id and conditions that have been looked at.
        """
        rules, held, plain = flag.rules, self._held, flag.by_distinct_id
        left_out = unmatched = lacking = None
        for one in sets:
            aggregation = one.aggregation
            identifier = self._distinct_id if plain and aggregation is None else self._bucketing_id(flag, aggregation)
            if identifier is None:
                if aggregation is None:
                    left_out = one
                else:
                    lacking = one
                continue
            for condition in one.conditions:
                holds = held.get(condition)
                if not (self.holds(condition, aggregation) if holds is None else holds):
                    unmatched = one
                    break
            else:
                # An empty id stands at the beginning of every rollout.
                if one.rollout is not None and identifier:
                    hashed = flag.salted.copy()
                    hashed.update(identifier)
                    if hashed.digest() >= one.rollout:
                        left_out = one
                        if rules.early_exit:
                            break
                        continue
                return one.match or self._by_hash(flag, one, identifier)
        if left_out is not None:
            return left_out.out_of_rollout
        if unmatched is not None:
            return unmatched.no_match if lacking is None else unmatched.no_match_lacking_group
        return rules.no_sets if lacking is None else lacking.no_group

    def _by_hash(self, flag: Flag, conditions: ConditionSet, identifier: bytes) -> Evaluation:
        """The match with the variant that the hash decides on."""
        hashed = flag.salted.copy()
        hashed.update(identifier + b"variant")
        position = hashed.digest() if identifier else START
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
