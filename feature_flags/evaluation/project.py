"""The flags of one project put in relation to each other and to its cohorts and group types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from feature_flags.evaluation import ordering, outcomes
from feature_flags.evaluation.conditions import (
    CohortCondition,
    CohortNode,
    CohortTree,
    FlagCondition,
    GroupCondition,
    Malformed,
    MetadataCondition,
    Negated,
    PersonCondition,
    compile_cohort,
)
from feature_flags.evaluation.definitions import Flag
from feature_flags.evaluation.outcomes import Evaluation

_Leaf = PersonCondition | MetadataCondition | CohortCondition


@dataclass(frozen=True, slots=True)
class Cohort:
    """A cohort as it is evaluated; a static one has no tree. `refusal` is the reason why it cannot be evaluated."""

    id: int
    tree: CohortTree | None
    refusal: str | None = None
    # The dynamic cohorts to compute before it, in that order.
    before: tuple["Cohort", ...] = ()

    def leaves(self) -> Iterable[_Leaf]:
        """What its own criteria and those of the cohorts before it look at."""
        for cohort in (*self.before, self):
            yield from _leaves(cohort.tree)


def _leaves(node: CohortNode | None) -> Iterable[_Leaf]:
    if isinstance(node, CohortTree):
        for member in node.members:
            yield from _leaves(member)
    elif isinstance(node, Negated):
        yield node.condition
    elif node is not None:
        yield node


def compile_cohorts(stored: Mapping[int, tuple[bool, Any]]) -> dict[int, Cohort]:
    """The live cohorts of a project, from `(is_static, filters)` by id."""
    trees: dict[int, CohortTree | None] = {}
    refusals: dict[int, str] = {}
    for cohort_id, (is_static, filters) in stored.items():
        trees[cohort_id] = None
        if is_static:
            continue
        try:
            trees[cohort_id] = compile_cohort(filters)
        except Malformed:
            refusals[cohort_id] = outcomes.UNREADABLE
    references = {
        cohort_id: frozenset(leaf.cohort_id for leaf in _leaves(tree) if isinstance(leaf, CohortCondition))
        for cohort_id, tree in trees.items()
    }
    order, cyclic = ordering.sort(references)
    refusals |= dict.fromkeys(cyclic, outcomes.COHORT_CYCLE)
    found: dict[int, Cohort] = {}
    for cohort_id in order:
        refusal = refusals.get(cohort_id)
        for reference in sorted(references[cohort_id]):
            refusal = refusal or (found[reference].refusal if reference in found else outcomes.COHORT_NOT_FOUND)
        needed = set() if refusal else ordering.closure(references[cohort_id], references)
        before = tuple(found[other] for other in order if other in needed and found[other].tree is not None)
        found[cohort_id] = Cohort(cohort_id, trees[cohort_id], refusal, before)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What must be known of a subject beyond its ids to evaluate some flags."""

    person_keys: frozenset[str] = frozenset()
    person_metadata: bool = False
    group_keys: Mapping[int, frozenset[str]] = field(default_factory=dict)
    static_cohorts: frozenset[int] = frozenset()
    # The flags with experience continuity.
    overrides: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Some flags to be asked, and all that follows from which they are.

    `flags` are the active ones of them in the given order; `order` are these and the active flags they ask, in
    evaluation order.
    """

    flags: tuple[Flag, ...]
    order: tuple[Flag, ...]
    # The ids of `flags`.
    ids: tuple[int, ...]
    needs: Needs
    # Whether one of `flags` cannot be evaluated, whoever asks.
    any_fails: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """All live flags of a project, ready to be evaluated.

    `flags` stand in evaluation order, each after the active ones it asks; `by_key` are the same in the order of their
    keys. `group_types` are names by index.
    """

    flags: tuple[Flag, ...]
    by_key: Mapping[str, Flag]
    by_id: Mapping[int, Flag]
    dependencies: Mapping[int, frozenset[int]]
    cohorts: Mapping[int, Cohort]
    group_types: Mapping[int, str]

    def select(self, flags: Iterable[Flag]) -> Selection:
        """The active ones among `flags`, ready to be evaluated."""
        active = tuple(flag for flag in flags if flag.active)
        reached = ordering.closure([flag.id for flag in active], self.dependencies)
        order = tuple(flag for flag in self.flags if flag.id in reached and flag.active)
        any_fails = any(flag.verdict is not None and flag.verdict.failed for flag in active)
        return Selection(
            flags=active,
            order=order,
            ids=tuple(flag.id for flag in active),
            needs=_needs(order, self.cohorts),
            any_fails=any_fails,
        )


def relate(*, flags: Iterable[Flag], cohorts: Mapping[int, Cohort], group_types: Mapping[int, str]) -> Definitions:
    """The definitions of a project. `flags` are all that are not deleted.

    What stands or falls with others is settled here, once: a flag that asks a missing one, is part of a cycle or
    refers to a cohort that cannot be evaluated gets its verdict.
    """
    by_key = {flag.key: flag for flag in sorted(flags, key=lambda flag: flag.key)}
    by_id = {flag.id: flag for flag in by_key.values()}
    asked = {flag.id: _asked(flag) for flag in by_id.values()}
    # An inactive flag answers without asking anybody.
    dependencies = {
        flag.id: frozenset(target for target in asked[flag.id] if target is not None) if flag.active else frozenset()
        for flag in by_id.values()
    }
    order, cyclic = ordering.sort(dependencies)
    for flag in by_id.values():
        verdict = flag.verdict
        if verdict is None and not asked[flag.id] <= by_id.keys():
            verdict = Evaluation(False, outcomes.MISSING_DEPENDENCY)
        elif verdict is None and flag.id in cyclic:
            verdict = outcomes.failure(outcomes.FLAG_CYCLE)
        elif verdict is None:
            verdict = _cohort_verdict(flag, cohorts)
        if verdict is not flag.verdict:
            by_id[flag.id] = replace(flag, verdict=verdict)
    by_key = {key: by_id[flag.id] for key, flag in by_key.items()}
    return Definitions(
        flags=tuple(by_id[flag_id] for flag_id in order),
        by_key=by_key,
        by_id=by_id,
        dependencies=dependencies,
        cohorts=cohorts,
        group_types=group_types,
    )


def _asked(flag: Flag) -> frozenset[int | None]:
    return frozenset(condition.flag_id for condition in flag.rules.conditions() if isinstance(condition, FlagCondition))


def _cohort_verdict(flag: Flag, cohorts: Mapping[int, Cohort]) -> Evaluation | None:
    for condition in flag.rules.conditions():
        if isinstance(condition, CohortCondition):
            cohort = cohorts.get(condition.cohort_id)
            refusal = outcomes.COHORT_NOT_FOUND if cohort is None else cohort.refusal
            if refusal is not None:
                return outcomes.failure(refusal)
    return None


def _needs(flags: Iterable[Flag], cohorts: Mapping[int, Cohort]) -> Needs:
    evaluated = [flag for flag in flags if flag.verdict is None]
    keys = {flag.rules.enrollment.key for flag in evaluated if flag.rules.enrollment is not None}
    metadata, static = False, set[int]()
    for leaf in _person_leaves(evaluated, cohorts):
        if isinstance(leaf, PersonCondition):
            keys.update((leaf.key, *leaf.instead))
        elif isinstance(leaf, MetadataCondition):
            metadata = True
        elif cohorts[leaf.cohort_id].tree is None:
            static.add(leaf.cohort_id)
    return Needs(
        person_keys=frozenset(keys - {"distinct_id"}),
        person_metadata=metadata,
        group_keys=_group_keys(evaluated),
        static_cohorts=frozenset(static),
        overrides=frozenset(flag.id for flag in evaluated if flag.continuity and not flag.by_device),
    )


def _person_leaves(flags: Iterable[Flag], cohorts: Mapping[int, Cohort]) -> Iterable[_Leaf]:
    """Every condition on the person, those of referred cohorts included, each cohort once."""
    expanded: set[int] = set()
    for flag in flags:
        for condition in flag.rules.conditions():
            if not isinstance(condition, PersonCondition | MetadataCondition | CohortCondition):
                continue
            yield condition
            if isinstance(condition, CohortCondition) and condition.cohort_id not in expanded:
                expanded.add(condition.cohort_id)
                yield from cohorts[condition.cohort_id].leaves()


def _group_keys(flags: Iterable[Flag]) -> dict[int, frozenset[str]]:
    found: dict[int, set[str]] = {}
    for flag in flags:
        for conditions in flag.rules.sets:
            for condition in conditions.conditions:
                if isinstance(condition, GroupCondition):
                    index = condition.group_type_index
                    index = conditions.aggregation if index is None else index
                    if index is not None:
                        found.setdefault(index, set()).add(condition.key)
    return {index: frozenset(keys - {"$group_key"}) for index, keys in found.items()}
