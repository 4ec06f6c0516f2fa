"""What money is worth that comes at the next periods of a discrete model."""

from __future__ import annotations

import math

from loyalty import checks
from loyalty.errors import InvalidArgument

__all__ = ["YEAR", "per_period"]

YEAR = 365.25  # days of the annual rate


def per_period(annual_discount_rate: float, days_per_period: float, horizon: float) -> float:
    """Return what one unit of money is worth that comes one period later: (1 + annual rate)^(−days/365.25).

    Args:
        annual_discount_rate: 0.10 for 10 % a year of 365.25 days.
        days_per_period: Length of a period in days.
        horizon: How many periods ahead, infinity where all count.

    Raises:
        InvalidArgument: The rate is not above −1, or not above 0 where all periods count.
    """
    annual = checks.number("annual_discount_rate", annual_discount_rate)
    if annual <= -1.0:
        raise InvalidArgument(
            f"annual_discount_rate={annual_discount_rate!r}: give a rate above −1, such as 0.10 for 10 % a year."
        )
    if math.isinf(horizon) and annual <= 0.0:
        raise InvalidArgument(
            f"annual_discount_rate={annual_discount_rate!r} without an end: without a positive rate what is to come "
            "may add up to infinity. Give a positive rate, or say how many periods count."
        )
    return math.exp(-math.log1p(annual) * days_per_period / YEAR)
