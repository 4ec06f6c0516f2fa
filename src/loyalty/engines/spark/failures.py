"""Spark's errors become this library's, with the first lines of the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loyalty.errors import LoyaltyError, UnsupportedSource

__all__ = ["STOPPED", "first_lines", "is_from_spark", "plain_errors", "stopped"]

STOPPED = "the Spark session was stopped, and what was kept in it is gone: open the transactions again in a new one."


@contextmanager
def plain_errors(what: str, session: Any) -> Iterator[None]:
    """Raise `UnsupportedSource` where Spark fails on `what`."""
    try:
        yield
    except LoyaltyError:
        raise
    except Exception as err:
        if stopped(session):  # PySpark then runs into errors of any kind
            raise UnsupportedSource(STOPPED) from err
        if is_from_spark(err):
            raise UnsupportedSource(f"{what} could not be read: {first_lines(err)}") from err
        raise


def is_from_spark(err: Exception) -> bool:
    """Return whether an error is Spark's own, or of the bridge to Java."""
    from pyspark.errors import PySparkException

    return isinstance(err, (PySparkException, OSError)) or type(err).__module__.startswith("py4j.")


def stopped(session: Any) -> bool:
    """Return whether a session can no longer run anything."""
    try:
        return session.sparkContext._jsc is None or bool(session.sparkContext._jsc.sc().isStopped())  # noqa: SLF001
    except Exception:  # noqa: BLE001 (of many kinds: the process of Java is gone)
        return True


def first_lines(err: BaseException, most: int = 3) -> str:
    """Return the first lines of a reason, in Java of the innermost one: those around it say what waited for it."""
    reason = getattr(err, "java_exception", None)
    text = str(err)
    if reason is not None:
        while reason.getCause() is not None:
            reason = reason.getCause()
        text = str(reason.getMessage() or reason.toString())
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(err).__name__]
    return " / ".join(lines[:most])
