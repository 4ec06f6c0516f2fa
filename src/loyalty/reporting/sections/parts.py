"""What all sections are built of: sentences with numbers in them, notices, tables and pictures of results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loyalty import wording
from loyalty.reporting.document import (
    Absent,
    Column,
    DataTable,
    Library,
    Notice,
    Quantity,
    Said,
    Span,
    Verbatim,
)

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.reporting.document import Block, Text
    from loyalty.reporting.numbers import Numbers
    from loyalty.tables import Table

__all__ = [
    "MOST_ROWS",
    "absent",
    "amount",
    "anchor",
    "blocks",
    "counted",
    "days",
    "drawing",
    "know",
    "level",
    "money",
    "named",
    "notices",
    "of_people",
    "period",
    "rows_of",
    "said",
    "share",
    "span",
    "table",
    "warned",
]

MOST_ROWS = 60  # of a table under a picture: no reader goes through more
_EVERY = (100, 1_000, 10_000, 100_000, 1_000_000)  # "of every 100 customers"
_FEW = 100  # customers who are counted one by one


def said(key: str, **values: Any) -> Said:
    """Return a sentence of the catalogue."""
    return Said(key, values)


def share(value: float) -> Quantity:
    """Return a share, which is shown in per cent."""
    return Quantity(value, "share")


def money(value: float) -> Quantity:
    """Return a sum of money."""
    return Quantity(value, "money")


def days(value: float) -> Quantity | Said:
    """Return a length of time; whole days have no decimals."""
    return counted("days", value) if math.isfinite(value) and float(value).is_integer() else Quantity(value, "days")


def amount(estimate: Estimate) -> Quantity:
    """Return the value of an estimate in its unit."""
    return Quantity(estimate.value, estimate.unit)


def span(estimate: Estimate) -> Span | None:
    """Return the interval of an estimate; None where there is none."""
    if math.isnan(estimate.low) and math.isnan(estimate.high):
        return None
    return Span(estimate.low, estimate.high, estimate.unit)


def level(confidence: float) -> Said:
    """Return a level of confidence or a share that is a round number, without needless decimals: "95 %"."""
    return said("part.level", level=round(confidence * 100, 6))


def counted(noun: str, count: float) -> Said:
    """Return how many of something: "1 customer", "23,570 customers"."""
    return said(f"count.{noun}", count=int(count) if float(count).is_integer() else count)


def period(form: str, name: str) -> Said:
    """Return a calendar period in a grammatical form: "by month", "in the next month"."""
    return said(f"period.{form}.{name}")


def anchor(name: str) -> str:
    """Return the place of a definition in the page."""
    return f"term-{name.replace('_', '-')}"


def know(*values: float) -> bool:
    """Return whether all numbers are defined and finite."""
    return all(math.isfinite(value) for value in values)


def of_people(key: str, rate: float, *, part: float = math.nan, whole: float = math.inf, **values: Any) -> Said:
    """Return a share of people in words that need no statistics.

    Of many it is "Of every 100 customers, 49 bought again"; few are counted one by one, "Of the 7 customers, 3 …". The
    catalogue has the sentence under the key, and with ".none" and ".all" what is said of nobody or of everybody.

    Args:
        key: Key of the sentence, whose count is that of people.
        rate: The share; NaN where it is not defined.
        part: How many people it holds of, where that is a count.
        whole: Of how many; infinite where people are not what was counted.
        values: Further values of the sentence.
    """
    if not know(rate):
        return said("part.undefined")
    if rate <= 0.0 or rate >= 1.0:
        return said(f"{key}.{'none' if rate <= 0.0 else 'all'}", **values)
    if whole < _FEW:
        return said(key, group=said("group.these", count=int(whole)), count=int(part), **values)
    base = next((base for base in _EVERY if 1 <= round(rate * base) < base), _EVERY[-1])
    many = min(max(round(rate * base), 1), base - 1)
    return said(key, group=said("group.every", count=base), count=many, **values)


def named(value: Any) -> Verbatim:
    """Return a name or label of the caller's."""
    return Verbatim(wording.group(value))


def notices(*notes: str) -> Iterator[Notice]:
    """Yield what results say that a reader must know, each once."""
    for note in dict.fromkeys(filter(None, notes)):
        yield Notice(Library(_capital(note)))


def warned(numbers: Numbers, *names: str) -> Iterator[Notice]:
    """Yield what was warned of on the way to some results."""
    yield from notices(*(text for name in names for text in numbers.warned.get(name, ())))


_TO_PASS = {"nps", "wallet", "upsell", "profit"}  # what the page says itself when data were not given


def absent(numbers: Numbers, name: str) -> Absent:
    """Return why a result is not there."""
    lack = numbers[name]
    if not lack.given and name in _TO_PASS:
        return Absent(said(f"lack.{name}"))
    return Absent(Library(_capital(lack.why)))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def drawing(result: Any, **options: Any) -> Callable[[Any], Any]:
    """Return what draws a result on Axes."""
    return lambda ax: result.plot(ax=ax, **options)


def table(caption: Text, columns: Mapping[str, str], rows: Iterable[Sequence[Any]], **more: Any) -> DataTable:
    """Return a table.

    Args:
        caption: What it shows.
        columns: Key of each heading (without "column.") to the kind of its values.
        rows: Its rows.
        more: Further fields of `DataTable`.
    """
    heads = tuple(Column(label=said(f"column.{key}"), kind=kind) for key, kind in columns.items())
    return DataTable(caption=caption, columns=heads, rows=tuple(tuple(row) for row in rows), **more)


def rows_of(result: Table, *names: str, most: int = MOST_ROWS) -> list[tuple[Any, ...]]:
    """Return some columns of a result as rows, the last ones where there are many; text is of the library."""
    rows = result.data.slice(max(0, result.data.num_rows - most)).to_pylist()
    return [tuple(Library(row[name]) if isinstance(row[name], str) else row[name] for name in names) for row in rows]


def blocks(*found: Block | Iterable[Block] | None) -> tuple[Block, ...]:
    """Return blocks in order, those that are given in a row among them."""
    flat: list[Any] = []
    for one in found:
        if one is None:
            continue
        if isinstance(one, Iterable):
            flat.extend(one)
        else:
            flat.append(one)
    return tuple(flat)
