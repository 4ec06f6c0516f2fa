"""Cells whose times lie on a grid, arranged by their x: what does not change from one evaluation to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.kernels._quadrature import tally

if TYPE_CHECKING:
    from loyalty.clv.kernels import Floats
    from loyalty.clv.summaries.cells import Cells

__all__ = ["Layout", "Rows", "layout_of"]

Places = NDArray[np.intp]

_TABLE = 40_000  # entries of a table of x and t, small enough to stay in a processor's cache
_CELL_COST = 50  # a cell on its own costs about as much as this many entries
_WORTH = 20_000  # entries that are not worth a pass over single cells
_WHOLE = 1e-10  # how far from a whole number of steps a time may be, relative
_LONGEST = 2**31  # steps


class Rows(NamedTuple):
    """Some distinct x (R of them), the steps first … last that they need, and their cells (n).

    Attributes:
        x: Shape (R,).
        customers: Customers with each x; shape (R,).
        first: Lowest t_x, in steps.
        last: Highest T, in steps.
        bought: Place of each cell's (x, t_x) in a table of x and t, flattened; shape (n,).
        ended: Place of its (x, T).
        weight: Shape (n,).
        by_bought: Customers at each (x, t_x); the table's shape, flattened.
        most: Largest x that needs each step; shape (last − first,).
    """

    x: Floats
    customers: Floats
    first: int
    last: int
    bought: Places
    ended: Places
    weight: Floats
    by_bought: Floats
    most: Floats


@dataclass(frozen=True, slots=True)
class Layout:
    """Cells arranged for sums over a grid.

    Attributes:
        rows: The distinct x with their cells.
        most: Largest x that needs each step; shape (steps,).
        step: Length of a step.
        loose: Cells for which the grid does not pay, or does not exist.
    """

    rows: list[Rows]
    most: Floats
    step: float
    loose: Cells


_layouts: WeakKeyDictionary[Cells, Layout] = WeakKeyDictionary()


def layout_of(cells: Cells) -> Layout:
    """Return the layout of cells, found once for each."""
    found = _layouts.get(cells)
    if found is None:
        found = _layouts[cells] = _layout(cells)
    return found


def _layout(cells: Cells) -> Layout:
    on_grid = _on_grid(cells)
    if on_grid is None:
        return Layout([], np.empty(0), 0.0, cells)
    t_x, T = on_grid
    order = np.argsort(cells.x, kind="stable")
    x, t_x, T = cells.x[order], t_x[order], T[order]
    begins = np.flatnonzero(np.r_[True, x[1:] != x[:-1]])
    number, spans = np.diff(np.r_[begins, len(x)]), np.maximum.reduceat(T, begins) - np.minimum.reduceat(t_x, begins)
    loose = number * _CELL_COST < spans
    if spans[loose].sum() < _WORTH:
        loose[:] = False
    apart = np.repeat(loose, number)
    kept = order[~apart]
    rows = list(_tables(cells.x[kept], t_x[~apart], T[~apart], cells.weight[kept]))
    most = np.zeros(max((row.last for row in rows), default=0))
    for row in rows:
        most[row.first : row.last] = np.maximum(most[row.first : row.last], row.most)
    return Layout(rows, most, cells.step or 0.0, cells.take(order[apart]))


def _on_grid(cells: Cells) -> tuple[Places, Places] | None:
    """Return t_x and T in steps; None where there is no grid or a time is not on it."""
    if not cells.step or not len(cells):
        return None
    times = np.stack([cells.t_x, cells.T]) / cells.step
    steps = np.rint(times)
    if not (np.abs(times - steps) <= _WHOLE * (1.0 + steps)).all() or steps.max() > _LONGEST:
        return None
    return tuple(steps.astype(np.intp))


def _tables(x: Floats, t_x: Places, T: Places, weight: Floats) -> Iterator[Rows]:
    """Yield rows with their cells (which come in order of x), as many at a time as make a table of fair size."""
    if not len(x):
        return
    begins = np.flatnonzero(np.r_[True, x[1:] != x[:-1]])
    lowest, highest = np.minimum.reduceat(t_x, begins), np.maximum.reduceat(T, begins)
    ends = np.r_[begins[1:], len(x)]
    for rows in _shares(lowest, highest):
        cells = slice(begins[rows.start], ends[rows.stop - 1])
        first, last = int(lowest[rows].min()), int(highest[rows].max())
        columns = last - first + 1
        place = np.repeat(np.arange(rows.stop - rows.start) * columns - first, ends[rows] - begins[rows])
        bought, ended, mass = place + t_x[cells], place + T[cells], weight[cells]
        yield Rows(
            x[begins[rows]],
            np.add.reduceat(mass, begins[rows] - cells.start),
            first,
            last,
            bought,
            ended,
            mass,
            tally(bought, mass, (rows.stop - rows.start) * columns),
            _most_by_step(x[begins[rows]], lowest[rows] - first, last - first),
        )


def _shares(lowest: Places, highest: Places) -> Iterator[slice]:
    """Yield which rows go into one table, each with a lowest and a highest step."""
    begin, first, last = 0, lowest[0], highest[0]
    for row in range(1, len(lowest)):
        first, last = min(first, lowest[row]), max(last, highest[row])
        if (row + 1 - begin) * (last - first + 1) > _TABLE:
            yield slice(begin, row)
            begin, first, last = row, lowest[row], highest[row]
    yield slice(begin, len(lowest))


def _most_by_step(x: Floats, begins: Places, steps: int) -> Floats:
    """Return the largest x that needs each step, each being needed from its lowest t_x on; x ascends."""
    most = np.zeros(steps + 1)
    np.maximum.at(most, begins, x)
    return np.maximum.accumulate(most)[:-1]
