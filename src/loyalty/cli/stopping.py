"""Signals that end a run: they are raised as exceptions, so that what was begun is cleared away, and remembered."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

__all__ = ["code", "stoppable"]

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_PAUSE = 0.05  # seconds between two looks at whether a query has noticed
_received: list[int] = []


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on the signals that end a process; those that are ignored (nohup) stay so."""
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    with ExitStack() as ending:
        ending.enter_context(_queries_broken_off())
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _stop)
                ending.callback(signal.signal, number, handler if handler is not None else signal.SIG_DFL)
        yield


def code() -> int:
    """Return the exit code that shells know of a signal that was received, 128 and its number; 0 if there was none.

    Libraries may turn the interrupt into an error of theirs, so this counts and not what was raised.
    """
    return 128 + _received[0] if _received else 0


def _stop(number: int, _: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


@contextmanager
def _queries_broken_off() -> Iterator[None]:
    """Break off queries when a signal comes.

    Python handles signals between its own steps. While the engine works for minutes there is none, so a thread waits
    for what the system writes to a socket at once.
    """
    heard, told = socket.socketpair()
    with heard, told:
        told.settimeout(0.0)
        before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        done = threading.Event()
        waiting = threading.Thread(target=_wait, args=(heard, done), daemon=True)
        waiting.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            done.set()
            told.send(b"\0")
            waiting.join()


def _wait(heard: socket.socket, done: threading.Event) -> None:
    """Break off queries from the first signal until it has been raised."""
    ending = {int(getattr(signal, name)) for name in _ENDING if hasattr(signal, name)}
    while not done.is_set():
        numbers = set(heard.recv(64))
        while numbers & ending and not _received and not done.is_set():
            engines = sys.modules.get("loyalty.engines")
            if engines is not None:
                engines.break_off()
            done.wait(_PAUSE)
