"""The search for a maximum on functions whose maxima are known by hand."""

import dataclasses
import math

import numpy as np
import pytest

from loyalty.clv.models.fitting import Problem, highest, maximise
from loyalty.errors import ConvergenceError

TOP = np.array([0.5, -1.0, 2.0])
BEND = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]]) * 50.0


def parabola(theta):
    away = theta - TOP
    return 7.0 - 0.5 * away @ BEND @ away, -BEND @ away


def problem(evaluate, size=3, **options):
    names = tuple("abcde"[:size])
    return Problem(names=names, evaluate=evaluate, **{"start": np.zeros(size), "customers": 100.0, **options})


def bent(theta):
    """Return a sum whose curvature changes along the way: −100·Σ cosh(θ − top)."""
    return -100.0 * np.cosh(theta - TOP).sum(), -100.0 * np.sinh(theta - TOP)


@pytest.mark.parametrize("given", [True, False], ids=["hessian", "differences"])
def test_a_parabola(given):
    found = maximise(problem(parabola, hessian=(lambda _: -BEND) if given else None))
    assert found.log_params == pytest.approx(TOP, abs=1e-9)
    assert found.log_likelihood == pytest.approx(7.0, abs=1e-12)
    assert found.covariance == pytest.approx(np.linalg.inv(BEND), rel=1e-6)
    assert (found.status, found.identified.tolist(), found.loose.shape) == ("converged", [True] * 3, (0, 3))
    assert np.abs(found.gradient).max() < 1e-8


def test_a_function_that_is_no_parabola():
    found = maximise(problem(bent, start=np.array([8.0, -8.0, 8.0])))
    assert found.log_params == pytest.approx(TOP, abs=1e-9)
    assert found.covariance == pytest.approx(np.eye(3) / 100.0, abs=1e-8)


def test_a_sample_leads_there_and_leaves_no_trace():
    def shifted(theta):  # what a sample of a tenth of the customers says: nearly the same
        value, gradient = bent(theta - 0.05)
        return value / 10.0, gradient / 10.0

    passes = []

    def counted(theta):
        passes.append(theta)
        return bent(theta)

    sample = problem(shifted, customers=10.0)
    found = maximise(problem(counted, sample=sample, hessian=lambda theta: -100.0 * np.diag(np.cosh(theta - TOP))))
    assert found.log_params == pytest.approx(TOP, abs=1e-10)
    assert found.covariance == pytest.approx(np.eye(3) / 100.0, rel=1e-9)
    assert len(passes) <= 6
    assert found.evaluations == len(passes) + 1  # and one Hessian


def test_a_penalty_holds_back_and_is_not_reported():
    l2 = 25.0
    found = maximise(problem(parabola, l2=l2))
    held = BEND + 2.0 * l2 * np.eye(3)
    top = np.linalg.solve(held, BEND @ TOP)
    inverse = np.linalg.inv(held)
    assert found.log_params == pytest.approx(top, abs=1e-9)
    assert found.log_likelihood == pytest.approx(parabola(top)[0], abs=1e-9)
    assert found.covariance == pytest.approx(inverse @ BEND @ inverse, rel=1e-6)
    assert found.status == "converged"


def test_a_ridge_is_a_fit_whose_errors_are_those_across_it():
    across = np.array([1.0, -1.0, 0.0]) / math.sqrt(2.0)

    def ridge(theta):
        return -50.0 * (theta @ across) ** 2 - 50.0 * theta[2] ** 2, -100.0 * (theta @ across) * across - [
            0.0,
            0.0,
            100.0 * theta[2],
        ]

    found = maximise(problem(ridge, start=np.array([1.0, 3.0, 1.0])))
    assert found.status == "ridge"
    assert found.identified.tolist() == [False, False, True]
    assert np.abs(found.loose[0]) == pytest.approx([math.sqrt(0.5), math.sqrt(0.5), 0.0], abs=1e-6)
    assert across @ found.covariance @ across == pytest.approx(0.01, rel=1e-5)
    assert found.covariance[2, 2] == pytest.approx(0.01, rel=1e-5)
    held = maximise(problem(ridge, start=np.array([1.0, 3.0, 1.0]), l2=0.5))
    assert held.status == "converged"
    assert held.identified.tolist() == [False, False, True]  # the penalty is not the data


def test_a_limit_is_approached_until_it_brings_nothing():
    def limit(theta):  # rises to 0 as the first goes to −∞
        gone, near = math.exp(theta[0]), theta[1] - 1.0
        return -gone - 50.0 * near**2, np.array([-gone, -100.0 * near])

    found = maximise(problem(limit, size=2))
    assert found.status in {"ridge", "boundary"}
    assert found.log_likelihood > -1e-5
    assert found.identified.tolist() == [False, True]
    assert found.evaluations < 100


def test_an_end_of_the_span_is_a_boundary():
    found = maximise(problem(lambda theta: (5.0 * theta[0] - 50.0 * theta[1] ** 2, np.array([5.0, -100.0 * theta[1]])),
                             size=2, span=3.0, start=np.array([0.0, 1.0])))  # fmt: skip
    assert found.status == "boundary"
    assert found.log_params == pytest.approx([3.0, 0.0], abs=1e-9)
    assert found.identified.tolist() == [False, True]
    assert math.sqrt(found.covariance[1, 1]) == pytest.approx(0.1, rel=1e-6)


def test_a_step_across_the_end_is_shortened_not_bent():
    """Cutting only the parameter that leaves the span would turn the step aside, on a slanting ridge even downhill."""
    along, across = np.array([1.0, 1.0]) / math.sqrt(2.0), np.array([1.0, -1.0]) / math.sqrt(2.0)

    def slanting(theta):
        return theta @ along - 1e4 * (theta @ across - 1.0) ** 2, along - 2e4 * (theta @ across - 1.0) * across

    found = maximise(problem(slanting, size=2, span=4.0))
    assert found.status == "boundary"
    best = max(slanting(np.array([4.0, y]))[0] for y in np.linspace(2.0, 4.0, 20001))
    assert found.log_likelihood == pytest.approx(best, abs=1e-4)


def two_summits(theta):
    """Return two hills, the higher one far from the start and hardly wider than a step."""
    low, high = np.exp(-0.05 * theta @ theta), 3.0 * np.exp(-0.5 * (theta - 6.0) @ (theta - 6.0))
    return low + high, -0.1 * low * theta - high * (theta - 6.0)


def test_other_starts_find_a_higher_summit():
    alone = problem(two_summits, size=2, start=np.array([0.5, 0.5]), customers=1.0)
    assert maximise(alone).log_likelihood == pytest.approx(1.0, abs=1e-6)
    both = dataclasses.replace(alone, starts=(np.array([-3.0, 0.0]), np.array([5.0, 5.0])))
    assert maximise(both).log_likelihood == pytest.approx(3.0 + math.exp(-3.6), abs=1e-3)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_the_highest_of_summits_whatever_the_order_of_starts(order):
    points = [np.array([0.5, 0.5]), np.array([5.0, 5.0]), np.array([-99.0, 99.0])]
    first, *others = (points[place] for place in order)
    found = highest(problem(two_summits, size=2, start=first, starts=tuple(others), customers=1.0, span=20.0))
    top = math.exp(-3.6)  # of the low hill below the high one's
    assert found.log_likelihood == pytest.approx(3.0 + top, abs=1e-3)
    assert found.status == "converged"
    assert np.abs(found.gradient).max() < 1e-6


def test_a_start_of_which_nothing_can_be_told_is_left_out():
    def partly(theta):
        return (math.nan, np.full(3, math.nan)) if theta[0] < -5.0 else bent(theta)

    for starts in ([-9.0, 0.0], [0.0, -9.0]):
        first, second = (np.full(3, value) for value in starts)
        found = highest(problem(partly, start=first, starts=(second,)))
        assert found.log_params == pytest.approx(TOP, abs=1e-8)


def test_a_pass_is_no_summit():
    def saddle(theta):  # at the start the gradient is nothing, and two ways lead up
        x, y = theta
        return 10.0 * x**2 - 5.0 * x**4 - 50.0 * y**2, np.array([20.0 * x - 20.0 * x**3, -100.0 * y])

    found = maximise(problem(saddle, size=2))
    assert abs(found.log_params[0]) == pytest.approx(1.0, abs=1e-8)
    assert found.status == "converged"


@pytest.mark.parametrize("evaluate", [
    lambda _: (math.nan, np.zeros(2)),
    lambda _: (0.0, np.full(2, math.nan)),
    lambda theta: (-100.0 * abs(theta[0] - 1.0), np.array([50.0, 0.0])),  # the slope belongs to another function
], ids=["no value", "no slope", "wrong slope"])  # fmt: skip
@pytest.mark.parametrize("search", [maximise, highest])
def test_what_cannot_be_climbed_is_an_error_with_the_last_point(search, evaluate):
    with pytest.raises(ConvergenceError, match="did not converge") as caught:
        search(problem(evaluate, size=2))
    assert set(caught.value.params) == set(caught.value.gradient) == {"a", "b"}


def test_a_penalty_leaves_no_variance_negative():
    # The data alone rise along a direction that only the penalty closes.
    def evaluate(theta):
        return -2.0 * theta[0] ** 2 + 0.5 * theta[1] ** 2, np.array([-4.0 * theta[0], theta[1]])

    problem = Problem(names=("a", "b"), evaluate=evaluate, start=np.array([0.4, 0.2]), customers=50.0, l2=2.0)
    found = maximise(problem)
    assert np.linalg.eigvalsh(found.covariance).min() >= 0.0
    np.testing.assert_allclose(found.covariance[0, 0], 4.0 / (4.0 + 4.0) ** 2, rtol=1e-6)
