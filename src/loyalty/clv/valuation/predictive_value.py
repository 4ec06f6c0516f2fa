"""What a customer will really bring: quantiles that hold chance and the errors of the parameters.

Given the number K of a customer's purchases and their own rate of spend ν, the sum of what they cost is Gamma(pK, ν);
what is known of the customer makes ν a Gamma(q + px, γ') variable with γ' = γ + x·m̄. So the sum is γ' times a
beta-prime variable with the shapes pK and q + px, and apart from γ' its distribution depends on the cell alone:

    P(sum ≤ γ'·u) = 1 − P(alive)·(1 − Σₖ P(K = k | alive)·I_{u/(1+u)}(pk, q + px)),   the term of k = 0 being P(K = 0).

Here u are the odds of the sum. The bracket depends on x and T only and is smooth in both u and T: it is tabulated for
each x on a grid of ln u and on few T, and the odds of each cell are found in the table.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from scipy import special

from loyalty.clv.kernels import _gammagamma
from loyalty.clv.kernels.interpolation import ages_to_compute
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.models.uncertainty import quadratic, sigma_points
from loyalty.clv.valuation import chance
from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.kernels import Kernel
    from loyalty.clv.models.spend import SpendFit
    from loyalty.clv.summaries.cells import Cells
    from loyalty.clv.valuation.scoring import Valuation

__all__ = ["Outlook", "limits", "odds", "quantiles"]

Floats = NDArray[np.float64]
Values = tuple[float, ...]

_LEFT_OUT = 1e-6  # probability of more purchases than are counted
_MOST = 20_000  # purchases counted at most
_STEPS = 64  # purchases counted at once, at first
_FINE = 0.2  # grid steps in ln u, as a part of the narrowest peak
_GRID = 48, 768  # fewest and most grid points
_FAINT = 1e-7  # probability below the first grid point, of a sum of one purchase
_HALVINGS = 36  # inside a grid step: so far that ends which engines round differently are the same to 1e-9
_SKEWED, _CERTAIN = 20.0, 7.0  # shapes below which a distribution may have long tails; standard errors that suffice
_LITTLE = 1e-3  # of the variance, and of the square of the mean: errors that add less than this are not seen


def quantiles(valuation: Valuation) -> tuple[Floats, Floats]:
    """Return the odds at both ends of each cell's predictive interval, discounted; shape (n,) each.

    The discount is the cell's mean one: discounted over plain expected purchases.

    Raises:
        InvalidArgument: The model of spend is a mean, which has no distribution.
    """
    fit, spend, cells = valuation.purchases, valuation.spend, valuation.summary.cells
    if isinstance(spend, MeanSpend):
        raise no_distribution()
    horizon, told = valuation.terms.days / fit.days_per_unit, valuation.cells
    outlook = Outlook.of(fit.kernel, (fit.values, fit.log_covariance), (spend.values, spend.log_covariance), horizon)
    low, high = odds(outlook, cells, valuation.terms.confidence, _doubtful(valuation, spend))
    plain = told.expected
    discount = np.divide(told.bought, plain, out=np.ones(len(plain)), where=plain > 0.0)
    return low * discount, high * discount


def _doubtful(valuation: Valuation, spend: SpendFit) -> NDArray[np.bool_]:
    """Return for which cells the errors of the parameters are seen beside chance; shape (n,)."""
    told, cells = valuation.cells, valuation.summary.cells
    slopes = _gammagamma.log_expected_gradient(spend.values, cells.x, np.full(len(cells), _average(spend.values)))
    error = quadratic(told.gradient, valuation.purchases.log_covariance) + quadratic(slopes, spend.log_covariance)
    squared, square = chance.columns(valuation)["squared"], told.bought**2
    doubtful: NDArray[np.bool_] = error * square > _LITTLE * np.minimum(squared - square, square)
    return doubtful


def _average(spend: Values) -> float:
    """Return the mean spend of all customers."""
    p, q, gamma = spend
    return p * gamma / (q - 1.0) if q > 1.0 else 0.0


def no_distribution() -> InvalidArgument:
    """Return the error for a mean of spend, which has no distribution."""
    return InvalidArgument(
        'interval="predictive" needs to know how purchases differ, which the mean of spend does not say: take '
        'interval="confidence", or another spend_model.'
    )


def limits(valuation: Valuation) -> tuple[nw.Expr, nw.Expr]:
    """Return the ends of a customer's predictive interval, on rows that have the columns of `quantiles`.

    There are no service costs: `Terms` refuses them here.
    """
    spend = valuation.spend
    assert not isinstance(spend, MeanSpend)  # noqa: S101 (`quantiles` refused it)
    scale = nw.col("margin") * spend.scale_expression(nw.col("frequency"), nw.col("monetary_value"))
    low, high = scale * nw.col("low_odds"), scale * nw.col("high_odds")
    return nw.min_horizontal(low, high), nw.max_horizontal(low, high)


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """The parameters, and sets of them that stand for what is not known of them, all of the same weight.

    Attributes:
        kernel: The model of purchases.
        purchases: Its parameters in each set.
        spends: p, q, γ in each set.
        purchase: The parameters of purchases as fitted.
        spend: p, q, γ as fitted.
        horizon: In units of the model.
    """

    kernel: Kernel
    purchases: list[Values]
    spends: list[Values]
    purchase: Values
    spend: Values
    horizon: float

    @classmethod
    def of(
        cls, kernel: Kernel, purchases: tuple[Values, Floats], spend: tuple[Values, Floats], horizon: float
    ) -> Outlook:
        """Return the outlook of fitted parameters and the covariances of their logarithms.

        The sets are the sigma points of all parameters together, the two fits being independent: where those of one
        move, those of the other stay.
        """
        count = len(purchases[0]) + len(spend[0])
        sizes = [count / len(values) for values, _ in (purchases, spend)]
        moved = [sigma_points(values, size * covariance)
                 for (values, covariance), size in zip((purchases, spend), sizes, strict=True)]  # fmt: skip
        return cls(
            kernel,
            [*moved[0], *[purchases[0]] * len(moved[1])],
            [*[spend[0]] * len(moved[0]), *moved[1]],
            purchase=purchases[0],
            spend=spend[0],
            horizon=horizon,
        )

    def ratio(self, spend: Values, x: float) -> float:
        """Return γ' of the fitted parameters over that of a set, for a customer of average spend."""
        spent = x * _average(self.spend)
        return (self.spend[2] + spent) / (spend[2] + spent)

    @property
    def certain(self) -> Outlook:
        """The same with the parameters known."""
        return dataclasses.replace(self, purchases=[self.purchase], spends=[self.spend])


def odds(
    outlook: Outlook, cells: Cells, confidence: float, doubtful: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """Return the odds at both ends of each cell's predictive interval, not discounted; good to 1e-3 of themselves.

    Args:
        outlook: The parameters.
        cells: The customers; n of them.
        confidence: Level of the interval.
        doubtful: For which of them the errors of the parameters count; None: for all.

    Returns:
        Smallest u with P(sum ≤ γ'·u) ≥ tail and ≥ 1 − tail, shape (n,) each; 0 where buying nothing is so probable.
    """
    tail = (1.0 - confidence) / 2.0
    low, high = np.empty(len(cells)), np.empty(len(cells))
    doubtful = np.ones(len(cells), dtype=bool) if doubtful is None else doubtful
    for view, some in ((outlook.certain, ~doubtful), (outlook, doubtful)):
        if some.any():
            low[some], high[some] = _odds(view, cells.take(some), tail)
    return low, high


def _odds(outlook: Outlook, cells: Cells, tail: float) -> tuple[Floats, Floats]:
    """Return the odds of cells with all sets of parameters."""
    sets = list(dict.fromkeys(outlook.purchases))
    each = [
        np.broadcast_to(outlook.kernel.p_alive(params, cells.x, cells.t_x, cells.T), cells.x.shape) for params in sets
    ]
    alive = np.stack([each[sets.index(params)] for params in outlook.purchases])
    low, high = np.empty(len(cells)), np.empty(len(cells))
    order = np.argsort(cells.x, kind="stable")
    starts = np.flatnonzero(np.diff(cells.x[order], prepend=-1.0))
    for places in np.split(order, starts[1:]):
        ages, age = np.unique(cells.T[places], return_inverse=True)
        table = _Table.of(outlook, float(cells.x[places[0]]), ages, tail)
        for ends, level in ((low, tail), (high, 1.0 - tail)):
            ends[places] = table.odds(alive[:, places], age, level)
    return low, high


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """P(sum > γ'·u | alive) of customers with the same x.

    Attributes:
        logs: The grid of ln u; shape (J,).
        above: The probabilities by parameter set, age and grid point; shape (S, ages, J).
        some: P(K > 0 | alive) by parameter set and age; shape (S, ages).
        power: Below the grid the probability of a positive sum is as u to this power.
    """

    logs: Floats
    above: Floats
    some: Floats
    power: float

    @classmethod
    def of(cls, outlook: Outlook, x: float, ages: Floats, tail: float) -> _Table:
        """Return the table for customers with x repeat purchases and some ages."""
        nodes, weights = ages_to_compute(ages)
        masses = {params: _masses(outlook, params, x, nodes) for params in dict.fromkeys(outlook.purchases)}
        most = max(len(mass) for mass in masses.values())
        logs = _grid(outlook, x, np.maximum.reduce([_reach(mass, tail) for mass in masses.values()]), tail)
        tails = {spend: _tails(outlook, spend, x, most, logs) for spend in dict.fromkeys(outlook.spends)}
        pairs = list(zip(outlook.purchases, outlook.spends, strict=True))
        above = {pair: weights @ (masses[pair[0]][1:].T @ tails[pair[1]][: len(masses[pair[0]]) - 1])
                 for pair in dict.fromkeys(pairs)}  # fmt: skip
        some = {params: weights @ (1.0 - mass[0]) for params, mass in masses.items()}
        return cls(
            logs,
            np.stack([above[pair] for pair in pairs]),
            np.stack([some[params] for params in outlook.purchases]),
            outlook.spend[0],
        )

    def odds(self, alive: Floats, age: NDArray[np.intp], level: float) -> Floats:
        """Return the odds that a sum stays below with probability `level`.

        Args:
            alive: P(alive) by parameter set and customer; shape (S, n).
            age: Which of the ages each customer has; shape (n,).
            level: A probability.
        """
        chance = 1.0 - level  # of more than the odds

        def exceeds(places: NDArray[np.intp], rows: NDArray[np.intp]) -> Floats:
            return np.einsum("sn,sn->n", alive[:, rows], self.above[:, age[rows], places]) / len(alive)

        everyone = np.arange(len(age))
        some = np.einsum("sn,sn->n", alive, self.some[:, age]) / len(alive)
        last = len(self.logs) - 1
        below, beyond = np.zeros(len(age), np.intp), np.full(len(age), last)
        for _ in range(math.ceil(math.log2(last)) if last > 1 else 0):
            middle = (below + beyond) // 2
            more = exceeds(middle, everyone) > chance
            below, beyond = np.where(more, middle, below), np.where(more, beyond, middle)
        near = [exceeds(np.clip(below + step, 0, last), everyone) for step in (-1, 0, 1, 2)]
        found = np.exp(self.logs[below] + _crossing(near, chance) * (self.logs[1] - self.logs[0]))
        # Before the grid: of the chance of a positive sum so much is missing as a power of u makes up.
        missing = np.maximum(some - chance, 0.0) / np.maximum(
            some - exceeds(np.zeros(len(age), np.intp), everyone), 1e-300
        )
        early = math.exp(self.logs[0]) * np.minimum(missing, 1.0) ** (1.0 / self.power)
        return np.where(some <= chance, 0.0, np.where(missing < 1.0, early, found))


def _crossing(near: Sequence[Floats], chance: float) -> Floats:
    """Return where falling curves, given at −1, 0, 1 and 2, pass a height between 0 and 1 (cubic Hermite)."""
    before, left, right, after = near
    left_slope, right_slope = (right - before) / 2.0, (after - left) / 2.0
    low, high = np.zeros(len(left)), np.ones(len(left))
    for _ in range(_HALVINGS):
        t = (low + high) / 2.0
        rest = 1.0 - t
        value = (
            left * (1.0 + 2.0 * t) * rest * rest
            + left_slope * t * rest * rest
            + right * t * t * (3.0 - 2.0 * t)
            - right_slope * t * t * rest
        )
        low, high = np.where(value > chance, t, low), np.where(value > chance, high, t)
    return (low + high) / 2.0


def _masses(outlook: Outlook, params: Values, x: float, ages: Floats) -> Floats:
    """Return P(K = k | alive) for k = 0, 1, … by age, until next to nothing is left out; shape (counts, ages)."""
    parts: list[Floats] = []
    count, steps, left = 0, _STEPS, np.ones(len(ages))
    while left.max() > _LEFT_OUT and count < _MOST:
        counts = np.arange(count, count + steps, dtype=np.float64)[:, None]
        mass = outlook.kernel.probability(params, np.full(len(ages), x), ages, outlook.horizon, counts)
        parts.append(np.broadcast_to(mass, (steps, len(ages))))
        left = left - parts[-1].sum(axis=0)
        count, steps = count + steps, min(2 * steps, 1024)
    mass = np.concatenate(parts)
    needed = np.flatnonzero(mass.max(axis=1) > _LEFT_OUT * 1e-3)
    return mass[: int(needed[-1]) + 1 if len(needed) else 1]


def _reach(mass: Floats, tail: float) -> int:
    """Return a number of purchases that is exceeded with a tenth of the tail's probability at most, at every age."""
    enough = (np.cumsum(mass, axis=0) >= 1.0 - tail / 10.0).all(axis=1)
    return max(1, int(np.argmax(enough)) if enough.any() else len(mass) - 1)


def _grid(outlook: Outlook, x: float, most: int, tail: float) -> Floats:
    """Return ln u from where a purchase is next to never to where the sum of all is."""
    p, q, _ = outlook.spend
    shape = q + p * x
    first = _log_odds(p, shape, _FAINT)
    last = _log_odds(p * most, shape, 1.0 - tail / 10.0)
    narrow = math.sqrt(1.0 / p + 1.0 / shape)
    points = int(np.clip((last - first) / (_FINE * min(narrow, 1.0)), *_GRID))
    return np.linspace(first, last + 0.5, points)


def _log_odds(a: float, b: float, probability: float) -> float:
    """Return the logarithm of a quantile of the beta-prime distribution."""
    share = float(special.betaincinv(a, b, probability))
    rest = float(special.betaincinv(b, a, 1.0 - probability))
    return math.log(max(share, 1e-300)) - math.log(max(rest, 1e-300))


def _tails(outlook: Outlook, spend: Values, x: float, most: int, logs: Floats) -> Floats:
    """Return P(sum of k purchases > γ'·u) for k = 1, 2, …, most − 1; shape (counts, J)."""
    p, q, _ = spend
    ahead, rest = logs + math.log(outlook.ratio(spend, x)), q + p * x
    shapes = p * np.arange(1.0, max(most, 2))[:, None]
    # Where both shapes are large, ln u is close to normal, and all but a band of it is certain.
    middle, width = np.log(shapes / rest), np.sqrt(1.0 / shapes + 1.0 / rest)
    found = np.broadcast_to(ahead < middle, (len(shapes), len(logs))).astype(np.float64)
    unsure = (np.abs(ahead - middle) < _CERTAIN * width) | (np.minimum(shapes, rest) < _SKEWED)
    return special.betainc(rest, shapes, special.expit(-ahead), out=found, where=unsure)
