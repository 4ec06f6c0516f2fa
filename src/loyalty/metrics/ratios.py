"""Ratios of sums over customers: one query gathers their moments (or their distinct pairs for the bootstrap)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, estimates, intervals
from loyalty.grouping import measure
from loyalty.intervals import RatioMoments

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.tables import Grouped
    from loyalty.transactions import Transactions

__all__ = ["RatioSpec", "bootstrapped", "moment_sums", "moments_of", "ratio_of_sums"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioSpec:
    """What a ratio is called and how its interval is found.

    Attributes:
        name: Name of the estimate.
        definition: One sentence saying what it is.
        unit: Unit of the ratio.
        bounded: Whether each customer's y lies between 0 and x, so that the ratio is a share between 0 and 1.
        note: What a reader must know.
        empty: The note where the denominator is zero.
        excluded: Customers left out.
        confidence: Level of the interval.
        method: "delta" or "bootstrap".
        seed: Seed of the bootstrap.
    """

    name: str
    definition: str
    unit: str
    bounded: bool = False
    note: str = ""
    empty: str = "the denominator is zero"
    excluded: int = 0
    confidence: float = 0.95
    method: str = "delta"
    seed: int = 0

    def estimate(self, moments: RatioMoments, interval: tuple[float, float] | None = None) -> Estimate:
        """Return the estimate of the moments."""
        found = estimates.ratio(
            self.name,
            moments,
            definition=self.definition,
            confidence=self.confidence,
            interval=interval,
            method=self.method,
            unit=self.unit,
            note=self.note,
            empty=self.empty,
            excluded=self.excluded,
        )
        return _inside_bounds(found) if self.bounded else found


def _inside_bounds(share: Estimate) -> Estimate:
    """Return a share with limits between 0 and 1.

    Where it is 0 or 1, all customers are alike and their spread says nothing: Wilson's limits, a customer being one
    trial, stand in for an interval of no width.
    """
    if share.n > 1 and share.value in {0.0, 1.0}:
        low, high = intervals.wilson(share.value * share.n, share.n, share.confidence)
        return replace(share, low=low, high=high, method="wilson")
    return replace(share, low=max(share.low, 0.0), high=min(share.high, 1.0))  # NaN stays NaN


def moment_sums(y: str = "y", x: str = "x", prefix: str = "") -> list[nw.Expr]:
    """Return the aggregates that `moments_of` reads, of columns with a row per customer."""
    top, base = nw.col(y).cast(nw.Float64), nw.col(x).cast(nw.Float64)
    return [
        nw.len().alias(f"{prefix}n"),
        top.sum().alias(f"{prefix}y"),
        base.sum().alias(f"{prefix}x"),
        (top * top).sum().alias(f"{prefix}yy"),
        (base * top).sum().alias(f"{prefix}xy"),
        (base * base).sum().alias(f"{prefix}xx"),
    ]


def moments_of(row: dict[str, Any], prefix: str = "") -> RatioMoments:
    """Return the moments in an aggregated row; sums over nobody are zero."""
    sums = {name: float(row[f"{prefix}{name}"] or 0.0) for name in ("y", "x", "yy", "xy", "xx")}
    return RatioMoments(n=int(row[f"{prefix}n"]), **sums)


def ratio_of_sums(
    tx: Transactions, frame: Frame, spec: RatioSpec, *, by: Any = None, cohort: str | None = None
) -> Estimate | Grouped[Estimate]:
    """Return Σy/Σx over customers, with the customer as the sampling unit.

    Args:
        tx: The transactions.
        frame: Columns `customer`, `y`, `x`, a row per customer.
        spec: Name, definition and interval.
        by: As in `grouping.grouping`.
        cohort: As in `grouping.grouping`.
    """
    checks.confidence_level(spec.confidence)
    checks.choice("method", spec.method, estimates.RATIO_METHODS)
    if spec.method == "delta":
        return measure(tx, frame, moment_sums(), lambda rows: spec.estimate(moments_of(rows[0])), by=by, cohort=cohort)
    pairs = frame.with_columns(nw.col("y").cast(nw.Float64), nw.col("x").cast(nw.Float64))
    return measure(tx, pairs, [nw.len().alias("n")], lambda rows: bootstrapped(rows, spec), keys=["y", "x"],
                   by=by, cohort=cohort)  # fmt: skip


def bootstrapped(rows: list[dict[str, Any]], spec: RatioSpec) -> Estimate:
    """Return the estimate of (y, x) pairs and their counts `n`, with a percentile bootstrap interval."""
    y, x, n = (np.array([row[name] for row in rows], float) for name in ("y", "x", "n"))
    moments = RatioMoments(int(n.sum()), float(y @ n), float(x @ n), float((y * y) @ n), float((x * y) @ n),
                           float((x * x) @ n))  # fmt: skip
    limits = intervals.bootstrap_ratio(y, x, n.astype(np.int64), confidence=spec.confidence, seed=spec.seed)
    return spec.estimate(moments, limits)
