"""A night merged into a state (load, merge, save) beside the whole log opened anew, and beside a state begun anew.

Seconds by the clock and, since other programs may be running, of the processor: ratios are printed of both.

python benchmarks/bench_state.py                  # 5 M rows, 1 M customers; nights of .1, 1 and 5 % of the rows
python benchmarks/bench_state.py --rows 500000    # another size; a fifth of the rows are customers
python benchmarks/bench_state.py --nights 30      # and then a month of ordinary nights, one after another
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import loyalty as ly
from loyalty.state.customer_state import CustomerState

if TYPE_CHECKING:
    from collections.abc import Callable

SHARES = (0.001, 0.01, 0.05)
REPEATS = 3
DAYS = 500


class Clock:
    """Seconds by the clock and of the processor (all threads) that calls take."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        """Return what a call gives, and note how long it took."""
        start = time.perf_counter(), time.process_time()
        found = call()
        self.parts[name] = time.perf_counter() - start[0], time.process_time() - start[1]
        return found

    def total(self, which: int, *names: str) -> float:
        """Return the seconds of some parts: 0 by the clock, 1 of the processor."""
        return sum(self.parts[name][which] for name in names)


def rows(size: int, customers: int, days: tuple[int, int], rng: np.random.Generator, *, everybody: bool) -> pa.Table:
    """Return rows of customers who differ widely in how often they buy; 2 % of the rows are returns."""
    weights = np.random.default_rng(1).gamma(0.8, 1.0, customers)
    ids = rng.choice(customers, size, p=weights / weights.sum())
    if everybody:
        ids[:customers] = rng.permutation(customers)
    amounts = np.round(rng.gamma(2.0, 15.0, size), 2) * np.where(rng.random(size) < 0.02, -1.0, 1.0)
    dates = np.datetime64("2023-01-01") + np.sort(rng.integers(*days, size))
    return pa.table({"customer_id": ids, "date": dates.astype("datetime64[D]"), "amount": amounts})


NIGHT = ("load", "merge", "save")
STATE = ("anew", "from_", "first save")


def night(folder: Path, file: Path, batch: str) -> tuple[Clock, dict[str, Any]]:
    """Return how long the parts of a night took, and what the state says then."""
    clock = Clock()
    state = clock("load", lambda: CustomerState.load(folder))
    with state:
        clock("merge", lambda: state.merge(file, batch=batch))
        clock("save", lambda: state.save(folder))
        clock("customers", lambda: state.customers)
        return clock, state.to_dict()


def anew(files: list[Path], folder: Path) -> tuple[Clock, dict[str, Any]]:
    """Return how long opening the whole log took, and then making a state of it, and what that says."""
    clock = Clock()
    tx = clock("anew", lambda: ly.transactions([str(file) for file in files]))
    with tx:
        state = clock("from_", lambda: CustomerState.from_(tx))
    with state:
        clock("first save", lambda: state.save(folder))
        return clock, state.to_dict()


def compare(place: Path, history: Path, base: Path, size: int, customers: int, repeats: int) -> None:
    """Print nights of several sizes beside recomputing, taken in turn so that both see the same machine."""
    heads = ["load", "merge", "save", "night", "anew", "state"]
    print(f"{'rows':>9} {'share':>6} {'':>5} " + " ".join(f"{head:>6}" for head in heads) + "  night/anew night/state")
    for share in SHARES:
        file = place / f"night-{share}.parquet"
        new = int(size * share)
        pq.write_table(rows(new, customers, (DAYS - 1, DAYS + 1), np.random.default_rng(7), everybody=False), file)
        nights, recomputed = [], []
        for _ in range(repeats):
            folder, other = place / "copy", place / "other"
            shutil.copytree(base, folder)
            nights.append(night(folder, file, "night"))
            recomputed.append(anew([history, file], other))
            shutil.rmtree(folder)
            shutil.rmtree(other)
        for name in ("customers", "purchases", "rows_used"):
            assert nights[0][1][name] == recomputed[0][1][name], name
        for which, seconds in enumerate(("clock", "cpu")):
            parts = [statistics.median(one.total(which, name) for one, _ in nights) for name in NIGHT]
            whole = statistics.median(one.total(which, *NIGHT) for one, _ in nights)
            log = statistics.median(one.total(which, "anew") for one, _ in recomputed)
            state = statistics.median(one.total(which, *STATE) for one, _ in recomputed)
            times = " ".join(f"{part:6.2f}" for part in [*parts, whole, log, state])
            print(f"{new:9,} {share:6.1%} {seconds:>5} {times}  {whole / log:10.1%} {whole / state:11.1%}", flush=True)


def month(place: Path, base: Path, size: int, customers: int, nights: int) -> None:
    """Print how long ordinary nights take, one after another into the same folder."""
    found = []
    for number in range(nights):
        file = place / "one.parquet"
        days = (DAYS + number, DAYS + number + 1)
        pq.write_table(rows(size // DAYS, customers, days, np.random.default_rng(number), everybody=False), file)
        found.append(night(base, file, f"n{number}")[0].total(0, *NIGHT))
    print(
        f"{nights} nights of {size // DAYS:,} rows: median {statistics.median(found):.3f} s, longest {max(found):.3f} s"
    )
    print("each: " + " ".join(f"{seconds:.2f}" for seconds in found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--nights", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    given = parser.parse_args()
    customers = given.rows // 5
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        history, base = place / "history.parquet", place / "state"
        pq.write_table(rows(given.rows, customers, (0, DAYS), np.random.default_rng(3), everybody=True), history)
        _, told = anew([history], base)
        size = sum(file.stat().st_size for file in base.iterdir())
        print(f"{given.rows:,} rows of {told['customers']:,} customers; the state takes {size / 1e6:.0f} MB")
        compare(place, history, base, given.rows, customers, given.repeats)
        if given.nights:
            month(place, base, given.rows, customers, given.nights)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
