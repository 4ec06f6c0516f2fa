"""Beta-discrete-Weibull kernel (Fader, Hardie, Liu, Davin & Steenburgh 2018): the sBG with a chance that may change.

A customer with p ~ Beta(α, β) survives t renewals with probability (1 − p)^(t^c): c = 1 is the shifted beta-geometric,
c > 1 a chance of leaving that grows with every renewal, c < 1 one that falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.kernels import _beta, _sbg

__all__ = ["NAMES", "gradient", "log_likelihood", "log_survival", "remaining", "start", "total"]

Floats = NDArray[np.float64]
Params = Sequence[Any]

NAMES = ("alpha", "beta", "c")
_FAR = 250.0  # ln t^c beyond which survival has become a power of t, to the last digit
_TAIL = 60.0  # the same to twelve digits
_LONGEST = 600.0  # ln t that still is a number


class _Span:
    """Time from t₀ to t₁ on the scale u = t^c, capped where only a power is left.

    Attributes:
        u: t₀^c.
        rise: t₁^c − t₀^c.
        beyond: By how much ln u passes the cap in between.
        du, drise, dbeyond: Their derivatives by ln c.
    """

    def __init__(self, c: Any, begin: Any, end: Any) -> None:
        with np.errstate(divide="ignore"):
            first, last = np.multiply(c, np.log(begin)), np.multiply(c, np.log(end))
        first_capped, last_capped = np.minimum(first, _FAR), np.minimum(last, _FAR)
        self.u, end_u = np.exp(first_capped), np.exp(last_capped)
        with np.errstate(invalid="ignore"):  # from 0 to 0
            apart = np.where(first_capped == last_capped, 0.0, last_capped - first_capped)
        self.rise = -end_u * np.expm1(-apart)
        self.beyond = np.maximum(last - _FAR, 0.0) - np.maximum(first - _FAR, 0.0)
        moving_first, moving_last = (np.where(np.isfinite(ln) & (ln < _FAR), ln, 0.0) for ln in (first, last))
        self.du = self.u * moving_first
        # u₁·ln u₁ − u₀·ln u₀, written as a sum of what has one sign
        both = self.rise * moving_last + self.u * (moving_last - moving_first)
        self.drise = np.where(last < _FAR, both, -self.du)
        self.dbeyond = np.where(last > _FAR, last, 0.0) - np.where(first > _FAR, first, 0.0)


def log_survival(params: Params, renewals: Any, ahead: Any) -> Floats:
    """Return ln P(surviving `ahead` more renewals) of those who survived `renewals`."""
    alpha, beta, c = params
    span = _Span(c, np.asarray(renewals, dtype=np.float64), np.add(renewals, ahead, dtype=np.float64))
    return _beta.log_survival(alpha, beta + span.u, span.rise) - alpha * span.beyond


def log_likelihood(params: Params, renewals: Any, lost: Any, kept: Any) -> Floats:
    """Return the log-likelihood of what happened at each renewal.

    Args:
        params: α, β, c; numbers or arrays that broadcast with the renewals.
        renewals: Renewals survived before, 0 or more; shape (n,).
        lost: Customers who then left; shape (n,).
        kept: Customers who then stayed; shape (n,).
    """
    stay = log_survival(params, renewals, 1.0)
    return np.multiply(lost, np.log(-np.expm1(stay))) + np.multiply(kept, stay)


def gradient(params: Params, renewals: Any, lost: Any, kept: Any) -> Floats:
    """Return the derivatives of `log_likelihood` by the logarithms of α, β, c; shape (3, n)."""
    alpha, beta, c = params
    span = _Span(c, np.asarray(renewals, dtype=np.float64), np.add(renewals, 1.0))
    stay = _beta.log_survival(alpha, beta + span.u, span.rise) - alpha * span.beyond
    by_alpha, by_u, by_rise = _beta.log_survival_gradient(alpha, beta + span.u, span.rise)
    of_stay = np.stack(
        [
            alpha * (by_alpha - span.beyond),
            beta * by_u,
            by_u * span.du + by_rise * span.drise - alpha * span.dbeyond,
        ]
    )
    return (kept - lost / np.expm1(np.minimum(-stay, 700.0))) * of_stay


def total(params: Params, renewals: Floats, lost: Floats, kept: Floats) -> tuple[float, Floats]:
    """Return the log-likelihood of all counts and its derivatives, shape (3,)."""
    counts = (renewals, lost, kept)
    return float(log_likelihood(params, *counts).sum()), gradient(params, *counts).sum(axis=1)


def start(renewals: Floats, lost: Floats, kept: Floats) -> Floats:
    """Return logarithms of parameters to begin a fit with: those of the sBG, where c = 1."""
    return np.append(_sbg.start(renewals, lost, kept), 0.0)


def remaining(params: Params, renewals: Any, horizon: float, discount: float = 1.0) -> Floats:
    """Return Σ discount^j · P(surviving j more renewals), j = 1 … horizon, of those who survived `renewals`.

    Args:
        params: α, β, c.
        renewals: Renewals survived, shape (n,).
        horizon: How many renewals ahead; infinity is allowed, and without discount the sum is infinite for αc ≤ 1.
        discount: What a payment one renewal later is worth, above 0 and at most 1.
    """
    alpha, beta, c, renewals = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (*params, renewals)))
    if np.isinf(horizon) and discount >= 1.0:
        columns = zip(*(one.ravel() for one in (alpha, beta, c, renewals)), strict=True)
        return np.array([_for_ever(*column) for column in columns]).reshape(alpha.shape)
    return _beta.summed(lambda j: log_survival((alpha, beta, c), renewals, j) + j * np.log(discount), horizon)


def _for_ever(alpha: float, beta: float, c: float, renewals: float) -> float:
    """Return Σ P(surviving j more renewals) over all j: infinite where survival falls no faster than 1/t.

    Once t^c leaves β and α behind, survival is a power of t, and what is left is an integral of one. (Where c is so
    small, below 0.1, that no number t gets there, the result is good to its leading digits.)
    """
    if alpha * c <= 1.0:
        return np.inf
    last = np.exp(np.clip(_TAIL / c, np.log(1e6 * (1.0 + renewals)), _LONGEST))

    def log_term(j: Floats) -> Floats:
        return log_survival((alpha, beta, c), np.full(1, renewals), j)

    rest = np.exp(log_term(np.array([[last]]))[0, 0] + np.log((last + renewals + 0.5) / (alpha * c - 1.0)))
    return float(_beta.summed(log_term, np.floor(last))[0] + rest)
