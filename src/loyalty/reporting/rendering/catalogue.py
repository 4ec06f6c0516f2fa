"""Catalogues: every sentence of the page in a language, read from its PO file."""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

__all__ = ["Catalogue", "catalogue", "codes"]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The words of a language.

    Attributes:
        code: The language, such as "es".
        sentences: By key, the forms of each sentence: one, or one per plural of the language.
        plural: The form that a number takes: 0, 1, …
        library: By English template, what the library's own texts are in this language.
    """

    code: str
    sentences: Mapping[str, tuple[str, ...]]
    plural: Callable[[int], int]
    library: Mapping[str, str]


@lru_cache(maxsize=1)
def codes() -> tuple[str, ...]:
    """Return the languages there are, by code: a PO file each."""
    names = (place.name for place in (resources.files("loyalty.reporting.rendering") / "words").iterdir())
    return tuple(sorted(name.removesuffix(".po") for name in names if name.endswith(".po")))


@lru_cache(maxsize=8)
def catalogue(code: str) -> Catalogue:
    """Return the catalogue of a language, read once."""
    from babel.messages import pofile

    place = resources.files("loyalty.reporting.rendering") / "words" / f"{code}.po"
    with place.open("rb") as file:
        messages: Any = pofile.read_po(file, abort_invalid=True)
    sentences: dict[str, tuple[str, ...]] = {}
    library: dict[str, str] = {}
    for message in messages:
        if not message.id:
            continue  # the header
        key = message.id[0] if message.pluralizable else message.id
        if message.context == "library":
            library[re.sub(r"\{\w*\}", "{}", key)] = message.string
        else:
            sentences[key] = tuple(message.string) if message.pluralizable else (message.string,)
    plural: Callable[[int], int] = gettext.c2py(messages.plural_expr)
    return Catalogue(code, sentences, plural, library)
