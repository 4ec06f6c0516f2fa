"""`loyalty demo`: the page for a log that everybody knows."""

from __future__ import annotations

from typing import Annotated

import typer

from loyalty.cli.commands.report import check, write_page
from loyalty.cli.output import STANDARD_OUTPUT, check_place
from loyalty.cli.terminal import Terminal

__all__ = ["demo"]


def demo(
    terminal: Terminal,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes; - writes it here.")
    ] = "loyalty-demo.html",
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a file that is there.")] = False,
    language: Annotated[str, typer.Option(metavar="CODE", help="Language of the page: en or es.")] = "en",
) -> None:
    """Write the page for CDNOW: what 23,570 customers of a shop for music bought in 1997 and 1998."""
    from loyalty import datasets
    from loyalty.transactions import transactions

    if output != STANDARD_OUTPUT:
        check_place(output, [], force=force)
    choices = {"language": language, "currency": "USD"}
    check(choices)
    with terminal.progress() as progress:
        progress.step("reading the rows")
        tx = transactions(datasets.cdnow())
    with tx:
        terminal.note(str(tx))
        write_page(tx, output, terminal, choices, force=force)
