"""How unevenly expected value is spread: the cumulative share of the most valuable customers.

Customers never leave the engine: they are counted in bins of their value so narrow that nobody sees them. The edges of
bins are points of the curve, and exact ones: so many customers have this value or a higher one, and bring so much.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import wording
from loyalty.errors import InvalidArgument
from loyalty.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.clv.valuation.customer_value import CustomerValue

__all__ = ["TOP", "concentration"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Frame = nw.LazyFrame[Any]

TOP = 0.30  # the share of customers that is always a point of the curve
_SLACK = 1e-9  # of a number of customers
_WIDTH = 0.005  # of a bin, as a part of the value in it
_SMALL = 1e-3  # of the mean size of values: below it bins are of one width, for there is no logarithm of nothing
_POINTS = 95  # per axis: with both ends and the top a curve is shown by fewer than 200


class _Curve(NamedTuple):
    """Points of the curve: numbers of customers, the most valuable first, and what they are worth; shape (m,)."""

    customers: Ints
    value: Floats


def concentration(value: CustomerValue) -> Table:
    """Return the curve of a value; see `CustomerValue.concentration`."""
    summary = value.valuation.summary
    if summary.weighted:
        raise InvalidArgument(
            "customers of a weighted summary cannot be ranked one by one: make the summary with a row per customer."
        )
    kept = summary.engine.persist(value.valuation.rows().select("clv"), "worth")
    try:
        worth = summary.engine.table(kept)
        clv, one, none = nw.col("clv"), nw.lit(1), nw.lit(0)
        sums = worth.select(n=one, size=clv.abs(), clv=clv, below=nw.when(clv < 0.0).then(one).otherwise(none))
        names = ("n", "size", "clv", "below")
        found = summary.collect(sums.select(*(nw.col(name).sum() for name in names))).to_pylist()[0]
        if not found["clv"] > 0.0:
            return _table(value, None, found)
        return _table(value, _curve(value, worth, found["size"] / found["n"]), found)
    finally:
        summary.engine.drop(kept)


def _curve(value: CustomerValue, worth: Frame, mean: float) -> _Curve:
    """Return the points to show of the curve of customers with a column `clv`; `mean` is the mean of its size."""
    summary, small = value.valuation.summary, _SMALL * mean
    size = (nw.col("clv").abs() / small + 1.0).log() / _WIDTH
    place = nw.when(nw.col("clv") < 0.0).then(-size).otherwise(size).floor().cast(nw.Int64)
    binned = worth.with_columns(bin=place)
    counts = summary.collect(binned.group_by("bin").agg(n=nw.len(), worth=nw.col("clv").sum())).sort_by(
        [("bin", "descending")]
    )
    customers = np.cumsum(counts["n"].to_numpy()).astype(np.int64)
    brought = np.cumsum(counts["worth"].to_numpy())
    few = max(1, math.ceil(TOP * int(customers[-1]) - _SLACK))
    at = int(np.searchsorted(customers, few))
    before = (int(customers[at - 1]), float(brought[at - 1])) if at else (0, 0.0)
    # Inside a bin the customers are ranked by the engine, and only their sum comes out.
    inside = binned.filter(nw.col("bin") == counts["bin"][at].as_py()).sort("clv", descending=True)
    best = inside.head(few - before[0]).select(nw.col("clv").sum())
    top = before[1] + float(summary.collect(best)["clv"][0].as_py())
    return _shown(_Curve(customers, brought), (few, top))


def _shown(curve: _Curve, top: tuple[int, float]) -> _Curve:
    """Return under 200 points of a curve, spread evenly along both axes: both ends and the top among them."""
    customers, brought = curve
    kept = np.arange(len(customers))
    if len(kept) > 2 * _POINTS:
        rising = np.maximum.accumulate(brought)
        by_customers = np.searchsorted(customers, np.linspace(0, customers[-1], _POINTS))
        by_value = np.searchsorted(rising, np.linspace(0.0, rising[-1], _POINTS))
        kept = np.unique(np.concatenate([by_customers, by_value, kept[-1:]]))
    people = np.concatenate([[0], customers[kept], [top[0]]])
    value = np.concatenate([[0.0], brought[kept], [top[1]]])
    people, first = np.unique(people, return_index=True)
    return _Curve(people.astype(np.int64), value[first])


def _table(value: CustomerValue, curve: _Curve | None, found: dict[str, Any]) -> Table:
    """Return the table of a curve; without rows where there is none."""
    notes, level = [], wording.level(TOP)
    sentence = "The value of customers has no shares."
    if curve is None:
        notes.append(
            f"the value of {wording.counted(found['n'], 'customers')} sums to {wording.plain(found['clv'])}: there are "
            "no shares of it"
        )
    else:
        place = int(np.searchsorted(curve.customers, max(1, math.ceil(TOP * found["n"] - _SLACK))))
        share = wording.quantity(float(curve.value[place] / curve.value[-1]), "share")
        sentence = (
            f"The most valuable {level} of customers ({curve.customers[place]:,} of {found['n']:,}) are expected to "
            f"bring {share} of the value."
        )
    if found["below"]:
        have = "has" if found["below"] == 1 else "have"
        notes.append(
            f"{wording.counted(found['below'], 'customers')} {have} a negative value: they cost more than they bring"
        )
    return Table(
        name="concentration of customer value",
        data=_rows(curve),
        kind=value.valuation.summary.kind,
        sentence=sentence,
        definition=f"Share of the expected value over {value.terms} that the most valuable customers bring, against "
        "the share of customers that they are.",
        units={"cumulative_customers": "share", "cumulative_value": "share"},
        note="; ".join(notes),
        chart="value_concentration",
    )


def _rows(curve: _Curve | None) -> pa.Table:
    """Return the points as rows."""
    import pyarrow as pa

    customers, value = (np.zeros(0, np.int64), np.zeros(0)) if curve is None else curve
    whole = (int(customers[-1]), float(value[-1])) if len(customers) else (1, 1.0)
    columns = {"cumulative_customers": customers / whole[0], "cumulative_value": value / whole[1]}
    return pa.table({"customers": customers, **columns})
