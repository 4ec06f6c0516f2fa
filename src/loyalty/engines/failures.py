"""An engine's own errors become this library's, with the first lines of the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from loyalty.errors import UnsupportedSource

__all__ = ["plain_errors"]

_REMEDY = " / Save it as UTF-8, for example by: iconv -f WINDOWS-1252 -t UTF-8 old.csv > new.csv"


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Raise `UnsupportedSource` where DuckDB fails on `what`, or a file on the way."""
    try:
        yield
    except (duckdb.Error, OSError) as err:
        lines = [line.strip() for line in str(err).splitlines() if line.strip()] or [type(err).__name__]
        remedy = _REMEDY if any("utf-8" in line.lower() for line in lines) else ""
        raise UnsupportedSource(f"{what} could not be read: {' / '.join(lines[:3])}{remedy}") from err
