"""Net and gross revenue retention: what last period's customers spend in the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, estimates, periods
from loyalty.grouping import measure
from loyalty.metrics.ratios import RatioSpec, moment_sums, moments_of, ratio_of_sums
from loyalty.metrics.retention import base_periods, too_short
from loyalty.tables import Grouped, Table

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.periods import PeriodName
    from loyalty.transactions import Transactions

__all__ = ["RevenueRetention", "revenue_retention", "revenue_retention_rate"]

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
        return f"{self.net}\n{self.gross}"

    def to_dict(self) -> dict[str, Any]:
        """Return the pooled rates and the rows as JSON-ready values."""
        return {**Table.to_dict(self), "net": self.net.to_dict(), "gross": self.gross.to_dict()}


def revenue_retention(
    tx: Transactions,
    period: PeriodName = "month",
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
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
        confidence: Level of the delta-method intervals.

    Returns:
        A row per period that lies, with the next, wholly inside the observed window: `period`, `start`, `customers`,
        `base_spend`, `next_spend`, `net`, `net_low`, `net_high`, `gross`, `gross_low`, `gross_high`, `excluded`
        (customers with base spend ≤ 0). With `.net` and `.gross`, both pooled over the periods.

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
    aggregates = [
        *moment_sums("net", "base", "net_"),
        *moment_sums("gross", "base", "gross_"),
        nw.col("excluded").sum(),
    ]
    tables = measure(
        tx, frame, aggregates, lambda rows: {row["period"]: row for row in rows}, keys=["period"], by=by, cohort=cohort
    )
    pooled = revenue_retention_rate(tx, period, by=by, cohort=cohort, confidence=confidence)
    if isinstance(tables, Grouped) and isinstance(pooled, Grouped):
        results = {
            group: _table(tx, period, found, pooled[group], confidence) for group, found in tables.results.items()
        }
        return Grouped(by=tables.by, results=results, kind=tables.kind)
    return _table(tx, period, tables, pooled, confidence)  # type: ignore[arg-type]


def revenue_retention_rate(
    tx: Transactions,
    period: PeriodName = "month",
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
    method: str = "delta",
    seed: int = 0,
) -> dict[str, Estimate] | Grouped[dict[str, Estimate]]:
    """Return net and gross revenue retention pooled over all complete periods, as `{"net": …, "gross": …}`.

    Arguments as in `revenue_retention`; `method` is "delta" or "bootstrap" (customers resampled with `seed`).
    """
    frame = (
        _base_and_next(tx, period).group_by("customer").agg(*(nw.col(name).sum() for name in ("net", "gross", "base")))
    )
    specs = {kind: _spec(tx, period, kind, confidence, method, seed) for kind in _DEFINITIONS}
    if method == "delta":
        sums = [*moment_sums("net", "base", "net_"), *moment_sums("gross", "base", "gross_")]
        return measure(
            tx, frame, sums,
            lambda rows: {kind: spec.estimate(moments_of(rows[0], f"{kind}_")) for kind, spec in specs.items()},
            by=by, cohort=cohort,
        )  # fmt: skip
    pairs = {kind: frame.select("customer", y=nw.col(kind), x=nw.col("base")) for kind in specs}
    found = {kind: ratio_of_sums(tx, pairs[kind], spec, by=by, cohort=cohort) for kind, spec in specs.items()}
    net, gross = found["net"], found["gross"]
    if isinstance(net, Grouped) and isinstance(gross, Grouped):
        results = {group: {"net": net[group], "gross": gross[group]} for group in net}
        return Grouped(by=net.by, results=results, kind=net.kind)
    return {"net": net, "gross": gross}  # type: ignore[dict-item]


def _spec(tx: Transactions, period: PeriodName, kind: str, confidence: float, method: str, seed: int) -> RatioSpec:
    """Return what the pooled net or gross rate is called and how its interval is found."""
    return RatioSpec(
        name=f"{kind} revenue retention by {period}",
        definition=_DEFINITIONS[kind].format(period=period) + f" Pooled over the complete {period}s.",
        unit="share",
        empty="nobody spent in a complete period" if len(base_periods(tx, period)) else too_short(tx, period),
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
        definition=_DEFINITIONS["net"].format(period=period),
        units={**dict.fromkeys(money[2:], "share"), "base_spend": "money", "next_spend": "money"},
        note="" if lines else too_short(tx, period),
        chart="revenue_retention",
        net=pooled["net"],
        gross=pooled["gross"],
    )


def _line(index: int, period: PeriodName, row: Row | None, confidence: float) -> Row:
    """Return the table's line of one base period; a period without customers has undefined rates."""
    empty = estimates.RatioMoments(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    excluded = int(row["excluded"] or 0) if row else 0
    net, gross = (moments_of(row, "net_"), moments_of(row, "gross_")) if row else (empty, empty)
    net_low, net_high = estimates.delta_ratio(net, confidence)
    gross_low, gross_high = estimates.delta_ratio(gross, confidence)
    return {
        "period": periods.period_label(index, period),
        "start": periods.to_date(periods.period_start(index, period)),
        "customers": net.n - excluded,
        "base_spend": net.x,
        "next_spend": net.y,
        "net": net.ratio,
        "net_low": net_low,
        "net_high": net_high,
        "gross": gross.ratio,
        "gross_low": gross_low,
        "gross_high": gross_high,
        "excluded": excluded,
    }
