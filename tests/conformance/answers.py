"""Answers in a form that is the same from every engine, and what tells two of them apart."""

import dataclasses
import datetime as dt
import itertools
import math
from collections.abc import Mapping

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa

import loyalty as ly
import sources

TOLERANCE = 1e-9  # relative
ROUNDING = 1e-12  # of the largest number of a column: as near to zero as sums of such numbers come
FITTED_ON_MONEY = 1e-8  # where a likelihood of sums of money is highest: it is flat there, and their last digits differ


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A per-customer frame that promises an order: the highest of a column first."""

    frame: object
    by: str


def canonical(value):  # noqa: PLR0911 (a line per kind)
    """Return an answer as dictionaries, lists, numbers and text.

    Per-customer frames become {"id": its type, "types": column → type, "rows": id as text → row}, so that their order
    does not count, since who is equal may come in any; what promises an order is looked at here. Whatever else has rows
    keeps their order. A frame with an id twice is refused.
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
    if isinstance(value, Ranked):
        return customers(value.frame, value.by)
    if hasattr(value, "to_dict") and hasattr(value, "to_native") and isinstance(getattr(value, "data", None), pa.Table):
        return {"told": canonical(value.to_dict()), "data": table(value.data)}
    if type(value).__module__.startswith("loyalty."):
        return canonical(value.to_dict()) if hasattr(value, "to_dict") else _fields(value)
    return customers(value)


def _fields(value):
    return {item.name: canonical(getattr(value, item.name)) for item in dataclasses.fields(value)}


def customers(frame, highest_first=None):
    """Return a per-customer frame of any kind: the types of its columns, and its rows by id."""
    types = {name: _type(kind) for name, kind in nw.from_native(frame).collect_schema().items()}
    label = next(iter(types))  # the customer column comes first
    lines = sources.as_pandas(frame).to_dict("records")
    if highest_first is not None:
        _refuse_disorder([line[highest_first] for line in lines], highest_first)
    rows = {sources.text(line.pop(label)): canonical(line) for line in lines}
    if len(rows) != len(lines):
        raise AssertionError(f"{len(lines)} rows of {len(rows)} customers")
    return {"id": types.pop(label), "types": types, "rows": rows}


def _refuse_disorder(values, name):
    """Raise where a value is followed by a higher one, by more than rounding: sums of money are compared without."""
    for place, (one, two) in enumerate(itertools.pairwise(values)):
        if one < two and not _same(one, two, TOLERANCE, 0.0):
            raise AssertionError(f"{name}: {two!r} in row {place + 1} is higher than {one!r} before it")


def with_ids(value, kind):
    """Return an answer with the ids of its per-customer frames of another type: what an engine makes of them."""
    if isinstance(value, dict):
        return {key: kind if key == "id" and "rows" in value else with_ids(item, kind) for key, item in value.items()}
    return [with_ids(item, kind) for item in value] if isinstance(value, list) else value


def _type(kind):
    """Return the name of a column's type; pandas has no dates, so days are times there."""
    return "Date" if isinstance(kind, nw.Datetime) else str(kind)


def differences(expected, found, where="", tolerance=TOLERANCE):
    """Yield where two canonical answers differ by more than rounding, and how."""
    for place, one, two, largest in _pairs(expected, found, where):
        if not _same(one, two, tolerance, largest):
            yield f"{place}: {two!r} and not {one!r}"


def farthest(expected, found):
    """Return the largest relative difference of numbers in two canonical answers that do not differ."""
    return max((_apart(one, two, largest) for _, one, two, largest in _pairs(expected, found, "")), default=0.0)


def _pairs(expected, found, where="", largest=0.0, columns=None):
    """Yield what is to be compared: where it stands, what is expected, what was found, the largest of its column.

    Rows of a table have columns (`columns`: the largest of each), and a list or a matrix is one; a number that stands
    for itself has none (0), and is compared relatively however small it is.
    """
    if not (isinstance(expected, (dict, list)) and type(expected) is type(found)):
        yield where, expected, found, largest
        return
    one, two = (value if isinstance(value, dict) else dict(enumerate(value)) for value in (expected, found))
    yield f"{where}: keys", *([*itertools.islice(a.keys() - b.keys(), 3)] for a, b in ((one, two), (two, one))), 0.0
    inner = _columns(one.values()) if where.endswith(".rows") else None
    most = max(largest, _largest(expected)) if isinstance(expected, list) else 0.0
    for key in one.keys() & two.keys():
        size = most if columns is None else columns.get(key, 0.0)
        yield from _pairs(one[key], two[key], f"{where}.{key}", size, inner)


def _columns(rows):
    """Return the largest number of each column, by its name."""
    found = {}
    for row in rows:
        for name, value in row.items() if isinstance(row, dict) else ():
            found[name] = max(found.get(name, 0.0), _largest([value]))
    return found


def _largest(values):
    """Return the largest number of some values, without its sign, and of lists among them; 0 if there is none."""
    lists = (_largest(value) for value in values if isinstance(value, list))
    numbers = (abs(value) for value in values if _is_number(value) and math.isfinite(value))
    return max(itertools.chain(numbers, lists), default=0.0)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(one, two, tolerance, largest):
    """Return whether two values are equal; true is not 1."""
    if not (_is_number(one) and _is_number(two)):
        return isinstance(one, bool) is isinstance(two, bool) and one == two
    if math.isnan(one) or math.isnan(two):
        return math.isnan(one) and math.isnan(two)
    return math.isclose(one, two, rel_tol=tolerance, abs_tol=ROUNDING * largest)


def _apart(one, two, largest):
    """Return how far two numbers are apart relatively; 0 for what is nothing but rounding beside the largest."""
    if not _is_number(one) or not math.isfinite(one) or abs(one - two) <= ROUNDING * largest:
        return 0.0
    return abs(one - two) / max(abs(one), abs(two))
