import datetime as dt
import math
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

import logs
import loyalty as ly
import sources
from loyalty.clv.summaries.cells import Cells
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, InvalidRows
from naive_rows import Naive, day_of

COLUMNS = ["frequency", "recency", "age", "monetary_value"]


def naive(case, last, acquired=(None, None)):
    """Return {customer: (x, t_x, T, mean repeat spend, acquired before the window)} in days, customer by customer."""
    mine = defaultdict(list)
    options = {name: case.options[name] for name in ("occasion", "returns")}
    # Returns of purchases before the window reduce them here, where those purchases count.
    for one in Naive(case.rows, last=case.naive.last, money=logs.MONEY, **options).everything.values():
        if one.day <= last:
            mine[one.customer].append((one.day, -one.sums["amount"]))
    found = {}
    for customer, bought in mine.items():
        first, *repeats = sorted(bought)
        if (acquired[0] is not None and first[0] < acquired[0]) or (acquired[1] is not None and first[0] > acquired[1]):
            continue
        mean = -sum(spend for _, spend in repeats) / len(repeats) if repeats else 0.0
        recency = max(day for day, _ in bought) - first[0]
        found[customer] = (len(repeats), recency, last - first[0], mean, first[0] < case.naive.first)
    return found


def rows(frame, *names):
    """Return {customer: values} of a per-customer frame."""
    frame = sources.as_pandas(frame)
    return {row["customer_id"]: tuple(row[name] for name in names) for row in frame.to_dict("records")}


@logs.every
def test_random_logs_agree_with_a_row_by_row_summary(seed):
    case = logs.case(seed)
    last = case.naive.last
    early = day_of(case.data_from) + (last - day_of(case.data_from)) // 2
    cuts = [(None, (None, None)), (early, (None, None)), (None, (early, None)), (None, (None, early))]
    with case.opened() as tx:
        for until, acquired in cuts:
            expected = naive(case, last if until is None else until, acquired)
            arguments = {
                "until": until and case.data_from + dt.timedelta(days=until - day_of(case.data_from)),
                "acquired_from": acquired[0] and dt.date(1970, 1, 1) + dt.timedelta(days=acquired[0]),
                "acquired_until": acquired[1] and dt.date(1970, 1, 1) + dt.timedelta(days=acquired[1]),
            }
            if not expected:
                with pytest.raises(EmptyData, match="no customer was acquired"):
                    ly.summarize(tx, "day", **arguments)
                continue
            summary = ly.summarize(tx, "day", **arguments)
            found = rows(summary.to_native(), *COLUMNS)
            assert set(found) == set(expected)
            for customer, values in expected.items():
                assert found[customer] == pytest.approx(values[:4], abs=1e-9), customer
            if "acquired_before" in summary.frame().collect_schema().names():
                before = rows(summary.to_native(), "acquired_before")
                assert {one: bool(flag) for one, (flag,) in before.items()} == {
                    one: values[4] for one, values in expected.items()
                }
            _same_cells(summary.cells, expected)


def _same_cells(cells, expected):
    counted = defaultdict(int)
    for x, recency, age, *_ in expected.values():
        counted[x, recency, age] += 1
    found = dict(zip(zip(cells.x, cells.t_x, cells.T, strict=True), cells.weight, strict=True))
    assert found == counted
    assert cells.customers == len(expected)


@sources.every
def test_every_source_gives_the_same(source, tmp_path):
    log = ly.datasets.cdnow_sample().head(1200)
    with ly.transactions(log) as tx:
        plain = ly.summarize(tx, "month", until="1997-12-31")
        expected = rows(plain.to_native(), *COLUMNS)
    with sources.opened(source, log, tmp_path) as tx:
        summary = ly.summarize(tx, "month", until="1997-12-31")
        found = {sources.text(one): values for one, values in rows(summary.to_native(), *COLUMNS).items()}
        assert set(found) == {sources.text(one) for one in expected}
        for one, values in expected.items():
            assert found[sources.text(one)] == pytest.approx(values, rel=1e-12)
        assert len(summary.cells) == len(plain.cells)
        np.testing.assert_array_equal(summary.cells.weight, plain.cells.weight)


def test_cdnow_sample_in_weeks():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        summary = ly.summarize(tx, until="1997-09-30")
        assert summary.n_customers == 2357
        assert summary.cells.step == pytest.approx(1 / 7)
        assert (summary.cells.x * summary.cells.weight).sum() == 2457
        assert summary.cells.weight[summary.cells.x == 0].sum() == 1411
        assert str(summary).startswith("2,357 customers until 1997-09-30: 1,411 without a repeat purchase")


@pytest.mark.parametrize(("unit", "days"), [("day", 1), ("week", 7), ("month", 365.25 / 12), ("year", 365.25)])
def test_units(unit, days):
    with logs.opened([(1, "2024-01-01", 5), (1, "2024-03-01", 5), (2, "2024-04-30", 1)]) as tx:
        cells = ly.summarize(tx, unit).cells
    assert cells.t_x.tolist() == pytest.approx([0, 60 / days])
    assert cells.T.tolist() == pytest.approx([0, 120 / days])


def test_cells_are_joined_back():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        summary = ly.summarize(tx)
        cells = summary.cells
        frame = summary.with_cells({"a": cells.x + 1, "b": cells.T - cells.t_x, "place": np.arange(len(cells))})
        found = summary.hand_back(frame)
    assert len(found) == summary.n_customers
    assert (found["a"] == found["frequency"] + 1).all()
    assert (found["b"] - (found["age"] - found["recency"])).abs().max() < 1e-12
    counted = found.groupby("place").size().reindex(range(len(cells)))
    assert (counted.to_numpy() == cells.weight).all()


def test_notes_say_what_may_be_missing():
    purchases = [(1, "2024-01-01", 5), (1, "2024-02-01", 5), (2, "2024-02-10", 1), (3, "2024-01-02", 1)]
    with logs.opened(purchases) as tx:
        assert "begins on 2024-01-01" in ly.summarize(tx).notes[0]
        assert ly.summarize(tx, acquired_from="2024-01-05").notes == ()
    with logs.opened(purchases, observed_from="2024-01-20") as tx:
        summary = ly.summarize(tx)
        assert "before 2024-01-20 count too" in summary.notes[0]
        assert summary.n_customers == 3  # customer 3 bought only before the window
        assert tx.n_customers == 2


def test_orders_of_one_day_are_purchases():
    log = [(1, "2024-01-01", 5, "a"), (1, "2024-01-01", 9, "b"), (1, "2024-01-03", 7, "c")]
    with logs.opened(log, "order", order="order", occasion="order") as tx:
        found = rows(ly.summarize(tx, "day").to_native(), *COLUMNS)
    assert found == {1: (2, 2, 2, 6.0)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"unit": "fortnight"}, "'day', 'week', 'month', 'year'"),
        ({"until": "2023-12-31"}, "outside the data"),
        ({"until": "2024-02-11"}, "outside the data"),
        ({"acquired_from": "2024-02-01", "acquired_until": "2024-01-01"}, "comes after"),
    ],
)
def test_arguments_that_cannot_be(arguments, words):
    with logs.opened([(1, "2024-01-01", 5), (2, "2024-02-10", 1)]) as tx, pytest.raises(InvalidArgument, match=words):
        ly.summarize(tx, **arguments)


MADE = pd.DataFrame({"id": ["a", "b", "c"], "frequency": [2, 0, 1], "recency": [3.0, 0.0, 1.5], "T": [4.0, 2.0, 1.5],
                     "spend": [25.0, math.nan, 4.0]})  # fmt: skip


@pytest.mark.parametrize("source", [source for source in sources.SOURCES if source != "pandas-categorical"])
def test_ready_made_tables(source, tmp_path):
    made = sources.make(source, MADE.fillna(0.0), tmp_path)
    summary = ly.CustomerSummary.of(made, unit="week", customer="id", monetary_value="spend")
    found = sources.as_pandas(summary.to_native()) if source not in {"parquet", "csv", "duckdb"} else None
    if found is not None:
        found = {row.pop("id"): row for row in found.to_dict("records")}
        assert found["a"] == {"frequency": 2, "recency": 3.0, "age": 4.0, "monetary_value": 25.0}
        assert found["b"]["monetary_value"] == 0.0
    assert summary.cells.x.tolist() == [0, 1, 2]
    assert summary.cells.T.tolist() == [2.0, 1.5, 4.0]
    assert summary.cells.step is None  # 1.5 weeks are no whole days
    widened = summary.collect(summary.with_cells({"double": summary.cells.x * 2}))
    assert sorted(widened["double"].to_pylist()) == [0, 2, 4]


def test_a_ready_made_table_in_whole_days_has_a_grid():
    days = pd.DataFrame({"frequency": [2, 0, 1], "recency": [3 / 7, 0.0, 100 / 7], "T": [4 / 7, 2.0, 701 / 7]})
    assert ly.CustomerSummary.of(days, unit="week").cells.step == pytest.approx(1 / 7)
    assert ly.CustomerSummary.of(days, unit="day").cells.step is None
    assert ly.CustomerSummary.of(days.round(2), unit="week").cells.step is None


def test_a_weighted_table_is_as_many_customers():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        native = ly.summarize(tx).to_native()
    counted = native.groupby(["frequency", "recency", "age"], as_index=False).size()
    one = ly.CustomerSummary.of(native, unit="week", customer="customer_id", age="age")
    many = ly.CustomerSummary.of(counted, unit="week", age="age", weight="size")
    assert many.n_customers == one.n_customers == 2357
    assert many.weighted
    for name in ("x", "t_x", "T", "weight"):
        np.testing.assert_array_equal(getattr(one.cells, name), getattr(many.cells, name))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("frequency", -1, "frequency negative or no whole number"),
        ("frequency", 1.5, "frequency negative or no whole number"),
        ("frequency", math.nan, "frequency missing or not finite"),
        ("recency", -0.5, "recency negative"),
        ("recency", 5.0, "recency beyond age"),
        ("recency", math.nan, "recency missing"),
        ("T", math.inf, "age missing or not finite"),
        ("spend", math.nan, "monetary_value missing with a repeat purchase"),
        ("id", None, "customer missing"),
    ],
)
def test_rows_that_cannot_be_a_history(column, value, words):
    made = MADE.astype({"frequency": float})
    made.loc[0, column] = value
    with pytest.raises(InvalidRows, match=f"1 of 3 customers cannot be: {words}") as caught:
        ly.CustomerSummary.of(made, unit="week", customer="id", monetary_value="spend")
    assert caught.value.count == 1


def test_tables_that_cannot_be_summaries():
    with pytest.raises(InvalidRows, match="recency without a repeat purchase"):
        ly.CustomerSummary.of(MADE.assign(recency=1.0), unit="week")
    with pytest.raises(InvalidRows, match="weight not above 0"):
        ly.CustomerSummary.of(MADE.assign(n=[1, 0, 2]), unit="week", weight="n")
    with pytest.raises(InvalidRows, match="1 customer in column 'id' with more than one row"):
        ly.CustomerSummary.of(MADE.assign(id=["a", "b", "a"]), unit="week", customer="id")
    with pytest.raises(EmptyData, match="no rows"):
        ly.CustomerSummary.of(MADE.head(0), unit="week")
    with pytest.raises(ColumnError, match="age='age'"):
        ly.CustomerSummary.of(MADE, unit="week", age="age")
    with pytest.raises(ColumnError, match="not a number"):
        ly.CustomerSummary.of(MADE, unit="week", recency="id")
    with pytest.raises(InvalidArgument, match="holds no spend"):
        _ = ly.CustomerSummary.of(MADE, unit="week").spend_cells


def test_cells_of_rows():
    cells = Cells.of([1, 0, 1, 0], [2.0, 0, 2.0, 0], [3.0, 4, 3.0, 5])
    assert cells.x.tolist() == [0, 0, 1]
    assert cells.weight.tolist() == [1, 1, 2]
    assert cells.scaled(2.0).T.tolist() == [2.0, 2.5, 1.5]
    assert len(cells.take([2])) == 1


def test_shown():
    with logs.opened([(1, "2024-01-01", 5), (1, "2024-02-01", 5), (2, "2024-02-10", 1)]) as tx:
        summary = ly.summarize(tx)
        assert "2 customers until 2024-02-10" in repr(summary)
        assert "1 without a repeat purchase, 1 repeat purchase in all, 2 cells" in str(summary)
        assert "customer summary" in summary._repr_html_()
        assert summary.to_dict()["until"] == "2024-02-10"
