"""What every picture is drawn on: axes, colours that suit the style, safe text, readable ticks."""

from __future__ import annotations

import itertools
import math
import sys
import textwrap
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from loyalty.errors import InvalidArgument

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from numpy.typing import NDArray

__all__ = [
    "Palette",
    "axes",
    "blank",
    "clean",
    "column",
    "date_ticks",
    "end_labels",
    "font_points",
    "headline",
    "luminance",
    "mixed",
    "number_ticks",
    "palette",
    "panels",
    "row_labels",
    "safe",
    "safe_lines",
    "share_ticks",
    "size_points",
    "tidy",
    "titles",
    "told",
    "wrap_labels",
    "wrapped",
]

_LETTER = 0.56  # mean width of a letter over the font size, a little generous for DejaVu Sans
_WORDS = 4.8  # lines that the ticks and label of a panel take, and what the layout takes off the height
_COARSE, _TINY = 1.0, 1e-6  # ends of an axis that near have decimals; numbers below are written with a power of ten
_STEPS = (1, 2, 2.5, 5, 10)  # between two ticks, times a power of ten
_FEW_DAYS = 7.0  # an axis shorter than that has a tick for each day or two
_SUBTITLE = "loyalty-subtitle"
_LOW, _FEW = 2.5 * 72.0, 2  # axes of a caller's lower than this (points) have a subtitle of so many lines at most
_OWN: weakref.WeakSet[Axes] = weakref.WeakSet()  # axes made here, in figures high enough for what they bear


def axes(ax: Axes | None, width: float = 7.2, height: float = 4.2) -> Axes:
    """Return the caller's Axes, or new ones in a figure of their own.

    Args:
        ax: Axes to draw on, or None.
        width: Width of a new figure in inches.
        height: Height of a new figure in inches.

    Raises:
        InvalidArgument: `ax` is something else, such as a figure or an array of Axes.
    """
    from matplotlib.axes import Axes as MatplotlibAxes

    if isinstance(ax, MatplotlibAxes):
        return ax
    if ax is not None:
        raise InvalidArgument(
            f"ax= is of type {type(ax).__name__}: pass one matplotlib Axes, such as figure.add_subplot(), or None."
        )
    # pyplot shows a figure because it keeps it, in one list for the whole process, until somebody closes it. At
    # a prompt that is wanted: a notebook displays what its cell drew, then closes it. A service would leak a
    # figure per request, and pyplot is not safe in threads, so everywhere else the figure belongs to its Axes
    # alone and goes when they go. Python sets sys.ps1 at a prompt, and Jupyter and IPython do too.
    if hasattr(sys, "ps1") and threading.current_thread() is threading.main_thread():
        from matplotlib import pyplot as plt

        own = plt.figure(figsize=(width, height), layout="constrained").add_subplot()
    else:
        from matplotlib.figure import Figure

        own = Figure(figsize=(width, height), layout="constrained").add_subplot()
    _OWN.add(own)
    return own


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours that stand out on the paper and that colour-blind readers tell apart.

    Source: Okabe & Ito (2008), Color Universal Design: blue and vermilion, on dark paper sky blue and orange.

    Attributes:
        first: The main series.
        second: What it is compared with, and what is bad.
        ink: Text inside the axes.
        muted: Secondary text and guide lines.
        paper: The background.
        dark: Whether the background is dark.
    """

    first: str
    second: str
    ink: str
    muted: str
    paper: tuple[float, float, float]
    dark: bool


def palette(ax: Axes) -> Palette:
    """Return the colours for the background of some axes, whichever style made it."""
    from matplotlib.colors import to_rgba

    paper = np.ones(3)
    for layer in (ax.figure.get_facecolor(), ax.get_facecolor()):
        *colour, alpha = to_rgba(layer)
        paper = paper * (1 - alpha) + np.array(colour) * alpha
    red, green, blue = (float(part) for part in paper)
    if luminance(paper) < 0.35:
        return Palette("#56B4E9", "#E69F00", "#f5f5f5", "#b4b4b4", (red, green, blue), dark=True)
    return Palette("#0072B2", "#D55E00", "#1a1a1a", "#636363", (red, green, blue), dark=False)


def luminance(colour: Any) -> float:
    """Return the relative luminance of a red-green-blue colour, 0 (black) to 1 (white); by WCAG 2."""
    parts = np.asarray(colour, float)[:3]
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def mixed(colours: Palette, ink: float) -> tuple[float, float, float]:
    """Return the colour of the paper with a share of ink in it."""
    from matplotlib.colors import to_rgb

    parts = zip(colours.paper, to_rgb(colours.ink), strict=True)
    red, green, blue = ((1 - ink) * paper + ink * written for paper, written in parts)
    return red, green, blue


def column(data: Any, name: str) -> NDArray[np.float64]:
    """Return a column of an Arrow table as floats; null becomes NaN."""
    values: NDArray[np.float64] = np.asarray(data.column(name).cast("float64").to_numpy(), float)
    return values


def clean(text: Any, limit: int = 0) -> str:
    """Return text on one line, without control characters, shortened to `limit` characters (0: whole)."""
    shown = "".join(letter if letter.isprintable() else " " for letter in str(text))
    shown = " ".join(shown.split())
    return f"{shown[: limit - 1].rstrip()}…" if 0 < limit < len(shown) else shown


def safe(text: Any, limit: int = 0) -> str:
    r"""Return cleaned text that matplotlib shows as it is: unescaped, "$x_1$" would become a formula.

    Examples:
        >>> safe("price <b>$5$</b>\n"), safe("a long label", limit=7)
        ('price <b>\\$5\\$</b>', 'a long…')
    """
    return _escape(clean(text, limit))


def safe_lines(text: str) -> str:
    """Return a text of several lines, each made safe."""
    return "\n".join(safe(line) for line in text.split("\n"))


def _escape(text: str) -> str:
    from matplotlib import rcParams

    return text.replace("$", r"\$") if rcParams["text.parse_math"] else text


def size_points(ax: Axes) -> tuple[float, float]:
    """Return width and height of the axes in points, as they stand before any layout."""
    box = ax.get_window_extent()
    return box.width * 72 / ax.figure.dpi, box.height * 72 / ax.figure.dpi


def font_points(name: str | float) -> float:
    """Return a font size such as "small" in points, by the style in force."""
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=name).get_size_in_points())


def titles(ax: Axes, title: str, subtitle: str = "", key: str = "") -> None:
    """Write a title, and below it smaller lines; they and the labels of both axes are wrapped to their room.

    Args:
        ax: Axes whose labels are there already.
        title: The title.
        subtitle: What is shown. Low axes of a caller's have no room for all of a long one.
        key: How the picture is to be read, at the end of the subtitle; on low axes in place of a long one.
    """
    from matplotlib import rcParams

    wrap_labels(ax)
    for old in [text for text in ax.texts if text.get_gid() == _SUBTITLE]:
        old.remove()
    width, small = size_points(ax)[0] * 1.05, font_points("small")
    side = rcParams["axes.titlelocation"]
    lines = _subtitle(ax, subtitle, key, width)
    rise = 6 + len(lines) * small * 1.3 + (3 if lines else 0)
    ax.set_title("\n".join(wrapped(title, width, float(ax.title.get_fontsize()))), pad=rise)
    if lines:
        ax.annotate(
            "\n".join(lines),
            ({"left": 0.0, "center": 0.5, "right": 1.0}[side], 1.0),
            (0, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize="small",
            color=ax.title.get_color(),
            alpha=0.75,
            linespacing=1.2,
            gid=_SUBTITLE,
        )


def _subtitle(ax: Axes, subtitle: str, key: str, width: float) -> list[str]:
    """Return the lines of a subtitle that are shown."""
    small = font_points("small")
    lines = wrapped(f"{subtitle} {key}", width, small)
    if len(lines) <= _FEW or ax in _OWN or size_points(ax)[1] >= _LOW:
        return lines
    lines = wrapped(key or subtitle, width, small)
    return lines if len(lines) <= _FEW else [*lines[: _FEW - 1], f"{lines[_FEW - 1].rstrip('.,;: ')} …"]


def wrap_labels(ax: Axes) -> None:
    """Wrap the labels of both axes to their lengths."""
    for axis, length in zip((ax.xaxis, ax.yaxis), size_points(ax), strict=True):
        text = " ".join(axis.label.get_text().split())
        letters = max(12, int(length / (float(axis.label.get_fontsize()) * _LETTER)))
        axis.label.set_text("\n".join(textwrap.wrap(text, letters, break_long_words=False, break_on_hyphens=False)))


def told(result: Any) -> str:
    """Return the definition of a result with its note."""
    return str(result.definition) + (f" Note: {result.note}." if result.note else "")


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Return the lines of a text, as few as fit a width in points and about equally long."""
    shown, most = clean(text), max(20, int(width / (size * _LETTER)))
    lines = textwrap.wrap(shown, most, break_on_hyphens=False)
    for fewer in range(len(shown) // max(1, len(lines)), most) if len(lines) > 1 else ():
        even = textwrap.wrap(shown, fewer, break_long_words=False, break_on_hyphens=False)
        if len(even) <= len(lines) and max(map(len, even)) <= most:
            lines = even
            break
    # Wrapped before dollars are escaped, for a line must not end between a backslash and its dollar.
    return [_escape(line) for line in lines]


def tidy(ax: Axes, colours: Palette, grid: Literal["x", "y", "both"] = "y") -> None:
    """Take away the frame's upper and right line, and lay a faint grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=False)
    ax.grid(visible=True, axis=grid, color=colours.ink, alpha=0.12, linewidth=0.8, linestyle="-")
    ax.set_axisbelow(True)


def share_ticks(axis: Axis, most: int = 8) -> None:
    """Label an axis of shares in percent, in as many steps as have room: 0.25 is shown as 25 %."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    steps = min(most, _room(axis, letters=6))
    axis.set_major_locator(MaxNLocator(nbins=steps, steps=_STEPS, min_n_ticks=min(2, steps)))
    axis.set_major_formatter(FuncFormatter(_percent))


def _room(axis: Axis, letters: int) -> int:
    """Return how many labels of some length fit along an axis, at least one."""
    width, height = size_points(axis.axes)
    size, across = font_points("medium"), axis is axis.axes.xaxis
    label = (letters + 1.5) * 0.6 * size if across else 1.8 * size
    return max(1, int((width if across else height) / label))


def _percent(share: float, _place: int | None = None) -> str:
    # Not a lambda and not a nested function, so that the figure can be pickled.
    return f"{round(share * 100, 6) + 0.0:,g} %" if abs(share) < 1000 else f"{share * 100:,.0f} %"


def number_ticks(axis: Axis, most: int = 8, *, whole: bool = True) -> None:
    """Label an axis of counts (whole) or other numbers, in as many steps as have room, thousands separated."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = axis.get_view_interval()
    letters = max(len(_number(round(end))) for end in (low, high))
    if not whole and abs(high - low) < _COARSE:  # ticks have decimals, as many as two of them need to differ
        letters += 1 + (2 - math.floor(math.log10(abs(high - low) or 1.0)) if high != low else 0)
    steps = min(most, _room(axis, letters))
    least = min(1 if whole else 2, steps)
    axis.set_major_locator(MaxNLocator(nbins=steps, steps=_STEPS, integer=whole, min_n_ticks=least))
    axis.set_major_formatter(FuncFormatter(_number))


def _number(value: float, _place: int | None = None) -> str:
    # What is left of a tick at nought is the rounding of steps of a usual size; smaller numbers are themselves.
    return f"{round(value, 9) + 0.0:,.12g}" if not 0.0 < abs(value) < _TINY else f"{value:.3g}"


def date_ticks(ax: Axes) -> None:
    """Label an axis of dates, in as many steps as have room."""
    from matplotlib import dates

    untyped: Any = dates  # matplotlib gives no types for these
    room = int(size_points(ax)[0] / (5.5 * font_points("medium")))
    low, high = ax.get_xlim()
    # Between 1 and 3, or 2 and 5 ticks the locator always finds a step; asked for less room it would warn.
    locator = untyped.AutoDateLocator(minticks=1 if room < 5 else 2, maxticks=max(3, min(10, room)))
    if high - low < _FEW_DAYS:  # the other locator would go on to hours, which no date has
        locator = untyped.DayLocator(interval=math.ceil((high - low) / max(1, min(4, room))))
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator, show_offset=False))


def end_labels(ax: Axes, labels: Sequence[tuple[float, str, Any]]) -> None:
    """Write labels at the right edge, each beside the end of its line, moved apart where they would overlap.

    Args:
        ax: Axes whose limits are final.
        labels: Height of the end in data units, safe text, colour; without a finite height there is no label.
    """
    shown = [label for label in labels if math.isfinite(label[0])]
    heights = [float(ax.transLimits.transform((0.0, label[0]))[1]) for label in shown]
    gap = font_points("medium") * 1.25 / size_points(ax)[1]
    for (_, text, colour), height in zip(shown, _spread(heights, gap), strict=True):
        ax.annotate(
            text,
            (1.0, height),
            (6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize="medium",
        )


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return heights moved apart to at least `gap`, in their order and, where there is room, below 1."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = list(heights)
    for lower, upper in itertools.pairwise(order):
        placed[upper] = max(placed[upper], placed[lower] + gap)
    ceiling = 1.0
    for place in reversed(order):
        placed[place] = min(placed[place], ceiling)
        ceiling = placed[place] - gap
    return placed


def row_labels(ax: Axes, names: Sequence[Any], limit: int) -> int:
    """Name the rows 0, 1, … along the y axis, every second or third one where they are many; return that step."""
    room = size_points(ax)[1] / (font_points("medium") * 1.3)
    step = math.ceil(len(names) / max(1.0, room))
    ax.set_yticks(range(0, len(names), step), [safe(name, limit) for name in names[::step]])
    return step


def panels(ax: Axes, rows: Sequence[int], gap: float) -> list[Axes]:
    """Return the Axes, or for several panels inset ones from the top, high in proportion to their rows.

    Args:
        ax: The Axes.
        rows: Rows of each panel.
        gap: Rows that the ticks and label of an axis take.
    """
    if len(rows) == 1:
        return [ax]
    ax.set_axis_off()
    # On small axes the rows shrink, for the words between panels do not.
    least = _WORDS * font_points("medium") / size_points(ax)[1]  # of the height
    gap = max(gap, sum(rows) * least / max(1.0 - least * (len(rows) - 1), 0.3))
    total, top, found = sum(rows) + gap * (len(rows) - 1), 1.0, []
    for count in rows:
        height = count / total
        found.append(ax.inset_axes((0.0, top - height, 1.0, height), facecolor=ax.get_facecolor()))
        top -= height + gap / total
        # The Axes may come from another style than the one in force.
        found[-1].tick_params(color=ax.title.get_color(), labelcolor=ax.title.get_color())
        for part in (found[-1].title, found[-1].xaxis.label, found[-1].spines["bottom"]):
            part.set_color(ax.title.get_color())
    return found


def headline(result: Any) -> str:
    """Return the name of a result as a title: its first letter a capital."""
    name = str(result.name)
    return name[:1].upper() + name[1:]


def blank(ax: Axes, title: str, why: str) -> Axes:
    """Draw nothing but the title and the reason why there is nothing."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    titles(ax, title)
    width, size = size_points(ax)[0] * 0.9, font_points("medium")
    ax.text(
        0.5,
        0.5,
        "\n".join(wrapped(why or "nothing to draw", width, size)),
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=palette(ax).muted,
        style="italic",
    )
    return ax
