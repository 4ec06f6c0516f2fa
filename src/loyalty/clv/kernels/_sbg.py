"""Shifted beta-geometric kernel (Fader & Hardie 2007): a chance of leaving at each renewal, beta over customers.

At renewal t a customer who is still there leaves with the same chance p as ever, p ~ Beta(α, β). Those who have more
of it leave first, so the retention of a cohort rises: of those who survived t − 1 renewals, α/(α + β + t − 1) leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.kernels import _beta

__all__ = ["NAMES", "gradient", "log_likelihood", "log_survival", "remaining", "start", "total"]

Floats = NDArray[np.float64]
Params = Sequence[Any]

NAMES = ("alpha", "beta")


def log_survival(params: Params, renewals: Any, ahead: Any) -> Floats:
    """Return ln P(surviving `ahead` more renewals) of those who survived `renewals`."""
    alpha, beta = params
    return _beta.log_survival(alpha, np.add(beta, renewals), ahead)


def log_likelihood(params: Params, renewals: Any, lost: Any, kept: Any) -> Floats:
    """Return the log-likelihood of what happened at each renewal.

    Args:
        params: α, β; numbers or arrays that broadcast with the renewals.
        renewals: Renewals survived before, 0 or more; shape (n,).
        lost: Customers who then left; shape (n,).
        kept: Customers who then stayed; shape (n,).
    """
    alpha, beta = params
    stay = np.add(beta, renewals)
    return -np.multiply(lost, np.log1p(stay / alpha)) - np.multiply(kept, np.log1p(alpha / stay))


def gradient(params: Params, renewals: Any, lost: Any, kept: Any) -> Floats:
    """Return the derivatives of `log_likelihood` by the logarithms of α, β; shape (2, n)."""
    alpha, beta = params
    stay = np.add(beta, renewals)
    leaving = alpha / (alpha + stay)
    of_lost, of_kept = lost * (stay / (alpha + stay)), kept * leaving
    return np.stack([of_lost - of_kept, (beta / stay) * (of_kept - of_lost)])


def total(params: Params, renewals: Floats, lost: Floats, kept: Floats) -> tuple[float, Floats]:
    """Return the log-likelihood of all counts and its derivatives, shape (2,)."""
    counts = (renewals, lost, kept)
    return float(log_likelihood(params, *counts).sum()), gradient(params, *counts).sum(axis=1)


def start(renewals: Floats, lost: Floats, kept: Floats) -> Floats:
    """Return logarithms of parameters to begin a fit with, from the share of losses and how it falls.

    The odds of staying are (β + t − 1)/α: a straight line in t, fitted here by least squares.
    """
    odds = (kept + 0.5) / (lost + 0.5)
    weight = (kept + lost) / (1.0 + odds) ** 2
    middle = float(weight @ renewals / weight.sum())
    apart = renewals - middle
    spread = float(weight @ apart**2)
    slope = float(weight @ (apart * odds)) / spread if spread > 0 else 1.0
    alpha = 1.0 / slope if slope > 1e-3 else 100.0
    beta = max(alpha * float(weight @ odds / weight.sum()) - middle, 0.1 * alpha)
    return np.clip(np.log([alpha, beta]), -6.0, 8.0)


def remaining(params: Params, renewals: Any, horizon: float, discount: float = 1.0) -> Floats:
    """Return Σ discount^j · P(surviving j more renewals), j = 1 … horizon, of those who survived `renewals`.

    Args:
        params: α, β.
        renewals: Renewals survived, shape (n,).
        horizon: How many renewals ahead; infinity is allowed, and without discount the sum is infinite for α ≤ 1.
        discount: What a payment one renewal later is worth, above 0 and at most 1.
    """
    alpha, beta = params
    alpha, stay = np.broadcast_arrays(np.asarray(alpha, dtype=np.float64), np.add(beta, renewals))
    if np.isinf(horizon) and discount >= 1.0:
        with np.errstate(divide="ignore"):
            return np.where(alpha > 1.0, stay / np.maximum(alpha - 1.0, 0.0), np.inf)
    return _beta.summed(lambda j: _beta.log_survival(alpha, stay, j) + j * np.log(discount), horizon)
