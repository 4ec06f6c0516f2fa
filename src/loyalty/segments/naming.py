"""Names of customer segments: which one a pair of scores of recency and frequency lies in."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from types import MappingProxyType
from typing import Any

from loyalty.errors import InvalidArgument

__all__ = ["OTHER", "SEGMENTS", "Span", "default_names", "own_names"]

Span = tuple[int, int]

# Segment → ((lowest, highest r), (lowest, highest f)) on scores of 1 to 5; the first that fits counts. Money
# is scored and reported, but names no segment. This is the grid of r by f in common use: ten segments named
# as in CleverTap's "Recency and Frequency Grid" (docs.clevertap.com/docs/rfm), with edges as in the map that
# Python code usually carries ("[1-2][1-2]": hibernating … "5[4-5]": champions). "Lost", the eleventh name of
# longer lists, is here the corner of Hibernating where both scores are worst.
SEGMENTS: Mapping[str, tuple[Span, Span]] = MappingProxyType(
    {
        "Champions": ((5, 5), (4, 5)),
        "Loyal Customers": ((3, 4), (4, 5)),
        "Potential Loyalists": ((4, 5), (2, 3)),
        "New Customers": ((5, 5), (1, 1)),
        "Promising": ((4, 4), (1, 1)),
        "Need Attention": ((3, 3), (3, 3)),
        "About To Sleep": ((3, 3), (1, 2)),
        "At Risk": ((1, 2), (3, 4)),
        "Can't Lose Them": ((1, 2), (5, 5)),
        "Lost": ((1, 1), (1, 1)),
        "Hibernating": ((1, 2), (1, 2)),
    }
)
OTHER = "Other"  # customers whom a caller's own segments leave without a name


def default_names(bins: int) -> dict[tuple[int, int], str]:
    """Return the usual segment of each pair of scores; of `bins` scores each stands for a fifth."""
    fifths = {score: 1 + 5 * (2 * score - 1) // (2 * bins) for score in range(1, bins + 1)}
    return {(r, f): _first_fit(SEGMENTS, fifths[r], fifths[f]) for r in fifths for f in fifths}


def own_names(bins: int, segments: Mapping[str, tuple[Span, Span]]) -> dict[tuple[int, int], str]:
    """Return the caller's segment of each pair of scores, after a look at the caller's table."""
    example = '{"Best": ((4, 5), (4, 5)), "Rest": ((1, 5), (1, 5))}'
    if not isinstance(segments, Mapping) or not segments:
        raise InvalidArgument(f"segments={segments!r}: give name → ((lowest r, highest r), (same of f)), as {example}.")
    for name, spans in segments.items():
        if not isinstance(name, str) or not _are_spans(spans, bins):
            raise InvalidArgument(
                f"segments: {name!r}: {spans!r} is no name with two spans of scores from 1 to {bins}, one of "
                f"r and one of f: write them as in {example}."
            )
    scores = range(1, bins + 1)
    return {(r, f): _first_fit(segments, r, f) for r in scores for f in scores}


def _are_spans(spans: Any, bins: int) -> bool:
    """Return whether these are two pairs of scores, each in order."""
    try:
        (low_r, high_r), (low_f, high_f) = spans
    except (TypeError, ValueError):
        return False
    ends = (low_r, high_r, low_f, high_f)
    whole = all(isinstance(end, Integral) and not isinstance(end, bool) for end in ends)
    return whole and 1 <= low_r <= high_r <= bins and 1 <= low_f <= high_f <= bins


def _first_fit(segments: Mapping[str, tuple[Span, Span]], r: int, f: int) -> str:
    """Return the first segment that holds a pair of scores."""
    fits = (name for name, (of_r, of_f) in segments.items() if of_r[0] <= r <= of_r[1] and of_f[0] <= f <= of_f[1])
    return next(fits, OTHER)
