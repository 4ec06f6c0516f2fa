"""Logs with everything that may tell engines apart: CDNOW, its sample, and small ones made here."""

import datetime as dt
import functools
import random
from dataclasses import dataclass, field
from decimal import Decimal

import pandas as pd

from loyalty import datasets

# Of each line some sorting rule or normal form takes some for the same; none of them is.
IDS = (
    "a", "A", "á", "a\u0301", "Á",
    "straße", "strasse", "STRASSE",
    "i", "I", "İ", "\u0131",
    "\u00c5", "\u212b", "A\u030a",
    "ﬁn", "fin", "F\u200bin",
    "عمر", "\u202eabc", "abc", "שלום",
    "👩", "👩\u200d👩\u200d👧", "👧🏽", "👧",
    "1", "01", "1.0", "\u0661", "\u2160",
    "null", "NaN", "None", "O'Hara", 'the "best"', "a,b", "a;b", "50%", "back\\slash", "two words", "x" * 300,
)  # fmt: skip
BLANKS = (None, "", "   ")


@dataclass(frozen=True)
class Log:
    """A log.

    Attributes:
        name: What it is called.
        frame: Its rows, as a pandas frame of plain columns.
        options: How it is opened.
        split: A day inside it, for questions that need one.
        wallet: Category spend of its customers, if there is a table of it.
        panel: The same as purchases by seller.
        contracts: Contracts with start and end.
        histories: Customers as a summary has them: "id", "frequency", "recency", "T", "spend", "seen" (opportunities).
        few: The questions that it is asked, where these are not all.
    """

    name: str
    frame: pd.DataFrame
    options: dict
    split: str
    wallet: pd.DataFrame | None = None
    panel: pd.DataFrame | None = None
    contracts: pd.DataFrame | None = None
    histories: pd.DataFrame | None = None
    few: tuple = ()
    has: frozenset = field(init=False)

    def __post_init__(self):
        roles = {*self.frame.columns} & {"shop", "margin", "service", "won"} | {*self.options}
        object.__setattr__(self, "has", frozenset(roles | ({"wallet"} if self.wallet is not None else set())))


CDNOW = ("cdnow", "cdnow_whole")
# What the sample does not say already of a log that is ten times as long, and is not in millions of cells.
_OF_THE_WHOLE = (
    "transactions", "repurchase_rate", "repurchase_rate(within)", "retention", "retention_rate", "churn_rate",
    "churn_rate(inactive_after)", "revenue_retention", "cohorts", "tenure", "spending", "purchase_gaps",
    "spend_distribution", "historical_value", "pareto", "rfm", "overview", "summarize", "opportunities",
    "BGNBD", "ParetoNBD", "GammaGamma", "fit_clv(score)", "clv",
)  # fmt: skip
NAMES = (*CDNOW, "shop", "orders", "zones", "text", "sunk", "one")


@functools.cache
def log(name):
    """Return a log by its name."""
    return globals()[f"_{name}"]()


def _cdnow():
    frame = datasets.cdnow_sample()
    return Log("cdnow", frame, {}, "1997-09-30")


def _cdnow_whole():
    return Log("cdnow_whole", datasets.cdnow(), {}, "1997-09-30", few=_OF_THE_WHOLE)


def _histories():
    """Customers who bought anything from never again to weekly, as weeks."""
    draw = random.Random(4)
    rows = []
    for one in IDS:
        age, again = draw.randint(10, 80), draw.choice([0, 0, 1, 2, 3, 8])
        last = draw.randint(again, age) if again else 0
        rows.append(
            {
                "id": one,
                "frequency": again,
                "recency": float(last),
                "T": float(age),
                "spend": round(draw.uniform(1, 90), 2) if again else 0.0,
                "seen": age,
            }
        )
    return pd.DataFrame(rows)


def _shop():
    """Text ids of all kinds, returns, ties, twins, guests, further columns, a window inside the data."""
    draw = random.Random(11)
    rows = [_row(draw, draw.choice([*IDS, *BLANKS]) if draw.random() < 0.3 else draw.choice(IDS)) for _ in range(420)]
    rows += draw.choices(rows, k=25)  # twins
    rows += [{**_row(draw, "returns only"), "amount": -5.0}, {**_row(draw, "A"), "amount": 0.0}]
    frame = pd.DataFrame(rows)
    spent = {one: round(draw.uniform(0, 400), 2) for one in IDS if draw.random() < 0.7}
    wallet = pd.DataFrame(
        [*spent.items(), ("A", 12.5), ("nobody", 80.0), ("á", 0.0), ("fin", None)],
        columns=["customer_id", "category_spend"],
    )
    panel = pd.DataFrame(
        [(one, seller, draw.choice([5.0, 20.0, 33.33, -5.0])) for one in IDS[:30] for seller in ("us", "them", None)],
        columns=["customer_id", "seller", "amount"],
    )
    options = {"order": "order", "product": "product", "cost": "cost", "discount": "discount",
               "observed_from": "2023-12-10", "observed_until": "2024-06-15"}  # fmt: skip
    others = {"panel": panel, "contracts": _contracts(draw), "histories": _histories()}
    return Log("shop", frame, options, "2024-03-31", wallet=wallet, **others)


def _row(draw, customer):
    date = dt.datetime(2023, 11, 20) + dt.timedelta(
        days=min(draw.randrange(220), draw.randrange(260)), hours=draw.choice([0, 9, 23])
    )
    amount = draw.choice([0.0, 10.0, 10.0, 0.1, 0.2, 0.3, 19.99, 5.0, round(draw.uniform(1, 90), 2), -5.0, -0.3, -10.0])
    return {
        "customer_id": customer,
        "date": date,
        "amount": amount,
        "order": None if draw.random() < 0.4 else f"o{draw.randrange(200)}",
        "product": draw.choice(["tea", "Tea", "coffee", None]),
        "cost": round(amount * draw.choice([0.3, 0.5, 1.1]), 2),
        "discount": draw.choice([0.0, 1.5, None]),
        "shop": draw.choice(["north", "North", "süd", None]),
        "margin": draw.choice([0.0, 0.25, 0.5]),
        "service": draw.choice([0.0, 0.1, 2.0]),
        "won": draw.choice([0.0, 3.5]),
    }


def _contracts(draw):
    starts = [dt.datetime(2023, 1, 15) + dt.timedelta(days=draw.randrange(500)) for _ in range(60)]
    ends = [None if draw.random() < 0.5 else start + dt.timedelta(days=30 * draw.randrange(1, 15)) for start in starts]
    ends = [end if end and end < dt.datetime(2024, 6, 30) else None for end in ends]
    return pd.DataFrame(
        {"start": pd.Series(starts, dtype="datetime64[us]"), "end": pd.Series(ends, dtype="datetime64[us]")}
    )


def _orders():
    """Orders, whole numbers as ids (beyond those a float can hold), decimals, returns by order and late."""
    draw = random.Random(7)
    people = [1, 2, -3, 0, 2**53, 2**53 + 1, 2**62, *range(10, 25)]
    rows = []
    for _ in range(260):
        customer = draw.choice(people)
        cents = draw.choice([1000, 1000, 250, 0, 3333, draw.randrange(1, 9000)])
        cents = -draw.choice([cents, 500]) if draw.random() < 0.15 else cents
        day = dt.date(2023, 12, 20) + dt.timedelta(days=draw.randrange(120))
        rows.append((customer, day, Decimal(cents) / 100, draw.choice([None, *(f"{customer}/{n}" for n in range(6))])))
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "amount", "order"])
    frame = frame.assign(date=pd.to_datetime(frame["date"]), shop=[draw.choice("ab") for _ in rows])
    return Log("orders", frame, {"order": "order", "occasion": "order"}, "2024-02-15")


def _zones():
    """Instants around the midnights of Paris, over both changes of the clock."""
    draw = random.Random(3)
    nights = pd.to_datetime(
        ["2024-03-30", "2024-03-31", "2024-04-01", "2024-10-26", "2024-10-27", "2024-10-28", "2024-12-31"]
    )
    rows = []
    for night in nights:
        midnight = night.tz_localize("Europe/Paris").tz_convert("UTC")
        minutes = (-1, 0, 1, 59, 60, 61, 119, 120, 180, 24 * 60 - 1, 24 * 60)
        times = [midnight + pd.Timedelta(minutes=number) for number in minutes]
        rows += [(f"k{draw.randrange(9)}", time, draw.choice([1.5, 2.0, 7.25])) for time in times]
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "amount"])
    frame["date"] = frame["date"].dt.as_unit("us")
    return Log("zones", frame, {"timezone": "Europe/Paris"}, "2024-10-27")


def _text():
    """Dates as text, times among them; rows that cannot be used; returns left out."""
    draw = random.Random(5)
    rows = [(draw.choice([None, 4, 5, 6, 7, 8, 9, 10, 11]), _written(draw), draw.choice([3.0, 8.5, 0.0, -2.0]))
            for _ in range(90)]  # fmt: skip
    rows += [
        (4, None, 1.0),
        (5, "soon", 1.0),
        (6, "2024-02-30", 1.0),
        (7, "", 1.0),
        (8, "2024-05-05", None),
        (9, "2024-05-05", float("inf")),
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "amount"])
    frame["customer_id"] = frame["customer_id"].astype("Int64")
    return Log("text", frame, {"returns": "drop", "invalid": "exclude"}, "2024-04-30")


def _written(draw):
    day = dt.date(2024, 2, 20) + dt.timedelta(days=draw.randrange(110))
    return draw.choice([f"{day}", f"{day}T23:59:59", f"{day} 00:00:00", f" {day}"])


def _sunk():
    """More returned than bought: sums below zero, and sums of nothing but rounding."""
    start = pd.Timestamp("2024-01-03")
    rows = [("sunk", 0, 10.0), ("sunk", 9, -25.0), ("rounding", 0, 0.1), ("rounding", 0, 0.2), ("rounding", 3, -0.3),
            ("rounding", 40, 0.7), ("rounding", 75, 0.1), ("across", 4, 0.9), ("across", 41, 0.2), ("across", 76, -1.1),
            ("back", 1, 5.0), ("back", 31, 5.0), ("back", 32, -5.0),
            ("back", 64, 5.0), ("zero", 2, 0.0), ("zero", 50, 0.0),
            ("well", 3, 0.1), ("well", 3, 0.2), ("well", 33, 0.3),
            ("like", 3, 0.3), ("like", 33, 0.2), ("like", 33, 0.1), ("rich", 4, 1e6), ("early", -300, 1.0),
            ("early", 20, 2.0), ("never", 5, -1.0)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["customer_id", "days", "amount"])
    frame["date"] = (start + pd.to_timedelta(frame.pop("days"), unit="D")).dt.as_unit("us")
    frame["cost"] = frame["amount"] * 0.5
    options = {"cost": "cost", "observed_from": "2024-01-01", "observed_until": "2024-04-30"}
    return Log("sunk", frame, options, "2024-02-29")


def _one():
    """One customer."""
    frame = pd.DataFrame({"customer_id": ["only"] * 3, "amount": [5.0, 7.5, -2.5]})
    frame["date"] = pd.to_datetime(["2024-01-31", "2024-02-29", "2024-03-31"]).as_unit("us")
    return Log("one", frame, {}, "2024-02-29")
