"""The page as data: sections of blocks, whose sentences are keys of the catalogue; nothing here knows HTML.

A document holds no language. Its sentences are `Said`, a key with values; its values keep their kind (a quantity and
its unit, a date, a name of the caller's), so that each language writes them in its own form, when it is rendered.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Absent",
    "Block",
    "Cards",
    "Column",
    "DataTable",
    "Document",
    "Headline",
    "Library",
    "Notice",
    "Paragraph",
    "Picture",
    "Quantity",
    "Said",
    "Section",
    "Span",
    "Term",
    "Value",
    "Verbatim",
]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, written in the form of the language: 0.489 of "share" is "48.9 %" or "48,9 %".

    Attributes:
        value: The number; NaN and None are shown as not defined.
        unit: "share", "points", "ratio", "money", "days", "count", or another unit of `Estimate`; "level" for a share
            that is a round number, shown without needless decimals, and "tenths" for a count with one decimal.
    """

    value: float | None
    unit: str = "count"


@dataclass(frozen=True, slots=True)
class Span:
    """An interval: two numbers of one unit."""

    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Library:
    """A text that the library made, in English: a name, a definition, a note. Its template is looked up."""

    english: str


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A text of the caller's: an id, the name of a column or a group. Shown as it is, whatever it holds."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence or label of the catalogue.

    Attributes:
        key: Its key.
        values: What its placeholders stand for. One named "count" chooses singular or plural.
    """

    key: str
    values: Mapping[str, Value] = field(default_factory=dict)


Value = Said | Library | Verbatim | Quantity | Span | dt.date | int | str
Text = Said | Library | Verbatim


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A number of the first rows: its name, itself with the interval, and what it says in a plain sentence.

    Attributes:
        name: What it is.
        value: The number.
        span: Its interval, or None.
        sentence: What it says, for readers who know no statistics.
        term: Anchor of its definition.
        note: What one must know about it, or None.
    """

    name: Text
    value: Quantity
    sentence: Said
    term: str
    span: Span | None = None
    confidence: float = 0.95
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Cards:
    """Headlines side by side."""

    headlines: tuple[Headline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or some."""

    text: Text


@dataclass(frozen=True, slots=True)
class Notice:
    """What a reader must know before trusting what stands beside it."""

    text: Text


@dataclass(frozen=True, slots=True)
class Absent:
    """Why there is nothing here, and what would be needed."""

    why: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        label: Its heading.
        kind: How its values are shown and sorted: "text" (values are Text), "date", or the unit of its numbers.
    """

    label: Text
    kind: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """A table.

    Attributes:
        caption: What it shows.
        columns: Its columns.
        rows: A tuple per row, a value per column: Text, a number, a date or None.
        sortable: Whether readers may sort it by its headings.
        sorted_by: The column that its rows are sorted by already, and whether the largest is first.
    """

    caption: Text
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    sortable: bool = False
    sorted_by: tuple[int, Literal["ascending", "descending"]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a result, with what it shows in words and its numbers.

    Attributes:
        draw: Draws it on Axes and returns them: a function of `loyalty.plots` with its result bound.
        alt: What is to be seen, for readers who do not see it: the finding, with its numbers.
        caption: What it is.
        table: The numbers that were drawn, or None where they would be too many to read.
        width: Width in inches at which it is drawn; its height follows.
        height: Height in inches.
        shaded: Whether shades carry its meaning, so that it must be drawn anew for dark paper.
    """

    draw: Callable[[Axes], Any]
    alt: Said
    caption: Text
    table: DataTable | None = None
    width: float = 7.2
    height: float = 4.0
    shaded: bool = False


Block = Cards | Paragraph | Notice | Absent | DataTable | Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the page.

    Attributes:
        anchor: Its id in the page: lower-case letters and hyphens.
        title: Its heading.
        lead: The finding in a sentence.
        blocks: What stands in it, in order.
    """

    anchor: str
    title: Said
    lead: Text | None = None
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A definition that headlines and tables point at.

    Attributes:
        anchor: Its id in the page.
        name: What is defined.
        definition: The definition.
        detail: Formula, method and sampling unit, or None.
    """

    anchor: str
    name: Text
    definition: Text
    detail: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole page.

    Attributes:
        title: Its title: the caller's, or one of the catalogue.
        subtitle: What it was made from, in a sentence.
        sections: Its sections.
        terms: Every definition.
        currency: Three letters such as "EUR" that money is written with, or "".
        library: Name and version of the library.
    """

    title: Text
    subtitle: Said
    sections: tuple[Section, ...]
    terms: tuple[Term, ...] = ()
    currency: str = ""
    library: str = ""
