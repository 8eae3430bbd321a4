"""What counts where events alone do not say it: ties of time, actions in the place of events, and where CUPED applies.

The rules that events do say are cases of `semantics.json` and `semantics_borders.json`, listed in their `README.md`.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from events.models import Action
from experiments.results.settings import settings_of
from projects.models import Project
from tests.experiments.conftest import Experiments
from tests.experiments.results.traffic import PURCHASES

Json = dict[str, Any]
Capture = Callable[..., None]
CASES_FOLDER = Path(__file__).parents[2] / "cases"
EARLY, LATE = "00000000-0000-4000-8000-000000000001", "f0000000-0000-4000-8000-000000000000"
EVENT: Json = {"kind": "EventsNode", "event": "purchase"}
PAID: Json = {"event": "paid", "properties": [{"key": "plan", "value": "pro", "operator": "exact", "type": "event"}]}


def called(who: str, variant: str, *, time: str = "2026-01-02T00:00:00Z", uuid: str | None = None, **more: Any) -> Json:
    """A call of the flag."""
    properties = {"$feature_flag": "blue-button", "$feature_flag_response": variant, **more}
    given = {"event": "$feature_flag_called", "distinct_id": who, "timestamp": time, "properties": properties}
    return given if uuid is None else {**given, "uuid": uuid}


def did(who: str, name: str, *, time: str = "2026-01-03T00:00:00Z", **properties: Any) -> Json:
    return {"event": name, "distinct_id": who, "timestamp": time, "properties": properties}


def results(experiments: Experiments, **fields: Any) -> Json:
    """The results of a stopped experiment without filters of test accounts."""
    criteria = {"filterTestAccounts": False, **fields.pop("exposure_criteria", {})}
    experiment = experiments.stopped(exposure_criteria=criteria, **fields)
    answer = experiments.client.get(experiments.url(f"{experiment['id']}/results"))
    assert answer.status_code == 200, answer.json()
    body: Json = answer.json()
    return body


def sums_of(metric: Json) -> dict[str, tuple[int, float]]:
    """Units and sum of each arm."""
    assert metric["error"] is None
    result = metric["result"]
    return {
        arm["key"]: (arm["number_of_samples"], arm["sum"]) for arm in (result["baseline"], *result["variant_results"])
    }


@pytest.fixture
def paid(project: Project) -> Action:
    """An action of two steps: paying on the plan, or an upgrade."""
    return Action.objects.create(project=project, name="Paid", steps=[PAID, {"event": "upgraded", "properties": []}])


# --- equal times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("of_control", "of_test", "arm"), [(EARLY, LATE, "control"), (LATE, EARLY, "test")])
def test_first_seen__two_calls_of_one_instant__takes_the_smallest_uuid(
    experiments: Experiments, capture: Capture, of_control: str, of_test: str, arm: str
) -> None:
    capture(called("ada", "control", uuid=of_control), called("ada", "test", uuid=of_test))
    body = results(experiments, exposure_criteria={"multiple_variant_handling": "first_seen"})

    assert body["exposures"]["total_exposures"] == {"control": 0, "test": 0, arm: 1}


@pytest.mark.parametrize(("chrome", "safari", "value"), [(EARLY, LATE, "Chrome"), (LATE, EARLY, "Safari")])
def test_breakdown__two_calls_of_one_instant__takes_the_smallest_uuid(
    experiments: Experiments, capture: Capture, chrome: str, safari: str, value: str
) -> None:
    capture(
        called("ada", "control", uuid=chrome, **{"$browser": "Chrome"}),
        called("ada", "control", uuid=safari, **{"$browser": "Safari"}),
    )
    broken_down = {"breakdowns": [{"property": "$browser", "type": "event"}]}
    body = results(experiments, metrics=[{**PURCHASES, "breakdownFilter": broken_down}])

    assert [one["breakdown_value"] for one in body["metrics"][0]["result"]["breakdown_results"]] == [[value]]


# --- actions -----------------------------------------------------------------------------------------------------


def test_action__as_source__counts_rows_of_any_step_once(
    experiments: Experiments, capture: Capture, paid: Action
) -> None:
    capture(
        called("ada", "control"),
        called("bob", "test"),
        did("ada", "paid", plan="pro"),
        did("ada", "paid", plan="free"),
        did("ada", "upgraded"),
        did("bob", "paid"),
    )
    body = results(experiments, metrics=[{**PURCHASES, "source": {"kind": "ActionsNode", "id": paid.pk}}])

    assert sums_of(body["metrics"][0]) == {"control": (1, 2), "test": (1, 0)}


def test_action__with_filters_of_the_node__must_meet_them_too(
    experiments: Experiments, capture: Capture, paid: Action
) -> None:
    country = {"key": "country", "value": "NO", "operator": "exact", "type": "event"}
    source = {"kind": "ActionsNode", "id": paid.pk, "properties": [country]}
    capture(called("ada", "control"), did("ada", "upgraded", country="NO"), did("ada", "upgraded", country="SE"))
    body = results(experiments, metrics=[{**PURCHASES, "source": source}])

    assert sums_of(body["metrics"][0])["control"] == (1, 1)


def test_action__as_exposure__has_the_variant_of_the_flags_property(
    experiments: Experiments, capture: Capture, paid: Action
) -> None:
    flag = "$feature/blue-button"
    capture(
        called("ada", "control"),
        did("bob", "upgraded", **{flag: "test"}),
        did("eve", "paid", plan="pro", **{flag: "control"}),
        did("joe", "paid", plan="free", **{flag: "control"}),
        did("kim", "upgraded"),
    )
    body = results(experiments, exposure_criteria={"exposure_config": {"kind": "ActionsNode", "id": paid.pk}})

    assert body["exposures"]["total_exposures"] == {"control": 1, "test": 1}


def test_action__as_activation__completes_the_exposure(
    experiments: Experiments, capture: Capture, paid: Action
) -> None:
    capture(called("ada", "control"), called("bob", "test"), did("ada", "upgraded"), did("bob", "paid", plan="free"))
    body = results(experiments, exposure_criteria={"activation_config": {"kind": "ActionsNode", "id": paid.pk}})

    assert body["exposures"]["total_exposures"] == {"control": 1, "test": 0}


# --- CUPED -------------------------------------------------------------------------------------------------------


RETENTION: Json = {
    "metric_type": "retention",
    "start_event": EVENT,
    "completion_event": EVENT,
    "retention_window_start": 0,
    "retention_window_end": 7,
    "retention_window_unit": "day",
    "start_handling": "first_seen",
}


@pytest.mark.parametrize(
    ("metric", "adjusted"),
    [
        ({"metric_type": "mean", "source": EVENT}, True),
        ({"metric_type": "mean", "source": {**EVENT, "math": "max", "math_property": "amount"}}, True),
        ({"metric_type": "mean", "source": EVENT, "threshold": 2}, False),
        ({"metric_type": "mean", "source": {**EVENT, "math": "avg", "math_property": "$session_duration"}}, False),
        ({"metric_type": "ratio", "numerator": EVENT, "denominator": EVENT}, True),
        ({"metric_type": "funnel", "series": [EVENT]}, True),
        ({"metric_type": "funnel", "series": [EVENT], "funnel_order_type": "ordered"}, True),
        ({"metric_type": "funnel", "series": [EVENT], "funnel_order_type": "strict"}, False),
        ({"metric_type": "funnel", "series": [EVENT], "funnel_order_type": "unordered"}, False),
        (RETENTION, False),
    ],
)
def test_cuped__kind_of_metric__is_adjusted_where_a_past_value_makes_sense(
    experiments: Experiments, capture: Capture, metric: Json, adjusted: bool
) -> None:
    capture(called("ada", "control"), did("ada", "purchase", time="2026-01-01T12:00:00Z"))
    document = {"kind": "ExperimentMetric", "uuid": "m", **metric}
    config = {"method": "frequentist", "cuped": {"enabled": True}}
    (shown,) = results(experiments, metrics=[document], stats_config=config)["metrics"]
    baseline = shown["result"]["baseline"]

    assert ("covariate_sum" in baseline) is adjusted
    assert all(("covariate_sum" in arm) is adjusted for arm in shown["result"]["variant_results"])
    if adjusted:
        assert baseline["covariate_sum"] == (0 if "amount" in str(metric) else 1)


@pytest.mark.parametrize(
    ("stored", "days"), [(None, 14), (7, 7), (0, 1), (-3, 1), (30, 30), (31, 30), (True, 14), ("9", 14), (2.5, 14)]
)
def test_cuped__lookback__is_clamped_to_a_month_and_unusable_values_are_absent(stored: Any, days: int) -> None:
    assert settings_of({"cuped": {"enabled": True, "lookback_days": stored}}).lookback_days == days


@pytest.mark.parametrize("stored", ["yes", 1, None])
def test_cuped__anything_but_true__is_off(stored: Any) -> None:
    assert settings_of({"cuped": {"enabled": stored}}).cuped is False


# --- the table of cases ------------------------------------------------------------------------------------------


def test_table_of_cases__names_every_case_and_no_other() -> None:
    named = re.findall(r"`([a-z0-9-]+)`", (CASES_FOLDER / "README.md").read_text())
    files = [json.loads((CASES_FOLDER / f"{name}.json").read_text()) for name in ("semantics", "semantics_borders")]
    ids = [case["id"] for cases in files for case in cases["cases"]]

    assert len(ids) == len(set(ids)) == 108
    assert set(named) == set(ids)


# --- numbers of any size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "codes"),
    [(1e300, ["invalid-sums"]), ("-1e308", ["invalid-sums"]), (1e-200, []), ("1e-300", [])],
)
@pytest.mark.parametrize("math", ["sum", "min", "max", "avg"])
def test_amounts__whose_squares_no_float_holds__fail_no_results(
    experiments: Experiments, capture: Capture, amount: Any, codes: list[str], math: str
) -> None:
    for arm in ("control", "test"):
        capture(*(called(f"{arm}-{number}", arm) for number in range(50)))
        capture(*(did(f"{arm}-{number}", "purchase", amount=1 + number % 2) for number in range(49)))
    capture(*(did("test-49", "purchase", amount=amount) for _ in range(3)))
    source = {**EVENT, "math": math, "math_property": "amount"}
    mean = {"kind": "ExperimentMetric", "metric_type": "mean", "uuid": "mean", "source": source}
    ratio = {"kind": "ExperimentMetric", "metric_type": "ratio", "uuid": "ratio", "numerator": source}
    body = results(
        experiments,
        metrics=[
            mean,
            {**ratio, "denominator": EVENT},
            {**ratio, "uuid": "a", "numerator": EVENT, "denominator": source},
        ],
    )

    for metric in body["metrics"]:
        (treatment,) = metric["result"]["variant_results"]
        assert treatment["validation_failures"] == codes
        assert (treatment["effect"] is None) is bool(codes)
