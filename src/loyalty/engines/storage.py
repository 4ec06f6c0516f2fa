"""Where an engine keeps its tables: in memory or, where that is limited, in a file; and that nothing of it stays.

What `memory_limit` promises is the memory of the whole process while the library works, so DuckDB is given less: Python
with its libraries, and the arrays that models are fitted on, come besides.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loyalty.engines import connections
from loyalty.engines.canonical import literal
from loyalty.engines.failures import plain_errors
from loyalty.errors import InvalidArgument, OutputError, UnsupportedSource

if TYPE_CHECKING:
    import duckdb

__all__ = ["Storage"]

_TABLES = "loyalty_tables"  # what the file is called inside the database
_UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
_PYTHON = 200e6  # bytes that Python with its libraries holds before anything is computed
_ENGINE = 0.7  # of the rest: what DuckDB may take; arrays of cells need less than what it leaves
_RESULT = 0.1  # of the rest: what a result handed back may take to be read
_THREAD = 200e6  # bytes that a thread needs to be of use
_ANYHOW = 0.25  # of the whole: what DuckDB gets where Python leaves less


class Storage:
    """A folder of its own for what does not fit in memory, and the database that an engine works in.

    Attributes:
        folder: The folder; removed by `remove`, when the storage is forgotten, or when Python ends.
        limited: Whether a limit of memory was given: then tables lie in a file, of which memory holds what it can.
    """

    def __init__(self, memory_limit: Any, temp_directory: Any) -> None:
        self._given = f"memory_limit={memory_limit!r}, temp_directory={temp_directory!r}"
        self.limited = memory_limit is not None
        self._limit = _bytes(memory_limit) if self.limited else 0.0
        self._parent = None if temp_directory is None else _path(temp_directory)
        self.folder = _new(self._parent)
        self._at_the_end = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        _make(self.folder)

    def opened(self) -> duckdb.DuckDBPyConnection:
        """Return the engine's database, empty.

        Raises:
            InvalidArgument: The limit is no amount of memory.
        """
        config: dict[str, Any] = {"temp_directory": self.folder, "preserve_insertion_order": "false"}
        if self.limited:
            config |= {**self._share(_ENGINE), "preserve_insertion_order": "true"}  # of results, which are tables here
        try:
            with plain_errors(f"a database with {self._given}"):
                return self._database(config)
        except UnsupportedSource as err:
            self.remove()
            raise InvalidArgument(f'{self._given}: {err.__cause__}. Give a limit such as "4GB".') from err
        except BaseException:
            self.remove()
            raise

    def _database(self, config: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        root = connections.opened(config)
        root.execute("SET GLOBAL TimeZone = 'UTC'")  # otherwise that of the machine
        if self.limited:  # nobody would read a log of changes after a crash
            path = literal(str(Path(self.folder, "tables.duckdb")))
            root.execute(f"ATTACH {path} AS {_TABLES} (RECOVERY_MODE no_wal_writes)")
        return root

    def remove(self) -> None:
        """Remove the folder; where that is broken off, it is removed with the storage, or when Python ends."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._at_the_end.detach()

    def cursor(self, root: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Return a cursor for a thread, on which tables are made and found where they are kept."""
        with plain_errors("the engine's database"):
            cursor = root.cursor()
            if self.limited:
                cursor.execute(f"USE {_TABLES}")
            return cursor

    def result(self, write: Callable[[str], None]) -> Any:
        """Return a relation over a table in a file that only the relation, and what is made of it, keeps alive.

        Any thread may read it, also when this storage is gone.

        Args:
            write: Puts the table `result` into a database file.
        """
        folder = _new(self._parent)
        try:
            _make(folder)
            path = str(Path(folder, "result.duckdb"))
            write(path)
            spill = _new(self._parent)  # made if it must spill
            connection = connections.opened({**self._share(_RESULT), "temp_directory": spill})
            connection.execute(f"ATTACH {literal(path)} AS kept (READ_ONLY)")
            relation = connection.table("kept.main.result")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        # An open file without a name is there until it is closed; where that cannot be, it stays until Python ends.
        shutil.rmtree(folder, ignore_errors=True)
        if Path(folder).exists():
            weakref.finalize(self.__class__, shutil.rmtree, folder, ignore_errors=True)
        return relation

    def _share(self, part: float) -> dict[str, Any]:
        """Return the settings of a database that may take a part of what Python leaves."""
        if not self.limited:
            return {}
        mine = max((self._limit - _PYTHON) * part, self._limit * _ANYHOW)
        threads = max(1, min(os.cpu_count() or 1, int(mine / _THREAD)))
        return {"memory_limit": f"{int(mine / 1e6)}MB", "threads": threads}


def _bytes(limit: Any) -> float:
    """Return an amount of memory in bytes."""
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-zA-Z]+)\s*", limit) if isinstance(limit, str) else None
    if found is None or found[2].upper() not in _UNITS:
        raise InvalidArgument(
            f'memory_limit={limit!r} is no amount of memory with its unit: give a limit such as "4GB" or "512MiB".'
        )
    return float(found[1]) * _UNITS[found[2].upper()]


def _path(temp_directory: Any) -> str:
    """Return the caller's folder to spill into, made where its parent is there: a mistyped disk is no new folder."""
    folder = os.fspath(temp_directory) if isinstance(temp_directory, (str, os.PathLike)) else ""
    if not isinstance(folder, str) or not folder:
        raise InvalidArgument(f"temp_directory={temp_directory!r} is no path of a folder.")
    try:
        Path(folder).mkdir(exist_ok=True)
    except (OSError, ValueError) as err:
        raise OutputError(f"temp_directory={folder!r} cannot be used: {err}. Name a folder to write in.") from err
    return folder


def _new(parent: str | None) -> str:
    """Return the path of a folder that is not there yet, inside the caller's or in the system's temporary one.

    It is absolute: the program may go to another folder before this one is removed.
    """
    return str(Path(parent or tempfile.gettempdir(), f"loyalty-{uuid.uuid4().hex}").absolute())


def _make(folder: str) -> None:
    """Make a folder that nobody else may look into."""
    try:
        Path(folder).mkdir(mode=0o700)
    except OSError as err:
        parent = str(Path(folder).parent)
        raise OutputError(f"temp_directory={parent!r} cannot be used: {err}. Name a folder to write in.") from err
