import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loyalty.errors import InvalidArgument
from loyalty.estimates import ratio
from loyalty.intervals import (
    RatioMoments,
    adjusted_wald,
    bootstrap_ratio,
    delta_ratio,
    normal_quantile,
    wald,
    wilson,
)

LEVELS = [0.01, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999999]
FORMULAS = [wilson, adjusted_wald, wald]
NO_LEVELS = [0, 1, 0.0, 1.0, -1, 95, math.nan, None, "0.95", True]

counts = st.integers(0, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.floats(1e-6, 1 - 1e-9)


# Proportions.


@pytest.mark.parametrize("level", [*LEVELS, 1 - 1e-12])
def test_normal_quantile(level):
    assert normal_quantile(level) == pytest.approx(stats.norm.isf((1 - level) / 2), rel=1e-9)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("level", NO_LEVELS)
def test_no_level(formula, level):
    with pytest.raises(InvalidArgument):
        formula(3, 10, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (3, 10), (10, 10), (1, 10**6), (5500, 11516)])
def test_wilson_against_scipy(successes, n, level):
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert wilson(successes, n, level) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-12)


def test_wilson_by_hand():
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3: printed to four decimals.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, n), limits in published.items():
        assert wilson(successes, n) == pytest.approx(limits, abs=5e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_adjusted_wald_by_hand(level):
    z = stats.norm.isf((1 - level) / 2)
    n, share = 50 + z * z, (7 + z * z / 2) / (50 + z * z)
    half = z * math.sqrt(share * (1 - share) / n)
    assert adjusted_wald(7, 50, level) == pytest.approx((max(share - half, 0), min(share + half, 1)), rel=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_wald_by_hand(level):
    low, high = stats.norm.interval(level, loc=0.3, scale=math.sqrt(0.3 * 0.7 / 500))
    assert wald(150, 500, level) == pytest.approx((low, high), rel=1e-9)


def test_wald_at_the_ends():
    assert wald(0, 30) == (0.0, 0.0)
    assert wald(30, 30) == (1.0, 1.0)
    assert wald(1, 3)[0] == 0.0
    assert wald(2, 3)[1] == 1.0


@given(counts, levels)
def test_limits_hold_the_share(found, level):
    successes, n = found
    for formula in FORMULAS:
        low, high = formula(successes, n, level)
        if not n:
            assert math.isnan(low)
            assert math.isnan(high)
        else:
            assert 0 <= low <= high <= 1
            assert low - 1e-12 <= successes / n <= high + 1e-12


@given(counts, levels)
def test_limits_mirror(found, level):
    successes, n = found
    if n:
        for formula in FORMULAS:
            low, high = formula(successes, n, level)
            assert formula(n - successes, n, level) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(counts, st.floats(0.01, 0.9), st.floats(0.01, 0.09))
def test_more_confidence_is_wider(found, level, more):
    successes, n = found
    if n:
        for formula in FORMULAS:
            low, high = formula(successes, n, level)
            wider = formula(successes, n, level + more)
            assert wider[0] <= low + 1e-12
            assert wider[1] >= high - 1e-12


def test_wilson_ends_are_exact():
    for n in (1, 7, 10**6):
        assert wilson(0, n)[0] == 0.0
        assert wilson(n, n)[1] == 1.0


# Ratios of sums.

Y, X = np.array([10.0, 20.0, 60.0]), np.array([1.0, 1.0, 4.0])


def test_moments():
    assert RatioMoments.of(Y, X) == RatioMoments(n=3, y=90.0, x=6.0, yy=4100.0, xy=270.0, xx=18.0)
    assert RatioMoments.of(Y, X).ratio == 15.0
    assert RatioMoments.of(Y.astype(int), X.astype(int)) == RatioMoments.of(Y, X)


def test_moments_of_nobody():
    nobody = RatioMoments.of(np.array([]), np.array([]))
    assert (nobody.n, nobody.y, nobody.x) == (0, 0.0, 0.0)
    assert math.isnan(nobody.ratio)
    assert math.isnan(nobody.standard_error)


def test_standard_error_by_hand():
    # Residuals y − 15 x are −5, 5, 0: s² = 50/2 = 25, so the error of Σy/Σx is sqrt(3 · 25)/6.
    assert RatioMoments.of(Y, X).standard_error == pytest.approx(math.sqrt(75) / 6, rel=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_delta_interval(level):
    expected = stats.norm.interval(level, loc=15.0, scale=math.sqrt(75) / 6)
    assert delta_ratio(RatioMoments.of(Y, X), level) == pytest.approx(expected, rel=1e-9)


def test_delta_interval_of_a_mean_is_the_normal_one():
    y = np.random.default_rng(3).gamma(2, 10, 50)
    moments = RatioMoments.of(y, np.ones(50))
    assert moments.standard_error == pytest.approx(stats.sem(y), rel=1e-9)


def test_equal_ratios_have_no_spread():
    x = np.random.default_rng(3).gamma(2, 10, 1000)
    moments = RatioMoments.of(0.1 * x, x)
    assert moments.standard_error == 0.0
    assert delta_ratio(moments) == (moments.ratio, moments.ratio)


def test_one_customer_has_no_interval():
    found = ratio("average order value", RatioMoments(1, 10.0, 2.0, 100.0, 20.0, 4.0), definition="d")
    assert found.value == 5.0
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert "two customers or more" in found.note


def test_zero_denominator():
    found = ratio("x", RatioMoments(2, 10.0, 0.0, 100.0, 0.0, 0.0), definition="d", empty="nobody bought")
    assert all(math.isnan(value) for value in (found.value, found.low, found.high))
    assert found.note == "undefined: nobody bought"
    assert "not defined" in str(found)


def test_negative_denominator():
    moments = RatioMoments.of(-Y, -X)
    assert moments.ratio == 15.0
    low, high = delta_ratio(moments)
    assert low < 15.0 < high


def test_huge_and_tiny_sums_stay_numbers():
    for scale in (1e-100, 1e100):
        low, high = delta_ratio(RatioMoments.of(Y * scale, X * scale))
        assert (low, high) == pytest.approx(delta_ratio(RatioMoments.of(Y, X)), rel=1e-9)


# The bootstrap.


def test_bootstrap_is_the_same_for_the_same_seed():
    assert bootstrap_ratio(Y, X, seed=5) == bootstrap_ratio(Y, X, seed=5)
    assert bootstrap_ratio(Y, X, np.array([40, 30, 30]), seed=5) != bootstrap_ratio(
        Y, X, np.array([40, 30, 30]), seed=6
    )


def test_bootstrap_leaves_numpy_s_own_generator_alone():
    np.random.seed(7)  # noqa: NPY002 (the global generator is what is watched)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    bootstrap_ratio(Y, X)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_bootstrap_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(1)
    y, x, n = rng.integers(0, 3, 40).astype(float), rng.integers(1, 3, 40).astype(float), rng.integers(1, 9, 40)
    expected = bootstrap_ratio(y, x, n, seed=2)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(40)
        assert bootstrap_ratio(y[order], x[order], n[order], seed=2) == expected


def test_bootstrap_against_resampled_customers():
    rng = np.random.default_rng(0)
    x = rng.poisson(3, 400) + 1.0
    y = rng.binomial(x.astype(int), 0.3).astype(float)
    picks = np.random.default_rng(1).integers(0, 400, (4000, 400))
    resampled = np.quantile(y[picks].sum(axis=1) / x[picks].sum(axis=1), [0.025, 0.975])
    # The limits of 2000 resamples scatter by about 3 % of their distance from the estimate.
    assert bootstrap_ratio(y, x, seed=3) == pytest.approx(resampled, abs=0.1 * (resampled[1] - resampled[0]))
    assert delta_ratio(RatioMoments.of(y, x)) == pytest.approx(resampled, abs=0.1 * (resampled[1] - resampled[0]))


def test_bootstrap_of_distinct_pairs_is_that_of_customers():
    y, x, n = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0]), np.array([40, 30, 30])
    grouped = bootstrap_ratio(y, x, n, seed=1)
    single = bootstrap_ratio(np.repeat(y, n), np.repeat(x, n), seed=1)
    assert grouped == pytest.approx(single, abs=0.02)


def test_bootstrap_leaves_out_what_has_no_ratio():
    low, high = bootstrap_ratio(np.array([1.0, 0.0]), np.array([1.0, 0.0]), seed=1)
    assert (low, high) == (1.0, 1.0)
    assert all(math.isnan(limit) for limit in bootstrap_ratio(np.array([1.0, 2.0]), np.zeros(2)))


@pytest.mark.parametrize("n", [[], [1], [0, 0], [1, 0]])
def test_bootstrap_of_fewer_than_two_customers(n):
    y = np.ones(len(n))
    assert all(math.isnan(limit) for limit in bootstrap_ratio(y, y, np.array(n, dtype=np.int64)))


def test_bootstrap_confidence():
    widths = [
        np.diff(bootstrap_ratio(Y, X, np.array([30, 30, 30]), confidence=level))[0] for level in (0.5, 0.9, 0.999999)
    ]
    assert widths == sorted(widths)
    for level in NO_LEVELS:
        with pytest.raises(InvalidArgument):
            bootstrap_ratio(Y, X, confidence=level)
    with pytest.raises(InvalidArgument, match="replicates=99"):
        bootstrap_ratio(Y, X, replicates=99)


def test_bootstrap_of_many_distinct_pairs_draws_in_blocks():
    rng = np.random.default_rng(0)
    y, x = rng.gamma(2, 10, 30_000), np.ones(30_000)
    low, high = bootstrap_ratio(y, x, replicates=200)
    assert (low, high) == pytest.approx(delta_ratio(RatioMoments.of(y, x)), abs=0.05)
