"""The Typer application, and how one run of it begins and ends."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer

import loyalty
from loyalty.cli import failures
from loyalty.cli.commands.backtest import backtest
from loyalty.cli.commands.demo import demo
from loyalty.cli.commands.metrics import metrics
from loyalty.cli.commands.report import report
from loyalty.cli.commands.score import score
from loyalty.cli.commands.segments import segments
from loyalty.cli.options import with_options

__all__ = ["app", "run"]


def _unwrapped(text: str | None) -> str:
    """Return a docstring with a line per paragraph, which Typer would break where the source does."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n"))


app = typer.Typer(
    name="loyalty",
    rich_markup_mode="rich",  # groups options in panels; takes 0.05 s, only where help is shown
    pretty_exceptions_enable=False,  # failures.py says what went wrong
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (report, metrics, segments, score, backtest, demo):
    app.command(help=_unwrapped(command.__doc__))(with_options(command))


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"loyalty {loyalty.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error was raised.")] = False,
) -> None:
    """Every loyalty number a company lives by, from one table of transactions."""
    context.obj = {"quiet": quiet, "debug": debug}
    if context.invoked_subcommand is None:
        with contextlib.redirect_stdout(sys.stderr):  # where Typer shows help, whatever it is asked
            typer.echo(context.get_help())
        raise typer.Exit(failures.USAGE)


def run(given: list[str]) -> int:
    """Run the command with its arguments, and return its exit code once everything is written."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a sign that a terminal cannot show stops nothing
    return _flushed(_run(given))


def _command() -> Any:
    """Return the command as the terminal sees it: Typer would show that a flag is a <bool>."""
    group: Any = typer.main.get_command(app)
    for command in (group, *group.commands.values()):
        for option in command.params:
            if getattr(option, "is_flag", False):
                option.metavar = ""
    return group


def _run(given: list[str]) -> int:
    """Run the command; what fails while its arguments are read is said here, the rest by `failures.guarded`."""
    try:
        code = _command().main(given, prog_name="loyalty", standalone_mode=False)
    except SystemExit as end:  # completion ends so, and Rich where it cannot write help
        if isinstance(end.__context__, BrokenPipeError):
            return failures.said(end.__context__)
        return end.code if isinstance(end.code, int) else 0
    except BaseException as error:  # noqa: BLE001 (every end has its code)
        return failures.said(failures.unwritten(error) if isinstance(error, OSError) else error)
    return code if isinstance(code, int) else failures.DONE


def _flushed(code: int) -> int:
    """Return the exit code once everything is written: only then does a full disk or a closed pipe show."""
    try:
        sys.stdout.flush()
    except OSError as error:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 (a device), or Python tries once more
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return code or failures.said(failures.unwritten(error))
    return code
