"""The interval formulas: proportions of units that count once, and ratios of sums over units that may not.

Proportions use binomial formulas (Wilson by default); ratios of sums take the unit, the customer, as the sampling unit
(delta method or bootstrap).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from loyalty import checks
from loyalty.places import Places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "RatioMoments",
    "adjusted_wald",
    "bootstrap_ratio",
    "delta_ratio",
    "normal_quantile",
    "wald",
    "wilson",
]

_ROUNDING = 1e-12  # a residual sum of squares this small beside its parts is rounding, not spread


def normal_quantile(confidence: float) -> float:
    """Return the two-sided standard normal quantile of a confidence level.

    Examples:
        >>> round(normal_quantile(0.95), 6)
        1.959964
    """
    # The upper tail is taken as the negative lower one: 1 − (1 − c)/2 would lose digits for c near 1.
    return -NormalDist().inv_cdf((1.0 - checks.confidence_level(confidence)) / 2.0)


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion.

    Source: Wilson (1927), JASA 22, 209-212, eq. for the roots of (p̂ − p)² = z² p(1 − p)/n.

    Args:
        successes: Count of successes, 0 … n.
        n: Count of trials; 0 gives (nan, nan).
        confidence: Level between 0 and 1.

    Returns:
        Lower and upper limit; exactly 0 and 1 where no or every trial succeeded.

    Examples:
        >>> [round(limit, 4) for limit in wilson(8, 10)]
        [0.4902, 0.9433]
    """
    z = normal_quantile(confidence)
    if n <= 0:
        return math.nan, math.nan
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(max(share * (1 - share), 0.0) / n + (z / (2 * n)) ** 2)
    low = 0.0 if successes <= 0 else max(0.0, centre - half)
    high = 1.0 if successes >= n else min(1.0, centre + half)
    return low, high


def adjusted_wald(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Agresti-Coull ("adjusted Wald") interval of a proportion, clipped to 0 … 1.

    Source: Agresti & Coull (1998), The American Statistician 52, 119-126: Wald's formula after adding z²/2
    successes and z²/2 failures. The limits always hold the estimate. Arguments and edge cases as in `wilson`.

    Examples:
        >>> [round(limit, 4) for limit in adjusted_wald(8, 10)]
        [0.4794, 0.9541]
    """
    z = normal_quantile(confidence)
    if n <= 0:
        return math.nan, math.nan
    share = (successes + z * z / 2) / (n + z * z)
    half = z * math.sqrt(share * (1 - share) / (n + z * z))
    return max(0.0, share - half), min(1.0, share + half)


def wald(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the plain normal ("Wald") interval of a proportion, clipped to 0 … 1.

    It collapses to a point where no or every trial succeeded; kept for reconciling with other tools.
    Arguments as in `wilson`.

    Examples:
        >>> [round(limit, 4) for limit in wald(8, 10)]
        [0.5521, 1.0]
    """
    z = normal_quantile(confidence)
    if n <= 0:
        return math.nan, math.nan
    share = successes / n
    half = z * math.sqrt(max(share * (1 - share), 0.0) / n)
    return max(0.0, share - half), min(1.0, share + half)


@dataclass(frozen=True, slots=True)
class RatioMoments:
    """Sums over units (customers) that give a ratio of sums Σy/Σx and its spread.

    Attributes:
        n: Number of units.
        y: Σ y, the numerator.
        x: Σ x, the denominator.
        yy: Σ y².
        xy: Σ x·y.
        xx: Σ x².
    """

    n: int
    y: float
    x: float
    yy: float
    xy: float
    xx: float

    @classmethod
    def of(cls, numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> RatioMoments:
        """Return the moments of two arrays, an entry per unit."""
        y, x = numerators.astype(float), denominators.astype(float)
        return cls(len(y), float(y.sum()), float(x.sum()), float(y @ y), float(x @ y), float(x @ x))

    @property
    def ratio(self) -> float:
        """Σy/Σx, NaN where Σx is zero."""
        return self.y / self.x if self.x else math.nan

    @property
    def standard_error(self) -> float:
        """Linearised standard error of Σy/Σx: sqrt(n/(n − 1) · Σ(y − R·x)²)/|Σx|; NaN for one unit or none.

        Source: Cochran (1977), Sampling Techniques, 3rd ed., eq. 6.13 without the finite-population factor.
        """
        if self.n < 2 or not self.x:
            return math.nan
        ratio = self.ratio
        scale = self.yy + ratio * ratio * self.xx
        residual = self.yy - 2 * ratio * self.xy + ratio * ratio * self.xx
        if residual < _ROUNDING * scale:
            return 0.0
        return math.sqrt(self.n / (self.n - 1) * residual) / abs(self.x)


def delta_ratio(moments: RatioMoments, confidence: float = 0.95) -> tuple[float, float]:
    """Return the delta-method interval of a ratio of sums, the unit being the customer.

    Examples:
        >>> import numpy as np
        >>> bought, ordered = np.array([10.0, 20.0, 60.0]), np.array([1.0, 1.0, 4.0])
        >>> [round(limit, 3) for limit in delta_ratio(RatioMoments.of(bought, ordered))]
        [12.171, 17.829]
    """
    half = normal_quantile(confidence) * moments.standard_error
    return moments.ratio - half, moments.ratio + half


def bootstrap_ratio(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    counts: NDArray[np.int64] | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    replicates: int = 2000,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of Σy/Σx, resampling customers.

    Args:
        numerators: y of each distinct (y, x) pair, shape (m,).
        denominators: x of each distinct pair, shape (m,).
        counts: How many customers share the pair, shape (m,); None means one each.
        confidence: Level of the interval.
        seed: Seed of the random draws; the same seed gives the same limits whatever the order of the rows, and whatever
            last digits sums of money end in: pairs of the same places (`loyalty.places`) are one.
        replicates: Number of resamples. Those whose Σx is 0 have no ratio and are left out.

    Returns:
        Lower and upper percentile; (nan, nan) for fewer than two customers or no defined resample.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13.

    Examples:
        >>> import numpy as np
        >>> kept, base = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0])
        >>> low, high = bootstrap_ratio(kept, base, np.array([40, 30, 30]), seed=1)
        >>> bool(0.4 < low < 90 / 160 < high < 0.8)
        True
    """
    import numpy as np

    tail = (1.0 - checks.confidence_level(confidence)) / 2.0
    checks.count("replicates", replicates, low=100)
    checks.count("seed", seed, low=0)
    y, x = np.asarray(numerators, float), np.asarray(denominators, float)
    weights = np.ones(len(y), np.int64) if counts is None else np.asarray(counts, np.int64)
    n = int(weights.sum())
    if n < 2:
        return math.nan, math.nan
    y, x, weights = _alike(y, x, weights)
    share = weights / n
    rng = np.random.default_rng(seed)
    block = max(1, 4_000_000 // len(y))  # bounds the memory of one draw
    ratios = []
    for start in range(0, replicates, block):
        draws = rng.multinomial(n, share, size=min(block, replicates - start)).astype(float)
        above, below = draws @ y, draws @ x
        ratios.append(above[below != 0] / below[below != 0])
    drawn = np.concatenate(ratios)
    if not len(drawn):
        return math.nan, math.nan
    low, high = np.quantile(drawn, [tail, 1.0 - tail])
    return float(low), float(high)


def _alike(
    y: NDArray[np.float64], x: NDArray[np.float64], weights: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return distinct pairs in order, those that rounding alone tells apart counted together."""
    import numpy as np

    places = Places.for_largest(float(max(np.abs(y).max(), np.abs(x).max())))
    keys = places.of(y), places.of(x)
    order = np.lexsort((x, y, *keys[::-1]))
    apart = np.logical_or(*(np.diff(key[order]) != 0.0 for key in keys))
    first = np.flatnonzero(np.append(True, apart))
    return y[order][first], x[order][first], np.add.reduceat(weights[order], first)
