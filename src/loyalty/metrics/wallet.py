"""Share of wallet: measured from customers' spend in the category, or predicted from how they rank brands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, estimates, intervals, wording
from loyalty.errors import InvalidArgument
from loyalty.grouping import grouping, measure
from loyalty.intervals import RatioMoments
from loyalty.metrics.ratios import moment_sums, moments_of
from loyalty.metrics.wallet_rows import Wallets, flag
from loyalty.tables import EstimateSet, Grouped
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loyalty.estimates import Estimate
    from loyalty.transactions import Transactions

__all__ = ["ShareOfWallet", "share_of_wallet"]

Frame = nw.LazyFrame[Any]
Row = dict[str, Any]

_BARS = 20  # of the histogram, from 0 to 1; beside them stand one below and one above
_BELOW, _ABOVE = -1, _BARS
_ROUNDING = 1e-9  # sums of money that differ by this part of themselves are equal
_OVERALL = "Own spend of all customers whose wallet is known ÷ their spend in the category (ratio of sums)."
_MEAN = "Mean of the customers' own spend ÷ spend in the category, each customer counting once."


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ShareOfWallet(EstimateSet):
    """What customers spend with us, as a share of what they spend in the category.

    Attributes:
        overall: Ratio of sums: own spend of all customers measured ÷ their category spend.
        mean: Mean of the customers' ratios. It has no numerator and denominator of its own (NaN).
        without_wallet: Buyers whom the wallet table does not know; left out.
        missing_wallet: Customers of whom a spend in the wallet table is missing (null, NaN); left out.
        zero_wallet: Customers whose category spend is zero (in a panel: or, net of returns, less); left out.
        not_in_log: Customers measured who bought nothing in the log's window.
        above_one: Shares above 1 by more than rounding (1e-9); kept as they are, never clipped.
        below_zero: Shares below 0 (more returned than bought); kept as they are.
        rows_without_id: Wallet rows without a customer id; left out (in groups: of the whole wallet table).
        distribution: Histogram of the customers' shares, a PyArrow table `low`, `high`, `customers` of 22
            rows: below 0, twenty bars of width 0.05 (`low` inside, `high` outside, 1 in the last), above 1.
        people: Makes `customers`.
        kind: The kind of frame that `to_native` returns.
    """

    overall: Estimate
    mean: Estimate
    without_wallet: int
    missing_wallet: int
    zero_wallet: int
    not_in_log: int
    above_one: int
    below_zero: int
    rows_without_id: int
    distribution: pa.Table
    people: Callable[[], Any] = field(repr=False, compare=False)

    @property
    def customers(self) -> Any:
        """The customers as a frame of the source's own kind, made when asked for.

        Columns: the customer column under the caller's name, `own_spend`, `category_spend` (money) and
        `share` (missing where the wallet is zero). A row per customer whose wallet is known, whether the log
        knows the customer or not.
        """
        return self.people()

    def counts(self) -> dict[str, int]:
        """Return the counts of customers (and of rows without an id) by name."""
        names = ("without_wallet", "missing_wallet", "zero_wallet", "not_in_log", "above_one", "below_zero",
                 "rows_without_id")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return estimates, counts and histogram as JSON-ready values."""
        bars = wording.jsonable(self.distribution.to_pylist())
        return {**EstimateSet.to_dict(self), **self.counts(), "distribution": bars}

    def plot(self, ax: Any = None) -> Any:
        """Draw the histogram of the customers' shares; returns the matplotlib Axes."""
        from loyalty import plots

        return plots.share_of_wallet(self, ax=ax)


@takes_transactions
def share_of_wallet(
    tx: Transactions,
    wallet: Any,
    *,
    customer: Any = None,
    spend: Any = None,
    seller: Any = None,
    own: Any = None,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
    method: str = "delta",
    seed: int = 0,
) -> ShareOfWallet | Grouped[ShareOfWallet]:
    """Return own spend ÷ category spend, as ratio of sums and as mean of the customers' ratios.

    `wallet` comes in one of two shapes. A **wallet table** says what each customer spends in the category, at
    every seller and ours included; own spend is then the customer's spend in the log, net of returns. That is
    the share of Du, Kamakura & Mela (2007), who divide a firm's own records by its volume plus the volume
    elsewhere. A **panel** (`seller=` given) holds purchases or totals by seller, ours included; then both
    sums come from the panel, for a diary or a survey does not measure what a till does. That is the share of
    Cooil, Keiningham, Aksoy & Hsu (2007), who follow households across all their banks. To set the log's
    spend against a panel of competitors only, add the two up and pass a wallet table.

    Args:
        tx: The transactions.
        wallet: Any table that `transactions` takes. It is read once: all numbers, and `customers` whenever they are
            asked for, are of what it held then.
        customer: Its column of customer ids, spelled as in the log; None means the log's name for them.
        spend: Its column of money; None means "category_spend", for a panel "amount". Rows of a customer are
            summed.
        seller: A panel's column of sellers; None where `wallet` is a wallet table.
        own: Our own value in the column `seller`.
        by: Column of the log whose value at the customer's first purchase makes groups; null is a group.
        cohort: "day", "week", "month", "quarter" or "year": groups by the period of the first purchase.
        confidence: Level of the intervals, between 0 and 1.
        method: "delta", or "bootstrap" (percentiles of 2000 resamples); customers are the sampling unit of
            both. The delta interval of the mean is that of any mean, s/√n.
        seed: Seed of the bootstrap.

    Returns:
        The shares, counts and histogram; one per group where `by` or `cohort` is given. Wallet customers who
        are not in the log have no first purchase: they form the group None (with the nulls of `by`), so that
        groups add up.

    Raises:
        ColumnError: Not one wallet customer is in the log, a column is missing or of a type that cannot serve, or ids
            are of a type that can never match.
        InvalidArgument: An argument is not allowed; `seller` and `own` go together, and `own` must occur.
        InvalidRows: A spend is infinite or no number, or negative in a wallet table.
        EmptyData: The wallet table has no rows.

    Nulls and zeros: a customer whose category spend is zero has no share; one with any missing spend has an
    unknown wallet (the sum of the rest would overstate the share); a buyer without a wallet row cannot be
    measured: all are left out and counted (`excluded`). Wallet customers who bought nothing count as share 0.
    Shares above 1 are kept and counted: look whether both sides cover the same window and category. In a
    panel negative rows are returns, netted within the customer, and a missing seller is someone else. Nobody
    to measure gives NaN with a note.

    Source: Du, Kamakura & Mela (2007), Journal of Marketing 71(2), 94-113; Cooil et al. (2007), Journal of
    Marketing 71(1), 67-83; standard error of a ratio of sums: Cochran (1977), Sampling Techniques, eq. 6.13.

    Examples:
        >>> import pandas as pd
        >>> from loyalty import transactions
        >>> log = pd.DataFrame({"customer_id": [1, 2, 3], "date": pd.Timestamp("2024-01-05"),
        ...                     "amount": [50.0, 30.0, 10.0]})
        >>> wallet = pd.DataFrame({"customer_id": [1, 2, 4], "category_spend": [100.0, 40.0, 60.0]})
        >>> shares = share_of_wallet(transactions(log), wallet)
        >>> shares.overall.value, round(shares.mean.value, 4), shares.without_wallet, shares.not_in_log
        (0.4, 0.4167, 1, 1)
    """
    checks.confidence_level(confidence)
    checks.choice("method", method, estimates.RATIO_METHODS)
    if (seller is None) != (own is None):
        raise InvalidArgument(
            f"seller={seller!r} and own={own!r} go together: a panel needs its column of sellers and our own "
            "name in it; a wallet table needs neither."
        )
    named = {"customer": tx.customer if customer is None else customer}
    named["spend"] = spend if spend is not None else "category_spend" if seller is None else "amount"
    if seller is not None:
        named["seller"] = seller
    wallets = Wallets(tx, wallet, named, own)
    call = _Call(tx, wallets, own, by, cohort, confidence, method, seed)
    rows = _gather(call)
    wallets.refuse_strangers(tx, [row for group in rows.values() for row in group])
    if by is None and cohort is None:
        return _result(call, rows.get(_WHOLE, []), tx.n_customers)
    buyers: Any = measure(tx, tx.customers, [nw.len().alias("n")], _size, by=by, cohort=cohort)
    # None comes last, as in every grouping, and also where only strangers to the log are in it.
    groups = [group for group in {**buyers, **rows} if group is not None] + [None] * (None in {**buyers, **rows})
    results = {group: _result(call, rows.get(group, []), buyers.get(group, 0), group) for group in groups}
    return Grouped(by=buyers.by, results=results, kind=buyers.kind)


def _size(rows: list[Row]) -> int:
    """Return the number of customers in a group."""
    return int(rows[0]["n"])


_WHOLE = object()  # stands for all customers, where None is a group


@dataclass(frozen=True, slots=True)
class _Call:
    """What was asked for.

    Attributes:
        tx: The transactions.
        wallets: What was read of the wallet.
        own: Our own value among the sellers of a panel; None for a wallet table.
        by: As in `share_of_wallet`, like all that follow.
        cohort: As there.
        confidence: As there.
        method: As there.
        seed: As there.
    """

    tx: Transactions
    wallets: Wallets
    own: Any
    by: Any
    cohort: str | None
    confidence: float
    method: str
    seed: int


def _gather(call: _Call) -> dict[Any, list[Row]]:
    """Return sums over the wallet customers of each bar and standing, by group.

    For the bootstrap customers of equal spend are counted instead. The group of all is `_WHOLE`; those whom the
    log does not know are in the group None.
    """
    frame, groups = _shares(call), grouping(call.tx, call.by, call.cohort)
    squares = (nw.col("share") * nw.col("share")).sum().alias("squares")
    keys, sums = ["in_log", "known", "bar"], [*moment_sums("own", "category"), nw.col("share").sum(), squares]
    if call.method == "bootstrap":
        keys, sums = [*keys, "own", "category", "share"], [nw.len().alias("n")]
    if groups is not None:
        frame, keys = frame.join(groups.members, on="customer", how="left"), ["group", *keys]
    found: dict[Any, list[Row]] = {}
    for row in call.tx.collect(frame.group_by(*keys).agg(*sums)).to_pylist():
        group = _WHOLE
        if groups is not None:
            group = None if row["group"] is None else groups.label(row["group"])
        found.setdefault(group, []).append(row)
    return found


def _shares(call: _Call) -> Frame:
    """Return the wallet customers with `own`, `category`, `share` (null: none), `bar`, `known` and `in_log`.

    The bar is the histogram's; the last two are 1 or 0, `known` saying that no spend of the customer is missing.
    """
    buyers = call.tx.customers.select("customer", nw.col("spend").cast(nw.Float64))
    frame = call.wallets.by_customer().join(buyers, on="customer", how="left")
    nothing = nw.col("category") <= _ROUNDING * nw.col("gross")
    base = nw.when(nothing).then(nw.lit(1.0)).otherwise(nw.col("category"))
    own = nw.col("spend").fill_null(0.0) if call.own is None else nw.col("own")
    frame = frame.select(
        "customer",
        "category",
        own=own,
        share=nw.when(~nothing).then(own / base),
        known=flag(nw.col("gaps") == 0),
        in_log=flag(~nw.col("spend").is_null()),
    )
    share = nw.col("share")
    bar = (share * _BARS + 2 * _BARS * _ROUNDING).floor()
    bar = nw.when(share >= 1.0 - _ROUNDING).then(nw.lit(_BARS - 1.0)).otherwise(bar)
    bar = nw.when(share > 1.0 + _ROUNDING).then(nw.lit(float(_ABOVE))).otherwise(bar)
    bar = nw.when(share < -_ROUNDING).then(nw.lit(float(_BELOW))).otherwise(bar)
    return frame.with_columns(bar=bar.cast(nw.Int64))


def _result(call: _Call, rows: Sequence[Row], buyers: int, group: Any = _WHOLE) -> ShareOfWallet:
    """Return the result for all customers or for a group of them, of whom so many are buyers in the log."""
    counts, bars = _counted(call, rows, buyers)
    measured = [row for row in rows if row["known"] and row["bar"] is not None]
    parts = _resampled(measured, call) if call.method == "bootstrap" else _added(measured)
    shared: dict[str, Any] = {
        "confidence": call.confidence,
        "method": call.method,
        "unit": "share",
        "empty": "no customer's spend in the category is known and above zero",
        "excluded": counts["without_wallet"] + counts["missing_wallet"] + counts["zero_wallet"],
    }
    notes = (_note(call, counts, group), "customers as for the share of wallet")
    named = (("share of wallet", _OVERALL), ("mean share of wallet", _MEAN))
    overall, mean = (
        estimates.ratio(name, moments, definition=definition, interval=limits, note=note, **shared)
        for (name, definition), note, (moments, limits) in zip(named, notes, parts, strict=True)
    )
    return ShareOfWallet(
        kind=call.tx.engine.kind,
        overall=overall,
        mean=replace(mean, numerator=math.nan, denominator=math.nan),
        distribution=_histogram(bars),
        people=lambda: _people(call, group),
        **counts,
    )


def _counted(call: _Call, rows: Sequence[Row], buyers: int) -> tuple[dict[str, int], NDArray[np.int64]]:
    """Return the counts by name, and the customers in each bar of the histogram."""
    bars = np.zeros(_ABOVE - _BELOW + 1, np.int64)
    counts = {"missing_wallet": 0, "zero_wallet": 0, "not_in_log": 0, "without_wallet": buyers}
    for row in rows:
        counts["without_wallet"] -= row["n"] if row["in_log"] else 0
        if not row["known"]:
            counts["missing_wallet"] += row["n"]
        elif row["bar"] is None:
            counts["zero_wallet"] += row["n"]
        else:
            bars[row["bar"] - _BELOW] += row["n"]
            counts["not_in_log"] += 0 if row["in_log"] else row["n"]
    counts |= {"below_zero": int(bars[0]), "above_one": int(bars[-1]), "rows_without_id": call.wallets.without_id}
    return counts, bars


Part = tuple[RatioMoments, tuple[float, float] | None]


def _added(rows: Sequence[Row]) -> list[Part]:
    """Return the moments of the ratio of sums and of the mean; their delta intervals follow from them."""
    parts = [moments_of(row) for row in rows]
    sums = [math.fsum(getattr(part, name) for part in parts) for name in ("y", "x", "yy", "xy", "xx")]
    n = sum(part.n for part in parts)
    total, squares = (math.fsum(row[name] for row in rows) for name in ("share", "squares"))
    return [(RatioMoments(n, *sums), None), (RatioMoments(n, total, n, squares, total, n), None)]


def _resampled(rows: Sequence[Row], call: _Call) -> list[Part]:
    """Return the same from counts of equal customers, with bootstrap intervals."""
    names = ("own", "category", "share")
    own, category, share = (np.array([row[name] for row in rows], float) for name in names)
    counts = np.array([row["n"] for row in rows], np.int64)
    resampled: list[Part] = []
    for y, x in ((own, category), (share, np.ones(len(share)))):
        sums = (float(values @ counts) for values in (y, x, y * y, x * y, x * x))
        limits = intervals.bootstrap_ratio(y, x, counts, confidence=call.confidence, seed=call.seed)
        resampled.append((RatioMoments(int(counts.sum()), *sums), limits))
    return resampled


def _histogram(bars: NDArray[np.int64]) -> pa.Table:
    """Return the histogram's edges and counts: below 0, the bars, above 1."""
    import pyarrow as pa

    edges = [-math.inf, *(place / _BARS for place in range(_BARS + 1)), math.inf]
    return pa.table({"low": edges[:-1], "high": edges[1:], "customers": pa.array(bars, pa.int64())})


def _note(call: _Call, counts: dict[str, int], group: Any) -> str:
    """Return what a reader must know about the shares."""
    tx, strangers = call.tx, counts["not_in_log"]
    left_out = {
        "buyers without a wallet": "without_wallet",
        "customers of unknown wallet": "missing_wallet",
        "customers whose wallet is zero": "zero_wallet",
        "wallet rows without a customer id": "rows_without_id",
    }
    told = [f"{words} {counts[name]:,}" for words, name in left_out.items() if counts[name]]
    if call.own is None:
        parts = [f"the wallets must cover {tx.observed_from} to {tx.observed_until}, as own spend does"]
        apart, cause = "not in the log, so their share is 0", "is the same window and category measured?"
    else:
        parts = [f"own spend is what the panel shows for {call.own!r}"]
        apart, cause = "in the panel but not in the log", "more returned than bought elsewhere"
    if told:
        parts.append(f"left out: {', '.join(told)}")
    if strangers:
        parts.append(f"{apart}: {strangers:,}")
    if group is None and strangers:
        parts.append("having no first purchase they are in this group")
    if counts["above_one"]:
        parts.append(f"shares above 1, kept ({cause}): {counts['above_one']:,}")
    if counts["below_zero"]:
        parts.append(f"shares below 0, kept (more returned than bought): {counts['below_zero']:,}")
    return "; ".join(parts)


def _people(call: _Call, group: Any) -> Any:
    """Return the customers whose wallet is known, in the source's own kind."""
    frame = _shares(call).filter(nw.col("known") == 1)
    groups = None if group is _WHOLE else grouping(call.tx, call.by, call.cohort)
    if groups is not None:
        own_group = nw.col("group").is_null()
        if group is not None:
            found = call.tx.collect(groups.members.select("group").unique(["group"]))["group"].to_pylist()
            inner = next(value for value in found if value is not None and groups.label(value) == group)
            own_group = nw.col("group") == nw.lit(inner)
        frame = frame.join(groups.members, on="customer", how="left").filter(own_group)
    people = frame.select("customer", own_spend="own", category_spend="category", share="share")
    return call.tx.hand_back(people)
