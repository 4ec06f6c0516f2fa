"""What a subscriber will do: predictive intervals and medians of renewals; and intervals where nothing is known."""

import dataclasses
import math

import numpy as np
import pytest

from loyalty.clv.kernels import _bdw, _sbg
from loyalty.clv.models.contractual import MODELS, SBG
from loyalty.clv.models.uncertainty import sigma_points
from loyalty.clv.summaries.counts import survival_counts
from loyalty.errors import InvalidArgument, LoyaltyWarning

REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241]  # Fader & Hardie (2007)
KERNELS = {"SBG": _sbg, "BDW": _bdw}


def regular(model="SBG"):
    return MODELS[model]().fit(survival_counts(survivors=REGULAR, period="year"))


def chances_of_renewals(params, model, before, periods):
    """Return P(0, 1, …, periods more renewals) of a customer with some, one survival after the other."""
    stays = np.exp(KERNELS[model].log_survival(params, float(before), np.arange(periods + 2.0)))
    chances = stays[:-1] - stays[1:]
    chances[periods] = stays[periods]  # who makes all that are counted
    return chances


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_predictive_intervals_are_quantiles_of_renewals(model, confidence):
    """With the mixture of the sigma points summed up naively."""
    fit = MODELS[model]().fit(survival_counts(survivors=[250, 158, 117, 95, 81, 72, 65, 60], period="year"))
    points, tail = sigma_points(fit.values, fit.log_covariance), (1 - confidence) / 2
    before = np.array([[0, 3], [9, 0]])
    for periods in (1, 5, 60):
        found = fit.expected_renewals(before, periods=periods, interval="predictive", confidence=confidence)
        assert (found.kind, found.low.shape, found.note) == ("predictive", (2, 2), "")
        np.testing.assert_array_equal(found.value, fit.expected_renewals(before, periods=periods))
        for place in np.ndindex(2, 2):
            mixed = np.mean([chances_of_renewals(one, model, before[place], periods) for one in points], axis=0)
            assert mixed.sum() == pytest.approx(1.0)
            below = np.cumsum(mixed)
            assert found.low[place] == np.argmax(below >= tail)
            assert found.high[place] == np.argmax(below >= 1 - tail)


def test_predictive_intervals_without_an_end():
    fit = regular()
    found = fit.expected_renewals(2, periods=None, interval="predictive", confidence=0.5)
    assert found.value == math.inf
    capped = fit.expected_renewals(2, periods=100_000, interval="predictive", confidence=0.5)
    assert (found.low, found.high) == (capped.low, capped.high)
    assert 0 < found.low < fit.median_renewals(2) < found.high < 100_000
    assert fit.expected_renewals(2, periods=10, interval="predictive").high == 10


@pytest.mark.slow
def test_predictive_intervals_hold_what_happens():
    """Subscribers of new samples renew within their intervals at least as often as promised, counts being whole."""
    inside = total = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        life = rng.geometric(rng.beta(0.8, 2.5, 400))
        fit = SBG().fit(survival_counts(survivors=[int((life > t).sum()) for t in range(7)]))
        made = np.minimum(life[life > 6] - 1 - 6, 20)
        found = fit.expected_renewals(6, periods=20, interval="predictive", confidence=0.8)
        inside += int(((made >= found.low) & (made <= found.high)).sum())
        total += len(made)
    assert 0.8 < inside / total < 0.97


@pytest.mark.parametrize("model", MODELS)
def test_median_renewals(model):
    fit, before = regular(model), np.array([[0, 1, 2], [7, 40, 100]])
    medians = fit.median_renewals(before)
    for place in np.ndindex(2, 3):
        below = np.cumsum(chances_of_renewals(fit.values, model, before[place], 5000))
        assert medians[place] == np.argmax(below >= 0.5)
    assert isinstance(fit.median_renewals(), float)
    assert fit.median_renewals() == medians[0, 0]
    with pytest.raises(InvalidArgument, match="renewals=-1"):
        fit.median_renewals(-1)


def test_a_median_of_a_half_and_one_beyond_counting():
    half = dataclasses.replace(regular(), params={"alpha": 1.0, "beta": 1.0})  # survival (1 + k)/(1 + k + t)
    assert half.median_renewals([0, 1, 2, 99]).tolist() == [0, 1, 2, 99]
    slow = dataclasses.replace(regular(), params={"alpha": 0.01, "beta": 1.0})
    assert slow.median_renewals() == math.inf
    slow = dataclasses.replace(regular(), params={"alpha": 0.05, "beta": 1.0})  # survival Γ(1.05)·t^-0.05 from far on
    assert slow.median_renewals() == pytest.approx((2 * math.gamma(1.05)) ** 20, rel=0.01)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("survivors", [[5, 5, 5, 5], [1, 1], [100, 0, 0]])
def test_nothing_known_is_no_precision(model, survivors):
    with pytest.warns(LoyaltyWarning):
        fit = MODELS[model]().fit(survival_counts(survivors=survivors, period="year"))
    for found in (
        fit.churn_probability(0, interval="confidence"),
        fit.discounted_lifetime(interval="confidence"),
        fit.discounted_residual_lifetime(1, interval="confidence"),
        fit.expected_renewals(0, periods=5, interval="confidence"),
        fit.expected_renewals(0, periods=5, interval="predictive"),
    ):
        assert math.isfinite(found.value)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert found.to_dict()["note"] == found.note
        assert found.note.startswith("No interval where the data determine none of the parameters")
    curve = fit.survival(2)
    assert (curve["low"][0], curve["high"][0]) == (1.0, 1.0)  # true of every customer at first
    assert math.isnan(curve["low"][1])
    sure = fit.discounted_lifetime(periods=1, interval="confidence")
    assert (sure.low, sure.value, sure.high, sure.note) == (1.0, 1.0, 1.0, "")


def test_what_is_determined_keeps_its_interval():
    with pytest.warns(LoyaltyWarning):
        fit = SBG().fit(survival_counts(survivors=[100, 60]))  # the share who left is known, α and β are not
    found = fit.churn_probability(0, interval="confidence")
    assert 0.3 < found.low < 0.4 < found.high < 0.5
    assert fit.expected_renewals(0, periods=None, interval="predictive").low == 0
