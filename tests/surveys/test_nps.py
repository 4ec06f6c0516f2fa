"""The net promoter score: counts, intervals, weights, groups, differences, every kind of input."""

import dataclasses
import datetime as dt
import json
import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.errors import ColumnError, InvalidArgument, InvalidRows, UnsupportedSource
from loyalty.estimates import Estimate
from loyalty.surveys import answers
from loyalty.surveys.nps import NPS, nps, nps_difference
from loyalty.tables import Grouped

Z = 1.959963984540054  # the normal quantile of 97.5 %, from printed tables
ORACLE = [10] * 100 + [9] * 100 + [8] * 100 + [7] * 100 + [6] * 50 + [0] * 50


def scores_of(promoters, passives, detractors):
    return [10] * promoters + [7] * passives + [3] * detractors


def naive(scores, weights=None):
    """Count as the definition reads, one respondent at a time."""
    weights = [1.0] * len(scores) if weights is None else weights
    total = promoters = detractors = 0.0
    for score, weight in zip(scores, weights, strict=True):
        if score is None or math.isnan(score):
            continue
        total += weight
        promoters += weight if score >= 9 else 0
        detractors += weight if score <= 6 else 0
    return 100 * (promoters - detractors) / total if total else math.nan


# --- the score itself


def test_hand_worked_counts():
    result = nps(ORACLE)
    assert (result.promoters, result.passives, result.detractors) == (200, 200, 100)
    assert (result.value, result.numerator, result.denominator, result.n) == (20.0, 100, 500, 500)
    assert float(result) == 20.0
    # Adjusted Wald by hand: 200.75 and 100.75 of 503, so 100/503 = 19.88 ± 1.96·sqrt(.5994 − .0395)/sqrt(503)
    assert (result.low + result.high) / 2 == pytest.approx(100 * 100 / 503, abs=1e-12)
    assert (result.low + result.high) / 2 == pytest.approx(19.88, abs=0.005)  # printed to two decimals
    assert (result.high - result.low) / 2 == pytest.approx(6.54, abs=0.005)
    assert (result.method, result.unit, result.counted, result.note) == (
        "adjusted_wald",
        "points",
        "respondents",
        "",
    )


def test_wald_margin():
    result = nps(ORACLE, method="wald")
    assert result.high - 20 == pytest.approx(6.56, abs=0.005)  # printed to two decimals
    assert result.high - 20 == pytest.approx(100 * Z * math.sqrt((0.6 - 0.04) / 500), abs=1e-9)
    assert result.high - 20 == pytest.approx(20 - result.low, abs=1e-9)


def test_each_answer_has_its_class():
    by_answer = {answer: nps([answer]).value for answer in range(11)}
    assert by_answer == {**dict.fromkeys(range(7), -100.0), 7: 0.0, 8: 0.0, 9: 100.0, 10: 100.0}


@pytest.mark.parametrize(("answer", "value"), [(10, 100.0), (0, -100.0)])
@pytest.mark.parametrize("n", [1, 7, 100])
def test_everybody_alike(answer, value, n):
    result = nps([answer] * n)
    assert result.value == value
    # By hand: all are promoters; p = (n + ¾)/(n + 3), d = ¾/(n + 3); the side beyond 100 is clipped to it.
    p, d = (n + 0.75) / (n + 3), 0.75 / (n + 3)
    inner = 100 * (p - d - Z * math.sqrt((p + d - (p - d) ** 2) / (n + 3)))
    assert sorted([abs(result.low), abs(result.high)]) == pytest.approx(sorted([100.0, abs(inner)]), abs=1e-9)
    wald = nps([answer] * n, method="wald")
    assert (wald.low, wald.high) == (value, value)


def test_confidence_widens():
    widths = [nps(ORACLE, confidence=level).high - nps(ORACLE, confidence=level).low for level in (0.5, 0.9, 0.99)]
    assert widths == sorted(widths)
    assert nps(ORACLE, confidence=0.9).confidence == 0.9


def test_no_answers():
    for nobody in ([], [None, float("nan")], np.array([]), pd.Series([], dtype=object), pa.nulls(3)):
        result = nps(nobody)
        assert math.isnan(result.value)
        assert math.isnan(result.low)
        assert math.isnan(result.high)
        assert result.n == 0
        assert "nobody answered" in result.note
    assert nps([None, None]).excluded == nps([None, None]).missing == 2
    assert nps([None], method="bootstrap").note == "undefined: nobody answered; left out: 1 without an answer"


def test_missing_answers_are_left_out_and_counted():
    result = nps([10, None, 3, math.nan, 8, None])
    assert (result.value, result.n, result.missing, result.excluded) == (0.0, 3, 3, 3)
    assert result.note == "left out: 3 without an answer"


@given(
    counts=st.tuples(*[st.integers(0, 60)] * 3).filter(any),
    confidence=st.floats(0.01, 0.9999),
    method=st.sampled_from(["adjusted_wald", "wald"]),
)
def test_the_interval_holds_the_estimate_and_stays_on_the_scale(counts, confidence, method):
    result = nps(np.repeat([10, 8, 2], counts), confidence=confidence, method=method)
    assert -100 <= result.low <= result.value <= result.high <= 100
    mirrored = nps(np.repeat([2, 8, 10], counts), confidence=confidence, method=method)
    assert (mirrored.value, mirrored.low, mirrored.high) == pytest.approx((-result.value, -result.high, -result.low))


@given(st.lists(st.one_of(st.integers(0, 10), st.none()), max_size=40), st.randoms(use_true_random=False))
def test_agrees_with_the_definition_in_any_order(scores, random):
    value = nps(scores).value
    assert value == pytest.approx(naive(scores), nan_ok=True)
    shuffled = scores.copy()
    random.shuffle(shuffled)
    assert nps(shuffled).to_dict() == nps(scores).to_dict()


def exact_coverage(p, d, n, method):
    """Sum the probability of every outcome of n respondents whose interval holds 100·(p − d)."""
    covered = 0.0
    for promoters in range(n + 1):
        for detractors in range(n + 1 - promoters):
            passives = n - promoters - detractors
            result = nps(np.repeat([10, 8, 2], [promoters, passives, detractors]), method=method)
            ways = math.comb(n, promoters) * math.comb(n - promoters, detractors)
            if result.low <= 100 * (p - d) <= result.high:
                covered += ways * p**promoters * d**detractors * (1 - p - d) ** passives
    return covered


@pytest.mark.parametrize(("p", "d"), [(0.5, 0.2), (0.8, 0.05), (0.3, 0.3)])
def test_coverage_is_exact_enough(p, d):
    # The share of samples of 20 whose interval holds the truth, summed over all 231 outcomes: nothing random.
    # An approximate interval keeps 95 % only roughly at n = 20; a wrong formula would miss by more than this.
    adjusted = exact_coverage(p, d, 20, "adjusted_wald")
    assert 0.93 <= adjusted <= 0.98
    assert exact_coverage(p, d, 20, "wald") < adjusted


# --- bootstrap


def test_bootstrap():
    result = nps(ORACLE, method="bootstrap", seed=3)
    wald = nps(ORACLE, method="wald")
    # Percentiles of 2000 resamples scatter by about a twentieth of the standard error of 3.3 points at 95 %.
    assert (result.low, result.high) == pytest.approx((wald.low, wald.high), abs=0.7)
    assert result == nps(ORACLE[::-1], method="bootstrap", seed=3)
    assert result != nps(ORACLE, method="bootstrap", seed=4)
    assert result.method == "bootstrap"


def test_bootstrap_with_weights():
    rng = np.random.default_rng(5)
    scores, weights = rng.integers(0, 11, 600), rng.choice([0.5, 1.0, 3.0], 600)
    result = nps(scores, weights=weights, method="bootstrap")
    draws = []
    for _ in range(1000):  # resample people, the long way round
        rows = rng.integers(0, 600, 600)
        draws.append(naive(scores[rows].tolist(), weights[rows].tolist()))
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=1.5)
    ones = nps(scores, weights=np.ones(600), method="bootstrap")
    plain = nps(scores, method="bootstrap")
    assert (ones.low, ones.high) == (plain.low, plain.high)
    groups = rng.choice(["a", "b"], 600)
    grouped = nps(scores, by=groups, weights=weights, method="bootstrap")
    alone = nps(scores[groups == "b"], weights=weights[groups == "b"], method="bootstrap")
    assert (grouped["b"].low, grouped["b"].high) == (alone.low, alone.high)


def test_bootstrap_of_one_respondent():
    result = nps([9], method="bootstrap")
    assert result.value == 100
    assert math.isnan(result.low)
    assert "two respondents" in result.note
    assert str(result).startswith(
        "Net promoter score: 100.0 points (1 promoter, 0 passives, 0 detractors of 1 respondent"
    )


# --- weights


def test_unit_weights_change_nothing():
    assert nps(ORACLE, weights=np.ones(500)) == nps(ORACLE)
    assert nps(ORACLE, weights=[1] * 500).to_dict() == nps(ORACLE).to_dict()


def test_weights_by_hand():
    # Weights 3, 1, 2, 2: promoters 4, passives 2, detractors 2 of 8; n = 64/18 = 32/9
    result = nps([9, 10, 7, 0], weights=[3, 1, 2, 2])
    assert (result.promoters, result.passives, result.detractors, result.denominator) == (4, 2, 2, 8)
    assert result.value == 25.0
    assert result.effective_n == pytest.approx(32 / 9)
    n = 32 / 9 + 3
    p, d = (0.5 * 32 / 9 + 0.75) / n, (0.25 * 32 / 9 + 0.75) / n
    half = Z * math.sqrt((p + d - (p - d) ** 2) / n)
    assert (result.low, result.high) == pytest.approx((100 * (p - d - half), 100 * (p - d + half)))
    wald = nps([9, 10, 7, 0], weights=[3, 1, 2, 2], method="wald", confidence=0.5)
    assert wald.high - 25 == pytest.approx(100 * 0.6744897501960817 * math.sqrt((0.75 - 0.0625) / (32 / 9)))
    assert result.n == 4


@given(
    rows=st.lists(st.tuples(st.integers(0, 10), st.floats(0.01, 100)), min_size=1, max_size=30),
    scale=st.sampled_from([1e-150, 1e-3, 7.0, 1e150]),
)
def test_the_scale_of_weights_does_not_matter(rows, scale):
    scores, weights = map(list, zip(*rows, strict=True))
    result, scaled = nps(scores, weights=weights), nps(scores, weights=[weight * scale for weight in weights])
    assert result.value == pytest.approx(naive(scores, weights), abs=1e-9)
    # Equal up to rounding of products, some 1e-16 of 100 points.
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx((result.value, result.low, result.high), abs=1e-9)
    assert scaled.effective_n == pytest.approx(result.effective_n)
    assert 1 - 1e-9 <= result.effective_n <= len(rows) + 1e-9
    assert -100 <= result.low <= result.value <= result.high <= 100


def test_rows_of_zero_weight_and_missing_answers():
    result = nps([10, 2, None], weights=[1, 0, None])  # who did not answer needs no weight
    assert (result.value, result.n, result.detractors, result.effective_n) == (100.0, 2, 0, 1)
    grouped = nps([10, 2, 3], by=["a", "b", "b"], weights=[1, 0, 0])
    assert grouped["a"].value == 100
    assert math.isnan(grouped["b"].value)
    assert grouped["b"].note == "undefined: the weights add up to zero"
    assert "2 respondents" in str(grouped["b"])


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        ([1, -2, 1], InvalidRows, "row 1: -2"),
        ([1, math.nan, 1], InvalidRows, "row 1: missing"),
        ([1, 1, None], InvalidRows, "row 2: missing"),
        ([1, math.inf, 1], InvalidRows, "row 1: inf"),
        ([0, 0, 0], InvalidArgument, "are zero"),
        ([1e308] * 3, InvalidArgument, "too large to be added up"),
        ([1, 1], InvalidArgument, "2 values for 3 scores"),
        (2, InvalidArgument, "weights=2 is no array"),
        ("w", InvalidArgument, "weights='w' is no array"),
        (["1", "1", "1"], ColumnError, "text"),
        ([True, True, False], ColumnError, "true or false"),
    ],
)
def test_bad_weights(weights, error, words):
    with pytest.raises(error, match=words):
        nps([9, 10, 2], weights=weights)


# --- groups


def test_groups_with_nulls():
    frame = pd.DataFrame({"score": [10, 9, 3, None, 8, 0], "shop": ["b", "a", "a", "a", None, None]})
    result = nps(frame, "score", by="shop")
    assert isinstance(result, Grouped)
    assert list(result) == ["a", "b", None]
    assert {shop: item.value for shop, item in result.items()} == {"a": 0.0, "b": 100.0, None: -50.0}
    assert [item.n for item in result.values()] == [2, 1, 2]
    assert [item.missing for item in result.values()] == [1, 0, 0]
    assert result.by == "shop"
    assert result.kind == "pandas"
    table = result.to_native()
    assert table["shop"].tolist()[:2] == ["a", "b"]
    assert table["value"].tolist() == [0.0, 100.0, -50.0]


def test_groups_agree_with_each_alone():
    rng = np.random.default_rng(11)
    scores = np.where(rng.random(3000) < 0.1, np.nan, rng.integers(0, 11, 3000))
    groups, weights = rng.integers(0, 40, 3000), rng.exponential(size=3000)
    together = nps(scores, by=groups, weights=weights)
    assert list(together) == list(range(40))
    for group, result in together.items():
        mine = groups == group
        alone = nps(scores[mine], weights=weights[mine])
        assert result.value == pytest.approx(naive(scores[mine].tolist(), weights[mine].tolist()))
        assert result.to_dict() == pytest.approx(alone.to_dict())
    assert sum(result.n for result in together.values()) == np.isfinite(scores).sum()


@pytest.mark.parametrize(
    ("groups", "labels"),
    [
        ([2.0, math.nan, -0.0, 0.0], [0.0, 2.0, None]),
        ([True, False, None, True], [False, True, None]),
        (
            pd.Series([dt.date(2020, 1, 2), dt.date(2020, 1, 1)] * 2),
            [dt.date(2020, 1, 1), dt.date(2020, 1, 2)],
        ),
        (pd.Series(["x", "y", "x", None], dtype="category").cat.add_categories("unused"), ["x", "y", None]),
        (pl.Series(["x", "y", "x", None], dtype=pl.Categorical), ["x", "y", None]),
        (pa.chunked_array([["b", "a"], [None, "b"]]), ["a", "b", None]),
        (np.array(["b", "a", "c", "a"]), ["a", "b", "c"]),
        (("b", "a", "c", "a"), ["a", "b", "c"]),
        ([None] * 4, [None]),
    ],
)
def test_kinds_of_groups(groups, labels):
    result = nps([9, 10, 8, 2], by=groups)
    assert list(result) == labels
    assert sum(item.n for item in result.values()) == 4


def test_groups_name_and_kind():
    shops = pl.Series("shop", ["a", "b"])
    assert (nps(pl.Series([9, 2]), by=shops).by, nps(pl.Series([9, 2]), by=shops).kind) == ("shop", "polars")
    assert (nps(pa.array([9, 2]), by=["a", "b"]).by, nps(pa.array([9, 2]), by=["a", "b"]).kind) == (
        "group",
        "pyarrow",
    )
    assert dict(nps([], by=[])) == {}
    json.dumps(nps([9, None], by=["a", None]).to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        (["a", "b"], InvalidArgument, "2 values for 3 scores"),
        ("shop", InvalidArgument, "by='shop' is no array"),
        ([1, "a", 2], ColumnError, "do not go together"),
        ([[1], [2], [3]], ColumnError, "plain values"),
        (pa.array([{"a": 1}] * 3), ColumnError, "plain values"),
    ],
)
def test_bad_groups(groups, error, words):
    with pytest.raises(error, match=words):
        nps([9, 10, 2], by=groups)


def test_too_many_groups():
    with pytest.raises(InvalidArgument, match="10,001 groups"):
        nps(np.full(10_001, 9), by=np.arange(10_001))


# --- difference


def test_difference_by_hand():
    first, second = nps(scores_of(60, 30, 10)), nps(scores_of(20, 20, 20))
    change = nps_difference(first, second)
    p1, d1, p2, d2 = 60.75 / 103, 10.75 / 103, 20.75 / 63, 20.75 / 63
    variance = (p1 + d1 - (p1 - d1) ** 2) / 103 + (p2 + d2 - (p2 - d2) ** 2) / 63
    assert change.value == 50.0
    assert (change.low + change.high) / 2 == pytest.approx(100 * (50 / 103), abs=1e-9)
    assert (change.high - change.low) / 2 == pytest.approx(100 * Z * math.sqrt(variance), abs=1e-9)
    assert (change.n, change.unit, change.confidence) == (160, "points", 0.95)
    wald = nps_difference(first, second, method="wald", confidence=0.9)
    spread = math.sqrt((0.7 - 0.25) / 100 + (2 / 3) / 60)
    assert wald.high - 50 == pytest.approx(100 * 1.6448536269514722 * spread, abs=1e-9)
    assert isinstance(change, Estimate)
    assert str(change).startswith("Difference of net promoter scores: 50.0 points (95 % interval")
    assert str(change).endswith("160 respondents).")
    assert first.minus(second) == change
    narrow = nps(scores_of(60, 30, 10), confidence=0.5).minus(second)
    assert narrow == nps_difference(first, second, confidence=0.5)
    assert first.minus(second, confidence=0.9, method="wald") == wald


def test_difference_is_antisymmetric_and_clipped():
    best, worst = nps([10] * 3), nps([0, None])
    change, back = best.minus(worst), worst.minus(best)
    assert (change.value, change.high) == (200.0, 200.0)
    assert (back.value, back.low, back.high) == (-200.0, -200.0, -change.low)
    assert change.excluded == 1


def test_difference_uses_the_effective_n():
    first = nps([9, 10, 7, 0], weights=[3, 1, 2, 2])
    second = nps([9, 2])
    change = nps_difference(first, second, method="wald")
    assert change.value == 25.0
    spread = math.sqrt((0.75 - 0.0625) / (32 / 9) + 1 / 2)
    assert change.high == pytest.approx(25 + 100 * Z * spread)


def test_difference_with_nobody():
    change = nps([]).minus(nps([9]))
    assert math.isnan(change.value)
    assert math.isnan(change.low)
    assert change.note
    assert change.to_dict()["value"] is None


def test_difference_of_what_is_no_score():
    groups = nps([9, 2], by=["a", "b"])
    with pytest.raises(InvalidArgument, match=r"second is a Grouped.*for one of its groups"):
        nps_difference(groups["a"], groups)
    with pytest.raises(InvalidArgument, match="first is a list"):
        nps_difference([9], groups["a"])
    with pytest.raises(InvalidArgument, match="method='bootstrap'"):
        nps_difference(groups["a"], groups["b"], method="bootstrap")
    with pytest.raises(InvalidArgument, match="confidence=1"):
        nps_difference(groups["a"], groups["b"], confidence=1)


def test_difference_coverage():
    # 4000 seeded pairs of surveys: at 95 % the share that holds the truth has a standard deviation of 0.35
    # points, and the approximation may be off by a point at n = 40 and 60.
    rng = np.random.default_rng(2024)
    first = rng.multinomial(40, [0.2, 0.3, 0.5], 4000)
    second = rng.multinomial(60, [0.3, 0.3, 0.4], 4000)
    truth = 100 * ((0.5 - 0.2) - (0.4 - 0.3))
    covered = 0
    for a, b in zip(first, second, strict=True):
        change = nps(np.repeat([2, 8, 10], a)).minus(nps(np.repeat([2, 8, 10], b)))
        covered += change.low <= truth <= change.high
    assert 0.935 <= covered / 4000 <= 0.968


# --- every way to hand it over

KINDS = {
    "list": list,
    "tuple": tuple,
    "numpy object": lambda values: np.array(values, dtype=object),
    "numpy float": lambda values: np.array(values, dtype=float),
    "numpy float32": lambda values: np.array(values, dtype="float32"),
    "numpy masked": lambda values: np.ma.masked_invalid(np.array(values, dtype=float)),
    "numpy masked integers": lambda values: np.ma.array(
        [value or 0 for value in values], mask=[value is None for value in values], dtype="int8"
    ),
    "Decimals": lambda values: [None if value is None else Decimal(f"{value}.0") for value in values],
    "Fractions": lambda values: [None if value is None else Fraction(value) for value in values],
    "NumPy scalars": lambda values: [None if value is None else np.int8(value) for value in values],
    "list with NA": lambda values: [pd.NA if value is None else value for value in values],
    "pandas float": pd.Series,
    "pandas object": lambda values: pd.Series(values, dtype=object),
    "pandas Int64": lambda values: pd.Series(values, dtype="Int64"),
    "pandas Float64": lambda values: pd.Series(values, dtype="Float64"),
    "pandas category": lambda values: pd.Series(values, dtype="category"),
    "pandas Arrow integers": lambda values: pd.Series(values, dtype="int64[pyarrow]"),
    "pandas Arrow decimals": lambda values: pd.Series(
        [None if value is None else Decimal(value) for value in values],
        dtype=pd.ArrowDtype(pa.decimal128(5, 1)),
    ),
    "pandas sparse": lambda values: pd.Series(pd.arrays.SparseArray(np.array(values, dtype=float))),
    "pandas Index": pd.Index,
    "pandas array": lambda values: pd.array(values, dtype="Int64"),
    "Polars Int8": lambda values: pl.Series(values, dtype=pl.Int8),
    "Polars UInt64": lambda values: pl.Series(values, dtype=pl.UInt64),
    "Polars Float32": lambda values: pl.Series(values, dtype=pl.Float32),
    "Polars Decimal": lambda values: pl.Series(values).cast(pl.Decimal(10, 2)),
    "Narwhals": lambda values: nw.from_native(pl.Series(values), series_only=True),
    "Arrow array": pa.array,
    "Arrow chunks": lambda values: pa.chunked_array([values[:5], values[5:]]),
    "Arrow decimal": lambda values: pa.array(values, pa.int64()).cast(pa.decimal128(21, 1)),
    "Arrow dictionary": lambda values: pa.array(values, pa.int8()).dictionary_encode(),
}
SCORES = [10, 9, None, 8, 7, 6, 0, 9, 10, None, 3, 9]
WEIGHTS = [1.0, 2.0, 5.0, 1.0, 0.5, 1.0, 3.0, 1.0, 1.0, 1.0, 0.0, 2.0]
SHOPS = ["n", "s", "n", None, "s", "n", "n", "s", "n", None, "s", "n"]


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_agree(kind):
    assert nps(KINDS[kind](SCORES)) == nps(SCORES)
    assert nps(SCORES).value == pytest.approx(naive(SCORES))
    assert nps(SCORES, weights=KINDS[kind](SCORES)).promoters == 10 + 9 + 9 + 10 + 9


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64", "float16", "float64", "longdouble"])
def test_numpy_types_agree(dtype):
    scores = np.array(ORACLE, dtype=dtype)
    before = scores.copy()
    assert nps(scores) == nps(ORACLE)
    assert (scores == before).all()
    assert nps(scores[::2]).n == 250  # a strided view


def test_ranges_and_readonly_arrays():
    scores = np.arange(11)
    scores.flags.writeable = False
    assert nps(range(11)) == nps(scores) == nps(list(range(11)))


def tables(folder: Path):
    """Yield the same survey as every kind of table, with names that only a careful reader gets right."""
    frame = pd.DataFrame({"how likely?": pd.array(SCORES, "Int64"), 'sh"op': SHOPS, "w 1": WEIGHTS, "a": -1})
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    frame.to_csv(folder / "survey.csv", index=False)
    frame.astype({"how likely?": float}).to_csv(folder / "float.csv", index=False)
    pq.write_table(arrow, folder / "survey.parquet")
    con = duckdb.connect()
    yield "pandas", frame
    yield "pandas float", frame.astype({"how likely?": float})
    yield "polars", pl.from_arrow(arrow)
    yield "polars-lazy", pl.from_arrow(arrow).lazy()
    yield "pyarrow", arrow
    yield "narwhals", nw.from_native(pl.from_arrow(arrow))
    yield "duckdb", con.from_arrow(arrow)
    yield "csv", folder / "survey.csv"
    yield "csv of floats", str(folder / "float.csv")
    yield "parquet", str(folder / "survey.parquet")
    yield "list of paths", [str(folder / "survey.parquet")]


def test_tables_agree(tmp_path):
    seen = set()
    for kind, table in tables(tmp_path):
        assert nps(table, "how likely?") == nps(SCORES), kind
        weighted = nps(table, "how likely?", weights="w 1")
        assert weighted.to_dict() == pytest.approx(nps(SCORES, weights=WEIGHTS).to_dict()), kind
        grouped = nps(table, "how likely?", by='sh"op', weights="w 1")
        plain = nps(SCORES, by=SHOPS, weights=WEIGHTS)
        assert list(grouped) == ["n", "s", None], kind
        for shop in plain:
            assert grouped[shop].to_dict() == pytest.approx(plain[shop].to_dict()), kind
        assert grouped.by == 'sh"op'
        drawn = nps(table, "how likely?", weights="w 1", method="bootstrap")
        assert (drawn.low, drawn.high) == pytest.approx(
            [getattr(nps(SCORES, weights=WEIGHTS, method="bootstrap"), end) for end in ("low", "high")]
        ), kind
        seen.add(grouped.kind)
    assert seen == {"pandas", "polars", "pyarrow"}


def test_empty_tables():
    arrow = pa.table({"s": pa.array([], pa.int8()), "g": pa.array([], pa.string()), "w": pa.array([], pa.float64())})
    con = duckdb.connect()
    bare = pl.DataFrame({"s": [], "g": [], "w": []})
    for table in (arrow, arrow.to_pandas(), bare, bare.lazy(), con.from_arrow(arrow)):
        for method in ("adjusted_wald", "bootstrap"):
            assert "nobody answered" in nps(table, "s", weights="w", method=method).note
            assert dict(nps(table, "s", by="g", method=method)) == {}
            assert dict(nps(table, "s", by="g", weights="w", method=method)) == {}


def test_arrays_beside_a_table(tmp_path):
    for kind, table in tables(tmp_path):
        if kind in {"pandas", "polars", "pyarrow", "narwhals"}:
            assert nps(table, "how likely?", weights=WEIGHTS, by=np.array(SHOPS)).keys() == {"n", "s", None}
            assert nps(table, "how likely?", weights=WEIGHTS).denominator == nps(SCORES, weights=WEIGHTS).denominator
            with pytest.raises(InvalidArgument, match="1 values for 12 scores"):
                nps(table, "how likely?", weights=[1.0])
        elif kind != "pandas float":
            with pytest.raises(InvalidArgument, match="no lasting order"):
                nps(table, "how likely?", weights=WEIGHTS)


def test_lazy_tables_are_counted_where_they_are(monkeypatch):
    con = duckdb.connect()
    relation = con.sql("SELECT (i % 11)::INTEGER AS score, i % 2 AS half FROM range(11000) AS r(i)")
    fetched = []
    inner = answers._numbers

    def spy(values, role, **options):
        fetched.append(len(values))
        return inner(values, role, **options)

    monkeypatch.setattr(answers, "_numbers", spy)
    assert nps(relation, "score").value == pytest.approx(100 * (2 - 7) / 11)
    assert nps(relation, "score").n == 11_000
    assert nps(relation, "score", by="half")[1].n == 5_500
    assert fetched == [11, 11, 22]
    lazy = pl.LazyFrame({"x": [0] * 4, "^x$": [9, 9, 10, 3], "*": [1, 1, 1, 1]})
    assert nps(lazy, "^x$", weights="*").value == 50.0
    assert nps(lazy, "^x$", by="^x$").keys() == {9, 10, 3}


def test_labels_that_are_not_text():
    frame = pd.DataFrame({0: [9, 3], ("a", "b"): [1.0, 3.0], 1: ["x", "y"]})
    assert nps(frame, 0, weights=("a", "b")).value == -50.0
    assert nps(frame, 0, by=1)["y"].value == -100.0


def test_series_with_different_indexes():
    scores, weights = pd.Series([9, 2], index=[0, 1]), pd.Series([1.0, 3.0], index=[1, 0])
    with pytest.raises(InvalidArgument, match="different indexes"):
        nps(scores, weights=weights)
    with pytest.raises(InvalidArgument, match="different indexes"):
        nps(scores.to_frame("s"), "s", by=weights)
    assert nps(scores, weights=weights.to_numpy()).value == -50.0
    assert nps(scores, weights=weights.loc[scores.index]).value == 50.0


# --- bad input


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([9, 11, 3], r"1 of 3 answers.*0 to 10 \(row 1: 11\).*that scale only.*invalid=.exclude"),
        ([7.5, 9, None], r"1 of 3 answers.*row 0: 7\.5"),
        ([9, -1], "row 1: -1"),
        ([9, math.inf, -math.inf], r"2 of 3.*row 1: inf, row 2: -inf"),
        ([12, 13, 14, 15], r"row 0: 12, row 1: 13, row 2: 14, …"),
        (np.array([255, 1], dtype="uint8"), "row 0: 255"),
        (np.array([2**63], dtype="uint64"), "row 0: 9223372036854775808|row 0: 9.22337203685e"),
        ([10**400], "row 0: inf"),
        ([Decimal("9.5")], r"row 0: 9\.5"),
        (pd.Series([9, 10.5], dtype="Float64"), r"row 1: 10\.5"),
        (pl.Series([9, 11]), "row 1: 11"),
    ],
)
def test_answers_off_the_scale(scores, words):
    with pytest.raises(InvalidRows, match=words) as caught:
        nps(scores)
    assert caught.value.column == "scores"
    assert caught.value.count >= 1
    assert caught.value.examples
    excluded = nps(scores, invalid="exclude")
    assert excluded.off_scale == caught.value.count
    assert excluded.excluded == excluded.off_scale + excluded.missing
    assert "off the scale" in excluded.note
    assert excluded.n + excluded.excluded == len(scores)


def test_off_scale_rows_by_group():
    result = nps([9, 11, None, 3], by=["a", "a", "b", "b"], invalid="exclude", weights=[1, -5, None, 1])
    assert (result["a"].off_scale, result["a"].value, result["b"].missing) == (1, 100.0, 1)
    assert result["a"].note == "left out: 1 with an answer off the scale of 0 to 10"


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (["9", "10"], "text: convert"),
        ([9, "10"], "text: convert"),
        (np.array(["9"]), "text: convert"),
        (np.array([b"9"]), "text: convert"),
        (pd.Series(["9", None]), "text: convert"),
        (pd.Series(["9", None], dtype="category"), "text: convert"),
        (pl.Series(["9"]), "text: convert"),
        (pa.array(["9"]), "text: convert"),
        (pa.array(["9"], pa.string_view()), "text: convert"),
        ([True, False], "true or false"),
        ([9, True], "true or false"),
        (np.array([True]), "true or false"),
        (pd.Series([True, None], dtype="boolean"), "true or false"),
        (pl.Series([True, None]), "true or false"),
        (pa.array([True]), "true or false"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "datetime64"),
        (pl.Series([dt.date(2020, 1, 1)]), "date32"),
        ([dt.date(2020, 1, 1)], "type date"),
        (np.array([1 + 2j]), "complex128"),
        ([[9, 10]], "type list"),
        (np.array([[9, 10]]), r"shape \(1, 2\)"),
        (np.array(9), r"shape \(\)"),
        (pl.Series([object()], dtype=pl.Object), "holds|Object"),
    ],
)
def test_answers_that_are_no_numbers(scores, words):
    for invalid in ("raise", "exclude"):
        with pytest.raises(ColumnError, match=words):
            nps(scores, invalid=invalid)


@pytest.mark.parametrize("scores", [9, None, {9, 10}, {"score": [9]}, iter([9])])
def test_answers_of_no_known_kind(scores):
    with pytest.raises(UnsupportedSource, match="give a list"):
        nps(scores)


def test_tables_without_a_column():
    frame = pd.DataFrame({"score": [9, 10]})
    for table in (
        frame,
        pl.from_pandas(frame),
        pl.from_pandas(frame).lazy(),
        pa.table({"score": [9]}),
        "survey.csv",
    ):
        with pytest.raises(InvalidArgument, match="name its column"):
            nps(table)
    with pytest.raises(ColumnError, match=r"no such column.*Did you mean 'score'"):
        nps(frame, "scores")
    with pytest.raises(ColumnError, match="by='shop'"):
        nps(frame, "score", by="shop")
    with pytest.raises(ColumnError, match="weights='w'"):
        nps(frame, "score", weights="w")
    with pytest.raises(ColumnError, match="names 2 columns"):
        nps(pd.DataFrame([[9, 2]], columns=["score", "score"]), "score")
    for array in (np.array([9]), pd.Series([9]), pa.chunked_array([[9]])):
        with pytest.raises(InvalidArgument, match="leave score out"):
            nps(array, "score")
    with pytest.raises(UnsupportedSource):
        nps([9], "score")
    with pytest.raises(InvalidArgument, match="no file matches"):
        nps("nowhere.csv", "score")


def test_bad_columns_of_tables(tmp_path):
    with pytest.raises(ColumnError, match="text"):
        nps(pd.DataFrame({"score": ["9"]}), "score")
    with pytest.raises(ColumnError, match="true or false"):
        nps(pd.DataFrame({"score": [True]}), "score")
    relation = duckdb.connect().sql("SELECT unnest([11, 11, 9, -1]) AS score")
    with pytest.raises(InvalidRows, match=r"score: 3 of 4 answers.*\(-1, 11\)") as caught:
        nps(relation, "score")
    assert (caught.value.count, caught.value.column, caught.value.examples) == (3, "score", ("-1", "11"))
    assert nps(relation, "score", invalid="exclude").off_scale == 3
    path = tmp_path / "survey.csv"
    path.write_text("score,w\n9,1\n n/a ,1\n\n nan,1\n  ,1\n1_0,1\n2,\n")
    with pytest.raises(InvalidRows, match="' n/a '"):
        nps(path, "score")
    result = nps(path, "score", invalid="exclude")
    assert (result.n, result.off_scale, result.value) == (2, 3, 0.0)
    with pytest.raises(InvalidRows, match="missing"):
        nps(path, "score", weights="w", invalid="exclude")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"confidence": 95}, "confidence=95"),
        ({"confidence": 0.0}, r"confidence=0\.0"),
        ({"method": "wilson"}, "method='wilson'"),
        ({"invalid": "ignore"}, "invalid='ignore'"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(InvalidArgument, match=words):
        nps([9, 10], **options)


# --- results that show themselves


def test_sentence():
    assert str(nps(ORACLE)) == (
        "Net promoter score: 20.0 points (95 % interval 13.3 to 26.4 points; 200 promoters, 200 passives, "
        "100 detractors of 500 respondents)."
    )
    assert str(nps([])) == (
        "Net promoter score: not defined (0 promoters, 0 passives, 0 detractors of 0 respondents). "
        "Note: undefined: nobody answered."
    )
    assert str(nps([9, 10, 7, 0], weights=[3, 1, 2, 2])).endswith(
        "50.0 % promoters, 25.0 % passives, 25.0 % detractors by weight; 4 respondents)."
    )


def test_dictionary():
    record = nps([9, 10, None], by=["a", "a", "b"])["a"].to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {
        "promoters": 2,
        "passives": 0,
        "detractors": 0,
        "missing": 0,
        "effective_n": 2.0,
    }.items() <= record.items()
    assert {field.name for field in dataclasses.fields(Estimate)} < set(record)
    assert nps([]).to_dict()["value"] is None


def test_frozen_with_slots():
    result = nps([9])
    assert not hasattr(result, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.promoters = 3
    assert isinstance(result, Estimate)
    assert result == nps([9])
    assert hash(result) == hash(nps([9]))


def test_html():
    page = nps(ORACLE)._repr_html_()
    assert page.startswith("<table>")
    assert "<td>promoters</td><td>200 (40.0 %)</td>" in page
    assert "effective n" not in page
    assert "effective n" in nps([9, 2], weights=[1, 3])._repr_html_()
    assert "nobody answered" in nps([])._repr_html_()


def test_plot_hands_itself_over(monkeypatch):
    from loyalty import plots

    seen = []
    monkeypatch.setattr(plots, "nps", lambda result, ax=None: seen.append((result, ax)) or "axes", raising=False)
    result = nps(ORACLE)
    assert result.plot(ax="mine") == "axes"
    assert seen == [(result, "mine")]


def test_import_is_light():
    heavy = {"pandas", "pyarrow", "matplotlib", "polars", "duckdb"}
    code = f"import sys, loyalty.surveys.nps; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.strip()


def test_results_are_scores():
    assert isinstance(nps([9]), NPS)
    assert all(isinstance(item, NPS) for item in nps([9, 2], by=["a", "b"]).values())
