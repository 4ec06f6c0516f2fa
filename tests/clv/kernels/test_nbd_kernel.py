"""NBD: against SciPy's negative binomial, mpmath, and differences of its own derivatives."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from loyalty.clv.kernels._nbd import KERNEL, discounted, log_mass, log_rising, log_rising_slope
from loyalty.clv.summaries.cells import Cells

PARAMS = (0.384766, 12.07202)
X, T = np.array([0, 0, 1, 5, 40.0]), np.array([0, 30, 30, 38.86, 52.0])
CELLS = Cells.of(X, np.where(X > 0, T / 2, 0), T, [3, 2, 5, 1, 4.0])


@pytest.mark.parametrize("r", [1e-6, 0.3, 7.0, 999.0, 1001.0, 1e5, 1e8, 1e12])
def test_rising_factorials(r):
    """Γ(r + x)/Γ(r) = r(r + 1)…(r + x − 1): above r = 1000 from Stirling's series."""
    x = np.array([0, 1, 2, 30, 5000.0])
    with mp.workdps(40):
        value = [mp.loggamma(mp.mpf(r) + k) - mp.loggamma(r) for k in x]
        slope = [mp.digamma(mp.mpf(r) + k) - mp.digamma(r) for k in x]
    np.testing.assert_allclose(log_rising(r, x), [float(v) for v in value], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        log_rising_slope(r, x), [float(v) for v in slope], rtol=1e-12, atol=0 if r > 1 else 1e-12
    )
    np.testing.assert_allclose(log_rising(np.full(5, r), x), log_rising(r, x), rtol=1e-14)
    np.testing.assert_allclose(log_rising_slope(np.full(5, r), x), log_rising_slope(r, x), rtol=1e-14)


def test_likelihood_and_mass_are_negative_binomial():
    # L is the density of a given sequence of purchase times: P(X = x) · x!/T^x.
    r, alpha = PARAMS
    mass = stats.nbinom.logpmf(X[1:], r, alpha / (alpha + T[1:]))
    np.testing.assert_allclose(log_mass(r, alpha, T[1:], X[1:]), mass, rtol=1e-10)
    factorials = np.array([math.lgamma(x + 1) for x in X[1:]])
    expected = mass + factorials - X[1:] * np.log(T[1:])
    np.testing.assert_allclose(KERNEL.log_likelihood(PARAMS, X[1:], 0, T[1:]), expected, rtol=1e-10)
    assert KERNEL.log_likelihood(PARAMS, 0, 0, 0) == 0


def test_total_is_the_weighted_sum():
    total, gradient = KERNEL.total(PARAMS, CELLS)
    given = (PARAMS, CELLS.x, CELLS.t_x, CELLS.T)
    assert total == pytest.approx(KERNEL.log_likelihood(*given) @ CELLS.weight, rel=1e-13)
    np.testing.assert_allclose(gradient, KERNEL.gradient(*given) @ CELLS.weight, rtol=1e-12)


@pytest.mark.parametrize("params", [PARAMS, (5.0, 0.1), (0.01, 300.0)])
def test_derivatives_are_slopes(params):
    for place in range(2):
        above, below = (np.array(params) * np.exp(move * np.eye(2)[place]) for move in (1e-5, -1e-5))
        rise = [KERNEL.total(above, CELLS)[k] - KERNEL.total(below, CELLS)[k] for k in range(2)]
        assert KERNEL.total(params, CELLS)[1][place] == pytest.approx(rise[0] / 2e-5, rel=1e-6, abs=1e-6)
        np.testing.assert_allclose(KERNEL.hessian(params, CELLS)[place], rise[1] / 2e-5, rtol=1e-6, atol=1e-6)


def test_predictions_by_hand():
    # r + x = 6, α + T = 12, horizon 2: the mean is 1, E[X(X − 1)] = 6·7·(2/12)², P(X = 0) = (12/14)^6.
    params, x, T = (1.0, 2.0), 5, 10.0
    assert KERNEL.purchases(params, x, T, 2.0, 0.0) == pytest.approx(1)
    assert KERNEL.purchases(params, x, T, math.inf, 0.25) == pytest.approx(0.5 * 4)
    assert KERNEL.purchases(params, x, T, 2.0, 0.25) == pytest.approx(0.5 * 4 * (1 - math.exp(-0.5)))
    assert KERNEL.factorial_moment(params, x, T, 2.0) == pytest.approx(42 / 36)
    assert KERNEL.probability(params, x, T, 2.0, 0) == pytest.approx((6 / 7) ** 6)
    assert KERNEL.p_alive(params, x, 3.0, T) == 1
    assert KERNEL.survival(params, x, T, 9.0) == 1
    assert KERNEL.time_alive(params, x, T, 9.0) == 9


def test_counts_are_a_distribution():
    counts = np.arange(2000.0)
    chance = KERNEL.probability(PARAMS, 5, 30.0, 52.0, counts)
    assert chance.sum() == pytest.approx(1)
    assert chance @ counts == pytest.approx(KERNEL.purchases(PARAMS, 5, 30.0, 52.0, 0.0))
    assert chance @ (counts * (counts - 1)) == pytest.approx(KERNEL.factorial_moment(PARAMS, 5, 30.0, 52.0))


def test_discounted_horizons():
    horizon, rate = np.array([3.0, 3.0, np.inf, np.inf, 0.0]), np.array([0.0, 2.0, 0.5, 0.0, 0.0])
    expected = [3, (1 - math.exp(-6)) / 2, 2, math.inf, 0]
    np.testing.assert_allclose(discounted(horizon, rate), expected, rtol=1e-15)


def test_start_from_moments_by_hand():
    # 40 purchases in 400 weeks: mean rate 0.1. Σx(x − 1) = 13·3·2 = 78 over ΣT² = 4000 is 1.95 times its square, which
    # is 1 + 1/r.
    cells = Cells.of([0] * 26 + [3] * 13 + [1], [0] * 26 + [5] * 14, [10] * 40)
    np.testing.assert_allclose(np.exp(KERNEL.start(cells)), [1 / 0.95, 10 / 0.95], rtol=1e-12)
