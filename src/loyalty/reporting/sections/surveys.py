"""What customers say: the net promoter score, where answers were given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Absent, Paragraph, Picture, Section
from loyalty.reporting.sections.parts import (
    absent,
    amount,
    blocks,
    counted,
    drawing,
    know,
    level,
    noted,
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

__all__ = ["surveys"]

_PARTS = ("promoters", "passives", "detractors")


def surveys(numbers: Numbers) -> Section:
    """Return the section on answers of customers."""
    there = numbers.has("nps")
    return Section(
        anchor="surveys",
        title=said("surveys.title"),
        lead=_lead(numbers["nps"]) if there else None,
        blocks=blocks(_score(numbers["nps"]) if there else absent(numbers, "nps"), warned(numbers, "nps")),
    )


def _lead(found: Any) -> Said | None:
    if not know(found.value):
        return None
    return said("surveys.lead", score=amount(found), people=counted("respondents", found.n))


def _score(found: Any) -> Iterator[Block]:
    """Yield the score and its three parts."""
    if not know(found.value):
        yield Absent(noted(found.note))
        return
    yield Paragraph(said("surveys.reading"))
    if know(found.low):
        yield Paragraph(said("surveys.interval", span=span(found), level=level(found.confidence)))
    parts = {name: getattr(found, name) for name in _PARTS}
    shares = {name: share(part / found.denominator) for name, part in parts.items()}
    yield Picture(
        draw=drawing(found),
        alt=said("surveys.alt", score=amount(found), **shares),
        caption=said("surveys.caption"),
        width=7.2,
        height=2.3,
        table=table(
            said("surveys.table"),
            {"answers": "text", "respondents": "count", "share": "share"},
            [(said(f"surveys.{name}"), part, part / found.denominator) for name, part in parts.items()],
        ),
    )
    yield from notices(found.note)
