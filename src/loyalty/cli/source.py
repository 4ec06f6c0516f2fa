"""The rows of a run: standard input laid down in a file, columns named, transactions opened and closed."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from loyalty.cli import columns
from loyalty.cli.failures import WrongUsage
from loyalty.errors import EmptyData

if TYPE_CHECKING:
    from loyalty.cli.options import Source
    from loyalty.cli.terminal import Terminal
    from loyalty.transactions import Transactions

__all__ = ["check_tables", "opened"]

_STANDARD_INPUT = "-"
# What a file begins with, and the ending that says so. Databases are told by their beginning anyway.
_BEGINNINGS = ((b"PAR1", ".parquet"), (b"\x1f\x8b", ".csv.gz"), (b"\x28\xb5\x2f\xfd", ".csv.zst"))


@contextmanager
def opened(source: Source, terminal: Terminal) -> Iterator[Transactions]:
    """Give the transactions of a source.

    Raises:
        WrongUsage: The source cannot be meant.
        LoyaltyError: It cannot be read, or its rows cannot be used.
        typer.Exit: Columns are not named; what to do has been said.
    """
    with _as_paths(source.source, terminal) as paths:
        named = _columns(source, paths, terminal)
        with _rows(source, paths, named, terminal) as tx:
            terminal.note(str(tx))
            yield tx


def _columns(source: Source, paths: list[str], terminal: Terminal) -> dict[str, str]:
    """Return role → column, once it is known that the source can be read."""
    from loyalty import engines

    with terminal.progress() as progress:
        progress.step("looking at the columns")
        data = engines.open_source(list(paths), source.table)
        named = columns.named(source, data)
    if named is None:
        raise typer.Exit(2)
    if told := columns.told(source, named):
        terminal.note(told)
    return named


def _rows(source: Source, paths: list[str], named: dict[str, str], terminal: Terminal) -> Transactions:
    """Return the transactions, read with all that was said of them."""
    from loyalty.transactions import transactions

    with terminal.progress() as progress:
        progress.step("reading the rows")
        return transactions(
            list(paths),
            table=source.table,
            **named,
            order=source.order,
            product=source.product,
            discount=source.discount,
            cost=source.cost,
            observed_from=source.observed_from,
            observed_until=source.observed_until,
            occasion=source.occasion,
            returns=source.returns,
            invalid=source.invalid,
            timezone=source.timezone,
        )


def check_tables(*paths: str | None) -> None:
    """Raise where a table beside the transactions cannot be read, before anything is computed.

    Raises:
        InvalidArgument: There is no such file.
        UnsupportedSource: It cannot be read.
    """
    from loyalty import engines

    for path in filter(None, paths):
        if engines.database_kind(path):
            raise WrongUsage(
                f"{path!r} is a database, and a table beside the transactions is a CSV or Parquet file: export it."
            )
        _ = engines.open_source(path).labels


@contextmanager
def _as_paths(given: list[str], terminal: Terminal) -> Iterator[list[str]]:
    """Give paths and globs, standard input among them as a temporary file that is removed in the end."""
    if _STANDARD_INPUT not in given:
        yield given
        return
    if len(given) > 1:
        raise WrongUsage("- is standard input and stands alone: name the files without it, or pipe all of them.")
    if sys.stdin is None or sys.stdin.isatty():
        raise WrongUsage("- reads standard input, and nothing is piped into it: name a file, or pipe one.")
    with tempfile.TemporaryDirectory(prefix="loyalty-") as folder:
        with terminal.progress() as progress:
            progress.step("reading standard input")
            path = _laid_down(Path(folder))
        yield [str(path)]


def _laid_down(folder: Path) -> Path:
    """Write standard input into a file, and return it with the ending that its first bytes ask for."""
    data = sys.stdin.buffer
    begin = data.read(16)
    if not begin:
        raise EmptyData("standard input is empty.")
    ending = next((ending for beginning, ending in _BEGINNINGS if begin.startswith(beginning)), ".csv")
    path = folder / f"standard-input{ending}"
    with path.open("wb") as file:
        file.write(begin)
        shutil.copyfileobj(data, file, 1 << 20)
    return path
