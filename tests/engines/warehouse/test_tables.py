"""On PostgreSQL: what comes back, what is written, and what is sent there."""

import datetime as dt
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import loyalty as ly
import sources
from loyalty.errors import ColumnError, LoyaltyError, OutputError
from postgres_server import ours
from test_threads import CUSTOMERS, log

pytestmark = [
    pytest.mark.engines,
    pytest.mark.xdist_group("postgres"),
    # Ibis 12 asks pandas 3 in words that it is giving up.
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),
]


# What comes back.


def test_what_comes_back_is_a_table_of_the_connection(backend):
    table = backend.table("log")
    with ly.transactions(table, customer="customer_id") as tx:
        people = tx.hand_back(tx.customers, days=("first_day", "last_day"))
        assert type(people).__module__.startswith("ibis.")
        assert people.get_backend() is backend
        assert people.columns[0] == "customer_id"
        kinds = {name: str(kind) for name, kind in people.schema().items()}
        assert (kinds["first_day"], kinds["purchases"], kinds["spend"]) == ("date", "int64", "float64")
        rich = people.filter(people.spend > 100)
        with ly.transactions(log()) as here:
            assert sources.same(
                sources.rows(people), sources.rows(here.hand_back(here.customers, days=("first_day", "last_day")))
            )
    joined = table.join(rich, "customer_id").count().to_pyarrow().as_py()  # also after closing
    assert 0 < joined < len(log())


def test_results_outlive_the_transactions_until_they_are_forgotten(backend):
    with ly.transactions(backend.table("log")) as tx:
        people = tx.hand_back(tx.customers)
        n = tx.n_customers
    (name,) = ours(backend)
    some = people.filter(people.purchases > 0)
    del people
    gc.collect()
    with ly.transactions(backend.table("log")):
        assert name in ours(backend)
    assert some.count().to_pyarrow().as_py() == n
    del some
    gc.collect()
    with ly.transactions(backend.table("log")):
        assert name not in ours(backend)
    assert ours(backend) == []


@pytest.mark.parametrize(
    ("kind", "told", "arrow"), [("smallint", "int16", pa.int16()), ("real", "float32", pa.float32())]
)
def test_ids_come_back_in_their_own_type(server, backend, kind, told, arrow, tmp_path):
    ids = [0.5, 1.5, 2.5] if kind == "real" else [-1, 0, 32767]
    server.load("typed", log().head(3).assign(customer_id=ids, amount=1.0), {"customer_id": kind})
    with ly.transactions(backend.table("typed")) as tx:
        people = tx.hand_back(tx.customers)
        assert str(people.schema()["customer_id"]) == told
        assert tx.collect(tx.customers).schema.field("customer").type == arrow
        tx.engine.write(tx.customers, str(tmp_path / "people.parquet"), customer="id")
        found = pq.read_table(tmp_path / "people.parquet")["id"]
        assert found.type == arrow
        assert sorted(found.to_pylist()) == sorted(people["customer_id"].to_pyarrow().to_pylist()) == ids


def test_summaries_are_pandas_frames(backend):
    with ly.transactions(backend.table("log")) as tx:
        assert isinstance(ly.retention(tx).to_native(), pd.DataFrame)


def test_writing_parquet(backend, tmp_path):
    path = tmp_path / "people.parquet"
    with ly.transactions(backend.table("log")) as tx, ly.transactions(log()) as here:
        tx.engine.write(tx.customers, str(path), customer="id", days=("first_day",))
        assert [item.name for item in path.parent.iterdir()] == ["people.parquet"]
        found = pq.read_table(path)
        assert found.schema.field("first_day").type == pa.date32()
        expected = here.hand_back(here.customers, days=("first_day",)).rename(columns={"customer_id": "id"})
        assert sources.same(sources.rows(found, "id"), sources.rows(expected, "id"))
        with pytest.raises(OutputError, match="is there already"):
            tx.engine.write(tx.customers, str(path), customer="id")
        broken = tx.customers.with_columns(bad=nw.lit(1) / (nw.col("purchases") - nw.col("purchases")))
        with pytest.raises(LoyaltyError, match="division by zero"):
            tx.engine.write(broken, str(tmp_path / "bad.parquet"), customer="id")
        assert [item.name for item in path.parent.iterdir()] == ["people.parquet"]


def test_writing_where_the_disk_is_full(backend, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with ly.transactions(backend.table("log")) as tx:
        with pytest.raises(OutputError, match="No space left") as caught:
            tx.engine.write(tx.customers, str(tmp_path / "people.parquet"), customer="id")
        # Although the error, and with it the frames that it went through, is still there.
        assert backend.con.info.transaction_status.name == "IDLE"
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(ly.repurchase_rate, tx).result(timeout=20).n == CUSTOMERS
        assert list(tmp_path.iterdir()) == [], caught


def test_writing_in_batches(backend, tmp_path, monkeypatch):
    monkeypatch.setattr("loyalty.engines.warehouse.session._BLOCK", 1000)
    with ly.transactions(backend.table("log")) as tx:
        tx.engine.write(tx.purchases, str(tmp_path / "bought.parquet"), customer="id")
        found = pq.ParquetFile(tmp_path / "bought.parquet")
        assert found.num_row_groups > 10
        assert found.metadata.num_rows == tx.n_purchases


# What is collected and attached.


def test_collecting_what_is_odd(backend):
    with ly.transactions(backend.table("log")) as tx:
        ids = tx.customers.select("customer")
        odd = ids.select(
            nothing=nw.lit(None).cast(nw.Float64),
            text=nw.lit('a "b", \\ \n%s'),
            empty=nw.lit(""),
            yes=nw.lit(True),
            big=nw.lit(2**62),
            small=nw.lit(5e-324),
        )
        found = tx.collect(odd)
        assert found.num_rows == CUSTOMERS
        assert found.to_pylist()[0] == {
            "nothing": None,
            "text": 'a "b", \\ \n%s',
            "empty": "",
            "yes": True,
            "big": 2**62,
            "small": 5e-324,
        }
        none = tx.collect(odd.filter(~nw.col("yes")))
        assert (none.num_rows, none.schema) == (0, found.schema)
        sums = tx.collect(tx.purchases.select(nw.col("day").sum(), n=nw.len()))
        assert [str(kind) for kind in sums.schema.types] == ["int64", "int64"]


def test_attaching_what_is_odd(backend):
    table = pa.table(
        {
            "text": pa.array(["", None, 'a,"b"\n', "\\.", "\\N", "ß"]),
            "code": pa.array(["x", "y", None, "x", "", "y"]).dictionary_encode(),
            "whole": pa.array([2**63 - 1, None, -1, 0, 1, 2], pa.int64()),
            "huge": pa.array([2**64 - 1, None, 1, 0, 1, 2], pa.uint64()),
            "real": pa.array([0.1, None, float("nan"), float("inf"), -1e-280, 1e308]),
            "flag": pa.array([True, None, False, True, True, False]),
            "exact": pa.array(
                [Decimal("1.10"), None, Decimal("-0.01"), Decimal(0), Decimal(1), Decimal(2)], pa.decimal128(20, 2)
            ),
            "day": pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31), *[dt.date(2024, 1, 5)] * 3]),
            "time": pa.array(
                [dt.datetime(2024, 1, 5, 1, 2, 3, 4), None, *[dt.datetime(1969, 12, 31, 23)] * 4], pa.timestamp("us")
            ),
            "bytes": pa.array([b"", None, b"\x00\xff", b"a", b"b", b"c"]),
            "never": pa.nulls(6),
        }
    )
    with ly.transactions(backend.table("log")) as tx:
        found = tx.collect(tx.engine.attach(table))
        assert sources.same(found.to_pylist(), table.to_pylist())
        assert tx.collect(tx.engine.attach(table.slice(0, 0))).num_rows == 0
        with pytest.raises(ColumnError, match="null character"):
            tx.engine.attach(pa.table({"text": ["a\0b"]}))


def test_attaching_many_cells_is_fast(backend):
    n = 100_000
    rng = np.random.default_rng(0)
    cells = pa.table(
        {"x": rng.integers(0, 50, n), "t": rng.integers(0, 400, n), **{f"v{k}": rng.random(n) for k in range(6)}}
    )
    with ly.transactions(backend.table("log")) as tx:
        start = time.perf_counter()
        frame = tx.engine.attach(cells)
        took = time.perf_counter() - start
        assert tx.collect(frame.select(nw.col("v5").sum()))["v5"][0].as_py() == pytest.approx(
            cells["v5"].to_numpy().sum()
        )
    assert took < 5, took


def wallets(ids):
    return pd.DataFrame({"who": ids, "spend": 1000.0})


@pytest.mark.parametrize("source", ["pandas", "polars", "pyarrow", "parquet", "same connection", "another connection"])
def test_tables_beside_the_log(server, backend, source, tmp_path):
    frame = wallets([f"c{number}" for number in range(0, 400, 2)])
    if source.endswith("connection"):
        server.load("wallets", frame)
        data = (backend if source.startswith("same") else server.connect()).table("wallets")
    else:
        data = sources.make(source, frame, tmp_path)
    with ly.transactions(backend.table("log")) as tx:
        attached = tx.engine.attach_source(data, {"customer": "who", "own": "spend"}, "customer")
        joined = tx.collect(attached.join(tx.customers.select("customer"), on="customer", how="inner"))
        assert joined.num_rows == 150
        assert set(joined["own"].to_pylist()) == {1000.0}
        with pytest.raises(ColumnError, match="'nope'"):
            tx.engine.attach_source(data, {"customer": "nope"}, "customer")


@pytest.mark.parametrize("source", ["pandas", "same connection"])
def test_ids_that_could_not_match_are_refused(server, backend, source):
    frame = wallets([1, 2])
    server.load("wallets", frame)
    data = frame if source == "pandas" else backend.table("wallets")
    with (
        ly.transactions(backend.table("log")) as tx,
        pytest.raises(
            ColumnError,
            match="customers of the log are of type text, those in column 'who' are bigint: none would match",
        ),
    ):
        tx.engine.attach_source(data, {"customer": "who"}, "customer")


def test_ids_of_like_types_match(server, backend):
    server.load(
        "numbered", log().assign(customer_id=lambda f: f["customer_id"].str[1:].astype(int)), {"customer_id": "numeric"}
    )
    with ly.transactions(backend.table("numbered")) as tx:
        for ids in ([1, 2, 999], [1.0, 2.0, None], pa.array([1, 2, 999], pa.uint64())):
            data = pa.table({"who": pa.array(ids)})
            attached = tx.engine.attach_source(data, {"customer": "who"}, "customer")
            assert tx.collect(attached.join(tx.customers, on="customer", how="inner")).num_rows == 2
