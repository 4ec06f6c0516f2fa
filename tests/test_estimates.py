import json
import math
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import strategies as st

from loyalty import estimates
from loyalty.errors import InvalidArgument
from loyalty.estimates import Estimate, odds, proportion, ratio
from loyalty.intervals import (
    RatioMoments,
    adjusted_wald,
    wald,
    wilson,
)

LEVELS = [0.01, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999999]
FORMULAS = [wilson, adjusted_wald, wald]
NO_LEVELS = [0, 1, 0.0, 1.0, -1, 95, math.nan, None, "0.95", True]

counts = st.integers(0, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.floats(1e-6, 1 - 1e-9)


# Proportions.


def test_proportion():
    found = proportion(
        "repurchase rate", 3, 10, definition="d", confidence=0.9, excluded=2, note="mind", counted="buyers"
    )
    assert found == Estimate(
        name="repurchase rate",
        value=0.3,
        low=wilson(3, 10, 0.9)[0],
        high=wilson(3, 10, 0.9)[1],
        confidence=0.9,
        n=10,
        numerator=3,
        denominator=10,
        method="wilson",
        definition="d",
        excluded=2,
        note="mind",
        unit="share",
        counted="buyers",
    )
    assert str(found) == ("Repurchase rate: 30.0 % (90 % interval 12.7 % to 55.8 %; 3 of 10 buyers). Note: mind.")


@pytest.mark.parametrize(("method", "formula"), [*zip(estimates.PROPORTION_METHODS, FORMULAS, strict=True)])
def test_proportion_by_method(method, formula):
    found = proportion("x", 3, 10, definition="d", method=method)
    assert (found.low, found.high, found.method) == (*formula(3, 10), method)


def test_proportion_of_nobody():
    found = proportion("rate", 0, 0, definition="d", empty="nobody was observed long enough")
    assert all(math.isnan(value) for value in (found.value, found.low, found.high))
    assert found.note == "undefined: nobody was observed long enough"
    assert str(found) == ("Rate: not defined (0 of 0 customers). Note: undefined: nobody was observed long enough.")
    assert proportion("rate", 0, 0, definition="d", note="a").note == "a; undefined: nobody is eligible"


def test_unknown_method():
    with pytest.raises(InvalidArgument, match=r"method='wilsom'.*Did you mean 'wilson'"):
        proportion("x", 1, 2, definition="d", method="wilsom")


# Odds.


def test_odds():
    share = proportion("more than one", 20, 100, definition="d")
    found = odds(share, "upsell ratio", definition="e")
    assert (found.value, found.numerator, found.denominator, found.n) == (0.25, 20, 80, 100)
    assert found.low == pytest.approx(share.low / (1 - share.low))
    assert found.high == pytest.approx(share.high / (1 - share.high))
    assert (found.name, found.definition, found.unit, found.note) == ("upsell ratio", "e", "ratio", "")


def test_odds_where_all_succeeded():
    found = odds(proportion("x", 5, 5, definition="d"), "y", definition="d")
    assert found.value == found.high == math.inf
    assert 0 < found.low < math.inf
    assert "infinite" in found.note
    assert found.to_dict()["value"] is None
    assert "infinite" in str(found)


def test_odds_of_nobody():
    found = odds(proportion("x", 0, 0, definition="d"), "y", definition="d")
    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert found.note == "undefined: nobody is eligible"


def test_odds_where_nobody_succeeded():
    found = odds(proportion("x", 0, 5, definition="d"), "y", definition="d")
    assert (found.value, found.low, found.note) == (0.0, 0.0, "")


# Ratios of sums.

Y, X = np.array([10.0, 20.0, 60.0]), np.array([1.0, 1.0, 4.0])


def test_ratio_fields():
    found = ratio("x", RatioMoments.of(Y, X), definition="d", unit="money", excluded=4, note="n", counted="stores")
    assert (found.numerator, found.denominator, found.n, found.method) == (90.0, 6.0, 3, "delta")
    assert (found.unit, found.excluded, found.note, found.counted) == ("money", 4, "n", "stores")
    given_limits = ratio("x", RatioMoments.of(Y, X), definition="d", interval=(1.0, 2.0), method="bootstrap")
    assert (given_limits.low, given_limits.high, given_limits.method) == (1.0, 2.0, "bootstrap")


# What an estimate is.


def example(**changes):
    return replace(proportion("rate", 3, 10, definition="d"), **changes)


def test_float_and_frozen():
    found = example()
    assert float(found) == 0.3
    with pytest.raises(FrozenInstanceError):
        found.value = 1.0
    assert not hasattr(found, "__dict__")
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 (our own bytes)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.5, np.float64(0.5), np.float64("nan")])
def test_to_dict_is_json(value):
    found = example(value=value, low=value, numerator=np.int64(3), n=np.int64(10), note="say “hi” & <b>")
    assert list(found.to_dict()) == [field.name for field in fields(found)]
    back = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert back["value"] == (value if math.isfinite(value) else None)
    assert (back["n"], back["numerator"], back["note"]) == (10, 3, "say “hi” & <b>")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Rate: 30.0 % (95 % interval 10.8 % to 60.3 %; 3 of 10 customers)."),
        ({"low": math.nan, "high": math.nan}, "Rate: 30.0 % (3 of 10 customers)."),
        (
            {"value": 12.345, "low": 1.0, "high": 20.0, "unit": "money", "numerator": 123.45},
            "Rate: 12.35 (95 % interval 1.00 to 20.00; 10 customers).",
        ),
        (
            {"value": 2.5, "low": 1.0, "high": math.inf, "unit": "ratio", "numerator": 5.0, "denominator": 2.0},
            "Rate: 2.500 (95 % interval 1.000 to infinite; 5 / 2, 10 customers).",
        ),
        (
            {"value": -1e-9, "low": -1.0, "high": 1.0, "unit": "points", "confidence": 0.999},
            "Rate: 0.0 points (99.9 % interval -1.0 to 1.0 points; 10 customers).",
        ),
    ],
)
def test_sentence(changes, sentence):
    assert str(example(**changes)) == sentence


def test_html_escapes_and_says_what_is_undefined():
    html = example(name="<rate>", value=math.nan, note="a < b")._repr_html_()
    assert "&lt;rate&gt;" in html
    assert "a &lt; b" in html
    assert "not defined" in html
    assert html.count("<tr>") == html.count("</tr>")


def test_plot_draws_one_interval():
    axes = example().plot()
    assert axes.get_figure() is not None
