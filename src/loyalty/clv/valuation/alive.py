"""P(alive) against the time since the last purchase, for customers of few purchases and of many."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import wording
from loyalty.clv.models import lasting
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.valuation.customer_value import CustomerValue

__all__ = ["alive_by_recency"]

Floats = NDArray[np.float64]

_FROM = (1, 2, 4, 10)  # purchases from which on each group of customers begins
_WIDTHS = (1, 2, 7, 14, 28, 56, 91, 182, 364)  # of a bar, in days; beyond, years
_MOST_BARS = 30
_ROUNDING = 0.075  # of a day: what two times in weeks of two decimals may lack together


def alive_by_recency(value: CustomerValue) -> Table:
    """Return mean P(alive) by days since the last purchase; see `CustomerValue.alive_by_recency`.

    P(alive) depends on the cell of a customer alone, so cells are what is counted.
    """
    fit, summary = value.model.purchases, value.valuation.summary
    cells = summary.cells
    days = _whole_days((cells.T - cells.t_x) * fit.days_per_unit)
    width = _width(int(days.max(initial=0)))
    group = np.searchsorted(_FROM, cells.x + 1.0, side="right") - 1
    bars = int(days.max(initial=0)) // width + 1
    place = group * bars + days // width
    weights = (cells.weight, cells.weight * value.valuation.cells.p_alive)
    people, alive = (np.bincount(place, one, minlength=len(_FROM) * bars).astype(np.float64) for one in weights)
    there = np.flatnonzero(people)
    return _table(value, there % bars * width, width, there // bars, (people[there], alive[there] / people[there]))


def _whole_days(days: Floats) -> NDArray[np.int64]:
    """Return whole days that have passed; what is next to a day is that day, since times may have been rounded."""
    nearest = np.rint(days)
    return np.where(np.abs(days - nearest) <= _ROUNDING, nearest, np.floor(days)).astype(np.int64)


def _width(most: int) -> int:
    """Return the width of bars in days, so that there are few of them."""
    for width in _WIDTHS:
        if most // width < _MOST_BARS:
            return width
    years = most // (_WIDTHS[-1] * _MOST_BARS) + 1
    return _WIDTHS[-1] * years


def _names() -> list[str]:
    """Return what the groups by purchases are called."""
    ends = [str(first) if last == first + 1 else f"{first}–{last - 1}" for first, last in itertools.pairwise(_FROM)]
    return [*ends, f"{_FROM[-1]}+"]


def _table(value: CustomerValue, start: Any, width: int, group: Any, measured: tuple[Floats, Floats]) -> Table:
    """Return the table of bars that hold customers."""
    import pyarrow as pa

    summary, names = value.valuation.summary, _names()
    people, alive = measured
    count = pa.float64() if summary.weighted else pa.int64()
    model = value.model.purchases.model
    return Table(
        name="P(alive) by days since the last purchase",
        data=pa.table(
            {
                "days_from": pa.array(start, pa.int64()),
                "days_to": pa.array(start + (width - 1), pa.int64()),
                "purchases": pa.array([names[place] for place in group], pa.string()),
                "customers": pa.array(people, pa.float64()).cast(count),
                "p_alive": pa.array(alive, pa.float64()),
            }
        ),
        kind=summary.kind,
        sentence=f"Mean P(alive) of {wording.counted(summary.n_customers, 'customers')} by days since their last "
        f"purchase, in steps of {wording.counted(width, 'days')}, and by purchases so far.",
        definition=f"Mean probability ({model}) of still being a customer, of those whose last purchase was so many "
        "days before the end of the window; by purchases so far, the first included.",
        units={"p_alive": "share"},
        note=lasting.certain(model),
        chart="alive_by_recency",
    )
