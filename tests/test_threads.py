"""One Transactions, many threads: the same answers as from one, and nothing left behind."""

import gc
import os
import random
import subprocess
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pytest

import sources
from loyalty.errors import ClosedError, LoyaltyError
from loyalty.grouping import measure
from loyalty.transactions import transactions

CUSTOMERS = 298  # of `log` who bought


def log(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in rng.integers(0, 300, n)],
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, n), unit="D"),
            "amount": np.where(rng.random(n) < 0.1, -1, 1) * rng.gamma(2, 10, n).round(2),
            "region": rng.choice(["n", "s", "w"], n),
        }
    )


def groups_of(tx, **by):
    sums = [nw.col("spend").sum(), nw.len().alias("n")]
    return dict(measure(tx, tx.customers, sums, lambda rows: (rows[0]["n"], rows[0]["spend"]), **by))


QUESTIONS = {
    "customers": lambda tx: sources.rows(tx.hand_back(tx.customers)),
    "purchases": lambda tx: tx.collect(tx.purchases.select(nw.col("spend").sum(), nw.len())).to_pylist(),
    "first days": lambda tx: tx.collect(tx.first_days().select(nw.col("first_day").sum())).to_pylist(),
    "months": lambda tx: tx.collect(tx.activity("month").select(nw.col("spend").sum(), nw.len())).to_pylist(),
    "weeks": lambda tx: tx.collect(tx.activity("week").select(nw.col("spend").sum(), nw.len())).to_pylist(),
    "gaps": lambda tx: tx.collect(tx.gaps().group_by("second").agg(nw.col("gap").sum()).sort("second")).to_pylist(),
    "by region": lambda tx: groups_of(tx, by="region"),
    "by cohort": lambda tx: groups_of(tx, cohort="month"),
    "by amount": lambda tx: len(groups_of(tx, by="amount")),
    "window": lambda tx: (tx.window, tx.to_dict(), str(tx)),
    "attached": lambda tx: tx.collect(
        tx.engine.attach_source(pd.DataFrame({"id": ["c1", "c2", "zz"]}), {"customer": "id"}, customer="customer").join(
            tx.customers.select("customer"), on="customer", how="inner"
        ).select(nw.len())
    ).to_pylist(),
}  # fmt: skip


@sources.every
def test_eight_threads_agree_with_one(source, tmp_path):
    with sources.opened(source, log(), tmp_path, observed_from="2024-02-01") as one:
        expected = {name: ask(one) for name, ask in QUESTIONS.items()}
    with sources.opened(source, log(), tmp_path, observed_from="2024-02-01") as tx:

        def ask_all(seed):
            names = random.Random(seed).sample(list(QUESTIONS), len(QUESTIONS))
            return {name: QUESTIONS[name](tx) for name in names}

        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(ask_all, range(16)):
                for name, answer in found.items():
                    assert sources.same(answer, expected[name]), name


def test_threads_that_read_a_relation_of_the_caller_s_at_once(tmp_path):
    columns = ["region", "amount", "customer_id", "date"]
    barrier = threading.Barrier(len(columns))
    with sources.opened("duckdb", log(100_000), tmp_path) as tx:

        def ask(column):
            barrier.wait()
            return len(tx.collect(tx.first_values(column)))

        with ThreadPoolExecutor(len(columns)) as pool:
            assert set(pool.map(ask, columns)) == {tx.n_customers}


def test_what_is_kept_is_built_by_one_thread_only():
    built = []
    barrier = threading.Barrier(8)
    with transactions(log()) as tx:

        def build():
            built.append(threading.get_ident())
            return tx.customers.select("customer")

        def ask(_):
            barrier.wait()
            return len(tx.collect(tx.kept("mine", build)))

        with ThreadPoolExecutor(8) as pool:
            counts = set(pool.map(ask, range(8)))
        assert counts == {tx.n_customers}
    assert len(built) == 1


def test_many_short_threads():
    with transactions(log(200)) as tx:
        found = []
        for _ in range(50):
            thread = threading.Thread(target=lambda: found.append(len(tx.collect(tx.customers))))
            thread.start()
            thread.join()
        assert found == [tx.n_customers] * 50


def test_several_at_once_do_not_meet():
    def ask(seed):
        with transactions(log(300, seed)) as tx:
            return tx.n_customers, tx.collect(tx.customers.select(nw.col("spend").sum())).to_pylist()

    expected = [ask(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert sources.same(list(pool.map(ask, range(6))), expected)


def test_closing_while_others_ask():
    tx = transactions(log())
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
        threading.Event().wait(0.1)
        tx.close()
    assert [one.exception() for one in running] == [None] * 4
    assert len(ends) == 4


# What is left behind.


@pytest.fixture
def spill(monkeypatch, tmp_path):
    """Let temporary folders be made in one of our own, to see which are left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_no_folder_is_left_after_closing(spill):
    tx = transactions(log(100))
    assert len(list(spill.iterdir())) == 1
    tx.close()
    assert list(spill.iterdir()) == []


def test_no_folder_is_left_after_leaving(spill):
    with transactions(log(100)):
        pass
    assert list(spill.iterdir()) == []


def test_no_folder_is_left_after_forgetting(spill):
    tx = transactions(log(100))
    tx.collect(tx.activity("month"))
    del tx
    gc.collect()
    assert list(spill.iterdir()) == []


@pytest.mark.parametrize(
    "options", [{"customer": "nope"}, {"memory_limit": "lots"}, {"observed_from": "2030-01-01"}, {"cost": "region"}]
)
def test_no_folder_is_left_after_an_error(spill, options):
    with pytest.raises(LoyaltyError):
        transactions(log(100), **options)
    gc.collect()
    assert list(spill.iterdir()) == []


def test_a_folder_of_the_caller_s_is_left_alone(spill, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "note.txt").write_text("keep")
    transactions(log(100), temp_directory=mine).close()
    assert (mine / "note.txt").read_text() == "keep"
    assert list(spill.iterdir()) == [mine]


def test_the_working_folder_stays_clean(monkeypatch, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with sources.opened("csv", log(), tmp_path) as tx:
        groups_of(tx, by="region")
    assert list(folder.iterdir()) == []


def settings():
    names = ["mode.copy_on_write", "future.infer_string", "display.max_rows"]
    default = duckdb.sql("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = [pd.get_option(name) for name in names]
    return options, default, list(warnings.filters), np.geterr(), dict(os.environ), threading.active_count()


def test_nothing_global_is_changed(tmp_path):
    before = settings()
    state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    for source in sources.SOURCES:
        with sources.opened(source, log(300), tmp_path) as tx:
            groups_of(tx, by="region")
            tx.hand_back(tx.customers)
    assert settings() == before
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # noqa: NPY002


def test_the_caller_s_connection_is_left_as_it_was():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE log AS SELECT 1 AS customer_id, DATE '2024-01-05' AS date, 2.0::DOUBLE AS amount")

    def state():
        return connection.execute(
            "SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()

    before = state()
    tx = transactions(connection.table("log"))
    assert tx.collect(tx.first_values("amount")).num_rows == 1
    assert state() == before
    connection.execute("UPDATE log SET amount = 99")
    assert tx.hand_back(tx.customers).fetchall()[0][5] == 2.0
    tx.close()
    assert connection.execute("SELECT amount FROM log").fetchall() == [(99.0,)]


def test_results_outlive_the_transactions():
    with transactions(log(100)) as tx:
        frame, table, left_out = tx.hand_back(tx.customers), tx.collect(tx.customers), tx.exclusions
        n = tx.n_customers
    assert len(frame) == len(table) == n
    assert left_out.to_native().shape[1] == 3


def test_nothing_is_printed():
    code = (
        "import pandas as pd\nfrom loyalty.transactions import transactions\n"
        "f = pd.DataFrame({'customer_id': [1, None], 'date': pd.Timestamp('2024-01-05'), 'amount': [1.0, -2.0]})\n"
        "with transactions(f) as tx:\n    tx.collect(tx.activity('month')); tx.hand_back(tx.customers); str(tx)\n"
        "transactions(f)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
