"""What counts: each documented rule with a handful of hand-counted events, through capture, store and metric."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from events.store import event_store, partitions
from events.store.measures import RollupPlan, Sums
from events.store.rollups.plans import has_units
from experiments import metrics
from experiments.exposure_criteria import parse as parse_criteria
from experiments.results import compute, requests
from experiments.results.design import make_design
from experiments.results.selections import Selections
from experiments.results.settings import baseline_of, settings_of
from projects.models import Project
from tests.capturing import Capture
from tests.experiments.results.rolled_up import an_hour_passes

CASES: list[dict[str, Any]] = [
    case
    for name in ("semantics", "semantics_borders")
    for case in json.loads((Path(__file__).parents[2] / "cases" / f"{name}.json").read_text())["cases"]
]
FLAG_KEY = "checkout-copy"
EVEN = [{"key": "control", "rollout_percentage": 50}, {"key": "test", "rollout_percentage": 50}]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
EXPERIMENT = 61


@pytest.fixture(autouse=True)
def _forget_partitions() -> None:
    partitions._known.clear()


def batch_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    batch = []
    for distinct_id, time, response, *more in case.get("exposures", []):
        properties = {"$feature_flag": FLAG_KEY, "$feature_flag_response": response, **(more[0] if more else {})}
        batch.append(
            {
                "event": "$feature_flag_called",
                "distinct_id": distinct_id,
                "timestamp": time,
                "properties": properties,
                "uuid": str(uuid.uuid4()),
            }
        )
    for distinct_id, time, name, properties, *count in case.get("events", []):
        for _ in range(count[0] if count else 1):
            batch.append(
                {
                    "event": name,
                    "distinct_id": distinct_id,
                    "timestamp": time,
                    "properties": properties,
                    "uuid": str(uuid.uuid4()),
                }
            )
    return batch


def merge(capture: Capture, case: dict[str, Any]) -> None:
    for loser, survivor in case.get("merges", []):
        capture({"event": "$merge_dangerously", "distinct_id": survivor, "properties": {"alias": loser}})


def shown(sums: Sums, expected: dict[str, Any]) -> dict[str, Any]:
    """The sums under the names of a results answer, as far as they are expected."""
    named = {
        "number_of_samples": sums.n,
        "sum": sums.s,
        "sum_squares": sums.q,
        "denominator_sum": sums.d,
        "denominator_sum_squares": sums.dd,
        "numerator_denominator_sum_product": sums.sd,
        "covariate_sum": sums.x,
        "covariate_sum_squares": sums.xx,
        "covariate_sum_product": sums.xy,
        "covariate_denominator_sum": sums.dx,
        "covariate_denominator_sum_squares": sums.dxdx,
        "denominator_covariate_denominator": sums.d_dx,
        "covariate_numerator_covariate_denominator": sums.x_dx,
        "numerator_covariate_denominator": sums.s_dx,
        "denominator_covariate_numerator": sums.d_x,
        "step_counts": sums.step_counts,
    }
    return flat({name: named[name] for name in expected})


def flat(sums: dict[str, Any]) -> dict[str, Any]:
    """The sums with the counts of the steps beside each other."""
    steps = {f"step {number}": count for number, count in enumerate(sums.get("step_counts", ()), start=1)}
    return {name: value for name, value in sums.items() if name != "step_counts"} | steps


@pytest.mark.django_db
@pytest.mark.parametrize(
    "kept",
    [
        "direct",
        "precomputed",
        "late events",
        "late events, aggregated anew",
        "rolled up",
        "rolled up, late events",
        "rolled up, late events, rolled up anew",
    ],
)
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_semantics(case: dict[str, Any], kept: str, project: Project, capture: Capture) -> None:
    for name, value in case.get("project", {}).items():
        setattr(project, name, value)
    project.save()
    if case.get("experiment", {}).get("aggregation_group_type_index") is not None:
        capture(
            {
                "event": "$groupidentify",
                "distinct_id": "g",
                "properties": {"$group_type": "company", "$group_key": "acme"},
            }
        )
    given = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-01-31T00:00:00Z", **case.get("experiment", {})}
    criteria = given.get("exposure_criteria", {"filterTestAccounts": False})
    variants = given.get("variants", EVEN)
    design = make_design(
        project=project,
        flag_key=FLAG_KEY,
        variants=variants,
        unit_group=given.get("aggregation_group_type_index"),
        criteria=parse_criteria(criteria, creating=False),
        excluded=given.get("excluded_variants", []),
        start=datetime.fromisoformat(given["start_date"]),
        end=datetime.fromisoformat(given["end_date"]),
        now=NOW,
    )
    settings = settings_of(given.get("stats_config"))
    expected = case["expected"]
    store = event_store()

    metric = plan = None
    if "metric" in case:
        metric = metrics.read(metrics.parse_metric(case["metric"], attr=None))
        plan = compute.plan_of(
            metric,
            design=design,
            settings=settings,
            matured_only=given.get("only_count_matured_users", False),
            select=Selections(project),
            breakdowns=compute.breakdowns_of(metric, override=None),
        )

    def aggregate() -> int:
        if not kept.startswith("rolled up"):
            return store.preaggregate({EXPERIMENT: design.exposure}, timeout_seconds=60)
        an_hour_passes()
        measures = () if plan is None else (plan,)
        rolled_up = RollupPlan(exposure=design.exposure, measures=measures)
        store.roll_up({EXPERIMENT: rolled_up}, timeout_seconds=60)
        an_hour_passes()
        return 0

    batch = batch_of(case)
    late = batch[::2] if "late" in kept else []
    early = [event for event in batch if event not in late]
    if early:
        capture(*early)
    if kept != "direct":
        aggregate()
    if late:
        capture(*late)
    if kept == "precomputed":
        # What is aggregated is unchanged by a merge.
        merge(capture, case)
        assert aggregate() == 0
    else:
        merge(capture, case)
    if kept.endswith("anew"):
        aggregate()
    with store.snapshot(timeout_seconds=60):
        units = store.expose(design.exposure, preaggregated_for=None if kept == "direct" else EXPERIMENT)
        if not late:
            # Neither an activation nor a window that has not begun is kept in advance.
            can_be = design.exposure.activation is None and design.exposure.start <= design.exposure.end
            is_rolled_up = kept == "rolled up" and has_units(design.exposure)
            assert units.is_precomputed == (is_rolled_up or (kept == "precomputed" and can_be))
        counts = compute.counts_of(units, design)
        if metric is not None and plan is not None:
            if kept != "direct":
                # Two metrics share what they read; one reads for itself.
                units.expect([plan, plan])
            result = compute.result_of(
                metric,
                units=units,
                plan=plan,
                design=design,
                settings=settings,
                baseline=baseline_of(given.get("stats_config"), design.variants),
            )
            arms = {arm.key: arm for arm in (result.whole.baseline, *result.whole.treatments)}
            for key, sums in expected["variants"].items():
                assert shown(arms[key].sums, sums) == pytest.approx(flat(sums), rel=1e-9), key
            if "breakdowns" in expected:
                _check_breakdowns(result, expected["breakdowns"])
    if "total_exposures" in expected:
        assert counts.totals == expected["total_exposures"]
    if "timeseries" in expected:
        assert requests.exposures_of(design, is_running=False)["timeseries"] == expected["timeseries"]


def _check_breakdowns(result: compute.MetricResult, expected: list[dict[str, Any]]) -> None:
    found = {comparison.values: comparison for comparison in result.breakdowns or ()}
    assert len(found) == len(expected)
    for entry in expected:
        comparison = found[tuple(entry["breakdown_value"])]
        arms = {arm.key: arm for arm in (comparison.baseline, *comparison.treatments)}
        for key, sums in entry["variants"].items():
            assert shown(arms[key].sums, sums) == pytest.approx(flat(sums), rel=1e-9), (entry["breakdown_value"], key)
