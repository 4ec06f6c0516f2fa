"""The parametric bootstrap: whether it sees dropout that is there, and none that is not."""

import dataclasses
import warnings

import numpy as np
import pytest

from loyalty.clv.bootstrap import parametric_bootstrap
from loyalty.clv.cells import Cells
from loyalty.clv.drawing import draw
from loyalty.clv.lifetime import MODELS
from loyalty.errors import InvalidArgument, LoyaltyWarning

pytestmark = pytest.mark.filterwarnings("ignore::loyalty.errors.LoyaltyWarning")

PARETO = {"r": 1.0, "alpha": 4.0, "s": 1.0, "beta": 8.0}


def cells(model, params, n=200, seed=1):
    rng = np.random.default_rng(seed)
    T = rng.integers(20, 41, n).astype(float)
    return Cells.of(*draw(model, params, T, rng, step=1.0), T, step=1.0)


def both(smaller, larger, data):
    return tuple(MODELS[model]().fit(data, unit="week") for model in (smaller, larger))


def test_dropout_that_is_there():
    data = cells("ParetoNBD", PARETO)
    found = parametric_bootstrap(*both("NBD", "ParetoNBD", data), data, draws=39, seed=1)
    assert found.p_value == 1 / 40
    assert found.statistic > found.drawn[-1]
    assert (found.draws, found.failed, len(found.drawn)) == (39, 0, 39)
    assert str(found) == (
        f"ParetoNBD fits better by more than chance would than NBD: likelihood ratio {found.statistic:.3f}, reached by "
        "0 of 39 data sets drawn from the NBD: p 0.025."
    )


def test_dropout_that_is_not():
    data = cells("NBD", PARETO, seed=2)
    small, large = both("NBD", "ParetoNBD", data)
    found = parametric_bootstrap(small, large, data, draws=39, seed=1)
    assert found.p_value > 0.05
    assert "does not fit demonstrably better" in str(found)
    assert (found.drawn >= 0.0).all()
    assert (np.diff(found.drawn) >= 0.0).all()
    assert found.p_value == pytest.approx((1 + (found.drawn >= found.statistic).sum()) / 40)
    once, again, other = (parametric_bootstrap(small, large, data, draws=19, seed=seed) for seed in (3, 3, 4))
    assert again.to_dict() == once.to_dict()
    assert (other.drawn != once.drawn).any()
    told = found.to_dict()
    assert told["sentence"] == str(found)
    assert len(told["drawn"]) == 39


@pytest.mark.slow
def test_growing_danger_is_not_to_be_seen_in_a_pareto_nbd():
    data = cells("ParetoNBD", PARETO, n=150, seed=3)
    found = parametric_bootstrap(*both("ParetoNBD", "GGomNBD", data), data, draws=19, seed=1)
    assert found.p_value > 0.05


def test_weights_are_customers():
    data = cells("ParetoNBD", PARETO)
    double = dataclasses.replace(data, weight=2.0 * data.weight)
    single = parametric_bootstrap(*both("NBD", "BGNBD", data), data, draws=19, seed=1)
    found = parametric_bootstrap(*both("NBD", "BGNBD", double), double, draws=19, seed=1)
    assert found.statistic == pytest.approx(2 * single.statistic, rel=1e-6)
    halves = dataclasses.replace(data, weight=0.5 * data.weight)
    with pytest.raises(InvalidArgument, match="no whole numbers"):
        parametric_bootstrap(*both("NBD", "BGNBD", halves), halves, draws=19, seed=1)


def test_what_cannot_be_tested():
    data = cells("ParetoNBD", PARETO)
    small, large = both("NBD", "ParetoNBD", data)
    with pytest.raises(InvalidArgument, match="ParetoNBD is not a limit of NBD"):
        parametric_bootstrap(large, small, data, seed=1)
    with pytest.raises(InvalidArgument, match="Cells is no fit"):
        parametric_bootstrap(data, large, data, seed=1)
    with pytest.raises(InvalidArgument, match="of different customers"):
        parametric_bootstrap(small, large, cells("NBD", PARETO, n=100), seed=1)
    with pytest.raises(InvalidArgument, match="of different customers"):
        parametric_bootstrap(small, MODELS["ParetoNBD"]().fit(data, unit="day"), data, seed=1)
    with pytest.raises(InvalidArgument, match="penalised"):
        parametric_bootstrap(small, MODELS["ParetoNBD"](l2=0.1).fit(data, unit="week"), data, seed=1)
    with pytest.raises(InvalidArgument, match="draws=18"):
        parametric_bootstrap(small, large, data, draws=18, seed=1)
    with pytest.raises(InvalidArgument, match="seed"):
        parametric_bootstrap(small, large, data, seed=-1)
    with pytest.raises(InvalidArgument, match="list is no customer summary"):
        parametric_bootstrap(small, large, [1], seed=1)


def test_fits_at_the_boundary_do_not_warn_from_inside():
    data = cells("NBD", PARETO, seed=2)
    small, large = both("NBD", "ParetoNBD", data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LoyaltyWarning)
        parametric_bootstrap(small, large, data, draws=19, seed=3)
