"""What went wrong, in a sentence and an exit code."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from loyalty.cli import stopping
from loyalty.errors import InvalidArgument, InvalidModelFile, LoyaltyError, OutputError

__all__ = [
    "DONE",
    "USAGE",
    "WrongUsage",
    "guarded",
    "in_options",
    "one_line",
    "options_of",
    "said",
    "unwritten",
    "visible",
]

DONE, REFUSED, USAGE, UNWRITTEN, INTERNAL, NO_READER = 0, 1, 2, 3, 70, 141

# Arguments of the library whose option has another name.
_RENAMED = {"annual_discount_rate": "discount_rate", "models": "model"}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


class WrongUsage(Exception):
    """The command was called in a way that cannot be meant."""


def unwritten(error: OSError) -> Exception:
    """Return what a failure to write to standard output is."""
    if isinstance(error, BrokenPipeError):
        return error
    return OutputError(f"standard output cannot be written to: {error.strerror or error}.")


@contextmanager
def guarded(options: Mapping[str, str], *, debug: bool) -> Iterator[None]:
    """End the command with the exit code of what is raised inside, once it is said.

    Args:
        options: As `options_of` returns them.
        debug: Whether the whole of it is to be shown.
    """
    try:
        yield
    except (typer.Exit, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 (every end has its code)
        if debug:
            _show("".join(traceback.format_exception(error)))
        raise typer.Exit(said(error, options)) from None


def said(error: BaseException, options: Mapping[str, str] | None = None) -> int:
    """Say on standard error what went wrong, and return the exit code.

    Args:
        error: What was raised.
        options: The library's arguments to the command's options.
    """
    if stopping.code():
        stopping.say()
        return stopping.code()
    if isinstance(error, BrokenPipeError):
        return NO_READER  # the reader has what it wanted
    if hasattr(error, "format_message"):  # of Typer and of Click, whichever Typer builds on
        _say(_with_help(error))
        return int(getattr(error, "exit_code", USAGE))
    if isinstance(error, (LoyaltyError, WrongUsage)):
        _say(in_options(str(error), options or {}))
    else:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        _say(
            f"an error of the program, not of your data ({what:.300}); run again with --debug and report what it shows."
        )
    return _code(error)


def _code(error: BaseException) -> int:
    """Return the exit code of an error that is no end of its own."""
    kinds = (
        (OutputError, UNWRITTEN),
        (InvalidModelFile, REFUSED),
        ((InvalidArgument, WrongUsage), USAGE),
        (LoyaltyError, REFUSED),
    )
    return next((code for kind, code in kinds if isinstance(error, kind)), INTERNAL)


def _with_help(error: Any) -> str:
    """Return an error of the command line with where to read on."""
    message = one_line(error.format_message()).rstrip(".")
    path = error.ctx.command_path if getattr(error, "ctx", None) is not None else "loyalty"
    return f"{message}; see {path} --help."


def options_of(context: typer.Context) -> dict[str, str]:
    """Return the library's arguments to the options of a command."""
    options = {str(one.name): max(one.opts, key=len) for one in context.command.params if one.opts[0].startswith("-")}
    return options | {name: options[other] for name, other in _RENAMED.items() if other in options}


def in_options(message: str, options: Mapping[str, str]) -> str:
    """Return a message of the library with options where it names arguments.

    Examples:
        >>> in_options('or pass invalid="exclude" to leave them out', {"invalid": "--invalid"})
        'or pass --invalid exclude to leave them out'
        >>> in_options("pass product=<column> to transactions().", {"product": "--product"})
        'pass --product <column>.'
        >>> in_options("mend them or leave cost= out", {"cost": "--cost"})
        'mend them or leave --cost out'
    """
    message = re.sub(r" (?:in|to|with) transactions\(\)", "", message)
    message = message.replace("remove it first", "pass --force")
    for name, option in options.items():
        message = re.sub(rf'(?<![\w.-]){name}="([^"]*)"', rf"{option} \1", message)
        message = re.sub(rf"(?<![\w.-]){name}=(?=[^\s,;:.)])", f"{option} ", message)
        message = re.sub(rf"(?<![\w.-]){name}=(?![=\w])", option, message)
    return message


def one_line(text: str) -> str:
    r"""Return text as one line that moves no cursor and turns no direction, whatever it holds.

    Examples:
        >>> print(one_line("a  b" + chr(10) + chr(9) + "c" + chr(27) + "[31m"))
        a  b c\x1b[31m
    """
    parts = (part.strip() for part in re.split(r"[\r\n]+", text))
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], " ".join(filter(None, parts)))


def visible(text: str) -> str:
    r"""Return lines of text in which nothing moves a cursor or turns a direction, as a terminal may be given them.

    Examples:
        >>> print(visible("a\tb" + chr(10) + chr(27) + "[31m"))
        a\tb
        \x1b[31m
    """
    return "\n".join(_CONTROLS.sub(lambda found: repr(found[0])[1:-1], line) for line in text.split("\n"))


def _say(sentence: str) -> None:
    """Write a line to standard error."""
    _show(f"loyalty: {one_line(sentence)}\n")


def _show(text: str) -> None:
    """Write to standard error; where that is closed too, there is nobody left to tell."""
    try:
        sys.stderr.write(visible(text))
        sys.stderr.flush()
    except (OSError, ValueError):
        return
