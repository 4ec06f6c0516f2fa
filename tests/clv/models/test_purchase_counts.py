"""Expected numbers of customers by purchases: lifetimes, simulated customers, counted histories, and polynomials."""

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest

from fitted import discrete, lifetime
from lifetime_data import FITTERS, cdnow_rows
from loyalty import datasets
from loyalty.clv.kernels import _bgbb
from loyalty.clv.models import purchase_counts
from loyalty.clv.models.drawing import draw
from loyalty.clv.models.lifetime import MODELS
from loyalty.clv.summaries.opportunities import Opportunities
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.errors import InvalidArgument
from loyalty.transactions import transactions

PARAMS = {
    "BGNBD": (0.2425945, 4.4136019, 0.7929199, 2.4258881),
    "MBGNBD": (0.525, 6.183, 0.891, 1.614),
    "ParetoNBD": (0.55315, 10.57633, 0.60625, 11.67150),
    "GGomNBD": (0.55, 10.5, 0.6, 0.02, 0.3),
    "NBD": (0.384766, 12.07202),
}
DONORS = (1.203528, 0.7497260, 0.6567808, 2.783796)


def summary_of(x, t_x, T, weight=None, unit="week"):
    frame = pd.DataFrame({"frequency": x, "recency": t_x, "T": T})
    if weight is not None:
        frame["weight"] = weight
    return CustomerSummary.of(frame, unit=unit, weight=None if weight is None else "weight")


@pytest.fixture(scope="module")
def cdnow():
    return summarize(transactions(datasets.cdnow_sample(), observed_until="1997-09-30"))


@pytest.fixture(params=PARAMS)
def fit(request):
    return lifetime(request.param, *PARAMS[request.param])


@pytest.mark.parametrize("model", ["BGNBD", "MBGNBD"])
def test_expected_customers_are_sums_of_the_probabilities_of_lifetimes(model, cdnow):
    theirs = FITTERS[model]()
    theirs.params_ = dict(zip(("r", "alpha", "a", "b"), PARAMS[model], strict=True))
    found = lifetime(model, *PARAMS[model]).purchase_counts(cdnow)["expected"][:-1]
    _, _, T = cdnow_rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [sum(theirs.probability_of_n_purchases_up_to_time(t, n) for t in T) for n in range(7)]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_counted_customers_are_those_of_the_log(cdnow):
    """1,411 of 2,357 have no repeat purchase (Fader, Hardie & Lee 2005)."""
    x, _, _ = cdnow_rows()
    table = MODELS["BGNBD"]().fit(cdnow).purchase_counts(cdnow)
    assert table["label"] == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    assert table["purchases"] == list(range(8))
    assert table["customers"] == [np.sum(x == n) for n in range(7)] + [np.sum(x >= 7)]
    assert table["customers"][0] == 1411
    assert sum(table["expected"]) == pytest.approx(2357, rel=1e-12)
    assert table["expected"][0] == pytest.approx(1411, abs=10)  # the fit is good there
    assert "1,411 made no repeat purchase" in str(table)


def test_simulated_customers_are_as_many(fit):
    """Half a million customers drawn from the model, each with their own time: within five standard errors."""
    size = 500_000
    T = np.random.default_rng(1).integers(1, 300, size) / 7.0
    x, t_x = draw(fit.model, fit.params, T, np.random.default_rng(2))
    table = fit.purchase_counts(summary_of(x, t_x, T), most=9)
    counted, expected = np.array(table["customers"]), np.array(table["expected"])
    assert counted.sum() == size
    assert expected.sum() == pytest.approx(size, rel=1e-12)
    assert (np.abs(counted - expected) < 5.0 * np.sqrt(expected)).all()


def test_every_number_is_the_sum_of_single_probabilities(fit):
    T = [0.0, 1.5, 3.0, 3.0, 40.0, 400.0]
    found = fit.purchase_counts(summary_of([0] * 6, [0.0] * 6, T), most=4)["expected"]
    new = {"frequency": 0, "recency": 0, "age": 0}
    kernel, born = fit.kernel, fit.p_alive(**new)
    for n in range(4):
        each = born * kernel.probability(fit.values, 0.0, 0.0, np.array(T), float(n)) + (1.0 - born) * (n == 0)
        assert found[n] == pytest.approx(each.sum(), rel=1e-12)
    weeks = fit.purchase_counts(summary_of([0], [0.0], [3.0]), most=4)["expected"]
    assert weeks[2] == pytest.approx(fit.purchase_probability(**new, count=2, horizon="21d"), rel=1e-12)


def test_very_many_ages_are_summed_by_polynomials(fit, monkeypatch):
    """The same sum to ten digits, and where a polynomial does not fit, age by age."""
    T = np.random.default_rng(4).uniform(0.0, 250.0, 3000)
    summary = summary_of(np.zeros(3000), np.zeros(3000), T)
    exact = fit.purchase_counts(summary, most=12)["expected"]
    monkeypatch.setattr(purchase_counts, "_FEW", 100)
    np.testing.assert_allclose(fit.purchase_counts(summary, most=12)["expected"], exact, atol=3000 * 2e-10)
    monkeypatch.setattr(purchase_counts, "_CLOSE", 0.0)
    np.testing.assert_allclose(fit.purchase_counts(summary, most=12)["expected"], exact, rtol=1e-12)


def test_polynomials_are_taken(monkeypatch):
    calls = []
    fit = lifetime("ParetoNBD", *PARAMS["ParetoNBD"])
    kernel = fit.kernel

    def counting(*args):
        calls.append(args[3].size)
        return kernel.probability(*args)

    monkeypatch.setitem(fit.__dict__, "kernel", dataclasses.replace(kernel, probability=counting))
    fit.purchase_counts(summary_of([0] * 5000, [0.0] * 5000, np.linspace(1.0, 60.0, 5000)))
    assert sum(calls) < 600


@pytest.mark.parametrize("beta", [1e-6, 1e-3])
def test_customers_who_leave_within_seconds(beta):
    """The probability bends at ages of β: what a polynomial would miss is found out."""
    fit = lifetime("ParetoNBD", 0.5, 10.0, 0.3, beta)
    T = np.concatenate([np.geomspace(1e-7, 1.0, 3000), np.linspace(1.1, 60.0, 3000)])
    found = fit.purchase_counts(summary_of(np.zeros(6000), np.zeros(6000), T))["expected"]
    each = fit.kernel.probability(fit.values, 0.0, 0.0, T[None, :], np.arange(7.0)[:, None])
    np.testing.assert_allclose(found[:-1], each.sum(axis=1), atol=6000 * 1e-9)


def test_weights_count(fit):
    x, t_x, T = [0, 1, 1, 3], [0.0, 2.0, 2.0, 9.0], [5.0, 8.0, 8.0, 9.0]
    plain = fit.purchase_counts(summary_of(x, t_x, T), most=2)
    weighted = fit.purchase_counts(summary_of([0, 1, 3], [0.0, 2.0, 9.0], [5.0, 8.0, 9.0], [1.0, 2.0, 1.0]), most=2)
    assert weighted["customers"] == plain["customers"] == [1.0, 2.0, 1.0]
    np.testing.assert_allclose(weighted["expected"], plain["expected"], rtol=1e-12)


def test_all_in_one_class_and_beyond(fit):
    table = fit.purchase_counts(summary_of([4, 9], [2.0, 3.0], [5.0, 5.0]), most=1)
    assert (table["label"], table["customers"]) == (["0", "1+"], [0.0, 2.0])


def test_arguments_that_cannot_be(fit, cdnow):
    with pytest.raises(InvalidArgument, match="most=0"):
        fit.purchase_counts(cdnow, most=0)
    with pytest.raises(InvalidArgument, match="counts time in days"):
        fit.purchase_counts(summary_of([0], [0.0], [5.0], unit="day"))
    with pytest.raises(InvalidArgument, match="list is no customer summary"):
        fit.purchase_counts([1, 2])


# ------------------------------------------------------------------------------------------------------- opportunities


def years_of(histories, weight):
    frame = pd.DataFrame(histories, columns=["frequency", "recency", "opportunities"]).assign(size=weight)
    return Opportunities.of(frame, period="year", weight="size")


@pytest.fixture(scope="module")
def donors():
    return discrete(*DONORS)


def histories_of(params, n):
    """Return P(X = x) for x = 0 … n, adding up the likelihoods of all histories of 0 and 1."""
    found = np.zeros(n + 1)
    for bought in itertools.product((0, 1), repeat=n):
        last = max((place + 1 for place, one in enumerate(bought) if one), default=0)
        found[sum(bought)] += math.exp(_bgbb.log_likelihood(params, np.array([sum(bought)]), [last], [n])[0])
    return found


def test_bgbb_expects_what_all_histories_add_up_to(donors):
    years = years_of([(0, 0, 3), (2, 3, 3), (1, 2, 6), (4, 6, 6)], [10.0, 5.0, 3.0, 2.0])
    table = donors.purchase_counts(years)
    three, six = (np.pad(histories_of(DONORS, n), (0, 6 - n)) for n in (3, 6))
    np.testing.assert_allclose(table["expected"], 15.0 * three + 5.0 * six, rtol=1e-10)
    assert (table["label"][-1], table["customers"]) == ("6", [10.0, 3.0, 5.0, 0.0, 2.0, 0.0, 0.0])
    assert donors.purchase_counts(years, most=2)["label"] == ["0", "1", "2+"]
    short = donors.purchase_counts(years, most=2)["expected"]
    np.testing.assert_allclose(short, [*table["expected"][:2], sum(table["expected"][2:])], rtol=1e-10)


def test_the_donors_of_the_paper(donors):
    """Fader, Hardie & Shang (2010): 11,104 donors with six years each; the expectation of their number is a sum."""
    table = donors.purchase_counts(years_of([(0, 0, 6)], [11_104.0]))
    assert sum(table["expected"]) == pytest.approx(11_104, rel=1e-12)
    given_years = sum(n * customers for n, customers in zip(table["purchases"], table["expected"], strict=True))
    mean = donors.expected_purchases(frequency=0, recency=0, opportunities=0, periods=6)
    assert given_years == pytest.approx(11_104 * mean, rel=1e-10)


def test_customers_without_an_opportunity_are_none_with_a_purchase(donors):
    table = donors.purchase_counts(years_of([(0, 0, 0), (1, 1, 2)], [7.0, 1.0]))
    assert table["expected"][0] == pytest.approx(7.0 + histories_of(DONORS, 2)[0], rel=1e-10)


def test_opportunities_of_another_period(donors):
    with pytest.raises(InvalidArgument, match="none of the opportunities"):
        donors.purchase_counts([1])
