"""Laws of the ground floor: what may change in a log without changing any answer."""

import datetime as dt

import narwhals.stable.v2 as nw
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sources
from loyalty import intervals
from loyalty.errors import EmptyData
from loyalty.grouping import measure
from loyalty.transactions import transactions

START = dt.date(2024, 1, 1)
laws = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])

money = st.integers(-2000, 5000).map(lambda cents: cents / 100)
row = st.fixed_dictionaries(
    {
        "customer": st.integers(0, 5),
        "day": st.integers(0, 70),
        "hour": st.integers(0, 23),
        "amount": money,
        "order": st.one_of(st.none(), st.integers(0, 6)),
        "by": st.sampled_from(["x", "y", None]),
    }
)
logs = st.lists(row, min_size=1, max_size=25)
choices = st.fixed_dictionaries(
    {
        "occasion": st.sampled_from(["day", "order"]),
        "returns": st.sampled_from(["net", "drop"]),
        "observed_from": st.sampled_from([None, START + dt.timedelta(days=20)]),
        "observed_until": st.sampled_from([None, START + dt.timedelta(days=50)]),
    }
)


def framed(rows):
    """Return rows as a frame, ids as text: an order must not be a number, or nulls would make it a float."""
    days = [dt.datetime.combine(START, dt.time(row["hour"])) + dt.timedelta(days=row["day"]) for row in rows]
    return pd.DataFrame(
        {
            "customer_id": pd.Series([row["customer"] for row in rows], dtype="Int64"),
            "date": days,
            "amount": [float(row["amount"]) for row in rows],
            "order": pd.Series([None if row["order"] is None else f"o{row['order']}" for row in rows], dtype=object),
            "by": pd.Series([row["by"] for row in rows], dtype=object),
        }
    )


def answers(frame, *, rename=None, **options):
    """Return all that the ground floor says of a log, or the message where there is nothing to measure."""
    try:
        tx = transactions(frame, order="order", **options)
    except EmptyData as error:
        return str(error)
    rename = rename or {}
    with tx:
        customers = sources.rows(tx.hand_back(tx.customers))
        groups = measure(tx, tx.customers, [nw.len().alias("n")], lambda rows: rows[0]["n"], by="by")
        purchases = [line["spend"] for line in tx.collect(tx.purchases).to_pylist()]
        return {
            "customers": {rename.get(one, one): line for one, line in customers.items()},
            "groups": {str(group): count for group, count in groups.items()},
            "purchases": sorted(purchases),
            "exclusions": {line["reason"]: (line["rows"], line["amount"]) for line in tx.exclusions.data.to_pylist()},
            "window": (tx.window.first, tx.window.last),
        }


def without(found, *parts):
    return found if isinstance(found, str) else {key: value for key, value in found.items() if key not in parts}


@laws
@given(logs, choices, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, options, random):
    shuffled = random.sample(rows, len(rows))
    assert sources.same(answers(framed(rows), **options), answers(framed(shuffled), **options))


@laws
@given(logs, choices, st.permutations(range(6)))
def test_what_customers_are_called_does_not_matter(rows, options, names):
    frame = framed(rows)
    expected = answers(frame, **options)
    numbers = frame.assign(customer_id=frame["customer_id"].map(lambda one: names[one] * 1000))
    back = {str(names[one] * 1000): str(one) for one in range(6)}
    assert sources.same(answers(numbers, rename=back, **options), expected)
    words = frame.assign(customer_id=frame["customer_id"].map(lambda one: f"it's {names[one]}").astype("category"))
    back = {f"it's {names[one]}": str(one) for one in range(6)}
    assert sources.same(answers(words, rename=back, **options), expected)


@laws
@given(logs, choices, st.integers(0, 10**6), st.floats(0, 1))
def test_a_row_may_be_split_in_two(rows, options, place, share):
    place %= len(rows)
    part = round(rows[place]["amount"] * share, 2)
    halves = [{**rows[place], "amount": part}, {**rows[place], "amount": rows[place]["amount"] - part}]
    if rows[place]["amount"] < 0 and (part == 0 or part == rows[place]["amount"]):
        return  # a row of nothing beside a return would be a purchase
    split = rows[:place] + halves + rows[place + 1 :]
    one, two = answers(framed(rows), **options), answers(framed(split), **options)
    # By the rule for ties the value of the largest row counts, so the groups may differ.
    assert sources.same(without(one, "exclusions", "groups"), without(two, "exclusions", "groups"))
    if not isinstance(one, str):
        amounts = [{reason: found[1] for reason, found in each["exclusions"].items()} for each in (one, two)]
        assert sources.same(*amounts)


@laws
@given(logs, choices, st.integers(-100, 200), money)
def test_a_guest_row_changes_nothing_but_the_exclusions(rows, options, day, amount):
    guest = {**rows[0], "customer": None, "day": day, "amount": amount}
    one, two = answers(framed(rows), **options), answers(framed([*rows, guest]), **options)
    if isinstance(one, str):
        assert isinstance(two, str)
        return
    assert sources.same(without(one, "exclusions"), without(two, "exclusions"))
    assert two["exclusions"].pop("no_customer") == (1, amount)
    assert sources.same(one["exclusions"], two["exclusions"])


@laws
@given(logs, choices, st.integers(-400, 400))
def test_time_may_be_shifted(rows, options, days):
    shift = pd.Timedelta(days=days)
    later = {key: value and value + shift for key, value in options.items() if key.startswith("observed")}
    frame = framed(rows)
    one = answers(frame, **options)
    two = answers(frame.assign(date=frame["date"] + shift), **{**options, **later})
    if isinstance(one, str):
        assert isinstance(two, str)
        return
    for line in two["customers"].values():
        for name in ("first_day", "first_inside", "last_day"):
            line[name] -= days
    assert tuple(end - days for end in two["window"]) == one["window"]
    assert sources.same(without(one, "window"), without(two, "window"))


@laws
@given(logs, choices)
def test_money_may_be_counted_in_cents(rows, options):
    frame = framed(rows)
    one, two = answers(frame, **options), answers(frame.assign(amount=frame["amount"] * 100), **options)
    if isinstance(one, str):
        assert one == two
        return
    for line in two["customers"].values():
        for name in ("spend", "first_spend"):
            line[name] /= 100
    assert sources.same(one["customers"], two["customers"], tolerance=1e-7)
    assert one["groups"] == two["groups"]


@laws
@given(logs, choices)
def test_every_row_and_every_sum_is_in_one_place(rows, options):
    frame = framed(rows)
    found = answers(frame, **options)
    if isinstance(found, str):
        return
    spent = sum(line["spend"] for line in found["customers"].values())
    left_out = sum(amount for _, amount in found["exclusions"].values())
    assert abs(spent + left_out - frame["amount"].sum()) < 1e-6
    assert abs(sum(found["purchases"]) - spent) < 1e-6
    assert sum(found["groups"].values()) == len(found["customers"])


@laws
@given(logs, choices)
def test_customers_add_up_over_separate_logs(rows, options):
    frame = framed(rows)
    ends = {key: value or edge for key, value, edge in (
        ("observed_from", options["observed_from"], START),
        ("observed_until", options["observed_until"], START + dt.timedelta(days=70)),
    )}  # fmt: skip
    options = {**options, **ends}
    whole = answers(frame, **options)
    parts = [answers(frame[frame["customer_id"] % 2 == rest], **options) for rest in (0, 1)]
    together = {one: line for part in parts if not isinstance(part, str) for one, line in part["customers"].items()}
    assert sources.same(together, {} if isinstance(whole, str) else whole["customers"])


@laws
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 50)), min_size=2, max_size=10),
    st.integers(0, 99),
)
def test_bootstrap_limits_depend_on_the_pairs_alone(pairs, seed):
    import numpy as np

    y, x, n = (np.array(part) for part in zip(*pairs, strict=True))
    limits = intervals.bootstrap_ratio(y.astype(float), x.astype(float), n, seed=seed, replicates=100)
    order = np.random.default_rng(seed).permutation(len(y))
    again = intervals.bootstrap_ratio(
        y[order].astype(float), x[order].astype(float), n[order], seed=seed, replicates=100
    )
    assert limits == again
    assert limits[0] <= limits[1]
