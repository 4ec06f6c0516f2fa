"""Lifetime models on a simulated log: beside lifetimes, and as ratios to one plain DuckDB group-by in the same run.

python benchmarks/bench_clv.py              # 1 M customers, about 6.6 M rows
python benchmarks/bench_clv.py 100000       # another number of customers
python benchmarks/bench_clv.py --no-lifetimes
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import resource
import sys
import tempfile
import timeit
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_metrics import clock, floor, side_by_side

import loyalty as ly

if TYPE_CHECKING:
    import pandas as pd

MARGIN, RATE = 0.3, 0.10
FEWER = 100_000  # customers of the Pareto/NBD beside lifetimes, which takes most of a minute for them


class Aims:
    """What is wanted and what was measured, a line each, said again at the end."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def tell(self, what: str, aim: str, measured: str) -> None:
        self.lines.append((what, aim, measured))
        print(f"{what:58s} {measured:>24s}  (aim: {aim})", flush=True)

    def show(self) -> None:
        print("\n| | aim | measured |\n| --- | --- | --- |")
        for line in self.lines:
            print("| " + " | ".join(line) + " |")


def peak() -> float:
    """Return the most memory that the process ever held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def quietly(call: Callable[[], Any]) -> Any:
    """Run something of lifetimes, which warns of logarithms of 0 and more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def as_lifetimes(log: pd.DataFrame) -> pd.DataFrame:
    """Return the summary frame that lifetimes would make of a log, in weeks; made here, where it takes a second."""
    with ly.transactions(log[["customer_id", "date", "amount"]]) as tx:
        return ly.summarize(tx).to_native().rename(columns={"age": "T"}).set_index("customer_id")


def columns(frame: pd.DataFrame) -> list[pd.Series]:
    return [frame[name] for name in ("frequency", "recency", "T")]


def fit_on(model: Any, frame: pd.DataFrame) -> Any:
    """Fit a model on a frame of customers, reading it and counting its cells included."""
    return model.fit(ly.interop.summary_from_lifetimes(frame, unit="week"))


def value(log: pd.DataFrame, model: str) -> tuple[Any, Any]:
    """Go from a log to a table of customers and the total, pandas in and out."""
    with ly.transactions(log[["customer_id", "date", "amount"]]) as tx:
        worth = ly.clv(tx, margin=MARGIN, annual_discount_rate=RATE, model=model)
        return worth.customers, worth.total


def end_to_end(log: pd.DataFrame, aims: Aims) -> None:
    """Time the whole way from a log to values, and the Pareto/NBD on ready cells, against the floor."""
    before = peak()
    with ly.transactions(log[["customer_id", "date", "amount"]]) as tx:
        cells = ly.summarize(tx).cells
        rivals = {  # copies of the cells: what is remembered of them would make the second fit faster than the first
            "Pareto/NBD on ready cells": lambda: ly.ParetoNBD().fit(dataclasses.replace(cells), unit="week"),
            "ly.clv with the Pareto/NBD, pandas in and out": lambda: value(log, "ParetoNBD"),
            "ly.clv with the BG/NBD": lambda: value(log, "BGNBD"),
            'ly.clv with model="auto"': lambda: value(log, "auto"),
        }
        base, times = side_by_side(lambda: floor(log), rivals)
    print(f"\nfloor: one DuckDB group-by per customer: {base:.2f} s; {len(cells):,} cells")
    for (what, seconds), aim in zip(times.items(), ("≤ 4 x", "≤ 12 x", "≤ 12 x", "≤ 20 x"), strict=True):
        aims.tell(what, f"{aim} the floor", f"{seconds:.2f} s, {seconds / base:.1f} x")
    print(f"peak memory so far: {peak():.2f} GB, of which {before:.2f} GB before (the log and its making)")


def one_customer(log: pd.DataFrame, aims: Aims, rival: Any) -> None:
    """Time the scoring of one customer with a model read from a file."""
    with (
        tempfile.TemporaryDirectory() as room,
        ly.transactions(log[["customer_id", "date", "amount"]].head(100_000)) as tx,
    ):
        ly.fit_clv(tx, "BGNBD", margin=MARGIN, annual_discount_rate=RATE).save(Path(room) / "model.json")
        model = ly.load(Path(room) / "model.json")
    fit, known = model.purchases, {"frequency": 3, "recency": 30.0, "age": 52.0}
    calls: dict[tuple[str, str], Callable[[], Any]] = {
        ("one customer: P(alive), purchases, spend, value, interval", "≤ 200 µs"): lambda: model.score_customer(
            **known, monetary_value=25.0
        ),
        ("one customer: expected purchases alone", "≤ 20 µs"): lambda: fit.expected_purchases(**known, horizon="365d"),
    }
    if rival is not None:
        calls["  by lifetimes", "none"] = lambda: rival.predict(365 / 7, 3, 30.0, 52.0)
    for (what, aim), call in calls.items():
        call()
        aims.tell(what, aim, f"{min(timeit.repeat(call, number=200, repeat=7)) / 200 * 1e6:.1f} µs")


def fits(frame: pd.DataFrame, fewer: pd.DataFrame, aims: Aims, lifetimes: Any) -> None:
    """Time fits on ready summary frames, reading them and counting cells included, beside those of lifetimes."""
    repeaters = frame[(frame["frequency"] > 0) & (frame["monetary_value"] > 0)]
    spend = [repeaters["frequency"], repeaters["monetary_value"]]
    pairs: dict[tuple[str, str, bool], tuple[Callable[[], Any], Callable[[], Any]]] = {
        (f"BG/NBD, {len(frame):,} customers", "15 x", False): (
            lambda: fit_on(ly.BGNBD(), frame),
            lambda: lifetimes.BetaGeoFitter().fit(*columns(frame)),
        ),
        (f"Pareto/NBD, {len(fewer):,} customers", "100 x", True): (
            lambda: fit_on(ly.ParetoNBD(), fewer),
            lambda: lifetimes.ParetoNBDFitter().fit(*columns(fewer)),
        ),
        (f"Gamma-Gamma, {len(repeaters):,} repeaters", "10 x", False): (
            lambda: fit_on(ly.GammaGamma(), repeaters),
            lambda: lifetimes.GammaGammaFitter().fit(*spend),
        ),
    }
    for (what, aim, once), (mine, theirs) in pairs.items():
        if lifetimes is None:
            aims.tell(what, f"{aim} as fast as lifetimes", f"{clock(mine):.2f} s")
            continue
        if once:  # it takes most of a minute
            ours, their = clock(mine), clock(lambda call=theirs: quietly(call), 1)
        else:
            ours, found = side_by_side(mine, {"lifetimes": lambda call=theirs: quietly(call)})
            their = found["lifetimes"]
        aims.tell(what, f"{aim} as fast as lifetimes", f"{ours:.2f} s : {their:.2f} s, {their / ours:.0f} x")


def main() -> None:
    """Run everything and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("customers", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--no-lifetimes", action="store_true", help="leave out lifetimes, which takes longest")
    arguments = parser.parse_args()
    log = ly.datasets.simulate(arguments.customers, seed=1)
    print(f"{arguments.customers:,} customers, {len(log):,} rows, {os.cpu_count()} cores, {Path(sys.executable).name}")
    aims = Aims()
    end_to_end(log, aims)
    frame = as_lifetimes(log)
    fewer = as_lifetimes(ly.datasets.simulate(min(FEWER, arguments.customers), seed=2))
    lifetimes = None if arguments.no_lifetimes else quietly(lambda: importlib.import_module("lifetimes"))
    rival = lifetimes and quietly(lambda: lifetimes.BetaGeoFitter().fit(*columns(fewer)))
    one_customer(log, aims, rival)
    fits(frame, fewer, aims, lifetimes)
    print(f"peak memory of the run{'' if lifetimes is None else ', lifetimes included'}: {peak():.2f} GB")
    aims.show()


if __name__ == "__main__":
    main()
