"""Whether a larger model fits better than chance explains, where no χ² says so: the parametric bootstrap."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, wording
from loyalty.clv.models import contractual
from loyalty.clv.models.drawing import draw
from loyalty.clv.models.lifetime import MODELS, LifetimeFit
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.summaries.counts import SurvivalCounts
from loyalty.errors import ConvergenceError, EmptyData, InvalidArgument, LoyaltyWarning

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["BootstrapTest", "parametric_bootstrap"]

Floats = NDArray[np.float64]

_NESTED = {
    ("NBD", "BGNBD"),
    ("NBD", "MBGNBD"),
    ("NBD", "ParetoNBD"),
    ("NBD", "GGomNBD"),
    ("ParetoNBD", "GGomNBD"),
}
_CONTRACTS = {("SBG", "BDW")}
_FEWEST = 19  # draws with which a p-value of 0.05 can be reached


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BootstrapTest:
    """Whether a larger model fits better than a smaller one by more than chance.

    Attributes:
        smaller: Name of the smaller model, the null hypothesis.
        larger: Name of the larger model.
        statistic: Twice the difference of the log-likelihoods on the data.
        p_value: (1 + draws with a statistic at least as large) ÷ (1 + draws).
        draws: Data sets drawn from the smaller fit, to which both models could be fitted.
        failed: Data sets left out because a fit did not converge on them, or nobody bought again in them.
        drawn: The statistics of the draws, in increasing order; shape (draws,).
    """

    smaller: str
    larger: str
    statistic: float
    p_value: float
    draws: int
    failed: int
    drawn: Floats

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        verdict = (
            "fits better by more than chance would" if self.p_value <= 0.05 else "does not fit demonstrably better"
        )
        as_large = round(self.p_value * (self.draws + 1)) - 1
        failed = f"; {self.failed:,} could not be fitted" if self.failed else ""
        return (
            f"{self.larger} {verdict} than {self.smaller}: likelihood ratio {self.statistic:.3f}, reached by "
            f"{as_large:,} of {self.draws:,} data sets drawn from the {self.smaller}{failed}: p {self.p_value:.3g}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the sentence as JSON-ready values."""
        named = {name: getattr(self, name) for name in self.__slots__}
        ready: dict[str, Any] = wording.jsonable({**named, "drawn": self.drawn.tolist(), "sentence": str(self)})
        return ready


def parametric_bootstrap(
    smaller: LifetimeFit | contractual.ContractFit,
    larger: LifetimeFit | contractual.ContractFit,
    data: CustomerSummary | SurvivalCounts,
    *,
    draws: int = 199,
    seed: int,
) -> BootstrapTest:
    """Test whether a larger model fits better than the smaller one, where the χ² of the likelihood ratio does not hold.

    NBD is the Pareto/NBD in which nobody can drop out, and Pareto/NBD the GGom/NBD with b = 0: there the likelihood
    ratio does not follow a χ² distribution. Its distribution is found here by drawing data sets from the smaller fit,
    each customer observed for their own time, and fitting both models to each. Source: McLachlan (1987), Applied
    Statistics 36, 318-324.

    An sBG lies inside the BdW, but where one of them is at a limit the χ² fails too. Survival counts are drawn renewal
    by renewal: those at risk leave with the chances of the sBG, of those who stay the share observed is not followed
    further, and as many join late as did.

    Args:
        smaller: Fit of the smaller model, without penalty.
        larger: Fit of the larger model on the same customers, without penalty.
        data: What both were fitted on: a customer summary or survival counts (authors may pass `Cells`).
        draws: Number of data sets, at least 19. Each costs a fit of both models.
        seed: Seed of the draws: the same one gives the same result.

    Returns:
        Statistic, p-value and a sentence.

    Raises:
        InvalidArgument: The models are not nested in this way, the fits do not belong together or are penalised, or the
            weights are no whole numbers of customers.
        ConvergenceError: Not even half of the draws could be fitted.

    Examples:
        >>> from loyalty.clv.models.lifetime import NBD, ParetoNBD
        >>> x, t_x = draw("ParetoNBD", {"r": 1.0, "alpha": 3.0, "s": 1.0, "beta": 6.0}, [20.0] * 300,
        ...               np.random.default_rng(1))
        >>> cells = Cells.of(x, t_x, [20.0] * 300)
        >>> fits = NBD().fit(cells, unit="week"), ParetoNBD().fit(cells, unit="week")
        >>> parametric_bootstrap(*fits, cells, draws=19, seed=1).p_value
        0.05
    """
    drawn_anew = _source(smaller, larger, data)
    checks.count("draws", draws, low=_FEWEST)
    rng = np.random.default_rng(checks.count("seed", seed, low=0))
    ratios = np.array([_ratio(smaller, larger, drawn_anew(rng)) for _ in range(draws)])
    drawn = np.sort(ratios[~np.isnan(ratios)])
    failed = draws - len(drawn)
    if 2 * failed > draws:
        raise ConvergenceError(
            f"{failed} of {draws} data sets drawn from the {smaller.model} could not be fitted: compare AIC instead."
        )
    statistic = max(0.0, 2.0 * (larger.log_likelihood - smaller.log_likelihood))
    return BootstrapTest(
        smaller=smaller.model,
        larger=larger.model,
        statistic=statistic,
        p_value=(1 + int((drawn >= statistic).sum())) / (1 + len(drawn)),
        draws=len(drawn),
        failed=failed,
        drawn=drawn,
    )


def _source(smaller: Any, larger: Any, data: Any) -> Callable[[np.random.Generator], Any]:
    """Return what draws data sets like the given one, after making sure that all three belong together."""
    for fit in (smaller, larger):
        if not isinstance(fit, (LifetimeFit, contractual.ContractFit)):
            raise InvalidArgument(
                f"{type(fit).__name__} is no fit of a lifetime model or of contracts: pass two, the smaller one first."
            )
        if fit.l2:
            raise InvalidArgument(f"the {fit.model} is penalised (l2={fit.l2:g}): fit it again with l2=0.")
    pair = (smaller.model, larger.model)
    if pair not in _NESTED | _CONTRACTS:
        known = ", ".join(f"{small} in {large}" for small, large in sorted(_NESTED | _CONTRACTS))
        raise InvalidArgument(f"{pair[0]} is not a limit of {pair[1]}; what can be tested is {known}.")
    return _counts_drawn(smaller, larger, data) if pair in _CONTRACTS else _cells_drawn(smaller, larger, data)


def _cells_drawn(smaller: LifetimeFit, larger: LifetimeFit, data: Any) -> Callable[[np.random.Generator], Cells]:
    """Return what draws customers from the smaller model, each observed for their own time."""
    cells = data if isinstance(data, Cells) else smaller.check_summary(data).cells
    if smaller.unit != larger.unit or not smaller.customers == larger.customers == cells.customers:
        raise InvalidArgument("the two fits and the summary are of different customers: fit both on this summary.")
    T = np.repeat(cells.T, _whole(cells.weight))  # noqa: N806

    def drawn(rng: np.random.Generator) -> Cells:
        x, t_x = draw(smaller.model, smaller.params, T, rng, step=cells.step)
        return Cells.of(x, t_x, T, step=cells.step)

    return drawn


def _counts_drawn(
    smaller: contractual.ContractFit, larger: contractual.ContractFit, data: Any
) -> Callable[[np.random.Generator], SurvivalCounts]:
    """Return what draws survival counts from the smaller model, with the customers and the censoring observed."""
    if not isinstance(data, SurvivalCounts):
        raise InvalidArgument(f"{type(data).__name__} is none of the survival counts that both models were fitted on.")
    seen = {"at_risk": data.at_risk.tolist(), "lost": data.lost.tolist()}
    if any(dict(fit.data) != seen or fit.unit != data.period for fit in (smaller, larger)):
        raise InvalidArgument("the two fits and the counts are of different customers: fit both on these counts.")
    at_risk, lost = _whole(data.at_risk), _whole(data.lost)
    kept, after = at_risk - lost, np.append(at_risk[1:], 0)
    joined = np.maximum(after - kept, 0)
    followed = np.minimum(np.divide(after, kept, out=np.zeros(len(kept)), where=kept > 0), 1.0)
    leaving = smaller.churn_probability(data.renewals)

    def drawn(rng: np.random.Generator) -> SurvivalCounts:
        here, came, left = at_risk[0], np.zeros(len(kept)), np.zeros(len(kept))
        for renewal, chance in enumerate(leaving):
            leavers = rng.binomial(here, chance)
            came[renewal], left[renewal] = here, leavers
            here = rng.binomial(here - leavers, followed[renewal]) + joined[renewal]
        return replace(data, at_risk=came, lost=left)

    return drawn


def _whole(weights: Floats) -> NDArray[np.int64]:
    """Return numbers of customers as whole numbers, which they must be."""
    if (weights != np.rint(weights)).any():
        raise InvalidArgument("the weights of the customers are no whole numbers: nobody can be drawn in parts.")
    return np.rint(weights).astype(np.int64)


def _ratio(smaller: Any, larger: Any, data: Any) -> float:
    """Return the likelihood ratio on a drawn data set; NaN where it could not be fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoyaltyWarning)  # fits at the boundary are what this is about
        try:
            low, high = (_fitted(fit, data) for fit in (smaller, larger))
        except (ConvergenceError, EmptyData):
            return math.nan
    return max(0.0, 2.0 * float(high.log_likelihood - low.log_likelihood))


def _fitted(fit: Any, data: Any) -> Any:
    """Return the fit of a model to other data."""
    if isinstance(data, SurvivalCounts):
        return contractual.MODELS[fit.model]().fit(data)
    return MODELS[fit.model]().fit(data, unit=fit.unit)
