"""Each finding about an experiment, on either side of the border where it begins."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from events.store.measures import Sums
from experiments.results import health, report
from stats.srm import is_alarming, sample_ratio_mismatch
from tests.experiments.results.sums import NOW, VARIANTS, cut_of, experiment_with

Json = dict[str, Any]
ENDED = datetime(2026, 1, 20, tzinfo=UTC)
SIGNUP: Json = {
    "kind": "ExperimentMetric",
    "metric_type": "funnel",
    "uuid": "signup",
    "series": [{"kind": "EventsNode", "event": "signup"}],
}
SPENT: Json = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "uuid": "spent",
    "source": {"kind": "EventsNode", "event": "purchase", "math": "sum", "math_property": "amount"},
}


def of_exposures(sizes: Sequence[int], *, multiple: int = 0, **fields: Any) -> dict[str, Json]:
    """The findings, by code, about an experiment with arms of these sizes. It has a metric that is not asked for."""
    experiment = experiment_with(metrics=[SIGNUP], **fields)
    arms = {key: Sums(n=size) for key, size in zip(VARIANTS, sizes, strict=False)}
    found = health.findings(experiment, cut_of(experiment, arms, multiple=multiple))
    codes = [finding["code"] for finding in found]
    assert len(codes) == len(set(codes))
    return {finding["code"]: finding for finding in found}


# --- srm ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "raised"),
    [
        # Of 1000 units p < 0.001 asks for more than 500 ± 3.2905·√250 = 552.03.
        ((552, 448), False),
        ((553, 447), True),
        ((447, 553), True),
        # The same shares and more, but one unit short of a thousand.
        ((560, 439), False),
        ((1000, 0), True),
        ((99, 0), False),
    ],
)
def test_srm__two_even_arms__begins_where_chance_ends(sizes: tuple[int, int], raised: bool) -> None:
    assert ("srm" in of_exposures(sizes)) is raised


def test_srm__finding__shows_what_was_seen_and_what_should_have_been() -> None:
    finding = of_exposures((700, 500))["srm"]

    assert finding["severity"] == "error"
    assert finding["data"]["observed"] == {"control": 700, "test": 500}
    assert finding["data"]["expected"] == {"control": 600.0, "test": 600.0}
    # z = 100/√300, p = 2·sf(5.7735).
    assert finding["data"]["p_value"] == pytest.approx(7.7645e-9, rel=1e-4)


def test_srm__small_p_value_of_many_small_deviations__is_no_alarm() -> None:
    """Ten arms of 1000, each off by 58 units (1.93 standard deviations): χ² = 33.6, p = 0.0001, but none stands out."""
    observed = {f"arm{number}": 1000 + (58 if number % 2 else -58) for number in range(10)}
    mismatch = sample_ratio_mismatch(observed=observed, weights=dict.fromkeys(observed, 10.0))

    assert mismatch is not None
    assert mismatch.p_value < 0.001
    assert is_alarming(mismatch=mismatch, observed=observed) is False


def test_srm__uneven_split__is_measured_by_the_rollout() -> None:
    assert "srm" not in of_exposures((800, 200), weights=(80, 20))
    assert "srm" in of_exposures((500, 500), weights=(80, 20))


def test_srm__units_in_several_variants__belong_to_no_arm() -> None:
    assert "srm" not in of_exposures((600, 600), multiple=500)


def test_srm__arm_without_traffic_and_excluded_one__stay_out() -> None:
    assert "srm" not in of_exposures((500, 500, 40), weights=(50, 50, 0))
    assert "srm" not in of_exposures((500, 500, 40), weights=(34, 33, 33), excluded_variants=["third"])
    assert "srm" in of_exposures((500, 500, 40), weights=(34, 33, 33))


# --- no_exposures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "multiple", "raised"), [((0, 0), 0, True), ((), 0, True), ((0, 1), 0, False), ((0, 0), 1, False)]
)
def test_no_exposures__first_unit__ends_it(sizes: Sequence[int], multiple: int, raised: bool) -> None:
    found = of_exposures(sizes, multiple=multiple)

    assert ("no_exposures" in found) is raised
    if raised:
        assert found["no_exposures"]["severity"] == "warning"
        assert found["no_exposures"]["data"] == {"flag_key": "button"}


# --- the flag ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("active", "end_date", "raised"), [(True, None, False), (False, None, True), (False, ENDED, False)]
)
def test_flag_inactive__experiment__is_told_only_while_it_is_paused(
    active: bool, end_date: datetime | None, raised: bool
) -> None:
    found = of_exposures((5, 5), flag={"active": active}, end_date=end_date)

    assert ("flag_inactive" in found) is raised
    if raised:
        assert (found["flag_inactive"]["severity"], found["flag_inactive"]["data"]) == ("warning", {"flag_id": 7})


@pytest.mark.parametrize("end_date", [None, ENDED])
def test_flag_deleted__experiment_in_any_state__is_told(end_date: datetime | None) -> None:
    finding = of_exposures((5, 5), flag={"deleted": True}, end_date=end_date)["flag_deleted"]

    assert (finding["severity"], finding["data"]) == ("error", {"flag_id": 7})


# --- multiple_variants and bias_risk -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "sizes", "multiple", "fields", "percentage"),
    [
        ((80, 20), (799, 199), 2, {}, 0.2),
        # Exactly 0.1 % is not above it.
        ((80, 20), (799, 200), 1, {}, None),
        ((80, 20), (798, 200), 1, {}, 100 / 999),
        ((50, 50), (500, 400), 100, {}, None),
        ((34, 33, 33), (300, 300, 300), 100, {}, None),
        ((33, 34, 33), (300, 300, 300), 100, {}, 10.0),
        ((33, 33, 34), (300, 300, 300), 100, {}, 10.0),
        ((80, 20), (799, 199), 2, {"end_date": ENDED}, None),
        ((80, 20), (799, 199), 2, {"exposure_criteria": {"multiple_variant_handling": "first_seen"}}, None),
    ],
)
def test_multiple_variants__share_of_units__is_told_where_it_can_bias(
    weights: Sequence[float], sizes: Sequence[int], multiple: int, fields: Json, percentage: float | None
) -> None:
    found = of_exposures(sizes, multiple=multiple, weights=weights, **fields)

    assert ("multiple_variants" in found) is (percentage is not None)
    if percentage is not None:
        finding = found["multiple_variants"]
        assert finding["severity"] == "warning"
        assert finding["data"] == {"multiple_variant_percentage": pytest.approx(percentage)}


# --- low_power ---------------------------------------------------------------------------------------------------


def spending(n: int) -> Sums:
    """So many units with mean 1 and variance 4."""
    return Sums(n=n, s=n, q=n + 4 * (n - 1))


def low_power(
    sizes: Sequence[int], *, role: report.Role = "primary", weights: Sequence[float] = (50, 50), **fields: Any
) -> list[Json]:
    experiment = experiment_with(
        metrics=[SPENT], weights=weights, **{"stats_config": {"method": "frequentist"}, **fields}
    )
    arms = {key: spending(size) for key, size in zip(VARIANTS, sizes, strict=False)}
    found = health.findings(experiment, cut_of(experiment, arms, document=SPENT, role=role))
    return [finding for finding in found if finding["code"] == "low_power"]


def test_low_power__eighty_percent__is_the_border() -> None:
    """V = 4·(1 + 1.3²)/n, and 0.3/√V reaches z(0.975) + z(0.8) = 2.8016 at n = 938.4."""
    (finding,) = low_power((938, 938))

    assert finding["data"]["power"] == pytest.approx(0.8, abs=2e-4)
    assert finding["data"]["power"] < 0.8
    assert low_power((939, 939)) == []


def test_low_power__documented_experiment__has_the_documented_finding() -> None:
    experiment = experiment_with(metrics=[SIGNUP], stats_config={"method": "frequentist"})
    arms = {"control": Sums(n=1529, s=87, q=87, step_counts=[87]), "test": Sums(n=1471, s=62, q=62, step_counts=[62])}
    cut = cut_of(experiment, arms, document=SIGNUP)

    assert health.findings(experiment, cut) == [
        {
            "code": "low_power",
            "severity": "info",
            "message": "This metric would detect a change of 30 % with a probability of 41 %.",
            "data": {
                "metric_uuid": "signup",
                "minimum_detectable_effect": 30,
                "power": pytest.approx(0.4146447070, rel=1e-9),
            },
        }
    ]


def test_low_power__several_treatments__looks_at_the_smallest() -> None:
    weights = (34, 33, 33)

    assert low_power((1500, 1500, 1500), weights=weights) == []
    assert len(low_power((1500, 1500, 300), weights=weights)) == 1


@pytest.mark.parametrize(("end_date", "severity"), [(None, "info"), (ENDED, "warning")])
def test_low_power__stopped_experiment__is_a_warning(end_date: datetime | None, severity: str) -> None:
    (finding,) = low_power((300, 300), end_date=end_date)

    assert finding["severity"] == severity


def test_low_power__effect_of_the_experiment__goes_before_the_projects() -> None:
    (finding,) = low_power((2000, 2000), running_time_calculation={"minimum_detectable_effect": 5})

    assert finding["data"]["minimum_detectable_effect"] == 5
    assert low_power((2000, 2000)) == []


def test_low_power__metric_without_statistics_or_secondary__says_nothing() -> None:
    assert low_power((49, 49)) == []
    assert low_power((300, 300), role="secondary") == []


def test_low_power__bayesian__takes_what_the_level_leaves_as_error_rate() -> None:
    """At level 0.8 an effect is found more often than at 0.95: 500 units are enough then."""
    levels = {level: {"method": "bayesian", "bayesian": {"ci_level": level}} for level in (0.8, 0.95)}

    assert low_power((700, 700), stats_config=levels[0.8]) == []
    assert len(low_power((700, 700), stats_config=levels[0.95])) == 1


def test_low_power__finding__is_a_warning_of_its_metric() -> None:
    experiment = experiment_with(metrics=[SPENT], stats_config={"method": "frequentist"})
    arms = {key: spending(300) for key in ("control", "test")}
    body = report.results_answer(experiment, cut_of(experiment, arms, document=SPENT), computed_at=NOW)

    assert body["metrics"][0]["result"]["warnings"] == body["health"]
    assert [finding["code"] for finding in body["health"]] == ["low_power"]
    assert body["exposures"]["warnings"] == []
