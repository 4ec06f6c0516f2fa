"""Rules of the house that no single module can keep."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HEAVY = {"ibis", "lifetimes", "matplotlib", "polars", "pyspark", "scipy.stats"}

# What belongs to one machine or one package index, in pieces, so that this file itself may be searched.
INDEXES = [(b"files", b"pythonhosted"), (b"pypi", b"org"), (b"registry", b"npmjs"), (b"deb", b"debian")]
FORBIDDEN = {
    "a package index": b"|".join(rb"\.".join(pieces) for pieces in INDEXES),
    "a path of one machine": rb"(?<![\w./-])/" + rb"(work|root)/",
}


def test_import_is_light():
    code = "import json, sys, loyalty; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.intersection(json.loads(done.stdout)) == set()


def repository_files():
    # New files count before they are added; ignored ones never do.
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what):
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]!r}"
        for path in repository_files()
        for number, line in enumerate(path.read_bytes().splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("what", "text", "expected"),
    [
        ("a path of one machine", b"see /" + b"work/main", True),
        ("a path of one machine", b'"/' + b"root/.cache", True),
        ("a path of one machine", b"benchmarks/" + b"work/out, ./" + b"root/x", False),
        ("a package index", b"https://files." + b"pythonhosted", True),
    ],
)
def test_what_is_forbidden(what, text, expected):
    assert bool(re.search(FORBIDDEN[what], text)) is expected
