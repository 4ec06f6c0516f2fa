"""Pictures of results: each function takes a result and returns the matplotlib Axes it was drawn on.

They read attributes of results and compute nothing, work in any matplotlib style, in colours that colour-blind
readers tell apart, and change no global setting. Save a picture with `ax.figure.savefig("picture.png")`. At a
prompt and in a notebook a new figure shows itself; in a script pass `ax=pyplot.gca()` to see it by
`pyplot.show()`. Values written beside the axes need a figure of your own to have `layout="constrained"`.
"""

from __future__ import annotations

from loyalty.plots.bars import inter_purchase_times, nps, share_of_wallet, spend_distribution
from loyalty.plots.fits import heterogeneity, purchase_counts, repeat_purchases, spend_density
from loyalty.plots.forecasts import conditional_expectation, tracking
from loyalty.plots.grids import cohorts, rfm
from loyalty.plots.history import customer_history
from loyalty.plots.intervals import estimates
from loyalty.plots.lines import cohort_curves, pareto, retention, revenue_retention, tenure
from loyalty.plots.matrices import alive_matrix, customer_matrix, purchase_matrix
from loyalty.plots.scores import scoreboard
from loyalty.plots.survivors import survival, survival_curves
from loyalty.plots.value import alive_by_recency, value_by_group, value_concentration

__all__ = [
    "alive_by_recency",
    "alive_matrix",
    "cohort_curves",
    "cohorts",
    "conditional_expectation",
    "customer_history",
    "customer_matrix",
    "estimates",
    "heterogeneity",
    "inter_purchase_times",
    "nps",
    "pareto",
    "purchase_counts",
    "purchase_matrix",
    "repeat_purchases",
    "retention",
    "revenue_retention",
    "rfm",
    "scoreboard",
    "share_of_wallet",
    "spend_density",
    "spend_distribution",
    "survival",
    "survival_curves",
    "tenure",
    "tracking",
    "value_by_group",
    "value_concentration",
]
