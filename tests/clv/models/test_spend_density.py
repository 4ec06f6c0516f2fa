"""Customers by mean spend: numpy's histogram, integrals of the density of note 025, and simulated customers."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import integrate, special

from fitted import spend
from loyalty import datasets
from loyalty.clv.models.spend import GammaGamma
from loyalty.clv.summaries import spend_cells
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.errors import EmptyData, InvalidArgument
from loyalty.transactions import transactions

PARAMS = (6.25, 3.74, 15.44)


def summary_of(x, mean, weight=None, frame=pd.DataFrame):
    x = np.asarray(x, dtype=float)
    columns = {"frequency": x, "recency": np.where(x > 0, 2.0, 0.0), "T": np.full(len(x), 9.0),
               "spend": np.asarray(mean, dtype=float)}  # fmt: skip
    named = {} if weight is None else {"weight": "size"}
    columns |= {} if weight is None else {"size": np.asarray(weight, dtype=float)}
    return CustomerSummary.of(frame(columns), unit="week", monetary_value="spend", **named)


def of_note_025(x, z):
    """The marginal density of the mean z of x purchases: Fader & Hardie, note 025, eq. 1a."""
    p, q, gamma = PARAMS
    front = 1.0 / (z * special.beta(p * x, q))
    return front * (gamma / (gamma + x * z)) ** q * (x * z / (gamma + x * z)) ** (p * x)


def drawn(size, rng):
    """Customers as the model has them: each with their own rate, and the sum of x Gamma(p) purchases."""
    p, q, gamma = PARAMS
    x = rng.integers(1, 12, size)
    return x, rng.gamma(p * x) / (x * rng.gamma(q, 1.0 / gamma, size))


@pytest.fixture(scope="module")
def cdnow():
    return summarize(transactions(datasets.cdnow_sample(), observed_until="1997-09-30"))


def test_bars_are_a_histogram_of_the_customers(cdnow):
    table = GammaGamma().fit(cdnow).density(cdnow)
    frame = cdnow.to_native()
    mean = frame[frame["frequency"] > 0]["monetary_value"].to_numpy()
    edges = np.array([*table["from"], table["to"][-1]])
    np.testing.assert_array_equal(table["customers"], np.histogram(mean, edges)[0])
    assert sum(table["customers"]) == 946
    assert table["from"][1:] == table["to"][:-1]
    np.testing.assert_allclose(np.diff(np.log(edges)), math.log(edges[1] / edges[0]), rtol=1e-9)
    assert 25 <= len(table) <= 60


def test_what_is_expected_is_the_integral_of_the_published_density():
    x, mean = [1, 1, 2, 2, 2, 7, 30, 0], [4.0, 90.0, 12.0, 60.0, 33.0, 20.0, 55.0, 0.0]
    table = spend(*PARAMS).density(summary_of(x, mean))
    for row in list(table)[::6]:
        each = [integrate.quad(lambda z, n=n: of_note_025(n, z), row["from"], row["to"])[0] for n in x if n]
        assert row["expected"] == pytest.approx(sum(each), rel=1e-8)
        middle = math.sqrt(row["from"] * row["to"])
        assert row["density"] == pytest.approx(np.mean([of_note_025(n, middle) for n in x if n]), rel=1e-9)


def test_densities_and_expectations_add_up_to_the_customers():
    table = spend(*PARAMS).density(summary_of([1, 3, 8, 1], [1e-3, 1e5, 30.0, 40.0]))
    assert sum(table["expected"]) == pytest.approx(4.0, rel=1e-3)
    middle = np.sqrt(np.array(table["from"]) * table["to"])
    step = math.log(table["to"][0] / table["from"][0])
    assert np.sum(np.array(table["density"]) * middle) * step == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("size", [9_000, 300_000])
def test_simulated_customers_are_as_many(size):
    """Within five standard errors; of more than 10,000 customers the engine counts."""
    x, mean = drawn(size, np.random.default_rng(7))
    summary = summary_of(x, mean)
    assert summary.spend_cells.exact == (size < 10_000)
    table = spend(*PARAMS).density(summary)
    counted, expected = np.array(table["customers"]), np.array(table["expected"])
    edges = np.array([*table["from"], table["to"][-1]])
    np.testing.assert_array_equal(counted, np.histogram(mean, edges)[0])
    assert counted.sum() == size
    assert (np.abs(counted - expected) < 5.0 * np.sqrt(np.maximum(expected, 1.0))).all()


def test_the_engine_and_the_cells_count_alike(monkeypatch):
    rng = np.random.default_rng(2)
    x, mean = drawn(4000, rng)
    mean[:500] = 10.0 ** rng.integers(0, 3, 500)  # on edges of bars
    weight = rng.integers(1, 5, 4000)
    plain = list(spend(*PARAMS).density(summary_of(x, mean, weight)))
    monkeypatch.setattr(spend_cells, "MOST_PAIRS", 100)
    for frame in (pd.DataFrame, pl.DataFrame):
        counted = spend(*PARAMS).density(summary_of(x, mean, weight, frame))
        assert counted["customers"] == [row["customers"] for row in plain]
        np.testing.assert_allclose(counted["expected"], [row["expected"] for row in plain], rtol=1e-9)
    assert isinstance(counted.to_native(), pl.DataFrame)


def test_a_round_sum_opens_its_bar():
    table = spend(*PARAMS).density(summary_of([1, 1, 1, 1], [1.0, 10.0, 100.0, 1000.0]))
    starts = {round(row["from"], 9): row["customers"] for row in table if row["customers"]}
    assert starts == {1.0: 1.0, 10.0: 1.0, 100.0: 1.0, 1000.0: 1.0}


@pytest.mark.parametrize("mean", [[20.0, 20.0], [20.0, 20.0 * (1 + 1e-12)], [1e-9, 1e12], [0.37, 0.371]])
def test_odd_ranges_have_bars(mean):
    table = spend(*PARAMS).density(summary_of([1, 2], mean))
    assert sum(table["customers"]) == 2.0
    assert 1 <= len(table) <= 110
    assert table["from"][0] <= min(mean) <= max(mean) * (1 + 1e-9) <= table["to"][-1] * (1 + 1e-8)
    assert max(table["to"]) / min(table["from"]) > 1.0001


def test_those_left_out_are_said():
    table = spend(*PARAMS).density(summary_of([1, 2, 2, 0], [20.0, 50.0, -5.0, 0.0]))
    assert sum(table["customers"]) == 2.0
    assert table.note == "left out: 1 customer whose repeat purchases cost nothing or less"
    assert "2 customers with a repeat purchase spent between 20.00 and 50.00 on average" in str(table)


def test_what_cannot_be_drawn():
    with pytest.raises(EmptyData, match="nothing to draw"):
        spend(*PARAMS).density(summary_of([0, 1], [0.0, -3.0]))
    with pytest.raises(InvalidArgument, match="no customer summary"):
        spend(*PARAMS).density([1, 2])
    plain = CustomerSummary.of(pd.DataFrame({"frequency": [1], "recency": [1], "T": [2]}), unit="week")
    with pytest.raises(InvalidArgument, match="no spend"):
        spend(*PARAMS).density(plain)


def test_the_far_end_keeps_its_digits():
    """Beyond 1e9 the model expects next to nobody; 1 less a share of 1 − 1e-17 would be nobody."""
    table = spend(6.25, 3.74, 15.44).density(summary_of([1, 1], [20.0, 1e9]))
    row = list(table)[-3]
    exact = integrate.quad(lambda log: of_note_025(1, math.exp(log)) * math.exp(log), math.log(row["from"]),
                           math.log(row["to"]), epsabs=0.0)[0]  # fmt: skip
    assert 0.0 < row["expected"] == pytest.approx(2.0 * exact, rel=1e-9)
