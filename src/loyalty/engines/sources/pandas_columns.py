"""pandas columns become Arrow columns: objects are looked at one by one, not sampled, and nothing is guessed."""

from __future__ import annotations

import datetime as dt
import decimal
import numbers
from typing import TYPE_CHECKING, Any

from loyalty.engines.canonical import readable
from loyalty.errors import ColumnError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["to_arrow"]


def to_arrow(series: pd.Series[Any], label: Any) -> Any:
    """Return a pandas column as Arrow.

    Args:
        series: The column.
        label: Its label, for the error.

    Raises:
        ColumnError: It holds objects of mixed or unusual types, or values that do not fit.
    """
    import pyarrow as pa

    try:
        plain = _plain(series)
        array = None if plain is None else pa.Array.from_pandas(plain)
    except (pa.ArrowException, ArithmeticError, TypeError, ValueError) as err:
        raise ColumnError(
            f"column {label!r} (dtype {series.dtype}) cannot be read: {err}. Convert it to numbers, dates or text."
        ) from err
    if array is None:
        raise ColumnError(
            f"column {label!r} holds Python objects of mixed or unusual types ({_kinds(series)}): convert it to one "
            "of numbers, dates or text first."
        )
    return readable(array, label)


def _kinds(series: pd.Series[Any]) -> str:
    """Return the names of the types among the values, the first few of them."""
    names = sorted({kind.__name__ for kind in series.dropna().map(type)})
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def _plain(series: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return a column of numbers, dates or text as pandas and Arrow both know it; None where it is none of these."""
    import pandas as pd

    if isinstance(series.dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    spans = (pd.PeriodDtype, pd.IntervalDtype)
    inner = series.cat.categories.dtype if isinstance(series.dtype, pd.CategoricalDtype) else series.dtype
    if isinstance(inner, spans):
        return series.astype(object).map(str, na_action="ignore")
    return _plain_objects(series) if series.dtype == object else series


def _plain_objects(series: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return an object column as numbers, dates or text where all its values are of that kind, else None."""
    import numpy as np
    import pandas as pd

    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind in {"string", "boolean", "empty", "bytes"}:
        return series
    if kind == "integer":
        return _whole_numbers(series)
    kinds = set(series.dropna().map(type))
    if all(issubclass(one, (dt.date, np.datetime64)) for one in kinds):
        return _dates(series)
    if all(issubclass(one, (numbers.Real, decimal.Decimal)) and not issubclass(one, bool) for one in kinds):
        return series.where(series.notna(), None).astype("float64")
    return None


def _whole_numbers(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return Python integers of any size, none of them rounded."""
    for dtype in ("Int64", "UInt64"):
        try:
            return series.astype(dtype)
        except (OverflowError, TypeError, ValueError):
            continue
    return series.map(decimal.Decimal, na_action="ignore")


def _dates(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return date and datetime objects as datetime64, in microseconds so that any year fits."""
    import pandas as pd

    zoned = {getattr(value, "tzinfo", None) is not None for value in series.dropna()}
    if zoned == {True, False}:
        raise ValueError("some times bear a time zone, others do not")
    if zoned == {True}:
        return pd.to_datetime(series, utc=True)
    return pd.Series(pd.array(series.to_numpy(), dtype="datetime64[us]"), index=series.index)
