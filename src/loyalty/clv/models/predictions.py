"""What a fitted lifetime model predicts of customers: whether they are still alive, what they will buy, how long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loyalty import checks
from loyalty.clv.models import lasting, uncertainty
from loyalty.clv.models.evaluation import (
    CellPredictions,
    Duration,
    Floats,
    History,
    Quantity,
    kernel_of,
    per_customer,
)
from loyalty.clv.models.lifetime_tables import LifetimeTables
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["CellPredictions", "LifetimeFit", "kernel_of"]


class LifetimeFit(LifetimeTables):
    """A fitted lifetime model: what `Fit` says of it, and its predictions.

    Every prediction takes customers in one of two ways: a `CustomerSummary` (the answer is a per-customer frame in the
    kind of its source), or numbers or arrays `frequency=`, `recency=` and `age=` in the unit of the model (the answer
    is a number or an array). A new customer is 0, 0 and 0. Lengths of time are durations such as "90d" or "52w".

    `interval="confidence"` adds how well the parameters are known: a `Prediction` for numbers and arrays, columns
    `…_low` and `…_high` for a summary. Parameters that the data do not determine count as known there; where a
    prediction depends on no others its interval is NaN.
    """

    def p_alive(
        self,
        summary: CustomerSummary | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        age: Any = None,
        ahead: Duration | None = None,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return the probability of still being a customer, now or some time ahead.

        BG/NBD customers drop out right after a repeat purchase only: without one they are alive for certain (the value
        is 1), however long they have been silent. That is the model's doing, not a sign of loyalty.

        Args:
            summary: Customers; the answer is their frame with the column `p_alive`.
            frequency: Number of repeat purchases.
            recency: Time from the first to the last purchase, in units of the model.
            age: Time observed since the first purchase, in units of the model.
            ahead: How far ahead of now, such as "90d"; None is now.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            A probability per customer: a number, an array, or a frame; with an interval a `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the summary has another unit, or another argument is not allowed.

        Examples:
            >>> from loyalty.clv.models.lifetime import BGNBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> x, t_x, T = [0, 0, 1, 2, 4, 0, 1], [0, 0, 10, 25, 30, 0, 3], [39, 30, 38, 30, 31, 35, 38]
            >>> fit = BGNBD(l2=0.05).fit(Cells.of(x, t_x, T), unit="week")
            >>> fit.p_alive(frequency=2, recency=30, age=31) > fit.p_alive(frequency=2, recency=3, age=31)
            True
        """
        given = None if ahead is None else lasting.survival(self.kernel, self.units(ahead, "ahead"))
        return self.predict(Quantity("p_alive", given, 1.0), summary, (frequency, recency, age), interval, confidence)

    def expected_purchases(
        self,
        summary: CustomerSummary | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        age: Any = None,
        horizon: Duration = "365d",
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return how many purchases to expect within a horizon from now.

        Args:
            summary: Customers; the answer is their frame with the column `expected_purchases`.
            frequency: Number of repeat purchases.
            recency: Time from the first to the last purchase, in units of the model.
            age: Time observed since the first purchase, in units of the model.
            horizon: Length of time ahead, such as "365d".
            interval: "confidence": how well the expectation is known. "predictive": what the customer will really do,
                the uncertainty of the parameters included (quantiles of the mixture of distributions over 2·k sigma
                points of the log parameters; whole numbers, and they may lie on one side of the expectation).
            confidence: Level of the interval.

        Returns:
            Purchases per customer: a number, an array, or a frame; with an interval a `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the summary has another unit, or another argument is not allowed.

        Examples:
            >>> from loyalty.clv.models.lifetime import BGNBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> x, t_x, T = [0, 0, 1, 2, 4, 0, 1], [0, 0, 10, 25, 30, 0, 3], [39, 30, 38, 30, 31, 35, 38]
            >>> fit = BGNBD(l2=0.05).fit(Cells.of(x, t_x, T), unit="week")
            >>> sure = fit.expected_purchases(frequency=2, recency=30, age=31, horizon="26w", interval="confidence")
            >>> sure.low < sure.value < sure.high
            True
        """
        span, kernel = self.units(horizon), self.kernel
        quantity = Quantity("expected_purchases", lambda params, x, T: kernel.purchases(params, x, T, span, 0.0))  # noqa: N803
        if interval == "predictive":
            return self._will_buy(quantity, summary, (frequency, recency, age), span, confidence)
        return self.predict(quantity, summary, (frequency, recency, age), interval, confidence)

    def discounted_purchases(
        self,
        summary: CustomerSummary | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        age: Any = None,
        horizon: Duration | None = None,
        annual_discount_rate: float = 0.10,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return the purchases to expect, each counting less the later it comes (discounted residual transactions).

        A purchase t years from now counts (1 + rate)^−t, a year having 365.25 days; the expected curve of purchases is
        discounted continuously.

        Args:
            summary: Customers; the answer is their frame with the column `discounted_purchases`.
            frequency: Number of repeat purchases.
            recency: Time from the first to the last purchase, in units of the model.
            age: Time observed since the first purchase, in units of the model.
            horizon: Length of time ahead, such as "365d"; None is for ever.
            annual_discount_rate: 0.10 for 10 % a year; above 0 where the horizon is infinite, else above −1.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            Purchases per customer: a number, an array, or a frame; with an interval a `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the summary has another unit, the rate is not positive and the horizon
                infinite, or another argument is not allowed.

        Source: Fader, Hardie & Lee (2005), Journal of Marketing Research 42, 415-430.

        Examples:
            >>> from loyalty.clv.models.lifetime import BGNBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> x, t_x, T = [0, 0, 1, 2, 4, 0, 1], [0, 0, 10, 25, 30, 0, 3], [39, 30, 38, 30, 31, 35, 38]
            >>> fit = BGNBD(l2=0.05).fit(Cells.of(x, t_x, T), unit="week")
            >>> one = {"frequency": 2, "recency": 30, "age": 31}
            >>> fit.discounted_purchases(**one, horizon="365d") < fit.expected_purchases(**one, horizon="365d")
            True
        """
        span = math.inf if horizon is None else self.units(horizon)
        rate, kernel = self.discount_rate(annual_discount_rate), self.kernel
        if math.isinf(span) and rate <= 0.0:
            raise InvalidArgument(
                f"annual_discount_rate={annual_discount_rate!r} with an infinite horizon: without a positive rate the "
                'purchases of all time may add up to infinity. Give a positive rate, or a horizon such as "3650d".'
            )
        quantity = Quantity("discounted_purchases", lambda params, x, T: kernel.purchases(params, x, T, span, rate))  # noqa: N803
        return self.predict(quantity, summary, (frequency, recency, age), interval, confidence)

    def purchase_probability(
        self,
        summary: CustomerSummary | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        age: Any = None,
        count: int,
        horizon: Duration = "365d",
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return the probability of exactly so many purchases within a horizon from now.

        Args:
            summary: Customers; the answer is their frame with the column `purchase_probability`.
            frequency: Number of repeat purchases.
            recency: Time from the first to the last purchase, in units of the model.
            age: Time observed since the first purchase, in units of the model.
            count: Number of purchases: 0, 1, ….
            horizon: Length of time ahead, such as "365d".
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            A probability per customer: a number, an array, or a frame; with an interval a `Prediction` or a frame.

        Raises:
            InvalidArgument: A history cannot be, the summary has another unit, or another argument is not allowed.

        Examples:
            >>> from loyalty.clv.models.lifetime import NBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> fit = NBD().fit(Cells.of([0, 1, 3, 0], [0, 5, 30, 0], [39, 38, 38, 30]), unit="week")
            >>> new = {"frequency": 0, "recency": 0, "age": 0}
            >>> total = sum(fit.purchase_probability(**new, count=n, horizon="52w") for n in range(200))
            >>> round(total, 9)
            1.0
        """
        span, kernel = self.units(horizon), self.kernel
        many = checks.count("count", count, low=0)

        def given(params: tuple[float, ...], x: Any, T: Any) -> Any:  # noqa: N803
            chance = kernel.probability(params, x, T, span, float(many))
            return chance if many else 1.0 - chance

        quantity = Quantity("purchase_probability", given, 1.0, complement=not many)
        return self.predict(quantity, summary, (frequency, recency, age), interval, confidence)

    def time_alive(
        self,
        summary: CustomerSummary | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        age: Any = None,
        horizon: Duration = "365d",
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return how much of a horizon from now the customer is expected to be alive, in units of the model.

        The mean without a horizon is infinite in many fits (Pareto/NBD: wherever s ≤ 1; NBD: always), so there is none
        here: `median_time_alive` is the figure to give instead.

        Args:
            summary: Customers; the answer is their frame with the column `time_alive`.
            frequency: Number of repeat purchases.
            recency: Time from the first to the last purchase, in units of the model.
            age: Time observed since the first purchase, in units of the model.
            horizon: Length of time ahead, such as "365d".
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            Time per customer, from 0 to the horizon: a number, an array, or a frame; with an interval a `Prediction` or
            a frame.

        Raises:
            InvalidArgument: A history cannot be, the summary has another unit, or another argument is not allowed.

        Examples:
            >>> from loyalty.clv.models.lifetime import NBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> fit = NBD().fit(Cells.of([0, 1, 3, 0], [0, 5, 30, 0], [39, 38, 38, 30]), unit="week")
            >>> fit.time_alive(frequency=1, recency=5, age=38, horizon="70d")
            10.0
        """
        if horizon is None:
            raise InvalidArgument(
                "horizon=None: the mean time alive without a horizon is infinite in many fits. Give a horizon such as "
                '"365d", or ask for median_time_alive().'
            )
        span, kernel = self.units(horizon), self.kernel
        quantity = Quantity("time_alive", lambda params, x, T: kernel.time_alive(params, x, T, span), span)  # noqa: N803
        return self.predict(quantity, summary, (frequency, recency, age), interval, confidence)

    def median_time_alive(
        self,
        summary: CustomerSummary | None = None,
        *,
        frequency: Any = None,
        recency: Any = None,
        age: Any = None,
    ) -> Any:
        """Return the time from now by which the customer is dead with probability one half, in units of the model.

        It is 0 where P(alive) is one half or less already, and infinite where the customer outlives every time with a
        probability of more than one half: always for the NBD, in which nobody drops out.

        Args:
            summary: Customers; the answer is their frame with the column `median_time_alive`.
            frequency: Number of repeat purchases.
            recency: Time from the first to the last purchase, in units of the model.
            age: Time observed since the first purchase, in units of the model.

        Returns:
            Time per customer: a number, an array, or a frame.

        Raises:
            InvalidArgument: A history cannot be, or the summary has another unit.

        Examples:
            >>> from loyalty.clv.models.lifetime import NBD
            >>> from loyalty.clv.summaries.cells import Cells
            >>> fit = NBD().fit(Cells.of([0, 1, 3, 0], [0, 5, 30, 0], [39, 38, 38, 30]), unit="week")
            >>> fit.median_time_alive(frequency=1, recency=5, age=38)
            inf
        """
        return self.answer("median_time_alive", summary, (frequency, recency, age), self._medians)

    def _will_buy(self, quantity: Quantity, summary: Any, history: History, span: float, confidence: float) -> Any:
        """Return expected purchases with the interval of what customers will really buy."""
        checks.confidence_level(confidence)
        points = uncertainty.sigma_points(self.values, self.log_covariance)

        def limits(*arrays: Floats) -> tuple[Floats, Floats, Floats]:
            ends = uncertainty.purchase_limits(self.kernel, points, arrays, span, confidence)
            if all(self.identified.values()):
                return self._values(quantity, arrays), *ends
            value, *sure = self._with_limits(quantity, arrays, confidence)
            return value, *uncertainty.where_known(ends, tuple(sure))

        return self.answer(quantity.name, summary, history, limits, (confidence, "predictive"))

    def _medians(self, x: Floats, t_x: Floats, T: Floats) -> Floats:  # noqa: N803
        """Return the median time alive of customers."""
        alive = per_customer(self.kernel.p_alive(self.values, x, t_x, T), x)
        return lasting.median(self.kernel, self.values, x, T, alive)
