"""A batch is taken in: of the customers it touches, what they come to is evaluated anew from what is carried of them.

The one step is `taken_in`. A new state is the same step over an empty past (see `beginning`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
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
    rows = before.rows.added(engine, new, since=since)
    with _tables(engine) as kept:
        open_rows = engine.table(kept(rows.view(engine).filter(nw.col("day") >= since), "open_rows"))
        who = _Who.of(engine, settings, before, new, open_rows, (closing, until), kept)
        past = kept(before.people.found(engine, engine.table(who.everyone), ("customer",)), "past")
        past_orders = _past_orders(engine, settings, before, past, open_rows, who, kept)
        evidence = kept(_evidence(engine, settings, past, past_orders, open_rows, who, who.active), "evidence")
        with evaluated(engine, evidence, settings, until) as now:
            fresh = per_customer(now, settings, since).join(_carry(engine, settings, past), on="customer", how="left")
            fresh = engine.table(
                kept(today(fresh, settings).select("customer", *carried.today_columns(settings)), "now")
            )
            newly_settled = now.left_out(since, closing)
            pending = now.left_out(closing, None)
        orders, closed = before.orders, None
        if closing > since:
            closed_rows = open_rows.filter(nw.col("day") < closing)
            evidence = kept(_evidence(engine, settings, past, past_orders, closed_rows, who, who.closing), "evidence")
            with evaluated(engine, evidence, settings, closing - 1) as then:
                sums = closed_customers(then, settings, since, engine.table(past))
                closed = engine.table(kept(sums.select("customer", *carried.closed_columns(settings)), "closed"))
                if settings.has_orders:
                    orders = orders.added(engine, closed_orders(then, settings, since))
        touched = engine.table(who.touched)
        changed = kept(_changed(settings, touched, engine.table(past), fresh, closed), "changed")
        people = before.people.added(engine, engine.table(changed))
        totals = _moved(engine, settings, before.totals, _only(engine.table(past), touched), engine.table(changed))
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
def _tables(engine: Stored) -> Iterator[Any]:
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


@dataclass(frozen=True, slots=True)
class _Who:
    """Tables of the customers that a batch concerns.

    Attributes:
        active: Those with new rows, or rows whose day had not come before; and those with open returns, since what is
            left out of these is counted anew each time.
        closing: Those with rows that the clock closes.
        touched: Those whose rows in the state change.
        marked: Those of whom the past must be laid out as rows. Without returns and orders, sums and dates will do.
        everyone: All of them.
    """

    active: str
    closing: str
    touched: str
    marked: str
    everyone: str

    @classmethod
    def of(
        cls,
        engine: Stored,
        settings: Settings,
        before: Content,
        new: Frame,
        open_rows: Frame,
        days: tuple[int, int],
        kept: Any,
    ) -> _Who:
        """Return who is concerned when rows are added and the clock moves to `days`: first open and last day."""
        first_open, until = days
        turning = open_rows.filter(nw.col("day") > before.until, nw.col("day") <= until)
        named = {
            "fresh": nw.concat([new.select("customer"), turning.select("customer")]),
            "closing": open_rows.filter(nw.col("day") < first_open).select("customer"),
            "returning": open_rows.filter(nw.col("amount") < 0).select("customer"),
        }
        found = {name: kept(frame.unique("customer"), name) for name, frame in named.items()}

        def both(one: str, other: str, name: str) -> str:
            frame = nw.concat([engine.table(one), engine.table(other)]).unique("customer")
            return str(kept(frame, name))

        again = found["returning"]
        if settings.by_order and before.history:  # rows of orders begun before the window are left out, too
            again = kept(open_rows.select("customer").unique("customer"), "again")
        active = both(found["fresh"], again, "active")
        everyone = both(active, found["closing"], "everyone")
        touched = both(found["fresh"], found["closing"], "touched")
        marked = everyone if settings.has_orders else found["returning"]
        return cls(active, found["closing"], touched, marked, everyone)


def _past_orders(
    engine: Stored, settings: Settings, before: Content, past: str, open_rows: Frame, who: _Who, kept: Any
) -> str:
    """Return the table of closed orders that open rows name and, where a purchase is an order, of first days."""
    if not settings.has_orders:
        return ""
    both = ("customer", "order")
    named = _only(open_rows, engine.table(who.everyone)).filter(~nw.col("order").is_null()).select(*both)
    found = before.orders.found(engine, named.unique(list(both)), both)
    if not settings.by_order:
        return str(kept(found, "past_orders"))
    first = engine.table(past).filter(~nw.col("c_first").is_null()).select("customer", day=nw.col("c_first"))
    debut = before.orders.found(engine, first, ("customer", "day"))
    return str(kept(nw.concat([found, debut]).unique(list(both)), "past_orders"))


def _evidence(
    engine: Stored, settings: Settings, past: str, past_orders: str, open_rows: Frame, who: _Who, whom: str
) -> Frame:
    """Return what customers are evaluated from: rows that are open and, where it takes them, rows for the past."""
    mine = _only(open_rows, engine.table(whom)).select(*settings.row_columns, nw.col("amount").alias(FRESH))
    marked = _only(_only(engine.table(past), engine.table(whom)), engine.table(who.marked))
    orders = _only(engine.table(past_orders), engine.table(whom)) if past_orders else None
    return nw.concat([mine, *carried.rows_of_the_past(marked, orders, settings)])


def _carry(engine: Stored, settings: Settings, past: str) -> Frame:
    return engine.table(past).select("customer", *carried.closed_columns(settings))


def _changed(settings: Settings, touched: Frame, past: Frame, fresh: Frame, closed: Frame | None) -> Frame:
    """Return the new rows of customers that change: what was evaluated anew, and the rest as it was."""
    now, then = carried.today_columns(settings), carried.closed_columns(settings)
    found = touched.join(past, on="customer", how="left")
    for frame, names, told in ((fresh, now, "first_day"), (closed, then, "c_first")):
        if frame is not None:
            found = found.join(frame.rename({name: f"new_{name}" for name in names}), on="customer", how="left")
            anew = ~nw.col(f"new_{told}").is_null()
            found = found.with_columns(
                **{name: nw.when(anew).then(nw.col(f"new_{name}")).otherwise(nw.col(name)) for name in names}
            )
    # Whoever only has rows that wait for their day, or returns of nothing, has not bought yet.
    return found.filter(~nw.col("first_day").is_null()).select(*carried.typed(settings))


def _moved(
    engine: Stored, settings: Settings, totals: Mapping[str, float], were: Frame, changed: Frame
) -> dict[str, float]:
    """Return totals after some customers changed."""
    names = ["purchases", "spend", *settings.further]
    sums = []
    for frame in (were, changed):
        counts = nw.when(nw.col("purchases") > 0).then(nw.lit(1)).otherwise(nw.lit(0))
        lines = engine.collect(
            frame.with_columns(customers=counts).select(*(nw.col(name).sum() for name in ["customers", *names]))
        )
        sums.append({name: value or 0 for name, value in lines.to_pylist()[0].items()})
    return {name: totals[name] - sums[0][name] + sums[1][name] for name in totals}


def _after(engine: Stored, rows: Layers, until: int) -> dict[str, tuple[int, float]]:
    """Return the rows of days that have not come yet, as exclusions."""
    if all(segment.last <= until for segment in rows.segments):
        return {}
    later = rows.view(engine).filter(nw.col("day") > until)
    line = engine.collect(later.select(nw.len().alias("rows"), nw.col("amount").sum())).to_pylist()[0]
    return {ledger.AFTER: (int(line["rows"]), float(line["amount"]))} if line["rows"] else {}
