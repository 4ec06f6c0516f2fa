"""The Gamma-Gamma model: published fits, lifetimes, awkward customers, predictions here and in engines."""

import math
import types
import warnings

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import loyalty as ly
from loyalty.clv.kernels import _gammagamma as kernel
from loyalty.clv.models.spend import GammaGamma, SpendFit
from loyalty.clv.summaries import spend_cells
from loyalty.clv.summaries.spend_cells import SpendCells
from loyalty.errors import EmptyData, InvalidArgument, LoyaltyWarning

CDNOW = (6.25, 3.74, 15.44)  # p, q, γ as note 025 prints them


def made(n, params=CDNOW, seed=0, share=0.3):
    """Return x and m̄ of simulated customers."""
    p, q, gamma = params
    rng = np.random.default_rng(seed)
    x = rng.geometric(share, n)
    return x, rng.gamma(p * x) / x / rng.gamma(q, 1.0 / gamma, n)


def known(params, covariance=None):
    """Return a fit with given parameters."""
    return SpendFit(
        model="GammaGamma",
        params=dict(zip(kernel.NAMES, params, strict=True)),
        log_covariance=np.diag([0.04, 0.006, 0.07]) if covariance is None else np.asarray(covariance),
        identified=dict.fromkeys(kernel.NAMES, True),
        log_likelihood=-1.0,
        customers=10,
    )


@pytest.fixture(scope="module")
def cdnow():
    """The CDNOW sample until the end of the calibration period."""
    return ly.summarize(ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30"))


@pytest.fixture(scope="module")
def fitted(cdnow):
    return GammaGamma().fit(cdnow)


# ------------------------------------------------------------------------------------------------------ published fits


def test_cdnow(fitted):
    # Fader & Hardie, note 025: p 6.25, q 3.74, γ 15.44 on 946 repeaters, printed with two decimals.
    assert fitted.customers == 946
    assert fitted.params == pytest.approx({"p": 6.25, "q": 3.74, "gamma": 15.44}, abs=0.006)
    assert fitted.log_likelihood == pytest.approx(-4055.9177, abs=1e-4)
    assert fitted.status == "converged"
    assert fitted.notes == ()
    assert fitted.unit == ""
    assert fitted.data["without_repeat"] == 1411
    assert fitted.data["until"] == "1997-09-30"
    assert fitted.population_mean == pytest.approx(35.17, abs=0.01)
    assert str(fitted).startswith("GammaGamma of 946 customers: p 6.25 ± 1.2, q 3.744 ± 0.29, gamma 15.44 ± 4.2;")


def test_cdnow_predictions_of_note_025():
    # Its spreadsheet: with the printed parameters, (6.25·15.44 + 6.25·x·m̄)/(6.25·x + 2.74).
    fit = known(CDNOW)
    assert fit.expected_spend(frequency=0, monetary_value=0.0) == pytest.approx(6.25 * 15.44 / 2.74)
    assert fit.expected_spend(frequency=2, monetary_value=22.35) == pytest.approx(6.25 * (15.44 + 44.70) / 15.24)
    assert fit.expected_spend(frequency=1, monetary_value=50.0) == pytest.approx(6.25 * 65.44 / 8.99)


def test_the_gradient_at_the_maximum_is_nothing(fitted, cdnow):
    _, gradient = kernel.total(fitted.values, cdnow.spend_cells)
    assert np.abs(gradient).max() < 1e-6 * 946
    information = -kernel.total_hessian(fitted.values, cdnow.spend_cells)
    assert np.linalg.inv(information) == pytest.approx(fitted.log_covariance, rel=1e-6)


def test_lifetimes_agrees(cdnow):
    lifetimes = pytest.importorskip("lifetimes")
    cells = cdnow.spend_cells
    theirs = lifetimes.GammaGammaFitter().fit(np.repeat(cells.x, cells.weight.astype(int)),
                                              np.repeat(cells.mean, cells.weight.astype(int)))  # fmt: skip
    ours = GammaGamma().fit(cells)
    assert list(ours.values) == pytest.approx(list(theirs.params_), rel=1e-3)
    x, mean = np.array([1, 2, 30]), np.array([10.0, 80.0, 45.0])
    expected = theirs.conditional_expected_average_profit(x, mean)
    assert ours.expected_spend(frequency=x, monetary_value=mean) == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_no_worse_than_lifetimes_on_random_customers():
    lifetimes = pytest.importorskip("lifetimes")
    rng = np.random.default_rng(11)
    compared = 0
    for _ in range(100):
        n = int(rng.choice([3, 10, 30, 100, 400]))
        p, q = np.exp(rng.normal(1.0, 1.0, 2))
        x, mean = made(n, (p, q, np.exp(rng.normal(2, 3))), seed=rng.integers(1e6), share=rng.uniform(0.05, 0.9))
        mean = np.maximum(np.round(mean, 2), 0.01) if rng.random() < 0.3 else mean
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = GammaGamma().fit(SpendCells.of(x, mean))
            assert np.isfinite([*ours.values, ours.log_likelihood]).all()
            try:
                theirs = lifetimes.GammaGammaFitter().fit(x, mean)
            except Exception:  # noqa: BLE001, S112 (it gives up where there is no interior maximum)
                continue
        compared += 1
        # Where p or q has no bound, the search ends at 1e7, which costs less than this.
        assert ours.log_likelihood > -theirs._negative_log_likelihood_ * n - 1e-4
    assert compared >= 30


@pytest.mark.slow
def test_intervals_cover_what_was_simulated():
    """Of 400 samples, 90 % intervals hold the truth as often as they claim, by a binomial test at .001."""
    params, runs = (6.25, 3.74, 15.44), 400
    x, mean = np.array([0, 1, 5]), np.array([0.0, 60.0, 20.0])
    truth = [*params, *kernel.expected_spend(params, x, mean)]
    hits = np.zeros(len(truth), dtype=int)
    errors = np.zeros(3)
    for seed in range(runs):
        fit = GammaGamma().fit(SpendCells.of(*made(800, params, seed=seed)))
        spans = [*fit.intervals(0.9).values()]
        found = fit.expected_spend(frequency=x, monetary_value=mean, interval="confidence", confidence=0.9)
        spans += zip(found.low, found.high, strict=True)
        hits += [low <= value <= high for (low, high), value in zip(spans, truth, strict=True)]
        errors += np.log(fit.values) - np.log(params)
    from scipy import stats

    for name, count in zip([*kernel.NAMES, *map(str, x)], hits, strict=True):
        assert stats.binomtest(int(count), runs, 0.9).pvalue > 0.001, (name, count)
    assert np.abs(errors / runs).max() < 0.1  # the parameters are recovered


@pytest.mark.slow
def test_predictive_intervals_hold_the_next_purchase():
    params, hits, n = (1.5, 2.5, 30.0), 0, 0
    rng = np.random.default_rng(8)
    for _ in range(40):
        p, q, gamma = params
        x = rng.geometric(0.3, 300)
        rate = rng.gamma(q, 1.0 / gamma, 300)
        mean, following = rng.gamma(p * x) / x / rate, rng.gamma(p, 1.0 / rate)
        fit = GammaGamma().fit(SpendCells.of(x, mean))
        found = fit.expected_spend(frequency=x, monetary_value=mean, interval="predictive", confidence=0.8)
        hits += int(((found.low <= following) & (following <= found.high)).sum())
        n += 300
    # Customers of one sample share its parameters: 0.8 ± 5 standard errors, those of 40 samples among them.
    assert hits / n == pytest.approx(0.8, abs=0.02)


# -------------------------------------------------------------------------------------------------------------- fitting


def test_cells_are_customers_with_weights():
    x, mean = made(200)
    mean = np.round(mean)
    mean[mean == 0] = 1.0
    weight = np.random.default_rng(3).integers(1, 4, 200)
    one = GammaGamma().fit(SpendCells.of(x, mean, weight))
    other = GammaGamma().fit(SpendCells.of(np.repeat(x, weight), np.repeat(mean, weight)))
    assert one.values == pytest.approx(other.values, rel=1e-9)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    assert one.log_covariance == pytest.approx(other.log_covariance, rel=1e-6)
    assert one.customers == other.customers == weight.sum()


@pytest.mark.parametrize("unit", [100.0, 1e-6, 1e9])
def test_another_currency_changes_only_gamma(unit):
    x, mean = made(300)
    one, other = GammaGamma().fit(SpendCells.of(x, mean)), GammaGamma().fit(SpendCells.of(x, mean * unit))
    assert other.values == pytest.approx((*one.values[:2], one.values[2] * unit), rel=1e-7)
    assert other.log_likelihood == pytest.approx(one.log_likelihood - 300 * math.log(unit), rel=1e-10)
    assert other.log_covariance == pytest.approx(one.log_covariance, rel=1e-4)
    assert other.evaluations == one.evaluations


def test_the_grid_fits_as_the_pairs_do(monkeypatch):
    x, mean = made(20_000)
    grid = GammaGamma().fit(SpendCells.of(x, mean))
    monkeypatch.setattr(spend_cells, "MOST_PAIRS", len(x))
    pairs = GammaGamma().fit(SpendCells.of(x, mean))
    assert not grid.data["cells_exact"]
    assert pairs.data["cells_exact"]
    assert grid.log_likelihood == pytest.approx(pairs.log_likelihood, rel=1e-12)
    assert grid.values == pytest.approx(pairs.values, rel=1e-8)
    assert grid.log_covariance == pytest.approx(pairs.log_covariance, rel=1e-8)
    for name in ("adjusted", "logs", "plain"):
        assert grid.data["independence"][name] == pytest.approx(pairs.data["independence"][name], abs=1e-10)


def test_customers_the_model_cannot_hold_are_left_out_and_counted():
    x, mean = made(200)
    fit = GammaGamma().fit(SpendCells.of([*x, 0, 0, 4, 1, 2], [*mean, 0, 0, 0.0, -3.0, -1e9]))
    plain = GammaGamma().fit(SpendCells.of(x, mean))
    assert fit.values == plain.values
    assert fit.log_likelihood == plain.log_likelihood
    assert fit.notes == (
        "Left out of the fit: 3 customers whose repeat purchases cost nothing or less in all (free items, returns).",
    )
    assert (fit.customers, fit.data["without_repeat"], fit.data["not_positive"]) == (200, 2, 3)


@pytest.mark.parametrize(
    ("x", "mean", "message"),
    [
        ([], [], "nobody has a repeat purchase"),
        ([0, 0], [0.0, 0.0], "nobody has a repeat purchase"),
        ([0, 2], [0.0, -4.0], "the repeat purchases of 1 customer cost nothing or less in all, and nobody else"),
    ],
)
def test_nobody_to_learn_from(x, mean, message):
    with pytest.raises(EmptyData, match=message):
        GammaGamma().fit(SpendCells.of(x, mean))


def test_no_spend_in_the_summary(cdnow):
    frame = pd.DataFrame({"frequency": [1, 0], "recency": [2.0, 0.0], "T": [4.0, 4.0]})
    bare = ly.CustomerSummary.of(frame, unit="week")
    with pytest.raises(InvalidArgument, match="no spend"):
        GammaGamma().fit(bare)
    with pytest.raises(InvalidArgument, match="not a DataFrame"):
        GammaGamma().fit(frame)
    with pytest.raises(InvalidArgument, match="mean spend"):
        known(CDNOW).expected_spend(bare)


@pytest.mark.parametrize(("x", "mean"), [([1, 2, 3], [20.0] * 3), ([7], [20.0]), ([1, 2], [20.0, 20.0000000000001])])
def test_all_spend_equal(x, mean):
    with pytest.warns(LoyaltyWarning, match="All mean spends are 20.00: p and q have no bound"):
        fit = GammaGamma().fit(SpendCells.of(x, mean))
    assert fit.status == "boundary"
    assert not any(fit.identified.values())
    assert all(map(math.isnan, fit.standard_errors.values()))
    for frequency in (0, 1, 50):
        assert fit.expected_spend(frequency=frequency, monetary_value=20.0) == pytest.approx(20.0, rel=1e-6)
    assert math.isnan(fit.independence.adjusted.value)


def test_customers_who_differ_only_by_chance():
    x = np.random.default_rng(0).geometric(0.3, 500)
    mean = np.random.default_rng(1).gamma(6.25 * x) / x
    with pytest.warns(LoyaltyWarning, match="no more than chance makes them: q has no bound"):
        fit = GammaGamma().fit(SpendCells.of(x, mean))
    assert fit.status == "boundary"
    assert fit.identified == {"p": True, "q": False, "gamma": False}
    assert fit.params["p"] == pytest.approx(6.25, rel=0.2)
    overall = (x @ mean) / x.sum()  # q → ∞: the mean of all purchases, whoever made them
    spans = fit.expected_spend(frequency=[0, 50], monetary_value=[0.0, 9.0], interval="confidence")
    assert spans.value == pytest.approx([overall] * 2, rel=1e-4)
    error = np.log(spans.high / spans.value) / 1.96
    assert error == pytest.approx(1.0 / math.sqrt(6.25 * x.sum()), rel=0.1)  # that of a mean of Σx purchases


def test_customers_who_always_spend_their_own_mean():
    # Of those with one purchase and of those with six, the means are spread exactly as p → ∞ has it.
    mean = np.tile(15.0 / special.gammaincinv(3.7, (np.arange(250) + 0.5) / 250), 2)
    x = np.repeat([1, 6], 250)
    with pytest.warns(LoyaltyWarning, match="p has no bound, and everybody is expected to go on spending their own"):
        fit = GammaGamma().fit(SpendCells.of(x, mean))
    assert fit.identified == {"p": False, "q": True, "gamma": False}
    assert fit.expected_spend(frequency=1, monetary_value=8.0) == pytest.approx(8.0, rel=1e-5)
    assert fit.population_mean == pytest.approx(15.0 / 2.7, rel=0.1)
    assert fit.standard_errors["q"] > 0


def test_an_infinite_mean():
    with pytest.warns(LoyaltyWarning, match=r"q = 0.7\d* is not above 1"):
        fit = GammaGamma().fit(SpendCells.of(*made(500, (6.25, 0.7, 15.0))))
    assert fit.status == "boundary"
    assert fit.params["q"] < 1
    assert all(error > 0 for error in fit.standard_errors.values())  # the data do determine it
    assert fit.population_mean == math.inf
    found = fit.expected_spend(frequency=[0, 1], monetary_value=[0.0, 12.0], interval="confidence")
    assert [found.value[0], found.low[0], found.high[0]] == [math.inf] * 3
    assert found.low[1] < found.value[1] < found.high[1] < 1e3
    ends = fit.expected_spend(frequency=0, monetary_value=0.0, interval="predictive")
    assert 0 < ends.low < ends.high < math.inf  # quantiles are finite all the same


def test_several_maxima():
    # The climb from the moments ends at p = 0.3, q → ∞, 1.7 units of log-likelihood below the other end, p → ∞.
    x, mean = np.array([3, 1, 2, 1]), np.array([39.2, 0.9, 0.9, 2.4])
    with pytest.warns(LoyaltyWarning, match="p has no bound"):
        fit = GammaGamma().fit(SpendCells.of(x, mean))
    sizes = np.exp(np.linspace(-4.0, 16.0, 61))
    p, q, level = sizes[:, None, None, None], sizes[:, None, None], np.exp(np.linspace(-3.0, 6.0, 60))[:, None]
    everywhere = kernel.log_likelihood((p, q, level * q / p), x, mean).sum(axis=-1)
    assert fit.log_likelihood - 0.1 < everywhere.max() < fit.log_likelihood + 1e-4


def test_huge_spread():
    x = np.random.default_rng(0).geometric(0.3, 500)
    mean = np.exp(np.random.default_rng(1).normal(0.0, 20.0, 500))
    with pytest.warns(LoyaltyWarning, match="infinite"):
        fit = GammaGamma().fit(SpendCells.of(x, mean))
    assert np.isfinite([*fit.values, fit.log_likelihood]).all()
    _, gradient = kernel.total(fit.values, SpendCells.of(x, mean))
    assert np.abs(gradient).max() < 1e-4


def test_a_penalty_leaves_the_likelihood_on_its_scale():
    cells = SpendCells.of(*made(100))
    free, held = GammaGamma().fit(cells), GammaGamma(l2=5.0).fit(cells)
    assert held.l2 == 5.0
    assert held.log_likelihood == pytest.approx(kernel.total(held.values, cells)[0], rel=1e-12)
    assert held.log_likelihood < free.log_likelihood
    assert abs(math.log(held.params["p"])) < abs(math.log(free.params["p"]))
    assert GammaGamma(l2=0.1).fit(SpendCells.of([3], [20.0])).status == "converged"
    with pytest.raises(InvalidArgument, match="l2"):
        GammaGamma(l2=-1.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(-10, 1e6)), min_size=1, max_size=25))
@settings(max_examples=60, deadline=None)
def test_any_customers_give_a_fit_or_say_why_not(rows):
    cells = SpendCells.of([row[0] for row in rows], [row[1] for row in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = GammaGamma().fit(cells)
        except EmptyData:
            assert not len(cells)
            return
    assert np.isfinite([*fit.values, fit.log_likelihood, *fit.log_covariance.ravel()]).all()
    assert fit.status == "converged" or fit.notes
    assert np.linalg.eigvalsh(fit.log_covariance).min() > -1e-9
    assert fit.expected_spend(frequency=3, monetary_value=5.0) > 0


# ---------------------------------------------------------------------------------------------------------- predictions


@pytest.mark.parametrize("params", [CDNOW, (2.0, 0.5, 9.0)])
def test_one_is_all(params):
    fit = known(params)
    x, mean = np.array([0, 1, 3, 500, 2, 2, 1]), np.array([0.0, 20.0, 7.5, 40.0, 0.0, -30.0, 1e9])
    many = fit.expected_spend(frequency=x, monetary_value=mean)
    assert isinstance(many, np.ndarray)
    for place in range(len(x)):
        one = fit.expected_spend(frequency=int(x[place]), monetary_value=float(mean[place]))
        of_numpy = fit.expected_spend(frequency=x[place], monetary_value=mean[place])
        assert type(one) is type(of_numpy) is float
        assert one == of_numpy
        assert one == pytest.approx(many[place], rel=1e-15)
        for interval in ("confidence", "predictive"):
            alone = fit.expected_spend(frequency=x[place], monetary_value=mean[place], interval=interval)
            together = fit.expected_spend(frequency=x, monetary_value=mean, interval=interval)
            assert type(alone.low) is float
            assert (alone.low, alone.high) == pytest.approx((together.low[place], together.high[place]), rel=1e-12)
    assert fit.expected_spend(frequency=0) == fit.population_mean
    assert fit.expected_spend(frequency=[[1, 2]], monetary_value=[[3.0], [4.0]]).shape == (2, 2)


def test_returns_and_free_items_count_as_nothing():
    fit = known(CDNOW)
    nothing = fit.expected_spend(frequency=3, monetary_value=0.0)
    assert nothing == pytest.approx(6.25 * 15.44 / (6.25 * 3 + 2.74))
    assert fit.expected_spend(frequency=3, monetary_value=-50.0) == nothing
    assert fit.expected_spend(frequency=3, monetary_value=1e-9) == pytest.approx(nothing)  # no jump there
    assert 0 < nothing < fit.population_mean


def test_intervals_hold_the_expectation_and_grow_with_their_level():
    fit = known(CDNOW)
    x, mean = np.array([0, 1, 9, 2]), np.array([0.0, 90.0, 12.0, -4.0])
    spans = [fit.expected_spend(frequency=x, monetary_value=mean, interval="confidence", confidence=level)
             for level in (0.5, 0.95)]  # fmt: skip
    assert (spans[1].low < spans[0].low).all()
    assert (spans[0].low < spans[0].value).all()
    assert (spans[0].value < spans[0].high).all()
    assert (spans[0].high < spans[1].high).all()
    wide = fit.expected_spend(frequency=x, monetary_value=mean, interval="predictive")
    assert ((wide.low < spans[1].low) & (wide.high > spans[1].high)).all()
    assert (wide.kind, wide.confidence) == ("predictive", 0.95)


def test_the_delta_method_by_hand():
    # E = p·γ/(q − 1) for a new customer: derivatives of its logarithm 1, −q/(q − 1), 1.
    covariance = [[0.04, 0.001, -0.05], [0.001, 0.006, 0.0], [-0.05, 0.0, 0.07]]
    slopes = np.array([1.0, -3.74 / 2.74, 1.0])
    half = 1.959963984540054 * math.sqrt(slopes @ np.array(covariance) @ slopes)
    found = known(CDNOW, covariance).expected_spend(frequency=0, interval="confidence")
    assert found.high == pytest.approx(found.value * math.exp(half))
    assert found.low == pytest.approx(found.value * math.exp(-half))


def test_predictive_ends_are_exact_quantiles_where_parameters_are_known():
    fit = known(CDNOW, np.zeros((3, 3)))
    x, mean = np.array([0, 1, 30]), np.array([0.0, 60.0, 20.0])
    found = fit.expected_spend(frequency=x, monetary_value=mean, interval="predictive", confidence=0.9)
    assert found.low == pytest.approx(kernel.quantile(CDNOW, x, mean, 0.05), rel=1e-10)
    assert found.high == pytest.approx(kernel.quantile(CDNOW, x, mean, 0.95), rel=1e-10)


def test_predictive_intervals_hold_draws_with_the_parameters_unsure():
    covariance = np.array([[0.04, -0.01, -0.05], [-0.01, 0.006, 0.017], [-0.05, 0.017, 0.073]])
    rng = np.random.default_rng(0)
    p, q, gamma = np.exp(rng.multivariate_normal(np.log(CDNOW), covariance, 400_000)).T
    for x, mean in ((0, 0.0), (3, 60.0)):
        drawn = rng.gamma(p) / rng.gamma(p * x + q, 1.0 / (gamma + x * mean))
        found = known(CDNOW, covariance).expected_spend(frequency=x, monetary_value=mean, interval="predictive")
        assert ((found.low <= drawn) & (drawn <= found.high)).mean() == pytest.approx(0.95, abs=0.004)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give a summary"),
        ({"frequency": 2}, "monetary_value= is missing"),
        ({"frequency": -1, "monetary_value": 2.0}, "whole and at least 0"),
        ({"frequency": 1.5, "monetary_value": 2.0}, "frequency=1.5"),
        ({"frequency": math.inf, "monetary_value": 2.0}, "frequency=inf"),
        ({"frequency": math.nan, "monetary_value": 2.0}, "frequency=nan"),
        ({"frequency": 1, "monetary_value": math.nan}, "monetary_value=nan"),
        ({"frequency": 1, "monetary_value": -math.inf}, "monetary_value=-inf"),
        ({"frequency": [1, 2, -3], "monetary_value": [1.0, 2.0, 3.0]}, "frequency=-3"),
        ({"frequency": [1, 2], "monetary_value": [1.0, math.nan]}, "monetary_value=nan"),
        ({"frequency": [1, 2], "monetary_value": [1.0, 2.0, 3.0]}, "one length"),
        ({"frequency": "many", "monetary_value": 2.0}, "no number"),
        ({"frequency": 1, "monetary_value": "much"}, "no number"),
        ({"frequency": 1, "monetary_value": 2.0, "interval": "both"}, "interval='both'"),
        ({"frequency": 1, "monetary_value": 2.0, "interval": "confidence", "confidence": 1.0}, "confidence=1.0"),
    ],
)
def test_what_cannot_be_asked(given, message):
    with pytest.raises(InvalidArgument, match=message.replace("(", r"\(")):
        known(CDNOW).expected_spend(**given)


def test_a_mean_without_purchases_is_not_read():
    fit = known(CDNOW)
    assert fit.expected_spend(frequency=0, monetary_value=math.nan) == fit.population_mean
    assert fit.expected_spend(frequency=[0], monetary_value=[math.nan]).tolist() == [fit.population_mean]


# -------------------------------------------------------------------------------------------------------------- engines

PEOPLE = {
    "frequency": [0, 1, 3, 500, 2, 2, 1],
    "monetary_value": [0.0, 20.0, 7.5, 40.0, 0.0, -30.0, 1e9],
}


def in_duckdb(expressions):
    connection = duckdb.connect()
    connection.from_arrow(pa.table(PEOPLE)).create("people")
    frame = nw.from_native(connection.table("people")).select(**expressions)
    return nw.to_native(frame).to_arrow_table().to_pydict()


def in_polars(expressions):
    return nw.to_native(nw.from_native(pl.LazyFrame(PEOPLE)).select(**expressions)).collect().to_dict(as_series=False)


@pytest.mark.parametrize("engine", [in_duckdb, in_polars])
@pytest.mark.parametrize("params", [CDNOW, (2.0, 0.5, 9.0), (0.25, 0.75, 3.0), (1e7, 1e7, 20.0)])
def test_expressions(engine, params):
    fit, x, mean = known(params), np.array(PEOPLE["frequency"]), np.array(PEOPLE["monetary_value"])
    columns = nw.col("frequency"), nw.col("monetary_value")
    slopes = fit.log_slopes(*columns)
    found = engine({"value": fit.spend_expression(*columns), "square": fit.spend_square_expression(*columns), **slopes})
    value = kernel.expected_spend(params, x, mean)
    assert found["value"] == pytest.approx(value.tolist(), rel=1e-14)
    finite = np.isfinite(value)
    true = value * kernel.log_expected_gradient(params, x, mean)
    for name, row in zip(kernel.NAMES, true, strict=True):
        slope = np.array(found["value"], float) * np.array(found[name], float)  # not finite where the value is not
        assert slope[finite] == pytest.approx(row[finite], rel=1e-9)
        assert not np.isfinite(slope[~finite]).any()
    # E[μ²] with μ = p/ν and ν ~ Gamma(px + q, γ + x·m̄)
    below = params[0] * x + params[1] - 1.0
    scale = params[0] * (params[2] + x * np.maximum(mean, 0.0))
    square = [s * s / (b * (b - 1.0)) if b > 1.0 else math.inf for s, b in zip(scale, below, strict=True)]
    assert found["square"] == pytest.approx(square, rel=1e-12)


@pytest.fixture(scope="module", params=["pandas", "polars", "weighted"])
def people(request):
    frame = pd.DataFrame(
        {
            "id": list("abcdefg"),
            **PEOPLE,
            "recency": [0.0, 3.0, 4.0, 9.0, 1.0, 2.0, 3.0],
            "T": 10.0,
            "n": [1, 2, 3, 4, 5, 6, 7],
        }
    )
    kind = pl.from_pandas(frame) if request.param == "polars" else frame
    more = {"weight": "n"} if request.param == "weighted" else {}
    return ly.CustomerSummary.of(kind, unit="week", customer="id", monetary_value="monetary_value", **more)


@pytest.mark.parametrize("params", [CDNOW, (2.0, 0.5, 9.0)])
@pytest.mark.parametrize("interval", [None, "confidence", "predictive"])
def test_summaries_are_scored_where_they_live(people, params, interval):
    fit = known(params, [[0.04, -0.01, -0.05], [-0.01, 0.006, 0.017], [-0.05, 0.017, 0.073]])
    found = fit.expected_spend(people, interval=interval, confidence=0.8)
    assert isinstance(found, type(people.to_native()))
    found = nw.from_native(found, eager_only=True).sort("id")
    ends = [] if interval is None else ["expected_spend_low", "expected_spend_high"]
    assert found.columns == ["id", "frequency", "monetary_value", "expected_spend", *ends]
    x, mean = found["frequency"].to_numpy(), found["monetary_value"].to_numpy()
    expected = fit.expected_spend(frequency=x, monetary_value=mean, interval=interval, confidence=0.8)
    parts = [expected] if interval is None else [expected.value, expected.low, expected.high]
    for name, values in zip(["expected_spend", *ends], parts, strict=True):
        assert found[name].to_numpy() == pytest.approx(values, rel=1e-10)


def test_summary_and_arrays_together(people):
    with pytest.raises(InvalidArgument, match="not both"):
        known(CDNOW).expected_spend(people, frequency=1)


def test_any_object_with_spend_cells_is_fitted():
    cells = SpendCells.of(*made(50))
    stand_in = types.SimpleNamespace(spend_cells=cells, until=None)
    assert GammaGamma().fit(stand_in).values == GammaGamma().fit(cells).values


def test_from_a_log_by_hand():
    log = pd.DataFrame(
        {
            "customer_id": ["a", "a", "a", "b", "c", "c"],
            "date": pd.to_datetime([f"2024-01-{day:02}" for day in (1, 8, 22, 15, 2, 30)]),
            "amount": [999.0, 20.0, 30.0, 5.0, 999.0, 12.0],
        }
    )
    cells = ly.summarize(ly.transactions(log)).spend_cells
    assert (cells.x.tolist(), cells.mean.tolist()) == ([1.0, 2.0], [12.0, 25.0])  # first purchases left out
    assert cells.without_repeat == 1
