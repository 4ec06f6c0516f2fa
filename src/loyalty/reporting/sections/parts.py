"""What all sections are built of: sentences with numbers in them, notices, tables and pictures of results."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
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
    from loyalty.clv.valuation.terms import Terms
    from loyalty.estimates import Estimate
    from loyalty.reporting.document import Block, Text
    from loyalty.reporting.numbers import Numbers
    from loyalty.tables import Table

__all__ = [
    "MOST_ROWS",
    "absent",
    "ahead",
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
    "noted",
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
_ARGUMENT = re.compile(r"\w+=")
_PREFIX = re.compile(r"\w+(?: \(\w+\))?: ")  # "GammaGamma: " or "ParetoNBD (boundary): " before what is warned of
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
    """Return the value of an estimate in its unit; whole days have no decimals."""
    (value,) = _whole(estimate.unit, estimate.value)
    return Quantity(value, estimate.unit)


def span(estimate: Estimate) -> Span | None:
    """Return the interval of an estimate; None where there is none."""
    if math.isnan(estimate.low) and math.isnan(estimate.high):
        return None
    low, high = _whole(estimate.unit, estimate.low, estimate.high)
    return Span(low, high, estimate.unit)


def _whole(unit: str, *values: float) -> tuple[float, ...]:
    """Return values of days as whole numbers, if all of them are."""
    if unit == "days" and all(math.isfinite(value) and float(value).is_integer() for value in values):
        return tuple(int(value) for value in values)
    return values


def level(confidence: float) -> Quantity:
    """Return a level of confidence or a share that is a round number, without needless decimals: "95 %"."""
    return Quantity(confidence, "level")


def ahead(terms: Terms) -> Said:
    """Return how far ahead value is counted: "over the next 365 days"."""
    return said("value.endless") if math.isinf(terms.days) else said("value.ahead", count=int(terms.days))


def counted(noun: str, count: float) -> Said:
    """Return how many of something: "1 customer", "23,570 customers"."""
    return said(f"count.{noun}", count=int(count) if float(count).is_integer() else count)


def period(form: str, name: str) -> Said:
    """Return a calendar period in a grammatical form: "by month", "in the next month"."""
    return said(f"period.{form}.{name}")


def anchor(name: str) -> str:
    """Return the place of a definition in the page."""
    return name.replace("_", "-")


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
        yield Notice(noted(note))


def noted(note: str) -> Library:
    """Return a note as a sentence: it begins with a capital letter, unless with an argument such as score=."""
    return Library(note if _ARGUMENT.match(note) else note[:1].upper() + note[1:])


def warned(numbers: Numbers, *names: str, told: Iterable[str] = ()) -> Iterator[Notice]:
    """Yield what was warned of on the way to some results.

    Args:
        numbers: The numbers.
        names: The steps.
        told: Notes that the section says already: a warning repeats some, with the name of a model before it.
    """
    notes = tuple(told)
    for text in dict.fromkeys(text for name in names for text in numbers.warned.get(name, ())):
        bare = _PREFIX.sub("", text).rstrip(".")
        if not any(bare in note for note in notes):
            yield Notice(noted(text))


# What was handed over to a step, and what can be wrong with it that the page has a sentence for. Errors quote values,
# ids and paths, which a page that leaves the house must not.
_HANDED = {"nps": "surveys", "wallet": "wallet", "value": "margin", "historical_value": "margin"}
_UNUSABLE = {
    "surveys": {"column", "rows", "file", "grouped"},
    "wallet": {"column", "rows", "file", "strangers", "empty"},
    "margin": {"column", "rows"},
    "other": set[str](),
}
_TO_PASS = {"nps", "wallet", "upsell", "profit"}  # what the page says itself when data were not given


def absent(numbers: Numbers, name: str) -> Absent:
    """Return why a result is not there."""
    lack = numbers[name]
    if not lack.given and name in _TO_PASS:
        return Absent(said(f"lack.{name}"))
    if lack.kind:
        what = _HANDED.get(lack.step, "other")
        kind = lack.kind if lack.kind in _UNUSABLE[what] else "other"
        return Absent(said(f"unusable.{what}.{kind}"))
    return Absent(noted(lack.why))


def drawing(result: Any, **options: Any) -> Callable[[Any], Any]:
    """Return what draws a result on Axes."""
    return partial(_draw, result, options)


def _draw(result: Any, options: Mapping[str, Any], ax: Any) -> Any:
    return result.plot(ax=ax, **options)


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
