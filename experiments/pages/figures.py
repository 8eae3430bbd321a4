"""Numbers, dates and statistics as people read them. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor, log10
from zoneinfo import ZoneInfo

NOTHING = "–"
_SPACE = "\u00a0"
_MINUS = "\u2212"


def count(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}"


def number(value: float, *, signed: bool = False) -> str:
    """A number with three digits that matter, or all before the point."""
    size = abs(value)
    decimals = 0 if size >= 1000 or size == 0 else min(max(2 - floor(log10(size)), 0), 6)
    return _with_sign(value, f"{size:,.{decimals}f}", signed=signed)


def percent(share: float, *, signed: bool = False, unit: str = "%") -> str:
    """A share in percent, with one decimal; with two where one would show nothing but zeros."""
    size = abs(share) * 100
    decimals = 0 if size >= 1000 else 2 if 0.005 <= size < 0.1 else 1
    return _with_sign(share, f"{size:,.{decimals}f}{_SPACE}{unit}", signed=signed)


def chance(probability: float) -> str:
    """A probability in percent; one that only rounds to certainty is not told as certain."""
    if probability > 0.999:
        return f">{_SPACE}99.9{_SPACE}%"
    if probability < 0.001:
        return f"<{_SPACE}0.1{_SPACE}%"
    return percent(probability)


def p_value(probability: float) -> str:
    """A p-value with three decimals."""
    return f"<{_SPACE}0.001" if probability < 0.001 else f"{probability:.3f}"


def rollout(percentage: float) -> str:
    """A configured percentage, as it was entered."""
    return f"{percentage:g}{_SPACE}%"


def _with_sign(value: float, text: str, *, signed: bool) -> str:
    is_zero = not any(digit in text for digit in "123456789")
    if is_zero or (value > 0 and not signed):
        return text
    return ("+" if value > 0 else _MINUS) + text


@dataclass(frozen=True, slots=True)
class Scale:
    """How effects are told: in percent of the baseline, in percentage points, or in units of the metric."""

    factor: float
    unit: str

    def text(self, value: float) -> str:
        """An effect, with its sign."""
        if self.unit:
            return percent(value, signed=True, unit=self.unit)
        return number(value, signed=True)

    def interval(self, low: float, high: float) -> str:
        """Both ends of an interval."""
        return f"{self.text(low)} to {self.text(high)}"


RELATIVE = Scale(factor=100, unit="%")
POINTS = Scale(factor=100, unit="pp")
PLAIN = Scale(factor=1, unit="")


def moment(time: datetime, *, zone: str) -> str:
    """A date with its time of day."""
    try:
        local = time.astimezone(ZoneInfo(zone))
    except OverflowError:  # Beyond the ends of the calendar; UTC is not.
        local = time
    return f"{local:%-d %b %Y, %H:%M}"


def span(length: timedelta) -> str:
    """How long something has lasted, in its largest unit."""
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return plural(seconds // size, unit)
    return "less than a minute"


def plural(amount: int, noun: str) -> str:
    """An amount with its noun."""
    return f"{count(amount)} {noun}" if amount == 1 else f"{count(amount)} {noun}s"


def ordinal(amount: float) -> str:
    """95 as 95th."""
    whole = f"{amount:g}"
    endings = {"1": "st", "2": "nd", "3": "rd"}
    is_teen = whole[-2:] in ("11", "12", "13")
    return whole + ("th" if is_teen or "." in whole else endings.get(whole[-1], "th"))
