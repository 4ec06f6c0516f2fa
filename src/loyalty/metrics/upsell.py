"""Upsell ratio: customers who bought more than one product type against those who bought exactly one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, estimates
from loyalty.errors import MissingData
from loyalty.grouping import measure
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.tables import Grouped
    from loyalty.transactions import Transactions

__all__ = ["upsell_ratio"]

Frame = nw.LazyFrame[Any]

_MOST_NUMBERED = 10_000  # product types that are numbered rather than compared as texts
_DEFINITION = "Customers who bought more than one product type ÷ customers who bought exactly one."


@takes_transactions
def upsell_ratio(
    tx: Transactions,
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
    method: str = "wilson",
) -> Estimate | Grouped[Estimate]:
    """Return how many customers bought more than one product type for each who bought exactly one.

    With S customers of several product types and O of one, the ratio is S/O. Its interval is that of the
    share S/(S + O), each customer counting once, mapped by p/(1 − p).

    Args:
        tx: Transactions opened with `product=`.
        by: Column whose value at the customer's first purchase makes groups; null is a group.
        cohort: "day", "week", "month", "quarter" or "year": groups by the period of the first purchase.
        confidence: Level of the interval, between 0 and 1.
        method: Interval of the share: "wilson", "adjusted_wald" or "wald".

    Returns:
        An estimate of unit "ratio" (`numerator` S, `denominator` O, `n` their sum), or one per group. It is
        infinite, with a note, where nobody bought exactly one type, and NaN, with a note, where no product is
        known.

    Raises:
        MissingData: The transactions were opened without `product=`.
        InvalidArgument: The level, method or period is not allowed.
        ColumnError: There is no column `by`.

    Nulls and ties: product types are the distinct values on the sale rows of the observed window, amounts of
    zero included. A row without a product (null or blank) tells nothing; customers with no other are left out
    and counted in `excluded`. A type that was bought and returned was still bought. Nothing depends on the
    order of rows.

    Source: Wilson (1927), JASA 22, 209-212, for the share; p/(1 − p) rises with p, so limits map to limits.

    Examples:
        >>> import pandas as pd
        >>> from loyalty import transactions
        >>> frame = pd.DataFrame({"customer_id": [1, 1, 2, 3, 3], "date": pd.Timestamp("2024-01-05"),
        ...                       "amount": 10.0, "kind": ["tea", "cup", "tea", "tea", "tea"]})
        >>> with transactions(frame, product="kind") as tx:
        ...     print(upsell_ratio(tx))
        Upsell ratio: 0.500 (95 % interval 0.066 to 3.816; 1 / 2, 3 customers).
    """
    checks.confidence_level(confidence)
    checks.choice("method", method, estimates.PROPORTION_METHODS)
    if "product" not in tx.roles:
        raise MissingData(
            "upsell_ratio counts product types, and these transactions name no product column: open them "
            "with transactions(..., product=<column of product types>)."
        )
    types = tx.kept("product_types", lambda: _product_types(tx))
    counts = [
        _count(nw.col("types") > 1, "several"),
        _count(nw.col("types") == 1, "one"),
        _count(nw.col("types") == 0, "unknown"),
    ]

    def build(rows: list[dict[str, Any]]) -> Estimate:
        return _estimate(rows[0], confidence, method)

    return measure(tx, types, counts, build, by=by, cohort=cohort)


def _product_types(tx: Transactions) -> Frame:
    """Return the product types each customer bought: columns `customer`, `types` (0: not known, 1: one, 2: several).

    Whether there are several shows in the smallest and the largest, so no pair of customer and product is counted.
    Texts of a frame in memory are kept first: aggregated straight from there they take twice as long.
    """

    def build() -> Frame:
        return tx.sale_rows().filter(~nw.col("product").is_null()).select("customer", "product")

    known = _numbered(tx, tx.kept("products", build) if tx.snapshot else build())
    ends = known.group_by("customer").agg(least=nw.col("product").min(), most=nw.col("product").max())
    several = nw.when(nw.col("least") == nw.col("most")).then(nw.lit(1)).otherwise(nw.lit(2))
    types = ends.select("customer", types=several)
    everybody = tx.customers.select("customer").join(types, on="customer", how="left")
    return everybody.with_columns(nw.col("types").fill_null(0).cast(nw.Int64))


def _numbered(tx: Transactions, known: Frame) -> Frame:
    """Return the rows with numbers for product types that are few texts: those are much quicker to compare."""
    import pyarrow as pa

    listed = known.group_by("product").agg(rows=nw.len())  # several times as quick as `unique`, a window in DuckDB
    types = tx.collect(listed.select("product").head(_MOST_NUMBERED + 1))["product"]
    if len(types) > _MOST_NUMBERED or not (pa.types.is_string(types.type) or pa.types.is_large_string(types.type)):
        return known
    numbers = tx.engine.attach(pa.table({"type": types, "number": pa.array(range(len(types)), pa.int32())}))
    both = known.join(numbers, left_on="product", right_on="type", how="inner")
    return both.select("customer", product=nw.col("number"))


def _count(condition: nw.Expr, name: str) -> nw.Expr:
    """Return the aggregate that counts rows for which a condition holds."""
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0)).sum().alias(name)


def _estimate(row: dict[str, Any], confidence: float, method: str) -> Estimate:
    """Return the ratio of counted customers."""
    several, one, unknown = (int(row[name] or 0) for name in ("several", "one", "unknown"))
    notes = [
        f"customers left out because no product is known of them: {unknown:,}" if unknown else "",
        "nobody bought exactly one product type" if several and not one else "",
    ]
    share = estimates.proportion(
        "share of customers with several product types",
        several,
        several + one,
        definition=_DEFINITION,
        confidence=confidence,
        method=method,
        note="; ".join(filter(None, notes)),
        empty="no product is known of any customer",
        excluded=unknown,
    )
    return estimates.odds(share, "upsell ratio", definition=_DEFINITION)
