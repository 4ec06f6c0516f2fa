"""What a fitted BG/BB model predicts of customers: whether they are alive, and at how many opportunities they buy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from loyalty import checks
from loyalty.clv import _bgbb, uncertainty
from loyalty.clv.discounting import per_period
from loyalty.clv.fits import Fit
from loyalty.clv.opportunities import PERIOD_DAYS, Opportunities
from loyalty.clv.uncertainty import Prediction
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.cells import Cells
    from loyalty.clv.kernels import Kernel

__all__ = ["MOST", "BGBBFit", "Chances", "read_history"]

Floats = NDArray[np.float64]
Values = tuple[float, ...]
Quantity = Callable[[Values, Floats, Floats, Floats], Floats]  # (params, x, t_x, n) → one value per customer

MOST = 100_000  # opportunities, seen or ahead


class Chances(NamedTuple):
    """What is to be expected of a customer's own chances, given what they did (posterior means).

    Attributes:
        buying: Chance of buying at an opportunity while alive.
        leaving: Chance of dropping out before an opportunity.
    """

    buying: Any
    leaving: Any


class BGBBFit(Fit):
    """A fitted BG/BB model: what `Fit` says of it, and its predictions.

    Every prediction takes customers in one of two ways: `Opportunities` (the answer is a per-customer frame in the kind
    of their source), or numbers or arrays `frequency=`, `recency=` and `opportunities=` (the answer is a number or an
    array). A new customer is 0, 0 and 0. Lengths of time are whole numbers of periods, the fit's `unit` each.

    `interval="confidence"` adds how well the parameters are known, by the delta method on the scale of logarithms (for
    probabilities, of log odds): a `Prediction` for numbers and arrays, columns `…_low` and `…_high` for opportunities.
    Parameters that the data do not determine count as known there.
    """

    @classmethod
    def parameter_names(cls, model: str) -> tuple[str, ...]:  # noqa: ARG003 (one model only)
        """Return the names that the parameters must have."""
        return _bgbb.NAMES

    @property
    def days_per_period(self) -> float:
        """Length of a period in days, on average."""
        return PERIOD_DAYS[checks.choice("unit", self.unit, tuple(PERIOD_DAYS))]

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

        return self._predict("p_alive", quantity, data, (frequency, recency, opportunities), interval, confidence, 1.0)

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
        return self._predict("expected_purchases", quantity, data, given, interval, confidence, float(far), kinds)

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
        return self._predict("discounted_purchases", quantity, data, given, interval, confidence)

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
        return self._predict("purchase_probability", quantity, data, given, interval, confidence, 1.0)

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
        return self._predict("time_alive", quantity, data, given, interval, confidence, float(far))

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
            cells = self._cells(data, (frequency, recency, opportunities))
            buying, leaving = _bgbb.posterior_means(self.values, cells.x, cells.t_x, cells.T)
            return data.hand_back(data.with_cells({"chance_of_buying": buying, "chance_of_leaving": leaving}))
        arrays, shape = read_history(frequency, recency, opportunities)
        return Chances(*(_shaped(part, shape) for part in _bgbb.posterior_means(self.values, *arrays)))

    # ------------------------------------------------------------------------------------------------------- inside

    def _cells(self, data: Any, history: tuple[Any, Any, Any]) -> Cells:
        """Return the cells of opportunities that the model can score."""
        if any(part is not None for part in history):
            raise InvalidArgument("pass either opportunities of customers or the keywords, not both.")
        if not isinstance(data, Opportunities):
            raise InvalidArgument(
                f"{type(data).__name__} is none of the opportunities: pass ly.opportunities(tx, {self.unit!r}), or the "
                "keywords frequency=, recency= and opportunities=."
            )
        if data.period != self.unit:
            raise InvalidArgument(
                f"the opportunities are {data.period}s and the model's are {self.unit}s: count them with "
                f"period={self.unit!r}, or fit the model on these."
            )
        return data.cells

    def _predict(
        self,
        name: str,
        quantity: Quantity,
        data: Any,
        history: tuple[Any, Any, Any],
        interval: str | None,
        confidence: float,
        top: float = math.inf,
        kinds: tuple[str, ...] = ("confidence",),
    ) -> Any:
        """Return a prediction for customers given in either way, with or without a confidence interval."""
        if interval is None:
            return self._answer(name, data, history, lambda *arrays: quantity(self.values, *arrays))
        checks.choice("interval", interval, kinds)
        checks.confidence_level(confidence)

        def limits(*arrays: Floats) -> tuple[Floats, ...]:
            value = quantity(self.values, *arrays)
            slopes = uncertainty.log_differences(self.values, lambda params: quantity(params, *arrays))
            spread = uncertainty.log_spread(slopes, self.log_covariance)
            return value, *uncertainty.spread_limits(value, spread, confidence, top)

        return self._answer(name, data, history, limits, (confidence, "confidence"))

    def _will_buy(
        self, quantity: Quantity, data: Any, history: tuple[Any, Any, Any], far: int, confidence: float
    ) -> Any:
        """Return expected purchases with the interval of what customers will really buy."""
        checks.confidence_level(confidence)
        points = uncertainty.sigma_points(self.values, self.log_covariance)
        kernel = cast("Kernel", _bgbb)  # it has the two functions that are asked for

        def limits(*arrays: Floats) -> tuple[Floats, ...]:
            ends = uncertainty.purchase_limits(kernel, points, arrays, far, confidence)
            return quantity(self.values, *arrays), *ends

        return self._answer("expected_purchases", data, history, limits, (confidence, "predictive"))

    def _answer(
        self,
        name: str,
        data: Any,
        history: tuple[Any, Any, Any],
        compute: Callable[..., Any],
        kind: tuple[float, str] | None = None,
    ) -> Any:
        """Return what `compute` gives for x, t_x, n (one array, or three with an interval), in the caller's form."""
        if data is not None:
            cells = self._cells(data, history)
            found = compute(cells.x, cells.t_x, cells.T)
            names = (name, f"{name}_low", f"{name}_high")
            columns = {name: found} if kind is None else dict(zip(names, found, strict=True))
            return data.hand_back(data.with_cells(columns))
        arrays, shape = read_history(*history)
        found = compute(*arrays)
        if kind is None:
            return _shaped(found, shape)
        value, low, high = (_shaped(part, shape) for part in found)
        return Prediction(value=value, low=low, high=high, confidence=kind[0], kind=kind[1])


def read_history(frequency: Any, recency: Any, opportunities: Any) -> tuple[tuple[Floats, ...], tuple[int, ...]]:
    """Return x, t_x and n as arrays of shape (m,), checked, and the shape they were given in."""
    given = {"frequency": frequency, "recency": recency, "opportunities": opportunities}
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise InvalidArgument(
            f"{', '.join(missing)} missing: pass opportunities of customers, or frequency=, recency= and "
            "opportunities= together (0, 0 and 0 for a new customer)."
        )
    arrays = {name: np.asarray(value) for name, value in given.items()}
    odd = [name for name, array in arrays.items() if array.dtype.kind not in "iuf"]
    if odd:
        raise InvalidArgument(f"{odd[0]}={str(given[odd[0]])[:60]} holds what is no number.")
    try:
        x, t_x, n = np.broadcast_arrays(*(array.astype(np.float64) for array in arrays.values()))
    except ValueError as err:
        raise InvalidArgument(f"the shapes of {', '.join(given)} do not fit together: {err}.") from err
    with np.errstate(invalid="ignore"):
        sound = (x >= 0) & (x <= t_x) & (t_x <= n) & (n <= MOST) & ((x > 0) | (t_x == 0))
        sound &= (x == np.floor(x)) & (t_x == np.floor(t_x)) & (n == np.floor(n))
    if not sound.all():
        bad = [f"({a:g}, {b:g}, {c:g})" for a, b, c in zip(x[~sound][:3], t_x[~sound][:3], n[~sound][:3], strict=True)]
        raise InvalidArgument(
            f"{int((~sound).sum()):,} histories cannot be, with (frequency, recency, opportunities) = {', '.join(bad)}"
            ": give whole numbers with 0 ≤ frequency ≤ recency ≤ opportunities, and recency 0 just where frequency is."
        )
    return tuple(np.ascontiguousarray(one).ravel() for one in (x, t_x, n)), x.shape


def _shaped(found: Floats, shape: tuple[int, ...]) -> Any:
    """Return an array in the shape of what was asked for; a number for a number."""
    return float(found[0]) if not shape else np.array(found).reshape(shape)
