"""Predictions for many customers who share parameters: worked out at few ages, interpolated at all others.

Given alive at T, what is to come depends on (x, T) alone and for each x is analytic in ln(α + T), a distance of up to π
off the real line: a polynomial of degree ten plus three times the length of the interval fits its logarithm to some
1e-12. Source: Trefethen (2013), Approximation Theory and Approximation Practice, ch. 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial.chebyshev import chebvander

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loyalty.clv.kernels import Floats, Params

__all__ = ["by_age"]

_MANY = 1000  # customers below which nothing is to be saved
_TAIL = 1e-11  # a polynomial whose last coefficients are below this fits
_BATCH = 8192


def by_age(function: Callable[..., Floats]) -> Callable[..., Floats]:
    """Return a prediction (params, x, T, …) → values that works out many customers at once by interpolation.

    The second parameter is α. Where parameters are arrays, customers are few or a polynomial does not fit, the function
    itself is asked.
    """

    @wraps(function)
    def predict(params: Params, x: Any, T: Any, *rest: Any, **named: Any) -> Floats:
        def exact(x: Any, T: Any) -> Floats:
            return function(params, x, T, *rest, **named)

        many = isinstance(x, np.ndarray) and isinstance(T, np.ndarray) and x.shape == T.shape and x.size >= _MANY
        if not many or any(np.ndim(one) for one in (*params, *rest)):
            return exact(x, T)
        return _interpolated(exact, x.ravel(), T.ravel(), params[1]).reshape(x.shape)

    return predict


def _interpolated(exact: Callable[[Any, Any], Floats], x: Floats, T: Floats, alpha: float) -> Floats:
    """Return exact(x, T), where it pays from polynomials of ln(α + T), one for each distinct x."""
    age = np.log(alpha + T)
    low, high = float(age.min()), float(age.max())
    distinct, place = np.unique(x, return_inverse=True)
    points = math.ceil(10.0 + 3.0 * (high - low))
    if 2 * points * len(distinct) > len(x):
        return exact(x, T)
    angles = np.pi * (np.arange(points) + 0.5) / points
    at = np.exp((low + high) / 2.0 + (high - low) / 2.0 * np.cos(angles)) - alpha
    values = exact(*(one.ravel() for one in np.broadcast_arrays(distinct[:, None], at))).reshape(-1, points)
    proper: NDArray[np.bool_] = np.all((values > 0.0) & (values < np.inf), axis=1)
    fitted = np.log(np.where(proper[:, None], values, 1.0)) @ np.cos(np.outer(angles, np.arange(points)))
    fitted *= np.where(np.arange(points) > 0, 2.0, 1.0) / points
    fits = proper & (np.abs(fitted[:, -2:]).max(axis=1) <= _TAIL)
    found = np.empty(len(x))
    scale = 2.0 / (high - low) if high > low else 0.0
    for start in range(0, len(x), _BATCH):
        part = slice(start, start + _BATCH)
        powers = chebvander(np.clip((age[part] - low) * scale - 1.0, -1.0, 1.0), points - 1)
        found[part] = np.exp(np.einsum("ij,ij->i", fitted[place[part]], powers))
    odd = ~fits[place]
    if odd.any():
        found[odd] = exact(x[odd], T[odd])
    return found
