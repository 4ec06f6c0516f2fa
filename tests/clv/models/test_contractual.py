"""sBG and BdW: published fits, predictions, intervals, awkward cohorts."""

import json
import math
import re
import warnings

import numpy as np
import pytest

from loyalty.clv.kernels import _bdw, _sbg
from loyalty.clv.models.contractual import BDW, SBG, ContractFit
from loyalty.clv.models.uncertainty import Prediction
from loyalty.clv.summaries.counts import survival_counts
from loyalty.errors import ConvergenceError, InvalidArgument, LoyaltyWarning

# Fader & Hardie (2007), "Regular" subscribers: survivors of 1000 after 0 … 7 (and 12) years; and a second such cohort
REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241]
LATER = [223, 207, 194, 183, 173]
HIGH_END = [1000, 869, 743, 653, 593, 551, 517, 491]
MODELS = {"SBG": SBG, "BDW": BDW}
KERNELS = {"SBG": _sbg, "BDW": _bdw}


def regular(model="SBG"):
    return MODELS[model]().fit(survival_counts(survivors=REGULAR, period="year"))


def simulated(seed, size, renewals, params):
    """Return survival counts of simulated customers, observed for different numbers of renewals."""
    rng, (a, b, c) = np.random.default_rng(seed), params
    p = rng.beta(a, b, size)
    # P(T > t) = (1 − p)^(t^c): the lifetime is the ceiling of (exponential / −ln(1 − p))^(1/c)
    with np.errstate(over="ignore", divide="ignore"):
        life = np.ceil(np.minimum((rng.exponential(size=size) / -np.log1p(-p)) ** (1 / c), 1e9))
    ages = rng.integers(1, renewals + 1, size)
    cohorts = {}
    for age in range(1, renewals + 1):
        mine = life[ages == age]
        cohorts[age] = [int((mine > t).sum()) for t in range(age + 1)]
    return survival_counts(survivors=cohorts, period="month")


def test_published_fits():
    fit = regular()
    assert fit.params["alpha"] == pytest.approx(0.704077, abs=2e-6)  # printed to six decimals
    assert fit.params["beta"] == pytest.approx(1.182043, abs=2e-6)
    assert fit.log_likelihood == pytest.approx(-1680.265, abs=5e-4)
    weibull = regular("BDW")
    assert weibull.params["alpha"] == pytest.approx(0.4556, abs=6e-5)  # printed to four decimals
    assert weibull.params["beta"] == pytest.approx(0.7793, abs=6e-5)
    assert weibull.params["c"] == pytest.approx(1.2835, abs=6e-5)
    assert weibull.log_likelihood == pytest.approx(-1679.603, abs=5e-4)
    assert fit.status == weibull.status == "converged"
    assert (fit.customers, fit.unit, fit.days_per_period) == (1000, "year", 365.25)


def test_high_end_subscribers():
    """Against the maximum that mpmath's findroot gives on the plain formula, with derivatives of 30 digits."""
    fit = SBG().fit(survival_counts(survivors=HIGH_END))
    assert fit.params["alpha"] == pytest.approx(0.6680883511, rel=1e-5)
    assert fit.params["beta"] == pytest.approx(3.8060949641, rel=1e-5)
    assert fit.log_likelihood == pytest.approx(-1611.1581473911564, rel=1e-12)


def test_the_years_to_come_are_foreseen():
    """Fitted on seven years, both models are within two points of what was seen up to the twelfth."""
    for model in MODELS:
        curve = regular(model).survival(12)["survival"]
        assert curve[0] == 1.0
        assert max(abs(share - seen / 1000) for share, seen in zip(curve, REGULAR + LATER, strict=True)) < 0.03


@pytest.mark.parametrize("model", MODELS)
def test_standard_errors_are_the_curvature(model):
    fit, data, kernel, step = regular(model), survival_counts(survivors=REGULAR), KERNELS[model], 1e-3
    logs, size = np.log(fit.values), len(fit.values)

    def total(moved):
        return kernel.total(tuple(np.exp(moved)), data.renewals, data.lost, data.kept)[0]

    hessian = np.empty((size, size))
    for i, one in enumerate(step * np.eye(size)):
        for j, two in enumerate(step * np.eye(size)):
            corners = (
                total(logs + one + two) - total(logs + one - two) - total(logs - one + two) + total(logs - one - two)
            )
            hessian[i, j] = corners / (4 * step**2)
    np.testing.assert_allclose(fit.log_covariance, np.linalg.inv(-hessian), rtol=5e-3)


@pytest.mark.parametrize("model", MODELS)
def test_predictions_hang_together(model):
    fit = regular(model)
    survival, retention = fit.survival(20), fit.retention(20)
    assert survival["renewal"] == list(range(21))
    assert retention["renewal"] == list(range(1, 21))
    np.testing.assert_allclose(np.cumprod(retention["retention"]), survival["survival"][1:], rtol=1e-12)
    before = np.arange(20)
    np.testing.assert_allclose(1 - fit.churn_probability(before), retention["retention"], rtol=1e-12)
    shares = np.array(survival["survival"])
    for k in (0, 3, 10):
        remaining = fit.expected_renewals(k, periods=20 - k)
        assert remaining == pytest.approx((shares[k + 1 :] / shares[k]).sum(), rel=1e-12)
        residual = fit.discounted_residual_lifetime(k, periods=20 - k, annual_discount_rate=0.1)
        worth = 1.1 ** -np.arange(20.0 - k)
        assert residual == pytest.approx((shares[k + 1 :] / shares[k] * worth).sum(), rel=1e-12)
    lifetime = fit.discounted_lifetime(periods=21, annual_discount_rate=0.1)
    assert lifetime == pytest.approx((shares * 1.1 ** -np.arange(21.0)).sum(), rel=1e-12)
    assert fit.discounted_lifetime(periods=1) == 1.0
    # one payment now and, if they renew, what remains then, a period later
    assert fit.discounted_lifetime() == pytest.approx(1 + fit.discounted_residual_lifetime(0) / 1.1, rel=1e-12)
    assert "At renewal 20 it is" in str(survival)


def test_discounted_lifetimes_by_the_hypergeometric_function():
    """Fader & Hardie (2010): DEL = ₂F₁(1, β; α + β; v), DERL = (β+n−1)/(α+β+n−1) · ₂F₁(1, β+n; α+β+n; v)."""
    from scipy.special import hyp2f1

    fit = regular()
    alpha, beta = fit.values
    assert fit.discounted_lifetime() == pytest.approx(hyp2f1(1, beta, alpha + beta, 1 / 1.1), rel=1e-10)
    for n in (1, 2, 7):
        share = (beta + n - 1) / (alpha + beta + n - 1)
        derl = share * hyp2f1(1, beta + n, alpha + beta + n, 1 / 1.1)
        assert fit.discounted_residual_lifetime(n - 1) == pytest.approx(derl, rel=1e-10)
    monthly = SBG().fit(survival_counts(survivors=REGULAR, period="month"))
    v = 1.1 ** (-1 / 12)
    assert monthly.discounted_lifetime() == pytest.approx(hyp2f1(1, beta, alpha + beta, v), rel=1e-9)
    days = SBG().fit(survival_counts(survivors=REGULAR, period="30d"))
    assert days.days_per_period == 30
    assert days.discounted_lifetime() > monthly.discounted_lifetime()


def test_mean_tenure_may_be_infinite():
    assert regular().expected_renewals(periods=None) == math.inf
    sure = regular().expected_renewals([0, 2], periods=None, interval="confidence")
    assert np.isinf(sure.value).all()
    leaving = SBG().fit(simulated(0, 40_000, 12, (3.0, 4.0, 1.0)))
    alpha, beta = leaving.values
    assert leaving.expected_renewals(2, periods=None) == pytest.approx((beta + 2) / (alpha - 1), rel=1e-12)
    assert leaving.expected_renewals(2, periods=100_000) == pytest.approx((beta + 2) / (alpha - 1), rel=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_intervals(model):
    fit = regular(model)
    for table, name in ((fit.survival(12), "survival"), (fit.retention(12), "retention")):
        for line in table:
            assert 0 <= line["low"] <= line[name] <= line["high"] <= 1
        assert table["high"][5] - table["low"][5] > 0.005
    for found in (
        fit.churn_probability(2, interval="confidence"),
        fit.expected_renewals(2, periods=10, interval="confidence"),
        fit.discounted_lifetime(interval="confidence"),
        fit.discounted_residual_lifetime(2, interval="confidence"),
    ):
        assert isinstance(found, Prediction)
        assert found.low < found.value < found.high
    many = fit.churn_probability([0, 1, 2], interval="confidence", confidence=0.5)
    assert many.low.shape == many.high.shape == (3,)


def test_survival_interval_is_the_delta_method_on_log_odds():
    fit, t = regular(), 4
    logs = np.log(fit.values)

    def odds(moved):
        share = math.exp(_sbg.log_survival(tuple(np.exp(moved)), 0.0, float(t)))
        return math.log(share / (1 - share))

    slopes = np.array([(odds(logs + step) - odds(logs - step)) / 2e-5 for step in 1e-5 * np.eye(2)])
    error = math.sqrt(slopes @ fit.log_covariance @ slopes)
    table = fit.survival(t, confidence=0.95)
    for name, sign in (("low", -1), ("high", 1)):
        assert table[name][t] == pytest.approx(1 / (1 + math.exp(-(odds(logs) + sign * 1.959964 * error))), rel=1e-5)
    # close to the binomial error of 326 of 1000 (the model knows a little more than the plain share)
    assert 0.5 < (table["high"][t] - table["low"][t]) / (2 * 1.96 * math.sqrt(0.326 * 0.674 / 1000)) < 1.0


@pytest.mark.parametrize("model", MODELS)
def test_cohorts_together_are_the_sum_of_their_likelihoods(model):
    cohorts = {"old": REGULAR, "young": [800, 520, 391], "new": [700, 450]}
    together = MODELS[model]().fit(survival_counts(survivors=cohorts))
    parts = [survival_counts(survivors=curve) for curve in cohorts.values()]
    totals = [KERNELS[model].total(together.values, part.renewals, part.lost, part.kept) for part in parts]
    assert together.log_likelihood == pytest.approx(sum(total for total, _ in totals), rel=1e-12)
    gradient = sum(slopes for _, slopes in totals)
    assert np.abs(gradient).max() < 1e-3


def test_simulated_customers_give_their_parameters_back():
    truth = (0.8, 2.5, 1.4)
    fit = BDW().fit(simulated(3, 60_000, 24, truth))
    for value, true, name in zip(fit.values, truth, _bdw.NAMES, strict=True):
        assert abs(math.log(value / true)) < 4 * fit.standard_errors[name] / value, name
    truth = (0.8, 2.5, 1.0)
    fit = SBG().fit(simulated(4, 60_000, 24, truth))
    for value, true, name in zip(fit.values, truth, _sbg.NAMES, strict=False):
        assert abs(math.log(value / true)) < 4 * fit.standard_errors[name] / value, name


@pytest.mark.slow
@pytest.mark.parametrize(("model", "truth"), [("SBG", (0.8, 2.5, 1.0)), ("BDW", (0.8, 2.5, 1.4))])
def test_coverage_of_intervals(model, truth):
    """90 % intervals hold the truth in 90 % of 250 samples, as far as a binomial test at .001 can see."""
    from scipy.stats import binomtest

    kernel, replications = KERNELS[model], 250
    params = truth[: len(kernel.NAMES)]
    later = math.exp(kernel.log_survival(params, 0.0, 30.0))
    churn = -math.expm1(kernel.log_survival(params, 3.0, 1.0))
    worth = 1.0 + kernel.remaining(params, np.zeros(1), math.inf, 1.1 ** (-1 / 12))[0]
    hits = np.zeros(len(params) + 3)
    for seed in range(replications):
        fit = MODELS[model]().fit(simulated(seed, 6000, 18, truth))
        error = np.sqrt(np.diag(fit.log_covariance))
        hits[: len(params)] += np.abs(np.log(fit.values) - np.log(params)) < 1.6448536 * error
        last = list(fit.survival(30, confidence=0.9))[-1]
        hits[-3] += last["low"] < later < last["high"]
        found = fit.churn_probability(3, interval="confidence", confidence=0.9)
        hits[-2] += found.low < churn < found.high
        found = fit.discounted_lifetime(interval="confidence", confidence=0.9)
        hits[-1] += found.low < worth < found.high
    assert min(binomtest(int(count), replications, 0.9).pvalue for count in hits) > 0.001, hits / replications


AWKWARD = {
    "nobody leaves": ([100, 100, 100, 100], "Nobody has left yet"),
    "everybody leaves at once": ([100, 0, 0], "Nobody survived a renewal"),
    "one renewal": ([100, 60], "cannot be told from a single renewal"),
    "one customer who stays": ([1, 1], "Nobody has left yet"),
    "one customer who leaves": ([1, 0], "Nobody survived a renewal"),
    "one customer who leaves later": ([1, 1, 1, 0], "the same for everybody|The data do not determine"),
    "the same chance for all": ([1000, 500, 250, 125], "the same for everybody, 0.5"),
    "ever more leave": ([100, 90, 50, 10, 0], "the same for everybody|do not determine"),
    "half leave, half stay": ([10, 5, 5, 5, 5], "is 1 for 0.5 of customers, else 0"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_cohorts_are_told_in_words(model, name):
    survivors, words = AWKWARD[name]
    with pytest.warns(LoyaltyWarning, match=f"^{model}: "):
        fit = MODELS[model]().fit(survival_counts(survivors=survivors, period="month"))
    assert fit.status in {"ridge", "boundary"}
    if model == "SBG":
        assert re.search(words, " ".join(fit.notes))
    loose = [one for one, known in fit.identified.items() if not known]
    assert loose
    assert all(math.isnan(fit.standard_errors[one]) for one in loose)
    # what was seen is described all the same, as far as the model can
    curve = fit.survival(len(survivors) - 1)
    assert all(0 <= line["survival"] <= 1 for line in curve)
    assert all(math.isnan(line["low"]) or 0 <= line["low"] <= line["survival"] <= line["high"] <= 1 for line in curve)
    if name not in {"ever more leave", "one customer who leaves later"}:
        seen = np.array(survivors) / survivors[0]
        assert np.abs(np.array(curve["survival"]) - seen).max() < 0.01
    assert math.isfinite(fit.discounted_lifetime())
    assert fit.churn_probability(50) <= 1


def test_two_renewals_are_too_few_for_three_parameters():
    data = survival_counts(survivors=[100, 60, 45])
    with pytest.warns(LoyaltyWarning, match="3 parameters cannot be told from 2 renewals"):
        assert BDW().fit(data).status == "ridge"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SBG().fit(data).status == "converged"


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_random_small_cohorts_never_pass_for_more_than_they_are(model):
    rng, seen = np.random.default_rng(8), {}
    for _ in range(80):
        size, renewals = int(np.exp(rng.uniform(0, 7))), int(rng.integers(1, 12))
        curve = [size]
        for _ in range(renewals):
            curve.append(int(rng.binomial(curve[-1], rng.choice([rng.beta(2, 2), 0.95, 1.0], p=[0.8, 0.15, 0.05]))))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fit = MODELS[model]().fit(survival_counts(survivors=curve, period="month"))
            except ConvergenceError:
                seen["error"] = seen.get("error", 0) + 1
                continue
        assert (fit.status == "converged") == (not caught)
        assert math.isfinite(fit.log_likelihood)
        assert math.isfinite(fit.discounted_lifetime())
        if fit.status == "converged":
            data = survival_counts(survivors=curve)
            some = data.at_risk > 0
            gradient = KERNELS[model].total(fit.values, data.renewals[some], data.lost[some], data.kept[some])[1]
            assert np.abs(gradient).max() / size < 1e-5
            assert np.isfinite(list(fit.standard_errors.values())).all()
        seen[fit.status] = seen.get(fit.status, 0) + 1
    assert seen.get("error", 0) <= 2
    assert seen.get("converged", 0) > 5
    assert seen["boundary"] + seen.get("ridge", 0) > 5


def test_weights_scale_the_likelihood_only():
    plain, more = regular(), SBG().fit(survival_counts(survivors=[2.5 * one for one in REGULAR], period="year"))
    assert list(more.values) == pytest.approx(list(plain.values), rel=1e-6)
    assert more.log_likelihood == pytest.approx(2.5 * plain.log_likelihood, rel=1e-10)
    np.testing.assert_allclose(more.log_covariance, plain.log_covariance / 2.5, rtol=1e-4)


def test_a_penalty_holds_what_the_data_leave_open():
    data = survival_counts(survivors=[100, 90, 50, 10, 0])
    fit = SBG(l2=0.1).fit(data)
    assert fit.status == "converged"
    assert fit.log_likelihood == pytest.approx(
        _sbg.total(fit.values, data.renewals, data.lost, data.kept)[0], rel=1e-10
    )


@pytest.mark.parametrize("model", MODELS)
def test_it_goes_through_json(model):
    fit = regular(model)
    again = ContractFit.from_dict(json.loads(json.dumps(fit.to_dict())))
    assert again.model == model
    assert again.discounted_lifetime(interval="confidence") == fit.discounted_lifetime(interval="confidence")
    with pytest.raises(InvalidArgument, match="params are a and should be alpha, beta"):
        ContractFit.from_dict({**fit.to_dict(), "params": {"a": 1.0}})
    with pytest.raises(InvalidArgument, match="'SBG', 'BDW'"):
        ContractFit.from_dict({**fit.to_dict(), "model": "BGBB"})


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("survival", {"renewals": 0}, "renewals=0"),
        ("survival", {"renewals": 3, "confidence": 2}, "confidence=2"),
        ("churn_probability", {"renewals": -1}, "renewals=-1"),
        ("churn_probability", {"renewals": 1.5}, "whole numbers"),
        ("churn_probability", {"renewals": math.nan}, "whole numbers"),
        ("churn_probability", {"renewals": "3"}, "whole numbers"),
        ("churn_probability", {"renewals": 3, "interval": "predictive"}, "interval='predictive'"),
        ("expected_renewals", {"renewals": 3, "periods": 0}, "periods=0"),
        ("discounted_lifetime", {"annual_discount_rate": -1}, "above −1"),
        ("discounted_lifetime", {"annual_discount_rate": 0}, "without an end"),
        ("discounted_residual_lifetime", {"renewals": 2, "annual_discount_rate": -0.1}, "without an end"),
    ],
)
def test_arguments_that_cannot_be(name, arguments, words):
    with pytest.raises(InvalidArgument, match=words):
        getattr(regular(), name)(**arguments)


def test_a_rate_needs_a_period():
    fit = SBG().fit(survival_counts(survivors=REGULAR))
    with pytest.raises(InvalidArgument, match="pass period= to survival_counts"):
        fit.discounted_lifetime()
    with pytest.raises(InvalidArgument, match="not on a list"):
        SBG().fit(REGULAR)
    with pytest.raises(InvalidArgument, match="l2=-1"):
        BDW(l2=-1)
