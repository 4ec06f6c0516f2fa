"""A state after every night says what the whole log says, opened anew."""

import random

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import given, settings

import loyalty as ly
import nightly
from loyalty.state.customer_state import CustomerState

KINDS = [
    {**({"order": "order"} if order else {}), **({"occasion": "order"} if order == "order" else {}), "returns": returns}
    for order in (None, "day", "order")
    for returns in ("net", "drop")
]
MONEY = {"cost": "cost", "discount": "discount"}


@pytest.mark.slow
def test_one_log_by_night():
    nightly.follow(3, options={"order": "order", **MONEY}, rows=40, check_all=False)


@pytest.mark.slow
@pytest.mark.parametrize("observed_from", [None, 12])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_random_logs_by_night(options, observed_from):
    for seed, lateness in ((1, 1), (2, 7)):
        money = MONEY if seed == 2 else {}
        nightly.follow(
            100 * seed,
            options={**options, **money},
            observed_from=observed_from,
            lateness=lateness,
            wild=seed == 1,
            check_all=seed == 1,
        )


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_log_cut_anywhere(data):
    options = data.draw(st.sampled_from(KINDS))
    money = data.draw(st.sampled_from([{}, MONEY]))
    nightly.follow(
        data.draw(st.integers(0, 10**6)),
        options={**options, **money},
        lateness=data.draw(st.sampled_from([1, 2, 7, 30])),
        observed_from=data.draw(st.sampled_from([None, 3, 10])),
        too_tardy=data.draw(st.sampled_from([0, 9])),
        rows=data.draw(st.integers(5, 80)),
        customers=data.draw(st.integers(1, 8)),
        check_all=False,
    )


def merged(first, *more, lateness="7d", **options):
    """Return a state of rows (customer, day, amount, order), and all the rows."""
    tables = [
        [[who, nightly.day(when), amount, order, 0.0, 0.0] for who, when, amount, order in one]
        for one in (first, *more)
    ]
    with nightly.opened(tables[0], **options) as tx:
        state = CustomerState.from_(tx, lateness=lateness)
    for number, table in enumerate(tables[1:]):
        state.merge(nightly.frame(table), batch=str(number))
    return state, [row for table in tables for row in table]


STORIES = {
    "a day in two batches is one purchase": ([("a", 0, 5.0, None)], [("a", 0, 2.0, None)]),
    "a return of a first purchase that is closed": (
        [("a", 0, 5.0, None), ("b", 90, 1.0, None)],
        [("a", 91, -2.0, None)],
    ),
    "a return of a purchase that is not the first": (
        [("a", 0, 5.0, None), ("a", 20, 3.0, None), ("b", 90, 1.0, None)],
        [("a", 91, -2.0, None)],
    ),
    "a return before the sale it came with": ([("a", 10, 5.0, None)], [("b", 12, -2.0, None)], [("b", 11, 9.0, None)]),
    "returns only, of nobody": ([("a", 10, 5.0, None)], [("b", 12, -2.0, None)], [("b", 60, 9.0, None)]),
    "the clock closes everything": ([("a", 0, 5.0, None)], [("b", 99, 1.0, None)], [("a", 199, 2.0, None)]),
}
ORDERS = {
    "an order in two batches is one purchase": ([("a", 0, 5.0, "x"), ("b", 50, 1.0, "y")], [("a", 51, 2.0, "x")]),
    "an own return of the first order, months later": (
        [("a", 0, 5.0, "x"), ("a", 0, 4.0, "y"), ("a", 30, 4.0, "z"), ("b", 90, 1.0, "w")],
        [("a", 91, -5.0, "x")],
    ),
    "a loose return hits the largest order of the first day": (
        [("a", 0, 5.0, "x"), ("a", 0, 4.0, "y"), ("b", 90, 1.0, "w")],
        [("a", 91, -3.0, None)],
        [("a", 120, 9.0, "y")],  # which now is the larger one
        [("b", 200, 9.0, "v")],
    ),
    "a first purchase without an order": (
        [("a", 0, 5.0, None), ("a", 0, 9.0, "x"), ("b", 90, 1.0, "w")],
        [("a", 91, -6.0, None)],
        [("a", 92, -6.0, "strange")],
    ),
}


@pytest.mark.parametrize("story", list(STORIES)[:1])
def test_a_story(story):
    state, rows = merged(*STORIES[story])
    nightly.assert_same_state(state, rows, {})


@pytest.mark.slow
@pytest.mark.parametrize("story", list(STORIES)[1:])
def test_more_stories(story):
    state, rows = merged(*STORIES[story])
    nightly.assert_same_state(state, rows, {})


@pytest.mark.slow
@pytest.mark.parametrize("occasion", ["day", "order"])
@pytest.mark.parametrize("story", ORDERS)
def test_stories_of_orders(story, occasion):
    options = {"order": "order", "occasion": occasion}
    state, rows = merged(*ORDERS[story], **options)
    nightly.assert_same_state(state, rows, options)


def test_what_a_return_does_to_the_first_purchase_by_hand():
    state, _ = merged(
        [("a", 0, 5.0, None), ("a", 20, 3.0, None), ("b", 90, 1.0, None)],
        [("b", 91, -0.25, None), ("a", 91, -1.0, None)],
    )
    found = state.customers.set_index("customer_id")
    assert found.loc["a", ["purchases", "spend", "first_spend"]].tolist() == [2, 7.0, 5.0]
    assert found.loc["b", ["purchases", "spend", "first_spend"]].tolist() == [1, 0.75, 0.75]
    assert state.to_dict()["spend"] == 7.75


@pytest.mark.slow
def test_of_a_purchase_returned_whole_nothing_is_left():
    state, _ = merged([("a", 0, 0.1, None), ("a", 0, 0.2, None), ("b", 90, 1.0, None)], [("a", 91, -0.3, None)])
    found = state.customers.set_index("customer_id")
    assert found.loc["a", ["purchases", "spend", "first_spend"]].tolist() == [1, 0.0, 0.0]


@pytest.mark.slow
def test_many_nights_do_not_drift():  # a thousand pass as well, in some minutes
    rng, rows = random.Random(8), [["a", nightly.day(0), 0.1, None, 0.0, 0.0]]
    state, _ = merged([("a", 0, 0.1, None)])
    for night in range(1, 91):
        new = [[rng.choice("abc"), nightly.day(night), rng.randrange(1, 10**6) / 100, None, 0.0, 0.0] for _ in range(3)]
        rows += new
        state.merge(nightly.frame(new), batch=str(night))
    nightly.assert_same_state(state, rows, {})
    assert max(len(table.segments) for table in state._content.tables) < 12


@pytest.mark.slow
def test_models_take_the_summary():
    log = ly.datasets.simulate(customers=300, seed=4)
    cut = log["date"] < log["date"].max() - pd.Timedelta(days=30)
    with ly.transactions(log[cut]) as tx:
        state = CustomerState.from_(tx)
    state.merge(log[~cut], batch="rest")
    with ly.transactions(log) as tx:
        expected = ly.BGNBD().fit(ly.summarize(tx))
        found = ly.BGNBD().fit(state.summarize())
        assert found.params == pytest.approx(expected.params, rel=1e-9)
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
