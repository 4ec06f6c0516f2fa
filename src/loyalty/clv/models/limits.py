"""Fits at the edge of a model, said in words: which limit the data go to, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loyalty.clv.models.fitting import Optimum

__all__ = ["Verdict", "judge"]

Scaled = Mapping[str, float]  # parameters by name, time being counted in mean ages

# Limits are approached for ever, so these say where a parameter has come near one. They only matter for parameters that
# the data leave open: there the search goes on until nothing is gained, mostly to 1e4 and beyond (tried on 300 awkward
# data sets), and what is left open at ordinary values is a ridge. Models of renewals and opportunities are judged more
# strictly (edges.py says why).
_LARGE = 100.0
_SMALL = 1e-3


class Verdict(NamedTuple):
    """What kind of a fit it is.

    Attributes:
        status: "converged", "ridge" or "boundary".
        notes: Why it is not plainly converged, a sentence each.
        identified: Which parameters the data determine.
    """

    status: str
    notes: tuple[str, ...]
    identified: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit of a model.

    Attributes:
        params: The parameters that it leaves open.
        holds: Whether parameters have come near it.
        note: What that means, in words.
    """

    params: tuple[str, ...]
    holds: Callable[[Scaled], bool]
    note: str


def _survival(at: Scaled, time: float) -> float:
    """Return the share of customers who are still alive some time after the first purchase."""
    clock = float(np.expm1(min(at["b"] * time, 700.0))) if "b" in at else time
    return float((at["beta"] / (at["beta"] + clock)) ** at["s"])


_ALIKE_RATES = _Limit(
    ("r", "alpha"),
    lambda at: at["r"] > _LARGE,
    "Customers hardly differ in how often they buy: r and alpha grow without bound, and only their ratio, the "
    "purchases per unit of time, is determined.",
)
_CHANCES = ("a", "b")
_GEOMETRIC = (
    _ALIKE_RATES,
    _Limit(
        _CHANCES,
        lambda at: min(at["a"], at["b"]) > _LARGE,
        "Customers hardly differ in their chance of dropping out: a and b grow without bound, and only a/(a + b), the "
        "chance, is determined.",
    ),
    _Limit(
        _CHANCES,
        lambda at: at["a"] < _SMALL * at["b"],
        "The data show no dropout: its chance a/(a + b) goes to 0, and everybody counts as alive. Use NBD, which says "
        "the same with two parameters.",
    ),
    _Limit(
        _CHANCES,
        lambda at: at["b"] < _SMALL * at["a"],
        "The data show customers who all drop out as soon as they can: the chance a/(a + b) goes to 1.",
    ),
    _Limit(
        _CHANCES,
        lambda at: max(at["a"], at["b"]) < 0.05,
        "The data show customers of two kinds, those who drop out as soon as they can and those who never do: a and b "
        "go to 0, and only their ratio is determined.",
    ),
)
_LEAVING = ("s", "beta")
_CONTINUOUS = (
    _Limit(
        _LEAVING,
        lambda at: 1.0 - _survival(at, 1.0) < _SMALL,
        "The data show no dropout: fewer than one customer in 1,000 is lost within the mean age. Use NBD, which says "
        "the same with two parameters.",
    ),
    _Limit(
        _LEAVING,
        lambda at: min(at["s"], at["beta"]) > _LARGE,
        "Customers hardly differ in how soon they drop out: s and beta grow without bound, and only their ratio is "
        "determined.",
    ),
    _Limit(
        _LEAVING,
        lambda at: at["beta"] < 0.01 and at["s"] < 2.0,
        "The data show customers of two kinds, those who drop out at once and those who hardly ever do: s and beta go "
        "to 0 together.",
    ),
)
_PARETO_LIMIT = _Limit(
    ("b", "beta"),
    lambda at: at["b"] < _SMALL,
    "The data do not show that the danger of dropping out grows with time: the likelihood rises towards b = 0, which "
    "is the Pareto/NBD with the same r, alpha and s and with beta/b for its beta. Use ParetoNBD.",
)
_GOMPERTZ = (
    _PARETO_LIMIT,
    _Limit(
        ("beta",),
        lambda at: at["beta"] < _SMALL,
        "Some customers drop out at once, and the others from then on at a steady rate: beta goes to 0.",
    ),
    _Limit(
        ("beta",),
        lambda at: at["beta"] > _LARGE,
        "Nobody drops out for a while, and then the danger sets in steeply: beta grows without bound.",
    ),
)
_LIMITS: Mapping[str, tuple[_Limit, ...]] = {
    "NBD": (_ALIKE_RATES,),
    "BGNBD": _GEOMETRIC,
    "MBGNBD": _GEOMETRIC,
    "ParetoNBD": (_ALIKE_RATES, *_CONTINUOUS),
    "GGomNBD": (_ALIKE_RATES, *_CONTINUOUS[:2], *_GOMPERTZ),
}
_POLAR = (
    "a + b is below 1: the chance of dropping out is near 0 or near 1 for most customers. Look whether two kinds of "
    "customers are mixed here, who had better be fitted apart."
)


def judge(model: str, names: tuple[str, ...], optimum: Optimum) -> Verdict:
    """Return what kind of a fit an optimum is, and why.

    Args:
        model: Name of the model.
        names: Names of its parameters.
        optimum: Where the search ended, time being counted in mean ages.
    """
    at = dict(zip(names, np.exp(optimum.log_params).tolist(), strict=True))
    left_open = {name for name, known in zip(names, optimum.identified, strict=True) if not known}
    notes, told = [], set[str]()
    for limit in _LIMITS[model]:
        if left_open.intersection(limit.params) - told and limit.holds(at):
            notes.append(limit.note)
            told.update(limit.params)
    identified = np.array([name not in left_open | told for name in names])
    rest = [name for name in names if name in left_open - told]
    if rest:
        notes.append(_open(rest))
    if optimum.status == "converged":  # what is open is held by the penalty
        held = [name for name, known in zip(names, identified, strict=True) if not known]
        return _unless_polar(at, Verdict("converged", (_held(held),) if held else (), identified))
    status = "boundary" if told or optimum.status == "boundary" else "ridge"
    return Verdict(status, tuple(notes), identified)


def _unless_polar(at: Scaled, verdict: Verdict) -> Verdict:
    """Return the verdict, or that of a fit in which customers are of two kinds: determined, but to be looked at."""
    if "a" in at and at["a"] + at["b"] < 1.0:
        return Verdict("boundary", (*verdict.notes, _POLAR), verdict.identified)
    return verdict


def _open(params: list[str]) -> str:
    """Return the sentence for parameters that the data leave open without going to a limit."""
    if len(params) == 1:
        return f"The data do not determine {params[0]}: very different values of it are as likely."
    return (
        f"The data do not determine {', '.join(params[:-1])} and {params[-1]}: they can change together, by large "
        "factors, and remain as likely."
    )


def _held(params: list[str]) -> str:
    """Return the sentence for parameters that the penalty determines."""
    return f"The penalty l2 and not the data determines {', '.join(params)}: without it the fit has no such values."
