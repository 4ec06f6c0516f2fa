"""Models with dropout in continuous time: what their likelihoods and predictions have in common.

Customers buy at Gamma(r, α) rates until they drop out, which has happened by τ for a share 1 − S(τ) of them, whatever
their rate. With m = r + x and f = −S',

    L = Γ(r + x)/Γ(r) · α^r · [S(T)(α + T)^−m + ∫ f(τ)(α + τ)^−m dτ over (t_x, T)].

The bracket, taken relative to S(t_x)(α + t_x)^−m, is what was possible since the last purchase: still a customer, or
dropped out at τ. Its derivatives are means over these possibilities (Fisher's identity), P(alive) is its first part.

Dropout follows S = (β/(β + z))^s on a clock z(τ): τ itself (Pareto/NBD) or exp(bτ) − 1 (GGom/NBD). Integrals are taken
by η = log((δ + z)/(δ + z₀)) from the clock's z₀ at the start, with δ so small that all singularities lie on or to the
left of −δ: then the integrand is analytic for |Im η| < π whatever the parameters are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from loyalty.clv.kernels._nbd import log_mass, log_rising, log_rising_slope
from loyalty.clv.kernels._quadrature import gauss, integrate, panels

if TYPE_CHECKING:
    from loyalty.clv.kernels import Floats, Params

__all__ = [
    "ONE_FALL",
    "ONE_NODES",
    "ONE_RANGE",
    "ONE_WEIGHTS",
    "Frame",
    "Law",
    "factorial_moment",
    "gradient",
    "grown",
    "log_likelihood",
    "one_or_many",
    "p_alive",
    "probability",
    "purchases",
    "survival",
    "time_alive",
    "with_gradient",
]

Dropout = Sequence[Any]  # the parameters after r and α; the first is s
Places = NDArray[np.intp]
Found = TypeVar("Found")

_BATCH = 8192  # cells at a time, so that the values at their nodes fit into a processor's cache
_MANY = 7  # so many batches of cells are worth starting threads for
_MOST_THREADS = 4
_FEW = 256  # integrals that are not worth looking for equal ones among them
_FAR = 600.0  # exponentials of more than this are not formed
_GONE = 60.0  # what has fallen by exp(−60) is nothing beside what has not
_DROPS = (10.0, 20.0, 40.0)  # a first panel ends where the integrand has fallen by these powers of e


class Frame(NamedTuple):
    """How η runs from a start: n values each.

    Attributes:
        scale: dτ/dη at the start.
        share: (δ + z₀)/(β + z₀), at most 1.
        pace: How fast the clock itself grows: b, or None for a clock that keeps time.
        smooth: From where on (in η) the integrand has no singularity nearby.
    """

    scale: Floats
    share: Floats
    pace: Floats | None
    smooth: Any = np.inf

    def of(self, owner: Places) -> Frame:
        """Return the frames of some of the integrals, as columns."""
        pace = None if self.pace is None else self.pace[owner, None]
        return Frame(self.scale[owner, None], self.share[owner, None], pace)

    def elapsed(self, eta: Floats) -> Floats:
        """Return the time from the start to η."""
        if self.pace is None:
            return self.scale * np.expm1(eta)
        return grown(self.scale * self.pace, eta) / self.pace

    def eta(self, elapsed: Floats) -> Floats:
        """Return η a time after the start."""
        if self.pace is None:
            return np.log1p(elapsed / self.scale)
        return grown(1.0 / (self.scale * self.pace), self.pace * elapsed)

    def log_speed(self, eta: Floats, elapsed: Floats) -> Floats:
        """Return log dτ/dη."""
        speed = np.log(self.scale) + eta
        return speed if self.pace is None else speed - self.pace * elapsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """When customers drop out. Times t are from the first purchase; arrays broadcast.

    Attributes:
        frame: (dropout, t, alpha) → how η runs from t, fit for integrands with powers of α + τ (α infinite: with none).
        decline: (dropout, t, ahead) → −log S(t + ahead)/S(t).
        log_hazard: (dropout, t) → log f(t)/S(t).
        slopes: (dropout, t) → derivatives of log S and of the log hazard by the logarithms of the parameters.
        singular: (dropout) → the singularities of S nearest to t > 0, in the upper half plane; numbers only.
        steep: (dropout, t, ahead) → bound of |d log f/dt| between t and t + ahead; numbers only.
    """

    frame: Callable[[Dropout, Any, Any], Frame]
    decline: Callable[[Dropout, Any, Any], Floats]
    log_hazard: Callable[[Dropout, Any], Floats]
    slopes: Callable[[Dropout, Any], tuple[list[Floats], list[Floats]]]
    singular: Callable[[Dropout], list[complex]]
    steep: Callable[[Dropout, Any, Any], Floats]


def grown(c: Any, eta: Any) -> Floats:
    """Return log(1 + c·(exp(η) − 1)) for c > 0, η ≥ 0, however large exp(η) is. Its inverse is the same with 1/c."""
    far = eta > _FAR
    if not far.any():
        return np.log1p(c * np.expm1(eta))
    return np.where(far, eta + np.log(c), np.log1p(c * np.expm1(np.minimum(eta, _FAR))))


# For one customer a single rule does, unless what is integrated ranges or falls further than this.
ONE_NODES, ONE_WEIGHTS = gauss(32)
ONE_RANGE, ONE_FALL = 8.0, 40.0


def one_or_many(one: Callable[..., Any], many: Callable[..., Floats], params: Params, *values: Any) -> Floats:
    """Return what one of two functions gives: for a single customer, given as plain numbers, arrays only cost time.

    Args:
        one: (params, *values) → a number, or None where it does not hold; for plain numbers.
        many: (params, *values) → numbers or arrays; for all else.
        params: The parameters.
        values: Further arguments.
    """
    if all(isinstance(value, (float, int)) for value in (*params, *values)):
        found = one(params, *values)
        if found is not None:
            return found
    return many(params, *values)


# ---------------------------------------------------------------------------------------------------- likelihood


class _Possible(NamedTuple):
    """What was possible since the last purchase, relative to surviving it: n values each, `means` of shape (k, n)."""

    alive: Floats
    dead: Floats
    means: Floats


def log_likelihood(law: Law, params: Params, x: Any, t_x: Any, T: Any) -> Floats:
    """Return the log-likelihood of each customer."""
    columns, shape = _columns(params, x, t_x, T)
    return _joined(_each(lambda batch: _value(law, batch, _possible(law, *batch)), columns), shape)


def gradient(law: Law, params: Params, x: Any, t_x: Any, T: Any) -> Floats:
    """Return its derivatives by the logarithms of the parameters, shape (k, …)."""
    columns, shape = _columns(params, x, t_x, T)
    return _joined(_each(lambda batch: _slopes(batch, _possible(law, *batch, slopes=True)), columns), shape)


def with_gradient(law: Law, params: Params, x: Any, t_x: Any, T: Any) -> tuple[Floats, Floats]:
    """Return both, at the price of the second."""
    columns, shape = _columns(params, x, t_x, T)
    found = _each(lambda batch: (batch, _possible(law, *batch, slopes=True)), columns)
    values = _joined([_value(law, batch, possible) for batch, possible in found], shape)
    return values, _joined([_slopes(batch, possible) for batch, possible in found], shape)


def p_alive(law: Law, params: Params, x: Any, t_x: Any, T: Any) -> Floats:
    """Return the probability of still being a customer at T."""
    columns, shape = _columns(params, x, t_x, T)
    found = _each(lambda batch: _possible(law, *batch), columns)
    return _joined([possible.alive / (possible.alive + possible.dead) for possible in found], shape)


def _columns(params: Params, *columns: Any) -> tuple[list[Floats], tuple[int, ...]]:
    """Return parameters and columns as rows of equal length, and the shape they broadcast to."""
    arrays = np.broadcast_arrays(*(np.asarray(column, dtype=np.float64) for column in (*params, *columns)))
    return [array.ravel() for array in arrays], arrays[0].shape


def _each(compute: Callable[[list[Floats]], Found], columns: Sequence[Floats]) -> list[Found]:
    """Return what a function finds for each batch of cells; of many cells, some batches at a time.

    Batches at work are as many cells together as one alone, so that memory does not grow with the cores.
    """
    number = max(len(columns[0]), 1)
    threads = min(_cores(), _MOST_THREADS) if number > _MANY * _BATCH else 1
    size = _BATCH // threads
    batches = [[column[begin : begin + size] for column in columns] for begin in range(0, number, size)]
    if threads == 1:
        return [compute(batch) for batch in batches]
    with ThreadPoolExecutor(threads) as pool:  # NumPy lets go of the interpreter's lock while it computes
        return list(pool.map(compute, batches))


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _joined(parts: list[Floats], shape: tuple[int, ...]) -> Floats:
    """Return the results of the batches as one array of the shape that came in (with the parameters before it)."""
    whole = np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
    return whole.reshape(whole.shape[:-1] + shape)[()]


def _possible(law: Law, r: Floats, alpha: Floats, *rest: Floats, slopes: bool = False) -> _Possible:
    """Return the two parts of the bracket, and the means of the derivatives over what was possible."""
    *dropout, x, t_x, T = rest
    m, a, gap, s = r + x, alpha + t_x, T - t_x, dropout[0]
    passed, decline = np.log1p(gap / a), law.decline(dropout, t_x, gap)
    alive = np.exp(-m * passed - decline)
    frame = law.frame(dropout, t_x, alpha)
    end, marks = frame.eta(gap), []
    if (steep := m * passed + decline > _DROPS[0]).any():
        marks = [
            np.where(steep, np.minimum(_fallen(frame, m, a, drop), _faded(frame, s, drop)), 0.0) for drop in _DROPS
        ]

    def dropped_out(owner: Places, eta: Floats) -> Floats:
        here = frame.of(owner)
        since = np.log1p(here.elapsed(eta) / a[owner, None])
        declined = grown(here.share, eta)
        front = s[owner, None] * here.share
        return front * np.exp(eta - (s[owner, None] + 1.0) * declined - m[owner, None] * since)

    def weighed(owner: Places, eta: Floats, mass: Floats) -> Floats:
        end_time = t_x[owner, None] + frame.of(owner).elapsed(eta)
        there = _dying(law, [value[owner, None] for value in (alpha, t_x, *dropout)], end_time)
        return np.stack([np.einsum("pq,pq->p", slope, mass) for slope in there])

    rows = 2 + len(dropout) if slopes else 0
    dead, means = integrate(dropped_out, panels(end, marks, frame.smooth), alive, weighed if rows else None, rows)
    if slopes:
        means += alive * np.stack([passed, alpha / (alpha + T), *law.slopes(dropout, T)[0]])
        means /= alive + dead
    return _Possible(alive, dead, means)


def _fallen(frame: Frame, m: Floats, a: Floats, drop: float) -> Floats:
    """Return η where (1 + elapsed/a)^−m has fallen by a power of e."""
    return frame.eta(a * np.expm1(np.minimum(drop / m, _FAR)))


def _faded(frame: Frame, s: Floats, drop: float) -> Floats:
    """Return η where survival has fallen by a power of e."""
    return grown(1.0 / frame.share, drop / s)


def _dying(law: Law, columns: list[Floats], end: Floats) -> list[Floats]:
    """Return what the derivatives are means of, for customers who dropped out at a time."""
    alpha, t_x, *dropout = columns
    surviving, dropping = law.slopes(dropout, end)
    both = [first + second for first, second in zip(surviving, dropping, strict=True)]
    return [
        np.log1p((end - t_x) / (alpha + t_x)),
        alpha / (alpha + end),
        *(np.broadcast_to(row, end.shape) for row in both),
    ]


def _value(law: Law, columns: list[Floats], possible: _Possible) -> Floats:
    """Return the log-likelihood from the bracket."""
    r, alpha, *dropout, x, t_x, _ = columns
    bought = log_rising(r, x) - r * np.log1p(t_x / alpha) - x * np.log(alpha + t_x)
    return bought - law.decline(dropout, 0.0, t_x) + np.log(possible.alive + possible.dead)


def _slopes(columns: list[Floats], possible: _Possible) -> Floats:
    """Return the derivatives of the log-likelihood from the means."""
    (r, alpha, *_, x, t_x, _), (since, slower, *others) = columns, possible.means
    by_r = r * (log_rising_slope(r, x) - np.log1p(t_x / alpha) - since)
    return np.stack([by_r, r - (r + x) * slower, *others])


# ---------------------------------------------------------------------------------------------------- predictions


def survival(law: Law, params: Params, x: Any, T: Any, ahead: Any) -> Floats:
    """Return, given alive at T, the probability of being alive at T + ahead."""
    (_, _, *dropout, _, T, ahead), shape = _columns(params, x, T, ahead)
    return _joined([np.exp(-law.decline(dropout, T, ahead))], shape)


def time_alive(law: Law, params: Params, x: Any, T: Any, horizon: Any) -> Floats:
    """Return, given alive at T, the expected time alive in the horizon."""
    (_, _, *dropout, _, T, horizon), shape = _columns(params, x, T, horizon)
    return _joined([time_integral(law, dropout, T, horizon)], shape)


def purchases(law: Law, params: Params, x: Any, T: Any, horizon: Any, rate: Any) -> Floats:
    """Return, given alive at T, the expected purchases in the horizon, discounted at a rate."""
    (r, alpha, *dropout, x, T, horizon, rate), shape = _columns(params, x, T, horizon, rate)
    return _joined([(r + x) / (alpha + T) * time_integral(law, dropout, T, horizon, rate)], shape)


def factorial_moment(law: Law, params: Params, x: Any, T: Any, horizon: Any) -> Floats:
    """Return, given alive at T, E[X·(X − 1)] of the purchases X in the horizon.

    With ω the time alive in the horizon it is m(m + 1)/(α + T)² · E[ω²], and E[ω²] = 2∫ v S(T + v)/S(T) dv.
    """
    (r, alpha, *dropout, x, T, horizon), shape = _columns(params, x, T, horizon)
    pairs = (r + x) * (r + x + 1.0) / (alpha + T) ** 2
    return _joined([pairs * 2.0 * time_integral(law, dropout, T, horizon, power=1)], shape)


def time_integral(law: Law, dropout: Dropout, T: Floats, horizon: Floats, rate: Any = 0.0, power: int = 0) -> Floats:
    """Return ∫ v^power · exp(−rate·v) · S(T + v)/S(T) dv over (0, horizon)."""
    columns = np.broadcast_arrays(*dropout, T, horizon, rate)
    varied = [column for column in columns if len(column) > _FEW and (column != column[0]).any()]
    place: Any = slice(None)
    if len(varied) == 1:  # T alone, as a rule: it has far fewer values than there are customers
        _, first, place = np.unique(varied[0], return_index=True, return_inverse=True)
        columns = tuple(column[first] for column in columns)
    return np.concatenate(_each(lambda batch: _time_integral(law, batch, power), columns))[place]


def _time_integral(law: Law, columns: list[Floats], power: int) -> Floats:
    *dropout, T, horizon, rate = columns
    s, frame = dropout[0], law.frame(dropout, T, np.inf)
    faded = np.stack([_faded(frame, s, drop) for drop in (*_DROPS, _GONE)])
    discounted = np.divide(
        [[drop] for drop in (*_DROPS, _GONE)], rate, out=np.full(faded.shape, np.inf), where=rate > 0
    )
    horizon = np.minimum(horizon, discounted[-1])
    endless = np.isinf(horizon)
    horizon = np.where(endless, frame.elapsed(np.where(endless, faded[-1], 0.0)), horizon)
    end = frame.eta(horizon)
    marks = [*faded[:-1], *frame.eta(np.minimum(discounted[:-1], horizon))]

    def integrand(owner: Places, eta: Floats) -> Floats:
        here = frame.of(owner)
        ahead = here.elapsed(eta)
        log_value = here.log_speed(eta, ahead) - s[owner, None] * grown(here.share, eta) - rate[owner, None] * ahead
        return np.exp(log_value) * ahead**power

    return integrate(integrand, panels(end, marks, frame.smooth), np.zeros(len(end)))[0]


def probability(law: Law, params: Params, x: Any, T: Any, horizon: Any, count: Any) -> Floats:
    """Return, given alive at T, P(X = count) of the purchases X in the horizon."""
    columns, shape = _columns(params, x, T, horizon, count)
    return _joined(_each(lambda batch: _probability(law, *batch), columns), shape)


def _probability(law: Law, r: Floats, alpha: Floats, *rest: Floats) -> Floats:
    """Return the probability of `count` purchases by customers who last the horizon, or drop out within it."""
    *dropout, x, T, horizon, count = rest
    s, m, a, frame = dropout[0], r + x, alpha + T, law.frame(dropout, T, alpha)
    end = frame.eta(horizon)
    lasting = np.exp(log_mass(m, a, horizon, count) - law.decline(dropout, T, horizon))
    front = np.log(s * frame.share) + log_rising(m, count) - gammaln(count + 1.0)
    # Where x and the count are large, the integrand is a narrow hump about v = a·count/m.
    width = 4.0 * np.sqrt(1.0 / np.maximum(count, 1.0) + 1.0 / m)
    hump = [frame.eta(a * count / m * np.exp(side * np.minimum(width, 10.0))) for side in (-1.0, 0.0, 1.0)]
    marks = [_fallen(frame, m, a, drop) for drop in _DROPS] + [_faded(frame, s, drop) for drop in _DROPS] + hump

    def dropped_out(owner: Places, eta: Floats) -> Floats:
        here, a_here, k = frame.of(owner), a[owner, None], count[owner, None]
        ahead = here.elapsed(eta)
        bought = xlogy(k, ahead / (a_here + ahead)) - m[owner, None] * np.log1p(ahead / a_here)
        return np.exp(front[owner, None] + eta - (s[owner, None] + 1.0) * grown(here.share, eta) + bought)

    return lasting + integrate(dropped_out, panels(end, marks, frame.smooth), lasting)[0]
