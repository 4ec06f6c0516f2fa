"""Logs larger than memory: simulated a part of the customers at a time, kept as Parquet files by month."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import checks
from loyalty.datasets.simulated import simulate
from loyalty.errors import InvalidArgument, OutputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["simulate_files"]


def simulate_files(
    folder: str | os.PathLike[str], customers: int, *, seed: int, chunk: int = 100_000, **options: Any
) -> list[Path]:
    """Write a log as `datasets.simulate` draws it to Parquet files, however large, in bounded memory.

    Customers are drawn `chunk` at a time, each lot from a random stream of its own; their rows are appended to the
    files of the months they fall into. So files part rows by date, as an export of a shop does, and nearly every
    customer has rows in several of them.

    Args:
        folder: Where to; made if it is not there, and must hold nothing.
        customers: How many customers, at least 1.
        seed: Whole number, 0 or above.
        chunk: Customers at a time. Memory grows with it (100 000 customers take some 250 MB at their peak), not with
            `customers`.
        **options: `start`, `end`, `model`, `returns`, `guests` and the rest of what `datasets.simulate` takes.

    Returns:
        The files, one for each month that has rows: `transactions-2022-01.parquet`, …, with the columns of
        `datasets.simulate`, where `customer_id` is 1 to `customers` (null for guests) and `order_id` occurs once, but
        is in time order only within a lot. The same arguments, `chunk` among them, give the same rows.

    Raises:
        InvalidArgument: A value outside its range; see `datasets.simulate`.
        OutputError: The folder holds something, or cannot be written to. What was written stays behind then: these are
            data to try things on.

    Examples:
        >>> files = simulate_files("simulated", 2_000, seed=1, chunk=500, end="2022-03-31")
        >>> [file.name for file in files]
        ['transactions-2022-01.parquet', 'transactions-2022-02.parquet', 'transactions-2022-03.parquet']
    """
    checks.count("customers", customers)
    checks.count("chunk", chunk)
    checks.count("seed", seed, low=0)
    place = _empty_folder(folder)
    try:
        with ExitStack() as opened:
            writers: dict[Any, Any] = {}
            for rows in _lots(customers, seed, chunk, options):
                _append(rows, place, writers, opened)
    except OSError as err:
        raise OutputError(
            f"the log cannot be written to {os.fspath(place)!r}: {err.strerror or err}. Pass a folder with room for it."
        ) from err
    return sorted(place.iterdir())


def _empty_folder(folder: Any) -> Path:
    """Return a folder that holds nothing, made if it is not there."""
    try:
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        inside = next(place.iterdir(), None)
    except TypeError as err:
        raise InvalidArgument(f"folder={folder!r} is no path: name a new or empty folder.") from err
    except OSError as err:
        raise OutputError(f"{folder!r} cannot be used: {err.strerror or err}. Name a new or empty folder.") from err
    if inside is not None:
        raise OutputError(f"{os.fspath(place)!r} holds {inside.name!r} already: name a new or empty folder.")
    return place


def _lots(customers: int, seed: int, chunk: int, options: dict[str, Any]) -> Iterator[pa.Table]:
    """Give the rows of each lot of customers, ids and orders numbered on from lot to lot."""
    import pyarrow as pa

    orders = 0
    for lot, first in enumerate(range(0, customers, chunk)):
        own = int(np.random.SeedSequence([seed, lot]).generate_state(1, np.uint64)[0])
        frame = simulate(min(chunk, customers - first), seed=own, **options)
        frame["customer_id"] += first
        frame["order_id"] += orders
        orders = int(frame["order_id"].max())
        yield pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def _append(rows: pa.Table, folder: Path, writers: dict[Any, Any], opened: ExitStack) -> None:
    """Add rows, in time order, to the files of their months."""
    import pyarrow.parquet as pq

    months = rows["date"].to_numpy().astype("datetime64[M]")
    starts = np.flatnonzero(np.diff(months, prepend=np.datetime64("0000-01", "M")).astype(np.int64))
    for start, end in zip(starts, [*starts[1:], len(months)], strict=True):
        month = months[start]
        if month not in writers:
            path = folder / f"transactions-{month}.parquet"
            writers[month] = opened.enter_context(pq.ParquetWriter(path, rows.schema, compression="zstd"))
        writers[month].write_table(rows.slice(start, end - start))
