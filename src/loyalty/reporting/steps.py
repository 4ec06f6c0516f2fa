"""What the page needs, step by step: a name, and the public function that gives it."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, periods, wording
from loyalty.clv.backtesting.backtest import backtest
from loyalty.clv.models.lifetime import MODELS, LifetimeFit
from loyalty.clv.valuation.value import clv
from loyalty.errors import (
    ColumnError,
    EmptyData,
    InvalidArgument,
    InvalidRows,
    LoyaltyError,
    MissingData,
    MissingDependency,
    UnsupportedSource,
)
from loyalty.metrics.cohorts import cohorts
from loyalty.metrics.repurchase import repurchase_rate
from loyalty.metrics.retention import churn_rate, retention, retention_rate
from loyalty.metrics.revenue import revenue_retention
from loyalty.metrics.spend_distribution import spend_distribution
from loyalty.metrics.spending import purchase_gaps, spending
from loyalty.metrics.tenure import tenure
from loyalty.metrics.upsell import upsell_ratio
from loyalty.metrics.value import historical_value
from loyalty.metrics.wallet import ShareOfWallet, share_of_wallet
from loyalty.segments.pareto import pareto
from loyalty.segments.rfm import rfm
from loyalty.surveys.answers import is_table
from loyalty.surveys.nps import NPS, nps
from loyalty.tables import Grouped

if TYPE_CHECKING:
    from loyalty.periods import PeriodName
    from loyalty.transactions import Transactions

__all__ = ["MOST_COHORTS", "STEPS", "Asked", "Book", "Lack", "Lacking", "checked_model", "cohort_period", "quoting"]

MOST_COHORTS = 36  # rows and columns of a heat map that can still be read
_COARSER: tuple[PeriodName, ...] = ("day", "week", "month", "quarter", "year")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for; see `loyalty.report`."""

    surveys: Any = None
    score: Any = None
    wallet: Any = None
    margin: Any = None
    horizon: Any = "365d"
    annual_discount_rate: float = 0.10
    model: Any = "auto"
    period: PeriodName = "month"
    inactive_after: Any = "180d"
    confidence: float = 0.95
    listed: int = 20

    @property
    def inactive_days(self) -> int:
        """The silence that counts as churn, in days."""
        return periods.duration_days(self.inactive_after, "inactive_after")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values; of data that were given, that they were."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = (str, int, float, dt.timedelta, type(None))
        return {name: wording.jsonable(value) if isinstance(value, plain) else "given" for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a result is not there.

    Attributes:
        why: The message of the error that was raised, which says what to do.
        given: Whether the data that it needs were given; if not, they need only be passed.
        step: The step that failed: that of an earlier result where this one rests on it.
        kind: What went wrong where the message may quote the caller's data: "column", "rows", "file", … (see
            `quoting`); empty where it quotes nothing. A page says its own sentence then.
    """

    why: str
    given: bool = True
    step: str = ""
    kind: str = ""


_BEGINNINGS = {"not one of the ": "strangers", "no file matches ": "file", "surveys= is a score per group": "grouped"}
_KINDS: dict[type[LoyaltyError], str] = {
    ColumnError: "column",
    InvalidRows: "rows",
    UnsupportedSource: "source",
    MissingDependency: "source",
    EmptyData: "empty",
    InvalidArgument: "argument",
}
_TAKES = {"nps", "wallet", "value", "historical_value"}  # steps that read what was handed over beside the transactions


def quoting(step: str, asked: Asked, err: LoyaltyError) -> str:
    """Return what went wrong, in a word, where the message of an error may quote ids, values or paths; else "".

    Messages on the transactions' own window, or on a model, quote nothing. Those on a table that was handed over do,
    and those on a column may.
    """
    own = step not in _TAKES or (step == "value" and isinstance(asked.margin, (int, float, type(None))))
    if own and not isinstance(err, (ColumnError, InvalidRows, UnsupportedSource)):
        return ""
    said = next((kind for beginning, kind in _BEGINNINGS.items() if str(err).startswith(beginning)), "")
    return said or next((word for kind, word in _KINDS.items() if isinstance(err, kind)), "")


def checked_model(model: Any) -> Any:
    """Return a model of purchases that `clv` can take.

    Raises:
        InvalidArgument: It is none.
    """
    if isinstance(model, str):
        known = {re.sub(r"[^a-z]", "", name.lower()) for name in ("auto", *MODELS)}
        if re.sub(r"[^a-z]", "", model.lower()) not in known:
            checks.choice("model", model, ["auto", *MODELS])
    elif not isinstance(model, (LifetimeFit, *MODELS.values())):
        raise InvalidArgument(
            f'model={model!r}: give "auto", a name ({", ".join(MODELS)}), a model such as BGNBD(), or its fit.'
        )
    return model


class Lacking(Exception):
    """A result rests on one that is not there.

    Attributes:
        name: The step whose result it is.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Book:
    """The transactions, what was asked, and the results so far.

    Attributes:
        tx: The transactions.
        asked: What was asked.
        results: Results (or their lack) of the steps before this one.
    """

    tx: Transactions
    asked: Asked
    results: Mapping[str, Any]

    def need(self, name: str) -> Any:
        """Return an earlier result.

        Raises:
            Lacking: It is not there.
        """
        if isinstance(self.results[name], Lack):
            raise Lacking(name)
        return self.results[name]


def cohort_period(window: periods.Window, period: PeriodName) -> PeriodName:
    """Return the period of cohorts: the one asked for, or the next coarser one in which they are not too many."""
    coarser = _COARSER[_COARSER.index(period) :]
    few = [name for name in coarser if len(window.complete(name)) <= MOST_COHORTS]
    return few[0] if few else coarser[-1]


def _cohorts(book: Book) -> Any:
    tx = book.tx
    return cohorts(tx, cohort_period(tx.data_window(), book.asked.period), confidence=book.asked.confidence)


def _historical(book: Book) -> Any:
    margin = book.asked.margin
    if margin is not None and not isinstance(margin, (int, float, str)):
        raise MissingData(
            "what customers have brought so far is not computed with a table of margins: pass one margin, or a column "
            "of the transactions."
        )
    return historical_value(book.tx, margin, confidence=book.asked.confidence)


def _nps(book: Book) -> Any:
    surveys, score = book.asked.surveys, book.asked.score
    if surveys is None:
        raise MissingData("no answers were given: pass surveys=<scores from 0 to 10>.")
    if isinstance(surveys, NPS):
        return surveys
    if isinstance(surveys, Grouped):
        raise InvalidArgument("surveys= is a score per group: pass the answers, or the score of all of them.")
    column = "score" if score is None and is_table(surveys) else score
    return nps(surveys, column, confidence=book.asked.confidence)


def _wallet(book: Book) -> Any:
    wallet = book.asked.wallet
    if wallet is None:
        raise MissingData("no wallets were given: pass wallet=<table of category spend per customer>.")
    if isinstance(wallet, ShareOfWallet):
        return wallet
    return share_of_wallet(book.tx, wallet, confidence=book.asked.confidence)


def margin_of(book: Book) -> Any:
    """Return the margin of value to come: the one asked for, or that of all sales where their cost is known, or 1."""
    if book.asked.margin is not None:
        return book.asked.margin
    if "cost" not in book.tx.roles:
        return 1.0
    earned, sold = book.need("historical_value").total.value, book.need("spending").revenue.value
    share = earned / sold if sold > 0.0 else math.nan
    return share if math.isfinite(share) else 1.0


def _value(book: Book) -> Any:
    asked = book.asked
    return clv(
        book.tx, asked.horizon, margin_of(book), asked.annual_discount_rate, asked.model, confidence=asked.confidence
    )


def _by_segment(book: Book) -> Any:
    worth, scored = book.need("value"), book.need("rfm")
    return worth.by(scored.customers, column="segment")


def _customers(native: Any, last: dt.date, days_per_unit: float) -> list[dict[str, Any]]:
    """Return the rows of a native table of customers as plain values, ids as text."""
    frame = nw.from_native(native)
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    names = eager.columns
    return [
        {
            "customer": wording.group(row[names[0]]),
            "purchases": int(row["frequency"]) + 1,
            "last_purchase": last - dt.timedelta(days=round((row["age"] - row["recency"]) * days_per_unit)),
            **{name: float(row[name]) for name in ("p_alive", "expected_spend", "clv", "value_at_risk")},
        }
        for row in eager.rows(named=True)
    ]


def _listed(which: str) -> Callable[[Book], Any]:
    """Return the step that lists customers by name."""

    def step(book: Book) -> Any:
        """Return the customers that a method of the value names."""
        worth = book.need("value")
        if not book.asked.listed:
            return []
        found = getattr(worth, which)(book.asked.listed)
        return _customers(found, book.tx.observed_until, worth.model.purchases.days_per_unit)

    return step


def _backtest(book: Book) -> Any:
    """Return how the model that was taken would have done, had it been fitted on the first two thirds of the log."""
    tx, model = book.tx, book.need("value").model.purchases.model
    if not isinstance(book.asked.model, (str, LifetimeFit)):
        model = book.asked.model  # its own penalty, a fit anew
    split = periods.to_date(tx.window.first + max(1, 2 * tx.window.days // 3) - 1)
    return backtest(tx, split, [model], by_cohort=None)


def _profit(book: Book) -> Any:
    # The second reading of profit is that of `loyalty.overview`: 80 %.
    return pareto(book.tx, revenue=0.80, value="profit", confidence=book.asked.confidence)


STEPS: dict[str, Callable[[Book], Any]] = {
    "repurchase": lambda book: repurchase_rate(book.tx, confidence=book.asked.confidence),
    "retention": lambda book: retention(book.tx, book.asked.period, confidence=book.asked.confidence),
    "retention_rate": lambda book: retention_rate(book.tx, book.asked.period, confidence=book.asked.confidence),
    "churn_rate": lambda book: churn_rate(book.tx, book.asked.period, confidence=book.asked.confidence),
    "silent": lambda book: churn_rate(
        book.tx, inactive_after=book.asked.inactive_after, confidence=book.asked.confidence
    ),
    "revenue_retention": lambda book: revenue_retention(book.tx, book.asked.period, confidence=book.asked.confidence),
    "cohorts": _cohorts,
    "tenure": lambda book: tenure(book.tx, inactive_after=book.asked.inactive_after, confidence=book.asked.confidence),
    "spending": lambda book: spending(book.tx, confidence=book.asked.confidence),
    "spend_distribution": lambda book: spend_distribution(book.tx),
    "gaps": lambda book: purchase_gaps(book.tx),
    "historical_value": _historical,
    "pareto": lambda book: pareto(book.tx, confidence=book.asked.confidence),
    "profit": _profit,
    "rfm": lambda book: rfm(book.tx),
    "upsell": lambda book: upsell_ratio(book.tx, confidence=book.asked.confidence),
    "nps": _nps,
    "wallet": _wallet,
    "value": _value,
    "value_by_segment": _by_segment,
    "value_concentration": lambda book: book.need("value").concentration(),
    "alive_by_recency": lambda book: book.need("value").alive_by_recency(),
    "purchase_counts": lambda book: book.need("value").model.purchases.purchase_counts(
        book.need("value").valuation.summary
    ),
    "backtest": _backtest,
    "quiet": _listed("going_quiet"),
    "best": _listed("top"),
}
