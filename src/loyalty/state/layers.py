"""A table kept as segments, newer over older: adding to it costs as much as what is added, not as what is there.

Segments are of falling size, each at least twice the next: one that is added is joined with those before it until that
holds again. So there are few of them, and a row is rewritten as often as the table doubles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.errors import UnsupportedSource

if TYPE_CHECKING:
    from pathlib import Path

    from loyalty.engines.stored import Stored

__all__ = ["Layers", "Segment"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True)
class Segment:
    """Some rows of a table.

    Attributes:
        rows: How many.
        first: Smallest `day` in it; 0 where days do not matter.
        last: Largest `day` in it.
        table: Its name in the engine; "" where it lies on disk.
        path: Its file; None where it is in the engine.
        digest: SHA-256 of the file; "" where there is none.
        size: Bytes of the file.
    """

    rows: int
    first: int = 0
    last: int = 0
    table: str = ""
    path: Path | None = None
    digest: str = ""
    size: int = 0

    def frame(self, engine: Stored) -> Frame:
        """Return its rows on the calling thread."""
        if self.path is None:
            return engine.table(self.table)
        if not self.path.exists():
            raise UnsupportedSource(
                f"the file {str(self.path)!r} is gone: others saved this state since it was loaded. Load it again."
            )
        return engine.scan(self.path)


@dataclass(frozen=True, slots=True)
class Layers:
    """The segments of a table, oldest first; a new `Layers` for every change.

    Attributes:
        name: Name of the table.
        key: Columns of which a newer row replaces an older; none where all rows count.
        segments: The segments.
    """

    name: str
    key: tuple[str, ...]
    segments: tuple[Segment, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in all segments, replaced ones among them."""
        return sum(segment.rows for segment in self.segments)

    def since(self, day: int) -> Layers:
        """Return the table without segments that hold nothing of this day or later; one is kept for its columns."""
        *older, last = self.segments
        return Layers(self.name, self.key, (*(one for one in older if one.last >= day), last))

    def added(self, engine: Stored, table: str, *, since: int | None = None) -> Layers:
        """Return the table with rows added; tables that no segment uses any more are the engine's to sweep up.

        Args:
            engine: Where it is kept.
            table: Name of the rows, which the engine keeps; their columns are in the order of the table's.
            since: Only rows of this day or later are worth keeping; None: all are.
        """
        dated = since is not None
        segments = [*self.segments, _segment(engine, table, dated=dated)]
        if self.segments and not segments[-1].rows:
            segments.pop()
        while len(segments) > 1 and segments[-2].rows < 2 * segments[-1].rows:
            newer, older = segments.pop(), segments.pop()
            both = _over(newer.frame(engine), older.frame(engine), self.key)
            both = both if since is None else both.filter(nw.col("day") >= since)
            segments.append(_segment(engine, engine.keep(both, self.name), dated=dated))
        return Layers(self.name, self.key, tuple(segments))

    def view(self, engine: Stored) -> Frame:
        """Return the table, newer rows in the place of older."""
        parts = [segment.frame(engine) for segment in reversed(self.segments)]
        return nw.concat(list(reversed(self._newest(parts, parts))))

    def found(self, engine: Stored, wanted: Frame, on: tuple[str, ...]) -> Frame:
        """Return the rows whose columns `on` are among those wanted, with the other columns of these.

        Args:
            engine: Where the table is kept.
            wanted: What to look for, every combination of `on` once.
            on: The columns to compare.
        """
        parts = [segment.frame(engine) for segment in reversed(self.segments)]
        return nw.concat(self._newest(parts, [part.join(wanted, on=list(on), how="inner") for part in parts]))

    def _newest(self, parts: list[Frame], chosen: list[Frame]) -> list[Frame]:
        """Return what was chosen of each segment, the newest first, without rows that a newer segment replaces."""
        if not self.key:
            return chosen
        found, key = chosen[:1], list(self.key)
        for place in range(1, len(parts)):
            newer = nw.concat([part.select(*key) for part in parts[:place]])
            found.append(chosen[place].join(newer, on=key, how="anti"))
        return found


def _over(newer: Frame, older: Frame, key: tuple[str, ...]) -> Frame:
    rest = older.join(newer.select(*key), on=list(key), how="anti") if key else older
    return nw.concat([rest, newer])


def _segment(engine: Stored, table: str, *, dated: bool) -> Segment:
    """Return the segment that a table in the engine is."""
    size = nw.len().cast(nw.Int64).alias("rows")
    ends = [nw.col("day").min().alias("first"), nw.col("day").max().alias("last")] if dated else []
    line = engine.collect(engine.table(table).select(size, *ends)).to_pylist()[0]
    return Segment(int(line["rows"]), line.get("first") or 0, line.get("last") or 0, table=table)
