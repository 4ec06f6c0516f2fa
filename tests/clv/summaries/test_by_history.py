"""Customers counted by frequency and recency: pandas counts them too, however many and however odd they are."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifetime_data import cdnow_rows
from loyalty import datasets
from loyalty.clv.summaries.opportunities import Opportunities
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.transactions import transactions


def summary_of(x, t_x, weight=None, unit="week", frame=pd.DataFrame):
    columns = {"frequency": x, "recency": t_x, "T": [max([*t_x, 1.0])] * len(x)}
    columns |= {} if weight is None else {"size": weight}
    return CustomerSummary.of(frame(columns), unit=unit, weight=None if weight is None else "size")


def naive(table, x, t_x, weight=None):
    """Count the customers of every class of a table, and those of none."""
    weight = np.ones(len(x)) if weight is None else np.asarray(weight, float)
    x, t_x = np.asarray(x, float), np.asarray(t_x, float)
    whole = table.data.schema.field("recency_from").type == "int64"
    taken, found = np.zeros(len(x)), []
    for row in table:
        here = (x >= row["frequency_from"]) & (x <= row["frequency_to"]) & (t_x >= row["recency_from"] - 1e-9)
        here &= t_x <= row["recency_to"] if whole else t_x < row["recency_to"] - 1e-9
        taken += here
        found.append(weight[here].sum())
    assert (taken == 1).all()
    return found


def test_the_sample_of_cdnow():
    summary = summarize(transactions(datasets.cdnow_sample(), observed_until="1997-09-30"))
    x, t_x, _ = cdnow_rows()
    table = summary.by_history()
    assert table["customers"] == naive(table, x, t_x)
    assert sum(table["customers"]) == 2357
    one_time = next(row for row in table if row["frequency_from"] == 0)
    assert (one_time["frequency_to"], one_time["recency_from"], one_time["customers"]) == (0, 0.0, 1411)
    assert len(set(table["recency_from"])) <= 31
    assert "the last column holds 26 to 29 purchases" in table.definition
    assert summary.plot().get_title() == "Customers by frequency and recency"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 400), st.floats(0.01, 2000.0)), min_size=1, max_size=40), st.booleans())
def test_everybody_is_counted_once(customers, rounded):
    x = [count for count, _ in customers]
    t_x = [(float(np.ceil(time)) if rounded else time) if count else 0.0 for count, time in customers]
    table = summary_of(x, t_x).by_history()
    assert table["customers"] == naive(table, x, t_x)
    assert len(set(table["frequency_from"])) <= 31
    assert len(set(table["recency_from"])) <= 31
    assert not rounded or table.data.schema.field("recency_to").type == "int64"


def test_weights_are_customers():
    table = summary_of([0, 1, 1], [0.0, 2.5, 2.6], [100.0, 2.0, 0.5]).by_history()
    assert sum(table["customers"]) == 102.5


def test_opportunities_are_whole():
    frame = pd.DataFrame({"frequency": [0, 1, 1, 3], "recency": [0, 1, 3, 3], "opportunities": 3, "n": [5, 2, 3, 1]})
    table = Opportunities.of(frame, period="month", weight="n").by_history()
    rows = [(row["frequency_from"], row["frequency_to"], row["recency_from"], row["recency_to"]) for row in table]
    assert rows == [(0, 0, 0, 0), (1, 1, 1, 1), (1, 1, 3, 3), (3, 3, 3, 3)]
    assert table["customers"] == [5.0, 2.0, 3.0, 1.0]
    assert table.units["recency_from"] == "months"
    assert isinstance(Opportunities.of(pl.from_pandas(frame), period="month").by_history().to_native(), pl.DataFrame)


def test_nobody_bought_again():
    table = summary_of([0, 0], [0.0, 0.0]).by_history()
    assert list(table) == [
        {"frequency_from": 0, "frequency_to": 0, "recency_from": 0, "recency_to": 0, "customers": 2.0}
    ]
    assert table.plot().images[0].get_array().compressed().tolist() == [2.0]


@pytest.mark.parametrize("heavy", [60, 5000])
def test_a_few_heavy_buyers_do_not_stretch_the_axis(heavy):
    x, t_x = [*[1, 2, 3] * 1000, heavy], [*[4.0] * 3000, 5.0]
    table = summary_of(x, t_x).by_history()
    assert sorted(set(table["frequency_from"])) == [1, 2, 3, 4]
    assert max(table["frequency_to"]) == heavy
    assert f"4 to {heavy:,} purchases" in table.definition


def test_a_last_class_of_one_frequency_is_as_wide_as_the_others():
    x = [*[0] * 30_000, *[count for count in range(1, 32) for _ in range(100)], 32]
    table = summary_of(x, [1.0 if count else 0.0 for count in x]).by_history()
    assert table["frequency_from"][-1] == 32
    assert min(row["frequency_to"] - row["frequency_from"] for row in table) == 1
    assert "the last column holds 32 to 32 purchases" in table.definition
    image = table.plot().images[0]
    assert image.get_extent()[:2] == [-0.5, 33.5]
    assert image.get_array().shape[1] == 17
