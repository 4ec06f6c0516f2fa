"""The kernel of the Gamma-Gamma model: against mpmath on a wide grid, and against its own definition."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy import special

from loyalty.clv.kernels import _gammagamma as kernel
from loyalty.clv.summaries.spend_cells import SpendCells

SIZES = (1e-3, 0.1, 1.0, 6.25, 300.0, 1e4, 1e6)
SCALES = (1e-3, 15.44, 1e6)
FREQUENCIES = (1, 2, 60, 500)
MEANS = (1e-3, 35.0, 1e6)
CDNOW = (6.25, 3.74, 15.44)


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(40):
        yield


def grid():
    """Return p, q, γ, x, m̄: the corners, and spends as the model expects them, where most of the terms cancel."""
    for p, q, gamma, x in itertools.product(SIZES, SIZES, SCALES, FREQUENCIES):
        expected = [p * gamma / (q - 1.0)] if q > 1.0 else []
        for mean in (*MEANS, *expected):
            yield p, q, gamma, x, mean


def exact(p, q, gamma, x, mean):
    """Return log-likelihood and gradient as note 025, eq. 1a, has them."""
    p, q, gamma, x, mean = (mpmath.mpf(one) for one in (p, q, gamma, x, mean))
    a, both = p * x, mpmath.log(gamma + x * mean)
    value = mpmath.loggamma(a + q) - mpmath.loggamma(a) - mpmath.loggamma(q)
    value += q * mpmath.log(gamma) + (a - 1) * mpmath.log(mean) + a * mpmath.log(x) - (a + q) * both
    of_both = mpmath.digamma(a + q)
    by_p = a * (of_both - mpmath.digamma(a) + mpmath.log(mean) + mpmath.log(x) - both)
    by_q = q * (of_both - mpmath.digamma(q) + mpmath.log(gamma) - both)
    return value, (by_p, by_q, q - (a + q) * gamma / (gamma + x * mean))


def exact_hessian(p, q, gamma, x, mean):
    """Return the second derivatives by the log parameters."""
    by_p, by_q, _ = exact(p, q, gamma, x, mean)[1]
    p, q, gamma, x, mean = (mpmath.mpf(one) for one in (p, q, gamma, x, mean))
    a, rest = p * x, gamma / (gamma + x * mean)
    of_both, of_a, of_q = (mpmath.polygamma(1, one) for one in (a + q, a, q))
    aq, ac, qc = a * q * of_both, -a * rest, q * (1 - rest)
    return [
        [a * a * (of_both - of_a) + by_p, aq, ac],
        [aq, q * q * (of_both - of_q) + by_q, qc],
        [ac, qc, -(a + q) * rest * (1 - rest)],
    ]


def test_likelihood_and_gradient_on_the_grid():
    rows = list(grid())
    columns = np.array(rows).T
    values = kernel.log_likelihood(columns[:3], columns[3], columns[4])
    gradients = kernel.gradient(columns[:3], columns[3], columns[4])
    worst = [0.0, 0.0]
    for row, value, gradient in zip(rows, values, gradients.T, strict=True):
        true_value, true_gradient = exact(*row)
        size = max(1.0, abs(float(true_value)))
        worst[0] = max(worst[0], abs(float(value - true_value)) / size)
        worst[1] = max(worst[1], *(abs(float(a - b)) / size for a, b in zip(gradient, true_gradient, strict=True)))
    assert worst[0] < 1e-12  # asked for: 1e-8
    assert worst[1] < 1e-9


def test_hessian_on_the_grid():
    rows = list(grid())[::7]
    columns = np.array(rows).T
    found = kernel.hessian(columns[:3], columns[3], columns[4])
    for place, row in enumerate(rows):
        true = exact_hessian(*row)
        # Entries are as large as the smaller of a and q, and cancel to less.
        size = max(1.0, abs(float(exact(*row)[0])), min(row[0] * row[3], row[1]))
        for i, j in itertools.product(range(3), repeat=2):
            assert found[i, j, place] == pytest.approx(float(true[i][j]), abs=1e-9 * size), (row, i, j)


def test_nothing_is_nan_or_infinite():
    rng = np.random.default_rng(3)
    columns = np.exp(rng.uniform(math.log(1e-6), math.log(1e7), (3, 4000)))
    x, mean = rng.integers(0, 501, 4000), np.exp(rng.uniform(-200, 200, 4000))
    for found in (
        kernel.log_likelihood(columns, x, mean),
        kernel.gradient(columns, x, mean),
        kernel.hessian(columns, x, mean),
    ):
        assert np.isfinite(found).all()


def test_customers_without_purchases_say_nothing():
    assert kernel.log_likelihood(CDNOW, 0, 0.0) == 0.0
    assert not kernel.gradient(CDNOW, [0, 0], [0.0, 9.0]).any()
    assert not kernel.hessian(CDNOW, 0, 0.0).any()


def test_every_customer_may_have_parameters_of_its_own():
    p, q, gamma = np.array([1.0, 6.25]), np.array([[2.0], [3.74], [9.0]]), 15.44
    x, mean = np.array([1, 4]), np.array([30.0, 8.0])
    values = kernel.log_likelihood((p, q, gamma), x, mean)
    assert values.shape == (3, 2)
    assert kernel.gradient((p, q, gamma), x, mean).shape == (3, 3, 2)
    assert kernel.hessian((p, q, gamma), x, mean).shape == (3, 3, 3, 2)
    for i, j in itertools.product(range(3), range(2)):
        assert values[i, j] == kernel.log_likelihood((p[j], q[i, 0], gamma), x[j], mean[j])


@pytest.mark.parametrize("params", [CDNOW, (0.01, 0.02, 300.0), (1e5, 2e5, 40.0), (1e6, 3.0, 1e-5)])
def test_sums_over_cells(params):
    rng = np.random.default_rng(1)
    x, mean, weight = rng.integers(1, 9, 200), rng.gamma(2.0, 20.0, 200), rng.uniform(0.5, 3.0, 200)
    cells = SpendCells.of(x, mean, weight)
    value, gradient = kernel.total(params, cells)
    assert value == pytest.approx(float(weight @ kernel.log_likelihood(params, x, mean)), rel=1e-12)
    assert gradient == pytest.approx(kernel.gradient(params, x, mean) @ weight, rel=1e-9, abs=1e-9 * abs(value))
    hessian = kernel.hessian(params, x, mean) @ weight
    assert kernel.total_hessian(params, cells) == pytest.approx(hessian, rel=1e-8, abs=1e-9 * abs(value))


def test_the_density_of_the_mean_integrates_to_one():
    for x in (1, 4):
        area = mpmath.quad(lambda m, x=x: mpmath.exp(exact(*CDNOW, x, m)[0]), [0, 5, 15, 30, 60, 200, mpmath.inf])
        assert area == pytest.approx(1.0, abs=1e-10)
        mean = np.linspace(1e-3, 4000.0, 2_000_001)
        assert np.trapezoid(np.exp(kernel.log_likelihood(CDNOW, x, mean)), mean) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("x", [0, 1, 2, 60, 500])
@pytest.mark.parametrize("params", [CDNOW, (1e-3, 1.5, 1e4), (1e4, 1.0001, 1e-3), (300.0, 1e6, 1e6)])
def test_expectation(params, x):
    p, q, gamma = (mpmath.mpf(one) for one in params)
    for mean in (0.0, 1e-3, 35.0, 1e6):
        true = p * (gamma + x * mpmath.mpf(mean)) / (p * x + q - 1)
        assert kernel.expected_spend(params, x, mean) == pytest.approx(float(true), rel=1e-11)


def test_expectation_is_that_of_the_conditional_distribution():
    # ν given the data is Gamma(px + q, γ + x·m̄), and a purchase has the mean p/ν.
    p, q, gamma = CDNOW
    shape, rate = p * 2 + q, gamma + 2 * 18.0
    true = mpmath.quad(lambda v: p / v * (rate**shape * v ** (shape - 1) * mpmath.exp(-rate * v)) / mpmath.gamma(shape),
                       [0, 0.1, 0.3, 0.6, 2, mpmath.inf])  # fmt: skip
    assert kernel.expected_spend(CDNOW, 2, 18.0) == pytest.approx(float(true), rel=1e-10)


def test_expectation_at_its_limits():
    assert kernel.expected_spend((2.0, 0.5, 9.0), [0, 1], [0.0, 5.0]).tolist() == [np.inf, 2 * 14 / 1.5]
    assert kernel.expected_spend((0.25, 0.75, 9.0), 1, 5.0) == np.inf  # px + q = 1
    assert kernel.expected_spend(CDNOW, 3, -8.0) == kernel.expected_spend(CDNOW, 3, 0.0)


def test_derivatives_of_the_expectation():
    x, mean, step = np.array([0, 1, 7, 500]), np.array([0.0, 80.0, 12.0, 40.0]), 1e-6
    found = kernel.log_expected_gradient(CDNOW, x, mean)
    for place in range(3):
        up, down = (np.array(CDNOW) * np.where(np.arange(3) == place, math.exp(s), 1.0) for s in (step, -step))
        slope = np.log(kernel.expected_spend(up, x, mean) / kernel.expected_spend(down, x, mean)) / (2 * step)
        assert found[place] == pytest.approx(slope, abs=1e-8)
    infinite = kernel.log_expected_gradient((2.0, 0.5, 9.0), 0, 0.0)
    assert np.isnan(infinite[:2]).all()


@pytest.mark.parametrize("probability", [0.005, 0.05, 0.5, 0.975])
@pytest.mark.parametrize("params", [CDNOW, (0.3, 0.4, 1e4), (30.0, 1.5, 1e-3), (2.0, 90.0, 1e5)])
def test_quantiles(params, probability):
    for x, mean in ((0, 0.0), (1, 35.0), (3, 40.0)):
        y = kernel.quantile(params, x, mean, probability)
        p, r = params[0], params[0] * x + params[1]
        share = mpmath.mpf(float(y)) / (y + mpmath.mpf(params[2]) + x * mpmath.mpf(mean))
        below = mpmath.betainc(p, r, 0, share, regularized=True)
        assert float(below) == pytest.approx(probability, rel=1e-8)


@pytest.mark.parametrize("probability", [0.005, 0.5, 0.975])
@pytest.mark.parametrize("params", [(1e4, 1.5, 1e-3), (1e4, 1e4, 40.0), (2.0, 1e5, 1e5), (1e7, 1e7, 20.0)])
def test_quantiles_of_large_shapes(params, probability):
    for x, mean in ((0, 0.0), (1, 35.0), (500, 40.0)):
        y = kernel.quantile(params, x, mean, probability)
        share = y / (y + params[2] + x * mean)
        below = special.betainc(params[0], params[0] * x + params[1], share)
        assert below == pytest.approx(probability, rel=1e-6)


def test_quantiles_at_their_limits():
    # The quantiles are about 1e-2000 and 1e+2000: as little, and as much, as numbers can be.
    assert kernel.quantile((1e-3, 5.0, 1.0), 0, 0.0, 0.01) < 1e-300
    assert kernel.quantile((5.0, 1e-3, 1.0), 0, 0.0, 0.99) > 1e300


def test_starting_points_are_near():
    rng = np.random.default_rng(5)
    x = rng.geometric(0.3, 20_000)
    mean = rng.gamma(6.25 * x) / x / rng.gamma(3.74, 1 / 15.44, len(x))
    cells = SpendCells.of(x, mean)
    near, *others = kernel.starts(cells)
    assert np.exp(near) == pytest.approx(CDNOW, rel=0.35)
    assert len(others) == 2


@pytest.mark.parametrize(("x", "mean"), [([1], [5.0]), ([1, 2], [5.0, 5.0]), ([3, 3], [1e-9, 1e9]), ([500], [1e30])])
def test_starting_points_of_awkward_cells(x, mean):
    assert np.isfinite(kernel.starts(SpendCells.of(x, mean))).all()
