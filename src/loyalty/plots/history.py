"""One customer over time: their purchases, and how probable it was that they were still a customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loyalty import wording
from loyalty.plots import paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["customer_history"]

_MARK = 0.045  # height of the mark of a purchase, as a part of the axis


def customer_history(result: Any, ax: Axes | None = None) -> Axes:
    """Draw P(alive) over time, with a mark below for each day of a purchase.

    Args:
        result: A table with `date` and `p_alive`, with `purchases` (dates) and `customer`, as
            `loyalty.customer_history` gives.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    colours = paper.palette(ax)
    dates, alive = result.data.column("date").to_pylist(), paper.column(result.data, "p_alive")
    ax.fill_between(dates, 0.0, alive, color=colours.first, alpha=0.12, linewidth=0)
    ax.plot(dates, alive, color=colours.first, linewidth=2, solid_joinstyle="round")
    # The marks stand below the axis of shares, so that they never cover a low curve.
    ax.vlines(list(result.purchases), -_MARK, 0.0, color=colours.second, linewidth=1.6)
    paper.tidy(ax, colours)
    paper.share_ticks(ax.yaxis)
    ax.set_ylim(-_MARK, 1.03)
    ax.set_yticks([tick for tick in ax.get_yticks() if -1e-9 <= tick <= 1.0 + 1e-9])
    room = max(0.01 * (dates[-1] - dates[0]).days, 1.0)
    ax.set_xlim(_shifted(dates[0], -room), _shifted(dates[-1], room))
    paper.date_ticks(ax)
    ax.set_ylabel("P(alive)")
    ax.set_xlabel("upright marks: days with a purchase")
    paper.titles(ax, paper.clean(paper.headline(result), 60), paper.told(result))
    last = float(alive[-1])
    paper.end_labels(ax, [(last, wording.quantity(last, "share"), colours.first)])
    return ax


def _shifted(date: Any, days: float) -> float:
    """Return a date moved by days, in matplotlib's own count of days."""
    from matplotlib import dates

    untyped: Any = dates
    return float(untyped.date2num(date)) + days
