"""The words of a picture: its title goes to the page, all others into the language of the reader."""

from __future__ import annotations

import datetime as dt
import re
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from loyalty.reporting.document import Library

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from loyalty.reporting.rendering.language import Language

__all__ = ["spoken", "untitled"]

_SUBTITLE = "loyalty-subtitle"  # as loyalty.plots.paper marks it
# What titles say of how a picture is to be read, and which the caption in the page does not.
_KEYS = re.compile(
    r"Hatched: [^.]+\.|–: not defined\.|Lines: [^.;]+ intervals|First \d+ of [\d,]+ \w+|first \d+ of [\d,]+ \w+"
)


def untitled(figure: Figure) -> tuple[str, ...]:
    """Take titles and subtitles away; return what they say of how to read the picture, in English."""
    taken = []
    for ax in _all_axes(figure):
        said = [ax.get_title(loc=side) for side in ("left", "center", "right")]
        for side in ("left", "center", "right"):
            ax.set_title("", loc=side)
        for text in [text for text in ax.texts if text.get_gid() == _SUBTITLE]:
            said.append(text.get_text())
            text.remove()
        for line in filter(None, said):
            taken += _KEYS.findall(" ".join(line.split()))
    return tuple(dict.fromkeys(key[:1].upper() + key[1:] for key in taken))


def _all_axes(figure: Figure) -> Iterator[Any]:
    """Yield axes and those inside them."""
    for ax in figure.axes:
        yield ax
        yield from ax.child_axes


def spoken(figure: Figure, language: Language) -> None:
    """Put every word and number of a picture into a language."""
    if language.translator is None:
        return
    for ax in _all_axes(figure):
        for axis in (ax.xaxis, ax.yaxis):
            _speak_ticks(axis, language)
            _speak(axis.label, language)
        legend = ax.get_legend()
        for text in [*ax.texts, *(legend.get_texts() if legend else ())]:
            _speak(text, language)


def _speak(text: Text, language: Language) -> None:
    """Put a text into a language; wrapped ones are taken as a whole, and wrapped anew."""
    english = text.get_text()
    if english:
        text.set_text(_lines(english, language))


def _lines(english: str, language: Language) -> str:
    """Return the text of one line or some."""
    lines = english.split("\n")
    if len(lines) == 1:
        return _words(english, language)
    whole = " ".join(line.strip() for line in lines)
    if any(letter.isalpha() for letter in whole) and _known(whole, language):
        lines = [whole]
    most = int(max(map(len, english.split("\n"))) * 1.15) + 1  # letters: what is drawn was given about that room
    said = [_words(line, language) for line in lines]
    return "\n".join(part for line in said for part in textwrap.wrap(line, most) or [line])


def _known(english: str, language: Language) -> bool:
    """Return whether a text has words in a language."""
    translator = language.translator
    return translator is None or all(piece.known for piece in translator.pieces(english.replace(r"\$", "$")))


def _words(english: str, language: Language) -> str:
    """Return a line in a language; spaces around it and escaped dollars are kept."""
    stem = english.strip()
    if not stem:
        return english
    said = _months(language).get(stem) or language.plain(Library(stem.replace(r"\$", "$")))
    return english.replace(stem, said.replace("$", r"\$") if r"\$" in stem else said)


@lru_cache(maxsize=8)
def _months(language: Language) -> dict[str, str]:
    """Return the short names of months by the English ones, which matplotlib writes along an axis of dates."""
    days = [dt.date(2001, month, 1) for month in range(1, 13)]
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return {english: language.forms.month(day) for english, day in zip(names, days, strict=True)}


def _speak_ticks(axis: Any, language: Language) -> None:
    """Let an axis write its ticks in a language."""
    for minor in (False, True):
        inner = axis.get_minor_formatter() if minor else axis.get_major_formatter()
        outer = _formatter(inner, language)
        # Not by set_major_formatter, which would take the axis for one that somebody gave fixed labels.
        ticker = axis.minor if minor else axis.major
        ticker.formatter = outer


def _formatter(inner: Any, language: Language) -> Any:
    """Return a formatter that says in a language what another one says in English."""
    from matplotlib.ticker import Formatter

    class Spoken(Formatter):
        """Asks the other formatter, and translates."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            return _words(inner(x, pos), language)

        def format_ticks(self, values: Any) -> list[str]:
            return [_words(text, language) for text in inner.format_ticks(values)]

        def get_offset(self) -> str:
            return str(inner.get_offset())

        def set_locs(self, locs: Any) -> None:
            inner.set_locs(locs)

    return Spoken()
