"""Pictures of results: each function takes a result and returns the matplotlib Axes it was drawn on.

They read attributes of results and compute nothing, work in any matplotlib style, in colours that colour-blind
readers tell apart, and change no global setting. Save a picture with `ax.figure.savefig("picture.png")`. At a
prompt and in a notebook a new figure shows itself; in a script pass `ax=pyplot.gca()` to see it by
`pyplot.show()`. Values written beside the axes need a figure of your own to have `layout="constrained"`.
"""

from __future__ import annotations

from loyalty.plots.bars import inter_purchase_times, nps, share_of_wallet, spend_distribution
from loyalty.plots.forecasts import conditional_expectation, tracking
from loyalty.plots.grids import cohorts, rfm
from loyalty.plots.intervals import estimates
from loyalty.plots.lines import cohort_curves, pareto, retention, revenue_retention, tenure

__all__ = [
    "cohort_curves",
    "cohorts",
    "conditional_expectation",
    "estimates",
    "inter_purchase_times",
    "nps",
    "pareto",
    "retention",
    "revenue_retention",
    "rfm",
    "share_of_wallet",
    "spend_distribution",
    "tenure",
    "tracking",
]
