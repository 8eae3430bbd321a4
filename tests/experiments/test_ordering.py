"""uuids are unique, arrays hold every metric: pure functions, so the tests are tables."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Invalid
from experiments import ordering
from experiments.ordering import OMITTED
from tests.experiments.documents import any_json, outcome

PRIMARY, SECONDARY = "primary_metrics_ordered_uuids", "secondary_metrics_ordered_uuids"
ADVICE = "This is likely a frontend bug - please refresh and try again."

few = st.lists(st.sampled_from("abcdef"), max_size=6, unique=True)


def of(*uuids: Any) -> list[dict[str, Any]]:
    return [{"uuid": own, "name": "n"} for own in uuids]


def uuids_of(metrics: list[dict[str, Any]]) -> list[str]:
    return [metric["uuid"] for metric in metrics]


def is_fresh(value: Any) -> bool:
    return isinstance(value, str) and uuid.UUID(value).version == 4 and str(uuid.UUID(value)) == value


def test_unique_uuids__all_different__are_kept_with_all_else() -> None:
    lists = [of("a", "not a uuid"), of("b")]

    assert ordering.unique_uuids(lists, taken={"c"}) == lists


@pytest.mark.parametrize("metric", [{}, {"uuid": None}, {"uuid": ""}], ids=str)
def test_unique_uuids__none_sent__get_fresh_ones(metric: dict[str, Any]) -> None:
    [[first, second]] = ordering.unique_uuids([[metric, dict(metric)]], taken=())

    assert is_fresh(first["uuid"])
    assert is_fresh(second["uuid"])
    assert first != second


@pytest.mark.parametrize(
    ("lists", "taken", "kept"),
    [
        ([of("a", "a")], (), [["a", None]]),
        ([of("a"), of("a", "b")], (), [["a"], [None, "b"]]),
        ([of("a", "b")], {"a"}, [[None, "b"]]),
        ([of("a", "a"), of("a")], {"a"}, [[None, None], [None]]),
        ([[], of("a")], (), [[], ["a"]]),
    ],
    ids=str,
)
def test_unique_uuids__one_held_already__is_replaced_and_the_first_holder_keeps_it(
    lists: Any, taken: Any, kept: list[list[str | None]]
) -> None:
    made = ordering.unique_uuids(lists, taken=taken)

    for metrics, expected in zip(made, kept, strict=True):
        for found, wanted in zip(uuids_of(metrics), expected, strict=True):
            assert is_fresh(found) if wanted is None else found == wanted


def test_unique_uuids__replaced__keeps_the_place_of_the_key_and_the_sent_metric() -> None:
    sent = of("a")
    [[made]] = ordering.unique_uuids([sent], taken={"a"})

    assert list(made) == ["uuid", "name"]
    assert sent == of("a")


@given(lists=st.lists(st.lists(st.sampled_from(["", "a", "b", "c", None])), max_size=3), taken=st.sets(st.just("a")))
def test_unique_uuids__any_lists__end_in_as_many_uuids_as_metrics(lists: Any, taken: set[str]) -> None:
    made = ordering.unique_uuids([of(*uuids) for uuids in lists], taken=taken)
    found = [own for metrics in made for own in uuids_of(metrics)]

    assert len({*found, *taken}) == len(found) + len(taken)
    assert [len(metrics) for metrics in made] == [len(uuids) for uuids in lists]


@pytest.mark.parametrize(
    ("sent", "order"),
    [(None, None), ([], []), (["b", "a"], ["b", "a"]), (["a", "b", "a"], ["a", "b"]), ([""], [""])],
    ids=str,
)
def test_parse_order__list_of_strings__is_kept_without_repeats(sent: Any, order: Any) -> None:
    assert ordering.parse_order(sent, attr=PRIMARY) == order


@pytest.mark.parametrize("sent", [{}, "a", 5, ["a", 5], [None], [["a"]], True], ids=str)
def test_parse_order__anything_else__is_refused(sent: Any) -> None:
    with pytest.raises(Invalid) as caught:
        ordering.parse_order(sent, attr=SECONDARY)

    assert (caught.value.detail, caught.value.attr) == (f"{SECONDARY} must be a list of strings", SECONDARY)


@given(sent=any_json)
def test_parse_order__any_json__is_stored_or_refused_by_name(sent: Any) -> None:
    order = outcome(lambda: ordering.parse_order(sent, attr=PRIMARY))

    if isinstance(order, Invalid):
        assert order.attr == PRIMARY
    elif order is not None:
        assert set(order) == set(sent)


@pytest.mark.parametrize(
    ("sent", "inline", "saved", "order"),
    [
        (None, [], [], None),
        ([], [], [], []),
        (["x"], [], [], ["x"]),
        (None, ["a", "b"], ["s"], ["a", "b", "s"]),
        ([], ["a"], [], ["a"]),
        (["b"], ["a", "b"], ["s"], ["b", "a", "s"]),
        (["s", "x", "b"], ["a", "b"], ["s", "t"], ["s", "x", "b", "a", "t"]),
    ],
    ids=str,
)
def test_created_order__appends_what_the_sent_array_lacks(sent: Any, inline: Any, saved: Any, order: Any) -> None:
    assert ordering.created_order(sent=sent, inline=inline, saved=saved) == order


@given(sent=st.none() | few, inline=few, saved=few)
def test_created_order__any_metrics__is_complete(sent: Any, inline: list[str], saved: list[str]) -> None:
    order = ordering.created_order(sent=sent, inline=inline, saved=saved)

    ordering.check_complete(PRIMARY, order, [*inline, *saved])


@pytest.mark.parametrize(
    ("sent", "stored", "before", "after", "order"),
    [
        # nothing changes
        (OMITTED, ["b", "a"], "ab", "ab", ["b", "a"]),
        (OMITTED, None, "", "", None),
        (OMITTED, ["x"], "", "", ["x"]),
        # metrics leave and come
        (OMITTED, ["b", "a"], "ab", "a", ["a"]),
        (OMITTED, ["b", "x", "a"], "ab", "", ["x"]),
        (OMITTED, ["b", "a"], "ab", "acb", ["b", "a", "c"]),
        (OMITTED, ["b", "a"], "ab", "acd", ["a", "c", "d"]),
        (OMITTED, None, "", "ab", ["a", "b"]),
        # the array is sent
        (["b", "a"], ["a", "b"], "ab", "ab", ["b", "a"]),
        (["x", "b", "a"], ["a", "b"], "ab", "ab", ["x", "b", "a"]),
        (["c", "a"], ["a", "b"], "ab", "ac", ["c", "a"]),
        (["b", "a"], ["a", "b"], "ab", "ac", ["a", "c"]),
        ([], ["x"], "", "", []),
        (None, ["x"], "", "", None),
        (None, None, "", "a", ["a"]),
        # what it lacks of the present metrics stays lacking
        (["a"], ["a", "b"], "ab", "ab", ["a"]),
        (None, ["a"], "a", "a", None),
    ],
    ids=str,
)
def test_updated_order__follows_the_metrics(sent: Any, stored: Any, before: Any, after: Any, order: Any) -> None:
    assert ordering.updated_order(sent=sent, stored=stored, before=before, after=after) == order


@given(order=few, before=few, after=few)
def test_updated_order__complete_before__is_complete_after(
    order: list[str], before: list[str], after: list[str]
) -> None:
    stored = list(dict.fromkeys([*order, *before]))
    updated = ordering.updated_order(sent=OMITTED, stored=stored, before=before, after=after)

    ordering.check_complete(PRIMARY, updated, after)
    assert updated is not None
    assert not set(updated) & (set(before) - set(after))
    assert [own for own in stored if own in updated] == [own for own in updated if own in stored]


@pytest.mark.parametrize(("order", "uuids"), [(None, []), ([], []), (["x"], []), (["x", "b", "a"], ["a", "b"])])
def test_check_complete__every_uuid_there__is_fine(order: Any, uuids: list[str]) -> None:
    ordering.check_complete(PRIMARY, order, uuids)


@pytest.mark.parametrize(
    ("field", "order", "uuids", "text"),
    [
        (PRIMARY, None, ["a"], f"{PRIMARY} is null but primary metrics exist. {ADVICE}"),
        (SECONDARY, None, ["a"], f"{SECONDARY} is null but secondary metrics exist. {ADVICE}"),
        (PRIMARY, [], ["a"], f"{PRIMARY} is missing UUIDs: ['a']. {ADVICE}"),
        (SECONDARY, ["b"], ["c", "b", "a"], f"{SECONDARY} is missing UUIDs: ['a', 'c']. {ADVICE}"),
    ],
    ids=str,
)
def test_check_complete__a_uuid_missing__is_refused_naming_it(
    field: str, order: Any, uuids: list[str], text: str
) -> None:
    with pytest.raises(Invalid) as caught:
        ordering.check_complete(field, order, uuids)

    assert (caught.value.detail, caught.value.attr) == (text, None)
