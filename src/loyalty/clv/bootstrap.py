"""Whether a larger lifetime model fits better than chance explains, where no χ² says so: the parametric bootstrap."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, wording
from loyalty.clv.cells import Cells
from loyalty.clv.drawing import draw
from loyalty.clv.lifetime import MODELS, LifetimeFit
from loyalty.errors import ConvergenceError, EmptyData, InvalidArgument, LoyaltyWarning

if TYPE_CHECKING:
    from loyalty.clv.summary import CustomerSummary

__all__ = ["BootstrapTest", "parametric_bootstrap"]

Floats = NDArray[np.float64]

_NESTED = {
    ("NBD", "BGNBD"),
    ("NBD", "MBGNBD"),
    ("NBD", "ParetoNBD"),
    ("NBD", "GGomNBD"),
    ("ParetoNBD", "GGomNBD"),
}
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
        verdict = "fits better by more than chance would" if self.p_value < 0.05 else "does not fit demonstrably better"
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
    smaller: LifetimeFit, larger: LifetimeFit, summary: CustomerSummary, *, draws: int = 199, seed: int
) -> BootstrapTest:
    """Test whether a larger lifetime model fits better than the smaller one on its boundary.

    NBD is the Pareto/NBD in which nobody can drop out, and Pareto/NBD the GGom/NBD with b = 0: there the likelihood
    ratio does not follow a χ² distribution. Its distribution is found here by drawing data sets from the smaller fit,
    each customer observed for their own time, and fitting both models to each. Source: McLachlan (1987), Applied
    Statistics 36, 318-324.

    Args:
        smaller: Fit of the smaller model, without penalty.
        larger: Fit of the larger model on the same customers, without penalty.
        summary: The customers that both were fitted on (authors may pass `Cells`).
        draws: Number of data sets, at least 19. Each costs a fit of both models.
        seed: Seed of the draws: the same one gives the same result.

    Returns:
        Statistic, p-value and a sentence.

    Raises:
        InvalidArgument: The models are not nested in this way, the fits do not belong together or are penalised, or the
            summary's weights are no whole numbers of customers.
        ConvergenceError: Not even half of the draws could be fitted.

    Examples:
        >>> from loyalty.clv.lifetime import NBD, ParetoNBD
        >>> x, t_x = draw("ParetoNBD", {"r": 1.0, "alpha": 3.0, "s": 1.0, "beta": 6.0}, [20.0] * 300,
        ...               np.random.default_rng(1))
        >>> cells = Cells.of(x, t_x, [20.0] * 300)
        >>> fits = NBD().fit(cells, unit="week"), ParetoNBD().fit(cells, unit="week")
        >>> parametric_bootstrap(*fits, cells, draws=19, seed=1).p_value
        0.05
    """
    cells = _together(smaller, larger, summary)
    checks.count("draws", draws, low=_FEWEST)
    rng = np.random.default_rng(checks.count("seed", seed, low=0))
    T = np.repeat(cells.T, np.rint(cells.weight).astype(np.int64))  # noqa: N806
    drawn, failed = [], 0
    for _ in range(draws):
        x, t_x = draw(smaller.model, smaller.params, T, rng, step=cells.step)
        found = _ratio(smaller, larger, Cells.of(x, t_x, T, step=cells.step))
        if math.isnan(found):
            failed += 1
        else:
            drawn.append(found)
    if 2 * failed > draws:
        raise ConvergenceError(
            f"{failed} of {draws} data sets drawn from the {smaller.model} could not be fitted: compare the AIC instead."
        )
    statistic = max(0.0, 2.0 * (larger.log_likelihood - smaller.log_likelihood))
    return BootstrapTest(
        smaller=smaller.model,
        larger=larger.model,
        statistic=statistic,
        p_value=(1 + sum(found >= statistic for found in drawn)) / (1 + len(drawn)),
        draws=len(drawn),
        failed=failed,
        drawn=np.sort(np.array(drawn)),
    )


def _together(smaller: LifetimeFit, larger: LifetimeFit, summary: Any) -> Cells:
    """Return the customers' cells, after making sure that all three belong together."""
    for fit in (smaller, larger):
        if not isinstance(fit, LifetimeFit):
            raise InvalidArgument(
                f"{type(fit).__name__} is no fit of a lifetime model: pass two, the smaller one first."
            )
        if fit.l2:
            raise InvalidArgument(f"the {fit.model} is penalised (l2={fit.l2:g}): fit it again with l2=0.")
    if (smaller.model, larger.model) not in _NESTED:
        known = ", ".join(f"{small} in {large}" for small, large in sorted(_NESTED))
        raise InvalidArgument(f"{smaller.model} is not a limit of {larger.model}; what can be tested is {known}.")
    cells = summary if isinstance(summary, Cells) else smaller.check_summary(summary).cells
    if smaller.unit != larger.unit or not smaller.customers == larger.customers == cells.customers:
        raise InvalidArgument("the two fits and the summary are of different customers: fit both on this summary.")
    if (cells.weight != np.rint(cells.weight)).any():
        raise InvalidArgument("the weights of the summary are no whole numbers: nobody can be drawn in parts.")
    return cells


def _ratio(smaller: LifetimeFit, larger: LifetimeFit, cells: Cells) -> float:
    """Return the likelihood ratio on a drawn data set; NaN where it could not be fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoyaltyWarning)  # fits at the boundary are what this is about
        try:
            low, high = (MODELS[fit.model]().fit(cells, unit=smaller.unit) for fit in (smaller, larger))
        except (ConvergenceError, EmptyData):
            return math.nan
    return max(0.0, 2.0 * (high.log_likelihood - low.log_likelihood))
