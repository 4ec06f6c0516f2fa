"""Whether the forecast can be believed: tested on the past, and held against what customers did."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loyalty.clv.backtesting.verdict import best
from loyalty.reporting.document import Paragraph, Picture, Quantity, Section, Verbatim
from loyalty.reporting.sections.parts import (
    absent,
    blocks,
    counted,
    drawing,
    know,
    notices,
    rows_of,
    said,
    share,
    table,
    warned,
)

if TYPE_CHECKING:
    from loyalty.reporting.document import Block, Said
    from loyalty.reporting.numbers import Numbers
    from loyalty.tables import Table

__all__ = ["forecast"]

_NUMBERS = re.compile(r"\d")
_FEW = 10  # repeat purchases that are told with a decimal
_TOO_FEW = 30  # purchases in the test below which chance decides how far off a total is
_GOOD, _FAIR = 0.10, 0.25  # a total that is off by less is good, or fair
_RULES = ("last_period", "customer_rate", "population_mean")


def forecast(numbers: Numbers) -> Section:
    """Return the section on whether the forecast can be believed."""
    there = numbers.has("value")
    told = (*numbers["value"].notes, *numbers["backtest"].notes) if there and numbers.has("backtest") else ()
    rest = (_test(numbers), _counts(numbers), _models(numbers)) if there else (absent(numbers, "value"),)
    tested = numbers.has("backtest")
    return Section(
        anchor="forecast",
        title=said("forecast.title"),
        lead=_lead(numbers["backtest"]) if tested else None,
        blocks=blocks(*rest, warned(numbers, "backtest", "purchase_counts", told=told)),
    )


def _outcome(found: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scores of the model and of the best rule of thumb."""
    rows = list(found.scores)
    return best(rows, "purchases", "model"), best(rows, "purchases", "baseline")  # type: ignore[return-value]


def _lead(found: Any) -> Said:
    """Return a verdict: the total first, then single customers."""
    model, rule = _outcome(found)
    off = abs(model["bias"])
    ahead = model["rmse"] < rule["rmse"]
    if not know(off):
        return said("forecast.verdict.unknown")
    if model["actual"] < _TOO_FEW:
        return said("forecast.verdict.few", count=round(model["actual"]))
    size = "good" if off <= _GOOD else "fair" if off <= _FAIR else "poor"
    return said(f"forecast.verdict.{size}" if ahead or size == "poor" else f"forecast.verdict.{size}_total",
                off=share(off))  # fmt: skip


def _test(numbers: Numbers) -> Iterator[Block]:
    """Yield the test on the past."""
    if not numbers.has("backtest"):
        yield absent(numbers, "backtest")
        return
    found = numbers["backtest"]
    model, rule = _outcome(found)
    bias = model["bias"]
    yield Paragraph(said("forecast.test", split=found.split, count=int(found.days),
                         customers=counted("customers", found.n)))  # fmt: skip
    totals = {"predicted": _repeats(model["predicted"]), "actual": round(model["actual"])}
    if know(bias) and round(bias, 3):
        yield Paragraph(said("forecast.too_many" if bias > 0 else "forecast.too_few", off=share(abs(bias)), **totals))
    else:
        yield Paragraph(said("forecast.total", **totals))
    if know(model["rmse"], rule["rmse"]) and rule["rmse"] > 0.0:
        gain = 1.0 - model["rmse"] / rule["rmse"]
        key = "forecast.closer" if gain > 0.0 else "forecast.no_closer"
        key = key if round(abs(gain), 3) else "forecast.as_close"
        name = rule["name"] if rule["name"] in _RULES else "other"
        yield Paragraph(said(key, gain=share(abs(gain)), rule=said(f"forecast.rule.{name}")))
    columns = {"week": "count", "start": "date", "actual": "count", "expected": "count"}
    yield Picture(
        draw=drawing(found.tracking),
        alt=_tracking_alt(found),
        caption=said("forecast.tracking_caption", split=found.split),
        table=table(said("forecast.tracking_table"), columns, _weeks(found)),
    )
    # What stands beside the values already is not said twice: "Left out of the fit: 7 …" beside "…: 11 …" neither.
    told = {_NUMBERS.split(note)[0] for note in numbers["value"].notes}
    yield from notices(*(note for note in found.notes if _NUMBERS.split(note)[0] not in told or note[:1].isdigit()))


def _repeats(expected: float) -> Said:
    """Return how many repeat purchases were expected, with a decimal where they are few."""
    few = Quantity(round(expected, 1), "tenths") if expected < _FEW else round(expected)
    return said("count.repeats", count=few)


def _weeks(found: Any) -> list[tuple[Any, ...]]:
    """Return the last year of the weeks, as they were and as they were expected."""
    name = next(iter(found.fits))
    rows = found.tracking.data.select(["week", "start", "actual", name]).to_pylist()
    return [tuple(row.values()) for row in rows[-53:]]


def _tracking_alt(found: Any) -> Said:
    """Return what is to be seen: where both curves end."""
    name = next(iter(found.fits))
    last = found.tracking.data.slice(len(found.tracking) - 1).to_pylist()[0]
    return said("forecast.tracking_alt", actual=counted("purchases", last["cumulative_actual"]),
                expected=round(last[f"cumulative_{name}"]), split=found.split, last=last["end"])  # fmt: skip


def _counts(numbers: Numbers) -> Iterator[Block]:
    """Yield how many customers bought how often, counted and expected."""
    if not numbers.has("purchase_counts"):
        yield absent(numbers, "purchase_counts")
        return
    found: Table = numbers["purchase_counts"]
    rows = list(found)
    people = sum(row["customers"] for row in rows)
    apart = sum(abs(row["customers"] - row["expected"]) for row in rows) / 2
    yield Picture(
        draw=drawing(found),
        alt=said("forecast.counts_alt", none=counted("customers", round(rows[0]["customers"])),
                 expected=round(rows[0]["expected"]), apart=share(apart / people)),
        caption=said("forecast.counts_caption"),
        table=table(
            said("forecast.counts_table"),
            {"repeats": "text", "customers": "count", "expected_customers": "count"},
            rows_of(found, "label", "customers", "expected"),
        ),
    )  # fmt: skip
    yield from notices(found.note)


def _models(numbers: Numbers) -> Iterator[Block]:
    """Yield which models were tried."""
    value = numbers["value"]
    rows = list(value.compared)
    if len(rows) > 1:
        yield table(
            said("forecast.models_table"),
            {"model": "text", "log_likelihood": "count", "aic": "count", "delta_aic": "count", "status": "text"},
            [(Verbatim(row["model"]), row["log_likelihood"], row["aic"], row["delta_aic"],
              said(f"forecast.status.{'chosen' if row['chosen'] else row['status']}")) for row in rows],
        )  # fmt: skip
    names = {"purchases": Verbatim(value.model.purchases.model), "spend": Verbatim(value.model.spend.model)}
    yield Paragraph(said("forecast.models", **names))
