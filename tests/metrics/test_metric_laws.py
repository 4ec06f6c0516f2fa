"""What may change in a log without changing any metric, or changing all of them in a known way."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import logs
import loyalty as ly
import sources
from loyalty.errors import EmptyData

laws = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
more = settings(laws, max_examples=20)

START = dt.datetime(2023, 11, 1)

row = st.fixed_dictionaries(
    {
        "customer_id": st.integers(0, 6),
        "day": st.integers(0, 150),
        "hour": st.integers(0, 23),
        "cents": st.integers(-2_000, 5_000),
        "shop": st.sampled_from(["x", "y", None]),
    }
)
rows = st.lists(row, min_size=3, max_size=30)
windows = st.sampled_from([{}, {"observed_from": dt.date(2023, 12, 1)}, {"observed_until": dt.date(2024, 2, 29)}])


def framed(lines):
    dates = [START + dt.timedelta(days=line["day"], hours=line["hour"]) for line in lines]
    return pd.DataFrame(
        {
            "customer_id": pd.Series([line["customer_id"] for line in lines], dtype="Int64"),
            "date": pd.Series(dates, dtype="datetime64[us]"),
            "amount": [line["cents"] / 100 for line in lines],
            "shop": pd.Series([line["shop"] for line in lines], dtype=object),
        }
    )


def answers(frame, **options):
    """Return what every metric says of a log; a log with nothing to measure is not tried."""
    try:
        tx = ly.transactions(frame, **options)
    except EmptyData:
        assume(False)
    with tx:
        return {
            "overview": {name: one.to_dict() for name, one in ly.overview(tx, inactive_after="14d").estimates.items()},
            "retention": ly.retention(tx, "week").to_dict(),
            "cohorts": ly.cohorts(tx).to_dict(),
            "earned": ly.cohorts(tx, mode="since", value="revenue").to_dict(),
            "within": ly.repurchase_rate(tx, within="30d").to_dict(),
            "groups": ly.spending(tx, by="shop").to_dict(),
        }


def same(one, two):
    """Sums near zero lose digits, so numbers may differ by what is nothing beside a cent."""
    return sources.same(one, two, 1e-7)


@laws
@given(rows, windows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(lines, window, random):
    assert same(answers(framed(lines), **window), answers(framed(random.sample(lines, len(lines))), **window))


@pytest.mark.slow
@more
@given(rows, windows, st.permutations(range(7)))
def test_what_customers_are_called_does_not_matter(lines, window, names):
    frame = framed(lines)
    called = frame.assign(customer_id=frame["customer_id"].map(lambda one: f"{names[one]}'s").astype(object))
    assert same(answers(frame, **window), answers(called, **window))


@laws
@given(rows, windows, st.integers(0, 10**6), st.floats(0.01, 0.99))
def test_a_day_may_be_split_into_rows(lines, window, place, share):
    place %= len(lines)
    part = round(lines[place]["cents"] * share)
    assume(part and lines[place]["cents"] - part and lines[place]["shop"])
    halves = [{**lines[place], "cents": part}, {**lines[place], "cents": lines[place]["cents"] - part}]
    one = answers(framed(lines), **window)
    two = answers(framed(lines[:place] + halves + lines[place + 1 :]), **window)
    assume(one["groups"].keys() == two["groups"].keys())
    for found in (one, two):
        del found["groups"]  # by the rule for ties the value of the largest row counts
    assert same(one, two)


@laws
@given(rows, windows, st.integers(-50, 200), st.integers(-2_000, 5_000))
def test_a_guest_row_changes_nothing(lines, window, day, cents):
    guest = {"customer_id": None, "day": day, "hour": 0, "cents": cents, "shop": "guest"}
    one, two = answers(framed(lines), **window), answers(framed([*lines, guest]), **window)
    assert same(one, two)


@pytest.mark.slow
@more
@given(rows, windows)
def test_the_calendar_repeats_every_28_years(lines, window):
    """Weekdays, months and leap years come back after 10 227 days (before 2100): so must every number."""
    shift = dt.timedelta(days=10_227)
    frame = framed(lines)
    later = answers(frame.assign(date=frame["date"] + shift), **{name: end + shift for name, end in window.items()})
    one = answers(frame, **window)
    assert same(undated(one), undated(later))


def undated(found):
    """Return a result without the names of periods, and without notes, which tell dates."""
    if isinstance(found, dict):
        names = {"period", "start", "cohort", "note"}
        return {name: undated(part) for name, part in found.items() if name not in names}
    return [undated(part) for part in found] if isinstance(found, list) else found


@laws
@given(rows, windows, st.sampled_from([0.01, 3.0, 1000.0]))
def test_money_may_be_counted_in_another_unit(lines, window, times):
    frame = framed(lines)
    one = answers(frame, **window)["overview"]
    two = answers(frame.assign(amount=frame["amount"] * times), **window)["overview"]
    assert one.keys() == two.keys()
    for name, estimate in one.items():
        factor = times if estimate["unit"] == "money" else 1.0
        for part in ("value", "low", "high"):
            if estimate[part] is None:
                assert two[name][part] is None
            else:
                assert two[name][part] == pytest.approx(estimate[part] * factor, rel=1e-7, abs=1e-5 * times), name


@pytest.mark.slow
@more
@given(rows, windows)
def test_as_many_customers_again_change_no_rate(lines, window):
    """Twins double every count and every total, and leave every rate and mean."""
    twins = [{**line, "customer_id": line["customer_id"] + 100} for line in lines]
    one, two = answers(framed(lines), **window)["overview"], answers(framed(lines + twins), **window)["overview"]
    for name, estimate in one.items():
        if name.startswith(("customers_bringing", "top_30")):
            continue  # 30 % of 3 customers is one, of 6 customers two
        times = 2.0 if name in {"purchases", "revenue", "total_historical_value"} else 1.0
        if estimate["value"] is None:
            assert two[name]["value"] is None
        else:
            assert two[name]["value"] == pytest.approx(estimate["value"] * times, rel=1e-7, abs=1e-7), name
        assert two[name]["n"] == 2 * estimate["n"], name
        ends = [each[part] for each in (estimate, two[name]) for part in ("low", "high")]
        if None not in ends and times == 1.0 and "median" not in name:
            assert ends[3] - ends[2] <= (ends[1] - ends[0]) * 1.0000001 + 1e-9, name


@pytest.mark.parametrize("seed", [4, 6])
def test_weeks_of_a_log_are_days_of_a_slower_one(seed):
    """Retention by week of a log is retention by day of the log in which every week is a day."""
    case = logs.case(seed)
    monday = logs.start_of(case.data_from, "week")
    frame = case.frame()[["customer_id", "date", "amount"]]
    frame = frame[frame["amount"] >= 0]
    weeks = (frame["date"].dt.normalize() - pd.Timestamp(monday)).dt.days // 7
    daily = frame.assign(date=pd.Timestamp(monday) + pd.to_timedelta(weeks, unit="D"))
    first, last = frame["date"].min().date(), frame["date"].max().date()
    whole = {"observed_from": logs.start_of(first, "week"),
             "observed_until": logs.after(logs.start_of(last, "week"), "week") - dt.timedelta(days=1)}  # fmt: skip
    with ly.transactions(frame, **whole) as tx, ly.transactions(daily) as days:
        assert ly.retention(tx, "week")["kept"] == ly.retention(days, "day")["kept"]
        one, two = ly.retention_rate(tx, "week"), ly.retention_rate(days, "day")
        assert logs.close(logs.limits(one), logs.limits(two))
