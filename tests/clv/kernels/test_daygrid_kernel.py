"""Sums over cells on a grid of days: against the sum of single customers, and published fits."""

import gc
import pickle

import numpy as np
import pandas as pd
import pytest

from loyalty import datasets
from loyalty.clv.kernels import _daygrid, _gridrows
from loyalty.clv.kernels._ggomnbd import KERNEL as GGOM
from loyalty.clv.kernels._ggomnbd import LAW as GGOM_LAW
from loyalty.clv.kernels._nbd import KERNEL as NBD
from loyalty.clv.kernels._paretonbd import KERNEL as PARETO
from loyalty.clv.kernels._paretonbd import LAW as PARETO_LAW
from loyalty.clv.summaries.cells import Cells

LAWS = [(PARETO, PARETO_LAW), (GGOM, GGOM_LAW)]
ORDINARY = {4: (0.55, 10.6, 0.6, 11.7), 5: (0.55, 10.6, 0.6, 0.05, 2.0)}


def customers(seed, n=2000, days=300, step=1 / 7, most=200):
    """Cells of customers who buy and drop out at rates of their own; some have more purchases than days."""
    rng = np.random.default_rng(seed)
    T = rng.integers(0, days, n)
    end = np.minimum(T, rng.exponential(1, n) / rng.gamma(0.6, 1 / 60, n))
    x = np.minimum(rng.poisson(rng.gamma(0.6, 0.2, n) * end), most)
    t_x = np.ceil(end * rng.random(n) ** (1 / np.maximum(x, 1))).astype(int) * (x > 0)
    x = np.where(t_x > 0, x, 0)
    return Cells.of(x, t_x * step, T * step, rng.integers(1, 4, n), step)


def one_by_one(kernel, params, cells):
    """The weighted sums, customer by customer."""
    given = (params, cells.x, cells.t_x, cells.T)
    return kernel.log_likelihood(*given) @ cells.weight, kernel.gradient(*given) @ cells.weight


def assert_same(found, expected, tolerance=1e-12):
    scale = max(1.0, abs(expected[0]))
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=tolerance * scale)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=tolerance * scale)


def on_the_grid(law, params, cells):
    """How many blocks the grid took for each table of x and t; 0 for those that were taken cell by cell."""
    layout = _gridrows.layout_of(cells)
    grid = _daygrid._grid(law, params, layout.most, layout.step)
    return [len(_daygrid._cuts(rows, grid, params[0]) or [0]) - 1 for rows in layout.rows]


@pytest.mark.parametrize("size", [4, 5])
def test_ordinary_parameters(size):
    (kernel, law), params = LAWS[size - 4], ORDINARY[size]
    cells = customers(0)
    assert on_the_grid(law, params, cells) == [1]
    assert_same(kernel.total(params, cells), one_by_one(kernel, params, cells))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("kernel", "law"), LAWS, ids=["Pareto", "GGom"])
def test_any_parameters(kernel, law, seed):
    rng = np.random.default_rng(seed)
    params = 10 ** rng.uniform(-3, 3, len(kernel.names))
    if kernel is GGOM:
        params[3] = 10 ** rng.uniform(-6, 1)
    cells = customers(seed, n=300, days=int(rng.integers(3, 400)))
    assert_same(kernel.total(params, cells), one_by_one(kernel, params, cells), 1e-11)


@pytest.mark.parametrize(
    ("kernel", "law", "params"),
    [
        (PARETO, PARETO_LAW, (0.5, 0.05, 0.6, 0.05)),  # α and β far shorter than a day
        (PARETO, PARETO_LAW, (0.5, 1e-6, 0.5, 1e-6)),
        (PARETO, PARETO_LAW, (0.5, 1e-6, 0.5, 1e4)),
        (PARETO, PARETO_LAW, (1e4, 1e4, 1e4, 1e4)),
        (GGOM, GGOM_LAW, (0.5, 2.0, 1.0, 10.0, 1e4)),  # the clock bends within a day, a week after the first purchase
        (GGOM, GGOM_LAW, (0.5, 2.0, 1.0, 10.0, 1e-4)),
        (GGOM, GGOM_LAW, (0.5, 2.0, 0.6, 0.1, 1.0)),  # β = 1: no bend at all
        (GGOM, GGOM_LAW, (0.5, 2.0, 0.6, 1e-9, 1e-8)),
    ],
)
def test_parameters_far_from_a_step(kernel, law, params):
    cells = customers(1)
    assert 0 not in on_the_grid(law, params, cells)
    assert_same(kernel.total(params, cells), one_by_one(kernel, params, cells), 1e-11)


def test_more_nodes_change_nothing(monkeypatch):
    cells = customers(2)
    for (kernel, law), params in zip(LAWS, ORDINARY.values(), strict=True):
        few = kernel.total(params, cells)
        nodes = len(_daygrid._grid(law, params, _gridrows.layout_of(cells).most, cells.step).node)
        with monkeypatch.context() as patch:
            patch.setattr(_daygrid, "_EXACT", 2 * _daygrid._EXACT)
            more = len(_daygrid._grid(law, params, _gridrows.layout_of(cells).most, cells.step).node)
            assert more > 1.3 * nodes
            assert_same(kernel.total(params, cells), few, 1e-12)


def test_blocks_join():
    """Where survival falls by thousands of powers of e, the sums are taken in many blocks."""
    cells, params = customers(3), (2.0, 3.0, 40.0, 3.0, 20.0)
    (blocks,) = on_the_grid(GGOM_LAW, params, cells)
    assert blocks > 5
    assert_same(GGOM.total(params, cells), one_by_one(GGOM, params, cells))


def test_too_steep_for_a_grid():
    """Within one step the likelihood falls by more than floats bear: cell by cell, then."""
    cells, params = customers(4, n=200), (1e3, 1e-3, 0.6, 5.0)
    assert on_the_grid(PARETO_LAW, params, cells) == [0]
    assert_same(PARETO.total(params, cells), one_by_one(PARETO, params, cells))


def test_many_purchases_on_few_days():
    # x far above the number of days: no purchase needs a day of its own.
    cells = Cells.of([0, 500, 500, 40], [0, 1, 3, 2], [4, 4, 4, 2], step=1.0)
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        assert_same(kernel.total(params, cells), one_by_one(kernel, params, cells))


def test_several_tables(monkeypatch):
    monkeypatch.setattr(_gridrows, "_TABLE", 1500)
    cells = customers(5)
    assert len(_gridrows.layout_of(cells).rows) > 5
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        assert_same(kernel.total(params, cells), one_by_one(kernel, params, cells))


def test_rare_numbers_of_purchases_stay_off_the_grid():
    x = np.r_[np.zeros(400), np.arange(1, 80)]
    T = np.r_[np.arange(400), np.full(79, 3000.0)]
    cells = Cells.of(x, np.where(x > 0, 1.0, 0.0), T, step=1.0)
    layout = _gridrows.layout_of(cells)
    assert len(layout.loose) == 79
    assert sum(len(rows.weight) for rows in layout.rows) == 400
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        assert_same(kernel.total(params, cells), one_by_one(kernel, params, cells))


@pytest.mark.parametrize("step", [None, 0.1])
def test_off_the_grid(step):
    # No step, or a step that the times are not multiples of.
    on = customers(6, n=300)
    off = Cells(on.x, on.t_x, on.T, on.weight, step)
    assert not _gridrows.layout_of(off).rows
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        assert_same(kernel.total(params, off), kernel.total(params, on))


@pytest.mark.parametrize(
    ("x", "t_x", "T"),
    [
        ([], [], []),
        ([0], [0], [0]),
        ([0, 0], [0, 0], [0, 5]),
        ([3, 3], [5, 5], [5, 5]),
        ([2], [1], [1]),
        ([2, 0], [1, 0], [1, 1]),
    ],
)
def test_small_cells(x, t_x, T):
    cells = Cells.of(x, t_x, T, step=1.0)
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        assert_same(kernel.total(params, cells), one_by_one(kernel, params, cells))


def test_order_of_cells_does_not_matter():
    cells = customers(7)
    shuffled = cells.take(np.random.default_rng(0).permutation(len(cells)))
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        assert_same(kernel.total(params, shuffled), kernel.total(params, cells))


def test_cells_are_rows_with_weights():
    cells = customers(8, n=500)
    times = cells.weight.astype(int)
    rows = Cells(
        *(np.repeat(column, times) for column in (cells.x, cells.t_x, cells.T)), np.ones(times.sum()), cells.step
    )
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        assert_same(kernel.total(params, rows), kernel.total(params, cells))


@pytest.mark.parametrize("unit", [7.0, 1 / 7, 365.25 / 7])
def test_other_units(unit):
    cells = customers(9)
    other = cells.scaled(unit)
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        scaled = [value / unit**power for value, power in zip(params, kernel.time_powers, strict=True)]
        total, gradient = kernel.total(params, cells)
        assert_same(kernel.total(scaled, other), (total + cells.x @ cells.weight * np.log(unit), gradient))


def test_gradient_is_the_slope_of_the_sum():
    cells = customers(10)
    for (kernel, _), params in zip(LAWS, ORDINARY.values(), strict=True):
        gradient = kernel.total(params, cells)[1]
        for place in range(len(params)):
            moved = [np.array(params) * np.exp(move * np.eye(len(params))[place]) for move in (1e-4, -1e-4)]
            rise = kernel.total(moved[0], cells)[0] - kernel.total(moved[1], cells)[0]
            assert gradient[place] == pytest.approx(rise / 2e-4, rel=1e-5, abs=1e-3)


def test_layouts_go_with_their_cells():
    cells = customers(11, n=100)
    before = len(_gridrows._layouts)
    PARETO.total(ORDINARY[4], cells)
    assert _gridrows.layout_of(cells) is _gridrows.layout_of(cells)
    assert len(_gridrows._layouts) == before + 1
    copy = pickle.loads(pickle.dumps(cells))  # noqa: S301 - our own
    assert PARETO.total(ORDINARY[4], copy)[0] == PARETO.total(ORDINARY[4], cells)[0]
    del cells, copy
    gc.collect()
    assert len(_gridrows._layouts) <= before


# Published fits.


@pytest.fixture(scope="module")
def cdnow():
    """Cells of the CDNOW sample, weeks, counted by pandas from its log."""
    log = datasets.cdnow_sample()
    end = pd.Timestamp("1997-09-30")
    days = log[log["date"] <= end].drop_duplicates(["customer_id", "date"])
    each = days.groupby("customer_id")["date"].agg(["min", "max", "size"])
    last, until = (each["max"] - each["min"]).dt.days, (end - each["min"]).dt.days
    return Cells.of(each["size"] - 1, last / 7, until / 7, step=1 / 7)


# Log-likelihoods that others published, or recomputed from their parameters to the digits given, so that the last may
# be off by rounding; there the gradient vanishes, to what the digits of the parameters leave of it per customer.
OPTIMA = [
    (PARETO, (0.553277, 10.577684, 0.606240, 11.668738), -9594.97618, 1e-6),
    (NBD, (0.384766, 12.07202), -9763.6576, 1e-5),
]


@pytest.mark.parametrize(("kernel", "params", "log_likelihood", "flat"), OPTIMA, ids=["Pareto", "NBD"])
def test_published_optima(cdnow, kernel, params, log_likelihood, flat):
    total, gradient = kernel.total(params, cdnow)
    assert cdnow.customers == 2357
    assert total == pytest.approx(log_likelihood, abs=6e-5)
    assert np.abs(gradient).max() < flat * cdnow.customers


def test_published_ggom_is_below_its_limit(cdnow):
    # Bemmaor & Glady (2012): rounded to b .0002, β .0026; r, α, s as published, the value recomputed (see the ridge).
    *rest, s, beta = OPTIMA[0][1]
    limit = [GGOM.total((*rest, s, b, b * beta), cdnow)[0] for b in (1e-3, 1e-4, 1e-6, 1e-9)]
    assert (np.diff(limit) > 0).all()
    assert limit[-1] == pytest.approx(-9594.97618, abs=6e-5)
