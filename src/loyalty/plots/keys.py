"""Legends that stand where nothing is drawn: in a free corner, or in room that is made above."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty.plots import paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Line = tuple[Floats, Floats]  # across and up, in data units

__all__ = ["legend"]

_WIDE = 0.85  # of the axes: as wide as two columns may be
_SHRUNK = 1.3  # times as high as they will be are axes before titles are laid out
_ACROSS = 101  # places at which lines are looked at
_CORNERS = ("upper right", "lower left", "upper left", "lower right")


def legend(ax: Axes, lines: Sequence[Line], *, filled: bool = False, handles: Any = None) -> None:
    """Name what is drawn, in a corner that is free; where none is, the axis is lengthened upwards.

    Args:
        ax: Axes whose limits are final but for that.
        lines: What must not be covered.
        filled: Whether everything below the lines counts, too, as with bars.
        handles: What is named; by default everything with a label.
    """
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    width, height = paper.size_points(ax)
    roomy = width > 30.0 * paper.font_points("medium") and height > 15.0 * paper.font_points("medium")
    name = "medium" if roomy else "x-small"
    letters, size = max(len(handle.get_label()) for handle in handles), paper.font_points(name)
    wide = (letters * 0.6 + 4.5) * size / width
    columns = 2 if len(handles) > 2 and 2.0 * wide < _WIDE else 1
    wide, lines_of_words = min(1.0, wide * columns), math.ceil(len(handles) / columns)
    high = min(0.65, _SHRUNK * (lines_of_words * 1.6 + 1.6) * size / height)
    across, up = _places(ax, lines)
    needed = {corner: _needed(corner, (across, up), (wide, high), filled=filled) for corner in _CORNERS}
    corner = min(_CORNERS, key=needed.__getitem__)  # the first of several free ones
    if needed[corner] > 1.0:
        bottom, top = ax.get_ylim()
        ax.set_ylim(bottom, bottom + (top - bottom) * needed[corner])
    ink = paper.palette(ax).ink
    look: dict[str, Any] = {"loc": corner, "fontsize": name}
    ax.legend(handles=handles, ncols=columns, frameon=False, labelcolor=ink, **look)


def _places(ax: Axes, lines: Sequence[Line]) -> Line:
    """Return many places of lines as parts of the axes."""
    found = []
    for across, up in lines:
        known = np.isfinite(up)
        if known.any():
            drawn = ax.transAxes.inverted().transform(ax.transData.transform(np.column_stack([across, up])[known]))
            even = np.linspace(drawn[0, 0], drawn[-1, 0], _ACROSS)
            found.append((even, np.interp(even, drawn[:, 0], drawn[:, 1])))
    if not found:
        return np.zeros(0), np.zeros(0)
    first, second = (np.concatenate(part) for part in zip(*found, strict=True))
    return first, second


def _needed(corner: str, places: Line, size: tuple[float, float], *, filled: bool) -> float:
    """Return how many times as high the axes must be for a corner to be free; 1 where it is."""
    (across, up), (wide, high) = places, size
    side, end = corner.split()
    here = up[across >= 1.0 - wide] if end == "right" else up[across <= wide]
    if not len(here):
        return 1.0
    if side == "lower":
        return 1.0 if not filled and here.min() > high else np.inf
    return max(1.0, float(here.max()) / (1.0 - high))
