"""NBD: purchase rates spread over customers by a Gamma(r, α) distribution, and nobody ever drops out.

Source: Ehrenberg (1959), Applied Statistics 8, 26-41. The other models in continuous time count purchases in the same
way, so what they share about it is here.

L = Γ(r + x)/Γ(r) · α^r · (α + T)^−(r + x); given the history, the rate is Gamma(r + x, α + T).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import exprel, gammaln, polygamma, psi, xlogy

from loyalty.clv.kernels import Floats, Kernel, Params
from loyalty.clv.kernels._quadrature import tally

if TYPE_CHECKING:
    from loyalty.clv.summaries.cells import Cells

__all__ = ["KERNEL", "log_mass", "log_rising", "log_rising_slope", "rate_moments"]

_LARGE = 1e3  # above it, differences of gamma functions come from Stirling's series, which loses no digits


def log_rising(r: Any, x: Any) -> Floats:
    """Return log Γ(r + x)/Γ(r), without cancellation for large r."""
    r, x = np.asarray(r, dtype=np.float64), np.asarray(x, dtype=np.float64)
    if r.ndim == 0 and r <= _LARGE:
        return gammaln(r + x) - gammaln(r)
    large = np.maximum(r, _LARGE)
    ends = _stirling(large + x) - _stirling(large)
    series = (large + x - 0.5) * np.log1p(x / large) - x + x * np.log(large) + ends
    small = np.minimum(r, _LARGE)
    return np.where(r > _LARGE, series, gammaln(small + x) - gammaln(small))


def _stirling(r: Floats) -> Floats:
    return (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * r * r)) / (r * r)) / r


def log_rising_slope(r: Any, x: Any) -> Floats:
    """Return ψ(r + x) − ψ(r), the derivative of `log_rising` by r, without cancellation for large r."""
    r, x = np.asarray(r, dtype=np.float64), np.asarray(x, dtype=np.float64)
    if r.ndim == 0 and r <= _LARGE:
        return psi(r + x) - psi(r)
    large = np.maximum(r, _LARGE)
    ends = x / (2.0 * large * (large + x)) + _stirling_slope(large) - _stirling_slope(large + x)
    small = np.minimum(r, _LARGE)
    return np.where(r > _LARGE, np.log1p(x / large) + ends, psi(small + x) - psi(small))


def _stirling_slope(r: Floats) -> Floats:
    return (1.0 / 12.0 - (1.0 / 120.0 - 1.0 / (252.0 * r * r)) / (r * r)) / (r * r)


def log_mass(m: Any, a: Any, h: Any, k: Any) -> Floats:
    """Return log P(X = k) of the purchases X in a time h at a Gamma(m, a) rate."""
    return log_rising(m, k) - gammaln(k + 1.0) - m * np.log1p(h / a) + xlogy(k, h / (a + h))


def log_likelihood(params: Params, x: Any, t_x: Any, T: Any) -> Floats:
    """Return the log-likelihood of each customer; t_x does not matter."""
    r, alpha, x, _, T = _arrays(params, x, t_x, T)
    return log_rising(r, x) - r * np.log1p(T / alpha) - x * np.log(alpha + T)


def gradient(params: Params, x: Any, t_x: Any, T: Any) -> Floats:
    """Return its derivatives by log r and log α, shape (2, …)."""
    r, alpha, x, _, T = _arrays(params, x, t_x, T)
    by_r = r * (log_rising_slope(r, x) - np.log1p(T / alpha))
    return np.stack([by_r, (r * T - x * alpha) / (alpha + T)])


def _arrays(params: Params, *columns: Any) -> Sequence[Floats]:
    return np.broadcast_arrays(*(np.asarray(column, dtype=np.float64) for column in (*params, *columns)))


class _Margins(NamedTuple):
    """The distinct x and T of cells: how many customers had each, and how many repeat purchases by T."""

    x: Floats
    by_x: Floats
    T: Floats
    by_age: Floats
    x_by_age: Floats


_margins: WeakKeyDictionary[Cells, _Margins] = WeakKeyDictionary()


def _margins_of(cells: Cells) -> _Margins:
    """Return the margins of cells, found once for each."""
    found = _margins.get(cells)
    if found is None:
        x, at_x = np.unique(cells.x, return_inverse=True)
        T, at_T = np.unique(cells.T, return_inverse=True)
        by_x = tally(at_x, cells.weight, len(x))
        by_age, x_by_age = (tally(at_T, weights, len(T)) for weights in (cells.weight, cells.weight * cells.x))
        found = _margins[cells] = _Margins(x, by_x, T, by_age, x_by_age)
    return found


def total(params: Params, cells: Cells) -> tuple[float, Floats]:
    """Return the weighted sums of log-likelihood and gradient."""
    r, alpha = (float(value) for value in params)
    x, by_x, T, by_age, x_by_age = _margins_of(cells)
    grown = np.log1p(T / alpha)
    value = by_x @ log_rising(r, x) - r * (by_age @ grown) - x_by_age @ np.log(alpha + T)
    by_r = r * (by_x @ log_rising_slope(r, x) - by_age @ grown)
    by_alpha = ((r * by_age * T - alpha * x_by_age) / (alpha + T)).sum()
    return float(value), np.array([by_r, by_alpha])


def hessian(params: Params, cells: Cells) -> Floats:
    """Return the second derivatives of the sum by the logarithms of r and α."""
    r, alpha = (float(value) for value in params)
    x, by_x, T, by_age, x_by_age = _margins_of(cells)
    curved = by_x @ (polygamma(1, r + x) - polygamma(1, r))
    across = r * (by_age @ (T / (alpha + T)))
    by_r = total(params, cells)[1][0] + r * r * curved
    by_alpha = -((r * by_age + x_by_age) @ (alpha * T / (alpha + T) ** 2))
    return np.array([[by_r, across], [across, by_alpha]])


def rate_moments(cells: Cells) -> tuple[float, float, float]:
    """Return r and α from the mean and the spread of x beside T, and a typical T; all positive and finite.

    Mean rate r/α = Σx / ΣT, and Σx(x − 1) / ΣT² estimates its second moment r(r + 1)/α². Where nobody bought again half
    a purchase is assumed, and r is kept between 0.05 and 20: less or no spread than chance brings says nothing.
    """
    x, T, weight = cells.x, cells.T, cells.weight
    span = float(weight @ T) / cells.customers if len(cells) else 0.0
    if not (span > 0.0 and math.isfinite(span)):
        return 1.0, 1.0, 1.0
    rate = max(float(weight @ x), 0.5) / float(weight @ T)
    second = float(weight @ (x * (x - 1.0))) / float(weight @ (T * T))
    excess = second / (rate * rate) - 1.0
    r = min(max(1.0 / excess, 0.05), 20.0) if excess > 0.0 else 20.0
    return r, r / rate, span


def start(cells: Cells) -> Floats:
    """Return log r and log α to begin a fit with."""
    return np.log(rate_moments(cells)[:2])


def p_alive(params: Params, x: Any, t_x: Any, T: Any) -> Floats:
    """Return 1: nobody drops out."""
    return np.ones_like(_arrays(params, x, t_x, T)[0])[()]


def survival(params: Params, x: Any, T: Any, ahead: Any) -> Floats:
    """Return 1: nobody drops out."""
    return np.ones_like(_arrays(params, x, T, ahead)[0])[()]


def time_alive(params: Params, x: Any, T: Any, horizon: Any) -> Floats:
    """Return the horizon itself."""
    return +_arrays(params, x, T, horizon)[-1]


def purchases(params: Params, x: Any, T: Any, horizon: Any, rate: Any) -> Floats:
    """Return the mean rate times the discounted length of the horizon."""
    r, alpha, x, T, horizon, rate = _arrays(params, x, T, horizon, rate)
    return (r + x) / (alpha + T) * discounted(horizon, rate)


def discounted(horizon: Any, rate: Any) -> Floats:
    """Return ∫₀^horizon exp(−rate·v) dv; infinite where the horizon is and the rate is 0."""
    endless = np.isinf(horizon)
    if not endless.any():
        return horizon * exprel(-rate * horizon)
    finite = np.where(endless, 0.0, horizon)
    forever = np.divide(1.0, rate, out=np.full_like(finite, np.inf), where=rate > 0.0)
    return np.where(endless, forever, finite * exprel(-rate * finite))


def factorial_moment(params: Params, x: Any, T: Any, horizon: Any) -> Floats:
    """Return E[X·(X − 1)] of the purchases X in the horizon."""
    r, alpha, x, T, horizon = _arrays(params, x, T, horizon)
    return (r + x) * (r + x + 1.0) * (horizon / (alpha + T)) ** 2


def probability(params: Params, x: Any, T: Any, horizon: Any, count: Any) -> Floats:
    """Return P(X = count) of the purchases X in the horizon."""
    r, alpha, x, T, horizon, count = _arrays(params, x, T, horizon, count)
    return np.exp(log_mass(r + x, alpha + T, horizon, count))


KERNEL = Kernel(
    names=("r", "alpha"),
    time_powers=(0, 1),
    log_likelihood=log_likelihood,
    gradient=gradient,
    total=total,
    hessian=hessian,
    start=start,
    p_alive=p_alive,
    survival=survival,
    purchases=purchases,
    factorial_moment=factorial_moment,
    probability=probability,
    time_alive=time_alive,
)
