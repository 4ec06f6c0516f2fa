"""Survival of customers under contract as it was, beside what a fitted model of renewals says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, wording
from loyalty.clv.models import uncertainty
from loyalty.clv.summaries.survival_curves import renewal_words
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.models.contract_predictions import ContractFit

__all__ = ["fitted_survival"]

Floats = NDArray[np.float64]
Values = tuple[float, ...]

_MOST = 100_000


def fitted_survival(fit: ContractFit, renewals: int | None, confidence: float) -> Table:
    """Return survival as observed and as fitted; see `ContractFit.fitted_survival`."""
    import pyarrow as pa

    checks.confidence_level(confidence)
    seen = _observed(fit.data)
    far = max(12, len(seen) - 1) if renewals is None else checks.count("renewals", renewals, high=_MOST)
    ahead = np.arange(1.0, far + 1.0)

    def share(params: Values) -> Floats:
        return np.asarray(np.exp(fit.kernel.log_survival(params, 0.0, ahead)), dtype=np.float64)

    fitted = [np.append(1.0, part) for part in uncertainty.delta_limits(fit, share, confidence, 1.0)]
    observed = np.full(far + 1, np.nan)
    observed[: min(far + 1, len(seen))] = seen[: far + 1]
    last = int(np.flatnonzero(np.isfinite(observed))[-1])
    was = f"{wording.quantity(observed[last], 'share')} were observed to and " if last else ""
    columns = dict(zip(("survival", "low", "high"), fitted, strict=True))
    return Table(
        name=f"survival, observed and expected by {fit.model}",
        data=pa.table({"renewal": np.arange(far + 1), "observed": observed, **columns}),
        kind="pandas",
        sentence=f"Of new customers {was}{wording.quantity(fitted[0][last or far], 'share')} are expected to survive "
        f"{wording.counted(last or far, 'renewals')}.",
        definition="Share of new customers who survive each renewal: as observed (Kaplan–Meier) and by the model, with "
        f"the {wording.level(confidence)} interval of its expectation.",
        units={"renewal": renewal_words(fit.unit), **dict.fromkeys(("observed", "survival", "low", "high"), "share")},
        note=uncertainty.interval_note(*fitted[:2]).removesuffix("."),
        chart="survival",
    )


def _observed(data: Any) -> Floats:
    """Return the survival that the fit was made from, from renewal 0 on, as far as anybody was at risk."""
    at_risk, lost = (np.asarray(data.get(name, ()), dtype=np.float64) for name in ("at_risk", "lost"))
    if at_risk.ndim != 1 or at_risk.shape != lost.shape:
        return np.ones(1)
    known = int(np.argmin(np.append(at_risk > 0.0, False)))
    return np.cumprod(np.append(1.0, 1.0 - lost[:known] / at_risk[:known]))
