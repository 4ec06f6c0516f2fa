"""A picture as matplotlib wrote it, made fit to stand inside a page: small, without ids that meet, with its text."""

from __future__ import annotations

import re

from markupsafe import escape

from loyalty.reporting.rendering import colours

__all__ = ["fitted"]

_SCALE = 1.54  # pixels per point: 7.2 inches fill the page
_HEAD = re.compile(r"<svg\b[^>]*>")
_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'url\(#([^)"]+)\)|href="#([^"]+)"')
_FAMILY = re.compile(r" ?font-family: [^;\"]*;?")
_LONG = re.compile(r"(-?\d+\.\d)(\d)\d+")  # decimals below a hundredth of a point are seen by nobody
_UNTURNED = re.compile(r' transform="rotate\(-?0(?:\.0+)? [^"]*\)"')
_TAG = re.compile(r"<[^>]*>")
_EMPTY = re.compile(r"<g>\s*</g>|<defs>\s*</defs>|<defs\s*/>")
_BLANKS = re.compile(r">\s+<")


def fitted(raw: str, prefix: str, label: str, *, variables: bool) -> str:
    """Return the inside of a picture's SVG with a head of its own, ready to be put into a page.

    Args:
        raw: What matplotlib wrote.
        prefix: What every id begins with, one per picture: several pictures share the ids of a page.
        label: What is to be seen, in words.
        variables: Whether colours become the page's variables.

    Returns:
        An `<svg>` with `viewBox` and size, which screen readers take for an image that `label` describes.
    """
    head = _HEAD.search(raw)
    size = _SIZE.search(raw)
    if head is None or size is None:
        raise ValueError("matplotlib wrote no SVG with a viewBox")  # a bug here, not the caller's
    inside = raw[head.end() : raw.rindex("</svg>")]
    for unwanted in (_COMMENT, _METADATA, _STYLE):
        inside = unwanted.sub("", inside)
    used = {first or second for tag in _TAG.findall(inside) for first, second in _REFERENCE.findall(tag)}
    # Only tags are changed, never what stands between them: a name may read ' id="x"', for quotes need no escape there.
    inside = _TAG.sub(lambda tag: _tag(tag[0], prefix, used, variables=variables), inside)
    inside = _BLANKS.sub("><", inside)
    while _EMPTY.search(inside):
        inside = _EMPTY.sub("", inside)
    width, height = (float(length) for length in size.groups())
    shape = f'viewBox="0 0 {width:g} {height:g}" width="{width:.0f}" height="{height:.0f}"'
    # All pictures are shown at one scale, so that their letters are of one size.
    shape += f' style="max-width:{width * _SCALE:.0f}px"'
    return f'<svg role="img" aria-label="{escape(label)}" {shape}>{inside.strip()}</svg>'


def _tag(tag: str, prefix: str, used: set[str], *, variables: bool) -> str:
    """Return a tag with ids of its own, those that nothing refers to left out, and with the page's colours."""
    tag = tag.replace("xlink:href", "href")
    tag = _ID.sub(lambda found: f' id="{prefix}{found[1]}"' if found[1] in used else "", tag)
    tag = _REFERENCE.sub(lambda found: found[0].replace("#", f"#{prefix}", 1), tag)
    if tag.startswith("<image"):  # the picture in it is text too, and none to be shortened
        return tag
    tag = _short(tag)
    return colours.by_variable(tag, text=tag.startswith("<text")) if variables else tag


def _short(tag: str) -> str:
    """Return a tag without what a page does not need."""
    tag = _UNTURNED.sub("", tag)
    if tag.startswith("<text"):
        tag = _FAMILY.sub("", tag)
    tag = " ".join(tag.split()).replace('" >', '">').replace(' style=""', "")
    return _LONG.sub(r"\1\2", tag).replace(": ", ":").replace("; ", ";").replace(' z"', 'z"')
