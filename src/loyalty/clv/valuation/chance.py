"""How far what customers really bring may lie from its expectation, were the parameters known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import intervals, wording
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.summaries.histories import Pairs
from loyalty.clv.valuation.cell_values import FARTHEST

if TYPE_CHECKING:
    from loyalty.clv.models.predictions import LifetimeFit
    from loyalty.clv.summaries.cells import Cells
    from loyalty.clv.valuation.scoring import Valuation

__all__ = ["caution", "columns", "discounted_squares", "parts", "total_limits"]

Floats = NDArray[np.float64]

_SHORT = 1e-5  # a discount by less than this over the horizon is none


def discounted_squares(fit: LifetimeFit, cells: Cells, horizon: float, rate: float) -> tuple[Floats, Floats]:
    """Return E[Σ exp(−2·rate·tₖ)] and E[(Σ exp(−rate·tₖ))²] over a customer's purchases at times tₖ within the horizon.

    Both have P(alive) multiplied in and shape (n,). What follows a purchase at t, given alive, is the history with one
    purchase more, so the density of purchases at any time and again at w later than now is c·m(w), with c the rate of
    purchases that are not the last at the beginning and m the rate of purchases at w of a customer with x + 1 of them.
    Two purchases at t < w count exp(−rate·(t + w)); over t, that is exp(−rate·w)·(1 − exp(−rate·w))/rate.

    Args:
        fit: The model of purchases.
        cells: The customers.
        horizon: In units of the fit; may be infinite where the rate is positive.
        rate: Continuous discount rate per unit.
    """
    pairs, kernel, params = Pairs.of(cells.x, cells.T), fit.kernel, fit.values
    x, T = pairs.x, pairs.T  # noqa: N806
    once = kernel.purchases(params, x, T, horizon, 2.0 * rate)
    if abs(rate) * horizon < _SHORT:
        twice = kernel.factorial_moment(params, x, T, horizon)
    else:
        last = np.where(x > 0.0, T, 0.0)
        rise = kernel.log_likelihood(params, x + 1.0, T, T) - kernel.log_likelihood(params, x, last, T)
        stays = kernel.p_alive(params, x + 1.0, T, T) / kernel.p_alive(params, x, last, T)
        slow, fast = (kernel.purchases(params, x + 1.0, T, horizon, times * rate) for times in (1.0, 2.0))
        twice = 2.0 / rate * np.exp(rise) * stays * (slow - fast)
    alive = np.asarray(kernel.p_alive(params, cells.x, cells.t_x, cells.T))
    once, twice = (np.broadcast_to(part, x.shape)[pairs.place] for part in (once, twice))
    return alive * once, alive * (once + twice)


def columns(valuation: Valuation) -> dict[str, Floats]:
    """Return the columns per cell that the variance of what customers bring is made of; none for a mean of spend."""
    if isinstance(valuation.spend, MeanSpend):
        return {}
    fit, terms = valuation.purchases, valuation.terms
    horizon, rate = terms.days / fit.days_per_unit, fit.discount_rate(terms.annual_discount_rate)
    once, squared = discounted_squares(fit, valuation.summary.cells, horizon, rate)
    return {"squared": squared, "chance": squared + once / valuation.spend.values[0]}


def parts(valuation: Valuation) -> dict[str, nw.Expr]:
    """Return the variance of what a customer brings were the parameters known, on rows with `columns`.

    Service costs are taken as their expectation.
    """
    if isinstance(valuation.spend, MeanSpend):
        return {}
    p, q, _ = valuation.spend.values
    gross = valuation.spend.spend_square_expression(nw.col("frequency"), nw.col("monetary_value")) * nw.col("chance")
    mean = nw.col("expected_spend")
    if q <= 2.0:  # infinite for some: what they spend on average counts as known
        known = nw.col("frequency").cast(nw.Float64) * p + q > 2.0
        gross = nw.when(known).then(gross).otherwise(mean * mean * nw.col("squared"))
    expected = mean * nw.col("bought")
    return {"chance": nw.col("earning") * nw.col("margin") * (gross - expected * expected)}


def caution(valuation: Valuation) -> str:
    """Return what is to be said about the predictive interval of the total; nothing where it is as it should be."""
    if isinstance(valuation.spend, MeanSpend):
        return "no predictive interval: the mean of spend does not say how purchases differ"
    return "; ".join(filter(None, (_infinite(valuation, valuation.spend.values), _costs(valuation))))


def _costs(valuation: Valuation) -> str:
    """Return what the interval leaves out where customers cost money for as long as they stay."""
    if not valuation.terms.service_cost:
        return ""
    return (
        "the interval takes service costs as expected: how they vary by chance, and that who stays longer both buys "
        "and costs more, is left out"
    )


def _infinite(valuation: Valuation, spend: tuple[float, ...]) -> str:
    """Return for how many customers the variance of spend is infinite; nothing where it is for nobody."""
    p, q, _ = spend
    if q > 2.0:
        return ""
    cells = valuation.summary.cells
    people = float(cells.weight[p * cells.x + q <= 2.0].sum())
    return (
        f"too narrow: the spend of {wording.counted(people, 'customers')} has an infinite variance under the "
        "gamma-gamma model (p·x + q is at most 2), so their average spend counts as known"
    )


def total_limits(value: float, errors: float, chance: float, confidence: float) -> tuple[float, float]:
    """Return the ends of the predictive interval of a total above 0, of money or of purchases.

    A sum over many independent customers is close to normal, and so is its logarithm, on which both parts are added:
    the errors of the parameters as the delta method has them there, and chance as in a lognormal variable. Centred on
    the value, the interval holds the confidence interval, and no end is negative. Ends further off than a factor of
    e^100 are 0 and infinite.

    Args:
        value: The expected total, above 0.
        errors: Its variance for the errors of the parameters.
        chance: Variance of the total were the parameters known; NaN gives no limits.
        confidence: Level of the interval.
    """
    spread = math.sqrt(max(errors, 0.0) / value**2 + math.log1p(chance / value**2))
    if math.isnan(spread):
        return math.nan, math.nan
    wide = intervals.normal_quantile(confidence) * spread
    return (0.0, math.inf) if wide > FARTHEST else (value * math.exp(-wide), value * math.exp(wide))
