"""The only room that knows DuckDB, pandas, Polars (and later Spark and Ibis) by name.

`connect` takes whatever the caller holds and returns the engine that computes on it.
"""

from __future__ import annotations

from typing import Any

from loyalty.engines.base import Engine, RowSpec
from loyalty.engines.databases import database_kind
from loyalty.engines.embedded import Embedded, break_off
from loyalty.engines.sources import Source, open_source

__all__ = ["Engine", "RowSpec", "Source", "break_off", "connect", "database_kind", "open_source"]


def connect(
    data: Any, *, table: str | None = None, memory_limit: str | None = None, temp_directory: str | None = None
) -> Engine:
    """Return the engine for a source.

    Args:
        data: pandas, Polars (eager or lazy) or PyArrow frame, DuckDB relation, Parquet or CSV path, glob or list
            of paths, path of a DuckDB or SQLite file, or any object with the Arrow stream interface.
        table: The table, where `data` is the path of a database.
        memory_limit: Most memory that the embedded engine may take before it spills to disk, such as "4GB".
        temp_directory: Where it spills; a folder of its own under the system's temporary folder if None.

    Raises:
        UnsupportedSource: The object is of none of these kinds.
    """
    return Embedded(open_source(data, table), memory_limit=memory_limit, temp_directory=temp_directory)
