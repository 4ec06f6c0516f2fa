"""The Spark SQL that turns a caller's columns into canonical rows, as `canonical` does for DuckDB.

Nothing depends on the session's time zone, on ANSI mode, or on how it reads quotes and backslashes in literals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from loyalty.engines import refusals
from loyalty.engines.canonical import zone_literal
from loyalty.errors import ColumnError, InvalidArgument

if TYPE_CHECKING:
    from loyalty.engines.base import RowSpec

__all__ = ["Spelling", "family", "is_text", "plain_value", "select", "spellings"]

_INTEGERS = {"tinyint", "smallint", "int", "bigint"}
_FLOATS = {"float", "double"}
_NESTED = ("array", "map", "struct", "variant", "geo", "object", "udt")
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = "[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
_MIDNIGHT = "[ T]24:00(:00([.]0{1,9})?)?"
_ZONE = "([+-][0-9]{2}(:?[0-9]{2})?|Z)"
_END = "(?![^0]|0)"  # the end of the text; `$` also matches before a last line feed
_CALENDAR = "-719162 AND 2932896"  # years 1 to 9999: what Python's dates reach
_MOST_MONEY = "1e100"  # as in `canonical`
_BLANKS = "concat(' ', char(9), char(10), char(13))"
_DAY = 86_400_000_000  # microseconds


class Spelling(NamedTuple):
    """Which spellings of a date occur in a column of text: times with a zone, dates or times without."""

    zoned: bool
    unzoned: bool


def select(
    columns: Mapping[str, str],
    types: Mapping[str, str],
    spec: RowSpec,
    spelling: Callable[[str], Spelling],
    *,
    value: Any = None,
) -> list[str]:
    """Return the expressions of canonical rows.

    Args:
        columns: Role to the frame's column.
        types: The frame's column to its Spark type.
        spec: The caller's labels and time zone.
        spelling: Tells of a column of text how its dates are spelled; it costs a pass over the data.
        value: The label of the column in the role "value", for errors.
    """
    parts = []
    for role, name in columns.items():
        label = spec.columns.get(role)
        if role == "customer" or role in {"order", "product"}:
            parts.append(f"{_identifier(name, types[name], role, label)} AS `{role}`")
        elif role == "date":
            day, time = _day(name, types[name], spec, spelling)
            parts.append(f"CASE WHEN {day} BETWEEN {_CALENDAR} THEN CAST({day} AS INT) END AS day")
            if "value" in columns:
                parts.append(f"{time} AS `time`")
        elif role == "value":
            parts.append(f"{plain_value(name, types[name], value)} AS `value`")
        else:
            parts.append(f"{_amount(name, types[name], role, label)} AS {role}")
    return parts


def _identifier(name: str, kind: str, role: str, label: Any) -> str:
    """Return an id: NaN and blank text count as none."""
    if kind.startswith(_NESTED):
        raise refusals.nested(role, label, kind)
    if kind.startswith("interval"):
        raise refusals.no_way_back(role, label, kind)
    if kind in _FLOATS:
        return f"CASE WHEN NOT isnan({name}) THEN {name} END"
    if kind == "void":
        return "CAST(NULL AS STRING)"
    if not is_text(kind):
        return name
    text = _by_code_points(name, kind)
    # Trimming is slow: only text that begins with a blank (or is empty, of code 0) is looked at.
    return f"CASE WHEN ascii({text}) > 32 THEN {text} WHEN trim(BOTH {_BLANKS} FROM {text}) <> '' THEN {text} END"


def is_text(kind: str) -> bool:
    """Return whether a Spark type is one of text."""
    return kind.startswith(("string", "varchar", "char"))


def _by_code_points(name: str, kind: str) -> str:
    """Return text that is compared as it is written: under another collation "a" might equal "A"."""
    return f"collate({name}, 'UTF8_BINARY')" if "collate" in kind else name


def plain_value(name: str, kind: str, label: Any) -> str:
    """Return a value to group by: NaN counts as null, spans of time are text."""
    if kind.startswith(_NESTED):
        raise refusals.nested("by", label, kind)
    if kind in _FLOATS:
        return f"CASE WHEN NOT isnan({name}) THEN {name} END"
    if kind == "void" or kind.startswith("interval"):
        return f"CAST({name} AS STRING)"
    return _by_code_points(name, kind)


def _amount(name: str, kind: str, role: str, label: Any) -> str:
    """Return a sum of money as a float, null where it is not one; a missing discount is a discount of 0."""
    if kind not in _INTEGERS | _FLOATS | {"void"} and not kind.startswith("decimal"):
        found = {"is_text": is_text(kind), "is_boolean": kind == "boolean"}
        raise refusals.no_number(role, label, kind, text="try_cast(... AS DOUBLE)", **found)
    number = f"CAST({name} AS DOUBLE)"
    sound = f"WHEN abs({number}) < {_MOST_MONEY} THEN {number} END"  # NaN is larger than any number
    if role != "discount":
        return f"CASE {sound}"
    return f"CASE WHEN {number} IS NULL OR isnan({number}) THEN 0.0D {sound}"


def _day(name: str, kind: str, spec: RowSpec, spelling: Callable[[str], Spelling]) -> tuple[str, str]:
    """Return the day number of a transaction's date, and its time within the data in microseconds."""
    label, zone = spec.columns["date"], spec.timezone
    if kind == "timestamp":  # a point in time; the session's zone only shows it
        if zone is None:
            _refuse_without_zone(label)
        return _zoned_day(name, zone_literal(zone, label))
    if is_text(kind):
        return _text_day(name, kind, spec, spelling)
    if kind == "void":
        return "CAST(NULL AS INT)", "CAST(NULL AS BIGINT)"
    if kind not in {"timestamp_ntz", "date"}:
        raise _no_date(label, kind)
    if zone is not None:
        raise refusals.no_zone(zone, label)
    if kind == "date":
        return f"unix_date({name})", f"(unix_date({name}) * {_DAY})"
    return _clock_day(name)


def _clock_day(time: str) -> tuple[str, str]:
    """Return the day and microseconds of a time without a zone; functions of Unix time would put it into one."""
    day = f"unix_date(CAST({time} AS DATE))"
    seconds = f"CAST(extract(SECOND FROM {time}) * 1000000 AS BIGINT)"
    return day, f"({day} * {_DAY} + hour({time}) * 3600000000L + minute({time}) * 60000000L + {seconds})"


def _zoned_day(instant: str, zone: str) -> tuple[str, str]:
    """Return the day and microseconds, on the clocks of a zone, of a point in time."""
    local = f"unix_micros(from_utc_timestamp({instant}, {zone}))"
    return f"(({local} - pmod({local}, {_DAY})) div {_DAY})", local


def spellings(name: str) -> list[str]:
    """Return the expressions, over all rows, whose values make a column's `Spelling`."""
    value = f"trim({name})"
    zoned = f"length({name}) > 16 AND {_matches(value, _DATE + _TIME + _ZONE)}"
    unzoned = f"{_matches(value, _DATE)} OR {_matches(value, _DATE + _TIME)}"
    return [f"coalesce(bool_or({zoned}), false) AS zoned", f"coalesce(bool_or({unzoned}), false) AS unzoned"]


def _matches(value: str, pattern: str) -> str:
    return f"{value} RLIKE '^{pattern}{_END}'"


def _text_day(name: str, kind: str, spec: RowSpec, spelling: Callable[[str], Spelling]) -> tuple[str, str]:
    """Return day and time of dates given as ISO text; any other spelling is null, never guessed."""
    label, found = spec.columns["date"], spelling(name)
    value = f"trim({_by_code_points(name, kind)})"
    if spec.timezone is None:
        if found.zoned:
            _refuse_without_zone(label)
        plain, iso = _matches(value, _DATE), _matches(value, _DATE + _TIME)
        local = f"try_cast({value} AS TIMESTAMP_NTZ)"
        midnight = f"try_cast({_first_hour(value)} AS TIMESTAMP_NTZ) + INTERVAL '1' DAY"
        ends = f"WHEN {_matches(value, _DATE + _MIDNIGHT)} THEN {midnight}"
        return _clock_day(f"(CASE {ends} WHEN {plain} OR {iso} THEN {local} END)")
    zone = zone_literal(spec.timezone, label)
    if found.unzoned and found.zoned:
        raise refusals.mixed_zones(label)
    if found.unzoned:
        raise refusals.no_zone(spec.timezone, label)
    value = f"regexp_replace({value}, '^(.{{16}})([-+Z])', '$1:00$2')"  # Spark wants seconds before a zone
    instant = f"try_cast({value} AS TIMESTAMP_LTZ)"
    midnight = f"timestamp_micros(unix_micros(try_cast({_first_hour(value)} AS TIMESTAMP_LTZ)) + {_DAY}L)"
    ends = f"WHEN {_matches(value, _DATE + _MIDNIGHT + _ZONE)} THEN {midnight}"
    return _zoned_day(f"(CASE {ends} WHEN {_matches(value, _DATE + _TIME + _ZONE)} THEN {instant} END)", zone)


def _first_hour(value: str) -> str:
    """Return the text of a time with 00 for its hour: 24:00 is midnight at the end of the day."""
    return f"concat(left({value}, 11), '00', substr({value}, 14))"


def _refuse_without_zone(label: Any) -> None:
    raise InvalidArgument(
        f"the times in column {label!r} bear a time zone (as Spark's TIMESTAMP does), so the day depends on whose "
        'midnight counts: pass timezone="Europe/Paris" (or "UTC", …). Spark shows them in the zone '
        'spark.conf.get("spark.sql.session.timeZone").'
    )


def _no_date(label: Any, kind: str) -> ColumnError:
    """Return what to raise where a column holds no dates."""
    is_number = kind in _INTEGERS | _FLOATS or kind.startswith("decimal")
    return refusals.no_date(label, kind, numbers=f"to_date(cast({label} AS STRING), 'yyyyMMdd')", is_number=is_number)


def family(kind: str) -> str:
    """Return what ids of a Spark type can be compared with: "number", "time", "text" or the type itself."""
    if kind in _INTEGERS | _FLOATS or kind.startswith("decimal"):
        return "number"
    if kind == "timestamp":
        return "zoned time"
    return "time" if kind in {"timestamp_ntz", "date"} else "text" if is_text(kind) else kind
