import datetime as dt
import json
import math

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import logs
import loyalty as ly
import sources
from loyalty import grouping
from loyalty.errors import ColumnError, InvalidArgument

METRICS = {
    "repurchase_rate": ly.repurchase_rate,
    "repurchase_rate within": lambda tx, **more: ly.repurchase_rate(tx, "30d", **more),
    "retention": ly.retention,
    "retention_rate": ly.retention_rate,
    "retention_rate by week": lambda tx, **more: ly.retention_rate(tx, "week", method="bootstrap", **more),
    "churn_rate": ly.churn_rate,
    "churn_rate by silence": lambda tx, **more: ly.churn_rate(tx, inactive_after="60d", **more),
    "revenue_retention": lambda tx, **more: ly.revenue_retention(tx, "quarter", **more),
    "spending": ly.spending,
    "purchase_gaps": ly.purchase_gaps,
    "tenure": lambda tx, **more: ly.tenure(tx, inactive_after="60d", **more),
    "historical_value": lambda tx, **more: ly.historical_value(tx, "margin", acquisition_cost=2, **more),
}
every_metric = pytest.mark.parametrize("metric", METRICS)

ROWS = [
    # customer, date, amount, shop
    (1, "2024-01-05", 10.0, "x"),
    (1, "2024-02-09", 10.0, "y"),
    (2, "2024-01-09", 10.0, "y"),
    (3, "2024-02-10", 10.0, None),
    (3, "2024-02-11", 10.0, "x"),
]


def revenue_retention_rate(tx, *args, **options):
    """Return the pooled rates of `revenue_retention`, or a dict of them by group."""
    found = ly.revenue_retention(tx, *args, **options)
    if isinstance(found, ly.Grouped):
        return {group: {"net": one.net, "gross": one.gross} for group, one in found.items()}
    return {"net": found.net, "gross": found.gross}


def counted(rows=ROWS, name="shop", by="shop", **options):
    """Return group → number of customers."""
    with logs.opened(rows, name, **options) as tx:
        return dict(grouping.measure(tx, tx.customers, [nw.len().alias("n")], lambda found: found[0]["n"], by=by))


def group_of(case, by, cohort):
    """Return each customer's group (history included): the value at the first purchase, or the name of its period."""
    if cohort:
        return {one: logs.label(logs.start_of(case.debut[one], cohort), cohort) for one in case.debut}
    found = {}
    for customer in case.debut:
        first = (case.debut[customer] - logs.EPOCH).days
        rows = [row for row in case.naive.sales if row["customer"] == customer and row["day"] == first]
        # Earliest time, then largest amount, then smallest value, null being smallest.
        best = min(rows, key=lambda row: (row["hour"], -row["amount"], row[by] is not None, row[by] or ""))
        found[customer] = best[by]
    return found


def alone(case, members):
    """Open the log of a group's customers in the same window."""
    rows = [row for row in case.rows if row["customer"] in members]
    return case.opened(rows, observed_from=case.first, observed_until=case.last)


@pytest.mark.parametrize(
    ("seed", "by", "cohort"),
    [(2, "kind", None), (6, "kind", None), (12, "kind", None), (5, None, "quarter"), (6, None, "year")],
)
def test_a_group_is_what_its_customers_alone_would_be(seed, by, cohort):
    case = logs.case(seed)
    groups = group_of(case, by, cohort)
    with case.opened() as tx:
        found = {name: metric(tx, by=by, cohort=cohort) for name, metric in METRICS.items()}
    inside = {groups[one] for one in case.bought}
    for name, results in found.items():
        # Customers who bought only before the window may be lost in it, and else are not there.
        assert set(results) == (set(groups.values()) if name == "churn_rate by silence" else inside), name
        assert list(results) == sorted(results, key=lambda group: (group is None, group or "")), name
        assert results.by == (by or f"{cohort} of first purchase")
    for group in inside:
        with alone(case, {one for one, mine in groups.items() if mine == group}) as tx:
            for name, metric in METRICS.items():
                expected = metric(tx).to_dict()
                assert sources.same(found[name][group].to_dict(), expected, 1e-7), (name, group)


@pytest.mark.parametrize("seed", [5, 11, 12])
def test_a_group_of_cohorts_is_what_its_customers_alone_would_be(seed):
    case = logs.case(seed)
    assert min(case.debut.values()) >= case.first
    groups = group_of(case, "kind", None)
    with case.opened() as tx:
        found = ly.cohorts(tx, by="kind")
        whole = ly.cohorts(tx)
    assert sum(one.data["value"].to_numpy().sum() for one in found.values()) == whole.data["value"].to_numpy().sum()
    for group in found:
        with alone(case, {one for one, mine in groups.items() if mine == group}) as tx:
            assert sources.same(found[group].to_dict(), ly.cohorts(tx).to_dict())


@every_metric
def test_groups_sum_to_the_whole(metric):
    case = logs.case(6)
    with case.opened() as tx:
        whole = METRICS[metric](tx)
        parts = METRICS[metric](tx, by="kind"), METRICS[metric](tx, cohort="month")
    for groups in parts:
        for sums in (counts(whole), *(counts(part) for part in groups.values())):
            assert sums.keys() == counts(whole).keys()
        for name, total in counts(whole).items():
            assert sum(counts(part)[name] for part in groups.values()) == pytest.approx(total, rel=1e-9), name


def counts(result):
    """Return everything in a result that adds up."""
    if isinstance(result, ly.Estimate):
        return {"n": result.n, "above": result.numerator, "below": result.denominator, "excluded": result.excluded}
    if isinstance(result, ly.EstimateSet):
        found = {name: estimate for name, estimate in result.estimates().items() if "median" not in name}
        found = {name: counts(estimate) for name, estimate in found.items()}
        return {f"{name} {key}": value for name, mine in found.items() for key, value in mine.items()
                if (name, key) not in {("purchases", "below"), ("revenue", "below"), ("total", "below")}}  # fmt: skip
    names = ("customers", "kept", "new", "reactivated", "next_spend", "base_spend", "excluded", "count")
    return {name: sum(result[name]) for name in names if name in result.data.column_names}


def test_the_value_at_the_first_purchase_counts():
    assert counted() == {"x": 1, "y": 1, None: 1}


def test_customers_acquired_before_the_window_keep_the_value_of_their_first_purchase():
    assert counted(observed_from="2024-02-01") == {"x": 1, None: 1}
    with logs.opened(ROWS, "shop", observed_from="2024-02-01") as tx:
        found = ly.repurchase_rate(tx, cohort="month")
    assert {group: one.n for group, one in found.items()} == {"2024-01": 1, "2024-02": 1}


SHAPES = {
    "integers": [7, 7, -1, 3, 3],
    "floats": [0.5, 1.0, 1.5, -2.0, 0.0],
    "nulls": [None, 1.0, 1.5, None, 0.0],
    "bools": [True, False, False, True, True],
    "dates": [dt.date(2024, 1, 1), dt.date(2024, 1, 1), dt.date(2020, 2, 29), dt.date(1999, 1, 1), None],
    "times": [pd.Timestamp("2024-01-01 10:00")] * 4 + [pd.NaT],
    "text": ["b", "a", "A", "", "é <b>"],
    "category": pd.Categorical(["b", "a", "a", "c", "c"], categories=["c", "b", "a"]),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_columns_of_every_kind_make_groups(shape, kind):
    frame = logs.log([row[:3] for row in ROWS], shop=SHAPES[shape])
    firsts = [SHAPES[shape][place] for place in (0, 2, 3)]
    expected = {None if pd.isna(one) else one for one in firsts}
    data = frame if kind == "pandas" else sources.make(kind, frame, None)
    with ly.transactions(data) as tx:
        found = ly.repurchase_rate(tx, by="shop")
    groups = {group and sources.text(group).removesuffix("T00:00:00") for group in found}  # dates in pandas are times
    assert groups == {one and sources.text(one).removesuffix("T00:00:00") for one in expected}
    assert sum(one.n for one in found.values()) == 3
    together = found.to_native()
    assert len(together) == len(expected)
    json.dumps(found.to_dict(), allow_nan=False)


def test_groups_come_in_order_and_nulls_last():
    rows = [(customer, "2024-01-01", 1.0, shop) for customer, shop in enumerate([10.0, 9.0, None, -1.0, 10.5])]
    assert list(counted(rows)) == [-1.0, 9.0, 10.0, 10.5, None]
    rows = [(customer, f"2023-{month}-01", 1.0, "x") for customer, month in enumerate((12, 2, 10, 11))]
    with logs.opened(rows, "shop") as tx:
        assert list(ly.repurchase_rate(tx, cohort="month")) == ["2023-02", "2023-10", "2023-11", "2023-12"]


def test_not_a_number_is_null():
    frame = pl.from_pandas(logs.log([row[:3] for row in ROWS])).with_columns(
        shop=pl.Series([math.nan, 1.0, None, 2, 2])
    )
    with ly.transactions(frame) as tx:
        assert {group: one.n for group, one in ly.repurchase_rate(tx, by="shop").items()} == {2.0: 1, None: 2}


@pytest.mark.parametrize("name", ["group", "customer", "value", "n", "day", "first_day", "y", "a b", 'q"uote', "Größe"])
def test_a_column_may_have_any_name(name):
    assert counted(name=name, by=name) == {"x": 1, "y": 1, None: 1}
    with logs.opened(ROWS, name) as tx:
        found = ly.retention(tx, "day", by=name)
        frame = found.to_native()
    assert found.by == name
    assert frame.columns[0] == (name if name not in found["x"].data.column_names else f"{name}_group")
    assert len(frame) == 3 * len(found["x"])


def test_a_column_that_is_a_role_may_group():
    with logs.opened(ROWS, "shop") as tx:
        assert set(ly.repurchase_rate(tx, by="amount")) == {10.0}
        assert len(ly.repurchase_rate(tx, by="customer_id")) == 3
        assert len(ly.repurchase_rate(tx, by="date")) == 3


def test_labels_that_are_numbers():
    frame = logs.log(ROWS, "shop")
    frame.columns = [0, 1, 2, 3]
    with ly.transactions(frame, customer=0, date=1, amount=2) as tx:
        found = ly.spending(tx, by=3)
        assert list(found) == ["x", "y", None]
        assert found.by == "3"


@every_metric
def test_both_kinds_of_group_are_one_too_many(metric):
    with (
        logs.opened([(*row[:3], 0.5) for row in ROWS], "margin") as tx,
        pytest.raises(InvalidArgument, match="not both"),
    ):
        METRICS[metric](tx, by="amount", cohort="month")


@every_metric
def test_what_cannot_group(metric):
    with logs.opened([(*row[:3], 0.5) for row in ROWS], "margin") as tx:
        with pytest.raises(ColumnError, match=r"by='amunt'.*The columns are 'customer_id', .*Did you mean 'amount'"):
            METRICS[metric](tx, by="amunt")
        with pytest.raises(InvalidArgument, match=r"cohort='mont'.*Did you mean 'month'"):
            METRICS[metric](tx, cohort="mont")


def test_values_of_mixed_types_cannot_group():
    frame = logs.log([row[:3] for row in ROWS], shop=["b", 1, 1, 2.5, None])
    message = r"column 'shop' holds Python objects of mixed .*convert it"
    with ly.transactions(frame) as tx, pytest.raises(ColumnError, match=message):
        ly.repurchase_rate(tx, by="shop")


def test_nested_values_cannot_group():
    table = pa.table({"customer_id": [1], "date": [dt.date(2024, 1, 1)], "amount": [1.0], "tags": [["a"]]})
    with ly.transactions(table) as tx, pytest.raises(ColumnError, match="by='tags' holds nested values"):
        ly.repurchase_rate(tx, by="tags")


def many(count):
    days = pd.Timestamp("1990-01-01") + pd.to_timedelta(np.arange(count), unit="D")
    return pd.DataFrame({"customer_id": np.arange(count), "date": days, "amount": 1.0})


@every_metric
def test_more_groups_than_a_table_can_show(metric):
    with ly.transactions(many(10_001).assign(margin=1.0)) as tx:
        for split in ({"by": "customer_id"}, {"cohort": "day"}):
            with pytest.raises(InvalidArgument, match=r"there are 10,001 groups, more than the 10,000") as caught:
                METRICS[metric](tx, **split)
        assert "fewer values for by=, or a longer period for cohort=" in str(caught.value)


def test_ten_thousand_groups_still_are_a_table():
    with ly.transactions(many(10_000)) as tx:
        assert len(ly.repurchase_rate(tx, by="customer_id")) == 10_000


def test_groups_that_are_absent_are_made_of_nobody():
    def build(rows):
        return [row["n"] for row in rows]

    with logs.opened(ROWS, "shop") as tx:
        some = tx.customers.filter(nw.col("purchases") > 1).select("customer", "purchases")
        n = [nw.len().alias("n")]
        assert dict(grouping.measure(tx, some, n, build, by="shop")) == {"x": [1], "y": [0], None: [1]}
        keyed = grouping.measure(tx, some, n, build, keys=["purchases"], by="shop")
        assert dict(keyed) == {"x": [1], "y": [], None: [1]}
        assert grouping.measure(tx, some, n, build) == [2]


def grouped():
    rows = [(1, "2024-01-01", 10.0, "<b>x</b>"), (1, "2024-02-09", 10.0, "y"), (2, "2024-01-09", 10.0, None),
            (2, "2024-03-31", 5.0, None)]  # fmt: skip
    return logs.opened(rows, "<shop>")


@every_metric
def test_results_show_themselves(metric):
    call = {"historical_value": ly.historical_value, "revenue_retention": ly.revenue_retention}.get(metric)
    with grouped() as tx:
        found = (call or METRICS[metric])(tx, by="<shop>")
    text, html = str(found), found._repr_html_()
    assert text.startswith("<shop> = <b>x</b>: ")
    assert "nan" not in text
    assert "<table>" in html
    assert "<b>" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "&lt;shop&gt;" in html
    found_dict = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [one["group"] for one in found_dict["groups"]] == ["<b>x</b>", None]
    assert found_dict["by"] == "<shop>"
    frame = found.to_native()
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns[0] == "<shop>"
    assert frame["<shop>"].isna().sum() == len(frame) / 2
    with pytest.raises(AttributeError):
        found.by = "other"
    with pytest.raises(TypeError):
        found["z"] = found["<b>x</b>"]
    if all(isinstance(one, ly.Estimate) for one in found.values()):
        assert len(found.plot().get_yticklabels()) == 2
    else:
        with pytest.raises(InvalidArgument, match="only groups of estimates draw together"):
            found.plot()


def test_frames_are_of_the_callers_kind():
    frame = logs.log(ROWS, "shop")
    kinds = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "polars-lazy": pl.DataFrame, "pyarrow": pa.Table}
    for kind, expected in kinds.items():
        with ly.transactions(sources.make(kind, frame, None)) as tx:
            for result in (ly.repurchase_rate(tx, by="shop"), ly.spending(tx, by="shop"), ly.retention(tx, by="shop")):
                assert isinstance(result.to_native(), expected), kind
    connection = duckdb.connect()
    connection.register("log", frame)
    with ly.transactions(connection.table("log")) as tx:
        assert isinstance(ly.repurchase_rate(tx, by="shop").to_native(), pd.DataFrame)


def test_a_grouped_result_is_a_mapping():
    with logs.opened(ROWS, "shop") as tx:
        found = ly.repurchase_rate(tx, by="shop")
        pooled = revenue_retention_rate(tx, by="shop")
    assert found.map(float) == {"x": 1.0, "y": 0.0, None: 1.0}
    assert (len(found), "y" in found, found.get("w")) == (3, True, None)
    assert [group for group, _ in found.items()] == ["x", "y", None]
    assert set(pooled["x"]) == {"net", "gross"}


@sources.every
def test_groups_are_the_same_from_every_source(source, tmp_path):
    frame = logs.log(ROWS, "shop")
    with sources.opened(source, frame, tmp_path) as tx:
        found, cohorts = ly.spending(tx, by="shop"), ly.retention(tx, "day", cohort="week")
    with ly.transactions(frame) as tx:
        assert sources.same(found.to_dict(), ly.spending(tx, by="shop").to_dict())
        assert sources.same(cohorts.to_dict(), ly.retention(tx, "day", cohort="week").to_dict())
