"""The only room that knows DuckDB, pandas, Polars, Spark and Ibis by name.

`connect` takes whatever the caller holds and returns the engine that computes on it.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw

from loyalty.engines.base import Engine, RowSpec
from loyalty.engines.embedded import Embedded, break_off
from loyalty.engines.rows import CustomerRows, PerCustomer
from loyalty.engines.sources.databases import database_kind
from loyalty.engines.sources.opening import Source, open_source
from loyalty.errors import InvalidArgument

__all__ = [
    "CustomerRows",
    "Engine",
    "PerCustomer",
    "RowSpec",
    "Source",
    "break_off",
    "connect",
    "database_kind",
    "open_source",
]


def connect(
    data: Any, *, table: str | None = None, memory_limit: str | None = None, temp_directory: str | None = None
) -> Engine:
    """Return the engine for a source.

    Args:
        data: pandas, Polars (eager or lazy) or PyArrow frame, DuckDB relation, Parquet or CSV path, glob or list
            of paths, path of a DuckDB or SQLite file, any object with the Arrow stream interface, a Spark DataFrame,
            or an Ibis table.
        table: The table, where `data` is the path of a database.
        memory_limit: Most memory that the embedded engine may take before it spills to disk, such as "4GB".
        temp_directory: Where it spills; a folder of its own under the system's temporary folder if None.

    Raises:
        UnsupportedSource: The object is of none of these kinds.
        InvalidArgument: A setting of the embedded engine is given for another one.
    """
    native = data = _where_it_lies(nw.to_native(data, pass_through=True))
    spark = nw.dependencies.is_pyspark_dataframe(native) or nw.dependencies.is_pyspark_connect_dataframe(native)
    if spark or nw.dependencies.is_ibis_table(native):
        _refuse_settings(spark=spark, table=table, memory_limit=memory_limit, temp_directory=temp_directory)
    if spark:
        from loyalty.engines.spark.engine import Spark

        return Spark(native)
    if nw.dependencies.is_ibis_table(native):
        from loyalty.engines.warehouse.engine import Warehouse

        return Warehouse(native)
    return Embedded(open_source(data, table), memory_limit=memory_limit, temp_directory=temp_directory)


def _where_it_lies(native: Any) -> Any:
    """Return an object as it is, but an Ibis table on DuckDB as the relation that it stands for."""
    if nw.dependencies.is_ibis_table(native):
        from loyalty.engines.warehouse.engine import relation_of

        return relation_of(native)
    return native


def _refuse_settings(*, spark: bool, **settings: str | None) -> None:
    """Raise where a setting of the embedded engine is given for another one."""
    given = [f"{name}={value!r}" for name, value in settings.items() if value is not None]
    if given:
        where = "a Spark DataFrame is computed by its own session" if spark else "an Ibis table by its own database"
        raise InvalidArgument(f"{', '.join(given)}: {where}, which has settings of its own. Leave it out.")
