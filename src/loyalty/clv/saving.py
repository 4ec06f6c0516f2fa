"""Fitted models as JSON files: written whole or not at all, read with every value checked; nothing in a file is run.

A file is an object with the keys

- `format`, always "loyalty-model", and `version`, the version of what is described here;
- `library`, the version of the library that wrote it;
- `model`, a key of `_HOMES`;
- `content`, what the model's `to_dict()` returned;
- `digest`, the SHA-256 of the other keys, so that a file that was damaged or edited is noticed.

To make another kind of model saveable, give its class `to_dict()`, whose values are JSON-ready, and a class method
`from_dict(content)`, and name it in `_HOMES`. By the time `from_dict` is called, the content is known to be of bounded
size and depth, without numbers that are not finite and without a key given twice, and every fit in it has been checked;
the class checks the rest and raises `InvalidArgument`. What it makes must give the same content again.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from loyalty.errors import InvalidArgument, InvalidModelFile, LoyaltyError, OutputError
from loyalty.writing import write

__all__ = ["load", "save"]

FORMAT = "loyalty-model"
VERSION = 1
MOST_BYTES = 4_000_000
MOST_DEPTH = 32
_FARTHEST = 1e120  # sums of money are below 1e100, and γ is one

# Model → room and class that its content is read by.
_HOMES = {
    **dict.fromkeys(("BGNBD", "MBGNBD", "ParetoNBD", "GGomNBD", "NBD"), ("models.lifetime", "LifetimeFit")),
    "BGBB": ("models.discrete_predictions", "BGBBFit"),
    **dict.fromkeys(("SBG", "BDW"), ("models.contract_predictions", "ContractFit")),
    "GammaGamma": ("models.spend", "SpendFit"),
    "MeanSpend": ("models.mean_spend", "MeanSpend"),
    "CLVModel": ("valuation.value", "CLVModel"),
}
_KEYS = ("format", "version", "library", "model", "content", "digest")
_TIMES = ("day", "week", "month", "year")
_DURATION = re.compile(r"[1-9]\d{0,6}[dw]")
_FIT = ("model", "params", "log_covariance")  # what every fit holds, and nothing else
_WHAT_TO_DO = "Save the model again with save(), and copy files as they are."
# What a class may raise on content that it did not expect.
_REFUSALS = (LoyaltyError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
# Texts, of which a closing quote may be missing, and brackets. Each character is looked at once.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def save(fit: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a JSON file, which `load` reads back.

    The file is written beside its place and then moved there, so that nobody ever reads half of one.

    Args:
        fit: A fit, or the model that `fit_clv` returns.
        path: Where to; a file that is there already is replaced.

    Raises:
        InvalidArgument: `fit` is no fitted model, or one that cannot be saved.
        InvalidModelFile: The file cannot be written.

    Examples:
        >>> from loyalty.clv.models.spend import GammaGamma
        >>> from loyalty.clv.summaries.spend_cells import SpendCells
        >>> fit = GammaGamma().fit(SpendCells.of([1, 1, 1, 2, 2, 5, 9, 9], [5, 90, 20, 12, 60, 20, 55, 15]))
        >>> save(fit, "spend.json")
        >>> load("spend.json").params == fit.params
        True
    """
    model = getattr(fit, "model", type(fit).__name__)
    if model not in _HOMES or not isinstance(fit, _home(model)):
        raise InvalidArgument(
            f"{type(fit).__name__} is no fitted model: pass what fit() or fit_clv() returned (of {', '.join(_HOMES)})."
        )
    from loyalty import __version__

    head = {"format": FORMAT, "version": VERSION, "library": __version__, "model": model}
    told = fit.to_dict()
    try:
        # By way of text, since tuples come back as lists; numbers that are not finite are refused.
        content = json.loads(json.dumps(told, allow_nan=False))
        _restored(model, content)
        document = {**head, "content": content}
        text = json.dumps({**document, "digest": _digest(document)}, indent=2, allow_nan=False)
    except (ValueError, TypeError) as err:
        raise InvalidArgument(f"this {model} cannot be saved: {err} Fit it again.") from err
    name = _named(path)
    try:
        write(name, text.encode() + b"\n")
    except OutputError as err:
        raise InvalidModelFile(str(err)) from err


def load(path: str | os.PathLike[str]) -> Any:
    """Return the fitted model that `save` wrote. Nothing in the file is run.

    Args:
        path: The file.

    Returns:
        A fit, or a model as `fit_clv` returns it, which says and predicts the same as the one that was saved.

    Raises:
        InvalidModelFile: There is no such file, it holds no saved model, was damaged or edited, or was written by a
            later version of the library.

    Examples:
        >>> import pandas as pd, loyalty as ly
        >>> people = pd.DataFrame({"frequency": [0, 0, 1, 2], "recency": [0, 0, 3, 20], "T": [39, 30, 38, 30]})
        >>> fit = ly.NBD(l2=0.1).fit(ly.CustomerSummary.of(people, unit="week"))
        >>> fit.save("nbd.json")
        >>> ly.load("nbd.json").expected_purchases(frequency=2, recency=20, age=30, horizon="52w") > 1
        True
    """
    name = _named(path)
    document = _parsed(name, _read(name))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        _refuse(name, f'is no saved model: it has no format "{FORMAT}".')
    version = document.get("version")
    if type(version) is int and version > VERSION:
        _refuse(
            name,
            f"was written by a later version of the library ({document.get('library')!r:.50}, format {version}): this "
            f"one reads formats up to {VERSION}.",
            "Update loyalty.",
        )
    if version != VERSION or type(version) is not int or set(document) != set(_KEYS):
        _refuse(name, f"is not laid out as a saved model: it must hold {', '.join(_KEYS)}.")
    if document.pop("digest") != _digest(document):
        _refuse(name, "was changed or damaged after it was saved: its digest does not fit.")
    model, content = document["model"], document["content"]
    if not isinstance(model, str) or model not in _HOMES:
        _refuse(name, f"holds a model that is not known: {model!r:.50}. Known are {', '.join(_HOMES)}.")
    try:
        return _restored(model, content)
    except _REFUSALS as err:
        raise InvalidModelFile(f"{name!r} holds no valid {model}: {err} {_WHAT_TO_DO}") from err


def _home(model: str) -> Any:
    """Return the class that reads a model's content, loading its room."""
    room, name = _HOMES[model]
    return getattr(importlib.import_module(f"loyalty.clv.{room}"), name)


def _restored(model: str, content: Any) -> Any:
    """Return the model of a content, every value checked."""
    if not isinstance(content, dict) or content.get("model") != model:
        raise InvalidArgument(f"its content is not that of a {model}.")
    for fit in _fits(content):
        _check_fit(fit)
    restored = _home(model).from_dict(content)
    if json.loads(json.dumps(restored.to_dict(), allow_nan=False)) != content:
        raise InvalidArgument("it says more than such a model does, or less.")
    return restored


def _fits(content: Any) -> Iterator[dict[str, Any]]:
    """Return the fits in a content, itself among them."""
    if isinstance(content, dict):
        if all(name in content for name in _FIT):
            yield content
        for part in content.values():
            yield from _fits(part)
    elif isinstance(content, list):
        for part in content:
            yield from _fits(part)


def _check_fit(fit: Mapping[str, Any]) -> None:
    """Raise where a fit cannot be; what only its class knows, the class checks."""
    model, unit = fit["model"], fit.get("unit")
    if not isinstance(model, str) or model not in _HOMES:
        raise InvalidArgument(f"{model!r:.50} is no known model.")
    if not isinstance(unit, str) or not _unit_fits(model, unit):
        raise InvalidArgument(f"{unit!r:.50} is no unit of a {model}.")
    if not isinstance(fit["params"], dict) or not all(_is_size(value) for value in fit["params"].values()):
        raise InvalidArgument("a parameter is no positive number, or out of all measure.")
    _check_covariance(fit["log_covariance"], len(fit["params"]))
    for name, low in (("customers", 0.0), ("l2", 0.0), ("evaluations", 0.0), ("log_likelihood", -math.inf)):
        value = fit.get(name)
        if not _is_number(value) or value < low:  # type: ignore[operator]
            raise InvalidArgument(f"{name} is missing or cannot be.")


def _check_covariance(rows: Any, size: int) -> None:
    """Raise where a matrix is no covariance of as many parameters."""
    if not isinstance(rows, list) or [len(row) if isinstance(row, list) else -1 for row in rows] != [size] * size:
        raise InvalidArgument("its covariance has not a row and a column per parameter.")
    if not all(_is_number(value) for row in rows for value in row):
        raise InvalidArgument("its covariance holds something that is no number.")
    matrix = np.array(rows, dtype=np.float64)
    largest = float(np.abs(matrix).max(initial=0.0))
    if largest > _FARTHEST:
        raise InvalidArgument("its covariance is out of all measure.")
    if np.abs(matrix - matrix.T).max(initial=0.0) > 1e-9 * largest:
        raise InvalidArgument("its covariance is not symmetric.")
    if largest and np.linalg.eigvalsh(matrix / largest).min() < -1e-9 * size:
        raise InvalidArgument("its covariance gives something a negative variance.")


def _unit_fits(model: str, unit: str) -> bool:
    """Return whether a model may have its times in a unit."""
    if _HOMES[model][1] == "LifetimeFit":
        return unit in _TIMES
    if model == "GammaGamma":
        return unit == ""
    return unit in {"", "period", "quarter", *_TIMES} or bool(_DURATION.fullmatch(unit))


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and no truth value."""
    return type(value) in (int, float) and math.isfinite(value)


def _is_size(value: Any) -> bool:
    """Return whether a value is a number above 0 whose square and whose product with others are numbers too."""
    return _is_number(value) and 1.0 / _FARTHEST < value < _FARTHEST


def _digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document, the same however it is spaced and ordered."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _named(path: Any) -> str:
    """Return a path as text, or raise where it is none: a number would be taken for an open file."""
    try:
        name = os.fspath(path)
    except TypeError:
        name = None
    if not isinstance(name, str) or not name or "\0" in name:
        raise InvalidModelFile(f"{path!r:.200} is no path of a file: pass the one that the model was saved to.")
    return name


def _refuse(name: str, what: str, remedy: str = _WHAT_TO_DO) -> NoReturn:
    """Raise the error for a file."""
    raise InvalidModelFile(f"{name!r} {what} {remedy}")


def _read(name: str) -> str:
    """Return the text of a file, no more of it than a model may have."""
    try:
        if not stat.S_ISREG(Path(name).stat().st_mode):  # reading a pipe or a device might never end
            _refuse(name, "is no ordinary file.", "Pass the file that the model was saved to.")
        with Path(name).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as err:
        raise InvalidModelFile(
            f"{name!r} cannot be read: {err.strerror or err}. Pass the file that the model was saved to."
        ) from err
    if len(data) > MOST_BYTES:
        _refuse(name, f"is no saved model: it has more than {MOST_BYTES:,} bytes.", "Pass another file.")
    try:
        return data.decode()
    except UnicodeDecodeError as err:
        raise InvalidModelFile(f"{name!r} is no saved model: it is not text in UTF-8. {_WHAT_TO_DO}") from err


def _parsed(name: str, text: str) -> Any:
    """Return the values of a JSON text; an error for what JSON does not have, and for what only a trap would hold."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > MOST_DEPTH:
            _refuse(name, f"is no saved model: it is nested more than {MOST_DEPTH} deep.")
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError) as err:
        raise InvalidModelFile(f"{name!r} is no saved model: {err}. {_WHAT_TO_DO}") from err


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, or raise where a key is given twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON: what is not defined is spelled null")


def _finite(text: str) -> float:
    """Return a number, or raise where it is too large to be one."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.30} is too large")
    return value


def _whole(text: str) -> int:
    """Return a whole number, or raise where it is too large to count anything."""
    if len(text) > 18:
        raise ValueError(f"{text:.30} is too large")
    return int(text)
