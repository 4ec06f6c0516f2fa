"""On PostgreSQL: the caller's schema stays empty, the connection is left as it was, and what is lacking is said."""

import gc
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import narwhals.stable.v2 as nw
import pytest

import loyalty as ly
import postgres_server
import sources
from loyalty.errors import ClosedError, EmptyData, LoyaltyError, UnsupportedSource
from postgres_server import CAUTIOUS, LOCKED, READER, ours
from test_threads import CUSTOMERS, QUESTIONS, log

psycopg = pytest.importorskip("psycopg", reason="the extra ibis is not installed")

pytestmark = [
    pytest.mark.engines,
    pytest.mark.xdist_group("postgres"),
    # Ibis 12 asks pandas 3 in words that it is giving up.
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),
]


@pytest.fixture(scope="module")
def server():
    started = postgres_server.server()
    frame = log()
    for database in (postgres_server.HOME, LOCKED):
        started.load("log", frame, database=database)
    started.run(
        "CREATE TABLE secret AS SELECT * FROM log",
        "CREATE SCHEMA hidden",
        "CREATE TABLE hidden.log AS SELECT * FROM log",
        "GRANT SELECT ON hidden.log TO PUBLIC",
    )
    return started


def prepared(backend):
    return backend.con.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0]


def status(backend):
    return backend.con.info.transaction_status.name


# Rights.


def test_the_right_to_select_suffices(server, backend):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        backend.con.execute("CREATE TABLE mine (a int)")
    with ly.transactions(backend.table("log")) as tx, ly.transactions(log()) as here:
        assert str(ly.overview(tx)) == str(ly.overview(here))


def test_without_the_right_to_temporary_tables_the_error_says_what_to_ask_for(server):
    backend = server.connect(READER, LOCKED)
    with pytest.raises(UnsupportedSource) as caught:
        ly.transactions(backend.table("log"))
    said = str(caught.value)
    assert f"GRANT TEMPORARY ON DATABASE {server.name(LOCKED)} TO {server.name(READER)};" in said
    assert "ly.transactions(table.to_pyarrow(), ...)" in said
    assert status(backend) == "IDLE"
    server.run(f"GRANT TEMPORARY ON DATABASE {server.name(LOCKED)} TO {server.name(READER)}")
    with ly.transactions(backend.table("log")) as tx:
        assert tx.n_customers == CUSTOMERS
    server.run(f"REVOKE TEMPORARY ON DATABASE {server.name(LOCKED)} FROM {server.name(READER)}")


def test_transactions_that_are_read_only_by_default_stay_so(server):
    backend = server.connect(CAUTIOUS)
    with ly.transactions(backend.table("log")) as tx:
        assert ly.repurchase_rate(tx).n == tx.n_customers
        assert tx.hand_back(tx.customers).count().to_pyarrow().as_py() == tx.n_customers
        assert backend.con.execute("SHOW transaction_read_only").fetchone() == ("on",)
    assert ours(backend) == []
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        backend.con.execute("CREATE TEMPORARY TABLE mine (a int)")


def test_a_connection_that_is_set_to_read_only_stays_so(server, backend):
    backend.con.read_only = True
    with ly.transactions(backend.table("log")) as tx:
        assert ly.repurchase_rate(tx).n == tx.n_customers
    assert backend.con.read_only is True
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), backend.con.transaction():
        backend.con.execute("CREATE TEMPORARY TABLE mine (a int)")


def test_a_read_only_transaction_of_the_caller_s_is_respected(backend):
    table = backend.table("log")
    with backend.con.transaction():
        backend.con.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(UnsupportedSource, match="read-only transaction refuse: end the transaction"):
            ly.transactions(table)
        assert status(backend) == "INTRANS"
        assert backend.con.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("name", "right"), [("secret", "GRANT SELECT ON secret"), ("hidden.log", "GRANT USAGE ON SCHEMA hidden")]
)
def test_a_right_that_is_missing_is_named(server, backend, name, right):
    schema, _, table = name.rpartition(".")
    found = server.connect(None).table(table, database=schema or None)
    foreign = backend.table("log").op().copy(name=table, namespace=found.op().namespace).to_expr()
    with pytest.raises(UnsupportedSource, match=f"permission denied .*{right} TO {server.name(READER)};"):
        ly.transactions(foreign)
    assert status(backend) == "IDLE"


# What is left behind.


def relations(server):
    """Return everything that is not temporary, and every schema."""
    return server.run(
        "SELECT 'table', relname, nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relpersistence <> 't' AND nspname NOT LIKE 'pg_toast%' "
        "UNION ALL SELECT 'schema', nspname, '' FROM pg_namespace WHERE nspname NOT LIKE 'pg_%temp%' "
        "UNION ALL SELECT 'function', proname, '' FROM pg_proc "
        "UNION ALL SELECT 'type', typname, '' FROM pg_type WHERE typname NOT LIKE '%loyalty%' ORDER BY 1, 2, 3"
    )


def test_nothing_but_temporary_tables_is_made_and_they_go(server, backend):
    before = relations(server)
    with ly.transactions(backend.table("log"), observed_from="2024-02-01") as tx:
        for ask in QUESTIONS.values():
            ask(tx)
        value = ly.pareto(tx)
        gc.collect()
        assert relations(server) == before
        assert prepared(backend) == 0
        kept = ours(backend)
        assert any(name.endswith("_purchases") for name in kept)
        assert all(name.startswith("loyalty_") for name in kept)
    del value
    assert ours(backend) == []
    assert relations(server) == before


@pytest.mark.parametrize(
    "options", [{"customer": "nope"}, {"observed_from": "2030-01-01"}, {"amount": "region"}, {"returns": "error"}]
)
def test_nothing_is_left_after_an_error(backend, options):
    with pytest.raises(LoyaltyError):
        ly.transactions(backend.table("log"), **options)
    assert ours(backend) == []
    assert status(backend) == "IDLE"


def test_what_nobody_closed_goes_with_the_next_table(backend):
    tx = ly.transactions(backend.table("log"))
    first = set(ours(backend))
    del tx
    gc.collect()
    with ly.transactions(backend.table("log")):
        assert first.isdisjoint(ours(backend))
    assert ours(backend) == []


def test_attached_tables_do_not_pile_up(backend):
    with ly.transactions(backend.table("log")) as tx:
        ly.cohorts(tx)
        gc.collect()
        before = len(ours(backend))
        for _ in range(5):
            tx.collect(tx.with_period(tx.customers.select("first_day"), "month", "first_day"))
            gc.collect()
        assert len(ours(backend)) <= before + 1


def settings(backend):
    state = (
        backend.con.info.transaction_status,
        backend.con.autocommit,
        backend.con.read_only,
        backend.con.isolation_level,
    )
    return (
        state,
        backend.con.execute("SELECT name, setting FROM pg_settings ORDER BY 1").fetchall(),
        backend.con.row_factory,
    )


def test_the_connection_is_left_as_it_was(server, backend):
    backend.con.execute("SET search_path = hidden, public")
    backend.con.execute("SET timezone = 'Asia/Tokyo'")
    backend.con.execute("SET datestyle = 'German'")
    backend.con.execute("SET extra_float_digits = 0")
    backend.con.execute("SET bytea_output = 'escape'")
    table = backend.table("log", database="public")
    backend.con.row_factory = psycopg.rows.dict_row  # which Ibis itself does not stand
    before = settings(backend)
    with ly.transactions(server.connect(None).table("log")) as tx:
        expected = str(ly.overview(tx))
    with ly.transactions(table) as tx:
        assert str(ly.overview(tx)) == expected
        assert settings(backend) == before
        with pytest.raises(LoyaltyError):
            ly.repurchase_rate(tx, by="nope")
    assert settings(backend) == before


def test_an_open_transaction_of_the_caller_s_stays_open(server):
    import ibis

    with closing(psycopg.connect(**server.login(READER))) as connection:
        backend = ibis.postgres.from_connection(connection)
        connection.execute("CREATE TEMPORARY TABLE mine AS SELECT * FROM log")
        assert status(backend) == "INTRANS"
        with ly.transactions(backend.table("mine")) as tx:
            assert tx.n_customers == CUSTOMERS
            assert ly.repurchase_rate(tx).n == CUSTOMERS
        assert status(backend) == "INTRANS"
        with pytest.raises(EmptyData):
            ly.transactions(backend.table("mine"), observed_from="2030-01-01")
        assert connection.execute("SELECT count(*) FROM mine").fetchone()[0] == len(log())
        connection.rollback()
        assert ours(backend) == []


def test_a_failed_transaction_of_the_caller_s_is_told(server):
    with closing(psycopg.connect(**server.login(READER))) as connection:
        import ibis

        backend = ibis.postgres.from_connection(connection)
        table = backend.table("log")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        with pytest.raises(UnsupportedSource, match="roll it back first"):
            ly.transactions(table)
        connection.rollback()
        with ly.transactions(table) as tx:
            assert tx.n_customers == CUSTOMERS


def test_a_rollback_that_took_the_tables_is_told(server):
    import ibis

    with closing(psycopg.connect(**server.login(READER))) as connection:
        backend = ibis.postgres.from_connection(connection)
        table = backend.table("log")
        connection.execute("SELECT 1")
        tx = ly.transactions(table)
        connection.rollback()
        with pytest.raises(UnsupportedSource, match="temporary tables of these transactions are gone"):
            ly.repurchase_rate(tx)
        tx.close()


# Errors.


def test_a_value_that_fails_in_the_middle_is_told_and_the_connection_goes_on(server, backend):
    server.run(
        "CREATE VIEW broken AS SELECT customer_id, date, 1 / (amount * 0)::integer AS amount FROM log",
        "GRANT SELECT ON broken TO PUBLIC",
    )
    with pytest.raises(UnsupportedSource, match="division by zero"):
        ly.transactions(backend.table("broken"))
    assert status(backend) == "IDLE"
    assert backend.con.execute("SELECT 1").fetchone() == (1,)


def test_a_lost_server_is_told(server):
    backend = server.connect()
    tx = ly.transactions(backend.table("log"))
    server.run(f"SELECT pg_terminate_backend({backend.con.info.backend_pid})")
    with pytest.raises(UnsupportedSource, match=r"the connection to the server was lost .* connect again"):
        ly.repurchase_rate(tx)
    with pytest.raises(UnsupportedSource, match="closed or was lost"):
        ly.repurchase_rate(tx)
    tx.close()
    with pytest.raises(ClosedError):
        ly.repurchase_rate(tx)


def test_a_closed_connection_is_told(backend):
    table = backend.table("log")
    with ly.transactions(table) as tx:
        backend.con.close()
        with pytest.raises(UnsupportedSource, match="closed or was lost"):
            ly.repurchase_rate(tx)


def test_a_time_limit_is_told(server, backend):
    server.run("CREATE VIEW slow AS SELECT log.* FROM log, pg_sleep(5)", "GRANT SELECT ON slow TO PUBLIC")
    backend.con.execute("SET statement_timeout = 100")
    with pytest.raises(UnsupportedSource, match=r"broken off .*statement timeout"):
        ly.transactions(backend.table("slow"))
    assert status(backend) == "IDLE"


# Threads.


def test_eight_threads_agree_with_one(backend):
    table = backend.table("log")
    with ly.transactions(table, observed_from="2024-02-01") as one:
        expected = {name: ask(one) for name, ask in QUESTIONS.items()}
    with ly.transactions(log(), observed_from="2024-02-01") as here:
        assert sources.same({name: ask(here) for name, ask in QUESTIONS.items()}, expected)
    with ly.transactions(table, observed_from="2024-02-01") as tx:

        def ask_all(seed):
            names = random.Random(seed).sample(list(QUESTIONS), len(QUESTIONS))
            return {name: sources.same(QUESTIONS[name](tx), expected[name]) for name in names if name != "customers"}

        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(ask_all, range(8)):
                assert all(found.values()), found
    assert status(backend) == "IDLE"


def test_two_logs_on_one_connection_do_not_meet(backend):
    table = backend.table("log")

    def ask(seed):
        with ly.transactions(table, observed_until=f"2024-0{4 + seed % 3}-01") as tx:
            return tx.n_customers, tx.collect(tx.customers.select(nw.col("spend").sum())).to_pylist()

    expected = [ask(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert sources.same(list(pool.map(ask, range(6))), expected)
    assert ours(backend) == []


def test_what_is_kept_is_built_by_one_thread_only(backend):
    built = []
    barrier = threading.Barrier(8)
    with ly.transactions(backend.table("log")) as tx:

        def build():
            built.append(threading.get_ident())
            return tx.customers.select("customer")

        def ask(_):
            barrier.wait()
            return len(tx.collect(tx.kept("mine", build)))

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(8))) == {tx.n_customers}
    assert len(built) == 1


def test_closing_while_others_ask(backend):
    tx = ly.transactions(backend.table("log"))
    expected = len(tx.collect(tx.purchases))
    ends = []

    def ask(_):
        try:
            while True:
                assert len(tx.collect(tx.purchases)) == expected
        except ClosedError as error:
            ends.append(str(error))

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(ask, number) for number in range(4)]
        threading.Event().wait(0.2)
        tx.close()
    assert [one.exception() for one in running] == [None] * 4
    assert len(ends) == 4
    assert ours(backend) == []
    assert status(backend) == "IDLE"


def wait_until(true):
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def active(server, backend):
    who = backend.con.info.backend_pid
    return bool(server.run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {who} AND state = 'active'"))  # noqa: S608


def test_interrupting_breaks_off_our_query_and_no_other(server, backend):
    server.run("CREATE OR REPLACE VIEW slow AS SELECT log.* FROM log, pg_sleep(5)", "GRANT SELECT ON slow TO PUBLIC")
    with ly.transactions(backend.table("log")) as tx, ly.transactions(backend.table("log")) as other:
        slow = nw.from_native(backend.table("slow"))
        with ThreadPoolExecutor(1) as pool:
            start = time.perf_counter()
            waiting = pool.submit(tx.collect, slow)
            wait_until(lambda: active(server, backend))
            other.engine.interrupt()  # not of these transactions
            time.sleep(0.1)
            assert active(server, backend)
            tx.engine.interrupt()
            with pytest.raises(UnsupportedSource, match="broken off"):
                waiting.result()
            assert time.perf_counter() - start < 4
            asleep = pool.submit(backend.con.execute, "SELECT pg_sleep(0.5), 7")
            wait_until(lambda: active(server, backend))
            tx.engine.interrupt()  # the caller's own query goes on
            assert asleep.result().fetchone()[1] == 7
        assert ly.repurchase_rate(tx).n == CUSTOMERS
    assert status(backend) == "IDLE"


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5])
@pytest.mark.parametrize(
    "ask",
    [
        lambda tx, slow: tx.collect(nw.from_native(slow)),
        lambda tx, slow: tx.kept("slow", lambda: nw.from_native(slow).select("customer_id")),
        lambda _, slow: ly.transactions(slow),
        lambda tx, slow: tx.engine.write(
            nw.from_native(slow).rename({"customer_id": "customer"}), "nowhere", customer="id"
        ),
    ],
    ids=["collect", "keep", "open", "write"],
)
def test_ctrl_c_leaves_the_connection_usable(server, backend, ask, seconds, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    server.run(
        "CREATE OR REPLACE VIEW slower AS SELECT * FROM log WHERE pg_sleep(0.01) IS NOT NULL",
        "GRANT SELECT ON slower TO PUBLIC",
    )
    slow = backend.table("slower")

    def stop(*_):
        raise KeyboardInterrupt

    with ly.transactions(backend.table("log")) as tx:
        before = signal.signal(signal.SIGALRM, stop)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            with pytest.raises(KeyboardInterrupt):
                ask(tx, slow)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert status(backend) == "IDLE"
        assert ly.repurchase_rate(tx).n == CUSTOMERS
    assert ours(backend) == []
    assert list(tmp_path.iterdir()) == []
