"""Tables of a fitted spend model, of which its pictures are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loyalty.clv.models.fits import Fit
from loyalty.clv.models.heterogeneity import heterogeneity
from loyalty.clv.models.spend_density import spend_density

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary
    from loyalty.tables import Table

__all__ = ["SpendTables"]


class SpendTables(Fit):
    """What a fitted spend model says of all customers at once; every table has a `.plot()`."""

    def density(self, summary: CustomerSummary) -> Table:
        """Return how many customers had which mean spend, and how many the model expects to.

        The mean of x purchases varies the less the larger x is: what is expected is the model's distribution of the
        mean of x purchases, for the numbers x that customers really made, and exact. Customers without a repeat
        purchase, and those whose repeat purchases cost nothing or less in all, are not in it.

        Args:
            summary: The customers, as those whom the model was fitted on or others.

        Returns:
            A row per bar, all of one width on a logarithmic scale, from the lowest mean spend to the highest: `from`
            (inside) and `to` (outside) in money, `customers`, `expected` and `density`, the model's at the (geometric)
            middle of the bar, per unit of money. The model also expects some customers outside of all bars.
            Chart: bars with the curve of what is expected.

        Raises:
            InvalidArgument: The summary is none, or holds no spend.
            EmptyData: Nobody has a repeat purchase that cost anything.

        Source: Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", note 025, eq. 1a.

        Examples:
            >>> import pandas as pd
            >>> from loyalty.clv.models.spend import GammaGamma
            >>> from loyalty.clv.summaries.summary import CustomerSummary
            >>> made = pd.DataFrame({"frequency": [1, 1, 1, 2, 2, 5, 9, 9, 0], "recency": [2] * 8 + [0], "T": 9,
            ...                      "spend": [5, 90, 20, 12, 60, 20, 55, 15, 0]})
            >>> summary = CustomerSummary.of(made, unit="week", monetary_value="spend")
            >>> table = GammaGamma().fit(summary).density(summary)
            >>> sum(table["customers"]), bool(6.0 < sum(table["expected"]) < 8.0)
            (8.0, True)
        """
        return spend_density(self, summary)

    def heterogeneity(self) -> Table:
        """Return how customers differ: the distribution over them of their own mean spend per purchase.

        A customer's mean spend is p/ν, and ν is Gamma(q, γ) over customers.

        Returns:
            A row per point of the curve: `rate` (what it is), `value` (money), `density` (over customers) and `share`
            (of customers at or below the value). A curve ends with a hundredth of the customers beyond it, or with
            more where that is farther than thirty times the median, which would hide the rest; where no such end is
            near, and where customers are all but the same, there is a note instead. Chart: the curve.

        Examples:
            >>> from loyalty.clv.models.spend import GammaGamma
            >>> from loyalty.clv.summaries.spend_cells import SpendCells
            >>> fit = GammaGamma().fit(SpendCells.of([1, 1, 1, 2, 2, 5, 9, 9, 0], [5, 90, 20, 12, 60, 20, 55, 15, 0]))
            >>> round(fit.heterogeneity()["share"][-1], 9)
            0.99
        """
        return heterogeneity(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw how customers differ (`heterogeneity`); returns the matplotlib Axes."""
        return self.heterogeneity().plot(ax=ax)
