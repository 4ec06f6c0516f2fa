"""BG/NBD and MBG/NBD: against mpmath, published values, and what probabilities must obey."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize

from loyalty import datasets
from loyalty.clv.kernels._geometric import BGNBD, MBGNBD
from loyalty.clv.summaries.cells import Cells

KERNELS = pytest.mark.parametrize(("kernel", "birth"), [(BGNBD, 0), (MBGNBD, 1)], ids=["BG", "MBG"])

# Fader, Hardie & Lee (2005), table 2, with the digits of a fit of our own to the same data.
PUBLISHED = (0.2425945, 4.4136019, 0.7929199, 2.4258881)


@pytest.fixture(scope="module")
def cdnow():
    """The CDNOW sample: weeks, calibration until 1997-09-30."""
    log = datasets.cdnow_sample()
    days = (log["date"] - np.datetime64("1997-01-01")).dt.days
    log = log.assign(day=days)[days <= 272].drop_duplicates(["customer_id", "day"])
    found = log.groupby("customer_id")["day"].agg(["min", "max", "count"])
    return Cells.of(found["count"] - 1, (found["max"] - found["min"]) / 7, (272 - found["min"]) / 7, step=1 / 7)


# ------------------------------------------------------------------------------------------------------- likelihood


def mp_log_likelihood(params, x, t_x, T, birth):
    """The likelihood as it is printed in the papers, both of its terms."""
    r, alpha, a, b = params
    t_x, T = mp.mpf(t_x), mp.mpf(T)
    here = mp.beta(a, b + x + birth) / mp.beta(a, b) * (alpha + T) ** -(r + x)
    gone = 0
    if x > 0 or birth:
        gone = mp.beta(a + 1, b + x + birth - 1) / mp.beta(a, b) * (alpha + t_x) ** -(r + x)
    return mp.log(mp.gamma(r + x) / mp.gamma(r) * alpha**r * (here + gone)), here / (here + gone)


HISTORIES = [(0, 0, 0), (0, 0, 1e-3), (0, 0, 38.86), (1, 1 / 7, 1 / 7), (1, 0.5, 300), (2, 30.43, 38.86)]
HISTORIES += [(26, 216 / 7, 31), (500, 77, 78), (500, 3, 500), (7, 1e-3, 1e3)]
CORNERS = [(1e-6, 1.0, 1e-6, 1e-6), (1e4, 1e4, 1e4, 1e4), (1e-3, 1e4, 1e-3, 1e4), (1e4, 1e-3, 1e4, 1e-3)]
CORNERS += [
    (1e7, 1e7, 1e-7, 1e7),
    (0.3, 1e-6, 1.0, 1e-6),
    (16.0, 20.0, 15.5, 0.7),
    (999.0, 1001.0, 1.0, 1e3),
    PUBLISHED,
]


@KERNELS
def test_likelihood_and_gradient_against_mpmath(kernel, birth):
    mp.mp.dps = 40
    for params, (x, t_x, T) in itertools.product(CORNERS, HISTORIES):
        logs = [mp.log(value) for value in params]

        def value(*theta, x=x, t_x=t_x, T=T):
            return mp_log_likelihood([mp.exp(one) for one in theta], x, t_x, T, birth)[0]

        wanted, alive = mp_log_likelihood([mp.mpf(one) for one in params], x, t_x, T, birth)
        slopes = [mp.diff(value, logs, tuple(int(i == j) for j in range(4))) for i in range(4)]
        scale = max(1.0, abs(float(wanted)))
        assert abs(float(kernel.log_likelihood(params, x, t_x, T)) - float(wanted)) < 1e-11 * scale, (params, x, t_x, T)
        found = kernel.gradient(params, x, t_x, T)
        assert np.abs(found - np.array(slopes, dtype=float)).max() < 1e-9 * scale, (params, x, t_x, T)
        assert float(kernel.p_alive(params, x, t_x, T)) == pytest.approx(float(alive), rel=1e-10)


@KERNELS
def test_total_and_hessian_against_the_sum_of_customers(kernel, birth):
    rng = np.random.default_rng(5)
    T = rng.integers(1, 500, 300) / 7
    x = rng.integers(0, 9, 300)
    t_x = np.where(x > 0, np.ceil(T * 7 * rng.random(300)) / 7, 0.0)
    weight = rng.random(300) * 5
    cells = Cells(x.astype(float), t_x, T, weight, 1 / 7)
    for params in [PUBLISHED, (1e4, 1e5, 2e3, 3e-3), (2e-3, 1e-2, 4e-4, 5e3), (1e7, 1e7, 1e-7, 1e-7)]:
        value, slopes = kernel.total(params, cells)
        each = kernel.gradient(params, x, t_x, T)
        assert value == pytest.approx(kernel.log_likelihood(params, x, t_x, T) @ weight, rel=1e-12)
        np.testing.assert_allclose(slopes, each @ weight, rtol=1e-9, atol=1e-9)
        # Central differences of the gradient, extrapolated: good to the fourth power of the step.
        rows = []
        for step in np.eye(4):
            around = [
                kernel.total(np.exp(np.log(params) + size * step), cells)[1] for size in (-2e-3, -1e-3, 1e-3, 2e-3)
            ]
            rows.append((around[0] - 8 * around[1] + 8 * around[2] - around[3]) / 12e-3)
        second = kernel.hessian(params, cells)
        np.testing.assert_allclose(second, rows, rtol=1e-8, atol=1e-6)
        np.testing.assert_array_equal(second, second.T)


@KERNELS
def test_hessian_against_mpmath(kernel, birth):
    mp.mp.dps = 40
    histories, weight = [(0, 0, 20.0), (1, 3.0, 20.0), (6, 11.0, 38.0), (40, 37.0, 38.0)], [3.0, 2.0, 1.0, 1.5]
    cells = Cells(*np.array(histories).T.astype(float), np.array(weight))

    def value(*theta):
        params = [mp.exp(one) for one in theta]
        return sum(w * mp_log_likelihood(params, *one, birth)[0] for w, one in zip(weight, histories, strict=True))

    logs = [mp.log(one) for one in PUBLISHED]
    found = kernel.hessian(PUBLISHED, cells)
    for i, j in itertools.product(range(4), repeat=2):
        order = tuple(int(i == k) + int(j == k) for k in range(4))
        assert found[i, j] == pytest.approx(float(mp.diff(value, logs, order)), rel=1e-10, abs=1e-10)


@KERNELS
def test_order_splitting_and_grid_of_cells_do_not_matter(kernel, birth, cdnow):
    value, slopes = kernel.total(PUBLISHED, cdnow)
    order = np.random.default_rng(1).permutation(len(cdnow))
    twice = np.r_[order, order]
    cells = Cells(cdnow.x[twice], cdnow.t_x[twice], cdnow.T[twice], cdnow.weight[twice] / 2)  # no step: off any grid
    other, others = kernel.total(PUBLISHED, cells)
    assert other == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(others, slopes, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(kernel.hessian(PUBLISHED, cells), kernel.hessian(PUBLISHED, cdnow), rtol=1e-10)


@KERNELS
def test_a_unit_of_time_changes_nothing_but_units(kernel, birth, cdnow):
    r, alpha, a, b = PUBLISHED
    value, slopes = kernel.total(PUBLISHED, cdnow)
    other, others = kernel.total((r, alpha * 7, a, b), cdnow.scaled(1 / 7))
    assert other == pytest.approx(value - math.log(7) * float(cdnow.x @ cdnow.weight), rel=1e-13)
    np.testing.assert_allclose(others, slopes, rtol=1e-9, atol=1e-8)
    in_days = kernel.purchases((r, alpha * 7, a, b), 2, 38.86 * 7, 52.0 * 7, 0.01 / 7)
    assert in_days == pytest.approx(kernel.purchases(PUBLISHED, 2, 38.86, 52.0, 0.01), rel=1e-12)


# -------------------------------------------------------------------------------------------------- published values


def test_published_bg_nbd(cdnow):
    # Fader, Hardie & Lee (2005) print LL −9582.4 and parameters to three digits; further digits were recomputed.
    value, slopes = BGNBD.total(PUBLISHED, cdnow)
    assert (cdnow.customers, cdnow.x @ cdnow.weight) == (2357, 2457)
    assert value == pytest.approx(-9582.429, abs=5e-4)
    assert np.abs(slopes).max() < 2e-3  # the optimum, to the digits of its parameters
    assert (np.linalg.eigvalsh(BGNBD.hessian(PUBLISHED, cdnow)) < 0).all()


def test_published_bg_nbd_predictions():
    # The same paper's examples, at the parameters above: printed to three or more digits.
    assert BGNBD.purchases(PUBLISHED, 0, 0.0, 52.0, 0.0) == pytest.approx(1.444011, abs=5e-7)
    best = BGNBD.p_alive(PUBLISHED, 26, 216 / 7, 31.0) * BGNBD.purchases(PUBLISHED, 26, 31.0, 52.0, 0.0)
    assert best == pytest.approx(25.757358, abs=5e-7)
    paper = BGNBD.p_alive(PUBLISHED, 2, 30.43, 38.86) * BGNBD.purchases(PUBLISHED, 2, 38.86, 39.0, 0.0)
    assert paper == pytest.approx(1.226, abs=5e-4)
    assert BGNBD.probability(PUBLISHED, 0, 0.0, 39.0, 0) == pytest.approx(0.574307, abs=5e-7)
    assert BGNBD.probability((0.243, 4.414, 0.793, 2.426), 0, 0.0, 39.0, 0) == pytest.approx(0.5737864, abs=5e-8)


@KERNELS
def test_published_maximum(kernel, birth, cdnow):
    # Batislam et al. (2007) and Fader, Hardie & Lee (2005) on the same data; the digits were recomputed.
    def loss(theta):
        value, slopes = kernel.total(np.exp(theta), cdnow)
        return -value, -slopes

    found = optimize.minimize(loss, kernel.start(cdnow), jac=True, method="L-BFGS-B", options={"ftol": 1e-14})
    assert -found.fun == pytest.approx(-9582.1357 if birth else -9582.4292, abs=2e-4)
    wanted = (0.525, 6.183, 0.891, 1.614) if birth else PUBLISHED
    np.testing.assert_allclose(np.exp(found.x), wanted, rtol=1e-3)


# ------------------------------------------------------------------------------------------------- given alive at T


def mp_given_alive(a, B, m, age, horizon):
    """Survival, purchases, time alive and E[X(X − 1)] as hypergeometric functions; neither a nor m is whole."""
    a, B, m, age, horizon = (mp.mpf(one) for one in (a, B, m, age, horizon))

    def with_p(power, m):  # E[p^power·(1 + pz)^−m], continued analytically
        return mp.beta(a + power, B) / mp.beta(a, B) * mp.hyp2f1(m, a + power, a + B + power, -horizon / age)

    def without_last(m):  # E[(1 − p)/p²·(1 + pz)^−m], in the same way
        return mp.beta(a - 2, B + 1) / mp.beta(a, B) * mp.hyp2f1(m, a - 2, a + B - 1, -horizon / age)

    return [
        with_p(0, m),
        with_p(-1, 0) - with_p(-1, m),
        age * (with_p(-1, 0) - with_p(-1, m - 1)) / (m - 1),
        2 * (without_last(0) - (m + 1) * without_last(m) + m * without_last(m + 1)),
    ]


def given_alive(kernel, params, x, T, horizon):
    return [
        kernel.survival(params, x, T, horizon),
        kernel.purchases(params, x, T, horizon, 0.0),
        kernel.time_alive(params, x, T, horizon),
        kernel.factorial_moment(params, x, T, horizon),
    ]


A, B = [1e-6, 1e-3, 0.1, 0.793, 1.7, 2.99, 3.01, 31.5, 999.5], [1e-6, 1e-3, 0.3, 2.4, 53.0, 1e4]
M, Z = [1e-3, 0.25, 1.1, 3.2, 26.3, 500.2], [1e-6, 1e-2, 0.5, 5.0, 300.0, 1e6]


def test_given_alive_against_mpmath():
    mp.mp.dps = 60
    rng = np.random.default_rng(2)
    # Left out where mpmath takes half a minute, or gives up.
    grid = [
        case for case in itertools.product(A, B, M, Z) if case[1] < 100 or (case[2] < 100 and case[3] not in {0.5, 5})
    ]
    grid = [grid[place] for place in rng.choice(len(grid), 150, replace=False)]
    a, b, m, z = (np.array(column) for column in zip(*grid, strict=True))
    wanted = np.array([mp_given_alive(*case[:3], 3.0, 3.0 * case[3]) for case in grid], dtype=float).T
    found = given_alive(BGNBD, (m, 3.0, a, b), 0, 0.0, 3.0 * z)
    one_by_one = [given_alive(BGNBD, (m, 3.0, a, b), 0, 0.0, 3.0 * z) for a, b, m, z in grid]
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    np.testing.assert_allclose(np.transpose(one_by_one), wanted, rtol=1e-10)


@pytest.mark.parametrize("place", ["a", "m"])
def test_nothing_happens_where_formulas_divide_by_zero(place):
    # Closed forms divide by a − 1, a − 2 and m − 1; the functions are smooth there.
    for special in (1.0, 2.0) if place == "a" else (1.0,):
        near = [special * (1 - 1e-6), special, special * (1 + 1e-6)]
        params = [(0.7, 2.0, a, 3.0) if place == "a" else (a, 2.0, 0.8, 3.0) for a in near]
        low, found, high = (np.array(given_alive(BGNBD, one, 0, 0.0, 9.0)) for one in params)
        np.testing.assert_allclose(found, (low + high) / 2, rtol=1e-11)
        assert (low != found).all()


def test_survival_that_is_next_to_nothing():
    mp.mp.dps = 60
    cases = [(31.5, 7.0, 26.3, 300.0), (999.5, 3.0, 5.3, 1e5), (5.3, 1e3, 26.3, 1e6), (12.0, 12.0, 500.2, 40.0)]
    for a, B, m, z in cases:
        wanted = float(mp.hyp2f1(mp.mpf(m), a, mp.mpf(a) + B, -mp.mpf(z)))
        assert 0 < wanted < 1e-6
        assert BGNBD.survival((m, 1.0, a, B), 0, 0.0, z) == pytest.approx(wanted, rel=1e-9)
    assert BGNBD.survival((1e3, 1.0, 1e3, 1.0), 0, 0.0, 1e6) == 0.0  # 1e-3000 is no float
    assert BGNBD.survival(PUBLISHED, 3, 20.0, math.inf) == 0.0


def discounted_by_parts(kernel, params, x, T, horizon, rate):
    """e^(−δh)·E(h) + δ·∫ e^(−δv)·E(v) dv, from undiscounted expectations."""

    def integrand(log_v):
        v = math.exp(log_v)
        return v * math.exp(-rate * v) * kernel.purchases(params, x, T, v, 0.0)

    end = min(horizon, 60 / rate)
    part = integrate.quad(integrand, math.log(end) - 45, math.log(end), limit=500, epsabs=0, epsrel=1e-12)[0]
    return math.exp(-rate * end) * kernel.purchases(params, x, T, end, 0.0) + rate * part


@pytest.mark.parametrize("params", [PUBLISHED, (1e-3, 1e-2, 0.1, 1e-3), (30.0, 1e3, 5.0, 0.4), (1e3, 1e4, 1.0, 1e3)])
@KERNELS
def test_discounted_purchases(kernel, birth, params):
    for x, T, horizon, rate in [
        (0, 0.0, 52.0, 0.002),
        (3, 20.0, 52.0, 0.1),
        (26, 31.0, math.inf, 0.0019),
        (500, 78.0, 1e4, 1e-3),
    ]:
        wanted = discounted_by_parts(kernel, params, x, T, horizon, rate)
        assert kernel.purchases(params, x, T, horizon, rate) == pytest.approx(wanted, rel=1e-10)
        assert kernel.purchases(params, np.array([x]), T, horizon, rate)[0] == pytest.approx(wanted, rel=1e-10)


@KERNELS
def test_discount_that_vanishes(kernel, birth):
    x, T, horizon = np.array([0, 4, 60]), np.array([0.0, 30.0, 70.0]), np.array([52.0, 1e-3, 500.0])
    plain = kernel.purchases(PUBLISHED, x, T, horizon, 0.0)
    np.testing.assert_allclose(kernel.purchases(PUBLISHED, x, T, horizon, 1e-14), plain, rtol=1e-11)
    mixed = kernel.purchases(PUBLISHED, x, T, horizon, np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(mixed[[0, 2]], plain[[0, 2]], rtol=1e-11)
    # For ever: E[1/p], which is infinite for a ≤ 1.
    params = (0.4, 5.0, 2.5, 3.0)
    ever = kernel.purchases(params, x, T, np.array([math.inf, math.inf, 52.0]), 0.0)
    np.testing.assert_allclose(ever[:2], (2.5 + 3 + birth + x[:2] - 1) / 1.5, rtol=1e-13)
    assert ever[2] == pytest.approx(kernel.purchases(params, 60, 70.0, 52.0, 0.0), rel=1e-12)
    assert kernel.purchases(params, 4, 30.0, math.inf, 0.0) == pytest.approx(ever[1], rel=1e-13)
    assert kernel.purchases(params, 4, 30.0, math.inf, 1e-13) == pytest.approx(ever[1], rel=1e-8)
    assert kernel.purchases(PUBLISHED, 4, 30.0, math.inf, 0.0) == math.inf


def mp_probability(params, x, T, horizon, k, birth):
    r, alpha, a, b = (mp.mpf(one) for one in params)
    m, age, B, h = r + x, alpha + mp.mpf(T), b + x + birth, mp.mpf(horizon)
    w = h / (age + h)
    outlasted = (
        mp.beta(a, B + k) / mp.beta(a, B) * mp.gamma(m + k) / mp.gamma(m) / mp.factorial(k) * (1 - w) ** m * w**k
    )
    last = mp.beta(a + 1, B + k - 1) / mp.beta(a, B) * mp.betainc(k, m, 0, w, regularized=True) if k else 0
    return float(outlasted + last)


@KERNELS
def test_probability_against_mpmath(kernel, birth):
    mp.mp.dps = 40
    corners = [PUBLISHED, (1e-3, 1e-3, 1e-3, 1e-3), (1e4, 1e4, 1.0, 1e4), (0.3, 20.0, 1e4, 1e-3)]
    for params, (x, T), horizon, k in itertools.product(
        corners, [(0, 0.0), (26, 31.0), (500, 78.0)], [1e-2, 39.0], [0, 1, 5, 60]
    ):
        wanted = mp_probability(params, x, T, horizon, k, birth)
        found = kernel.probability(params, x, T, horizon, k)
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-290), (params, x, T, horizon, k)


@KERNELS
def test_probabilities_agree_with_moments(kernel, birth):
    x, T = np.array([0, 1, 9, 40])[:, None], np.array([0.0, 20.0, 38.0, 38.0])[:, None]
    k = np.arange(2000)
    chances = kernel.probability(PUBLISHED, x, T, 39.0, k)
    assert chances.shape == (4, 2000)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(chances @ k, kernel.purchases(PUBLISHED, x, T, 39.0, 0.0)[:, 0], rtol=1e-10)
    np.testing.assert_allclose(
        chances @ (k * (k - 1.0)), kernel.factorial_moment(PUBLISHED, x, T, 39.0)[:, 0], rtol=1e-10
    )
    now = kernel.probability(PUBLISHED, x, T, 0.0, k[:3])
    np.testing.assert_array_equal(now, np.tile([1.0, 0.0, 0.0], (4, 1)))


@pytest.mark.parametrize("params", [PUBLISHED, (2.0, 30.0, 0.4, 0.2)])
@KERNELS
def test_purchases_add_up_over_time(kernel, birth, params):
    # What a new customer buys in (T, T + h] is what all who may by then have bought x times and are alive will buy.
    r, alpha, a, b = params
    T, h, x = 25.0, 40.0, np.arange(3000)
    stays = b / (a + b) if birth else 1.0  # at the first purchase
    bought = [stays * kernel.purchases(params, 0, 0.0, end, 0.0) for end in (T, T + h)]
    counted = kernel.probability((r, alpha, 1e-12, 1.0), 0, 0.0, T, x)  # x purchases, if nobody ever drops out
    alive = counted * np.exp(kernel_log_outlasting(a, b, x + birth))
    later = alive @ kernel.purchases(params, x, np.full(x.shape, T), h, 0.0)
    assert later == pytest.approx(bought[1] - bought[0], rel=1e-9)
    assert alive.sum() == pytest.approx(stays * kernel.survival(params, 0, 0.0, T), rel=1e-9)


def kernel_log_outlasting(a, b, n):
    steps = np.arange(n.max())
    return np.concatenate([[0.0], np.cumsum(np.log((b + steps) / (a + b + steps)))])[n]


@KERNELS
def test_new_customers(kernel, birth):
    _, _, a, b = PUBLISHED
    assert kernel.p_alive(PUBLISHED, 0, 0.0, 0.0) == pytest.approx(b / (a + b) if birth else 1.0, rel=1e-15)
    assert kernel.survival(PUBLISHED, 0, 0.0, 0.0) == pytest.approx(1.0, rel=1e-12)
    assert kernel.purchases(PUBLISHED, 0, 0.0, 0.0, 0.0) == kernel.purchases(PUBLISHED, 0, 0.0, 0.0, 0.1) == 0.0
    assert kernel.time_alive(PUBLISHED, 0, 0.0, 0.0) == kernel.factorial_moment(PUBLISHED, 0, 0.0, 0.0) == 0.0
    assert kernel.log_likelihood(PUBLISHED, 0, 0.0, 0.0) == pytest.approx(0.0, abs=1e-15)


def test_who_has_not_repeated_is_alive_in_bg_only():
    assert BGNBD.p_alive(PUBLISHED, 0, 0.0, 1e4) == 1.0
    np.testing.assert_array_equal(BGNBD.p_alive(PUBLISHED, np.zeros(2), np.zeros(2), np.array([1.0, 1e3])), [1.0, 1.0])
    assert MBGNBD.p_alive(PUBLISHED, 0, 0.0, 1e4) < 0.5
    one = BGNBD.p_alive(PUBLISHED, 1, 5.0, 5.0)  # the chance of having stayed at that purchase
    assert one == pytest.approx(PUBLISHED[3] / (PUBLISHED[2] + PUBLISHED[3]), rel=1e-14)


# ------------------------------------------------------------------------------------------------------------- shapes


def predictions(kernel, params, x, t_x, T, horizon=52.0):
    return {
        "log_likelihood": kernel.log_likelihood(params, x, t_x, T),
        "p_alive": kernel.p_alive(params, x, t_x, T),
        **dict(
            zip(
                ["survival", "purchases", "time_alive", "pairs"],
                given_alive(kernel, params, x, T, horizon),
                strict=True,
            )
        ),
        "discounted": kernel.purchases(params, x, T, horizon, 0.002),
        "for_ever": kernel.purchases(params, x, T, np.inf, 0.002),
        "probability": kernel.probability(params, x, T, horizon, 2),
    }


@KERNELS
def test_one_customer_many_customers_and_own_parameters_agree(kernel, birth):
    rng = np.random.default_rng(3)
    T = rng.integers(1, 500, 40) / 7
    x = rng.integers(0, 9, 40)
    t_x = np.where(x > 0, T * rng.random(40), 0.0)
    together = predictions(kernel, PUBLISHED, x, t_x, T)
    own = predictions(kernel, [np.full(40, one) for one in PUBLISHED], x, t_x, T)
    table = predictions(kernel, [np.full((40, 1), one) for one in PUBLISHED], x[:, None], t_x[:, None], T[:, None])
    for name, values in together.items():
        assert values.shape == (40,)
        assert table[name].shape == (40, 1)
        np.testing.assert_allclose(own[name], values, rtol=1e-11)
        np.testing.assert_allclose(table[name][:, 0], values, rtol=1e-11)
    for place in range(40):
        alone = predictions(kernel, PUBLISHED, int(x[place]), float(t_x[place]), float(T[place]))
        for name, values in together.items():
            assert np.ndim(alone[name]) == 0
            assert alone[name] == pytest.approx(values[place], rel=1e-11)
    gradient = kernel.gradient([np.full((40, 1), one) for one in PUBLISHED], x, t_x, T)
    assert gradient.shape == (4, 40, 40)


POSITIVE = st.floats(-3, 4).map(lambda power: 10.0**power)


@settings(max_examples=150, deadline=None)
@given(
    params=st.tuples(POSITIVE, POSITIVE, POSITIVE, POSITIVE),
    x=st.integers(0, 500),
    times=st.tuples(st.floats(1e-3, 1), st.floats(1e-2, 1e3)),
    horizon=POSITIVE,
    rate=st.sampled_from([0.0, 1e-4, 0.1]),
    kernel=st.sampled_from([BGNBD, MBGNBD]),
)
def test_predictions_stay_where_they_must(params, x, times, horizon, rate, kernel):
    T = times[1]
    t_x = times[0] * T if x else 0.0
    r, alpha, _, _ = params
    near, far = (given_alive(kernel, params, x, T, end) for end in (horizon, 2 * horizon))
    assert np.isfinite([*near, *far]).all()
    survival, purchases, time, pairs = near
    assert 0 <= far[0] <= survival * (1 + 1e-11) <= 1 + 1e-10
    rate_now = (r + x) / (alpha + T)
    assert 0 < purchases < rate_now * horizon * (1 + 1e-11)  # dropout only takes away
    assert survival * horizon * (1 - 1e-11) <= time <= horizon * (1 + 1e-11)
    assert (1 - 1e-11) * purchases <= far[1] <= 2 * purchases * (1 + 1e-11)  # concave in time
    assert 0 < pairs < (r + x) * (r + x + 1) * (horizon / (alpha + T)) ** 2 * (1 + 1e-11)
    discounted = kernel.purchases(params, x, T, horizon, rate)
    assert math.exp(-rate * horizon) * purchases * (1 - 1e-10) <= discounted <= purchases * (1 + 1e-10)
    assert 0 <= kernel.p_alive(params, x, t_x, T) <= 1
    assert np.isfinite(kernel.log_likelihood(params, x, t_x, T))
    assert np.isfinite(kernel.gradient(params, x, t_x, T)).all()
    assert 0 <= kernel.probability(params, x, T, horizon, x % 7) <= 1 + 1e-12


# ------------------------------------------------------------------------------------------------------------- start


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 0, 10)],
        [(0, 0, 0)],
        [(3, 1, 1)],
        [(0, 0, 10)] * 5 + [(0, 0, 20)],
        [(2, 7, 9)] * 50,
        [(500, 77, 78), (0, 0, 0)],
        [(1, 1e-9, 1e9), (1, 1e9, 1e9)],
        [(1, 5, 5), (2, 5, 5), (4, 5, 5)],
    ],
    ids=str,
)
@KERNELS
def test_start_is_finite(kernel, birth, rows):
    cells = Cells.of(*np.array(rows, dtype=float).T)
    theta = kernel.start(cells)
    assert theta.shape == (4,)
    assert (np.abs(theta) < math.log(1e7) + math.log(max(1.0, cells.T.max()))).all()
    value, slopes = kernel.total(np.exp(theta), cells)
    assert np.isfinite(value)
    assert np.isfinite(slopes).all()
    assert np.isfinite(kernel.hessian(np.exp(theta), cells)).all()


@KERNELS
def test_start_scales_with_time(kernel, birth, cdnow):
    weeks, days = np.exp(kernel.start(cdnow)), np.exp(kernel.start(cdnow.scaled(1 / 7)))
    np.testing.assert_allclose(days / weeks, [1, 7, 1, 1], rtol=1e-12)
