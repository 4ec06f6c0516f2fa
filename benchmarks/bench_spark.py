"""How long every metric takes on Spark, and how many jobs it starts, against Spark's own plain group-bys.

All on `local[2]`, over the same simulated log cached in Spark. "Plain" is what a person would write by hand: grouping
the cached rows by customer and day and adding up, then counting the customers: as many of these are run as the metrics
started jobs, since such a query starts about as many jobs as it has stages. Their times are compared: all metrics
together may take three times as long.

    python benchmarks/bench_spark.py [customers]
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import loyalty as ly

MOST = 3.0
SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "4g",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
}
METRICS = {
    "repurchase_rate": ly.repurchase_rate,
    "repurchase_rate within": lambda tx: ly.repurchase_rate(tx, within="90d"),
    "retention": ly.retention,
    "retention_rate": ly.retention_rate,
    "churn_rate": ly.churn_rate,
    "churn_rate inactive": lambda tx: ly.churn_rate(tx, inactive_after="90d"),
    "tenure": lambda tx: ly.tenure(tx, inactive_after="90d"),
    "cohorts": ly.cohorts,
    "revenue_retention": ly.revenue_retention,
    "spending": ly.spending,
    "purchase_gaps": ly.purchase_gaps,
    "spend_distribution": ly.spend_distribution,
    "historical_value": ly.historical_value,
    "pareto": ly.pareto,
    "rfm": ly.rfm,
    "summarize": ly.summarize,
}


def session(folder: str) -> Any:
    from pyspark.sql import SparkSession

    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_LOCAL_HOSTNAME="localhost")
    builder = SparkSession.builder.master("local[2]").appName("loyalty benchmark").config("spark.local.dir", folder)
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def cached_log(spark: Any, customers: int) -> Any:
    """Return a simulated log, cached in Spark."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_schema

    table = pa.Table.from_pandas(ly.datasets.simulate(customers, seed=0), preserve_index=False)
    schema = from_arrow_schema(table.schema, prefer_timestamp_ntz=True)
    frame = spark.createDataFrame(table, schema=schema).repartition(4).persist()
    print(f"{frame.count():,} rows of {customers:,} customers in Spark {spark.version}")
    return frame


def timed(spark: Any, run: Callable[[], Any]) -> tuple[float, int, Any]:
    """Return the seconds that a call takes, the jobs that it starts, and what it returns."""
    context = spark.sparkContext
    tag = f"bench-{time.monotonic_ns()}"
    context.addJobTag(tag)
    started = time.perf_counter()
    found = run()
    seconds = time.perf_counter() - started
    context.removeJobTag(tag)
    return seconds, len(list(context._jsc.sc().statusTracker().getJobIdsForTag(tag))), found  # noqa: SLF001


def plain(frame: Any) -> Any:
    """Group the cached rows by customer and day, then by customer, and fetch the totals."""
    from pyspark.sql import functions

    days = frame.groupBy("customer_id", "date").agg(functions.sum("amount").alias("spend"))
    people = days.groupBy("customer_id").agg(
        functions.count("*").alias("purchases"), functions.sum("spend").alias("spend"), functions.min("date")
    )
    return people.agg(functions.count("*"), functions.sum("purchases"), functions.sum("spend")).collect()


def main(customers: int = 250_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spark = session(folder)
        frame = cached_log(spark, customers)
        timed(spark, lambda: plain(frame))  # Java warms up
        opened, jobs, tx = timed(spark, lambda: ly.transactions(frame))
        rows = [("transactions", opened, jobs)]
        with tx:
            for name, metric in METRICS.items():
                rows.append((name, *timed(spark, lambda metric=metric: metric(tx))[:2]))
        for name, seconds, jobs in rows:
            print(f"{name:24} {seconds:7.2f} s {jobs:4} jobs")
        ours, jobs = (sum(row[place] for row in rows) for place in (1, 2))
        theirs, counted = 0.0, 0
        while counted < jobs:
            seconds, some, _ = timed(spark, lambda: plain(frame))
            theirs, counted = theirs + seconds, counted + some
        theirs *= jobs / counted
        print(f"{'all together':24} {ours:7.2f} s {jobs:4} jobs")
        print(f"{'plain group-bys':24} {theirs:7.2f} s {jobs:4} jobs")
        print(f"ratio {ours / theirs:.2f} (at most {MOST:g})")
        spark.stop()
        assert ours <= MOST * theirs, "too slow"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
