"""The door: hand-worked row rules, and what every kind of source, date, amount and id comes to."""

import copy
import datetime as dt
import decimal
import json
import math

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import loyalty as ly
import sources
from loyalty.errors import ClosedError, ColumnError, InvalidArgument, UnsupportedSource
from loyalty.grouping import measure
from loyalty.transactions import Transactions, transactions

D = decimal.Decimal


def log(*rows, **columns):
    """Return a frame of rows (customer, "MM-DD" of 2024, amount, order if any) and further columns."""
    names = ["customer_id", "date", "amount", "order"][: len(rows[0])]
    frame = pd.DataFrame(rows, columns=names).assign(**columns)
    frame["date"] = pd.to_datetime("2024-" + frame["date"], format="%Y-%m-%d")
    return frame


def day(text):
    return (dt.date.fromisoformat(f"2024-{text}") - dt.date(1970, 1, 1)).days


def date(number):
    return (dt.date(1970, 1, 1) + dt.timedelta(days=number)).strftime("%m-%d")


def purchases(tx):
    """Return {(customer, "MM-DD"): spend}, or with the order in the key where that is the occasion."""
    lines = tx.collect(tx.purchases).to_pylist()
    if tx.rules.occasion == "order":
        return {(line["customer"], date(line["day"]), line["order"]): line["spend"] for line in lines}
    return {(line["customer"], date(line["day"])): line["spend"] for line in lines}


def customers(tx):
    return {line.pop("customer"): line for line in tx.collect(tx.customers).to_pylist()}


def exclusions(tx):
    """Return {reason: (rows, amount)}, after checking that every row is in one place."""
    found = {line["reason"]: (line["rows"], line["amount"]) for line in tx.exclusions.data.to_pylist()}
    assert tx.rows_in == tx.rows_used + sum(rows for rows, _ in found.values())
    return found


def groups_of(tx, by=None, cohort=None):
    """Return {group: number of customers}."""
    frame = tx.customers.select("customer", one=nw.lit(1))
    return dict(measure(tx, frame, [nw.len().alias("n")], lambda rows: rows[0]["n"], by=by, cohort=cohort))


# Rows that are plain purchases.


def test_rows_of_one_day_are_one_purchase():
    frame = log(("a", "01-05", 10.0), ("a", "01-05", 5.0), ("a", "01-07", 1.0), ("b", "01-06", 2.0))
    with transactions(frame) as tx:
        assert purchases(tx) == {("a", "01-05"): 15.0, ("a", "01-07"): 1.0, ("b", "01-06"): 2.0}
        assert customers(tx)["a"] == {
            "first_day": day("01-05"),
            "first_inside": day("01-05"),
            "last_day": day("01-07"),
            "purchases": 2,
            "spend": 16.0,
            "first_spend": 15.0,
            "acquired_before": 0,
        }
        assert exclusions(tx) == {}
        assert (tx.rows_in, tx.rows_used, tx.n_purchases, tx.n_customers) == (4, 4, 3, 2)
        assert (tx.observed_from, tx.observed_until) == (dt.date(2024, 1, 5), dt.date(2024, 1, 7))
        assert tx.roles == {"customer", "date", "amount"}


def test_times_of_a_day_are_one_purchase():
    frame = log(("a", "01-05", 10.0), ("a", "01-05", 5.0), ("a", "01-05", 1.0))
    frame["date"] += pd.to_timedelta([0, 3600 * 12, 86_399], unit="s")
    with transactions(frame) as tx:
        assert purchases(tx) == {("a", "01-05"): 16.0}


def test_duplicate_rows_all_count():
    with transactions(log(("a", "01-05", 10.0), ("a", "01-05", 10.0))) as tx:
        assert purchases(tx) == {("a", "01-05"): 20.0}
        assert tx.rows_used == 2


def test_one_row():
    with transactions(log(("a", "01-05", 10.0))) as tx:
        assert (tx.n_customers, tx.n_purchases, tx.window.days) == (1, 1, 1)


def test_zero_amounts_are_purchases():
    with transactions(log(("a", "01-05", 0.0), ("a", "01-06", -0.0), ("b", "01-05", 0))) as tx:
        assert purchases(tx) == {("a", "01-05"): 0.0, ("a", "01-06"): 0.0, ("b", "01-05"): 0.0}
        assert customers(tx)["a"]["purchases"] == 2
        assert exclusions(tx) == {}


def test_cost_and_discount_are_summed():
    frame = log(("a", "01-05", 10.0), ("a", "01-05", 5.0), ("a", "01-06", -5.0), price=[4, 2, -2], off=[1.0, None, 0.5])
    with transactions(frame, cost="price", discount="off") as tx:
        assert tx.collect(tx.purchases).to_pylist() == [
            {"customer": "a", "day": day("01-05"), "spend": 10.0, "cost": 4.0, "discount": 1.5}
        ]
        assert (customers(tx)["a"]["cost"], customers(tx)["a"]["discount"]) == (4.0, 1.5)


# Rows without a customer, and rows outside the window.


@pytest.mark.parametrize("blank", [None, "", "   ", "\t\n", np.nan])
def test_guests_are_left_out_and_counted(blank):
    frame = log(("a", "01-05", 10.0), (blank, "01-06", 7.0), (blank, "01-09", -2.0))
    with transactions(frame) as tx:
        assert exclusions(tx) == {"no_customer": (2, 5.0)}
        assert purchases(tx) == {("a", "01-05"): 10.0}
        assert tx.observed_until == dt.date(2024, 1, 5)


def test_history_sets_the_first_purchase_and_is_not_measured():
    frame = log(("a", "01-01", 9.0), ("a", "01-20", 10.0), ("b", "01-21", 5.0), ("h", "01-02", 4.0))
    with transactions(frame, observed_from="2024-01-10") as tx:
        found = customers(tx)
        assert set(found) == {"a", "b"}
        assert found["a"] == {
            "first_day": day("01-01"),
            "first_inside": day("01-20"),
            "last_day": day("01-20"),
            "purchases": 1,
            "spend": 10.0,
            "first_spend": 0.0,
            "acquired_before": 1,
        }
        assert (found["b"]["acquired_before"], found["b"]["first_spend"]) == (0, 5.0)
        assert exclusions(tx) == {"before_observed_from": (2, 13.0)}
        assert purchases(tx) == {("a", "01-20"): 10.0, ("b", "01-21"): 5.0}
        first_days = {line["customer"]: line["first_day"] for line in tx.collect(tx.first_days()).to_pylist()}
        assert first_days == {"a": day("01-01"), "b": day("01-21"), "h": day("01-02")}
        assert groups_of(tx, cohort="day") == {"2024-01-01": 1, "2024-01-21": 1}
        activity = tx.collect(tx.activity("day")).to_pylist()
        assert {line["first_period"] for line in activity} == {day("01-01"), day("01-21")}


def test_rows_after_the_window_are_left_out():
    frame = log(("a", "01-05", 10.0), ("a", "01-06", 7.0), ("b", "01-07", 3.0), ("a", "01-08", -2.0))
    with transactions(frame, observed_until="2024-01-06") as tx:
        assert purchases(tx) == {("a", "01-05"): 10.0, ("a", "01-06"): 7.0}
        assert exclusions(tx) == {"after_observed_until": (2, 1.0)}


def test_both_ends_of_the_window_are_inside():
    frame = log(("a", "01-05", 10.0), ("a", "01-06", 7.0), ("a", "01-07", 3.0))
    with transactions(frame, observed_from="2024-01-05", observed_until="2024-01-07") as tx:
        assert len(purchases(tx)) == 3
    with transactions(frame, observed_from="2024-01-06", observed_until="2024-01-06") as tx:
        assert purchases(tx) == {("a", "01-06"): 7.0}
        assert tx.window.days == 1


def test_the_window_may_reach_beyond_the_data():
    with transactions(log(("a", "01-05", 1.0)), observed_from="2023-01-01", observed_until="2030-01-01") as tx:
        assert (tx.observed_from, tx.observed_until) == (dt.date(2023, 1, 1), dt.date(2030, 1, 1))
        assert customers(tx)["a"]["acquired_before"] == 0


def test_future_dates_lengthen_the_default_window_and_observed_until_cuts_them():
    dates = np.array(["2024-01-05", "2999-01-01"], dtype="datetime64[s]")
    frame = log(("a", "01-05", 1.0), ("b", "01-06", 1.0)).assign(date=dates)
    with transactions(frame) as tx:
        assert tx.observed_until == dt.date(2999, 1, 1)
    with transactions(frame, observed_until="2024-12-31") as tx:
        assert exclusions(tx) == {"after_observed_until": (1, 1.0)}
        assert tx.observed_until == dt.date(2024, 12, 31)


# Returns.


def test_a_return_reduces_the_latest_purchase_on_or_before_its_date():
    frame = log(
        ("a", "01-05", 100.0), ("a", "01-10", 50.0), ("a", "01-12", -20.0), ("a", "01-20", 30.0), ("b", "01-12", 8.0)
    )
    with transactions(frame) as tx:
        assert purchases(tx) == {
            ("a", "01-05"): 100.0,
            ("a", "01-10"): 30.0,
            ("a", "01-20"): 30.0,
            ("b", "01-12"): 8.0,
        }
        assert exclusions(tx) == {}
        assert tx.rows_used == 5


def test_a_return_of_the_same_day_reduces_that_day():
    with transactions(log(("a", "01-04", 9.0), ("a", "01-05", -30.0), ("a", "01-05", 100.0))) as tx:
        assert purchases(tx) == {("a", "01-04"): 9.0, ("a", "01-05"): 70.0}


def test_a_return_on_the_same_day_counts_whatever_its_hour():
    frame = log(("a", "01-05", 100.0), ("a", "01-05", -30.0))
    frame["date"] += pd.to_timedelta([20, 8], unit="h")
    with transactions(frame) as tx:
        assert purchases(tx) == {("a", "01-05"): 70.0}


def test_several_returns_reduce_one_purchase_even_below_zero():
    frame = log(("a", "01-05", 10.0), ("a", "01-06", -6.0), ("a", "01-06", -1.0), ("a", "01-09", -7.0))
    with transactions(frame) as tx:
        assert purchases(tx) == {("a", "01-05"): -4.0}
        found = customers(tx)["a"]
        assert (found["spend"], found["first_spend"], found["purchases"]) == (-4.0, -4.0, 1)


def test_a_return_before_any_purchase_is_excluded():
    frame = log(("a", "01-05", 10.0), ("a", "01-04", -3.0), ("z", "01-05", -2.0))
    with transactions(frame) as tx:
        assert exclusions(tx) == {"return_without_purchase": (2, -5.0)}
        assert purchases(tx) == {("a", "01-05"): 10.0}
        assert tx.observed_from == dt.date(2024, 1, 4)


def test_a_return_of_an_earlier_purchase_is_excluded_with_its_reason():
    frame = log(
        ("a", "01-01", 10.0), ("a", "01-12", -3.0), ("a", "01-20", 5.0), ("b", "01-02", 4.0), ("b", "01-03", -1.0)
    )
    with transactions(frame, observed_from="2024-01-10") as tx:
        assert exclusions(tx) == {
            "before_observed_from": (3, 13.0),
            "return_of_purchase_before_observed_from": (1, -3.0),
        }
        assert purchases(tx) == {("a", "01-20"): 5.0}


def test_a_return_after_the_window_is_left_out():
    with transactions(log(("a", "01-05", 10.0), ("a", "01-09", -3.0)), observed_until="2024-01-08") as tx:
        assert exclusions(tx) == {"after_observed_until": (1, -3.0)}
        assert purchases(tx) == {("a", "01-05"): 10.0}


def test_a_return_is_never_a_purchase_and_its_day_no_activity():
    with transactions(log(("a", "01-05", 10.0), ("a", "02-09", -3.0))) as tx:
        assert customers(tx)["a"]["last_day"] == day("01-05")
        assert len(tx.collect(tx.activity("month"))) == 1


def test_returns_dropped():
    frame = log(
        ("a", "01-01", 10.0), ("a", "01-05", 10.0), ("a", "01-06", -3.0), (None, "01-06", -1.0), ("a", "01-02", -1.0)
    )
    with transactions(frame, returns="drop", observed_from="2024-01-03") as tx:
        assert exclusions(tx) == {
            "return_dropped": (2, -4.0),
            "no_customer": (1, -1.0),
            "before_observed_from": (1, 10.0),
        }
        assert purchases(tx) == {("a", "01-05"): 10.0}


def test_a_return_goes_to_its_own_order():
    frame = log(
        ("a", "01-05", 100.0, "x"), ("a", "01-10", 50.0, "y"), ("a", "01-12", -20.0, "x"), ("a", "01-12", -1.0, None)
    )
    with transactions(frame, order="order") as tx:
        assert purchases(tx) == {("a", "01-05"): 80.0, ("a", "01-10"): 49.0}
    with transactions(frame, order="order", occasion="order") as tx:
        assert purchases(tx) == {("a", "01-05", "x"): 80.0, ("a", "01-10", "y"): 49.0}
    with transactions(frame) as tx:
        assert purchases(tx) == {("a", "01-05"): 100.0, ("a", "01-10"): 29.0}


def test_a_return_of_an_order_not_yet_made_or_of_another_customer_goes_to_the_latest_purchase():
    frame = log(
        ("a", "01-05", 100.0, "x"),
        ("a", "01-07", -5.0, "y"),
        ("a", "01-10", 50.0, "y"),
        ("a", "01-11", -3.0, "of b"),
        ("b", "01-06", 9.0, "of b"),
        ("a", "01-12", -1.0, "nowhere"),
    )
    expected = {"x": 95.0, "y": 46.0, "of b": 9.0}
    with transactions(frame, order="order", occasion="order") as tx:
        assert {key[2]: spend for key, spend in purchases(tx).items()} == expected
    with transactions(frame, order="order") as tx:
        assert purchases(tx) == {("a", "01-05"): 95.0, ("a", "01-10"): 46.0, ("b", "01-06"): 9.0}


def test_a_return_of_an_order_of_several_days_goes_to_its_first_day():
    frame = log(("a", "01-05", 100.0, "x"), ("a", "01-08", 10.0, "x"), ("a", "01-09", -4.0, "x"))
    with transactions(frame, order="order") as tx:
        assert purchases(tx) == {("a", "01-05"): 96.0, ("a", "01-08"): 10.0}
    with transactions(frame, order="order", occasion="order") as tx:
        assert purchases(tx) == {("a", "01-05", "x"): 106.0}


def test_a_return_of_the_order_of_its_own_day():
    frame = log(("a", "01-05", 100.0, "x"), ("a", "01-05", 200.0, "y"), ("a", "01-05", -4.0, "x"))
    with transactions(frame, order="order", occasion="order") as tx:
        assert purchases(tx) == {("a", "01-05", "x"): 96.0, ("a", "01-05", "y"): 200.0}


def test_of_two_orders_of_a_day_the_larger_takes_the_return():
    frame = log(("a", "01-05", 10.0, "z"), ("a", "01-05", 20.0, "b"), ("a", "01-06", -4.0, None))
    with transactions(frame, order="order", occasion="order") as tx:
        assert purchases(tx) == {("a", "01-05", "z"): 10.0, ("a", "01-05", "b"): 16.0}


def test_a_return_of_an_order_before_the_window():
    frame = log(("a", "01-01", 10.0, "x"), ("a", "01-20", 5.0, "y"), ("a", "01-21", -2.0, "x"))
    with transactions(frame, order="order", observed_from="2024-01-10") as tx:
        assert exclusions(tx) == {
            "before_observed_from": (1, 10.0),
            "return_of_purchase_before_observed_from": (1, -2.0),
        }
        assert purchases(tx) == {("a", "01-20"): 5.0}


# Orders as occasions.


def test_orders_are_purchases():
    frame = log(
        ("a", "01-05", 10.0, "x"),
        ("a", "01-05", 7.0, "y"),
        ("a", "01-06", 2.0, "x"),
        ("b", "01-05", 3.0, "x"),
        ("b", "01-08", 1.0, None),
        ("b", "01-08", 1.5, ""),
        ("b", "01-09", 1.0, None),
    )
    with transactions(frame, order="order", occasion="order") as tx:
        assert purchases(tx) == {
            ("a", "01-05", "x"): 12.0,
            ("a", "01-05", "y"): 7.0,
            ("b", "01-05", "x"): 3.0,
            ("b", "01-08", None): 2.5,
            ("b", "01-09", None): 1.0,
        }
        assert customers(tx)["a"]["purchases"] == 2
        assert customers(tx)["a"]["first_spend"] == 12.0
        assert customers(tx)["a"]["last_day"] == day("01-05")
        assert tx.n_purchases == 5
    with transactions(frame, order="order") as tx:
        assert tx.n_purchases == 5
        assert purchases(tx)["a", "01-05"] == 17.0


def test_an_order_begun_before_the_window_lies_before_it_whole():
    frame = log(
        ("a", "01-09", 10.0, "x"), ("a", "01-11", 2.0, "x"), ("a", "01-12", -1.0, "x"), ("a", "01-13", 5.0, "y")
    )
    with transactions(frame, order="order", occasion="order", observed_from="2024-01-10") as tx:
        assert purchases(tx) == {("a", "01-13", "y"): 5.0}
        assert exclusions(tx) == {
            "before_observed_from": (2, 12.0),
            "return_of_purchase_before_observed_from": (1, -1.0),
        }
        assert customers(tx)["a"]["first_day"] == day("01-09")
    with transactions(frame, order="order", observed_from="2024-01-10") as tx:
        assert purchases(tx) == {("a", "01-11"): 2.0, ("a", "01-13"): 5.0}


def test_rows_of_an_order_after_the_window_are_left_out():
    frame = log(("a", "01-09", 10.0, "x"), ("a", "01-11", 2.0, "x"))
    with transactions(frame, order="order", occasion="order", observed_until="2024-01-10") as tx:
        assert purchases(tx) == {("a", "01-09", "x"): 10.0}
        assert exclusions(tx) == {"after_observed_until": (1, 2.0)}


@pytest.mark.parametrize(
    "orders",
    [
        [2**63 + 1, 2**63 + 2, 2**64 - 1],
        [2**70 + 1, 2**70 + 2, 2**70 + 3],
        [-(2**70), -(2**70) + 1, 5],
        ["01", "1", "1.0"],
        [1.5, 2.5, 3.5],
        [D("1.1"), D("2.2"), D("3.3")],
        [dt.date(2024, 1, 1), dt.date(2024, 1, 2), dt.date(2024, 1, 3)],
    ],
)
def test_order_ids_of_any_size_stay_apart(orders):
    frame = log(("a", "01-05", 1.0), ("a", "01-05", 2.0), ("a", "01-05", 4.0))
    frame["order"] = pd.Series(orders, dtype=object)
    with transactions(frame, order="order", occasion="order") as tx:
        assert sorted(purchases(tx).values()) == [1.0, 2.0, 4.0]


def test_product_rows_are_kept():
    frame = log(
        ("a", "01-01", 9.0), ("a", "01-05", 10.0), ("a", "01-05", -2.0), (None, "01-05", 1.0), kind=["w", "x", "y", "z"]
    )
    with transactions(frame, product="kind", observed_from="2024-01-03") as tx:
        lines = tx.collect(tx.sale_rows()).to_pylist()
        assert [(line["customer"], line["product"], line["amount"]) for line in lines] == [("a", "x", 10.0)]


# Invalid rows that are excluded rather than refused.


def test_invalid_rows_may_be_counted_instead():
    frame = log(
        ("a", "01-05", 10.0),
        ("a", "01-06", None),
        ("a", "01-07", math.inf),
        ("a", "01-08", -math.inf),
        ("a", "01-09", math.nan),
        ("a", "01-10", 1e308),
        ("a", "01-11", 4.0),
        (None, "01-12", None),
        ("a", "01-13", 2.0),
        cost=[1, 1, 1, 1, 1, 1, 1, 1, None],
    )
    frame.loc[6, "date"] = pd.NaT
    with transactions(frame, invalid="exclude", cost="cost") as tx:
        assert exclusions(tx) == {
            "invalid_amount": (5, 0.0),
            "invalid_date": (1, 4.0),
            "no_customer": (1, 0.0),
            "invalid_cost": (1, 2.0),
        }
        assert purchases(tx) == {("a", "01-05"): 10.0}
        assert tx.observed_until == dt.date(2024, 1, 5)


def test_discounts_that_are_missing_are_none_and_unusable_ones_are_counted():
    frame = log(("a", "01-05", 10.0), ("a", "01-06", 5.0), ("a", "01-07", 7.0), off=[None, math.nan, math.inf])
    with transactions(frame, discount="off", invalid="exclude") as tx:
        assert customers(tx)["a"]["discount"] == 0.0
        assert exclusions(tx) == {"invalid_discount": (1, 7.0)}


# Every source gives the same.


def sample(n=300, seed=1):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number:02d}" for number in rng.integers(0, 40, n)],
            "date": pd.Timestamp("2023-11-01") + pd.to_timedelta(rng.integers(0, 120, n), unit="D"),
            "amount": np.where(rng.random(n) < 0.15, -1, 1) * rng.gamma(2, 10, n).round(2),
            "region": rng.choice(["north", "south", None], n),
            "cost": rng.gamma(2, 5, n).round(2),
        }
    )
    frame.loc[rng.random(n) < 0.05, "customer_id"] = None
    return frame


def everything(tx):
    """Return all that the ground floor knows, in a form that compares."""
    return {
        "customers": sources.rows(tx.hand_back(tx.customers)),
        "purchases": sorted(
            (sources.text(line["customer_id"]), *(line[name] for name in ("day", "spend", "cost")))
            for line in sources.as_pandas(tx.hand_back(tx.purchases)).to_dict("records")
        ),
        "exclusions": exclusions(tx),
        "by": {sources.text(group): count for group, count in groups_of(tx, by="region").items()},
        "cohort": groups_of(tx, cohort="month"),
        "window": (tx.window.first, tx.window.last),
    }


@pytest.fixture(scope="module")
def reference():
    with transactions(sample(), observed_from="2023-11-20", observed_until="2024-02-20", cost="cost") as tx:
        return everything(tx)


@sources.every
def test_every_source_gives_the_same(source, tmp_path, reference):
    options = {"observed_from": "2023-11-20", "observed_until": "2024-02-20", "cost": "cost"}
    with sources.opened(source, sample(), tmp_path, **options) as tx:
        found = everything(tx)
        assert found.keys() == reference.keys()
        for part in found:
            assert sources.same(found[part], reference[part]), part


KINDS = {
    "pandas": pd.DataFrame,
    "pandas-categorical": pd.DataFrame,
    "polars": pl.DataFrame,
    "polars-lazy": pl.LazyFrame,
    "pyarrow": pa.Table,
    "parquet": duckdb.DuckDBPyRelation,
    "csv": duckdb.DuckDBPyRelation,
    "duckdb": duckdb.DuckDBPyRelation,
}


@sources.every
def test_tables_come_back_as_the_kind_they_came(source, tmp_path):
    with sources.opened(source, sample(), tmp_path) as tx:
        back = tx.hand_back(tx.customers, days=("first_day", "last_day"))
        assert isinstance(back, KINDS[source])
        frame = sources.as_pandas(back)
        assert list(frame.columns)[:2] == ["customer_id", "first_day"]
        assert str(frame["first_day"].dtype).startswith("datetime64")
        assert str(frame["purchases"].dtype) == "int64"
        eager = {"polars": pl.DataFrame, "polars-lazy": pl.DataFrame, "pyarrow": pa.Table}.get(source, pd.DataFrame)
        assert isinstance(tx.exclusions.to_native(), eager)
        assert tx.snapshot is (source in {"pandas", "pandas-categorical", "polars", "pyarrow"})


def test_narwhals_frames_are_taken_as_what_they_hold():
    frame = sample()
    for native in (frame, pl.from_pandas(frame), pl.from_pandas(frame).lazy()):
        with transactions(nw.from_native(native)) as tx:
            assert type(tx.hand_back(tx.customers)) is type(native)


def test_streams_of_arrow_are_taken():
    table = pa.Table.from_pandas(sample(), preserve_index=False)
    for stream in (table.to_reader(), table.to_batches()[0]):
        with transactions(stream) as tx:
            assert tx.rows_in == 300
            assert groups_of(tx, by="region")


# Dates.


@sources.every_date
def test_every_kind_of_date_gives_the_same(dates):
    frame = sample()
    with transactions(sources.with_dates(frame, dates), cost="cost") as tx, transactions(frame, cost="cost") as plain:
        assert sources.same(everything(tx), everything(plain))


@pytest.mark.parametrize(
    "years", [("0001-01-01", "0001-12-31"), ("9999-01-01", "9999-12-31"), ("1677-01-01", "2262-12-31")]
)
@pytest.mark.parametrize("kind", ["objects", "text", "s", "polars"])
def test_years_at_the_ends_of_the_calendar(years, kind):
    days = [dt.date.fromisoformat(year) for year in years]
    frame = pd.DataFrame({"customer_id": [1, 1], "date": pd.Series(days, dtype=object), "amount": [1.0, 2.0]})
    if kind == "text":
        frame["date"] = list(years)
    elif kind == "s":
        frame["date"] = np.array(years, dtype="datetime64[s]")
    data = pl.DataFrame({"customer_id": [1, 1], "date": days, "amount": [1.0, 2.0]}) if kind == "polars" else frame
    with transactions(data) as tx:
        assert [tx.observed_from, tx.observed_until] == days
        assert groups_of(tx, cohort="year") == {years[0][:4]: 1}
        assert years[0] in str(tx)


ISO = [
    "2024-03-09",
    " 2024-03-09 ",
    "2024-03-09T23:59",
    "2024-03-09 23:59",
    "2024-03-09 23:59:59",
    "2024-03-09T00:00:00.5",
    "2024-03-09 00:00:00.123456",
    "2024-03-09 23:59:59.999999999",
]


@pytest.mark.parametrize("text", ISO)
def test_iso_text(text):
    with transactions(log(("a", "01-05", 1.0)).assign(date=text)) as tx:
        assert tx.observed_until == dt.date(2024, 3, 9)


ZONED = [
    "2024-03-09T23:30:00Z",
    "2024-03-09T23:30Z",
    "2024-03-09 23:30:00+00",
    "2024-03-09 23:30:00.25+00:00",
    "2024-03-10T04:30:00+0500",
    "2024-03-09T18:30:00-05:00",
]


@pytest.mark.parametrize("text", ZONED)
@pytest.mark.parametrize(
    ("zone", "expected"), [("Europe/Paris", 10), ("UTC", 9), ("America/New_York", 9), ("Asia/Tokyo", 10)]
)
def test_whose_midnight_counts(text, zone, expected):
    instant = pd.Timestamp("2024-03-09T23:30Z")
    frame = log(("a", "01-05", 1.0))
    for moment in (text, instant, instant.tz_convert("Asia/Kolkata")):
        with transactions(frame.assign(date=[moment]), timezone=zone) as tx:
            assert tx.observed_until == dt.date(2024, 3, expected)


def test_daylight_saving_time():
    # 30 March 2024, 23:30 in Paris is still winter time, the day after summer time begins.
    times = pd.to_datetime(["2024-03-30T22:30Z", "2024-03-30T23:30Z", "2024-03-31T21:30Z", "2024-03-31T22:30Z"])
    frame = pd.DataFrame({"customer_id": 1, "date": times, "amount": 1.0})
    with transactions(frame, timezone="Europe/Paris") as tx:
        assert purchases(tx) == {(1, "03-30"): 1.0, (1, "03-31"): 2.0, (1, "04-01"): 1.0}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_zoned_times_of_every_unit(unit):
    times = pd.Series(pd.to_datetime(["2024-03-09T23:30Z"])).astype(f"datetime64[{unit}, UTC]")
    with transactions(log(("a", "01-05", 1.0)).assign(date=times), timezone="Europe/Paris") as tx:
        assert tx.observed_until == dt.date(2024, 3, 10)
    polars = pl.DataFrame({"customer_id": ["a"], "amount": [1.0]}).with_columns(date=pl.from_pandas(times))
    with transactions(polars, timezone="Europe/Paris") as tx:
        assert tx.observed_until == dt.date(2024, 3, 10)


def test_zoned_objects_with_different_offsets():
    moments = [
        dt.datetime(2024, 3, 9, 23, 30, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 10, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=5))),
    ]
    frame = log(("a", "01-05", 1.0), ("a", "01-05", 2.0)).assign(date=pd.Series(moments, dtype=object))
    with transactions(frame, timezone="Europe/Paris") as tx:
        assert purchases(tx) == {("a", "03-09"): 2.0, ("a", "03-10"): 1.0}


def test_the_machine_s_own_zone_does_not_matter(monkeypatch):
    frame = log(("a", "01-05", 1.0)).assign(
        date=pd.to_datetime(["2024-03-09T23:30"]), at=pd.to_datetime(["2024-03-09T23:30Z"])
    )
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    with transactions(frame) as tx:
        assert tx.observed_until == dt.date(2024, 3, 9)
        assert [group.isoformat() for group in groups_of(tx, by="at")] == ["2024-03-09T23:30:00+00:00"]


# Amounts.

AMOUNTS = [
    *(f"{sign}int{width}" for sign in ("", "u") for width in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
    "Int8",
    "UInt64",
    "Float32",
    "Sparse[float]",
    "int64[pyarrow]",
    "double[pyarrow]",
]


@pytest.mark.parametrize("dtype", AMOUNTS)
def test_amounts_of_every_width(dtype):
    frame = log(("a", "01-05", 1), ("a", "01-06", 2), ("a", "01-07", 100))
    with transactions(frame.astype({"amount": dtype})) as tx:
        assert purchases(tx) == {("a", "01-05"): 1.0, ("a", "01-06"): 2.0, ("a", "01-07"): 100.0}


@pytest.mark.parametrize(
    "amounts",
    [
        [D("1.10"), D("2.20"), D("3.30")],
        [D("1.10"), 2.2, 3.3],
        [1.1, D("2.2"), np.float64(3.3)],
        [D("1.1"), D("2.2"), np.float32(3.3)],
        pa.array([D("1.10"), D("2.20"), D("3.30")], pa.decimal128(38, 10)),
        pa.array([D("1.10"), D("2.20"), D("3.30")], pa.decimal256(60, 20)),
    ],
)
def test_decimals(amounts):
    if isinstance(amounts, list):
        frame = log(("a", "01-05", 0.0), ("a", "01-06", 0.0), ("b", "01-07", 0.0))
        frame["amount"] = pd.Series(amounts, dtype=object)
    else:
        days = [dt.date(2024, 1, 5), dt.date(2024, 1, 6), dt.date(2024, 1, 7)]
        frame = pa.table({"customer_id": ["a", "a", "b"], "date": days, "amount": amounts})
    with transactions(frame) as tx:
        assert sorted(purchases(tx).values()) == pytest.approx([1.1, 2.2, 3.3], rel=1e-6)


def test_decimals_of_polars():
    frame = pl.DataFrame(
        {"customer_id": ["a"], "date": [dt.date(2024, 1, 5)], "amount": [D("12345678901234567890.12")]}
    )
    with transactions(frame) as tx:
        assert list(purchases(tx).values()) == [12345678901234567890.12]


def test_large_amounts_below_the_limit_add_up():
    with transactions(log(("a", "01-05", 9e99), ("a", "01-05", 9e99), ("b", "01-05", 1e-300))) as tx:
        assert purchases(tx) == {("a", "01-05"): 1.8e100, ("b", "01-05"): 1e-300}


def test_large_integers_as_amounts():
    frame = log(("a", "01-05", 0), ("b", "01-05", 0)).assign(amount=pd.Series([10**30, 2**64 - 1], dtype=object))
    with transactions(frame) as tx:
        assert purchases(tx) == {("a", "01-05"): 1e30, ("b", "01-05"): float(2**64 - 1)}


# The caller's frame.


def test_the_caller_s_frame_is_left_as_it_was():
    frame = sample().set_index(pd.Index([7] * 300, name="twice"))
    frame.attrs = {"from": ["shop"]}
    frame["objects"] = [[1]] * 300
    before = copy.deepcopy(frame)
    with transactions(frame, cost="cost") as tx:
        everything(tx)
    pd.testing.assert_frame_equal(frame, before)
    assert frame.attrs == before.attrs
    assert frame.index.name == "twice"


def edit(frame):
    frame.loc[:, "amount"] = 1e6
    frame.iloc[0, 0] = "c99"
    frame["region"] = "nowhere"
    frame.pop("cost")


def test_later_edits_of_the_frame_are_not_seen(reference):
    frame = sample()
    with transactions(frame, observed_from="2023-11-20", observed_until="2024-02-20", cost="cost") as tx:
        edit(frame)
        assert sources.same(everything(tx), reference)


def test_later_edits_of_numpy_s_memory_do_not_change_purchases():
    amounts, ids = np.ones(3), np.array([1, 2, 3])
    frame = pd.DataFrame({"customer_id": ids, "date": pd.Timestamp("2024-01-05"), "amount": amounts}, copy=False)
    with transactions(frame) as tx:
        amounts[:] = 100.0
        ids[:] = 7
        assert {key: line["spend"] for key, line in customers(tx).items()} == {1: 1.0, 2: 1.0, 3: 1.0}


def test_an_index_with_duplicates_is_harmless(reference):
    frame = sample().set_index(np.zeros(300, int))
    with transactions(frame, observed_from="2023-11-20", observed_until="2024-02-20", cost="cost") as tx:
        assert sources.same(everything(tx), reference)


def test_columns_of_types_no_engine_knows_may_stand_beside():
    frame = log(("a", "01-05", 1.0), ("b", "01-06", 2.0))
    frame["period"] = pd.period_range("2024-01", periods=2, freq="M")
    frame["interval"] = pd.interval_range(0, 2)
    frame["sparse"] = pd.arrays.SparseArray([0, 1])
    frame["complex"] = [1j, 2j]
    frame["object"] = [object(), {1}]
    frame["empty"] = None
    with transactions(frame) as tx:
        assert tx.n_customers == 2


def test_duplicated_columns_that_are_not_named_are_harmless():
    frame = log(("a", "01-05", 1.0)).assign(x=1)
    with transactions(pd.concat([frame, frame[["x"]]], axis=1)) as tx:
        assert tx.n_customers == 1


# Column names are only names.

NAMES = [
    "we ird",
    'quo"te',
    "it's",
    "select * from x; --",
    "ünïcode ☃",
    "*",
    "^.*$",
    "a.b",
    "(x)",
    "$1",
    "#1",
    "%s",
    "{}",
    "null",
    "c0",
    "day",
    "customer",
    "rows",
]


@sources.every
def test_weird_names(source, tmp_path):
    names = NAMES if source == "pandas" else NAMES[::2] if "p" in source else NAMES[1::2]
    for name in names:
        frame = log(("a", "01-05", 1.0), ("b", "01-06", 2.0)).rename(columns={"customer_id": name})
        frame["region of " + name] = ["n", "s"]
        with sources.opened(source, frame, tmp_path, customer=name) as tx:
            back = sources.as_pandas(tx.hand_back(tx.customers))
            assert sorted(back[name]) == ["a", "b"], name
            values = tx.collect(tx.first_values("region of " + name))["group"].to_pylist()
            assert sorted(values) == ["n", "s"]


@sources.every
def test_weird_names_of_the_other_columns(source, tmp_path):
    renamed = {"date": "select 1; --", "amount": '"; drop table log; --'}
    frame = log(("a", "01-05", 1.0), ("b", "01-06", 2.0)).rename(columns=renamed)
    with sources.opened(source, frame, tmp_path, date=renamed["date"], amount=renamed["amount"]) as tx:
        assert tx.n_customers == 2


@pytest.mark.parametrize("name", ["spend", "purchases", "first_day"])
@sources.every
def test_a_name_that_the_result_uses_gives_way(source, tmp_path, name):
    frame = log(("a", "01-05", 1.0), ("b", "01-06", 2.0)).rename(columns={"customer_id": name})
    with sources.opened(source, frame, tmp_path, customer=name) as tx:
        back = sources.as_pandas(tx.hand_back(tx.customers))
        assert sorted(back["customer_id"]) == ["a", "b"]
        assert sorted(back["spend"]) == [1.0, 2.0]


@pytest.mark.parametrize("source", [kind for kind in sources.SOURCES if kind != "pandas-categorical"])
def test_names_that_differ_only_in_case(source, tmp_path):
    frame = log(("a", "01-05", 1.0)).assign(AMOUNT=2.0, Customer_ID="b")
    for customer, amount, expected in (("customer_id", "AMOUNT", {"a": 2.0}), ("Customer_ID", "amount", {"b": 1.0})):
        if source == "duckdb":  # a DuckDB table cannot have both, a relation can
            sql = (
                "SELECT 'a' AS customer_id, DATE '2024-01-05' AS date, 1.0 AS amount, 2.0 AS AMOUNT, 'b' AS Customer_ID"
            )
            data = sources.relation(sql)
        else:
            data = sources.make(source, frame, tmp_path)
        with transactions(data, customer=customer, amount=amount) as tx:
            assert {
                key: line["spend"] for key, line in sources.rows(tx.hand_back(tx.customers), customer).items()
            } == expected


def test_labels_that_are_no_text():
    frame = log(("a", "01-05", 1.0))
    frame.columns = [0, 1.5, ("x", "y")]
    with transactions(frame, customer=0, date=1.5, amount=("x", "y")) as tx:
        assert list(tx.hand_back(tx.customers).columns)[:2] == [0, "first_day"]
        assert groups_of(tx, by=("x", "y")) == {1.0: 1}
    frame.columns = pd.MultiIndex.from_tuples([("who", "id"), ("when", ""), ("what", "sum")])
    with transactions(frame, customer=("who", "id"), date=("when", ""), amount=("what", "sum")) as tx:
        assert tx.hand_back(tx.customers).columns[0] == ("who", "id")


def test_an_empty_name(tmp_path):
    frame = log(("a", "01-05", 1.0)).rename(columns={"customer_id": ""})
    for source in ("pandas", "pyarrow", "csv"):
        with sources.opened(source, frame, tmp_path, customer="") as tx:
            back = sources.as_pandas(tx.hand_back(tx.customers))
            assert back.iloc[0, 0] == "a"


def test_one_column_may_play_several_parts():
    with transactions(log(("a", "01-05", 1.0)), order="customer_id", product="date", cost="amount") as tx:
        assert customers(tx)["a"]["cost"] == 1.0


# Values of a column at the first purchase.


@pytest.mark.parametrize(
    ("rows", "values", "expected"),
    [
        # The earliest time counts …
        ([("01-05 09:00", 1.0), ("01-05 08:00", 0.5), ("01-04 23:59", 0.1)], ["x", "y", "z"], "z"),
        ([("01-05 09:00", 9.0), ("01-05 08:00", 0.5)], ["x", "y"], "y"),
        # … then the largest amount …
        ([("01-05", 1.0), ("01-05", 3.0), ("01-05", 2.0)], ["a", "c", "b"], "c"),
        # … then the smallest value, null being the smallest.
        ([("01-05", 2.0), ("01-05", 2.0), ("01-05", 2.0)], ["c", "a", "b"], "a"),
        ([("01-05", 2.0), ("01-05", 2.0)], ["c", None], None),
        ([("01-05", 2.0), ("01-06", 3.0)], [None, "x"], None),
        # A return is no purchase.
        ([("01-05", 2.0), ("01-04", -3.0)], ["x", "y"], "x"),
        ([("01-05 10:00", 2.0), ("01-05 09:00", -3.0)], ["x", "y"], "x"),
    ],
)
def test_value_at_the_first_purchase(rows, values, expected):
    for order in (slice(None), slice(None, None, -1)):
        times = pd.to_datetime([f"2024-{when}" for when, _ in rows], format="mixed")
        frame = pd.DataFrame(
            {"customer_id": "a", "date": times, "amount": [amount for _, amount in rows], "by": values}
        )
        with transactions(frame[order]) as tx:
            assert groups_of(tx, by="by") == {expected: 1}
            assert len(tx.collect(tx.first_values("by"))) == 1


def test_value_at_a_first_purchase_before_the_window():
    frame = log(
        ("a", "01-01", 1.0), ("a", "01-20", 2.0), ("b", "01-20", 2.0), ("h", "01-02", 1.0), by=["x", "y", "z", "w"]
    )
    with transactions(frame, observed_from="2024-01-10") as tx:
        assert groups_of(tx, by="by") == {"x": 1, "z": 1}


def test_value_of_invalid_and_guest_rows_is_not_taken():
    frame = log(("a", "01-01", None), ("a", "01-20", 2.0), (None, "01-01", 2.0), by=["x", "y", "z"])
    with transactions(frame, invalid="exclude") as tx:
        assert groups_of(tx, by="by") == {"y": 1}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 2], {1: 1, 2: 2}),
        ([1.5, math.nan, None], {1.5: 1, None: 2}),
        ([True, None, False], {False: 1, True: 1, None: 1}),
        (["x", "", None], {"": 1, "x": 1, None: 1}),
        (pd.Categorical(["x", None, "x"], categories=["z", "x"]), {"x": 2, None: 1}),
        (pd.Categorical([5, 7, 5]), {5: 2, 7: 1}),
        (pd.cut(pd.Series([1, 5, 9]), [0, 4, 8, 12]), {"(0, 4]": 1, "(4, 8]": 1, "(8, 12]": 1}),
        (pd.period_range("2024-01", periods=3, freq="M"), {"2024-01": 1, "2024-02": 1, "2024-03": 1}),
        (pd.to_timedelta([1, 2, 1], unit="D"), {"24:00:00": 2, "48:00:00": 1}),
        ([dt.date(2024, 1, 1), None, dt.date(2024, 1, 1)], {dt.datetime(2024, 1, 1): 2, None: 1}),
        ([2**70, 2**70 + 1, 1], {D(1): 1, D(2**70): 1, D(2**70 + 1): 1}),
        ([2**64 - 1, 2**63, 1], {1: 1, 2**63: 1, 2**64 - 1: 1}),
        ([b"x", b"y", b"x"], {b"x": 2, b"y": 1}),
    ],
)
def test_groups_of_every_type(values, expected):
    frame = log(("a", "01-01", 1.0), ("b", "01-01", 1.0), ("c", "01-01", 1.0))
    frame["by"] = pd.Series(values, dtype=object) if isinstance(values, list) else values
    with transactions(frame) as tx:
        found = groups_of(tx, by="by")
        assert found == expected
        assert list(found) == list(expected)


def test_nan_and_null_are_one_group_in_polars_too():
    frame = pl.DataFrame(
        {"customer_id": [1, 2, 3], "date": [dt.date(2024, 1, 1)] * 3, "amount": 1.0, "by": [math.nan, None, 2.0]}
    )
    with transactions(frame) as tx:
        assert groups_of(tx, by="by") == {2.0: 1, None: 2}


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("day", {"2024-01-31": 1, "2024-02-01": 2}),
        ("week", {"2024-W05": 3}),
        ("month", {"2024-01": 1, "2024-02": 2}),
        ("quarter", {"2024-Q1": 3}),
        ("year", {"2024": 3}),
    ],
)
def test_cohorts(period, expected):
    frame = log(("a", "01-31", 1.0), ("b", "02-01", 1.0), ("c", "02-01", 1.0), ("a", "02-03", 1.0))
    with transactions(frame) as tx:
        assert groups_of(tx, cohort=period) == expected


# What Transactions is.


def test_sentences_and_json():
    frame = log(("a", "01-05", 10.0), (None, "01-06", 7.0), ("b", "01-07", 5.0))
    with transactions(frame, observed_until="2024-01-06") as tx:
        sentence = (
            "1 of 3 rows used: 1 purchase by 1 customer, 2024-01-05 to 2024-01-06; "
            "left out: 1 no_customer, 1 after_observed_until."
        )
        assert str(tx) == sentence
        assert repr(tx) == f"<Transactions: {sentence}>"
        assert json.loads(json.dumps(tx.to_dict(), allow_nan=False)) == {
            "rows_in": 3,
            "rows_used": 1,
            "purchases": 1,
            "customers": 1,
            "observed_from": "2024-01-05",
            "observed_until": "2024-01-06",
            "exclusions": {
                "no_customer": {"rows": 1, "amount": 7.0},
                "after_observed_until": {"rows": 1, "amount": 5.0},
            },
        }
        assert "no_customer" in tx._repr_html_()
        assert str(tx.exclusions).startswith("2 of 3 rows left out")


def test_a_closed_one_says_so():
    tx = transactions(log(("a", "01-05", 10.0)))
    frame = tx.customers
    table = tx.collect(frame)
    tx.close()
    tx.close()
    for use in (
        lambda: tx.customers,
        lambda: tx.purchases,
        lambda: tx.collect(frame),
        lambda: tx.hand_back(frame),
        lambda: tx.activity("month"),
        lambda: tx.first_values("amount"),
        tx.first_days,
        lambda: tx.kept("x", lambda: frame),
    ):
        with pytest.raises(ClosedError, match="closed"):
            use()
    assert table.num_rows == 1
    assert (tx.n_customers, tx.rows_in, len(tx.exclusions)) == (1, 1, 0)
    assert "1 of 1 rows" in str(tx)


def test_a_context_manager_closes_even_where_it_fails():
    with pytest.raises(ZeroDivisionError), transactions(log(("a", "01-05", 10.0))) as tx:
        tx.kept("mine", lambda: 1 / 0)
    assert isinstance(tx, Transactions)
    with pytest.raises(ClosedError):
        tx.customers  # noqa: B018


def test_kept_tables_are_built_once():
    built = []
    with transactions(log(("a", "01-05", 10.0))) as tx:

        def build():
            built.append(1)
            return tx.customers.select("customer")

        for _ in range(3):
            assert len(tx.collect(tx.kept("mine", build))) == 1
    assert built == [1]


def test_a_failed_build_is_tried_again():
    with transactions(log(("a", "01-05", 10.0))) as tx:
        with pytest.raises(ZeroDivisionError):
            tx.kept("mine", lambda: 1 / 0)
        assert len(tx.collect(tx.kept("mine", lambda: tx.customers))) == 1


# Files.


@pytest.fixture
def parquet(tmp_path):
    frame = log(("a", "01-05", 10.0), ("b", "01-06", 7.0), by=["x", "y"])
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "log.parquet")
    return tmp_path / "log.parquet"


def test_files_changed_later_are_refused(parquet):
    with transactions(parquet) as tx:
        assert groups_of(tx, by="by") == {"x": 1, "y": 1}
        before = customers(tx)
        parquet.write_bytes(parquet.read_bytes() + b" ")
        with pytest.raises(UnsupportedSource, match=r"changed since they were opened.*[Oo]pen them again"):
            tx.first_values("amount")
        assert customers(tx) == before
        assert groups_of(tx, by="by") == {"x": 1, "y": 1}


def test_files_deleted_later_are_refused(parquet):
    with transactions(parquet) as tx:
        parquet.unlink()
        with pytest.raises(UnsupportedSource, match="changed since they were opened"):
            tx.first_values("by")
        assert len(customers(tx)) == 2


def test_paths_lists_and_globs(tmp_path, parquet):
    frame = log(("a", "01-09", 1.0), ("c", "01-06", 2.0))
    pq.write_table(pa.Table.from_pandas(frame[["amount", "date", "customer_id"]]), tmp_path / "more.pq")
    more = str(tmp_path / "more.pq")
    for data, rows in (
        (parquet, 2),
        (str(parquet), 2),
        (str(tmp_path / "*.parquet"), 2),
        ([str(parquet), more], 4),
        ([str(tmp_path / "*.p*q*")], 4),
    ):
        with transactions(data) as tx:
            assert tx.rows_in == rows, data


@pytest.mark.parametrize("name", ["sales[1].csv", "s*es.csv", "sale?.csv", 'it\'s "so".csv', "ünï ☃.csv"])
def test_file_names_are_only_names(tmp_path, name):
    (tmp_path / "sales1.csv").write_text("customer_id,date,amount\n1,2024-01-05,1\n2,2024-01-05,1\n")
    (tmp_path / "sales.csv").write_text("customer_id,date,amount\n1,2024-01-05,1\n2,2024-01-05,1\n")
    (tmp_path / name).write_text("customer_id,date,amount\n7,2024-01-05,1\n")
    with transactions(tmp_path / name) as tx:
        assert set(customers(tx)) == {"7"}


CSV = """customer_id,date,amount,by
007,2024-01-05,10.5,x
7,2024-01-06T10:00,-0.5,y
7,2024-01-05,1e1,y
,2024-01-05,3,x
"""


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        CSV.replace(",", "|"),
        CSV.replace("\n", "\r\n"),
        "\ufeff" + CSV,
        CSV.rstrip("\n"),
        CSV.replace("x", '"x"').replace("007", '"007"').replace("customer_id", '"customer_id"'),
        CSV.replace(",x\n", ", x \n").replace("10.5", " 10.5 "),
        CSV + "\n\n",
    ],
)
def test_text_files(tmp_path, text):
    (tmp_path / "log.csv").write_text(text, encoding="utf-8", newline="")
    with transactions(tmp_path / "log.csv") as tx:
        assert purchases(tx) == {("007", "01-05"): 10.5, ("7", "01-05"): 9.5}
        assert exclusions(tx) == {"no_customer": (1, 3.0)}
        assert {str(group).strip() for group in groups_of(tx, by="by")} == {"x", "y"}


def test_no_line_of_a_text_file_is_taken_for_a_comment_or_skipped(tmp_path):
    (tmp_path / "log.csv").write_text("customer_id,date,amount\n#1,2024-01-05,1\n1,2024-01-05,2 \n#2,2024-01-05,3\n")
    with transactions(tmp_path / "log.csv") as tx:
        assert purchases(tx) == {("#1", "01-05"): 1.0, ("1", "01-05"): 2.0, ("#2", "01-05"): 3.0}


def test_only_double_quotes_quote(tmp_path):
    (tmp_path / "log.csv").write_text(
        'customer_id,date,amount\n\'a,2024-01-05,1\nb\',2024-01-05,2\n"c,""d",2024-01-05,3\n'
    )
    with transactions(tmp_path / "log.csv") as tx:
        assert set(customers(tx)) == {"'a", "b'", 'c,"d'}


def test_compressed_text_files(tmp_path):
    sample().to_csv(tmp_path / "log.csv.gz", index=False)
    with transactions(tmp_path / "log.csv.gz") as tx:
        assert tx.rows_in == 300


def test_text_files_with_columns_in_another_order(tmp_path):
    (tmp_path / "1.csv").write_text("customer_id,date,amount\na,2024-01-05,1\n")
    (tmp_path / "2.csv").write_text("amount,customer_id,extra,date\n2,b,x,2024-01-05\n")
    with transactions([tmp_path / "1.csv", tmp_path / "2.csv"]) as tx:
        assert purchases(tx) == {("a", "01-05"): 1.0, ("b", "01-05"): 2.0}
        with pytest.raises(ColumnError, match=r"'extra' is in the file '.*2.csv' but not in '.*1.csv'"):
            groups_of(tx, by="extra")


def test_parquet_with_nested_columns(tmp_path):
    frame = log(("a", "01-05", 1.0), ("b", "01-05", 2.0))
    frame.insert(0, "nested", [{"x": [1, 2], "amount": 9}, {"x": [], "amount": 8}])
    frame.insert(2, "list", [[1], []])
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "log.parquet")
    with transactions(tmp_path / "log.parquet") as tx:
        assert purchases(tx) == {("a", "01-05"): 1.0, ("b", "01-05"): 2.0}


# Limits of memory.


def test_memory_limit_and_temporary_folder(tmp_path):
    with transactions(sample(), memory_limit="200MB", temp_directory=tmp_path / "spill", cost="cost") as tx:
        assert tx.n_customers == 40
    for options in ({"memory_limit": "lots"}, {"memory_limit": 5}, {"temp_directory": 5}, {"temp_directory": ""}):
        with pytest.raises(InvalidArgument, match=next(iter(options))):
            transactions(sample(), **options)


def test_rows_of_an_order_begun_before_the_window_feed_nothing():
    frame = pd.DataFrame(
        {
            "customer_id": [1, 1, 1, 2],
            "date": pd.to_datetime(["2024-01-01", "2024-02-02", "2024-02-05", "2024-02-07"]),
            "amount": [10.0, 5.0, 20.0, 8.0],
            "order": ["a", "a", "b", "c"],
            "kind": ["x", "y", "x", "x"],
            "handling": [1.0, 10.0, 2.0, 3.0],
        }
    )
    with transactions(frame, order="order", product="kind", occasion="order", observed_from="2024-02-01") as tx:
        assert (tx.rows_used, tx.n_purchases) == (2, 2)
        assert float(ly.upsell_ratio(tx)) == 0.0
        spent = ly.historical_value(tx, service_cost="handling").customers
        assert sorted(spent["service_cost"]) == [2.0, 3.0]


@pytest.mark.parametrize("name", ["repurchase_rate", "retention", "overview", "pareto", "rfm", "cohorts", "tenure"])
def test_a_table_in_the_place_of_transactions(name):
    with pytest.raises(InvalidArgument, match=rf"{name} takes transactions, not a DataFrame: open the table first"):
        getattr(ly, name)(pd.DataFrame({"customer_id": [1]}))
