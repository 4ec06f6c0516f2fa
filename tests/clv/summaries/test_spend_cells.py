"""Spend cells: counted from arrays and in engines, as pairs and on the grid."""

import itertools

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.clv.kernels import _gammagamma as kernel
from loyalty.clv.summaries import spend_cells
from loyalty.clv.summaries.spend_cells import SpendCells
from loyalty.errors import InvalidArgument, InvalidRows

PARAMS = [
    *itertools.product((1e-3, 1.0, 6.25, 300.0), (1e-3, 0.9, 3.74, 300.0), (1e-3, 15.44, 1e6)),
    (1e4, 3.0, 1e-2), (3.0, 1e4, 1e5), (1e4, 1e4, 30.0),
]  # fmt: skip


def customers(n=40_000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.geometric(0.25, n)
    mean = rng.gamma(6.25 * x) / x / rng.gamma(3.74, 1 / 15.44, n)
    mean[: n // 4] = rng.choice([4.99, 9.99, 20.0, 100.0], n // 4)  # ties, and prices that whole shops have
    mean[-3:] = (1e-6, 1e9, 1.0)  # far from all others; and the border of a bucket
    return x, mean


def same(one, other, rel=1e-9):
    """Assert that two sets of cells stand for the same customers."""
    assert (one.x == other.x).all()
    assert one.mean == pytest.approx(other.mean, rel=1e-12)
    assert one.weight == pytest.approx(other.weight, rel=rel, abs=1e-7)
    for name in ("log_mean", "customers", "low", "high", "without_repeat", "not_positive"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-12, nan_ok=True)
    assert one.exact == other.exact


def in_duckdb(columns):
    connection = duckdb.connect()
    connection.from_arrow(pa.table(columns)).create("people")
    return SpendCells.from_frame(
        nw.from_native(connection.table("people")), lambda frame: nw.to_native(frame).to_arrow_table()
    )


def in_polars(columns):
    return SpendCells.from_frame(
        nw.from_native(pl.LazyFrame(columns)), lambda frame: nw.to_native(frame).collect().to_arrow()
    )


engines = pytest.mark.parametrize("engine", [in_duckdb, in_polars])


def test_pairs_by_hand():
    cells = SpendCells.of([2, 1, 2, 0, 1, 3, 0], [30.0, 12.0, 30.0, 0.0, 0.0, -4.0, np.nan])
    assert cells.x.tolist() == [1, 2]
    assert cells.mean.tolist() == [12.0, 30.0]
    assert cells.weight.tolist() == [1, 2]
    assert (cells.customers, cells.without_repeat, cells.not_positive) == (3, 2, 2)
    assert (cells.low, cells.high) == (12.0, 30.0)
    assert cells.log_mean == pytest.approx(np.log(12 * 30 * 30))
    assert cells.exact
    assert cells.starts.tolist() == [0, 1]
    assert len(cells) == 2


def test_weights_stand_for_customers():
    x, mean = customers(300)
    weight = np.random.default_rng(1).integers(1, 5, 300)
    same(SpendCells.of(x, mean, weight), SpendCells.of(np.repeat(x, weight), np.repeat(mean, weight)))


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([-1.0, 0.0, 0.5, 7.0, 8.0])), max_size=30), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_is_of_no_account(rows, random):
    cells = SpendCells.of([row[0] for row in rows], [row[1] for row in rows])
    random.shuffle(rows)
    same(cells, SpendCells.of([row[0] for row in rows], [row[1] for row in rows]))
    assert cells.customers + cells.without_repeat + cells.not_positive == len(rows)
    assert cells.weight.sum() == cells.customers


@pytest.mark.parametrize(
    ("x", "mean", "weight", "message"),
    [
        ([1.5], [2.0], None, "no whole number"),
        ([-1], [2.0], None, "first: -1"),
        ([np.nan], [2.0], None, "no whole number"),
        ([np.inf], [2.0], None, "no whole number"),
        ([1, 2], [np.nan, 1.0], None, "1 customers have a mean spend"),
        ([1], [np.inf], None, "not finite"),
        ([1, 2], [1.0], None, "one length"),
        ([1], [1.0], [0.0], "above 0"),
        ([1], [1.0], [np.nan], "above 0"),
        ([1], [1.0], [1.0, 2.0], "one length"),
    ],
)
def test_what_cannot_be(x, mean, weight, message):
    with pytest.raises(InvalidArgument, match=message):
        SpendCells.of(x, mean, weight)


def test_nobody():
    for cells in (SpendCells.of([], []), SpendCells.of([0, 0], [0.0, 3.0]), SpendCells.of([2], [-3.0])):
        assert len(cells) == 0
        assert cells.customers == 0
        assert np.isnan(cells.low)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_grid_is_as_good_as_the_pairs(weighted, monkeypatch):
    x, mean = customers()
    weight = np.random.default_rng(1).uniform(0.5, 3.0, len(x)) if weighted else None
    grid = SpendCells.of(x, mean, weight)
    assert not grid.exact
    assert len(grid) < 4_000
    monkeypatch.setattr(spend_cells, "MOST_PAIRS", len(x))
    pairs = SpendCells.of(x, mean, weight)
    assert len(pairs) > 25_000
    assert (grid.log_mean, grid.customers, grid.low, grid.high) == (
        pytest.approx(pairs.log_mean, rel=1e-13), pairs.customers, pairs.low, pairs.high,
    )  # fmt: skip
    assert grid.weight.sum() == pytest.approx(pairs.customers, rel=1e-12)
    for params in PARAMS:
        value, gradient = kernel.total(params, pairs)
        found = kernel.total(params, grid)
        assert found[0] == pytest.approx(value, rel=1e-11), params  # asked for: 1e-9
        assert found[1] == pytest.approx(gradient, abs=1e-11 * abs(value)), params
        hessian = kernel.total_hessian(params, pairs)
        assert kernel.total_hessian(params, grid) == pytest.approx(hessian, abs=1e-10 * np.abs(hessian).max()), params


def test_the_grid_at_the_maximum_of_spends_that_hardly_differ(monkeypatch):
    # The sum is largest there beside the log-likelihood: p and q are large, and their terms cancel.
    rng = np.random.default_rng(2)
    x = rng.geometric(0.3, 20_000)
    mean = 20.0 * rng.gamma(2e4 * x) / (2e4 * x) / (rng.gamma(1e4, 1e-4, len(x)))
    grid = SpendCells.of(x, mean)
    monkeypatch.setattr(spend_cells, "MOST_PAIRS", len(x))
    params = (2e4, 1e4, 20.0 * 1e4 / 2e4)
    value = kernel.total(params, SpendCells.of(x, mean))[0]
    assert kernel.total(params, grid)[0] == pytest.approx(value, rel=1e-9)


def test_few_customers_of_enormous_frequency(monkeypatch):
    monkeypatch.setattr(spend_cells, "MOST_PAIRS", 3)
    x, mean = np.array([10**9, 1, 1, 2, 10**9]), np.array([1e-300, 1e300, 1.0, 1.0, 1e-300])
    grid = SpendCells.of(x, mean)
    assert not grid.exact
    assert set(grid.x) == {1.0, 2.0, 1e9}
    assert grid.weight.sum() == pytest.approx(5.0)


@engines
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_engines_count_alike(engine, exact, weighted):
    x, mean = customers(5_000 if exact else 40_000)
    x[:50], mean[:50] = 0, 0.0
    mean[100:120], mean[120:123] = 0.0, -2.5
    columns = {"frequency": x, "monetary_value": mean, "customer": np.arange(len(x))}
    weight = np.random.default_rng(1).uniform(0.5, 3.0, len(x)) if weighted else None
    cells = engine(columns | ({"weight": weight} if weighted else {}))
    assert cells.exact is exact
    same(cells, SpendCells.of(x, mean, weight))


@engines
def test_engines_with_nobody(engine):
    cells = engine({"frequency": [0, 0, 2], "monetary_value": [0.0, 0.0, -1.0]})
    assert (len(cells), cells.customers, cells.without_repeat, cells.not_positive) == (0, 0, 2, 1)


@engines
@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_engines_refuse_what_is_missing(engine, value):
    with pytest.raises(InvalidRows, match="missing or not finite"):
        engine({"frequency": [2, 1], "monetary_value": [5.0, value]})
    cells = engine({"frequency": [2, 0], "monetary_value": [5.0, value]})  # not read without a repeat
    assert (cells.customers, cells.without_repeat) == (1, 1)


def test_another_currency():
    x, mean = customers(500)
    same(SpendCells.of(x, mean / 100.0), SpendCells.of(x, mean).scaled(100.0))
    assert SpendCells.of([1, 2], [4.0, 9.0]).typical == pytest.approx(6.0)


def test_means_that_differ_by_rounding_are_one():
    """Another engine, or another order of rows, adds the same amounts up to another last digit."""
    mean = np.array([0.1 + 0.2, 0.3, 0.3, 0.3 + 1e-6])
    cells = SpendCells.of([2, 2, 3, 2], mean)
    assert cells.x.tolist() == [2, 2, 3]
    assert cells.weight.tolist() == [2, 1, 1]
    assert np.allclose(cells.mean, [0.3, 0.3 + 1e-6, 0.3], rtol=1e-12)
