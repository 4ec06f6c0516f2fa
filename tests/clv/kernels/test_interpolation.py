import numpy as np
import pytest

import handmade
from loyalty.clv.kernels.interpolation import ages_to_compute, over_ages
from loyalty.clv.valuation.cell_values import time_alive


def test_few_ages_are_computed_as_they_are():
    ages = np.array([0.0, 3.0, 7.5])
    points, matrix = ages_to_compute(ages)
    np.testing.assert_array_equal(points, ages)
    np.testing.assert_array_equal(matrix, np.eye(3))


def test_polynomials_of_the_scale_are_exact():
    ages = np.arange(0, 700) / 7.0
    points, matrix = ages_to_compute(ages)
    assert matrix.shape == (700, 16)
    shift = ages[-1] / 5.0
    for power in (0, 1, 5, 15):
        np.testing.assert_allclose(
            matrix @ np.log((points + shift) / 40.0) ** power, np.log((ages + shift) / 40.0) ** power, atol=1e-12
        )
    np.testing.assert_array_equal(points[[0, -1]] >= ages[[0, -1]] - 1e-12, True)


@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD", "MBGNBD"])
def test_against_every_age(name):
    fit = handmade.purchases(name)
    rng = np.random.default_rng(5)
    x = np.repeat(np.array([0.0, 1.0, 4.0, 90.0]), 300)
    T = np.concatenate([rng.permutation(730)[:300] / 7.0 + 0.5 for _ in range(4)])
    order = rng.permutation(len(x))
    x, T = x[order], T[order]
    staying = time_alive(fit, 52.0, 0.002)
    np.testing.assert_allclose(over_ages(staying)(fit.values, x, T), staying(fit.values, x, T), rtol=1e-6)
