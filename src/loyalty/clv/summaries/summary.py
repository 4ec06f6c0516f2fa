"""Customer summaries: per customer the number and times of purchases that lifetime models are fitted on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, engines, ledger, periods, wording
from loyalty.clv.summaries.acquired import Acquired
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.summaries.people import People, whole
from loyalty.clv.summaries.ready_made import KEYS, argument, refuse_impossible, tidy
from loyalty.errors import EmptyData, InvalidArgument
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loyalty.clv.summaries.spend_cells import SpendCells
    from loyalty.transactions import Transactions

__all__ = ["UNITS", "CustomerSummary", "histories_of", "summarize"]

Frame = nw.LazyFrame[Any]

_WHOLE = 1e-6  # of a day: times that are no farther from whole days are whole days
_LONGEST = 200_000  # days that a grid may have

UNITS: Mapping[str, float] = {"day": 1.0, "week": 7.0, "month": 365.25 / 12.0, "year": 365.25}  # in days


@takes_transactions
def summarize(
    tx: Transactions,
    unit: str = "week",
    *,
    until: Any = None,
    acquired_from: Any = None,
    acquired_until: Any = None,
) -> CustomerSummary:
    """Count every customer's repeat purchases and when the last one was: what lifetime models are fitted on.

    Per customer x = purchases after the first, t_x = time from the first to the last purchase, T = time from the first
    purchase to the end of the window, and the mean spend of the repeat purchases. All purchases that the log knows
    count, also those before `observed_from`, and so do customers who bought only then: leaving them out would keep
    the survivors among old customers and make everybody look more loyal than they are.

    Args:
        tx: The transactions.
        unit: Unit of all times: "day", "week", "month" (365.25/12 days) or "year" (365.25 days).
        until: Last day that counts, such as the end of a calibration period; the end of the window if None.
        acquired_from: Only customers whose first purchase was on this day or later.
        acquired_until: Only customers whose first purchase was on this day or earlier.

    Returns:
        The summary; nothing is computed before it is asked for its customers or cells.

    Raises:
        InvalidArgument: A unit or date is not allowed, or `until` lies outside the data.
        EmptyData: No customer was acquired in the span.

    Spend is net of every return that the log knows, also of those after `until`.

    Ties and nulls: with `occasion="order"` several orders of a day are several purchases. The first purchase is the
    largest of its day.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> log = pd.DataFrame({"customer_id": ["a", "a", "a", "b"], "amount": [10.0, 20.0, 30.0, 5.0],
        ...                     "date": pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-22", "2024-01-15"])})
        >>> summary = ly.summarize(ly.transactions(log, observed_until="2024-01-29"))
        >>> summary.to_native().sort_values("customer_id")
          customer_id  frequency  recency  age  monetary_value
        0           a          2      3.0  4.0            25.0
        1           b          0      0.0  2.0             0.0
    """
    checks.choice("unit", unit, tuple(UNITS))
    who = Acquired.of(tx, until, acquired_from, acquired_until)
    summary = CustomerSummary(
        engine=tx.engine,
        customer=tx.customer,
        unit=unit,
        scale=UNITS[unit],
        rows=lambda: histories_of(_people(who.tx, who.last), who),
        has_spend=True,
        weighted=False,
        until=periods.to_date(who.last),
        notes=who.notes(),
    )
    if not len(summary.cells):
        raise EmptyData(f"no customer was acquired from {who}: widen the span.")
    return summary


def histories_of(people: Frame, who: Acquired) -> Frame:
    """Return the rows of a summary: key columns in days, and mean repeat spend; for authors.

    Args:
        people: Customers with all their purchases, those before the window included: `customer`, `first_day`,
            `last_day`, `purchases`, `spend`, `first_spend`.
        who: Which of them are meant, and the last day that counts.
    """
    people = who.only(people).with_columns(frequency=nw.col("purchases") - 1)
    repeats = nw.col("spend") - nw.col("first_spend")
    divisor = nw.when(nw.col("frequency") > 0).then(nw.col("frequency")).otherwise(nw.lit(1))
    mean = nw.when(nw.col("frequency") > 0).then(repeats / divisor).otherwise(nw.lit(0.0))
    return people.select(
        "customer",
        "frequency",
        recency_key=(nw.col("last_day") - nw.col("first_day")).cast(nw.Int64),
        age_key=(who.last - nw.col("first_day")).cast(nw.Int64),
        monetary_value=mean,
        **who.flag(),
    )


def _people(tx: Transactions, last: int) -> Frame:
    """Return the customers with all their purchases up to a day, those before the window included."""
    if last == tx.window.last and not tx.rules.history:
        return tx.customers

    def build() -> Frame:
        rules = dataclasses.replace(tx.rules, window=periods.Window(tx.data_window().first, last), history=False)
        return ledger.customers(tx.engine.table("purchases").filter(nw.col("day") <= last), rules)

    return tx.kept(f"people_until_{last}".replace("-", "m"), build)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CustomerSummary(People):
    """Per customer: x repeat purchases, t_x time of the last one, T time observed, mean spend of the repeats.

    Made by `summarize`, or by `CustomerSummary.of` from a table that holds these columns already.

    The columns of `frame` and `to_native`: `customer` (where there is one), `frequency`, `recency` and `age` in units,
    `monetary_value` (where spend is known; 0 without a repeat purchase), `weight` (where weighted), `acquired_before`
    (0 or 1, where the log has purchases before the window).

    Attributes:
        engine: Where the rows live; for authors.
        customer: The caller's name of the customer column; None where the table has none.
        rows: Gives the rows in the engine; for authors.
        weighted: Whether a row stands for `weight` customers.
        until: Last day that counts; None where it is not known.
        notes: What a reader must know, a sentence each.
        unit: Unit of times: "day", "week", "month" or "year".
        scale: How many of the engine's time keys make a unit.
        has_spend: Whether the mean spend is known.
    """

    unit: str
    scale: float
    has_spend: bool

    keys: ClassVar = KEYS
    caption: ClassVar = "customer summary"

    @classmethod
    def of(
        cls,
        frame: Any,
        *,
        unit: str,
        customer: Any = None,
        frequency: Any = "frequency",
        recency: Any = "recency",
        age: Any = "T",
        monetary_value: Any = None,
        weight: Any = None,
    ) -> CustomerSummary:
        """Return the summary that a table already holds, such as one made by lifetimes.

        Args:
            frame: Any kind of table that `transactions` opens, with a row per customer (or, with `weight`, per group
                of customers with the same history).
            unit: Unit of its times: "day", "week", "month" or "year".
            customer: Column of customer ids; None where there is none (lifetimes keeps ids in the index: pass
                `frame.reset_index()` and its name).
            frequency: Column of the number of repeat purchases.
            recency: Column of the time from the first to the last purchase.
            age: Column of the time observed since the first purchase.
            monetary_value: Column of the mean spend of repeat purchases; None where it is not known.
            weight: Column of how many customers a row stands for, any positive numbers.

        Raises:
            ColumnError: A column is missing or holds no numbers.
            InvalidRows: A row cannot be: a missing or negative number, a broken count of purchases, recency beyond
                age, or no repeat purchase and yet a recency.
            EmptyData: The table has no rows.

        Examples:
            >>> import pandas as pd, loyalty as ly
            >>> made = pd.DataFrame({"id": [1, 2], "frequency": [2, 0], "recency": [30.43, 0], "T": [38.86, 20.0]})
            >>> print(ly.CustomerSummary.of(made, unit="week", customer="id"))
            2 customers: 1 without a repeat purchase, 2 repeat purchases in all, 2 cells; time in weeks.
        """
        checks.choice("unit", unit, tuple(UNITS))
        engine = engines.connect(frame)
        named = {"customer": customer, "frequency": frequency, "recency_key": recency, "age_key": age}
        named |= {"monetary_value": monetary_value, "weight": weight}
        columns = {role: checks.column(argument(role), label, engine.labels)
                   for role, label in named.items() if label is not None}  # fmt: skip
        spec = engines.RowSpec(columns=columns)
        kept = engine.persist(engine.rows(spec), "summary")
        refuse_impossible(engine, kept, columns)
        return cls(
            engine=engine,
            customer=customer,
            unit=unit,
            scale=1.0,
            rows=lambda: tidy(engine.table(kept), columns),
            has_spend=monetary_value is not None,
            weighted=weight is not None,
        )

    @property
    def days_per_unit(self) -> float:
        """Length of the unit in days."""
        return UNITS[self.unit]

    @property
    def times(self) -> str:
        """What times are counted in, in the plural, such as "weeks"."""
        return f"{self.unit}s"

    @cached_property
    def cells(self) -> Cells:
        """The distinct histories with the number of customers of each, times in units, in a fixed order."""
        found = self.counted
        x, recency, age = (found[name].to_numpy().astype(np.float64) for name in KEYS)
        t_x, T = recency / self.scale, age / self.scale  # noqa: N806
        step = _grid(1.0 / self.days_per_unit, t_x, T)
        return Cells(x, t_x, T, found["weight"].to_numpy().astype(np.float64), step)

    @cached_property
    def spend_cells(self) -> SpendCells:
        """The distinct (repeat purchases, mean spend) that a spend model is fitted on."""
        from loyalty.clv.summaries.spend_cells import SpendCells

        if not self.has_spend:
            raise InvalidArgument(
                "this summary holds no spend: pass monetary_value=<column> to CustomerSummary.of, or make it with "
                "summarize()."
            )
        return SpendCells.from_frame(self.frame(), self.collect)

    def _shown(self, rows: Frame, more: list[str]) -> Frame:
        """Return rows with times in units instead of the engine's keys."""
        here = rows.collect_schema().names()
        front = [name for name in ("customer",) if name in here]
        back = [name for name in ("monetary_value", "weight", "acquired_before") if name in here]
        return rows.with_columns(recency=nw.col("recency_key") / self.scale, age=nw.col("age_key") / self.scale).select(
            *front, "frequency", "recency", "age", *back, *more
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        cells = self.cells
        return {
            "customers": wording.jsonable(self.n_customers),
            "without_repeat": wording.jsonable(whole(cells.weight[cells.x == 0].sum())),
            "repeat_purchases": wording.jsonable(whole((cells.weight * cells.x).sum())),
            "cells": len(cells),
            "unit": self.unit,
            "until": wording.jsonable(self.until),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        told = self.to_dict()
        until = f" until {self.until}" if self.until else ""
        return (
            f"{wording.counted(told['customers'], 'customers')}{until}: {wording.plain(told['without_repeat'])} "
            f"without a repeat purchase, {wording.counted(told['repeat_purchases'], 'repeat purchases')} in all, "
            f"{wording.counted(told['cells'], 'cells')}; time in {self.unit}s."
        )


def _grid(day: float, *times: NDArray[np.float64]) -> float | None:
    """Return a day in units where all times are whole days: a likelihood on a grid is quicker. None elsewhere."""
    for time in times:
        step = time / day
        if step.max(initial=0.0) > _LONGEST or np.abs(step - np.rint(step)).max(initial=0.0) > _WHOLE:
            return None
    return day
