"""Tables in database files: DuckDB's are scanned where they lie, SQLite's are read as Arrow; neither is written to."""

from __future__ import annotations

import difflib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from loyalty.engines.canonical import literal, named_columns, quoted
from loyalty.engines.connections import brief
from loyalty.engines.failures import plain_errors
from loyalty.engines.sources.files import Scanned
from loyalty.errors import ColumnError, InvalidArgument, UnsupportedSource

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DuckDBTable", "SQLiteTable", "database_kind", "open_table"]

_ATTACHED = "loyalty_source"  # what a file is called inside an engine
_MAIN = "main"  # the schema that need not be said
_BATCH = 50_000  # rows
_EXACT = 2**53  # whole numbers up to here are floats too
_SHOWN_TABLES = 20


def database_kind(path: Any) -> str:
    """Return "duckdb" or "sqlite" for a database file, told by its first bytes, and "" for everything else."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(16)
    except (OSError, ValueError, TypeError):  # no such file, a folder, a name that cannot be
        return ""
    if head == b"SQLite format 3\0":
        return "sqlite"
    return "duckdb" if head[8:12] == b"DUCK" else ""


def open_table(path: str | os.PathLike[str], table: str | None) -> DuckDBTable | SQLiteTable:
    """Return a table or view of a database file.

    Args:
        path: A DuckDB or SQLite file.
        table: Its name, with its schema where it is not in the main one.

    Raises:
        InvalidArgument: No table is named, or there is none of that name.
        UnsupportedSource: The file is no database, or cannot be read.
    """
    name = os.fspath(path)
    places = _places(name)
    place = places[_named(table, list(places), name)]
    if database_kind(name) == "sqlite":
        return SQLiteTable(name, place[1])
    return DuckDBTable(name, place)


def _places(path: str) -> dict[str, tuple[str, str]]:
    """Return name → schema and name of every table and view."""
    kind = database_kind(path)
    if kind == "sqlite":
        with _sqlite(path) as connection:
            query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_'"
            return {name: (_MAIN, name) for (name,) in connection.execute(query)}
    if kind == "duckdb":
        with plain_errors(f"the database {path!r}"), brief() as connection:
            _attach(connection, path)
            query = (
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? AND NOT internal "
                "UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = ? AND NOT internal"
            )
            found = connection.execute(query, [_ATTACHED, _ATTACHED]).fetchall()
        return {name if schema == _MAIN else f"{schema}.{name}": (schema, name) for schema, name in found}
    raise UnsupportedSource(f"{path!r} is no database file: give a DuckDB or SQLite file.")


def _named(table: Any, names: Sequence[str], path: str) -> str:
    """Return the name among `names` that is meant, whatever its case, as databases have it."""
    listed = ", ".join(map(repr, sorted(names)[:_SHOWN_TABLES])) + (", …" if len(names) > _SHOWN_TABLES else "")
    there = f"the tables are {listed}" if names else "it holds no table"
    if table is None:
        raise InvalidArgument(f"{path!r} is a database: pass table=<one of its tables>; {there}.")
    if table in names:
        return str(table)
    like = [name for name in names if name.casefold() == str(table).casefold()]
    if len(like) == 1:
        return like[0]
    near = difflib.get_close_matches(str(table), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidArgument(f"table={table!r}: there is no such table in {path!r}; {there}.{hint}")


# --- DuckDB ---


def _attach(connection: Any, path: str) -> None:
    """Make a file's tables readable on a connection; it is locked against writers while they are."""
    whole = literal(str(Path(path).resolve()))  # never "md:…", which would be a place elsewhere
    connection.execute(f"ATTACH IF NOT EXISTS {whole} AS {_ATTACHED} (TYPE duckdb, READ_ONLY)")


@dataclass
class DuckDBTable(Scanned):
    """A table or view of a DuckDB file, scanned where it lies, as often as it is needed.

    Nothing is written to the file. While it is open nobody else can write to it either.

    Attributes:
        path: The file.
        place: Schema and name of the table.
    """

    path: str
    place: tuple[str, str]
    kind: str = "pandas"
    rows_as: str = "duckdb"
    snapshot: bool = False
    names: list[str] = field(default_factory=list)

    @property
    def labels(self) -> Sequence[Any]:
        """The column labels."""
        if not self.names:
            with plain_errors(self._what()), brief() as connection:
                self.names = list(self.scan(connection).columns)
        return self.names

    def scan(self, cursor: Any) -> Any:
        """Return a relation over the table."""
        with plain_errors(self._what()):
            _attach(cursor, self.path)
            schema, name = map(quoted, self.place)
            return cursor.sql(f"FROM {_ATTACHED}.{schema}.{name}")

    def _what(self) -> str:
        return f"table {self.place[1]!r} of the database {self.path!r}"


# --- SQLite ---


@contextmanager
def _sqlite(path: str) -> Iterator[sqlite3.Connection]:
    """Give a connection that can only read."""
    try:
        whole = quote(str(Path(path).resolve()))
        connection = sqlite3.connect(f"file:{whole}?mode=ro", uri=True, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as err:
        raise UnsupportedSource(f"the database {path!r} could not be read: {err}") from err


@dataclass
class SQLiteTable:
    """A table or view of a SQLite file. A column's type is that of all its values, whatever was declared.

    Nothing is written to the file, and it is open only while it is read.

    Attributes:
        path: The file.
        table: The name of the table.
    """

    path: str
    table: str
    kind: str = "pandas"
    rows_as: str = "duckdb"
    snapshot: bool = False
    stamp: tuple[Any, ...] = ()
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stamp = _stamps(self.path)

    @property
    def labels(self) -> Sequence[Any]:
        """The column labels."""
        if not self.names:
            with self._reading() as connection:
                described = connection.execute(f"SELECT * FROM {quoted(self.table)} LIMIT 0").description  # noqa: S608
                self.names = [column[0] for column in described]
        return self.names

    def arrow(self, labels: Sequence[Any]) -> pa.Table:
        """Return columns, named c0, c1, … in the order asked for."""
        return self._read(list(labels), "")

    def head(self, rows: int) -> pa.Table:
        """Return the first rows of every column, named c0, c1, ….

        Args:
            rows: How many at most.
        """
        return self._read(list(self.labels), f" LIMIT {int(rows)}")

    def _read(self, labels: list[Any], limit: str) -> pa.Table:
        """Return columns, of the types that their values have."""
        import pyarrow as pa

        every = ", ".join(f"{quoted(label)} AS c{place}" for place, label in enumerate(labels))
        query = f"SELECT {every} FROM {quoted(self.table)}{limit}"  # noqa: S608 (every name is quoted)
        with self._reading() as connection:
            counts = _value_kinds(connection, query, len(labels))
            types = [_column_type(label, found, self.table) for label, found in zip(labels, counts, strict=True)]
            parts: list[list[Any]] = [[] for _ in labels]
            cursor = connection.execute(query)
            while rows := cursor.fetchmany(_BATCH):
                for part, values, one in zip(parts, zip(*rows, strict=True), types, strict=True):
                    part.append(pa.array(values, one))
        return named_columns([pa.chunked_array(part, one) for part, one in zip(parts, types, strict=True)])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the file: the one that it was opened with."""
        if _stamps(self.path) != self.stamp:
            raise UnsupportedSource(
                f"the database {self.path!r} changed since it was opened: open it again with transactions()."
            )
        with _sqlite(self.path) as connection:
            connection.execute("BEGIN")
            yield connection


def _stamps(path: str) -> tuple[Any, ...]:
    """Return times and sizes of a file and of the log beside it that newer rows are in."""
    found: list[tuple[int, int] | None] = []
    for name in (path, f"{path}-wal"):
        try:
            status = Path(name).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size) if status.st_size else None)
    return tuple(found)


_KINDS = ("integer", "real", "text", "blob")
_ASKED = 100  # columns at a time: six results each, and SQLite gives at most 2,000


def _value_kinds(connection: sqlite3.Connection, query: str, columns: int) -> list[Mapping[str, int]]:
    """Return, for each column, how many values of each kind it holds, and its largest whole number's size."""
    counts: list[Mapping[str, int]] = []
    for first in range(0, columns, _ASKED):
        places = range(first, min(first + _ASKED, columns))
        asked = ", ".join(one for place in places for one in _kind_counts(f"c{place}"))
        row = iter(connection.execute(f"SELECT {asked} FROM ({query})").fetchone())  # noqa: S608 (as above)
        for _ in places:
            found = {kind: int(next(row)) for kind in _KINDS}
            counts.append({**found, "size": max(abs(next(row) or 0), abs(next(row) or 0))})
    return counts


def _kind_counts(name: str) -> list[str]:
    """Return what is asked of a column: how many values of each kind, its largest and its smallest whole number."""
    whole = f"CASE typeof({name}) WHEN 'integer' THEN {name} END"
    return [*(f"total(typeof({name}) = '{kind}')" for kind in _KINDS), f"max({whole})", f"min({whole})"]


def _column_type(label: Any, found: Mapping[str, int], table: str) -> Any:
    """Return the Arrow type of a column's values.

    Raises:
        ColumnError: They are of kinds that do not go together, or are binary.
    """
    import pyarrow as pa

    kinds = {kind for kind in _KINDS if found[kind]}
    if not kinds:
        return pa.null()
    if kinds == {"integer"}:
        return pa.int64()
    if kinds == {"text"}:
        return pa.string()
    if kinds <= {"integer", "real"} and found["size"] <= _EXACT:
        return pa.float64()
    told = " and ".join(f"{found[kind]:,} of type {kind}" for kind in _KINDS if found[kind])
    raise ColumnError(
        f"column {label!r} of table {table!r} holds values that do not go together ({told}): make them of one kind, "
        f"for example in a view with CAST({quoted(str(label))} AS TEXT)."
    )
