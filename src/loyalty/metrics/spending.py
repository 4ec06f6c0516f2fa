"""Spending: orders, order value, sales per customer, purchase frequency and time between purchases."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, estimates, intervals
from loyalty.estimates import Estimate
from loyalty.grouping import grouping, measure
from loyalty.metrics.ratios import moment_sums, moments_of
from loyalty.tables import EstimateSet, Grouped, Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.intervals import RatioMoments
    from loyalty.transactions import Transactions

__all__ = ["Spending", "purchase_gaps", "spending"]

Frame = nw.LazyFrame[Any]
Row = dict[str, Any]
Distribution = tuple[Any, Any]  # distinct gaps in rising order, and how often each occurs
_MOST_BARS = 60

_DEFINITIONS = {
    "average_order_value": "Net sales divided by the number of purchases.",
    "sales_per_customer": "Net sales divided by the number of customers who bought in the window.",
    "purchase_frequency": "Purchases divided by the number of customers who bought in the window.",
    "mean_time_between_purchases": "Days from each purchase to the customer's next, averaged over all such pairs: "
    "Σ days from first to last purchase ÷ Σ (purchases − 1), over customers with two purchases or more in the window.",
    "median_time_between_purchases": "Half of the waits from a purchase to the customer's next in the window were no "
    "longer than this many days; waits still going on at the end of the window are not among them.",
    "discount_rate": "Discounts granted divided by net sales before discount.",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Spending(EstimateSet):
    """What customers buy and spend in the observed window.

    Attributes:
        purchases: Number of purchases (orders).
        revenue: Net sales.
        average_order_value: Net sales per purchase.
        sales_per_customer: Net sales per customer.
        purchase_frequency: Purchases per customer.
        mean_time_between_purchases: Mean days from a purchase to the next.
        median_time_between_purchases: Median of the same.
        discount_rate: Discounts per net sales before discount; None where no discount column is named.
        kind: The kind of frame that `to_native` returns.
    """

    purchases: Estimate
    revenue: Estimate
    average_order_value: Estimate
    sales_per_customer: Estimate
    purchase_frequency: Estimate
    mean_time_between_purchases: Estimate
    median_time_between_purchases: Estimate
    discount_rate: Estimate | None = None


@takes_transactions
def spending(
    tx: Transactions, *, by: Any = None, cohort: str | None = None, confidence: float = 0.95
) -> Spending | Grouped[Spending]:
    """Return orders, average order value, sales per customer, purchase frequency and time between purchases.

    Args:
        tx: The transactions.
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.
        confidence: Level of the intervals; the customer is the sampling unit throughout (delta method; for the median
            Woodruff's interval, JASA 1952, with the customer-clustered error of the share below it).

    Returns:
        The estimates. Totals (purchases, revenue) carry the interval of a total over as many customers: n times that
        of the mean. Nobody with two purchases: times between purchases are NaN with a note.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        ColumnError: `by` names no column.

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow())
        >>> print(ly.spending(tx).average_order_value)
        Average order value: 36.99 (95 % interval 36.34 to 37.64; 2,500,315.63 / 67,591, 23,570 customers).
    """
    checks.confidence_level(confidence)
    frame = tx.customers.with_columns(
        one=nw.lit(1), wait=nw.col("last_day") - nw.col("first_inside"), waits=nw.col("purchases") - 1
    )
    pairs = {
        "aov": ("spend", "purchases"),
        "sales": ("spend", "one"),
        "freq": ("purchases", "one"),
        "gap": ("wait", "waits"),
    }
    if "discount" in tx.roles:
        frame = frame.with_columns(full=nw.col("spend") + nw.col("discount"))
        pairs["discount"] = ("discount", "full")
    sums = [expr for name, (y, x) in pairs.items() for expr in moment_sums(y, x, f"{name}_")]
    repeaters = nw.when(nw.col("waits") > 0).then(nw.lit(1)).otherwise(nw.lit(0)).sum().alias("repeaters")
    totals = measure(tx, frame, [*sums, repeaters], lambda rows: rows[0], by=by, cohort=cohort, everybody=True)
    medians = _median_gaps(tx, by, cohort, confidence)
    if isinstance(totals, Grouped) and isinstance(medians, Grouped):
        results = {group: _spending(tx, row, medians[group], confidence) for group, row in totals.items()}
        return Grouped(by=totals.by, results=results, kind=totals.kind)
    return _spending(tx, totals, medians, confidence)  # type: ignore[arg-type]


def _spending(tx: Transactions, row: Row, median: Estimate, confidence: float) -> Spending:
    """Return the result of one set of moments."""

    def of(key: str, prefix: str, unit: str, **more: Any) -> Estimate:
        name = key.replace("_", " ")
        return estimates.ratio(
            name, moments_of(row, prefix), definition=_DEFINITIONS[key], confidence=confidence, unit=unit, **more
        )

    waits = replace(moments_of(row, "gap_"), n=int(row["repeaters"] or 0))
    discount = None
    if "discount" in tx.roles:
        backwards = "discounts are negative in total: give them as positive sums" if row["discount_y"] < 0 else ""
        discount = of("discount_rate", "discount_", "share", note=backwards)
    key = "mean_time_between_purchases"
    return Spending(
        kind=tx.engine.kind,
        purchases=estimates.total(
            of("purchase_frequency", "freq_", "purchases"), "purchases", definition="Purchases in the observed window."
        ),
        revenue=estimates.total(
            of("sales_per_customer", "sales_", "money"), "revenue", definition="Net sales in the observed window."
        ),
        average_order_value=of("average_order_value", "aov_", "money"),
        sales_per_customer=of("sales_per_customer", "sales_", "money"),
        purchase_frequency=of("purchase_frequency", "freq_", "purchases"),
        mean_time_between_purchases=estimates.ratio(
            key.replace("_", " "), waits, definition=_DEFINITIONS[key], confidence=confidence, unit="days",
            empty="nobody bought twice in the window",
        ),
        median_time_between_purchases=median,
        discount_rate=discount,
    )  # fmt: skip


def _median_gaps(tx: Transactions, by: Any, cohort: str | None, confidence: float) -> Estimate | Grouped[Estimate]:
    """Return the median time between purchases, with Woodruff's interval."""
    gaps = tx.gaps()
    counts = measure(tx, gaps, [nw.len().alias("n")], _distribution, keys=["gap"], by=by, cohort=cohort)
    each = _below_median(tx, gaps, counts, by, cohort)
    shares = measure(tx, each, moment_sums(), lambda rows: moments_of(rows[0]), by=by, cohort=cohort)
    if isinstance(counts, Grouped) and isinstance(shares, Grouped):
        results = {group: _median_estimate(found, shares[group], confidence) for group, found in counts.items()}
        return Grouped(by=counts.by, results=results, kind=counts.kind)
    return _median_estimate(counts, shares, confidence)  # type: ignore[arg-type]


def _distribution(rows: list[Row]) -> Distribution:
    """Return the distinct gaps in rising order and how often each occurs."""
    return np.array([row["gap"] for row in rows], np.int64), np.array([row["n"] for row in rows], np.int64)


def _quantile(counts: Distribution, share: float) -> float:
    """Return the smallest gap that at least a share of the gaps do not exceed; NaN if there is none."""
    values, n = counts
    if not len(values):
        return math.nan
    upto = np.cumsum(n)
    return float(values[min(int(np.searchsorted(upto, share * upto[-1] * (1 - 1e-12))), len(values) - 1)])


def _below_median(
    tx: Transactions, gaps: Frame, counts: Distribution | Grouped[Distribution], by: Any, cohort: str | None
) -> Frame:
    """Return `customer`, `y` = gaps at or below the median (of the customer's group) and `x` = gaps."""
    groups = grouping(tx, by, cohort)
    if not isinstance(counts, Grouped) or groups is None:
        gaps = gaps.with_columns(middle=nw.lit(_quantile(counts, 0.5)))  # type: ignore[arg-type]
    else:
        gaps = groups.add(gaps)
        middles = gaps.group_by("group").agg(middle=nw.col("gap").median())  # a gap is ≤ it where it is ≤ `_quantile`
        gaps = gaps.join(middles, on="group", how="left")
        if None in counts:  # null never matches in a join
            gaps = gaps.with_columns(nw.col("middle").fill_null(_quantile(counts[None], 0.5)))
    below = nw.when(nw.col("gap") <= nw.col("middle")).then(nw.lit(1)).otherwise(nw.lit(0))
    return gaps.with_columns(below=below).group_by("customer").agg(y=nw.col("below").sum(), x=nw.len())


def _median_estimate(counts: Distribution, below: RatioMoments, confidence: float) -> Estimate:
    """Return the median of counted gaps; Woodruff's interval inverts that of the share below it."""
    value, low, high, note = _quantile(counts, 0.5), math.nan, math.nan, ""
    if below.n > 1:
        half = intervals.normal_quantile(confidence) * below.standard_error
        low, high = _quantile(counts, max(0.5 - half, 0.0)), _quantile(counts, min(0.5 + half, 1.0))
    else:
        note = (
            "no interval: it needs two customers or more" if below.n else "undefined: nobody bought twice in the window"
        )
    key = "median_time_between_purchases"
    return Estimate(
        name=key.replace("_", " "),
        value=value,
        low=low,
        high=high,
        confidence=confidence,
        n=below.n,
        numerator=math.nan,
        denominator=float(counts[1].sum()),
        method="woodruff",
        definition=_DEFINITIONS[key],
        note=note,
        unit="days",
    )


@takes_transactions
def purchase_gaps(tx: Transactions, *, by: Any = None, cohort: str | None = None) -> Table | Grouped[Table]:
    """Return the distribution of days from a purchase to the customer's next, in at most 60 bars of equal width.

    Args:
        tx: The transactions.
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.

    Returns:
        A row per bar: `from_days`, `to_days` (both inside), `count` (0 where no wait is that long). Waits still going
        on at the end of the window are not among them. `.plot()` draws the histogram.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        ColumnError: `by` names no column.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> frame = pd.DataFrame({"customer_id": [1, 1, 1], "amount": [5.0] * 3, "date": pd.to_datetime(
        ...     ["2024-01-01", "2024-01-03", "2024-01-05"])})
        >>> ly.purchase_gaps(ly.transactions(frame)).data.to_pylist()
        [{'from_days': 2, 'to_days': 2, 'count': 2}]
    """

    def build(rows: list[Row]) -> Table:
        return _bars(tx, *_distribution(rows))

    return measure(tx, tx.gaps(), [nw.len().alias("n")], build, keys=["gap"], by=by, cohort=cohort)


def _bars(tx: Transactions, gaps: Any, n: Any) -> Table:
    """Return counted gaps as bars of equal width, from the shortest gap on."""
    import pyarrow as pa

    least, most = (int(gaps[0]), int(gaps[-1])) if len(gaps) else (0, -1)
    width = max(most - least, 0) // _MOST_BARS + 1
    starts = np.arange(least, most + 1, width, dtype=np.int64)
    counts = np.bincount((gaps - least) // width, weights=n, minlength=len(starts)).astype(np.int64)
    total = int(counts.sum())
    return Table(
        name="time between purchases",
        data=pa.table({"from_days": starts, "to_days": starts + (width - 1), "count": counts}),
        kind=tx.engine.kind,
        sentence=f"Time between purchases: {total:,} waits from a purchase to the customer's next.",
        definition="Days from a purchase to the customer's next purchase in the observed window.",
        note="" if total else "nobody bought twice in the window",
        chart="inter_purchase_times",
    )
