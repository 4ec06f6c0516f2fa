"""Which customers of a log are summarised, and until when: the arguments that all summaries of a log share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import periods
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.transactions import Transactions

__all__ = ["Acquired"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True)
class Acquired:
    """A span of acquisition and the last day that counts, in civil day numbers.

    Attributes:
        tx: The transactions.
        last: Last day that counts.
        first_day: Customers acquired earlier are left out; None leaves nobody out.
        final_day: Customers acquired later are left out; None leaves nobody out.
    """

    tx: Transactions
    last: int
    first_day: int | None
    final_day: int | None

    @classmethod
    def of(cls, tx: Transactions, until: Any, acquired_from: Any, acquired_until: Any) -> Acquired:
        """Return the span that a caller's arguments say, after a look at them."""
        last = tx.window.last if until is None else periods.day_number(until, "until")
        known = tx.data_window()
        if not known.first <= last <= known.last:
            raise InvalidArgument(
                f"until={until!r} lies outside the data ({periods.to_date(known.first)} to {tx.observed_until}): "
                "give a date within."
            )
        first = None if acquired_from is None else periods.day_number(acquired_from, "acquired_from")
        final = None if acquired_until is None else periods.day_number(acquired_until, "acquired_until")
        if first is not None and final is not None and first > final:
            raise InvalidArgument(f"acquired_from={acquired_from!r} comes after acquired_until={acquired_until!r}.")
        return cls(tx, last, first, final)

    def __str__(self) -> str:
        first = self.tx.data_window().first if self.first_day is None else self.first_day
        final = self.last if self.final_day is None else self.final_day
        return f"{periods.to_date(first)} to {periods.to_date(final)}"

    def only(self, people: Frame) -> Frame:
        """Return the customers acquired in the span; `people` has the column `first_day`."""
        if self.first_day is not None:
            people = people.filter(nw.col("first_day") >= self.first_day)
        if self.final_day is not None:
            people = people.filter(nw.col("first_day") <= self.final_day)
        return people

    def flag(self) -> dict[str, nw.Expr]:
        """Return the column that flags customers acquired before the window, where the log has any."""
        before = nw.when(nw.col("first_day") < self.tx.window.first).then(nw.lit(1)).otherwise(nw.lit(0))
        return {"acquired_before": before.cast(nw.Int64)} if self.tx.rules.history else {}

    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know about purchases before the window or before the log."""
        start = self.tx.data_window().first
        notes = []
        if self.tx.rules.history:
            notes.append(
                f"Purchases before {self.tx.observed_from} count too, and so do customers who bought only then "
                "(column acquired_before)."
            )
        if self.first_day is None or self.first_day <= start:
            notes.append(
                f"The log begins on {periods.to_date(start)}: customers who had bought before it count as new from "
                "their first purchase in it. Where there were such customers, fit on those acquired later "
                "(acquired_from=)."
            )
        return tuple(notes)
