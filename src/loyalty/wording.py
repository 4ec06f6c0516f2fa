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

__all__ = [
    "counted",
    "estimate_sentence",
    "group",
    "html_table",
    "jsonable",
    "level",
    "missing",
    "number",
    "plain",
    "quantity",
    "span",
]

_DECIMALS = {"share": 1, "points": 1, "ratio": 3, "money": 2, "days": 1}
_BARE = {"share": " %", "ratio": "", "money": "", "": ""}  # units that are not written as a word
_HUGE = 1e15  # from here on digits are short: 1.23e+17
_NOUGHT = 1e-9  # money closer to nothing than this is the rounding of a sum
# Methods of estimates that may count units of a number of units: "3 of 10 customers".
_COUNTING = {"wilson", "adjusted_wald", "wald", "linearised"}


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
    if isinstance(value, float) and not math.isfinite(value):
        return "infinite"
    if abs(value) >= _HUGE:
        return f"{value:.4g}"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 0.01 else f"{value:.3g}"


def counted(count: Any, noun: str, one: str = "") -> str:
    """Return how many of something: a count and its noun, in the singular for one.

    Args:
        count: The count.
        noun: The noun in the plural.
        one: The noun in the singular; by default `noun` without the plural of its last word.

    Examples:
        >>> counted(3, "customers"), counted(1, "customers"), counted(1200, "product types"), counted(1, "companies")
        ('3 customers', '1 customer', '1,200 product types', '1 company')
    """
    text = plain(count)
    return f"{text} {(one or _singular(noun)) if text == '1' else noun}"


def _singular(noun: str) -> str:
    """Return a plural without its ending."""
    return f"{noun[:-3]}y" if noun.endswith("ies") else noun.removesuffix("s")


def group(value: Any) -> str:
    """Return the value of a group as text; the group of nulls is "(none)".

    Examples:
        >>> [group(value) for value in ("north", 2024, 2.0, 0.5, None)]
        ['north', '2024', '2', '0.5', '(none)']
    """
    if missing(value):
        return "(none)"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def quantity(value: Any, unit: str) -> str:
    """Return a value in its unit: 0.4886 of unit "share" becomes "48.9 %", 12.3 of "days" "12.3 days".

    Examples:
        >>> quantity(0.4886, "share"), quantity(12.34, "days"), quantity(float("nan"), "money")
        ('48.9 %', '12.3 days', 'not defined')
        >>> quantity(3.0, "purchases"), quantity(1.0, "purchases"), quantity(0.0005, "money")
        ('3 purchases', '1 purchase', '0.00050')
    """
    text = number(value, unit)
    if not _finite(value):
        return text
    return text + _BARE.get(unit, f" {_singular(unit) if text == '1' else unit}")


def number(value: Any, unit: str) -> str:
    """Return a value as `quantity` does, without its unit: 0.4886 of unit "share" becomes "48.9".

    Money below 0.1 keeps two significant digits, and a whole number of what is counted has no decimals.
    """
    if not _finite(value):
        return plain(value)
    shown = value * 100 if unit == "share" else value
    if abs(shown) >= _HUGE:
        return f"{shown:.4g}"
    digits = f"{shown:,.{_decimals(shown, unit)}f}"
    return digits.removeprefix("-") if float(digits.replace(",", "")) == 0.0 else digits


def _finite(value: Any) -> bool:
    """Return whether a value is a number that has digits."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _decimals(value: float, unit: str) -> int:
    """Return how many decimals a number of some unit is shown with."""
    if unit.startswith("money") and _NOUGHT < abs(value) < 0.1:
        return 1 - math.floor(math.log10(abs(value)))
    if unit in _DECIMALS:
        return _DECIMALS[unit]
    whole = unit not in _BARE and not unit.startswith("money") and float(value).is_integer()
    return 0 if whole or abs(value) >= 1_000 else 2


def span(low: float, high: float, unit: str) -> str:
    """Return an interval in its unit, which is said once: "70.5 to 73.9 days".

    Examples:
        >>> span(70.5, 73.9, "days"), span(0.1, 0.2, "share")
        ('70.5 to 73.9 days', '10.0 % to 20.0 %')
    """
    once = unit != "share" and _finite(high)
    return f"{number(low, unit) if once else quantity(low, unit)} to {quantity(high, unit)}"


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
    above, below, units = estimate.numerator, estimate.denominator, counted(estimate.n, estimate.counted)
    if estimate.unit == "share" and below == estimate.n and (_counting(estimate) or not below):
        return f"{plain(above)} of {units}"
    # Of a total or a mean per unit, what it was divided by is 1 or the number of units: nothing to tell.
    told = estimate.unit not in {"share", "ratio"} and below in {1, estimate.n}
    if told or missing(above):
        return units
    return f"{plain(above)} / {plain(below)}, {units}"


def _counting(estimate: Estimate) -> bool:
    """Return whether a share is one of units: sums of money are floats, and only counts are whole by type."""
    whole = isinstance(estimate.numerator, Integral) and isinstance(estimate.denominator, Integral)
    return whole and estimate.method in _COUNTING


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
    if isinstance(value, dt.timedelta):
        return _duration(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) or hasattr(value, "__float__"):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _duration(value: dt.timedelta) -> str:
    """Return a span of time as ISO 8601 writes it: a day and a half is "P1DT12H0M0S"."""
    size = abs(value)
    minutes, seconds = divmod(size.seconds, 60)
    part = f".{size.microseconds:06}" if size.microseconds else ""
    sign = "-" if value < dt.timedelta(0) else ""
    return f"{sign}P{size.days}DT{minutes // 60}H{minutes % 60}M{seconds}{part}S"
