"""Chances of going on when the chance of stopping is beta-distributed: what the discrete models are made of.

If a customer stops at each opportunity with a chance p of their own, and p ~ Beta(a, z), they outlast b opportunities
with probability E[(1 − p)^b] = B(a, z + b)/B(a, z) = Γ(z + a)Γ(z + b)/(Γ(z)Γ(z + a + b)). Differences of `gammaln` lose
that number where it is near 1 or its parameters are large: here it keeps full relative precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_survival", "log_survival_gradient", "summed"]

Floats = NDArray[np.float64]

_LARGE = 12.0  # Stirling's series is used from here on
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)  # of x^-1, x^-3, … in ln Γ
_DIRECT = 1024  # terms added one by one
_NODES = 24  # Gauss points on each further stretch, twice as long as all before it
_STRETCHES = 200


def log_survival(a: Any, z: Any, b: Any) -> Floats:
    """Return ln E[(1 − p)^b] for p ~ Beta(a, z), elementwise.

    Args:
        a: First parameter, above 0.
        z: Second parameter, above 0.
        b: Opportunities, any real number from 0 to 1e130.
    """
    z, a, b = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (z, a, b)))
    a, b = np.maximum(a, b), np.minimum(a, b)  # symmetric in both, and more precise this way round
    total = np.zeros(z.shape)
    for _ in range(_shifts(z)):  # every step has the same sign
        total += np.log1p(a / (z + a + b) * (b / z))
        z = z + 1.0
    q = np.log1p(a / (z + a + b) * (b / z))
    total += b * np.log1p(a / z) + a * np.log1p(b / (z + a)) - (z + b - 0.5) * q
    for power, difference in _power_differences(z, a, b, 2 * len(_STIRLING)):
        if power % 2:
            total += _STIRLING[power // 2] * difference
    return -total


def log_survival_gradient(a: Any, z: Any, b: Any) -> Floats:
    """Return the derivatives of `log_survival` by a, z and b, shape (3, …)."""
    z, a, b = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (z, a, b)))
    return np.stack([-_digamma_rise(z + a, b), _digamma_bend(z, a, b), -_digamma_rise(z + b, a)])


def _shifts(z: Floats) -> int:
    """Return by how many ones z must be raised to be large everywhere."""
    return max(0, int(np.ceil(_LARGE - z.min()))) if z.size else 0


def _power_differences(z: Floats, a: Floats, b: Floats, most: int) -> list[tuple[int, Floats]]:
    """Return (k, z^-k + (z+a+b)^-k − (z+a)^-k − (z+b)^-k) for k = 1 … most, without cancellation.

    Power sums of the roots of x² − e₁x + e₂ by Newton's recurrence, for both pairs at once: their e₁ and e₂ differ
    by known small numbers.
    """
    outer, inner = 1.0 / z / (z + a + b), 1.0 / (z + a) / (z + b)  # products of the reciprocals
    apart = outer * (a / (z + a)) * (b / (z + b))  # outer − inner
    width = 2.0 * z + a + b
    sums, differences = [2.0 * np.ones_like(z), width * outer], [np.zeros_like(z), width * apart]
    for _ in range(2, most + 1):
        difference = (
            width * apart * sums[-1] + width * inner * differences[-1] - apart * sums[-2] - inner * differences[-2]
        )
        sums.append(width * outer * sums[-1] - outer * sums[-2])
        differences.append(difference)
    return list(enumerate(differences))[1:]


def _digamma_rise(x: Floats, h: Floats) -> Floats:
    """Return ψ(x + h) − ψ(x)."""
    total = np.zeros(x.shape)
    for _ in range(_shifts(x)):
        total += h / (x + h) / x
        x = x + 1.0
    low, apart = 1.0 / x, h / (x + h) / x  # apart = 1/x − 1/(x + h)
    high = low - apart
    total += np.log1p(h / x) + 0.5 * apart
    for place, weight in enumerate(_STIRLING):
        power = 2 * place + 2
        between = sum(low**k * high ** (power - 1 - k) for k in range(power))
        total += (2 * place + 1) * weight * apart * between
    return total


def _digamma_bend(z: Floats, a: Floats, b: Floats) -> Floats:
    """Return ψ(z + a) + ψ(z + b) − ψ(z) − ψ(z + a + b), which is positive."""
    total = np.zeros(z.shape)
    for _ in range(_shifts(z)):
        total += (2.0 * z + a + b) * (a / (z + a) / z) * (b / (z + b) / (z + a + b))
        z = z + 1.0
    total += np.log1p(a / (z + a + b) * (b / z))
    for power, difference in _power_differences(z, a, b, 2 * len(_STIRLING)):
        if power == 1:
            total += 0.5 * difference
        elif power % 2 == 0:
            total += (power - 1) * _STIRLING[power // 2 - 1] * difference
    return total


def summed(log_term: Callable[[Floats], Floats], count: float = np.inf) -> Floats:
    """Return the sum of exp(log_term(j)) over j = 1 … count, for terms that fall smoothly.

    The first thousand terms are added one by one. What follows is added stretch by stretch, each twice as long as
    what lies before it, as an integral by Gauss's rule: a sum over whole numbers is the integral from half a step
    before to half a step after, less 1/24 of the slope at its ends (Euler and Maclaurin, in their
    midpoint form).

    Args:
        log_term: Takes j of shape (m, 1), whole numbers or not, and returns logarithms of shape (m, n).
        count: How many terms, infinity where they fall fast enough.

    Returns:
        Shape (n,). Relative precision 1e-10 where terms fall like a survival function times a discount.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    first = np.arange(1.0, min(count, _DIRECT) + 1.0)[:, None]
    total: Floats = np.exp(log_term(first)).sum(axis=0)
    low = _DIRECT + 0.5
    if count <= _DIRECT:
        return total
    total = total + _slope(log_term, low) / 24.0
    for _ in range(_STRETCHES):
        high = min(2.0 * low, count + 0.5)
        places = 0.5 * (high - low) * nodes + 0.5 * (high + low)
        part = 0.5 * (high - low) * (weights @ np.exp(log_term(places[:, None])))
        total = total + part
        if high > count or bool((part <= 1e-17 * total).all()):
            break
        low = high
    return total - _slope(log_term, count + 0.5) / 24.0 if np.isfinite(count) else total


def _slope(log_term: Callable[[Floats], Floats], place: float) -> Floats:
    """Return the derivative of a term at a place between two whole numbers."""
    ends: Floats = np.exp(log_term(np.array([[place - 0.5], [place + 0.5]])))
    return ends[1] - ends[0]
