"""Sums of money as whole numbers: equal ones are told by these, never by the last digit of a float.

The same amounts added up in another order differ in their last digits, as 790 of CDNOW's 10,868 sums do: between two
engines, and on a cluster between two runs. Whatever asks which customers are equal, or who is ahead, asks places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Places"]

_KEPT = 12  # significant digits of the largest sum
_CENTS = 2  # decimals kept in any case, …
_MOST = 14  # … while the largest sum then has no more significant digits than this
_FINEST = 300  # decimals: beyond, powers of ten leave the range of floats


@dataclass(frozen=True, slots=True)
class Places:
    """A resolution: multiples of 10^-digits, to the nearest of which (halves up) sums are counted.

    Cents lie on it exactly, whatever digits their sum ends in; other sums are equal where they are the same to it.

    Attributes:
        digits: Decimals kept; negative where the largest sum is too large for cents.
        coarser: Powers of ten by which these multiples are gathered further, away from zero: of a negative sum the
            place stays negative, and 0 has one of its own.
    """

    digits: int
    coarser: int = 0

    @classmethod
    def for_largest(cls, largest: float | None) -> Places:
        """Return the resolution for sums of which the largest, its sign left out, is this one; None: there is none.

        Examples:
            >>> Places.for_largest(6552.70).digits, Places.for_largest(3e11).digits, Places.for_largest(1e15).digits
            (8, 2, -1)
        """
        if not largest:
            return cls(_CENTS)
        power = math.ceil(math.log10(float(f"{largest:.{_KEPT}g}")))
        return cls(min(max(_KEPT - power, min(_CENTS, _MOST - power)), _FINEST))

    @property
    def unit(self) -> float:
        """How far apart two places are."""
        return float(f"1e{self.coarser - self.digits}")

    def column(self, values: nw.Expr) -> nw.Expr:
        """Return the places of a column, as an expression of whole numbers."""
        scaled: nw.Expr = self._scaled(values)
        fine = (scaled + 0.5).floor()
        if self.coarser:  # of whole numbers, so that the last digits of a sum cannot move it to another place
            gathered = fine / 10.0**self.coarser
            fine = nw.when(fine < 0.0).then(gathered.floor()).otherwise(gathered.ceil())
        return fine.cast(nw.Int64)

    def of(self, values: Any) -> NDArray[np.float64]:
        """Return the places of an array, as floats that hold whole numbers; NaN and infinity stay what they are."""
        import numpy as np

        with np.errstate(over="ignore"):
            found: NDArray[np.float64] = np.floor(self._scaled(np.asarray(values, np.float64)) + 0.5)
        if self.coarser:
            gathered = found / 10.0**self.coarser
            found = np.where(found < 0.0, np.floor(gathered), np.ceil(gathered))
        return found

    def _scaled(self, values: Any) -> Any:
        """Return values in units; both powers of ten are exact up to the 22nd, so that all engines agree."""
        return values * 10.0**self.digits if self.digits >= 0 else values / 10.0**-self.digits
