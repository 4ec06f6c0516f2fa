"""One customer valued on the spot: the same numbers as the table's, without a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import intervals, wording
from loyalty.clv.kernels import _gammagamma
from loyalty.clv.models.discounting import YEAR
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.summaries import histories
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.valuation import predictive_value
from loyalty.clv.valuation.cell_values import FARTHEST, time_alive
from loyalty.clv.valuation.margins import odd_margin
from loyalty.clv.valuation.standing import NO_WIDTH, WITHOUT_WIDTH, doubts
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.models.lifetime import LifetimeFit
    from loyalty.clv.models.spend import SpendFit
    from loyalty.clv.valuation.terms import Terms

__all__ = ["NUMBERS", "STEP", "CustomerScore", "Scorer", "score"]

Floats = NDArray[np.float64]

NUMBERS = ("p_alive", "expected_purchases", "expected_spend", "clv", "clv_low", "clv_high", "value_at_risk")
STEP = 1e-6  # of differences in log parameters; one way only, which is near enough for an interval


@dataclass(frozen=True, slots=True, repr=False)
class CustomerScore:
    """What one customer is worth.

    Attributes:
        p_alive: Probability of still being a customer.
        expected_purchases: Within the horizon, not discounted; NaN where there is no horizon.
        expected_spend: Of a purchase, in money.
        clv: Expected value.
        clv_low: Lower end of its interval.
        clv_high: Upper end of its interval.
        value_at_risk: What the customer would be worth if certainly still one, times 1 − P(alive).
        terms: Horizon, margin, rate, costs, kind and level of the interval.
        note: What a reader must know; empty where there is nothing.
    """

    p_alive: float
    expected_purchases: float
    expected_spend: float
    clv: float
    clv_low: float
    clv_high: float
    value_at_risk: float
    terms: Terms
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, the terms and the note by name, JSON-ready."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        found: dict[str, Any] = wording.jsonable({**numbers, "terms": self.terms.told(), "note": self.note})
        return found

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        bought = wording.quantity(self.expected_purchases, "")
        purchases = "" if math.isnan(self.expected_purchases) else f"{bought} expected purchases of "
        money = (wording.quantity(part, "money") for part in (self.clv, self.expected_spend, self.value_at_risk))
        worth, spend, at_risk = money
        each = f"{spend}{'' if purchases else ' expected per purchase'}"
        notes = f" Note: {self.note}." if self.note else ""
        return (
            f"A customer worth {worth} over {self.terms}{self._said_limits()}. Still a customer with a "
            f"probability of {wording.quantity(self.p_alive, 'share')}; {purchases}{each}; value at risk "
            f"{at_risk}.{notes}"
        )

    def _said_limits(self) -> str:
        """Return the interval in words; nothing where there is none."""
        if math.isnan(self.clv_low):
            return ""
        span, level = wording.span(self.clv_low, self.clv_high, "money"), wording.level(self.terms.confidence)
        if self.terms.interval == "confidence":
            return f" ({level} confidence interval {span})"
        return f"; if customers go on buying as the model has it, this one will bring {span} in {level} of cases"


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Models and terms, prepared for customer after customer.

    Attributes:
        fit: The model of purchases.
        spend: The model of spend.
        terms: The terms.
        margin: The margin of all.
        horizon: In units of the model.
        rate: Continuous discount rate per unit.
        moved: The k purchase parameters as fitted, and k times with one of them a little larger.
        z: Half the width of an interval in standard errors.
        staying: (params, x, T) → expected discounted time as a customer, given alive.
        doubts: What is to be said of fits that have not plainly converged; empty where both have.
        note: That, and what is to be said of the margin.
    """

    fit: LifetimeFit
    spend: SpendFit | MeanSpend
    terms: Terms
    margin: float
    horizon: float
    rate: float
    moved: tuple[tuple[float, ...], ...]
    z: float
    staying: Callable[[Any, Any, Any], Floats]
    doubts: str
    note: str

    @classmethod
    def of(cls, fit: LifetimeFit, spend: SpendFit | MeanSpend, terms: Terms) -> Scorer:
        """Return what is prepared.

        Raises:
            InvalidArgument: The margin is no number.
        """
        if not isinstance(terms.margin, float):
            raise InvalidArgument("one customer has one margin: pass a number, score_customer(..., margin=0.3).")
        horizon, rate = terms.days / fit.days_per_unit, fit.discount_rate(terms.annual_discount_rate)
        steps = STEP * np.eye(len(fit.values))
        doubtful = doubts((fit, spend))
        said = odd_margin(terms.margin).removesuffix("."), doubtful
        larger = [tuple((np.array(fit.values) * np.exp(step)).tolist()) for step in steps]
        return cls(
            fit,
            spend,
            terms,
            terms.margin,
            horizon,
            rate,
            (fit.values, *larger),
            intervals.normal_quantile(terms.confidence),
            time_alive(fit, horizon, rate),
            doubtful,
            "; ".join(filter(None, said)),
        )

    @property
    def outlook(self) -> predictive_value.Outlook:
        """What predictive intervals are made of.

        Raises:
            InvalidArgument: The model of spend is a mean, which has no distribution.
        """
        spend, fit = self.spend, self.fit
        if isinstance(spend, MeanSpend):
            raise predictive_value.no_distribution()
        return predictive_value.Outlook.of(
            fit.kernel, (fit.values, fit.log_covariance), (spend.values, spend.log_covariance), self.horizon
        )


def _mean_spend(x: float, monetary_value: Any) -> float:
    """Return the mean spend of repeat purchases, which must be known where there are any."""
    if monetary_value is None and not x:
        return 0.0
    if isinstance(monetary_value, bool) or not isinstance(monetary_value, Real) or not math.isfinite(monetary_value):
        raise InvalidArgument(
            f"monetary_value={monetary_value!r}: give the mean spend of the {x:g} repeat purchases, a number."
        )
    return float(monetary_value)


def score(scorer: Scorer, frequency: Any, recency: Any, age: Any, monetary_value: Any) -> CustomerScore:
    """Return what a customer is worth; times are in the unit of the model.

    Raises:
        InvalidArgument: The history cannot be.
    """
    x, t_x, T = _history(frequency, recency, age)  # noqa: N806
    monetary_value = _mean_spend(x, monetary_value)
    fit, kernel = scorer.fit, scorer.fit.kernel
    alive = [float(kernel.p_alive(params, x, t_x, T)) for params in scorer.moved]
    given = [float(kernel.purchases(params, x, T, scorer.horizon, scorer.rate)) for params in scorer.moved]
    p_alive, if_alive = alive[0], given[0]
    endless = math.isinf(scorer.horizon)
    plain = math.nan if endless else float(kernel.purchases(fit.values, x, T, scorer.horizon, 0.0))
    spend = scorer.spend.expected_spend(frequency=x, monetary_value=monetary_value)
    earned = scorer.margin * spend * p_alive * if_alive
    cost, years = 0.0, None
    if scorer.terms.service_cost:
        years = [float(scorer.staying(params, x, T)) * fit.days_per_unit / YEAR for params in scorer.moved]
        cost = scorer.terms.service_cost * p_alive * years[0]
    if scorer.terms.interval == "predictive":
        low, high = _predictive(scorer, (x, t_x, T), monetary_value, p_alive * if_alive / (p_alive * plain or 1.0))
    else:
        slopes = _slopes(alive, given)
        cost_slopes = None if years is None else _slopes(alive, years)
        low, high = _confidence(scorer, (x, monetary_value), (earned, slopes), (cost, cost_slopes))
    value, note = earned - cost, scorer.note
    worth = scorer.margin * spend * if_alive - (cost / p_alive if cost else 0.0)
    if scorer.doubts and _without_width(scorer, (low, high), worth, p_alive):
        low, high, note = math.nan, math.nan, f"{WITHOUT_WIDTH}; {note}"
    return CustomerScore(p_alive, p_alive * plain, spend, value, low, high, worth * (1.0 - p_alive), scorer.terms, note)


def _without_width(scorer: Scorer, limits: tuple[float, float], worth: float, p_alive: float) -> bool:
    """Return whether an interval has no width beside what the customer is worth if alive; see `Valuation.rows`."""
    empty = worth != 0.0 and limits[1] - limits[0] <= NO_WIDTH * abs(worth)
    return empty and (scorer.terms.interval == "confidence" or p_alive <= NO_WIDTH)


def _history(frequency: Any, recency: Any, age: Any) -> tuple[float, float, float]:
    """Return x, t_x and T of a customer."""
    found = histories.one_customer(frequency, recency, age)
    if found is not None:
        return found
    arrays = histories.read(frequency, recency, age)
    if arrays[0].ndim:
        raise InvalidArgument(
            "score_customer takes one customer: for many pass the same arrays to score_customers(), or a summary "
            "(CustomerSummary.of) to score()."
        )
    x, t_x, T = (float(array) for array in arrays)  # noqa: N806
    return x, t_x, T


def _slopes(alive: Sequence[float], given: Sequence[float]) -> Floats:
    """Return the derivatives of the logarithm of a product by the log parameters; 0 where the product is 0."""
    values = [part * other for part, other in zip(alive, given, strict=True)]
    first = values[0]
    return np.array([math.log(value / first) / STEP if first > 0.0 < value else 0.0 for value in values[1:]])


def _confidence(
    scorer: Scorer, spent: tuple[float, float], earned: tuple[float, Floats], cost: tuple[float, Floats | None]
) -> tuple[float, float]:
    """Return the confidence interval of a value: on the logarithmic scale where nothing is taken off."""
    matrix = scorer.fit.log_covariance
    variance = float(earned[1] @ matrix @ earned[1]) + _spend_variance(scorer.spend, *spent)
    if cost[1] is None:
        factor = math.exp(min(scorer.z * math.sqrt(max(variance, 0.0)), FARTHEST))
        ends = earned[0] / factor, earned[0] * factor
    else:
        across, of_cost = float(earned[1] @ matrix @ cost[1]), float(cost[1] @ matrix @ cost[1])
        square = earned[0] ** 2 * variance - 2.0 * earned[0] * cost[0] * across + cost[0] ** 2 * of_cost
        half, value = scorer.z * math.sqrt(max(square, 0.0)), earned[0] - cost[0]
        ends = value - half, value + half
    return min(ends), max(ends)


def _spend_variance(spend: SpendFit | MeanSpend, x: float, monetary_value: float) -> float:
    """Return the variance of ln(expected spend) for the errors of the spend parameters."""
    if isinstance(spend, MeanSpend):
        return float(spend.log_covariance[0, 0])
    slopes = _gammagamma.log_expected_gradient(spend.values, x, monetary_value)
    return float(slopes @ spend.log_covariance @ slopes)


def _predictive(
    scorer: Scorer, history: tuple[float, float, float], monetary_value: float, discount: float
) -> tuple[float, float]:
    """Return the predictive interval of what a customer will bring before service costs."""
    outlook = scorer.outlook
    x, t_x, T = ([part] for part in history)  # noqa: N806
    found = predictive_value.odds(outlook, Cells.of(x, t_x, T), scorer.terms.confidence)
    scale = outlook.spend[2] + (history[0] * monetary_value if history[0] and monetary_value > 0.0 else 0.0)
    low, high = sorted(scorer.margin * scale * discount * float(odds[0]) for odds in found)
    return low, high
