"""The warehouse engine: queries run on the caller's PostgreSQL connection, what is kept lies in temporary tables."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks
from loyalty.engines import beside
from loyalty.engines.base import CLOSED
from loyalty.engines.canonical import quoted
from loyalty.engines.once import Once
from loyalty.engines.results import label_for
from loyalty.engines.warehouse import arrow, canonical
from loyalty.engines.warehouse.session import Session, session_of
from loyalty.errors import ClosedError, UnsupportedSource
from loyalty.writing import whole_file

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.engines.base import RowSpec

__all__ = ["Warehouse", "relation_of"]

_REMEMBERED = 16  # attached tables: calendars, cells and wallets are asked for again and again


class Warehouse:
    """Runs every query of one Ibis table on the connection that it belongs to, one at a time.

    Nothing is made in any schema but temporary tables, which `close` drops; no setting of the connection is changed,
    and no transaction is left open.
    """

    def __init__(self, native: Any) -> None:
        self._backend = _backend_of(native)
        self._native = native
        self._session = session_of(self._backend.con)
        self._kept: dict[str, Any] = {}  # name → Ibis table
        self._tables: set[str] = set()  # what they, and attached ones, are called on the server
        self._attached: dict[bytes, Any] = {}  # what was sent lately, by a digest of it
        self._once = Once()
        self._closed = False
        weakref.finalize(self, self._session.forget, self._tables).atexit = False

    @property
    def kind(self) -> str:
        """Kind of eager frame for summaries."""
        return "pandas"

    @property
    def labels(self) -> Sequence[Any]:
        """The source's column labels."""
        return list(self._native.columns)

    @property
    def snapshot(self) -> bool:
        """Whether later edits of the caller's object can no longer be seen."""
        return False

    @property
    def coded(self) -> bool:
        """Whether ids are codes."""
        return False

    def rows(self, spec: RowSpec, value: Any = None) -> nw.LazyFrame[Any]:
        """Return the canonical rows; see `Engine.rows`."""
        query, kinds = self._canonical(spec, value)
        return _frame(self._backend.sql(query, schema=kinds))

    def offenders(self, spec: RowSpec, role: str, limit: int = 3) -> list[str]:
        """Return some values of a column that could not be used: rows of a table have no order."""
        what = f"column {spec.columns[role]!r}"
        query, _ = self._canonical(spec, None, found=role)
        part = "day" if role == "date" else role
        bad = f"SELECT found FROM ({query}) AS rows WHERE {part} IS NULL AND customer IS NOT NULL LIMIT {limit}"  # noqa: S608
        with self._running():
            return [repr(found) for (found,) in self._session.first_rows(bad, what, self)]

    def persist(self, frame: nw.LazyFrame[Any], name: str) -> str:
        """Compute a frame into a temporary table; returns the name to ask for."""
        table = self._create(frame, name)
        unique: str = table.get_name()
        self._kept[unique] = table
        return unique

    def drop(self, name: str) -> None:
        """Let go of a kept table."""
        self._forget(self._kept.pop(name).get_name())

    def table(self, name: str) -> nw.LazyFrame[Any]:
        """Return a kept table as a frame."""
        with self._running():
            return _frame(self._kept[name])

    def once(self, name: str, build: Callable[[], nw.LazyFrame[Any]]) -> nw.LazyFrame[Any]:
        """Return a table built on the first call; threads that come meanwhile wait for it."""
        self._refuse_closed()  # before anything is built
        self._once.build(name, lambda: self._kept.update({name: self._create(build(), name)}))
        return self.table(name)

    def attach(self, table: pa.Table) -> nw.LazyFrame[Any]:
        """Return an Arrow table as a frame, by way of a temporary table; one that was sent lately is used again."""
        columns, kinds = arrow.definitions(table)
        lines = arrow.lines_of(table)
        key = hashlib.blake2b(lines, key=hashlib.blake2b(repr(columns).encode()).digest()).digest()
        with self._running(), self._session.lock:
            attached = self._attached.pop(key, None)
            if attached is None:
                attached = self._named(
                    self._own(self._session.fill("attached", columns, lines, self)), kinds, passing=True
                )
            self._attached[key] = attached  # the last one now
            if len(self._attached) > _REMEMBERED:
                del self._attached[next(iter(self._attached))]
            return _frame(attached)

    def attach_source(self, data: Any, columns: Mapping[str, Any], customer: Any) -> nw.LazyFrame[Any]:
        """Return another table, its ids spelled as this engine's; see `Engine.attach_source`."""
        native = nw.to_native(data, pass_through=True)
        if nw.dependencies.is_ibis_table(native) and native.get_backend() is self._backend:
            return self._columns_of(native, columns, customer)
        table = beside.read(data, columns)
        frame = self.attach(table)
        if customer is not None:
            kind = arrow.postgres_type(table.schema.field(customer).type)
            self._refuse_foreign(frame.select(customer), kind, columns[customer])
        return frame

    def _columns_of(self, native: Any, columns: Mapping[str, Any], customer: Any) -> nw.LazyFrame[Any]:
        """Return columns of another table of the same connection under their internal names."""
        labels = [checks.column(name, label, list(native.columns)) for name, label in columns.items()]
        source, types = self._source(native, labels)
        parts, kinds = [], {}
        for place, (name, label) in enumerate(columns.items()):
            column = f"c{place}"
            kind = types[column]
            if name == customer:
                sql = canonical.identifier(column, kind, name, label)
            else:
                sql = canonical.value_of(column, kind, label)
            parts.append(f"{sql} AS {quoted(name)}")
            kinds[name] = canonical.ibis_type(kind)
        query = f"SELECT {', '.join(parts)} FROM ({source}) AS source"  # noqa: S608 (built from the caller's own query)
        frame = _frame(self._backend.sql(query, schema=kinds))
        if customer is not None:
            kind = types[f"c{list(columns).index(customer)}"]
            self._refuse_foreign(frame.select(customer), kind, columns[customer])
        return frame

    def _refuse_foreign(self, ids: nw.LazyFrame[Any], other: str, label: Any) -> None:
        """Raise where another table's ids, of a type of PostgreSQL's, cannot be compared with those of the log."""
        if not other:
            return
        with self._running():
            query = self._compiled(self._kept["customers"].select("customer"))
            own = self._session.types(query, "the ids", self)[0]
        beside.refuse_foreign(own, other, canonical.family, label)
        beside.refuse_rounded(self, ids, own, other, label)

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run a query and return its rows."""
        import pyarrow as pa

        expr = nw.to_native(frame)
        schema = expr.schema()
        with closing(self._blocks(self._compiled(expr), schema, arrow.arrow_schema(schema))) as blocks:
            return arrow.exact(pa.concat_tables(list(blocks)))

    def batches(self, frame: nw.LazyFrame[Any]) -> Generator[pa.RecordBatch]:
        """Give the rows of a query, asked for at once and as a whole: the connection is the calling thread's."""
        rows = self.collect(frame)
        return (batch for batch in rows.to_batches())

    def hand_back(self, frame: nw.LazyFrame[Any], *, customer: Any, days: Sequence[str] = ()) -> Any:
        """Return a per-customer frame as an Ibis table; see `Engine.hand_back`.

        Its rows lie in a temporary table of the connection that outlives these transactions: it is dropped when the
        last expression built on it is gone and another query runs, at the latest when the connection ends.

        Ibis itself runs what is asked of the table, on the same connection and without waiting for anybody: ask it
        from one thread, while no other computes anything on that connection. Where threads must not wait for each
        other, each opens the table on a connection of its own.
        """
        query, kinds, _ = self._outgoing(frame, customer, days)
        with self._running():
            return self._named(self._session.create("result", query, self), kinds, passing=True)

    def write(self, frame: nw.LazyFrame[Any], path: str, *, customer: Any, days: Sequence[str] = ()) -> None:
        """Write a per-customer frame as one Parquet file, a batch at a time; see `Engine.write`."""
        import ibis
        import pyarrow.parquet as pq

        query, kinds, ids = self._outgoing(frame, customer, days)
        types = arrow.arrow_schema(ibis.schema(kinds), ids)
        with (
            whole_file(path, replace=False) as beside,
            pq.ParquetWriter(beside, types, compression="snappy") as writer,
            closing(self._blocks(query, ibis.schema(kinds), types)) as blocks,
        ):
            for block in blocks:
                writer.write_table(block)

    def interrupt(self) -> None:
        """Cancel the query that runs now, if it is one of these transactions; any thread may ask for it."""
        self._session.interrupt(self)

    def close(self) -> None:
        """Drop every temporary table; queries that other threads still run are broken off."""
        self._closed = True
        self._session.forget(self._tables)
        self._tables.clear()
        self._kept.clear()
        self._attached.clear()
        self._session.finish(self)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """What fails because another thread closed the engine says so."""
        self._refuse_closed()
        try:
            yield
        except (UnsupportedSource, KeyError) as err:
            if self._closed:
                raise ClosedError(CLOSED) from err
            raise

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClosedError(CLOSED)

    def _compiled(self, expr: Any) -> str:
        """Return the SQL of an expression."""
        return str(self._backend.compile(expr))

    def _blocks(self, query: str, kinds: Any, types: pa.Schema) -> Generator[pa.Table]:
        """Give the rows of a query of the given Ibis types in tables of the given Arrow types, at least one."""
        sent = f"SELECT {arrow.sent_columns(kinds)} FROM ({query}) AS query"  # noqa: S608 (compiled by Ibis)
        # Closed by whoever asks, not by the garbage collector: meanwhile the connection is taken.
        with self._running(), closing(self._session.blocks(sent, "the query", self)) as blocks:
            for lines in blocks:
                yield arrow.arrow_of(lines, types)

    def _create(self, frame: nw.LazyFrame[Any], name: str) -> Any:
        """Return a temporary table of a frame's rows."""
        expr = nw.to_native(frame)
        columns, kinds = arrow.kept_columns(expr.schema())
        query = f"SELECT {columns} FROM ({self._compiled(expr)}) AS query"  # noqa: S608 (compiled by Ibis)
        with self._running():
            return self._named(self._own(self._session.create(name, query, self)), kinds)

    def _own(self, unique: str) -> str:
        """Take over a temporary table, to drop it on `close`; at once, if that has been called meanwhile."""
        self._tables.add(unique)
        if self._closed:
            self._forget(unique)
            self._refuse_closed()
        return unique

    def _forget(self, unique: str) -> None:
        """Have a temporary table dropped with the next one that is made."""
        self._tables.discard(unique)
        self._session.forget([unique])

    def _named(self, unique: str, kinds: Mapping[str, Any], *, passing: bool = False) -> Any:
        """Return a temporary table as Ibis has it; one that is passing is dropped after it is forgotten."""
        import ibis
        from ibis.expr import operations

        place = operations.Namespace(database="pg_temp")
        table = operations.DatabaseTable(unique, schema=ibis.schema(kinds), source=self._backend, namespace=place)
        if passing:
            weakref.finalize(table, _passed, self._session, self._tables, unique).atexit = False
        return table.to_expr()

    def _outgoing(
        self, frame: nw.LazyFrame[Any], customer: Any, days: Sequence[str]
    ) -> tuple[str, dict[str, Any], str]:
        """Return the query of a per-customer frame as the caller gets it, its Ibis types and its column of ids."""
        expr = nw.to_native(frame)
        schema = expr.schema()
        label = label_for(customer, schema.names)
        selected, kinds = arrow.kept_columns(schema, {"customer": label}, days)
        return f"SELECT {selected} FROM ({self._compiled(expr)}) AS query", kinds, label  # noqa: S608 (compiled by Ibis)

    def _canonical(self, spec: RowSpec, value: Any, found: str | None = None) -> tuple[str, dict[str, str]]:
        """Return the query of canonical rows and its columns with their Ibis types.

        Args:
            spec: The caller's columns.
            value: The label of the column that is read as `value`.
            found: A role, whose column is wanted as text besides, as `found`.
        """
        labels = list(spec.columns.values()) + ([] if value is None else [value])
        roles = [*spec.columns, *([] if value is None else ["value"])]
        what = f"the columns {labels}"
        source, types = self._source(self._native, labels)
        columns = {role: f"c{place}" for place, role in enumerate(roles)}

        def holds(condition: str) -> bool:
            asked = f"SELECT 1 FROM ({source}) AS source WHERE {condition} LIMIT 1"  # noqa: S608 (as above)
            with self._running():
                return bool(self._session.first_rows(asked, what, self))

        also = {} if found is None else {"found": f"{columns[found]}::text"}
        return canonical.select(source, columns, types, spec, holds, value=value, also=also)

    def _source(self, native: Any, labels: Sequence[Any]) -> tuple[str, dict[str, str]]:
        """Return the query of named columns as c0, c1, …, and their PostgreSQL types."""
        from ibis.common.exceptions import IbisError

        names = [f"c{place}" for place in range(len(labels))]
        what = f"the columns {list(labels)}"
        strange = {name: kind for name, label in zip(names, labels, strict=True) if (kind := _strange(native[label]))}
        columns = {name: native[label] for name, label in zip(names, labels, strict=True) if name not in strange}
        with self._running():
            try:
                query = self._session.compiled(self._backend, native.select(**columns), what)
            except IbisError as err:
                raise UnsupportedSource(f"{what} cannot be read: {err}") from err
            types = self._session.types(query, what, self)
        return query, {**strange, **dict(zip(columns, types, strict=True))}


def _strange(column: Any) -> str:
    """Return the PostgreSQL type of a column that Ibis would not give as it is; nothing for others."""
    kind = column.type()
    if kind.is_json():
        return "jsonb"
    if kind.is_map():
        return "hstore"
    return "geometry" if kind.is_geospatial() else ""


def _passed(session: Session, tables: set[str], unique: str) -> None:
    """Let go of a temporary table whose last expression was forgotten."""
    tables.discard(unique)
    session.forget([unique])


def _frame(table: Any) -> nw.LazyFrame[Any]:
    frame: nw.LazyFrame[Any] = nw.from_native(table)
    return frame


def relation_of(native: Any) -> Any:
    """Return an Ibis table on DuckDB as the relation that it stands for, any other as it is."""
    from ibis.common.exceptions import IbisError

    try:
        backend = native.get_backend()
    except IbisError:
        return native
    if backend.name != "duckdb":
        return native
    backend._run_pre_execute_hooks(native)  # noqa: SLF001 (what Ibis itself does before a query)
    return backend.con.sql(backend.compile(native))


def _backend_of(native: Any) -> Any:
    """Return the connection of an Ibis table.

    Raises:
        UnsupportedSource: It is of another database than PostgreSQL, or of none.
    """
    from ibis.common.exceptions import IbisError

    try:
        backend = native.get_backend()
    except IbisError as err:
        raise UnsupportedSource(f"the Ibis table has no connection: {err}") from err
    if backend.name != "postgres":
        raise UnsupportedSource(
            f"data is an Ibis table of the {backend.name} backend: PostgreSQL's (ibis.postgres.connect(...)) and "
            "DuckDB's are read where they are. Read others onto this machine: ly.transactions(table.to_pyarrow(), ...)."
        )
    return backend
