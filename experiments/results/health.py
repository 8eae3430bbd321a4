"""What may be wrong with an experiment, found along with its results: one function for each check."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from experiments.lifecycle import State, state_of
from experiments.models import Experiment
from experiments.results.compute import Comparison, ExposureCounts
from experiments.results.design import Design
from stats.power import power
from stats.results import Undetermined
from stats.srm import BiasRisk, is_alarming

if TYPE_CHECKING:
    from experiments.results.report import Cut

ENOUGH_POWER = 0.8
Finding = dict[str, Any]


def _finding(code: str, severity: str, message: str, **data: Any) -> Finding:
    return {"code": code, "severity": severity, "message": message, "data": data}


def _sample_ratio(counts: ExposureCounts, design: Design, risk: BiasRisk | None) -> Iterator[Finding]:
    observed = {key: counts.totals.get(key, 0) for key in design.variants}
    mismatch = counts.mismatch
    if mismatch is not None and is_alarming(mismatch=mismatch, observed=observed):
        yield _finding(
            "srm",
            "error",
            "The variants have other sizes than the rollout says. Until you know why, do not trust the results.",
            p_value=mismatch.p_value,
            observed=observed,
            expected=dict(mismatch.expected),
        )


def _exposures(counts: ExposureCounts, design: Design, risk: BiasRisk | None) -> Iterator[Finding]:
    if not any(counts.totals.values()):
        yield _finding(
            "no_exposures",
            "warning",
            "Nobody has been exposed yet. Does the application ask for the flag and send its events?",
            flag_key=design.exposure.flag_key,
        )


def _multiple_variants(counts: ExposureCounts, design: Design, risk: BiasRisk | None) -> Iterator[Finding]:
    if risk is not None:
        share = risk.multiple_variant_percentage
        yield _finding(
            "multiple_variants",
            "warning",
            f"{share:.3g} % of all users saw several variants and are left out, which may bias an uneven split.",
            multiple_variant_percentage=share,
        )


def _flag(experiment: Experiment, cut: "Cut") -> Iterator[Finding]:
    flag = experiment.feature_flag
    if state_of(experiment) is State.PAUSED:
        yield _finding(
            "flag_inactive",
            "warning",
            "The feature flag is switched off, so nobody new is exposed. Resume the experiment to go on.",
            flag_id=flag.pk,
        )
    if flag.deleted:
        yield _finding(
            "flag_deleted", "error", "The feature flag has been deleted; nobody is exposed any more.", flag_id=flag.pk
        )


def _metrics(experiment: Experiment, cut: "Cut") -> Iterator[Finding]:
    has_any = experiment.metrics or experiment.metrics_secondary or experiment.saved_metric_links.exists()
    if not has_any:
        yield _finding("no_metrics", "warning", "The experiment has no metric. Add one to see what it changes.")


def _power(experiment: Experiment, cut: "Cut") -> Iterator[Finding]:
    effect = minimum_detectable_effect(experiment)
    severity = "info" if experiment.end_date is None else "warning"
    for outcome in cut.outcomes:
        if outcome.listed.role != "primary" or outcome.result is None:
            continue
        found = _power_of(outcome.result.whole, effect=effect, alpha=cut.settings.error_rate)
        if found is not None and found < ENOUGH_POWER:
            yield _finding(
                "low_power",
                severity,
                f"This metric would detect a change of {effect:g} % with a probability of {found:.0%}.".replace(
                    "%.", " %."
                ),
                metric_uuid=outcome.listed.uuid,
                minimum_detectable_effect=effect,
                power=found,
            )


def minimum_detectable_effect(experiment: Experiment) -> float:
    """The change, in percent, that the experiment is to find: its own, else the project's."""
    own = experiment.running_time_calculation.get("minimum_detectable_effect")
    # An integer beyond what a float holds says as little as none.
    is_usable = bool(own) and abs(own) <= sys.float_info.max
    return float(own) if is_usable else experiment.project.default_minimum_detectable_effect


def _power_of(comparison: Comparison, *, effect: float, alpha: float) -> float | None:
    if all(treatment.result is None for treatment in comparison.analysis.treatments):
        return None
    moments = comparison.baseline.sample.moments()
    if isinstance(moments, Undetermined):
        return None
    return power(
        mean=moments.mean,
        variance=moments.variance,
        n_treatment=min(arm.sums.n for arm in comparison.treatments),
        n_baseline=comparison.baseline.sums.n,
        effect=effect / 100,
        alpha=alpha,
    )


OF_EXPOSURES: tuple[Callable[[ExposureCounts, Design, BiasRisk | None], Iterator[Finding]], ...] = (
    _sample_ratio,
    _exposures,
    _multiple_variants,
)
OF_EXPERIMENT: tuple[Callable[[Experiment, "Cut"], Iterator[Finding]], ...] = (_flag, _metrics, _power)


def exposure_findings(counts: ExposureCounts, design: Design, *, risk: BiasRisk | None) -> list[Finding]:
    """The findings about exposures alone."""
    return [finding for check in OF_EXPOSURES for finding in check(counts, design, risk)]


def findings(experiment: Experiment, cut: "Cut") -> list[Finding]:
    """All findings about an experiment and a cut of its data, those about its exposures first."""
    of_exposures = exposure_findings(cut.counts, cut.design, risk=cut.risk)
    return [*of_exposures, *(finding for check in OF_EXPERIMENT for finding in check(experiment, cut))]


def concerning(found: Iterable[Finding], *, metric_uuid: str) -> list[Finding]:
    """Those of the findings that are about one metric."""
    return [finding for finding in found if finding["data"].get("metric_uuid") == metric_uuid]
