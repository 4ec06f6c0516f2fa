"""How concentrated a value is: shares with their intervals, the Gini index and the points of a curve of customers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loyalty import intervals, wording
from loyalty.estimates import Estimate
from loyalty.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.segments.standings import Curve, Reading

__all__ = ["Question", "concentration", "customer_share", "gini", "lorenz", "revenue_share", "tied"]

_SHARES_SHOWN = (0.5, 0.6, 0.7, 0.8, 0.9)  # in `concentration`, beside the one asked about


class Question(NamedTuple):
    """What was asked, and how an answer to it is put."""

    customers: float
    revenue: float
    value: str
    confidence: float

    def estimate(
        self,
        which: str,
        n: int,
        value: float = math.nan,
        limits: tuple[float, float] = (math.nan, math.nan),
        *,
        numerator: float = math.nan,
        denominator: float = math.nan,
        note: str = "",
    ) -> Estimate:
        """Return one of the three estimates."""
        name, definition = self._words(which)
        single = "no interval: it needs two customers or more" if n == 1 and not math.isnan(value) else ""
        return Estimate(
            name=name,
            value=value,
            low=limits[0],
            high=limits[1],
            confidence=self.confidence,
            n=n,
            numerator=numerator,
            denominator=denominator,
            method="linearised",
            definition=definition,
            note="; ".join(filter(None, (note, single))),
            unit="ratio" if which == "gini" else "share",
        )

    def _words(self, which: str) -> tuple[str, str]:
        """Return an estimate's name and definition."""
        top, most, value = wording.level(self.customers), wording.level(self.revenue), self.value
        if which == "revenue_share":
            definition = f"Share of {value} that the top {top} of customers bring."
            return f"{value} from the top {top} of customers", definition
        if which == "customer_share":
            definition = f"Smallest share of customers that brings {most} of {value}, the one who crosses it inside."
            return f"customers who bring {most} of {value}", definition
        definition = f"Mean difference in {value} between two customers, over twice the mean (population formula)."
        return f"Gini index of {value}", definition

    def half(self, error: float) -> float:
        """Return half the width of an interval; NaN where there is no standard error."""
        return intervals.normal_quantile(self.confidence) * error


# `half` is NaN for a single customer; below, min and max keep a NaN since it comes first.


def revenue_share(curve: Curve, top: Reading, question: Question, lacks: str, below: str) -> Estimate:
    """Return the share of value that the top customers bring."""
    n, total = curve.who.n, curve.total
    if lacks:
        return question.estimate("revenue_share", n, denominator=total, note=f"undefined: {lacks}")
    share = top.value / total
    half = question.half(curve.scatter(top, share) / (total / n))
    # The top k never bring less than k/n of the whole, and more than all only where some are below zero.
    low, high = max(share - half, min(top.customers / n, share)), share + half
    if not below:
        high = min(high, max(share, 1.0))
    return question.estimate("revenue_share", n, share, (low, high), numerator=top.value, denominator=total, note=below)


def customer_share(curve: Curve, vital: Reading, question: Question, lacks: str) -> Estimate:
    """Return the smallest share of customers that brings the wanted share of value."""
    n = curve.who.n
    if lacks:
        return question.estimate("customer_share", n, denominator=n, note=f"undefined: {lacks}")
    share = vital.customers / n
    half = question.half(curve.scatter(vital, question.revenue) / vital.threshold)
    limits = max(share - half, 0.0), min(share + half, 1.0)
    return question.estimate("customer_share", n, share, limits, numerator=vital.customers, denominator=n)


def gini(curve: Curve, question: Question, lacks: str) -> Estimate:
    """Return the Gini index."""
    if lacks:
        return question.estimate("gini", curve.who.n, note=f"undefined: {lacks}")
    value, error = curve.gini()
    half = question.half(error)
    return question.estimate("gini", curve.who.n, value, (max(value - half, 0.0), min(value + half, 1.0)))


def tied(name: str, reading: Reading) -> str:
    """Return the note that more customers are flagged than counted."""
    counted = f"the last of the {name} {reading.customers:,}"
    return f"{reading.ties:,} more customers equal {counted} and are flagged with them" if reading.ties else ""


def concentration(curve: Curve, question: Question, kind: str, *, defined: bool) -> Table:
    """Return the second reading for several shares of value; without rows where it is undefined."""
    import pyarrow as pa

    value = question.value
    shares = sorted({*_SHARES_SHOWN, question.revenue}) if defined else []
    found = [curve.fewest(share) for share in shares]
    parts = [reading.customers / curve.who.n for reading in found]
    data = {
        "value_share": pa.array(shares, pa.float64()),
        "customers": pa.array([reading.customers for reading in found], pa.int64()),
        "customer_share": pa.array(parts, pa.float64()),
        "threshold": pa.array([reading.threshold for reading in found], pa.float64()),
    }
    said = [
        f"{wording.level(share)} of {value} comes from {wording.quantity(part, 'share')} of customers"
        for share, part in zip(shares, parts, strict=True)
    ]
    return Table(
        name=f"concentration of {value}",
        data=pa.table(data),
        kind=kind,
        sentence="; ".join(said or [f"{value.capitalize()} has no shares"]) + ".",
        definition=f"The fewest customers who bring a share of {value}, and the lowest {value} among them.",
        units={"value_share": "share", "customer_share": "share", "threshold": "money"},
    )


def lorenz(curve: Curve, readings: list[Reading]) -> pa.Table:
    """Return the curve's points, the readings among them; no rows where there are none."""
    import pyarrow as pa

    customers, brought = curve.points(*readings) if readings else (np.zeros(0, np.int64), np.zeros(0))
    shares, values = customers / curve.who.n, brought / (curve.total or 1.0)
    return pa.table(
        {
            "customers": customers,
            "cumulative_customers": shares,
            "cumulative_value": values,
            "poorest_customers": 1.0 - shares,
            "poorest_value": 1.0 - values,
        }
    )
