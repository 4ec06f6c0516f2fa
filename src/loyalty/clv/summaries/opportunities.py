"""Transaction opportunities: in how many periods each customer could have bought again, and in how many they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, engines, periods, wording
from loyalty.clv.summaries.acquired import Acquired
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.summaries.people import People, whole
from loyalty.clv.summaries.ready_made import refuse_rows
from loyalty.errors import EmptyData
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.periods import PeriodName
    from loyalty.transactions import Transactions

__all__ = ["PERIOD_DAYS", "Opportunities", "opportunities"]

Frame = nw.LazyFrame[Any]

PERIOD_DAYS: Mapping[str, float] = {
    "day": 1.0,
    "week": 7.0,
    "month": 365.25 / 12.0,
    "quarter": 365.25 / 4.0,
    "year": 365.25,
}
_KEYS = ("frequency", "recency", "opportunities")


@takes_transactions
def opportunities(
    tx: Transactions,
    period: PeriodName = "year",
    *,
    until: Any = None,
    acquired_from: Any = None,
    acquired_until: Any = None,
) -> Opportunities:
    """Count in how many periods every customer could have bought again and did: what BG/BB models are fitted on.

    A customer is acquired in the calendar period of the first purchase. Every complete period after it is an
    opportunity: n of them up to the end, x with a purchase (however many), t_x the last of these. A period not wholly
    over at the end is none, and what was bought in it does not count. All purchases that the log knows count, also
    those before `observed_from`, and so do customers who bought only then: leaving them out would keep the survivors
    among old customers and make everybody look more loyal than they are.

    Args:
        tx: The transactions.
        period: "day", "week" (from Monday), "month", "quarter" or "year".
        until: Last day that counts, such as the end of a calibration period; the end of the window if None.
        acquired_from: Only customers whose first purchase was on this day or later.
        acquired_until: Only customers whose first purchase was on this day or earlier.

    Returns:
        The opportunities; nothing is computed before it is asked for its customers or cells. Customers without any
        opportunity yet are among them: they say nothing about the parameters, but can be scored.

    Raises:
        InvalidArgument: A period or date is not allowed, or `until` lies outside the data.
        EmptyData: No customer was acquired in the span, or none has had an opportunity.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> log = pd.DataFrame({"customer_id": ["a", "a", "a", "b"], "amount": [10.0, 20.0, 30.0, 5.0],
        ...                     "date": pd.to_datetime(["2021-03-01", "2023-01-08", "2023-06-22", "2022-01-15"])})
        >>> tx = ly.transactions(log, observed_until="2024-05-31")
        >>> opportunities(tx, "year").to_native().sort_values("customer_id")
          customer_id  frequency  recency  opportunities
        0           a          1        2              2
        1           b          0        0              1
    """
    checks.choice("period", period, periods.PERIODS)
    who = Acquired.of(tx, until, acquired_from, acquired_until)
    found = Opportunities(
        engine=tx.engine,
        customer=tx.customer,
        period=period,
        rows=lambda: _acquired(_of_transactions(tx, period, who.last), who),
        weighted=False,
        until=periods.to_date(who.last),
        notes=(*who.notes(), *_open_period(period, who.last)),
    )
    _refuse_nothing(found, str(who))
    return found


def _of_transactions(tx: Transactions, period: PeriodName, last: int) -> Frame:
    """Return a row per customer with a purchase up to a day: `customer`, `first_day` and the keys of cells."""
    final = periods.period_index(last + 1, period) - 1  # the last period that is over

    def build() -> Frame:
        bought = tx.engine.table("purchases").filter(nw.col("day") <= last).select("customer", "day")
        active = tx.with_period(bought, period).group_by("customer", "period").agg(first_day=nw.col("day").min())
        over = nw.col("period") <= final
        active = active.with_columns(
            counts=nw.when(over).then(nw.lit(1)).otherwise(nw.lit(0)), over=nw.when(over).then(nw.col("period"))
        )
        people = active.group_by("customer").agg(
            nw.col("first_day").min(),
            first=nw.col("period").min(),
            latest=nw.col("over").max(),
            active=nw.col("counts").sum(),
        )
        acquired = nw.col("active") > 0
        return people.select(
            "customer",
            "first_day",
            frequency=nw.when(acquired).then(nw.col("active") - 1).otherwise(nw.lit(0)).cast(nw.Int64),
            recency=nw.when(acquired).then(nw.col("latest") - nw.col("first")).otherwise(nw.lit(0)).cast(nw.Int64),
            opportunities=nw.when(acquired).then(final - nw.col("first")).otherwise(nw.lit(0)).cast(nw.Int64),
        )

    return tx.kept(f"opportunities_{period}_{last}".replace("-", "m"), build)


def _acquired(people: Frame, who: Acquired) -> Frame:
    """Return the customers acquired in a span, those of the history flagged."""
    return who.only(people).select("customer", *_KEYS, **who.flag())


def _open_period(period: PeriodName, last: int) -> tuple[str, ...]:
    """Return the note that purchases of a period that is not over do not count."""
    index = periods.period_index(last, period)
    end = periods.period_start(index + 1, period) - 1
    if last == end:
        return ()
    note = (
        f"The {period} {periods.period_label(index, period)} does not count, since the log ends on "
        f"{periods.to_date(last)}, before it is over. If that is all there was, pass "
        f'observed_until="{periods.to_date(end)}" to transactions().'
    )
    return (note,)


def _refuse_nothing(found: Opportunities, span: str) -> None:
    """Raise where nobody is left, or nobody had an opportunity."""
    cells = found.cells
    if not len(cells):
        raise EmptyData(f"no customer was acquired from {span}: widen the span.")
    if not cells.T.any():
        raise EmptyData(
            f"no customer has had an opportunity yet: no complete {found.period} lies between the one in which they "
            f"were acquired and {found.until}. Choose a shorter period or a longer window."
        )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Opportunities(People):
    """Per customer: n opportunities to buy again, x of them used, the last of these at t_x.

    Made by `opportunities`, or by `Opportunities.of` from a table that holds these columns already.

    Attributes:
        engine: Where the rows live; for authors.
        customer: The caller's name of the customer column; None where the table has none.
        period: What an opportunity is: "day", "week", "month", "quarter" or "year".
        rows: Gives the rows in the engine; for authors.
        weighted: Whether a row stands for `weight` customers.
        until: Last day that counts; None where it is not known.
        notes: What a reader must know, a sentence each.
    """

    period: str

    keys: ClassVar = _KEYS
    caption: ClassVar = "opportunities"

    @classmethod
    def of(
        cls,
        frame: Any,
        *,
        period: str,
        customer: Any = None,
        frequency: Any = "frequency",
        recency: Any = "recency",
        opportunities: Any = "opportunities",
        weight: Any = None,
    ) -> Opportunities:
        """Return the opportunities that a table already holds.

        Args:
            frame: Any kind of table that `transactions` opens, with a row per customer (or, with `weight`, per group
                of customers with the same history).
            period: How long an opportunity is: "day", "week", "month", "quarter" or "year".
            customer: Column of customer ids; None where there is none.
            frequency: Column of the number of opportunities with a purchase, after the one of acquisition.
            recency: Column of the last opportunity with a purchase, 0 without one.
            opportunities: Column of the number of opportunities.
            weight: Column of how many customers a row stands for, any positive numbers.

        Raises:
            ColumnError: A column is missing or holds no numbers.
            InvalidRows: A row cannot be: a missing, broken or negative number, more purchases than opportunities up to
                the last one, or a last purchase after the last opportunity.
            EmptyData: The table has no rows, or nobody had an opportunity.

        Examples:
            >>> import pandas as pd
            >>> made = pd.DataFrame({"frequency": [0, 1, 2], "recency": [0, 2, 2], "n": [3, 3, 2], "size": [50, 9, 4]})
            >>> print(Opportunities.of(made, period="year", opportunities="n", weight="size"))
            63 customers: 50 without a repeat purchase, 17 purchases at 185 opportunities, 3 cells; periods of a year.
        """
        checks.choice("period", period, periods.PERIODS)
        engine = engines.connect(frame)
        named = {"customer": customer, "frequency": frequency, "recency": recency, "opportunities": opportunities}
        named["weight"] = weight
        columns = {
            role: checks.column(role, label, engine.labels) for role, label in named.items() if label is not None
        }
        kept = engine.persist(engine.rows(engines.RowSpec(columns=columns)), "opportunities")
        _refuse_impossible(engine, kept, columns)
        found = cls(
            engine=engine,
            customer=customer,
            period=period,
            rows=lambda: engine.table(kept).with_columns(*(nw.col(name).cast(nw.Int64) for name in _KEYS)),
            weighted=weight is not None,
        )
        _refuse_nothing(found, "the table")
        return found

    @property
    def days_per_period(self) -> float:
        """Length of a period in days, on average."""
        return PERIOD_DAYS[self.period]

    @property
    def times(self) -> str:
        """What times are counted in, in the plural, such as "years"."""
        return f"{self.period}s"

    @cached_property
    def cells(self) -> Cells:
        """The distinct histories (x, t_x and, as T, n) with the number of customers of each, in a fixed order."""
        x, recency, n, weight = (self.counted[name].to_numpy().astype(np.float64) for name in (*_KEYS, "weight"))
        return Cells(x, recency, n, weight, 1.0)

    def _shown(self, rows: Frame, more: list[str]) -> Frame:
        """Return rows with the columns to show, in order."""
        here = rows.collect_schema().names()
        front = [name for name in ("customer",) if name in here]
        back = [name for name in ("weight", "acquired_before") if name in here]
        return rows.select(*front, *_KEYS, *back, *more)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        cells = self.cells
        return {
            "customers": wording.jsonable(self.n_customers),
            "without_repeat": wording.jsonable(whole(cells.weight @ (cells.x == 0))),
            "purchases": wording.jsonable(whole(cells.weight @ cells.x)),
            "opportunities": wording.jsonable(whole(cells.weight @ cells.T)),
            "cells": len(cells),
            "period": self.period,
            "until": wording.jsonable(self.until),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        told = self.to_dict()
        until = f" until {self.until}" if self.until else ""
        return (
            f"{wording.counted(told['customers'], 'customers')}{until}: {wording.plain(told['without_repeat'])} "
            f"without a repeat purchase, {wording.counted(told['purchases'], 'purchases')} at "
            f"{wording.counted(told['opportunities'], 'opportunities')}, {wording.counted(told['cells'], 'cells')}; "
            f"periods of a {self.period}."
        )


def _refuse_impossible(engine: engines.Engine, kept: str, columns: Mapping[str, Any]) -> None:
    """Raise where a row of a ready-made table cannot be a customer's history."""
    x, recency, n = (nw.col(name) for name in _KEYS)
    wrong = {f"{role} missing or not finite": nw.col(role).is_null() for role in columns if role != "customer"}
    for name in _KEYS:
        wrong[f"{name} negative or no whole number"] = (nw.col(name) < 0) | (nw.col(name) != nw.col(name).floor())
    wrong |= {
        "frequency above recency": x > recency,
        "recency above opportunities": recency > n,
        "recency without a purchase": (x == 0) & (recency > 0),
        "opportunities above 100,000": n > 100_000,
    }
    refuse_rows(
        engine,
        kept,
        columns,
        wrong,
        "opportunities are the periods after the one in which a customer was acquired, frequency counts those with a "
        "purchase, recency is the last of these.",
    )
