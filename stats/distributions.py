"""The normal and Student t distributions as inference needs them: by tails, so that small ones keep their digits."""

import math

from scipy import special


def normal_cdf(z: float) -> float:
    """P(Z <= z) for a standard normal Z; the upper tail is `normal_cdf(-z)`.

    >>> normal_cdf(0.0)
    0.5
    """
    return float(special.ndtr(z))


def normal_critical(tail: float) -> float:
    """The z whose upper tail P(Z > z) is `tail` (0 < tail < 1).

    >>> round(normal_critical(0.025), 6)
    1.959964
    """
    return -float(special.ndtri(tail))


def t_two_sided_p(t: float, *, degrees_of_freedom: float) -> float:
    """P(|X| >= |t|) for Student's t: twice the survival function, which does not round to 0 as 1 - cdf would.

    >>> t_two_sided_p(40.0, degrees_of_freedom=98.0) > 1e-70
    True
    """
    return 2 * float(special.stdtr(degrees_of_freedom, -abs(t)))


def t_critical(tail: float, *, degrees_of_freedom: float) -> float:
    """The t whose upper tail is `tail`; infinite where `tail` is below what doubles can answer.

    >>> round(t_critical(0.025, degrees_of_freedom=10.0), 6)
    2.228139
    """
    critical = -float(special.stdtrit(degrees_of_freedom, tail))
    # For tails near the smallest doubles scipy answers NaN or the infinity of the other side, as its version has it.
    return math.inf if tail < 0.5 and not critical >= 0 else critical
