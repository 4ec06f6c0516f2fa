"""What can go wrong, by kind: every error of the library descends from `LoyaltyError`.

A message says what was passed, what is allowed and what to do next.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence

__all__ = [
    "ClosedError",
    "ColumnError",
    "ConvergenceError",
    "EmptyData",
    "InvalidArgument",
    "InvalidModelFile",
    "InvalidRows",
    "LoyaltyError",
    "LoyaltyWarning",
    "MissingData",
    "MissingDependency",
    "OutputError",
    "UnsupportedSource",
    "warn",
]


class LoyaltyError(Exception):
    """Base of every error raised on purpose by this library."""


class InvalidArgument(LoyaltyError, ValueError):
    """An argument lies outside what the function accepts."""


class ColumnError(LoyaltyError, ValueError):
    """A column is missing, named twice, or of a type that cannot serve."""


class EmptyData(LoyaltyError, ValueError):
    """Nothing is left to measure: no rows, or none inside the observed window."""


class InvalidModelFile(InvalidArgument):
    """A file cannot be written, cannot be read, or holds no model that this library saved."""


class InvalidRows(LoyaltyError, ValueError):
    """Some rows hold a value that cannot be used (null, unparseable, not finite).

    Attributes:
        column: The caller's name of the column.
        count: How many rows are affected.
        examples: The first offenders as text.
    """

    def __init__(self, message: str, *, column: str = "", count: int = 0, examples: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.column = column
        self.count = count
        self.examples = tuple(examples)


class ConvergenceError(LoyaltyError, RuntimeError):
    """A model could not be fitted: the search ended where the likelihood still rises.

    Attributes:
        params: The last point, by parameter.
        gradient: Derivatives of the log-likelihood per customer by the logarithms of the parameters, there.
    """

    def __init__(
        self, message: str, *, params: Mapping[str, float] | None = None, gradient: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(message)
        self.params = dict(params or {})
        self.gradient = dict(gradient or {})


class MissingData(LoyaltyError):
    """Data that a number needs was not given (a column, a survey, a data set)."""


class OutputError(LoyaltyError, OSError):
    """A file cannot be written: there is one already that may not be replaced, or the place cannot be written to."""


class MissingDependency(LoyaltyError, ImportError):
    """An optional package is not installed."""


class UnsupportedSource(LoyaltyError, TypeError):
    """The object handed over as data is of a kind that cannot be read."""


class ClosedError(LoyaltyError, RuntimeError):
    """The `Transactions` was closed, and its tables went with it."""


class LoyaltyWarning(UserWarning):
    """A result is valid, but something about it deserves a look."""


def warn(message: str) -> None:
    """Give a `LoyaltyWarning` that points to the line which called this library, through however many of its rooms."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "loyalty":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, LoyaltyWarning, stacklevel=level)
