"""A document as one HTML page that needs nothing but itself; the only place that knows the template."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from loyalty.errors import InvalidArgument
from loyalty.reporting.document import (
    Block,
    Column,
    DataTable,
    Document,
    Library,
    Notice,
    Picture,
    Quantity,
    Said,
    Section,
    Span,
    Term,
    Verbatim,
)
from loyalty.reporting.rendering import colours
from loyalty.reporting.rendering.language import Language, language

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]

Progress = Callable[[int, int], None]

# What a browser is told to refuse, were a name ever to get past the escaping: all but this page's own parts.
_POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)

# A ring, three quarters of it full.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' fill='none' stroke-width='7'%3E"
    "%3Ccircle cx='16' cy='16' r='11' stroke='%2356B4E9' stroke-opacity='.35'/%3E"
    "%3Cpath d='M16 5a11 11 0 1 1-11 11' stroke='%230072B2'/%3E%3C/svg%3E"
)


def render(document: Document, code: str = "en", *, progress: Progress | None = None) -> str:
    """Return a document as a page of HTML.

    Args:
        document: What the page says.
        code: The language it says it in: "en" or "es".
        progress: Called with the number of pictures drawn so far and of all, or None.

    Returns:
        The page, to be written as UTF-8.

    Raises:
        InvalidArgument: There is no such language, or the document names a sentence or a definition that is not there.

    Examples:
        >>> page = render(Document(title=Said("page.contents"), subtitle=Said("page.private"), sections=()))
        >>> page.startswith("<!doctype html>"), "://" in page.replace("http://www.w3.org", "")
        (True, False)
    """
    spoken = language(code, document.currency)
    script = _part("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _Page(document, spoken, progress)
    page.check()
    text: str = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            document=document,
            language=spoken,
            say=spoken.say,
            text=spoken.text,
            plain=spoken.plain,
            style=Markup(colours.css() + _part("style.css")),  # noqa: S704 (files of this package)
            script=Markup(script),  # noqa: S704 (a file of this package)
            policy=_POLICY.format(script=digest),
        )
    )
    return text.lstrip()  # macros leave their line ends


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Return the templates of this package: every value is escaped, and a name that is not there is an error."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("loyalty.reporting.rendering"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=8)
def _part(name: str) -> str:
    """Return a file that stands beside the template."""
    return (resources.files("loyalty.reporting.rendering") / "templates" / name).read_text("utf-8")


@dataclass(frozen=True, slots=True)
class _Figure:
    """A picture as the template places it."""

    drawings: tuple[Any, ...]
    keys: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class _Notices:
    """Several notices as one list."""

    notices: tuple[Any, ...]


class _Page:
    """What the template asks: kinds of blocks, ids that no other part has, pictures, cells."""

    def __init__(self, document: Document, spoken: Language, progress: Progress | None) -> None:
        self._document = document
        self._language = spoken
        self._progress = progress
        self._ids = 0
        self._drawn = 0
        self._pictures = sum(isinstance(block, Picture) for block in _blocks(document))
        self._terms = {term.anchor: term for term in document.terms}

    def check(self) -> None:
        """Raise where a headline points at a definition that is not there."""
        for block in _blocks(self._document):
            for headline in getattr(block, "headlines", ()):
                self.term(headline.term)

    def term(self, anchor: str) -> Term:
        """Return a definition by its anchor."""
        if anchor not in self._terms:
            raise InvalidArgument(
                f'a headline points at the definition "{anchor}", which the document has not: '
                f"it has {', '.join(sorted(self._terms)) or 'none'}."
            )
        return self._terms[anchor]

    def fresh(self) -> str:
        """Return an id that nothing else on the page has: anchors of sections begin with a letter of theirs."""
        self._ids += 1
        return f"id-{self._ids}"

    @property
    def icon(self) -> str:
        """Return the page's icon as an address that holds all of it: without one, browsers ask the server for one."""
        return _ICON

    def scrolls(self, what: str, caption: Any) -> Said:
        """Return the name of a box that scrolls sideways: of a "table" or a "picture"."""
        return Said(f"page.{what}_scrolls", {"caption": caption})

    def side(self, column: Column) -> str:
        """Return the classes of a column's cells: figures stand at the right, names of the caller's stay as is."""
        own = " own" if isinstance(column.label, Verbatim) else ""
        return ("words" if column.kind in {"text", "date"} else "figures") + own

    def order(self, column: Column) -> str:
        """Return how a column is sorted: as numbers, or as text (dates are, as 1997-01-31)."""
        return "text" if column.kind in {"text", "date"} else "number"

    def sorted(self, column: Column, way: str) -> Said:
        """Return what is announced when a table was sorted by a column, "up" or "down"."""
        return Said(f"page.sorted_{way}", {"column": column.label})

    @staticmethod
    def kind(block: Block | _Notices) -> str:
        """Return which macro of the template writes a block."""
        return type(block).__name__.lower().removeprefix("_")

    @staticmethod
    def blocks(section: Section) -> Iterator[Block | _Notices]:
        """Yield the blocks of a section; notices that follow each other are one."""
        for alike, group in itertools.groupby(section.blocks, lambda block: isinstance(block, Notice)):
            found = tuple(group)
            if alike and len(found) > 1:
                yield _Notices(found)
            else:
                yield from found

    def figure(self, picture: Picture) -> _Figure:
        """Return a picture, drawn."""
        from loyalty.reporting.rendering.pictures import drawn

        drawings, keys = drawn(picture, self._language, self.fresh())
        self._drawn += 1
        if self._progress is not None:
            self._progress(self._drawn, self._pictures)
        said = tuple(self._language.text(Library(key)) for key in keys)
        shown = tuple((drawing, Markup(drawing.svg)) for drawing in drawings)  # noqa: S704 (matplotlib escapes)
        return _Figure(shown, said)

    def cell(self, value: Any, kind: str) -> Markup:
        """Return what a cell shows."""
        return self._language.cell(value, kind)

    def rank(self, value: Any) -> str | None:
        """Return what a cell is sorted by, as text; None is last whichever way."""
        if isinstance(value, Span):
            value = value.low
        if isinstance(value, Quantity):
            value = value.value
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            # Twelve digits: the order in which an engine adds up moves those after them, and pages would differ.
            return f"{value:.12g}" if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
        return value.isoformat() if isinstance(value, dt.date) else self._language.plain(value)

    def interval(self, confidence: float, span: Span) -> Said | None:
        """Return the sentence of an interval, or None where it has no ends."""
        if math.isnan(span.low) and math.isnan(span.high):
            return None
        return Said("page.interval", {"level": Quantity(confidence, "level"), "span": span})


def _blocks(document: Document) -> Iterator[Block | DataTable]:
    """Yield every block of a document."""
    for section in document.sections:
        yield from section.blocks
