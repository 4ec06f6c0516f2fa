"""What all customers together are worth, and a new one, with how these numbers move with the parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import intervals
from loyalty.clv.kernels import _gammagamma
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.valuation import chance
from loyalty.clv.valuation.cell_values import FARTHEST, predict
from loyalty.clv.valuation.standing import NO_WIDTH

if TYPE_CHECKING:
    from loyalty.clv.valuation.scoring import Valuation

__all__ = ["Sums", "Worth", "newly_won", "sums_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """An expected value and what is not known of it.

    Attributes:
        value: In money.
        variance: For the errors of the parameters.
        positive: Whether it is a product of positive numbers, with nothing taken off.
        at_stake: What it would be were nobody lost yet, before costs: the size that its errors are compared with.
    """

    value: float
    variance: float
    positive: bool
    at_stake: float

    @property
    def without_width(self) -> bool:
        """Whether its standard error is nothing beside the money at stake, where there is some."""
        return bool(self.at_stake) and math.sqrt(max(self.variance, 0.0)) <= NO_WIDTH * abs(self.at_stake)

    def scaled(self, factor: float) -> Worth:
        """Return a multiple of it."""
        return Worth(self.value * factor, self.variance * factor * factor, self.positive, self.at_stake * factor)

    def shifted(self, amount: float) -> Worth:
        """Return it with a known sum of money added."""
        return Worth(self.value + amount, self.variance, self.positive and not amount, self.at_stake)

    def confidence_limits(self, confidence: float) -> tuple[float, float]:
        """Return the ends of its confidence interval (delta method), on the logarithmic scale where it is positive."""
        half = intervals.normal_quantile(confidence) * math.sqrt(max(self.variance, 0.0))
        if not (self.positive and self.value > 0.0):
            return self.value - half, self.value + half
        factor = math.exp(min(half / self.value, FARTHEST))
        return self.value / factor, self.value * factor

    def predictive_limits(self, confidence: float, by_chance: float) -> tuple[float, float]:
        """Return the ends of the interval of what will really come; they are never inside the confidence interval.

        Args:
            confidence: Level of the interval.
            by_chance: Variance that chance adds; NaN gives no limits.
        """
        if self.positive and self.value > 0.0:
            return chance.total_limits(self.value, self.variance, by_chance, confidence)
        half = intervals.normal_quantile(confidence) * math.sqrt(by_chance + max(self.variance, 0.0))
        return self.value - half, self.value + half


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over all customers, each counted with its weight.

    Attributes:
        customers: Number of customers, or the sum of their weights.
        margin: Mean margin.
        total: Value of all together.
        chance: Variance of what they bring, were the parameters known; NaN where it is not.
    """

    customers: float
    margin: float
    total: Worth
    chance: float


def sums_of(valuation: Valuation) -> Sums:
    """Return the sums over all customers, found in one query."""
    told, cells, summary = valuation.cells, valuation.summary.cells, valuation.summary
    names = [f"by_{place}" for place in range(len(told.gradient))]
    columns = {"bought": told.bought, "if_alive": told.if_alive}
    columns |= dict(zip(names, told.gradient * told.bought, strict=True))
    rows = valuation.spending({**columns, **chance.columns(valuation)})
    earning = nw.col("margin") if not summary.weighted else nw.col("margin") * nw.col("weight")
    rows = rows.with_columns(earning=earning).with_columns(earned=nw.col("earning") * nw.col("expected_spend"))
    slopes = list(valuation.slopes)
    parts = {
        "margins": nw.col("earning"),
        **{name: nw.col("earned") * nw.col(name) for name in columns},
        **{name: nw.col("earned") * nw.col("bought") * nw.col(name) for name in slopes},
        **chance.parts(valuation),
    }
    found = summary.collect(rows.select(**parts).select(*(nw.col(name).sum() for name in parts))).to_pylist()[0]
    by_spend = np.array([found[name] for name in slopes])
    by_purchases, costs = np.array([found[name] for name in names]), 0.0
    if told.years is not None and told.years_gradient is not None:
        each = valuation.terms.service_cost * told.p_alive * told.years * cells.weight
        costs, by_purchases = float(each.sum()), by_purchases - told.years_gradient @ each
    total = _worth(valuation, found["bought"] - costs, (by_purchases, by_spend), found["if_alive"])
    mean = found["margins"] / cells.customers
    return Sums(cells.customers, mean, total, max(found["chance"], 0.0) if "chance" in found else math.nan)


def newly_won(valuation: Valuation, margin: float) -> Worth:
    """Return what a new customer is worth at some margin, the first purchase included."""
    told = predict(valuation.purchases, Cells.of([0.0], [0.0], [0.0]), valuation.terms)
    spend, bought = _new_spend(valuation), float(told.bought[0])
    value, by_purchases = margin * spend[0] * (1.0 + bought), margin * spend[0] * bought * told.gradient[:, 0]
    if told.years is not None and told.years_gradient is not None:
        cost = valuation.terms.service_cost * float(told.p_alive[0] * told.years[0])
        value, by_purchases = value - cost, by_purchases - cost * told.years_gradient[:, 0]
    by_spend = margin * (1.0 + bought) * spend[0] * spend[1]
    return _worth(valuation, value, (by_purchases, by_spend), margin * spend[0] * (1.0 + bought))


def _new_spend(valuation: Valuation) -> tuple[float, Floats]:
    """Return the expected spend of somebody of whom nothing is known, and the slopes of its logarithm."""
    spend = valuation.spend
    value = float(spend.expected_spend(frequency=0, monetary_value=0.0))
    if isinstance(spend, MeanSpend):
        return value, np.ones(1)
    return value, _gammagamma.log_expected_gradient(spend.values, np.zeros(1), np.zeros(1))[:, 0]


def _worth(valuation: Valuation, value: float, slopes: tuple[Floats, Floats], at_stake: float) -> Worth:
    """Return a value with the variance that follows from its derivatives by the logarithms of all parameters."""
    by_purchases, by_spend = slopes
    of_purchases = float(by_purchases @ valuation.purchases.log_covariance @ by_purchases)
    variance = of_purchases + float(by_spend @ valuation.spend.log_covariance @ by_spend)
    return Worth(value, variance, not valuation.terms.service_cost, at_stake)
