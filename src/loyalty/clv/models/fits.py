"""What every fitted model says about itself: parameters, errors, likelihood, status, notes; and its JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from loyalty import intervals, wording
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.models.fitting import Optimum

__all__ = ["Fit"]

Floats = NDArray[np.float64]

_STATUSES = ("converged", "ridge", "boundary")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Fit:
    """A fitted model.

    Attributes:
        model: Name of the model's class, such as "BGNBD".
        params: Parameters by name.
        log_covariance: Covariance of the logarithms of the parameters, shape (k, k), in their order. Parameters held
            at a bound have zeros there: they count as known.
        identified: Which parameters the data determine, by name; the others have no standard error.
        log_likelihood: Of all customers together, without any penalty.
        customers: Customers it was fitted on, or the sum of their weights.
        status: "converged"; "ridge" where a combination of parameters is not determined; "boundary" where a parameter
            went as far as it may.
        notes: What a reader must know, a sentence each.
        unit: Unit of the model's times: "day", "week", "month", "year", or "period"; "" where there is none.
        l2: Penalty it was fitted with.
        evaluations: Passes over the data that the fit took.
        data: What it was fitted on, as JSON-ready values: observed window, currency of spend, … .
    """

    model: str
    params: Mapping[str, float]
    log_covariance: Floats
    identified: Mapping[str, bool]
    log_likelihood: float
    customers: float
    status: str = "converged"
    notes: tuple[str, ...] = ()
    unit: str = ""
    l2: float = 0.0
    evaluations: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str, names: tuple[str, ...], optimum: Optimum, **rest: Any) -> Self:
        """Return the fit of an optimum; `rest` are further fields, and may replace those read off the optimum."""
        known: dict[str, Any] = {
            "params": dict(zip(names, np.exp(optimum.log_params).tolist(), strict=True)),
            "identified": dict(zip(names, optimum.identified.tolist(), strict=True)),
            "log_covariance": optimum.covariance,
            "log_likelihood": optimum.log_likelihood,
            "status": optimum.status,
            "evaluations": optimum.evaluations,
        }
        return cls(model=model, **{**known, **rest})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(self.params)

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The parameters, in order."""
        return tuple(self.params.values())

    @cached_property
    def covariance(self) -> Floats:
        """Covariance of the parameters themselves, shape (k, k); NaN in the rows of those not determined."""
        scale = np.array(self.values)
        matrix: Floats = self.log_covariance * np.outer(scale, scale)
        loose = ~np.array([self.identified[name] for name in self.names])
        matrix[loose, :] = matrix[:, loose] = math.nan
        return matrix

    @cached_property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors by parameter; NaN where the data do not determine it."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    def intervals(self, confidence: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return the confidence interval of each parameter, from its logarithm; NaN where it is not determined.

        Args:
            confidence: Level, between 0 and 1.
        """
        z = intervals.normal_quantile(confidence)
        found = {}
        for name, value in self.params.items():
            spread = z * self.standard_errors[name] / value if value else math.nan
            found[name] = (value * math.exp(-spread), value * math.exp(spread))
        return found

    @property
    def aic(self) -> float:
        """Akaike's information criterion, 2·k − 2·log-likelihood: smaller is better."""
        return 2.0 * len(self.params) - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, k·ln(customers) − 2·log-likelihood."""
        return len(self.params) * math.log(self.customers) - 2.0 * self.log_likelihood

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values; `loyalty.load` reads them back."""
        return {
            "model": self.model,
            "params": dict(self.params),
            "log_covariance": self.log_covariance.tolist(),
            "identified": dict(self.identified),
            "log_likelihood": self.log_likelihood,
            "customers": self.customers,
            "status": self.status,
            "notes": list(self.notes),
            "unit": self.unit,
            "l2": self.l2,
            "evaluations": self.evaluations,
            "data": wording.jsonable(dict(self.data)),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Return the fit that `to_dict` made into JSON-ready values. Nothing that it holds is run.

        Args:
            saved: What `to_dict` returned, or what was read from its JSON.

        Raises:
            InvalidArgument: Something is missing, of a wrong type or shape, or cannot be.
        """
        params = _numbers(_part(saved, "params", Mapping), "params")
        identified = _part(saved, "identified", Mapping)
        names = cls.parameter_names(_part(saved, "model", str))
        if not params or (names is not None and tuple(params) != names):
            raise _corrupt(f"params are {', '.join(params) or 'none'} and should be {', '.join(names or ())}")
        if tuple(identified) != tuple(params) or not all(isinstance(known, bool) for known in identified.values()):
            raise _corrupt("identified is not a truth value per parameter")
        if min(params.values()) < 0.0:
            raise _corrupt("a parameter is negative")
        notes = _part(saved, "notes", list)
        if not all(isinstance(note, str) for note in notes):
            raise _corrupt("notes are not texts")
        if saved.get("status") not in _STATUSES:
            raise _corrupt(f"status is {saved.get('status')!r}")
        return cls(
            model=saved["model"],
            params=params,
            log_covariance=_matrix(_part(saved, "log_covariance", list), len(params)),
            identified=dict(identified),
            log_likelihood=_number(saved, "log_likelihood"),
            customers=_number(saved, "customers"),
            status=saved["status"],
            notes=tuple(notes),
            unit=_part(saved, "unit", str),
            l2=_number(saved, "l2"),
            evaluations=int(_number(saved, "evaluations")),
            data=dict(_part(saved, "data", Mapping)),
            **cls.further(saved),
        )

    @classmethod
    def parameter_names(cls, model: str) -> tuple[str, ...] | None:  # noqa: ARG003 (subclasses look at the model)
        """Return the names that the parameters of a model must have, in order; None where any will do."""
        return None

    @classmethod
    def further(cls, saved: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG003 (subclasses read theirs)
        """Return the fields that a subclass adds, read from what its `to_dict` made."""
        return {}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a JSON file, which `loyalty.load` reads back."""
        from loyalty.clv import saving

        saving.save(self, path)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        errors = self.standard_errors
        shown = ", ".join(
            f"{name} {value:.4g}" + ("" if math.isnan(errors[name]) else f" ± {errors[name]:.2g}")
            for name, value in self.params.items()
        )
        notes = f" Note: {' '.join(self.notes)}" if self.notes else ""
        return (
            f"{self.model} of {wording.counted(self.customers, 'customers')}: {shown}; log-likelihood "
            f"{self.log_likelihood:,.3f}; {self.status}.{notes}"
        )

    def _repr_html_(self) -> str:
        spans = self.intervals()
        rows: list[tuple[str, ...]] = [
            (name, f"{value:.6g}", f"{self.standard_errors[name]:.3g}", "{:.4g} – {:.4g}".format(*spans[name]))
            for name, value in self.params.items()
        ]
        rows = [tuple(cell.replace("nan – nan", "").replace("nan", "") for cell in row) for row in rows]
        unit = f", time in {self.unit}s" if self.unit else ""
        caption = f"{self.model}{unit}: log-likelihood {self.log_likelihood:,.3f}, {self.status}"
        return wording.html_table(("parameter", "estimate", "standard error", "95 % interval"), rows, caption)


def _corrupt(what: str) -> InvalidArgument:
    """Return the error for values that are no saved fit."""
    return InvalidArgument(f"this is no saved fit: {what}. Pass what to_dict() returned, unchanged.")


def _part(saved: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return an entry of a type."""
    if not isinstance(saved, Mapping) or not isinstance(saved.get(name), kind):
        raise _corrupt(f"{name} is missing or no {kind.__name__.lower()}")
    return saved[name]


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(saved: Mapping[str, Any], name: str) -> float:
    """Return an entry that is a finite number."""
    if not _is_number(saved.get(name)):
        raise _corrupt(f"{name} is missing or no finite number")
    return float(saved[name])


def _numbers(named: Mapping[str, Any], what: str) -> dict[str, float]:
    """Return names with their finite numbers."""
    if not all(isinstance(name, str) and _is_number(value) for name, value in named.items()):
        raise _corrupt(f"{what} are not finite numbers by name")
    return {name: float(value) for name, value in named.items()}


def _matrix(rows: list[Any], size: int) -> Floats:
    """Return a square matrix of finite numbers that is symmetric and has no negative variance."""
    square = len(rows) == size and all(isinstance(row, list) and len(row) == size for row in rows)
    if not square or not all(_is_number(value) for row in rows for value in row):
        raise _corrupt(f"log_covariance is no matrix of {size} × {size} finite numbers")
    matrix = np.array(rows, dtype=np.float64)
    if not np.allclose(matrix, matrix.T, rtol=1e-9, atol=1e-300) or (np.diag(matrix) < 0.0).any():
        raise _corrupt("log_covariance is not symmetric, or a variance is negative")
    return matrix
