import datetime as dt
import itertools
import math
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

import logs
import loyalty as ly
from loyalty.errors import InvalidArgument

NAMES = ["period", "start", "customers", "kept", "rate", "low", "high", "churn", "next_customers", "new", "reactivated"]

# Three users come on day 0 and back on day 1, on day 5, never: a published worked example (oracles.md).
THREE = [(user, "2024-01-01", 1.0) for user in (1, 2, 3)] + [(1, "2024-01-02", 1.0), (2, "2024-01-06", 1.0)]


def one_quarter(**options):
    """January: 1, 2, 3. February: 1 (kept), 4 (new). March: 3 (back after a gap), 4 (kept)."""
    rows = [(1, "2024-01-01", 5.0), (2, "2024-01-09", 5.0), (3, "2024-01-31", 5.0), (3, "2024-01-31", 1.0),
            (1, "2024-02-29", 5.0), (4, "2024-02-01", 5.0), (3, "2024-03-31", 5.0), (4, "2024-03-01", 5.0)]  # fmt: skip
    return logs.opened(rows, **options)


def test_by_hand():
    with one_quarter() as tx:
        table = ly.retention(tx)
        rate, churn = ly.retention_rate(tx), ly.churn_rate(tx)
    assert table.data.column_names == NAMES
    assert table["period"] == ["2024-01", "2024-02"]
    assert table["start"] == [dt.date(2024, 1, 1), dt.date(2024, 2, 1)]
    assert table["customers"] == [3, 2]
    assert table["kept"] == [1, 1]
    assert table["rate"] == [1 / 3, 1 / 2]
    assert table["churn"] == [1 - 1 / 3, 1 / 2]
    assert table["next_customers"] == [2, 2]
    assert table["new"] == [1, 0]
    assert table["reactivated"] == [0, 1]
    assert (rate.numerator, rate.denominator, rate.n) == (2, 5, 4)
    assert (churn.numerator, churn.denominator, churn.n) == (3, 5, 4)
    assert str(table) == (
        "Retention by month: 2 of 5 customer-months were followed by a purchase in the next month (2024-01 to 2024-02)."
    )


def test_three_users_by_day():
    with logs.opened(THREE, observed_until="2024-01-08") as tx:
        table = ly.retention(tx, "day")
    assert table["customers"] == [3, 1, 0, 0, 0, 1, 0]
    assert table["kept"] == [1, 0, 0, 0, 0, 0, 0]
    assert logs.close(table["rate"], [1 / 3, 0, math.nan, math.nan, math.nan, 0, math.nan])
    assert table.note == "days without a rate, since nobody bought in them: 4"
    assert "nan" not in str(table)


def test_a_period_not_wholly_inside_the_window_is_missing():
    with one_quarter(observed_until="2024-03-30") as tx:
        assert ly.retention(tx)["period"] == ["2024-01"]
    with one_quarter(observed_from="2024-01-02") as tx:
        assert ly.retention(tx)["period"] == ["2024-02"]
    with one_quarter(observed_until="2024-04-29") as tx:
        assert ly.retention(tx)["period"] == ["2024-01", "2024-02"]
    with one_quarter(observed_until="2024-04-30") as tx:
        assert ly.retention(tx)["rate"] == [1 / 3, 1 / 2, 0.0]  # nobody came in April: observed, so zero


def test_customers_acquired_before_the_window_are_never_new():
    with one_quarter(observed_from="2024-02-01", observed_until="2024-03-31") as tx:
        table = ly.retention(tx)
    assert (table["customers"], table["kept"], table["next_customers"]) == ([2], [1], [2])
    assert (table["new"], table["reactivated"]) == ([0], [1])  # customer 3 came in January, before the window


def counted(case, period):
    """Return the table's rows as the definitions have them, and (kept, base) of each customer of a base."""
    active = case.by_period(period)
    lines, pairs = [], defaultdict(lambda: [0, 0])
    starts = case.complete(period)
    for start, following in itertools.pairwise(starts):
        base = {customer for customer, mine in active.items() if start in mine}
        later = {customer for customer, mine in active.items() if following in mine}
        new = {customer for customer in later if case.debut[customer] >= following}
        back = {customer for customer in later - base if case.debut[customer] < following}
        rate, low, high = logs.wilson(len(base & later), len(base))
        line = [logs.label(start, period), start, len(base), len(base & later), rate, low, high, 1 - rate,
                len(later), len(new), len(back)]  # fmt: skip
        lines.append(dict(zip(NAMES, line, strict=True)))
        for customer in base:
            pairs[customer][0] += customer in later
            pairs[customer][1] += 1
    return lines, list(pairs.values())


@logs.every
def test_against_counting_by_hand(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        for period in logs.PERIODS:
            lines, pairs = counted(case, period)
            same_table(ly.retention(tx, period), lines)
            same_rate(ly.retention_rate(tx, period), pairs)
            same_rate(ly.churn_rate(tx, period), [(base - kept, base) for kept, base in pairs])


def same_table(table, lines):
    assert len(table) == len(lines)
    for name in NAMES:
        expected = [line[name] for line in lines]
        same = logs.close if name in {"rate", "low", "high", "churn"} else list.__eq__
        assert same(table[name], expected), (table.name, name)
    for line in table.data.to_pylist():  # kept ÷ S = (E − N − R) ÷ S
        assert line["kept"] == line["next_customers"] - line["new"] - line["reactivated"]


def same_rate(found, pairs):
    above, below = sum(y for y, _ in pairs), sum(x for _, x in pairs)
    assert (found.n, found.numerator, found.denominator) == (len(pairs), above, below), found.name
    expected = logs.inside(logs.ratio(pairs))
    if len(pairs) > 1 and above in {0, below}:
        expected = logs.wilson(len(pairs) if above else 0, len(pairs))
    assert logs.close(logs.limits(found), expected), found.name
    assert math.isnan(found.value) == (not pairs)
    assert bool(found.note) == (len(pairs) < 2)


@logs.every
def test_churn_by_silence_against_counting_by_hand(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        for days in (1, 14, 180):
            found = ly.churn_rate(tx, inactive_after=dt.timedelta(days=days), confidence=0.99)
            limit = case.last - dt.timedelta(days=days)
            old = [customer for customer, first in case.debut.items() if first <= limit]
            gone = sum(case.latest[customer] <= limit for customer in old)
            assert (found.numerator, found.denominator, found.excluded) == (gone, len(old), len(case.debut) - len(old))
            assert logs.close(logs.limits(found), logs.wilson(gone, len(old), 0.99))
            assert bool(found.note) == (len(old) < len(case.debut))


def test_churn_by_silence_by_hand():
    rows = [(1, "2024-01-01", 5.0), (2, "2024-01-01", 5.0), (2, "2024-01-22", 5.0), (3, "2024-01-21", 5.0),
            (4, "2024-01-22", 5.0), (4, "2024-01-31", 5.0)]  # fmt: skip
    with logs.opened(rows) as tx:
        found = ly.churn_rate(tx, inactive_after="10d")
    assert (found.numerator, found.denominator, found.excluded) == (2, 3, 1)  # 1 and 3 are gone, 4 is too new
    assert found.note == "customers left out (first seen less than 10 days before the end): 1"
    assert found.name == "churn rate (10 days of silence)"


def test_customers_acquired_before_the_window_can_be_lost():
    rows = [(1, "2023-06-01", 5.0), (1, "2024-01-02", 5.0), (2, "2024-01-31", 5.0), (3, "2023-06-01", 5.0),
            (3, "2023-12-31", 5.0)]  # fmt: skip
    with logs.opened(rows, observed_from="2024-01-01") as tx:
        found = ly.churn_rate(tx, inactive_after="20d")
        longer = ly.churn_rate(tx, inactive_after="31d")  # a silence from before the window on
        longest = ly.churn_rate(tx, inactive_after="32d")
    assert (found.numerator, found.denominator) == (2, 2)  # 3 was lost to the window before it began
    assert (longer.numerator, longer.denominator) == (1, 2)
    assert (longest.numerator, longest.denominator) == (0, 2)


@pytest.fixture(scope="module")
def sample():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        yield tx


@pytest.mark.parametrize("period", ["week", "month", "quarter"])
@pytest.mark.parametrize("metric", [ly.retention_rate, ly.churn_rate])
def test_the_interval_is_that_of_customers_drawn_again(sample, metric, period):
    frame = ly.datasets.cdnow_sample()
    starts = logs.complete(frame["date"].min().date(), frame["date"].max().date(), period)
    place = {start: number for number, start in enumerate(starts)}
    frame = frame.assign(at=[place.get(logs.start_of(date.date(), period), -1) for date in frame["date"]])
    active = np.zeros((frame["customer_id"].nunique(), len(starts)), bool)
    known = frame[frame["at"] >= 0]
    active[pd.factorize(frame["customer_id"])[0][frame["at"] >= 0], known["at"]] = True
    base = active[:, :-1].sum(axis=1)
    kept = (active[:, :-1] & active[:, 1:]).sum(axis=1)
    top = kept if metric is ly.retention_rate else base - kept
    low, high = logs.bootstrap(lambda drawn: top[drawn].sum() / base[drawn].sum(), len(base))
    for method in ("delta", "bootstrap"):
        found = metric(sample, period, method=method)
        assert found.value == pytest.approx(top.sum() / base.sum(), rel=1e-12)
        assert found.high - found.low == pytest.approx(high - low, rel=0.1)
        assert found.low == pytest.approx(low, abs=0.1 * (high - low))


def test_bootstrap_is_seeded(sample):
    first, again = (ly.retention_rate(sample, method="bootstrap", seed=7) for _ in range(2))
    assert first == again
    assert first.method == "bootstrap"
    assert logs.limits(first) != logs.limits(ly.retention_rate(sample, method="bootstrap", seed=8))


def test_limits_of_a_share_stay_between_nothing_and_everything():
    rows = [(customer, "2024-01-05", 5.0) for customer in range(10)] + [(3, "2024-02-05", 5.0)]
    with logs.opened(rows, observed_from="2024-01-01", observed_until="2024-02-29") as tx:
        rate = ly.retention_rate(tx)
        churn = ly.churn_rate(tx)
        resampled = ly.retention_rate(tx, method="bootstrap")
    assert rate.value == 0.1
    assert rate.low == 0.0
    assert rate.method == "delta"
    assert churn.high == 1.0
    assert 0.0 <= resampled.low <= 0.1 <= resampled.high <= 0.4


def test_where_all_customers_are_alike_the_interval_is_not_a_point():
    rows = [(customer, "2024-01-05", 5.0) for customer in range(10)]
    window = {"observed_from": "2024-01-01", "observed_until": "2024-02-29"}
    with logs.opened(rows, **window) as tx:
        nobody, churn = ly.retention_rate(tx), ly.churn_rate(tx, "month", method="bootstrap")
    assert logs.close(logs.limits(nobody), logs.wilson(0, 10))
    assert logs.close(logs.limits(churn), logs.wilson(10, 10))
    assert nobody.method == churn.method == "wilson"
    with logs.opened(rows[:1], **window) as tx:
        single = ly.retention_rate(tx)
    assert single.value == 0.0
    assert math.isnan(single.low)
    assert single.note == "no interval: it needs two customers or more"


@pytest.mark.parametrize(("period", "last"), [("week", "2024-01-13"), ("month", "2024-02-28"), ("year", "2024-12-30")])
def test_a_window_of_less_than_two_periods_gives_no_number_and_says_why(period, last):
    with logs.opened([(1, "2024-01-01", 5.0), (1, "2024-01-09", 5.0)], observed_until=last) as tx:
        table, rate, churn = ly.retention(tx, period), ly.retention_rate(tx, period), ly.churn_rate(tx, period)
    reason = f"the observed window (2024-01-01 to {last}) holds fewer than two complete {period}s"
    assert len(table) == 0
    assert table.data.column_names == NAMES
    assert str(table).startswith(f"Retention by {period}: not defined. Note: {reason}")
    for found in (rate, churn):
        assert math.isnan(found.value)
        assert reason in found.note
        assert (found.n, found.numerator, found.denominator) == (0, 0, 0)


def test_a_window_of_exactly_two_periods_has_one_row():
    with logs.opened([(1, "2024-01-01", 5.0)], observed_until="2024-02-29") as tx:
        assert ly.retention(tx)["rate"] == [0.0]


def test_nobody_in_a_complete_period_is_undefined():
    rows = [(1, "2023-12-31", 5.0), (1, "2024-03-01", 5.0)]
    with logs.opened(rows) as tx:
        rate = ly.retention_rate(tx)
        table = ly.retention(tx)
    assert math.isnan(rate.value)
    assert rate.note == "undefined: nobody bought in a complete period"
    assert logs.close(table["rate"], [math.nan])
    assert "months without a rate, since nobody bought in them: 1" in table.note


def test_groups_without_a_base_are_there_and_undefined():
    rows = [(1, "2024-01-05", 5.0, "x"), (1, "2024-02-05", 5.0, "x"), (2, "2024-03-05", 5.0, None)]
    with logs.opened(rows, "shop", observed_from="2024-01-01") as tx:
        rates, tables = ly.retention_rate(tx, by="shop"), ly.retention(tx, by="shop")
        churn = ly.churn_rate(tx, by="shop", method="bootstrap")
    assert list(rates) == list(tables) == list(churn) == ["x", None]
    for found in (rates[None], churn[None]):
        assert math.isnan(found.value)
        assert found.note == "undefined: nobody bought in a complete period"
    assert tables[None]["customers"] == [0]
    assert tables["x"]["kept"] == [1]


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda tx: ly.retention(tx, "fortnight"), "allowed are 'day', 'week', 'month', 'quarter', 'year'"),
        (lambda tx: ly.retention_rate(tx, "Month"), "Did you mean 'month'"),
        (lambda tx: ly.retention_rate(tx, None), "period=None"),
        (lambda tx: ly.churn_rate(tx, "month", "90d"), "not both"),
        (lambda tx: ly.churn_rate(tx, inactive_after=90), "90d"),
        (lambda tx: ly.churn_rate(tx, inactive_after="90d", method="delta"), "'wilson'"),
        (lambda tx: ly.churn_rate(tx, method="wilson"), "'delta', 'bootstrap'"),
        (lambda tx: ly.retention(tx, confidence=0), "confidence=0"),
        (lambda tx: ly.retention_rate(tx, confidence=-1), "confidence=-1"),
        (lambda tx: ly.churn_rate(tx, inactive_after="9d", confidence=2), "confidence=2"),
    ],
)
def test_bad_arguments(call, hint):
    with logs.opened(THREE) as tx, pytest.raises(InvalidArgument, match=hint):
        call(tx)
