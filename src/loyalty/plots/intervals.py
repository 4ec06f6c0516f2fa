"""Estimates side by side: a dot for each value, a line for its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loyalty import wording
from loyalty.errors import InvalidArgument
from loyalty.plots import paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from loyalty.estimates import Estimate

__all__ = ["estimates"]

_WHOLE = {"share": (0.0, 1.0), "points": (-100.0, 100.0)}  # the scale that a value standing alone is shown on
_APART = 30.0  # values that differ by a larger factor do not share an axis
_ROW = 0.36  # inches
_AXIS = 1.8  # rows that the ticks and label of an axis take


def estimates(items: Sequence[Estimate], labels: Sequence[Any] | None = None, ax: Any = None) -> Axes:
    """Draw estimates as dots with their intervals, the first on top.

    A value that is not defined leaves its row empty and says so; an infinite one is an arrow at the edge.

    Args:
        items: The estimates. Those of another unit, or far from the others in size, have a panel of their own: then
            the panels are inset axes of the Axes, `ax.child_axes`.
        labels: A label each; by default their names.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.

    Raises:
        InvalidArgument: There are more or fewer labels than estimates.

    Examples:
        >>> from loyalty.estimates import proportion
        >>> ax = estimates([proportion("repurchase rate", 8, 10, definition="bought again")])
        >>> ax.get_yticklabels()[0].get_text()
        'repurchase rate'
    """
    names = [item.name for item in items] if labels is None else list(labels)
    if len(names) != len(items):
        raise InvalidArgument(f"{len(names)} labels for {len(items)} estimates: give one label each, or none.")
    rows = list(zip(names, items, strict=True))
    panels = _panels(rows)
    ax = paper.axes(ax, 8.4, min(30.0, 0.6 + _ROW * max(2, len(items)) + _AXIS * _ROW * len(panels)))
    if not items:
        return paper.blank(ax, "", "no estimates to draw")
    if labels is not None and len({item.name for item in items}) == 1:
        paper.titles(ax, items[0].name[:1].upper() + items[0].name[1:])
    for panel, part in zip(_split(ax, [len(part) for part in panels]), panels, strict=True):
        _panel(panel, [name for name, _ in part], [item for _, item in part])
    return ax


def _panels(rows: Sequence[tuple[Any, Estimate]]) -> list[list[tuple[Any, Estimate]]]:
    """Return rows that can share an axis together: of one unit, and none so large that the others become dots at 0."""
    panels: list[list[tuple[Any, Estimate]]] = []
    for row in rows:
        fitting = [part for part in panels if part[0][1].unit == row[1].unit and _near(row[1], part)]
        if fitting:
            fitting[0].append(row)
        else:
            panels.append([row])
    return panels


def _near(item: Estimate, part: Sequence[tuple[Any, Estimate]]) -> bool:
    if item.unit in _WHOLE:
        return True
    sizes = [abs(other.value) for other in (item, *(other for _, other in part))]
    sizes = [size for size in sizes if math.isfinite(size) and size > 0.0]
    return not sizes or max(sizes) <= _APART * min(sizes)


def _split(ax: Axes, rows: list[int]) -> list[Axes]:
    """Return the Axes, or inset ones for several panels, from the top, their heights in proportion to their rows."""
    if len(rows) == 1:
        return [ax]
    ax.set_axis_off()
    total, top, panels = sum(rows) + _AXIS * (len(rows) - 1), 1.0, []
    for count in rows:
        height = count / total
        panels.append(ax.inset_axes((0.0, top - height, 1.0, height)))
        top -= height + _AXIS / total
    return panels


def _panel(ax: Axes, names: list[Any], items: list[Estimate]) -> None:
    """Draw estimates of one unit."""
    colours = paper.palette(ax)
    rows, unit = range(len(items)), items[0].unit
    ax.set_xlim(*_limits(items, unit))
    left, right = ax.get_xlim()
    # An interval without an end runs to the edge.
    ends = [(max(item.low, left), min(item.high, right)) for item in items]
    ax.hlines(list(rows), [low for low, _ in ends], [high for _, high in ends], color=colours.first, linewidth=2.2)
    ax.plot(
        [item.value if math.isfinite(item.value) else math.nan for item in items],
        list(rows),
        "o",
        color=colours.first,
        markersize=7,
        markeredgecolor=colours.paper,
        markeredgewidth=1,
    )
    for row, item in zip(rows, items, strict=True):
        if math.inf in (item.value, item.high):
            ax.plot(1.0, row, ">", color=colours.first, transform=ax.get_yaxis_transform(), clip_on=False)
        undefined = math.isnan(item.value)
        ax.annotate(
            _words(item),
            (1.0, row),
            (10, 0),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=ax.title.get_color(),
            alpha=0.65 if undefined else 1.0,
            style="italic" if undefined else "normal",
        )
    paper.tidy(ax, colours, grid="x")
    ax.spines["left"].set_visible(False)
    ax.set_yticks(list(rows), [paper.safe(name, 44) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(items) - 0.5, -0.5)
    _value_axis(ax, items, unit)


def _limits(items: Sequence[Estimate], unit: str) -> tuple[float, float]:
    """Return the ends of the axis: near the data, except that one estimate alone is shown on its whole scale."""
    ends = [end for item in items for end in (item.value, item.low, item.high) if math.isfinite(end)]
    whole = _WHOLE.get(unit, (0.0, 0.0))
    if len(items) == 1 or not ends:
        ends += whole
    low, high = min(ends), max(ends)
    if len(items) == 1 and (low, high) == whole and unit in _WHOLE:
        return low, high
    room = 0.06 * (high - low) or 0.1 * abs(high) or 0.5
    # What starts at nought keeps nought as its edge.
    return (0.0 if low == 0.0 < high else low - room), high + room


def _words(item: Estimate) -> str:
    """Return value and interval as text; the unit stands below the axis, so only percent signs are kept."""
    texts = []
    for number in (item.value, item.low, item.high):
        large = item.unit not in _WHOLE and 10_000 <= abs(number) < math.inf
        text = f"{number:,.0f}" if large else wording.quantity(number, item.unit)
        texts.append(text if item.unit == "share" else text.removesuffix(f" {item.unit}"))
    if math.isnan(item.low) and math.isnan(item.high):
        return paper.safe(texts[0])
    return paper.safe(f"{texts[0]}  ({texts[1].removesuffix(' %')} to {texts[2].removesuffix(' %')})")


def _value_axis(ax: Axes, items: Sequence[Estimate], unit: str) -> None:
    """Label the axis of values with their unit, and say what the lines are where they are all the same."""
    # Names to the left and values to the right will take about half of the width that the axes have now.
    label = max(len(f"{end:,.0f}") for end in ax.get_xlim()) + 2
    most = min(6, int(paper.size_points(ax)[0] / 2 / (label * 0.6 * paper.font_points("medium"))))
    if unit == "share":
        paper.share_ticks(ax.xaxis, max(most, 2))
    else:
        paper.number_ticks(ax.xaxis, max(most, 1), whole=False)
    counted = " / ".join(dict.fromkeys(item.counted for item in items))
    name = f"share of {counted}" if unit == "share" else unit
    levels = {item.confidence for item in items if not math.isnan(item.low)}
    line = f" (line: {wording.level(levels.pop())} interval)" if len(levels) == 1 else ""
    ax.set_xlabel(paper.safe(name + line))
