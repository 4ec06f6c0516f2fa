"""The kernel of the BG/BB: against mpmath on a wide grid, and against simulated customers."""

import math

import mpmath
import numpy as np
import pytest

from loyalty.clv.kernels import _bgbb
from loyalty.clv.summaries.cells import Cells

# Donations, Fader, Hardie & Shang (2010): parameters as printed
DONATIONS = (1.203528, 0.7497260, 0.6567808, 2.783796)
HISTORIES = np.array(
    [(0, 0, 0), (0, 0, 1), (1, 1, 1), (3, 4, 6), (6, 6, 6), (0, 0, 6), (1, 1, 60), (0, 0, 250), (500, 500, 500),
     (250, 300, 500), (1, 250, 250), (40, 41, 120), (2, 7, 12)]
)  # fmt: skip
CORNERS = [
    (1e-6, 1e-6, 1e-6, 1e-6), (1e4, 1e4, 1e4, 1e4), (1e-6, 1e4, 1e-6, 1e4), (1e4, 1e-6, 1e4, 1e-6),
    (1e-3, 1e4, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0), (0.5, 0.5, 1.0, 3.0), (2.0, 3.0, 1e4, 1e-3),
    (2.0, 3.0, 1e-6, 1e4), DONATIONS,
]  # fmt: skip
_RNG = np.random.default_rng(7)
GRID = CORNERS + [tuple(np.exp(_RNG.uniform(math.log(1e-6), math.log(1e4), 4))) for _ in range(8)]


def rising(a, k):
    return mpmath.rf(a, int(k))


def likelihoods(params, x, t_x, n):
    """Return the likelihood, and the part of it of those alive at n."""
    a, b, g, d = (mpmath.mpf(one) for one in params)
    x, t_x, n = int(x), int(t_x), int(n)
    buying = rising(a, x)
    alive = buying * rising(b, n - x) / rising(a + b, n) * rising(d, n) / rising(g + d, n)
    term = buying * rising(b, t_x - x) / rising(a + b, t_x) * rising(d, t_x) * g / rising(g + d, t_x + 1)
    gone = mpmath.mpf(0)
    for j in range(t_x, n):
        gone += term
        term *= (b + j - x) / (a + b + j) * (d + j) / (g + d + 1 + j)
    return gone + alive, alive


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(40):
        yield


@pytest.mark.parametrize("params", GRID)
def test_likelihood_and_gradient(params):
    found, slopes = _bgbb.log_likelihood(params, *HISTORIES.T), _bgbb.gradient(params, *HISTORIES.T)
    step, logs = mpmath.mpf(10) ** -14, [mpmath.log(mpmath.mpf(one)) for one in params]
    for at, history in enumerate(HISTORIES):
        exact = mpmath.log(likelihoods(params, *history)[0])
        bound = 1e-11 * max(1.0, abs(float(exact)))
        assert abs(found[at] - exact) < bound
        for one in range(4):
            moved = [[mpmath.exp(log + sign * step * (at == one)) for at, log in enumerate(logs)] for sign in (1, -1)]
            above, below = (mpmath.log(likelihoods(point, *history)[0]) for point in moved)
            assert abs(slopes[one, at] - (above - below) / (2 * step)) < 100 * bound


@pytest.mark.parametrize("params", GRID)
def test_p_alive_and_own_chances(params):
    a, b, g, d = (mpmath.mpf(one) for one in params)
    buying, leaving = _bgbb.posterior_means(params, *HISTORIES.T)
    for ahead in (0, 1, 40):
        found = _bgbb.p_alive(params, *HISTORIES.T, ahead)
        for at, (x, t_x, n) in enumerate(HISTORIES):
            whole, alive = likelihoods(params, x, t_x, n)
            exact = alive / whole * rising(d + n, ahead) / rising(g + d + n, ahead)
            assert math.isclose(found[at], exact, rel_tol=1e-9, abs_tol=1e-290)
            if ahead == 0:
                more = likelihoods((a + 1, b, g, d), x, t_x, n)[0] / whole * a / (a + b)
                shorter = likelihoods((a, b, g + 1, d), x, t_x, n)[0] / whole * g / (g + d)
                assert math.isclose(buying[at], more, rel_tol=1e-8)
                assert math.isclose(leaving[at], shorter, rel_tol=1e-8)


@pytest.mark.parametrize("params", GRID)
def test_what_lies_ahead_of_those_alive(params):
    a, b, g, d = (mpmath.mpf(one) for one in params)
    for x, n in ((0, 0), (3, 6), (250, 500)):
        share = (a + x) / (a + b + n)
        stays = [rising(d + n, k) / rising(g + d + n, k) for k in range(41)]
        for horizon in (1, 2, 40):
            alive = mpmath.fsum(stays[1 : horizon + 1])
            assert math.isclose(_bgbb.time_alive(params, n, horizon)[()], alive, rel_tol=1e-11)
            assert math.isclose(_bgbb.purchases(params, x, n, horizon)[()], alive * share, rel_tol=1e-11)
            worth = mpmath.fsum(mpmath.mpf(0.9) ** k * stays[k] for k in range(1, horizon + 1))
            assert math.isclose(_bgbb.purchases(params, x, n, horizon, 0.9)[()], worth * share, rel_tol=1e-11)
            both = (
                share
                * (a + x + 1)
                / (a + b + n + 1)
                * 2
                * mpmath.fsum((k - 1) * stays[k] for k in range(1, horizon + 1))
            )
            assert math.isclose(_bgbb.factorial_moment(params, x, n, horizon)[()], both, rel_tol=1e-11, abs_tol=0.0)
        for discount in (0.5, 0.999):
            k = np.arange(1.0, 45.0 / -math.log(discount))
            endless = math.fsum(
                discount**k * np.cumprod((params[3] + n + k - 1.0) / (params[2] + params[3] + n + k - 1.0))
            )
            assert math.isclose(_bgbb.time_alive(params, n, math.inf, discount)[()], endless, rel_tol=1e-9)
        mean = float((d + n) / (g - 1)) if g > 1 else math.inf
        assert math.isclose(_bgbb.time_alive(params, n, math.inf)[()], mean, rel_tol=1e-9)


def beta_binomial(a, b, k, trials):
    return mpmath.binomial(trials, k) * rising(a, k) * rising(b, trials - k) / rising(a + b, trials)


@pytest.mark.parametrize("params", GRID)
def test_probabilities_of_counts(params):
    a, b, g, d = (mpmath.mpf(one) for one in params)
    for x, n, horizon in ((0, 0, 1), (3, 6, 10), (250, 500, 60)):
        counts = sorted({0, 1, horizon // 2, horizon - 1, horizon})
        found = _bgbb.probability(params, x, n, horizon, np.array(counts))
        after, before = a + x, b + n - x
        for one, count in zip(found, counts, strict=True):
            exact = beta_binomial(after, before, count, horizon) * rising(d + n, horizon) / rising(g + d + n, horizon)
            for seen in range(count, horizon):
                leaves = g * rising(d + n, seen) / rising(g + d + n, seen + 1)
                exact += beta_binomial(after, before, count, seen) * leaves
            assert math.isclose(one, exact, rel_tol=1e-9, abs_tol=1e-290)


def test_probabilities_have_their_moments():
    counts = np.arange(31.0)
    for params in [DONATIONS, (0.02, 3.0, 0.5, 40.0), (30.0, 5.0, 1e-4, 9.0)]:
        mass = _bgbb.probability(params, 2, 6, 30, counts)
        assert math.isclose(mass.sum(), 1.0, rel_tol=1e-12)
        assert math.isclose(mass @ counts, _bgbb.purchases(params, 2, 6, 30)[()], rel_tol=1e-11)
        assert math.isclose(mass @ (counts * (counts - 1)), _bgbb.factorial_moment(params, 2, 6, 30)[()], rel_tol=1e-11)
    assert (_bgbb.probability(DONATIONS, 2, 6, 30, np.array([31, 400])) == 0.0).all()


def test_each_customer_may_have_parameters_of_their_own(monkeypatch):
    params = np.array(GRID).T
    x, t_x, n = HISTORIES[np.arange(len(GRID)) % len(HISTORIES)].T
    monkeypatch.setattr(_bgbb, "_BLOCK", 3 * 502)  # three customers at a time
    for name in ("log_likelihood", "gradient", "p_alive", "posterior_means"):
        function = getattr(_bgbb, name)
        together = np.array(function(tuple(params), x, t_x, n))
        alone = [np.array(function(tuple(params[:, at]), x[at], t_x[at], n[at])) for at in range(len(x))]
        np.testing.assert_allclose(together, np.concatenate(alone, axis=-1), rtol=1e-11, atol=1e-12)
    for name, arguments in {"purchases": (12, 0.9), "factorial_moment": (12,), "probability": (12, 3)}.items():
        together = getattr(_bgbb, name)(tuple(params), x, n, *arguments)
        alone = [getattr(_bgbb, name)(tuple(params[:, at]), x[at], n[at], *arguments) for at in range(len(x))]
        np.testing.assert_allclose(together, np.ravel(alone), rtol=1e-11)


def test_cells_are_rows_with_weights():
    rng = np.random.default_rng(2)
    n = rng.integers(0, 9, 400)
    x = rng.integers(0, n + 1)
    t_x = np.where(x > 0, rng.integers(x, n + 1), 0)
    cells = Cells.of(x, t_x, n)
    assert len(cells) < 200
    value, slopes = _bgbb.total(DONATIONS, cells)
    assert math.isclose(value, _bgbb.log_likelihood(DONATIONS, x, t_x, n).sum(), rel_tol=1e-13)
    np.testing.assert_allclose(slopes, _bgbb.gradient(DONATIONS, x, t_x, n).sum(axis=1), rtol=1e-10)


def test_a_new_customer_has_no_history():
    assert abs(_bgbb.log_likelihood(DONATIONS, 0, 0, 0)[0]) < 1e-15
    assert _bgbb.p_alive(DONATIONS, 0, 0, 0)[0] == 1.0
    assert _bgbb.log_likelihood((np.ones(0),) * 4, np.ones(0), np.ones(0), np.ones(0)).shape == (0,)


def test_whoever_bought_last_time_is_alive():
    assert (_bgbb.p_alive(DONATIONS, [1, 6, 500], [6, 6, 500], [6, 6, 500]) == 1.0).all()


def test_simulated_customers_agree():
    """What became of simulated customers with one history, as frequencies."""
    rng, (a, b, g, d), size, seen, ahead = np.random.default_rng(3), DONATIONS, 400_000, 6, 10
    p, theta = rng.beta(a, b, size)[:, None], rng.beta(g, d, size)[:, None]
    alive = np.cumprod(rng.random((size, seen + ahead)) >= theta, axis=1)
    bought = alive * (rng.random((size, seen + ahead)) < p)
    history = bought[:, :seen]
    x, t_x = history.sum(axis=1), (history * np.arange(1, seen + 1)).max(axis=1)
    for one, last in ((0, 0), (1, 1), (4, 5), (2, 6)):
        mine = (x == one) & (t_x == last)
        later, count = bought[mine, seen:].sum(axis=1), mine.sum()
        chance = _bgbb.p_alive(DONATIONS, one, last, seen)[0]
        assert abs(alive[mine, seen - 1].mean() - chance) < 4 * math.sqrt(chance * (1 - chance) / count) + 1e-12
        expected = chance * _bgbb.purchases(DONATIONS, one, seen, ahead)[()]
        assert abs(later.mean() - expected) < 4 * later.std() / math.sqrt(count)
        mass = (
            chance * _bgbb.probability(DONATIONS, one, seen, ahead, np.arange(ahead + 1))
            + (1 - chance) * np.eye(ahead + 1)[0]
        )
        share = np.bincount(later, minlength=ahead + 1) / count
        assert (np.abs(share - mass) < 4.5 * np.sqrt(mass * (1 - mass) / count)).all()
        buying, leaving = (means[0] for means in _bgbb.posterior_means(DONATIONS, one, last, seen))
        for truth, mean in ((p[mine], buying), (theta[mine], leaving)):
            assert abs(truth.mean() - mean) < 4 * truth.std() / math.sqrt(count)
