"""What is predicted for each cell on some terms: P(alive), purchases, time as a customer, and how they move."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.kernels.interpolation import over_ages
from loyalty.clv.models.discounting import YEAR

if TYPE_CHECKING:
    from loyalty.clv.models.lifetime import LifetimeFit
    from loyalty.clv.summaries.cells import Cells
    from loyalty.clv.valuation.terms import Terms

__all__ = ["FARTHEST", "CellValues", "predict", "time_alive"]

Floats = NDArray[np.float64]

FARTHEST = 100.0  # limits further off than a factor of e^100 say nothing, and some engines cannot form them
_FAINT = 1e-200  # a P(alive) below it cannot be divided by
_STEPS = 64  # Gauss points of the discounted time alive
_FINEST = 1e-6  # where the first of them lies, as a part of the horizon
_BATCH = 8192  # customers at a time
_AGES = 40.0  # discounts of exp(−40) leave nothing


@dataclass(frozen=True, slots=True, eq=False)
class CellValues:
    """What is predicted for each cell; n cells, k parameters.

    Attributes:
        p_alive: P(alive) at the end of the window; shape (n,).
        expected: Expected purchases within the horizon; shape (n,); NaN where there is no horizon.
        if_alive: Discounted purchases within the horizon of a customer certainly alive; shape (n,).
        gradient: Derivatives of ln(p_alive · if_alive) by the logarithms of the parameters; shape (k, n).
        years: Discounted years within the horizon that a customer certainly alive remains one; None where they cost
            nothing.
        years_gradient: Derivatives of ln(p_alive · years); None as above.
    """

    p_alive: Floats
    expected: Floats
    if_alive: Floats
    gradient: Floats
    years: Floats | None = None
    years_gradient: Floats | None = None

    @property
    def bought(self) -> Floats:
        """Expected discounted purchases within the horizon; shape (n,)."""
        return self.p_alive * self.if_alive


def predict(fit: LifetimeFit, cells: Cells, terms: Terms) -> CellValues:
    """Return what a fit predicts for cells on some terms."""
    horizon, rate = terms.days / fit.days_per_unit, fit.discount_rate(terms.annual_discount_rate)
    told = fit.cell_predictions(cells, horizon=horizon, rate=rate)
    faint = told.p_alive < _FAINT
    if_alive = told.discounted_purchases / np.where(faint, 1.0, told.p_alive)
    if faint.any():
        some = cells.take(faint)
        if_alive[faint] = fit.given_alive(some, lambda params, x, T: fit.kernel.purchases(params, x, T, horizon, rate))  # noqa: N803
    values = CellValues(told.p_alive, told.expected_purchases, if_alive, told.log_gradient)
    if not terms.service_cost:
        return values
    staying, scale = time_alive(fit, horizon, rate), fit.days_per_unit / YEAR
    years, slopes = fit.given_alive(cells, staying) * scale, fit.log_gradient(cells, over_ages(staying))
    return CellValues(values.p_alive, values.expected, if_alive, values.gradient, years, slopes)


def time_alive(fit: LifetimeFit, horizon: float, rate: float) -> Callable[[Any, Any, Any], Floats]:
    """Return (params, x, T) → ∫₀^horizon exp(−rate·v)·P(alive at T + v | alive at T) dv, in units of the fit.

    By Gauss's rule in ln(v + v₀), for survival falls on any scale from moments to decades.
    """
    if not rate:
        return lambda params, x, T: fit.kernel.time_alive(params, x, T, horizon)  # noqa: N803
    end = min(horizon, _AGES / rate) if rate > 0.0 else horizon
    nodes, weights = _rule()
    first = _FINEST * end
    span = math.log1p(end / first)
    ahead = first * np.expm1(span * (nodes + 1.0) / 2.0)
    mass = weights / 2.0 * span * (ahead + first) * np.exp(-rate * ahead)

    def integral(params: Any, x: Any, T: Any) -> Floats:  # noqa: N803
        x, T = np.asarray(x, dtype=np.float64), np.asarray(T, dtype=np.float64)  # noqa: N806
        parts = [
            fit.kernel.survival(params, here[:, None], there[:, None], ahead) @ mass
            for here, there in zip(_batches(x), _batches(T), strict=True)
        ]
        found: Floats = np.concatenate(parts).reshape(x.shape)
        return found

    return integral


@cache
def _rule() -> tuple[Floats, Floats]:
    """Return the nodes and weights of Gauss's rule on (−1, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(_STEPS)
    return nodes, weights


def _batches(values: Floats) -> list[Floats]:
    """Return values in pieces of a size whose table of survival is small."""
    flat = values.ravel()
    return [flat[begin : begin + _BATCH] for begin in range(0, max(len(flat), 1), _BATCH)]
