"""What a model says of every combination of frequency and recency, of customers observed for one length of time."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, periods, wording
from loyalty.clv.kernels import _bgbb
from loyalty.clv.models import lasting
from loyalty.clv.summaries.by_history import high_frequency, round_step
from loyalty.errors import InvalidArgument
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.models.discrete_evaluation import DiscreteEvaluation
    from loyalty.clv.models.evaluation import Evaluation
    from loyalty.clv.summaries.cells import Cells

__all__ = ["alive", "alive_at_opportunities", "purchases", "purchases_at_opportunities", "said", "seen"]

Floats = NDArray[np.float64]

_STEPS = 40  # rows or columns that a picture can show
_MOST = 100_000
_OLDEST = 1e6  # units of time that customers may have been observed


def seen(cells: Cells) -> dict[str, float]:
    """Return how far the histories of customers reach, which a fit remembers.

    Returns:
        `high_frequency`, which one customer in a thousand exceeds at most (1 where hardly anybody bought again), and
        `oldest`, the longest time observed.
    """
    return {"high_frequency": max(1.0, high_frequency(cells)), "oldest": float(cells.T.max())}


def purchases(fit: Evaluation, horizon: str | dt.timedelta, frequency: int | None, age: float | None) -> Table:
    """Return the expected purchases within a horizon by frequency and recency; see `LifetimeFit.purchase_matrix`."""
    most, oldest = _reach(fit, frequency, age)
    x, t_x = _grid(_steps(most, whole=True), _steps(oldest))
    T = np.full(len(x), oldest)  # noqa: N806
    value = _alive(fit, x, t_x, T) * fit.kernel.purchases(fit.values, x, T, fit.units(horizon), 0.0)
    ahead = said(periods.duration_days(horizon, "horizon"))
    return _table(
        (x, t_x, value),
        name=f"expected purchases in the next {ahead}, by {fit.model}",
        definition=f"{_whom(fit, oldest)}: how many purchases to expect of them within {ahead}.",
        chart="purchase_matrix",
        units=_units(fit.unit, "purchases"),
    )


def alive(fit: Evaluation, frequency: int | None, age: float | None) -> Table:
    """Return P(alive) by frequency and recency; see `LifetimeFit.alive_matrix`."""
    most, oldest = _reach(fit, frequency, age)
    x, t_x = _grid(_steps(most, whole=True), _steps(oldest))
    return _table(
        (x, t_x, _alive(fit, x, t_x, np.full(len(x), oldest))),
        name=f"probability of being alive, by {fit.model}",
        definition=f"{_whom(fit, oldest)}: the probability that they are still customers.",
        note=lasting.certain(fit.model),
        chart="alive_matrix",
        units=_units(fit.unit, "share"),
    )


def _alive(fit: Evaluation, x: Floats, t_x: Floats, T: Floats) -> Floats:  # noqa: N803
    """Return P(alive) of customers."""
    return np.broadcast_to(np.asarray(fit.kernel.p_alive(fit.values, x, t_x, T), dtype=np.float64), x.shape)


def purchases_at_opportunities(
    fit: DiscreteEvaluation, ahead: int, frequency: int | None, opportunities: int | None
) -> Table:
    """Return the expected purchases at the next opportunities; see `BGBBFit.purchase_matrix`."""
    far = checks.count("periods", ahead, high=_MOST)
    x, t_x, n = _discrete_grid(fit.data, frequency, opportunities)
    value = _bgbb.p_alive(fit.values, x, t_x, n) * _bgbb.purchases(fit.values, x, n, far)
    future = wording.counted(far, f"{fit.unit}s")
    return _table(
        (x, t_x, value),
        name=f"expected purchases in the next {future}, by {fit.model}",
        definition=f"{_who_had(n)}: at how many of the next {far} they are expected to buy.",
        chart="purchase_matrix",
        units=_units(fit.unit, "purchases"),
    )


def alive_at_opportunities(fit: DiscreteEvaluation, frequency: int | None, opportunities: int | None) -> Table:
    """Return P(alive) at the last opportunity by frequency and recency; see `BGBBFit.alive_matrix`."""
    x, t_x, n = _discrete_grid(fit.data, frequency, opportunities)
    return _table(
        (x, t_x, _bgbb.p_alive(fit.values, x, t_x, n)),
        name=f"probability of being alive, by {fit.model}",
        definition=f"{_who_had(n)}: the probability that they were still customers at the last one.",
        chart="alive_matrix",
        units=_units(fit.unit, "share"),
    )


def said(days: int) -> str:
    """Return a number of days in words: weeks where they are whole.

    Examples:
        >>> said(273), said(365), said(1)
        ('39 weeks', '365 days', '1 day')
    """
    return wording.counted(days // 7, "weeks") if days % 7 == 0 else wording.counted(days, "days")


def _reach(fit: Evaluation, frequency: int | None, age: float | None) -> tuple[float, float]:
    """Return the largest frequency and the age, as asked for or as seen when the model was fitted."""
    most = None if frequency is None else float(checks.count("frequency", frequency, high=_MOST))
    oldest = None if age is None else checks.number("age", age)
    if oldest is not None and not 0.0 < oldest <= _OLDEST:
        raise InvalidArgument(
            f"age={age!r}: give a time above 0 and up to {_OLDEST:,.0f}, in {fit.unit}s, for which customers were "
            "observed."
        )
    return (
        max(1.0, _remembered(fit.data, "high_frequency", "frequency")) if most is None else most,
        _remembered(fit.data, "oldest", "age") if oldest is None else oldest,
    )


def _remembered(data: Mapping[str, Any], fact: str, name: str) -> float:
    """Return a fact of the data that a fit was made from."""
    value = data.get(fact)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidArgument(
            f"{name} missing: this fit does not remember the customers that it was made from (it was saved by an older "
            f"release, or made by hand). Pass {name}=."
        )
    return float(value)


def _steps(most: float, *, whole: bool = False) -> Floats:
    """Return 0 and round numbers up to `most`, few enough to be shown."""
    step = round_step(most, _STEPS)
    if whole:
        step = max(1.0, step)
    found: Floats = np.round(np.arange(math.floor(most / step * (1.0 + 1e-9)) + 1) * step, 12)
    return found


def _grid(frequencies: Floats, recencies: Floats) -> tuple[Floats, Floats]:
    """Return the combinations that can be: a recency of 0 just where there is no repeat purchase."""
    x, t_x = (part.ravel() for part in np.meshgrid(frequencies, recencies, indexing="ij"))
    can_be = (x > 0.0) == (t_x > 0.0)
    return x[can_be], t_x[can_be]


def _discrete_grid(
    data: Mapping[str, Any], frequency: int | None, opportunities: int | None
) -> tuple[Floats, Floats, Floats]:
    """Return the combinations of whole numbers that can be: no more purchases than opportunities up to the last."""
    if opportunities is None:
        opportunities = int(_remembered(data, "opportunities", "opportunities"))
    n = checks.count("opportunities", opportunities, high=_MOST)
    most = min(n, n if frequency is None else checks.count("frequency", frequency, high=_MOST))
    x, t_x = _grid(_steps(float(most), whole=True), _steps(float(n), whole=True))
    can_be = x <= t_x
    x, t_x = x[can_be], t_x[can_be]
    return x, t_x, np.full(len(x), float(n))


def _whom(fit: Evaluation, oldest: float) -> str:
    """Return the customers of a matrix in words."""
    return f"Customers observed for {wording.counted(round(oldest, 2), f'{fit.unit}s')} since their first purchase"


def _who_had(n: Floats) -> str:
    """Return the customers of a discrete matrix in words."""
    return f"Customers who had {wording.counted(int(n[0]), 'opportunities')}"


def _units(unit: str, value: str) -> dict[str, str]:
    """Return the units of a matrix's columns."""
    return {"frequency": "purchases", "recency": f"{unit}s", "value": value}


def _table(columns: tuple[Floats, Floats, Floats], **told: Any) -> Table:
    """Return a row per combination of frequency and recency."""
    import pyarrow as pa

    x, t_x, value = columns
    best = int(np.argmax(value))
    times, kind = told["units"]["recency"], told["units"]["value"]
    least, most = (wording.quantity(float(end), kind) for end in (value.min(), value.max()))
    sentence = (
        f"From {least} to {most}, the latter with {wording.counted(x[best], 'repeat purchases')}, the last one after "
        f"{wording.counted(t_x[best], times)}."
    )
    data = pa.table({"frequency": x.astype(np.int64), "recency": t_x, "value": value})
    return Table(data=data, kind="pandas", sentence=sentence, **told)
