"""What is built once, by whichever thread asks first, while the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Once"]


class Once:
    """Names of what has been built, and a lock for each that is being built."""

    def __init__(self) -> None:
        self._built: set[str] = set()
        self._building: dict[str, threading.RLock] = {}
        self._lock = threading.Lock()  # held for moments only

    def build(self, name: str, make: Callable[[], None]) -> None:
        """Call `make` unless it was called for this name before; one that failed is tried again by the next caller."""
        if name in self._built:
            return
        with self._lock:
            building = self._building.setdefault(name, threading.RLock())
        with building:
            if name not in self._built:
                make()
                self._built.add(name)
