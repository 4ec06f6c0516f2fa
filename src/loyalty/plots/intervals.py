"""Estimates side by side: a dot for each value, a line for its interval."""

from __future__ import annotations

import math
import textwrap
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
_MOST = 40  # as many estimates as can be told apart


def estimates(items: Sequence[Estimate], labels: Sequence[Any] | None = None, ax: Axes | None = None) -> Axes:
    """Draw estimates as dots with their intervals, the first on top.

    A value that is not defined leaves its row empty and says so; an infinite one is an arrow at the edge.

    Args:
        items: The estimates. Those of another unit, or far from the others in size, have a panel of their own:
            then the panels are inset axes of the Axes, `ax.child_axes`. Of more than 40 the first 40 are drawn,
            and the title says so.
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
        raise InvalidArgument(f"labels= has {len(names)} for {len(items)} estimates: give one each, or None.")
    title = _title(items, grouped=labels is not None)
    rows = [(wording.group(name), item) for name, item in zip(names, items, strict=True)][:_MOST]
    panels = _panels(rows)
    own = ax is None
    ax = paper.axes(ax, 8.4, 0.6 + _ROW * max(2, len(rows)) + _AXIS * _ROW * len(panels))
    if not items:
        return paper.blank(ax, "", "no estimates to draw")
    if not own and len(panels) > 1 and _crowded(ax, len(rows), len(panels)):
        _crowd(ax, panels, title)
        return ax
    if title:
        paper.titles(ax, title)
    for panel, part in zip(paper.panels(ax, [len(part) for part in panels], _AXIS), panels, strict=True):
        _panel(panel, [name for name, _ in part], [item for _, item in part])
    return ax


def _title(items: Sequence[Estimate], *, grouped: bool) -> str:
    """Return what the estimates are, where all are the same, and how many of them are drawn."""
    names = {item.name for item in items}
    alike = len(names) == 1 and (grouped or len(items) == 1)
    name = paper.clean(names.pop()) if alike else ""
    title = name[:1].upper() + name[1:]
    if len(items) <= _MOST:
        return title
    part = f"first {_MOST} of {len(items):,} {'groups' if grouped else 'estimates'}"
    return f"{title}: {part}" if title else part.capitalize()


def _crowded(ax: Axes, rows: int, panels: int) -> bool:
    """Return whether panels would not fit the caller's axes, or their names the margins of its figure."""
    needed = 72 * _ROW * (rows + _AXIS * panels)
    return ax.figure.get_figure(root=True).get_layout_engine() is None or paper.size_points(ax)[1] < 0.7 * needed


def _crowd(ax: Axes, panels: list[list[tuple[Any, Estimate]]], title: str) -> None:
    """Draw panels without ticks, inside the Axes with all their words: names left, values with units right."""
    levels = {item.confidence for part in panels for _, item in part if not math.isnan(item.low)}
    lines = f"Lines: {wording.level(levels.pop())} intervals" if len(levels) == 1 else ""
    paper.titles(ax, title or lines, lines if title else "")
    ax.set_axis_off()
    width, height = paper.size_points(ax)
    total = sum(len(part) + 0.4 for part in panels)
    small = min(paper.font_points("small"), height / total / 2.5)
    letter = small * 0.56 / width
    names = [["\n".join(textwrap.wrap(paper.clean(name, 34), 18)) for name, _ in part] for part in panels]
    values = [[_lines(item) for _, item in part] for part in panels]
    left, right = (letter * (2 + _longest(words)) for words in (names, values))
    top = 1.0
    for part, shown, words in zip(panels, names, values, strict=True):
        share = len(part) / total
        box = (left, top - share, max(0.1, 1.0 - left - right), share)
        panel = ax.inset_axes(box, facecolor=ax.get_facecolor())
        _dots(panel, [item for _, item in part])
        panel.set_xticks([])
        panel.xaxis.label.set_color(ax.title.get_color())
        panel.spines["bottom"].set_visible(False)
        panel.tick_params(axis="y", length=0, labelsize=small, labelcolor=ax.title.get_color())
        panel.set_yticks(range(len(part)), [paper.safe_lines(name) for name in shown])
        for row, ((_, item), text) in enumerate(zip(part, words, strict=True)):
            _write(panel, row, item, paper.safe_lines(text), small, ax.title.get_color())
        top -= share + 0.4 / total


def _longest(words: list[list[str]]) -> int:
    """Return the number of letters of the longest line."""
    return max(len(line) for part in words for text in part for line in text.split("\n"))


def _lines(item: Estimate) -> str:
    """Return value with its unit, and the interval on a second line."""
    value = wording.quantity(item.value, item.unit)
    if math.isnan(item.low) and math.isnan(item.high):
        return value
    return f"{value}\n({wording.number(item.low, item.unit)} to {wording.number(item.high, item.unit)})"


def _panels(rows: Sequence[tuple[Any, Estimate]]) -> list[list[tuple[Any, Estimate]]]:
    """Return rows by the axis they can share: of one unit, and none so large that others end up at its zero."""
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


def _panel(ax: Axes, names: list[Any], items: list[Estimate]) -> None:
    """Draw estimates of one unit."""
    _dots(ax, items)
    ax.tick_params(axis="y", length=0)
    if paper.row_labels(ax, names, 44) == 1:
        for row, item in enumerate(items):
            _write(ax, row, item, _words(item), "small", ax.title.get_color())
    _value_axis(ax, items)


def _dots(ax: Axes, items: list[Estimate]) -> None:
    """Draw a dot for each value and a line for its interval."""
    colours, rows = paper.palette(ax), list(range(len(items)))
    left, right = ax.set_xlim(*_limits(items))
    ax.set_ylim(len(items) - 0.5, -0.5)
    # An interval without an end runs to the edge.
    lows, highs = [max(item.low, left) for item in items], [min(item.high, right) for item in items]
    values = [item.value if math.isfinite(item.value) else math.nan for item in items]
    ax.hlines(rows, lows, highs, color=colours.first, linewidth=2.2)
    ax.plot(values, rows, "o", color=colours.first, markersize=7, markeredgecolor=colours.paper, clip_on=False)
    for row, item in enumerate(items):
        if math.inf in (item.value, item.high):
            edge: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "clip_on": False}
            ax.plot(1.0, row, ">", color=colours.first, markersize=7, **edge)
    paper.tidy(ax, colours, grid="x")
    ax.spines["left"].set_visible(False)


def _write(ax: Axes, row: int, item: Estimate, text: str, size: Any, colour: Any) -> None:
    """Write value and interval of an estimate to the right of its row."""
    look: dict[str, Any] = {"alpha": 0.65, "style": "italic"} if math.isnan(item.value) else {}
    place: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
    ax.annotate(text, (1.0, row), (10, 0), va="center", fontsize=size, color=colour, **place, **look)


def _limits(items: Sequence[Estimate]) -> tuple[float, float]:
    """Return the ends of the axis: close to the data; one estimate alone is shown on its whole scale."""
    ends = [end for item in items for end in (item.value, item.low, item.high) if math.isfinite(end)]
    unit = items[0].unit
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
        large = item.unit not in _WHOLE and 10_000 <= abs(number) < 1e15
        if item.unit == "share":
            texts.append(wording.quantity(number, "share"))
        else:
            texts.append(f"{number:,.0f}" if large else wording.number(number, item.unit))
    if math.isnan(item.low) and math.isnan(item.high):
        return paper.safe(texts[0])
    return paper.safe(f"{texts[0]}  ({texts[1].removesuffix(' %')} to {texts[2].removesuffix(' %')})")


def _value_axis(ax: Axes, items: Sequence[Estimate]) -> None:
    """Label the axis of values with their unit, and say what the lines are where they are all the same."""
    unit = items[0].unit
    # Names to the left and values to the right will take about half of the width that the axes have now.
    width = paper.size_points(ax)[0] * 0.6
    if unit == "share":
        paper.share_ticks(ax.xaxis, 5)
    else:
        letters = max(len(f"{end:,.0f}") for end in ax.get_xlim())
        paper.number_ticks(ax.xaxis, max(2, 34 // (letters + 2)), whole=False)
    counted = {item.counted if item.denominator == item.n else "" for item in items}
    # Of the customers only where they are what was divided by: revenue retention is a share of revenue.
    name = f"share of {counted.pop()}" if unit == "share" and len(counted) == 1 and "" not in counted else unit
    levels = {item.confidence for item in items if not math.isnan(item.low)}
    line = f" (line: {wording.level(levels.pop())} interval)" if len(levels) == 1 else ""
    ax.set_xlabel("\n".join(paper.wrapped(name + line, width, paper.font_points("medium"))))
