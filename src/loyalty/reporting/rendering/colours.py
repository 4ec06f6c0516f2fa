"""Colours of the page on light and on dark paper; those of pictures follow them by CSS variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["DARK", "LIGHT", "by_variable", "css", "foreign"]

# The colours of charts are those of loyalty.plots.paper: Okabe & Ito's blue and vermilion, sky blue and orange.
LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "ground": "#f5f6f8",
    "ink": "#1a1a1a",
    "muted": "#5c626b",
    "line": "#dfe2e7",
    "strong-line": "#8a919b",
    "tint": "#eef5fa",
    "accent": "#0b5c8f",
    "first": "#0072B2",
    "second": "#D55E00",
    "second-text": "#ad4b00",
    "notice": "#fdf3e3",
    "notice-line": "#E69F00",
}
DARK: Mapping[str, str] = {
    "paper": "#191d23",
    "ground": "#111418",
    "ink": "#f0f1f3",
    "muted": "#a9b0ba",
    "line": "#2f353e",
    "strong-line": "#6f7782",
    "tint": "#1d2a36",
    "accent": "#7cc4ee",
    "first": "#56B4E9",
    "second": "#E69F00",
    "second-text": "#f0b132",
    "notice": "#2b2415",
    "notice-line": "#b57f0a",
}
_MUTED_OF_CHARTS = "#636363"
_STEP = 5  # percent between two greys
_HEX = re.compile(r"#([0-9a-fA-F]{6})\b")
_STYLES = re.compile(r'style="[^"<>]*"')
_INK, _PAPER = 0x1A, 0xFF


def css() -> str:
    """Return the rules that set the variables: dark where the reader's system or the page's button says so."""
    light, dark = (_rules(colours) for colours in (LIGHT, DARK))
    # Paper is light, whatever the screen was: dark holds on screens only.
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n"
        f"@media screen and (prefers-color-scheme:dark)"
        f"{{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
    )


def _rules(colours: Mapping[str, str]) -> str:
    """Return the variables of a paper, with the greys between paper and ink."""
    mixes = {f"mix-{share}": _mixed(colours["paper"], colours["ink"], share) for share in range(_STEP, 100, _STEP)}
    return "".join(f"--{name}:{colour};" for name, colour in {**colours, **mixes}.items())


def _mixed(paper: str, ink: str, share: int) -> str:
    pairs = ((int(paper[place : place + 2], 16), int(ink[place : place + 2], 16)) for place in (1, 3, 5))
    return "#" + "".join(f"{round(low + (high - low) * share / 100):02x}" for low, high in pairs)


def by_variable(svg: str, *, text: bool) -> str:
    """Return a part of a picture drawn on light paper, its colours replaced by the page's variables.

    Args:
        svg: The part.
        text: Whether the colours are those of letters, which need more contrast than bars do.
    """
    return _HEX.sub(lambda found: _variable(found[0].lower(), text=text), svg)


def _variable(colour: str, *, text: bool) -> str:
    """Return the variable that stands for a colour of charts, or the colour itself where there is none."""
    names = {LIGHT["first"].lower(): "first", LIGHT["second"].lower(): "second", _MUTED_OF_CHARTS: "muted"}
    name = names.get(colour) or _grey(colour)
    return colour if name is None else f"var(--{name}{'-text' if text and name == 'second' else ''})"


def _grey(colour: str) -> str | None:
    """Return the name of a grey: ink, paper, or the nearest step between them."""
    red, green, blue = colour[1:3], colour[3:5], colour[5:7]
    if not red == green == blue:
        return None
    share = (_PAPER - int(red, 16)) / (_PAPER - _INK) * 100
    step = round(share / _STEP) * _STEP
    return "ink" if step >= 100 else f"mix-{step}" if step > 0 else "paper"


def foreign(svg: str) -> bool:
    """Return whether a picture holds colours of its own, or shades: it must then be drawn for each paper."""
    held = {found.lower() for style in _STYLES.findall(svg) for found in _HEX.findall(style)}
    return "<image" in svg or any(_variable(f"#{colour}", text=False)[0] == "#" for colour in held)
