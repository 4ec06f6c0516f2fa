"""Tables of a fitted lifetime model, of which its pictures are drawn."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from loyalty.clv.models import growth, matrices, purchase_counts
from loyalty.clv.models.evaluation import Evaluation
from loyalty.clv.models.heterogeneity import heterogeneity

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary
    from loyalty.tables import Table

__all__ = ["LifetimeTables"]


class LifetimeTables(Evaluation):
    """What a fitted lifetime model says of all kinds of customers at once; every table has a `.plot()`."""

    def purchase_matrix(
        self, horizon: str | dt.timedelta, *, frequency: int | None = None, age: float | None = None
    ) -> Table:
        """Return the purchases to expect within a horizon, by frequency and recency.

        All customers of the table were observed for the same time. Those with many purchases who bought lately are
        expected to buy most; with a recency of long ago, many purchases are a sign of having left.

        Args:
            horizon: Length of time ahead, such as "365d".
            frequency: The largest number of repeat purchases; None: what at most one customer in a thousand exceeded
                among those whom the model was fitted on.
            age: How long customers were observed, in units of the model, a million at most; None: as long as the
                oldest of those.

        Returns:
            A row per combination that can be, on at most 41 × 41 round numbers: `frequency`, `recency` (from the first
            to the last purchase, in units of the model) and `value` (purchases). Without a repeat purchase recency is
            0, and with one it is above 0. Chart: heat map.

        Raises:
            InvalidArgument: An argument is not allowed, or missing and not remembered by the fit.

        Examples:
            >>> from loyalty.clv.models.lifetime import BGNBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> x, t_x, T = [0, 0, 1, 2, 4, 0, 1], [0, 0, 10, 25, 30, 0, 3], [39, 30, 38, 30, 31, 35, 38]
            >>> fit = BGNBD(l2=0.05).fit(Cells.of(x, t_x, T), unit="week")
            >>> table = fit.purchase_matrix("26w", frequency=2, age=30)
            >>> one = next(row for row in table if row["frequency"] == 2 and row["recency"] == 30)
            >>> round(one["value"] - fit.expected_purchases(frequency=2, recency=30, age=30, horizon="26w"), 12)
            0.0
        """
        return matrices.purchases(self, horizon, frequency, age)

    def alive_matrix(self, *, frequency: int | None = None, age: float | None = None) -> Table:
        """Return the probability of still being a customer, by frequency and recency.

        Args:
            frequency: The largest number of repeat purchases; None: what at most one customer in a thousand exceeded
                among those whom the model was fitted on.
            age: How long customers were observed, in units of the model, a million at most; None: as long as the
                oldest of those.

        Returns:
            A row per combination that can be, as `purchase_matrix` has them: `frequency`, `recency` and `value`.
            Chart: heat map.

        Raises:
            InvalidArgument: An argument is not allowed, or missing and not remembered by the fit.

        Examples:
            >>> from loyalty.clv.models.lifetime import NBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> fit = NBD().fit(Cells.of([0, 1, 3, 0], [0, 5, 30, 0], [39, 38, 38, 30]), unit="week")
            >>> set(fit.alive_matrix()["value"])  # nobody drops out in this model
            {1.0}
        """
        return matrices.alive(self, frequency, age)

    def purchase_counts(self, summary: CustomerSummary, most: int = 7) -> Table:
        """Return how many customers made how many repeat purchases, and how many the model expects to.

        The expectation is exact: the sum over all customers of the probability of so many purchases in the time that
        each was observed. Nothing is simulated.

        Args:
            summary: The customers, as those whom the model was fitted on or others.
            most: The last class: so many purchases or more.

        Returns:
            A row per class: `purchases`, `label` ("0", "1", …, "7+"), `customers` and `expected`, which both add up to
            the number of customers. Chart: bars.

        Raises:
            InvalidArgument: The summary is none or has another unit, or `most` is not allowed.

        Examples:
            >>> import pandas as pd
            >>> from loyalty.clv.models.lifetime import NBD
            >>> from loyalty.clv.summaries.summary import CustomerSummary
            >>> made = pd.DataFrame({"frequency": [0, 1, 3, 0], "recency": [0, 5, 30, 0], "T": [39, 38, 38, 30]})
            >>> summary = CustomerSummary.of(made, unit="week")
            >>> table = NBD().fit(summary).purchase_counts(summary, most=2)
            >>> table["label"], table["customers"]
            (['0', '1', '2+'], [2.0, 1.0, 1.0])
            >>> round(sum(table["expected"]), 9)
            4.0
        """
        return purchase_counts.of_summary(self, summary, most)

    def repeat_purchases(self, horizon: str | dt.timedelta, *, confidence: float = 0.95) -> Table:
        """Return how the repeat purchases of a new customer are expected to add up over time.

        Args:
            horizon: Up to when, such as "365d".
            confidence: Level of the intervals.

        Returns:
            A row for each of 101 times: `time` (since the first purchase, in units of the model), `expected`, `low` and
            `high` (the interval of the expectation, by the delta method) and `observed`, whether anybody of those whom
            the model was fitted on was observed for so long (null where the fit does not remember). Chart: a curve with
            its band.

        Raises:
            InvalidArgument: An argument is not allowed.

        Examples:
            >>> from loyalty.clv.models.lifetime import NBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> fit = NBD().fit(Cells.of([0, 1, 3, 0], [0, 5, 30, 0], [39, 38, 38, 30]), unit="week")
            >>> last = list(fit.repeat_purchases("52w"))[-1]
            >>> bool(last["low"] < last["expected"] < last["high"])
            True
        """
        return growth.over_time(self, horizon, confidence)

    def heterogeneity(self) -> Table:
        """Return how customers differ: the distributions over them that the model gives their rates and chances.

        That is the rate of purchases, Gamma(r, α), and of dropping out: the chance after each purchase, Beta(a, b), of
        the BG/NBD and MBG/NBD, the rate, Gamma(s, β), of the Pareto/NBD, and the rate at first, Gamma(s, β/b), of the
        GGom/NBD, which grows as exp(b·t) (its paper writes η·b for it). In the NBD nobody drops out.

        Returns:
            A row per point of a curve: `rate` (which one, with its unit), `value`, `density` (over customers) and
            `share` (of customers at or below the value). A curve runs from 0 to the value that one customer in a
            hundred exceeds; it begins after 0 where the density is infinite there. Where customers are much alike it
            shows the thousandth to the last but a thousandth of them, and where they are all but the same there is a
            note instead. The note also has what the fit leaves open. Chart: a panel for each rate.

        Examples:
            >>> from loyalty.clv.models.lifetime import BGNBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> x, t_x, T = [0, 0, 1, 2, 4, 0, 1], [0, 0, 10, 25, 30, 0, 3], [39, 30, 38, 30, 31, 35, 38]
            >>> table = BGNBD(l2=0.05).fit(Cells.of(x, t_x, T), unit="week").heterogeneity()
            >>> list(dict.fromkeys(table["rate"]))
            ['purchase rate (per week)', 'chance of dropping out after each repeat purchase']
        """
        return heterogeneity(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw how customers differ (`heterogeneity`); returns the matplotlib Axes."""
        return self.heterogeneity().plot(ax=ax)
