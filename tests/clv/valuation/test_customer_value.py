import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import handmade
import loyalty as ly
import sources
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.summaries.summary import CustomerSummary
from loyalty.clv.valuation.value import CLVModel, clv
from loyalty.errors import InvalidArgument, LoyaltyWarning

ESTIMATES = ("total", "mean", "new_customer", "break_even_cost")


# ------------------------------------------------------------------------------------------------------- by hand


def hand_made():
    """Nobody drops out, everybody spends 20, and two customers: what is worked out below needs no more."""
    spend = MeanSpend(mean=20.0, log_covariance=np.array([[0.04]]), customers=10)
    purchases = handmade.purchases("NBD", r=1.0, alpha=10.0)
    frame = pd.DataFrame(
        {"id": ["a", "b"], "frequency": [3, 0], "recency": [8.0, 0.0], "T": [10.0, 30.0], "spend": 0.0}
    )
    return CLVModel(purchases=purchases, spend=spend), handmade.people(frame)


def test_two_customers_by_hand():
    models, customers = hand_made()
    value = models.score(customers, horizon="70d", margin=0.5, annual_discount_rate=0.21)
    # Rates (r + x)/(α + T) a week: 4/20 and 1/40. Ten weeks at δ = ln(1.21) per 365.25 days, δ·10 weeks = .036533:
    # a discounted length of (1 − e^−.036533)/.0036533 = 9.8195 weeks. Each purchase earns 10.
    delta = math.log(1.21) * 7 / 365.25
    length = (1 - math.exp(-10 * delta)) / delta
    assert round(length, 4) == 9.8195
    people = sources.by_id(value.customers)
    assert people["clv"].to_dict() == pytest.approx({"a": 0.2 * length * 10, "b": 0.025 * length * 10}, rel=1e-12)
    assert people["expected_purchases"].to_dict() == pytest.approx({"a": 2.0, "b": 0.25}, rel=1e-12)
    assert people["value_at_risk"].eq(0.0).all()  # nobody drops out
    assert value.total.value == pytest.approx(0.225 * length * 10, rel=1e-12)
    assert value.mean.value == pytest.approx(value.total.value / 2, rel=1e-12)
    # A new one buys once, and then at 1/10 a week.
    assert value.break_even_cost.value == pytest.approx(10 + 0.1 * length * 10, rel=1e-12)


def test_intervals_by_hand():
    models, customers = hand_made()
    value = models.score(customers, horizon="70d", margin=0.5, annual_discount_rate=0.0)
    # ln(value of a) = ln(r + 3) − ln(α + 10) + ln(mean) + …: slopes r/(r + 3) = 1/4, −α/(α + 10) = −1/2 and 1.
    covariance = models.purchases.log_covariance
    slopes = np.array([0.25, -0.5])
    error = math.sqrt(slopes @ covariance @ slopes + 0.04)
    people = sources.by_id(value.customers)
    factor = math.exp(1.959963984540054 * error)
    assert people.loc["a", "clv_low"] == pytest.approx(people.loc["a", "clv"] / factor, rel=1e-6)
    assert people.loc["a", "clv_high"] == pytest.approx(people.loc["a", "clv"] * factor, rel=1e-6)
    # The total is 10·(20·4/20 … ): 20 + 2.5, with slopes weighted by what each brings.
    both = (20 * slopes + 2.5 * np.array([1.0, -0.25])) / 22.5
    error = math.sqrt(both @ covariance @ both + 0.04)
    assert value.total.high == pytest.approx(22.5 * math.exp(1.959963984540054 * error), rel=1e-6)


def test_service_costs_by_hand():
    models, customers = hand_made()
    free = models.score(customers, horizon="70d")
    value = models.score(customers, horizon="70d", service_cost=36.525)
    # Nobody drops out: ten weeks cost 36.525 · 70/365.25 = 7 without, and a little less with discount.
    delta = math.log(1.1) * 7 / 365.25
    cost = 7 * (1 - math.exp(-10 * delta)) / (10 * delta)
    people, without = sources.by_id(value.customers), sources.by_id(free.customers)
    assert (without["clv"] - people["clv"]).to_dict() == pytest.approx({"a": cost, "b": cost}, rel=1e-9)
    assert free.total.value - value.total.value == pytest.approx(2 * cost, rel=1e-9)
    assert free.new_customer.value - value.new_customer.value == pytest.approx(cost, rel=1e-9)
    assert people.loc["b", "clv"] < 0.0
    half = people["clv_high"] - people["clv"]
    assert half.to_dict() == pytest.approx((people["clv"] - people["clv_low"]).to_dict())


def test_acquisition_cost_is_taken_from_new_customers_only():
    models, customers = hand_made()
    value, dear = models.score(customers), models.score(customers, acquisition_cost=12.5)
    assert dear.total.value == value.total.value
    assert dear.break_even_cost.value == value.break_even_cost.value
    assert dear.new_customer.value == pytest.approx(value.new_customer.value - 12.5, rel=1e-12)
    assert dear.new_customer.low < dear.new_customer.value < dear.new_customer.high


# --------------------------------------------------------------------------------------------------- the formula


@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD", "MBGNBD", "NBD"])
def test_value_is_margin_times_spend_times_the_discounted_curve(name):
    models = handmade.model(name)
    fit, rate = models.purchases, 0.35
    value = models.score(handmade.people(), horizon="52w", margin=0.3, annual_discount_rate=rate)
    delta = math.log1p(rate) * 7 / 365.25
    for row in sources.by_id(value.customers).itertuples():
        history = {"frequency": row.frequency, "recency": row.recency, "age": row.age}
        # By parts: ∫ e^(−δt) dE[X(t)] = e^(−δH) E[X(H)] + δ ∫ e^(−δt) E[X(t)] dt, from undiscounted expectations.
        x, t_x, T = row.frequency, row.recency, row.age

        def expected(t, x=x, t_x=t_x, T=T):
            alive = fit.kernel.p_alive(fit.values, x, t_x, T)
            return float(alive * fit.kernel.purchases(fit.values, x, T, t, 0.0)) if t else 0.0

        curve = quad(lambda t: math.exp(-delta * t) * expected(t), 0.0, 52.0, epsabs=0, epsrel=1e-10)[0]
        discounted = math.exp(-delta * 52) * expected(52.0) + delta * curve
        spend = models.spend.expected_spend(frequency=x, monetary_value=row.monetary_value)
        assert row.clv == pytest.approx(0.3 * spend * discounted, rel=1e-7)
        assert row.p_alive == pytest.approx(fit.p_alive(**history), rel=1e-12)
        assert row.expected_purchases == pytest.approx(fit.expected_purchases(**history, horizon="52w"), rel=1e-12)


def test_lifetimes_customer_by_customer(cdnow):
    """The arithmetic of lifetimes, looped over customers: conditional expectation × Gamma-Gamma expectation."""
    lifetimes = pytest.importorskip("lifetimes")
    bg = handmade.PARAMS["BGNBD"]
    fitter, spender = lifetimes.BetaGeoFitter(), lifetimes.GammaGammaFitter()
    fitter.params_ = pd.Series(bg)
    spender.params_ = pd.Series({"p": 6.25, "q": 3.74, "v": 15.44})
    value = handmade.model("BGNBD").score(cdnow, horizon="52w", margin=0.3, annual_discount_rate=0.0)
    people = value.customers
    some = people.sample(300, random_state=1)
    for row in some.itertuples():
        bought = fitter.conditional_expected_number_of_purchases_up_to_time(52.0, row.frequency, row.recency, row.age)
        spend = spender.conditional_expected_average_profit(row.frequency, row.monetary_value)
        assert row.clv == pytest.approx(0.3 * float(bought) * float(spend), rel=1e-6)
    assert value.total.value == pytest.approx(people["clv"].sum(), rel=1e-9)
    assert value.total.n == len(people) == 2357


def test_service_cost_is_paid_for_the_time_alive():
    models = handmade.model()
    fit, delta = models.purchases, math.log(1.1) * 7 / 365.25
    free, value = (models.score(handmade.people(), horizon="260w", service_cost=cost) for cost in (0.0, 5.0))
    left, right = sources.by_id(free.customers), sources.by_id(value.customers)
    for name, row in right.iterrows():
        x, T = row["frequency"], row["age"]
        alive = quad(
            lambda v: math.exp(-delta * v) * float(fit.kernel.survival(fit.values, x, T, v)),  # noqa: B023
            0.0, 260.0, epsabs=0, epsrel=1e-10,
        )[0]  # fmt: skip
        cost = 5.0 * row["p_alive"] * alive * 7 / 365.25
        assert left.loc[name, "clv"] - row["clv"] == pytest.approx(cost, rel=1e-8)
        risk = (left.loc[name, "clv"] - cost) / row["p_alive"] * (1 - row["p_alive"])
        assert row["value_at_risk"] == pytest.approx(risk, rel=1e-8, abs=1e-12)


def test_without_a_horizon_all_that_is_to_come_counts():
    models = handmade.model()
    ends = [None, "inf", math.inf]
    endless, *same = [models.score(handmade.people(), horizon=end) for end in ends]
    assert all(value.total.value == endless.total.value for value in same)
    long = models.score(handmade.people(), horizon="73000d")  # 200 years
    assert endless.total.value == pytest.approx(long.total.value, rel=1e-6)
    assert sources.by_id(endless.customers)["expected_purchases"].isna().all()
    assert any("no horizon" in note for note in endless.notes)
    assert math.isfinite(endless.total_predictive.low)


def test_value_at_risk_is_the_value_if_alive_times_the_chance_of_having_left():
    people = sources.by_id(handmade.model().score(handmade.people()).customers)
    told = people["clv"] / people["p_alive"] * (1 - people["p_alive"])
    assert people["value_at_risk"].to_dict() == pytest.approx(told.to_dict(), rel=1e-9, abs=1e-12)


def test_value_at_risk_of_who_has_left_for_certain():
    gone = pd.DataFrame({"id": [1], "frequency": [4000], "recency": [30.0], "T": [300.0], "spend": [10.0]})
    row = sources.by_id(handmade.model().score(handmade.people(gone)).customers).loc[1]
    assert row["p_alive"] < 1e-300
    assert row["clv"] == pytest.approx(0.0, abs=1e-290)
    rate = 4000.55 / 310.58 * 52.18 * 10  # a year's purchases at the rate so far, each of 10
    assert 0.5 * rate < row["value_at_risk"] < rate


# ------------------------------------------------------------------------------------------------------ intervals


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cost"), [("ParetoNBD", 4.0), ("BGNBD", 0.0)])
def test_confidence_intervals_by_moving_every_parameter(name, cost):
    """The delta method done naively: score again with each parameter moved."""
    models, customers = handmade.model(name), handmade.people(handmade.PEOPLE.iloc[1:4])

    def scored(**changes):
        fits = [
            dataclasses.replace(fit, params={name: changes.get(name, value) for name, value in fit.params.items()})
            for fit in (models.purchases, models.spend)
        ]
        value = CLVModel(purchases=fits[0], spend=fits[1]).score(customers, margin=0.4, service_cost=cost)
        numbers = {name: getattr(value, name).value for name in ESTIMATES}
        return pd.concat([sources.by_id(value.customers)["clv"], pd.Series(numbers)])

    base, step = scored(), 1e-4
    slopes = {}
    for key, value in {**models.purchases.params, **models.spend.params}.items():
        up, down = (scored(**{key: value * math.exp(sign * step)}) for sign in (1, -1))
        slopes[key] = (up - down) / (2 * step)
    variance = 0.0
    for fit in (models.purchases, models.spend):
        matrix = np.array([slopes[key] for key in fit.params])
        variance = variance + np.einsum("in,ij,jn->n", matrix, fit.log_covariance, matrix)
    half = pd.Series(1.959963984540054 * np.sqrt(variance), index=base.index)
    value = models.score(customers, margin=0.4, service_cost=cost)
    people = sources.by_id(value.customers)
    lows = pd.concat([people["clv_low"], pd.Series({key: getattr(value, key).low for key in ESTIMATES})])
    highs = pd.concat([people["clv_high"], pd.Series({key: getattr(value, key).high for key in ESTIMATES})])
    expected = (base - half, base + half) if cost else (base * np.exp(-half / base), base * np.exp(half / base))
    # Differences of 1e-4 have errors of about 1e-8, and the square of one is seen in a variance near 0.
    np.testing.assert_allclose(lows, expected[0][lows.index], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(highs, expected[1][highs.index], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("margin", [1.0, 0.3, 0.0, -0.2])
@pytest.mark.parametrize("interval", ["confidence", "predictive"])
def test_limits_are_in_order(margin, interval):
    value = handmade.model().score(handmade.people(), margin=margin, interval=interval)
    people = sources.by_id(value.customers)
    assert (people["clv_low"] <= people["clv_high"]).all()
    if interval == "confidence":
        assert (people["clv_low"] <= people["clv"]).all()
        assert (people["clv"] <= people["clv_high"]).all()
    if not margin:
        assert people[["clv", "clv_low", "clv_high", "value_at_risk"]].eq(0.0).all(axis=None)
        assert (value.total.value, value.total.low, value.total.high) == (0.0, 0.0, 0.0)
    narrow = handmade.model().score(handmade.people(), margin=margin, interval=interval, confidence=0.5)
    inner = sources.by_id(narrow.customers)
    assert (inner["clv_low"] >= people["clv_low"] - 1e-9).all()
    assert (inner["clv_high"] <= people["clv_high"] + 1e-9).all()


def test_parameters_known_for_certain_leave_no_confidence_interval():
    models = CLVModel(purchases=handmade.purchases(error=0.0), spend=handmade.spend(error=0.0))
    value = models.score(handmade.people())
    people = sources.by_id(value.customers)
    assert people["clv_low"].equals(people["clv"])
    assert people["clv_high"].equals(people["clv"])
    assert value.total.low == value.total.value
    assert value.total_predictive.low < value.total.value < value.total_predictive.high


# ---------------------------------------------------------------------------------------------------------- laws


@sources.every
def test_every_source_gives_the_same(source, tmp_path):
    interval = "predictive" if source in {"polars-lazy", "duckdb"} else "confidence"
    log = ly.datasets.cdnow_sample()
    log = log[log["customer_id"] <= 150]
    models = handmade.model("BGNBD")
    with sources.opened(source, log, tmp_path, observed_until="1997-09-30") as tx:
        value = models.score(tx, margin=0.3, interval=interval)
        found = sources.rows(value.customers)
        told = value.to_dict()
    with ly.transactions(log, observed_until="1997-09-30") as tx:
        expected = models.score(tx, margin=0.3, interval=interval)
        assert sources.same(found, sources.rows(expected.customers), 1e-9)
        assert sources.same(told, expected.to_dict(), 1e-9)


def test_columns_and_order(fitted, cdnow):
    people = fitted.score(cdnow).customers
    assert list(people) == ["customer_id", *handmade.COLUMNS]
    assert people["clv"].is_monotonic_decreasing
    assert not people.isna().any(axis=None)
    assert people["customer_id"].dtype == ly.datasets.cdnow_sample()["customer_id"].dtype


def test_a_unit_is_only_a_unit(cdnow):
    weeks, days = (clv(cdnow, model="Pareto/NBD", unit=unit, margin=0.3) for unit in ("week", "day"))
    assert days.total.value == pytest.approx(weeks.total.value, rel=1e-5)
    assert days.total.low == pytest.approx(weeks.total.low, rel=1e-4)
    left, right = (sources.by_id(value.customers, "customer_id").sort_index() for value in (weeks, days))
    np.testing.assert_allclose(left["clv"], right["clv"], rtol=1e-4)
    np.testing.assert_allclose(left["age"] * 7, right["age"])


def test_weights_count_customers():
    frame = handmade.PEOPLE.assign(weight=[3, 1, 2, 1, 1, 4, 2, 1])
    repeated = frame.loc[frame.index.repeat(frame["weight"])].assign(id=range(15))
    models = handmade.model()
    weighted = models.score(handmade.people(frame, weight="weight"), margin=0.3, service_cost=2.0)
    plain = models.score(handmade.people(repeated), margin=0.3, service_cost=2.0)
    for name in (*ESTIMATES, "total_predictive"):
        left, right = getattr(weighted, name), getattr(plain, name)
        assert (left.value, left.low, left.high) == pytest.approx((right.value, right.low, right.high), rel=1e-9)
        assert left.n == right.n == 15
    assert weighted.customers["weight"].sum() == 15
    with pytest.raises(InvalidArgument, match="one by one"):
        weighted.top_share()


def test_one_customer_is_worth_the_same_alone():
    models = handmade.model()
    together = sources.by_id(models.score(handmade.people()).customers)
    for place in (0, 3, 6):
        alone = sources.by_id(models.score(handmade.people(handmade.PEOPLE.iloc[[place]])).customers)
        pd.testing.assert_frame_equal(alone, together.loc[alone.index], rtol=1e-9)


def test_the_total_is_the_sum_of_the_customers(fitted, cdnow):
    value = fitted.score(cdnow, margin=0.3, service_cost=1.0)
    people = value.customers
    assert value.total.value == pytest.approx(people["clv"].sum(), rel=1e-9)
    assert value.mean.value == pytest.approx(people["clv"].mean(), rel=1e-9)
    best = people["clv"].nlargest(math.ceil(0.3 * len(people))).sum()
    assert value.top_share() == pytest.approx(best / people["clv"].sum(), rel=1e-9)
    assert value.top_share(1.0) == pytest.approx(1.0, rel=1e-9)


# ---------------------------------------------------------------------------------------------------------- lists


def test_top(fitted, cdnow):
    value = fitted.score(cdnow)
    pd.testing.assert_frame_equal(value.top(7), value.customers.head(7))


def test_going_quiet(fitted, cdnow):
    value = fitted.score(cdnow)
    people = value.customers
    listed = value.going_quiet(15)
    expected = people[people["p_alive"].between(0.1, 0.5)].nlargest(15, "value_at_risk")
    assert list(listed["customer_id"]) == list(expected["customer_id"])
    assert list(listed) == list(people)
    gone = value.going_quiet(5, p_alive=(0.0, 0.1))
    assert (gone["p_alive"] <= 0.1).all()


def test_customers_without_a_repeat_never_go_quiet_in_the_bg_nbd():
    bg, mbg = (
        handmade.model(name).score(handmade.people()).going_quiet(p_alive=(0.0, 1.0)) for name in ("BGNBD", "MBGNBD")
    )
    assert not {"new", "silent"} & set(bg["id"])
    assert {"twice", "gone"} <= set(bg["id"])
    assert "silent" in set(mbg["id"])


def test_nobody_goes_quiet_where_nobody_drops_out():
    assert len(handmade.model("NBD").score(handmade.people()).going_quiet(p_alive=(0.0, 1.0))) == 0


@pytest.mark.parametrize("arguments", [{"n": 0}, {"p_alive": 0.5}, {"p_alive": (0.1,)}, {"p_alive": (0.1, 1.5)}])
def test_going_quiet_refuses(arguments):
    with pytest.raises(InvalidArgument):
        handmade.model().score(handmade.people()).going_quiet(**arguments)


# --------------------------------------------------------------------------------------------------- saying it


def test_sentences_and_json(fitted, cdnow):
    value = fitted.score(cdnow, margin=0.3, acquisition_cost=5.0)
    text = str(value)
    assert text.startswith("2,357 customers are worth 22,0")
    parts = ["over 365 days, margin 30 %, 10 % a year", "from 1997-09-30", "95 % confidence interval", "per customer"]
    parts += ["if customers go on buying as the model has it, they will bring", "in 95 % of cases"]
    parts += ["after an acquisition cost of 5.00", "Purchases: ParetoNBD; spend: GammaGamma"]
    assert all(part in text for part in parts)
    told = json.loads(json.dumps(value.to_dict(), allow_nan=False))
    assert told["total"]["value"] == value.total.value
    assert told["terms"]["horizon"] == "365d"
    assert set(told["independence"]) == {"adjusted", "logs", "ranks", "plain"}
    assert told["compared"][0]["model"] == "ParetoNBD"
    assert any("correlation of frequency" in note for note in value.notes)
    assert "value of all customers" in value._repr_html_()
    assert list(value.to_native()["estimate"]) == ["total", "total_predictive", *ESTIMATES[1:]]
    assert "ParetoNBD" in str(fitted)
    assert "customer value model" in fitted._repr_html_()


@pytest.mark.parametrize("horizon", ["365d", None])
def test_the_predictive_interval_holds_the_confidence_interval(fitted, cdnow, horizon):
    people, rng = ly.summarize(cdnow).to_native(), np.random.default_rng(5)
    for size in (1, 2, 5, 30, 300, 2000):
        some = people.sample(size, random_state=rng)
        value = fitted.score(
            CustomerSummary.of(some, unit="week", customer="customer_id", age="age", monetary_value="monetary_value"),
            horizon=horizon, service_cost=0.0 if size != 5 else 2.0,
        )  # fmt: skip
        assert value.total_predictive.value == value.total.value
        assert value.total_predictive.low < value.total.low
        assert value.total_predictive.high > value.total.high


def test_service_costs_of_the_total_are_said_to_be_taken_as_expected():
    free, dear = (handmade.model().score(handmade.people(), service_cost=cost).total_predictive for cost in (0.0, 5.0))
    assert free.note == ""
    assert dear.note.startswith("the interval takes service costs as expected")


# ------------------------------------------------------------------------------------- fits on a ridge or boundary

LIMIT = "Customers hardly differ in their chance of dropping out."


def bounded(error=0.0, **params):
    """Return models whose fit of purchases lies on a boundary, with standard errors of its log parameters."""
    fit = dataclasses.replace(handmade.purchases("BGNBD", error=error, **params), status="boundary", notes=(LIMIT,))
    fit = dataclasses.replace(fit, identified={**fit.identified, "a": False, "b": False})
    return CLVModel(purchases=fit, spend=handmade.spend(error=error))


def test_where_all_is_held_there_is_no_interval():
    value = bounded().score(handmade.people())
    for estimate in value.estimates().values():
        assert math.isnan(estimate.low)
        assert math.isnan(estimate.high)
        assert estimate.value > 0.0
        assert "no interval: it would have no width, though the money is uncertain; BGNBD lies" in estimate.note
        assert estimate.note.endswith(
            f"on a boundary and leaves a and b open, so intervals may be too narrow. {LIMIT[:-1]}"
        )
    assert value.customers[["clv_low", "clv_high"]].isna().all(axis=None)
    assert "10 % a year (no interval: it would have no width" in str(value)
    assert "confidence interval" not in str(value)
    assert "they will bring" not in str(value)
    assert value.notes[:2] == (
        "BGNBD lies on a boundary and leaves a and b open, so intervals may be too narrow.", LIMIT
    )  # fmt: skip
    assert value.to_dict()["total"]["low"] is None
    one = bounded().score_customer(frequency=2, recency=20.0, age=30.0, monetary_value=10.0)
    assert math.isnan(one.clv_low)
    assert math.isnan(one.clv_high)
    assert "Note: no interval: it would have no width" in str(one)
    assert "BGNBD lies on a boundary" in one.note


def test_a_fit_on_a_boundary_keeps_an_interval_that_has_a_width():
    value = bounded(0.1).score(handmade.people())
    assert value.total.low < value.total.value < value.total.high
    assert value.total.note.startswith("BGNBD lies on a boundary")
    assert not value.customers[["clv_low", "clv_high"]].isna().any(axis=None)
    real = bounded(0.1).score(handmade.people(), interval="predictive").customers
    assert not real[["clv_low", "clv_high"]].isna().any(axis=None)


def test_no_margin_is_nothing_for_sure():
    total = bounded().score(handmade.people(), margin=0.0).total
    assert (total.value, total.low, total.high) == (0.0, 0.0, 0.0)


def test_customers_who_are_all_alike():
    """Who bought twice, five weeks apart, and not since: the fit has them all gone, which nobody can know for sure."""
    dates = [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-02-05")] * 50
    log = pd.DataFrame({"customer_id": np.repeat(np.arange(50), 2), "date": dates, "amount": 10.0})
    with ly.transactions(log, observed_until="2024-07-29") as tx:
        with pytest.warns(LoyaltyWarning):
            value = clv(tx)
        rows = {kind: value.model.score(tx, interval=kind).customers for kind in ("confidence", "predictive")}
    assert value.total.value == pytest.approx(0.0, abs=1e-6)
    for estimate in (value.total, value.total_predictive, value.mean):
        assert math.isnan(estimate.low)
        assert "no interval" in estimate.note
    assert "lies on a boundary and leaves r, alpha, a and b open" in value.total.note
    assert "customers who all drop out as soon as they can" in value.total.note
    assert all(frame[["clv_low", "clv_high"]].isna().all(axis=None) for frame in rows.values())
    one = value.model.score_customer(frequency=1, recency=5.0, age=30.0, monetary_value=10.0)
    assert math.isnan(one.clv_low)
    assert value.new_customer.low < value.new_customer.high  # who has bought but once, and is known by that
