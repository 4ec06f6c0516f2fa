"""The door: any table of transactions becomes `Transactions`, checked, counted and kept in an engine."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

import narwhals.stable.v2 as nw

from loyalty import booking, checks, engines, ledger, periods, wording
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, UnsupportedSource
from loyalty.exclusions import exclusions_table, in_words, jsonable, page_rows

if TYPE_CHECKING:
    from loyalty.periods import PeriodName
    from loyalty.tables import Table

__all__ = ["Transactions", "takes_transactions", "transactions"]

Frame = nw.LazyFrame[Any]

_REQUIRED = ("customer", "date", "amount")


Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def takes_transactions(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Make a public function say what to do where its first argument is a table rather than `Transactions`."""

    @functools.wraps(function)
    def checked(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        tx = args[0] if args else kwargs.get("tx")
        if not isinstance(tx, Transactions):
            raise InvalidArgument(
                f"{function.__name__} takes transactions, not a {type(tx).__name__}: open the table first, "
                f"{function.__name__}(ly.transactions(table, customer=..., date=..., amount=...))."
            )
        return function(*args, **kwargs)

    return checked


def transactions(
    data: Any,
    *,
    customer: Any = "customer_id",
    date: Any = "date",
    amount: Any = "amount",
    order: Any = None,
    product: Any = None,
    discount: Any = None,
    cost: Any = None,
    observed_from: Any = None,
    observed_until: Any = None,
    occasion: str = "day",
    returns: str = "net",
    invalid: str = "raise",
    timezone: str | None = None,
    table: str | None = None,
    memory_limit: str | None = None,
    temp_directory: str | None = None,
) -> Transactions:
    """Open a table of transactions: check every row, apply the row rules, keep purchases and customers.

    Args:
        data: pandas, Polars (eager or lazy) or PyArrow table, DuckDB relation, any object with the Arrow stream
            interface; a path, glob or list of paths to Parquet or CSV files; or the path of a DuckDB or SQLite file,
            told by its first bytes, with `table`. It is never changed. In CSV files
            every column is read as text: ids keep leading zeros, dates must be ISO, amounts plain numbers. They are
            UTF-8, name their columns in the first line, part them by , ; tab or | and quote with " only.
        customer: Column of customer ids, of any type; null (and blank text) is a guest and is left out, counted.
        date: Column of dates, timestamps or ISO text.
        amount: Column of sums of money paid, a negative one being a return.
        order: Column of order ids, if there is one.
        product: Column of product types, for the upsell ratio.
        discount: Column of discounts granted, as positive sums of money; null means none.
        cost: Column of the cost of what was sold, for profit.
        observed_from: First day that is measured; the first date in the data if None. Earlier rows are not measured
            but set their customers' first purchase.
        observed_until: Last day that is measured; the last date in the data if None. Later rows are left out.
        occasion: "day": all rows of a customer and day are one purchase; "order": all rows of a customer and order
            (rows without an order count per day).
        returns: "net": a return reduces the purchase of its order, else the customer's latest purchase on or
            before its date; "drop": left out, counted; "error": refuse them.
        invalid: "raise" or "exclude" rows whose date, amount or cost is null, unparseable, not finite or out of range
            (dates outside the years 1 to 9999, sums of 1e100 and more), or whose discount is one of these but null.
        timezone: Zone whose midnight ends a day, such as "Europe/Paris"; needed where times bear a zone.
        table: Table or view of a database file; of one outside DuckDB's main schema, "schema.table".
        memory_limit: Most memory that the process may take while the library works, such as "4GB"; tables then lie in a
            file. A frame handed over comes on top. Not for Spark and Ibis, whose memory is theirs.
        temp_directory: Where that file, and what spills, goes: into a folder of its own that is removed; under the
            system's temporary folder if None.

    Returns:
        The transactions, to hand to every metric, segment and model.

    Raises:
        ColumnError: A column is missing, named twice or of a type that cannot serve.
        InvalidRows: Rows hold unusable values and `invalid` is "raise", or returns and `returns` is "error".
        EmptyData: No purchase is left to measure.
        InvalidArgument: Another argument is not allowed.
        UnsupportedSource: `data` is of no kind that can be read.

    Ties and nulls: nothing depends on the order of rows. Every row is used or counted in `.exclusions`.

    Examples:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"customer_id": [1, 1, 2, None], "amount": [20.0, 5.0, 8.0, 3.0],
        ...                       "date": pd.to_datetime(["2024-01-05", "2024-02-01", "2024-01-09", "2024-01-10"])})
        >>> with transactions(frame) as tx:
        ...     print(tx)
        3 of 4 rows used: 3 purchases by 2 customers, 2024-01-05 to 2024-02-01; left out: 1 no_customer.
    """
    checks.choice("occasion", occasion, ("day", "order"))
    checks.choice("returns", returns, ("net", "drop", "error"))
    checks.choice("invalid", invalid, ("raise", "exclude"))
    if occasion == "order" and order is None:
        raise InvalidArgument('occasion="order" needs to know which rows make an order: pass order=<column>.')
    first = None if observed_from is None else periods.day_number(observed_from, "observed_from")
    last = None if observed_until is None else periods.day_number(observed_until, "observed_until")
    if first is not None and last is not None and first > last:
        raise InvalidArgument(f"observed_from={observed_from!r} comes after observed_until={observed_until!r}.")
    engine = engines.connect(data, table=table, memory_limit=memory_limit, temp_directory=temp_directory)
    try:
        named = {"customer": customer, "date": date, "amount": amount, "order": order, "product": product}
        columns = _named_columns({**named, "discount": discount, "cost": cost}, engine.labels)
        spec = engines.RowSpec(columns=columns, timezone=timezone)
        kept = booking.book(engine, spec, (first, last), occasion=occasion, returns=returns, invalid=invalid)
        tx = Transactions(engine, spec, *kept)
        _refuse_nobody(tx)
        return tx  # noqa: TRY300 (all of it may fail)
    except BaseException:
        engine.close()
        raise


def _named_columns(named: Mapping[str, Any], labels: Any) -> dict[str, Any]:
    """Return role → column label, each checked against the source's labels."""
    if not list(labels):
        raise EmptyData("the table has no columns.")
    wanted = {role: label for role, label in named.items() if label is not None or role in _REQUIRED}
    columns = {role: checks.column(role, label, labels) for role, label in wanted.items()}
    for role, other in itertools.combinations(_REQUIRED, 2):
        if columns[role] == columns[other]:
            raise ColumnError(
                f"{role}={columns[role]!r} and {other}={columns[other]!r} name one column: each needs one of its own."
            )
    return columns


def _refuse_nobody(tx: Transactions) -> None:
    """Raise where every order of the window was begun before it."""
    if not tx.n_customers:
        raise EmptyData(
            f"no purchase begins in the observed window {tx.observed_from} to {tx.observed_until}: widen it."
        )


class Transactions:
    """A table of transactions, checked and kept: what every metric, segment and model takes.

    Made by `transactions`. It owns an engine with two tables, `purchases` and `customers`, computed once and shared
    by everything downstream. It may be used from many threads at once, and as a context manager.

    Attributes:
        rows_in: Rows in the caller's table.
        rows_used: Rows that a purchase of the observed window was made of, or that reduced one.
        rules: The caller's decisions about rows.
        engine: Where the tables live; for authors of metrics.
        spec: The caller's columns by role, and the zone of their dates; for authors.
    """

    def __init__(
        self,
        engine: engines.Engine,
        spec: engines.RowSpec,
        rules: ledger.Rules,
        rows_in: int,
        exclusions: Mapping[str, tuple[int, float]],
    ) -> None:
        self.engine = engine
        self.rules = rules
        self.rows_in = rows_in
        self.rows_used = rows_in - sum(count for count, _ in exclusions.values())
        self.spec = spec
        self._exclusions = dict(exclusions)
        totals = self.collect(self.customers.select(n=nw.len(), bought=nw.col("purchases").sum())).to_pylist()[0]
        self.n_customers, self.n_purchases = int(totals["n"]), int(totals["bought"])

    @property
    def window(self) -> periods.Window:
        """The observed window in civil day numbers."""
        return self.rules.window

    @property
    def observed_from(self) -> dt.date:
        """First day of the observed window."""
        return periods.to_date(self.window.first)

    @property
    def observed_until(self) -> dt.date:
        """Last day of the observed window."""
        return periods.to_date(self.window.last)

    @property
    def customer(self) -> Any:
        """The caller's name of the customer column."""
        return self.spec.columns["customer"]

    @property
    def roles(self) -> frozenset[str]:
        """The roles that have a column: "customer", "date", "amount" and those named besides."""
        return self.rules.roles

    @property
    def snapshot(self) -> bool:
        """Whether `by=` reads a snapshot too; purchases and customers always are one.

        True for frames in memory; False for lazy frames, relations and files, whose further columns are read again
        when `by=` asks for them (files that changed meanwhile are refused).
        """
        return self.engine.snapshot

    @property
    def exclusions(self) -> Table:
        """The rows left out: columns `reason`, `rows`, `amount`; empty where every row was used."""
        return exclusions_table(
            self._exclusions,
            self.engine.kind,
            sentence=f"{self.rows_in - self.rows_used:,} of {self.rows_in:,} rows left out: "
            f"{in_words(self._exclusions)}.",
            definition="Rows of the table that are in no purchase of the observed window, by reason.",
        )

    @property
    def purchases(self) -> Frame:
        """The purchases of the observed window, as a lazy Narwhals frame on the calling thread.

        Columns: `customer`, `day` (days since 1970-01-01), `spend` (net of returns), `order` where that is
        the occasion, and `cost`, `discount` where named. Ids that no engine can hold (categories, mixed objects)
        are codes here; `hand_back` turns them into themselves.
        """
        inside = self.purchase_rows()
        return inside.drop("loose_day") if self.rules.occasion == "order" else inside

    @property
    def customers(self) -> Frame:
        """The customers who bought in the window, as a lazy Narwhals frame on the calling thread.

        Columns: `customer`, `first_day` (history included), `first_inside` (first purchase day of the window),
        `last_day`, `purchases`, `spend`, `first_spend`, `acquired_before` (0 or 1), and `cost`, `discount`
        where named. Ids as in `purchases`.
        """
        return self.engine.table("customers")

    def first_days(self) -> Frame:
        """Return every customer's first purchase day (`customer`, `first_day`), those of the history included."""
        if not self.rules.history:
            return self.customers.select("customer", "first_day")
        return self.engine.once("first_days", lambda: ledger.first_days(self.engine.table("purchases")))

    def data_window(self) -> periods.Window:
        """Return the window in which first purchases are known: from the first date in the data."""
        return periods.Window(min(self.rules.data_from, self.window.first), self.window.last)

    def with_period(self, frame: Frame, period: PeriodName, day: str = "day", into: str = "period") -> Frame:
        """Return a frame widened by the calendar period of a column of days of the data."""
        return ledger.with_period(frame, self.engine.attach(ledger.calendar(self.rules, period)), day, into)

    def activity(self, period: PeriodName) -> Frame:
        """Return customers by period with what they spent and when they came next; see `ledger.activity`."""
        checks.choice("period", period, periods.PERIODS)

        def build() -> Frame:
            days = self.engine.attach(ledger.calendar(self.rules, period))
            return ledger.activity(self.engine.table("purchases"), self.customers, days, self.rules)

        return self.engine.once(f"activity_{period}", build)

    def gaps(self) -> Frame:
        """Return the days between each customer's purchases of the window; see `ledger.gaps`."""
        return self.engine.once("gaps", lambda: ledger.gaps(self.purchases, self.rules))

    def kept(self, name: str, build: Any) -> Frame:
        """Return a table kept under a name, built by `build()` on the first call."""
        return self.engine.once(name, build)

    def purchase_rows(self) -> Frame:
        """Return `purchases` with every column of the occasion's key, for joining rows back to them."""
        everything = self.engine.table("purchases")
        return everything.filter(nw.col("day") >= self.window.first) if self.rules.history else everything

    def every_row(self) -> Frame:
        """Return all canonical rows, read from the source again, those among them that the log leaves out."""
        return self.engine.rows(self.spec)

    def sale_rows(self, value: Any = None) -> Frame:
        """Return the canonical rows of sales in the window, read from the source again, `product` among them if named.

        Args:
            value: A further column to read, as `value`.

        Raises:
            ColumnError: The column is missing.
        """
        spec, label = self.spec, None
        if value is not None:
            spec, label = self._without_products(), checks.column("column", value, self.engine.labels)
        rows = ledger.usable(self.engine.rows(spec, value=label), self.rules)
        rows = rows.filter(nw.col("amount") >= 0, nw.col("day") >= self.window.first)
        if self.rules.occasion == "order" and self.rules.history:  # their order is a purchase before the window
            early = self.engine.table("purchases").filter(nw.col("day") < self.window.first)
            rows = rows.join(early.select("customer", "order"), on=["customer", "order"], how="anti")
        return rows

    def first_values(self, by: Any) -> Frame:
        """Return each customer's value of a column at the first purchase: columns `customer`, `group`.

        Of several rows on the first day the earliest time counts, then the largest amount, then the smallest value.
        Null is a value of its own. Customers of the history are among them, with the value of their first purchase.

        Raises:
            ColumnError: The column is missing.
            UnsupportedSource: The source no longer holds the first purchases it was opened with.
        """
        label = checks.column("by", by, self.engine.labels)

        def build() -> Frame:
            rows = ledger.usable(self.engine.rows(self._without_products(), value=label), self.rules)
            debut = rows.filter(nw.col("amount") >= 0).join(
                self.first_days(), left_on=["customer", "day"], right_on=["customer", "first_day"], how="inner"
            )
            debut = debut.with_columns(worst=-nw.col("amount"))
            debut = debut.unique("customer", keep="first", order_by=["time", "worst", "value"])
            return debut.select("customer", group=nw.col("value"))

        values = self.kept(f"first_value_{list(self.engine.labels).index(label)}", build)
        if not self.snapshot:
            found, known = (self.collect(frame.select(n=nw.len()))["n"][0] for frame in (values, self.first_days()))
            if found != known:
                raise UnsupportedSource(
                    f"the source changed since it was opened: of {known} first purchases {found} are there to read "
                    f"column {by!r}. Open it again with transactions()."
                )
        return values

    def _without_products(self) -> engines.RowSpec:
        """Return the columns to read where products do not matter: they are many texts."""
        columns = {role: label for role, label in self.spec.columns.items() if role != "product"}
        return engines.RowSpec(columns, self.spec.timezone)

    def collect(self, frame: Frame) -> Any:
        """Run a query and return its rows as a PyArrow table."""
        return self.engine.collect(frame)

    def hand_back(self, frame: Frame, days: tuple[str, ...] = ()) -> Any:
        """Return a per-customer frame in the source's kind, ids and their column name as they came in.

        Where the frame has another column of that name, the ids are called "customer_id".
        """
        return self.engine.hand_back(frame, customer=self.customer, days=days)

    def close(self) -> None:
        """Free the engine; results already collected stay valid."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        left_out = f"; left out: {in_words(self._exclusions)}" if self._exclusions else ""
        return (
            f"{self.rows_used:,} of {self.rows_in:,} rows used: "
            f"{wording.counted(self.n_purchases, 'purchases')} by {wording.counted(self.n_customers, 'customers')}, "
            f"{self.observed_from} to {self.observed_until}{left_out}."
        )

    def __repr__(self) -> str:
        return f"<Transactions: {self}>"

    def to_dict(self) -> dict[str, Any]:
        """Return what was read and what was left out, as JSON-ready values."""
        return {
            "rows_in": self.rows_in,
            "rows_used": self.rows_used,
            "purchases": self.n_purchases,
            "customers": self.n_customers,
            "observed_from": wording.jsonable(self.observed_from),
            "observed_until": wording.jsonable(self.observed_until),
            "exclusions": jsonable(self._exclusions),
        }

    def _repr_html_(self) -> str:
        return wording.html_table(("transactions", ""), page_rows(self.to_dict()))
