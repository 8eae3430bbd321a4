"""Made-up experiments, unit by unit: the oracles see the values, the service's statistics see sums of them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """One arm: outcome y, denominator d, and their lookback values x and dx, one entry per unit."""

    y: Floats
    d: Floats
    x: Floats
    dx: Floats

    @property
    def n(self) -> int:
        return len(self.y)


def arm(*, units: int, seed: int, lift: float = 0.0) -> Units:
    """Skewed outcomes that the lookback foretells in part, and denominators that go along with them."""
    random = np.random.default_rng(seed)
    habit = random.gamma(2.0, size=units)
    d, dx = 1 + random.poisson(2 * habit), 1 + random.poisson(2 * habit)
    return Units(
        y=(1 + lift) * d * random.gamma(1 + habit),
        d=d.astype(float),
        x=dx * random.gamma(1 + habit),
        dx=dx.astype(float),
    )


def table(*, control: Units, treatment: Units) -> pa.Table:
    """Both arms as one table, the arm in column `variant`."""
    columns = {
        name: np.concatenate([getattr(control, name), getattr(treatment, name)]) for name in ("y", "d", "x", "dx")
    }
    return pa.table({**columns, "variant": np.repeat(["control", "test"], [control.n, treatment.n])})
