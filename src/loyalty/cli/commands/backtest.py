"""`loyalty backtest`: models fitted on the first part of the rows, held against the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from loyalty.cli.failures import WrongUsage
from loyalty.cli.options import MODEL_NAMES, RowsOutput, Source, a_level
from loyalty.cli.output import STANDARD_OUTPUT, rows_place, write_json, write_rows
from loyalty.cli.source import opened
from loyalty.cli.terminal import Terminal

if TYPE_CHECKING:
    from loyalty.clv.backtesting.backtest import Backtest

__all__ = ["backtest"]

_MODELS = ("BGNBD", "MBGNBD", "ParetoNBD")


def _completed(incomplete: str) -> list[str]:
    return [name for name in MODEL_NAMES if name.startswith(incomplete)]


def backtest(
    terminal: Terminal,
    source: Source,
    output: RowsOutput,
    split: Annotated[
        str, typer.Option(metavar="DAY", help="Last day that the models see, as 2024-06-30.", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="Write everything as JSON.")] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Model to test, of {', '.join(MODEL_NAMES)}; may be given again.",
            show_default=", ".join(_MODELS),
            autocompletion=_completed,
        ),
    ] = None,
    margin: Annotated[float, typer.Option(min=0.0, metavar="SHARE", help="Share of spend that is earned.")] = 1.0,
    unit: Annotated[
        Literal["day", "week", "month", "year"],
        typer.Option(metavar="UNIT", help="Of the models' times: day, week, month or year."),
    ] = "week",
    acquired_from: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only customers who first bought on this day or later.")
    ] = None,
    acquired_until: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only customers who first bought by this day.")
    ] = None,
    confidence: Annotated[
        float, typer.Option(callback=a_level, metavar="SHARE", help="Level of the predictive intervals.")
    ] = 0.9,
) -> None:
    """Fit models on the rows until a day, and see how well they foretell the rest.

    They are held against rules of thumb. -o writes a row per customer with what was expected and what happened.
    """
    from loyalty import periods
    from loyalty.clv.backtesting.backtest import backtest as tested

    for name in model or ():
        if name not in MODEL_NAMES:
            raise WrongUsage(f"--model {name!r} is not known: allowed are {', '.join(MODEL_NAMES)}.")
    place = rows_place(output, source.source, json=json)
    for name, day in {"split": split, "acquired_from": acquired_from, "acquired_until": acquired_until}.items():
        if day is not None:
            periods.day_number(day, name)
    with opened(source, terminal) as tx:
        with terminal.progress() as progress:
            progress.step("fitting and testing the models")
            result = tested(
                tx,
                split,
                list(dict.fromkeys(model or _MODELS)),
                margin=margin,
                unit=unit,
                acquired_from=acquired_from,
                acquired_until=acquired_until,
                confidence=confidence,
            )
        if place is not None:
            terminal.note(place.told(write_rows(place, result.customers)))
    if place is not None and place.path == STANDARD_OUTPUT:
        return
    if json:
        write_json(result.to_dict())
    else:
        _show(result, terminal)


def _show(result: Backtest, terminal: Terminal) -> None:
    """Show the verdict, the scores of each target, and the notes."""
    from loyalty import wording
    from loyalty.cli.showing import show

    parts: list[Any] = [result.sentence]
    for target in dict.fromkeys(result.scores["target"]):
        rows = [row for row in result.scores if row["target"] == target]
        level = wording.level(result.confidence)
        title = f"\n{str(target).capitalize()}, in fact {wording.plain(round(rows[0]['actual']))}"
        header = ("forecast", "predicted", f"{level} interval", "bias", "RMSE", "rank corr.", "top tenth", "coverage")
        parts += [title, (header, [_row(row) for row in rows])]
    if result.notes:
        parts.append("\n" + "\n".join(f"Note: {terminal.worded(note)}" for note in result.notes))
    show(*parts)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the scores of a forecast as text."""
    from loyalty import wording

    def number(name: str, form: str) -> str:
        return "" if wording.missing(row[name]) else format(row[name], form)

    low, high = number("predicted_low", ",.0f"), number("predicted_high", ",.0f")
    return (
        row["name"].replace("_", " ") if row["kind"] == "baseline" else row["name"],
        number("predicted", ",.0f"),
        f"{low}–{high}" if low else "",
        f"{100 * row['bias']:+.1f} %",
        number("rmse", ",.2f"),
        number("rank_correlation", ".2f"),
        wording.quantity(row["top_decile"], "share"),
        "" if wording.missing(row["coverage"]) else wording.quantity(row["coverage"], "share"),
    )
