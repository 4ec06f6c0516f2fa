"""Cells: the distinct (x, t_x, T) of a customer summary with the number of customers in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cells"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Cells:
    """All that the likelihood of a lifetime model needs: distinct histories and how many customers had each.

    Attributes:
        x: Number of repeat purchases; shape (n,), whole numbers as floats.
        t_x: Time of the last purchase after the first, in units of the model; shape (n,).
        T: Time observed since the first purchase, in units of the model; shape (n,).
        weight: Customers in the cell (any positive numbers where the summary is weighted); shape (n,).
        step: All times are whole multiples of it (1/7 where days are counted in weeks); None where they are not.
    """

    x: Floats
    t_x: Floats
    T: Floats
    weight: Floats
    step: float | None = None

    @classmethod
    def of(cls, x: Any, t_x: Any, T: Any, weight: Any = None, step: float | None = None) -> Cells:  # noqa: N803
        """Return the cells of customers given row by row, equal rows counted together."""
        x, t_x, T = (np.asarray(column, dtype=np.float64) for column in (x, t_x, T))  # noqa: N806
        weight = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)
        rows, place = np.unique(np.column_stack([x, t_x, T]), axis=0, return_inverse=True)
        counted: Floats = np.bincount(place.ravel(), weights=weight, minlength=len(rows)).astype(np.float64)
        x, t_x, T = (np.ascontiguousarray(column) for column in rows.T)  # noqa: N806
        return cls(x, t_x, T, counted, step)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def customers(self) -> float:
        """Number of customers, or the sum of their weights."""
        return float(self.weight.sum())

    def scaled(self, unit: float) -> Cells:
        """Return the same histories with times counted in another unit, `unit` old ones long."""
        return Cells(self.x, self.t_x / unit, self.T / unit, self.weight, self.step and self.step / unit)

    def take(self, places: Any) -> Cells:
        """Return the cells at some places."""
        return Cells(self.x[places], self.t_x[places], self.T[places], self.weight[places], self.step)
