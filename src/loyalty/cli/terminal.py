"""What a run says beside its results: notes and progress, on standard error."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from loyalty.cli.failures import in_options, one_line
from loyalty.cli.progress import Progress
from loyalty.errors import LoyaltyWarning

__all__ = ["Terminal"]


class Terminal:
    """Where notes go while a command runs.

    Attributes:
        quiet: Whether only results and errors are wanted.
        debug: Whether errors and warnings are wanted with all that Python knows of them.
        options: The library's arguments to the options of the command.
    """

    def __init__(self, *, quiet: bool, debug: bool, options: Mapping[str, str]) -> None:
        self.quiet, self.debug, self.options = quiet, debug, options
        self._progress: Progress | None = None
        self._said: set[str] = set()

    def note(self, text: str) -> None:
        """Write a line to standard error, the same one once."""
        line = one_line(self.worded(text))
        if self.quiet or line in self._said:
            return
        self._said.add(line)
        if self._progress is None or not self._progress.say(line):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def worded(self, text: str) -> str:
        """Return a text of the library with options where it names arguments."""
        return in_options(text, self.options)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Give a progress display for the time of long work."""
        with Progress(shown=not self.quiet) as shown:
            self._progress = shown
            try:
                yield shown
            finally:
                self._progress = None

    @contextmanager
    def warnings_as_notes(self) -> Iterator[None]:
        """Make notes of the library's warnings; those of other libraries are for --debug."""
        with warnings.catch_warnings():
            if not self.debug:
                warnings.simplefilter("ignore")
                # It logs, rather than warns, that it has no folder to keep its list of fonts in.
                logging.getLogger("matplotlib").setLevel(logging.ERROR)
            warnings.simplefilter("always", LoyaltyWarning)
            usual = warnings.showwarning

            def show(message: Any, category: Any, *place: Any, **more: Any) -> None:
                if issubclass(category, LoyaltyWarning):
                    self.note(f"note: {message}")
                else:
                    usual(message, category, *place, **more)

            warnings.showwarning = show
            yield
