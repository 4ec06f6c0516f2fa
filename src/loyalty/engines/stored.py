"""An embedded engine whose tables partly lie in Parquet files: what a state that is kept on disk computes with."""

from __future__ import annotations

import glob
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.engines import connections
from loyalty.engines.embedded import Embedded
from loyalty.engines.failures import output_errors
from loyalty.engines.sources.opening import open_source
from loyalty.errors import LoyaltyError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    import pyarrow as pa

__all__ = ["Stored", "shape"]


class Stored(Embedded):
    """The embedded engine, which also scans and writes Parquet files of its own.

    Args:
        shape: An empty table of the kind and with the customer column that results are to have.
        memory_limit: Most memory before it spills to disk, such as "4GB".
        temp_directory: Where it spills.
    """

    def __init__(self, shape: Any, *, memory_limit: str | None = None, temp_directory: str | None = None) -> None:
        super().__init__(open_source(shape), memory_limit=memory_limit, temp_directory=temp_directory)
        self._swept: set[str] = set()

    def keep(self, frame: nw.LazyFrame[Any], name: str) -> str:
        """Compute a frame and keep it until `sweep`; returns the name to ask for."""
        kept = self.persist(frame, name)
        self._swept.add(kept)
        return kept

    def keep_batches(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch], name: str) -> str:
        """Keep rows that come in batches, as `keep` does, without holding them twice; errors of theirs are raised."""
        import pyarrow as pa

        failed: list[Exception] = []

        def given() -> Generator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as err:  # else it would come back as an error of Arrow's reader
                failed.append(err)
                raise

        try:
            with closing(given()) as rows, self._running("the rows"):
                reader = pa.RecordBatchReader.from_batches(schema, rows)
                return self.keep(nw.from_native(self._cursor().from_arrow(reader)), name)
        except LoyaltyError:
            if failed:
                raise failed[0] from None
            raise

    def sweep(self, used: Iterable[str]) -> None:
        """Let go of all that `keep` kept, but for what is still used."""
        for name in self._swept.difference(used):
            self.drop(name)
        self._swept.intersection_update(used)

    def scan(self, path: str | os.PathLike[str]) -> nw.LazyFrame[Any]:
        """Return a Parquet file as a frame on the calling thread's cursor."""
        with self._running(f"the file {os.fspath(path)!r}"):
            return nw.from_native(self._cursor().read_parquet(glob.escape(os.fspath(path))))

    def export(self, frame: nw.LazyFrame[Any], path: str | os.PathLike[str]) -> None:
        """Write a frame to a Parquet file as it is, streamed.

        Raises:
            OutputError: The file cannot be written.
        """
        with self._running(f"the file {os.fspath(path)!r}"), output_errors(path, Path(path)):
            self._collectable(frame).write_parquet(os.fspath(path), compression="snappy")


def shape(kind: str, label: Any, dtype: str, fallback: pa.DataType) -> Any:
    """Return an empty table of the kind, and with the type of ids, that results are to have.

    Args:
        kind: "pandas", "polars", "polars-lazy", "pyarrow" or "duckdb".
        label: The caller's name of the customer column.
        dtype: The type of the ids in the caller's table: pandas' name of it, elsewhere Arrow's.
        fallback: The type of the ids where that type is not known here.
    """
    import pyarrow as pa

    if kind == "pandas":
        return _pandas_shape(label, dtype)
    try:
        own = pa.type_for_alias(dtype)
    except ValueError:
        own = fallback
    empty = pa.table({str(label): pa.array([], own)})
    if kind == "pyarrow":
        return empty
    if kind.startswith("polars"):
        frame = nw.from_arrow(empty, backend="polars").to_native()
        return frame.lazy() if kind == "polars-lazy" else frame
    return connections.opened().from_arrow(empty)


def _pandas_shape(label: Any, dtype: str) -> Any:
    """Return an empty pandas frame with a column of ids."""
    import pandas as pd

    try:
        ids = pd.Series([], dtype="object" if dtype == "category" else dtype)
    except TypeError:  # a dtype of another version of pandas
        ids = pd.Series([], dtype="object")
    return pd.DataFrame({label: ids})
