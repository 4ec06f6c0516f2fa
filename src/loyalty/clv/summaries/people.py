"""Customers counted by their histories: what summaries for every kind of model have in common."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import engines, wording
from loyalty.clv.summaries.by_history import by_history

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loyalty.clv.summaries.cells import Cells
    from loyalty.tables import Table

__all__ = ["People", "whole"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class People(engines.PerCustomer):
    """Customers in an engine, with what they have in common counted in cells.

    Attributes:
        engine: Where the rows live; for authors.
        customer: The caller's name of the customer column; None where the table has none.
        rows: Gives the rows in the engine; for authors.
        weighted: Whether a row stands for `weight` customers.
        until: Last day that counts; None where it is not known.
        notes: What a reader must know, a sentence each.
    """

    engine: engines.Engine
    customer: Any
    rows: Callable[[], Frame]
    weighted: bool
    until: dt.date | None = None
    notes: tuple[str, ...] = ()

    keys: ClassVar[tuple[str, str, str]]  # x, t_x and T, as the engine holds them
    caption: ClassVar[str]

    @property
    def kind(self) -> str:
        """Kind of eager frame that came in: "pandas", "polars" or "pyarrow"."""
        return self.engine.kind

    @property
    def times(self) -> str:
        """What times are counted in, in the plural, such as "weeks"."""
        raise NotImplementedError

    @property
    def cells(self) -> Cells:
        """The distinct histories with the number of customers of each, in a fixed order."""
        raise NotImplementedError

    @cached_property
    def n_customers(self) -> float:
        """Number of customers, or the sum of their weights."""
        return whole(self.cells.customers)

    @cached_property
    def counted(self) -> pa.Table:
        """The cells as the engine holds them: the keys and `weight`, ordered; for authors."""
        size = nw.col("weight").sum() if self.weighted else nw.len().alias("weight")
        found = self.collect(self.rows().group_by(*self.keys).agg(size))
        return found.take(_order(*(found[name].to_numpy() for name in self.keys)))

    def frame(self) -> Frame:
        """Return the customers as a lazy Narwhals frame of the engine, with the columns that the class lists."""
        return self._shown(self.rows(), [])

    def with_cells(self, columns: Mapping[str, NDArray[Any]]) -> Frame:
        """Return `frame()` widened by columns that have one value per cell, in the order of `cells`."""
        import pyarrow as pa

        keys = {f"cell_{name}": self.counted[name] for name in self.keys}
        attached = self.engine.attach(pa.table({**keys, **columns}))
        rows = self.rows().join(attached, left_on=list(self.keys), right_on=list(keys), how="inner")
        return self._shown(rows, list(columns))

    def _shown(self, rows: Frame, more: list[str]) -> Frame:
        """Return rows with the columns to show, and more."""
        raise NotImplementedError

    def collect(self, frame: Frame) -> pa.Table:
        """Run a query of the engine and return its rows as a PyArrow table."""
        return self.engine.collect(frame)

    def by_history(self) -> Table:
        """Return the number of customers by frequency and recency, in classes that a picture can show.

        Returns:
            A row per class that holds somebody, of at most 31 classes of frequency and 31 of recency: `frequency_from`
            and `frequency_to` (repeat purchases, both inside), `recency_from` and `recency_to` (time from the first to
            the last purchase; the end is inside where all times are whole numbers, else outside) and `customers`. The
            last class of frequency has no bound, and holds at most one customer in a thousand. Chart: heat map.

        Examples:
            >>> import pandas as pd, loyalty as ly
            >>> made = pd.DataFrame({"frequency": [2, 0, 0], "recency": [30.0, 0, 0], "T": [38.0, 20.0, 25.0]})
            >>> for row in ly.CustomerSummary.of(made, unit="week").by_history():
            ...     print(row["frequency_from"], row["recency_from"], row["customers"])
            0 0 2.0
            2 30 1.0
        """
        return by_history(self, self.times)

    def plot(self, ax: Any = None) -> Any:
        """Draw customers by frequency and recency (`by_history`); returns the matplotlib Axes."""
        return self.by_history().plot(ax=ax)

    def hand_back(self, frame: Frame) -> Any:
        """Return a per-customer frame in the source's kind, ids and their column name as they came in."""
        return self.engine.hand_back(frame, customer=self.customer)

    def to_native(self) -> Any:
        """Return the customers in the source's kind: the columns of `frame`, ids under the caller's name."""
        return self._customer_rows().handed()

    def _customer_rows(self) -> engines.CustomerRows:
        return engines.CustomerRows(self.engine, self.frame(), self.customer)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        told = self.to_dict().items()
        rows = [(name.replace("_", " "), wording.plain(value)) for name, value in told if name != "notes" and value]
        return wording.html_table((self.caption, ""), rows + [("note", note) for note in self.notes])


def whole(value: Any) -> float:
    """Return a sum of counts as the whole number it is."""
    return int(value) if float(value).is_integer() else float(value)


def _order(x: NDArray[Any], recency: NDArray[Any], age: NDArray[Any]) -> NDArray[np.int64]:
    """Return the places of cells in order of x, T, t_x: sums over them do not depend on how the engine ordered them."""
    if age.dtype.kind == "i" and len(x):
        width = int(age.max()) + 1
        if (int(x.max()) + 1) * width * width < 2**63:
            return np.argsort((x.astype(np.int64) * width + age) * width + recency)
    return np.lexsort((recency, age, x))
