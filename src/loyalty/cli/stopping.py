"""Signals that end a run: they are raised as exceptions, so that what was begun is cleared away, and remembered."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any

__all__ = ["code", "say", "stoppable"]

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_PAUSE = 0.05  # seconds between two looks at whether the run has noticed
_LONGEST_IMPORT = 10.0  # seconds
_PATIENCE = 3.0  # seconds in which further signals are taken for impatience


class _Run:
    """What is known of the signals of a run."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.first = 0.0  # when the first one came
        self.raised = 0.0  # when it was raised, 0 if it must be yet
        self.ending = False  # nothing is raised any more
        self.said = False


_run = _Run()


@contextmanager
def stoppable(*, last: bool = False) -> Iterator[None]:
    """Raise `KeyboardInterrupt` on the signals that end a process; those that are ignored (nohup) stay so.

    It is raised once: signals that follow soon do not disturb the clearing away. It is not lost either. While modules
    are imported it waits, for some who import catch whatever is raised; where Python could not pass it on, as out of
    a destructor, it is raised again; and queries are broken off until the run has ended.

    Args:
        last: Whether the process ends with the run: then signals are ignored from the first one to the end.
    """
    global _run  # noqa: PLW0603 (a handler of signals can be given nothing)
    _run = run = _Run()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    caught = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    try:
        for number in caught:
            signal.signal(number, _stop)
        with _raised_again(), _watched(run):
            yield
            run.ending = True
    finally:
        run.ending = True
        for number, handler in caught.items():
            signal.signal(number, _left(handler, run, last=last))


def _left(before: Any, run: _Run, *, last: bool) -> Any:
    """Return the handler that stays behind: a process about to end says nothing of signals any more."""
    if last and run.received:
        return signal.SIG_IGN
    if before is None or (last and before is signal.default_int_handler):
        return signal.SIG_DFL
    return before


def code() -> int:
    """Return the exit code that shells know of a signal that was received, 128 and its number; 0 if there was none.

    Libraries may turn the interrupt into an error of theirs, so this counts and not what was raised.
    """
    return 128 + _run.received[0] if _run.received else 0


def say() -> None:
    """Say on standard error that the run was stopped, once."""
    _run.ending = True
    if _run.said:
        return
    _run.said = True
    with suppress(OSError, ValueError):  # closed: there is nobody left to tell
        sys.stderr.write(f"loyalty: {'interrupted' if code() == 130 else 'terminated'}.\n")
        sys.stderr.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if not _run.received:
        _run.received.append(number)
        _run.first = now
    if _run.ending or (_run.raised and now - _run.raised < _PATIENCE):
        return
    if not _run.raised and now - _run.first < _LONGEST_IMPORT and _importing(frame):
        return  # `_watch` sends it again
    _run.raised = now
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    """Return whether a frame runs on behalf of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def _raised_again() -> Iterator[None]:
    """See to it that an interrupt which Python could not pass on is raised again."""
    usual = sys.unraisablehook

    def note(lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt) and _run.received:
            _run.raised = 0.0
        else:
            usual(lost)

    sys.unraisablehook = note
    try:
        yield
    finally:
        sys.unraisablehook = usual


@contextmanager
def _watched(run: _Run) -> Iterator[None]:
    """Break off queries when a signal comes.

    Python handles signals between its own steps, and an engine at work for minutes need not let it come to one. So a
    thread waits for what the system writes to a socket at once.
    """
    import socket

    heard, told = socket.socketpair()
    with ExitStack() as ending:
        ending.enter_context(heard)
        ending.enter_context(told)
        told.settimeout(0.0)
        before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        waiting = threading.Thread(target=_watch, args=(heard, run), daemon=True)
        waiting.start()
        ending.callback(waiting.join)
        ending.callback(_wake, told, run)
        ending.callback(signal.set_wakeup_fd, before)
        yield


def _wake(told: Any, run: _Run) -> None:
    """Let the thread that waits come to its end."""
    run.ending = True
    with suppress(OSError):  # it is full of signals, and awake
        told.send(b"\0")


def _watch(heard: Any, run: _Run) -> None:
    """Break off queries from the first signal to the end of the run, and send it again until it has been raised."""
    ending = {int(getattr(signal, name)) for name in _ENDING if hasattr(signal, name)}
    ignored = {number for number in ending if signal.getsignal(number) is signal.SIG_IGN}
    while not run.ending:
        numbers = (set(heard.recv(64)) & ending) - ignored
        while numbers and not run.ending:
            engines = sys.modules.get("loyalty.engines")
            with suppress(Exception):  # half imported, or closed at this moment
                engines.break_off()  # type: ignore[union-attr]
            time.sleep(_PAUSE)
            if run.received and not run.raised and not run.ending:
                _send(run.received[0])


def _send(number: int) -> None:
    """Send a signal to the main thread, also to wake it where it waits for the system."""
    thread = threading.main_thread().ident
    if os.name == "posix" and thread is not None:
        signal.pthread_kill(thread, number)
    else:
        signal.raise_signal(number)
