import datetime as dt
import math
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

import logs
import sources
from loyalty import datasets
from loyalty.clv.summaries.opportunities import Opportunities, opportunities
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, InvalidRows
from loyalty.transactions import transactions
from naive_rows import EPOCH, Naive, day_of

COLUMNS = ["frequency", "recency", "opportunities"]


def naive(case, period, last, acquired=(None, None)):
    """Return {customer: (x, t_x, n, acquired before the window)}, customer by customer, by a calendar of its own."""
    mine = defaultdict(list)
    options = {name: case.options[name] for name in ("occasion", "returns")}
    for one in Naive(case.rows, last=case.naive.last, money=logs.MONEY, **options).everything.values():
        date = EPOCH + dt.timedelta(days=one.day)
        if date <= last:
            mine[one.customer].append(date)
    found = {}
    for customer, dates in mine.items():
        first = min(dates)
        if (acquired[0] and first < acquired[0]) or (acquired[1] and first > acquired[1]):
            continue
        begun, n, used = logs.start_of(first, period), 0, []
        following = logs.after(begun, period)
        while logs.after(following, period) - dt.timedelta(days=1) <= last:
            n += 1
            if any(logs.start_of(date, period) == following for date in dates):
                used.append(n)
            following = logs.after(following, period)
        found[customer] = (len(used), max(used, default=0), n, day_of(first) < case.naive.first)
    return found


def rows(frame, *names):
    """Return {customer: values} of a per-customer frame."""
    frame = sources.as_pandas(frame)
    return {row["customer_id"]: tuple(row[name] for name in names) for row in frame.to_dict("records")}


@logs.every
def test_random_logs_agree_with_a_count_customer_by_customer(seed):
    case = logs.case(seed)
    early = case.data_from + (case.last - case.data_from) / 2
    cuts = [(None, (None, None)), (early, (None, None)), (None, (early, None)), (None, (None, early))]
    with case.opened() as tx:
        for period in logs.PERIODS:
            for until, acquired in cuts:
                expected = naive(case, period, until or case.last, acquired)
                arguments = {"until": until, "acquired_from": acquired[0], "acquired_until": acquired[1]}
                if not any(n for _, _, n, _ in expected.values()):
                    with pytest.raises(EmptyData):
                        opportunities(tx, period, **arguments)
                    continue
                found = opportunities(tx, period, **arguments)
                native = found.to_native()
                assert rows(native, *COLUMNS) == {one: values[:3] for one, values in expected.items()}
                if "acquired_before" in native:
                    before = rows(native, "acquired_before")
                    assert {one: bool(*flag) for one, flag in before.items()} == {
                        one: values[3] for one, values in expected.items()
                    }
                counted = defaultdict(int)
                for x, t_x, n, _ in expected.values():
                    counted[x, t_x, n] += 1
                cells = found.cells
                assert dict(zip(zip(cells.x, cells.t_x, cells.T, strict=True), cells.weight, strict=True)) == counted


@sources.every
def test_every_source_gives_the_same(source, tmp_path):
    log = datasets.cdnow_sample().head(1500)
    with transactions(log) as tx:
        plain = opportunities(tx, "month", until="1998-05-15")
        expected = rows(plain.to_native(), *COLUMNS)
    with sources.opened(source, log, tmp_path) as tx:
        found = opportunities(tx, "month", until="1998-05-15")
        assert {sources.text(one): values for one, values in rows(found.to_native(), *COLUMNS).items()} == {
            sources.text(one): values for one, values in expected.items()
        }
        np.testing.assert_array_equal(found.cells.weight, plain.cells.weight)
        widened = found.hand_back(found.with_cells({"place": np.arange(len(found.cells))}))
        for x, t_x, n, place in rows(widened, *COLUMNS, "place").values():
            assert (found.cells.x[place], found.cells.t_x[place], found.cells.T[place]) == (x, t_x, n)


def test_worked_by_hand():
    log = [
        ("ann", "2020-05-01", 5), ("ann", "2021-01-01", 5), ("ann", "2021-12-31", 5), ("ann", "2023-06-01", 5),
        ("bob", "2022-12-31", 5), ("bob", "2022-12-30", 5), ("cat", "2024-01-02", 5), ("ann", "2024-03-01", 5),
    ]  # fmt: skip
    with logs.opened(log, observed_until="2024-11-30") as tx:
        found = opportunities(tx, "year")
        # 2024 is not over: ann's purchase in it does not count, cat has had no opportunity yet
        assert rows(found.to_native(), *COLUMNS) == {"ann": (2, 3, 3), "bob": (0, 0, 1), "cat": (0, 0, 0)}
        assert found.n_customers == 3
        assert "3 customers until 2024-11-30: 2 without a repeat purchase, 2 purchases at 4 opportunities" in str(found)
        assert "begins on 2020-05-01" in found.notes[0]
        (note,) = opportunities(tx, "year", acquired_from="2021-01-01").notes
        assert note.startswith("The year 2024 does not count")
        assert 'observed_until="2024-12-31"' in note
        assert opportunities(tx, "year", acquired_from="2021-01-01").cells.customers == 2
    with logs.opened(log, observed_until="2024-12-31") as tx:
        assert rows(opportunities(tx, "year").to_native(), *COLUMNS)["ann"] == (3, 4, 4)
        assert opportunities(tx, "year", acquired_from="2021-01-01").notes == ()


def test_customers_acquired_before_the_window_are_flagged():
    log = [(1, "2020-05-01", 5), (1, "2022-02-01", 5), (2, "2022-02-10", 1), (3, "2020-01-02", 1)]
    with logs.opened(log, observed_from="2022-01-01", observed_until="2023-12-31") as tx:
        found = opportunities(tx, "year")
        # customer 3 bought only before the window, and counts all the same
        assert rows(found.to_native(), *COLUMNS, "acquired_before") == {
            1: (1, 2, 3, 1),
            2: (0, 0, 1, 0),
            3: (0, 0, 3, 1),
        }
        assert "before 2022-01-01 count too" in found.notes[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"period": "fortnight"}, "'day', 'week', 'month', 'quarter', 'year'"),
        ({"until": "2019-12-31"}, "outside the data"),
        ({"until": "2024-02-11"}, "outside the data"),
        ({"acquired_from": "2022-02-01", "acquired_until": "2021-01-01"}, "comes after"),
    ],
)
def test_arguments_that_cannot_be(arguments, words):
    with logs.opened([(1, "2020-01-01", 5), (2, "2024-02-10", 1)]) as tx, pytest.raises(InvalidArgument, match=words):
        opportunities(tx, **arguments)


def test_nothing_to_count():
    with logs.opened([(1, "2020-01-01", 5), (2, "2020-12-30", 1)]) as tx:
        with pytest.raises(EmptyData, match="no customer has had an opportunity yet"):
            opportunities(tx, "year")
        with pytest.raises(EmptyData, match="no customer was acquired"):
            opportunities(tx, "month", acquired_from="2020-12-31")
    with pytest.raises(InvalidArgument, match="open the table first"):
        opportunities(pd.DataFrame({"x": [1]}), "year")


MADE = pd.DataFrame({"id": ["a", "b", "c"], "frequency": [2, 0, 1], "recency": [3, 0, 1], "n": [4, 2, 1]})


@pytest.mark.parametrize("source", [source for source in sources.SOURCES if source != "pandas-categorical"])
def test_ready_made_tables(source, tmp_path):
    made = sources.make(source, MADE, tmp_path)
    found = Opportunities.of(made, period="month", customer="id", opportunities="n")
    assert found.cells.x.tolist() == [0, 1, 2]
    assert found.cells.T.tolist() == [2, 1, 4]
    widened = sources.as_pandas(found.hand_back(found.with_cells({"double": found.cells.x * 2})))
    assert sorted(widened["double"]) == [0, 2, 4]
    assert sorted(widened["id"]) == ["a", "b", "c"]
    assert found.days_per_period == 365.25 / 12


def test_a_weighted_table_is_as_many_customers():
    with transactions(datasets.cdnow_sample()) as tx:
        plain = opportunities(tx, "month")
        native = plain.to_native()
    counted = native.groupby(COLUMNS, as_index=False).size()
    one = Opportunities.of(native, period="month", customer="customer_id")
    many = Opportunities.of(counted, period="month", weight="size")
    assert many.n_customers == one.n_customers == 2357
    for name in ("x", "t_x", "T", "weight"):
        np.testing.assert_array_equal(getattr(one.cells, name), getattr(many.cells, name))
        np.testing.assert_array_equal(getattr(one.cells, name), getattr(plain.cells, name))
    assert "weight" in many.to_native()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("frequency", -1, "frequency negative or no whole number"),
        ("frequency", 1.5, "frequency negative or no whole number"),
        ("frequency", math.nan, "frequency missing or not finite"),
        ("frequency", 4, "frequency above recency"),
        ("recency", 2.5, "recency negative or no whole number"),
        ("recency", 5, "recency above opportunities"),
        ("n", math.inf, "opportunities missing or not finite"),
        ("n", 3.5, "opportunities negative or no whole number"),
        ("n", 200_000, "opportunities above 100,000"),
        ("id", None, "customer missing"),
    ],
)
def test_rows_that_cannot_be_a_history(column, value, words):
    made = MADE.astype(dict.fromkeys(("frequency", "recency", "n"), float))
    made.loc[0, column] = value
    with pytest.raises(InvalidRows, match=f"1 of 3 customers cannot be: {words}") as caught:
        Opportunities.of(made, period="month", customer="id", opportunities="n")
    assert caught.value.count == 1


def test_tables_that_cannot_be_opportunities():
    made = MADE.rename(columns={"n": "opportunities"})
    with pytest.raises(InvalidRows, match="recency without a purchase"):
        Opportunities.of(made.assign(frequency=0, recency=1), period="year")
    with pytest.raises(InvalidRows, match="weight not above 0"):
        Opportunities.of(made.assign(w=[1, 0, 2]), period="year", weight="w")
    with pytest.raises(EmptyData, match="no rows"):
        Opportunities.of(made.head(0), period="year")
    with pytest.raises(EmptyData, match="no customer has had an opportunity yet"):
        Opportunities.of(made.assign(frequency=0, recency=0, opportunities=0), period="year")
    with pytest.raises(ColumnError, match="there is no such column"):
        Opportunities.of(MADE, period="year")
    with pytest.raises(InvalidArgument, match="period='years'"):
        Opportunities.of(made, period="years")


def test_shown():
    found = Opportunities.of(MADE, period="week", opportunities="n")
    assert repr(found) == str(found)
    assert "opportunities" in found._repr_html_()
    assert found.to_dict() == {"customers": 3, "without_repeat": 1, "purchases": 3, "opportunities": 7, "cells": 3,
                               "period": "week", "until": None, "notes": []}  # fmt: skip
