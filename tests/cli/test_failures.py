"""What went wrong: a sentence, an exit code, and no traceback unless asked for."""

import importlib
import signal
import warnings

import pytest

from command import run
from loyalty import errors
from loyalty.cli import failures, stopping
from loyalty.errors import LoyaltyWarning

OVERVIEW = importlib.import_module("loyalty.overview")  # loyalty.overview is the function


def failing(error):
    def fail(*args, **kwargs):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRows("it is so."), 1),
        (errors.EmptyData("it is so."), 1),
        (errors.ColumnError("it is so."), 1),
        (errors.ConvergenceError("it is so."), 1),
        (errors.UnsupportedSource("it is so."), 1),
        (errors.InvalidModelFile("it is so."), 1),
        (errors.InvalidArgument("it is so."), 2),
        (errors.OutputError("it is so."), 3),
        (BrokenPipeError(), 141),
    ],
)
def test_exit_codes(files, monkeypatch, error, code):
    monkeypatch.setattr(OVERVIEW, "overview", failing(error))
    done = run("metrics", files["orders.csv"], "-q")
    assert (done.code, done.out) == (code, b"")
    assert done.err == ("" if code == 141 else "loyalty: it is so.\n")


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_an_error_of_the_program(files, monkeypatch, debug):
    monkeypatch.setattr(OVERVIEW, "overview", failing(ZeroDivisionError("by\nnothing")))
    for arguments in (("metrics", files["orders.csv"], "-q", *debug), (*debug, "metrics", files["orders.csv"], "-q")):
        done = run(*arguments)
        assert (done.code, done.out) == (70, b"")
        assert "ZeroDivisionError: by nothing" in done.err
        assert done.err.splitlines()[-1].startswith("loyalty: an error of the program, not of your data")
        assert ("Traceback" in done.err) is bool(debug)
        assert debug or done.err.count("\n") == 1


def test_debug_shows_where_an_error_of_the_data_comes_from(tmp_path):
    (tmp_path / "a.csv").write_text("customer_id,date,amount\n1,x,3\n")
    done = run("metrics", tmp_path / "a.csv", "--debug")
    assert done.code == 1
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("loyalty: 1 of 1 rows have no usable date")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("metrics",), "Missing argument"),
        (("nothing",), "No such command 'nothing'"),
        (("metrics", "a.csv", "--nothing"), "--nothing"),
        (("metrics", "a.csv", "--period", "decade"), "'decade'"),
        (("metrics", "a.csv", "--confidence", "2"), "'--confidence': 2 is no share between 0 and 1"),
        (("segments", "a.csv", "--bins", "1"), "--bins"),
        (("segments", "a.csv", "--bins"), "--bins"),
        (("--nothing",), "--nothing"),
    ],
)
def test_wrong_usage_is_a_line_that_names_the_help(arguments, said):
    done = run(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, b"", 1)
    assert said in done.err
    assert done.err.rstrip().endswith("--help.")


def test_no_command_shows_the_help_as_wrong_usage():
    done = run()
    assert (done.code, done.out) == (2, b"")
    assert "backtest" in done.err


def test_warnings_are_notes_said_once(files, monkeypatch):
    def warning(*args, **kwargs):
        for _ in range(2):
            warnings.warn("look at\nthis (margin=0)", LoyaltyWarning, stacklevel=1)
            warnings.warn("not for you", RuntimeWarning, stacklevel=1)
        raise errors.EmptyData("end.")

    monkeypatch.setattr(OVERVIEW, "overview", warning)
    done = run("metrics", files["orders.csv"])
    assert done.err.splitlines()[2:] == ["note: look at this (--margin 0)", "loyalty: end."]
    assert run("metrics", files["orders.csv"], "-q").err == "loyalty: end.\n"
    with pytest.warns(RuntimeWarning, match="not for you"):
        run("metrics", files["orders.csv"], "--debug")


@pytest.mark.parametrize(("number", "code", "said"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_a_signal_decides_whatever_was_raised(files, monkeypatch, number, code, said):
    def stopped(*args, **kwargs):
        try:
            signal.raise_signal(getattr(signal, number))
        except KeyboardInterrupt as error:
            raise errors.UnsupportedSource("Query interrupted") from error

    monkeypatch.setattr(OVERVIEW, "overview", stopped)
    usual = signal.signal(getattr(signal, number), signal.default_int_handler)  # a shell in the background ignores some
    try:
        done = run("metrics", files["orders.csv"], "-q")
        assert signal.getsignal(getattr(signal, number)) is signal.default_int_handler
    finally:
        signal.signal(getattr(signal, number), usual)
    assert (done.code, done.out, done.err) == (code, b"", f"loyalty: {said}.\n")
    assert run("metrics", files["orders.csv"], "-q", "--only", "x").code == 2  # the next run knows nothing of it


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.stoppable():
            signal.raise_signal(signal.SIGHUP)
        assert stopping.code() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_arguments_of_the_library_become_options():
    options = {"cost": "--cost", "rate": "--rate", "annual_discount_rate": "--discount-rate", "by": "--by"}
    for message, expected in {
        "annual_discount_rate=0.0 is too low": "--discount-rate 0.0 is too low",
        "pass cost=<column> to transactions().": "pass --cost <column>.",
        "(cost=) is missing": "(--cost) is missing",
        "cost='its'": "--cost 'its'",
        "a cost == b, _cost=1, by-cost=2": "a cost == b, _cost=1, by-cost=2",
    }.items():
        assert failures.in_options(message, options) == expected
