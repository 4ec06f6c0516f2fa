"""What is delivered, as rows that a state can keep: read, checked, and known again when it is delivered twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, engines, ledger
from loyalty.errors import ColumnError, InvalidArgument, InvalidRows
from loyalty.state import ids
from loyalty.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from loyalty.state.settings import Settings

__all__ = ["Batch", "decoded", "fingerprint", "in_order", "read", "refuse_invalid"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The rows of a delivery.

    Attributes:
        rows: All of them: `customer`, `day`, `order` where named, and money; null where there is none or no usable one.
        until: The last day of the window that came with it; None for a plain table.
        examples: Role to its first unusable values, as text.
    """

    rows: pa.Table
    until: int | None
    examples: Mapping[str, list[str]]


def read(new: Any, settings: Settings, columns: Mapping[str, Any], **opening: Any) -> Batch:
    """Return the rows of `Transactions`, or of any table that `transactions` opens.

    Args:
        new: What was delivered.
        settings: The rules of the state.
        columns: Role to column, where it has another name than in the state.
        opening: `table`, `memory_limit`, `temp_directory`, as `transactions` takes them.

    Raises:
        ColumnError: A column is missing, or of a type that cannot serve.
        InvalidArgument: It was opened by other rules than the state's.
    """
    if isinstance(new, Transactions):
        _refuse_other_rules(new, settings, columns, opening)
        spec = engines.RowSpec({role: new.spec.columns[role] for role in settings.columns}, new.spec.timezone)
        rows = _rows(new.engine, spec, settings)
        return Batch(rows, new.window.last, _examples(new.engine, spec, rows))
    engine = engines.connect(new, **opening)
    try:
        wanted, there = _labels(settings, columns), list(engine.labels)
        labels = {role: checks.column(role, label, there) for role, label in wanted.items()}
        spec = engines.RowSpec(labels, settings.timezone)
        rows = _rows(engine, spec, settings)
        return Batch(rows, None, _examples(engine, spec, rows))
    finally:
        engine.close()


def _labels(settings: Settings, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return role → column of a delivery."""
    for role in columns:
        if role not in settings.columns:
            raise InvalidArgument(
                f"columns={dict(columns)!r}: the state has no column for {role!r}; it has them for "
                f"{', '.join(settings.columns)}."
            )
    return {**settings.columns, **columns}


def _refuse_other_rules(
    new: Transactions, settings: Settings, columns: Mapping[str, Any], opening: Mapping[str, Any]
) -> None:
    """Raise where transactions were not opened by the rules of the state."""
    given = [name for name, value in {"columns": columns, **opening}.items() if value]
    if given:
        raise InvalidArgument(
            f"{', '.join(given)}: these belong to a plain table. Transactions have been opened already."
        )
    for name in ("occasion", "returns"):
        own, other = getattr(settings, name), getattr(new.rules, name)
        if own != other:
            raise InvalidArgument(
                f"the state has {name}={own!r}, these transactions {other!r}: open them by the same rules."
            )
    missing = sorted(settings.roles - new.roles)
    if missing:
        raise ColumnError(
            f"the state keeps {', '.join(missing)}, which these transactions have not: pass {missing[0]}=<column> to "
            "transactions()."
        )


def _rows(engine: engines.Engine, spec: engines.RowSpec, settings: Settings) -> pa.Table:
    """Return the canonical rows of a source, ids as the state keeps them."""
    table = decoded(engine, engine.rows(spec), spec.columns["customer"], settings.customer_type)
    return in_order(table, settings, spec.columns)


def in_order(table: pa.Table, settings: Settings, labels: Mapping[str, Any]) -> pa.Table:
    """Return rows with the columns and types of a state.

    Args:
        table: Rows whose customers are as the state keeps them.
        settings: The rules of the state.
        labels: Role to the caller's column, for errors.
    """
    import pyarrow as pa

    arrays = {}
    for name in settings.row_columns:
        column = table[name]
        if name == "order":
            column = ids.kept(column, settings.order_type, labels["order"])
        elif name == "day":
            column = column.cast(pa.int32())
        elif name in settings.money:
            column = column.cast(pa.float64())
        arrays[name] = column
    return pa.table(arrays)


def decoded(engine: engines.Engine, rows: Frame, label: Any, wanted: str) -> pa.Table:
    """Return rows collected, their customers as the state keeps them.

    Args:
        engine: Where they are.
        rows: The rows, with a column `customer`.
        label: The caller's name of that column.
        wanted: The state's family of ids; "" to take whatever they are.
    """
    import pyarrow.compute as pc

    coded = ids.by_codes(engine, rows, label)
    table = engine.collect(rows)
    place = table.column_names.index("customer")
    column, found = table["customer"].combine_chunks(), ""
    if coded is not None:
        dictionary, found = coded
        if column.type == dictionary["code"].type or found == "uuid":
            column = dictionary["id"].take(pc.index_in(column, dictionary["code"].combine_chunks()))
    if found == "uuid" and wanted in {"", "uuid"}:
        return table.set_column(place, "customer", column)
    if wanted == "text" and found == "uuid":
        raise ColumnError(f"the ids in column {label!r} are UUIDs, those of the state text: make them text first.")
    family = wanted or ids.family(column.type, label) or "text"
    return table.set_column(place, "customer", ids.kept(column, family, label))


def _examples(engine: engines.Engine, spec: engines.RowSpec, rows: pa.Table) -> dict[str, list[str]]:
    """Return the first unusable values of each role that has any."""
    parts = {role: "day" if role == "date" else role for role in ledger.INVALID if role in spec.columns}
    return {role: engine.offenders(spec, role) for role, part in parts.items() if rows[part].null_count}


def refuse_invalid(batch: Batch, settings: Settings, census: ledger.Census, invalid: str) -> None:
    """Raise where rows cannot be used, or are returns that the rules do not allow."""
    for role, kind in ledger.INVALID.items():
        count = census.rows(kind)
        if count and invalid == "raise":
            raise InvalidRows(
                f"{count:,} of {batch.rows.num_rows:,} rows have no usable {role} "
                f"in column {settings.columns[role]!r} (null, unparseable, not finite or out of range; "
                f"first: {', '.join(batch.examples[role])}): mend them, "
                'or pass invalid="exclude" to leave them out and count them. The state is as it was.',
                column=str(settings.columns[role]),
                count=count,
                examples=batch.examples[role],
            )
    if settings.returns == "error" and census.rows(ledger.RETURN):
        raise InvalidRows(
            f'{census.rows(ledger.RETURN):,} rows have a negative amount and the state has returns="error".',
            column=str(settings.columns["amount"]),
            count=census.rows(ledger.RETURN),
        )


def fingerprint(rows: pa.Table) -> str:
    """Return the SHA-256 of rows, the same in whatever order and from whatever library they come."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = rows.select(sorted(rows.column_names)).combine_chunks()
    keys = [(name, "ascending") for name in rows.column_names]
    rows = rows.take(pc.sort_indices(rows, sort_keys=keys)) if rows.num_rows else rows
    digest = hashlib.sha256()
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        digest.update(f"{name}:{column.type}:{len(column)}:".encode())
        digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
        if pa.types.is_string(column.type):
            lengths = pc.fill_null(pc.binary_length(column), -1)
            digest.update(lengths.to_numpy().astype("<i4").tobytes())
            digest.update("".join(column.drop_null().to_pylist()).encode())
        else:
            kind = "<f8" if pa.types.is_floating(column.type) else "<i8"
            digest.update((pc.fill_null(column, 0).to_numpy().astype(kind) + 0).tobytes())
    return digest.hexdigest()
