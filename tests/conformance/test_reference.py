"""What every engine is compared with, pandas-in, against naive code: rows one at a time, then plain pandas."""

import math
import re

import pandas as pd
import pytest

import sources
from conformance import answers, awkward
from conformance.test_conformance import expected
from naive_rows import Naive, day_of

pytestmark = pytest.mark.slow  # every question is asked of pandas first
MADE_HERE = tuple(name for name in awkward.NAMES if name not in awkward.CDNOW)
NEW_ONLY = ("orders", "zones", "text", "one")  # nobody bought before the window
ISO = re.compile(r"\s*(\d{4}-\d{2}-\d{2})([ T]\d{2}:\d{2}:\d{2})?\s*")
every_log = pytest.mark.parametrize("log", MADE_HERE)


def rows_of(log):
    """Return a log's rows as `Naive` takes them."""
    frame, dates = log.frame, log.frame["date"]
    if "timezone" in log.options:
        dates = dates.dt.tz_convert(log.options["timezone"])
    money = [name for name in ("amount", "cost", "discount") if name in frame and name in {*log.options, "amount"}]
    rows = []
    for place, line in enumerate(frame.to_dict("records")):
        customer = None if pd.isna(line["customer_id"]) else line["customer_id"]
        blank = isinstance(customer, str) and not customer.strip()
        row = {"customer": None if blank else customer, "day": day(dates.iloc[place]), "order": line.get("order")}
        row |= {name: number(line[name], 0.0 if name == "discount" else None) for name in money}
        row["order"] = None if pd.isna(row["order"]) else row["order"]
        rows.append(row)
    return rows, tuple(money)


def day(date):
    """Return the civil day number of a date or of text; None where it is none."""
    if isinstance(date, str):
        found = ISO.fullmatch(date)
        date = pd.to_datetime(found[1], errors="coerce") if found else None
    return None if date is None or pd.isna(date) else day_of(date.date())


def number(value, missing):
    return missing if value is None or pd.isna(value) else float(value) if math.isfinite(value) else None


def naive(name):
    """Return what a log says, read one row at a time."""
    log = awkward.log(name)
    rows, money = rows_of(log)
    ends = {end: log.options.get(f"observed_{word}") for end, word in (("first", "from"), ("last", "until"))}
    ends = {end: date and day(pd.Timestamp(date)) for end, date in ends.items()}
    return Naive(
        rows, **ends, money=money, **{key: log.options[key] for key in ("occasion", "returns") if key in log.options}
    )


def same(one, two):
    apart = list(answers.differences(one, two))
    assert not apart, "\n".join(apart[:10])


@every_log
def test_customers(log):
    wanted = {}
    for customer, found in naive(log).customers().items():
        days = {name: str(pd.Timestamp("1970-01-01") + pd.Timedelta(days=found[name]))[:10]
                for name in ("first_day", "first_inside", "last_day")}  # fmt: skip
        # Sums of what was bought and returned that leave nothing but last digits are 0 in the library.
        money = {name: 0.0 for name, value in found.items() if isinstance(value, float) and abs(value) < 1e-12}
        wanted[sources.text(customer)] = {**found, **days, **money}
    same(wanted, expected(log)["transactions(customers)"]["rows"])


@every_log
def test_exclusions(log):
    told, wanted = expected(log)["transactions"][0], naive(log).exclusions
    assert {reason: line["rows"] for reason, line in told["exclusions"].items()} == {
        reason: rows for reason, (rows, _) in wanted.items()
    }
    assert told["rows_used"] == told["rows_in"] - sum(rows for rows, _ in wanted.values())


@every_log
def test_pareto(log):
    found, people = expected(log)["pareto"][0]["told"], naive(log).customers().values()
    spend = pd.Series([one["spend"] for one in people]).round(6).sort_values(ascending=False)
    top = math.ceil(0.3 * len(spend) - 1e-9)
    assert found["top_customers"] == top
    assert found["revenue_share"]["value"] == pytest.approx(spend.iloc[:top].sum() / spend.sum(), rel=1e-9)
    assert found["vital_customers"] == 1 + int((spend.cumsum() < 0.7 * spend.sum() - 1e-9).sum())
    ranks = sorted(row["rank"] for row in expected(log)["pareto"][1]["rows"].values())
    assert ranks == sorted(spend.rank(method="min", ascending=False).astype(int))


@every_log
def test_rfm(log):
    people = pd.DataFrame(naive(log).customers()).T
    rows = pd.DataFrame(expected(log)["rfm"][1]["rows"]).T
    people.index = people.index.map(sources.text)
    for score, column in (("r", "last_day"), ("f", "purchases"), ("m", "spend")):  # a later day is a better one
        values = pd.to_numeric(people[column]).round(6)
        worse = values.map(lambda mine, values=values: int((values < mine).sum()))
        assert (1 + 5 * worse // len(values)).to_dict() == rows[score].to_dict()


@pytest.mark.parametrize("log", NEW_ONLY)
def test_repurchase_rate(log):
    people = list(naive(log).customers().values())
    again = sum(one["purchases"] > 1 for one in people)
    found = expected(log)["repurchase_rate"]
    assert (found["numerator"], found["denominator"]) == (again, len(people))


@pytest.mark.parametrize("log", NEW_ONLY)
def test_retention_by_month(log):
    read = naive(log)
    months = {}
    for one in read.purchases.values():
        date = pd.Timestamp("1970-01-01") + pd.Timedelta(days=one.day)
        months.setdefault(date.year * 12 + date.month - 1, set()).add(one.customer)
    for row in expected(log)["retention"]["data"]["rows"]:
        start = pd.Timestamp(row["start"])
        place = start.year * 12 + start.month - 1
        assert row["customers"] == len(months.get(place, ()))
        if row["kept"] is not None and not math.isnan(row["kept"]):
            assert row["kept"] == len(months.get(place, set()) & months.get(place + 1, set()))


def test_summary_of_cdnow():
    log = awkward.log("cdnow")
    days = log.frame[log.frame["date"] <= log.split].groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    until = pd.Timestamp(log.split)
    wanted = {}
    for customer, mine in days.groupby("customer_id"):
        first, last, again = mine["date"].min(), mine["date"].max(), mine.sort_values("date").iloc[1:]
        wanted[str(customer)] = {
            "frequency": len(again),
            "recency": float((last - first).days),
            "age": float((until - first).days),
            "monetary_value": again["amount"].mean() if len(again) else 0.0,
        }
    same(wanted, expected("cdnow")["summarize(day)"]["rows"])
