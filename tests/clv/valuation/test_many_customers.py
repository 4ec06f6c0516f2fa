"""Many customers at once: the numbers of one customer after the other, and of the table."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import handmade
import sources
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.valuation import many_customers
from loyalty.clv.valuation.one_customer import NUMBERS
from loyalty.clv.valuation.value import CLVModel
from loyalty.errors import InvalidArgument

COLUMNS = {"frequency": "frequency", "recency": "recency", "age": "T", "monetary_value": "spend"}
HISTORIES = {name: handmade.PEOPLE[column].to_numpy() for name, column in COLUMNS.items()}

TERMS = [
    {"margin": 0.3},
    {"margin": -0.3},
    {"margin": 0.0},
    {"service_cost": 5.0, "annual_discount_rate": 0.25},
    {"service_cost": 5.0, "annual_discount_rate": 0.0},
    {"horizon": None},
    {"interval": "predictive", "confidence": 0.8},
]


@pytest.fixture(params=["few", "many"], autouse=True)
def _way(request, monkeypatch):
    """Few customers are scored one by one, many at once: every test holds for both."""
    if request.param == "many":
        monkeypatch.setattr(many_customers, "_FEW", 0)


def one_by_one(models, histories, **terms):
    rows = (dict(zip(histories, row, strict=True)) for row in zip(*histories.values(), strict=True))
    found = [models.score_customer(**row, **terms) for row in rows]
    return {name: [getattr(one, name) for one in found] for name in NUMBERS}


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("name", ["ParetoNBD", "BGNBD", "MBGNBD", "NBD"])
def test_the_numbers_of_one_customer_after_the_other(name, terms):
    models = CLVModel(purchases=handmade.purchases(name), spend=handmade.spend())
    found, expected = models.score_customers(**HISTORIES, **terms), one_by_one(models, HISTORIES, **terms)
    for column in NUMBERS:
        # The slopes of the limits are differences that both take alike, up to rounding; predictive limits are of the
        # same grid where nobody else has as many purchases, and good to 1e-3 elsewhere.
        tolerance = (1e-3 if terms.get("interval") else 1e-7) if column in {"clv_low", "clv_high"} else 1e-10
        assert getattr(found, column) == pytest.approx(expected[column], rel=tolerance, abs=1e-9, nan_ok=True), column


@pytest.mark.parametrize("terms", TERMS)
def test_the_numbers_of_the_table(terms):
    models = handmade.model()
    table = sources.as_pandas(models.score(handmade.people(), **terms).customers).set_index("id")
    found = models.score_customers(**HISTORIES, **terms)
    for column in NUMBERS:
        rough = 1e-3 if terms.get("interval") else 1e-5
        tolerance = rough if column in {"clv_low", "clv_high"} else 1e-9
        expected = table.loc[list(handmade.PEOPLE["id"]), column].to_list()
        assert getattr(found, column) == pytest.approx(expected, rel=tolerance, abs=1e-7, nan_ok=True), column


def test_mean_spend():
    mean = MeanSpend(mean=20.0, log_covariance=np.array([[0.01]]), customers=5)
    models = CLVModel(purchases=handmade.purchases(error=0.0), spend=mean)
    found = models.score_customers(**HISTORIES)
    assert found.expected_spend.tolist() == [20.0] * len(handmade.PEOPLE)
    assert found.clv_high == pytest.approx(found.clv * math.exp(1.959963984540054 * 0.1), rel=1e-9)
    with pytest.raises(InvalidArgument, match="the mean of spend does not say"):
        models.score_customers(**HISTORIES, interval="predictive")


def test_intervals_without_a_width_are_left_out_where_fits_leave_something_open():
    certain = handmade.purchases(error=0.0, model="BGNBD")
    loose = type(certain)(**{**vars(certain), "status": "boundary", "identified": dict.fromkeys(certain.params, False)})
    models = CLVModel(purchases=loose, spend=handmade.spend(error=0.0))
    one = models.score_customer(frequency=2, recency=30.0, age=38.0, monetary_value=20.0)
    found = models.score_customers(frequency=[2, 0], recency=[30.0, 0.0], age=[38.0, 10.0], monetary_value=[20.0, None])
    assert np.isnan(found.clv_low).all()
    assert np.isnan(found.clv_high).all()
    assert found.note == one.note.replace("no interval", "2 customers have no interval")
    assert found.note.startswith("2 customers have no interval: it would have no width")
    assert found.rows()[0]["clv_low"] is None
    assert CLVModel(purchases=certain, spend=handmade.spend(error=0.0)).score_customers(**HISTORIES).note == ""


@st.composite
def customers(draw):
    size = draw(st.integers(1, 12))
    found = []
    for _ in range(size):
        x, age = draw(st.integers(0, 300)), draw(st.floats(0.0, 500.0))
        found.append((x, draw(st.floats(0.0, 1.0)) * age if x else 0.0, age, draw(st.floats(-10.0, 1e6))))
    return dict(zip(COLUMNS, map(list, zip(*found, strict=True)), strict=True))


@given(customers(), st.sampled_from(["ParetoNBD", "BGNBD"]))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_customers_have_the_numbers_of_one_after_the_other(histories, name):
    models = handmade.model(name)
    found, expected = models.score_customers(**histories), one_by_one(models, histories)
    nothing = 1e-12 * (1.0 + max(expected["clv"]))  # what 1 − P(alive) loses where customers are almost certain
    for column in NUMBERS:
        tolerance = 1e-6 if column in {"clv_low", "clv_high"} else 1e-9
        assert getattr(found, column) == pytest.approx(expected[column], rel=tolerance, abs=nothing), column


def test_ways_to_give_numbers():
    models = handmade.model()
    lists = models.score_customers(frequency=[0, 2], recency=[0, 30.0], age=[38, 38], monetary_value=[None, 20.0])
    broadcast = models.score_customers(
        frequency=np.array([0, 2]), recency=[0, 30.0], age=38, monetary_value=[math.nan, 20.0]
    )
    assert lists.rows() == broadcast.rows()
    many = models.score_customers(frequency=[2] * 40, recency=30.0, age=38.0, monetary_value=20.0)
    assert many.clv == pytest.approx([lists.clv[1]] * 40, rel=1e-9)
    alone = models.score_customers(frequency=2, recency=30.0, age=38.0, monetary_value=20.0)
    assert (len(alone), len(lists)) == (1, 2)
    assert alone.rows()[0] == pytest.approx(lists.rows()[1], rel=1e-9)
    assert len(models.score_customers(frequency=[], recency=[], age=[], monetary_value=[])) == 0
    assert models.score_customers(frequency=[0, 0], recency=0, age=[3, 4]).clv.shape == (2,)


def test_json_and_sentence():
    models = handmade.model()
    found = models.score_customers(**HISTORIES, horizon=None, margin=30)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(told) == ["customers", "terms", "note"]
    assert [list(row) for row in told["customers"]] == [list(NUMBERS)] * len(handmade.PEOPLE)
    assert told["customers"][0]["expected_purchases"] is None
    assert told["customers"][3]["clv"] == found.clv[3]
    assert told["terms"]["margin"] == 30.0
    assert "above 1: customers bring 30 times" in told["note"]
    plain = models.score_customers(**HISTORIES, margin=0.3)
    assert str(plain) == f"8 customers are worth {plain.clv.sum():,.2f} over 365 days, margin 30 %, 10 % a year."
    one = models.score_customers(frequency=0, recency=0, age=3, margin=0.3)
    assert repr(one).startswith("1 customer is worth ")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"frequency": [-1, 0]}, r"frequency negative: 1 of 2"),
        ({"frequency": [1.5, 0]}, "no whole number"),
        ({"recency": [40.0, 0.0]}, "recency beyond age"),
        ({"frequency": [0, 0]}, "recency above 0 without a repeat"),
        ({"age": [math.nan, 1.0]}, "missing or not finite"),
        ({"age": [math.inf, 1.0]}, "missing or not finite"),
        ({"age": [38.0, 1.0, 2.0]}, "shapes do not fit together"),
        ({"monetary_value": [math.nan, 1.0]}, r"missing or not finite for 1 of 2 .* at place 0"),
        ({"monetary_value": None}, "give the mean spend of the repeat purchases"),
        ({"monetary_value": ["20", 0.0]}, "monetary_value holds what is no number"),
        ({"monetary_value": [1.0, 2.0, 3.0]}, r"shape \(3,\) and the customers \(2,\)"),
        ({"frequency": ["2", 0]}, "no number"),
        ({"frequency": [[2], [2]], "recency": 0.0}, r"shape \(2, 2\): give one row"),
        ({"margin": "column"}, "one margin"),
        ({"margni": 0.3}, "Did you mean 'margin'"),
    ],
)
def test_impossible_customers_are_refused(wrong, words):
    two = {"frequency": [2, 0], "recency": [30.0, 0.0], "age": [38.0, 10.0], "monetary_value": [20.0, 0.0]}
    with pytest.raises(InvalidArgument, match=words):
        handmade.model().score_customers(**{**two, **wrong})
