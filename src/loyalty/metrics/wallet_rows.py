"""Reading a wallet table or a panel: checked, summed by customer, and kept as it was."""

from __future__ import annotations

import weakref
from collections import deque
from numbers import Real
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, engines
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, InvalidRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loyalty.engines import Engine
    from loyalty.transactions import Transactions

__all__ = ["Wallets", "flag"]

Frame = nw.LazyFrame[Any]
Row = dict[str, Any]

_NUMBER = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"  # how CSV files write numbers
# Tables that nobody asks for any more, by engine. They are dropped when the next wallet is read, or with the engine:
# objects may be collected at any moment, also in the middle of a query of the same thread.
_forgotten: weakref.WeakKeyDictionary[Engine, deque[str]] = weakref.WeakKeyDictionary()


class Wallets:
    """A wallet as it was when it was read: summed by customer, kept in the engine while this object is held.

    The source is read once. Whatever becomes of the caller's file or table, all numbers are of one and the same wallet.

    Args:
        tx: The transactions, whose engine keeps it.
        wallet: Any table that `transactions` takes.
        named: "customer", "spend" and for a panel "seller" to the caller's column.
        own: Our own value among the sellers; None for a wallet table.

    Raises:
        LoyaltyError: As `share_of_wallet`.

    Attributes:
        without_id: Rows without a customer id.
    """

    def __init__(self, tx: Transactions, wallet: Any, named: dict[str, Any], own: Any) -> None:
        source = engines.open_source(wallet)
        columns = {role: checks.column(role, label, source.labels) for role, label in named.items()}
        # A stream can be read only once: from here on what was read of it serves.
        data, text = getattr(source, "data", wallet), bool(getattr(source, "text", False))
        rows = _usable(tx.engine.attach_source(data, columns, customer="customer"), columns, own, text=text)
        forgotten = _forgotten.setdefault(tx.engine, deque())
        _drop_all(tx.engine, forgotten)
        self._engine = tx.engine
        self._kept = tx.engine.persist(_by_customer(rows), "wallet")
        weakref.finalize(self, forgotten.append, self._kept).atexit = False
        self.without_id = self._checked(columns, own)

    def by_customer(self) -> Frame:
        """Return a row per customer, on the calling thread.

        Columns: `customer`, `category` (Σ spend), `gross` (Σ |spend|), `gaps` (rows whose spend is missing) and `own`
        (our part of the spend in a panel).
        """
        rows = self._engine.table(self._kept).filter(~nw.col("customer").is_null())
        return rows.select("customer", "category", "gross", "gaps", "own")

    def refuse_strangers(self, tx: Transactions, rows: Sequence[Row]) -> None:
        """Raise where not one wallet customer is in the log: a share of zero would only say that the ids differ."""
        if rows and not any(row["in_log"] for row in rows):
            asked, known = (
                tx.collect(frame.select("customer").head(1))["customer"][0].as_py()
                for frame in (self.by_customer(), tx.customers)
            )
            raise ColumnError(
                f"not one of the {sum(row['n'] for row in rows):,} wallet customers bought in the log (one of the "
                f"wallet's ids: {asked!r}, one of the log's: {known!r}): spell the ids alike in both."
            )

    def _checked(self, columns: dict[str, Any], own: Any) -> int:
        """Return the number of rows without a customer id, or raise where the wallets cannot be used."""
        rows, known = self._engine.table(self._kept), ~nw.col("customer").is_null()
        counted = rows.select(
            nw.col("rows").sum(),
            nw.col("own_rows").sum(),
            nw.when(~known).then(nw.col("rows")).otherwise(nw.lit(0)).sum().alias("without_id"),
            nw.when(known).then(nw.col("bad")).otherwise(nw.lit(0)).sum().alias("bad"),
            nw.when(known).then(nw.col("offender")).max().alias("offender"),
            nw.when(known).then(nw.col("negative")).otherwise(nw.lit(0)).sum().alias("negative"),
            nw.when(known).then(nw.col("lowest")).min().alias("lowest"),
        )
        found: Row = self._engine.collect(counted).to_pylist()[0]
        _refuse(found, columns, own)
        return int(found["without_id"])


def _drop_all(engine: Engine, forgotten: deque[str]) -> None:
    """Let go of the tables that nobody asks for any more."""
    while forgotten:
        try:
            name = forgotten.popleft()
        except IndexError:  # another thread was here first
            return
        engine.drop(name)


def _by_customer(rows: Frame) -> Frame:
    """Return rows summed by customer (null: all rows without an id), and what is to be checked of them."""
    spend, offender = nw.col("spend"), nw.col("offender")
    marked = rows.with_columns(bad=flag(~offender.is_null()), negative=flag(spend < 0.0))
    return marked.group_by("customer").agg(
        nw.len().cast(nw.Int64).alias("rows"),
        spend.sum().alias("category"),
        spend.abs().sum().alias("gross"),
        nw.col("gap").sum().alias("gaps"),
        nw.col("own").sum(),
        nw.col("is_own").sum().alias("own_rows"),
        nw.col("bad").sum(),
        offender.max(),
        nw.col("negative").sum(),
        spend.min().alias("lowest"),
    )


def _usable(rows: Frame, columns: dict[str, Any], own: Any, *, text: bool) -> Frame:
    """Return rows of `customer`, finite `spend` (else null), what is wrong with it, and our part of it."""
    kind, spend, customer = rows.collect_schema()["spend"], nw.col("spend"), _clean_id(rows)
    if text and kind == nw.String:
        written = spend.str.strip_chars()
        value = nw.when(written.str.contains(_NUMBER)).then(written).otherwise(None).cast(nw.Float64)
        missing = written.is_null() | (written == "")
    elif kind.is_numeric() or kind == nw.Unknown:  # Unknown: all null
        value = spend.cast(nw.Float64)
        missing = value.is_null() | value.is_nan()
    else:
        raise ColumnError(f"spend={columns['spend']!r} is of type {kind}, not a number: convert it first.")
    finite, is_own = nw.when(value.is_finite()).then(value), _is_own(rows, columns, own)
    return rows.select(
        customer=customer,
        spend=finite,
        gap=flag(missing),
        offender=nw.when(~missing & finite.is_null()).then(spend.cast(nw.String)),
        own=finite * is_own,
        is_own=is_own,
    )


def flag(condition: nw.Expr) -> nw.Expr:
    """Return 1 where a condition holds, else (and where it is null) 0."""
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0))


def _clean_id(rows: Frame) -> nw.Expr:
    """Return the customer ids with null for NaN and blank text, as in the log."""
    kind, ids = rows.collect_schema()["customer"], nw.col("customer")
    if kind == nw.String:
        return nw.when(ids.str.strip_chars() != "").then(ids)
    return nw.when(~ids.is_nan()).then(ids) if kind.is_float() else ids


def _is_own(rows: Frame, columns: dict[str, Any], own: Any) -> nw.Expr:
    """Return 1 on the rows of our own seller, else 0."""
    if "seller" not in columns:
        return nw.lit(0)
    kind = rows.collect_schema()["seller"]
    is_text = any(kind == text for text in (nw.String, nw.Categorical, nw.Enum))
    fits = isinstance(own, str) == is_text
    if kind.is_numeric() or kind == nw.Boolean:
        fits = isinstance(own, Real) and isinstance(own, bool) == (kind == nw.Boolean)
    if not fits:
        raise InvalidArgument(
            f"own={own!r} cannot occur in column {columns['seller']!r}, which holds {kind}: give a value as "
            "it stands there."
        )
    return flag(nw.col("seller") == nw.lit(own))


def _refuse(found: Row, columns: dict[str, Any], own: Any) -> None:
    """Raise where the wallets cannot be used."""
    if not found["rows"]:
        raise EmptyData("the wallet table has no rows.")
    label, panel = str(columns["spend"]), "seller" in columns
    if found["bad"]:
        first = found["offender"]
        raise InvalidRows(
            f"{found['bad']:,} rows of the wallet hold no usable spend in column {label!r} (such as {first!r}): mend "
            "them, or leave the spend empty where it is not known.",
            column=label,
            count=int(found["bad"]),
            examples=(first,),
        )
    if found["negative"] and not panel:
        lowest = f"{found['lowest']:g}"
        raise InvalidRows(
            f"{found['negative']:,} rows of the wallet hold a negative spend in column {label!r} (the lowest is "
            f"{lowest}): give what customers spend in the category net of returns, or a panel with seller=.",
            column=label,
            count=int(found["negative"]),
            examples=(lowest,),
        )
    if panel and not found["own_rows"]:
        raise InvalidArgument(
            f"own={own!r} does not occur in column {columns['seller']!r}: give our name as it stands there."
        )
