"""The Gamma-Gamma's assumption, measured: against plain numpy and scipy, on pairs and on the grid."""

import math

import numpy as np
import pytest
from scipy import special, stats

from loyalty.clv.models.independence import check, correlations, independence
from loyalty.clv.summaries import spend_cells
from loyalty.clv.summaries.spend_cells import SpendCells
from loyalty.errors import InvalidArgument

P, Q, GAMMA = 1.0, 3.0, 20.0


def made(n, slope=0.0, seed=0):
    """Return x and m̄, customers' own mean spends being proportional to x^slope."""
    rng = np.random.default_rng(seed)
    x = rng.geometric(0.3, n).astype(float)
    return x, rng.gamma(P * x) / x / rng.gamma(Q, 1.0 / GAMMA, n) * x**slope


def adjusted(x, mean):
    """Return the correlation of ln x with the standardised ln m̄, the plain way."""
    residual = np.log(mean) - (special.digamma(P * x) - np.log(P * x))
    residual -= residual.mean()
    return np.corrcoef(np.log(x), residual / np.sqrt(special.polygamma(1, P * x) + special.polygamma(1, Q)))[0, 1]


@pytest.mark.parametrize("slope", [0.0, 0.5, -0.3])
def test_against_plain_formulas(slope):
    x, mean = made(500, slope)
    mean = np.round(mean, 1) + 0.1  # with ties
    found = correlations(SpendCells.of(x, mean), P, Q)
    assert found["logs"] == pytest.approx(np.corrcoef(np.log(x), np.log(mean))[0, 1], rel=1e-10)
    assert found["plain"] == pytest.approx(np.corrcoef(x, mean)[0, 1], rel=1e-10)
    assert found["ranks"] == pytest.approx(stats.spearmanr(x, mean)[0], rel=1e-10)
    assert found["adjusted"] == pytest.approx(adjusted(x, mean), rel=1e-10)
    assert found["customers"] == 500


def test_weights_are_customers():
    x, mean = made(100)
    weight = np.random.default_rng(1).integers(1, 4, 100)
    one = correlations(SpendCells.of(x, mean, weight), P, Q)
    other = correlations(SpendCells.of(np.repeat(x, weight), np.repeat(mean, weight)), P, Q)
    assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_the_grid_loses_nothing_but_ties(slope, monkeypatch):
    x, mean = made(30_000, slope)
    mean = np.maximum(np.round(mean), 1.0)  # few prices: ranks within a bucket are not spread evenly
    grid = correlations(SpendCells.of(x, mean), P, Q)
    monkeypatch.setattr(spend_cells, "MOST_PAIRS", len(x))
    pairs = correlations(SpendCells.of(x, mean), P, Q)
    for name in ("adjusted", "logs", "plain"):
        assert grid[name] == pytest.approx(pairs[name], abs=1e-9)
    assert grid["ranks"] == pytest.approx(pairs["ranks"], abs=0.01)


def test_only_the_adjusted_and_the_plain_correlation_are_nothing_where_the_model_holds():
    found = correlations(SpendCells.of(*made(200_000)), P, Q)
    error = 1.0 / math.sqrt(200_000)
    assert abs(found["adjusted"]) < 4 * error
    assert abs(found["plain"]) < 4 * error
    assert found["logs"] > 20 * error  # the mean of few purchases is more skewed than the mean of many
    assert found["ranks"] > 10 * error


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        (0.0, "next to none, as the Gamma-Gamma model assumes."),
        (0.2, "moderate, where the Gamma-Gamma model assumes none. Customers who buy often spend more per purchase"),
        (0.9, "strong, where"),
        (-0.9, "spend less per purchase than it expects: it puts their spend too high, and that of customers who"),
    ],
)
def test_sentences(slope, words):
    found = independence(correlations(SpendCells.of(*made(20_000, slope)), P, Q))
    assert words in str(found)
    assert f"{found.adjusted.value:.2f}" in str(found)
    assert found.adjusted.low < found.adjusted.value < found.adjusted.high
    assert found.sentence == str(found)
    assert "beyond what the model explains is" in str(found)
    assert str(found).endswith(f"it is {found.plain.value:.2f} (Pearson) and {found.ranks.value:.2f} (ranks).")


def test_few_customers_tell_nothing_apart():
    found = independence({"adjusted": 0.3, "logs": 0.3, "ranks": 0.3, "plain": 0.3, "customers": 12})
    assert "0.30 (95 % interval -0.33 to 0.75): not told apart from none" in str(found)


def test_fishers_interval_by_hand():
    found = independence({"adjusted": 0.5, "logs": 0.0, "ranks": 0.5, "plain": 1.0, "customers": 28})
    half = 1.959963984540054 / 5.0
    assert found.adjusted.low == pytest.approx(math.tanh(math.atanh(0.5) - half))
    assert found.adjusted.high == pytest.approx(math.tanh(math.atanh(0.5) + half))
    assert found.ranks.high == pytest.approx(math.tanh(math.atanh(0.5) + half * math.sqrt(1.125)))
    assert math.isnan(found.plain.low)
    assert (
        independence(dict.fromkeys(("adjusted", "logs", "ranks", "plain"), 0.1) | {"customers": 99}, 0.5).adjusted.low
        > 0
    )


@pytest.mark.slow
def test_intervals_cover_no_dependence():
    runs = 400
    hits = 0
    for seed in range(runs):
        found = independence(correlations(SpendCells.of(*made(500, seed=seed)), P, Q), 0.9)
        hits += found.adjusted.low <= 0.0 <= found.adjusted.high
    assert stats.binomtest(hits, runs, 0.9).pvalue > 0.001


@pytest.mark.parametrize(
    ("x", "mean", "defined"),
    [
        ([1, 2, 3], [5.0, 9.0, 1.0], set()),
        ([2, 2, 2, 2, 2], [5.0, 9.0, 1.0, 4.0, 3.0], set()),
        ([1, 2, 3, 4, 5], [7.0] * 5, set()),
        ([1, 2, 3, 4, 5], [7.0, 7.0, 7.0, 7.0, 7.0 + 1e-14], set()),
        ([1, 2, 3, 4], [7.0, 9.0, 2.0, 7.0], {"adjusted", "logs", "ranks", "plain"}),
        ([1, 2, 3, 4], [1e-200, 1e200, 1.0, 7.0], {"adjusted", "logs", "ranks", "plain"}),
    ],
)
def test_what_is_undefined_is_nan_with_a_note(x, mean, defined):
    found = independence(correlations(SpendCells.of(x, mean), P, Q))
    for name, estimate in found.estimates().items():
        assert math.isnan(estimate.value) != (name in defined)
        assert bool(estimate.note) != (name in defined)
    if not defined:
        assert "cannot be measured: " in str(found)
        assert "undefined" not in str(found)
    assert found.to_dict()["adjusted"]["value"] == (found.adjusted.value if defined else None)


GOOD = {"adjusted": 0.1, "logs": None, "ranks": -1.0, "plain": 0, "customers": 7}


def test_what_a_fit_may_remember():
    check(GOOD)
    for broken in (
        None, [], {}, GOOD | {"more": 1}, {"adjusted": 0.1}, GOOD | {"adjusted": 1.5}, GOOD | {"adjusted": "0.1"},
        GOOD | {"customers": 0}, GOOD | {"customers": None}, GOOD | {"plain": math.nan}, GOOD | {"plain": True},
    ):  # fmt: skip
        with pytest.raises(InvalidArgument, match="correlations"):
            check(broken)
