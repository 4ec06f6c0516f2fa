"""What part of spend is earned: one number, or one per customer from a column or a table."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.errors import ColumnError, InvalidArgument, InvalidRows, UnsupportedSource

if TYPE_CHECKING:
    from loyalty.clv.summary import CustomerSummary
    from loyalty.transactions import Transactions

__all__ = ["Margins", "margins"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """The margin of every customer.

    Attributes:
        number: The margin of all; NaN where they differ.
        each: Gives the columns `customer` and `margin`, a row per customer; None where all have the same.
    """

    number: float
    each: Callable[[], Frame] | None = None

    def on(self, frame: Frame) -> Frame:
        """Return customers widened by their `margin`."""
        if self.each is None:
            return frame.with_columns(margin=nw.lit(self.number))
        return frame.join(self.each(), on="customer", how="inner")


def margins(margin: Any, summary: CustomerSummary, tx: Transactions | None) -> Margins:
    """Return the margins of a summary's customers.

    Args:
        margin: A number; the label of a numeric column of the transactions, of which each customer's value at the
            first purchase counts; or any kind of table with a row per customer and the columns `margin` and the
            customers', under the name that they have in the summary.
        summary: The customers.
        tx: The transactions that they come from, where there are any.

    Raises:
        ColumnError: A column is missing or holds no numbers.
        InvalidRows: A customer has no finite margin, or several.
        InvalidArgument: A column is named, but there are no transactions to read it from.
    """
    if isinstance(margin, float):
        return Margins(margin)
    if _is_label(margin, tx):
        if tx is None:
            raise InvalidArgument(
                f"margin={margin!r} names a column, and a summary has none besides its own: pass a number, or a table "
                f"with a row per customer and the columns {summary.customer!r} and 'margin'."
            )
        return _of_column(tx, margin, summary)
    return _of_table(margin, summary)


def _is_label(margin: Any, tx: Transactions | None) -> bool:
    """Return whether a margin names a column: text always does."""
    labels = [] if tx is None else [label for label in tx.engine.labels if type(label) is type(margin)]
    return isinstance(margin, str) or margin in labels  # a table is never compared: it would answer by column


def _of_column(tx: Transactions, label: Any, summary: CustomerSummary) -> Margins:
    """Return margins read at the customers' first purchases."""

    def each() -> Frame:
        return tx.first_values(label).select("customer", margin=nw.col("group").cast(nw.Float64))

    kind = tx.first_values(label).collect_schema()["group"]
    wrong = ColumnError(f"margin={label!r} is not a column of numbers: convert it first, or name another.")
    if not (kind.is_numeric() or isinstance(kind, nw.String)):  # files of text hold numbers as text
        raise wrong
    try:
        _refuse_unusable(each, summary, f"margin={label!r} at their first purchase", label)
    except UnsupportedSource as err:
        raise wrong from err
    return Margins(math.nan, each)


def _of_table(table: Any, summary: CustomerSummary) -> Margins:
    """Return margins of a table of customers, kept in the engine as they are now."""
    if summary.customer is None:
        raise InvalidArgument(
            "margin= is a table of customers, but this summary does not say who is who: pass customer=<column> to "
            "CustomerSummary.of, or give one number."
        )
    engine = summary.engine
    engine.once("customers", lambda: summary.frame().select("customer"))  # whose ids those of the table must match
    found = engine.attach_source(table, {"customer": summary.customer, "margin": "margin"}, "customer")
    if not found.collect_schema()["margin"].is_numeric():
        raise ColumnError("the column 'margin' of the table of margins holds no numbers: convert it first.")
    kept = engine.persist(found.filter(~nw.col("customer").is_null()), f"margins_{uuid.uuid4().hex[:8]}")

    def each() -> Frame:
        return engine.table(kept).select("customer", nw.col("margin").cast(nw.Float64))

    twice = each().group_by("customer").agg(n=nw.len()).filter(nw.col("n") > 1).select(n=nw.len())
    repeated = int(summary.collect(twice)["n"][0].as_py())
    if repeated:
        raise InvalidRows(
            f"{repeated:,} customers have several rows in the table of margins: give each one row.",
            column="margin",
            count=repeated,
        )
    _refuse_unusable(each, summary, "a margin in the table of margins", "margin")
    return Margins(math.nan, each)


def _refuse_unusable(each: Callable[[], Frame], summary: CustomerSummary, where: str, column: Any) -> None:
    """Raise where customers have no finite margin."""
    usable = each().filter(nw.col("margin").is_finite())
    without = summary.frame().join(usable, on="customer", how="anti").select(n=nw.len())
    count = int(summary.collect(without)["n"][0].as_py())
    if count:
        raise InvalidRows(
            f"{count:,} of {summary.n_customers:,} customers have no finite number as {where}: fill in a share such as "
            "0.3, or pass one margin for all.",
            column=str(column),
            count=count,
        )
