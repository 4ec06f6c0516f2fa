"""The command as a process of its own: what it loads, which stream holds what, and how it ends."""

import json
import os
import shlex
import signal
import tempfile
import time
from pathlib import Path

import pytest

import loyalty
from command import PYTHON, STARTED, environment, start

pytestmark = pytest.mark.slow  # each starts processes of its own

HEAVY = {"babel", "duckdb", "jinja2", "matplotlib", "narwhals", "numpy", "pandas", "polars", "pyarrow", "scipy"}


@pytest.fixture(autouse=True)
def ended():
    """End what a failing test leaves."""
    yield
    for process in STARTED:
        with process:  # closes its pipes
            process.kill()
    STARTED.clear()


def start_in_shell(arguments, redirections):
    call = shlex.join([*PYTHON, "-m", "loyalty", *map(str, arguments)])
    return start(code=f"import os; os.execvp('sh', ['sh', '-c', {f'exec {call} {redirections}'!r}])")


def wait_for(condition, process, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.02)


def finished(process, stdin=None):
    out, err = process.communicate(stdin, timeout=60)
    return process.returncode, out, err.decode()


@pytest.mark.parametrize("arguments", [["--version"], ["report", "--help"]])
def test_help_and_version_load_nothing_heavy(arguments):
    code = (
        "import json, sys\nfrom loyalty.cli import main\n"
        f"code = main({arguments})\nprint(json.dumps([code, list(sys.modules)]), file=sys.stderr)"
    )
    ended, out, err = finished(start(code=code))
    code, loaded = json.loads(err)
    assert (ended, code) == (0, 0)
    assert HEAVY & set(loaded) == set()
    assert (b"loyalty " + loyalty.__version__.encode() if "--version" in arguments else b"Usage") in out


def test_results_and_the_rest_have_a_stream_each(files):
    code, out, err = finished(start("metrics", "-", "--json"), files["orders.csv"].read_bytes())
    assert code == 0
    assert json.loads(out)["estimates"]["repurchase_rate"]["n"] > 0
    assert [line.split()[0] for line in err.splitlines()] == ["columns:", "1,979"]
    assert "\x1b" not in out.decode() + err


def test_the_entry_point_is_installed():
    """What pip writes into bin/loyalty: `sys.exit(main())`."""
    code = "import sys\nfrom loyalty.cli import main\nsys.argv = ['loyalty', 'metrics']\nsys.exit(main())"
    ended, out, err = finished(start(code=code))
    assert (ended, out) == (2, b"")
    assert err.startswith("loyalty: Missing argument 'SOURCE")


def test_a_full_disk():
    with Path("/dev/full").open("wb") as full:
        process = start("--version", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert err.decode().startswith("loyalty: standard output cannot be written to: No space left")
    assert err.count(b"\n") == 1


@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129),
])  # fmt: skip
def test_stopped_while_it_reads(tmp_path, number, code):
    process = start("metrics", "-", env=environment(TMPDIR=str(tmp_path)))
    process.stdin.write(b"customer_id,date,amount\n")
    process.stdin.flush()
    wait_for(lambda: list(tmp_path.glob("loyalty-*/standard-input.csv")), process)
    process.send_signal(number)
    ended, out, err = finished(process)
    assert (ended, out, err.count("\n")) == (code, b"", 1)
    assert list(tmp_path.iterdir()) == []  # what was laid down is gone


SLOW_WRITER = """
import sys, time
import loyalty.cli.output as output
from loyalty.cli import main
usual = output._as_parquet
def slowly(batches, path):
    path.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
output._as_parquet = slowly
sys.exit(main(sys.argv[1:]))
"""


def test_stopped_inside_the_engine(tmp_path):
    """A query of many minutes is broken off within moments."""
    import duckdb

    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        connection.execute(
            "CREATE VIEW endless AS SELECT a.range * b.range % 1000 AS customer_id, DATE '2024-01-01' AS date, "
            "sqrt(b.range) AS amount FROM range(1000000) a, range(1000000) b"
        )
    (tmp_path / "spill").mkdir()
    process = start(
        "metrics", tmp_path / "a.duckdb", "--table", "endless", env=environment(TMPDIR=str(tmp_path / "spill"))
    )
    assert process.stderr.readline().startswith(b"columns:")
    process.send_signal(signal.SIGINT)  # on the way to the query, or in it
    assert finished(process) == (130, b"", "loyalty: interrupted.\n")
    assert list((tmp_path / "spill").iterdir()) == []


SLOW_START = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            print("importing", flush=True)
            time.sleep(1)
sys.meta_path.insert(0, Slow())
from loyalty.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("times", [1, 20])
def test_stopped_while_it_starts(times):
    process = start("metrics", "none.csv", code=SLOW_START)
    assert process.stdout.readline() == b"importing\n"
    while times and process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
        times -= 1
    assert finished(process) == (130, b"", "loyalty: interrupted.\n")


SWALLOWED = """
import gc, importlib, sys, time
overview = importlib.import_module("loyalty.overview")
class Quiet:
    def __del__(self):
        print("working", flush=True)
        end = time.monotonic() + 60
        while time.monotonic() < end and not stopping._run.received:
            time.sleep(0.01)
def swallowing(*given, **named):
    Quiet()
    time.sleep(60)
overview.overview = swallowing
from loyalty.cli import main, stopping
sys.exit(main())
"""


def test_an_interrupt_is_not_lost_in_a_destructor(files):
    """Python can only tell of what is raised there, and goes on."""
    process = start("metrics", files["orders.csv"], "-q", code=SWALLOWED)
    assert process.stdout.readline() == b"working\n"
    process.send_signal(signal.SIGINT)
    assert finished(process) == (130, b"", "loyalty: interrupted.\n")


CLEARING = """
    try:
        print("writing", flush=True)
        time.sleep(60)
    finally:
        print("clearing", flush=True)
        time.sleep(0.5)
        print("cleared", flush=True)
"""


def test_impatience_disturbs_no_clearing_away(files, tmp_path):
    code = SLOW_WRITER.replace('    print("writing", flush=True)\n    time.sleep(60)\n', CLEARING)
    assert "clearing" in code
    process = start("segments", files["orders.csv"], "-o", tmp_path / "a.parquet", "-q", code=code)
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"clearing\n"
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert finished(process) == (130, b"cleared\n", "loyalty: interrupted.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(files, tmp_path, closed):
    for arguments, code in ((["--version"], 0), (["nothing"], 2)):
        ended, _, err = finished(start_in_shell(arguments, closed))
        assert ended == code
        assert "Traceback" not in err
    path = tmp_path / "a.parquet"
    assert finished(start_in_shell(["segments", files["orders.csv"], "-o", path], closed))[0] == 0
    assert path.read_bytes()[-4:] == b"PAR1"  # and nothing that was said is in it


@pytest.mark.parametrize("call", [
    "metrics {} -q", "score --help", "--version",
    "metrics {} -q --json", "segments {} -q -o -",
])  # fmt: skip
def test_nobody_reads(files, call):
    """As `loyalty segments … -o - | head -1` where head has ended."""
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*call.format(files["orders.csv"]).split(), stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9),
])  # fmt: skip
def test_stopped_while_it_writes(files, tmp_path, number, code):
    path = tmp_path / "out.parquet"
    path.write_text("older")
    process = start("segments", files["orders.csv"], "-o", path, "--force", "-q", code=SLOW_WRITER)
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(number)
    ended, *_ = finished(process)
    assert ended == code
    assert path.read_text() == "older"  # the file is the old one, whole
    if number != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == [path]


def test_signs_that_the_terminal_does_not_know_stop_nothing(tmp_path):
    (tmp_path / "客.csv").write_text("customer_id,date,amount\n1,2024-01-05,3\n")
    process = start("metrics", tmp_path / "客.csv", "--customer", "客", env=environment(PYTHONIOENCODING="ascii"))
    ended, out, err = finished(process)
    assert (ended, out) == (2, b"")
    assert "\\u5ba2" in err
    process = start("segments", tmp_path / "客.csv", env=environment(PYTHONIOENCODING="ascii"))
    ended, out, err = finished(process)
    assert ended == 0, err
    assert b"Champions" in out


def test_python_m_says_its_own_name():
    _, out, _ = finished(start("--help"))
    assert b"Usage: loyalty [OPTIONS] COMMAND" in out


def test_nothing_is_left_in_the_temporary_folder(files):
    with tempfile.TemporaryDirectory() as folder:
        process = start("metrics", "-", "-q", "--only", "upsell_ratio", env=environment(TMPDIR=folder))
        assert finished(process, files["orders.parquet"].read_bytes())[0] == 0
        assert list(Path(folder).iterdir()) == []
