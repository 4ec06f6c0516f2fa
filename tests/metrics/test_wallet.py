import gc
import json
import math
import statistics
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loyalty as ly
import sources
from loyalty import plots
from loyalty.errors import ClosedError, ColumnError, EmptyData, InvalidArgument, InvalidRows
from loyalty.metrics.wallet import share_of_wallet
from other_tables import as_source


def log(rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "amount", "date"])
    return frame.assign(date=pd.to_datetime(frame["date"]))


def wallet(rows, names=("customer_id", "category_spend")):
    return pd.DataFrame(rows, columns=list(names))


LOG = [
    (1, 30.0, "2024-01-05"),
    (1, 20.0, "2024-02-05"),
    (2, 30.0, "2024-01-06"),
    (3, 10.0, "2024-01-07"),  # no wallet
    (5, 20.0, "2024-01-08"),  # wallet of zero
    (6, 8.0, "2024-02-08"),  # wallet not known
    (7, 120.0, "2024-02-09"),  # more than the wallet
    (8, 10.0, "2024-02-10"),
    (8, -15.0, "2024-02-11"),  # more returned than bought
    (None, 99.0, "2024-02-12"),
]
WALLET = [
    (1, 60.0),
    (1, 40.0),
    (2, 40.0),
    (4, 60.0),  # not in the log
    (5, 0.0),
    (6, 50.0),
    (6, None),
    (7, 100.0),
    (8, 50.0),
    (9, 0.0),  # neither in the log nor with a wallet
    (None, 70.0),
]


@pytest.fixture(scope="module")
def golden():
    with ly.transactions(log(LOG)) as tx:
        yield tx


def test_by_hand(golden):
    shares = share_of_wallet(golden, wallet(WALLET))
    own, category = [50, 30, 0, 120, -5], [100, 40, 60, 100, 50]
    ratios = [0.5, 0.75, 0.0, 1.2, -0.1]
    assert (shares.overall.numerator, shares.overall.denominator, shares.overall.n) == (195, 350, 5)
    assert shares.overall.value == pytest.approx(195 / 350, rel=1e-15)
    assert shares.mean.value == pytest.approx(0.47, rel=1e-15)
    residuals = [y - 195 / 350 * x for y, x in zip(own, category, strict=True)]
    error = math.sqrt(5 / 4 * sum(residual**2 for residual in residuals)) / 350
    z = statistics.NormalDist().inv_cdf(0.975)
    assert shares.overall.high - shares.overall.value == pytest.approx(z * error, rel=1e-12)
    assert shares.mean.value - shares.mean.low == pytest.approx(z * statistics.stdev(ratios) / math.sqrt(5), rel=1e-12)
    assert shares.counts() == {
        "without_wallet": 1,
        "missing_wallet": 1,
        "zero_wallet": 2,
        "not_in_log": 1,
        "above_one": 1,
        "below_zero": 1,
        "rows_without_id": 1,
    }
    assert shares.overall.excluded == shares.mean.excluded == 4
    assert shares.overall.note == (
        "the wallets must cover 2024-01-05 to 2024-02-11, as own spend does; "
        "left out: buyers without a wallet 1, customers of unknown wallet 1, customers whose wallet is zero 2, "
        "wallet rows without a customer id 1; not in the log, so their share is 0: 1; "
        "shares above 1, kept (is the same window and category measured?): 1; "
        "shares below 0, kept (more returned than bought): 1"
    )


def test_customers_by_hand(golden):
    people = share_of_wallet(golden, wallet(WALLET)).customers.set_index("customer_id").sort_index()
    assert people.columns.tolist() == ["own_spend", "category_spend", "share"]
    assert people["own_spend"].to_dict() == {1: 50, 2: 30, 4: 0, 5: 20, 7: 120, 8: -5, 9: 0}
    assert people["category_spend"].to_dict() == {1: 100, 2: 40, 4: 60, 5: 0, 7: 100, 8: 50, 9: 0}
    assert people["share"].dropna().to_dict() == {1: 0.5, 2: 0.75, 4: 0.0, 7: 1.2, 8: -0.1}


def test_sentences():
    with ly.transactions(log(LOG[:3])) as tx:
        shares = share_of_wallet(tx, wallet(WALLET[:3]))
    first, second = str(shares).split("\n")
    assert first.startswith("Share of wallet: 57.1 % (95 % interval ")
    assert "; 80 / 140, 2 customers)" in first
    assert second.startswith("Mean share of wallet: 62.5 % (95 % interval ")
    assert "; 2 customers)" in second


def naive_own(frame, first, last):
    """Net spend in the window of each customer who bought in it, row by row."""
    own = {}
    for customer, rows in frame[frame["date"] <= last].dropna(subset=["customer_id"]).groupby("customer_id"):
        bought = sorted(rows[rows["amount"] >= 0]["date"])
        if not any(first <= day for day in bought):
            continue
        total = 0.0
        for amount, day in zip(rows["amount"], rows["date"], strict=True):
            reduces = day if amount >= 0 else max((past for past in bought if past <= day), default=None)
            total += amount if reduces is not None and reduces >= first else 0.0
        own[customer] = total
    return own


def naive_shares(own, wallets):
    """Shares of wallet, customer by customer: measured pairs by customer, and counts."""
    spend, counts = {}, dict.fromkeys(("without_wallet", "missing_wallet", "zero_wallet", "not_in_log"), 0)
    for customer, amount in zip(wallets["customer_id"], wallets["category_spend"], strict=True):
        if not math.isnan(customer):
            spend.setdefault(customer, []).append(amount)
    pairs = {}
    for customer in {*own, *spend}:
        if customer not in spend:
            counts["without_wallet"] += 1
        elif any(map(math.isnan, spend[customer])):
            counts["missing_wallet"] += 1
        elif sum(spend[customer]) == 0:
            counts["zero_wallet"] += 1
        else:
            counts["not_in_log"] += customer not in own
            pairs[customer] = own.get(customer, 0.0), sum(spend[customer])
    return pairs, counts


def random_tables(seed, n=600):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": rng.integers(1, 150, n).astype(float),
            "amount": np.round(rng.gamma(2, 10, n), 2) * rng.choice([1, 0, -1], n, p=[0.8, 0.05, 0.15]),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), unit="D"),
            "town": rng.choice(np.array(["Rome", "Oslo", None], dtype=object), n),
        }
    )
    frame.loc[rng.random(n) < 0.05, "customer_id"] = np.nan
    m = 220
    wallets = pd.DataFrame(
        {
            "customer_id": rng.integers(20, 190, m).astype(float),
            "category_spend": np.round(rng.gamma(2, 60, m), 2) * rng.choice([1, 0], m, p=[0.8, 0.2]),
        }
    )
    wallets.loc[rng.random(m) < 0.05, "category_spend"] = np.nan
    wallets.loc[rng.random(m) < 0.05, "customer_id"] = np.nan
    return frame, wallets


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("window", [(None, None), ("2024-01-20", "2024-03-10")])
def test_against_a_loop(seed, window):
    frame, wallets = random_tables(seed)
    ends = [pd.Timestamp(end) if end else limit for end, limit in zip(window, ("2020", "2030"), strict=True)]
    own = naive_own(frame, *map(pd.Timestamp, ends))
    pairs, counts = naive_shares(own, wallets)
    assert all(counts.values()), "the data must try what is to be tested"
    with ly.transactions(frame, observed_from=window[0], observed_until=window[1]) as tx:
        shares = share_of_wallet(tx, wallets)
        people = shares.customers.dropna(subset=["share"]).set_index("customer_id")
    y, x = (np.array(side) for side in zip(*pairs.values(), strict=True))
    each = y / x
    assert shares.overall.n == shares.mean.n == len(pairs)
    assert shares.overall.value == pytest.approx(y.sum() / x.sum(), rel=1e-9)
    assert shares.mean.value == pytest.approx(each.mean(), rel=1e-9)
    z, ratio = statistics.NormalDist().inv_cdf(0.975), y.sum() / x.sum()
    error = math.sqrt(len(y) / (len(y) - 1) * ((y - ratio * x) ** 2).sum()) / x.sum()
    assert shares.overall.low == pytest.approx(ratio - z * error, rel=1e-9)
    assert shares.mean.high == pytest.approx(each.mean() + z * each.std(ddof=1) / math.sqrt(len(y)), rel=1e-9)
    assert counts.items() <= shares.counts().items()
    assert shares.above_one == (each > 1 + 1e-9).sum() > 0
    assert shares.below_zero == (each < -1e-9).sum()
    assert shares.rows_without_id == wallets["customer_id"].isna().sum() > 0
    assert people["share"].to_dict() == pytest.approx(dict(zip(pairs, each, strict=True)), rel=1e-9)
    assert shares.distribution["customers"].to_pylist() == naive_histogram(each)


def naive_histogram(shares):
    """Count shares below 0, in twenty bars from 0 to 1 (1 in the last), and above 1."""
    bars = [0] * 22
    for share in shares:
        place = 0 if share < -1e-9 else 21 if share > 1 + 1e-9 else 1 + min(int(share * 20 + 1e-8), 19)
        bars[place] += 1
    return bars


def test_distribution_has_every_edge_in_its_own_bar():
    # k/20 of a wallet, from 0 to 1, as sums of money that are not exact in floats
    pairs = [(k, 0.1 * k * 3, 6.0) for k in range(21)]
    with ly.transactions(log([(k, own, "2024-01-05") for k, own, _ in pairs])) as tx:
        shares = share_of_wallet(tx, wallet([(k, category) for k, _, category in pairs]))
    assert shares.distribution["customers"].to_pylist() == [0, *[1] * 19, 2, 0]
    assert shares.distribution["low"].to_pylist()[1:] == pytest.approx([k / 20 for k in range(21)])
    assert shares.distribution["high"].to_pylist()[:-1] == pytest.approx([k / 20 for k in range(21)])
    assert shares.above_one == 0


def test_all_spent_with_us_is_not_above_one():
    # 0.1 + 0.2 > 0.3 in floats
    rows = [(1, 0.1, "2024-01-05"), (1, 0.2, "2024-01-06"), (2, 0.3, "2024-01-05"), (2, -0.1, "2024-01-06"),
            (2, -0.2, "2024-01-07")]  # fmt: skip
    with ly.transactions(log(rows)) as tx:
        shares = share_of_wallet(tx, wallet([(1, 0.3), (2, 5.0)]))
        people = shares.customers.set_index("customer_id")
    assert people["share"][1] > 1
    assert people["share"][2] == 0
    assert (shares.above_one, shares.below_zero) == (0, 0)


def test_more_returned_than_bought_by_rounding_alone_is_not_below_zero(golden):
    panel = pd.DataFrame([(1, "us", 0.7), (1, "us", 0.1), (1, "us", -0.8), (1, "them", 5.0)],
                         columns=["customer_id", "seller", "amount"])  # fmt: skip
    shares = share_of_wallet(golden, panel, seller="seller", own="us")
    assert abs(shares.customers["share"][0]) < 1e-15
    assert shares.below_zero == 0


@pytest.mark.parametrize("grouped", [{"by": "town"}, {"cohort": "month"}])
@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_groups_add_up(grouped, method):
    frame, wallets = random_tables(5)
    with ly.transactions(frame) as tx:
        whole = share_of_wallet(tx, wallets, method=method)
        groups = share_of_wallet(tx, wallets, method=method, **grouped)
        people = {group: part.customers for group, part in groups.items()}
        everybody = whole.customers
    assert list(groups)[-1] is None
    assert len(groups) == {"by": 3, "cohort": 4}[next(iter(grouped))]
    for name in ("n", "excluded"):
        assert sum(getattr(part.overall, name) for part in groups.values()) == getattr(whole.overall, name)
    for name in ("numerator", "denominator"):
        total = sum(getattr(part.overall, name) for part in groups.values())
        assert total == pytest.approx(getattr(whole.overall, name), rel=1e-9)
    for name, count in whole.counts().items():
        if name != "rows_without_id":
            assert sum(part.counts()[name] for part in groups.values()) == count
    bars = sum(np.array(part.distribution["customers"]) for part in groups.values())
    assert bars.tolist() == whole.distribution["customers"].to_pylist()
    together = pd.concat(people.values()).sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(together, everybody.sort_values("customer_id", ignore_index=True))
    for group, part in groups.items():
        assert people[group]["share"].mean() == pytest.approx(part.mean.value, rel=1e-9)


def test_strangers_to_the_log_are_in_the_group_none():
    frame = log(LOG).assign(town=["Rome", "Oslo", "Oslo", *["Rome"] * 7])
    with ly.transactions(frame) as tx:
        towns = share_of_wallet(tx, wallet(WALLET), by="town")
        months = share_of_wallet(tx, wallet(WALLET), cohort="month")
        assert sorted(towns[None].customers["customer_id"]) == [4, 9]
        assert sorted(months[None].customers["customer_id"]) == [4, 9]
    assert list(towns) == ["Oslo", "Rome", None]
    assert list(months) == ["2024-01", "2024-02", None]
    for groups in (towns, months):
        assert groups[None].overall.value == 0.0
        assert groups[None].not_in_log == 1
        assert groups[None].without_wallet == 0
        assert "having no first purchase they are in this group" in groups[None].overall.note
    assert months["2024-01"].overall.numerator == 80
    assert months["2024-01"].without_wallet == 1
    assert months.to_native().columns[0] == "month of first purchase"


def test_null_of_by_is_a_group_with_the_strangers():
    frame = log(LOG[:3]).assign(town=[None, None, "Oslo"])
    with ly.transactions(frame) as tx:
        towns = share_of_wallet(tx, wallet(WALLET[:4]), by="town")
        assert sorted(towns[None].customers["customer_id"]) == [1, 4]
    assert (towns[None].overall.numerator, towns[None].overall.denominator) == (50, 160)


@pytest.mark.parametrize(
    "values", [[True, False], [1, 2], [0.5, 1.5], [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02")]]
)
def test_customers_of_groups_of_any_type(values):
    frame = log([(1, 5.0, "2024-01-05"), (2, 5.0, "2024-01-05")]).assign(mark=values)
    with ly.transactions(frame) as tx:
        groups = share_of_wallet(tx, wallet([(1, 10.0), (2, 10.0)]), by="mark")
        assert sorted(part.customers["customer_id"].tolist() for part in groups.values()) == [[1], [2]]


def test_panel_by_hand():
    panel = wallet(
        [
            (1, "us", 30.0),
            (1, "us", -10.0),  # a return
            (1, "them", 60.0),
            (1, None, 20.0),  # someone else
            (2, "them", 50.0),  # buys elsewhere only
            (3, "us", 8.0),
            (4, "us", 5.0),
            (4, "them", None),  # wallet not known
            (5, "them", 5.0),
            (5, "them", -5.0),  # wallet of zero
            (6, "us", 10.0),
            (6, "them", 5.0),
            (6, "them", -7.0),  # share above 1
            (None, "us", 7.0),
        ],
        ("customer_id", "seller", "amount"),
    )
    rows = [(k, 1000.0, "2024-01-05") for k in (1, 2, 9)]  # what the log says is not looked at
    with ly.transactions(log(rows)) as tx:
        shares = share_of_wallet(tx, panel, seller="seller", own="us")
        people = shares.customers.set_index("customer_id").sort_index()
    assert (shares.overall.numerator, shares.overall.denominator) == (20 + 0 + 8 + 10, 100 + 50 + 8 + 8)
    assert shares.mean.value == pytest.approx((0.2 + 0 + 1 + 1.25) / 4, rel=1e-15)
    assert shares.counts() == {
        "without_wallet": 1,
        "missing_wallet": 1,
        "zero_wallet": 1,
        "not_in_log": 2,
        "above_one": 1,
        "below_zero": 0,
        "rows_without_id": 1,
    }
    assert people["own_spend"].to_dict() == {1: 20, 2: 0, 3: 8, 5: 0, 6: 10}
    assert shares.overall.note.startswith("own spend is what the panel shows for 'us'; left out: ")
    assert "must cover" not in shares.overall.note


def test_panel_that_nets_to_zero_up_to_rounding_has_no_share(golden):
    # 0.1 + 0.2 - 0.3 is 5.6e-17 in floats
    panel = wallet(
        [(1, "us", 0.1), (1, "them", 0.2), (1, "them", -0.3), (2, "us", 1.0), (2, "them", -2.0)],
        ("customer_id", "seller", "amount"),
    )
    shares = share_of_wallet(golden, panel, seller="seller", own="us")
    assert (shares.zero_wallet, shares.overall.n) == (2, 0)


def test_panel_with_the_logs_own_rows_is_the_wallet_table():
    frame, _ = random_tables(1)
    frame = frame[frame["amount"] >= 0]
    rng = np.random.default_rng(0)
    others = frame.assign(amount=np.round(rng.gamma(2, 20, len(frame)), 2), seller="them")
    panel = pd.concat([frame.assign(seller="us"), others])[["customer_id", "seller", "amount"]]
    totals = panel.groupby("customer_id", as_index=False)["amount"].sum()
    with ly.transactions(frame) as tx:
        by_seller = share_of_wallet(tx, panel, seller="seller", own="us")
        summed = share_of_wallet(tx, totals, spend="amount")
    for name in ("value", "low", "high", "n", "numerator", "denominator"):
        assert getattr(by_seller.overall, name) == pytest.approx(getattr(summed.overall, name), rel=1e-9)
        assert getattr(by_seller.mean, name) == pytest.approx(getattr(summed.mean, name), rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("sellers", "own"), [([1, 2], 1), ([1.0, 2.0], 1), ([True, False], True), (["us", "them"], "us")]
)
def test_sellers_of_any_type(golden, sellers, own):
    panel = pd.DataFrame({"customer_id": [1, 1], "seller": sellers, "amount": [3.0, 7.0]})
    coded = panel.assign(seller=panel["seller"].astype("category"))
    for table in (panel, coded):
        shares = share_of_wallet(golden, table, seller="seller", own=own)
        assert shares.overall.value == pytest.approx(0.3, rel=1e-15)


def test_bootstrap_agrees_with_delta_and_repeats():
    rng = np.random.default_rng(3)
    category = rng.gamma(4, 50, 800)
    own = category * rng.beta(4, 6, 800)
    with ly.transactions(log([(k, own[k], "2024-01-05") for k in range(800)])) as tx:
        table = wallet(list(enumerate(category)))
        delta = share_of_wallet(tx, table)
        drawn = share_of_wallet(tx, table, method="bootstrap", seed=7)
        again = share_of_wallet(tx, table.sample(frac=1, random_state=0), method="bootstrap", seed=7)
        other = share_of_wallet(tx, table, method="bootstrap", seed=8)
    for name in ("overall", "mean"):
        one, two = getattr(delta, name), getattr(drawn, name)
        assert two.value == pytest.approx(one.value, rel=1e-12)
        assert two.method == "bootstrap"
        # 2000 resamples: a percentile is off by some 4 % of the half width (binomial error over normal density)
        assert two.high - two.low == pytest.approx(one.high - one.low, rel=0.12)
        assert (two.low, two.high) == (getattr(again, name).low, getattr(again, name).high)
        assert two.low != getattr(other, name).low


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_laws(data):
    seed = data.draw(st.integers(0, 10_000))
    factor = data.draw(st.sampled_from([0.01, 3.0, 1e6]))
    frame, wallets = random_tables(seed, n=60)
    halves = pd.concat([wallets.assign(category_spend=wallets["category_spend"] / 2)] * 2)
    order = np.random.default_rng(seed + 1).permutation(len(halves))
    with ly.transactions(frame) as tx:
        before = share_of_wallet(tx, wallets)
        split = share_of_wallet(tx, halves.iloc[order])
    other = frame.assign(customer_id=1000 - frame["customer_id"], amount=frame["amount"] * factor)
    scaled = wallets.assign(
        customer_id=1000 - wallets["customer_id"], category_spend=wallets["category_spend"] * factor
    )
    with ly.transactions(other) as tx:
        relabelled = share_of_wallet(tx, scaled)
    for after in (split, relabelled):
        assert after.distribution.equals(before.distribution)
        assert {**after.counts(), "rows_without_id": 0} == {**before.counts(), "rows_without_id": 0}
        for name in ("overall", "mean"):
            one, two = getattr(before, name), getattr(after, name)
            for limit in ("value", "low", "high"):
                assert getattr(two, limit) == pytest.approx(getattr(one, limit), rel=1e-9, abs=1e-12, nan_ok=True)


UUIDS = [uuid.UUID(int=k) for k in range(5)]
IDS = {
    "int": [1, 2, 3, 4],
    "float": [1.0, 2.0, 3.0, 4.0],
    "str": ["a", "b", "c", "d"],
    "nullable": pd.array([1, 2, 3, 4], dtype="Int64"),
    "large": [2**60 + 1, 2**60 + 2, 2**60 + 3, 2**60 + 4],
    "category": pd.Categorical(["a", "b", "c", "d"]),
    "date": list(pd.date_range("2024-01-01", periods=4)),
    "mixed": [1, "1", 2, "2"],
    "uuid": UUIDS[:4],
}


def by_id(frame):
    label = frame.columns[0]
    return dict(zip(frame[label], frame["share"], strict=True))


@pytest.mark.parametrize("kind", IDS)
def test_ids_come_back_as_they_went_in(kind):
    ids = pd.Series(IDS[kind], dtype=object if kind in {"mixed", "uuid"} else None, name="who")
    frame = pd.DataFrame({"who": ids, "amount": [1.0, 2.0, 3.0, 4.0], "date": pd.Timestamp("2024-01-05")})
    # The log knows the first three, the wallet the last three.
    wallets = pd.DataFrame({"who": ids[1:], "category_spend": 10.0})
    with ly.transactions(frame[:3], customer="who") as tx:
        shares = share_of_wallet(tx, wallets)
        people = shares.customers
    assert by_id(people) == pytest.approx({ids[1]: 0.2, ids[2]: 0.3, ids[3]: 0.0})
    assert people["who"].dtype == ids.dtype
    assert {type(value) for value in people["who"]} == {type(value) for value in ids[1:]}
    assert (shares.without_wallet, shares.not_in_log) == (1, 1)


@pytest.mark.parametrize(
    ("logged", "walleted"),
    [
        (["a", "b"], pd.Categorical(["a", "z"])),
        (pd.Categorical(["a", "b"]), ["a", "z"]),
        ([1, 2], [1.0, None]),
        (pd.Series([1, "2"], dtype=object), [1, 9]),
        (pd.Series([1, 2], dtype="int8"), [1, 9]),
    ],
)
def test_ids_of_other_types_that_match(logged, walleted):
    frame = pd.DataFrame({"customer_id": logged, "amount": 5.0, "date": pd.Timestamp("2024-01-05")})
    with ly.transactions(frame) as tx:
        shares = share_of_wallet(tx, pd.DataFrame({"customer_id": walleted, "category_spend": 10.0}))
    assert shares.overall.numerator == 5
    assert shares.without_wallet == 1


def test_null_and_blank_ids_are_nobody():
    frame = pd.DataFrame({"customer_id": ["a", None], "amount": 5.0, "date": pd.Timestamp("2024-01-05")})
    wallets = pd.DataFrame({"customer_id": ["a", None, "", "  "], "category_spend": [10.0, -1.0, math.inf, 2.0]})
    with ly.transactions(frame) as tx:
        shares = share_of_wallet(tx, wallets)
    assert (shares.rows_without_id, shares.not_in_log, shares.overall.value) == (3, 0, 0.5)


@pytest.mark.parametrize(
    ("logged", "source"),
    [
        ("pandas", "polars"),
        ("pandas", "polars-lazy"),
        ("pandas", "pyarrow"),
        ("pandas", "stream"),
        ("pandas", "parquet"),
        ("pandas", "csv"),
        ("pandas", "duckdb"),
        ("polars", "pandas"),
        ("duckdb", "pandas"),
    ],
)
def test_sources(source, logged, tmp_path):
    import duckdb

    frame, wallets = (
        table.assign(customer_id=[None if math.isnan(k) else f"c{k:g}" for k in table["customer_id"]])
        for table in (log(LOG), wallet(WALLET))
    )
    with duckdb.connect() as connection:
        data = {"pandas": frame, "polars": pl.from_pandas(frame), "duckdb": connection.from_df(frame)}[logged]
        with ly.transactions(data) as tx:
            shares = share_of_wallet(tx, as_source(wallets, source, tmp_path, connection))
            people = shares.customers
            assert type(people) is type(data)
            rows = pa.table(people).to_pylist() if logged != "pandas" else people.to_dict("records")
    assert (shares.overall.numerator, shares.overall.denominator, shares.overall.n) == (195, 350, 5)
    assert shares.counts()["missing_wallet"] == shares.rows_without_id == 1
    known = {row["customer_id"]: row["share"] for row in rows if row["category_spend"]}
    assert known == {"c1": 0.5, "c2": 0.75, "c4": 0.0, "c7": 1.2, "c8": -0.1}
    missing = [row["share"] for row in rows if not row["category_spend"]]
    assert all(share is None or math.isnan(share) for share in missing)
    assert len(missing) == 2


@pytest.mark.parametrize("spend", [pd.array([20, None], dtype="Int64"), pa.array([20, None], pa.decimal128(9, 2))])
def test_money_of_other_types(golden, spend):
    wallets = pa.table({"customer_id": [3, 1], "category_spend": pa.array(spend)})
    shares = share_of_wallet(golden, wallets)
    assert (shares.overall.value, shares.missing_wallet) == (0.5, 1)


def test_columns_may_bear_any_name(golden):
    wallets = pd.DataFrame({'sp\'end "x"': [10.0], "cust; drop": [1], "customer_id": ["no"]})
    shares = share_of_wallet(golden, wallets, customer="cust; drop", spend=wallets.columns[0])
    assert shares.overall.value == 5


def test_nobody_to_measure():
    without_ids = wallet([(None, 5.0)]).astype({"customer_id": "Int64"})
    with ly.transactions(log([(1, 5.0, "2024-01-05")])) as tx:
        for table in (wallet([(1, 0.0)]), wallet([(1, None)]), without_ids):
            shares = share_of_wallet(tx, table)
            for estimate in (shares.overall, shares.mean):
                assert math.isnan(estimate.value)
                assert math.isnan(estimate.low)
                assert "undefined: no customer's spend in the category is known" in estimate.note
            assert sum(shares.distribution["customers"].to_pylist()) == 0
            assert shares.overall.excluded == 1
            assert shares.customers["share"].isna().all()
            assert math.isnan(share_of_wallet(tx, table, method="bootstrap").overall.value)


def test_one_customer_has_no_interval():
    with ly.transactions(log([(1, 5.0, "2024-01-05")])) as tx:
        shares = share_of_wallet(tx, wallet([(1, 10.0)]))
    assert shares.overall.value == shares.mean.value == 0.5
    assert math.isnan(shares.overall.low)
    assert math.isnan(shares.mean.high)
    assert "no interval" in shares.mean.note


def test_results_do_not_change_with_the_callers_frame():
    table = wallet(WALLET)
    with ly.transactions(log(LOG)) as tx:
        shares = share_of_wallet(tx, table)
        before = shares.customers
        table.loc[:, "category_spend"] = 1.0
        pd.testing.assert_frame_equal(*(frame.sort_values("customer_id", ignore_index=True)
                                        for frame in (before, shares.customers)))  # fmt: skip
        # Nor does another wallet on the same transactions disturb it.
        share_of_wallet(tx, table)
        assert shares.customers["category_spend"].sum() == before["category_spend"].sum()


def as_dict(frame):
    return frame.set_index("customer_id").sort_index().to_dict()


def test_a_wallet_is_read_once(tmp_path, monkeypatch):
    path, table = tmp_path / "wallet.csv", wallet([("a", 10.0), ("b", 40.0)])
    table.to_csv(path, index=False)
    with ly.transactions(log([("a", 5.0, "2024-01-05"), ("b", 10.0, "2024-01-06")])) as tx:
        reads, attach = [], tx.engine.attach_source
        monkeypatch.setattr(
            tx.engine, "attach_source", lambda *args, **named: reads.append(1) or attach(*args, **named)
        )
        shares = share_of_wallet(tx, path)
        drawn = share_of_wallet(tx, path, method="bootstrap", by="date")
        before = as_dict(shares.customers)
        table.assign(category_spend=-1000.0).to_csv(path, index=False)
        assert as_dict(shares.customers) == before
        assert before["share"] == {"a": 0.5, "b": 0.25}
        group = drawn[pd.Timestamp("2024-01-05")] if pd.Timestamp("2024-01-05") in drawn else next(iter(drawn.values()))
        assert group.customers["category_spend"].tolist() == [10.0]
        path.unlink()
        assert as_dict(shares.customers) == before
        assert len(reads) == 2


@sources.every_far
def test_a_wallet_on_a_far_engine_is_read_once(source, tmp_path, monkeypatch):
    rows = [("a", 5.0, "2024-01-05"), ("b", 10.0, "2024-01-06"), ("c", 1.0, "2024-01-06")]
    table = wallet([("a", 10.0), ("b", 25.0), ("b", 15.0), (None, -3.0), ("d", None)])
    with sources.opened(source, log(rows), tmp_path) as tx:
        attached = []
        attach = tx.engine.attach_source
        monkeypatch.setattr(
            tx.engine, "attach_source", lambda *args, **named: attached.append(1) or attach(*args, **named)
        )
        shares = share_of_wallet(tx, table)
        del shares
        shares = share_of_wallet(tx, table)
        people = {key: row["share"] for key, row in sources.rows(shares.customers).items()}
        assert people == {"a": 0.5, "b": 0.25}
        assert (shares.rows_without_id, shares.missing_wallet, shares.without_wallet) == (1, 1, 1)
        assert len(attached) == 2


def kept_wallets(tx):
    tables = tx.engine._root.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return sum(name.startswith("wallet") for (name,) in tables)


def test_forgotten_wallets_are_dropped():
    with ly.transactions(log(LOG)) as tx:
        one = share_of_wallet(tx, wallet(WALLET))
        people = as_dict(one.customers)
        for _ in range(5):
            share_of_wallet(tx, wallet([(1, 100.0)]))
        with pytest.raises(InvalidRows):
            share_of_wallet(tx, wallet([(1, -5.0)]))
        gc.collect()
        two = share_of_wallet(tx, wallet([(1, 200.0)]))
        assert kept_wallets(tx) == 2
        assert as_dict(one.customers).keys() == people.keys()
        assert two.overall.value == 0.25
    with pytest.raises(ClosedError):
        two.customers  # noqa: B018
    del one, two  # after the engine is closed


def test_threads():
    frame, wallets = random_tables(2)
    with ly.transactions(frame) as tx, ThreadPoolExecutor(8) as pool:
        shares = share_of_wallet(tx, wallets)
        same = list(pool.map(lambda _: share_of_wallet(tx, wallets).overall, range(8)))
        frames = list(pool.map(lambda _: shares.customers, range(8)))
    assert {round(estimate.value, 12) for estimate in same} == {round(shares.overall.value, 12)}
    assert {len(frame) for frame in frames} == {shares.overall.n + shares.zero_wallet}


def test_shows_itself(golden, monkeypatch):
    shares = share_of_wallet(golden, wallet(WALLET))
    plain = json.loads(json.dumps(shares.to_dict(), allow_nan=False))
    assert plain["overall"]["numerator"] == 195
    assert plain["mean"]["numerator"] is None
    assert plain["above_one"] == 1
    assert plain["distribution"][0] == {"low": None, "high": 0.0, "customers": 1}
    assert shares.to_native()["estimate"].tolist() == ["overall", "mean"]
    assert "mean share of wallet" in shares._repr_html_()
    monkeypatch.setattr(plots, "share_of_wallet", lambda result, ax: (result, ax))
    assert shares.plot(ax="here") == (shares, "here")


PANEL = pd.DataFrame({"customer_id": [1], "seller": ["us"], "amount": [5.0]})


@pytest.mark.parametrize(
    ("table", "options", "error", "words"),
    [
        (wallet([(1, -5.0), (2, 3.0), (3, -7.0)]), {}, InvalidRows, "2 rows .* negative .* .the lowest is -7"),
        (wallet([(1, math.inf)]), {}, InvalidRows, "no usable spend in column 'category_spend' .such as 'inf'"),
        (wallet([(1, "12")]), {}, ColumnError, "not a number: convert"),
        (wallet([(1, True)]), {}, ColumnError, "not a number: convert"),
        (wallet([]).astype(float), {}, EmptyData, "no rows"),
        (wallet([("1", 5.0)]), {}, ColumnError, "none would match"),
        (wallet([(1, 5.0)], ("customer_id", "categoryspend")), {}, ColumnError, "Did you mean 'categoryspend'"),
        (wallet([(1, 5.0)], ("client", "category_spend")), {}, ColumnError, "customer='customer_id'"),
        (PANEL, {"seller": "seller"}, InvalidArgument, "own=None go together"),
        (PANEL, {"own": "us"}, InvalidArgument, "go together"),
        (PANEL, {"seller": "seller", "own": "we"}, InvalidArgument, "'we' does not occur in column 'seller'"),
        (PANEL, {"seller": "seller", "own": 1}, InvalidArgument, "own=1 cannot occur"),
        (PANEL, {"seller": "shop", "own": "us"}, ColumnError, "seller='shop'"),
        (PANEL, {"seller": "seller", "own": "us", "spend": "money"}, ColumnError, "spend='money'"),
        (PANEL.assign(seller=1), {"seller": "seller", "own": True}, InvalidArgument, "cannot occur"),
        (wallet([(1, 5.0)]), {"confidence": 0}, InvalidArgument, "strictly between"),
        (wallet([(1, 5.0)]), {"method": "wilson"}, InvalidArgument, "'delta', 'bootstrap'"),
        (wallet([(1, 5.0)]), {"by": "town"}, ColumnError, "by='town'"),
        (wallet([(1, 5.0)]), {"by": "date", "cohort": "year"}, InvalidArgument, "not both"),
    ],
)
def test_wrong_input(golden, table, options, error, words):
    with pytest.raises(error, match=words):
        share_of_wallet(golden, table, **options)


def test_infinite_rows_are_counted(golden):
    with pytest.raises(InvalidRows) as caught:
        share_of_wallet(golden, wallet([(1, math.inf), (2, -math.inf), (3, 5.0), (4, math.nan)]))
    assert (caught.value.column, caught.value.count) == ("category_spend", 2)


def test_text_files_hold_numbers(tmp_path):
    (tmp_path / "log.csv").write_text("customer_id,date,amount\n01,2024-01-05,5\n02,2024-01-05,5\n")
    path = tmp_path / "wallet.csv"
    with ly.transactions(str(tmp_path / "log.csv")) as tx:
        path.write_text("customer_id,category_spend\n01, 1e1 \n02,\n1,7\n")
        shares = share_of_wallet(tx, path)
        assert (shares.overall.numerator, shares.overall.denominator) == (5, 17)
        assert (shares.missing_wallet, shares.not_in_log) == (1, 1)
        path.write_text("customer_id,category_spend\n01,12 EUR\n02,7\n")
        with pytest.raises(InvalidRows, match=r"1 rows .* \(such as '12 EUR'\)"):
            share_of_wallet(tx, path)
