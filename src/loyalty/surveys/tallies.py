"""Answers on the 0 to 10 scale become counts and sums of weights, a row per group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from loyalty.errors import InvalidArgument, InvalidRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loyalty.surveys.answers import Answers

__all__ = ["Tally", "tally"]

# What a row is. The first three, less one, are also the row's part in promoters − detractors.
_DETRACTOR, _PASSIVE, _PROMOTER, _MISSING, _OFF_SCALE = range(5)
_CLASSES = 5
_CLASS_OF = np.array([_DETRACTOR] * 7 + [_PASSIVE] * 2 + [_PROMOTER] * 2)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted, a row per group (one row where there are none).

    Attributes:
        counts: Rows by class (detractor, passive, promoter, missing, off the scale), shape (groups, 5).
        sums: Weights of detractors, passives and promoters, shape (groups, 3); without weights their counts.
        effective: (Σw)²/Σw² over those who answered, shape (groups,); 0 for nobody.
        answers: The answers that were counted.
        classes: The class of each, shape (m,).
    """

    counts: NDArray[np.int64]
    sums: NDArray[Any]
    effective: NDArray[np.float64]
    answers: Answers
    classes: NDArray[np.int64]

    @property
    def heads(self) -> NDArray[np.int64]:
        """Respondents who answered, shape (groups,)."""
        heads: NDArray[np.int64] = self.counts[:, :_MISSING].sum(axis=1)
        return heads

    @property
    def missing(self) -> NDArray[np.int64]:
        """Rows without an answer, shape (groups,)."""
        return self.counts[:, _MISSING]

    @property
    def off_scale(self) -> NDArray[np.int64]:
        """Rows whose answer is off the scale, shape (groups,)."""
        return self.counts[:, _OFF_SCALE]

    def pairs(self, place: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return a group's distinct pairs of sign and weight, and how many respondents share each.

        Returns:
            Signs (−1 detractor, 0 passive, 1 promoter), weights and head counts, shape (pairs,) each.
        """
        answers = self.answers
        if answers.weights is None:
            return np.array([-1.0, 0.0, 1.0]), np.ones(3), self.counts[place, :_MISSING]
        rows = self.classes < _MISSING
        if answers.groups is not None:
            rows &= answers.groups == place
        pairs = np.column_stack([self.classes[rows] - 1.0, answers.weights[rows]])
        distinct, where = np.unique(pairs, axis=0, return_inverse=True)
        times = None if answers.times is None else answers.times[rows]
        heads = np.bincount(where.ravel(), times, len(distinct)).astype(np.int64)
        return distinct[:, 0], distinct[:, 1], heads


def tally(answers: Answers, *, exclude: bool) -> Tally:
    """Return the counts and sums of each group.

    Args:
        answers: The answers.
        exclude: Whether answers off the scale are only counted, rather than an error.

    Raises:
        InvalidRows: Answers are off the scale, or weights of those who answered are no finite numbers ≥ 0.
        InvalidArgument: All weights are zero.
    """
    classes = _classes(answers.scores)
    if not exclude and (classes == _OFF_SCALE).any():
        raise _off_scale(answers, classes)
    groups = 1 if answers.groups is None else len(answers.labels)
    cells = classes if answers.groups is None else answers.groups * _CLASSES + classes
    counts = np.bincount(cells, answers.times, groups * _CLASSES).reshape(groups, _CLASSES).astype(np.int64)
    if answers.weights is None:
        sums = counts[:, :_MISSING]
        return Tally(counts, sums, sums.sum(axis=1).astype(np.float64), answers, classes)
    answered = classes < _MISSING
    weights = answers.weights[answered]
    _check_weights(weights, np.flatnonzero(answered), answers)
    times = np.ones(1) if answers.times is None else answers.times[answered]
    sums = np.bincount(cells[answered], weights * times, groups * _CLASSES).reshape(groups, _CLASSES)
    effective = _effective(weights, times, cells[answered] // _CLASSES, groups)
    return Tally(counts, sums[:, :_MISSING], effective, answers, classes)


def _classes(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Return the class of each answer, shape (m,)."""
    valid = (scores >= 0) & (scores <= 10)
    if scores.dtype.kind != "f" and valid.all():
        plain: NDArray[np.int64] = _CLASS_OF[scores]
        return plain
    whole = np.where(valid, scores, 0).astype(np.intp)
    classes: NDArray[np.int64] = np.where(valid & (whole == scores), _CLASS_OF[whole], _OFF_SCALE)
    classes[np.isnan(scores)] = _MISSING
    return classes


def _effective(
    weights: NDArray[np.float64], times: NDArray[Any], group: NDArray[np.int64], groups: int
) -> NDArray[np.float64]:
    """Return Kish's effective number of respondents of each group, 0 where no weight is above zero."""
    # Relative to the group's largest, weights can be squared without overflow, and equal ones give exactly n.
    largest = np.zeros(groups)
    np.maximum.at(largest, group, weights)
    relative = np.divide(weights, largest[group], out=np.zeros(len(weights)), where=largest[group] > 0)
    total, squares = (np.bincount(group, part * times, groups) for part in (relative, relative**2))
    return np.divide(total**2, squares, out=np.zeros(groups), where=squares > 0)


def _off_scale(answers: Answers, classes: NDArray[np.int64]) -> InvalidRows:
    """Return the error that names the first answers off the scale."""
    rows = np.flatnonzero(classes == _OFF_SCALE)
    count, total = _heads(answers, rows), _heads(answers, np.arange(len(classes)))
    first = _first(answers, rows, answers.scores[rows])
    found = [
        f"{answers.scores[row]:.12g}" if answers.texts is None else repr(answers.texts[int(row)].as_py())
        for row in first
    ]
    examples = _examples(answers, first, found)
    return InvalidRows(
        f"{answers.name}: {count:,} of {total:,} answers are no whole number from 0 to 10 "
        f"({', '.join(examples)}{', …' if len(rows) > _SHOWN else ''}). A net promoter score is defined on "
        "that scale only: answers on another one (1 to 5, percentages) have none. Correct the rows, or pass "
        'invalid="exclude" to leave them out and count them.',
        column=answers.name,
        count=count,
        examples=examples,
    )


def _check_weights(weights: NDArray[np.float64], rows: NDArray[np.int64], answers: Answers) -> None:
    """Raise unless the weights of those who answered are finite and not negative, and one is above zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = weights.sum() * 1e100  # what follows multiplies sums by head counts and by 100
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        raise _bad_weights(weights[bad], rows[bad], answers)
    if not np.isfinite(total):
        raise InvalidArgument("the weights are too large to be added up as floats: divide them all by one number.")
    if len(weights) and not total:
        raise InvalidArgument("the weights of all who answered are zero: correct them, or leave weights out.")


def _bad_weights(weights: NDArray[np.float64], rows: NDArray[np.int64], answers: Answers) -> InvalidRows:
    """Return the error that names the first weights that cannot be used."""
    count = _heads(answers, rows)
    shown = _first(answers, np.arange(len(rows)), weights)
    found = ["missing" if math.isnan(weight) else f"{weight:.12g}" for weight in weights[shown]]
    examples = _examples(answers, rows[shown], found)
    return InvalidRows(
        f"weights: {count:,} of those who answered have a weight that is missing, negative or not finite "
        f"({', '.join(examples)}{', …' if len(rows) > _SHOWN else ''}). Give each a number of at least 0, or "
        "leave those rows out.",
        column="weights",
        count=count,
        examples=examples,
    )


def _heads(answers: Answers, rows: NDArray[np.int64]) -> int:
    """Return how many respondents rows stand for."""
    return len(rows) if answers.times is None else int(answers.times[rows].sum())


def _first(answers: Answers, rows: NDArray[np.int64], values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rows to show: the first, or the lowest where an engine counted them, in any order."""
    return (rows if answers.times is None else rows[np.argsort(values, kind="stable")])[:_SHOWN]


def _examples(answers: Answers, rows: NDArray[np.int64], found: list[str]) -> list[str]:
    """Return what was found, with the places of the rows where they have one."""
    if answers.times is not None:
        return found
    return [f"row {row}: {value}" for row, value in zip(rows, found, strict=True)]
