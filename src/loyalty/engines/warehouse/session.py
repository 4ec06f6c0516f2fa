"""A caller's PostgreSQL connection, used without leaving a trace: transactions of our own, temporary tables, CSV."""

from __future__ import annotations

import collections
import threading
import uuid
import weakref
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from loyalty.engines.canonical import quoted
from loyalty.engines.warehouse.failures import ESCAPING_BACKSLASHES, IN_FAILED_TRANSACTION, told
from loyalty.errors import UnsupportedSource

if TYPE_CHECKING:
    import psycopg

__all__ = ["Session", "session_of"]

_BLOCK = 1 << 23  # bytes of CSV that are read at once
_MOMENT = 0.05  # seconds between two attempts to break off what another thread runs
_OURS = (
    "SELECT relname::text FROM pg_catalog.pg_class "
    "WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relname::text = ANY(%s::text[])"
)
_sessions: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()
_sessions_lock = threading.Lock()


def session_of(connection: psycopg.Connection[Any]) -> Session:
    """Return the one session of a connection: whoever uses it waits for the same lock."""
    with _sessions_lock:
        session = _sessions.get(connection)
        if session is None:
            session = _sessions[connection] = Session(connection)
        return session


class Session:
    """One connection to PostgreSQL that its owner goes on using.

    Every statement runs in a transaction of its own (inside the owner's, if one is open, a savepoint), so that one that
    fails leaves the connection as it was. No setting is changed, nothing is prepared, and tables are temporary.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = weakref.ref(connection)
        self._lock = threading.RLock()
        self._forgotten: collections.deque[str] = collections.deque()  # tables that nobody can ask for any more
        self._dropped: dict[str, str] = {}  # dropped in a transaction of the caller's, by its id: it may be undone
        self._owner: object = None  # whose query runs
        self._owner_lock = threading.Lock()  # held for moments only

    @property
    def lock(self) -> threading.RLock:
        """Held by the thread that uses the connection."""
        return self._lock

    @contextmanager
    def running(self, what: str, owner: object, *, writes: bool = False) -> Iterator[psycopg.Cursor[Any]]:
        """Give a cursor in a transaction that is undone if anything fails; errors become this library's.

        Args:
            what: What is done, for errors.
            owner: Whose query it is, for `interrupt`.
            writes: Whether temporary tables are made or dropped.
        """
        with self._lock, told(what, self._connection):
            connection = self._usable()
            before, self._owner = self._owner, owner
            try:
                with self._begun(connection, writes=writes) as cursor:
                    yield cursor
            finally:
                with self._owner_lock:  # a cancelling that is under way is still about our query
                    self._owner = before

    @contextmanager
    def _begun(self, connection: psycopg.Connection[Any], *, writes: bool) -> Iterator[psycopg.Cursor[Any]]:
        """Give a cursor in a transaction or savepoint."""
        from psycopg.pq import TransactionStatus
        from psycopg.rows import tuple_row

        own = connection.info.transaction_status == TransactionStatus.IDLE
        with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
            if own and writes and self._is_read_only(cursor):
                cursor.execute("SET TRANSACTION READ WRITE")  # of this one; nothing but temporary tables is written
            try:
                yield cursor
            except BaseException:
                _quieten(connection)
                raise

    @staticmethod
    def _is_read_only(cursor: psycopg.Cursor[Any]) -> bool:
        """Return whether the transaction refuses to make even temporary tables, without looking at any data."""
        found = cursor.execute("SHOW transaction_read_only", prepare=False).fetchone()
        return found is not None and found[0] == "on"

    def _usable(self) -> psycopg.Connection[Any]:
        """Return the connection if queries can run on it."""
        from psycopg.pq import TransactionStatus

        connection = self._connection()
        if connection is None or connection.closed:
            raise UnsupportedSource(
                "the connection to the server is closed or was lost: connect again and open the table anew."
            )
        if connection.info.transaction_status == TransactionStatus.INERROR:
            raise UnsupportedSource(IN_FAILED_TRANSACTION)
        if connection.info.parameter_status("standard_conforming_strings") != "on":
            raise UnsupportedSource(ESCAPING_BACKSLASHES)
        return connection

    def create(self, name: str, query: str, owner: object) -> str:
        """Make a temporary table of a query's rows; returns what it is called."""
        unique = _unique(name)
        self._sweep(owner)
        with self.running(name, owner, writes=True) as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {quoted(unique)} ON COMMIT PRESERVE ROWS AS {query}")
            cursor.execute(f"ANALYZE pg_temp.{quoted(unique)}")  # which nobody else does for these
        return unique

    def fill(self, name: str, columns: Sequence[str], lines: bytes, owner: object) -> str:
        """Make a temporary table of lines of CSV in UTF-8; returns what it is called.

        Args:
            name: What it is about.
            columns: Definitions of its columns.
            lines: The rows, nulls unquoted and empty.
            owner: As in `running`.
        """
        unique = _unique(name)
        self._sweep(owner)
        with self.running(name, owner, writes=True) as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {quoted(unique)} ({', '.join(columns)}) ON COMMIT PRESERVE ROWS")
            with cursor.copy(f"COPY pg_temp.{quoted(unique)} FROM STDIN (FORMAT csv, ENCODING 'UTF8')") as copy:
                copy.write(lines)
            cursor.execute(f"ANALYZE pg_temp.{quoted(unique)}")
        return unique

    def compiled(self, backend: Any, expr: Any, what: str) -> str:
        """Return the SQL of a caller's expression, frames of this machine in it copied to temporary tables by Ibis."""
        with self._lock, told(what, self._connection):
            self._usable()
            backend._run_pre_execute_hooks(expr)  # noqa: SLF001 (what Ibis itself does before a query)
            return str(backend.compile(expr))

    def types(self, query: str, what: str, owner: object) -> list[str]:
        """Return the PostgreSQL type of each column of a query, such as "numeric(10,2)"; of domains the type below."""
        with self.running(what, owner) as cursor:
            cursor.execute(f"SELECT * FROM ({query}) AS source LIMIT 0")  # noqa: S608 (the caller's own query)
            result = cursor.pgresult
            assert result is not None  # noqa: S101 (for the type checker: something was executed)
            places = range(result.nfields)
            cursor.execute(
                "SELECT pg_catalog.format_type(t.oid, m.mod), t.typtype::text, t.typcategory::text "
                "FROM unnest(%s::oid[], %s::int4[]) WITH ORDINALITY AS m(oid, mod, place) "
                "JOIN pg_catalog.pg_type t ON t.oid = m.oid ORDER BY m.place",
                [[result.ftype(place) for place in places], [result.fmod(place) for place in places]],
                prepare=False,
            )
            return [_type_name(*row) for row in cursor.fetchall()]

    def blocks(self, query: str, what: str, owner: object) -> Generator[bytes]:
        """Give the rows of a query as lines of CSV in UTF-8, a block at a time."""
        with (
            self.running(what, owner) as cursor,
            cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')") as copy,
        ):
            rows: list[bytes] = []
            size = 0
            for row in copy:
                rows.append(bytes(row))
                size += len(rows[-1])
                if size >= _BLOCK:
                    yield b"".join(rows)
                    rows, size = [], 0
            yield b"".join(rows)

    def first_rows(self, query: str, what: str, owner: object) -> list[tuple[Any, ...]]:
        """Return the rows of a small query."""
        with self.running(what, owner) as cursor:
            return _rows(cursor, query)

    def forget(self, names: Iterable[str]) -> None:
        """Let go of tables; they are dropped with the next statement that may. Any thread may call it, at any time."""
        self._forgotten.extend(names)

    def finish(self, owner: object) -> None:
        """Break off what the owner runs and drop the tables that were let go of, if the connection still can.

        Nobody waits for the query of another owner: the tables are dropped with the next one that is made, or when that
        owner finishes.
        """
        while not self._lock.acquire(timeout=_MOMENT):
            with self._owner_lock:
                if self._owner is not None and self._owner is not owner:
                    return
            self.interrupt(owner)
        try:
            with suppress(UnsupportedSource):
                self._sweep(owner)
                while self._forgotten:  # what others let go of meanwhile, who did not wait
                    self._sweep(owner)
        finally:
            self._lock.release()

    def _sweep(self, owner: object) -> None:
        """Drop the tables that were let go of; those that cannot be are left for the next time."""
        from psycopg.pq import TransactionStatus

        names = []
        while self._forgotten:
            names.append(self._forgotten.popleft())
        if not names and not self._dropped:
            return
        try:
            with self._lock:
                within = self._usable().info.transaction_status != TransactionStatus.IDLE
                with self.running("temporary tables", owner, writes=True) as cursor:
                    dropped = self._drop(cursor, names, within=within)
                self._dropped = dropped
        except BaseException:
            self._forgotten.extend(names)
            raise

    def _drop(self, cursor: psycopg.Cursor[Any], names: Sequence[str], *, within: bool) -> dict[str, str]:
        """Drop tables that are there; returns those that a rollback could bring back, with their transaction.

        Args:
            cursor: In a transaction that may write.
            names: The tables. Those that a rollback of the owner's has brought back go too.
            within: Whether the transaction is the owner's.
        """
        now = _rows(cursor, "SELECT txid_current()::text")[0][0] if within else ""
        undoable = {name: when for name, when in self._dropped.items() if when == now}
        wanted = [*names, *(name for name in self._dropped if name not in undoable)]
        there = [name for (name,) in _rows(cursor, _OURS, [wanted])]
        if there:
            cursor.execute(f"DROP TABLE {', '.join('pg_temp.' + quoted(name) for name in there)}")
        return {**undoable, **dict.fromkeys(there, now)} if within else {}

    def interrupt(self, owner: object) -> None:
        """Cancel the query that runs, if it is the owner's."""
        import psycopg

        with self._owner_lock, suppress(psycopg.Error):  # a server that is gone runs nothing
            connection = self._connection()
            if self._owner is owner and connection is not None and not connection.closed:
                connection.cancel_safe()


def _quieten(connection: psycopg.Connection[Any]) -> None:
    """Break off what a connection is at: after Ctrl-C in a COPY psycopg leaves it busy, and cannot roll back."""
    from psycopg.pq import ExecStatus, TransactionStatus

    server = connection.pgconn
    if connection.closed or server.transaction_status != TransactionStatus.ACTIVE:
        return
    connection.cancel_safe()
    while (result := server.get_result()) is not None:
        if result.status == ExecStatus.COPY_OUT:
            while server.get_copy_data(0)[0] > 0:
                pass
        elif result.status == ExecStatus.COPY_IN:
            server.put_copy_end(b"broken off")


def _rows(cursor: psycopg.Cursor[Any], query: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    """Return the rows of a small query, which is not prepared."""
    found: list[tuple[Any, ...]] = cursor.execute(query, values, prepare=False).fetchall()
    return found


def _unique(name: str) -> str:
    """Return a name that no other table has, no longer than PostgreSQL takes."""
    return f"loyalty_{uuid.uuid4().hex[:12]}_{name}"[:63]


def _type_name(name: str, kind: str, category: str) -> str:
    """Return what a type is called here: enumerations, arrays and composed types by what they are."""
    return {"e": "enum", "c": "composite", "r": "range", "m": "range"}.get(kind) or (
        name if category != "A" else "array"
    )
