"""Customers counted by frequency and recency, in classes that a picture can show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.summaries.cells import Cells
    from loyalty.clv.summaries.people import People

__all__ = ["by_history", "high_frequency", "round_step"]

Floats = NDArray[np.float64]

_CLASSES = 30  # of frequency, and of recency
_RARE = 1e-3  # share of customers who may have more purchases than the last class but one
_INSIDE = 1e-9  # of a class: times this close below its start are in it


def by_history(people: People, unit: str) -> Table:
    """Return the number of customers by classes of frequency and recency; see `People.by_history`."""
    import pyarrow as pa

    cells = people.cells
    most, last = float(cells.x.max()), float(cells.t_x.max())
    width = max(1.0, round_step(high_frequency(cells) + 1.0, _CLASSES))
    length = round_step(last, _CLASSES) if last > 0.0 else 1.0
    whole = bool((cells.t_x == np.rint(cells.t_x)).all())
    length = max(1.0, length) if whole else length
    open_from = math.floor(high_frequency(cells) / width) + 1
    column = np.minimum(np.floor(cells.x / width), open_from).astype(np.int64)
    row = np.floor(cells.t_x / length + _INSIDE).astype(np.int64)
    rows = int(row.max()) + 1
    places, at = np.unique(column * rows + row, return_inverse=True)
    customers = np.bincount(at, weights=cells.weight)
    column, row = np.divmod(places, rows)
    x, t_x = column * width, row * length
    ends = np.where(column == open_from, max(most, open_from * width), x + width - 1.0)
    data = pa.table(
        {
            "frequency_from": x.astype(np.int64),
            "frequency_to": ends.astype(np.int64),
            "recency_from": t_x.astype(np.int64) if whole else np.round(t_x, 12),
            "recency_to": (t_x + length - 1.0).astype(np.int64) if whole else np.round(t_x + length, 12),
            "customers": customers,
        }
    )
    return Table(
        name="customers by frequency and recency",
        data=data,
        kind=people.kind,
        sentence=str(people),
        definition="Customers by their number of repeat purchases and the time from the first to the last one"
        + (
            f"; the last column holds {open_from * width:,.0f} to {most:,.0f} purchases."
            if most >= open_from * width
            else "."
        ),
        units={"frequency_from": "purchases", "recency_from": unit, "recency_to": unit, "customers": "customers"},
        chart="customer_matrix",
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
