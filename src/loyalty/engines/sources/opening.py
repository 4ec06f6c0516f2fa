"""The caller's object becomes a `Source`: column labels, and any of its columns as Arrow or as a scan of files."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import narwhals.stable.v2 as nw

from loyalty.engines.canonical import named_columns, readable
from loyalty.engines.failures import plain_errors
from loyalty.engines.sources import pandas_columns
from loyalty.engines.sources.databases import database_kind, open_table
from loyalty.engines.sources.far import FarTable, is_far
from loyalty.engines.sources.files import open_files, projection
from loyalty.engines.sources.ids import Ids, needs_codes
from loyalty.errors import ColumnError, InvalidArgument, UnsupportedSource

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["PandasFrame", "Source", "open_source"]

_NO_ARROW = {"UHUGEINT", "BIGNUM", "BIT"}  # DuckDB hands these over as other numbers, or as bytes

# A connection refuses a second call while one runs, and which relations are on the same one cannot be told: those of
# callers are read one at a time.
_one_relation = threading.RLock()


class Source(Protocol):
    """Anything with named columns that can be had as Arrow.

    Attributes:
        kind: Eager kind for summaries: "pandas", "polars" or "pyarrow".
        rows_as: What per-customer results come back as: "pandas", "polars", "polars-lazy", "pyarrow" or "duckdb".
        snapshot: Whether later edits of the caller's object can no longer be seen.
    """

    kind: str
    rows_as: str
    snapshot: bool

    @property
    def labels(self) -> Sequence[Any]:
        """The column labels, duplicates included."""

    def arrow(self, labels: Sequence[Any]) -> pa.Table:
        """Return columns, named c0, c1, … in the order asked for."""


@dataclass
class PandasFrame:
    """A pandas frame; shallow under copy-on-write, else copied, so that later edits are not seen."""

    data: pd.DataFrame
    kind: str = "pandas"
    rows_as: str = "pandas"
    snapshot: bool = True

    def __post_init__(self) -> None:
        import pandas as pd

        lazy_copies = int(pd.__version__.split(".")[0]) >= 3
        self.data = self.data.copy(deep=not lazy_copies)

    @property
    def labels(self) -> Sequence[Any]:
        """The column labels, duplicates included."""
        return list(self.data.columns)

    def column(self, label: Any) -> pd.Series[Any]:
        """Return the column of a label that occurs once."""
        place = self.labels.index(label)
        return self.data.iloc[:, place]

    def arrow(self, labels: Sequence[Any]) -> pa.Table:
        """Return columns, named c0, c1, … in the order asked for."""
        return named_columns([pandas_columns.to_arrow(self.column(label), label) for label in labels])


@dataclass
class ArrowTable:
    """A PyArrow table, or anything that streams itself as one; immutable."""

    data: pa.Table
    kind: str = "pyarrow"
    rows_as: str = "pyarrow"
    snapshot: bool = True

    @property
    def labels(self) -> Sequence[Any]:
        return list(self.data.column_names)

    def arrow(self, labels: Sequence[Any]) -> pa.Table:
        return named_columns([readable(self.data.column(self.labels.index(label)), label) for label in labels])


@dataclass
class PolarsFrame:
    """A Polars frame, eager or lazy; a lazy one is collected column by column as asked for."""

    data: Any
    kind: str = "polars"
    rows_as: str = "polars"
    snapshot: bool = True

    def __post_init__(self) -> None:
        if nw.dependencies.is_polars_lazyframe(self.data):
            self.rows_as, self.snapshot = "polars-lazy", False
        else:
            self.data = self.data.clone()  # cheap; edits in place are not seen

    @property
    def labels(self) -> Sequence[Any]:
        return list(self.schema())

    def schema(self) -> Any:
        """Return label → Polars type."""
        try:
            return self.data.collect_schema()
        except Exception as err:  # of many kinds: a lazy frame may hold any mistake
            raise UnsupportedSource(f"the lazy frame cannot be run: {err}") from err

    def arrow(self, labels: Sequence[Any]) -> pa.Table:
        import polars as pl

        kinds = self.schema()
        for label in labels:
            if kinds[label] == pl.Object:
                raise ColumnError(f"column {label!r} holds Python objects: convert it to numbers, dates or text.")
        try:
            # By place: a name may be a pattern ("*", "^a.*$").
            places = [list(kinds).index(label) for label in dict.fromkeys(labels)]
            frame = self.data.lazy().select(pl.nth(places)).collect()
            return named_columns([readable(frame.get_column(label).to_arrow(), label) for label in labels])
        except ColumnError:
            raise
        except Exception as err:  # of many kinds, as above
            raise ColumnError(f"one of the columns {list(labels)} cannot be read from Polars: {err}") from err


@dataclass
class DuckDBRelation:
    """A relation on the caller's own connection; columns are copied over when asked for."""

    data: Any
    kind: str = "pandas"
    rows_as: str = "duckdb"
    snapshot: bool = False
    labels: Sequence[Any] = ()
    types: Sequence[str] = ()

    def __post_init__(self) -> None:
        with _one_relation, plain_errors("the relation"):
            self.labels, self.types = list(self.data.columns), [str(kind) for kind in self.data.types]

    def arrow(self, labels: Sequence[Any]) -> pa.Table:
        places = [list(self.labels).index(label) for label in labels]
        for label, place in zip(labels, places, strict=True):
            if self.types[place] in _NO_ARROW:
                raise ColumnError(f"column {label!r} is of type {self.types[place]}: cast it to VARCHAR first.")
        with _one_relation, plain_errors("the relation"):
            return self.data.project(projection(places)).to_arrow_table()


def open_source(data: Any, table: str | None = None) -> Source:
    """Return the source for a caller's object.

    Args:
        data: The object, or paths.
        table: The table, where it is the path of a database.

    Raises:
        UnsupportedSource: It is of no kind that can be read.
        InvalidArgument: A path matches no file, a database has no such table, or something else is given a table.
    """
    paths = [data] if isinstance(data, (str, os.PathLike)) else data
    if isinstance(paths, list) and not paths:
        raise InvalidArgument("data is an empty list: give at least one path of a Parquet or CSV file.")
    if isinstance(paths, list) and all(isinstance(path, (str, os.PathLike)) for path in paths):
        return _open_paths([os.fspath(path) for path in paths], table)
    if table is not None:
        raise InvalidArgument(f"table={table!r} is for the path of a DuckDB or SQLite file: leave it out here.")
    return _open_object(nw.to_native(data, pass_through=True))


def _open_paths(paths: list[str], table: str | None) -> Source:
    """Return the source for paths and globs."""
    databases = [path for path in paths if database_kind(path)]
    if databases and len(paths) > 1:
        raise InvalidArgument(f"{databases[0]!r} is a database and not the only path: open one database at a time.")
    if databases:
        return open_table(paths[0], table)
    if table is not None:
        raise InvalidArgument(
            f"table={table!r}, but {paths[0]!r} is no DuckDB or SQLite file: leave table= out, or name a database."
        )
    return open_files(paths)


def _open_object(data: Any) -> Source:
    """Return the source for an object that holds rows."""
    if nw.dependencies.is_pandas_dataframe(data):
        return PandasFrame(data)
    if nw.dependencies.is_polars_dataframe(data) or nw.dependencies.is_polars_lazyframe(data):
        return PolarsFrame(data)
    if nw.dependencies.is_pyarrow_table(data):
        return ArrowTable(data)
    if type(data).__name__ == "DuckDBPyRelation":
        return DuckDBRelation(data)
    if is_far(data):
        return FarTable(data)
    if hasattr(data, "__arrow_c_stream__") and not hasattr(data, "to_frame"):  # a Series streams itself too
        return ArrowTable(_streamed(data))
    raise UnsupportedSource(
        f"data is a {type(data).__module__}.{type(data).__qualname__}: give a pandas, Polars or PyArrow table, a "
        "DuckDB relation, a path, glob or list of paths to Parquet or CSV files, the path of a database, a Spark "
        "DataFrame, or an Ibis table on PostgreSQL."
    )


def _streamed(data: Any) -> pa.Table:
    """Return the table that an object streams."""
    import pyarrow as pa

    try:
        return pa.table(data)
    except Exception as err:  # of any kind: the stream is another library's
        raise UnsupportedSource(
            f"data is a {type(data).__module__}.{type(data).__qualname__} whose Arrow stream is no table: {err}"
        ) from err


def encoded_ids(source: Source, label: Any, ids: Ids) -> pa.Array | None:
    """Return the coded ids of a pandas column that no engine can hold, or None where it can."""
    if isinstance(source, PandasFrame) and needs_codes(source.column(label)):
        return ids.encode(source.column(label))
    return None
