"""Where outcomes lie in the distributions that a model predicted for them, customer by customer.

A customer who is alive at the split buys X times in the holdout with the probabilities of the model's kernel; one who
is not buys nothing. Given X, what the purchases cost together is known from the spend model. The parameters count as
known: for a single customer their errors are small beside chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loyalty.clv.summaries.histories import Pairs

if TYPE_CHECKING:
    from loyalty.clv.backtesting.holdout import Holdout
    from loyalty.clv.models.predictions import LifetimeFit
    from loyalty.clv.models.spend import SpendFit

__all__ = ["Span", "outcome_spans"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_AT_ONCE = 500_000  # numbers worked out in one go
_TAIL = 1e-5  # probability of many purchases that a distribution of revenue may leave out
_NOTHING = 1e-10  # a number of purchases less probable than this adds nothing to one
_MOST_PAIRS = 4_000  # distinct (x, T) whose distribution is worked out
_MOST_ROWS = 30_000  # rows with revenue whose place is worked out; of more, every second, third, … one


class Span(NamedTuple):
    """Where outcomes lie in their distributions, a value per row.

    Attributes:
        below: Probability of less than what happened.
        upto: Probability of at most what happened.
        exactly: Probability of just what happened; of revenue, which has a density, this is empty.
        customers: How many customers each row stands for.
    """

    below: Floats
    upto: Floats
    exactly: Floats
    customers: Floats


def outcome_spans(
    fit: LifetimeFit, spend_fit: SpendFit | None, held: Holdout, p_alive: Floats
) -> tuple[Span, Span | None]:
    """Return where the purchases and the revenue of a holdout lie in their predicted distributions.

    Args:
        fit: The fitted model of purchases.
        spend_fit: The fitted Gamma-Gamma model; None leaves revenue out.
        held: The holdout.
        p_alive: Probability of being alive at the split, of each cell.
    """
    pairs = Pairs.of(held.cells.x, held.cells.T)
    rows = _Rows.of(held, pairs.place[held.cell].astype(np.int64), np.asarray(p_alive, np.float64))
    counts = _Counts(rows)
    revenue = None if spend_fit is None else _Revenue(rows, spend_fit)
    most = np.full(len(pairs.x), -1)
    np.maximum.at(most, rows.pair, rows.purchases)
    wanted = np.zeros(len(most), np.bool_) if revenue is None else revenue.wanted(len(most))
    for block in _blocks(fit, pairs, held.horizon, most, wanted):
        counts.read(block)
        if revenue is not None:
            revenue.read(block)
    return counts.span(), None if revenue is None else revenue.span(counts.nothing)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows of a holdout whose places are worked out.

    Attributes:
        pair: The distinct (x, T) of each, shape (m,).
        customers: How many customers each stands for.
        alive: Probability of being alive at the split.
        x: Repeat purchases until the split.
        mean_spend: Mean spend of them.
        purchases: Purchases after it.
        revenue: Spend after it.
    """

    pair: Ints
    customers: Floats
    alive: Floats
    x: Floats
    mean_spend: Floats
    purchases: Ints
    revenue: Floats

    @classmethod
    def of(cls, held: Holdout, pair: Ints, p_alive: Floats) -> _Rows:
        """Return all rows; of very many distinct (x, T) those of one in each few neighbours, in place of them all.

        It is the one of most customers. That leaves out what hardly differs: neighbours have the same x and nearly the
        same T, and the share inside an interval is a mean over a hundred thousand customers or more.
        """
        size = np.bincount(pair, weights=held.customers)
        group = np.arange(len(size)) // -(-len(size) // _MOST_PAIRS)
        order = np.lexsort((-size, group))
        chosen = order[np.unique(group[order], return_index=True)[1]]
        scale = np.zeros(len(size))
        scale[chosen] = np.bincount(group, weights=size) / size[chosen]
        rows = np.flatnonzero(scale[pair])
        cell = held.cell[rows]
        return cls(
            pair[rows],
            held.customers[rows] * scale[pair[rows]],
            p_alive[cell],
            held.cells.x[cell],
            held.mean_spend[rows],
            held.purchases[rows].astype(np.int64),
            held.revenue[rows],
        )


class _Block(NamedTuple):
    """Probabilities of some numbers of purchases, of customers alive, for some distinct (x, T).

    Attributes:
        pairs: The places of these pairs, in order.
        first: The smallest of the numbers.
        mass: Their probabilities, shape (pairs, numbers).
        before: Probability of fewer than `first`, shape (pairs,).
    """

    pairs: Ints
    first: int
    mass: Floats
    before: Floats


def _blocks(fit: LifetimeFit, pairs: Pairs, horizon: float, most: Ints, wanted: NDArray[np.bool_]) -> Iterator[_Block]:
    """Give probabilities of ever more purchases: as many as somebody made or, where wanted, as are at all likely."""
    reached = np.zeros(len(most))
    active, first, width = np.flatnonzero(most >= 0), 0, 8
    while len(active):
        counts = np.arange(first, first + width)
        step = max(1, _AT_ONCE // width)
        for at in range(0, len(active), step):
            some = active[at : at + step]
            x, T, count = (np.repeat(pairs.x[some], width), np.repeat(pairs.T[some], width), np.tile(counts, len(some)))  # noqa: N806
            mass = np.asarray(fit.kernel.probability(fit.values, x, T, horizon, count), np.float64)
            block = _Block(some, first, mass.reshape(len(some), width), reached[some].copy())
            reached[some] += block.mass.sum(axis=1)
            yield block
        first += width
        width = min(2 * width, 256)
        active = active[(most[active] >= first) | (wanted[active] & (reached[active] < 1.0 - _TAIL))]


def _rows_of(block: _Block, pair: Ints) -> tuple[Ints, Ints]:
    """Return the rows that a block is about, and the place of each in it."""
    place = np.minimum(np.searchsorted(block.pairs, pair), len(block.pairs) - 1)
    rows = np.flatnonzero(block.pairs[place] == pair)
    return rows, place[rows]


class _Counts:
    """Collects where numbers of purchases lie."""

    def __init__(self, rows: _Rows) -> None:
        self.rows = rows
        self.mass, self.upto, self.none = np.zeros((3, len(rows.pair)))
        self.unread = np.arange(len(rows.pair))

    def read(self, block: _Block) -> None:
        """Take what a block knows."""
        at, place = _rows_of(block, self.rows.pair[self.unread])
        rows = self.unread[at]
        if block.first == 0:
            self.none[rows] = block.mass[place, 0]
        number = self.rows.purchases[rows] - block.first
        inside = number < block.mass.shape[1]
        rows, place, number = rows[inside], place[inside], number[inside]
        self.unread = np.delete(self.unread, at[inside])
        self.mass[rows] = block.mass[place, number]
        self.upto[rows] = block.before[place] + np.cumsum(block.mass, axis=1)[place, number]

    @property
    def nothing(self) -> Floats:
        """Probability of no purchase, of each row."""
        return 1.0 - self.rows.alive + self.rows.alive * self.none

    def span(self) -> Span:
        """Return the places of all rows."""
        alive, none = self.rows.alive, self.rows.purchases == 0
        exactly = np.where(none, self.nothing, alive * self.mass)
        upto = np.where(none, exactly, np.minimum(1.0 - alive + alive * self.upto, 1.0))
        return Span(np.where(none, 0.0, np.maximum(upto - exactly, 0.0)), upto, exactly, self.rows.customers)


class _Revenue:
    """Collects where sums of spend lie.

    With x repeat purchases of mean m̄ behind it, a customer's k purchases cost R together, and R/(R + γ + x·m̄) is
    Beta(p·k, p·x + q): the mixture over ν of Gamma(p·k, ν) sums, ν being Gamma(p·x + q, γ + x·m̄).
    """

    def __init__(self, rows: _Rows, spend_fit: SpendFit) -> None:
        self.rows, (self.p, q, gamma) = rows, spend_fit.values
        paying = np.flatnonzero(rows.revenue > 0.0)
        self.some = paying[:: -(-len(paying) // _MOST_ROWS) or 1]
        x, spent = rows.x[self.some], np.maximum(rows.mean_spend[self.some], 0.0)
        self.pair, self.tail = rows.pair[self.some], self.p * x + q
        self.share = rows.revenue[self.some] / (rows.revenue[self.some] + gamma + x * spent)
        self.customers = rows.customers[self.some]
        self.customers *= rows.customers[paying].sum() / max(self.customers.sum(), 1.0)
        self.upto = np.zeros(len(self.some))

    def wanted(self, pairs: int) -> NDArray[np.bool_]:
        """Return of which pairs the whole distribution is needed."""
        found = np.zeros(pairs, np.bool_)
        found[self.pair] = True
        return found

    def read(self, block: _Block) -> None:
        """Take what a block knows."""
        from scipy.special import betainc

        rows, place = _rows_of(block, self.pair)
        number = np.arange(block.first, block.first + block.mass.shape[1], dtype=np.float64)
        step = max(1, _AT_ONCE // len(number))
        for at in range(0, len(rows), step):
            some = rows[at : at + step]
            mass = block.mass[place[at : at + step]]
            line, column = np.nonzero((number > 0.0) & (mass > _NOTHING))
            reached = betainc(self.p * number[column], self.tail[some][line], self.share[some][line])
            self.upto[some] += np.bincount(line, weights=mass[line, column] * reached, minlength=len(some))

    def span(self, nothing: Floats) -> Span:
        """Return the places of the rows that were worked out, and of all without revenue.

        Args:
            nothing: Probability of no purchase, of each row.
        """
        rows = self.rows
        rest = np.flatnonzero(rows.revenue <= 0.0)
        upto = np.minimum(nothing[self.some] + rows.alive[self.some] * self.upto, 1.0)
        # Spend cannot be negative in the model; returns may make it so.
        poor = np.where(rows.revenue[rest] < 0.0, 0.0, nothing[rest])
        below, above = np.concatenate([upto, np.zeros(len(rest))]), np.concatenate([upto, poor])
        return Span(below, above, np.empty(0), np.concatenate([self.customers, rows.customers[rest]]))
