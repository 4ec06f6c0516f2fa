"""On what terms a customer is valued: how far ahead, at what margin, rate, costs and level."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self, TypedDict

from loyalty import checks, periods, wording
from loyalty.errors import InvalidArgument

__all__ = ["INTERVALS", "Changes", "Terms"]

INTERVALS = ("confidence", "predictive")


class Changes(TypedDict, total=False):
    """What may be changed of terms, by name; see `Terms`."""

    horizon: str | dt.timedelta | None
    margin: Any
    annual_discount_rate: float
    acquisition_cost: float
    service_cost: float
    interval: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How far ahead value is counted, what part of spend is earned, and what time and customers cost.

    Attributes:
        horizon: How far ahead from the end of the observed window: "365d", "52w" or a `timedelta`; None or "inf" for
            all that is to come, which needs a positive rate. Kept as text in days.
        margin: Share of spend that is earned: a number, or where it is read (see `loyalty.clv`).
        annual_discount_rate: Rate per 365.25 days at which money of the future counts less, at least 0.
        acquisition_cost: Money spent to win a customer. It is spent for those who are there, and so counts only for
            new ones.
        service_cost: Money per year of 365.25 days that a customer costs while being one.
        interval: What the customers' intervals are: "confidence" (of the expected value, from the parameters' errors)
            or "predictive" (of what the customer will really bring, which needs a horizon and no service cost).
        confidence: Level of the intervals.
    """

    horizon: str | dt.timedelta | None = "365d"
    margin: Any = 1.0
    annual_discount_rate: float = 0.10
    acquisition_cost: float = 0.0
    service_cost: float = 0.0
    interval: str = "confidence"
    confidence: float = 0.95

    def __post_init__(self) -> None:
        days = _days(self.horizon)
        rate = self.annual_discount_rate
        if not (isinstance(rate, Real) and not isinstance(rate, bool) and 0.0 <= rate < math.inf):
            raise InvalidArgument(
                f"annual_discount_rate={rate!r} is no yearly rate: give a number of at least 0, such as 0.10 for 10 %."
            )
        if math.isinf(days) and rate <= 0.0:
            raise InvalidArgument(
                f"horizon={self.horizon!r} with annual_discount_rate={rate!r}: the value of all that is to come has no "
                'limit without a positive rate. Give a rate above 0, or a horizon such as "3650d".'
            )
        checks.choice("interval", self.interval, INTERVALS)
        if self.interval == "predictive" and math.isinf(days):
            raise InvalidArgument(
                'interval="predictive" says what customers will bring within a horizon: give one, such as '
                'horizon="365d", or take interval="confidence".'
            )
        self._keep("service_cost", checks.number("service_cost", self.service_cost, low=0.0))
        if self.interval == "predictive" and self.service_cost:
            raise InvalidArgument(
                f'interval="predictive" with service_cost={self.service_cost:g}: what a customer costs and what they '
                "buy both depend on how long they stay, and how they vary together is not worked out for a single "
                'customer. Take interval="confidence", or service_cost=0 for what customers bring before that cost; '
                "look at total_predictive for all of them."
            )
        self._keep("horizon", None if math.isinf(days) else f"{int(days)}d")
        self._keep("margin", _margin(self.margin))
        self._keep("annual_discount_rate", float(rate))
        self._keep("acquisition_cost", checks.number("acquisition_cost", self.acquisition_cost, low=0.0))
        self._keep("confidence", checks.confidence_level(self.confidence))

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def days(self) -> float:
        """The horizon in days; infinite where all that is to come counts."""
        return _days(self.horizon)

    def changed(self, changes: Changes) -> Self:
        """Return the same terms but for some.

        Raises:
            InvalidArgument: There is no such term, or it is not allowed.
        """
        for name in changes:
            checks.choice("term", name, [field.name for field in dataclasses.fields(self)])
        return dataclasses.replace(self, **changes) if changes else self

    def to_dict(self) -> dict[str, Any]:
        """Return the terms as JSON-ready values.

        Raises:
            InvalidArgument: The margin is a table, which is not kept.
        """
        if not isinstance(self.margin, (float, str)):
            raise InvalidArgument(
                "margin= is a table, which is not saved with a model: fit with a number, and pass the table to score()."
            )
        return self.told()

    def told(self) -> dict[str, Any]:
        """Return the terms as JSON-ready values, a margin that is a table as text."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return found if isinstance(self.margin, (float, str)) else {**found, "margin": "per customer"}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Return terms from what `to_dict` made.

        Raises:
            InvalidArgument: Something is missing, not known or not allowed.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(saved, Mapping) or set(saved) != names:
            raise InvalidArgument(f"the terms of a saved model must be {', '.join(sorted(names))}: save it again.")
        return cls(**saved)

    def __str__(self) -> str:
        ahead = "all that is to come" if self.horizon is None else wording.counted(int(self.days), "days")
        whole = isinstance(self.margin, float) and self.margin == 1.0  # a table is never compared
        margin = "" if whole else f", margin {self._said_margin()}"
        costs = [f"service cost {wording.plain(self.service_cost)} a year"] if self.service_cost else []
        return ", ".join([ahead + margin, f"{wording.level(self.annual_discount_rate)} a year", *costs])

    def _said_margin(self) -> str:
        if isinstance(self.margin, float):
            return f"{round(self.margin * 100, 2):g} %"  # sales less cost may be 39.9999 % of them
        return f"by column {self.margin!r}" if isinstance(self.margin, str) else "per customer"


def _days(horizon: Any) -> float:
    """Return a horizon in days, infinite for None and "inf"."""
    endless = isinstance(horizon, str) and horizon.strip().lower() == "inf"
    if horizon is None or endless or (isinstance(horizon, float) and horizon == math.inf):
        return math.inf
    return float(periods.duration_days(horizon, "horizon"))


def _margin(margin: Any) -> Any:
    """Return a margin that is a number as a float; what is none names where margins are read."""
    if margin is None or isinstance(margin, bool):
        raise InvalidArgument(
            f"margin={margin!r}: give a share such as 0.3, a column of the transactions, or a table of customers "
            'with the columns <customer> and "margin".'
        )
    return checks.number("margin", float(margin)) if isinstance(margin, Real) else margin
