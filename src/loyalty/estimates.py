"""A number with its uncertainty, counts, definition and note; and how proportions, ratios and totals become one."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from loyalty import checks, intervals, wording

__all__ = [
    "Estimate",
    "odds",
    "proportion",
    "ratio",
    "total",
]

PROPORTION_METHODS = ("wilson", "adjusted_wald", "wald")
RATIO_METHODS = ("delta", "bootstrap")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Estimate:
    """A number with its interval, what it was counted from, and its definition.

    Attributes:
        name: What is estimated, such as "repurchase rate".
        value: The estimate; NaN where it is undefined (the note says why).
        low: Lower end of the interval, NaN where there is none.
        high: Upper end of the interval, NaN where there is none.
        confidence: Level of the interval, between 0 and 1.
        n: Number of sampling units (customers or respondents) behind the value.
        numerator: What was counted or summed above the line.
        denominator: What was counted or summed below the line.
        excluded: Units left out of this number only; the note says why.
        method: Formula of the interval: "wilson", "delta", ….
        definition: One sentence saying what the number is.
        note: What a reader must know about this value; empty where there is nothing.
        unit: "share", "points", "ratio", "money", "days", "orders" or "money per day" …: how to read the value.
        counted: What `n` counts, in the plural.
    """

    name: str
    value: float
    low: float
    high: float
    confidence: float
    n: int
    numerator: float
    denominator: float
    method: str
    definition: str
    excluded: int = 0
    note: str = ""
    unit: str = "share"
    counted: str = "customers"

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        """Return the sentence, or the value by a format of numbers: f"{rate:.1%}"."""
        return format(self.value, spec) if spec else str(self)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return wording.estimate_sentence(self)

    def _repr_html_(self) -> str:
        rows = [(key, wording.quantity(getattr(self, key), self.unit)) for key in ("value", "low", "high")]
        counts = {key: getattr(self, key) for key in ("n", "numerator", "denominator", "excluded")}
        rows += [(key, "" if wording.missing(count) else wording.plain(count)) for key, count in counts.items()]
        rows += [("confidence", wording.level(self.confidence)), ("method", self.method)]
        rows += [("definition", self.definition)] + ([("note", self.note)] if self.note else [])
        return wording.html_table((self.name, ""), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON-ready values; what is undefined or infinite becomes None."""
        return {field.name: wording.jsonable(getattr(self, field.name)) for field in fields(self)}

    def plot(self, ax: Any = None) -> Any:
        """Draw the value with its interval; returns the matplotlib Axes."""
        from loyalty import plots

        return plots.estimates([self], ax=ax)


_PROPORTION = {"wilson": intervals.wilson, "adjusted_wald": intervals.adjusted_wald, "wald": intervals.wald}


def proportion(
    name: str,
    successes: int,
    n: int,
    *,
    definition: str,
    confidence: float = 0.95,
    method: str = "wilson",
    note: str = "",
    empty: str = "nobody is eligible",
    excluded: int = 0,
    counted: str = "customers",
) -> Estimate:
    """Return the share of units that succeeded, each unit counting once.

    Args:
        name: Name of the estimate.
        successes: Units that succeeded.
        n: Units that were eligible; 0 gives an undefined estimate whose note is `empty`.
        definition: One sentence saying what the number is.
        confidence: Level of the interval.
        method: "wilson", "adjusted_wald" or "wald".
        note: What a reader must know.
        empty: The note where n = 0.
        excluded: Units left out.
        counted: What the units are, in the plural.
    """
    interval = _PROPORTION[checks.choice("method", method, PROPORTION_METHODS)]
    low, high = interval(successes, n, confidence)
    return Estimate(
        name=name,
        value=successes / n if n else math.nan,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        numerator=successes,
        denominator=n,
        method=method,
        definition=definition,
        note="; ".join(filter(None, (note, "" if n else f"undefined: {empty}"))),
        excluded=excluded,
        counted=counted,
    )


def odds(share: Estimate, name: str, *, definition: str, unit: str = "ratio") -> Estimate:
    """Return p/(1 − p) of a share, its interval mapped the same way; infinite where everybody succeeded.

    Examples:
        >>> half = proportion("half", 50, 100, definition="d")
        >>> odds(half, "odds", definition="d").value
        1.0
    """

    def mapped(value: float) -> float:
        return math.inf if value >= 1.0 else value / (1.0 - value)

    others = share.denominator - share.numerator
    infinite = "infinite: the denominator is zero" if share.n and not others else ""
    return replace(
        share,
        name=name,
        value=share.numerator / others if others else mapped(share.value),
        low=mapped(share.low),
        high=mapped(share.high),
        denominator=others,
        definition=definition,
        unit=unit,
        note="; ".join(filter(None, (share.note, infinite))),
    )


def ratio(
    name: str,
    moments: intervals.RatioMoments,
    *,
    definition: str,
    confidence: float = 0.95,
    interval: tuple[float, float] | None = None,
    method: str = "delta",
    unit: str = "ratio",
    note: str = "",
    empty: str = "the denominator is zero",
    excluded: int = 0,
    counted: str = "customers",
) -> Estimate:
    """Return a ratio of sums Σy/Σx over units, by default with its delta-method interval.

    Args:
        name: Name of the estimate.
        moments: Sums over the units.
        definition: One sentence saying what the number is.
        confidence: Level of the interval.
        interval: Limits found another way (bootstrap); None computes the delta interval.
        method: Name of the interval's formula.
        unit: Unit of the ratio.
        note: What a reader must know.
        empty: The note where Σx = 0.
        excluded: Units left out.
        counted: What the units are, in the plural.
    """
    low, high = intervals.delta_ratio(moments, confidence) if interval is None else interval
    single = f"no interval: it needs two {counted} or more" if moments.n == 1 and moments.x else ""
    return Estimate(
        name=name,
        value=moments.ratio,
        low=low,
        high=high,
        confidence=confidence,
        n=moments.n,
        numerator=moments.y,
        denominator=moments.x,
        method=method,
        definition=definition,
        note="; ".join(filter(None, (note, "" if moments.x else f"undefined: {empty}", single))),
        unit=unit,
        excluded=excluded,
        counted=counted,
    )


def total(mean: Estimate, name: str, *, definition: str, unit: str | None = None) -> Estimate:
    """Return the total over all units of a mean per unit, with n times the interval of the mean.

    Examples:
        >>> import numpy as np
        >>> from loyalty.intervals import RatioMoments
        >>> mean = ratio("spend", RatioMoments.of(np.array([1.0, 3.0]), np.ones(2)), definition="d", unit="money")
        >>> total(mean, "revenue", definition="d").value
        4.0
    """
    n = mean.n
    return replace(
        mean,
        name=name,
        value=mean.numerator,
        low=mean.low * n,
        high=mean.high * n,
        denominator=1.0,
        definition=definition,
        unit=unit or mean.unit,
    )
