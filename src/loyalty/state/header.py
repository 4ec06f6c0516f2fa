"""The header of a saved state: JSON that names the segments, and whatever else is not in them.

An object with the keys

- `format`, always "loyalty-state", and `version`, the version of what is described here;
- `library`, the version of the library that wrote it;
- `revision`, new with every save, by which a writer notices that another one was there;
- `settings`, `content` and `segments` (table → segments, oldest first, each with its file, rows, days, bytes, SHA-256);
- `previous`, files of the revision before that this one no longer names: who reads that one may still need them;
- `digest`, the SHA-256 of the other keys, so that a file that was damaged or edited is noticed.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, NoReturn

from loyalty import checks, periods
from loyalty.errors import InvalidModelFile, LoyaltyError
from loyalty.state.layers import Layers, Segment
from loyalty.state.merging import Content
from loyalty.state.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["HEADER", "Header", "is_segment", "read", "text"]

HEADER = "state.json"
FORMAT = "loyalty-state"
VERSION = 1
_SEGMENT = re.compile(r"(people|orders|rows)-[0-9a-f]{32}\.parquet")
_KEYS = {"format", "version", "library", "revision", "settings", "content", "segments", "previous", "digest"}
_TABLES = {"people": ("customer",), "orders": ("customer", "order"), "rows": ()}
_PLAIN = ("rows_in", "history", "settled", "pending", "totals", "batches")
_WHAT_TO_DO = "Restore the folder from a copy, or begin anew with CustomerState.from_()."


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says.

    Attributes:
        revision: Which save wrote it.
        settings: The rules of the state.
        content: What it holds, its segments being files.
        previous: Files of the revision before.
    """

    revision: str
    settings: Settings
    content: Content
    previous: tuple[str, ...]

    @property
    def files(self) -> set[str]:
        """The names of the segments."""
        return {one.path.name for table in self.content.tables for one in table.segments if one.path is not None}


def is_segment(name: str) -> bool:
    """Return whether a file's name is one that segments are given."""
    return bool(_SEGMENT.fullmatch(name))


def text(header: Header) -> str:
    """Return a header as JSON."""
    from loyalty import __version__

    content = header.content
    document = {
        "format": FORMAT,
        "version": VERSION,
        "library": __version__,
        "revision": header.revision,
        "settings": {**asdict(header.settings), "first": periods.to_date(header.settings.first).isoformat()},
        "content": {
            "until": periods.to_date(content.until).isoformat(),
            "data_from": periods.to_date(content.data_from).isoformat(),
            **{name: getattr(content, name) for name in _PLAIN},
        },
        "segments": {table.name: [_told(one) for one in table.segments] for table in content.tables},
        "previous": sorted(header.previous),
    }
    document = json.loads(json.dumps(document, allow_nan=False))  # tuples as lists, as they will be read
    return json.dumps({**document, "digest": _digest(document)}, indent=1, allow_nan=False) + "\n"


def _told(segment: Segment) -> dict[str, Any]:
    name = segment.path.name if segment.path is not None else ""
    numbers = {key: getattr(segment, key) for key in ("rows", "first", "last", "size")}
    return {"file": name, **numbers, "sha256": segment.digest}


def _digest(document: Mapping[str, Any]) -> str:
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def read(folder: Path) -> Header | None:
    """Return the header of a folder, every value checked; None where there is none.

    Raises:
        InvalidModelFile: It cannot be read, is none, was damaged or edited, or is of a later version.
    """
    path = folder / HEADER
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as err:
        raise InvalidModelFile(f"{str(path)!r} cannot be read as the header of a state: {err}. {_WHAT_TO_DO}") from err
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        _refuse(path, f'is no header of a state: it has no format "{FORMAT}".')
    version = document.get("version")
    if type(version) is int and version > VERSION:
        _refuse(
            path, f"was written by a later version of the library ({document.get('library')!r:.50}).", "Update loyalty."
        )
    if type(version) is not int or set(document) != _KEYS:
        _refuse(path, "is not laid out as the header of a state.")
    if document.pop("digest") != _digest(document):
        _refuse(path, "was changed or damaged after it was saved: its digest does not fit.")
    try:
        return _parsed(folder, document)
    except (LoyaltyError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as err:
        raise InvalidModelFile(f"{str(path)!r} holds no valid state: {err}. {_WHAT_TO_DO}") from err


def _parsed(folder: Path, document: Mapping[str, Any]) -> Header:
    told = dict(document["content"])
    layers: dict[str, Any] = {}
    for name, key in _TABLES.items():
        segments = tuple(_segment(folder, name, one) for one in document["segments"][name])
        if not segments:
            raise ValueError(f"the table {name} has no segment")
        layers[name] = Layers(name, key, segments)
    content = Content(
        until=periods.day_number(told.pop("until"), "until"),
        data_from=periods.day_number(told.pop("data_from"), "data_from"),
        settled=_counts(told.pop("settled")),
        pending=_counts(told.pop("pending")),
        **told,
        **layers,
    )
    checks.count("rows_in", content.rows_in, low=0)
    if not all(math.isfinite(value) for value in content.totals.values()):
        raise ValueError("a total is no number")
    previous = tuple(str(name) for name in document["previous"] if is_segment(name))
    return Header(str(document["revision"]), _settings(document["settings"]), content, previous)


def _settings(told: Mapping[str, Any]) -> Settings:
    """Return the rules of a state."""
    told = {**told, "first": periods.day_number(told["first"], "first")}
    if set(told) != {field.name for field in fields(Settings)}:
        raise ValueError("its settings are not those of a state")
    checks.choice("occasion", told["occasion"], ("day", "order"))
    checks.choice("returns", told["returns"], ("net", "drop", "error"))
    checks.choice("kind", told["kind"], ("pandas", "polars", "polars-lazy", "pyarrow", "duckdb"))
    checks.choice("customer_type", told["customer_type"], ("integer", "number", "text", "uuid"))
    checks.choice("order_type", told["order_type"], ("", "integer", "number", "text", "uuid"))
    checks.count("lateness", told["lateness"])
    roles = set(told["columns"])
    if not {"customer", "date", "amount"} <= roles <= {"customer", "date", "amount", "order", "cost", "discount"}:
        raise ValueError(f"its columns are {sorted(roles)}")
    return Settings(**told)


def _segment(folder: Path, table: str, told: Mapping[str, Any]) -> Segment:
    """Return a segment; its file is in the folder, whatever the header says."""
    name = told["file"]
    if not is_segment(name) or not name.startswith(f"{table}-"):
        raise ValueError(f"{name!r:.80} is no file of the table {table}")
    numbers: dict[str, Any] = {key: int(told[key]) for key in ("rows", "first", "last", "size")}
    return Segment(**numbers, path=folder / name, digest=str(told["sha256"]))


def _counts(told: Mapping[str, Any]) -> dict[str, tuple[int, float]]:
    return {str(reason): (int(rows), float(amount)) for reason, (rows, amount) in told.items()}


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _refuse(path: Path, what: str, remedy: str = _WHAT_TO_DO) -> NoReturn:
    raise InvalidModelFile(f"{str(path)!r} {what} {remedy}")
