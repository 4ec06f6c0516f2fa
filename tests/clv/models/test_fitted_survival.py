"""Survival fitted and observed: the published subscribers, the tables it is made of, and odd data."""

import dataclasses
import math

import numpy as np
import pytest

from loyalty.clv.models.contractual import BDW, SBG
from loyalty.clv.summaries.counts import survival_counts
from loyalty.errors import InvalidArgument

REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241]


@pytest.fixture(scope="module", params=[SBG, BDW])
def fit(request):
    return request.param().fit(survival_counts(survivors=REGULAR, period="year"))


def test_survivors_of_the_paper(fit):
    """Fader & Hardie (2007): 1,000 "Regular" subscribers over seven years."""
    table = fit.fitted_survival()
    assert table["renewal"] == list(range(13))
    np.testing.assert_allclose(table["observed"][:8], np.array(REGULAR) / 1000.0, rtol=1e-12)
    assert all(math.isnan(value) for value in table["observed"][8:])
    np.testing.assert_allclose(table["survival"][:8], np.array(REGULAR) / 1000.0, atol=0.012)
    assert "24.1 % were observed to" in str(table)
    assert "survive 7 renewals" in str(table)
    assert table.units["renewal"] == "renewals, one every year"


def test_the_model_is_its_own_survival(fit):
    found, model = fit.fitted_survival(20, confidence=0.8), fit.survival(20, confidence=0.8)
    for name in ("renewal", "survival", "low", "high"):
        np.testing.assert_allclose(found[name], model[name], rtol=1e-12, err_msg=name)
    assert len(fit.fitted_survival(3)) == 4
    assert fit.fitted_survival(3)["observed"] == pytest.approx([1.0, 0.631, 0.468, 0.382])


def test_cohorts_of_other_ages_make_a_kaplan_meier_curve():
    counts = survival_counts(survivors=[[1000, 631, 468], [800, 520]])
    fit = SBG().fit(counts)
    assert fit.fitted_survival()["observed"][:3] == pytest.approx([1.0, 1151 / 1800, 1151 / 1800 * 468 / 631])
    assert fit.fitted_survival()["observed"][1:3] == pytest.approx(counts.table["survival"])
    again = type(fit).from_dict(fit.to_dict())
    assert again.fitted_survival()["observed"][:3] == fit.fitted_survival()["observed"][:3]


def test_a_fit_that_remembers_no_data_has_the_model_alone(fit):
    table = dataclasses.replace(fit, data={}).fitted_survival()
    assert table["observed"][0] == 1.0
    assert all(math.isnan(value) for value in table["observed"][1:])
    assert "observed to" not in str(table)


def test_arguments_that_cannot_be(fit):
    with pytest.raises(InvalidArgument, match="renewals=0"):
        fit.fitted_survival(0)
    with pytest.raises(InvalidArgument, match="confidence=0"):
        fit.fitted_survival(confidence=0.0)


def test_pictures(fit):
    assert fit.plot().get_title() == f"Survival, observed and expected by {fit.model}"
    assert len(fit.survival(5).plot().lines) == 1
    with pytest.raises(InvalidArgument, match="no picture"):
        fit.retention(5).plot()


def test_no_interval_is_said(fit):
    size = len(fit.params)
    loose = dataclasses.replace(fit, identified=dict.fromkeys(fit.params, False), log_covariance=np.zeros((size, size)))
    table = loose.fitted_survival(3)
    assert all(math.isnan(low) for low in table["low"][1:])
    assert table.note.startswith("No interval where the data determine none of the parameters")
    assert fit.fitted_survival(3).note == ""
