"""The feed from which servers evaluate flags themselves: every flag that may be told, and the cohorts they need.

Written from the same rows as the compiled definitions, once per change. Documents are passed through as stored, except
for what clients read in another form: dependencies by key, negated cohorts, criteria of one kind per list.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from common import documents
from feature_flags.evaluation import ordering, outcomes
from feature_flags.evaluation.conditions import CohortCondition, FlagCondition, identifier
from feature_flags.evaluation.definitions import Flag
from feature_flags.evaluation.project import Definitions
from feature_flags.project_definitions import FlagRow, ProjectDefinitions, parsed

PROPERTY_MATCHING_VERSION = 1


def feed(project: ProjectDefinitions) -> bytes:
    """The JSON text of the feed; the same bytes as long as nothing in it changes."""
    return project.memoized("definitions feed", lambda: _feed(project))


def _feed(project: ProjectDefinitions) -> bytes:
    by_id = project.definitions.by_id
    told = [
        (row, by_id[row.id])
        for row in sorted(project.source.flags, key=lambda row: row.key)
        # Filters that cannot be read would mislead a client; without them it asks, and is told that the flag failed.
        if not row.has_encrypted_payloads and not _is_unreadable(by_id[row.id])
    ]
    return orjson.dumps(
        {
            "flags": [_flag(row, flag, project) for row, flag in told],
            "group_type_mapping": {str(index): name for index, name in project.definitions.group_types.items()},
            "cohorts": _cohorts(project, (flag for _, flag in told)),
            "minimal_flag_called_events": False,
            "property_matching_version": PROPERTY_MATCHING_VERSION,
        }
    )


def _is_unreadable(flag: Flag) -> bool:
    return flag.verdict is not None and flag.verdict.reason == outcomes.UNREADABLE


def _flag(row: FlagRow, flag: Flag, project: ProjectDefinitions) -> dict[str, Any]:
    return {
        "id": row.id,
        "team_id": project.project_id,
        "name": row.name,
        "key": row.key,
        "filters": _filters(row, flag, project.definitions),
        "deleted": False,
        "active": row.active,
        "ensure_experience_continuity": row.ensure_experience_continuity,
        "has_encrypted_payloads": False,
        "version": row.version,
        "evaluation_runtime": row.evaluation_runtime,
        "bucketing_identifier": row.bucketing_identifier,
        "evaluation_contexts": list(row.evaluation_contexts),
        "has_experiment": row.has_experiment,
    }


def _filters(row: FlagRow, flag: Flag, definitions: Definitions) -> orjson.Fragment:
    if not any(isinstance(condition, CohortCondition | FlagCondition) for condition in flag.rules.conditions()):
        return orjson.Fragment(row.text_filters)
    filters = parsed(row.text_filters)
    for group in filters["groups"]:
        group["properties"] = [_property(stored, definitions) for stored in group.get("properties") or []]
    return orjson.Fragment(documents.dumps(filters))


def _property(stored: dict[str, Any], definitions: Definitions) -> dict[str, Any]:
    kind = stored.get("type")
    if kind == "flag":
        target = definitions.by_id.get(identifier(stored["key"]) or 0)
        key = stored["key"] if target is None else target.key
        return {**stored, "key": key, "dependency_chain": [] if target is None else _chain(target, definitions)}
    if kind == "cohort" and stored.get("negation"):
        plain = {name: value for name, value in stored.items() if name != "negation"}
        return {**plain, "operator": "in" if stored.get("operator") == "not_in" else "not_in"}
    return stored


def _chain(target: Flag, definitions: Definitions) -> list[str]:
    """The keys to evaluate before the condition can be, in order, the target last; none where that cannot succeed."""
    needed = ordering.closure([target.id], definitions.dependencies)
    chain = [flag for flag in definitions.flags if flag.id in needed]
    hopeless = (outcomes.MISSING_DEPENDENCY, outcomes.FLAG_CYCLE)
    if any(flag.active and flag.verdict is not None and flag.verdict.reason in hopeless for flag in chain):
        return []
    return [flag.key for flag in chain]


def _cohorts(project: ProjectDefinitions, flags: Iterable[Flag]) -> dict[str, Any]:
    """The criteria of the dynamic cohorts that the flags refer to, directly or through other cohorts."""
    compiled = project.definitions.cohorts
    wanted: set[int] = set()
    for flag in flags:
        for condition in flag.rules.conditions():
            cohort = compiled.get(condition.cohort_id) if isinstance(condition, CohortCondition) else None
            if cohort is not None and cohort.refusal is None:
                wanted.update(other.id for other in (*cohort.before, cohort) if other.tree is not None)
    texts = {cohort_id: text for cohort_id, _, text in project.source.cohorts}
    return {
        str(cohort_id): orjson.Fragment(documents.dumps(_criteria(parsed(texts[cohort_id])["properties"])))
        for cohort_id in sorted(wanted)
    }


def _criteria(node: Mapping[str, Any]) -> dict[str, Any]:
    """A group of criteria in which each list holds only groups or only leaves."""
    values = [_criteria(member) if "values" in member else member for member in node.get("values") or []]
    if any("values" in member for member in values):
        values = [member if "values" in member else {"type": "AND", "values": [member]} for member in values]
    return {"type": str(node.get("type", "AND")).upper(), "values": values}
