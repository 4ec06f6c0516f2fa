"""How long the command takes to start, beside a Python that does nothing; no library of numbers may load for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

RUNS = 15
LIMIT = 0.3  # seconds: what somebody who asks for help waits without noticing
HEAVY = ("babel", "duckdb", "jinja2", "matplotlib", "narwhals", "numpy", "pandas", "polars", "pyarrow", "scipy")

STARTS = {
    "python -c pass": ["-c", "pass"],
    "import loyalty": ["-c", "import loyalty"],
    "loyalty --version": ["-m", "loyalty", "--version"],
    "loyalty --help": ["-m", "loyalty", "--help"],
    "loyalty report --help": ["-m", "loyalty", "report", "--help"],
}


def seconds(arguments: list[str]) -> list[float]:
    """Return how long each of several starts took, the fastest first."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - start)
    return sorted(taken)


def heavy_modules() -> list[str]:
    """Return the libraries that are loaded once help has been shown."""
    code = "import json, sys\nfrom loyalty.cli import main\nmain(['--help'])\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return sorted(set(HEAVY) & set(json.loads(done.stdout.splitlines()[-1])))


def main() -> None:
    print(f"{'':<22}  fastest   median   (of {RUNS} starts, seconds)")
    for name, arguments in STARTS.items():
        taken = seconds(arguments)
        print(f"{name:<22} {taken[0]:8.3f} {taken[RUNS // 2]:8.3f}")
        if name in {"loyalty --version", "loyalty --help"}:
            assert taken[0] <= LIMIT, f"{name} takes {taken[0]:.2f} s at best"
    loaded = heavy_modules()
    print(f"loaded by --help of {', '.join(HEAVY)}: {', '.join(loaded) or 'none'}")
    assert not loaded, loaded


if __name__ == "__main__":
    main()
