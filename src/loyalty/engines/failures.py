"""An engine's own errors become this library's, with the first lines of the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from loyalty.errors import UnsupportedSource

__all__ = ["plain_errors"]


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Raise `UnsupportedSource` where DuckDB fails on `what`, or a file on the way."""
    try:
        yield
    except (duckdb.Error, OSError) as err:
        lines = [line.strip() for line in str(err).splitlines() if line.strip()] or [type(err).__name__]
        raise UnsupportedSource(f"{what} could not be read: {' / '.join(lines[:3])}") from err
