"""Adaptive quadrature of many integrals: against integrals known in closed form."""

import numpy as np
import pytest

from loyalty.clv.kernels._quadrature import dot, gauss, integrate, panels, tally


def whole(integrand, end, marks=(), smooth=np.inf, beside=None):
    end = np.asarray(end, dtype=float)
    beside = np.zeros(len(end)) if beside is None else beside
    return integrate(integrand, panels(end, marks, smooth), beside)[0]


def test_gauss_is_exact_to_twice_its_degree():
    nodes, weights = gauss(5)
    for power in range(10):
        assert nodes**power @ weights == pytest.approx(1 / (power + 1), rel=1e-14)


def test_first_panels_cover_all_once():
    end, mark = np.array([3.0, 12.0, 100.0, 0.0]), np.array([1.0, 50.0, 5.5, 1.0])
    low, high, owner = panels(end, [mark], np.array([np.inf, np.inf, 10.0, np.inf]))
    for place in range(4):
        mine = owner == place
        assert low[mine][0] == 0
        assert high[mine][-1] == end[place]
        np.testing.assert_array_equal(low[mine][1:], high[mine][:-1])
    assert sum(owner == 0) == 2
    assert sum(owner == 1) == 3  # 12 in panels of at most 5
    np.testing.assert_allclose(high[owner == 2], [5, 5.5, 10, 15, 25, 45, 85, 100])


@pytest.mark.parametrize("rate", [1e-6, 1.0, 40.0, 1e4])
def test_exponentials(rate):
    end = np.array([0.0, 0.1, 4.9, 20.0, 300.0])
    found = whole(lambda _, w: np.exp(-rate * w), end)
    np.testing.assert_allclose(found, -np.expm1(-rate * end) / rate, rtol=1e-12)


def test_narrow_humps_and_kinks_are_found_by_halving():
    at = np.array([0.3, 2.0, 4.4])
    found = whole(lambda owner, w: np.exp(-(((w - at[owner, None]) / 0.05) ** 2)), np.full(3, 5.0))
    np.testing.assert_allclose(found, 0.05 * np.sqrt(np.pi), rtol=1e-12)
    found = whole(lambda owner, w: np.abs(w - at[owner, None]), np.full(3, 5.0))
    np.testing.assert_allclose(found, (at**2 + (5 - at) ** 2) / 2, rtol=1e-12)


def test_moments_by_the_same_measure():
    first = panels(np.array([2.0, 30.0]), [])
    mass, others = integrate(
        lambda _, w: np.exp(-w),
        first,
        np.zeros(2),
        lambda _, w, mass: np.stack([(w * mass).sum(1), (w * w * mass).sum(1)]),
        2,
    )
    np.testing.assert_allclose(mass, [1 - np.exp(-2), 1], rtol=1e-12)
    np.testing.assert_allclose(others[:, 1], [1, 2], rtol=1e-9)
    np.testing.assert_allclose(others[:, 0], [1 - 3 * np.exp(-2), 2 - 10 * np.exp(-2)], rtol=1e-12)


def test_no_work_beside_something_large():
    """What stands beside an integral says how exact it must be."""
    calls = []

    def integrand(owner, w):
        calls.append(len(owner))
        return np.abs(w - 0.3)

    whole(integrand, [1.0], beside=np.array([1e20]))
    alone = len(calls)
    whole(integrand, [1.0])
    assert alone == 1
    assert len(calls) > 10


@pytest.mark.parametrize("size", [1e-200, 1e-300, 1e-320, 0.0])
def test_it_ends_near_the_end_of_floats(size):
    found = whole(lambda _, w: size * np.abs(w - 0.3), [1.0])
    assert found[0] == pytest.approx(size * 0.29, rel=1e-9 if size > 1e-250 else 1, abs=1e-300)


def test_it_ends_where_nothing_is_defined():
    assert np.isnan(whole(lambda _, w: np.full(w.shape, np.nan), [1.0, 2.0])).all()


def test_sums():
    assert dot(np.array([1.0, 2]), np.array([3.0, 4])) == 11
    np.testing.assert_array_equal(tally(np.array([0, 2, 2]), np.array([1.0, 2, 3]), 4), [1, 0, 5, 0])
