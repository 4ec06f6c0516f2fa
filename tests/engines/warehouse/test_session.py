"""On PostgreSQL: settings, threads and transactions of the caller's change no answer, and nothing is left."""

import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import narwhals.stable.v2 as nw
import pandas as pd
import pytest

import loyalty as ly
from loyalty.engines.warehouse.session import session_of
from loyalty.errors import UnsupportedSource
from postgres_server import READER, ours
from test_threads import log

psycopg = pytest.importorskip("psycopg", reason="the extra ibis is not installed")

pytestmark = [
    pytest.mark.engines,
    pytest.mark.xdist_group("postgres"),
    # Ibis 12 asks pandas 3 in words that it is giving up.
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),
]


@pytest.fixture
def manual(server):
    """Return a backend whose connection is in a transaction from its first statement to the caller's commit."""
    import ibis

    with closing(psycopg.connect(**server.login(READER))) as connection:
        yield ibis.postgres.from_connection(connection)


# Settings.


@pytest.mark.parametrize("digits", [-13, 0, 1])
def test_floats_come_as_they_are_however_the_session_prints_them(server, backend, digits):
    spends = [9.87654321, 123456.789, 0.1, 1 / 3, 1e-90, 9e99, 2.0**-60]
    server.load("spent", pd.DataFrame({"customer_id": range(7), "date": pd.Timestamp("2024-01-05"), "amount": spends}))
    backend.con.execute(f"SET extra_float_digits = {digits}")
    with ly.transactions(backend.table("spent")) as tx:
        assert sorted(tx.collect(tx.customers)["spend"].to_pylist()) == sorted(spends)
        odd = [nw.lit(value).alias(f"c{place}") for place, value in enumerate([-0.5, 5e-324, math.inf, -math.inf])]
        found = tx.collect(tx.customers.select(*odd, nothing=nw.lit(None).cast(nw.Float64))).to_pylist()[0]
        assert list(map(repr, found.values())) == ["-0.5", "5e-324", "inf", "-inf", "None"]


def test_a_session_that_takes_backslashes_for_escapes_is_refused(server, backend):
    regions = ["a\\b", "a\\'; x", "n"]
    server.load("slashed", log().assign(region=lambda rows: [regions[place % 3] for place in range(len(rows))]))
    table = backend.table("slashed")
    backend.con.execute("SET standard_conforming_strings = off")
    with pytest.raises(UnsupportedSource, match="SET standard_conforming_strings = on"):
        ly.transactions(table)
    backend.con.execute("SET standard_conforming_strings = on")
    with ly.transactions(table) as tx:
        groups = ly.pareto(tx, by="region")
        assert [groups[name].customers.count().to_pyarrow().as_py() > 0 for name in regions] == [True] * 3
        backend.con.execute("SET standard_conforming_strings = off")
        with pytest.raises(UnsupportedSource, match="backslashes"):
            ly.retention(tx, by="region")
        backend.con.execute("SET standard_conforming_strings = on")
    del groups


# Threads.


def test_another_thread_on_the_connection_is_told(backend):
    with ly.transactions(backend.table("log")) as tx:
        expected = ly.repurchase_rate(tx).value
        theirs = backend.con.transaction()
        with (
            pytest.raises(UnsupportedSource, match=r"the query: another thread used the connection .* of its own"),
            session_of(backend.con).running("the query", object()),
        ):
            theirs.__enter__()  # as Ibis does in another thread; it ends after ours
        with contextlib.suppress(psycopg.ProgrammingError):
            theirs.__exit__(None, None, None)
        backend.con.rollback()  # what the error says
        assert ly.repurchase_rate(tx).value == expected


def wait_until_active(server, backend):
    who = backend.con.info.backend_pid
    for _ in range(500):
        if server.run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {who} AND state = 'active'"):  # noqa: S608
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def test_closing_does_not_wait_for_the_query_of_others(server, backend):
    server.run(
        "CREATE OR REPLACE VIEW dozing AS SELECT log.* FROM log, pg_sleep(8)", "GRANT SELECT ON dozing TO PUBLIC"
    )
    slow = nw.from_native(backend.table("dozing"))
    with ly.transactions(backend.table("log")) as other, ThreadPoolExecutor(1) as pool:
        tx = ly.transactions(backend.table("log"))
        before = set(ours(backend))
        waiting = pool.submit(other.collect, slow)
        wait_until_active(server, backend)
        start = time.perf_counter()
        tx.close()
        assert time.perf_counter() - start < 3
        other.engine.interrupt()
        with pytest.raises(UnsupportedSource, match="broken off"):  # by us, and not by the closing
            waiting.result()
        assert other.hand_back(other.customers).count().to_pyarrow().as_py() == other.n_customers
        assert len(before & set(ours(backend))) < len(before)
    assert ours(backend) == []


def test_logs_that_are_closed_at_once_leave_nothing(backend):
    for _ in range(2):
        opened = [ly.transactions(backend.table("log").limit(20)) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda tx: tx.close(), opened))
        assert ours(backend) == []


# Transactions of the caller's.


def test_tables_that_a_rollback_brings_back_are_dropped_again(backend):
    table = backend.table("log")
    tx = ly.transactions(table)
    with backend.con.transaction(force_rollback=True):
        tx.close()
        assert ours(backend) == []
    assert ours(backend) != []
    with ly.transactions(table):
        pass
    assert ours(backend) == []


def test_tables_that_a_savepoint_brings_back_go_after_its_transaction(backend):
    table = backend.table("log")
    tx = ly.transactions(table)
    with backend.con.transaction():
        with backend.con.transaction(force_rollback=True):
            tx.close()
        with ly.transactions(table):
            assert ours(backend) != []
    with ly.transactions(table):
        pass
    assert ours(backend) == []


def test_what_is_remembered_does_not_grow_with_the_caller_s_transactions(manual):
    remembered = []
    for _ in range(4):
        manual.con.execute("SELECT 1")  # never idle when we are asked
        with ly.transactions(manual.table("log")) as tx:
            assert tx.n_customers > 0
        remembered.append(len(session_of(manual.con)._dropped))
        manual.con.commit()
    assert remembered[0] == remembered[-1] > 0
    assert ours(manual) == []
