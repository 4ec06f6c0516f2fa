"""Integrals of positive smooth functions, many at once: Gauss–Legendre on panels, halved where they do not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

__all__ = ["dot", "gauss", "integrate", "panels", "tally"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Integrand = Callable[[Places, Floats], Floats]

_POINTS = 16
# A panel is good when the last Legendre coefficients of its integrand are below this, relative: the rule is exact to
# twice the degree, so the error of the integral is about their square.
_TAIL = 1e-7
_NOTHING = 1e-290  # near the end of the range of floats there are no digits to be exact to
_DEEPEST = 60  # halvings, more than a float's digits can tell apart
_WIDE = 5.0  # a first panel of this width suffices where the nearest singularity is π away from the real line


@lru_cache(maxsize=64)
def gauss(points: int) -> tuple[Floats, Floats]:
    """Return the nodes and weights of Gauss–Legendre quadrature on (0, 1)."""
    nodes, weights = legendre.leggauss(points)
    return (nodes + 1.0) / 2.0, weights / 2.0


NODES, WEIGHTS = gauss(_POINTS)
_LAST = np.arange(_POINTS - 3, _POINTS)
_COEFFICIENTS = (2 * _LAST[:, None] + 1) * WEIGHTS * legendre.legvander(2.0 * NODES - 1.0, _POINTS - 1).T[_LAST]


def dot(first: Floats, second: Floats) -> float:
    """Return Σ first·second without BLAS: its threads gain nothing here, and wait for each other on a busy machine."""
    return float(np.einsum("i,i->", first, second))


def tally(place: Places, weight: Floats, size: int) -> Floats:
    """Return the sum of the weights at each place."""
    return np.asarray(np.bincount(place, weight, size), dtype=np.float64)


def panels(end: Floats, marks: Iterable[Floats], smooth: Any = np.inf) -> tuple[Floats, Floats, Places]:
    """Return first panels that cover (0, end) for each of n integrals.

    Panels are at most 5 wide up to `smooth`, from where on each is twice as wide as the one before.

    Args:
        end: Upper ends; shape (n,), finite.
        marks: Further points to divide at, where they lie inside; shape (n,) each.
        smooth: From where on nothing happens any more on a scale of less than the distance from here; shape (n,).

    Returns:
        Lower ends, upper ends, and the place of the integral to which each panel belongs.
    """
    everyone = np.arange(len(end))
    edges = [_inside(end, smooth), *_marked(end, marks)]
    owners = np.concatenate([owner for owner, _ in edges])
    if not len(owners):
        return np.zeros(len(end)), end, everyone
    owners = np.concatenate([everyone, owners, everyone])
    places = np.concatenate([np.zeros(len(end)), *(place for _, place in edges), end])
    order = np.lexsort((places, owners))
    owners, places = owners[order], places[order]
    same = owners[1:] == owners[:-1]
    return places[:-1][same], places[1:][same], owners[1:][same]


def _inside(end: Floats, smooth: Any) -> tuple[Places, Floats]:
    """Return the owners and places of the regular divisions."""
    if end.max(initial=0.0) <= _WIDE:
        return np.empty(0, np.intp), np.empty(0)
    first = np.minimum(end, smooth)
    pieces = np.ceil(first / _WIDE)
    doublings = np.where(end > first, np.ceil(np.log2(1.0 + (end - first) / _WIDE)), 0.0)
    number = (np.maximum(pieces - 1.0, 0.0) + doublings).astype(np.intp)
    owner = np.repeat(np.arange(len(end)), number)
    rank = 1.0 + np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number)
    regular, first, pieces = rank <= pieces[owner], first[owner], pieces[owner]
    place = np.where(regular, rank / np.maximum(pieces, 1.0) * first, first + _WIDE * (2.0 ** (rank - pieces) - 1.0))
    return owner, place


def _marked(end: Floats, marks: Iterable[Floats]) -> list[tuple[Places, Floats]]:
    """Return the owners and places of the marks inside."""
    inside = ((np.flatnonzero((mark > 0.0) & (mark < end)), mark) for mark in marks)
    return [(owner, mark[owner]) for owner, mark in inside]


def integrate(
    integrand: Integrand,
    first: tuple[Floats, Floats, Places],
    beside: Floats,
    moments: Callable[[Places, Floats, Floats], Floats] | None = None,
    rows: int = 0,
) -> tuple[Floats, Floats]:
    """Return n integrals, to about 1e-13 of themselves plus what stands beside them.

    Args:
        integrand: (owner, points) → values, not negative; owner has shape (p,), points and values (p, 16).
        first: Panels to begin with.
        beside: Positive amounts to which the integrals will be added: they need be no more exact than the sum;
            shape (n,).
        moments: (owner, points, masses) → integrals of other functions by the measure that the integrand is: sums over
            the last axis, shape (rows, p).
        rows: Number of those functions.

    Returns:
        The integrals, shape (n,), and those of the other functions, shape (rows, n).
    """
    low, high, owner = first
    n = len(beside)
    whole, others = np.zeros(n), np.zeros((rows, n))
    for depth in range(_DEEPEST):
        width = (high - low)[:, None]
        points = low[:, None] + width * NODES
        values = integrand(owner, points) * width
        mass = np.einsum("pq,q->p", values, WEIGHTS)
        tail = np.abs(np.einsum("pq,kq->kp", values, _COEFFICIENTS)).max(axis=0)
        sums = beside + whole + tally(owner, mass, n)
        good = ~(tail > _TAIL * np.sqrt(mass) * np.sqrt(sums[owner]) + _NOTHING)  # so that NaN ends it
        if depth == _DEEPEST - 1:
            good[:] = True
        done = owner[good]
        whole += tally(done, mass[good], n)
        if moments is not None:
            found = moments(done, points[good], values[good] * WEIGHTS)
            others += np.stack([tally(done, row, n) for row in found])
        if good.all():
            break
        low, high, owner = low[~good], high[~good], owner[~good]
        middle = (low + high) / 2.0
        low, high, owner = np.concatenate([low, middle]), np.concatenate([middle, high]), np.concatenate([owner, owner])
    return whole, others
