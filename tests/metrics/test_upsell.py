import math

import numpy as np
import pandas as pd
import pytest

import loyalty as ly
from loyalty.errors import ClosedError, ColumnError, InvalidArgument, MissingData
from loyalty.metrics import upsell
from loyalty.metrics.upsell import upsell_ratio


def log(rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "kind", "amount", "date"])
    return frame.assign(date=pd.to_datetime(frame["date"]))


def opened(rows, **options):
    return ly.transactions(log(rows), product="kind", **options)


GOLDEN = [
    # several types: 1 (on one day), 2 (on two days)
    (1, "tea", 5.0, "2024-01-05"),
    (1, "cup", 5.0, "2024-01-05"),
    (2, "tea", 5.0, "2024-01-05"),
    (2, "pot", 5.0, "2024-02-05"),
    # one type: 3 (often), 4 (beside a row that tells nothing), 5 (free of charge)
    (3, "tea", 5.0, "2024-01-06"),
    (3, "tea", 7.0, "2024-01-06"),
    (3, "tea", 5.0, "2024-02-06"),
    (4, "cup", 5.0, "2024-01-07"),
    (4, None, 5.0, "2024-02-07"),
    (5, "tea", 0.0, "2024-02-07"),
    # never known: 6 (null), 7 (blank)
    (6, None, 5.0, "2024-01-08"),
    (7, " ", 5.0, "2024-02-08"),
    # a guest
    (None, "tea", 5.0, "2024-01-09"),
]


def test_by_hand():
    with opened(GOLDEN) as tx:
        ratio = upsell_ratio(tx)
    assert (ratio.numerator, ratio.denominator, ratio.n, ratio.excluded) == (2, 3, 5, 2)
    assert ratio.value == pytest.approx(2 / 3, rel=1e-15)
    assert ratio.unit == "ratio"
    assert "no product is known of them: 2" in ratio.note
    assert str(ratio).startswith("Upsell ratio: 0.667 (95 % interval ")


@pytest.mark.parametrize("most", [0, 2, 3])  # three product types: compared as texts, as texts, and as numbers
def test_many_product_types_count_as_few(monkeypatch, most):
    monkeypatch.setattr(upsell, "_MOST_NUMBERED", most)
    with opened(GOLDEN) as tx:
        ratio = upsell_ratio(tx)
    assert (ratio.numerator, ratio.denominator, ratio.n, ratio.excluded) == (2, 3, 5, 2)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_limits_are_the_roots_of_wilsons_equation_mapped(confidence):
    from scipy.stats import norm

    with opened(GOLDEN) as tx:
        ratio = upsell_ratio(tx, confidence=confidence)
    z = norm.ppf((1 + confidence) / 2)
    for limit in (ratio.low, ratio.high):
        share = limit / (1 + limit)
        assert (2 / 5 - share) ** 2 == pytest.approx(z * z * share * (1 - share) / 5, rel=1e-9)
    assert ratio.low < ratio.value < ratio.high


def test_other_intervals_map_too():
    with opened(GOLDEN) as tx:
        wald = upsell_ratio(tx, method="wald", confidence=0.5)
    half = 0.6744897501960817 * math.sqrt(0.4 * 0.6 / 5)
    assert wald.low == pytest.approx((0.4 - half) / (0.6 + half), rel=1e-12)
    assert wald.high == pytest.approx((0.4 + half) / (0.6 - half), rel=1e-12)
    assert wald.method == "wald"


def test_infinite_where_nobody_bought_exactly_one():
    with opened(GOLDEN[:4]) as tx:
        ratio = upsell_ratio(tx)
    assert ratio.value == math.inf
    assert ratio.high == math.inf
    assert 0 < ratio.low < math.inf
    assert (ratio.numerator, ratio.denominator) == (2, 0)
    assert "nobody bought exactly one product type" in ratio.note
    assert ratio.to_dict()["value"] is None


def test_zero_where_nobody_bought_more():
    with opened(GOLDEN[4:7]) as tx:
        ratio = upsell_ratio(tx)
    assert (ratio.value, ratio.low, ratio.n) == (0.0, 0.0, 1)
    assert ratio.note == ""


def test_undefined_where_no_product_is_known():
    with opened(GOLDEN[10:12]) as tx:
        ratio = upsell_ratio(tx)
    assert all(math.isnan(value) for value in (ratio.value, ratio.low, ratio.high))
    assert (ratio.n, ratio.excluded) == (0, 2)
    assert "no product is known of any customer" in ratio.note


def test_returns_and_rows_outside_the_window_are_no_purchases():
    rows = [
        (1, "tea", 5.0, "2024-01-05"),
        (1, "cup", -1.0, "2024-01-06"),  # a return tells of no purchase
        (2, "tea", 5.0, "2024-01-05"),
        (2, "cup", 5.0, "2024-01-06"),
        (2, "cup", -5.0, "2024-01-07"),  # bought all the same
        (3, "pot", 5.0, "2023-12-31"),  # before the window
        (3, "tea", 5.0, "2024-01-05"),
        (4, "tea", 5.0, "2024-01-05"),
        (4, "cup", 5.0, "2024-02-01"),  # after it
        (5, "tea", 5.0, "2023-12-31"),  # no purchase inside: no customer of the window
        (5, "cup", 5.0, "2023-12-31"),
    ]
    with opened(rows, observed_from="2024-01-01", observed_until="2024-01-31") as tx:
        ratio = upsell_ratio(tx)
    assert (ratio.numerator, ratio.denominator, ratio.excluded) == (1, 3, 0)


def naive(frame):
    """Count product types customer by customer."""
    several = one = unknown = 0
    for _, rows in frame[frame["amount"] >= 0].dropna(subset=["customer_id"]).groupby("customer_id"):
        kinds = {kind for kind in rows["kind"] if isinstance(kind, str)}
        several += len(kinds) > 1
        one += len(kinds) == 1
        unknown += not kinds
    return several, one, unknown


def random_log(seed, n=400):
    rng = np.random.default_rng(seed)
    kinds = np.array(["tea", "cup", "pot", None], dtype=object)
    frame = pd.DataFrame(
        {
            "customer_id": rng.integers(1, 120, n).astype(float),
            "kind": kinds[rng.choice(4, n, p=[0.5, 0.1, 0.1, 0.3])],
            "amount": rng.choice([0.0, 5.0, 7.5, -3.0], n, p=[0.1, 0.4, 0.4, 0.1]),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), unit="D"),
            "town": rng.choice(np.array(["Rome", "Oslo", None], dtype=object), n),
        }
    )
    frame.loc[rng.random(n) < 0.05, "customer_id"] = np.nan
    return frame


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_against_a_loop(seed, kind):
    frame = random_log(seed)
    if kind == "pandas":
        data = frame
    else:
        import polars as pl
        import pyarrow as pa

        data = pl.from_pandas(frame) if kind == "polars" else pa.Table.from_pandas(frame)
    several, one, unknown = naive(frame)
    assert unknown, "the data must try what is to be tested"
    with ly.transactions(data, product="kind") as tx:
        ratio = upsell_ratio(tx)
    assert (ratio.numerator, ratio.denominator, ratio.excluded) == (several, one, unknown)


@pytest.mark.parametrize("grouped", [{"by": "town"}, {"cohort": "month"}])
def test_groups_add_up(grouped):
    with ly.transactions(random_log(7), product="kind") as tx:
        whole, groups = upsell_ratio(tx), upsell_ratio(tx, **grouped)
    assert len(groups) == 3
    for name in ("n", "numerator", "denominator", "excluded"):
        assert sum(getattr(group, name) for group in groups.values()) == getattr(whole, name)


def test_group_is_the_value_at_the_first_purchase():
    frame = log(
        [
            (1, "tea", 5.0, "2024-01-05"),
            (1, "cup", 5.0, "2024-03-05"),
            (2, "tea", 5.0, "2024-02-05"),
            (3, "cup", 5.0, "2024-02-06"),
            (3, "tea", 5.0, "2024-02-07"),
        ]
    )
    frame["town"] = ["Rome", "Oslo", "Oslo", "Oslo", "Rome"]
    with ly.transactions(frame, product="kind") as tx:
        towns = upsell_ratio(tx, by="town")
        months = upsell_ratio(tx, cohort="month")
    assert {town: (ratio.numerator, ratio.denominator) for town, ratio in towns.items()} == {
        "Oslo": (1, 1),
        "Rome": (1, 0),
    }
    assert list(months) == ["2024-01", "2024-02"]
    assert months["2024-02"].value == 1.0


def test_order_of_rows_is_nothing():
    frame = random_log(3)
    shuffled = frame.sample(frac=1, random_state=1)
    with ly.transactions(frame, product="kind") as tx, ly.transactions(shuffled, product="kind") as other:
        assert upsell_ratio(tx) == upsell_ratio(other)


def test_product_types_of_numbers():
    frame = log(GOLDEN[:10]).assign(kind=[1, 2, 1, 3, 1, 1, 1, 2, np.nan, 1])
    with ly.transactions(frame, product="kind") as tx:
        ratio = upsell_ratio(tx)
    assert (ratio.numerator, ratio.denominator) == (2, 3)


def test_types_are_counted_once(monkeypatch):
    with opened(GOLDEN) as tx:
        first = upsell_ratio(tx)
        monkeypatch.setattr(upsell, "_product_types", lambda _: pytest.fail("counted again"))
        assert upsell_ratio(tx, confidence=0.8).value == first.value
        assert upsell_ratio(tx, cohort="year")["2024"].value == first.value


def test_needs_products():
    with ly.transactions(log(GOLDEN)) as tx, pytest.raises(MissingData, match="product="):
        upsell_ratio(tx)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"confidence": 1.0}, InvalidArgument, "strictly between 0 and 1"),
        ({"method": "delta"}, InvalidArgument, "wilson"),
        ({"by": "towns"}, ColumnError, "no such column"),
        ({"cohort": "fortnight"}, InvalidArgument, "month"),
        ({"by": "kind", "cohort": "month"}, InvalidArgument, "not both"),
    ],
)
def test_wrong_arguments(options, error, words):
    with opened(GOLDEN) as tx, pytest.raises(error, match=words):
        upsell_ratio(tx, **options)


def test_closed():
    tx = opened(GOLDEN)
    tx.close()
    with pytest.raises(ClosedError):
        upsell_ratio(tx)
