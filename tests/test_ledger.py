"""The row rules against a row-by-row oracle on random logs; hand-worked cases are in test_transactions.py."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import logs
import sources
from loyalty import ledger
from loyalty.errors import EmptyData
from loyalty.metrics.revenue import revenue_retention
from loyalty.transactions import transactions
from naive_rows import EPOCH, Naive

START = 19_700
MONEY = ("amount", "cost", "discount")


def random_log(seed):
    """Return rows and options: few customers on few days, so that ties, returns and orders meet often."""
    rng = np.random.default_rng(seed)
    people, span, orders = int(rng.integers(1, 8)), int(rng.integers(1, 40)), rng.random() < 0.6
    rows = [
        {
            "customer": None if rng.random() < 0.05 else f"c{rng.integers(people)}",
            "day": None if rng.random() < 0.03 else START + int(rng.integers(span)),
            "amount": random_amount(rng),
            "order": None if not orders or rng.random() < 0.3 else f"o{rng.integers(12)}",
            "cost": None if rng.random() < 0.02 else float(rng.integers(1, 9)),
            "discount": float(rng.integers(0, 3)),
        }
        for _ in range(int(rng.integers(1, 60)))
    ]
    ends = sorted(START + rng.integers(span, size=2))
    options = {
        "first": None if rng.random() < 0.4 else int(ends[0]),
        "last": None if rng.random() < 0.5 else int(ends[1]),
        "occasion": "order" if orders and rng.random() < 0.6 else "day",
        "returns": "drop" if rng.random() < 0.3 else "net",
    }
    return rows, options, orders


def random_amount(rng):
    if rng.random() < 0.03:
        return None
    kind = rng.choice(3, p=[0.1, 0.6, 0.3])
    return [0.0, round(rng.gamma(2, 10), 2), -round(rng.gamma(2, 5), 2)][kind]


def date_of(day):
    return None if day is None else EPOCH + dt.timedelta(days=day)


def opened(rows, orders, *, first, last, **options):
    frame = pd.DataFrame(rows)
    frame["date"] = pd.to_datetime([date_of(row["day"]) for row in rows])
    return transactions(
        frame,
        customer="customer",
        order="order" if orders else None,
        cost="cost",
        discount="discount",
        observed_from=date_of(first),
        observed_until=date_of(last),
        invalid="exclude",
        **options,
    )


def expected(rows, options):
    """Return the oracle's answer, or None where no row can be used."""
    try:
        return Naive(rows, money=MONEY, **options)
    except ValueError:
        return None


def check_against_the_oracle(seed):
    rows, options, orders = random_log(seed)
    naive = expected(rows, options)
    try:
        tx = opened(rows, orders, **options)
    except EmptyData:
        assert naive is None or not naive.purchases
        return
    with tx:
        excluded = {line["reason"]: (line["rows"], line["amount"]) for line in tx.exclusions.data.to_pylist()}
        assert sources.same(excluded, naive.exclusions)
        assert (tx.window.first, tx.window.last) == (naive.first, naive.last)
        people = tx.collect(tx.customers).to_pylist()
        assert sources.same({line.pop("customer"): line for line in people}, naive.customers())
        check_purchases(tx, naive)
        assert tx.rows_in == len(rows) == tx.rows_used + sum(count for count, _ in excluded.values())
        spent = sum(line["spend"] for line in people)
        left_out = sum(amount for _, amount in excluded.values())
        assert spent + left_out == pytest.approx(sum(row["amount"] or 0.0 for row in rows), abs=1e-6)
        assert (tx.n_customers, tx.n_purchases) == (len(people), len(naive.purchases))


def check_purchases(tx, naive):
    found = sorted(
        (line["customer"], line["day"], round(line["spend"], 6), round(line["cost"], 6))
        for line in tx.collect(tx.purchases).to_pylist()
    )
    expected = sorted(
        (one.customer, one.day, round(one.sums["amount"], 6) + 0.0, round(one.sums["cost"], 6))
        for one in naive.purchases.values()
    )
    assert found == expected


@pytest.mark.parametrize("seed", range(30))
def test_random_log(seed):
    check_against_the_oracle(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))  # twenty pass as well
def test_random_logs(block):
    for seed in range(30 + 53 * block, 83 + 53 * block):
        check_against_the_oracle(seed)


def test_random_logs_meet_every_reason():
    met, occasions = set(), set()
    for seed in range(30):
        rows, options, orders = random_log(seed)
        if naive := expected(rows, options):
            met |= set(naive.exclusions)
            occasions.add((options["occasion"], orders, bool(naive.purchases)))
    reasons = {
        ledger.NO_CUSTOMER,
        ledger.BEFORE,
        ledger.AFTER,
        ledger.DROPPED,
        ledger.WITHOUT_PURCHASE,
        ledger.OF_EARLIER_PURCHASE,
    }
    assert met == reasons | set(ledger.INVALID.values()) - {"invalid_discount"}
    assert {("order", True, True), ("day", True, True), ("day", False, True)} <= occasions


def test_activity_against_pandas():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "customer_id": rng.integers(0, 30, 400),
            "date": pd.Timestamp("2023-11-15") + pd.to_timedelta(rng.integers(0, 200, 400), unit="D"),
            "amount": rng.gamma(2, 10, 400).round(2),
        }
    )
    with transactions(frame, observed_from="2023-12-20") as tx:
        found = pd.DataFrame(tx.collect(tx.activity("month")).to_pylist())
    inside = frame[frame.date >= "2023-12-20"]
    month = inside.date.dt.year * 12 + inside.date.dt.month - 1
    days = inside.groupby(["customer_id", month.rename("period"), inside.date]).amount.sum().reset_index()
    expected = days.groupby(["customer_id", "period"]).amount.agg(spend="sum").reset_index()
    grouped = expected.groupby("customer_id")
    expected["next_period"], expected["next_spend"] = grouped.period.shift(-1), grouped.spend.shift(-1)
    debut = frame.groupby("customer_id").date.min()
    expected["first_period"] = expected.customer_id.map(debut.dt.year * 12 + debut.dt.month - 1)
    found = found.rename(columns={"customer": "customer_id"}).sort_values(["customer_id", "period"])
    pd.testing.assert_frame_equal(
        found[expected.columns].reset_index(drop=True), expected, check_dtype=False, rtol=1e-9
    )


@pytest.mark.parametrize("kind", ["day", "week", "month", "quarter", "year"])
def test_activity_of_every_period_holds_all_spend(kind):
    rows, options, orders = random_log(3)
    with opened(rows, orders, **options) as tx:
        lines = tx.collect(tx.activity(kind)).to_pylist()
        spent = sum(line["spend"] for line in tx.collect(tx.customers).to_pylist())
        assert sum(line["spend"] for line in lines) == pytest.approx(spent)
        assert len({(line["customer"], line["period"]) for line in lines}) == len(lines)
        assert all(line["next_period"] is None or line["next_period"] > line["period"] for line in lines)


@pytest.mark.parametrize("returned", [[-0.3], [-0.1, -0.2], [-0.2, -0.1]])
def test_of_a_purchase_returned_whole_nothing_is_left(returned):
    assert 0.1 + 0.2 - 0.3 > 0.0  # the trap
    rows = [(1, "2024-01-01", 0.1), (1, "2024-01-01", 0.2), *((1, "2024-01-02", back) for back in returned)]
    with logs.opened([*rows, (2, "2024-01-01", 5.0)]) as tx:
        spend = tx.collect(tx.customers.sort("customer"))["spend"].to_pylist()
        assert spend == [0.0, 5.0]


@pytest.mark.parametrize("occasion", [{}, {"observed_from": "2024-01-01"}])
def test_of_purchases_returned_together_nothing_is_left(occasion):
    assert 0.7 + (0.1 - 0.8) < 0.0  # the trap: the return is booked to the second purchase
    rows = [(1, "2024-01-01", 0.7), (1, "2024-01-02", 0.1), (1, "2024-01-03", -0.8), (2, "2024-01-01", 5.0)]
    rows += [(2, "2023-12-01", 1.0)] if occasion else []
    with logs.opened(rows, **occasion) as tx:
        found = tx.collect(tx.customers.sort("customer"))
        assert found["spend"].to_pylist() == [0.0, 5.0]
        assert not {name for name in found.column_names if name.startswith("gross")}


@pytest.mark.parametrize("options", [{}, {"observed_from": "2024-01-01"}])
def test_of_a_month_returned_whole_nothing_is_left(options):
    assert 0.1 + (0.2 - 0.3) > 0.0  # the trap: the return is booked to the second purchase
    rows = [(1, "2024-01-01", 0.1), (1, "2024-01-02", 0.2), (1, "2024-01-03", -0.3)]
    rows += [(2, "2024-01-01", 5.0), (2, "2024-02-29", 4.0), *([(2, "2023-12-01", 1.0)] if options else [])]
    with logs.opened(rows, **options) as tx:
        active = tx.collect(tx.activity("month").sort("customer", "period"))
        assert active["spend"].to_pylist() == [0.0, 5.0, 4.0]
        (line,) = revenue_retention(tx).data.to_pylist()
        assert (line["customers"], line["excluded"], line["net"]) == (1, 1, 0.8)


@pytest.mark.parametrize("occasion", ["day", "order"])
def test_gaps_are_days_between_purchases(occasion):
    rows = [("a", "2024-01-09", 5.0, "x"), ("a", "2024-01-01", 5.0, "y"), ("a", "2024-01-09", 7.0, "z")]
    rows += [("b", "2024-01-05", 5.0, None), ("c", "2023-12-31", 5.0, "u"), ("c", "2024-01-02", 5.0, "v")]
    rows += [("c", "2024-01-05", 5.0, None)]
    with logs.opened(rows, "order", order="order", occasion=occasion, observed_from="2024-01-01") as tx:
        found = sorted(tuple(line.values()) for line in tx.collect(tx.gaps()).to_pylist())
    twice = [("a", 0, False)] if occasion == "order" else []
    assert sorted(found) == [*twice, ("a", 8, True), ("c", 3, True)]
