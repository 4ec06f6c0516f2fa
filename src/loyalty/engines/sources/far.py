"""A table that lies elsewhere: a Spark DataFrame or an Ibis table, where an engine of this machine wants its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.engines.canonical import named_columns
from loyalty.errors import UnsupportedSource

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FarTable", "is_far"]


def is_far(data: Any) -> bool:
    """Return whether rows of a table lie elsewhere."""
    spark = nw.dependencies.is_pyspark_dataframe(data) or nw.dependencies.is_pyspark_connect_dataframe(data)
    return spark or nw.dependencies.is_ibis_table(data)


@dataclass
class FarTable:
    """A table of survey answers, wallets or contracts beside a log; its own engine never asks for `arrow`.

    The columns that are asked for are fetched whole.
    """

    data: Any
    kind: str = "pandas"
    rows_as: str = "pandas"
    snapshot: bool = False

    @property
    def labels(self) -> Sequence[Any]:
        """The column labels."""
        return list(self.data.columns)

    def arrow(self, labels: Sequence[Any]) -> pa.Table:
        """Return columns, named c0, c1, … in the order asked for."""
        places = [list(self.labels).index(label) for label in labels]
        try:
            if nw.dependencies.is_ibis_table(self.data):
                table = self.data.select(**{f"c{at}": self.data[place] for at, place in enumerate(places)}).to_pyarrow()
            else:
                named = self.data.toDF(*(f"p{place}" for place in range(len(self.labels))))
                table = named.selectExpr(*(f"p{place} AS c{at}" for at, place in enumerate(places))).toArrow()
        except Exception as err:  # of many kinds: those of Spark, Ibis and every database
            lines = [line.strip() for line in str(err).splitlines() if line.strip()] or [type(err).__name__]
            raise UnsupportedSource(f"the columns {list(labels)} could not be read: {' / '.join(lines[:3])}") from err
        return named_columns(table.columns)
