import math

import numpy as np
import pandas as pd
import pytest

import handmade
import loyalty as ly
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.summaries.summary import CustomerSummary
from loyalty.errors import EmptyData, InvalidArgument


def test_by_hand():
    # Repeat purchases: 1 of 20, 2 of 35.50, 26 of 40, 7 of 12.25, 2 of −3, 60 of 18.
    found = MeanSpend.of(handmade.people())
    spent = np.array([20.0, 71.0, 1040.0, 85.75, -6.0, 1080.0])
    bought = np.array([1, 2, 26, 7, 2, 60])
    assert found.mean == pytest.approx(2290.75 / 98)
    assert found.customers == 6
    # Linearised: √(n/(n − 1) · Σ(y − R·x)²)/Σx, over the mean for the logarithm.
    error = math.sqrt(6 / 5 * ((spent - found.mean * bought) ** 2).sum()) / 98
    assert found.log_covariance[0, 0] == pytest.approx((error / found.mean) ** 2, rel=1e-9)
    assert found.expected_spend(frequency=3, monetary_value=9.0) == found.mean
    assert list(found.expected_spend(frequency=np.arange(3), monetary_value=np.ones(3))) == [found.mean] * 3
    assert str(found).startswith("Mean spend 23.38 ± ")
    assert found.params == {"mean": found.mean}
    assert found.independence is None


def test_weights():
    frame = handmade.PEOPLE.assign(weight=[1, 1, 3, 2, 1, 1, 2, 1])
    weighted = MeanSpend.of(handmade.people(frame, weight="weight"))
    rows = frame.loc[frame.index.repeat(frame["weight"])]
    repeated = MeanSpend.of(handmade.people(rows.assign(id=range(len(rows)))))
    assert weighted.mean == pytest.approx(repeated.mean)
    assert weighted.log_covariance == pytest.approx(repeated.log_covariance)
    assert weighted.customers == repeated.customers == 10


def test_one_customer_has_no_error():
    assert MeanSpend.of(handmade.people(handmade.PEOPLE.iloc[[3]])).log_covariance[0, 0] == 0.0


def test_all_purchases():
    log = pd.DataFrame(
        {"customer_id": [1, 1, 2], "date": pd.date_range("2024-01-01", periods=3), "amount": [10, 20, 60]}
    )
    assert MeanSpend.of_all(ly.transactions(log)).mean == pytest.approx(30.0)


def test_nobody_with_a_repeat():
    with pytest.raises(EmptyData):
        MeanSpend.of(CustomerSummary.of(handmade.PEOPLE.iloc[:2], unit="week", monetary_value="spend"))


def test_saved_and_read_back():
    found = MeanSpend.of(handmade.people(), ("why",))
    again = MeanSpend.from_dict(found.to_dict())
    assert again.to_dict() == found.to_dict()


@pytest.mark.parametrize(
    "wrong",
    [{"mean": None}, {"mean": "20"}, {"mean": math.nan}, {"notes": "why"}, {"notes": [1]}, {"log_variance": {}}],
)
def test_what_is_no_saved_mean_is_refused(wrong):
    with pytest.raises(InvalidArgument, match="saved mean spend"):
        MeanSpend.from_dict({**MeanSpend.of(handmade.people()).to_dict(), **wrong})
