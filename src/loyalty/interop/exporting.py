"""To lifetimes: a fit as a fitted object of that library."""

from __future__ import annotations

import functools
import math
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.errors import InvalidArgument, MissingDependency
from loyalty.interop.twins import TWINS, Twin

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd

    from loyalty.clv.models.fits import Fit
    from loyalty.clv.summaries.opportunities import Opportunities
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["to_lifetimes"]


def to_lifetimes(fit: Fit, summary: CustomerSummary | Opportunities | None = None) -> Any:
    """Return a fitted lifetimes object with the parameters of a fit.

    Its methods that compute numbers work, and agree with ours wherever lifetimes is accurate; docs/from-lifetimes.md
    lists where it is not, and which of its plots fail today. It counts time in the unit of the fit without knowing it:
    where a method of lifetimes takes `freq`, say "W" for weeks.

    Args:
        fit: A fit of BGNBD, MBGNBD, ParetoNBD, GammaGamma or BGBB.
        summary: The customers it was fitted on: a `CustomerSummary`, for BGBB `Opportunities`. They become the object's
            `data`, ids as its index, for the methods that need them: the matrix of P(alive), simulated customers and
            most plots. Without, the object holds the parameters and their errors only.

    Returns:
        A BetaGeoFitter, ModifiedBetaGeoFitter, ParetoNBDFitter, GammaGammaFitter or BetaGeoBetaBinomFitter. Its
        `summary` has standard errors and lifetimes' intervals, value ± 1.96 standard errors, which may reach below 0
        (those of `fit.intervals()`, from the logarithms, do not); a ParetoNBDFitter has them too, though lifetimes
        gives it none. `variance_matrix_` is the covariance of the parameters (lifetimes' own is right on the diagonal
        only), NaN where the data do not determine them. `penalizer_coef` is 0: lifetimes penalises the parameters
        themselves, which `l2` does not.

    Raises:
        InvalidArgument: lifetimes has no such model, or the customers are not those of the fit.
        MissingDependency: lifetimes cannot be imported.

    Examples:
        >>> import loyalty as ly
        >>> summary = ly.summarize(ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30"))
        >>> fit = ly.BGNBD().fit(summary)
        >>> fitter = to_lifetimes(fit, summary)
        >>> fitter
        <lifetimes.BetaGeoFitter: fitted with 2357 subjects, a: 0.79, alpha: 4.41, b: 2.43, r: 0.24>
        >>> float(fitter.predict(52, 26, 216 / 7, 31)), fit.expected_purchases(
        ...     frequency=26, recency=216 / 7, age=31, horizon="52w")
        (25.757, 25.757)
    """
    twin = _twin_of(fit)
    held = None if summary is None else _held(twin, fit, summary)
    fitter = getattr(_lifetimes(), twin.fitter)()
    _set_parameters(fitter, fit, twin)
    if "T" in twin.columns:
        fitter.predict = fitter.conditional_expected_number_of_purchases_up_to_time
        fitter._scale = 1.0 if held is None else 1.0 / float(held["T"].max())  # noqa: SLF001
    fitter._negative_log_likelihood_ = _as_they_count(fit, fitter, held)
    if held is not None:
        fitter.data = held
        if twin.simulator:
            fitter.generate_new_data = _simulator(twin, held, fit.values)
    return fitter


def _twin_of(fit: Any) -> Twin:
    """Return the twin of a fit, or raise where lifetimes has none."""
    from loyalty.clv.models.fits import Fit

    if not isinstance(fit, Fit):
        raise InvalidArgument(
            f"a {type(fit).__name__} is no fit: pass what ly.BGNBD().fit(summary) and the like return; of a CLVModel, "
            "its fit of purchases or of spend."
        )
    for twin in TWINS:
        if twin.model == fit.model:
            return twin
    pairs = ", ".join(f"{twin.model} ({twin.fitter})" for twin in TWINS)
    raise InvalidArgument(f"lifetimes has no {fit.model}. It has {pairs}.")


def _lifetimes() -> ModuleType:
    """Import lifetimes without what that does to the rest of the program: a kind of warning silenced, an option set."""
    if "lifetimes" not in sys.modules:
        import pandas as pd

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chained = pd.get_option("mode.chained_assignment")
            try:
                import lifetimes  # noqa: F401
            except ImportError as err:
                raise MissingDependency(f"lifetimes cannot be imported ({err}): pip install lifetimes.") from err
            pd.set_option("mode.chained_assignment", chained)
    return sys.modules["lifetimes"]


def _set_parameters(fitter: Any, fit: Fit, twin: Twin) -> None:
    """Give a new object of lifetimes the parameters of a fit and their errors."""
    import pandas as pd

    names = list(twin.names)
    fitter.params_ = pd.Series(fit.values, index=names)
    fitter.variance_matrix_ = pd.DataFrame(fit.covariance, index=names, columns=names)
    fitter.standard_errors_ = fitter._compute_standard_errors()  # noqa: SLF001 (by their own formulas)
    fitter.confidence_intervals_ = fitter._compute_confidence_intervals()  # noqa: SLF001
    fitter._hessian_ = np.linalg.pinv(fit.log_covariance) / fit.customers


def _held(twin: Twin, fit: Any, summary: Any) -> pd.DataFrame:
    """Return customers as lifetimes holds them: its columns and the weights, ids as the index."""
    _check_customers(twin, fit, summary)
    frame = summary.collect(summary.frame()).to_pandas()
    if "monetary_value" in twin.columns:
        frame = frame[(frame["frequency"] > 0) & (frame["monetary_value"] > 0)]
    weights = frame["weight"] if "weight" in frame else np.ones(len(frame), dtype=np.int64)
    if (weights % 1 == 0).all():
        weights = weights.astype(np.int64)
    frame = frame.assign(frequency=frame["frequency"].astype(np.int64), weights=weights)
    frame = frame.rename(columns={"age": "T", "opportunities": "n_periods"})
    if "customer" in frame:
        frame = frame.set_index("customer").rename_axis(str(summary.customer))
    if not math.isclose(frame["weights"].sum(), fit.customers, rel_tol=1e-9):
        raise InvalidArgument(
            f"the fit was made on {wording.counted(fit.customers, 'customers')} and the summary has "
            f"{wording.plain(frame['weights'].sum())}: pass the one that it was made on. Customers to be scored go to "
            "the object's methods."
        )
    return frame[[*twin.columns, "weights"]]


def _check_customers(twin: Twin, fit: Any, summary: Any) -> None:
    """Raise where customers are not of the kind and unit that a fit was made on."""
    from loyalty.clv.summaries.opportunities import Opportunities
    from loyalty.clv.summaries.summary import CustomerSummary

    if "T" in twin.columns:
        fit.check_summary(summary)
    elif twin.model == "BGBB" and not (isinstance(summary, Opportunities) and summary.period == fit.unit):
        raise InvalidArgument(f"the fit was made on opportunities, a {fit.unit} each: pass these as summary=.")
    elif twin.model == "GammaGamma" and not (isinstance(summary, CustomerSummary) and summary.has_spend):
        raise InvalidArgument("the fit was made on a customer summary with spend: pass it as summary=.")


def _as_they_count(fit: Fit, fitter: Any, held: pd.DataFrame | None) -> float:
    """Return minus the log-likelihood as lifetimes counts it: of a mean customer, time in units of the longest.

    Its Pareto/NBD takes the sum and divides it by the mean weight.
    """
    total, rows = fit.log_likelihood, fit.customers
    if held is not None:
        rows = len(held)
        if "T" in held:
            total -= float(held["frequency"] @ held["weights"]) * math.log(fitter._scale)  # noqa: SLF001
    return -total / fit.customers * (rows if fit.model == "ParetoNBD" else 1.0)


def _simulator(twin: Twin, held: pd.DataFrame, values: tuple[float, ...]) -> Any:
    """Return what draws customers observed as long as these; made of lifetimes only, so that it can be saved."""
    from lifetimes import generate_data

    spans = held[twin.columns[-1]].to_numpy()
    if twin.model == "BGBB":
        spans = np.repeat(spans, held["weights"].astype(np.int64))
    return functools.partial(getattr(generate_data, twin.simulator), spans, *values)
