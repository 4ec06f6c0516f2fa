"""What depends smoothly on a customer's age, computed for few ages and interpolated to all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ages_to_compute", "over_ages"]

Floats = NDArray[np.float64]
Given = Callable[[Any, Any, Any], Any]

_AGES = 16  # Chebyshev points in T, where there are more ages than these


def ages_to_compute(ages: Floats) -> tuple[Floats, Floats]:
    """Return ages to compute at, and the matrix that interpolates to all ages; shape (ages, points).

    Where there are many, Chebyshev points in ln(T + a fifth of the span), between which barycentric interpolation is
    good to some seven digits for what changes on the scale of a customer's age.

    Args:
        ages: Distinct, in order; shape (ages,).
    """
    if len(ages) <= _AGES:
        return ages, np.eye(len(ages))
    shift = (ages[-1] - ages[0]) / 5.0
    logs = np.log(ages + shift)
    angles = np.pi * np.arange(_AGES) / (_AGES - 1)
    points = (logs[0] + logs[-1]) / 2.0 - (logs[-1] - logs[0]) / 2.0 * np.cos(angles)
    points[0], points[-1] = logs[0], logs[-1]
    signs = np.where(np.arange(_AGES) % 2, -1.0, 1.0)
    signs[[0, -1]] /= 2.0
    apart = logs[:, None] - points
    met = np.abs(apart) < 1e-12
    parts = signs / np.where(met, 1.0, apart)
    matrix: Floats = parts / parts.sum(axis=1, keepdims=True)
    rows = met.any(axis=1)
    matrix[rows] = met[rows]
    return np.maximum(np.exp(points) - shift, 0.0), matrix


def over_ages(quantity: Given) -> Given:
    """Return a function (params, x, T) that computes another at few of the ages of each x, and interpolates."""

    def smooth(params: Any, x: Floats, T: Floats) -> Floats:
        order = np.lexsort((T, x))
        groups = np.split(order, np.flatnonzero(np.diff(x[order])) + 1)
        told = [np.unique(T[places], return_inverse=True) for places in groups]
        rules = [ages_to_compute(ages) for ages, _ in told]
        repeats = np.repeat(x[[places[0] for places in groups]], [len(points) for points, _ in rules])
        values = np.asarray(quantity(params, repeats, np.concatenate([points for points, _ in rules])))
        ends = np.cumsum([len(points) for points, _ in rules])
        found = np.empty(len(x))
        for places, (_, age), (_, matrix), part in zip(groups, told, rules, np.split(values, ends[:-1]), strict=True):
            found[places] = (matrix @ part)[age]
        return found

    return smooth
