"""How the purchases of a new customer add up: published values, single predictions, lifetimes, and intervals."""

import dataclasses

import numpy as np
import pytest

from fitted import discrete, lifetime
from lifetime_data import FITTERS, cdnow_cells
from loyalty.clv.models.discrete import BGBB
from loyalty.clv.models.lifetime import MODELS
from loyalty.clv.models.uncertainty import NO_INTERVAL
from loyalty.clv.summaries.cells import Cells
from loyalty.errors import InvalidArgument

NEW = {"frequency": 0, "recency": 0, "age": 0}


@pytest.fixture(scope="module", params=[name for name in MODELS if name != "GGomNBD"])
def fit(request):
    return MODELS[request.param]().fit(cdnow_cells(), unit="week")


@pytest.fixture(scope="module")
def yearly():
    return BGBB(l2=0.05).fit(
        Cells.of([0, 1, 1, 2, 2, 3], [0, 1, 3, 2, 3, 3], [3] * 6, [60, 15, 7, 8, 10, 9]), period="year"
    )


def test_the_end_is_what_was_published():
    """Fader & Hardie: E[X(52)] of a new customer, recomputed at their parameters."""
    pareto = lifetime("ParetoNBD", 0.55315, 10.57633, 0.60625, 11.67150).repeat_purchases("52w")
    assert pareto["expected"][-1] == pytest.approx(1.473389, abs=5e-7)
    bg = lifetime("BGNBD", 0.2425945, 4.4136019, 0.7929199, 2.4258881).repeat_purchases("52w")
    assert bg["expected"][-1] == pytest.approx(1.444011, abs=5e-7)


@pytest.mark.parametrize("model", FITTERS)
def test_the_curve_is_that_of_lifetimes(model):
    params = {"ParetoNBD": (0.553, 10.58, 0.606, 11.67)}.get(model, (0.525, 6.183, 0.891, 1.614))
    table, theirs = lifetime(model, *params).repeat_purchases("60w"), FITTERS[model]()
    names = ("r", "alpha", "s", "beta") if model == "ParetoNBD" else ("r", "alpha", "a", "b")
    theirs.params_ = dict(zip(names, params, strict=True))
    time = np.array(table["time"])
    assert (time[0], time[-1], len(time)) == (0.0, 60.0, 101)
    expected = theirs.expected_number_of_purchases_up_to_time(time[1:])
    np.testing.assert_allclose(table["expected"][1:], expected, rtol=1e-8)


def test_intervals_are_those_of_the_prediction(fit):
    table = list(fit.repeat_purchases("50w", confidence=0.8))
    for row in table[::20][1:]:
        horizon = f"{round(row['time'] * 7)}d"
        one = fit.expected_purchases(**NEW, horizon=horizon, interval="confidence", confidence=0.8)
        assert row["expected"] == pytest.approx(one.value, rel=1e-12)
        assert row["low"] == pytest.approx(one.low, rel=1e-6)
        assert row["high"] == pytest.approx(one.high, rel=1e-6)
    assert table[0] == {"time": 0.0, "expected": 0.0, "low": 0.0, "high": 0.0, "observed": True}


def test_it_is_marked_what_lies_beyond_the_data(fit):
    table = fit.repeat_purchases("78w")
    assert table["observed"] == [time <= 272 / 7 for time in table["time"]]
    assert "Nobody was observed for longer than 38.86 weeks" in table.definition
    assert "Nobody" not in fit.repeat_purchases("20w").definition
    unknown = dataclasses.replace(fit, data={}).repeat_purchases("78w")
    assert set(unknown["observed"]) == {None}
    assert unknown.note == "the fit does not remember how long customers were observed"
    assert "Nobody" not in unknown.definition
    assert fit.repeat_purchases("78w").note == ""


def test_opportunities(yearly):
    table = yearly.repeat_purchases(7)
    for row in list(table)[1:]:
        new = {"frequency": 0, "recency": 0, "opportunities": 0}
        one = yearly.expected_purchases(**new, periods=int(row["time"]), interval="confidence")
        assert row["expected"] == pytest.approx(one.value, rel=1e-12)
        assert (row["low"], row["high"]) == (pytest.approx(one.low), pytest.approx(one.high))
    assert table["time"] == list(range(8))
    assert len(yearly.repeat_purchases(1000)) == 101


def test_the_donors_of_the_paper():
    """Fader, Hardie & Shang (2010): a new donor is expected to give 3.179805 times in ten years."""
    fit = discrete(1.203528, 0.7497260, 0.6567808, 2.783796)
    assert fit.repeat_purchases(10)["expected"][-1] == pytest.approx(3.179805, abs=1e-5)


def test_arguments_that_cannot_be(fit, yearly):
    with pytest.raises(InvalidArgument, match="horizon=52"):
        fit.repeat_purchases(52)
    with pytest.raises(InvalidArgument, match="confidence=95"):
        fit.repeat_purchases("52w", confidence=95)
    with pytest.raises(InvalidArgument, match="periods=0"):
        yearly.repeat_purchases(0)
    with pytest.raises(InvalidArgument, match="confidence=1"):
        yearly.repeat_purchases(3, confidence=1.0)


def test_no_interval_is_said(fit, yearly):
    for one, horizon in ((fit, "20w"), (yearly, 3)):
        size = len(one.params)
        loose = dataclasses.replace(
            one, identified=dict.fromkeys(one.params, False), log_covariance=np.zeros((size, size))
        )
        table = loose.repeat_purchases(horizon)
        assert all(np.isnan(table["low"][1:]))
        assert table.note == NO_INTERVAL.removesuffix(".")
        assert "No interval where" in str(table.plot().texts[0].get_text())
