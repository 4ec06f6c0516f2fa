"""A delivery is looked at (known already, too late, unusable), then merged, or refused as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import periods, wording
from loyalty.errors import InvalidArgument, InvalidRows
from loyalty.state import batches
from loyalty.state.beginning import census_of, permanent, usable
from loyalty.state.merging import Content, combined, taken_in

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from loyalty.engines.stored import Stored
    from loyalty.state.settings import Settings

__all__ = ["TOO_LATE", "Merged", "merged", "moved_on"]

Frame = nw.LazyFrame[Any]
TOO_LATE = "too_late"
_LEAP = 366  # days that the clock may be moved at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge did.

    Attributes:
        batch: The batch's id.
        repeated: Whether it had been merged before, so that nothing was done.
        rows: Rows in the batch.
        too_late: Rows that were left out because their day is closed.
        new_customers: Customers who had not bought before.
        observed_until: Last day observed, now.
    """

    batch: str
    repeated: bool
    rows: int
    too_late: int
    new_customers: int
    observed_until: dt.date

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        return {name: wording.jsonable(getattr(self, name)) for name in self.__slots__}

    def __str__(self) -> str:
        if self.repeated:
            return f"batch {self.batch!r} had been merged before: nothing was changed."
        late = f", {self.too_late:,} too late" if self.too_late else ""
        return (
            f"batch {self.batch!r}: {wording.counted(self.rows, 'rows')}{late}, "
            f"{wording.counted(self.new_customers, 'new customers')}; observed until {self.observed_until}."
        )


def merged(
    engine: Stored,
    settings: Settings,
    before: Content,
    delivered: batches.Batch,
    batch: str,
    *,
    until: int | None,
    late: str,
    invalid: str,
) -> tuple[Content, Merged]:
    """Return the content after a delivery, and what was done.

    Args:
        engine: Where the state is kept.
        settings: Its rules.
        before: What it held.
        delivered: The rows.
        batch: The id of the delivery.
        until: Last day observed, if the caller says so.
        late: "raise" or "exclude".
        invalid: "raise" or "exclude".
    """
    print_of_it = batches.fingerprint(delivered.rows)
    known = before.batches.get(batch)
    if known is not None and (known["rows"] or not delivered.rows.num_rows):  # what came empty may come again in full
        _refuse_other_content(batch, known, print_of_it, until, before)
        return before, _told(batch, delivered, before, before, repeated=True)
    table = engine.persist(engine.attach(delivered.rows), "delivered")
    try:
        rows, since = engine.table(table), settings.horizon(before.until)
        passed = usable(rows, settings)
        too_late = _too_late(engine, settings, passed, since, late)
        on_time = rows.filter(~_is_late(settings, since)) if too_late[0] else rows
        census = census_of(engine, on_time, settings)
        batches.refuse_invalid(delivered, settings, census, invalid)
        new = passed.filter(nw.col("day") >= since)
        until = _clock(before, _last(engine, new), delivered.until if until is None else until)
        content = taken_in(engine, settings, before, new, until)
    finally:
        engine.drop(table)
    days = census.days()
    noted = {"fingerprint": print_of_it, "rows": delivered.rows.num_rows, "until": periods.to_date(until).isoformat()}
    content = replace(
        content,
        data_from=min(before.data_from, days[0]) if days else before.data_from,
        history=before.history or census.sales_before() > 0,
        rows_in=before.rows_in + delivered.rows.num_rows,
        settled=combined(content.settled, permanent(census, settings), {TOO_LATE: too_late} if too_late[0] else {}),
        batches={**before.batches, batch: noted},
    )
    return content, _told(batch, delivered, before, content, too_late=too_late[0])


def moved_on(engine: Stored, settings: Settings, before: Content, until: int) -> Content:
    """Return the content after the clock was moved and nothing was delivered."""
    _refuse_leap(before, until)
    nothing = before.rows.view(engine).head(0)
    return taken_in(engine, settings, before, nothing, until)


def _told(
    batch: str, delivered: batches.Batch, before: Content, after: Content, *, too_late: int = 0, repeated: bool = False
) -> Merged:
    return Merged(
        batch=batch,
        repeated=repeated,
        rows=delivered.rows.num_rows,
        too_late=too_late,
        new_customers=int(after.totals["customers"] - before.totals["customers"]),
        observed_until=periods.to_date(after.until),
    )


def _refuse_other_content(batch: str, known: Mapping[str, Any], found: str, until: int | None, before: Content) -> None:
    """Raise where a batch comes again, but not as it was."""
    if known["fingerprint"] != found:
        raise InvalidRows(
            f"batch {batch!r} was merged before with {known['rows']:,} rows that were not the same: a batch cannot be "
            "corrected. Deliver what is new under another id; to take rows back, begin anew with CustomerState.from_()."
        )
    if until is not None and until > before.until:
        raise InvalidArgument(
            f"batch {batch!r} was merged before, so observed_until={periods.to_date(until)} would be passed over: use "
            "advance() to move the clock."
        )


def _is_late(settings: Settings, since: int) -> nw.Expr:
    late = nw.col("day") < since
    for name in ("customer", *settings.money):
        late = late & ~nw.col(name).is_null()
    if settings.returns == "drop":
        late = late & (nw.col("amount") >= 0)
    return late.fill_null(value=False)


def _too_late(engine: Stored, settings: Settings, passed: Frame, since: int, late: str) -> tuple[int, float]:
    """Return rows and amount of days that are closed, or raise."""
    found = passed.filter(nw.col("day") < since)
    sums = nw.len().alias("rows"), nw.col("amount").sum(), nw.col("day").min().alias("first")
    line = engine.collect(found.select(*sums)).to_pylist()[0]
    if line["rows"] and late == "raise":
        raise InvalidRows(
            f"{line['rows']:,} rows are too late: the earliest is of {periods.to_date(line['first'])}, and days "
            f"before {periods.to_date(since)} are closed (lateness {settings.lateness}d). "
            'Pass late="exclude" to leave them out and count them; '
            "or begin anew from the whole log with CustomerState.from_(tx, lateness=...).",
            column=str(settings.columns["date"]),
            count=int(line["rows"]),
        )
    return int(line["rows"]), float(line["amount"] or 0.0)


def _last(engine: Stored, new: Frame) -> int | None:
    found = engine.collect(new.select(nw.col("day").max().alias("last")))["last"][0].as_py()
    return None if found is None else int(found)


def _clock(before: Content, last: int | None, told: int | None) -> int:
    """Return the last day observed after a delivery: the later of the state's and the one told, else of its rows."""
    if told is not None:
        _refuse_leap(before, told)
        return max(before.until, told)
    if last is not None and last > before.until + _LEAP:
        raise InvalidRows(
            f"the last row is of {periods.to_date(last)}, more than a year after {periods.to_date(before.until)}, "
            "until which the state has been observed: mend the date, or pass observed_until= to say what is right "
            "(rows after it wait until then)."
        )
    return before.until if last is None else max(before.until, last)


def _refuse_leap(before: Content, told: int) -> None:
    """Raise where a mistyped year would close all days for good: the clock never goes back."""
    if told > before.until + _LEAP:
        raise InvalidArgument(
            f"observed_until={periods.to_date(told)} comes more than a year after {periods.to_date(before.until)}, "
            "until which the state has been observed, and the clock never goes back: if it is meant, advance() by a "
            "year at a time."
        )
