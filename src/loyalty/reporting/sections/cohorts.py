"""Cohorts: customers by the period of their first purchase, and how many came back in the periods after it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import (
    Absent,
    Column,
    DataTable,
    Library,
    Notice,
    Paragraph,
    Picture,
    Said,
    Section,
)
from loyalty.reporting.sections.parts import (
    absent,
    blocks,
    counted,
    drawing,
    noted,
    notices,
    of_people,
    period,
    rows_of,
    said,
    share,
    table,
    warned,
)

if TYPE_CHECKING:
    from loyalty.reporting.document import Block
    from loyalty.reporting.numbers import Numbers

__all__ = ["cohorts"]


def cohorts(numbers: Numbers) -> Section:
    """Return the section on cohorts."""
    there = numbers.has("cohorts")
    name = numbers["cohorts"].period if there else numbers.asked.period
    return Section(
        anchor="cohorts",
        title=said("cohorts.title", period=period("first_purchase", name)),
        lead=_lead(numbers["cohorts"]) if there else None,
        blocks=blocks(
            _pictures(numbers, numbers["cohorts"]) if there else absent(numbers, "cohorts"),
            warned(numbers, "cohorts"),
        ),
    )


def _at(found: Any, offset: int) -> dict[str, Any] | None:
    """Return the average over cohorts so many periods after the first; None where it is not known."""
    rows = (row for row in found.average if row["offset"] == offset and not math.isnan(row["rate"]))
    return next(rows, None)


def _lead(found: Any) -> Said | None:
    """Return how many come back in the first period after that of the first purchase."""
    first = _at(found, 1)
    if first is None:
        return None
    name = found.period
    return of_people("cohorts.lead", first["rate"], after=period("after", name))


def _pictures(numbers: Numbers, found: Any) -> Iterator[Block]:
    """Yield the heat map, the curves and their averages."""
    if not found.data.num_rows:
        yield Absent(noted(found.note))
        return
    if found.period != numbers.asked.period:
        yield Notice(said("cohorts.coarser", by=period("by", found.period),
                          asked=period("by", numbers.asked.period)))  # fmt: skip
    sizes = dict(zip(found.data["cohort"].to_pylist(), found.data["size"].to_pylist(), strict=True))
    offsets = 1 + max(found.data["offset"].to_pylist())
    yield Paragraph(said("cohorts.reading", by=period("by", found.period), in_same=period("same", found.period)))
    yield Picture(
        draw=drawing(found),
        alt=_alt(found, sizes),
        caption=said("cohorts.caption", by=period("by", found.period)),
        table=_cells(found, sizes, offsets),
        width=8.6,
        height=min(2.4 + 0.34 * len(sizes), 9.0),
        shaded=True,
    )
    if _at(found, 1) is not None:
        yield _curves(found)
    yield from notices(found.note)


def _alt(found: Any, sizes: dict[str, int]) -> Said:
    """Return what the heat map shows."""
    values = {"cohorts": counted("cohorts", len(sizes)), "customers": counted("customers", sum(sizes.values()))}
    first = _at(found, 1)
    if first is None:
        return Said("cohorts.alt_short", values)
    last = next(row for row in reversed(list(found.average)) if not math.isnan(row["rate"]))
    return said("cohorts.alt", **values, next=share(first["rate"]), later=share(last["rate"]),
                offset=counted(f"{found.period}s", last["offset"]))  # fmt: skip


def _cells(found: Any, sizes: dict[str, int], offsets: int) -> DataTable:
    """Return the cells as a table: a row per cohort; of many offsets the first twelve and the last."""
    shown = list(range(offsets)) if offsets <= 14 else [*range(13), offsets - 1]
    rates: dict[tuple[str, int], float] = {
        (row["cohort"], row["offset"]): row["rate"]
        for row in found.data.select(["cohort", "offset", "rate"]).to_pylist()
    }
    return DataTable(
        caption=said("cohorts.table", by=period("by", found.period)),
        columns=(
            Column(label=said("column.cohort")),
            Column(label=said("column.customers"), kind="count"),
            *(Column(label=said("column.offset", offset=k), kind="share") for k in shown),
        ),
        rows=tuple((Library(name), size, *(rates.get((name, k)) for k in shown)) for name, size in sizes.items()),
    )


def _curves(found: Any) -> Picture:
    """Return the curves of cohorts with their average."""
    columns = {"offset_of": "count", "rate": "share", "low": "share", "high": "share", "customers": "count",
               "cohorts": "count"}  # fmt: skip
    last = next(row for row in reversed(list(found.average)) if not math.isnan(row["rate"]))
    first = _at(found, 1) or last
    return Picture(
        draw=drawing(found, kind="curves"),
        alt=said("cohorts.curves_alt", next=share(first["rate"]), later=share(last["rate"]),
                 offset=counted(f"{found.period}s", last["offset"])),
        caption=said("cohorts.curves_caption", by=period("by", found.period)),
        table=table(
            said("cohorts.average_table", by=period("by", found.period)),
            columns,
            rows_of(found.average, "offset", "rate", "low", "high", "customers", "cohorts"),
        ),
    )  # fmt: skip
