"""Texts of the caller's, made safe to show: nothing invisible, nothing that turns the writing around, not too long."""

from __future__ import annotations

import unicodedata

__all__ = ["shortened", "visible", "whole"]

_KEPT = 2_000  # letters of a name that are kept for who asks for all of it
_JOINERS = {"\u200c", "\u200d"}  # hold emoji and Persian words together
_BLANKS = {"Zs", "Zl", "Zp"}


def visible(text: object) -> str:
    r"""Return a text without control characters, lone surrogates, or marks that change the direction of writing.

    Line breaks and tabs become spaces, and a run of spaces one.

    Examples:
        >>> visible("tab\there \u202egnp.exe"), visible("half \ud83d")
        ('tab here gnp.exe', 'half \ufffd')
    """
    whole = str(text)
    # Whoever cleans five thousand letters per cell waits: a plain text is known without looking at each.
    if not (whole.isascii() and whole.isprintable()):
        whole = "".join(map(_shown, whole))
    return " ".join(whole.split())


def _shown(letter: str) -> str:
    """Return what stands for a character: itself, a space, nothing, or the sign of a broken one."""
    kind = unicodedata.category(letter)
    if kind == "Cs" or letter in {"\ufffe", "\uffff"}:
        return "\ufffd"
    if kind in _BLANKS or letter in "\t\n\r\x0b\x0c\x85":
        return " "
    return "" if kind in {"Cc", "Cf"} and letter not in _JOINERS else letter


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, its middle left out: names often differ at their ends.

    Examples:
        >>> shortened("abcdefghij", 7), shortened("short", 7)
        ('abc…hij', 'short')
    """
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head].rstrip()}…{text[len(text) - (limit - 1 - head) :].lstrip()}"


def whole(text: str) -> str:
    """Return a text as long as a reader may ask for: all of it, but for the middle of a monstrous one."""
    return shortened(text, _KEPT)
