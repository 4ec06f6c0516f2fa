"""Waiting for a query so that Ctrl-C is heard: Python tells of signals in the main thread, between its own steps only.

DuckDB asks for them too where it runs in the main thread, but not while it waits for threads of its own: on two cores
Ctrl-C waited up to the end of queries of six seconds. So the main thread hands its query to another one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

__all__ = ["interruptible"]

_PAUSE = 0.05  # seconds between two attempts to break a query off: one that has not begun yet cannot be

Result = TypeVar("Result")


class _Aside:
    """The thread that asks for the main thread: one, for as long as Python runs; a fork of the process has its own."""

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Begin with a new thread."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="loyalty-query")

    def ask(self, query: Callable[[], Result]) -> Future[Result] | None:
        """Begin a query; None where Python is about to end and begins no more threads."""
        try:
            return self._pool.submit(query)
        except RuntimeError:
            return None


_aside = _Aside()


def interruptible(query: Callable[[], Result], break_off: Callable[[], object]) -> Result:
    """Run a query; a signal whose handler raises, as that of Ctrl-C does, ends it within moments.

    Args:
        query: Runs it and returns its result; in another thread, if this one is the main thread.
        break_off: Breaks it off, called from the thread that waits.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the query has ended then. What else a handler raises comes through too,
            as does what the query raises.
    """
    asked = _aside.ask(query) if threading.current_thread() is threading.main_thread() else None
    if asked is None:
        return query()
    try:
        wait([asked])
    except BaseException:
        while not (asked.cancel() or asked.done()):
            break_off()
            wait([asked], _PAUSE)
        raise
    return asked.result()
