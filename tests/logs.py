"""Random logs with everything a log may hold, and a calendar written anew: what the oracles of metrics stand on.

Use it as

    @logs.every
    def test_x(seed):
        case = logs.case(seed)
        with case.opened() as tx:
            ...

`case.naive` holds the purchases as `naive_rows` finds them, one row at a time; the rest is dictionaries of dates.
"""

import datetime as dt
import functools
import math
import random
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from loyalty.transactions import transactions
from naive_rows import EPOCH, Naive, day_of

PERIODS = ("day", "week", "month", "quarter", "year")
_QUICK = (*range(7), 60, 70)  # in the last two, orders that began before the window go on in it
_MARKED = [*_QUICK, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(7, 14))]
every = pytest.mark.parametrize("seed", _MARKED)

# Around the turn of ISO years of 52 and 53 weeks, leap days, and plain times.
STARTS = ["2023-12-20", "2020-12-21", "2020-02-10", "2024-01-01", "1999-11-03", "2021-07-31", "2016-12-26"]
SPANS = [1, 40, 130, 12, 400, 900, 1500]
MONEY = ("amount", "cost", "discount")


def log(rows, *columns, **more):
    """Return a pandas frame of (customer, date, amount, …) rows; further columns are named in `columns`."""
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "amount", *columns])
    return frame.assign(date=pd.to_datetime(frame["date"]), amount=frame["amount"].astype(float), **more)


def opened(rows, *columns, **options):
    """Return the transactions of (customer, date, amount, …) rows."""
    return transactions(log(rows, *columns), **options)


def start_of(date, period):
    """Return the first day of a date's period."""
    if period == "day":
        return date
    if period == "week":
        return date - dt.timedelta(days=date.weekday())
    month = {"month": date.month, "quarter": (date.month - 1) // 3 * 3 + 1, "year": 1}[period]
    return dt.date(date.year, month, 1)


def after(start, period):
    """Return the first day of the next period."""
    far = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[period]
    return start_of(start + dt.timedelta(days=far), period)


def label(start, period):
    """Return the name of the period that starts on a day."""
    if period == "week":
        return f"{start:%G-W%V}"
    names = {"day": f"{start:%Y-%m-%d}", "month": f"{start:%Y-%m}", "year": f"{start:%Y}"}
    return names.get(period, f"{start:%Y}-Q{(start.month + 2) // 3}")


def complete(first, last, period):
    """Return the starts of the periods that lie wholly inside a window."""
    start = start_of(first, period)
    if start < first:
        start = after(start, period)
    found = []
    while after(start, period) - dt.timedelta(days=1) <= last:
        found.append(start)
        start = after(start, period)
    return found


def offset(start, other, period):
    """Return how many periods lie from one start to another."""
    if period in {"day", "week"}:
        return (other - start).days // {"day": 1, "week": 7}[period]
    months = (other.year - start.year) * 12 + other.month - start.month
    return months // {"month": 1, "quarter": 3, "year": 12}[period]


@dataclass
class Case:
    """A random log, how it is opened, and what it says.

    Attributes:
        rows: The rows: customer, day, hour, amount, order, cost, discount, margin, kind.
        options: Arguments of `transactions`.
        naive: The row rules applied one row at a time.
    """

    rows: list
    options: dict
    naive: Naive

    def frame(self, rows=None):
        rows = self.rows if rows is None else rows
        frame = pd.DataFrame(rows, columns=[*self.rows[0]])
        dates = [dt.datetime.combine(EPOCH, dt.time(row["hour"])) + dt.timedelta(days=row["day"]) for row in rows]
        frame["date"] = pd.Series(dates, dtype="datetime64[us]")
        frame["customer_id"] = pd.Series([row["customer"] for row in rows], dtype="Int64")
        return frame.drop(columns=["customer", "day", "hour"])

    def opened(self, rows=None, **changes):
        options = {"order": "order", "cost": "cost", "discount": "discount", **self.options, **changes}
        return transactions(self.frame(rows), **options)

    @property
    def first(self):
        return EPOCH + dt.timedelta(days=self.naive.first)

    @property
    def last(self):
        return EPOCH + dt.timedelta(days=self.naive.last)

    @functools.cached_property
    def data_from(self):
        """First day of the data: of rows with a customer, dropped returns among them."""
        days = [row["day"] for row in self.rows if row["customer"] is not None and row["day"] <= self.naive.last]
        return min(EPOCH + dt.timedelta(days=min(days)), self.first)

    @functools.cached_property
    def bought(self):
        """{customer: [(date, spend), …]} of the purchases of the window, in order of time."""
        found = defaultdict(list)
        for one in self.naive.purchases.values():
            found[one.customer].append((EPOCH + dt.timedelta(days=one.day), one.sums["amount"]))
        return {customer: sorted(mine) for customer, mine in found.items()}

    @functools.cached_property
    def debut(self):
        """{customer: date} of the very first purchases, of customers who bought before the window too."""
        found = {}
        for one in self.naive.everything.values():
            date = EPOCH + dt.timedelta(days=one.day)
            found[one.customer] = min(date, found.get(one.customer, date))
        return found

    @functools.cached_property
    def latest(self):
        """{customer: date} of the very last purchases, of customers who bought only before the window too."""
        found = {}
        for one in self.naive.everything.values():
            date = EPOCH + dt.timedelta(days=one.day)
            found[one.customer] = max(date, found.get(one.customer, date))
        return found

    def by_period(self, period):
        """{customer: {start of period: spend}} of the window."""
        found = {}
        for customer, mine in self.bought.items():
            found[customer] = defaultdict(float)
            for date, spend in mine:
                found[customer][start_of(date, period)] += spend
        return found

    def complete(self, period):
        return complete(self.first, self.last, period)


@functools.cache
def case(seed):
    """Return a random log; every seventh spans one day, others years."""
    draw = random.Random(seed)
    while True:
        rows, options = _rows(draw, seed), _options(draw, seed)
        ends = {"first": options.get("observed_from"), "last": options.get("observed_until")}
        ends = {name: end and day_of(end) for name, end in ends.items()}
        try:
            naive = Naive(rows, **ends, occasion=options["occasion"], returns=options["returns"], money=MONEY)
        except ValueError:  # no row has a customer
            continue
        if naive.purchases:
            return Case(rows, options, naive)


def _rows(draw, seed):
    start, span = _place(seed)
    people = draw.randint(1, 30)
    rows = []
    for _ in range(draw.randint(2, 9) * people):
        customer = None if draw.random() < 0.04 else draw.randint(1, people)
        amount = draw.choice([0.0, 10.0, -5.0, round(draw.uniform(-40, 0), 2)] + [round(draw.uniform(0, 90), 2)] * 6)
        rows.append(
            {
                "customer": customer,
                "day": start + min(draw.randrange(span), draw.randrange(span)),
                "hour": draw.randrange(24),
                "amount": amount,
                "order": None if draw.random() < 0.2 else f"o{customer}-{draw.randint(1, 5)}",
                "cost": round(amount * draw.uniform(0, 1.1), 2),
                "discount": draw.choice([0.0, 0.0, 1.5]),
                "margin": draw.choice([0.0, 0.2, 0.55, 1.0]),
                "kind": draw.choice(["a", "b", "b", None]),
            }
        )
    return rows


def _place(seed):
    """Return a log's first day and its length."""
    start = dt.date.fromisoformat(STARTS[seed % len(STARTS)])
    return day_of(start), SPANS[(seed + seed // len(STARTS)) % len(SPANS)]


def _options(draw, seed):
    start, span = _place(seed)
    start = EPOCH + dt.timedelta(days=start)
    options = {"occasion": draw.choice(["day", "day", "order"]), "returns": draw.choice(["net", "net", "drop"])}
    if draw.random() < 0.6:
        first = start + dt.timedelta(days=draw.randrange(span // 3 + 1))
        options["observed_from"] = draw.choice([first, after(first, draw.choice(PERIODS[:4]))])
    if draw.random() < 0.5:
        options["observed_until"] = start + dt.timedelta(days=span - 1 - draw.randrange(span // 3 + 1))
    return options


def ratio(pairs, confidence=0.95):
    """Return Σy/Σx of (y, x) pairs, a pair per customer, with the delta interval as the textbook writes it."""
    pairs = [(float(y), float(x)) for y, x in pairs]
    n, top, base = len(pairs), sum(y for y, _ in pairs), sum(x for _, x in pairs)
    if not base:
        return math.nan, math.nan, math.nan
    if n < 2:
        return top / base, math.nan, math.nan
    rest = sum((y - top / base * x) ** 2 for y, x in pairs)
    half = norm.ppf((1 + confidence) / 2) * math.sqrt(n / (n - 1) * rest) / abs(base)
    return top / base, top / base - half, top / base + half


def inside(share):
    """Return a share's value and limits with the limits between 0 and 1."""
    value, low, high = share
    return value, max(low, 0.0), min(high, 1.0)


def wilson(successes, n, confidence=0.95):
    """Return a share with Wilson's limits, as the roots of (p̂ − p)² = z² p(1 − p)/n."""
    if not n:
        return math.nan, math.nan, math.nan
    z, share = norm.ppf((1 + confidence) / 2), successes / n
    low, high = sorted(np.roots([1 + z * z / n, -2 * share - z * z / n, share * share]).real)
    return share, float(low), float(high)


def bootstrap(function, n, *, replicates=2000, seed=1, confidence=0.95):
    """Return the percentile interval of a function of drawn customers' places, shape (n,), drawn with replacement."""
    rng = np.random.default_rng(seed)
    drawn = [function(rng.integers(0, n, n)) for _ in range(replicates)]
    return tuple(np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2]))


def limits(estimate):
    """Return an estimate's value, low and high."""
    return estimate.value, estimate.low, estimate.high


def close(found, expected, tolerance=1e-9):
    """Return whether two tuples of numbers are equal, NaN being equal to NaN."""
    return len(found) == len(expected) and all(
        (math.isnan(one) and math.isnan(two)) or math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance)
        for one, two in zip(found, expected, strict=True)
    )
