"""Validation of scalars and names: one sentence per mistake, with the way out."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from loyalty.errors import ColumnError, InvalidArgument

__all__ = ["choice", "column", "confidence_level", "count", "fraction", "number"]


def confidence_level(value: float) -> float:
    """Return `value` as a float strictly between 0 and 1, or raise `InvalidArgument`."""
    if not 0.0 < _float(value) < 1.0:
        raise InvalidArgument(
            f"confidence={value!r} is not a level: give a number strictly between 0 and 1, such as 0.95."
        )
    return float(value)


def fraction(name: str, value: float) -> float:
    """Return `value` as a float with 0 < value ≤ 1, or raise `InvalidArgument`."""
    if not 0.0 < _float(value) <= 1.0:
        raise InvalidArgument(
            f"{name}={value!r} is not a share: give a number above 0 and at most 1, such as 0.3 for 30 %."
        )
    return float(value)


def number(name: str, value: float, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as a finite float with low ≤ value ≤ high, or raise `InvalidArgument`."""
    if not math.isfinite(_float(value)):
        raise InvalidArgument(f"{name}={value!r} is not a finite number.")
    if not low <= float(value) <= high:
        raise InvalidArgument(f"{name}={value!r} lies outside {low:g} … {high:g}.")
    return float(value)


def count(name: str, value: int, *, low: int = 1, high: int | None = None) -> int:
    """Return `value` as a whole number of at least `low` (and at most `high`), or raise `InvalidArgument`."""
    bad = isinstance(value, bool) or not isinstance(value, Integral) or int(value) < low
    if bad or (high is not None and int(value) > high):
        limit = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise InvalidArgument(f"{name}={value!r}: give a whole number {limit}.")
    return int(value)


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of `allowed`, or raise `InvalidArgument` naming the nearest."""
    if isinstance(value, str) and value in allowed:
        return value
    raise InvalidArgument(
        f"{name}={value!r} is not known: allowed are {', '.join(map(repr, allowed))}.{_nearest(value, allowed)}"
    )


def column(role: str, name: Any, available: Iterable[Any]) -> Any:
    """Return the one label among the `available` that is `name`, or raise `ColumnError`.

    Args:
        role: The argument that named it, such as "customer".
        name: The column wanted.
        available: The column labels that are there, duplicates included.
    """
    there = list(available)
    hits = [label for label in there if _same_label(label, name)]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise ColumnError(
            f"{role}={name!r} names {len(hits)} columns of the same name: rename or drop all but one of them."
        )
    listed = ", ".join(map(repr, there[:20])) + (", …" if len(there) > 20 else "")
    raise ColumnError(
        f"{role}={name!r}: there is no such column. The columns are {listed or 'none at all'}."
        f"{_nearest(name, there)} Pass {role}=<the name that the table uses>."
    )


def _float(value: Any) -> float:
    """Return a number as a float; NaN for what is no number, True and False among it."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _same_label(label: Any, name: Any) -> bool:
    """Return whether two labels are the same: 1 is neither "1" nor True, but NumPy's "a" and 1 are "a" and 1."""
    for kind in (str, bool, Integral):
        if isinstance(label, kind) or isinstance(name, kind):
            return isinstance(label, kind) and isinstance(name, kind) and bool(label == name)
    return label is name or (type(label) is type(name) and bool(label == name))


def _nearest(value: Any, allowed: Iterable[Any]) -> str:
    """Return a hint that names the closest allowed spelling, or nothing."""
    texts = {str(label).casefold(): label for label in allowed}
    hits = difflib.get_close_matches(str(value).casefold(), texts, n=1, cutoff=0.6)
    return f" Did you mean {texts[hits[0]]!r}?" if hits else ""
