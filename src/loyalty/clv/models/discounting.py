"""What money is worth that comes later, by an annual rate."""

from __future__ import annotations

import math

from loyalty import checks
from loyalty.errors import InvalidArgument

__all__ = ["YEAR", "per_period", "rate_per"]

YEAR = 365.25  # days of the annual rate


def rate_per(annual_discount_rate: float, days: float) -> float:
    """Return the continuous rate per so many days: ln(1 + annual rate) · days/365.25.

    Args:
        annual_discount_rate: 0.10 for 10 % a year of 365.25 days.
        days: Length of the unit of time.

    Raises:
        InvalidArgument: The rate is not above −1.
    """
    annual = checks.number("annual_discount_rate", annual_discount_rate)
    if annual <= -1.0:
        raise InvalidArgument(
            f"annual_discount_rate={annual_discount_rate!r}: give a rate above −1, such as 0.10 for 10 % a year."
        )
    return math.log1p(annual) * days / YEAR


def per_period(annual_discount_rate: float, days_per_period: float, horizon: float) -> float:
    """Return what one unit of money is worth that comes one period later: (1 + annual rate)^(−days/365.25).

    Args:
        annual_discount_rate: 0.10 for 10 % a year of 365.25 days.
        days_per_period: Length of a period in days.
        horizon: How many periods ahead, infinity where all count.

    Raises:
        InvalidArgument: The rate is not above −1, or not above 0 where all periods count.
    """
    rate = rate_per(annual_discount_rate, days_per_period)
    if math.isinf(horizon) and rate <= 0.0:
        raise InvalidArgument(
            f"annual_discount_rate={annual_discount_rate!r} without an end: without a positive rate what is to come "
            "may add up to infinity. Give a positive rate, or say how many periods count."
        )
    return math.exp(-rate)
