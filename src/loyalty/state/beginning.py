"""The first state: all that is closed is summed up where the log is; only that and the last days are brought over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import engines, ledger
from loyalty.engines.stored import Stored, shape
from loyalty.errors import InvalidArgument
from loyalty.periods import BEFORE_ALL_DAYS
from loyalty.state import carried, ids
from loyalty.state.batches import decoded, in_order
from loyalty.state.bringing import brought
from loyalty.state.closing import closed_customers, closed_orders
from loyalty.state.evaluation import evaluated
from loyalty.state.layers import Layers
from loyalty.state.merging import Content, LeftOut, combined, taken_in
from loyalty.state.settings import FRESH, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loyalty.transactions import Transactions

__all__ = ["begun", "census_of", "opened", "permanent", "usable"]

Frame = nw.LazyFrame[Any]
_PERMANENT = {ledger.NO_CUSTOMER, *ledger.INVALID.values(), ledger.DROPPED, ledger.BEFORE}


def begun(tx: Transactions, lateness: int, **opening: Any) -> tuple[Stored, Settings, Content]:
    """Return the engine, rules and content of a state that holds a log.

    Args:
        tx: The log.
        lateness: Days that rows may be late.
        opening: `memory_limit` and `temp_directory` of the state's own engine.
    """
    source, spec = tx.engine, _spec(tx)
    kept = [source.persist(source.rows(spec), "state_rows")]
    try:
        settings = _settings(tx, spec, source.table(kept[0]), lateness)
        engine = opened(settings, **opening)
        try:
            return engine, settings, _content(source, engine, settings, kept, tx.window.last)
        except BaseException:
            engine.close()
            raise
    finally:
        for name in kept:
            source.drop(name)


def _content(source: engines.Engine, engine: Stored, settings: Settings, kept: list[str], until: int) -> Content:
    """Return what a state holds of a log.

    Args:
        source: The engine of the log.
        engine: That of the state.
        settings: The rules of the state.
        kept: The table of all rows in `source`; the table of usable ones joins it.
        until: Last day of the log.
    """
    census = census_of(source, source.table(kept[0]), settings)
    closing = settings.horizon(until)
    rows = usable(source.table(kept[0]), settings)
    kept.append(source.persist(rows.with_columns(nw.col("amount").alias(FRESH)), "state_usable"))
    layers, left_out = _closed(source, engine, settings, kept[1], closing)
    content = _started(engine, settings, _emptied(engine, settings, layers, until), census)
    content = replace(content, settled=combined(permanent(census, settings), left_out))
    rows = source.table(kept[1]).filter(nw.col("day") >= closing).select(*settings.row_columns)
    label = settings.columns["customer"]
    late = in_order(decoded(source, rows, label, settings.customer_type), settings, settings.columns)
    return taken_in(engine, settings, content, engine.attach(late), until)


def _spec(tx: Transactions) -> engines.RowSpec:
    """Return the columns of a log that a state keeps."""
    columns = {role: label for role, label in tx.spec.columns.items() if role != "product"}
    for role, label in columns.items():
        if not isinstance(label, (str, int)) or isinstance(label, bool):
            raise InvalidArgument(
                f"{role}={label!r}: a state can note names of columns that are text or whole numbers."
            )
    return engines.RowSpec(columns, tx.spec.timezone)


def _settings(tx: Transactions, spec: engines.RowSpec, rows: Frame, lateness: int) -> Settings:
    """Return the rules of a state that begins with a log."""
    label = spec.columns["customer"]
    kind, dtype = _kind(tx, rows, label)
    sample = decoded(tx.engine, rows.filter(~nw.col("customer").is_null()).head(1), label, "")
    order = ""
    if "order" in spec.columns:
        named = tx.engine.collect(rows.filter(~nw.col("order").is_null()).select("order").head(1))
        order = ids.family(named["order"].type, spec.columns["order"]) or "text"
    return Settings(
        columns=dict(spec.columns),
        timezone=spec.timezone,
        occasion=tx.rules.occasion,
        returns=tx.rules.returns,
        first=tx.window.first,
        lateness=lateness,
        kind=kind,
        customer_type=_uuid(tx, label) or ids.family(sample["customer"].type, label),
        customer_dtype=dtype,
        order_type=order,
    )


def _uuid(tx: Transactions, label: Any) -> str:
    """Return "uuid" where the ids are such."""
    coded = ids.by_codes(tx.engine, tx.customers, label)
    return "uuid" if coded is not None and coded[1] == "uuid" else ""


def _kind(tx: Transactions, rows: Frame, label: Any) -> tuple[str, str]:
    """Return the kind of per-customer tables that a log gives, and the type of its ids by that library's name."""
    empty = tx.engine.hand_back(rows.select("customer").head(0), customer=label)
    if nw.dependencies.is_pandas_dataframe(empty):
        return "pandas", str(empty.iloc[:, 0].dtype.name)
    if nw.dependencies.is_pyarrow_table(empty):
        return "pyarrow", str(empty.schema.types[0])
    if nw.dependencies.is_polars_dataframe(empty):
        return "polars", str(empty.to_arrow().schema.types[0])
    if nw.dependencies.is_polars_lazyframe(empty):
        return "polars-lazy", str(empty.collect().to_arrow().schema.types[0])
    return "duckdb", ""


def usable(rows: Frame, settings: Settings) -> Frame:
    """Return the rows with a customer and usable values, of whatever day."""
    needed = ["customer", "day", *settings.money]
    rows = rows.filter(*(~nw.col(name).is_null() for name in needed))
    return rows.filter(nw.col("amount") >= 0) if settings.returns == "drop" else rows


def census_of(engine: engines.Engine, rows: Frame, settings: Settings) -> ledger.Census:
    """Return the rows of each kind; no day is too late for a state, it comes in time."""
    return ledger.Census(engine.collect(ledger.Census.query(rows, settings.roles, settings.first, None)))


def permanent(census: ledger.Census, settings: Settings) -> dict[str, tuple[int, float]]:
    """Return the rows that are left out for good, whatever else comes."""
    found = census.exclusions(settings.returns)
    return {reason: count for reason, count in found.items() if reason in _PERMANENT and count[0]}


def _closed(
    source: engines.Engine, engine: Stored, settings: Settings, rows: str, closing: int
) -> tuple[dict[str, str], LeftOut]:
    """Keep customers and orders of the days that are closed; return their tables, and what is left out of these."""
    customer, order = ids.arrow_type(settings.customer_type), ids.arrow_type(settings.order_type)
    people, orders = carried.people_schema(settings, customer), carried.order_schema(settings, customer, order)
    with evaluated(source, rows, settings, closing - 1) as then:
        frame = closed_customers(then, settings, None, None)
        tables = {"people": brought(source, frame, engine, settings, people, "people")}
        if settings.has_orders:
            named = closed_orders(then, settings, None)
            tables["orders"] = brought(source, named, engine, settings, orders, "orders")
        else:
            tables["orders"] = engine.keep(engine.attach(orders.empty_table()), "orders")
        return tables, then.left_out(BEFORE_ALL_DAYS, None)


def opened(settings: Settings, **opening: Any) -> Stored:
    """Return the engine of a state, which gives customers back as its log was given."""
    ids_type = ids.arrow_type(settings.customer_type)
    empty = shape(settings.kind, settings.columns["customer"], settings.customer_dtype, ids_type)
    return Stored(empty, **opening)


def _emptied(engine: Stored, settings: Settings, tables: Mapping[str, str], until: int) -> Content:
    """Return the content of a state with nothing but closed purchases."""
    customer, order = ids.arrow_type(settings.customer_type), ids.arrow_type(settings.order_type)
    rows = carried.row_schema(settings, customer, order).empty_table()
    tables = {**tables, "rows": engine.keep(engine.attach(rows), "rows")}
    keys: dict[str, tuple[str, ...]] = {"people": ("customer",), "orders": ("customer", "order"), "rows": ()}
    layers: dict[str, Any] = {
        name: Layers(name, key).added(engine, tables[name], since=until if name == "rows" else None)
        for name, key in keys.items()
    }
    return Content(
        until=until, data_from=until, history=False, rows_in=0, settled={}, pending={}, totals={}, batches={}, **layers
    )


def _started(engine: Stored, settings: Settings, content: Content, census: ledger.Census) -> Content:
    """Return the content with the counts of the log it begins with."""
    names = ["purchases", "spend", *settings.further]
    people = content.people.view(engine)
    bought = nw.when(nw.col("purchases") > 0).then(nw.lit(1)).otherwise(nw.lit(0))
    sums = people.with_columns(customers=bought).select(*(nw.col(name).sum() for name in ["customers", *names]))
    line = engine.collect(sums).to_pylist()[0]
    days = census.days() or (content.until, content.until)
    return replace(
        content,
        data_from=days[0],
        history=census.sales_before() > 0,
        rows_in=census.rows(),
        totals={name: value or 0 for name, value in line.items()},
    )
