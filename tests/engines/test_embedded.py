"""What the embedded engine promises beside right answers: snapshots, results of their own, no waiting."""

import os
import signal
import subprocess
import sys
import threading
import time

import duckdb
import pandas as pd
import polars as pl
import pytest

import loyalty as ly
from loyalty.engines.once import Once
from loyalty.errors import InvalidArgument, UnsupportedSource

FRAME = pd.DataFrame(
    {
        "customer_id": [1, 1, 2, 3],
        "date": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-01-03", "2024-01-04"]),
        "amount": [10.0, 20.0, 30.0, 0.0],
        "shop": ["x", "y", "y", None],
    }
)


def test_results_of_a_relation_outlive_the_transactions_and_serve_any_thread():
    connection = duckdb.connect()
    connection.register("log", FRAME)
    with ly.transactions(connection.table("log")) as tx:
        found = ly.historical_value(tx).customers
        other = []
        reader = threading.Thread(target=lambda: other.append(found.fetchall()))
        reader.start()
        reader.join()
        assert float(ly.repurchase_rate(tx)) == pytest.approx(1 / 3)
    assert [row[0] for row in found.fetchall()] == [row[0] for row in other[0]] == [1, 2, 3]
    assert found.columns[0] == "customer_id"


def test_results_of_files_are_relations_with_dates(tmp_path):
    FRAME.to_parquet(tmp_path / "log.parquet")
    with ly.transactions(tmp_path / "log.parquet") as tx:
        found = tx.hand_back(tx.customers.sort("customer"), days=("first_day", "last_day"))
    assert [str(kind) for kind in found.select("first_day", "last_day").types] == ["DATE", "DATE"]


def test_polars_frames_edited_in_place_change_nothing():
    frame = pl.from_pandas(FRAME)
    with ly.transactions(frame) as tx:
        frame[1, "shop"] = "z"
        frame[2, "shop"] = "z"
        frame.columns = ["a", "b", "c", "d"]
        assert list(ly.repurchase_rate(tx, by="shop")) == ["x", "y", None]


def test_rows_deleted_behind_a_relation_are_noticed():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE log AS SELECT * FROM FRAME")
    with ly.transactions(connection.table("log")) as tx:
        connection.execute("DELETE FROM log WHERE customer_id = 2")
        with pytest.raises(UnsupportedSource, match="changed since it was opened: of 3 first purchases 2"):
            ly.repurchase_rate(tx, by="shop")


def test_a_slow_table_keeps_no_other_thread_waiting():
    with ly.transactions(FRAME) as tx:
        started, done = threading.Event(), threading.Event()

        def slow():
            started.set()
            assert done.wait(20)
            return tx.customers

        builder = threading.Thread(target=lambda: tx.kept("slow", slow))
        builder.start()
        assert started.wait(20)
        found = []
        reader = threading.Thread(target=lambda: found.append(float(ly.retention_rate(tx, "month"))))
        reader.start()
        reader.join(20)
        done.set()
        builder.join(20)
    assert len(found) == 1


def test_an_interrupt_just_after_a_table_was_built_is_no_lasting_harm(monkeypatch):
    def interrupted(self, name, make):
        make()
        raise KeyboardInterrupt

    with ly.transactions(FRAME) as tx:
        with monkeypatch.context() as patched:
            patched.setattr(Once, "build", interrupted)
            with pytest.raises(KeyboardInterrupt):
                tx.activity("month")
        assert len(tx.collect(tx.activity("month"))) == 4
        assert len(tx.collect(tx.activity("month"))) == 4


def test_times_with_and_without_a_zone_in_one_column_are_told_apart():
    frame = FRAME.assign(date=["2024-01-01T10:00Z", "2024-01-02 10:00", "2024-01-03T10:00Z", "2024-01-04T10:00Z"])
    with pytest.raises(InvalidArgument, match="mixes times with a zone and times without"):
        ly.transactions(frame, timezone="UTC")


def test_groups_of_nanoseconds_find_their_customers_again():
    times = FRAME["date"].astype("datetime64[ns]") + pd.Timedelta(5, "ns")
    with ly.transactions(FRAME.assign(shop=times, amount=10.0)) as tx:
        groups = ly.pareto(tx, by="shop")
        assert [len(group.customers) for group in groups.values()] == [1, 1, 1]


ASKING = """
import signal, sys
import narwhals.stable.v2 as nw, pandas as pd
import loyalty as ly
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever a shell has set
tx = ly.transactions(pd.DataFrame({"customer_id": [1], "date": ["2024-01-01"], "amount": [5.0]}))
rows = "SELECT sum(hash(a.range + b.range)) AS n FROM range(10_000) a, range(10_000) b"
print("asking", flush=True)
try:
    while True:  # each ends by itself: DuckDB may hear of Ctrl-C at its end only
        tx.collect(nw.from_native(tx.engine._cursor().sql(rows)))
except BaseException as err:
    print(type(err).__name__, ly.repurchase_rate(tx).n, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_ctrl_c_in_the_middle_of_a_query_is_a_keyboard_interrupt():
    with subprocess.Popen([sys.executable, "-c", ASKING], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "asking\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=120)[0] == "KeyboardInterrupt 1\n"
        finally:
            process.kill()
