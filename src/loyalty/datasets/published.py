"""Published data, read from the files of the lifetimes package: CDNOW and a donations table."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from loyalty.errors import MissingData

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["cdnow", "cdnow_sample", "donations"]


def cdnow() -> pd.DataFrame:
    """Every purchase of the 23 570 customers who first bought at CDNOW in January to March 1997.

    Source: Fader & Hardie (2001), "Forecasting Repeat Sales at CDNOW"; the file that lifetimes ships.

    Returns:
        A frame of 69 659 rows, in the file's order (customer, then date): `customer_id` (int64), `date`
        (datetime64[us], midnights, 1997-01-01 to 1998-06-30), `quantity` (int64, CDs), `amount` (float64, US
        dollars). No nulls; 80 rows have amount zero; a customer can have several rows on one day.

    Raises:
        MissingData: The lifetimes package, or the file inside it, is not installed.

    Examples:
        >>> cdnow().head(1)
           customer_id       date  quantity  amount
        0            1 1997-01-01         1   11.77
    """
    return _read_cdnow("CDNOW_master.txt", ["customer_id", "date", "quantity", "amount"], header_rows=1)


def cdnow_sample() -> pd.DataFrame:
    """The 1/10 sample of CDNOW customers on which most published lifetime models were fitted.

    The file gives each customer two ids. `customer_id` is the second, the place in the sample (1 to 2357), as
    in lifetimes' CDNOW summaries; the first, the id in the full file, is dropped.

    Returns:
        A frame of 6919 rows of 2357 customers; columns, units and order as in `cdnow`.

    Raises:
        MissingData: The lifetimes package, or the file inside it, is not installed.

    Examples:
        >>> int(cdnow_sample()["customer_id"].nunique())
        2357
    """
    columns = ["master_id", "customer_id", "date", "quantity", "amount"]
    return _read_cdnow("CDNOW_sample.txt", columns, header_rows=0).drop(columns="master_id")


def donations() -> pd.DataFrame:
    """Giving of 11 104 donors to a charity at six yearly opportunities, for the BG/BB model.

    Source: Fader, Hardie & Shang (2010), Marketing Science 29(6); the file that lifetimes ships.

    Returns:
        A frame of 22 rows, int64, no nulls, columns as in lifetimes: `frequency` (opportunities used),
        `recency` (the last one used, 0 if none), `periods` (opportunities: 6), `weights` (donors like that).

    Raises:
        MissingData: The lifetimes package, or the file inside it, is not installed.

    Examples:
        >>> int(donations()["weights"].sum())
        11104
    """
    import pandas as pd

    return pd.read_csv(_lifetimes_file("donations.csv"), dtype="int64")


def _lifetimes_file(name: str) -> Path:
    """A data file of lifetimes, which is found and not imported (its loader needs pkg_resources)."""
    spec = find_spec("lifetimes")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, "datasets", name)
        if path.is_file():
            return path
    state = "is installed without it" if spec else "is not installed"
    raise MissingData(f"{name} is a file of the package lifetimes, which {state}: pip install lifetimes")


def _read_cdnow(name: str, columns: list[str], *, header_rows: int) -> pd.DataFrame:
    """A CDNOW file: columns parted by blanks, dates like 19970101."""
    import pandas as pd

    types = dict.fromkeys(columns, "int64") | {"date": "str", "amount": "float64"}
    path = _lifetimes_file(name)
    frame = pd.read_csv(path, sep=r"\s+", header=None, skiprows=header_rows, names=columns, dtype=types)
    frame["date"] = pd.to_datetime(frame["date"], format="%Y%m%d").astype("datetime64[us]")
    return frame
