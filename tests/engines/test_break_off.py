"""Queries can be broken off by a program that must end; the engine stays of use."""

import threading
import time

import duckdb
import pyarrow as pa

from loyalty import engines
from loyalty.errors import UnsupportedSource


def test_break_off(tmp_path):
    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        connection.execute("CREATE VIEW endless AS SELECT a.range AS x FROM range(1000000) a, range(1000000) b")
    engine = engines.connect(tmp_path / "a.duckdb", table="endless")
    other = engines.connect(pa.table({"x": [1]}))
    raised = []

    def work():
        try:
            engine.persist(engine.rows(engines.RowSpec({"customer": "x"})), "rows")
        except UnsupportedSource as error:
            raised.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():  # one that has not begun yet cannot be broken off
        engines.break_off()
        time.sleep(0.01)
    assert len(raised) == 1
    for one in (engine, other):
        assert one.collect(one.attach(pa.table({"y": [2]})))["y"].to_pylist() == [2]
        one.close()
    engines.break_off()  # closed ones are left alone


def test_a_first_look_at_a_source_can_be_broken_off(tmp_path):
    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        connection.execute("CREATE VIEW endless AS SELECT sum(a.range) AS x FROM range(1000000) a, range(1000000) b")
    source, raised = engines.open_source(tmp_path / "a.duckdb", "endless"), []

    def work():
        try:
            source.head(1)
        except UnsupportedSource as error:
            raised.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        engines.break_off()
        time.sleep(0.01)
    assert len(raised) == 1
