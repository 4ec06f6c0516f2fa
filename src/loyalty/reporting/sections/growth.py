"""Room to grow: how much of customers' spend stays here, and who buys more than one kind of product."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Paragraph, Picture, Section
from loyalty.reporting.sections.parts import (
    absent,
    amount,
    blocks,
    counted,
    drawing,
    know,
    level,
    notices,
    said,
    share,
    span,
    table,
    warned,
)

if TYPE_CHECKING:
    from loyalty.reporting.document import Block, Said
    from loyalty.reporting.numbers import Numbers

__all__ = ["growth"]

_COUNTS = ("without_wallet", "missing_wallet", "zero_wallet", "not_in_log", "above_one", "below_zero")


def growth(numbers: Numbers) -> Section:
    """Return the section on share of wallet and on selling more kinds of products."""
    return Section(
        anchor="growth",
        title=said("growth.title"),
        lead=_lead(numbers),
        blocks=blocks(
            _wallet(numbers["wallet"]) if numbers.has("wallet") else absent(numbers, "wallet"),
            _upsell(numbers["upsell"]) if numbers.has("upsell") else absent(numbers, "upsell"),
            warned(numbers, "wallet", "upsell"),
        ),
    )


def _lead(numbers: Numbers) -> Said | None:
    if numbers.has("wallet") and know(numbers["wallet"].overall.value):
        return said("card.wallet", value=amount(numbers["wallet"].overall))
    if numbers.has("upsell") and know(numbers["upsell"].value):
        return said("growth.lead_upsell", count=round(numbers["upsell"].value * 100))
    return None


def _wallet(found: Any) -> Iterator[Block]:
    """Yield the shares of wallet, and who could not be measured."""
    overall, mean = found.overall, found.mean
    if not know(overall.value):
        yield from notices(overall.note)
    elif know(overall.low):
        yield Paragraph(said("growth.wallet", overall=amount(overall), span=span(overall), mean=amount(mean),
                             level=level(overall.confidence), customers=counted("customers", overall.n)))  # fmt: skip
    rows = found.distribution.to_pylist()
    if people := sum(row["customers"] for row in rows):
        above = sum(row["customers"] for row in rows if row["low"] is not None and row["low"] >= 0.5)
        yield Picture(
            draw=drawing(found),
            alt=said("growth.wallet_alt", overall=share(overall.value), above=share(above / people)),
            caption=said("growth.wallet_caption"),
            table=table(
                said("growth.wallet_table"),
                {"from_share": "share", "to_share": "share", "customers": "count"},
                [(_end(row["low"]), _end(row["high"]), row["customers"]) for row in rows],
            ),
        )
    told = [(said(f"growth.{name}"), getattr(found, name)) for name in _COUNTS if getattr(found, name)]
    if told:
        yield table(said("growth.counts"), {"what": "text", "customers": "count"}, told)
    if know(overall.value):
        yield from notices(overall.note)


def _end(value: float | None) -> float | None:
    """Return the end of a bar; the outermost bars have one only."""
    return None if value is None or not math.isfinite(value) else value


def _upsell(found: Any) -> Iterator[Block]:
    """Yield how many customers buy several kinds of products."""
    if know(found.value):
        yield Paragraph(said("growth.upsell", several=counted("customers", found.numerator),
                             one=counted("customers", found.denominator), ratio=amount(found)))  # fmt: skip
    yield from notices(found.note)
