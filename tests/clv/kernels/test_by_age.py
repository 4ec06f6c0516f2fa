"""Predictions by interpolation between ages: as exact as what they stand for, which is asked where they do not fit."""

import math

import numpy as np
import pytest

from loyalty.clv.kernels._by_age import by_age
from loyalty.clv.kernels._geometric import BGNBD, MBGNBD

PARAMS = [(0.2425945, 4.4136019, 0.7929199, 2.4258881), (0.05, 0.02, 0.3, 0.2), (2e3, 1e4, 40.0, 1e-3)]


def customers(n=2500):
    rng = np.random.default_rng(4)
    return rng.integers(0, 12, n).astype(float), rng.integers(1, 500, n) / 7


@pytest.mark.parametrize("params", PARAMS)
@pytest.mark.parametrize("kernel", [BGNBD, MBGNBD], ids=["BG", "MBG"])
def test_many_customers_as_if_one_by_one(kernel, params):
    x, T = customers()
    x[:3] = 700, 5000, 31
    own = (*params[:3], np.full(len(x), params[3]))  # with parameters of their own, customers are worked out one by one
    for horizon, rate in [(52.0, 0.0), (1e-2, 0.0), (52.0, 0.002), (math.inf, 0.002)]:
        many = kernel.purchases(params, x, T, horizon, rate)
        np.testing.assert_allclose(many, kernel.purchases(own, x, T, horizon, rate), rtol=2e-10)
    for name in ("survival", "time_alive", "factorial_moment"):
        many = getattr(kernel, name)(params, x, T, 52.0)
        np.testing.assert_allclose(many, getattr(kernel, name)(own, x, T, 52.0), rtol=2e-10)


def test_customers_of_one_age():
    x, T = np.full(2500, 3.0), np.full(2500, 9.0)
    many = BGNBD.purchases(PARAMS[0], x, T, 52.0, 0.0)
    np.testing.assert_allclose(many, BGNBD.purchases(PARAMS[0], 3, 9.0, 52.0, 0.0), rtol=1e-11)


def counting(values):
    """A prediction of (x, alpha + T), and how many customers it was asked about, call by call."""
    asked = []

    @by_age
    def predict(params, x, T, scale):
        asked.append(np.size(x))
        return scale * values(x, params[1] + T)

    return predict, asked


def test_few_ages_are_asked_about():
    predict, asked = counting(lambda x, age: (1 + x) / age)
    x, T = customers()
    np.testing.assert_allclose(predict((0.5, 2.0), x, T, 3.0), 3 * (1 + x) / (2 + T), rtol=1e-10)
    assert len(asked) == 1
    assert asked[0] < len(x) / 4
    assert predict((0.5, 2.0), x.reshape(50, 50), T.reshape(50, 50), 3.0).shape == (50, 50)


def test_what_no_polynomial_fits_is_asked_for():
    def values(x, age):
        return np.where(x == 2, np.abs(age - 20.0), np.where(x == 3, 0.0, np.where(x == 4, np.inf, age)))

    predict, asked = counting(values)
    x, T = customers()
    np.testing.assert_allclose(predict((0.5, 2.0), x, T, 3.0), 3 * values(x, 2 + T), rtol=1e-10)
    assert asked[1] == np.isin(x, [2, 3, 4]).sum()


def test_where_interpolation_would_not_pay():
    predict, asked = counting(lambda x, age: (1 + x) / age)
    x, T = customers()
    for params, customer, age, scale in [
        ((0.5, 2.0), x[:900], T[:900], 3.0),  # few customers
        ((0.5, 2.0), np.arange(2500.0), T, 3.0),  # few who share an x
        ((0.5, np.full(2500, 2.0)), x, T, 3.0),  # parameters of their own
        ((0.5, 2.0), x, T, np.full(2500, 3.0)),
        ((0.5, 2.0), x, 9.0, 3.0),
    ]:
        found = predict(params, customer, age, scale)
        np.testing.assert_array_equal(found, scale * ((1 + customer) / (params[1] + age)))
        assert asked.pop() == len(customer)
