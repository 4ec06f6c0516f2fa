"""Errors are told by kind; warnings point to whoever called the library."""

import warnings

import pandas as pd
import pytest

import loyalty as ly
from loyalty.errors import LoyaltyError, LoyaltyWarning


def test_every_error_descends_from_one():
    kinds = [kind for kind in vars(ly.errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, LoyaltyError) for kind in kinds if kind is not LoyaltyWarning)
    assert issubclass(LoyaltyWarning, UserWarning)


# All buy every week to the end, so that every fit ends at a boundary and says so.
DAYS = pd.date_range("2024-01-01", periods=8, freq="7D")
STEADY = pd.DataFrame([{"customer_id": who, "date": day, "amount": 5.0} for who in range(30) for day in DAYS])


@pytest.mark.parametrize("call", [
    lambda tx: ly.BGNBD().fit(ly.summarize(tx, "week")),  # near to the room that warns
    lambda tx: ly.fit_clv(tx, model="bg/nbd"),  # and rooms away from it
])  # fmt: skip
def test_warnings_point_to_the_line_of_the_caller(call):
    with ly.transactions(STEADY, observed_until="2024-03-01") as tx, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call(tx)
    assert {(one.category, one.filename) for one in told} == {(LoyaltyWarning, __file__)}
