"""Results on standard output as people read them: sentences and tables, as wide as the terminal, or as they need."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from loyalty import wording
from loyalty.cli.failures import one_line
from loyalty.cli.output import to_standard_output

if TYPE_CHECKING:
    from loyalty.estimates import Estimate

__all__ = ["estimate_rows", "show"]

_GAP = 2  # blanks between columns
_NATURAL = 10_000  # letters in a line where nothing has an edge: files and pipes


def show(*parts: Any) -> None:
    """Write sentences (text) and tables (header, rows) to standard output.

    Args:
        parts: Each a text, or a pair of column headings and rows of text. The first column is a name, the others are
            numbers, set flush right.
    """
    from rich.console import Console
    from rich.text import Text

    with to_standard_output() as out:
        terminal = out.isatty()
        text = io.StringIO()  # Rich would end the process itself where nobody reads
        console = Console(file=text, force_terminal=terminal or None, highlight=False, markup=False, emoji=False)
        room = shutil.get_terminal_size().columns if terminal else _NATURAL
        for part in parts:
            if isinstance(part, str):
                console.width = room
                console.print(Text("\n".join(map(one_line, part.split("\n")))))
            else:
                table, console.width = _table(part[0], part[1], room)
                console.print(table)
        out.write(text.getvalue())


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], room: int) -> tuple[Any, int]:
    """Return a table without a frame, to be read, cut and searched as text, and how wide it is.

    Names and headings may break between words; numbers never do, whatever room there is.
    """
    from rich.table import Table
    from rich.text import Text

    header, rows = [one_line(name) for name in header], [[one_line(cell) for cell in row] for row in rows]
    names = [header[0], *(row[0] for row in rows)]
    gaps = _GAP * (len(header) - 1)
    widths = [_longest([header[at], *(row[at] for row in rows)]) for at in range(len(header))]
    if sum(widths) + gaps > room:
        widths = [0, *(_longest([*header[at].split(), *(row[at] for row in rows)]) for at in range(1, len(header)))]
        least = _longest([word for name in names for word in name.split()])
        widths[0] = max(least, min(_longest(names), room - sum(widths) - gaps))
    table = Table(box=None, pad_edge=False, padding=0, header_style="bold")
    table.add_column(Text(header[0]), width=widths[0], vertical="bottom")
    for name, width in zip(header[1:], widths[1:], strict=True):  # the gap stands before what is flush right
        table.add_column(Text(name), justify="right", width=_GAP + width, vertical="bottom")
    table.add_row(*(Text("─" * width) for width in widths))
    for row in rows:
        table.add_row(*map(Text, row))
    return table, max(room, sum(widths) + gaps)


def _longest(texts: Sequence[str]) -> int:
    """Return the width of the longest text in a terminal's columns."""
    from rich.cells import cell_len

    return max(map(cell_len, texts), default=0)


def estimate_rows(estimates: Iterable[Estimate]) -> list[tuple[str, str, str, str]]:
    """Return name, value, interval and number of units of estimates, as text."""
    return [
        (
            f"{item.name[:1].upper()}{item.name[1:]}",
            wording.quantity(item.value, item.unit),
            _interval(item),
            wording.plain(item.n),
        )
        for item in estimates
    ]


def _interval(item: Estimate) -> str:
    """Return an interval; the unit stands with the value, but for the sign of shares."""
    if wording.missing(item.low) and wording.missing(item.high):
        return ""
    if item.unit == "share":
        return wording.span(item.low, item.high, item.unit)
    return f"{wording.number(item.low, item.unit)} to {wording.number(item.high, item.unit)}"
