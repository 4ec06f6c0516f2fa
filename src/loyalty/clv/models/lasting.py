"""How long customers last: the chance of being alive some time ahead, and the median time left."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from loyalty.clv.kernels import Kernel


__all__ = ["certain", "median", "survival"]

Floats = NDArray[np.float64]

_FIRST, _WIDEST = 2.0, math.log(1e290)  # in logarithms of time: first step of the search, and what counts as for ever
_CLOSE = 1e-13  # how well the logarithm of the median is found
_ROUNDING = 1e-15  # an excess of log-survival that is none
_MOST_STEPS = 200
_FOR_EVER = "in the BG/NBD a customer without a repeat purchase is alive for certain, however long silent"


def certain(model: str) -> str:
    """Return the note on who is alive for certain in a model; nothing where nobody is, or everybody."""
    return _FOR_EVER if model == "BGNBD" else ""


def survival(kernel: Kernel, ahead: float) -> Callable[[tuple[float, ...], Any, Any], Any]:
    """Return the function (params, x, T) that gives the probability of being alive so much later, given alive now."""
    return lambda params, x, T: kernel.survival(params, x, T, ahead)  # noqa: N803


def median(kernel: Kernel, params: tuple[float, ...], x: Floats, T: Floats, alive: Floats) -> Floats:  # noqa: N803
    """Return the time from now by which customers are dead with probability one half.

    Args:
        kernel: The model.
        params: Its parameters.
        x: Repeat purchases; shape (n,).
        T: Time observed; shape (n,).
        alive: P(alive) now; shape (n,).

    Returns:
        Times, shape (n,): 0 where P(alive) ≤ ½ already; infinite where the customer outlives 1e290 units.
    """
    found = np.zeros(len(x))
    some = np.flatnonzero(alive > 0.5)
    if not len(some):
        return found
    x, T, least = x[some], T[some], np.log(0.5 / alive[some])  # noqa: N806

    def excess(places: Any, log_time: Floats) -> Floats:
        """Return by how much the logarithm of survival exceeds that of one half."""
        with np.errstate(divide="ignore", over="ignore"):
            chance = np.asarray(kernel.survival(params, x[places], T[places], np.exp(log_time)), dtype=np.float64)
            found: Floats = np.maximum(np.log(chance), -700.0) - least[places]
            return found

    low, high = _bracket(excess, np.log(T + 1.0))
    times = np.exp(_crossing(excess, low, high))
    found[some] = np.where(np.isinf(high), np.inf, np.where(np.isinf(low), 0.0, times))
    return found


def _bracket(excess: Callable[[Any, Floats], Floats], start: Floats) -> tuple[Floats, Floats]:
    """Return logarithms of times before and after the crossing; infinite where it is farther than counts."""
    todo, width = np.arange(len(start)), _FIRST
    later = excess(todo, start) > 0.0
    near, far = start.copy(), start.copy()
    sign = np.where(later, 1.0, -1.0)
    while len(todo):
        far[todo] = np.clip(start[todo] + sign[todo] * width, -_WIDEST, _WIDEST)
        todo = todo[(excess(todo, far[todo]) > 0.0) == later[todo]]
        near[todo] = far[todo]
        beyond = todo[np.abs(far[todo]) >= _WIDEST]
        far[beyond] = sign[beyond] * math.inf
        todo, width = np.setdiff1d(todo, beyond), 2.0 * width
    return np.where(later, near, far), np.where(later, far, near)


def _crossing(excess: Callable[[Any, Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Return where the excess is nothing, between ends of unlike sign.

    By false position with the Illinois rule (Dowell & Jarratt 1971, BIT 11, 168-174), halving now and then.
    """
    todo = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    found = np.zeros(len(low))
    ends = {"low": low.copy(), "high": high.copy(), "at_low": np.zeros(len(low)), "at_high": np.zeros(len(low))}
    ends["at_low"][todo], ends["at_high"][todo] = excess(todo, low[todo]), excess(todo, high[todo])
    went_up = np.zeros(len(low))  # which end the last point replaced: 1 the lower, −1 the upper
    for step in range(_MOST_STEPS):
        if not len(todo):
            break
        a, b, fa, fb = (ends[name][todo] for name in ends)
        middle = (a + b) / 2.0 if step % 8 == 7 else b - fb * (b - a) / np.where(fb < fa, fb - fa, -1.0)
        middle = np.clip(middle, a, b)
        f = excess(todo, middle)
        found[todo] = middle
        up = f > 0.0
        # An end that stays for the second time counts half, so that the next point falls on its side.
        fa = np.where(~up & (went_up[todo] < 0.0), fa / 2.0, fa)
        fb = np.where(up & (went_up[todo] > 0.0), fb / 2.0, fb)
        went_up[todo] = np.where(up, 1.0, -1.0)
        moved = (np.where(up, middle, a), np.where(up, b, middle), np.where(up, f, fa), np.where(up, fb, f))
        for name, values in zip(ends, moved, strict=True):
            ends[name][todo] = values
        done = (moved[1] - moved[0] <= _CLOSE) | (np.abs(f) <= _ROUNDING)
        todo = todo[~done]
    return found
