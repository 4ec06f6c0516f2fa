import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad

import handmade
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.valuation.cell_values import predict, time_alive
from loyalty.clv.valuation.terms import Terms

CELLS = Cells(*np.array([[0, 0, 0.5], [0, 0, 40], [3, 20, 30], [200, 51, 52]], dtype=float).T, np.ones(4))


@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD", "MBGNBD", "NBD"])
@pytest.mark.parametrize(
    ("horizon", "rate"), [(52.0, 0.002), (52.0, 1.0), (0.1, 0.002), (math.inf, 0.002), (52.0, -0.01)]
)
def test_discounted_time_alive(name, horizon, rate):
    fit = handmade.purchases(name)
    found = time_alive(fit, horizon, rate)(fit.values, CELLS.x, CELLS.T)
    for place in range(len(CELLS)):
        x, T = CELLS.x[place], CELLS.T[place]
        ends = [0.0, *(end for end in (0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4) if end < horizon), min(horizon, 4e4)]
        pieces = [
            quad(lambda v: math.exp(-rate * v) * float(fit.kernel.survival(fit.values, x, T, v)), a, b, epsrel=1e-11)[0]  # noqa: B023
            for a, b in itertools.pairwise(ends)
        ]
        assert found[place] == pytest.approx(sum(pieces), rel=1e-8)


@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD"])
def test_small_parameters(name):
    """Everything happens within hours: survival falls where the first nodes lie."""
    small = {"ParetoNBD": {"beta": 0.01, "s": 0.8}, "BGNBD": {"alpha": 0.01, "a": 2.0, "b": 0.5}}[name]
    fit = handmade.purchases(name, **small)
    found = float(time_alive(fit, 52.0, 0.002)(fit.values, 2.0, 0.03))
    ends = [0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 52.0]
    pieces = [
        quad(lambda v: math.exp(-0.002 * v) * float(fit.kernel.survival(fit.values, 2.0, 0.03, v)), a, b, epsrel=1e-11)[
            0
        ]
        for a, b in itertools.pairwise(ends)
    ]
    assert found == pytest.approx(sum(pieces), rel=1e-8)


def test_who_is_as_good_as_gone_has_a_value_if_alive():
    faint = Cells(np.array([4000.0, 2.0]), np.array([30.0, 20.0]), np.array([300.0, 30.0]), np.ones(2))
    fit = handmade.purchases()
    told = predict(fit, faint, Terms())
    assert told.p_alive[0] < 1e-200
    expected = fit.kernel.purchases(fit.values, faint.x, faint.T, 365 / 7, fit.discount_rate(0.1))
    np.testing.assert_allclose(told.if_alive, expected, rtol=1e-12)
    assert np.isfinite(told.gradient).all()
