"""The Bayesian answer: a normal posterior for the effect, with a flat or a normal prior."""

from dataclasses import dataclass
from math import exp, pi, sqrt
from typing import ClassVar

from stats.distributions import normal_cdf, normal_critical
from stats.effects import Difference
from stats.results import (
    BayesianResult,
    ExpectedLoss,
    InvalidParameter,
    Undetermined,
    all_finite,
    require_open_unit_interval,
)


@dataclass(frozen=True, slots=True)
class Prior:
    """What was believed of the relative effect before the data: normal with this mean and variance.

    InvalidParameter unless both are finite and the variance is above 0.
    """

    mean: float
    variance: float

    def __post_init__(self) -> None:
        if not (all_finite(self.mean, self.variance) and self.variance > 0):
            raise InvalidParameter("A prior needs a finite mean and a finite variance above 0.")


@dataclass(frozen=True, slots=True)
class Posterior:
    """The effect after the data: normal, with a finite `mean` and a `standard_deviation` above 0."""

    mean: float
    standard_deviation: float

    @property
    def chance_to_win(self) -> float:
        """P(treatment > baseline) = Φ(μ/σ)."""
        return normal_cdf(self.mean / self.standard_deviation)

    def credible_interval(self, *, level: float) -> tuple[float, float]:
        """μ ± z((1 + level)/2)·σ, the central interval that holds `level` of the probability (0 < level < 1)."""
        half_width = normal_critical((1 - level) / 2) * self.standard_deviation
        return self.mean - half_width, self.mean + half_width

    def expected_loss(self) -> ExpectedLoss:
        """What each choice is expected to cost: control E[max(δ, 0)] = σφ(μ/σ) + μΦ(μ/σ), treatment E[max(-δ, 0)].

        Neither overflows nor loses its sign however far the posterior is from zero.

        >>> loss = Posterior(mean=0.1, standard_deviation=0.05).expected_loss()
        >>> round(loss.treatment, 9), round(loss.control, 9)
        (0.000424535, 0.100424535)
        """
        # The smaller loss is computed, the larger one follows: their difference is the mean.
        smaller = self.standard_deviation * _unit_loss(abs(self.mean / self.standard_deviation))
        larger = abs(self.mean) + smaller
        if self.mean >= 0:
            return ExpectedLoss(treatment=smaller, control=larger)
        return ExpectedLoss(treatment=larger, control=smaller)


@dataclass(frozen=True, slots=True)
class BayesianTest:
    """Posterior inference at credible level `ci_level` (0 < ci_level < 1); `prior` None is the flat prior.

    Construction raises InvalidParameter for values outside their domain.
    """

    minimum_units: ClassVar[int] = 2
    needs_successes_and_failures: ClassVar[bool] = True

    ci_level: float = 0.95
    prior: Prior | None = None

    def __post_init__(self) -> None:
        require_open_unit_interval(name="ci_level", value=self.ci_level)

    def posterior(self, difference: Difference) -> Posterior | Undetermined:
        """Flat prior: N(δ, V). Normal prior: precisions add, means are weighted by them.

        Gelman et al., "Bayesian Data Analysis", 3rd edition, section 2.5. The prior is relative; on the absolute
        scale its mean and standard deviation are multiplied by |C|, and `baseline-mean-is-zero` answers where that
        leaves no prior. `invalid-sums` where an answer would not be finite.

        >>> delta = Difference(effect=0.2, variance=0.01, degrees_of_freedom=10.0, units=12, baseline_size=1.0,
        ...                    difference_type="RELATIVE")
        >>> posterior = BayesianTest(prior=Prior(mean=0.0, variance=0.01)).posterior(delta)
        >>> round(posterior.mean, 6), round(posterior.standard_deviation, 6)
        (0.1, 0.070711)
        """
        mean, variance = difference.effect, difference.variance
        if self.prior is not None:
            scale = difference.baseline_size if difference.difference_type == "ABSOLUTE" else 1.0
            prior_variance = self.prior.variance * scale * scale
            if prior_variance == 0:
                return Undetermined("baseline-mean-is-zero")
            # The weight of the evidence, σ²/V: the precisions themselves overflow where a variance is tiny.
            evidence = prior_variance / (prior_variance + difference.variance)
            mean = evidence * difference.effect + (1 - evidence) * self.prior.mean * scale
            variance = evidence * difference.variance
        if not all_finite(mean, variance) or variance <= 0:
            return Undetermined("invalid-sums")
        return Posterior(mean=mean, standard_deviation=sqrt(variance))

    def infer(self, difference: Difference) -> BayesianResult | Undetermined:
        """Chance to win, credible interval, expected loss and the one-sided rule on either side.

        `significant`: chance to win above `ci_level` or below 1 - `ci_level`. Reasons: those of `posterior`,
        and `invalid-sums` where doubles cannot hold the interval or the losses.
        """
        posterior = self.posterior(difference)
        if isinstance(posterior, Undetermined):
            return posterior
        chance = posterior.chance_to_win
        low, high = posterior.credible_interval(level=self.ci_level)
        loss = posterior.expected_loss()
        if not all_finite(chance, low, high, loss.treatment, loss.control):
            return Undetermined("invalid-sums")
        return BayesianResult(
            effect=posterior.mean,
            standard_error=posterior.standard_deviation,
            chance_to_win=chance,
            credible_interval=(low, high),
            expected_loss=loss,
            significant=chance > self.ci_level or chance < 1 - self.ci_level,
            variance_reduction=difference.variance_reduction,
        )


def _unit_loss(z: float) -> float:
    """E[max(-X, 0)] for X ~ N(z, 1) and z >= 0: φ(z) - z·Φ(-z), 0 where the density underflows."""
    if z > 38:
        return 0.0
    return max(0.0, exp(-z * z / 2) / sqrt(2 * pi) - z * normal_cdf(-z))
