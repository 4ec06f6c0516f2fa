"""A document with every kind of block, and with names that no page may stumble over."""

from __future__ import annotations

import datetime as dt
import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from loyalty import plots
from loyalty.reporting.document import (
    Absent,
    Cards,
    Column,
    DataTable,
    Document,
    Headline,
    Library,
    Notice,
    Paragraph,
    Picture,
    Quantity,
    Said,
    Section,
    Span,
    Term,
    Verbatim,
)

HOSTILE = (
    '<script>alert("1")</script>',
    "<img src=x onerror=alert(2)>",
    "\"'><svg onload=alert(3)>",
    "</script><script>alert(4)</script>",
    "{{ 7*7 }} {% raw %} ${7*7}",
    "javascript:alert(5)",
    "שלום עולם <b>",
    "\u202egnp.exe\u202c",
    "price $x_1$ and $y$",
    "\N{FAMILY}\N{ROCKET} emoji \N{WOMAN}\u200d\N{PERSONAL COMPUTER}",
    "half a letter \ud83d",
    "nul\0 bell\a line\nbreak\ttab",
    "x" * 5_000,
    "",
    "-->]]>&amp;&lt;",
)


def retention_table():
    rate = np.array([0.52, 0.48, 0.45, 0.47, np.nan, 0.43, 0.41, 0.42])
    starts = [dt.date(2024, month, 1) for month in range(1, 9)]
    data = pa.table(
        {
            "period": [f"{start:%Y-%m}" for start in starts],
            "start": starts,
            "rate": pa.array(rate, from_pandas=True),
            "low": pa.array(rate - 0.03, from_pandas=True),
            "high": pa.array(rate + 0.03, from_pandas=True),
        }
    )
    return SimpleNamespace(name="retention by month", definition="share of a month's customers", note="", data=data)


def cohorts_result(names=None):
    names = names or [f"2024-{month:02}" for month in range(1, 8)]
    cells = [
        {
            "cohort": name,
            "offset": offset,
            "size": 120 - 7 * row,
            "rate": 1.0 if offset == 0 else 0.6 / (offset + row + 1),
        }
        for row, name in enumerate(names)
        for offset in range(len(names) - row)
    ]
    average = [
        {"offset": k, "rate": 0.5 / (k + 1), "low": 0.4 / (k + 1), "high": 0.6 / (k + 1)} for k in range(len(names))
    ]
    return SimpleNamespace(
        name="cohorts", definition="share of a cohort that bought in a later month", note="", period="month",
        measure="customers", mode="in", data=pa.Table.from_pylist(cells),
        average=SimpleNamespace(data=pa.Table.from_pylist(average)),
    )  # fmt: skip


def _headline(name, value, sentence, term, span=None, note=None):
    return Headline(
        name=Library(name), value=value, sentence=Library(sentence), term=term, span=span,
        note=None if note is None else Library(note),
    )  # fmt: skip


def _cards():
    return Cards(
        (
            _headline(
                "repurchase rate",
                Quantity(0.4886, "share"),
                "About half of the customers came back: 49 of every 100 bought at least once more.",
                "repurchase-rate",
                Span(0.4821, 0.4950, "share"),
            ),
            _headline(
                "revenue per customer",
                Quantity(106.08, "money"),
                "A customer has spent 106 on average since the first purchase.",
                "spend",
                Span(102.95, 109.21, "money"),
                "Returns are taken off the purchase they belong to.",
            ),
            _headline(
                "time between purchases",
                Quantity(70.5, "days"),
                "Half of those who come back do so within 70 days.",
                "gap",
                Span(68.0, 73.9, "days"),
            ),
            _headline("expected revenue", Quantity(2_500_315.63, "money"), "What the next year should bring.", "spend"),
            _headline("upsell ratio", Quantity(math.nan, "ratio"), "Nobody bought a product type.", "gap",
                      Span(math.nan, math.nan, "ratio")),
        )
    )  # fmt: skip


def _numbers():
    table = retention_table().data.to_pylist()
    return DataTable(
        caption=Library("Retention by month"),
        columns=(
            Column(label=Library("month")),
            Column(label=Library("retention"), kind="share"),
            Column(label=Library("from"), kind="share"),
            Column(label=Library("to"), kind="share"),
        ),
        rows=tuple((Verbatim(row["period"]), row["rate"], row["low"], row["high"]) for row in table),
    )


def _customers():
    rows = [
        (Verbatim(name), 12_345.5 - 850 * place, 12 - place % 4, dt.date(2024, 6, 28 - place), 0.93 - 0.05 * place)
        for place, name in enumerate(HOSTILE)
    ]
    rows.append((Verbatim("C-10021"), None, None, None, math.nan))
    return DataTable(
        caption=Library("Valuable customers going quiet"),
        columns=(
            Column(label=Verbatim("client_id")),
            Column(label=Library("value"), kind="money"),
            Column(label=Library("purchases"), kind="count"),
            Column(label=Library("last purchase"), kind="date"),
            Column(label=Library("chance to be active"), kind="share"),
        ),
        rows=tuple(rows),
        sortable=True,
        sorted_by=(1, "descending"),
    )


def _wide_table():
    names = [f"column {place}" for place in range(16)]
    return DataTable(
        caption=Library("A wide table"),
        columns=tuple(
            Column(label=Verbatim(name), kind="count" if place else "text") for place, name in enumerate(names)
        ),
        rows=tuple((Verbatim(f"row {row}"), *(1_000 * row + place for place in range(15))) for row in range(4)),
        sortable=True,
    )


def _retention_picture(table=None):
    return Picture(
        draw=lambda ax: plots.retention(retention_table(), ax),
        alt=Said("page.made_by", {"library": Verbatim(HOSTILE[2])}),
        caption=Library("Share of a month's customers who bought again in the next month"),
        table=table,
        height=3.6,
    )


def sample() -> Document:
    """Return a document with every kind of block."""
    return Document(
        title=Verbatim("Loyalty at Nordlicht & Söhne"),
        subtitle=Said("page.private"),
        sections=(
            Section(
                anchor="headlines",
                title=Said("page.numbers"),
                lead=Library("Half of the customers come back, and a third of them bring seventy percent of revenue."),
                blocks=(
                    _cards(),
                    Notice(Library("The last month is not over: it is left out of every rate.")),
                    Paragraph(Library("Every number stands with the interval in which it lies with 95 % confidence.")),
                ),
            ),
            Section(
                anchor="retention",
                title=Said("count.rows", {"count": 8}),
                lead=Library("Of every 100 customers of a month, 42 buy again in the next."),
                blocks=(
                    _retention_picture(_numbers()),
                    Picture(
                        draw=lambda ax: plots.cohorts(cohorts_result([*HOSTILE[:6], "2024-01"]), ax),
                        alt=Said("page.private"),
                        caption=Verbatim(HOSTILE[0]),
                        shaded=True,
                    ),
                ),
            ),
            Section(
                anchor="customers",
                title=Said("page.contents"),
                blocks=(
                    _customers(),
                    _wide_table(),
                    Absent(Library("There are no scores of a survey: hand them over as surveys= to see this.")),
                ),
            ),
        ),
        terms=tuple(
            Term(
                anchor=anchor,
                name=Library(name),
                definition=Library("customers with two purchases or more, divided by all customers"),
                detail=Library("Wilson interval; each customer counts once."),
            )
            for anchor, name in (("repurchase-rate", "repurchase rate"), ("spend", "spend"), ("gap", "wait"))
        ),
        currency="EUR",
        library="loyalty 0.1.0",
    )
