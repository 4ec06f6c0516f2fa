"""Customers' histories drawn from the lifetime models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loyalty.errors import InvalidArgument

__all__ = ["draw"]

Floats = NDArray[np.float64]


def draw(
    model: str,
    params: Mapping[str, float],
    T: Any,  # noqa: N803
    rng: np.random.Generator,
    *,
    step: float | None = None,
) -> tuple[Floats, Floats]:
    """Return repeat purchases and the time of the last one, drawn for customers observed for given times.

    Args:
        model: "NBD", "ParetoNBD", "GGomNBD", "BGNBD" or "MBGNBD".
        params: Its parameters by name, in the unit of T.
        T: Time observed of each customer; shape (n,).
        rng: Where chance comes from.
        step: Grid on which the last purchase is recorded; None records the moment itself.

    Returns:
        x and t_x, shape (n,).

    Examples:
        >>> x, t_x = draw("NBD", {"r": 2.0, "alpha": 4.0}, [10.0] * 1000, np.random.default_rng(1))
        >>> bool(4.5 < x.mean() < 5.5), bool((t_x <= 10.0).all())
        (True, True)
    """
    T = np.asarray(T, dtype=np.float64)  # noqa: N806
    if model not in {"NBD", "ParetoNBD", "GGomNBD", "BGNBD", "MBGNBD"}:
        raise InvalidArgument(
            f"model={model!r}: histories can be drawn from NBD, ParetoNBD, GGomNBD, BGNBD and MBGNBD."
        )
    rate = rng.gamma(params["r"], 1.0, len(T)) / params["alpha"]
    if model in {"BGNBD", "MBGNBD"}:
        x, t_x = _until_chance(rate, T, _last(model, params, len(T), rng), rng)
    else:
        end = np.minimum(T, _lifetime(model, params, len(T), rng))
        x = rng.poisson(rate * end).astype(np.float64)
        t_x = end * _latest(x, rng)
    if step is not None:
        t_x = np.minimum(np.ceil(t_x / step - 1e-9) * step, T)
    return x, np.where(x > 0.0, t_x, 0.0)


def _lifetime(model: str, params: Mapping[str, float], n: int, rng: np.random.Generator) -> Floats:
    """Return the times at which customers drop out."""
    if model == "NBD":
        return np.full(n, np.inf)
    # S = (β/(β + clock))^s is uniform, and −ln of it exponential.
    clock = params["beta"] * np.expm1(np.minimum(rng.exponential(size=n) / params["s"], 700.0))
    return clock if model == "ParetoNBD" else np.log1p(clock) / params["b"]


def _latest(x: Floats, rng: np.random.Generator) -> Floats:
    """Return the latest of x uniform moments of (0, 1)."""
    return rng.random(len(x)) ** (1.0 / np.maximum(x, 1.0))


def _last(model: str, params: Mapping[str, float], n: int, rng: np.random.Generator) -> Floats:
    """Return the repeat purchase that would be each customer's last; MBG/NBD customers may stop at the first one, 0."""
    chance = np.maximum(rng.beta(params["a"], params["b"], n), 1e-300)
    with np.errstate(divide="ignore"):
        last = np.floor(rng.exponential(size=n) / -np.log1p(-chance))
    return last if model == "MBGNBD" else last + 1.0


def _until_chance(rate: Floats, T: Floats, last: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:  # noqa: N803
    """Return purchases and the time of the latest, no purchase following the last one."""
    possible = rng.poisson(rate * T).astype(np.float64)
    stopped = possible > last
    x = np.minimum(possible, last)
    # Of n moments in order the k-th is Beta(k, n − k + 1), in parts of the time.
    place = rng.beta(np.maximum(x, 1.0), np.where(stopped, possible - x + 1.0, 1.0))
    return x, T * place
