"""Connections of this library's own: none loads code from anywhere, and each can be broken off."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb

__all__ = ["brief", "interrupt", "opened"]

# DuckDB would fetch what a path such as "https://…" needs from the network, and load it.
_LOCAL = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_brief: list[duckdb.DuckDBPyConnection] = []
_lock = threading.Lock()


def opened(config: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory database that keeps to this machine.

    Args:
        config: More of its settings.
    """
    return duckdb.connect(":memory:", config={**_LOCAL, **(config or {})})


@contextmanager
def brief() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give such a database for one look at a source, which `interrupt` can break off."""
    with opened() as connection:
        with _lock:
            _brief.append(connection)
        try:
            yield connection
        finally:
            with _lock:
                _brief[:] = [one for one in _brief if one is not connection]


def interrupt() -> None:
    """Break off what runs on every brief connection of this process."""
    with _lock:
        for connection in _brief:
            connection.interrupt()
