"""The first rows of the page: a dozen numbers, each with its interval and a plain sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Cards, Headline, Library, Said, Section
from loyalty.reporting.sections.parts import (
    ahead,
    amount,
    anchor,
    blocks,
    counted,
    days,
    know,
    level,
    noted,
    of_people,
    period,
    said,
    share,
    span,
)

if TYPE_CHECKING:
    from loyalty.estimates import Estimate
    from loyalty.reporting.document import Text
    from loyalty.reporting.numbers import Numbers

__all__ = ["PLACES", "headlines", "name_of"]

_FITTED = ("value", "new_customer")  # numbers that rest on fitted models
_MOST = 12  # cards; those of the lowest rank are left out where there are more


def headlines(numbers: Numbers) -> Section:
    """Return the section of the first numbers."""
    facts = numbers.facts
    values: dict[str, Any] = {
        "customers": counted("customers", facts.customers),
        "purchases": counted("purchases", facts.purchases),
        "first": facts.first,
        "last": facts.last,
    }
    key = "headlines.lead"
    if numbers.has("spending"):
        key, values["revenue"] = "headlines.lead_money", amount(numbers["spending"].revenue)
    return Section(
        anchor="headlines",
        title=said("headlines.title"),
        lead=Said(key, values),
        blocks=blocks(Cards(tuple(_cards(numbers)))),
    )


def _cards(numbers: Numbers) -> list[Headline]:
    """Return the cards that there is something to say on, the most important ones in their order."""
    there = [(rank, name, say(numbers, _estimate(numbers, name))) for name, (rank, say) in _CARDS.items()
             if _estimate(numbers, name) is not None]  # fmt: skip
    kept = {name for _, name, _ in sorted(there, key=lambda one: one[0])[:_MOST]}
    return [_card(name, _estimate(numbers, name), sentence) for _, name, sentence in there if name in kept]


def _card(name: str, estimate: Any, sentence: Said) -> Headline:
    finite = know(estimate.value)
    return Headline(
        name=name_of(name, estimate),
        value=amount(estimate),
        span=span(estimate),
        confidence=estimate.confidence,
        sentence=sentence if finite or math.isinf(estimate.value) else said("part.undefined"),
        term=anchor(name),
        note=_noted(name, estimate.note),
    )


def _noted(name: str, note: str) -> Text | None:
    """Return the note of a card; which parameters a fit leaves open is told where the models are."""
    if not note:
        return None
    return said("card.value.doubt") if name in _FITTED else noted(note)


def name_of(name: str, estimate: Estimate) -> Text:
    """Return what an estimate is called on the page."""
    return said(f"card.{name}.name") if name in _RENAMED else Library(estimate.name)


def _estimate(numbers: Numbers, name: str) -> Estimate | None:
    """Return the estimate of a card, or None where it is not there."""
    step, _, inner = PLACES[name].partition(".")
    if not numbers.has(step):
        return None
    found: Estimate = getattr(numbers[step], inner) if inner else numbers[step]
    return found


def _repurchase(_numbers: Numbers, found: Any) -> Said:
    return of_people("card.repurchase", found.value, part=found.numerator, whole=found.n)


def _retention(numbers: Numbers, found: Any) -> Said:
    name = numbers.asked.period
    return of_people("card.retention", found.value, in_one=period("in", name), in_next=period("next", name))


def _silent(numbers: Numbers, found: Any) -> Said:
    silence = days(numbers.asked.inactive_days)
    return of_people("card.silent", found.value, part=found.numerator, whole=found.n, days=silence)


def _revenue_retention(numbers: Numbers, found: Any) -> Said:
    name = numbers.asked.period
    if found.value < 0.0:
        return said("card.revenue_retention.negative", in_one=period("in", name), in_next=period("next", name))
    return said("card.revenue_retention", share=share(found.value), in_one=period("in", name),
                in_next=period("next", name))  # fmt: skip


def _top(numbers: Numbers, found: Any) -> Said:
    return said("card.top", top=level(numbers["pareto"].top_share), share=share(found.value))


def _vital(numbers: Numbers, found: Any) -> Said:
    return said("card.vital", share=share(found.value), most=level(numbers["pareto"].vital_share))


def _value(numbers: Numbers, found: Any) -> Said:
    return said("card.value", value=amount(found), ahead=ahead(numbers["value"].terms))


def _new_customer(numbers: Numbers, found: Any) -> Said:
    return said("card.new_customer", value=amount(found), ahead=ahead(numbers["value"].terms))


def _nps(_numbers: Numbers, found: Any) -> Said:
    if not found.denominator:
        return said("part.undefined")
    parts = {name: share(getattr(found, name) / found.denominator) for name in ("promoters", "detractors")}
    return Said("card.nps", parts)


def _upsell(_numbers: Numbers, found: Any) -> Said:
    if math.isinf(found.value):
        return said("card.upsell.all")
    if not know(found.value):
        return said("part.undefined")
    hundred = round(found.value * 100)
    return said("card.upsell", count=hundred) if hundred else said("card.upsell.few")


def _plain(key: str) -> Callable[[Numbers, Any], Said]:
    """Return what says the value in a sentence of its own."""
    return lambda _numbers, found: said(key, value=days(found.value) if found.unit == "days" else amount(found))


# Card → where its estimate is, in the order of the page.
PLACES = {
    "repurchase": "repurchase",
    "retention": "retention_rate",
    "silent": "silent",
    "revenue_retention": "revenue_retention.net",
    "median_gap": "spending.median_time_between_purchases",
    "average_order": "spending.average_order_value",
    "sales_per_customer": "spending.sales_per_customer",
    "top": "pareto.revenue_share",
    "vital": "pareto.customer_share",
    "value": "value.total",
    "new_customer": "value.new_customer",
    "nps": "nps",
    "upsell": "upsell",
    "wallet": "wallet.overall",
}
# Card → its rank, the most important one first, and what says it.
_CARDS: dict[str, tuple[int, Callable[[Numbers, Any], Said]]] = {
    "repurchase": (0, _repurchase),
    "retention": (2, _retention),
    "silent": (3, _silent),
    "revenue_retention": (10, _revenue_retention),
    "median_gap": (8, _plain("card.median_gap")),
    "average_order": (9, _plain("card.average_order")),
    "sales_per_customer": (12, _plain("card.sales_per_customer")),
    "top": (4, _top),
    "vital": (13, _vital),
    "value": (1, _value),
    "new_customer": (7, _new_customer),
    "nps": (5, _nps),
    "upsell": (11, _upsell),
    "wallet": (6, _plain("card.wallet")),
}
_RENAMED = {"value", "wallet"}  # their names say less outside their own results
