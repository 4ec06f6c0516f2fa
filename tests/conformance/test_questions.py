"""The suite is whole: every public function is asked about, and the table in the documentation is that of today."""

import inspect
import itertools
import re
from pathlib import Path

import pytest

import loyalty as ly
from conformance import awkward, plan, table
from conformance.questions import QUESTIONS, function_of

ELSEWHERE = {"transactions"}  # takes a table


def takes_transactions(function):
    """Return whether a function's first argument is `Transactions`, by its annotation or its name."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and (first.name == "tx" or "Transactions" in str(first.annotation))


def test_every_public_function_is_asked_about():
    functions = {name for name in ly.__all__ if inspect.isfunction(getattr(ly, name))}
    lacking = {name for name in functions if takes_transactions(getattr(ly, name))} - set(map(function_of, QUESTIONS))
    assert not lacking, f"add questions about {sorted(lacking)} to tests/conformance/questions.py"


def test_questions_are_about_what_there_is():
    assert {function_of(name).partition(".")[0] for name in QUESTIONS} <= {*ly.__all__}


@pytest.mark.parametrize("engine", plan.ENGINES)
def test_every_function_is_asked_about_on_every_engine(engine):
    asked, whole = (
        {name for log in awkward.NAMES for name in plan.asked(engine, log, whole=run)} for run in (False, True)
    )
    assert set(map(function_of, asked)) == set(map(function_of, QUESTIONS))
    assert whole == {*QUESTIONS}
    assert engine == "spark" or asked == whole


def test_the_table_in_the_documentation_is_that_of_today():
    text = (Path(__file__).parents[2] / "docs/engines.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", table.between(text), re.MULTILINE)
    found = {function: dict(zip(plan.ENGINES, map(int, cells.split(" | ")), strict=True)) for function, cells in rows}
    stale = "run the suite again and let table.py write the table: make conformance"
    assert list(found) == table.functions(), stale
    for function, engine in itertools.product(found, plan.ENGINES):
        least, most = (table.planned(engine, function, whole=whole) for whole in (False, True))
        assert least <= found[function][engine] <= most, (stale, function, engine)
