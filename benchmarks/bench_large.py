"""Logs larger than memory: time and peak memory of every step, as ratios to one plain DuckDB group-by over the files.

python benchmarks/bench_large.py                                  # 1 M and 10 M rows, 4 GB: under a minute
python benchmarks/bench_large.py 1e6 1e7 1e8 --folder /big/disk   # 100 M rows as well: some 8 minutes, 5 GB of disk

Times are those of a quiet machine. Each size runs in a process of its own, and so does the group-by, once before and
once after. Peak memory is that of the whole process (resident, Linux only): what DuckDB, NumPy and Python itself hold.
Where others use the machine meanwhile, the processor's time says more than the clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

import loyalty as ly

ROWS_EACH = 6.63  # rows per customer of the simulated log


def peak() -> float:
    """Return the most memory this process held since `forget_peak`, in GB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 / 1e9 if found else float("nan")


def forget_peak() -> None:
    """Let the next `peak` be that of what comes."""
    Path("/proc/self/clear_refs").write_text("5")


class Steps:
    """The steps of a run, each with seconds, the processor's seconds, peak memory and what lay on disk at its end."""

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        self.done: list[tuple[Any, ...]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure what happens inside, and print it as it is done."""
        forget_peak()
        start, busy = time.perf_counter(), time.process_time()
        yield
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        disk = sum(path.stat().st_blocks * 512 for path in Path(self.scratch).rglob("*") if path.is_file()) / 1e9
        self.done.append((name, seconds, busy, peak(), disk))
        print(json.dumps(self.done[-1]), flush=True)

    def call(self, name: str, function: Callable[[], Any]) -> Any:
        """Measure one call."""
        with self.step(name):
            return function()


def floor(pattern: str, limit: str, scratch: str) -> None:
    """One plain group-by per customer over the files, kept as a table."""
    steps = Steps(scratch)
    with duckdb.connect(config={"memory_limit": limit, "temp_directory": scratch, "threads": 2}) as connection:
        steps.call(
            "one group-by",
            lambda: (
                connection.read_parquet(pattern)
                .aggregate("customer_id, count(*) n, sum(amount) s, min(date) f, max(date) l", "customer_id")
                .create("t")
            ),
        )


def metrics() -> dict[str, Callable[[ly.Transactions], Any]]:
    """Return every metric, tables included."""
    return {
        "overview": ly.overview,
        "repurchase_rate": ly.repurchase_rate,
        "repurchase_rate(within)": lambda tx: ly.repurchase_rate(tx, within="90d"),
        "retention": lambda tx: ly.retention(tx).to_native(),
        "retention_rate": ly.retention_rate,
        "churn_rate": ly.churn_rate,
        "churn_rate(inactive_after)": lambda tx: ly.churn_rate(tx, inactive_after="180d"),
        "revenue_retention": lambda tx: ly.revenue_retention(tx).to_native(),
        "tenure": ly.tenure,
        "cohorts": lambda tx: ly.cohorts(tx).to_native(),
        "cohorts(since)": lambda tx: ly.cohorts(tx, mode="since").to_native(),
        "cohorts(revenue)": lambda tx: ly.cohorts(tx, value="revenue").to_native(),
        "spending": ly.spending,
        "historical_value": lambda tx: ly.historical_value(tx, margin=0.3),
        "upsell_ratio": ly.upsell_ratio,
    }


def run(pattern: str, limit: str, scratch: str, results: str) -> None:
    """Take one log through everything."""
    steps = Steps(scratch)
    spill, out = Path(scratch, "spill"), Path(results)
    spill.mkdir()
    with steps.step("transactions"):
        tx = ly.transactions(pattern, product="product", memory_limit=limit, temp_directory=spill)
    with tx:
        for name, call in metrics().items():
            steps.call(name, lambda call=call: call(tx))
        pareto = steps.call("pareto", lambda: ly.pareto(tx))
        steps.call("pareto to Parquet", lambda: pareto.to_parquet(out / "pareto.parquet"))
        rfm = steps.call("rfm", lambda: ly.rfm(tx))
        steps.call("rfm to Parquet", lambda: rfm.to_parquet(out / "rfm.parquet"))
        summary = steps.call("summarize", lambda: ly.summarize(tx))
        steps.call("summary to Parquet", lambda: summary.to_parquet(out / "summary.parquet"))
        steps.call("fit BG/NBD", lambda: ly.BGNBD().fit(summary))
        fit = steps.call("fit Pareto/NBD", lambda: ly.ParetoNBD().fit(summary))
        value = steps.call("clv (fit of spend, total)", lambda: ly.clv(tx, model=fit, margin=0.3))
        steps.call("scores to Parquet", lambda: value.to_parquet(out / "scores.parquet"))
    left = [str(path) for path in spill.rglob("*")]
    assert not left, f"left behind: {left}"


def child(task: str, *arguments: str) -> list[tuple[Any, ...]]:
    """Run a task of this file in a process of its own; return its steps."""
    command = [sys.executable, __file__, "--task", task, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def simulated(folder: Path, rows: float) -> str:
    """Return the pattern of a simulated log's files, written where they are not there yet."""
    customers = round(rows / ROWS_EACH)
    place = folder / f"log-{customers}"
    if not place.is_dir():
        print(f"simulating {customers:,} customers …", flush=True)
        beside = place.with_suffix(".part")
        ly.datasets.simulate_files(beside, customers, seed=1)
        beside.rename(place)
    return str(place / "*.parquet")


def one_size(folder: Path, rows: float, limit: str) -> tuple[Any, ...]:
    """Print the table of one size; return its last line."""
    pattern = simulated(folder, rows)
    count = duckdb.read_parquet(pattern).aggregate("count(*)").fetchall()[0][0]
    print(f"\n{count:,} rows, {round(rows / ROWS_EACH):,} customers, limit {limit}, {os.cpu_count()} cores", flush=True)
    steps, bases = [], []
    for task in ("floor", "run", "floor"):  # the machine may be quieter before than after
        with tempfile.TemporaryDirectory(dir=folder) as scratch, tempfile.TemporaryDirectory(dir=folder) as results:
            more = (results,) if task == "run" else ()
            found = child(task, pattern, limit, scratch, *more)
        steps, bases = (found, bases) if task == "run" else (steps, bases + found)
    base, busy = (sum(one[place] for one in bases) / len(bases) for place in (1, 2))
    sums = [sum(one[place] for one in steps) for place in (1, 2)]
    total = ("all together (aim: 20 x)", *sums, max(one[3] for one in steps), max(one[4] for one in steps))
    print(f"{'':28s} {'clock':>10s} {'ratio':>7s} {'processor':>11s} {'ratio':>7s} {'peak':>8s} {'on disk':>8s}")
    for name, seconds, used, most, disk in [("one group-by", base, busy, bases[0][3], 0.0), *steps, total]:
        print(
            f"{name:28s} {seconds:8.2f} s {seconds / base:6.1f}x {used:9.2f} s {used / busy:6.1f}x {most:5.2f} GB "
            f"{disk:5.2f} GB"
        )
    return (count, *total[1:], total[1] / base, total[2] / busy)


def main() -> None:
    """Run every size and print the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=float, default=[1e6, 1e7])
    parser.add_argument("--folder", type=Path, help="where logs are simulated and kept; a temporary one by default")
    parser.add_argument("--memory-limit", default="4GB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        curve = [one_size(folder, rows, arguments.memory_limit) for rows in arguments.rows]
    print("\n| rows | time | ratio to the group-by | processor time | ratio | peak memory | on disk |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count, seconds, used, most, disk, ratio, share in curve:
        print(
            f"| {count:,} | {seconds:.1f} s | {ratio:.1f} × | {used:.1f} s | {share:.1f} × | {most:.2f} GB "
            f"| {disk:.1f} GB |"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        {"floor": floor, "run": run}[sys.argv[2]](*sys.argv[3:])
    else:
        main()
