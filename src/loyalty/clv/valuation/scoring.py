"""What customers are worth, in the engine: predictions per cell are joined back, spend and value are expressions.

A customer's value is margin × expected spend × discounted purchases − service cost × discounted years as a customer.
Purchases and time depend on the cell alone; spend follows from the customer's own mean spend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import intervals
from loyalty.clv.models.uncertainty import quadratic, variance_expression
from loyalty.clv.valuation import predictive_value
from loyalty.clv.valuation.cell_values import FARTHEST, CellValues, predict
from loyalty.clv.valuation.standing import NO_WIDTH, doubts

if TYPE_CHECKING:
    from loyalty.clv.models.lifetime import LifetimeFit
    from loyalty.clv.models.mean_spend import MeanSpend
    from loyalty.clv.models.spend import SpendFit
    from loyalty.clv.summaries.summary import CustomerSummary
    from loyalty.clv.valuation.margins import Margins
    from loyalty.clv.valuation.terms import Terms

__all__ = ["Valuation"]

Floats = NDArray[np.float64]
Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, eq=False)
class Valuation:
    """Customers, the models that predict them, and the terms on which they are valued.

    Attributes:
        summary: The customers.
        purchases: Fit of purchases.
        spend: Fit of spend.
        terms: The terms.
        margins: The customers' margins.
    """

    summary: CustomerSummary
    purchases: LifetimeFit
    spend: SpendFit | MeanSpend
    terms: Terms
    margins: Margins

    @cached_property
    def cells(self) -> CellValues:
        """What is predicted for each cell of the summary."""
        return predict(self.purchases, self.summary.cells, self.terms)

    @cached_property
    def doubts(self) -> str:
        """What is to be said of fits that have not plainly converged; nothing where both have."""
        return doubts((self.purchases, self.spend), self.summary.notes)

    @property
    def slopes(self) -> dict[str, nw.Expr]:
        """The derivatives of ln(expected spend) by the logarithms of the spend parameters, as expressions."""
        found = self.spend.log_slopes(nw.col("frequency"), nw.col("monetary_value"))
        return {f"slope_{name}": slope for name, slope in found.items()}

    def spending(self, columns: dict[str, Floats]) -> Frame:
        """Return the customers with columns of their cells, `margin`, `expected_spend` and what `slopes` has."""
        spend = self.spend.spend_expression(nw.col("frequency"), nw.col("monetary_value"))
        frame = self.margins.on(self.summary.with_cells(columns))
        return frame.with_columns(expected_spend=spend, **self.slopes)

    def rows(self) -> Frame:
        """Return a row per customer with all that is told of them; see `CustomerValue.customers`."""
        told = self.cells
        columns = {"p_alive": told.p_alive, "expected_purchases": told.expected, "if_alive": told.if_alive}
        columns |= self._interval_columns
        worth = nw.col("margin") * nw.col("expected_spend") * nw.col("if_alive")
        if told.years is not None:
            columns["years"] = told.years
            worth = worth - self.terms.service_cost * nw.col("years")
        rows = self.spending(columns).with_columns(worth=worth)
        rows = rows.with_columns(
            clv=nw.col("p_alive") * nw.col("worth"), value_at_risk=(1.0 - nw.col("p_alive")) * nw.col("worth")
        )
        low, high = self._limits()
        rows = rows.with_columns(clv_low=low, clv_high=high)
        return self._without_empty(rows) if self.doubts else rows

    def _without_empty(self, rows: Frame) -> Frame:
        """Return rows without the limits of intervals that have no width because the fits leave something open."""
        low, high, stake = nw.col("clv_low"), nw.col("clv_high"), nw.col("worth").abs()
        empty = (stake > 0.0) & (high - low <= stake * NO_WIDTH)
        if self.terms.interval == "predictive":  # in which nothing may well come for sure
            empty = empty & (nw.col("p_alive") <= NO_WIDTH)
        missing = nw.lit(math.nan)
        return rows.with_columns(
            clv_low=nw.when(empty).then(missing).otherwise(low), clv_high=nw.when(empty).then(missing).otherwise(high)
        )

    @cached_property
    def _interval_columns(self) -> dict[str, Floats]:
        """The columns per cell that intervals are made of."""
        if self.terms.interval == "predictive":
            low, high = predictive_value.quantiles(self)
            return {"low_odds": low, "high_odds": high}
        told, covariance = self.cells, self.purchases.log_covariance
        columns = {"variance": quadratic(told.gradient, covariance)}
        if told.years_gradient is not None:
            columns["variance_years"] = quadratic(told.years_gradient, covariance)
            columns["covariance_years"] = quadratic(told.gradient, covariance, told.years_gradient)
        return columns

    def _limits(self) -> tuple[nw.Expr, nw.Expr]:
        """Return the ends of a customer's interval, on rows that have their value."""
        if self.terms.interval == "predictive":
            return predictive_value.limits(self)
        z, value = intervals.normal_quantile(self.terms.confidence), nw.col("clv")
        relative = nw.col("variance") + self._spend_variance()
        if self.cells.years is None:  # on the logarithmic scale
            part = relative.sqrt() * z
            part = nw.when(part > FARTHEST).then(nw.lit(FARTHEST)).otherwise(part)
            ends = value / part.exp(), value * part.exp()
        else:
            cost = nw.col("years") * nw.col("p_alive") * self.terms.service_cost
            earned = value + cost
            variance = (
                earned * earned * relative
                - earned * cost * nw.col("covariance_years") * 2.0
                + cost * cost * nw.col("variance_years")
            )
            half = nw.max_horizontal(variance, nw.lit(0.0)).sqrt() * z
            ends = value - half, value + half
        return nw.min_horizontal(*ends), nw.max_horizontal(*ends)

    def _spend_variance(self) -> nw.Expr:
        """Return the variance of ln(expected spend) that the errors of the spend parameters bring."""
        return variance_expression([nw.col(name) for name in self.slopes], self.spend.log_covariance)
