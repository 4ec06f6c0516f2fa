"""Tenure: how long relationships last, from first to last purchase and by Kaplan-Meier."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, estimates, intervals, periods, wording
from loyalty.estimates import Estimate
from loyalty.grouping import measure
from loyalty.intervals import RatioMoments
from loyalty.tables import EstimateSet, Grouped, Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loyalty.transactions import Transactions

__all__ = ["Tenure", "tenure"]

Row = dict[str, Any]
_ROUNDING = 1e-12  # a product of shares that is one half by hand may lie this far from it


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tenure(EstimateSet):
    """How long customers stay.

    Attributes:
        mean: Mean days from first to last purchase; a lower bound, since active customers go on.
        median: Median of the same.
        survival_median: Days after which half the customers are gone, by Kaplan-Meier; NaN where the curve does
            not fall that far within the window.
        survival: The Kaplan-Meier curve: `day`, `survival`, `low`, `high`, `at_risk`, `ended`.
        kind: The kind of frame that `to_native` returns.
    """

    mean: Estimate
    median: Estimate
    survival_median: Estimate
    survival: Table

    def to_dict(self) -> dict[str, Any]:
        """Return the estimates and the curve as JSON-ready values."""
        return {**EstimateSet.to_dict(self), "survival": self.survival.to_dict()}

    def plot(self, ax: Any = None) -> Any:
        """Draw the Kaplan-Meier curve; returns the matplotlib Axes."""
        return self.survival.plot(ax=ax)


@takes_transactions
def tenure(
    tx: Transactions,
    *,
    inactive_after: str | dt.timedelta = "180d",
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
) -> Tenure | Grouped[Tenure]:
    """Return the length of relationships in days.

    The plain figures run from the first purchase (history included) to the last. For Kaplan-Meier a customer is
    gone when `inactive_after` passes without a purchase: the relationship then ended with the last purchase. It is
    judged on the last day on which that can be known, `observed_until` − `inactive_after`: customers who bought
    after it are still active and are censored on it, customers first seen after it are left out. Customers acquired
    before the window are in the log only because they lasted into it: they are at risk from the age they had when it
    began (left truncation, Tsai, Jewell & Wang 1987). The plain figures have no such remedy, and say so.

    Args:
        tx: The transactions.
        inactive_after: Silence after which a customer counts as gone ("180d", "26w", a timedelta).
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.
        confidence: Level of the intervals (mean: delta; median: order statistics at the ranks of the sign test by its
            normal approximation, Conover 1999, sec. 3.2, and none where so few customers reach no such rank;
            survival: log-log Greenwood, its median by inverting the band, Brookmeyer & Crowley 1982).

    Returns:
        The estimates and the curve. Source: Kaplan & Meier (1958), JASA 53, 457-481; ties: deaths before censorings.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        ColumnError: `by` names no column.

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow())
        >>> print(ly.tenure(tx).mean)
        Mean tenure: 134.9 days (95 % interval 132.6 to 137.2 days; 23,570 customers).
    """
    checks.confidence_level(confidence)
    days = periods.duration_days(inactive_after, "inactive_after")
    frame = _durations(tx, tx.window.last - days)
    count, before = nw.len().alias("n"), nw.col("acquired_before").sum().alias("before")
    lengths = measure(
        tx, frame, [before, count], _columns("length", "before"), keys=["length"], by=by, cohort=cohort, everybody=True
    )
    keys = ["entry", "followed", "ended"]
    times = measure(tx, frame, [count], _columns(*keys), keys=keys, by=by, cohort=cohort, everybody=True)
    if isinstance(lengths, Grouped) and isinstance(times, Grouped):
        results = {group: _tenure(tx, lengths[group], times[group], days, confidence) for group in lengths}
        return Grouped(by=lengths.by, results=results, kind=lengths.kind)
    return _tenure(tx, lengths, times, days, confidence)


def _durations(tx: Transactions, cutoff: int) -> nw.LazyFrame[Any]:
    """Return days from first to last purchase, and follow-up as known on a day.

    Columns: `customer`, `length`, `followed` (-1: first seen after that day), `ended` (1: silent since), `entry` (days
    after the first purchase at which the window begins, at least 0), `acquired_before`.
    """
    gone, known = nw.col("last_day") <= cutoff, nw.col("first_day") <= cutoff
    length = nw.col("last_day") - nw.col("first_day")
    still = nw.when(known).then(cutoff - nw.col("first_day")).otherwise(nw.lit(-1))
    return tx.customers.select(
        "customer",
        length=length,
        followed=nw.when(gone).then(length).otherwise(still),
        ended=nw.when(gone).then(nw.lit(1)).otherwise(nw.lit(0)),
        entry=nw.max_horizontal(tx.window.first - nw.col("first_day"), nw.lit(0)),
        acquired_before=nw.col("acquired_before"),
    )


def _columns(*names: str) -> Any:
    """Return a builder that turns rows into integer arrays: the named columns, then `n`."""
    return lambda rows: tuple(np.array([row[name] for row in rows], np.int64) for name in (*names, "n"))


def _tenure(tx: Transactions, lengths: Any, times: Any, days: int, confidence: float) -> Tenure:
    """Return the result from counts by length and by follow-up."""
    length, before, n = lengths
    entry, followed, ended, count = times
    seen = followed >= entry
    curve = kaplan_meier(followed[seen], ended[seen], count[seen], confidence, entry=entry[seen])
    old = int(before.sum())
    note = f"acquired before the window: {old:,}; those who left before it are not among the customers" if old else ""
    return Tenure(
        kind=tx.engine.kind,
        mean=_noted(_mean(length, n, confidence), note),
        median=_noted(_median(length, n, confidence), note),
        survival_median=_survival_median(curve, int(count[seen].sum()), int(count[~seen].sum()), days, confidence),
        survival=_survival_table(tx, curve, days),
    )


def _noted(estimate: Estimate, note: str) -> Estimate:
    return replace(estimate, note="; ".join(filter(None, (estimate.note, note))))


def _mean(length: NDArray[np.int64], n: NDArray[np.int64], confidence: float) -> Estimate:
    total, people = float(length @ n), int(n.sum())
    moments = RatioMoments(people, total, float(people), float((length.astype(float) ** 2) @ n), total, float(people))
    return estimates.ratio(
        "mean tenure",
        moments,
        definition="Days from first to last purchase, averaged over customers; a single purchase is 0 days.",
        confidence=confidence,
        unit="days",
    )


def _median(length: NDArray[np.int64], n: NDArray[np.int64], confidence: float) -> Estimate:
    """Return the median with the interval of order statistics (normal approximation of the binomial ranks)."""
    order, people = np.argsort(length), int(n.sum())
    values, upto = length[order], np.cumsum(n[order])

    def at(rank: int) -> float:
        """Return the value of a rank, from 1."""
        return float(values[np.searchsorted(upto, rank)])

    half = intervals.normal_quantile(confidence) * math.sqrt(people) / 2
    rank = math.floor((people + 1) / 2 - half)  # of the lower limit, from below; of the upper one, from above
    limits = (at(rank), at(people + 1 - rank)) if rank >= 1 else (math.nan, math.nan)
    return Estimate(
        name="median tenure",
        value=(at((people + 1) // 2) + at(people // 2 + 1)) / 2,
        low=limits[0],
        high=limits[1],
        confidence=confidence,
        n=people,
        numerator=math.nan,
        denominator=people,
        method="order statistics",
        definition="Half of the customers have no more days from first to last purchase than this.",
        note="" if rank >= 1 else "no interval: it needs more customers",
        unit="days",
    )


def kaplan_meier(
    time: NDArray[np.int64],
    ended: NDArray[np.int64],
    count: NDArray[np.int64],
    confidence: float = 0.95,
    entry: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the Kaplan-Meier curve of counted durations.

    Counts rather than a duration per customer keep it small for any number of customers, which is why it is written
    here; a test holds it against scipy.stats.ecdf.

    Args:
        time: Durations, shape (m,), in any order, repeats allowed.
        ended: 1 where the relationship ended, 0 where it was still going on, shape (m,).
        count: Customers of each entry, shape (m,).
        confidence: Level of the pointwise log-log band (Kalbfleisch & Prentice 2002, sec. 1.4).
        entry: Age from which each entry was watched, at most `time`, shape (m,); None means from 0 on.

    Returns:
        Arrays over the distinct durations: `day`, `survival` (just after the day), `low`, `high`, `at_risk`, `ended`.
    """
    day, place = np.unique(time, return_inverse=True)
    deaths = np.bincount(place, weights=ended * count, minlength=len(day))
    leaving = np.bincount(place, weights=count, minlength=len(day))
    at_risk = np.cumsum(leaving[::-1])[::-1]
    if entry is not None:  # those who come under observation only later are not yet at risk
        later = np.bincount(np.searchsorted(day, entry), weights=count, minlength=len(day))
        at_risk = at_risk - (later.sum() - np.cumsum(later))
    survival = np.cumprod(1.0 - deaths / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(deaths / (at_risk * (at_risk - deaths)))
        spread = intervals.normal_quantile(confidence) * np.sqrt(variance) / np.log(survival)
        low, high = survival ** np.exp(-spread), survival ** np.exp(spread)
    untouched, gone = np.cumsum(deaths) == 0, survival <= 0.0
    low, high = np.where(untouched, 1.0, low), np.where(untouched, 1.0, high)
    low, high = np.where(gone, 0.0, low), np.where(gone, np.nan, high)
    return {"day": day, "survival": survival, "low": low, "high": high, "at_risk": at_risk, "ended": deaths}


def _survival_median(curve: dict[str, NDArray[Any]], n: int, excluded: int, days: int, confidence: float) -> Estimate:
    def crossing(band: NDArray[Any]) -> float:
        below = np.flatnonzero(band <= 0.5 + _ROUNDING)
        return float(curve["day"][below[0]]) if len(below) else math.nan

    value = crossing(curve["survival"])
    low, high = (math.nan, math.nan) if math.isnan(value) else (crossing(curve["low"]), crossing(curve["high"]))
    left_out = ""
    if excluded:
        left_out = f"customers left out (first seen in the window less than {days} days before the end): {excluded:,}"
    why = "nobody was observed long enough" if not n else "more than half of the customers outlast the observed window"
    open_end = "its upper limit lies beyond the observed window" if math.isnan(high) and not math.isnan(value) else ""
    notes = [left_out, f"undefined: {why}" if math.isnan(value) else "", open_end]
    return Estimate(
        name="median survival time",
        value=value,
        low=low,
        high=math.inf if open_end else high,
        confidence=confidence,
        n=n,
        numerator=math.nan,
        denominator=n,
        method="Brookmeyer-Crowley",
        definition=f"Days after the first purchase by which half of the customers are gone (Kaplan-Meier); gone means "
        f"{days} days without a purchase, dated to the last one.",
        note="; ".join(filter(None, notes)),
        excluded=excluded,
        unit="days",
    )


def _survival_table(tx: Transactions, curve: dict[str, NDArray[Any]], days: int) -> Table:
    import pyarrow as pa

    whole = {"day", "at_risk", "ended"}
    data = pa.table(
        {name: pa.array(values.astype(np.int64) if name in whole else values) for name, values in curve.items()}
    )
    return Table(
        name="survival of customers",
        data=data,
        kind=tx.engine.kind,
        sentence=f"Kaplan-Meier curve over {data.num_rows:,} durations.",
        definition="Share of customers whose relationship outlasts the day; gone means "
        f"{wording.counted(days, 'days')} of silence.",
        units=dict.fromkeys(("survival", "low", "high"), "share"),
        note="" if data.num_rows else f"no customer was first seen {days} days before the end of the window",
        chart="tenure",
    )
