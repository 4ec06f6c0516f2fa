"""Predictions in the form in which customers were given: numbers for numbers, arrays for arrays, frames for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.models.uncertainty import Prediction

if TYPE_CHECKING:
    from loyalty.clv.summaries.people import People

__all__ = ["Kind", "of_arrays", "of_people", "shaped"]

Floats = NDArray[np.float64]
Kind = tuple[float, str]  # level and kind of an interval


def of_arrays(found: Any, shape: tuple[int, ...], kind: Kind | None) -> Any:
    """Return predictions for customers given as numbers or arrays.

    Args:
        found: One array of shape (n,); with an interval three: value, low and high.
        shape: The shape that customers were given in; () for one given as numbers.
        kind: Level and kind of the interval; None where there is none.

    Returns:
        A number or an array of that shape; with an interval a `Prediction` of them.
    """
    if kind is None:
        return shaped(found, shape)
    value, low, high = (shaped(part, shape) for part in found)
    return Prediction(value=value, low=low, high=high, confidence=kind[0], kind=kind[1])


def of_people(people: People, name: str, found: Any, kind: Kind | None) -> Any:
    """Return predictions for the customers of an engine: their frame with the column `name`.

    Args:
        people: The customers.
        name: Of the prediction; with an interval there are the columns `…_low` and `…_high`, too.
        found: An entry per cell, as in `of_arrays`.
        kind: Level and kind of the interval; None where there is none.
    """
    names = (name, f"{name}_low", f"{name}_high")
    columns = {name: found} if kind is None else dict(zip(names, found, strict=True))
    return people.hand_back(people.with_cells(columns))


def shaped(found: Floats, shape: tuple[int, ...]) -> Any:
    """Return an array in the shape of what was asked for; a number for a number."""
    return float(found[0]) if not shape else np.array(found).reshape(shape)
