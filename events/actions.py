"""Actions: what their steps may say, and which events they select."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import Invalid
from common.matching import compile_pattern
from common.property_filters import PropertyFilter, listed_form
from events import filters
from events.filters import NotComputed
from events.models import Action
from events.store.plans import Selection, Step, UrlMatching
from projects.models import Project

MAX_STEPS = 100
_TEXTS = ("event", "url", "url_matching", "selector", "tag_name", "text", "text_matching", "href", "href_matching")
_ELEMENT_PARTS = ("selector", "tag_name", "text", "href")
KEYS = (*_TEXTS[:1], "properties", *_TEXTS[1:])
_MATCHING = frozenset(UrlMatching)


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """One step as it is stored, and what it selects."""

    document: dict[str, Any]
    step: Step


def checked(steps: Any, *, project: Project) -> list[CheckedStep]:
    """The steps of a request, known keys only. Raises Invalid with attr `steps`."""
    if not isinstance(steps, list):
        raise _refusal("Action steps must be a list")
    if len(steps) > MAX_STEPS:
        raise Invalid(f"Ensure this field has no more than {MAX_STEPS} elements.", code="max_length", attr="steps")
    return [_checked_step(step, index=index, project=project) for index, step in enumerate(steps)]


def selection(action: Action) -> Selection:
    """The events of a stored action. Raises Invalid when a step can no longer be computed."""
    found = checked(action.steps, project=action.project)
    return Selection(steps=tuple(step.step for step in found))


def _refusal(detail: str) -> Invalid:
    return Invalid(detail, attr="steps")


def _checked_step(sent: Any, *, index: int, project: Project) -> CheckedStep:
    if not isinstance(sent, dict):
        raise _refusal(f"Action step at index {index} must be an object")
    document = {key: listed_form(sent[key]) if key == "properties" else sent[key] for key in KEYS if key in sent}
    for key in _TEXTS:
        if document.get(key) is not None and not isinstance(document[key], str):
            raise _refusal(f"steps[{index}].{key}: Not a valid string.")
    if any(document.get(key) for key in _ELEMENT_PARTS):
        raise _refusal(
            "Element matching (selector, tag_name, text, href) is not supported. Match on event, url and properties."
        )
    found = _filters(document, index=index)
    try:
        conditions = filters.conditions(found, project=project)
    except NotComputed as error:
        raise _refusal(error.detail) from error
    step = Step(
        event=document.get("event"),
        url=document.get("url") or None,
        url_matching=_url_matching(document, index=index),
        conditions=conditions,
    )
    return CheckedStep(document=document, step=step)


def _filters(document: Mapping[str, Any], *, index: int) -> list[PropertyFilter]:
    try:
        return filters.read(document.get("properties") or [], name=f"steps[{index}].properties")
    except Invalid as error:
        raise _refusal(error.detail) from error


def _url_matching(document: Mapping[str, Any], *, index: int) -> UrlMatching:
    matching = document.get("url_matching") or UrlMatching.CONTAINS
    if matching not in _MATCHING:
        raise _refusal(f'steps[{index}].url_matching: "{matching}" is not a valid choice.')
    if matching == UrlMatching.REGEX and document.get("url") and compile_pattern(document["url"]) is None:
        raise _refusal(f"steps[{index}].url: invalid regex pattern")
    return UrlMatching(matching)
