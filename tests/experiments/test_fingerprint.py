"""Fingerprints: the published ones, what enters them and what does not."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from experiments.fingerprint import FingerprintContext, fingerprint, with_fingerprint
from tests.experiments.documents import event, funnel, mean

GROUPS = json.loads((Path(__file__).parents[1] / "cases" / "fingerprints.json").read_text())["groups"]
VECTORS = [(group, vector) for group in GROUPS for vector in group["vectors"]]


def context(**settings: Any) -> FingerprintContext:
    defaults: dict[str, Any] = {
        "start_date": None,
        "stats_method": "bayesian",
        "exposure_criteria": None,
        "only_count_matured_users": False,
        "excluded_variants": [],
    }
    return FingerprintContext(**(defaults | settings))


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("group", "vector"), VECTORS, ids=str)
def test_fingerprint__published_vector__is_reproduced(group: Any, vector: Any) -> None:
    start_date = group["start_date"]
    found = fingerprint(
        vector["metric"],
        context(
            start_date=None if start_date is None else datetime.fromisoformat(start_date),
            stats_method=group["stats_method"],
            exposure_criteria=group["exposure_criteria"],
        ),
    )

    assert found == vector["fingerprint"]


def test_fingerprint__all_settings__is_the_hash_of_this_text() -> None:
    found = fingerprint(
        mean(event("a")),
        context(
            start_date=datetime(2024, 1, 1, 10, 0, 0, 5, tzinfo=UTC),
            stats_method="frequentist",
            exposure_criteria={"filterTestAccounts": False},
            only_count_matured_users=True,
            excluded_variants=["b", "a", "b"],
        ),
    )

    assert found == hashed(
        '{"excluded_variants":["a","b"],"exposure_criteria":{"filterTestAccounts":false},'
        '"metric":{"metric_type":"mean","source":{"event":"a","kind":"EventsNode"}},'
        '"only_count_matured_users":true,"start_date":"2024-01-01T10:00:00.000005+00:00",'
        '"stats_method":"frequentist"}'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", '"\\u00e9"'),
        ("😀", '"\\ud83d\\ude00"'),
        ('"\\\n', '"\\"\\\\\\n"'),
        (5, "5"),
        (5.0, "5.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (1e22, "1e+22"),
        (10**30, "1" + "0" * 30),
        (None, "null"),
        ({"b": 1, "a": [True, {}]}, '{"a":[true,{}],"b":1}'),
    ],
    ids=str,
)
def test_fingerprint__value_of_any_form__is_hashed_canonically(value: Any, text: str) -> None:
    found = fingerprint({"metric_type": "mean", "response": value}, context())

    assert found == hashed(
        f'{{"metric":{{"metric_type":"mean","response":{text}}},"start_date":null,"stats_method":"bayesian"}}'
    )


@pytest.mark.parametrize(
    "same",
    [
        mean(uuid="u"),
        mean(name="n"),
        mean(fingerprint="f"),
        {**mean(), "kind": "Something"},
        dict(reversed(mean().items())),
        mean(breakdownFilter=None),
        mean(breakdownFilter={}),
        mean(breakdownFilter={"breakdowns": []}),
        mean(breakdownFilter={"breakdowns": None}),
    ],
    ids=str,
)
def test_fingerprint__labels_order_of_keys_and_empty_breakdowns__count_for_nothing(same: Any) -> None:
    assert fingerprint(same, context()) == fingerprint(mean(), context())


@pytest.mark.parametrize(
    "other",
    [
        mean(event("visit")),
        mean(event(name="a node's name counts")),
        mean(event(math="total")),
        mean(goal=None),
        mean(goal="increase"),
        mean(breakdownFilter={"breakdowns": [{"property": "p"}]}),
        mean(breakdownFilter={"breakdowns": [], "breakdown_limit": 5}),
        funnel(event()),
    ],
    ids=str,
)
def test_fingerprint__anything_else_of_the_metric__counts(other: Any) -> None:
    assert fingerprint(other, context()) != fingerprint(mean(), context())


def test_fingerprint__integer_and_float_of_one_value__are_two() -> None:
    assert fingerprint(mean(threshold=5), context()) != fingerprint(mean(threshold=5.0), context())


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({"stats_method": None}, True),
        ({"stats_method": "frequentist"}, False),
        ({"exposure_criteria": {}}, True),
        ({"exposure_criteria": {"filterTestAccounts": True}}, False),
        ({"only_count_matured_users": True}, False),
        ({"excluded_variants": ["test"]}, False),
        ({"start_date": datetime(2024, 1, 1, tzinfo=UTC)}, False),
    ],
    ids=str,
)
def test_fingerprint__settings_of_the_experiment__count_unless_empty(other: dict[str, Any], is_same: bool) -> None:
    assert (fingerprint(mean(), context(**other)) == fingerprint(mean(), context())) is is_same


def test_fingerprint__one_instant_in_two_zones__is_one() -> None:
    here = datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    there = datetime(2024, 1, 1, 10, tzinfo=UTC)

    assert fingerprint(mean(), context(start_date=here)) == fingerprint(mean(), context(start_date=there))


def test_with_fingerprint__stored_one__is_replaced_at_the_end_and_the_metric_left_alone() -> None:
    stored = {"fingerprint": "old", **mean()}
    made = with_fingerprint(stored, context())

    assert list(made) == [*mean(), "fingerprint"]
    assert made["fingerprint"] == fingerprint(mean(), context())
    assert stored["fingerprint"] == "old"
