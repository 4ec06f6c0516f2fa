import json
import math
import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.errors import ColumnError, EmptyData, InvalidArgument, InvalidRows
from loyalty.metrics.allocation import wallet_allocation
from other_tables import as_source

NAN = math.nan


def shares_of(result):
    """Return the predicted shares as {(respondent, brand): share}."""
    who, brand = result.shares.data.column_names[:2]
    return {(row[who], row[brand]): row["share"] for row in result.shares.data.to_pylist()}


@pytest.mark.parametrize(
    ("ranks", "shares"),
    [
        ([1], [1]),
        ([1, 2], [2 / 3, 1 / 3]),
        ([1, 2, 3], [1 / 2, 1 / 3, 1 / 6]),
        ([3, 1, 2], [1 / 6, 1 / 2, 1 / 3]),
        ([4, 3, 2, 1], [1 / 10, 2 / 10, 3 / 10, 4 / 10]),
        # equal brands share the mean of their places, however the ties were counted
        ([1, 1], [1 / 2, 1 / 2]),
        ([1, 1, 3], [5 / 12, 5 / 12, 1 / 6]),
        ([1, 1, 2], [5 / 12, 5 / 12, 1 / 6]),
        ([2, 2, 3], [5 / 12, 5 / 12, 1 / 6]),
        ([1.5, 1.5, 3], [5 / 12, 5 / 12, 1 / 6]),
        ([1, 2, 2], [1 / 2, 1 / 4, 1 / 4]),
        ([1, 1, 1], [1 / 3, 1 / 3, 1 / 3]),
        # brands that are not used
        ([NAN, 1, NAN], [1]),
        ([2, NAN, 1], [1 / 3, 2 / 3]),
    ],
)
def test_allocation_by_hand(ranks, shares):
    result = wallet_allocation(np.array([ranks]))
    assert list(shares_of(result).values()) == pytest.approx(shares, rel=1e-15)
    assert result.reranked == 0
    assert result.shares.note == ""


@pytest.mark.parametrize(
    ("ranks", "shares"), [([1, 3], [2 / 3, 1 / 3]), ([5], [1]), ([4, 2, 9], [1 / 3, 1 / 2, 1 / 6])]
)
def test_ranks_with_gaps_are_closed_up_and_counted(ranks, shares):
    result = wallet_allocation(np.array([ranks, [1, 2, 3][: len(ranks)]]))
    assert list(shares_of(result).values())[: len(ranks)] == pytest.approx(shares, rel=1e-15)
    assert result.reranked == 1
    assert "only their order counts: 1" in result.shares.note
    assert str(result).endswith("only their order counts: 1.")


RANKS = pd.DataFrame(
    [
        ("ann", "B", 1),
        ("ann", "A", 2),
        ("bob", "A", 1),
        ("cid", "A", 2),
        ("cid", "B", 2),
        ("cid", "C", 1),
        ("cid", "D", None),
        (None, "A", 1),
        ("dan", None, 1),
    ],
    columns=["respondent", "brand", "rank"],
)


def test_brands_by_hand():
    result = wallet_allocation(RANKS)
    assert shares_of(result) == pytest.approx(
        {
            ("ann", "A"): 1 / 3,
            ("ann", "B"): 2 / 3,
            ("bob", "A"): 1,
            ("cid", "A"): 1 / 4,
            ("cid", "B"): 1 / 4,
            ("cid", "C"): 1 / 2,
        },
        rel=1e-15,
    )
    assert result.shares["rank"] == [2, 1, 1, 2.5, 2.5, 1]
    assert result.shares["brands_used"] == [2, 2, 1, 3, 3, 3]
    assert list(result.brands) == ["A", "B", "C", "D"]
    brand = result.brands["A"]
    z = statistics.NormalDist().inv_cdf(0.975)
    shares = [1 / 3, 1, 1 / 4]
    assert brand.value == pytest.approx(statistics.mean(shares), rel=1e-15)
    half = z * statistics.stdev(shares) / math.sqrt(3)
    assert (brand.low, brand.high) == pytest.approx((brand.value - half, brand.value + half), rel=1e-12)
    assert (brand.n, brand.counted, brand.method) == (3, "respondents", "delta")
    assert result.brands["C"].value == 0.5
    assert math.isnan(result.brands["C"].low)
    assert math.isnan(result.brands["D"].value)
    assert "nobody uses this brand" in result.brands["D"].note
    assert (result.respondents, result.unranked, result.rows_without_id, result.reranked) == (3, 1, 2, 0)


def test_ratings_are_ranked_from_the_highest():
    ratings = RANKS.assign(rating=10 - RANKS["rank"] * 2.5)
    assert shares_of(wallet_allocation(ratings, ratings=True)) == shares_of(wallet_allocation(RANKS))
    zero_and_less = wallet_allocation(np.array([[0.0, -3.0, 7.0]]), ratings=True)
    assert list(shares_of(zero_and_less).values()) == pytest.approx([1 / 3, 1 / 6, 1 / 2])
    assert zero_and_less.reranked == 0


def naive_allocation(frame):
    """Apply the rule respondent by respondent."""
    found = {}
    for respondent, rows in frame.dropna(subset=["rank"]).groupby("respondent"):
        m = len(rows)
        for brand, place in zip(rows["brand"], rows["rank"].rank(method="average"), strict=True):
            found[respondent, brand] = (1 - place / (m + 1)) * 2 / m
    return found


@pytest.mark.parametrize("seed", range(3))
def test_allocation_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    cells = rng.choice([1.0, 2.0, 3.0, 4.0, NAN], size=(80, 5), p=[0.2, 0.2, 0.1, 0.1, 0.4])
    brands = ["e", "b", "a", "d", "c"]
    who, what = np.indices(cells.shape).reshape(2, -1)
    frame = pd.DataFrame({"respondent": who, "brand": np.array(brands)[what], "rank": cells.ravel()})
    expected = naive_allocation(frame)
    by_array = wallet_allocation(cells, brands=brands, confidence=0.9)
    by_table = wallet_allocation(frame.sample(frac=1, random_state=seed), confidence=0.9)
    assert shares_of(by_array) == pytest.approx(expected, rel=1e-12)
    assert shares_of(by_table) == pytest.approx(expected, rel=1e-12)
    assert list(by_array.brands) == brands
    assert list(by_table.brands) == sorted(brands)
    for brand in brands:
        shares = [share for (_, label), share in expected.items() if label == brand]
        half = statistics.NormalDist().inv_cdf(0.95) * statistics.stdev(shares) / math.sqrt(len(shares))
        for estimate in (by_array.brands[brand], by_table.brands[brand]):
            assert estimate.value == pytest.approx(statistics.mean(shares), rel=1e-12)
            assert estimate.high == pytest.approx(statistics.mean(shares) + half, rel=1e-9)
    irregular = 0
    for _, rows in frame.dropna(subset=["rank"]).groupby("respondent"):
        ways = (rows["rank"].rank(method=way) for way in ("min", "max", "average", "dense"))
        irregular += not any((rows["rank"] == way).all() for way in ways)
    assert by_array.reranked == by_table.reranked == irregular > 0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.one_of(st.just(NAN), st.integers(1, 6)), min_size=width, max_size=width), min_size=1
        )
    )
)
def test_shares_of_a_respondent_sum_to_one_and_follow_the_order(rows):
    cells = np.array(rows, float)
    found = shares_of(wallet_allocation(cells))
    assert len(found) == np.isfinite(cells).sum()
    for respondent, ranks in enumerate(cells):
        used = {brand: ranks[brand] for brand in np.flatnonzero(np.isfinite(ranks))}
        shares = {brand: found[respondent, brand] for brand in used}
        if used:
            assert sum(shares.values()) == pytest.approx(1, rel=1e-12)
        for one, two in ((one, two) for one in used for two in used):
            assert (used[one] < used[two]) == (shares[one] > shares[two] + 1e-12)


@pytest.mark.parametrize("kind", ["polars", "polars-lazy", "pyarrow", "stream", "parquet", "csv", "duckdb"])
def test_allocation_sources(kind, tmp_path):
    import duckdb

    with duckdb.connect() as connection:
        result = wallet_allocation(as_source(RANKS, kind, tmp_path, connection))
    assert shares_of(result) == pytest.approx(shares_of(wallet_allocation(RANKS)), rel=1e-15)
    assert (result.unranked, result.rows_without_id) == (1, 2)
    frame = result.to_native()
    assert type(frame).__module__.startswith(
        {"polars": "polars", "pyarrow": "pyarrow"}.get(result.brands.kind, "pandas")
    )
    assert len(frame) == 4


def test_allocation_of_categories_and_other_names():
    frame = RANKS.rename(columns={"respondent": "rank", "brand": "Märke", "rank": "place"})
    frame["Märke"] = frame["Märke"].astype("category")
    result = wallet_allocation(frame, respondent="rank", brand="Märke", value="place")
    assert result.shares.data.column_names == ["rank", "Märke", "rank_group", "brands_used", "share"]
    assert shares_of(result) == shares_of(wallet_allocation(RANKS))
    assert result.brands.by == "Märke"


def test_allocation_of_integers_and_masked_arrays():
    cells = np.array([[1, 2, 9], [2, 1, 3]])
    masked = np.ma.masked_array(cells, cells == 9)
    assert list(shares_of(wallet_allocation(masked)).values())[:2] == pytest.approx([2 / 3, 1 / 3])
    objects = np.array([[1, 2, None], [2, 1, 3]], dtype=object)
    assert shares_of(wallet_allocation(objects)) == shares_of(wallet_allocation(masked))


def test_no_ranks_at_all():
    result = wallet_allocation(np.array([[NAN, NAN]]), brands=["A", "B"])
    assert all(math.isnan(estimate.value) for estimate in result.brands.values())
    assert (result.respondents, len(result.shares), result.unranked) == (0, 0, 2)


def test_allocation_shows_itself():
    result = wallet_allocation(RANKS)
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert [row["group"] for row in plain["groups"]] == ["A", "B", "C", "D"]
    assert (plain["respondents"], plain["unranked"], plain["note"]) == (3, 1, "")
    assert str(result).startswith("brand = A: Predicted share of wallet: 52.8 % (95 % interval ")
    assert "3 respondents)" in str(result)
    assert "52.8 %" in result._repr_html_()
    assert result.shares.to_native()["share"].sum() == pytest.approx(3)


@pytest.mark.parametrize(
    ("ranks", "options", "error", "words"),
    [
        (np.array([[1, 0], [0, 1]]), {}, InvalidRows, "2 values of 'ranks' are below 1, .* respondent 0 for brand 1"),
        (np.array([[1, 0.5]]), {}, InvalidRows, "1 values .* below 1"),
        (np.array([[1, math.inf]]), {}, InvalidRows, "1 values of 'ranks' are infinite"),
        (np.array([[1, -math.inf]]), {"ratings": True}, InvalidRows, "infinite"),
        (pd.concat([RANKS, RANKS[:1]]), {}, InvalidRows, "1 of respondent 'ann' for brand 'B'"),
        (np.array([1, 2]), {}, InvalidArgument, r"shape \(2,\)"),
        (np.array([["1", "2"]]), {}, InvalidArgument, "holds more than numbers"),
        (np.array([["1", 2]], dtype=object), {}, InvalidArgument, "holds more than numbers"),
        (np.array([[True, False]]), {}, InvalidArgument, "holds more than numbers"),
        (np.array([[1, 2]]), {"brands": ["A"]}, InvalidArgument, "2 columns"),
        (np.array([[1, 2]]), {"brands": ["A", "A"]}, InvalidArgument, "each differently"),
        (np.array([[1, 2]]), {"confidence": 95}, InvalidArgument, "strictly between"),
        (np.empty((0, 2)), {}, EmptyData, "no rows"),
        (RANKS[:0], {}, EmptyData, "no rows"),
        (RANKS[7:8], {}, EmptyData, "names a respondent and a brand"),
        (RANKS, {"brands": ["A"]}, InvalidArgument, "brand=<column>"),
        (RANKS, {"ratings": True}, ColumnError, "value='rating'"),
        (RANKS, {"value": "brand"}, ColumnError, "not a number"),
        (RANKS.assign(rank=True), {}, ColumnError, "not a number"),
    ],
)  # fmt: skip
def test_allocation_of_wrong_input(ranks, options, error, words):
    with pytest.raises(error, match=words):
        wallet_allocation(ranks, **options)


def test_text_file_of_ranks_that_are_none(tmp_path):
    path = tmp_path / "ranks.csv"
    path.write_text("respondent,brand,rank\n1,A,first\n")
    with pytest.raises(ColumnError, match="value='rank' holds more than numbers"):
        wallet_allocation(str(path))
