"""Customers by frequency and recency: how many there are, whether they are alive, what they are expected to buy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty import wording
from loyalty.plots import heat, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["alive_matrix", "customer_matrix", "purchase_matrix"]

_SIZE = (7.4, 5.2)  # inches
_WRITTEN = 12  # columns up to which values are written into the cells
_DECIMALS = 5  # with more, values are written with a power of ten


def purchase_matrix(result: Any, ax: Axes | None = None) -> Axes:
    """Draw expected purchases as shades by frequency (across) and recency (upwards).

    Args:
        result: A table with `frequency`, `recency` and `value` on even steps, as `LifetimeFit.purchase_matrix` gives;
            its `units` name those of recency. Combinations that it lacks are hatched.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes; a colour bar is added beside them.

    Examples:
        >>> import types, pyarrow as pa
        >>> data = pa.table({"frequency": [0, 1, 1], "recency": [0.0, 1.0, 2.0], "value": [0.1, 0.3, 0.6]})
        >>> table = types.SimpleNamespace(name="expected purchases", definition="", note="", data=data,
        ...                               units={"recency": "weeks"})
        >>> purchase_matrix(table).get_ylabel()
        'recency: weeks from the first to the last purchase'
    """
    ax = paper.axes(ax, *_SIZE)
    image, values = _matrix(ax, result, 0.0)
    _write(ax, image, values, _by_top(values))
    paper.number_ticks(heat.colour_bar(ax, image, "purchases expected"), whole=False)
    return ax


def alive_matrix(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the probability of being alive as shades by frequency (across) and recency (upwards).

    Args:
        result: A table with `frequency`, `recency` and `value` on even steps, as `LifetimeFit.alive_matrix` gives; its
            `units` name those of recency. Combinations that it lacks are hatched.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes; a colour bar is added beside them.
    """
    ax = paper.axes(ax, *_SIZE)
    image, values = _matrix(ax, result, 1.0)
    _write(ax, image, values, lambda value: f"{value * 100:.0f}")
    paper.share_ticks(heat.colour_bar(ax, image, "probability of being alive"))
    return ax


def _matrix(ax: Axes, result: Any, top: float) -> tuple[AxesImage, Floats]:
    """Draw the values of a table by frequency and recency, up to `top` (0: up to the highest)."""
    frequency, recency, value = (paper.column(result.data, name) for name in ("frequency", "recency", "value"))
    (columns, column), (rows, row) = (np.unique(part, return_inverse=True) for part in (frequency, recency))
    values = np.full((len(rows), len(columns)), np.nan)
    values[len(rows) - 1 - row, column] = value
    across, up = (_half(places) for places in (columns, rows))
    sides = (columns[0] - across, columns[-1] + across, rows[0] - up, rows[-1] + up)
    image = heat.shades(ax, values, sides, top=top or float(value.max()) or 1.0)
    paper.number_ticks(ax.xaxis)
    paper.number_ticks(ax.yaxis, whole=bool((rows == np.rint(rows)).all()))
    ax.set(xlabel="frequency: repeat purchases", ylabel=_recency(result.units["recency"]))
    key = "Hatched: cannot be." if np.isnan(values).any() else ""
    paper.titles(ax, paper.headline(result), paper.told(result), key)
    return image, values


def _by_top(values: Floats) -> Callable[[float], str]:
    """Return how values are written: with the decimals that the highest one needs for two digits, one at least."""
    top = float(np.nanmax(values))
    decimals = max(1, 1 - math.floor(math.log10(top))) if top > 0.0 else 0
    if decimals > _DECIMALS:
        return lambda value: f"{value:.0e}" if value else "0"
    return lambda value: f"{value:.{decimals}f}" if value < 9.95 else f"{value:.0f}"


def _half(places: Floats) -> float:
    """Return half of the step between places."""
    return float(places[-1] - places[-2]) / 2.0 if len(places) > 1 else 0.5


def _recency(unit: str) -> str:
    """Return what the axis of recency shows."""
    return f"recency: {unit} from the first to the last purchase"


def _write(ax: Axes, image: AxesImage, values: Floats, text: Any) -> None:
    """Write values into the cells, where these are few."""
    if values.shape[1] <= _WRITTEN:
        texts = [text(value) if np.isfinite(value) else "" for value in values.flat]
        heat.write(ax, image, np.array(texts, dtype=object).reshape(values.shape))


def customer_matrix(result: Any, ax: Axes | None = None) -> Axes:
    """Draw the number of customers as shades by frequency (across) and recency (upwards), on a logarithmic scale.

    Args:
        result: A table with `frequency_from`, `frequency_to`, `recency_from`, `recency_to` and `customers` on even
            steps, as `CustomerSummary.by_history` gives; its `units` name those of recency. Classes that it lacks stay
            empty.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The Axes; a colour bar is added beside them.
    """
    ax = paper.axes(ax, *_SIZE)
    if not result.data.num_rows:
        return paper.blank(ax, paper.headline(result), result.note)
    whole = str(result.data.schema.field("recency_from").type) == "int64"  # then a class holds its end too
    values, sides = _classes(result.data, whole=whole)
    image = heat.shades(ax, values, sides, norm=heat.logarithmic(values), hatched=False)
    paper.number_ticks(ax.xaxis)
    paper.number_ticks(ax.yaxis, whole=whole)
    ax.set(xlabel="frequency: repeat purchases", ylabel=_recency(result.units["recency_from"]))
    _write(ax, image, values, wording.plain)
    heat.round_ticks(heat.colour_bar(ax, image, "customers (log scale)"))
    paper.titles(ax, paper.headline(result), paper.told(result))
    return ax


def _classes(data: Any, *, whole: bool) -> tuple[Floats, tuple[float, float, float, float]]:
    """Return customers by classes, the lowest recency below, and the sides of the picture.

    All classes are as wide as the narrowest: the last one of frequency, which is open, reaches further.
    """
    names = ("frequency_from", "frequency_to", "recency_from", "recency_to", "customers")
    frequency, ends, recency, until, customers = (paper.column(data, name) for name in names)
    width, length = float((ends - frequency).min()) + 1.0, float((until - recency).min()) + whole
    column, row = (np.rint(part / step).astype(np.int64) for part, step in ((frequency, width), (recency, length)))
    values = np.full((int(row.max()) + 1, int(column.max()) + 1), np.nan)
    values[len(values) - 1 - row, column] = customers
    start = -0.5 * whole
    return values, (-0.5, width * values.shape[1] - 0.5, start, start + length * len(values))
