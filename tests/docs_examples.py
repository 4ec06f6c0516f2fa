"""Runs the Python blocks of a Markdown page, from top to bottom in one namespace."""

import doctest
import re
from contextlib import suppress
from pathlib import Path
from unittest import SkipTest

from sybil.document import Document
from sybil.evaluators.doctest import NUMBER
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | NUMBER

MARKS = re.compile(r"<!-- *pytest: *(\w+) *-->")
FENCE = re.compile(r"^ *(?:```+|~~~+) *(\S[^`\n]*)$", re.MULTILINE)


def marks(page: Path) -> list[str]:
    """Return the marks that a page asks for: `<!-- pytest: engines -->` where it needs a server, or `slow`."""
    return MARKS.findall(page.read_text(encoding="utf-8"))


def odd_fences(page: Path) -> list[str]:
    """Return the fences that look like Python but would be passed over, not being called `python`."""
    found = (fence.strip() for fence in FENCE.findall(page.read_text(encoding="utf-8")))
    return [fence for fence in found if re.match(r"(i?py|\{)", fence, re.IGNORECASE) and fence != "python"]


def run(page: Path) -> int:
    """Run the blocks of a page, those that start with `>>>` as doctests; return how many were found.

    `<!-- skip: next "why" -->` before a block leaves it out.
    """
    document = Document.parse(str(page), PythonCodeBlockParser(doctest_optionflags=OPTIONS), SkipParser())
    examples = list(document.examples())
    for example in examples:
        with suppress(SkipTest):
            example.evaluate()
    return len(examples)
