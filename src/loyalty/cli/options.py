"""Options that commands share: the fields of a group become options of every command that takes the group."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_type_hints

import typer

from loyalty.cli.failures import guarded, options_of
from loyalty.cli.terminal import Terminal

__all__ = [
    "MODEL_NAMES",
    "Level",
    "Margin",
    "ModelName",
    "OptionGroup",
    "Period",
    "RetentionPeriod",
    "RowsOutput",
    "ScoreColumn",
    "Silence",
    "Source",
    "Surveys",
    "Terms",
    "Wallet",
    "margin_of",
    "with_options",
]

Period = Literal["day", "week", "month", "quarter", "year"]
ModelName = Literal["auto", "BGNBD", "MBGNBD", "ParetoNBD", "GGomNBD", "NBD"]
MODEL_NAMES = get_args(ModelName)

_COLUMNS, _ROWS, _TERMS, _RUN = "Columns", "Rows", "Terms", "This run"


def a_level(value: float | None) -> float | None:
    """Return a level of confidence, or raise what Typer says: its own bounds would be a third of the help."""
    if value is not None and not 0.0 < value < 1.0:
        raise typer.BadParameter(f"{value:g} is no share between 0 and 1.", param_hint="'--confidence'")
    return value


# Options that several commands have.
Level = Annotated[
    float, typer.Option("--confidence", callback=a_level, metavar="SHARE", help="Level of all intervals.")
]
RetentionPeriod = Annotated[
    Period, typer.Option(metavar="PERIOD", help="Of retention: day, week, month, quarter or year.")
]
Silence = Annotated[str, typer.Option(metavar="SPAN", help="Silence that counts as churn, as 180d or 26w.")]
Margin = Annotated[str | None, typer.Option(metavar="SHARE|COLUMN", help="Share of spend that is earned.")]
Surveys = Annotated[str | None, typer.Option(metavar="FILE", help="Answers from 0 to 10, for the net promoter score.")]
ScoreColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Where the answers are; score by default.")]
Wallet = Annotated[
    str | None, typer.Option(metavar="FILE", help="Category spend by customer, for the share of wallet.")
]


class OptionGroup:
    """Base of the groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(OptionGroup):
    """Where the rows come from, which columns they have, and what happens to which of them."""

    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            show_default=False,
            help="CSV or Parquet files or quoted globs, a DuckDB or SQLite file, or - for standard input.",
        ),
    ]
    table: Annotated[
        str | None, typer.Option(metavar="NAME", help="Table of a database file.", rich_help_panel=_COLUMNS)
    ] = None
    customer: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Customer ids; customer_id where there is one.", rich_help_panel=_COLUMNS),
    ] = None
    date: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Dates or times; date where there is one.", rich_help_panel=_COLUMNS),
    ] = None
    amount: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Money paid; amount where there is one.", rich_help_panel=_COLUMNS),
    ] = None
    order: Annotated[str | None, typer.Option(metavar="COLUMN", help="Order ids.", rich_help_panel=_COLUMNS)] = None
    product: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Product types, for upsell.", rich_help_panel=_COLUMNS)
    ] = None
    discount: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Discounts granted.", rich_help_panel=_COLUMNS)
    ] = None
    cost: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Cost of what was sold.", rich_help_panel=_COLUMNS)
    ] = None
    accept_columns: Annotated[
        bool,
        typer.Option("--accept-columns", "-y", help="Take the columns that are proposed.", rich_help_panel=_COLUMNS),
    ] = False
    observed_from: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="First day that is measured, as 2024-01-31.", rich_help_panel=_ROWS),
    ] = None
    observed_until: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last day that is measured.", rich_help_panel=_ROWS)
    ] = None
    occasion: Annotated[
        Literal["day", "order"],
        typer.Option(help="What makes a purchase: all rows of a day, or of an order.", rich_help_panel=_ROWS),
    ] = "day"
    returns: Annotated[
        Literal["net", "drop", "error"],
        typer.Option(help="Negative amounts: taken off the purchase, left out, or refused.", rich_help_panel=_ROWS),
    ] = "net"
    invalid: Annotated[
        Literal["raise", "exclude"],
        typer.Option(help="Rows that cannot be used: stop, or leave them out.", rich_help_panel=_ROWS),
    ] = "raise"
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Whose midnight ends a day, as Europe/Madrid.", rich_help_panel=_ROWS),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsOutput(OptionGroup):
    """Where a row per customer goes."""

    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write a row per customer: .parquet, .csv, or - for CSV here."
        ),
    ] = None
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that are there.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms(OptionGroup):
    """On what terms customers are valued; what is not given is the library's default, or a saved model's own."""

    horizon: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="How far ahead: 365d (default), 52w, or inf.", rich_help_panel=_TERMS),
    ] = None
    margin: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|COLUMN", help="Share of spend that is earned; 1.0 by default.", rich_help_panel=_TERMS
        ),
    ] = None
    discount_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            min=0.0,
            help="What later money loses in a year; 0.1 by default.",
            rich_help_panel=_TERMS,
        ),
    ] = None
    service_cost: Annotated[
        float | None,
        typer.Option(
            metavar="MONEY", min=0.0, help="Cost of a customer in a year; 0 by default.", rich_help_panel=_TERMS
        ),
    ] = None
    acquisition_cost: Annotated[
        float | None,
        typer.Option(
            metavar="MONEY", min=0.0, help="Cost of winning a customer; 0 by default.", rich_help_panel=_TERMS
        ),
    ] = None
    interval: Annotated[
        Literal["confidence", "predictive"] | None,
        typer.Option(
            metavar="KIND",
            help="confidence (default): of the expectation; predictive: of what will be.",
            rich_help_panel=_TERMS,
        ),
    ] = None
    confidence: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", callback=a_level, help="Level of all intervals; 0.95 by default.",
            rich_help_panel=_TERMS,
        ),
    ] = None  # fmt: skip

    def given(self) -> dict[str, Any]:
        """Return the terms that were given, under the library's names."""
        names = {field.name: getattr(self, field.name) for field in fields(self)}
        names["annual_discount_rate"] = names.pop("discount_rate")
        names["margin"] = margin_of(self.margin)
        return {name: value for name, value in names.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run(OptionGroup):
    """How much is said; every command has these, and so has what stands before the command."""

    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.", rich_help_panel=_RUN)
    ] = False
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program an error was raised.", rich_help_panel=_RUN)
    ] = False


def margin_of(text: str | None) -> float | str | None:
    """Return a margin: a number, or else the name of a column."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command as Typer takes it: groups taken apart into options, and failures turned into exit codes.

    Args:
        command: A function of a `Terminal`, of option groups, and of options of its own, all by keyword.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[OptionGroup]] = {"_run": _Run}
    own: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if isinstance(kind, type) and issubclass(kind, OptionGroup):
            groups[parameter.name] = kind
        elif kind is not Terminal:
            own.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
    run = groups.pop("_run")
    shared = [parameter for group in (*groups.values(), run) for parameter in _parameters(group)]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    @functools.wraps(command)
    def taken(*, context: typer.Context, **given: Any) -> None:
        before = context.obj or {}
        flags = {name: given.pop(name) or before.get(name, False) for name in ("quiet", "debug")}
        terminal = Terminal(**flags, options=options_of(context))
        with guarded(terminal.options, debug=terminal.debug), terminal.warnings_as_notes():
            parts = {
                name: group(**{field.name: given.pop(field.name) for field in fields(group)})  # type: ignore[arg-type]
                for name, group in groups.items()
            }
            command(terminal=terminal, **parts, **given)

    every = [context, *own, *shared]
    taken.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    taken.__annotations__ = {one.name: one.annotation for one in every}
    return taken


def _parameters(group: type[OptionGroup]) -> list[inspect.Parameter]:
    """Return the fields of a group as parameters."""
    hints = get_type_hints(group, include_extras=True)
    signature = inspect.signature(group).parameters
    return [signature[field.name].replace(annotation=hints[field.name]) for field in fields(group)]  # type: ignore[arg-type]
