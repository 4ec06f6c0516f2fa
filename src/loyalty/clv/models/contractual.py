"""Customers under contract who renew or leave: what the sBG and BdW models assume, and how they are fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loyalty import checks
from loyalty.clv.models import edges
from loyalty.clv.models.contract_predictions import KERNELS, ContractFit
from loyalty.clv.models.fitting import Problem, maximise
from loyalty.clv.summaries.counts import SurvivalCounts
from loyalty.errors import InvalidArgument, warn

__all__ = ["BDW", "MODELS", "SBG", "ContractFit", "ContractModel"]

Floats = NDArray[np.float64]

_LEAVING = edges.Chance("alpha", "beta", "leaving at a renewal")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractModel:
    """What the models of renewals have in common.

    Attributes:
        l2: Penalty that holds weakly determined parameters: l2 · Σ(log parameter)² is taken from the log-likelihood in
            the search. Log-likelihood, AIC and standard errors are reported without.
    """

    l2: float = 0.0

    def __post_init__(self) -> None:
        checks.number("l2", self.l2, low=0.0)

    @property
    def name(self) -> str:
        """Name of the model."""
        return type(self).__name__

    def fit(self, data: SurvivalCounts) -> ContractFit:
        """Fit the model by maximum likelihood.

        The likelihood is that of every renewal that somebody came to: cohorts of different age, customers still there
        and customers first seen late all count for just what was observed of them.

        Args:
            data: What `survival_counts` gives.

        Returns:
            The fit. Its status is "ridge" where the data leave a combination of parameters open, "boundary" where the
            likelihood rises towards a limit (everybody alike, nobody leaves, …); the notes say which, a
            `LoyaltyWarning` says so too, and parameters that are not determined have no standard error.

        Raises:
            InvalidArgument: The data are none of these.
            ConvergenceError: The likelihood still rises where the search ended.
        """
        if not isinstance(data, SurvivalCounts):
            raise InvalidArgument(
                f"{self.name} is fitted on survival counts, not on a {type(data).__name__}: make them with "
                "ly.survival_counts(survivors=[1000, 631, 468]), or from a table of start and end dates."
            )
        kernel = KERNELS[self.name]
        seen = data.at_risk > 0.0
        counts = (data.renewals[seen], data.lost[seen], data.kept[seen])
        optimum = maximise(
            Problem(
                names=kernel.NAMES,
                evaluate=lambda theta: kernel.total(tuple(np.exp(theta).tolist()), *counts),
                start=kernel.start(*counts),
                customers=data.customers,
                l2=self.l2,
            )
        )
        verdict = edges.judge(kernel.NAMES, optimum, (_LEAVING,), _cannot_tell(kernel.NAMES, counts))
        if verdict.status != "converged":
            warn(f"{self.name}: {' '.join(verdict.notes)}")
        return ContractFit.of(
            self.name,
            kernel.NAMES,
            optimum,
            identified=dict(zip(kernel.NAMES, verdict.identified.tolist(), strict=True)),
            customers=data.customers,
            status=verdict.status,
            notes=(*verdict.notes, *data.notes),
            unit=data.period,
            l2=self.l2,
            data={"at_risk": data.at_risk.tolist(), "lost": data.lost.tolist()},
        )


def _cannot_tell(names: tuple[str, ...], counts: tuple[Floats, Floats, Floats]) -> dict[str, str]:
    """Return why parameters cannot be told apart, whatever the likelihood looks like."""
    renewals, lost, kept = counts
    known = {}
    if not lost.any():
        known["nobody left"] = "Nobody has left yet: the data only say that the chance of it is small."
    elif not kept.any():
        known["all left"] = "Nobody survived a renewal: the data only say that the chance of leaving is high."
    elif len(renewals) < len(names):
        seen = "a single renewal" if len(renewals) == 1 else f"{len(renewals)} renewals"
        known["few renewals"] = f"{len(names)} parameters cannot be told from {seen}: observe cohorts for longer."
    return known


class SBG(ContractModel):
    """Shifted beta-geometric: every customer leaves with the same chance at each renewal, a chance of their own.

    The chance is Beta(α, β) over customers. Retention of a cohort rises with tenure for one reason only: those with a
    high chance leave first. Source: Fader & Hardie (2007), Journal of Interactive Marketing 21(1), 76-90.

    Examples:
        >>> from loyalty.clv.summaries.counts import survival_counts
        >>> fit = SBG().fit(survival_counts(survivors=[1000, 631, 468, 382, 326, 289, 262, 241], period="year"))
        >>> print(fit)
        SBG of 1,000 customers: alpha 0.7041 ± 0.066, beta 1.182 ± 0.15; log-likelihood -1,680.265; converged.
        >>> fit.churn_probability(renewals=[0, 7])
        array([0.373, 0.079])
    """

    __slots__ = ()


class BDW(ContractModel):
    """Beta-discrete-Weibull: as the sBG, but each customer's chance of leaving may itself rise or fall with tenure.

    A customer with chance p survives t renewals with probability (1 − p)^(t^c); p is Beta(α, β) over customers, and
    c = 1 is the sBG. Source: Fader, Hardie, Liu, Davin & Steenburgh (2018), Journal of Interactive Marketing 43, 1-16.

    Examples:
        >>> from loyalty.clv.summaries.counts import survival_counts
        >>> fit = BDW().fit(survival_counts(survivors=[1000, 631, 468, 382, 326, 289, 262, 241], period="year"))
        >>> fit.params["c"] > 1, round(fit.log_likelihood, 3)
        (True, -1679.603)
    """

    __slots__ = ()


MODELS: dict[str, type[ContractModel]] = {"SBG": SBG, "BDW": BDW}
