"""A batch is taken in: of the customers it touches, what they come to is evaluated anew from what is carried of them.

The one step is `taken_in`. A new state is the same step over an empty past (see `beginning`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import ledger
from loyalty.state import carried
from loyalty.state.closing import closed_customers, closed_orders, today
from loyalty.state.evaluation import evaluated, per_customer
from loyalty.state.settings import FRESH, Settings

if TYPE_CHECKING:
    from loyalty.engines.stored import Stored
    from loyalty.state.layers import Layers

__all__ = ["Content", "LeftOut", "combined", "taken_in"]

Frame = nw.LazyFrame[Any]
LeftOut = Mapping[str, tuple[int, float]]
Kept = Callable[[Frame, str], str]  # keeps a frame for the time being and returns its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All that a state holds, as of a day; replaced as a whole, so that a failed merge changes nothing.

    Attributes:
        until: Last day observed.
        data_from: First day with a usable row.
        history: Whether there are sales before the window.
        people: Customers: as of today, and what is closed.
        orders: Orders begun on days that are closed; no segment where rows name none.
        rows: Rows that are open still.
        rows_in: Rows delivered so far.
        settled: Reason → (rows, amount) left out for good.
        pending: The same, of open rows: a late sale or the passing of time may bring them in yet.
        totals: `customers` who bought in the window, their `purchases`, `spend`, and `cost`, `discount` where named.
        batches: Batch → what is known of it: `fingerprint`, `rows`, `until`.
    """

    until: int
    data_from: int
    history: bool
    people: Layers
    orders: Layers
    rows: Layers
    rows_in: int
    settled: LeftOut
    pending: LeftOut
    totals: Mapping[str, float]
    batches: Mapping[str, Mapping[str, Any]]

    @property
    def tables(self) -> tuple[Layers, Layers, Layers]:
        """The three tables."""
        return self.people, self.orders, self.rows

    @property
    def exclusions(self) -> dict[str, tuple[int, float]]:
        """Reason → (rows, amount) of all rows that are left out."""
        return combined(self.settled, self.pending)


def combined(*parts: LeftOut) -> dict[str, tuple[int, float]]:
    """Return exclusions added up."""
    rows: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    for part in parts:
        for reason, (count, amount) in part.items():
            rows[reason] += count
            amounts[reason] += amount  # type: ignore[assignment]
    return {reason: (rows[reason], float(amounts[reason])) for reason in rows}


def taken_in(engine: Stored, settings: Settings, before: Content, new: Frame, until: int) -> Content:
    """Return the content after rows were added and the clock was moved.

    Args:
        engine: Where the state is kept.
        settings: Its rules.
        before: What it held.
        new: Usable rows, none of them of a day that is closed.
        until: Last day observed from now on, not before the last.

    Returns:
        Everything but `batches`, `rows_in` and `settled` for what never became a row.
    """
    since, closing = settings.horizon(before.until), settings.horizon(until)
    added = engine.keep(new, "rows")
    rows = before.rows.added(engine, added, since=since)
    with _tables(engine) as kept:
        open_rows = engine.table(kept(rows.view(engine).filter(nw.col("day") >= since), "open_rows"))
        who = kept(_concerned(settings, before, engine.table(added), open_rows, (closing, until)), "who")
        past = kept(_past(engine, settings, before, who), "past")
        mine = _only(open_rows, engine.table(who))
        past_orders = _past_orders(engine, settings, before, past, mine, kept)
        evidence = kept(_evidence(settings, mine, engine.table(past), past_orders), "evidence")
        with evaluated(engine, evidence, settings, until) as now:
            sums = per_customer(now, settings, since).join(engine.table(past), on="customer", how="left")
            fresh = kept(today(sums, settings), "now")
            newly_settled = now.left_out(since, closing)
            pending = now.left_out(closing, None)
        orders, closed = before.orders, None
        if closing > since:
            closed_rows = open_rows.filter(nw.col("day") < closing)
            then_past = engine.table(past).filter(nw.col("closing") == 1)
            evidence = kept(_evidence(settings, closed_rows, then_past, past_orders), "evidence")
            with evaluated(engine, evidence, settings, closing - 1) as then:
                closed = engine.table(kept(closed_customers(then, settings, since, engine.table(past)), "closed"))
                if settings.has_orders:
                    orders = orders.added(engine, engine.keep(closed_orders(then, settings, since), "orders"))
        touched = engine.table(who).filter(nw.col("fresh") + nw.col("closing") > 0)
        changes = _only(engine.table(fresh), touched)
        totals = _moved(engine, settings, before.totals, changes)
        people = before.people.added(engine, engine.keep(_changed(settings, changes, closed), "people"))
    return replace(
        before,
        until=until,
        people=people,
        orders=orders,
        rows=rows.since(closing),
        settled=combined(before.settled, newly_settled),
        pending=combined(pending, _after(engine, rows, until)),
        totals=totals,
    )


@contextmanager
def _tables(engine: Stored) -> Iterator[Kept]:
    """Give a function that keeps a frame for the time being and returns its name."""
    names: list[str] = []

    def kept(frame: Frame, name: str) -> str:
        names.append(engine.persist(frame, name))
        return names[-1]

    try:
        yield kept
    finally:
        for name in names:
            engine.drop(name)


def _only(frame: Frame, customers: Frame) -> Frame:
    return frame.join(customers, on="customer", how="semi")


def _concerned(settings: Settings, before: Content, new: Frame, open_rows: Frame, days: tuple[int, int]) -> Frame:
    """Return who is concerned when rows are added and the clock moves to `days`, the first that is open and the last.

    Returns:
        Columns: `customer`, and 1 or 0 in `fresh` (has new rows, or rows whose day had not come before), `closing` (has
        rows that the clock closes) and `back` (has open returns: what is left out of these is counted anew each
        time).
    """
    first_open, until = days
    marks = {
        "fresh": (nw.col("day") > before.until) & (nw.col("day") <= until),
        "closing": nw.col("day") < first_open,
        "back": nw.col("amount") < 0,
    }
    flags = {name: nw.when(mark).then(nw.lit(1)).otherwise(nw.lit(0)) for name, mark in marks.items()}
    came = new.select("customer", fresh=nw.lit(1), closing=nw.lit(0), back=nw.lit(0))
    found = nw.concat([came, open_rows.select("customer", **flags)])
    found = found.group_by("customer").agg(*(nw.col(name).max() for name in flags))
    if settings.by_order and before.history:  # rows of orders begun before the window are left out, too
        return found
    return found.filter(nw.col("fresh") + nw.col("closing") + nw.col("back") > 0)


def _past(engine: Stored, settings: Settings, before: Content, who: str) -> Frame:
    """Return what is carried of customers, what they came to until now (`was_…`), and how they are concerned."""
    found = before.people.found(engine, engine.table(who), ("customer",))
    were = {f"was_{name}": nw.col(name) for name in _counted(settings)}
    return found.select("customer", *carried.closed_columns(settings), "closing", "back", **were)


def _past_orders(
    engine: Stored, settings: Settings, before: Content, past: str, open_rows: Frame, kept: Kept
) -> Frame | None:
    """Return the closed orders that open rows name and, where a purchase is an order, those of first days."""
    if not settings.has_orders:
        return None
    both = ("customer", "order")
    named = open_rows.filter(~nw.col("order").is_null()).select(*both)
    found = before.orders.found(engine, named.unique(list(both)), both)
    if settings.by_order:
        first = engine.table(past).filter(~nw.col("c_first").is_null()).select("customer", day=nw.col("c_first"))
        debut = before.orders.found(engine, first, ("customer", "day"))
        found = nw.concat([found, debut]).unique(list(both))
    return engine.table(kept(found, "past_orders"))


def _evidence(settings: Settings, rows: Frame, past: Frame, past_orders: Frame | None) -> Frame:
    """Return what customers are evaluated from: open rows and, where it takes them, rows for the past.

    Without orders it takes these of customers with returns alone; for the others, sums and dates will do.
    """
    mine = rows.select(*settings.row_columns, nw.col("amount").alias(FRESH))
    marked = past if settings.has_orders else past.filter(nw.col("back") == 1)
    orders = None if past_orders is None else _only(past_orders, past)
    return nw.concat([mine, *carried.rows_of_the_past(marked, orders, settings)])


def _changed(settings: Settings, changes: Frame, closed: Frame | None) -> Frame:
    """Return the new rows of customers: as of today, and what is closed where that is more than it was."""
    columns: dict[str, nw.Expr] = {}
    if closed is not None:
        names = carried.closed_columns(settings)
        closed = closed.select("customer", **{f"new_{name}": nw.col(name) for name in names})
        more = ~nw.col("new_c_first").is_null()
        columns = {name: nw.when(more).then(nw.col(f"new_{name}")).otherwise(nw.col(name)) for name in names}
        changes = changes.join(closed, on="customer", how="left")
    return changes.select(*carried.typed(settings, columns))


def _counted(settings: Settings) -> list[str]:
    return ["purchases", "spend", *settings.further]


def _moved(engine: Stored, settings: Settings, totals: Mapping[str, float], changes: Frame) -> dict[str, float]:
    """Return totals after some customers changed."""
    sums = {}
    for prefix in ("", "was_"):
        bought = nw.when(nw.col(f"{prefix}purchases") > 0).then(nw.lit(1)).otherwise(nw.lit(0))
        sums[f"{prefix}customers"] = bought.sum()
        sums |= {f"{prefix}{name}": nw.col(f"{prefix}{name}").sum() for name in _counted(settings)}
    line = engine.collect(changes.select(**sums)).to_pylist()[0]
    return {name: totals[name] + (line[name] or 0) - (line[f"was_{name}"] or 0) for name in totals}


def _after(engine: Stored, rows: Layers, until: int) -> dict[str, tuple[int, float]]:
    """Return the rows of days that have not come yet, as exclusions."""
    if all(segment.last <= until for segment in rows.segments):
        return {}
    later = rows.view(engine).filter(nw.col("day") > until)
    line = engine.collect(later.select(nw.len().alias("rows"), nw.col("amount").sum())).to_pylist()[0]
    return {ledger.AFTER: (int(line["rows"]), float(line["amount"]))} if line["rows"] else {}
