"""Shades: what pictures of tables have in common, drawn as cells of one growing lightness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty.plots import paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from loyalty.plots.paper import Palette

    Floats = NDArray[np.float64]
    Sides = tuple[float, float, float, float]

__all__ = ["colour_bar", "logarithmic", "round_ticks", "shades", "write"]

_FAINT = 0.18  # of a scale: shades below it are next to the paper


def shades(
    ax: Axes, values: Floats, sides: Sides, *, top: float = 1.0, norm: Any = None, hatched: bool = True
) -> AxesImage:
    """Draw values as shades from 0 to `top`; missing ones show what is behind.

    Args:
        ax: Axes to draw on.
        values: A row per row of cells, the first one on top; shape (rows, columns).
        sides: Left, right, lower and upper side of the picture, in data units.
        top: The value of the darkest (on dark paper the lightest) shade.
        norm: Another scale than a linear one, as `logarithmic` gives.
        hatched: Whether what is behind is hatched; else the lowest shade is one that is told from bare paper.
    """
    colours, (rows, columns) = paper.palette(ax), values.shape
    ax.grid(visible=False)
    if hatched:
        ax.patch.set(hatch="////", edgecolor=paper.mixed(colours, 0.25), linewidth=0)
    scale: dict[str, Any] = {"vmin": 0.0, "vmax": top} if norm is None else {"norm": norm}
    image = ax.imshow(
        np.ma.masked_invalid(values),
        cmap=_scale(colours, 0.0 if hatched else _FAINT),
        extent=sides,
        aspect="auto",
        interpolation="nearest",
        **scale,
    )
    ax.spines[:].set_visible(False)
    width, height = paper.size_points(ax)
    thin = min(1.5, width / columns / 16, height / rows / 16)
    if thin > 0.3:
        # Lines, not a grid of minor ticks: each tick is an object that the layout measures.
        look: dict[str, Any] = {"color": [colours.paper], "linewidth": thin, "linestyle": "-", "gid": "cells"}
        ax.vlines(np.linspace(sides[0], sides[1], columns + 1)[1:-1], *sides[2:], **look)
        ax.hlines(np.linspace(sides[2], sides[3], rows + 1)[1:-1], *sides[:2], **look)
    ax.tick_params(which="both", length=0)
    return image


def logarithmic(values: Floats) -> Any:
    """Return a scale on which a hundred is as far from ten as ten from one; from the least value above 0."""
    from matplotlib.colors import LogNorm

    there = values[np.isfinite(values) & (values > 0.0)]
    low, high = (float(there.min()), float(there.max())) if len(there) else (1.0, 1.0)
    return LogNorm(low, max(high, 10.0 * low))


def _scale(colours: Palette, start: float) -> Colormap:
    """Return a scale of one growing lightness, so that it survives colour blindness and grey printing."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    scale = colormaps["cividis" if colours.dark else "Blues"]
    if start:
        scale = ListedColormap(scale(np.linspace(start, 1.0, 256)))
    return scale.with_extremes(over=paper.mixed(colours, 0.3), bad=(0.0, 0.0, 0.0, 0.0))


def write(ax: Axes, image: AxesImage, texts: NDArray[Any], *, wanted: bool | None = None) -> None:
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
    (across, down), muted = _middles(image, texts.shape), paper.palette(ax).muted
    for row, column in zip(*np.nonzero(texts != ""), strict=True):
        shade, known = image.cmap(image.norm(values[row, column])), np.isfinite(values[row, column])
        ink = "#1a1a1a" if paper.luminance(shade) > 0.2 else "#ffffff"
        ax.text(
            across[column],
            down[row],
            texts[row, column],
            ha="center",
            va="center",
            color=ink if known else muted,
            fontsize=size or "xx-small",
            linespacing=1.15,
            clip_on=True,
        )


def _middles(image: AxesImage, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return where the middles of columns and of rows are, in data units."""
    left, right, bottom, top = image.get_extent()
    rows, columns = shape
    across: Floats = left + (np.arange(columns, dtype=np.float64) + 0.5) * ((right - left) / columns)
    down: Floats = top + (np.arange(rows, dtype=np.float64) + 0.5) * ((bottom - top) / rows)
    return across, down


def colour_bar(ax: Axes, image: AxesImage, unit: str) -> Axis:
    """Add the scale of colours with its unit; return its axis."""
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=25, shrink=0.9)
    bar.outline.set_visible(False)
    colour = ax.title.get_color()
    bar.set_label(unit, color=colour)
    bar.ax.tick_params(length=0, labelcolor=colour)
    return bar.ax.yaxis


def round_ticks(axis: Axis) -> None:
    """Label a logarithmic axis of counts at 1, 2, 5, 10, 20, …, or at powers of ten where there are many of these."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:,.12g}")
    axis.set_minor_formatter(NullFormatter())  # the usual one would write 2×10¹ beside 10
