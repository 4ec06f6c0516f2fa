"""RFM: scores and segments by hand and against a naive oracle, ties, groups, own segments, laws."""

import gc
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sources
from loyalty.datasets import cdnow
from loyalty.errors import ClosedError, InvalidArgument
from loyalty.segments import standings
from loyalty.segments.rfm import OTHER, SEGMENTS, rfm
from loyalty.tables import Grouped
from loyalty.transactions import transactions

# The grid as a picture, r from 5 down to 1, f from 1 to 5.
PICTURE = """
    New Customers   | Potential Loyalists | Potential Loyalists | Champions       | Champions
    Promising       | Potential Loyalists | Potential Loyalists | Loyal Customers | Loyal Customers
    About To Sleep  | About To Sleep      | Need Attention      | Loyal Customers | Loyal Customers
    Hibernating     | Hibernating         | At Risk             | At Risk         | Can't Lose Them
    Lost            | Hibernating         | At Risk             | At Risk         | Can't Lose Them
"""
GRID = {
    (5 - row, column + 1): name.strip()
    for row, line in enumerate(PICTURE.strip().splitlines())
    for column, name in enumerate(line.split("|"))
}


def random_log(seed, customers=80, **columns):
    """Return a log with heavy ties, zeros and returns."""
    rng = np.random.default_rng(seed)
    n = customers * 3
    frame = pd.DataFrame(
        {
            "customer_id": rng.integers(0, customers, n),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 12, n) * 7, unit="D"),
            "amount": rng.choice([0.0, 5.0, 10.0, 10.1, 33.3], n),
            **{name: rng.choice(values, n) for name, values in columns.items()},
        }
    )
    back = frame.iloc[: n // 10].assign(amount=-10.0, date=pd.Timestamp("2024-04-30"))
    return pd.concat([frame, back], ignore_index=True)


def naive(frame, bins, names=None):
    """Score as the definition reads, one customer at a time; a purchase is a customer-day."""
    sales = frame[frame["amount"] >= 0]
    end = sales["date"].max() if (frame["amount"] >= 0).all() else frame["date"].max()
    people = pd.DataFrame(
        {
            "days_since_last_purchase": (end - sales.groupby("customer_id")["date"].max()).dt.days,
            "frequency": sales.groupby("customer_id")["date"].nunique(),
            "monetary": frame.groupby("customer_id")["amount"].sum().round(9),
        }
    ).dropna()
    n = len(people)
    for score, name, sign in (("r", "days_since_last_purchase", -1), ("f", "frequency", 1), ("m", "monetary", 1)):
        good = sign * people[name]
        people[score] = [1 + math.floor(bins * int((good < mine).sum()) / n) for mine in good]
    people["rfm_score"] = people["r"].astype(str) + people["f"].astype(str) + people["m"].astype(str)
    if names:
        people["segment"] = [names[pair] for pair in zip(people["r"], people["f"], strict=True)]
    return people


# ------------------------------------------------------------------------------------------------------------ scores


def test_by_hand():
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "b", "b", "c", "d", "e"],
            "date": pd.to_datetime(
                ["2024-01-31", "2024-01-10", "2024-01-30", "2024-01-10", "2024-01-01", "2024-01-31"]
            ),
            "amount": [10.0, 10.0, 10.0, 5.0, 5.0, 0.0],
        }
    )
    found = rfm(transactions(frame)).customers.set_index("customer_id").sort_index()
    assert found["days_since_last_purchase"].tolist() == [0, 1, 21, 30, 0]
    assert found["frequency"].tolist() == [1, 2, 1, 1, 1]
    # Strictly worse, of five: days a 3, b 2, c 1, d 0, e 3; purchases 0, 4, 0, 0, 0; money a 3, b 4, c 1, d 1, e 0.
    assert found["rfm_score"].tolist() == ["414", "355", "212", "112", "411"]
    assert found["segment"].tolist() == ["Promising", "Loyal Customers", "Hibernating", "Lost", "Promising"]


@pytest.mark.parametrize("bins", [2, 3, 5, 7])
@pytest.mark.parametrize("seed", range(4))
def test_naive_oracle(seed, bins):
    frame = random_log(seed)
    found = rfm(transactions(frame), bins).customers.set_index("customer_id").sort_index()
    expected = naive(frame, bins, GRID if bins == 5 else None)
    assert found.index.tolist() == expected.index.tolist()
    for name in expected:
        if name == "monetary":
            assert np.allclose(found[name], expected[name], atol=1e-9)
        else:
            assert found[name].tolist() == expected[name].tolist(), name


def test_cdnow_against_pandas():
    frame = cdnow()
    result = rfm(transactions(frame))
    expected = naive_ranks(frame)
    found = result.customers.set_index("customer_id").sort_index()
    for name in ("r", "f", "m"):
        assert (found[name] == expected[name]).all(), name
    assert (found["segment"] == [GRID[pair] for pair in zip(expected["r"], expected["f"], strict=True)]).all()
    counts = pd.Series([GRID[pair] for pair in zip(expected["r"], expected["f"], strict=True)]).value_counts()
    table = result.segments.to_native().set_index("segment")
    assert table["customers"].to_dict() == {name: int(counts.get(name, 0)) for name in SEGMENTS}
    assert result.cuts["frequency"] == (2.0, 2.0, 3.0, 5.0)  # half bought once: nobody's f is 2
    assert "the most revenue comes from Champions (17.5 % of customers bring 51.8 %)" in str(result)


def naive_ranks(frame):
    """Score with pandas' ranks, money in cents."""
    days = frame.groupby(["customer_id", "date"])["amount"].sum().reset_index().groupby("customer_id")
    measures = {
        "r": -(frame["date"].max() - days["date"].max()).dt.days,
        "f": days.size(),
        "m": (days["amount"].sum() * 100).round(),
    }
    n = days.ngroups
    worse = {name: (column.rank(method="min") - 1).astype(int) for name, column in measures.items()}
    return pd.DataFrame({name: 1 + 5 * count // n for name, count in worse.items()})


def test_equal_values_never_split_even_where_sums_round():
    frame = pd.DataFrame(
        {
            "customer_id": [0, 0, 1, 2, 3],
            "date": pd.to_datetime(["2024-01-01", "2024-01-02"] + ["2024-01-02"] * 3),
            "amount": [0.1, 0.2, 0.3, 0.1, 9.0],
        }
    )
    assert 0.1 + 0.2 != 0.3  # the trap
    found = rfm(transactions(frame), 4).customers.set_index("customer_id").sort_index()
    assert found["m"].tolist() == [2, 2, 1, 4]
    assert found["r"].tolist() == [1, 1, 1, 1]
    cuts = rfm(transactions(frame), 4).cuts
    assert cuts["days_since_last_purchase"][0] != cuts["days_since_last_purchase"][0]  # NaN: nobody gets r = 2
    assert cuts["frequency"] == (2.0, 2.0, 2.0)


def test_one_customer_scores_one():
    result = rfm(transactions(random_log(0, 80).query("customer_id == 3")))
    row = result.customers.iloc[0]
    assert (row["rfm_score"], row["segment"]) == ("111", "Lost")
    assert all(math.isnan(cut) for cuts in result.cuts.values() for cut in cuts)


def test_all_different_customers_fill_the_scores_evenly():
    n = 100
    frame = pd.DataFrame(
        {"customer_id": range(n), "date": pd.date_range("2024-01-01", periods=n), "amount": np.arange(n) + 1.0}
    )
    found = rfm(transactions(frame), 10).customers
    assert found["r"].value_counts().tolist() == found["m"].value_counts().tolist() == [10] * 10
    assert (found["r"] == found["m"]).all()
    best, worst = found.iloc[0], found.iloc[-1]
    assert (best["customer_id"], best["rfm_score"], worst["rfm_score"]) == (99, "10-1-10", "1-1-1")


def test_spend_that_always_differs_leaves_the_engine_bounded(monkeypatch):
    values = np.random.default_rng(8).lognormal(4, 1, 1000)
    frame = pd.DataFrame({"customer_id": range(1000), "date": pd.Timestamp("2024-01-01"), "amount": values})
    with transactions(frame) as tx:
        exact = rfm(tx)
        monkeypatch.setattr(standings, "MOST_PLACES", 400)
        rows, collect = [], tx.engine.collect
        monkeypatch.setattr(tx.engine, "collect", lambda frame: rows.append(collect(frame)) or rows[-1])
        result = rfm(tx)
        assert max(table.num_rows for table in rows) <= 400
        assert result.customers["m"].value_counts().to_numpy() == pytest.approx([200] * 5, abs=10)
    unit = result.places.unit
    assert f"customers within {unit:g} of each other may count as equal" in result.segments.note
    assert result.cuts["monetary"] == pytest.approx(exact.cuts["monetary"], abs=unit)
    assert result.segments.data["revenue"].to_pylist() == pytest.approx(exact.segments.data["revenue"].to_pylist())


def test_days_count_to_the_end_of_the_window():
    frame = random_log(1)[["customer_id", "date", "amount"]].query("amount >= 0")
    late = rfm(transactions(frame, observed_until="2024-12-31")).customers.set_index("customer_id").sort_index()
    plain = rfm(transactions(frame)).customers.set_index("customer_id").sort_index()
    shift = (pd.Timestamp("2024-12-31") - frame["date"].max()).days
    assert (late["days_since_last_purchase"] - plain["days_since_last_purchase"]).unique().tolist() == [shift]
    assert (late["rfm_score"] == plain["rfm_score"]).all()


# ---------------------------------------------------------------------------------------------------------- segments


def test_the_usual_grid():
    grid = rfm(transactions(random_log(0))).grid.to_native()
    assert {(row.r, row.f): row.segment for row in grid.itertuples()} == GRID
    assert set(GRID.values()) == set(SEGMENTS)
    assert grid["r"].tolist()[:2] == [5, 5]
    assert grid["f"].tolist()[:2] == [5, 4]


@pytest.mark.parametrize(
    ("bins", "fifths"),
    [(2, [2, 4]), (3, [1, 3, 5]), (4, [1, 2, 4, 5]), (10, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]), (6, [1, 2, 3, 3, 4, 5])],
)
def test_other_bins_use_the_grid_in_proportion(bins, fifths):
    grid = rfm(transactions(random_log(0)), bins).grid.to_native()
    for row in grid.itertuples():
        assert row.segment == GRID[fifths[row.r - 1], fifths[row.f - 1]]


def test_own_segments_first_fit_and_the_rest_is_other():
    own = {"Best": ((3, 3), (2, 3)), "Recent": ((3, 3), (1, 3)), "Never": ((3, 3), (3, 3))}
    result = rfm(transactions(random_log(2)), 3, segments=own)
    found = result.customers
    assert (
        found["segment"]
        == np.select([(found["r"] == 3) & (found["f"] >= 2), found["r"] == 3], ["Best", "Recent"], OTHER)
    ).all()
    assert result.segments["segment"] == ["Best", "Recent", "Never", OTHER]
    assert result.segments["customers"][2] == 0
    assert OTHER not in rfm(transactions(random_log(2)), 2, segments={"All": ((1, 2), (1, 2))}).segments["segment"]


def test_segment_table_sums_up():
    frame = random_log(6)
    result = rfm(transactions(frame))
    found = result.customers
    table = result.segments.to_native().set_index("segment")
    means = ["mean_days_since_last_purchase", "mean_frequency", "mean_spend"]
    assert list(table) == ["customers", "share", "revenue", "revenue_share", *means]
    assert table["customers"].sum() == result.n == len(found)
    assert table["share"].sum() == pytest.approx(1.0)
    assert table["revenue_share"].sum() == pytest.approx(1.0)
    for name, mine in found.groupby("segment"):
        row = table.loc[name]
        assert row["customers"] == len(mine)
        assert row["revenue"] == pytest.approx(mine["monetary"].sum())
        assert row["revenue_share"] == pytest.approx(mine["monetary"].sum() / found["monetary"].sum())
        assert row["mean_days_since_last_purchase"] == pytest.approx(mine["days_since_last_purchase"].mean())
        assert row["mean_frequency"] == pytest.approx(mine["frequency"].mean())
        assert row["mean_spend"] == pytest.approx(mine["monetary"].mean())
    assert table.loc[table["customers"] == 0, "mean_spend"].isna().all()
    cells = result.grid.to_native()
    assert len(cells) == 25
    pairs = found.groupby(["r", "f"]).size()
    assert {(row.r, row.f): row.customers for row in cells.itertuples() if row.customers} == pairs.to_dict()


def test_no_revenue_has_no_shares():
    frame = pd.DataFrame({"customer_id": [1, 2], "date": pd.Timestamp("2024-01-01"), "amount": [0.0, 0.0]})
    result = rfm(transactions(frame))
    assert all(math.isnan(share) for share in result.segments["revenue_share"])
    assert "revenue sums to zero or less" in str(result)
    assert result.to_dict()["segments"][0]["revenue_share"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 1}, "bins=1: give a whole number from 2 to 100"),
        ({"bins": 5.0}, r"bins=5\.0: give a whole number"),
        ({"segments": {}}, "segments={}: give name"),
        ({"segments": [("A", 1)]}, "give name"),
        ({"segments": {"A": (1, 5)}}, r"'A': \(1, 5\) is no name with two spans"),
        ({"segments": {"A": ((1, 6), (1, 5))}}, "scores from 1 to 5"),
        ({"segments": {"A": ((3, 2), (1, 5))}}, "two spans"),
        ({"segments": {"A": ((1, 2.5), (1, 5))}}, "two spans"),
        ({"segments": {7: ((1, 2), (1, 5))}}, "is no name"),
        ({"by": "amount", "cohort": "month"}, "not both"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(InvalidArgument, match=message):
        rfm(transactions(random_log(0)), **options)


# ------------------------------------------------------------------------------------------------------------ groups


@pytest.mark.parametrize("options", [{"by": "shop"}, {"cohort": "month"}])
def test_groups_part_the_whole_and_keep_its_scores(options):
    frame = random_log(4, shop=["a", "b", None])
    with transactions(frame) as tx:
        whole, grouped = rfm(tx), rfm(tx, **options)
        assert isinstance(grouped, Grouped)
        assert len(grouped) > 1
        together = pd.concat([result.customers for result in grouped.values()]).sort_values("customer_id")
        assert together.reset_index(drop=True).equals(whole.customers.sort_values("customer_id").reset_index(drop=True))
        assert sum(result.n for result in grouped.values()) == whole.n
        for result in grouped.values():
            assert result.cuts == whole.cuts
            counts = result.customers["segment"].value_counts()
            assert result.segments["customers"] == [int(counts.get(name, 0)) for name in SEGMENTS]
        rows = grouped.to_native()
        assert len(rows) == len(grouped) * len(SEGMENTS)
        json.dumps(grouped.to_dict(), allow_nan=False)


# ----------------------------------------------------------------------------------------------------------- results


def test_results_render():
    result = rfm(transactions(random_log(3)))
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["customers"] == result.n
    assert [row["segment"] for row in data["segments"]] == list(SEGMENTS)
    assert len(data["grid"]) == 25
    assert "Can&#x27;t Lose Them" in result._repr_html_()
    assert str(result).startswith(f"{result.n} customers in ")
    assert result.to_native().equals(result.segments.to_native())
    with pytest.raises(AttributeError):
        result.bins = 4
    with pytest.raises(TypeError):
        SEGMENTS["New"] = ((1, 5), (1, 5))


def test_plots():
    axes = rfm(transactions(random_log(3))).plot()
    assert "Customers by recency and frequency" in axes.get_title(loc="left") + axes.get_title()
    assert rfm(transactions(random_log(3)), 12).plot() is not axes


@sources.every
def test_every_source(source, tmp_path):
    frame = random_log(9, 20)
    expected = naive(frame, 5, GRID)
    with sources.opened(source, frame, tmp_path) as tx:
        lines = rfm(tx).customers
        gc.collect()  # what a lazy frame was joined with must outlive the call
        found = sources.rows(lines)
        assert {key: (row["rfm_score"], row["segment"]) for key, row in found.items()} == {
            str(key): (row["rfm_score"], row["segment"]) for key, row in expected.to_dict("index").items()
        }


def test_closed_transactions_say_so():
    tx = transactions(random_log(0))
    result = rfm(tx)
    tx.close()
    assert result.segments["customers"]
    with pytest.raises(ClosedError):
        _ = result.customers


# -------------------------------------------------------------------------------------------------------------- laws

sales = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 5), st.sampled_from([0, 100, 250, 333])), min_size=1, max_size=40
)


def log_of(rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "cents"])
    return frame.assign(
        date=pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["day"], unit="D"), amount=frame["cents"] / 100
    )


@settings(deadline=None, max_examples=25)
@given(sales, st.integers(2, 6))
def test_law_scores_rise_with_the_measures(rows, bins):
    result = rfm(transactions(log_of(rows)), bins)
    found = result.customers
    assert found[["r", "f", "m"]].min().min() >= 1
    assert found[["r", "f", "m"]].max().max() <= bins
    assert (found[["r", "f", "m"]].min() == 1).all()  # the worst of each always score 1
    for score, name, sign in (("r", "days_since_last_purchase", -1), ("f", "frequency", 1), ("m", "monetary", 1)):
        good = (sign * found[name]).round(9)
        by_value = found.groupby(good)[score]
        assert by_value.nunique().eq(1).all()
        assert by_value.first().is_monotonic_increasing
        worse = np.array([(good < mine).sum() for mine in good])
        assert (found[score] == 1 + bins * worse // len(found)).all()


@settings(deadline=None, max_examples=15)
@given(sales, st.integers(0, 999), st.sampled_from([0.01, 7.0, 1e6]))
def test_law_order_ids_scale_and_shift_change_nothing(rows, seed, scale):
    frame = log_of(rows)
    other = frame.sample(frac=1.0, random_state=seed).assign(
        customer_id=lambda log: "c" + (50 - log["customer_id"]).astype(str),
        amount=lambda log: log["amount"] * scale,
        date=lambda log: log["date"] + pd.Timedelta(days=400),
    )
    plain = rfm(transactions(frame)).customers.assign(
        customer_id=lambda log: "c" + (50 - log["customer_id"]).astype(str)
    )
    theirs = rfm(transactions(other)).customers
    columns = ["days_since_last_purchase", "frequency", "rfm_score", "segment"]
    left, right = (table.set_index("customer_id").sort_index()[columns] for table in (plain, theirs))
    pd.testing.assert_frame_equal(left, right, check_dtype=False, check_index_type=False)
