import json

import numpy as np
import pytest
from scipy.stats import chi2

from loyalty.clv.models.contractual import BDW, SBG
from loyalty.clv.models.fits import Fit
from loyalty.clv.models.nested import likelihood_ratio_test
from loyalty.clv.summaries.counts import survival_counts
from loyalty.errors import InvalidArgument, LoyaltyWarning

REGULAR = survival_counts(survivors=[1000, 631, 468, 382, 326, 289, 262, 241])


def made(model, names, log_likelihood=-100.0, **more):
    """Return a fit with nothing in it but what the test looks at."""
    size = len(names)
    known = {
        "model": model,
        "params": dict.fromkeys(names, 1.0),
        "log_covariance": np.eye(size),
        "identified": dict.fromkeys(names, True),
        "log_likelihood": log_likelihood,
        "customers": 50.0,
    }
    return Fit(**{**known, **more})


def test_against_scipy():
    smaller, larger = SBG().fit(REGULAR), BDW().fit(REGULAR)
    found = likelihood_ratio_test(smaller, larger)
    assert found.statistic == pytest.approx(2 * (1680.265 - 1679.603), abs=2e-3)  # printed to three decimals
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 1), rel=1e-12)
    assert found.df == 1
    assert "does not fit demonstrably better" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["sentence"] == str(found)
    assert repr(found) == str(found)


def test_a_plain_difference_is_said_plainly():
    found = likelihood_ratio_test(made("SBG", ["alpha", "beta"]), made("BDW", ["alpha", "beta", "c"], -60.0))
    assert found.p_value < 1e-10
    assert str(found) == (
        "BDW fits better by more than chance would than SBG (c = 1): likelihood ratio 80.000, 1 degree of freedom, p "
        "below 0.0001."
    )


@pytest.mark.parametrize(
    ("smaller", "larger", "null"),
    [
        ("NBD", "ParetoNBD", "a dropout rate of 0"),
        ("NBD", "BGNBD", "a dropout chance of 0"),
        ("NBD", "GGomNBD", "a dropout rate of 0"),
        ("ParetoNBD", "GGomNBD", "b = 0"),
    ],
)
def test_nulls_on_the_boundary_are_refused(smaller, larger, null):
    with pytest.raises(InvalidArgument, match="boundary of what can be") as caught:
        likelihood_ratio_test(made(smaller, ["r", "alpha"]), made(larger, ["r", "alpha", "s", "beta"], -99.0))
    for words in (null, "AIC, which is 2.00 lower for " + smaller, "parametric_bootstrap()"):
        assert words in str(caught.value)


def test_what_cannot_be_compared():
    smaller, larger = made("SBG", ["alpha", "beta"]), made("BDW", ["alpha", "beta", "c"], -99.0)
    with pytest.raises(InvalidArgument, match="Pass the smaller model first"):
        likelihood_ratio_test(larger, smaller)
    with pytest.raises(InvalidArgument, match="BGNBD is not a special case of ParetoNBD"):
        likelihood_ratio_test(made("BGNBD", ["r"]), made("ParetoNBD", ["r"]))
    with pytest.raises(InvalidArgument, match="no fitted model"):
        likelihood_ratio_test(smaller, BDW())
    with pytest.raises(InvalidArgument, match="different data"):
        likelihood_ratio_test(smaller, made("BDW", ["alpha", "beta", "c"], -99.0, customers=51.0))
    with pytest.raises(InvalidArgument, match="different data"):
        likelihood_ratio_test(smaller, made("BDW", ["alpha", "beta", "c"], -99.0, data={"lost": [1]}))
    with pytest.raises(InvalidArgument, match="penalised"):
        likelihood_ratio_test(smaller, made("BDW", ["alpha", "beta", "c"], -99.0, l2=0.1))
    with pytest.raises(InvalidArgument, match="status 'ridge'"):
        likelihood_ratio_test(smaller, made("BDW", ["alpha", "beta", "c"], -99.0, status="ridge"))
    with pytest.raises(InvalidArgument, match="fit it again"):
        likelihood_ratio_test(smaller, made("BDW", ["alpha", "beta", "c"], -101.0))
    assert likelihood_ratio_test(smaller, made("BDW", ["alpha", "beta", "c"], -100.0 - 1e-9)).p_value == 1.0


def test_a_fit_at_its_limit_is_refused_with_the_way_out():
    with pytest.warns(LoyaltyWarning):
        fits = [model().fit(survival_counts(survivors=[1000, 500, 200, 50, 5])) for model in (SBG, BDW)]
    with pytest.raises(InvalidArgument, match=r"AIC.* or use parametric_bootstrap\(\)"):
        likelihood_ratio_test(*fits)


@pytest.mark.slow
def test_the_size_of_the_test_is_right():
    """Where the sBG is true, one in ten p-values lies below one tenth, as far as a binomial test at .001 can see."""
    from scipy.stats import binomtest

    rng, replications, below = np.random.default_rng(0), 300, 0
    for _ in range(replications):
        p = rng.beta(0.8, 1.5, 4000)
        life = rng.geometric(np.maximum(p, 1e-12))
        data = survival_counts(survivors=[int((life > t).sum()) for t in range(13)])
        below += likelihood_ratio_test(SBG().fit(data), BDW().fit(data)).p_value < 0.1
    assert binomtest(below, replications, 0.1).pvalue > 0.001, below / replications
