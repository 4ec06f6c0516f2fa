"""How numbers are said: sentences, small HTML tables and JSON-ready values; computes nothing."""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loyalty.estimates import Estimate

__all__ = ["estimate_sentence", "html_table", "jsonable", "level", "missing", "plain", "quantity", "span"]

_DECIMALS = {"share": 1, "points": 1, "ratio": 3, "money": 2, "days": 1}


def missing(value: Any) -> bool:
    """Return whether a value is None, NaN or NaT (which are not equal to themselves)."""
    return value is None or bool(value != value)  # noqa: PLR0124 (that is the test)


def plain(value: Any) -> str:
    """Return a count, sum or label as short text: thousands separated, at most two decimals."""
    if missing(value):
        return "not defined"
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    value = int(value) if isinstance(value, Integral) else float(value)
    if not math.isfinite(value):
        return "infinite"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 0.01 else f"{value:.3g}"


def quantity(value: Any, unit: str) -> str:
    """Return a value in its unit: 0.4886 of unit "share" becomes "48.9 %", 12.3 of "days" "12.3 days".

    Examples:
        >>> quantity(0.4886, "share"), quantity(12.34, "days"), quantity(float("nan"), "money")
        ('48.9 %', '12.3 days', 'not defined')
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return plain(value)
    decimals = _DECIMALS.get(unit, 0 if abs(value) >= 1_000 else 2)
    number = f"{value * 100 if unit == 'share' else value:,.{decimals}f}"
    if float(number.replace(",", "")) == 0.0:
        number = number.removeprefix("-")
    suffix = {"share": " %", "ratio": "", "money": "", "": ""}.get(unit, f" {unit}")
    return number + suffix


def span(low: float, high: float, unit: str) -> str:
    """Return an interval in its unit, which is said once: "70.5 to 73.9 days".

    Examples:
        >>> span(70.5, 73.9, "days"), span(0.1, 0.2, "share")
        ('70.5 to 73.9 days', '10.0 % to 20.0 %')
    """
    start, end = quantity(low, unit), quantity(high, unit)
    suffix = f" {unit}"
    return f"{start.removesuffix(suffix) if end.endswith(suffix) else start} to {end}"


def level(confidence: float) -> str:
    """Return a confidence level as a percentage without needless decimals: 0.95 becomes "95 %"."""
    return f"{round(confidence * 100, 6):g} %"


def estimate_sentence(estimate: Estimate) -> str:
    """Return the sentence of an estimate: name, value, interval, counts, note."""
    head = f"{estimate.name[:1].upper()}{estimate.name[1:]}: {quantity(estimate.value, estimate.unit)}"
    parts = []
    if not (math.isnan(estimate.low) and math.isnan(estimate.high)):
        parts.append(f"{level(estimate.confidence)} interval {span(estimate.low, estimate.high, estimate.unit)}")
    parts.append(_counts(estimate))
    note = f" Note: {estimate.note}." if estimate.note else ""
    return f"{head} ({'; '.join(parts)}).{note}"


def _counts(estimate: Estimate) -> str:
    """Return what the value was counted from."""
    if estimate.unit == "share" and estimate.n == estimate.denominator:
        return f"{plain(estimate.numerator)} of {plain(estimate.denominator)} {estimate.counted}"
    total = estimate.denominator == 1  # of a total there is nothing to divide by
    if total or estimate.denominator == estimate.n or missing(estimate.numerator):
        return f"{plain(estimate.n)} {estimate.counted}"
    return f"{plain(estimate.numerator)} / {plain(estimate.denominator)}, {plain(estimate.n)} {estimate.counted}"


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a small HTML table; every text is escaped."""
    top = "".join(f"<th>{html.escape(str(cell).replace('_', ' '))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def jsonable(value: Any) -> Any:  # noqa: PLR0911 (a line per kind of value)
    """Return a value that `json.dumps(..., allow_nan=False)` takes: NaN and infinity become None, dates ISO text."""
    if isinstance(value, (str, bool)):
        return value
    if missing(value):
        return None
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) or hasattr(value, "__float__"):
        return float(value) if math.isfinite(value) else None
    return str(value)
