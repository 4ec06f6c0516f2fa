"""Beta-geometric/beta-Bernoulli kernel (Fader, Hardie & Shang 2010): purchases at discrete opportunities.

While alive, a customer buys at each opportunity with a chance p of their own, p ~ Beta(α, β); before each opportunity
they drop out with a chance θ, θ ~ Beta(γ, δ). With x purchases, the last at opportunity t_x of n,

    L = B(α+x, β+n−x)/B(α, β) · B(γ, δ+n)/B(γ, δ)
        + Σ_{j = t_x … n−1} B(α+x, β+j−x)/B(α, β) · B(γ+1, δ+j)/B(γ, δ):

alive at n, or gone after j opportunities. Given alive at n, p ~ Beta(α+x, β+n−x) and θ ~ Beta(γ, δ+n), independently.
"Given alive" functions take (x, n) only. A new customer is x = 0, t_x = 0, n = 0.

Each term of the sum is a rational multiple of the one before it. The sums from every j to the end therefore follow
from one backward recurrence per distinct x, for all cells at once; nothing underflows, for they are kept relative to
their first term, and the number of opportunities may differ from customer to customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.kernels import _beta

if TYPE_CHECKING:
    from loyalty.clv.summaries.cells import Cells

__all__ = [
    "NAMES",
    "factorial_moment",
    "gradient",
    "log_likelihood",
    "p_alive",
    "posterior_means",
    "probability",
    "purchases",
    "start",
    "survival",
    "time_alive",
    "total",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Params = Sequence[Any]

NAMES = ("alpha", "beta", "gamma", "delta")
_BLOCK = 2_000_000  # numbers in a table: bounds the memory of a call


@dataclass(slots=True)
class _Histories:
    """What is known of each customer, relative to the term j = t_x of the sum.

    Attributes:
        first: Logarithm of that term; shape (n,).
        gone: The sum; shape (n,).
        alive: The part of those still alive; shape (n,).
        slopes: Derivatives of gone + alive by the logarithms of the parameters, plus (gone + alive) times those of
            the logarithm of the first term: the derivatives of the likelihood itself, relative; shape (4, n), or (0, n)
            where they were not asked for.
    """

    first: Floats
    gone: Floats
    alive: Floats
    slopes: Floats


def log_likelihood(params: Params, x: Any, t_x: Any, n: Any) -> Floats:
    """Return the log-likelihood of each customer.

    Args:
        params: α, β, γ, δ; numbers or arrays that broadcast with the customers.
        x: Purchases, whole numbers; shape (m,).
        t_x: Opportunity of the last purchase, 0 without one; shape (m,).
        n: Opportunities; shape (m,).
    """
    found = _histories(params, x, t_x, n, slopes=False)
    return found.first + np.log(found.gone + found.alive)


def gradient(params: Params, x: Any, t_x: Any, n: Any) -> Floats:
    """Return the derivatives of `log_likelihood` by the logarithms of α, β, γ, δ; shape (4, m)."""
    found = _histories(params, x, t_x, n, slopes=True)
    return found.slopes / (found.gone + found.alive)


def total(params: Params, cells: Cells) -> tuple[float, Floats]:
    """Return the log-likelihood of all cells (T being n) and its derivatives, shape (4,)."""
    found = _histories(params, cells.x, cells.t_x, cells.T, slopes=True)
    whole = found.gone + found.alive
    return float(cells.weight @ (found.first + np.log(whole))), (found.slopes / whole) @ cells.weight


def start(cells: Cells) -> Floats:
    """Return logarithms of parameters to begin a fit with: the likeliest of a few."""
    grid = [
        (share, 1.0 - share, leaving * scale, (1.0 - leaving) * scale)
        for share in (0.1, 0.3, 0.5, 0.8)
        for leaving in (0.02, 0.1, 0.3)
        for scale in (1.0, 4.0)
    ]

    def total_of(params: Params) -> float:
        return float(np.sum(cells.weight * log_likelihood(params, cells.x, cells.t_x, cells.T)))

    return np.log(max(grid, key=total_of))


def p_alive(params: Params, x: Any, t_x: Any, n: Any, ahead: Any = 0) -> Floats:
    """Return P(alive at opportunity n + ahead), given the history up to n."""
    found = _histories(params, x, t_x, n, slopes=False)
    return found.alive / (found.gone + found.alive) * survival(params, n, ahead)


def survival(params: Params, n: Any, ahead: Any) -> Floats:
    """Return P(alive at opportunity n + ahead) of those alive at n."""
    _, _, gamma, delta = params
    return np.exp(_beta.log_survival(gamma, np.add(delta, n), ahead))


def time_alive(params: Params, n: Any, horizon: float, discount: float = 1.0) -> Floats:
    """Return, of those alive at n, the expected number of the next opportunities at which they still are.

    Args:
        params: α, β, γ, δ.
        n: Opportunities so far; shape (m,).
        horizon: How many opportunities ahead; infinity is allowed, and without discount the sum is infinite for γ ≤ 1.
        discount: What an opportunity counts for each one it is later: the k-th counts discount^k.
    """
    _, _, gamma, delta = params
    gamma, after = np.broadcast_arrays(np.asarray(gamma, dtype=np.float64), np.add(delta, n))
    if np.isinf(horizon) and discount >= 1.0:
        with np.errstate(divide="ignore"):
            return np.where(gamma > 1.0, after / np.maximum(gamma - 1.0, 0.0), np.inf)
    pairs, place = np.unique(np.stack([gamma.ravel(), after.ravel()]), axis=1, return_inverse=True)
    log_discount = np.log(discount)
    sums = _beta.summed(lambda k: _beta.log_survival(pairs[0], pairs[1], k) + k * log_discount, horizon)
    return sums[place.ravel()].reshape(after.shape)


def purchases(params: Params, x: Any, n: Any, horizon: float, discount: float = 1.0) -> Floats:
    """Return, of those alive at n, the expected purchases at the next opportunities; arguments as in `time_alive`."""
    alpha, beta, _, _ = params
    return np.add(alpha, x) / (np.add(alpha, beta) + n) * time_alive(params, n, horizon, discount)


def factorial_moment(params: Params, x: Any, n: Any, horizon: int) -> Floats:
    """Return, of those alive at n, E[X·(X − 1)] of the purchases X at the next `horizon` opportunities."""
    alpha, beta, gamma, delta = params
    bought, seen = np.add(alpha, x), np.add(alpha, beta) + n
    both = bought / seen * (bought + 1.0) / (seen + 1.0)
    gamma, after = np.broadcast_arrays(np.asarray(gamma, dtype=np.float64), np.add(delta, n))
    if horizon < 2:
        return both * np.zeros(after.shape)
    # Pairs of opportunities i < k, both bought at: alive at the later one, of which there are k − 1.
    pairs = _beta.summed(lambda k: _beta.log_survival(gamma.ravel(), after.ravel(), k + 1.0) + np.log(k), horizon - 1)
    return 2.0 * both * pairs.reshape(after.shape)


def probability(params: Params, x: Any, n: Any, horizon: int, count: Any) -> Floats:
    """Return, of those alive at n, P(X = count) of the purchases X at the next `horizon` opportunities."""
    columns = [np.asarray(one, dtype=np.float64) for one in (*params, x, n, count)]
    shape = np.broadcast_shapes(*(one.shape for one in columns))
    table = np.column_stack([np.broadcast_to(one, shape).ravel() for one in columns])
    block = max(1, _BLOCK // (int(horizon) + 1))
    parts = [_probability(table[at : at + block].T, int(horizon)) for at in range(0, len(table), block)]
    return np.concatenate([np.empty(0), *parts]).reshape(shape)


def _probability(columns: Floats, horizon: int) -> Floats:
    """Return `probability` of some customers: a sum over the opportunities a that they live to see.

    Those who see a of them buy at `count` with the beta-binomial probability; they see exactly a < horizon and then
    leave, or all of them. Each term is a rational multiple of the one before it.
    """
    alpha, beta, gamma, delta, x, n, count = columns[:, :, None]
    alpha, beta, delta = alpha + x, beta + n - x, delta + n
    first = (
        _beta.log_survival(beta, alpha, count)
        + _beta.log_survival(gamma, delta, count)
        + np.log(gamma / (gamma + delta + count))
    )
    i = np.arange(horizon)[None, :]  # terms after the first, a = count + i
    seen = count + i
    ratio = (seen + 1.0) / (i + 1.0) * (beta + i) / (alpha + beta + seen)
    ratio = ratio * (delta + seen) / (gamma + delta + 1.0 + seen)
    terms = np.concatenate([first, first + np.cumsum(np.log(ratio), axis=1)], axis=1)
    places = count + np.arange(horizon + 1)[None, :]
    # Those who see all opportunities also are those who would leave only later.
    terms = np.where(places == horizon, terms + np.log((gamma + delta + horizon) / gamma), terms)
    terms = np.where(places <= horizon, terms, -np.inf)
    highest = np.maximum(terms.max(axis=1), -1e300)
    return np.exp(highest) * np.exp(terms - highest[:, None]).sum(axis=1)


def posterior_means(params: Params, x: Any, t_x: Any, n: Any) -> tuple[Floats, Floats]:
    """Return E[p] and E[θ] of each customer, given the history."""
    alpha, beta, gamma, delta = params
    plain = log_likelihood(params, x, t_x, n)
    buying = log_likelihood((np.add(alpha, 1.0), beta, gamma, delta), x, t_x, n)
    leaving = log_likelihood((alpha, beta, np.add(gamma, 1.0), delta), x, t_x, n)
    return (
        alpha / np.add(alpha, beta) * np.exp(buying - plain),
        gamma / np.add(gamma, delta) * np.exp(leaving - plain),
    )


def _histories(params: Params, x: Any, t_x: Any, n: Any, *, slopes: bool) -> _Histories:
    """Return what is known of each customer, in blocks where each has parameters of its own."""
    x, t_x, n = (np.atleast_1d(np.asarray(one)).astype(np.int64) for one in (x, t_x, n))
    longest = int(n.max(initial=0))
    if all(np.ndim(one) == 0 for one in params):
        x, t_x, n = np.broadcast_arrays(x, t_x, n)
        distinct, column = np.unique(x, return_inverse=True)
        tables = _Tables(np.array(params, dtype=np.float64)[:, None], distinct, longest, slopes=slopes)
        return tables.read(column, t_x, n)
    *params, x, t_x, n = np.broadcast_arrays(*params, x, t_x, n)
    own, parts = np.array(params, dtype=np.float64), []
    block = max(1, _BLOCK // (longest + 2))
    for at in range(0, max(len(x), 1), block):
        some = slice(at, at + block)
        tables = _Tables(own[:, some], x[some], longest, slopes=slopes)
        parts.append(tables.read(np.arange(len(x[some])), t_x[some], n[some]))
    return _Histories(
        first=np.concatenate([part.first for part in parts]),
        gone=np.concatenate([part.gone for part in parts]),
        alive=np.concatenate([part.alive for part in parts]),
        slopes=np.concatenate([part.slopes for part in parts], axis=1),
    )


class _Tables:
    """The terms of the sum by j (rows 0 … longest) and by distinct parameters and x (columns), and sums from j on."""

    def __init__(self, params: Floats, x: Ints, longest: int, *, slopes: bool) -> None:
        alpha, beta, gamma, delta = self.params = params
        j = np.arange(longest + 1)[:, None]
        lapsed = np.maximum(j - x, 0)  # opportunities not used; rows j < x are never read
        both = _rising(alpha + beta, longest + 1)
        stays, all_stays = _rising(delta, longest + 1), _rising(gamma + delta, longest + 2)
        bought = _at(_rising(alpha, longest + 1), x[None, :])
        missed = _at(_rising(beta, longest + 1), lapsed)
        self.log_terms = bought + missed - both + stays - all_stays[1:] + np.log(gamma)
        ratio = (beta + lapsed) / (alpha + beta + j) * (delta + j) / (gamma + delta + 1.0 + j)
        rows = [np.ones(ratio.shape)]
        if slopes:
            self.slopes, self.alive_slopes = _slopes(params, x, lapsed, longest)
            rows += list(self.slopes)
        self.sums = np.zeros((len(rows), *ratio.shape))
        stacked = np.stack(rows)
        for row in range(longest - 1, -1, -1):
            self.sums[:, row] = stacked[:, row] + ratio[row] * self.sums[:, row + 1]

    def read(self, column: Ints, t_x: Ints, n: Ints) -> _Histories:
        """Return what is known of customers: the sum from t_x to n − 1 is the one from t_x on less the one from n on.

        Terms fall with j, so that the difference loses no more digits than the number of opportunities has.
        """
        first = self.log_terms[t_x, column]
        jump = np.exp(self.log_terms[n, column] - first)
        gone, *slopes = self.sums[:, t_x, column] - jump * self.sums[:, n, column]
        own = column if self.params.shape[1] > 1 else np.zeros_like(column)
        _, _, gamma, delta = self.params[:, own]
        alive = jump * (gamma + delta + n) / gamma
        if not slopes:
            return _Histories(first, gone, alive, np.empty((0, len(first))))
        return _Histories(first, gone, alive, np.stack(slopes) + alive * self.alive_slopes[:, n, column])


def _slopes(params: Floats, x: Ints, lapsed: Ints, longest: int) -> tuple[Floats, Floats]:
    """Return the derivatives of each term's logarithm by those of the parameters, and those of the part of the alive.

    Shapes (4, longest + 1, columns).
    """
    alpha, beta, gamma, delta = params
    both = _harmonic(alpha + beta, longest + 1)
    stays, all_stays = _harmonic(delta, longest + 1), _harmonic(gamma + delta, longest + 2)
    by_alpha = alpha * (_at(_harmonic(alpha, longest + 1), x[None, :]) - both)
    by_beta = beta * (_at(_harmonic(beta, longest + 1), lapsed) - both)
    by_gamma, by_delta = 1.0 - gamma * all_stays[1:], delta * (stays - all_stays[1:])
    alive_gamma, alive_delta = -gamma * all_stays[:-1], delta * (stays - all_stays[:-1])
    shape = np.broadcast_shapes(by_alpha.shape, by_beta.shape)

    def stack(*parts: Floats) -> Floats:
        return np.stack([np.broadcast_to(part, shape) for part in parts])

    return stack(by_alpha, by_beta, by_gamma, by_delta), stack(by_alpha, by_beta, alive_gamma, alive_delta)


def _rising(a: Floats, rows: int) -> Floats:
    """Return ln(a·(a+1)·…·(a+k−1)) for k = 0 … rows − 1; shape (rows, columns)."""
    logs = np.log(a + np.arange(rows - 1)[:, None])
    return np.concatenate([np.zeros((1, len(a))), np.cumsum(logs, axis=0)])


def _harmonic(a: Floats, rows: int) -> Floats:
    """Return 1/a + 1/(a+1) + … + 1/(a+k−1) for k = 0 … rows − 1; shape (rows, columns)."""
    parts = 1.0 / (a + np.arange(rows - 1)[:, None])
    return np.concatenate([np.zeros((1, len(a))), np.cumsum(parts, axis=0)])


def _at(table: Floats, row: Ints) -> Floats:
    """Return the entries of a table at some rows of each column; a table of one column serves all."""
    if table.shape[1] == 1:
        return table[row, 0]
    return np.take_along_axis(table, np.broadcast_to(row, (row.shape[0], table.shape[1])), axis=0)
