"""Arrow tables on their way into Spark, and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loyalty.errors import ColumnError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["sparkable", "tidy"]


def sparkable(table: pa.Table) -> pa.Table:
    """Return a table whose columns are of types that Spark has.

    Raises:
        ColumnError: A column is of a type that Spark has nothing like.
    """
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        kind = _spark_type(column.type, name)
        if kind != column.type:
            table = table.set_column(place, name, column.cast(kind, safe=False))
    return table


def _spark_type(kind: Any, name: str) -> Any:  # noqa: PLR0911 (a line per kind)
    """Return the nearest Arrow type that Spark reads."""
    import pyarrow as pa

    test = pa.types
    if test.is_dictionary(kind):
        return _spark_type(kind.value_type, name)
    if test.is_unsigned_integer(kind):
        wider = {8: pa.int16(), 16: pa.int32(), 32: pa.int64()}
        return wider.get(kind.bit_width, pa.decimal128(20, 0))
    if test.is_float16(kind):
        return pa.float32()
    if test.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if test.is_date64(kind):
        return pa.date32()
    if test.is_time32(kind):
        return pa.time64("us")
    if test.is_string_view(kind) or test.is_null(kind):
        return pa.string()
    if test.is_duration(kind) or test.is_interval(kind):
        raise ColumnError(f"column {name!r} is of type {kind}, which Spark has none like: give text or numbers.")
    return kind


def tidy(table: pa.Table) -> pa.Table:
    """Return a result with whole numbers as int64."""
    import pyarrow as pa

    for place, item in enumerate(table.schema):
        if pa.types.is_integer(item.type) and item.type != pa.int64():
            table = table.set_column(place, item.name, table.column(place).cast(pa.int64()))
    return table
