"""A query lets Ctrl-C through, wherever the engine's own threads are at."""

import os
import signal
import threading
import time

import narwhals.stable.v2 as nw
import pandas as pd
import pytest

import loyalty as ly
from loyalty.engines import embedded
from loyalty.engines.waiting import interruptible

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent to this process")


@pytest.fixture
def press():
    """Press Ctrl-C in a moment, whatever the shell has set for it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timers = []

    def soon(seconds=0.2):
        timers.append(threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)))
        timers[-1].start()

    yield soon
    for timer in timers:
        timer.join()
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def tx():
    with ly.transactions(pd.DataFrame({"customer_id": [1], "date": ["2024-01-01"], "amount": [5.0]})) as opened:
        yield opened


def long_query(tx, rows=100_000):
    """Give DuckDB's threads work for a while, of which the one that Python knows may get none."""
    query = f"SELECT sum(hash(a.range + b.range)) AS n FROM range({rows}) a, range({rows}) b"  # noqa: S608
    return nw.from_native(tx.engine._cursor().sql(query))


WAYS = {
    "kept as a table": lambda engine, frame: engine.persist(frame, "kept"),
    "collected": lambda engine, frame: engine.collect(frame),
    "in batches": lambda engine, frame: list(engine.batches(frame)),
    "written to a file": lambda engine, frame: engine.write(frame, "a.parquet", customer=None),
}


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_ends_a_query_at_once(tx, press, monkeypatch, tmp_path, way):
    monkeypatch.setattr(embedded, "_LASTING", -1.0)  # as if queries had taken long
    monkeypatch.chdir(tmp_path)
    assert ly.repurchase_rate(tx).n == 1
    press()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        WAYS[way](tx.engine, long_query(tx))
    assert time.monotonic() - began < 20.0
    assert list(tmp_path.iterdir()) == []
    assert ly.pareto(tx).customers["customer_id"].tolist() == [1]  # on the same cursor


def test_small_logs_have_ctrl_c_told_by_the_engine(tx, press):
    """It may wait for the end of the query, but it is not lost and keeps its name."""
    press(0.1)
    with pytest.raises(KeyboardInterrupt):
        tx.engine.collect(long_query(tx, 20_000))
    assert ly.repurchase_rate(tx).n == 1


def test_small_logs_are_asked_without_a_detour(tx, monkeypatch):
    monkeypatch.setattr(embedded, "_LASTING", 60.0)
    ly.repurchase_rate(tx)  # the rows have been read
    monkeypatch.setattr(embedded, "interruptible", None)
    assert ly.repurchase_rate(tx).n == 1


def test_the_query_runs_in_another_thread_and_tells_what_it_found():
    here = threading.current_thread()
    assert interruptible(threading.current_thread, lambda: None) is not here
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 / 0, lambda: None)


def test_threads_ask_by_themselves():
    found = []
    thread = threading.Thread(target=lambda: found.append(interruptible(threading.current_thread, lambda: None)))
    thread.start()
    thread.join()
    assert found == [thread]


def test_a_query_is_broken_off_until_it_ends(press):
    """One that has not begun cannot be broken off, so that the first attempt may do nothing."""
    attempts, ended = [], threading.Event()

    def query():
        while len(attempts) < 3:
            time.sleep(0.01)
        ended.set()

    press()
    with pytest.raises(KeyboardInterrupt):
        interruptible(query, lambda: attempts.append(1))
    assert ended.is_set()
    assert len(attempts) >= 3


def test_what_another_handler_raises_ends_it_too(tx):
    """As a time limit by SIGALRM."""

    class LateError(Exception):
        pass

    def too_late(number, frame):
        raise LateError

    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(LateError):
            tx.engine.persist(long_query(tx), "kept")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ly.repurchase_rate(tx).n == 1
