"""GGom/NBD: Gompertz lifetimes whose level is spread over customers by a Gamma(s, β) distribution.

Source: Bemmaor & Glady (2012), Management Science 58, 1012-1021: S(τ) = (β/(β + exp(bτ) − 1))^s. As b → 0 with β/b
fixed it becomes the Pareto/NBD with that β.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty.clv.kernels import Floats, Kernel, Params, _daygrid, _dropout
from loyalty.clv.kernels._dropout import (
    ONE_FALL,
    ONE_NODES,
    ONE_RANGE,
    ONE_WEIGHTS,
    Dropout,
    Frame,
    Law,
    grown,
    one_or_many,
)
from loyalty.clv.kernels._nbd import rate_moments

if TYPE_CHECKING:
    from loyalty.clv.summaries.cells import Cells

__all__ = ["KERNEL", "LAW"]

_ONE_PACE = 100.0  # powers of e by which the clock may run ahead where one customer is done by a single rule


# ----------------------------------------------------------------------------------------------------- dropout


def _frame(dropout: Dropout, t: Any, alpha: Any) -> Frame:
    """Return how η runs from t, with δ = min(β, 1 − exp(−bα)).

    S is singular at z = −β, log(1 + z) at −1, and α + τ = 0 at z = exp(−bα) − 1.
    """
    _, b, beta = dropout
    fallen, passed = np.exp(-b * t), -np.expm1(-b * t)
    delta = np.minimum(beta, -np.expm1(-b * alpha))
    start = delta * fallen + passed  # (δ + z)/exp(bt), and so on
    share = start / (beta * fallen + passed)
    return Frame(start / b, share, b, 5.0 + np.maximum(-np.log(share), -np.log(start) - b * t).clip(min=0.0))


def _inflow(b: Any, beta: Any, t: Any) -> Floats:
    """Return exp(bt)/(β + exp(bt) − 1), the hazard over s·b."""
    return 1.0 / (beta * np.exp(-b * t) - np.expm1(-b * t))


def _decline(dropout: Dropout, t: Any, ahead: Any) -> Floats:
    s, b, beta = dropout
    return s * grown(_inflow(b, beta, t), b * ahead)


def _log_hazard(dropout: Dropout, t: Any) -> Floats:
    s, b, beta = dropout
    return np.log(s * b * _inflow(b, beta, t))


def _slopes(dropout: Dropout, t: Any) -> tuple[list[Floats], list[Floats]]:
    s, b, beta = dropout
    c, inflow, declined = b * t, _inflow(b, beta, t), grown(1.0 / beta, b * t)
    left = np.exp(-declined)
    surviving = [-s * declined, -s * c * inflow, -s * np.expm1(-declined)]
    return surviving, [np.ones_like(left), 1.0 + c * (1.0 - inflow), -left]


def _singular(dropout: Dropout) -> list[complex]:
    """Return where β + exp(bτ) = 1."""
    _, b, beta = dropout
    if beta == 1.0:
        return []
    if beta > 1.0:
        return [complex(math.log(beta - 1.0), math.pi) / b]
    return [complex(math.log1p(-beta) / b), complex(math.log1p(-beta), 2.0 * math.pi) / b]


def _steep(dropout: Dropout, t: Any, ahead: Any) -> Floats:
    s, b, beta = dropout
    inflow = np.maximum(_inflow(b, beta, t), _inflow(b, beta, t + ahead))
    return b * ((s + 1.0) * inflow + 1.0)


LAW = Law(frame=_frame, decline=_decline, log_hazard=_log_hazard, slopes=_slopes, singular=_singular, steep=_steep)


# ------------------------------------------------------------------------------------------------- predictions


def _p_alive_of_one(params: Params, x: float, t_x: float, T: float) -> Any:
    """Return P(alive) of one customer, a number; None where a single rule does not suffice."""
    r, alpha, s, b, beta = params
    m, a, gap = r + x, alpha + t_x, T - t_x
    if not b * gap <= _ONE_PACE:
        return None
    start, level = _start_and_level(b, beta, t_x, min(beta, -math.expm1(-b * alpha)))
    rise = math.expm1(b * gap)
    end, fall = math.log1p(rise / start), m * math.log1p(gap / a) + s * math.log1p(rise / level)
    if not (end <= ONE_RANGE and fall <= ONE_FALL):
        return None
    eta = end * ONE_NODES
    risen = np.expm1(eta)
    since = np.log1p(np.log1p(start * risen) / (a * b))
    dead = np.exp(eta - (s + 1.0) * np.log1p(start / level * risen) - m * since)
    return np.float64(1.0 / (1.0 + s * start / level * end * float(dead @ ONE_WEIGHTS) * math.exp(fall)))


def _start_and_level(b: float, beta: float, t: float, delta: float) -> tuple[float, float]:
    """Return (δ + z)/exp(bt) and (β + z)/exp(bt)."""
    fallen, passed = math.exp(-b * t), -math.expm1(-b * t)
    return delta * fallen + passed, beta * fallen + passed


def _purchases_of_one(params: Params, x: float, T: float, horizon: float, rate: float) -> Any:
    """Return the expected purchases of one customer, a number; None where a single rule does not suffice."""
    r, alpha, s, b, beta = params
    if not b * horizon <= _ONE_PACE:
        return None
    start, level = _start_and_level(b, beta, T, min(beta, 1.0))
    rise = math.expm1(b * horizon)
    end = math.log1p(rise / start)
    if not (end <= ONE_RANGE and s * math.log1p(rise / level) + rate * horizon <= ONE_FALL):
        return None
    eta = end * ONE_NODES
    risen = np.expm1(eta)
    log_value = eta - (1.0 + rate / b) * np.log1p(start * risen) - s * np.log1p(start / level * risen)
    return np.float64((r + x) / (alpha + T) * start / b * end * (np.exp(log_value) @ ONE_WEIGHTS))


# -------------------------------------------------------------------------------------------------------- start


def start(cells: Cells) -> Floats:
    """Return logarithms of parameters to begin a fit with.

    The clock bends within the time observed: from a straighter one a search can end on the ridge of the Pareto/NBD,
    even where the maximum lies elsewhere.
    """
    r, alpha, span = rate_moments(cells)
    return np.log([r, alpha / 2.0, 0.7, 1.0 / span, 1.0])


KERNEL = Kernel(
    names=("r", "alpha", "s", "b", "beta"),
    time_powers=(0, 1, 0, -1, 0),
    log_likelihood=partial(_dropout.log_likelihood, LAW),
    gradient=partial(_dropout.gradient, LAW),
    total=partial(_daygrid.total, LAW),
    hessian=None,
    start=start,
    p_alive=partial(one_or_many, _p_alive_of_one, partial(_dropout.p_alive, LAW)),
    survival=partial(_dropout.survival, LAW),
    purchases=partial(one_or_many, _purchases_of_one, partial(_dropout.purchases, LAW)),
    factorial_moment=partial(_dropout.factorial_moment, LAW),
    probability=partial(_dropout.probability, LAW),
    time_alive=partial(_dropout.time_alive, LAW),
)
