"""Progress on standard error, where somebody watches it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Progress"]


class Progress:
    """A spinner with what is being done, and a bar where it is known how much there is; nothing in pipes.

    It is cleared away at the end, so that what is left on the terminal is what was said.
    """

    def __init__(self, *, shown: bool) -> None:
        self._live: Any = None
        self._task: Any = None
        self._shown = shown and sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Live

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
            )
            self._live = Live(*columns, console=Console(stderr=True), transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def step(self, what: str) -> None:
        """Show what is being done, of which nobody knows how long it takes."""
        self._show(what, None, None)

    def __call__(self, done: int, total: int, step: str) -> None:
        """Show how much is done, as `loyalty.report` tells it."""
        self._show(step, done, total)

    def _show(self, what: str, done: int | None, total: int | None) -> None:
        if self._live is None:
            return
        what = f"{what[:1].upper()}{what[1:]}"
        if self._task is None:
            self._task = self._live.add_task(what, total=total, completed=done or 0)
        else:
            self._live.update(self._task, description=what, total=total, completed=done or 0)

    def say(self, line: str) -> bool:
        """Write a line above what moves; returns whether anything moves."""
        if self._live is None:
            return False
        self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        return True
