import decimal
import fractions
import math

import numpy as np
import pandas as pd
import pytest

from loyalty import checks
from loyalty.errors import ColumnError, InvalidArgument

NO_NUMBERS = [None, "0.5", "", True, False, [0.5], math.nan, decimal.Decimal("0.5"), 0.5 + 0j, np.nan, pd.NA]


@pytest.mark.parametrize("value", [0.5, 0.999999, 1e-9, np.float32(0.5), np.float64(0.95), fractions.Fraction(1, 2)])
def test_levels(value):
    found = checks.confidence_level(value)
    assert type(found) is float
    assert found == float(value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, 1, 0.0, 1.0, -0.1, 95, math.inf, -math.inf, 10**400])
def test_no_levels(value):
    with pytest.raises(InvalidArgument, match=r"confidence=.*strictly between 0 and 1"):
        checks.confidence_level(value)


@pytest.mark.parametrize("value", [1, 1.0, 0.3, 1e-9, np.int64(1)])
def test_fractions(value):
    assert checks.fraction("customers", value) == float(value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, 1.0000001, 30, math.inf, 10**400])
def test_no_fractions(value):
    with pytest.raises(InvalidArgument, match=r"customers=.*above 0 and at most 1"):
        checks.fraction("customers", value)


@pytest.mark.parametrize("value", [0, -5, 1e308, np.float32(2), np.uint8(3)])
def test_numbers(value):
    found = checks.number("margin", value)
    assert type(found) is float
    assert found == float(value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, math.inf, -math.inf, 10**400, -(10**400)])
def test_no_numbers(value):
    with pytest.raises(InvalidArgument, match=r"margin=.*is not a finite number"):
        checks.number("margin", value)


def test_numbers_within_limits():
    assert checks.number("margin", 0, low=0, high=1) == 0.0
    assert checks.number("margin", 1, low=0, high=1) == 1.0
    with pytest.raises(InvalidArgument, match=r"margin=1\.5 lies outside 0 … 1"):
        checks.number("margin", 1.5, low=0, high=1)


@pytest.mark.parametrize("value", [1, np.int8(5), 10**30])
def test_counts(value):
    found = checks.count("bins", value)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [0, -1, 1.0, "5", None, True, math.nan])
def test_no_counts(value):
    with pytest.raises(InvalidArgument, match=r"bins=.*whole number of at least 1"):
        checks.count("bins", value)


def test_counts_within_limits():
    assert checks.count("bins", 0, low=0) == 0
    with pytest.raises(InvalidArgument, match=r"bins=11: give a whole number from 2 to 10"):
        checks.count("bins", 11, low=2, high=10)


def test_choice():
    assert checks.choice("mode", "in", ("in", "since")) == "in"
    with pytest.raises(InvalidArgument, match=r"mode='sinze' is not known.*Did you mean 'since'\?"):
        checks.choice("mode", "sinze", ("in", "since"))
    with pytest.raises(InvalidArgument, match=r"Did you mean 'month'"):
        checks.choice("period", "Months", ("day", "month"))


@pytest.mark.parametrize("value", [None, 3, ["in"], {"in"}, np.array(["in"]), pd.Series(["in"])])
def test_choice_of_another_type(value):
    with pytest.raises(InvalidArgument, match="is not known"):
        checks.choice("mode", value, ("in", "since"))


def test_column_is_found_by_its_label():
    assert checks.column("date", "Date", ["date", "Date", "DATE"]) == "Date"
    assert checks.column("date", 1, ["1", 1, True, 1.5]) == 1
    assert checks.column("date", True, ["1", 1, True]) is True
    assert checks.column("date", ("a", "b"), [("a", "b"), "a"]) == ("a", "b")
    assert checks.column("date", 1.5, [1.5, 1]) == 1.5


def test_column_takes_labels_of_numpy_and_returns_the_table_s_own():
    assert type(checks.column("date", np.str_("when"), ["when"])) is str
    assert type(checks.column("date", np.int64(2), [1, 2])) is int


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("1", [1]),
        (1, ["1"]),
        (True, [1]),
        (1, [True]),
        (None, ["a"]),
        (["a"], ["a"]),
        (np.array(["a"]), ["a"]),
        (pd.NA, ["a", 1]),
        (math.nan, ["a"]),
        ("a", []),
        (" a", ["a"]),
        ("A", ["a"]),
    ],
)
def test_column_is_not_found(name, labels):
    with pytest.raises(ColumnError, match="there is no such column"):
        checks.column("customer", name, labels)


def test_missing_column_says_what_is_there_and_what_is_near():
    with pytest.raises(ColumnError, match=r"customer='custmer_id'.*'customer_id', 'when'.*mean 'customer_id'\?"):
        checks.column("customer", "custmer_id", ["customer_id", "when"])
    with pytest.raises(ColumnError, match="none at all"):
        checks.column("customer", "x", [])
    with pytest.raises(ColumnError, match="'c19', …") as caught:
        checks.column("customer", "zzz", [f"c{place}" for place in range(500)])
    assert len(str(caught.value)) < 400


def test_column_named_twice():
    with pytest.raises(ColumnError, match=r"amount='a' names 3 columns of the same name"):
        checks.column("amount", "a", ["a", "b", "a", "a"])
