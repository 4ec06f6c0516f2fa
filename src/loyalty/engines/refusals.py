"""Why a column cannot serve: one wording for all engines, each with its own way out."""

from __future__ import annotations

from typing import Any

from loyalty.errors import ColumnError, InvalidArgument

__all__ = ["mixed_zones", "nested", "no_date", "no_number", "no_way_back", "no_zone"]


def nested(role: str, label: Any, kind: str) -> ColumnError:
    """Return what to raise where values hold further values.

    Args:
        role: What the column serves as: "customer", "order", "product" or "by".
        label: What the caller calls it.
        kind: The engine's type of it.
    """
    wanted = "values" if role == "by" else "ids"
    return ColumnError(f"{role}={label!r} holds nested values ({kind}): give a column of plain {wanted}.")


def no_way_back(role: str, label: Any, kind: str) -> ColumnError:
    """Return what to raise where ids would be others when they are handed back; arguments as in `nested`."""
    return ColumnError(
        f"{role}={label!r} is of type {kind}, which does not come back as it went in: give text or integers."
    )


def no_number(role: str, label: Any, kind: str, *, text: str, is_text: bool, is_boolean: bool) -> ColumnError:
    """Return what to raise where sums of money are no numbers.

    Args:
        role: As in `nested`.
        label: As in `nested`.
        kind: As in `nested`.
        text: How text is converted in the engine.
        is_text: Whether the column holds text.
        is_boolean: Whether it holds true and false.
    """
    way_out = "give a column of numbers"
    if is_text:
        way_out = f"convert it first, for example with {text}"
    elif is_boolean:
        way_out = "true and false are no sums of money"
    return ColumnError(f"{role}={label!r} is of type {kind}, not a number: {way_out}.")


def no_date(label: Any, kind: str, *, numbers: str, is_number: bool) -> ColumnError:
    """Return what to raise where dates are none.

    Args:
        label: What the caller calls the column.
        kind: The engine's type of it.
        numbers: How numbers are converted in the engine.
        is_number: Whether the column holds numbers.
    """
    if is_number:
        return ColumnError(
            f"date={label!r} holds numbers ({kind}), which could be 19970101, seconds or serial days: convert them, "
            f"for example with {numbers}."
        )
    return ColumnError(
        f"date={label!r} is of type {kind}, not a date: give dates, timestamps or ISO text (YYYY-MM-DD)."
    )


def no_zone(zone: str, label: Any) -> InvalidArgument:
    """Return what to raise where a zone is given for times that bear none."""
    return InvalidArgument(
        f"timezone={zone!r}: times in column {label!r} bear no time zone, so they cannot be converted; leave timezone "
        "out, or give the column its zone first (pandas: .dt.tz_localize)."
    )


def mixed_zones(label: Any) -> InvalidArgument:
    """Return what to raise where only some times bear a zone."""
    return InvalidArgument(f"column {label!r} mixes times with a zone and times without: give all of them one.")
