"""What the customers of each segment, or of any other group of the caller's, are expected to bring."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, engines, wording
from loyalty.clv.models import lasting
from loyalty.clv.valuation.customer_tables import attached, refuse_nameless, refuse_repeated
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, UnsupportedSource
from loyalty.grouping import MOST_GROUPS
from loyalty.tables import Table, free_name, group_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from loyalty.clv.valuation.customer_value import CustomerValue

__all__ = ["by_group"]

Frame = nw.LazyFrame[Any]
Row = dict[str, Any]

_COLUMNS = ("customers", "value", "share_of_value", "mean_value", "mean_p_alive", "expected_purchases")
_DIGITS = 12  # to which values of groups are compared: engines add up floats in another order


def by_group(value: CustomerValue, labels: Any, column: Any, customer: Any) -> Table:
    """Return the value of each group of customers; see `CustomerValue.by`."""
    summary = value.valuation.summary
    refuse_nameless(summary, "labels")
    source = _opened(labels)
    named = _named(source.labels, column, summary.customer if customer is None else customer)
    # A stream can be read only once: from here on what was read of it serves.
    table = getattr(source, "data", labels)
    groups = attached(table, summary, named, "labels", "")
    if groups.collect_schema()["group"].is_float():
        groups = groups.with_columns(group=nw.when(~nw.col("group").is_nan()).then(nw.col("group")))
    refuse_repeated(groups, summary, "labels", named["customer"])
    labelled = int(summary.collect(groups.select(n=nw.len()))["n"][0].as_py())
    if not labelled:
        raise EmptyData("labels= holds no customer: give a table with a row per customer.")
    rows = summary.collect(_sums(value, groups)).to_pylist()
    _refuse(rows, labelled, named)
    return _table(value, sorted(rows, key=_place), str(named["group"]), labelled)


def _opened(labels: Any) -> Any:
    """Return the source of a caller's labels."""
    try:
        return engines.open_source(labels)
    except UnsupportedSource as err:
        way = "pass a table with a row per customer: the customer column and a column of groups"
        if hasattr(labels, "customers"):
            way = "it holds the table as .customers: pass labels=<it>.customers"
        elif hasattr(labels, "reset_index"):
            way = "pass labels=<it>.reset_index(), a table with the customers as a column"
        raise UnsupportedSource(f"labels= is a {type(labels).__name__}, not a table: {way}.") from err


def _named(there: Sequence[Any], column: Any, customer: Any) -> dict[str, Any]:
    """Return which column of the labels holds the customers, and which the groups."""
    customer = checks.column("customer", customer, there)
    if column is not None:
        return {"customer": customer, "group": checks.column("column", column, there)}
    others = [label for label in there if label is not customer]
    if len(others) != 1:
        listed = ", ".join(map(repr, others[:20])) + (", …" if len(others) > 20 else "")
        raise InvalidArgument(
            f"labels= has {len(others)} columns besides the customers ({listed or 'none'}): say which holds the "
            "groups, column=<name>."
        )
    return {"customer": customer, "group": others[0]}


def _sums(value: CustomerValue, groups: Frame) -> Frame:
    """Return the query of sums over the customers of each group."""
    summary = value.valuation.summary
    weight = nw.col("weight").cast(nw.Float64) if summary.weighted else nw.lit(1.0)
    rows = value.valuation.rows().select(
        "customer",
        people=weight,
        value=nw.col("clv") * weight,
        alive=nw.col("p_alive") * weight,
        expected=nw.col("expected_purchases") * weight,
    )
    sums = (nw.col(name).sum() for name in ("people", "value", "alive", "expected"))
    return rows.join(groups, on="customer", how="inner").group_by("group").agg(*sums, rows=nw.len())


def _refuse(rows: list[Row], labelled: int, named: dict[str, Any]) -> None:
    """Raise where no label is one of a customer, or where a table could not show all groups."""
    if not rows:
        raise ColumnError(
            f"not one of the {labelled:,} ids in column {named['customer']!r} of labels= is a customer here: spell the "
            "ids alike, or name another column, customer=<name>."
        )
    if len(rows) > MOST_GROUPS:
        raise InvalidArgument(
            f"column {named['group']!r} makes {len(rows):,} groups, more than the {MOST_GROUPS:,} that a table can "
            "show: choose one with fewer values."
        )


def _place(row: Row) -> tuple[bool, float, str]:
    """Return the key that puts the highest value first, of equal ones the first name, and nulls last."""
    return row["group"] is None, -float(f"{row['value']:.{_DIGITS - 1}e}"), wording.group(row["group"])


def _table(value: CustomerValue, rows: list[Row], name: str, labelled: int) -> Table:
    """Return the table of groups in their order."""
    import pyarrow as pa

    summary, total = value.valuation.summary, math.fsum(row["value"] for row in rows)
    shares = [row["value"] / total if total > 0.0 else math.nan for row in rows]
    count = pa.float64() if summary.weighted else pa.int64()
    columns = {
        "customers": pa.array([row["people"] for row in rows], pa.float64()).cast(count),
        "value": pa.array([row["value"] for row in rows], pa.float64()),
        "share_of_value": pa.array(shares, pa.float64()),
        "mean_value": pa.array([row["value"] / row["people"] for row in rows], pa.float64()),
        "mean_p_alive": pa.array([row["alive"] / row["people"] for row in rows], pa.float64()),
        "expected_purchases": pa.array([row["expected"] for row in rows], pa.float64()),
    }
    group = free_name(name, list(_COLUMNS))
    data = pa.table({group: group_values([row["group"] for row in rows]), **columns})
    return Table(
        name=f"customer value by {name}",
        data=data,
        kind=summary.kind,
        sentence=_sentence(data, name),
        definition=f"Expected value over {value.terms}, of the customers of each group, its share of what all groups "
        "are worth, and means per customer; the purchases expected are not discounted.",
        units={
            group: "group",
            "value": "money",
            "share_of_value": "share",
            "mean_value": "money",
            "mean_p_alive": "share",
        },
        note="; ".join(filter(None, _notes(value, rows, labelled, total))),
        chart="value_by_group",
    )


def _sentence(data: pa.Table, name: str) -> str:
    """Return which group is worth most, in words; that of customers without a label is not looked at."""
    first = data.slice(0, 1).to_pylist()[0]
    group, people = first[data.column_names[0]], math.fsum(data["customers"].to_pylist())
    head = f"{wording.counted(data.num_rows, 'groups')} by {name}"
    if group is None:
        return f"{head}: customers without a label are worth {wording.quantity(first['value'], 'money')}."
    share = first["share_of_value"]
    part = "" if math.isnan(share) else f", {wording.quantity(share, 'share')} of the value"
    who = wording.quantity(first["customers"] / people, "share")
    worth = wording.quantity(first["value"], "money")
    return f"{head}: {wording.group(group)} is worth most, {worth}{part} from {who} of customers."


def _notes(value: CustomerValue, rows: list[Row], labelled: int, total: float) -> list[str]:
    """Return what a reader must know about who is in no group, and about shares that there are not."""
    # Weights are any numbers: what is left of their sum may be the rounding of floats.
    everybody = value.valuation.summary.n_customers
    without = everybody - math.fsum(row["people"] for row in rows)
    strangers = labelled - sum(row["rows"] for row in rows)
    notes = [lasting.certain(value.model.purchases.model)]
    if without > 1e-9 * everybody:
        lost = wording.quantity(value.total.value - total, "money")
        count = round(without) if not value.valuation.summary.weighted else without
        notes.append(f"{wording.counted(count, 'customers')} without a label, worth {lost}, left out")
    if strangers:
        notes.append(f"{wording.counted(strangers, 'labels')} of nobody here, left out")
    if not total > 0.0:
        notes.append(f"the value of these customers sums to {wording.plain(total)}: there are no shares of it")
    below = sum(row["value"] < 0.0 for row in rows)
    if below:
        have = "has" if below == 1 else "have"
        notes.append(f"{wording.counted(below, 'groups')} {have} a negative value: they cost more than they bring")
    if value.terms.horizon is None:
        notes.append("there is no horizon, so expected_purchases is missing")
    return notes
