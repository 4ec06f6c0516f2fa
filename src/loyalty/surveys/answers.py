"""Survey answers in whatever the caller holds become arrays: numbers, weights, groups, a row per respondent.

Of a lazy source only the columns named come over, and equal rows are counted at once.
"""

from __future__ import annotations

import decimal
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from loyalty import checks
from loyalty.errors import ColumnError, InvalidArgument, UnsupportedSource
from loyalty.grouping import MOST_GROUPS

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Answers", "is_table", "read"]

_KINDS = {"polars": "polars", "pyarrow": "pyarrow"}
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_NO_VALUE = {"NoneType", "NAType", "NaTType"}
_WAY_OUT = {
    "text": "text: convert it to numbers first, for example with pandas.to_numeric(...)",
    "true or false": "true or false: give the answers themselves, as numbers",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """The rows of a survey as arrays of one length m.

    Attributes:
        scores: The answers, integers or floats, shape (m,); NaN means that none was given, and infinite that
            the text of a CSV file is no number.
        name: What messages call the scores.
        weights: Weight of each row as floats, shape (m,), NaN where missing; None where all count once.
        groups: Place of each row's group in `labels`, shape (m,); None where no groups were asked for.
        labels: The groups in order, None (the nulls) last.
        by: Name of the grouping.
        times: How many respondents each row stands for, shape (m,); None means one.
        texts: The scores as they were written (Arrow), where they came as text.
        kind: The kind of frame for tables of results: "pandas", "polars" or "pyarrow".
    """

    scores: NDArray[Any]
    name: str
    weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None
    labels: Sequence[Any] = ()
    by: str = "group"
    times: NDArray[np.int64] | None = None
    texts: Any = None
    kind: str = "pandas"


def read(scores: Any, score: Any = None, *, by: Any = None, weights: Any = None) -> Answers:
    """Return a survey's answers as arrays.

    Args:
        scores: A list, tuple, NumPy array, pandas or Polars Series or Arrow array of answers; or, with
            `score`, a table: whatever `loyalty.transactions` takes.
        score: The table's column of answers.
        by: The table's column of groups; beside an array of answers, an array as long.
        weights: The table's column of weights, or an array as long as the answers.

    Raises:
        ColumnError: There is no such column, or it holds no numbers.
        InvalidArgument: An array is not as long as the answers, or a column is named where there is no table.
        UnsupportedSource: The answers are of no kind that can be read.
    """
    scores = nw.to_native(scores, pass_through=True)
    if score is None:
        return _from_arrays(scores, by, weights)
    if not is_table(scores) and _is_column(scores):
        raise InvalidArgument(
            f"score={score!r} names a column of a table, but scores is a {_type_name(scores)}: leave score "
            "out, or give the table."
        )
    return _from_table(scores, score, by, weights)


def _from_arrays(scores: Any, by: Any, weights: Any) -> Answers:
    """Return the answers of arrays side by side."""
    if is_table(scores):
        raise InvalidArgument(f"scores is a table ({_type_name(scores)}): name its column of answers with score=….")
    numbers, _ = _numbers(scores, "scores")
    given = None
    if weights is not None:
        given = _weights(_beside(weights, scores, len(numbers), "weights"), "weights")
    groups, labels = (None, ()) if by is None else _groups(_beside(by, scores, len(numbers), "by"), "by")
    return Answers(
        scores=numbers,
        name="scores",
        weights=given,
        groups=groups,
        labels=labels,
        by=_name(by),
        kind=_KINDS.get(type(scores).__module__.partition(".")[0], "pandas"),
    )


def _from_table(data: Any, score: Any, by: Any, weights: Any) -> Answers:
    """Return the answers in a table's columns."""
    from loyalty.engines import open_source

    source = open_source(data)
    roles = {"score": score, "by": by, "weights": weights}
    labels = source.labels
    arrays = {role: given for role, given in roles.items() if role != "score" and _is_array(given, labels)}
    named = {role: given for role, given in roles.items() if given is not None and role not in arrays}
    for role, label in named.items():
        checks.column(role, label, labels)
    if arrays and not source.snapshot:
        raise InvalidArgument(
            f"{'= and '.join(arrays)}= is an array, but the rows of a {_type_name(data)} have no lasting "
            "order: name a column of the table instead."
        )
    table, times = _columns(source, list(named.values()))
    columns = dict(zip(named, table.columns, strict=False))
    columns |= {role: _beside(given, data, table.num_rows, role) for role, given in arrays.items()}
    text = bool(getattr(source, "text", False))
    numbers, texts = _numbers(columns["score"], f"score={score!r}", text=text)
    groups, found = _groups(columns["by"], f"by={by!r}") if "by" in columns else (None, ())
    return Answers(
        scores=numbers,
        name=str(score),
        weights=_weights(columns["weights"], f"weights={weights!r}", text=text) if "weights" in columns else None,
        groups=groups,
        labels=found,
        by=str(by) if "by" in named else _name(by),
        times=times,
        texts=texts,
        kind=source.kind,
    )


def _columns(source: Any, labels: list[Any]) -> tuple[pa.Table, NDArray[np.int64] | None]:
    """Return columns c0, c1, … as Arrow; of a lazy source its distinct rows, and how often each occurs."""
    table = source.arrow(labels)
    if source.snapshot:
        return table, None
    counted = table.group_by(table.column_names).aggregate([([], "count_all")])
    return counted.select(table.column_names), counted.column("count_all").to_numpy()


def _numbers(values: Any, role: str, *, text: bool = False) -> tuple[NDArray[Any], Any]:
    """Return values as integers or floats (NaN: none), and the values as written where they may be text."""
    values = nw.to_native(values, pass_through=True)
    if isinstance(values, (list, tuple, range)):
        return _from_objects(list(values), role), None
    column = None if _is_pandas(values) else _arrow(values)
    if column is not None:
        return _from_arrow(column, role, text=text)
    array = _from_numpy(values)
    if array.ndim != 1:
        if isinstance(values, np.ndarray):
            raise ColumnError(f"{role} has the shape {array.shape}: give one value per respondent, of shape (n,).")
        raise UnsupportedSource(
            f"{role} is a {_type_name(values)}: give a list, NumPy array, pandas or Polars Series or Arrow "
            "array, or a table and the name of its column."
        )
    if array.dtype.kind in "iuf":
        return array, None
    if array.dtype.kind == "O":
        return _from_objects(array.tolist(), role), None
    what = {"b": "true or false", "U": "text", "S": "text"}.get(array.dtype.kind, f"values of type {array.dtype}")
    raise _not_numbers(role, what)


def _from_numpy(values: Any) -> NDArray[Any]:
    """Return a NumPy array, or anything that turns into one, with NaN for masked and missing numbers."""
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "iuf":
        return np.ma.filled(values.astype(np.float64), np.nan)
    if isinstance(values, np.ndarray):
        return values
    dtype = getattr(values, "dtype", None)
    nullable = not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "O") in "iuf"
    if nullable and not hasattr(dtype, "fill_value") and hasattr(values, "to_numpy"):  # Sparse has a fill value
        array: NDArray[Any] = values.to_numpy(dtype="float64", na_value=np.nan)
        return array
    return np.asarray(values)


def _from_objects(values: list[Any], role: str) -> NDArray[np.float64]:
    """Return Python objects as floats; every kind among them is looked at, for True is no 1, "9" no 9."""
    for kind in set(map(type, values)):
        if issubclass(kind, (bool, np.bool_)):
            raise _not_numbers(role, "true or false")
        if issubclass(kind, (str, bytes)):
            raise _not_numbers(role, "text")
        if not issubclass(kind, (Real, decimal.Decimal)) and kind.__name__ not in _NO_VALUE:
            raise _not_numbers(role, f"objects of type {kind.__name__}")
    try:
        return np.array(values, np.float64)
    except (TypeError, OverflowError):
        return np.array([_from_object(value) for value in values], np.float64)


def _from_object(value: Any) -> float:
    """Return a number as a float, infinite where it is too large for one; NaN for pandas' NA."""
    if type(value).__name__ in _NO_VALUE:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _from_arrow(column: Any, role: str, *, text: bool) -> tuple[NDArray[Any], Any]:
    """Return an Arrow column as floats, and the column as written where it is text and may be."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if _is_text(kind):
        if not text:
            raise _not_numbers(role, "text")
        return _from_text(column), column
    if pa.types.is_boolean(kind):
        raise _not_numbers(role, "true or false")
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            or pa.types.is_null(kind)):  # fmt: skip
        raise _not_numbers(role, f"values of type {kind}")
    return column.cast(pa.float64(), safe=False).fill_null(math.nan).to_numpy(), None


def _from_text(column: Any) -> NDArray[np.float64]:
    """Return text as floats: blank is none, and what is no number is infinite."""
    codes, texts = _encoded(column)
    numbers = [_from_word((word or "").strip()) for word in texts]
    return np.array(numbers, np.float64)[codes]


def _from_word(word: str) -> float:
    if not word:
        return math.nan
    return float(word) if _NUMBER.fullmatch(word) else math.inf


def _weights(values: Any, role: str, *, text: bool = False) -> NDArray[np.float64]:
    """Return weights as floats, NaN where one is missing."""
    return _numbers(values, role, text=text)[0].astype(np.float64, copy=False)


def _groups(values: Any, role: str) -> tuple[NDArray[np.int64], list[Any]]:
    """Return the place of each value among the distinct ones, and those in order; NaN is None, and last."""
    codes, found = _encoded(_group_column(nw.to_native(values, pass_through=True), role))
    labels = [None if label != label else label for label in found]  # NaN is not equal to itself  # noqa: PLR0124
    try:
        distinct = set(labels)
    except TypeError:
        raise ColumnError(f"{role} holds nested values: group by a column of plain values.") from None
    if len(distinct) > MOST_GROUPS:
        raise InvalidArgument(
            f"{role} makes {len(distinct):,} groups, more than the {MOST_GROUPS:,} that a table can show: "
            "choose a column with fewer values."
        )
    ordered = sorted(distinct, key=lambda label: (label is None, 0 if label is None else label))
    places = {label: place for place, label in enumerate(ordered)}
    return np.array([places[label] for label in labels], np.int64)[codes], ordered


def _group_column(values: Any, role: str) -> Any:
    """Return group values as one Arrow column."""
    import pyarrow as pa

    column = None if _is_pandas(values) else _arrow(values)
    if column is None:
        try:
            column = pa.array(values, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as err:
            raise ColumnError(f"{role} holds values that do not go together: {err}. Turn them into text.") from err
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _encoded(column: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """Return the place of each value of an Arrow column among the distinct ones, null included, and those."""
    import pyarrow as pa

    if not len(column):
        return np.zeros(0, np.int64), []
    try:
        coded = column.dictionary_encode(null_encoding="encode")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as err:
        raise ColumnError(f"values of type {column.type} make no groups: group by a column of plain values.") from err
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def _beside(values: Any, scores: Any, length: int, role: str) -> Any:
    """Return an array that lies beside the scores, after checking that its rows are theirs."""
    values = nw.to_native(values, pass_through=True)
    if not _is_array(values):
        raise InvalidArgument(
            f"{role}={values!r} is no array, and scores is no table whose column it could name: give an "
            "array with a value for each score, or a table with score=…."
        )
    if len(values) != length:
        raise InvalidArgument(f"{role} has {len(values):,} values for {length:,} scores: give one for each score.")
    if _is_pandas(values) and _is_pandas(scores) and not values.index.equals(scores.index):
        raise InvalidArgument(
            f"{role} and scores bear different indexes, so their rows may not belong together: align them "
            f"first, or pass {role}.to_numpy() to go by position."
        )
    return values


def _name(values: Any) -> str:
    """Return the name of a Series, "group" for what has none."""
    name = getattr(values, "name", None)
    return "group" if name is None or name == "" else str(name)


def _arrow(values: Any) -> Any:
    """Return Polars and Arrow columns as Arrow, None for anything else."""
    if nw.dependencies.is_polars_series(values):
        return values.to_arrow()
    if hasattr(values, "dictionary_encode"):
        return values
    if hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__"):
        import pyarrow as pa

        return pa.array(values) if hasattr(values, "__arrow_c_array__") else pa.chunked_array(values)
    return None


def _is_text(kind: Any) -> bool:
    """Return whether an Arrow type is text or bytes."""
    import pyarrow as pa

    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests) or str(kind) in {"string_view", "binary_view"}


def _is_pandas(values: Any) -> bool:
    return bool(nw.dependencies.is_pandas_dataframe(values) or nw.dependencies.is_pandas_series(values))


def is_table(values: Any) -> bool:
    """Return whether answers come as a table or a path rather than as scores."""
    if isinstance(values, (str, os.PathLike)) or nw.dependencies.is_pandas_dataframe(values):
        return True  # Narwhals refuses pandas frames that bear a name twice, even one that nobody asks for
    return isinstance(nw.from_native(values, pass_through=True), (nw.DataFrame, nw.LazyFrame))


def _is_column(values: Any) -> bool:
    return isinstance(values, np.ndarray) or isinstance(
        nw.from_native(values, pass_through=True, allow_series=True), nw.Series
    )


def _is_array(values: Any, labels: Sequence[Any] = ()) -> bool:
    """Return whether values come one per row, rather than being one of a table's labels (a tuple may be)."""
    if isinstance(values, tuple):
        return values not in labels
    speaks = ("__array__", "__arrow_c_array__", "__arrow_c_stream__")
    known = isinstance(values, (list, range, np.ndarray)) or any(hasattr(values, name) for name in speaks)
    return known and hasattr(values, "__len__") and not isinstance(values, np.generic)


def _not_numbers(role: str, what: str) -> ColumnError:
    return ColumnError(f"{role} holds {_WAY_OUT.get(what, what + ': give numbers')}.")


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
