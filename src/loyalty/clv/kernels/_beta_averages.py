"""Averages over a chance p that is Beta(a, B) distributed, of functions such as (1 + pz)^−m.

With p = 1/(1 + exp(−y)) the average is an integral over all real y of an analytic function, for which the trapezoid
rule converges exponentially: its step must be some tenths, less where the peak of the density is narrow. Where a or B
is small the density falls slowly, as exp(a·y) on the left or exp(−B·y) on the right; there y runs exponentially, so
that tails of any length cost a few nodes. Source: Trefethen & Weideman (2014), SIAM Review 56, 385-458.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import betaln

if TYPE_CHECKING:
    from loyalty.clv.kernels import Floats

__all__ = ["Rule", "average", "plain", "survival_average"]

_STEP = 0.33  # of y, for functions analytic and bounded where |Im y| < π/2
_PEAK_STEP = 0.8  # the same in standard deviations of a narrow peak
_DROP = 45.0  # a density that has fallen by exp(−45) is nothing
_MARGIN = 2.0  # y runs exponentially from this far outside of all that happens
_GROWTH = 2.0  # functions may grow as p^−2 towards p = 0
_STEEP = 3.0  # where a is less, the mass may lie at any small p
_LEAST = -650.0  # logarithm of the smallest p used
_FARTHEST = 1e280  # the greatest reach
_HALVINGS = 5  # of the logarithm of how far a density reaches
_BISECTIONS = 40  # to its peak
_BATCH = 2048  # averages at a time
_FAINT = 1e-5  # survival below it comes from rules of its own


class Rule(NamedTuple):
    """A quadrature rule: k nodes for each of n distributions.

    Attributes:
        p: Nodes; shape (n, k), or (k,) for a single distribution.
        q: 1 − p.
        weight: Weights, which sum to 1.
    """

    p: Floats
    q: Floats
    weight: Floats


def average(integrand: Callable[..., Floats], a: Any, B: Any, reach: Any, *columns: Any) -> Floats:
    """Return E[integrand(p, 1 − p, …)] for p ~ Beta(a, B), elementwise.

    Args:
        integrand: (p, 1 − p, *columns) → values. It is analytic and bounded by about its real values for Re p > 0,
            hardly changes below p = 1/reach, and grows towards p = 0 no faster than p^−2.
        a: First parameter of the distribution.
        B: Its second parameter.
        reach: 1/p of the smallest p at which something happens.
        columns: What else the integrand depends on; numbers or arrays that broadcast with a, B and reach.
    """
    if plain(a, B, reach, *columns):
        rule = _kept_rule(float(a), float(B), math.frexp(min(reach, _FARTHEST))[1] // 2)
        return integrand(rule.p, rule.q, *columns) @ rule.weight
    given = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (a, B, reach, *columns)))
    a, B, reach, *others = (one.ravel() for one in given)
    found = np.empty(len(a))
    for start in range(0, len(a), _BATCH):
        part = slice(start, start + _BATCH)
        rule = _shared_rules(a[part], B[part], np.minimum(reach[part], _FARTHEST))
        values = integrand(rule.p, rule.q, *(one[part, None] for one in others))
        found[part] = np.einsum("ij,ij->i", values, rule.weight)
    return found.reshape(given[0].shape)


def plain(*values: Any) -> bool:
    """Return whether all values are plain numbers."""
    return all(isinstance(value, (float, int)) for value in values)


@lru_cache(maxsize=4096)
def _kept_rule(a: float, B: float, power: int) -> Rule:
    """Return the rule of one distribution, for a reach of up to 4^(power + 1)."""
    return Rule(*(part[0] for part in _rules(*(np.array([one]) for one in (a, B, 4.0 ** (power + 1))))))


def _shared_rules(a: Floats, B: Floats, reach: Floats) -> Rule:
    """Return rules, each worked out once for all who share a distribution."""
    distinct, place = np.unique(a + 1j * B, return_inverse=True)
    if 2 * len(distinct) > len(a):
        return _rules(a, B, reach)
    farthest = np.zeros(len(distinct))
    np.maximum.at(farthest, place, reach)
    return Rule(*(part[place] for part in _rules(distinct.real.copy(), distinct.imag.copy(), farthest)))


def _rules(a: Floats, B: Floats, reach: Floats) -> Rule:
    """Return a rule for each distribution."""
    density = _beta(a, B)
    peak = density.peak()
    knee = np.minimum(peak, -np.log1p(reach))  # nothing new happens to the left of it
    left = knee - _DROP / a
    if (a >= _STEEP).any():
        steeper = _beta(np.maximum(a - _GROWTH, _STEEP - _GROWTH), B)
        left = np.where(a < _STEEP, left, _end(steeper, steeper.peak(), -1.0))
    right = _end(density, peak, 1.0)
    step = _step(1.0 / (1.0 / a + 1.0 / B))
    y, weight = _nodes(left, right, np.minimum(knee, 0.0), np.maximum(peak, 0.0), step)
    weight *= np.exp(density.at_nodes(y) - density.at(peak)[:, None])
    weight /= weight.sum(axis=1, keepdims=True)
    log_p, log_q = _logarithms(y)
    return Rule(np.exp(np.maximum(log_p, _LEAST)), np.exp(log_q), weight)


class _Density(NamedTuple):
    """p^a·(1 − p)^B·(1 + pz)^−m, the density of y beside its constant; n of them. It has one peak."""

    a: Floats
    B: Floats
    m: Floats
    z: Floats

    def peak(self) -> Floats:
        """Return the y of the peak."""
        high, low = np.log(self.a / self.B), np.log(self.a / (self.B + self.m * self.z))
        for _ in range(_BISECTIONS if (low < high).any() else 0):
            middle = (low + high) / 2.0
            p, q = (np.exp(log) for log in _logarithms(middle))
            rises = self.a * q - self.B * p - self.m * self.z * p * q / (1.0 + p * self.z) > 0.0
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        return high

    def curvature(self, y: Floats) -> Floats:
        """Return minus the second derivative of the logarithm."""
        p, q = (np.exp(log) for log in _logarithms(y))
        shrunk = self.z * p * q / (1.0 + p * self.z)
        return (self.a + self.B) * p * q + self.m * shrunk * (q - p - shrunk)

    def at(self, y: Floats) -> Floats:
        """Return the logarithm."""
        log_p, log_q = _logarithms(y)
        return self.a * log_p + self.B * log_q - self.m * np.log1p(np.exp(log_p) * self.z)

    def at_nodes(self, y: Floats) -> Floats:
        """Return the logarithm at nodes of shape (n, k)."""
        return _Density(*(one[:, None] for one in self)).at(y)


def _beta(a: Floats, B: Floats) -> _Density:
    """Return the density of the chance itself."""
    return _Density(a, B, np.zeros_like(a), np.zeros_like(a))


def _logarithms(y: Floats) -> tuple[Floats, Floats]:
    """Return ln p and ln(1 − p) of p = 1/(1 + exp(−y))."""
    rest = np.log1p(np.exp(-np.abs(y)))
    return np.minimum(y, 0.0) - rest, -np.maximum(y, 0.0) - rest


def _end(density: _Density, peak: Floats, sign: float) -> Floats:
    """Return where a density has fallen to nothing, left (−1) or right (1) of its peak; or a little farther."""
    top = density.at(peak)
    slope = density.a if sign < 0.0 else density.B  # at infinity; the density never lies above the line −slope·|y|
    high = (_DROP - top) / slope - sign * peak
    low = np.minimum(np.sqrt(8.0 * _DROP / (density.a + density.B + density.m)), high)
    for _ in range(_HALVINGS):
        middle = np.sqrt(low * high)
        inside = top - density.at(peak + sign * middle) < _DROP
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return peak + sign * high


def _step(curvature: Floats) -> Floats:
    """Return how far apart nodes may be, given the curvature of the logarithm of the density at its peak."""
    return 1.0 / np.sqrt(_STEP**-2 + curvature / _PEAK_STEP**2)


def _nodes(left: Floats, right: Floats, low: Floats, high: Floats, step: Floats) -> tuple[Floats, Floats]:
    """Return nodes y from left to right and dy/du: equally spaced u, with y = u where something happens, low to high.

    Outside y = u − exp(low − margin − u) + exp(u − high − margin), each part only where the range goes that far.
    """
    low, high = low - _MARGIN, high + _MARGIN
    runs, rushes = left < low, right > high
    first = np.where(runs, low - np.log1p(np.maximum(low - left, 0.0)), left - np.where(rushes, np.exp(-_MARGIN), 0.0))
    last = np.where(rushes, high + np.log1p(np.maximum(right - high, 0.0)), right + np.where(runs, np.exp(-_MARGIN), 0))
    number = int(np.ceil((last - first) / step).max()) + 1
    u = first[:, None] + (last - first)[:, None] * np.linspace(0.0, 1.0, number)
    before = np.where(runs[:, None], np.exp(np.minimum(low[:, None] - u, 50.0)), 0.0)
    after = np.where(rushes[:, None], np.exp(np.minimum(u - high[:, None], 50.0)), 0.0)
    spacing = ((last - first) / max(number - 1, 1))[:, None]
    return u - before + after, (1.0 + before + after) * spacing


def survival_average(a: Any, B: Any, m: Any, z: Any) -> Floats:
    """Return E[(1 + pz)^−m] for p ~ Beta(a, B), elementwise; exact also where it is next to nothing."""
    found = average(_outlasting, a, B, (m + 1.0) * z, m, z)
    faint = (found < _FAINT) & (z < math.inf)
    if not np.any(faint):
        return found
    found = np.array(found)
    columns = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (a, B, m, z)), found)[:-1]
    found[faint] = _faint_survival(*(one[faint] for one in columns))
    return found[()]


def _outlasting(p: Floats, _: Floats, m: Any, z: Any) -> Floats:
    return np.exp(-m * np.log1p(p * z))


def _faint_survival(a: Floats, B: Floats, m: Floats, z: Floats) -> Floats:
    """Return the same by rules that fit the whole integrand."""
    found = np.empty(len(a))
    for start in range(0, len(a), _BATCH):
        part = slice(start, start + _BATCH)
        density = _Density(a[part], B[part], m[part], z[part])
        peak = density.peak()
        knee = np.minimum(peak, -np.log1p((density.m + 1.0) * density.z))
        ends = _end(density, peak, -1.0), _end(density, peak, 1.0)
        y, weight = _nodes(*ends, np.minimum(knee, 0.0), np.maximum(peak, 0.0), _step(density.curvature(peak)))
        log = density.at_nodes(y) - betaln(density.a, density.B)[:, None]
        found[part] = (np.exp(log) * weight).sum(axis=1)
    return found
