"""Per-customer results leave the embedded engine: dates are dates, ids and their column are the caller's."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.engines import canonical
from loyalty.errors import ColumnError

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.engines.sources.ids import Ids
    from loyalty.engines.sources.opening import Source

__all__ = ["handed", "label_for", "shown", "write_frame", "write_table"]


def label_for(customer: Any, names: Sequence[str]) -> Any:
    """Return what the column of customers is called: as the caller calls it, unless another column is called so.

    Names that differ in case only cannot stand beside each other in every engine and file, nor can a column be without
    a name: such ones give way everywhere, so that a result has the same columns wherever it is and however it leaves.

    Args:
        customer: The caller's label.
        names: The frame's columns.
    """
    taken = {name.casefold() for name in names if name != "customer"}
    label = str(customer)
    return customer if label and label.casefold() not in taken else "customer_id"


def shown(relation: Any, customer: Any, days: Sequence[str]) -> Any:
    """Return a relation with dates for day numbers, int64 for sums of counts, and the caller's name of customers."""
    label = str(label_for(customer, relation.columns))
    parts = []
    for name, kind in zip(relation.columns, map(str, relation.types), strict=True):
        place = canonical.quoted(name)
        if name in days:
            place = f"(DATE '1970-01-01' + {place}::INTEGER)"
        elif kind == "HUGEINT" and name != "customer":
            place = f"{place}::BIGINT"
        parts.append(f"{place} AS {canonical.quoted(label if name == 'customer' else name)}")
    return relation.project(", ".join(parts))


def write_table(cursor: Any, relation: Any, path: str) -> None:
    """Write a relation as the table `result` of a new database file.

    Args:
        cursor: The cursor that the relation is of.
        relation: The relation.
        path: The file.
    """
    name = f"result_{uuid.uuid4().hex}"
    cursor.execute(f"ATTACH {canonical.literal(path)} AS {name} (RECOVERY_MODE no_wal_writes)")
    try:
        relation.create(f"{name}.main.result")
    finally:
        cursor.execute(f"DETACH {name}")


def handed(table: pa.Table, source: Source, ids: Ids | None, customer: Any) -> Any:
    """Return a table as the eager kind of its source, ids as they came in.

    Args:
        table: The result, ids in the column `customer`.
        source: Where the ids come from.
        ids: What their codes stand for, where they are coded.
        customer: The caller's label of customers.
    """
    label = label_for(customer, table.column_names)
    if source.rows_as == "pandas":
        return _to_pandas(table, source, ids, customer, label)
    return _to_arrow_kind(table, source, customer, str(label))


def _to_pandas(table: pa.Table, source: Any, ids: Ids | None, customer: Any, label: Any) -> Any:
    """Return a pandas frame whose ids have the caller's dtype."""
    frame = table.to_pandas(date_as_object=False)
    if "customer" not in frame:
        return frame
    own = source.column(customer).dtype
    if ids is not None:
        frame["customer"] = ids.decode(table["customer"])
    if ids is None or own.name not in {"object", "category"}:
        frame["customer"] = canonical.as_dtype(frame["customer"], own)
    return frame.rename(columns={"customer": label})


def _to_arrow_kind(table: pa.Table, source: Any, customer: Any, label: str) -> Any:
    """Return a PyArrow or Polars frame whose ids have the caller's type."""
    if source.rows_as == "pyarrow":
        if "customer" in table.column_names:
            place = table.column_names.index("customer")
            own = source.data.column(customer).type
            table = table.set_column(place, "customer", canonical.cast_ids(table["customer"], own))
        return table.rename_columns([label if name == "customer" else name for name in table.column_names])
    frame = nw.from_arrow(table, backend="polars").to_native()
    if "customer" in frame.columns:
        own = source.schema()[customer]
        frame = frame.with_columns(frame.get_column("customer").cast(own)).rename({"customer": label})
    return frame.lazy() if source.rows_as == "polars-lazy" else frame


def write_frame(frame: Any, path: str) -> None:
    """Write a pandas frame as Parquet.

    Raises:
        ColumnError: Its ids are of kinds that no column of a Parquet file can hold.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as err:
        raise ColumnError(
            f"the ids cannot be written to Parquet, whose columns hold one kind of value: {err}. Turn them into text."
        ) from err
    pq.write_table(table, path, compression="snappy")
