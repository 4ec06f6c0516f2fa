"""Finding the maximum of a log-likelihood in log parameters, and saying honestly what kind of maximum it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loyalty.errors import ConvergenceError

__all__ = ["Optimum", "Problem", "maximise"]

Floats = NDArray[np.float64]

_SPAN = math.log(1e7)  # how far from 1 a parameter may go, in the problem's own scale, before it counts as unbounded
_FLAT = 1e-8  # derivatives per customer below this are none
_RISE = 1e-9  # a Newton step that promises less log-likelihood than this is not worth taking
_LOOSE = 1e-3  # curvature along a direction below which the data do not say where on it the parameters lie
_STEP = 1e-4  # of central differences in log parameters
_MOST_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is to be maximised.

    Attributes:
        names: Names of the parameters.
        evaluate: Log parameters → log-likelihood summed over customers, and its gradient of shape (k,).
        start: Log parameters to begin with.
        customers: Number of customers, or the sum of their weights.
        hessian: Log parameters → second derivatives of the sum, shape (k, k); None takes differences of gradients.
        sample: The same problem on some of the data, solved first to begin near the solution.
        l2: Penalty: l2 · Σ(log parameter)² is taken from the log-likelihood while searching, in the problem's scale.
        span: How far a log parameter may lie from 0.
    """

    names: tuple[str, ...]
    evaluate: Callable[[Floats], tuple[float, Floats]]
    start: Floats
    customers: float
    hessian: Callable[[Floats], Floats] | None = None
    sample: Problem | None = None
    l2: float = 0.0
    span: float = _SPAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """Where the search ended.

    Attributes:
        log_params: The logarithms of the parameters.
        log_likelihood: The sum there, without any penalty.
        gradient: Its derivatives (the penalty's included) per customer.
        covariance: Covariance of the log parameters, shape (k, k); zero in the rows of parameters held at a bound.
        identified: Which parameters the data determine.
        status: "converged", "ridge" or "boundary".
        evaluations: Passes over the data: likelihoods with gradients, and Hessians.
    """

    log_params: Floats
    log_likelihood: float
    gradient: Floats
    covariance: Floats
    identified: NDArray[np.bool_]
    status: str
    evaluations: int


def maximise(problem: Problem) -> Optimum:
    """Return the maximum of a log-likelihood.

    L-BFGS from the start (on the sample, where there is one), then Newton steps on all data until the gradient is
    nothing. Parameters are kept within the problem's span; one that runs into its end makes the status "boundary",
    a direction without curvature makes it "ridge".

    Raises:
        ConvergenceError: The likelihood still rises where the search ended, or cannot be evaluated.
    """
    search = _Search(problem)
    if problem.sample is not None:
        near = _Search(problem.sample)
        theta = near.climb(np.clip(problem.start, -problem.span, problem.span))
        curvature = near.curvature(theta) * (problem.customers / problem.sample.customers)
        theta = search.newton(theta, curvature)
    else:
        theta = search.newton(search.climb(np.clip(problem.start, -problem.span, problem.span)), None)
    return search.optimum(theta)


class _Search:
    """One search: counts its passes and remembers nothing else."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.evaluations = 0

    def value(self, theta: Floats) -> tuple[float, Floats]:
        """Return the penalised sum and its gradient."""
        self.evaluations += 1
        total, gradient = self.problem.evaluate(theta)
        if self.problem.l2:
            total = total - self.problem.l2 * float(theta @ theta)
            gradient = gradient - 2.0 * self.problem.l2 * theta
        return total, gradient

    def curvature(self, theta: Floats) -> Floats:
        """Return minus the second derivatives of the penalised sum."""
        return self.information(theta) + 2.0 * self.problem.l2 * np.eye(len(theta))

    def information(self, theta: Floats) -> Floats:
        """Return minus the second derivatives of the sum itself."""
        if self.problem.hessian is not None:
            self.evaluations += 1
            return -self.problem.hessian(theta)
        size = len(theta)
        matrix = np.empty((size, size))
        for place in range(size):
            step = np.zeros(size)
            step[place] = _STEP
            self.evaluations += 2
            above, below = (self.problem.evaluate(theta + sign * step)[1] for sign in (1.0, -1.0))
            matrix[place] = (below - above) / (2.0 * _STEP)
        return (matrix + matrix.T) / 2.0

    def climb(self, start: Floats) -> Floats:
        """Return where L-BFGS ends, on the average per customer."""
        from scipy.optimize import minimize

        n, span = self.problem.customers, self.problem.span

        def loss(theta: Floats) -> tuple[float, Floats]:
            total, gradient = self.value(theta)
            return -total / n, -gradient / n

        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-span, span)] * len(start),
            options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-7, "maxcor": 20},
        )
        return np.asarray(found.x, dtype=np.float64)

    def newton(self, theta: Floats, curvature: Floats | None) -> Floats:
        """Return where Newton steps end; a curvature given is used as long as it serves."""
        span = self.problem.span
        total, gradient = self.value(theta)
        for _ in range(_MOST_STEPS):
            free = self._free(theta, gradient)
            if not free.any() or np.abs(gradient[free]).max() <= _FLAT * self.problem.customers * 1e-2:
                break
            fresh = curvature is None
            matrix = self.curvature(theta) if curvature is None else curvature
            step = np.zeros_like(theta)
            step[free] = _uphill(matrix[np.ix_(free, free)], gradient[free])
            promised = float(step @ gradient)
            size, taken = 1.0, None
            for _ in range(12):
                there = np.clip(theta + size * step, -span, span)
                trial = self.value(there)
                if math.isfinite(trial[0]) and trial[0] >= total - 1e-13 * abs(total):
                    taken = trial
                    break
                size /= 4.0
            if taken is None:
                if fresh:
                    break
                curvature = None
                continue
            rise = taken[0] - total
            serves = np.abs(taken[1][free]).max() < 0.3 * np.abs(gradient[free]).max()
            theta, (total, gradient) = there, taken
            if promised < _RISE and rise < _RISE:
                break
            curvature = matrix if serves else None
        return theta

    def _free(self, theta: Floats, gradient: Floats) -> NDArray[np.bool_]:
        """Return which parameters are not pressed against the end of their span."""
        edge = self.problem.span - 1e-6
        return ~(((theta >= edge) & (gradient > 0)) | ((theta <= -edge) & (gradient < 0)))

    def optimum(self, theta: Floats) -> Optimum:
        """Return what is known about the point where the search ended."""
        penalised, gradient = self.value(theta)
        per_customer = gradient / self.problem.customers
        free = np.abs(theta) < self.problem.span - 1e-3
        if not math.isfinite(penalised) or (free.any() and np.abs(per_customer[free]).max() > 1e3 * _FLAT):
            raise ConvergenceError(
                "the fit did not converge: the log-likelihood still rises where the search ended "
                f"(largest derivative per customer {np.abs(per_customer).max():.2g}). Look at the data (is there any "
                "repeat purchase?), fit more customers, or pass l2=0.1 to hold the parameters.",
                params=dict(zip(self.problem.names, np.exp(theta).tolist(), strict=True)),
                gradient=dict(zip(self.problem.names, per_customer.tolist(), strict=True)),
            )
        covariance, identified = self._covariance(theta, free)
        status = "boundary" if not free.all() else "converged" if identified.all() else "ridge"
        return Optimum(
            log_params=theta,
            log_likelihood=penalised + self.problem.l2 * float(theta @ theta),
            gradient=per_customer,
            covariance=covariance,
            identified=identified,
            status=status,
            evaluations=self.evaluations,
        )

    def _covariance(self, theta: Floats, free: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the covariance of the log parameters and which of them the data determine.

        With a penalty it is A⁻¹ B A⁻¹, A the penalised and B the plain information. Directions without curvature are
        left out of the inverse: what does not depend on them still has its proper error.
        """
        size = len(theta)
        covariance, identified = np.zeros((size, size)), np.zeros(size, dtype=bool)
        if not free.any():
            return covariance, identified
        plain = self.information(theta)[np.ix_(free, free)]
        roots, directions = np.linalg.eigh(plain + 2.0 * self.problem.l2 * np.eye(int(free.sum())))
        firm = roots > _LOOSE
        inverse = (directions[:, firm] / roots[firm]) @ directions[:, firm].T
        covariance[np.ix_(free, free)] = inverse @ plain @ inverse if self.problem.l2 else inverse
        identified[free] = (np.abs(directions[:, ~firm]) < 0.1).all(axis=1)
        return covariance, identified


def _uphill(curvature: Floats, gradient: Floats) -> Floats:
    """Return a Newton step that goes up whatever the curvature, no parameter changing by more than a factor e²."""
    roots, directions = np.linalg.eigh(curvature)
    roots = np.maximum(np.abs(roots), 1e-12 * max(float(np.abs(roots).max()), 1e-300))
    step: Floats = directions @ ((directions.T @ gradient) / roots)
    return step / max(1.0, float(np.abs(step).max()) / 2.0)
