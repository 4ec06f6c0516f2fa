"""Nested models compared: the likelihood-ratio test where it holds, and why not where it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from loyalty import wording
from loyalty.clv.models.fits import Fit
from loyalty.errors import InvalidArgument

__all__ = ["LikelihoodRatioTest", "likelihood_ratio_test"]

# Smaller and larger model → what must hold in the larger one for the smaller.
_INTERIOR = {("SBG", "BDW"): "c = 1"}
_EDGE = {
    ("NBD", "ParetoNBD"): "a dropout rate of 0",
    ("NBD", "BGNBD"): "a dropout chance of 0",
    ("NBD", "MBGNBD"): "a dropout chance of 0",
    ("NBD", "GGomNBD"): "a dropout rate of 0",
    ("ParetoNBD", "GGomNBD"): "b = 0",
}
_ROUNDING = 1e-6  # by how much a log-likelihood may be too low


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LikelihoodRatioTest:
    """Whether a larger model fits better than a smaller one by more than chance.

    Attributes:
        smaller: Name of the smaller model.
        larger: Name of the larger model.
        null: What holds in the larger model where the smaller one is true.
        statistic: Twice the difference of the log-likelihoods.
        df: Number of parameters that the larger model has more.
        p_value: Probability of such a statistic, or a larger one, where the smaller model is true (χ² with `df`).
    """

    smaller: str
    larger: str
    null: str
    statistic: float
    df: int
    p_value: float

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        chance = f"p {self.p_value:.3g}" if self.p_value >= 1e-4 else "p below 0.0001"
        verdict = "fits better by more than chance would" if self.p_value < 0.05 else "does not fit demonstrably better"
        return (
            f"{self.larger} {verdict} than {self.smaller} ({self.null}): likelihood ratio {self.statistic:.3f}, "
            f"{self.df} degree{'s' if self.df > 1 else ''} of freedom, {chance}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the sentence as JSON-ready values."""
        fields = {name: wording.jsonable(getattr(self, name)) for name in self.__slots__}
        return {**fields, "sentence": str(self)}


def likelihood_ratio_test(smaller: Fit, larger: Fit) -> LikelihoodRatioTest:
    """Test whether a larger model fits better than the smaller one that it contains.

    Twice the difference of the log-likelihoods is compared with a χ² distribution. That is right only where the smaller
    model lies inside the larger one: the sBG is the BdW with c = 1, and c may be below or above. Where it lies on the
    boundary (an NBD is a Pareto/NBD in which nobody can drop out, and less than not at all is impossible) the χ² is
    wrong, and the test refused: compare the AIC of the two fits, or find the distribution with `parametric_bootstrap`.

    Args:
        smaller: Fit of the smaller model.
        larger: Fit of the larger model, on the same data.

    Returns:
        Statistic, degrees of freedom, p-value and a sentence.

    Raises:
        InvalidArgument: The models are not nested, the null lies on the boundary, or the fits are not comparable: of
            other data, penalised, or at a limit themselves.

    Examples:
        >>> from loyalty.clv.models.contractual import BDW, SBG
        >>> from loyalty.clv.summaries.counts import survival_counts
        >>> regular = survival_counts(survivors=[1000, 631, 468, 382, 326, 289, 262, 241])
        >>> print(likelihood_ratio_test(SBG().fit(regular), BDW().fit(regular)))
        BDW does not fit demonstrably better than SBG (c = 1): likelihood ratio 1.325, 1 degree of freedom, p 0.25.
    """
    for fit in (smaller, larger):
        if not isinstance(fit, Fit):
            raise InvalidArgument(f"{type(fit).__name__} is no fitted model: pass two fits, the smaller one first.")
    pair = (smaller.model, larger.model)
    if pair in _EDGE:
        raise InvalidArgument(
            f"{pair[0]} is the {pair[1]} with {_EDGE[pair]}, which lies on the boundary of what can be: the likelihood "
            f"ratio does not follow a χ² distribution. {_aic(smaller, larger)}, or use parametric_bootstrap()."
        )
    if pair not in _INTERIOR:
        swapped = pair[::-1] in _INTERIOR or pair[::-1] in _EDGE
        hint = "Pass the smaller model first" if swapped else _aic(smaller, larger)
        raise InvalidArgument(f"{pair[0]} is not a special case of {pair[1]}, so there is nothing to test. {hint}.")
    _refuse_incomparable(smaller, larger)
    statistic = max(0.0, 2.0 * (larger.log_likelihood - smaller.log_likelihood))
    df = len(larger.params) - len(smaller.params)
    return LikelihoodRatioTest(
        smaller=pair[0],
        larger=pair[1],
        null=_INTERIOR[pair],
        statistic=statistic,
        df=df,
        p_value=math.erfc(math.sqrt(statistic / 2.0)),  # of χ² with one degree of freedom, which all pairs have
    )


def _aic(smaller: Fit, larger: Fit) -> str:
    """Return how the two compare by AIC."""
    apart = smaller.aic - larger.aic
    better = larger.model if apart > 0 else smaller.model
    return f"Compare them by AIC, which is {abs(apart):,.2f} lower for {better}"


def _refuse_incomparable(smaller: Fit, larger: Fit) -> None:
    """Raise where the difference of the log-likelihoods means nothing."""
    same = smaller.customers == larger.customers and dict(smaller.data) == dict(larger.data)
    if not same or smaller.unit != larger.unit:
        raise InvalidArgument("the two fits are of different data: fit both models on the same counts.")
    if smaller.l2 or larger.l2:
        raise InvalidArgument("a penalised fit (l2 above 0) is no maximum of the likelihood: fit both with l2=0.")
    for fit in (smaller, larger):
        if fit.status != "converged":
            raise InvalidArgument(
                f"{fit.model} lies at a limit of its own (status {fit.status!r}), where the likelihood ratio does not "
                f"follow a χ² distribution. {_aic(smaller, larger)}, or use parametric_bootstrap()."
            )
    if larger.log_likelihood < smaller.log_likelihood - _ROUNDING * abs(smaller.log_likelihood):
        raise InvalidArgument(
            f"the larger model fits worse ({larger.log_likelihood:,.3f} < {smaller.log_likelihood:,.3f}), which cannot "
            "be at a maximum: fit it again."
        )
