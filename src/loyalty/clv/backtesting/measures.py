"""How good a forecast was: pure functions of what was predicted, what happened, and how many customers it was so for.

Everywhere `predicted`, `actual` and `customers` have shape (m,): a row stands for as many customers as it says, all
with the same prediction and the same outcome, so that nothing depends on how customers were counted together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Levels", "coverage", "errors", "excess", "pit_coverage", "rank_correlation", "top_share"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The same prediction or the same sum of money reached in another order differs in its last digits: values no further
# apart than this part of themselves are one value.
_ROUNDING = 1e-12


def errors(predicted: Floats, actual: Floats, customers: Floats) -> tuple[float, float]:
    """Return the mean absolute error and the root of the mean squared error, both per customer.

    Examples:
        >>> errors(np.array([1.0, 2.0]), np.array([0.0, 4.0]), np.array([3.0, 1.0]))
        (1.25, 1.3228756555322954)
    """
    miss, n = predicted - actual, customers.sum()
    return float(np.abs(miss) @ customers / n), math.sqrt(float((miss * miss) @ customers / n))


def excess(predicted: Floats, best: Floats, actual: Floats, customers: Floats) -> tuple[float, float]:
    """Return by how much the mean squared error of a forecast exceeds that of the best, and its standard error.

    The customer is the sampling unit, and both forecasts are of the same customers, so what chance did to both alike
    does not count. NaN where there is one customer, or an expectation is infinite.

    Source: Diebold & Mariano (1995), Journal of Business & Economic Statistics 13, 253-263, with customers in place of
    time.

    Examples:
        >>> excess(np.array([1.0, 3.0]), np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.ones(2))
        (1.5, 1.5)
    """
    n = float(customers.sum())
    if n < 2.0 or not (np.isfinite(predicted).all() and np.isfinite(best).all()):
        return math.nan, math.nan
    apart = (predicted - best) * (predicted + best - 2.0 * actual)
    mean = float(apart @ customers) / n
    spread = float(((apart - mean) ** 2) @ customers) / (n - 1.0) / n
    return mean, math.sqrt(spread)


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Who has which of the distinct values.

    Attributes:
        place: Which distinct value each row has, counted from the lowest; shape (m,).
        size: Customers of each distinct value; shape (d,).
    """

    place: Ints
    size: Floats

    @classmethod
    def of(cls, values: Floats, customers: Floats, *, sums: bool = False) -> Levels:
        """Return the levels of values; those are equal that differ by rounding only, by 1e-12 of themselves.

        Args:
            values: A value per row.
            customers: Customers of each row.
            sums: Whether values are sums that may cancel: 1e-15 where the mean is 1 is then nothing, too.
        """
        near = _ROUNDING * float(np.abs(values) @ customers) / float(customers.sum()) if sums else 0.0
        order: Any = np.argsort(values, kind="stable")
        ordered = values[order]
        scale = np.abs(ordered)
        apart = ordered[1:] - ordered[:-1] > np.maximum(_ROUNDING * np.maximum(scale[1:], scale[:-1]), near)
        place = np.empty(len(values), np.int64)
        place[order] = np.concatenate([[0], np.cumsum(apart)])
        return cls(place, np.bincount(place, weights=customers).astype(np.float64))

    def midranks(self) -> Floats:
        """Return the rank of each row's customers from 1, the lowest; equal ones share the mean of their ranks.

        Examples:
            >>> Levels.of(np.array([5.0, 1.0, 5.0]), np.array([1.0, 2.0, 2.0])).midranks()
            array([4. , 1.5, 4. ])
        """
        ranks: Floats = (np.cumsum(self.size) - (self.size - 1.0) / 2.0)[self.place]
        return ranks


def rank_correlation(predicted: Levels, actual: Levels, customers: Floats) -> float:
    """Return Spearman's rank correlation with ties: Pearson's of the midranks; NaN where one side is all equal.

    Source: Kendall & Gibbons (1990), Rank Correlation Methods, 5th ed., ch. 3.

    Examples:
        >>> each = np.ones(3)
        >>> one, two = (Levels.of(np.array(values), each) for values in ([1.0, 2.0, 3.0], [1.0, 5.0, 3.0]))
        >>> rank_correlation(one, two, each)
        0.5
    """
    n = customers.sum()
    # Ranks about their mean and over n: their squares stay small, however many customers there are.
    one, two = ((levels.midranks() - (n + 1.0) / 2.0) / n for levels in (predicted, actual))
    spread = float((one * one) @ customers) * float((two * two) @ customers)
    return float((one * two) @ customers) / math.sqrt(spread) if spread > 0.0 else math.nan


def top_share(predicted: Levels, actual: Floats, customers: Floats, part: float = 0.1) -> float:
    """Return the share of all outcomes that the customers predicted best bring; NaN where these sum to nothing.

    Args:
        predicted: What they are ordered by.
        actual: What they bring.
        customers: Customers of each row.
        part: The share of customers that counts as the best. Of equal predictions at its edge as many count as are
            needed, with the mean outcome of all of them: what drawing among them would give on average.

    Examples:
        >>> customers = np.array([1.0, 1.0, 2.0])
        >>> order = Levels.of(np.array([3.0, 2.0, 2.0]), customers)
        >>> top_share(order, np.array([6.0, 4.0, 0.0]), customers, part=0.5)
        0.733333333333333
    """
    total = float(actual @ customers)
    if not total > 0.0:
        return math.nan
    brought = np.bincount(predicted.place, weights=actual * customers, minlength=len(predicted.size))[::-1]
    size = predicted.size[::-1]
    room = part * customers.sum() - (np.cumsum(size) - size)  # left when a level's turn comes
    return float(brought @ (np.clip(room, 0.0, size) / size)) / total


def coverage(below: Floats, upto: Floats, customers: Floats, confidence: float) -> float:
    """Return the share of customers whose outcome lies inside their predictive interval.

    The interval runs from the smallest outcome with P(at most it) ≥ (1 − confidence)/2 to the smallest with P(at
    most it) ≥ (1 + confidence)/2. Counts have few values, so of a true model it holds more than the level.

    Args:
        below: Predicted probability of less than what happened, shape (m,).
        upto: Predicted probability of at most what happened, shape (m,).
        customers: Customers of each row.
        confidence: Level of the intervals.

    Examples:
        >>> coverage(np.array([0.0, 0.96]), np.array([0.7, 0.99]), np.array([9.0, 1.0]), 0.9)
        0.9
    """
    inside = (upto >= (1.0 - confidence) / 2.0) & (below < (1.0 + confidence) / 2.0)
    return float(inside @ customers / customers.sum())


def pit_coverage(below: Floats, upto: Floats, customers: Floats, confidence: float) -> float:
    """Return the expected share of randomised probability integral transforms between (1 ∓ confidence)/2.

    A draw between P(less than what happened) and P(at most that) is uniform on 0 to 1 where the model is true,
    counts being as few-valued as they like: so this is `confidence` for a true model, not more. Nothing is drawn:
    each customer counts with the part of its span inside the limits.

    Source: Czado, Gneiting & Held (2009), Biometrics 65, 1254-1261; randomised as in Brockwell (2007).

    Examples:
        >>> pit_coverage(np.array([0.0, 0.9]), np.array([0.9, 1.0]), np.array([9.0, 1.0]), 0.9)
        0.9
    """
    low, high = (1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0
    span = upto - below
    within = np.clip(upto, low, high) - np.clip(below, low, high)
    point = ((upto >= low) & (below <= high)).astype(np.float64)
    part = np.divide(within, span, out=point, where=span > 0.0)
    return float(part @ customers / customers.sum())
