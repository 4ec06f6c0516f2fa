"""What comes back, and of which type: the rule that docs/engines.md states.

- Summaries (`to_native()`): the eager kind that came in; pandas where rows lie in files, a database or a cluster.
- Per-customer tables: the kind of the source itself.
- Whole numbers are Int64, other numbers Float64, flags Boolean, text String, days Date (datetime64 in pandas, which
  has none). Ids are what they were; in CSV files everything is text.
"""

import duckdb
import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import loyalty as ly
import sources
from conformance import awkward
from conformance.test_conformance import expected

PER_CUSTOMER = {"Int64", "Float64", "Boolean", "String", "Date"}
SUMMARY = {"int64", "double", "bool", "string", "date32[day]"}
KINDS = {
    "pandas": (pd.DataFrame, pd.DataFrame),
    "polars": (pl.DataFrame, pl.DataFrame),
    "polars-lazy": (pl.DataFrame, pl.LazyFrame),
    "pyarrow": (pa.Table, pa.Table),
    "parquet": (pd.DataFrame, duckdb.DuckDBPyRelation),
    "csv": (pd.DataFrame, duckdb.DuckDBPyRelation),
    "duckdb": (pd.DataFrame, duckdb.DuckDBPyRelation),
}


def types_in(answer, key="types"):
    """Yield every mapping of columns to types in an answer, with its place."""
    if isinstance(answer, dict):
        if key in answer:
            yield answer[key]
        for value in answer.values():
            yield from types_in(value, key)
    elif isinstance(answer, list):
        for value in answer:
            yield from types_in(value, key)


@pytest.mark.parametrize("log", ["sunk", pytest.param("shop", marks=pytest.mark.slow)])
def test_types_by_rule(log):
    found = [(name, types) for name, answer in expected(log).items() for types in types_in(answer)]
    assert len(found) > 20
    for name, types in found:
        for column, kind in types.items():
            assert kind in (PER_CUSTOMER | SUMMARY), (name, column, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind, tmp_path):
    summary, per_customer = KINDS[kind]
    log = awkward.log("one")
    with sources.opened(kind, log.frame, tmp_path, **log.options) as tx:
        assert isinstance(ly.retention(tx).to_native(), summary)
        assert isinstance(ly.spending(tx).to_native(), summary)
        for customers in (ly.rfm(tx).customers, ly.pareto(tx).customers, ly.summarize(tx).to_native()):
            assert isinstance(customers, per_customer)
            assert nw.from_native(customers).collect_schema().names()[0] == "customer_id"


@sources.every_far
def test_kinds_from_afar(source, tmp_path):
    log = awkward.log("one")
    native = sources.make(source, log.frame, tmp_path)
    with ly.transactions(native, **log.options) as tx:
        assert isinstance(ly.retention(tx).to_native(), pd.DataFrame)
        customers = ly.summarize(tx).to_native()
        assert type(customers) is type(native)
        assert nw.from_native(customers).collect_schema().names()[0] == "customer_id"


def test_days_of_pandas_are_times():
    log = awkward.log("one")
    with ly.transactions(log.frame, **log.options) as tx:
        frame = tx.hand_back(tx.customers, days=("first_day",))
        assert str(frame["first_day"].dtype).startswith("datetime64")
        assert str(ly.retention(tx).to_native()["start"].dtype).startswith("datetime64")
