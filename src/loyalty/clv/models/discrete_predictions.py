"""What a fitted BG/BB model predicts of customers: whether they are alive, and at how many opportunities they buy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from loyalty import checks
from loyalty.clv.kernels import _bgbb
from loyalty.clv.models import answers, outlasting, uncertainty
from loyalty.clv.models.discounting import per_period
from loyalty.clv.models.discrete_evaluation import MOST, Quantity, Values, read_history
from loyalty.clv.models.discrete_tables import DiscreteTables

if TYPE_CHECKING:
    from loyalty.clv.kernels import Kernel
    from loyalty.clv.summaries.opportunities import Opportunities

__all__ = ["BGBBFit", "Chances"]

Floats = NDArray[np.float64]


class Chances(NamedTuple):
    """What is to be expected of a customer's own chances, given what they did (posterior means).

    Attributes:
        buying: Chance of buying at an opportunity while alive.
        leaving: Chance of dropping out before an opportunity.
    """

    buying: Any
    leaving: Any


class BGBBFit(DiscreteTables):
    """A fitted BG/BB model: what `Fit` says of it, and its predictions.

    Every prediction takes customers in one of two ways: `Opportunities` (the answer is a per-customer frame in the kind
    of their source), or numbers or arrays `frequency=`, `recency=` and `opportunities=` (the answer is a number or an
    array). A new customer is 0, 0 and 0. Lengths of time are whole numbers of periods, the fit's `unit` each.

    `interval="confidence"` adds how well the parameters are known, by the delta method on the scale of logarithms (for
    probabilities, of log odds): a `Prediction` for numbers and arrays, columns `…_low` and `…_high` for opportunities.
    Parameters that the data do not determine count as known there; where a prediction depends on no others its interval
    is NaN.
    """

    def p_alive(
        self,
        data: Opportunities | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        opportunities: Any = None,
        ahead: int = 0,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return the probability of being alive at the last opportunity seen, or at a later one.

        With `ahead=0` whoever bought at the last opportunity is alive for certain. With `ahead=1` it is the probability
        of still being there at the next one, which Fader, Hardie & Shang (2010) report.

        Args:
            data: Customers; the answer is their frame with the column `p_alive`.
            frequency: Opportunities with a purchase.
            recency: The last of these, 0 without one.
            opportunities: Opportunities so far.
            ahead: How many opportunities ahead, 0 or more.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            A probability per customer: a number, an array, or a frame; with an interval a `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the data have another period, or another argument is not allowed.
        """
        later = checks.count("ahead", ahead, low=0, high=MOST)

        def quantity(params: Values, x: Floats, t_x: Floats, n: Floats) -> Floats:
            return _bgbb.p_alive(params, x, t_x, n, later)

        return self.predict("p_alive", quantity, data, (frequency, recency, opportunities), interval, confidence, 1.0)

    def expected_purchases(
        self,
        data: Opportunities | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        opportunities: Any = None,
        periods: int,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return how many of the next opportunities to expect with a purchase.

        Args:
            data: Customers; the answer is their frame with the column `expected_purchases`.
            frequency: Opportunities with a purchase.
            recency: The last of these, 0 without one.
            opportunities: Opportunities so far; 0, 0 and 0 is a new customer.
            periods: How many opportunities ahead, 1 or more.
            interval: "confidence": how well the expectation is known. "predictive": what the customer will really do,
                the uncertainty of the parameters included (quantiles of the mixture of distributions over 2·k sigma
                points of the log parameters; whole numbers, and they may lie on one side of the expectation).
            confidence: Level of the interval.

        Returns:
            Purchases per customer: a number, an array, or a frame; with an interval a `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the data have another period, or another argument is not allowed.
        """
        far = checks.count("periods", periods, high=MOST)
        given = (frequency, recency, opportunities)

        def quantity(params: Values, x: Floats, t_x: Floats, n: Floats) -> Floats:
            return _bgbb.p_alive(params, x, t_x, n) * _bgbb.purchases(params, x, n, far)

        if interval == "predictive":
            return self._will_buy(quantity, data, given, far, confidence)
        kinds = ("confidence", "predictive")
        return self.predict("expected_purchases", quantity, data, given, interval, confidence, float(far), kinds)

    def discounted_purchases(
        self,
        data: Opportunities | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        opportunities: Any = None,
        periods: int | None = None,
        annual_discount_rate: float = 0.10,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return the purchases to expect, each counting less the later it comes (discounted residual transactions).

        The next opportunity is one period away: a purchase at the k-th counts (1 + rate)^(−k·days per period/365.25).

        Args:
            data: Customers; the answer is their frame with the column `discounted_purchases`.
            frequency: Opportunities with a purchase.
            recency: The last of these, 0 without one.
            opportunities: Opportunities so far; 0, 0 and 0 is a new customer.
            periods: How many opportunities ahead; None is for ever.
            annual_discount_rate: 0.10 for 10 % a year; above 0 where the horizon is infinite, else above −1.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            Purchases per customer: a number, an array, or a frame; with an interval a `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the data have another period, the rate is not positive and the horizon
                infinite, or another argument is not allowed.

        Source: Fader, Hardie & Shang (2010), Marketing Science 29, 1086-1108 (DERT).
        """
        far = math.inf if periods is None else checks.count("periods", periods, high=MOST)
        worth = per_period(annual_discount_rate, self.days_per_period, far)

        def quantity(params: Values, x: Floats, t_x: Floats, n: Floats) -> Floats:
            return _bgbb.p_alive(params, x, t_x, n) * _bgbb.purchases(params, x, n, far, worth)

        given = (frequency, recency, opportunities)
        return self.predict("discounted_purchases", quantity, data, given, interval, confidence)

    def purchase_probability(
        self,
        data: Opportunities | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        opportunities: Any = None,
        count: int,
        periods: int,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return the probability of purchases at exactly so many of the next opportunities.

        Args:
            data: Customers; the answer is their frame with the column `purchase_probability`.
            frequency: Opportunities with a purchase.
            recency: The last of these, 0 without one.
            opportunities: Opportunities so far; 0, 0 and 0 is a new customer.
            count: Number of purchases: 0, 1, …; above `periods` the probability is 0.
            periods: How many opportunities ahead, 1 or more.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            A probability per customer: a number, an array, or a frame; with an interval a `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the data have another period, or another argument is not allowed.
        """
        far, many = checks.count("periods", periods, high=MOST), checks.count("count", count, low=0)

        def quantity(params: Values, x: Floats, t_x: Floats, n: Floats) -> Floats:
            alive = _bgbb.p_alive(params, x, t_x, n)
            if many:
                return alive * _bgbb.probability(params, x, n, far, many)
            return (1.0 - alive) + alive * _bgbb.probability(params, x, n, far, 0)

        given = (frequency, recency, opportunities)
        return self.predict("purchase_probability", quantity, data, given, interval, confidence, 1.0)

    def time_alive(
        self,
        data: Opportunities | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        opportunities: Any = None,
        periods: int,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return at how many of the next opportunities the customer is expected to be alive.

        Args:
            data: Customers; the answer is their frame with the column `time_alive`.
            frequency: Opportunities with a purchase.
            recency: The last of these, 0 without one.
            opportunities: Opportunities so far; 0, 0 and 0 is a new customer.
            periods: How many opportunities ahead, 1 or more. (The sum over all is infinite where γ ≤ 1.)
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            Opportunities per customer, from 0 to `periods`: a number, an array, or a frame; with an interval a
            `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the data have another period, or another argument is not allowed.
        """
        far = checks.count("periods", periods, high=MOST)

        def quantity(params: Values, x: Floats, t_x: Floats, n: Floats) -> Floats:
            return _bgbb.p_alive(params, x, t_x, n) * _bgbb.time_alive(params, n, far)

        given = (frequency, recency, opportunities)
        return self.predict("time_alive", quantity, data, given, interval, confidence, float(far))

    def median_time_alive(
        self,
        data: Opportunities | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        opportunities: Any = None,
    ) -> Any:
        """Return at how many of the next opportunities the customer is alive: the median, where the mean is infinite.

        It is the smallest number that is exceeded with a probability of one half at most: 0 where the customer is gone
        at the next opportunity with probability one half or more. Beyond 10^15 opportunities it is infinite.

        Args:
            data: Customers; the answer is their frame with the column `median_time_alive`.
            frequency: Opportunities with a purchase.
            recency: The last of these, 0 without one.
            opportunities: Opportunities so far; 0, 0 and 0 is a new customer.

        Returns:
            Whole numbers of opportunities: a number, an array, or a frame.

        Raises:
            InvalidArgument: A history cannot be, or the data have another period.
        """

        def median(x: Floats, t_x: Floats, n: Floats) -> Floats:
            alive = _bgbb.p_alive(self.values, x, t_x, n)

            def outlast(places: NDArray[np.int64], number: Floats) -> Floats:
                return alive[places] * _bgbb.survival(self.values, n[places], number)

            return outlasting.quantile(outlast, len(x), 0.5)

        return self.answer("median_time_alive", data, (frequency, recency, opportunities), median)

    def chances(
        self,
        data: Opportunities | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        opportunities: Any = None,
    ) -> Any:
        """Return what to expect of each customer's own chances of buying and of dropping out, given what they did.

        Args:
            data: Customers; the answer is their frame with the columns `chance_of_buying` and `chance_of_leaving`.
            frequency: Opportunities with a purchase.
            recency: The last of these, 0 without one.
            opportunities: Opportunities so far; 0, 0 and 0 is a new customer.

        Returns:
            `Chances` of numbers or arrays, or a frame. Source: Fader, Hardie & Shang (2010).

        Raises:
            InvalidArgument: A history cannot be, or the data have another period.
        """
        if data is not None:
            cells = self.cells(data, (frequency, recency, opportunities))
            buying, leaving = _bgbb.posterior_means(self.values, cells.x, cells.t_x, cells.T)
            return data.hand_back(data.with_cells({"chance_of_buying": buying, "chance_of_leaving": leaving}))
        arrays, shape = read_history(frequency, recency, opportunities)
        return Chances(*(answers.shaped(part, shape) for part in _bgbb.posterior_means(self.values, *arrays)))

    def _will_buy(
        self, quantity: Quantity, data: Any, history: tuple[Any, Any, Any], far: int, confidence: float
    ) -> Any:
        """Return expected purchases with the interval of what customers will really buy."""
        checks.confidence_level(confidence)
        points = uncertainty.sigma_points(self.values, self.log_covariance)
        kernel = cast("Kernel", _bgbb)  # it has the two functions that are asked for

        def limits(*arrays: Floats) -> tuple[Floats, ...]:
            ends = uncertainty.purchase_limits(kernel, points, arrays, far, confidence)
            value, *sure = uncertainty.delta_limits(self, lambda params: quantity(params, *arrays), confidence, far)
            return value, *uncertainty.where_known(ends, tuple(sure))

        return self.answer("expected_purchases", data, history, limits, (confidence, "predictive"))
