"""Which links a request wants, before anyone looks whether the saved metrics exist."""

from typing import Any

import pytest
from hypothesis import given

from common.errors import Invalid
from experiments.saved_metric_links import LinkRequest, parse_links, unknown
from tests.experiments.documents import any_json, nearly, outcome

PRIMARY = {"type": "primary"}
NO_OBJECTS: list[Any] = [5, "5", None, [], True]
NO_METADATA: list[Any] = [[], "primary", 5, False]
WITHOUT_TYPE: list[Any] = [{}, {"kind": "primary"}, {"type": None}, {"type": 5}, {"type": ["primary"]}]
UNKNOWN = "Saved metric does not exist or does not belong to this project"


def link(saved_metric_id: int, **metadata: Any) -> LinkRequest:
    return LinkRequest(saved_metric_id=saved_metric_id, metadata=metadata or PRIMARY)


def refusal_of(sent: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        parse_links(sent)
    assert caught.value.attr == "saved_metrics_ids"
    return caught.value


@pytest.mark.parametrize("sent", [None, []])
def test_parse__nothing_wanted__is_an_empty_list(sent: Any) -> None:
    assert parse_links(sent) == []


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ([{"id": 5}], [link(5)]),
        ([{"id": 5, "metadata": None}], [link(5)]),
        ([{"id": 5, "metadata": {"type": "secondary"}}], [link(5, type="secondary")]),
        ([{"id": 5, "metadata": {"type": "guardrail", "order": 2}}], [link(5, type="guardrail", order=2)]),
        ([{"id": 5, "metadata": {"type": ""}}], [link(5, type="")]),
        ([{"id": 7}, {"id": 5, "more": 1}], [link(7), link(5)]),
        ([{"id": 2**63 - 1}], [link(2**63 - 1)]),
    ],
    ids=str,
)
def test_parse__links__are_wanted_in_the_order_sent(sent: Any, wanted: list[LinkRequest]) -> None:
    assert parse_links(sent) == wanted


@pytest.mark.parametrize(("sent", "type_name"), [({}, "dict"), ("5", "str"), (5, "int"), (False, "bool")])
def test_parse__no_list__is_refused(sent: Any, type_name: str) -> None:
    refusal = refusal_of(sent)

    assert refusal.code == "not_a_list"
    assert refusal.detail == f'Expected a list of items but got type "{type_name}".'


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        *((element, "Saved metric must be an object") for element in NO_OBJECTS),
        ({}, "Saved metric must have an id"),
        ({"metadata": PRIMARY}, "Saved metric must have an id"),
        *(({"id": 5, "metadata": wrong}, "Metadata must be an object") for wrong in NO_METADATA),
        *(({"id": 5, "metadata": wrong}, "Metadata must have a type key") for wrong in WITHOUT_TYPE),
        *(({"id": wrong}, UNKNOWN) for wrong in ("5", None, True, [5], {"id": 5}, 5.0, -5, 2**63, 10**400)),
    ],
    ids=lambda value: str(value)[:60],
)
def test_parse__malformed_link__is_refused_in_its_words(sent: Any, text: str) -> None:
    refusal = refusal_of([{"id": 1}, sent])

    assert (refusal.code, refusal.detail) == ("invalid_input", text)


def test_parse__saved_metric_named_twice__is_refused_whatever_the_metadata() -> None:
    refusal = refusal_of([{"id": 5}, {"id": 5, "metadata": {"type": "secondary"}}])

    assert refusal.detail == UNKNOWN


def test_unknown__of_another_project__has_the_words_of_no_id() -> None:
    assert (unknown().detail, unknown().attr) == (UNKNOWN, "saved_metrics_ids")


@given(sent=any_json | nearly([{"id": 5, "metadata": {"type": "secondary"}}, {"id": 6}]))
def test_parse__any_json__is_wanted_or_refused_by_name(sent: Any) -> None:
    wanted = outcome(lambda: parse_links(sent))
    if isinstance(wanted, Invalid):
        assert wanted.attr == "saved_metrics_ids"
        return
    assert [request.saved_metric_id for request in wanted] == [element["id"] for element in sent or []]
