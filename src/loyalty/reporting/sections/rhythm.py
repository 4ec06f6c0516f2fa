"""The rhythm of buying: time between purchases, how long customers stay, what they spend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Absent, Paragraph, Picture, Quantity, Section
from loyalty.reporting.sections.parts import (
    absent,
    amount,
    blocks,
    counted,
    days,
    drawing,
    know,
    level,
    money,
    noted,
    notices,
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

__all__ = ["rhythm"]

_SHOWN = 24  # steps of the survival curve under its picture


def rhythm(numbers: Numbers) -> Section:
    """Return the section on when, how long and for how much customers buy."""
    return Section(
        anchor="rhythm",
        title=said("rhythm.title"),
        lead=_lead(numbers),
        blocks=blocks(
            _gaps(numbers),
            _tenure(numbers),
            _spend(numbers),
            warned(numbers, "spending", "gaps", "tenure", "spend_distribution"),
        ),
    )


def _lead(numbers: Numbers) -> Said | None:
    if not numbers.has("spending"):
        return None
    found = numbers["spending"]
    gap, order, each = found.median_time_between_purchases, found.average_order_value, found.purchase_frequency
    values = {"order": amount(order), "each": Quantity(each.value)}
    if not know(gap.value):
        return said("rhythm.lead_once", order=amount(order))
    return said("rhythm.lead", gap=days(gap.value), **values)


def _gaps(numbers: Numbers) -> Iterator[Block]:
    """Yield the time between purchases."""
    if not numbers.has("gaps"):
        yield absent(numbers, "gaps")
        return
    found = numbers["gaps"]
    if not len(found):
        yield Absent(said("rhythm.no_gaps"))
        return
    waits = sum(found["count"])
    median = numbers["spending"].median_time_between_purchases if numbers.has("spending") else None
    if median is not None and know(median.value, median.low):
        yield Paragraph(said("rhythm.median", median=days(median.value), span=span(median),
                             level=level(median.confidence), waits=counted("waits", waits)))  # fmt: skip
    columns = {"from_days": "count", "to_days": "count", "waits": "count"}
    bars = list(found)
    fullest = max(bars, key=lambda bar: bar["count"])
    yield Picture(
        draw=drawing(found),
        alt=said("rhythm.gaps_alt", waits=counted("waits", waits), first=fullest["from_days"], last=fullest["to_days"],
                 share=share(fullest["count"] / waits), longest=days(bars[-1]["to_days"])),
        caption=said("rhythm.gaps_caption"),
        table=table(said("rhythm.gaps_table"), columns, rows_of(found, "from_days", "to_days", "count")),
    )  # fmt: skip
    yield from notices(found.note)


def _tenure(numbers: Numbers) -> Iterator[Block]:
    """Yield how long customers stay."""
    if not numbers.has("tenure"):
        yield absent(numbers, "tenure")
        return
    found = numbers["tenure"]
    half = found.survival_median
    silence = days(numbers.asked.inactive_days)
    if not len(found.survival):
        yield Absent(noted(found.survival.note))
        return
    known = know(half.value)
    key = "rhythm.tenure_long" if not known else "rhythm.tenure" if half.value else "rhythm.tenure_once"
    yield Paragraph(said(key, half=days(half.value if known else 0),
                         silence=silence, mean=amount(found.mean)))  # fmt: skip
    rows = found.survival.data.to_pylist()
    step = max(1, -(-len(rows) // _SHOWN))
    shown = [*rows[::step], *([rows[-1]] if (len(rows) - 1) % step else [])]
    columns = {"day": "count", "survival": "share", "low": "share", "high": "share", "at_risk": "count"}
    yield Picture(
        draw=drawing(found),
        alt=_survival_alt(rows),
        caption=said("rhythm.tenure_caption"),
        table=table(said("rhythm.tenure_table"), columns, [tuple(row[name] for name in columns) for row in shown]),
    )
    # An undefined median is what the paragraph says already.
    yield from notices(half.note if known else "", found.mean.note)


def _survival_alt(rows: list[dict[str, Any]]) -> Said:
    last, middle = rows[-1], rows[len(rows) // 2]
    return said("rhythm.tenure_alt", middle=days(middle["day"]), half=share(middle["survival"]),
                last=days(last["day"]), end=share(last["survival"]))  # fmt: skip


def _spend(numbers: Numbers) -> Iterator[Block]:
    """Yield how customers differ in what they spend."""
    if not numbers.has("spend_distribution"):
        yield absent(numbers, "spend_distribution")
        return
    found = numbers["spend_distribution"]
    people = sum(found["count"])
    if not people:
        yield Absent(noted(found.note))
        return
    if numbers.has("spending"):
        each = numbers["spending"].sales_per_customer
        yield Paragraph(said("rhythm.spend", mean=amount(each)))
    bars = list(found)
    fullest = max(bars, key=lambda bar: bar["count"])
    columns = {"from_money": "money", "to_money": "money", "customers": "count"}
    yield Picture(
        draw=drawing(found),
        alt=said("rhythm.spend_alt", customers=counted("customers", people), low=money(fullest["from"]),
                 high=money(fullest["to"]), share=share(fullest["count"] / people)),
        caption=said("rhythm.spend_caption"),
        table=table(said("rhythm.spend_table"), columns, rows_of(found, "from", "to", "count")),
    )  # fmt: skip
    yield from notices(found.note)
