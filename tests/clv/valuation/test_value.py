import dataclasses
import json
import threading

import numpy as np
import pandas as pd
import pytest

import handmade
import loyalty as ly
import sources
from loyalty.clv.models.lifetime import BGNBD, ParetoNBD
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.models.spend import GammaGamma
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.clv.valuation import value as room
from loyalty.clv.valuation.value import CLVModel, clv, fit_clv
from loyalty.errors import ClosedError, EmptyData, InvalidArgument

# ------------------------------------------------------------------------------------------------------- fitting


def test_clv_is_fit_and_score(cdnow, fitted):
    left = clv(cdnow, "52w", 0.3, 0.08, "ParetoNBD", acquisition_cost=3.0, interval="predictive", confidence=0.8)
    terms = {"horizon": "364d", "margin": 0.3, "annual_discount_rate": 0.08, "acquisition_cost": 3.0}
    right = fitted.score(cdnow, **terms, interval="predictive", confidence=0.8)
    assert left.to_dict() == right.to_dict()
    pd.testing.assert_frame_equal(left.customers, right.customers)


def test_published_fits_are_inside(fitted):
    # Fader & Hardie's optima, see oracles.md; the search ends within 1e-3 of a log-likelihood of thousands.
    assert fitted.purchases.log_likelihood == pytest.approx(-9594.97618, abs=1e-3)
    assert fitted.spend.log_likelihood == pytest.approx(-4055.9177, abs=1e-3)


def test_fitted_parts_and_specifications_are_taken(cdnow, fitted):
    value = clv(cdnow, model=fitted.purchases, spend_model=fitted.spend)
    assert value.model.purchases is fitted.purchases
    assert value.model.spend is fitted.spend
    held = fit_clv(cdnow, ParetoNBD(l2=0.5), GammaGamma(l2=0.5))
    assert (held.purchases.l2, held.spend.l2) == (0.5, 0.5)
    days = ParetoNBD().fit(summarize(cdnow, "day"))
    assert clv(cdnow, model=days).model.unit == "day"


def test_a_cohort_is_fitted_and_all_are_scored(cdnow):
    some = fit_clv(cdnow, "ParetoNBD", acquired_from="1997-02-01", acquired_until="1997-02-28")
    summary = summarize(cdnow, acquired_from="1997-02-01", acquired_until="1997-02-28")
    assert some.purchases.params == ParetoNBD().fit(summary).params
    assert some.score(cdnow).total.n == 2357
    assert some.score(summary).total.n == summary.n_customers
    value = clv(cdnow, model="ParetoNBD", acquired_from="1997-02-01", acquired_until="1997-02-28")
    assert value.total.value == some.score(cdnow).total.value


def test_only_who_is_fitted_on_is_summarised(cdnow, monkeypatch):
    made = []
    monkeypatch.setattr(room, "summarize", lambda *args, **given: made.append(given) or summarize(*args, **given))
    fit_clv(cdnow, "NBD", acquired_from="1997-02-01")
    assert made == [{"acquired_from": "1997-02-01", "acquired_until": None}]


def test_a_summary_does_as_well(cdnow, fitted):
    made = summarize(cdnow).to_native()
    summary = CustomerSummary.of(made, unit="week", customer="customer_id", age="age", monetary_value="monetary_value")
    left, right = fitted.score(summary), fitted.score(cdnow)
    assert left.total.value == pytest.approx(right.total.value, rel=1e-9)
    pd.testing.assert_frame_equal(
        *(sources.by_id(side.customers, "customer_id").sort_index() for side in (left, right)),
        check_dtype=False, rtol=1e-9,
    )  # fmt: skip
    assert clv(summary, model="Pareto/NBD").total.value == pytest.approx(right.total.value, rel=1e-4)


def test_a_summary_without_ids_or_spend(fitted):
    frame = handmade.PEOPLE.drop(columns=["id", "spend"])
    bare = CustomerSummary.of(frame, unit="week")
    with pytest.raises(InvalidArgument, match="holds no spend"):
        fitted.score(bare)
    with pytest.raises(InvalidArgument, match="holds no spend"):
        clv(bare, model="NBD")
    mean = MeanSpend(mean=20.0, log_covariance=np.zeros((1, 1)), customers=5)
    people = CLVModel(purchases=fitted.purchases, spend=mean).score(bare).customers
    assert list(people) == [name for name in handmade.COLUMNS if name != "monetary_value"]
    assert people["expected_spend"].eq(20.0).all()


# ------------------------------------------------------------------------------------------------------- saving


def test_a_model_comes_back_from_json(fitted, cdnow):
    model = dataclasses.replace(fitted, terms=fitted.terms.changed({"margin": 0.3, "horizon": None}))
    text = json.dumps(model.to_dict(), allow_nan=False)
    again = CLVModel.from_dict(json.loads(text))
    assert again.terms == model.terms
    assert again.tried == model.tried
    assert again.score(cdnow).to_dict() == model.score(cdnow).to_dict()
    one = {"frequency": 2, "recency": 30.43, "age": 38.86, "monetary_value": 22.35}
    assert again.score_customer(**one, horizon="52w") == model.score_customer(**one, horizon="52w")


def test_a_model_comes_back_from_a_file(fitted, cdnow, tmp_path):
    model = dataclasses.replace(fitted, terms=fitted.terms.changed({"margin": 0.3, "service_cost": 1.0}))
    model.save(tmp_path / "clv.json")
    again = ly.load(tmp_path / "clv.json")
    assert isinstance(again, CLVModel)
    assert again.score(cdnow).to_dict() == model.score(cdnow).to_dict()
    mean = fit_clv(cdnow, "ParetoNBD", "mean")
    mean.save(tmp_path / "clv.json")
    assert ly.load(tmp_path / "clv.json").score(cdnow).total == mean.score(cdnow).total


def test_a_model_with_a_mean_of_spend_comes_back(cdnow):
    model = fit_clv(cdnow, "ParetoNBD", "mean")
    again = CLVModel.from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
    assert again.score(cdnow).total == model.score(cdnow).total


@pytest.mark.parametrize("part", ["purchases", "spend", "terms", "tried"])
@pytest.mark.parametrize("wrong", [None, 3, "text", [1], {"model": "os.system"}])
def test_what_is_no_saved_model_is_refused(fitted, part, wrong):
    saved = json.loads(json.dumps(fitted.to_dict()))
    if wrong is None:
        del saved[part]
    else:
        saved[part] = wrong
    with pytest.raises(InvalidArgument):
        CLVModel.from_dict(saved)


@pytest.mark.parametrize("wrong", [None, 3, "text", []])
def test_other_values_are_no_saved_model(wrong):
    with pytest.raises(InvalidArgument, match="no saved CLVModel"):
        CLVModel.from_dict(wrong)


# ---------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"horizon": "0d"}, "horizon='0d'"),
        ({"horizon": -5}, "horizon=-5"),
        ({"horizon": 365}, "horizon=365"),
        ({"horizon": float("nan")}, "horizon=nan"),
        ({"margin": float("nan")}, "margin=nan"),
        ({"margin": None}, "margin=None"),
        ({"margin": True}, "margin=True"),
        ({"annual_discount_rate": -0.01}, "at least 0"),
        ({"annual_discount_rate": -1.0}, "at least 0"),
        ({"annual_discount_rate": float("nan")}, "annual_discount_rate=nan"),
        ({"annual_discount_rate": "0.1"}, "annual_discount_rate='0.1'"),
        ({"horizon": None, "annual_discount_rate": 0.0}, "positive rate"),
        ({"horizon": None, "interval": "predictive"}, "within a horizon"),
        ({"service_cost": -1.0}, "service_cost"),
        ({"acquisition_cost": float("inf")}, "acquisition_cost"),
        ({"interval": "credible"}, "interval='credible'"),
        ({"confidence": 95}, "confidence=95"),
        ({"unit": "hour"}, "hour"),
        ({"model": "gamma"}, "model='gamma'"),
        ({"model": 3}, "model=3"),
        ({"spend_model": "weibull"}, "spend_model='weibull'"),
        ({"spend_model": BGNBD()}, "spend_model="),
    ],
)
def test_bad_arguments_say_what_is_allowed(cdnow, arguments, words):
    given = {"model": "ParetoNBD", **arguments}
    with pytest.raises(InvalidArgument, match=words.replace("(", r"\(")):
        clv(cdnow, **given)


def test_bad_terms_of_a_score(fitted, cdnow):
    with pytest.raises(InvalidArgument, match=r"term='horizont'.*Did you mean 'horizon'"):
        fitted.score(cdnow, horizont="52w")
    with pytest.raises(InvalidArgument, match="the summary counts time in days"):
        fitted.score(summarize(cdnow, "day"))
    with pytest.raises(InvalidArgument, match="not a DataFrame"):
        fitted.score(ly.datasets.cdnow_sample())
    with pytest.raises(InvalidArgument, match="leave unit= out"):
        clv(summarize(cdnow), unit="day")
    with pytest.raises(InvalidArgument, match="acquired_from= and acquired_until= need transactions"):
        clv(summarize(cdnow), acquired_from="1997-02-01")


def test_rates_of_nothing(fitted, cdnow):
    plain = fitted.score(cdnow, annual_discount_rate=0.0).total.value
    assert fitted.score(cdnow, annual_discount_rate=1e-9).total.value == pytest.approx(plain, rel=1e-8)
    assert fitted.score(cdnow, annual_discount_rate=0.2).total.value < plain


def test_nobody_bought_again():
    log = pd.DataFrame({"customer_id": range(30), "date": pd.date_range("2024-01-01", periods=30), "amount": 10.0})
    with pytest.raises(EmptyData):
        clv(ly.transactions(log))


def test_closed_transactions(fitted):
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        value = fitted.score(tx)
    assert value.total.value > 0.0  # what was computed stays
    with pytest.raises(ClosedError):
        _ = value.customers


def test_customers_may_be_asked_for_from_any_thread(fitted, cdnow):
    value = fitted.score(cdnow)
    expected, found = value.customers, []
    threads = [threading.Thread(target=lambda: found.append(value.customers)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for frame in found:
        pd.testing.assert_frame_equal(frame, expected)
