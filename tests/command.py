"""The command `loyalty` for tests: run in this process, or in one of its own."""

import io
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from loyalty.cli import main

SRC = str(Path(__file__).parents[1] / "src")
STARTED = []  # processes, for whoever must see to it that they end
PYTHON = [sys.executable, "-W", "error"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self):
        return self.out.decode()


class Piped(io.TextIOWrapper):
    """A stream that is no terminal."""

    def __init__(self, data=b""):
        super().__init__(io.BytesIO(data), encoding="utf-8")


def run(*arguments, stdin=b""):
    """Run the command in this process; in it, `sys.argv` is what a shell would have given."""
    arguments = [str(argument) for argument in arguments]
    before = sys.stdin, sys.stdout, sys.stderr, sys.argv
    sys.stdin, sys.stdout, sys.stderr, sys.argv = Piped(stdin), Piped(), Piped(), ["loyalty", *arguments]
    try:
        code = main(arguments)
        out, err = sys.stdout, sys.stderr
    finally:
        sys.stdin, sys.stdout, sys.stderr, sys.argv = before
    err.flush()
    return Outcome(code, out.buffer.getvalue(), err.buffer.getvalue().decode())


def alike(found, expected):
    """Return whether two JSON values are the same, up to the last digits of sums that threads add in any order."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(alike(found[key], expected[key]) for key in expected)
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(alike, found, expected))
    if isinstance(expected, float):
        return found is not None and math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12)
    return found == expected


def environment(**more):
    """Return this process's environment with the package found as these tests find it, and nothing that colours."""
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    paths = os.pathsep.join(filter(None, [SRC, kept.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": paths, **more}


def start(*arguments, code=None, **options):
    """Start the command in a process of its own; `code` is Python to run instead of `-m loyalty`."""
    what = ["-m", "loyalty"] if code is None else ["-c", code]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    more = {"env": environment(), **pipes, **options}
    STARTED.append(subprocess.Popen([*PYTHON, *what, *map(str, arguments)], **more))
    return STARTED[-1]
