"""Whether the fits behind a value determine it, and what is said where they do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from loyalty.clv.models.mean_spend import MeanSpend

if TYPE_CHECKING:
    from loyalty.clv.models.fits import Fit

__all__ = ["NO_WIDTH", "WITHOUT_WIDTH", "doubts", "standing"]

NO_WIDTH = 1e-9  # an interval narrower than this part of the money at stake has no width
WITHOUT_WIDTH = "no interval: it would have no width, though the money is uncertain"


def standing(fit: Fit | MeanSpend) -> str:
    """Return the sentence on a fit that has not plainly converged; nothing for one that has."""
    if isinstance(fit, MeanSpend) or fit.status == "converged":
        return ""
    loose = [name for name, sure in fit.identified.items() if not sure]
    if not loose:
        return f"{fit.model} lies on a {fit.status}."
    listed = " and ".join(filter(None, [", ".join(loose[:-1]), loose[-1]]))
    return f"{fit.model} lies on a {fit.status} and leaves {listed} open, so intervals may be too narrow."


def doubts(fits: Iterable[Fit | MeanSpend], known: Sequence[str] = ()) -> str:
    """Return what the notes of estimates say of fits that have not plainly converged, and why they have not.

    Args:
        fits: The fits.
        known: Notes that are about the customers, not the fits.

    Returns:
        Sentences without the last full stop; nothing where all fits have converged.
    """
    found: list[str] = []
    for fit in fits:
        said = standing(fit)
        if said:
            found += [said, *(note for note in fit.notes if note not in known)]
    return " ".join(found).removesuffix(".")
