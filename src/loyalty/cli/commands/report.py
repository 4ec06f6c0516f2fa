"""`loyalty report`: the page that a manager can read and an analyst can trust."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loyalty.cli.options import (
    Level,
    Margin,
    ModelName,
    RetentionPeriod,
    ScoreColumn,
    Silence,
    Source,
    Surveys,
    Wallet,
    margin_of,
)
from loyalty.cli.output import STANDARD_OUTPUT, check_place, to_standard_output
from loyalty.cli.source import check_tables, opened
from loyalty.cli.terminal import Terminal

if TYPE_CHECKING:
    from loyalty.reporting.report import Report
    from loyalty.transactions import Transactions

__all__ = ["check", "report", "write_page"]


def report(
    terminal: Terminal,
    source: Source,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes; - writes it here.")
    ] = "report.html",
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a file that is there.")] = False,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Title of the page.")] = "",
    language: Annotated[str, typer.Option(metavar="CODE", help="Language of the page: en or es.")] = "en",
    currency: Annotated[str, typer.Option(metavar="CODE", help="Currency of amounts, as EUR.")] = "",
    listed: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Customers going quiet who are listed; 0 lists nobody.")
    ] = 20,
    period: RetentionPeriod = "month",
    inactive_after: Silence = "180d",
    margin: Margin = None,
    horizon: Annotated[str, typer.Option(metavar="SPAN", help="How far ahead value is counted.")] = "365d",
    discount_rate: Annotated[
        float, typer.Option(min=0.0, metavar="RATE", help="What later money loses in a year.")
    ] = 0.10,
    model: Annotated[ModelName, typer.Option(help="Model of purchases.")] = "auto",
    surveys: Surveys = None,
    score: ScoreColumn = None,
    wallet: Wallet = None,
    confidence: Level = 0.95,
) -> None:
    """Write one self-contained page with every number, its interval, and pictures.

    It opens in any browser, needs no network, and prints to paper.
    """
    if output != STANDARD_OUTPUT:
        check_place(output, [*source.source, surveys, wallet], force=force)
    check_tables(surveys, wallet)
    choices = {
        "title": title,
        "language": language,
        "currency": currency,
        "listed": listed,
        "period": period,
        "inactive_after": inactive_after,
        "margin": margin_of(margin),
        "horizon": horizon,
        "annual_discount_rate": discount_rate,
        "model": model,
        "surveys": surveys,
        "score": score,
        "wallet": wallet,
        "confidence": confidence,
    }
    check(choices)
    with opened(source, terminal) as tx:
        write_page(tx, output, terminal, choices, force=force)


def check(choices: dict[str, Any]) -> None:
    """Refuse what is not allowed before anything is read: `loyalty.report` has the rows already when it does.

    Args:
        choices: Arguments of `loyalty.report`.
    """
    from loyalty.reporting import report as page
    from loyalty.reporting.steps import Asked

    asked = {one.name: choices[one.name] for one in fields(Asked) if one.name in choices}
    page.check(Asked(**asked), **{name: value for name, value in choices.items() if name not in asked})


def _refuse_unused(page: Report, choices: dict[str, Any]) -> None:
    """Raise where a file that was named could not be used: the page would say so, but a script would not notice."""
    from loyalty.errors import MissingData

    for option, step in (("surveys", "nps"), ("wallet", "wallet")):
        if choices.get(option) is not None and not page.numbers.has(step):
            raise MissingData(f"--{option} {choices[option]}: {page.numbers.why(step)}")


def write_page(tx: Transactions, output: str, terminal: Terminal, choices: dict[str, Any], *, force: bool) -> None:
    """Compute and draw everything, and write the page.

    Args:
        tx: The transactions.
        output: The file, or "-".
        terminal: Where progress is shown.
        choices: Arguments of `loyalty.report`.
        force: Whether a file that is there may be replaced.

    Raises:
        MissingData: Surveys or a wallet were named that cannot be used.
    """
    from loyalty.reporting.report import report as computed

    with terminal.progress() as progress:
        page = computed(tx, progress=progress, **choices)
        _refuse_unused(page, choices)
        data = page.html(progress=progress).encode()
    if output == STANDARD_OUTPUT:
        with to_standard_output() as out:
            out.buffer.write(data)
        return
    from loyalty import writing

    writing.write(output, data, replace=force)
    terminal.note(f"page written to {output} ({len(data) / 1e6:.1f} MB)")
