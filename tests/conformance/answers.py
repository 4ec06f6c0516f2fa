"""Answers in a form that is the same from every engine, and what tells two of them apart."""

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa

import loyalty as ly
import sources

TOLERANCE = 1e-9  # relative; near zero absolute
FITTED_ON_MONEY = 1e-8  # where a likelihood of sums of money is highest: it is flat there, and their last digits differ


def canonical(value):  # noqa: PLR0911 (a line per kind)
    """Return an answer as dictionaries, lists, numbers and text.

    Per-customer frames become {"types": column → type, "rows": id as text → row}, so that their order does not count;
    whatever else has rows keeps their order. A frame with an id twice is refused.
    """
    if isinstance(value, (np.ndarray, list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, (dt.datetime, pd.Timestamp)):
        return value.isoformat().removesuffix("T00:00:00")
    if isinstance(value, dt.date):
        return value.isoformat()
    if value is None or value is pd.NaT or isinstance(value, (str, bool, int)):
        return None if value is pd.NaT else value
    if isinstance(value, (float, np.generic)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, ly.Grouped):
        return {"by": value.by, "groups": [[sources.text(group), canonical(result)] for group, result in value.items()]}
    if isinstance(value, Mapping):
        return {sources.text(key): canonical(item) for key, item in value.items()}
    return _result(value)


def table(data):
    """Return an Arrow table of a result: the types of its columns, and its rows in order."""
    return {"types": {item.name: str(item.type) for item in data.schema}, "rows": canonical(data.to_pylist())}


def _result(value):
    """Return a result of the library, or a per-customer frame."""
    if isinstance(value, ly.Estimate):
        return {item.name: canonical(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if hasattr(value, "to_dict") and hasattr(value, "to_native") and isinstance(getattr(value, "data", None), pa.Table):
        return {"told": canonical(value.to_dict()), "data": table(value.data)}
    if type(value).__module__.startswith("loyalty."):
        return canonical(value.to_dict()) if hasattr(value, "to_dict") else _fields(value)
    return customers(value)


def _fields(value):
    return {item.name: canonical(getattr(value, item.name)) for item in dataclasses.fields(value)}


def customers(frame):
    """Return a per-customer frame of any kind: the types of its columns but the id's, and its rows by id."""
    types = {name: _type(kind) for name, kind in nw.from_native(frame).collect_schema().items()}
    label = next(iter(types))  # the customer column comes first
    lines = sources.as_pandas(frame).to_dict("records")
    rows = {sources.text(line.pop(label)): canonical(line) for line in lines}
    if len(rows) != len(lines):
        raise AssertionError(f"{len(lines)} rows of {len(rows)} customers")
    del types[label]
    return {"types": types, "rows": rows}


def _type(kind):
    """Return the name of a column's type; pandas has no dates, so days are times there."""
    return "Date" if isinstance(kind, nw.Datetime) else str(kind)


def differences(expected, found, where="", tolerance=TOLERANCE):
    """Yield where two canonical answers differ by more than rounding, and how."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            lacks, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
            yield f"{where}: lacks {lacks[:3]}, has {more[:3]}"
        for key in expected.keys() & found.keys():
            yield from differences(expected[key], found[key], f"{where}.{key}", tolerance)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{where}: {len(found)} and not {len(expected)} long"
        for place, (one, two) in enumerate(zip(expected, found, strict=False)):
            yield from differences(one, two, f"{where}[{place}]", tolerance)
    elif _is_number(expected) and _is_number(found):
        if not _close(expected, found, tolerance):
            yield f"{where}: {found!r} and not {expected!r}"
    elif expected != found:
        yield f"{where}: {found!r} and not {expected!r}"


def farthest(expected, found):
    """Return the largest relative difference of numbers in two canonical answers of the same shape."""
    if isinstance(expected, dict):
        return max((farthest(expected[key], found[key]) for key in expected), default=0.0)
    if isinstance(expected, list):
        return max((farthest(one, two) for one, two in zip(expected, found, strict=True)), default=0.0)
    if not _is_number(expected) or expected == found or not math.isfinite(expected):
        return 0.0
    return abs(expected - found) / max(abs(expected), abs(found), 1.0)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _close(one, two, tolerance):
    if isinstance(one, float) and math.isnan(one):
        return isinstance(two, float) and math.isnan(two)
    return math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance)
