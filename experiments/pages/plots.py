"""Plots as Vega-Lite describes them and vl-convert draws them: SVG, on the server, without a request anywhere.

Colours are variables of the page's style sheet, so that one drawing serves light, dark and print. Each plot comes wide
and narrow; what colour says, shape, dashes and text say too.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import vl_convert
from django.utils.safestring import SafeString, mark_safe

from experiments.pages.figures import Scale, count

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_VERSION = "6.4"
_TONES = ("better", "worse", "unclear")
# A cross as an SVG path: that of Vega is a plus.
_CROSS = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"
_SHAPES = ("diamond", _CROSS, "circle")
_DASHES = ([1, 0], [1, 0], [5, 3])
_MOST_DAYS = 120
_LABEL_GAP = 16


@dataclass(frozen=True, slots=True)
class Estimate:
    """An effect with its interval. `tone` is one of better, worse and unclear."""

    arm: str
    effect: float
    low: float
    high: float
    tone: str


@dataclass(frozen=True, slots=True)
class Curve:
    """How many had been exposed to an arm by the end of each day; `colour` is a CSS colour."""

    arm: str
    days: Sequence[str]
    counts: Sequence[int]
    colour: str


@dataclass(frozen=True, slots=True)
class Plot:
    """The same drawing for wide and narrow windows."""

    wide: SafeString
    narrow: SafeString


def forest(estimates: Sequence[Estimate], *, scale: Scale) -> Plot:
    """The effects with their intervals, one below the other, around the line of no difference."""
    return Plot(
        wide=_drawn(_forest(estimates, scale=scale, is_narrow=False)),
        narrow=_drawn(_forest(estimates, scale=scale, is_narrow=True)),
    )


def exposures(curves: Sequence[Curve]) -> Plot:
    """The numbers of the arms on top of each other, day by day."""
    return Plot(
        wide=_drawn(_exposures(curves, is_narrow=False)),
        narrow=_drawn(_exposures(curves, is_narrow=True)),
    )


def _forest(estimates: Sequence[Estimate], *, scale: Scale, is_narrow: bool) -> dict[str, Any]:
    rows = [
        {
            "arm": one.arm,
            "effect": one.effect * scale.factor,
            "low": one.low * scale.factor,
            "high": one.high * scale.factor,
            "tone": one.tone,
            "text": f"{scale.text(one.effect)}  [{scale.interval(one.low, one.high)}]",
        }
        for one in estimates
    ]
    low = min(0.0, *(one.low for one in estimates)) * scale.factor
    high = max(0.0, *(one.high for one in estimates)) * scale.factor
    margin = (high - low or 1.0) * 0.06
    y = {"field": "arm", "type": "nominal", "sort": None, "axis": None if is_narrow else {"title": None}}
    tone = {"field": "tone", "type": "nominal", "legend": None}
    colour = {**tone, "scale": {"domain": _TONES, "range": [f"var(--{name})" for name in _TONES]}}
    layers = [
        {
            "data": {"values": [{"zero": 0}]},
            "mark": {"type": "rule", "stroke": "var(--text)", "strokeWidth": 1.25},
            "encoding": {"x": {"field": "zero", "type": "quantitative"}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 2.5},
            "encoding": {
                "y": y,
                "x": {
                    "field": "low",
                    "type": "quantitative",
                    "scale": {"domain": [low - margin, high + margin], "nice": False, "zero": False},
                    "axis": _effect_axis(scale, ticks=4 if is_narrow else 8),
                },
                "x2": {"field": "high"},
                "color": colour,
                "strokeDash": {**tone, "scale": {"domain": _TONES, "range": _DASHES}},
            },
        },
        *(
            {
                "mark": {"type": "tick", "thickness": 2.5, "size": 12, "opacity": 1},
                "encoding": {"y": y, "x": {"field": end, "type": "quantitative"}, "color": colour},
            }
            for end in ("low", "high")
        ),
        {
            "mark": {"type": "point", "filled": True, "size": 140, "opacity": 1},
            "encoding": {
                "y": y,
                "x": {"field": "effect", "type": "quantitative"},
                "color": colour,
                "shape": {**tone, "scale": {"domain": _TONES, "range": _SHAPES}},
            },
        },
    ]
    if is_narrow:
        above = {"y": y, "yOffset": {"value": -17}}
        layers += _haloed({"align": "left", "fontWeight": 600, "limit": 120}, {**above, "x": {"value": 0}}, field="arm")
        layers += _haloed({"align": "right", "fontSize": 11}, {**above, "x": {"value": "width"}}, field="text")
    else:
        layers += _haloed({"align": "left", "dx": 14}, {"y": y, "x": {"value": "width"}}, field="text")
    return {
        "data": {"values": rows},
        "width": 318 if is_narrow else 560,
        "height": {"step": 58 if is_narrow else 38},
        "padding": {"left": 6, "right": 6, "top": 8, "bottom": 26}
        if is_narrow
        else {"left": 150, "right": 250, "top": 4, "bottom": 26},
        "layer": layers,
    }


def _haloed(mark: dict[str, Any], encoding: dict[str, Any], *, field: str) -> list[dict[str, Any]]:
    """A text that lines behind it leave readable."""
    offset = encoding.pop("yOffset", {"value": 0})["value"]
    shared = {"type": "text", "fontSize": 13, "dy": offset, **mark}
    told = {**encoding, "text": {"field": field, "type": "nominal"}}
    halo = {**shared, "stroke": "var(--surface)", "strokeWidth": 4, "fill": "var(--surface)", "aria": False}
    return [{"mark": halo, "encoding": told}, {"mark": {**shared, "fill": "var(--text)"}, "encoding": told}]


def _effect_axis(scale: Scale, *, ticks: int) -> dict[str, Any]:
    unit = f" + '\u00a0{scale.unit}'" if scale.unit else ""
    size = "format(abs(datum.value), ',.6~r')"
    return {
        "title": None,
        "tickCount": ticks,
        "labelExpr": f"datum.value > 0 ? '+' + {size}{unit} : datum.value < 0 ? '\u2212' + {size}{unit} : '0'",
        "labelFlush": False,
    }


def _exposures(curves: Sequence[Curve], *, is_narrow: bool) -> dict[str, Any]:
    days = curves[0].days
    # Every how-manieth day is drawn, counted from the last one.
    step = -(-len(days) // _MOST_DAYS)
    shown = [place for place in range(len(days)) if (len(days) - 1 - place) % step == 0]
    rows = [
        {"day": days[place], "arm": curve.arm, "order": order, "count": curve.counts[place]}
        for order, curve in enumerate(curves)
        for place in shown
    ]
    total = sum(curve.counts[-1] for curve in curves)
    colour = {
        "field": "arm",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": [curve.arm for curve in curves], "range": [curve.colour for curve in curves]},
    }
    mark: dict[str, Any] = {"type": "bar", "size": 40}
    if len(days) > 1:
        mark = {"type": "area", "line": {"stroke": "var(--surface)", "strokeWidth": 2}, "opacity": 1}
    height = 180 if is_narrow else 220
    labels = _labels(curves, gap=_LABEL_GAP * max(total, 1) / height, with_counts=not is_narrow)
    return {
        "width": 212 if is_narrow else 700,
        "height": height,
        "padding": {"left": 50, "right": 96 if is_narrow else 186, "top": 10, "bottom": 26},
        "layer": [
            {
                "data": {"values": rows},
                "mark": mark,
                "encoding": {
                    "x": {
                        "field": "day",
                        "type": "temporal",
                        "scale": {"type": "utc"},
                        "axis": {
                            "title": None,
                            "format": "%-d %b",
                            "grid": False,
                            "tickCount": 3 if is_narrow else 8,
                            "labelFlush": False,
                            "labelSeparation": 10,
                        },
                    },
                    "y": {
                        "field": "count",
                        "type": "quantitative",
                        "stack": "zero",
                        "scale": {"domain": [0, max(total, 1)], "nice": True},
                        "axis": {"title": None, "format": ",d", "tickCount": 4, "tickMinStep": 1},
                    },
                    "order": {"field": "order", "type": "quantitative"},
                    "color": colour,
                },
            },
            *_haloed(
                {"align": "left", "dx": 10, "limit": 82 if is_narrow else 172},
                {"x": {"value": "width"}, "y": {"field": "place", "type": "quantitative"}},
                field="label",
            ),
        ],
        "data": {"values": labels},
    }


def _labels(curves: Sequence[Curve], *, gap: float, with_counts: bool) -> list[dict[str, Any]]:
    """Each arm's name at the height where its band ends, moved where two would overlap."""
    placed: list[dict[str, Any]] = []
    below = 0
    free = 0.0
    for curve in curves:
        place = max(below + curve.counts[-1] / 2, free)
        told = f"{curve.arm}  {count(curve.counts[-1])}" if with_counts else curve.arm
        placed.append({"label": told, "place": place})
        below += curve.counts[-1]
        free = place + gap
    beyond = max(free - gap - below, 0)
    return [{**label, "place": label["place"] - beyond} for label in placed]


def _drawn(spec: dict[str, Any]) -> SafeString:
    axis = {"labelColor": "var(--quiet)", "labelFontSize": 12, "gridColor": "var(--line)", "tickColor": "var(--line)"}
    whole = {
        "$schema": _SCHEMA,
        "background": None,
        "autosize": "none",
        **spec,
        "config": {
            "font": "system-ui, sans-serif",
            "view": {"stroke": None},
            "axis": {**axis, "domain": False},
            "axisY": {"ticks": False, "labelPadding": 8},
            "axisYDiscrete": {
                "labelColor": "var(--text)",
                "labelFontSize": 13,
                "labelAlign": "left",
                "labelLimit": 132,
                "labelPadding": 144,
                "grid": False,
            },
        },
    }
    return _svg(json.dumps(whole))


@lru_cache(maxsize=512)
def _svg(spec: str) -> SafeString:
    """The drawing of a spec. The first one of a process takes half a second, others some hundredths."""
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=_VERSION, allowed_base_urls=[])
    return mark_safe(drawn)  # noqa: S308  (Vega escapes the texts it draws)
