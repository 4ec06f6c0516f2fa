"""A number with its uncertainty, and the interval formulas behind it.

Proportions of customers who each count once use binomial formulas (Wilson by default); ratios of sums over
customers who may count more than once take the customer as the sampling unit (delta method or bootstrap).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from loyalty import checks, wording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Estimate",
    "RatioMoments",
    "adjusted_wald",
    "bootstrap_ratio",
    "delta_ratio",
    "normal_quantile",
    "odds",
    "proportion",
    "ratio",
    "total",
    "wald",
    "wilson",
]

PROPORTION_METHODS = ("wilson", "adjusted_wald", "wald")
RATIO_METHODS = ("delta", "bootstrap")
_ROUNDING = 1e-12  # a residual sum of squares this small beside its parts is rounding, not spread


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Estimate:
    """A number with its interval, what it was counted from, and its definition.

    Attributes:
        name: What is estimated, such as "repurchase rate".
        value: The estimate; NaN where it is undefined (the note says why).
        low: Lower end of the interval, NaN where there is none.
        high: Upper end of the interval, NaN where there is none.
        confidence: Level of the interval, between 0 and 1.
        n: Number of sampling units (customers or respondents) behind the value.
        numerator: What was counted or summed above the line.
        denominator: What was counted or summed below the line.
        excluded: Units left out of this number only; the note says why.
        method: Formula of the interval: "wilson", "delta", ….
        definition: One sentence saying what the number is.
        note: What a reader must know about this value; empty where there is nothing.
        unit: "share", "points", "ratio", "money", "days", "orders" or "money per day" …: how to read the value.
        counted: What `n` counts, in the plural.
    """

    name: str
    value: float
    low: float
    high: float
    confidence: float
    n: int
    numerator: float
    denominator: float
    method: str
    definition: str
    excluded: int = 0
    note: str = ""
    unit: str = "share"
    counted: str = "customers"

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        """Return the sentence, or the value by a format of numbers: f"{rate:.1%}"."""
        return format(self.value, spec) if spec else str(self)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return wording.estimate_sentence(self)

    def _repr_html_(self) -> str:
        rows = [(key, wording.quantity(getattr(self, key), self.unit)) for key in ("value", "low", "high")]
        counts = {key: getattr(self, key) for key in ("n", "numerator", "denominator", "excluded")}
        rows += [(key, "" if wording.missing(count) else wording.plain(count)) for key, count in counts.items()]
        rows += [("confidence", wording.level(self.confidence)), ("method", self.method)]
        rows += [("definition", self.definition)] + ([("note", self.note)] if self.note else [])
        return wording.html_table((self.name, ""), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON-ready values; what is undefined or infinite becomes None."""
        return {field.name: wording.jsonable(getattr(self, field.name)) for field in fields(self)}

    def plot(self, ax: Any = None) -> Any:
        """Draw the value with its interval; returns the matplotlib Axes."""
        from loyalty import plots

        return plots.estimates([self], ax=ax)


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


_PROPORTION = {"wilson": wilson, "adjusted_wald": adjusted_wald, "wald": wald}


def proportion(
    name: str,
    successes: int,
    n: int,
    *,
    definition: str,
    confidence: float = 0.95,
    method: str = "wilson",
    note: str = "",
    empty: str = "nobody is eligible",
    excluded: int = 0,
    counted: str = "customers",
) -> Estimate:
    """Return the share of units that succeeded, each unit counting once.

    Args:
        name: Name of the estimate.
        successes: Units that succeeded.
        n: Units that were eligible; 0 gives an undefined estimate whose note is `empty`.
        definition: One sentence saying what the number is.
        confidence: Level of the interval.
        method: "wilson", "adjusted_wald" or "wald".
        note: What a reader must know.
        empty: The note where n = 0.
        excluded: Units left out.
        counted: What the units are, in the plural.
    """
    interval = _PROPORTION[checks.choice("method", method, PROPORTION_METHODS)]
    low, high = interval(successes, n, confidence)
    return Estimate(
        name=name,
        value=successes / n if n else math.nan,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        numerator=successes,
        denominator=n,
        method=method,
        definition=definition,
        note="; ".join(filter(None, (note, "" if n else f"undefined: {empty}"))),
        excluded=excluded,
        counted=counted,
    )


def odds(share: Estimate, name: str, *, definition: str, unit: str = "ratio") -> Estimate:
    """Return p/(1 − p) of a share, its interval mapped the same way; infinite where everybody succeeded.

    Examples:
        >>> half = proportion("half", 50, 100, definition="d")
        >>> odds(half, "odds", definition="d").value
        1.0
    """

    def mapped(value: float) -> float:
        return math.inf if value >= 1.0 else value / (1.0 - value)

    others = share.denominator - share.numerator
    infinite = "infinite: the denominator is zero" if share.n and not others else ""
    return replace(
        share,
        name=name,
        value=share.numerator / others if others else mapped(share.value),
        low=mapped(share.low),
        high=mapped(share.high),
        denominator=others,
        definition=definition,
        unit=unit,
        note="; ".join(filter(None, (share.note, infinite))),
    )


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


def ratio(
    name: str,
    moments: RatioMoments,
    *,
    definition: str,
    confidence: float = 0.95,
    interval: tuple[float, float] | None = None,
    method: str = "delta",
    unit: str = "ratio",
    note: str = "",
    empty: str = "the denominator is zero",
    excluded: int = 0,
    counted: str = "customers",
) -> Estimate:
    """Return a ratio of sums Σy/Σx over units, by default with its delta-method interval.

    Args:
        name: Name of the estimate.
        moments: Sums over the units.
        definition: One sentence saying what the number is.
        confidence: Level of the interval.
        interval: Limits found another way (bootstrap); None computes the delta interval.
        method: Name of the interval's formula.
        unit: Unit of the ratio.
        note: What a reader must know.
        empty: The note where Σx = 0.
        excluded: Units left out.
        counted: What the units are, in the plural.
    """
    low, high = delta_ratio(moments, confidence) if interval is None else interval
    single = f"no interval: it needs two {counted} or more" if moments.n == 1 and moments.x else ""
    return Estimate(
        name=name,
        value=moments.ratio,
        low=low,
        high=high,
        confidence=confidence,
        n=moments.n,
        numerator=moments.y,
        denominator=moments.x,
        method=method,
        definition=definition,
        note="; ".join(filter(None, (note, "" if moments.x else f"undefined: {empty}", single))),
        unit=unit,
        excluded=excluded,
        counted=counted,
    )


def total(mean: Estimate, name: str, *, definition: str, unit: str | None = None) -> Estimate:
    """Return the total over all units of a mean per unit, with n times the interval of the mean.

    Examples:
        >>> import numpy as np
        >>> mean = ratio("spend", RatioMoments.of(np.array([1.0, 3.0]), np.ones(2)), definition="d", unit="money")
        >>> total(mean, "revenue", definition="d").value
        4.0
    """
    n = mean.n
    return replace(
        mean,
        name=name,
        value=mean.numerator,
        low=mean.low * n,
        high=mean.high * n,
        denominator=1.0,
        definition=definition,
        unit=unit or mean.unit,
    )


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
        seed: Seed of the random draws; the same seed gives the same limits whatever the order of the rows.
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
    order = np.lexsort((weights, x, y))
    y, x, share = y[order], x[order], weights[order] / n
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
