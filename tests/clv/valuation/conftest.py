"""The CDNOW sample in its calibration period, and the model of value fitted on it."""

import pytest

import loyalty as ly
from loyalty.clv.valuation.value import fit_clv


@pytest.fixture(scope="module")
def cdnow():
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        yield tx


@pytest.fixture(scope="module")
def fitted(cdnow):
    return fit_clv(cdnow, "Pareto/NBD")
