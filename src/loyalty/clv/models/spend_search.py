"""The search for the Gamma-Gamma's maximum: in parameters that stay put where others grow without bound."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.kernels import _gammagamma as kernel
from loyalty.clv.models.fitting import Optimum, Problem, maximise

if TYPE_CHECKING:
    from loyalty.clv.summaries.spend_cells import SpendCells

__all__ = ["optimum"]

Floats = NDArray[np.float64]

# The search knows γ as v = p·γ/q, about the typical spend: where p or q grow without bound, v does not.
_TO_LOGS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 1.0, 1.0]])  # ln p, ln q, ln γ from ln p, ln q, ln v
_FROM_LOGS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, -1.0, 1.0]])  # its inverse
_SPAN = math.log(1e7)  # how far p, q and v over the typical spend may lie from 1
_LONGEST = 2.0  # a step in a log parameter
_MOST_STEPS = 60
_RISE = 1e-7  # log-likelihood that is not worth a step


def optimum(cells: SpendCells, l2: float) -> Optimum:
    """Return the maximum in ln p, ln q, ln γ.

    Spend is counted in units of the typical one, so that another currency changes nothing but γ. Newton steps lead up
    from three points, since the likelihood of few customers may have several maxima; `maximise` ends the best climb.

    Args:
        cells: The customers.
        l2: Penalty on the logarithms of p, q and v.

    Raises:
        ConvergenceError: The likelihood still rises where the search ended.
    """
    scaled = cells.scaled(cells.typical)
    climb = _Climb(scaled, l2)
    best = max((climb.up(_FROM_LOGS @ start) for start in kernel.starts(scaled)), key=lambda end: end[0])
    found = maximise(
        Problem(
            names=("p", "q", "p·gamma/q"),
            evaluate=climb.evaluate,
            hessian=climb.hessian,
            start=best[1],
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
        evaluations=found.evaluations + climb.steps,
    )


class _Climb:
    """The log-likelihood of some cells in ln p, ln q, ln v, and the way up."""

    def __init__(self, cells: SpendCells, l2: float) -> None:
        self.cells = cells
        self.l2 = l2
        self.steps = 0

    def evaluate(self, theta: Floats) -> tuple[float, Floats]:
        """Return the log-likelihood and its gradient."""
        value, gradient = kernel.total(np.exp(_TO_LOGS @ theta).tolist(), self.cells)
        return value, gradient @ _TO_LOGS

    def hessian(self, theta: Floats) -> Floats:
        """Return its second derivatives."""
        return _TO_LOGS.T @ kernel.total_hessian(np.exp(_TO_LOGS @ theta).tolist(), self.cells) @ _TO_LOGS

    def up(self, theta: Floats) -> tuple[float, Floats]:
        """Return the penalised log-likelihood where Newton steps end, and that point.

        A general search would not know that second derivatives are cheap here, and this one needs no BLAS.
        """
        theta = np.clip(theta, -_SPAN, _SPAN)
        value, gradient = self._penalised(theta)
        for _ in range(_MOST_STEPS):
            step = self._step(theta, gradient)
            promised = float(step @ gradient)
            if not promised > _RISE:
                break
            for _ in range(8):
                there = np.clip(theta + step, -_SPAN, _SPAN)
                higher, steepness = self._penalised(there)
                if higher > value:
                    break
                step = step / 4.0
            else:
                break
            gained, theta, value, gradient = higher - value, there, higher, steepness
            if gained < _RISE:
                break
        return value, theta

    def _penalised(self, theta: Floats) -> tuple[float, Floats]:
        """Return the log-likelihood and its gradient, the penalty taken from them."""
        self.steps += 1
        value, gradient = self.evaluate(theta)
        return value - self.l2 * float(theta @ theta), gradient - 2.0 * self.l2 * theta

    def _step(self, theta: Floats, gradient: Floats) -> Floats:
        """Return a Newton step that leads up whatever the curvature, parameters pressed against their span left out."""
        self.steps += 1
        free = ~((np.abs(theta) >= _SPAN) & (np.sign(gradient) == np.sign(theta)))
        step = np.zeros_like(theta)
        if not free.any():
            return step
        curvature = 2.0 * self.l2 * np.eye(len(theta)) - self.hessian(theta)
        roots, directions = np.linalg.eigh(curvature[np.ix_(free, free)])
        roots = np.maximum(np.abs(roots), 1e-12 * max(float(np.abs(roots).max()), 1.0))
        step[free] = directions @ ((directions.T @ gradient[free]) / roots)
        return step * min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
