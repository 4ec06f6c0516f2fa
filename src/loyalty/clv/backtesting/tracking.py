"""Tracking: repeat purchases week by week, as they happened and as fitted models expect them of new customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import periods, wording
from loyalty.clv.backtesting.holdout import daily, split_day
from loyalty.clv.summaries.summary import summarize
from loyalty.errors import InvalidArgument
from loyalty.tables import Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.clv.backtesting.holdout import Daily
    from loyalty.transactions import Transactions

__all__ = ["expected_repeats", "track", "tracking"]

Floats = NDArray[np.float64]

_COLUMNS = ("week", "start", "end", "days", "complete", "part", "actual", "cumulative_actual")


@takes_transactions
def tracking(
    tx: Transactions, fits: Any, *, split: Any = None, acquired_from: Any = None, acquired_until: Any = None
) -> Table:
    """Compare repeat purchases week by week with what fitted models expect.

    A model is asked what new customers do, not what these ones will do next: the expectation of a week is the sum
    over customers of E[X(t)], t being the time since their first purchase. So the calibration period, too, is a test:
    whether the model's shape over time is that of the data.

    Args:
        tx: The transactions.
        fits: A fitted lifetime model, or several by name: `{"BG/NBD": fit, …}`.
        split: Last day of what they were fitted on; customers acquired later are left out. None: the last day of the
            window.
        acquired_from: Only customers whose first purchase was on this day or later.
        acquired_until: Only customers whose first purchase was on this day or earlier.

    Returns:
        A table with a row per week of seven days from the start of the window: `week` (from 1), `start`, `end`,
        `days` (below 7 in an incomplete last week), `complete`, `part` ("calibration", "holdout", or "both" for the
        week in which the split lies), `actual` (repeat purchases), `cumulative_actual`, and for each model a column of
        its name and one called cumulative_<name> (expected repeat purchases).

    Raises:
        InvalidArgument: `fits` are no fitted lifetime models, or a date is not allowed.
        EmptyData: Nobody was acquired in the span.

    Ties and nulls: the first purchase of a customer is none of these purchases. With `occasion="order"` several orders
    of the first day are one first and some repeat purchases.

    Source: Fader, Hardie & Lee (2005), Marketing Science 24(2), 275-284, figures 2 and 3 ("tracking plots").

    Examples:
        >>> import loyalty as ly
        >>> from loyalty.clv.models.lifetime import BGNBD
        >>> tx = ly.transactions(ly.datasets.cdnow_sample())
        >>> fit = BGNBD().fit(ly.summarize(tx, until="1997-09-30"))
        >>> weeks = tracking(tx, fit, split="1997-09-30")
        >>> weeks["cumulative_actual"][38], weeks["cumulative_actual"][77]
        (2457, 4339)
    """
    named = _named(fits)
    last = tx.window.last if split is None else split_day(tx, split)
    until = periods.to_date(last)
    summary = summarize(tx, "day", until=until, acquired_from=acquired_from, acquired_until=acquired_until)
    return track(daily(tx, summary, last), named, tx.window, last, tx.engine.kind)


def _named(fits: Any) -> dict[str, Any]:
    """Return fitted models by name."""
    named = dict(fits) if isinstance(fits, Mapping) else {getattr(fits, "model", ""): fits}
    wrong = [fit for fit in named.values() if not hasattr(fit, "kernel")]
    if wrong or not named:
        shown = type(wrong[0]).__name__ if wrong else "an empty mapping"
        raise InvalidArgument(
            f"fits={shown}: give a fitted lifetime model, such as ly.BGNBD().fit(ly.summarize(tx)), or several by name."
        )
    return {str(name): fit for name, fit in named.items()}


def track(bought: Daily, fits: Mapping[str, Any], window: periods.Window, split: int, kind: str) -> Table:
    """Return the table of `tracking` from purchases day by day.

    Args:
        bought: What the customers bought.
        fits: Fitted lifetime models by name.
        window: The observed window.
        split: Civil day number of the last day of calibration.
        kind: The kind of frame to hand back.
    """
    import pyarrow as pa

    starts = np.arange(window.first, window.last + 1, 7)
    ends = np.minimum(starts + 6, window.last)
    data: dict[str, Any] = {
        "week": np.arange(1, len(starts) + 1),
        "start": _dates(starts),
        "end": _dates(ends),
        "days": ends - starts + 1,
        "complete": pa.array((ends - starts == 6).tolist()),
        "part": ["calibration" if end <= split else "holdout" if start > split else "both"
                 for start, end in zip(starts, ends, strict=True)],
    }  # fmt: skip
    actual = _by_week(np.cumsum(bought.repeats), bought.first, window.first, ends)
    data |= {"actual": np.diff(actual, prepend=0.0).astype(np.int64), "cumulative_actual": actual.astype(np.int64)}
    for name, fit in fits.items():
        expected = _by_week(expected_repeats(fit, bought.acquired), bought.first, window.first, ends)
        data |= {name: np.diff(expected, prepend=0.0), f"cumulative_{name}": expected}
    table = pa.table(data)
    return Table(
        name="repeat purchases by week",
        data=table,
        kind=kind,
        sentence=_sentence(table, list(fits), split),
        definition="Repeat purchases in weeks of seven days from the start of the window, and what the models expect "
        "of new customers acquired on the same days.",
        note="" if bool(table["complete"][-1].as_py()) else "the last week is incomplete",
        chart="tracking",
    )


def _dates(days: NDArray[np.int64]) -> Any:
    """Return civil day numbers as dates."""
    import pyarrow as pa

    return pa.array([periods.to_date(int(day)) for day in days], pa.date32())


def _by_week(cumulative: Floats, first: int, start: int, ends: NDArray[np.int64]) -> Floats:
    """Return a running sum over days, read at the ends of weeks, from the day `start` on."""
    before = float(cumulative[start - first - 1]) if start > first else 0.0
    reached: Floats = cumulative[ends - first] - before
    return reached


def expected_repeats(fit: Any, acquired: Floats) -> Floats:
    """Return the repeat purchases expected by the end of each day, of customers acquired day by day.

    Args:
        fit: A `LifetimeFit`.
        acquired: Customers acquired on each day, shape (days,).

    Returns:
        Σ over customers of E[X(t)], t the days since the first purchase; shape (days,).
    """
    ahead = np.arange(len(acquired)) / fit.days_per_unit
    nothing = np.zeros(len(ahead))
    born = np.asarray(fit.kernel.p_alive(fit.values, nothing, nothing, nothing), np.float64)
    each = born * np.asarray(fit.kernel.purchases(fit.values, nothing, nothing, ahead, 0.0), np.float64)
    expected: Floats = np.convolve(acquired, each)[: len(acquired)]
    return expected


def _sentence(table: Any, names: list[str], split: int) -> str:
    """Return how many repeat purchases there were and were expected, in words."""
    row = table.slice(table.num_rows - 1).to_pylist()[0]
    expected = ", ".join(f"{name} {row[f'cumulative_{name}']:,.0f}" for name in names)
    text = (
        f"{wording.counted(row['cumulative_actual'], 'repeat purchases')} in {wording.counted(row['week'], 'weeks')}; "
        f"expected: {expected}."
    )
    held = [line["actual"] for line in table.to_pylist() if line["part"] == "holdout"]
    if not held:
        return text
    return f"{text} {sum(held):,} of them lie in the weeks after {periods.to_date(split)}."
