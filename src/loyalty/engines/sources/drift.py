"""Files that are read as one table must mean the same by a column: nothing is filled or cast in silence.

Further columns, and another order of them, do no harm. A needed column that a file lacks would be null there, and one
of another type would be cast: both are errors that name the two files.
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from loyalty.engines.canonical import FLOATS, INTEGERS, family, quoted
from loyalty.errors import ColumnError

__all__ = ["Schemas", "refuse_drift"]

# File → column → what the file says of its type; where two files say the same, no more need be asked.
Schemas = Mapping[str, Mapping[str, Any]]

_MONEY = {"amount", "cost", "discount"}  # floats in the end, whichever numbers they come as
_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19,
           "UTINYINT": 3, "USMALLINT": 5, "UINTEGER": 10, "UBIGINT": 20}  # fmt: skip
_MOST_DIGITS = 38  # of a decimal


def refuse_drift(schemas: Schemas, labels: Sequence[Any], roles: Sequence[str], connection: Any) -> None:
    """Raise where files differ in columns that are needed.

    Args:
        schemas: What each file holds, in the order of the files.
        labels: The columns that are needed.
        roles: What they are needed for; may be shorter.
        connection: Asked for types where files describe them otherwise.

    Raises:
        ColumnError: A file lacks such a column, or holds another type of it.
    """
    for place, label in enumerate(labels):
        _refuse_lacking(schemas, label)
        role = roles[place] if place < len(roles) else ""
        # Every two of them: what goes with a third type need not go together, least of all with nulls alone.
        for (other, holder), (mine, path) in itertools.combinations(_types(schemas, label, connection), 2):
            if not _alike(mine, other, role):
                raise ColumnError(
                    f"column {label!r} is of type {other} in the file {holder!r} and of type {mine} in {path!r}: "
                    "one would be cast to the other in silence. Write them with one type."
                )


def _refuse_lacking(schemas: Schemas, label: Any) -> None:
    """Raise where some files hold a column and others do not."""
    holder = next((path for path, columns in schemas.items() if label in columns), "")
    for path, columns in schemas.items():
        if label not in columns:
            raise ColumnError(
                f"column {label!r} is in the file {holder!r} but not in {path!r}, where it would be null in every "
                f"row: add it there, leave that file out, or open the files apart."
            )


def _types(schemas: Schemas, label: Any, connection: Any) -> list[tuple[str, str]]:
    """Return the types that a column has, each with the first file that holds it; none where all files say the same."""
    told: dict[Any, str] = {}
    for path, columns in schemas.items():
        told.setdefault(columns[label], path)
    if len(told) == 1:
        return []
    found: dict[str, str] = {}
    for path in told.values():
        found.setdefault(_type(connection, path, label), path)
    return list(found.items())


def _type(connection: Any, path: str, label: str) -> str:
    """Return a column's type in one Parquet file."""
    return str(connection.read_parquet([glob.escape(path)]).project(quoted(label)).types[0])


def _alike(one: str, other: str, role: str) -> bool:
    """Return whether values of two types are the same values in the wider of them."""
    if one == other or '"NULL"' in {one, other}:
        return True
    if family(one) != family(other):
        return False
    if family(one) != "number":
        return True
    return _same_money(one, other) if role in _MONEY else {one, other} <= INTEGERS  # a float may not hold an id


def _same_money(one: str, other: str) -> bool:
    """Return whether the type that DuckDB casts two types of numbers to keeps what a DOUBLE would."""
    if "DOUBLE" in {one, other}:
        return True
    if {one, other} & FLOATS:  # whole numbers and decimals beside a FLOAT become FLOATs, of seven digits
        return False
    sizes = [_whole_and_decimal_places(kind) for kind in (one, other)]
    return sum(map(max, zip(*sizes, strict=True))) <= _MOST_DIGITS  # else decimal places are cut off


def _whole_and_decimal_places(kind: str) -> tuple[int, int]:
    """Return how many digits an integer or decimal type has before and after the point."""
    found = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", kind)
    if found is None:
        return _DIGITS.get(kind, _MOST_DIGITS), 0
    return int(found[1]) - int(found[2]), int(found[2])
