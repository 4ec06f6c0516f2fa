"""Survival under a beta-distributed chance, against mpmath."""

import itertools
import math

import mpmath
import numpy as np
import pytest

from loyalty.clv.kernels import _beta

SIZES = [1e-6, 1e-3, 0.3, 1.0, 7.7, 100.0, 1e4, 1e7]
STEPS = [1e-6, 0.5, 1.0, 3.0, 50.0, 500.0, 1e4, 1e9]


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(60):
        yield


def exact(a, z, b):
    return (
        mpmath.loggamma(z + a) + mpmath.loggamma(z + b) - mpmath.loggamma(z) - mpmath.loggamma(z + a + b),
        mpmath.digamma(z + a) - mpmath.digamma(z + a + b),
        mpmath.digamma(z + a) + mpmath.digamma(z + b) - mpmath.digamma(z) - mpmath.digamma(z + a + b),
        mpmath.digamma(z + b) - mpmath.digamma(z + a + b),
    )


def test_survival_and_its_derivatives_to_the_last_digits():
    grid = list(itertools.product(SIZES, SIZES, STEPS))
    a, z, b = np.array(grid).T
    found = np.vstack([_beta.log_survival(a, z, b), _beta.log_survival_gradient(a, z, b)])
    expected = [exact(*map(mpmath.mpf, point)) for point in grid]
    worst = max(
        float(abs(number / truth - 1))
        for column, truths in zip(found.T, expected, strict=True)
        for number, truth in zip(column, truths, strict=True)
    )
    assert worst < 1e-12


def test_no_opportunity_is_survived_for_certain():
    assert _beta.log_survival(3.0, 2.0, 0.0) == 0.0
    assert np.isfinite(_beta.log_survival_gradient(3.0, 2.0, 0.0)).all()


@pytest.mark.parametrize("a", [1e-6, 2.0, 1e7])
@pytest.mark.parametrize("z", [1e-6, 2.0, 1e7])
def test_next_to_endless_spans_stay_finite(a, z):
    found = _beta.log_survival(a, z, 1e130)
    exponent = mpmath.loggamma(z + mpmath.mpf(a)) - mpmath.loggamma(z) - a * mpmath.log(mpmath.mpf(10) ** 130)
    assert math.isclose(found, float(exponent), rel_tol=1e-12)
    assert np.isfinite(_beta.log_survival_gradient(a, z, 1e130)).all()


def endless(a, z, discount):
    """Return ₂F₁(1, z; a + z; discount) − 1, added up where few terms matter."""
    if discount > 0.99:
        return mpmath.hyp2f1(1, z, a + z, discount) - 1
    total, term, j = mpmath.mpf(0), mpmath.mpf(1), 0
    while term > total * 1e-18 or not total:
        term *= discount * (z + j) / (a + z + j)
        total, j = total + term, j + 1
    return total


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99, 0.9997, 0.9999999])
def test_sums_for_ever_are_hypergeometric(discount):
    grid = list(itertools.product([1e-3, 0.5, 1.0, 3.0, 1e4], [1e-3, 0.5, 100.0, 1e4]))
    a, z = np.array(grid).T
    found = _beta.summed(lambda j: _beta.log_survival(a, z, j) + j * np.log(discount))
    with mpmath.workdps(25):
        for one, point in zip(found, grid, strict=True):
            assert math.isclose(one, endless(*map(mpmath.mpf, point), discount), rel_tol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 1023, 1024, 1025, 1026, 2048, 2049, 5000])
@pytest.mark.parametrize(
    ("a", "z", "discount"), [(0.5, 2.0, 1.0), (0.5, 0.1, 1.0), (3.0, 100.0, 0.9999), (1e-3, 1.0, 1.0)]
)
def test_sums_up_to_a_count(a, z, discount, count):
    def log_term(j):
        return _beta.log_survival(np.array([a]), np.array([z]), j) + j * np.log(discount)

    direct = math.fsum(np.exp(log_term(np.arange(1.0, count + 1.0)[:, None])).ravel())
    assert math.isclose(_beta.summed(log_term, count)[0], direct, rel_tol=1e-12)
