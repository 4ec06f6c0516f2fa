"""Who brings the revenue: the Pareto curve, and the same for profit where costs are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Paragraph, Picture, Quantity, Section
from loyalty.reporting.sections.parts import (
    absent,
    blocks,
    counted,
    drawing,
    know,
    level,
    money,
    notices,
    rows_of,
    said,
    share,
    table,
    warned,
)

if TYPE_CHECKING:
    from loyalty.reporting.document import Block, Said
    from loyalty.reporting.numbers import Numbers

__all__ = ["concentration"]


def concentration(numbers: Numbers) -> Section:
    """Return the section on how revenue and profit are spread over customers."""
    there = numbers.has("pareto")
    return Section(
        anchor="concentration",
        title=said("concentration.title"),
        lead=_lead(numbers["pareto"]) if there else None,
        blocks=blocks(
            _curve(numbers["pareto"]) if there else absent(numbers, "pareto"),
            warned(numbers, "pareto", "profit"),
            _curve(numbers["profit"]) if numbers.has("profit") else _no_profit(numbers),
        ),
    )


def _no_profit(numbers: Numbers) -> Iterator[Block]:
    """Yield why there is no curve of profit, unless it is what the curve of revenue lacks too."""
    if numbers.why("profit") != numbers.why("pareto"):
        yield absent(numbers, "profit")


def _values(found: Any) -> dict[str, Any]:
    return {
        "top": level(found.top_share),
        "top_customers": counted("customers", found.top_customers),
        "brings": share(found.revenue_share.value),
        "most": level(found.vital_share),
        "vital": share(found.customer_share.value),
        "vital_customers": counted("customers", found.vital_customers),
    }


def _lead(found: Any) -> Said:
    """Return the finding: both readings of the curve."""
    if found.revenue_share.n == 1:
        return said("concentration.one")
    if found.data.num_rows and found.gini.value == 0.0:
        return said("concentration.equal")
    return said("concentration.lead", **_values(found))


def _curve(found: Any) -> Iterator[Block]:
    """Yield the curve of revenue or profit, its readings and what is to be known of them."""
    of = found.value
    gini = found.gini.value
    yield Paragraph(said(f"concentration.meaning_{of}", top_threshold=money(found.top_threshold), **_values(found)))
    if know(gini):
        yield Paragraph(said("concentration.gini", gini=Quantity(gini, "ratio")))
    yield Picture(
        draw=drawing(found),
        alt=said(f"concentration.alt_{of}", **_values(found)),
        caption=said(f"concentration.caption_{of}"),
        width=6.4,
        height=5.6,
        table=table(
            said(f"concentration.table_{of}"),
            {f"{of}_share": "share", "customers": "count", "customer_share": "share", f"threshold_{of}": "money"},
            rows_of(found.concentration, "value_share", "customers", "customer_share", "threshold"),
        ),
    )
    yield from notices(*found.notes)
