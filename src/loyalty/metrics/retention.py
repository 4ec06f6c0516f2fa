"""Retention and churn: who bought in one period and came back in the next, and who has gone silent."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, estimates, intervals, periods, wording
from loyalty.errors import InvalidArgument
from loyalty.grouping import measure
from loyalty.metrics.ratios import RatioSpec, ratio_of_sums
from loyalty.tables import Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.periods import PeriodName
    from loyalty.tables import Grouped
    from loyalty.transactions import Transactions

__all__ = ["base_periods", "churn_rate", "retention", "retention_rate", "too_short"]

Row = dict[str, Any]
_KEPT = nw.when(nw.col("next_period") == nw.col("period") + 1).then(nw.lit(1)).otherwise(nw.lit(0))
_NEW = nw.when(nw.col("first_period") == nw.col("period")).then(nw.lit(1)).otherwise(nw.lit(0))


def base_periods(tx: Transactions, period: PeriodName) -> range:
    """Return the periods that can be a base: they and the next lie wholly inside the observed window."""
    complete = tx.window.complete(period)
    return complete[:-1]


def too_short(tx: Transactions, period: str) -> str:
    """Return the note of a window in which no period has a complete next one."""
    return (
        f"the observed window ({tx.observed_from} to {tx.observed_until}) holds fewer than two complete {period}s: "
        "choose a shorter period or a longer window"
    )


@takes_transactions
def retention(
    tx: Transactions,
    period: PeriodName = "month",
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
) -> Table | Grouped[Table]:
    """Return, for each period, how many of its customers came back in the next one.

    Args:
        tx: The transactions.
        period: "day", "week" (from Monday), "month", "quarter" or "year".
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.
        confidence: Level of the Wilson intervals.

    Returns:
        A row per period that lies, with the next, wholly inside the observed window (others are missing, not zero):
        `period`, `start`, `customers` (S, who bought in it), `kept` (of those, who bought in the next), `rate` =
        kept/S with `low` and `high`, `churn` = 1 − rate, `next_customers` (E, who bought in the next), `new` (N, of
        E those whose first purchase it was) and `reactivated` (of E those who came back after a gap). So
        (E − N)/S, which other tools call retention, can be read off: it counts the reactivated as kept.
        A period in which nobody bought has rate NaN, and the note says so.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        ColumnError: `by` names no column.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> frame = pd.DataFrame({"customer_id": [1, 1, 2, 3], "amount": [5.0] * 4, "date": pd.to_datetime(
        ...     ["2024-01-01", "2024-02-03", "2024-01-09", "2024-02-29"])})
        >>> table = ly.retention(ly.transactions(frame))
        >>> table["customers"], table["kept"], table["new"]
        ([2], [1], [1])
    """
    checks.confidence_level(confidence)
    activity = tx.activity(period)
    complete = tx.window.complete(period)
    inside = activity.filter(nw.col("period") >= complete.start, nw.col("period") < complete.stop)
    aggregates = [nw.len().alias("customers"), _KEPT.sum().alias("kept"), _NEW.sum().alias("new")]

    def build(rows: list[Row]) -> Table:
        return _retention_table(tx, period, {row["period"]: row for row in rows}, confidence)

    return measure(tx, inside, aggregates, build, keys=["period"], by=by, cohort=cohort)


def _retention_table(tx: Transactions, period: PeriodName, found: dict[int, Row], confidence: float) -> Table:
    """Return the table of retention from the counts of each period."""
    import pyarrow as pa

    nobody = {"customers": 0, "kept": 0, "new": 0}
    lines: list[Row] = []
    for index in base_periods(tx, period):
        base, following = found.get(index, nobody), found.get(index + 1, nobody)
        low, high = intervals.wilson(base["kept"], base["customers"], confidence)
        rate = base["kept"] / base["customers"] if base["customers"] else float("nan")
        lines.append(
            {
                "period": periods.period_label(index, period),
                "start": periods.to_date(periods.period_start(index, period)),
                "customers": int(base["customers"]),
                "kept": int(base["kept"]),
                "rate": rate,
                "low": low,
                "high": high,
                "churn": 1.0 - rate,
                "next_customers": int(following["customers"]),
                "new": int(following["new"]),
                "reactivated": int(following["customers"] - base["kept"] - following["new"]),
            }
        )
    types = {"period": pa.string(), "start": pa.date32(), "rate": pa.float64(), "low": pa.float64(),
             "high": pa.float64(), "churn": pa.float64()}  # fmt: skip
    names = [
        "period",
        "start",
        "customers",
        "kept",
        "rate",
        "low",
        "high",
        "churn",
        "next_customers",
        "new",
        "reactivated",
    ]
    schema = pa.schema([(name, types.get(name, pa.int64())) for name in names])
    return Table(
        name=f"retention by {period}",
        data=pa.Table.from_pylist(lines, schema=schema),
        kind=tx.engine.kind,
        sentence=_sentence(period, lines),
        definition=f"Of the customers who bought in a {period}, the share who bought in the next {period}.",
        units=dict.fromkeys(("rate", "low", "high", "churn"), "share"),
        note=_rows_note(period, lines) if lines else too_short(tx, period),
        chart="retention",
    )


def _sentence(period: PeriodName, lines: list[Row]) -> str:
    """Return the table of retention in a sentence."""
    base, kept = (sum(line[name] for line in lines) for name in ("customers", "kept"))
    if not base:
        return f"Retention by {period}: not defined."
    return (
        f"Retention by {period}: {kept:,} of {base:,} customer-{period}s were followed by a purchase in the next "
        f"{period} ({lines[0]['period']} to {lines[-1]['period']})."
    )


def _rows_note(period: PeriodName, lines: list[Row]) -> str:
    """Return what a reader must know about the rows: whose rates are undefined."""
    empty = sum(not line["customers"] for line in lines)
    return f"{period}s without a rate, since nobody bought in them: {empty:,}" if empty else ""


@takes_transactions
def retention_rate(
    tx: Transactions,
    period: PeriodName = "month",
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
    method: str = "delta",
    seed: int = 0,
) -> Estimate | Grouped[Estimate]:
    """Return retention pooled over all complete periods: Σ kept ÷ Σ base.

    A customer may be in many bases, so the customer is the sampling unit of the interval; on monthly CDNOW a
    binomial interval would be 1.6 times too narrow.

    Args:
        tx: The transactions.
        period: "day", "week", "month", "quarter" or "year".
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.
        confidence: Level of the interval.
        method: "delta" or "bootstrap" (customers resampled); limits stay between 0 and 1, and where nobody or everybody
            was kept they are Wilson's, each customer counting once.
        seed: Seed of the bootstrap.

    Returns:
        An estimate (unit: share); fewer than two complete periods, or nobody in them: NaN with a note.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        ColumnError: `by` names no column.

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow())
        >>> round(float(ly.retention_rate(tx, "quarter")), 4)
        0.3259
    """
    frame = _kept_per_customer(tx, period).with_columns(y=nw.col("kept"))
    spec = RatioSpec(
        name=f"retention rate by {period}",
        definition=f"Of the customers who bought in a {period}, the share who bought in the next {period}, pooled over "
        f"the {period}s that lie with their next wholly inside the observed window.",
        unit="share",
        bounded=True,
        empty=_why_empty(tx, period),
        confidence=confidence,
        method=method,
        seed=seed,
    )
    return ratio_of_sums(tx, frame, spec, by=by, cohort=cohort)


def _kept_per_customer(tx: Transactions, period: PeriodName) -> Any:
    """Return `kept` and `x` = periods a customer was kept after and in the base, a row per customer of any base.

    Kept once: retention and churn are the same counts.
    """

    def build() -> Any:
        bases = base_periods(tx, period)
        inside = tx.activity(period).filter(nw.col("period") >= bases.start, nw.col("period") < bases.stop)
        counted = inside.with_columns(counted=_KEPT).group_by("customer")
        return counted.agg(kept=nw.col("counted").sum().cast(nw.Int64), x=nw.len().cast(nw.Int64))

    return tx.kept(f"kept_{period}", build)


def _why_empty(tx: Transactions, period: PeriodName) -> str:
    return "nobody bought in a complete period" if len(base_periods(tx, period)) else too_short(tx, period)


@takes_transactions
def churn_rate(
    tx: Transactions,
    period: PeriodName | None = None,
    inactive_after: str | dt.timedelta | None = None,
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
    method: str | None = None,
    seed: int = 0,
) -> Estimate | Grouped[Estimate]:
    """Return the share of customers lost: from period to period, or by a stretch of silence.

    Args:
        tx: The transactions.
        period: Period churn, 1 − pooled retention; "month" if neither this nor `inactive_after` is given.
        inactive_after: Inactivity churn: customers whose last purchase lies at least this long before
            `observed_until`, among those first seen at least as long before it ("180d", "26w", a timedelta).
            Customers of the history who did not come back in the window are among them.
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.
        confidence: Level of the interval.
        method: Period churn: "delta" (default) or "bootstrap"; inactivity churn, where each customer counts once:
            "wilson" (default), "adjusted_wald" or "wald".
        seed: Seed of the bootstrap.

    Returns:
        An estimate (unit: share); nobody eligible: NaN with a note.

    Raises:
        InvalidArgument: Both `period` and `inactive_after` are given.

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow())
        >>> round(float(ly.churn_rate(tx, inactive_after="180d")), 4)
        0.7726
    """
    if period is not None and inactive_after is not None:
        raise InvalidArgument("give period= (churn from period to period) or inactive_after= (silence), not both.")
    if inactive_after is not None:
        return _inactivity_churn(tx, periods.duration_days(inactive_after, "inactive_after"), by, cohort, confidence,
                                 method or "wilson")  # fmt: skip
    period = period or "month"
    spec = RatioSpec(
        name=f"churn rate by {period}",
        definition=f"Of the customers who bought in a {period}, the share who did not buy in the next {period}, pooled "
        f"over the {period}s that lie with their next wholly inside the observed window: 1 − retention rate.",
        unit="share",
        bounded=True,
        empty=_why_empty(tx, period),
        confidence=confidence,
        method=method or "delta",
        seed=seed,
    )
    frame = _kept_per_customer(tx, period).with_columns(y=nw.col("x") - nw.col("kept"))
    return ratio_of_sums(tx, frame, spec, by=by, cohort=cohort)


def _first_and_last_days(tx: Transactions) -> Any:
    """Return every customer's first and last purchase day, those of the history included."""
    ever = tx.engine.table("purchases").group_by("customer")
    return ever.agg(first_day=nw.col("day").min(), last_day=nw.col("day").max())


def _inactivity_churn(
    tx: Transactions, days: int, by: Any, cohort: str | None, confidence: float, method: str
) -> Estimate | Grouped[Estimate]:
    """Return the share of customers silent for at least `days`."""
    checks.confidence_level(confidence)
    checks.choice("method", method, estimates.PROPORTION_METHODS)
    limit = tx.window.last - days
    seen = nw.when(nw.col("first_day") <= limit).then(nw.lit(1)).otherwise(nw.lit(0))
    frame = tx.customers.select("customer", "first_day", "last_day")
    if tx.rules.history:  # who last bought before the window is silent throughout it
        frame = tx.kept("first_and_last_days", lambda: _first_and_last_days(tx))
    silent = (nw.col("last_day") <= limit) & (nw.col("first_day") <= limit)
    silent = nw.when(silent).then(nw.lit(1)).otherwise(nw.lit(0))

    def build(rows: list[Row]) -> Estimate:
        row = rows[0]
        n, everybody = int(row["n"] or 0), int(row["everybody"])
        young = f"customers left out (first seen less than {days} days before the end): {everybody - n:,}"
        return estimates.proportion(
            f"churn rate ({wording.counted(days, 'days')} of silence)",
            int(row["silent"] or 0),
            n,
            definition=f"Customers whose last purchase lies at least {days} days before the end of the observed "
            f"window, among customers first seen at least {days} days before it.",
            confidence=confidence,
            method=method,
            note=young if everybody > n else "",
            empty=f"no customer was first seen {days} days before {tx.observed_until}",
            excluded=everybody - n,
        )

    aggregates = [nw.len().alias("everybody"), seen.sum().alias("n"), silent.sum().alias("silent")]
    return measure(tx, frame, aggregates, build, by=by, cohort=cohort, everybody=True, history=True)
