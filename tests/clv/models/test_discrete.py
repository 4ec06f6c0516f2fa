"""BG/BB: published fits and predictions, intervals, awkward samples, and the laws that every fit keeps."""

import dataclasses
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sources
from loyalty import datasets
from loyalty.clv.kernels import _bgbb
from loyalty.clv.models.discrete import BGBB, BGBBFit
from loyalty.clv.models.uncertainty import Prediction
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.summaries.opportunities import Opportunities, opportunities
from loyalty.errors import ConvergenceError, EmptyData, InvalidArgument, LoyaltyWarning

# Fader, Hardie & Shang (2010): 11,104 donors first seen in 1995, six annual opportunities; the rows of donations.csv in
# the package lifetimes: frequency, recency, donors.
DONATIONS = [
    (0, 0, 3464), (1, 1, 1091), (1, 2, 277), (1, 3, 129), (1, 4, 78), (1, 5, 119), (1, 6, 129), (2, 2, 613),
    (2, 3, 255), (2, 4, 155), (2, 5, 173), (2, 6, 234), (3, 3, 322), (3, 4, 181), (3, 5, 225), (3, 6, 357), (4, 4, 240),
    (4, 5, 284), (4, 6, 512), (5, 5, 335), (5, 6, 728), (6, 6, 1203),
]  # fmt: skip
PUBLISHED = {"alpha": 1.203528, "beta": 0.7497260, "gamma": 0.6567808, "delta": 2.783796}
NEW = {"frequency": 0, "recency": 0, "opportunities": 0}


def donations():
    frame = pd.DataFrame(DONATIONS, columns=["frequency", "recency", "donors"]).assign(years=6)
    return Opportunities.of(frame, period="year", opportunities="years", weight="donors")


@pytest.fixture(scope="module")
def fit():
    return BGBB().fit(donations())


def simulated(seed, size, n, params):
    """Return the cells of simulated customers; n is a number or an array."""
    rng, (a, b, g, d) = np.random.default_rng(seed), params
    n = np.broadcast_to(n, size)
    p, theta = rng.beta(a, b, size)[:, None], rng.beta(g, d, size)[:, None]
    alive = np.cumprod(rng.random((size, n.max())) >= theta, axis=1)
    bought = alive * (rng.random((size, n.max())) < p) * (np.arange(n.max()) < n[:, None])
    return Cells.of(bought.sum(axis=1), (bought * np.arange(1, n.max() + 1)).max(axis=1), n)


def test_published_fit_of_donations(fit):
    assert fit.log_likelihood == pytest.approx(-33225.58, abs=0.005)  # printed to two decimals
    for name, value in PUBLISHED.items():
        assert fit.params[name] == pytest.approx(value, rel=2e-4), name  # the likelihood is flat to 1e-8 there
    assert fit.status == "converged"
    assert fit.notes == ()
    assert fit.customers == 11104
    assert (fit.unit, fit.days_per_period) == ("year", 365.25)


def test_published_predictions(fit):
    # printed to these digits at the printed parameters, from which the optimum differs in the fifth digit
    assert fit.expected_purchases(**NEW, periods=10) == pytest.approx(3.179805, rel=2e-5)
    assert fit.expected_purchases(frequency=0, recency=0, opportunities=6, periods=10) == pytest.approx(
        0.1302169, rel=2e-5
    )
    assert fit.expected_purchases(frequency=4, recency=5, opportunities=6, periods=10) == pytest.approx(
        3.627858, rel=5e-5
    )
    # the plain sum of the discounted chances at the published parameters, by mpmath with 30 digits
    best = {"frequency": 6, "recency": 6, "opportunities": 6}
    assert fit.discounted_purchases(**best) == pytest.approx(5.90973860984594, rel=2e-4)


def test_standard_errors_are_the_curvature(fit):
    """Against second differences of the log-likelihood itself."""
    cells, logs, step = donations().cells, np.log(fit.values), 1e-3

    def total(moved):
        return _bgbb.total(tuple(np.exp(moved)), cells)[0]

    hessian = np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            one, two = step * np.eye(4)[i], step * np.eye(4)[j]
            corners = (
                total(logs + one + two) - total(logs + one - two) - total(logs - one + two) + total(logs - one - two)
            )
            hessian[i, j] = corners / (4 * step**2)
    np.testing.assert_allclose(fit.log_covariance, np.linalg.inv(-hessian), rtol=2e-3)


def test_rows_and_cells_give_one_fit(fit):
    cells = donations().cells
    spread = np.repeat(np.arange(len(cells)), cells.weight.astype(int))
    again = BGBB().fit(Cells(cells.x[spread], cells.t_x[spread], cells.T[spread], np.ones(len(spread))), period="year")
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)
    assert list(again.values) == pytest.approx(list(fit.values), rel=1e-5)


def test_weights_scale_the_likelihood_only(fit):
    cells = donations().cells
    twice = BGBB().fit(Cells(cells.x, cells.t_x, cells.T, 2 * cells.weight), period="year")
    assert list(twice.values) == pytest.approx(list(fit.values), rel=1e-5)
    assert twice.log_likelihood == pytest.approx(2 * fit.log_likelihood, rel=1e-11)
    np.testing.assert_allclose(twice.log_covariance, fit.log_covariance / 2, rtol=1e-3)


QUANTITIES = {
    "p_alive": {"ahead": 1},
    "expected_purchases": {"periods": 5},
    "discounted_purchases": {"annual_discount_rate": 0.1},
    "purchase_probability": {"count": 2, "periods": 5},
    "time_alive": {"periods": 5},
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_numbers_arrays_and_frames_agree(fit, name):
    data, options = donations(), QUANTITIES[name]
    frame = getattr(fit, name)(data, **options)
    keys = {"frequency": frame["frequency"], "recency": frame["recency"], "opportunities": frame["opportunities"]}
    arrays = getattr(fit, name)(**keys, **options)
    np.testing.assert_allclose(frame[name], arrays, rtol=1e-13)
    alone = [getattr(fit, name)(frequency=x, recency=t_x, opportunities=6, **options) for x, t_x, _ in DONATIONS]
    np.testing.assert_allclose(sorted(alone), np.sort(arrays), rtol=1e-12)
    assert isinstance(alone[0], float)
    grid = getattr(fit, name)(frequency=[[1], [2]], recency=[[2], [3]], opportunities=[4, 6], **options)
    assert grid.shape == (2, 2)
    sure = getattr(fit, name)(data, **options, interval="confidence")
    assert (sure[f"{name}_low"] <= sure[name]).all()
    assert (sure[name] <= sure[f"{name}_high"]).all()
    one = getattr(fit, name)(frequency=2, recency=3, opportunities=6, **options, interval="confidence", confidence=0.5)
    wide = getattr(fit, name)(frequency=2, recency=3, opportunities=6, **options, interval="confidence")
    assert isinstance(one, Prediction)
    assert wide.low < one.low < one.value < one.high < wide.high


def test_predictions_hang_together(fit):
    one = {"frequency": 2, "recency": 4, "opportunities": 6}
    mass = [fit.purchase_probability(**one, count=count, periods=8) for count in range(9)]
    assert sum(mass) == pytest.approx(1.0, rel=1e-12)
    assert fit.expected_purchases(**one, periods=8) == pytest.approx(sum(k * chance for k, chance in enumerate(mass)))
    later = [fit.p_alive(**one, ahead=k) for k in range(1, 9)]
    assert fit.time_alive(**one, periods=8) == pytest.approx(sum(later), rel=1e-12)
    worth = fit.discounted_purchases(**one, periods=8, annual_discount_rate=0.0)
    assert worth == pytest.approx(fit.expected_purchases(**one, periods=8), rel=1e-12)
    by_year = [fit.expected_purchases(**one, periods=k) for k in range(1, 9)]
    added = sum(
        (after - before) / 1.1**k for k, (before, after) in enumerate(zip([0, *by_year], by_year, strict=False), 1)
    )
    assert fit.discounted_purchases(**one, periods=8) == pytest.approx(added, rel=1e-12)
    assert fit.discounted_purchases(**one) > fit.discounted_purchases(**one, periods=30)
    buying, leaving = fit.chances(**NEW)
    assert buying == pytest.approx(1.203528 / (1.203528 + 0.7497260), rel=1e-4)
    assert leaving == pytest.approx(0.6567808 / (0.6567808 + 2.783796), rel=1e-4)
    native = fit.chances(donations())
    assert (native["chance_of_leaving"].between(0, 1) & native["chance_of_buying"].between(0, 1)).all()


def test_median_time_alive(fit):
    """Against chances of being alive looked up one by one."""
    frame = fit.median_time_alive(donations())
    assert list(frame)[-1] == "median_time_alive"
    found = fit.median_time_alive(frequency=frame["frequency"], recency=frame["recency"], opportunities=6)
    assert found.tolist() == frame["median_time_alive"].tolist()
    for x, t_x, median in zip(frame["frequency"], frame["recency"], found, strict=True):
        one = {"frequency": x, "recency": t_x, "opportunities": 6}
        alive = [fit.p_alive(**one, ahead=k) for k in range(1, 100)]  # P(alive at the next k at least)
        assert median == np.argmax(np.array(alive) <= 0.5)
    assert found.min() == 0.0 < found.max()
    assert isinstance(fit.median_time_alive(**NEW), float)
    never = dataclasses.replace(fit, params={**fit.params, "gamma": 0.01, "delta": 100.0})
    assert never.median_time_alive(**NEW) == math.inf
    with pytest.raises(InvalidArgument, match="recency, opportunities missing"):
        fit.median_time_alive(frequency=1)


def test_nothing_known_is_no_precision():
    with pytest.warns(LoyaltyWarning):
        fit = BGBB().fit(Cells.of([6] * 5, [6] * 5, [6] * 5), period="year")  # all always buy
    one = {"frequency": 6, "recency": 6, "opportunities": 6}
    for kind in ("confidence", "predictive"):
        found = fit.expected_purchases(**one, periods=4, interval=kind)
        assert found.value == pytest.approx(4.0, abs=1e-3)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert found.note
    sure = fit.p_alive(**one, interval="confidence")  # whoever bought just now, whatever the parameters
    assert (sure.low, sure.value, sure.high, sure.note) == (1.0, 1.0, 1.0, "")


def test_confidence_is_the_delta_method(fit):
    one = {"frequency": 1, "recency": 2, "opportunities": 6}
    spread = fit.expected_purchases(**one, periods=10, interval="confidence", confidence=0.6826894921370859)
    logs, steps = np.log(fit.values), 1e-5 * np.eye(4)

    def quantity(log_params):
        params = tuple(np.exp(log_params))
        share = _bgbb.p_alive(params, 1, 2, 6)[0] * _bgbb.purchases(params, 1, 6, 10)[()] / 10
        return math.log(share / (1 - share))

    slopes = np.array([(quantity(logs + step) - quantity(logs - step)) / 2e-5 for step in steps])
    error = math.sqrt(slopes @ fit.log_covariance @ slopes)  # on the scale of log odds of the ten
    middle = quantity(logs)
    for limit, sign in ((spread.low, -1), (spread.high, 1)):
        assert limit == pytest.approx(10 / (1 + math.exp(-(middle + sign * error))), rel=1e-5)


def test_predictive_intervals_are_quantiles(fit):
    """With next to no doubt about the parameters they are the quantiles of the distribution itself."""
    one = {"frequency": 3, "recency": 5, "opportunities": 6}
    found = fit.expected_purchases(**one, periods=12, interval="predictive", confidence=0.8)
    below = np.cumsum([fit.purchase_probability(**one, count=count, periods=12) for count in range(13)])
    assert found.kind == "predictive"
    assert (found.low, found.high) == (int(np.argmax(below >= 0.1)), int(np.argmax(below >= 0.9)))
    small = donations().cells
    unsure = BGBB().fit(Cells(small.x, small.t_x, small.T, small.weight / 300), period="year")
    wider = unsure.expected_purchases(**one, periods=12, interval="predictive", confidence=0.8)
    assert wider.low <= found.low
    assert wider.high >= found.high
    frame = fit.expected_purchases(donations(), periods=12, interval="predictive")
    assert (frame["expected_purchases_low"] <= frame["expected_purchases_high"]).all()
    assert frame["expected_purchases_high"].max() <= 12


@pytest.mark.parametrize("source", ["pandas", "polars", "duckdb"])
def test_from_a_log_to_customers(source, tmp_path):
    with sources.opened(source, datasets.cdnow_sample(), tmp_path) as tx:
        months = opportunities(tx, "month", until="1998-03-31")
        fit = BGBB().fit(months)
        native = fit.p_alive(months, ahead=1)
    assert fit.status == "converged"
    assert fit.data["until"] == "1998-03-31"
    assert "begins on 1997-01-01" in fit.notes[0]
    found = sources.as_pandas(native)
    assert list(found) == ["customer_id", "frequency", "recency", "opportunities", "p_alive"]
    assert len(found) == 2357
    assert type(native).__module__.split(".")[0] in {source, "pandas", "_duckdb"}


def test_unequal_numbers_of_opportunities_recover_the_parameters():
    truth = (1.2, 0.75, 0.65, 2.8)
    fit = BGBB().fit(simulated(1, 40_000, np.random.default_rng(0).integers(1, 15, 40_000), truth), period="month")
    for name, value in zip(_bgbb.NAMES, truth, strict=True):
        assert abs(math.log(fit.params[name] / value)) < 4 * fit.standard_errors[name] / fit.params[name], name


@pytest.mark.slow
def test_coverage_of_intervals():
    """90 % intervals hold the truth in 90 % of 250 samples, as far as a binomial test at .001 can see."""
    from scipy.stats import binomtest

    truth, n = (1.2, 0.75, 0.65, 2.8), np.random.default_rng(0).integers(3, 10, 3000)
    logs, one = np.log(truth), {"frequency": 2, "recency": 3, "opportunities": 6}
    expected = _bgbb.p_alive(truth, 2, 3, 6)[0] * _bgbb.purchases(truth, 2, 6, 5)[()]
    alive, replications, hits = _bgbb.p_alive(truth, 2, 3, 6, 1)[0], 250, np.zeros(6)
    for seed in range(replications):
        fit = BGBB().fit(simulated(seed, 3000, n, truth), period="year")
        error = np.sqrt(np.diag(fit.log_covariance))
        hits[:4] += np.abs(np.log(fit.values) - logs) < 1.6448536 * error
        for place, found, value in (
            (4, fit.expected_purchases(**one, periods=5, interval="confidence", confidence=0.9), expected),
            (5, fit.p_alive(**one, ahead=1, interval="confidence", confidence=0.9), alive),
        ):
            hits[place] += found.low < value < found.high
    assert min(binomtest(int(count), replications, 0.9).pvalue for count in hits) > 0.001, hits / replications


@pytest.mark.slow
def test_predictive_coverage():
    """Customers' later purchases lie inside their predictive intervals at least as often as promised."""
    truth, seen, ahead, size = (0.8, 1.5, 0.5, 4.0), 6, 8, 800
    inside, total, (a, b, g, d) = 0, 0, truth
    for seed in range(25):
        rng = np.random.default_rng(seed)
        p, theta = rng.beta(a, b, size)[:, None], rng.beta(g, d, size)[:, None]
        alive = np.cumprod(rng.random((size, seen + ahead)) >= theta, axis=1)
        bought = alive * (rng.random((size, seen + ahead)) < p)
        x, t_x = bought[:, :seen].sum(axis=1), (bought[:, :seen] * np.arange(1, seen + 1)).max(axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LoyaltyWarning)
            fit = BGBB().fit(Cells.of(x, t_x, np.full(size, seen)), period="year")
        found = fit.expected_purchases(
            frequency=x, recency=t_x, opportunities=seen, periods=ahead, interval="predictive", confidence=0.8
        )
        later = bought[:, seen:].sum(axis=1)
        inside += ((later >= found.low) & (later <= found.high)).sum()
        total += size
    assert inside / total > 0.8


AWKWARD = {
    "one customer who always buys": [(6, 6, 6)],
    "everybody always buys": [(6, 6, 6)] * 5,
    "everybody buys once and leaves": [(1, 1, 6)] * 10,
    "one customer, one opportunity": [(1, 1, 1)],
    "one opportunity": [(1, 1, 1)] * 3 + [(0, 0, 1)] * 4,
    "identical customers": [(3, 6, 6)] * 10,
    "three customers": [(2, 3, 6), (0, 0, 6), (1, 1, 6)],
    "nobody leaves": [(1, 6, 6)] * 3 + [(2, 6, 6)] * 4,
    "all or nothing": [(3, 3, 3), (0, 0, 3)] * 4,
    "very different lengths": [(1, 1, 2), (0, 0, 300), (150, 300, 300), (1, 280, 300), (2, 5, 7)],
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_samples_are_told_in_words(name):
    cells = Cells.of(*zip(*AWKWARD[name], strict=True))
    with pytest.warns(LoyaltyWarning, match="^BGBB: "):
        fit = BGBB().fit(cells, period="month")
    assert fit.status in {"ridge", "boundary"}
    loose = [name for name, known in fit.identified.items() if not known]
    assert loose
    assert all(math.isnan(fit.standard_errors[name]) for name in loose)
    assert fit.notes[-1].startswith("The data do not determine")
    # what was observed is still described: the mean number of purchases of those who had n opportunities
    for x, t_x, n in AWKWARD[name]:
        assert 0 <= fit.p_alive(frequency=x, recency=t_x, opportunities=n, ahead=1) <= 1
        value = fit.expected_purchases(frequency=x, recency=t_x, opportunities=n, periods=4, interval="confidence")
        assert 0 <= value.value <= 4
        assert math.isnan(value.low) or 0 <= value.low <= value.value <= value.high <= 4
    assert math.isfinite(fit.discounted_purchases(**NEW))
    mean = cells.weight @ cells.x
    expected = sum(
        fit.expected_purchases(**NEW, periods=int(n)) * w for n, w in zip(cells.T, cells.weight, strict=True)
    )
    assert expected == pytest.approx(mean, rel=0.35)


def test_a_limit_is_named():
    for name, words in {
        "everybody always buys": "buying at an opportunity is certain for everybody",
        "one opportunity": "not buying and having left look the same",
        "nobody leaves": "dropping out before an opportunity is zero for everybody",
        "identical customers": "buying at an opportunity is the same for everybody, 0.5",
    }.items():
        with pytest.warns(LoyaltyWarning, match=words):
            BGBB().fit(Cells.of(*zip(*AWKWARD[name], strict=True)), period="month")


@pytest.mark.slow
def test_random_small_samples_never_pass_for_more_than_they_are():
    rng, seen = np.random.default_rng(5), {}
    for seed in range(60):
        size = int(np.exp(rng.uniform(0, 5.5)))
        cells = simulated(seed, size, rng.integers(1, 9, size), np.exp(rng.normal(0, 1.2, 4)))
        if not cells.x.any():
            with pytest.raises(EmptyData, match="bought again"):
                BGBB().fit(cells, period="year")
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fit = BGBB().fit(cells, period="year")
            except ConvergenceError:
                seen["error"] = seen.get("error", 0) + 1
                continue
        assert (fit.status == "converged") == (not caught)
        assert math.isfinite(fit.log_likelihood)
        if fit.status == "converged":
            gradient = _bgbb.total(fit.values, cells)[1] / cells.customers
            assert np.abs(gradient).max() < 1e-5
            assert np.isfinite(list(fit.standard_errors.values())).all()
        seen[fit.status] = seen.get(fit.status, 0) + 1
    assert seen.get("error", 0) <= 2
    assert seen["converged"] > 5
    assert seen["boundary"] > 5


def test_a_penalty_holds_what_the_data_leave_open():
    cells = Cells.of(*zip(*AWKWARD["three customers"], strict=True))
    fit = BGBB(l2=0.1).fit(cells, period="month")
    assert fit.status == "converged"
    assert fit.l2 == 0.1
    assert max(map(abs, np.log(fit.values))) < 3
    assert fit.log_likelihood == pytest.approx(_bgbb.total(fit.values, cells)[0], rel=1e-10)  # the penalty left out


def test_it_goes_through_json(fit):
    again = BGBBFit.from_dict(json.loads(json.dumps(fit.to_dict())))
    one = {"frequency": 4, "recency": 5, "opportunities": 6, "periods": 10, "interval": "confidence"}
    assert again.expected_purchases(**one) == fit.expected_purchases(**one)
    with pytest.raises(InvalidArgument, match="should be alpha, beta, gamma, delta"):
        BGBBFit.from_dict({**fit.to_dict(), "params": {"a": 1.0}})


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("p_alive", {"frequency": 1, "recency": 2}, "opportunities missing"),
        ("p_alive", {"frequency": 3, "recency": 2, "opportunities": 6}, r"= \(3, 2, 6\)"),
        ("p_alive", {"frequency": 0, "recency": 2, "opportunities": 6}, r"= \(0, 2, 6\)"),
        ("p_alive", {"frequency": 1, "recency": 7, "opportunities": 6}, r"= \(1, 7, 6\)"),
        ("p_alive", {"frequency": -1, "recency": 7, "opportunities": 6}, "cannot be"),
        ("p_alive", {"frequency": 1.5, "recency": 2, "opportunities": 6}, "whole numbers"),
        ("p_alive", {"frequency": math.nan, "recency": 2, "opportunities": 6}, "cannot be"),
        ("p_alive", {"frequency": [1, 2], "recency": [2, 2, 2], "opportunities": 6}, "do not fit together"),
        ("p_alive", {"frequency": "1", "recency": 2, "opportunities": 6}, "no number"),
        ("p_alive", {**NEW, "ahead": -1}, "ahead=-1"),
        ("p_alive", {**NEW, "ahead": 1.5}, "ahead=1.5"),
        ("p_alive", {**NEW, "interval": "predictive"}, "interval='predictive'"),
        ("expected_purchases", {**NEW, "periods": 0}, "periods=0"),
        ("expected_purchases", {**NEW, "periods": 5, "interval": "certain"}, "interval='certain'"),
        ("expected_purchases", {**NEW, "periods": 5, "interval": "confidence", "confidence": 95}, "confidence=95"),
        ("purchase_probability", {**NEW, "periods": 5, "count": -1}, "count=-1"),
        ("discounted_purchases", {**NEW, "annual_discount_rate": -1}, "above −1"),
        ("discounted_purchases", {**NEW, "annual_discount_rate": 0}, "without an end"),
        ("discounted_purchases", {**NEW, "annual_discount_rate": math.nan}, "not a finite number"),
    ],
)
def test_arguments_that_cannot_be(fit, name, arguments, words):
    with pytest.raises(InvalidArgument, match=words):
        getattr(fit, name)(**arguments)


def test_data_that_cannot_be(fit):
    data = donations()
    with pytest.raises(InvalidArgument, match="either opportunities of customers or the keywords"):
        fit.p_alive(data, frequency=1)
    with pytest.raises(InvalidArgument, match="none of the opportunities"):
        fit.p_alive(pd.DataFrame())
    monthly = Opportunities.of(data.to_native(), period="month", weight="weight")
    with pytest.raises(InvalidArgument, match="the opportunities are months and the model's are years"):
        fit.p_alive(monthly)
    with pytest.raises(InvalidArgument, match="opportunities are years already"):
        BGBB().fit(data, period="month")
    with pytest.raises(InvalidArgument, match="pass period="):
        BGBB().fit(data.cells)
    with pytest.raises(InvalidArgument, match="not on a DataFrame"):
        BGBB().fit(pd.DataFrame())
    with pytest.raises(InvalidArgument, match="cannot be"):
        BGBB().fit(Cells.of([1], [2.5], [3]), period="month")
    with pytest.raises(EmptyData, match="nobody had an opportunity"):
        BGBB().fit(Cells.of([0], [0], [0]), period="month")
    with pytest.raises(InvalidArgument, match="l2=-1"):
        BGBB(l2=-1)


def test_the_table_here_is_the_one_of_lifetimes():
    import importlib.util

    spec = importlib.util.find_spec("lifetimes")
    theirs = pd.read_csv(Path(spec.origin).parent / "datasets" / "donations.csv")
    assert list(theirs[["frequency", "recency", "weights"]].itertuples(index=False, name=None)) == DONATIONS
