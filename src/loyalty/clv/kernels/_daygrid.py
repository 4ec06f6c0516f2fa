"""Sums of likelihoods with dropout in continuous time over many cells whose times lie on a grid, days as a rule.

For each distinct x, with m = r + x and time reversed, the chance of dropping out from t on before buying again obeys

    H(end) = 0,    H(t) = local(t) + H(t + step) · e(t + step)/e(t),    e(t) = S(t)(α + t)^−m,

and a cell's bracket relative to e(t_x) is H(t_x) + e(T)/e(t_x) · (1 − H(T)): two looks into a table of x and t. Times
e(t), H is a plain sum from the end, taken in blocks within which e does not leave the range of floats. The derivatives
follow backwards through the same sums: how much each step of the grid, and each grid point as an end, weighs over all
cells is all that they need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.kernels._dropout import Law, with_gradient
from loyalty.clv.kernels._gridrows import Rows, layout_of
from loyalty.clv.kernels._nbd import log_rising, log_rising_slope
from loyalty.clv.kernels._quadrature import dot, gauss, tally
from loyalty.clv.summaries.cells import Cells

if TYPE_CHECKING:
    from loyalty.clv.kernels import Floats, Params

__all__ = ["total"]

Places = NDArray[np.intp]

_RANGE, _LEAP = 400.0, 200.0  # powers of e that a block spans, and that one step more may add
_TINY = 1e-300
_COUNTS = np.array([2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])
# Ellipses about a step on which the integrand's growth is weighed against the decay of coefficients.
_RHO = np.concatenate([np.geomspace(1.2, 4.0, 20), np.geomspace(4.6, 3e5, 40)])
_EXACT = 27.0  # a step's integral is exact to e^−27, 2e-12


# ------------------------------------------------------------------------------------------------------ the grid


class _Grid(NamedTuple):
    """What all x share, at the grid points (g of them) and at the nodes between them (j), s and α being numbers.

    Attributes:
        t: Times of the grid points; shape (g,).
        passed: log (α + t)/α; shape (g,).
        decline: −log S(t); shape (g,).
        begins: Place of the first node after each grid point; shape (g,).
        node: Times of the nodes; shape (j,).
        node_passed: log (α + t)/α at the nodes.
        node_log: log of S(t) · hazard · weight of the node.
        good: Whether the nodes suffice on each step; shape (g − 1,).
    """

    t: Floats
    passed: Floats
    decline: Floats
    begins: Places
    node: Floats
    node_passed: Floats
    node_log: Floats
    good: NDArray[np.bool_]


def _grid(law: Law, params: Params, most: Floats, step: float) -> _Grid:
    """Return grid and nodes: on each step as many as the x there need, placed evenly in log(δ + t)."""
    r, alpha, *dropout = params
    t = step * np.arange(len(most) + 1.0)
    low, singular = t[:-1], law.singular(dropout)
    delta = min([alpha, *(-point.real for point in singular if not point.imag)])
    width = np.log1p(step / (delta + low))
    strip = _strip(np.log(delta + t), [np.log(delta + point) for point in singular if point.imag])
    power = ((r + most) / (alpha + low) + law.steep(dropout, low, step)) * (delta + low) + 1.0
    need = _need(width, strip, power)
    counts = _COUNTS[np.minimum(np.searchsorted(_COUNTS, need), len(_COUNTS) - 1)]
    node, log_weight = _nodes(delta, low, width, counts)
    return _Grid(
        t,
        np.log1p(t / alpha),
        law.decline(dropout, 0.0, t),
        np.r_[0, np.cumsum(counts)],
        node,
        np.log1p(node / alpha),
        law.log_hazard(dropout, node) - law.decline(dropout, 0.0, node) + log_weight,
        need <= _COUNTS[-1],
    )


def _strip(w: Floats, singular: list[complex]) -> Floats:
    """Return how far each step is from the nearest singularity, but at most π, where those left of −δ are."""
    distance = np.full(len(w) - 1, np.pi)
    for point in singular:
        aside = np.maximum(np.maximum(w[:-1] - point.real, point.real - w[1:]), 0.0)
        distance = np.minimum(distance, np.hypot(aside, point.imag))
    return distance


def _need(width: Floats, strip: Floats, power: Floats) -> Floats:
    """Return how many Gauss points each step needs, found for stretches of it and its like."""
    if not len(width):
        return width
    begins = np.unique(np.r_[0.0, np.geomspace(1.0, len(width), 40) - 1.0].astype(np.intp))
    points = _points_needed(width[begins], np.minimum.reduceat(strip, begins), np.maximum.reduceat(power, begins))
    return np.repeat(points, np.diff(np.r_[begins, len(width)]))


def _points_needed(width: Floats, strip: Floats, power: Floats) -> Floats:
    """Return how many Gauss points integrate exp(−power·w) over (0, width) exactly, to about e^−27.

    The function is analytic for |Im w| < strip. On an ellipse of parameter ρ about the interval it grows to M, and n
    points err by at most 64/15 · M · ρ^−2n/(1 − ρ^−2) (Trefethen 2008, SIAM Review 50, 67-87, theorem 4.5).
    """
    width, strip, power = width[:, None], strip[:, None], power[:, None]
    left, aside = (_RHO + 1.0 / _RHO) / 4.0 - 0.5, width * (_RHO - 1.0 / _RHO) / 4.0
    inside = aside <= 0.7 * strip
    growth = power * (width * left - np.log(np.cos(np.where(inside, aside, 0.0) / 2.0)))
    scale = np.log(64.0 / 15.0 * np.maximum(power * width, 1.0)) - np.log1p(-(_RHO**-2.0))
    points = np.where(inside, (_EXACT + scale + growth) / (2.0 * np.log(_RHO)), np.inf)
    return np.ceil(points.min(axis=1))


def _nodes(delta: float, low: Floats, width: Floats, counts: Places) -> tuple[Floats, Floats]:
    """Return the times of the nodes of all steps, and the logarithms of their weights."""
    if not len(counts):
        return np.empty(0), np.empty(0)
    changes = np.flatnonzero(np.r_[True, counts[1:] != counts[:-1]])
    times, weights = [], []
    for begin, end in zip(changes, np.r_[changes[1:], len(counts)], strict=True):
        u, weight = gauss(int(counts[begin]))
        here, w = low[begin:end, None], width[begin:end, None] * u
        times.append((here + (delta + here) * np.expm1(w)).ravel())
        weights.append((np.log((delta + here) * width[begin:end, None] * weight) + w).ravel())
    return np.concatenate(times), np.concatenate(weights)


# ------------------------------------------------------------------------------------------------------ sums


class _Weights(NamedTuple):
    """How many customers are likely to have ended where: alive at a grid point, or dropped out at a node.

    Attributes:
        alive: Customers alive at T, by T; shape (g,).
        alive_m: The same, each customer counted m times.
        dead: Customers who dropped out, by node; shape (j,).
        dead_m: The same, each customer counted m times.
    """

    alive: Floats
    alive_m: Floats
    dead: Floats
    dead_m: Floats


class _Block(NamedTuple):
    """A stretch of the grid, for R values of x; e is taken relative to its end.

    Attributes:
        first: Its first grid point, in columns of the table.
        last: Its last, which is also the first of the next block.
        nodes: Its nodes.
        per_step: How many of them are on each step.
        mass: e(t) · hazard · weight of each node; shape (R, nodes).
        level: e at the grid points; shape (R, last − first + 1).
        sums: e(t) · H(t) at the grid points.
    """

    first: int
    last: int
    nodes: slice
    per_step: Places
    mass: Floats
    level: Floats
    sums: Floats


def total(law: Law, params: Params, cells: Cells) -> tuple[float, Floats]:
    """Return the weighted sums of log-likelihood and gradient over cells. Parameters are numbers."""
    params = [float(value) for value in params]
    layout = layout_of(cells)
    value, gradient = _one_by_one(law, params, layout.loose)
    if not layout.rows:
        return value, gradient
    grid = _grid(law, params, layout.most, layout.step)
    weights = _Weights(*(np.zeros(size) for size in 2 * [len(grid.t)] + 2 * [len(grid.node)]))
    for rows in layout.rows:
        cuts = _cuts(rows, grid, params[0])
        if cuts is None:
            found = _one_by_one(law, params, _as_cells(rows, layout.step))
        else:
            found = _row_sums(rows, grid, cuts, weights, params)
        value, gradient = value + found[0], gradient + found[1]
    return value, gradient + _slopes(law, params, grid, weights)


def _one_by_one(law: Law, params: Params, cells: Cells) -> tuple[float, Floats]:
    """Return the sums over cells off the grid."""
    if not len(cells):
        return 0.0, np.zeros(len(params))
    values, slopes = with_gradient(law, params, cells.x, cells.t_x, cells.T)
    return dot(values, cells.weight), np.array([dot(slope, cells.weight) for slope in slopes])


def _as_cells(rows: Rows, step: float) -> Cells:
    """Return the cells that rows were made of."""
    columns = rows.last - rows.first + 1
    t_x, T = (step * (rows.first + place % columns).astype(np.float64) for place in (rows.bought, rows.ended))
    return Cells(rows.x[rows.bought // columns], t_x, T, rows.weight)


def _cuts(rows: Rows, grid: _Grid, r: float) -> list[int] | None:
    """Return where to divide the rows' stretch of the grid; None where it is too steep, or its nodes do not suffice."""
    steps, points = slice(rows.first, rows.last), slice(rows.first, rows.last + 1)
    if not grid.good[steps].all():
        return None
    falls = (r + rows.most) * np.diff(grid.passed[points]) + np.diff(grid.decline[points])
    if not np.max(falls, initial=0.0) <= _LEAP:
        return None
    left = np.cumsum(falls[::-1])[::-1]
    parts = np.floor(left / _RANGE)
    return [0, *(np.flatnonzero(parts[1:] != parts[:-1]) + 1).tolist(), rows.last - rows.first]


def _row_sums(rows: Rows, grid: _Grid, cuts: list[int], weights: _Weights, params: Params) -> tuple[float, Floats]:
    """Return the rows' sums but for the derivatives that `weights`, added to here, tells."""
    r, alpha = params[0], params[1]
    m = r + rows.x
    blocks = _blocks(rows, grid, cuts, m)
    log_dead, log_alive = _tables_of_logs(blocks, rows, grid, m)
    value, alive, dead = _over_cells(rows, log_dead, log_alive)
    _weigh(blocks, rows, m, alive, dead, weights)
    constant = log_rising(r, rows.x) - rows.x * np.log(alpha) - m * grid.passed[rows.last] - grid.decline[rows.last]
    gradient = np.zeros(len(params))
    gradient[0], gradient[1] = r * (rows.customers @ log_rising_slope(r, rows.x)), r * rows.customers.sum()
    return value + rows.customers @ constant, gradient


def _blocks(rows: Rows, grid: _Grid, cuts: list[int], m: Floats) -> list[_Block]:
    """Return the blocks between cuts, in order of time; each begins with what the next one carries over."""
    blocks, carried = [], np.zeros(len(m))
    for first, last in zip(cuts[-2::-1], cuts[:0:-1], strict=True):
        points = slice(rows.first + first, rows.first + last + 1)
        begins = grid.begins[points]
        nodes, end = slice(begins[0], begins[-1]), points.stop - 1
        mass = _exp_table(m, grid.passed[end] - grid.node_passed[nodes], grid.decline[end] + grid.node_log[nodes])
        level = _exp_table(m, grid.passed[end] - grid.passed[points], grid.decline[end] - grid.decline[points])
        sums = np.empty_like(level)
        sums[:, -1] = 0.0
        sums[:, :-1] = np.cumsum(mass[:, ::-1], axis=1).take(begins[-1] - 1 - begins[:-1], axis=1)
        sums += carried[:, None]
        carried = sums[:, 0] / level[:, 0]
        blocks.append(_Block(first, last, nodes, np.diff(begins), mass, level, sums))
    return blocks[::-1]


def _exp_table(m: Floats, passed: Floats, other: Floats) -> Floats:
    """Return exp(m · passed + other) for each m, bounded: before a row's first t_x it may be huge, and nobody asks."""
    table = np.multiply.outer(m, passed)
    table += other
    if m[-1] * np.max(passed, initial=0.0) + np.max(other, initial=0.0) > _RANGE + _LEAP:
        np.minimum(table, _RANGE + _LEAP, out=table)
    return np.exp(table, out=table)


def _tables_of_logs(blocks: list[_Block], rows: Rows, grid: _Grid, m: Floats) -> tuple[Floats, Floats]:
    """Return the logarithms of e(t)·H(t) and of e(t)·(1 − H(t)), e being relative to the end of the rows' stretch."""
    shape = (len(m), rows.last - rows.first + 1)
    log_dead, log_alive = np.empty(shape), np.empty(shape)
    for block in blocks:
        here = slice(block.first, block.last + 1)
        end = rows.first + block.last
        lift = m * (grid.passed[rows.last] - grid.passed[end]) + (grid.decline[rows.last] - grid.decline[end])
        log_dead[:, here] = np.log(np.maximum(block.sums, _TINY)) + lift[:, None]
        log_alive[:, here] = np.log(np.maximum(block.level - block.sums, _TINY)) + lift[:, None]
    return log_dead, log_alive


def _over_cells(rows: Rows, log_dead: Floats, log_alive: Floats) -> tuple[float, Floats, Floats]:
    """Return the sum of the brackets' logarithms, and its derivatives by the tables' entries: by 1 − H's and by H's."""
    odds = log_alive.ravel().take(rows.ended)
    odds -= log_dead.ravel().take(rows.bought)
    np.exp(odds, out=odds)
    both = odds + 1.0
    odds /= both
    odds *= rows.weight
    value = dot(rows.by_bought, log_dead.ravel()) + dot(rows.weight, np.log(both, out=both))
    alive = tally(rows.ended, odds, log_alive.size)
    dead = rows.by_bought - tally(rows.bought, odds, log_dead.size)
    return value, alive.reshape(log_alive.shape), dead.reshape(log_dead.shape)


def _weigh(blocks: list[_Block], rows: Rows, m: Floats, alive: Floats, dead: Floats, weights: _Weights) -> None:
    """Add the rows' customers to the weights: forwards through the sums, each entry weighs on all nodes after it."""
    carried = np.zeros(len(m))
    for block in blocks:
        columns = slice(block.first, block.last + (block is blocks[-1]))
        level, sums = block.level[:, : columns.stop - block.first], block.sums[:, : columns.stop - block.first]
        ending = alive[:, columns] / np.maximum(level - sums, _TINY)
        points = slice(rows.first + columns.start, rows.first + columns.stop)
        ended = ending * level
        weights.alive[points] += ended.sum(axis=0)
        weights.alive_m[points] += np.einsum("r,rg->g", m, ended)
        flow = np.divide(dead[:, columns], sums, out=np.zeros_like(sums), where=sums > _TINY) - ending
        flow[:, 0] += carried / level[:, 0]
        reached = np.cumsum(flow[:, : block.last - block.first], axis=1)
        steps = np.repeat(np.arange(block.last - block.first), block.per_step)
        gone = block.mass * reached.take(steps, axis=1)
        weights.dead[block.nodes] += gone.sum(axis=0)
        weights.dead_m[block.nodes] += np.einsum("r,rj->j", m, gone)
        if len(blocks) > 1:
            carried = reached[:, -1]


def _slopes(law: Law, params: Params, grid: _Grid, weights: _Weights) -> Floats:
    """Return the derivatives of the sum as far as they depend on where customers ended."""
    r, alpha, *dropout = params
    alive, alive_m, dead, dead_m = weights
    by_r = -r * (dot(alive, grid.passed) + dot(dead, grid.node_passed))
    by_alpha = -alpha * (dot(alive_m, 1.0 / (alpha + grid.t)) + dot(dead_m, 1.0 / (alpha + grid.node)))
    surviving = [dot(alive, slope) for slope in law.slopes(dropout, grid.t)[0]]
    dying = [dot(dead, before + then) for before, then in zip(*law.slopes(dropout, grid.node), strict=True)]
    return np.array([by_r, by_alpha, *np.add(surviving, dying)])
