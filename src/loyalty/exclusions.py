"""Rows that were left out, by reason: in words, as a table, as JSON and on a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loyalty import wording
from loyalty.tables import Table

__all__ = ["exclusions_table", "in_words", "jsonable", "page_rows"]


def in_words(left_out: Mapping[str, tuple[int, float]]) -> str:
    """Return them in words, such as "3 no_customer, 1 future"."""
    return ", ".join(f"{rows:,} {reason}" for reason, (rows, _) in left_out.items()) or "nothing"


def jsonable(left_out: Mapping[str, tuple[int, float]]) -> dict[str, dict[str, Any]]:
    """Return them as JSON-ready values."""
    return {reason: {"rows": rows, "amount": wording.jsonable(amount)} for reason, (rows, amount) in left_out.items()}


def page_rows(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return JSON-ready headline counts, what `jsonable` gives under "exclusions" among them, as rows of a page."""
    rows = [(name.replace("_", " "), wording.plain(value)) for name, value in told.items() if name != "exclusions"]
    return rows + [(f"left out: {reason}", f"{line['rows']:,} rows") for reason, line in told["exclusions"].items()]


def exclusions_table(left_out: Mapping[str, tuple[int, float]], kind: str, *, sentence: str, definition: str) -> Table:
    """Return rows left out as a table with the columns `reason`, `rows`, `amount`; for authors.

    Args:
        left_out: Reason to rows and amount.
        kind: Kind of eager frame that it gives.
        sentence: What it says.
        definition: What it holds.
    """
    import pyarrow as pa

    counts = list(left_out.values())
    data = pa.table(
        {
            "reason": pa.array(list(left_out), pa.string()),
            "rows": pa.array([rows for rows, _ in counts], pa.int64()),
            "amount": pa.array([amount for _, amount in counts], pa.float64()),
        }
    )
    units = {"amount": "money"}
    return Table(name="exclusions", data=data, kind=kind, sentence=sentence, definition=definition, units=units)
