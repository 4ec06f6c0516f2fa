"""The kernel of the sBG: against mpmath, and against the numbers of Fader & Hardie (2007)."""

import itertools
import math

import mpmath
import numpy as np
import pytest

from loyalty.clv.kernels import _sbg

SIZES = [1e-6, 1e-3, 0.3, 1.0, 7.7, 100.0, 1e4]
# "Regular" subscribers of Fader & Hardie (2007), 1000 customers
REGULAR = np.array([1000, 631, 468, 382, 326, 289, 262, 241], dtype=float)


def counts(survivors):
    survivors = np.asarray(survivors, dtype=float)
    return np.arange(len(survivors) - 1.0), -np.diff(survivors), survivors[1:]


def log_hazards(params, t):
    """Return ln P(leaving) and ln P(staying) at renewal t + 1, as the paper has them."""
    alpha, beta = (mpmath.mpf(one) for one in params)
    return mpmath.log(alpha / (alpha + beta + t)), mpmath.log((beta + t) / (alpha + beta + t))


def test_likelihood_and_gradient():
    t, lost, kept = np.array([0.0, 1.0, 6.0, 499.0]), np.array([3.0, 0.0, 2.0, 1.0]), np.array([5.0, 1.0, 0.0, 7.0])
    with mpmath.workdps(40):
        for params in itertools.product(SIZES, SIZES):

            def likelihood(*logs, at):
                leave, stay = log_hazards([mpmath.exp(one) for one in logs], int(t[at]))
                return lost[at] * leave + kept[at] * stay

            logs = [mpmath.log(mpmath.mpf(one)) for one in params]
            found, slopes = _sbg.log_likelihood(params, t, lost, kept), _sbg.gradient(params, t, lost, kept)
            for at in range(len(t)):
                exact = likelihood(*logs, at=at)
                assert math.isclose(found[at], exact, rel_tol=1e-13, abs_tol=1e-18)
                for one in range(2):
                    order = tuple(int(one == other) for other in range(2))
                    slope = mpmath.diff(lambda *logs, at=at: likelihood(*logs, at=at), tuple(logs), order)
                    # lost and kept pull against each other, so near nothing is as good as nothing
                    assert math.isclose(slopes[one, at], slope, rel_tol=1e-10, abs_tol=1e-14)


def test_total_is_the_sum():
    t, lost, kept = counts(REGULAR)
    value, slopes = _sbg.total((0.7, 1.2), t, lost, kept)
    assert math.isclose(value, _sbg.log_likelihood((0.7, 1.2), t, lost, kept).sum(), rel_tol=1e-14)
    np.testing.assert_allclose(slopes, _sbg.gradient((0.7, 1.2), t, lost, kept).sum(axis=1), rtol=1e-12)


def test_published_optimum():
    value, slopes = _sbg.total((0.704077, 1.182043), *counts(REGULAR))
    assert abs(value - -1680.265) < 5e-4  # printed to three decimals
    assert abs(slopes).max() < 1e-3  # parameters printed to six


def test_each_customer_may_have_parameters_of_their_own():
    alpha, beta, t = np.array([0.3, 2.0, 50.0]), np.array([1.0, 0.1, 400.0]), np.array([0.0, 3.0, 12.0])
    for name in ("log_likelihood", "gradient"):
        function = getattr(_sbg, name)
        together = function((alpha, beta), t, 2.0, 3.0)
        alone = [function((a, b), one, 2.0, 3.0) for a, b, one in zip(alpha, beta, t, strict=True)]
        np.testing.assert_allclose(together, np.stack(alone, axis=-1), rtol=1e-14)
    together = _sbg.remaining((alpha, beta), t, 40, 0.9)
    alone = [_sbg.remaining((a, b), np.array([one]), 40, 0.9)[0] for a, b, one in zip(alpha, beta, t, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-13)


@pytest.mark.parametrize("discount", [0.5, 0.95, 0.9999])
def test_what_remains_for_ever_is_hypergeometric(discount):
    # DERL of Fader & Hardie (2010) is this over the discount: (β + n − 1)/(α + β + n − 1) · ₂F₁(1, β + n; α + β + n; v)
    with mpmath.workdps(30):
        for alpha, beta, t in itertools.product([1e-3, 0.7, 5.0, 1e4], [1e-3, 1.2, 300.0], [0, 1, 9, 500]):
            a, b = mpmath.mpf(alpha), mpmath.mpf(beta)
            first = (b + t) / (a + b + t)
            exact = discount * first * mpmath.hyp2f1(1, b + t + 1, a + b + t + 1, discount)
            found = _sbg.remaining((alpha, beta), np.array([t]), math.inf, discount)[0]
            assert math.isclose(found, exact, rel_tol=1e-10)


def test_what_remains_without_discount():
    assert math.isclose(_sbg.remaining((2.5, 0.6), np.array([4.0]), math.inf)[0], 4.6 / 1.5, rel_tol=1e-14)
    assert _sbg.remaining((1.0, 0.6), np.array([4.0]), math.inf)[0] == math.inf
    assert _sbg.remaining((0.3, 5.0), np.array([0.0]), math.inf)[0] == math.inf
    # restricted: added up by hand
    alpha, beta = 0.7, 1.2
    shares = np.cumprod([(beta + t) / (alpha + beta + t) for t in range(3, 13)])
    assert math.isclose(_sbg.remaining((alpha, beta), np.array([3.0]), 10)[0], shares.sum(), rel_tol=1e-13)


def test_starts_are_finite_for_anything():
    for survivors in ([1, 1], [1, 0], [5, 5, 5], [1000, 1, 1], [9, 8, 3, 0], [1e9, 1.0], [3, 2, 1, 0]):
        assert np.isfinite(_sbg.start(*counts(survivors))).all()
