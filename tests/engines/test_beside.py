"""Another of the caller's tables beside the log: which of its ids are the log's customers."""

import datetime as dt
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import sources
from loyalty.errors import ColumnError
from loyalty.transactions import transactions

UUIDS = [uuid.UUID(int=place) for place in (3, 1, 2)]


def objects(*values):
    return pd.Series(values, dtype=object)


def joined(own, other, kind="pandas"):
    """Return pairs of places (in `own`, in `other`) whose ids are the same customer."""
    frame = pd.DataFrame({"customer_id": own, "date": pd.Timestamp("2024-01-05")})
    frame["amount"] = np.arange(len(frame), dtype=float)
    beside = pd.DataFrame({"cid": other})
    beside["place"] = np.arange(len(beside))
    if kind != "pandas":
        beside = sources.make(kind, beside, None)
    with transactions(frame) as tx:
        rows = tx.engine.attach_source(beside, {"customer": "cid", "place": "place"}, customer="customer")
        both = rows.join(tx.customers.select("customer", "spend"), on="customer", how="inner")
        pairs = {(int(line["spend"]), int(line["place"])) for line in tx.collect(both).to_pylist()}
        back = tx.hand_back(tx.customers)["customer_id"]
        assert back.dtype == frame["customer_id"].dtype
        assert {repr(value) for value in back} == {repr(value) for value in frame["customer_id"].dropna()}
    return pairs


def categorical(*values, categories):
    return pd.Series(pd.Categorical(values, categories=list(categories)))


@pytest.mark.parametrize(
    ("own", "other", "pairs"),
    [
        ([1, 2, 3], [3, 9, 1], {(2, 0), (0, 2)}),
        ([1, 2, 3], [3.0, None, 1.0], {(2, 0), (0, 2)}),
        (pd.array([1, None, 3], dtype="Int64"), np.array([3, 1], dtype="uint8"), {(2, 0), (0, 1)}),
        (["a", "b"], ["b", None], {(1, 0)}),
        (["a", "b"], categorical("b", "x", categories="xb"), {(1, 0)}),
        (categorical("a", "b", categories="ab"), ["b", "x"], {(1, 0)}),
        (categorical("a", "b", categories="ab"), categorical("a", "b", categories="ba"), {(0, 0), (1, 1)}),
        (categorical("a", "b", categories="ab"), categorical("b", "z", categories="zb"), {(1, 0)}),
        (objects(1, "1", 2.5), objects("1", 7, 1, None), {(1, 0), (0, 2)}),
        (objects(2**53 + 1, "x"), pd.array([2**53 + 1, None, 2**53], dtype="Int64"), {(0, 0)}),
        (UUIDS, UUIDS[::-1], {(0, 2), (1, 1), (2, 0)}),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), objects(dt.date(2024, 1, 2)), {(1, 0)}),
    ],
)
def test_ids_of_another_table(own, other, pairs):
    assert joined(own, other) == pairs


@pytest.mark.parametrize("kind", ["polars", "polars-lazy", "pyarrow", "duckdb"])
def test_ids_of_another_kind_of_table(kind):
    assert joined(["a", "b"], ["b", None, "a"], kind) == {(1, 0), (0, 2)}
    assert joined(objects(2**53 + 1, "x"), pd.array([2**53 + 1, None, 2**53], dtype="Int64"), kind) == {(0, 0)}


@pytest.mark.parametrize(
    ("own", "other"),
    [([1, 2], ["1", "2"]), (["1"], [1]), (["1"], objects(1, "1")), ([1], pd.to_datetime(["2024-01-01"]))],
)
def test_ids_of_unlike_types_are_refused(own, other):
    with pytest.raises(ColumnError):
        joined(own, other)


LARGE = 2**53


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ([LARGE, LARGE + 1], [float(LARGE), None]),
        ([-LARGE, -LARGE - 1], [1.0, -float(LARGE)]),
        (pd.array([LARGE + 1, 2**63], dtype="UInt64"), [float(LARGE)]),
        ([float(LARGE), 1.0], [LARGE, LARGE + 1]),
        ([2**24, 2**24 + 1], np.array([2**24], dtype="float32")),
        (np.array([2**24, 1], dtype="float32"), [2**24, 2**24 + 1]),
    ],
)
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_ids_that_floats_would_merge_are_refused(own, other, kind):
    with pytest.raises(
        ColumnError, match=r"those in column 'cid' are .*and more are not told apart\. Give both columns"
    ):
        joined(own, other, kind)


@pytest.mark.parametrize(
    ("own", "other", "pairs"),
    [
        ([LARGE, LARGE + 1, LARGE - 1], [LARGE - 1.0, np.nan], {(2, 0)}),
        ([LARGE, LARGE + 1, 7], [np.inf, -np.inf, 7.0, 7.5], {(2, 2)}),
        ([float(LARGE), 7.0], [LARGE - 1, 7], {(1, 1)}),
        ([LARGE, LARGE + 1], [LARGE + 1], {(1, 0)}),
        ([float(LARGE), 0.5], [float(LARGE), 0.5], {(0, 0), (1, 1)}),
        ([2**24, 2**24 + 1, 2**24 - 1], np.array([2**24 - 1], dtype="float32"), {(2, 0)}),
    ],
)
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_numbers_that_floats_tell_apart_match(own, other, pairs, kind):
    assert joined(own, other, kind) == pairs


@sources.every_far
def test_ids_that_floats_would_merge_are_refused_wherever_they_are(source, tmp_path):
    frame = pd.DataFrame({"customer_id": [LARGE, LARGE + 1, 7], "date": pd.Timestamp("2024-01-05"), "amount": 1.0})
    log = sources.make(source, frame, tmp_path)
    with transactions(log) as tx:
        for ids in ([7.0, float(LARGE)], [7.0, 7.5, LARGE - 1.0, np.nan]):
            beside = pa.table({"cid": pa.array(ids)})
            tables = [beside, sources.make(source, beside.to_pandas(), tmp_path, name="beside")]
            if source == "postgres":  # that one is on another connection
                tables.append(log.get_backend().table("beside"))
            for data in tables:
                if abs(ids[-1]) == LARGE:
                    with pytest.raises(ColumnError, match=r"those in column 'cid' are double.* are not told apart"):
                        tx.engine.attach_source(data, {"customer": "cid"}, customer="customer")
                    continue
                rows = tx.engine.attach_source(data, {"customer": "cid"}, customer="customer")
                found = tx.collect(rows.join(tx.customers.select("customer", "spend"), on="customer", how="inner"))
                assert found["spend"].to_pylist() == [1.0]


def test_a_column_missing_in_another_table():
    with (
        transactions(pd.DataFrame({"customer_id": [1], "date": pd.Timestamp("2024-01-05"), "amount": 1.0})) as tx,
        pytest.raises(ColumnError, match="customer='cid'"),
    ):
        tx.engine.attach_source(pd.DataFrame({"id": [1]}), {"customer": "cid"}, customer="customer")


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (pd.Series([1, 2], dtype="int8"), [1, 1000]),
        (pd.Series([1, 2], dtype="int64"), [1, None, 2.5]),
        (categorical("a", "b", categories="ab"), ["a", "z"]),
        (categorical("a", "b", categories="ab"), ["a", None]),
        (objects(1, "1"), ["1", None, "z"]),
        (pd.Series(["a", "b"]), ["a", None]),
    ],
)
def test_ids_that_only_another_table_has_are_not_bent_to_the_log_s_dtype(own, other):
    frame = pd.DataFrame({"customer_id": own, "date": pd.Timestamp("2024-01-05"), "amount": 1.0})
    with transactions(frame) as tx:
        rows = tx.engine.attach_source(pd.DataFrame({"id": other}), {"customer": "id"}, customer="customer")
        back = tx.hand_back(rows)["customer_id"]
    expected = {sources.text(value) for value in pd.Series(other)} - {None}
    assert {sources.text(value) for value in back} - {None} == expected
