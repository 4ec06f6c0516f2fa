"""RFM: customers scored by recency, frequency and money, and named segments of the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks, wording
from loyalty.engines import CustomerRows, PerCustomer
from loyalty.segments.naming import OTHER, SEGMENTS, default_names, own_names
from loyalty.segments.standings import Part, Standings, by_place, measure_parts, places_of, resolution
from loyalty.tables import Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loyalty.places import Places
    from loyalty.segments.naming import Span
    from loyalty.tables import Grouped
    from loyalty.transactions import Transactions

__all__ = ["OTHER", "RFM", "SEGMENTS", "rfm"]

Frame = nw.LazyFrame[Any]
_MOST_BINS = 100
_MEASURES = {"r": "days_since_last_purchase", "f": "frequency", "m": "monetary"}  # what each score is of


@takes_transactions
def rfm(
    tx: Transactions,
    bins: int = 5,
    *,
    segments: Mapping[str, tuple[Span, Span]] | None = None,
    by: Any = None,
    cohort: str | None = None,
) -> RFM | Grouped[RFM]:
    """Score customers by how recently, how often and for how much they bought, and name segments of them.

    Each score is 1 + ⌊bins · (customers strictly worse) ÷ n⌋: the worst get 1, the best at most `bins`, and
    equal values always share a score. That can leave scores unused: where half of all customers bought once,
    nobody's f is 2 of 5.

    Args:
        tx: The transactions.
        bins: Number of scores, 2 to 100.
        segments: Your own: name → ((lowest r, highest r), (lowest f, highest f)), scores from 1 to `bins`;
            the first that fits counts, and whoever fits none is "Other". None: `SEGMENTS`, where a score of
            other than 5 bins stands for the fifth that its middle lies in.
        by: A column of the transactions, taken at the customer's first purchase: a summary per group (null is
            one), with scores among all customers.
        cohort: Group by the "day", "week", "month", "quarter" or "year" of the first purchase instead.

    Returns:
        The scores and segments, or one summary per group.

    Raises:
        InvalidArgument: `bins` or `segments` is not allowed.

    Ties and nulls: spend is compared at the 12th significant digit of the largest (a cent at the coarsest, up to
    sums of 10¹²), halves up: no tie depends on the order of rows or on the engine. Where more than 1,000,000 different
    values remain it is made coarser, as in `pareto`; the note of `segments` and `places.unit` tell. Nothing can be
    missing: every customer has a purchase in the window. Spend is net of returns, so it may be zero or negative.

    Source: Hughes (1994), Strategic Database Marketing: quintile scores; here equal values stay together. The
    segments are those of `SEGMENTS`.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> frame = pd.DataFrame({"customer_id": ["a", "b", "b"], "amount": [10.0, 20.0, 30.0],
        ...                       "date": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-02-01"])})
        >>> result = ly.rfm(ly.transactions(frame), bins=2)
        >>> result.customers[["customer_id", "days_since_last_purchase", "rfm_score", "segment"]]
          customer_id  days_since_last_purchase rfm_score          segment
        0           b                         0       222  Loyal Customers
        1           a                        31       111      Hibernating
    """
    checks.count("bins", bins, low=2, high=_MOST_BINS)
    names = default_names(bins) if segments is None else own_names(bins, segments)
    listed = [*(segments or SEGMENTS), *([OTHER] if OTHER in names.values() else [])]
    measured = _measured(tx)
    places = places_of(tx, measured, "monetary")
    cuts = {score: _cuts(tx, measured, measure, bins, places) for score, measure in _MEASURES.items()}
    sums = [nw.len().alias("customers"), *(nw.col(measure).sum() for measure in _MEASURES.values())]
    return measure_parts(
        tx,
        _scored(measured, cuts, places),
        sums,
        lambda part, rows: _result(part, rows, _Scheme(bins, names, tuple(dict.fromkeys(listed)), cuts, places)),
        keys=["r", "f"],
        by=by,
        cohort=cohort,
    )


@dataclass(frozen=True, slots=True)
class _Scheme:
    """How customers are scored and named.

    Attributes:
        bins: Number of scores.
        names: (r, f) → segment, for every pair of scores.
        listed: The segments in order.
        cuts: Score → the values from which on each score above 1 is given; see `RFM`.
        places: The resolution at which spend is compared.
    """

    bins: int
    names: Mapping[tuple[int, int], str]
    listed: tuple[str, ...]
    cuts: Mapping[str, tuple[float, ...]]
    places: Places


def _measured(tx: Transactions) -> Frame:
    """Return what customers are scored on: `customer` and the columns of `_MEASURES`."""
    return tx.customers.select(
        "customer",
        days_since_last_purchase=(tx.window.last - nw.col("last_day")).cast(nw.Int64),
        frequency=nw.col("purchases"),
        monetary=nw.col("spend").cast(nw.Float64),
    )


def _cuts(tx: Transactions, measured: Frame, measure: str, bins: int, places: Places) -> tuple[float, ...]:
    """Return the value at which each score of 2 to `bins` begins; NaN where nobody gets so much."""
    sign = -1.0 if measure == _MEASURES["r"] else 1.0  # few days are good days
    if measure == _MEASURES["m"]:
        spent = measured.select(value=nw.col(measure), place=places.column(nw.col(measure)))
        who = Standings.of_places(tx.collect(spent.group_by("place").agg(*by_place(places))))
    else:
        counted = tx.collect(measured.group_by(measure).agg(n=nw.len()))
        who = Standings.of(sign * counted[measure].to_numpy(), counted["n"])
    worse = who.n - who.reached
    scores = 1 + bins * worse // who.n
    # `scores` fall along the values; the last place that still has a score bears the value it begins at.
    reached = np.searchsorted(-scores, -np.arange(2, bins + 1), side="right")
    return tuple(float(sign * who.lowest[place - 1]) if place else math.nan for place in reached)


def _scored(measured: Frame, cuts: Mapping[str, tuple[float, ...]], places: Places) -> Frame:
    """Return the measures of customers with their scores `r`, `f`, `m`.

    A score is one more than the number of cuts that are reached: comparisons with a few numbers, no window
    and no join.
    """
    reached = {
        "r": [nw.col(_MEASURES["r"]) <= cut for cut in _given(cuts["r"])],
        "f": [nw.col(_MEASURES["f"]) >= cut for cut in _given(cuts["f"])],
        "m": [nw.col("place") >= int(places.of(cut)) for cut in _given(cuts["m"])],
    }
    ones = {score: [nw.when(good).then(nw.lit(1)).otherwise(nw.lit(0)) for good in goods]
            for score, goods in reached.items()}  # fmt: skip
    scored = measured.with_columns(place=places.column(nw.col(_MEASURES["m"])))
    return scored.with_columns(**{name: sum(each, start=nw.lit(1)).cast(nw.Int64) for name, each in ones.items()})


def _given(cuts: tuple[float, ...]) -> list[float]:
    """Return the cuts of scores that somebody gets."""
    return [cut for cut in cuts if not math.isnan(cut)]


def _result(part: Part, rows: pa.Table, scheme: _Scheme) -> RFM:
    """Return the result for a part's customers, from the sums of each pair of scores."""
    kind = part.tx.engine.kind
    cells = {(row["r"], row["f"]): row for row in rows.to_pylist()}
    return RFM(
        kind=kind,
        bins=scheme.bins,
        n=sum(row["customers"] for row in cells.values()),
        segments=_segments(cells, scheme, kind),
        grid=_grid(cells, scheme, kind),
        cuts=MappingProxyType({_MEASURES[score]: cuts for score, cuts in scheme.cuts.items()}),
        part=part,
        places=scheme.places,
    )


def _segments(cells: Mapping[tuple[int, int], Mapping[str, Any]], scheme: _Scheme, kind: str) -> Table:
    """Return the table with a row per segment."""
    import pyarrow as pa

    days, purchases, spend = _MEASURES.values()
    sums = {name: np.zeros(len(scheme.listed)) for name in ("customers", *_MEASURES.values())}
    for pair, row in cells.items():
        for name, column in sums.items():
            column[scheme.listed.index(scheme.names[pair])] += float(row[name])
    people, revenue = sums["customers"], sums[spend]
    defined = bool(revenue.sum() > 0.0)
    lacks = "" if defined else "revenue sums to zero or less: there are no shares of it"
    data = pa.table(
        {
            "segment": pa.array(scheme.listed, pa.string()),
            "customers": people.astype(np.int64),
            "share": people / people.sum(),
            "revenue": revenue,
            "revenue_share": revenue / revenue.sum() if defined else np.full(len(people), math.nan),
            "mean_days_since_last_purchase": _means(sums[days], people),
            "mean_frequency": _means(sums[purchases], people),
            "mean_spend": _means(revenue, people),
        }
    )
    return Table(
        name="RFM segments",
        data=data,
        kind=kind,
        sentence=_sentence(data.to_pylist(), defined=defined),
        definition="Customers by the segment that their scores of recency and frequency lie in, with revenue "
        "net of returns and means over the segment's customers.",
        units={
            "share": "share",
            "revenue": "money",
            "revenue_share": "share",
            "mean_days_since_last_purchase": "days",
            "mean_spend": "money",
        },
        note="; ".join(filter(None, (lacks, resolution(scheme.places)))),
    )


def _means(sums: NDArray[np.float64], people: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means; NaN for nobody."""
    means: NDArray[np.float64] = np.divide(sums, people, out=np.full(len(sums), math.nan), where=people > 0.0)
    return means


def _sentence(rows: list[dict[str, Any]], *, defined: bool) -> str:
    """Return the largest segments by customers and by revenue, in words."""
    most, richest = (max(rows, key=lambda row: row[name]) for name in ("customers", "revenue"))
    largest = f"the largest is {most['segment']} ({wording.quantity(most['share'], 'share')} of customers)"
    filled = sum(1 for row in rows if row["customers"])
    head = f"{sum(row['customers'] for row in rows):,} customers in {filled} of {len(rows)} segments: {largest}"
    if not defined:
        return f"{head}."
    share, part = (
        wording.quantity(richest["share"], "share"),
        wording.quantity(richest["revenue_share"], "share"),
    )
    return f"{head}, the most revenue comes from {richest['segment']} ({share} of customers bring {part})."


def _grid(cells: Mapping[tuple[int, int], Mapping[str, Any]], scheme: _Scheme, kind: str) -> Table:
    """Return the table with a row per pair of scores, best r first, then best f."""
    import pyarrow as pa

    pairs = sorted(scheme.names, reverse=True)
    counts = [cells[pair]["customers"] if pair in cells else 0 for pair in pairs]
    data = {
        "r": pa.array([r for r, _ in pairs], pa.int64()),
        "f": pa.array([f for _, f in pairs], pa.int64()),
        "segment": pa.array([scheme.names[pair] for pair in pairs], pa.string()),
        "customers": pa.array(counts, pa.int64()),
    }
    return Table(
        name="RFM grid",
        data=pa.table(data),
        kind=kind,
        sentence=f"{sum(counts):,} customers in {sum(map(bool, counts))} of {len(pairs)} cells.",
        definition=f"Customers by their scores of recency (r) and frequency (f), 1 to {scheme.bins}, and the "
        "segment of each cell.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RFM(PerCustomer):
    """Customers scored by recency, frequency and money, and the segments they fall into.

    Attributes:
        kind: The kind of frame that summaries come back as.
        bins: Number of scores: the best is `bins`, the worst 1.
        n: Number of customers.
        segments: A row per segment: `segment`, `customers`, `share`, `revenue`, `revenue_share`,
            `mean_days_since_last_purchase`, `mean_frequency` (purchases), `mean_spend`; NaN for nobody.
        grid: A row per pair of scores: `r`, `f`, `segment`, `customers`.
        cuts: Measure → the values at which scores 2 to `bins` begin (of days: the most that still get it);
            NaN where ties leave nobody a score that high.
        part: Who was scored, for `customers`.
        places: The resolution at which spend is compared; `places.unit` is money.
    """

    kind: str
    bins: int
    n: int
    segments: Table
    grid: Table = field(repr=False)
    cuts: Mapping[str, tuple[float, ...]]
    part: Part = field(repr=False)
    places: Places = field(repr=False)

    @property
    def data(self) -> pa.Table:
        """The segments as a PyArrow table."""
        return self.segments.data

    @property
    def customers(self) -> Any:
        """A row per customer, best scores first, as the source's own kind of frame; computed when read.

        Columns: the customer column; `days_since_last_purchase` (on `observed_until`); `frequency`
        (purchases); `monetary` (spend); scores `r`, `f`, `m`; `rfm_score` (as "545"; with 10 bins or more as
        "10-4-9"); `segment`.

        Raises:
            ClosedError: The transactions were closed.
        """
        return self._customer_rows().handed()

    def _customer_rows(self) -> CustomerRows:
        tx = self.part.tx
        cuts = {score: self.cuts[measure] for score, measure in _MEASURES.items()}
        scored = self.part.of(_scored(_measured(tx), cuts, self.places))
        named = tx.engine.attach(self.grid.data.select(["r", "f", "segment"]))
        text = nw.concat_str(
            [nw.col(score).cast(nw.String) for score in _MEASURES], separator="" if self.bins < 10 else "-"
        )
        frame = scored.join(named, on=["r", "f"], how="inner").with_columns(rfm_score=text)
        frame = frame.select("customer", *_MEASURES.values(), *_MEASURES, "rfm_score", "segment")
        order = {"r": True, "f": True, "m": True, "monetary": True, "customer": False}
        return CustomerRows(tx.engine, frame.sort(*order, descending=list(order.values())), tx.customer)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return str(self.segments)

    def to_dict(self) -> dict[str, Any]:
        """Return segments, grid and cuts as JSON-ready values; what is undefined becomes None."""
        return {
            "bins": self.bins,
            "customers": self.n,
            "cuts": wording.jsonable(dict(self.cuts)),
            "segments": self.segments.to_dict()["rows"],
            "grid": self.grid.to_dict()["rows"],
            "note": self.segments.note,
        }

    def to_native(self) -> Any:
        """Return the segments as a frame of the caller's kind."""
        return self.segments.to_native()

    def _repr_html_(self) -> str:
        return self.segments._repr_html_()

    def plot(self, ax: Any = None) -> Any:
        """Draw the grid of scores with its segments; returns the matplotlib Axes."""
        from loyalty import plots

        return plots.rfm(self, ax=ax)
