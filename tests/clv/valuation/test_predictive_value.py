import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import handmade
import loyalty as ly
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.valuation import chance, predictive_value
from loyalty.clv.valuation.predictive_value import Outlook, odds
from loyalty.clv.valuation.value import CLVModel, fit_clv
from loyalty.errors import InvalidArgument

HISTORIES = [(0, 0.0, 0.0), (0, 0.0, 30.0), (1, 1.0, 38.0), (2, 20.0, 30.0), (6, 25.0, 30.0), (26, 30.8, 31.0)]


def cells(histories=HISTORIES):
    x, t_x, T = np.array(histories, dtype=float).T
    return Cells(x, t_x, T, np.ones(len(x)))


def known(fit, spend, horizon=52.0):
    """Return an outlook whose parameters are known for certain."""
    nothing = [np.zeros_like(one.log_covariance) for one in (fit, spend)]
    return Outlook.of(fit.kernel, (fit.values, nothing[0]), (spend.values, nothing[1]), horizon)


def chance_of(fit, spend, history, u, horizon=52.0):
    """Return P(sum ≤ γ'·u) of one customer, summed term by term."""
    (p, q, _), (x, t_x, T) = spend.values, history
    alive = float(fit.kernel.p_alive(fit.values, float(x), t_x, T))
    counts = np.arange(0.0, 400.0)
    mass = np.array([float(fit.kernel.probability(fit.values, float(x), T, horizon, count)) for count in counts])
    below = special.betainc(p * counts[1:], q + p * x, u / (1.0 + u)) if u > 0.0 else np.zeros(len(counts) - 1)
    return 1.0 - alive * (1.0 - mass[0] - mass[1:] @ below)


@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD", "NBD"])
def test_odds_are_quantiles_of_the_sum_of_terms(name):
    fit, spend = handmade.purchases(name), handmade.spend()
    low, high = odds(known(fit, spend), cells(), 0.8)
    for place, history in enumerate(HISTORIES):
        for level, found in ((0.1, low[place]), (0.9, high[place])):
            nothing = chance_of(fit, spend, history, 0.0)
            if found == 0.0:
                assert nothing >= level
            else:
                # Stated to be good to 1e-3 of itself: at both ends of that, the probability lies around the level.
                ends = [chance_of(fit, spend, history, found * factor) for factor in (0.999, 1.001)]
                assert ends[0] <= level <= ends[1]


@pytest.mark.parametrize(
    "spend", [{"p": 0.7}, {"p": 80.0, "q": 3.0}, {"q": 1.2}, {"p": 60.0, "q": 40.0, "gamma": 500.0}]
)
def test_odds_of_other_spends(spend):
    fit, spend = handmade.purchases("BGNBD"), handmade.spend(**spend)
    low, high = odds(known(fit, spend), cells(), 0.9)
    for place, history in enumerate(HISTORIES):
        for level, found in ((0.05, low[place]), (0.95, high[place])):
            if found:
                ends = [chance_of(fit, spend, history, found * factor) for factor in (0.998, 1.002)]
                assert ends[0] <= level <= ends[1]
            else:
                assert chance_of(fit, spend, history, 0.0) >= level


def test_many_ages_are_interpolated():
    """Customers of 200 ages and the same x, against each on their own."""
    fit, spend = handmade.purchases("BGNBD"), handmade.spend()
    ages = np.arange(5, 205) / 2.0
    many = [(3, min(age, 4.0), age) for age in ages]
    outlook = known(fit, spend)
    low, high = odds(outlook, cells(many), 0.9)
    for place in range(0, 200, 23):
        alone = odds(outlook, cells(many[place : place + 1]), 0.9)
        np.testing.assert_allclose([low[place], high[place]], np.ravel(alone), rtol=1e-3)


def test_parameters_are_part_of_it():
    """The mean of the distribution over draws of the log parameters, against that over sigma points."""
    fit, spend = handmade.purchases("BGNBD", error=0.25), handmade.spend(error=0.15)
    outlook = Outlook.of(fit.kernel, (fit.values, fit.log_covariance), (spend.values, spend.log_covariance), 52.0)
    history = (2, 20.0, 30.0)
    low, high = odds(outlook, cells([history]), 0.9)
    rng = np.random.default_rng(7)
    sums, m = [], 40.0
    for _ in range(3000):
        r, alpha, a, b = np.exp(rng.multivariate_normal(np.log(fit.values), fit.log_covariance))
        p, q, gamma = np.exp(rng.multivariate_normal(np.log(spend.values), spend.log_covariance))
        alive = rng.random(200) < fit.kernel.p_alive((r, alpha, a, b), 2.0, 20.0, 30.0)
        rate, drop = rng.gamma(r + 2, 1 / (alpha + 30.0), 200), rng.beta(a, b + 2, 200)
        tries, lasts = rng.poisson(rate * 52.0), rng.geometric(np.maximum(drop, 1e-12))
        counts = np.where(alive, np.minimum(tries, lasts), 0)
        each = rng.standard_gamma(np.maximum(p * counts, 1e-9)) / rng.gamma(q + 2 * p, 1.0, 200)
        sums.append(np.where(counts > 0, each, 0.0) * (gamma + 2 * m))
    scale = spend.values[2] + 2 * m
    drawn = np.quantile(np.concatenate(sums), [0.05, 0.95])
    assert low[0] == drawn[0] == 0.0
    # 600 000 draws, but of 3000 parameter sets only, whose own scatter is about 1 %.
    assert high[0] * scale == pytest.approx(drawn[1], rel=0.03)
    certain = odds(known(fit, spend), cells([history]), 0.9)[1][0] * scale
    assert abs(certain - drawn[1]) > 2.0 * abs(high[0] * scale - drawn[1])


def test_errors_too_small_to_be_seen_are_left_out():
    models = CLVModel(purchases=handmade.purchases("BGNBD", error=0.06), spend=handmade.spend(error=0.02))
    valuation = models.score(handmade.people(), interval="predictive").valuation
    doubtful = predictive_value._doubtful(valuation, models.spend)
    assert 0 < doubtful.sum() < len(doubtful)
    fits = [(fit.values, fit.log_covariance) for fit in (models.purchases, models.spend)]
    outlook = Outlook.of(models.purchases.kernel, *fits, 52.0)
    some = valuation.summary.cells
    ends = zip(odds(outlook, some, 0.9), odds(outlook.certain, some, 0.9), strict=True)
    apart = np.array([np.abs(np.log(np.maximum(left, 1e-9) / np.maximum(right, 1e-9))) for left, right in ends])
    assert apart[:, ~doubtful].max() < 2e-3
    assert apart[:, doubtful].max() > 2e-3


# ---------------------------------------------------------------------------------------- the variance of the total


@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD", "MBGNBD", "NBD"])
def test_squares_without_discount_are_second_moments(name):
    fit = handmade.purchases(name)
    some = cells(HISTORIES[1:])
    for rate in (0.0, 1e-6):  # the formula for no discount, and the general one next to it
        once, squared = chance.discounted_squares(fit, some, 52.0, rate)
        told = fit.cell_predictions(some, horizon=52.0)
        np.testing.assert_allclose(once, told.expected_purchases, rtol=1e-3)
        np.testing.assert_allclose(squared, told.second_moment, rtol=1e-3 if rate else 1e-9)


@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD", "MBGNBD"])
def test_discounted_squares_against_a_simulation(name):
    fit, history, rate, n = handmade.purchases(name), (2, 20.0, 30.0), 0.02, 400_000
    rng = np.random.default_rng(3)
    x, t_x, T = history
    r, alpha, one, two = fit.values
    speed = rng.gamma(r + x, 1 / (alpha + T), n)
    tries = rng.poisson(speed * 80.0)
    times = rng.random((n, tries.max())) * 80.0
    times[np.arange(tries.max()) >= tries[:, None]] = np.inf
    times.sort(axis=1)
    if name == "ParetoNBD":
        leaves = rng.exponential(1 / rng.gamma(one, 1 / (two + T), n))
        times[times > leaves[:, None]] = np.inf
    else:
        last = rng.geometric(np.maximum(rng.beta(one, two + x + (name == "MBGNBD"), n), 1e-12))
        times[:, :][np.arange(tries.max()) >= last[:, None]] = np.inf
    alive = rng.random(n) < fit.kernel.p_alive(fit.values, float(x), t_x, T)
    drawn = np.where(alive, np.exp(-rate * times).sum(axis=1), 0.0)
    once, squared = chance.discounted_squares(fit, cells([history]), 80.0, rate)
    twice = np.where(alive, np.exp(-2 * rate * times).sum(axis=1), 0.0)
    for found, sample in ((once[0], twice), (squared[0], drawn**2)):
        assert abs(found - sample.mean()) < 4.0 * sample.std() / math.sqrt(n)


def test_squares_are_finite_without_a_horizon():
    for name in ("ParetoNBD", "BGNBD"):
        once, squared = chance.discounted_squares(handmade.purchases(name), cells(), math.inf, 0.002)
        assert np.isfinite(once).all()
        assert (squared > 0.0).all()


def test_the_total_of_many_customers_of_one_sort():
    """The variance of one customer's value by simulation, times the number of such customers."""
    fit, spend = handmade.purchases("BGNBD", error=0.0), handmade.spend(error=0.0)
    frame = pd.DataFrame({"id": [1], "frequency": [2], "recency": [20.0], "T": [30.0], "spend": [40.0], "n": [500.0]})
    value = CLVModel(purchases=fit, spend=spend).score(
        handmade.people(frame, weight="n"), annual_discount_rate=0.0, horizon="364d", margin=0.5
    )
    rng, n = np.random.default_rng(11), 1_000_000
    (r, alpha, a, b), (p, q, gamma) = fit.values, spend.values
    alive = rng.random(n) < fit.kernel.p_alive(fit.values, 2.0, 20.0, 30.0)
    tries = rng.poisson(rng.gamma(r + 2, 1 / (alpha + 30.0), n) * 52.0)
    counts = np.where(alive, np.minimum(tries, rng.geometric(rng.beta(a, b + 2, n))), 0)
    sums = np.where(counts > 0, rng.standard_gamma(np.maximum(p * counts, 1e-9)), 0.0) / rng.gamma(q + 2 * p, 1.0, n)
    sums *= 0.5 * (gamma + 2 * 40.0)
    mean, spread = value.total.value, 1.959963984540054 * math.sqrt(500) * sums.std()
    assert mean == pytest.approx(500 * sums.mean(), rel=5e-3)
    assert (value.total_predictive.high - value.total_predictive.low) / 2 == pytest.approx(spread, rel=0.02)


def test_infinite_variances_are_told():
    models = CLVModel(purchases=handmade.purchases(), spend=handmade.spend(q=1.5))
    total = models.score(handmade.people()).total_predictive
    assert total.note.startswith("too narrow: the spend of 2 customers has an infinite variance")
    assert total.low < total.value < total.high
    assert math.isfinite(total.high)


def test_a_mean_of_spend_has_no_distribution():
    mean = MeanSpend(mean=20.0, log_covariance=np.array([[0.01]]), customers=5)
    models = CLVModel(purchases=handmade.purchases(), spend=mean)
    total = models.score(handmade.people()).total_predictive
    assert math.isnan(total.low)
    assert "mean of spend" in total.note
    with pytest.raises(InvalidArgument, match='interval="predictive" needs to know'):
        _ = models.score(handmade.people(), interval="predictive").customers
    with pytest.raises(InvalidArgument, match='interval="predictive" needs to know'):
        models.score_customer(frequency=2, recency=5, age=10, monetary_value=3, interval="predictive")


# ------------------------------------------------------------------------------------------------------- coverage


def future(seed, model, customers=1500):
    """Return a fitted model's value of customers after a year and a half, and what they brought in the next half."""
    log = ly.datasets.simulate(customers, seed=seed, model=model)
    end = pd.Timestamp("2023-06-30")
    with ly.transactions(log, observed_until=end.date(), occasion="order", order="order_id") as tx:
        value = fit_clv(tx, model).score(
            tx, horizon="184d", annual_discount_rate=0.0, interval="predictive", confidence=0.9
        )
        people = value.customers.set_index("customer_id")
    later = log[(log["date"] > end) & log["customer_id"].isin(people.index)]
    brought = later.groupby("customer_id")["amount"].sum().reindex(people.index, fill_value=0.0)
    return value, people, brought


@pytest.mark.slow
@pytest.mark.parametrize(("model", "seed"), [("pareto/nbd", 5), ("bg/nbd", 6)])
def test_intervals_cover_simulated_futures(model, seed):
    value, people, brought = future(seed, model)
    # A customer lies above with 5 %; below with 5 % at most, as buying nothing has a probability of its own.
    above = (brought > people["clv_high"]).mean()
    below = (brought < people["clv_low"]).mean()
    n = len(people)
    assert stats.binom.cdf(round(above * n), n, 0.05) > 1e-3
    assert stats.binom.sf(round(above * n) - 1, n, 0.05) > 1e-3
    assert below <= 0.05 + 3.1 * math.sqrt(0.05 * 0.95 / n)
    total = value.total_predictive  # at 90 %: here within twice its width, in the slow test as often as it says
    assert abs(brought.sum() - total.value) < total.high - total.low


@pytest.mark.slow
def test_the_total_covers_as_often_as_it_says():
    hits = 0
    for seed in range(40):
        value, _, brought = future(1000 + seed, "bg/nbd", 800)
        hits += value.total_predictive.low <= brought.sum() <= value.total_predictive.high
    assert stats.binom.cdf(hits, 40, 0.9) > 1e-3
    assert stats.binom.sf(hits - 1, 40, 0.9) > 1e-3
