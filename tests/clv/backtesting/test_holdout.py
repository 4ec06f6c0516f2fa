"""What happened after a split, against the log read customer by customer."""

import datetime as dt
import math
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest

import logs
import loyalty as ly
from customers import bought
from loyalty.clv.backtesting import holdout
from loyalty.clv.backtesting.holdout import hold_out
from loyalty.errors import EmptyData, InvalidArgument
from naive_rows import EPOCH, day_of

SPLIT = "1997-09-30"
ROWS = ("purchases", "recent_purchases", "mean_spend", "revenue", "recent_revenue")


def rounded(*numbers):
    return tuple(round(float(number), 6) + 0.0 for number in numbers)


def naive(case, split, days, acquired):
    """Return how many customers have which (x, t_x, T, what is in `ROWS`), and how many were acquired elsewhen."""
    found, later, elsewhen = Counter(), 0, 0
    for mine in bought(case).values():
        first = mine[0][0]
        later += first > split
        if first > split or not (acquired[0] or -math.inf) <= first <= (acquired[1] or math.inf):
            elsewhen += first <= split
            continue
        repeats = [(day, spend) for day, spend in mine[1:] if day <= split]
        recent = [spend for day, spend in repeats if day > split - days]
        after = [spend for day, spend in mine if day > split]
        mean = sum(spend for _, spend in repeats) / len(repeats) if repeats else 0.0
        recency = max(day for day, _ in mine if day <= split) - first
        history = (len(repeats), recency, split - first)
        found[rounded(*history, len(after), len(recent), mean, sum(after), sum(recent))] += 1
    return found, later, elsewhen


def splits(case):
    """Return some days on which the window may be split."""
    length = case.naive.last - case.naive.first
    return sorted({case.naive.first, case.naive.first + length // 3, case.naive.last - 1} if length else ())


@logs.every
def test_rows_are_the_customers(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        for split in splits(case):
            for acquired in ((None, None), (split - 60, split - 5)):
                dates = [None if day is None else EPOCH + dt.timedelta(days=day) for day in acquired]
                days = case.naive.last - split
                expected, later, elsewhen = naive(case, split, days, acquired)
                where = {"acquired_from": dates[0], "acquired_until": dates[1]}
                if not any(history[0] for history in expected):
                    with pytest.raises(EmptyData, match=r"leaves nobody to predict|nobody had bought again"):
                        hold_out(tx, EPOCH + dt.timedelta(days=split), "day", **where)
                    continue
                held = hold_out(tx, EPOCH + dt.timedelta(days=split), "day", **where)
                cells, found = held.cells, Counter()
                for place, n in zip(range(len(held.cell)), held.customers, strict=True):
                    cell = held.cell[place]
                    history = (cells.x[cell], cells.t_x[cell], cells.T[cell])
                    found[rounded(*history, *(getattr(held, name)[place] for name in ROWS))] += int(n)
                assert found == expected
                assert (held.acquired_later, held.elsewhen, held.days) == (later, elsewhen, days)
                begin = day_of(case.data_from) if acquired[0] is None else max(day_of(case.data_from), acquired[0])
                assert held.calibration_days == split - begin + 1


@pytest.mark.parametrize("seed", [1, 3, 4, 5, 9, 11, 60, 70])
def test_days_are_those_of_the_log(seed):
    case, (split, *_) = logs.case(seed), splits(logs.case(seed))[1:]
    people = {customer: mine for customer, mine in bought(case).items() if mine[0][0] <= split}
    assert any(sum(day <= split for day, _ in mine) > 1 for mine in people.values())
    with case.opened() as tx:
        daily = hold_out(tx, EPOCH + dt.timedelta(days=split)).daily
    assert daily.first == day_of(case.data_from)
    assert len(daily.spend) == case.naive.last - daily.first + 1
    for day, acquired, purchases, spend in zip(
        range(daily.first, case.naive.last + 1), daily.acquired, daily.purchases, daily.spend, strict=True
    ):
        spends = [one for mine in people.values() for when, one in mine if when == day]
        assert (purchases, acquired) == (len(spends), sum(mine[0][0] == day for mine in people.values()))
        assert spend == pytest.approx(sum(spends), abs=1e-9)


def test_published_numbers_of_cdnow():
    """1882 holdout purchases, 2457 repeats before: Fader, Hardie & Lee (2005); whole numbers, so exactly."""
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        held = hold_out(tx, SPLIT)
        assert held.customers.sum() == 2357
        assert held.purchases @ held.customers == 1882
        assert held.recent_purchases @ held.customers == held.daily.repeats[:273].sum() == 2457
        assert (held.days, held.calibration_days, held.horizon) == (273, 273, 39.0)


def test_holdout_purchases_are_those_of_lifetimes():
    from lifetimes.utils import calibration_and_holdout_data

    log = ly.datasets.cdnow_sample()
    with warnings.catch_warnings(action="ignore"):
        # With the spend: without it, lifetimes finds no columns to count on current pandas.
        theirs = calibration_and_holdout_data(log, "customer_id", "date", SPLIT, freq="D", monetary_value_col="amount")
    expected = Counter(zip(theirs["frequency_cal"], theirs["recency_cal"], theirs["T_cal"],
                           theirs["frequency_holdout"], strict=True))  # fmt: skip
    with ly.transactions(log) as tx:
        held = hold_out(tx, SPLIT, "day")
        found = Counter()
        for cell, y, n in zip(held.cell, held.purchases, held.customers, strict=True):
            found[held.cells.x[cell], held.cells.t_x[cell], held.cells.T[cell], y] += int(n)
    assert found == expected


def test_many_customers_are_counted_on_a_grid(monkeypatch):
    rng = np.random.default_rng(8)
    days = [(who, day) for who in range(300) for day in (0, 10 + who % 3, 14, 20 + who % 2, 28)]
    log = pd.DataFrame(days, columns=["customer_id", "day"])
    log["date"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(log["day"], unit="D")
    log["amount"] = rng.choice([5.0, 40.0], len(log)) + rng.uniform(0, 0.01, len(log))
    with ly.transactions(log) as tx:
        exact = hold_out(tx, "2024-01-18")
        monkeypatch.setattr(holdout, "_MOST_EXACT", 100)
        coarse = hold_out(tx, "2024-01-18")
    assert len(coarse.cell) < 0.6 * len(exact.cell) == 0.6 * 300
    for name in ROWS:
        sums = [getattr(held, name) @ held.customers for held in (exact, coarse)]
        assert sums[0] == pytest.approx(sums[1], rel=1e-12), name
    # Squares, which depend on single customers, differ by the width of the grid only.
    squares = [held.revenue**2 @ held.customers for held in (exact, coarse)]
    assert squares[0] != squares[1]
    assert squares[0] == pytest.approx(squares[1], rel=1e-6)


def test_sums_that_are_alike_share_a_step_of_the_grid():
    amounts = [10.0, 10.0001, 20.0, -10.0, 0.0]
    log = pd.DataFrame({"amount": amounts, "customer_id": range(5), "date": pd.Timestamp("2024-01-01")})
    with ly.transactions(log[log["amount"] >= 0]) as tx:
        frame = tx.customers.select("customer", spend=-1.0 * holdout.nw.col("spend"))
        steps = {row["spend"]: row["k"] for row in
                 tx.collect(frame.with_columns(k=holdout._grid("spend"))).to_pylist()}  # fmt: skip
        frame = tx.customers.select("spend", k=holdout._grid("spend"))
        gains = {row["spend"]: row["k"] for row in tx.collect(frame).to_pylist()}
    assert gains[10.0] == gains[10.0001] < gains[20.0]
    assert len({gains[0.0], gains[10.0], steps[-10.0]}) == 3


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (
            "1996-12-31",
            "outside the observed window 1997-01-01 to 1998-06-30: give a day from 1997-01-01 to 1998-06-29",
        ),
        ("1998-07-01", "outside the observed window"),
        ("1998-06-30", "is the last day of the observed window: nothing is left to compare with"),
        ("soon", "is not an ISO date"),
    ],
)
def test_a_split_leaves_something_on_both_sides(split, words):
    with ly.transactions(ly.datasets.cdnow_sample()) as tx, pytest.raises(InvalidArgument, match=words):
        hold_out(tx, split)


def test_a_split_before_anybody_repeats():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        with pytest.raises(EmptyData, match=r"of the \d+ customers acquired by 1997-01-02 nobody had bought again"):
            hold_out(tx, "1997-01-02")
        with pytest.raises(EmptyData, match="leaves nobody to predict: no customer was acquired"):
            hold_out(tx, SPLIT, acquired_from="1997-06-01")
    late = ly.transactions(ly.datasets.cdnow_sample(), observed_from="1996-01-01")
    with late, pytest.raises(EmptyData, match="split=1996-06-01 leaves nobody to predict"):
        hold_out(late, "1996-06-01")


def test_a_single_day_cannot_be_split():
    tx = ly.transactions(ly.datasets.cdnow_sample(), observed_from="1997-03-01", observed_until="1997-03-01")
    with tx, pytest.raises(InvalidArgument, match="the observed window is one day, 1997-03-01"):
        hold_out(tx, "1997-03-01")


def test_nothing_depends_on_the_order_of_rows():
    log = ly.datasets.cdnow_sample()
    found = []
    for frame in (log, log.sample(frac=1.0, random_state=5)):
        with ly.transactions(frame) as tx:
            held = hold_out(tx, "1998-01-31")
            found.append([held.cell, held.customers, *(getattr(held, name) for name in ROWS)])
    for one, two in zip(*found, strict=True):
        assert np.allclose(one, two, rtol=1e-12)
