"""What customers' rows come to as of a day: purchases by the rules of the ledger, then sums per customer.

Rows here bear one more sum, `fresh`: the money that no sum carried from the past holds yet. What stands for the past
(see `carried`) has none.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import engines, ledger
from loyalty.periods import BEFORE_ALL_DAYS
from loyalty.state.settings import FRESH, CarryRules, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Evaluation", "evaluated", "per_customer"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Purchases of some customers as of a day, kept in an engine.

    Attributes:
        engine: Where they are.
        rules: The rules of the ledger as of that day.
        rows: Name of the table of rows.
        bought: Name of the table of purchases before returns.
        booked: Name of the table of returns with their purchases; "" where nothing is booked.
        netted: Name of the table of purchases after returns.
    """

    engine: engines.Engine
    rules: CarryRules
    rows: str
    bought: str
    booked: str
    netted: str

    def left_out(self, since: int, before: int | None) -> dict[str, tuple[int, float]]:
        """Return reason → (rows, amount) of open rows that are in no purchase of the window.

        Args:
            since: Only rows of this day or later.
            before: Only rows before this day, if given.
        """
        found: dict[str, tuple[int, float]] = {}
        if self.booked:
            booked = _between(self.engine.table(self.booked), "return_day", since, before)
            for line in self.engine.collect(ledger.booked_outside(booked, self.rules)).to_pylist():
                reason = (ledger.WITHOUT_PURCHASE, ledger.OF_EARLIER_PURCHASE)[line["reason"]]
                found[reason] = (int(line["rows"]), float(line["amount"]))
        if self.rules.occasion == "order":
            rows = _between(self.engine.table(self.rows), "day", since, before)
            query = ledger.straddling(rows, self.engine.table(self.bought), self.rules)
            line = self.engine.collect(query).to_pylist()[0]
            if line["rows"]:
                found[ledger.BEFORE] = (int(line["rows"]), float(line["amount"]))
        return found


def _between(frame: Frame, day: str, since: int, before: int | None) -> Frame:
    frame = frame.filter(nw.col(day) >= since)
    return frame if before is None else frame.filter(nw.col(day) < before)


@contextmanager
def evaluated(engine: engines.Engine, rows: str, settings: Settings, last: int) -> Iterator[Evaluation]:
    """Give the purchases that rows come to as of a day; they are dropped afterwards.

    Args:
        engine: Where the rows are.
        rows: The name of their table: `customer`, `day`, `order` where named, money and `fresh`.
        settings: The rules of the state.
        last: The day; later rows are left out.
    """
    rules = settings.rules(last)
    names = [engine.persist(ledger.purchases(engine.table(rows), rules), "bought")]
    try:
        booked = ""
        if settings.returns == "net" and _any_return(engine, rows, last):
            booked = engine.persist(ledger.book_returns(engine.table(rows), engine.table(names[0]), rules), "booked")
            names.append(booked)
            netted = ledger.net_of_returns(engine.table(names[0]), engine.table(booked), rules)
            names.append(engine.persist(netted, "netted"))
        yield Evaluation(engine, rules, rows, names[0], booked, names[-1])
    finally:
        for name in names:
            engine.drop(name)


def _any_return(engine: engines.Engine, rows: str, last: int) -> bool:
    frame = engine.table(rows).filter(nw.col("amount") < 0, nw.col("day") <= last)
    return bool(engine.collect(frame.select("customer").head(1)).num_rows)


def per_customer(found: Evaluation, settings: Settings, since: int | None) -> Frame:
    """Return what the purchases of each customer come to.

    Args:
        found: The purchases.
        settings: The rules of the state.
        since: First day that is open: purchases before it are in carried sums already. None: nothing is carried.

    Returns:
        Columns: `customer`, `first_day`, `last_day`, `inside_day` (first of the window), numbers of new purchases
        `n_inside` and `n_before`, sums of fresh money `spend_inside`, `spend_before`, and of `cost`, `discount` where
        named; `debut_fresh`, fresh spend on the first day, and `debut`, the largest purchase of that day.
    """
    netted = found.engine.table(found.netted)
    ends = netted.group_by("customer").agg(
        nw.col("day").min().alias("first_day"), nw.col("day").max().alias("last_day")
    )
    inside = nw.col("day") >= settings.first
    new = nw.col("day") >= (BEFORE_ALL_DAYS if since is None else since)
    debut = nw.col("day") == nw.col("first_day")
    one, none = nw.lit(1), nw.lit(0)
    marked = netted.join(ends, on="customer", how="inner").with_columns(
        inside_day=nw.when(inside).then(nw.col("day")),
        n_inside=nw.when(inside & new).then(one).otherwise(none),
        n_before=nw.when(~inside & new).then(one).otherwise(none),
        spend_inside=nw.when(inside).then(nw.col(FRESH)).otherwise(nw.lit(0.0)),
        spend_before=nw.when(~inside).then(nw.col(FRESH)).otherwise(nw.lit(0.0)),
        debut_fresh=nw.when(debut).then(nw.col(FRESH)).otherwise(nw.lit(0.0)),
        debut=nw.when(debut).then(nw.col("spend")),
        **{name: nw.when(inside).then(nw.col(name)).otherwise(nw.lit(0.0)) for name in settings.further},
    )
    sums = ("n_inside", "n_before", "spend_inside", "spend_before", "debut_fresh", *settings.further)
    return marked.group_by("customer", "first_day", "last_day").agg(
        nw.col("inside_day").min(), nw.col("debut").max(), *(nw.col(name).sum() for name in sums)
    )
