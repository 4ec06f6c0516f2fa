"""Wallet Allocation Rule: shares of wallet from the rank a brand has among those a respondent uses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import checks, engines, estimates
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, InvalidRows
from loyalty.intervals import RatioMoments
from loyalty.tables import Grouped, Table, free_name, group_values

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loyalty.estimates import Estimate

__all__ = ["WalletAllocation", "wallet_allocation"]

_ALLOCATED = (
    "Mean share of wallet that the Wallet Allocation Rule, (1 − rank/(brands + 1)) · 2/brands, predicts for "
    "a brand among the respondents who use it; brands differ in users, so these means do not add up to 1."
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WalletAllocation:
    """Shares of wallet that the Wallet Allocation Rule predicts; shows itself as a row per brand.

    Attributes:
        brands: Brand to the mean predicted share among its users, in order of brand (an array's: of its
            columns).
        shares: A row per respondent and brand used: the respondent, the brand, `rank` (1 is best, the mean of
            the places of equal brands), `brands_used` and `share`.
        respondents: Respondents who use a brand at least.
        reranked: Respondents whose ranks left places out (such as 1 and 3 of two brands): only their order
            counted.
        unranked: Rows (cells of an array) without a rank: brands not used.
        rows_without_id: Rows without respondent or brand, left out.
    """

    brands: Grouped[Estimate]
    shares: Table
    respondents: int
    reranked: int
    unranked: int
    rows_without_id: int

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return str(self.brands) + (f"\nNote: {self.shares.note}." if self.shares.note else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the brands' estimates and the counts as JSON-ready values; `shares` has its own."""
        names = ("respondents", "reranked", "unranked", "rows_without_id")
        counts = {name: getattr(self, name) for name in names}
        return {**self.brands.to_dict(), **counts, "note": self.shares.note}

    def to_native(self) -> Any:
        """Return a frame with a row per brand."""
        return self.brands.to_native()

    def _repr_html_(self) -> str:
        return self.brands._repr_html_()

    def plot(self, ax: Any = None) -> Any:
        """Draw the brands' mean shares with their intervals; returns the matplotlib Axes."""
        return self.brands.plot(ax=ax)


def wallet_allocation(
    ranks: Any,
    *,
    respondent: Any = "respondent",
    brand: Any = "brand",
    value: Any = None,
    ratings: bool = False,
    brands: Sequence[Any] | None = None,
    confidence: float = 0.95,
) -> WalletAllocation:
    """Predict shares of wallet from how customers rank the brands that they use (Wallet Allocation Rule).

    A respondent who uses m brands is predicted to spend (1 − rank/(m + 1)) · 2/m of the wallet on the brand
    of a rank. The shares of a respondent sum to 1; a single brand gets 1. A brand's share is the mean over
    its users.

    Args:
        ranks: Any table that `transactions` takes, with a row per respondent and brand used; or an array of
            shape (respondents, brands) with NaN where a brand is not used.
        respondent: The table's column of respondents.
        brand: The table's column of brands.
        value: The table's column of ranks or ratings; None means "rank", with `ratings` "rating".
        ratings: Whether the values are ratings (higher is better) instead of ranks (1 is best).
        brands: Names of an array's columns, of length brands; None numbers them from 0.
        confidence: Level of the intervals, between 0 and 1.

    Returns:
        The brands' mean shares (delta interval s/√n, respondents being the sampling unit) and each
        respondent's.

    Raises:
        InvalidRows: A value is infinite, a rank is below 1, or a respondent ranks a brand twice.
        ColumnError: A column is missing or holds no numbers.
        EmptyData: There are no rows, or no respondent and brand is named.
        InvalidArgument: The array is not of two dimensions, or `brands` does not name its columns.

    Nulls and ties: a missing value means that the brand is not used. Within a respondent only the order of
    the values counts: equal ones share the mean of their places (ranks 1, 1, 2 and 1, 1, 3 both become 1.5,
    1.5, 3), and places left out are closed up (1, 3 of two brands become 1, 2; counted in `reranked`).

    Source: Keiningham, Aksoy, Buoye & Cooil (2011), "Customer Loyalty Isn't Enough. Grow Your Share of
    Wallet", Harvard Business Review 89(10), 29-31.

    Examples:
        >>> import numpy as np
        >>> predicted = wallet_allocation(np.array([[1, 2, 3], [2, 1, np.nan]]), brands=["A", "B", "C"])
        >>> {name: round(share.value, 3) for name, share in predicted.brands.items()}
        {'A': 0.417, 'B': 0.5, 'C': 0.167}
    """
    checks.confidence_level(confidence)
    if isinstance(ranks, np.ndarray):
        answers = _cells(ranks, brands)
    else:
        if brands is not None:
            raise InvalidArgument(f"brands={brands!r} names the columns of an array; a table has brand=<column>.")
        value = value if value is not None else "rating" if ratings else "rank"
        answers = _answers(ranks, {"respondent": respondent, "brand": brand, "value": value})
    _refuse_ranks(answers, ratings=ratings)
    used = answers.used()
    places, reranked = _places(used, ratings=ratings)
    return _allocation(answers, used, places, reranked, checks.confidence_level(confidence))


@dataclass(frozen=True, slots=True)
class _Answers:
    """Ranks or ratings, an entry per row of the caller's table or cell of the array.

    Attributes:
        respondents: The distinct respondents, an Arrow array.
        brands: The distinct brands, an Arrow array.
        who: Place of the respondent, shape (rows,); -1: none.
        what: Place of the brand, shape (rows,); -1: none.
        values: Rank or rating, shape (rows,), NaN where the brand is not used.
        names: What the caller calls respondent, brand and value.
        kind: The kind of frame for results.
    """

    respondents: pa.Array
    brands: pa.Array
    who: NDArray[np.int64]
    what: NDArray[np.int64]
    values: NDArray[np.float64]
    names: tuple[str, str, str]
    kind: str

    def known(self) -> NDArray[np.bool_]:
        """Return which rows name a respondent and a brand."""
        return (self.who >= 0) & (self.what >= 0)

    def used(self) -> _Answers:
        """Return the rows of brands that are used, by respondent, then brand."""
        rows = np.flatnonzero(self.known() & ~np.isnan(self.values))
        rows = rows[np.lexsort((self.what[rows], self.who[rows]))]
        return replace(self, who=self.who[rows], what=self.what[rows], values=self.values[rows])

    def __len__(self) -> int:
        return len(self.values)


def _cells(ranks: NDArray[Any], brands: Sequence[Any] | None) -> _Answers:
    """Return the cells of an array, respondents by brands."""
    import pyarrow as pa

    # Text and truth values would turn into numbers in silence.
    kinds = set(map(type, ranks.flat)) if ranks.dtype == object else set()
    odd = ranks.dtype.kind not in "iufO" or bool(kinds & {str, bool})
    try:
        values = np.ma.filled(np.ma.asarray(ranks, np.float64), np.nan)
    except (TypeError, ValueError):
        odd = True
    if odd:
        raise InvalidArgument(f"ranks is an array of {ranks.dtype} that holds more than numbers: convert it.")
    if values.ndim != 2:
        raise InvalidArgument(f"ranks has the shape {values.shape}: give an array of respondents by brands.")
    names = list(range(values.shape[1])) if brands is None else list(brands)
    if len(names) != values.shape[1] or len(set(names)) < len(names):
        raise InvalidArgument(
            f"brands={brands!r} must name each of the array's {values.shape[1]} columns, each differently."
        )
    who, what = np.indices(values.shape).reshape(2, -1)
    return _Answers(pa.array(np.arange(len(values))), group_values(names), who, what, values.ravel(),
                    ("respondent", "brand", "ranks"), "pandas")  # fmt: skip


def _answers(ranks: Any, named: dict[str, Any]) -> _Answers:
    """Return the rows of a table."""
    source = engines.open_source(ranks)
    labels = [checks.column(role, label, source.labels) for role, label in named.items()]
    table = source.arrow(labels)
    who, respondents = _coded(table.column(0))
    what, brands = _coded(table.column(1))
    values = _numbers(table.column(2), labels[2], text=bool(getattr(source, "text", False)))
    return _Answers(respondents, brands, who, what, values, tuple(map(str, labels)), source.kind)  # type: ignore[arg-type]


def _coded(column: Any) -> tuple[NDArray[np.int64], pa.Array]:
    """Return the place of each value among the distinct ones (-1: null), and these in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    distinct = pc.drop_null(pc.unique(column))
    distinct = distinct.take(pc.sort_indices(distinct))
    return pc.index_in(column, value_set=distinct).fill_null(-1).to_numpy().astype(np.int64), distinct


def _numbers(column: Any, label: Any, *, text: bool) -> NDArray[np.float64]:
    """Return a column as floats, NaN where it is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if text and pa.types.is_string(kind):
        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(column, ""), None, column)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
              or pa.types.is_null(kind)):  # fmt: skip
        raise ColumnError(f"value={label!r} is of type {kind}, not a number: convert it first.")
    try:
        floats: NDArray[np.float64] = pc.cast(column, pa.float64(), safe=False).to_numpy()
    except pa.ArrowInvalid as err:
        raise ColumnError(f"value={label!r} holds more than numbers: {err}.") from err
    return floats


def _refuse_ranks(answers: _Answers, *, ratings: bool) -> None:
    """Raise where the answers cannot be used."""
    if not answers.known().any():
        raise EmptyData(
            "there is no row that names a respondent and a brand." if len(answers) else "ranks has no rows."
        )
    used, label = answers.used(), answers.names[2]
    again = (np.diff(used.who, prepend=-1) == 0) & (np.diff(used.what, prepend=-1) == 0)
    low = (used.values < 1) & (not ratings)
    ways_out = {
        "are infinite: mend them, or leave them empty where a brand is not used": np.isinf(used.values),
        "are below 1, the best rank: leave brands not used empty, and pass ratings=True if higher is better": low,
        "give a respondent's brand a second value: keep one": again,
    }
    for words, rows in ways_out.items():
        if rows.any():
            row = int(np.argmax(rows))
            person, brand = used.respondents[used.who[row]].as_py(), used.brands[used.what[row]].as_py()
            example = f"{used.values[row]:g} of respondent {person!r} for brand {brand!r}"
            raise InvalidRows(
                f"{int(rows.sum()):,} values of {label!r} {words} (first: {example}).",
                column=label,
                count=int(rows.sum()),
                examples=(example,),
            )


def _places(used: _Answers, *, ratings: bool) -> tuple[NDArray[np.float64], int]:
    """Return each value's place within its respondent (1 is best, equal ones share the mean of theirs).

    Also returns how many respondents' ranks left places out, in whichever way they count equal brands.
    """
    worst = -used.values if ratings else used.values
    order = np.lexsort((worst, used.who))
    who, value = used.who[order], worst[order]
    starts = np.flatnonzero(np.diff(who, prepend=-1))  # of respondents
    fresh = np.append(True, (np.diff(who) != 0) | (np.diff(value) != 0))[: len(who)]
    tie = np.cumsum(fresh) - 1
    firsts = np.flatnonzero(fresh)
    lasts = np.append(firsts[1:], len(who)) - 1
    begin = np.repeat(starts, np.diff(np.append(starts, len(who))))
    low, high = firsts[tie] - begin + 1.0, lasts[tie] - begin + 1.0
    places = np.empty(len(who))
    places[order] = (low + high) / 2
    if ratings or not len(who):
        return places, 0
    dense = tie - tie[begin] + 1.0
    told = [np.minimum.reduceat(value == way, starts) for way in (low, high, (low + high) / 2, dense)]
    return places, int(np.sum(~np.any(told, axis=0)))


def _allocation(
    answers: _Answers, used: _Answers, places: NDArray[np.float64], reranked: int, confidence: float
) -> WalletAllocation:
    """Return the result of ranks that are in order."""
    import pyarrow as pa

    counts = np.bincount(used.who, minlength=len(used.respondents))
    brands = counts[used.who]
    share = (1.0 - places / (brands + 1.0)) * 2.0 / brands
    columns = {used.names[0]: used.respondents.take(pa.array(used.who))}
    columns[free_name(used.names[1], list(columns))] = used.brands.take(pa.array(used.what))
    for name, values in {"rank": places, "brands_used": brands, "share": share}.items():
        columns[free_name(name, list(columns))] = pa.array(values)
    respondents = int((counts > 0).sum())
    note = f"respondents whose ranks left places out, so that only their order counts: {reranked:,}"
    shares = Table(
        name="predicted shares of wallet",
        data=pa.table(columns),
        kind=used.kind,
        sentence=f"Wallet Allocation Rule: {len(used):,} shares of {respondents:,} respondents.",
        definition="Share of wallet that the rank of a brand predicts: (1 − rank/(brands + 1)) · 2/brands.",
        units={"share": "share"},
        note=note if reranked else "",
    )
    known = int(answers.known().sum())
    return WalletAllocation(
        brands=_brand_means(used, share, confidence),
        shares=shares,
        respondents=respondents,
        reranked=reranked,
        unranked=known - len(used),
        rows_without_id=len(answers) - known,
    )


def _brand_means(used: _Answers, share: NDArray[np.float64], confidence: float) -> Grouped[Estimate]:
    """Return each brand's mean share among its users, in order of the brand."""
    size = len(used.brands)
    users = np.bincount(used.what, minlength=size)
    total, squares = (np.bincount(used.what, weights=share**power, minlength=size) for power in (1, 2))
    means = {}
    for place, brand in enumerate(used.brands.to_pylist()):
        n, y, yy = int(users[place]), float(total[place]), float(squares[place])
        mean = estimates.ratio(
            "predicted share of wallet",
            RatioMoments(n, y, n, yy, y, n),
            definition=_ALLOCATED,
            confidence=confidence,
            unit="share",
            empty="nobody uses this brand",
            counted="respondents",
        )
        means[brand] = replace(mean, numerator=math.nan, denominator=math.nan)
    return Grouped(by=used.names[1], results=means, kind=used.kind)
