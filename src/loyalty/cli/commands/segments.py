"""`loyalty segments`: who belongs to which segment, and who to the few that bring most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from loyalty.cli.options import Level, RowsOutput, Source
from loyalty.cli.output import STANDARD_OUTPUT, rows_place, write_json, write_rows
from loyalty.cli.source import opened
from loyalty.cli.terminal import Terminal
from loyalty.errors import EmptyData

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.segments.pareto import Pareto
    from loyalty.segments.rfm import RFM

__all__ = ["segments"]

_FLAGS = ("is_top", "is_vital")


def segments(
    terminal: Terminal,
    source: Source,
    output: RowsOutput,
    json: Annotated[bool, typer.Option("--json", help="Write the summary as JSON.")] = False,
    bins: Annotated[int, typer.Option(min=2, max=100, metavar="NUMBER", help="Scores from 1 to this.")] = 5,
    top: Annotated[
        float, typer.Option(min=0.0001, max=1.0, metavar="SHARE", help="Share of customers that is_top flags.")
    ] = 0.30,
    vital: Annotated[
        float, typer.Option(min=0.0001, max=1.0, metavar="SHARE", help="Share of revenue of those is_vital flags.")
    ] = 0.70,
    confidence: Level = 0.95,
) -> None:
    """Sort customers into RFM segments, and flag the few who bring most revenue.

    The summary is shown; -o writes a row per customer: days since the last purchase, number of purchases, spend, their
    scores r, f and m, the segment, is_top and is_vital.
    """
    from loyalty.segments.rfm import rfm

    place = rows_place(output, source.source, json=json)
    with opened(source, terminal) as tx:
        with terminal.progress() as progress:
            progress.step("scoring customers")
            scored: Any = rfm(tx, bins)
            shares = _pareto(tx, top, vital, confidence, terminal)
        if place is not None:
            count = write_rows(place, scored.customers, lambda batch: _flagged(batch, shares))
            terminal.note(place.told(count))
    if place is None or place.path != STANDARD_OUTPUT:
        _show(scored, shares, json=json)


def _pareto(tx: Any, top: float, vital: float, confidence: float, terminal: Terminal) -> Pareto | None:
    """Return the concentration of revenue; None with a note where there is no revenue to share."""
    from loyalty.segments.pareto import pareto

    try:
        return pareto(tx, top, vital, confidence=confidence)  # type: ignore[return-value]
    except EmptyData as error:
        terminal.note(f"note: nobody is flagged, for {error}")
        return None


def _flagged(batch: pa.RecordBatch, shares: Pareto | None) -> pa.RecordBatch:
    """Return rows of customers with the flags; a customer column that bears their name makes room."""
    import pyarrow as pa

    names = ["customer_id" if name in _FLAGS else name for name in batch.schema.names]
    if shares is None:
        flags = [pa.nulls(batch.num_rows, pa.bool_()) for _ in _FLAGS]
    else:
        found = shares.flag(batch.column("monetary").to_numpy(zero_copy_only=False))
        flags = [pa.array(getattr(found, name)) for name in _FLAGS]
    return pa.RecordBatch.from_arrays([*batch.columns, *flags], names=[*names, *_FLAGS])


def _show(scored: RFM, shares: Pareto | None, *, json: bool) -> None:
    """Show the summary."""
    from loyalty.cli.showing import show

    if json:
        write_json({"rfm": scored.to_dict(), "pareto": None if shares is None else shares.to_dict()})
        return
    header = ("segment", "customers", "share", "revenue", "of revenue", "days silent", "purchases", "spend")
    columns = ("customers", "share", "revenue", "revenue_share", "mean_days_since_last_purchase", "mean_frequency",
               "mean_spend")  # fmt: skip
    units = {**scored.segments.units, "customers": "count", "mean_days_since_last_purchase": "", "revenue": "count"}
    rows = [(row["segment"], *(_short(row[name], units.get(name, "")) for name in columns)) for row in scored.segments]
    show((header, rows), *([] if shares is None else [f"\n{shares}"]))


def _short(value: Any, unit: str) -> str:
    """Return a number in few letters; nothing where nobody has it."""
    from loyalty import wording

    if wording.missing(value):
        return ""
    if unit == "count":
        return f"{value:,.0f}"
    return wording.quantity(value, unit) if unit == "share" else f"{value:,.1f}"
