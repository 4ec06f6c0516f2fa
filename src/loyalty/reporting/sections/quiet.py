"""Valuable customers going quiet: whom to write to while some of them are still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Paragraph, Section
from loyalty.reporting.sections.parts import absent, blocks, money, named, said, table

if TYPE_CHECKING:
    from loyalty.reporting.document import DataTable, Said
    from loyalty.reporting.numbers import Numbers

__all__ = ["customers_table", "quiet"]

# Columns of a table of customers: key of the heading (and name in the rows) to kind.
_COLUMNS = {
    "customer": "text",
    "purchases": "count",
    "last_purchase": "date",
    "p_alive": "share",
    "expected_spend": "money",
    "clv": "money",
    "value_at_risk": "money",
}


def quiet(numbers: Numbers) -> Section:
    """Return the section on valuable customers who are probably leaving."""
    found: list[dict[str, Any]] = numbers["quiet"] if numbers.has("quiet") else []
    rest: Any
    if not numbers.has("quiet"):
        rest = absent(numbers, "quiet")
    elif not numbers.asked.listed:
        rest = Paragraph(said("quiet.unlisted"))
    elif not found:
        rest = Paragraph(said("quiet.nobody"))
    else:
        rest = (
            Paragraph(said("quiet.reading")),
            customers_table(said("quiet.table"), found, "value_at_risk"),
        )
    return Section(anchor="quiet", title=said("quiet.title"), lead=_lead(found), blocks=blocks(rest))


def _lead(found: list[dict[str, Any]]) -> Said | None:
    if not found:
        return None
    at_risk = sum(row["value_at_risk"] for row in found)
    return said("quiet.lead", count=len(found), value=money(at_risk))


def customers_table(caption: Said, found: list[dict[str, Any]], by: str) -> DataTable:
    """Return customers by name, the highest of a column first."""
    rows = [(named(row["customer"]), *(row[name] for name in list(_COLUMNS)[1:])) for row in found]
    return table(caption, _COLUMNS, rows, sortable=True, sorted_by=(list(_COLUMNS).index(by), "descending"))
