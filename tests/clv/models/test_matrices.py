"""Matrices of frequency and recency: lifetimes' values where it has them, single predictions, and what cannot be."""

import dataclasses
import warnings

import numpy as np
import pytest

from fitted import discrete, lifetime
from lifetime_data import FITTERS, cdnow_cells, cdnow_rows
from loyalty import datasets
from loyalty.clv.models.discrete import BGBB
from loyalty.clv.models.lifetime import MODELS
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.summaries.summary import summarize
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


@pytest.fixture(scope="module")
def cdnow():
    return {name: model().fit(cdnow_cells(), unit="week") for name, model in MODELS.items() if name != "GGomNBD"}


@pytest.fixture(scope="module")
def monthly():
    cells = Cells.of([0, 1, 1, 2, 2, 3, 0], [0, 1, 3, 2, 3, 3, 0], [3] * 6 + [5], [60, 15, 7, 8, 10, 9, 5])
    return BGBB(l2=0.05).fit(cells, period="month")


@pytest.mark.parametrize("model", FITTERS)
def test_the_matrices_are_those_of_lifetimes(model):
    """Its matrices are of integer frequency and recency, at an age of the highest recency."""
    fit, theirs = lifetime(model, *PARAMS[model]), FITTERS[model]()
    theirs.params_ = dict(zip(theirs_names(model), PARAMS[model], strict=True))
    alive, bought = fit.alive_matrix(frequency=20, age=39), fit.purchase_matrix("52w", frequency=20, age=39)
    x, t_x, value = (np.array(alive[name]) for name in ("frequency", "recency", "value"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.array([theirs.conditional_probability_alive(x[i], t_x[i], 39) for i in range(len(x))]).ravel()
        purchases = theirs.conditional_expected_number_of_purchases_up_to_time(52, x, t_x, np.full(len(x), 39.0))
    np.testing.assert_allclose(value, expected, rtol=1e-8)
    np.testing.assert_allclose(bought["value"], purchases, rtol=1e-7)
    assert set(zip(x, t_x, strict=True)) == {(0, 0)} | {(k, t) for k in range(1, 21) for t in range(1, 40)}


def theirs_names(model):
    return {"ParetoNBD": ("r", "alpha", "s", "beta")}.get(model, ("r", "alpha", "a", "b"))


@pytest.mark.parametrize("model", PARAMS)
def test_every_value_is_the_prediction_of_such_a_customer(model):
    fit = lifetime(model, *PARAMS[model], unit="day")
    for row in fit.purchase_matrix("90d", frequency=3, age=4):
        one = {"frequency": row["frequency"], "recency": row["recency"], "age": 4.0}
        assert row["value"] == pytest.approx(fit.expected_purchases(**one, horizon="90d"), rel=1e-9)
    for row in fit.alive_matrix(frequency=3, age=0.5):
        one = {"frequency": row["frequency"], "recency": row["recency"], "age": 0.5}
        assert row["value"] == pytest.approx(fit.p_alive(**one), rel=1e-9)


def test_by_default_it_reaches_as_far_as_the_customers_did(cdnow):
    """At most one customer in a thousand (two of 2,357) bought more often than the last column says."""
    x, _, T = cdnow_rows()
    for fit in cdnow.values():
        table = fit.alive_matrix()
        most = max(table["frequency"])
        assert np.sum(x > most) <= 2 < np.sum(x > most - 1)
        assert max(table["recency"]) == 38.0
        assert "observed for 38.86 weeks" in table.definition
        assert fit.data["oldest"] == T.max()
        assert table.units == {"frequency": "purchases", "recency": "weeks", "value": "share"}


def test_customers_from_a_log_and_their_cells_are_remembered_alike(cdnow):
    summary = summarize(transactions(datasets.cdnow_sample(), observed_until="1997-09-30"))
    fit = MODELS["BGNBD"]().fit(summary)
    assert {name: fit.data[name] for name in ("high_frequency", "oldest")} == {
        name: cdnow["BGNBD"].data[name] for name in ("high_frequency", "oldest")
    }
    assert type(fit).from_dict(fit.to_dict()).alive_matrix()["value"] == fit.alive_matrix()["value"]


@pytest.mark.parametrize(("frequency", "age"), [(1, 0.02), (40, 40.0), (41, 41), (1000, 3650), (7, 1.5), (99_999, 1e6)])
def test_steps_are_round_and_at_most_forty(frequency, age):
    table = lifetime("BGNBD", *PARAMS["BGNBD"]).alive_matrix(frequency=frequency, age=age)
    for name, end in (("frequency", frequency), ("recency", age)):
        places = np.unique(table[name])
        step = places[1] - places[0]
        assert len(places) <= 41
        assert places[0] == 0.0
        np.testing.assert_allclose(np.diff(places), step, rtol=1e-9)
        assert f"{step:e}"[0] in "125"
        assert end - step < places[-1] <= end * (1 + 1e-9)
    assert all((x > 0) == (t > 0) for x, t in zip(table["frequency"], table["recency"], strict=True))


def test_the_donors_of_the_paper():
    """Fader, Hardie & Shang (2010): what donors of 22 histories are expected to give in ten years."""
    fit = discrete(*DONORS)
    table = {(row["frequency"], row["recency"]): row["value"] for row in fit.purchase_matrix(10, opportunities=6)}
    assert len(table) == 22  # as many as the paper has histories
    assert set(table) == {(0, 0)} | {(x, t) for t in range(1, 7) for x in range(1, t + 1)}
    assert table[0, 0] == pytest.approx(0.1302169, abs=1e-6)
    assert table[4, 5] == pytest.approx(3.627858, abs=1e-5)
    alive = {(row["frequency"], row["recency"]): row["value"] for row in fit.alive_matrix(opportunities=6)}
    for (x, t), share in alive.items():
        one = {"frequency": x, "recency": t, "opportunities": 6}
        assert share == pytest.approx(fit.p_alive(**one), rel=1e-12)
        assert table[x, t] == pytest.approx(fit.expected_purchases(**one, periods=10), rel=1e-12)


def test_opportunities_reach_as_far_as_anybody_had_them(monthly):
    assert max(monthly.alive_matrix()["recency"]) == 5
    assert max(monthly.alive_matrix(frequency=2)["frequency"]) == 2
    assert max(monthly.alive_matrix(opportunities=400)["frequency"]) == 400
    assert len(np.unique(monthly.alive_matrix(opportunities=400)["frequency"])) == 41


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"frequency": 0}, "frequency=0"),
        ({"frequency": 2.5}, "frequency=2.5"),
        ({"age": 0}, "age=0"),
        ({"age": -1.0}, "age=-1"),
        ({"age": float("nan")}, "age=nan"),
        ({"age": float("inf")}, "age=inf"),
        ({}, "frequency missing.*Pass frequency="),
        ({"frequency": 3}, "age missing.*Pass age="),
    ],
)
def test_arguments_that_cannot_be(given, words):
    fit = lifetime("BGNBD", *PARAMS["BGNBD"])
    for call in (fit.alive_matrix, lambda **named: fit.purchase_matrix("90d", **named)):
        with pytest.raises(InvalidArgument, match=words):
            call(**given)


def test_a_horizon_that_cannot_be(cdnow, monthly):
    with pytest.raises(InvalidArgument, match="horizon=90"):
        cdnow["BGNBD"].purchase_matrix(90)
    with pytest.raises(InvalidArgument, match="periods=0"):
        monthly.purchase_matrix(0)
    with pytest.raises(InvalidArgument, match="opportunities=0"):
        monthly.alive_matrix(opportunities=0)


def test_words(cdnow):
    table = cdnow["ParetoNBD"].purchase_matrix("365d", frequency=10, age=20)
    assert table.name == "expected purchases in the next 365 days, by ParetoNBD"
    assert str(table).endswith("the latter with 10 repeat purchases, the last one after 20 weeks.")
    assert table.plot().get_title().startswith("Expected purchases in the next 365 days")


def test_those_who_hardly_ever_buy_again_are_remembered():
    """One repeat purchase in two thousand customers: the first column but that of nobody is one purchase."""
    cells = Cells.of([0, 1], [0, 10], [39, 39], [1999, 1])
    fit = MODELS["NBD"](l2=0.05).fit(cells, unit="week")
    assert fit.data["high_frequency"] == 1.0
    assert max(fit.alive_matrix()["frequency"]) == 1
    old = dataclasses.replace(fit, data={**fit.data, "high_frequency": 0.0})  # as older releases stored it
    assert max(old.alive_matrix()["frequency"]) == 1
    with pytest.raises(InvalidArgument, match="does not remember"):
        dataclasses.replace(fit, data={"oldest": 39.0}).alive_matrix()


@pytest.mark.parametrize("age", [1e300, 2e6])
def test_ages_that_nobody_reaches_are_refused(age):
    with pytest.raises(InvalidArgument, match="up to 1,000,000, in weeks"):
        lifetime("BGNBD", *PARAMS["BGNBD"]).alive_matrix(age=age, frequency=3)


def test_who_is_alive_for_ever_is_said():
    notes = {model: lifetime(model, *params).alive_matrix(frequency=2, age=9).note for model, params in PARAMS.items()}
    assert "alive for certain, however long silent" in notes.pop("BGNBD")
    assert set(notes.values()) == {""}
    ax = lifetime("BGNBD", *PARAMS["BGNBD"]).alive_matrix(frequency=2, age=9).plot()
    assert any("alive for certain" in " ".join(text.get_text().split()) for text in ax.texts)
