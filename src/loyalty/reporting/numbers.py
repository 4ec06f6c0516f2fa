"""Every result that the page shows, computed once: each is a result, or the reason why there is none."""

from __future__ import annotations

import datetime as dt
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loyalty import periods, wording
from loyalty.errors import ClosedError, LoyaltyError, LoyaltyWarning, MissingData
from loyalty.reporting import steps
from loyalty.reporting.steps import Lack, Lacking

if TYPE_CHECKING:
    from loyalty.reporting.steps import Asked
    from loyalty.transactions import Transactions

__all__ = ["Facts", "Numbers", "compute"]

Progress = Callable[[int, int, str], Any]
_DRAWING = 1  # steps after the numbers: the document is put together

_ONE_AT_A_TIME = threading.Lock()  # what is done with a warning is a setting of the whole process


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read, for the page: plain values, so that it outlives the transactions.

    Attributes:
        rows_in: Rows in the caller's table.
        rows_used: Rows that were used.
        customers: Customers who bought in the window.
        purchases: Their purchases in it.
        window: The observed window.
        exclusions: Rows left out: reason → (rows, amount).
        occasion: "day" or "order": what makes a purchase.
        returns: "net", "drop" or "error": what was done with negative amounts.
        history: Whether there are purchases before the window.
        roles: The roles that have a column.
        customer: The caller's name of the customer column.
        told: What was read as JSON-ready values, by `Transactions.to_dict`.
    """

    rows_in: int
    rows_used: int
    customers: int
    purchases: int
    window: periods.Window
    exclusions: Mapping[str, tuple[int, float]]
    occasion: str
    returns: str
    history: bool
    roles: frozenset[str]
    customer: str
    told: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, tx: Transactions) -> Facts:
        """Return the facts of transactions."""
        return cls(
            rows_in=tx.rows_in,
            rows_used=tx.rows_used,
            customers=tx.n_customers,
            purchases=tx.n_purchases,
            window=tx.window,
            exclusions={row["reason"]: (row["rows"], row["amount"]) for row in tx.exclusions},
            occasion=tx.rules.occasion,
            returns=tx.rules.returns,
            history=tx.rules.history,
            roles=tx.roles,
            customer=str(tx.customer),
            told=tx.to_dict(),
        )

    @property
    def first(self) -> dt.date:
        """First day of the window."""
        return periods.to_date(self.window.first)

    @property
    def last(self) -> dt.date:
        """Last day of the window."""
        return periods.to_date(self.window.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The results, by name.

    Attributes:
        facts: What was read.
        asked: What was asked for.
        results: Name of a step (see `steps.STEPS`) to its result, or to the `Lack` of one.
        warned: Name of a step to what was warned of on its way.
    """

    facts: Facts
    asked: Asked
    results: Mapping[str, Any] = field(repr=False)
    warned: Mapping[str, tuple[str, ...]]

    def __getitem__(self, name: str) -> Any:
        """Return a result, or the `Lack` of one."""
        return self.results[name]

    def has(self, name: str) -> bool:
        """Return whether there is such a result."""
        return not isinstance(self.results[name], Lack)

    def why(self, name: str) -> str:
        """Return why there is no such result; empty where there is one."""
        found = self.results[name]
        return found.why if isinstance(found, Lack) else ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values: what is missing as {"missing": why}."""
        return {
            "transactions": dict(self.facts.told),
            "asked": self.asked.to_dict(),
            "results": {name: _told(result) for name, result in self.results.items()},
            "warnings": {name: list(said) for name, said in self.warned.items() if said},
        }


def compute(tx: Transactions, asked: Asked, progress: Progress | None = None) -> Numbers:
    """Return every result.

    One that cannot be had (an error that the library raises on purpose) never stops the others; any other error is
    a mistake in the program, and is raised.

    Args:
        tx: The transactions, which stay open.
        asked: What was asked for.
        progress: Called before each step with the number of steps done, of all steps, and what is done next.

    Raises:
        ClosedError: The transactions were closed.
    """
    results: dict[str, Any] = {}
    warned: dict[str, tuple[str, ...]] = {}
    total = len(steps.STEPS) + _DRAWING
    for done, (name, step) in enumerate(steps.STEPS.items()):
        if progress is not None:
            progress(done, total, name.replace("_", " "))
        said: list[str] = []
        with _heard(said):
            results[name] = _result(name, step, steps.Book(tx, asked, results))
        warned[name] = tuple(dict.fromkeys(said))
    if progress is not None:
        progress(total - _DRAWING, total, "page")
    return Numbers(facts=Facts.of(tx), asked=asked, results=results, warned=warned)


def _result(name: str, step: Callable[[steps.Book], Any], book: steps.Book) -> Any:
    """Return the result of a step, or why there is none."""
    try:
        return step(book)
    except ClosedError:
        raise
    except Lacking as err:
        return book.results[err.name]
    except LoyaltyError as err:
        return Lack(
            str(err), given=not isinstance(err, MissingData), step=name, kind=steps.quoting(name, book.asked, err)
        )


@contextmanager
def _heard(said: list[str]) -> Iterator[None]:
    """Gather what the library warns of in this thread; all other warnings go their usual way."""
    mine = threading.get_ident()
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("always", LoyaltyWarning)
        show: Any = warnings.showwarning

        def heard(message: Any, category: Any, *where: Any, **more: Any) -> None:
            """Keep what the library says, and show the rest."""
            if issubclass(category, LoyaltyWarning) and threading.get_ident() == mine:
                said.append(str(message))
            else:
                show(message, category, *where, **more)

        warnings.showwarning = heard
        try:
            yield
        finally:
            warnings.showwarning = show


def _told(result: Any) -> Any:
    """Return a result as JSON-ready values."""
    if isinstance(result, Lack):
        return {"missing": result.why}
    return result.to_dict() if hasattr(result, "to_dict") else wording.jsonable(result)
