"""How customers differ: densities of scipy.stats, and that a curve holds nearly everybody."""

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from fitted import discrete, lifetime, spend
from loyalty.clv.models import drawing
from loyalty.clv.models.contractual import BDW, SBG
from loyalty.clv.summaries.counts import survival_counts

# What each model says of its customers, by its paper, as distributions of scipy.
LAWS = {
    "BGNBD": ((0.2426, 4.414, 0.7929, 2.426), [
        ("purchase rate (per week)", stats.gamma(0.2426, scale=1 / 4.414)),
        ("chance of dropping out after each repeat purchase", stats.beta(0.7929, 2.426)),
    ]),
    "MBGNBD": ((2.5, 6.183, 3.0, 9.0), [
        ("purchase rate (per week)", stats.gamma(2.5, scale=1 / 6.183)),
        ("chance of dropping out after each purchase", stats.beta(3.0, 9.0)),
    ]),
    "ParetoNBD": ((0.5533, 10.578, 0.6062, 11.669), [
        ("purchase rate (per week)", stats.gamma(0.5533, scale=1 / 10.578)),
        ("dropout rate (per week)", stats.gamma(0.6062, scale=1 / 11.669)),
    ]),
    "GGomNBD": ((1.0, 10.5, 0.6, 0.02, 0.3), [
        ("purchase rate (per week)", stats.gamma(1.0, scale=1 / 10.5)),
        ("dropout rate at first (per week)", stats.gamma(0.6, scale=0.02 / 0.3)),
    ]),
    "NBD": ((0.3848, 12.07), [("purchase rate (per week)", stats.gamma(0.3848, scale=1 / 12.07))]),
}  # fmt: skip


def curves(table):
    """Return value, density and share of each rate."""
    rates = np.array(table["rate"])
    return {name: [np.array(table[part])[rates == name] for part in ("value", "density", "share")]
            for name in dict.fromkeys(table["rate"])}  # fmt: skip


def check(table, laws):
    """Compare curves with distributions: at each value, and that they hold nearly everybody."""
    found = curves(table)
    assert list(found) == [name for name, _ in laws]
    for (value, density, share), (name, law) in zip(found.values(), laws, strict=True):
        np.testing.assert_allclose(density, law.pdf(value), rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(share, law.cdf(value), rtol=1e-9, atol=1e-14, err_msg=name)
        assert np.isfinite(density).all()
        assert len(value) > 190
        assert share[-1] >= 0.97
        np.testing.assert_allclose(np.diff(value), value[1] - value[0], rtol=1e-6)


@pytest.mark.parametrize("model", LAWS)
def test_curves_are_the_densities_of_the_paper(model):
    params, laws = LAWS[model]
    check(lifetime(model, *params).heterogeneity(), laws)


@pytest.mark.parametrize("model", LAWS)
def test_a_density_has_the_area_of_its_shares(model):
    for value, density, share in curves(lifetime(model, *LAWS[model][0]).heterogeneity()).values():
        inner = slice(20, None)  # away from where it may be infinite
        area = np.trapezoid(density[inner], value[inner])
        assert area == pytest.approx(share[-1] - share[inner][0], rel=2e-3)


def test_the_danger_of_a_gompertz_customer_at_first():
    """A customer's own survival is exp(−η(exp(bτ) − 1)), its hazard at 0 is η·b: drawn, and averaged."""
    params = {"r": 1.0, "alpha": 1.0, "s": 3.0, "b": 0.4, "beta": 2.0}
    value, density, _ = curves(lifetime("GGomNBD", *params.values()).heterogeneity())[
        "dropout rate at first (per week)"
    ]
    lived = quad(lambda t: survival_of_all(params, t), 0, math.inf)[0]
    rates = np.random.default_rng(3).gamma(params["s"], params["b"] / params["beta"], 4000)
    own = [quad(lambda t, h=h: math.exp(-h / 0.4 * math.expm1(min(0.4 * t, 600.0))), 0, 60)[0] for h in rates[:400]]
    assert np.mean(own) == pytest.approx(lived, rel=0.1)
    cut = rates <= value[-1]
    counts, edges = np.histogram(rates[cut], bins=10, range=(value[0], value[-1]))
    expected = [np.trapezoid(density[(value >= a) & (value <= b)], value[(value >= a) & (value <= b)])
                for a, b in itertools.pairwise(edges)]  # fmt: skip
    assert stats.chisquare(counts, np.array(expected) / np.sum(expected) * counts.sum()).pvalue > 1e-3


def survival_of_all(params, t):
    """Return the share of customers alive at t, by the paper."""
    return (params["beta"] / (params["beta"] + math.expm1(min(params["b"] * t, 600.0)))) ** params["s"]


def test_drawn_customers_buy_at_such_rates():
    """Purchases drawn from the model, of customers who never leave: the share with none is E[exp(−rate·T)]."""
    value, density, _ = curves(lifetime("NBD", 2.0, 8.0).heterogeneity())["purchase rate (per week)"]
    x, _ = drawing.draw("NBD", {"r": 2.0, "alpha": 8.0}, np.full(20_000, 5.0), np.random.default_rng(1))
    none = np.trapezoid(density * np.exp(-5.0 * value), value)
    assert np.mean(x == 0) == pytest.approx(none, abs=0.015)


def test_bgbb_has_two_chances():
    fit = discrete(1.2, 0.75, 0.66, 2.78, unit="quarter")
    laws = [("chance of buying in a quarter", stats.beta(1.2, 0.75)),
            ("chance of dropping out before a quarter", stats.beta(0.66, 2.78))]  # fmt: skip
    check(fit.heterogeneity(), laws)


@pytest.mark.parametrize(("model", "name"), [(SBG, "chance of leaving at each renewal"),
                                             (BDW, "chance of leaving at the first renewal")])  # fmt: skip
def test_renewals_have_one_chance(model, name):
    fit = model().fit(survival_counts(survivors=[1000, 631, 468, 382, 326, 289, 262, 241]))
    table = fit.heterogeneity()
    check(table, [(name, stats.beta(fit.params["alpha"], fit.params["beta"]))])
    assert fit.churn_probability(0) == pytest.approx(stats.beta(fit.params["alpha"], fit.params["beta"]).mean())


def test_mean_spend_is_an_inverse_gamma():
    fit = spend(6.25, 3.74, 15.44)
    check(fit.heterogeneity(), [("mean spend per purchase (money)", stats.invgamma(3.74, scale=6.25 * 15.44))])
    assert f"mean {fit.population_mean:.3g}" in fit.heterogeneity().sentence


def test_infinite_densities_are_left_out():
    """Beta(½, ½) is infinite at both ends, Beta(1, 1) nowhere."""
    value, density, _ = curves(lifetime("BGNBD", 1.0, 2.0, 0.5, 0.5).heterogeneity())[LAWS["BGNBD"][1][1][0]]
    assert (value[0], value[-1]) == (pytest.approx(0.005), pytest.approx(0.995))
    assert np.isfinite(density).all()
    value, density, _ = curves(lifetime("BGNBD", 1.0, 2.0, 1.0, 1.0).heterogeneity())[LAWS["BGNBD"][1][1][0]]
    assert (value[0], value[-1]) == (0.0, 1.0)
    np.testing.assert_allclose(density, 1.0)


def test_customers_who_are_all_alike_have_a_curve_of_their_own_width():
    value, density, share = curves(lifetime("NBD", 1e6, 2e6).heterogeneity())["purchase rate (per week)"]
    assert 0.49 < value[0] < 0.5 < value[-1] < 0.51
    assert np.trapezoid(density, value) == pytest.approx(share[-1] - share[0], rel=1e-3)
    assert share[-1] - share[0] > 0.99


def test_a_rate_that_is_next_to_nothing_has_no_curve_but_a_note():
    table = lifetime("BGNBD", 1.0, 2.0, 1e-6, 1.0).heterogeneity()
    assert set(table["rate"]) == {"purchase rate (per week)"}
    assert "next to all customers have 0" in table.note
    nothing = lifetime("NBD", 1e-9, 1.0).heterogeneity()
    assert len(nothing) == 0
    assert nothing.plot().texts[0].get_text().replace("\n", " ") == nothing.note


SIZES = st.floats(-6.0, 6.0).map(lambda power: 10.0**power)


@given(SIZES, SIZES, SIZES, SIZES)
def test_no_parameters_give_nonsense(r, alpha, a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = lifetime("BGNBD", r, alpha, a, b).heterogeneity()
    for value, density, share in curves(table).values():
        assert np.isfinite(value).all()
        assert np.isfinite(density).all()
        assert (density >= 0.0).all()
        assert (np.diff(value) > 0.0).all()
        assert (np.diff(share) >= -1e-12).all()


def test_words():
    table = lifetime("ParetoNBD", 0.5533, 10.578, 0.6062, 11.669, unit="day").heterogeneity()
    assert table.sentence == (
        "Purchase rate (per day): mean 0.0523, half of the customers below 0.0259. "
        "Dropout rate (per day): mean 0.0519, half of the customers below 0.0275."
    )


@pytest.mark.parametrize("q", [0.1, 0.3, 0.5, 0.7, 0.85, 1.05, 1.5])
def test_the_peak_of_mean_spend_is_drawn(q):
    table, law = spend(6.25, q, 15.44).heterogeneity(), stats.invgamma(q, scale=6.25 * 15.44)
    assert max(table["density"]) == pytest.approx(law.pdf(6.25 * 15.44 / (q + 1.0)), rel=1e-6)
    np.testing.assert_allclose(table["density"], law.pdf(table["value"]), rtol=1e-9, atol=1e-300)
    assert (np.diff(table["value"]) > 0.0).all()
    assert table["value"][-1] < 31.0 * law.median()  # the rest is to be seen
    assert table["share"][-1] >= 0.59


@pytest.mark.parametrize("r", [1.001, 1.02, 1.3])
def test_the_peak_of_rates_is_drawn(r):
    table = lifetime("NBD", r, 2.0).heterogeneity()
    assert max(table["density"]) == pytest.approx(stats.gamma(r, scale=0.5).pdf((r - 1.0) / 2.0), rel=1e-3)


@pytest.mark.parametrize("q", [1e-4, 0.003, 0.005, 0.02])
def test_spend_that_differs_without_bounds_has_no_curve(q):
    table = spend(6.25, q, 15.44).heterogeneity()
    assert len(table) == 0
    assert table.note == (
        "mean spend per purchase (money): customers differ by more than a picture can show, so that there is no curve "
        "to draw"
    )
    assert table.plot().texts[0].get_text().replace("\n", " ") == table.note


def test_rates_that_are_all_but_the_same_have_no_curve():
    table = lifetime("BGNBD", 1.0, 2.0, 1e14, 3e14).heterogeneity()
    assert set(table["rate"]) == {"purchase rate (per week)"}
    assert "next to all customers have 0.25, so that there is no curve" in table.note


def test_what_a_fit_leaves_open_is_said():
    fit = lifetime("NBD", 1.0, 2.0)
    told = dataclasses.replace(fit, status="ridge", notes=("Only r/alpha is known.",)).heterogeneity()
    assert told.note == "Only r/alpha is known"
    assert "Note: Only r/alpha is known." in told.plot().texts[0].get_text().replace("\n", " ")
    assert dataclasses.replace(fit, notes=("Something.",)).heterogeneity().note == ""
