"""One writer at a time: a lock on a file, which the system lets go of by itself when its holder ends, however it ends.

The file stays: removing it would let two writers hold "the" lock, each on a file of its own. `fcntl` and `msvcrt` of
the standard library do this; there is nothing stale to clean up, which is what a library for it would be wanted for.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loyalty.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["locked"]

_PAUSE = 0.02  # seconds between two tries


@contextmanager
def locked(path: Path, patience: float = 60.0) -> Iterator[None]:
    """Hold a lock that no other process and no other thread holds.

    Args:
        path: The file to lock; it is made if there is none.
        patience: Seconds to wait for another holder.

    Raises:
        OutputError: Another holder did not let go in time, or the file cannot be made.
    """
    try:
        file = path.open("ab")
    except OSError as err:
        raise OutputError(f"{str(path)!r} cannot be written: {err.strerror or err}.") from err
    with file:
        for _ in range(int(patience / _PAUSE) + 1):
            if _taken(file.fileno()):
                break
            time.sleep(_PAUSE)
        else:
            raise OutputError(
                f"another process has been writing to {str(path.parent)!r} for {patience:g} seconds: let it end, then "
                "load the state, merge and save again."
            )
        yield  # closing the file lets go


def _taken(number: int) -> bool:
    """Return whether the lock on an open file is ours now."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
