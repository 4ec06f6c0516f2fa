"""The scoreboard of a backtest: how far off models and rules of thumb were, per customer and in all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loyalty import wording
from loyalty.plots import paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["scoreboard"]

Row = dict[str, Any]

_ROW = 0.34  # inches
_AXIS = 2.4  # rows that the ticks and label of a panel, and the title of the next, take


def scoreboard(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the error per customer (RMSE) of models and rules of thumb, the smallest on top and the best marked.

    What was forecast in all is written beside it, against what happened.

    Args:
        result: A table with `target`, `name`, `kind`, `rmse`, `bias` and `excess`, as a backtest has in `scores`.
        ax: Axes to draw on; by default those of a new figure. Where there is revenue it has a panel of its own: then
            the panels are inset axes of the Axes, `ax.child_axes`.

    Returns:
        The Axes.
    """
    rows = result.data.to_pylist()
    targets = list(dict.fromkeys(row["target"] for row in rows))
    parts = [sorted((row for row in rows if row["target"] == target), key=_error) for target in targets]
    ax = paper.axes(ax, 8.4, 1.6 + _ROW * (len(rows) + _AXIS * (len(parts) - 1)))
    title = "Error of forecasts per customer"
    if not rows:
        return paper.blank(ax, title, result.note)
    note = f"Note: {result.note}." if result.note else ""
    key = "Root mean squared error; in brackets, how far the total was off. Grey: rules of thumb."
    paper.titles(ax, title, f"{key} {note}")
    for panel, target, part in zip(paper.panels(ax, [len(part) for part in parts], _AXIS), targets, parts, strict=True):
        _panel(panel, target, part)
    return ax


def _error(row: Row) -> float:
    """Return the key that orders forecasts: the error, one that is not defined coming last."""
    return math.inf if math.isnan(row["rmse"]) else float(row["rmse"])


def _best(rows: list[Row]) -> Row | None:
    """Return the forecast to mark: the best model (the one with no excess) unless a rule of thumb has less error."""
    first = next((row for row in rows if row["kind"] == "model" and row["excess"] == 0.0), None)
    rules = [row for row in rows if row["kind"] != "model"]
    if first is None or (rules and _error(rules[0]) < _error(first)):
        return rules[0] if rules else None
    return first


def _panel(ax: Axes, target: str, rows: list[Row]) -> None:
    """Draw the errors of one target, the rows in their order."""
    width, height = paper.size_points(ax)
    size = min(paper.font_points("small"), 0.8 * height / len(rows))
    letters = _bars(ax, target, rows, size)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    largest = max((row["rmse"] for row in rows if math.isfinite(row["rmse"])), default=0.0) or 1.0
    ax.set_xlim(0.0, largest / min(0.67, max(0.2, 1.0 - letters * 0.6 * size / width)))  # with room for the words
    paper.tidy(ax, paper.palette(ax), grid="x")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    paper.row_labels(ax, [str(row["name"]).replace("_", " ") for row in rows], 30)
    paper.number_ticks(ax.xaxis, 6, whole=False)
    unit = "money" if target == "revenue" else "purchases"
    label = f"error of {target} per customer ({unit})"
    ax.set_xlabel(label, fontsize=min(paper.font_points("medium"), width / (0.56 * len(label))))


def _bars(ax: Axes, target: str, rows: list[Row], size: float) -> int:
    """Draw a bar for each row with its words beside it; return how many letters these take."""
    colours, best = paper.palette(ax), _best(rows)
    words = [_words(row, target, best=row is best) for row in rows]
    for place, row in enumerate(rows):
        colour = colours.first if row["kind"] == "model" else paper.mixed(colours, 0.38)
        error = row["rmse"] if math.isfinite(row["rmse"]) else 0.0
        ax.barh(place, error, height=0.66, color=colour)
        offset: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
        look: dict[str, Any] = {"fontsize": size, "color": colours.ink}
        look |= {"fontweight": "bold"} if row is best else {}
        ax.annotate(paper.safe(words[place]), (error, place), **offset, **look)
    return max(map(len, words)) + 1


def _words(row: Row, target: str, *, best: bool) -> str:
    """Return a forecast's error, how far its total was off, and whether it is the best."""
    error = wording.quantity(row["rmse"], "money" if target == "revenue" else "")
    off = "" if math.isnan(row["bias"]) else f" (total {row['bias'] * 100:+,.1f} %)"
    return f"{error}{off.replace('-', '−')}{', best' if best else ''}"
