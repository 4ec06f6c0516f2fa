"""The SQL and Arrow casts that turn a caller's columns into canonical rows, and results back into theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loyalty.engines import refusals
from loyalty.errors import ColumnError, InvalidArgument

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.engines.base import RowSpec

__all__ = [
    "FLOATS",
    "INTEGERS",
    "as_dtype",
    "cast_ids",
    "family",
    "literal",
    "named_columns",
    "quoted",
    "readable",
    "select",
    "tidy",
    "with_dates",
    "zone_literal",
]

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
            "UHUGEINT"}  # fmt: skip
FLOATS = {"FLOAT", "DOUBLE"}
_TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_ZONED = {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}
_ISO_DATE = r"\d{4}-\d{2}-\d{2}"
_ISO_TIME = r"[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_ISO_ZONE = r"([+-]\d{2}(:?\d{2})?|Z)"
_EPOCH = "DATE '1970-01-01'"
_CALENDAR = "DATE '0001-01-01' AND DATE '9999-12-31'"  # what Python's dates reach
_MOST_MONEY = "1e100"  # larger sums are no money; squares and totals of smaller ones stay finite
_BLANKS = "' ' || chr(9) || chr(10) || chr(13)"


def select(
    columns: Mapping[str, str],
    types: Mapping[str, str],
    spec: RowSpec,
    relation: Any,
    *,
    text: bool,
    value: Any = None,
) -> str:
    """Return the SELECT list of canonical rows.

    Args:
        columns: Role to the relation's column.
        types: The relation's column to its DuckDB type.
        spec: The caller's labels and time zone.
        relation: The relation, looked at where dates are text.
        text: Whether numbers may come as text (CSV files).
        value: The label of the column in the role "value", for errors.
    """
    parts = []
    for role, name in columns.items():
        label = spec.columns.get(role)
        if role == "customer":
            parts.append(f"{_identifier(name, types[name], role, label)} AS customer")
        elif role == "date":
            day, time = _day(name, types[name], spec, relation)
            parts.append(f"CASE WHEN {day} BETWEEN {_CALENDAR} THEN ({day} - {_EPOCH})::INTEGER END AS day")
            if "value" in columns:
                parts.append(f"epoch_us({time}) AS time")
        elif role in {"order", "product"}:
            parts.append(f'{_identifier(name, types[name], role, label)} AS "{role}"')
        elif role == "value":
            parts.append(f"{_value(name, types[name], value)} AS value")
        else:
            parts.append(f"{_amount(name, types[name], role, label, text=text)} AS {role}")
    return ", ".join(parts)


def _identifier(name: str, kind: str, role: str, label: Any) -> str:
    """Return an id: NaN and blank text count as none."""
    if kind in FLOATS:
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END"
    if kind == "VARCHAR":
        # Trimming is slow: only text that begins with a blank (or is empty, of code 0) is looked at.
        return f"CASE WHEN ascii({name}) > 32 THEN {name} WHEN trim({name}, {_BLANKS}) <> '' THEN {name} END"
    if _nested(kind):
        raise refusals.nested(role, label, kind)
    if kind == "INTERVAL":
        raise refusals.no_way_back(role, label, kind)
    return name


def _nested(kind: str) -> bool:
    return kind.startswith(("STRUCT", "MAP", "UNION")) or kind.endswith("]")


def _value(name: str, kind: str, label: Any) -> str:
    """Return a value to group by: NaN counts as null, spans of time are text."""
    if _nested(kind):
        raise refusals.nested("by", label, kind)
    if kind in FLOATS:
        return f"CASE WHEN NOT isnan({name}) THEN {name} END"
    if kind == "TIMESTAMP_NS":  # Python's datetimes end at microseconds
        return f"{name}::TIMESTAMP"
    return f"{name}::VARCHAR" if kind == "INTERVAL" else name


def _amount(name: str, kind: str, role: str, label: Any, *, text: bool) -> str:
    """Return a sum of money as a float, null where it is not one; a missing discount is a discount of 0."""
    number = f"{name}::DOUBLE"
    if text and kind == "VARCHAR":
        number = f"try_cast(trim({name}) AS DOUBLE)"
    elif kind not in INTEGERS | FLOATS | {'"NULL"', "NULL"} and not kind.startswith("DECIMAL"):
        found = {"is_text": kind == "VARCHAR", "is_boolean": kind == "BOOLEAN"}
        raise refusals.no_number(role, label, kind, text="pandas.to_numeric(...)", **found)
    sound = f"WHEN abs({number}) < {_MOST_MONEY} THEN {number} END"  # NaN is larger than any number
    if role != "discount":
        return f"CASE {sound}"
    blank = f"trim({name}) = ''" if text and kind == "VARCHAR" else f"isnan({number})"
    return f"CASE WHEN {name} IS NULL OR {blank} THEN 0.0 {sound}"


def _day(name: str, kind: str, spec: RowSpec, relation: Any) -> tuple[str, str]:
    """Return the SQL of a transaction's date and of its time within the data."""
    label, zone = spec.columns["date"], spec.timezone
    if kind in _ZONED:
        local = f"timezone({zone_literal(zone, label)}, {name}::TIMESTAMPTZ)"
        return _finite(f"{local}::DATE", local), local
    if kind == "VARCHAR":
        return _text_day(name, spec, relation)
    if kind in {'"NULL"', "NULL"}:
        return "NULL::DATE", "NULL::TIMESTAMP"
    if kind not in _TIMES | {"DATE"}:
        raise _no_date(label, kind)
    if zone is not None:
        raise refusals.no_zone(zone, label)
    return _finite(f"{name}::DATE", name), f"try_cast({name} AS TIMESTAMP)"


def _finite(day: str, time: str) -> str:
    return f"CASE WHEN isfinite({time}) THEN {day} END"


def _text_day(name: str, spec: RowSpec, relation: Any) -> tuple[str, str]:
    """Return the SQL of dates given as ISO text; any other spelling is null, never guessed."""
    label, value = spec.columns["date"], f"trim({name})"
    plain, iso, zoned = (
        f"regexp_full_match({value}, '{_ISO_DATE}{more}')" for more in ("", _ISO_TIME, _ISO_TIME + _ISO_ZONE)
    )
    if spec.timezone is None:
        if _any(relation, f"length({name}) > 16 AND {zoned}"):
            zone_literal(None, label)
        time = f"try_cast({value} AS TIMESTAMP)"
        return f"CASE WHEN {plain} THEN try_cast({value} AS DATE) WHEN {iso} THEN {time}::DATE END", time
    if _any(relation, f"{plain} OR {iso}"):
        if _any(relation, zoned):
            raise refusals.mixed_zones(label)
        raise refusals.no_zone(spec.timezone, label)
    seconds = f"regexp_replace({value}, '^(.{{16}})([-+Z])', '\\1:00\\2')"  # DuckDB 1 wants them
    local = f"timezone({zone_literal(spec.timezone, label)}, try_cast({seconds} AS TIMESTAMPTZ))"
    return f"CASE WHEN {zoned} THEN {local}::DATE END", local


def _any(relation: Any, condition: str) -> bool:
    """Return whether a condition holds in any row."""
    return bool(relation.filter(condition).project("1").limit(1).fetchall())


def zone_literal(zone: str | None, label: Any) -> str:
    """Return the SQL literal of a time zone that exists."""
    if zone is None:
        raise InvalidArgument(
            f"the times in column {label!r} bear a time zone, so the day depends on whose midnight counts: pass "
            'timezone="Europe/Paris" (or "UTC", …).'
        )
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError) as err:
        raise InvalidArgument(f'timezone={zone!r} is no zone name such as "Europe/Paris" or "UTC".') from err
    return literal(zone)


def _no_date(label: Any, kind: str) -> ColumnError:
    """Return what to raise where a column holds no dates."""
    numbers = f'pandas.to_datetime(frame[{label!r}].astype(str), format="%Y%m%d")'
    return refusals.no_date(label, kind, numbers=numbers, is_number=kind in INTEGERS | FLOATS)


def literal(text: str) -> str:
    """Return a text as SQL takes it, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def family(kind: str) -> str:
    """Return what ids of a DuckDB type can be compared with: "number", "time", "text" or the type itself."""
    if kind in INTEGERS | FLOATS or kind.startswith("DECIMAL"):
        return "number"
    if kind in _ZONED:
        return "zoned time"
    return "time" if kind in _TIMES | {"DATE"} else "text" if kind.startswith(("VARCHAR", "ENUM")) else kind


def named_columns(arrays: Sequence[Any]) -> pa.Table:
    """Return an Arrow table of columns named c0, c1, …."""
    import pyarrow as pa

    return pa.table({f"c{place}": array for place, array in enumerate(arrays)})


def tidy(table: pa.Table) -> pa.Table:
    """Return a result with 128-bit sums of integers as int64."""
    import pyarrow as pa

    for place, item in enumerate(table.schema):
        if pa.types.is_decimal(item.type) and item.type.scale == 0:
            try:
                table = table.set_column(place, item.name, table.column(place).cast(pa.int64()))
            except pa.ArrowInvalid:  # ids, or values to group by, that only a decimal holds
                continue
    return table


def with_dates(table: pa.Table, days: Sequence[str]) -> pa.Table:
    """Return a result whose day numbers are dates."""
    import pyarrow as pa

    for name in days:
        dates = table[name].cast(pa.int32()).cast(pa.date32())
        table = table.set_column(table.column_names.index(name), name, dates)
    return table


def as_dtype(ids: Any, own: Any) -> Any:
    """Return a pandas column of ids in the log's dtype, unless that would change one the log does not hold."""
    if ids.dtype == own:
        return ids
    try:
        cast = ids.astype(own)
        back = cast.astype(ids.dtype)
    except (TypeError, ValueError, OverflowError):
        return ids
    same = (back == ids) | (back.isna() & ids.isna())
    return cast if bool(same.all()) else ids


def cast_ids(column: Any, own: Any) -> Any:
    """Return ids as the Arrow type they came in (as its values' type, where that cannot be made)."""
    import uuid

    import pyarrow as pa

    if pa.types.is_dictionary(own):
        coded = column.cast(own.value_type).combine_chunks().dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
        places = coded.indices.cast(own.index_type)
        return pa.DictionaryArray.from_arrays(places, coded.dictionary, ordered=own.ordered)
    if getattr(own, "extension_name", "") == "arrow.uuid":
        storage = pa.array([uuid.UUID(str(value)).bytes for value in column.to_pylist()], own.storage_type)
        return pa.ExtensionArray.from_storage(own, storage)
    try:
        return column.cast(own)
    except pa.ArrowNotImplementedError:
        return column


def readable(column: Any, label: Any) -> Any:
    """Return an Arrow column in a type that DuckDB takes.

    Raises:
        ColumnError: Its decimals have more than 38 digits.
    """
    import pyarrow as pa

    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    if not pa.types.is_decimal256(column.type):
        return column
    try:
        return column.cast(pa.decimal128(38, column.type.scale))
    except (pa.ArrowInvalid, ValueError) as err:
        raise ColumnError(
            f"column {label!r} holds numbers of more than 38 digits: turn ids into text, amounts into floats."
        ) from err
