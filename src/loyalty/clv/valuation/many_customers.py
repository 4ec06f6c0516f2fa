"""Many customers valued at once from plain numbers: those of `one_customer`, on arrays and without an engine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import wording
from loyalty.clv.kernels import _gammagamma
from loyalty.clv.models.discounting import YEAR
from loyalty.clv.models.evaluation import per_customer
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.models.uncertainty import quadratic
from loyalty.clv.summaries import histories
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.valuation import one_customer, predictive_value
from loyalty.clv.valuation.cell_values import FARTHEST
from loyalty.clv.valuation.standing import NO_WIDTH, WITHOUT_WIDTH
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.valuation.one_customer import Scorer
    from loyalty.clv.valuation.terms import Terms

__all__ = ["CustomerScores", "score"]

Floats = NDArray[np.float64]

_FEW = 16  # customers who are quicker one by one: arrays of few numbers cost more than numbers


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class CustomerScores:
    """What customers are worth, in the order in which they were given; n of them.

    Attributes:
        p_alive: Probability of still being a customer; shape (n,), like all that follow.
        expected_purchases: Within the horizon, not discounted; NaN where there is no horizon.
        expected_spend: Of a purchase, in money.
        clv: Expected value.
        clv_low: Lower end of its interval.
        clv_high: Upper end of its interval.
        value_at_risk: What the customer would be worth if certainly still one, times 1 − P(alive).
        terms: Horizon, margin, rate, costs, kind and level of the interval.
        note: What a reader must know; empty where there is nothing.
    """

    p_alive: Floats
    expected_purchases: Floats
    expected_spend: Floats
    clv: Floats
    clv_low: Floats
    clv_high: Floats
    value_at_risk: Floats
    terms: Terms
    note: str = ""

    def __len__(self) -> int:
        return len(self.clv)

    def rows(self) -> list[dict[str, float | None]]:
        """Return the numbers by name, a row per customer, JSON-ready: what is not defined is None."""
        columns = [_listed(getattr(self, name)) for name in one_customer.NUMBERS]
        return [dict(zip(one_customer.NUMBERS, row, strict=True)) for row in zip(*columns, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return the rows, the terms and the note by name, JSON-ready."""
        return {"customers": self.rows(), "terms": self.terms.told(), "note": self.note}

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        are = "is" if len(self) == 1 else "are"
        worth = wording.quantity(float(self.clv.sum()), "money")
        notes = f" Note: {self.note}." if self.note else ""
        return f"{wording.counted(len(self), 'customers')} {are} worth {worth} over {self.terms}.{notes}"


def _listed(values: Floats) -> list[float | None]:
    """Return numbers as a list, None where they are not finite."""
    found: list[Any] = values.tolist()
    for place in np.flatnonzero(~np.isfinite(values)):
        found[place] = None
    return found


def score(scorer: Scorer, frequency: Any, recency: Any, age: Any, monetary_value: Any) -> CustomerScores:
    """Return what customers are worth; times are in the unit of the model.

    Raises:
        InvalidArgument: A history cannot be.
    """
    x, t_x, T = (np.atleast_1d(part) for part in histories.read(frequency, recency, age))  # noqa: N806
    if x.ndim > 1:
        raise InvalidArgument(f"frequency, recency and age have the shape {x.shape}: give one row of numbers of each.")
    mean = _mean_spend(x, monetary_value)
    few = min(_FEW, 1) if scorer.terms.interval == "predictive" else _FEW
    return _one_by_one(scorer, x, t_x, T, mean) if len(x) <= few else _at_once(scorer, x, t_x, T, mean)


def _one_by_one(scorer: Scorer, *columns: Floats) -> CustomerScores:
    """Return what few customers are worth; the columns are x, t_x, T and mean spend."""
    found = [one_customer.score(scorer, *row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    numbers: dict[str, Any] = {
        name: np.array([getattr(one, name) for one in found], dtype=np.float64) for name in one_customer.NUMBERS
    }
    without = sum(one.note != scorer.note for one in found)
    return CustomerScores(**numbers, terms=scorer.terms, note=_note(scorer, without))


def _at_once(scorer: Scorer, x: Floats, t_x: Floats, T: Floats, mean: Floats) -> CustomerScores:  # noqa: N803
    """Return what many customers are worth."""
    alive = np.stack([per_customer(scorer.fit.kernel.p_alive(params, x, t_x, T), x) for params in scorer.moved])
    p_alive, bought = alive[0], _purchases(scorer, x, T, scorer.rate)
    endless = math.isinf(scorer.horizon)
    expected = np.full(len(x), math.nan) if endless else p_alive * _purchases(scorer, x, T, 0.0, 1)[0]
    spend = scorer.spend.expected_spend(frequency=x, monetary_value=mean)
    years, worth = _years(scorer, x, T), scorer.margin * spend * bought[0]
    earned, cost = p_alive * worth, np.zeros(len(x))
    if years is not None:
        worth, cost = worth - scorer.terms.service_cost * years[0], scorer.terms.service_cost * p_alive * years[0]
    if scorer.terms.interval == "predictive":
        discount = np.divide(p_alive * bought[0], expected, out=np.ones(len(x)), where=expected > 0.0)
        limits = _predictive(scorer, (x, t_x, T), mean, discount)
    else:
        slopes = None if years is None else _slopes(alive * years)
        limits = _confidence(scorer, (x, mean), (earned, _slopes(alive * bought)), (cost, slopes))
    low, high, note = _told(scorer, limits, worth, p_alive)
    return CustomerScores(
        p_alive, expected, spend, earned - cost, low, high, worth * (1.0 - p_alive), scorer.terms, note
    )


def _mean_spend(x: Floats, monetary_value: Any) -> Floats:
    """Return the mean spend of repeat purchases, which must be known where there are any; 0 elsewhere."""
    mean = histories.numbers("monetary_value", math.nan if monetary_value is None else monetary_value)
    if mean.shape not in {(), x.shape}:
        raise InvalidArgument(
            f"monetary_value has the shape {mean.shape} and the customers {x.shape}: give as many values."
        )
    mean = np.broadcast_to(mean, x.shape)
    unknown = (x > 0.0) & ~np.isfinite(mean)
    if unknown.any():
        first = int(np.flatnonzero(unknown)[0])
        raise InvalidArgument(
            f"monetary_value is missing or not finite for {unknown.sum():,} of {len(x):,} customers with repeat "
            f"purchases (first: the one at place {first}): give the mean spend of the repeat purchases."
        )
    return np.where(x > 0.0, mean, 0.0)


def _purchases(scorer: Scorer, x: Floats, T: Floats, rate: float, sets: int | None = None) -> Floats:  # noqa: N803
    """Return the purchases within the horizon of those alive, by set of parameters; shape (sets, n)."""
    purchases = scorer.fit.kernel.purchases
    found = [purchases(params, x, T, scorer.horizon, rate) for params in scorer.moved[:sets]]
    return np.stack([per_customer(part, x) for part in found])


def _years(scorer: Scorer, x: Floats, T: Floats) -> Floats | None:  # noqa: N803
    """Return the discounted years as a customer of those alive, shape (sets, n); None where they cost nothing."""
    if not scorer.terms.service_cost:
        return None
    found = [per_customer(scorer.staying(params, x, T), x) for params in scorer.moved]
    return np.stack(found) * (scorer.fit.days_per_unit / YEAR)


def _slopes(products: Floats) -> Floats:
    """Return the derivatives of the logarithm of a product by the log parameters, shape (k, n); 0 where it is 0."""
    first, moved = products[0], products[1:]
    some = (first > 0.0) & (moved > 0.0)
    ratio = np.divide(moved, first, out=np.ones_like(moved), where=some)
    slopes: Floats = np.log(ratio) / one_customer.STEP
    return slopes


def _confidence(
    scorer: Scorer, spent: tuple[Floats, Floats], earned: tuple[Floats, Floats], cost: tuple[Floats, Floats | None]
) -> tuple[Floats, Floats]:
    """Return the confidence intervals of values: on the logarithmic scale where nothing is taken off."""
    matrix = scorer.fit.log_covariance
    variance = quadratic(earned[1], matrix) + _spend_variance(scorer, *spent)
    if cost[1] is None:
        factor = np.exp(np.minimum(scorer.z * np.sqrt(variance), FARTHEST))
        ends = earned[0] / factor, earned[0] * factor
    else:
        across, of_cost = quadratic(earned[1], matrix, cost[1]), quadratic(cost[1], matrix)
        square = earned[0] ** 2 * variance - 2.0 * earned[0] * cost[0] * across + cost[0] ** 2 * of_cost
        half, value = scorer.z * np.sqrt(np.maximum(square, 0.0)), earned[0] - cost[0]
        ends = value - half, value + half
    return np.minimum(*ends), np.maximum(*ends)


def _spend_variance(scorer: Scorer, x: Floats, mean: Floats) -> Floats:
    """Return the variance of ln(expected spend) for the errors of the spend parameters; shape (n,)."""
    spend = scorer.spend
    if isinstance(spend, MeanSpend):
        return np.full(len(x), float(spend.log_covariance[0, 0]))
    return quadratic(_gammagamma.log_expected_gradient(spend.values, x, mean), spend.log_covariance)


def _predictive(
    scorer: Scorer, history: tuple[Floats, Floats, Floats], mean: Floats, discount: Floats
) -> tuple[Floats, Floats]:
    """Return the predictive intervals of what customers will bring before service costs."""
    outlook = scorer.outlook
    x = history[0]
    scale = scorer.margin * discount * (outlook.spend[2] + x * np.maximum(mean, 0.0))
    cells = Cells(*history, np.ones(len(x)))
    ends = [scale * odds for odds in predictive_value.odds(outlook, cells, scorer.terms.confidence)]
    return np.minimum(*ends), np.maximum(*ends)


def _told(scorer: Scorer, limits: tuple[Floats, Floats], worth: Floats, alive: Floats) -> tuple[Floats, Floats, str]:
    """Return the limits, NaN where an interval would have no width though a fit leaves something open, and the note."""
    low, high = limits
    empty = (worth != 0.0) & (high - low <= NO_WIDTH * np.abs(worth))
    if scorer.terms.interval == "predictive":  # in which nothing may well come for sure
        empty = empty & (alive <= NO_WIDTH)
    if not scorer.doubts or not empty.any():
        return low, high, scorer.note
    return np.where(empty, math.nan, low), np.where(empty, math.nan, high), _note(scorer, int(empty.sum()))


def _note(scorer: Scorer, without: int) -> str:
    """Return what a reader must know, where so many customers have no interval."""
    who = f"{wording.counted(without, 'customers')} {'has' if without == 1 else 'have'} {WITHOUT_WIDTH}; "
    return (who if without else "") + scorer.note
