"""Arrow tables to and from PostgreSQL's CSV, written so that no setting of the session can change a value."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loyalty.engines.canonical import quoted
from loyalty.engines.warehouse.canonical import EPOCH
from loyalty.errors import ColumnError, UnsupportedSource

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "arrow_of",
    "arrow_schema",
    "definitions",
    "exact",
    "kept_columns",
    "lines_of",
    "postgres_type",
    "sent_columns",
]

_TEXT = 'text COLLATE "C"'
_EXACT = {b"exact": b"decimal"}  # marks columns of decimals
_SPECK = 1e-290
_ID = "customer"  # the column of a frame that holds ids
_DIGITS = 18  # behind the point, of decimals that no type limits


def kept_columns(
    schema: Any, renamed: Mapping[str, str] | None = None, days: Sequence[str] = ()
) -> tuple[str, dict[str, Any]]:
    """Return the SELECT list by which a frame is kept, and the Ibis types of what it gives.

    Numbers are widened, so that a later sum cannot leave a small type's range, and texts compare by their bytes; ids
    stay what they are, since they come back.

    Args:
        schema: The frame's Ibis schema.
        renamed: Column to its new name.
        days: Columns of civil day numbers that become dates.
    """
    parts, kinds = [], {}
    for name, kind in schema.items():
        into = (renamed or {}).get(name, name)
        column = quoted(name)
        if name in days:
            column, kind = f"{EPOCH} + {column}::integer", "date"  # noqa: PLW2901
        elif kind.is_string():
            column = f'{column}::text COLLATE "C"'
        elif name != _ID:
            column, kind = _widened(column, kind)  # noqa: PLW2901
        parts.append(f"{column} AS {quoted(into)}")
        kinds[into] = kind
    return ", ".join(parts), kinds


def _widened(column: str, kind: Any) -> tuple[str, Any]:
    """Return a column as a type that sums fit into, and the Ibis type."""
    if kind.is_integer():
        wide = kind.is_int64() or kind.is_unsigned_integer()
        return (f"{column}::bigint", "int64") if wide else (f"{column}::integer", "int32")
    return (f"{column}::double precision", "float64") if kind.is_floating() else (column, kind)


def sent_columns(schema: Any) -> str:
    """Return the SELECT list by which a frame is sent: numbers and text, whatever dates should look like."""
    return ", ".join(f"{_sent(quoted(name), kind)} AS {quoted(name)}" for name, kind in schema.items())


def _sent(column: str, kind: Any) -> str:
    """Return the SQL by which a column is sent."""
    ways = {
        "integer": f"{column}::bigint",
        "floating": f"encode(float8send({column}::double precision), 'hex')",  # as text, the session rounds them
        "boolean": f"{column}::integer",
        "date": f"CASE WHEN isfinite({column}) THEN {column} - {EPOCH} END",
        "timestamp": f"CASE WHEN isfinite({column}) THEN (EXTRACT(EPOCH FROM {column}) * 1000000)::bigint END",
        "binary": f"encode({column}, 'hex')",
    }
    return next((sql for test, sql in ways.items() if getattr(kind, f"is_{test}")()), f"{column}::text")


def arrow_schema(schema: Any, ids: str = _ID) -> pa.Schema:
    """Return the Arrow types of what `sent_columns` sends, decimals that no type limits as text.

    Args:
        schema: The frame's Ibis schema.
        ids: The column of ids, which are of no other type than the caller's.
    """
    import pyarrow as pa

    marks = {name: _EXACT if kind.is_decimal() else None for name, kind in schema.items()}
    types = {name: _id_type(kind) if name == ids else _arrow_type(kind) for name, kind in schema.items()}
    return pa.schema([pa.field(name, kind, metadata=marks[name]) for name, kind in types.items()])


def _id_type(kind: Any) -> Any:
    """Return the Arrow type of ids."""
    import pyarrow as pa

    if kind.is_int16():
        return pa.int16()
    return pa.float32() if kind.is_float32() else _arrow_type(kind)


def _arrow_type(kind: Any) -> Any:
    """Return the Arrow type of a column."""
    import pyarrow as pa

    if kind.is_timestamp():
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    if kind.is_decimal() and kind.precision and kind.precision <= 38:
        return pa.decimal128(kind.precision, kind.scale)
    tests = {
        **dict.fromkeys(("int8", "int16", "int32"), pa.int32()),
        "integer": pa.int64(),
        "floating": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "time": pa.time64("us"),
        "binary": pa.binary(),
        "null": pa.null(),
    }
    return next((arrow for test, arrow in tests.items() if getattr(kind, f"is_{test}")()), pa.string())


def arrow_of(lines: bytes, schema: pa.Schema) -> pa.Table:
    """Return lines of CSV as a table of the given types."""
    import pyarrow as pa
    import pyarrow.csv as pc

    names = [f"c{place}" for place in range(len(schema))]
    if not lines:
        return schema.empty_table()
    options = pc.ConvertOptions(
        column_types={name: _read_as(item.type) for name, item in zip(names, schema, strict=True)},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    try:
        table = pc.read_csv(
            io.BytesIO(lines),
            pc.ReadOptions(column_names=names, block_size=max(1 << 20, len(lines) + 1)),
            pc.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            options,
        )
    except pa.ArrowInvalid as err:
        raise UnsupportedSource(f"what the server sent could not be read: {err}") from err
    columns = [_finished(column, item.type) for column, item in zip(table.columns, schema, strict=True)]
    return pa.table(columns, schema=schema)


def _read_as(kind: Any) -> Any:
    """Return the Arrow type that a column is read as."""
    import pyarrow as pa

    if pa.types.is_date32(kind) or pa.types.is_boolean(kind) or pa.types.is_timestamp(kind):
        return pa.int64()
    as_text = pa.types.is_binary(kind) or pa.types.is_null(kind) or pa.types.is_floating(kind)
    return pa.string() if as_text else kind


def _finished(column: Any, kind: Any) -> Any:
    """Return a column as it was read in the type that it is of."""
    import pyarrow as pa

    if pa.types.is_date32(kind):
        return column.cast(pa.int32()).cast(kind)
    if pa.types.is_binary(kind):
        values = [None if one is None else bytes.fromhex(one) for one in column.to_pylist()]
        return pa.chunked_array([pa.array(values, kind)])
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(column))])
    if pa.types.is_floating(kind):
        return pa.chunked_array([_floats(column).cast(kind)])
    return column.cast(kind)


def _floats(column: Any) -> Any:
    """Return floats that were sent as the hexadecimal digits of their bytes, the first byte first."""
    import numpy as np
    import pyarrow as pa

    missing = column.is_null().to_numpy()
    numbers = np.zeros(len(column))
    numbers[~missing] = np.frombuffer(bytes.fromhex("".join(column.drop_null().to_pylist())), ">f8")
    return pa.array(numbers, mask=missing, from_pandas=False)


def exact(table: pa.Table) -> pa.Table:
    """Return a table whose decimals are whole numbers where all are, and no text."""
    for place, item in enumerate(table.schema):
        if item.metadata == _EXACT:
            table = table.set_column(place, item.name, _numbers(table.column(place)))
    return table


def _numbers(column: Any) -> Any:
    """Return decimals, or numbers given as text, in the first type that holds all of them."""
    import pyarrow as pa

    text = pa.types.is_string(column.type)
    whole = text or column.type.scale == 0
    wider = [pa.decimal128(38, 0), pa.decimal128(38, _DIGITS)] if text else []
    for kind in (*([pa.int64()] if whole else []), *wider):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column


def definitions(table: pa.Table) -> tuple[list[str], dict[str, str]]:
    """Return the definitions of a PostgreSQL table's columns for an Arrow table, and their Ibis types."""
    columns, kinds = [], {}
    for item in table.schema:
        postgres, kinds[item.name] = _types(item.type)
        columns.append(f"{quoted(item.name)} {postgres}")
    return columns, kinds


def postgres_type(kind: Any) -> str:
    """Return the PostgreSQL type that an Arrow type becomes, nothing for nulls alone."""
    import pyarrow as pa

    return "" if pa.types.is_null(kind) else _types(kind)[0].removesuffix(' COLLATE "C"')


def _types(kind: Any) -> tuple[str, str]:
    """Return the PostgreSQL and the Ibis type for an Arrow type."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _types(kind.value_type)
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})", f"decimal({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return (
            ("timestamp with time zone", "timestamp('UTC', 6)")
            if kind.tz
            else ("timestamp without time zone", "timestamp(6)")
        )
    tests = {
        "boolean": ("boolean", "boolean"),
        "uint64": ("numeric(20, 0)", "decimal(20, 0)"),
        "integer": ("bigint", "int64"),
        "floating": ("double precision", "float64"),
        "date": ("date", "date"),
        "time": ("time without time zone", "time"),
        "binary": ("bytea", "binary"),
        "large_binary": ("bytea", "binary"),
    }
    return next((both for test, both in tests.items() if getattr(pa.types, f"is_{test}")(kind)), (_TEXT, "string"))


def lines_of(table: pa.Table) -> bytes:
    """Return an Arrow table as lines of CSV.

    Raises:
        ColumnError: Text holds the null character, which PostgreSQL cannot.
    """
    import pyarrow as pa
    import pyarrow.csv as pc

    sink = io.BytesIO()
    plain = pa.table([_plain(column) for column in table.columns], names=[f"c{n}" for n in range(table.num_columns)])
    pc.write_csv(plain, sink, pc.WriteOptions(include_header=False))
    lines = sink.getvalue()
    if b"\0" in lines:
        raise ColumnError("a text holds the null character, which PostgreSQL cannot keep: remove it first.")
    return lines


def _plain(column: Any) -> Any:
    """Return a column in a type that CSV can be written of."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    if pa.types.is_floating(kind):
        return _without_specks(column.cast(pa.float64()))
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    texts = {
        "arrow.uuid": str,
        "": _hexadecimal if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None,
    }
    written = texts.get(getattr(kind, "extension_name", ""))
    if written is None:
        return column
    return pa.array([None if one is None else written(one) for one in column.to_pylist()], pa.string())


def _hexadecimal(value: bytes) -> str:
    return "\\x" + value.hex()


def _without_specks(column: Any) -> Any:
    """Return floats with 0 for the smallest: where a product gets too small, PostgreSQL ends the whole query."""
    import pyarrow as pa
    import pyarrow.compute as pc

    speck = pc.less(pc.abs(column), pa.scalar(_SPECK, column.type))
    return pc.if_else(speck, pa.scalar(0.0, column.type), column)
