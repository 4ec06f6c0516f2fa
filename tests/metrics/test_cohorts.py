import json
import math
import time
from collections import defaultdict

import pandas as pd
import polars as pl
import pytest

import logs
import loyalty as ly
from loyalty.errors import InvalidArgument

# Three users come on day 0 and back on day 1, on day 5, never: a published worked example (oracles.md).
THREE = [(user, "2024-01-01", 1.0) for user in (1, 2, 3)] + [(1, "2024-01-02", 1.0), (2, "2024-01-06", 1.0)]
IN = [1, 1 / 3, 0, 0, 0, 1 / 3, 0]
SINCE = [1, 2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 0]


@pytest.mark.parametrize(
    ("mode", "follow_up", "rates"), [("in", None, IN), ("since", 6, SINCE), ("since", None, SINCE)]
)
def test_three_users_by_day(mode, follow_up, rates):
    with logs.opened(THREE, observed_until="2024-01-07") as tx:
        found = ly.cohorts(tx, "day", mode=mode, follow_up=follow_up)
    assert logs.close(found.data["rate"].to_pylist(), rates)
    assert found.data["offset"].to_pylist() == list(range(7))
    assert found.data["size"].to_pylist() == [3] * 7
    assert logs.close(found.average["rate"], rates)
    assert found.data["followed"].to_pylist() == ([1] * 7 if mode == "in" else [7, 6, 5, 4, 3, 2, 1])


GOLDEN = [
    (1, "2024-01-01", 10.0),
    (1, "2024-01-20", 5.0),
    (1, "2024-03-05", 20.0),
    (2, "2024-01-31", 15.0),
    (2, "2024-02-05", 6.0),
    (3, "2024-02-01", 8.0),
    (3, "2024-03-31", 2.0),
    (4, "2024-03-09", 4.0),
]


def test_by_hand():
    with logs.opened(GOLDEN) as tx:
        customers, revenue = ly.cohorts(tx), ly.cohorts(tx, value="revenue")
        since = ly.cohorts(tx, mode="since")
        earned = ly.cohorts(tx, mode="since", value="revenue")
    assert customers.counts.to_dict("list") == {
        "cohort": ["2024-01", "2024-02", "2024-03"],
        "size": [2, 1, 1],
        "0": [2, 1, 1],
        "1": pytest.approx([1, 1, math.nan], nan_ok=True),
        "2": pytest.approx([1, math.nan, math.nan], nan_ok=True),
    }
    assert revenue.data["value"].to_pylist() == [30.0, 6.0, 20.0, 8.0, 2.0, 4.0]
    assert revenue.data["rate"].to_pylist() == pytest.approx([1, 0.2, 2 / 3, 1, 0.25, 1])
    assert since.data["value"].to_pylist() == [2, 2, 1, 1, 1, 1]
    assert earned.data["value"].to_pylist() == [56.0, 26.0, 20.0, 10.0, 2.0, 4.0]
    assert earned.data["rate"].to_pylist() == pytest.approx([1, 26 / 56, 20 / 56, 1, 0.2, 1])
    assert customers.average["rate"] == pytest.approx([1, 2 / 3, 1 / 2])
    assert customers.average["customers"] == [4, 3, 2]
    assert customers.average["cohorts"] == [3, 2, 1]
    assert revenue.average["rate"] == pytest.approx([1, 8 / 38, 20 / 30])
    assert customers.sizes.to_dict("list") == {"cohort": ["2024-01", "2024-02", "2024-03"], "size": [2, 1, 1]}


def test_follow_up_gives_every_cohort_the_same_time():
    with logs.opened(GOLDEN) as tx:
        found = ly.cohorts(tx, mode="since", follow_up=1)
    assert found.data["cohort"].to_pylist() == ["2024-01", "2024-01", "2024-02", "2024-02"]
    assert found.data["value"].to_pylist() == [2, 1, 1, 1]  # customer 1 came back after two months: too late
    assert found.data["followed"].to_pylist() == [2, 1, 2, 1]
    assert (found.excluded, found.note) == (1, "customers left out (not observed for a complete month and 1 more): 1")
    assert ly.cohorts(logs.opened(GOLDEN), mode="since").note == (
        "cells are lower bounds, later cohorts having had less time (follow_up= makes it equal)"
    )


HISTORY = [
    (1, "2023-11-05", 10.0),
    (1, "2024-01-05", 7.0),
    (2, "2023-11-06", 10.0),  # never came in the window, and counts in the size of the cohort
    (3, "2023-12-30", 10.0),
    (3, "2024-02-05", 3.0),
    (4, "2024-01-05", 10.0),
    (4, "2024-02-28", 2.0),
    (5, "2023-10-31", 10.0),  # of a month that the data do not wholly hold
    (5, "2024-01-06", 10.0),
]


def test_customers_acquired_before_the_window_keep_their_true_cohort():
    window = {"observed_from": "2024-01-01", "observed_until": "2024-02-29"}
    with logs.opened(HISTORY, **window) as tx:
        found, revenue = ly.cohorts(tx), ly.cohorts(tx, value="revenue")
        since = ly.cohorts(tx, mode="since")
    cells = list(zip(*(found.data[name].to_pylist() for name in ("cohort", "size", "offset", "value")), strict=True))
    assert cells == [
        ("2023-11", 2, 2, 1), ("2023-11", 2, 3, 0), ("2023-12", 1, 1, 0), ("2023-12", 1, 2, 1), ("2024-01", 1, 0, 1),
        ("2024-01", 1, 1, 1),
    ]  # fmt: skip
    assert (found.excluded, found.note) == (
        1, "customers left out (their first month is not wholly inside the data): 1"
    )  # fmt: skip
    assert since.data["value"].to_pylist() == [1, 0, 1, 1, 1, 1]
    assert revenue.data["value"].to_pylist() == [7.0, 0.0, 0.0, 3.0, 10.0, 2.0]
    assert logs.close(revenue.data["rate"].to_pylist(), [math.nan] * 4 + [1.0, 0.2])
    assert "cohorts without rates, revenue to compare with being zero or not observed: 2" in revenue.note
    assert revenue.average["offset"] == [0, 1, 2, 3]
    assert logs.close(revenue.average["rate"], [1.0, 0.2, math.nan, math.nan])


def test_groups_hold_cohorts_acquired_in_the_window():
    window = {"observed_from": "2024-01-01", "observed_until": "2024-02-29"}
    with logs.opened([(*row, "x") for row in HISTORY], "shop", **window) as tx:
        found = ly.cohorts(tx, by="shop")
    assert list(found) == ["x"]
    assert found["x"].sizes["cohort"].tolist() == ["2024-01"]
    assert found["x"].excluded == 3  # 1, 3 and 5, who bought in the window and were acquired before
    assert found["x"].note == "customers left out (their first month is not wholly inside the window): 3"


def counted(case, period, mode, value, follow_up):
    """Return {(cohort, offset): (size, value, rate, followed)} and how many customers were left out."""
    starts = case.complete(period)
    whole = set(logs.complete(case.data_from, case.last, period))
    members = defaultdict(set)
    for customer, date in case.debut.items():
        members[logs.start_of(date, period)].add(customer)
    spent, cells, shown = case.by_period(period), {}, set()
    for first in sorted(whole & set(members)):
        people = members[first]
        if follow_up is not None and (not starts or logs.offset(first, starts[-1], period) < follow_up):
            continue
        seen = [start for start in starts if start >= first]
        if follow_up is not None:
            seen = [start for start in seen if logs.offset(first, start, period) <= follow_up]
        found = {}
        for start in seen:
            times = [start] if mode == "in" else [later for later in seen if later >= start]
            came = {customer: sum(spent[customer][time] for time in times if time in spent[customer])
                    for customer in people if any(time in spent.get(customer, ()) for time in times)}  # fmt: skip
            found[start] = len(came) if value == "customers" else sum(came.values())
        base = len(people) if value == "customers" else found.get(first, math.nan)
        for start in seen:
            followed = 1 if mode == "in" else len([later for later in seen if later >= start])
            rate = found[start] / base if base > 0 else math.nan
            cells[first, logs.offset(first, start, period)] = (len(people), found[start], rate, followed, base)
            shown |= people
    return cells, len(case.debut) - len(shown)


PLANS = [("in", "customers", None), ("in", "revenue", None), ("since", "customers", None), ("since", "revenue", None),
         ("since", "customers", 2), ("since", "revenue", 1), ("since", "customers", 0)]  # fmt: skip


@logs.every
def test_against_counting_by_hand(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        for period in logs.PERIODS:
            if len(case.complete(period)) > 100:
                continue  # the triangle grows with the square
            for mode, value, follow_up in PLANS[:: 1 if period in {"month", "quarter"} else 3]:
                cells, left_out = counted(case, period, mode, value, follow_up)
                found = ly.cohorts(tx, period, mode, value, follow_up=follow_up)
                same_cells(found, cells, period)
                same_average(found, cells)
                assert found.excluded == left_out
                assert ("left out" in found.note) == (left_out > 0)


def same_cells(found, cells, period):
    lines = found.data.to_pylist()
    assert [(line["start"], line["offset"]) for line in lines] == list(cells)
    for line, (size, value, rate, followed, _) in zip(lines, cells.values(), strict=True):
        assert line["cohort"] == logs.label(line["start"], period)
        assert (line["size"], line["followed"]) == (size, followed)
        assert logs.close((line["value"], line["rate"]), (value, rate))


def same_average(found, cells):
    lines = found.average.data.to_pylist()
    assert [line["offset"] for line in lines] == sorted({offset for _, offset in cells})
    for line in lines:
        reached = [cell for (_, offset), cell in cells.items() if offset == line["offset"] and not math.isnan(cell[4])]
        value, base = (sum(cell[place] for cell in reached) for place in (1, 4))
        assert (line["cohorts"], line["customers"]) == (len(reached), sum(cell[0] for cell in reached))
        if found.measure == "customers":
            assert logs.close((line["rate"], line["low"], line["high"]), logs.wilson(value, base))
        elif abs(base) > 1e-9:
            expected = value / base if base > 0 else math.nan
            assert logs.close((line["rate"], line["low"], line["high"]), (expected, math.nan, math.nan))


def test_a_cohort_that_spent_nothing_has_no_rate_of_revenue():
    with logs.opened([(1, "2024-01-01", 0.0), (1, "2024-02-29", 9.0)]) as tx:
        found = ly.cohorts(tx, value="revenue")
    assert found.data["value"].to_pylist() == [0.0, 9.0]
    assert logs.close(found.data["rate"].to_pylist(), [math.nan, math.nan])
    assert found.note == "cohorts without rates, revenue to compare with being zero or not observed: 1"
    assert str(found).startswith("Cohorts by month of first purchase (1): the average rate of the next month is not")
    assert "nan" not in str(found)


def test_no_complete_period():
    with logs.opened([(1, "2024-01-05", 9.0), (2, "2024-02-05", 9.0)]) as tx:
        found = ly.cohorts(tx)
        followed = ly.cohorts(tx, "week", mode="since", follow_up=9)
    assert found.data.num_rows == 0
    assert found.excluded == 2
    assert found.note == (
        "customers left out (their first month is not wholly inside the data): 2; "
        "no cohort was observed for a complete month"
    )
    assert str(found).startswith("Cohorts by month of first purchase (0): none was followed into a next month. Note: ")
    assert followed.note.endswith("no cohort was observed for a complete week and 9 more")
    assert found.counts.columns.tolist() == ["cohort", "size"]
    assert len(found.sizes) == 0


def test_results_show_themselves():
    with logs.opened(GOLDEN) as tx:
        found = ly.cohorts(tx)
        since = ly.cohorts(tx, mode="since", value="revenue")
    assert str(found) == (
        "Cohorts by month of first purchase (3): on average 66.7 % of the customers bought in the next month (95 % "
        "interval 20.8 % to 93.9 %)."
    )
    assert "of the revenue came in or after the next month." in str(since)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["cells"][0]["rate"] == 1.0
    html = found._repr_html_()
    assert "<table>" in html
    assert "50.0 %" in html
    assert "bought in the k-th month after" in found.definition
    assert since.definition == (
        "Share of a cohort's revenue since its first month: revenue in the k-th or a later month after the month of "
        "first purchase."
    )
    assert found.plot().get_title() is not None
    assert found.plot(kind="curves") is not None
    with pytest.raises(InvalidArgument, match="'heatmap', 'curves'"):
        found.plot(kind="map")


def test_wide_frames_are_of_the_callers_kind():
    frame = logs.log(GOLDEN)
    with ly.transactions(pl.from_pandas(frame)) as tx:
        found = ly.cohorts(tx)
        assert all(
            isinstance(part, pl.DataFrame) for part in (found.counts, found.rates, found.sizes, found.to_native())
        )
        assert found.counts["2"].to_list() == [1, None, None]
    with ly.transactions(frame) as tx:
        assert isinstance(ly.cohorts(tx).rates, pd.DataFrame)


def test_years_of_days_are_quick():
    days = pd.date_range("2021-01-01", "2023-12-31", freq="2D")
    frame = pd.DataFrame({"customer_id": range(len(days)), "date": days, "amount": 1.0})
    with ly.transactions(frame) as tx:
        tx.activity("day")
        started = time.process_time()
        found = ly.cohorts(tx, "day", mode="since", value="revenue")
    assert found.data.num_rows == sum(range(1, 2 * len(days), 2))
    assert time.process_time() - started < 15  # a second or two; with a loop in each cell's loop it was minutes


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"period": "decade"}, "period='decade'"),
        ({"mode": "at"}, "mode='at'"),
        ({"value": "orders"}, "'customers', 'revenue'"),
        ({"follow_up": 3}, 'belongs to mode="since"'),
        ({"follow_up": -1, "mode": "since"}, "follow_up=-1"),
        ({"follow_up": 2.5, "mode": "since"}, "whole number"),
        ({"follow_up": "3", "mode": "since"}, "whole number"),
        ({"confidence": 0.0}, "confidence=0.0"),
    ],
)
def test_bad_arguments(arguments, hint):
    with logs.opened(GOLDEN) as tx, pytest.raises(InvalidArgument, match=hint):
        ly.cohorts(tx, **arguments)
