"""The search for the Gamma-Gamma's maximum: in parameters that stay put where others grow without bound."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.kernels import _gammagamma as kernel
from loyalty.clv.models.fitting import Optimum, Problem, highest

if TYPE_CHECKING:
    from loyalty.clv.summaries.spend_cells import SpendCells

__all__ = ["optimum"]

Floats = NDArray[np.float64]

# The search knows γ as v = p·γ/q, about the typical spend: where p or q grow without bound, v does not.
_TO_LOGS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 1.0, 1.0]])  # ln p, ln q, ln γ from ln p, ln q, ln v
_FROM_LOGS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, -1.0, 1.0]])  # its inverse
_SPAN = math.log(1e7)  # how far p, q and v over the typical spend may lie from 1


def optimum(cells: SpendCells, l2: float) -> Optimum:
    """Return the maximum in ln p, ln q, ln γ.

    Spend is counted in units of the typical one, so that another currency changes nothing but γ. Newton steps lead up
    from three points, since the likelihood of few customers may have several maxima.

    Args:
        cells: The customers.
        l2: Penalty on the logarithms of p, q and v.

    Raises:
        ConvergenceError: The likelihood still rises where the search ended.
    """
    scaled = cells.scaled(cells.typical)

    def evaluate(theta: Floats) -> tuple[float, Floats]:
        value, gradient = kernel.total(np.exp(_TO_LOGS @ theta).tolist(), scaled)
        return value, gradient @ _TO_LOGS

    def hessian(theta: Floats) -> Floats:
        return _TO_LOGS.T @ kernel.total_hessian(np.exp(_TO_LOGS @ theta).tolist(), scaled) @ _TO_LOGS

    first, *others = (_FROM_LOGS @ start for start in kernel.starts(scaled))
    found = highest(
        Problem(
            names=("p", "q", "p·gamma/q"),
            evaluate=evaluate,
            hessian=hessian,
            start=first,
            starts=tuple(others),
            customers=cells.customers,
            l2=l2,
            span=_SPAN,
        )
    )
    known = found.identified
    return dataclasses.replace(
        found,
        log_params=_TO_LOGS @ found.log_params + np.array([0.0, 0.0, math.log(cells.typical)]),
        log_likelihood=found.log_likelihood + scaled.log_mean - cells.log_mean,
        covariance=_TO_LOGS @ found.covariance @ _TO_LOGS.T,
        identified=np.array([known[0], known[1], known.all()]),
    )
