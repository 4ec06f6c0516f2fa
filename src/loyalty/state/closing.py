"""Days that are too long ago for late rows are closed: of their purchases, only sums and a few facts are carried on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import ledger
from loyalty.state import carried
from loyalty.state.evaluation import Evaluation, per_customer

if TYPE_CHECKING:
    from loyalty.state.settings import Settings

__all__ = ["closed_customers", "closed_orders", "today"]

Frame = nw.LazyFrame[Any]
_ROUNDING = 1e-12  # part of two sums that is left by their last digits alone


def today(fresh: Frame, settings: Settings) -> Frame:
    """Return customers with all that is known of them: what is closed, and on top of it what is open.

    Args:
        fresh: The columns of `per_customer`, with those of what is closed (null for new customers).
        settings: The rules of the state.
    """
    return fresh.with_columns(
        first_day=_kept("c_first", "first_day"),
        first_inside=_kept("c_inside", "inside_day"),
        purchases=nw.col("c_purchases").fill_null(0) + nw.col("n_inside"),
        purchases_before=nw.col("c_purchases_before").fill_null(0) + nw.col("n_before"),
        spend=_sum(nw.col("c_spend").fill_null(0.0), nw.col("spend_inside")),
        spend_before=_sum(nw.col("c_spend_before").fill_null(0.0), nw.col("spend_before")),
        first_spend=_first_spend(settings),
        **{name: _sum(nw.col(f"c_{name}").fill_null(0.0), nw.col(name)) for name in settings.further},
    )


def _kept(closed: str, fresh: str) -> nw.Expr:
    """Return a day that is closed, else the one found among open rows."""
    return nw.when(nw.col(closed).is_null()).then(nw.col(fresh)).otherwise(nw.col(closed))


def _sum(closed: nw.Expr, fresh: nw.Expr) -> nw.Expr:
    """Return a sum of money; of what was returned whole nothing is left, as in the ledger."""
    both = closed + fresh
    return nw.when(both.abs() > _ROUNDING * (closed.abs() + fresh.abs())).then(both).otherwise(nw.lit(0.0))


def _first_spend(settings: Settings) -> nw.Expr:
    if settings.by_order:
        return nw.col("debut")
    closed = nw.col("c_first_spend").fill_null(0.0)
    # Where the past was not laid out as rows, the first day evaluated is not the first.
    first = nw.col("c_first").is_null() | (nw.col("first_day") == nw.col("c_first"))
    return nw.when(first).then(_sum(closed, nw.col("debut_fresh"))).otherwise(closed)


def closed_customers(then: Evaluation, settings: Settings, since: int | None, past: Frame | None) -> Frame:
    """Return customers as of the last day that is closed, and the same once more as what is carried on.

    Args:
        then: Their purchases as of that day.
        settings: The rules of the state.
        since: First day that was open until now; None: nothing was closed.
        past: What was carried until now; None: nothing.
    """
    names = carried.closed_columns(settings)
    sums = per_customer(then, settings, since)
    if past is None:
        sums = sums.with_columns(**{name: nw.lit(None).cast(nw.Float64) for name in names})
    else:
        sums = sums.join(past.select("customer", *names), on="customer", how="left")
    now = today(sums, settings)
    if settings.by_order:
        now = now.drop("c_loose", "c_loose_back").join(_loose(then), on="customer", how="left")
    same = {f"c_{name}": name for name in ("purchases", "purchases_before", "spend", "spend_before")}
    same |= {f"c_{name}": name for name in settings.further}
    same |= {"c_first": "first_day", "c_inside": "first_inside", "c_last": "last_day"}
    same |= {} if settings.by_order else {"c_first_spend": "first_spend"}
    return now.select(*carried.typed(settings, {into: nw.col(name) for into, name in same.items()}))


def _loose(then: Evaluation) -> Frame:
    """Return sales without an order on first days, and returns that named none of its orders."""
    engine = then.engine
    bought = engine.table(then.bought)
    first = bought.group_by("customer").agg(c_first=nw.col("day").min())
    both = ["customer", "c_first"]
    rows = bought.filter(nw.col("order").is_null()).select("customer", c_first=nw.col("day"), c_loose=nw.col("spend"))
    found = first.join(rows, on=both, how="left")
    if not then.booked:
        return found.select("customer", "c_loose", c_loose_back=nw.lit(None).cast(nw.Float64))
    back = engine.table(then.booked).filter(nw.col("own") == 0, ~nw.col("day").is_null())
    back = back.group_by("customer", "day").agg(c_loose_back=nw.col("spend").sum()).rename({"day": "c_first"})
    return found.join(back, on=both, how="left").select("customer", "c_loose", "c_loose_back")


def closed_orders(then: Evaluation, settings: Settings, since: int | None) -> Frame:
    """Return the orders that rows which are closed from now on name, as they stand; all of them if `since` is None."""
    engine, both = then.engine, ["customer", "order"]
    rows = ledger.usable(engine.table(then.rows), then.rules).filter(~nw.col("order").is_null())
    recent = rows if since is None else rows.filter(nw.col("day") >= since)
    named = recent.select(*both).unique(both)
    if not settings.by_order:
        made = rows.filter(nw.col("amount") >= 0).group_by(*both).agg(nw.col("day").min().cast(nw.Int32))
        return made.join(named, on=both, how="semi").select(*both, "day")
    made = engine.table(then.bought).join(named, on=both, how="semi")
    made = made.select(*both, nw.col("day").cast(nw.Int32), gross=nw.col("spend"))
    if not then.booked:
        return made.with_columns(back=nw.lit(0.0))
    back = engine.table(then.booked).filter(nw.col("own") == 1).group_by(*both).agg(back=nw.col("spend").sum())
    return made.join(back, on=both, how="left").with_columns(nw.col("back").fill_null(0.0))
