"""One customer's purchases, and how probable it was on each day that they were still a customer."""

from __future__ import annotations

import datetime as dt
import difflib
import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import periods, wording
from loyalty.clv.models.lifetime import LifetimeFit
from loyalty.clv.valuation.value import CLVModel
from loyalty.errors import ColumnError, InvalidArgument
from loyalty.tables import Table
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.transactions import Transactions

__all__ = ["CustomerHistory", "customer_history"]

Days = NDArray[np.int64]
Frame = nw.LazyFrame[Any]

_MOST_DAYS = 2000  # shown one by one
_ALIKE = 200  # ids that are looked at for one that was meant
_NAMED = 3  # of them that are named


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CustomerHistory(Table):
    """One customer's P(alive) day by day, and the purchases that made it.

    The rows of the table: `date`, `purchases_so_far` (on that day, the first included), `p_alive` (given what was known
    on that day, its own purchases included).

    Attributes:
        customer: The customer's id.
        purchases: The days of their purchases, in order; a day of several orders occurs once.
        model: Name of the model that P(alive) is from.
    """

    customer: Any
    purchases: tuple[dt.date, ...]
    model: str

    def to_dict(self) -> dict[str, Any]:
        """Return customer, purchases and rows as JSON-ready values."""
        own = {"customer": self.customer, "purchases": self.purchases, "model": self.model}
        return {**Table.to_dict(self), **wording.jsonable(own)}


@takes_transactions
def customer_history(tx: Transactions, customer: Any, model: LifetimeFit | CLVModel) -> CustomerHistory:
    """Return how probable it was, day by day, that one customer was still a customer.

    For each day d from the first purchase to the end of the window it is P(alive) given the purchases until d: x repeat
    purchases, the last of them t_x after the first, which was T = d − first purchase ago. It falls while the customer
    is silent and rises with a purchase.

    Args:
        tx: The transactions. All purchases until the end of the window count, those before it included.
        customer: The customer's id, as it stands in the data.
        model: A fit of a lifetime model, or what `fit_clv` gives, of which the model of purchases is taken.

    Returns:
        The history: `.purchases` (dates), rows of `date`, `purchases_so_far` and `p_alive`, `.plot()`. All days are
        there up to 2000; of a longer time as many in even steps, and the days of purchases with the days before them.

    Raises:
        InvalidArgument: The model is of another kind, or there is no such customer until the end of the window: ids
            that are like it are named.

    Ties and nulls: several purchases on a day (`occasion="order"`) all count on that day.

    Source: lifetimes' `calculate_alive_path` shows the same.

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow_sample())
        >>> fit = ly.ParetoNBD().fit(ly.summarize(tx))
        >>> history = ly.customer_history(tx, 1516, fit)
        >>> print(history)
        Customer 1516: 42 purchases from 1997-02-25 to 1998-06-10; still a customer on 1998-06-30 with probability
        96.7 %.
        >>> len(history), history.purchases[0].isoformat(), round(history["p_alive"][-1], 2)
        (491, '1997-02-25', 0.97)
    """
    fit = model.purchases if isinstance(model, CLVModel) else model
    if not isinstance(fit, LifetimeFit):
        raise InvalidArgument(
            f"model= is a {type(model).__name__}: pass a fit of a lifetime model, such as "
            "ly.ParetoNBD().fit(ly.summarize(tx)), or what ly.fit_clv(tx) gives."
        )
    bought, orders = _purchases(tx, customer)
    days = _days(int(bought[0]), tx.window.last, bought)
    made = np.cumsum(orders)[np.searchsorted(bought, days, side="right") - 1]
    latest = bought[np.searchsorted(bought, days, side="right") - 1]
    unit = fit.days_per_unit
    alive = fit.p_alive(frequency=made - 1, recency=(latest - bought[0]) / unit, age=(days - bought[0]) / unit)
    return _history(tx, customer, fit, bought, (days, made, np.asarray(alive, np.float64)))


def _days(first: int, last: int, bought: Days) -> Days:
    """Return the days to show: all, or of a long time some, and those where P(alive) jumps."""
    if last - first <= _MOST_DAYS:
        return np.arange(first, last + 1, dtype=np.int64)
    even = np.arange(first, last + 1, math.ceil((last - first) / _MOST_DAYS), dtype=np.int64)
    return np.unique(np.concatenate([even, bought, np.maximum(bought - 1, first), [last]]))


def _history(
    tx: Transactions, customer: Any, fit: LifetimeFit, bought: Days, rows: tuple[Days, Days, NDArray[np.float64]]
) -> CustomerHistory:
    """Return the result of days, purchases by then and P(alive)."""
    import pyarrow as pa

    days, made, alive = rows
    dates = pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32())
    first, final = (periods.to_date(int(day)) for day in (bought[0], bought[-1]))
    count, end = wording.counted(int(made[-1]), "purchases"), wording.quantity(float(alive[-1]), "share")
    when = f"on {first}" if first == final else f"from {first} to {final}"
    still = f"still a customer on {tx.observed_until} with probability {end}"
    return CustomerHistory(
        name=f"customer {customer}",
        data=pa.table({"date": dates, "purchases_so_far": pa.array(made, pa.int64()), "p_alive": alive}),
        kind=tx.engine.kind,
        sentence=f"Customer {customer}: {count} {when}; {still}.",
        definition=f"Probability ({fit.model}) of still being a customer, on each day given the purchases until then.",
        units={"p_alive": "share"},
        note=f"purchases before {tx.observed_from} count too" if bought[0] < tx.window.first else "",
        chart="customer_history",
        customer=customer,
        purchases=tuple(periods.to_date(int(day)) for day in bought),
        model=fit.model,
    )


def _purchases(tx: Transactions, customer: Any) -> tuple[Days, Days]:
    """Return the days of a customer's purchases in order, and how many there were on each."""
    if wording.missing(customer):
        raise InvalidArgument(f"customer={customer!r} is no id: rows without one are in no purchase.")
    for ids in _spelled(customer):
        try:
            one = _attached(tx, ids)
        except ColumnError:  # ids of another kind than those of the log
            continue
        mine = tx.engine.table("purchases").filter(nw.col("day") <= tx.window.last)
        found = tx.collect(mine.join(one, on="customer", how="semi").group_by("day").agg(n=nw.len())).sort_by("day")
        if found.num_rows:
            return found["day"].to_numpy().astype(np.int64), found["n"].to_numpy().astype(np.int64)
        _refuse_later(tx, customer, one)
    raise _unknown(tx, customer)


def _refuse_later(tx: Transactions, customer: Any, one: Frame) -> None:
    """Raise where a customer bought, but only after the end of the window."""
    rows = tx.every_row().filter(nw.col("day") > tx.window.last, nw.col("amount") >= 0)
    first = tx.collect(rows.join(one, on="customer", how="semi").select(nw.col("day").min()))["day"][0].as_py()
    if first is not None:
        raise InvalidArgument(
            f"customer={customer!r} bought for the first time on {periods.to_date(int(first))}, after observed_until="
            f"{tx.observed_until}: open the transactions with a later observed_until=."
        )


def _spelled(customer: Any) -> Iterator[Any]:
    """Yield tables of a customer's id, in each type that it may have in the log."""
    import pandas as pd
    import pyarrow as pa

    yield pd.DataFrame({"customer": pd.Series([customer], dtype=object)})
    if isinstance(customer, uuid.UUID):  # a column of UUIDs, not of Python objects
        yield pd.DataFrame({"customer": [str(customer)]})
        if hasattr(pa, "uuid"):  # since PyArrow 18
            storage = pa.array([customer.bytes], pa.binary(16))
            yield pa.table({"customer": pa.ExtensionArray.from_storage(pa.uuid(), storage)})


def _attached(tx: Transactions, ids: Any) -> Frame:
    """Return a table of ids in the engine, spelled as there."""
    return tx.engine.attach_source(ids, {"customer": "customer"}, "customer")


def _unknown(tx: Transactions, customer: Any) -> InvalidArgument:
    """Return the error that there is no such customer, with ids that may have been meant."""
    some = tx.customers.select("customer").sort("customer").head(_NAMED)
    shown = _handed(tx, some)
    hint = f"There are {tx.n_customers:,} customers"
    other = _otherwise_typed(tx, customer)
    # Ids that the engine holds as codes are not spelled there as they look, and none can be looked for.
    coded = list(map(str, tx.collect(some)["customer"].to_pylist())) != list(map(str, shown))
    like, count = ([], 0) if coded or other is not None else _alike(tx, customer)
    if other is not None:
        hint += f", and one has the id {other!r}, of type {type(other).__name__}: pass that."
    elif like:
        more = f", of {count:,} that are like it" if count > len(like) else ""
        hint += f". Did you mean {' or '.join(map(repr, like))}{more}?"
    else:
        hint += f", with ids such as {', '.join(map(repr, shown))}."
    return InvalidArgument(f"customer={customer!r} did not buy anything in this log. {hint}")


def _otherwise_typed(tx: Transactions, customer: Any) -> Any:
    """Return the id that is spelled alike but of another type: 12 for "12", and the reverse; None if there is none."""
    other: Any = str(customer)
    if isinstance(customer, str):
        if not customer.strip().isdecimal():
            return None
        other = int(customer)
    try:
        ids = next(_spelled(other))
        found = tx.customers.select("customer").join(_attached(tx, ids), on="customer", how="semi")
    except ColumnError:
        return None
    return other if tx.collect(found.select(n=nw.len()))["n"][0].as_py() else None


def _alike(tx: Transactions, customer: Any) -> tuple[list[Any], int]:
    """Return the ids most like one that is unknown, and how many begin as it does or hold it."""
    text = str(customer).strip().lower()
    head = text[: math.ceil(len(text) / 2)]
    if not text:
        return [], 0
    written = nw.col("customer").cast(nw.String).str.to_lowercase()
    near = written.str.starts_with(head) | written.str.contains(text, literal=True)
    people = tx.customers.select("customer").filter(near)
    count = int(tx.collect(people.select(n=nw.len()))["n"][0].as_py())
    ids = {str(one): one for one in _handed(tx, people.sort("customer").head(_ALIKE))}
    close = sorted(ids, key=lambda name: (-difflib.SequenceMatcher(None, text, name.lower()).ratio(), name))
    return [ids[name] for name in close[:_NAMED]], count


def _handed(tx: Transactions, people: Frame) -> list[Any]:
    """Return ids as the caller knows them."""
    frame: Any = nw.from_native(tx.hand_back(people))
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    return eager.get_column(eager.columns[0]).to_list()
