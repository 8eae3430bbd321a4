"""Selections of events judged in memory, with the same outcome as in the store. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.matching import MISSING, Moment, compile_filter, text_of
from events.store.plans import CohortCondition, Condition, Selection, Step, Subject, UrlMatching


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """An event with what is known of its person and groups. An absent profile has no properties."""

    event: str
    properties: Mapping[str, Any]
    person_properties: Mapping[str, Any] = field(default_factory=dict)
    group_properties: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    cohort_ids: frozenset[int] = frozenset()


def matches(selection: Selection, occurrence: Occurrence, moment: Moment) -> bool:
    """Whether the event is one of the selection."""
    return any(_step(step, occurrence, moment) for step in selection.steps) and all(
        _condition(condition, occurrence, moment) for condition in selection.conditions
    )


def _step(step: Step, occurrence: Occurrence, moment: Moment) -> bool:
    if step.event is not None and step.event != occurrence.event:
        return False
    if step.url is not None and not _url(step.url, step.url_matching, occurrence, moment):
        return False
    return all(_condition(condition, occurrence, moment) for condition in step.conditions)


def _url(url: str, matching: UrlMatching, occurrence: Occurrence, moment: Moment) -> bool:
    address = occurrence.properties.get("$current_url", MISSING)
    if address is MISSING:
        return False
    if matching is UrlMatching.REGEX:
        return compile_filter(operator="regex", value=url).matches(address, moment)
    return text_of(address) == url if matching is UrlMatching.EXACT else url in text_of(address)


def _condition(condition: Condition, occurrence: Occurrence, moment: Moment) -> bool:
    if isinstance(condition, CohortCondition):
        return (condition.cohort_id in occurrence.cohort_ids) == condition.is_member
    if condition.subject is Subject.EVENT:
        properties = occurrence.properties
    elif condition.subject is Subject.PERSON:
        properties = occurrence.person_properties
    else:
        properties = occurrence.group_properties.get(condition.group_type_index or 0, {})
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    matcher = compile_filter(operator=condition.operator, value=value, of_event=condition.subject is Subject.EVENT)
    return matcher.matches(properties.get(condition.key, MISSING), moment)
