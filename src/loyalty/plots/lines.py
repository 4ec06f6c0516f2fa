"""Rates and sums along a line: retention over time, cohorts as they age, survival, the Pareto curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from loyalty.plots.paper import Palette

__all__ = [
    "cohort_curves",
    "cohort_line",
    "cohort_shades",
    "mark_point",
    "name_cohorts",
    "pareto",
    "point_words",
    "retention",
    "revenue_retention",
    "shares_curve",
    "tenure",
]

_NAMED_COHORTS = 6  # as many lines as can each bear a name


def retention(result: Any, ax: Axes | None = None) -> Axes:
    """Draw retention over time, with the interval as a band; a period without a rate is a gap.

    Args:
        result: A table with `period`, `start` (date), `rate`, `low`, `high` (shares), as `loyalty.retention`
            gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.

    Examples:
        >>> import datetime as dt, types, pyarrow as pa
        >>> data = pa.table({"period": ["2024-01"], "start": [dt.date(2024, 1, 1)],
        ...                  "rate": [0.3], "low": [0.2], "high": [0.4]})
        >>> table = types.SimpleNamespace(name="retention by month", definition="", note="", data=data)
        >>> ax = retention(table)
        >>> ax.get_ylabel()
        'share of customers who came back'
    """
    ax = paper.axes(ax)
    if not result.data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    colours = paper.palette(ax)
    _banded(ax, result.data, ("rate", "low", "high"), colours.first)
    _over_time(ax, result, colours)
    ax.set_ylabel("share of customers who came back")
    rate = paper.column(result.data, "rate")
    paper.end_labels(ax, [(_last(rate), wording.quantity(_last(rate), "share"), colours.first)])
    return ax


def revenue_retention(result: Any, ax: Axes | None = None) -> Axes:
    """Draw net and gross revenue retention over time, with their intervals as bands and a line at 100 %.

    Args:
        result: A table with `period`, `start` (date), `net`, `net_low`, `net_high`, `gross`, `gross_low`,
            `gross_high` (shares), as `loyalty.revenue_retention` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    if not result.data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    colours = paper.palette(ax)
    _banded(ax, result.data, ("net", "net_low", "net_high"), colours.first)
    _banded(ax, result.data, ("gross", "gross_low", "gross_high"), colours.second, marker="s")
    ax.axhline(1.0, color=colours.muted, linewidth=1.2, linestyle="--")
    _over_time(ax, result, colours)
    ax.set_ylabel("share of spend kept")
    ends = [
        (_last(paper.column(result.data, name)), name, colour)
        for name, colour in (("net", colours.first), ("gross", colours.second))
    ]
    labels = [(end, f"{name} {wording.quantity(end, 'share')}", colour) for end, name, colour in ends]
    paper.end_labels(ax, labels)
    return ax


def _banded(ax: Axes, data: Any, names: tuple[str, str, str], colour: str, marker: str = "o") -> None:
    """Draw a line over time with a band; a point without neighbours has an upright line instead."""
    starts = data.column("start").to_pylist()
    value, low, high = (paper.column(data, name) for name in names)
    ax.fill_between(starts, low, high, color=colour, alpha=0.2, linewidth=0)
    size = 5 if len(starts) <= 60 else 0
    ax.plot(starts, value, color=colour, marker=marker, markersize=size, linewidth=2, label=names[0])
    # A band has no width at a point whose neighbours are missing.
    gaps = np.concatenate([[True], np.isnan(value), [True]])
    lonely = gaps[:-2] & gaps[2:] & np.isfinite(low) & np.isfinite(high)
    if lonely.any():
        ax.vlines(
            [start for start, alone in zip(starts, lonely, strict=True) if alone],
            low[lonely],
            high[lonely],
            color=colour,
            alpha=0.5,
            linewidth=2,
        )


def _over_time(ax: Axes, result: Any, colours: Palette) -> None:
    """Give a chart of rates over time its titles and axes."""
    paper.tidy(ax, colours)
    paper.share_ticks(ax.yaxis)
    _from_nought(ax)
    starts, periods = result.data.column("start").to_pylist(), result.data.column("period").to_pylist()
    width = paper.font_points("medium") * 0.65 * max(len(str(label)) for label in periods) + 12
    step = math.ceil(len(starts) / max(1, int(paper.size_points(ax)[0] / width)))
    ax.set_xticks(starts[::step], [paper.safe(label, 12) for label in periods[::step]])
    ax.set_xlabel("period")
    paper.titles(ax, paper.headline(result), result.definition)


def _from_nought(ax: Axes) -> None:
    """Let the axis of shares begin at zero; without any share to show, let it run to 100 %."""
    drawn = [np.asarray(line.get_ydata(), float) for line in ax.lines]
    lowest = [float(np.nanmin(values)) for values in drawn if np.isfinite(values).any()]
    if lowest:
        ax.set_ylim(bottom=min(0.0, *lowest))
    else:
        ax.set_ylim(0.0, 1.0)


def _last(values: NDArray[np.float64]) -> float:
    """Return the last value that is there."""
    there = values[np.isfinite(values)]
    return float(there[-1]) if len(there) else math.nan


def cohort_curves(result: Any, ax: Axes | None = None) -> Axes:
    """Draw a line per cohort as it ages, and their weighted average with its interval.

    The first period, which is 100 % by definition, is left out where there are later ones.

    Args:
        result: Cohorts, as `loyalty.cohorts` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    colours = paper.palette(ax)
    title, subtitle, unit = cohort_words(result)
    cells = result.data.to_pylist()
    if not cells:
        return paper.blank(ax, title, result.note)
    first = 1 if any(cell["offset"] > 0 for cell in cells) else 0
    curves: dict[str, dict[int, float]] = {}
    for cell in cells:
        if cell["offset"] >= first:
            rate = math.nan if cell["rate"] is None else cell["rate"]
            curves.setdefault(cell["cohort"], {})[cell["offset"]] = rate
    drawn = [cohort_line(ax, dict(sorted(curve.items())), name) for name, curve in curves.items()]
    for line, shade in zip(drawn, cohort_shades(len(drawn), colours), strict=True):
        line.set_color(shade)
    average = _average(ax, result.average.data, first, colours)
    paper.tidy(ax, colours)
    paper.share_ticks(ax.yaxis)
    paper.number_ticks(ax.xaxis)
    _from_nought(ax)
    ax.set(xlabel=f"{result.period}s after the first purchase", ylabel=unit)
    paper.titles(ax, title, subtitle)
    name_cohorts(ax, drawn, average, "average, weighted by size")
    return ax


def cohort_line(ax: Axes, curve: dict[int, float], name: str) -> Line2D:
    """Draw the line of a cohort."""
    return ax.plot(list(curve), list(curve.values()), linewidth=1.2, label=paper.safe(name, 24))[0]


def cohort_shades(count: int, colours: Palette) -> list[Any]:
    """Return a colour per cohort, from old to young: apart in lightness too, and none close to the paper."""
    from matplotlib import colormaps

    light = 0.55 if count <= _NAMED_COHORTS else 0.85  # names in these colours must be readable, lines only visible
    ends = (0.45, 1.0) if colours.dark else (0.0, light)
    return [colormaps["viridis"](share) for share in np.linspace(*ends, max(count, 1))][:count]


def _average(ax: Axes, data: Any, first: int, colours: Palette) -> Line2D:
    """Draw the weighted average with its band."""
    offset, rate, low, high = (paper.column(data, name) for name in ("offset", "rate", "low", "high"))
    shown = offset >= first
    ax.fill_between(offset[shown], low[shown], high[shown], color=colours.ink, alpha=0.15, linewidth=0)
    return ax.plot(offset[shown], rate[shown], color=colours.ink, linewidth=2.8, label="average")[0]


def name_cohorts(ax: Axes, cohorts: list[Line2D], average: Line2D, together: str) -> None:
    """Name every cohort beside its line while they are few; else the first and the last in a legend."""
    if len(cohorts) <= _NAMED_COHORTS:
        lines = [*cohorts, average]
        ends = [_last(np.asarray(line.get_ydata(), float)) for line in lines]
        labels = [(end, str(line.get_label()), line.get_color()) for end, line in zip(ends, lines, strict=True)]
        paper.end_labels(ax, labels)
        return
    first, last = cohorts[0], cohorts[-1]
    words = [f"{first.get_label()} (first cohort)", f"{last.get_label()} (last cohort)", together]
    ax.legend([first, last, average], words, frameon=False, labelcolor=paper.palette(ax).ink)


def cohort_words(result: Any) -> tuple[str, str, str]:
    """Return title, subtitle and unit of a picture of cohorts."""
    whose, unit = "customers who came back", "share of the cohort"
    if result.measure == "revenue":
        whose, unit = "revenue", f"share of the first {result.period}'s revenue"
        if result.mode == "since":
            unit = f"share of revenue since the first {result.period}"
    note = f" Note: {result.note}." if result.note else ""
    return f"Cohorts by {result.period} of first purchase: {whose}", result.definition + note, unit


def tenure(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the share of customers still active against the days since their first purchase (Kaplan-Meier).

    The curve starts from 100 % on day 0, before the first loss.

    Args:
        result: A table with `day`, `survival`, `low`, `high` (shares just after the day) in order of the day,
            or a result that holds it as `survival`, as `loyalty.tenure` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    table = getattr(result, "survival", result)
    ax = paper.axes(ax)
    if not table.data.num_rows:
        return paper.blank(ax, paper.headline(table), table.note)
    colours = paper.palette(ax)
    names, starts = ("day", "survival", "low", "high"), (0.0, 1.0, 1.0, 1.0)
    day, survival, low, high = (
        np.concatenate([[start], paper.column(table.data, name)]) for name, start in zip(names, starts, strict=True)
    )
    ax.fill_between(day, low, high, step="post", color=colours.first, alpha=0.2, linewidth=0)
    ax.step(day, survival, where="post", color=colours.first, linewidth=2)
    paper.tidy(ax, colours)
    paper.share_ticks(ax.yaxis)
    paper.number_ticks(ax.xaxis)
    ax.set_ylim(0.0, 1.02)
    ax.set_xlim(left=-0.01 * max(float(day[-1]), 1.0))  # the fall on day 0 stays off the frame
    ax.set(xlabel="days since the first purchase", ylabel="share of customers still active")
    paper.titles(ax, paper.headline(table), table.definition)
    paper.end_labels(ax, [(_last(survival), wording.quantity(_last(survival), "share"), colours.first)])
    return ax


def pareto(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the Pareto curve, richest customers first, with both readings; the diagonal is where all are equal.

    Args:
        result: A Pareto result, as `loyalty.pareto` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax, 6.4, 6.0)
    title = f"Pareto curve of {result.value}: Gini {wording.quantity(result.gini.value, 'ratio')}"
    if not np.isfinite(result.revenue_share.value):
        return paper.blank(ax, title, "; ".join(result.notes))
    colours = paper.palette(ax)
    shares_curve(ax, result.data, colours)
    _readings(ax, result, colours)
    ax.set(xlabel="share of customers, richest first", ylabel=f"share of {result.value}")
    paper.titles(ax, title)
    return ax


def shares_curve(ax: Axes, data: Any, colours: Palette) -> None:
    """Draw what share of a value which share of customers brings; the diagonal is where all are equal."""
    customers, value = (paper.column(data, f"cumulative_{name}") for name in ("customers", "value"))
    ax.plot([0.0, 1.0], [0.0, 1.0], color=colours.muted, linewidth=1.2, linestyle="--")
    ax.fill_between(customers, customers, value, color=colours.first, alpha=0.1, linewidth=0)
    ax.plot(customers, value, color=colours.first, linewidth=2.4, solid_capstyle="round")
    paper.tidy(ax, colours, grid="both")
    for axis in (ax.xaxis, ax.yaxis):
        paper.share_ticks(axis)
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(min(0.0, float(value.min())), max(1.0, float(value.max())) * 1.015)


def mark_point(ax: Axes, across: float, up: float, colours: Palette, look: tuple[str, str]) -> Line2D:
    """Mark a point of such a curve, with lines to both axes; `look` is its marker and colour."""
    marker, colour = look
    ax.plot([across, across, 0.0], [0.0, up, up], color=colour, linewidth=1.2, linestyle=":")
    edge: dict[str, Any] = {"markersize": 9, "markeredgecolor": colours.paper, "zorder": 5}
    return ax.plot(across, up, marker, color=colour, **edge)[0]


def point_words(ax: Axes, marks: Sequence[Line2D], words: Sequence[str], colours: Palette) -> None:
    """Say what the marked points are, below the curve."""
    # On small axes the words would cover the curve.
    size = "medium" if paper.size_points(ax)[0] > 30 * paper.font_points("medium") else "x-small"
    box: dict[str, Any] = {"facecolor": colours.paper, "edgecolor": "none", "framealpha": 0.9, "fontsize": size}
    ax.legend(marks, words, loc="lower right", labelcolor=colours.ink, labelspacing=0.9, borderaxespad=1.0, **box)


def _readings(ax: Axes, result: Any, colours: Palette) -> None:
    """Mark what the top customers bring and how few bring most: lines to both axes and a sentence each."""
    share, few, worth = result.revenue_share, result.customer_share, result.value
    # Both stand on the curve, at the customers who were counted: 30 % of four customers are two.
    points = [
        (*_point(result.data, result.top_customers), ("o", colours.first)),
        (*_point(result.data, result.vital_customers), ("s", colours.second)),
    ]
    marks = [mark_point(ax, across, up, colours, look) for across, up, look in points]
    top, most = wording.level(result.top_share), wording.level(result.vital_share)
    first, vital = (f"{count:,} of {share.n:,}" for count in (result.top_customers, result.vital_customers))
    brought, fewest = (wording.quantity(item.value, "share") for item in (share, few))
    words = [
        f"the top {top} of customers ({first})\nbring {brought} of {worth}{_interval(share)}",
        f"{most} of {worth} comes from\n{fewest} of customers ({vital}){_interval(few)}",
    ]
    point_words(ax, marks, words, colours)


def _point(data: Any, customers: int) -> tuple[float, float]:
    """Return the point of the curve at a number of customers, which is one of its points."""
    place = int(np.searchsorted(paper.column(data, "customers"), customers))
    across, up = (float(paper.column(data, f"cumulative_{name}")[place]) for name in ("customers", "value"))
    return across, up


def _interval(item: Any) -> str:
    """Return the interval of a share as a line of its own, if there is one."""
    if not (np.isfinite(item.low) and np.isfinite(item.high)):
        return ""
    low, high = wording.quantity(item.low, "share").removesuffix(" %"), wording.quantity(item.high, "share")
    return f"\n({wording.level(item.confidence)} interval {low} to {high})"
