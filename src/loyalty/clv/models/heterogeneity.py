"""How customers differ: the distributions that a model gives their rates and chances."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from loyalty import wording
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.models.fits import Fit

__all__ = ["heterogeneity"]

Floats = NDArray[np.float64]

_POINTS = 200  # of a curve, after its start
_TAIL = 0.01  # share of customers beyond the end of a curve
_NARROW = 1.0 / 3.0  # a distribution whose outer quantiles differ by less than this factor has its own start
_SAME = 1e-3  # customers between whose outer quantiles there is no more than this part of them are all alike
_FIRST = 10.0  # even steps within which a mode needs more points
_AROUND = np.geomspace(1.0 / 64.0, 64.0, 97)  # such points, times the mode
_HEAVY, _FAR = (_TAIL, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4), 30.0  # of them the first that begins within so many medians


class _Law(NamedTuple):
    """A distribution over customers.

    Attributes:
        density: Value → density.
        share: Value → share of customers at or below it.
        value: Share → value.
        mean: Its mean.
        most: The largest value that can be.
        mode: Where its density is highest; 0 where that is an end, or where it is infinite.
    """

    density: Callable[[Floats], Floats]
    share: Callable[[Floats], Floats]
    value: Callable[[float], float]
    mean: float
    most: float = math.inf
    mode: float = 0.0


def _gamma(shape: float, rate: float) -> _Law:
    """Return the Gamma distribution."""

    def density(v: Floats) -> Floats:
        log = special.xlogy(shape - 1.0, rate * v) - rate * v - special.gammaln(shape)
        return np.asarray(rate * np.exp(log), dtype=np.float64)

    return _Law(
        density,
        lambda v: np.asarray(special.gammainc(shape, rate * v), dtype=np.float64),
        lambda p: float(special.gammaincinv(shape, p)) / rate,
        shape / rate,
        mode=max(shape - 1.0, 0.0) / rate,
    )


def _beta(a: float, b: float) -> _Law:
    """Return the beta distribution."""

    def density(v: Floats) -> Floats:
        log = special.xlogy(a - 1.0, v) + special.xlog1py(b - 1.0, -v) - special.betaln(a, b)
        return np.asarray(np.exp(log), dtype=np.float64)

    return _Law(
        density,
        lambda v: np.asarray(special.betainc(a, b, v), dtype=np.float64),
        lambda p: float(special.betaincinv(a, b, p)),
        a / (a + b),
        1.0,
        mode=(a - 1.0) / (a + b - 2.0) if min(a, b) > 1.0 else 0.0,
    )


def _inverse_gamma(shape: float, scale: float) -> _Law:
    """Return the distribution of scale over a Gamma(shape, 1) variable."""

    def density(v: Floats) -> Floats:
        there = np.where(v > 0.0, v, 1.0)
        log = shape * np.log(scale / there) - scale / there - special.gammaln(shape) - np.log(there)
        return np.where(v > 0.0, np.exp(log), 0.0)

    def share(v: Floats) -> Floats:
        return np.where(v > 0.0, special.gammaincc(shape, scale / np.where(v > 0.0, v, 1.0)), 0.0)

    def value(p: float) -> float:
        below = float(special.gammainccinv(shape, p))
        return scale / below if below > 0.0 else math.inf  # so many customers differ by more than a float can hold

    return _Law(
        density,
        share,
        value,
        scale / (shape - 1.0) if shape > 1.0 else math.inf,
        mode=scale / (shape + 1.0),
    )


Params = Mapping[str, float]


def _buying(p: Params, unit: str) -> dict[str, _Law]:
    return {f"purchase rate (per {unit})": _gamma(p["r"], p["alpha"])}


def _geometric(p: Params, unit: str, after: str) -> dict[str, _Law]:
    return {**_buying(p, unit), f"chance of dropping out after each {after}": _beta(p["a"], p["b"])}


def _gompertz(p: Params, unit: str) -> dict[str, _Law]:
    # Of the danger η·b·exp(bτ) of dropping out at τ the paper's η has no unit; at first it is η·b, which has that of a
    # rate, and is that of the Pareto/NBD where b is small.
    danger = _gamma(p["s"], p["beta"] / p["b"])
    return {**_buying(p, unit), f"dropout rate at first (per {unit})": danger}


def _discrete(p: Params, unit: str) -> dict[str, _Law]:
    return {
        f"chance of buying in a {unit}": _beta(p["alpha"], p["beta"]),
        f"chance of dropping out before a {unit}": _beta(p["gamma"], p["delta"]),
    }


_LAWS: dict[str, Callable[[Params, str], dict[str, _Law]]] = {
    "BGNBD": lambda p, unit: _geometric(p, unit, "repeat purchase"),
    "MBGNBD": lambda p, unit: _geometric(p, unit, "purchase"),
    "ParetoNBD": lambda p, unit: {**_buying(p, unit), f"dropout rate (per {unit})": _gamma(p["s"], p["beta"])},
    "GGomNBD": _gompertz,
    "NBD": _buying,
    "BGBB": _discrete,
    "SBG": lambda p, _: {"chance of leaving at each renewal": _beta(p["alpha"], p["beta"])},
    "BDW": lambda p, _: {"chance of leaving at the first renewal": _beta(p["alpha"], p["beta"])},
    "GammaGamma": lambda p, _: {"mean spend per purchase (money)": _inverse_gamma(p["q"], p["p"] * p["gamma"])},
}


def heterogeneity(fit: Fit) -> Table:
    """Return how customers differ, by the parameters of a fit: a curve for each rate or chance.

    Returns:
        In order of value: `rate` (which one, with its unit), `value`, `density` (over customers, per unit of the
        value) and `share` (of customers at or below the value). See `LifetimeFit.heterogeneity` for where a curve
        begins and ends; that of mean spend ends where the median is exceeded thirty times. The note has what the fit
        leaves open.
    """
    import pyarrow as pa

    laws = _LAWS[fit.model](fit.params, fit.unit)
    parts, notes = [], []
    for name, law in laws.items():
        values = _values(law)
        if not len(values):
            notes.append(f"{name}: {_nearly(law)}, so that there is no curve to draw")
        density, share = law.density(values), law.share(values)
        parts.append({"rate": [name] * len(values), "value": values, "density": density, "share": share})
    columns = {
        name: np.concatenate([part[name] for part in parts]).tolist() for name in ("rate", "value", "density", "share")
    }
    types = [("rate", pa.string()), ("value", pa.float64()), ("density", pa.float64()), ("share", pa.float64())]
    return Table(
        name=f"how customers differ, by {fit.model}",
        data=pa.table(columns, schema=pa.schema(types)),
        kind="pandas",
        sentence=" ".join(f"{name[:1].upper()}{name[1:]}: {_middle(law)}." for name, law in laws.items()),
        definition="Density over customers of each rate or chance that the model gives them, and the share of "
        "customers at or below each value.",
        units={"share": "share"},
        note="; ".join([*notes, *_left_open(fit)]),
        chart="heterogeneity",
    )


def _left_open(fit: Fit) -> list[str]:
    """Return the notes of a fit whose data leave something open, of which then such curves are drawn, too."""
    return [] if fit.status == "converged" else [note.removesuffix(".") for note in fit.notes]


def _values(law: _Law) -> Floats:
    """Return where to draw a curve: even steps over nearly all customers, but for places of infinite density.

    Where the mode lies within the first steps, it and places around it are added.
    """
    low, high = law.value(_TAIL), _end(law)
    if not 0.0 < high < math.inf or high - low <= _SAME * high:
        return np.empty(0)
    start, end = 0.0, high
    if low > _NARROW * high:
        start, end = law.value(_TAIL / 10.0), min(law.value(1.0 - _TAIL / 10.0), law.most)
    elif high > law.most / 2.0:
        end = law.most
    values = np.linspace(start, end, _POINTS + 1)
    if 0.0 < law.mode < _FIRST * (values[1] - values[0]) and start == 0.0:
        near = law.mode * _AROUND
        values = np.unique(np.concatenate([values, near[near < end]]))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        proper = np.isfinite(law.density(values))
    found: Floats = values[proper]
    return found


def _end(law: _Law) -> float:
    """Return where a curve ends: with one customer in a hundred beyond it, or more in a tail that would hide it."""
    if not law.mode:
        return law.value(1.0 - _TAIL)
    furthest = _FAR * law.value(0.5)
    return next((end for tail in _HEAVY if (end := law.value(1.0 - tail)) <= furthest), math.inf)


def _nearly(law: _Law) -> str:
    """Return why there is no curve: customers are all but the same, or differ without bounds."""
    if math.isinf(_end(law)):
        return "customers differ by more than a picture can show"
    return f"next to all customers have {law.value(0.5):.3g}"


def _middle(law: _Law) -> str:
    """Return mean and median in words."""
    half = law.value(0.5)
    if math.isinf(half):
        return f"mean {_short(law.mean)}, and no number that half of the customers are below"
    return f"mean {_short(law.mean)}, half of the customers below {_short(half)}"


def _short(value: float) -> str:
    """Return a rate in three digits."""
    return wording.plain(value) if abs(value) >= 100.0 or not math.isfinite(value) else f"{value:.3g}"
