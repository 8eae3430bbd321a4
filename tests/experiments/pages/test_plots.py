"""Plots: what is drawn for which numbers."""

import re
from html import unescape
from itertools import pairwise

import pytest

from experiments.pages import figures, plots
from experiments.pages.plots import Curve, Estimate


def texts(svg: str) -> list[str]:
    """The texts of a drawing, each once, with ordinary spaces and hyphens."""
    found = re.findall(r"<text[^>]*>(.*?)</text>", svg)
    plain = [unescape(text).replace("\u00a0", " ").replace("\u2212", "-") for text in found]
    return list(dict.fromkeys(plain))


def estimate(arm: str = "test", *, effect: float = 0.1, tone: str = "better") -> Estimate:
    return Estimate(arm=arm, effect=effect, low=effect - 0.05, high=effect + 0.05, tone=tone)


def curve(arm: str, *counts: int) -> Curve:
    return Curve(arm=arm, days=[f"2026-03-{day + 1:02}" for day in range(len(counts))], counts=counts, colour="red")


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_forest__every_arm__is_named_with_its_figures(size: str) -> None:
    plot = plots.forest([estimate("test"), estimate("other", effect=-0.2, tone="worse")], scale=figures.RELATIVE)
    drawn = texts(getattr(plot, size))
    assert {"test", "other", "+10.0 % [+5.0 % to +15.0 %]", "-20.0 % [-25.0 % to -15.0 %]", "0"} <= {
        " ".join(text.split()) for text in drawn
    }


def test_forest__tones__differ_in_shape_and_dash_not_in_colour_only() -> None:
    def drawn(tone: str) -> str:
        wide = plots.forest([estimate(tone=tone)], scale=figures.RELATIVE).wide
        return re.sub(r"var\(--(better|worse|unclear)\)", "", wide)

    assert len({drawn(tone) for tone in ("better", "worse", "unclear")}) == 3
    assert "stroke-dasharray" in drawn("unclear")


def test_forest__no_difference__is_always_in_the_picture() -> None:
    plot = plots.forest([Estimate("test", 0.5, 0.4, 0.6, "better")], scale=figures.RELATIVE)
    assert "0" in texts(plot.wide)


@pytest.mark.parametrize("value", [0.0, 1e-12, 1e12, -1e300])
def test_forest__extreme_numbers__are_drawn_without_nan(value: float) -> None:
    plot = plots.forest([Estimate("test", value, value, value, "unclear")], scale=figures.PLAIN)
    assert "NaN" not in plot.wide + plot.narrow
    assert "Infinity" not in plot.wide + plot.narrow


def test_exposures__arms__are_named_where_their_bands_end() -> None:
    plot = plots.exposures([curve("control", 1, 30), curve("test", 2, 20)])
    assert {"control 30", "test 20"} <= {" ".join(text.split()) for text in texts(plot.wide)}
    assert {"control", "test"} <= set(texts(plot.narrow))


def test_exposures__thin_bands__have_names_apart() -> None:
    plot = plots.exposures([curve(f"arm-{number}", 0, 1000 if number == 0 else 1) for number in range(8)])
    heights = sorted(
        {
            float(match[2])
            for match in re.finditer(r'<text[^>]*transform="translate\(([-\d.]+),([-\d.]+)\)"[^>]*>arm-', plot.wide)
        }
    )
    assert len(heights) == 8
    assert min(b - a for a, b in pairwise(heights)) >= 12


def test_exposures__many_days__are_thinned_out_and_keep_the_last() -> None:
    days = [f"{2020 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}" for number in range(1000)]
    long = Curve(arm="control", days=days, counts=list(range(1000)), colour="red")
    plot = plots.exposures([long])
    assert len(plot.wide) < 30_000
    assert any(" ".join(text.split()) == "control 999" for text in texts(plot.wide))


def test_drawing__twice__is_done_once() -> None:
    first = plots.forest([estimate()], scale=figures.RELATIVE)
    assert plots.forest([estimate()], scale=figures.RELATIVE).wide is first.wide
