"""An engine's own errors become this library's, with the first lines of the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from loyalty.errors import InvalidArgument, LoyaltyError, OutputError, UnsupportedSource

__all__ = ["output_errors", "plain_errors"]

_REMEDY = " / Save it as UTF-8, for example by: iconv -f WINDOWS-1252 -t UTF-8 old.csv > new.csv"
_DAMAGED = ("magic bytes", "too small to be a parquet", "failed to read file", "outside file", "corrupt",
            "tprotocolexception", "don't know what type")  # fmt: skip
_MEND = " / The file is damaged or was not written to its end: write it again, or leave it out."
_NO_ROOM = ("no space left", "file too large", "disk quota exceeded", "not enough space on the disk")
_BROKEN_OFF = "Query interrupted"
_NO_SPILLING = "max_temp_directory_size"


@contextmanager
def plain_errors(what: str, spill: str = "") -> Iterator[None]:
    """Raise an error of this library where DuckDB fails on `what`, or a file on the way.

    Args:
        what: What is read or computed, for messages.
        spill: The folder that what does not fit in memory goes to; "" where none is known.

    Raises:
        OutputError: That folder's disk is full.
        InvalidArgument: The memory that was allowed does not suffice.
        UnsupportedSource: Anything else.
        KeyboardInterrupt: Ctrl-C broke off the query, or a look at a table of Python's: DuckDB has errors of its own
            for that.
    """
    try:
        yield
    except LoyaltyError:
        raise
    except (duckdb.Error, OSError, RuntimeError) as err:
        if _broken_off(err):
            raise KeyboardInterrupt from err
        if isinstance(err, (duckdb.Error, OSError)):
            raise _plain(err, what, spill) from err
        raise


@contextmanager
def output_errors(path: Any, beside: Path) -> Iterator[None]:
    """Raise `OutputError` where DuckDB fails on the file that it writes.

    Args:
        path: The file as the caller named it.
        beside: The file that is written, to be moved there.
    """
    try:
        yield
    except duckdb.Error as err:
        if beside.stem not in str(err):
            raise
        why = "its disk is full" if _no_room(err) else str(err).splitlines()[0].replace(str(beside), os.fspath(path))
        raise OutputError(f"{os.fspath(path)} cannot be written: {why}. Pass a path on a disk with room.") from err


def _broken_off(err: BaseException) -> bool:
    """Return whether an error is what DuckDB makes of Ctrl-C."""
    said = str(err).rstrip(": \n")
    return said.endswith("KeyboardInterrupt") or (type(err) is RuntimeError and said == _BROKEN_OFF)


def _no_room(err: BaseException) -> bool:
    """Return whether an error says that a disk is full."""
    return any(sign in str(err).lower() for sign in _NO_ROOM)


def _plain(err: BaseException, what: str, spill: str) -> LoyaltyError:
    """Return an error of DuckDB or of a file as one of this library's."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()] or [type(err).__name__]
    if spill and (_no_room(err) or (isinstance(err, duckdb.OutOfMemoryException) and _NO_SPILLING in str(err))):
        return OutputError(
            f"there is no room left in {spill!r} for what does not fit in memory ({lines[0]}). Name a folder on a "
            "larger disk with temp_directory=, or allow more memory with memory_limit=."
        )
    if isinstance(err, duckdb.OutOfMemoryException):
        return InvalidArgument(
            f"the memory allowed does not suffice for {what} ({lines[0]}): pass a larger memory_limit=, such as "
            '"4GB", and a temp_directory= with room.'
        )
    said = str(err).lower()
    remedy = _REMEDY if "utf-8" in said else _MEND if any(sign in said for sign in _DAMAGED) else ""
    return UnsupportedSource(f"{what} could not be read: {' / '.join(lines[:3])}{remedy}")
