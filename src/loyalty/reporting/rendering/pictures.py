"""Pictures of a document as SVG inside the page: drawn by matplotlib, with their text as text.

A picture is drawn as often as it must be, which costs some 40 ms each time: wide, and narrow for small screens; once
where its colours can follow the page by variables, else once per paper. Where shades carry its meaning, or where labels
would leave no room, there is no narrow one: the wide one scrolls.
"""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loyalty.reporting.rendering import colours
from loyalty.reporting.rendering.picture_words import spoken, untitled
from loyalty.reporting.rendering.svg import fitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from loyalty.reporting.document import Picture
    from loyalty.reporting.rendering.language import Language

__all__ = ["Drawing", "drawn", "style"]

_NARROW = 3.75  # inches: on a screen of 360 pixels its text is as large as the page's small print
_ROOM = 1.7  # inches that are left for what is drawn once all labels have theirs; with less, a picture is not narrowed
_LOCK = threading.RLock()  # matplotlib's settings are one for the process
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "loyalty",
    "svg.image_inline": True,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, and is wider than what readers will see
    "axes.linewidth": 0.8,
    "axes.unicode_minus": False,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.max_open_warning": 0,
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture in one shape and on one paper.

    Attributes:
        svg: The picture.
        paper: "light" or "dark" where it is drawn for that only, else "".
        shape: "wide" or "narrow" where there are both, else "".
    """

    svg: str
    paper: str
    shape: str


@contextmanager
def style() -> Iterator[None]:
    """Draw in the page's style whatever the caller's is; afterwards every setting is what it was."""
    import matplotlib as mpl

    with _LOCK, mpl.rc_context():
        mpl.rcdefaults()
        _settings().update(_STYLE)
        yield


def _settings() -> Any:
    """Return matplotlib's settings, whose names its types would have one spell out."""
    from matplotlib import rcParams

    return rcParams


def drawn(picture: Picture, language: Language, name: str) -> tuple[tuple[Drawing, ...], tuple[str, ...]]:
    """Return the drawings of a picture, and what must be said beside them of how to read it.

    Args:
        picture: The picture.
        language: The language of its words.
        name: What its ids begin with.

    Returns:
        The drawings, and sentences of the library in English.
    """
    with style():
        first = _drawn(picture, language, colours.LIGHT, picture.width)
        shades = picture.shaded or "<image" in first.svg
        shapes = ("wide",) if shades or first.labels + _ROOM > _NARROW else ("wide", "narrow")
        papers = ("light", "dark") if shades or colours.foreign(first.svg) else ("",)
        made = []
        for paper, shape in itertools.product(papers, shapes):
            raw = first.svg
            if shape == "narrow" or paper == "dark":
                width = _NARROW if shape == "narrow" else picture.width
                raw = _drawn(picture, language, colours.DARK if paper == "dark" else colours.LIGHT, width).svg
            ids = f"{name}-{paper}-{shape}-"
            svg = fitted(raw, ids, language.plain(picture.alt), variables=not paper)
            made.append(Drawing(svg, paper, shape if len(shapes) > 1 else ""))
    return tuple(made), first.said


@dataclass(frozen=True, slots=True)
class _Raw:
    """A picture as matplotlib writes it.

    Attributes:
        svg: The picture.
        said: What its titles said of how to read it.
        labels: Inches of its width that labels take.
    """

    svg: str
    said: tuple[str, ...]
    labels: float


def _drawn(picture: Picture, language: Language, paper: Mapping[str, str], width: float) -> _Raw:
    """Draw a picture on some paper."""
    from matplotlib.figure import Figure

    ink = "#1a1a1a" if paper is colours.LIGHT else "#f5f5f5"
    written = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    wide = width >= picture.width
    # Shown as wide as the page is, letters of 9.4 points are as large as those of its tables.
    size = 9.4 if wide and not picture.shaded else 10.0
    _settings().update({**dict.fromkeys(written, ink), "font.size": size})
    height = picture.height if wide else min(picture.height, max(3.2, 0.8 * picture.height))
    figure = Figure(figsize=(min(width, picture.width), height), layout="constrained", facecolor=paper["paper"])
    ax = figure.add_subplot(facecolor=paper["paper"])
    picture.draw(ax)
    said = untitled(figure)
    spoken(figure, language)
    svg = _written(figure)
    return _Raw(svg, said, (1.0 - float(ax.get_position().width)) * figure.get_figwidth())


def _written(figure: Figure) -> str:
    """Return a figure as SVG text."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for ax in figure.axes:
        for text in ax.texts:
            clipped = text.get_clip_on() and (text.get_clip_box() or text.get_clip_path())
            if clipped:  # inside its axes: no margin grows for it, so nobody need measure it
                text.set_in_layout(False)
    canvas: Any = FigureCanvasSVG(figure)
    if len(figure.axes) == 1:
        # Axes alone need no solver that weighs them against others: this one measures their labels once, not twice.
        figure.set_layout_engine("tight", pad=0.3)
    engine = figure.get_layout_engine()
    if engine is not None:
        # Saving would draw everything once in vain, to lay it out.
        engine.execute(figure)
        figure.set_layout_engine("none")
    figure.patch.set_visible(False)
    file = io.StringIO()
    canvas.print_svg(file, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return file.getvalue()
