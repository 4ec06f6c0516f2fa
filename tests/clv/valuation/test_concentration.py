import math

import numpy as np
import pandas as pd
import pytest

import handmade
import loyalty as ly
import sources
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.valuation.value import CLVModel
from loyalty.errors import InvalidArgument


def models(name="ParetoNBD"):
    return CLVModel(purchases=handmade.purchases(name), spend=handmade.spend())


def check(value):
    """Every point is that of the customers sorted one by one, and the top 30 % are among them."""
    table = value.concentration()
    worth = np.sort(sources.as_pandas(value.customers)["clv"].to_numpy())[::-1]
    upto = np.concatenate([[0.0], np.cumsum(worth)])
    customers = np.array(table["customers"])
    assert table["cumulative_value"] == pytest.approx(upto[customers] / upto[-1], rel=1e-9, abs=1e-12)
    assert table["cumulative_customers"] == pytest.approx(customers / len(worth), rel=1e-12)
    assert (np.diff(customers) > 0).all()
    assert (customers[0], customers[-1]) == (0, len(worth))
    top = math.ceil(0.3 * len(worth) - 1e-9)
    assert top in customers
    assert table["cumulative_value"][table["customers"].index(top)] == pytest.approx(value.top_share(0.30), rel=1e-9)
    assert len(table) < 200
    # What is not shown lies between neighbours that are: the curve nowhere strays from the shown one.
    everywhere = np.interp(np.arange(len(upto)), customers, upto[customers] / upto[-1])
    assert np.abs(everywhere - upto / upto[-1]).max() < 0.01
    return table


@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD", "NBD"])
def test_every_point_of_cdnow_is_exact(name):
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        table = check(models(name).score(tx))
    assert len(table) > 120
    assert table.note == ""
    assert str(table).startswith("The most valuable 30 % of customers (708 of 2,357) are expected to bring ")
    assert table.chart == "value_concentration"


def test_negative_values_count_and_are_said():
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        value = models().score(tx, service_cost=40.0)
        table = check(value)
        below = int((value.customers["clv"] < 0).sum())
    assert below > 100
    assert max(table["cumulative_value"]) > 1.0
    assert table.note == f"{below:,} customers have a negative value: they cost more than they bring"


def test_no_shares_where_the_total_is_not_above_nought():
    table = models().score(handmade.people(), service_cost=10_000.0).concentration()
    assert (len(table), table.data.column_names) == (0, ["customers", "cumulative_customers", "cumulative_value"])
    assert table.note.startswith("the value of 8 customers sums to -")
    assert "8 customers have a negative value" in table.note
    free = models().score(handmade.people(), margin=0.0).concentration()
    assert (len(free), free.note) == (0, "the value of 8 customers sums to 0: there are no shares of it")


def score(rates, **terms):
    """Customers of an NBD whose value is 20 · weeks · (1 + x)/(10 + T): x = rates, T = 10."""
    spend = MeanSpend(mean=20.0, log_covariance=np.zeros((1, 1)), customers=10)
    frame = pd.DataFrame({"id": range(len(rates)), "frequency": rates, "recency": 1.0, "T": 10.0, "spend": 0.0})
    frame.loc[frame["frequency"] == 0, "recency"] = 0.0
    fitted = CLVModel(purchases=handmade.purchases("NBD", r=1.0, alpha=10.0), spend=spend)
    return fitted.score(handmade.people(frame), horizon="70d", annual_discount_rate=0.0, **terms)


def test_four_customers_by_hand():
    table = check(score([0, 1, 2, 3]))  # worth 1, 2, 3 and 4 in tenths
    assert table["customers"] == [0, 1, 2, 3, 4]
    assert table["cumulative_value"] == pytest.approx([0.0, 0.4, 0.7, 0.9, 1.0])
    assert "(2 of 4) are expected to bring 70.0 %" in str(table)


def test_the_top_ends_inside_a_tie():
    table = check(score([5] * 10))
    assert table["customers"] == [0, 3, 10]
    assert table["cumulative_value"] == pytest.approx([0.0, 0.3, 1.0])
    mixed = check(score([9, *[1] * 9]))  # one is worth 10, nine are worth 2
    assert mixed["customers"] == [0, 1, 3, 10]
    assert mixed["cumulative_value"] == pytest.approx([0.0, 10 / 28, 14 / 28, 1.0])


def test_one_customer():
    table = check(score([2]))
    assert table["customers"] == [0, 1]


def test_values_that_hardly_differ_are_ranked_inside_their_bin():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"id": range(500), "frequency": 4, "recency": 8.0, "T": 10.0, "spend": 30.0 + rng.random(500) * 0.05}
    )
    value = models().score(handmade.people(frame))
    assert value.customers["clv"].nunique() == 500
    table = check(value)
    assert len(table) < 20


@sources.every
def test_every_source_gives_the_same(source, tmp_path):
    log = ly.datasets.cdnow_sample().head(1500)
    with ly.transactions(log) as tx:
        expected = models().score(tx).concentration()
    with sources.opened(source, log, tmp_path) as tx:
        found = check(models().score(tx))
        assert sources.same(found.data.to_pydict(), expected.data.to_pydict())


def test_nothing_is_left_in_the_engine():
    value = score([0, 1, 2])
    engine = value.valuation.summary.engine
    before = {row[0] for row in engine._cursor().execute("SHOW TABLES").fetchall()}
    value.concentration()
    assert {row[0] for row in engine._cursor().execute("SHOW TABLES").fetchall()} == before


def test_weighted_customers_cannot_be_ranked():
    value = models().score(handmade.people(handmade.PEOPLE.assign(weight=2.0), weight="weight"))
    with pytest.raises(InvalidArgument, match="a weighted summary cannot be ranked one by one"):
        value.concentration()
