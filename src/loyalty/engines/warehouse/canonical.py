"""The SQL that turns a caller's columns into canonical rows on PostgreSQL; it asks for no setting of the session.

The same rules as in `canonical`, which has them for the embedded engine: same rows, same exclusions, same errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loyalty.engines import refusals
from loyalty.engines.canonical import zone_literal
from loyalty.errors import ColumnError

if TYPE_CHECKING:
    from loyalty.engines.base import RowSpec

__all__ = ["EPOCH", "family", "ibis_type", "identifier", "select", "value_of"]

EPOCH = "DATE '1970-01-01'"
_INTEGERS = {"smallint": "int16", "integer": "int32", "bigint": "int64"}
_FLOATS = {"real": "float32", "double precision": "float64"}
_TIME = "timestamp without time zone"
_ZONED = "timestamp with time zone"
_TEXTS = ("text", "character varying", "character", "name", '"char"', "enum")
# Equal where their text is. Of these Ibis 12 can fetch a uuid neither as Arrow nor into a frame of Narwhals.
_AS_TEXT = ("uuid", "inet", "cidr", "macaddr", "macaddr8", "bit", "bit varying", "xml")
_NESTED = {"array", "composite", "range", "json", "jsonb", "hstore"}
_OTHERS = {  # taken as they are
    "boolean": "boolean", "date": "date", "bytea": "binary", "time without time zone": "time",
}  # fmt: skip
_BLANKS = "' ' || chr(9) || chr(10) || chr(13)"
_CALENDAR = "DATE '0001-01-01' AND DATE '9999-12-31'"  # what Python's dates reach
_MOST_MONEY, _LEAST_MONEY = "1e100", "1e-100"  # below, a square may be too small: PostgreSQL ends the whole query
# By digits and not by class: what counts as a digit depends on the collation.
_ISO_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO_TIME = "[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
_ISO_ZONE = "([+-][0-9]{2}(:?[0-9]{2})?|Z)"
# PostgreSQL takes these names for abbreviations, of one offset all year; the places have the same clock (tzdata 2024b).
_PLACES = {"CET": "Europe/Brussels", "MET": "Europe/Brussels", "EET": "Europe/Athens", "WET": "Europe/Lisbon"}


def _plain(kind: str) -> str:
    """Return a type without its modifiers: "numeric(10,2)" is "numeric"."""
    head, bracket, rest = kind.partition("(")
    return head + rest.partition(")")[2] if bracket else kind


def select(
    source: str,
    columns: Mapping[str, str],
    types: Mapping[str, str],
    spec: RowSpec,
    holds: Callable[[str], bool],
    *,
    value: Any = None,
    also: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str]]:
    """Return the query of canonical rows, and its columns with their Ibis types.

    Args:
        source: A query.
        columns: Role to the query's column.
        types: The query's column to its PostgreSQL type.
        spec: The caller's labels and time zone.
        holds: Returns whether a condition holds in any row of the query; asked where dates are text.
        value: The label of the column in the role "value", for errors.
        also: Further columns of text and their SQL.
    """
    parts: dict[str, str] = dict(also or {})
    kinds: dict[str, str] = dict.fromkeys(parts, "string")
    for role, name in columns.items():
        label, kind = spec.columns.get(role), types[name]
        if role in {"customer", "order", "product"}:
            parts[role] = identifier(name, kind, role, label)
            kinds[role] = ibis_type(kind)
        elif role == "date":
            source, day, time = _day(source, name, kind, spec, holds)
            parts["day"] = f"CASE WHEN {day} BETWEEN {_CALENDAR} THEN {day} - {EPOCH} END"
            kinds["day"] = "int32"
            if "value" in columns:
                parts["time"], kinds["time"] = f"(EXTRACT(EPOCH FROM {time}) * 1000000)::bigint", "int64"
        elif role == "value":
            parts["value"], kinds["value"] = value_of(name, kind, value), ibis_type(kind)
        else:
            parts[role], kinds[role] = _amount(name, kind, role, label), "float64"
    listed = ", ".join(f'{sql} AS "{into}"' for into, sql in parts.items())
    return f"SELECT {listed} FROM ({source}) AS source", kinds  # noqa: S608 (built from the caller's own query)


def ibis_type(kind: str) -> str:
    """Return the Ibis type of a column that `identifier` or `value_of` made of a PostgreSQL type."""
    plain = _plain(kind)
    if plain == "numeric":
        return kind.replace("numeric", "decimal")
    zoned = {_TIME: "timestamp(6)", _ZONED: "timestamp('UTC', 6)", "money": "decimal", "oid": "int64"}
    return {**_INTEGERS, **_FLOATS, **_OTHERS, **zoned}.get(plain, "string")


def identifier(name: str, kind: str, role: str, label: Any) -> str:
    """Return an id: NaN and blank text count as none. Text is compared by its bytes, whatever its collation."""
    plain = _plain(kind)
    if plain in _NESTED:
        raise refusals.nested(role, label, kind)
    if plain in _TEXTS:
        return f"CASE WHEN btrim({name}::text, {_BLANKS}) <> '' THEN {name}::text END COLLATE \"C\""
    if plain == "citext":
        raise ColumnError(
            f"{role}={label!r} is of type citext, in which ids of other spelling are equal: give one spelling, with "
            f'table.mutate(**{{{label!r}: table[{label!r}].cast("string").lower()}}).'
        )
    converted = _converted(name, plain)
    if converted is None:
        raise refusals.no_way_back(role, label, kind)
    return converted


def value_of(name: str, kind: str, label: Any) -> str:
    """Return a value to group by: NaN counts as null, spans of time and texts of other kinds are text."""
    plain = _plain(kind)
    if plain in _NESTED:
        raise refusals.nested("by", label, kind)
    return _converted(name, plain) or f'{name}::text COLLATE "C"'


def _converted(name: str, plain: str) -> str | None:
    """Return a column that needs no look at its values, None where its type has no place here."""
    if plain in _INTEGERS or plain in _OTHERS or plain in {_TIME, _ZONED}:
        return name
    if plain in _FLOATS or plain == "numeric":
        return f"CASE WHEN {name} <> 'NaN' THEN {name} END"
    if plain in _AS_TEXT:
        return f'{name}::text COLLATE "C"'
    return {"money": f"{name}::numeric", "oid": f"{name}::bigint"}.get(plain)


def _amount(name: str, kind: str, role: str, label: Any) -> str:
    """Return a sum of money as a float, specks as 0, null where it is none; a missing discount is one of 0."""
    plain = _plain(kind)
    if plain in _INTEGERS:
        sound = f"{name}::double precision"
    elif plain in _FLOATS or plain in {"numeric", "money"}:  # here NaN is larger than any number
        exact = "double precision" if plain in _FLOATS else "numeric"
        size = f"abs({name}::{exact})"
        number = f"CASE WHEN {size} < {_LEAST_MONEY}::{exact} THEN 0 ELSE {name}::{exact}::double precision END"
        sound = f"CASE WHEN {size} < {_MOST_MONEY}::{exact} THEN {number} END"
    else:
        raise _no_number(kind, role, label)
    if role != "discount":
        return sound
    none = f"{name} IS NULL" + (f" OR {name} = 'NaN'" if plain in _FLOATS or plain == "numeric" else "")
    return f"CASE WHEN {none} THEN 0 ELSE {sound} END"


def _no_number(kind: str, role: str, label: Any) -> ColumnError:
    """Return what to raise where a column holds no sums of money."""
    text = f'table.mutate(**{{{label!r}: table[{label!r}].cast("float64")}})'
    found = {"is_text": _plain(kind) in {*_TEXTS, "citext"}, "is_boolean": kind == "boolean"}
    return refusals.no_number(role, label, kind, text=text, **found)


def _day(source: str, name: str, kind: str, spec: RowSpec, holds: Callable[[str], bool]) -> tuple[str, str, str]:
    """Return the query with what the next two need, and the SQL of a transaction's date and of its time."""
    label, zone, plain = spec.columns["date"], spec.timezone, _plain(kind)
    if plain == _ZONED:
        local = f"timezone({_zone(zone, label)}, {name})"
        return source, f"CASE WHEN isfinite({name}) THEN {local}::date END", _finite(local, name)
    if plain in {*_TEXTS, "citext"}:
        return _text_day(source, name, spec, holds)
    if plain not in {_TIME, "date"}:
        raise _no_date(label, kind)
    if zone is not None:
        raise refusals.no_zone(zone, label)
    return source, f"CASE WHEN isfinite({name}) THEN {name}::date END", _finite(f"{name}::timestamp", name)


def _finite(time: str, name: str) -> str:
    return f"CASE WHEN isfinite({name}) THEN {time} END"


def _text_day(source: str, name: str, spec: RowSpec, holds: Callable[[str], bool]) -> tuple[str, str, str]:
    """Return query, date and time where dates are given as ISO text; any other spelling is null, never guessed."""
    label, text = spec.columns["date"], f"btrim({name}::text, ' ') COLLATE \"C\""
    plain, iso, zoned = (f"{text} ~ '^{_ISO_DATE}{more}$'" for more in ("", _ISO_TIME, _ISO_TIME + _ISO_ZONE))
    if spec.timezone is None:
        if holds(f"length({name}::text) > 16 AND {zoned}"):
            _zone(None, label)
        wanted = f"{plain} OR {iso}"
    else:
        zone, wanted = _zone(spec.timezone, label), zoned
        if holds(f"{plain} OR {iso}"):
            if holds(zoned):
                raise refusals.mixed_zones(label)
            raise refusals.no_zone(spec.timezone, label)
    spelled = f"SELECT *, CASE WHEN {wanted} THEN {text} END AS spelled FROM ({source}) AS source"  # noqa: S608
    time = "spelled_day + make_interval(0, 0, 0, 0, hours, minutes, seconds)"
    if spec.timezone is not None:
        # PostgreSQL itself refuses offsets of 16 hours and more, which the embedded engine takes.
        time = f"timezone({zone}, timezone('UTC', {time} - make_interval(0, 0, 0, 0, 0, ahead, 0)))"
    return _read_times(spelled), f"({time})::date", f"({time})"


def _read_times(spelled: str) -> str:
    """Return a query widened by what the text in `spelled` says: `spelled_day`, `hours`, `minutes`, `seconds`, `ahead`.

    By arithmetic, since a cast of a day or time that does not exist would end the whole query.
    """
    parts = {
        "years": "substr(spelled, 1, 4)::integer",
        "months": "substr(spelled, 6, 2)::integer",
        "days": "substr(spelled, 9, 2)::integer",
        "hours": "COALESCE(NULLIF(substr(spelled, 12, 2), '')::integer, 0)",
        "minutes": "COALESCE(NULLIF(substr(spelled, 15, 2), '')::integer, 0)",
        "whole": "COALESCE(substring(substr(spelled, 17), '^:([0-9]{2})')::integer, 0)",
        "fraction": "COALESCE(rpad(left(substring(spelled, '[.]([0-9]+)'), 6), 6, '0')::integer, 0)",
        "zone": "COALESCE(substring(substr(spelled, 17), '[+-].*$'), '+00')",  # Z too
    }
    listed = ", ".join(f"{sql} AS {name}" for name, sql in parts.items())
    leap = "years % 4 = 0 AND (years % 100 <> 0 OR years % 400 = 0)"
    february = f"CASE WHEN {leap} THEN 29 ELSE 28 END"
    length = f"CASE WHEN months IN (4, 6, 9, 11) THEN 30 WHEN months = 2 THEN {february} ELSE 31 END"
    day = f"years >= 1 AND months BETWEEN 1 AND 12 AND days BETWEEN 1 AND {length}"
    time = (
        "(hours <= 23 AND minutes <= 59 AND whole <= 59 OR hours = 24 AND minutes = 0 AND whole = 0 AND fraction = 0)"
    )
    ahead = "(substr(zone, 2, 2)::integer * 60 + CASE WHEN length(zone) > 3 THEN right(zone, 2)::integer ELSE 0 END)"
    return (
        f"SELECT *, CASE WHEN {day} AND {time} THEN make_date(years, months, days) END AS spelled_day, "  # noqa: S608
        "whole + fraction / 1000000.0::double precision AS seconds, "
        f"CASE WHEN zone LIKE '-%' THEN -{ahead} ELSE {ahead} END AS ahead "
        f"FROM (SELECT *, {listed} FROM ({spelled}) AS source) AS source"
    )


def _zone(zone: str | None, label: Any) -> str:
    """Return the SQL literal of a time zone that exists, spelled so that PostgreSQL takes it for that place."""
    literal = zone_literal(zone, label)
    return zone_literal(_PLACES[zone], label) if zone in _PLACES else literal


def _no_date(label: Any, kind: str) -> ColumnError:
    """Return what to raise where a column holds no dates."""
    numbers = f'table.mutate(**{{{label!r}: table[{label!r}].cast("string").to_date("%Y%m%d")}})'
    is_number = _plain(kind) in {*_INTEGERS, *_FLOATS, "numeric", "oid"}
    return refusals.no_date(label, kind, numbers=numbers, is_number=is_number)


def family(kind: str) -> str:
    """Return what ids of a PostgreSQL type can be compared with: "number", "time", "text" or the type itself."""
    plain = _plain(kind)
    if plain in {*_INTEGERS, *_FLOATS, "numeric", "money", "oid"}:
        return "number"
    if plain == _ZONED:
        return "zoned time"
    return "time" if plain in {_TIME, "date"} else "text" if plain in {*_TEXTS, *_AS_TEXT} else plain
