"""Where results go: files that are whole or not there, and standard output."""

from __future__ import annotations

import glob
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from loyalty import wording, writing
from loyalty.cli.failures import WrongUsage, unwritten, visible
from loyalty.errors import InvalidModelFile, OutputError

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.cli.options import RowsOutput

__all__ = [
    "STANDARD_OUTPUT",
    "Place",
    "check_apart",
    "check_place",
    "rows_place",
    "save_model",
    "to_standard_output",
    "write_json",
    "write_rows",
]

STANDARD_OUTPUT = "-"
_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}

Widen = Callable[["pa.RecordBatch"], "pa.RecordBatch"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows go.

    Attributes:
        path: The file, or "-".
        format: "parquet" or "csv".
        force: Whether a file that is there may be replaced.
    """

    path: str
    format: str
    force: bool

    def told(self, count: int) -> str:
        """Return what was written, in words."""
        where = "standard output" if self.path == STANDARD_OUTPUT else self.path
        return f"{wording.counted(count, 'customers')} written to {where}"


def check_place(path: str, sources: Sequence[str | None], *, force: bool) -> None:
    """Raise where a file cannot be written, before the work whose result it would hold.

    Args:
        path: The file.
        sources: The paths and globs of everything that is read: none of it is replaced. None stands for what is not
            given.
        force: Whether a file that is there may be replaced.
    """
    writing.place_for(path, replace=force)
    for source in filter(None, sources):
        if any(Path(found).exists() and Path(found).samefile(path) for found in _read_from(source, path)):
            raise WrongUsage(f"{path!r} is what is read from: write to another file.")


def check_apart(*paths: str | None) -> None:
    """Raise where two results would be written to one file."""
    places = [Path(path).resolve() for path in paths if path not in {None, STANDARD_OUTPUT}]
    if len(set(places)) < len(places):
        raise WrongUsage(f"{str(places[0])!r} would be written twice: give every result a file of its own.")


def _read_from(source: str, path: str) -> list[str]:
    """Return the files of a path or glob; none where there is no output yet that could be one of them."""
    return [source, *glob.glob(source, recursive=True)] if Path(path).exists() else []  # noqa: PTH207 (any folder)


def rows_place(output: RowsOutput, sources: Sequence[str | None], *, json: bool) -> Place | None:
    """Return where a row per customer goes, known to be writable; None where they are not asked for.

    Args:
        output: What was asked for.
        sources: As in `check_place`.
        json: Whether a summary goes to standard output as JSON.
    """
    path = output.output
    if path is None:
        return None
    if path == STANDARD_OUTPUT:
        if json:
            raise WrongUsage("--json and --output - both write to standard output: give --output a file, or leave one.")
        return Place(path, "csv", output.force)
    kind = _FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise WrongUsage(f"--output {path!r}: the ending says how rows are written: .parquet or .csv (or - for CSV).")
    check_place(path, sources, force=output.force)
    return Place(path, kind, output.force)


def write_rows(place: Place, rows: Any, widen: Widen | None = None) -> int:
    """Write rows as they come from the engine, batch by batch, and return how many there were.

    Args:
        place: Where to.
        rows: Anything with the Arrow stream interface, such as a table per customer.
        widen: Adds columns to a batch.
    """
    import pyarrow as pa

    reader = pa.RecordBatchReader.from_stream(rows)
    first = pa.RecordBatch.from_pylist([], schema=reader.schema)  # rows or none, the columns are written
    batches = (batch if widen is None else widen(batch) for batch in _chained(first, reader))
    if place.path == STANDARD_OUTPUT:
        with to_standard_output() as out:
            return _as_csv(batches, _Screen(out) if out.isatty() else out.buffer)
    with writing.whole_file(place.path, replace=place.force) as beside:
        if place.format == "parquet":
            return _as_parquet(batches, beside)
        with beside.open("wb") as file:
            return _as_csv(batches, file)


class _Screen:
    """A terminal: ids and names that hold commands for one are shown, and not obeyed."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, data: bytes) -> None:
        """Write lines of UTF-8."""
        self._out.write(visible(data.decode()))


def _chained(first: pa.RecordBatch, reader: Any) -> Iterator[pa.RecordBatch]:
    yield first
    yield from reader


def _as_parquet(batches: Iterator[pa.RecordBatch], path: Path) -> int:
    """Write batches to a Parquet file."""
    import pyarrow.parquet as pq

    first, count = next(batches), 0
    with pq.ParquetWriter(path, first.schema, compression="snappy") as writer:
        for batch in batches:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def _as_csv(batches: Iterator[pa.RecordBatch], file: Any) -> int:
    """Write batches as CSV in UTF-8: dates in ISO form, nothing where a value is missing or not defined."""
    from pyarrow import csv

    count = 0
    for place, batch in enumerate(batches):
        text = io.BytesIO()
        csv.write_csv(_plain(batch), text, csv.WriteOptions(include_header=place == 0))
        file.write(text.getvalue())
        count += batch.num_rows
    return count


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch that CSV can hold: NaN is missing, and what has no form in CSV is text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for column in batch.columns:
        kind = column.type
        if pa.types.is_floating(kind):
            columns.append(pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column))
        elif _has_form(kind):
            columns.append(column)
        else:
            columns.append(pa.array([None if one is None else str(one) for one in column.to_pylist()], pa.string()))
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _has_form(kind: pa.DataType) -> bool:
    """Return whether Arrow writes values of a type as everybody reads them."""
    import pyarrow as pa

    tests = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string, pa.types.is_date)
    return any(test(kind) for test in tests)


def save_model(model: Any, path: str, *, force: bool) -> None:
    """Write a model to a file that is whole or not there."""
    with writing.whole_file(path, replace=force) as beside:
        try:
            model.save(beside)
        except InvalidModelFile as err:  # of a file; that the model can be saved is another matter
            raise OutputError(str(err).replace(str(beside), path)) from err


@contextmanager
def to_standard_output() -> Iterator[TextIO]:
    """Give standard output; what keeps it from being written is told as such."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as err:
        raise unwritten(err) from err


def write_json(result: Any) -> None:
    """Write a result as JSON to standard output; what is not defined is null."""
    with to_standard_output() as out:
        out.write(json.dumps(result, allow_nan=False, indent=2) + "\n")
