"""What every engine must do: read canonical rows, keep tables, join small ones back, hand results over."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
    import pyarrow as pa

__all__ = ["CLOSED", "Engine", "RowSpec"]

CLOSED = "these transactions are closed: keep them open (or leave the with block later)."  # says every `ClosedError`


@dataclass(frozen=True, slots=True)
class RowSpec:
    """Which of the caller's columns play which part, and whose midnight ends a day.

    Attributes:
        columns: Role ("customer", "date", "amount", "order", "product", "discount", "cost") to column label.
        timezone: Zone in which a zone-aware time is given its date; None where times bear no zone.
    """

    columns: Mapping[str, Any]
    timezone: str | None = None


class Engine(Protocol):
    """A place where tables live and queries run. Frames are lazy Narwhals frames with internal column names."""

    @property
    def kind(self) -> str:
        """Kind of eager frame for summaries: "pandas", "polars" or "pyarrow"."""

    @property
    def labels(self) -> Sequence[Any]:
        """The source's column labels, duplicates included."""

    @property
    def snapshot(self) -> bool:
        """Whether later edits of the caller's object can no longer be seen."""

    @property
    def coded(self) -> bool:
        """Whether the ids in its rows are codes, for which `hand_back` puts the caller's."""

    def rows(self, spec: RowSpec, value: Any = None) -> nw.LazyFrame[Any]:
        """Return the canonical rows of the source.

        Columns: `customer` (null: none), `day` (civil day number, null: none or unparseable), `amount` (float,
        null: none or not finite), and `order`, `product`, `discount`, `cost` where named. With `value`, the label
        of a further column, also `time` (microseconds, for ordering within a day) and `value`.
        """

    def offenders(self, spec: RowSpec, role: str, limit: int = 3) -> list[str]:
        """Return the first values of a column that could not be used, as text."""

    def persist(self, frame: nw.LazyFrame[Any], name: str) -> str:
        """Compute a frame and keep it; returns the name to ask for."""

    def drop(self, name: str) -> None:
        """Let go of a kept table."""

    def table(self, name: str) -> nw.LazyFrame[Any]:
        """Return a kept table as a frame that the calling thread may use."""

    def once(self, name: str, build: Callable[[], nw.LazyFrame[Any]]) -> nw.LazyFrame[Any]:
        """Return a kept table, built and kept on the first call whichever thread makes it."""

    def attach(self, table: pa.Table) -> nw.LazyFrame[Any]:
        """Return a small Arrow table as a frame that joins with this engine's."""

    def attach_source(self, data: Any, columns: Mapping[str, Any], customer: Any) -> nw.LazyFrame[Any]:
        """Return another of the caller's tables, its customers spelled as in this engine's rows.

        Args:
            data: Any source that `connect` takes.
            columns: Internal name to label.
            customer: The internal name that holds customer ids, or None.
        """

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run a query; whole numbers come as int64, sums of them too."""

    def batches(self, frame: nw.LazyFrame[Any]) -> Generator[pa.RecordBatch]:
        """Give the rows of a query, some at a time where the engine can; to be closed before it is asked anything else.

        Any thread may take the next one.
        """

    def hand_back(self, frame: nw.LazyFrame[Any], *, customer: Any, days: Sequence[str] = ()) -> Any:
        """Return a per-customer frame in the source's own kind.

        Args:
            frame: The frame, its ids in the column `customer`.
            customer: The label that the caller uses for customers.
            days: Columns of civil day numbers to return as dates.
        """

    def write(self, frame: nw.LazyFrame[Any], path: str, *, customer: Any, days: Sequence[str] = ()) -> None:
        """Write a per-customer frame as Parquet, whole or not at all, without holding it in memory.

        Args:
            frame: As in `hand_back`.
            path: A file; where the engine is distributed, a folder that it fills.
            customer: As in `hand_back`.
            days: As in `hand_back`.

        Raises:
            OutputError: It is there already, or cannot be written.
        """

    def interrupt(self) -> None:
        """Break off the queries that run now; any thread may ask for it."""

    def close(self) -> None:
        """Free everything; later calls raise `ClosedError`."""
