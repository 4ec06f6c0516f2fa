"""What a fitted model says of all customers: how they differ, how much they buy and spend, beside what was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import bars, keys, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["heterogeneity", "purchase_counts", "repeat_purchases", "spend_density"]

_PANEL, _AXIS = 4, 1.6  # rows of a panel, and those that its axis takes


def purchase_counts(result: Any, ax: Axes | None = None) -> Axes:
    """Draw customers by their number of repeat purchases: bars as counted, and as the model expects.

    Args:
        result: A table with `label`, `customers` and `expected`, as `LifetimeFit.purchase_counts` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.

    Examples:
        >>> import types, pyarrow as pa
        >>> data = pa.table({"label": ["0", "1+"], "customers": [80.0, 20.0], "expected": [78.5, 21.5]})
        >>> table = types.SimpleNamespace(name="customers by repeat purchases", definition="", note="", data=data)
        >>> [float(bar.get_height()) for bar in purchase_counts(table).patches]
        [80.0, 20.0, 78.5, 21.5]
    """
    ax = paper.axes(ax)
    colours = paper.palette(ax)
    counted, expected = (paper.column(result.data, name) for name in ("customers", "expected"))
    places = np.arange(len(counted), dtype=np.float64)
    _pairs(ax, counted, expected)
    paper.tidy(ax, colours)
    paper.number_ticks(ax.yaxis)
    ax.set_ylim(bottom=0.0)
    labels = result.data.column("label").to_pylist()
    step = max(1, int(np.ceil(len(places) * 4 * paper.font_points("medium") * 0.6 / paper.size_points(ax)[0])))
    ax.set_xticks(places[::step], [paper.safe(label, 8) for label in labels[::step]])
    ax.set(xlabel="repeat purchases of a customer", ylabel="number of customers")
    room = 2.0 * paper.font_points("x-small") / paper.size_points(ax)[1] * ax.get_ylim()[1]  # of what stands on bars
    keys.legend(ax, [(places - 0.4, np.maximum(counted, expected) + room)], filled=True)
    paper.titles(ax, paper.headline(result), paper.told(result))
    return ax


def _pairs(ax: Axes, counted: Floats, expected: Floats) -> None:
    """Draw bars side by side, with their heights on top where there is room."""
    colours, places = paper.palette(ax), np.arange(len(counted))
    looks = (
        (-0.2, counted, paper.mixed(colours, 0.35), "counted"),
        (0.2, expected, colours.first, "expected by the model"),
    )
    words = [[_height(value) for value in values.tolist()] for values in (counted, expected)]
    letters = max(len(word) for part in words for word in part)
    roomy = 0.4 * paper.size_points(ax)[0] / len(places) > 0.57 * letters * paper.font_points("x-small")
    for (shift, values, fill, name), part in zip(looks, words, strict=True):
        drawn = ax.bar(places + shift, values, width=0.38, color=fill, label=name)
        if roomy:
            ax.bar_label(drawn, part, padding=2, fontsize="x-small", color=colours.ink)


def _height(value: float) -> str:
    """Return a number of customers: whole ones as they are, parts of some with a decimal below 100."""
    if value >= 99.95 or value.is_integer():
        return wording.plain(round(value))
    return f"{value:.1f}" if value >= 0.05 else f"{value:.1g}"


def repeat_purchases(result: Any, ax: Axes | None = None) -> Axes:
    """Draw how the purchases of a new customer are expected to add up, dashed beyond what was observed.

    Args:
        result: A table with `time`, `expected`, `low`, `high` and `observed` (whether anybody was observed for so
            long; null: not known), as `LifetimeFit.repeat_purchases` gives; its `units` name those of time.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    colours = paper.palette(ax)
    time, expected, low, high = (paper.column(result.data, name) for name in ("time", "expected", "low", "high"))
    seen = sum(known is not False for known in result.data.column("observed").to_pylist())
    ax.fill_between(time, low, high, color=colours.first, alpha=0.2, linewidth=0)
    ax.plot(time[:seen], expected[:seen], color=colours.first, linewidth=2.2)
    if seen < len(time):
        beyond = slice(max(0, seen - 1), None)
        ax.plot(time[beyond], expected[beyond], color=colours.first, linewidth=2.2, linestyle="--")
    paper.tidy(ax, colours)
    ax.set_ylim(bottom=0.0)
    ax.set_xlim(0.0, float(time[-1]))
    paper.number_ticks(ax.yaxis, whole=False)
    paper.number_ticks(ax.xaxis, whole=False)
    ax.set(xlabel=f"{result.units['time']} since the first purchase", ylabel="repeat purchases of a customer")
    key = "Dashed: beyond what was observed." if seen < len(time) else ""
    paper.titles(ax, paper.headline(result), paper.told(result), key)
    paper.end_labels(ax, [(float(expected[-1]), wording.plain(float(expected[-1])), colours.first)])
    return ax


def heterogeneity(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the distributions of rates and chances over customers: a panel for each.

    Args:
        result: A table with `rate` (text), `value` and `density`, as `LifetimeFit.heterogeneity` gives. Its sentence is
            the subtitle.
        ax: Axes to draw on; by default those of a new figure. Several panels are inset axes, `ax.child_axes`.

    Returns:
        The Axes.
    """
    rates = result.data.column("rate").to_pylist()
    names = list(dict.fromkeys(rates))
    ax = paper.axes(ax, 7.2, 2.2 + 1.7 * max(1, len(names)))
    if not names:
        return paper.blank(ax, paper.headline(result), result.note)
    value, density = (paper.column(result.data, name) for name in ("value", "density"))
    note = f" Note: {result.note}." if result.note else ""
    paper.titles(ax, paper.headline(result), result.sentence + note)
    for panel, name in zip(paper.panels(ax, [_PANEL] * len(names), _AXIS), names, strict=True):
        here = np.array([rate == name for rate in rates])
        _curve(panel, value[here], density[here])
        panel.set(xlabel=name, ylabel="density")
        panel.yaxis.label.set_color(ax.title.get_color())
        paper.wrap_labels(panel)
    return ax


def _curve(ax: Axes, value: Floats, density: Floats) -> None:
    """Draw a density over customers; its heights are of no interest, so the axis has no ticks."""
    colours = paper.palette(ax)
    ax.fill_between(value, 0.0, density, color=colours.first, alpha=0.2, linewidth=0)
    ax.plot(value, density, color=colours.first, linewidth=2.0)
    paper.tidy(ax, colours, grid="x")
    ax.set_yticks([])
    ax.set_ylim(0.0, float(density.max()) * 1.05)
    ax.set_xlim(min(0.0, float(value[0])) if value[0] < value[-1] / 3.0 else float(value[0]), float(value[-1]))
    paper.number_ticks(ax.xaxis, whole=False)


def spend_density(result: Any, ax: Axes | None = None) -> Axes:
    """Draw customers by their mean spend: bars as counted, and a curve as the model expects, on a logarithmic axis.

    Args:
        result: A table with `from`, `to` (money), `customers` and `expected`, as `SpendFit.density` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    start, end, counted, expected = (
        paper.column(result.data, name) for name in ("from", "to", "customers", "expected")
    )
    colours = bars.histogram(ax, start, end, counted)
    for bar in ax.patches:
        bar.set_facecolor(paper.mixed(colours, 0.3))
    ax.patches[0].set_label("counted")
    ax.set_xscale("log")
    middle = np.sqrt(start * end)
    ax.plot(middle, expected, color=colours.first, linewidth=2.2, label="expected by the model")
    ax.set_ylim(0.0, 1.08 * float(max(counted.max(), expected.max())))
    ax.set_xlim(float(start[0]), float(end[-1]))
    _money_ticks(ax)
    ax.set(xlabel="mean spend of a customer's repeat purchases (money, log scale)", ylabel="number of customers")
    keys.legend(ax, [(middle, np.maximum(counted, expected))], filled=True)
    paper.titles(ax, paper.headline(result), paper.told(result))
    return ax


def _money_ticks(ax: Axes) -> None:
    """Label a logarithmic axis of money at round sums, as many as have room."""
    low, high = ax.get_xlim()
    most = paper.size_points(ax)[0] / (5.0 * paper.font_points("medium"))
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1.0)
    for sizes in ((1.0, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        ticks = np.outer(powers, sizes).ravel()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) <= most:
            break
    ticks = ticks if len(ticks) > 1 else np.array([low, high])
    step = max(1, int(np.ceil(len(ticks) / max(1.0, most))))
    ax.set_xticks(ticks[::step], [f"{tick:,.6g}" if tick >= 1e-4 else f"{tick:.1g}" for tick in ticks[::step]])
    ax.set_xticks([], minor=True)
