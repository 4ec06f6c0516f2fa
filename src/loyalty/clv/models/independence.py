"""The Gamma-Gamma's assumption, measured: do customers who buy often spend more or less per purchase?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from loyalty import intervals, wording
from loyalty.clv.summaries.spend_cells import PER_UNIT
from loyalty.errors import InvalidArgument
from loyalty.estimates import Estimate
from loyalty.tables import EstimateSet

if TYPE_CHECKING:
    from loyalty.clv.summaries.spend_cells import SpendCells

__all__ = ["Independence", "check", "correlations", "independence"]

Floats = NDArray[np.float64]

_WEAK, _STRONG = 0.1, 0.3  # correlations smaller than the first matter little, those above the second do
_ALIKE = 1e-7  # mean spends that differ by less, relatively, are equal
_ROUNDING = 1e-9  # so far may sums of the same money lie apart, relatively: in ranks they are equal
_FEWEST = 4  # customers that a correlation with an interval needs
_DEFINITIONS = {
    "adjusted": "Correlation of ln x with ln m̄, the latter less its mean and over its standard deviation given x in "
    "the fitted Gamma-Gamma (x repeat purchases, m̄ their mean spend): 0 where the model holds.",
    "logs": "Correlation of ln x with ln m̄. Even where the model holds it is above 0: the mean of few purchases is "
    "more skewed than the mean of many.",
    "ranks": "Spearman's correlation of x and m̄. Even where the model holds it is above 0, as that of the logarithms.",
    "plain": "Pearson's correlation of x and m̄. It is 0 where the model holds, but a few large sums may decide it.",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Independence(EstimateSet):
    """How frequency and mean spend go together among customers with a repeat purchase: the model assumes not at all.

    Attributes:
        adjusted: The correlation to look at: what is left of it beyond what the model itself explains.
        logs: Pearson's correlation of the logarithms.
        ranks: Spearman's rank correlation.
        plain: Pearson's correlation.
        kind: The kind of frame that `to_native` returns.
    """

    adjusted: Estimate
    logs: Estimate
    ranks: Estimate
    plain: Estimate

    @property
    def sentence(self) -> str:
        """The finding in words."""
        found = self.adjusted
        if math.isnan(found.value):
            why = found.note.removeprefix("undefined: ")
            return f"Whether frequency and mean spend are independent cannot be measured: {why}."
        span = wording.span(found.low, found.high, "")
        interval = "" if math.isnan(found.low) else f" ({wording.level(found.confidence)} interval {span})"
        return (
            f"Among {wording.counted(found.n, 'customers')} with a repeat purchase, the correlation of frequency and "
            f"mean spend beyond what the model explains is {found.value:.2f}{interval}: {_verdict(found)}{self._raw()}"
        )

    def _raw(self) -> str:
        """Return the sentence on what anybody would compute, where it is defined."""
        said = [f"{found.value:.2f} ({name})" for found, name in ((self.plain, "Pearson"), (self.ranks, "ranks"))
                if not math.isnan(found.value)]  # fmt: skip
        return f" As the numbers are, it is {' and '.join(said)}." if said else ""

    def __str__(self) -> str:
        return self.sentence


def _verdict(found: Estimate) -> str:
    """Return what a correlation means for predictions."""
    size = abs(found.value)
    if size < _WEAK:
        return "next to none, as the Gamma-Gamma model assumes."
    if found.low <= 0.0 <= found.high:
        return "not told apart from none, which the Gamma-Gamma model assumes."
    strength = "moderate" if size < _STRONG else "strong"
    more, own, others = ("more", "low", "high") if found.value > 0 else ("less", "high", "low")
    return (
        f"{strength}, where the Gamma-Gamma model assumes none. Customers who buy often spend {more} per purchase than "
        f"it expects: it puts their spend too {own}, and that of customers who buy rarely too {others}."
    )


def correlations(cells: SpendCells, p: float, q: float) -> dict[str, float]:
    """Return the four correlations and the number of customers as JSON-ready values; NaN where undefined.

    Args:
        cells: The customers. Sums over them of what is smooth in ln m̄ are exact, also on the grid.
        p: Shape of the spend of purchases.
        q: Shape of the differences between customers.
    """
    x, logs, weight = np.log(cells.x), np.log(cells.mean), cells.weight
    a = p * cells.x
    residual = logs - special.digamma(a) + np.log(a)  # given x, the model expects the same of all customers
    residual -= float(weight @ residual) / cells.customers
    residual /= np.sqrt(special.zeta(2.0, a) + special.zeta(2.0, q))
    if cells.high <= cells.low * (1.0 + _ALIKE):  # what differs is rounding
        return {**dict.fromkeys(_DEFINITIONS, math.nan), "customers": cells.customers}
    return {
        "adjusted": _correlation(x, residual, weight),
        "logs": _correlation(x, logs, weight),
        "ranks": _correlation(_ranks(cells.x, weight), _spend_ranks(cells), weight),
        "plain": _correlation(cells.x, cells.mean / cells.high, weight),
        "customers": cells.customers,
    }


def check(found: Any) -> None:
    """Raise where values are not what `correlations` returned, made JSON-ready."""
    names = {*_DEFINITIONS, "customers"}
    fits = isinstance(found, Mapping) and set(found) == names
    numbers = [found[name] for name in _DEFINITIONS if found[name] is not None] if fits else []
    if (
        not fits
        or not all(type(value) in (int, float) for value in (*numbers, found["customers"]))
        or not all(abs(value) <= 1.0 for value in numbers)
        or not 0.0 < found["customers"] < math.inf
    ):
        raise InvalidArgument(
            f"independence must be the correlations {', '.join(_DEFINITIONS)} and the number of customers."
        )


def independence(found: Mapping[str, Any], confidence: float = 0.95, kind: str = "pandas") -> Independence:
    """Return the correlations that `correlations` found with their intervals.

    Intervals are Fisher's, on the scale of artanh r with the standard error 1/√(n − 3); for ranks √(1 + r²/2)/√(n − 3)
    (Bonett & Wright 2000, Psychometrika 65, 23-28).
    """
    n = found["customers"]

    def estimate(name: str, title: str) -> Estimate:
        r = math.nan if found[name] is None or n < _FEWEST else float(found[name])
        low, high = _limits(r, n, confidence, ranks=name == "ranks")
        why = "too few customers" if n < _FEWEST else "customers do not differ in frequency, or not in mean spend"
        return Estimate(
            name=f"correlation of frequency and mean spend, {title}",
            value=r,
            low=low,
            high=high,
            confidence=confidence,
            n=n,
            numerator=math.nan,
            denominator=math.nan,
            method="fisher",
            definition=_DEFINITIONS[name],
            note=f"undefined: {why}" if math.isnan(r) else "",
            unit="ratio",
        )

    return Independence(
        kind=kind,
        adjusted=estimate("adjusted", "beyond what the model explains"),
        logs=estimate("logs", "of logarithms"),
        ranks=estimate("ranks", "of ranks"),
        plain=estimate("plain", "as they are"),
    )


def _limits(r: float, n: float, confidence: float, *, ranks: bool) -> tuple[float, float]:
    """Return Fisher's interval of a correlation; NaN where there is none."""
    if math.isnan(r) or abs(r) >= 1.0:
        return math.nan, math.nan
    half = intervals.normal_quantile(confidence) * math.sqrt((1.0 + r * r / 2.0 if ranks else 1.0) / (n - 3.0))
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def _correlation(x: Floats, y: Floats, weight: Floats) -> float:
    """Return Pearson's correlation of weighted points; NaN where either does not vary."""
    total = float(weight.sum())
    if not total > 0.0:
        return math.nan
    x_mean, y_mean = float(weight @ x) / total, float(weight @ y) / total
    x, y = x - x_mean, y - y_mean
    xx, yy, xy = float(weight @ (x * x)), float(weight @ (y * y)), float(weight @ (x * y))
    if xx <= _ALIKE**2 * total or yy <= _ALIKE**2 * total:  # what is correlated here varies by more, or by rounding
        return math.nan
    return min(max(xy / math.sqrt(xx * yy), -1.0), 1.0)


def _ranks(values: Floats, weight: Floats) -> Floats:
    """Return the share of customers below each value, half of those who equal it (but for rounding) included."""
    if not len(values):
        return values
    order = np.argsort(values, kind="stable")
    apart = np.diff(values[order]) > _ROUNDING * np.abs(values[order][1:])
    place = np.empty(len(values), np.int64)
    place[order] = np.concatenate([[0], np.cumsum(apart)])
    counts = np.bincount(place, weights=weight)
    return ((np.cumsum(counts) - counts / 2.0) / counts.sum())[place]


def _spend_ranks(cells: SpendCells) -> Floats:
    """Return the share of customers below each mean spend.

    On the grid customers count as spread evenly over their bucket, and a sum over its points is exact then. Where few
    prices are met by many customers, the correlation may come out different by 0.01.
    """
    if cells.exact:
        return _ranks(cells.mean, cells.weight)
    scaled = np.log(cells.mean) * PER_UNIT
    bucket = np.floor(scaled)
    _, place = np.unique(bucket, return_inverse=True)
    counts = np.bincount(place, weights=cells.weight)
    return ((np.cumsum(counts) - counts)[place] + counts[place] * (scaled - bucket)) / counts.sum()
