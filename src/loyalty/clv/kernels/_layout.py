"""The distinct x, t_x and T of cells: what depends on one of them alone is worked out once for each of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from loyalty.clv.kernels import Floats
    from loyalty.clv.summaries.cells import Cells

__all__ = ["Layout", "layout_of"]

Places = NDArray[np.intp]

_WHOLE = 1e-8  # how far from a whole number of steps a value may be
_ROOM = 100_000  # steps that a table may span even where the cells are few


class Layout(NamedTuple):
    """Distinct values, where each cell has them, and the customers who share them.

    Attributes:
        x: Distinct numbers of repeat purchases.
        t_x: Distinct times of the last purchase.
        T: Distinct times observed.
        at_x: Place of each cell's x among them; shape (n,).
        at_last: Place of its t_x.
        at_age: Place of its T.
        by_x: Customers with each x.
        by_age: Customers with each T.
        x_by_age: Their repeat purchases together.
    """

    x: Floats
    t_x: Floats
    T: Floats
    at_x: Places
    at_last: Places
    at_age: Places
    by_x: Floats
    by_age: Floats
    x_by_age: Floats


_layouts: WeakKeyDictionary[Cells, Layout] = WeakKeyDictionary()


def layout_of(cells: Cells) -> Layout:
    """Return the layout of cells, found once for each and kept as long as they are."""
    found = _layouts.get(cells)
    if found is None:
        x, at_x = _distinct(cells.x, 1.0)
        t_x, at_last = _distinct(cells.t_x, cells.step)
        T, at_age = _distinct(cells.T, cells.step)
        sums = [
            np.bincount(place, weight, size).astype(np.float64)
            for place, weight, size in (
                (at_x, cells.weight, len(x)),
                (at_age, cells.weight, len(T)),
                (at_age, cells.weight * cells.x, len(T)),
            )
        ]
        found = _layouts[cells] = Layout(x, t_x, T, at_x, at_last, at_age, *sums)
    return found


def _distinct(values: Floats, step: float | None) -> tuple[Floats, Places]:
    """Return the distinct values in ascending order and the place of each among them."""
    steps = _in_steps(values, step)
    if steps is None:
        distinct = np.unique(values)
        return distinct, np.searchsorted(distinct, values)
    there = np.zeros(int(steps.max()) + 1, dtype=bool)
    there[steps] = True
    place = (np.cumsum(there) - 1)[steps]
    distinct = np.empty(int(place.max()) + 1)
    distinct[place] = values
    return distinct, place


def _in_steps(values: Floats, step: float | None) -> Places | None:
    """Return values as whole numbers of steps; None where they are not, or reach too far for a table."""
    if not step or not len(values) or not values.max() / step < 4 * len(values) + _ROOM:
        return None
    rest = values / step
    steps = np.rint(rest)
    rest -= steps
    return steps.astype(np.intp) if max(rest.max(), -rest.min()) <= _WHOLE else None
