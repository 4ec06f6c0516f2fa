"""Finding the maximum of a log-likelihood in log parameters, and saying honestly what kind of maximum it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loyalty.errors import ConvergenceError

__all__ = ["Optimum", "Problem", "highest", "maximise"]

Floats = NDArray[np.float64]

_SPAN = math.log(1e6)  # how far from 1 a parameter may go, in the problem's own scale, before it counts as unbounded
# Curvature along a direction below which nothing is known on it: the logarithm's standard error is 10 there. Of 2,480
# curvatures of lifetime models at the optima of awkward data sets 780 were below 3e-4, 36 between, 1,660 above this.
_LOOSE = 1e-2
_TOUCH = 0.1  # a parameter with so much of a loose direction in it is not determined
_STILL = 1e-10  # a step in log parameters that is none
_RISE = 1e-9  # log-likelihood that is not worth a step along a loose direction
_FRESH = 1e-7  # a curvature found this near still holds
_STEEP = 1e-6  # a derivative per customer above this where the search ended means that it failed
_STEP = 1e-3  # of central differences in log parameters
_LONGEST = 2.0  # a step in a log parameter
_TOUCHING = 1e-3  # a log parameter this near the end of its span is there
_LITTLE = 0.01  # log-likelihood: a long step that promises less goes towards a limit, and may go on
_FEW_STEPS = 80  # that tell whether another start leads to another summit
_HIGHER = 1e-6  # log-likelihood by which another summit must be higher
_MOST_STEPS = 80


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
        starts: Further log parameters to begin with: for `maximise` where the first end is weakly determined, since
            another summit may be higher then; for `highest` always.
    """

    names: tuple[str, ...]
    evaluate: Callable[[Floats], tuple[float, Floats]]
    start: Floats
    customers: float
    hessian: Callable[[Floats], Floats] | None = None
    sample: Problem | None = None
    l2: float = 0.0
    span: float = _SPAN
    starts: tuple[Floats, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """Where the search ended.

    Attributes:
        log_params: The logarithms of the parameters.
        log_likelihood: The sum there, without any penalty.
        gradient: Its derivatives (the penalty's included) per customer.
        covariance: Covariance of the log parameters, shape (k, k); zero along loose directions: where on them the
            parameters lie counts as known.
        identified: Which parameters the data determine, without any penalty.
        status: "converged", "ridge" or "boundary".
        evaluations: Passes over the data: likelihoods with gradients, and Hessians.
        loose: Directions of length 1 along which the log-likelihood hardly changes, shape (number, k).
    """

    log_params: Floats
    log_likelihood: float
    gradient: Floats
    covariance: Floats
    identified: NDArray[np.bool_]
    status: str
    evaluations: int
    loose: Floats = field(default_factory=lambda: np.empty((0, 0)))


class _Point(NamedTuple):
    """A point of the search: log parameters, penalised sum, its gradient."""

    theta: Floats
    total: float
    gradient: Floats


def maximise(problem: Problem) -> Optimum:
    """Return the maximum of a log-likelihood.

    Quasi-Newton from the start (on the sample, where there is one), then Newton steps on all data until they are
    nothing; the same from the other starts where some combination of log parameters has a standard error above 1.
    Parameters are kept within the problem's span; one that runs into its end makes the status "boundary", a direction
    without curvature makes it "ridge". Where the likelihood rises for ever more slowly towards a limit, the search
    ends when another step would gain less than 1e-9.

    Raises:
        ConvergenceError: The likelihood still rises where the search ended, or cannot be evaluated.
    """
    search = _Search(problem)
    point, information = search.newton(*search.near())
    if problem.starts and not _firm(information):
        other = search.elsewhere(point)
        if other is not None and not other[0].total <= point.total:
            point, information = other
    return search.optimum(point, information)


def highest(problem: Problem) -> Optimum:
    """Return the highest of the summits that Newton steps alone lead to, from every start, on all data.

    It is for a likelihood whose second derivatives are cheap, and which may have several summits.

    Raises:
        ConvergenceError: The likelihood still rises where the search ended, or cannot be evaluated.
    """
    search = _Search(problem)
    starts = np.clip([problem.start, *problem.starts], -problem.span, problem.span)
    ends = [search.newton(start, None) for start in starts]
    return search.optimum(*max(ends, key=lambda end: (math.isfinite(end[0].total), end[0].total)))


class _Search:
    """One search: counts its passes over the data and remembers nothing else."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.penalty = 2.0 * problem.l2 * np.eye(len(problem.start))  # what the penalty adds to the information
        self.evaluations = 0

    def at(self, theta: Floats) -> _Point:
        """Return the penalised sum and its gradient at a point."""
        self.evaluations += 1
        total, gradient = self.problem.evaluate(theta)
        if self.problem.l2:
            total = total - self.problem.l2 * float(theta @ theta)
            gradient = gradient - 2.0 * self.problem.l2 * theta
        return _Point(theta, float(total), gradient)

    def information(self, theta: Floats) -> Floats:
        """Return minus the second derivatives of the sum itself, the penalty left out."""
        if self.problem.hessian is not None:
            self.evaluations += 1
            return -self.problem.hessian(theta)
        matrix = np.empty((len(theta), len(theta)))
        for place, step in enumerate(_STEP * np.eye(len(theta))):
            self.evaluations += 2
            below, above = (self.problem.evaluate(theta + move)[1] for move in (-step, step))
            matrix[place] = (below - above) / (2.0 * _STEP)
        return (matrix + matrix.T) / 2.0

    def near(self) -> tuple[Floats, Floats | None]:
        """Return a point near the maximum and, where a sample has told it, the curvature there."""
        problem = self.problem
        if problem.sample is not None:
            search = _Search(problem.sample)
            theta, _ = search.near()
            information = search.information(theta)
            return theta, information * (problem.customers / problem.sample.customers) + self.penalty
        return self.climb(problem.start), None

    def elsewhere(self, found: _Point) -> tuple[_Point, Floats] | None:
        """Return the highest summit reached from the other starts, if one is higher than what was found."""
        there = self if self.problem.sample is None else _Search(self.problem.sample)
        best, highest = None, there.at(found.theta).total + _HIGHER
        for start in self.problem.starts:
            end = there.at(there.climb(start, _FEW_STEPS))
            if end.total > highest or not math.isfinite(highest):
                best, highest = end, end.total
        return None if best is None else self.newton(best.theta, None)

    def climb(self, start: Floats, most: int = 300) -> Floats:
        """Return where a quasi-Newton search ends, on the average per customer.

        SciPy's L-BFGS-B would do as well as its SLSQP, but hands four numbers at a time to a threaded
        BLAS, which on a busy machine costs a hundred times what the likelihood does.
        """
        from scipy.optimize import minimize

        n, span = self.problem.customers, self.problem.span

        def loss(theta: Floats) -> tuple[float, Floats]:
            _, total, gradient = self.at(np.clip(theta, -span, span))
            # Beyond the span all is level. Given as bounds, older releases warn where a step touches them.
            return -total / n, np.where(np.abs(theta) > span, 0.0, -gradient / n)

        start = np.clip(start, -span, span)
        found = minimize(loss, start, jac=True, method="SLSQP", options={"maxiter": most, "ftol": 1e-10})
        end = np.clip(np.asarray(found.x, dtype=np.float64), -span, span)
        return end if found.fun <= loss(start)[0] else start

    def newton(self, theta: Floats, curvature: Floats | None) -> tuple[_Point, Floats]:
        """Return where Newton steps end, and the information there.

        A curvature, given or found, serves for further steps, corrected by the change of gradient along each (SR1),
        until they are nothing or bring little; then it is found anew.
        """
        point, information, found_at = self.at(theta), None, None
        for _ in range(_MOST_STEPS):
            fresh = curvature is None
            if curvature is None:
                information, found_at = self.information(point.theta), point.theta
                curvature = information + self.penalty
            step, promised = self.step(point, curvature)
            if not step.any():
                if fresh or _apart(found_at, point.theta) <= _FRESH:
                    break
                curvature = None
                continue
            higher = self.along(point, step, promised)
            if higher is None:
                if fresh:
                    break
                curvature = None
                continue
            left = self.step(higher, curvature)[1]
            corrected = _corrected(curvature, higher.theta - point.theta, point.gradient - higher.gradient)
            point, curvature = higher, corrected if left < 0.1 * promised else None
        if information is None or _apart(found_at, point.theta) > _FRESH:
            information = self.information(point.theta)
        return point, information

    def step(self, point: _Point, curvature: Floats) -> tuple[Floats, float]:
        """Return the Newton step from a point, and how much it promises: twice the rise of a parabola.

        It goes up whatever the curvature, and not beyond the ends of the span. A step of zeros means that there is
        nowhere to go.
        """
        edge = self.problem.span - _TOUCHING
        outward = np.where(np.abs(point.theta) >= edge, np.sign(point.theta), 0.0)
        held = outward * point.gradient > 0.0
        step = _uphill(point.gradient, curvature, ~held)
        while (outward * step > 0.0).any():
            held |= outward * step > 0.0
            step = _uphill(point.gradient, curvature, ~held)
        return step, float(step @ point.gradient)

    def along(self, point: _Point, step: Floats, promised: float) -> _Point | None:
        """Return the end of a step, shortened until it does not lead down; None where it always does.

        Where it goes far and brings little, the likelihood rises towards a limit, ever more slowly: then it is
        prolonged for as long as that brings something.
        """
        # Terms as large as the parameters cancel in the likelihood of each customer.
        rounding = 1e-12 * abs(point.total) + 1e-15 * self.problem.customers * float(np.exp(point.theta.max()))
        for size in 0.25 ** np.arange(10):
            end = self.moved(point, size * step)
            if end is not None and end.total >= point.total - rounding:
                break
        else:
            return None
        while size == 1.0 and promised < _LITTLE and np.abs(step).max() >= 0.5:
            step = 2.0 * step
            beyond = self.moved(point, step)
            if beyond is None or beyond.total <= end.total + _RISE:
                break
            end = beyond
        return end

    def moved(self, point: _Point, step: Floats) -> _Point | None:
        """Return the end of a step, or where it meets an end of the span; None where nothing can be evaluated there."""
        span = self.problem.span
        room = np.where(step > 0.0, span - point.theta, span + point.theta) / np.where(step == 0.0, 1.0, np.abs(step))
        part = min(1.0, float(room[step != 0.0].min(initial=1.0)))
        end = self.at(np.clip(point.theta + part * step, -span, span))
        return end if math.isfinite(end.total) and np.isfinite(end.gradient).all() else None

    def optimum(self, point: _Point, information: Floats) -> Optimum:
        """Return what is known about the point where the search ended."""
        theta, per_customer = point.theta, point.gradient / self.problem.customers
        inside = np.abs(theta) < self.problem.span - _TOUCHING
        finite = math.isfinite(point.total) and bool(np.isfinite(information).all() and np.isfinite(theta).all())
        steepest = float(np.abs(per_customer[inside]).max()) if inside.any() else 0.0
        if not finite or (steepest > _STEEP and self.step(point, information + self.penalty)[1] > _STEEP):
            raise ConvergenceError(
                "the fit did not converge: the log-likelihood still rises where the search ended "
                f"(largest derivative per customer {steepest:.2g}). Fit more customers, look for customers that cannot "
                "be, or pass l2=0.1 to hold the parameters.",
                params=dict(zip(self.problem.names, np.exp(theta).tolist(), strict=True)),
                gradient=dict(zip(self.problem.names, per_customer.tolist(), strict=True)),
            )
        loose = _loose(information)
        held = bool(self.problem.l2) and not len(_loose(information + self.penalty))
        return Optimum(
            log_params=theta,
            log_likelihood=point.total + self.problem.l2 * float(theta @ theta),
            gradient=per_customer,
            covariance=_covariance(information, self.penalty),
            identified=inside & (np.abs(loose) < _TOUCH).all(axis=0),
            status="boundary" if not inside.all() else "ridge" if len(loose) and not held else "converged",
            evaluations=self.evaluations,
            loose=loose,
        )


def _uphill(gradient: Floats, curvature: Floats, free: NDArray[np.bool_]) -> Floats:
    """Return the Newton step of the free parameters.

    What is nothing along a direction, or promises nothing along a loose one, is left out.
    """
    step = np.zeros_like(gradient)
    if not (free.any() and np.isfinite(curvature).all() and np.isfinite(gradient).all()):
        return step
    roots, directions = np.linalg.eigh(curvature[np.ix_(free, free)])
    slopes = directions.T @ gradient[free]
    sizes = slopes / np.maximum(np.abs(roots), max(1e-12 * float(np.abs(roots).max()), 1e-100))
    sizes = np.clip(sizes, -_LONGEST, _LONGEST)
    sizes[np.where(roots > _LOOSE, np.abs(sizes) <= _STILL, np.abs(sizes * slopes) <= _RISE)] = 0.0
    if roots[0] < -_LOOSE and not sizes.any():
        sizes[0] = 0.5  # the top of a pass is no summit: leave it along the ridge
    step[free] = directions @ sizes
    return step


def _firm(information: Floats) -> bool:
    """Return whether the data determine all parameters well."""
    return bool(np.isfinite(information).all()) and float(np.linalg.eigvalsh(information)[0]) >= 1.0


def _loose(information: Floats) -> Floats:
    """Return the directions along which there is no information, shape (number, k)."""
    roots, directions = np.linalg.eigh(information)
    return directions[:, roots <= _LOOSE].T


def _covariance(information: Floats, penalty: Floats) -> Floats:
    """Return the covariance of the log parameters.

    With a penalty it is A⁻¹ B A⁻¹, A the penalised and B the plain information, of which directions that only the
    penalty keeps from rising count as nothing. Loose directions are left out of the inverse: what does not depend on
    them still has its proper error.
    """
    roots, directions = np.linalg.eigh(information + penalty)
    firm = roots > _LOOSE
    inverse: Floats = (directions[:, firm] / roots[firm]) @ directions[:, firm].T
    if not penalty.any():
        return inverse
    told, along = np.linalg.eigh(information)
    spread: Floats = inverse @ along * np.sqrt(np.maximum(told, 0.0))
    return spread @ spread.T


def _corrected(curvature: Floats, step: Floats, fall: Floats) -> Floats:
    """Return a curvature made to agree with how much the gradient fell along a step (symmetric rank one, SR1)."""
    wrong = fall - curvature @ step
    along = float(wrong @ step)
    if abs(along) <= 1e-8 * float(np.linalg.norm(wrong) * np.linalg.norm(step)):
        return curvature
    return curvature + np.outer(wrong, wrong) / along


def _apart(one: Floats | None, other: Floats) -> float:
    """Return how far apart two points are in their worst log parameter."""
    return math.inf if one is None else float(np.abs(one - other).max())
