"""Measures of forecasts against the textbook, customer by customer."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loyalty.clv.backtesting import measures
from loyalty.clv.backtesting.measures import Levels

# (prediction, outcome, customers): few distinct values, so that there are ties.
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=12)
LAWS = st.lists(st.integers(1, 50), min_size=1, max_size=9)  # probabilities of 0, 1, …, but for their sum


def columns(rows):
    return (np.array(column, dtype=float) for column in zip(*rows, strict=True))


def one_by_one(rows):
    return ([value for row in rows for value in [row[place]] * row[2]] for place in (0, 1))


def top_of_every_order(predicted, actual, count):
    """Return the mean share of the first `count` over all orders of customers that go by prediction."""
    orders = [order for order in itertools.permutations(range(len(predicted)))
              if all(predicted[one] >= predicted[two] for one, two in itertools.pairwise(order))]  # fmt: skip
    shares = [Fraction(sum(actual[place] for place in order[:count]), sum(actual)) for order in orders]
    return float(sum(shares) / len(shares))


@given(ROWS)
def test_errors_are_those_of_single_customers(rows):
    predicted, actual = one_by_one(rows)
    misses = [one - two for one, two in zip(predicted, actual, strict=True)]
    mae, rmse = measures.errors(*columns(rows))
    assert mae == pytest.approx(sum(map(abs, misses)) / len(misses), abs=1e-12)
    assert rmse == pytest.approx(math.sqrt(sum(miss * miss for miss in misses) / len(misses)), abs=1e-12)


@given(ROWS)
def test_rank_correlation_is_scipys(rows):
    predicted, actual, customers = columns(rows)
    found = measures.rank_correlation(Levels.of(predicted, customers), Levels.of(actual, customers), customers)
    one, two = one_by_one(rows)
    if len(set(one)) == 1 or len(set(two)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(one, two).statistic, abs=1e-12)


@given(ROWS)
def test_midranks_are_scipys(rows):
    predicted, _, customers = columns(rows)
    ranks = stats.rankdata([value for value, _, count in rows for _ in range(count)])
    found = np.repeat(Levels.of(predicted, customers).midranks(), customers.astype(int))
    assert found == pytest.approx(ranks)


@pytest.mark.parametrize("seed", range(12))
def test_the_best_tenth_is_the_mean_over_all_orders(seed):
    rng = np.random.default_rng(seed)
    n, count = 6, int(rng.integers(1, 7))
    predicted, actual = rng.integers(0, 3, n), rng.integers(0, 5, n)
    actual[0] += 1  # somebody bought
    levels = Levels.of(predicted.astype(float), np.ones(n))
    found = measures.top_share(levels, actual.astype(float), np.ones(n), count / n)
    assert found == pytest.approx(top_of_every_order(predicted.tolist(), actual.tolist(), count), abs=1e-12)


@given(ROWS)
def test_the_best_tenth_counts_parts_of_customers(rows):
    """Ten copies of everybody have a whole tenth: as many as there are customers."""
    predicted, actual, customers = columns(rows)
    found = measures.top_share(Levels.of(predicted, customers), actual, customers)
    best = sorted(((one, two) for one, two, count in rows for _ in range(10 * count)), key=lambda pair: -pair[0])
    edge = best[len(best) // 10 - 1][0]
    above = [two for one, two in best if one > edge]
    at = [two for one, two in best if one == edge]
    total = sum(two for _, two in best)
    if not total:
        assert math.isnan(found)
        return
    expected = sum(above) + (len(best) // 10 - len(above)) * sum(at) / len(at)
    assert found == pytest.approx(expected / total, abs=1e-12)


def test_a_constant_prediction_catches_a_tenth():
    actual, customers = np.array([5.0, 0.0, 1.0]), np.array([1.0, 90.0, 9.0])
    assert measures.top_share(Levels.of(np.full(3, 0.7), customers), actual, customers) == pytest.approx(0.1)


def test_rounding_makes_no_ranks():
    values = np.array([0.1 + 0.2, 0.3, 1e-14, 2e-14])
    assert Levels.of(values, np.ones(4)).midranks().tolist() == [3.5, 3.5, 1.0, 2.0]
    assert Levels.of(values, np.ones(4), sums=True).midranks().tolist() == [3.5, 3.5, 1.5, 1.5]


@given(LAWS, st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_a_true_model_covers_what_it_says(weights, confidence):
    """Every outcome as often as predicted: PIT coverage is the level itself, plain coverage at least that."""
    mass = np.array(weights, dtype=float) / sum(weights)
    upto = np.cumsum(mass)
    below = upto - mass
    assert measures.pit_coverage(below, upto, mass, confidence) == pytest.approx(confidence, abs=1e-12)
    assert measures.coverage(below, upto, mass, confidence) >= confidence - 1e-12


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95])
def test_coverage_is_that_of_the_equal_tailed_interval(confidence):
    rng = np.random.default_rng(3)
    means, counts = rng.gamma(0.7, 2.0, 400), rng.poisson(1.5, 400)
    law = stats.poisson(means)
    low, high = law.interval(confidence)
    expected = np.mean((counts >= low) & (counts <= high))
    found = measures.coverage(law.cdf(counts - 1), law.cdf(counts), np.ones(400), confidence)
    assert found == pytest.approx(expected)


def test_pit_coverage_is_the_mean_over_draws():
    rng = np.random.default_rng(4)
    below = rng.uniform(0.0, 0.9, 50)
    upto = np.where(rng.random(50) < 0.2, below, below + (1.0 - below) * rng.random(50))
    customers = rng.integers(1, 5, 50).astype(float)
    grid = (np.arange(20_000) + 0.5) / 20_000
    drawn = below[:, None] + (upto - below)[:, None] * grid
    expected = ((drawn >= 0.05) & (drawn <= 0.95)).mean(axis=1) @ customers / customers.sum()
    assert measures.pit_coverage(below, upto, customers, 0.9) == pytest.approx(expected, abs=1e-4)


@given(ROWS)
def test_excess_is_a_paired_difference(rows):
    predicted, actual, customers = columns(rows)
    best = predicted[::-1].copy()
    apart = np.repeat((predicted - actual) ** 2 - (best - actual) ** 2, customers.astype(int))
    found = measures.excess(predicted, best, actual, customers)
    if len(apart) < 2:
        assert all(math.isnan(value) for value in found)
    else:
        assert found == pytest.approx((apart.mean(), apart.std(ddof=1) / math.sqrt(len(apart))), abs=1e-9)


def test_excess_over_an_infinite_expectation_is_undefined():
    found = measures.excess(np.array([math.inf, 1.0]), np.ones(2), np.ones(2), np.ones(2))
    assert all(math.isnan(value) for value in found)
