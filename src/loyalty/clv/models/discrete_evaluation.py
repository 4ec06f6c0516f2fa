"""A fitted BG/BB model at customers: histories checked, and predictions handed back as they were asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks
from loyalty.clv.kernels import _bgbb
from loyalty.clv.models import answers, uncertainty
from loyalty.clv.models.fits import Fit
from loyalty.clv.summaries.opportunities import PERIOD_DAYS, Opportunities
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.models.answers import Kind
    from loyalty.clv.summaries.cells import Cells

__all__ = ["MOST", "DiscreteEvaluation", "Quantity", "Values", "read_history"]

Floats = NDArray[np.float64]
Values = tuple[float, ...]
Quantity = Callable[[Values, Floats, Floats, Floats], Floats]  # (params, x, t_x, n) → one value per customer

MOST = 100_000  # opportunities, seen or ahead


class DiscreteEvaluation(Fit):
    """A fitted BG/BB model, for authors of predictions."""

    @classmethod
    def parameter_names(cls, model: str) -> tuple[str, ...]:  # noqa: ARG003 (one model only)
        """Return the names that the parameters must have."""
        return _bgbb.NAMES

    @property
    def days_per_period(self) -> float:
        """Length of a period in days, on average."""
        return PERIOD_DAYS[checks.choice("unit", self.unit, tuple(PERIOD_DAYS))]

    def cells(self, data: Any, history: tuple[Any, Any, Any]) -> Cells:
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

    def predict(
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
            return self.answer(name, data, history, lambda *arrays: quantity(self.values, *arrays))
        checks.choice("interval", interval, kinds)
        checks.confidence_level(confidence)

        def limits(*arrays: Floats) -> tuple[Floats, ...]:
            return uncertainty.delta_limits(self, lambda params: quantity(params, *arrays), confidence, top)

        return self.answer(name, data, history, limits, (confidence, "confidence"))

    def answer(
        self,
        name: str,
        data: Any,
        history: tuple[Any, Any, Any],
        compute: Callable[..., Any],
        kind: Kind | None = None,
    ) -> Any:
        """Return what `compute` gives for x, t_x, n (one array, or three with an interval), in the caller's form."""
        if data is not None:
            cells = self.cells(data, history)
            return answers.of_people(data, name, compute(cells.x, cells.t_x, cells.T), kind)
        arrays, shape = read_history(*history)
        return answers.of_arrays(compute(*arrays), shape, kind)


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
