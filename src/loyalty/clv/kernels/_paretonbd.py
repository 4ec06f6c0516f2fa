"""Pareto/NBD: exponential lifetimes whose dropout rates are spread over customers by a Gamma(s, β) distribution.

Source: Schmittlein, Morrison & Colombo (1987), Management Science 33, 1-24: S(τ) = (β/(β + τ))^s. Their likelihood with
hypergeometric functions is the same number.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import exprel

from loyalty.clv.kernels import Floats, Kernel, Params, _daygrid, _dropout
from loyalty.clv.kernels._dropout import ONE_FALL, ONE_NODES, ONE_RANGE, ONE_WEIGHTS, Dropout, Frame, Law, one_or_many
from loyalty.clv.kernels._nbd import rate_moments
from loyalty.clv.kernels._quadrature import NODES, WEIGHTS

if TYPE_CHECKING:
    from loyalty.clv.summaries.cells import Cells

__all__ = ["KERNEL", "LAW"]

# ----------------------------------------------------------------------------------------------------- dropout


def _frame(dropout: Dropout, t: Any, alpha: Any) -> Frame:
    """Return how η runs from t, with δ = min(α, β)."""
    _, beta = dropout
    scale = np.minimum(alpha, beta) + t
    return Frame(scale, scale / (beta + t), None)


def _decline(dropout: Dropout, t: Any, ahead: Any) -> Floats:
    s, beta = dropout
    return s * np.log1p(ahead / (beta + t))


def _log_hazard(dropout: Dropout, t: Any) -> Floats:
    s, beta = dropout
    return np.log(s / (beta + t))


def _slopes(dropout: Dropout, t: Any) -> tuple[list[Floats], list[Floats]]:
    s, beta = dropout
    left = beta / (beta + t)
    return [-s * np.log1p(t / beta), s * (t / (beta + t))], [np.ones_like(left), -left]


def _singular(dropout: Dropout) -> list[complex]:
    return [complex(-dropout[1])]


def _steep(dropout: Dropout, t: Any, ahead: Any) -> Floats:  # noqa: ARG001 - steepest at t
    s, beta = dropout
    return (s + 1.0) / (beta + t)


LAW = Law(frame=_frame, decline=_decline, log_hazard=_log_hazard, slopes=_slopes, singular=_singular, steep=_steep)


# ------------------------------------------------------------------------------------------------- predictions


def _p_alive_of_one(params: Params, x: float, t_x: float, T: float) -> Any:
    """Return P(alive) of one customer, a number; None where a single rule does not suffice."""
    r, alpha, s, beta = params
    m, a, b, gap = r + x, alpha + t_x, beta + t_x, T - t_x
    passed, declined = math.log1p(gap / a), math.log1p(gap / b)
    fall, end = m * passed + s * declined, max(passed, declined)
    if not (fall <= ONE_FALL and end <= ONE_RANGE):
        return None
    eta = end * ONE_NODES
    if a <= b:
        share = a / b
        dead = np.exp((1.0 - m) * eta - (s + 1.0) * np.log1p(share * np.expm1(eta)))
    else:
        share = 1.0
        dead = np.exp(-s * eta - m * np.log1p(b / a * np.expm1(eta)))
    return np.float64(1.0 / (1.0 + s * share * end * float(dead @ ONE_WEIGHTS) * math.exp(fall)))


def time_alive(params: Params, x: Any, T: Any, horizon: Any) -> Floats:
    """Return, given alive at T, the expected time alive in the horizon; infinite where that is and s ≤ 1."""
    *_, s, beta, _, T, horizon = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (*params, x, T, horizon)))
    return _time_alive(s, beta + T, horizon)[()]


def _time_alive(s: Floats, b: Floats, horizon: Floats) -> Floats:
    """Return ∫ (1 + v/b)^−s dv over the horizon, also where s is 1."""
    endless = np.isinf(horizon)
    grown = np.log1p(np.where(endless, 0.0, horizon) / b)
    finite = b * grown * exprel((1.0 - s) * grown)
    if not endless.any():
        return finite
    return np.where(endless, np.divide(b, s - 1.0, out=np.full_like(finite, np.inf), where=s > 1.0), finite)


def _purchases_of_many(params: Params, x: Any, T: Any, horizon: Any, rate: Any) -> Floats:
    """Return, given alive at T, the expected purchases in the horizon, discounted at a rate."""
    columns = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in (*params, x, T, horizon, rate)))
    r, alpha, s, beta, x, T, horizon, rate = columns
    lasting = np.array(_time_alive(s, beta + T, horizon))
    if (discounted := rate != 0.0).any():
        picked = [column[discounted] for column in (s, beta, T, horizon, rate)]
        lasting[discounted] = _dropout.time_integral(LAW, picked[:2], *picked[2:])
    return ((r + x) / (alpha + T) * lasting)[()]


def _purchases_of_one(params: Params, x: float, T: float, horizon: float, rate: float) -> Any:
    """Return the expected purchases of one customer, a number; None where a single rule does not suffice."""
    r, alpha, s, beta = params
    b = beta + T
    if not horizon / b <= math.expm1(ONE_RANGE):
        return None
    end = math.log1p(horizon / b)
    power = (1.0 - s) * end
    if not rate:
        lasting = math.expm1(power) / power if power else 1.0
    elif s * end + rate * horizon <= ONE_FALL:
        lasting = float(np.exp(power * ONE_NODES - rate * b * np.expm1(end * ONE_NODES)) @ ONE_WEIGHTS)
    else:
        return None
    return np.float64((r + x) / (alpha + T) * b * end * lasting)


def factorial_moment(params: Params, x: Any, T: Any, horizon: Any) -> Floats:
    """Return, given alive at T, E[X·(X − 1)] of the purchases X in the horizon."""
    columns = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in (*params, x, T, horizon)))
    r, alpha, s, beta, x, T, horizon = columns
    b, m = beta + T, r + x
    return (m * (m + 1.0) * 2.0 * (b / (alpha + T)) ** 2 * _moment(s, np.log1p(horizon / b)))[()]


def _moment(s: Floats, end: Floats) -> Floats:
    """Return ∫ (e^ξ − 1)·e^((1 − s)ξ) dξ over (0, end), which is ∫ v·(1 + v/b)^−s dv / b².

    In closed form unless the end is near: there the difference would lose digits, and one Gauss rule is exact.
    """
    far = end * exprel((2.0 - s) * end) - end * exprel((1.0 - s) * end)
    near = end * (1.0 + np.abs(1.0 - s)) < 2.0
    short = np.where(near, end, 0.0)[..., None] * NODES
    return np.where(near, end * ((np.expm1(short) * np.exp((1.0 - s)[..., None] * short)) @ WEIGHTS), far)


# -------------------------------------------------------------------------------------------------------- start


def start(cells: Cells) -> Floats:
    """Return logarithms of parameters to begin a fit with."""
    r, alpha, span = rate_moments(cells)
    return np.log([r, alpha / 2.0, 0.7, span / 2.0])


KERNEL = Kernel(
    names=("r", "alpha", "s", "beta"),
    time_powers=(0, 1, 0, 1),
    log_likelihood=partial(_dropout.log_likelihood, LAW),
    gradient=partial(_dropout.gradient, LAW),
    total=partial(_daygrid.total, LAW),
    hessian=None,
    start=start,
    p_alive=partial(one_or_many, _p_alive_of_one, partial(_dropout.p_alive, LAW)),
    survival=partial(_dropout.survival, LAW),
    purchases=partial(one_or_many, _purchases_of_one, _purchases_of_many),
    factorial_moment=factorial_moment,
    probability=partial(_dropout.probability, LAW),
    time_alive=time_alive,
)
