"""Forecasts set against what happened: the tables of a backtest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loyalty import periods, wording
from loyalty.clv.backtesting import measures
from loyalty.clv.backtesting.verdict import best
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.backtesting.forecasts import Forecast
    from loyalty.clv.backtesting.holdout import Holdout
    from loyalty.clv.backtesting.spans import Span
    from loyalty.periods import PeriodName

__all__ = ["TARGETS", "by_frequency", "cohorts", "scores"]

Floats = NDArray[np.float64]

TARGETS = ("purchases", "revenue")
_MEASURES = ("rank_correlation", "top_decile", "coverage", "coverage_pit", "log_score")
_MOST = 7  # purchases from which on customers are counted together


def _outcomes(held: Holdout, margin: float) -> dict[str, Floats]:
    """Return what happened, by target."""
    return {"purchases": held.purchases, "revenue": held.revenue * margin}


def scores(held: Holdout, forecasts: Sequence[Forecast], *, margin: float, confidence: float) -> Table:
    """Return the table with a row per target and forecast; see `loyalty.backtest`."""
    import pyarrow as pa

    lines: list[dict[str, Any]] = []
    for target, actual in _outcomes(held, margin).items():
        happened = _Happened(actual, measures.Levels.of(actual, held.customers, sums=True), held.customers)
        given = {forecast.name: getattr(forecast, target) for forecast in forecasts}
        for forecast in forecasts:
            predicted = given[forecast.name]
            if predicted is not None:
                head = {"target": target, "name": forecast.name, "kind": forecast.kind}
                counts = target == "purchases"
                limits = forecast.total_purchases if counts else forecast.total_revenue
                span = forecast.count_span if counts else forecast.revenue_span
                lines.append(head | _score(predicted, happened, limits, span, confidence))
        if any(line["target"] == target and line["kind"] == "model" for line in lines):
            _set_apart(lines, target, given, happened)
    named = {"target", "name", "kind"}
    data = {name: pa.array([line[name] for line in lines], pa.string() if name in named else pa.float64())
            for name in lines[0]}  # fmt: skip
    return Table(
        name="forecasts against what happened",
        data=pa.table(data),
        kind=held.summary.kind,
        sentence=f"{wording.counted(len(lines), 'forecasts')} of what {wording.counted(_whole(held), 'customers')} did "
        f"in {wording.counted(held.days, 'days')}.",
        definition="bias: predicted ÷ actual − 1 of the total. mae, rmse: mean absolute error and root of the mean "
        "squared error per customer; excess: by how much its square exceeds that of the best model, with its standard "
        "error. rank_correlation: Spearman's. top_decile: share of the actual total that the "
        "tenth of customers predicted best brings. coverage: share of customers inside their predictive interval "
        f"({wording.level(confidence)}); coverage_pit: the same with counts made continuous, which is the level for a "
        "true model. "
        "log_score: mean logarithm of the probability given to the count that happened.",
        units=dict.fromkeys(("bias", "top_decile", "coverage", "coverage_pit"), "share"),
        note=""
        if held.purchases.any()
        else "nobody bought in the holdout period: there is nothing to rank or to share",
        chart="scoreboard",
    )


def _whole(held: Holdout) -> int:
    """Return the number of customers who are predicted."""
    return round(float(held.customers.sum()))


def _set_apart(lines: list[dict[str, Any]], target: str, given: dict[str, Floats], happened: _Happened) -> None:
    """Add to the lines of a target how far each forecast is behind the best model, and whether that may be chance."""
    first = given[best(lines, target, "model")["name"]]
    for line in lines:
        if line["target"] == target:
            found = measures.excess(given[line["name"]], first, happened.actual, happened.customers)
            line["excess"], line["excess_error"] = found


class _Happened(NamedTuple):
    """What happened: values, their levels, and how many customers each row stands for."""

    actual: Floats
    levels: measures.Levels
    customers: Floats


def _score(
    predicted: Floats, happened: _Happened, limits: tuple[float, float], span: Span | None, confidence: float
) -> dict[str, Any]:
    """Return the measures of a forecast."""
    actual, levels, customers = happened
    expected, total = float(predicted @ customers), float(actual @ customers)
    mae, rmse = measures.errors(predicted, actual, customers)
    found = dict.fromkeys(_MEASURES, math.nan)
    if np.isfinite(predicted).all():
        order = measures.Levels.of(predicted, customers)
        found["rank_correlation"] = measures.rank_correlation(order, levels, customers)
        found["top_decile"] = measures.top_share(order, actual, customers)
    if span is not None:
        found["coverage"] = measures.coverage(span.below, span.upto, span.customers, confidence)
        found["coverage_pit"] = measures.pit_coverage(span.below, span.upto, span.customers, confidence)
        if len(span.exactly):
            with np.errstate(divide="ignore"):  # what was held to be impossible scores minus infinity
                found["log_score"] = float(np.log(span.exactly) @ span.customers / span.customers.sum())
    return {
        "predicted": expected,
        "predicted_low": limits[0],
        "predicted_high": limits[1],
        "actual": total,
        "bias": expected / total - 1.0 if total > 0.0 else math.nan,
        "mae": mae,
        "rmse": rmse,
        "excess": math.nan,
        "excess_error": math.nan,
        **found,
    }


def cohorts(held: Holdout, forecasts: Sequence[Forecast], period: PeriodName, *, margin: float) -> Table:
    """Return what customers acquired in each calendar period did, and what was expected of them.

    Columns: `target`, `cohort`, `start` (date), `customers`, `actual` and a column per forecast with totals; a forecast
    that says nothing of the target is missing.
    """
    import pyarrow as pa

    first = periods.period_index(held.split - held.age, period)[held.cell]
    index, place = np.unique(first, return_inverse=True)
    people = np.bincount(place, weights=held.customers)
    parts = []
    for target, actual in _outcomes(held, margin).items():
        given = {forecast.name: getattr(forecast, target) for forecast in forecasts}
        if all(values is None for values in given.values()):
            continue
        columns = {"actual": actual, **given}
        sums = {name: None if values is None else np.bincount(place, weights=values * held.customers)
                for name, values in columns.items()}  # fmt: skip
        parts.append(
            pa.table(
                {
                    "target": [target] * len(index),
                    "cohort": [periods.period_label(int(one), period) for one in index],
                    "start": pa.array([periods.to_date(periods.period_start(int(one), period)) for one in index]),
                    "customers": np.rint(people).astype(np.int64),
                    **{name: pa.array([None] * len(index) if total is None else total, pa.float64())
                       for name, total in sums.items()},
                }
            )
        )  # fmt: skip
    return Table(
        name=f"forecasts by {period} of first purchase",
        data=pa.concat_tables(parts),
        kind=held.summary.kind,
        sentence=f"{wording.counted(len(index), 'cohorts')} by {period} of first purchase.",
        definition=f"Totals of the holdout period, of customers acquired in each {period}: what happened and what was "
        "expected.",
    )


def by_frequency(held: Holdout, forecasts: Sequence[Forecast]) -> Table:
    """Return purchases per customer in the holdout by repeat purchases before it, as they were and as expected.

    Columns: `frequency` ("0", "1", …, "7+"), `customers`, `actual` and a column per model.
    """
    import pyarrow as pa

    x = np.minimum(held.cells.x[held.cell], _MOST).astype(np.int64)
    counts, place = np.unique(x, return_inverse=True)
    people = np.bincount(place, weights=held.customers)
    given = {forecast.name: forecast.purchases for forecast in forecasts
             if forecast.kind == "model" and forecast.purchases is not None}  # fmt: skip
    means = {name: np.bincount(place, weights=values * held.customers) / people
             for name, values in {"actual": held.purchases, **given}.items()}  # fmt: skip
    names = [f"{count}+" if count == _MOST else str(count) for count in counts]
    return Table(
        name="purchases after the split by repeat purchases before it",
        data=pa.table({"frequency": names, "customers": np.rint(people).astype(np.int64), **means}),
        kind=held.summary.kind,
        sentence=f"Customers in {wording.counted(len(counts), 'groups')} by their repeat purchases before the split.",
        definition="Mean purchases per customer in the holdout period, by repeat purchases in the calibration period.",
        chart="conditional_expectation",
    )
