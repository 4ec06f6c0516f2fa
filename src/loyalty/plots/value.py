"""What customers are worth: by group, how unevenly it is spread, and who is probably still there."""

from __future__ import annotations

import itertools
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import keys, paper
from loyalty.plots.lines import mark_point, point_words, shares_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["alive_by_recency", "value_by_group", "value_concentration"]

_MOST_GROUPS = 25
_ROW = 0.34  # inches
_ROOMY = 280.0  # points across, from which on there is room for columns beside the bars
_TOP = 0.30  # the share of customers that is marked
# Customers of few purchases and of many: colours of the palette, dash and mark, each apart from the others.
_LOOKS = (("muted", ":", "^"), ("second", "--", "s"), ("first", "-", "o"), ("ink", "-.", "D"))


def value_by_group(result: Any, ax: Axes | None = None) -> Axes:
    """Draw what each group of customers is worth as a bar; beside it how many they are, their mean value and P(alive).

    Args:
        result: A table whose first column is the group, with `customers`, `value`, `share_of_value`, `mean_value` and
            `mean_p_alive`, as `CustomerValue.by` gives. Of more than 25 groups the first 25 are drawn, and the title
            says so.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    rows = result.data.slice(0, _MOST_GROUPS).to_pylist()
    ax = paper.axes(ax, 9.2, 1.7 + _ROW * (max(len(rows), 2) + 1))
    title = paper.headline(result)
    if not rows:
        return paper.blank(ax, title, result.note)
    if result.data.num_rows > len(rows):
        title += f": first {len(rows)} of {result.data.num_rows:,} groups"
    colours, places = paper.palette(ax), range(len(rows))
    names = [wording.group(row[result.data.column_names[0]]) for row in rows]
    bars = ax.barh(places, [row["value"] for row in rows], height=0.72, color=colours.first)
    for bar, row in zip(bars, rows, strict=True):
        if row["value"] < 0.0:
            bar.set_color(colours.second)
    ax.set_ylim(len(rows) - 0.5, -1.3)  # with a row for the names of the columns beside it
    paper.tidy(ax, colours, grid="x")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    if paper.row_labels(ax, names, 32) == 1:
        _shares(ax, rows)
        if paper.size_points(ax)[0] > _ROOMY:  # else the columns would take the room of the bars
            _beside(ax, rows)
    ax.margins(x=0.0)
    ax.set_xlim(*_room(ax, rows))
    paper.number_ticks(ax.xaxis, 6, whole=False)
    ax.set_xlabel("expected value (money)")
    paper.titles(ax, title, paper.told(result))
    return ax


def _room(ax: Axes, rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the ends of the axis of value, with room for the share that is written at the end of each bar."""
    low, high = min(0.0, *(row["value"] for row in rows)), max(0.0, *(row["value"] for row in rows))
    letters = 8 * paper.font_points("small") * 0.6 / paper.size_points(ax)[0]
    spare = (high - low or 1.0) * letters * 1.8
    return low - (spare if low < 0.0 else 0.0), high + spare


def _shares(ax: Axes, rows: list[dict[str, Any]]) -> None:
    """Write the share at the end of each bar."""
    small, ink = paper.font_points("small"), ax.title.get_color()
    for place, row in enumerate(rows):
        text = "" if math.isnan(row["share_of_value"]) else wording.quantity(row["share_of_value"], "share")
        left = row["value"] < 0.0
        offset, side = ((-4, 0), "right") if left else ((4, 0), "left")
        point: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "va": "center", "ha": side}
        ax.annotate(text, (row["value"], place), fontsize=small, color=ink, **point)


def _beside(ax: Axes, rows: list[dict[str, Any]]) -> None:
    """Write further numbers in columns to the right, under their names."""
    small, ink = paper.font_points("small"), ax.title.get_color()
    told = {
        "customers": [wording.plain(row["customers"]) for row in rows],
        "value each": [wording.quantity(row["mean_value"], "money") for row in rows],
        "P(alive)": [wording.quantity(row["mean_p_alive"], "share") for row in rows],
    }
    across = 10.0
    for name, texts in told.items():
        across += (max(len(text) for text in (name, *texts)) + 2) * small * 0.6
        column: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
        for place, text in enumerate(texts):
            ax.annotate(text, (1.0, place), (across, 0), va="center", fontsize=small, color=ink, **column)
        head: dict[str, Any] = {"fontsize": small, "color": ink, "alpha": 0.75, "va": "center"}
        ax.annotate(name, (1.0, -0.95), (across, 0), **column, **head)


def value_concentration(result: Any, ax: Axes | None = None) -> Axes:
    """Draw which share of expected value the most valuable customers bring; the top 30 % of customers are marked.

    Args:
        result: A table with `customers` (number), `cumulative_customers` and `cumulative_value` (shares), as
            `CustomerValue.concentration` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax, 6.4, 6.0)
    data = result.data
    if not data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    colours = paper.palette(ax)
    shares_curve(ax, data, colours)
    names = ("customers", "cumulative_customers", "cumulative_value")
    customers, share, value = (paper.column(data, name) for name in names)
    place = int(np.searchsorted(share, _TOP - 1e-9))  # of a few customers, the first who are as many
    mark = mark_point(ax, float(share[place]), float(value[place]), colours, ("o", colours.first))
    who = f"the top {wording.level(_TOP)} of customers ({customers[place]:,.0f} of {customers[-1]:,.0f})"
    point_words(ax, [mark], [f"{who}\nare expected to bring {wording.quantity(float(value[place]), 'share')}"], colours)
    ax.set(xlabel="share of customers, best first", ylabel="share of expected value")
    paper.titles(ax, paper.headline(result), paper.told(result))
    return ax


def alive_by_recency(result: Any, ax: Axes | None = None) -> Axes:
    """Draw P(alive) against days since the last purchase, a line for customers of few purchases and of many.

    The larger a mark, the more customers it stands for.

    Args:
        result: A table with `days_from`, `days_to`, `purchases` (text), `customers` and `p_alive`, as
            `CustomerValue.alive_by_recency` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    data = result.data
    if not data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    colours = paper.palette(ax)
    data = data.sort_by("days_from")
    groups = np.array(data.column("purchases").to_pylist(), dtype=object)
    names = sorted(set(groups), key=_fewest)
    pairs = zip(names, _looks(names), strict=True)
    drawn = [_alive_line(ax, data, groups == name, look) for name, look in pairs]
    paper.tidy(ax, colours)
    paper.share_ticks(ax.yaxis)
    ax.set_ylim(0.0, 1.03)
    ax.set_xlim(left=0.0)
    paper.number_ticks(ax.xaxis)
    ax.set(xlabel="days since the last purchase", ylabel="mean P(alive)")
    _legend(ax, names, drawn)
    ax.set_yticks([tick for tick in ax.get_yticks() if tick <= 1.0 + 1e-9])
    note = f"Note: {result.note}." if result.note else ""
    paper.titles(ax, paper.headline(result), f"Larger marks: more customers. {note}")
    return ax


def _alive_line(ax: Axes, data: Any, here: Any, look: tuple[str, str, str]) -> Any:
    """Draw the line of one group, whose rows are in order of days; return its places."""
    start, end, people, alive = (paper.column(data, name) for name in ("days_from", "days_to", "customers", "p_alive"))
    colours = paper.palette(ax)
    colour, dash, mark = getattr(colours, look[0]), look[1], look[2]
    middle, size = (start[here] + end[here] + 1.0) / 2.0, 16.0 + 110.0 * people[here] / people.max()
    ax.plot(middle, alive[here], dash, color=colour, linewidth=1.6)
    edge: dict[str, Any] = {"edgecolors": [colours.paper], "linewidths": 0.6, "zorder": 3}
    ax.scatter(middle, alive[here], s=size, marker=mark, color=colour, **edge)
    return middle, alive[here]


def _fewest(name: str) -> tuple[int, str]:
    """Return the key that orders groups such as "1", "2–3" and "10+" by their fewest purchases."""
    digits = "".join(itertools.takewhile(str.isdecimal, name))
    return (int(digits) if digits else sys.maxsize), name


def _looks(names: list[str]) -> list[tuple[str, str, str]]:
    """Return a look for each group."""
    return [_LOOKS[place % len(_LOOKS)] for place in range(len(names))]


def _purchases(name: str) -> str:
    """Return a group's purchases as words."""
    return "1 purchase" if name == "1" else f"{name} purchases"


def _legend(ax: Axes, names: list[str], drawn: list[Any]) -> None:
    """Name the lines, with their marks all of one size."""
    from matplotlib.lines import Line2D

    handles, colours = [], paper.palette(ax)
    for name, (colour, dash, mark) in zip(names, _looks(names), strict=True):
        line: dict[str, Any] = {"linestyle": dash, "marker": mark, "color": getattr(colours, colour)}
        handles.append(Line2D([], [], label=_purchases(name), **line))
    keys.legend(ax, drawn, handles=handles)
