"""Numbers as the pages show them."""

from datetime import UTC, datetime, timedelta

import pytest

from experiments.pages import figures


def plain(text: str) -> str:
    """With ordinary spaces and hyphens, as they are typed here."""
    return text.replace("\u00a0", " ").replace("\u2212", "-")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.105, "+10.5 %"),
        (-0.09523, "-9.5 %"),
        (0.0, "0.0 %"),
        (0.0004, "+0.04 %"),
        (-0.00001, "0.0 %"),
        (12.5, "+1,250 %"),
    ],
)
def test_percent__signed(share: float, text: str) -> None:
    assert plain(figures.percent(share, signed=True)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (31.0577, "31.1"),
        (0.11494, "0.115"),
        (1.6714, "1.67"),
        (127803.54, "127,804"),
        (-4.5, "-4.50"),
        (0.00001234, "0.000012"),
    ],
)
def test_number__has_three_digits_that_matter(value: float, text: str) -> None:
    assert plain(figures.number(value)) == text


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.9999959, "> 99.9 %"), (0.999, "99.9 %"), (0.5, "50.0 %"), (0.001, "0.1 %"), (0.0, "< 0.1 %")],
)
def test_chance__is_never_told_as_certain(probability: float, text: str) -> None:
    assert plain(figures.chance(probability)) == text


@pytest.mark.parametrize(("probability", "text"), [(0.0307, "0.031"), (0.0009, "< 0.001"), (1.0, "1.000")])
def test_p_value__has_three_decimals(probability: float, text: str) -> None:
    assert plain(figures.p_value(probability)) == text


@pytest.mark.parametrize(
    ("scale", "text"),
    [(figures.RELATIVE, "+2.5 %"), (figures.POINTS, "+2.5 pp"), (figures.PLAIN, "+0.0250")],
)
def test_scale__tells_effects_in_its_unit(scale: figures.Scale, text: str) -> None:
    assert plain(scale.text(0.025)) == text


def test_moment__is_that_of_the_zone() -> None:
    time = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    assert figures.moment(time, zone="Europe/Berlin") == "2 Mar 2026, 00:30"


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=15, hours=23), "15 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=5, minutes=59), "5 hours"),
        (timedelta(seconds=59), "less than a minute"),
    ],
)
def test_span__is_told_in_its_largest_unit(length: timedelta, text: str) -> None:
    assert figures.span(length) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (95, "95th"), (99.5, "99.5th")]
)
def test_ordinal(amount: float, text: str) -> None:
    assert figures.ordinal(amount) == text
