"""Pareto: published and hand-worked numbers, a naive oracle, ties, intervals against the bootstrap, laws."""

import gc
import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

import sources
from loyalty.datasets import cdnow
from loyalty.errors import ClosedError, EmptyData, InvalidArgument, MissingData
from loyalty.segments import standings
from loyalty.segments.pareto import pareto
from loyalty.segments.standings import Curve, Standings
from loyalty.tables import Grouped
from loyalty.transactions import transactions

Z = 1.959963984540054  # the normal quantile of 97.5 %, from printed tables


def log_of(values, **columns):
    """Return a log in which customer i buys once, for values[i]; a negative value is booked as a return."""
    spent = pd.DataFrame({"customer_id": range(len(values)), "date": pd.Timestamp("2024-01-01"), "amount": values})
    spent = spent.assign(**columns)
    back = spent[spent["amount"] < 0]
    return pd.concat([spent.assign(amount=spent["amount"].clip(lower=0.0)), back], ignore_index=True)


def of(values, *args, **options):
    return pareto(transactions(log_of(values)), *args, **options)


def naive(values, customers, revenue):
    """Count as the definition reads, one customer at a time."""
    ranked, n, total = sorted(values, reverse=True), len(values), math.fsum(values)
    k = max(1, math.ceil(customers * n - 1e-9))
    few = next(j for j in range(1, n + 1) if math.fsum(ranked[:j]) >= revenue * total - 1e-9)
    pairs = math.fsum(abs(a - b) for a in values for b in values)
    return {
        "k": k,
        "revenue_share": math.fsum(ranked[:k]) / total,
        "top_threshold": ranked[k - 1],
        "top_ties": sum(value >= ranked[k - 1] for value in values) - k,
        "few": few,
        "vital_threshold": ranked[few - 1],
        "vital_ties": sum(value >= ranked[few - 1] for value in values) - few,
        "gini": pairs / (2 * n * total) if min(values) >= 0 else math.nan,
    }


def agrees(result, values, customers, revenue):
    expected = naive(values, customers, revenue)
    assert result.top_customers == expected["k"]
    assert result.vital_customers == result.customer_share.numerator == expected["few"]
    assert result.customer_share.value == pytest.approx(expected["few"] / len(values), rel=1e-12)
    for name in ("revenue_share", "gini"):
        assert getattr(result, name).value == pytest.approx(expected[name], rel=1e-9, abs=1e-12, nan_ok=True)
    for name in ("top_threshold", "vital_threshold"):
        assert getattr(result, name) == pytest.approx(expected[name], rel=1e-9)
    assert (result.top_ties, result.vital_ties) == (expected["top_ties"], expected["vital_ties"])


# ------------------------------------------------------------------------------------------------------------ numbers


@pytest.fixture(scope="module")
def whole():
    with transactions(cdnow()) as tx:
        yield tx


def test_cdnow(whole):
    # oracles.md: 7071 customers bring 77.951 %, 5149 customers (21.846 %) bring 70 %, Gini .634571; as printed.
    result = pareto(whole)
    assert (result.top_customers, result.vital_customers) == (7071, 5149)
    assert result.revenue_share.value == pytest.approx(0.77951, abs=5e-6)
    assert result.customer_share.value == pytest.approx(0.21846, abs=5e-6)
    assert result.gini.value == pytest.approx(0.634571, abs=5e-7)
    assert result.revenue_share.denominator == pytest.approx(2_500_315.63, abs=1e-6)
    assert str(result).startswith(
        "The top 30 % of customers (7,071 of 23,570) bring 78.0 % of revenue (95 % interval 77"
    )
    assert "; 70 % of revenue comes from 21.8 % of customers, 5,149 of them (95 % interval 21" in str(result)
    assert "; Gini 0.635 (95 % interval 0.626 to 0.643)." in str(result)


def test_cdnow_sums_that_differ_by_rounding_are_ties(whole):
    # 10 868 doubles, but in cents only 10 078 amounts: ranks must follow the cents.
    frame = pareto(whole).customers
    cents = (frame["value"] * 100).round().astype(int)
    assert frame["value"].nunique() > cents.nunique() == 10_078
    expected = cents.rank(method="min", ascending=False).astype(int)
    assert (frame["rank"] == expected).all()
    assert frame.groupby(cents)[["cumulative_customers", "cumulative_value", "is_top"]].nunique().eq(1).all().all()


def test_sums_that_differ_by_rounding_are_ties_in_any_order():
    rows = [("a", 0.1), ("a", 0.2), ("a", 0.3), ("b", 0.3), ("b", 0.2), ("b", 0.1), ("c", 0.6), ("d", 0.59)]
    frame = pd.DataFrame(rows, columns=["customer_id", "amount"]).assign(date=pd.Timestamp("2024-01-01"))
    frame["date"] += pd.to_timedelta([0, 1, 2, 0, 1, 2, 0, 0], unit="D")
    assert len({0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1, 0.6}) == 2  # the trap
    result = pareto(transactions(frame), 0.25, 0.5)
    assert (result.top_customers, result.top_ties) == (1, 2)
    assert dict(zip(*result.customers[["customer_id", "rank"]].to_numpy().T, strict=True)) == {
        "a": 1,
        "b": 1,
        "c": 1,
        "d": 4,
    }


def test_the_resolution_is_told_and_used():
    result = of([1000.0, 10.0, 10.0 + 4e-10, 10.0 + 6e-10], 0.25)
    assert result.places.unit == 1e-9
    assert sorted(result.customers["rank"]) == [1, 2, 3, 3]
    assert result.flag([1000.0 - 4e-10, 1000.0 - 6e-10]).is_top.tolist() == [True, False]


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_nobody_is_lost_where_a_sum_comes_out_beside_its_place(monkeypatch, off):
    # As on a cluster that adds a sum up again, between counting and joining, in another order.
    values = [1000.0, 12.3456789012, 7.777777777, 7.777777778, 7.777777778, 1.0]
    with transactions(log_of(values)) as tx:
        result = pareto(tx, 0.5)
        attach = tx.engine.attach

        def astray(table):
            if "standing" in table.column_names:
                moved = pa.array(table["standing"].to_numpy() + off)
                table = table.set_column(table.column_names.index("standing"), "standing", moved)
            return attach(table)

        monkeypatch.setattr(tx.engine, "attach", astray)
        frame = result.customers.set_index("customer_id")
        assert len(frame) == len(values)
        assert frame["rank"].drop([2, 3, 4]).to_dict() == {0: 1, 1: 2, 5: 6}
        assert frame["rank"].loc[[2, 3, 4]].isin([3, 5]).all()  # neighbours may stand for each other


@given(st.lists(st.integers(-50, 50), min_size=1, unique=True), st.sampled_from([1, 7, 1000]))
def test_a_place_answers_for_those_beside_it(places, grid):
    who = Standings.of([place * grid for place in places], [1] * len(places))
    found = {int(key): int(who.places[row]) for key, row in zip(*who.answering(), strict=True)}
    assert all(found[place * grid] == place * grid for place in places)
    if grid == 1000 or places == [0]:
        assert len(found) == len(places)
    else:
        assert found.keys() == {place * grid + beside for place in places for beside in (-1, 0, 1)} or len(
            found
        ) == len(places)
        assert all(abs(key - place) <= 1 for key, place in found.items())


def test_gini_by_hand():
    result = of([10.0] * 9 + [100.0], 0.1, 0.5)
    assert result.gini.value == pytest.approx(810 / 1900)  # oracles.md: .4263
    assert result.revenue_share.value == pytest.approx(100 / 190)
    assert (result.vital_customers, result.vital_threshold) == (1, 100.0)


def test_readings_count_exactly_and_flags_take_equals_along():
    result = of([50.0, 20.0, 20.0, 20.0, 20.0, 10.0, 10.0], 0.30, 0.70)
    # k = ceil(2.1) = 3: 90 of 150. 70 % is 105: the fourth customer crosses it.
    assert (result.top_customers, result.top_ties, result.top_threshold) == (3, 2, 20.0)
    assert result.revenue_share.value == pytest.approx(90 / 150)
    assert (result.vital_customers, result.vital_ties) == (4, 1)
    assert result.customer_share.value == pytest.approx(4 / 7)
    assert "2 more customers equal the last of the top 3 and are flagged with them" in result.notes
    assert "1 more customers equal the last of the vital 4 and are flagged with them" in str(result)
    frame = result.customers
    assert frame["is_top"].tolist() == frame["is_vital"].tolist() == [True] * 5 + [False] * 2
    assert frame["rank"].tolist() == [1, 2, 2, 2, 2, 6, 6]
    assert frame["cumulative_customers"].tolist() == pytest.approx([1 / 7, *[5 / 7] * 4, 1.0, 1.0])
    assert frame["cumulative_value"].tolist() == pytest.approx([50 / 150, *[130 / 150] * 4, 1.0, 1.0])


@pytest.mark.parametrize(
    ("share", "n", "k"), [(0.3, 10, 3), (0.7, 10, 7), (0.07, 100, 7), (0.29, 100, 29), (0.01, 7, 1)]
)
def test_a_share_that_floats_round_up_takes_no_customer_more(share, n, k):
    assert math.ceil(0.07 * 100) == 8  # the trap
    assert of(list(range(1, n + 1)), share).top_customers == k


@pytest.mark.parametrize(("revenue", "few"), [(0.1, 1), (0.3, 3), (0.7, 7), (0.9, 9), (1.0, 10)])
def test_a_share_of_value_reached_exactly_takes_no_customer_more(revenue, few):
    result = of([0.1] * 10, 0.3, revenue)
    assert result.vital_customers == few
    assert result.gini.value == pytest.approx(0.0, abs=1e-15)


def test_a_share_of_value_that_sums_of_floats_just_miss_is_reached():
    assert 1.9 + 1.62 < 0.8 * (1.9 + 1.62 + 0.88)  # the trap: 3.52 is 80 % of 4.40
    assert of([1.9, 1.62, 0.88], 0.3, 0.8).vital_customers == 2


def test_the_whole_is_brought_without_those_who_spent_nothing():
    result = of([5.0, 3.0, 2.0, 0.0, 0.0], 1.0, 1.0)
    assert (result.vital_customers, result.top_customers, result.top_threshold) == (3, 5, 0.0)
    share = result.revenue_share
    assert (share.value, share.low, share.high) == (1.0, 1.0, 1.0)


def test_negative_values_count_and_leave_no_gini():
    result = of([60.0, 50.0, 10.0, -20.0], 0.5, 1.0)
    assert result.revenue_share.value == pytest.approx(110 / 100)
    assert result.revenue_share.high > 1.1
    assert result.vital_customers == 2  # 110 of 100; further down the curve falls below 100 again
    assert math.isnan(result.gini.value)
    assert math.isnan(result.gini.low)
    assert "1 customers have a negative revenue" in result.gini.note
    assert "1 customers have a negative revenue" in result.notes
    assert result.lorenz["cumulative_value"].tolist() == pytest.approx([0, 0.6, 1.1, 1.2, 1.0])
    assert pareto(transactions(log_of([60.0, -20.0, -30.0])), 1.0).flag([-30.0, -30.1]).is_top.tolist() == [True, False]


def test_the_sign_of_a_last_digit_is_no_sign():
    assert 0.7 + (0.1 - 0.8) < 0.0  # the trap
    frame = pd.DataFrame({"customer_id": ["a", "a", "a", "b", "c"], "amount": [0.7, 0.1, -0.8, 5.0, 15.0]})
    frame["date"] = pd.Timestamp("2024-01-01") + pd.to_timedelta([0, 1, 2, 0, 0], unit="D")
    for options in ({}, {"value": "profit"}):
        result = pareto(transactions(frame.assign(cost=frame["amount"] / 2), cost="cost"), **options)
        assert result.gini.value == pytest.approx(1 / 2)  # (2·5 + 2·15 + 2·10) / (2·3·20)
        assert "negative" not in str(result)
        assert result.customers["value"].tolist()[2] == 0.0
    rows = pa.table({"place": [7, 0], "n": [1, 2], "lowest": [7.0, -1e-17], "highest": [7.0, 1e-17]})
    assert Standings.of_places(rows).negative == 0


def test_costs_that_eat_all_but_the_last_digits_leave_no_profit():
    frame = log_of([0.3, 0.6], cost=[0.1 + 0.2, 0.1 + 0.2 + 0.3])
    assert (frame["cost"] != frame["amount"]).any()
    with pytest.raises(EmptyData, match="sums to 0"):
        pareto(transactions(frame, cost="cost"), value="profit")


def test_one_customer():
    result = of([12.0])
    assert (result.revenue_share.value, result.customer_share.value, result.gini.value) == (1.0, 1.0, 0.0)
    assert all(math.isnan(item.low) and math.isnan(item.high) for item in result.estimates().values())
    assert "no interval: it needs two customers or more" in result.gini.note
    assert "interval" not in str(result)
    assert result.customers.iloc[0][["rank", "cumulative_value", "is_top", "is_vital"]].tolist() == [1, 1.0, True, True]


def test_all_equal():
    result = of([7.0] * 10)
    assert (result.revenue_share.value, result.customer_share.value) == (pytest.approx(0.3), pytest.approx(0.7))
    assert (result.top_ties, result.vital_ties) == (7, 3)
    for item in result.estimates().values():
        assert (item.low, item.high) == (pytest.approx(item.value, abs=1e-12),) * 2


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0, -5.0], [5.0, -9.0]])
def test_no_value_to_share_is_an_error(values):
    with pytest.raises(EmptyData, match=r"the revenue of these 2 customers sums to (0|-4): there are no shares of it"):
        of(values)


# ------------------------------------------------------------------------------------------------------ naive oracle


@pytest.mark.parametrize("seed", range(12))
def test_naive_oracle_with_ties_zeros_and_returns(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    values = rng.choice([0.0, 5.0, 5.0, 10.0, 25.0, 99.9], n) + (seed % 3 == 0) * rng.integers(0, 9000, n) / 100
    if seed % 4 == 1:
        values[: n // 4] = -3.0
    values[-1] += 50.0
    customers, revenue = (float(share) for share in rng.choice([0.05, 0.2, 0.3, 0.5, 0.8, 1.0], 2))
    agrees(of(values.tolist(), customers, revenue), values.tolist(), customers, revenue)


def test_customers_against_pandas():
    rng = np.random.default_rng(5)
    values = np.append(rng.choice([0.0, 10.0, 20.0, 20.5], 200), rng.normal(30, 20, 200).round(1))
    frame = of(values.tolist()).customers.set_index("customer_id").sort_index()
    value = pd.Series(values)
    assert np.allclose(frame["value"], value)
    assert (frame["rank"] == value.rank(method="min", ascending=False)).all()
    higher = [(value >= mine - 1e-9) for mine in value]
    assert np.allclose(frame["cumulative_customers"], [mask.mean() for mask in higher])
    assert np.allclose(frame["cumulative_value"], [value[mask].sum() / value.sum() for mask in higher])


def test_customers_come_sorted_highest_first():
    values = of([3.0, 9.0, 3.0, 12.0, 1.0]).customers
    assert values["customer_id"].tolist() == [3, 1, 0, 2, 4]
    assert list(values) == [
        "customer_id", "value", "rank", "cumulative_customers", "cumulative_value", "is_top", "is_vital",
    ]  # fmt: skip
    assert values.dtypes[["is_top", "is_vital"]].tolist() == [np.dtype(bool)] * 2


# -------------------------------------------------------------------------------------------- values that all differ


def collected(tx, monkeypatch):
    """Return a list that the number of rows of every collected table is added to."""
    rows, collect = [], tx.engine.collect

    def watched(frame):
        found = collect(frame)
        rows.append(found.num_rows)
        return found

    monkeypatch.setattr(tx.engine, "collect", watched)
    return rows


@pytest.mark.parametrize("n", [500, 4000])
def test_what_leaves_the_engine_is_bounded(n, monkeypatch):
    values = np.random.default_rng(n).lognormal(4, 1.2, n)
    with transactions(log_of(values)) as tx:
        exact = pareto(tx, 0.2, 0.8)
        assert exact.places.coarser == 0
        monkeypatch.setattr(standings, "MOST_PLACES", 300)
        rows = collected(tx, monkeypatch)
        result = pareto(tx, 0.2, 0.8)
        assert max(rows) <= 300
        unit, mean = result.places.unit, values.mean()
        frame = result.customers
    assert unit > exact.places.unit
    assert any(f"customers within {unit:g} of each other may count as equal" in note for note in result.notes)
    assert not any("of each other" in note for note in exact.notes)
    # Sums are exact; what is not known is the order within a unit: a customer is misplaced by one at most.
    assert result.revenue_share.denominator == pytest.approx(values.sum(), rel=1e-12)
    assert result.revenue_share.value == pytest.approx(exact.revenue_share.value, abs=0.2 * unit / mean)
    assert result.gini.value == pytest.approx(exact.gini.value, abs=unit / (2 * mean))
    assert result.gini.value <= exact.gini.value + 1e-12
    assert result.vital_customers == pytest.approx(exact.vital_customers, abs=n * 0.02)
    for share in ("revenue_share", "gini"):
        one, two = getattr(exact, share), getattr(result, share)
        assert two.high - two.low == pytest.approx(one.high - one.low, rel=0.05)
    flags = result.flag(values)
    assert flags.is_top.sum() == frame["is_top"].sum() == result.top_customers + result.top_ties
    assert len(frame) == n


def test_coarse_values_keep_their_sign(monkeypatch):
    monkeypatch.setattr(standings, "MOST_PLACES", 20)
    values = np.append(np.random.default_rng(1).uniform(0.0, 1e6, 200), [0.0, 0.0, -0.25, 0.25])
    result = of(values)
    assert result.places.unit >= 1e4
    assert "1 customers have a negative revenue" in result.notes
    ranks = result.customers.set_index("customer_id")["rank"]
    assert ranks[[200, 201, 202]].tolist() == [202, 202, 204]
    assert ranks[203] < 202


def test_groups_are_bounded_together(monkeypatch):
    values = np.random.default_rng(3).lognormal(4, 1, 600)
    with transactions(log_of(values, shop=np.arange(600) % 3)) as tx:
        monkeypatch.setattr(standings, "MOST_PLACES", 100)
        rows = collected(tx, monkeypatch)
        grouped = pareto(tx, by="shop")
        assert max(rows) <= 100
    for shop, result in grouped.items():
        mine = values[np.arange(600) % 3 == shop]
        assert result.revenue_share.denominator == pytest.approx(mine.sum(), rel=1e-12)


@sources.every_far
def test_what_leaves_a_far_engine_is_bounded(source, tmp_path, monkeypatch):
    values = np.append(np.random.default_rng(9).lognormal(4, 1.2, 300), [0.0, -3.0])
    monkeypatch.setattr(standings, "MOST_PLACES", 60)
    with sources.opened(source, log_of(values), tmp_path) as tx:
        rows = collected(tx, monkeypatch)
        result = pareto(tx)
        assert max(rows) <= 60
    here = of(values)
    assert result.places == here.places
    assert sources.same(result.to_dict(), here.to_dict())


def test_few_different_values_are_told_apart_whoever_has_them(monkeypatch):
    monkeypatch.setattr(standings, "MOST_PLACES", 3)
    result = of([5.0, 5.01, 5.02] * 4)
    assert result.places.coarser == 0
    assert not any("of each other" in note for note in result.notes)


# ------------------------------------------------------------------------------------------------------------- flags


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, pd.Series, pl.Series, lambda values: [Decimal(value) for value in values]]
)
def test_flags_of_new_customers(kind):
    result = of([100.0, 60.0, 40.0, 20.0, 5.0], 0.4, 0.7)
    flags = result.flag(kind([60.0, 59.0, 101.0]))
    assert flags.is_top.tolist() == [True, False, True]
    assert flags.is_vital.tolist() == [True, False, True]
    assert flags == (flags.is_top, flags.is_vital)


def test_flags_of_what_is_missing_or_differs_by_rounding():
    result = of([0.1 + 0.2, 0.2, 0.1], 0.3)
    assert result.flag([0.3, None, float("nan")]).is_top.tolist() == [True, False, False]
    assert result.flag(0.3).is_top.shape == ()
    assert result.flag([]).is_top.tolist() == []
    with pytest.raises(InvalidArgument, match="give numbers"):
        result.flag(["many"])


# ------------------------------------------------------------------------------------------------------------ tables


def test_lorenz_is_short_exact_and_holds_both_readings(whole):
    result = pareto(whole)
    lorenz = result.lorenz
    assert len(lorenz) < 1000
    assert {0, 7071, 5149, 23_570} <= set(lorenz["customers"])
    assert lorenz["customers"].is_monotonic_increasing
    assert lorenz["customers"].is_unique
    value = whole.collect(whole.customers.select("spend"))["spend"].to_numpy()
    brought = np.append(0.0, np.cumsum(np.sort(value)[::-1])) / value.sum()
    assert np.allclose(lorenz["cumulative_value"], brought[lorenz["customers"]], rtol=1e-9)
    assert np.allclose(lorenz["cumulative_customers"] + lorenz["poorest_customers"], 1.0)
    assert np.allclose(lorenz["cumulative_value"] + lorenz["poorest_value"], 1.0)
    between = np.interp(np.arange(23_571), lorenz["customers"], lorenz["cumulative_value"])
    assert np.abs(between - brought).max() < 1e-4  # straight lines between the points show the curve
    at = lorenz.set_index("customers")["cumulative_value"]
    assert at[7071] == pytest.approx(result.revenue_share.value, rel=1e-12)
    assert at[5149] >= 0.7 > brought[5148]


def test_lorenz_of_few_values_keeps_every_one():
    assert of([30.0, 20.0, 20.0, 10.0], 0.5, 0.5).lorenz["customers"].tolist() == [0, 1, 2, 3, 4]


def test_concentration(whole):
    table = pareto(whole, revenue=0.75).concentration
    frame = table.to_native().set_index("value_share")
    assert frame.index.tolist() == [0.5, 0.6, 0.7, 0.75, 0.8, 0.9]
    assert frame.loc[0.7, "customers"] == 5149
    for share, row in frame.iterrows():
        single = pareto(whole, revenue=share)
        assert row["customers"] == single.vital_customers
        assert row["threshold"] == single.vital_threshold
    assert "70 % of revenue comes from 21.8 % of customers" in str(table)


def test_profit_of_cost():
    frame = log_of([100.0, 100.0, 50.0, 10.0], cost=[90.0, 20.0, 10.0, 10.0])
    result = pareto(transactions(frame, cost="cost"), 0.25, 0.7, "profit")
    # profits 10, 80, 40, 0
    assert result.revenue_share.value == pytest.approx(80 / 130)
    assert result.vital_customers == 2
    assert result.customers["customer_id"].tolist()[:2] == [1, 2]
    assert "bring 61.5 % of profit" in str(result)
    assert result.revenue_share.name == "profit from the top 25 % of customers"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"customers": 0.0}, "customers=0.0 is not a share"),
        ({"customers": 30}, "customers=30 is not a share"),
        ({"revenue": 1.5}, "revenue=1.5 is not a share"),
        ({"value": "sales"}, "value='sales' is not known"),
        ({"confidence": 95}, "confidence=95 is not a level"),
        ({"by": "customer_id", "cohort": "month"}, "not both"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(InvalidArgument, match=message):
        of([1.0, 2.0], **options)


def test_profit_without_cost():
    with pytest.raises(MissingData, match="pass cost="):
        of([1.0, 2.0], value="profit")


# ------------------------------------------------------------------------------------------------------------ groups


def test_groups_agree_with_their_own_logs():
    rng = np.random.default_rng(3)
    frame = log_of(rng.choice([5.0, 10.0, 15.5, 80.0], 90).tolist(), shop=rng.choice(["a", "b", None], 90))
    frame["date"] = frame["date"] + pd.to_timedelta(rng.integers(0, 60, 90), unit="D")
    with transactions(frame) as tx:
        for options in ({"by": "shop"}, {"cohort": "month"}):
            grouped = pareto(tx, **options)
            assert isinstance(grouped, Grouped)
            label = frame["date"].dt.strftime("%Y-%m") if "cohort" in options else frame["shop"].fillna("none")
            assert [group or "none" for group in grouped] == sorted(set(label))
            for group, result in grouped.items():
                mine = frame[label == (group or "none")]
                with transactions(mine) as own:
                    alone = pareto(own)
                    assert result.to_dict() == alone.to_dict()
                    assert result.customers.equals(alone.customers)


def test_a_group_without_value_is_undefined():
    frame = log_of([5.0, 3.0, 0.0, 0.0], shop=["a", "a", "b", "b"])
    grouped = pareto(transactions(frame), by="shop")
    assert grouped["a"].vital_customers == 2
    nothing = grouped["b"]
    assert all(math.isnan(item.value) for item in nothing.estimates().values())
    assert all(
        "undefined: the revenue of these 2 customers sums to 0" in item.note for item in nothing.estimates().values()
    )
    assert nothing.customers["is_top"].tolist() == [False, False]
    assert nothing.customers["cumulative_value"].isna().all()
    assert nothing.customers["rank"].tolist() == [1, 1]
    assert nothing.flag([1.0]).is_vital.tolist() == [False]
    assert (len(nothing.lorenz), len(nothing.concentration)) == (0, 0)
    assert "not defined" in str(nothing)
    rows = grouped.to_native()
    assert rows["shop"].tolist() == ["a"] * 3 + ["b"] * 3
    assert rows["estimate"].tolist() == ["revenue_share", "customer_share", "gini"] * 2
    json.dumps(grouped.to_dict(), allow_nan=False)
    assert "<table>" in nothing._repr_html_()


def test_too_many_groups():
    frame = log_of([1.0] * 10_001, key=range(10_001))
    with pytest.raises(InvalidArgument, match="10,001 groups"):
        pareto(transactions(frame), by="key")


# ----------------------------------------------------------------------------------------------------------- results


def test_results_render(whole):
    result = pareto(whole)
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["revenue_share"]["value"] == result.revenue_share.value
    assert data["vital_customers"] == 5149
    assert len(data["lorenz"]) == len(result.lorenz)
    assert "Gini index of revenue" in result._repr_html_()
    assert "threshold of the vital 5,149 customers" in result._repr_html_()
    assert result.to_native()["estimate"].tolist() == ["revenue_share", "customer_share", "gini"]
    assert result == pareto(whole)
    with pytest.raises(AttributeError):
        result.value = "profit"


def test_plots():
    axes = of([50.0, 20.0, 10.0]).plot()
    assert "Pareto curve of revenue" in axes.get_title(loc="left") + axes.get_title()
    nothing = pareto(transactions(log_of([5.0, 0.0], shop=["a", "b"])), by="shop")["b"]
    assert nothing.plot(ax=axes) is axes


@sources.every
def test_every_source(source, tmp_path):
    frame = log_of([50.0, 20.0, 20.0, 20.0, 10.0, 10.0, 0.1 + 0.2])
    with sources.opened(source, frame, tmp_path) as tx:
        result = pareto(tx)
        lines = result.customers
        gc.collect()  # what a lazy frame was joined with must outlive the call
        found = sources.rows(lines)
        assert result.revenue_share.value == pytest.approx(90 / 130.3, rel=1e-9)
        assert {key: row["rank"] for key, row in found.items()} == dict(
            zip("0123456", [1, 2, 2, 2, 5, 5, 7], strict=True)
        )
        assert [key for key, row in found.items() if row["is_top"]] == ["0", "1", "2", "3"]
        assert found["6"]["cumulative_value"] == pytest.approx(1.0)


def test_closed_transactions_say_so():
    tx = transactions(log_of([1.0, 2.0]))
    result = pareto(tx)
    tx.close()
    assert result.lorenz["customers"].tolist() == [0, 1, 2]
    with pytest.raises(ClosedError):
        _ = result.customers


# --------------------------------------------------------------------------------------------------------- intervals


def bootstrap_errors(values, customers, revenue, replicates=4000):
    """Return the standard deviations of the three numbers over resamples of customers."""
    rng, n = np.random.default_rng(11), len(values)
    drawn = -np.sort(-rng.choice(values, (replicates, n)), axis=1)
    curve = np.cumsum(drawn, axis=1)
    total = curve[:, -1]
    k = max(1, math.ceil(customers * n - 1e-9))
    few = 1 + np.argmax(curve >= revenue * total[:, None] - 1e-9, axis=1)
    place = np.arange(1, n + 1)
    gini = (drawn * (n + 1 - 2 * place)).sum(axis=1) / (n * total)
    return {
        "revenue_share": (curve[:, k - 1] / total).std(),
        "customer_share": (few / n).std(),
        "gini": gini.std(),
    }


@pytest.mark.parametrize(
    ("name", "customers", "revenue"),
    [
        ("lognormal", 0.3, 0.7),
        ("lognormal", 0.1, 0.5),
        ("exponential", 0.2, 0.8),
        ("tied", 0.3, 0.7),
        ("zeros", 0.3, 0.7),
    ],
)
def test_standard_errors_against_a_customer_bootstrap(name, customers, revenue):
    rng = np.random.default_rng(2)
    values = {
        "lognormal": rng.lognormal(3.0, 0.8, 900),
        "exponential": rng.exponential(20.0, 900),
        "tied": rng.choice([5.0, 10.0, 20.0, 40.0], 900),
        "zeros": np.where(rng.random(900) < 0.4, 0.0, rng.lognormal(3.0, 0.5, 900)),
    }[name].round(2)
    result = of(values.tolist(), customers, revenue)
    expected = bootstrap_errors(values, customers, revenue)
    for field, error in expected.items():
        item = getattr(result, field)
        assert (item.high - item.low) / 2 / Z == pytest.approx(error, rel=0.08), field
        assert item.high - item.value == pytest.approx(item.value - item.low, rel=1e-9)
        assert item.method == "linearised"


def test_standard_errors_by_hand():
    # Mean 3, top half 7 of 12: z = max(v - 3, 0) - 7/12 v; two of three customers (rounded up) bring 60 %.
    result = of([4.0, 3.0, 3.0, 2.0], 0.5, 0.6)
    share, few = result.revenue_share, result.customer_share
    z = np.array([1 - 7 / 3, -7 / 4, -7 / 4, -7 / 6])
    assert (share.high - share.value) / Z == pytest.approx(z.std(ddof=1) / math.sqrt(4) / 3)
    z = np.array([1 - 0.6 * 4, -1.8, -1.8, -1.2])
    assert (few.value, few.high - few.value) == (0.75, pytest.approx(min(0.25, Z * z.std(ddof=1) / math.sqrt(4) / 3)))
    # Mean distances 1, 0.5, 0.5, 1 of 4, 3, 3, 2; G = .75 / 6.
    assert result.gini.value == pytest.approx(1 / 8)
    z = np.array([1 - 4 / 8, 1 / 2 - 3 / 8, 1 / 2 - 3 / 8, 1 - 2 / 8])
    assert (result.gini.high - result.gini.value) / Z == pytest.approx(z.std(ddof=1) / math.sqrt(4) / 3)


def test_standard_errors_on_the_cdnow_log_and_other_levels(whole):
    value = whole.collect(whole.customers.select("spend"))["spend"].to_numpy()
    expected = bootstrap_errors(value, 0.3, 0.7, replicates=300)  # 300 resamples: ± 4 % (one standard error)
    wide, narrow = pareto(whole, confidence=0.99), pareto(whole, confidence=0.5)
    for field, error in expected.items():
        item = getattr(wide, field)
        assert (item.high - item.low) / 2 / 2.5758293035489 == pytest.approx(error, rel=0.13)
        assert item.low < getattr(narrow, field).low < item.value < getattr(narrow, field).high < item.high
        assert item.confidence == 0.99


def test_intervals_cover_the_truth():
    # Of exponential customers the top p bring p·(1 − ln p); their Gini index is 1/2.
    few = brentq(lambda p: p * (1 - math.log(p)) - 0.7, 0.01, 0.99)
    truth = {"revenue_share": 0.3 * (1 - math.log(0.3)), "customer_share": few, "gini": 0.5}
    rng = np.random.default_rng(8)
    hits = dict.fromkeys(truth, 0)
    for _ in range(400):
        values = rng.exponential(1.0, 500)
        curve = Curve.of(Standings.of(values, np.ones(500, int)))
        top, vital = curve.top(150), curve.fewest(0.7)
        share, (gini, error) = top.value / curve.total, curve.gini()
        found = {
            "revenue_share": (share, curve.scatter(top, share) / (curve.total / 500)),
            "customer_share": (vital.customers / 500, curve.scatter(vital, 0.7) / vital.threshold),
            "gini": (gini, error),
        }
        for field, (value, spread) in found.items():
            hits[field] += abs(value - truth[field]) <= Z * spread
    assert all(0.92 <= count / 400 <= 0.98 for count in hits.values()), hits  # 95 % ± 2.8 standard errors


def test_limits_stay_possible():
    share = of([1.0] * 30 + [500.0], 0.3).revenue_share
    assert share.low >= 10 / 31
    assert share.high == 1.0
    assert of([1000.0, 1.0], 0.5, 0.7).customer_share.low >= 0.0


# -------------------------------------------------------------------------------------------------------------- laws

cents = st.lists(st.integers(0, 5000), min_size=1, max_size=25).filter(any)
shares = st.sampled_from([0.01, 0.1, 0.25, 0.3, 1 / 3, 0.5, 0.7, 0.9, 1.0])


@settings(deadline=None, max_examples=25)
@given(cents, shares, shares)
def test_law_naive_reading(amounts, customers, revenue):
    values = [amount / 100 for amount in amounts]
    agrees(of(values, customers, revenue), values, customers, revenue)


@settings(deadline=None, max_examples=20)
@given(cents, st.randoms(use_true_random=False), st.sampled_from([0.01, 3.0, 1e6]))
def test_law_order_ids_and_scale_change_nothing(amounts, random, scale):
    values = [amount / 100 for amount in amounts]
    frame = log_of(values)
    shuffled = frame.sample(frac=1.0, random_state=random.randint(0, 999)).assign(
        customer_id=lambda rows: "c" + (97 - rows["customer_id"]).astype(str),
        amount=lambda rows: rows["amount"] * scale,
    )
    plain, other = pareto(transactions(frame)), pareto(transactions(shuffled))
    for field, item in plain.estimates().items():
        theirs = getattr(other, field)
        for name in ("value", "low", "high"):
            assert getattr(theirs, name) == pytest.approx(getattr(item, name), rel=1e-6, abs=1e-7, nan_ok=True)
    assert (other.top_customers, other.top_ties) == (plain.top_customers, plain.top_ties)
    assert (other.vital_customers, other.vital_ties) == (plain.vital_customers, plain.vital_ties)
    assert other.top_threshold == pytest.approx(plain.top_threshold * scale)
    assert sorted(other.customers["rank"]) == sorted(plain.customers["rank"])


@settings(deadline=None, max_examples=20)
@given(cents, shares, shares)
def test_law_flags_are_thresholds_and_counts(amounts, customers, revenue):
    result = of([amount / 100 for amount in amounts], customers, revenue)
    frame = result.customers
    for which in ("top", "vital"):
        flagged = frame[f"is_{which}"]
        assert flagged.tolist() == getattr(result.flag(frame["value"]), f"is_{which}").tolist()
        assert flagged.tolist() == (frame["value"] >= getattr(result, f"{which}_threshold")).tolist()
        assert flagged.sum() == getattr(result, f"{which}_customers") + getattr(result, f"{which}_ties")
    share, few = result.revenue_share, result.customer_share
    for item in (share, few, result.gini):
        assert math.isnan(item.low) or 0.0 <= item.low <= item.value <= item.high <= 1.0
    assert share.value >= result.top_customers / len(frame) - 1e-12
