"""The state of all customers, to which each night adds a day without reading the years before it."""

from __future__ import annotations

import datetime as dt
import threading
import weakref
from typing import TYPE_CHECKING, Any, Self

from loyalty import checks, periods
from loyalty.errors import InvalidArgument
from loyalty.state import batches, delivery, saving, views
from loyalty.state.beginning import begun, opened
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from loyalty.clv.summaries.summary import CustomerSummary
    from loyalty.engines.stored import Stored
    from loyalty.state.delivery import Merged
    from loyalty.state.merging import Content
    from loyalty.state.settings import Settings
    from loyalty.tables import Table
    from loyalty.transactions import Transactions

__all__ = ["CustomerState"]


class CustomerState:
    """Customers as of a day, with as much of their past as later rows and returns can still change.

    Made by `from_` and `load`. Adding a batch with `merge` gives what opening the whole log anew would give: days and
    counts are the same, sums of money agree to 1e-9. What depends on the history is only a look through its customers,
    and through its orders where rows name orders. A failed merge or save leaves it as it was. It may be used from many
    threads, and as a context manager.

    Attributes:
        engine: Where its tables live; for authors.
        settings: The rules that it was begun with; for authors.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> log = pd.DataFrame({"customer_id": [1, 1, 2], "amount": [20.0, 5.0, 8.0],
        ...                     "date": pd.to_datetime(["2024-04-01", "2024-04-20", "2024-04-30"])})
        >>> state = CustomerState.from_(ly.transactions(log))
        >>> night = pd.DataFrame({"customer_id": [2, 3], "amount": [1.0, 7.0], "date": ["2024-04-30", "2024-05-01"]})
        >>> print(state.merge(night, batch="2024-05-01"))
        batch '2024-05-01': 2 rows, 1 new customer; observed until 2024-05-01.
        >>> print(state.merge(night, batch="2024-05-01"))
        batch '2024-05-01' had been merged before: nothing was changed.
        >>> print(state)
        3 customers with 4 purchases and a spend of 41, 2024-04-01 to 2024-05-01; 1 batch merged, 5 of 5 rows used.
        >>> state.save("customers")
        >>> CustomerState.load("customers").to_dict()["purchases"]
        4
    """

    def __init__(
        self,
        engine: Stored,
        settings: Settings,
        content: Content,
        *,
        home: Path | None = None,
        revision: str | None = None,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self._content = content
        self._home, self._revision = home, revision
        self._lock = threading.RLock()
        self._views: list[weakref.ref[Any]] = []

    @classmethod
    def from_(
        cls,
        tx: Transactions,
        *,
        lateness: str | dt.timedelta = "7d",
        memory_limit: str | None = None,
        temp_directory: str | None = None,
    ) -> CustomerState:
        """Return the state of a log, from which nights can go on.

        Args:
            tx: The log. Its column names, `occasion`, `returns`, `timezone` and `observed_from` hold for all batches.
                Its column of products is not kept.
            lateness: How late rows may come, such as "7d": a row of a day up to that long before `observed_until` is
                merged as if it had come in time. The rows of that time are kept as they came.
            memory_limit: Most memory that the state's own engine takes before it spills to disk, such as "4GB".
            temp_directory: Where it spills; a folder of its own under the system's temporary folder if None.

        Returns:
            The state; it has nothing to do with `tx` any more.

        Raises:
            ColumnError: Customer or order ids are of a type that cannot be kept (several types in one column, times).
            InvalidArgument: `lateness` is no duration of whole days, of which there is at least one.

        Examples:
            >>> import pandas as pd, loyalty as ly
            >>> log = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-05-01", "2024-05-02"], "amount": [5, 8]})
            >>> with ly.transactions(log) as tx:
            ...     CustomerState.from_(tx, lateness="14d").open_from
            datetime.date(2024, 4, 18)
        """
        days = periods.duration_days(lateness, "lateness")
        return cls(*_begun(tx, days, memory_limit=memory_limit, temp_directory=temp_directory))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        check: bool = True,
        memory_limit: str | None = None,
        temp_directory: str | None = None,
    ) -> CustomerState:
        """Return the state that `save` wrote. Nothing in its files is run.

        Args:
            path: The folder.
            check: Whether to compare the files with their digests, which reads each once; if False, only sizes are.
            memory_limit: Most memory that the state's engine takes before it spills to disk, such as "4GB".
            temp_directory: Where it spills; a folder of its own under the system's temporary folder if None.

        Returns:
            The state. Its segments are read where they lie; a state that stays open while others save twice to that
            folder says so when it is used, and is to be loaded again.

        Raises:
            InvalidModelFile: There is no state, or it was damaged, edited or written by a later version of the library.

        Examples:
            >>> import pandas as pd, loyalty as ly
            >>> log = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-05-01", "2024-05-02"], "amount": [5, 8]})
            >>> CustomerState.from_(ly.transactions(log)).save("customers")
            >>> CustomerState.load("customers").observed_until
            datetime.date(2024, 5, 2)
        """
        folder = saving.folder_of(path)
        found = saving.loaded(folder, check=check)
        engine = opened(found.settings, memory_limit=memory_limit, temp_directory=temp_directory)
        return cls(engine, found.settings, found.content, home=folder, revision=found.revision)

    def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write the state to a folder: Parquet segments, and a JSON header that names them.

        Only what is new since the last save is written. A run that is killed leaves the state that was there or the new
        one, never a mixture. Writers take turns; one whose state is no longer the last in the folder is refused.

        Args:
            path: The folder; made if there is none.
            replace: Whether a state in it that this one does not come from may be replaced.

        Raises:
            OutputError: There is another state, or another writer saved meanwhile; or the folder cannot be written to.

        Examples:
            >>> import pandas as pd, loyalty as ly
            >>> log = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-05-01", "2024-05-02"], "amount": [5, 8]})
            >>> state = CustomerState.from_(ly.transactions(log))
            >>> state.save("customers")
        """
        folder = saving.folder_of(path)
        with self._lock:
            base = self._revision if folder == self._home else None
            new = saving.saved(folder, self.engine, self.settings, self._content, base=base, replace_any=replace)
            self._content, self._home, self._revision = new.content, folder, new.revision
            self._sweep()

    def merge(
        self,
        new: Any,
        *,
        batch: str | dt.date,
        observed_until: Any = None,
        late: str = "raise",
        invalid: str = "raise",
        columns: Mapping[str, Any] | None = None,
        table: str | None = None,
    ) -> Merged:
        """Add a batch of rows; either all of it is merged, or nothing is changed.

        Args:
            new: `Transactions` opened by the same rules, or any table that `transactions` opens: then the column names
                and rules of the state hold for it, and it may also consist of returns only, or of no rows.
            batch: What this delivery is called, such as its date. The same batch may come again and changes nothing.
            observed_until: Last day observed from now on. By default that of `new`, for a plain table its last date;
                never before the state's own. Later rows wait for their day, counted as `after_observed_until`.
            late: "raise" or "exclude": what happens to rows of days before `open_from`. Excluded ones are counted as
                `too_late`.
            invalid: "raise" or "exclude": what happens to rows with unusable values, as in `transactions`.
            columns: Role → column where a plain table names it otherwise, such as `{"amount": "total"}`.
            table: Table or view, where `new` is the path of a database file.

        Returns:
            What was done.

        Raises:
            InvalidRows: Rows are too late or unusable, or the batch was merged before with other rows.
            ColumnError: A column is missing, or its ids are of another type than the state's.
            InvalidArgument: The batch was opened by other rules, or an argument is not allowed.

        Ties and nulls: as in `transactions`; nothing depends on the order of rows or batches inside the lateness.

        Examples:
            >>> import pandas as pd, loyalty as ly
            >>> log = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-05-01", "2024-05-02"], "amount": [5, 8]})
            >>> state = CustomerState.from_(ly.transactions(log))
            >>> back = pd.DataFrame({"who": ["a"], "date": ["2024-05-03"], "amount": [-2.0]})
            >>> state.merge(back, batch="2024-05-03", columns={"customer": "who"}).new_customers
            0
            >>> state.to_dict()["spend"]
            11.0
        """
        checks.choice("late", late, ("raise", "exclude"))
        checks.choice("invalid", invalid, ("raise", "exclude"))
        name = _batch_id(batch)
        until = None if observed_until is None else periods.day_number(observed_until, "observed_until")
        with self._lock:
            delivered = batches.read(new, self.settings, columns or {}, table=table)
            try:
                content, told = delivery.merged(
                    self.engine, self.settings, self._content, delivered, name, until=until, late=late, invalid=invalid
                )
                self._content = content
            finally:
                self._sweep()
            return told

    def advance(self, observed_until: Any) -> None:
        """Move the clock on a night without a delivery: customers have been silent for longer.

        Args:
            observed_until: Last day observed from now on.

        Raises:
            InvalidArgument: It is no date, or comes before the state's own, or more than a year after it.

        Examples:
            >>> import pandas as pd, loyalty as ly
            >>> log = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-05-01", "2024-05-02"], "amount": [5, 8]})
            >>> state = CustomerState.from_(ly.transactions(log))
            >>> state.advance("2024-05-05")
            >>> state.observed_until
            datetime.date(2024, 5, 5)
        """
        until = periods.day_number(observed_until, "observed_until")
        with self._lock:
            if until < self._content.until:
                raise InvalidArgument(
                    f"observed_until={observed_until!r} comes before {self.observed_until}: the clock only goes on."
                )
            try:
                self._content = delivery.moved_on(self.engine, self.settings, self._content, until)
            finally:
                self._sweep()

    def _sweep(self) -> None:
        """Let go of tables in the engine that nothing refers to."""
        used = {segment.table for layers in self._content.tables for segment in layers.segments}
        self._views = [one for one in self._views if one() is not None]
        self.engine.sweep(used | {view.table for one in self._views if (view := one()) is not None})

    @property
    def customers(self) -> Any:
        """The customers who bought in the window, in the kind that the log came in.

        Columns: the customer's, `first_day` (history included), `first_inside` (first purchase day of the window),
        `last_day`, `purchases`, `spend`, `cost` and `discount` where named, `first_spend` (0 where the first purchase
        lies before the window), `acquired_before` (0 or 1). Of a log in pandas this is pandas, in Polars Polars, in
        PyArrow PyArrow; else a DuckDB relation. Ids that were categories come back as values, UUID objects as text.
        """
        content = self._content
        frame = views.customers_of(content.people.view(self.engine), self.settings)
        label = self.settings.columns["customer"]
        return self.engine.hand_back(frame, customer=label, days=("first_day", "first_inside", "last_day"))

    def summarize(
        self, unit: str = "week", *, acquired_from: Any = None, acquired_until: Any = None
    ) -> CustomerSummary:
        """Return what `ly.summarize` would give for the whole log: what lifetime models are fitted on and score.

        Args:
            unit: Unit of all times: "day", "week", "month" (365.25/12 days) or "year" (365.25 days).
            acquired_from: Only customers whose first purchase was on this day or later.
            acquired_until: Only customers whose first purchase was on this day or earlier.

        Returns:
            The summary of the state as it is now; later merges do not change it.

        Raises:
            InvalidArgument: A unit or date is not allowed.
            EmptyData: No customer was acquired in the span.

        Examples:
            >>> import pandas as pd, loyalty as ly
            >>> log = pd.DataFrame({"customer_id": ["a", "a", "b"], "amount": [10.0, 20.0, 5.0],
            ...                     "date": ["2024-01-01", "2024-01-15", "2024-01-08"]})
            >>> CustomerState.from_(ly.transactions(log)).summarize("week").to_native().sort_values("customer_id")
              customer_id  frequency  recency  age  monetary_value
            0           a          1      2.0  2.0            20.0
            1           b          0      0.0  1.0             0.0
        """
        with self._lock:
            summary, view = views.summary_of(
                self.engine, self.settings, self._content, unit, acquired_from, acquired_until
            )
            self._views.append(weakref.ref(view))
            return summary

    @property
    def observed_from(self) -> dt.date:
        """First day of the observed window."""
        return periods.to_date(self.settings.first)

    @property
    def observed_until(self) -> dt.date:
        """Last day of the observed window."""
        return periods.to_date(self._content.until)

    @property
    def open_from(self) -> dt.date:
        """First day of which rows are still taken: `lateness` before `observed_until`."""
        return periods.to_date(self.settings.horizon(self._content.until))

    @property
    def batches(self) -> tuple[str, ...]:
        """The ids of the batches merged, in the order in which they came."""
        return tuple(self._content.batches)

    @property
    def exclusions(self) -> Table:
        """The rows left out so far: columns `reason`, `rows`, `amount`; empty where every row was used."""
        return views.exclusions_of(self._content, self.engine.kind)

    def to_dict(self) -> dict[str, Any]:
        """Return the headline counts as JSON-ready values; rows in are those used and those excluded."""
        return views.headline(self._content, self.settings)

    def close(self) -> None:
        """Free the engine; what was saved and handed back stays."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        return views.sentence(self._content, self.settings)

    def __repr__(self) -> str:
        return f"<CustomerState: {self}>"

    def _repr_html_(self) -> str:
        return views.page(self._content, self.settings)


def _begun(tx: Transactions, lateness: int, **opening: Any) -> tuple[Stored, Settings, Content]:
    """Return the parts of a state of a log; a table that was not opened is told what to do."""

    @takes_transactions
    def from_(tx: Transactions) -> tuple[Stored, Settings, Content]:
        return begun(tx, lateness, **opening)

    return from_(tx)


def _batch_id(batch: Any) -> str:
    """Return the id of a batch as text."""
    if isinstance(batch, dt.date) and not isinstance(batch, dt.datetime):
        return batch.isoformat()
    if isinstance(batch, str) and batch.strip():
        return batch
    raise InvalidArgument(f'batch={batch!r} is no id: give text that no other delivery has, such as "2024-05-01".')
