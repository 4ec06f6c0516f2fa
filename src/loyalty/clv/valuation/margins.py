"""What part of spend is earned: one number, or one per customer from a column or a table."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, wording
from loyalty.clv.valuation.customer_tables import attached, refuse_repeated
from loyalty.errors import ColumnError, InvalidArgument, InvalidRows, UnsupportedSource

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary
    from loyalty.transactions import Transactions

__all__ = ["Margins", "margins", "odd_margin"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """The margin of every customer.

    Attributes:
        number: The margin of all; NaN where they differ.
        each: Gives the columns `customer` and `margin`, a row per customer; None where all have the same.
        notes: What a reader must know, a sentence each.
    """

    number: float
    each: Callable[[], Frame] | None = None
    notes: tuple[str, ...] = ()

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
        odd = odd_margin(margin)
        return Margins(margin, notes=(odd,) if odd else ())
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
    label = checks.column("margin", label, tx.engine.labels)

    def each() -> Frame:
        return tx.first_values(label).select("customer", margin=nw.col("group").cast(nw.Float64))

    kind = tx.first_values(label).collect_schema()["group"]
    wrong = ColumnError(f"margin={label!r} is not a column of numbers: convert it first, or name another.")
    if not (kind.is_numeric() or isinstance(kind, nw.String)):  # files of text hold numbers as text
        raise wrong
    try:
        notes = _checked(each, summary, f"margin={label!r} at their first purchase", label)
    except UnsupportedSource as err:
        raise wrong from err
    return Margins(math.nan, each, notes)


def _of_table(table: Any, summary: CustomerSummary) -> Margins:
    """Return margins of a table of customers, kept in the engine as they are now."""
    engine, columns = summary.engine, {"customer": summary.customer, "margin": "margin"}
    found = attached(table, summary, columns, "margin", ", or give one number")
    if not found.collect_schema()["margin"].is_numeric():
        raise ColumnError("the column 'margin' of the table of margins holds no numbers: convert it first.")
    kept = engine.persist(found, f"margins_{uuid.uuid4().hex[:8]}")

    def each() -> Frame:
        return engine.table(kept).select("customer", nw.col("margin").cast(nw.Float64))

    refuse_repeated(each(), summary, "margins", "margin")
    return Margins(math.nan, each, _checked(each, summary, "a margin in the table of margins", "margin"))


def odd_margin(margin: float) -> str:
    """Return the sentence on a margin that is no share between 0 and 1; nothing for one that is."""
    if margin > 1.0:
        meant = f" If {margin:g} % was meant, pass margin={margin / 100.0:g}." if margin <= 100.0 else ""
        return f"margin={margin:g} is above 1: customers bring {margin:g} times what they spend.{meant}"
    return f"margin={margin:g} is below 0: whatever is sold counts as a loss." if margin < 0.0 else ""


def _checked(each: Callable[[], Frame], summary: CustomerSummary, where: str, column: Any) -> tuple[str, ...]:
    """Return what is to be said of customers' margins.

    Raises:
        InvalidRows: Customers have no finite margin.
    """
    usable = each().filter(nw.col("margin").is_finite())
    rows = summary.frame().select("customer").join(usable, on="customer", how="left")
    margin, one, none = nw.col("margin"), nw.lit(1), nw.lit(0)
    parts = {"without": margin.is_null(), "above": margin > 1.0, "below": margin < 0.0}
    rows = rows.select(**{name: nw.when(holds).then(one).otherwise(none) for name, holds in parts.items()})
    sums = summary.collect(rows.select(*(nw.col(name).sum() for name in parts))).to_pylist()[0]
    count = int(sums["without"] or 0)
    if count:
        raise InvalidRows(
            f"{count:,} of {summary.n_customers:,} customers have no finite number as {where}: fill in a share such as "
            "0.3, or pass one margin for all.",
            column=str(column),
            count=count,
        )
    said = {"above": "above 1: was a percentage meant?", "below": "below 0: whatever they buy counts as a loss."}
    who = {name: wording.counted(sums[name] or 0, "customers") for name in said}
    return tuple(f"The margin of {who[name]} is {words}" for name, words in said.items() if sums[name])
