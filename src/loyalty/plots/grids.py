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
    counts, names = np.zeros((bins, bins)), np.full((bins, bins), "", dtype=object)
    for cell in cells:
        place = bins - cell["r"], cell["f"] - 1
        counts[place], names[place] = cell["customers"], cell["segment"] or ""
    image = _heat(ax, counts, max(1.0, float(counts.max())), 1)
    shares = [wording.quantity(count / result.n, "share") for count in counts.flat]
    pairs = zip(counts.flat, shares, strict=True)
    texts = [f"{count:,.0f}\n{share}" if count else "0" for count, share in pairs]
    # Counts and names share a cell where it is high enough; of many small cells only the names can be read.
    roomy = paper.size_points(ax)[1] / bins > 5.5 * paper.font_points("x-small")
    _write(ax, image, np.array(texts, dtype=object).reshape(counts.shape), wanted=None if roomy else False)
    _outline(ax, names)
    _name_regions(ax, names, on_top=roomy)
    paper.row_labels(ax, [bins - row for row in range(bins)], 6)
    paper.number_ticks(ax.xaxis)
    ax.set(xlabel=f"frequency score f ({bins}: bought most often)")
    ax.set(ylabel=f"recency score r ({bins}: bought most recently)")
    paper.number_ticks(_colour_bar(ax, image, "customers"))
    paper.titles(ax, "Customers by recency and frequency", f"{wording.plain(result.n)} customers")
    return ax


def _outline(ax: Axes, names: NDArray[Any]) -> None:
    """Draw lines between cells of different segments."""
    ink, rows, columns = paper.palette(ax).ink, *names.shape
    for row, column in np.ndindex(names.shape):
        left, top = column + 0.5, row - 0.5
        if column + 1 < columns and names[row, column] != names[row, column + 1]:
            ax.plot([left + 1, left + 1], [top, top + 1], color=ink, linewidth=1.4, solid_capstyle="round")
        if row + 1 < rows and names[row, column] != names[row + 1, column]:
            ax.plot([left, left + 1], [top + 1, top + 1], color=ink, linewidth=1.4, solid_capstyle="round")


def _name_regions(ax: Axes, names: NDArray[Any], *, on_top: bool) -> None:
    """Write each segment's name once: across the top of its cells, or in their middle."""
    colours, size = paper.palette(ax), paper.font_points("x-small")
    width, height = (length / len(names) for length in paper.size_points(ax))
    for name in dict.fromkeys(names.flat):
        top, left = (int(place[0]) for place in np.nonzero(names == name))
        right = left
        while right + 1 < len(names) and names[top, right + 1] == name:
            right += 1
        bottom = top
        while bottom + 1 < len(names) and (names[bottom + 1, left : right + 1] == name).all():
            bottom += 1
        room = int(width * (right - left + 1) / (size * 0.64)) - 1
        if not name or room < 6 or height * (bottom - top + 1) < 1.6 * size:
            continue
        across = (left + right) / 2 + 1
        down = top - 0.5 + 0.9 * size / height if on_top else (top + bottom) / 2
        box = {"boxstyle": "round,pad=0.2", "facecolor": colours.paper, "edgecolor": "none", "alpha": 0.85}
        ax.text(
            across,
            down,
            paper.safe(name, room),
            ha="center",
            va="center",
            fontsize="x-small",
            color=colours.ink,
            clip_on=True,
            bbox=box,
        )


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
    for (row, column), text in np.ndenumerate(texts):
        shade, known = image.cmap(image.norm(values[row, column])), np.isfinite(values[row, column])
        ink = "#1a1a1a" if paper.luminance(shade) > 0.2 else "#ffffff"
        ax.text(
            first + column,
            row,
            text,
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
