"""Spend cells: all that the likelihood of a spend model needs to know of the customers, however many there are.

Up to `MOST_PAIRS` customers with a repeat purchase, the cells are the distinct (x, m̄). Of more customers, those with
the same x and nearly the same ln m̄ (within a bucket ¼ wide) are told apart by power sums of the place in the bucket
only, which the engine adds up: Σδᵏ, k = 0 … 7, for δ from −1 to 1. Weights on the eight Chebyshev points of the bucket
reproduce these sums, and so the sum over customers of any function that is a polynomial of degree 7 there. What the
likelihood needs, ln(γ + x·m̄), is as good as one: as a function of ln m̄ it is analytic up to a distance π from the
real axis, 25 times the half-width of a bucket, which makes the error 1e-14 · (px + q) per customer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty.clv.summaries.people import whole
from loyalty.errors import InvalidArgument, InvalidRows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_PAIRS", "SpendCells"]

Floats = NDArray[np.float64]
Frame = nw.LazyFrame[Any]

MOST_PAIRS = 10_000  # customers whose distinct pairs are kept
PER_UNIT = 4.0  # buckets per unit of ln m̄
_ALIKE = 1e-9  # means that differ by less, relatively, are equal: sums in another order differ in their last digits
_NODES = 8
_POINTS = np.sort(np.cos(np.pi * (2.0 * np.arange(_NODES) + 1.0) / (2.0 * _NODES)))
_WEIGHTS = np.linalg.inv(np.vander(_POINTS, increasing=True))  # power sums @ this: the weights on the points


@dataclass(frozen=True, slots=True, eq=False)
class SpendCells:
    """The customers that a spend model learns from: those with a repeat purchase and a positive mean spend of them.

    Attributes:
        x: Number of repeat purchases, rising; shape (n,).
        mean: Mean spend of them, rising within an x; shape (n,).
        weight: How many customers a cell stands for; shape (n,). On the grid weights may be negative; only their sums
            against smooth functions mean anything.
        log_mean: Σ ln m̄ over the customers.
        customers: The number of them, or the sum of their weights; whole numbers are integers.
        low: The smallest mean spend among them; NaN if there are none.
        high: The largest.
        without_repeat: Customers without a repeat purchase, who are in no cell.
        not_positive: Customers whose repeat purchases cost nothing or less in all, who are in no cell.
        exact: Whether cells are distinct pairs; otherwise they are points of the grid.
    """

    x: Floats
    mean: Floats
    weight: Floats
    log_mean: float
    customers: float
    low: float
    high: float
    without_repeat: float = 0.0
    not_positive: float = 0.0
    exact: bool = True

    @classmethod
    def of(cls, x: Any, mean: Any, weight: Any = None) -> SpendCells:
        """Return the cells of customers given row by row.

        Args:
            x: Repeat purchases, whole numbers of at least 0; shape (n,).
            mean: Mean spend of them, read where x > 0; shape (n,).
            weight: How many customers a row stands for, above 0; 1 each if None.

        Raises:
            InvalidArgument: Some value cannot be.

        Examples:
            >>> cells = SpendCells.of([0, 2, 2, 1, 1], [0.0, 30.0, 30.0, 12.0, -5.0])
            >>> cells.x, cells.mean, cells.weight, cells.without_repeat, cells.not_positive
            (array([1., 2.]), array([12., 30.]), array([1., 2.]), 1, 1)
        """
        x, mean, weight = _columns(x, mean, weight)
        some = x > 0
        good = some & (mean > 0)
        aside = {"without_repeat": _size(~some, weight), "not_positive": _size(some & ~good, weight)}
        if not good.all():
            x, mean, weight = x[good], mean[good], weight if weight is None else weight[good]
        logs = np.log(mean)
        known: dict[str, Any] = {
            "log_mean": float(logs.sum() if weight is None else logs @ weight),
            "customers": whole(len(x) if weight is None else weight.sum()),
            "low": float(mean.min(initial=np.inf)) if len(x) else np.nan,
            "high": float(mean.max(initial=0.0)) if len(x) else np.nan,
            **aside,
        }
        if len(x) <= MOST_PAIRS:
            return cls(*_distinct(x, mean, np.ones(len(x)) if weight is None else weight), **known)
        return cls(*_grid(*_power_sums(x, logs, weight)), **known, exact=False)

    @classmethod
    def from_frame(cls, frame: Frame, collect: Callable[[Frame], pa.Table]) -> SpendCells:
        """Return the cells of customers held by an engine, which counts and adds.

        Args:
            frame: The columns `frequency`, `monetary_value` (read where frequency > 0) and, where a row stands for
                more than one customer, `weight`.
            collect: Runs a query and returns its rows.

        Raises:
            InvalidRows: A customer with repeat purchases has no mean spend, or one that is not finite.
        """
        weight = nw.col("weight") if "weight" in frame.collect_schema().names() else nw.lit(1.0)
        rows = frame.select(
            x=nw.col("frequency").cast(nw.Float64),
            mean=nw.col("monetary_value").cast(nw.Float64),
            weight=weight.cast(nw.Float64),
        )
        census = collect(rows.select(*_census())).to_pylist()[0]
        _refuse_unknown(census)
        number = int(census.pop("rows") or 0)
        known: dict[str, Any] = {name: whole(census[name] or 0.0) for name in _COUNTED}
        known |= {name: float(census[name]) if number else np.nan for name in ("log_mean", "low", "high")}
        good = rows.filter(nw.col("x") > 0, nw.col("mean") > 0)
        if number <= MOST_PAIRS:
            pairs = collect(good.group_by("x", "mean").agg(nw.col("weight").sum()))
            return cls(*_distinct(*(_floats(pairs, name) for name in ("x", "mean", "weight"))), **known)
        sums = collect(_bucketed(good))
        moments = np.stack([_floats(sums, f"sum{power}") for power in range(_NODES)], axis=1)
        return cls(*_grid(_floats(sums, "x"), _floats(sums, "bucket"), moments), **known, exact=False)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each distinct x begins."""
        return np.flatnonzero(np.diff(self.x, prepend=np.nan))

    @property
    def typical(self) -> float:
        """The geometric mean of the mean spends."""
        return float(np.exp(self.log_mean / self.customers))

    def scaled(self, unit: float) -> SpendCells:
        """Return the same customers with spend counted in another currency, whose unit is `unit` of the old one."""
        return SpendCells(
            x=self.x,
            mean=self.mean / unit,
            weight=self.weight,
            log_mean=self.log_mean - self.customers * float(np.log(unit)),
            customers=self.customers,
            low=self.low / unit,
            high=self.high / unit,
            without_repeat=self.without_repeat,
            not_positive=self.not_positive,
            exact=self.exact,
        )


_COUNTED = ("customers", "without_repeat", "not_positive")


def _columns(x: Any, mean: Any, weight: Any) -> tuple[Floats, Floats, Floats | None]:
    """Return the rows as arrays, or raise where a value cannot be."""
    x, mean = (np.atleast_1d(np.asarray(column, dtype=np.float64)) for column in (x, mean))
    weight = None if weight is None else np.atleast_1d(np.asarray(weight, dtype=np.float64))
    if x.ndim != 1 or x.shape != mean.shape or (weight is not None and weight.shape != x.shape):
        shapes = ", ".join(str(np.shape(one)) for one in (x, mean, weight) if one is not None)
        raise InvalidArgument(f"columns of customers must be of one length: the shapes are {shapes}.")
    broken = ~((x >= 0) & (x == np.floor(x)) & np.isfinite(x))
    unknown = (x > 0) & ~np.isfinite(mean)
    for wrong, what, shown in ((broken, "frequency that is no whole number of at least 0", x),
                               (unknown, "mean spend that is missing or not finite", mean)):  # fmt: skip
        if wrong.any():
            first = float(shown[wrong][0])
            raise InvalidArgument(f"{int(wrong.sum()):,} customers have a {what} (first: {first}): mend these rows.")
    if weight is not None and not (np.isfinite(weight) & (weight > 0)).all():
        raise InvalidArgument("weights must be finite and above 0: leave out rows that stand for nobody.")
    return x, mean, weight


def _size(which: NDArray[np.bool_], weight: Floats | None) -> float:
    """Return how many customers some rows stand for."""
    return whole(int(which.sum()) if weight is None else weight[which].sum())


def _distinct(x: Floats, mean: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the distinct pairs in order, with the weight of each; equal up to rounding is equal."""
    order = np.lexsort((weight, mean, x))  # by weight too: sums do not depend on the order of rows
    x, mean, weight = x[order], mean[order], weight[order]
    if not len(x):
        return x, mean, weight
    new = np.flatnonzero((np.diff(x, prepend=np.nan) != 0) | (np.diff(mean, prepend=-np.inf) > _ALIKE * mean))
    return x[new], mean[new], np.add.reduceat(weight, new)


def _power_sums(x: Floats, logs: Floats, weight: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Return x and bucket of each occupied place of the grid, and the power sums there, shape (places, nodes)."""
    scaled = logs * PER_UNIT
    bucket = np.floor(scaled)
    place = 2.0 * (scaled - bucket) - 1.0
    first, width = bucket.min(), int(np.ptp(bucket)) + 1
    numbers, key = x - 1.0, bucket - first
    size = int(x.max()) * width
    if size > 4 * len(x) + 1_000_000:  # too many for a count of each: count the places that occur
        found, key = np.unique(numbers * width + key, return_inverse=True)
    else:
        key = (numbers * width + key).astype(np.int64)
        found = np.arange(size, dtype=np.float64)
    power, sums = weight, []
    for _ in range(_NODES):
        sums.append(np.bincount(key, weights=power, minlength=len(found)))
        power = place if power is None else power * place
    occupied = np.flatnonzero(np.bincount(key, minlength=len(found)))
    found = found[occupied]
    return found // width + 1.0, found % width + first, np.stack(sums, axis=1, dtype=np.float64)[occupied]


def _grid(x: Floats, bucket: Floats, sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the points of the grid in order, with weights that reproduce the power sums."""
    order = np.lexsort((bucket, x))
    logs = (bucket[order, None] + (_POINTS + 1.0) / 2.0) / PER_UNIT
    return np.repeat(x[order], _NODES), np.exp(logs).ravel(), (sums[order] @ _WEIGHTS).ravel()


def _census() -> list[nw.Expr]:
    """Return the aggregates that count customers by what can be learnt from them."""
    x, mean, weight = nw.col("x"), nw.col("mean"), nw.col("weight")
    good = (x > 0) & (mean > 0)
    nothing = nw.lit(0.0)
    known = nw.when(mean.is_finite()).then(nw.lit(0)).otherwise(nw.lit(1))  # null is not finite either
    return [
        nw.when(good).then(nw.lit(1)).otherwise(nw.lit(0)).sum().alias("rows"),
        nw.when(x > 0).then(known).otherwise(nw.lit(0)).sum().alias("unknown"),
        nw.when(good).then(weight).otherwise(nothing).sum().alias("customers"),
        nw.when(x > 0).then(nothing).otherwise(weight).sum().alias("without_repeat"),
        nw.when((x > 0) & (mean <= 0)).then(weight).otherwise(nothing).sum().alias("not_positive"),
        (nw.when(good).then(mean).otherwise(nw.lit(1.0)).log() * weight).sum().alias("log_mean"),
        nw.when(good).then(mean).min().alias("low"),
        nw.when(good).then(mean).max().alias("high"),
    ]


def _refuse_unknown(census: dict[str, Any]) -> None:
    """Raise where customers with repeat purchases have no mean spend."""
    if census.pop("unknown"):
        raise InvalidRows(
            "customers with repeat purchases have a mean spend that is missing or not finite: mend these rows, or "
            "leave the spend out.",
            column="monetary_value",
        )


def _bucketed(good: Frame) -> Frame:
    """Return the power sums of customers by x and bucket of ln m̄: the columns `x`, `bucket`, `sum0` … `sum7`."""
    rows = good.with_columns(scaled=nw.col("mean").log() * PER_UNIT)
    rows = rows.with_columns(bucket=nw.col("scaled").floor())
    rows = rows.with_columns(place=(nw.col("scaled") - nw.col("bucket")) * 2.0 - 1.0)
    power, sums = nw.col("weight"), []
    for number in range(_NODES):
        sums.append(power.sum().alias(f"sum{number}"))
        power = power * nw.col("place")
    return rows.group_by("x", "bucket").agg(*sums)


def _floats(table: pa.Table, name: str) -> Floats:
    """Return a column as an array of floats."""
    return table[name].to_numpy().astype(np.float64)
