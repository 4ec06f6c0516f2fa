"""What was to be expected after a split: by a fitted model, and by the rules of thumb that it must beat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.backtesting.spans import outcome_spans
from loyalty.clv.kernels._gammagamma import log_expected_gradient
from loyalty.clv.models.spend import SpendFit
from loyalty.clv.valuation import chance

if TYPE_CHECKING:
    from loyalty.clv.backtesting.holdout import Holdout
    from loyalty.clv.backtesting.spans import Span
    from loyalty.clv.models.predictions import CellPredictions, LifetimeFit

__all__ = ["Forecast", "naive", "of_model"]

Floats = NDArray[np.float64]
Limits = tuple[float, float]

_NO_LIMITS: Limits = (math.nan, math.nan)
_SECOND_MOMENT = 2.0  # q above which the model's spend has one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """What somebody expected of the customers of a holdout, a value per row of it.

    Attributes:
        name: Name of the model or baseline.
        kind: "model" or "baseline".
        purchases: Expected purchases of each customer, shape (m,); None where it says nothing of them.
        revenue: Expected revenue of each customer after margin, shape (m,); None where it says nothing of it.
        count_span: Where the purchases that happened lie in the predicted distribution; None without one.
        revenue_span: Where the revenue that happened lies in it; None without one.
        total_purchases: Predictive interval of the purchases of all customers; NaN without one.
        total_revenue: That of their revenue; NaN without one.
    """

    name: str
    kind: str
    purchases: Floats | None
    revenue: Floats | None
    count_span: Span | None = None
    revenue_span: Span | None = None
    total_purchases: Limits = _NO_LIMITS
    total_revenue: Limits = _NO_LIMITS


def naive(held: Holdout, margin: float, *, revenue: bool) -> list[Forecast]:
    """Return the forecasts of the baselines; see `loyalty.backtest`.

    All but the formula of tickets count repeat purchases only, as the models do: what made somebody a customer does
    not come again. A calibration period shorter than the holdout is scaled to its length. A customer acquired on the
    day of the split has no rate yet and gets that of all customers.
    """
    x, age, days = held.cells.x[held.cell], held.age[held.cell].astype(np.float64), float(held.days)
    spend = x * held.mean_spend
    scale = max(1.0, days / held.calibration_days)
    observed = float(age @ held.customers)
    found = {"last_period": (held.recent_purchases * scale, held.recent_revenue * scale)}
    pooled = [float(what @ held.customers) / observed if observed else math.nan for what in (x, spend)]
    own = [np.divide(what, age, out=np.full(len(age), mean), where=age > 0.0)
           for what, mean in zip((x, spend), pooled, strict=True)]  # fmt: skip
    found["customer_rate"] = own[0] * days, own[1] * days
    found["population_mean"] = np.full(len(x), pooled[0] * days), np.full(len(x), pooled[1] * days)
    forecasts = [Forecast(name=name, kind="baseline", purchases=purchases, revenue=worth * margin if revenue else None)
                 for name, (purchases, worth) in found.items()]  # fmt: skip
    return [*forecasts, _ticket_formula(held, margin)] if revenue else forecasts


def _ticket_formula(held: Holdout, margin: float) -> Forecast:
    """Return average ticket × purchases per customer in a period × margin, the formula of textbooks."""
    until = held.split - held.daily.first + 1
    spend, purchases = (float(column[:until].sum()) for column in (held.daily.spend, held.daily.purchases))
    ticket, frequency = spend / purchases, purchases / float(held.customers.sum()) / held.calibration_days
    worth = ticket * frequency * held.days * margin
    return Forecast(name="ticket_formula", kind="baseline", purchases=None, revenue=np.full(len(held.cell), worth))


def of_model(
    name: str, fit: LifetimeFit, spend_fit: Any, held: Holdout, *, margin: float, confidence: float
) -> Forecast:
    """Return what a fitted model expects, with where the outcomes lie in its distributions.

    Args:
        name: What it is called.
        fit: The fitted model.
        spend_fit: The fitted spend model; None leaves revenue out.
        held: The holdout.
        margin: Share of spend that is earned.
        confidence: Level of the intervals of the totals.
    """
    predicted = fit.cell_predictions(held.cells, horizon=held.horizon)
    whole = spend_fit if isinstance(spend_fit, SpendFit) else None  # which knows the distribution of spend
    count_span, revenue_span = outcome_spans(fit, whole, held, predicted.p_alive)
    purchases, spent, total_revenue = predicted.expected_purchases[held.cell], None, _NO_LIMITS
    if spend_fit is not None:
        x = held.cells.x[held.cell]
        spent = purchases * np.asarray(spend_fit.expected_spend(frequency=x, monetary_value=held.mean_spend))
    if whole is not None and spent is not None:
        total_revenue = _total_revenue(fit, whole, predicted, held, spent, confidence)
    return Forecast(
        name=name,
        kind="model",
        purchases=purchases,
        revenue=None if spent is None else spent * margin,
        count_span=count_span,
        revenue_span=revenue_span,
        total_purchases=_total_purchases(fit, predicted, held, confidence),
        total_revenue=(total_revenue[0] * margin, total_revenue[1] * margin),
    )


def _total_purchases(fit: LifetimeFit, predicted: CellPredictions, held: Holdout, confidence: float) -> Limits:
    """Return the predictive interval of all customers' purchases: what chance adds, and the parameters' errors."""
    n, expected = held.cells.weight, predicted.expected_purchases
    own = float(n @ np.maximum(predicted.second_moment - expected * expected, 0.0))
    slope = predicted.log_gradient @ (n * expected)
    return _limits(float(n @ expected), float(slope @ fit.log_covariance @ slope), own, confidence)


def _total_revenue(
    fit: LifetimeFit, spend_fit: SpendFit, predicted: CellPredictions, held: Holdout, spent: Floats, confidence: float
) -> Limits:
    """Return the predictive interval of what all customers spend; NaN where its variance is infinite.

    Purchases vary around a mean μ of the customer's own, of which E[μ²] = E[μ]²·(px + q − 1)/(px + q − 2) is known, by
    μ²/p: N of them have the square E[N²]·E[μ²] + E[N]·E[μ²]/p.
    """
    p, q, _ = spend_fit.values
    x, n = held.cells.x[held.cell], held.customers
    if q <= _SECOND_MOMENT:
        return _NO_LIMITS
    each = np.asarray(spend_fit.expected_spend(frequency=x, monetary_value=held.mean_spend), np.float64)
    square = each * each * (p * x + q - 1.0) / (p * x + q - 2.0)
    bought, squared = predicted.expected_purchases[held.cell], predicted.second_moment[held.cell]
    own = float(n @ np.maximum(square * (squared + bought / p) - spent * spent, 0.0))
    by_model = predicted.log_gradient[:, held.cell] @ (n * spent)
    by_spend = np.asarray(log_expected_gradient(spend_fit.values, x, held.mean_spend), np.float64) @ (n * spent)
    errors = by_model @ fit.log_covariance @ by_model + by_spend @ spend_fit.log_covariance @ by_spend
    return _limits(float(n @ spent), float(errors), own, confidence)


def _limits(total: float, errors: float, own: float, confidence: float) -> Limits:
    """Return the predictive interval of a total from both variances; NaN where there is none."""
    if not (total > 0.0 and math.isfinite(errors) and math.isfinite(own)):
        return _NO_LIMITS
    return chance.total_limits(total, errors, own, confidence)
