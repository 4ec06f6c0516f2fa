"""A caller's further table with a row per customer, such as their margins or segments, beside a summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.errors import InvalidArgument, InvalidRows

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["attached", "refuse_nameless", "refuse_repeated"]

Frame = nw.LazyFrame[Any]


def attached(table: Any, summary: CustomerSummary, columns: Mapping[str, Any], argument: str, way_out: str) -> Frame:
    """Return a table of customers as a frame of the summary's engine, rows without a customer left out.

    Args:
        table: Any kind of table that `transactions` opens.
        summary: The customers, whose ids those of the table must match.
        columns: Internal name → the table's label; "customer" among them.
        argument: What the table was given as, for the error.
        way_out: What may be passed instead, for the error.

    Raises:
        InvalidArgument: The summary does not say who is who.
        ColumnError: A column is missing, or the ids are of a kind that cannot match.
    """
    refuse_nameless(summary, argument, way_out)
    engine = summary.engine
    engine.once("customers", lambda: summary.frame().select("customer"))  # whose ids those of the table must match
    return engine.attach_source(table, columns, "customer").filter(~nw.col("customer").is_null())


def refuse_nameless(summary: CustomerSummary, argument: str, way_out: str = "") -> None:
    """Raise where a summary does not say who is who; arguments as in `attached`.

    Raises:
        InvalidArgument: It does not.
    """
    if summary.customer is None:
        raise InvalidArgument(
            f"{argument}= is a table of customers, but this summary does not say who is who: pass customer=<column> to "
            f"CustomerSummary.of{way_out}."
        )


def refuse_repeated(frame: Frame, summary: CustomerSummary, what: str, column: Any) -> None:
    """Raise where customers have several rows.

    Raises:
        InvalidRows: They have.
    """
    twice = frame.group_by("customer").agg(n=nw.len()).filter(nw.col("n") > 1).select(n=nw.len())
    repeated = int(summary.collect(twice)["n"][0].as_py())
    if repeated:
        raise InvalidRows(
            f"{repeated:,} customers have several rows in the table of {what}: give each one row.",
            column=str(column),
            count=repeated,
        )
