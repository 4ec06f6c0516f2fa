"""How quickly the example service answers on loopback, beside the same scoring in one process and an empty answer.

python benchmarks/bench_service.py             # one and two workers, 1, 4 and 16 clients; about two minutes
python benchmarks/bench_service.py --requests 50

Each client asks again as soon as it is answered. Clients and service share the cores of one machine, so the
numbers are what a service does with a part of them. Everything ends by itself.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import loyalty as ly

SCRIPT = Path(__file__).parents[1] / "examples" / "service.py"
CLIENTS = (1, 4, 16)
SECONDS = 8.0  # for each load, whatever is left of its requests
MARGIN = 0.3


def made(folder: Path) -> list[dict[str, Any]]:
    """Write a model fitted on CDNOW and the log beside it, and return its customers."""
    log = ly.datasets.cdnow()
    log.to_parquet(folder / "log.parquet")
    with ly.transactions(log) as tx:
        ly.fit_clv(tx, margin=MARGIN).save(folder / "model.json")
        people = ly.summarize(tx).to_native().sample(1000, random_state=1)
    return people.rename(columns={"customer_id": "id"}).to_dict("records")


@contextmanager
def served(folder: Path, workers: int) -> Iterator[tuple[tuple[str, int], int]]:
    """Start the service on a free port and give its address and its id once it answers."""
    arguments = [f"--model={folder / 'model.json'}", f"--log={folder / 'log.parquet'}", f"--workers={workers}"]
    said = folder / f"{workers}.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "--port=0", *arguments], stderr=file, start_new_session=True
        )
    try:
        until, found = time.monotonic() + 120, None
        while True:
            assert process.poll() is None and time.monotonic() < until, said.read_text()  # noqa: PT018
            found = found or re.search(r"running on http://([\d.]+):(\d+)", said.read_text())
            if found and said.read_text().count("startup complete") == workers:
                break
            time.sleep(0.05)
        yield (found[1], int(found[2])), process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def computed(session: int) -> float:
    """Return the seconds that the processes of a session have computed; NaN where there is no /proc."""
    total, found = 0.0, False
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it may have ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                found, total = True, total + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total if found else math.nan


def load(
    address: tuple[str, int], ask: tuple[str, str, bytes], clients: int, requests: int
) -> tuple[list[float], float]:
    """Let clients ask until so many answers have come or time is up; return the seconds each took, and all of them."""
    method, path, body = ask
    taken: list[float] = []
    begin = threading.Barrier(clients + 1)
    until = time.monotonic() + 3600

    def client() -> None:
        line = http.client.HTTPConnection(*address, timeout=60)
        line.connect()
        begin.wait()
        while len(taken) < requests and time.monotonic() < until:
            start = time.perf_counter()
            line.request(method, path, body, {"Content-Type": "application/json"})
            answer = line.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            taken.append(time.perf_counter() - start)
        line.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + SECONDS
    begin.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return sorted(taken), time.perf_counter() - start


def median(call: Callable[[], Any], runs: int) -> float:
    """Return the median of how long a call takes."""
    call()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[runs // 2]


def in_process(folder: Path, people: list[dict[str, Any]], log: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Return what the library does for each of the requests."""
    import pandas as pd

    model = ly.load(folder / "model.json")
    names = ("frequency", "recency", "age", "monetary_value")

    def score(count: int) -> Any:
        return model.score_customers(**{name: [one[name] for one in people[:count]] for name in names}).rows()

    def score_log() -> Any:
        with ly.transactions(pd.DataFrame(log["transactions"]), customer="customer") as tx:
            return model.score(tx).customers

    return {
        "POST /score, 1 customer": lambda: score(1),
        "POST /score, 100 customers": lambda: score(100),
        "POST /score, 1000 customers": lambda: score(1000),
        "POST /score/transactions, 20": score_log,
    }


def asks(people: list[dict[str, Any]], log: dict[str, Any]) -> dict[str, tuple[tuple[str, str, bytes], int]]:
    """Return what is asked, and what part of the requests is enough for it."""
    scores = {
        f"POST /score, {count} customer{'s' if count > 1 else ''}": (
            ("POST", "/score", json.dumps({"customers": people[:count]}).encode()),
            part,
        )
        for count, part in ((1, 1), (100, 2), (1000, 5))
    }
    rows = ("POST", "/score/transactions", json.dumps(log).encode())
    return {
        "GET /health": (("GET", "/health", b""), 1),
        "GET /metrics": (("GET", "/metrics", b""), 1),
        **scores,
        "POST /score/transactions, 20": (rows, 20),
    }


def main() -> None:
    """Run all loads and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help="of each load, fewer where each is heavy")
    requests = parser.parse_args().requests
    log = {
        "transactions": [
            {"customer": f"c{n % 5}", "date": f"1998-0{1 + n % 6}-1{n % 9}", "amount": 10.0 + n} for n in range(20)
        ],
        "observed_until": "1998-06-30",
    }
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}; milliseconds; closed loop on loopback\n")
    print(" " * 30, " workers clients      p50      p95      p99   per s     cpu  health  library")
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room)
        people = made(folder)
        alone = in_process(folder, people, log)
        for workers in (1, 2):
            with served(folder, workers) as service:
                for clients in CLIENTS:
                    show(service, asks(people, log), alone, (workers, clients, requests))
    print(
        "\nhealth: p50 beside that of GET /health with as many clients; library: beside the same call in one process,"
    )
    print("taken just before")


def show(
    service: tuple[Any, int], wanted: dict[str, Any], alone: dict[str, Callable[[], Any]], how: tuple[int, int, int]
) -> None:
    """Run every load with so many clients, and print its line."""
    (address, session), (workers, clients, requests) = service, how
    base = 0.0
    for name, (ask, part) in wanted.items():
        library = median(alone[name], 9) if name in alone else 0.0
        load(address, ask, clients, 2 * clients)  # to warm up
        before = computed(session)
        taken, seconds = load(address, ask, clients, max(requests // part, 2 * clients))
        cpu = (computed(session) - before) / len(taken)
        p50, p95, p99 = (taken[min(int(len(taken) * share), len(taken) - 1)] for share in (0.5, 0.95, 0.99))
        base = base or p50
        beside = f"{p50 / library:7.1f}x" if library else ""
        print(
            f"{name:<30} {workers:8} {clients:7} {p50 * 1e3:8.2f} {p95 * 1e3:8.2f} {p99 * 1e3:8.2f} "
            f"{len(taken) / seconds:7.0f} {cpu * 1e3:7.2f} {p50 / base:6.1f}x {beside:>8}",
            flush=True,
        )


if __name__ == "__main__":
    main()
