"""States on disk: a folder of Parquet segments and the header that names them. Nothing in it is ever run.

Segments are written under new names and never changed. They count from the moment that the header naming them is in
its place, which happens at once or not at all: a run that is killed leaves the state as it was, and files that nobody
names, which the next save removes. Writers take turns by a lock, and one that comes with a state that is no longer the
last is refused. Readers take no lock: the files of the revision before stay until the save after next.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import uuid
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loyalty import periods
from loyalty.errors import InvalidModelFile, LoyaltyError, OutputError
from loyalty.state import header
from loyalty.state.header import HEADER, Header
from loyalty.state.locking import locked
from loyalty.writing import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loyalty.engines.stored import Stored
    from loyalty.state.layers import Layers, Segment
    from loyalty.state.merging import Content
    from loyalty.state.settings import Settings

__all__ = ["folder_of", "loaded", "saved"]

LOCK = "lock"
_BESIDE = re.compile(r"\.[0-9a-f]{32}\.json")  # a header that was never moved to its place
_TRIES = 5


def folder_of(path: Any) -> Path:
    """Return the folder that a path names, all links followed.

    Raises:
        OutputError: It is no path.
    """
    try:
        return Path(os.fspath(path)).resolve()
    except (TypeError, ValueError, OSError) as err:
        raise OutputError(f"{path!r:.200} is no path of a folder: pass one to keep the state in.") from err


def saved(
    folder: Path, engine: Stored, settings: Settings, content: Content, *, base: str | None, replace_any: bool
) -> Header:
    """Write a state to a folder, whole or not at all.

    Args:
        folder: The folder; made if there is none.
        engine: Where segments live that are not in files yet.
        settings: The rules of the state.
        content: What it holds.
        base: The revision in the folder that this state came from; None: it did not come from there.
        replace_any: Whether another state that is there may be replaced.

    Returns:
        The header, whose content lies in files.

    Raises:
        OutputError: Another writer was there, or the folder cannot be written to.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as err:
        raise OutputError(f"{str(folder)!r} cannot be made a folder: {err.strerror or err}.") from err
    with locked(folder / LOCK), _told(folder):
        there = _there(folder, lenient=replace_any)
        _refuse_other(folder, there, base, replace_any=replace_any)
        tables: dict[str, Any] = {table.name: _in_files(folder, engine, table) for table in content.tables}
        _settle(folder)
        content = replace(content, **tables)
        new = Header(uuid.uuid4().hex, settings, content, ())
        new = replace(new, previous=tuple((there.files if there else set()) - new.files))
        write(folder / HEADER, header.text(new).encode())
        _settle(folder)
        _tidy(folder, new.files.union(new.previous))
    return new


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tell errors of the file system as errors about the folder."""
    try:
        yield
    except LoyaltyError:
        raise
    except OSError as err:
        raise OutputError(
            f"the state in {str(folder)!r} could not be written: {err.strerror or err}. It is as it was."
        ) from err


def _there(folder: Path, *, lenient: bool) -> Header | None:
    """Return the header that is in a folder; a broken one counts as none where anything may be replaced."""
    try:
        return header.read(folder)
    except InvalidModelFile:
        if lenient:
            return None
        raise


def _refuse_other(folder: Path, there: Header | None, base: str | None, *, replace_any: bool) -> None:
    """Raise where the folder holds another state than the one that is to be replaced."""
    if there is None or replace_any or there.revision == base:
        return
    if base is None:
        raise OutputError(
            f"{str(folder)!r} holds a state already (observed until {periods.to_date(there.content.until)}): load that "
            "one and merge into it, choose another folder, or pass replace=True."
        )
    raise OutputError(
        f"the state in {str(folder)!r} was saved by another writer since this one was loaded: nothing was written. "
        "Load it again, merge your batch (one that is in it already changes nothing) and save."
    )


def _in_files(folder: Path, engine: Stored, table: Layers) -> Layers:
    """Return a table whose segments are all files of the folder."""
    segments = []
    for segment in table.segments:
        if segment.path is not None and segment.path.parent == folder:
            segments.append(segment)
            continue
        path = folder / f"{table.name}-{uuid.uuid4().hex}.parquet"
        if segment.path is not None:
            shutil.copyfile(segment.path, path)
        else:
            engine.export(engine.table(segment.table), path)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        segments.append(replace(segment, table="", path=path, digest=_sha256(path), size=path.stat().st_size))
    return replace(table, segments=tuple(segments))


def _settle(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk, too."""
    if sys.platform == "win32":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _tidy(folder: Path, named: set[str]) -> None:
    """Remove segments that no header names, and headers that never came to their place."""
    for path in folder.iterdir():
        if (header.is_segment(path.name) and path.name not in named) or _BESIDE.fullmatch(path.name):
            with suppress(OSError):  # on Windows, somebody still reads it: the next save will
                path.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def loaded(folder: Path, *, check: bool) -> Header:
    """Return the state in a folder, its segments checked.

    Args:
        folder: The folder.
        check: Whether the digests of all segments are computed, which takes reading every file once; their sizes are
            compared in any case.

    Raises:
        InvalidModelFile: There is none, or it was damaged, edited or written by a later version of the library.
    """
    for left in range(_TRIES, 0, -1):
        found = header.read(folder)
        if found is None:
            raise InvalidModelFile(f"{str(folder)!r} holds no state: pass the folder that one was saved to.")
        try:
            for table in found.content.tables:
                for segment in table.segments:
                    _look_at(segment, check=check)
        except FileNotFoundError as err:  # two saves since the header was read, or somebody removed it
            if left > 1:
                continue
            raise InvalidModelFile(
                f"the file {err.filename!r} of the state is missing: restore the folder from a copy."
            ) from err
        return found
    raise AssertionError  # pragma: no cover


def _look_at(segment: Segment, *, check: bool) -> None:
    """Raise where a file is not the one that was saved."""
    path = segment.path
    assert path is not None  # noqa: S101 (for the type checker)
    if path.stat().st_size != segment.size or (check and _sha256(path) != segment.digest):
        raise InvalidModelFile(
            f"{str(path)!r} was changed or damaged after it was saved: restore the folder from a copy, or begin "
            "anew with CustomerState.from_()."
        )
