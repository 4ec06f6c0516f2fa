"""Repurchase rate: who came back at all, or within a given time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, estimates, periods
from loyalty.grouping import measure
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.tables import Grouped
    from loyalty.transactions import Transactions

__all__ = ["repurchase_rate"]

Row = dict[str, Any]


@takes_transactions
def repurchase_rate(
    tx: Transactions,
    within: str | dt.timedelta | None = None,
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
    method: str = "wilson",
) -> Estimate | Grouped[Estimate]:
    """Return the share of customers who bought at least twice.

    Args:
        tx: The transactions.
        within: Count only a second purchase at most this long after the first ("90d", "12w", a timedelta), over
            customers acquired in the window and observed that long; None counts two purchases in the window.
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the "day", "week", "month", "quarter" or "year" of the first purchase instead.
        confidence: Level of the interval.
        method: "wilson", "adjusted_wald" or "wald"; each customer counts once.

    Returns:
        An estimate (unit: share), or one per group. Nobody eligible: NaN with a note.

    Raises:
        InvalidArgument: `within` has no unit, or another argument is not allowed.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> frame = pd.DataFrame({"customer_id": [1, 1, 2], "amount": [5.0, 5.0, 5.0],
        ...                       "date": pd.to_datetime(["2024-01-01", "2024-03-01", "2024-03-31"])})
        >>> float(ly.repurchase_rate(ly.transactions(frame)))
        0.5
        >>> print(ly.repurchase_rate(ly.transactions(frame), within="30d"))
        Repurchase rate within 30 days: 0.0 % (95 % interval 0.0 % to 79.3 %; 0 of 1 customer). Note:
        customers left out (acquired before the window or observed for less than 30 days): 1.
    """
    checks.confidence_level(confidence)
    checks.choice("method", method, estimates.PROPORTION_METHODS)
    if within is None:
        return _ever(tx, by, cohort, confidence, method)
    days = periods.duration_days(within, "within")
    eligible = (nw.col("acquired_before") == 0) & (nw.col("first_day") + days <= tx.window.last)
    people = tx.customers.select("customer", eligible=nw.when(eligible).then(nw.lit(1)).otherwise(nw.lit(0)))
    early = tx.gaps().filter(nw.col("second"), nw.col("gap") <= days).select("customer", early=nw.lit(1))
    frame = people.join(early, on="customer", how="left")
    twice = (nw.col("eligible") * nw.col("early").fill_null(0)).sum()

    def build(rows: list[Row]) -> Estimate:
        row = rows[0]
        n, everybody = int(row["n"] or 0), int(row["everybody"])
        left_out = (
            f"customers left out (acquired before the window or observed for less than {days} days): {everybody - n:,}"
        )
        return estimates.proportion(
            f"repurchase rate within {days} days",
            int(row["twice"] or 0),
            n,
            definition=f"Customers whose second purchase came within {days} days of the first, among customers "
            "acquired in the observed window and observed that long.",
            confidence=confidence,
            method=method,
            note=left_out if everybody > n else "",
            empty=f"no customer was observed for {days} days after the first purchase",
            excluded=everybody - n,
        )

    aggregates = [nw.len().alias("everybody"), nw.col("eligible").sum().alias("n"), twice.alias("twice")]
    return measure(tx, frame, aggregates, build, by=by, cohort=cohort, everybody=True)


def _ever(
    tx: Transactions, by: Any, cohort: str | None, confidence: float, method: str
) -> Estimate | Grouped[Estimate]:
    """Return the share of customers with at least two purchases in the window."""

    def build(rows: list[Row]) -> Estimate:
        row = rows[0]
        before = int(row["before"] or 0)
        return estimates.proportion(
            "repurchase rate",
            int(row["twice"] or 0),
            int(row["n"]),
            definition="Customers with at least two purchases in the observed window, among those with at least one.",
            confidence=confidence,
            method=method,
            note=f"customers among them who were acquired before the window: {before:,}" if before else "",
        )

    twice = nw.when(nw.col("purchases") >= 2).then(nw.lit(1)).otherwise(nw.lit(0)).sum()
    aggregates = [nw.len().alias("n"), twice.alias("twice"), nw.col("acquired_before").sum().alias("before")]
    return measure(tx, tx.customers, aggregates, build, by=by, cohort=cohort, everybody=True)
