"""A folder that Spark fills is whole or not there: Spark itself leaves that of a failed write, and refuses it later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loyalty.engines.spark.failures import first_lines, stopped
from loyalty.errors import OutputError

__all__ = ["new_folder"]

_PATIENCE = 10.0  # seconds for tasks of a failed job to end
_PAUSE = 0.05


@contextmanager
def new_folder(session: Any, path: str, tag: str) -> Iterator[None]:
    """Have a folder filled that is not there yet; where that fails, in whatever way, nothing of it stays.

    Args:
        session: The Spark session.
        path: The folder, of any scheme that Spark can write to.
        tag: What the jobs bear that fill it, and no others.

    Raises:
        OutputError: It is there already, or what was written of it cannot be removed.
    """
    folder = session._jvm.org.apache.hadoop.fs.Path(path)  # noqa: SLF001
    system = folder.getFileSystem(session._jsparkSession.sessionState().newHadoopConf())  # noqa: SLF001
    if system.exists(folder):
        raise _there(path)
    try:
        yield
    except BaseException as err:
        if _found_there(err):  # another made it since we looked
            raise _there(path) from err
        if not stopped(session):
            _remove(session, system, folder, path, tag, err)
        raise


def _there(path: str) -> OutputError:
    return OutputError(f"{path!r} cannot be written: it is there already: choose another path, or remove it first.")


def _found_there(err: BaseException) -> bool:
    """Return whether Spark refused the path before it touched it."""
    condition = getattr(err, "getCondition", None)
    return condition is not None and condition() == "PATH_ALREADY_EXISTS"


def _remove(session: Any, system: Any, folder: Any, path: str, tag: str, err: BaseException) -> None:
    """Remove what was written; a task that outlives its job would make the folder anew."""
    try:
        session.sparkContext.cancelJobsWithTag(tag)  # whoever broke off the call has not stopped them
        _wait(session, tag)
        system.delete(folder, True)  # noqa: FBT003 (Java: with all that is in it)
    except Exception as left:  # noqa: BLE001 (of many kinds: it comes from Java)
        raise OutputError(
            f"{path!r} cannot be written: {first_lines(err)}. Part of it is there, which could not be removed "
            f"({first_lines(left)}): remove it before you try again."
        ) from err


def _wait(session: Any, tag: str) -> None:
    """Wait until no task of the jobs with a tag runs, but not for ever."""
    tracker = session.sparkContext.statusTracker()
    jobs = session.sparkContext._jsc.sc().statusTracker().getJobIdsForTag(tag)  # noqa: SLF001
    stages = {stage for job in jobs for stage in getattr(tracker.getJobInfo(job), "stageIds", ())}
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if not any(info and info.numActiveTasks for info in map(tracker.getStageInfo, stages)):
            return
        time.sleep(_PAUSE)
