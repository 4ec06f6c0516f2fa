"""Contracts with their dates: how many renewals each customer has come to, and at which one they left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, engines, periods
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, InvalidRows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Tally", "passed", "reached", "tally"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?")
_MOST = 100_000  # renewals of one customer


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened at each renewal.

    Attributes:
        at_risk: Customers who came to the renewal and were observed through it; shape (renewals,).
        lost: Those of them who left then; shape (renewals,).
        customers: Customers who came to at least one.
        exclusions: Reason → rows left out.
        waiting: Customers who have not come to a renewal yet: they tell nothing.
        early: Customers who left within a period that was not over: they count as customers up to its beginning.
        kind: Kind of frame that came in.
    """

    at_risk: Floats
    lost: Floats
    customers: float
    exclusions: Mapping[str, int]
    waiting: int
    early: int
    kind: str


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of dates.

    Attributes:
        label: The caller's name of it.
        days: Civil day numbers, 0 where there is none; shape (n,).
        missing: Whether there is none; shape (n,).
        unread: Whether there is something that is no date; shape (n,).
    """

    label: Any
    days: Ints
    missing: Flags
    unread: Flags


def tally(
    data: Any,
    *,
    start: Any,
    end: Any,
    observed_until: Any,
    observed_from: Any,
    period: str,
    weight: Any,
    invalid: str,
) -> Tally:
    """Return what happened at each renewal, of a table with a row per contract; see `survival_counts`."""
    source = engines.open_source(data)
    labels = list(source.labels)
    limits = {"observed_until": observed_until, "observed_from": observed_from}
    named = {"start": checks.column("start", start, labels), "end": checks.column("end", end, labels)}
    named |= {role: value for role, value in limits.items() if isinstance(value, str) and value in labels}
    named |= {} if weight is None else {"weight": checks.column("weight", weight, labels)}
    table = source.arrow(list(named.values()))
    if not table.num_rows:
        raise EmptyData("the table of contracts has no rows.")
    arrays = dict(zip(named, table.columns, strict=True))
    dates = {role: _dates(array, named[role]) for role, array in arrays.items() if role != "weight"}
    for role, value in limits.items():
        if value is not None and role not in dates:
            day = periods.day_number(value, role)
            none = np.zeros(table.num_rows, dtype=bool)
            dates[role] = _Column(role, np.full(table.num_rows, day, dtype=np.int64), none, none)
    weights = np.ones(table.num_rows) if weight is None else _weights(arrays["weight"], weight)
    usable, exclusions = _usable(dates, invalid)
    return _counted(dates, usable, weights, period, exclusions, source.kind)


def _dates(column: pa.ChunkedArray, label: Any) -> _Column:
    """Return a column of dates, timestamps or ISO text as day numbers."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    size = len(column)
    if pa.types.is_null(kind):
        return _Column(label, np.zeros(size, np.int64), np.ones(size, np.bool_), np.zeros(size, np.bool_))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        if getattr(kind, "tz", None) is not None:
            raise ColumnError(
                f"column {label!r} bears a time zone, so its days depend on whose midnight counts: take the zone off "
                "first (pandas: .dt.tz_localize(None))."
            )
        stamps = column.cast(pa.timestamp("s"), safe=False) if pa.types.is_date(kind) else column
        days = stamps.to_numpy().astype("datetime64[D]")
        missing = np.isnat(days)
        return _Column(label, np.where(missing, 0, days.astype(np.int64)), missing, np.zeros(size, np.bool_))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return _text_dates(column.cast(pa.string()), label)
    raise ColumnError(
        f"column {label!r} is of type {kind}, not a date: give dates, timestamps or ISO text (YYYY-MM-DD)."
    )


def _text_dates(column: pa.ChunkedArray, label: Any) -> _Column:
    """Return ISO text as day numbers; blank text is no date, any other spelling is not read."""
    coded = column.combine_chunks().dictionary_encode()
    found: list[int | None] = []
    for text in coded.dictionary.to_pylist():
        try:
            found.append(periods.day_number(text.strip()) if _ISO.fullmatch(text.strip()) else None)
        except InvalidArgument:
            found.append(None)
    days = np.array([0 if day is None else day for day in found] or [0], dtype=np.int64)
    blank = np.array([not text.strip() for text in coded.dictionary.to_pylist()] or [True])
    unread = np.array([day is None for day in found] or [False]) & ~blank
    places = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    missing = (places < 0) | blank[places]
    return _Column(label, np.where(places < 0, 0, days[places]), missing, (places >= 0) & unread[places])


def _weights(column: pa.ChunkedArray, label: Any) -> Floats:
    """Return weights, refusing those that cannot be."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        raise ColumnError(f"weight={label!r} is true or false: give numbers of customers.")
    try:
        weights = column.cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise ColumnError(f"weight={label!r} is of type {column.type}, not a number.") from err
    bad = ~(np.isfinite(weights) & (weights > 0))
    if bad.any():
        raise InvalidRows(
            f"{int(bad.sum()):,} of {len(weights):,} weights are missing or not above 0: mend or leave out these rows.",
            column=str(label),
            count=int(bad.sum()),
        )
    return np.asarray(weights, dtype=np.float64)


def _usable(dates: Mapping[str, _Column], invalid: str) -> tuple[Flags, dict[str, int]]:
    """Return which rows can be used, and how many cannot, by reason."""
    start, end, until = dates["start"], dates["end"], dates["observed_until"]
    both = ~(start.missing | start.unread | end.missing | end.unread)
    wrong = {
        "missing_start": start.missing,
        "invalid_start": start.unread,
        "invalid_end": end.unread,
        "end_before_start": both & (end.days < start.days),
    }
    for role in ("observed_until", "observed_from"):
        if role in dates:
            wrong[f"missing_{role}"] = dates[role].missing | dates[role].unread
    usable, exclusions = np.ones(len(start.days), dtype=bool), {}
    for reason, rows in wrong.items():
        count = int((rows & usable).sum())
        if count and invalid == "raise":
            _refuse(dates, reason, rows)
        usable &= ~rows
        exclusions[reason] = count
    late = usable & (start.days > until.days)
    exclusions["after_observed_until"] = int(late.sum())
    return usable & ~late, {reason: count for reason, count in exclusions.items() if count}


def _refuse(dates: Mapping[str, _Column], reason: str, rows: Flags) -> None:
    """Raise the error for rows that cannot be."""
    what = {
        "missing_start": "no start",
        "invalid_start": "a start that is no date (ISO text is YYYY-MM-DD)",
        "invalid_end": "an end that is no date (ISO text is YYYY-MM-DD; leave it empty where the contract goes on)",
        "end_before_start": "an end before the start",
    }.get(reason, f"no usable {reason.removeprefix('missing_')}")
    role = "end" if reason == "end_before_start" else reason.split("_", 1)[1]
    first = np.flatnonzero(rows)[:3]
    shown = ", ".join(f"row {row}" for row in first)
    raise InvalidRows(
        f"{int(rows.sum()):,} of {len(rows):,} contracts have {what} (first: {shown}): mend them, or pass "
        'invalid="exclude" to leave them out and count them.',
        column=str(dates[role].label),
        count=int(rows.sum()),
        examples=tuple(f"row {row}" for row in first),
    )


def _counted(
    dates: Mapping[str, _Column],
    usable: Flags,
    weights: Floats,
    period: str,
    exclusions: dict[str, int],
    kind: str,
) -> Tally:
    """Return the counts by renewal.

    A renewal is judged for everybody who came to it while observed, whether they left early in the period or at its
    end. A period that was not over when observation ended judges nobody: those who left in it early are seen, those
    who would have left in the rest of it are not, and counting only the former would make churn too high.
    """
    start, end, until = (dates[role].days[usable] for role in ("start", "end", "observed_until"))
    weight = weights[usable]
    gone = ~dates["end"].missing[usable] & (end <= until)
    over = passed(start, until, period)
    left_at = np.where(gone, reached(start, np.maximum(end, start), period), _MOST + 1)
    entry, before = np.zeros(len(start), dtype=np.int64), np.zeros(len(start), dtype=bool)
    if "observed_from" in dates:
        begin = dates["observed_from"].days[usable]
        entry = np.where(begin > start, reached(start, np.maximum(begin, start), period), 0)
        before = left_at <= entry
        exclusions = {**exclusions, "ended_before_observed_from": int(before.sum())}
    last = np.minimum(over, left_at)
    inside = (last > entry) & ~before
    most = int(last[inside].max(initial=0))
    if most > _MOST:
        raise InvalidArgument(f"a contract has {most:,} renewals: give a longer period= than {period!r}.")
    steps = np.bincount(entry[inside], weight[inside], most + 1)
    steps -= np.bincount(last[inside], weight[inside], most + 1)
    leaves = inside & (left_at <= over)
    lost = np.bincount(left_at[leaves] - 1, weight[leaves], most)[:most].astype(np.float64)
    at_risk = np.cumsum(steps)[:most]
    at_risk[at_risk < 1e-12 * weight.sum()] = 0.0  # what broken weights leave by rounding
    return Tally(
        at_risk=np.maximum(at_risk, lost),
        lost=lost,
        customers=float(weight[inside].sum()),
        exclusions={reason: count for reason, count in exclusions.items() if count},
        waiting=int((~inside & ~before).sum()),
        early=int((gone & (left_at > over) & ~before).sum()),
        kind=kind,
    )


def passed(start: Ints, day: Ints, period: str) -> Ints:
    """Return how many renewals lie between a contract's start and a day, that day included.

    The k-th renewal is k periods after the start: for months, quarters and years on the same day of the month, or on
    the last one where the month has no such day.

    Args:
        start: Civil day numbers, shape (n,).
        day: Civil day numbers, not before the start, shape (n,).
        period: "day", "week", "month", "quarter", "year", or a duration such as "30d".
    """
    if period not in _MONTHS:
        return (day - start) // (_DAYS.get(period) or periods.duration_days(period, "period"))
    return _months_between(start, day)[0] // _MONTHS[period]


def reached(start: Ints, day: Ints, period: str) -> Ints:
    """Return the first renewal, 1 or later, that falls on a day or after it; arguments as in `passed`."""
    if period not in _MONTHS:
        length = _DAYS.get(period) or periods.duration_days(period, "period")
        return np.maximum(-((start - day) // length), 1)
    months, exact = _months_between(start, day)
    full, rest = np.divmod(months, _MONTHS[period])
    return np.maximum(np.where(exact & (rest == 0), full, full + 1), 1)


def _months_between(start: Ints, day: Ints) -> tuple[Ints, Flags]:
    """Return how many whole months lie between two days, and whether the last is over just on the second."""
    first, second = (one.astype("datetime64[D]").astype("datetime64[M]") for one in (start, day))
    of_first, of_second = start - _first_day(first), day - _first_day(second)
    length = _first_day(second + 1) - _first_day(second)
    due = np.minimum(of_first, length - 1)  # the same day of the month, or its last one
    months = (second - first).astype(np.int64) - (of_second < due)
    return months, of_second == due


def _first_day(month: NDArray[np.datetime64]) -> Ints:
    return month.astype("datetime64[D]").astype(np.int64)
