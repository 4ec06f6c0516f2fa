"""Survival of customers under contract, cohort by cohort and of all together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.summaries.opportunities import PERIOD_DAYS
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.summaries.counts import SurvivalCounts

__all__ = ["renewal_words", "survival_curves"]

Floats = NDArray[np.float64]


def survival_curves(counts: SurvivalCounts) -> Table:
    """Return a row per cohort and renewal; see `SurvivalCounts.curves`."""
    import pyarrow as pa

    parts = [(name, curve, curve / curve[0]) for name, curve in counts.cohorts.items() if curve[0] > 0.0]
    names = [name for name, curve, _ in parts for _ in curve] + [None] * (_known(counts) + 1)
    survivors, shares = ([part[place] for part in parts] for place in (1, 2))
    together = _together(counts)
    columns = {
        "cohort": pa.array(names, pa.string()),
        "renewal": np.concatenate([np.arange(len(part)) for part in [*survivors, together[0]]]),
        "customers": np.concatenate([*survivors, together[0]]),
        "survival": np.concatenate([*shares, together[1]]),
    }
    return Table(
        name="survival observed",
        data=pa.table(columns),
        kind=counts.kind,
        sentence=str(counts),
        definition="Share of customers who survived each renewal: of each cohort, and of all together by the product "
        "of the retentions (Kaplan–Meier).",
        units={"renewal": renewal_words(counts.period), "customers": "customers", "survival": "share"},
        note=" ".join(counts.notes).removesuffix("."),
        chart="survival_curves",
    )


def renewal_words(period: str) -> str:
    """Return what renewals are counted in, in words."""
    return f"renewals, one every {period}" if period in PERIOD_DAYS else "renewals"


def _known(counts: SurvivalCounts) -> int:
    """Return up to which renewal somebody was at risk without a gap."""
    return int(np.argmin(np.append(counts.at_risk > 0.0, False)))


def _together(counts: SurvivalCounts) -> tuple[Floats, Floats]:
    """Return how many customers stayed at each renewal from 0 on, and the product of the shares who did."""
    known = _known(counts)
    at_risk, kept = counts.at_risk[:known], counts.kept[:known]
    return np.append(at_risk[:1], kept), np.cumprod(np.append(1.0, kept / at_risk))
