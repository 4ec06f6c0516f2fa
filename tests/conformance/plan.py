"""Which question is asked of which log on which engine.

Everywhere everything. On Spark, where a question takes a second or more however small the log, that is for a run whose
outcomes are written down (`WHOLE`); else the CDNOW sample and the log with every column are asked what goes another way
through the engine, and the others what shows that their rows, dates, ids and sums are read alike.
"""

import os

import pytest

from conformance import awkward
from conformance.questions import QUESTIONS, asked_of

REFERENCE = "pandas"
EMBEDDED = ("polars", "polars-lazy", "pyarrow", "parquet", "csv", "duckdb")
FAR = ("spark", "postgres")
WHOLE = bool(os.environ.get("LOYALTY_CONFORMANCE"))  # whether Spark is asked everything
ENGINES = (REFERENCE, *EMBEDDED, *FAR)

_CHEAP = {("pyarrow", "sunk")}  # in the quick tests too
_READ = ("transactions", "transactions(customers)")
# What groups, periods and bins change is arithmetic on rows that the same query gives.
_TWINS = (
    "repurchase_rate(within)",
    "retention(week)",
    "retention_rate(by)",
    "churn_rate(cohort)",
    "revenue_retention(by)",
    "cohorts(by)",
    "tenure(by)",
    "spending(by)",
    "purchase_gaps(cohort)",
    "spend_distribution(by)",
    "upsell_ratio(by)",
    "share_of_wallet(bootstrap)",
    "rfm(bins)",
    "rfm(by)",
    "summarize(month)",
    "summarize(acquired)",
    "opportunities(week)",
)
# Asked of the log with every column, and nothing new on CDNOW, which Spark answers as users have it.
_ASKED_OF_SHOP = (
    "repurchase_rate(cohort)",
    "retention_rate(bootstrap)",
    "revenue_retention(bootstrap)",
    "cohorts(since)",
)
_ON_SPARK = {
    "cdnow": tuple(name for name in QUESTIONS if name not in {*_TWINS, *_ASKED_OF_SHOP}),
    "cdnow_whole": ("transactions", "overview", "pareto", "rfm", "clv"),
    "shop": tuple(name for name in QUESTIONS if name not in _TWINS),
    "orders": (*_READ, "summarize(day)", "repurchase_rate(by)", "spend_distribution"),
    "zones": (*_READ, "retention"),
    "text": (*_READ, "overview"),
    "sunk": (*_READ, "pareto", "rfm", "revenue_retention(bootstrap)", "cohorts(revenue)"),
    "one": ("pareto", "tenure"),
}


def asked(engine, log, *, whole=WHOLE):
    """Return the questions that an engine is asked about a log, in a whole run or in any other."""
    names = asked_of(awkward.log(log))
    return [name for name in names if name in _ON_SPARK[log]] if engine == "spark" and not whole else names


def _marks(engine, log):
    if engine in FAR:
        return [pytest.mark.engines, pytest.mark.xdist_group(engine)]
    return [] if (engine, log) in _CHEAP else [pytest.mark.slow]


RUNS = [
    pytest.param(engine, log, marks=_marks(engine, log), id=f"{engine}-{log}")
    for engine in (*EMBEDDED, *FAR)
    for log in awkward.NAMES
]
