"""Gamma-Gamma spend: likelihood with its derivatives, expectation and quantiles; arrays in, arrays out.

A customer's purchases cost Gamma(p, ν), ν differs between customers as Gamma(q, γ) (Fader & Hardie, note 025; Fader,
Hardie & Lee 2005, JMR 42, 415-430). With m̄ the mean of x purchases, a = px and π = x·m̄/(γ + x·m̄)

    L = Γ(a+q)/(Γ(a) Γ(q)) · π^a (1−π)^q / m̄.

The powers and the Gamma functions are huge where a and q are, and nearly cancel. With Stirling's formula taken out of
the Gamma functions, lnΓ(z) = (z − ½)·ln z − z + ½·ln 2π + φ(z), what is left of them is

    ln L = a·ln(π/μ) + q·ln((1−π)/(1−μ)) + ½·ln(aμ'/2π) + φ(a+q) − φ(a) − φ(q) − ln m̄,    μ = a/(a+q), μ' = q/(a+q),

whose first two terms are minus a deviance, found from the difference π − μ without loss (as in Loader's saddle-point
binomial). `params` is (p, q, γ), each a number or an array that broadcasts with the customers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

if TYPE_CHECKING:
    from loyalty.clv.summaries.spend_cells import SpendCells

__all__ = [
    "NAMES",
    "expected_spend",
    "gradient",
    "hessian",
    "log_expected_gradient",
    "log_likelihood",
    "quantile",
    "starts",
    "total",
    "total_hessian",
]

NAMES = ("p", "q", "gamma")

Floats = NDArray[np.float64]
Params = Sequence[Any]

_LARGE = 10.0  # from here on Stirling's series is exact to rounding
_FAR = 1e300  # a ratio of spends beyond this is none that could be met
# Bernoulli numbers B₂ … B₁₄: the coefficients of Stirling's series and of its derivatives.
_BERNOULLI = np.array([1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6])
_EVEN = 2.0 * np.arange(1, 8)
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def log_likelihood(params: Params, x: Any, mean: Any) -> Floats:
    """Return the log-likelihood of each customer.

    Args:
        params: p, q, γ.
        x: Repeat purchases, shape (n,); 0 gives 0, there being nothing to explain.
        mean: Mean spend of them, above 0 where x > 0, shape (n,).
    """
    p, q, gamma, x, mean, some = _ready(params, x, mean)
    a = p * x
    _, log_a, log_q, _ = _split(a, q, x * mean / gamma)
    return np.where(some, a * log_a + q * log_q + _log_peak(a, q) - np.log(mean), 0.0)


def gradient(params: Params, x: Any, mean: Any) -> Floats:
    """Return the derivatives of the log-likelihood by ln p, ln q, ln γ, shape (3, n); arguments as above."""
    p, q, gamma, x, mean, some = _ready(params, x, mean)
    a = p * x
    apart, log_a, log_q, _ = _split(a, q, x * mean / gamma)
    both = _digamma_rest(a + q)
    by_p = a * (both - _digamma_rest(a) + log_a)
    by_q = q * (both - _digamma_rest(q) + log_q)
    return np.where(some, np.stack(np.broadcast_arrays(by_p, by_q, (a + q) * apart)), 0.0)


def hessian(params: Params, x: Any, mean: Any) -> Floats:
    """Return the second derivatives by ln p, ln q, ln γ, shape (3, 3, n); arguments as above."""
    p, q, gamma, x, mean, some = _ready(params, x, mean)
    a = p * x
    by_p, by_q, _ = gradient((p, q, gamma), x, mean)
    share, rest = _split(a, q, x * mean / gamma)[3], 1.0 / (1.0 + np.minimum(x * mean / gamma, _FAR))
    aa, aq, qq = _trigamma_parts(a, q)
    entries = {
        (0, 0): aa + by_p,
        (0, 1): aq,
        (0, 2): -a * rest,
        (1, 1): qq + by_q,
        (1, 2): q * share,
        (2, 2): -(a + q) * share * rest,
    }
    found = np.empty((3, 3, *np.broadcast_shapes(*(np.shape(one) for one in (*entries.values(), some)))))
    for (row, column), entry in entries.items():
        found[row, column] = found[column, row] = np.where(some, entry, 0.0)
    return found


def total(params: Params, cells: SpendCells) -> tuple[float, Floats]:
    """Return the log-likelihood summed over cells and its derivatives by ln p, ln q, ln γ; params are numbers.

    Gamma functions are found once per distinct number of purchases, cells of a number standing together.
    """
    p, q, gamma = params
    weight, starts = cells.weight, cells.starts
    a = p * cells.x
    apart, log_a, log_q, _ = _split(a, q, cells.x * cells.mean / gamma)
    of_a = _sum(weight, (a * log_a))
    of_q = q * _sum(weight, log_q)
    once, counts = a[starts], np.add.reduceat(weight, starts)
    both = _digamma_rest(once + q)
    value = of_a + of_q + _sum(counts, _log_peak(once, q)) - cells.log_mean
    by_p = of_a + _sum(counts, (once * (both - _digamma_rest(once))))
    by_q = of_q + q * _sum(counts, (both - _digamma_rest(q)))
    return value, np.array([by_p, by_q, _sum(weight, ((a + q) * apart))])


def total_hessian(params: Params, cells: SpendCells) -> Floats:
    """Return the second derivatives of the sum by ln p, ln q, ln γ, shape (3, 3); params are numbers."""
    p, q, gamma = params
    weight, starts = cells.weight, cells.starts
    a = p * cells.x
    ratio = cells.x * cells.mean / gamma
    share, rest = _split(a, q, ratio)[3], 1.0 / (1.0 + np.minimum(ratio, _FAR))
    once, counts = a[starts], np.add.reduceat(weight, starts)
    aa, aq, qq = (_sum(counts, part) for part in np.broadcast_arrays(*_trigamma_parts(once, q)))
    by_p, by_q, _ = total(params, cells)[1]
    ac, qc = -_sum(weight, (a * rest)), q * _sum(weight, share)
    cc = -_sum(weight, ((a + q) * share * rest))
    return np.array([[aa + by_p, aq, ac], [aq, qq + by_q, qc], [ac, qc, cc]])


def starts(cells: SpendCells) -> list[Floats]:
    """Return ln p, ln q, ln γ to begin a fit with, from moments: three of them.

    The variance of ln m̄ among customers with x purchases is ψ'(px) + ψ'(q), roughly 1/(px) + ψ'(q): a line in 1/x.
    Of few customers the likelihood may have several maxima: the other two points put all variance down to the
    differences between customers (p is large), and to those between the purchases of each (q is large).
    """
    x, logs, weight = cells.x, np.log(cells.mean), cells.weight
    places = cells.starts
    once, counts = x[places], np.add.reduceat(weight, places)
    means = np.add.reduceat(weight * logs, places) / counts
    apart = logs - np.repeat(means, np.diff([*places, len(x)]))
    variances = np.maximum(np.add.reduceat(weight * apart * apart, places) / counts, 0.0)
    base, steep = _line(1.0 / once, variances, np.maximum(counts - 1.0, 0.0))
    share, middle = counts / counts.sum(), float(counts @ means / counts.sum())
    spread = min(max(float(share @ (variances + (means - middle) ** 2)), 1e-6), 10.0)
    shapes = [(1.0 / steep, 0.5 + 1.0 / base), (1e4, 0.5 + 1.0 / spread), (float(share @ (1.0 / once)) / spread, 1e4)]
    found = []
    for p, q in shapes:
        level = float(share @ (means + np.log(p * once) - special.digamma(p * once))) + float(special.digamma(q))
        found.append(np.array([math.log(p), math.log(q), level - math.log(p)]))
    return found


def _line(inverse: Floats, variances: Floats, weight: Floats) -> tuple[float, float]:
    """Return level and slope of the variances over 1/x, both well above 0 even where the data say otherwise."""
    if not weight.sum():
        return 0.5, 0.5
    middle, mean = (float(weight @ one / weight.sum()) for one in (inverse, variances))
    spread = float(weight @ (inverse - middle) ** 2)
    slope = float(weight @ ((inverse - middle) * (variances - mean))) / spread if spread > 1e-12 else mean
    steep = min(max(slope, 0.1 * mean, 1e-6), 10.0)
    return min(max(mean - steep * middle, 0.1 * mean, 1e-6), 10.0), steep


def expected_spend(params: Params, x: Any, mean: Any) -> Floats:
    """Return the expected spend of a customer's next purchase, p·(γ + x·m̄)/(px + q − 1); infinite where px + q ≤ 1.

    Args:
        params: p, q, γ.
        x: Repeat purchases, 0 for a customer of whom nothing is known.
        mean: Mean spend of them; below 0 it counts as 0.
    """
    p, q, gamma = params
    above = p * (gamma + x * np.maximum(mean, 0.0))
    below = (q - 1.0) + p * np.asarray(x, dtype=np.float64)
    safe = np.where(below > 0.0, below, 1.0)
    return np.where(below > 0.0, above / safe, np.inf)


def log_expected_gradient(params: Params, x: Any, mean: Any) -> Floats:
    """Return the derivatives of ln(expected spend) by ln p, ln q, ln γ, shape (3, n); NaN where it is infinite."""
    p, q, gamma = params
    below = (q - 1.0) + p * np.asarray(x, dtype=np.float64)
    below = np.where(below > 0.0, below, np.nan)
    by_gamma = gamma / (gamma + x * np.maximum(mean, 0.0)) + 0.0 * below
    return np.stack(np.broadcast_arrays((q - 1.0) / below, -q / below, by_gamma))


def quantile(params: Params, x: Any, mean: Any, probability: float) -> Floats:
    """Return the quantile of the spend of a customer's next purchase.

    Given x and m̄, ν is Gamma(px + q, γ + x·m̄), so the spend is γ + x·m̄ times the ratio of a Gamma(p) to a
    Gamma(px + q) variable, which is beta prime.
    """
    p, q, gamma = params
    with np.errstate(over="ignore"):  # more than any number can be is infinite
        return (gamma + x * np.maximum(mean, 0.0)) * odds(p, p * np.asarray(x, dtype=np.float64) + q, probability)


def odds(p: Any, r: Any, probability: float) -> Floats:
    """Return the quantile of the beta prime distribution with the shapes p and r."""
    # The complement is found by itself: 1 − b would lose its digits where b is near 1.
    with np.errstate(divide="ignore", over="ignore"):
        return special.betaincinv(p, r, probability) / special.betaincinv(r, p, 1.0 - probability)


def _sum(weight: Floats, values: Floats) -> float:
    """Return Σ wᵢ·vᵢ; on this thread alone, which BLAS would not promise."""
    return float(np.einsum("i,i->", weight, values))


def _ready(params: Params, x: Any, mean: Any) -> tuple[Any, Any, Any, Floats, Floats, Any]:
    """Return parameters and customers as arrays, and who has purchases; the others get a harmless stand-in."""
    p, q, gamma = (np.asarray(one, dtype=np.float64) for one in params)
    x, mean = np.asarray(x, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    some = x > 0
    return p, q, gamma, np.where(some, x, 1.0), np.where(some, mean, gamma), some


def _split(a: Any, q: Any, ratio: Any) -> tuple[Floats, Floats, Floats, Floats]:
    """Return π − μ, ln(π/μ), ln((1 − π)/(1 − μ)) and π, for ratio = π/(1 − π) and μ = a/(a + q)."""
    ratio = np.clip(ratio, 1.0 / _FAR, _FAR)
    rest = 1.0 / (1.0 + ratio)
    share = ratio * rest
    mu, other = a / (a + q), q / (a + q)
    apart = np.where(mu > 0.5, other - rest, share - mu)  # the smaller of the two complements keeps its digits
    return apart, _log_quotient(share, mu, apart), _log_quotient(rest, other, -apart), share


def _log_quotient(above: Floats, below: Floats, difference: Floats) -> Floats:
    """Return ln(above/below), whose difference is known better than they are."""
    relative = difference / below
    near = np.log1p(np.maximum(relative, -0.5))
    return np.where(relative > -0.5, near, np.log(above / below))


def _log_peak(a: Any, q: Any) -> Floats:
    """Return ½·ln(a·q/(a + q)/2π) + φ(a + q) − φ(a) − φ(q)."""
    scale = 0.5 * (np.log(a) + np.log(q / (a + q))) - _HALF_LOG_2PI
    return scale + _gammaln_rest(a + q) - _gammaln_rest(a) - _gammaln_rest(q)


def _trigamma_parts(a: Any, q: Any) -> tuple[Floats, Floats, Floats]:
    """Return a²·(ψ'(a+q) − ψ'(a)), a·q·ψ'(a+q) and q²·(ψ'(a+q) − ψ'(q)), what 1/z gives of ψ'(z) cancelled."""
    both, shared = _trigamma_rest(a + q), a * (q / (a + q))
    return (
        a * a * (both - _trigamma_rest(a)) - shared,
        a * q * both + shared,
        q * q * (both - _trigamma_rest(q)) - shared,
    )


def _gammaln_rest(z: Any) -> Floats:
    """Return φ(z) = lnΓ(z) − (z − ½)·ln z + z − ½·ln 2π."""
    return _by_size(
        z,
        lambda small: special.gammaln(small) - (small - 0.5) * np.log(small) + small - _HALF_LOG_2PI,
        lambda large: _series(_BERNOULLI / (_EVEN * (_EVEN - 1.0)), large) * large,
    )


def _digamma_rest(z: Any) -> Floats:
    """Return ψ(z) − ln z."""
    return _by_size(
        z,
        lambda small: special.digamma(small) - np.log(small),
        lambda large: -0.5 / large - _series(_BERNOULLI / _EVEN, large),
    )


def _trigamma_rest(z: Any) -> Floats:
    """Return ψ'(z) − 1/z."""
    return _by_size(
        z,
        lambda small: special.zeta(2.0, small) - 1.0 / small,
        lambda large: 0.5 / (large * large) + _series(_BERNOULLI, large) / large,
    )


def _by_size(z: Any, small: Callable[[Floats], Floats], large: Callable[[Floats], Floats]) -> Floats:
    """Return one formula of the small arguments and another of the large."""
    z = np.asarray(z, dtype=np.float64)
    return np.where(z < _LARGE, small(np.minimum(z, _LARGE)), large(np.maximum(z, _LARGE)))


def _series(coefficients: Floats, z: Floats) -> Floats:
    """Return Σ cₖ/z²ᵏ for k = 1, 2, …."""
    inverse = 1.0 / (z * z)
    found = np.zeros_like(inverse)
    for coefficient in coefficients[::-1]:
        found = (found + coefficient) * inverse
    return found
