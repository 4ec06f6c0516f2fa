"""What a page says, in the language of its reader: sentences of the catalogue, names, numbers, dates."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from markupsafe import Markup, escape

from loyalty import wording
from loyalty.errors import InvalidArgument
from loyalty.reporting.document import Library, Quantity, Said, Span, Verbatim
from loyalty.reporting.rendering.catalogue import Catalogue, catalogue, codes
from loyalty.reporting.rendering.forms import NUMBER, Forms, forms
from loyalty.reporting.rendering.library_texts import Piece, Translator, with_dates
from loyalty.reporting.rendering.names import shortened, visible, whole

__all__ = ["Language", "Ready", "language", "untranslated"]

_NAME = 60  # letters of a name that are shown
_TITLE = 160  # letters of a heading
_PLACE = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"\S{120,}")  # no word of ours is that long: a name inside a text of the library's
_SPACE = "\N{NO-BREAK SPACE}"
_NUMBER = re.compile(NUMBER)
_MISSED: ContextVar[set[str] | None] = ContextVar("_MISSED", default=None)


@contextmanager
def untranslated() -> Iterator[set[str]]:
    """Collect the library's texts that are shown in English because their language has no words for them."""
    missed: set[str] = set()
    token = _MISSED.set(missed)
    try:
        yield missed
    finally:
        _MISSED.reset(token)


class Ready(str):
    """A text that is in the form of the language already."""

    __slots__ = ()


class _Style(Protocol):
    """How parts of a text are marked: as HTML, or not at all."""

    def words(self, text: str) -> str: ...
    def name(self, text: str, full: str) -> str: ...
    def foreign(self, text: str) -> str: ...


class _Html:
    """HTML: names are set apart from the direction of what surrounds them, English is told from the rest."""

    @staticmethod
    def words(text: str) -> str:
        return escape(text)

    @staticmethod
    def name(text: str, full: str) -> str:
        if text == full:
            return Markup("<bdi>{}</bdi>").format(text)
        return Markup('<bdi title="{}">{}</bdi>').format(full, text)

    @staticmethod
    def foreign(text: str) -> str:
        return Markup('<span lang="en">{}</span>').format(text)


class _Plain:
    """Plain text, for attributes and pictures: names are set apart by invisible marks."""

    @staticmethod
    def words(text: str) -> str:
        return text

    @staticmethod
    def name(text: str, _full: str) -> str:
        # What is plainly written from left to right needs no marks, and fonts of pictures may lack them.
        return text if text.isascii() else f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"

    @staticmethod
    def foreign(text: str) -> str:
        return text


_HTML, _PLAIN = _Html(), _Plain()


@dataclass(frozen=True, eq=False)
class Language:
    """A language that pages are written in.

    Attributes:
        code: Its code, as `<html lang>` has it.
        catalogue: Its sentences.
        forms: Its numbers, dates and money.
        translator: Finds the library's texts, or None where they are in this language already.
    """

    code: str
    catalogue: Catalogue
    forms: Forms
    translator: Translator | None

    @property
    def direction(self) -> str:
        """Return "ltr" or "rtl"."""
        return str(self.forms.dates.text_direction)

    def text(self, value: Any) -> Markup:
        """Return any value of a document as HTML: escaped, in the form of the language."""
        return Markup(self._said(value, _HTML))  # noqa: S704 (escaped by the style)

    def plain(self, value: Any) -> str:
        """Return any value of a document as plain text, for an attribute, a title or a picture."""
        return str(self._said(value, _PLAIN))

    def title(self, value: Any) -> Markup:
        """Return a heading as HTML: a name of the caller's may be longer there than inside a text."""
        if isinstance(value, Verbatim) and (name := visible(value.text)):
            return Markup(_HTML.name(shortened(name, _TITLE), whole(name)))  # noqa: S704 (escaped by the style)
        return self.text(value)

    def say(self, key: str, **values: Any) -> Markup:
        """Return a sentence of the catalogue as HTML."""
        return self.text(Said(key, values))

    def library(self, english: str) -> str:
        """Return a text of the library's as plain text."""
        return self.plain(Library(english))

    def cell(self, value: Any, kind: str) -> Markup:
        """Return the value of a table's cell: of kind "text", "date", or of a unit that its column has."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return self.say("page.missing")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if kind.startswith("money") and math.isfinite(value):
                return Markup(escape(self.forms.number(value, kind, cents=True)))  # noqa: S704 (escaped)
            return self.text(Quantity(value, kind))
        if isinstance(value, dt.date):
            return Markup(escape(self.forms.date(value, "medium")))  # noqa: S704 (escaped)
        return self.text(value)

    def _said(self, value: Any, style: _Style) -> str:  # noqa: PLR0911 (a line per kind of value)
        """Return a value in a style."""
        match value:
            case Said():
                return self._sentence(value, style)
            case Library():
                return _joined((self._shown(piece, style) for piece in self._pieces(value.english)), style)
            case Verbatim():
                return self._name(value.text, style)
            case Span():
                return self._span(value, style)
            case list() | tuple():
                return self._listed(value, style)
            case Ready():
                return style.words(str(value))
        return style.words(self._written(value))

    def _written(self, value: Any) -> str:
        """Return a number or date in the form of the language, and anything else as text that can be shown."""
        match value:
            case Quantity():
                return self._quantity(value.value, value.unit)
            case dt.datetime():
                return self.forms.date(value.date())
            case dt.date():
                return self.forms.date(value)
            case int() | float() if not isinstance(value, bool):
                return self._quantity(value, "count")
        return _broken(visible(value))

    def _sentence(self, said: Said, style: _Style) -> str:
        """Return a sentence with its values in their places."""
        values = said.values
        template = self._template(said.key, values)
        unknown = set(_PLACE.findall(template)) - values.keys()
        if unknown:
            raise InvalidArgument(
                f'"{said.key}" in {self.code}.po names {{{unknown.pop()}}}, which has no value: '
                f"there is {', '.join(sorted(values)) or 'none'}."
            )
        shown: list[str] = []
        for place, part in enumerate(_PLACE.split(template)):  # text, name, text, name, …, text
            shown.append(self._said(values[part], style) if place % 2 else style.words(part))
        return _joined(shown, style)

    def _template(self, key: str, values: Mapping[str, Any]) -> str:
        """Return the sentence of a key, in the plural or singular that its count needs."""
        found = self.catalogue.sentences.get(key)
        if found is None:
            raise InvalidArgument(f'there is no sentence "{key}" in {self.code}.po: add it there.')
        if len(found) == 1:
            return found[0]
        count = values.get("count", 0)
        count = count.value if isinstance(count, Quantity) else count
        # What is not whole takes the form of many: 1.5 days.
        number = int(count) if count is not None and float(count).is_integer() else 1_000
        return found[self.catalogue.plural(number)]

    def _pieces(self, english: str) -> Sequence[Piece]:
        """Return a text of the library's in this language."""
        shown = _broken(visible(english))
        if self.translator is None:
            return (Piece(_signed(with_dates(shown, self.forms)), known=True),)
        pieces = _translated(self.translator, shown)
        missed = _MISSED.get()
        if missed is not None:
            missed.update(text for piece in pieces for text in piece.missed)
        return pieces

    def _shown(self, piece: Piece, style: _Style) -> str:
        return style.words(piece.text) if piece.known else style.foreign(piece.text)

    def _name(self, text: str, style: _Style) -> str:
        """Return a name of the caller's, whatever it holds."""
        name = visible(text)
        if not name:
            return self._said(Said("page.unnamed"), style)
        return style.name(shortened(name, _NAME), whole(name))

    def _quantity(self, value: float | None, unit: str, beside: float = 0.0) -> str:
        """Return a number with its unit, told by itself or as one end of an interval."""
        if wording.missing(value) or value is None:
            return self.plain(Said("page.undefined"))
        if math.isinf(value):
            return ("\N{MINUS SIGN}" if value < 0 else "") + self.plain(Said("page.infinite"))
        number = self.forms.number(value, unit, beside=beside)
        whole = isinstance(value, int)
        word = _word(unit, one=(wording.plain(value) if whole else wording.number(value, unit)) == "1")
        return f"{number}{_SPACE}{self.library(word)}" if word else number

    def _span(self, span: Span, style: _Style) -> str:
        """Return an interval; a unit that is a word is said once."""
        ends: list[str] = []
        for end, other, last in ((span.low, span.high, False), (span.high, span.low, True)):
            beside = other if math.isfinite(other) else 0.0
            if last or not math.isfinite(end) or not math.isfinite(span.high):
                ends.append(Ready(self._quantity(end, span.unit, beside)))
            else:
                ends.append(Ready(self.forms.bare(end, span.unit, beside)))
        return self._said(Said("page.span", {"low": ends[0], "high": ends[1]}), style)

    def _listed(self, items: Sequence[Any], style: _Style) -> str:
        """Return a list: "a, b and c"."""
        if not items:
            return style.words("")
        # Marks that no name can hold stand for the items, which may hold commas of their own.
        frame = self.forms.listed([f"\0{place}\0" for place in range(len(items))])
        parts = frame.split("\0")
        shown = [self._said(items[int(part)], style) if place % 2 else style.words(part)
                 for place, part in enumerate(parts)]  # fmt: skip
        return _joined(shown, style)


def language(code: str, currency: str = "") -> Language:
    r"""Return a language by its code.

    Args:
        code: "en" or "es".
        currency: Three letters that money is written with, such as "EUR", or "".

    Raises:
        InvalidArgument: There is no catalogue of that language.

    Examples:
        >>> language("es").plain(Quantity(0.4886, "share"))
        '48,9\xa0%'
        >>> language("en", "EUR").plain(Quantity(1234.5, "money"))
        '€1,234.50'
    """
    if not isinstance(code, str) or code not in codes():
        raise InvalidArgument(f"language={code!r}: there is {' and '.join(codes())}. Choose one of them.")
    return _language(code, currency)


@lru_cache(maxsize=32)
def _language(code: str, currency: str) -> Language:
    words, written = catalogue(code), forms(code, currency)
    return Language(code, words, written, None if code == "en" else Translator(words.library, written))


@lru_cache(maxsize=4_096)
def _translated(translator: Translator, english: str) -> tuple[Piece, ...]:
    return tuple(translator.pieces(english))


def _joined(parts: Iterable[str], style: _Style) -> str:
    """Return parts of a text as one; those of HTML are escaped already."""
    return Markup("").join(parts) if style is _HTML else "".join(parts)


def _signed(text: str) -> str:
    """Return an English text whose negative numbers have the sign that numbers of the page have."""
    return _NUMBER.sub(lambda found: re.sub("^-", "\N{MINUS SIGN}", found[0]), text)


def _broken(text: str) -> str:
    """Return a text whose endless words are shortened."""
    return _WORD.sub(lambda found: shortened(found[0], _NAME), text)


def _word(unit: str, *, one: bool) -> str:
    """Return the word of a unit in English: "days" or "day", or "" for those that are a sign or nothing."""
    if unit in {"share", "level", "ratio", "count", "tenths", ""}:
        return ""
    if unit.startswith("money"):
        return unit.removeprefix("money").strip()
    return unit if not one else wording.counted(1, unit).removeprefix("1 ")
