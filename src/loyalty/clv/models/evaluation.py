"""A fitted lifetime model at customers: its functions evaluated once for equal histories, with their intervals."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, periods
from loyalty.clv.models import answers, discounting, uncertainty
from loyalty.clv.models.fits import Fit
from loyalty.clv.summaries import histories
from loyalty.clv.summaries.histories import Pairs
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.kernels import Kernel
    from loyalty.clv.models.answers import Kind
    from loyalty.clv.summaries.cells import Cells
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["CellPredictions", "Duration", "Evaluation", "Quantity", "kernel_of", "per_customer"]

Floats = NDArray[np.float64]
Given = Callable[[tuple[float, ...], Any, Any], Any]  # (params, x, T) → what holds for customers who are alive
History = tuple[Any, Any, Any]  # x, t_x and T
Duration = str | dt.timedelta

_FEW = 64  # customers for whom finding equal ones costs more than it saves


def kernel_of(model: str) -> Kernel:
    """Return the mathematics of a lifetime model, by the name of its class.

    Raises:
        InvalidArgument: There is no such model.
    """
    checks.choice("model", model, ("BGNBD", "MBGNBD", "ParetoNBD", "GGomNBD", "NBD"))
    if model in {"BGNBD", "MBGNBD"}:
        from loyalty.clv.kernels import _geometric

        return _geometric.BGNBD if model == "BGNBD" else _geometric.MBGNBD
    if model == "ParetoNBD":
        from loyalty.clv.kernels import _paretonbd

        return _paretonbd.KERNEL
    if model == "GGomNBD":
        from loyalty.clv.kernels import _ggomnbd

        return _ggomnbd.KERNEL
    from loyalty.clv.kernels import _nbd

    return _nbd.KERNEL


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPredictions:
    """What lies ahead of the customers of each cell; P(alive) is multiplied in everywhere.

    Attributes:
        p_alive: Probability of being alive now; shape (n,).
        expected_purchases: Expected purchases within the horizon; shape (n,); NaN where it is infinite.
        discounted_purchases: The same, each purchase discounted to now; shape (n,).
        second_moment: Expected square of the number of purchases within the horizon; shape (n,); NaN where the horizon
            is infinite.
        log_gradient: Derivatives of ln(discounted_purchases) by the log parameters; shape (k, n).
    """

    p_alive: Floats
    expected_purchases: Floats
    discounted_purchases: Floats
    second_moment: Floats
    log_gradient: Floats


class Quantity(NamedTuple):
    """A prediction: P(alive) times what holds for those alive, or 1 less that."""

    name: str
    given: Given | None = None
    top: float = math.inf
    complement: bool = False


class Evaluation(Fit):
    """A fitted lifetime model, for authors of predictions."""

    @classmethod
    def parameter_names(cls, model: str) -> tuple[str, ...]:
        """Return the names that the parameters of a model must have."""
        return kernel_of(model).names

    @classmethod
    def further(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Return no further fields, but refuse what no lifetime model can have."""
        from loyalty.clv.summaries.summary import UNITS

        if min(saved["params"].values()) <= 0.0 or saved["unit"] not in UNITS:
            raise InvalidArgument("this is no saved fit: a parameter is not positive, or the unit is not known.")
        return {}

    @cached_property
    def kernel(self) -> Kernel:
        """The mathematics of the model; for authors."""
        return kernel_of(self.model)

    @cached_property
    def days_per_unit(self) -> float:
        """Length of the unit of the model's times, in days."""
        from loyalty.clv.summaries.summary import UNITS

        return UNITS[checks.choice("unit", self.unit, tuple(UNITS))]

    def units(self, duration: Duration, name: str = "horizon") -> float:
        """Return a duration such as "365d" in units of the model."""
        try:
            days = _days(duration, name)
        except TypeError:  # not hashable: no duration either
            days = periods.duration_days(duration, name)
        return days / self.days_per_unit

    def discount_rate(self, annual_discount_rate: float) -> float:
        """Return the continuous rate per unit of the model: ln(1 + annual rate) per 365.25 days."""
        return discounting.rate_per(annual_discount_rate, self.days_per_unit)

    def check_summary(self, summary: Any) -> CustomerSummary:
        """Return a customer summary whose times are in the unit of the model.

        Raises:
            InvalidArgument: It is none, or has another unit.
        """
        from loyalty.clv.summaries.summary import CustomerSummary

        if not isinstance(summary, CustomerSummary):
            raise InvalidArgument(
                f"{type(summary).__name__} is no customer summary: pass ly.summarize(tx, unit={self.unit!r}) or "
                "CustomerSummary.of(frame, ...), or the keywords frequency=, recency= and age=."
            )
        if summary.unit != self.unit:
            raise InvalidArgument(
                f"the summary counts time in {summary.unit}s and the model in {self.unit}s: make the summary with "
                f"unit={self.unit!r}, or fit the model on this one."
            )
        return summary

    def given_alive(self, cells: Cells, quantity: Given) -> Floats:
        """Return what holds for those alive, a function (params, x, T), at every cell; shape (n,)."""
        pairs = Pairs.of(cells.x, cells.T)
        return per_customer(quantity(self.values, pairs.x, pairs.T), pairs.x)[pairs.place]

    def log_gradient(self, cells: Cells, quantity: Given | None) -> Floats:
        """Return the derivatives of ln(P(alive) · quantity) by the log parameters at every cell; shape (k, n).

        Those of P(alive) are exact; those of the quantity, a function (params, x, T) of what holds for those alive, are
        central differences. Where something is 0, so are its derivatives.
        """
        return self._log_gradient((cells.x, cells.t_x, cells.T), Pairs.of(cells.x, cells.T), quantity)

    def cell_predictions(self, cells: Cells, *, horizon: float, rate: float = 0.0) -> CellPredictions:
        """Return what lies ahead of the customers of each cell.

        Args:
            cells: The customers, in units of the model.
            horizon: In units of the model; may be infinite where the rate is positive.
            rate: Continuous discount rate per unit of the model, as `discount_rate` gives it.
        """
        pairs, kernel = Pairs.of(cells.x, cells.T), self.kernel
        alive = per_customer(kernel.p_alive(self.values, cells.x, cells.t_x, cells.T), cells.x)

        def discounted(params: tuple[float, ...], x: Any, T: Any) -> Any:  # noqa: N803
            return kernel.purchases(params, x, T, horizon, rate)

        if math.isfinite(horizon):
            plain = per_customer(kernel.purchases(self.values, pairs.x, pairs.T, horizon, 0.0), pairs.x)
            second = per_customer(kernel.factorial_moment(self.values, pairs.x, pairs.T, horizon), pairs.x) + plain
        else:
            plain = second = np.full(len(pairs.x), math.nan)
        value = plain if rate == 0.0 else per_customer(discounted(self.values, pairs.x, pairs.T), pairs.x)
        return CellPredictions(
            p_alive=alive,
            expected_purchases=alive * plain[pairs.place],
            discounted_purchases=alive * value[pairs.place],
            second_moment=alive * second[pairs.place],
            log_gradient=self._log_gradient((cells.x, cells.t_x, cells.T), pairs, discounted),
        )

    def predict(
        self, quantity: Quantity, summary: Any, history: History, interval: str | None, confidence: float
    ) -> Any:
        """Return a prediction for customers given in any way, with or without an interval."""
        if interval is None:
            if summary is None and (one := histories.one_customer(*history)) is not None:
                return float(self._value(quantity, *one))
            return self.answer(quantity.name, summary, history, lambda *arrays: self._values(quantity, arrays))
        allowed = ("confidence", "predictive") if quantity.name == "expected_purchases" else ("confidence",)
        checks.choice("interval", interval, allowed)
        checks.confidence_level(confidence)

        def limits(*arrays: Floats) -> tuple[Floats, Floats, Floats]:
            return self._with_limits(quantity, arrays, confidence)

        return self.answer(quantity.name, summary, history, limits, (confidence, "confidence"))

    def answer(
        self,
        name: str,
        summary: Any,
        history: History,
        compute: Callable[..., Any],
        kind: Kind | None = None,
    ) -> Any:
        """Return what `compute` gives for arrays x, t_x, T, in the caller's form.

        Args:
            name: Of the prediction.
            summary: Customers, or None.
            history: frequency, recency and age as the caller gave them.
            compute: Arrays x, t_x, T → an array, or with an interval value, low and high.
            kind: Level and kind of the interval; None where there is none.
        """
        if summary is not None:
            if any(part is not None for part in history):
                raise InvalidArgument("pass either a summary or frequency=, recency= and age=, not both.")
            cells = self.check_summary(summary).cells
            return answers.of_people(summary, name, compute(cells.x, cells.t_x, cells.T), kind)
        arrays = histories.read(*history)
        found = compute(*(np.ascontiguousarray(array).ravel() for array in arrays))
        return answers.of_arrays(found, arrays[0].shape, kind)

    def _value(self, quantity: Quantity, x: Any, t_x: Any, T: Any) -> Any:  # noqa: N803
        """Return the prediction, every customer on their own."""
        alive = self.kernel.p_alive(self.values, x, t_x, T)
        value = alive if quantity.given is None else alive * quantity.given(self.values, x, T)
        return 1.0 - value if quantity.complement else value

    def _values(self, quantity: Quantity, arrays: tuple[Floats, ...]) -> Floats:
        """Return the prediction, what holds for those alive found once for equal (x, T)."""
        x, t_x, T = arrays  # noqa: N806
        if len(x) <= _FEW or quantity.given is None:
            return per_customer(self._value(quantity, x, t_x, T), x)
        pairs = Pairs.of(x, T)
        given = per_customer(quantity.given(self.values, pairs.x, pairs.T), pairs.x)[pairs.place]
        value = self.kernel.p_alive(self.values, x, t_x, T) * given
        return 1.0 - value if quantity.complement else value

    def _with_limits(
        self, quantity: Quantity, arrays: tuple[Floats, ...], confidence: float
    ) -> tuple[Floats, Floats, Floats]:
        """Return the prediction with its confidence interval by the delta method."""
        value = self._values(quantity, arrays)
        gradient = self._log_gradient(arrays, Pairs.of(arrays[0], arrays[2]), quantity.given)
        spread = uncertainty.log_spread(gradient, self.log_covariance)
        of_spread = 1.0 - value if quantity.complement else value
        low, high = uncertainty.spread_limits(of_spread, spread, confidence, quantity.top)
        if quantity.complement:
            low, high = np.minimum(1.0 - high, value), np.maximum(1.0 - low, value)

        def elsewhere(params: tuple[float, ...]) -> Floats:
            moved = replace(self, params=dict(zip(self.names, params, strict=True)))
            return moved._values(quantity, arrays)  # noqa: SLF001 (its own kind)

        blank = uncertainty.held(self, elsewhere, value, gradient, spread)
        return value, np.where(blank, math.nan, low), np.where(blank, math.nan, high)

    def _log_gradient(self, arrays: tuple[Floats, ...], pairs: Pairs, given: Given | None) -> Floats:
        """Return the derivatives of ln(P(alive) · given) by the log parameters.

        The likelihood of being alive does not depend on t_x: with the last purchase at T it is the whole likelihood
        times P(alive) there, which is 1 or simple. So d ln P(alive) is that of (x, T, T), less that of (x, t_x, T).
        """
        x, t_x, T = arrays  # noqa: N806
        kernel, values = self.kernel, self.values

        def still(params: tuple[float, ...]) -> Floats:
            alive = kernel.p_alive(params, pairs.x, pairs.T, pairs.T)
            return per_customer(alive if given is None else alive * given(params, pairs.x, pairs.T), pairs.x)

        at_pairs = uncertainty.log_differences(values, still) + kernel.gradient(values, pairs.x, pairs.T, pairs.T)
        gradient = at_pairs[:, pairs.place] - kernel.gradient(values, x, t_x, T)
        return np.where(np.isfinite(gradient), gradient, 0.0)


@lru_cache(maxsize=256)
def _days(duration: Duration, name: str) -> int:
    """Return a duration in days."""
    return periods.duration_days(duration, name)


def per_customer(found: Any, like: Floats) -> Floats:
    """Return what a kernel gave as an array with an entry per customer."""
    return np.broadcast_to(np.asarray(found, dtype=np.float64), like.shape)
