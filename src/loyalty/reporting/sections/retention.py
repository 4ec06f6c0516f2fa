"""Whether customers come back: retention and revenue retention from period to period, and who has gone silent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Absent, Paragraph, Picture, Section
from loyalty.reporting.sections.parts import (
    MOST_ROWS,
    absent,
    amount,
    blocks,
    days,
    drawing,
    know,
    level,
    noted,
    notices,
    of_people,
    period,
    rows_of,
    said,
    share,
    span,
    table,
    warned,
)

if TYPE_CHECKING:
    from loyalty.reporting.document import Block, Said
    from loyalty.reporting.numbers import Numbers
    from loyalty.tables import Table

__all__ = ["retention"]


def retention(numbers: Numbers) -> Section:
    """Return the section on retention."""
    return Section(
        anchor="retention",
        title=said("retention.title"),
        lead=_lead(numbers),
        blocks=blocks(
            _customers(numbers),
            _silence(numbers),
            _revenue(numbers),
            warned(numbers, "retention", "retention_rate", "silent", "revenue_retention"),
        ),
    )


def _lead(numbers: Numbers) -> Said | None:
    if not numbers.has("retention_rate"):
        return None
    rate, name = numbers["retention_rate"], numbers.asked.period
    return of_people("card.retention", rate.value, in_one=period("in", name), in_next=period("next", name))


def _customers(numbers: Numbers) -> Iterator[Block]:
    """Yield retention of customers."""
    name = numbers.asked.period
    if not numbers.has("retention"):
        yield absent(numbers, "retention")
        return
    found: Table = numbers["retention"]
    if not len(found):
        yield Absent(noted(found.note))
        return
    rate = numbers["retention_rate"]
    if know(rate.value, rate.low):
        yield Paragraph(said("retention.pooled", rate=amount(rate), span=span(rate), level=level(rate.confidence),
                             by=period("by", name)))  # fmt: skip
    columns = {"period": "text", "customers": "count", "kept": "count", "rate": "share", "new": "count",
               "reactivated": "count"}  # fmt: skip
    yield Picture(
        draw=drawing(found),
        alt=_alt("retention.alt", found, "rate", name),
        caption=said("retention.caption", by=period("by", name), in_next=period("next", name)),
        table=table(_shown("retention.table", found, name), columns, rows_of(found, *columns)),
    )
    yield Paragraph(said("retention.reading", period=period("plain", name)))
    yield from notices(found.note)


def _silence(numbers: Numbers) -> Iterator[Block]:
    """Yield how many have gone silent."""
    if not numbers.has("silent"):
        yield absent(numbers, "silent")
        return
    found = numbers["silent"]
    if know(found.value):
        silence = days(numbers.asked.inactive_days)
        yield Paragraph(of_people("card.silent", found.value, part=found.numerator, whole=found.n, days=silence))
    yield from notices(found.note)


def _revenue(numbers: Numbers) -> Iterator[Block]:
    """Yield net and gross retention of revenue."""
    name = numbers.asked.period
    if not numbers.has("revenue_retention"):
        yield absent(numbers, "revenue_retention")
        return
    found = numbers["revenue_retention"]
    if not len(found):
        return  # the same reason as that of customers' retention, which has been said
    if know(found.net.value, found.gross.value):
        key = "retention.revenue" if found.net.value >= 0.0 else "retention.revenue_negative"
        yield Paragraph(said(key, net=amount(found.net), gross=amount(found.gross),
                             in_one=period("in", name), in_next=period("next", name)))  # fmt: skip
    columns = {"period": "text", "customers": "count", "base_spend": "money", "next_spend": "money", "net": "share",
               "gross": "share"}  # fmt: skip
    yield Picture(
        draw=drawing(found),
        alt=_alt("retention.revenue_alt", found, "net", name),
        caption=said("retention.revenue_caption", by=period("by", name), in_next=period("next", name)),
        table=table(_shown("retention.revenue_table", found, name), columns, rows_of(found, *columns)),
    )
    yield from notices(found.note, found.net.note)


def _shown(key: str, found: Table, name: str) -> Said:
    """Return the caption of a table, which says where only its last rows are shown."""
    caption = said(key, by=period("by", name), in_next=period("next", name))
    if len(found) <= MOST_ROWS:
        return caption
    return said("part.last_rows", caption=caption, shown=MOST_ROWS, rows=len(found))


def _alt(key: str, found: Table, column: str, name: str) -> Said:
    """Return what a curve of shares shows: its first and last value, its lowest and highest."""
    rows: list[dict[str, Any]] = [row for row in found if not math.isnan(row[column])]
    by = period("by", name)
    if not rows:
        return said(f"{key}_empty", by=by)
    low, high = (pick(rows, key=lambda row: row[column]) for pick in (min, max))
    return said(
        key,
        by=by,
        first=rows[0]["start"],
        last=rows[-1]["start"],
        from_rate=share(rows[0][column]),
        to_rate=share(rows[-1][column]),
        low=share(low[column]),
        low_at=low["start"],
        high=share(high[column]),
        high_at=high["start"],
    )
