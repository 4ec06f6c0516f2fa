"""How sure a prediction is: of the parameters (confidence), and of what a customer will really do (predictive)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import intervals, wording
from loyalty.clv.summaries.histories import Pairs

if TYPE_CHECKING:
    from loyalty.clv.kernels import Kernel
    from loyalty.clv.models.fits import Fit

__all__ = [
    "NO_INTERVAL",
    "Prediction",
    "delta_limits",
    "held",
    "interval_note",
    "log_differences",
    "log_spread",
    "purchase_limits",
    "quadratic",
    "sigma_points",
    "spread_limits",
    "variance_expression",
    "where_known",
]

Floats = NDArray[np.float64]
Values = tuple[float, ...]

_DIFFERENCE = 1e-4  # of central differences in log parameters
_NEAREST, _FARTHEST = 0.03, 2.0  # how far a sigma point moves a log parameter at least and at most
_MOST = 20_000  # purchases counted before the upper end of a predictive interval is called infinite
_BLOCK = 200_000  # probabilities found at once
_NOTHING = 1e-8  # a spread below this part of the steepest slope is none

NO_INTERVAL = (
    "No interval where the data determine none of the parameters that the prediction depends on: the notes of the fit "
    "say why."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A prediction with its interval.

    Attributes:
        value: The prediction: a number, or an array with an entry per customer.
        low: Lower end of the interval, of the same shape; NaN where the data determine none of the parameters that
            the prediction depends on, so that nothing is known of how far off it is.
        high: Upper end of the interval, of the same shape; NaN with the lower end.
        confidence: Level of the interval, between 0 and 1.
        kind: "confidence" (how well the parameters are known) or "predictive" (what the customer will really do).
    """

    value: Any
    low: Any
    high: Any
    confidence: float
    kind: str

    @property
    def note(self) -> str:
        """Why there is no interval, where there is none; else nothing."""
        return interval_note(self.value, self.low)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        named = {name: getattr(self, name) for name in ("value", "low", "high")}
        lists = {name: part.tolist() if isinstance(part, np.ndarray) else part for name, part in named.items()}
        ready: dict[str, Any] = wording.jsonable(
            {**lists, "confidence": self.confidence, "kind": self.kind, "note": self.note}
        )
        return ready


def interval_note(value: Any, low: Any) -> str:
    """Return why predictions have no interval, where some have none; else nothing."""
    missing = np.isnan(low) & ~np.isnan(value)
    return NO_INTERVAL if missing.any() else ""


def log_spread(log_gradient: Floats, log_covariance: Floats) -> Floats:
    """Return the standard error of ln(quantity) of each customer, from its derivatives of shape (k, n)."""
    return np.sqrt(quadratic(log_gradient, log_covariance))


def quadratic(left: Floats, matrix: Floats, right: Floats | None = None) -> Floats:
    """Return aᵢ'·M·bᵢ for the columns aᵢ, bᵢ of two arrays of shape (k, n); of one array aᵢ'·M·aᵢ, never below 0."""
    if right is None:
        return np.maximum(((matrix @ left) * left).sum(axis=0), 0.0)
    found: Floats = ((matrix @ right) * left).sum(axis=0)
    return found


def variance_expression(slopes: list[nw.Expr], log_covariance: Floats) -> nw.Expr:
    """Return `quadratic` of expressions: the variance of ln(quantity) from its k derivatives, in the engine."""
    variance = nw.lit(0.0)
    for i, j in zip(*np.triu_indices(len(slopes)), strict=True):
        size = float(log_covariance[i, j]) * (1.0 if i == j else 2.0)
        if size:
            variance = variance + slopes[i] * slopes[j] * size
    return nw.when(variance > 0.0).then(variance).otherwise(nw.lit(0.0))


def spread_limits(value: Floats, spread: Floats, confidence: float, top: float = math.inf) -> tuple[Floats, Floats]:
    """Return the ends of an interval by the delta method.

    Args:
        value: The prediction, not negative; shape (n,).
        spread: Standard error of its logarithm; shape (n,).
        confidence: Level of the interval.
        top: What the value cannot exceed: the interval is then taken on the scale of ln(value / (top − value)).

    Returns:
        Lower and upper ends: low ≤ value ≤ high, and between 0 and top.
    """
    z = intervals.normal_quantile(confidence)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if math.isinf(top):
            factor = np.exp(z * spread)
            low, high = value / factor, value * factor
        else:
            share = value / top
            odds = np.exp(z * spread / (1.0 - share))
            low = top * share / (share + (1.0 - share) * odds)
            high = top * share / (share + (1.0 - share) / odds)
    # Where the value is a limit itself (0, top, infinite) or does not depend on the parameters, so do its ends.
    fixed = ~((value > 0.0) & (value < top)) | (spread == 0.0)
    low, high = np.where(fixed | np.isnan(low), value, low), np.where(fixed | np.isnan(high), value, high)
    return np.minimum(low, value), np.maximum(high, value)


def log_differences(values: Values, quantity: Callable[[Values], Floats]) -> Floats:
    """Return the derivatives of ln(quantity) by the log parameters, shape (k, n), by central differences.

    They are zero where the quantity is zero or infinite.
    """
    logs = np.log(values)
    steps = _DIFFERENCE * np.eye(len(logs))
    below, above = (
        np.stack([quantity(tuple(np.exp(logs + sign * step).tolist())) for step in steps]) for sign in (-1.0, 1.0)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = (np.log(above) - np.log(below)) / (2.0 * _DIFFERENCE)
    return np.where(np.isfinite(slopes), slopes, 0.0)


def delta_limits(
    fit: Fit, quantity: Callable[[Values], Floats], confidence: float, top: float = math.inf
) -> tuple[Floats, Floats, Floats]:
    """Return a prediction, a function of the parameters, with its confidence interval by the delta method.

    The ends are NaN where nothing that the prediction depends on is determined; arguments as in `spread_limits`.
    """
    value, slopes = quantity(fit.values), log_differences(fit.values, quantity)
    spread = log_spread(slopes, fit.log_covariance)
    low, high = spread_limits(value, spread, confidence, top)
    blank = held(fit, quantity, value, slopes, spread)
    return value, np.where(blank, math.nan, low), np.where(blank, math.nan, high)


def held(
    fit: Fit, quantity: Callable[[Values], Floats], value: Floats, slopes: Floats, spread: Floats
) -> NDArray[np.bool_]:
    """Return for each customer whether a prediction depends on nothing but parameters that the data leave open.

    These count as known, so that it has no spread. That is no precision, unless the parameters do not matter: a
    prediction that is the same elsewhere (that a new customer is alive, in the BG/NBD) is known.

    Args:
        fit: The fit.
        quantity: Parameters → the prediction, shape (n,).
        value: The prediction.
        slopes: Derivatives of its logarithm by the log parameters, shape (k, n).
        spread: Standard error of its logarithm.
    """
    still: NDArray[np.bool_] = spread <= _NOTHING * np.abs(slopes).max(axis=0)
    if all(fit.identified.values()) or not still.any():
        return np.zeros(still.shape, dtype=np.bool_)
    elsewhere = tuple(1.0 + 0.3 * place for place in range(len(fit.values)))
    found: NDArray[np.bool_] = still & np.isfinite(value) & (quantity(elsewhere) != value)
    return found


def where_known(ends: tuple[Floats, ...], sure: tuple[Floats, ...]) -> tuple[Floats, Floats]:
    """Return the ends of predictive intervals, NaN where those of the confidence intervals are."""
    low, high = (np.where(np.isnan(known), math.nan, end) for end, known in zip(ends, sure, strict=True))
    return low, high


def sigma_points(values: Values, log_covariance: Floats) -> list[Values]:
    """Return parameter sets that stand for the uncertainty of the parameters, all of equal weight.

    The 2·k symmetric points θ ± √k·σᵢ of the log parameters, σᵢ the columns of a root of their covariance: exact for
    the mean of cubic functions (Arasaratnam & Haykin 2009, IEEE Transactions on Automatic Control 54, 1254-1269). No
    point moves a parameter by more than a factor e², so that what is hardly known does not lead into nonsense; a pair
    that moves no parameter by 3 % is the estimate itself twice, for what the two change cancels to some thousandths.
    """
    roots, directions = np.linalg.eigh(log_covariance)
    columns = (directions * np.sqrt(np.maximum(roots, 0.0) * len(values))).T
    columns /= np.maximum(np.abs(columns).max(axis=1, keepdims=True) / _FARTHEST, 1.0)
    logs, found = np.log(values), []
    for column in columns:
        far = float(np.abs(column).max()) > _NEAREST
        found += [tuple(np.exp(logs + sign * column).tolist()) if far else tuple(values) for sign in (-1.0, 1.0)]
    return found


def purchase_limits(
    kernel: Kernel, points: list[Values], history: tuple[Floats, ...], horizon: float, confidence: float
) -> tuple[Floats, Floats]:
    """Return the ends of the predictive interval of the number of purchases within a horizon.

    The distribution of a customer's purchases is the mean over parameter sets of (1 − P(alive))·{none} + P(alive)·(the
    distribution of a customer who is alive). The ends are its quantiles: the smallest numbers that it does not exceed
    with probability tail and 1 − tail.

    Args:
        kernel: The model.
        points: Parameter sets of equal weight.
        history: x, t_x and T; each of shape (n,).
        horizon: In units of the model.
        confidence: Level of the interval.

    Returns:
        Lower and upper ends, shape (n,), whole numbers; infinite above 20,000.
    """
    x, t_x, T = history  # noqa: N806
    tail = (1.0 - confidence) / 2.0
    pairs, weights = Pairs.of(x, T), Counter(points)
    shares, points = np.array([*weights.values()]) / len(points), list(weights)
    alive = np.stack([np.broadcast_to(kernel.p_alive(params, x, t_x, T), x.shape) for params in points])
    low, high = np.full(len(x), math.inf), np.full(len(x), math.inf)
    below = np.zeros((len(points), len(pairs.x)))  # P(X < count), given alive
    todo, count = np.arange(len(x)), 0
    while len(todo) and count < _MOST:
        rows = np.unique(pairs.place[todo])
        place = np.searchsorted(rows, pairs.place[todo])
        steps = int(np.clip(_BLOCK // len(todo), 1, 64))
        counts = np.arange(count, count + steps, dtype=np.float64)[:, None]
        chances = np.zeros((steps, len(todo)))  # P(X ≤ count)
        for row, params in enumerate(points):
            mass = kernel.probability(params, pairs.x[rows], pairs.T[rows], horizon, counts)
            sums = below[row, rows] + np.cumsum(mass, axis=0)
            below[row, rows] = sums[-1]
            chances += shares[row] * (1.0 - alive[row, todo] * (1.0 - sums[:, place]))
        for ends, level in ((low, tail), (high, 1.0 - tail)):
            reached = chances >= level - 1e-12
            first = np.where(reached.any(axis=0), count + np.argmax(reached, axis=0), math.inf)
            ends[todo] = np.minimum(ends[todo], first)
        todo, count = todo[~np.isfinite(high[todo])], count + steps
    return low, high
