"""Survival counts: how many customers under contract came to each renewal, and how many of them left."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, engines, intervals, periods, wording
from loyalty.clv.summaries import contracts
from loyalty.clv.summaries.opportunities import PERIOD_DAYS
from loyalty.clv.summaries.survival_curves import survival_curves
from loyalty.errors import EmptyData, InvalidArgument, InvalidRows, UnsupportedSource
from loyalty.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SurvivalCounts", "survival_counts"]

Floats = NDArray[np.float64]


def survival_counts(
    data: Any = None,
    *,
    start: Any = "start",
    end: Any = "end",
    observed_until: Any = None,
    observed_from: Any = None,
    weight: Any = None,
    survivors: Any = None,
    losses: Any = None,
    customers: Any = None,
    period: str | None = None,
    invalid: str = "raise",
) -> SurvivalCounts:
    """Count who came to each renewal of a contract and who left: what sBG and BdW models are fitted on.

    There are three ways in, and one must be chosen.

    1. `survivors=`: of each cohort how many customers there were at first, after one renewal, after two, …
    2. `losses=` with `customers=`: how many left at the first renewal, at the second, …, and how many there were at
       first.
    3. A table with a row per contract: its `start` and `end` dates, and the date until which it was observed.

    Cohorts may be of different age: each tells as much as it has lived to see. With dates, the k-th renewal of a
    contract is k periods after its start; whoever ends in the k-th period, early or at its end, leaves at the k-th
    renewal. A period that is not over at `observed_until` judges nobody, neither those who have left in it already nor
    those who have not: that would count churn too high.

    Args:
        data: Table of contracts: whatever `transactions` opens. `end` is the first day on which the customer is none
            any more, null where the contract goes on. Days of the month that a month lacks are its last.
        start: Its column of the first days of contracts: dates, timestamps without zone, or ISO text.
        end: Its column of ends.
        observed_until: Last day on which ends are known: a date, or a column of dates. Needed with `data`, never
            guessed.
        observed_from: First day on which ends are known, a date or a column of dates, where contracts that ended
            before are not in the table. Customers are then at risk only from the first period that began since
            (left truncation); those who end before are left out, counted. None: everybody who started is there.
        weight: Its column of how many customers a row stands for, any positive numbers.
        survivors: A list of numbers (one cohort), a list of lists, a mapping from cohort to list, or a table with a
            column per cohort and a row per renewal (the first row is the size at first; null below the last known).
        losses: The same, with the losses at the first renewal first.
        customers: With `losses`, how many each cohort had at first: a number, a list or a mapping like `losses`.
        period: How often contracts are renewed: "day", "week", "month", "quarter", "year" or a duration such as
            "30d". Needed with `data`; with counts it is needed for discounting only.
        invalid: "raise" or "exclude" contracts without a start, with dates that cannot be read, or that end before
            they start. Contracts that start after `observed_until` are always left out, counted.

    Returns:
        The counts.

    Raises:
        InvalidArgument: Not exactly one way in was chosen, or an argument is not allowed.
        InvalidRows: Survivors increase, more leave than there are, a number is missing or negative, or contracts
            cannot be and `invalid` is "raise".
        ColumnError: A column is missing or holds no dates.
        EmptyData: Nobody came to a renewal.

    Examples:
        >>> print(survival_counts(survivors={"2022": [1000, 631, 468], "2023": [800, 520]}, period="year"))
        1,800 customers came to 1 to 2 renewals: 812 left; renewed every year.
        >>> import pandas as pd
        >>> table = pd.DataFrame({"start": ["2024-01-15", "2024-01-31", "2024-02-10"],
        ...                       "end": ["2024-03-15", None, None]})
        >>> counted = survival_counts(table, observed_until="2024-04-12", period="month")
        >>> counted.table["at_risk"], counted.table["lost"]
        ([3.0, 3.0], [0.0, 1.0])
    """
    ways = {"data": data, "survivors": survivors, "losses": losses}
    chosen = [name for name, given in ways.items() if given is not None]
    if len(chosen) != 1:
        raise InvalidArgument(
            f"{' and '.join(chosen) or 'nothing'} given: pass one of survivors=, losses= (with customers=), or a table "
            "of contracts with their dates."
        )
    checks.choice("invalid", invalid, ("raise", "exclude"))
    if period is not None and period not in PERIOD_DAYS:
        period = f"{periods.duration_days(period, 'period')}d"
    if data is None:
        return _from_cohorts(chosen[0], _cohorts(chosen[0], ways[chosen[0]]), customers, period)
    if period is None or observed_until is None:
        raise InvalidArgument(
            f"period={period!r}, observed_until={observed_until!r}: dates need both, how often contracts are renewed "
            '(such as period="month") and the last day on which ends are known.'
        )
    found = contracts.tally(
        data,
        start=start,
        end=end,
        observed_until=observed_until,
        observed_from=observed_from,
        period=period,
        weight=weight,
        invalid=invalid,
    )
    return _made(found.at_risk, found.lost, found.customers, period, found.kind, found.exclusions, _said(found))


def _said(found: contracts.Tally) -> list[str]:
    """Return what a reader must know about contracts that tell less than they might."""
    notes = []
    if found.waiting:
        notes.append(f"{wording.counted(found.waiting, 'contracts')} had no renewal within the observation.")
    if found.early:
        notes.append(
            f"{wording.counted(found.early, 'contracts')} ended in a period that was not over when observation ended: "
            "they count as customers up to the renewal before."
        )
    return notes


def _from_cohorts(way: str, cohorts: Mapping[Any, Floats], customers: Any, period: str | None) -> SurvivalCounts:
    """Return the counts of cohorts given by their survivors or losses."""
    if way == "survivors":
        if customers is not None:
            raise InvalidArgument("customers= goes with losses=: survivors= begin with the size of the cohort.")
        curves = cohorts
    else:
        sizes = _sizes(cohorts, customers)
        curves = {name: sizes[name] - np.concatenate([[0.0], np.cumsum(lost)]) for name, lost in cohorts.items()}
    longest = max((len(curve) for curve in curves.values()), default=0)
    at_risk, lost = np.zeros((2, max(longest - 1, 0)))
    for name, curve in curves.items():
        falls = -np.diff(curve)
        _check_cohort(name, curve, falls, way)
        at_risk[: len(falls)] += curve[:-1]
        lost[: len(falls)] += np.maximum(falls, 0.0)
    people = sum(float(curve[0]) for curve in curves.values() if len(curve) > 1)
    notes = []
    if any((curve != np.floor(curve)).any() for curve in curves.values()):
        notes.append("Some numbers are not whole; they are taken as numbers of customers, not as percentages.")
    found = _made(at_risk, np.minimum(lost, at_risk), people, period, "pandas", {}, notes)
    return dataclasses.replace(found, cohorts={str(name): curve for name, curve in curves.items()})


def _check_cohort(name: Any, curve: Floats, falls: Floats, way: str) -> None:
    """Raise where a cohort cannot have lived like that."""
    rounding = 1e-9 * float(curve[0])
    if (curve < -rounding).any():
        place = int(np.argmax(curve < -rounding))
        raise InvalidRows(
            f"cohort {name!r}: by renewal {place} more customers have left than there were ({curve[0]:,g}). Give the "
            "size of the cohort at first in customers=, and losses per renewal, not summed up.",
            column=str(name),
            count=1,
        )
    if way == "survivors" and (falls < 0).any():
        place = int(np.argmax(falls < 0))
        raise InvalidRows(
            f"cohort {name!r}: {curve[place + 1]:,g} customers after renewal {place + 1}, but {curve[place]:,g} before "
            "it. Survivors cannot increase: leave out customers who came back or joined later, or give them a cohort "
            "of their own; losses go into losses=.",
            column=str(name),
            count=int((falls < 0).sum()),
        )


def _sizes(cohorts: Mapping[Any, Floats], customers: Any) -> dict[Any, float]:
    """Return the size of each cohort at first."""
    if customers is None:
        raise InvalidArgument("losses= needs customers=: how many each cohort had at first.")
    if isinstance(customers, Mapping):
        given = dict(customers)
    else:
        listed = [customers] if np.ndim(customers) == 0 else list(customers)
        given = dict(zip(cohorts, listed, strict=False)) if len(listed) == len(cohorts) else {}
    if set(given) != set(cohorts):
        raise InvalidArgument(
            f"customers={customers!r} does not give one size for each of the cohorts {', '.join(map(repr, cohorts))}."
        )
    return {name: checks.number("customers", size, low=0.0) for name, size in given.items()}


def _cohorts(way: str, given: Any) -> dict[Any, Floats]:
    """Return cohorts as arrays by name, from lists, a mapping, a series or a table."""
    if isinstance(given, Mapping):
        named = dict(given)
    elif (columns := _columns(given)) is not None:
        named = columns
    else:
        if not isinstance(given, Iterable):
            raise InvalidArgument(
                f"{way}={given!r}: give a list of numbers, a mapping from cohort to list, or a table."
            )
        listed = list(given)
        nested = any(np.ndim(one) > 0 for one in listed)
        named = dict(enumerate(listed)) if nested else {0: listed}
    if not named:
        raise EmptyData(f"{way} holds no cohort.")
    return {name: _numbers(f"{way} of cohort {name!r}" if len(named) > 1 else way, one) for name, one in named.items()}


def _columns(given: Any) -> dict[Any, Any] | None:
    """Return the columns of a table as lists; None where it is none."""
    if isinstance(given, (list, tuple, range, np.ndarray)):
        return None
    try:
        source = engines.open_source(given)
    except UnsupportedSource:
        return None
    labels = list(source.labels)
    columns = [column.to_pylist() for column in source.arrow(labels).columns]
    if getattr(source, "text", False):  # files of text: a blank is a null
        columns = [[float(one) if one and one.strip() else None for one in column] for column in columns]
    return dict(zip(labels, columns, strict=True))


def _numbers(what: str, values: Any) -> Floats:
    """Return numbers, nulls at the end left out."""
    if hasattr(
        values, "to_pylist"
    ):  # Arrow arrays give scalars of their own kind, which older ones do not turn to floats
        values = values.to_pylist()
    listed = list(values) if isinstance(values, Iterable) and not isinstance(values, (str, bytes)) else [values]
    # Arrow's scalars do not turn into floats in older releases.
    listed = [one.as_py() if hasattr(one, "as_py") else one for one in listed]
    if any(isinstance(one, (str, bytes, bool, np.bool_)) for one in listed):
        raise InvalidArgument(f"{what} holds {listed[:3]}, which are no numbers of customers.")
    try:
        numbers = np.array([math.nan if wording.missing(one) else float(one) for one in listed])
    except (TypeError, ValueError) as err:
        raise InvalidArgument(f"{what} holds what is no number: {err}.") from err
    known = np.flatnonzero(~np.isnan(numbers))
    numbers = numbers[: known[-1] + 1] if len(known) else numbers[:0]
    bad = ~np.isfinite(numbers) | (numbers < 0)
    if bad.any() or not len(numbers):
        place = int(np.argmax(bad)) if len(numbers) else 0
        found = listed[place] if listed else "nothing"
        raise InvalidRows(
            f"{what}: {found!r} at place {place}. Give finite numbers of at least 0, without gaps: nulls may only "
            "stand below the last known.",
            count=int(bad.sum()),
        )
    return numbers


def _made(
    at_risk: Floats,
    lost: Floats,
    customers: float,
    period: str | None,
    kind: str,
    exclusions: Mapping[str, int],
    notes: list[str],
) -> SurvivalCounts:
    """Return the result, refusing one that says nothing."""
    left_out = ", ".join(f"{rows:,} {reason}" for reason, rows in exclusions.items())
    if not at_risk.sum() > 0:
        raise EmptyData(
            "nobody came to a renewal while observed: there is nothing to learn about churn"
            + (f" (left out: {left_out})" if left_out else "")
            + ". Observe for longer, or give survivors of at least two points in time."
        )
    if left_out:
        notes = [*notes, f"Left out: {left_out}."]
    return SurvivalCounts(
        at_risk=at_risk,
        lost=lost,
        customers=customers,
        period=period or "",
        kind=kind,
        exclusions=dict(exclusions),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class SurvivalCounts:
    """How many customers came to each renewal, and how many of them left.

    Attributes:
        at_risk: Customers who came to the first, second, … renewal; shape (renewals,).
        lost: Those of them who left then; shape (renewals,).
        customers: Customers who came to at least one renewal, or the sum of their weights.
        period: How often contracts are renewed: "month", … or a duration such as "30d"; "" where it is not known.
        kind: The kind of frame that tables come as.
        exclusions: Reason → contracts left out.
        notes: What a reader must know, a sentence each.
        cohorts: Survivors by cohort, at first, after one renewal, …, where they were given so; empty elsewhere.
    """

    at_risk: Floats
    lost: Floats
    customers: float
    period: str = ""
    kind: str = "pandas"
    exclusions: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cohorts: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def kept(self) -> Floats:
        """Those who stayed at the first, second, … renewal; shape (renewals,)."""
        return self.at_risk - self.lost

    @property
    def renewals(self) -> Floats:
        """Renewals survived before: 0, 1, …; shape (renewals,)."""
        return np.arange(len(self.at_risk), dtype=np.float64)

    @property
    def table(self) -> Table:
        """A row per renewal with the shares observed (95 % Wilson intervals).

        Columns: `renewal` (1, 2, …), `at_risk`, `lost`, `retention` with `low` and `high` (NaN where nobody was at
        risk), `survival` (the product of the retentions, Kaplan & Meier 1958).
        """
        shares = np.divide(self.kept, self.at_risk, out=np.full(len(self.lost), math.nan), where=self.at_risk > 0)
        limits = [intervals.wilson(kept, n) for kept, n in zip(self.kept, self.at_risk, strict=True)]
        return Table(
            name="renewals observed",
            data=self._rows(shares, limits),
            kind=self.kind,
            sentence=str(self),
            definition="Of the customers who came to a renewal, the share who stayed; survival is their product.",
            units={"retention": "share", "low": "share", "high": "share", "survival": "share"},
        )

    def _rows(self, shares: Floats, limits: list[tuple[float, float]]) -> pa.Table:
        import pyarrow as pa

        low, high = zip(*limits, strict=True)
        return pa.table(
            {
                "renewal": np.arange(1, len(shares) + 1),
                "at_risk": self.at_risk,
                "lost": self.lost,
                "retention": shares,
                "low": np.array(low),
                "high": np.array(high),
                "survival": np.cumprod(shares),
            }
        )

    def curves(self) -> Table:
        """Return the survival of each cohort, and of all together.

        Returns:
            A row per cohort and renewal from 0: `cohort` (of all together null; that is the only one where contracts
            were given by their dates), `renewal`, `customers` (still there; of all together those who came to the
            renewal and stayed) and `survival` (of one cohort the share of its customers; of all together the product of
            the retentions, Kaplan & Meier 1958). Chart: curves.

        Examples:
            >>> counts = survival_counts(survivors={"2022": [1000, 631, 468], "2023": [800, 520]})
            >>> for row in counts.curves():
            ...     print(row["cohort"], row["renewal"], row["customers"], round(row["survival"], 3))
            2022 0 1000.0 1.0
            2022 1 631.0 0.631
            2022 2 468.0 0.468
            2023 0 800.0 1.0
            2023 1 520.0 0.65
            None 0 1800.0 1.0
            None 1 1151.0 0.639
            None 2 468.0 0.474
        """
        return survival_curves(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw the survival of each cohort, and of all together (`curves`); returns the matplotlib Axes."""
        return self.curves().plot(ax=ax)

    def to_native(self) -> Any:
        """Return `table` as the caller's kind of frame."""
        return self.table.to_native()

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        return {
            "customers": wording.jsonable(self.customers),
            "at_risk": self.at_risk.tolist(),
            "lost": self.lost.tolist(),
            "period": self.period,
            "exclusions": dict(self.exclusions),
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        most = len(self.at_risk)
        came = "1 renewal" if most == 1 else f"1 to {most} renewals"
        every = f"; renewed every {self.period}" if self.period else ""
        notes = f" Note: {' '.join(self.notes)}" if self.notes else ""
        return (
            f"{wording.counted(self.customers, 'customers')} came to {came}: {wording.plain(float(self.lost.sum()))} "
            f"left{every}.{notes}"
        )

    def _repr_html_(self) -> str:
        return self.table._repr_html_()
