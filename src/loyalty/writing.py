"""Files that are written whole or not at all: nobody ever reads half of one, and an interrupted run leaves none."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from loyalty.errors import OutputError

__all__ = ["place_for", "whole_file", "write"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # what only writing can meet


def write(path: str | os.PathLike[str], data: bytes, *, replace: bool = True) -> Path:
    """Write a file whole or not at all, and return where it is.

    Args:
        path: Where to; a link stays one, and what it points to is written.
        data: The content.
        replace: Whether a file that is there already may be replaced. Its permissions stay.

    Raises:
        OutputError: There is such a file and it may not be replaced, or the place cannot be written to.

    Examples:
        >>> write("hello.txt", b"hello").read_bytes()
        b'hello'
    """
    with whole_file(path, replace=replace) as beside, _told(path):
        beside.write_bytes(data)
    return Path(path)


@contextmanager
def whole_file(path: str | os.PathLike[str], *, replace: bool = True) -> Iterator[Path]:
    """Give an empty file beside the one that is wanted; what was written there is moved into place if nothing failed.

    Errors inside the `with` pass as they are, unless they are about that file or say that there is no more room.

    Args:
        path: Where the file is to be.
        replace: Whether a file that is there already may be replaced. One that comes up meanwhile may not either.

    Yields:
        The path of the empty file, of the same ending.

    Raises:
        OutputError: There is such a file and it may not be replaced, or the place cannot be written to.

    Examples:
        >>> with whole_file("hello.txt") as beside:
        ...     _ = beside.write_text("hello")
        >>> Path("hello.txt").read_text()
        'hello'
    """
    target = place_for(path, replace=replace)
    beside = target.with_name(f".{uuid.uuid4().hex}{target.suffix}")
    try:
        with _told(path):
            beside.touch(_mode(target) | stat.S_IWUSR, exist_ok=False)  # never readable by more than before
        try:
            yield beside
        except OSError as err:
            if _is_about(err, beside):
                raise _unwritable(path, err) from err
            raise
        with _told(path):
            _keep(beside)
            (_move_over if replace else _move_beside)(beside, target)
    finally:
        with suppress(OSError):  # it has moved; or, on Windows, what failed has it open still
            beside.unlink()


def place_for(path: str | os.PathLike[str], *, replace: bool = True) -> Path:
    """Return where a file goes: a link stays one, and a device is not replaced by a file.

    Called before long work, so that a path that cannot be is told at once.

    Args:
        path: Where the file is to be.
        replace: Whether a file that is there already may be replaced.

    Returns:
        The place with all links followed.

    Raises:
        OutputError: There is such a file and it may not be replaced, or the place cannot be written to.
    """
    with _told(path, (OSError, TypeError, ValueError, RuntimeError)):  # …, no path, a null character, a loop of links
        target = Path(path).resolve()
        found = _found(Path(path))
        objection = _no_folder(target.parent) if found is None else _no_file(target, found)
        if objection:
            raise _unwritable(path, objection)
        if found and not replace:
            raise _taken(path)
    return target


def _found(path: Path) -> os.stat_result | None:
    """Return what is known of a file, or None where there is none."""
    try:
        return path.stat()  # not of the resolved path: /dev/stdout may be a pipe, which has no path
    except FileNotFoundError:
        return None


def _no_folder(folder: Path) -> str:
    """Return what speaks against writing in a folder, or nothing."""
    if not folder.is_dir():
        return f"there is no folder {os.fspath(folder)!r}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {os.fspath(folder)!r} is not yours to write in"
    return ""


def _no_file(target: Path, found: os.stat_result) -> str:
    """Return what speaks against replacing a file, or nothing."""
    if stat.S_ISDIR(found.st_mode):
        return "it is a folder"
    if not stat.S_ISREG(found.st_mode) or _is_output(found):
        return "it is no ordinary file"
    if not os.access(target, os.W_OK):
        return "it is write-protected"
    return _no_folder(target.parent)


def _is_output(found: os.stat_result) -> bool:
    """Return whether a file is where this program's own output goes: /dev/stdout, where that is led into a file."""
    for number in (1, 2):
        with suppress(OSError):
            if found.st_ino and os.path.samestat(found, os.fstat(number)):
                return True
    return False


def _mode(target: Path) -> int:
    """Return the permissions of a file, and for one that is not there yet those that new files have."""
    found = _found(target)
    return stat.S_IMODE(found.st_mode) & 0o777 if found else 0o666  # less the umask


def _keep(beside: Path) -> None:
    """Make sure that what was written is on the disk, and not only on its way there."""
    with beside.open("rb+") as file:
        os.fsync(file.fileno())


def _move_over(beside: Path, target: Path) -> None:
    """Move a file to its place; the permissions of one that is there stay."""
    if target.exists():
        beside.chmod(_mode(target))
    beside.replace(target)


def _move_beside(beside: Path, target: Path) -> None:
    """Move a file to a place that must be free: a link is made only where nothing has the name."""
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except OSError:  # file systems without links: the name is taken first, which one alone can do
        target.touch(exist_ok=False)
        try:
            beside.replace(target)
        except BaseException:
            target.unlink()
            raise


def _is_about(err: OSError, beside: Path) -> bool:
    """Return whether an error inside the `with` is about the file, and not about something else."""
    return beside.stem in str(err) or (err.filename is None and err.errno in _NO_ROOM)


@contextmanager
def _told(path: Any, kinds: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """Tell errors of some kinds as errors about the path."""
    try:
        yield
    except OutputError:
        raise
    except FileExistsError as err:
        raise _taken(path) from err
    except kinds as err:
        raise _unwritable(path, err) from err


def _taken(path: Any) -> OutputError:
    return OutputError(f"{_named(path)} is there already: choose another name, or remove it first.")


def _unwritable(path: Any, why: str | Exception) -> OutputError:
    why = getattr(why, "strerror", None) or why
    return OutputError(
        f"{_named(path)} cannot be written: {why}. Pass a path in a folder that is there and yours to write in."
    )


def _named(path: Any) -> str:
    """Return a path as errors show it."""
    return f"{os.fspath(path) if isinstance(path, os.PathLike) else path!r:.200}"
