"""The Spark engine: queries run in the caller's own session; only aggregates and small tables reach the driver."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks
from loyalty.engines import beside
from loyalty.engines.base import CLOSED
from loyalty.engines.once import Once
from loyalty.engines.results import label_for
from loyalty.engines.spark import canonical
from loyalty.engines.spark.canonical import Spelling
from loyalty.engines.spark.failures import STOPPED, first_lines, plain_errors, stopped
from loyalty.engines.spark.plans import without_past
from loyalty.engines.spark.writing import new_folder
from loyalty.errors import ClosedError, OutputError, UnsupportedSource

if TYPE_CHECKING:
    import pyarrow as pa

    from loyalty.engines.base import RowSpec

__all__ = ["Spark"]

_SMALL = 10 << 20  # bytes of an attached table that every executor is sent whole; Spark's own threshold


class Spark:
    """Runs every query of one Spark DataFrame in its session.

    No setting of the session is changed. What is kept is cached in Spark's memory, and on the executors' disks where
    that is short, until `close`; a lost executor's part is computed again from the source.
    """

    def __init__(self, native: Any) -> None:
        if nw.dependencies.is_pyspark_connect_dataframe(native):
            raise UnsupportedSource(
                "data is a Spark Connect DataFrame, whose session cannot name and cancel jobs of its own: open it in a "
                "classic session (SparkSession.builder.master(...)), or write it to Parquet and give the path."
            )
        self._session = native.sparkSession
        self._tag = f"loyalty-{uuid.uuid4().hex}"
        self._kept: dict[str, Any] = {}
        self._loose: list[Any] = []  # dropped, but what is built on it may not have been computed yet
        self._spellings: dict[str, Spelling] = {}
        self._lock = threading.RLock()  # held for moments only
        self._once = Once()
        self._closed = False
        with self._building("the Spark DataFrame"):
            self._labels = list(native.columns)
            names = [f"c{place}" for place in range(len(self._labels))]
            self._source = native.toDF(*names)  # by place: names may hold dots and quotes, or occur twice
            self._types = dict(zip(names, (one.dataType.simpleString() for one in native.schema), strict=True))
        weakref.finalize(self, _forget, self._kept, self._loose).atexit = False

    @property
    def kind(self) -> str:
        """Kind of eager frame for summaries."""
        return "pandas"

    @property
    def labels(self) -> Sequence[Any]:
        """The source's column labels."""
        return self._labels

    @property
    def snapshot(self) -> bool:
        """Whether later edits of the caller's object can no longer be seen."""
        return False

    @property
    def coded(self) -> bool:
        """Whether ids are codes."""
        return False

    def rows(self, spec: RowSpec, value: Any = None) -> nw.LazyFrame[Any]:
        """Return the canonical rows; see `Engine.rows`."""
        _, select = self._canonical(spec, value)
        with self._building(f"the columns {list(spec.columns.values())}"):
            frame: nw.LazyFrame[Any] = nw.from_native(self._source.selectExpr(*select))
            return frame

    def offenders(self, spec: RowSpec, role: str, limit: int = 3) -> list[str]:
        """Return some values of a column that could not be used: rows of a Spark DataFrame have no order."""
        columns, select = self._canonical(spec, None)
        part = "day" if role == "date" else role
        with self._running(f"column {spec.columns[role]!r}"):
            found = self._source.selectExpr(*select, f"CAST({columns[role]} AS STRING) AS found")
            bad = found.where(f"{part} IS NULL AND customer IS NOT NULL").select("found").limit(limit)
            return [repr(value) for value in bad.toArrow()["found"].to_pylist()]

    def persist(self, frame: nw.LazyFrame[Any], name: str) -> str:
        """Have a frame kept, under the name returned, as soon as it is first computed."""
        unique = f"{name}_{uuid.uuid4().hex[:8]}"
        self._keep(frame, unique)
        return unique

    def drop(self, name: str) -> None:
        """Let go of a kept table, once what was built on it has been computed: after the next query."""
        with self._lock:
            self._loose.append(self._kept.pop(name))

    def table(self, name: str) -> nw.LazyFrame[Any]:
        """Return a kept table."""
        with self._building(name):
            return nw.from_native(self._kept[name])

    def once(self, name: str, build: Callable[[], nw.LazyFrame[Any]]) -> nw.LazyFrame[Any]:
        """Return a table built on the first call."""
        self._refuse_closed()  # before anything is built
        self._once.build(name, lambda: self._keep(build(), name))
        return self.table(name)

    def _keep(self, frame: nw.LazyFrame[Any], name: str) -> None:
        with self._running(name):
            native = without_past(nw.to_native(frame)).persist()
            with self._lock:
                if not self._closed:
                    self._kept[name] = native
                    return
            native.unpersist()
            raise ClosedError(CLOSED)

    def attach(self, table: pa.Table) -> nw.LazyFrame[Any]:
        """Return an Arrow table as a frame; a small one is sent whole to every executor."""
        with self._building("the table"):
            return nw.from_native(self._from_arrow(table))

    def attach_source(self, data: Any, columns: Mapping[str, Any], customer: Any) -> nw.LazyFrame[Any]:
        """Return another table, its ids spelled as this engine's; see `Engine.attach_source`."""
        native = nw.to_native(data, pass_through=True)
        if nw.dependencies.is_pyspark_dataframe(native):
            frame = self._columns_of(native, columns)
        else:
            table = beside.read(data, columns)
            with self._building("the table"):
                frame = self._from_arrow(table)
        if customer is not None:
            self._refuse_foreign(frame.select(customer), columns[customer])
        return nw.from_native(frame)

    def _columns_of(self, native: Any, columns: Mapping[str, Any]) -> Any:
        """Return columns of another Spark DataFrame under their internal names."""
        with self._building("the Spark DataFrame"):
            labels = list(native.columns)
            places = [labels.index(checks.column(name, label, labels)) for name, label in columns.items()]
            by_place = native.toDF(*(f"c{place}" for place in range(len(labels))))
            return by_place.selectExpr(*(f"c{place} AS `{name}`" for place, name in zip(places, columns, strict=True)))

    def _refuse_foreign(self, ids: Any, label: Any) -> None:
        """Raise where another table's ids cannot be compared with those of the log."""
        customers = self._kept["customers"].select("customer")
        own, other = (frame.schema[0].dataType.simpleString() for frame in (customers, ids))
        if other != "void":
            beside.refuse_foreign(own, other, canonical.family, label)
            beside.refuse_rounded(self, nw.from_native(ids), own, other, label)

    def _from_arrow(self, table: pa.Table) -> Any:
        """Return a Spark DataFrame of an Arrow table; times without a zone stay without."""
        from pyspark.sql.pandas.types import from_arrow_schema

        from loyalty.engines.spark.arrow import sparkable

        table = sparkable(table)
        frame = self._session.createDataFrame(table, schema=from_arrow_schema(table.schema, prefer_timestamp_ntz=True))
        return frame.hint("broadcast") if table.nbytes <= _SMALL else frame

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run a query and return its rows."""
        from loyalty.engines.spark.arrow import tidy

        with self._running("the query"):
            table = nw.to_native(frame).toArrow()
        self._release(self._loose)
        return tidy(table)

    def batches(self, frame: nw.LazyFrame[Any]) -> Generator[pa.RecordBatch]:
        """Give the rows of a query, asked for at once: Spark hands Arrow over as a whole."""
        rows = self.collect(frame)
        return (batch for batch in rows.to_batches())

    def hand_back(self, frame: nw.LazyFrame[Any], *, customer: Any, days: Sequence[str] = ()) -> Any:
        """Return a per-customer frame as a lazy Spark DataFrame; see `Engine.hand_back`."""
        with self._building("the query"):
            native = nw.to_native(frame)
            label = label_for(customer, native.columns)
            parts = []
            for name in native.columns:
                column = native[name]
                if name in days:
                    column = _date(name)
                parts.append(column.alias(label if name == "customer" else name))
            return native.select(*parts)

    def write(self, frame: nw.LazyFrame[Any], path: str, *, customer: Any, days: Sequence[str] = ()) -> None:
        """Have Spark fill a folder with Parquet files; see `Engine.write`."""
        handed = self.hand_back(frame, customer=customer, days=days)
        tag = f"{self._tag}-{uuid.uuid4().hex}"  # its tasks must have ended before what they wrote is removed
        try:
            with self._running(path), self._tagged(tag), new_folder(self._session, path, tag):
                handed.write.mode("errorifexists").parquet(path)
        except UnsupportedSource as err:
            raise OutputError(f"{path!r} cannot be written: {first_lines(err.__cause__ or err)}.") from err

    def interrupt(self) -> None:
        """Break off the jobs that run now for these transactions, and no others of the session."""
        if not stopped(self._session):
            self._session.sparkContext.cancelJobsWithTag(self._tag)

    def close(self) -> None:
        """Free what is kept; queries that other threads still run are broken off."""
        with self._lock:
            self._closed = True
            if not stopped(self._session):
                self.interrupt()
                self._release(self._loose)
                self._loose.extend(self._kept.values())
                self._release(self._loose)
            self._kept.clear()

    def _release(self, frames: list[Any]) -> None:
        """Free what nothing needs any more."""
        with self._lock:
            while frames:
                frames.pop().unpersist()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClosedError(CLOSED)
        if stopped(self._session):  # else expressions that are built next fail, outside this engine
            raise UnsupportedSource(STOPPED)

    @contextmanager
    def _building(self, what: str) -> Iterator[None]:
        """Turn Spark's errors into this library's; what fails because the engine is closed says so."""
        self._refuse_closed()
        try:
            with plain_errors(what, self._session):
                yield
        except (UnsupportedSource, KeyError) as err:
            if self._closed:  # by another thread in the meantime
                raise ClosedError(CLOSED) from err
            raise

    @contextmanager
    def _running(self, what: str) -> Iterator[None]:
        """The same for what starts jobs, which bear this engine's tag."""
        with self._building(what), self._tagged(self._tag):
            yield

    @contextmanager
    def _tagged(self, tag: str) -> Iterator[None]:
        """Have the jobs that this thread starts bear a tag."""
        context = self._session.sparkContext
        context.addJobTag(tag)
        try:
            yield
        finally:
            context.removeJobTag(tag)

    def _canonical(self, spec: RowSpec, value: Any) -> tuple[dict[str, str], list[str]]:
        """Return role → column of the source, and the expressions of canonical rows."""
        labels = {**spec.columns, **({} if value is None else {"value": value})}
        columns = {role: f"c{self._labels.index(label)}" for role, label in labels.items()}
        return columns, canonical.select(columns, self._types, spec, self._spelling, value=value)

    def _spelling(self, name: str) -> Spelling:
        """Return how the dates of a column of text are spelled, asked of Spark once."""
        with self._lock:
            known = self._spellings.get(name)
        if known is None:
            with self._running(f"column {self._labels[int(name[1:])]!r}"):
                row = self._source.selectExpr(*canonical.spellings(name)).toArrow().to_pylist()[0]
            known = Spelling(bool(row["zoned"]), bool(row["unzoned"]))
            with self._lock:
                self._spellings[name] = known
        return known


def _date(name: str) -> Any:
    """Return the dates of a column of day numbers."""
    from pyspark.sql import functions

    return functions.expr(f"date_from_unix_date(CAST(`{name}` AS INT))")


def _forget(kept: dict[str, Any], loose: list[Any]) -> None:
    """Free what an engine kept that nobody closed, in a thread of its own: this one may be speaking with Java."""
    frames = [*kept.values(), *loose]
    if frames:
        threading.Thread(target=_unpersist, args=(frames,), daemon=True).start()


def _unpersist(frames: list[Any]) -> None:
    for frame in frames:
        if not stopped(frame.sparkSession):
            frame.unpersist()
