"""Cohorts: customers grouped by the period of their first purchase, followed through the periods after it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, intervals, periods, wording
from loyalty.errors import InvalidArgument
from loyalty.grouping import measure
from loyalty.tables import Grouped, Table, native
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.periods import PeriodName
    from loyalty.transactions import Transactions

__all__ = ["Cohorts", "cohorts"]

Frame = nw.LazyFrame[Any]
Row = dict[str, Any]
Cell = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Cohorts:
    """A triangle of cohorts: what each did in the k-th period after its first.

    Attributes:
        period: Length of the periods: "day", "week", "month", "quarter" or "year".
        mode: "in" (did it in the k-th period) or "since" (in the k-th or a later one).
        measure: "customers" or "revenue".
        data: The observed cells, a row each: `cohort`, `start`, `size` (customers), `offset` (k), `value`, `rate`,
            `followed` (periods over which the cell was observed; in mode "since" a cell followed for fewer periods
            had less time to fill).
        average: Rates over all cohorts that reached k, weighted by size: `offset`, `rate`, `low`, `high`, `customers`,
            `cohorts`.
        excluded: Customers left out: of cohorts whose first period does not lie wholly inside the data, or that were
            not observed for long enough.
        confidence: Level of the average's intervals.
        note: What a reader must know.
        kind: The kind of frame handed back.
    """

    period: PeriodName
    mode: str
    measure: str
    data: pa.Table
    average: Table
    excluded: int
    confidence: float
    note: str
    kind: str

    @property
    def definition(self) -> str:
        """What a rate is."""
        when = "in the k-th" if self.mode == "in" else "in the k-th or a later"
        what = "customers who bought" if self.measure == "customers" else "revenue"
        whole = "customers" if self.measure == "customers" else f"revenue of its first {self.period}"
        if self.measure == "revenue" and self.mode == "since":
            whole = f"revenue since its first {self.period}"
        return f"Share of a cohort's {whole}: {what} {when} {self.period} after the {self.period} of first purchase."

    @property
    def counts(self) -> Any:
        """Values as a wide frame: a row per cohort, a column per offset; unobserved cells are missing."""
        return native(self._wide("value"), self.kind)

    @property
    def rates(self) -> Any:
        """Rates as a wide frame: a row per cohort, a column per offset; unobserved cells are missing."""
        return native(self._wide("rate"), self.kind)

    @property
    def sizes(self) -> Any:
        """Customers of each cohort as a frame: `cohort`, `size`."""
        import pyarrow as pa

        sizes = dict(zip(self.data["cohort"].to_pylist(), self.data["size"].to_pylist(), strict=True))
        return native(pa.table({"cohort": list(sizes), "size": pa.array(list(sizes.values()), pa.int64())}), self.kind)

    def to_native(self) -> Any:
        """Return the observed cells as a long frame of the caller's kind."""
        return native(self.data, self.kind)

    def to_dict(self) -> dict[str, Any]:
        """Return settings, cells and averages as JSON-ready values."""
        return {
            "name": "cohorts",
            "period": self.period,
            "mode": self.mode,
            "measure": self.measure,
            "definition": self.definition,
            "note": self.note,
            "excluded": self.excluded,
            "cells": wording.jsonable(self.data.to_pylist()),
            "average": wording.jsonable(self.average.data.to_pylist()),
        }

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        first = next((row for row in self.average.data.to_pylist() if row["offset"] == 1), None)
        note = f" Note: {self.note}." if self.note else ""
        head = f"Cohorts by {self.period} of first purchase ({len(set(self.data['cohort'].to_pylist())):,})"
        if first is None:
            return f"{head}: none was followed into a next {self.period}.{note}"
        if math.isnan(first["rate"]):
            return f"{head}: the average rate of the next {self.period} is not defined.{note}"
        low, high = wording.quantity(first["low"], "share"), wording.quantity(first["high"], "share")
        interval = "" if math.isnan(first["low"]) else f" ({wording.level(self.confidence)} interval {low} to {high})"
        what = "of the customers bought" if self.measure == "customers" else "of the revenue came"
        when = "in" if self.mode == "in" else "in or after"
        rate = wording.quantity(first["rate"], "share")
        return f"{head}: on average {rate} {what} {when} the next {self.period}{interval}.{note}"

    def _repr_html_(self) -> str:
        table = self._wide("rate")
        rows = [[str(row.pop("cohort")), wording.plain(row.pop("size")),
                 *("" if rate is None else wording.quantity(rate, "share") for rate in row.values())]
                for row in table.to_pylist()]  # fmt: skip
        return wording.html_table(table.column_names, rows, f"cohorts by {self.period} ({self.mode}, {self.measure})")

    def plot(self, ax: Any = None, kind: str = "heatmap") -> Any:
        """Draw a heat map of the cells, or `kind="curves"`; returns the matplotlib Axes."""
        from loyalty import plots

        checks.choice("kind", kind, ("heatmap", "curves"))
        return (plots.cohorts if kind == "heatmap" else plots.cohort_curves)(self, ax=ax)

    def _wide(self, column: str) -> pa.Table:
        """Return a row per cohort, a column per offset."""
        import pyarrow as pa

        cells: dict[str, dict[int, Any]] = {}
        sizes: dict[str, int] = {}
        for cell in self.data.to_pylist():
            cells.setdefault(cell["cohort"], {})[cell["offset"]] = cell[column]
            sizes[cell["cohort"]] = cell["size"]
        offsets = sorted({offset for row in cells.values() for offset in row})
        kind = self.data.schema.field(column).type
        wide = {str(k): pa.array([row.get(k) for row in cells.values()], kind) for k in offsets}
        return pa.table({"cohort": pa.array(list(cells), pa.string()),
                         "size": pa.array([sizes[name] for name in cells], pa.int64()), **wide})  # fmt: skip


@takes_transactions
def cohorts(
    tx: Transactions,
    period: PeriodName = "month",
    mode: str = "in",
    value: str = "customers",
    *,
    follow_up: int | None = None,
    by: Any = None,
    confidence: float = 0.95,
) -> Cohorts | Grouped[Cohorts]:
    """Return cohort retention, or the revenue each cohort brings over time.

    Args:
        tx: The transactions.
        period: "day", "week", "month", "quarter" or "year".
        mode: "in": bought in the k-th period after the first; "since": in the k-th or a later one.
        value: "customers", or "revenue": spend in the k-th period (or from it on) as a share of the cohort's spend in
            its first period (or in all).
        follow_up: For `mode="since"`, the same number of periods of follow-up for every cohort: later purchases do not
            count, cohorts not followed that long are left out. None follows each cohort to the end of the window,
            so that its cells are lower bounds of what longer follow-up would show.
        by: A column of the transactions, taken at the customer's first purchase; null is a group. Only cohorts
            acquired in the window are grouped: of older ones, members who did not buy in it belong to no group.
        confidence: Level of the Wilson intervals of the average.

    Returns:
        Cells that the window does not wholly contain are missing, never zero. Customers acquired before the window
        keep their true cohort, of which all members count, those who never bought in the window included. Averages
        are weighted over the cohorts that reached k. Rates of revenue are NaN where that of the first period (or, in
        mode "since", in all) is not above zero or was not observed, and the note says so.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        ColumnError: `by` names no column.

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow())
        >>> triangle = ly.cohorts(tx)
        >>> triangle.rates["1"].round(4).tolist()
        [0.1475, 0.1548, 0.1424]
    """
    checks.confidence_level(confidence)
    checks.choice("mode", mode, ("in", "since"))
    checks.choice("value", value, ("customers", "revenue"))
    if follow_up is not None:
        checks.count("follow_up", follow_up, low=0)
        if mode != "since":
            raise InvalidArgument(
                'follow_up= belongs to mode="since": in mode "in" every cell is followed for one period.'
            )
    plan = _Plan(tx, period, mode, value, follow_up, confidence)
    rows = plan.rows()
    aggregates = [nw.len().alias("customers"), nw.col("spend").sum().alias("revenue")]
    keys = ["first_period", "period"]
    sizes = plan.sizes(by)
    triangles = measure(tx, rows, aggregates, lambda found: found, keys=keys, by=by)
    if isinstance(triangles, Grouped) and isinstance(sizes, Grouped):
        inside = tx.window.complete(period)
        results = {group: plan.build(triangles[group], people, inside) for group, people in sizes.items()}
        return Grouped(by=sizes.by, results=results, kind=sizes.kind)
    return plan.build(triangles, sizes, tx.data_window().complete(period))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The arguments of one call of `cohorts`, and the steps that use them."""

    tx: Transactions
    period: PeriodName
    mode: str
    measure: str
    follow_up: int | None
    confidence: float

    def rows(self) -> Frame:
        """Return the frame to count: customers by period, or by last period where "since" counts customers."""
        observed = self.tx.window.complete(self.period)
        activity = self.tx.activity(self.period)
        rows = activity.filter(nw.col("period") >= observed.start, nw.col("period") < observed.stop)
        if self.follow_up is not None:
            rows = rows.filter(nw.col("period") - nw.col("first_period") <= self.follow_up)
        if self.mode == "since" and self.measure == "customers":
            last = [nw.col("period").max(), nw.col("spend").sum()]
            rows = rows.group_by("customer", "first_period").agg(*last)
        return rows

    def sizes(self, by: Any) -> dict[int, int] | Grouped[dict[int, int]]:
        """Return cohort → customers, the customers of the history who never came back included."""
        people = self.tx.first_days() if by is None else self.tx.customers
        people = self.tx.with_period(people.select("customer", "first_day"), self.period, "first_day", "first_period")
        return measure(
            self.tx,
            people,
            [nw.len().alias("size")],
            lambda rows: {int(row["first_period"]): int(row["size"]) for row in rows},
            keys=["first_period"],
            by=by,
            everybody=True,
        )

    def build(self, rows: list[Row], sizes: dict[int, int], whole: range) -> Cohorts:
        """Return the cohorts from counts by first and later period; `whole` are the periods that make a cohort."""
        found: dict[int, dict[int, float]] = {}
        for row in rows:
            found.setdefault(row["first_period"], {})[row["period"]] = row[self.measure]
        cells = [
            cell
            for first in whole
            if sizes.get(first)
            for cell in self._cells(first, sizes[first], found.get(first, {}))
        ]
        partial = sum(size for first, size in sizes.items() if first not in whole)
        shown = {cell["cohort"]: cell["size"] for cell in cells}
        left_out = sum(sizes.values()) - sum(shown.values())
        import pyarrow as pa

        kind = pa.int64() if self.measure == "customers" else pa.float64()
        schema = pa.schema(
            [("cohort", pa.string()), ("start", pa.date32()), ("size", pa.int64()), ("offset", pa.int64()),
             ("value", kind), ("rate", pa.float64()), ("followed", pa.int64())]
        )  # fmt: skip
        return Cohorts(
            period=self.period,
            mode=self.mode,
            measure=self.measure,
            data=pa.Table.from_pylist(cells, schema=schema),
            average=self._average(cells),
            excluded=left_out,
            confidence=self.confidence,
            note=self._note(cells, whole, partial, left_out - partial),
            kind=self.tx.engine.kind,
        )

    def _cells(self, first: int, size: int, values: dict[int, float]) -> list[Cell]:
        """Return the observed cells of one cohort."""
        observed = self.tx.window.complete(self.period)
        last = observed.stop - 1
        if self.follow_up is not None:
            if first + self.follow_up > last:
                return []
            last = first + self.follow_up
        seen = range(max(first, observed.start), last + 1)
        if self.mode == "since":
            values = _from_then_on(values, seen)
        base: float = size
        if self.measure == "revenue":  # of a cohort older than the window the first period is not observed
            base = values.get(first, 0.0) if first in seen else math.nan
        start = periods.to_date(periods.period_start(first, self.period))
        label = periods.period_label(first, self.period)
        return [
            {
                "cohort": label,
                "start": start,
                "size": size,
                "offset": index - first,
                "value": values.get(index, 0),
                "base": base,
                "rate": values.get(index, 0) / base if base > 0 else math.nan,
                "followed": last - index + 1 if self.mode == "since" else 1,
            }
            for index in seen
        ]

    def _average(self, cells: list[Cell]) -> Table:
        """Return rates over all cohorts that reached each offset, weighted by their base."""
        import pyarrow as pa

        counts = self.measure == "customers"
        reached: dict[int, list[Cell]] = {cell["offset"]: [] for cell in cells}
        for cell in cells:
            if not math.isnan(cell["base"]):
                reached[cell["offset"]].append(cell)
        lines = []
        for offset, mine in sorted(reached.items()):
            value, base, people = (sum(cell[name] for cell in mine) for name in ("value", "base", "size"))
            low, high = intervals.wilson(value, base, self.confidence) if counts else (math.nan, math.nan)
            lines.append({"offset": offset, "rate": value / base if base > 0 else math.nan, "low": low, "high": high,
                          "customers": people, "cohorts": len(mine)})  # fmt: skip
        names = {"offset": pa.int64(), "rate": pa.float64(), "low": pa.float64(), "high": pa.float64(),
                 "customers": pa.int64(), "cohorts": pa.int64()}  # fmt: skip
        return Table(
            name="average over cohorts",
            data=pa.Table.from_pylist(lines, schema=pa.schema(list(names.items()))),
            kind=self.tx.engine.kind,
            sentence=f"Averages over cohorts at {len(lines)} offsets.",
            definition="Σ value ÷ Σ base over the cohorts observed at the offset.",
            units=dict.fromkeys(("rate", "low", "high"), "share"),
        )

    def _note(self, cells: list[Cell], whole: range, partial: int, unfollowed: int) -> str:
        """Return what a reader must know of these cohorts."""
        notes = []
        if partial:
            where = "data" if whole == self.tx.data_window().complete(self.period) else "window"
            notes.append(
                f"customers left out (their first {self.period} is not wholly inside the {where}): {partial:,}"
            )
        if unfollowed:
            wanted = "a complete {}" if not self.follow_up else f"a complete {{}} and {self.follow_up:,} more"
            notes.append(f"customers left out (not observed for {wanted.format(self.period)}): {unfollowed:,}")
        if self.mode == "since" and self.follow_up is None and cells:
            notes.append("cells are lower bounds, later cohorts having had less time (follow_up= makes it equal)")
        unknown = len({cell["cohort"] for cell in cells if math.isnan(cell["rate"])})
        if unknown:
            notes.append(f"cohorts without rates, revenue to compare with being zero or not observed: {unknown:,}")
        if not cells:
            notes.append(f"no cohort was observed for a complete {self.period}" + (
                f" and {self.follow_up:,} more" if self.follow_up else ""))  # fmt: skip
        return "; ".join(notes)


def _from_then_on(values: dict[int, float], seen: range) -> dict[int, float]:
    """Return, for each period seen, the sum of the values in it and after it."""
    found: dict[int, float] = {}
    total: float = sum(value for index, value in values.items() if index >= seen.stop)
    for index in reversed(seen):
        total += values.get(index, 0)
        found[index] = total
    return found
