"""Pareto: which share of customers brings which share of revenue or profit, and how unequal customers are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, tables, wording
from loyalty.engines import CustomerRows, PerCustomer
from loyalty.errors import EmptyData, InvalidArgument, MissingData
from loyalty.segments.concentration import (
    Question,
    concentration,
    customer_share,
    gini,
    lorenz,
    revenue_share,
    tied,
)
from loyalty.segments.standings import (
    COUNT_SLACK,
    NOWHERE,
    Curve,
    Part,
    Standings,
    by_place,
    measure_parts,
    places_of,
    resolution,
)
from loyalty.tables import EstimateSet, Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loyalty.estimates import Estimate
    from loyalty.places import Places
    from loyalty.tables import Grouped
    from loyalty.transactions import Transactions

__all__ = ["Pareto", "ParetoFlags", "pareto"]

_VALUES = ("revenue", "profit")
_ROUNDING = 1e-12  # part of spend and cost that is left by the last digits of floats alone


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
    halves up: which customers are equal depends neither on the order of rows nor on the engine. Only where more than
    1,000,000 different values remain (`segments.standings.MOST_PLACES`, what may leave the engine) is it made coarser
    by powers of ten, which `notes` and `places.unit` tell: the sums stay exact, customers within one unit tie. Zero is
    a value; negative ones count, and then a share can exceed 100 %.

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
    question = Question(
        checks.fraction("customers", customers),
        checks.fraction("revenue", revenue),
        checks.choice("value", value, _VALUES),
        checks.confidence_level(confidence),
    )
    if value == "profit" and "cost" not in tx.roles:
        raise MissingData('value="profit" needs the cost of what was sold: pass cost=<column> to transactions().')
    people = _valued(tx, value)
    places = places_of(tx, people, "value", by=by, cohort=cohort)
    return measure_parts(
        tx,
        people.with_columns(place=places.column(nw.col("value"))),
        by_place(places),
        lambda part, rows: _result(part, Curve.of(Standings.of_places(rows)), question, places),
        keys=["place"],
        by=by,
        cohort=cohort,
    )


def _valued(tx: Transactions, value: str) -> nw.LazyFrame[Any]:
    """Return customers with what they bring: columns `customer`, `value` ("revenue", or "profit": spend less cost)."""
    spend = nw.col("spend").cast(nw.Float64)
    if value == "revenue":
        return tx.customers.select("customer", value=spend)
    cost = nw.col("cost").cast(nw.Float64)
    some = (spend - cost).abs() > _ROUNDING * (spend.abs() + cost.abs())
    return tx.customers.select("customer", value=nw.when(some).then(spend - cost).otherwise(nw.lit(0.0)))


def _result(part: Part, curve: Curve, question: Question, places: Places) -> Pareto:
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
    negative = curve.who.negative
    below = f"{negative:,} customers have a negative {value}" if negative else ""
    kind = part.tx.engine.kind
    return Pareto(
        kind=kind,
        value=value,
        top_share=question.customers,
        vital_share=question.revenue,
        revenue_share=revenue_share(curve, top, question, lacks, below),
        customer_share=customer_share(curve, vital, question, lacks),
        gini=gini(curve, question, lacks or below),
        top_customers=top.customers,
        top_threshold=top.threshold,
        top_ties=top.ties,
        vital_customers=vital.customers,
        vital_threshold=vital.threshold,
        vital_ties=vital.ties,
        notes=tuple(filter(None, (lacks, below, tied("top", top), tied("vital", vital), resolution(places)))),
        concentration=concentration(curve, question, kind, defined=not lacks),
        data=lorenz(curve, [top, vital] if not lacks else []),
        part=part,
        places=places,
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
        people = self.part.of(_valued(tx, self.value)).with_columns(place=self.places.column(nw.col("value")))
        curve = Curve.of(Standings.of_places(tx.collect(people.group_by("place").agg(*by_place(self.places)))))
        # What is known by the place alone is joined back on it: no window over all customers.
        frame = people.join(tx.engine.attach(self._standing(curve)), left_on="place", right_on="standing", how="left")
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
