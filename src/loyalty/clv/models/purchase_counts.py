"""How many customers made how many purchases, beside how many a model expects to: exact sums, nothing is simulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from loyalty import checks, wording
from loyalty.clv.kernels import _bgbb
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.models.discrete_evaluation import DiscreteEvaluation
    from loyalty.clv.models.evaluation import Evaluation
    from loyalty.clv.summaries.cells import Cells
    from loyalty.clv.summaries.opportunities import Opportunities
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["of_opportunities", "of_summary"]

Floats = NDArray[np.float64]
Chances = Callable[[Floats], Floats]  # ages of shape (n,) → probability of each count, shape (counts, n)

_MOST = 1000  # classes
_FEW = 4000  # ages up to which each is worked out by itself
_POINTS = (64, 128, 256)  # of polynomials in the logarithm of age, for more of them
_CLOSE = 1e-10  # of a probability that a polynomial gives
_BATCH = 8192


def of_summary(fit: Evaluation, summary: CustomerSummary, most: int) -> Table:
    """Return customers by repeat purchases, as counted and as expected; see `LifetimeFit.purchase_counts`."""
    cells = fit.check_summary(summary).cells
    counts = np.arange(checks.count("most", most, high=_MOST), dtype=np.float64)[:, None]
    kernel, new = fit.kernel, np.zeros(1)
    born = kernel.p_alive(fit.values, new, new, new)

    def chances(ages: Floats) -> Floats:
        found = born * kernel.probability(fit.values, 0.0, 0.0, ages[None, :], counts)
        return np.asarray(found + (1.0 - born) * (counts == 0.0), dtype=np.float64)

    ages, at = np.unique(cells.T, return_inverse=True)
    weight = np.bincount(at, weights=cells.weight).astype(np.float64)
    return _table(fit, cells, _summed(chances, ages, weight, fit.values[1]), summary.kind)


def of_opportunities(fit: DiscreteEvaluation, data: Opportunities, most: int) -> Table:
    """Return customers by opportunities used, as counted and as expected; see `BGBBFit.purchase_counts`."""
    cells = fit.cells(data, (None, None, None))
    longest = int(cells.T.max())
    counts = np.arange(min(checks.count("most", most, high=_MOST), longest), dtype=np.float64)
    new = np.zeros(len(counts))
    opportunities, at = np.unique(cells.T, return_inverse=True)
    weight = np.bincount(at, weights=cells.weight)
    expected = np.zeros(len(counts))
    for n, customers in zip(opportunities.tolist(), weight.tolist(), strict=True):
        expected += customers * _bgbb.probability(fit.values, new, new, int(n), counts)
    return _table(fit, cells, expected, data.kind, whole=longest == len(counts))


def _summed(chances: Chances, ages: Floats, weight: Floats, scale: float) -> Floats:
    """Return Σ weight · chances over ages, shape (counts,).

    Of very many ages it is that of polynomials in ln(scale + age), once they meet the probabilities at ages between
    their nodes.
    """
    if len(ages) > _FEW:
        logs = np.log(scale + ages)
        low, high = float(logs[0]), float(logs[-1])
        between = np.linspace(0, len(ages) - 1, 67).astype(np.intp)
        truth, place = chances(ages[between]), 2.0 * (logs - low) / (high - low) - 1.0
        for points in _POINTS:
            angles = np.pi * (np.arange(points) + 0.5) / points
            nodes = np.exp((low + high) / 2.0 + (high - low) / 2.0 * np.cos(angles)) - scale
            fitted = chances(np.maximum(nodes, 0.0)) @ np.cos(np.outer(angles, np.arange(points))) * (2.0 / points)
            fitted[:, 0] /= 2.0
            if np.abs(fitted @ chebvander(place[between], points - 1).T - truth).max() < _CLOSE:
                return fitted @ _moments(place, weight, points)
    found = np.zeros(len(chances(ages[:1])))
    for start in range(0, len(ages), _BATCH):
        part = slice(start, start + _BATCH)
        found += chances(ages[part]) @ weight[part]
    return found


def _moments(place: Floats, weight: Floats, points: int) -> Floats:
    """Return Σ weight · (Chebyshev polynomial) for each of them, shape (points,)."""
    found = np.zeros(points)
    for start in range(0, len(place), _BATCH):
        part = slice(start, start + _BATCH)
        found += weight[part] @ chebvander(place[part], points - 1)
    return found


def _table(fit: Any, cells: Cells, expected: Floats, kind: str, *, whole: bool = False) -> Table:
    """Return a row per number of purchases, the last for all that are left."""
    import pyarrow as pa

    most = len(expected)
    counted = np.bincount(np.minimum(cells.x, most).astype(np.int64), weights=cells.weight, minlength=most + 1)
    rest = max(float(cells.customers - expected.sum()), 0.0)
    data = pa.table(
        {
            "purchases": np.arange(most + 1),
            "label": [*map(str, range(most)), str(most) if whole else f"{most}+"],
            "customers": counted,
            "expected": np.append(expected, rest),
        }
    )
    return Table(
        name=f"customers by repeat purchases, counted and expected by {fit.model}",
        data=data,
        kind=kind,
        sentence=f"Of {wording.counted(cells.customers, 'customers')} {wording.plain(counted[0])} made no repeat "
        f"purchase; {fit.model} expects {data['expected'][0].as_py():,.1f}.",
        definition="Customers who made so many repeat purchases in the time they were observed, and how many the model "
        "expects: the sum of the probabilities over all customers, each at their own age.",
        units={"customers": "customers", "expected": "customers"},
        chart="purchase_counts",
    )
