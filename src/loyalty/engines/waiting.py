"""Waiting for a query so that Ctrl-C is heard: Python tells of signals in the main thread, between its own steps only.

DuckDB asks for them too where it runs in the main thread, but not while it waits for threads of its own: on two cores
Ctrl-C waited up to the end of queries of six seconds. So the main thread hands its query to another one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

__all__ = ["interruptible"]

_PAUSE = 0.05  # seconds between two attempts to break a query off: one that has not begun yet cannot be

Result = TypeVar("Result")


def interruptible(query: Callable[[], Result], break_off: Callable[[], object]) -> Result:
    """Run a query; a signal whose handler raises, as that of Ctrl-C does, ends it within moments.

    Args:
        query: Runs it and returns its result; in another thread, if this one is the main thread.
        break_off: Breaks it off, called from the thread that waits.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the query has ended then. What else a handler raises comes through too,
            as does what the query raises.
    """
    if threading.current_thread() is not threading.main_thread():
        return query()
    asked: Future[Result] = Future()
    try:
        threading.Thread(target=_answer, args=(asked, query), name="loyalty-query", daemon=True).start()
        wait([asked])
    except BaseException:
        while not (asked.cancel() or asked.done()):
            break_off()
            wait([asked], _PAUSE)
        raise
    return asked.result()


def _answer(asked: Future[Result], query: Callable[[], Result]) -> None:
    """Run a query that has not been given up yet."""
    if not asked.set_running_or_notify_cancel():
        return
    try:
        asked.set_result(query())
    except BaseException as err:  # noqa: BLE001 (it is raised where the query was asked)
        asked.set_exception(err)
