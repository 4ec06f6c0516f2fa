import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

from loyalty.clv.valuation.terms import Terms
from loyalty.errors import InvalidArgument


@pytest.mark.parametrize("horizon", ["365d", " 365 days ", dt.timedelta(days=365), np.timedelta64(365, "D")])
def test_horizons_are_kept_in_days(horizon):
    terms = Terms(horizon=horizon)
    assert (terms.horizon, terms.days) == ("365d", 365.0)


@pytest.mark.parametrize("horizon", [None, "inf", " INF ", math.inf])
def test_all_that_is_to_come(horizon):
    terms = Terms(horizon=horizon)
    assert (terms.horizon, terms.days) == (None, math.inf)
    assert str(terms) == "all that is to come, 10 % a year"


def test_changes():
    terms = Terms(margin=0.3)
    assert terms.changed({}) is terms
    assert terms.changed({"horizon": "52w"}) == Terms(margin=0.3, horizon="364d")
    with pytest.raises(InvalidArgument, match="margin=nan"):
        terms.changed({"margin": math.nan})
    with pytest.raises(InvalidArgument, match="Did you mean 'confidence'"):
        terms.changed({"confidense": 0.9})


def test_saved_and_read_back():
    for terms in (Terms(), Terms(horizon=None, margin="share", service_cost=2, acquisition_cost=1, confidence=0.5)):
        assert Terms.from_dict(terms.to_dict()) == terms


@pytest.mark.parametrize("wrong", [None, {}, {"horizon": "1d"}, {**Terms().to_dict(), "extra": 1}, "text"])
def test_other_values_are_no_saved_terms(wrong):
    with pytest.raises(InvalidArgument, match="terms of a saved model"):
        Terms.from_dict(wrong)


def test_words():
    assert str(Terms(margin=0.3, service_cost=2.5)) == "365 days, margin 30 %, 10 % a year, service cost 2.50 a year"
    assert "margin by column 'share'" in str(Terms(margin="share"))
    assert "margin per customer" in str(Terms(margin=pd.DataFrame({"margin": [1.0]})))
    assert str(Terms(horizon="1d", annual_discount_rate=0)) == "1 day, 0 % a year"


def test_numbers_of_every_kind():
    terms = Terms(margin=np.float32(0.5), annual_discount_rate=np.int64(0), service_cost=np.int64(2))
    assert (terms.margin, terms.annual_discount_rate, terms.service_cost) == (0.5, 0.0, 2.0)
    assert all(type(part) is float for part in (terms.margin, terms.annual_discount_rate, terms.service_cost))
