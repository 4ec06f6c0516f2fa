"""From lifetimes: a fitted object or a summary frame of that library as a fit or a summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, wording
from loyalty.errors import InvalidArgument, UnsupportedSource, warn
from loyalty.interop.twins import TWINS, Twin

if TYPE_CHECKING:
    import pandas as pd

    from loyalty.clv.models.fits import Fit
    from loyalty.clv.summaries.opportunities import Opportunities
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["from_lifetimes", "summary_from_lifetimes"]

Floats = NDArray[np.float64]
Total = Callable[[Floats], tuple[float, Floats]]  # log parameters → log-likelihood and its gradient

_LOOSE = 1e-2  # curvature along a direction below which nothing is known on it, as in fits of our own
_TOUCH = 0.1  # a parameter with so much of a loose direction in it is not determined
_STEP = 1e-3  # of central differences in log parameters
_MISSED = 0.01  # log-likelihood that a fit must have left before it is worth a word


def from_lifetimes(
    fitter: Any, *, unit: str | None = None, summary: CustomerSummary | Opportunities | None = None
) -> Fit:
    """Return a fit with the parameters of a fitted lifetimes object.

    Nothing is fitted anew: the parameters are taken as they are, and so are the errors where there are any. The
    log-likelihood is that of all customers together, without penalty, on the data that the object holds.

    Args:
        fitter: A fitted BetaGeoFitter, ModifiedBetaGeoFitter, ParetoNBDFitter, GammaGammaFitter or
            BetaGeoBetaBinomFitter.
        unit: What it counts time in, which it does not know: "day", "week", "month" or "year" (lifetimes' summaries are
            in days unless `freq` or `freq_multiplier` said otherwise); for a BetaGeoBetaBinomFitter the length of a
            period. A GammaGammaFitter counts no time: None.
        summary: The customers it was fitted on, where it holds none (saved with `save_data=False`).

    Returns:
        A `LifetimeFit`, `SpendFit` or `BGBBFit`. A note says when lifetimes penalised the fit (its errors then count
        the penalty as data) and when the likelihood still rises where lifetimes stopped. Errors of a Pareto/NBD, which
        lifetimes does not give, come from the curvature of the likelihood.

    Raises:
        UnsupportedSource: It is no fitter of lifetimes.
        InvalidArgument: It was not fitted, its parameters cannot be, the unit is missing or wrong, or there are no
            customers.

    Examples:
        >>> import loyalty as ly
        >>> from loyalty.interop import to_lifetimes
        >>> summary = ly.summarize(ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30"))
        >>> fitter = to_lifetimes(ly.BGNBD().fit(summary), summary)
        >>> print(from_lifetimes(fitter, unit="week"))
        BGNBD of 2,357 customers: r 0.2426 ± 0.013, alpha 4.414 ± 0.38, a 0.7929 ± 0.19, b 2.426 ± 0.71; log-likelihood
        -9,582.429; converged.
    """
    twin = _twin_of_fitter(fitter)
    values = _values(twin, fitter)
    unit = _unit(twin, unit)
    cells = _cells(twin, fitter, summary, unit)
    total = _total(twin, cells)
    log_likelihood, gradient = total(np.log(values))
    roots, directions = _curvatures(fitter, values, total, cells.customers)
    covariance, identified = _errors(roots, directions)
    missed = float(np.sum((directions.T @ gradient) ** 2 / np.maximum(np.abs(roots), _LOOSE))) / 2.0
    status, notes = _verdict(twin, fitter, values, identified, missed)
    if status != "converged":
        warn(f"{twin.model}: {' '.join(notes)}")
    names = _our_names(twin)
    return _fit_class(twin)(
        model=twin.model,
        params=dict(zip(names, values.tolist(), strict=True)),
        log_covariance=covariance,
        identified=dict(zip(names, identified.tolist(), strict=True)),
        log_likelihood=log_likelihood,
        customers=cells.customers,
        status=status,
        notes=notes,
        unit=unit,
        data=_facts(twin, values, cells),
    )


def summary_from_lifetimes(frame: pd.DataFrame, *, unit: str) -> CustomerSummary:
    """Return the customer summary that a frame of lifetimes holds, ids, spend and weights included.

    Args:
        frame: What `summary_data_from_transaction_data` made, or `calibration_and_holdout_data` (its calibration part
            is taken), or the `data` of a fitted object: pandas, with the columns frequency, recency and T, maybe
            monetary_value and weights. An index that is more than row numbers holds the customers.
        unit: What it counts time in, which it does not say: "day", "week", "month" or "year". lifetimes' own default is
            days; `freq="D", freq_multiplier=7` makes weeks.

    Raises:
        UnsupportedSource: It is no pandas frame.
        ColumnError: A column is missing or holds no numbers.
        InvalidRows: A row cannot be a customer's history.

    Examples:
        >>> import pandas as pd
        >>> made = pd.DataFrame({"frequency": [2.0, 0.0], "recency": [30.0, 0.0], "T": [39.0, 20.0]},
        ...                     index=pd.Index(["ann", "bob"], name="customer_id"))
        >>> summary_from_lifetimes(made, unit="day").to_native()
          customer_id  frequency  recency   age
        0         ann        2.0     30.0  39.0
        1         bob        0.0      0.0  20.0
    """
    import pandas as pd

    from loyalty.clv.summaries.summary import CustomerSummary

    if not isinstance(frame, pd.DataFrame):
        raise UnsupportedSource(
            f"a {type(frame).__name__} is no frame of lifetimes, which makes pandas frames: pass other kinds of tables "
            "to ly.CustomerSummary.of."
        )
    suffix = "_cal" if "frequency_cal" in frame else ""
    roles = {"frequency": "frequency", "recency": "recency", "age": "T"}
    roles |= {role: label for role, label in (("monetary_value", "monetary_value"), ("weight", "weights"))
              if f"{label}{suffix}" in frame}  # fmt: skip
    table = frame[[checks.column(role, f"{label}{suffix}", frame) for role, label in roles.items()]]
    named: dict[str, Any] = {role: f"{label}{suffix}" for role, label in roles.items()}
    if not isinstance(frame.index, pd.RangeIndex):
        named["customer"] = frame.index.name or "customer"
        table = table.rename_axis(named["customer"]).reset_index()
    return CustomerSummary.of(table, unit=unit, **named)


def _twin_of_fitter(fitter: Any) -> Twin:
    """Return the twin of a lifetimes object, also of a subclass."""
    for kind in type(fitter).__mro__:
        for twin in TWINS:
            if kind.__name__ == twin.fitter and kind.__module__.startswith("lifetimes."):
                return twin
    known = ", ".join(twin.fitter for twin in TWINS)
    raise UnsupportedSource(f"a {type(fitter).__name__} is no model of lifetimes that is known here: {known}.")


def _values(twin: Twin, fitter: Any) -> Floats:
    """Return the parameters of a lifetimes object."""
    params = getattr(fitter, "params_", None)
    if params is None:
        raise InvalidArgument(f"this {twin.fitter} was not fitted: call its fit(...) first.")
    values = np.array([params[name] for name in twin.names], dtype=np.float64)
    if not (np.isfinite(values) & (values > 0.0)).all():
        shown = ", ".join(f"{name} {value:g}" for name, value in zip(twin.names, values, strict=True))
        raise InvalidArgument(f"the parameters of this {twin.fitter} cannot be ({shown}): fit it again.")
    return values


def _unit(twin: Twin, unit: str | None) -> str:
    """Return the unit of time of a fit, or raise where it is missing or not allowed."""
    from loyalty.clv.summaries.opportunities import PERIOD_DAYS
    from loyalty.clv.summaries.summary import UNITS

    if twin.model == "GammaGamma":
        if unit is not None:
            raise InvalidArgument(f"unit={unit!r}: a {twin.fitter} counts no time. Leave unit= out.")
        return ""
    allowed = tuple(PERIOD_DAYS if twin.model == "BGBB" else UNITS)
    if unit is None:
        raise InvalidArgument(
            f"unit= is missing: a {twin.fitter} does not know what it counts time in. Pass one of "
            f"{', '.join(map(repr, allowed))} (lifetimes' own summaries are in days)."
        )
    return checks.choice("unit", unit, allowed)


def _cells(twin: Twin, fitter: Any, summary: Any, unit: str) -> Any:
    """Return the cells of the customers that a lifetimes object was fitted on."""
    from loyalty.clv.summaries.cells import Cells
    from loyalty.clv.summaries.spend_cells import SpendCells

    if summary is not None:
        return _cells_of(twin, summary, unit)
    held = getattr(fitter, "data", None)
    if held is None:
        raise InvalidArgument(
            f"this {twin.fitter} holds no customers (was it saved with save_data=False?): pass summary=, those it was "
            "fitted on."
        )
    columns = [held[name].to_numpy() for name in (*twin.columns, "weights")]
    if twin.model == "GammaGamma":
        mean, x, weights = columns
        return SpendCells.of(x, mean, weights)
    return Cells.of(*columns)


def _cells_of(twin: Twin, summary: Any, unit: str) -> Any:
    """Return the cells of customers handed over, or raise where they are of another kind or unit."""
    from loyalty.clv.summaries.opportunities import Opportunities
    from loyalty.clv.summaries.summary import CustomerSummary

    kind: type[Any] = Opportunities if twin.model == "BGBB" else CustomerSummary
    if not isinstance(summary, kind):
        raise InvalidArgument(
            f"summary= is a {type(summary).__name__}: a {twin.fitter} was fitted on a {kind.__name__}."
        )
    if twin.model == "GammaGamma":
        return summary.spend_cells
    counted = summary.period if twin.model == "BGBB" else summary.unit
    if counted != unit:
        raise InvalidArgument(f"unit={unit!r}, but the customers passed as summary= are counted in {counted}s.")
    return summary.cells


def _total(twin: Twin, cells: Any) -> Total:
    """Return the log-likelihood of customers with its gradient, as a function of the log parameters."""
    total: Any
    if twin.model == "GammaGamma":
        from loyalty.clv.kernels import _gammagamma

        total = _gammagamma.total
    elif twin.model == "BGBB":
        from loyalty.clv.kernels import _bgbb

        total = _bgbb.total
    else:
        from loyalty.clv.models.predictions import kernel_of

        total = kernel_of(twin.model).total
    return lambda logs: total(tuple(np.exp(logs).tolist()), cells)


def _curvatures(fitter: Any, values: Floats, total: Total, customers: float) -> tuple[Floats, Floats]:
    """Return how much the log-likelihood curves down along each of as many directions, and these, in columns.

    lifetimes keeps the second derivatives, by the logarithms, of minus the mean log-likelihood. (What it makes of them,
    `variance_matrix_`, is the covariance on the diagonal only.) For its Pareto/NBD, differences of the gradient give
    them.
    """
    theirs = getattr(fitter, "_hessian_", None)
    if theirs is None:
        logs = np.log(values)
        falls = [total(logs - step)[1] - total(logs + step)[1] for step in _STEP * np.eye(len(values))]
        information = np.array(falls) / (2.0 * _STEP)
    else:
        information = np.asarray(theirs, dtype=np.float64) * customers
    if not np.isfinite(information).all():
        information = np.zeros_like(information)
    roots, directions = np.linalg.eigh((information + information.T) / 2.0)
    return roots, directions


def _errors(roots: Floats, directions: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the covariance of the log parameters, and which of them are determined."""
    firm = roots > _LOOSE
    covariance = (directions[:, firm] / roots[firm]) @ directions[:, firm].T
    identified: NDArray[np.bool_] = np.all(np.abs(directions[:, ~firm]) < _TOUCH, axis=1)
    return covariance, identified


def _verdict(
    twin: Twin, fitter: Any, values: Floats, identified: NDArray[np.bool_], missed: float
) -> tuple[str, tuple[str, ...]]:
    """Return the status of a fit of lifetimes, and what a reader must know about it."""
    status, notes = "converged", []
    penalty = getattr(fitter, "penalizer_coef", 0.0)
    if not penalty and missed > _MISSED:
        notes.append(
            f"lifetimes stopped before the top: fitting anew would raise the log-likelihood by some {missed:.2g}. Till "
            "then the errors are rough."
        )
    vague = [name for name, known in zip(_our_names(twin), identified, strict=True) if not known]
    if vague:
        status = "ridge"
        notes.append(f"The likelihood does not determine {', '.join(vague)} there: no standard error is given.")
    if twin.model == "GammaGamma" and values[1] <= 1.0:
        status = "boundary"
        notes.append(f"q = {values[1]:.3g} is not above 1: the mean spend over all customers is infinite in the model.")
    if penalty:
        notes.append(
            f"Fitted by lifetimes with penalizer_coef={penalty:g}, which draws the parameters towards 0 and makes "
            "their errors smaller."
        )
    return status, tuple(notes)


def _our_names(twin: Twin) -> tuple[str, ...]:
    """Return our names of the parameters: only the scale of spend is called otherwise."""
    return tuple({"v": "gamma"}.get(name, name) for name in twin.names)


def _fit_class(twin: Twin) -> type[Fit]:
    """Return the class of the fits of a model."""
    if twin.model == "GammaGamma":
        from loyalty.clv.models.spend import SpendFit

        return SpendFit
    if twin.model == "BGBB":
        from loyalty.clv.models.discrete import BGBBFit

        return BGBBFit
    from loyalty.clv.models.lifetime import LifetimeFit

    return LifetimeFit


def _facts(twin: Twin, values: Floats, cells: Any) -> dict[str, Any]:
    """Return what a fit remembers of its data, as JSON-ready values."""
    facts: dict[str, Any] = {"fitted_by": "lifetimes", "cells": len(cells)}
    if twin.model == "GammaGamma":
        from loyalty.clv.models.independence import correlations

        return facts | {"independence": wording.jsonable(correlations(cells, float(values[0]), float(values[1])))}
    if twin.model == "BGBB":
        return facts | {"opportunities": int(cells.T.max())}
    from loyalty.clv.models.matrices import seen

    return facts | seen(cells)
