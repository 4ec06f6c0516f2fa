"""Numbers in words."""

import math
from dataclasses import replace

import pytest

from loyalty import wording
from loyalty.estimates import odds, proportion, ratio, total
from loyalty.intervals import RatioMoments


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "customers", "0 customers"),
        (1, "customers", "1 customer"),
        (1.0, "promoters", "1 promoter"),
        (1.5, "promoters", "1.50 promoters"),
        (1, "companies", "1 company"),
        (12345, "respondents", "12,345 respondents"),
    ],
)
def test_counted_nouns(count, noun, text):
    assert wording.counted(count, noun) == text


def test_a_singular_of_its_own():
    assert [wording.counted(n, "people", "person") for n in (1, 2)] == ["1 person", "2 people"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.0, "purchases", "3 purchases"),
        (1.0, "purchases", "1 purchase"),
        (2.5, "purchases", "2.50 purchases"),
        (1.0, "days", "1.0 days"),
        (3.0, "money", "3.00"),
        (0.25, "money", "0.25"),
        (0.0005, "money", "0.00050"),
        (-0.0123, "money", "-0.012"),
        (0.0, "money", "0.00"),
        (-1e-16, "money", "0.00"),
        (0.0005, "money per day", "0.00050 money per day"),
        (3.0, "money per day", "3.00 money per day"),
        (1.2345e17, "money", "1.234e+17"),
        (2e15, "purchases", "2e+15 purchases"),
        (1e20, "share", "1e+22 %"),
        (math.inf, "money", "infinite"),
        (math.nan, "share", "not defined"),
    ],
)
def test_quantities(value, unit, text):
    assert wording.quantity(value, unit) == text


def test_very_large_plain_numbers_are_short():
    assert (wording.plain(10**18), wording.plain(1.5e15), wording.plain(10**14)) == ("1e+18", "1.5e+15", f"{10**14:,}")


def test_spans_say_the_unit_once():
    assert wording.span(1.0, 3.0, "purchases") == "1 to 3 purchases"
    assert wording.span(1.0, 1.0, "purchases") == "1 to 1 purchase"
    assert wording.span(1.0, math.inf, "days") == "1.0 days to infinite"
    assert wording.span(0.0001, 0.0005, "money") == "0.00010 to 0.00050"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "(none)"), (math.nan, "(none)"), (2024, "2024"), (2024.0, "2024"), (math.inf, "inf"), ("a", "a")],
)
def test_groups(value, text):
    assert wording.group(value) == text


def money(y, x, n):
    return ratio("net revenue retention", RatioMoments(n, y, x, y * y, x * y, x * x), definition="d", unit="share")


def test_only_customers_are_customers_of_customers():
    assert "27 / 45, 45 customers)" in str(money(27.0, 45.0, 45))  # a sum that happens to equal the number
    kept_all = replace(money(2.0, 2.0, 2), method="wilson")  # as where everything was kept
    assert "2 / 2, 2 customers)" in str(kept_all)
    for method in ("wilson", "adjusted_wald", "wald"):
        assert "1 of 2 customers)" in str(proportion("rate", 1, 2, definition="d", method=method))
        assert "1 of 1 customer)" in str(proportion("rate", 1, 1, definition="d", method=method))
    assert "(0 of 0 customers)" in str(money(0.0, 0.0, 0))


def test_ratios_always_show_their_fraction():
    shares = proportion("share", 83, 84, definition="d")
    assert "83 / 1, 84 customers)" in str(odds(shares, "upsell ratio", definition="d"))


def test_totals_and_means_per_customer_show_only_how_many():
    mean = ratio("spend", RatioMoments(3, 9.0, 3.0, 29.0, 9.0, 3.0), definition="d", unit="purchases")
    assert str(mean).endswith("; 3 customers).")
    assert str(total(mean, "purchases", definition="d")).startswith("Purchases: 9 purchases (")
    assert str(total(mean, "purchases", definition="d")).endswith("; 3 customers).")


def test_estimates_take_formats_of_numbers():
    rate = proportion("rate", 1, 4, definition="d")
    assert (f"{rate:.1%}", f"{rate:8.3f}", f"{rate}") == ("25.0%", "   0.250", str(rate))
