"""Tables of a fitted BG/BB model, of which its pictures are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loyalty.clv.models import growth, matrices, purchase_counts
from loyalty.clv.models.discrete_evaluation import DiscreteEvaluation
from loyalty.clv.models.heterogeneity import heterogeneity

if TYPE_CHECKING:
    from loyalty.clv.summaries.opportunities import Opportunities
    from loyalty.tables import Table

__all__ = ["DiscreteTables"]


class DiscreteTables(DiscreteEvaluation):
    """What a fitted BG/BB model says of all kinds of customers at once; every table has a `.plot()`."""

    def purchase_matrix(self, periods: int, *, frequency: int | None = None, opportunities: int | None = None) -> Table:
        """Return at how many of the next opportunities to expect a purchase, by frequency and recency.

        Args:
            periods: How many opportunities ahead, 1 or more.
            frequency: The largest number of opportunities used; None: all of them.
            opportunities: How many opportunities the customers had; None: the most that anybody had of those whom the
                model was fitted on.

        Returns:
            A row per combination that can be, on at most 41 × 41 round numbers: `frequency`, `recency` (the last
            opportunity used, 0 without one) and `value` (purchases). Chart: heat map.

        Raises:
            InvalidArgument: An argument is not allowed, or missing and not remembered by the fit.

        Examples:
            >>> from loyalty.clv.models.discrete import BGBB
            >>> from loyalty.clv.summaries.cells import Cells
            >>> givers = Cells.of([0, 1, 1, 2, 2, 3], [0, 1, 3, 2, 3, 3], [3] * 6, [60, 15, 7, 8, 10, 9])
            >>> table = BGBB(l2=0.05).fit(givers, period="year").purchase_matrix(periods=5)
            >>> len(table), table.data.column_names  # of 16 combinations these can be
            (7, ['frequency', 'recency', 'value'])
        """
        return matrices.purchases_at_opportunities(self, periods, frequency, opportunities)

    def alive_matrix(self, *, frequency: int | None = None, opportunities: int | None = None) -> Table:
        """Return the probability of being alive at the last opportunity, by frequency and recency.

        Args:
            frequency: The largest number of opportunities used; None: all of them.
            opportunities: How many opportunities the customers had; None: the most that anybody had of those whom the
                model was fitted on.

        Returns:
            A row per combination that can be, as `purchase_matrix` has them: `frequency`, `recency` and `value`.
            Chart: heat map.

        Raises:
            InvalidArgument: An argument is not allowed, or missing and not remembered by the fit.

        Examples:
            >>> from loyalty.clv.models.discrete import BGBB
            >>> from loyalty.clv.summaries.cells import Cells
            >>> givers = Cells.of([0, 1, 1, 2, 2, 3], [0, 1, 3, 2, 3, 3], [3] * 6, [60, 15, 7, 8, 10, 9])
            >>> table = BGBB(l2=0.05).fit(givers, period="year").alive_matrix()
            >>> [row["value"] for row in table if row["recency"] == 3]  # who bought at the last one was there
            [1.0, 1.0, 1.0]
        """
        return matrices.alive_at_opportunities(self, frequency, opportunities)

    def purchase_counts(self, data: Opportunities, most: int = 7) -> Table:
        """Return how many customers bought at how many opportunities, and how many the model expects to.

        The expectation is exact: the sum of the probabilities over all customers, each with their own number of
        opportunities. Nothing is simulated.

        Args:
            data: The customers, as those whom the model was fitted on or others.
            most: The last class: so many purchases or more. Where nobody had so many opportunities, the last class is
                that of all of them.

        Returns:
            A row per class: `purchases`, `label` ("0", "1", …, "7+"), `customers` and `expected`, which both add up to
            the number of customers. Chart: bars.

        Raises:
            InvalidArgument: The data are no opportunities or have another period, or `most` is not allowed.

        Examples:
            >>> import pandas as pd
            >>> from loyalty.clv.models.discrete import BGBB
            >>> from loyalty.clv.summaries.opportunities import Opportunities
            >>> givers = pd.DataFrame({"frequency": [0, 1, 1, 2, 2, 3], "recency": [0, 1, 3, 2, 3, 3], "n": 3})
            >>> givers["size"] = [60, 15, 7, 8, 10, 9]
            >>> years = Opportunities.of(givers, period="year", opportunities="n", weight="size")
            >>> table = BGBB(l2=0.05).fit(years).purchase_counts(years)
            >>> table["label"], table["customers"]
            (['0', '1', '2', '3'], [60.0, 22.0, 18.0, 9.0])
            >>> round(sum(table["expected"]), 9)
            109.0
        """
        return purchase_counts.of_opportunities(self, data, most)

    def repeat_purchases(self, periods: int, *, confidence: float = 0.95) -> Table:
        """Return how the purchases of a new customer are expected to add up from opportunity to opportunity.

        Args:
            periods: Up to which opportunity.
            confidence: Level of the intervals.

        Returns:
            A row per opportunity (of more than 100, every second, third, …): `time` (opportunities so far), `expected`,
            `low` and `high` (the interval of the expectation, by the delta method) and `observed`, whether anybody of
            those whom the model was fitted on had so many (null where the fit does not remember). Chart: a curve with
            its band.

        Raises:
            InvalidArgument: An argument is not allowed.

        Examples:
            >>> from loyalty.clv.models.discrete import BGBB
            >>> from loyalty.clv.summaries.cells import Cells
            >>> givers = Cells.of([0, 1, 1, 2, 2, 3], [0, 1, 3, 2, 3, 3], [3] * 6, [60, 15, 7, 8, 10, 9])
            >>> fit = BGBB(l2=0.05).fit(givers, period="year")
            >>> table = fit.repeat_purchases(5)
            >>> table["time"], table["observed"]
            ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [True, True, True, True, False, False])
        """
        return growth.at_opportunities(self, periods, confidence)

    def heterogeneity(self) -> Table:
        """Return how customers differ: the distributions over them of both chances.

        That is the chance of buying at an opportunity, Beta(α, β), and of dropping out before one, Beta(γ, δ).

        Returns:
            A row per point of a curve: `rate` (which one), `value`, `density` (over customers) and `share` (of
            customers at or below the value). A curve begins after 0, and ends before 1, where the density is infinite
            there. Chart: a panel for each.

        Examples:
            >>> from loyalty.clv.models.discrete import BGBB
            >>> from loyalty.clv.summaries.cells import Cells
            >>> givers = Cells.of([0, 1, 1, 2, 2, 3], [0, 1, 3, 2, 3, 3], [3] * 6, [60, 15, 7, 8, 10, 9])
            >>> table = BGBB(l2=0.05).fit(givers, period="year").heterogeneity()
            >>> list(dict.fromkeys(table["rate"]))
            ['chance of buying in a year', 'chance of dropping out before a year']
        """
        return heterogeneity(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw how customers differ (`heterogeneity`); returns the matplotlib Axes."""
        return self.heterogeneity().plot(ax=ax)
