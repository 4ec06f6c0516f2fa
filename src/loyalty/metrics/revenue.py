"""Net and gross revenue retention: what last period's customers spend in the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, estimates, intervals, periods
from loyalty.grouping import measure
from loyalty.intervals import RatioMoments
from loyalty.metrics.ratios import RatioSpec, bootstrapped
from loyalty.metrics.retention import base_periods, too_short
from loyalty.tables import Grouped, Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.periods import PeriodName
    from loyalty.transactions import Transactions

__all__ = ["RevenueRetention", "revenue_retention"]

Row = dict[str, Any]
Frame = nw.LazyFrame[Any]

_DEFINITIONS = {
    "net": "Spend in the next {period} of the customers who spent in a {period}, divided by what they spent in it.",
    "gross": "As net revenue retention, but no customer counts for more than in the base {period}, or for less than 0.",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RevenueRetention(Table):
    """Revenue retention by period, with the rates pooled over all of them.

    Attributes:
        net: Pooled net revenue retention, the customer being the sampling unit.
        gross: Pooled gross revenue retention, likewise.
    """

    net: Estimate
    gross: Estimate

    def __str__(self) -> str:
        note = f"\nNote: {self.note}." if self.note and len(self) else ""  # without rows the rates say why
        return f"{self.net}\n{self.gross}{note}"

    def to_dict(self) -> dict[str, Any]:
        """Return the pooled rates and the rows as JSON-ready values."""
        return {**Table.to_dict(self), "net": self.net.to_dict(), "gross": self.gross.to_dict()}


@takes_transactions
def revenue_retention(
    tx: Transactions,
    period: PeriodName = "month",
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
    method: str = "delta",
    seed: int = 0,
) -> RevenueRetention | Grouped[RevenueRetention]:
    """Return net and gross revenue retention from period to period.

    net = Σ next spend ÷ Σ base spend, gross = Σ min(max(next, 0), base) ÷ Σ base, over the customers whose spend
    in the base period is above zero. Customers whose base spend is zero or (after returns) negative are left out of
    the period and counted.

    Args:
        tx: The transactions.
        period: "day", "week", "month", "quarter" or "year".
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.
        confidence: Level of the intervals.
        method: Intervals of the pooled rates: "delta" or "bootstrap" (customers resampled); each period's are delta.
        seed: Seed of the bootstrap.

    Returns:
        A row per period that lies, with the next, wholly inside the observed window: `period`, `start`, `customers`,
        `base_spend`, `next_spend`, `net`, `net_low`, `net_high`, `gross`, `gross_low`, `gross_high`, `excluded`
        (customers with base spend ≤ 0). Rates are NaN where nobody counts, limits where fewer than two customers do,
        and the note says so. With `.net` and `.gross`, both pooled over the periods: there `excluded` counts customers
        left out of all their periods, and the note each customer's periods left out.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        ColumnError: `by` names no column.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> frame = pd.DataFrame({"customer_id": [1, 1, 2], "amount": [10.0, 15.0, 10.0], "date": pd.to_datetime(
        ...     ["2024-01-01", "2024-02-29", "2024-01-09"])})
        >>> table = ly.revenue_retention(ly.transactions(frame))
        >>> table["net"], table["gross"]
        ([0.75], [0.5])
    """
    checks.confidence_level(confidence)
    frame = _base_and_next(tx, period)
    tables = measure(
        tx, frame, _sums(), lambda rows: {row["period"]: row for row in rows}, keys=["period"], by=by, cohort=cohort
    )
    pooled = _pooled(tx, frame, period, by, cohort, confidence, method, seed)
    if isinstance(tables, Grouped) and isinstance(pooled, Grouped):
        results = {
            group: _table(tx, period, found, pooled[group], confidence) for group, found in tables.results.items()
        }
        return Grouped(by=tables.by, results=results, kind=tables.kind)
    return _table(tx, period, tables, pooled, confidence)  # type: ignore[arg-type]


def _pooled(
    tx: Transactions,
    rows: Frame,
    period: PeriodName,
    by: Any,
    cohort: str | None,
    confidence: float,
    method: str,
    seed: int,
) -> dict[str, Estimate] | Grouped[dict[str, Estimate]]:
    """Return net and gross revenue retention pooled over all complete periods, as `{"net": …, "gross": …}`."""
    checks.choice("method", method, estimates.RATIO_METHODS)
    sums = (nw.col(name).sum() for name in ("net", "gross", "base", "excluded"))
    frame = rows.group_by("customer").agg(*sums)
    specs = {kind: _spec(tx, period, kind, confidence, method, seed) for kind in _DEFINITIONS}
    if method == "delta":
        return measure(tx, frame, _sums(), lambda rows: _summed(rows[0], specs, period), by=by, cohort=cohort)
    counts = [nw.len().alias("n"), nw.col("excluded").sum()]
    return measure(tx, frame, counts, lambda rows: _resampled(rows, specs, period), keys=["net", "gross", "base"],
                   by=by, cohort=cohort)  # fmt: skip


def _summed(row: Row, specs: dict[str, RatioSpec], period: str) -> dict[str, Estimate]:
    """Return the pooled rates of summed-up customers."""
    left_out = _left_out(int(row["everybody"]) - int(row["n"] or 0), int(row["excluded"] or 0), period)
    return {kind: replace(spec, **left_out).estimate(_moments(row, kind)) for kind, spec in specs.items()}


def _resampled(rows: list[Row], specs: dict[str, RatioSpec], period: str) -> dict[str, Estimate]:
    """Return the pooled rates of distinct customers and how many are alike, with bootstrap intervals."""
    counted = [row for row in rows if row["base"] > 0]
    nowhere = sum(row["n"] for row in rows) - sum(row["n"] for row in counted)
    left_out = _left_out(nowhere, sum(row["excluded"] for row in rows), period)
    pairs = {kind: [{"y": row[kind], "x": row["base"], "n": row["n"]} for row in counted] for kind in specs}
    return {kind: bootstrapped(pairs[kind], replace(spec, **left_out)) for kind, spec in specs.items()}


def _left_out(customers: int, rows: int, period: str) -> Row:
    """Return the number of customers left out altogether and a note on all customer-periods left out."""
    note = f"customer-{period}s left out, their spend not being above zero: {rows:,}" if rows else ""
    return {"excluded": customers, "note": note}


def _spec(tx: Transactions, period: PeriodName, kind: str, confidence: float, method: str, seed: int) -> RatioSpec:
    """Return what the pooled net or gross rate is called and how its interval is found."""
    return RatioSpec(
        name=f"{kind} revenue retention by {period}",
        definition=_DEFINITIONS[kind].format(period=period) + f" Pooled over the complete {period}s.",
        unit="share",
        bounded=kind == "gross",
        empty="nobody spent more than zero in a complete period"
        if len(base_periods(tx, period))
        else too_short(tx, period),
        confidence=confidence,
        method=method,
        seed=seed,
    )


def _base_and_next(tx: Transactions, period: PeriodName) -> Frame:
    """Return what each customer spent in each base period and, net and gross, in the next.

    A customer whose base spend is not above zero has zeros throughout and `excluded` = 1.
    """
    bases = base_periods(tx, period)
    rows = tx.activity(period).filter(nw.col("period") >= bases.start, nw.col("period") < bases.stop)
    follows = nw.col("next_period") == nw.col("period") + 1
    rows = rows.with_columns(following=nw.when(follows).then(nw.col("next_spend")).otherwise(nw.lit(0.0)))
    counts = nw.col("spend") > 0
    capped = nw.min_horizontal(nw.max_horizontal(nw.col("following"), nw.lit(0.0)), nw.col("spend"))
    zero = nw.lit(0.0)
    return rows.select(
        "customer",
        "period",
        base=nw.when(counts).then(nw.col("spend")).otherwise(zero),
        net=nw.when(counts).then(nw.col("following")).otherwise(zero),
        gross=nw.when(counts).then(capped).otherwise(zero),
        excluded=nw.when(counts).then(nw.lit(0)).otherwise(nw.lit(1)),
    )


def _sums() -> list[nw.Expr]:
    """Return the aggregates of what `_moments` reads; who has no base spend above zero is counted apart."""
    base = nw.col("base")
    counts = nw.when(base > 0).then(nw.lit(1)).otherwise(nw.lit(0))
    sums = [
        nw.len().alias("everybody"),
        counts.sum().alias("n"),
        base.sum().alias("x"),
        (base * base).sum().alias("xx"),
    ]
    for kind in _DEFINITIONS:
        top = nw.col(kind)
        sums += [
            top.sum().alias(f"{kind}_y"),
            (top * top).sum().alias(f"{kind}_yy"),
            (top * base).sum().alias(f"{kind}_xy"),
        ]
    return [*sums, nw.col("excluded").sum()]


def _moments(row: Row, kind: str) -> RatioMoments:
    """Return the moments of net or gross retention in an aggregated row; sums over nobody are zero."""
    y, yy, xy = (float(row[f"{kind}_{name}"] or 0.0) for name in ("y", "yy", "xy"))
    return RatioMoments(n=int(row["n"] or 0), y=y, x=float(row["x"] or 0.0), yy=yy, xy=xy, xx=float(row["xx"] or 0.0))


def _table(
    tx: Transactions, period: PeriodName, found: dict[int, Row], pooled: dict[str, Estimate], confidence: float
) -> RevenueRetention:
    """Return the table of revenue retention from the moments of each period."""
    import pyarrow as pa

    lines = [_line(index, period, found.get(index), confidence) for index in base_periods(tx, period)]
    money = ["base_spend", "next_spend", "net", "net_low", "net_high", "gross", "gross_low", "gross_high"]
    schema = pa.schema(
        [("period", pa.string()), ("start", pa.date32()), ("customers", pa.int64())]
        + [(name, pa.float64()) for name in money]
        + [("excluded", pa.int64())]
    )
    return RevenueRetention(
        name=f"revenue retention by {period}",
        data=pa.Table.from_pylist(lines, schema=schema),
        kind=tx.engine.kind,
        sentence="",
        definition=" ".join(f"{kind}: {text.format(period=period)}" for kind, text in _DEFINITIONS.items()),
        units={**dict.fromkeys(money[2:], "share"), "base_spend": "money", "next_spend": "money"},
        note=_rows_note(period, lines) if lines else too_short(tx, period),
        chart="revenue_retention",
        net=pooled["net"],
        gross=pooled["gross"],
    )


def _line(index: int, period: PeriodName, row: Row | None, confidence: float) -> Row:
    """Return the table's line of one base period; a period without customers has undefined rates."""
    empty = RatioMoments(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    net, gross = (_moments(row, kind) if row else empty for kind in _DEFINITIONS)
    net_low, net_high = intervals.delta_ratio(net, confidence)
    gross_low, gross_high = intervals.delta_ratio(gross, confidence)
    return {
        "period": periods.period_label(index, period),
        "start": periods.to_date(periods.period_start(index, period)),
        "customers": net.n,
        "base_spend": net.x,
        "next_spend": net.y,
        "net": net.ratio,
        "net_low": net_low,
        "net_high": net_high,
        "gross": gross.ratio,
        "gross_low": max(gross_low, 0.0),  # NaN stays NaN
        "gross_high": min(gross_high, 1.0),
        "excluded": int(row["excluded"] or 0) if row else 0,
    }


def _rows_note(period: PeriodName, lines: list[Row]) -> str:
    """Return what a reader must know about the rows: which rates and limits are undefined."""
    empty, single = (sum(line["customers"] == number for line in lines) for number in (0, 1))
    notes = [
        f"{period}s without a rate, since nobody spent more than zero in them: {empty:,}" if empty else "",
        f"{period}s without an interval, since it needs two customers or more: {single:,}" if single else "",
    ]
    return "; ".join(filter(None, notes))
