"""The rules that a state was begun with, which every later batch is held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loyalty import ledger, periods

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FRESH", "CarryRules", "Settings"]

FRESH = "fresh"  # money of rows that are still open: what the customers' carried sums do not hold yet


class CarryRules(ledger.Rules):
    """Rules of the ledger, with one more sum: of the money that no carried sum holds yet."""

    __slots__ = ()

    @property
    def money(self) -> list[str]:
        """The columns of money in rows."""
        return [name for name in ("amount", "cost", "discount") if name in self.roles] + [FRESH]

    @property
    def sums(self) -> list[str]:
        """The columns of money in purchases."""
        return ["spend" if name == "amount" else name for name in self.money]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What never changes in the life of a state.

    Attributes:
        columns: Role to the caller's column, "product" not among them.
        timezone: Zone whose midnight ends a day; None where times bear no zone.
        occasion: "day" or "order".
        returns: "net", "drop" or "error".
        first: First day of the observed window, a civil day number.
        lateness: Days that a row may be late.
        kind: What customers come back as: "pandas", "polars", "polars-lazy", "pyarrow" or "duckdb".
        customer_type: "integer", "number", "text" or "uuid".
        customer_dtype: The type that ids had in the caller's table, by its library's name.
        order_type: As `customer_type`; "" where there are no orders.
    """

    columns: Mapping[str, Any]
    timezone: str | None
    occasion: str
    returns: str
    first: int
    lateness: int
    kind: str
    customer_type: str
    customer_dtype: str
    order_type: str

    @property
    def roles(self) -> frozenset[str]:
        """The roles that have a column."""
        return frozenset(self.columns)

    @property
    def by_order(self) -> bool:
        """Whether a purchase is an order."""
        return self.occasion == "order"

    @property
    def has_orders(self) -> bool:
        """Whether rows name orders."""
        return "order" in self.columns

    @property
    def money(self) -> list[str]:
        """The columns of money in rows."""
        return [name for name in ("amount", "cost", "discount") if name in self.columns]

    @property
    def further(self) -> list[str]:
        """The sums besides spend."""
        return [name for name in ("cost", "discount") if name in self.columns]

    @property
    def row_columns(self) -> list[str]:
        """The columns of rows that are kept open."""
        return ["customer", "day", *(["order"] if self.has_orders else []), *self.money]

    def rules(self, last: int) -> CarryRules:
        """Return the rules of the ledger as of a day."""
        window = periods.Window(self.first, last)
        booked = self.returns == "net"
        return CarryRules(
            self.roles, self.occasion, self.returns, window, data_from=self.first, history=True, booked=booked
        )

    def horizon(self, until: int) -> int:
        """Return the first day whose rows are still open when a state has been observed until a day."""
        return until - self.lateness
