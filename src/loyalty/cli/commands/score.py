"""`loyalty score`: what every customer is expected to bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loyalty.cli.failures import WrongUsage
from loyalty.cli.options import MODEL_NAMES, RowsOutput, Source, Terms
from loyalty.cli.output import STANDARD_OUTPUT, check_apart, check_place, rows_place, write_json, write_rows
from loyalty.cli.source import opened
from loyalty.cli.terminal import Terminal

if TYPE_CHECKING:
    from loyalty.clv.valuation.customer_value import CustomerValue
    from loyalty.transactions import Transactions

__all__ = ["score"]


def _completed(incomplete: str) -> list[str]:
    return [name for name in MODEL_NAMES if name.startswith(incomplete)]


def score(
    terminal: Terminal,
    source: Source,
    output: RowsOutput,
    terms: Terms,
    json: Annotated[bool, typer.Option("--json", help="Write the summary as JSON.")] = False,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help=f"Model to fit ({', '.join(MODEL_NAMES)}), or file of one that was saved.",
            autocompletion=_completed,
        ),
    ] = "auto",
    save_model: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the model as JSON, to score with again.")
    ] = None,
    acquired_from: Annotated[
        str | None, typer.Option(metavar="DAY", help="Fit on customers who first bought on this day or later.")
    ] = None,
    acquired_until: Annotated[
        str | None, typer.Option(metavar="DAY", help="Fit on customers who first bought by this day.")
    ] = None,
) -> None:
    """Say what every customer is expected to bring, and all together.

    The summary is shown; -o writes a row per customer, the most valuable first: frequency, recency, age,
    monetary_value, p_alive, expected_purchases, expected_spend, clv, clv_low, clv_high, value_at_risk.
    """
    read = [*source.source, None if model in MODEL_NAMES else model]
    place = rows_place(output, read, json=json)
    if save_model is not None:
        check_place(save_model, read, force=output.force)
        check_apart(output.output, save_model)
    fitting = {"acquired_from": acquired_from, "acquired_until": acquired_until}
    _check(terms, fitting)
    saved = None if model in MODEL_NAMES else _loaded(model, fitting)
    with opened(source, terminal) as tx:
        with terminal.progress() as progress:
            progress.step("fitting the models" if saved is None else "scoring customers")
            value = _valued(tx, model if saved is None else saved, terms, fitting)
        if save_model is not None:
            _save(value, save_model, output, terminal)
        if place is not None:
            with terminal.progress() as progress:
                progress.step("writing customers")
                count = write_rows(place, value.customers)
            terminal.note(place.told(count))
    if place is None or place.path != STANDARD_OUTPUT:
        _show(value, terminal, json=json)


def _check(terms: Terms, fitting: dict[str, str | None]) -> None:
    """Refuse what is not allowed before anything is read."""
    from loyalty import periods
    from loyalty.clv.valuation.terms import Terms as Allowed

    Allowed(**terms.given())
    for name, day in fitting.items():
        if day is not None:
            periods.day_number(day, name)


def _loaded(path: str, fitting: dict[str, str | None]) -> Any:
    """Return a saved model.

    Raises:
        WrongUsage: There is no such file, or it is to be fitted on something.
        InvalidModelFile: It holds no model that values customers.
    """
    import loyalty
    from loyalty.clv.models.lifetime import LifetimeFit
    from loyalty.clv.valuation.value import CLVModel
    from loyalty.errors import InvalidModelFile

    if not Path(path).exists():
        raise WrongUsage(f"--model {path!r} is neither a file nor one of {', '.join(MODEL_NAMES)}.")
    if any(fitting.values()):
        raise WrongUsage(
            "--acquired-from and --acquired-until say what a model is fitted on, and a saved one is fitted."
        )
    model = loyalty.load(path)
    if not isinstance(model, (CLVModel, LifetimeFit)):
        raise InvalidModelFile(
            f"{path!r} holds {type(model).__name__}, which says nothing of value: give a model that score saved."
        )
    return model


def _valued(tx: Transactions, model: Any, terms: Terms, fitting: dict[str, Any]) -> CustomerValue:
    """Return the value of customers, by a model that is fitted now or was before."""
    from loyalty.clv.valuation.value import CLVModel, clv

    if isinstance(model, CLVModel):
        return model.score(tx, **terms.given())
    return clv(tx, model=model, **terms.given(), **fitting)


def _save(value: CustomerValue, path: str, output: RowsOutput, terminal: Terminal) -> None:
    """Write the model of a value."""
    from loyalty.cli import output as writer

    writer.save_model(value.model, path, force=output.force)
    terminal.note(f"model written to {path}")


def _show(value: CustomerValue, terminal: Terminal, *, json: bool) -> None:
    """Show the summary."""
    from loyalty import wording
    from loyalty.cli.showing import estimate_rows, show

    if json:
        write_json(value.to_dict())
        return
    header = ("number", "value", f"{wording.level(value.terms.confidence)} interval", "n")
    models = f"\nPurchases: {value.model.purchases.model}; spend: {value.model.spend.model}. Terms: {value.terms}."
    notes = [f"Note: {terminal.worded(note)}" for note in value.notes]
    show((header, estimate_rows(value.estimates().values())), "\n".join([models, *notes]))
