import warnings

import numpy as np
import pandas as pd
import pytest

import handmade
import loyalty as ly
from loyalty.clv.models.lifetime import MODELS, NBD
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.models.spend import GammaGamma, SpendFit
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.clv.valuation import choosing
from loyalty.clv.valuation.value import CLVModel, clv, fit_clv
from loyalty.errors import ConvergenceError, EmptyData, InvalidArgument, LoyaltyWarning


@pytest.fixture(scope="module")
def tx():
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        yield tx


@pytest.mark.parametrize("name", ["BGNBD", "BG/NBD", "bg/nbd", "bg-nbd", "Bg_Nbd"])
def test_names_in_any_spelling(tx, name):
    fit, tried = choosing.choose_purchases(name, summarize(tx))
    assert fit.model == "BGNBD"
    assert [(one.model, one.chosen) for one in tried] == [("BGNBD", True)]


@pytest.mark.parametrize("name", ["paretonbd", "Pareto/NBD", "MBG/NBD", "NBD"])
def test_other_names(tx, name):
    fit, _ = choosing.choose_purchases(name, summarize(tx))
    assert fit.model.lower() == name.lower().replace("/", "")


def test_auto_on_cdnow(tx):
    # Log-likelihoods of oracles.md: MBG −9582.136, BG −9582.429, Pareto −9594.976, four parameters each.
    model = fit_clv(tx)
    assert model.purchases.model == "MBGNBD"
    table = model.compared
    assert table["model"] == ["ParetoNBD", "MBGNBD", "BGNBD"]
    assert table["log_likelihood"] == pytest.approx([-9594.976, -9582.136, -9582.429], abs=2e-3)
    assert table["delta_aic"] == pytest.approx([25.681, 0.0, 0.587], abs=5e-3)
    assert table["chosen"] == [False, True, False]
    assert (
        str(table)
        == "MBGNBD was taken (lowest AIC); ParetoNBD AIC 25.68 above the lowest, BGNBD AIC 0.59 above the lowest."
    )
    assert str(table) in model.notes
    assert clv(tx).model.purchases.params == model.purchases.params


class Fixed:
    """A model whose fit is stated."""

    def __init__(self, name, log_likelihood, status="converged"):
        self.name, self.log_likelihood, self.status = name, log_likelihood, status

    def __call__(self):
        return self

    def judged(self, _):
        if self.log_likelihood is None:
            raise ConvergenceError(f"{self.name} did not converge.")
        fit = handmade.purchases(self.name)
        notes = () if self.status == "converged" else ("It lies on a ridge.",)
        changes = {"log_likelihood": self.log_likelihood, "status": self.status, "notes": notes}
        return choosing.dataclasses.replace(fit, **changes), ""


@pytest.mark.parametrize(
    ("pareto", "mbg", "bg", "taken"),
    [
        ((-100.0,), (-99.1,), (-99.5,), "ParetoNBD"),  # AIC 1.8 above the lowest: close
        ((-101.0,), (-99.5,), (-99.0,), "MBGNBD"),  # 4 above: not close
        ((-105.0,), (-105.0,), (-99.0,), "BGNBD"),
        ((-99.0, "ridge"), (-99.5,), (-99.2,), "MBGNBD"),  # of the close ones, those that converged
        ((-90.0, "ridge"), (-99.5,), (-99.2,), "ParetoNBD"),  # but a ridge that fits better is better
        ((None,), (-99.0,), (-98.5,), "MBGNBD"),
        ((None,), (None,), (-98.5,), "BGNBD"),
    ],
)
def test_the_rule_of_auto(tx, monkeypatch, pareto, mbg, bg, taken):
    given = {"ParetoNBD": pareto, "MBGNBD": mbg, "BGNBD": bg}
    monkeypatch.setattr(choosing, "MODELS", {name: Fixed(name, *what) for name, what in given.items()})
    model = fit_clv(tx, spend_model=handmade.spend())
    assert model.purchases.model == taken
    told = {row["model"]: row for row in model.compared}
    assert [name for name, row in told.items() if row["chosen"]] == [taken]
    for name, what in given.items():
        if what[0] is None:
            assert told[name]["status"] == "failed"
            assert f"{name} could not be fitted" in str(model.compared)
        elif len(what) > 1:
            assert told[name]["status"] == "ridge"
            assert ", ridge" in str(model.compared)
    again = CLVModel.from_dict(model.to_dict())
    assert str(again.compared) == str(model.compared)


def test_nothing_can_be_fitted(tx, monkeypatch):
    monkeypatch.setattr(choosing, "MODELS", {name: Fixed(name, None) for name in choosing.AUTO})
    with pytest.raises(ConvergenceError, match="none of ParetoNBD, MBGNBD, BGNBD could be fitted"):
        fit_clv(tx)


@pytest.mark.parametrize("model", ["gamma", "ParetoNDB", "", 3, None, ly, GammaGamma()])
def test_what_is_no_model_is_refused(tx, model):
    with pytest.raises(InvalidArgument, match="model="):
        choosing.choose_purchases(model, summarize(tx))


def test_models_and_fits_are_taken_as_they_are(tx):
    summary = summarize(tx)
    assert set(choosing.AUTO) <= set(MODELS)
    fit, _ = choosing.choose_purchases(NBD(), summary)
    assert choosing.choose_purchases(fit, summary)[0] is fit


# --------------------------------------------------------------------------------------------------------- spend


def spends(frequency, spend):
    frame = pd.DataFrame({"id": range(len(frequency)), "frequency": frequency, "spend": spend})
    frame["recency"] = np.where(frame["frequency"] > 0, 10.0, 0.0)
    return CustomerSummary.of(frame.assign(T=20.0), unit="week", customer="id", monetary_value="spend")


def test_the_gamma_gamma_where_it_is_defined(tx):
    found = choosing.choose_spend(None, summarize(tx), tx)
    assert isinstance(found, SpendFit)
    assert found.params["q"] == pytest.approx(3.744, abs=5e-3)


def test_the_mean_where_it_has_none():
    rng = np.random.default_rng(1)
    x = rng.integers(1, 6, 2000)
    rates = rng.gamma(0.6, 1.0, 2000)  # q = 0.6: customers differ beyond any mean
    summary = spends(x, rng.gamma(3.0 * x) / x / np.maximum(rates, 1e-6))
    with pytest.warns(LoyaltyWarning):
        found = choosing.choose_spend(None, summary, None)
    assert isinstance(found, MeanSpend)
    assert "(q 0.581 is at most 1)" in found.notes[0]
    with pytest.warns(LoyaltyWarning):
        wild = choosing.choose_spend("GammaGamma", summary, None)
    with pytest.raises(InvalidArgument, match="no finite mean spend"):
        CLVModel(purchases=handmade.purchases(), spend=wild)


def test_repeat_purchases_that_brought_nothing():
    log = pd.DataFrame(
        {
            "customer_id": [1, 1, 2, 2, 3],
            "date": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-01-05", "2024-03-01", "2024-01-09"]),
            "amount": [10.0, 0.0, 20.0, 0.0, 30.0],
        }
    )
    with ly.transactions(log) as tx:
        found = choosing.choose_spend(None, summarize(tx), tx)
    assert isinstance(found, MeanSpend)
    assert found.mean == pytest.approx(60.0 / 5)
    assert "cost nothing or less" in found.notes[0]
    assert "mean of all purchases" in found.notes[1]
    free = choosing.choose_spend(None, spends([1, 2], [0.0, 0.0]), None)
    assert free.mean == 0.0


def test_the_mean_is_taken_on_request(tx):
    found = choosing.choose_spend("mean", summarize(tx), tx)
    people = summarize(tx).to_native()
    assert found.mean == pytest.approx((people.frequency * people.monetary_value).sum() / people.frequency.sum())
    assert found.notes == ()
    with pytest.raises(EmptyData, match="nobody has a repeat purchase"):
        choosing.choose_spend("mean", spends([0, 0], [0.0, 0.0]), None)


@pytest.mark.parametrize("spend_model", ["weibull", 3, ly, GammaGamma, NBD()])
def test_what_is_no_model_of_spend_is_refused(tx, spend_model):
    with pytest.raises(InvalidArgument, match="spend_model="):
        choosing.choose_spend(spend_model, summarize(tx), tx)


def test_auto_does_not_hide_warnings(tx):
    """The three fits of CDNOW are sound: nothing is warned about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_clv(tx)


def test_auto_warns_of_the_model_that_is_taken_only(recwarn):
    alike = pd.DataFrame({"frequency": [1], "recency": [5.0], "T": [30.0], "n": [40]})
    summary = CustomerSummary.of(alike, unit="week", weight="n")
    fit, tried = choosing.choose_purchases("auto", summary)
    told = [str(one.message) for one in recwarn if issubclass(one.category, LoyaltyWarning)]
    assert [text.split()[0] for text in told] == [fit.model]
    assert sum(one.status != "converged" for one in tried) > 1
