"""Files that are read as one table must mean the same by a column: nothing is filled or cast in silence.

Further columns, and another order of them, do no harm. A needed column that a file lacks would be null there, and one
of another type would be cast: both are errors that name the two files.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from typing import Any

from loyalty.engines.canonical import INTEGERS, family, quoted
from loyalty.errors import ColumnError

__all__ = ["Schemas", "refuse_drift"]

# File → column → what the file says of its type; where two files say the same, no more need be asked.
Schemas = Mapping[str, Mapping[str, Any]]

_MONEY = {"amount", "cost", "discount"}  # floats in the end, whichever numbers they come as


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
        role = roles[place] if place < len(roles) else ""
        holder = next((path for path, columns in schemas.items() if label in columns), "")
        for path, columns in schemas.items():
            if label not in columns:
                raise ColumnError(
                    f"column {label!r} is in the file {holder!r} but not in {path!r}, where it would be null in every "
                    f"row: add it there, leave that file out, or open the files apart."
                )
            if columns[label] != schemas[holder][label]:
                mine, other = (_type(connection, one, label) for one in (path, holder))
                if not _alike(mine, other, role):
                    raise ColumnError(
                        f"column {label!r} is of type {other} in the file {holder!r} and of type {mine} in {path!r}: "
                        "one would be cast to the other in silence. Write them with one type."
                    )


def _type(connection: Any, path: str, label: str) -> str:
    """Return a column's type in one Parquet file."""
    return str(connection.read_parquet([glob.escape(path)]).project(quoted(label)).types[0])


def _alike(one: str, other: str, role: str) -> bool:
    """Return whether values of two types are the same values in the wider of them."""
    if one == other or '"NULL"' in {one, other}:
        return True
    if family(one) == "number" and role not in _MONEY:  # the wider of a whole number and a float may not hold an id
        return {one, other} <= INTEGERS
    return family(one) == family(other)
