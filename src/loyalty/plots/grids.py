"""Tables of shades: cohorts as they age, and customers by recency and frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import heat, paper
from loyalty.plots.lines import cohort_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["cohorts", "rfm"]


def cohorts(result: Any, ax: Axes | None = None, *, labels: bool | None = None) -> Axes:
    """Draw cohorts as a heat map: a row per cohort with its size, a column per period after the first.

    Cells that were not observed stay empty and hatched. A first column of nothing but 100 % is grey: it takes no
    part in the scale of colours.

    Args:
        result: Cohorts, as `loyalty.cohorts` gives.
        ax: Axes to draw on; by default those of a new figure.
        labels: Whether to write the rates into the cells, in percent; None: where there is room.

    Returns:
        The Axes; a colour bar is added beside them.
    """
    title, subtitle, unit = cohort_words(result)
    cells = result.data.to_pylist()
    sizes = {cell["cohort"]: cell["size"] for cell in cells}
    offsets = [cell["offset"] for cell in cells] or [0]
    first, columns = min(offsets), max(offsets) - min(offsets) + 1
    ax = paper.axes(ax, min(16.0, max(7.2, 3.4 + 0.5 * columns)), min(14.0, 2.2 + 0.36 * max(len(sizes), 2)))
    if not cells:
        return paper.blank(ax, title, result.note)
    rows = {name: row for row, name in enumerate(sizes)}
    rates, texts = np.full((len(rows), columns), np.nan), np.full((len(rows), columns), "", dtype=object)
    for cell in cells:
        place = rows[cell["cohort"]], cell["offset"] - first
        rates[place] = np.nan if cell["rate"] is None else cell["rate"]
        texts[place] = "–"  # observed, but not defined
    texts = np.where(np.isfinite(rates), _percents(rates), texts)
    image = heat.shades(ax, rates, _sides(rates, first), top=_ceiling(rates, first))
    heat.write(ax, image, texts, wanted=labels)
    names = [f"{paper.clean(name, 24)}  ({wording.plain(size)})" for name, size in sizes.items()]
    paper.row_labels(ax, names, 60)
    paper.number_ticks(ax.xaxis)
    ax.set(xlabel=f"{result.period}s after the first purchase", ylabel="cohort (customers)")
    paper.share_ticks(heat.colour_bar(ax, image, unit))
    key = "Hatched: not observed." if (texts == "").any() else ""
    key += " –: not defined." if (texts == "–").any() else ""
    paper.titles(ax, title, subtitle, key)
    return ax


def _sides(values: Floats, first: int) -> tuple[float, float, float, float]:
    """Return the sides of cells of size 1: columns from `first` on, rows from 0 down."""
    rows, columns = values.shape
    return first - 0.5, first + columns - 0.5, rows - 0.5, -0.5


def _ceiling(rates: Floats, first: int) -> float:
    """Return the top of the colour scale: the highest rate, but for a first column of nothing but 100 %."""
    later = rates
    if first == 0 and rates.shape[1] > 1 and np.all(np.isnan(rates[:, 0]) | (rates[:, 0] == 1.0)):
        later = rates[:, 1:]
    there = later[np.isfinite(later)]
    return float(there.max()) if len(there) and there.max() > 0.0 else 1.0


def _percents(rates: Floats) -> NDArray[Any]:
    """Return rates in percent without the sign; one decimal where all but the full ones are below 10 %."""
    part = rates[np.isfinite(rates) & (rates < 1.0)]
    decimals = 1 if len(part) and part.max() < 0.1 else 0
    texts = [f"{rate * 100:.{0 if rate >= 1.0 else decimals}f}" for rate in rates.flat]
    return np.array(texts, dtype=object).reshape(rates.shape)


def rfm(result: Any, ax: Axes | None = None) -> Axes:
    """Draw how many customers have which scores of recency (rows, the best on top) and frequency (columns).

    Lines part the segments, which are named where there is room.

    Args:
        result: RFM scores, as `loyalty.rfm` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes; a colour bar is added beside them.
    """
    bins, cells = result.bins, result.grid.data.to_pylist()
    ax = paper.axes(ax, 8.6, 6.2)
    names = list(dict.fromkeys(cell["segment"] or "" for cell in cells))
    counts, segments = np.zeros((bins, bins)), np.zeros((bins, bins), np.int64)
    for cell in cells:
        place = bins - cell["r"], cell["f"] - 1
        counts[place], segments[place] = cell["customers"], names.index(cell["segment"] or "")
    image = heat.shades(ax, counts, _sides(counts, 1), top=max(1.0, float(counts.max())))
    shares = [wording.quantity(count / result.n, "share") for count in counts.flat]
    pairs = zip(counts.flat, shares, strict=True)
    texts = np.array([f"{count:,.0f}\n{share}" if count else "0" for count, share in pairs], dtype=object)
    # Counts and names share a cell where it is high enough; of many small cells only the names can be read.
    roomy = paper.size_points(ax)[1] / bins > 5.5 * paper.font_points("x-small")
    heat.write(ax, image, texts.reshape(counts.shape), wanted=None if roomy else False)
    _name_segments(ax, segments, names, on_top=roomy)
    paper.row_labels(ax, [bins - row for row in range(bins)], 6)
    paper.number_ticks(ax.xaxis)
    ax.set(xlabel=f"frequency score f ({bins}: bought most often)")
    ax.set(ylabel=f"recency score r ({bins}: bought most recently)")
    paper.number_ticks(heat.colour_bar(ax, image, "customers"))
    paper.titles(ax, "Customers by recency and frequency", f"{wording.plain(result.n)} customers")
    return ax


def _name_segments(ax: Axes, segments: Places, names: list[str], *, on_top: bool) -> None:
    """Draw lines between segments and write each one's name: across the top of its cells, or in their middle."""
    colours, size = paper.palette(ax), paper.font_points("x-small")
    rows, columns = np.nonzero(segments[:, :-1] != segments[:, 1:])
    ax.vlines(columns + 1.5, rows - 0.5, rows + 0.5, color=colours.ink, linewidth=1.4)
    rows, columns = np.nonzero(segments[:-1] != segments[1:])
    ax.hlines(rows + 0.5, columns + 0.5, columns + 1.5, color=colours.ink, linewidth=1.4)
    width, height = (length / len(segments) for length in paper.size_points(ax))
    box = {"boxstyle": "round,pad=0.2", "facecolor": colours.paper, "edgecolor": "none", "alpha": 0.85}
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": colours.ink, "fontsize": "x-small", "bbox": box}
    for segment, name in enumerate(names):
        top, bottom, left, right = _block(segments == segment)
        room = int(width * (right - left) / (size * 0.64)) - 1
        if name and room >= 6 and height * (bottom - top) >= 1.6 * size:
            down = top - 0.5 + 0.9 * size / height if on_top else (top + bottom - 1) / 2
            ax.text((left + right + 1) / 2, down, paper.safe(name, room), clip_on=True, **look)


def _block(inside: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the cells to the right of the first one inside, and those below them: top, bottom, left, right."""
    top, left = np.argwhere(inside)[0]
    right = left + int(np.argmin(np.append(inside[top, left:], False)))
    bottom = top + int(np.argmin(np.append(inside[top:, left:right].all(axis=1), False)))
    return int(top), int(bottom), int(left), int(right)
