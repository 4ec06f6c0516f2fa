"""Another of the caller's tables, beside the log: its columns that are meant, and whether its ids can be the log's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks
from loyalty.engines.sources.opening import Source, open_source
from loyalty.errors import ColumnError

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.engines.base import Engine

__all__ = ["opened", "read", "refuse_foreign", "refuse_rounded"]

_EXACT_FLOAT = {"float": 2**24, "real": 2**24}  # from here on a FLOAT does not hold every whole number
_EXACT_DOUBLE = 2**53
_LARGEST = 1.7e308  # infinities and NaN are no customer's


def opened(data: Any, columns: Mapping[str, Any]) -> Source:
    """Return another table, which holds the columns.

    Args:
        data: Any source that `connect` takes.
        columns: Internal name to label.

    Raises:
        ColumnError: One is missing, or there twice.
    """
    source = open_source(data)
    for name, label in columns.items():
        checks.column(name, label, source.labels)
    return source


def read(data: Any, columns: Mapping[str, Any]) -> pa.Table:
    """Return columns of another table under their internal names; arguments as in `opened`."""
    return opened(data, columns).arrow(list(columns.values())).rename_columns(list(columns))


def refuse_foreign(own: str, other: str, family: Callable[[str], str], label: Any) -> None:
    """Raise where another table's ids cannot equal those of the log.

    Args:
        own: The engine's type of the log's ids.
        other: That of the other table's.
        family: Gives what ids of a type can be compared with.
        label: What the caller calls the other table's ids.
    """
    if family(own) != family(other):
        raise ColumnError(
            f"the customers of the log are of type {own}, those in column {label!r} are {other}: none would match. "
            "Convert one of them."
        )


def refuse_rounded(engine: Engine, ids: nw.LazyFrame[Any], own: str, other: str, label: Any) -> None:
    """Raise where an id of another table would match several of the log's, or several of its ids one of the log's.

    Whole numbers are compared with floats as floats, and large ones that differ are the same float.

    Args:
        engine: The engine.
        ids: The other table's ids, alone.
        own: The engine's type of the log's ids, which are numbers.
        other: That of the other table's.
        label: What the caller calls them.
    """
    floats = [kind.lower() for kind in (own, other) if kind.lower() in {"float", "double", "real", "double precision"}]
    if len(floats) != 1:
        return
    exact = _EXACT_FLOAT.get(floats[0], _EXACT_DOUBLE)
    customer = nw.col(ids.collect_schema().names()[0])
    large = customer.is_between(exact, _LARGEST) | customer.is_between(-_LARGEST, -exact)
    found = engine.collect(ids.filter(large).head(1)).column(0).to_pylist()
    if found:
        raise ColumnError(
            f"the customers of the log are of type {own}, those in column {label!r} are {other} and as large as "
            f"{found[0]!r}: as floats, whole numbers of {exact:,} and more are not told apart. Give both columns one "
            'type that is no float, such as int64 (in pandas "Int64" where ids are missing) or text.'
        )
