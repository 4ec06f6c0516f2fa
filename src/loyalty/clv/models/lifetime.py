"""The lifetime models in continuous time: what they assume, and how they are fitted to customers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loyalty import checks
from loyalty.clv.models import limits, matrices
from loyalty.clv.models.fitting import Problem, maximise
from loyalty.clv.models.predictions import CellPredictions, LifetimeFit, kernel_of
from loyalty.clv.models.uncertainty import Prediction
from loyalty.clv.summaries import histories
from loyalty.clv.summaries.cells import Cells
from loyalty.errors import EmptyData, InvalidArgument, warn

if TYPE_CHECKING:
    from loyalty.clv.kernels import Kernel
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = [
    "BGNBD",
    "MBGNBD",
    "MODELS",
    "NBD",
    "CellPredictions",
    "GGomNBD",
    "LifetimeFit",
    "LifetimeModel",
    "ParetoNBD",
    "Prediction",
]

Floats = NDArray[np.float64]

_SAMPLE = 20_000  # customers fitted first, where there are many cells
_MANY = 60_000  # cells from which on that pays
_FEW = 500  # cells up to which the likelihood may have more than one summit
_SEED = 20_050_305  # of that sample: where it lies does not matter


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimeModel:
    """What the lifetime models have in common.

    Attributes:
        l2: Penalty that holds weakly determined parameters: l2 · Σ(log parameter)² is taken from the log-likelihood in
            the search, time being counted in mean ages. Log-likelihood, AIC and standard errors are reported without.
    """

    l2: float = 0.0

    def __post_init__(self) -> None:
        checks.number("l2", self.l2, low=0.0)

    @property
    def name(self) -> str:
        """Name of the model."""
        return type(self).__name__

    def fit(self, data: CustomerSummary | Cells, *, unit: str | None = None) -> LifetimeFit:
        """Fit the model to customers by maximum likelihood.

        Times are counted in mean ages inside, so that the unit changes nothing but units: with a unit k times as long
        the log-likelihood is higher by Σx · ln k. A sample of very many customers is fitted first, to begin near the
        solution; the solution does not depend on it.

        Args:
            data: Customers, as `summarize` or `CustomerSummary.of` give them; authors may pass `Cells`.
            unit: Unit of the times of `Cells`: "day", "week", "month" or "year". A summary has its own.

        Returns:
            The fit. Its status is "ridge" where the data leave a combination of parameters open, "boundary" where the
            likelihood rises towards a limit of the model (nobody drops out, all customers alike, …); the notes say
            which, a `LoyaltyWarning` says so too, and parameters that are not determined have no standard error.

        Raises:
            InvalidArgument: The data are no customer summary, or the unit is missing or not allowed.
            EmptyData: There are no customers, nobody bought again, or nobody was observed for any time.
            InvalidRows: A history cannot be.
            ConvergenceError: The likelihood still rises where the search ended.
        """
        fit, limit = self.judged(data, unit)
        if limit:
            warn(limit)
        return fit

    def judged(self, data: CustomerSummary | Cells, unit: str | None = None) -> tuple[LifetimeFit, str]:
        """Return the fit, and the words to warn with where it did not converge; for authors who compare models."""
        cells, unit, notes, about = _read(data, unit)
        histories.check_cells(cells)
        _refuse_uninformative(cells)
        kernel, scale = kernel_of(self.name), float(cells.weight @ cells.T) / cells.customers
        optimum = maximise(_problem(kernel, cells.scaled(scale), self.l2))
        verdict = limits.judge(self.name, kernel.names, optimum)
        limit = f"{self.name} ({verdict.status}): {' '.join(verdict.notes)}" if verdict.status != "converged" else ""
        params = np.exp(optimum.log_params) * scale ** np.array(kernel.time_powers, dtype=np.float64)
        fit = LifetimeFit.of(
            self.name,
            kernel.names,
            optimum,
            params=dict(zip(kernel.names, params.tolist(), strict=True)),
            identified=dict(zip(kernel.names, verdict.identified.tolist(), strict=True)),
            log_likelihood=optimum.log_likelihood - float(cells.weight @ cells.x) * math.log(scale),
            customers=cells.customers,
            status=verdict.status,
            notes=(*verdict.notes, *notes),
            unit=unit,
            l2=self.l2,
            data={**about, **matrices.seen(cells)},
        )
        return fit, limit


class BGNBD(LifetimeModel):
    """BG/NBD: purchases at a Gamma(r, α) rate; after each repeat purchase a customer drops out by a Beta(a, b) chance.

    Customers without a repeat purchase are certainly alive in it. Source: Fader, Hardie & Lee (2005), Marketing Science
    24, 275-284.

    Examples:
        >>> fit = BGNBD(l2=0.05).fit(Cells.of([0, 0, 1, 2, 4], [0, 0, 10, 25, 30], [39, 30, 38, 30, 31]), unit="week")
        >>> fit.names, fit.status
        (('r', 'alpha', 'a', 'b'), 'converged')
    """

    __slots__ = ()


class MBGNBD(LifetimeModel):
    """MBG/NBD: like the BG/NBD, but customers may drop out right after the first purchase too.

    Source: Batislam, Denizel & Filiztekin (2007), International Journal of Research in Marketing 24, 201-209; Hoppe &
    Wagner (2007), Marketing JRM 3, 75-90 (as CBG/NBD).

    Examples:
        >>> fit = MBGNBD(l2=0.05).fit(Cells.of([0, 0, 1, 2, 4], [0, 0, 10, 25, 30], [39, 30, 38, 30, 31]), unit="week")
        >>> fit.p_alive(frequency=0, recency=0, age=30) < 1
        True
    """

    __slots__ = ()


class ParetoNBD(LifetimeModel):
    """Pareto/NBD: purchases at a Gamma(r, α) rate; customers drop out at any time, at a Gamma(s, β) rate of their own.

    Source: Schmittlein, Morrison & Colombo (1987), Management Science 33, 1-24.

    Examples:
        >>> cells = Cells.of([0, 0, 1, 2, 4], [0, 0, 10, 25, 30], [39, 30, 38, 30, 31])
        >>> fit = ParetoNBD(l2=0.05).fit(cells, unit="week")
        >>> fit.names, fit.status
        (('r', 'alpha', 's', 'beta'), 'converged')
    """

    __slots__ = ()


class GGomNBD(LifetimeModel):
    """GGom/NBD: like the Pareto/NBD, but the danger of dropping out grows with time as exp(b·t) (Gompertz lifetimes).

    Where the data show no growth the likelihood rises towards b → 0, which is the Pareto/NBD: the fit says so (status
    "boundary"). Source: Bemmaor & Glady (2012), Management Science 58, 1012-1021.

    Examples:
        >>> fit = GGomNBD(l2=0.05).fit(Cells.of([0, 0, 1, 2, 4], [0, 0, 10, 25, 30], [39, 30, 38, 30, 31]), unit="week")
        >>> fit.names
        ('r', 'alpha', 's', 'b', 'beta')
    """

    __slots__ = ()


class NBD(LifetimeModel):
    """NBD: purchases at a Gamma(r, α) rate, and nobody ever drops out: the reference for the others.

    Source: Ehrenberg (1959), Applied Statistics 8, 26-41.

    Examples:
        >>> fit = NBD().fit(Cells.of([0, 1, 3, 0], [0, 5, 30, 0], [39, 38, 38, 30]), unit="week")
        >>> fit.p_alive(frequency=1, recency=5, age=38)
        1.0
    """

    __slots__ = ()


MODELS: Mapping[str, type[LifetimeModel]] = {
    model.__name__: model for model in (BGNBD, MBGNBD, ParetoNBD, GGomNBD, NBD)
}


class _Data(NamedTuple):
    """What a fit is told: cells, their unit, notes to pass on, and where they come from."""

    cells: Cells
    unit: str
    notes: tuple[str, ...]
    about: dict[str, Any]


def _read(data: Any, unit: str | None) -> _Data:
    """Return the cells of a summary, or cells with their unit."""
    from loyalty.clv.summaries.summary import UNITS, CustomerSummary

    if isinstance(data, CustomerSummary):
        if unit is not None and unit != data.unit:
            raise InvalidArgument(
                f"unit={unit!r}: the summary counts time in {data.unit}s already. Leave unit= out, or make the summary "
                f"with unit={unit!r}."
            )
        return _Data(data.cells, data.unit, data.notes, {"until": data.until, "cells": len(data.cells)})
    if isinstance(data, Cells):
        if unit is None:
            raise InvalidArgument(f"cells have no unit of their own: pass unit= ({', '.join(map(repr, UNITS))}).")
        return _Data(data, checks.choice("unit", unit, tuple(UNITS)), (), {"cells": len(data)})
    raise InvalidArgument(
        f"a lifetime model is fitted on a customer summary, not on a {type(data).__name__}: make one with "
        "ly.summarize(tx), or with CustomerSummary.of(frame, unit=...) from a table with frequency, recency and T."
    )


def _refuse_uninformative(cells: Cells) -> None:
    """Raise where no parameter could be told."""
    if not cells.x.any():
        raise EmptyData(
            f"none of {cells.customers:,.0f} customers bought again: nothing can be learned about how often customers "
            "buy or when they leave. Fit on a longer window or on more customers."
        )
    if not cells.T.any():
        raise EmptyData("no customer was observed for any time after the first purchase: extend the window.")


def _problem(kernel: Kernel, cells: Cells, l2: float) -> Problem:
    """Return the fit of a kernel to cells as a problem of maximisation, with a sample of many cells."""
    sampled = len(cells) >= _MANY and cells.customers > 2 * _SAMPLE
    return Problem(
        names=kernel.names,
        evaluate=lambda theta: kernel.total(tuple(np.exp(theta).tolist()), cells),
        start=kernel.start(cells),
        customers=cells.customers,
        hessian=kernel.hessian and (lambda theta: kernel.hessian(tuple(np.exp(theta).tolist()), cells)),
        sample=_problem(kernel, _sample(cells), l2) if sampled else None,
        l2=l2,
        starts=_other_starts(kernel, cells) if len(cells) <= _FEW else (),
    )


def _other_starts(kernel: Kernel, cells: Cells) -> tuple[Floats, ...]:
    """Return starts near the limits of a model, where small data sets may have a summit of their own.

    Some customers leave at once and the others hardly ever (a, b → 0; s, β → 0), or all are alike in leaving (a, b → ∞;
    s, β → ∞), or the danger of leaving grows steeply (large b of the GGom/NBD); each with customers as unlike in their
    rates as the first start says, and alike.
    """
    first = dict(zip(kernel.names, kernel.start(cells).tolist(), strict=True))
    rate = first["r"] - first["alpha"]
    dropouts: dict[tuple[str, ...], list[dict[str, float]]] = {
        ("a", "b"): [{"a": -9.0, "b": -8.0}, {"a": 6.0, "b": 7.0}],
        ("s", "beta"): [{"s": -2.5, "beta": -9.0}, {"s": 7.0, "beta": 7.0}],
        ("s", "b", "beta"): [
            {"s": -2.5, "b": -0.5, "beta": -9.0},
            {"s": -3.0, "b": 3.5, "beta": -5.0},
            {"s": 1.0, "b": 2.5, "beta": 6.0},
        ],
    }
    rest = tuple(name for name in kernel.names if name not in {"r", "alpha"})
    rates: list[dict[str, float]] = [{}, {"r": 5.0, "alpha": 5.0 - rate}]
    starts = [{**first, **buying, **leaving} for leaving in dropouts.get(rest, []) for buying in rates]
    return tuple(np.array([start[name] for name in kernel.names]) for start in starts)


def _sample(cells: Cells) -> Cells:
    """Return the cells of a random sample of customers.

    Every so-many-th customer is taken, in order of the cells, from a random one on: what stands together is alike, so
    the sample is more like the whole than one drawn freely.
    """
    upto = np.cumsum(cells.weight)
    start = np.random.default_rng(_SEED).random()
    places = np.searchsorted(upto, (np.arange(_SAMPLE) + start) * (upto[-1] / _SAMPLE), side="right")
    counts = np.bincount(np.minimum(places, len(cells) - 1), minlength=len(cells)).astype(np.float64)
    taken = np.flatnonzero(counts)
    return Cells(cells.x[taken], cells.t_x[taken], cells.T[taken], counts[taken], cells.step)
