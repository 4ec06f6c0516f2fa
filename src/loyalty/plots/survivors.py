"""Survival of customers under contract, renewal by renewal: as observed, cohort by cohort, and as fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import lines, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from loyalty.plots.paper import Palette

__all__ = ["survival", "survival_curves"]


def survival(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the survival that a model expects with its band, and dots as it was observed.

    Args:
        result: A table with `renewal`, `survival`, `low`, `high` and maybe `observed` (shares), as
            `ContractFit.fitted_survival` and `ContractFit.survival` give; its `units` name those of renewals.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    data, colours = result.data, paper.palette(ax)
    renewal, share, low, high = (paper.column(data, name) for name in ("renewal", "survival", "low", "high"))
    ax.fill_between(renewal, low, high, color=colours.first, alpha=0.2, linewidth=0)
    ax.plot(renewal, share, color=colours.first, linewidth=2.0, label="by the model")
    if "observed" in data.column_names:
        dots: dict[str, Any] = {"markersize": 7, "markeredgecolor": colours.paper, "clip_on": False, "zorder": 3}
        ax.plot(renewal, paper.column(data, "observed"), "o", color=colours.second, label="observed", **dots)
        ax.legend(frameon=False, labelcolor=colours.ink)
    _axes(ax, result, colours)
    paper.end_labels(ax, [(float(share[-1]), wording.quantity(float(share[-1]), "share"), colours.first)])
    return ax


def survival_curves(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the survival of each cohort, from old (dark) to young (light), and of all together.

    Args:
        result: A table with `cohort` (text; null for all together), `renewal` and `survival` (shares), as
            `SurvivalCounts.curves` gives; its `units` name those of renewals.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes.
    """
    ax = paper.axes(ax)
    colours = paper.palette(ax)
    curves: dict[str | None, dict[int, float]] = {}
    for row in result.data.to_pylist():
        curves.setdefault(row["cohort"], {})[row["renewal"]] = row["survival"]
    together = curves.pop(None)
    many = curves.items() if len(curves) > 1 else ()  # a single cohort is all of them
    drawn = [lines.cohort_line(ax, curve, str(name)) for name, curve in many]
    for line, shade in zip(drawn, lines.cohort_shades(len(drawn), colours), strict=True):
        line.set_color(shade)
    all_of_them = lines.cohort_line(ax, together, "all")
    all_of_them.set(color=colours.ink, linewidth=2.8)
    _axes(ax, result, colours)
    lines.name_cohorts(ax, drawn, all_of_them, "all cohorts together")
    return ax


def _axes(ax: Axes, result: Any, colours: Palette) -> None:
    """Give a picture of survival its axes and titles."""
    paper.tidy(ax, colours)
    ax.set_ylim(0.0, 1.02)
    paper.share_ticks(ax.yaxis)
    paper.number_ticks(ax.xaxis)
    ax.set_xlim(0.0, max(1.0, float(np.max(paper.column(result.data, "renewal")))))
    ax.set(xlabel=result.units["renewal"], ylabel="share of customers still there")
    paper.titles(ax, paper.headline(result), paper.told(result))
