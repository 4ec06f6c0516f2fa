"""What customers have done so far, x, t_x and T, read from arguments and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty.errors import EmptyData, InvalidArgument, InvalidRows

if TYPE_CHECKING:
    from loyalty.clv.summaries.cells import Cells

__all__ = ["PLAIN", "Pairs", "check_cells", "numbers", "one_customer", "read"]

Floats = NDArray[np.float64]

PLAIN = {int, float, np.float64, np.int64}  # types that are plain numbers; a truth value is none
_SHOWN = 3  # offenders that an error shows


@dataclass(frozen=True, slots=True)
class Pairs:
    """The distinct (x, T) of many customers: what happens to those still alive depends on nothing else.

    Attributes:
        x: Repeat purchases; shape (m,).
        T: Time observed; shape (m,).
        place: Which of the pairs each customer has; shape (n,).
    """

    x: Floats
    T: Floats
    place: NDArray[np.intp]

    @classmethod
    def of(cls, x: Floats, T: Floats) -> Pairs:  # noqa: N803
        """Return the distinct pairs, in order of x, then T."""
        ages, age = np.unique(T, return_inverse=True)
        size = len(ages) * (int(x.max()) + 1) if len(x) else 0
        if size > max(10_000_000, 4 * len(x)):
            both, place = np.unique(np.column_stack([x, T]), axis=0, return_inverse=True)
            return cls(np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1]), place.ravel())
        code = x.astype(np.int64) * len(ages) + age
        there = np.zeros(size, dtype=bool)
        there[code] = True
        codes = np.flatnonzero(there)
        rank = np.cumsum(there) - 1
        return cls((codes // max(len(ages), 1)).astype(np.float64), ages[codes % max(len(ages), 1)], rank[code])


def one_customer(frequency: Any, recency: Any, age: Any) -> tuple[float, float, float] | None:
    """Return x, t_x and T of one customer given as plain numbers; None where they are anything else or cannot be."""
    if type(frequency) in PLAIN and type(recency) in PLAIN and type(age) in PLAIN:
        x, t_x, T = float(frequency), float(recency), float(age)  # noqa: N806
        if 0.0 <= t_x <= T < math.inf and x >= 0.0 and x.is_integer() and (x or not t_x):
            return x, t_x, T
    return None


def read(frequency: Any, recency: Any, age: Any) -> tuple[Floats, Floats, Floats]:
    """Return x, t_x and T as arrays of one shape.

    Args:
        frequency: Number of repeat purchases: a number or array-like.
        recency: Time from the first to the last purchase, in units of the model.
        age: Time observed since the first purchase, in units of the model.

    Raises:
        InvalidArgument: One is missing, no number, or a customer's history cannot be.
    """
    given = {"frequency": frequency, "recency": recency, "age": age}
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise InvalidArgument(
            f"{', '.join(missing)} missing: pass a summary, or frequency=, recency= and age= together "
            "(0, 0 and 0 for a new customer)."
        )
    arrays = [numbers(name, value) for name, value in given.items()]
    try:
        x, t_x, T = np.broadcast_arrays(*arrays)  # noqa: N806
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(given, arrays, strict=True))
        raise InvalidArgument(f"the shapes do not fit together: {shapes}. Give as many values of each.") from error
    for what, wrong in _impossible(x, t_x, T).items():
        if wrong.any():
            raise InvalidArgument(f"{what}: {_offenders(wrong, x, t_x, T)}. All times run from the first purchase.")
    return x, t_x, T


def numbers(name: str, values: Any) -> Floats:
    """Return values as an array of floats, None as NaN.

    Raises:
        InvalidArgument: One is no number.
    """
    array = np.asarray(values)
    try:
        if array.dtype.kind in "iuf" or (array.dtype.kind == "O" and not any(map(_is_text, array.flat))):
            return array.astype(np.float64)
    except (TypeError, ValueError):  # objects that are no numbers
        pass
    raise InvalidArgument(f"{name} holds what is no number ({str(values)[:60]}): give a number or an array of numbers.")


def check_cells(cells: Cells) -> None:
    """Raise where cells are none, or cannot be.

    Raises:
        EmptyData: There is no customer.
        InvalidRows: A cell holds a history that cannot be, or a weight that is not positive.
    """
    if not len(cells):
        raise EmptyData("there are no customers to fit a model on.")
    wrong = _impossible(cells.x, cells.t_x, cells.T)
    wrong["weight not above 0, or not finite"] = ~((cells.weight > 0.0) & np.isfinite(cells.weight))
    for what, bad in wrong.items():
        if bad.any():
            shown = _offenders(bad, cells.x, cells.t_x, cells.T)
            raise InvalidRows(
                f"{what}: {shown}. Mend or leave out these customers; all times run from the first purchase.",
                count=int(bad.sum()),
                examples=(shown,),
            )


def _is_text(value: Any) -> bool:
    """Return whether a value would turn into a number without being one."""
    return isinstance(value, (bool, str, bytes))


def _impossible(x: Floats, t_x: Floats, T: Floats) -> dict[str, NDArray[np.bool_]]:  # noqa: N803
    """Return which histories cannot be, by what is wrong."""
    with np.errstate(invalid="ignore"):
        return {
            "frequency, recency or age missing or not finite": ~(np.isfinite(x) & np.isfinite(t_x) & np.isfinite(T)),
            "frequency negative": x < 0.0,
            "frequency no whole number (it counts repeat purchases)": x != np.floor(x),
            "recency negative": t_x < 0.0,
            "recency beyond age": t_x > T,
            "recency above 0 without a repeat purchase": (x == 0.0) & (t_x > 0.0),
        }


def _offenders(wrong: NDArray[np.bool_], *columns: Floats) -> str:
    """Return how many of how many customers are wrong, and the first of them."""
    x, t_x, T = (np.atleast_1d(column)[np.atleast_1d(wrong)] for column in columns)  # noqa: N806
    shown = [f"({a:g}, {b:g}, {c:g})" for a, b, c in zip(x[:_SHOWN], t_x[:_SHOWN], T[:_SHOWN], strict=True)]
    more = ", …" if len(x) > _SHOWN else ""
    return f"{len(x):,} of {np.size(wrong):,}, with (frequency, recency, age) = {', '.join(shown)}{more}"
