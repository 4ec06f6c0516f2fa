"""Ids as a state keeps them: numbers, text, or UUIDs as text, whatever engine and library they come from.

A state outlives the engine that its rows came from, so codes that stand for ids inside one engine will not do.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.errors import ColumnError

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty import engines

__all__ = ["arrow_type", "by_codes", "family", "kept"]

Frame = nw.LazyFrame[Any]

_CODE = "loyalty_code"
_NAMES = {"integer": "whole numbers", "number": "numbers", "text": "text", "uuid": "UUIDs"}
_EXACT = 2**53  # up to here floats hold every whole number


def family(kind: pa.DataType, label: Any) -> str:
    """Return what a state keeps ids of an Arrow type as: "integer", "number", "text", "uuid", or "" for nulls.

    Raises:
        ColumnError: It keeps no ids of this type.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return ""
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return "text"
    if getattr(kind, "extension_name", "") == "arrow.uuid":
        return "uuid"
    raise ColumnError(
        f"a state keeps ids that are numbers, text or UUIDs, not {kind} (column {label!r}): make them text."
    )


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type that a state keeps ids of a family in."""
    import pyarrow as pa

    return {"integer": pa.int64(), "number": pa.float64()}.get(name, pa.string())


def kept(column: Any, wanted: str, label: Any) -> Any:
    """Return a column of ids as the state keeps them.

    Args:
        column: The ids, an Arrow column.
        wanted: The state's family of ids.
        label: The caller's name of the column, for errors.

    Raises:
        ColumnError: They are of another family, so that none would be the customers that the state knows.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = family(column.type, label)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not found or column.null_count == len(column):
        return pa.nulls(len(column), arrow_type(wanted))
    if {found, wanted} == {"integer", "number"}:
        found = _one_number_type(column, found, wanted, label)
    if found != wanted:
        raise ColumnError(
            f"the ids in column {label!r} are {_NAMES[found]}, those of the state are {_NAMES[wanted]}: none would "
            "match. Convert them first."
        )
    if wanted == "uuid" and hasattr(column.type, "extension_name"):
        return pa.array([None if one is None else str(one) for one in column.to_pylist()], pa.string())
    try:
        return pc.cast(column, arrow_type(wanted))
    except pa.ArrowInvalid as err:
        raise ColumnError(f"the ids in column {label!r} are too large to be kept as numbers: make them text.") from err


def _one_number_type(column: Any, found: str, wanted: str, label: Any) -> str:
    """Return `wanted` where numbers can change their type unharmed: pandas makes floats of integers beside nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values = column.cast(pa.float64())
    except pa.ArrowInvalid:
        return found
    whole = pc.all(pc.equal(values, pc.floor(values))).as_py()
    small = pc.all(pc.less_equal(pc.abs(values), float(_EXACT))).as_py()
    if not (whole and small):
        raise ColumnError(
            f"the ids in column {label!r} are {_NAMES[found]} and those of the state {_NAMES[wanted]}, and not all of "
            "them can be both: give them the same type, or make both text."
        )
    return wanted


def by_codes(engine: engines.Engine, rows: Frame, label: Any) -> tuple[pa.Table, str] | None:
    """Return the table of an engine's codes and ids, and their family; None where it codes none.

    Only ids of pandas are ever coded: categories and objects that no engine can hold.
    """
    if not engine.coded:
        return None
    import pyarrow as pa

    distinct = rows.filter(~nw.col("customer").is_null()).select("customer").unique()
    frame = engine.hand_back(distinct.with_columns(nw.col("customer").alias(_CODE)), customer=label)
    ids, codes = frame.drop(columns=_CODE).iloc[:, 0].astype(object).tolist(), frame[_CODE]
    if ids and isinstance(ids[0], uuid.UUID):
        values = pa.array(ids_text(ids, label), pa.string())
        return pa.table({"code": pa.array(codes), "id": values}), "uuid"
    try:
        values = pa.array(ids, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as err:
        raise ColumnError(
            f"the ids in column {label!r} are of several types, or of one that a state cannot keep: make them text."
        ) from err
    return pa.table({"code": pa.array(codes), "id": values}), family(values.type, label)


def ids_text(ids: list[Any], label: Any) -> list[str]:
    """Return UUIDs as text.

    Raises:
        ColumnError: Something else is among them.
    """
    if not all(isinstance(one, uuid.UUID) for one in ids):
        raise ColumnError(f"the ids in column {label!r} are of several types: make them text.")
    return [str(one) for one in ids]
