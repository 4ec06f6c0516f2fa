"""Measuring a whole or its groups: one query for all groups, one result for each.

A group is a column's value at the customer's first purchase (`by=`) or the calendar period of it (`cohort=`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import narwhals.stable.v2 as nw

from loyalty import checks, periods
from loyalty.errors import InvalidArgument
from loyalty.tables import Grouped

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.transactions import Transactions

__all__ = ["MOST_GROUPS", "Grouping", "grouping", "measure"]

MOST_GROUPS = 10_000
Frame = nw.LazyFrame[Any]
Row = dict[str, Any]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which customer is in which group.

    Attributes:
        name: What the groups are called: the column's label or the period of the first purchase.
        members: Columns `customer` and `group`.
        label: Turns a value of `group` into what the caller sees.
    """

    name: str
    members: Frame
    label: Callable[[Any], Any]

    def add(self, frame: Frame) -> Frame:
        """Return a frame with the column `customer` widened by `group`."""
        return frame.join(self.members, on="customer", how="inner")


def grouping(tx: Transactions, by: Any = None, cohort: str | None = None, *, history: bool = False) -> Grouping | None:
    """Return how customers are grouped, or None where they are not.

    Args:
        tx: The transactions.
        by: A column of the caller's table, taken at the customer's first purchase; null is a group.
        cohort: "day", "week", "month", "quarter" or "year": groups by the period of the first purchase.
        history: Whether customers who bought only before the window have a group too.

    Raises:
        InvalidArgument: Both are given, or the period is unknown.
        ColumnError: There is no such column.
    """
    if by is None and cohort is None:
        return None
    if by is not None and cohort is not None:
        raise InvalidArgument("give by=<column> or cohort=<period>, not both.")
    if cohort is not None:
        period: Any = checks.choice("cohort", cohort, periods.PERIODS)

        def build() -> Frame:
            return tx.with_period(tx.first_days(), period, "first_day", "group").select("customer", "group")

        members = tx.kept(f"first_{period}", build)
    else:
        members = tx.first_values(by)
    if tx.rules.history and not history:
        members = members.join(tx.customers.select("customer"), on="customer", how="semi")
    if cohort is not None:
        return Grouping(f"{period} of first purchase", members, lambda index: periods.period_label(index, period))
    return Grouping(str(by), members, lambda value: value)


def measure(
    tx: Transactions,
    frame: Frame,
    aggregates: Sequence[nw.Expr],
    build: Callable[[list[Row]], Result],
    *,
    keys: Sequence[str] = (),
    by: Any = None,
    cohort: str | None = None,
    everybody: bool = False,
    history: bool = False,
) -> Result | Grouped[Result]:
    """Aggregate a frame, over everything or by group, and build a result from the rows of each.

    Args:
        tx: The transactions.
        frame: A frame; with the column `customer` where groups are asked for.
        aggregates: Named aggregate expressions.
        build: Makes the result from a group's rows (one row if there are no `keys`), sorted by the keys.
        keys: Columns that a row of the result stands for, such as the period.
        by: As in `grouping`.
        cohort: As in `grouping`.
        history: Whether customers who bought only before the window are in the frame too.
        everybody: Whether the frame holds every customer, so that no group can be absent from it; saves a query.

    Returns:
        The result, or a `Grouped` of results where `by` or `cohort` is given: one for every group of customers, made
        from what aggregates over nobody give (with `keys`: from no row) where none of the group is in the frame.

    Raises:
        InvalidArgument: There are more groups than a table can show.
    """
    groups = grouping(tx, by, cohort, history=history)
    if groups is None:
        return build(_rows(tx, frame, aggregates, keys))
    grouped = groups.add(frame)
    found: dict[Any, list[Row]] = {}
    for row in _rows(tx, grouped, aggregates, ["group", *keys]):
        found.setdefault(row.pop("group"), []).append(row)
    if not everybody:
        absent = [row["group"] for row in _rows(tx, groups.members, [], ["group"]) if row["group"] not in found]
        nobody = _rows(tx, grouped.head(0), aggregates, []) if absent and not keys else []
        found |= {group: [dict(row) for row in nobody] for group in absent}
    ordered = sorted(found, key=lambda group: (group is None, *_sortable(group)))
    results = {groups.label(group): build(found[group]) for group in ordered}
    return Grouped(by=groups.name, results=results, kind=tx.engine.kind)


def _rows(tx: Transactions, frame: Frame, aggregates: Sequence[nw.Expr], keys: Sequence[str]) -> list[Row]:
    """Return the aggregated rows, in order of the keys."""
    if not keys:
        rows: list[Row] = tx.collect(frame.select(*aggregates)).to_pylist()
        return rows
    table = tx.collect(frame.group_by(*keys).agg(*aggregates) if aggregates else frame.select(*keys).unique(list(keys)))
    if keys[0] == "group" and table.num_rows > MOST_GROUPS:
        _refuse_too_many(table["group"])
    rows = table.to_pylist()
    return sorted(rows, key=lambda row: [(row[key] is None, *_sortable(row[key])) for key in keys])


def _refuse_too_many(groups: pa.ChunkedArray) -> None:
    """Raise where a table could not show all the groups, before they are turned into Python's."""
    count = len(groups.unique())
    if count > MOST_GROUPS:
        raise InvalidArgument(
            f"there are {count:,} groups, more than the {MOST_GROUPS:,} that a table can show: choose a column with "
            "fewer values for by=, or a longer period for cohort=."
        )


def _sortable(value: Any) -> tuple[str, Any]:
    """Return a key that orders like values by themselves and unlike ones by type."""
    if isinstance(value, (bool, int, float)):
        return "number", value
    return type(value).__name__, "" if value is None else value
