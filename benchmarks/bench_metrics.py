"""Every metric of the ground floor on a simulated log, as ratios to one plain DuckDB group-by in the same run.

python benchmarks/bench_metrics.py              # 1 M customers, about 6.6 M rows
python benchmarks/bench_metrics.py 100000       # another number of customers
python benchmarks/bench_metrics.py --no-lifetimes
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

import loyalty as ly

if TYPE_CHECKING:
    import pandas as pd

REPEATS = 3


def clock(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the median seconds of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def side_by_side(base: Callable[[], Any], rivals: dict[str, Callable[[], Any]]) -> tuple[float, dict[str, float]]:
    """Return the median seconds of a base and its rivals, taken in turn so that all see the same machine."""
    times: dict[str, list[float]] = {"": []} | {name: [] for name in rivals}
    for _ in range(REPEATS):
        for name, call in {"": base, **rivals}.items():
            times[name].append(clock(call, 1))
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    return medians.pop(""), medians


def floor(log: pd.DataFrame) -> Any:
    """One plain group-by per customer in DuckDB: the least that any summary of a log can cost."""
    rows = log[["customer_id", "date", "amount"]]
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        return connection.sql(
            "SELECT customer_id, count(*) n, sum(amount) s, min(date) f, max(date) l FROM rows GROUP BY 1"
        ).to_arrow_table()


def pandas_group_by(log: pd.DataFrame) -> Any:
    """The same group-by in pandas."""
    return log.groupby("customer_id").agg(
        n=("amount", "size"), s=("amount", "sum"), f=("date", "min"), l=("date", "max")
    )


def summary(log: pd.DataFrame) -> ly.Transactions:
    """x, t_x, T and mean repeat spend per customer, merged by day: what `transactions` keeps as `customers`."""
    return ly.transactions(log[["customer_id", "date", "amount"]])


def lifetimes_summary(log: pd.DataFrame) -> Any:
    """The same summary by lifetimes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes.utils import summary_data_from_transaction_data

        return summary_data_from_transaction_data(log, "customer_id", "date", "amount")


def every_metric(log: pd.DataFrame, show: Callable[[str, float], None] | None = None) -> None:
    """Open a log with its products and compute every metric and segment once."""
    calls: dict[str, Callable[[ly.Transactions], Any]] = {
        "repurchase_rate": ly.repurchase_rate,
        "repurchase_rate(within)": lambda tx: ly.repurchase_rate(tx, within="90d"),
        "retention": ly.retention,
        "retention_rate": ly.retention_rate,
        "churn_rate": ly.churn_rate,
        "churn_rate(inactive_after)": lambda tx: ly.churn_rate(tx, inactive_after="180d"),
        "revenue_retention": ly.revenue_retention,
        "tenure": ly.tenure,
        "cohorts": ly.cohorts,
        "cohorts(since)": lambda tx: ly.cohorts(tx, mode="since"),
        "cohorts(revenue)": lambda tx: ly.cohorts(tx, value="revenue"),
        "spending": ly.spending,
        "historical_value": lambda tx: ly.historical_value(tx, margin=0.3),
        "upsell_ratio": ly.upsell_ratio,
        "pareto": ly.pareto,
        "rfm": ly.rfm,
    }
    start = time.perf_counter()
    with ly.transactions(log, product="product") as tx:
        if show:
            show("transactions (with products)", time.perf_counter() - start)
        for name, call in calls.items():
            start = time.perf_counter()
            call(tx)
            if show:
                show(f"  {name}", time.perf_counter() - start)


def small(rows: int = 5_000) -> None:
    """Print the warm time of every metric on a small log."""
    log = ly.datasets.simulate(rows * 3 // 20, seed=2).head(rows)
    tx = ly.transactions(log, product="product")
    times: dict[str, float] = {}
    names = "repurchase_rate retention retention_rate churn_rate revenue_retention tenure cohorts spending"
    for name in (*names.split(), "historical_value", "upsell_ratio", "pareto", "rfm"):
        call = getattr(ly, name)
        call(tx)
        times[name] = clock(lambda call=call: call(tx), 7)
    slowest = max(times, key=lambda name: times[name])
    print(f"\n{len(log):,} rows, warm, milliseconds (aim: 30 each)")
    print("  " + ", ".join(f"{name} {seconds * 1e3:.1f}" for name, seconds in times.items()))
    print(f"  slowest: {slowest}")
    scores = ly.datasets.simulate_scores(10_000, seed=3)["score"].to_numpy()
    ly.nps(scores)
    print(f"  nps of 10,000 scores: {clock(lambda: ly.nps(scores), 50) * 1e3:.2f} (aim: 2)")


def imports() -> None:
    """Print the time of `import loyalty` against that of what it stands on."""
    times = {}
    for statement in ("import pandas, duckdb, narwhals", "import loyalty"):
        times[statement] = clock(lambda text=statement: subprocess.run([sys.executable, "-c", text], check=True), 7)
    base, ours = times.values()
    print(f"\nimport loyalty: {ours / base:.2f} x the import of pandas, duckdb and narwhals (aim: 1.3)")


def main() -> None:
    """Run everything and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("customers", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--no-lifetimes", action="store_true", help="leave out lifetimes, which takes longest")
    arguments = parser.parse_args()
    log = ly.datasets.simulate(arguments.customers, seed=1)
    print(f"{arguments.customers:,} customers, {len(log):,} rows, {os.cpu_count()} cores, {Path(sys.executable).name}")

    rivals = {
        "the same in pandas": lambda: pandas_group_by(log),
        "customer summary (aim: 4 x)": lambda: summary(log).close(),
        "all together (aim: 12 x)": lambda: every_metric(log),
    }
    base, times = side_by_side(lambda: floor(log), rivals)
    print(f"\nfloor: one DuckDB group-by per customer: {base:.2f} s")

    def show(name: str, seconds: float) -> None:
        print(f"{name:32s} {seconds:7.2f} s {seconds / base:6.1f} x")

    for name, seconds in times.items():
        show(name, seconds)
    if not arguments.no_lifetimes:
        show("customer summary by lifetimes", clock(lambda: lifetimes_summary(log), 1))
    print()
    every_metric(log, show)
    print(f"\npeak memory of the run: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")
    small()
    imports()


if __name__ == "__main__":
    main()
