"""One suite for all engines: every public question, asked of every kind of source, has the answer that pandas gives.

What pandas-in answers is held against naive code here (test_reference.py) and beside each metric. With
LOYALTY_CONFORMANCE=<file> every outcome is written there, a line each, of which table.py makes a table.
"""

import functools
import json
import os
import time
import warnings
from contextlib import contextmanager

import pytest

import loyalty as ly
import sources
from conformance import answers, awkward, plan
from conformance.questions import Case, ask, on_money
from loyalty.errors import LoyaltyWarning

FOR_SMALL_DATA = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
}
IDS = {"csv": "String"}  # engines whose ids are not of the type that they were: a file of text says nothing of it
DEFAULTS = (*awkward.CDNOW, "orders")  # the logs that do without them


@functools.cache
def expected(log):
    """Return the answers of pandas to all questions about a log."""
    made = awkward.log(log)
    with ly.transactions(made.frame, **made.options) as tx:
        case = Case(tx, made, lambda frame, _name: frame)
        return {name: answer(name, case) for name in plan.asked("pandas", log)}


def answer(name, case):
    """Return the answer to a question in canonical form: all have one, so an error fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoyaltyWarning)
        return answers.canonical(ask(name, case))


def wanted(engine, log, name):
    """Return the answer that an engine has to give: that of pandas, but for the type of ids in some."""
    answer = expected(log)[name]
    return answers.with_ids(answer, IDS[engine]) if engine in IDS else answer


@contextmanager
def for_small_data(engine, log):
    """Have Spark not plan anew between stages, nor compile: for some hundred rows that is most of the time.

    CDNOW, and the log with decimals, go through everything that Spark does by default.
    """
    if engine != "spark" or log in DEFAULTS:
        yield
        return
    import spark_cluster

    settings = spark_cluster.session().conf
    before = {name: settings.get(name) for name in FOR_SMALL_DATA}
    try:
        for name, value in FOR_SMALL_DATA.items():
            settings.set(name, value)
        yield
    finally:
        for name, value in before.items():
            settings.set(name, value)


@pytest.mark.parametrize(("engine", "log"), plan.RUNS)
def test_conformance(engine, log, tmp_path):
    made, wrong = awkward.log(log), []

    def native(frame, name="log"):
        return sources.make(engine, frame, tmp_path, name=name)

    with for_small_data(engine, log), ly.transactions(native(made.frame), **made.options) as tx:
        case = Case(tx, made, native)
        for name in plan.asked(engine, log):
            tolerance = answers.FITTED_ON_MONEY if on_money(name) else answers.TOLERANCE
            start = time.perf_counter()
            try:
                found = answer(name, case)
                apart = list(answers.differences(wanted(engine, log, name), found, tolerance=tolerance))[:4]
                far = 0.0 if apart else answers.farthest(wanted(engine, log, name), found)
            except Exception as err:  # noqa: BLE001 (all questions are to be asked, whatever happens)
                apart, far = [f"{type(err).__name__}: {err}"[:600]], 0.0
            record(engine, log, name, not apart, time.perf_counter() - start, far)
            wrong += [f"{name}{one}" for one in apart]
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:60])


def record(engine, log, name, passed, seconds, far):
    """Write an outcome down, where that is asked for."""
    path = os.environ.get("LOYALTY_CONFORMANCE")
    if path:
        line = {
            "engine": engine,
            "log": log,
            "question": name,
            "passed": passed,
            "seconds": round(seconds, 4),
            "far": far,
        }
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 (appended to by several processes)
            file.write(json.dumps(line) + "\n")
