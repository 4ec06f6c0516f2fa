"""Who stands where: customers counted per distinct value, for all or by group, and the curve they make.

Values are told apart by their places (`loyalty.places`): no tie depends on the last digit of a float.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import narwhals.stable.v2 as nw
import numpy as np

from loyalty.errors import InvalidArgument
from loyalty.grouping import MOST_GROUPS, grouping
from loyalty.places import Places
from loyalty.tables import Grouped

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loyalty.transactions import Transactions

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = [
    "COUNT_SLACK",
    "NOWHERE",
    "Curve",
    "Part",
    "Reading",
    "Standings",
    "by_place",
    "measure_parts",
    "places_of",
    "resolution",
]

Frame = nw.LazyFrame[Any]
Result = TypeVar("Result")
MOST_PLACES = 1_000_000  # distinct values that leave the engine; unrounded sums may all differ
_SLACK = 1e-12  # a share short of the wanted one by this much has reached it: sums of floats are not exact
COUNT_SLACK = 1e-9  # the same for a number of customers
_COARSE = 1000  # places: a grid from which no rounding strays to the place beside
_POINTS = 490  # per axis: with the ends and two readings a curve is shown by fewer than 1000 points


@dataclass(frozen=True, slots=True)
class Part:
    """All customers of a log, or those of one group, found again whenever they are asked for.

    Attributes:
        tx: The transactions.
        by: The grouping column, if any; as in `grouping.grouping`.
        cohort: The grouping period, if any.
        group: The group's value as the engine holds it; None is the group of nulls.
    """

    tx: Transactions
    by: Any = None
    cohort: str | None = None
    group: Any = None

    @property
    def whole(self) -> bool:
        """Whether these are all customers."""
        return self.by is None and self.cohort is None

    def of(self, frame: Frame) -> Frame:
        """Return the rows of a frame with the column `customer` that belong to these customers."""
        groups = grouping(self.tx, self.by, self.cohort)
        if groups is None:
            return frame
        same = nw.col("group").is_null() if self.group is None else nw.col("group") == nw.lit(self.group)
        return frame.join(groups.members.filter(same).select("customer"), on="customer", how="inner")


def places_of(tx: Transactions, frame: Frame, column: str, *, by: Any = None, cohort: str | None = None) -> Places:
    """Return the resolution at which the values of a column are compared.

    It is made coarser by powers of ten until no more than `MOST_PLACES` distinct values (in groups: of a group) are
    left to leave the engine.
    """
    found = tx.collect(frame.select(largest=nw.col(column).abs().max()))
    largest = found["largest"][0].as_py()
    places = Places.for_largest(largest)
    if tx.n_customers <= MOST_PLACES:
        return places
    groups = grouping(tx, by, cohort)
    rows, keys = (frame, ["place"]) if groups is None else (groups.add(frame), ["group", "place"])

    def fits(coarser: int) -> bool:
        place = replace(places, coarser=coarser).column(nw.col(column))
        distinct = rows.with_columns(place=place).select(*keys).unique(keys)
        return int(tx.collect(distinct.select(n=nw.len()))["n"][0].as_py()) <= MOST_PLACES

    if not largest or fits(0):
        return places
    levels = range(1, math.ceil(math.log10(largest / places.unit)) + 1)  # at the last, a group has three places at most
    return replace(places, coarser=1 + bisect.bisect_left(levels, 1, key=fits))


def by_place(places: Places) -> list[nw.Expr]:
    """Return the aggregates of a place: its customers, and the values that fall into it.

    Their ends do not depend on the order of rows, as a sum would. Where a place gathers values that differ by more than
    rounding, the sum is needed nevertheless.
    """
    ends = [nw.len().alias("n"), nw.col("value").min().alias("lowest"), nw.col("value").max().alias("highest")]
    return [*ends, nw.col("value").sum().alias("total")] if places.coarser else ends


def resolution(places: Places) -> str:
    """Return the note that customers within a unit are taken for equal; nothing where all are told apart."""
    if not places.coarser:
        return ""
    return (
        f"more than {MOST_PLACES:,} different values: customers within {places.unit:g} of each other may count as equal"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Standings:
    """Customers counted per distinct value, highest first; what has one place is one value.

    Memory: some 40 bytes per distinct value, so 40 MB for the most there may be (`MOST_PLACES`). Distinct values
    are what leaves the engine, never the customers.

    Attributes:
        places: What values are compared by, highest first, shape (m,).
        values: The values, shape (m,); their mean where a place gathers several.
        lowest: The lowest value of each place, shape (m,): but for rounding the same, unless it gathers several.
        counts: Customers of each value, shape (m,).
        reached: Customers of this value or a higher one, shape (m,).
    """

    places: NDArray[Any]
    values: Floats
    lowest: Floats
    counts: Ints
    reached: Ints

    @classmethod
    def of(cls, values: Any, counts: Any) -> Standings:
        """Return the standings of values that are plainly distinct (any order, none missing), such as whole numbers."""
        return cls._ranked(np.asarray(values), np.asarray(values, np.float64), np.asarray(values, np.float64), counts)

    @classmethod
    def of_places(cls, rows: pa.Table) -> Standings:
        """Return the standings of a table with the columns `place` and those of `by_place`."""
        lowest, counts = rows["lowest"].to_numpy(), rows["n"].to_numpy()
        if "total" in rows.column_names:
            values = rows["total"].to_numpy() / counts
        else:
            values = (lowest + rows["highest"].to_numpy()) / 2.0
        return cls._ranked(rows["place"].to_numpy(), values, lowest, counts)

    @classmethod
    def _ranked(cls, places: NDArray[Any], values: Floats, lowest: Floats, counts: Any) -> Standings:
        order = np.argsort(places)[::-1]
        customers = np.asarray(counts, np.int64)[order]
        return cls(places[order], values[order], lowest[order], customers, np.cumsum(customers))

    @property
    def n(self) -> int:
        """Number of customers."""
        return int(self.reached[-1])

    @property
    def negative(self) -> int:
        """Number of customers below zero by more than rounding: the sign is that of the place, not of a last digit."""
        return int(self.counts[self.places < 0].sum())

    def answering(self) -> tuple[Ints, Ints]:
        """Return keys to find customers' standing by when their places are computed anew, and where each is found.

        A sum that comes out with another last digit may fall into the place beside its own: places beside one that
        nobody has answer for it too. On a grid as coarse as cents none falls beside, and the places suffice.

        Returns:
            Keys, each once, and the row of the standings for each; both of shape (k,), m ≤ k ≤ 3m.
        """
        rows = np.arange(len(self.places))
        grid = int(np.gcd.reduce(self.places))
        if grid == 0 or grid >= _COARSE:
            return self.places, rows
        keys, first = np.unique(np.concatenate([self.places, self.places - 1, self.places + 1]), return_index=True)
        return keys, rows[first % len(rows)]


class Reading(NamedTuple):
    """A point of the curve.

    Attributes:
        customers: Number of customers counted, the richest ones.
        value: What they bring together.
        threshold: The lowest value among them.
        ties: Customers of that value who are not counted.
    """

    customers: int
    value: float
    threshold: float
    ties: int


NOWHERE = Reading(0, math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The cumulative value of customers, richest first.

    Attributes:
        who: The customers by value.
        brought: Value of the customers of this value or a higher one, shape (m,).
    """

    who: Standings
    brought: Floats

    @classmethod
    def of(cls, who: Standings) -> Curve:
        """Return the curve of customers counted per value."""
        return cls(who, np.cumsum(who.counts * who.values))

    @property
    def total(self) -> float:
        """What all customers bring."""
        return float(self.brought[-1])

    def top(self, customers: int) -> Reading:
        """Read what so many of the richest bring: of those who equal the last one only as many as needed."""
        place = int(np.searchsorted(self.who.reached, customers))
        ties = int(self.who.reached[place]) - customers
        brought = float(self.brought[place]) - ties * float(self.who.values[place])
        return Reading(customers, brought, float(self.who.lowest[place]), ties)

    def fewest(self, share: float) -> Reading:
        """Read how few customers bring a share of the total, the one who crosses it inside."""
        wanted = share * self.total
        place = int(np.argmax(self.brought >= wanted - _SLACK * self.total))
        last, count = float(self.who.values[place]), int(self.who.counts[place])
        before = float(self.brought[place]) - count * last
        needed = max(1, math.ceil(min((wanted - before) / last - COUNT_SLACK, count)))
        return self.top(int(self.who.reached[place]) - count + needed)

    def scatter(self, reading: Reading, share: float) -> float:
        """Return the standard error of the mean of z = max(v − q, 0) − share·v over customers.

        v is a customer's value, q the reading's threshold. Divided by the mean value it is the standard error of
        the top k's share (Beach & Davidson 1983; their z has a constant more, which does not scatter); divided by
        q, the slope of the curve of sums, that of k/n where the share is given.
        """
        return self._error(np.maximum(self.who.values - reading.threshold, 0.0) - share * self.who.values)

    def gini(self) -> tuple[float, float]:
        """Return Σ|v − w| over all pairs ÷ (2n·Σv), the population formula, and its standard error.

        With D(v) the mean distance of v to all customers' values and m their mean, G = mean of D ÷ 2m, and a
        customer's influence on it is (D(v) − G·v − G·m)/m (Langel & Tillé 2013, with ties at distance zero).
        """
        who, n = self.who, self.who.n
        higher, lower = who.reached - who.counts, n - who.reached
        above = self.brought - who.counts * who.values
        distance = ((lower - higher) * who.values + above - (self.total - self.brought)) / n
        gini = max(0.0, float(distance @ who.counts) / (2.0 * self.total))
        return gini, self._error(distance - gini * who.values) / (self.total / n)

    def points(self, *readings: Reading) -> tuple[Ints, Floats]:
        """Return points of the curve: numbers of customers in order, both ends and the readings among them.

        What they bring is exact. More distinct values than can be shown are picked evenly along both axes.
        """
        reached, rising = self.who.reached, np.maximum.accumulate(self.brought)
        kept = np.arange(len(reached))
        if len(kept) > 2 * _POINTS:
            by_customers = np.searchsorted(reached, np.linspace(0, self.who.n, _POINTS))
            by_value = np.searchsorted(rising, np.linspace(0, rising[-1], _POINTS))
            kept = np.unique(np.concatenate([by_customers, by_value, kept[-1:]]))
        customers = np.concatenate([[0], reached[kept], [reading.customers for reading in readings]])
        brought = np.concatenate([[0.0], self.brought[kept], [reading.value for reading in readings]])
        customers, first = np.unique(customers, return_index=True)
        return customers.astype(np.int64), brought[first]

    def _error(self, z: Floats) -> float:
        """Return the standard error of the mean of z over customers; NaN for a single one."""
        n, counts = self.who.n, self.who.counts.astype(np.float64)  # of like types the products are fast
        if n < 2:
            return math.nan
        around = z - (z @ counts) / n
        return math.sqrt(float((around * around) @ counts) / (n - 1) / n)


def measure_parts(
    tx: Transactions,
    frame: Frame,
    aggregates: Sequence[nw.Expr],
    build: Callable[[Part, pa.Table], Result],
    *,
    keys: Sequence[str],
    by: Any = None,
    cohort: str | None = None,
) -> Result | Grouped[Result]:
    """Aggregate a frame by keys and build a result from all rows, or from those of each group.

    Unlike in `grouping.measure` rows stay columns, since there may be as many as customers, and a result
    learns which customers it is about.

    Args:
        tx: The transactions.
        frame: A frame; with the column `customer` where groups are asked for.
        aggregates: Named aggregate expressions.
        build: Makes the result of a part from its rows (in no particular order).
        keys: Columns that a row stands for.
        by: As in `grouping.grouping`.
        cohort: As in `grouping.grouping`.

    Returns:
        The result, or a `Grouped` of results where `by` or `cohort` is given.
    """
    groups = grouping(tx, by, cohort)
    if groups is None:
        return build(Part(tx), tx.collect(frame.group_by(*keys).agg(*aggregates)))
    rows = _split(tx.collect(groups.add(frame).group_by("group", *keys).agg(*aggregates)))
    if len(rows) > MOST_GROUPS:
        raise InvalidArgument(
            f"by={by!r} makes {len(rows):,} groups, more than the {MOST_GROUPS:,} that a table can show: "
            "choose a column with fewer values."
        )
    ordered = sorted(rows, key=lambda group: (group is None, group))
    results = {groups.label(group): build(Part(tx, by, cohort, group), rows[group]) for group in ordered}
    return Grouped(by=groups.name, results=results, kind=tx.engine.kind)


def _split(rows: pa.Table) -> dict[Any, pa.Table]:
    """Return the rows of each value of the column `group`."""
    import pyarrow as pa

    column = rows["group"].combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    coded = column.dictionary_encode(null_encoding="encode")
    codes = coded.indices.to_numpy(zero_copy_only=False)
    together = rows.take(pa.array(np.argsort(codes, kind="stable")))
    sizes = np.bincount(codes, minlength=len(coded.dictionary))
    starts = np.cumsum(sizes) - sizes
    return {
        group: together.slice(int(start), int(size))
        for group, start, size in zip(coded.dictionary.to_pylist(), starts, sizes, strict=True)
    }
