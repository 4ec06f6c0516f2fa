"""The row rules: canonical rows become purchases and customers, and whatever is left out is counted.

Every row ends in exactly one place: in a purchase of the observed window, or in the exclusions with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import narwhals.stable.v2 as nw

from loyalty import periods

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Census",
    "Rules",
    "activity",
    "book_returns",
    "calendar",
    "customers",
    "first_days",
    "purchases",
    "with_period",
]

Frame = nw.LazyFrame[Any]
_ROUNDING = 1e-12  # part of what was bought and returned that is left by the last digits of sums alone
_ROWS = nw.len().cast(nw.Int64).alias("rows")  # typed, so that frames of every engine stack

SALE, RETURN = "sale", "return"
NO_CUSTOMER = "no_customer"
INVALID = {
    "date": "invalid_date",
    "amount": "invalid_amount",
    "cost": "invalid_cost",
    "discount": "invalid_discount",
}
BEFORE, AFTER = "before_observed_from", "after_observed_until"
DROPPED = "return_dropped"
WITHOUT_PURCHASE = "return_without_purchase"
OF_EARLIER_PURCHASE = "return_of_purchase_before_observed_from"
_CODES = [SALE, RETURN, NO_CUSTOMER, *INVALID.values()]
_INSIDE, _BEFORE, _AFTER = 0, 1, 2
_MONEY = ("amount", "cost", "discount")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the caller decided about rows.

    Attributes:
        roles: The roles that have a column.
        occasion: "day" or "order": what makes a purchase.
        returns: "net", "drop" or "error".
        window: The observed window.
        data_from: First day in the data, history included.
        history: Whether there are sales before the window.
        booked: Whether returns may reduce purchases.
    """

    roles: frozenset[str]
    occasion: str
    returns: str
    window: periods.Window
    data_from: int
    history: bool
    booked: bool

    @property
    def money(self) -> list[str]:
        """The columns of money in canonical rows."""
        return [name for name in _MONEY if name in self.roles]

    @property
    def sums(self) -> list[str]:
        """The columns of money in purchases and customers."""
        return ["spend" if name == "amount" else name for name in self.money]

    @property
    def cancelling(self) -> list[str]:
        """Those of `sums` whose parts may cancel: spend where nothing came back is a sum of sales alone."""
        return [name for name in self.sums if name != "spend" or self.booked]

    @property
    def key(self) -> list[str]:
        """The columns that make a purchase; `loose_day` keeps rows without an order apart by day."""
        return ["customer", "day"] if self.occasion == "day" else ["customer", "order", "loose_day"]

    @property
    def key_and_day(self) -> list[str]:
        """The columns of a purchase that are no money."""
        return list(dict.fromkeys([*self.key, "day"]))


@dataclass(frozen=True, slots=True)
class Census:
    """Rows of each kind: a row per kind and position against the window's given ends.

    Attributes:
        table: Columns `kind` (a place in the list of kinds), `position`, `rows`, `amount`, `first`, `last`.
    """

    table: pa.Table

    @classmethod
    def query(cls, rows: Frame, roles: frozenset[str], first: int | None, last: int | None) -> Frame:
        """Return the query whose result a census holds."""
        kind = nw.when(nw.col("amount") < 0).then(nw.lit(1)).otherwise(nw.lit(0))
        for role in [role for role in reversed(INVALID) if role in roles]:
            bad = nw.col("day" if role == "date" else role).is_null()
            kind = nw.when(bad).then(nw.lit(_CODES.index(INVALID[role]))).otherwise(kind)
        kind = nw.when(nw.col("customer").is_null()).then(nw.lit(_CODES.index(NO_CUSTOMER))).otherwise(kind)
        position = nw.lit(_INSIDE)
        if last is not None:
            position = nw.when(nw.col("day") > last).then(nw.lit(_AFTER)).otherwise(position)
        if first is not None:
            position = nw.when(nw.col("day") < first).then(nw.lit(_BEFORE)).otherwise(position)
        marked = rows.select("day", "amount", kind=kind, position=position)
        return marked.group_by("kind", "position").agg(
            rows=nw.len(), amount=nw.col("amount").sum(), first=nw.col("day").min(), last=nw.col("day").max()
        )

    def _lines(
        self, kinds: Sequence[str], positions: Sequence[int] = (_INSIDE, _BEFORE, _AFTER)
    ) -> list[dict[str, Any]]:
        wanted = [_CODES.index(kind) for kind in kinds]
        return [line for line in self.table.to_pylist() if line["kind"] in wanted and line["position"] in positions]

    def rows(self, *kinds: str) -> int:
        """Return how many rows are of the given kinds (of all, if none is given)."""
        return sum(line["rows"] for line in self._lines(kinds or _CODES))

    def days(self) -> tuple[int, int] | None:
        """Return the first and last day among rows with a customer and usable values, up to the window's end."""
        lines = self._lines([SALE, RETURN], (_INSIDE, _BEFORE))
        return (min(line["first"] for line in lines), max(line["last"] for line in lines)) if lines else None

    def sales_before(self) -> int:
        """Return how many sales precede the window."""
        return sum(line["rows"] for line in self._lines([SALE], [_BEFORE]))

    def sales_inside(self) -> int:
        """Return how many sales lie in the window."""
        return sum(line["rows"] for line in self._lines([SALE], [_INSIDE]))

    def returns_to_book(self) -> int:
        """Return how many returns lie at or before the window's end."""
        return sum(line["rows"] for line in self._lines([RETURN], (_INSIDE, _BEFORE)))

    def exclusions(self, returns: str) -> dict[str, tuple[int, float]]:
        """Return reason → (rows, amount) for what is left out before returns are booked."""
        found = {kind: self._lines([kind]) for kind in [NO_CUSTOMER, *INVALID.values()]}
        kept = [SALE] if returns == "drop" else [SALE, RETURN]
        if returns == "drop":
            found[DROPPED] = self._lines([RETURN])
        found[BEFORE], found[AFTER] = self._lines(kept, [_BEFORE]), self._lines(kept, [_AFTER])
        return {
            reason: (sum(line["rows"] for line in lines), float(sum(line["amount"] or 0.0 for line in lines)))
            for reason, lines in found.items()
            if lines
        }


def usable(rows: Frame, rules: Rules) -> Frame:
    """Return the rows with a customer and usable values up to the window's end, keyed by occasion."""
    needed = ["customer", "day", *rules.money]
    rows = rows.filter(nw.col("day") <= rules.window.last, *(~nw.col(name).is_null() for name in needed))
    if rules.occasion == "order":
        loose = nw.when(nw.col("order").is_null()).then(nw.col("day")).otherwise(nw.lit(-1))
        rows = rows.with_columns(loose_day=loose.cast(nw.Int64))
    return rows


def purchases(rows: Frame, rules: Rules) -> Frame:
    """Return one row per purchase, before returns: key, `day`, `spend`, and `cost`, `discount` where named."""
    sales = usable(rows, rules).filter(nw.col("amount") >= 0)
    aggregates = [nw.col(name).sum().alias(into) for name, into in zip(rules.money, rules.sums, strict=True)]
    if rules.occasion == "order":
        aggregates.append(nw.col("day").min())
    return sales.group_by(*rules.key).agg(*aggregates)


def book_returns(rows: Frame, bought: Frame, rules: Rules) -> Frame:
    """Return the returns, each with the purchase it reduces.

    A return reduces the purchase of its own order where that was made by its date, else the customer's latest
    purchase on or before its date (of several orders that day, the one of largest spend).

    Returns:
        Columns: the purchase's key and `day` (`day` null: there is no such purchase), `return_day`, sums of money,
        `rows` and `own` (1: by its own order, 0: by the latest purchase).
    """
    money = [nw.col(name).sum().alias(into) for name, into in zip(rules.money, rules.sums, strict=True)]
    back = usable(rows, rules).filter(nw.col("amount") < 0)
    if "order" not in rules.roles:
        summed = back.group_by("customer", "day").agg(*money, _ROWS)
        return _latest(summed, bought, rules)
    summed = back.group_by("customer", "day", "order").agg(*money, _ROWS)
    made = usable(rows, rules).filter(nw.col("amount") >= 0, ~nw.col("order").is_null())
    made = made.group_by("customer", "order").agg(made_day=nw.col("day").min())
    paired = summed.join(made, on=["customer", "order"], how="left")
    own_order = nw.col("made_day") <= nw.col("day")
    matched = paired.filter(own_order)
    matched = matched.with_columns(return_day=nw.col("day"), loose_day=nw.lit(-1).cast(nw.Int64)).with_columns(
        day=nw.col("made_day"), own=nw.lit(1)
    )
    others = paired.filter(~own_order | nw.col("made_day").is_null())
    sums = [nw.col(name).sum() for name in rules.sums]
    others = others.group_by("customer", "day").agg(*sums, nw.col("rows").sum().cast(nw.Int64))
    columns = _booked_columns(rules)
    return nw.concat([matched.select(*columns), _latest(others, bought, rules)])


def _booked_columns(rules: Rules) -> list[str]:
    return [*rules.key_and_day, "return_day", *rules.sums, "rows", "own"]


def _latest(back: Frame, bought: Frame, rules: Rules) -> Frame:
    """Return returns (a row per customer and day) with the customer's latest purchase on or before their day."""
    mine = bought.join(back.select("customer"), on="customer", how="semi")
    columns = {name: nw.col(name) for name in _booked_columns(rules)} | {"own": nw.lit(0)}
    if rules.occasion == "day":
        back = _reached(back, mine.select("customer", "day", number=nw.col("day")), rules)
        columns["day"] = nw.when(nw.col("number") > periods.BEFORE_ALL_DAYS).then(nw.col("number")).cast(nw.Int32)
        return back.select(**columns)
    order_by = ["day", "spend", "order", "loose_day"]
    mine = mine.with_columns(number=nw.col("day").cum_count().over("customer", order_by=order_by).cast(nw.Int64))
    back = _reached(back, mine.group_by("customer", "day").agg(nw.col("number").max()), rules)
    target = mine.select(*rules.key_and_day, "number")
    return back.drop("day").join(target, on=["customer", "number"], how="left").select(**columns)


def _reached(back: Frame, days: Frame, rules: Rules) -> Frame:
    """Return returns, at `return_day`, with the largest `number` that their customer's days reach until then.

    Args:
        back: A row per customer and day.
        days: `customer`, `day`, and a `number` that grows from day to day.
        rules: The columns of money.

    Returns:
        `number` is `periods.BEFORE_ALL_DAYS` where no day is reached.
    """
    number, never = nw.col("number").cast(nw.Int64), nw.lit(periods.BEFORE_ALL_DAYS).cast(nw.Int64)
    nothing = {name: nw.lit(0.0) for name in rules.sums} | {"rows": nw.lit(0).cast(nw.Int64)}
    marks = nw.concat(
        [
            days.select("customer", "day", number=number, **nothing, is_return=nw.lit(0)),
            back.select("customer", "day", never.alias("number"), *rules.sums, "rows", is_return=nw.lit(1)),
        ]
    )
    reached = nw.col("number").cum_max().over("customer", order_by=["day", "is_return"])
    return marks.with_columns(number=reached, return_day=nw.col("day")).filter(nw.col("is_return") == 1)


def net_of_returns(bought: Frame, booked: Frame, rules: Rules) -> Frame:
    """Return purchases reduced by the returns booked to them; other customers' purchases pass through.

    Of a purchase that was returned whole nothing is left, whatever the last digits of its sums: 0.1 + 0.2 - 0.3 is 0.
    """
    booked = booked.filter(~nw.col("day").is_null())
    names = [*rules.key_and_day, *rules.sums]
    touched = booked.select("customer")
    mixed = nw.concat([bought.join(touched, on="customer", how="semi").select(*names), booked.select(*names)])
    day = [] if "day" in rules.key else [nw.col("day").min()]
    sums = [nw.col(name).sum() for name in rules.sums]
    netted = mixed.group_by(*rules.key).agg(*sums, *_gross(rules.sums), *day)
    netted = _without_rounding(netted, rules.key_and_day, rules.sums)
    return nw.concat([bought.join(touched, on="customer", how="anti").select(*names), netted])


def _gross(names: Sequence[str]) -> list[nw.Expr]:
    """Return the aggregates that sum money without its sign: what `_without_rounding` measures a sum against."""
    return [nw.col(name).abs().sum().alias(f"gross_{name}") for name in names]


def _without_rounding(frame: Frame, others: Sequence[str], names: Sequence[str]) -> Frame:
    """Return columns of a frame, sums of money being 0 where nothing but the last digits of floats is left of them.

    Args:
        frame: Sums of money, and what `_gross` gives of `names`.
        others: The columns that stay as they are.
        names: The sums that may cancel.
    """
    left = {
        name: nw.when(nw.col(name).abs() > _ROUNDING * nw.col(f"gross_{name}"))
        .then(nw.col(name))
        .otherwise(nw.lit(0.0))
        for name in names
    }
    return frame.select(*others, **left)


def booked_outside(booked: Frame, rules: Rules) -> Frame:
    """Return the query that counts returns of the window that reduce no purchase of the window, by reason."""
    reason = nw.when(nw.col("day").is_null()).then(nw.lit(0)).otherwise(nw.lit(1))
    away = nw.col("day").is_null() | (nw.col("day") < rules.window.first)
    inside = booked.filter(nw.col("return_day") >= rules.window.first, away)
    inside = inside.with_columns(reason=reason)
    return inside.group_by("reason").agg(nw.col("rows").sum(), amount=nw.col("spend").sum())


def straddling(rows: Frame, bought: Frame, rules: Rules) -> Frame:
    """Return the query that counts sale rows of the window whose order began before it."""
    inside = usable(rows, rules).filter(nw.col("amount") >= 0, nw.col("day") >= rules.window.first)
    early = bought.filter(nw.col("day") < rules.window.first).select("customer", "order")
    return inside.join(early, on=["customer", "order"], how="semi").select(rows=nw.len(), amount=nw.col("amount").sum())


def first_days(bought: Frame) -> Frame:
    """Return each customer's first purchase day, history included."""
    return bought.group_by("customer").agg(first_day=nw.col("day").min())


def customers(bought: Frame, rules: Rules) -> Frame:
    """Return one row per customer who bought in the window.

    Columns: `customer`, `first_day` (history included), `acquired_before` (0 or 1), `first_inside` (first purchase day
    of the window), `last_day`, `purchases`, `spend`, `first_spend` (of the very first purchase; 0 where that lies
    before the window), and `cost`, `discount` where named.
    """
    inside = bought.filter(nw.col("day") >= rules.window.first) if rules.history else bought
    base = inside.group_by("customer").agg(
        nw.col("day").min().alias("first_inside"),
        nw.col("day").max().alias("last_day"),
        nw.len().alias("purchases"),
        *(nw.col(name).sum() for name in rules.sums),
        *_gross(rules.cancelling),
    )
    # A return may be booked to one purchase and outweigh it by what another one brought: 0.7 + (0.1 - 0.8) is 0.
    plain = [name for name in rules.sums if name not in rules.cancelling]
    base = _without_rounding(base, ["customer", "first_inside", "last_day", "purchases", *plain], rules.cancelling)
    if rules.history:
        base = base.join(first_days(bought), on="customer", how="inner")
    else:
        base = base.with_columns(first_day=nw.col("first_inside"))
    debut = inside.select("customer", "day", first_spend=nw.col("spend"))
    if rules.occasion == "order":  # several orders may share the first day: the largest is the first purchase
        debut = debut.group_by("customer", "day").agg(nw.col("first_spend").max())
    how: Literal["left", "inner"] = "left" if rules.history else "inner"
    both = base.join(debut, left_on=["customer", "first_day"], right_on=["customer", "day"], how=how)
    before = nw.when(nw.col("first_day") < rules.window.first).then(nw.lit(1)).otherwise(nw.lit(0))
    return both.select(
        "customer",
        "first_day",
        "first_inside",
        "last_day",
        nw.col("purchases").cast(nw.Int64),
        *rules.sums,
        nw.col("first_spend").fill_null(0.0),
        acquired_before=before.cast(nw.Int64),
    )


def calendar(rules: Rules, period: periods.PeriodName) -> pa.Table:
    """Return the period of every day of the data: columns `calendar_day`, `period`.

    A small table to join with: calendar arithmetic in an engine's own expressions is slower, and differs by engine.
    """
    import numpy as np
    import pyarrow as pa

    days = np.arange(min(rules.data_from, rules.window.first), rules.window.last + 1, dtype=np.int32)
    found = periods.period_index(days, period).astype(np.int32)  # half as wide in every group and window
    return pa.table({"calendar_day": days, "period": found})


def with_period(frame: Frame, days: Frame, day: str = "day", into: str = "period") -> Frame:
    """Return a frame widened by the period of a column of days; `days` is the attached `calendar`."""
    return frame.join(days.rename({"period": into}), left_on=day, right_on="calendar_day", how="inner")


def activity(bought: Frame, people: Frame, days: Frame, rules: Rules) -> Frame:
    """Return one row per customer and period of the window with a purchase; `days` is the attached `calendar`.

    Columns: `customer`, `period`, `spend`, `next_period` and `next_spend` (the customer's next row; null where there
    is none), `first_period` (of the very first purchase, history included).
    """
    inside = bought.filter(nw.col("day") >= rules.window.first) if rules.history else bought
    inside = with_period(inside.select("customer", "spend", "day"), days)
    cancelling = ["spend"] if rules.booked else []
    active = inside.group_by("customer", "period").agg(nw.col("spend").sum(), *_gross(cancelling))
    if cancelling:
        active = _without_rounding(active, ["customer", "period"], cancelling)
    following = [
        nw.col(name).shift(-1).over("customer", order_by="period").alias(f"next_{name}") for name in ("period", "spend")
    ]
    if not rules.history:  # the first period is one of the window: no need to look at the customers
        return active.with_columns(*following, first_period=nw.col("period").min().over("customer"))
    first = with_period(people.select("customer", "first_day"), days, "first_day", "first_period")
    return active.with_columns(*following).join(first.select("customer", "first_period"), on="customer", how="inner")


def gaps(bought: Frame, rules: Rules) -> Frame:
    """Return one row per purchase that is not its customer's first of those given.

    Columns: `customer`, `gap` (days since the purchase before) and `second` (whether that was the first one).
    """
    order_by = ["day"] if rules.occasion == "day" else ["day", "spend", "order"]
    before, earlier = (nw.col("day").shift(places).over("customer", order_by=order_by) for places in (1, 2))
    found = bought.with_columns(gap=nw.col("day") - before, earlier=earlier).filter(~nw.col("gap").is_null())
    return found.select("customer", "gap", second=nw.col("earlier").is_null())
