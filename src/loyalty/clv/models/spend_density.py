"""Mean spend of customers as it was, beside what a spend model expects: bars of equal width on a logarithmic scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from scipy import special

from loyalty import wording
from loyalty.clv.kernels import _gammagamma as kernel
from loyalty.clv.summaries.spend_cells import SpendCells
from loyalty.errors import EmptyData, InvalidArgument
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.models.fits import Fit
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["spend_density"]

Floats = NDArray[np.float64]

_BARS = 25  # at least, unless all spend the same
_PLAIN = 20.0  # bars per power of ten where all spend the same
_EDGE = 1e-9  # of a bar: what is that close below an edge counts as on it, however logarithms are rounded


def spend_density(fit: Fit, summary: CustomerSummary) -> Table:
    """Return customers by mean spend, as counted and as expected; see `SpendFit.density`."""
    cells = getattr(summary, "spend_cells", None)
    if not isinstance(cells, SpendCells):
        raise InvalidArgument(
            f"{type(summary).__name__} is no customer summary: pass ly.summarize(tx), or ly.CustomerSummary.of(...) "
            "with monetary_value=."
        )
    if not len(cells):
        raise EmptyData("nobody has a repeat purchase of positive mean spend: there is nothing to draw.")
    first, last, per_ten = _scale(cells.low, cells.high)
    edges = 10.0 ** (np.arange(first, last + 1) / per_ten)
    counted = _counted(summary, cells, first, last, per_ten)
    x, customers = _by_purchases(cells)
    expected = _inside(fit, x, customers, edges)
    middle = np.sqrt(edges[:-1] * edges[1:])
    return _table(fit, cells, edges, (counted, expected, _density(fit, x, customers, middle)), summary.kind)


def _scale(low: float, high: float) -> tuple[int, int, float]:
    """Return the numbers of the first and the last edge, and how many bars a power of ten has."""
    span = math.log10(high / low)
    scales = [5.0 * step * 10.0**power for power in range(4) for step in (1.0, 2.0, 4.0)]
    per_ten = next((scale for scale in scales if scale * span >= _BARS), scales[-1])
    if per_ten * span < 1.0:
        per_ten = _PLAIN
    first, last = (math.floor(per_ten * math.log10(end) + _EDGE) for end in (low, high))
    return first, last + 1, per_ten


def _counted(summary: CustomerSummary, cells: SpendCells, first: int, last: int, per_ten: float) -> Floats:
    """Return how many customers have a mean spend in each bar: from the cells, or of very many by their engine."""
    if cells.exact:
        place = np.floor(np.log10(cells.mean) * per_ten + _EDGE).astype(np.int64)
        weight = cells.weight
    else:
        size = nw.col("weight").cast(nw.Float64) if summary.weighted else nw.lit(1.0)
        rows = summary.frame().filter(nw.col("frequency") > 0, nw.col("monetary_value") > 0)
        scaled = nw.col("monetary_value").cast(nw.Float64).log() * (per_ten / math.log(10.0)) + _EDGE
        rows = rows.select(place=scaled.floor().cast(nw.Int64), size=size)
        found = summary.collect(rows.group_by("place").agg(nw.col("size").sum()))
        place, weight = found["place"].to_numpy(), found["size"].to_numpy()
    counted = np.bincount(np.clip(place - first, 0, last - first - 1), weights=weight, minlength=last - first)
    return counted.astype(np.float64)


def _by_purchases(cells: SpendCells) -> tuple[Floats, Floats]:
    """Return the distinct numbers of purchases and how many customers had each."""
    return cells.x[cells.starts], np.add.reduceat(cells.weight, cells.starts)


def _inside(fit: Fit, x: Floats, customers: Floats, edges: Floats) -> Floats:
    """Return how many customers are expected to have a mean spend between each two edges.

    Of x purchases with mean m̄, x·m̄/(γ + x·m̄) is Beta(px, q) over customers, and γ/(γ + x·m̄) is Beta(q, px). Each bar
    is taken from the side where less is left, so that the far ends of the distribution keep their digits.
    """
    p, q, gamma = fit.values
    shape, total = p * x[:, None], x[:, None] * edges
    below = np.asarray(special.betainc(shape, q, total / (gamma + total)), dtype=np.float64)
    above = np.asarray(special.betainc(q, shape, gamma / (gamma + total)), dtype=np.float64)
    found: Floats = customers @ np.where(below[:, 1:] < 0.5, np.diff(below), -np.diff(above))
    return found


def _density(fit: Fit, x: Floats, customers: Floats, spend: Floats) -> Floats:
    """Return the density of the mean spend over customers at some values, per unit of money."""
    return (customers / customers.sum()) @ np.exp(kernel.log_likelihood(fit.values, x[:, None], spend))


def _table(fit: Fit, cells: SpendCells, edges: Floats, found: tuple[Floats, Floats, Floats], kind: str) -> Table:
    """Return a row per bar."""
    import pyarrow as pa

    counted, expected, density = found
    inside = float(expected.sum()) / float(cells.customers)
    who = wording.counted(cells.customers, "customers")
    return Table(
        name=f"mean spend of repeat buyers, counted and expected by {fit.model}",
        data=pa.table(
            {"from": edges[:-1], "to": edges[1:], "customers": counted, "expected": expected, "density": density}
        ),
        kind=kind,
        sentence=f"{who} with a repeat purchase spent between {wording.quantity(cells.low, 'money')} and "
        f"{wording.quantity(cells.high, 'money')} on average; the model expects {wording.quantity(inside, 'share')} of "
        "such customers there.",
        definition="Customers by the mean spend of their repeat purchases, and how many the model expects: its "
        "distribution of the mean of x purchases, for the numbers x that customers made.",
        units={"from": "money", "to": "money", "customers": "customers", "expected": "customers"},
        note=_left_out(cells),
        chart="spend_density",
    )


def _left_out(cells: SpendCells) -> str:
    """Return who cannot be shown on a logarithmic scale."""
    if not cells.not_positive:
        return ""
    return f"left out: {wording.counted(cells.not_positive, 'customers')} whose repeat purchases cost nothing or less"
