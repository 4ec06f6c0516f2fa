"""`loyalty metrics`: every headline number with its interval."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from loyalty.cli.failures import WrongUsage
from loyalty.cli.options import Level, Margin, RetentionPeriod, ScoreColumn, Silence, Source, Surveys, Wallet, margin_of
from loyalty.cli.output import write_json
from loyalty.cli.source import check_tables, opened
from loyalty.cli.terminal import Terminal

if TYPE_CHECKING:
    from loyalty.overview import Overview

__all__ = ["NAMES", "metrics"]

# What --only knows: the names of `loyalty.overview`, in its order.
NAMES = (
    "repurchase_rate",
    "retention_rate",
    "churn_rate",
    "inactivity_churn_rate",
    "net_revenue_retention",
    "gross_revenue_retention",
    "mean_tenure",
    "median_tenure",
    "median_survival_time",
    "purchases",
    "revenue",
    "average_order_value",
    "sales_per_customer",
    "purchase_frequency",
    "mean_time_between_purchases",
    "median_time_between_purchases",
    "discount_rate",
    "historical_value",
    "top_30_percent_revenue_share",
    "customers_bringing_70_percent_of_revenue",
    "gini_of_revenue",
    "top_30_percent_profit_share",
    "customers_bringing_80_percent_of_profit",
    "gini_of_profit",
    "upsell_ratio",
    "share_of_wallet",
    "mean_share_of_wallet",
    "net_promoter_score",
)


def _completed(incomplete: str) -> list[str]:
    return [name for name in NAMES if name.startswith(incomplete)]


def metrics(
    terminal: Terminal,
    source: Source,
    json: Annotated[bool, typer.Option("--json", help="Write JSON: values, intervals, definitions.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this number, as JSON names it; may be given again.",
            autocompletion=_completed,
        ),
    ] = None,
    period: RetentionPeriod = "month",
    inactive_after: Silence = "180d",
    margin: Margin = None,
    surveys: Surveys = None,
    score: ScoreColumn = None,
    wallet: Wallet = None,
    confidence: Level = 0.95,
) -> None:
    """Show every headline number with its interval.

    Repurchase, retention and churn, tenure, spending, concentration; with more columns and files upsell, profit, share
    of wallet and the net promoter score.
    """
    from loyalty import periods
    from loyalty.overview import overview

    periods.duration_days(inactive_after, "inactive_after")
    _check_names(only or [])
    check_tables(surveys, wallet)
    with opened(source, terminal) as tx, terminal.progress() as progress:
        progress.step("computing the numbers")
        found = overview(
            tx,
            surveys,
            wallet,
            score=score,
            period=period,
            inactive_after=inactive_after,
            margin=margin_of(margin),
            confidence=confidence,
        )
    if json:
        write_json(_chosen(found.to_dict(), only))
    else:
        _show(found, only, terminal)


def _check_names(only: list[str]) -> None:
    """Raise where a number is asked for that there is not."""
    for name in only:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise WrongUsage(f"--only {name!r}: there is no such number; there are {', '.join(NAMES)}.{hint}")


def _chosen(result: dict[str, dict[str, object]], only: list[str] | None) -> dict[str, dict[str, object]]:
    """Return the result with only the numbers that were asked for."""
    if not only:
        return result
    chosen = {
        part: {name: result[part][name] for name in only if name in result[part]} for part in ("estimates", "missing")
    }
    return {**result, **chosen}


def _show(found: Overview, only: list[str] | None, terminal: Terminal) -> None:
    """Show the numbers in a table, then what must be known of them and what is missing."""
    from loyalty import wording
    from loyalty.cli.showing import estimate_rows, show

    estimates = {name: one for name, one in found.estimates.items() if not only or name in only}
    missing = {name: why for name, why in found.missing.items() if not only or name in only}
    rows = estimate_rows(estimates.values())
    notes = [f"{row[0]}: {one.note}." for row, one in zip(rows, estimates.values(), strict=True) if one.note]
    notes += [f"Not computed: {name.replace('_', ' ')} ({why})." for name, why in missing.items()]
    level = next((wording.level(one.confidence) for one in found.estimates.values()), "")
    parts: list[object] = []
    if estimates:
        parts.append((("number", "value", f"{level} interval", "n"), rows))
    if notes:
        parts.append("\n" * bool(parts) + terminal.worded("\n".join(notes)))
    show(*parts)
