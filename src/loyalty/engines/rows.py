"""A row per customer that a result can give: handed back in the source's kind, or written by its engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from loyalty.engines.base import Engine

__all__ = ["CustomerRows", "PerCustomer"]


@dataclass(frozen=True, slots=True, eq=False)
class CustomerRows:
    """Rows in an engine, computed when they are asked for.

    Attributes:
        engine: The engine.
        frame: The rows, ids in the column `customer`.
        customer: What the caller calls it.
        days: Columns of civil day numbers, which are dates outside.
    """

    engine: Engine
    frame: nw.LazyFrame[Any]
    customer: Any
    days: Sequence[str] = ()

    def handed(self) -> Any:
        """Return the rows in the source's kind."""
        return self.engine.hand_back(self.frame, customer=self.customer, days=self.days)

    def written(self, path: Any) -> None:
        """Write the rows as Parquet."""
        if not isinstance(path, (str, os.PathLike)):
            raise InvalidArgument(f"path={path!r} is no path: name a Parquet file that is not there yet.")
        self.engine.write(self.frame, str(os.fspath(path)), customer=self.customer, days=self.days)


class PerCustomer:
    """A result that has a row per customer."""

    __slots__ = ()

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the row of every customer as Parquet, without holding them in memory.

        The rows and columns are those that the result gives as a frame, the customer column under the caller's name
        ("customer_id" where another column is called so, be it in other letters, small or capital). The engine writes:
        one file, whole or not at all; on Spark a folder of files.

        Args:
            path: The file (on Spark the folder), which must not be there yet.

        Raises:
            OutputError: It is there already, or cannot be written.
            ColumnError: The customers' ids are of kinds that Parquet cannot hold in one column.
            ClosedError: The transactions were closed.
        """
        self._customer_rows().written(path)

    def _customer_rows(self) -> CustomerRows:
        """Return the rows of the customers, best first where the result ranks them."""
        raise NotImplementedError
