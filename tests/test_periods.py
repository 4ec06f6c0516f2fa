import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty import periods
from loyalty.errors import InvalidArgument
from loyalty.periods import PERIODS, Window, day_number, duration_days, period_index, period_label, period_start

EPOCH = dt.date(1970, 1, 1)
dates = st.dates()


def day(text):
    return (dt.date.fromisoformat(text) - EPOCH).days


@pytest.mark.parametrize(
    "value",
    [
        "1997-01-01",
        " 1997-01-01 ",
        "1997-01-01T23:59:59",
        "1997-01-01 23:59",
        "19970101",
        np.str_("1997-01-01"),
        dt.date(1997, 1, 1),
        dt.datetime(1997, 1, 1, 23, 59),
        pd.Timestamp("1997-01-01 23:00"),
        np.datetime64("1997-01-01"),
        np.datetime64("1997-01-01T23:59:59.999999999", "ns"),
        np.datetime64("1997"),
        np.datetime64("1997-01-01", "s"),
    ],
)
def test_day_number(value):
    found = day_number(value)
    assert type(found) is int
    assert found == 9862


@given(dates)
def test_day_number_and_back(date):
    assert periods.to_date(day_number(date)) == date
    assert day_number(date.isoformat()) == day_number(date) == day_number(np.datetime64(date))


def test_day_number_before_the_epoch():
    assert day_number(np.datetime64("1969-12-31T23:00", "ns")) == -1
    assert day_number(dt.datetime(1969, 12, 31, 23)) == -1


@pytest.mark.parametrize(
    "value",
    [
        "03/04/2020",
        "2020-13-01",
        "2020-02-30",
        "yesterday",
        "",
        19970101,
        9862.0,
        np.int64(9862),
        np.float64(1),
        None,
        pd.NaT,
        np.datetime64("NaT"),
        np.datetime64("12000-01-01"),
        pd.Period("1997-01-01"),
        pd.Series(pd.to_datetime(["1997-01-01"])),
        np.array(["1997-01-01"], dtype="datetime64[D]"),
        [dt.date(1997, 1, 1)],
        dt.timedelta(days=3),
        True,
        b"1997-01-01",
    ],
)
def test_no_day_number(value):
    with pytest.raises(InvalidArgument, match=r"(?s)^observed_from=.*YYYY-MM-DD"):
        day_number(value, "observed_from")


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-01T10:00:00+02:00",
        "2020-01-01T10:00:00Z",
        dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        pd.Timestamp("2020-01-01", tz="Europe/Paris"),
    ],
)
def test_zoned_dates_are_refused(value):
    with pytest.raises(InvalidArgument, match="bears a time zone"):
        day_number(value)


@pytest.mark.parametrize(
    ("value", "days"),
    [
        ("90d", 90),
        ("1 day", 1),
        ("2 DAYS", 2),
        (" 52w ", 364),
        ("1 week", 7),
        ("3weeks", 21),
        (dt.timedelta(days=90), 90),
        (dt.timedelta(hours=48), 2),
        (pd.Timedelta("90D"), 90),
        (np.timedelta64(2, "W"), 14),
        (np.timedelta64(48, "h"), 2),
        (np.timedelta64(86_400_000_000_000, "ns"), 1),
    ],
)
def test_duration(value, days):
    found = duration_days(value)
    assert type(found) is int
    assert found == days


@pytest.mark.parametrize(
    "value",
    [
        90,
        90.0,
        np.int64(90),
        "90",
        "d",
        "-90d",
        "0d",
        "1.5d",
        "3 months",
        "1y",
        "1w 2d",
        "",
        None,
        True,
        dt.timedelta(0),
        dt.timedelta(days=-1),
        dt.timedelta(hours=25),
        dt.timedelta.max,
        pd.NaT,
        np.timedelta64("NaT"),
        np.timedelta64(36, "h"),
        np.array([1, 2], dtype="timedelta64[D]"),
        pd.Series(pd.to_timedelta([1], unit="D")),
        "9999999999999999999999d",
        "4000000d",
    ],
)
def test_no_duration(value):
    with pytest.raises(InvalidArgument, match=r"(?s)within=.*is not a duration of whole days"):
        duration_days(value, "within")


@given(dates)
def test_period_index_is_the_calendar_s(date):
    number = day_number(date)
    assert period_index(number, "day") == number
    assert period_index(number, "week") == (number - day("1969-12-29")) // 7
    assert period_index(number, "month") == date.year * 12 + date.month - 1
    assert period_index(number, "quarter") == date.year * 4 + (date.month - 1) // 3
    assert period_index(number, "year") == date.year


@given(dates, st.sampled_from(PERIODS))
def test_period_start_is_the_first_day_of_its_period(date, period):
    number = day_number(date)
    index = period_index(number, period)
    if period == "week" and index < period_index(day("0001-01-08"), "week"):
        return
    start = period_start(index, period)
    assert start <= number
    assert period_index(start, period) == index
    assert period_index(start - 1, period) == index - 1


@pytest.mark.parametrize("period", PERIODS)
def test_period_index_of_an_array_is_that_of_its_days(period):
    numbers = np.concatenate([np.arange(-719_162, 2_932_897, 997), np.arange(-800, 800)])
    assert period_index(numbers, period).tolist() == [period_index(int(number), period) for number in numbers]


@pytest.mark.parametrize(
    ("date", "period", "label"),
    [
        ("1997-01-31", "day", "1997-01-31"),
        ("1997-01-31", "week", "1997-W05"),
        ("1997-01-31", "month", "1997-01"),
        ("1997-01-31", "quarter", "1997-Q1"),
        ("1997-12-31", "quarter", "1997-Q4"),
        ("1997-01-31", "year", "1997"),
        ("2021-01-01", "week", "2020-W53"),  # ISO: the week of a Thursday in 2020
        ("2024-12-30", "week", "2025-W01"),
        ("0001-01-01", "day", "0001-01-01"),
        ("0001-01-01", "week", "0001-W01"),
        ("0044-03-15", "month", "0044-03"),
        ("0044-03-15", "quarter", "0044-Q1"),
        ("0044-03-15", "year", "0044"),
        ("9999-12-31", "month", "9999-12"),
    ],
)
def test_label(date, period, label):
    assert period_label(period_index(day(date), period), period) == label


@pytest.mark.parametrize(
    ("first", "last", "period", "complete"),
    [
        ("1997-01-01", "1998-06-30", "month", ("1997-01", "1998-06")),
        ("1997-01-02", "1998-06-30", "month", ("1997-02", "1998-06")),
        ("1997-01-01", "1998-06-29", "month", ("1997-01", "1998-05")),
        ("1997-01-01", "1998-06-30", "quarter", ("1997-Q1", "1998-Q2")),
        ("1997-01-01", "1998-06-30", "year", ("1997", "1997")),
        ("1997-01-06", "1997-01-12", "week", ("1997-W02", "1997-W02")),
        ("1997-01-06", "1997-01-19", "week", ("1997-W02", "1997-W03")),
        ("1997-01-06", "1997-01-06", "day", ("1997-01-06", "1997-01-06")),
        ("9999-12-01", "9999-12-31", "month", ("9999-12", "9999-12")),
        ("0001-01-01", "0001-12-31", "year", ("0001", "0001")),
    ],
)
def test_complete_periods(first, last, period, complete):
    found = Window(day(first), day(last)).complete(period)
    assert (period_label(found[0], period), period_label(found[-1], period)) == complete


@pytest.mark.parametrize(
    ("first", "last", "period"),
    [
        ("1997-01-02", "1997-02-27", "month"),
        ("1997-01-07", "1997-01-18", "week"),
        ("1997-01-02", "1998-12-30", "year"),
        ("9999-06-01", "9999-12-31", "year"),
        ("1997-01-15", "1997-01-15", "month"),
    ],
)
def test_no_complete_period(first, last, period):
    found = Window(day(first), day(last)).complete(period)
    assert list(found) == []
    assert len(found) == 0


@given(dates, st.integers(0, 1500), st.sampled_from(PERIODS))
def test_complete_periods_are_those_wholly_inside(first, length, period):
    window = Window(day_number(first), min(day_number(first) + length, day("9998-12-31")))
    if window.last < window.first or window.first < day("0002-01-01"):
        return
    assert window.days == window.last - window.first + 1
    inside = [
        index
        for index in range(period_index(window.first, period), period_index(window.last, period) + 1)
        if window.first <= period_start(index, period) and period_start(index + 1, period) - 1 <= window.last
    ]
    assert list(window.complete(period)) == inside


def test_unknown_period():
    with pytest.raises(InvalidArgument, match=r"period='months'.*Did you mean 'month'"):
        Window(0, 100).complete("months")
