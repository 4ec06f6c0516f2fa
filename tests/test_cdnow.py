"""The published numbers of CDNOW, out of every kind of source, and the headline numbers as plain pandas has them.

Source: Fader & Hardie's CDNOW log (brucehardie.com), as shipped with lifetimes; counts recomputed from the file, so
they hold exactly. Tolerances only allow for the digits that were printed, or for the order in which floats are summed.
"""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

import loyalty as ly
import sources

TOTAL = 2_500_315.63


@pytest.fixture(scope="module")
def log():
    return ly.datasets.cdnow()


@pytest.fixture(scope="module")
def days(log):
    """Purchases: a row per customer and day."""
    return log.groupby(["customer_id", "date"], as_index=False)["amount"].sum()


@pytest.fixture(scope="module")
def customers(days):
    each = days.groupby("customer_id").agg(first=("date", "min"), last=("date", "max"), n=("date", "size"),
                                           spend=("amount", "sum"))  # fmt: skip
    return each.assign(length=(each["last"] - each["first"]).dt.days)


@pytest.fixture(scope="module")
def tx(log):
    with ly.transactions(log) as opened:
        yield opened


@pytest.fixture(scope="module")
def headline(tx):
    return everything(tx)


def everything(tx):
    """Return every headline number of a log."""
    return {
        "overview": {name: one.to_dict() for name, one in ly.overview(tx).estimates.items()},
        "within": ly.repurchase_rate(tx, within="90d").to_dict(),
        "retention": ly.retention(tx).to_dict(),
        "revenue": ly.revenue_retention(tx, "quarter").to_dict(),
        "cohorts": ly.cohorts(tx).to_dict(),
        "since": ly.cohorts(tx, "quarter", mode="since", value="revenue").to_dict(),
        "tenure": ly.tenure(tx).to_dict(),
        "value": ly.historical_value(tx, 0.3, acquisition_cost=5.0).to_dict(),
        "gaps": ly.purchase_gaps(tx).to_dict(),
        "counts": {name: part for name, part in tx.to_dict().items() if name != "exclusions"},
    }


@sources.every
def test_published_numbers_from_every_source(source, log, headline, tmp_path):
    with sources.opened(source, log, tmp_path) as tx:
        assert (tx.rows_in, tx.rows_used, tx.n_customers, tx.n_purchases) == (69_659, 69_659, 23_570, 67_591)
        assert (tx.observed_from, tx.observed_until) == (dt.date(1997, 1, 1), dt.date(1998, 6, 30))
        found = everything(tx)
        published(found["overview"])
        assert sources.same(found, headline, 1e-9)


def published(overview):
    """Compare with the counts of the file (oracles of this project)."""
    repurchase = overview["repurchase_rate"]
    assert (repurchase["numerator"], repurchase["denominator"]) == (11_516, 23_570)
    assert repurchase["value"] == pytest.approx(0.488587, abs=5e-7)
    assert overview["revenue"]["value"] == pytest.approx(TOTAL, abs=0.005)
    assert overview["purchases"]["value"] == 67_591
    top = overview["top_30_percent_revenue_share"]
    assert top["value"] == pytest.approx(0.77951, abs=5e-6)
    vital = overview["customers_bringing_70_percent_of_revenue"]
    assert (vital["numerator"], vital["denominator"]) == (5_149, 23_570)
    assert overview["gini_of_revenue"]["value"] == pytest.approx(0.634571, abs=5e-7)


def test_cohorts_as_published(tx):
    found = ly.cohorts(tx)
    assert found.sizes["cohort"].tolist() == ["1997-01", "1997-02", "1997-03"]
    assert found.sizes["size"].tolist() == [7_846, 8_476, 7_248]
    assert found.counts["1"].tolist() == [1_157, 1_312, 1_032]
    assert found.average["rate"][1] == 3_501 / 23_570
    assert found.counts.shape == (3, 2 + 18)
    assert found.excluded == 0
    assert np.isnan(found.counts["17"].to_numpy()[1:]).all()  # February is followed for 17 months only


@pytest.mark.parametrize("dataset", [ly.datasets.cdnow, ly.datasets.cdnow_sample])
def test_the_error_of_retention_is_larger_than_the_binomial_one(dataset):
    """Published for the sample as "about 1.6 times"; customers who come often come again."""
    with ly.transactions(dataset()) as tx:
        found = ly.retention_rate(tx)
    error = (found.high - found.low) / 2 / 1.959963984540054
    assert error / math.sqrt(found.value * (1 - found.value) / found.denominator) == pytest.approx(1.6, abs=0.1)


def test_the_sample_as_published():
    """Fader, Hardie & Lee (2005), table 1: 2 357 customers, of whom 946 repeat within 39 weeks."""
    sample = ly.datasets.cdnow_sample()
    with ly.transactions(sample) as tx:
        assert (tx.n_customers, tx.n_purchases) == (2_357, 6_696)
    with ly.transactions(sample, observed_until="1997-09-30") as tx:
        found = ly.repurchase_rate(tx)
        assert (found.denominator - found.numerator, found.numerator) == (1_411, 946)
        spent = ly.spending(tx)
        assert spent.purchases.value - found.denominator == 2_457  # Σx


def test_retention_as_pandas_has_it(tx, days):
    month = days["date"].dt.to_period("M")
    active = pd.crosstab(days["customer_id"], month).to_numpy() > 0
    first = days.groupby("customer_id")["date"].min().dt.to_period("M")
    kept = (active[:, :-1] & active[:, 1:]).sum(axis=0)
    base, later = active[:, :-1].sum(axis=0), active[:, 1:].sum(axis=0)
    table, rate = ly.retention(tx), ly.retention_rate(tx)
    assert table["customers"] == base.tolist()
    assert table["kept"] == kept.tolist()
    assert table["rate"] == pytest.approx(kept / base, rel=1e-12)
    assert table["next_customers"] == later.tolist()
    new = [int((first == period).sum()) for period in sorted(month.unique())[1:]]
    assert table["new"] == new
    assert table["reactivated"] == (later - kept - new).tolist()
    assert (rate.numerator, rate.denominator) == (kept.sum(), base.sum())
    assert ly.churn_rate(tx).value == pytest.approx(1 - rate.value, rel=1e-12)


def test_revenue_retention_as_pandas_has_it(tx, days):
    spent = days.pivot_table("amount", "customer_id", days["date"].dt.to_period("M"), "sum", fill_value=0.0).to_numpy()
    base, later = spent[:, :-1], np.where(spent[:, :-1] > 0, spent[:, 1:], 0.0)
    table = ly.revenue_retention(tx)
    assert table["base_spend"] == pytest.approx(base.sum(axis=0), rel=1e-9)
    assert table["net"] == pytest.approx(later.sum(axis=0) / base.sum(axis=0), rel=1e-9)
    assert table["gross"] == pytest.approx(np.minimum(later, base).sum(axis=0) / base.sum(axis=0), rel=1e-9)
    assert table.net.value == pytest.approx(later.sum() / base.sum(), rel=1e-9)
    assert table.gross.value == pytest.approx(np.minimum(later, base).sum() / base.sum(), rel=1e-9)
    bought = pd.crosstab(days["customer_id"], days["date"].dt.to_period("M")).to_numpy() > 0
    assert table["excluded"] == (bought[:, :-1] & (base <= 0)).sum(axis=0).tolist()  # the rows of amount zero
    assert table.net.excluded == ((bought[:, :-1].sum(axis=1) > 0) & (base.sum(axis=1) <= 0)).sum()


def test_spending_and_value_as_pandas_has_them(tx, days, customers):
    found = ly.spending(tx)
    gaps = days.groupby("customer_id")["date"].diff().dropna().dt.days
    assert found.average_order_value.value == pytest.approx(TOTAL / 67_591, rel=1e-9)
    assert found.sales_per_customer.value == pytest.approx(customers["spend"].mean(), rel=1e-9)
    assert found.purchase_frequency.value == customers["n"].mean()
    assert found.mean_time_between_purchases.value == pytest.approx(gaps.mean(), rel=1e-12)
    assert found.median_time_between_purchases.value == gaps.median()
    half = 1.959963984540054 * customers["spend"].sem()
    assert found.sales_per_customer.high == pytest.approx(customers["spend"].mean() + half, rel=1e-9)
    value = ly.historical_value(tx, margin=0.3, service_cost=0.5, acquisition_cost=5)
    expected = customers["spend"] * 0.3 - 0.5 * customers["n"] - 5
    assert value.total.value == pytest.approx(expected.sum(), rel=1e-9)
    each = value.customers.set_index("customer_id")["value"]
    assert np.allclose(each.sort_index(), expected.sort_index(), rtol=1e-9)
    assert each.is_monotonic_decreasing


def test_tenure_and_silence_as_pandas_has_them(tx, customers):
    found = ly.tenure(tx)
    assert found.mean.value == pytest.approx(customers["length"].mean(), rel=1e-12)
    assert found.median.value == customers["length"].median()
    limit = pd.Timestamp("1998-06-30") - pd.Timedelta(days=180)
    silent = ly.churn_rate(tx, inactive_after="180d")
    assert silent.numerator == (customers["last"] <= limit).sum()
    assert silent.denominator == (customers["first"] <= limit).sum()
    once = customers["n"] == 1
    assert found.survival["survival"][0] == pytest.approx(1 - once.sum() / len(customers), rel=1e-12)


def test_repurchase_within_as_pandas_has_it(tx, days):
    second = days.sort_values("date").groupby("customer_id")["date"].nth([1])
    second = pd.Series(second.to_numpy(), index=days.loc[second.index, "customer_id"])
    waits = (second - days.groupby("customer_id")["date"].min().reindex(second.index)).dt.days
    found = ly.repurchase_rate(tx, within="30d")
    assert (found.numerator, found.denominator) == ((waits <= 30).sum(), 23_570)


def test_sentences(tx):
    assert str(ly.repurchase_rate(tx)) == (
        "Repurchase rate: 48.9 % (95 % interval 48.2 % to 49.5 %; 11,516 of 23,570 customers)."
    )
    assert str(ly.retention_rate(tx)) == (
        "Retention rate by month: 23.9 % (95 % interval 23.3 % to 24.4 %; 12,854 / 53,873, 23,570 customers)."
    )
    assert str(ly.cohorts(tx)) == (
        "Cohorts by month of first purchase (3): on average 14.9 % of the customers bought in the next month (95 % "
        "interval 14.4 % to 15.3 %)."
    )
