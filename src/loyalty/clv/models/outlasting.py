"""How many renewals or opportunities customers outlast: quantiles of a whole number known by its survival."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["quantile"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FARTHEST = 1e15  # beyond it floating-point numbers no longer hold every whole one, and a quantile is called infinite
_ROUNDING = 1e-12


def quantile(outlast: Callable[[Ints, Floats], Floats], size: int, share: float, most: float = math.inf) -> Floats:
    """Return for each customer the smallest number that they exceed with no more than some probability.

    Args:
        outlast: (customers' places, numbers j = 1, 2, …) → P(at least j); it falls with j.
        size: How many customers there are.
        share: The probability: 0.5 for the median, less for a higher quantile.
        most: The largest number that can be.

    Returns:
        Whole numbers from 0 to `most`, shape (size,); infinite above 10^15.
    """
    low, high, todo = np.zeros(size), np.ones(size), np.arange(size)

    def rare(places: Ints, number: Floats) -> NDArray[np.bool_]:
        return outlast(places, number) <= share + _ROUNDING

    while len(todo):  # twice as far each time
        todo = todo[~rare(todo, high[todo])]
        low[todo], high[todo] = high[todo], 2.0 * high[todo]
        far = high[todo] > 2.0 * min(most, _FARTHEST)
        high[todo[far]] = math.inf
        todo = todo[~far]
    todo = np.flatnonzero(np.isfinite(high))
    while len(todo := todo[high[todo] - low[todo] > 1.0]):
        middle = np.floor((low[todo] + high[todo]) / 2.0)
        gone = rare(todo, middle)
        high[todo], low[todo] = np.where(gone, middle, high[todo]), np.where(gone, low[todo], middle)
    found = high - 1.0
    return np.minimum(np.where(found > _FARTHEST, math.inf, found), most)
