"""The kernel of the BdW: against mpmath, its limits, and the sBG that it contains."""

import itertools
import math

import mpmath
import numpy as np
import pytest

from loyalty.clv.kernels import _bdw, _sbg

SIZES = [1e-6, 0.03, 0.7, 90.0, 1e4]
POWERS = [1e-3, 0.3, 1.28, 4.0, 20.0]
REGULAR = np.array([1000, 631, 468, 382, 326, 289, 262, 241], dtype=float)


def log_survival(params, t):
    """Return ln B(α, β + t^c)/B(α, β)."""
    alpha, beta, c = (mpmath.mpf(one) for one in params)
    u = mpmath.mpf(t) ** c if t else mpmath.mpf(0)
    return (
        mpmath.loggamma(alpha + beta)
        + mpmath.loggamma(beta + u)
        - mpmath.loggamma(beta)
        - mpmath.loggamma(alpha + beta + u)
    )


def digits(c, t):
    """Return enough digits for differences of logarithms of gamma functions of t^c."""
    return 60 + int(c * math.log10(t + 2)) + 10


def test_likelihood_and_gradient():
    t = np.array([0.0, 1.0, 30.0, 499.0])
    for params in itertools.product(SIZES, SIZES, POWERS):
        leave, stay = _bdw.log_likelihood(params, t, 1.0, 0.0), _bdw.log_likelihood(params, t, 0.0, 1.0)
        of_leave, of_stay = _bdw.gradient(params, t, 1.0, 0.0), _bdw.gradient(params, t, 0.0, 1.0)
        with mpmath.workdps(digits(params[2], t.max())):
            step = mpmath.mpf(10) ** -20
            logs = [mpmath.log(mpmath.mpf(one)) for one in params]
            for at, begin in enumerate(t):

                def kept(logs, begin=int(begin)):
                    point = [mpmath.exp(one) for one in logs]
                    return log_survival(point, begin + 1) - log_survival(point, begin)

                exact = kept(logs)
                assert math.isclose(stay[at], exact, rel_tol=1e-11)
                assert math.isclose(leave[at], mpmath.log(-mpmath.expm1(exact)), rel_tol=1e-11, abs_tol=1e-13)
                for one in range(3):
                    above, below = ([*logs[:one], logs[one] + sign * step, *logs[one + 1 :]] for sign in (1, -1))
                    slope = (kept(above) - kept(below)) / (2 * step)
                    bound = 1e-9 * max(1.0, abs(float(exact)))
                    assert math.isclose(of_stay[one, at], slope, rel_tol=1e-9, abs_tol=bound)
                    assert math.isclose(of_leave[one, at], -slope / mpmath.expm1(-exact), rel_tol=1e-9, abs_tol=bound)


@pytest.mark.parametrize("c", [40.0, 1e3, 1e6, 1e-6])
@pytest.mark.parametrize("alpha", [1e-6, 0.5, 1e4])
@pytest.mark.parametrize("beta", [1e-6, 2.0, 1e4])
def test_extreme_powers_stay_finite(alpha, beta, c):
    t, params = np.array([0.0, 1.0, 2.0, 500.0]), (alpha, beta, c)
    value, slopes = _bdw.total(params, t, np.full(4, 2.0), np.full(4, 3.0))
    assert math.isfinite(value)
    assert np.isfinite(slopes).all()
    step = 1e-6
    moved = [
        _bdw.total((alpha, beta, c * math.exp(sign * step)), t, np.full(4, 2.0), np.full(4, 3.0))[0] for sign in (1, -1)
    ]
    assert math.isclose(slopes[2], (moved[0] - moved[1]) / (2 * step), rel_tol=1e-4, abs_tol=1e-3)


@pytest.mark.parametrize("c", [20.0, 200.0, 2e4])
def test_far_survival_is_a_power_of_time(c):
    # ln S(2 → 9) = α·c·ln(2/9) once t^c has left α and β behind, whether the numbers t^c exist or not
    found = _bdw.log_survival((0.4, 0.5, c), np.array([2.0]), 7.0)[0]
    exact = 0.4 * c * math.log(2 / 9)
    assert math.isclose(found, exact, rel_tol=1e-5 if c == 20.0 else 1e-13)


def test_one_is_the_sbg():
    rng = np.random.default_rng(1)
    t, lost, kept = np.arange(60.0), rng.integers(0, 9, 60).astype(float), rng.integers(0, 9, 60).astype(float)
    for alpha, beta in itertools.product(SIZES, SIZES):
        own, other = _bdw.total((alpha, beta, 1.0), t, lost, kept), _sbg.total((alpha, beta), t, lost, kept)
        assert math.isclose(own[0], other[0], rel_tol=1e-12)
        np.testing.assert_allclose(own[1][:2], other[1], rtol=1e-9, atol=1e-10 * abs(other[0]))
        for horizon, discount in [(7, 1.0), (3000, 0.999), (math.inf, 0.9)]:
            remaining = [kernel.remaining(params, np.array([0.0, 5.0]), horizon, discount)
                         for kernel, params in ((_bdw, (alpha, beta, 1.0)), (_sbg, (alpha, beta)))]  # fmt: skip
            np.testing.assert_allclose(*remaining, rtol=1e-11)


def test_published_optimum():
    t, lost, kept = np.arange(7.0), -np.diff(REGULAR), REGULAR[1:]
    value, _ = _bdw.total((0.4556, 0.7793, 1.2835), t, lost, kept)
    assert abs(value - -1679.603) < 5e-4  # printed to three decimals


def test_each_customer_may_have_parameters_of_their_own():
    params = (np.array([0.3, 2.0, 50.0]), np.array([1.0, 0.1, 400.0]), np.array([0.5, 1.0, 2.5]))
    t = np.array([0.0, 3.0, 12.0])
    for name, arguments in {"log_likelihood": (2.0, 3.0), "gradient": (2.0, 3.0), "remaining": (40, 0.9)}.items():
        function = getattr(_bdw, name)
        together = function(params, t, *arguments)
        alone = [function(tuple(one[at] for one in params), t[at : at + 1], *arguments) for at in range(3)]
        np.testing.assert_allclose(together, np.concatenate(alone, axis=-1), rtol=1e-12)


@pytest.mark.parametrize(
    ("params", "renewals"), [((2.0, 3.0, 1.0), 4), ((3.0, 2.0, 0.5), 1), ((0.6, 2.0, 2.0), 0), ((8.0, 5.0, 0.3), 7)]
)
def test_what_remains_for_ever(params, renewals):
    alpha, _, c = params
    with mpmath.workdps(50):

        def term(j):
            return mpmath.exp(log_survival(params, renewals + j) - log_survival(params, renewals))

        first = 150
        head = mpmath.fsum(term(mpmath.mpf(j)) for j in range(1, first))
        far = max(14 * mpmath.log(10) / c, mpmath.log(first) + 16)  # from here on a power of time
        places = [mpmath.log(first) + (far - mpmath.log(first)) * k / 12 for k in range(13)]
        tail = mpmath.quad(lambda y: term(mpmath.exp(y)) * mpmath.exp(y), places, method="gauss-legendre", maxdegree=3)
        rest = (mpmath.exp(far) + renewals) * term(mpmath.exp(far)) / (c * alpha - 1)
        corrections = term(first) / 2 - mpmath.diff(term, first) / 12
        exact = head + tail + rest + corrections
    assert math.isclose(_bdw.remaining(params, np.array([float(renewals)]), math.inf)[0], exact, rel_tol=1e-8)


def test_it_never_ends_where_survival_falls_too_slowly():
    found = _bdw.remaining((0.5, 1.0, np.array([1.9, 2.0, 2.1])), 0.0, math.inf)
    assert list(np.isinf(found)) == [True, True, False]


@pytest.mark.parametrize("discount", [0.5, 0.99, 0.9999])
def test_discounted_sums_are_what_adding_up_gives(discount):
    for params in [(0.4556, 0.7793, 1.2835), (5.0, 100.0, 0.4), (0.01, 0.02, 3.0), (1e4, 1e4, 0.2)]:
        j = np.arange(1.0, 40.0 / -math.log(discount))
        terms = np.exp(_bdw.log_survival(params, 3.0, j) + j * math.log(discount))
        found = _bdw.remaining(params, np.array([3.0]), math.inf, discount)[0]
        assert math.isclose(found, math.fsum(terms), rel_tol=1e-10)
