from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import handmade
import loyalty as ly
import sources
from loyalty.clv.valuation.value import CLVModel


def models(name="ParetoNBD", unit="week"):
    return CLVModel(purchases=handmade.purchases(name, unit=unit), spend=handmade.spend())


def group(purchases):
    return "1" if purchases == 1 else "2–3" if purchases < 4 else "4–9" if purchases < 10 else "10+"


def naive(customers, days_per_unit, width):
    """Return {(purchases, first day): (customers, mean P(alive))}, customer by customer."""
    found = defaultdict(list)
    for row in sources.as_pandas(customers).to_dict("records"):
        days = int((row["age"] - row["recency"]) * days_per_unit + 1e-6)
        found[group(row["frequency"] + 1), days // width * width].append(row["p_alive"])
    return {key: (len(alive), sum(alive) / len(alive)) for key, alive in found.items()}


@pytest.mark.parametrize(
    ("name", "unit", "days"), [("ParetoNBD", "week", 7), ("BGNBD", "day", 1), ("MBGNBD", "month", 365.25 / 12)]
)
def test_cdnow_agrees_with_a_loop_over_customers(name, unit, days):
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        value = models(name, unit).score(tx)
        table = value.alive_by_recency()
        expected = naive(value.customers, days, 14)
    found = {(row["purchases"], row["days_from"]): (row["customers"], row["p_alive"]) for row in table}
    assert found.keys() == expected.keys()
    for key, (people, alive) in expected.items():
        assert found[key] == (people, pytest.approx(alive, rel=1e-9))
    assert {row["days_to"] - row["days_from"] for row in table} == {13}
    assert sum(table["customers"]) == 2357
    order = ["1", "2–3", "4–9", "10+"]
    places = [(order.index(row["purchases"]), row["days_from"]) for row in table]
    assert places == sorted(places)
    assert bool(table.note) == (name == "BGNBD")
    assert (table.chart, table.units) == ("alive_by_recency", {"p_alive": "share"})
    assert "2,357 customers by days since their last purchase, in steps of 14 days" in str(table)


@sources.every
def test_every_source_gives_the_same(source, tmp_path):
    log = ly.datasets.cdnow_sample().head(600)
    with ly.transactions(log) as tx:
        expected = models().score(tx).alive_by_recency().data.to_pydict()
    with sources.opened(source, log, tmp_path) as tx:
        assert sources.same(models().score(tx).alive_by_recency().data.to_pydict(), expected)


@pytest.mark.parametrize(("weeks", "width"), [(0, 1), (4, 1), (5, 2), (29, 7), (100, 28), (1000, 364), (1600, 728)])
def test_there_are_few_bars_however_long_the_log(weeks, width):
    frame = pd.DataFrame({"id": [1, 2], "frequency": [0, 2], "recency": [0.0, 0.0], "T": [weeks, weeks], "spend": 0.0})
    table = models().score(handmade.people(frame)).alive_by_recency()
    assert {row["days_to"] - row["days_from"] + 1 for row in table} == {width}
    for row in table:
        assert row["days_from"] <= weeks * 7 <= row["days_to"]
    assert weeks * 7 // width < 30


def test_groups_by_purchases_and_weights_by_hand():
    times = {"recency": 1.0, "T": 10.0, "spend": 5.0}
    frame = pd.DataFrame({"id": range(6), "frequency": [1, 2, 3, 8, 9, 50], "weight": [1, 2, 3, 4, 5, 6.5], **times})
    value = models("NBD").score(handmade.people(frame, weight="weight"))
    table = value.alive_by_recency()
    assert table["purchases"] == ["2–3", "4–9", "10+"]
    assert table["customers"] == [3.0, 7.0, 11.5]
    assert table["p_alive"] == [1.0, 1.0, 1.0]
    value = models().score(handmade.people(frame, weight="weight"))
    alive = value.customers.set_index("id")["p_alive"]
    assert value.alive_by_recency()["p_alive"][0] == pytest.approx(np.average(alive[[0, 1]], weights=[1, 2]))


def test_weeks_of_two_decimals_are_whole_days():
    """271 days are 38.714285… weeks; of 38.71 floor would make 270."""
    days = np.arange(1, 280)
    frame = pd.DataFrame({"id": days, "frequency": 1, "recency": 0.14, "T": np.round(days / 7, 2) + 0.14, "spend": 5.0})
    table = models().score(handmade.people(frame)).alive_by_recency()
    for row in table:
        there = (days >= row["days_from"]) & (days <= row["days_to"])
        assert row["customers"] == there.sum()


def test_shuffled_rows_are_drawn_alike():
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        table = models().score(tx).alive_by_recency()
    order = np.random.default_rng(1).permutation(len(table))
    first, second = table.plot(), replace(table, data=table.data.take(order)).plot()
    for one, other in zip(first.lines, second.lines, strict=True):
        assert one.get_color() == other.get_color()
        assert list(one.get_xdata()) == sorted(one.get_xdata())
        assert list(one.get_ydata()) == list(other.get_ydata())
