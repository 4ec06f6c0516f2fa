"""What every result of every metric can do, on a usual log, on one row, and on groups without a base."""

import dataclasses
import inspect
import json
import math

import matplotlib.pyplot as plt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib.axes import Axes

import logs
import loyalty as ly
import sources
from loyalty.errors import InvalidArgument

CALLS = {
    "repurchase_rate": ly.repurchase_rate,
    "repurchase_rate within": lambda tx: ly.repurchase_rate(tx, "30d"),
    "retention": ly.retention,
    "retention by day": lambda tx: ly.retention(tx, "day"),
    "retention_rate": ly.retention_rate,
    "retention_rate resampled": lambda tx: ly.retention_rate(tx, method="bootstrap"),
    "churn_rate": ly.churn_rate,
    "churn_rate by silence": lambda tx: ly.churn_rate(tx, inactive_after="30d"),
    "revenue_retention": ly.revenue_retention,
    "cohorts": ly.cohorts,
    "cohorts since": lambda tx: ly.cohorts(tx, mode="since", value="revenue"),
    "cohorts followed": lambda tx: ly.cohorts(tx, mode="since", follow_up=1),
    "spending": ly.spending,
    "purchase_gaps": ly.purchase_gaps,
    "tenure": lambda tx: ly.tenure(tx, inactive_after="30d"),
    "historical_value": lambda tx: ly.historical_value(tx, 0.3),
    "overview": ly.overview,
}

USUAL = [(customer, f"2024-0{month}-0{1 + customer}", 5.0 * customer) for customer in range(8)
         for month in range(1, 2 + customer // 2)]  # fmt: skip
LOGS = {
    "usual": (USUAL, {"observed_from": "2024-01-01", "observed_until": "2024-06-30"}),
    "one row": ([(1, "2024-01-05", 5.0)], {}),
    "one customer": ([(1, f"2024-0{month}-01", 5.0) for month in (1, 2, 4)], {"observed_until": "2024-05-31"}),
    "nothing but zeros": ([(1, "2024-01-01", 0.0), (2, "2024-01-01", 0.0), (2, "2024-03-31", 0.0)], {}),
    "sent back": ([(1, "2024-01-01", 5.0), (1, "2024-01-09", -9.0), (2, "2024-02-29", 1.0)], {}),
    "history": ([*USUAL, (9, "2024-06-15", 1.0)], {"observed_from": "2024-06-01", "observed_until": "2024-07-31"}),
}
every_log = pytest.mark.parametrize("log", LOGS)


@pytest.fixture(scope="module")
def results():
    """Every result on every log: {log: {name of the call: result}}."""
    found = {}
    for log, (rows, window) in LOGS.items():
        with logs.opened(rows, **window) as tx:
            found[log] = {call: function(tx) for call, function in CALLS.items()}
    return found


@every_log
def test_a_result_says_itself_in_sentences(results, log):
    for call, result in results[log].items():
        text = str(result)
        for line in text.splitlines():
            assert line[0].isupper() or line[0].isdigit(), call
            assert line.endswith("."), call
            assert ".." not in line, call
        for word in ("nan", "None", "inf ", "{", "}", "  "):
            assert word not in text, call


@every_log
def test_a_result_shows_itself_in_a_notebook(results, log):
    for call, result in results[log].items():
        html = result._repr_html_()
        assert html.startswith("<table>"), call
        assert html.count("<table>") == html.count("</table>"), call
        assert ">nan<" not in html, call
        assert ">None<" not in html, call


@every_log
def test_a_result_is_ready_for_json(results, log):
    for call, result in results[log].items():
        text = json.dumps(result.to_dict(), allow_nan=False)
        assert json.loads(text) == result.to_dict(), call


def estimates_in(result):
    """Return every estimate inside a result."""
    if isinstance(result, ly.Estimate):
        return [result]
    if isinstance(result, ly.Overview):
        return list(result.estimates.values())
    fields = [getattr(result, item.name) for item in dataclasses.fields(result)]
    return [part for part in fields if isinstance(part, ly.Estimate)]


@every_log
def test_nothing_is_undefined_in_silence(results, log):
    for call, result in results[log].items():
        for estimate in estimates_in(result):
            assert not math.isnan(estimate.value) or "undefined" in estimate.note, (call, estimate.name)
            assert not math.isnan(estimate.low) or estimate.note, (call, estimate.name)
            assert math.isnan(estimate.low) == math.isnan(estimate.high), (call, estimate.name)
            if not math.isnan(estimate.low):
                assert estimate.low <= estimate.value <= estimate.high, (call, estimate.name)
        table = getattr(result, "data", None)
        if table is not None:
            values = [value for column in table.columns for value in column.to_pylist()]
            assert not any(isinstance(value, float) and math.isnan(value) for value in values) or result.note, call
            assert table.num_rows or result.note, call


@pytest.mark.parametrize("log", ["usual", "one row", "history"])
def test_a_result_draws_itself(results, log):
    for call, result in results[log].items():
        axes = result.plot()
        assert isinstance(axes, Axes), call
        plt.close(axes.figure)


def takes_transactions(name):
    function = getattr(ly, name)
    return inspect.isfunction(function) and next(iter(inspect.signature(function).parameters)) == "tx"


@pytest.mark.parametrize("name", [name for name in ly.__all__ if takes_transactions(name)])
def test_a_table_is_to_be_opened_first(name):
    function = getattr(ly, name)
    more = {"wallet": None} if name == "share_of_wallet" else {}
    for table in (logs.log(USUAL), None):
        with pytest.raises(InvalidArgument, match=rf"{name} takes transactions, not a .*: open the table first"):
            function(table, **more)


def test_a_result_cannot_be_changed(results):
    for call, result in results["usual"].items():
        for item in dataclasses.fields(result):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(result, item.name, None)
        with pytest.raises((AttributeError, TypeError)):
            result.another = call


@pytest.mark.parametrize(("kind", "expected"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame),
                                                ("polars-lazy", pl.DataFrame), ("pyarrow", pa.Table),
                                                ("duckdb", pd.DataFrame), ("parquet", pd.DataFrame)])  # fmt: skip
def test_frames_are_of_the_callers_kind(kind, expected, tmp_path):
    with sources.opened(kind, logs.log(USUAL), tmp_path) as tx:
        for call, function in CALLS.items():
            result = function(tx)
            if hasattr(result, "to_native"):
                assert isinstance(result.to_native(), expected), call
                assert list(sources.as_pandas(result.to_native()).columns)
