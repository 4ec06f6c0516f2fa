"""BG/NBD and MBG/NBD: customers buy at Gamma(r, α) rates and may drop out at each purchase, with a Beta(a, b) chance.

BG/NBD: dropout is possible at repeat purchases; so nobody without one has dropped out. Source: Fader, Hardie & Lee
(2005), Marketing Science 24, 275-284. MBG/NBD: it is possible at the first purchase too. Source: Batislam, Denizel &
Filiztekin (2007), International Journal of Research in Marketing 24, 201-209.

With n = x (BG) or x + 1 (MBG) chances of dropout outlasted by whoever is still a customer,

    L = L(NBD) · E[(1 − p)^n] · (1 + e^z),   e^z = a/(b + n − 1) · ((α + T)/(α + t_x))^(r + x),

where L(NBD) is the likelihood without dropout and z the log-odds that the last purchase was the last of all (none where
n = 0). Given alive at T, the rate is Gamma(m = r + x, α + T) and p ~ Beta(a, B = b + n), independent of each other;
averages over rates are closed, those over p are taken by quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from scipy.special import betainc, expit, exprel, polygamma

from loyalty.clv.kernels import Floats, Kernel, Params, _nbd
from loyalty.clv.kernels._beta_averages import average, plain, survival_average
from loyalty.clv.kernels._by_age import by_age
from loyalty.clv.kernels._layout import Layout, layout_of
from loyalty.clv.kernels._nbd import log_mass, log_rising, log_rising_slope
from loyalty.clv.summaries.cells import Cells

__all__ = ["BGNBD", "MBGNBD"]

_BATCH = 8192  # cells at a time, so that what is worked out for them stays in the processor's cache
_FADED = 45.0  # a discount of exp(−45) leaves nothing
_SERIES = 0.01  # of (m + 2)·w, below which a difference has lost digits
_TERMS = 6


# ---------------------------------------------------------------------------------------------------------- likelihood


def log_likelihood(params: Params, x: Any, t_x: Any, T: Any, *, at_birth: bool) -> Floats:
    """Return the log-likelihood of each customer."""
    r, alpha, a, b, x, t_x, T = _arrays(params, x, t_x, T)
    n = x + at_birth
    outlasted = log_rising(b, n) - log_rising(a + b, n)
    z = _log_odds_gone((r, alpha, a, b), x, t_x, T, at_birth=at_birth)
    return _nbd.log_likelihood((r, alpha), x, t_x, T) + outlasted + _softplus(z)


def gradient(params: Params, x: Any, t_x: Any, T: Any, *, at_birth: bool) -> Floats:
    """Return its derivatives by the logarithms of the parameters, shape (4, …)."""
    r, alpha, a, b, x, t_x, T = _arrays(params, x, t_x, T)
    n = x + at_birth
    by_both = log_rising_slope(a + b, n)
    without = [*_nbd.gradient((r, alpha), x, t_x, T), -a * by_both, b * (log_rising_slope(b, n) - by_both)]
    by_alpha = -(r + x) * (T - t_x) / (alpha + T) * (alpha / (alpha + t_x))
    odds = [r * np.log1p((T - t_x) / (alpha + t_x)), by_alpha, np.ones_like(x), -b / (b + np.maximum(n - 1.0, 0.0))]
    return np.stack(without) + expit(_log_odds_gone((r, alpha, a, b), x, t_x, T, at_birth=at_birth)) * np.stack(odds)


def p_alive(params: Params, x: Any, t_x: Any, T: Any, *, at_birth: bool) -> Floats:
    """Return the probability of still being a customer at T; for BG/NBD 1 where x = 0."""
    return expit(-_log_odds_gone(params, x, t_x, T, at_birth=at_birth))


def _arrays(params: Params, *columns: Any) -> list[Floats]:
    return list(np.broadcast_arrays(*(np.asarray(column, dtype=np.float64) for column in (*params, *columns))))


def _log_odds_gone(params: Params, x: Any, t_x: Any, T: Any, *, at_birth: bool) -> Floats:
    """Return z, −∞ where nobody can have dropped out."""
    r, alpha, a, b = params
    waited = (r + x) * np.log1p((T - t_x) / (alpha + t_x))
    if at_birth:
        return np.log(a / (b + x)) + waited
    if plain(x):
        return np.log(a / (b + (x - 1))) + waited if x > 0 else np.float64(-np.inf) + 0.0 * waited
    return np.where(x > 0, np.log(a / (b + np.maximum(x - 1, 0))), -np.inf) + waited


def _softplus(z: Floats) -> Floats:
    """Return ln(1 + e^z)."""
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


# -------------------------------------------------------------------------------------------------- sums over all cells


class _Part(NamedTuple):
    """What the possibility of having dropped out adds, for some cells.

    Attributes:
        weight: Customers in each.
        added: ln(1 + e^z).
        gone: Probability of having dropped out.
        slopes: Derivatives of z by the logarithms of the parameters; shape (4, …).
        m: r + x.
        share: α/(α + T) + α/(α + t_x) − 1.
    """

    weight: Floats
    added: Floats
    gone: Floats
    slopes: Floats
    m: Floats
    share: Floats


def _parts(params: Params, cells: Cells, *, at_birth: bool, shares: bool = False) -> Iterator[_Part]:
    """Work out all cells, some thousands at a time, from tables over the distinct x, t_x and T."""
    r, alpha, a, b = params
    layout = layout_of(cells)
    logs = [np.log1p(times / alpha) for times in (layout.T, layout.t_x)]
    parts = [times / (alpha + times) for times in (layout.T, layout.t_x)]  # 1 − α/(α + T), good for large α too
    n = layout.x + at_birth
    before = b + np.maximum(n - 1.0, 0.0)
    odds, pull = np.where(n > 0.0, np.log(a / before), -np.inf), -b / before
    for start in range(0, len(cells), _BATCH):
        some = slice(start, start + _BATCH)
        at_x, at_last, at_age = layout.at_x[some], layout.at_last[some], layout.at_age[some]
        m = r + cells.x[some]
        slopes = np.empty((4, len(m)))
        slopes[0] = logs[0][at_age] - logs[1][at_last]
        z = m * slopes[0] + odds[at_x]
        slopes[0] *= r
        slopes[1] = parts[1][at_last] - parts[0][at_age]
        slopes[1] *= m
        slopes[2] = 1.0
        slopes[3] = pull[at_x]
        added = _softplus(z)
        share = 1.0 - parts[1][at_last] - parts[0][at_age] if shares else m
        yield _Part(cells.weight[some], added, np.exp(z - added), slopes, m, share)


def total(params: Params, cells: Cells, *, at_birth: bool) -> tuple[float, Floats]:
    """Return the weighted sums of log-likelihood and gradient."""
    r, alpha, a, b = params = [float(value) for value in params]
    layout = layout_of(cells)
    n = layout.x + at_birth
    value, by_rates = _nbd.total((r, alpha), cells)
    value += float(layout.by_x @ (log_rising(b, n) - log_rising(a + b, n)))
    by_both = layout.by_x @ log_rising_slope(a + b, n)
    slopes = np.array([*by_rates, -a * by_both, b * (layout.by_x @ log_rising_slope(b, n) - by_both)])
    for part in _parts(params, cells, at_birth=at_birth):
        value += float(part.weight @ part.added)
        slopes += part.slopes @ (part.weight * part.gone)
    return value, slopes


def hessian(params: Params, cells: Cells, *, at_birth: bool) -> Floats:
    """Return the second derivatives of the sum by the logarithms of the parameters, shape (4, 4)."""
    r, alpha, a, b = params = [float(value) for value in params]
    second = np.zeros((4, 4))
    second[:2, :2] = _nbd.hessian((r, alpha), cells)
    second[2:, 2:] = _outlasting_hessian(a, b, layout_of(cells), at_birth=at_birth)
    for part in _parts(params, cells, at_birth=at_birth, shares=True):
        gone = part.weight * part.gone
        by_r, by_alpha, _, by_b = part.slopes
        second += (part.slopes * (gone * (1.0 - part.gone))) @ part.slopes.T
        across = r * float(gone @ (by_alpha / part.m))
        second[0, 0] += gone @ by_r
        second[0, 1] += across
        second[1, 0] += across
        second[1, 1] -= gone @ (by_alpha * part.share)
        second[3, 3] += gone @ (by_b * (1.0 + by_b))
    return (second + second.T) / 2.0


def _outlasting_hessian(a: float, b: float, layout: Layout, *, at_birth: bool) -> Floats:
    """Return the second derivatives of the sum of ln E[(1 − p)^n] by ln a and ln b."""
    n, count = layout.x + at_birth, layout.by_x

    def first(c: float) -> float:
        return float(count @ log_rising_slope(c, n))

    def second(c: float) -> float:
        return float(count @ (polygamma(1, c + n) - polygamma(1, c)))

    of_both, curved = first(a + b), second(a + b)
    by_a = -a * of_both - a * a * curved
    by_b = b * (first(b) - of_both) + b * b * (second(b) - curved)
    return np.array([[by_a, -a * b * curved], [-a * b * curved, by_b]])


def start(cells: Cells, *, at_birth: bool) -> Floats:
    """Return logarithms of parameters to begin a fit with, from moments.

    Who has been silent for three times the mean gap between purchases counts as gone. The share of purchases that were
    followed by that is the mean of p; rates are those of the time until then.
    """
    x, t_x, T, weight = cells.x, cells.t_x, cells.T, cells.weight
    bought = float(weight @ x)
    patience = 3.0 * float(weight @ t_x) / bought if bought > 0.0 else math.inf
    gone = T - t_x > patience
    if not at_birth:
        gone &= x > 0.0
    chances = bought + (cells.customers if at_birth else 0.0)
    dropout = (float(weight @ gone) + 0.5) / (chances + 2.0)
    watched = Cells(x, t_x, np.where(gone, t_x + patience, T), weight)
    r, alpha, _ = _nbd.rate_moments(watched)
    dropout = min(max(dropout, 0.02), 0.8)
    return np.log([r, alpha, 2.0 * dropout, 2.0 * (1.0 - dropout)])


# -------------------------------------------------------------------------------------------------- given alive at T


@by_age
def survival(params: Params, x: Any, T: Any, ahead: Any, *, at_birth: bool) -> Floats:
    """Return the probability of being alive at T + ahead: E[(1 + pz)^−m] with z = ahead/(α + T)."""
    r, alpha, a, b = params
    return survival_average(a, b + (x + at_birth), r + x, ahead / (alpha + T))


@by_age
def purchases(params: Params, x: Any, T: Any, horizon: Any, rate: Any, *, at_birth: bool) -> Floats:
    """Return expected purchases in the horizon, discounted: without discount E[(1 − (1 + pz)^−m)/p], z as above."""
    r, alpha, a, b = params
    m, age, B = r + x, alpha + T, b + (x + at_birth)
    if rate == 0.0 if plain(rate) else not np.any(rate):
        return _undiscounted(a, B, m, horizon / age)
    z = _last_that_counts(horizon, rate) / age
    return average(_discounted, a, B, (m + 1.0) * z, m, z, rate * age)


def _undiscounted(a: Any, B: Any, m: Any, z: Any) -> Floats:
    """Return the same without discount; for ever, E[1/p]."""
    found = average(_bought, a, B, (m + 1.0) * z, m, z)
    endless = np.isinf(z)
    if not (endless if plain(z) else endless.any()):
        return found
    forever = np.where(a > 1.0, (a + B - 1.0) / np.where(a > 1.0, a - 1.0, 1.0), np.inf)
    return np.where(endless, forever, found)[()]


def _last_that_counts(horizon: Any, rate: Any) -> Any:
    """Return the horizon, or where the discount leaves nothing."""
    if plain(horizon, rate):
        return min(horizon, _FADED / rate) if rate > 0.0 else horizon
    rate = np.asarray(rate, dtype=np.float64)
    return np.where(rate > 0.0, np.minimum(horizon, _FADED / np.where(rate > 0.0, rate, 1.0)), horizon)


def _bought(p: Floats, _: Floats, m: Any, z: Any) -> Floats:
    """Return ∫₀^z m·(1 + pu)^−(m+1) du."""
    return np.expm1(-m * np.log1p(p * z)) / -p


def _discounted(p: Floats, _: Floats, m: Any, z: Any, c: Any) -> Floats:
    """Return ∫₀^z exp(−cu)·m·(1 + pu)^−(m+1) du, by Gauss's rule in ln(1 + (m + 1)u)."""
    width = np.log1p((m + 1.0) * z)
    longest = float(np.max(width))
    nodes, weights = _gauss(4 * math.ceil(max(20.0, 14.0 + 4.3 * longest) / 4.0))
    if p.ndim == 1:  # of one customer: nodes along a further axis
        return _discounted_at(nodes[:, None] * width, weights[:, None] * width, p, m, c).sum(axis=0)
    found = np.zeros(p.shape)
    for node, weight in zip(nodes, weights, strict=True):
        found += _discounted_at(node * width, weight * width, p, m, c)
    return found


def _discounted_at(node: Any, weight: Any, p: Floats, m: Any, c: Any) -> Floats:
    """Return a term of the integral."""
    u = np.expm1(node) / (m + 1.0)
    return (weight * (m / (m + 1.0))) * np.exp(node - c * u - (m + 1.0) * np.log1p(p * u))


@lru_cache(maxsize=64)
def _gauss(points: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss–Legendre quadrature on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return (nodes + 1.0) / 2.0, weights / 2.0


@by_age
def time_alive(params: Params, x: Any, T: Any, horizon: Any, *, at_birth: bool) -> Floats:
    """Return the expected time alive in the horizon: (α + T)·E[∫₀^z (1 + pu)^−m du]."""
    r, alpha, a, b = params
    m, age = r + x, alpha + T
    z = horizon / age
    return age * average(_lasting, a, b + (x + at_birth), (m + 1.0) * z, m, z)


def _lasting(p: Floats, _: Floats, m: Any, z: Any) -> Floats:
    """Return ∫₀^z (1 + pu)^−m du, which is a logarithm where m = 1."""
    log = np.log1p(p * z)
    return log / p * exprel((1.0 - m) * log)


@by_age
def factorial_moment(params: Params, x: Any, T: Any, horizon: Any, *, at_birth: bool) -> Floats:
    """Return E[X·(X − 1)] of the purchases X in the horizon: 2·m·(m + 1)·E[(1 − p)·∫₀^z u·(1 + pu)^−(m+2) du]."""
    r, alpha, a, b = params
    m, z = r + x, horizon / (alpha + T)
    return average(_bought_in_pairs, a, b + (x + at_birth), (m + 2.0) * z, m, z)


def _bought_in_pairs(p: Floats, q: Floats, m: Any, z: Any) -> Floats:
    """Return 2q·I(2, m; w)/p², I being the incomplete beta function at w = pz/(1 + pz)."""
    odds = p * z
    w, log = odds / (1.0 + odds), np.log1p(odds)
    left = np.exp(-m * log)
    early = (m + 2.0) * w < _SERIES
    small, series = np.where(early, w, 0.0), np.ones_like(w)
    for term in range(_TERMS, 0, -1):
        series = 1.0 + series * small * ((m + 1.0 + term) / (2.0 + term))
    few = (0.5 * m * (m + 1.0)) * left * (z / (1.0 + odds)) ** 2 * series
    many = (-np.expm1(-m * log) - m * w * left) / np.where(early, 1.0, p * p)
    return 2.0 * q * np.where(early, few, many)


def probability(params: Params, x: Any, T: Any, horizon: Any, count: Any, *, at_birth: bool) -> Floats:
    """Return P(X = count) of the purchases X in the horizon.

    Either all purchases that could come did and were outlasted, or the last of them was the last of all.
    """
    r, alpha, a, b, x, T, horizon, count = _arrays(params, x, T, horizon, count)
    m, age, B = r + x, alpha + T, b + x + at_birth
    outlasted = log_rising(B, count) - log_rising(a + B, count)
    some = np.maximum(count, 1.0)
    at_least = betainc(some, m, horizon / (age + horizon))
    stopped = np.where(count > 0.0, a / (B + some - 1.0) * at_least, 0.0)
    return np.exp(outlasted) * (np.exp(log_mass(m, age, horizon, count)) + stopped)


def _kernel(*, at_birth: bool) -> Kernel:
    """Return the kernel of one of the two models."""
    functions: dict[str, Callable[..., Any]] = {
        "log_likelihood": log_likelihood,
        "gradient": gradient,
        "total": total,
        "hessian": hessian,
        "start": start,
        "p_alive": p_alive,
        "survival": survival,
        "purchases": purchases,
        "factorial_moment": factorial_moment,
        "probability": probability,
        "time_alive": time_alive,
    }
    bound: dict[str, Any] = {name: partial(function, at_birth=at_birth) for name, function in functions.items()}
    return Kernel(names=("r", "alpha", "a", "b"), time_powers=(0, 1, 0, 0), **bound)


BGNBD = _kernel(at_birth=False)
MBGNBD = _kernel(at_birth=True)
