"""Counts as bars: histograms, and the three parts of a net promoter score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from loyalty.plots.paper import Palette

    Floats = NDArray[np.float64]

__all__ = ["inter_purchase_times", "nps", "share_of_wallet", "spend_distribution"]

_PARTS = ("detractors", "passives", "promoters")
_NAME = 0.45  # share of the axis that the name of a mark may take
_WIDE = 20.0  # bars that differ in width by more than this factor were cut for a logarithmic axis


def inter_purchase_times(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the histogram of days from a purchase to the customer's next.

    Args:
        result: A table with `from_days`, `to_days` (whole days, both inside the bar) and `count`, as
            `loyalty.purchase_gaps` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.

    Examples:
        >>> import types, pyarrow as pa
        >>> data = pa.table({"from_days": [0, 7], "to_days": [6, 13], "count": [5, 2]})
        >>> ax = inter_purchase_times(types.SimpleNamespace(name="waits", definition="", note="", data=data))
        >>> [int(bar.get_height()) for bar in ax.patches]
        [5, 2]
    """
    ax = paper.axes(ax)
    if not result.data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    start, end, count = (paper.column(result.data, name) for name in ("from_days", "to_days", "count"))
    histogram(ax, start, end + 1.0, count)
    paper.number_ticks(ax.xaxis)
    ax.set(xlabel="days from a purchase to the customer's next", ylabel="number of waits")
    paper.titles(ax, paper.headline(result), result.definition)
    return ax


def spend_distribution(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the histogram of customers by what they spent, on a logarithmic axis where the bars widen.

    Args:
        result: A table with `from`, `to` (money) and `count`.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    if not result.data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    start, end, count = (paper.column(result.data, name) for name in ("from", "to", "count"))
    histogram(ax, start, end, count)
    wide = _money_axis(ax, start, end)
    ax.set(
        xlabel="spend of a customer (money, log scale)" if wide else "spend of a customer (money)",
        ylabel="number of customers",
    )
    paper.titles(ax, paper.headline(result), result.definition)
    return ax


def histogram(ax: Axes, start: Floats, end: Floats, count: Floats) -> Palette:
    """Draw bars from start to end."""
    colours = paper.palette(ax)
    ax.bar(
        start,
        count,
        width=end - start,
        align="edge",
        color=colours.first,
        edgecolor=colours.paper,
        linewidth=0.6,
    )
    paper.tidy(ax, colours)
    paper.number_ticks(ax.yaxis)
    ax.set_ylim(bottom=0.0)
    return colours


def _money_axis(ax: Axes, start: Floats, end: Floats) -> bool:
    """Label the axis of spend; return whether it was made logarithmic (linear around zero)."""
    from matplotlib.ticker import StrMethodFormatter

    widths, edges = end - start, np.concatenate([start, end])
    positive = np.abs(edges[edges != 0.0])
    wide = bool(len(positive)) and float(widths.max()) > _WIDE * float(widths.min())
    if wide and (edges <= 0.0).any():
        first = float(positive.min())
        ax.set_xscale("symlog", linthresh=first, linscale=0.4)  # the part around zero is narrow
        ax.set_xlim(float(start.min()), float(end.max()))
        room = max(1.0, paper.size_points(ax)[0] / (4.5 * paper.font_points("medium")))
        decades = np.log10(positive.max() / first) * (2.0 if start.min() < -first else 1.0)
        powers = 10.0 ** np.arange(np.ceil(np.log10(first)), np.log10(positive.max()) + 0.01, np.ceil(decades / room))
        ticks = np.concatenate([-powers[::-1], [0.0], powers])
        ax.set_xticks(ticks[(ticks >= start.min()) & (ticks <= end.max())])
        ax.minorticks_off()
    elif wide:
        ax.set_xscale("log")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}" if edges.max() >= 10 else "{x:g}"))
    return wide


def nps(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the shares of detractors, passives and promoters as one bar; the score is in the title.

    Args:
        result: A net promoter score, as `loyalty.nps` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax, 7.2, 2.3)
    title = f"Net promoter score: {wording.quantity(result.value, result.unit)}"
    if not np.isfinite(result.value):
        return paper.blank(ax, title, result.note)
    if np.isfinite(result.low):
        low, high = (f"{end:,.1f}" for end in (result.low, result.high))
        title += f" ({wording.level(result.confidence)} interval {low} to {high})"
    colours = paper.palette(ax)
    parts = [(name, float(getattr(result, name)) / result.denominator) for name in _PARTS]
    fills = (colours.second, paper.mixed(colours, 0.3), colours.first)
    left = 0.0
    for (_, share), fill in zip(parts, fills, strict=True):
        ax.barh(0.0, share, left=left, height=0.7, color=fill, edgecolor=colours.paper, linewidth=1.5)
        left += share
    _name_parts(ax, parts)
    paper.tidy(ax, colours, grid="x")
    ax.spines["left"].set_visible(False)
    paper.share_ticks(ax.xaxis)
    ax.set(xlim=(0.0, 1.0), ylim=(-0.75, 0.75), yticks=[], xlabel=f"share of {paper.safe(result.counted)}")
    paper.titles(ax, title, f"{wording.plain(result.n)} {result.counted}")
    return ax


def _name_parts(ax: Axes, parts: list[tuple[str, float]]) -> None:
    """Name the outer parts above the ends of the bar, the middle one below it, so that no names can meet."""
    colour, (detractors, passives, promoters) = ax.title.get_color(), parts
    middle = min(max(detractors[1] + passives[1] / 2, 0.14), 0.86)
    for (name, share), across, up, side in (
        (detractors, 0.0, 0.4, "left"),
        (promoters, 1.0, 0.4, "right"),
        (passives, middle, -0.4, "center"),
    ):
        ax.text(
            across,
            up,
            f"{name} {wording.quantity(share, 'share')}",
            ha=side,
            va="bottom" if up > 0 else "top",
            color=colour,
        )


def share_of_wallet(result: Any, ax: Axes | None = None) -> Axes:
    """Draw how many customers give us which share of their wallet; overall share and mean are marked.

    Args:
        result: A share of wallet, as `loyalty.share_of_wallet` gives. Shares below 0 and above 1, where there
            are any, are a hatched bar at each end.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    low, high, count = (paper.column(result.distribution, name) for name in ("low", "high", "customers"))
    if not count.sum():
        return paper.blank(ax, "Share of wallet: not defined", result.overall.note)
    inside = np.isfinite(low) & np.isfinite(high)
    width = float((high - low)[inside].min())
    low, high = np.where(np.isfinite(low), low, high - width), np.where(np.isfinite(high), high, low + width)
    shown = inside | (count > 0)
    colours = histogram(ax, low[shown], high[shown], count[shown])
    for bar, ordinary in zip(ax.patches[-int(shown.sum()) :], inside[shown], strict=True):
        if not ordinary:
            bar.set(facecolor=paper.mixed(colours, 0.4), hatch="////")
    paper.share_ticks(ax.xaxis)
    ax.set_xlim(float(low[shown].min()), float(high[shown].max()))
    ax.set(xlabel="share of a customer's category spend that is ours", ylabel="number of customers")
    _mark_shares(ax, result, colours)
    outside = bool((shown & ~inside).any())
    paper.titles(ax, "Share of wallet", "Hatched: below 0 % or above 100 %." if outside else "")
    return ax


def _mark_shares(ax: Axes, result: Any, colours: Palette) -> None:
    """Mark overall share and mean by lines that end at their names; one beyond the axis has an arrow at its edge."""
    left, right = ax.get_xlim()
    marks = [
        (result.overall.value, "overall (ratio of sums)", colours.second, "-"),
        (result.mean.value, "mean of customers", colours.ink, "--"),
    ]
    marks = [mark for mark in marks if np.isfinite(mark[0])]
    places = [(min(max(mark[0], left), right) - left) / (right - left) for mark in marks]
    ax.set_ylim(top=ax.get_ylim()[1] * 1.22)
    # Names stand on the side with more room; far apart, each line has its name on its own inner side.
    to_right = sum(places) < 0.5 * len(marks)
    apart = len(marks) > 1 and max(places) - min(places) > _NAME
    # The second line ends below the name of the first, which runs across it.
    ordered = sorted(zip(places, marks, strict=True), key=lambda pair: pair[0], reverse=not to_right)
    for height, (place, mark) in zip((0.985, 0.905), ordered, strict=False):
        side = place < 0.5 if apart else to_right
        beyond = "" if left <= mark[0] <= right else "<" if mark[0] < left else ">"
        _mark(ax, left + place * (right - left), mark, height, to_right=side, beyond=beyond)


def _mark(
    ax: Axes, at: float, mark: tuple[float, str, str, str], height: float, *, to_right: bool, beyond: str
) -> None:
    """Draw a line up to a name with its value."""
    value, name, colour, line = mark
    above = ax.get_xaxis_transform()
    ax.plot([at, at], [0.0, height], color=colour, linestyle=line, linewidth=2, transform=above, clip_on=not beyond)
    if beyond:
        ax.plot(at, height / 2, beyond, color=colour, markersize=9, transform=above, clip_on=False)
    ax.annotate(
        f"{name}: {wording.quantity(value, 'share')}",
        (at, height),
        (6 if to_right else -6, 0),
        xycoords=above,
        textcoords="offset points",
        va="top",
        ha="left" if to_right else "right",
        color=colour,
    )
