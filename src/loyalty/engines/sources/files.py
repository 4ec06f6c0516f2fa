"""Parquet and CSV files: which a path means, how a text file is written, and that none changes unnoticed."""

from __future__ import annotations

import csv
import glob
import gzip
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loyalty.engines.connections import brief
from loyalty.engines.failures import plain_errors
from loyalty.engines.sources.drift import refuse_drift
from loyalty.errors import EmptyData, InvalidArgument, UnsupportedSource
from loyalty.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Files", "Scanned", "open_files", "projection"]

_PARQUET = (".parquet", ".pq")
_TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".csv.zst")
_FIELDS = """SELECT name, num_children, type, type_length, converted_type, logical_type, scale, precision
    FROM parquet_schema(?)"""
_SEPARATORS = (",", ";", "\t", "|")


class Scanned(ABC):
    """A source that DuckDB scans where it lies, in no order of rows, as often as it is needed."""

    @property
    @abstractmethod
    def labels(self) -> Sequence[Any]:
        """The column labels."""

    @abstractmethod
    def scan(self, cursor: Any) -> Any:
        """Return a relation over all rows."""

    def _check(self, cursor: Any, labels: Sequence[Any], roles: Sequence[str]) -> None:  # noqa: B027 (most need none)
        """Raise where columns cannot be read as they are."""

    @abstractmethod
    def _what(self) -> str:
        """Return what it is, for messages."""

    def columns(self, cursor: Any, labels: Sequence[Any], roles: Sequence[str] = ()) -> Any:
        """Return a relation over columns, named c0, c1, … in the order asked for.

        Args:
            cursor: Where it is to be.
            labels: The columns.
            roles: What they are for, where that is known.
        """
        self._check(cursor, labels, roles)
        places = [list(self.labels).index(label) for label in labels]
        return self.scan(cursor).project(projection(places))

    def arrow(self, labels: Sequence[Any]) -> pa.Table:
        """Return columns, named c0, c1, … in the order asked for."""
        with plain_errors(self._what()), brief() as connection:
            return self.columns(connection, labels).to_arrow_table()

    def head(self, rows: int) -> pa.Table:
        """Return the first rows of every column, named c0, c1, ….

        Args:
            rows: How many at most.
        """
        every = projection(range(len(self.labels)))
        with plain_errors(self._what()), brief() as connection:
            return self.scan(connection).limit(rows).project(every).to_arrow_table()


@dataclass
class Files(Scanned):
    """Parquet or CSV files, read where they lie; those that changed since they were opened are refused.

    A text file is UTF-8, its first line names the columns and says by which of , ; tab | they are parted, and only
    " quotes. Nothing else is guessed from a sample: a line that does not fit is an error, never skipped.
    """

    paths: list[str]
    text: bool
    kind: str = "pandas"
    rows_as: str = "duckdb"
    snapshot: bool = False
    stamps: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    separator: str = ","
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stamps = {path: _stamp(path) for path in self.paths}

    @property
    def labels(self) -> Sequence[Any]:
        """The column labels as the first file has them, duplicates included; then those of further files."""
        if not self.names:
            with brief() as connection:
                self.learn(connection)
        return self.names

    def learn(self, connection: Any) -> None:
        """Look at the files once, for their columns; for who has a connection already and need not open one."""
        if self.names:
            return
        try:
            with plain_errors(self._what()):
                self._learn(connection)
                if own := self._header(connection, self.paths[0]):
                    self.names = [*own, *list(self.scan(connection).columns)[len(own) :]]
        except UnsupportedSource as err:
            self.blame(err)
            raise

    def scan(self, cursor: Any) -> Any:
        """Return a relation over the files; every column of a text file is text."""
        changed = next((path for path, stamp in self.stamps.items() if _stamp(path) != stamp), None)
        if changed is not None:
            gone = "" if Path(changed).exists() else " (it is gone)"
            raise UnsupportedSource(
                f"the files changed since they were opened: {changed!r}{gone}. Open them again with transactions()."
            )
        with plain_errors(self._what()):
            if not self.text:
                return cursor.read_parquet(self._patterns(), union_by_name=True)
            dialect = {
                "sep": self.separator,
                "quotechar": '"',
                "escapechar": '"',
                "comment": "",
                "skiprows": 0,
            }
            return cursor.read_csv(self._patterns(), all_varchar=True, header=True, union_by_name=True, **dialect)

    def blame(self, err: Exception) -> None:
        """Raise an error that names the damaged file, or the line of it, where `err` does not, by reading each."""
        if self.text:
            self._blame_line(err)
            return
        if any(path in str(err) for path in self.paths):
            return
        for path in self.paths:
            with plain_errors(f"the file {path!r}"), brief() as connection:
                connection.read_parquet([glob.escape(path)]).aggregate("bit_xor(hash(COLUMNS(*)))").fetchall()

    def _blame_line(self, err: Exception) -> None:
        """Raise an error that says which line has more or fewer fields than the first; DuckDB may tell of a dialect."""
        for path in self.paths:
            line = _uneven_line(path, self.separator)
            if line is not None:
                number, found, wanted = line
                raise UnsupportedSource(
                    f"the file {path!r} could not be read: line {number:,} has {counted(found, 'fields')}, and the "
                    f"first line names {counted(wanted, 'columns')}, parted by {self.separator!r}. Mend that line."
                ) from err

    def _check(self, cursor: Any, labels: Sequence[Any], roles: Sequence[str]) -> None:
        """Raise where a file lacks a column, or holds another type of it."""
        refuse_drift(self.schemas, labels, roles, cursor)

    def _learn(self, connection: Any) -> None:
        """Look at the head of every file: which columns it holds and what it says of their types."""
        for path in dict.fromkeys(self.paths):
            with plain_errors(f"the file {path!r}"):
                if self.text:
                    self.schemas[path] = dict.fromkeys(self._header(connection, path), "text")
                else:
                    fields = connection.execute(_FIELDS, [[glob.escape(path)]]).fetchall()
                    self.schemas[path] = {name: tuple(told) for name, _, *told in _top_fields(fields)}

    def _header(self, connection: Any, path: str) -> list[str]:
        """Return the names in a file as they stand there: DuckDB renames `a, a` and `a, A`."""
        if not self.text:
            return [name for name, *_ in _top_fields(connection.execute(_FIELDS, [[glob.escape(path)]]).fetchall())]
        whole = {
            "columns": {"line": "VARCHAR"},
            "sep": "\x1f",
            "quotechar": "",
            "escapechar": "",
            "comment": "",
        }
        lines = connection.read_csv([glob.escape(path)], auto_detect=False, header=False, **whole).limit(1).fetchall()
        line = (lines[0][0] if lines else None) or ""
        if path == self.paths[0]:
            self.separator = max(_SEPARATORS, key=re.sub(r'"[^"]*"', "", line).count)
        names = next(csv.reader([line], delimiter=self.separator), [])
        return [name.strip() for name in names]

    def _patterns(self) -> list[str]:
        """Return the paths as DuckDB must be told them: it takes "sales[1].csv" for a pattern."""
        return [glob.escape(path) for path in self.paths]

    def _what(self) -> str:
        return f"the file{'s' if len(self.paths) > 1 else ''} {self.paths[0]!r}{' …' if len(self.paths) > 1 else ''}"


def _top_fields(fields: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the columns in a Parquet schema, which lists the fields inside of columns too.

    Args:
        fields: For each its name, how many fields are inside of it, and more.
    """
    found, depth = [], [fields[0][1] or 0]
    for one in fields[1:]:
        while depth and depth[-1] == 0:
            depth.pop()
        if not depth:  # what follows is the schema of a further file
            break
        if len(depth) == 1:
            found.append(one)
        depth[-1] -= 1
        depth.append(one[1] or 0)
    return found


def projection(places: Sequence[int]) -> str:
    """Return a SELECT list that takes columns by their place and names them c0, c1, …: labels are never SQL."""
    return ", ".join(f"#{place + 1} AS c{number}" for number, place in enumerate(places))


def open_files(patterns: list[str]) -> Files:
    """Return the files that paths and globs mean, all Parquet or all text.

    Raises:
        InvalidArgument: One matches no file, is a folder, or its ending does not say what it is; a file is met twice.
        EmptyData: A file holds nothing at all.
    """
    paths = [path for pattern in patterns for path in _matches(pattern)]
    _refuse_twice(paths)
    kinds = {_file_kind(path) for path in paths}
    if len(kinds) > 1:
        raise InvalidArgument(
            f"the paths mix Parquet and CSV files ({', '.join(paths[:4])} …): open one kind at a time."
        )
    for path in paths:
        if Path(path).stat().st_size == 0:
            lacks = "it has no line that names the columns" if kinds == {"text"} else "it is no Parquet file"
            raise EmptyData(f"the file {path!r} is empty: {lacks}.")
    return Files(paths, text=kinds == {"text"})


def _refuse_twice(paths: Sequence[str]) -> None:
    """Raise where the rows of a file would be counted twice."""
    seen: dict[Path, str] = {}
    for path in paths:
        place = Path(path).resolve()
        if place in seen:
            which = f"{path!r} is met twice" if seen[place] == path else f"{seen[place]!r} and {path!r} are one file"
            raise InvalidArgument(f"{which}, whose rows would be counted twice: name every file once.")
        seen[place] = path


def _matches(pattern: str) -> list[str]:
    """Return the files of one path or glob, sorted."""
    if _is_file(pattern):
        return [pattern]
    if "://" in pattern:
        raise InvalidArgument(f"{pattern!r} is no file of this machine: fetch it first, and give the path.")
    if pattern and Path(pattern).is_dir():
        raise InvalidArgument(f"{pattern!r} is a folder: name its files, such as {str(Path(pattern, '*.parquet'))!r}.")
    found = sorted(path for path in glob.glob(pattern, recursive=True) if _is_file(path))  # noqa: PTH207 (any folder)
    if not found:
        raise InvalidArgument(f"no file matches {pattern!r} (looked from {Path.cwd()}).")
    return found


def _uneven_line(path: str, separator: str) -> tuple[int, int, int] | None:
    """Return the number of the first line that does not fit, its fields, and those of the first; None without one."""
    if path.lower().endswith(".zst"):
        return None
    opened = gzip.open if path.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, delimiter=separator)
            wanted, number = len(next(rows, [])), 2
            for row in rows:
                if row and len(row) != wanted:
                    return number, len(row), wanted
                number = rows.line_num + 1
    except (OSError, EOFError, UnicodeDecodeError, csv.Error):  # damaged in another way, which the engine tells
        return None
    return None


def _file_kind(path: str) -> str:
    """Return "parquet" or "text" by the file's ending."""
    lower = path.lower()
    if lower.endswith(_PARQUET):
        return "parquet"
    if lower.endswith(_TEXT):
        return "text"
    raise InvalidArgument(f"{path!r}: the ending does not say what it is; Parquet ends in {_PARQUET}, text in {_TEXT}.")


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except ValueError:  # a character that no path may hold
        return False


def _stamp(path: str) -> tuple[int, int] | None:
    """Return modification time and size of a local file; None where there is none."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size
