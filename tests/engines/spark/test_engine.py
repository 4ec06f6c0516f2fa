"""The Spark engine on two executor processes: what it keeps, fetches, hands back, breaks off and survives."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import loyalty as ly
import sources
import spark_cluster
from loyalty.clv.summaries import spend_cells
from loyalty.errors import ClosedError, ColumnError, UnsupportedSource

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("spark")]


def log(customers=300, rows=1500, seed=0):
    """Return a log whose histories and amounts repeat: Mondays of a quarter, a few prices, returns, guests."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, customers, rows)
    who[:customers] = np.arange(customers)
    return pd.DataFrame(
        {
            "customer_id": [None if place % 97 == 96 else f"c{number}" for place, number in enumerate(who)],
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(7 * rng.integers(0, 13, rows), unit="D"),
            "amount": np.where(rng.random(rows) < 0.03, -1, 1) * rng.integers(1, 6, rows) * 4.0,
            "cost": rng.integers(0, 3, rows) * 1.0,
            "product": rng.choice(["a", "b", "c"], rows),
            "region": rng.choice(["n", "s", None], rows),
        }
    )


ROLES = {"cost": "cost", "product": "product"}


@pytest.fixture(scope="module")
def tx():
    with ly.transactions(spark_cluster.frame(log()), **ROLES) as opened:
        yield opened


@pytest.fixture(scope="module")
def here():
    with ly.transactions(log(), **ROLES) as opened:
        yield opened


def slow(rows, rounds=3000):
    """Return a log that takes Spark seconds to compute, and the same as a pandas frame."""
    made = pd.DataFrame({"id": range(rows)})
    plain = pd.DataFrame(
        {
            "customer_id": made["id"] % 500,
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(made["id"] * 7 % 181, unit="D"),
            "amount": made["id"] % 7 + 1.0,
        }
    )
    heavy = f"length(sha2(repeat(CAST(id AS STRING), {rounds}), 512)) - 128"
    frame = spark_cluster.session().range(0, rows, 1, 8)
    frame = frame.selectExpr(
        "id % 500 AS customer_id",
        "date_add(DATE'2024-01-01', CAST(id * 7 % 181 AS INT)) AS date",
        f"CAST(id % 7 + 1 + {heavy} AS DOUBLE) AS amount",
    )
    return frame, plain


# What is kept


def kept_in_spark():
    return spark_cluster.session().sparkContext._jsc.getPersistentRDDs().size()


def test_closing_throws_away_what_was_kept_and_nothing_else():
    source = spark_cluster.frame(log()).persist()
    source.count()
    before = kept_in_spark()
    one, two = (ly.transactions(source, **ROLES) for _ in range(2))
    mine = one.engine._kept["purchases"].persist()  # the caller's, of a plan that is the same as ours
    assert kept_in_spark() > before
    one.close()
    for name in ("purchases", "customers"):
        assert two.engine._kept[name].storageLevel.useMemory
    two.close()
    assert source.storageLevel.useMemory
    mine.unpersist()
    assert kept_in_spark() == before
    source.unpersist()


def test_what_nobody_closes_is_freed_when_it_is_forgotten():
    before = kept_in_spark()
    opened = ly.transactions(spark_cluster.frame(log()))
    ly.retention(opened)
    assert kept_in_spark() > before
    del opened
    gc.collect()
    deadline = time.monotonic() + 20
    while kept_in_spark() > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert kept_in_spark() == before


def test_results_outlive_their_transactions(here):
    with ly.transactions(spark_cluster.frame(log()), **ROLES) as opened:
        lazy = {
            "value": ly.historical_value(opened).customers,
            "rfm": ly.rfm(opened).customers,
            "pareto": ly.pareto(opened).customers,
            "summary": ly.summarize(opened).to_native(),
        }
        retention = ly.retention(opened)
    for frame in lazy.values():
        assert type(frame).__module__.startswith("pyspark.sql")
    wanted = {
        "value": ly.historical_value(here).customers,
        "rfm": ly.rfm(here).customers,
        "pareto": ly.pareto(here).customers,
        "summary": ly.summarize(here).to_native(),
    }
    for name, frame in lazy.items():
        assert sources.same(sources.rows(frame), sources.rows(wanted[name])), name
    assert sources.same(retention.to_dict(), ly.retention(here).to_dict())
    with pytest.raises(ClosedError, match="closed"):
        ly.retention(opened)


# What reaches the driver


@pytest.fixture
def fetched(monkeypatch):
    """Record (columns, rows) of everything that Spark sends to the driver."""
    from pyspark.sql.classic.dataframe import DataFrame

    seen = []

    def watch(name):
        original = getattr(DataFrame, name)

        def watched(self, *args, **kwargs):
            found = original(self, *args, **kwargs)
            seen.append((name, tuple(self.columns), found.num_rows if name == "toArrow" else len(found)))
            return found

        monkeypatch.setattr(DataFrame, name, watched)

    for name in ("toArrow", "toPandas", "collect", "take", "tail"):
        watch(name)
    for name in ("toLocalIterator", "foreach", "foreachPartition", "show"):
        monkeypatch.setattr(DataFrame, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    return seen


def ask_everything(opened, frame):
    """Ask for every number and every lazy table of per-customer results."""
    wallet = frame.dropna().groupby("customer_id", as_index=False)["amount"].sum()
    wallet = wallet.assign(category_spend=wallet["amount"].abs() + 100.0)
    for by in ({}, {"by": "region"}, {"cohort": "month"}):
        for metric in (ly.repurchase_rate, ly.retention, ly.retention_rate, ly.churn_rate, ly.revenue_retention,
                       ly.tenure, ly.spending, ly.purchase_gaps, ly.spend_distribution, ly.upsell_ratio,
                       ly.historical_value, ly.pareto, ly.rfm):  # fmt: skip
            metric(opened, **by)
        ly.share_of_wallet(opened, spark_cluster.frame(wallet), **by)
    ly.overview(opened)
    ly.cohorts(opened)
    summary = ly.summarize(opened)
    lazy = [
        ly.share_of_wallet(opened, spark_cluster.frame(wallet)).customers,
        ly.historical_value(opened).customers,
        ly.pareto(opened).customers,
        ly.rfm(opened).customers,
        summary.to_native(),
        ly.opportunities(opened, period="month").to_native(),
    ]
    fit = ly.BGNBD().fit(summary)
    lazy += [fit.p_alive(summary), fit.expected_purchases(summary, horizon="90d")]
    lazy += [ly.GammaGamma().fit(summary).expected_spend(summary)]
    lazy += [ly.fit_clv(opened, "BG/NBD", "mean", margin=0.3).score(opened).customers]
    return lazy


@pytest.mark.filterwarnings("ignore::loyalty.errors.LoyaltyWarning")
def test_only_aggregates_and_cells_reach_the_driver(fetched, monkeypatch):
    monkeypatch.setattr(spend_cells, "MOST_PAIRS", 100)  # as if there were so many customers that pairs are summed up
    frame = log(customers=3000, rows=9000)
    with ly.transactions(spark_cluster.frame(frame), **ROLES) as opened:
        lazy = ask_everything(opened, frame)
        assert len(fetched) > 20
        for how, columns, rows in fetched:
            assert how == "toArrow", (how, columns)  # all of it through the engine
            assert rows < 1500, (columns, rows)
            assert "customer" not in columns or rows <= 1, columns
        for one in lazy:
            assert type(one).__module__.startswith("pyspark.sql")
            assert "customer_id" in one.columns
        assert lazy[1].count() == opened.n_customers > 2900


# Other tables of the caller's


def test_other_tables_join_by_id(tx, tmp_path):
    ids = pd.DataFrame({"who.is": ["c1", "c2", "zz", None], "x": [1, 2, 3, 4]})
    ids.to_parquet(tmp_path / "ids.parquet")
    tables = [ids, pl.from_pandas(ids), pa.Table.from_pandas(ids), tmp_path / "ids.parquet", spark_cluster.frame(ids)]
    tables += [ids.assign(**{"who.is": ids["who.is"].astype("category")})]
    for table in tables:
        frame = tx.engine.attach_source(table, {"customer": "who.is", "x": "x"}, "customer")
        found = tx.collect(frame.join(tx.customers.select("customer"), on="customer", how="inner")).to_pylist()
        assert sorted((row["customer"], row["x"]) for row in found) == [("c1", 1), ("c2", 2)]
    for table in (ids, spark_cluster.frame(ids)):
        with pytest.raises(ColumnError, match="the customers of the log are of type string, those in column 'x' are"):
            tx.engine.attach_source(table, {"customer": "x"}, "customer")
        with pytest.raises(ColumnError, match="'y'"):
            tx.engine.attach_source(table, {"customer": "y"}, "customer")


def test_types_on_the_way_in_and_out(tx):
    table = pa.table(
        {
            "u8": pa.array([255, None], pa.uint8()),
            "u64": pa.array([2**64 - 1, None], pa.uint64()),
            "half": pa.array(np.array([1.5, 2.5], np.float16)),
            "naive": pa.array([1, None], pa.timestamp("ns")),
            "zoned": pa.array([1_000_000, None], pa.timestamp("us", "Asia/Tokyo")),
            "text": pa.array(["a", None]).dictionary_encode(),
            "day": pa.array([1, None], pa.date64()),
            "nothing": pa.nulls(2),
            "whole": pa.array([1, None], pa.int32()),
            "flag": pa.array([True, None]),
        }
    )
    back = tx.collect(tx.engine.attach(table))
    assert {item.name: str(item.type) for item in back.schema} == {
        "u8": "int64", "u64": "decimal128(20, 0)", "half": "float", "naive": "timestamp[us]",
        "zoned": "timestamp[us, tz=UTC]", "text": "string", "day": "date32[day]", "nothing": "string",
        "whole": "int64", "flag": "bool",
    }  # fmt: skip
    assert back["u8"].to_pylist() == [255, None]
    empty = tx.collect(tx.customers.filter(nw.col("spend") < -1e9).select("customer", "first_day", "spend"))
    assert [str(item.type) for item in empty.schema] == ["string", "int64", "double"]
    assert empty.num_rows == 0
    with pytest.raises(ColumnError, match="Spark has none like"):
        tx.engine.attach(pa.table({"span": pa.array([1], pa.duration("s"))}))


def test_first_values_go_by_time_then_amount_then_value():
    rows = [
        ("a", "2024-01-05 10:00", 5.0, "late"), ("a", "2024-01-05 09:00", 1.0, "early"),
        ("b", "2024-01-05 09:00", 1.0, "small"), ("b", "2024-01-05 09:00", 2.0, "large"),
        ("c", "2024-01-05 09:00", 2.0, "y"), ("c", "2024-01-05 09:00", 2.0, "x"),
        ("d", "2024-01-05 09:00", 2.0, "x"), ("d", "2024-01-05 09:00", 2.0, None),
        ("d", "2024-01-04 23:59", -9.0, "return"),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "amount", "shop"])
    frame["date"] = pd.to_datetime(frame["date"])
    with ly.transactions(spark_cluster.frame(frame)) as opened:
        found = {row["customer"]: row["group"] for row in opened.collect(opened.first_values("shop")).to_pylist()}
    with ly.transactions(frame) as opened:
        wanted = {row["customer"]: row["group"] for row in opened.collect(opened.first_values("shop")).to_pylist()}
    assert found == wanted == {"a": "early", "b": "large", "c": "x", "d": None}


# Many threads, breaking off


def test_eight_threads_agree_with_one(tx, here):
    questions = [
        ly.retention_rate, ly.repurchase_rate, ly.spending, ly.purchase_gaps, ly.pareto, ly.rfm,
        lambda opened: ly.tenure(opened, cohort="month"), lambda opened: ly.repurchase_rate(opened, by="region"),
    ]  # fmt: skip
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda question: question(tx).to_dict(), questions))
    for question, answer in zip(questions, answers, strict=True):
        assert sources.same(answer, question(here).to_dict())


def test_only_our_own_jobs_are_broken_off():
    frame, _ = slow(200_000)
    session = spark_cluster.session()
    with ThreadPoolExecutor(2) as pool:
        theirs = pool.submit(lambda: slow(4_000)[0].selectExpr("sum(amount)").toArrow().num_rows)
        opened = ly.transactions(slow(20, 1)[0])
        ours = pool.submit(opened.collect, nw.from_native(frame).select(nw.col("amount").sum()))
        tracker = session.sparkContext.statusTracker()
        while not tracker.getActiveJobsIds():
            time.sleep(0.05)
        time.sleep(0.5)
        opened.engine.interrupt()
        with pytest.raises(UnsupportedSource, match="cancel"):
            ours.result(timeout=120)
        assert theirs.result(timeout=120) == 1
        assert ly.retention(opened).to_dict()  # usable as before
        ours = pool.submit(opened.collect, nw.from_native(frame).select(nw.col("amount").sum()))
        while not tracker.getActiveJobsIds():
            time.sleep(0.05)
        opened.close()
        with pytest.raises(ClosedError):
            ours.result(timeout=120)


# What goes wrong


def executors():
    """Return the ids of this process's executor processes."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes():
                parent, ancestors = int(folder.name), set()
                while parent > 1:
                    ancestors.add(parent)
                    parent = int((Path("/proc") / str(parent) / "stat").read_text().rpartition(")")[2].split()[1])
                if os.getpid() in ancestors:
                    found.append(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found through /proc, which this system lacks")
def test_an_executor_that_dies_changes_no_number():
    frame, plain = slow(40_000)
    session = spark_cluster.session()
    deadline = time.monotonic() + 60
    while len(executors()) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    victim, at_work = executors()[0], []

    def kill():
        tracker = session.sparkContext.statusTracker()
        while not any(info and info.numActiveTasks for info in map(tracker.getStageInfo, tracker.getActiveStageIds())):
            time.sleep(0.05)
        time.sleep(0.5)
        at_work.extend(tracker.getActiveJobsIds())
        os.kill(victim, signal.SIGKILL)

    def asked(opened):
        return [ly.revenue_retention(opened).to_dict(), sources.rows(ly.historical_value(opened).customers)]

    with ly.transactions(plain) as opened:
        wanted = asked(opened)
    killer = threading.Thread(target=kill)
    killer.start()
    with ly.transactions(frame) as opened:
        killer.join()
        assert at_work  # the log was being read
        assert sources.same(asked(opened), wanted)
        os.kill(executors()[0], signal.SIGKILL)  # half of what is kept goes with it
        assert sources.same(asked(opened), wanted)


def test_errors_of_spark_say_what_happened():
    session = spark_cluster.session()
    frame = session.sql("SELECT id AS customer_id, DATE'2024-01-05' AS date, 1 / (id - 1) AS amount FROM range(3)")
    with pytest.raises(UnsupportedSource, match="DIVIDE_BY_ZERO"):
        ly.transactions(frame)
    fine = "1 AS customer_id", "DATE'2024-01-05' AS date", "1.0D AS amount"
    frame = session.range(3).selectExpr(*fine, "raise_error('no such luck') AS region")
    with ly.transactions(frame) as opened, pytest.raises(UnsupportedSource, match="no such luck"):
        ly.repurchase_rate(opened, by="region")


def test_spark_connect_is_refused(monkeypatch):
    frame = spark_cluster.frame(log(10, 20))
    monkeypatch.setattr(nw.dependencies, "is_pyspark_connect_dataframe", lambda _: True)
    with pytest.raises(UnsupportedSource, match="Spark Connect"):
        ly.transactions(frame)


def test_settings_of_the_embedded_engine_are_refused():
    with pytest.raises(ly.errors.InvalidArgument, match="memory_limit='4GB': a Spark DataFrame"):
        ly.transactions(spark_cluster.frame(log(10, 20)), memory_limit="4GB")


def test_a_stopped_session_says_so():
    spark_cluster.session()  # skips where there is no Spark
    script = """
        import loyalty as ly
        from pyspark.sql import SparkSession
        from loyalty.errors import UnsupportedSource
        spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
        frame = spark.sql("SELECT 1 AS customer_id, DATE'2024-01-05' AS date, 1.0D AS amount")
        tx = ly.transactions(frame)
        lazy = ly.historical_value(tx)
        spark.stop()
        for ask in (lambda: ly.retention(tx), lambda: lazy.customers, lambda: ly.transactions(frame)):
            try:
                ask()
            except UnsupportedSource as err:
                assert "the Spark session was stopped" in str(err), err
            else:
                raise AssertionError("no error")
        tx.engine.interrupt()
        tx.close()
        print("as it should be")
    """
    environment = {**os.environ, **spark_cluster.LOOPBACK}
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, env=environment, check=False
    )
    assert "as it should be" in ran.stdout, ran.stderr[-3000:]
