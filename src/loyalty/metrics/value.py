"""Historical customer value: what each customer has brought so far, after margin and costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, estimates
from loyalty.engines import CustomerRows, PerCustomer
from loyalty.errors import ColumnError, InvalidRows, UnsupportedSource
from loyalty.grouping import measure
from loyalty.metrics.ratios import moment_sums, moments_of
from loyalty.tables import EstimateSet, Grouped
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.transactions import Transactions

__all__ = ["HistoricalValue", "historical_value"]

Frame = nw.LazyFrame[Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HistoricalValue(EstimateSet, PerCustomer):
    """What customers have brought in the observed window.

    Attributes:
        mean: Value per customer.
        total: Value of all customers.
        contribution: Margin earned per customer, before costs to serve and acquire.
        kind: The kind of frame that `to_native` returns.
    """

    mean: Estimate
    total: Estimate
    contribution: Estimate
    _people: Callable[[], CustomerRows] = field(repr=False, compare=False)

    @property
    def customers(self) -> Any:
        """A row per customer, most valuable first, in the source's kind.

        Columns: the customer column, `purchases`, `spend`, `contribution`, `service_cost`, `acquisition_cost`, `value`.
        """
        return self._customer_rows().handed()

    def _customer_rows(self) -> CustomerRows:
        return self._people()


@takes_transactions
def historical_value(
    tx: Transactions,
    margin: float | str | None = None,
    *,
    service_cost: float | str | None = None,
    acquisition_cost: float | str | None = None,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
) -> HistoricalValue | Grouped[HistoricalValue]:
    """Return what customers have brought in the observed window: spend × margin − cost to serve − cost to acquire.

    Args:
        tx: The transactions.
        margin: Share of spend that is earned: a number, or a column of the transactions with a share per row (a
            purchase's margin is the mean over its sale rows, weighted by amount or, where the amounts are all zero,
            not; returns reduce it at that margin). None: spend − cost where `cost=` was named at the door, else 1
            (value is net sales).
        service_cost: Cost to serve: a number per purchase, or a column summed over a customer's sale rows of the
            window (null: none). (That of `loyalty.clv` is money per year as a customer: not the same number.)
        acquisition_cost: Cost to acquire: a number per customer, or a column read at the first purchase (null: none).
            Customers acquired before the window are not charged: that cost lies before it too.
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the period of the first purchase instead.
        confidence: Level of the intervals (delta method, the customer being the unit).

    Returns:
        Estimates of mean and total value, and `.customers`, a row per customer. Nothing is discounted: money of the
        past is counted as it came in.

    Raises:
        ColumnError: A named column is missing, or does not hold numbers.
        InvalidRows: A margin is null, or a margin or cost is not a finite number.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> frame = pd.DataFrame({"customer_id": [1, 1, 2], "amount": [10.0, 30.0, 20.0], "date": pd.to_datetime(
        ...     ["2024-01-01", "2024-02-01", "2024-01-09"])})
        >>> value = ly.historical_value(ly.transactions(frame), margin=0.5, acquisition_cost=4)
        >>> value.customers["value"].tolist(), float(value.mean)
        ([16.0, 6.0], 11.0)
    """
    checks.confidence_level(confidence)
    given = {"margin": margin, "service_cost": service_cost, "acquisition_cost": acquisition_cost}
    for role, item in given.items():
        _check(tx, role, item)
    frame = _per_customer(tx, margin, service_cost, acquisition_cost)

    def people() -> CustomerRows:  # built anew, so that any thread may ask
        each = _per_customer(tx, margin, service_cost, acquisition_cost)
        return CustomerRows(tx.engine, each.sort("value", "customer", descending=[True, False]), tx.customer)

    sums = [*moment_sums("value", "one", "v_"), *moment_sums("contribution", "one", "c_")]

    def build(rows: list[Row]) -> HistoricalValue:
        return _result(tx, rows[0], people, confidence)

    return measure(tx, frame.with_columns(one=nw.lit(1)), sums, build, by=by, cohort=cohort, everybody=True)


def _is_column(item: Any) -> bool:
    return item is not None and (not isinstance(item, Real) or isinstance(item, bool))


def _check(tx: Transactions, role: str, item: Any) -> None:
    """Refuse a column that is not there and a number that makes no sense."""
    if _is_column(item):
        checks.column(role, item, tx.engine.labels)
    elif item is not None:
        checks.number(role, float(item), low=-math.inf if role == "margin" else 0.0)


def _kept(tx: Transactions, role: str, label: Any, build: Callable[[], Frame]) -> Frame:
    """Return what a column gives per customer, kept; numbers cost next to nothing to apply, and a caller tries many."""
    return tx.kept(f"{role}_{list(tx.engine.labels).index(label)}", build)


def _per_customer(tx: Transactions, margin: Any, service_cost: Any, acquisition_cost: Any) -> Frame:
    """Return a row per customer: purchases, spend, contribution, costs and value."""
    frame = tx.customers
    frame = _with_contribution(tx, frame, margin)
    frame = _with_service(tx, frame, service_cost)
    frame = _with_acquisition(tx, frame, acquisition_cost)
    value = nw.col("contribution") - nw.col("service_cost") - nw.col("acquisition_cost")
    parts = ["customer", "purchases", "spend", "contribution", "service_cost", "acquisition_cost"]
    return frame.with_columns(value=value).select(*parts, "value")


def _with_contribution(tx: Transactions, frame: Frame, margin: Any) -> Frame:
    if margin is None and "cost" in tx.roles:
        return frame.with_columns(contribution=nw.col("spend") - nw.col("cost"))
    if not _is_column(margin):
        return frame.with_columns(contribution=nw.col("spend") * (1.0 if margin is None else float(margin)))

    def build() -> Frame:
        return _margin_of_purchases(tx, margin).group_by("customer").agg(contribution=nw.col("earned").sum())

    return frame.join(_kept(tx, "margin", margin, build), on="customer", how="inner")


def _margin_of_purchases(tx: Transactions, margin: Any) -> Frame:
    """Return what each purchase earned: net spend times the amount-weighted margin of its sale rows."""
    rows = _numbers(tx, "margin", margin, tx.sale_rows(margin))
    key = ["customer", "day"] if tx.rules.occasion == "day" else ["customer", "order", "loose_day"]
    rows = rows.with_columns(weighted=nw.col("amount") * nw.col("value"))
    sold = rows.group_by(*key).agg(nw.col("weighted").sum(), nw.col("amount").sum(), plain=nw.col("value").mean())
    bought = tx.purchase_rows()
    order_key = [name for name in key if name != "order"]
    if tx.rules.occasion == "order":  # null orders never match as join keys: they are told apart by `loose_day`
        blank = nw.col("order").is_null()
        parts = ["customer", "spend", "weighted", "amount", "plain"]
        keyed = [sold.filter(~blank), sold.filter(blank)], [bought.filter(~blank), bought.filter(blank)]
        both = nw.concat(
            [
                keyed[1][0].join(keyed[0][0], on=key, how="inner").select(*parts),
                keyed[1][1].join(keyed[0][1], on=order_key, how="inner").select(*parts),
            ]
        )
    else:
        both = bought.join(sold, on=key, how="inner")
    share = nw.when(nw.col("amount") > 0).then(nw.col("weighted") / nw.col("amount")).otherwise(nw.col("plain"))
    return both.with_columns(earned=nw.col("spend") * share)


def _with_service(tx: Transactions, frame: Frame, service_cost: Any) -> Frame:
    if not _is_column(service_cost):
        each = float(service_cost or 0.0)
        return frame.with_columns(service_cost=nw.col("purchases").cast(nw.Float64) * each)

    def build() -> Frame:
        rows = _numbers(tx, "service_cost", service_cost, tx.sale_rows(service_cost))
        return rows.group_by("customer").agg(service_cost=nw.col("value").sum())

    spent = _kept(tx, "service", service_cost, build)
    return frame.join(spent, on="customer", how="left").with_columns(nw.col("service_cost").fill_null(0.0))


def _with_acquisition(tx: Transactions, frame: Frame, acquisition_cost: Any) -> Frame:
    new = nw.col("acquired_before") == 0
    if not _is_column(acquisition_cost):
        each = float(acquisition_cost or 0.0)
        return frame.with_columns(acquisition_cost=nw.when(new).then(nw.lit(each)).otherwise(nw.lit(0.0)))
    first = tx.first_values(acquisition_cost).select("customer", value=nw.col("group"))
    first = _numbers(tx, "acquisition_cost", acquisition_cost, first).rename({"value": "charged"})
    frame = frame.join(first, on="customer", how="left").with_columns(nw.col("charged").fill_null(0.0))
    return frame.with_columns(acquisition_cost=nw.when(new).then(nw.col("charged")).otherwise(nw.lit(0.0)))


def _numbers(tx: Transactions, role: str, label: Any, rows: Frame) -> Frame:
    """Return rows with their column `value` as numbers.

    Raises:
        ColumnError: It is of another type, or text that is no number.
        InvalidRows: A number is not finite, or a margin is missing.
    """
    kind = rows.collect_schema()["value"]
    wrong = ColumnError(f"{role}={label!r} is not a column of numbers: convert it first, or name another.")
    if not (kind.is_numeric() or isinstance(kind, nw.String)):  # files of text hold numbers as text
        raise wrong
    rows = rows.with_columns(nw.col("value").cast(nw.Float64))
    bad = ~nw.col("value").is_finite()
    bad = bad | nw.col("value").is_null() if role == "margin" else bad
    try:
        found = int(tx.collect(rows.filter(bad).select(n=nw.len()))["n"][0].as_py())
    except UnsupportedSource as err:
        raise wrong from err
    if found:
        raise InvalidRows(
            f"{role}={label!r} holds no finite number in this many of the rows it is read from: {found:,}. "
            + ("Fill it with shares such as 0.3." if role == "margin" else "Mend them, or leave them null for none."),
            column=str(label),
            count=found,
        )
    return rows


def _result(tx: Transactions, row: Row, people: Callable[[], CustomerRows], confidence: float) -> HistoricalValue:
    value, contribution = moments_of(row, "v_"), moments_of(row, "c_")
    definition = (
        "Contribution (spend × margin, net of returns) less cost to serve and to acquire, in the observed window"
    )
    mean = estimates.ratio(
        "historical value per customer",
        value,
        definition=definition + ", per customer.",
        confidence=confidence,
        unit="money",
    )
    total = estimates.total(mean, "historical value", definition=definition + ".")
    earned = estimates.ratio(
        "contribution per customer", contribution, definition="Spend × margin, net of returns, per customer.",
        confidence=confidence, unit="money",
    )  # fmt: skip
    return HistoricalValue(kind=tx.engine.kind, mean=mean, total=total, contribution=earned, _people=people)
