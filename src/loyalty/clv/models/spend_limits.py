"""How sure an expected spend is: intervals of arrays of customers, and of summaries in their engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import intervals
from loyalty.clv.kernels import _gammagamma as kernel
from loyalty.clv.models.uncertainty import log_spread, spread_limits, variance_expression
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.models.spend import SpendFit
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["limits", "of_summary"]

Floats = NDArray[np.float64]

_DIFFERENCE = 1e-4  # of central differences in log parameters
_FARTHEST = 700.0  # logarithms beyond this have no exponential
_LOW, _HIGH = "expected_spend_low", "expected_spend_high"


def limits(fit: SpendFit, x: Floats, mean: Floats, interval: str, confidence: float) -> tuple[Floats, Floats]:
    """Return the ends of the interval of each customer, shape (n,).

    Args:
        fit: The fit.
        x: Repeat purchases.
        mean: Mean spend of them.
        interval: "confidence": of the expected spend; "predictive": of the spend of the next purchase.
        confidence: Level.
    """
    if interval == "confidence":
        spread = log_spread(kernel.log_expected_gradient(fit.values, x, mean), fit.log_covariance)
        return spread_limits(kernel.expected_spend(fit.values, x, mean), spread, confidence)
    logs, z = _log_odds(fit, x, confidence), intervals.normal_quantile(confidence)
    scale = fit.values[2] + x * np.maximum(mean, 0.0)
    share = fit.values[2] / scale
    variance = logs["fixed"] + share * logs["linear"] + share * share * float(fit.log_covariance[2, 2])
    error = z * z * np.maximum(variance, 0.0)
    low = logs["middle"] - np.sqrt((logs["middle"] - logs["low"]) ** 2 + error)
    high = logs["middle"] + np.sqrt((logs["high"] - logs["middle"]) ** 2 + error)
    return scale * np.exp(np.maximum(low, -_FARTHEST)), scale * np.exp(np.minimum(high, _FARTHEST))


def _log_odds(fit: SpendFit, x: Floats, confidence: float) -> dict[str, Floats]:
    """Return what the predictive interval needs that depends on x alone, found once per distinct x.

    The spend of the next purchase is γ + x·m̄ times a beta prime variable with the shapes p and px + q. Its quantiles
    are exact; the errors of the parameters are those of the logarithm of its median (delta method), and both are added
    as independent ones on that scale. The variance of the log median is fixed + linear·s + Var(ln γ)·s² with
    s = γ/(γ + x·m̄).

    Returns:
        Logarithms of the quantiles of the beta prime variable ("low", "middle", "high"), "fixed" and "linear".
    """
    x, place = np.unique(x, return_inverse=True)
    p, q, _ = fit.values
    covariance = fit.log_covariance

    def log_odds(p: float, q: float, probability: float = 0.5) -> Floats:
        with np.errstate(divide="ignore"):
            logs = np.log(kernel.odds(p, p * x + q, probability))
        return np.clip(np.nan_to_num(logs, nan=0.0), -_FARTHEST, _FARTHEST)

    above, below = math.exp(_DIFFERENCE), math.exp(-_DIFFERENCE)
    slopes = np.stack(
        [log_odds(p * above, q) - log_odds(p * below, q), log_odds(p, q * above) - log_odds(p, q * below)]
    )
    slopes /= 2.0 * _DIFFERENCE
    tail = (1.0 - confidence) / 2.0
    found = {
        "low": log_odds(p, q, tail),
        "middle": log_odds(p, q),
        "high": log_odds(p, q, 1.0 - tail),
        "fixed": np.einsum("in,ij,jn->n", slopes, covariance[:2, :2], slopes),
        "linear": 2.0 * covariance[2, :2] @ slopes,
    }
    return {name: values[place].reshape(place.shape) for name, values in found.items()}


def of_summary(fit: SpendFit, summary: CustomerSummary, interval: str | None, confidence: float) -> Any:
    """Return the expected spend of a summary's customers with its interval, computed where they live."""
    if not getattr(summary, "has_spend", False):
        raise InvalidArgument(
            "expected_spend needs customers with their mean spend: pass a summary made by summarize(), or by "
            "CustomerSummary.of(..., monetary_value=<column>)."
        )
    frequency, mean = nw.col("frequency"), nw.col("monetary_value")
    value = fit.spend_expression(frequency, mean)
    rows, ends = summary.frame(), {}
    if interval == "confidence":
        half = _half_width(fit, frequency, mean, confidence)
        ends = {_LOW: value * (half * -1.0).exp(), _HIGH: value * half.exp()}
    elif interval == "predictive":
        logs = _log_odds(fit, summary.cells.x, confidence)
        rows = summary.with_cells({f"odds_{name}": values for name, values in logs.items()})
        ends = _predictive(fit, frequency, mean, confidence)
    people = [name for name in ("customer",) if name in rows.collect_schema().names()]
    return summary.hand_back(rows.select(*people, "frequency", "monetary_value", expected_spend=value, **ends))


def _half_width(fit: SpendFit, frequency: nw.Expr, mean: nw.Expr, confidence: float) -> nw.Expr:
    """Return half the width of the confidence interval of ln(expected spend)."""
    variance = variance_expression(list(fit.log_slopes(frequency, mean).values()), fit.log_covariance)
    half = variance.sqrt() * intervals.normal_quantile(confidence)
    half = nw.when(half > _FARTHEST).then(nw.lit(_FARTHEST)).otherwise(half)
    if fit.values[1] > 1.0:
        return half
    finite = fit.below_expression(frequency) > 0.0
    return nw.when(finite).then(half).otherwise(nw.lit(0.0))  # what is infinite has infinite ends


def _predictive(fit: SpendFit, frequency: nw.Expr, mean: nw.Expr, confidence: float) -> dict[str, nw.Expr]:
    """Return the ends of the predictive interval, on rows that have their columns of `_log_odds`; as in `limits`."""
    scale = fit.scale_expression(frequency, mean)
    share = nw.lit(fit.values[2]) / scale
    variance = nw.col("odds_fixed") + share * nw.col("odds_linear") + share * share * float(fit.log_covariance[2, 2])
    z = intervals.normal_quantile(confidence)
    error = nw.when(variance > 0.0).then(variance).otherwise(nw.lit(0.0)) * (z * z)
    middle = nw.col("odds_middle")

    def end(name: str, sign: float) -> nw.Expr:
        apart = nw.col(name) - middle
        log = middle + (apart * apart + error).sqrt() * sign
        return scale * nw.when(log * sign > _FARTHEST).then(nw.lit(sign * _FARTHEST)).otherwise(log).exp()

    return {_LOW: end("odds_low", -1.0), _HIGH: end("odds_high", 1.0)}
