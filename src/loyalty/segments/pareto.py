"""Pareto: which share of customers brings which share of revenue or profit, and how unequal customers are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, intervals, tables, wording
from loyalty.engines import CustomerRows, PerCustomer
from loyalty.errors import EmptyData, InvalidArgument, MissingData
from loyalty.estimates import Estimate
from loyalty.segments.standings import (
    BY_PLACE,
    COUNT_SLACK,
    NOWHERE,
    Curve,
    Part,
    Reading,
    Standings,
    measure_parts,
    places_of,
)
from loyalty.tables import EstimateSet, Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loyalty.places import Places
    from loyalty.tables import Grouped
    from loyalty.transactions import Transactions

__all__ = ["Pareto", "ParetoFlags", "pareto"]

_VALUES = ("revenue", "profit")
_SHARES_SHOWN = (0.5, 0.6, 0.7, 0.8, 0.9)  # in `concentration`, beside the one asked about


@takes_transactions
def pareto(
    tx: Transactions,
    customers: float = 0.30,
    revenue: float = 0.70,
    value: str = "revenue",
    *,
    by: Any = None,
    cohort: str | None = None,
    confidence: float = 0.95,
) -> Pareto | Grouped[Pareto]:
    """Return what the top customers bring, and how few customers bring most of it.

    Two readings of one curve: the share of value from the top k = ⌈customers · n − 1e-9⌉ customers, and the
    smallest share of customers that brings the share `revenue` of the value, the one who crosses it inside.

    Args:
        tx: The transactions.
        customers: Share of customers whose value is asked about, above 0 and at most 1.
        revenue: Share of value whose customers are asked about, above 0 and at most 1.
        value: "revenue": a customer's spend in the window, net of returns; "profit": spend less cost.
        by: A column of the transactions, taken at the customer's first purchase; null is a group.
        cohort: Group by the "day", "week", "month", "quarter" or "year" of the first purchase instead.
        confidence: Level of the intervals.

    Returns:
        The result, or one per group. A group whose value sums to zero or less is undefined: NaN with a note.

    Raises:
        EmptyData: The value of all customers together is zero or negative: there are no shares of it.
        MissingData: `value="profit"` and the transactions were opened without `cost=`.
        InvalidArgument: Another argument is not allowed.

    Ties: both readings count customers exactly; flags are "value ≥ threshold", so customers who equal the
    last one counted are flagged too, and `top_ties`, `vital_ties` say how many. Values are compared at the
    resolution `places.unit`, the 12th significant digit of the largest (a cent at the coarsest, up to sums of 10¹²),
    halves up: which customers are equal depends neither on the order of rows nor on the engine. Zero is a value;
    negative ones count, and then a share can exceed 100 %.

    Intervals take the customer as the sampling unit, by linearised variances of a Lorenz ordinate (Beach &
    Davidson 1983, Review of Economic Studies 50, 723-735), of its inverse (through the slope of the curve)
    and of the Gini index (Langel & Tillé 2013, JRSS A 176, 521-540).

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> frame = pd.DataFrame({"customer_id": range(10), "date": pd.Timestamp("2024-01-01"),
        ...                       "amount": [10.0] * 9 + [100.0]})
        >>> result = ly.pareto(ly.transactions(frame), customers=0.1, revenue=0.5)
        >>> round(result.revenue_share.value, 4), result.customer_share.value, round(result.gini.value, 4)
        (0.5263, 0.1, 0.4263)
        >>> result.flag([10.0, 120.0]).is_top.tolist()
        [False, True]
    """
    question = _Question(
        checks.fraction("customers", customers),
        checks.fraction("revenue", revenue),
        checks.choice("value", value, _VALUES),
        checks.confidence_level(confidence),
    )
    if value == "profit" and "cost" not in tx.roles:
        raise MissingData('value="profit" needs the cost of what was sold: pass cost=<column> to transactions().')
    valued = _valued(tx, value)
    places = places_of(tx, valued, "value")
    return measure_parts(
        tx,
        valued.with_columns(place=places.column(nw.col("value"))),
        BY_PLACE,
        lambda part, rows: _result(part, Curve.of(Standings.of_places(rows)), question, places),
        keys=["place"],
        by=by,
        cohort=cohort,
    )


def _valued(tx: Transactions, value: str) -> nw.LazyFrame[Any]:
    """Return customers with what they bring: columns `customer`, `value`."""
    worth = nw.col("spend") if value == "revenue" else nw.col("spend") - nw.col("cost")
    return tx.customers.select("customer", value=worth.cast(nw.Float64))


class _Question(NamedTuple):
    """What was asked, and how an answer to it is put."""

    customers: float
    revenue: float
    value: str
    confidence: float

    def estimate(
        self,
        which: str,
        n: int,
        value: float = math.nan,
        limits: tuple[float, float] = (math.nan, math.nan),
        *,
        numerator: float = math.nan,
        denominator: float = math.nan,
        note: str = "",
    ) -> Estimate:
        """Return one of the three estimates."""
        name, definition = self._words(which)
        single = "no interval: it needs two customers or more" if n == 1 and not math.isnan(value) else ""
        return Estimate(
            name=name,
            value=value,
            low=limits[0],
            high=limits[1],
            confidence=self.confidence,
            n=n,
            numerator=numerator,
            denominator=denominator,
            method="linearised",
            definition=definition,
            note="; ".join(filter(None, (note, single))),
            unit="ratio" if which == "gini" else "share",
        )

    def _words(self, which: str) -> tuple[str, str]:
        """Return an estimate's name and definition."""
        top, most, value = wording.level(self.customers), wording.level(self.revenue), self.value
        if which == "revenue_share":
            definition = f"Share of {value} that the top {top} of customers bring."
            return f"{value} from the top {top} of customers", definition
        if which == "customer_share":
            definition = f"Smallest share of customers that brings {most} of {value}, the one who crosses it inside."
            return f"customers who bring {most} of {value}", definition
        definition = f"Mean difference in {value} between two customers, over twice the mean (population formula)."
        return f"Gini index of {value}", definition

    def half(self, error: float) -> float:
        """Return half the width of an interval; NaN where there is no standard error."""
        return intervals.normal_quantile(self.confidence) * error


def _result(part: Part, curve: Curve, question: _Question, places: Places) -> Pareto:
    """Return the result for a part's customers: undefined for a group whose value sums to nothing."""
    n, total, value = curve.who.n, curve.total, question.value
    top, vital, lacks = NOWHERE, NOWHERE, ""
    if total > 0.0 and math.isfinite(total):
        top = curve.top(max(1, math.ceil(question.customers * n - COUNT_SLACK)))
        vital = curve.fewest(question.revenue)
    else:
        lacks = f"the {value} of these {n:,} customers sums to {wording.plain(total)}: there are no shares of it"
        if part.whole:
            raise EmptyData(f"{lacks}. Look at returns, at the sign of amounts and at tx.exclusions.")
    negative = int(curve.who.counts[curve.who.values < 0.0].sum())
    below = f"{negative:,} customers have a negative {value}" if negative else ""
    kind = part.tx.engine.kind
    return Pareto(
        kind=kind,
        value=value,
        top_share=question.customers,
        vital_share=question.revenue,
        revenue_share=_revenue_share(curve, top, question, lacks, below),
        customer_share=_customer_share(curve, vital, question, lacks),
        gini=_gini(curve, question, lacks or below),
        top_customers=top.customers,
        top_threshold=top.threshold,
        top_ties=top.ties,
        vital_customers=vital.customers,
        vital_threshold=vital.threshold,
        vital_ties=vital.ties,
        notes=tuple(filter(None, (lacks, below, _tied("top", top), _tied("vital", vital)))),
        concentration=_concentration(curve, question, kind, defined=not lacks),
        data=_lorenz(curve, [top, vital] if not lacks else []),
        part=part,
        places=places,
    )


# `half` is NaN for a single customer; below, min and max keep a NaN since it comes first.


def _revenue_share(curve: Curve, top: Reading, question: _Question, lacks: str, below: str) -> Estimate:
    """Return the share of value that the top customers bring."""
    n, total = curve.who.n, curve.total
    if lacks:
        return question.estimate("revenue_share", n, denominator=total, note=f"undefined: {lacks}")
    share = top.value / total
    half = question.half(curve.scatter(top, share) / (total / n))
    # The top k never bring less than k/n of the whole, and more than all only where some are below zero.
    low, high = max(share - half, min(top.customers / n, share)), share + half
    if not below:
        high = min(high, max(share, 1.0))
    return question.estimate("revenue_share", n, share, (low, high), numerator=top.value, denominator=total, note=below)


def _customer_share(curve: Curve, vital: Reading, question: _Question, lacks: str) -> Estimate:
    """Return the smallest share of customers that brings the wanted share of value."""
    n = curve.who.n
    if lacks:
        return question.estimate("customer_share", n, denominator=n, note=f"undefined: {lacks}")
    share = vital.customers / n
    half = question.half(curve.scatter(vital, question.revenue) / vital.threshold)
    limits = max(share - half, 0.0), min(share + half, 1.0)
    return question.estimate("customer_share", n, share, limits, numerator=vital.customers, denominator=n)


def _gini(curve: Curve, question: _Question, lacks: str) -> Estimate:
    """Return the Gini index."""
    if lacks:
        return question.estimate("gini", curve.who.n, note=f"undefined: {lacks}")
    gini, error = curve.gini()
    half = question.half(error)
    return question.estimate("gini", curve.who.n, gini, (max(gini - half, 0.0), min(gini + half, 1.0)))


def _tied(name: str, reading: Reading) -> str:
    """Return the note that more customers are flagged than counted."""
    counted = f"the last of the {name} {reading.customers:,}"
    return f"{reading.ties:,} more customers equal {counted} and are flagged with them" if reading.ties else ""


def _concentration(curve: Curve, question: _Question, kind: str, *, defined: bool) -> Table:
    """Return the second reading for several shares of value; without rows where it is undefined."""
    import pyarrow as pa

    value = question.value
    shares = sorted({*_SHARES_SHOWN, question.revenue}) if defined else []
    found = [curve.fewest(share) for share in shares]
    parts = [reading.customers / curve.who.n for reading in found]
    data = {
        "value_share": pa.array(shares, pa.float64()),
        "customers": pa.array([reading.customers for reading in found], pa.int64()),
        "customer_share": pa.array(parts, pa.float64()),
        "threshold": pa.array([reading.threshold for reading in found], pa.float64()),
    }
    said = [
        f"{wording.level(share)} of {value} comes from {wording.quantity(part, 'share')} of customers"
        for share, part in zip(shares, parts, strict=True)
    ]
    return Table(
        name=f"concentration of {value}",
        data=pa.table(data),
        kind=kind,
        sentence="; ".join(said or [f"{value.capitalize()} has no shares"]) + ".",
        definition=f"The fewest customers who bring a share of {value}, and the lowest {value} among them.",
        units={"value_share": "share", "customer_share": "share", "threshold": "money"},
    )


def _lorenz(curve: Curve, readings: list[Reading]) -> pa.Table:
    """Return the curve's points, the readings among them; no rows where there are none."""
    import pyarrow as pa

    customers, brought = curve.points(*readings) if readings else (np.zeros(0, np.int64), np.zeros(0))
    shares, values = customers / curve.who.n, brought / (curve.total or 1.0)
    return pa.table(
        {
            "customers": customers,
            "cumulative_customers": shares,
            "cumulative_value": values,
            "poorest_customers": 1.0 - shares,
            "poorest_value": 1.0 - values,
        }
    )


class ParetoFlags(NamedTuple):
    """Which of the values handed to `Pareto.flag` lie inside, as boolean arrays of the values' shape."""

    is_top: NDArray[np.bool_]
    is_vital: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pareto(EstimateSet, PerCustomer):
    """How revenue or profit is spread over customers.

    Attributes:
        kind: The kind of frame that summaries come back as.
        value: What is spread: "revenue" or "profit".
        top_share: The share of customers asked about.
        vital_share: The share of value asked about.
        revenue_share: Share of value that the top customers bring, exactly `top_customers` of them.
        customer_share: Smallest share of customers that brings the share of value asked about.
        gini: Gini index, 0 (all equal) to 1; NaN with a note where a value is negative.
        top_customers: Number of customers in the top share.
        top_threshold: Lowest value among them, in money.
        top_ties: Customers of that value who are not counted, but flagged.
        vital_customers: Smallest number of customers that brings the share of value asked about.
        vital_threshold: Lowest value among them, in money.
        vital_ties: Customers of that value who are not counted, but flagged.
        notes: What a reader must know.
        concentration: How few customers bring 50, 60, 70, 80 and 90 % of value: a row per share of value.
        data: The curve as a PyArrow table; see `lorenz`.
        part: Whose value it is, for `customers`.
        places: The resolution at which values are compared; `places.unit` is money.
    """

    value: str
    top_share: float
    vital_share: float
    revenue_share: Estimate
    customer_share: Estimate
    gini: Estimate
    top_customers: int
    top_threshold: float
    top_ties: int
    vital_customers: int
    vital_threshold: float
    vital_ties: int
    notes: tuple[str, ...]
    concentration: Table = field(repr=False)
    data: pa.Table = field(repr=False)
    part: Part = field(repr=False)
    places: Places = field(repr=False)

    @property
    def lorenz(self) -> Any:
        """The Lorenz curve as a frame of the caller's kind: under 1000 points, ends and readings among them.

        Columns: `customers` (number, richest first); `cumulative_customers` and `cumulative_value` (shares of
        them and of what they bring); `poorest_customers` and `poorest_value` (shares of all others: the
        classic curve).
        """
        return tables.native(self.data, self.kind)

    @property
    def customers(self) -> Any:
        """A row per customer, highest value first, as the source's own kind of frame; computed when read.

        Columns: the customer column; `value`; `rank` (1 is the highest, equals share the better rank);
        `cumulative_customers` and `cumulative_value` (shares of customers and of value down to this value,
        equals included); `is_top`; `is_vital`.

        Raises:
            ClosedError: The transactions were closed.
        """
        return self._customer_rows().handed()

    def _customer_rows(self) -> CustomerRows:
        tx = self.part.tx
        valued = self.part.of(_valued(tx, self.value)).with_columns(place=self.places.column(nw.col("value")))
        curve = Curve.of(Standings.of_places(tx.collect(valued.group_by("place").agg(*BY_PLACE))))
        # What is known by the place alone is joined back on it: no window over all customers.
        frame = valued.join(tx.engine.attach(self._standing(curve)), left_on="place", right_on="standing", how="left")
        columns = ["rank", "cumulative_customers", "cumulative_value", "is_top", "is_vital"]
        frame = frame.select("customer", "value", *columns)
        return CustomerRows(tx.engine, frame.sort("rank", "customer"), tx.customer)

    def _standing(self, curve: Curve) -> pa.Table:
        """Return rank, cumulative shares and flags for each place that customers may have."""
        import pyarrow as pa

        who, flags = curve.who, self.flag(curve.who.lowest)
        brought = curve.brought / curve.total if self.top_customers else np.full(len(who.values), math.nan)
        columns = {
            "rank": who.reached - who.counts + 1,
            "cumulative_customers": who.reached / who.n,
            "cumulative_value": brought,
            **flags._asdict(),
        }
        keys, rows = who.answering()
        return pa.table({"standing": keys, **{name: column[rows] for name, column in columns.items()}})

    def flag(self, values: Any) -> ParetoFlags:
        """Return which values lie inside the top share, and inside the vital few; customers may be new.

        Args:
            values: Revenue or profit, as an array, Series or list of numbers; a missing one lies outside.

        Returns:
            `is_top` and `is_vital`: "value ≥ threshold" at the resolution `places`.

        Raises:
            InvalidArgument: They are no numbers.
        """
        try:
            given = np.asarray(values, np.float64)
        except (TypeError, ValueError) as err:
            raise InvalidArgument(f"values={values!r}: give numbers, what customers bring, as [12.5, 80].") from err
        mine = self.places.of(given)
        limits = (self.places.of(cut) for cut in (self.top_threshold, self.vital_threshold))
        return ParetoFlags(*(np.greater_equal(mine, limit) for limit in limits))

    def __str__(self) -> str:
        notes = "".join(f" Note: {note}." for note in self.notes)
        if not self.top_customers:
            return f"Pareto of {self.value}: not defined.{notes}"
        share, few = self.revenue_share, self.customer_share
        top = f"The top {wording.level(self.top_share)} of customers ({self.top_customers:,} of {share.n:,})"
        brings = f"bring {_said(share)} of {self.value}{_interval(share)}"
        most = f"{wording.level(self.vital_share)} of {self.value} comes from {_said(few)} of customers"
        counted = f"{most}, {self.vital_customers:,} of them{_interval(few)}"
        return f"{top} {brings}; {counted}; Gini {_said(self.gini)}{_interval(self.gini)}.{notes}"

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, estimates, notes and tables as JSON-ready values; undefined becomes None."""
        names = ("share", "customers", "threshold", "ties")
        numbers = {f"{which}_{name}" for which in ("top", "vital") for name in names}
        return {
            "value": self.value,
            **{name: wording.jsonable(getattr(self, name)) for name in sorted(numbers)},
            **EstimateSet.to_dict(self),
            "notes": list(self.notes),
            "concentration": self.concentration.to_dict()["rows"],
            "lorenz": wording.jsonable(self.data.to_pylist()),
        }

    def _repr_html_(self) -> str:
        rows = [(item.name, _said(item), _interval(item).strip(" ()")) for item in self.estimates().values()]
        for name in ("top", "vital"):
            threshold = wording.quantity(getattr(self, f"{name}_threshold"), "money")
            rows.append((f"threshold of the {name} {getattr(self, f'{name}_customers'):,} customers", threshold, ""))
        rows += [("note", note, "") for note in self.notes]
        return wording.html_table((f"Pareto of {self.value}", "", "interval"), rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw the curve with both readings; returns the matplotlib Axes."""
        from loyalty import plots

        return plots.pareto(self, ax=ax)


def _said(estimate: Estimate) -> str:
    """Return an estimate's value as text."""
    return wording.quantity(estimate.value, estimate.unit)


def _interval(estimate: Estimate) -> str:
    """Return an estimate's interval as text in brackets, or nothing."""
    if math.isnan(estimate.low):
        return ""
    low, high = wording.quantity(estimate.low, estimate.unit), wording.quantity(estimate.high, estimate.unit)
    return f" ({wording.level(estimate.confidence)} interval {low} to {high})"
