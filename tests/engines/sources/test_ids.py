"""Customer ids of every type come back as they went in: the values and the dtype."""

import datetime as dt
import decimal
import enum
import fractions
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import sources
from loyalty.engines.sources.ids import Ids, needs_codes
from loyalty.errors import ColumnError, LoyaltyError
from loyalty.transactions import transactions

D = decimal.Decimal
UUIDS = [uuid.UUID(int=place) for place in (3, 1, 2)]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def objects(*values):
    return pd.Series(values, dtype=object)


def arrow_dtype(*values, kind):
    return pd.Series(pd.array(list(values), dtype=pd.ArrowDtype(kind)))


PANDAS = {
    **{
        f"{sign}int{width}": pd.Series([3, 1, 2], dtype=f"{sign}int{width}")
        for sign in ("", "u")
        for width in (8, 16, 32, 64)
    },
    "large uint64": pd.Series([2**64 - 1, 2**63, 1], dtype="uint64"),
    "large int64": pd.Series([2**53, 2**53 + 1, -(2**63)], dtype="int64"),
    "Int64 with NA": pd.Series([2**53, None, 2**53 + 1], dtype="Int64"),
    "UInt8 with NA": pd.Series([200, None, 1], dtype="UInt8"),
    "float64 with NaN": pd.Series([2.0, np.nan, 1.5]),
    "infinite floats": pd.Series([np.inf, -np.inf, 0.0]),
    "float16": pd.Series([1.5, 2.0, np.nan], dtype="float16"),
    "float32": pd.Series([1.1, 2.0, np.nan], dtype="float32"),
    "Float64": pd.Series([1.1, None, 2.5], dtype="Float64"),
    "bool": pd.Series([True, False, True]),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "str": pd.Series(["b", None, "a"], dtype="str"),
    "object text": objects("b", None, "a", np.nan),
    "string[python]": pd.Series(["b", None, "a"], dtype="string[python]"),
    "string[pyarrow]": pd.Series(["b", None, "a"], dtype="string[pyarrow]"),
    "Arrow string": arrow_dtype("b", None, "a", kind=pa.string()),
    "Arrow large_string": arrow_dtype("b", None, "a", kind=pa.large_string()),
    "Arrow int32": arrow_dtype(3, None, 1, kind=pa.int32()),
    "Arrow decimal": arrow_dtype(D("1.50"), None, D("2.25"), kind=pa.decimal128(10, 2)),
    "Arrow decimal of 38 digits": arrow_dtype(D(10**37), None, D(10**37 + 1), kind=pa.decimal128(38, 0)),
    "Arrow date": arrow_dtype(dt.date(2024, 1, 1), None, dt.date(1900, 1, 1), kind=pa.date32()),
    "Arrow dictionary": arrow_dtype("b", None, "a", kind=pa.dictionary(pa.int8(), pa.string())),
    "Arrow duration": arrow_dtype(dt.timedelta(1), None, dt.timedelta(2), kind=pa.duration("us")),
    "Arrow binary": arrow_dtype(b"b", None, b"a", kind=pa.binary()),
    "mixed objects": objects(1, "1", 2.5, None, "a", b"1", (1,)),
    "Python integers": objects(3, None, 1),
    "large Python integers": objects(2**70, 2**70 + 1, -(2**70)),
    "NumPy integers": objects(np.int64(3), np.int64(1)),
    "UUID": objects(*UUIDS, None),
    "tuples": objects((1, 2), (1, 3), None, ("a", (1,))),
    "bytes": objects(b"b", b"a", None),
    "dates": objects(dt.date(2024, 1, 2), dt.date(2024, 1, 1)),
    "Timestamps": objects(pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-01", tz="UTC")),
    "times": objects(dt.time(2), dt.time(1)),
    "Decimals": objects(D("1.50"), D("1.5000001"), None),
    "fractions": objects(fractions.Fraction(1, 3), 2),
    "enum members": objects(Colour.RED, Colour.BLUE),
    "frozen sets": objects(frozenset({1}), frozenset({2})),
    "nulls inside": objects("a\0b", "a", "a\0"),
    "unicode": objects("é", "e\u0301", "☃", "\U0001f600", "ß", "SS"),
    "text that SQL knows": objects("NULL", "null", "'; drop table log; --", '"', "%", "\\"),
    "spaces count inside": objects("a", " a", "a ", "A"),
    "long text": objects("x" * 100_000, "x" * 99_999),
    "categorical": pd.Series(pd.Categorical(["b", None, "a"])),
    "categorical, unused": pd.Series(pd.Categorical(["b", "a"], categories=["z", "b", "y", "a"])),
    "categorical, ordered": pd.Series(pd.Categorical(["b", "a"], categories=["b", "z", "a"], ordered=True)),
    "categorical of integers": pd.Series(pd.Categorical([7, 5, None], categories=[7, 6, 5])),
    "categorical of large integers": pd.Series(pd.Categorical([2**53, 2**53 + 1, None])),
    "categorical of floats": pd.Series(pd.Categorical([1.5, 0.5])),
    "categorical of dates": pd.Series(pd.Categorical(pd.to_datetime(["2024-01-02", "2024-01-01"]))),
    "categorical of mixed objects": pd.Series(pd.Categorical([1, "1", None], categories=["1", 1])),
    "categorical of intervals": pd.Series(pd.cut(pd.Series([1, 2, 3]), 2)),
    "datetime64[s]": pd.Series(np.array(["2024-01-02", "1066-10-14"], dtype="datetime64[s]")),
    "datetime64[ns]": pd.Series(
        np.array(["2024-01-02T00:00:00.123456789", "2024-01-02T00:00:00.123456788"], "datetime64[ns]")
    ),
    "zoned times": pd.Series(pd.to_datetime(["2024-01-02", "2024-07-01"])).dt.tz_localize("Europe/Paris"),
    "timedelta": pd.Series(pd.to_timedelta([2, 1, None], unit="D")),
    "periods": pd.Series(pd.period_range("2024-01", periods=3, freq="M")),
    "intervals": pd.Series(pd.interval_range(0, 3)),
    "complex": pd.Series([1j, 2 + 0j]),
    "sparse": pd.Series([0, 2, 1], dtype="Sparse[int]"),
}


def wanted(series):
    return {repr(value) for value, null in zip(series.tolist(), series.isna(), strict=True) if not null}


@pytest.mark.parametrize("kind", PANDAS)
def test_ids_of_pandas(kind):
    ids = PANDAS[kind]
    frame = pd.DataFrame({"who": ids, "date": pd.Timestamp("2024-01-05"), "amount": 1.0, "by": "x"})
    with transactions(frame, customer="who") as tx:
        for table in (tx.customers, tx.purchases):
            back = tx.hand_back(table)
            assert back["who"].dtype == ids.dtype
            assert len(back) == len(wanted(ids))
            assert {repr(value) for value in back["who"].tolist()} == wanted(ids)
        # The table is read a second time here, and ids must mean the same.
        assert tx.collect(tx.first_values("by"))["group"].to_pylist() == ["x"] * len(wanted(ids))


def test_objects_that_are_equal_are_one_customer():
    frame = pd.DataFrame({"customer_id": objects(1, 1.0, "1", D(1)), "date": pd.Timestamp("2024-01-05"), "amount": 1.0})
    with transactions(frame) as tx:
        assert {line["customer_id"]: line["spend"] for line in tx.hand_back(tx.customers).to_dict("records")} == {
            1: 3.0,
            "1": 1.0,
        }


@pytest.mark.parametrize(
    "ids", [objects(1, "", "  ", "a"), pd.Series(pd.Categorical(["", "a", " \t", "b"])), objects("a", "", " ", "b")]
)
def test_blank_text_is_no_id_in_any_column(ids):
    frame = pd.DataFrame({"customer_id": ids, "date": pd.Timestamp("2024-01-05"), "amount": 1.0})
    with transactions(frame) as tx:
        assert tx.exclusions["rows"] == [2]
        assert len(tx.hand_back(tx.customers)) == 2


@pytest.mark.parametrize(
    "ids", [objects([1], [2]), objects({}, {}), objects({1}, {2}), objects(np.array([1]), np.array([2]))]
)
def test_ids_that_cannot_be_compared(ids):
    frame = pd.DataFrame({"customer_id": ids, "date": pd.Timestamp("2024-01-05"), "amount": 1.0})
    with pytest.raises(ColumnError, match=r"customer_id.*Turn them into text"):
        transactions(frame)


POLARS = {
    "Int8": ([3, None, 1], pl.Int8),
    "UInt64": ([2**64 - 1, None, 2**63], pl.UInt64),
    "Float32": ([1.5, None, float("nan")], pl.Float32),
    "String": (["b", None, "a", ""], pl.String),
    "Categorical": (["b", None, "a", ""], pl.Categorical),
    "Enum": (["b", None, "a"], pl.Enum(["z", "b", "a"])),
    "Binary": ([b"b", b"a"], pl.Binary),
    "Date": ([dt.date(2024, 1, 1), None], pl.Date),
    "Datetime ms": ([dt.datetime(2024, 1, 1, 1)], pl.Datetime("ms")),
    "Datetime ns": ([dt.datetime(2024, 1, 1, 1)], pl.Datetime("ns")),
    "Datetime zoned": ([dt.datetime(2024, 1, 1, 1, tzinfo=dt.UTC)], pl.Datetime("us", "Asia/Tokyo")),
    "Time": ([dt.time(1), dt.time(2)], pl.Time),
    "Decimal": ([D("1.50"), None, D("2.25")], pl.Decimal(10, 2)),
    "Decimal of 38 digits": ([D(10**37), D(10**37 + 1)], pl.Decimal(38, 0)),
    "Boolean": ([True, None], pl.Boolean),
}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kind", POLARS)
def test_ids_of_polars(kind, lazy):
    values, dtype = POLARS[kind]
    frame = pl.DataFrame({"who": pl.Series(values, dtype=dtype)})
    frame = frame.with_columns(date=pl.lit(dt.date(2024, 1, 5)), amount=pl.lit(1.0), by=pl.lit("x"))
    with transactions(frame.lazy() if lazy else frame, customer="who") as tx:
        back = tx.hand_back(tx.customers)
        assert isinstance(back, pl.LazyFrame if lazy else pl.DataFrame)
        back = back.lazy().collect()
        assert back.schema["who"] == dtype
        expected = [value for value in frame["who"].to_list() if sources.text(value)]
        assert sorted(map(repr, back["who"].to_list())) == sorted(map(repr, expected))
        assert len(tx.collect(tx.first_values("by"))) == len(expected)


ARROW = {
    "int8": pa.array([3, None, 1], pa.int8()),
    "uint64": pa.array([2**64 - 1, None], pa.uint64()),
    "float16": pa.array(np.array([1.5, 2.0], "float16")),
    "string": pa.array(["b", None, "a"]),
    "large_string": pa.array(["b", None, "a"], pa.large_string()),
    "binary": pa.array([b"b", b"a"]),
    "fixed binary": pa.array([b"bb", b"aa"], pa.binary(2)),
    "date64": pa.array([dt.date(2024, 1, 1)], pa.date64()),
    "timestamp[s]": pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("s")),
    "timestamp[ns], zoned": pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("ns", "Asia/Tokyo")),
    "time32": pa.array([dt.time(1)], pa.time32("s")),
    "decimal128": pa.array([D(10**37), None], pa.decimal128(38, 0)),
    "decimal256": pa.array([D("1.5"), None], pa.decimal256(50, 1)),
    "bool": pa.array([True, None]),
    "dictionary": pa.array(["b", None, "a"]).dictionary_encode(),
    "dictionary of int8, ordered": pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 0, None], pa.int8()), pa.array(["b", "a"]), ordered=True
    ),
    "dictionary of integers": pa.DictionaryArray.from_arrays(
        pa.array([0, 1], pa.uint16()), pa.array([2**53 + 1, 2**53])
    ),
    "dictionary in chunks": pa.chunked_array(
        [pa.array(["b", "a"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()]
    ),
    "strings in chunks": pa.chunked_array([["a"], [], ["b", "a"]]),
}


@pytest.mark.parametrize("kind", ARROW)
def test_ids_of_arrow(kind):
    ids = ARROW[kind]
    n = len(ids)
    table = pa.table({"who": ids, "date": [dt.date(2024, 1, 5)] * n, "amount": [1.0] * n, "by": ["x"] * n})
    with transactions(table, customer="who") as tx:
        back = tx.hand_back(tx.customers)
        assert back.schema.field("who").type == ids.type
        expected = {repr(value) for value in ids.to_pylist() if value is not None}
        assert {repr(value) for value in back["who"].to_pylist()} == expected
        assert len(back) == len(expected) == len(tx.collect(tx.first_values("by")))


@pytest.mark.skipif(not hasattr(pa, "uuid"), reason="PyArrow before 18 has no type for UUIDs")
def test_uuids_of_arrow():
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([one.bytes for one in UUIDS], pa.binary(16)))
    table = pa.table({"customer_id": ids, "date": [dt.date(2024, 1, 5)] * 3, "amount": [1.0] * 3})
    with transactions(table) as tx:
        back = tx.hand_back(tx.customers)
        assert back.schema.field("customer_id").type == ids.type
        assert set(back["customer_id"].to_pylist()) == set(UUIDS)


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([[1], [2]]),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([[1], [2]], dtype=pl.Array(pl.Int64, 1)),
        pl.Series([dt.timedelta(1), dt.timedelta(2)]),
        pl.Series([object(), object()], dtype=pl.Object),
        pa.array([[1], [2]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([dt.timedelta(1), dt.timedelta(2)]),
        pa.array([D(10**45), D(1)], pa.decimal256(50, 0)),
    ],
)
def test_ids_that_no_engine_holds(ids):
    days = [dt.date(2024, 1, 5)] * 2
    if isinstance(ids, pl.Series):
        frames = [pl.DataFrame({"customer_id": ids, "date": days, "amount": 1.0})]
        frames.append(frames[0].lazy())
    else:
        frames = [pa.table({"customer_id": ids, "date": days, "amount": [1.0, 1.0]})]
    for frame in frames:
        with pytest.raises(ColumnError, match="customer_id"):
            transactions(frame)


@pytest.mark.parametrize("kind", ["enum", "uuid", "hugeint", "tinyint", "decimal(10,2)", "timestamptz"])
def test_ids_of_duckdb(kind):

    value = {
        "enum": "'b'::ENUM('b', 'a')",
        "uuid": f"'{UUIDS[0]}'::UUID",
        "timestamptz": "TIMESTAMPTZ '2024-01-01 00:00:00+00'",
    }
    text = value.get(kind, f"'1'::{kind}")
    relation = sources.relation(f"SELECT {text} AS who, DATE '2024-01-05' AS date, 1 AS amount")
    with transactions(relation, customer="who") as tx:
        assert str(tx.hand_back(tx.customers).project("who::VARCHAR").fetchall()) == str(
            relation.project("who::VARCHAR").fetchall()
        )


@pytest.mark.parametrize("kind", ["UHUGEINT", "BIGNUM", "BIT"])
def test_ids_that_duckdb_itself_cannot_hand_over(kind):
    import duckdb

    try:
        relation = sources.relation(f"SELECT '1'::{kind} AS who, DATE '2024-01-05' AS date, 1 AS amount")
    except duckdb.Error:
        pytest.skip(f"this DuckDB has no {kind}")
    with pytest.raises(ColumnError, match=rf"'who' is of type {kind}.*VARCHAR"):
        transactions(relation, customer="who")


@sources.every
def test_leading_zeros_and_large_numbers_as_text(source, tmp_path):
    frame = pd.DataFrame(
        {"customer_id": ["007", "7", "12345678901234567890"], "date": pd.Timestamp("2024-01-05"), "amount": 1.0}
    )
    with sources.opened(source, frame, tmp_path) as tx:
        assert set(sources.as_pandas(tx.hand_back(tx.customers))["customer_id"]) == set(frame["customer_id"])


def test_codes_are_stable_and_nulls_have_none():
    ids = Ids()
    first = ids.encode(objects("b", None, 1, "b", np.nan))
    assert first.to_pylist() == [0, None, 1, 0, None]
    assert ids.encode(objects(1, "c", "b")).to_pylist() == [1, 2, 0]
    assert ids.encode(objects("c", None)).to_pylist() == [2, None]
    assert ids.encode(pd.Series([], dtype=object)).to_pylist() == []
    assert list(ids.decode(pa.chunked_array([[2, 0], [1]]))) == ["c", "b", 1]


def test_what_needs_codes():
    plain = ["int8", "uint64", "Int64", "float32", "Float64", "bool", "boolean", "str", "datetime64[s]"]
    assert not any(needs_codes(pd.Series([1, 0]).astype(dtype)) for dtype in plain)
    assert not needs_codes(objects("a", None))
    assert not needs_codes(objects(None, None))
    assert needs_codes(objects("a", 1))
    assert needs_codes(pd.Series(["a"], dtype="category"))


def test_surrogates_are_refused():
    frame = pd.DataFrame({"customer_id": objects("\ud800", "a"), "date": pd.Timestamp("2024-01-05"), "amount": 1.0})
    with pytest.raises(LoyaltyError):
        transactions(frame)
