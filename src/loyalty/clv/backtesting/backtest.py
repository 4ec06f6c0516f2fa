"""Backtest: models fitted on the first part of a log, held against the rest of it and against rules of thumb."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import checks, periods, wording
from loyalty.clv.backtesting import comparison
from loyalty.clv.backtesting.forecasts import Forecast, naive, of_model
from loyalty.clv.backtesting.holdout import Holdout, hold_out
from loyalty.clv.backtesting.tracking import track
from loyalty.clv.backtesting.verdict import best, verdict
from loyalty.clv.models.predictions import LifetimeFit
from loyalty.clv.valuation.choosing import choose_purchases, choose_spend
from loyalty.errors import ConvergenceError, EmptyData, InvalidArgument
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary
    from loyalty.tables import Table
    from loyalty.transactions import Transactions

__all__ = ["Backtest", "backtest"]

Floats = NDArray[np.float64]


@takes_transactions
def backtest(
    tx: Transactions,
    split: Any,
    models: Any = ("BGNBD", "MBGNBD", "ParetoNBD"),
    *,
    spend_model: Any = None,
    margin: float = 1.0,
    confidence: float = 0.9,
    by_cohort: periods.PeriodName | None = "month",
    unit: str = "week",
    acquired_from: Any = None,
    acquired_until: Any = None,
) -> Backtest:
    """Fit models on the purchases until a day and compare what they expect of the rest with what happened.

    Naive baselines show what a model is worth: `last_period` (everybody does again what they did in the last period of
    the same length), `customer_rate` (everybody goes on at their own rate so far), `population_mean` (everybody does
    what customers do on average) and, for revenue, `ticket_formula` (average ticket × purchases per customer in such a
    period × margin, for everybody). The first three count repeat purchases only, as the models do; a calibration
    period shorter than the holdout is scaled to its length in `last_period`.

    Args:
        tx: The transactions.
        split: Last day of the calibration period; the holdout is the rest of the window.
        models: Names ("BGNBD", "MBGNBD", "ParetoNBD", "GGomNBD", "NBD", or "auto" for the one that fits best) or
            specifications of lifetime models, or fits made before, which are taken as they are; or a mapping from
            names of your own to these.
        spend_model: None for Gamma-Gamma where it is defined and else the mean of spend, "mean", "GammaGamma", a
            specification such as `GammaGamma(l2=0.1)`, or a fit. Where nothing can be fitted there is no revenue among
            the scores, and a note says why.
        margin: Share of spend that is earned, above 0: scales all revenue.
        confidence: Level of the predictive intervals.
        by_cohort: "day", "week", "month", "quarter" or "year" of the first purchase by which totals are compared; None
            leaves that out.
        unit: Unit of the models' times: "day", "week", "month" or "year".
        acquired_from: Only customers whose first purchase was on this day or later.
        acquired_until: Only customers whose first purchase was on this day or earlier.

    Returns:
        Scores of every model and baseline, totals by cohort, repeat purchases week by week, and a sentence.

    Raises:
        InvalidArgument: The split leaves no holdout or lies outside the window, or another argument is not allowed.
        EmptyData: Nobody was acquired by the split, or nobody of those had bought again.
        ConvergenceError: No model could be fitted.

    Ties and nulls: customers acquired after the split are not predicted, and counted in a note. Returns reduce the
    purchase they belong to whenever they happened, also across the split. Equal predictions share their rank, and the
    best tenth takes as much of those at its edge as it needs.

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow_sample())
        >>> result = backtest(tx, "1997-09-30", models=["BGNBD"])
        >>> result.n, result.days, result.scores["actual"][0]
        (2357, 273, 1882.0)
    """
    checks.confidence_level(confidence)
    if not checks.number("margin", margin) > 0.0:
        raise InvalidArgument(f"margin={margin!r}: give a share above 0, such as 0.3.")
    if by_cohort is not None:
        checks.choice("by_cohort", by_cohort, periods.PERIODS)
    wanted = _models(models)
    held = hold_out(tx, split, unit, acquired_from=acquired_from, acquired_until=acquired_until)
    fits, failed = _fits(wanted, held)
    spend_fit, unspent = _spend_fit(spend_model, held)
    forecasts = [of_model(name, fit, spend_fit, held, margin=float(margin), confidence=confidence)
                 for name, fit in fits.items()]  # fmt: skip
    forecasts += naive(held, float(margin), revenue=spend_fit is not None)
    return Backtest(
        kind=tx.engine.kind,
        split=periods.to_date(held.split),
        days=held.days,
        calibration_days=held.calibration_days,
        n=round(float(held.customers.sum())),
        acquired_later=held.acquired_later,
        confidence=float(confidence),
        margin=float(margin),
        unit=unit,
        scores=comparison.scores(held, forecasts, margin=float(margin), confidence=confidence),
        cohorts=None if by_cohort is None else comparison.cohorts(held, forecasts, by_cohort, margin=float(margin)),
        by_frequency=comparison.by_frequency(held, forecasts),
        tracking=track(held.daily, fits, tx.window, held.split, tx.engine.kind),
        fits=fits,
        spend_fit=spend_fit,
        notes=(*_notes(held), *_fit_notes(fits, held), *failed, *unspent),
        source=_Source.of(tx, held, forecasts),
    )


def _models(models: Any) -> dict[str, Any]:
    """Return names, specifications or fits by what they are to be called."""
    if isinstance(models, Mapping):
        given = {str(name): model for name, model in models.items()}
    else:
        several = isinstance(models, Iterable) and not isinstance(models, str)
        listed = list(models) if several else [models]
        given = {_name(model): model for model in listed}
        if len(given) < len(listed):
            raise InvalidArgument(
                "models= names a model twice: give a mapping from names of your own to models, such as "
                '{"plain": ly.BGNBD(), "held": ly.BGNBD(l2=0.1)}.'
            )
    if not given:
        raise InvalidArgument('models= is empty: name one, such as models=["BGNBD"].')
    return given


def _name(model: Any) -> str:
    """Return what a model is called: a name as it is spelled, of a specification or a fit its own."""
    if isinstance(model, str):
        return model
    return str(getattr(model, "model", None) or getattr(model, "name", type(model).__name__))


def _fits(models: Mapping[str, Any], held: Holdout) -> tuple[dict[str, LifetimeFit], list[str]]:
    """Return the fits of models that can be fitted, and why the others cannot."""
    fits, failed = {}, []
    error: ConvergenceError | None = None
    for name, model in models.items():
        if isinstance(model, LifetimeFit):
            model.check_summary(held.summary)
        try:
            fit = choose_purchases(model, held.summary)[0]
            fits[name if name != "auto" else f"auto: {fit.model}"] = fit
        except ConvergenceError as err:
            error = err
            failed.append(f"{name} is left out: {err}")
    if error is not None and not fits:
        raise error
    return fits, failed


def _spend_fit(spend_model: Any, held: Holdout) -> tuple[Any, list[str]]:
    """Return the fitted spend model, or None and why there is none."""
    try:
        fit = choose_spend(spend_model, held.summary, None)
    except (ConvergenceError, EmptyData) as err:
        return None, [f"Revenue is left out, for spend cannot be modelled: {err}"]
    return fit, list(fit.notes)


def _notes(held: Holdout) -> list[str]:
    """Return what a reader must know about who is predicted."""
    notes = list(held.summary.notes)
    if held.acquired_later:
        notes.append(
            f"{wording.counted(held.acquired_later, 'customers')} acquired after the split cannot be predicted from "
            "what was known then, and what they bought is in no number here."
        )
    if held.elsewhen:
        notes.append(f"{wording.counted(held.elsewhen, 'customers')} acquired outside the span asked for are left out.")
    return notes


def _fit_notes(fits: Mapping[str, LifetimeFit], held: Holdout) -> list[str]:
    """Return what is to be said of fits that are not plainly converged."""
    own = {name: [note for note in fit.notes if note not in held.summary.notes] for name, fit in fits.items()}
    return [f"{name} ({fits[name].status}): {' '.join(notes)}" for name, notes in own.items() if notes]


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """What the table of customers is made from, when it is read.

    Attributes:
        tx: The transactions.
        summary: The customers as the split saw them.
        split: Civil day number of the split.
        expected: Expected purchases by model, of each cell of the summary.
    """

    tx: Transactions
    summary: CustomerSummary
    split: int
    expected: Mapping[str, Floats]

    @classmethod
    def of(cls, tx: Transactions, held: Holdout, forecasts: list[Forecast]) -> _Source:
        """Return the source that keeps what models expect of each cell."""
        expected = {}
        for forecast in forecasts:
            if forecast.kind == "model" and forecast.purchases is not None:
                expected[forecast.name] = np.empty(len(held.cells))
                expected[forecast.name][held.cell] = forecast.purchases
        return cls(tx, held.summary, held.split, expected)

    def customers(self) -> Any:
        """Return a row per customer; see `Backtest.customers`."""
        window = self.tx.window
        after = self.tx.engine.table("purchases").filter(nw.col("day") > self.split, nw.col("day") <= window.last)
        after = after.group_by("customer").agg(actual_purchases=nw.len(), actual_spend=nw.col("spend").sum())
        frame = self.summary.with_cells(self.expected).join(after, on="customer", how="left")
        outcomes = ["actual_purchases", "actual_spend"]
        frame = frame.with_columns(*(nw.col(name).fill_null(0) for name in outcomes))
        front = ["customer", "frequency", "recency", "age", "monetary_value"]
        return self.summary.hand_back(frame.select(*front, *outcomes, *self.expected))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Backtest:
    """Models and rules of thumb against what customers did after a split of the log.

    Attributes:
        kind: The kind of frame that tables come back as.
        split: Last day of the calibration period.
        days: Days of the holdout period.
        calibration_days: Days of the calibration period, from the first on which a customer could be acquired.
        n: Customers who are predicted: those acquired by the split.
        acquired_later: Customers acquired after it.
        confidence: Level of the predictive intervals.
        margin: Share of spend that is earned.
        unit: Unit of the models' times.
        scores: A row per target ("purchases", "revenue") and forecast. `target`, `name`, `kind` ("model" or
            "baseline"); `predicted`, `predicted_low`, `predicted_high` (predictive interval of the total), `actual`,
            `bias` (predicted ÷ actual − 1); `mae`, `rmse` (per customer), `excess` (of the mean squared error over
            that of the best model), `excess_error` (its standard error); `rank_correlation` (Spearman), `top_decile`
            (share of the actual total that the tenth predicted best brings); `coverage`, `coverage_pit` (share of
            customers inside their predictive interval), `log_score` (mean logarithm of the probability given to the
            count that happened). NaN where a forecast has no such thing.
        cohorts: A row per target and period of first purchase with totals: `target`, `cohort`, `start`, `customers`,
            `actual` and a column per forecast; None where not asked for.
        by_frequency: A row per number of repeat purchases before the split ("0", …, "7+") with means per customer:
            `frequency`, `customers`, `actual` and a column per model.
        tracking: A row per week; see `loyalty.tracking`.
        fits: The fitted models by name.
        spend_fit: The fitted spend model; None where there is none.
        notes: What a reader must know, a sentence each.
        source: Where `customers` comes from.
    """

    kind: str
    split: dt.date
    days: int
    calibration_days: int
    n: int
    acquired_later: int
    confidence: float
    margin: float
    unit: str
    scores: Table
    cohorts: Table | None = field(repr=False)
    by_frequency: Table = field(repr=False)
    tracking: Table = field(repr=False)
    fits: Mapping[str, Any]
    spend_fit: Any
    notes: tuple[str, ...]
    source: _Source = field(repr=False)

    @property
    def winner(self) -> str:
        """The model with the smallest root mean squared error of purchases: what an expectation should make small."""
        return str(best(list(self.scores), "purchases", "model")["name"])

    @property
    def best_baseline(self) -> str:
        """The baseline with the smallest root mean squared error of purchases."""
        return str(best(list(self.scores), "purchases", "baseline")["name"])

    @property
    def customers(self) -> Any:
        """A row per customer as the source's own kind of frame; computed when read.

        Columns: the customer column, `frequency`, `recency`, `age`, `monetary_value` at the split, `actual_purchases`
        and `actual_spend` (before margin) after it, and a column of expected purchases per model.

        Raises:
            ClosedError: The transactions were closed.
        """
        return self.source.customers()

    @property
    def sentence(self) -> str:
        """Which model is best, whether it beats the rules of thumb, and how far its total is off."""
        rows = list(self.scores)
        who = f"{wording.counted(self.n, 'customers')} acquired by {self.split}"
        told = [
            f"{who}, followed for {wording.counted(self.days, 'days')}.",
            verdict(rows, "purchases", self.confidence),
        ]
        if self.spend_fit is not None:
            told.append(verdict(rows, "revenue", self.confidence))
        return " ".join(told)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join([self.sentence, *(f"Note: {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the customers as JSON-ready values; what is undefined becomes None."""
        plain = {
            name: wording.jsonable(getattr(self, name))
            for name in ("split", "days", "calibration_days", "n", "acquired_later", "confidence", "margin", "unit")
        }
        tables = {
            name: None if table is None else table.to_dict()["rows"]
            for name, table in (
                ("scores", self.scores),
                ("cohorts", self.cohorts),
                ("by_frequency", self.by_frequency),
                ("tracking", self.tracking),
            )
        }
        fits = {name: wording.jsonable(fit.to_dict()) for name, fit in self.fits.items()}
        spend = None if self.spend_fit is None else wording.jsonable(self.spend_fit.to_dict())
        winners = {"winner": self.winner, "best_baseline": self.best_baseline}
        head = {**plain, **winners, "sentence": self.sentence, "notes": list(self.notes)}
        return {**head, **tables, "fits": fits, "spend_fit": spend}

    def to_native(self) -> Any:
        """Return the scores as a frame of the caller's kind."""
        return self.scores.to_native()

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{html.escape(text)}</p>" for text in (self.sentence, *self.notes))
        return said + self.scores._repr_html_()

    def plot(self, ax: Any = None) -> Any:
        """Draw repeat purchases week by week with what models expected; returns the matplotlib Axes.

        `by_frequency.plot()` draws the other picture, and `tracking.plot(cumulative=False)` weeks by themselves.
        """
        return self.tracking.plot(ax=ax)
