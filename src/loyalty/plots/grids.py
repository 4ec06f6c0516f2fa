"""Tables of shades: cohorts as they age, and customers by recency and frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import paper
from loyalty.plots.lines import cohort_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from loyalty.plots.paper import Palette

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
    image = _heat(ax, rates, _ceiling(rates, first), first)
    _write(ax, image, texts, wanted=labels)
    names = [f"{paper.clean(name, 24)}  ({wording.plain(size)})" for name, size in sizes.items()]
    paper.row_labels(ax, names, 60)
    paper.number_ticks(ax.xaxis)
    ax.set(xlabel=f"{result.period}s after the first purchase", ylabel="cohort (customers)")
    paper.share_ticks(_colour_bar(ax, image, unit))
    key = " Hatched: not observed." if (texts == "").any() else ""
    key += " –: not defined." if (texts == "–").any() else ""
    paper.titles(ax, title, subtitle + key)
    return ax


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
    image = _heat(ax, counts, max(1.0, float(counts.max())), 1)
    shares = [wording.quantity(count / result.n, "share") for count in counts.flat]
    pairs = zip(counts.flat, shares, strict=True)
    texts = np.array([f"{count:,.0f}\n{share}" if count else "0" for count, share in pairs], dtype=object)
    # Counts and names share a cell where it is high enough; of many small cells only the names can be read.
    roomy = paper.size_points(ax)[1] / bins > 5.5 * paper.font_points("x-small")
    _write(ax, image, texts.reshape(counts.shape), wanted=None if roomy else False)
    _name_segments(ax, segments, names, on_top=roomy)
    paper.row_labels(ax, [bins - row for row in range(bins)], 6)
    paper.number_ticks(ax.xaxis)
    ax.set(xlabel=f"frequency score f ({bins}: bought most often)")
    ax.set(ylabel=f"recency score r ({bins}: bought most recently)")
    paper.number_ticks(_colour_bar(ax, image, "customers"))
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


def _heat(ax: Axes, values: Floats, top: float, first: int) -> AxesImage:
    """Draw values as shades from 0 to `top`, the first column at `first`; missing ones show what is behind."""
    colours, (rows, columns) = paper.palette(ax), values.shape
    ax.grid(visible=False)
    ax.patch.set(hatch="////", edgecolor=paper.mixed(colours, 0.25), linewidth=0)
    sides = (first - 0.5, first + columns - 0.5, rows - 0.5, -0.5)
    image = ax.imshow(
        np.ma.masked_invalid(values),
        cmap=_shades(colours),
        vmin=0.0,
        vmax=top,
        extent=sides,
        aspect="auto",
        interpolation="nearest",
    )
    ax.spines[:].set_visible(False)
    width, height = paper.size_points(ax)
    thin = min(1.5, width / columns / 16, height / rows / 16)
    if thin > 0.3:
        ax.set_xticks(np.arange(columns + 1) + sides[0], minor=True)
        ax.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
        ax.grid(visible=True, which="minor", color=colours.paper, linewidth=thin, linestyle="-", alpha=1.0)
    ax.tick_params(which="both", length=0)
    return image


def _shades(colours: Palette) -> Colormap:
    """Return a scale of one growing lightness, so that it survives colour blindness and grey printing."""
    from matplotlib import colormaps

    scale = colormaps["cividis" if colours.dark else "Blues"]
    return scale.with_extremes(over=paper.mixed(colours, 0.3), bad=(0.0, 0.0, 0.0, 0.0))


def _write(ax: Axes, image: AxesImage, texts: NDArray[Any], *, wanted: bool | None = None) -> None:
    """Write a text into each cell, dark on light shades and light on dark ones; None: if there is room."""
    values: Floats = np.ma.filled(np.ma.asarray(image.get_array()), np.nan)
    width, height = paper.size_points(ax)
    longest = max(len(line) for text in texts.flat for line in text.split("\n"))
    lines = max(text.count("\n") + 1 for text in texts.flat)
    wide, high = (
        width / texts.shape[1] / (longest * 0.62 + 0.6),
        height / texts.shape[0] / (lines * 1.2 + 0.2),
    )
    size = next((size for size in ("small", "x-small") if paper.font_points(size) < min(wide, high)), None)
    if wanted is False or (wanted is None and size is None):
        return
    first, muted = image.get_extent()[0] + 0.5, paper.palette(ax).muted
    for row, column in zip(*np.nonzero(texts != ""), strict=True):
        shade, known = image.cmap(image.norm(values[row, column])), np.isfinite(values[row, column])
        ink = "#1a1a1a" if paper.luminance(shade) > 0.2 else "#ffffff"
        ax.text(
            first + column,
            row,
            texts[row, column],
            ha="center",
            va="center",
            color=ink if known else muted,
            fontsize=size or "xx-small",
            linespacing=1.15,
            clip_on=True,
        )


def _colour_bar(ax: Axes, image: AxesImage, unit: str) -> Axis:
    """Add the scale of colours with its unit; return its axis."""
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=25, shrink=0.9)
    bar.outline.set_visible(False)
    colour = ax.title.get_color()
    bar.set_label(unit, color=colour)
    bar.ax.tick_params(length=0, labelcolor=colour)
    return bar.ax.yaxis
