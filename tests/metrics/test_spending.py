import itertools
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import logs
import loyalty as ly
from loyalty.errors import ColumnError, InvalidArgument

NAMES = [
    "purchases",
    "revenue",
    "average_order_value",
    "sales_per_customer",
    "purchase_frequency",
    "mean_time_between_purchases",
    "median_time_between_purchases",
]

GOLDEN = [
    (1, "2024-01-01", 10.0),
    (1, "2024-01-01", 2.0),  # the same purchase
    (1, "2024-01-11", 8.0),
    (1, "2024-01-31", 0.0),
    (2, "2024-01-05", 30.0),
    (2, "2024-02-04", 10.0),
    (3, "2024-01-09", 20.0),
    (3, "2024-01-12", -5.0),
]


def test_by_hand():
    with logs.opened(GOLDEN) as tx:
        found = ly.spending(tx)
    assert list(found.estimates()) == NAMES
    assert found.discount_rate is None
    assert [estimate.value for estimate in found.estimates().values()] == [6, 75, 12.5, 25, 2, 20, 20]
    waits = found.mean_time_between_purchases
    assert (waits.numerator, waits.denominator, waits.n) == (60, 3, 2)  # 10 and 20 days of one, 30 of the other
    assert found.median_time_between_purchases.n == 2
    assert (found.average_order_value.numerator, found.average_order_value.denominator) == (75, 6)
    # spends of 20, 40, 15 around 25: squares 25, 225, 100
    half = 1.959963984540054 * math.sqrt(1.5 * 350)
    assert found.revenue.high == pytest.approx(75 + half, rel=1e-12)
    assert found.sales_per_customer.low == pytest.approx(25 - half / 3, rel=1e-12)
    assert [estimate.unit for estimate in found.estimates().values()] == [
        "purchases", "money", "money", "money", "purchases", "days", "days",
    ]  # fmt: skip


def test_discounts_are_a_share_of_sales_before_them():
    rows = [(1, "2024-01-01", 90.0, 10.0), (2, "2024-01-02", 100.0, None), (3, "2024-01-02", 45.0, 5.0)]
    with logs.opened(rows, "off", discount="off") as tx:
        found = ly.spending(tx).discount_rate
    assert (found.numerator, found.denominator, found.value, found.unit) == (15.0, 250.0, 0.06, "share")


def test_orders_of_one_day_are_zero_days_apart():
    rows = [(1, "2024-01-01", 5.0, "b"), (1, "2024-01-01", 7.0, "a"), (1, "2024-01-05", 5.0, "c"),
            (1, "2024-01-05", 5.0, None), (2, "2024-01-05", 5.0, None)]  # fmt: skip
    with logs.opened(rows, "order", order="order", occasion="order") as tx:
        found, bars = ly.spending(tx), ly.purchase_gaps(tx)
    assert found.purchases.value == 5
    assert found.average_order_value.value == 27 / 5
    assert found.mean_time_between_purchases.value == 4 / 3
    assert found.median_time_between_purchases.value == 0.0
    assert list(zip(bars["from_days"], bars["count"], strict=True)) == [(0, 2), (1, 0), (2, 0), (3, 0), (4, 1)]
    with logs.opened(rows, "order", order="order") as tx:
        assert ly.spending(tx).purchases.value == 3


def test_purchases_before_the_window_start_no_wait():
    rows = [(1, "2023-01-01", 5.0), (1, "2024-01-05", 5.0), (1, "2024-01-08", 5.0), (2, "2023-12-31", 5.0),
            (2, "2024-01-01", 9.0)]  # fmt: skip
    with logs.opened(rows, observed_from="2024-01-01") as tx:
        found = ly.spending(tx)
    assert (found.purchases.value, found.revenue.value) == (3, 19)
    assert (found.mean_time_between_purchases.value, found.mean_time_between_purchases.n) == (3.0, 1)


def woodruff(waits, confidence):
    """Return the median of waits ({customer: [days]}) and its interval, a customer being one draw."""
    together = sorted(wait for mine in waits.values() for wait in mine)
    if not together:
        return math.nan, math.nan, math.nan

    def quantile(share):
        return next(wait for place, wait in enumerate(together, 1) if place >= share * len(together) - 1e-9)

    middle = quantile(Fraction(1, 2))
    if len(waits) < 2:
        return middle, math.nan, math.nan
    share, _, high = logs.ratio([(sum(w <= middle for w in mine), len(mine)) for mine in waits.values()], confidence)
    half = high - share
    return middle, quantile(max(0.5 - half, 0.0)), quantile(min(0.5 + half, 1.0))


@logs.every
def test_against_counting_by_hand(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        found = ly.spending(tx, confidence=0.8).estimates()
        bars = ly.purchase_gaps(tx)
    people = list(case.bought.values())
    spend, times = [sum(spend for _, spend in mine) for mine in people], [len(mine) for mine in people]
    waits = {customer: [(two - one).days for (one, _), (two, _) in itertools.pairwise(mine)]
             for customer, mine in case.bought.items() if len(mine) > 1}  # fmt: skip
    off = {}
    for one in case.naive.purchases.values():
        off[one.customer] = off.get(one.customer, 0.0) + one.sums["discount"]
    pairs = {
        "average_order_value": list(zip(spend, times, strict=True)),
        "sales_per_customer": [(one, 1) for one in spend],
        "purchase_frequency": [(one, 1) for one in times],
        "mean_time_between_purchases": [(sum(mine), len(mine)) for mine in waits.values()],
        "discount_rate": [(off[who], off[who] + sum(s for _, s in mine)) for who, mine in case.bought.items()],
    }
    for name, mine in pairs.items():
        expected = logs.ratio(mine, 0.8)
        same_interval(found[name], expected)
        assert found[name].n == len(mine), name
        assert math.isnan(found[name].low) == (len(mine) < 2), name
        assert bool(found[name].note) == (len(mine) < 2)
    n = len(people)
    for total, mean in (("purchases", "purchase_frequency"), ("revenue", "sales_per_customer")):
        same_interval(found[total], tuple(n * part for part in logs.limits(found[mean])))
        assert found[total].denominator == 1
    median = found["median_time_between_purchases"]
    assert logs.close(logs.limits(median), woodruff(waits, 0.8))
    assert (median.n, median.denominator) == (len(waits), sum(map(len, waits.values())))
    assert bool(median.note) == (len(waits) < 2)
    flat = [wait for mine in waits.values() for wait in mine]
    for line in bars.data.to_pylist():
        assert line["count"] == sum(line["from_days"] <= wait <= line["to_days"] for wait in flat)
    assert sum(bars["count"]) == len(flat)
    assert len(bars) <= 61


def same_interval(found, expected):
    """A width that is nothing but rounding may be any nothing."""
    assert logs.close(logs.limits(found), expected) or logs.close(logs.limits(found), expected, 1e-5), found.name
    assert logs.close((found.value,), expected[:1]), found.name


@pytest.mark.parametrize(("by", "cohort"), [("kind", None), (None, "month"), (None, "year")])
def test_groups_have_medians_with_intervals_too(by, cohort):
    case = logs.case(5)
    with case.opened(occasion="day", returns="net") as tx:
        found = ly.spending(tx, by=by, cohort=cohort)
    assert len(found) > 1
    assert sum(one.purchases.value for one in found.values()) == len(case.naive.purchases)
    assert sum(one.median_time_between_purchases.n for one in found.values()) == sum(
        len(mine) > 1 for mine in case.bought.values()
    )
    for one in found.values():
        median = one.median_time_between_purchases
        assert math.isnan(median.low) == (median.n < 2)
        assert not median.low > median.value
        assert not median.high < median.value


@pytest.fixture(scope="module")
def simulated():
    """700 customers of differing pace over ten years: waits of many lengths, so that a median hardly jumps."""
    rng = np.random.default_rng(4)
    rows = []
    for customer in range(700):
        pace = rng.gamma(2.0, 60.0)
        days = np.cumsum(np.round(rng.exponential(pace, 1 + rng.poisson(8)))).astype(int)
        rows += [(customer, day, spend) for day, spend in zip(days, rng.gamma(3, pace / 9, len(days)), strict=True)]
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    return frame.assign(date=pd.Timestamp("2000-01-01") + pd.to_timedelta(frame["day"], unit="D"))


def test_intervals_are_those_of_customers_drawn_again(simulated):
    with ly.transactions(simulated[["customer_id", "date", "amount"]]) as tx:
        found = ly.spending(tx).estimates()
    days = simulated.groupby(["customer_id", "day"])["amount"].sum().reset_index()
    each = days.groupby("customer_id").agg(spend=("amount", "sum"), times=("day", "size"), first=("day", "min"),
                                           last=("day", "max"))  # fmt: skip
    spend, times = each["spend"].to_numpy(), each["times"].to_numpy()
    span, n = (each["last"] - each["first"]).to_numpy(), len(each)
    waits = [np.diff(mine.to_numpy()) for _, mine in days.groupby("customer_id")["day"]]
    statistics = {
        "purchases": lambda drawn: times[drawn].sum(),
        "revenue": lambda drawn: spend[drawn].sum(),
        "average_order_value": lambda drawn: spend[drawn].sum() / times[drawn].sum(),
        "sales_per_customer": lambda drawn: spend[drawn].mean(),
        "purchase_frequency": lambda drawn: times[drawn].mean(),
        "mean_time_between_purchases": lambda drawn: span[drawn].sum() / (times[drawn] - 1).sum(),
        "median_time_between_purchases": lambda drawn: np.quantile(
            np.concatenate([waits[place] for place in drawn]), 0.5, method="inverted_cdf"
        ),
    }
    for name, statistic in statistics.items():
        assert found[name].value == pytest.approx(statistic(np.arange(n)), rel=1e-9)
        low, high = logs.bootstrap(statistic, n, replicates=1000)
        tolerance = 0.2 if name.startswith("median") else 0.1  # its limits are whole days
        assert found[name].high - found[name].low == pytest.approx(high - low, rel=tolerance), name


def test_nobody_repeats():
    with logs.opened([(1, "2024-01-01", 5.0), (2, "2024-01-02", 5.0)]) as tx:
        found, bars = ly.spending(tx), ly.purchase_gaps(tx)
    for estimate in (found.mean_time_between_purchases, found.median_time_between_purchases):
        assert math.isnan(estimate.value)
        assert estimate.note == "undefined: nobody bought twice in the window"
        assert estimate.n == 0
    assert str(bars) == (
        "Time between purchases: 0 waits from a purchase to the customer's next. "
        "Note: nobody bought twice in the window."
    )
    assert len(bars) == 0


def test_one_customer_has_numbers_and_no_interval():
    with logs.opened([(1, "2024-01-01", 5.0), (1, "2024-01-09", 15.0)]) as tx:
        found = ly.spending(tx)
    assert [estimate.value for estimate in found.estimates().values()] == [2, 20, 10, 20, 2, 8, 8]
    for estimate in found.estimates().values():
        assert math.isnan(estimate.low)
        assert estimate.note == "no interval: it needs two customers or more"
        assert estimate.n == 1


def test_customers_may_cost_more_than_they_bring():
    with logs.opened([(1, "2024-01-01", 5.0), (1, "2024-01-02", -25.0), (2, "2024-01-02", 5.0)]) as tx:
        found = ly.spending(tx)
    assert (found.revenue.value, found.average_order_value.value) == (-15.0, -7.5)
    assert found.purchases.value == 2


def test_gaps_are_shown_in_at_most_sixty_bars():
    rows = [(1, pd.Timestamp("2000-01-01") + pd.Timedelta(days=day * (day + 1) // 2), 1.0) for day in range(200)]
    with logs.opened(rows) as tx:
        bars = ly.purchase_gaps(tx)
    assert sum(bars["count"]) == 199  # waits of 1, 2, …, 199 days
    assert set(np.subtract(bars["to_days"], bars["from_days"])) == {3}
    assert bars["count"][1:-1] == [4] * (len(bars) - 2)
    assert bars.plot() is not None


def test_a_group_without_waits_is_there():
    rows = [(1, "2024-01-01", 5.0, "x"), (1, "2024-01-04", 5.0, "x"), (2, "2024-01-02", 5.0, None)]
    with logs.opened(rows, "shop") as tx:
        found = ly.spending(tx, by="shop")
    assert found["x"].median_time_between_purchases.value == 3.0
    assert found[None].median_time_between_purchases.note == "undefined: nobody bought twice in the window"
    assert found[None].revenue.value == 5.0


def test_sentences():
    with logs.opened(GOLDEN) as tx:
        lines = str(ly.spending(tx)).splitlines()
    assert lines[1].startswith("Revenue: 75.00 (95 % interval ")
    assert lines[2].startswith("Average order value: 12.50 (95 % interval ")
    assert lines[2].endswith("75 / 6, 3 customers).")
    assert lines[5].startswith("Mean time between purchases: 20.0 days (95 % interval ")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"confidence": 1}, InvalidArgument),
        ({"by": "shop"}, ColumnError),
        ({"cohort": "era"}, InvalidArgument),
        ({"by": "amount", "cohort": "day"}, InvalidArgument),
    ],
)
def test_bad_arguments(arguments, error):
    with logs.opened(GOLDEN) as tx, pytest.raises(error):
        ly.spending(tx, **arguments)
