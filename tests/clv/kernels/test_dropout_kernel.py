"""Pareto/NBD and GGom/NBD for each customer: against mpmath, published values, and what probabilities must obey."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import mpmath as mp
import numpy as np
import pytest

import exact_dropout as exact
from loyalty.clv.kernels import _dropout, _ggomnbd, _paretonbd
from loyalty.clv.kernels._ggomnbd import KERNEL as GGOM
from loyalty.clv.kernels._nbd import KERNEL as NBD
from loyalty.clv.kernels._paretonbd import KERNEL as PARETO
from loyalty.clv.summaries.cells import Cells

# Fader & Hardie's estimates on CDNOW, in weeks, and the customer of their notes.
PUBLISHED = (0.55315, 10.57633, 0.60625, 11.67150)
CUSTOMER = (26, 216 / 7, 31)
# The clock bends on the way (b = 0.05) or hardly (b = 1e-4); most customers stay for long, or drop out at once.
BENT, STRAIGHT = (0.55, 10.6, 0.6, 0.05, 2.0), (0.55, 10.6, 0.6, 1e-4, 1e-3)
BOTH = pytest.mark.parametrize(("kernel", "params"), [(PARETO, PUBLISHED), (GGOM, BENT)], ids=["Pareto", "GGom"])

HISTORIES = [
    (0, 0.0, 0.0),
    (0, 0.0, 38.86),
    (2, 30.43, 38.86),
    (1, 1 / 7, 3000.0),
    (3, 40.0, 40.0),
    (20, 100.0, 100.001),
    (500, 300.0, 365.0),
    (500, 0.5, 2000.0),
]
PARETO_PARAMS = [
    PUBLISHED,
    (0.5, 2.0, 1.0, 2.0),  # α = β, s = 1
    (2.0, 1e4, 0.7, 1e-3),
    (2.0, 1e-3, 0.7, 1e4),
    (1e-3, 1e-3, 1e-3, 1e-3),
    (1e4, 1e4, 50.0, 1e4),
    (0.05, 0.05, 0.05, 0.05),
    (1e-6, 3.0, 1e-6, 1e-6),
    (1e3, 0.5, 1e2, 0.01),
]
GGOM_PARAMS = [
    BENT,
    STRAIGHT,
    (0.5, 2.0, 1.0, 2.0, 1.0),  # β = 1: S = exp(−s·b·τ)
    (2.0, 5.0, 0.3, 1e-6, 1e4),
    (1.0, 1e-3, 2.0, 10.0, 1e4),  # all drop out within a week or so of each other; exp(b·T) is beyond floats
    (1e-3, 1e3, 1e-3, 1.0, 1e-6),
    (10.0, 100.0, 50.0, 0.01, 1e3),
]


def close(found, expected, tolerance):
    return abs(found - float(expected)) <= tolerance * max(1.0, abs(float(expected)))


# Likelihood and gradient.


@pytest.mark.parametrize("params", PARETO_PARAMS)
def test_pareto_is_the_hypergeometric_form(params):
    for history in HISTORIES:
        found = PARETO.log_likelihood(params, *history)
        assert close(found, exact.pareto_log_likelihood(params, *history), 1e-12), history


@pytest.mark.parametrize("params", GGOM_PARAMS)
def test_ggom_is_the_integral(params):
    with mp.workdps(20):
        for history in HISTORIES[1:]:
            found = GGOM.log_likelihood(params, *history)
            assert close(found, exact.log_likelihood(params, *history), 1e-11), history


@pytest.mark.parametrize("params", PARETO_PARAMS[:6])
def test_pareto_gradient(params):
    for history in [HISTORIES[2], HISTORIES[6]]:
        expected = [float(slope) for slope in exact.slopes(exact.pareto_log_likelihood, params, *history)]
        scale = max(1.0, abs(PARETO.log_likelihood(params, *history)))
        np.testing.assert_allclose(PARETO.gradient(params, *history), expected, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("params", [GGOM_PARAMS[0], GGOM_PARAMS[6]])
def test_ggom_gradient(params):
    history = (3, 20.0, 55.0)
    expected = [float(slope) for slope in exact.slopes(exact.log_likelihood, params, *history)]
    np.testing.assert_allclose(GGOM.gradient(params, *history), expected, rtol=0, atol=1e-9)


@BOTH
def test_gradient_is_the_slope_of_the_likelihood(kernel, params):
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*HISTORIES, strict=True))
    for place, slope in enumerate(kernel.gradient(params, x, t_x, T)):
        above, below = (
            [value * math.exp(move) if k == place else value for k, value in enumerate(params)]
            for move in (1e-5, -1e-5)
        )
        rise = kernel.log_likelihood(above, x, t_x, T) - kernel.log_likelihood(below, x, t_x, T)
        # Central differences of values up to 3000, each exact to 1e-13 or so.
        np.testing.assert_allclose(slope, rise / 2e-5, atol=1e-4, rtol=1e-6)


def test_new_customers_have_likelihood_one():
    for kernel, params in [(PARETO, PUBLISHED), (GGOM, BENT), (NBD, PUBLISHED[:2])]:
        assert kernel.log_likelihood(params, 0, 0, 0) == 0
        np.testing.assert_array_equal(kernel.gradient(params, 0, 0, 0), np.zeros(len(params)))


@BOTH
def test_likelihood_in_other_units(kernel, params):
    """Seven times as many days as weeks shift the log-likelihood by −x·ln 7."""
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*HISTORIES, strict=True))
    in_days = [value * 7.0**power for value, power in zip(params, kernel.time_powers, strict=True)]
    found = kernel.log_likelihood(in_days, x, 7 * t_x, 7 * T)
    np.testing.assert_allclose(
        found, kernel.log_likelihood(params, x, t_x, T) - x * math.log(7), rtol=1e-12, atol=1e-12
    )


# The family: GGom runs into Pareto, both into NBD.


@pytest.mark.parametrize("b", [1e-6, 1e-8, 1e-10, 1e-13])
def test_ggom_runs_into_pareto(b):
    *_, s, beta = PUBLISHED
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*HISTORIES[:4], strict=True))
    params = (*PUBLISHED[:2], s, b, b * beta)
    straight = 2 * b * T.max()  # how far the clock is from straight
    for name, given in {"log_likelihood": (x, t_x, T), "p_alive": (x, t_x, T), "purchases": (x, T, 52.0, 0.01)}.items():
        found, expected = getattr(GGOM, name)(params, *given), getattr(PARETO, name)(PUBLISHED, *given)
        np.testing.assert_allclose(found, expected, rtol=straight + 1e-12)
    pareto = PARETO.gradient(PUBLISHED, x, t_x, T)
    r, alpha, by_s, by_b, by_beta = GGOM.gradient(params, x, t_x, T)
    np.testing.assert_allclose([r, alpha, by_s, by_beta], pareto, rtol=straight + 1e-11, atol=straight)
    np.testing.assert_allclose(by_b, -by_beta, rtol=straight + 1e-11, atol=straight)


def test_pareto_without_dropout_is_nbd():
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*HISTORIES[:6], strict=True))
    params = (*PUBLISHED[:2], 1e-15, 10.0)
    np.testing.assert_allclose(
        PARETO.log_likelihood(params, x, t_x, T), NBD.log_likelihood(PUBLISHED[:2], x, t_x, T), rtol=1e-11, atol=1e-11
    )
    np.testing.assert_allclose(PARETO.p_alive(params, x, t_x, T), 1.0, rtol=1e-8)
    given = (x, T, 52.0, 0.01)
    np.testing.assert_allclose(PARETO.purchases(params, *given), NBD.purchases(PUBLISHED[:2], *given), rtol=1e-12)


def test_exponential_lifetimes_for_all_are_the_far_end_of_both():
    # β = s/µ, s → ∞: everybody drops out at rate µ. GGom with β = 1 has rate s·b.
    mu, rest = 0.04, (0.5, 8.0)
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*HISTORIES[:5], strict=True))
    pareto = PARETO.log_likelihood((*rest, 1e9, 1e9 / mu), x, t_x, T)
    gompertz = GGOM.log_likelihood((*rest, 0.4, 0.1, 1.0), x, t_x, T)
    np.testing.assert_allclose(pareto, gompertz, rtol=1e-5)  # (1 + µτ/s)^−s is exp(−µτ) but for (µτ)²/2s, µτ ≤ 120
    ahead = np.array([0.0, 1.0, 50.0])
    np.testing.assert_allclose(GGOM.survival((*rest, 0.4, 0.1, 1.0), 3, 20.0, ahead), np.exp(-mu * ahead), rtol=1e-14)


# P(alive) and predictions.

WAYS_AHEAD = [(0, 0.0, 52.0), (2, 38.86, 39.0), (30, 300.0, 1.0), (1, 5.0, 1e4)]


@pytest.mark.parametrize(
    ("kernel", "params"),
    [*((PARETO, params) for params in PARETO_PARAMS[:7]), *((GGOM, params) for params in GGOM_PARAMS)],
)
def test_predictions_are_the_integrals(kernel, params):
    r, alpha = params[:2]
    with mp.workdps(20):
        for x, T, horizon in WAYS_AHEAD:
            m, a, rate = r + x, alpha + T, 0.002
            lasting = exact.time_integral(params, T, horizon)
            expected = {
                kernel.time_alive(params, x, T, horizon): lasting,
                kernel.purchases(params, x, T, horizon, 0.0): m / a * lasting,
                kernel.purchases(params, x, T, horizon, rate): m / a * exact.time_integral(params, T, horizon, rate),
                kernel.factorial_moment(params, x, T, horizon): 2
                * m
                * (m + 1)
                / a**2
                * exact.time_integral(params, T, horizon, power=1),
            }
            for found, value in expected.items():
                assert found == pytest.approx(float(value), rel=1e-11), (x, T, horizon)
        forever = m / a * exact.time_integral(params, T, mp.inf, rate)
        assert kernel.purchases(params, x, T, math.inf, rate) == pytest.approx(float(forever), rel=1e-11)


@pytest.mark.parametrize(("kernel", "params"), [(PARETO, PARETO_PARAMS[1]), (PARETO, PUBLISHED), (GGOM, BENT)])
@pytest.mark.parametrize(("x", "T", "horizon", "count"), [(0, 0.0, 52.0, 0), (3, 20.0, 52.0, 2), (40, 60.0, 9.0, 60)])
def test_probability_is_the_integral(kernel, params, x, T, horizon, count):
    with mp.workdps(20):
        expected = exact.probability(params, x, T, horizon, count)
    assert kernel.probability(params, x, T, horizon, count) == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize(("kernel", "params"), [(PARETO, PUBLISHED), (GGOM, BENT), (GGOM, GGOM_PARAMS[4])])
def test_p_alive_is_the_integral(kernel, params):
    with mp.workdps(20):
        for history in HISTORIES[1:5]:
            assert kernel.p_alive(params, *history) == pytest.approx(float(exact.p_alive(params, *history)), rel=1e-11)


def test_published_predictions():
    # To the digits that were printed (recomputed from the published parameters).
    assert PARETO.p_alive(PUBLISHED, *CUSTOMER) == pytest.approx(0.9978735, abs=5e-8)
    expected = PARETO.p_alive(PUBLISHED, *CUSTOMER) * PARETO.purchases(PUBLISHED, 26, 31, 52, 0.0)
    assert expected == pytest.approx(25.456111, abs=5e-7)
    assert PARETO.purchases(PUBLISHED, 0, 0, 52, 0.0) == pytest.approx(1.473389, abs=5e-7)


@BOTH
@pytest.mark.parametrize(("x", "T", "horizon"), [(0, 0.0, 52.0), (2, 38.86, 39.0), (26, 31.0, 52.0), (3, 5.0, 0.01)])
def test_counts_are_a_distribution(kernel, params, x, T, horizon):
    counts = np.arange(800.0)
    chance = kernel.probability(params, x, T, horizon, counts)
    assert (chance >= 0).all()
    assert chance.sum() == pytest.approx(1.0, rel=1e-11)
    assert chance @ counts == pytest.approx(kernel.purchases(params, x, T, horizon, 0.0), rel=1e-9)
    assert chance @ (counts * (counts - 1)) == pytest.approx(kernel.factorial_moment(params, x, T, horizon), rel=1e-7)


@BOTH
def test_time_alive_is_what_survival_adds_up_to(kernel, params):
    ahead = np.linspace(0, 52, 10_001)
    alive = kernel.survival(params, 2, 30.0, ahead)
    trapezes = np.sum((alive[1:] + alive[:-1]) / 2) * 52 / 10_000
    assert kernel.time_alive(params, 2, 30.0, 52.0) == pytest.approx(trapezes, rel=1e-7)
    assert alive[0] == 1
    assert (np.diff(alive) < 0).all()
    assert kernel.survival(params, 2, 30.0, math.inf) == 0


def test_time_alive_in_closed_form_at_s_1_and_2():
    # ∫ (1 + v/b)^−s dv over (0, h): b·ln(1 + h/b), and h/(1 + h/b).
    b, horizon = 10.0, np.array([0.0, 1e-300, 1e-9, 3.0, 1e300])
    for s, expected in {1.0: b * np.log1p(horizon / b), 2.0: horizon / (1 + horizon / b)}.items():
        near = s * np.array([[1.0], [1 + 1e-15], [1 - 1e-12]])
        found = PARETO.time_alive((1.0, 1.0, near, 4.0), 0, 6.0, horizon)
        np.testing.assert_allclose(found, np.broadcast_to(expected, (3, 5)), rtol=1e-9)
    np.testing.assert_array_equal(
        PARETO.time_alive((1.0, 1.0, np.array([1.0, 3.0]), 4.0), 0, 6.0, math.inf), [math.inf, 5]
    )


@BOTH
def test_nothing_ahead(kernel, params):
    assert kernel.purchases(params, 3, 20.0, 0.0, 0.0) == 0
    assert kernel.purchases(params, 3, 20.0, 0.0, 0.1) == 0
    assert kernel.factorial_moment(params, 3, 20.0, 0.0) == 0
    assert kernel.survival(params, 3, 20.0, 0.0) == 1
    np.testing.assert_array_equal(kernel.probability(params, 3, 20.0, 0.0, [0, 1, 7]), [1, 0, 0])
    assert kernel.p_alive(params, 3, 20.0, 20.0) == 1


@BOTH
def test_discounting_shrinks(kernel, params):
    found = kernel.purchases(params, 3, 20.0, 52.0, np.array([0.0, 1e-12, 1e-3, 1e-2, 1.0, 1e3]))
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert (np.diff(found[1:]) < 0).all()
    # So steep a discount that nobody drops out, nor the horizon ends, before it is over.
    assert found[-1] == pytest.approx((params[0] + 3) / (params[1] + 20) / 1e3, rel=1e-4)


# Arrays and numbers.


@BOTH
def test_each_customer_may_have_parameters_of_their_own(kernel, params):
    rng = np.random.default_rng(1)
    n = 40
    own = [value * np.exp(rng.normal(0, 1, n)) for value in params]
    x, T = rng.integers(0, 30, n).astype(float), rng.uniform(0.1, 100, n)
    t_x, horizon, rate = np.where(x > 0, T * rng.random(n), 0.0), rng.uniform(0, 100, n), rng.uniform(0, 0.1, n)
    calls = {
        "log_likelihood": (x, t_x, T),
        "gradient": (x, t_x, T),
        "p_alive": (x, t_x, T),
        "survival": (x, T, horizon),
        "purchases": (x, T, horizon, rate),
        "factorial_moment": (x, T, horizon),
        "probability": (x, T, horizon, np.arange(n) % 5.0),
        "time_alive": (x, T, horizon),
    }
    for name, given in calls.items():
        together = getattr(kernel, name)(own, *given)
        for i in range(n):
            one = getattr(kernel, name)([value[i].item() for value in own], *(column[i].item() for column in given))
            np.testing.assert_allclose(together[..., i], one, rtol=1e-12, atol=1e-13, err_msg=name)
            assert np.shape(one) == together.shape[:-1]


@BOTH
def test_shapes_broadcast(kernel, params):
    x, T = np.arange(3.0), np.array([[5.0], [9.0]])
    assert kernel.log_likelihood(params, x, 0.0, T).shape == (2, 3)
    assert kernel.gradient(params, x, 0.0, T).shape == (len(params), 2, 3)
    assert kernel.purchases(params, x, T, 4.0, 0.1).shape == (2, 3)
    assert kernel.probability(params, x, T, 4.0, 1).shape == (2, 3)
    assert kernel.p_alive(params, np.empty(0), np.empty(0), np.empty(0)).shape == (0,)
    assert kernel.purchases(params, np.empty(0), np.empty(0), 3.0, 0.1).shape == (0,)
    np.testing.assert_array_equal(
        kernel.p_alive(params, x, 1.0, T)[1], kernel.p_alive(params, x, 1.0, 9.0), strict=True
    )


@BOTH
def test_many_customers_are_no_different(kernel, params):
    """Long columns are taken in batches, and equal ages once."""
    n = 20_000
    x, T = np.arange(n) % 30.0, np.arange(n) % 70 + 1.0
    t_x = np.where(x > 0, T / 2, 0.0)
    some = [0, 1, 8191, 8192, n - 1]
    for name, given in {"log_likelihood": (x, t_x, T), "gradient": (x, t_x, T), "purchases": (x, T, 9.0, 0.1)}.items():
        found = getattr(kernel, name)(params, *given)[..., some]
        few = [column[some] if np.ndim(column) else column for column in given]
        np.testing.assert_allclose(found, getattr(kernel, name)(params, *few), rtol=1e-12)


@BOTH
def test_threads_change_nothing(kernel, params, monkeypatch):
    n = 700
    x, T = np.arange(n) % 30.0, np.arange(n) % 70 + 1.0
    t_x = np.where(x > 0, T / 2, 0.0)
    asked = {
        "log likelihood": lambda: kernel.log_likelihood(params, x, t_x, T),
        "gradient": lambda: kernel.gradient(params, x, t_x, T),
        "P(alive)": lambda: kernel.p_alive(params, x, t_x, T),
        "purchases": lambda: kernel.purchases(params, x, T, 20.0, 0.01),
        "probability": lambda: kernel.probability(params, x, T, 20.0, 2.0),
    }
    alone = {name: ask() for name, ask in asked.items()}
    at_work, most, lock = [0], [0], threading.Lock()
    possible = _dropout._possible

    def watched(*given, **options):
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        time.sleep(0.01)
        try:
            return possible(*given, **options)
        finally:
            with lock:
                at_work[0] -= 1

    monkeypatch.setattr(_dropout, "_BATCH", 64)
    monkeypatch.setattr(_dropout, "_cores", lambda: 64)
    for name, ask in asked.items():
        np.testing.assert_array_equal(ask(), alone[name], err_msg=name)
    monkeypatch.setattr(_dropout, "_possible", watched)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda _: kernel.log_likelihood(params, x, t_x, T), range(2)):
            np.testing.assert_array_equal(found, alone["log likelihood"])
    assert 1 < most[0] <= 2 * _dropout._MOST_THREADS


@pytest.mark.parametrize(("room", "size"), [(_paretonbd, 4), (_ggomnbd, 5)])
def test_one_customer_by_a_single_rule(room, size):
    """Where the short way is taken, it gives what the long way gives."""
    rng, taken = np.random.default_rng(2), 0
    for _ in range(300):
        params = [float(value) for value in 10 ** rng.uniform(-2, 2, size)]
        x, T = float(rng.choice([0, 1, 5, 50])), float(10 ** rng.uniform(-2, 3))
        t_x, horizon = T * float(rng.random()) * (x > 0), float(10 ** rng.uniform(-2, 3))
        pairs = [(room._p_alive_of_one(params, x, t_x, T), _dropout.p_alive(room.LAW, params, x, t_x, T))]
        for rate in [0.0, 0.003]:
            short = room._purchases_of_one(params, x, T, horizon, rate)
            pairs.append((short, _dropout.purchases(room.LAW, params, x, T, horizon, rate)))
        for short, long in pairs:
            if short is not None:
                assert short == pytest.approx(long, rel=1e-12)
                taken += 1
    assert taken > 500


@pytest.mark.parametrize(("low", "high"), [(-3, 4), (-7, 8)])
def test_nothing_is_ever_undefined(low, high):
    rng = np.random.default_rng(3)
    n = 400
    x = rng.choice([0, 1, 3, 20, 100, 500, 5000], n).astype(float)
    T = 10 ** rng.uniform(-2, 5, n) * (rng.random(n) < 0.9)
    t_x = np.where(x > 0, T * rng.choice([0.001, 0.5, 0.999999, 1], n), 0.0)
    horizon, rate, count = 10 ** rng.uniform(-3, 5, n), 10 ** rng.uniform(-6, 0, n), rng.choice([0, 1, 5, 50, 1000], n)
    for kernel in [PARETO, GGOM, NBD]:
        params = list(10 ** rng.uniform(low, high, (len(kernel.names), n)))
        assert np.isfinite(kernel.log_likelihood(params, x, t_x, T)).all()
        assert np.isfinite(kernel.gradient(params, x, t_x, T)).all()
        for found, top in [
            (kernel.p_alive(params, x, t_x, T), 1),
            (kernel.survival(params, x, T, horizon), 1),
            (kernel.probability(params, x, T, horizon, count), 1),
            (kernel.time_alive(params, x, T, horizon), horizon),
            (kernel.purchases(params, x, T, horizon, 0.0), 1e300),
            (kernel.purchases(params, x, T, horizon, rate), 1e300),
            (kernel.purchases(params, x, T, np.inf, rate), 1e300),
            (kernel.factorial_moment(params, x, T, horizon), 1e300),
        ]:
            assert ((found >= 0) & (found <= top * (1 + 1e-9))).all()


# Start.

AWKWARD = {
    "nobody again": ([0, 0, 0], [0, 0, 0], [5, 9, 30]),
    "one customer": ([3], [10], [20]),
    "one new customer": ([0], [0], [0]),
    "all alike": ([2] * 50, [7] * 50, [9] * 50),
    "as steady as chance allows": ([5, 5, 5, 6], [9, 9, 9, 9], [10, 10, 10, 10]),
    "one buys all": ([0] * 99 + [1000], [0] * 99 + [300], [300] * 100),
    "no time": ([0, 0], [0, 0], [0, 0]),
    "no time, but purchases": ([1, 2], [0, 0], [0, 0]),
    "nobody": ([], [], []),
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("kernel", [PARETO, GGOM, NBD], ids=["Pareto", "GGom", "NBD"])
def test_start_is_finite(kernel, case):
    cells = Cells.of(*AWKWARD[case], step=1.0)
    start = kernel.start(cells)
    assert start.shape == (len(kernel.names),)
    assert (np.abs(start) < 20).all()
    total, gradient = kernel.total(np.exp(start), cells)
    assert np.isfinite([total, *gradient]).all()


@pytest.mark.parametrize("kernel", [PARETO, GGOM, NBD], ids=["Pareto", "GGom", "NBD"])
def test_start_knows_no_unit(kernel):
    x, t_x, T = np.array([0, 1, 4, 9.0]), np.array([0, 3, 20, 30.0]), np.array([10, 20, 30, 40.0])
    shift = kernel.start(Cells.of(x, 7 * t_x, 7 * T)) - kernel.start(Cells.of(x, t_x, T))
    np.testing.assert_allclose(shift, np.array(kernel.time_powers) * math.log(7), atol=1e-12)
