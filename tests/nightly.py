"""Random logs cut into nights, and what a state must say after each: the same as the whole log opened anew."""

import datetime as dt
import random

import numpy as np
import pandas as pd

import loyalty as ly
from loyalty.state.customer_state import CustomerState

START = dt.date(2024, 1, 1)
COLUMNS = ["customer_id", "date", "amount", "order", "cost", "discount"]


def day(number):
    return START + dt.timedelta(days=number)


def random_rows(rng, *, rows=60, customers=5, days=40, returns=0.25, wild=False):
    """Return rows with ties, returns to own and to strange orders, orders on several days, and guests."""
    found = []
    for _ in range(rows):
        customer = rng.choice([f"c{number}" for number in range(customers)])
        # An order number may turn up again after weeks: the same purchase, if the customer is the same.
        order = rng.choice([None, *(f"{customer}-{rng.randrange(6)}" for _ in range(3))])
        amount = rng.choice([0.0, 1.0, 2.5, 10.0, 10.0, rng.randrange(1, 4000) / 100])
        if rng.random() < returns:
            amount = -amount if amount else -1.0
        row = [customer, day(rng.randrange(days)), amount, order, rng.randrange(500) / 100, rng.randrange(200) / 100]
        if rng.random() < 0.03:
            row[0] = None
        if wild and rng.random() < 0.05:
            row[rng.choice([1, 2, 4])] = None
        found.append(row)
    return found


def frame(rows):
    made = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("amount", "cost", "discount"):
        made[name] = made[name].astype("float64")
    for name in ("customer_id", "order"):
        made[name] = made[name].astype("object")
    return made.assign(date=pd.to_datetime(made["date"]))


def nights(rng, rows, *, lateness, first=None, tardy=0.2, step=9):
    """Return lists of rows in the order of their delivery: most on their day, some later."""
    arrivals = []
    for row in rows:
        made = (row[1] - START).days if row[1] else rng.randrange(40)
        delay = rng.randrange(lateness + 1) if rng.random() < tardy else 0
        arrivals.append((made + delay, rng.random(), row))
    arrivals.sort(key=lambda one: one[:2])
    first = rng.randrange(8, 25) if first is None else first
    cuts, found = [first], []
    while cuts[-1] < 60:
        cuts.append(cuts[-1] + rng.randrange(1, step))
    for low, high in zip([-1, *cuts], cuts, strict=False):
        found.append([row for arrival, _, row in arrivals if low <= arrival < high])
    return found


def opened(rows, **options):
    return ly.transactions(frame(rows), **options)


def assert_same_state(state, rows, options, *, too_late=()):
    """Raise unless a state says what the whole log does, opened anew."""
    window = {"observed_from": state.observed_from, "observed_until": state.observed_until}
    with opened(rows, **{**options, **window, "invalid": "exclude"}) as tx:
        ids = ["customer_id"]
        days = ("first_day", "first_inside", "last_day")
        assert_same_frame(state.customers, tx.hand_back(tx.customers, days=days), ids)
        assert_same_frame(state.summarize("day").to_native(), ly.summarize(tx, "day").to_native(), ids)
        expected = {line["reason"]: (line["rows"], line["amount"]) for line in tx.exclusions if line["rows"]}
        if too_late:
            expected["too_late"] = (len(too_late), sum(row[2] for row in too_late))
        found = {line["reason"]: (line["rows"], line["amount"]) for line in state.exclusions if line["rows"]}
        assert found.keys() == expected.keys(), (found, expected)
        for reason, (count, amount) in expected.items():
            assert found[reason][0] == count, (reason, found, expected)
            assert abs(found[reason][1] - amount) < 1e-9 * max(1.0, abs(amount)), (reason, found, expected)
        told = state.to_dict()
        assert (told["customers"], told["purchases"]) == (tx.n_customers, tx.n_purchases)
        spend = sum(tx.collect(tx.customers)["spend"].to_pylist())
        assert abs(told["spend"] - spend) < 1e-9 * max(1.0, abs(spend))
        assert told["rows_in"] == tx.rows_in + len(too_late)
        assert told["rows_used"] == tx.rows_used


def assert_same_frame(found, expected, ids):
    assert list(found.columns) == list(expected.columns)
    found = found.sort_values(ids).reset_index(drop=True)
    expected = expected.sort_values(ids).reset_index(drop=True)
    for name in expected.columns:
        if expected[name].dtype.kind == "f":
            assert len(found) == len(expected)
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            pd.testing.assert_series_equal(found[name], expected[name])


def follow(
    seed, *, options, lateness=7, observed_from=None, wild=False, tardy=0.2, too_tardy=0, check_all=True, **making
):
    """Merge a random log night by night, comparing after each; return how many nights there were."""
    rng = random.Random(seed)
    rows = random_rows(rng, wild=wild, **making)
    delivered = nights(rng, rows, lateness=lateness + too_tardy, tardy=tardy)
    first = None if observed_from is None else day(observed_from)
    so_far = list(delivered[0])
    try:
        with opened(so_far, **options, observed_from=first, invalid="exclude") as tx:
            state = CustomerState.from_(tx, lateness=f"{lateness}d")
    except ly.errors.EmptyData:
        return 0
    with state:
        assert_same_state(state, so_far, options)
        too_late = []
        for number, night in enumerate(delivered[1:]):
            closed = [row for row in night if _closed(row, state.open_from, options)]
            state.merge(frame(night), batch=f"n{number}", late="exclude", invalid="exclude")
            too_late += closed
            so_far += [row for row in night if row not in closed]
            if check_all or number == len(delivered) - 2:
                assert_same_state(state, so_far, options, too_late=too_late)
    return len(delivered)


def _closed(row, open_from, options):
    values = [row[0], row[1], row[2], *([row[4]] if options.get("cost") else [])]
    if any(value is None for value in values) or (options.get("returns") == "drop" and row[2] < 0):
        return False
    return row[1] < open_from
