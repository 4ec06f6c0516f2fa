"""How spend is spread over customers: counts in bars of equal or of growing width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import wording
from loyalty.grouping import measure
from loyalty.tables import Grouped, Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.transactions import Transactions

__all__ = ["spend_distribution"]

Floats = NDArray[np.float64]
Row = dict[str, Any]

_MOST_BARS = 60
_FEWEST_BARS = 12  # that many are allowed for few customers too
_MORE = 1.5  # times as many bars may grow: they show tails, where few customers are
_MIDDLE = 0.80  # of customers: equal widths show them where they take up a good part of the axis, …
_PART = 0.20  # … at least this one
_LOWEST = 0.005  # of customers who spent anything may lie below the first of the growing bars
_GROWN = 20.0  # bars that grow by less than this factor are better of one width (the picture's limit, too)
_ROUNDING = 1e-9  # sums that differ by less lie in one bar, in whatever order an engine adds them up
_SMALLEST = 1e-20  # part of the largest sum that bars tell from nothing
_NOUGHT = 1e-9  # of money: what is left where as much was returned as bought
# Starts of growing bars within a power of ten, the finest first: each about as much larger than the one before.
_SERIES = (
    (1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5, 2.8, 3.2, 3.6, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0),
    (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0),
    (1.0, 1.6, 2.5, 4.0, 6.3),
    (1.0, 3.2),
    (1.0,),
)


@takes_transactions
def spend_distribution(tx: Transactions, *, by: Any = None, cohort: str | None = None) -> Table | Grouped[Table]:
    """Return how many customers spent how much in the window, in at most 60 bars.

    Bars are of equal width where that shows the mass of customers; where few spend far more than most, their widths
    grow with spend (by about the same factor), as a logarithmic axis shows them.

    Args:
        tx: The transactions.
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.

    Returns:
        A row per bar: `from` (inside the bar) and `to` (outside it), both round sums of money, and `count`, the
        customers (0 where nobody spent that much); counts add up to all customers. All groups have the same bars, and
        so the same axis. `.plot()` draws the histogram.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        ColumnError: `by` names no column.

    Ties and nulls: spend is net of returns and may be 0 or negative. Growing bars have then one from 0 to the first of
    them, and mirror those above it below 0. Where all spend is whole money, bars begin at whole money too.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> frame = pd.DataFrame({"customer_id": [1, 2, 3], "date": pd.Timestamp("2024-01-01"),
        ...                       "amount": [20.0, 25.0, 28.0]})
        >>> ly.spend_distribution(ly.transactions(frame)).data.to_pylist()
        [{'from': 20.0, 'to': 21.0, 'count': 1},
         {'from': 21.0, 'to': 22.0, 'count': 0},
         {'from': 22.0, 'to': 23.0, 'count': 0},
         {'from': 23.0, 'to': 24.0, 'count': 0},
         {'from': 24.0, 'to': 25.0, 'count': 0},
         {'from': 25.0, 'to': 26.0, 'count': 1},
         {'from': 26.0, 'to': 27.0, 'count': 0},
         {'from': 27.0, 'to': 28.0, 'count': 0},
         {'from': 28.0, 'to': 29.0, 'count': 1}]
    """
    edges = _edges(_range(tx))
    frame = tx.customers.select("customer", bar=_bar(_spend(), edges))

    def build(rows: list[Row]) -> Table:
        counts = np.zeros(len(edges) - 1, np.int64)
        for row in rows:
            counts[row["bar"]] = row["n"]
        return _table(tx, edges, counts)

    return measure(tx, frame, [nw.len().alias("n")], build, keys=["bar"], by=by, cohort=cohort)


def _spend() -> nw.Expr:
    """Return what customers spent; 0 where nothing but rounding is left of it."""
    spend = nw.col("spend").cast(nw.Float64)
    return nw.when(spend.abs() > _NOUGHT).then(spend).otherwise(nw.lit(0.0))


def _range(tx: Transactions) -> Row:
    """Return what the bars are chosen by, of all customers.

    `n`, `low`, `high`; `from_`, `to` (the ends of the middle customers); `first` (below which hardly any lie who spent
    anything, null where nobody did); `broken` (sums that are no whole money).
    """
    spend = _spend()
    off = (spend - (spend + 0.5).floor()).abs() > _ROUNDING * spend.abs()
    worth = tx.customers.select(
        spend=spend,
        positive=nw.when(spend > 0.0).then(spend),
        broken=nw.when(off).then(nw.lit(1)).otherwise(nw.lit(0)),
    )
    sums = worth.select(
        n=nw.len(),
        low=nw.col("spend").min(),
        high=nw.col("spend").max(),
        from_=nw.col("spend").quantile((1.0 - _MIDDLE) / 2.0, interpolation="linear"),
        to=nw.col("spend").quantile((1.0 + _MIDDLE) / 2.0, interpolation="linear"),
        first=nw.col("positive").quantile(_LOWEST, interpolation="linear"),
        broken=nw.col("broken").sum(),
    )
    found: Row = tx.collect(sums).to_pylist()[0]
    return found


def _edges(found: Row) -> Floats:
    """Return where bars begin, and where the last one ends: the lowest spend and the highest lie inside."""
    # As many bars as the number of customers can fill (twice its cube root, as Rice's rule has it).
    most = int(min(_MOST_BARS, max(_FEWEST_BARS, 2.0 * found["n"] ** (1.0 / 3.0))))
    whole = not found["broken"]
    reach = found["high"] - found["low"]
    if found["first"] is not None and found["to"] - found["from_"] < _PART * reach:
        first = max(found["first"], _SMALLEST * max(found["high"], -found["low"]))
        edges = _growing(found["low"], found["high"], first, int(_MORE * most), whole=whole)
        widths = np.diff(edges)
        if len(edges) > 1 and widths.max() > _GROWN * widths.min():
            return edges
    return _equal(found["low"], found["high"], most, whole=whole)


def _equal(low: float, high: float, most: int, *, whole: bool) -> Floats:
    """Return edges of equal bars as narrow as their number allows, of a width of 1, 2 or 5 times a power of ten."""
    apart = (high - low) / most if high > low else abs(high)
    power = math.floor(math.log10(apart)) - 1 if apart > 0.0 else 0
    if whole:
        power = max(power, 0)
    while True:
        for step in (1, 2, 5):
            places = [math.floor(end * 10.0**-power / step + _ROUNDING) for end in (low, high)]
            if places[1] - places[0] < most:
                # Multiplied as whole numbers, so that 0.3 is 0.3 and not three times 0.1.
                starts = np.arange(places[0], places[1] + 2, dtype=np.float64) * step
                return starts * 10.0**power if power >= 0 else starts / 10.0**-power
        power += 1


def _growing(low: float, high: float, first: float, most: int, *, whole: bool) -> Floats:
    """Return edges that grow by about the same factor, in the finest of the series that has few enough."""
    for series in _SERIES:
        upper = _series(series, first, max(high, first))
        if whole:
            upper = np.unique(np.ceil(upper))
        edges = upper if low >= upper[0] else np.concatenate([[0.0], upper])
        if low < 0.0:
            lower = -_series(series, first, max(-low, first))
            edges = np.unique(np.concatenate([np.floor(lower) if whole else lower, edges]))
        if len(upper) <= most and len(edges) <= _MOST_BARS + 1:
            break
    return edges


def _series(series: tuple[float, ...], first: float, last: float) -> Floats:
    """Return the numbers of a series from the last at or below `first` to the first above `last`."""
    powers = range(math.floor(math.log10(first)) - 1, math.floor(math.log10(last)) + 2)
    numbers = np.array([float(f"{step}e{power}") for power in powers for step in series])
    begin = int(np.searchsorted(numbers, first * (1.0 + _ROUNDING), side="right")) - 1
    end = int(np.searchsorted(numbers, last * (1.0 + _ROUNDING), side="right"))
    return numbers[begin : end + 1]


def _bar(spend: nw.Expr, edges: Floats) -> nw.Expr:
    """Return the place of the bar that spend lies in: how many edges but the first are reached."""
    slack = _ROUNDING * np.maximum(np.abs(edges), np.diff(edges).min())
    reached = (nw.when(spend >= float(edge)).then(nw.lit(1)).otherwise(nw.lit(0)) for edge in (edges - slack)[1:-1])
    return sum(reached, start=nw.lit(0)).cast(nw.Int64)


def _table(tx: Transactions, edges: Floats, counts: NDArray[np.int64]) -> Table:
    """Return the bars with the customers in each."""
    import pyarrow as pa

    n, below = int(counts.sum()), int(counts[edges[1:] <= 0.0].sum())
    return Table(
        name="spend per customer",
        data=pa.table({"from": edges[:-1], "to": edges[1:], "count": counts}),
        kind=tx.engine.kind,
        sentence=f"Spend per customer: {wording.counted(n, 'customers')} in {wording.counted(len(counts), 'bars')}.",
        definition="What each customer spent in the observed window, net of returns.",
        units={"from": "money", "to": "money"},
        note=f"more was returned than bought by {wording.counted(below, 'customers')}" if below else "",
        chart="spend_distribution",
    )
