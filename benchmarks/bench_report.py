"""The report: CDNOW as a process of its own, and which part of a large report is drawing.

python benchmarks/bench_report.py              # 1 M customers, about 6.6 M rows
python benchmarks/bench_report.py 100000       # another number of customers
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_clv import Aims, peak

import loyalty as ly
from loyalty.reporting.numbers import compute
from loyalty.reporting.steps import STEPS, Asked

if TYPE_CHECKING:
    import pandas as pd

SCRIPT = """
import sys
import loyalty as ly

with ly.transactions(ly.datasets.cdnow()) as tx:
    ly.report(tx, title="CDNOW").save(sys.argv[1])
"""


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long something took, and what it gave."""
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def cdnow(aims: Aims) -> None:
    """Time the report of CDNOW from the start of Python to the written page."""
    with tempfile.TemporaryDirectory() as room:
        page = Path(room) / "report.html"
        command = [sys.executable, "-c", SCRIPT, str(page)]
        best = min(seconds(lambda: subprocess.run(command, check=True))[0] for _ in range(3))
        size = page.stat().st_size / 2**20
    aims.tell("CDNOW, 69,659 rows, a process: read, numbers, pictures, page", "≤ 6 s", f"{best:.2f} s, {size:.2f} MB")


def large(log: pd.DataFrame, aims: Aims) -> None:
    """Time the parts of a large report, the transactions being open."""
    with ly.transactions(log[["customer_id", "date", "amount"]]) as tx:
        steps: list[float] = []
        numbers, _ = seconds(lambda: compute(tx, Asked(), lambda *_: steps.append(time.perf_counter())))
    slowest = max(zip(steps, steps[1:], STEPS, strict=False), key=lambda step: step[1] - step[0])
    with ly.transactions(log[["customer_id", "date", "amount"]]) as tx:  # anew, for tables are kept
        whole, page = seconds(lambda: ly.report(tx, title="Shop"))
    drawing, shown = seconds(page.html)
    aims.tell(f"{len(log):,} rows: numbers", "none", f"{numbers:.2f} s")
    aims.tell(f"  the longest of {len(STEPS)} steps: {slowest[2]}", "none", f"{slowest[1] - slowest[0]:.2f} s")
    aims.tell("  numbers and document", "none", f"{whole:.2f} s")
    aims.tell("  drawing", "≤ 2 x the numbers", f"{drawing:.2f} s, {drawing / numbers:.2f} x")
    aims.tell("  size of the page", "≤ 3 MB", f"{len(shown.encode()) / 2**20:.2f} MB")


def main() -> None:
    """Run everything and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("customers", nargs="?", type=int, default=1_000_000)
    arguments = parser.parse_args()
    aims = Aims()
    cdnow(aims)
    log = ly.datasets.simulate(arguments.customers, seed=1)
    print(f"{arguments.customers:,} customers, {len(log):,} rows, {os.cpu_count()} cores, {Path(sys.executable).name}")
    large(log, aims)
    print(f"peak memory of the run: {peak():.2f} GB")
    aims.show()


if __name__ == "__main__":
    main()
