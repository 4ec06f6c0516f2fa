import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import logs
import loyalty as ly
import sources
from loyalty.errors import ColumnError, InvalidArgument
from loyalty.metrics.spend_distribution import _edges, spend_distribution

GROWN = 20.0


def spends(frame, customer="customer_id"):
    """Return what each customer spent, one by one."""
    return frame.groupby(customer)["amount"].sum().to_list()


def check(table, values):
    """Every bar holds the customers it says, none is left out, and ends are round sums."""
    for row in table:
        # Sums of floats in another order may lie on the other side of an end.
        slack = 1e-8 * max(abs(row["from"]), abs(row["to"]))
        least = sum(row["from"] + slack <= value < row["to"] - slack for value in values)
        most = sum(row["from"] - slack <= value < row["to"] + slack for value in values)
        assert least <= row["count"] <= most, row
        for end in (row["from"], row["to"]):
            assert float(f"{end:.3g}") == end or end == round(end), row
    assert sum(table["count"]) == len(values)
    assert table["from"][1:] == table["to"][:-1]
    assert len(table) <= 60
    assert (table.chart, table.units) == ("spend_distribution", {"from": "money", "to": "money"})


def opened(values, **options):
    """Return the transactions of customers who spent so much; what is below 0 was bought for 1000 before."""
    rows = [(place, "2024-01-01", value) for place, value in enumerate(values) if value >= 0]
    for place, value in enumerate(values):
        if value < 0:
            rows += [(place, "2024-01-01", 1000.0), (place, "2024-01-02", value - 1000.0)]
    return logs.opened(rows, **options)


def widths(table):
    return np.subtract(table["to"], table["from"])


# ------------------------------------------------------------------------------------------------------- by hand


def test_bars_of_one_width_by_hand():
    with opened([20.5, 21, 25, 25, 29]) as tx:
        table = spend_distribution(tx)
    assert table["from"] == list(range(20, 30))
    assert table["count"] == [1, 1, 0, 0, 0, 2, 0, 0, 0, 1]
    assert str(table) == "Spend per customer: 5 customers in 10 bars."


def test_growing_bars_by_hand():
    values = [1.0] * 5 + [1.1, 1.5, 1.7, 3.0, 9.9, 500.5]
    with opened(values) as tx:
        table = spend_distribution(tx)
    # Five for each power of ten are 14 bars; ten would be more than eleven customers can fill.
    assert list(zip(table["from"], table["to"], table["count"], strict=True)) == [
        (1.0, 1.6, 7), (1.6, 2.5, 1), (2.5, 4.0, 1), (4.0, 6.3, 0), (6.3, 10.0, 1), (10.0, 16.0, 0), (16.0, 25.0, 0),
        (25.0, 40.0, 0), (40.0, 63.0, 0), (63.0, 100.0, 0), (100.0, 160.0, 0), (160.0, 250.0, 0), (250.0, 400.0, 0),
        (400.0, 630.0, 1),
    ]  # fmt: skip


def test_growing_bars_around_nought_by_hand():
    values = [0.0, 0.5, *[2.0] * 200, *[3.5] * 10, 400.0, -1.0, -7.0]
    with opened(values) as tx:
        table = spend_distribution(tx)
    assert [row for row in table.data.to_pylist() if row["count"]] == [
        {"from": -10.0, "to": -6.3, "count": 1},
        {"from": -1.6, "to": 0.0, "count": 1},
        {"from": 0.0, "to": 1.6, "count": 2},
        {"from": 1.6, "to": 2.5, "count": 200},
        {"from": 2.5, "to": 4.0, "count": 10},
        {"from": 400.0, "to": 630.0, "count": 1},
    ]
    assert table.note == "more was returned than bought by 2 customers"


@pytest.mark.parametrize(
    ("values", "ends"),
    [([10.0, 10.0], (10.0, 11.0)), ([250.0], (250.0, 260.0)), ([0.0, 0.0], (0.0, 1.0)), ([0.25], (0.25, 0.26)),
     ([-40.0], (-40.0, -39.0))],
)  # fmt: skip
def test_one_value_is_one_bar(values, ends):
    with opened(values) as tx:
        table = spend_distribution(tx)
    assert table.data.to_pylist() == [{"from": ends[0], "to": ends[1], "count": len(values)}]


# -------------------------------------------------------------------------------------------- against naive counts


def test_cdnow():
    frame = ly.datasets.cdnow()
    with ly.transactions(frame) as tx:
        table = ly.spend_distribution(tx)
    check(table, spends(frame))
    assert widths(table).max() > GROWN * widths(table).min()
    ratios = np.divide(table["to"][1:], table["from"][1:])
    assert 1.2 < ratios.min() <= ratios.max() < 1.3  # ten for each power of ten, the first from 0
    assert (table["from"][0], table["to"][-1]) == (0.0, 16_000.0)
    assert max(table["count"]) < 0.15 * sum(table["count"])
    assert table.note == ""


@pytest.mark.parametrize("size", [1, 4, 50, 3000])
@pytest.mark.parametrize(
    ("draw", "grows"),
    [
        (lambda rng, size: rng.gamma(9, 5, size), False),
        (lambda rng, size: rng.uniform(900, 1000, size), False),
        (lambda rng, size: rng.lognormal(3, 2.0, size), True),
        (lambda rng, size: np.round(rng.lognormal(3, 2.0, size)), True),
        (lambda rng, size: 1e-4 * rng.lognormal(3, 2.0, size), True),
        (lambda rng, size: 1e9 * rng.lognormal(0, 2.5, size), True),
        (lambda rng, size: rng.lognormal(3, 2, size) * rng.choice([1, 1, 1, 0], size), True),
        (lambda rng, size: rng.lognormal(3, 2, size) * rng.choice([1, 1, 1, -1], size), True),
        (lambda rng, size: rng.normal(0, 10, size), False),
    ],
)
def test_drawn_spend(draw, grows, size):
    values = draw(np.random.default_rng(size), size).tolist()
    with opened(values) as tx:
        table = spend_distribution(tx)
    check(table, values)
    if size == 3000:
        assert (widths(table).max() > GROWN * widths(table).min()) == grows
        assert len(table) >= 12
        assert max(table["count"]) < 0.4 * size
    below = sum(value < 0 for value in values)
    assert bool(below) == (f"by {below:,} customer" in table.note)


@pytest.mark.parametrize("grows", [False, True])
def test_whole_money_has_whole_bars(grows):
    rng = np.random.default_rng(1)
    values = np.ceil(rng.lognormal(1, 1.6, 2000) if grows else rng.gamma(4, 3, 2000))
    with opened(values.tolist()) as tx:
        table = spend_distribution(tx)
    check(table, values)
    assert all(end == round(end) for end in table["from"] + table["to"])
    if grows:
        assert table["from"][:6] == [1, 2, 3, 4, 5, 7]


@logs.every
def test_random_logs(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        table, groups = spend_distribution(tx), spend_distribution(tx, by="kind")
        months = spend_distribution(tx, cohort="month")
        values = tx.collect(tx.customers)["spend"].to_pylist()
    check(table, values)
    for several in (groups, months):
        assert np.sum([one["count"] for one in several.values()], axis=0).tolist() == table["count"]
        for one in several.values():
            assert (one["from"], one["to"]) == (table["from"], table["to"])


@sources.every
def test_every_source_gives_the_same(source, tmp_path):
    log = ly.datasets.cdnow_sample().head(2000)
    with ly.transactions(log) as tx:
        expected = spend_distribution(tx).data.to_pydict()
    with sources.opened(source, log, tmp_path) as tx:
        assert sources.same(spend_distribution(tx).data.to_pydict(), expected)


NUMBER = st.one_of(st.floats(-1e6, 1e6), st.floats(1e-8, 1e12), st.integers(-5, 500).map(float))


@settings(max_examples=400, deadline=None)
@given(st.lists(NUMBER, min_size=1, max_size=30), st.booleans())
def test_bars_hold_all_whatever_was_spent(values, whole):
    values = [round(value) if whole else value for value in values]
    array = np.where(np.abs(values) > 1e-9, values, 0.0)
    positive = array[array > 0.0]
    found = {"n": len(values), "low": array.min(), "high": array.max(), "broken": 0 if whole else 1,
             "from_": np.quantile(array, 0.1), "to": np.quantile(array, 0.9),
             "first": float(np.quantile(positive, 0.005)) if len(positive) else None}  # fmt: skip
    edges = _edges(found)
    assert (np.diff(edges) > 0.0).all()
    assert 2 <= len(edges) <= 61
    slack = 1e-9 * np.abs(array).max()
    assert edges[0] <= array.min() + slack
    assert edges[-1] > array.max() - slack
    if whole:
        assert (edges == np.round(edges)).all()


# --------------------------------------------------------------------------------------------------------- edges


def test_what_was_returned_again_is_nothing():
    rows = [(1, "2024-01-01", 0.1), (1, "2024-01-02", 0.2), (1, "2024-01-03", -0.3), (2, "2024-01-01", 30.0)]
    rows += [(3, "2024-01-01", 5.0), (3, "2024-01-05", -5.5)]
    with logs.opened(rows) as tx:
        table = spend_distribution(tx)
    assert [row["count"] for row in table if row["from"] <= 0.0 < row["to"]] == [1]
    assert table.note == "more was returned than bought by 1 customer"


def test_the_picture_draws_the_bars():
    with opened([*np.random.default_rng(2).lognormal(3, 2, 500).tolist(), -5.0, 0.0]) as tx:
        table = spend_distribution(tx)
    bars = [(bar.get_x(), bar.get_x() + bar.get_width(), bar.get_height()) for bar in table.plot().patches]
    assert bars == [pytest.approx((row["from"], row["to"], row["count"])) for row in table]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"by": "shop"}, ColumnError),
        ({"cohort": "era"}, InvalidArgument),
        ({"by": "a", "cohort": "day"}, InvalidArgument),
    ],
)
def test_bad_arguments(arguments, error):
    with opened([5.0]) as tx, pytest.raises(error):
        spend_distribution(tx, **arguments)


def test_a_table_is_no_transactions():
    with pytest.raises(InvalidArgument, match="spend_distribution takes transactions"):
        spend_distribution(pd.DataFrame({"amount": [math.pi]}))
