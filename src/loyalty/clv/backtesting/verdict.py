"""What a backtest says in words: which model is best, whether it beats rules of thumb, and how far off its total is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from loyalty import intervals, wording

__all__ = ["best", "verdict"]

Row = Mapping[str, Any]

_SAME = 1.0001  # errors that differ by a smaller factor are equal

_BEYOND_WORDS = 10.0  # a total that is off by more is not told in per cent

_RULES = {
    "last_period": "the same again as in the last period",
    "customer_rate": "everybody at their own rate so far",
    "population_mean": "the same average for everybody",
    "ticket_formula": "average ticket × frequency × margin",
}


def best(rows: Sequence[Row], target: str, kind: str) -> Row:
    """Return the forecast of the smallest root mean squared error, of nearly equal ones the first.

    An expectation is what makes the squared error small. The absolute error would choose the median, which for most
    customers is to buy nothing.

    Args:
        rows: The rows of the scores.
        target: "purchases" or "revenue".
        kind: "model" or "baseline".
    """
    found = [row for row in rows if row["target"] == target and row["kind"] == kind]
    errors = [math.inf if math.isnan(row["rmse"]) else row["rmse"] for row in found]
    least = min(errors)
    return next(row for row, error in zip(found, errors, strict=True) if error <= least * _SAME)


def verdict(rows: Sequence[Row], target: str, confidence: float) -> str:
    """Return the sentences about a target; arguments as in `best`, and the level of intervals."""
    first, rival = best(rows, target, "model"), best(rows, target, "baseline")
    error, other = (wording.quantity(row["rmse"], "money" if target == "revenue" else "") for row in (first, rival))
    rule = f"best rule of thumb ({_RULES[rival['name']]})"
    if not first["rmse"] < rival["rmse"]:
        return (
            f"{target.capitalize()}: no model beats the {rule}, whose error per customer (RMSE) is {other}; "
            f"{first['name']} comes nearest with {error}. {_total(first, confidence)}"
        )
    others = [row for row in rows if row["target"] == target and row["kind"] == "model" and row is not first]
    near = [row["name"] for row in others if not _behind(row, confidence)]
    alike = f" ({', '.join(near)} no worse beyond chance)" if near else ""
    gain = wording.quantity(1.0 - first["rmse"] / rival["rmse"], "share")
    chance = "" if _behind(rival, confidence) else ", which may be chance"
    head = f"{target.capitalize()}: {first['name']} predicts {f'best{alike}, ' if others else ''}"
    return (
        f"{head}with an error per customer (RMSE) of {error}, {gain} below the {other} of the {rule}{chance}. "
        f"{_total(first, confidence)}"
    )


def _behind(row: Row, confidence: float) -> bool:
    """Return whether a forecast is worse than the best model by more than chance."""
    return not row["excess"] <= intervals.normal_quantile(confidence) * row["excess_error"]


def _total(row: Row, confidence: float) -> str:
    """Return what was expected in all, and what came."""
    money = row["target"] == "revenue"
    expected, happened, low, high = (
        wording.plain(round(row[name]) if math.isfinite(row[name]) else row[name])
        for name in ("predicted", "actual", "predicted_low", "predicted_high")
    )
    limits = "" if math.isnan(row["predicted_low"]) else f" ({wording.level(confidence)} interval {low} to {high})"
    text = f"It expected {expected}{'' if money else ' purchases'} in all{limits}, and {happened} came"
    if not math.isfinite(row["bias"]) or expected == happened or abs(row["bias"]) > _BEYOND_WORDS:
        return f"{text}."
    much, little = ("much", "little") if money else ("many", "few")
    size = wording.quantity(abs(row["bias"]), "share")
    return f"{text}: {size} too {much if row['bias'] > 0.0 else little}."
