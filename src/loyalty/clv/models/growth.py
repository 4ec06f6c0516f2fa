"""How the repeat purchases of a new customer add up over time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, wording
from loyalty.clv.kernels import _bgbb
from loyalty.clv.models import uncertainty
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.models.discrete_evaluation import DiscreteEvaluation
    from loyalty.clv.models.evaluation import Evaluation
    from loyalty.clv.models.fits import Fit

__all__ = ["at_opportunities", "over_time"]

Floats = NDArray[np.float64]
Values = tuple[float, ...]

_POINTS = 100  # of a curve, after its start
_MOST = 100_000


def over_time(fit: Evaluation, horizon: str | dt.timedelta, confidence: float) -> Table:
    """Return the expected purchases of a new customer up to a horizon; see `LifetimeFit.repeat_purchases`."""
    checks.confidence_level(confidence)
    times = np.linspace(0.0, fit.units(horizon), _POINTS + 1)
    kernel, new = fit.kernel, np.zeros(_POINTS)

    def bought(params: Values) -> Floats:
        alive = kernel.p_alive(params, new, new, new)
        return np.asarray(alive * kernel.purchases(params, new, new, times[1:], 0.0), dtype=np.float64)

    return _table(fit, times, uncertainty.delta_limits(fit, bought, confidence), fit.data.get("oldest"), confidence)


def at_opportunities(fit: DiscreteEvaluation, periods: int, confidence: float) -> Table:
    """Return the expected purchases of a new customer at the first opportunities; see `BGBBFit.repeat_purchases`."""
    checks.confidence_level(confidence)
    far = checks.count("periods", periods, high=_MOST)
    places = np.unique(np.rint(np.linspace(0.0, far, min(far, _POINTS) + 1)))
    new = np.zeros(1)

    def limits(ahead: float) -> tuple[Floats, ...]:
        return uncertainty.delta_limits(
            fit, lambda params: _bgbb.purchases(params, new, new, ahead), confidence, top=ahead
        )

    found = zip(*(limits(ahead) for ahead in places[1:].tolist()), strict=True)
    return _table(fit, places, tuple(np.concatenate(part) for part in found), fit.data.get("opportunities"), confidence)


def _table(fit: Fit, times: Floats, found: tuple[Floats, ...], oldest: Any, confidence: float) -> Table:
    """Return a row per time: nothing is bought at 0, for certain."""
    import pyarrow as pa

    value, low, high = (np.concatenate([[0.0], part]) for part in found)
    observed = _observed(times, oldest)
    ahead = wording.counted(round(float(times[-1]), 2), f"{fit.unit}s")
    beyond = f" Nobody was observed for longer than {oldest:.4g} {fit.unit}s." if False in observed else ""
    notes = (
        uncertainty.interval_note(value, low).removesuffix("."),
        "the fit does not remember how long customers were observed" if None in observed else "",
    )
    return Table(
        name=f"repeat purchases of a new customer, by {fit.model}",
        data=pa.table(
            {
                "time": times,
                "expected": value,
                "low": low,
                "high": high,
                "observed": pa.array(observed, pa.bool_()),
            }
        ),
        kind="pandas",
        sentence=f"A new customer is expected to make {wording.counted(value[-1], 'repeat purchases')} within {ahead}.",
        definition=f"Expected purchases after the first up to each time, with the {wording.level(confidence)} "
        f"interval of the expectation.{beyond}",
        units={"time": f"{fit.unit}s", "expected": "purchases", "low": "purchases", "high": "purchases"},
        note="; ".join(filter(None, notes)),
        chart="repeat_purchases",
    )


def _observed(times: Floats, oldest: Any) -> list[bool] | list[None]:
    """Return for each time whether anybody was observed for so long; None where the fit does not know."""
    if not isinstance(oldest, (int, float)):
        return [None] * len(times)
    found: list[bool] = (times <= oldest * (1.0 + 1e-9)).tolist()
    return found
