"""What was read: the rows that were used, those left out and why, the observed window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty import periods
from loyalty.reporting.document import Notice, Paragraph, Section
from loyalty.reporting.sections.parts import blocks, counted, days, period, said, table

if TYPE_CHECKING:
    from loyalty.reporting.document import Block
    from loyalty.reporting.numbers import Facts, Numbers

__all__ = ["rows"]


def rows(numbers: Numbers) -> Section:
    """Return the section on what was read."""
    facts = numbers.facts
    left_out = facts.rows_in - facts.rows_used
    values: dict[str, Any] = {"used": facts.rows_used, "rows": counted("rows", facts.rows_in), "count": left_out}
    return Section(
        anchor="rows",
        title=said("rows.title"),
        lead=said("rows.lead_some" if left_out else "rows.lead_all", **values),
        blocks=blocks(_rules(facts), _exclusions(facts), _edges(numbers)),
    )


def _rules(facts: Facts) -> Iterator[Block]:
    """Yield what makes a purchase, and the window."""
    length = days(facts.window.days)
    yield Paragraph(said("rows.window", first=facts.first, last=facts.last, days=length))
    yield Paragraph(said(f"rows.occasion.{facts.occasion}"))
    yield Paragraph(said(f"rows.returns.{facts.returns}"))


def _exclusions(facts: Facts) -> Iterator[Block]:
    """Yield the table of what was left out."""
    found = [(reason, count, money) for reason, (count, money) in facts.exclusions.items() if count]
    if not found:
        yield Paragraph(said("rows.nothing_left_out"))
        return
    yield table(
        said("rows.left_out"),
        {"reason": "text", "rows": "count", "amount": "money", "why": "text"},
        [(said(f"excluded.{reason}"), count, money, said(f"excluded.{reason}.why")) for reason, count, money in found],
    )


def _edges(numbers: Numbers) -> Iterator[Block]:
    """Yield what is to be known of the ends of the window."""
    facts, name = numbers.facts, numbers.asked.period
    index = periods.period_index(facts.window.last, name)
    if name != "day" and periods.period_start(index + 1, name) != facts.window.last + 1:
        start = periods.to_date(periods.period_start(index, name))
        yield Notice(said("rows.last_incomplete", period=period("last", name), start=start, last=facts.last,
                          by=period("by", name)))  # fmt: skip
    if periods.period_start(periods.period_index(facts.window.first, name), name) != facts.window.first:
        yield Notice(said("rows.first_incomplete", period=period("first", name), first=facts.first,
                          by=period("by", name)))  # fmt: skip
    key = "rows.history" if facts.history else "rows.no_history"
    yield Notice(said(key, first=facts.first))
