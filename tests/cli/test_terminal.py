"""The command at a terminal: progress that leaves nothing behind, colour, width, interruption."""

import re
import sys

import pytest

from command import environment

pexpect = pytest.importorskip("pexpect")

pytestmark = pytest.mark.slow  # each starts processes of its own

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # the cursor


def spawn(*arguments, columns=100, code=None, **more):
    what = ["-m", "loyalty"] if code is None else ["-c", code]
    return pexpect.spawn(
        sys.executable, ["-W", "error", *what, *map(str, arguments)], encoding="utf-8", timeout=60,
        dimensions=(40, columns), env=environment(**{"TERM": "xterm-256color", **more}),
    )  # fmt: skip


def seen(process):
    """Return everything that came, and how the process ended."""
    out = process.read()
    process.close()
    return out, process.exitstatus


def left(out):
    """Return what stays on the screen: lines that are written over or cleared are gone."""
    lines, row = [""], 0
    for part in re.split(r"(\r\n|\r|\x1b\[[0-9;?]*[A-Za-z])", out):
        move = re.fullmatch(r"\x1b\[([0-9;?]*)([A-Za-z])", part)
        if part == "\r\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif move and move[2] == "A":
            row -= int(move[1] or 1)
        elif move and move[2] == "K":
            lines[row] = ""
        elif not move and part != "\r":
            lines[row] += part
    return [line.rstrip() for line in lines if line.strip()]


def test_progress_is_shown_and_cleared_away(files, tx):
    process = spawn("metrics", files["orders.csv"], "--only", "upsell_ratio")
    out, code = seen(process)
    assert code == 0
    steps = ["Looking at the columns", "Reading the rows", "Computing the numbers"]
    assert all(step in out for step in steps)
    assert out.count(HIDDEN) == out.count(SHOWN) == len(steps)
    assert left(out) == [
        "columns: customer = customer_id, date = date, amount = amount",
        str(tx),  # which the terminal breaks
        "Not computed: upsell ratio (name --product <column>).",
    ]


@pytest.mark.parametrize("quiet", ["--quiet", pytest.param("dumb", marks=pytest.mark.slow)])
def test_no_progress_where_it_is_not_wanted(files, quiet):
    arguments = ["metrics", files["orders.csv"], "--only", "upsell_ratio"]
    process = spawn(*arguments, "--quiet") if quiet == "--quiet" else spawn(*arguments, TERM="dumb")
    out, code = seen(process)
    assert code == 0
    assert "\x1b" not in out
    assert "Reading" not in out


def test_results_in_a_pipe_beside_progress_at_the_terminal(files, tmp_path):
    """As `loyalty metrics … --json > numbers.json` typed by hand."""
    code = (
        "import sys\n"
        f"sys.stdout = open({str(tmp_path / 'out')!r}, 'w')\n"
        "from loyalty.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    out, ended = seen(spawn("metrics", files["orders.csv"], code=code))
    assert ended == 0
    assert "Computing the numbers" in out
    assert "Repurchase" not in out
    assert "\x1b" not in (tmp_path / "out").read_text()


def test_interrupted_it_leaves_the_terminal_in_order(files):
    code = (
        "import loyalty.overview, sys, time\n"
        "sys.modules['loyalty.overview'].overview = lambda *given, **named: time.sleep(60)\n"
        "from loyalty.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    process = spawn("metrics", files["orders.csv"], code=code)
    process.expect("Computing the numbers")
    process.sendcontrol("c")
    out, ended = seen(process)
    assert ended == 130
    assert out.rindex(SHOWN) > out.rfind(HIDDEN)
    assert left(out)[-1] == "loyalty: interrupted."


@pytest.mark.parametrize(
    ("more", "bold"),
    [
        ({}, True),
        pytest.param({"NO_COLOR": "1"}, True, marks=pytest.mark.slow),
        pytest.param({"TERM": "dumb"}, False, marks=pytest.mark.slow),
    ],
)
def test_headings_stand_out_but_numbers_stay_plain(files, more, bold):
    out, code = seen(spawn("metrics", files["orders.csv"], "-q", **more))
    assert code == 0
    assert ("\x1b[1mnumber" in out) is bold
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", out)  # no colours at all: signs and words say everything
    assert re.search(r"Repurchase rate +\d", out)


BACKTEST = ("backtest", "--split", "2022-12-31", "--model", "BGNBD")


@pytest.mark.parametrize(("command", "columns"), [
    (("segments",), 80),
    *(pytest.param(command, columns, marks=pytest.mark.slow) for command in (("metrics",), BACKTEST)
      for columns in (80, 120)),
])  # fmt: skip
def test_tables_fit_the_terminal(files, command, columns):
    out, code = seen(spawn(command[0], files["orders.csv"], "-q", *command[1:], columns=columns))
    assert code == 0
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", out).split("\r\n")]
    assert max(map(len, lines)) <= columns
    assert "…" not in out
    rules = [line for line in lines if line.startswith("──")]
    assert rules
    for rule in rules:  # numbers under every heading, none of them broken
        place = lines.index(rule)
        last = next(line for line in lines[place + 1 :] if len(line) > len(rule) // 2)
        assert re.search(r"\d", last)


def test_standard_input_from_a_keyboard_is_refused():
    out, code = seen(spawn("metrics", "-"))
    assert code == 2
    assert "nothing is piped into it" in out


def test_a_terminal_of_one_column(files):
    out, code = seen(spawn("segments", files["orders.csv"], "-q", columns=1))
    assert code == 0
    assert "Champions" in out


@pytest.mark.parametrize("command", ["score", *(pytest.param(name, marks=pytest.mark.slow) for name in ("", "report"))])
def test_help_fits_80_columns(command):
    out, code = seen(spawn(*command.split(), "--help", columns=80))
    assert code == 0
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", out).split("\r\n")) <= 80


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_a_terminal_obeys_no_id(tmp_path, debug):
    path = tmp_path / "a.csv"
    path.write_text(f"customer_id,date,amount\n\x1b[31mé\x9b,{'x' if debug else '2024-01-05'},3\n2,\x1b[7m,3\n")
    more = [*debug, "--invalid", "raise" if debug else "exclude"]
    out, code = seen(spawn("segments", path, "-q", "-o", "-", *more))
    assert code == (1 if debug else 0)
    assert "\x1b" not in out
    assert ("\\x1b[7m" in out) if debug else ('"\\x1b[31mé\\x9b",' in out)
