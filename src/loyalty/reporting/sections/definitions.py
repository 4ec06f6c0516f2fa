"""Every number of the page with its definition, its formula and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.estimates import Estimate
from loyalty.reporting.document import Library, Quantity, Term
from loyalty.reporting.sections.headlines import PLACES, name_of
from loyalty.reporting.sections.parts import anchor, counted, know, said
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.reporting.document import Said
    from loyalty.reporting.numbers import Numbers

__all__ = ["definitions"]

# Term → where its estimate or table is. The first are those of the cards.
_PLACES = {
    **PLACES,
    "churn": "churn_rate",
    "gross_revenue_retention": "revenue_retention.gross",
    "mean_gap": "spending.mean_time_between_purchases",
    "purchase_frequency": "spending.purchase_frequency",
    "revenue": "spending.revenue",
    "purchases": "spending.purchases",
    "discount": "spending.discount_rate",
    "mean_tenure": "tenure.mean",
    "median_tenure": "tenure.median",
    "median_survival": "tenure.survival_median",
    "gini": "pareto.gini",
    "profit_top": "profit.revenue_share",
    "profit_vital": "profit.customer_share",
    "historical_value": "historical_value.mean",
    "value_predictive": "value.total_predictive",
    "value_mean": "value.mean",
    "break_even": "value.break_even_cost",
    "mean_wallet": "wallet.mean",
    "cohorts": "cohorts",
    "segments": "rfm.segments",
    "gaps": "gaps",
    "spend_distribution": "spend_distribution",
    "survival": "tenure.survival",
    "value_by_segment": "value_by_segment",
    "alive": "alive_by_recency",
    "value_concentration": "value_concentration",
    "purchase_counts": "purchase_counts",
    "tracking": "backtest.tracking",
}
_OF_MODEL = {"value", "new_customer", "value_predictive", "value_mean", "break_even"}
_METHODS = {
    "wilson": "wilson",
    "delta": "delta",
    "linearised": "linearised",
    "woodruff": "woodruff",
    "order statistics": "ranks",
    "Brookmeyer-Crowley": "survival",
    "adjusted_wald": "adjusted_wald",
    "bootstrap": "bootstrap",
    "wald": "wald",
}


_OF_CUSTOMERS = ("p_alive", "expected_spend", "customer_value", "value_at_risk")  # columns of tables of customers


def definitions(numbers: Numbers) -> tuple[Term, ...]:
    """Return the definition of every number that is there."""
    own = _OF_CUSTOMERS if numbers.has("value") else ()
    written = (Term(anchor=anchor(name), name=said(f"term.{name}"), definition=said(f"term.{name}.is")) for name in own)
    return (*_terms(numbers), *written)


def _terms(numbers: Numbers) -> Iterator[Term]:
    for name, place in _PLACES.items():
        step, _, inner = place.partition(".")
        if not numbers.has(step):
            continue
        found: Any = getattr(numbers[step], inner) if inner else numbers[step]
        if found is None or not found.definition:
            continue
        yield Term(
            anchor=anchor(name),
            name=_name(name, found),
            definition=Library(found.definition),
            detail=_detail(name, found) if isinstance(found, Estimate) else None,
        )


def _name(name: str, found: Any) -> Any:
    """Return what is defined."""
    if isinstance(found, Estimate):
        return name_of(name, found)
    return Library(found.name) if isinstance(found, Table) else said(f"term.{name}")


def _detail(name: str, found: Estimate) -> Said:
    """Return how an estimate was computed: its fraction, what its interval rests on, and how many were counted."""
    method = said("method.model" if name in _OF_MODEL else f"method.{_METHODS.get(found.method, 'other')}")
    people = counted(found.counted if found.counted == "respondents" else "customers", found.n)
    values = {"method": method, "people": people}
    whole = found.denominator
    if know(found.numerator, whole) and whole != 1:
        return said("definition.fraction", above=Quantity(found.numerator), below=Quantity(whole), **values)
    return said("definition.detail", **values)
