"""The parametric bootstrap: whether it sees dropout that is there, and none that is not."""

import dataclasses
import warnings

import numpy as np
import pytest

from loyalty.clv.models.bootstrap import parametric_bootstrap
from loyalty.clv.models.contractual import BDW, SBG
from loyalty.clv.models.drawing import draw
from loyalty.clv.models.lifetime import MODELS
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.summaries.counts import SurvivalCounts, survival_counts
from loyalty.errors import InvalidArgument, LoyaltyWarning

pytestmark = pytest.mark.filterwarnings("ignore::loyalty.errors.LoyaltyWarning")

PARETO = {"r": 1.0, "alpha": 4.0, "s": 1.0, "beta": 8.0}


def cells(model, params, n=120, seed=1):
    rng = np.random.default_rng(seed)
    T = rng.integers(20, 41, n).astype(float)
    return Cells.of(*draw(model, params, T, rng, step=1.0), T, step=1.0)


def both(smaller, larger, data):
    return tuple(MODELS[model]().fit(data, unit="week") for model in (smaller, larger))


def test_dropout_that_is_there():
    data = cells("ParetoNBD", PARETO)
    found = parametric_bootstrap(*both("NBD", "ParetoNBD", data), data, draws=19, seed=1)
    assert found.p_value == 1 / 20
    assert found.statistic > found.drawn[-1]
    assert (found.draws, found.failed, len(found.drawn)) == (19, 0, 19)
    assert str(found) == (
        f"ParetoNBD fits better by more than chance would than NBD: likelihood ratio {found.statistic:.3f}, reached by "
        "0 of 19 data sets drawn from the NBD: p 0.05."
    )


@pytest.mark.slow
def test_dropout_that_is_not():
    data = cells("NBD", PARETO, seed=2)
    small, large = both("NBD", "ParetoNBD", data)
    found, again, other = (parametric_bootstrap(small, large, data, draws=19, seed=seed) for seed in (1, 1, 2))
    assert found.p_value > 0.05
    assert "does not fit demonstrably better" in str(found)
    assert (found.drawn >= 0.0).all()
    assert (np.diff(found.drawn) >= 0.0).all()
    assert found.p_value == pytest.approx((1 + (found.drawn >= found.statistic).sum()) / 20)
    assert again.to_dict() == found.to_dict()
    assert (other.drawn != found.drawn).any()
    told = found.to_dict()
    assert told["sentence"] == str(found)
    assert len(told["drawn"]) == 19


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


@pytest.mark.slow
def test_fits_at_the_boundary_do_not_warn_from_inside():
    data = cells("NBD", PARETO, seed=2)
    small, large = both("NBD", "ParetoNBD", data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LoyaltyWarning)
        parametric_bootstrap(small, large, data, draws=19, seed=3)


# ---------------------------------------------------------------------------------------------------------- contracts


def contracts(survivors):
    data = survival_counts(survivors=survivors)
    return SBG().fit(data), BDW().fit(data), data


def test_contracts_at_a_limit():
    """Everybody leaves with the same chance: both fits are at a boundary, where the χ² test sends its readers here."""
    found = parametric_bootstrap(*contracts([100, 50, 25, 12, 6]), draws=19, seed=1)
    assert (found.smaller, found.larger, found.draws + found.failed) == ("SBG", "BDW", 19)
    assert found.p_value > 0.05
    again = parametric_bootstrap(*contracts([100, 50, 25, 12, 6]), draws=19, seed=1)
    assert again.to_dict() == found.to_dict()


def test_a_chance_that_grows_is_seen():
    small, large, data = contracts([2000, 1800, 1300, 700, 250, 50])
    found = parametric_bootstrap(small, large, data, draws=19, seed=1)
    assert found.p_value == 0.05
    assert found.statistic == pytest.approx(2 * (large.log_likelihood - small.log_likelihood))


@pytest.mark.slow
def test_drawn_contracts_are_followed_as_the_real_ones(monkeypatch):
    """Means of the draws against numbers worked out by hand; joins and ends of observation as they were."""
    at_risk, lost = np.array([1000.0, 600.0, 700.0]), np.array([200.0, 100.0, 100.0])
    data = SurvivalCounts(at_risk=at_risk, lost=lost, customers=1200)
    small, large = SBG().fit(data), BDW().fit(data)
    fit, seen = SBG.fit, []

    def watched(self, drawn):
        seen.append((drawn.at_risk, drawn.lost))
        return fit(self, drawn)

    monkeypatch.setattr(SBG, "fit", watched)
    parametric_bootstrap(small, large, data, draws=100, seed=2)
    at_risk, lost = np.mean(seen, axis=0)
    chance = small.churn_probability([0, 1, 2])
    second = 1000 * (1 - chance[0]) * 600 / 800  # 800 stayed and 600 were followed further
    third = second * (1 - chance[1]) + 200  # 500 stayed, and 700 came to the third
    assert at_risk == pytest.approx([1000, second, third], rel=0.01)
    assert lost == pytest.approx(np.array([1000, second, third]) * chance, rel=0.04)


@pytest.mark.slow
def test_the_bootstrap_of_contracts_agrees_with_chi_squared():
    from loyalty.clv.models.nested import likelihood_ratio_test

    small, large, data = contracts([1000, 631, 468, 382, 326, 289, 262, 241])
    found = parametric_bootstrap(small, large, data, draws=199, seed=1)
    assert found.p_value == pytest.approx(likelihood_ratio_test(small, large).p_value, abs=0.1)


def test_contracts_that_do_not_belong_together():
    small, large, data = contracts([100, 60, 45, 36, 31])
    with pytest.raises(InvalidArgument, match="BDW is not a limit of SBG"):
        parametric_bootstrap(large, small, data, seed=1)
    for other in (
        survival_counts(survivors=[100, 60, 45, 36, 30]),
        survival_counts(survivors=[100, 60, 45, 36, 31], period="year"),
    ):
        with pytest.raises(InvalidArgument, match="of different customers"):
            parametric_bootstrap(small, large, other, seed=1)
    with pytest.raises(InvalidArgument, match="none of the survival counts"):
        parametric_bootstrap(small, large, cells("NBD", PARETO), seed=1)
    with pytest.raises(InvalidArgument, match="no customer summary"):
        parametric_bootstrap(*both("NBD", "ParetoNBD", cells("ParetoNBD", PARETO)), data, seed=1)
    with pytest.raises(InvalidArgument, match="no whole numbers"):
        parametric_bootstrap(*contracts([100.5, 60, 45, 36, 31]), seed=1)
