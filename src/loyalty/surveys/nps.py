"""The net promoter score of a survey, by groups and as the difference of two groups.

Promoters answer 9 or 10, passives 7 or 8, detractors 0 to 6; the score is 100·(p − d) with p and d the
shares of promoters and detractors (Reichheld 2003, Harvard Business Review 81(12), 46-54).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from loyalty import checks, intervals, wording
from loyalty.errors import InvalidArgument
from loyalty.estimates import Estimate
from loyalty.surveys.answers import read
from loyalty.surveys.tallies import Tally, tally
from loyalty.tables import Grouped

__all__ = ["NPS", "nps", "nps_difference"]

NPS_METHODS = ("adjusted_wald", "wald", "bootstrap")
DIFFERENCE_METHODS = ("adjusted_wald", "wald")
_DEFINITION = "100 × (share of promoters, scores 9 and 10, minus share of detractors, scores 0 to 6)"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NPS(Estimate):
    """A net promoter score with its interval and the three counts behind it; all else as in `Estimate`.

    The value is 100 · numerator / denominator: promoters − detractors over all who answered. With weights,
    the three counts, numerator and denominator are sums of weights, while `n` stays a head count.

    Attributes:
        promoters: Respondents (or their weight) who answered 9 or 10.
        passives: Respondents (or their weight) who answered 7 or 8.
        detractors: Respondents (or their weight) who answered 0 to 6.
        missing: Rows without an answer, left out.
        off_scale: Rows whose answer is no whole number from 0 to 10, left out (`invalid="exclude"`).
        effective_n: How many unweighted respondents would tell as much: (Σw)²/Σw²; `n` for equal weights.
    """

    promoters: float
    passives: float
    detractors: float
    effective_n: float
    missing: int = 0
    off_scale: int = 0

    def __str__(self) -> str:
        parts = [self._counts()]
        if not math.isnan(self.low):
            interval = wording.span(self.low, self.high, self.unit)
            parts.insert(0, f"{wording.level(self.confidence)} interval {interval}")
        note = f" Note: {self.note}." if self.note else ""
        return f"Net promoter score: {wording.quantity(self.value, self.unit)} ({'; '.join(parts)}).{note}"

    def _repr_html_(self) -> str:
        rows = [(key, wording.quantity(getattr(self, key), self.unit)) for key in ("value", "low", "high")]
        for name, part in self._parts().items():
            share = f" ({wording.quantity(part / self.denominator, 'share')})" if self.denominator else ""
            rows.append((name, wording.plain(part) + share))
        rows.append((self.counted, wording.plain(self.n)))
        if self._weighted():
            rows.append(("effective n", wording.plain(self.effective_n)))
        rows += [
            ("without an answer", wording.plain(self.missing)),
            ("off the scale", wording.plain(self.off_scale)),
        ]
        rows += [("confidence", wording.level(self.confidence)), ("method", self.method)]
        rows += [("definition", self.definition)] + ([("note", self.note)] if self.note else [])
        return wording.html_table((self.name, ""), rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw the three shares as one bar, with the score and its interval; returns the matplotlib Axes."""
        from loyalty import plots

        return plots.nps(self, ax=ax)

    def minus(self, other: NPS, *, confidence: float | None = None, method: str = "adjusted_wald") -> Estimate:
        """Return this score minus that of another group, drawn separately; see `nps_difference`.

        Args:
            other: The score to subtract.
            confidence: Level of the interval; by default that of this score.
            method: "adjusted_wald" or "wald".

        Examples:
            >>> change = nps([10] * 30 + [5] * 10).minus(nps([10] * 20 + [5] * 20))
            >>> change.value
            50.0
        """
        level = self.confidence if confidence is None else confidence
        return nps_difference(self, other, confidence=level, method=method)

    def _parts(self) -> dict[str, float]:
        return {"promoters": self.promoters, "passives": self.passives, "detractors": self.detractors}

    def _counts(self) -> str:
        """Return who answered what; as shares where weights make the sums mean little."""
        heads = wording.counted(self.n, self.counted)
        if not self._weighted():
            parts = (wording.counted(part, name) for name, part in self._parts().items())
            return f"{', '.join(parts)} of {heads}"
        if not self.denominator:
            return heads
        shares = {name: wording.quantity(part / self.denominator, "share") for name, part in self._parts().items()}
        return f"{', '.join(f'{share} {name}' for name, share in shares.items())} by weight; {heads}"

    def _weighted(self) -> bool:
        return self.denominator != self.n or self.effective_n != self.n


def nps(
    scores: Any,
    score: Any = None,
    *,
    by: Any = None,
    weights: Any = None,
    confidence: float = 0.95,
    method: str = "adjusted_wald",
    invalid: str = "raise",
    seed: int = 0,
) -> NPS | Grouped[NPS]:
    """Return the net promoter score of answers from 0 to 10, in points from −100 to 100.

    Args:
        scores: The answers as a list, tuple, NumPy array, pandas or Polars Series or Arrow array, shape (n,);
            or, with `score`, a table: pandas, Polars (eager or lazy) or PyArrow frame, DuckDB relation, or
            a path of Parquet or CSV files.
        score: The column of answers where `scores` is a table.
        by: The column of groups; or, beside an array of answers or a table in memory, an array as long. Null
            and NaN are a group of their own, which comes last.
        weights: The column of weights, or an array as for `by`: finite numbers ≥ 0. Rows without an answer
            need none.
        confidence: Level of the interval.
        method: "adjusted_wald", "wald" (no width where all answer alike), or "bootstrap" (percentiles of 2000
            resamples of the respondents).
        invalid: What to do with answers that are no whole number from 0 to 10: "raise", or "exclude" to leave
            them out and count them.
        seed: Seed of the bootstrap.

    Returns:
        The score, or a mapping from group to score where `by` is given. Where nobody answered, or all weights
        of a group are zero, it is NaN with a note.

    Null and NaN mean that there was no answer: such rows are left out and counted. In CSV files, where all is
    text, blank does too, and numbers are read. Elsewhere text is an error, as are true and false everywhere.

    Interval: Wald's, sqrt((p + d − (p − d)²)/n) being the standard error of the difference of two shares of
    one sample, after adding 3 respondents, of whom ¾ are promoters and ¾ detractors; clipped to ±100 and
    widened, where need be, to hold the estimate. With weights, p and d are weighted shares and n is Kish's
    (Σw)²/Σw².

    Raises:
        InvalidRows: Answers off the scale, or weights that are missing, negative or not finite.
        ColumnError: There is no such column, or it holds no numbers.
        InvalidArgument: An unknown method or level, arrays of unlike length, weights that are all zero.
        UnsupportedSource: `scores` is of no kind that can be read.

    Source: Rocks (2016), Interval Estimation for the "Net Promoter Score", The American Statistician 70(4),
    365-372, for the 3 added respondents; Agresti & Min (2005), Statistics in Medicine 24, 729-740, and
    Bonett & Price (2012), Journal of Educational and Behavioral Statistics 37(4), 479-488, for the idea (both
    add 2). Effective n: Kish (1965), Survey Sampling.

    Examples:
        >>> print(nps([10] * 200 + [8] * 200 + [3] * 100))
        Net promoter score: 20.0 points (95 % interval 13.3 to 26.4 points;
        200 promoters, 200 passives, 100 detractors of 500 respondents).
        >>> shops = nps([9, 10, 2, None, 7], by=["north", "north", "south", "south", "south"])
        >>> {shop: result.value for shop, result in shops.items()}
        {'north': 100.0, 'south': -50.0}
    """
    confidence = checks.confidence_level(confidence)
    checks.choice("method", method, NPS_METHODS)
    checks.choice("invalid", invalid, ("raise", "exclude"))
    answers = read(scores, score, by=by, weights=weights)
    counted = tally(answers, exclude=invalid == "exclude")
    results = []
    for place in range(len(counted.counts)):
        drawn = None
        if method == "bootstrap":
            signs, mass, heads = counted.pairs(place)
            drawn = intervals.bootstrap_ratio(signs * mass, mass, heads, confidence=confidence, seed=seed)
        results.append(_result(counted, place, confidence, method, drawn))
    if answers.groups is None:
        return results[0]
    return Grouped(by=answers.by, results=dict(zip(answers.labels, results, strict=True)), kind=answers.kind)


def nps_difference(first: NPS, second: NPS, *, confidence: float = 0.95, method: str = "adjusted_wald") -> Estimate:
    """Return the first score minus the second, in points from −200 to 200, for groups drawn separately.

    Args:
        first: A score, as `nps` gives it.
        second: The score to subtract. No respondent may be in both: the interval takes them as independent.
        confidence: Level of the interval.
        method: "adjusted_wald" (each group adjusted as in `nps`, the variances added) or "wald".

    Returns:
        The difference; NaN with a note where one of the scores is. Its interval is clipped to ±200 and holds
        the estimate. There is no numerator and no denominator.

    Raises:
        InvalidArgument: One of the two is no score, or the level or method is unknown.

    Source: Rocks (2016), as in `nps`, for each group; Lewis & Sauro (2021), How to Statistically Compare Two
    Net Promoter Scores, measuringu.com, for two of them.

    Examples:
        >>> before, after = nps([10, 9, 7, 3] * 50), nps([10, 9, 7, 7] * 50)
        >>> change = nps_difference(after, before)
        >>> change.value, round(change.low, 1), round(change.high, 1)
        (25.0, 11.3, 38.0)
    """
    z = intervals.normal_quantile(confidence)
    checks.choice("method", method, DIFFERENCE_METHODS)
    for name, given in (("first", first), ("second", second)):
        if not isinstance(given, NPS):
            one = ", for one of its groups" if isinstance(given, Grouped) else ""
            raise InvalidArgument(
                f"{name} is a {type(given).__name__}, not a net promoter score: give what nps(...) returns{one}."
            )
    value = first.value - second.value
    (centre, variance), (less, more) = (
        _spread(item.promoters, item.detractors, item.denominator, item.effective_n, method) for item in (first, second)
    )
    low, high = _limits(centre - less, z * math.sqrt(variance + more), value, 200.0)
    return Estimate(
        name="difference of net promoter scores",
        value=value,
        low=low,
        high=high,
        confidence=float(confidence),
        n=first.n + second.n,
        numerator=math.nan,
        denominator=math.nan,
        method=method,
        definition="net promoter score of the first group minus that of the second, drawn independently",
        excluded=first.excluded + second.excluded,
        note="undefined: so is one of the two scores" if math.isnan(value) else "",
        unit="points",
        counted="respondents",
    )


def _result(counted: Tally, place: int, confidence: float, method: str, drawn: tuple[float, float] | None) -> NPS:
    """Return the score of one group; `drawn` are the limits of a bootstrap on the scale of shares."""
    detractors, passives, promoters = counted.sums[place].tolist()
    n, total = int(counted.heads[place]), detractors + passives + promoters
    missing, off_scale = int(counted.missing[place]), int(counted.off_scale[place])
    effective = float(counted.effective[place])
    # Sums of weights round: 100·w/w may come out a hair beyond 100.
    value = max(-100.0, min(100.0 * (promoters - detractors) / total, 100.0)) if total else math.nan
    if drawn is None:
        centre, variance = _spread(promoters, detractors, total, effective, method)
        half = intervals.normal_quantile(confidence) * math.sqrt(variance)
    else:
        centre, half = (drawn[0] + drawn[1]) / 2, (drawn[1] - drawn[0]) / 2
    low, high = _limits(centre, half, value, 100.0)
    return NPS(
        name="net promoter score",
        value=value,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        numerator=promoters - detractors,
        denominator=total,
        method=method,
        definition=_DEFINITION,
        excluded=missing + off_scale,
        note=_note(n, total, missing, off_scale, alone=method == "bootstrap" and math.isnan(low)),
        unit="points",
        counted="respondents",
        promoters=promoters,
        passives=passives,
        detractors=detractors,
        effective_n=effective,
        missing=missing,
        off_scale=off_scale,
    )


def _spread(promoters: float, detractors: float, total: float, effective: float, method: str) -> tuple[float, float]:
    """Return the centre of an interval and its variance, of p − d on the scale of shares; NaN for nobody."""
    if not total:
        return math.nan, math.nan
    added = 3.0 if method == "adjusted_wald" else 0.0
    n = effective + added
    p, d = ((part / total * effective + added / 4) / n for part in (promoters, detractors))
    return p - d, max(p + d - (p - d) ** 2, 0.0) / n


def _limits(centre: float, half: float, value: float, most: float) -> tuple[float, float]:
    """Return limits in points: clipped to what is possible and widened to hold the value."""
    if math.isnan(centre) or math.isnan(half):
        return math.nan, math.nan
    low, high = 100.0 * (centre - half), 100.0 * (centre + half)
    return max(-most, min(low, value)), min(most, max(high, value))


def _note(n: int, total: float, missing: int, off_scale: int, *, alone: bool) -> str:
    """Return what a reader must know about a score."""
    parts = []
    if not total:
        parts.append("undefined: the weights add up to zero" if n else "undefined: nobody answered")
    elif alone:
        parts.append("no interval: a bootstrap needs two respondents or more")
    left_out = [f"{missing:,} without an answer"] if missing else []
    left_out += [f"{off_scale:,} with an answer off the scale of 0 to 10"] if off_scale else []
    return "; ".join(parts + ([f"left out: {' and '.join(left_out)}"] if left_out else []))
