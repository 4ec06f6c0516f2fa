import datetime as dt
import math
import random
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import sources
from loyalty.clv.summaries.contracts import passed, reached
from loyalty.clv.summaries.counts import survival_counts
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, InvalidRows, UnsupportedSource

EPOCH = dt.date(1970, 1, 1)
PERIODS = ["day", "week", "month", "quarter", "year", "30d"]


def renewal(start, k, period):
    """Return the date of the k-th renewal: the same day of the month, or its last."""
    if period in {"day", "week", "30d"}:
        return start + k * dt.timedelta(days={"day": 1, "week": 7, "30d": 30}[period])
    month = start.year * 12 + start.month - 1 + k * {"month": 1, "quarter": 3, "year": 12}[period]
    for day in range(start.day, 0, -1):
        try:
            return dt.date(month // 12, month % 12 + 1, day)
        except ValueError:  # the month has no such day
            continue
    raise AssertionError


def naive(rows, period, since=None):
    """Return {renewal: [at risk, lost]} of rows (start, end or None, observed until, weight), one by one."""
    found = {}
    for start, end, until, weight in rows:
        if start > until or (end is not None and end < start):
            continue
        k = 1
        while renewal(start, k, period) <= until:
            begins, ends = renewal(start, k - 1, period), renewal(start, k, period)
            gone = end is not None and end <= until and end <= ends
            if since is None or begins >= since or start >= since:
                counts = found.setdefault(k, [0.0, 0.0])
                counts[0] += weight
                counts[1] += weight * gone
            if gone:
                break
            k += 1
    return found


def contracts(seed, size=60):
    """Return random contracts, many of them at the ends of months and just at renewals."""
    draw = random.Random(seed)
    rows = []
    for _ in range(size):
        start = dt.date(2023, 1, 1) + dt.timedelta(days=draw.randrange(400))
        if draw.random() < 0.4:
            start = start.replace(day=1) - dt.timedelta(days=1)
        until = dt.date(2024, 2, 29) + dt.timedelta(days=draw.choice([0, 0, 1, 200, -100]))
        end = None
        if draw.random() < 0.6:
            end = start + dt.timedelta(days=draw.randrange(500))
            if draw.random() < 0.5:
                end = renewal(start, draw.randrange(6), draw.choice(PERIODS)) + dt.timedelta(
                    days=draw.choice([-1, 0, 0, 1])
                )
                end = max(end, start)
        rows.append((start, end, until, draw.choice([1.0, 1.0, 2.5])))
    return rows


def table(rows):
    frame = pd.DataFrame(rows, columns=["start", "end", "until", "n"])
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in ("start", "end", "until")})


def as_dict(counts):
    return {k + 1: [a, b] for k, (a, b) in enumerate(zip(counts.at_risk, counts.lost, strict=True)) if a}


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("seed", range(8))
def test_dates_agree_with_a_count_contract_by_contract(seed, period):
    rows = contracts(seed)
    found = survival_counts(table(rows), observed_until="until", weight="n", period=period)
    expected = naive(rows, period)
    assert as_dict(found) == {k: pytest.approx(counts) for k, counts in expected.items()}
    assert found.exclusions.get("after_observed_until", 0) == sum(start > until for start, _, until, _ in rows)
    assert found.period == period


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("seed", range(4))
def test_left_truncation_agrees_too(seed, period):
    rows, since = contracts(seed), dt.date(2023, 8, 20)
    # the table lacks whoever ended before: those it has must count the same with and without them
    full, seen = table(rows), table([row for row in rows if row[1] is None or row[1] >= since])
    options = {"observed_until": "until", "observed_from": since, "weight": "n", "period": period}
    if not naive(rows, period, since):
        with pytest.raises(EmptyData, match="ended_before_observed_from"):
            survival_counts(full, **options)
        return
    found = survival_counts(full, **options)
    again = survival_counts(seen, **options)
    assert as_dict(found) == {k: pytest.approx(counts) for k, counts in naive(rows, period, since).items()}
    assert as_dict(found) == {k: pytest.approx(counts) for k, counts in as_dict(again).items()}


@pytest.mark.parametrize("period", PERIODS)
def test_renewals_of_every_day(period):
    rng = np.random.default_rng(5)
    start, later = rng.integers(-40_000, 40_000, 400), rng.integers(0, 900, 400)
    over, next_one = passed(start, start + later, period), reached(start, start + later, period)
    for begin, span, k, first in zip(start, later, over, next_one, strict=True):
        date, day = EPOCH + dt.timedelta(days=int(begin)), EPOCH + dt.timedelta(days=int(begin + span))
        assert renewal(date, int(k), period) <= day < renewal(date, int(k) + 1, period)
        assert renewal(date, int(first), period) >= day
        assert first == 1 or renewal(date, int(first) - 1, period) < day


def test_an_unfinished_period_judges_nobody():
    rows = [(dt.date(2024, 1, 1), None)] * 6 + [(dt.date(2024, 1, 1), dt.date(2024, 2, 10))] * 4
    frame = pd.DataFrame(rows, columns=["start", "end"])
    half = survival_counts(frame, observed_until="2024-02-20", period="month")
    assert (half.at_risk.tolist(), half.lost.tolist()) == ([10], [0])
    assert "4 contracts ended in a period that was not over" in half.notes[0]
    whole = survival_counts(frame, observed_until="2024-03-01", period="month")
    assert (whole.at_risk.tolist(), whole.lost.tolist()) == ([10, 10], [0, 4])
    assert whole.notes == ()
    with pytest.raises(EmptyData, match="nobody came to a renewal"):
        survival_counts(frame, observed_until="2024-01-31", period="month")


def test_counts_are_the_dates_that_lead_to_them():
    survivors = {"2021": [50, 31, 24, 20], "2022": [40, 30, 21], "2023": [30, 30]}
    rows = []
    for year, curve in survivors.items():
        start = dt.date(int(year), 2, 28)
        for k, lost in enumerate(-np.diff(curve), start=1):
            rows += [(start, renewal(start, k, "year"))] * int(lost)
        rows += [(start, None)] * curve[-1]
    counted = survival_counts(survivors=survivors, period="year")
    frame = pd.DataFrame(random.Random(0).sample(rows, len(rows)), columns=["start", "end"])
    dated = survival_counts(frame, observed_until="2024-06-30", period="year")
    np.testing.assert_array_equal(counted.at_risk, dated.at_risk)
    np.testing.assert_array_equal(counted.lost, dated.lost)
    assert counted.customers == dated.customers == 120
    lost = {name: (-np.diff(curve)).tolist() for name, curve in survivors.items()}
    same = survival_counts(losses=lost, customers={name: curve[0] for name, curve in survivors.items()})
    np.testing.assert_array_equal(counted.at_risk, same.at_risk)
    np.testing.assert_array_equal(counted.lost, same.lost)
    weighted = frame.groupby(["start", "end"], dropna=False).size().reset_index(name="n")
    many = survival_counts(weighted, observed_until="2024-06-30", period="year", weight="n")
    np.testing.assert_array_equal(counted.at_risk, many.at_risk)
    assert many.customers == 120


@pytest.mark.parametrize("source", [source for source in sources.SOURCES if source != "pandas-categorical"])
def test_every_source_of_contracts(source, tmp_path):
    rows = contracts(3)
    plain = survival_counts(table(rows), observed_until="until", period="month")
    frame = table(rows)
    if source == "csv":
        frame = frame.assign(**{name: frame[name].dt.strftime("%Y-%m-%d") for name in ("start", "end", "until")})
    made = sources.make(source, frame, tmp_path, "n")
    found = survival_counts(made, observed_until="until", period="month")
    np.testing.assert_array_equal(found.at_risk, plain.at_risk)
    np.testing.assert_array_equal(found.lost, plain.lost)


@pytest.mark.parametrize("dates", sources.NAIVE_DATES)
def test_every_kind_of_date(dates):
    frame = table([row for row in contracts(4) if row[1] is not None])
    plain = survival_counts(frame, observed_until="2024-02-29", period="week")
    other = sources.with_dates(sources.with_dates(frame, dates, "start"), dates, "end")
    found = survival_counts(other, observed_until=dt.date(2024, 2, 29), period="week")
    np.testing.assert_array_equal(found.at_risk, plain.at_risk)
    np.testing.assert_array_equal(found.lost, plain.lost)


CURVES = {"a": [10, 7, 5], "b": [20, 11]}


@pytest.mark.parametrize(
    "survivors",
    [
        CURVES,
        [[10, 7, 5], [20, 11]],
        pd.DataFrame({"a": [10, 7, 5], "b": [20, 11, None]}),
        pl.DataFrame({"a": [10, 7, 5], "b": [20, 11, None]}),
        pl.LazyFrame({"a": [10, 7, 5], "b": [20, 11, None]}),
        pa.table({"a": [10, 7, 5], "b": [20, 11, None]}),
        np.array([[10, 7, 5], [20, 11, math.nan]]),
        {"a": pd.Series([10, 7, 5]), "b": pl.Series([20, 11])},
    ],
    ids=lambda value: type(value).__module__.split(".")[0],
)
def test_cohorts_in_any_form(survivors):
    found = survival_counts(survivors=survivors)
    assert (found.at_risk.tolist(), found.lost.tolist(), found.customers) == ([30, 7], [12, 2], 30)
    assert found.kept.tolist() == [18, 5]
    assert found.period == ""


def test_cohorts_in_files(tmp_path):
    pd.DataFrame({"a": [10, 7, 5], "b": [20, 11, None]}).to_csv(tmp_path / "curves.csv", index=False)
    assert survival_counts(survivors=str(tmp_path / "curves.csv")).at_risk.tolist() == [30, 7]


@pytest.mark.parametrize("form", [list, tuple, np.array, pd.Series, pl.Series, pa.array])
def test_one_cohort_in_any_form(form):
    found = survival_counts(survivors=form([10, 7, 5]), period="month")
    assert (found.at_risk.tolist(), found.lost.tolist()) == ([10, 7], [3, 2])
    lost = survival_counts(losses=form([3, 2]), customers=10, period="month")
    assert (lost.at_risk.tolist(), lost.lost.tolist()) == ([10, 7], [3, 2])
    assert str(lost) == "10 customers came to 1 to 2 renewals: 5 left; renewed every month."


def test_a_cohort_too_young_says_nothing():
    found = survival_counts(survivors={"old": [10, 7], "new": [500]})
    assert (found.at_risk.tolist(), found.customers) == ([10], 10)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"survivors": [10, 7, 8]}, InvalidRows, "Survivors cannot increase"),
        ({"survivors": {"x": [10, 7, 8]}}, InvalidRows, "cohort 'x': 8 customers after renewal 2, but 7 before"),
        ({"survivors": [10, -1]}, InvalidRows, "-1 at place 1"),
        ({"survivors": [10, None, 5]}, InvalidRows, "None at place 1"),
        ({"survivors": [10, math.inf]}, InvalidRows, "inf at place 1"),
        ({"survivors": [None, None]}, InvalidRows, "place 0"),
        ({"survivors": []}, InvalidRows, "nothing"),
        ({"survivors": {}}, EmptyData, "no cohort"),
        ({"survivors": [10]}, EmptyData, "nobody came to a renewal"),
        ({"survivors": [0, 0]}, EmptyData, "nobody came to a renewal"),
        ({"survivors": ["10", "7"]}, InvalidArgument, "no numbers of customers"),
        ({"survivors": [True, False]}, InvalidArgument, "no numbers of customers"),
        ({"survivors": [object(), 1]}, InvalidArgument, "no number"),
        ({"survivors": 10}, InvalidArgument, "give a list of numbers"),
        ({"survivors": [10, 7], "customers": 10}, InvalidArgument, "begin with the size"),
        ({"losses": [3, 2]}, InvalidArgument, "needs customers="),
        ({"losses": [3, 8], "customers": 10}, InvalidRows, "by renewal 2 more customers have left than there were"),
        ({"losses": [-3, 8], "customers": 10}, InvalidRows, "-3 at place 0"),
        ({"losses": [[3], [2]], "customers": 10}, InvalidArgument, "does not give one size"),
        ({"losses": {"a": [3]}, "customers": {"b": 10}}, InvalidArgument, "does not give one size"),
        ({"losses": [3], "customers": -10}, InvalidArgument, "customers=-10"),
        ({}, InvalidArgument, "nothing given"),
        ({"survivors": [2, 1], "losses": [1]}, InvalidArgument, "survivors and losses given"),
        ({"survivors": [2, 1], "period": "fortnight"}, InvalidArgument, "period='fortnight'"),
        ({"survivors": [2, 1], "invalid": "skip"}, InvalidArgument, "invalid='skip'"),
    ],
)
def test_counts_that_cannot_be(given, error, words):
    with pytest.raises(error, match=words):
        survival_counts(**given)


def test_percentages_are_noticed():
    found = survival_counts(survivors=[100, 63.1, 46.8])
    assert "not as percentages" in found.notes[0]
    assert found.lost.tolist() == pytest.approx([36.9, 16.3])


BAD = pd.DataFrame(
    {
        "start": [
            "2024-01-01",
            None,
            "01/02/2024",
            "2024-01-01",
            "2024-03-01",
            "2024-01-01",
            "2025-01-01",
            "2024-01-01",
        ],
        "end": ["2024-03-01", None, None, "soon", "2024-02-01", "", None, None],
        "until": ["2024-06-30"] * 7 + [None],
    }
)


@pytest.mark.parametrize(
    ("rows", "column", "words"),
    [
        ([0, 1], "start", "no start"),
        ([0, 2], "start", "a start that is no date"),
        ([0, 3], "end", "an end that is no date"),
        ([0, 4], "end", "an end before the start"),
        ([0, 7], "until", "no usable observed_until"),
    ],
)
def test_contracts_that_cannot_be(rows, column, words):
    with pytest.raises(InvalidRows, match=rf"1 of 2 contracts have {words}.*first: row 1\)") as caught:
        survival_counts(BAD.iloc[rows], observed_until="until", period="month")
    assert caught.value.column == column


def test_contracts_left_out_are_counted():
    found = survival_counts(BAD, observed_until="until", period="month", invalid="exclude")
    assert found.exclusions == {
        "missing_start": 1, "invalid_start": 1, "invalid_end": 1, "end_before_start": 1, "missing_observed_until": 1,
        "after_observed_until": 1,
    }  # fmt: skip
    assert found.customers == 2
    assert found.at_risk.tolist() == [2, 2, 1, 1, 1]
    assert found.lost.tolist() == [0, 1, 0, 0, 0]
    assert "Left out: 1 missing_start" in found.notes[-1]
    late = survival_counts(BAD.iloc[[0, 6]], observed_until="2024-06-30", period="month")
    assert late.exclusions == {"after_observed_until": 1}


def test_tables_that_cannot_be_contracts():
    good = BAD.iloc[[0]]
    for arguments in ({"period": "month"}, {"observed_until": "2024-06-30"}):
        with pytest.raises(InvalidArgument, match="dates need both"):
            survival_counts(good, **arguments)
    both = {"period": "month", "observed_until": "2024-06-30"}
    with pytest.raises(ColumnError, match="there is no such column"):
        survival_counts(good, start="begin", **both)
    with pytest.raises(ColumnError, match="not a date"):
        survival_counts(good.assign(start=20240101), **both)
    with pytest.raises(ColumnError, match="bears a time zone"):
        survival_counts(good.assign(start=pd.Timestamp("2024-01-01", tz="UTC")), **both)
    with pytest.raises(InvalidArgument, match="observed_until='whenever'"):
        survival_counts(good, observed_until="whenever", period="month")
    with pytest.raises(EmptyData, match="no rows"):
        survival_counts(good.head(0), **both)
    with pytest.raises(UnsupportedSource):
        survival_counts(3, **both)
    with pytest.raises(InvalidRows, match="weights are missing or not above 0"):
        survival_counts(good.assign(n=0), weight="n", **both)
    with pytest.raises(ColumnError, match="not a number"):
        survival_counts(good.assign(n="many"), weight="n", **both)
    with pytest.raises(ColumnError, match="true or false"):
        survival_counts(good.assign(n=True), weight="n", **both)


def test_the_table_of_what_was_observed():
    found = survival_counts(survivors=[1000, 631, 468], period="year")
    lines = list(found.table)
    assert [line["renewal"] for line in lines] == [1, 2]
    assert lines[1]["retention"] == pytest.approx(468 / 631)
    assert lines[1]["survival"] == pytest.approx(0.468)
    assert lines[0]["low"] < 0.631 < lines[0]["high"]
    assert isinstance(found.to_native(), pd.DataFrame)
    assert found.to_dict()["lost"] == [369, 163]
    assert "<table>" in found._repr_html_()
    assert repr(found) == str(found)
    kinds = Counter(type(survival_counts(make(BAD.iloc[[0]]), observed_until="2024-06-30", period="month").to_native())
                    for make in (pl.from_pandas, pa.Table.from_pandas))  # fmt: skip
    assert kinds == {pl.DataFrame: 1, pa.Table: 1}
