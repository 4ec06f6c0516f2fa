"""What a state carries of the past, beside its open rows, and the rows that stand for it when customers are evaluated.

Rows of the last days (`lateness`) are *open*: they are kept as they came. Purchases begun earlier are *closed*: no row
can make another one of that time, so that only these facts about them can still matter:

- their number and sums, before and inside the window: columns `c_purchases`, `c_spend`, …;
- that there is one on or before a return's day, which of them is the first, and on which side of the window they lie:
  the first day, the last, and the first of the window (`c_first`, `c_last`, `c_inside`) tell that;
- the spend of the first purchase, which later returns may reduce. By day it is one sum (`c_first_spend`). By order,
  the first purchase is the largest order of the first day and a return hits its own order, or else the largest: the
  orders of that day keep their sales and returns apart (`c_loose`, `c_loose_back` for rows without an order and returns
  without one; `gross` and `back` in the table of orders);
- which orders there were, since later rows and returns may name them: the table of orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.state.settings import FRESH, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

__all__ = [
    "closed_columns",
    "order_schema",
    "people_schema",
    "row_schema",
    "rows_of_the_past",
    "today_columns",
    "typed",
]

Frame = nw.LazyFrame[Any]


def today_columns(settings: Settings) -> list[str]:
    """Return the columns of customers as of today, all purchases that are known in those without `_before`."""
    days, counts = ["first_day", "first_inside", "last_day"], ["purchases", "purchases_before"]
    return [*days, *counts, "spend", "spend_before", "first_spend", *settings.further]


def closed_columns(settings: Settings) -> list[str]:
    """Return the columns of customers that say what is closed."""
    names = ["c_first", "c_inside", "c_last", "c_purchases", "c_purchases_before", "c_spend", "c_spend_before"]
    names += [f"c_{name}" for name in settings.further]
    return [*names, *(["c_loose", "c_loose_back"] if settings.by_order else ["c_first_spend"])]


def typed(settings: Settings, found: Mapping[str, nw.Expr]) -> list[nw.Expr]:
    """Return the columns of the table of customers, in their order and of their types.

    Args:
        settings: The rules of the state.
        found: What becomes of columns that are not taken as they are.
    """
    columns = {name: found.get(name, nw.col(name)).cast(kind) for name, kind in _kinds(settings).items()}
    return [nw.col("customer"), *(column.alias(name) for name, column in columns.items())]


def _kinds(settings: Settings) -> dict[str, Any]:
    days = {"first_day", "first_inside", "last_day", "c_first", "c_inside", "c_last"}
    counts = {"purchases", "purchases_before", "c_purchases", "c_purchases_before"}
    names = [*today_columns(settings), *closed_columns(settings)]
    return {name: nw.Int32 if name in days else nw.Int64 if name in counts else nw.Float64 for name in names}


def people_schema(settings: Settings, customer: pa.DataType) -> pa.Schema:
    """Return the columns of the table of customers."""
    import pyarrow as pa

    kinds = {nw.Int32: pa.int32(), nw.Int64: pa.int64(), nw.Float64: pa.float64()}
    return pa.schema([("customer", customer), *((name, kinds[kind]) for name, kind in _kinds(settings).items())])


def order_schema(settings: Settings, customer: pa.DataType, order: pa.DataType) -> pa.Schema:
    """Return the columns of the table of orders: the day they were begun; sales and own returns where they matter."""
    import pyarrow as pa

    money = [("gross", pa.float64()), ("back", pa.float64())] if settings.by_order else []
    return pa.schema([("customer", customer), ("order", order), ("day", pa.int32()), *money])


def row_schema(settings: Settings, customer: pa.DataType, order: pa.DataType) -> pa.Schema:
    """Return the columns of open rows."""
    import pyarrow as pa

    kinds = {"customer": customer, "day": pa.int32(), "order": order}
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in settings.row_columns])


def rows_of_the_past(people: Frame, orders: Frame | None, settings: Settings) -> list[Frame]:
    """Return the rows that stand for closed purchases; they have no fresh money.

    Args:
        people: The customers, with the columns of what is closed.
        orders: Those of their orders that matter: of their first day, and all that open rows name. None: no orders.
        settings: The rules of the state.
    """
    days = _days(people, settings)
    rows = [_laid_out(days, settings, nw.lit(0.0))]
    if orders is not None:
        rows.append(_laid_out(orders, settings, nw.col("gross") if settings.by_order else nw.lit(0.0), named=True))
    if orders is not None and settings.by_order:
        rows.append(_laid_out(orders.filter(nw.col("back") < 0), settings, nw.col("back"), named=True))
        first = people.filter(~nw.col("c_first").is_null()).with_columns(day=nw.col("c_first"))
        rows.append(_laid_out(first.filter(~nw.col("c_loose").is_null()), settings, nw.col("c_loose")))
        rows.append(_laid_out(first.filter(nw.col("c_loose_back") < 0), settings, nw.col("c_loose_back")))
    return rows


def _days(people: Frame, settings: Settings) -> Frame:
    """Return the days that tell where closed purchases lie: `customer`, `day`; a day may be there more than once."""
    names = ["c_inside", "c_last"] if settings.by_order else ["c_first", "c_inside", "c_last"]
    found = []
    for name in names:
        there = people.filter(~nw.col(name).is_null())
        # Of the first day the orders themselves are known: one more there would be a purchase too many.
        there = there.filter(nw.col(name) > nw.col("c_first")) if settings.by_order else there
        found.append(there.select("customer", day=nw.col(name)))
    return nw.concat(found)


def _laid_out(frame: Frame, settings: Settings, amount: nw.Expr, *, named: bool = False) -> Frame:
    """Return rows with the columns that `evaluation` wants, in their order."""
    columns: dict[str, nw.Expr] = {"customer": nw.col("customer"), "day": nw.col("day").cast(nw.Int32)}
    if settings.has_orders:
        kind = {"integer": nw.Int64, "number": nw.Float64}.get(settings.order_type, nw.String)
        columns["order"] = nw.col("order") if named else nw.lit(None).cast(kind)
    columns["amount"] = amount
    columns |= dict.fromkeys(settings.further, nw.lit(0.0))
    columns[FRESH] = nw.lit(0.0)
    return frame.select(**columns)
