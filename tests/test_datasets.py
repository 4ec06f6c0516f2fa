"""CDNOW as published, and simulators against the theory they draw from.

Seeds are fixed, so nothing here is flaky. Where a simulated mean is held against theory, the tolerance is 4.5
standard errors of the mean over independent customers or orders: a right simulator misses that for one seed
in 150 000, and an error of some per cent in a mean does not pass.
"""

import datetime as dt
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import hyp2f1

from loyalty.datasets import cdnow, cdnow_sample, donations, simulate, simulate_scores, simulate_wallet
from loyalty.errors import ColumnError, InvalidArgument, MissingData

WEEK = pd.Timedelta(days=7)
# The published CDNOW estimates: Fader & Hardie's Pareto/NBD notes; Fader, Hardie & Lee 2005.
PARETO = {"r": 0.55315, "alpha": 10.57633, "s": 0.60625, "beta": 11.67150}
BG = {"r": 0.2425945, "alpha": 4.4136019, "a": 0.7929199, "b": 2.4258881}
NBD = {"r": 0.384766, "alpha": 12.07202}


def close_to(values, expected):
    """Whether the mean of independent values lies within 4.5 standard errors of what theory expects."""
    values = np.asarray(values, dtype=float)
    return abs(values.mean() - expected) <= 4.5 * values.std(ddof=1) / np.sqrt(values.size)


# --------------------------------------------------------------------------------------------- published data


def test_cdnow():
    log = cdnow()
    kinds = {"customer_id": "int64", "date": "datetime64[us]", "quantity": "int64", "amount": "float64"}
    assert log.dtypes.astype(str).to_dict() == kinds
    assert (len(log), log["customer_id"].nunique(), (log["amount"] == 0).sum()) == (69_659, 23_570, 80)
    assert log["amount"].sum() == pytest.approx(2_500_315.63, abs=0.005)  # a sum of whole cents
    assert (log["date"].min(), log["date"].max()) == (pd.Timestamp("1997-01-01"), pd.Timestamp("1998-06-30"))
    assert len(log.drop_duplicates(["customer_id", "date"])) == 67_591
    assert not log.isna().any(axis=None)
    assert log["quantity"].min() >= 1
    assert log.index.equals(pd.RangeIndex(69_659))


def test_cdnow_sample():
    log = cdnow_sample()
    assert list(log.columns) == list(cdnow().columns)
    assert log.dtypes.equals(cdnow().dtypes)
    assert sorted(log["customer_id"].unique()) == list(range(1, 2358))
    assert len(log) == 6919
    assert len(log.drop_duplicates(["customer_id", "date"])) == 6696


def test_cdnow_sample_numbers_customers_as_the_published_summary_does():
    # Customer 1 there: x = 2, t_x = 30.43 and T = 38.86 weeks, up to 1997-09-30.
    log = cdnow_sample()
    days = log.loc[(log["customer_id"] == 1) & (log["date"] <= "1997-09-30"), "date"].drop_duplicates()
    assert len(days) - 1 == 2
    assert round((days.max() - days.min()) / WEEK, 2) == 30.43
    assert round((pd.Timestamp("1997-09-30") - days.min()) / WEEK, 2) == 38.86


def test_cdnow_sample_is_part_of_cdnow():
    columns = ["date", "quantity", "amount"]
    first = cdnow().query("customer_id == 4")[columns]  # the sample's customer 1 is 00004 in the full file
    pd.testing.assert_frame_equal(
        cdnow_sample().query("customer_id == 1")[columns].reset_index(drop=True), first.reset_index(drop=True)
    )


def test_donations():
    table = donations()
    assert list(table.columns) == ["frequency", "recency", "periods", "weights"]
    assert (len(table), table["weights"].sum()) == (22, 11_104)
    assert set(table["periods"]) == {6}


@pytest.mark.parametrize("load", [cdnow, cdnow_sample, donations])
def test_lifetimes_is_missing(monkeypatch, load):
    monkeypatch.setitem(sys.modules, "lifetimes", None)  # what find_spec reports as absent
    with pytest.raises(MissingData, match=r"not installed: pip install lifetimes"):
        load()


def test_lifetimes_lacks_the_file(monkeypatch, tmp_path):
    (tmp_path / "lifetimes").mkdir()
    (tmp_path / "lifetimes" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "lifetimes", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingData, match=r"CDNOW_master\.txt .* installed without it"):
        cdnow()


@pytest.mark.parametrize(
    "code",
    [
        "import loyalty.datasets, sys; sys.exit(bool({'lifetimes', 'pandas'} & set(sys.modules)))",
        "from loyalty import datasets as d; import sys; d.cdnow(); sys.exit('lifetimes' in sys.modules)",
    ],
)
def test_nothing_heavy_is_imported(code):
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------ the simulated log


def test_columns_and_order():
    log = simulate(2000, seed=1, margin=0.25)
    kinds = {"customer_id": "int64", "date": "datetime64[us]", "amount": "float64", "order_id": "int64"}
    assert list(log.columns) == [*kinds, "product", "cost"]
    assert log[list(kinds)].dtypes.astype(str).to_dict() == kinds
    assert pd.api.types.is_string_dtype(log["product"])
    assert sorted(log["customer_id"].unique()) == list(range(1, 2001))  # everyone buys at least once
    assert log["order_id"].tolist() == list(range(1, len(log) + 1))
    assert log["date"].is_monotonic_increasing
    assert log["date"].equals(log["date"].dt.normalize())
    assert log["date"].min() >= pd.Timestamp("2022-01-01")
    assert log["date"].max() <= pd.Timestamp("2023-12-31")
    assert log["amount"].min() >= 0.01
    assert np.allclose(log["amount"] * 100, np.round(log["amount"] * 100), rtol=0, atol=1e-6)
    assert np.allclose(log["cost"], 0.75 * log["amount"], rtol=0, atol=0.005 + 1e-9)  # rounded to the cent
    assert not log.isna().any(axis=None)


@pytest.mark.parametrize("model", ["pareto/nbd", "bg/nbd", "nbd"])
def test_same_seed_same_frame(model):
    options = {"model": model, "returns": 0.1, "guests": 0.1}
    log = simulate(500, seed=5, **options)
    pd.testing.assert_frame_equal(log, simulate(500, seed=5, **options))
    assert not log.equals(simulate(500, seed=6, **options))


def test_global_random_state_is_left_alone():
    before = np.random.get_state()  # noqa: NPY002
    log = simulate(100, seed=1, returns=0.1, guests=0.1, model="bg/nbd")
    simulate_wallet(log, seed=1)
    simulate_scores(10, seed=1)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))


def test_switches_move_no_purchase():
    plain = simulate(1000, seed=2)
    pd.testing.assert_frame_equal(
        simulate(1000, seed=2, guests=0.3).drop(columns="customer_id"), plain.drop(columns="customer_id")
    )
    bought = simulate(1000, seed=2, returns=0.3).query("amount > 0").reset_index(drop=True)
    pd.testing.assert_frame_equal(bought, plain)
    timed = simulate(1000, seed=2, times=True)
    assert timed["date"].is_monotonic_increasing
    assert timed["date"].nunique() > 0.99 * len(timed)
    pd.testing.assert_frame_equal(timed.assign(date=timed["date"].dt.normalize()), plain)


def test_window():
    log = simulate(3000, seed=3, start=dt.date(2020, 2, 28), end="2020-06-30", acquired_until="2020-03-01")
    first = log.groupby("customer_id")["date"].min()
    assert set(first.dt.strftime("%m-%d")) == {"02-28", "02-29", "03-01"}
    assert log["date"].max() == pd.Timestamp("2020-06-30")
    one_day = simulate(5, seed=3, start="2020-06-30", end=pd.Timestamp("2020-06-30"))
    assert set(one_day["date"]) == {pd.Timestamp("2020-06-30")}


def test_acquisition_is_uniform():
    log = simulate(20_000, seed=4, times=True)
    first = log.groupby("customer_id")["date"].min()
    share = (first - pd.Timestamp("2022-01-01")) / pd.Timedelta(days=730)
    assert close_to(share, 1 / 2)
    assert close_to((share - 1 / 2) ** 2, 1 / 12)


@pytest.mark.parametrize("model", ["pareto/nbd", "bg/nbd", "nbd"])
def test_default_rows_per_customer(model):
    rows = simulate(50_000, seed=5, model=model).groupby("customer_id").size()
    error = 4.5 * rows.std() / np.sqrt(len(rows))
    assert abs(rows.mean() - 6.6) < error + 0.1  # 0.1: the docs say "about"


# --------------------------------------------------------------------------------- lifetime models, in theory


def repeats_after(weeks, customers=150_000, **options):
    """Purchases of each customer in the given time after the first; all are observed for longer than that."""
    log = simulate(customers, start="2021-01-04", end="2022-01-10", acquired_until="2021-01-04", times=True, **options)
    assert (dt.date(2022, 1, 10) - dt.date(2021, 1, 4)).days > 7 * 52
    first = log.groupby("customer_id")["date"].transform("min")
    return (log["date"] <= first + weeks * WEEK).groupby(log["customer_id"]).sum() - 1


def expected_pareto(t, *, r, alpha, s, beta):
    return r * beta / (alpha * (s - 1)) * (1 - (beta / (beta + t)) ** (s - 1))


def expected_bg(t, *, r, alpha, a, b):
    curve = (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, t / (alpha + t))
    return (a + b - 1) / (a - 1) * (1 - curve)


def expected_nbd(t, *, r, alpha):
    return r * t / alpha


def test_the_formulas_here_give_the_published_expectations():
    assert expected_pareto(52, **PARETO) == pytest.approx(1.473389, abs=2e-5)  # estimates have 5 decimals
    assert expected_bg(52, **BG) == pytest.approx(1.444011, abs=1e-6)


@pytest.mark.parametrize("weeks", [4, 26, 52])
@pytest.mark.parametrize(
    ("model", "parameters", "expected"),
    [("pareto/nbd", PARETO, expected_pareto), ("bg/nbd", BG, expected_bg), ("nbd", NBD, expected_nbd)],
)
def test_expected_repeat_purchases(model, parameters, expected, weeks):
    assert close_to(repeats_after(weeks, seed=11, model=model, **parameters), expected(weeks, **parameters))


def test_probability_of_no_repeat_bg():
    # Published for new customers over 39 weeks (Fader, Hardie & Lee 2005, at these estimates).
    assert close_to(repeats_after(39, seed=12, model="bg/nbd", **BG) == 0, 0.574307)


def test_probability_of_no_repeat_pareto():
    # Given both rates: dropout comes first, or neither comes in t. Averaged over quantiles of the rates.
    def probability(t, *, r, alpha, s, beta, points=2000):
        from scipy.stats import gamma

        middles = (np.arange(points) + 0.5) / points
        rate = gamma.ppf(middles, r, scale=1 / alpha)[:, None]
        drop = gamma.ppf(middles, s, scale=1 / beta)[None, :]
        return np.mean((drop + rate * np.exp(-(rate + drop) * t)) / (rate + drop))

    assert close_to(repeats_after(39, seed=13, **PARETO) == 0, probability(39, **PARETO))


def test_mean_and_heterogeneity_of_purchase_rates():
    # NBD: variance of the count in t weeks is r t/alpha (1 + t/alpha).
    x = repeats_after(26, seed=14, model="nbd", r=2.0, alpha=20.0)
    assert close_to((x - 2.6) ** 2, 2.6 * (1 + 26 / 20))


@pytest.mark.parametrize(
    "extreme",
    [
        {"s": 1e-3},  # dropout rates that underflow to zero
        {"s": 1e3, "beta": 1e-3},  # lives of no length
        {"r": 1e-3},
        {"model": "bg/nbd", "a": 1e-3, "b": 50.0},  # nobody drops out
        {"model": "bg/nbd", "a": 50.0, "b": 1e-3},  # everybody does, at once
        {"customers": 1, "products": 1},
        {"p": 1e-3},  # amounts that round to nothing
        {"returns": 1.0, "guests": 1.0, "margin": 1.0},
    ],
)
def test_extremes(extreme):
    log = simulate(**{"customers": 300, "seed": 15, "returns": 0.1, **extreme})
    assert log["amount"].abs().min() >= 0.01
    assert np.isfinite(log["amount"]).all()
    assert log["date"].between("2022-01-01", "2023-12-31").all()


def test_certain_dropout_leaves_one_repeat():
    log = simulate(2000, seed=16, model="bg/nbd", a=1e6, b=1e-6, acquired_until="2022-01-31")
    assert log.groupby("customer_id").size().max() == 2


# ------------------------------------------------------------------------------------------------ spend, rows


@pytest.mark.parametrize("spend", [{}, {"p": 2.0, "q": 8.0, "gamma": 100.0}])
def test_mean_spend(spend):
    # First purchases, one of each customer, so independent. Rounding to cents moves the mean by under a cent.
    first = simulate(60_000, seed=21, **spend).drop_duplicates("customer_id")["amount"]
    p, q, gamma = ({"p": 6.25, "q": 3.74, "gamma": 15.44} | spend).values()
    assert close_to(first, p * gamma / (q - 1))


def test_spend_varies_within_and_between_customers():
    p, q, gamma = 2.0, 12.0, 100.0  # q > 8: the squares below have a finite fourth moment
    log = simulate(60_000, seed=22, p=p, q=q, gamma=gamma)
    nth = log.groupby("customer_id").cumcount()
    first, second = (log[nth == n].set_index("customer_id")["amount"] for n in (0, 1))
    between = p**2 * gamma**2 / ((q - 1) * (q - 2))  # E[(p/nu)^2]
    assert close_to((first * second).dropna(), between)
    assert close_to(first**2, between * (1 + 1 / p))


def test_products_follow_zipf():
    log = simulate(5000, seed=23, products=4)
    for k in range(1, 5):
        assert close_to(log["product"] == f"product {k}", 1 / k / (1 + 1 / 2 + 1 / 3 + 1 / 4))
    assert log["product"].nunique() == 4


def test_guests():
    log = simulate(5000, seed=24, guests=0.2, returns=0.2)
    assert str(log["customer_id"].dtype) == "Int64"
    orders = log.groupby("order_id")["customer_id"].agg(["count", "size"])
    assert set((orders["count"] / orders["size"]).unique()) == {
        0.0,
        1.0,
    }  # a refund is a guest's as its order is
    assert close_to(orders["count"] == 0, 0.2)


def test_returns():
    log = simulate(5000, seed=25, returns=0.15, guests=0.1, times=True)
    bought, back = log[log["amount"] > 0], log[log["amount"] < 0]
    assert close_to(bought["order_id"].isin(back["order_id"]), 0.15)
    assert back["order_id"].is_unique
    pairs = back.reset_index().merge(bought.reset_index(), on="order_id", suffixes=("_back", ""))
    assert len(pairs) == len(back)
    assert (pairs["amount_back"] == -pairs["amount"]).all()
    assert (pairs["cost_back"] == -pairs["cost"]).all()
    assert (pairs["product_back"] == pairs["product"]).all()
    assert pairs["customer_id_back"].equals(pairs["customer_id"])
    assert (pairs["index_back"] > pairs["index"]).all()
    assert (pairs["date_back"] - pairs["date"]).between(pd.Timedelta(0), pd.Timedelta(days=30)).all()
    assert log["date"].is_monotonic_increasing
    assert log["date"].max() < pd.Timestamp("2024-01-01")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"customers": 0}, "customers=0"),
        ({"customers": 10.5}, r"customers=10\.5"),
        ({"customers": True}, "customers=True"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": None}, "seed=None"),
        ({"products": 0}, "products=0"),
        ({"model": "pareto"}, r"model='pareto'.*'pareto/nbd'"),
        ({"model": "nbd", "s": 1.0}, r"s=1\.0: leave it out, 'nbd' has r, alpha"),
        ({"a": 1.0}, r"a=1\.0: leave it out, 'pareto/nbd' has r, alpha, s, beta"),
        ({"r": 0}, "r=0 .*above 0"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"beta": float("inf")}, "beta=inf"),
        ({"p": -1}, "p=-1"),
        ({"q": 1.0}, r"q=1\.0 .*above 1"),
        ({"gamma": "15"}, "gamma='15'"),
        ({"margin": 1.1}, r"margin=1\.1"),
        ({"returns": -0.1}, r"returns=-0\.1"),
        ({"guests": 2}, "guests=2"),
        ({"start": "yesterday"}, "start='yesterday' is not a date"),
        ({"start": 2022}, "start=2022 is not a date"),
        ({"end": pd.NaT}, "end=NaT is not a date"),
        ({"start": "2024-01-01"}, "start='2024-01-01'.*in this order"),
        ({"acquired_until": "2024-01-01"}, "acquired_until='2024-01-01'.*in this order"),
        ({"acquired_until": "2021-12-31"}, "acquired_until='2021-12-31'.*in this order"),
    ],
)
def test_simulate_refuses(wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        simulate(**{"customers": 10, "seed": 1, **wrong})


# ----------------------------------------------------------------------------------------- wallets and scores


def test_wallet_shares():
    log = simulate(20_000, seed=31, returns=0.05)
    wallet = simulate_wallet(log, seed=32, share=0.5, concentration=12.0)
    assert list(wallet.columns) == ["customer_id", "category_spend"]
    own = log.groupby("customer_id")["amount"].sum()
    assert wallet["customer_id"].tolist() == own.index.tolist()
    wallet = wallet.set_index("customer_id")["category_spend"]
    assert (wallet > own).all()
    buyers = own > 0.005  # a customer whose every purchase came back has no share to speak of
    share = (own / wallet)[buyers]
    assert close_to(share, 0.5)
    assert close_to((share - 0.5) ** 2, 0.5 * 0.5 / 13)  # variance of Beta(6, 6)
    # The ratio of sums is (6 - 1) / (12 - 1): held by the mean of own - ratio * wallet being zero.
    assert close_to((own - 5 / 11 * wallet)[buyers], 0.0)


def test_wallet_of_those_who_kept_nothing():
    log = pd.DataFrame({"customer_id": ["a", "b", "b", "c", None], "amount": [10.0, 5.0, -5.0, -1.0, 99.0]})
    wallet = simulate_wallet(log, seed=1)
    assert wallet["customer_id"].tolist() == ["a", "b", "c"]
    assert (wallet["category_spend"] > [10.0, 0.0, 0.0]).all()


def test_wallet_leaves_the_log_alone_and_ignores_row_order():
    log = simulate(200, seed=1, guests=0.2)
    kept = log.copy(deep=True)
    wallet = simulate_wallet(log, seed=2)
    pd.testing.assert_frame_equal(log, kept)
    assert wallet["customer_id"].dtype == log["customer_id"].dtype
    shuffled = simulate_wallet(log.sample(frac=1, random_state=3), seed=2)
    pd.testing.assert_frame_equal(wallet, shuffled, rtol=0, atol=0.011)  # a cent: sums in another order, rounded
    assert not wallet.equals(simulate_wallet(log, seed=3))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"share": 0}, "share=0 "),
        ({"share": 1.0}, r"share=1\.0, concentration=5\.0: give share < 1"),
        ({"share": 0.2}, r"share=0\.2, concentration=5\.0"),
        ({"concentration": float("nan")}, "concentration=nan"),
        ({"seed": 0.5}, r"seed=0\.5"),
        ({"log": pd.DataFrame({"customer_id": [1], "amount": [0.0]})}, "no customer of positive spend"),
    ],
)
def test_wallet_refuses(wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        simulate_wallet(**{"log": simulate(10, seed=1), "seed": 1, **wrong})


def test_wallet_needs_its_columns():
    with pytest.raises(ColumnError, match=r"no 'amount' but \['customer_id', 'spend'\]"):
        simulate_wallet(pd.DataFrame({"customer_id": [1], "spend": [1.0]}), seed=1)


def test_scores():
    scores = simulate_scores(50_000, seed=41, promoters=0.5, passives=0.3)
    assert scores.dtypes.astype(str).to_dict() == {"customer_id": "int64", "score": "int64"}
    assert scores["customer_id"].tolist() == list(range(1, 50_001))
    assert sorted(scores["score"].unique()) == list(range(11))
    assert close_to(scores["score"] >= 9, 0.5)
    assert close_to(scores["score"].between(7, 8), 0.3)
    pd.testing.assert_frame_equal(scores, simulate_scores(50_000, seed=41, promoters=0.5, passives=0.3))
    assert not scores.equals(simulate_scores(50_000, seed=42, promoters=0.5, passives=0.3))


@pytest.mark.parametrize(
    ("shares", "seen"),
    [
        ({"promoters": 1, "passives": 0}, {9, 10}),
        ({"promoters": 0, "passives": 1}, {7, 8}),
        ({"promoters": 0, "passives": 0}, set(range(7))),
        ({"promoters": 0.65, "passives": 0.35}, {7, 8, 9, 10}),
    ],
)
def test_scores_of_single_groups(shares, seen):
    assert set(simulate_scores(5000, seed=43, **shares)["score"]) == seen


@pytest.mark.parametrize(
    "ids",
    [
        ["b", "a", None, "b"],
        pd.Series(["b", "a", None, "b"], index=[3, 3, 1, 0]),
        np.array(["b", "a", None, "b"], dtype=object),
        (x for x in ["b", "a", None, "b"]),
    ],
)
def test_scores_for_given_ids(ids):
    scores = simulate_scores(ids, seed=1)
    assert scores["customer_id"].tolist() == ["b", "a"]
    assert scores.index.tolist() == [0, 1]


def test_scores_for_a_log():
    log = simulate(100, seed=1, guests=0.1)
    scores = simulate_scores(log["customer_id"], seed=1)
    assert set(scores["customer_id"]) == set(log["customer_id"].dropna())
    assert scores["customer_id"].dtype == log["customer_id"].dtype


@pytest.mark.parametrize(
    ("customers", "wrong", "message"),
    [
        (0, {}, "customers=0"),
        (2.5, {}, r"customers=2\.5"),
        ([], {}, "no id"),
        ([None], {}, "no id"),
        ("abc", {}, r"'str'.* for customers"),
        (None, {}, r"NoneType.* for customers"),
        (pd.DataFrame({"customer_id": [1]}), {}, r"DataFrame.* for customers"),
        (10, {"promoters": -0.1}, r"promoters=-0\.1"),
        (10, {"promoters": 0.7}, r"promoters=0\.7, passives=0\.35 exceed 1"),
        (10, {"seed": -3}, "seed=-3"),
    ],
)
def test_scores_refuse(customers, wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        simulate_scores(customers, **{"seed": 1, **wrong})
