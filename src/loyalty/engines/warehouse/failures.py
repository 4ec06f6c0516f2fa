"""PostgreSQL's errors become this library's: first lines of the reason, and the right to ask for where one lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loyalty.errors import UnsupportedSource

__all__ = ["ESCAPING_BACKSLASHES", "IN_FAILED_TRANSACTION", "told"]

IN_FAILED_TRANSACTION = (
    "the connection is in a transaction of yours that has failed, in which PostgreSQL runs nothing: roll it back first."
)
ESCAPING_BACKSLASHES = (
    "the session takes backslashes in text for escapes (standard_conforming_strings is off) and would look for other "
    'values than yours: run table.get_backend().con.execute("SET standard_conforming_strings = on") first.'
)
_ANOTHER_THREAD = (
    "another thread used the connection meanwhile, itself or by way of Ibis, which may have left it in a transaction: "
    "roll that back. Ask nothing of it while a metric is computed, nor of tables that were handed back, which are read "
    "on it: give the other thread a connection of its own."
)
_READ_HERE = "or read the table onto this machine: ly.transactions(table.to_pyarrow(), ...)"


@contextmanager
def told(what: str, connection: Callable[[], Any]) -> Iterator[None]:
    """Raise `UnsupportedSource` where PostgreSQL fails on `what`.

    Args:
        what: What is done.
        connection: Returns the connection, None if it is gone.
    """
    import psycopg
    from psycopg.transaction import OutOfOrderTransactionNesting

    try:
        yield
    except OutOfOrderTransactionNesting as err:
        raise UnsupportedSource(f"{what}: {_ANOTHER_THREAD}") from err
    except psycopg.Error as err:
        raise UnsupportedSource(_message(what, err, connection())) from err


def _message(what: str, err: Any, connection: Any) -> str:
    """Return what is wrong and what to do."""
    from psycopg import errors

    lines = [line.strip() for line in str(err).splitlines() if line.strip()] or [type(err).__name__]
    reason = " / ".join(lines[:3])
    if connection is None or connection.closed or connection.broken:
        return f"the connection to the server was lost ({reason}): connect again and open the table anew."
    if isinstance(err, errors.QueryCanceled):
        return f"{what}: the query was broken off ({reason})."
    if isinstance(err, errors.InsufficientPrivilege):
        return f"{what} cannot be had: {reason}. {_right_to_ask_for(reason, connection)}"
    if isinstance(err, (errors.ReadOnlySqlTransaction, errors.ActiveSqlTransaction, errors.FeatureNotSupported)):
        return _read_only(what, reason)
    if isinstance(err, errors.UndefinedTable) and "loyalty_" in reason:
        return (
            f"{what}: temporary tables of these transactions are gone ({reason}); a rollback of a transaction that was "
            "open when they were made does that, and DISCARD: open the table anew."
        )
    return f"{what} could not be read: {reason}"


def _read_only(what: str, reason: str) -> str:
    """Return what to do where not even temporary tables can be made."""
    if "read-only" in reason or "read-write" in reason or "recovery" in reason:
        return (
            f"{what}: {reason}. Metrics are computed in temporary tables, which a standby server and a read-only "
            f"transaction refuse: end the transaction, connect to the primary server, {_READ_HERE}."
        )
    return f"{what} could not be read: {reason}"


def _right_to_ask_for(reason: str, connection: Any) -> str:
    """Return the statement that gives a right that is missing."""
    user = _named(connection.info.user)
    database = _named(connection.info.dbname)
    if "temporary" in reason:
        return (
            "Metrics are computed in temporary tables (nothing is made in any schema of yours); whoever owns the "
            f"database gives the right to by: GRANT TEMPORARY ON DATABASE {database} TO {user}; {_READ_HERE}."
        )
    found = re.search(r"permission denied for (table|view|materialized view|schema) (\S+)", reason)
    if found is None:
        return "Ask whoever owns the database for that right."
    right = "USAGE ON SCHEMA" if found[1] == "schema" else "SELECT ON"
    return f"Whoever owns it gives the right by: GRANT {right} {found[2]} TO {user};"


def _named(name: str) -> str:
    """Return a name as SQL takes it, quoted where it must be."""
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
