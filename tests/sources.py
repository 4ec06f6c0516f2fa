"""The same log as every kind of source, for tests that must hold on all of them.

Use it as

    @sources.every
    def test_x(source, tmp_path):
        with sources.opened(source, frame, tmp_path) as tx:
            ...

where `frame` is a pandas frame with plain columns (numbers, text, datetime64). CSV files hold only text, so compare
ids and groups through `text`, and per-customer results through `rows`. `every` are the kinds that need nothing but
Python; "spark" and "postgres" (`every_far`) start what they need, or skip.
"""

import datetime as dt
import math
import weakref

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loyalty.transactions import transactions

SOURCES = ("pandas", "pandas-categorical", "polars", "polars-lazy", "pyarrow", "parquet", "csv", "duckdb")
_QUICK = ("pandas", "polars-lazy", "parquet", "duckdb")  # one of each way in; the quick tests ask no more
_MARKED = [kind if kind in _QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in SOURCES]
every = pytest.mark.parametrize("source", _MARKED)
FAR = ("spark", "postgres")
FAR_MARKED = [pytest.param(kind, marks=[pytest.mark.engines, pytest.mark.xdist_group(kind)]) for kind in FAR]
every_far = pytest.mark.parametrize("source", FAR_MARKED)

NAIVE_DATES = (
    "datetime64[s]",
    "datetime64[ms]",
    "datetime64[us]",
    "datetime64[ns]",
    "date objects",
    "datetime objects",
    "date and datetime objects",
    "ISO dates",
    "ISO times",
    "date32[pyarrow]",
    "timestamp[us][pyarrow]",
    "category",
)
every_date = pytest.mark.parametrize("dates", NAIVE_DATES)


def make(kind, frame, folder, customer="customer_id", name="log"):  # noqa: PLR0911 (a line per kind)
    """Return a pandas frame as another kind of source; files are written into a folder, under a name."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if kind == "pandas":
        return frame
    if kind == "pandas-categorical":
        return frame.assign(**{customer: frame[customer].astype("category")})
    if kind in {"polars", "polars-lazy"}:
        eager = pl.from_arrow(table)
        return eager.lazy() if kind == "polars-lazy" else eager
    if kind == "pyarrow":
        return table
    if kind == "parquet":
        pq.write_table(table, folder / f"{name}.parquet")
        return folder / f"{name}.parquet"
    if kind == "csv":
        frame.to_csv(folder / f"{name}.csv", index=False)
        return str(folder / f"{name}.csv")
    if kind == "duckdb":
        connection = duckdb.connect()
        connection.from_arrow(table).create("log")
        return held(connection, connection.table("log"))
    if kind == "spark":
        import spark_cluster

        return spark_cluster.frame(table)
    if kind == "postgres":
        import postgres_server

        server = postgres_server.server()
        server.load(name, table)
        return server.connect().table(name)
    raise ValueError(kind)


def held(connection, relation):
    """Return a relation that holds on to its connection: with DuckDB 1 it would not outlive it."""
    weakref.finalize(relation, connection.close)
    return relation


def relation(sql):
    """Return the DuckDB relation of a query, on a connection of its own."""
    connection = duckdb.connect()
    return held(connection, connection.sql(sql))


def opened(kind, frame, folder, **options):
    """Return the transactions of a pandas frame, by way of another kind of source."""
    return transactions(make(kind, frame, folder, options.get("customer", "customer_id")), **options)


def with_dates(frame, kind, date="date"):
    """Return a pandas frame with its datetime64 column in another kind of date."""
    days = frame[date]
    objects = [None if pd.isna(day) else day.to_pydatetime() for day in days]
    if kind == "date objects":
        days = pd.Series([day and day.date() for day in objects], dtype=object)
    elif kind == "datetime objects":
        days = pd.Series(objects, dtype=object)
    elif kind == "date and datetime objects":
        mixed = [day and (day.date() if place % 2 else day) for place, day in enumerate(objects)]
        days = pd.Series(mixed, dtype=object)
    elif kind in {"ISO dates", "ISO times"}:
        form = "%Y-%m-%d" if kind == "ISO dates" else "%Y-%m-%dT%H:%M:%S"
        days = pd.Series([day and f"{day:{form}}" for day in objects], dtype=object)
    else:
        days = days.astype(kind)
    days.index = frame.index
    return frame.assign(**{date: days})


def text(value):
    """Return an id or group as text that is the same from every source (whole floats as integers)."""
    if value is None or value != value:  # noqa: PLR0124 (NaN)
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (pd.Timestamp, dt.datetime)):
        value = value.isoformat()
    return str(value)


def as_pandas(result):
    """Return what `hand_back` or `to_native` gave as a pandas frame."""
    if isinstance(result, pl.LazyFrame):
        result = result.collect()
    for arrow in ("to_arrow", "toArrow", "to_pyarrow"):  # of Polars, Spark and Ibis
        if hasattr(result, arrow) and not isinstance(result, duckdb.DuckDBPyRelation):
            result = getattr(result, arrow)()
            break
    if isinstance(result, pa.Table):
        return result.to_pandas(date_as_object=False)
    return result.df() if isinstance(result, duckdb.DuckDBPyRelation) else result


def by_id(result, customer="id"):
    """Return per-customer rows as a pandas frame with ids for its index; the result may be of any kind."""
    return as_pandas(result).set_index(customer)


def rows(result, customer="customer_id"):
    """Return per-customer rows as {id as text: {column: value}}; the result may be of any kind."""
    lines = as_pandas(result).to_dict("records")
    return {text(line.pop(customer)): line for line in lines}


def same(left, right, tolerance=1e-9):
    """Return whether nested results are equal, floats to a relative (and near 0 absolute) tolerance."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key], tolerance) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(same(one, two, tolerance) for one, two in zip(left, right, strict=True))
    if isinstance(left, float) or isinstance(right, float):
        if left is None or right is None:
            return left is right
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    return left == right
