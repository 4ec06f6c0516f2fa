"""Where the command begins: whatever comes, from the first moment on, it ends with a code and a sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from loyalty.cli import stopping

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: What follows the command's name. If None that of the process, which is then taken to end with the
            run: a signal that it was sent is followed by no other.

    Returns:
        0: done; 1: the data or the numbers do not allow it; 2: wrong usage; 3: a file cannot be written; 70: an error
        of the program; 130 and 143: interrupted, terminated; 141: nobody reads the output any more.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    _open_streams()
    try:
        with stopping.stoppable(last=arguments is None):
            from loyalty.cli.app import run  # half a second in which a signal may come already

            code = run(given)
            if stopping.code():
                stopping.say()
            return stopping.code() or code
    except BaseException:
        if not stopping.code():
            raise
        stopping.say()
        return stopping.code()


def _open_streams() -> None:
    """Lead streams that whoever started the process closed to nowhere, and let no file take their place."""
    if sys.stdout is not None and sys.stderr is not None:
        return
    place = os.open(os.devnull, os.O_RDWR)
    while place < 3:
        place = os.open(os.devnull, os.O_RDWR)
    os.close(place)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 (as long as the process)
