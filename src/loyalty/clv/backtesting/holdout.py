"""What customers really did after a split of the log: counted in the engine, by what was known of them before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import periods, wording
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.errors import EmptyData, InvalidArgument

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.clv.summaries.cells import Cells
    from loyalty.transactions import Transactions

__all__ = ["Daily", "Holdout", "ages", "daily", "hold_out", "split_day"]

Frame = nw.LazyFrame[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MOST_EXACT = 5_000_000  # customers above which sums of money are counted on a grid
_GRID = 1_000.0  # steps of it in which a sum grows e times
_MONEY = ("mean_spend", "revenue", "recent_revenue")


@dataclass(frozen=True, slots=True, eq=False)
class Daily:
    """What some customers bought day by day.

    Attributes:
        first: Civil day number of the first entry.
        acquired: First purchases of each day, shape (days,).
        purchases: All purchases of each day, shape (days,).
        spend: What they brought, net of returns, shape (days,).
    """

    first: int
    acquired: Floats
    purchases: Floats
    spend: Floats

    @property
    def repeats(self) -> Floats:
        """Repeat purchases of each day: all but the first of each customer."""
        return self.purchases - self.acquired


@dataclass(frozen=True, slots=True, eq=False)
class Holdout:
    """Customers of a calibration period and what they did after it.

    A row stands for customers who are alike in everything: in what was known of them at the split (their cell of the
    summary, their purchases just before it, their mean spend) and in what they did afterwards.

    Attributes:
        summary: The customers as the split saw them.
        split: Civil day number of the last day of the calibration period.
        days: Days of the holdout period.
        calibration_days: Days of the calibration period, from the first day on which a customer could be acquired.
        cell: The place of each row in `summary.cells`, shape (m,).
        customers: Customers of each row.
        purchases: Purchases of each of them in the holdout period.
        recent_purchases: Repeat purchases of each of them in the last `days` days of the calibration period.
        mean_spend: Mean spend of their repeat purchases in the calibration period; 0 without one.
        revenue: Spend of each of them in the holdout period, net of returns.
        recent_revenue: Spend of `recent_purchases`.
        daily: What all of them bought, day by day from the first day of the data to the last of the window.
        acquired_later: Customers acquired after the split, who are in no row.
        elsewhen: Customers acquired before the split, but not in the span asked for, who are in no row.
    """

    summary: CustomerSummary
    split: int
    days: int
    calibration_days: int
    cell: Ints
    customers: Floats
    purchases: Floats
    recent_purchases: Floats
    mean_spend: Floats
    revenue: Floats
    recent_revenue: Floats
    daily: Daily
    acquired_later: int
    elsewhen: int

    @property
    def cells(self) -> Cells:
        """The cells of the summary."""
        return self.summary.cells

    @property
    def age(self) -> Ints:
        """Days from the first purchase to the split, of each cell."""
        return ages(self.summary)

    @property
    def horizon(self) -> float:
        """Length of the holdout period in units of the summary."""
        return self.days / self.summary.days_per_unit


def ages(summary: CustomerSummary) -> Ints:
    """Return the days from the first purchase to the end of the summary, of each cell."""
    return np.rint(summary.cells.T * summary.days_per_unit).astype(np.int64)


def split_day(tx: Transactions, split: Any) -> int:
    """Return the day number of a split that leaves something before and after it.

    Raises:
        InvalidArgument: It does not lie inside the window, or is its last day.
    """
    day, window = periods.day_number(split, "split"), tx.window
    if window.days == 1:
        raise InvalidArgument(f"the observed window is one day, {tx.observed_from}: widen it to split it.")
    allowed = f"give a day from {tx.observed_from} to {periods.to_date(window.last - 1)}"
    if day == window.last:
        raise InvalidArgument(
            f"split={split!r} is the last day of the observed window: nothing is left to compare with; {allowed}."
        )
    if not window.first <= day < window.last:
        raise InvalidArgument(
            f"split={split!r} lies outside the observed window {tx.observed_from} to {tx.observed_until}: {allowed}."
        )
    return day


def hold_out(
    tx: Transactions, split: Any, unit: str = "week", *, acquired_from: Any = None, acquired_until: Any = None
) -> Holdout:
    """Return what the customers known at a split did after it.

    Args:
        tx: The transactions.
        split: Last day of the calibration period.
        unit: Unit of the summary's times.
        acquired_from: Only customers whose first purchase was on this day or later.
        acquired_until: Only customers whose first purchase was on this day or earlier.

    Raises:
        InvalidArgument: The split leaves nothing before or after it, or another argument is not allowed.
        EmptyData: Nobody was acquired by the split, or nobody of those had bought again.
    """
    day = split_day(tx, split)
    summary = _calibration(tx, day, unit, acquired_from, acquired_until)
    begin = tx.data_window().first
    if acquired_from is not None:
        begin = max(begin, periods.day_number(acquired_from, "acquired_from"))
    length, days = day - begin + 1, tx.window.last - day
    rows = _rows(tx, summary, day, days, recent=length > days)
    known = tx.collect(tx.first_days().select(later=_one(nw.col("first_day") > day)).group_by("later").agg(n=nw.len()))
    counts = {row["later"]: row["n"] for row in known.to_pylist()}
    return Holdout(
        summary=summary,
        split=day,
        days=days,
        calibration_days=length,
        daily=daily(tx, summary, day),
        acquired_later=counts.get(1, 0),
        elsewhen=counts.get(0, 0) - int(summary.n_customers),
        **rows,
    )


def _calibration(tx: Transactions, day: int, unit: str, acquired_from: Any, acquired_until: Any) -> CustomerSummary:
    """Return the customers as the split saw them, among whom somebody has bought again."""
    until = periods.to_date(day)
    try:
        summary = summarize(tx, unit, until=until, acquired_from=acquired_from, acquired_until=acquired_until)
    except EmptyData as err:
        raise EmptyData(
            f"split={until.isoformat()} leaves nobody to predict: {err} A later split sees more customers."
        ) from err
    if not summary.cells.x.any():
        raise EmptyData(
            f"of the {wording.counted(summary.n_customers, 'customers')} acquired by {until} nobody had bought again "
            "by then, so there is nothing to fit a model on: give a later split= or a wider span of acquisition."
        )
    return summary


def _rows(tx: Transactions, summary: CustomerSummary, day: int, days: int, *, recent: bool) -> dict[str, Any]:
    """Return the rows of a `Holdout` by field: customers who are alike, counted."""
    bought = tx.engine.table("purchases")
    people = summary.with_cells({"cell": np.arange(len(summary.cells))}).select(
        "customer", "cell", mean_spend=nw.col("monetary_value")
    )
    counted = ["cell", "purchases"]
    frame = people.join(_per_customer(bought, day, day + days, "purchases", "revenue"), on="customer", how="left")
    if recent:
        before = _per_customer(bought, day - days, day, "recent_purchases", "recent_revenue")
        frame = frame.join(before, on="customer", how="left")
        counted.append("recent_purchases")
    money = [name for name in _MONEY if recent or name != "recent_revenue"]
    frame = frame.with_columns(*(nw.col(name).fill_null(0) for name in [*counted[1:], *money]))
    key = _grid if summary.n_customers > _MOST_EXACT else nw.col
    alike: dict[str, nw.Expr] = {f"{name}_key": key(name) for name in money}
    found = tx.collect(
        frame.with_columns(**alike).group_by(*counted, *alike).agg(*(nw.col(name).sum() for name in money), n=nw.len())
    )
    return _fields(found, summary, days)


def _per_customer(bought: Frame, after: int, until: int, count: str, spend: str) -> Frame:
    """Return how much each customer bought in a span of days, the first of which is the one after `after`."""
    span = bought.filter(nw.col("day") > after, nw.col("day") <= until)
    return span.group_by("customer").agg(nw.len().cast(nw.Int64).alias(count), nw.col("spend").sum().alias(spend))


def _fields(found: pa.Table, summary: CustomerSummary, days: int) -> dict[str, Any]:
    """Return rows as arrays, in a fixed order; of customers who are alike each has the mean of their money."""
    columns = {name: found[name].to_numpy() for name in found.column_names if not name.endswith("_key")}
    n = columns["n"].astype(np.float64)
    cell = columns["cell"].astype(np.int64)
    values = {name: columns[name].astype(np.float64) / (n if name in _MONEY else 1.0)
              for name in columns if name not in {"n", "cell"}}  # fmt: skip
    # Of customers acquired within the last `days` days every repeat purchase is recent, and none but those.
    x, new = summary.cells.x[cell], ages(summary)[cell] < days
    for name, own in (("recent_purchases", x), ("recent_revenue", x * values["mean_spend"])):
        values[name] = np.where(new, own, values[name]) if name in values else own
    order = np.lexsort((*(values[name] for name in sorted(values)), cell))
    return {"cell": cell[order], "customers": n[order]} | {name: values[name][order] for name in values}


def _grid(name: str) -> nw.Expr:
    """Return a whole number that sums of money have in common which differ by less than a thousandth."""
    value = nw.col(name)
    size = nw.when(value < 0).then(-value).otherwise(value)
    safe = nw.when(size > 0).then(size).otherwise(nw.lit(1.0))
    step = (safe.log() * _GRID).floor().cast(nw.Int64)
    # Sums from 1e-100 to 1e100 have steps within ±231 000: losses lie below all of them, nothing above.
    loss = nw.when(value < 0).then(step - 1_000_000).otherwise(step)
    return nw.when(size > 0).then(loss).otherwise(nw.lit(1_000_000))


def daily(tx: Transactions, summary: CustomerSummary, last: int) -> Daily:
    """Return what the customers of a summary that ends on the day `last` bought, day by day to the window's end."""
    people = summary.frame().select("customer")
    bought = tx.engine.table("purchases").filter(nw.col("day") <= tx.window.last)
    bought = bought.join(people, on="customer", how="semi")
    found = tx.collect(bought.group_by("day").agg(purchases=nw.len(), spend=nw.col("spend").sum()))
    first = tx.data_window().first
    day, length = found["day"].to_numpy().astype(np.int64) - first, tx.window.last - first + 1
    return Daily(
        first=first,
        acquired=_by_day(last - ages(summary) - first, summary.cells.weight, length),
        purchases=_by_day(day, found["purchases"], length),
        spend=_by_day(day, found["spend"], length),
    )


def _by_day(day: Ints, what: Any, length: int) -> Floats:
    """Return the sum of each day, counted from 0."""
    return np.bincount(day, weights=np.asarray(what, np.float64), minlength=length).astype(np.float64)


def _one(test: nw.Expr) -> nw.Expr:
    """Return 1 where a test holds, else 0."""
    return nw.when(test).then(nw.lit(1)).otherwise(nw.lit(0))
