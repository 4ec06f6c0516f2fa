"""Files that are whole or not there, never replaced unasked; ids of every type come through."""

import datetime as dt
import decimal
import io
import uuid

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command import run
from loyalty.cli import output
from loyalty.cli.output import Place, write_rows

COMMANDS = {
    "segments": ("segments", "{log}", "-o", "{out}.csv"),
    "score": ("score", "{log}", "--model", "BGNBD", "-o", "{out}.parquet"),
    "saving": ("score", "{log}", "--model", "BGNBD", "--save-model", "{out}.json"),
    "backtest": ("backtest", "{log}", "--split", "2022-12-31", "--model", "BGNBD", "-o", "{out}.pq"),
}


@pytest.fixture(params=COMMANDS)
def call(request, files, tmp_path):
    """Arguments of a command that writes a file, and the file."""
    parts = [part.format(log=files["orders.csv"], out=tmp_path / "out") for part in COMMANDS[request.param]]
    return parts, next(tmp_path / part.split("/")[-1] for part in parts if "/out." in part)


def test_a_file_that_is_there_is_replaced_by_force_only(call, monkeypatch):
    arguments, path = call
    path.write_text("mine")
    with monkeypatch.context() as patch:  # it is told before anything is read
        patch.setattr("loyalty.engines.open_source", lambda *_: pytest.fail("read"))
        done = run(*arguments)
    assert (done.code, done.out) == (3, b"")
    assert done.err == f"loyalty: {str(path)!r} is there already: choose another name, or pass --force.\n"
    assert path.read_text() == "mine"
    assert run(*arguments, "--force").code == 0
    assert path.read_bytes() != b"mine"
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be(call, tmp_path):
    arguments, path = call
    arguments = [str(tmp_path / "none" / path.name) if part == str(path) else part for part in arguments]
    done = run(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (3, b"", 1)
    assert "cannot be written" in done.err


def test_nothing_is_left_of_what_fails(files, tmp_path, monkeypatch):
    def failing(batches, path):
        path.write_bytes(b"half")
        raise MemoryError

    monkeypatch.setattr(output, "_as_parquet", failing)
    done = run("segments", files["orders.csv"], "-o", tmp_path / "out.parquet", "-q")
    assert (done.code, done.out) == (70, b"")
    assert "--debug" in done.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_is_not_replaced(log, tmp_path):
    log.to_csv(tmp_path / "a.csv", index=False)
    before = (tmp_path / "a.csv").read_bytes()
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    for source in (tmp_path / "a.csv", tmp_path / "*a.csv"):
        done = run("segments", source, "-o", tmp_path / "link.csv", "--force")
        assert done.code == 2
        assert "is what is read from" in done.err
    assert (tmp_path / "a.csv").read_bytes() == before


@pytest.mark.parametrize("path", ["out", "out.xlsx", "out.csv.gz", "out.json"])
def test_unknown_endings(files, tmp_path, path):
    done = run("segments", files["orders.csv"], "-o", tmp_path / path)
    assert done.code == 2
    assert ".parquet or .csv" in done.err


UNIQUE = uuid.UUID(int=7)
QUICK = {"BIGINT", "UUID", "VARCHAR"}
IDS = [
    ("BIGINT", [2**62, -1], [str(2**62), "-1"]),
    ("DECIMAL(38, 0)", [2**100, 1], [str(2**100), "1"]),
    ("DOUBLE", [0.5, 2.0], ["0.5", "2"]),
    ("DECIMAL(20, 3)", [decimal.Decimal("1.250"), decimal.Decimal("7.000")], ["1.250", "7.000"]),
    ("UUID", [UNIQUE, uuid.UUID(int=8)], [str(UNIQUE), str(uuid.UUID(int=8))]),
    ("DATE", [dt.date(2024, 1, 5), dt.date(1, 1, 1)], ["2024-01-05", "0001-01-01"]),
    (
        "TIMESTAMP",
        [dt.datetime(2024, 1, 5, 1), dt.datetime(2024, 1, 6)],
        ["2024-01-05 01:00:00", "2024-01-06 00:00:00"],
    ),
    ("BOOLEAN", [True, False], ["true", "false"]),
    ("VARCHAR", ['=1+1"; \n客', "007"], ['=1+1"; \n客', "007"]),
    ("BLOB", [b"\x00\xff", b"a"], ["b'\\x00\\xff'", "b'a'"]),
]


@pytest.mark.parametrize(
    ("kind", "ids", "texts"),
    [pytest.param(*one, marks=[] if one[0] in QUICK else pytest.mark.slow, id=one[0]) for one in IDS],
)
def test_ids_of_every_type(tmp_path, kind, ids, texts):
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t (customer_id {kind}, date DATE, amount DOUBLE)")
        rows = [(one, dt.date(2024, 1, 5), 5.0 - place) for place, one in enumerate(ids)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.table("t").write_parquet(str(tmp_path / "a.parquet"))
    for name in ("out.parquet", "out.csv"):
        assert run("segments", tmp_path / "a.parquet", "-o", tmp_path / name, "-q").code == 0
    with duckdb.connect() as connection:
        kept, found = (
            connection.read_parquet(str(tmp_path / name)).project("customer_id").order("1").fetchall()
            for name in ("a.parquet", "out.parquet")
        )
    assert [str(one) for (one,) in found] == [str(one) for (one,) in kept]  # UUIDs leave the engine as text
    written = pd.read_csv(tmp_path / "out.csv", dtype=str)["customer_id"].tolist()
    assert sorted(written) == sorted(texts)


def test_missing_and_undefined_numbers_are_empty_in_csv(tmp_path):
    table = pa.table({"a": [1.5, None, float("nan")], "b": pa.array([1, None, 3]), "c": ["x", None, ""]})
    write_rows(Place(str(tmp_path / "a.csv"), "csv", force=False), table)
    assert (tmp_path / "a.csv").read_text() == '"a","b","c"\n1.5,1,"x"\n,,\n,3,""\n'


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_or_none_the_columns_are_written(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    assert write_rows(Place(str(path), kind, force=False), pa.table({"a": pa.array([], pa.int64())})) == 0
    read = pd.read_csv(path) if kind == "csv" else pq.read_table(path).to_pandas()
    assert (list(read.columns), len(read)) == (["a"], 0)


def test_rows_come_batch_by_batch(tmp_path):
    class Rows:
        """A stream that must not be gathered: each batch is only made when the one before is written."""

        made = 0

        def __arrow_c_stream__(self, requested_schema=None):
            def batches():
                for self.made in range(1, 6):
                    yield pa.record_batch({"a": [self.made]})

            return pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), batches()).__arrow_c_stream__()

    rows, seen = Rows(), []

    def widen(batch):
        seen.append((batch.num_rows, rows.made))
        return batch

    assert write_rows(Place(str(tmp_path / "a.parquet"), "parquet", force=False), rows, widen) == 5
    assert seen == [(0, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]
    assert pq.read_table(tmp_path / "a.parquet")["a"].to_pylist() == [1, 2, 3, 4, 5]


def test_csv_is_utf_8_whatever_the_terminal_speaks(tmp_path):
    (tmp_path / "a.csv").write_text("customer_id,date,amount\nÄnn 客,2024-01-05,3\n", encoding="utf-8")
    done = run("segments", tmp_path / "a.csv", "-o", "-", "-q")
    assert pd.read_csv(io.BytesIO(done.out))["customer_id"].tolist() == ["Änn 客"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "{log}", "--wallet", "{mine}", "-o", "{mine}"),
        ("report", "{log}", "--surveys", "{mine}", "-o", "{folder}/../{name}/mine.csv"),
        ("segments", "{mine}", "-o", "{mine}"),
        ("score", "{log}", "--model", "{mine}", "--save-model", "{mine}"),
        ("score", "{log}", "--model", "{mine}", "-o", "{mine}"),
    ],
)
def test_nothing_that_is_read_is_replaced(files, tmp_path, arguments):
    mine = tmp_path / "mine.csv"
    mine.write_text("customer_id,category_spend\n00001,100\n")
    places = {"log": files["orders.csv"], "mine": mine, "folder": tmp_path, "name": tmp_path.name}
    done = run(*(part.format(**places) for part in arguments), "--force")
    assert (done.code, done.out) == (2, b"")
    assert "is what is read from" in done.err
    assert mine.read_text() == "customer_id,category_spend\n00001,100\n"


def test_two_results_need_two_files(files, tmp_path):
    path = tmp_path / "x.csv"
    done = run(
        "score", files["orders.csv"], "-o", path, "--save-model", tmp_path / ".." / tmp_path.name / "x.csv", "-f"
    )
    assert (done.code, done.out) == (2, b"")
    assert "would be written twice" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("segments",), ("score",), ("backtest", "--split", "2022-12-31")])
def test_standard_output_holds_one_result(command):
    done = run(command[0], "none.csv", *command[1:], "--json", "-o", "-")
    assert (done.code, done.out) == (2, b"")
    assert "--json and --output -" in done.err
