"""Small result tables: Arrow inside, the caller's kind of frame outside, a sentence and a picture on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from loyalty import wording
from loyalty.errors import InvalidArgument
from loyalty.estimates import Estimate

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["EstimateSet", "Grouped", "Table", "native"]

_SHOWN_ROWS = 20


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
        units: Column name to unit ("share", "money", …), for display.
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

    def __getitem__(self, column: str) -> list[Any]:
        """Return a column as a list of Python values."""
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
        shown = self.data.slice(0, _SHOWN_ROWS).to_pylist()
        rows = [[wording.quantity(row[name], self.units.get(name, "plain")) if name in self.units
                 else wording.plain(row[name]) for name in names] for row in shown]  # fmt: skip
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
        return estimates_html("", self.estimates().values())

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
        results: Group value to result, in order of the group (None, the group of nulls, last).
        kind: The kind of frame that `to_native` returns.
    """

    by: str
    results: Mapping[Any, Result]
    kind: str

    def __getitem__(self, group: Any) -> Result:
        return self.results[group]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join(f"{self.by} = {group}: {result}" for group, result in self.results.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the groups in order, each with its result, as JSON-ready values."""
        rows = [{"group": wording.jsonable(group), **result.to_dict()} for group, result in self.results.items()]  # type: ignore[attr-defined]
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
        results = self.results.values()
        if all(isinstance(result, Estimate) for result in results):
            return estimates_html(self.by, results, [wording.plain(group) for group in self.results])
        table = self._table().slice(0, _SHOWN_ROWS)
        rows = [[wording.plain(value) for value in row.values()] for row in table.to_pylist()]
        return wording.html_table(table.column_names, rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw the groups' estimates with their intervals; returns the matplotlib Axes."""
        from loyalty import plots

        estimates = [result for result in self.results.values() if isinstance(result, Estimate)]
        if len(estimates) != len(self.results):
            raise InvalidArgument("only groups of estimates draw together: call .plot() on one group's result.")
        return plots.estimates(estimates, labels=[wording.plain(group) for group in self.results], ax=ax)

    def map(self, function: Callable[[Result], Any]) -> dict[Any, Any]:
        """Return the function's value for each group's result."""
        return {group: function(result) for group, result in self.results.items()}


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
    return wording.html_table((head, "value", "interval", "n", "note"), rows, caption)
