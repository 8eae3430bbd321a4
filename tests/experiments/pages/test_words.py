"""Metrics, settings and reasons in words."""

from typing import Any, get_args

import pytest

from experiments.pages import words
from experiments.results.settings import settings_of
from stats.results import Reason
from tests.experiments import documents as make

TABLE: list[tuple[dict[str, Any], str]] = [
    (make.mean(), "Number of purchase"),
    (make.mean(make.event(math="sum", math_property="amount")), "Sum of amount of purchase"),
    (make.mean(make.event(custom_name="Orders")), "Number of Orders"),
    (make.mean(make.action(7, name="Bought")), "Number of Bought"),
    (make.mean({"kind": "EventsNode", "event": None}), "Number of any event"),
    (make.mean(threshold=3), "Number of purchase, at least 3"),
    (make.mean(upper_bound_percentile=0.99), "Number of purchase; values above the 99th percentile are capped"),
    (
        make.mean(conversion_window=14, conversion_window_unit="day"),
        "Number of purchase; within 14 days of the exposure",
    ),
    (make.funnel(make.event("cart"), make.event("paid")), "cart → paid"),
    (make.funnel(make.event("cart"), make.event("paid"), funnel_order_type="unordered"), "cart → paid, in any order"),
    (make.ratio(), "Number of purchase, divided by: Number of visit"),
    (make.retention(), "After the first signup: visit within 1 to 7 days"),
    ({"metric_type": "mean"}, ""),
]


@pytest.mark.parametrize(("document", "text"), TABLE)
def test_definition(document: dict[str, Any], text: str) -> None:
    assert words.definition(document) == text


def test_reasons__every_code_has_words() -> None:
    assert set(words.REASONS) == set(get_args(Reason))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (None, "Bayesian, 95 % credible intervals, relative differences"),
        (
            {"method": "frequentist", "frequentist": {"alpha": 0.1, "difference_type": "ABSOLUTE"}},
            "Frequentist, 90 % confidence intervals, absolute differences",
        ),
        (
            {
                "method": "frequentist",
                "frequentist": {"sequential_testing_enabled": True},
                "cuped": {"enabled": True, "lookback_days": 1},
                "multiplicity": "holm",
            },
            "Sequential, 95 % confidence intervals, relative differences, CUPED over 1 day, Holm correction",
        ),
    ],
)
def test_method(config: dict[str, Any] | None, text: str) -> None:
    assert words.method(settings_of(config).shown()).replace("\u00a0", " ") == text
