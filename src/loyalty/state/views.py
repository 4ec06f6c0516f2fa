"""What a state shows: customers of the window, the summary that models are fitted on, and how much there is of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import narwhals.stable.v2 as nw

from loyalty import checks, periods, wording
from loyalty.clv.summaries.acquired import Acquired
from loyalty.clv.summaries.summary import UNITS, CustomerSummary, histories_of
from loyalty.errors import EmptyData
from loyalty.exclusions import exclusions_table, in_words, jsonable, page_rows

if TYPE_CHECKING:
    import datetime as dt

    from loyalty.engines.stored import Stored
    from loyalty.state.merging import Content
    from loyalty.state.settings import Settings
    from loyalty.tables import Table

__all__ = ["View", "customers_of", "exclusions_of", "headline", "page", "sentence", "summary_of"]

Frame = nw.LazyFrame[Any]


def customers_of(people: Frame, settings: Settings) -> Frame:
    """Return the customers who bought in the window, with the columns of `Transactions.customers`."""
    before = nw.when(nw.col("first_day") < settings.first).then(nw.lit(1)).otherwise(nw.lit(0))
    spent = nw.when(nw.col("first_day") < settings.first).then(nw.lit(0.0)).otherwise(nw.col("first_spend"))
    return people.filter(nw.col("purchases") > 0).select(
        *("customer", "first_day", "first_inside", "last_day", "purchases", "spend", *settings.further),
        first_spend=spent,
        acquired_before=before.cast(nw.Int64),
    )


@dataclass(frozen=True, slots=True)
class _Log:
    """What summaries ask of a log."""

    rules: Content
    window: periods.Window
    observed_from: dt.date
    observed_until: dt.date

    def data_window(self) -> periods.Window:
        """Return the window in which first purchases are known."""
        return periods.Window(min(self.rules.data_from, self.window.first), self.window.last)


class View:
    """A table of customers in the engine, kept as long as somebody refers to it."""

    def __init__(self, engine: Stored, table: str) -> None:
        self.engine, self.table = engine, table

    def frame(self) -> Frame:
        """Return the customers on the calling thread."""
        return self.engine.table(self.table)


def summary_of(
    engine: Stored, settings: Settings, content: Content, unit: str, acquired_from: Any, acquired_until: Any
) -> tuple[CustomerSummary, View]:
    """Return the summary of all customers that a state knows, and what holds its rows."""
    checks.choice("unit", unit, tuple(UNITS))
    window = periods.Window(settings.first, content.until)
    log = _Log(content, window, periods.to_date(window.first), periods.to_date(window.last))
    who = Acquired.of(cast("Any", log), None, acquired_from, acquired_until)
    everything = {name: nw.col(name) + nw.col(f"{name}_before") for name in ("purchases", "spend")}
    people = content.people.view(engine).with_columns(**everything)
    view = View(engine, engine.keep(histories_of(people, who), "view"))
    summary = CustomerSummary(
        engine=engine,
        customer=settings.columns["customer"],
        unit=unit,
        scale=UNITS[unit],
        rows=view.frame,
        has_spend=True,
        weighted=False,
        until=periods.to_date(who.last),
        notes=who.notes(),
    )
    if not len(summary.cells):
        raise EmptyData(f"no customer was acquired from {who}: widen the span.")
    return summary, view


def exclusions_of(content: Content, kind: str) -> Table:
    """Return the rows left out so far, by reason, as a table of some kind."""
    total = sum(rows for rows, _ in content.exclusions.values())
    return exclusions_table(
        content.exclusions,
        kind,
        sentence=f"{total:,} of {content.rows_in:,} rows left out.",
        definition="Rows of all batches that are in no purchase of the observed window, by reason.",
    )


def headline(content: Content, settings: Settings) -> dict[str, Any]:
    """Return the headline counts as JSON-ready values."""
    days = {
        "observed_from": settings.first,
        "observed_until": content.until,
        "open_from": settings.horizon(content.until),
    }
    return {
        **{name: wording.jsonable(value) for name, value in content.totals.items()},
        **{name: wording.jsonable(periods.to_date(day)) for name, day in days.items()},
        "batches": len(content.batches),
        "rows_in": content.rows_in,
        "rows_used": content.rows_in - sum(rows for rows, _ in content.exclusions.values()),
        "exclusions": jsonable(content.exclusions),
    }


def sentence(content: Content, settings: Settings) -> str:
    """Return the headline counts in words."""
    told = headline(content, settings)
    left_out = f" (left out: {in_words(content.exclusions)})" if content.exclusions else ""
    return (
        f"{wording.counted(told['customers'], 'customers')} with {wording.counted(told['purchases'], 'purchases')} "
        f"and a spend of {wording.plain(told['spend'])}, {told['observed_from']} to {told['observed_until']}; "
        f"{wording.counted(told['batches'], 'batches', 'batch')} merged, {told['rows_used']:,} of "
        f"{told['rows_in']:,} rows used{left_out}."
    )


def page(content: Content, settings: Settings) -> str:
    """Return the headline counts as HTML."""
    return wording.html_table(("customer state", ""), page_rows(headline(content, settings)))
