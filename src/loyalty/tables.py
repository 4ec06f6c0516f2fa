"""Small result tables: Arrow inside, the caller's kind of frame outside, a sentence and a picture on request."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from loyalty import wording
from loyalty.errors import ColumnError, InvalidArgument
from loyalty.estimates import Estimate

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["EstimateSet", "Grouped", "Table", "UnknownName", "native"]

_SHOWN_ROWS = 20
_SHOWN_GROUPS = 40
_SHOWN_PICTURES = 5  # groups whose results are tables of their own kind


class _UnknownColumn(ColumnError, KeyError):
    """A column that a table lacks: also a KeyError, which mappings and frames raise."""

    __str__ = Exception.__str__  # KeyError would quote the message


class UnknownName(InvalidArgument, KeyError):
    """A group or an estimate that a result lacks: also a KeyError, which mappings raise."""

    __str__ = Exception.__str__


def native(data: pa.Table, kind: str) -> Any:
    """Return an Arrow table as the kind of frame the caller works with.

    Args:
        data: The table.
        kind: "pandas" (dates become datetime64), "polars" or "pyarrow".
    """
    if kind == "pyarrow":
        return data
    if kind == "pandas":
        return data.to_pandas(date_as_object=False)
    import narwhals.stable.v2 as nw

    return nw.from_arrow(data, backend="polars").to_native()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Table:
    """A result with a row per period, group or rank.

    Attributes:
        name: What the table shows.
        data: The rows, as a PyArrow table.
        kind: The kind of frame that `to_native` returns: "pandas", "polars" or "pyarrow".
        sentence: The result in one sentence.
        definition: What the columns mean.
        units: Column name to unit ("share", "money", …), for display; "group" for values of a grouping.
        note: What a reader must know; empty where there is nothing.
        chart: Name of the function in `loyalty.plots` that draws it; empty where there is none.
    """

    name: str
    data: pa.Table
    kind: str
    sentence: str
    definition: str
    units: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    chart: str = ""

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return self.sentence + (f" Note: {self.note}." if self.note else "")

    def __len__(self) -> int:
        return int(self.data.num_rows)

    def __bool__(self) -> bool:
        return True  # a result without rows is a result

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Go through the rows, each a mapping from column to value."""
        return iter(self.data.to_pylist())

    def __getitem__(self, column: str) -> list[Any]:
        """Return a column as a list of Python values.

        Raises:
            ColumnError: There is no such column (also a KeyError).
        """
        if column not in self.data.column_names:
            there = ", ".join(map(repr, self.data.column_names))
            raise _UnknownColumn(f"{self.name} has no column {column!r}: the columns are {there}.")
        values: list[Any] = self.data.column(column).to_pylist()
        return values

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the rows to any library that speaks the Arrow PyCapsule interface."""
        return self.data.__arrow_c_stream__(requested_schema)

    def to_native(self) -> Any:
        """Return the rows as the caller's kind of frame (pandas for lazy sources)."""
        return native(self.data, self.kind)

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame."""
        frame: pd.DataFrame = native(self.data, "pandas")
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return name, definition, note and rows as JSON-ready values."""
        head = {"name": self.name, "definition": self.definition, "note": self.note}
        return {**head, "rows": wording.jsonable(self.data.to_pylist())}

    def _repr_html_(self) -> str:
        names = self.data.column_names
        rows = shown_rows(self.data.slice(0, _SHOWN_ROWS), self.units)
        if len(self) > _SHOWN_ROWS:
            rows.append(["…"] * len(names))
        return wording.html_table(names, rows, self.name)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the table; returns the matplotlib Axes."""
        if not self.chart:
            raise InvalidArgument(f"{self.name} has no picture of its own: use to_native() and draw the columns.")
        from loyalty import plots

        return getattr(plots, self.chart)(self, ax=ax, **options)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EstimateSet:
    """Base of results that hold several estimates in named fields; renders and lists them in field order."""

    kind: str

    def estimates(self) -> dict[str, Estimate]:
        """Return the estimates by field name."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Estimate)}

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join(str(estimate) for estimate in self.estimates().values())

    def to_dict(self) -> dict[str, Any]:
        """Return the estimates by name as JSON-ready values."""
        return {name: estimate.to_dict() for name, estimate in self.estimates().items()}

    def to_native(self) -> Any:
        """Return a frame with a row per estimate, of the caller's kind."""
        return native(estimate_rows("estimate", self.estimates()), self.kind)

    def _repr_html_(self) -> str:
        estimates = list(self.estimates().values())
        return estimates_html("", estimates, caption=f"{set_name(self)}{level_of(estimates)}")

    def plot(self, ax: Any = None) -> Any:
        """Draw every estimate with its interval; returns the matplotlib Axes."""
        from loyalty import plots

        return plots.estimates(list(self.estimates().values()), ax=ax)


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Grouped(Mapping[Any, Result], Generic[Result]):
    """One result per group of customers, as `by=` and `cohort=` give: a read-only mapping from group to result.

    Attributes:
        by: Name of the grouping column or period.
        results: Group value to result, in order of the group (None, the group of nulls, last); read-only.
        kind: The kind of frame that `to_native` returns.
    """

    by: str
    results: Mapping[Any, Result]
    kind: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "results", MappingProxyType(dict(self.results)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _regrouped, (self.by, dict(self.results), self.kind)  # a read-only view cannot be pickled

    def __getitem__(self, group: Any) -> Result:
        """Return the result of a group.

        Raises:
            KeyError: There is no such group.
        """
        if group not in self.results:
            there = ", ".join(map(repr, list(self.results)[:10])) or "none"
            more = f", … ({len(self):,} in all)" if len(self) > 10 else ""
            raise UnknownName(f"there is no group {group!r} of {self.by}: the groups are {there}{more}.")
        return self.results[group]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join(f"{self.by} = {wording.group(group)}: {result}" for group, result in self.results.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the groups in order, each with its result, as JSON-ready values."""
        rows = [{"group": _json_key(group), **result.to_dict()} for group, result in self.results.items()]  # type: ignore[attr-defined]
        return {"by": self.by, "groups": rows}

    def to_native(self) -> Any:
        """Return all groups in one frame of the caller's kind, the group in the first column."""
        return native(self._table(), self.kind)

    def _table(self) -> pa.Table:
        import pyarrow as pa

        groups = list(self.results)
        first = next(iter(self.results.values()), None)
        if isinstance(first, Estimate):
            return estimate_rows(self.by, self.results)  # type: ignore[arg-type]
        parts = [as_arrow(result) for result in self.results.values()]
        names = group_values([group for group, part in zip(groups, parts, strict=True) for _ in range(len(part))])
        together = pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({})
        return together.add_column(0, free_name(self.by, together.column_names), names)

    def _repr_html_(self) -> str:
        results = list(self.results.values())
        for kind, shown in ((Estimate, _estimates_by), (EstimateSet, _sets_by), (Table, _tables_by)):
            if all(isinstance(result, kind) for result in results):
                return shown(self)
        return _results_by(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw the groups' estimates with their intervals, of the first 40 groups; returns the matplotlib Axes."""
        from loyalty import plots

        estimates = [result for result in self.results.values() if isinstance(result, Estimate)]
        if len(estimates) != len(self.results):
            raise InvalidArgument("only groups of estimates draw together: call .plot() on one group's result.")
        return plots.estimates(estimates, labels=[wording.group(group) for group in self.results], ax=ax)

    def map(self, function: Callable[[Result], Any]) -> dict[Any, Any]:
        """Return the function's value for each group's result."""
        return {group: function(result) for group, result in self.results.items()}


def _regrouped(by: str, results: dict[Any, Any], kind: str) -> Grouped[Any]:
    """Return groups from what they were pickled as."""
    return Grouped(by=by, results=results, kind=kind)


def _json_key(group: Any) -> Any:
    """Return a group as a JSON-ready value; None is the group of nulls and of nothing else."""
    if wording.missing(group):
        return None
    ready = wording.jsonable(group)
    return wording.group(group) if ready is None else ready  # an infinite number is text


def as_arrow(result: Any) -> pa.Table:
    """Return the rows of a result (a `Table`, an `EstimateSet` or one with an Arrow `data`) as an Arrow table."""
    if isinstance(result, EstimateSet):
        return estimate_rows("estimate", result.estimates())
    return result.data


def free_name(name: str, taken: list[str]) -> str:
    """Return `name`, lengthened by "_group" until no column bears it."""
    while name in taken:
        name += "_group"
    return name


def group_values(groups: list[Any]) -> pa.Array:
    """Return group values as an Arrow array; as text where their types do not go together."""
    import pyarrow as pa

    try:
        return pa.array(groups)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if group is None else str(group) for group in groups])


def estimate_rows(key: str, estimates: Mapping[Any, Estimate]) -> pa.Table:
    """Return a table with a row per estimate: the key, value, low, high and counts."""
    import pyarrow as pa

    columns = ("value", "low", "high", "confidence", "n", "numerator", "denominator", "excluded", "method", "note")
    key = free_name(key, list(columns))
    numbers = {"value", "low", "high", "confidence", "numerator", "denominator"}
    data = {
        name: pa.array([getattr(item, name) for item in estimates.values()], pa.float64() if name in numbers else None)
        for name in columns
    }
    return pa.table({key: group_values(list(estimates)), **data})


def estimates_html(head: str, estimates: Any, labels: list[str] | None = None, caption: str = "") -> str:
    """Return an HTML table with a row per estimate: value, interval, counts and note."""
    rows = []
    for place, item in enumerate(estimates):
        known = not (wording.missing(item.low) and wording.missing(item.high))
        interval = wording.span(item.low, item.high, item.unit) if known else ""
        label = labels[place] if labels else item.name
        rows.append((label, wording.quantity(item.value, item.unit), interval, wording.plain(item.n), item.note))
    if labels and len(labels) > len(rows):
        rows.append(("…",) * 5)
    return wording.html_table((head, "value", "interval", "n", "note"), rows, caption)


def shown_rows(data: pa.Table, units: Mapping[str, str]) -> list[list[str]]:
    """Return rows as text: what has a unit in that unit, what is missing without one as an empty cell.

    Of groups that of nulls is "(none)".
    """

    def text(name: str, value: Any) -> str:
        if units.get(name) == "group":
            return wording.group(value)
        if name in units:
            return wording.quantity(value, units[name])
        return "" if wording.missing(value) else wording.plain(value)

    return [[text(name, value) for name, value in row.items()] for row in data.to_pylist()]


def set_name(result: EstimateSet) -> str:
    """Return what a set of estimates is called, after its class: "historical value" of `HistoricalValue`."""
    letters = (f" {letter.lower()}" if letter.isupper() else letter for letter in type(result).__name__)
    return "".join(letters).strip()


def level_of(estimates: Iterable[Estimate]) -> str:
    """Return the level of the intervals as words to append, or nothing where there is none or they differ."""
    levels = {item.confidence for item in estimates if not wording.missing(item.low)}
    return f", {wording.level(levels.pop())} intervals" if len(levels) == 1 else ""


def _captioned(grouped: Grouped[Any], name: str, level: str = "", shown: int = _SHOWN_GROUPS) -> str:
    """Return the caption of groups: whose result, by what, and how many of the groups are shown."""
    first = f" (first {shown} of {len(grouped):,} groups)" if len(grouped) > shown else ""
    return f"{name} by {grouped.by}{level}{first}".strip()


def _estimates_by(grouped: Grouped[Any]) -> str:
    """Return a row per group."""
    estimates, labels = list(grouped.values()), [wording.group(group) for group in grouped]
    names = {item.name for item in estimates}
    caption = _captioned(grouped, names.pop() if len(names) == 1 else "estimates", level_of(estimates))
    return estimates_html(grouped.by, estimates[:_SHOWN_GROUPS], labels, caption)


def _sets_by(grouped: Grouped[Any]) -> str:
    """Return a row per group and a column per estimate, with its interval."""
    sets = list(grouped.values())
    heads = {key: item.name for result in sets for key, item in result.estimates().items()}
    rows = []
    for group, result in list(grouped.items())[:_SHOWN_GROUPS]:
        estimates = result.estimates()
        rows.append([wording.group(group), *(_with_interval(estimates.get(key)) for key in heads)])
    if len(sets) > _SHOWN_GROUPS:
        rows.append(["…"] * (1 + len(heads)))
    level = level_of(item for result in sets for item in result.estimates().values())
    return wording.html_table((grouped.by, *heads.values()), rows, _captioned(grouped, set_name(sets[0]), level))


def _with_interval(item: Estimate | None) -> str:
    """Return value and interval as text."""
    if item is None:
        return ""
    known = not (wording.missing(item.low) and wording.missing(item.high))
    interval = f" ({wording.span(item.low, item.high, item.unit)})" if known else ""
    return wording.quantity(item.value, item.unit) + interval


def _tables_by(grouped: Grouped[Any]) -> str:
    """Return the first rows of each group, more of them where there are few groups."""
    tables = list(grouped.values())
    most = max(2, _SHOWN_ROWS // min(len(tables), _SHOWN_GROUPS))
    names = list(dict.fromkeys(name for table in tables for name in table.data.column_names))
    rows = []
    for group, table in list(grouped.items())[:_SHOWN_GROUPS]:
        label, there = wording.group(group), table.data.column_names
        for found in shown_rows(table.data.slice(0, most), table.units):
            cells = dict(zip(there, found, strict=True))
            rows.append([label, *(cells.get(name, "") for name in names)])
        if not len(table):
            rows.append([label, *("" for _ in names)])
        elif len(table) > most:
            rows.append([label, *("…" for _ in names)])
    if len(tables) > _SHOWN_GROUPS:
        rows.append(["…"] * (1 + len(names)))
    head = free_name(grouped.by, names)
    return wording.html_table((head, *names), rows, _captioned(grouped, tables[0].name))


def _results_by(grouped: Grouped[Any]) -> str:
    """Return the tables of the first groups, one below the other."""
    parts = []
    for group, result in list(grouped.items())[:_SHOWN_PICTURES]:
        own = getattr(result, "_repr_html_", None)
        shown = own() if own else f"<p>{html.escape(str(result))}</p>"
        parts.append(f"<p>{html.escape(f'{grouped.by} = {wording.group(group)}')}</p>{shown}")
    if len(grouped) > _SHOWN_PICTURES:
        parts.append(f"<p>… (first {_SHOWN_PICTURES} of {len(grouped):,} groups)</p>")
    return "".join(parts)
