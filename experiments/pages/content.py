"""What the results page shows, as plain values for its template. Nothing is computed anew: numbers are the answer's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from events.store.base import MULTIPLE
from experiments.pages import figures, plots, words
from experiments.pages.figures import NOTHING, Scale
from experiments.pages.plots import Plot

Json = Mapping[str, Any]
ARM_COLOURS = 8
# The largest number of either sign whose distance from the smallest, in percent, is a float.
_DRAWABLE = 1e300
_INTERVALS = {"frequentist": "confidence_interval", "bayesian": "credible_interval"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of a table under its column's heading. `tone` is better, worse, unclear, missing or empty."""

    column: str
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: whom it is about, and its figures. `colour` numbers an arm, None where nobody's."""

    heading: str
    cells: tuple[Cell, ...]
    note: str = ""
    colour: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    first_column: str
    rows: tuple[Row, ...]

    @property
    def columns(self) -> list[str]:
        return [cell.column for cell in self.rows[0].cells] if self.rows else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    severity: str
    word: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSection:
    """One metric: its words, its plot and tables, or the sentence that says why there is none."""

    uuid: str
    name: str
    kind: str
    goal: str
    definition: str
    error: str | None = None
    plot: Plot | None = None
    plot_text: str = ""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that comes from one results answer. `exposures` is None when how many there were is not known."""

    method: str
    baseline: str
    findings: tuple[Finding, ...]
    exposures_plot: Plot | None
    exposures_text: str
    exposures: Table | None
    split: str
    total: str
    overview: Table | None
    primary: tuple[MetricSection, ...] = field(default=())
    secondary: tuple[MetricSection, ...] = field(default=())


def results_of(answer: Json, *, documents: Mapping[str, Json], shares: Mapping[str, float], unit: str) -> Results:
    """The page of a results answer.

    `documents` are the stored metrics by uuid, `shares` the variants' rollout percentages, `unit` the noun of who is
    exposed.
    """
    arms = {series["variant"]: place for place, series in enumerate(answer["exposures"]["timeseries"])}
    names = {metric["uuid"]: _name(metric) for metric in answer["metrics"]}
    by_role: dict[str, list[MetricSection]] = {"primary": [], "secondary": []}
    for metric in answer["metrics"]:
        section = _section(metric, documents.get(metric["uuid"], {}), answer["settings"], arms=arms, unit=unit)
        by_role[metric["role"]].append(section)
    exposures = answer["exposures"]
    totals = exposures["total_exposures"]
    told = ", ".join(f"{_arm_name(arm)} {figures.count(number)}" for arm, number in totals.items())
    return Results(
        method=words.method(answer["settings"]),
        baseline=answer["settings"]["baseline_variant_key"],
        findings=tuple(_findings(answer["health"], names)),
        exposures_plot=_exposures_plot(exposures) if any(totals.values()) else None,
        exposures_text=f"Cumulative exposures by day. In the end: {told}.",
        exposures=_exposures_table(exposures, shares=shares, unit=unit) if totals else None,
        split=_split(exposures["sample_ratio_mismatch"], unit=unit),
        total=figures.plural(sum(totals.values()), unit) if totals else "not known",
        overview=_overview(answer, names),
        primary=tuple(by_role["primary"]),
        secondary=tuple(by_role["secondary"]),
    )


def _name(metric: Json) -> str:
    return metric["name"] or words.KINDS.get(metric["metric_type"], "Metric")


def _arm_name(arm: str) -> str:
    return "several variants" if arm == MULTIPLE else arm


def _findings(health: Sequence[Json], names: Mapping[str, str]) -> Iterator[Finding]:
    for finding in health:
        concerned = names.get(finding["data"].get("metric_uuid", ""))
        message = finding["message"] if concerned is None else f"{concerned}: {finding['message']}"
        yield Finding(severity=finding["severity"], word=words.SEVERITIES[finding["severity"]], message=message)


# --- Exposures -------------------------------------------------------------------------------------------------


def _exposures_plot(exposures: Json) -> Plot:
    return plots.exposures(
        [
            plots.Curve(
                arm=_arm_name(series["variant"]),
                days=series["days"],
                counts=series["exposure_counts"],
                colour="var(--quiet)" if series["variant"] == MULTIPLE else f"var(--arm-{place % ARM_COLOURS})",
            )
            for place, series in enumerate(exposures["timeseries"])
        ]
    )


def _exposures_table(exposures: Json, *, shares: Mapping[str, float], unit: str) -> Table:
    totals: Mapping[str, int] = exposures["total_exposures"]
    everybody = sum(totals.values())
    mismatch = exposures["sample_ratio_mismatch"]
    rows = []
    for place, (arm, number) in enumerate(totals.items()):
        cells = [
            Cell("Rollout", figures.rollout(shares[arm]) if arm in shares else NOTHING),
            Cell("Exposed", figures.count(number)),
            Cell("Share", figures.percent(number / everybody) if everybody else NOTHING),
        ]
        if mismatch is not None:
            expected = mismatch["expected"].get(arm)
            cells.append(Cell("Expected", NOTHING if expected is None else figures.count(round(expected))))
        left_out = "saw more than one and are left out of all metrics" if arm == MULTIPLE else ""
        rows.append(
            Row(_arm_name(arm), tuple(cells), note=left_out, colour=None if arm == MULTIPLE else place % ARM_COLOURS)
        )
    return Table(f"Exposed {unit}s by variant", "Variant", tuple(rows))


def _split(mismatch: Json | None, *, unit: str) -> str:
    if mismatch is None:
        return f"Too few {unit}s to test whether the split is the configured one."
    told = figures.p_value(mismatch["p_value"])
    verdict = "fits the rollout" if mismatch["p_value"] >= 0.001 else "does not fit the rollout"
    return f"The split {verdict} (chi-squared test, p = {told}).".replace("= <", "<")


# --- Metrics ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the figures of one metric are to be read."""

    metric: Json
    document: Json
    settings: Json
    arms: Mapping[str, int]
    unit: str

    @property
    def is_share(self) -> bool:
        return words.is_share(self.document)

    @property
    def scale(self) -> Scale:
        if self.settings["difference_type"] == "RELATIVE":
            return figures.RELATIVE
        return figures.POINTS if self.is_share else figures.PLAIN

    @property
    def is_frequentist(self) -> bool:
        return bool(self.settings["method"] == "frequentist")


def _section(metric: Json, document: Json, settings: Json, *, arms: Mapping[str, int], unit: str) -> MetricSection:
    reading = _Reading(metric, document, settings, arms, unit)
    shared = {
        "uuid": metric["uuid"],
        "name": _name(metric),
        "kind": words.KINDS.get(metric["metric_type"], "Metric"),
        "goal": words.GOALS[metric["goal"]],
        "definition": words.definition(document),
    }
    if metric["error"] is not None:
        return MetricSection(**shared, error=metric["error"]["message"])
    estimates = list(_estimates(reading))
    tables = [_effects(reading)]
    if reading.metric["result"]["baseline"].get("step_counts"):
        tables.append(_steps(reading))
    return MetricSection(
        **shared,
        plot=plots.forest(estimates, scale=reading.scale) if estimates else None,
        plot_text=". ".join(_spoken(one, reading.scale) for one in estimates),
        tables=tuple(tables),
        notes=tuple(_notes(reading)),
    )


def tone_of(treatment: Json) -> str:
    """better, worse or unclear; missing where there are no statistics."""
    if treatment["effect"] is None:
        return "missing"
    return {True: "better", False: "worse", None: "unclear"}[treatment["favourable"]]


def _interval(treatment: Json) -> tuple[float, float] | None:
    low_high = treatment[_INTERVALS[treatment["method"]]]
    return None if low_high is None else (low_high[0], low_high[1])


def _estimates(reading: _Reading) -> Iterator[plots.Estimate]:
    for treatment in reading.metric["result"]["variant_results"]:
        interval = _interval(treatment)
        # What no axis can show is told in the table only.
        if interval is not None and max(map(abs, (treatment["effect"], *interval))) <= _DRAWABLE:
            low, high = interval
            yield plots.Estimate(treatment["key"], treatment["effect"], low, high, tone_of(treatment))


def _spoken(one: plots.Estimate, scale: Scale) -> str:
    return f"{one.arm}: {scale.text(one.effect)}, interval {scale.interval(one.low, one.high)}"


def _effects(reading: _Reading) -> Table:
    result = reading.metric["result"]
    baseline = result["baseline"]
    rows = [_row(reading, baseline, note="baseline")]
    rows += [_row(reading, treatment) for treatment in result["variant_results"]]
    return Table(f"{_name(reading.metric)} by variant", "Variant", tuple(rows))


def _row(reading: _Reading, arm: Json, *, note: str = "") -> Row:
    cells = [
        Cell(f"{reading.unit}s".capitalize(), figures.count(arm["number_of_samples"])),
        *_sums(reading, arm),
        *(_inference(reading, arm) if "method" in arm else _blank(reading)),
    ]
    return Row(arm["key"], tuple(cells), note=note, colour=reading.arms.get(arm["key"], 0) % ARM_COLOURS)


def _sums(reading: _Reading, arm: Json) -> Iterator[Cell]:
    kind = reading.metric["metric_type"]
    below = arm["denominator_sum"] if "denominator_sum" in arm else arm["number_of_samples"]
    told = {"funnel": "Converted", "retention": "Came back"}.get(kind, "At least once" if reading.is_share else "Sum")
    if kind == "retention":
        yield Cell("Started", _sum(below))
    yield Cell(told, _sum(arm["sum"]))
    if kind == "ratio":
        yield Cell("Divided by", _sum(below))
    heading = {"funnel": "Rate", "retention": "Rate", "ratio": "Ratio"}.get(
        kind, "Share" if reading.is_share else "Mean"
    )
    yield Cell(heading, _rate(reading, arm["sum"], below))


def _sum(value: float | None) -> str:
    if value is None:
        return NOTHING
    return figures.count(value) if isinstance(value, int) else figures.number(value)


def _rate(reading: _Reading, above: float | None, below: float | None) -> str:
    if above is None or not below:
        return NOTHING
    return figures.percent(above / below) if reading.is_share else figures.number(above / below)


def _headings(reading: _Reading) -> dict[str, str]:
    figure = "p-value"
    if not reading.is_frequentist:
        figure = "Chance to win" if reading.metric["goal"] == "increase" else "Chance to be higher"
    headings = {"effect": "Effect", "interval": "Interval", "figure": figure}
    if reading.is_frequentist and reading.settings["multiplicity"] != "none" and reading.metric["role"] == "primary":
        headings["adjusted"] = "Adjusted p"
    if not reading.is_frequentist:
        headings["loss"] = "Expected loss"
    return {**headings, "verdict": "Verdict"}


def _blank(reading: _Reading) -> Iterator[Cell]:
    for heading in _headings(reading).values():
        yield Cell(heading, "", tone="blank")


def _inference(reading: _Reading, treatment: Json) -> Iterator[Cell]:
    told = dict.fromkeys(_headings(reading), NOTHING)
    interval = _interval(treatment)
    if interval is not None:
        told["effect"] = reading.scale.text(treatment["effect"])
        told["interval"] = reading.scale.interval(*interval)
        if reading.is_frequentist:
            told["figure"] = figures.p_value(treatment["p_value"])
        else:
            told["figure"] = figures.chance(treatment["chance_to_win"])
            # The answer's losses are those of lower values; where lower is better, the other arm's is the variant's.
            loser = "treatment" if reading.metric["goal"] == "increase" else "control"
            told["loss"] = reading.scale.text(treatment["expected_loss"][loser]).removeprefix("+")
    adjusted = treatment.get("p_value_adjusted")
    if "adjusted" in told and adjusted is not None:
        told["adjusted"] = figures.p_value(adjusted)
    told["verdict"] = verdict(reading.settings, treatment, baseline=reading.metric["result"]["baseline"])
    tone = tone_of(treatment)
    for name, heading in _headings(reading).items():
        yield Cell(
            heading, told[name], tone=tone if name in ("effect", "verdict") else name if name == "interval" else ""
        )


def verdict(settings: Json, treatment: Json, *, baseline: Json) -> str:
    """What a treatment's result means, in a few words."""
    if treatment["effect"] is None:
        own, other = treatment["validation_failures"], baseline["validation_failures"]
        codes = own or other
        told = ", ".join(words.REASONS[code] for code in codes)
        place = "" if own else "Baseline: "
        return f"No result. {place}{told}".rstrip() if codes else "No result"
    if not treatment["significant"]:
        return "Not significant"
    text = "Significant, favourable" if treatment["favourable"] else "Significant, unfavourable"
    adjusted = treatment.get("p_value_adjusted")
    if adjusted is not None and adjusted >= settings["alpha"]:
        return f"{text}; not after correction"
    if not treatment["interval_excludes_zero"]:
        return f"{text}; the interval covers zero"
    return text


def _steps(reading: _Reading) -> Table:
    """How many got how far in a funnel, in all arms."""
    result = reading.metric["result"]
    names = words.steps(reading.document)
    rows = []
    for arm in (result["baseline"], *result["variant_results"]):
        cells = [Cell("Exposed", figures.count(arm["number_of_samples"]))]
        for place, number in enumerate(arm["step_counts"]):
            name = f"{place + 1}. {names[place]}" if place < len(names) else f"Step {place + 1}"
            share = f" ({figures.percent(number / arm['number_of_samples'])})" if arm["number_of_samples"] else ""
            cells.append(Cell(name, figures.count(number) + share))
        rows.append(Row(arm["key"], tuple(cells), colour=reading.arms.get(arm["key"], 0) % ARM_COLOURS))
    return Table("Steps of the funnel", "Variant", tuple(rows))


def _notes(reading: _Reading) -> Iterator[str]:
    treatments = reading.metric["result"]["variant_results"]
    reduced = {one["key"]: one["variance_reduction"] for one in treatments if one["variance_reduction"] is not None}
    if reduced:
        told = ", ".join(f"{key} {figures.percent(share)}" for key, share in reduced.items())
        yield f"Variance explained by earlier behaviour (CUPED): {told}."
    if not reading.is_frequentist and reading.metric["goal"] == "decrease":
        yield "Lower is better here: a low chance to be higher speaks for the variant."


def _overview(answer: Json, names: Mapping[str, str]) -> Table | None:
    """Every metric with a result in a line, every treatment in a column."""
    rows = []
    for metric in answer["metrics"]:
        if metric["result"] is None:
            continue
        reading = _Reading(metric, {"metric_type": metric["metric_type"]}, answer["settings"], {}, "")
        cells = [
            Cell(one["key"], NOTHING if one["effect"] is None else reading.scale.text(one["effect"]), tone_of(one))
            for one in metric["result"]["variant_results"]
        ]
        rows.append(Row(names[metric["uuid"]], tuple(cells), note=metric["role"]))
    return Table("Effects of all metrics", "Metric", tuple(rows)) if rows and rows[0].cells else None
