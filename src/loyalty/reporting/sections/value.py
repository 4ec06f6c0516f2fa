"""What customers are worth: all together, by segment, by time since the last purchase, and how evenly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty import wording
from loyalty.reporting.document import Library, Paragraph, Picture, Said, Section
from loyalty.reporting.sections.parts import (
    absent,
    ahead,
    amount,
    blocks,
    days,
    drawing,
    know,
    level,
    money,
    named,
    notices,
    rows_of,
    said,
    share,
    span,
    table,
    warned,
)
from loyalty.reporting.sections.quiet import customers_table

if TYPE_CHECKING:
    from loyalty.reporting.document import Block
    from loyalty.reporting.numbers import Numbers
    from loyalty.tables import Table

__all__ = ["value"]

_SLACK = 1e-9  # of a share of customers


def value(numbers: Numbers) -> Section:
    """Return the section on the value of customers."""
    there = numbers.has("value")
    return Section(
        anchor="value",
        title=said("value.title"),
        lead=_lead(numbers) if there else None,
        blocks=blocks(_parts(numbers) if there else absent(numbers, "value"), _warned(numbers)),
    )


def _warned(numbers: Numbers) -> Iterator[Block]:
    """Yield what was warned of and the notes do not say."""
    yield from warned(numbers, "value", told=numbers["value"].notes if numbers.has("value") else ())


def _parts(numbers: Numbers) -> Iterator[Block]:
    """Yield all that is told of values."""
    found = numbers["value"]
    yield from _total(numbers)
    yield from _by_segment(numbers)
    yield from _alive(numbers)
    yield from _concentration(numbers)
    if numbers.has("best") and numbers["best"]:
        yield customers_table(said("value.best_table"), numbers["best"], "clv")
    yield from notices(*found.notes)


def _lead(numbers: Numbers) -> Said:
    found = numbers["value"]
    return said("value.lead", count=found.total.n, value=amount(found.total), ahead=ahead(found.terms),
                mean=amount(found.mean))  # fmt: skip


def _total(numbers: Numbers) -> Iterator[Block]:
    """Yield the total with both of its intervals, and a new customer."""
    found = numbers["value"]
    total, predicted, new = found.total, found.total_predictive, found.break_even_cost
    if know(total.low, predicted.low, predicted.high):
        yield Paragraph(said("value.intervals", expected=span(total), predicted=span(predicted),
                             level=level(total.confidence)))  # fmt: skip
    yield Paragraph(_terms(numbers))
    if know(new.value):
        key = "value.new" if new.value > 0.0 else "value.new_nothing"
        yield Paragraph(said(key, value=amount(new), ahead=ahead(found.terms)))
    if numbers.has("historical_value"):
        so_far = numbers["historical_value"].mean
        yield Paragraph(said("value.so_far", value=amount(so_far), first=numbers.facts.first, last=numbers.facts.last))


def _terms(numbers: Numbers) -> Said:
    """Return what is counted as value."""
    terms = numbers["value"].terms
    rate = level(terms.annual_discount_rate)
    if isinstance(terms.margin, str):
        return said("value.terms_column", margin=named(terms.margin), rate=rate)
    if not isinstance(terms.margin, float):
        return said("value.terms_table", rate=rate)
    if numbers.asked.margin is None:
        key = "value.terms_cost" if terms.margin != 1.0 else "value.terms_sales"
        return said(key, margin=level(round(terms.margin, 4)), rate=rate)
    return said("value.terms_margin", margin=level(round(terms.margin, 4)), rate=rate)


def _by_segment(numbers: Numbers) -> Iterator[Block]:
    """Yield the value of segments."""
    if not numbers.has("value_by_segment"):
        yield absent(numbers, "value_by_segment")
        return
    found: Table = numbers["value_by_segment"]
    group = found.data.column_names[0]
    rows = list(found)
    first = rows[0]
    columns = {"segment": "text", "customers": "count", "value": "money", "share_of_value": "share",
               "mean_value": "money", "mean_p_alive": "share"}  # fmt: skip
    names = list(columns)[1:]
    defined = know(first["share_of_value"])
    yield Picture(
        draw=drawing(found),
        alt=said("value.segment_alt" if defined else "value.segment_alt_money", segment=Library(str(first[group])),
                 value=money(first["value"]), share=share(first["share_of_value"]), mean=money(first["mean_value"])),
        caption=said("value.segment_caption"),
        height=min(1.8 + 0.34 * len(rows), 6.0),
        table=table(
            said("value.segment_table"),
            columns,
            [(Library(str(row[group])), *(row[name] for name in names)) for row in rows],
            sortable=True,
            sorted_by=(2, "descending"),
        ),
    )  # fmt: skip
    yield from notices(found.note)


def _alive(numbers: Numbers) -> Iterator[Block]:
    """Yield how probably customers are still there, by how long they have been silent."""
    if not numbers.has("alive_by_recency"):
        yield absent(numbers, "alive_by_recency")
        return
    found: Table = numbers["alive_by_recency"]
    rows = list(found)
    people = sum(row["customers"] for row in rows)
    alive = sum(row["customers"] * row["p_alive"] for row in rows)
    yield Paragraph(said("value.alive", alive=share(alive / people), count=round(alive)))
    columns = {"purchases_so_far": "text", "from_days": "count", "to_days": "count", "customers": "count",
               "p_alive": "share"}  # fmt: skip
    yield Picture(
        draw=drawing(found),
        alt=_alive_alt(rows),
        caption=said("value.alive_caption"),
        height=4.6,
        table=table(
            said("value.alive_table"),
            columns,
            rows_of(found, "purchases", "days_from", "days_to", "customers", "p_alive", most=140),
            sortable=True,
        ),
    )
    yield from notices(found.note)


def _alive_alt(rows: list[dict[str, Any]]) -> Said:
    """Return what is to be seen: the most recent and the most silent of those who bought most."""
    most = [row for row in rows if row["purchases"] == rows[-1]["purchases"]]
    recent, silent = most[0], most[-1]
    values: dict[str, Any] = {
        "purchases": Library(wording.counted(recent["purchases"], "purchases")),
        "recent": share(recent["p_alive"]),
        "recent_days": days(recent["days_to"]),
    }
    if recent is silent:
        return Said("value.alive_alt_one", values)
    return said("value.alive_alt", **values, silent=share(silent["p_alive"]), silent_days=days(silent["days_from"]))


def _concentration(numbers: Numbers) -> Iterator[Block]:
    """Yield how evenly value is spread over customers."""
    if not numbers.has("value_concentration"):
        yield absent(numbers, "value_concentration")
        return
    found: Table = numbers["value_concentration"]
    rows = list(found)
    if not rows:
        yield from notices(found.note)
        return
    tenths = [_nearest(rows, tenth / 10) for tenth in range(1, 11)]
    if not know(*(row["cumulative_value"] for row in tenths)):
        yield from notices(found.note)
        return
    top = _nearest(rows, 0.30)
    yield Picture(
        draw=drawing(found),
        alt=said(
            "value.concentration_alt", top=share(top["cumulative_customers"]), brings=share(top["cumulative_value"])
        ),
        caption=said("value.concentration_caption"),
        width=6.4,
        height=5.2,
        table=table(
            said("value.concentration_table"),
            {"best_customers": "share", "share_of_value": "share"},
            dict.fromkeys((row["cumulative_customers"], row["cumulative_value"]) for row in tenths),
        ),
    )
    yield from notices(found.note)


def _nearest(rows: list[dict[str, Any]], part: float) -> dict[str, Any]:
    """Return the first point of a curve that holds so large a part of customers."""
    there = (row for row in rows if row["cumulative_customers"] >= part - _SLACK)
    return next(there, rows[-1])
