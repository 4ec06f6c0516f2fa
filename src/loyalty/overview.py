"""Every headline number in one call: as a page of sentences, a table and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loyalty import tables, wording
from loyalty.errors import EmptyData
from loyalty.metrics.repurchase import repurchase_rate
from loyalty.metrics.retention import churn_rate, retention_rate
from loyalty.metrics.revenue import revenue_retention
from loyalty.metrics.spending import spending
from loyalty.metrics.tenure import tenure
from loyalty.metrics.upsell import upsell_ratio
from loyalty.metrics.value import historical_value
from loyalty.metrics.wallet import ShareOfWallet, share_of_wallet
from loyalty.segments.pareto import pareto
from loyalty.surveys.answers import is_table
from loyalty.surveys.nps import NPS, nps
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.periods import PeriodName
    from loyalty.transactions import Transactions

__all__ = ["Overview", "overview"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Overview:
    """The headline numbers of a log.

    Attributes:
        transactions: What was read and what was left out, in a sentence.
        estimates: Name to estimate, in reading order.
        missing: Name of each number that could not be computed, to what it lacks.
        kind: The kind of frame that `to_native` returns.
    """

    transactions: str
    estimates: Mapping[str, Estimate]
    missing: Mapping[str, str]
    kind: str
    _counts: Mapping[str, Any] = field(repr=False)

    def __getitem__(self, name: str) -> Estimate:
        """Return an estimate by its name.

        Raises:
            InvalidArgument: There is none of that name (also a KeyError).
        """
        if name not in self.estimates:
            why = f" ({self.missing[name]})" if name in self.missing else ""
            raise tables.UnknownName(f"there is no estimate {name!r}{why}: there are {', '.join(self.estimates)}.")
        return self.estimates[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the estimates."""
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)

    def __contains__(self, name: object) -> bool:
        return name in self.estimates

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [self.transactions, *map(str, self.estimates.values())]
        lines += [
            f"{name[:1].upper()}{name[1:].replace('_', ' ')}: not computed; {why}."
            for name, why in self.missing.items()
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return counts, estimates and what is missing as JSON-ready values."""
        return {
            "transactions": dict(self._counts),
            "estimates": {name: estimate.to_dict() for name, estimate in self.estimates.items()},
            "missing": dict(self.missing),
        }

    def to_native(self) -> Any:
        """Return a frame with a row per estimate, of the caller's kind."""
        return tables.native(tables.estimate_rows("estimate", self.estimates), self.kind)

    def _repr_html_(self) -> str:
        missing = wording.html_table(("not computed", "why"), list(self.missing.items())) if self.missing else ""
        return tables.estimates_html("", list(self.estimates.values()), caption=self.transactions) + missing

    def plot(self, ax: Any = None) -> Any:
        """Draw the shares with their intervals; returns the matplotlib Axes."""
        from loyalty import plots

        return plots.estimates([item for item in self.estimates.values() if item.unit == "share"], ax=ax)


@takes_transactions
def overview(
    tx: Transactions,
    surveys: Any = None,
    wallet: Any = None,
    *,
    score: Any = None,
    period: PeriodName = "month",
    inactive_after: str = "180d",
    margin: float | str | None = None,
    confidence: float = 0.95,
) -> Overview:
    """Return every headline number of a log.

    Args:
        tx: The transactions.
        surveys: Answers to "would you recommend us" from 0 to 10, for NPS: anything that `nps` takes, or its result.
        wallet: Category spend per customer, for share of wallet: a table with the customer column's name and
            "category_spend", or the result of `share_of_wallet` where it needs other arguments.
        score: Column of the scores where `surveys` is a table; "score" if None.
        period: Period of retention, churn and revenue retention.
        inactive_after: Silence that counts as churn, and as the end of a relationship.
        margin: As in `historical_value`.
        confidence: Level of all intervals.

    Returns:
        The estimates by name, and for each number that lacks its data what would be needed. Of revenue the Pareto
        readings are 30 % of customers and 70 % of revenue, of profit 30 % and 80 %.

    Raises:
        InvalidArgument: `tx` is no transactions, or an argument is not allowed.
        LoyaltyError: The surveys or the wallet table cannot be used, as in `nps` and `share_of_wallet`.

    Examples:
        >>> import loyalty as ly
        >>> numbers = ly.overview(ly.transactions(ly.datasets.cdnow()))
        >>> print(numbers["repurchase_rate"])
        Repurchase rate: 48.9 % (95 % interval 48.2 % to 49.5 %; 11,516 of 23,570 customers).
        >>> numbers.missing["net_promoter_score"]
        'pass surveys=<scores from 0 to 10>'
    """
    found: dict[str, Any] = {
        "repurchase_rate": repurchase_rate(tx, confidence=confidence),
        "retention_rate": retention_rate(tx, period, confidence=confidence),
        "churn_rate": churn_rate(tx, period, confidence=confidence),
        "inactivity_churn_rate": churn_rate(tx, inactive_after=inactive_after, confidence=confidence),
    }
    missing: dict[str, str] = {}
    revenue: Any = revenue_retention(tx, period, confidence=confidence)
    found |= {"net_revenue_retention": revenue.net, "gross_revenue_retention": revenue.gross}
    stay: Any = tenure(tx, inactive_after=inactive_after, confidence=confidence)
    found |= {"mean_tenure": stay.mean, "median_tenure": stay.median, "median_survival_time": stay.survival_median}
    spent: Any = spending(tx, confidence=confidence)
    found |= spent.estimates()
    worth: Any = historical_value(tx, margin, confidence=confidence)
    found["historical_value"] = worth.mean
    _add_pareto(tx, found, missing, confidence)
    _add_optional(tx, surveys, wallet, score, found, missing, confidence)
    return Overview(transactions=str(tx), estimates=found, missing=missing, kind=tx.engine.kind, _counts=tx.to_dict())


def _add_pareto(tx: Transactions, found: dict[str, Any], missing: dict[str, str], confidence: float) -> None:
    """Add the concentration of revenue and, where costs are known, of profit."""
    for value, share in (("revenue", 70), ("profit", 80)):
        if value == "profit" and "cost" not in tx.roles:
            missing["top_30_percent_profit_share"] = "name cost=<column> in transactions()"
            continue
        try:
            result: Any = pareto(tx, revenue=share / 100, value=value, confidence=confidence)
        except EmptyData as err:  # a total of zero or less has no shares: that is said, not raised
            missing[f"top_30_percent_{value}_share"] = str(err).rstrip(".")
            continue
        found[f"top_30_percent_{value}_share"] = result.revenue_share
        found[f"customers_bringing_{share}_percent_of_{value}"] = result.customer_share
        found[f"gini_of_{value}"] = result.gini


def _add_optional(
    tx: Transactions,
    surveys: Any,
    wallet: Any,
    score: Any,
    found: dict[str, Any],
    missing: dict[str, str],
    confidence: float,
) -> None:
    """Add the numbers that need data beside customer, date and amount."""
    if "product" in tx.roles:
        found["upsell_ratio"] = upsell_ratio(tx, confidence=confidence)
    else:
        missing["upsell_ratio"] = "name product=<column> in transactions()"
    if wallet is None:
        missing["share_of_wallet"] = "pass wallet=<table of category spend per customer>"
    else:
        share: Any = wallet
        if not isinstance(wallet, ShareOfWallet):
            share = share_of_wallet(tx, wallet, confidence=confidence)
        found |= {"share_of_wallet": share.overall, "mean_share_of_wallet": share.mean}
    if isinstance(surveys, NPS):
        found["net_promoter_score"] = surveys
    elif surveys is None:
        missing["net_promoter_score"] = "pass surveys=<scores from 0 to 10>"
    else:
        column = "score" if score is None and is_table(surveys) else score
        found["net_promoter_score"] = nps(surveys, column, confidence=confidence)
