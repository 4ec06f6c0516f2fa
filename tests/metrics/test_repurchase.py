import datetime as dt
import math

import pytest
from scipy.stats import norm

import logs
import loyalty as ly
from loyalty.errors import ColumnError, InvalidArgument

GOLDEN = [
    (1, "2024-01-01", 5.0),
    (1, "2024-01-31", 5.0),  # 30 days later
    (2, "2024-01-01", 5.0),
    (2, "2024-02-01", 5.0),  # 31 days later
    (3, "2024-01-10", 5.0),
    (3, "2024-01-10", 7.0),  # the same purchase
    (4, "2024-02-29", 0.0),
    (4, "2024-03-31", 0.0),  # free of charge is bought all the same
    (5, "2024-03-02", 5.0),  # followed for 29 days
    (None, "2024-03-03", 5.0),
]


def test_by_hand():
    with logs.opened(GOLDEN) as tx:
        ever = ly.repurchase_rate(tx)
        within = ly.repurchase_rate(tx, within="30d")
    assert (ever.numerator, ever.denominator, ever.n, ever.value) == (3, 5, 5, 0.6)
    assert ever.note == ""
    assert (within.numerator, within.denominator, within.excluded) == (1, 4, 1)
    assert "less than 30 days): 1" in within.note


@pytest.mark.parametrize("within", ["31d", "31 days", dt.timedelta(days=31)])
def test_a_duration_may_be_spelled_in_several_ways(within):
    with logs.opened(GOLDEN) as tx:
        found = ly.repurchase_rate(tx, within=within)
    assert (found.numerator, found.denominator) == (3, 4)
    assert found.name == "repurchase rate within 31 days"


def test_both_ends_of_within_count():
    rows = [(1, "2024-01-01", 5.0), (1, "2024-01-08", 5.0), (2, "2024-01-01", 5.0)]
    with logs.opened(rows) as tx:
        assert ly.repurchase_rate(tx, within="1w").value == 0.5  # day 7, of customers followed for exactly 7 days
        assert ly.repurchase_rate(tx, within="6d").value == 0.0


def test_customers_acquired_before_the_window_may_repurchase_but_are_not_new():
    rows = [
        (1, "2023-12-01", 5.0),
        (1, "2024-01-02", 5.0),  # the only purchase of the window
        (2, "2023-12-01", 5.0),
        (2, "2024-01-02", 5.0),
        (2, "2024-01-03", 5.0),
        (3, "2024-01-02", 5.0),
        (3, "2024-01-03", 5.0),
        (4, "2023-12-01", 5.0),  # not in the window at all
    ]
    with logs.opened(rows, observed_from="2024-01-01", observed_until="2024-03-01") as tx:
        ever, within = ly.repurchase_rate(tx), ly.repurchase_rate(tx, within="30d")
    assert (ever.numerator, ever.denominator) == (2, 3)
    assert ever.note == "customers among them who were acquired before the window: 2"
    assert (within.numerator, within.denominator, within.excluded) == (1, 1, 2)


def test_orders_of_one_day_are_two_purchases_where_orders_count():
    rows = [(1, "2024-01-01", 5.0, "x"), (1, "2024-01-01", 5.0, "y"), (2, "2024-01-09", 5.0, "z")]
    with logs.opened(rows, "order", order="order", occasion="order") as tx:
        assert ly.repurchase_rate(tx).numerator == 1
        assert ly.repurchase_rate(tx, within="1d").value == 1.0  # of the one followed for a day
    with logs.opened(rows, "order", order="order") as tx:
        assert ly.repurchase_rate(tx).numerator == 0


@logs.every
def test_against_counting_by_hand(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        found = ly.repurchase_rate(tx, confidence=0.9)
        twice = sum(len(mine) >= 2 for mine in case.bought.values())
        assert (found.numerator, found.denominator) == (twice, len(case.bought))
        assert logs.close(logs.limits(found), logs.wilson(twice, len(case.bought), 0.9))
        for days in (1, 7, 30, 200):
            found = ly.repurchase_rate(tx, within=f"{days}d")
            eligible = [
                mine
                for customer, mine in case.bought.items()
                if case.debut[customer] >= case.first and (case.last - case.debut[customer]).days >= days
            ]
            early = sum(len(mine) > 1 and (mine[1][0] - mine[0][0]).days <= days for mine in eligible)
            assert (found.numerator, found.denominator, found.n) == (early, len(eligible), len(eligible))
            assert found.excluded == len(case.bought) - len(eligible)
            assert logs.close(logs.limits(found), logs.wilson(early, len(eligible)))
            assert bool(found.note) == (found.excluded > 0)


def test_nobody_eligible_is_undefined_and_says_why():
    with logs.opened([(1, "2024-01-01", 5.0)]) as tx:
        found = ly.repurchase_rate(tx, within="90d")
    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert (found.n, found.excluded) == (0, 1)
    assert "undefined: no customer was observed for 90 days after the first purchase" in found.note
    assert str(found).startswith("Repurchase rate within 90 days: not defined (0 of 0 customers). Note: ")


def test_one_customer_has_the_wide_interval_of_one_customer():
    with logs.opened([(1, "2024-01-01", 5.0)]) as tx:
        found = ly.repurchase_rate(tx)
    assert logs.close(logs.limits(found), (0.0, 0.0, 0.7934506856227626))  # Wilson: z²/(1 + z²)


def test_methods():
    z, n, share = norm.ppf(0.9), 5, 3 / 5
    half = z * math.sqrt(share * (1 - share) / n)
    moved = (3 + z * z / 2) / (n + z * z)
    spread = z * math.sqrt(moved * (1 - moved) / (n + z * z))
    expected = {
        "wilson": logs.wilson(3, 5, 0.8)[1:],
        "wald": (share - half, share + half),
        "adjusted_wald": (moved - spread, moved + spread),
    }
    with logs.opened(GOLDEN) as tx:
        for method, ends in expected.items():
            found = ly.repurchase_rate(tx, method=method, confidence=0.8)
            assert logs.close((found.low, found.high), ends), method
            assert (found.method, found.confidence, found.value) == (method, 0.8, share)


def test_by_and_cohort():
    rows = [(1, "2024-01-01", 5.0, "x"), (1, "2024-02-01", 5.0, "y"), (2, "2024-02-05", 5.0, None)]
    with logs.opened(rows, "shop") as tx:
        by = ly.repurchase_rate(tx, by="shop")
        cohort = ly.repurchase_rate(tx, cohort="month")
    assert {group: (one.numerator, one.n) for group, one in by.items()} == {"x": (1, 1), None: (0, 1)}
    assert {group: (one.numerator, one.n) for group, one in cohort.items()} == {"2024-01": (1, 1), "2024-02": (0, 1)}


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ({"within": 90}, InvalidArgument, "90d"),
        ({"within": "0d"}, InvalidArgument, "whole days"),
        ({"within": "3m"}, InvalidArgument, "months and years"),
        ({"method": "bootstrap"}, InvalidArgument, "'wilson'"),
        ({"confidence": 95}, InvalidArgument, "0.95"),
        ({"confidence": 1.0}, InvalidArgument, "strictly between"),
        ({"by": "shop"}, ColumnError, "customer_id"),
        ({"cohort": "months"}, InvalidArgument, "Did you mean 'month'"),
        ({"by": "amount", "cohort": "month"}, InvalidArgument, "not both"),
    ],
)
def test_bad_arguments(arguments, error, hint):
    with logs.opened(GOLDEN) as tx, pytest.raises(error, match=hint):
        ly.repurchase_rate(tx, **arguments)
