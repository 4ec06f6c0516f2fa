"""Customer ids that no engine can hold become codes on the way in and themselves again on the way out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from loyalty.errors import ColumnError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Ids", "needs_codes"]


def needs_codes(series: pd.Series[Any]) -> bool:
    """Return whether a pandas column of ids must be coded: whatever is not plain numbers, text or points in time."""
    import pandas as pd

    dtype: Any = series.dtype
    dtype = dtype.subtype if isinstance(dtype, pd.SparseDtype) else dtype
    if dtype.name == "object":
        return pd.api.types.infer_dtype(series, skipna=True) not in {"string", "empty"}
    if isinstance(dtype, pd.ArrowDtype):
        return not _comes_back(dtype.pyarrow_dtype)
    plain = dtype.kind in "biufM" and not isinstance(dtype, pd.CategoricalDtype)
    return not plain and not isinstance(dtype, (pd.DatetimeTZDtype, pd.StringDtype))


def _comes_back(kind: pa.DataType) -> bool:
    """Return whether ids of an Arrow type leave the engine as they entered it."""
    import pyarrow as pa

    if pa.types.is_duration(kind) or pa.types.is_decimal256(kind):
        return False
    tests = ("boolean", "integer", "floating", "decimal", "string", "large_string", "temporal")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


class Ids:
    """A growing list of distinct ids; a code is a place in it. Equal by Python's `==` means the same customer.

    So 1 and "1" are two customers, 1 and 1.0 one. Nulls and blank text have no code.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uniques: pd.Index[Any] | None = None
        self._dtype: Any = None  # of the first column, where that is categorical: its codes are used as they are

    def encode(self, series: pd.Series[Any]) -> pa.Array:
        """Return the codes of a column's ids (null for nulls), adding ids not met before."""
        import pandas as pd

        with self._lock:
            if isinstance(series.dtype, pd.CategoricalDtype):
                if self._uniques is None:
                    self._dtype, self._uniques = series.dtype, series.cat.categories
                # Equal dtypes may list their categories in another order.
                if self._dtype is not None and series.cat.categories.equals(self._dtype.categories):
                    return _coded(series.cat.codes.to_numpy("int64"), self._dtype.categories)
            try:
                places, fresh = pd.factorize(series.astype(object).to_numpy(), use_na_sentinel=True)
            except TypeError as err:
                raise ColumnError(
                    f"the ids of {series.name!r} cannot be compared: {err}. Turn them into text."
                ) from err
            fresh = pd.Index(fresh, dtype=object, tupleize_cols=False)
            return _coded(places, fresh, self._places(fresh))

    def _places(self, fresh: pd.Index[Any]) -> Any:
        """Return the code of each distinct id, lengthening the list for those not met before."""
        import numpy as np

        if self._uniques is None:
            self._uniques = fresh
            return np.arange(len(fresh))
        known = self._uniques.astype(object)
        places = known.get_indexer(fresh)
        new = places < 0
        places[new] = len(known) + np.arange(new.sum())
        if new.any():
            self._uniques = known.append(fresh[new])
        return places

    def decode(self, codes: pa.ChunkedArray) -> Any:
        """Return the ids of codes as a pandas column: objects, or categories if the first column had them."""
        import numpy as np
        import pandas as pd

        places = codes.fill_null(-1).to_numpy().astype(np.int64)
        if self._dtype is not None and (places < len(self._dtype.categories)).all():
            return pd.Categorical.from_codes(places, dtype=self._dtype)
        assert self._uniques is not None  # noqa: S101 (for the type checker: codes exist only after `encode`)
        ids = pd.Series(self._uniques.take(places).to_numpy(), dtype=object)  # or pandas 2 would turn some into dates
        return ids.where(places >= 0, None)


def _coded(places: Any, ids: pd.Index[Any], codes: Any = None) -> pa.Array:
    """Return codes of ids given by their places (-1: none), null for blank text; by default a place is its code."""
    import numpy as np
    import pyarrow as pa

    if not len(ids):
        return pa.nulls(len(places), pa.int64())
    found = places if codes is None else codes[places]
    none = places < 0
    blank = [isinstance(one, str) and not one.strip() for one in ids.to_numpy(dtype=object)]
    if any(blank):
        none |= np.array(blank)[places]
    return pa.array(found, mask=none)
