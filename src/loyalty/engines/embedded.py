"""The embedded engine: a DuckDB of its own for each source, one cursor per thread, spilling when memory is short."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import narwhals.stable.v2 as nw

from loyalty import writing
from loyalty.engines import beside, canonical, connections, results
from loyalty.engines.base import CLOSED
from loyalty.engines.failures import output_errors, plain_errors
from loyalty.engines.once import Once
from loyalty.engines.sources.files import Files, Scanned
from loyalty.engines.sources.ids import Ids
from loyalty.engines.sources.opening import PandasFrame, Source, encoded_ids
from loyalty.engines.storage import Storage
from loyalty.errors import ClosedError, LoyaltyError, UnsupportedSource

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.engines.base import RowSpec

__all__ = ["Embedded", "break_off"]

# Engines that are open, for `break_off` alone: nothing is computed with it.
_open: weakref.WeakSet[Embedded] = weakref.WeakSet()
_open_lock = threading.Lock()


class Embedded:
    """Runs every query of one source in its own DuckDB: in memory, or where that is limited in a file of its own.

    Nothing outside it is changed: no global setting, no file but those in a temporary folder of its own.
    """

    def __init__(self, source: Source, *, memory_limit: str | None = None, temp_directory: str | None = None) -> None:
        self._storage = Storage(memory_limit, temp_directory)
        self._root: duckdb.DuckDBPyConnection | None = self._storage.opened()
        self._source = source
        self._ids: Ids | None = None
        self._local = threading.local()
        self._cursors: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        self._lock = threading.RLock()  # held for moments only: cursors, ids, closing
        self._once = Once()
        with _open_lock:
            _open.add(self)

    @property
    def kind(self) -> str:
        """Kind of eager frame for summaries."""
        return self._source.kind

    @property
    def labels(self) -> Sequence[Any]:
        """The source's column labels."""
        if isinstance(self._source, Files):
            self._source.learn(self._cursor())
        return self._source.labels

    @property
    def snapshot(self) -> bool:
        """Whether later edits of the caller's object can no longer be seen."""
        return self._source.snapshot

    @property
    def coded(self) -> bool:
        """Whether ids are codes: those of pandas that DuckDB cannot hold; known from the first rows on."""
        return self._ids is not None

    def rows(self, spec: RowSpec, value: Any = None) -> nw.LazyFrame[Any]:
        """Return the canonical rows; see `Engine.rows`."""
        relation, _, select = self._canonical(spec, value)
        with self._running(f"the columns {list(spec.columns.values())}"):
            frame: nw.LazyFrame[Any] = nw.from_native(relation.project(select))
            return frame

    def offenders(self, spec: RowSpec, role: str, limit: int = 3) -> list[str]:
        """Return the first values of a column that could not be used; see `Engine.offenders`."""
        relation, columns, select = self._canonical(spec, None)
        part = "day" if role == "date" else role
        with self._running(f"column {spec.columns[role]!r}"):
            found = f"{select}, row_number() OVER () - 1 AS place, {columns[role]}::VARCHAR AS found"
            rows = relation.project(found).filter(f"{part} IS NULL AND customer IS NOT NULL")
            bad = rows.order("place").limit(limit).fetchall()
        names = rows.columns
        where = "" if isinstance(self._source, Scanned) else "row {}: "
        return [
            (where.format(row[names.index("place")]) if where else "") + repr(row[names.index("found")]) for row in bad
        ]

    def persist(self, frame: nw.LazyFrame[Any], name: str) -> str:
        """Compute a frame into a table; returns its name."""
        unique = f"{name}_{uuid.uuid4().hex[:8]}"
        self._create(frame, unique)
        return unique

    def drop(self, name: str) -> None:
        """Let go of a kept table."""
        with self._running(name):
            self._cursor().execute(f"DROP TABLE IF EXISTS {name}")

    def table(self, name: str) -> nw.LazyFrame[Any]:
        """Return a kept table as a frame on the calling thread's cursor."""
        with self._running(name):
            return nw.from_native(self._cursor().table(name))

    def once(self, name: str, build: Callable[[], nw.LazyFrame[Any]]) -> nw.LazyFrame[Any]:
        """Return a table built on the first call; threads that come meanwhile wait for it."""
        self._cursor()  # a closed engine says so before anything is built
        self._once.build(name, lambda: self._rebuild(name, build))
        return self.table(name)

    def _rebuild(self, name: str, build: Callable[[], nw.LazyFrame[Any]]) -> None:
        frame = build()
        self.drop(name)  # an interrupt (Ctrl-C) may have come between its creation and the note that it is there
        self._create(frame, name)

    def _create(self, frame: nw.LazyFrame[Any], name: str) -> None:
        with self._running("the data"):
            self._collectable(frame).create(name)

    def attach(self, table: pa.Table) -> nw.LazyFrame[Any]:
        """Return a small Arrow table as a frame on the calling thread's cursor."""
        with self._running("the table"):
            return nw.from_native(self._cursor().from_arrow(table))

    def attach_source(self, data: Any, columns: Mapping[str, Any], customer: Any) -> nw.LazyFrame[Any]:
        """Return another table, its ids spelled as this engine's; see `Engine.attach_source`."""
        import pyarrow as pa

        source = beside.opened(data, columns)
        labels = [label for name, label in columns.items() if name != customer]
        arrays = iter(source.arrow(labels).columns)
        table = {
            name: self._foreign_ids(source, label) if name == customer else next(arrays)
            for name, label in columns.items()
        }
        frame = self.attach(pa.table(table))
        if customer is not None and self._ids is None:
            self._refuse_foreign(frame.select(customer), columns[customer])
        return frame

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run a query and return its rows."""
        with self._running("the query"):
            return canonical.tidy(self._collectable(frame).to_arrow_table())

    def batches(self, frame: nw.LazyFrame[Any], size: int = 100_000) -> Generator[pa.RecordBatch]:
        """Give the rows of a query some at a time; until it is closed, the calling thread runs no other query here."""
        with self._running("the query"), closing(self._collectable(frame).to_arrow_reader(size)) as reader:
            yield from reader

    def hand_back(self, frame: nw.LazyFrame[Any], *, customer: Any, days: Sequence[str] = ()) -> Any:
        """Return a per-customer frame in the source's own kind; see `Engine.hand_back`."""
        if self._source.rows_as == "duckdb" and self._storage.limited:
            with self._running("the rows"):
                shown = results.shown(self._collectable(frame), customer, days)
                return self._storage.result(lambda path: results.write_table(self._cursor(), shown, path))
        table = canonical.with_dates(self.collect(frame), days)
        if self._source.rows_as == "duckdb":  # on a connection of its own: any thread may read it, also after `close`
            label = str(results.label_for(customer, table.column_names))
            named = [label if name == "customer" else name for name in table.column_names]
            return connections.opened().from_arrow(table.rename_columns(named))
        return results.handed(table, self._source, self._ids, customer)

    def write(self, frame: nw.LazyFrame[Any], path: str, *, customer: Any, days: Sequence[str] = ()) -> None:
        """Write a per-customer frame to a Parquet file, whole or not at all; see `Engine.write`."""
        with writing.whole_file(path, replace=False) as beside:
            if self._ids is not None:  # of objects in memory, so they fit in there
                results.write_frame(self.hand_back(frame, customer=customer, days=days), str(beside))
                return
            with self._running("the rows"), output_errors(path, beside):
                shown = results.shown(self._collectable(frame), customer, days)
                shown.write_parquet(str(beside), compression="snappy", overwrite=True)

    def interrupt(self) -> None:
        """Break off the queries that run now; any thread may ask for it."""
        with self._lock:
            for connection in filter(None, [*self._cursors, self._root]):
                connection.interrupt()

    def close(self) -> None:
        """Close the database and every cursor on it; queries that other threads still run are broken off."""
        with _open_lock:
            _open.discard(self)
        with self._lock:
            root, self._root = self._root, None
            for connection in [*self._cursors, root]:
                _close(connection)
        self._storage.remove()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """Return the calling thread's own cursor: one connection cannot serve two threads."""
        if self._root is None:
            raise ClosedError(CLOSED)
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            with self._lock:
                if self._root is None:  # closed by another thread in the meantime
                    raise ClosedError(CLOSED)
                cursor = self._local.cursor = self._storage.cursor(self._root)
                self._cursors.add(cursor)
        return cursor

    @contextmanager
    def _running(self, what: str) -> Iterator[None]:
        """Turn DuckDB's errors into this library's; what fails because another thread closed the engine says so."""
        try:
            with plain_errors(what, self._storage.folder):
                yield
        except LoyaltyError as err:
            if self._root is None and isinstance(err.__cause__, duckdb.Error):
                raise ClosedError(CLOSED) from err
            broken_off = isinstance(err.__cause__, duckdb.InterruptException)
            if isinstance(err, UnsupportedSource) and isinstance(self._source, Files) and not broken_off:
                self._source.blame(err)
            raise

    def _collectable(self, frame: nw.LazyFrame[Any]) -> Any:
        """Return the relation of a frame, unless the engine is closed."""
        self._cursor()
        return nw.to_native(frame)

    def _canonical(self, spec: RowSpec, value: Any) -> tuple[Any, dict[str, str], str]:
        """Return the named columns as a relation, role → its column there, and the SELECT list of canonical rows."""
        labels = list(spec.columns.values()) + ([] if value is None else [value])
        roles = [*spec.columns, *([] if value is None else ["value"])]
        columns = {role: f"c{place}" for place, role in enumerate(roles)}
        with self._running(f"the columns {labels}"):
            relation, empty = self._opened(spec, labels, roles)
            types = dict(zip(relation.columns, map(str, relation.types), strict=True))
            types |= dict.fromkeys(empty, "NULL")  # DuckDB 1 calls them integers
            text = isinstance(self._source, Files) and self._source.text
            return relation, columns, canonical.select(columns, types, spec, relation, text=text, value=value)

    def _opened(self, spec: RowSpec, labels: list[Any], roles: list[str]) -> tuple[Any, list[str]]:
        """Return the named columns as a relation with the columns c0, c1, …, and which of them have no type."""
        if isinstance(self._source, Scanned):
            return self._source.columns(self._cursor(), labels, roles), []
        table = self._coded(spec, labels, roles)
        return self._cursor().from_arrow(table), [one.name for one in table.schema if str(one.type) == "null"]

    def _coded(self, spec: RowSpec, labels: list[Any], roles: list[str]) -> pa.Table:
        """Return the columns as Arrow, ids that DuckDB cannot hold replaced by codes."""
        if "customer" not in spec.columns:
            return self._source.arrow(labels)
        with self._lock:
            ids = self._ids or Ids()
            codes = encoded_ids(self._source, spec.columns["customer"], ids)
            self._ids = ids if codes is not None else None
        if codes is None:
            return self._source.arrow(labels)
        place = roles.index("customer")
        rest = self._source.arrow([label for at, label in enumerate(labels) if at != place])
        arrays = list(rest.columns)
        arrays.insert(place, codes)
        return canonical.named_columns(arrays)

    def _foreign_ids(self, source: Source, label: Any) -> Any:
        """Return another table's ids, as codes where this engine's are coded."""
        if self._ids is not None and isinstance(source, PandasFrame):
            return self._ids.encode(source.column(label))
        column = source.arrow([label]).column(0)
        if self._ids is not None:
            import pandas as pd

            return self._ids.encode(pd.Series(column.to_pylist(), dtype=object, name=label))
        return column

    def _refuse_foreign(self, ids: nw.LazyFrame[Any], label: Any) -> None:
        """Raise where another table's ids cannot be compared with those of the log."""
        customers = self.table("customers").select("customer")
        own, other = (str(nw.to_native(frame).types[0]) for frame in (customers, ids))
        if other != '"NULL"':
            beside.refuse_foreign(own, other, canonical.family, label)
            beside.refuse_rounded(self, ids, own, other, label)


def break_off() -> None:
    """Break off every query that this library runs in this process, in any thread.

    For a program that was told to end while it waits for one: the transactions of others in the process, whose queries
    fail as well, must be no concern of it.
    """
    connections.interrupt()
    with _open_lock:
        engines = list(_open)
    for engine in engines:
        engine.interrupt()


def _close(connection: duckdb.DuckDBPyConnection | None) -> None:
    """Close a connection, breaking off what it is at; one that does not stop soon is left to its thread."""
    for pause in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0):
        time.sleep(pause)
        try:
            if connection is not None:
                connection.interrupt()
                connection.close()
        except duckdb.Error:  # busy
            continue
        return
