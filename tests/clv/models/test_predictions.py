"""Predictions of lifetime models: published ones, laws between them, intervals, and arguments that cannot be."""

import dataclasses
import datetime as dt
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty import datasets
from loyalty.clv.models.drawing import draw
from loyalty.clv.models.lifetime import LifetimeFit, Prediction, kernel_of
from loyalty.clv.models.uncertainty import sigma_points
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.errors import InvalidArgument
from loyalty.transactions import transactions

PARAMS = {
    "BGNBD": (0.2425945, 4.4136019, 0.7929199, 2.4258881),
    "MBGNBD": (0.525, 6.183, 0.891, 1.614),
    "ParetoNBD": (0.55315, 10.57633, 0.60625, 11.67150),
    "GGomNBD": (0.55, 10.5, 0.6, 0.02, 0.3),
    "NBD": (0.384766, 12.07202),
}
NEW = {"frequency": 0, "recency": 0, "age": 0}
HISTORIES = ([0, 0, 1, 2, 7, 26, 1, 0], [0, 0, 3.0, 30.43, 31, 216 / 7, 38, 0], [0, 38.9, 38.9, 38.86, 31, 31, 38, 5])


def at(model, params=None, *, spread=0.01, unit="week"):
    """Return a fit with given parameters, whose logarithms have a given variance and some correlation."""
    params = params or PARAMS[model]
    k = len(params)
    return LifetimeFit(
        model=model,
        params=dict(zip(_names(model), params, strict=True)),
        log_covariance=spread * (0.7 * np.eye(k) + 0.3),
        identified=dict.fromkeys(_names(model), True),
        log_likelihood=-1.0,
        customers=100,
        unit=unit,
    )


def _names(model):
    return kernel_of(model).names


@pytest.fixture(params=PARAMS)
def model(request):
    return request.param


def arrays(x=HISTORIES[0], t_x=HISTORIES[1], T=HISTORIES[2]):
    return {"frequency": np.array(x, float), "recency": np.array(t_x, float), "age": np.array(T, float)}


# ------------------------------------------------------------------------------------------------------- published


def test_pareto_nbd_of_the_published_customer():
    """Fader & Hardie's notes at the published parameters; recomputed to the digits given."""
    fit, best = at("ParetoNBD"), {"frequency": 26, "recency": 216 / 7, "age": 31}
    assert fit.expected_purchases(**best, horizon="52w") == pytest.approx(25.456111, abs=5e-7)
    assert fit.p_alive(**best) == pytest.approx(0.9978735, abs=5e-8)
    assert fit.expected_purchases(**NEW, horizon="52w") == pytest.approx(1.473389, abs=5e-7)


def test_bg_nbd_of_the_published_customers():
    """Fader, Hardie & Lee (2005) at the listed parameters; recomputed to the digits given, 1.226 as printed."""
    fit = at("BGNBD")
    assert fit.expected_purchases(frequency=26, recency=216 / 7, age=31, horizon="52w") == pytest.approx(
        25.757358, abs=5e-7
    )
    assert fit.expected_purchases(**NEW, horizon="52w") == pytest.approx(1.444011, abs=5e-7)
    assert fit.purchase_probability(**NEW, count=0, horizon="39w") == pytest.approx(0.574307, abs=5e-7)
    assert fit.expected_purchases(frequency=2, recency=30.43, age=38.86, horizon="39w") == pytest.approx(
        1.226, abs=5e-4
    )
    printed = at("BGNBD", (0.243, 4.414, 0.793, 2.426))
    assert printed.purchase_probability(**NEW, count=0, horizon="39w") == pytest.approx(0.5737864, abs=5e-8)


def test_bg_nbd_without_a_repeat_is_alive_and_mbg_nbd_may_not_be():
    assert at("BGNBD").p_alive(frequency=0, recency=0, age=500) == 1.0
    fit = at("MBGNBD")
    _, _, a, b = PARAMS["MBGNBD"]
    assert fit.p_alive(**NEW) == pytest.approx(b / (a + b), rel=1e-12)
    assert fit.p_alive(frequency=0, recency=0, age=500) < 0.2


# ------------------------------------------------------------------------------------------------------------ laws


def test_a_batch_of_one_is_a_batch_of_all(model):
    fit = at(model)
    x, t_x, T = (np.repeat(column, 40) for column in HISTORIES)  # many enough to be looked up by distinct (x, T)
    kinds = {
        "p_alive": {"ahead": "30d"},
        "expected_purchases": {"horizon": "90d"},
        "discounted_purchases": {},
        "purchase_probability": {"count": 2, "horizon": "90d"},
        "time_alive": {"horizon": "90d"},
        "median_time_alive": {},
    }
    for name, options in kinds.items():
        ask = getattr(fit, name)
        many = ask(**arrays(x, t_x, T), **options)
        for i in range(0, len(x), 40):
            one = ask(frequency=int(x[i]), recency=float(t_x[i]), age=T[i], **options)
            assert isinstance(one, float)
            assert one == pytest.approx(many[i], rel=1e-10, abs=1e-300), name
            assert many[i] == many[i + 39]
    for interval in ("confidence", "predictive"):
        many = fit.expected_purchases(**arrays(x, t_x, T), interval=interval)
        for i in range(0, len(x), 40):
            one = fit.expected_purchases(frequency=x[i], recency=t_x[i], age=T[i], interval=interval)
            assert (one.low, one.high) == pytest.approx((many.low[i], many.high[i]), rel=1e-9)


def test_probabilities_add_up_to_one_and_to_the_expectation(model):
    fit, ask = at(model), {"frequency": 2, "recency": 30.43, "age": 38.86, "horizon": "30w"}
    chances = np.array([fit.purchase_probability(**ask, count=n) for n in range(200)])
    assert chances.sum() == pytest.approx(1.0, abs=1e-9)
    assert chances @ np.arange(200) == pytest.approx(fit.expected_purchases(**ask), rel=1e-7)
    cells = Cells.of([2], [30.43], [38.86])
    told = fit.cell_predictions(cells, horizon=30.0)
    assert told.second_moment[0] == pytest.approx(chances @ np.arange(200) ** 2, rel=1e-7)


def test_time_alive_is_the_integral_of_being_alive(model):
    fit, one = at(model), {"frequency": 2, "recency": 30.0, "age": 38.0}
    ahead = [fit.p_alive(**one, ahead=f"{days}d") for days in range(1, 71)]
    alive = np.array([fit.p_alive(**one), *ahead])
    simpson = (alive[0] + alive[-1] + 4 * alive[1:-1:2].sum() + 2 * alive[2:-1:2].sum()) / 3 / 7
    assert fit.time_alive(**one, horizon="70d") == pytest.approx(simpson, rel=1e-6)
    assert alive[0] * 10 >= fit.time_alive(**one, horizon="70d")


def test_discounting_weighs_the_expected_curve(model):
    fit, one = at(model), {"frequency": 2, "recency": 30.0, "age": 38.0}
    curve = np.array([0.0, *(fit.expected_purchases(**one, horizon=f"{days}d") for days in range(1, 366))])
    middle = (np.arange(365) + 0.5) / 365.25
    summed = (np.diff(curve) * 1.1**-middle).sum()
    assert fit.discounted_purchases(**one, horizon="365d") == pytest.approx(summed, rel=1e-6)
    assert fit.discounted_purchases(**one, horizon="365d", annual_discount_rate=0.0) == pytest.approx(
        curve[-1], rel=1e-9
    )
    assert fit.discounted_purchases(**one, horizon="365d", annual_discount_rate=-0.1) > curve[-1]
    forever = fit.discounted_purchases(**one)
    assert fit.discounted_purchases(**one, horizon="100000d") == pytest.approx(forever, rel=1e-6)


def test_a_longer_horizon_never_brings_less(model):
    fit = at(model)
    for name in ("expected_purchases", "discounted_purchases", "time_alive"):
        values = [getattr(fit, name)(**arrays(), horizon=f"{days}d") for days in (1, 30, 365, 3650)]
        assert (np.diff(values, axis=0) >= 0.0).all(), name
    alive = [fit.p_alive(**arrays(), ahead=ahead) for ahead in (None, "1d", "30d", "3650d")]
    assert (np.diff(alive, axis=0) <= 0.0).all()


def test_the_median_is_where_half_are_left(model):
    fit = at(model)
    medians = fit.median_time_alive(**arrays())
    alive = fit.p_alive(**arrays())
    for x, t_x, T, median, now in zip(*HISTORIES, medians, alive, strict=True):
        if now <= 0.5:
            assert median == 0.0
        elif model == "NBD":
            assert median == math.inf
        else:
            left = now * float(fit.kernel.survival(fit.values, float(x), float(T), median))
            assert left == pytest.approx(0.5, rel=1e-9), (x, t_x, T)
    if model == "ParetoNBD":  # S = ((β + T)/(β + T + u))^s
        _, _, s, beta = PARAMS[model]
        assert medians[0] == pytest.approx(beta * (2 ** (1 / s) - 1), rel=1e-10)


def test_lives_that_outlast_every_number():
    fit = at("BGNBD", (0.0005, 1.0, 0.01, 5.0))
    assert fit.median_time_alive(frequency=0, recency=0, age=10) == math.inf


def test_authors_get_what_the_public_gets(model):
    fit, cells = at(model), Cells.of(*HISTORIES)
    rows = {"frequency": cells.x, "recency": cells.t_x, "age": cells.T}
    horizon, rate = fit.units("365d"), fit.discount_rate(0.1)
    told = fit.cell_predictions(cells, horizon=horizon, rate=rate)
    assert told.p_alive == pytest.approx(fit.p_alive(**rows), rel=1e-12)
    assert told.expected_purchases == pytest.approx(fit.expected_purchases(**rows), rel=1e-12)
    assert told.discounted_purchases == pytest.approx(fit.discounted_purchases(**rows, horizon="365d"), rel=1e-12)
    forever = fit.cell_predictions(cells, horizon=math.inf, rate=rate)
    assert forever.discounted_purchases == pytest.approx(fit.discounted_purchases(**rows), rel=1e-12)
    assert np.isnan(forever.expected_purchases).all()
    alive = fit.given_alive(cells, lambda params, x, T: fit.kernel.purchases(params, x, T, horizon, 0.0))
    assert alive * told.p_alive == pytest.approx(told.expected_purchases, rel=1e-12)
    assert rate == pytest.approx(math.log(1.1) * 7 / 365.25)


# ------------------------------------------------------------------------------------------------------- intervals


def test_derivatives_are_those_of_the_whole_prediction(model):
    """ln(P(alive)·purchases) moved along each parameter, against the derivatives that intervals are made of."""
    fit, cells = at(model), Cells.of(*HISTORIES)
    told = fit.cell_predictions(cells, horizon=52.0, rate=0.001)
    alone = fit.log_gradient(cells, None)
    logs, size = np.log(fit.values), 1e-5
    for place in range(len(logs)):
        for found, ask in ((told.log_gradient, "discounted"), (alone, "alive")):
            ends = []
            for sign in (-1.0, 1.0):
                step = np.zeros(len(logs))
                step[place] = sign * size
                params = tuple(np.exp(logs + step))
                value = fit.kernel.p_alive(params, cells.x, cells.t_x, cells.T)
                if ask == "discounted":
                    value = value * fit.kernel.purchases(params, cells.x, cells.T, 52.0, 0.001)
                ends.append(np.log(value))
            slope = (ends[1] - ends[0]) / (2.0 * size)
            assert found[place] == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_confidence_intervals_by_hand(confidence):
    """NBD: ln E = ln(r + x) − ln(α + T) + ln h, so its derivatives are r/(r + x) and −α/(α + T)."""
    fit = at("NBD", spread=0.04)
    r, alpha = fit.values
    found = fit.expected_purchases(frequency=3, recency=10, age=20, horizon="7d", interval="confidence",
                                   confidence=confidence)  # fmt: skip
    slope = np.array([r / (r + 3), -alpha / (alpha + 20)])
    error = math.sqrt(slope @ fit.log_covariance @ slope)
    z = {0.5: 0.6744897501960817, 0.95: 1.959963984540054}[confidence]
    value = (r + 3) / (alpha + 20)
    assert (found.value, found.low, found.high) == pytest.approx(
        (value, value * math.exp(-z * error), value * math.exp(z * error)), rel=1e-6
    )
    assert (found.kind, found.confidence) == ("confidence", confidence)


histories = st.tuples(
    st.sampled_from(list(PARAMS)), st.integers(0, 40), st.floats(0.0, 1.0), st.floats(0.0, 200.0), st.integers(1, 2000)
)


@settings(max_examples=150, deadline=None)
@given(histories, st.floats(0.01, 0.999), st.floats(0.0, 4.0))
def test_low_value_high(history, confidence, spread):
    model, x, part, T, days = history
    fit = at(model, spread=spread)
    one = {"frequency": x, "recency": part * T if x else 0.0, "age": T, "interval": "confidence"}
    asked = [
        (fit.p_alive(**one, confidence=confidence), 1.0),
        (fit.p_alive(**one, confidence=confidence, ahead=f"{days}d"), 1.0),
        (fit.expected_purchases(**one, confidence=confidence, horizon=f"{days}d"), math.inf),
        (fit.discounted_purchases(**one, confidence=confidence), math.inf),
        (fit.purchase_probability(**one, confidence=confidence, count=0, horizon=f"{days}d"), 1.0),
        (fit.purchase_probability(**one, confidence=confidence, count=3, horizon=f"{days}d"), 1.0),
        (fit.time_alive(**one, confidence=confidence, horizon=f"{days}d"), days / 7),
    ]
    for found, top in asked:
        assert 0.0 <= found.low <= found.value <= found.high <= top * (1 + 1e-12)


def test_predictive_intervals_are_quantiles(model):
    """With known parameters: the smallest counts that the customer does not exceed with probability 5 % and 95 %."""
    fit = at(model, spread=0.0)
    found = fit.expected_purchases(**arrays(), horizon="365d", interval="predictive", confidence=0.9)
    assert found.kind == "predictive"
    for i, (x, t_x, T) in enumerate(zip(*HISTORIES, strict=True)):
        one = {"frequency": x, "recency": t_x, "age": T, "horizon": "365d"}
        upto = np.cumsum([fit.purchase_probability(**one, count=n) for n in range(80)])
        assert found.low[i] == np.argmax(upto >= 0.05 - 1e-12)
        assert found.high[i] == np.argmax(upto >= 0.95 - 1e-12)
        assert found.value[i] == pytest.approx(fit.expected_purchases(**one), rel=1e-12)


def test_predictive_intervals_mix_the_parameters():
    """Not known exactly, the parameters widen the interval as the mixture over their sigma points says."""
    known, unknown = at("ParetoNBD", spread=0.0), at("ParetoNBD", spread=0.2)
    one = {"frequency": 26, "recency": 216 / 7, "age": 31, "interval": "predictive"}
    narrow, wide = known.expected_purchases(**one), unknown.expected_purchases(**one)
    assert wide.low <= narrow.low <= narrow.value <= narrow.high < wide.high
    x, t_x, T = (np.array([float(value)]) for value in (26, 216 / 7, 31))
    upto = np.zeros(200)
    points = sigma_points(unknown.values, unknown.log_covariance)
    for params in points:
        alive = unknown.kernel.p_alive(params, x, t_x, T)
        chance = unknown.kernel.probability(params, x, T, 365 / 7, np.arange(200.0))
        upto += (1.0 - alive * (1.0 - np.cumsum(chance))) / len(points)
    assert wide.high == np.argmax(upto >= 0.975)
    assert wide.low == np.argmax(upto >= 0.025)


def test_sigma_points_have_the_mean_and_covariance():
    fit = at("ParetoNBD", spread=0.3)
    logs = np.log(sigma_points(fit.values, fit.log_covariance))
    assert len(logs) == 8
    assert logs.mean(axis=0) == pytest.approx(np.log(fit.values))
    assert np.cov(logs.T, bias=True) == pytest.approx(fit.log_covariance)
    far = np.log(sigma_points(fit.values, 400.0 * np.eye(4))) - np.log(fit.values)
    assert np.abs(far).max() == pytest.approx(2.0)


@pytest.mark.parametrize("model", ["ParetoNBD", "BGNBD"])
def test_predictive_intervals_hold_what_happens(model):
    """Of 4,000 simulated customers, about 90 % buy as often as the 90 % interval says; more, counts being whole."""
    rng, n = np.random.default_rng(8), 4000
    fit = at(model, spread=0.0)
    x, t_x = draw(model, fit.params, np.full(n, 90.0), rng)
    early = draw(model, fit.params, np.full(n, 90.0), np.random.default_rng(8))[0]
    assert (early == x).all()  # the same customers
    # A customer's purchases until 40 and in the 50 units after it, from the moments of all purchases until 90.
    times = [np.sort(rng.random(int(k) - 1)) * last if k else np.empty(0) for k, last in zip(x, t_x, strict=True)]
    times = [np.append(moments, last) if k else moments for moments, k, last in zip(times, x, t_x, strict=True)]
    first = np.array([(moments <= 40.0).sum() for moments in times], float)
    latest = np.array([moments[moments <= 40.0].max(initial=0.0) for moments in times])
    later = x - first
    said = fit.expected_purchases(frequency=first, recency=latest, age=40.0, horizon="350d", interval="predictive",
                                  confidence=0.9)  # fmt: skip
    inside = (later >= said.low) & (later <= said.high)
    assert 0.89 < inside.mean() < 0.985
    assert said.value.sum() == pytest.approx(later.sum(), rel=0.06)


def test_nothing_known_is_no_precision():
    """Where every parameter is held, only what does not depend on any has an interval."""
    fit = at("BGNBD")
    loose = dict.fromkeys(fit.identified, False)
    held = dataclasses.replace(fit, identified=loose, log_covariance=np.zeros((4, 4)), status="boundary")
    for kind in ("confidence", "predictive"):
        found = held.expected_purchases(**ONE, interval=kind)
        assert found.value == pytest.approx(fit.expected_purchases(**ONE), rel=1e-12)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert "determine none of the parameters" in found.note
    none = held.purchase_probability(**ONE, count=0, interval="confidence")
    assert math.isnan(none.low)
    sure = held.p_alive(**NEW, interval="confidence")  # 1 in any BG/NBD
    assert (sure.low, sure.value, sure.high, sure.note) == (1.0, 1.0, 1.0, "")


def test_predictions_show_themselves():
    found = at("NBD").expected_purchases(frequency=[1, 2], recency=[1, 1], age=[2, 3], interval="predictive")
    assert isinstance(found, Prediction)
    told = found.to_dict()
    assert (told["kind"], told["confidence"]) == ("predictive", 0.95)
    assert told["value"] == found.value.tolist()


# ------------------------------------------------------------------------------------------------ what may be given


@pytest.mark.parametrize("convert", [list, tuple, np.array, pd.Series, pl.Series, pa.array])
def test_columns_of_any_library(convert):
    fit = at("ParetoNBD")
    given_as = {name: convert(values.tolist()) for name, values in arrays().items()}
    assert fit.p_alive(**given_as).tolist() == fit.p_alive(**arrays()).tolist()


def test_shapes_are_kept_and_broadcast():
    fit = at("ParetoNBD")
    table = fit.p_alive(frequency=[[1], [2]], recency=[[1.0], [2.0]], age=[10.0, 20.0, 30.0])
    assert table.shape == (2, 3)
    assert table[1, 2] == pytest.approx(fit.p_alive(frequency=2, recency=2.0, age=30.0), rel=1e-12)
    assert fit.p_alive(frequency=[], recency=[], age=[]).shape == (0,)
    assert fit.expected_purchases(frequency=[], recency=[], age=[], interval="predictive").low.shape == (0,)
    assert fit.expected_purchases(frequency=[], recency=[], age=[], interval="confidence").low.shape == (0,)
    assert fit.median_time_alive(frequency=[], recency=[], age=[]).shape == (0,)
    assert isinstance(fit.p_alive(frequency=np.array(1), recency=np.float32(1), age=np.int32(2)), float)


@pytest.fixture(scope="module")
def log():
    return datasets.simulate(300, seed=4)[["customer_id", "date", "amount"]]


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_summary_gives_a_frame_of_its_kind(kind, log):
    frame = log if kind is pd.DataFrame else pl.from_pandas(log)
    with transactions(frame) as tx:
        summary = summarize(tx)
        fit = at("ParetoNBD")
        plain = fit.expected_purchases(summary, horizon="90d")
        spread = fit.expected_purchases(summary, horizon="90d", interval="confidence")
        assert isinstance(plain, kind)
    rows = {name: np.asarray(plain[name]) for name in ("frequency", "recency", "age")}
    assert np.asarray(plain["expected_purchases"]) == pytest.approx(fit.expected_purchases(**rows, horizon="90d"))
    assert len(plain) == log["customer_id"].nunique()
    assert "customer_id" in plain.columns
    low, value, high = (np.asarray(spread[f"expected_purchases{end}"]) for end in ("_low", "", "_high"))
    assert ((low < value) & (value < high)).all()


def test_every_prediction_of_a_summary(model, log):
    with transactions(log) as tx:
        summary = summarize(tx)
        fit = at(model)
        for name, options in {
            "p_alive": {}, "discounted_purchases": {}, "purchase_probability": {"count": 1}, "time_alive": {},
            "median_time_alive": {}, "expected_purchases": {"interval": "predictive"},
        }.items():  # fmt: skip
            frame = getattr(fit, name)(summary, **options)
            rows = {column: frame[column].to_numpy() for column in ("frequency", "recency", "age")}
            found = getattr(fit, name)(**rows, **options)
            if isinstance(found, Prediction):
                assert frame[f"{name}_high"].to_numpy() == pytest.approx(found.high)
                found = found.value
            assert frame[name].to_numpy() == pytest.approx(found, rel=1e-10)


def test_a_summary_of_another_unit_is_refused(log):
    with transactions(log) as tx:
        days = summarize(tx, unit="day")
        with pytest.raises(InvalidArgument, match="counts time in days and the model in weeks"):
            at("BGNBD").p_alive(days)
        with pytest.raises(InvalidArgument, match="either a summary or"):
            at("BGNBD", unit="day").p_alive(days, frequency=1)
    with pytest.raises(
        InvalidArgument, match=r"DataFrame is no customer summary: pass ly.summarize\(tx, unit='week'\)"
    ):
        at("BGNBD").p_alive(log)


@pytest.mark.parametrize(
    ("history", "what"),
    [
        ((-1, 0, 5), "frequency negative"),
        ((1.5, 1, 5), "no whole number"),
        ((1, 6, 5), "recency beyond age"),
        ((0, 1, 5), "without a repeat purchase"),
        ((1, -1, 5), "recency negative"),
        ((1, 1, math.nan), "missing or not finite"),
        ((1, math.inf, math.inf), "missing or not finite"),
        ((None, 1, 5), "frequency missing"),
        ((1, None, None), "recency, age missing"),
        (("1", 1, 5), "no number"),
        ((True, 1, 5), "no number"),
        (([1, 2], [1, 2, 3], 5), "shapes do not fit"),
        ((1, dt.date(2024, 1, 1), 5), "no number"),
        ((1, [0.5, None], 5), "no number|missing"),
    ],
)
@pytest.mark.parametrize("interval", [None, "confidence", "predictive"])
def test_histories_that_cannot_be(history, what, interval):
    named = dict(zip(("frequency", "recency", "age"), history, strict=True))
    with pytest.raises(InvalidArgument, match=what):
        at("ParetoNBD").expected_purchases(**named, interval=interval)


def test_offenders_are_counted_and_shown():
    with pytest.raises(InvalidArgument, match=r"2 of 3, with \(frequency, recency, age\) = \(1, 6, 5\), \(2, 9, 5\)"):
        at("NBD").p_alive(frequency=[1, 1, 2], recency=[6, 3, 9], age=5)


ONE = {"frequency": 1, "recency": 1.0, "age": 2.0}


@pytest.mark.parametrize("horizon", ["0d", "-3d", 52, 52.0, "52", "1y", None, math.inf, dt.timedelta(0), [1]])
def test_horizons_that_cannot_be(horizon):
    for name in ("expected_purchases", "time_alive"):
        with pytest.raises(InvalidArgument, match="horizon"):
            getattr(at("NBD"), name)(**ONE, horizon=horizon)


def test_horizons_that_can_be():
    fit = at("ParetoNBD")
    same = {fit.expected_purchases(**ONE, horizon=horizon) for horizon in ("52w", "364d", dt.timedelta(days=364))}
    assert len(same) == 1
    assert at("ParetoNBD", unit="day").units("52w") == 364.0
    assert at("ParetoNBD", unit="year").units("365d") == pytest.approx(365 / 365.25)


@pytest.mark.parametrize("rate", [-1.0, -2.0, math.nan, math.inf, "10 %"])
def test_rates_that_cannot_be(rate):
    with pytest.raises(InvalidArgument, match="annual_discount_rate"):
        at("ParetoNBD").discounted_purchases(**ONE, annual_discount_rate=rate, horizon="365d")


@pytest.mark.parametrize("rate", [0.0, -0.05])
def test_all_time_needs_a_positive_rate(rate):
    with pytest.raises(
        InvalidArgument, match="without a positive rate the purchases of all time may add up to infinity"
    ):
        at("ParetoNBD").discounted_purchases(**ONE, annual_discount_rate=rate)


@pytest.mark.parametrize("count", [-1, 1.5, True, "1", None])
def test_counts_that_cannot_be(count):
    with pytest.raises(InvalidArgument, match="count"):
        at("ParetoNBD").purchase_probability(**ONE, count=count)


def test_intervals_that_cannot_be():
    fit = at("ParetoNBD")
    for name, options in {"p_alive": {}, "discounted_purchases": {}, "purchase_probability": {"count": 1},
                          "time_alive": {}}.items():  # fmt: skip
        with pytest.raises(InvalidArgument, match="interval='predictive' is not known: allowed are 'confidence'"):
            getattr(fit, name)(**ONE, **options, interval="predictive")
    with pytest.raises(InvalidArgument, match="interval='sure'"):
        fit.expected_purchases(**ONE, interval="sure")
    for interval in ("confidence", "predictive"):
        with pytest.raises(InvalidArgument, match="confidence"):
            fit.expected_purchases(**ONE, interval=interval, confidence=95)


def test_a_summary_that_was_ready_made():
    frame = pd.DataFrame({"id": ["a", "b"], "frequency": [2, 0], "recency": [30.43, 0.0], "T": [38.86, 20.0]})
    summary = CustomerSummary.of(frame, unit="week", customer="id")
    found = at("BGNBD").expected_purchases(summary, horizon="39w").sort_values("id")
    assert found["expected_purchases"].iloc[0] == pytest.approx(1.226, abs=5e-4)
