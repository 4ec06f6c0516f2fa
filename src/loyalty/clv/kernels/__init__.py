"""What a lifetime model's mathematics must offer: functions of arrays, bundled in a `Kernel`.

Times are in one unit throughout. `params` is a tuple of numbers or arrays in the order of `names`, each of which
broadcasts with the customers, so that every customer may have parameters of its own. "Given alive" functions take
(x, T) only: what they return holds for a customer who is still a customer at T, and is multiplied by P(alive).
A new customer is x = 0, T = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from loyalty.clv.summaries.cells import Cells

__all__ = ["Floats", "Kernel", "Params"]

Floats = NDArray[np.float64]
Params = Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The functions of one lifetime model.

    Attributes:
        names: Names of the parameters, all of which are positive.
        time_powers: How each parameter scales with time: 1 for a time, −1 for a rate, 0 for a pure number.
        log_likelihood: (params, x, t_x, T) → log-likelihood of each customer.
        gradient: (params, x, t_x, T) → its derivatives by the logarithms of the parameters, shape (k, n).
        total: (params, cells) → weighted sum of both: (number, shape (k,)). Parameters are numbers.
        hessian: (params, cells) → second derivatives of the sum by the logarithms, shape (k, k); None where only
            differences of gradients give them.
        start: (cells) → logarithms of parameters to begin a fit with, from moments.
        p_alive: (params, x, t_x, T) → probability of still being a customer at T.
        survival: (params, x, T, ahead) → given alive at T, probability of being alive at T + ahead.
        purchases: (params, x, T, horizon, rate) → given alive, expected purchases in (T, T + horizon], each discounted
            by exp(−rate·(time from T)); horizon may be infinite where rate > 0.
        factorial_moment: (params, x, T, horizon) → given alive, E[X·(X − 1)] of the purchases X in the horizon.
        probability: (params, x, T, horizon, count) → given alive, P(X = count).
        time_alive: (params, x, T, horizon) → given alive, expected time alive in (T, T + horizon].
    """

    names: tuple[str, ...]
    time_powers: tuple[int, ...]
    log_likelihood: Callable[[Params, Any, Any, Any], Floats]
    gradient: Callable[[Params, Any, Any, Any], Floats]
    total: Callable[[Params, Cells], tuple[float, Floats]]
    hessian: Callable[[Params, Cells], Floats] | None
    start: Callable[[Cells], Floats]
    p_alive: Callable[[Params, Any, Any, Any], Floats]
    survival: Callable[[Params, Any, Any, Any], Floats]
    purchases: Callable[[Params, Any, Any, Any, Any], Floats]
    factorial_moment: Callable[[Params, Any, Any, Any], Floats]
    probability: Callable[[Params, Any, Any, Any, Any], Floats]
    time_alive: Callable[[Params, Any, Any, Any], Floats]
