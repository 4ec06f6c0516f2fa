"""Calendar periods, durations and the observed window, all in civil day numbers.

A day is its count from 1970-01-01; a period is a whole number too (months count from year 0, weeks from the
Monday before 1970-01-01), so that neighbours differ by one and no engine's calendar is trusted.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from loyalty import checks, wording
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "BEFORE_ALL_DAYS",
    "PERIODS",
    "PeriodName",
    "Window",
    "day_number",
    "duration_days",
    "period_index",
    "period_label",
    "period_start",
    "to_date",
]

PeriodName = Literal["day", "week", "month", "quarter", "year"]
PERIODS: tuple[PeriodName, ...] = ("day", "week", "month", "quarter", "year")
_EPOCH = dt.date(1970, 1, 1)
_LONGEST = 3_652_059  # days from year 1 to 9999
BEFORE_ALL_DAYS = -4_000_000  # as a day; any calendar day is later
_DURATION = re.compile(r"\s*(\d+)\s*(d|w|day|days|week|weeks)\s*")
_Days = TypeVar("_Days", int, "NDArray[np.integer[Any]]")


def day_number(value: Any, name: str = "date") -> int:
    """Return the civil day number of a date, datetime, NumPy datetime64, Timestamp or ISO text.

    Args:
        value: A calendar date; times of day are cut off. Zone-aware times are refused.
        name: The argument's name, for the error.

    Raises:
        InvalidArgument: It is no date, or not an unambiguous one.

    Examples:
        >>> day_number("1970-01-02"), day_number(dt.date(1997, 1, 1))
        (1, 9862)
    """
    date = value
    if isinstance(date, str):
        try:
            date = dt.datetime.fromisoformat(date.strip())
        except ValueError as err:
            raise InvalidArgument(f"{name}={value!r} is not an ISO date: write it as YYYY-MM-DD.") from err
    elif type(date).__name__ == "datetime64":  # NumPy's
        date = date.astype("datetime64[D]").item()
    if isinstance(date, dt.datetime):
        if date.tzinfo is not None:
            raise InvalidArgument(f"{name}={value!r} bears a time zone: give the plain date that you mean.")
        date = None if wording.missing(date) else date.date()  # NaT is a datetime too
    if not isinstance(date, dt.date):
        raise InvalidArgument(f"{name}={value!r} is not a date: give a datetime.date or text as YYYY-MM-DD.")
    return (date - _EPOCH).days


def to_date(day: int) -> dt.date:
    """Return the calendar date of a civil day number."""
    return _EPOCH + dt.timedelta(days=int(day))


def duration_days(value: str | dt.timedelta, name: str = "duration") -> int:
    """Return a duration in whole days.

    Args:
        value: Text such as "90d" or "52w", or a `timedelta` of whole days. A bare number is refused, since a
            reader would have to guess its unit.
        name: The argument's name, for the error.

    Raises:
        InvalidArgument: It has no unit, is not positive, or is not a whole number of days.

    Examples:
        >>> duration_days("52w"), duration_days(dt.timedelta(days=90))
        (364, 90)
    """
    days: float = math.nan
    if isinstance(value, dt.timedelta):
        days = value / dt.timedelta(days=1)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.lower())):
        days = int(match[1]) * (7 if match[2].startswith("w") else 1)
    elif type(value).__name__ == "timedelta64":  # NumPy's
        given: Any = value
        days = given.astype("timedelta64[us]").astype("int64").item() / 86_400_000_000
    if not (0 < days <= _LONGEST and days == int(days)):
        raise InvalidArgument(
            f'{name}={value!r} is not a duration of whole days: write "90d", "52w" or a timedelta '
            "(months and years differ in length: give their days)."
        )
    return int(days)


def period_index(day: _Days, period: PeriodName) -> _Days:
    """Return the number of the period that a day lies in; works on integers and on NumPy arrays of them.

    Years, quarters and months count from year 0, weeks from Monday 1969-12-29. The month comes from the civil
    calendar in integer arithmetic (Hinnant, "chrono-compatible low-level date algorithms").
    """
    if period == "day":
        return day
    if period == "week":
        return (day + 3) // 7
    month = _month_index(day)
    return month if period == "month" else month // 3 if period == "quarter" else month // 12


def _month_index(day: _Days) -> _Days:
    """Return year · 12 + month − 1 of a civil day number."""
    shifted = day + 719_468  # days since 0000-03-01
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (year_of_era * 365 + year_of_era // 4 - year_of_era // 100)
    months: _Days = (year_of_era + era * 400) * 12 + (of_year * 5 + 2) // 153 + 2
    return months


def period_start(index: int, period: PeriodName) -> int:
    """Return the civil day number of the first day of a period."""
    if period == "day":
        return index
    if period == "week":
        return index * 7 - 3
    months = index * {"month": 1, "quarter": 3, "year": 12}[period]
    return (dt.date(months // 12, months % 12 + 1, 1) - _EPOCH).days


def period_label(index: int, period: PeriodName) -> str:
    """Return a period's short name: 1997-01-31, 1997-W05 (ISO week), 1997-01, 1997-Q1 or 1997."""
    start = to_date(period_start(index, period))
    if period == "day":
        return start.isoformat()
    if period == "week":
        year, week, _ = start.isocalendar()
        return f"{year:04d}-W{week:02d}"
    if period == "month":
        return start.isoformat()[:7]
    return f"{start.year:04d}-Q{(start.month + 2) // 3}" if period == "quarter" else f"{start.year:04d}"


@dataclass(frozen=True, slots=True)
class Window:
    """The observed window: civil day numbers of its first and last day, both inside."""

    first: int
    last: int

    @property
    def days(self) -> int:
        """Length in days."""
        return self.last - self.first + 1

    def complete(self, period: PeriodName) -> range:
        """Return the numbers of the periods that lie wholly inside the window (an empty range if none does)."""
        checks.choice("period", period, PERIODS)
        first = period_index(self.first, period)
        if period_start(first, period) < self.first:
            first += 1
        return range(first, max(first, period_index(self.last + 1, period)))
