"""Forecasts beside what happened: week by week, and by what customers had done before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import paper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from loyalty.plots.paper import Palette

__all__ = ["conditional_expectation", "tracking"]

# Models by colour of the palette, dash and mark: two that lie on each other can still be told apart.
_LOOKS = (("first", "-", "o"), ("second", "--", "s"), ("muted", "-.", "^"), ("first", ":", "D"), ("second", ":", "v"))


def tracking(result: Any, ax: Axes | None = None, *, cumulative: bool = True) -> Axes:
    """Draw repeat purchases over time, as they were and as models expected; a line marks the split.

    Args:
        result: A table with `start` (date), `complete`, `part`, `actual`, `cumulative_actual`, and for each model a
            column of its name and one called cumulative_<name>, as `loyalty.tracking` gives.
        ax: Axes to draw on; by default those of a new figure.
        cumulative: Whether to draw running totals; else each week by itself, without an incomplete last one.

    Returns:
        The Axes.

    Examples:
        >>> import datetime as dt, types, pyarrow as pa
        >>> data = pa.table({"start": [dt.date(2024, 1, 1), dt.date(2024, 1, 8)], "complete": [True, True],
        ...                  "part": ["calibration", "holdout"], "actual": [5, 7], "cumulative_actual": [5, 12],
        ...                  "M": [6.0, 6.5], "cumulative_M": [6.0, 12.5]})
        >>> ax = tracking(types.SimpleNamespace(name="repeat purchases by week", definition="", note="", data=data))
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['actual: 12', 'M: 12']
    """
    ax = paper.axes(ax)
    data = result.data
    names = [name for name in data.column_names if f"cumulative_{name}" in data.column_names and name != "actual"]
    if not cumulative:
        data = data.filter(data.column("complete"))
    if not data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    colours, prefix = paper.palette(ax), "cumulative_" if cumulative else ""
    starts = data.column("start").to_pylist()
    for name, look in [("actual", ("ink", "-", "")), *zip(names, _looks(names), strict=True)]:
        values = paper.column(data, f"{prefix}{name}")
        end = f": {wording.plain(round(float(values[-1])))}" if cumulative else ""
        colour, dash, _ = look
        wide = 2.6 if name == "actual" else 1.8
        ax.plot(starts, values, dash, color=getattr(colours, colour), linewidth=wide, label=paper.safe(name, 24) + end)
    _mark_split(ax, data, colours)
    paper.tidy(ax, colours)
    paper.number_ticks(ax.yaxis)
    ax.set_ylim(bottom=0.0)
    paper.date_ticks(ax)
    ax.set_ylabel("repeat purchases so far" if cumulative else "repeat purchases in the week")
    ax.legend(frameon=False, labelcolor=colours.ink, loc="best")
    paper.titles(ax, paper.headline(result), result.definition)
    return ax


def _looks(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return a look for each model."""
    return [_LOOKS[place % len(_LOOKS)] for place in range(len(names))]


def _mark_split(ax: Axes, data: Any, colours: Palette) -> None:
    """Draw an upright line where the first week begins that lies wholly after the split."""
    later = [start for start, part in zip(*(data.column(name).to_pylist() for name in ("start", "part")), strict=True)
             if part == "holdout"]  # fmt: skip
    if later and len(later) < data.num_rows:
        ax.axvline(later[0], color=colours.muted, linewidth=1.2, linestyle="--")


def conditional_expectation(result: Any, ax: Axes | None = None) -> Axes:
    """Draw mean purchases after the split by repeat purchases before it: bars as they were, marks as expected.

    Args:
        result: A table with `frequency` (text), `customers`, `actual` and a column per model, as a backtest has in
            `by_frequency`.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    data = result.data
    if not data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    colours = paper.palette(ax)
    groups = [str(name) for name in data.column("frequency").to_pylist()]
    places = np.arange(len(groups))
    ax.bar(places, paper.column(data, "actual"), width=0.7, color=paper.mixed(colours, 0.3), label="actual")
    names = [name for name in data.column_names if name not in {"frequency", "customers", "actual"}]
    for name, (colour, dash, mark) in zip(names, _looks(names), strict=True):
        line: dict[str, Any] = {"color": getattr(colours, colour), "linestyle": dash, "marker": mark}
        ax.plot(places, paper.column(data, name), linewidth=1.6, markersize=6, label=paper.safe(name, 24), **line)
    ax.set_xticks(places, [paper.safe(group, 8) for group in groups])
    paper.tidy(ax, colours)
    paper.number_ticks(ax.yaxis, whole=False)
    ax.set_ylim(bottom=0.0)
    ax.set(xlabel="repeat purchases before the split", ylabel="purchases per customer after it")
    ax.legend(frameon=False, labelcolor=colours.ink, loc="best")
    paper.titles(ax, paper.headline(result), result.definition)
    return ax
