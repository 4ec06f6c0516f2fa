"""The catalogues hold the same sentences with the same values, and every one of them is said somewhere."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import loyalty
from loyalty.reporting.rendering.catalogue import catalogue, codes

_ROOM = Path(loyalty.__file__).parent / "reporting"
_ANY = "[a-z0-9_.]+"
_PLACE = re.compile(r"\{(\w*)\}")


@cache
def said_keys():
    """Return keys that the code says as they are, and patterns of those it puts together."""
    whole, made = set(), []
    for file in _ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                made.append("".join(map(_part, node.values)))
    for file in _ROOM.rglob("*.jinja"):
        whole.update(re.findall(r'say\("([^"]+)"', file.read_text("utf-8")))
    # Texts put together of nothing but values would match every key.
    return whole, [re.compile(pattern) for pattern in made if re.search("[a-z]{3}", pattern.replace(_ANY, ""))]


def _part(node):
    """Return a pattern of what a part of an f-string may be."""
    if isinstance(node, ast.Constant):
        return re.escape(node.value)
    if isinstance(node.value, ast.IfExp):
        ways = (node.value.body, node.value.orelse)
        return f"({'|'.join(re.escape(way.value) if isinstance(way, ast.Constant) else _ANY for way in ways)})"
    return _ANY


def test_there_are_two_languages():
    assert codes() == ("en", "es")


def test_both_catalogues_have_the_same_keys():
    assert catalogue("en").sentences.keys() == catalogue("es").sentences.keys()


@pytest.mark.parametrize("key", sorted(catalogue("en").sentences))
def test_a_sentence_names_the_same_values_in_both_languages(key):
    english, spanish = (catalogue(code).sentences[key] for code in ("en", "es"))
    assert len(english) == len(spanish)
    # The singular may leave the number out: "one customer".
    assert set(_PLACE.findall(english[-1])) == set(_PLACE.findall(spanish[-1]))
    assert all(text.strip() for text in (*english, *spanish))


def test_every_key_is_said_somewhere():
    whole, made = said_keys()
    keys = catalogue("en").sentences
    unused = [key for key in keys if key not in whole and not any(pattern.fullmatch(key) for pattern in made)]
    assert unused == []


def test_every_key_that_is_said_is_in_the_catalogue():
    called = set()
    for file in _ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in {"said", "Said"} and node.args and isinstance(node.args[0], ast.Constant):
                called.add(node.args[0].value)
    assert called
    assert called - catalogue("en").sentences.keys() == set()


@pytest.mark.parametrize("code", codes())
def test_what_stands_for_a_template_fills_its_holes(code):
    for english, other in catalogue(code).library.items():
        holes = english.count("{}")
        numbers = [int(number) for number in _PLACE.findall(other) if number]
        assert other.strip(), english
        assert all(number < holes for number in numbers), english
        # "the only customer" may leave its number out.
        assert numbers or other.count("{}") in {0, holes}, english
