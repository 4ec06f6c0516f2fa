import json
import math

import numpy as np
import pytest

import handmade
import loyalty as ly
import sources
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.valuation.value import CLVModel, fit_clv
from loyalty.errors import InvalidArgument

ROW = next(handmade.PEOPLE.iloc[[3]].itertuples())
NAMES = ["p_alive", "expected_purchases", "expected_spend", "clv", "clv_low", "clv_high", "value_at_risk"]


def alone(models, row, **changes):
    return models.score_customer(
        frequency=row.frequency, recency=row.recency, age=row.T, monetary_value=row.spend, **changes
    )


@pytest.mark.parametrize(
    "terms",
    [
        {"margin": 0.3},
        {"margin": -0.3},
        {"margin": 0.0},
        {"service_cost": 5.0, "annual_discount_rate": 0.25},
        {"service_cost": 5.0, "annual_discount_rate": 0.0},
        {"horizon": None},
        {"interval": "predictive", "confidence": 0.8},
    ],
)
@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD"])
def test_one_customer_has_the_numbers_of_the_table(name, terms):
    models = CLVModel(purchases=handmade.purchases(name), spend=handmade.spend())
    table = sources.as_pandas(models.score(handmade.people(), **terms).customers).set_index("id")
    for row in handmade.PEOPLE.itertuples():
        found = alone(models, row, **terms)
        for column in NAMES:
            # Slopes of the limits are one-sided differences here; predictive limits are good to 1e-3 of themselves.
            rough = 1e-3 if terms.get("interval") == "predictive" else 1e-5
            tolerance = rough if column in {"clv_low", "clv_high"} else 1e-9
            expected = table.loc[row.id, column]
            assert getattr(found, column) == pytest.approx(expected, rel=tolerance, abs=1e-7, nan_ok=True)


def test_terms_of_the_model_are_those_of_the_customer():
    plain = CLVModel(purchases=handmade.purchases(), spend=handmade.spend())
    own = CLVModel(purchases=plain.purchases, spend=plain.spend, terms=plain.terms.changed({"margin": 0.2}))
    assert alone(own, ROW).clv == pytest.approx(0.2 * alone(plain, ROW).clv, rel=1e-12)
    assert alone(own, ROW, margin=1.0) == alone(plain, ROW)


def test_mean_spend():
    mean = MeanSpend(mean=20.0, log_covariance=np.array([[0.01]]), customers=5)
    models = CLVModel(purchases=handmade.purchases(error=0.0), spend=mean)
    found = alone(models, ROW)
    assert found.expected_spend == 20.0
    assert found.clv_high == pytest.approx(found.clv * math.exp(1.959963984540054 * 0.1), rel=1e-9)


def test_fitted_on_cdnow():
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        models = fit_clv(tx, "BG/NBD", margin=0.3)
        best = models.score(tx).top(1).iloc[0]
    one = models.score_customer(frequency=int(best.frequency), recency=float(best.recency), age=float(best.age),
                                monetary_value=float(best.monetary_value))  # fmt: skip
    assert [getattr(one, name) for name in NAMES] == pytest.approx(list(best[NAMES]), rel=1e-5)


def test_json():
    models = CLVModel(purchases=handmade.purchases(), spend=handmade.spend())
    found = alone(models, ROW, horizon=None).to_dict()
    assert found["expected_purchases"] is None
    assert list(json.loads(json.dumps(found, allow_nan=False))) == [*NAMES, "terms", "note"]
    assert found["terms"]["interval"] == "confidence"
    assert found["note"] == ""


def test_sentences():
    models = CLVModel(purchases=handmade.purchases(), spend=handmade.spend())
    found = alone(models, ROW, margin=0.3)
    span = f"(95 % confidence interval {found.clv_low:.2f} to {found.clv_high:.2f})"
    assert f"A customer worth {found.clv:.2f} over 365 days, margin 30 %, 10 % a year {span}. Still" in str(found)
    assert f"{found.expected_purchases:.2f} expected purchases of {found.expected_spend:.2f}; value at" in repr(found)
    real = str(alone(models, ROW, interval="predictive", confidence=0.8))
    assert "if customers go on buying as the model has it, this one will bring 0.00 to " in real
    assert "in 80 % of cases." in real
    assert "expected purchases" not in str(alone(models, ROW, horizon=None))


@pytest.mark.parametrize(
    ("margin", "words"), [(30, "above 1: customers bring 30 times what they spend"), (-0.2, "below 0"), (0.3, "")]
)
def test_odd_margins_are_told(margin, words):
    models = CLVModel(purchases=handmade.purchases(), spend=handmade.spend())
    note = alone(models, ROW, margin=margin).note
    assert words in note
    assert bool(note) == bool(words)


def test_service_costs_leave_no_predictive_interval():
    models = CLVModel(purchases=handmade.purchases(), spend=handmade.spend())
    with pytest.raises(InvalidArgument, match=r'interval="predictive" with service_cost=5: .* Take interval="conf'):
        alone(models, ROW, interval="predictive", service_cost=5.0)
    with pytest.raises(InvalidArgument, match="service_cost=0 for what customers bring before that cost"):
        models.score(handmade.people(), interval="predictive", service_cost=5.0)


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ({"frequency": -1}, "frequency negative"),
        ({"frequency": 1.5}, "no whole number"),
        ({"recency": 40.0}, "recency beyond age"),
        ({"frequency": 0}, "recency above 0 without a repeat"),
        ({"age": float("nan")}, "missing or not finite"),
        ({"monetary_value": float("nan")}, "nan"),
        ({"monetary_value": None}, "the mean spend of the 2 repeat purchases"),
        ({"monetary_value": "22"}, "monetary_value='22'"),
        ({"frequency": [1, 2]}, "one customer"),
        ({"frequency": "2"}, "no number"),
        ({"margin": "column"}, "one margin"),
        ({"margni": 0.3}, "Did you mean 'margin'"),
    ],
)
def test_impossible_customers_are_refused(history, words):
    models = CLVModel(purchases=handmade.purchases(), spend=handmade.spend())
    given = {"frequency": 2, "recency": 30.0, "age": 38.0, "monetary_value": 20.0, **history}
    with pytest.raises(InvalidArgument, match=words):
        models.score_customer(**given)
