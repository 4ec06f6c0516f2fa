"""Customers counted by frequency and recency, in classes that a picture can show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loyalty.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.clv.summaries.cells import Cells
    from loyalty.clv.summaries.people import People

__all__ = ["by_history", "high_frequency", "round_step"]

Floats = NDArray[np.float64]

_CLASSES = 30  # of frequency, and of recency
_RARE = 1e-3  # share of customers who may have more purchases than the last class but one
_INSIDE = 1e-9  # of a class: times this close below its start are in it


class _Steps(NamedTuple):
    """Classes of customers.

    Attributes:
        width: Numbers of purchases in a class.
        length: Length of a class of recency, in the unit of time.
        whole: Whether all times are whole numbers, of which a class then holds both ends.
        open_from: Number of the last class of purchases, which is open.
    """

    width: float
    length: float
    whole: bool
    open_from: int


def by_history(people: People, unit: str) -> Table:
    """Return the number of customers by classes of frequency and recency; see `People.by_history`."""
    steps = _steps(people.cells)
    most, last = float(people.cells.x.max()), steps.open_from * steps.width
    of_last = f"; the last column holds {last:,.0f} to {most:,.0f} purchases" if most >= last else ""
    return Table(
        name="customers by frequency and recency",
        data=_counted(people.cells, steps),
        kind=people.kind,
        sentence=str(people),
        definition="Customers by their number of repeat purchases and the time from the first to the last one"
        f"{of_last}.",
        units={"frequency_from": "purchases", "recency_from": unit, "recency_to": unit, "customers": "customers"},
        chart="customer_matrix",
    )


def _steps(cells: Cells) -> _Steps:
    """Return the classes of customers."""
    last, high = float(cells.t_x.max()), high_frequency(cells)
    width = max(1.0, round_step(high + 1.0, _CLASSES))
    length = round_step(last, _CLASSES) if last > 0.0 else 1.0
    whole = bool((cells.t_x == np.rint(cells.t_x)).all())
    return _Steps(width, max(1.0, length) if whole else length, whole, math.floor(high / width) + 1)


def _counted(cells: Cells, steps: _Steps) -> pa.Table:
    """Return a row per class that holds customers; each is at least as wide as a step, the open one too."""
    import pyarrow as pa

    width, length, whole, open_from = steps
    column = np.minimum(np.floor(cells.x / width), open_from).astype(np.int64)
    row = np.floor(cells.t_x / length + _INSIDE).astype(np.int64)
    rows = int(row.max()) + 1
    places, at = np.unique(column * rows + row, return_inverse=True)
    column, row = np.divmod(places, rows)
    x, t_x = column * width, row * length
    ends = x + width - 1.0
    ends = np.where(column == open_from, np.maximum(ends, float(cells.x.max())), ends)
    return pa.table(
        {
            "frequency_from": x.astype(np.int64),
            "frequency_to": ends.astype(np.int64),
            "recency_from": t_x.astype(np.int64) if whole else np.round(t_x, 12),
            "recency_to": (t_x + length - 1.0).astype(np.int64) if whole else np.round(t_x + length, 12),
            "customers": np.bincount(at, weights=cells.weight),
        }
    )


def high_frequency(cells: Cells) -> float:
    """Return the number of repeat purchases that at most one customer in a thousand exceeds."""
    order = np.argsort(cells.x, kind="stable")
    upto = np.cumsum(cells.weight[order])
    place = int(np.searchsorted(upto, (1.0 - _RARE) * upto[-1]))
    return float(cells.x[order][min(place, len(order) - 1)])


def round_step(most: float, steps: int) -> float:
    """Return the smallest of …, 1, 2, 5, 10, 20, … of which no more than some number make up `most`.

    Examples:
        >>> round_step(39.0, 40), round_step(41.0, 40), round_step(1.5, 40), round_step(400.0, 40)
        (1.0, 2.0, 0.05, 10.0)
    """
    least = most / steps
    power = 10.0 ** math.floor(math.log10(least))
    return float(next(f"{size * power:.1g}" for size in (1.0, 2.0, 5.0, 10.0) if size * power >= least * (1.0 - 1e-9)))
