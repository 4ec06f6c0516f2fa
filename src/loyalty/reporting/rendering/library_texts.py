"""The library's own English texts in another language: found by their template, with their numbers re-written.

A text such as "customers left out: 12" is no key: its number changes. It is looked up by its template, "customers
left out: {}". Texts made of several, joined by "; " or a full stop, are taken apart and looked up piece by piece.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from loyalty.reporting.rendering.forms import NUMBER, Forms

__all__ = ["Piece", "Translator", "with_dates"]

_NUMBER = re.compile(NUMBER)
_DATE = re.compile(r"(?<![\w=-])(\d{4})-(\d{2})-(\d{2})(?![\w-])")
_FIGURES = re.compile(f"{_DATE.pattern}|{NUMBER}(?: %)?")
# The last are those of a list of models and how each came out.
_JOINTS = re.compile(r"(; |(?<=[.!?]) (?=[A-Z0-9“\"'(–])|: (?=[A-Z0-9])|, (?=\w*NBD |boundary|ridge))")
_FIRM = 12  # letters that a template has at least whose holes may hold what is unknown
_HOLE = re.compile(r"\{(\d*)\}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text.

    Attributes:
        text: It, in the reader's language or still in English.
        known: Whether it is in the reader's language.
        missed: English words in it that nobody translated: all of it, or a caller's name that a template holds.
    """

    text: str
    known: bool
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Template:
    """An English template with holes, and what stands for it."""

    english: str
    other: str
    fragment: str  # its longest stretch without a hole: what does not hold this cannot match
    weight: int  # its letters outside holes: the more, the closer it fits


@dataclass(frozen=True, eq=False)
class Translator:
    """Finds the library's texts in another language.

    Attributes:
        texts: By English template, the template in the other language; {} stands for a number or a word.
        forms: How numbers and dates are written there.
    """

    texts: Mapping[str, str]
    forms: Forms
    _templates: list[_Template] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sort templates by how much they say, so that the closest one is tried first."""
        holed = ((english, other) for english, other in self.texts.items() if "{}" in english)
        made = (_Template(*pair, *_measured(pair[0])) for pair in holed)
        self._templates.extend(sorted(made, key=lambda template: (-template.weight, template.english)))

    def pieces(self, english: str) -> list[Piece]:
        """Return a text in the other language, in pieces: those that nobody translated are left as they are."""
        whole = self._found(english, self._sure)
        if whole is not None:
            return [Piece(whole, known=True)]
        parts = _JOINTS.split(english)
        if len(parts) == 1:
            return [self._loose(english)]
        return [*itertools.chain.from_iterable(self._joined(parts))]

    def _joined(self, parts: list[str]) -> Iterator[list[Piece]]:
        """Yield the pieces of a text that was taken apart; what is between them stays as it is."""
        # A joint may stand inside a template, such as that of a definition of two sentences: the longest run that is
        # known is taken.
        place = 0
        while place < len(parts):
            for end in range(len(parts), place + 1, -2):
                run = self._found("".join(parts[place:end]), self._sure)
                if run is not None:
                    break
            else:
                end, run = place + 1, self._found(parts[place], self._sure)
            yield [self._loose(parts[place]) if run is None else Piece(run, known=True)]
            if end < len(parts):
                yield [Piece(parts[end], known=True)]
            place = end + 1

    def _loose(self, english: str) -> Piece:
        """Return a piece by a template whose holes hold something unknown: a name of the caller's."""
        missed: list[str] = []
        text = self._found(english, lambda stem: self._daring(stem, missed))
        if text is None:
            return Piece(english, known=False, missed=(english,))
        return Piece(text, known=True, missed=tuple(missed))

    def _found(self, english: str, find: Callable[[str], str | None]) -> str | None:
        """Return what stands for a text as it is, without its full stop, or without its capital letter."""
        stem = english.strip()
        if not any(letter.isalpha() for letter in _NUMBER.sub("", stem)):  # the e of 1.5e+17 is no word
            return self.figures(english)
        # Without its stop first, which would else end up inside a hole: "the complete {}" of "the complete months.".
        bare = find(stem[:-1]) if stem[-1] in ".:" and stem not in self.texts else None
        return find(stem) if bare is None else bare + stem[-1]

    def _sure(self, stem: str) -> str | None:
        """Return what stands for a text all of whose parts are known."""
        return _as_written(stem, lambda text: self._exact(text) or self._matched(text))

    def _daring(self, stem: str, missed: list[str]) -> str | None:
        """Return what stands for a text that holds something unknown, which is added to `missed`."""
        return _as_written(stem, lambda text: self._matched(text, missed))

    def _exact(self, english: str) -> str | None:
        """Return the text of exactly these words, or of these words with other numbers."""
        if english in self.texts and "{}" not in english:
            return self.texts[english]
        figures = [found[0] for found in _FIGURES.finditer(english)]
        other = self.texts.get(_FIGURES.sub("{}", english)) if figures else None
        return None if other is None else _filled(other, [self.figures(figure) for figure in figures])

    def _matched(self, english: str, missed: list[str] | None = None) -> str | None:
        """Return the text by the closest template whose holes hold numbers, dates or known words.

        Args:
            english: The text.
            missed: None; or a list that takes what is unknown in the holes, where a template may hold that.
        """
        for template in self._templates:
            found = _pattern(template.english).fullmatch(english) if template.fragment in english else None
            if found is None:
                continue
            held = {part: self._held(part) for part in found.groups()}
            unknown = [part for part, text in held.items() if text is None]
            # "{} customers" is no template of whatever ends with that word.
            if unknown and (missed is None or template.weight < max(_FIRM, sum(map(len, unknown)))):
                continue
            if missed is not None:
                held.update((part, self._inner(part, missed)) for part in unknown)
            return _filled(template.other, [held[part] or self.figures(part) for part in found.groups()])
        return None

    def _inner(self, part: str, missed: list[str]) -> str | None:
        """Return what a hole holds by a template that holds something unknown itself; else None, and it is missed."""
        inner: list[str] = []
        text = self._found(part, lambda stem: self._daring(stem, inner))
        missed += [part] if text is None else inner
        return text

    def _held(self, part: str) -> str | None:
        """Return what a hole holds, or None where it is unknown."""
        return self._found(part, self._sure)

    def figures(self, english: str) -> str:
        """Return a text whose dates and numbers are written in the form of the language."""
        dated = with_dates(english, self.forms)
        return _NUMBER.sub(lambda found: self.forms.digits(found[0]), dated).replace(" %", "\N{NO-BREAK SPACE}%")


def with_dates(text: str, written: Forms) -> str:
    """Return a text whose dates, written as 1997-01-31, are in the form of a language."""

    def said(found: re.Match[str]) -> str:
        """Return a date in the form of the language."""
        try:
            return written.date(dt.date(*map(int, found.groups())))
        except ValueError:  # 1997-13-45 is no date
            return found[0]

    return _DATE.sub(said, text)


def _as_written(stem: str, find: Callable[[str], str | None]) -> str | None:
    """Return what is found for a text or, if it begins with a capital letter, for the same without that."""
    said = find(stem)
    if said is None and stem[0].isupper():
        said = find(stem[0].lower() + stem[1:])
        return said if said is None else said[:1].upper() + said[1:]
    return said


def _measured(english: str) -> tuple[str, int]:
    """Return the longest stretch of a template between its holes, and how many letters there are in all."""
    fragments = english.split("{}")
    return max(fragments, key=len), sum(map(len, fragments))


@lru_cache(maxsize=4_096)
def _pattern(english: str) -> re.Pattern[str]:
    """Return the pattern of the texts of a template."""
    return re.compile("(.+?)".join(map(re.escape, english.split("{}"))), re.DOTALL)


def _filled(template: str, parts: list[str]) -> str:
    """Return a template with its holes filled: {} in order, {0} by number."""
    order = itertools.count()
    return _HOLE.sub(lambda hole: parts[int(hole[1]) if hole[1] else next(order)], template)
