import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import handmade
import loyalty as ly
import sources
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.summaries.summary import CustomerSummary
from loyalty.clv.valuation.value import CLVModel
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, InvalidRows, UnsupportedSource

NUMBERS = ["customers", "value", "share_of_value", "mean_value", "mean_p_alive", "expected_purchases"]


def models(name="ParetoNBD"):
    return CLVModel(purchases=handmade.purchases(name), spend=handmade.spend())


def naive(customers, labels, customer="customer_id", column="label"):
    """Return {group as text: numbers}, customer by customer; None is the group of nulls."""
    value = {row[customer]: row for row in sources.as_pandas(customers).to_dict("records")}
    found = {}
    for row in labels.to_dict("records"):
        mine = value.get(row[customer])
        if mine is not None:
            found.setdefault(sources.text(row[column]), []).append(mine)
    total = sum(row["clv"] for rows in found.values() for row in rows)
    return {
        group: {
            "customers": len(rows),
            "value": sum(row["clv"] for row in rows),
            "share_of_value": sum(row["clv"] for row in rows) / total,
            "mean_value": sum(row["clv"] for row in rows) / len(rows),
            "mean_p_alive": sum(row["p_alive"] for row in rows) / len(rows),
            "expected_purchases": sum(row["expected_purchases"] for row in rows),
        }
        for group, rows in found.items()
    }


def told(table):
    """Return {group as text: numbers}."""
    name = table.data.column_names[0]
    return {sources.text(row[name]): {key: row[key] for key in NUMBERS} for row in table}


@pytest.fixture(scope="module")
def log():
    return ly.datasets.cdnow_sample().head(1500)


# ------------------------------------------------------------------------------------------------------- by hand


def hand_made():
    """Nobody drops out, everybody spends 20: rates 4/20, 1/40 and 4/20 a week, ten weeks ahead."""
    spend = MeanSpend(mean=20.0, log_covariance=np.zeros((1, 1)), customers=10)
    frame = pd.DataFrame(
        {"id": ["a", "b", "c"], "frequency": [3, 0, 3], "recency": [8.0, 0.0, 9.0], "T": [10.0, 30.0, 10.0],
         "spend": 0.0}
    )  # fmt: skip
    fitted = CLVModel(purchases=handmade.purchases("NBD", r=1.0, alpha=10.0), spend=spend)
    return fitted.score(handmade.people(frame), horizon="70d", annual_discount_rate=0.0)


def test_three_customers_by_hand():
    labels = pd.DataFrame({"id": ["a", "b", "c"], "kind": ["old", "new", "old"]})
    table = hand_made().by(labels)
    assert table.data.to_pylist() == [
        pytest.approx({"kind": "old", "customers": 2, "value": 80.0, "share_of_value": 80 / 85, "mean_value": 40.0,
                       "mean_p_alive": 1.0, "expected_purchases": 4.0}),
        pytest.approx({"kind": "new", "customers": 1, "value": 5.0, "share_of_value": 5 / 85, "mean_value": 5.0,
                       "mean_p_alive": 1.0, "expected_purchases": 0.25}),
    ]  # fmt: skip
    assert table.note == ""
    assert str(table) == "2 groups by kind: old is worth most, 80.00, 94.1 % of the value from 66.7 % of customers."
    assert (table.name, table.chart) == ("customer value by kind", "value_by_group")


def test_equal_groups_are_in_order_of_their_names_and_nulls_come_last():
    labels = pd.DataFrame({"id": ["c", "a", "b"], "kind": ["x", "w", None]})
    assert hand_made().by(labels)["kind"] == ["w", "x", None]
    only = pd.DataFrame({"id": ["a", "b"], "kind": [None, "x"]})
    table = hand_made().by(only)
    assert table["kind"] == ["x", None]  # though the nulls are worth more
    nobody = hand_made().by(pd.DataFrame({"id": ["a"], "kind": [math.nan]}))
    assert nobody["kind"] == [None]
    assert str(nobody).startswith("1 group by kind: customers without a label are worth 40.00.")


def test_those_in_no_group_are_counted_and_so_are_labels_of_nobody():
    labels = pd.DataFrame({"id": ["a", "x", "y", None], "kind": ["k", "k", "m", "k"]})
    table = hand_made().by(labels)
    assert (table["kind"], table["customers"], table["share_of_value"]) == (["k"], [1], [1.0])
    assert table.note == "2 customers without a label, worth 45.00, left out; 2 labels of nobody here, left out"
    one = hand_made().by(pd.DataFrame({"id": ["a", "c"], "kind": ["k", "k"]}))
    assert one.note == "1 customer without a label, worth 5.00, left out"


# -------------------------------------------------------------------------------------------- against naive loops


def test_rfm_segments_agree_with_a_loop_over_customers(log):
    with ly.transactions(log) as tx:
        value = models().score(tx)
        labels = ly.rfm(tx).customers
        table = value.by(labels, "segment")
        expected = naive(value.customers, labels, column="segment")
        assert sources.same(told(table), expected)
        assert sum(table["customers"]) == tx.n_customers
        assert sum(table["value"]) == pytest.approx(value.total.value, rel=1e-9)
        assert table["value"] == sorted(table["value"], reverse=True)
        scores = value.by(labels, "r")  # whole numbers stay whole numbers
        assert sorted(scores["r"]) == sorted(labels["r"].unique())
        assert sources.same(told(scores), naive(value.customers, labels, column="r"))


@sources.every
def test_every_source_takes_its_own_kind_and_any_other(source, log, tmp_path):
    with ly.transactions(log) as tx:
        expected = told(models().score(tx).by(ly.rfm(tx).customers, "segment"))
    with sources.opened(source, log, tmp_path) as tx:
        value, labels = models().score(tx), ly.rfm(tx).customers
        assert sources.same(told(value.by(labels, column="segment")), expected)
        frame = sources.as_pandas(labels)[["customer_id", "segment"]]
        if source == "pandas-categorical":
            frame["customer_id"] = frame["customer_id"].astype(int)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        for other in (frame, table, pl.from_arrow(table), pl.from_arrow(table).lazy(), table.to_reader()):
            assert sources.same(told(value.by(other)), expected), type(other)


def test_files_of_labels(log, tmp_path):
    with ly.transactions(log) as tx:
        value, labels = models().score(tx), ly.rfm(tx).customers[["customer_id", "segment"]]
        expected = told(value.by(labels))
        labels.to_parquet(tmp_path / "labels.parquet")
        assert sources.same(told(value.by(tmp_path / "labels.parquet")), expected)
    text = log.assign(customer_id=log["customer_id"].astype(str))
    text.to_csv(tmp_path / "log.csv", index=False)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    with ly.transactions(tmp_path / "log.csv") as tx:
        assert sources.same(told(models().score(tx).by(tmp_path / "labels.csv")), expected)


@pytest.mark.parametrize(
    "kind", [["a", "b"], [1, 2], [1.5, math.nan], [True, False], pd.to_datetime(["2024-01-01", "2024-02-01"])]
)
def test_labels_of_any_type(kind, log):
    with ly.transactions(log) as tx:
        value = models().score(tx)
        people = sorted(log["customer_id"].unique())
        labels = pd.DataFrame({"customer_id": people, "label": [kind[one % 2] for one in people]})
        table = value.by(labels)
        assert sources.same(told(table), naive(value.customers, labels))
        labels["label"] = labels["label"].astype("category")
        assert sources.same(told(value.by(labels)), told(table))


# --------------------------------------------------------------------------------------------------------- edges


def test_service_costs_may_leave_no_shares():
    value = models().score(handmade.people(), service_cost=10_000.0)
    table = value.by(pd.DataFrame({"id": ["new", "busy"], "kind": ["a", "b"]}))
    assert all(math.isnan(share) for share in table["share_of_value"])
    assert table["value"][0] < 0.0
    assert "there are no shares of it" in table.note
    assert "of the value" not in str(table).split(" Note:")[0]


def test_no_horizon_leaves_no_expected_purchases():
    value = models().score(handmade.people(), horizon=None)
    table = value.by(pd.DataFrame({"id": ["new", "busy"], "kind": ["a", "b"]}))
    assert all(math.isnan(number) for number in table["expected_purchases"])
    assert "there is no horizon" in table.note
    assert table.to_dict()["rows"][0]["expected_purchases"] is None


def test_weights_count():
    frame = handmade.PEOPLE.assign(weight=np.arange(1.0, 9.0) / 2)
    value = models().score(handmade.people(frame, weight="weight"))
    labels = pd.DataFrame({"id": frame["id"], "kind": ["a", "b"] * 4})
    people = value.customers.set_index("id")
    for row in value.by(labels):
        mine = people.loc[labels.loc[labels["kind"] == row["kind"], "id"]]
        assert row["customers"] == mine["weight"].sum()
        assert row["value"] == pytest.approx((mine["weight"] * mine["clv"]).sum())
        assert row["mean_p_alive"] == pytest.approx(np.average(mine["p_alive"], weights=mine["weight"]))
    assert value.by(labels).note == ""
    assert "0.50 customers without a label" in value.by(labels.iloc[1:]).note


def test_a_column_may_bear_any_name():
    labels = pd.DataFrame({"id": ["a", "b"], "value": ["k", "l"], 5: ["m", "m"]})
    assert hand_made().by(labels, "value").data.column_names == ["value_group", *NUMBERS]
    assert hand_made().by(labels, 5)["5"] == ["m"]
    renamed = labels.rename(columns={"id": "who"})[["who", "value"]]
    assert hand_made().by(renamed, customer="who")["value_group"] == ["k", "l"]


@pytest.mark.parametrize(
    ("labels", "arguments", "error", "words"),
    [
        ({"id": ["a"], "k": ["x"], "m": ["y"]}, {}, InvalidArgument, r"2 columns besides the customers \('k', 'm'\)"),
        ({"id": ["a"]}, {}, InvalidArgument, r"0 columns besides the customers \(none\)"),
        ({"id": ["a"], "k": ["x"]}, {"column": "kind"}, ColumnError, "column='kind': there is no such column"),
        ({"who": ["a"], "k": ["x"]}, {}, ColumnError, "customer='id': there is no such column"),
        ({"id": ["a", "a"], "k": ["x", "x"]}, {}, InvalidRows, "1 customers have several rows in the table of labels"),
        ({"id": ["x", "y"], "k": ["x", "x"]}, {}, ColumnError, "not one of the 2 ids in column 'id'"),
        ({"id": [None], "k": ["x"]}, {}, EmptyData, "holds no customer"),
        ({"id": [1, 2], "k": ["x", "x"]}, {}, ColumnError, "none would match"),
    ],
)
def test_what_cannot_serve_is_refused(labels, arguments, error, words):
    with pytest.raises(error, match=words):
        hand_made().by(pd.DataFrame(labels), **arguments)


def test_too_many_groups_are_refused():
    many = pd.DataFrame({"id": np.arange(10_001), "frequency": 0, "recency": 0.0, "T": 5.0, "spend": 0.0})
    value = models().score(handmade.people(many))
    with pytest.raises(InvalidArgument, match="10,001 groups, more than the 10,000"):
        value.by(pd.DataFrame({"id": many["id"], "kind": many["id"]}))


def test_nobody_can_be_grouped_where_nobody_has_a_name():
    frame = handmade.PEOPLE.drop(columns="id")
    value = models().score(CustomerSummary.of(frame, unit="week", monetary_value="spend"))
    with pytest.raises(InvalidArgument, match="labels= is a table of customers, but this summary does not say who"):
        value.by(pd.DataFrame({"id": ["a"], "kind": ["x"]}), customer="id")


def test_groups_that_cost_more_than_they_bring_are_said():
    value = models().score(handmade.people(), service_cost=40.0)
    labels = pd.DataFrame({"id": handmade.PEOPLE["id"], "kind": handmade.PEOPLE["id"]})
    table = value.by(labels)
    below = sum(one < 0.0 for one in table["value"])
    assert below
    assert max(table["share_of_value"]) < 1.0 or sum(table["share_of_value"]) == pytest.approx(1.0)
    have = "1 group has" if below == 1 else f"{below} groups have"
    assert f"{have} a negative value: they cost more than they bring" in table.note
    assert "negative" not in models().score(handmade.people()).by(labels).note


def test_customers_who_are_alive_for_ever_are_said():
    labels = pd.DataFrame({"id": handmade.PEOPLE["id"], "kind": "a"})
    assert "alive for certain" in models("BGNBD").score(handmade.people()).by(labels).note
    assert models("ParetoNBD").score(handmade.people()).by(labels).note == ""


def test_a_summary_without_names_is_told_first():
    frame = handmade.PEOPLE.drop(columns="id")
    value = models().score(CustomerSummary.of(frame, unit="week", monetary_value="spend"))
    with pytest.raises(InvalidArgument, match="does not say who is who: pass customer=<column>"):
        value.by(pd.DataFrame({"id": ["a"], "kind": ["x"]}))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "labels= is a NoneType, not a table: pass a table with a row per customer"),
        ({"a": 1}, "labels= is a dict, not a table"),
        (pd.Series({"a": "x"}, name="kind"), r"labels= is a Series.*reset_index\(\)"),
    ],
)
def test_what_is_no_table_is_called_labels(labels, words):
    with pytest.raises(UnsupportedSource, match=words):
        hand_made().by(labels)


def test_segments_have_their_customers_named(log):
    with ly.transactions(log) as tx, pytest.raises(UnsupportedSource, match=r"labels=<it>.customers"):
        models().score(tx).by(ly.rfm(tx), "segment")


def test_the_group_of_nulls_has_a_name_in_html():
    table = hand_made().by(pd.DataFrame({"id": ["a", "b"], "kind": ["x", None]}))
    assert "<td>(none)</td>" in table._repr_html_()
    years = hand_made().by(pd.DataFrame({"id": ["a", "b"], "year": [2024, 2025]}))
    assert "<td>2024</td>" in years._repr_html_()
