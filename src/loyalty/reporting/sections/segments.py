"""Segments: customers by how recently and how often they bought."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Library, Paragraph, Picture, Section
from loyalty.reporting.sections.parts import absent, blocks, drawing, know, notices, said, share, table, warned

if TYPE_CHECKING:
    from loyalty.reporting.document import Block, Said
    from loyalty.reporting.numbers import Numbers

__all__ = ["segments"]

_MEANS = ("customers", "revenue", "mean_days_since_last_purchase", "mean_frequency", "mean_spend")
# Segment → what the catalogue calls who is in it.
_WHO = {
    "Champions": "champions",
    "Loyal Customers": "loyal",
    "Potential Loyalists": "potential",
    "New Customers": "new",
    "Promising": "promising",
    "Need Attention": "attention",
    "About To Sleep": "sleepy",
    "At Risk": "risk",
    "Can't Lose Them": "precious",
    "Lost": "lost",
    "Hibernating": "hibernating",
}


def segments(numbers: Numbers) -> Section:
    """Return the section on segments."""
    there = numbers.has("rfm")
    return Section(
        anchor="segments",
        title=said("segments.title"),
        lead=_lead(numbers["rfm"]) if there else None,
        blocks=blocks(_grid(numbers["rfm"]) if there else absent(numbers, "rfm"), warned(numbers, "rfm")),
    )


def _lead(found: Any) -> Said:
    """Return the largest segment, and the one that brings most."""
    rows = list(found.segments)
    most = max(rows, key=lambda row: row["customers"])
    richest = max(rows, key=lambda row: row["revenue"])
    values = {"largest": Library(most["segment"]), "share": share(most["share"])}
    if found.n == 1:
        return said("segments.lead_one", segment=values["largest"])
    if sum(1 for row in found.grid if row["customers"]) == 1:
        return said("segments.lead_alike")
    if not know(richest["revenue_share"]):
        return said("segments.lead_customers", **values)
    if richest is most:
        return said("segments.lead_same", **values, brings=share(richest["revenue_share"]))
    return said("segments.lead", **values, richest=Library(richest["segment"]), part=share(richest["share"]),
                brings=share(richest["revenue_share"]))  # fmt: skip


def _grid(found: Any) -> Iterator[Block]:
    """Yield the grid of scores and the segments."""
    rows = [row for row in found.segments if row["customers"]]
    yield Paragraph(said("segments.reading"))
    largest = sorted(rows, key=lambda row: -row["customers"])[:4]
    parts = [said("segments.part", segment=Library(row["segment"]), share=share(row["share"])) for row in largest]
    yield Picture(
        draw=drawing(found),
        alt=said("segments.alt", parts=parts),
        caption=said("segments.caption"),
        width=7.2,
        height=5.6,
        shaded=True,
        table=table(
            said("segments.means"),
            {"segment": "text", "customers": "count", "revenue": "money", "mean_days": "days",
             "mean_purchases": "count", "mean_spend": "money"},
            [(Library(row["segment"]), *(row[name] for name in _MEANS)) for row in rows],
        ),
    )  # fmt: skip
    yield table(
        said("segments.table"),
        {"segment": "text", "who": "text", "customers": "count", "customer_share": "share", "revenue_share": "share"},
        [(Library(row["segment"]), _who(row["segment"]), row["customers"], row["share"], row["revenue_share"])
         for row in rows],
        sortable=True,
    )  # fmt: skip
    yield from notices(found.segments.note)


def _who(segment: str) -> Said | None:
    return said(f"segments.who.{_WHO[segment]}") if segment in _WHO else None
