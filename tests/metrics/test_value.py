import decimal
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

import logs
import loyalty as ly
import sources
from loyalty.errors import ClosedError, ColumnError, InvalidArgument, InvalidRows

NAMES = ["purchases", "spend", "contribution", "service_cost", "acquisition_cost", "value"]

ROWS = [
    # customer, date, amount, margin, support, campaign
    (1, "2024-01-01", 60.0, 0.5, 1.0, 4.0),
    (1, "2024-01-01", 40.0, 0.25, None, 9.0),
    (1, "2024-01-09", -20.0, 0.9, 7.0, 9.0),  # reduces the purchase of the 1st, at that purchase's margin of 0.4
    (1, "2024-02-01", 10.0, 1.0, 2.0, 9.0),
    (2, "2024-01-05", 50.0, 0.2, None, None),
    (None, "2024-01-05", 50.0, 0.2, 1.0, 1.0),
]


def opened(rows=ROWS, **options):
    return logs.opened(rows, "margin", "support", "campaign", **options)


def customers(value):
    return {line.pop("customer_id"): line for line in value.customers.to_dict("records")}


@pytest.mark.parametrize(
    ("arguments", "contribution", "service", "acquisition"),
    [
        ({}, {1: 90.0, 2: 50.0}, {1: 0, 2: 0}, {1: 0, 2: 0}),
        ({"margin": 0.3}, {1: 27.0, 2: 15.0}, {1: 0, 2: 0}, {1: 0, 2: 0}),
        ({"margin": "margin"}, {1: 80 * 0.4 + 10, 2: 10.0}, {1: 0, 2: 0}, {1: 0, 2: 0}),
        ({"service_cost": 1.5}, {1: 90.0, 2: 50.0}, {1: 3.0, 2: 1.5}, {1: 0, 2: 0}),
        ({"service_cost": "support"}, {1: 90.0, 2: 50.0}, {1: 3.0, 2: 0.0}, {1: 0, 2: 0}),
        ({"acquisition_cost": 5}, {1: 90.0, 2: 50.0}, {1: 0, 2: 0}, {1: 5.0, 2: 5.0}),
        # of the rows of a first purchase that bear no time, that of the largest amount tells
        ({"acquisition_cost": "campaign"}, {1: 90.0, 2: 50.0}, {1: 0, 2: 0}, {1: 4.0, 2: 0.0}),
        (
            {"margin": "margin", "service_cost": "support", "acquisition_cost": 2.0},
            {1: 42.0, 2: 10.0}, {1: 3.0, 2: 0.0}, {1: 2.0, 2: 2.0},
        ),
    ],
)  # fmt: skip
def test_by_hand(arguments, contribution, service, acquisition):
    with opened() as tx:
        found = ly.historical_value(tx, **arguments)
        each = customers(found)
    for customer, line in each.items():
        expected = [contribution[customer], service[customer], acquisition[customer]]
        assert [line[name] for name in NAMES[2:5]] == pytest.approx(expected)
        assert line["value"] == pytest.approx(expected[0] - expected[1] - expected[2])
        assert (line["purchases"], line["spend"]) == {1: (2, 90.0), 2: (1, 50.0)}[customer]
    total = sum(line["value"] for line in each.values())
    assert (found.total.value, found.mean.value) == (pytest.approx(total), pytest.approx(total / 2))
    assert found.contribution.value == pytest.approx(sum(contribution.values()) / 2)
    assert found.mean.n == 2


def test_cost_named_at_the_door_makes_the_margin():
    rows = [(1, "2024-01-01", 10.0, 4.0), (1, "2024-01-02", -5.0, -2.0), (2, "2024-01-05", 8.0, 9.0)]
    with logs.opened(rows, "paid", cost="paid") as tx:
        found = ly.historical_value(tx)
        assert customers(found)[1]["contribution"] == 3.0
        assert customers(found)[2]["value"] == -1.0
        assert ly.historical_value(tx, margin=1.0).total.value == 13.0  # a margin that is given goes before


def test_most_valuable_first_and_nobody_missing():
    with opened() as tx:
        frame = ly.historical_value(tx, acquisition_cost=70).customers
    assert frame["customer_id"].tolist() == [1, 2]
    assert frame.columns.tolist() == ["customer_id", *NAMES]
    assert frame["value"].tolist() == [20.0, -20.0]


def test_customers_acquired_before_the_window_are_not_charged_for_it():
    rows = [(1, "2023-12-01", 50.0, 1.0, 1.0, 30.0), (1, "2024-01-05", 10.0, 1.0, 1.0, 7.0),
            (2, "2024-01-05", 10.0, 1.0, 1.0, 6.0)]  # fmt: skip
    with opened(rows, observed_from="2024-01-01") as tx:
        for cost, charged in ((5.0, 5.0), ("campaign", 6.0)):
            each = customers(ly.historical_value(tx, acquisition_cost=cost, service_cost="support"))
            assert each[1]["acquisition_cost"] == 0.0
            assert each[2]["acquisition_cost"] == charged
            assert each[1]["spend"] == 10.0
            assert each[1]["service_cost"] == 1.0


def test_a_return_of_a_free_purchase_costs_its_plain_margin():
    rows = [(1, "2024-01-01", 0.0, 0.2, 0, 0), (1, "2024-01-01", 0.0, 0.4, 0, 0), (1, "2024-01-03", -10.0, 1.0, 0, 0)]
    with opened(rows) as tx:
        assert customers(ly.historical_value(tx, margin="margin"))[1]["contribution"] == pytest.approx(-3.0)


def test_orders_and_rows_without_an_order():
    rows = [(1, "2024-01-01", 10.0, "x", 0.1), (1, "2024-01-01", 30.0, "y", 0.5), (1, "2024-01-01", 20.0, None, 1.0),
            (1, "2024-01-03", -4.0, "x", 0.9), (1, "2024-01-04", 8.0, None, 0.25)]  # fmt: skip
    with logs.opened(rows, "order", "margin", order="order", occasion="order") as tx:
        line = customers(ly.historical_value(tx, margin="margin"))[1]
    assert line["contribution"] == pytest.approx(6 * 0.1 + 30 * 0.5 + 20 * 1.0 + 8 * 0.25)
    assert line["purchases"] == 4


@logs.every
def test_against_counting_by_hand(seed):
    case = logs.case(seed)
    sold, earned, support, n, cost = {}, {}, {}, {}, {}
    for row in case.naive.sales:
        key = case.naive.key(row)
        if key in case.naive.purchases:
            sold.setdefault(key, []).append((row["amount"], row["margin"]))
    for key, one in case.naive.purchases.items():
        whole = sum(amount for amount, _ in sold[key])
        margins = [margin for _, margin in sold[key]]
        share = sum(a * m for a, m in sold[key]) / whole if whole else sum(margins) / len(margins)
        earned[one.customer] = earned.get(one.customer, 0.0) + share * one.sums["amount"]
        n[one.customer] = n.get(one.customer, 0) + 1
        cost[one.customer] = cost.get(one.customer, 0.0) + one.sums["cost"]
    for row in case.naive.sales:
        if case.naive.key(row) in case.naive.purchases:
            support[row["customer"]] = support.get(row["customer"], 0.0) + row["discount"]
    new = {customer: case.debut[customer] >= case.first for customer in n}
    with case.opened() as tx:
        plain = ly.historical_value(tx, service_cost=0.5, acquisition_cost=3, confidence=0.9)
        named = ly.historical_value(tx, "margin", service_cost="discount")
        each = sources.rows(named.customers)
    for customer in n:
        line = each[str(customer)]
        assert logs.close((line["contribution"],), (earned[customer],))
        assert logs.close((line["service_cost"],), (support[customer],))
        assert logs.close((line["value"],), (earned[customer] - support[customer],))
    assert len(each) == len(n)
    spend = {customer: sum(spend for _, spend in mine) for customer, mine in case.bought.items()}
    values = [spend[one] - cost[one] - 0.5 * n[one] - 3 * new[one] for one in n]
    expected = logs.ratio([(value, 1) for value in values], 0.9)
    assert logs.close(logs.limits(plain.mean), expected, 1e-7)
    assert logs.close(logs.limits(plain.total), tuple(len(n) * part for part in expected), 1e-7)
    assert logs.close((named.mean.value,), (sum(earned[one] - support[one] for one in n) / len(n),))
    assert math.isnan(plain.mean.low) == (len(n) < 2) == bool(plain.mean.note)


def test_the_interval_is_that_of_customers_drawn_again():
    frame = ly.datasets.cdnow_sample()
    with ly.transactions(frame) as tx:
        found = ly.historical_value(tx, 0.4, acquisition_cost=8.0)
    values = frame.groupby("customer_id")["amount"].sum().to_numpy() * 0.4 - 8.0
    low, high = logs.bootstrap(lambda drawn: values[drawn].mean(), len(values))
    assert found.mean.value == pytest.approx(values.mean(), rel=1e-9)
    assert found.mean.high - found.mean.low == pytest.approx(high - low, rel=0.1)
    assert found.total.low == pytest.approx(found.mean.low * len(values), rel=1e-12)


@sources.every
def test_customers_come_back_as_the_source_does(source, tmp_path):
    frame = pd.DataFrame({"customer_id": ["b", "a", "b"], "amount": [5.0, 30.0, 2.0], "share": [0.5, 0.1, 0.5],
                          "date": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-02-03"])})  # fmt: skip
    with sources.opened(source, frame, tmp_path) as tx:
        found = ly.historical_value(tx, "share", service_cost=0.25)
        back = found.customers
        assert sources.rows(back) == {
            "a": {"purchases": 1, "spend": 30.0, "contribution": 3.0, "service_cost": 0.25, "acquisition_cost": 0.0,
                  "value": 2.75},
            "b": {"purchases": 2, "spend": 7.0, "contribution": 3.5, "service_cost": 0.5, "acquisition_cost": 0.0,
                  "value": 3.0},
        }  # fmt: skip
        kinds = {"polars": pl.DataFrame, "polars-lazy": pl.LazyFrame, "pandas": pd.DataFrame}
        assert isinstance(back, kinds.get(source, object))
        assert list(sources.as_pandas(back)["customer_id"]) == ["b", "a"]
        assert found.mean.value == 2.875


def test_numbers_of_every_kind():
    with opened() as tx:
        half = ly.historical_value(tx, 0.5).total
        for number in (np.float64(0.5), np.float32(0.5)):
            assert ly.historical_value(tx, number).total == half
        assert ly.historical_value(tx, np.int64(1), acquisition_cost=np.int32(3)).total.value == 134.0
        assert ly.historical_value(tx, -0.5).total.value == -70.0  # sold at a loss


def test_columns_of_numbers_of_every_kind():
    dates = pd.to_datetime(["2024-01-01", "2024-01-02"])
    frame = pd.DataFrame({"customer_id": [1, 2], "date": dates, "amount": [10, 20], "whole": [1, 0],
                          "small": np.array([1, 0], "float32"), "exact": [decimal.Decimal(1), decimal.Decimal(0)],
                          "masked": pd.array([1, 0], "Int8")})  # fmt: skip
    with ly.transactions(frame) as tx:
        for name in ("whole", "small", "exact", "masked"):
            assert ly.historical_value(tx, name, service_cost=name).total.value == 9.0, name
            assert ly.historical_value(tx, acquisition_cost=name).total.value == 29.0, name


def test_columns_with_odd_names():
    frame = logs.log([(1, "2024-01-01", 10.0, 0.5)], 'Marge; drop table "x" --')
    with ly.transactions(frame) as tx:
        assert ly.historical_value(tx, frame.columns[-1]).total.value == 5.0


@pytest.fixture(scope="module")
def odd():
    frame = logs.log(
        [(1, "2024-01-01", 10.0), (1, "2024-02-01", 20.0), (2, "2024-01-05", 5.0), (2, "2024-01-09", -2.0)],
        void=[0.5, None, 0.5, 0.5], endless=[1, math.inf, 1, 1], first_endless=[math.inf, 1, 1, 1],
        text=["a", "b", "c", "d"], flag=[True, False, True, True], day=pd.Timestamp("2024-01-01"),
        returned=[0.5, 0.5, 0.5, math.inf], none=[None] * 4,
    )  # fmt: skip
    with ly.transactions(frame) as tx:
        yield tx


ROLES = ["margin", "service_cost", "acquisition_cost"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("value", ["text", "flag", "day", "none"])
def test_a_column_that_holds_no_numbers(odd, role, value):
    with pytest.raises(ColumnError, match=f"{role}='{value}' is not a column of numbers"):
        ly.historical_value(odd, **{role: value})


@pytest.mark.parametrize("role", ROLES)
def test_a_column_that_is_not_there(odd, role):
    with pytest.raises(ColumnError, match=f"{role}='voids'.*Did you mean 'void'"):
        ly.historical_value(odd, **{role: "voids"})
    with pytest.raises(ColumnError, match=f"{role}=True: there is no such column"):
        ly.historical_value(odd, **{role: 1.0} | {role: True})


@pytest.mark.parametrize("role", ROLES)
def test_a_number_that_is_none(odd, role):
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidArgument, match=f"{role}={value!r} is not a finite number"):
            ly.historical_value(odd, **{role: value})


@pytest.mark.parametrize("role", ROLES[1:])
def test_a_cost_is_not_negative(odd, role):
    with pytest.raises(InvalidArgument, match=f"{role}=-1"):
        ly.historical_value(odd, **{role: -1})


@pytest.mark.parametrize(("role", "value"), [("margin", "void"), ("margin", "endless"), ("service_cost", "endless"),
                                             ("acquisition_cost", "first_endless")])  # fmt: skip
def test_rows_that_hold_no_usable_number(odd, role, value):
    with pytest.raises(InvalidRows, match=f"{role}='{value}' holds no finite number .*: 1\\.") as caught:
        ly.historical_value(odd, **{role: value})
    assert (caught.value.column, caught.value.count) == (value, 1)


def test_rows_that_are_not_read_may_hold_anything(odd):
    assert ly.historical_value(odd, "returned").total.value == 16.5  # the margin of a return is that of its purchase
    assert ly.historical_value(odd, acquisition_cost="endless").total.value == 31.0  # read at the first purchase


def test_no_cost_is_none(odd):
    assert ly.historical_value(odd, service_cost="void", acquisition_cost="void").total.value == 33 - 1.0 - 1.0


def test_a_refusal_leaves_nothing_behind(odd):
    for _ in range(2):
        with pytest.raises(InvalidRows):
            ly.historical_value(odd, "void")
    assert ly.historical_value(odd, 0.5).total.value == 16.5


def test_text_in_files_may_be_numbers(tmp_path):
    frame = logs.log([(1, "2024-01-01", 10.0, "0.5", "x"), (2, "2024-01-01", 10.0, "0.25", "1")], "share", "cost")
    frame.to_csv(tmp_path / "log.csv", index=False)
    with ly.transactions(tmp_path / "log.csv") as tx:
        assert ly.historical_value(tx, "share").total.value == 7.5
        with pytest.raises(ColumnError, match="service_cost='cost' is not a column of numbers"):
            ly.historical_value(tx, service_cost="cost")


def test_groups_sum_to_the_whole():
    case = logs.case(6)
    with case.opened() as tx:
        whole = ly.historical_value(tx, 0.5, acquisition_cost=2.0)
        for split in ({"by": "kind"}, {"cohort": "quarter"}):
            parts = ly.historical_value(tx, 0.5, acquisition_cost=2.0, **split)
            assert len(parts) > 1
            assert sum(part.total.value for part in parts.values()) == pytest.approx(whole.total.value, rel=1e-9)
            assert sum(part.mean.n for part in parts.values()) == whole.mean.n


def test_the_customers_live_as_long_as_the_transactions():
    with opened() as tx:
        found = ly.historical_value(tx)
    assert found.total.value == 140.0
    with pytest.raises(ClosedError):
        _ = found.customers


def test_sentences():
    with opened() as tx:
        lines = str(ly.historical_value(tx)).splitlines()
    assert lines[0].startswith("Historical value per customer: 70.00 (95 % interval ")
    assert lines[1].startswith("Historical value: 140.00 (95 % interval ")
    assert lines[2].startswith("Contribution per customer: 70.00 (95 % interval ")
