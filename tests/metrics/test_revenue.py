import itertools
import math

import numpy as np
import pandas as pd
import pytest

import logs
import loyalty as ly
from loyalty.errors import InvalidArgument

NAMES = [
    "period",
    "start",
    "customers",
    "base_spend",
    "next_spend",
    "net",
    "net_low",
    "net_high",
    "gross",
    "gross_low",
    "gross_high",
    "excluded",
]

GOLDEN = [
    (1, "2024-01-01", 10.0),
    (1, "2024-02-29", 15.0),  # more than before: counts for 15 net, 10 gross
    (2, "2024-01-31", 20.0),
    (2, "2024-02-01", 5.0),  # less: counts for 5 in both
    (3, "2024-01-05", 10.0),  # gone
    (4, "2024-01-05", 0.0),  # nothing to compare with
    (4, "2024-02-05", 50.0),
    (5, "2024-02-05", 30.0),  # new
]


def revenue_retention_rate(tx, *args, **options):
    """Return the pooled rates of `revenue_retention`, or a dict of them by group."""
    found = ly.revenue_retention(tx, *args, **options)
    if isinstance(found, ly.Grouped):
        return {group: {"net": one.net, "gross": one.gross} for group, one in found.items()}
    return {"net": found.net, "gross": found.gross}


def test_by_hand():
    with logs.opened(GOLDEN) as tx:
        table = ly.revenue_retention(tx)
    assert table.data.column_names == NAMES
    assert len(table) == 1
    line = table.data.to_pylist()[0]
    assert (line["period"], line["customers"], line["excluded"]) == ("2024-01", 3, 1)
    assert (line["base_spend"], line["next_spend"]) == (40.0, 20.0)
    assert (line["net"], line["gross"]) == (0.5, 0.375)
    assert (table.net.value, table.net.numerator, table.net.denominator) == (0.5, 20.0, 40.0)
    assert (table.gross.value, table.gross.numerator, table.gross.denominator) == (0.375, 15.0, 40.0)
    for found in (table.net, table.gross):
        assert (found.n, found.excluded) == (3, 1)
        assert found.note == "customer-months left out, their spend not being above zero: 1"
    # residuals of y − R·x: 10, −5, −5 and 6.25, −2.5, −3.75
    assert table.net.high - 0.5 == pytest.approx(1.959963984540054 * math.sqrt(1.5 * 150) / 40, rel=1e-12)
    assert table.gross.high == line["gross_high"]
    assert line["gross_high"] == pytest.approx(0.375 + 1.959963984540054 * math.sqrt(1.5 * 59.375) / 40, rel=1e-12)
    assert (table.gross.low, line["gross_low"]) == (0.0, 0.0)  # −8.7 % cannot be
    assert line["net_low"] == pytest.approx(0.5 - 1.959963984540054 * math.sqrt(1.5 * 150) / 40, rel=1e-12)


def test_returns_may_turn_spend_negative_before_and_after():
    rows = [(1, "2024-01-01", 10.0), (1, "2024-02-05", 4.0), (1, "2024-02-09", -9.0),  # next: −5, at most lost
            (2, "2024-01-05", 10.0), (2, "2024-01-06", -12.0), (2, "2024-02-05", 30.0),  # base: −2, left out
            (3, "2024-01-05", 10.0), (3, "2024-02-29", 10.0)]  # fmt: skip
    with logs.opened(rows) as tx:
        table = ly.revenue_retention(tx)
    assert (table["base_spend"], table["next_spend"]) == ([20.0], [5.0])
    assert (table["net"], table["gross"], table["excluded"]) == ([0.25], [0.5], [1])


def counted(case, period):
    """Return the table's rows as the definitions have them, and what each customer had in all bases together."""
    spent = case.by_period(period)
    lines, pooled, left_out = [], {}, 0
    for start, following in itertools.pairwise(case.complete(period)):
        base = {customer: mine[start] for customer, mine in spent.items() if start in mine}
        counts = [customer for customer in base if base[customer] > 1e-12]
        later = {customer: spent[customer].get(following, 0.0) for customer in counts}
        capped = {customer: min(max(later[customer], 0.0), base[customer]) for customer in counts}
        net = logs.ratio([(later[customer], base[customer]) for customer in counts])
        gross = logs.inside(logs.ratio([(capped[customer], base[customer]) for customer in counts]))
        sums = sum(base[customer] for customer in counts), sum(later.values())
        line = [logs.label(start, period), start, len(counts), *sums, *net, *gross, len(base) - len(counts)]
        lines.append(dict(zip(NAMES, line, strict=True)))
        left_out += len(base) - len(counts)
        for customer in base:
            mine = pooled.setdefault(customer, [0.0, 0.0, 0.0])
            if customer in later:
                for place, part in enumerate((later, capped, base)):
                    mine[place] += part[customer]
    return lines, list(pooled.values()), left_out


@logs.every
def test_against_counting_by_hand(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        for period in logs.PERIODS:
            lines, people, left_out = counted(case, period)
            table = ly.revenue_retention(tx, period)
            for name in NAMES:
                expected = [line[name] for line in lines]
                same = list.__eq__ if name in {"period", "start", "customers", "excluded"} else logs.close
                assert same(table[name], expected), (period, name)
            known = [mine for mine in people if mine[2] > 0]
            for place, found in enumerate((table.net, table.gross)):
                pairs = [(mine[place], mine[2]) for mine in known]
                expected = logs.ratio(pairs)
                if place:
                    expected = logs.inside(expected)
                    if len(pairs) > 1 and expected[0] in {0.0, 1.0}:
                        expected = logs.wilson(expected[0] * len(pairs), len(pairs))
                assert logs.close(logs.limits(found), expected), period
                assert (found.n, found.excluded) == (len(known), len(people) - len(known))
                assert (f"not being above zero: {left_out:,}" in found.note) == (left_out > 0)
                assert math.isnan(found.value) == ("undefined" in found.note)
                assert math.isnan(found.low) == (len(known) < 2)


@pytest.fixture(scope="module")
def sample():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        yield tx


def test_the_interval_is_that_of_customers_drawn_again(sample):
    frame = ly.datasets.cdnow_sample()
    spent = frame.pivot_table("amount", "customer_id", frame["date"].dt.to_period("Q"), "sum", fill_value=0.0)
    spent = spent.to_numpy()
    base, later = spent[:, :-1], np.where(spent[:, :-1] > 0, spent[:, 1:], 0.0)
    tops = {"net": later.sum(axis=1), "gross": np.minimum(later, base).sum(axis=1)}
    below = base.sum(axis=1)
    table = ly.revenue_retention(sample, "quarter")
    resampled = revenue_retention_rate(sample, "quarter", method="bootstrap", seed=3)
    for name, top in tops.items():
        low, high = logs.bootstrap(lambda drawn, top=top: top[drawn].sum() / below[drawn].sum(), len(below))
        for found in (getattr(table, name), resampled[name]):
            assert found.value == pytest.approx(top.sum() / below.sum(), rel=1e-9)
            assert found.high - found.low == pytest.approx(high - low, rel=0.1)
            assert found.n == (below > 0).sum()
        assert resampled[name].method == "bootstrap"
        assert resampled[name].low == pytest.approx(low, rel=0.02)


def test_the_bootstrap_counts_who_is_left_out_as_the_formula_does():
    with logs.opened(GOLDEN, observed_from="2024-01-01") as tx:
        formula, drawn = (revenue_retention_rate(tx, method=method) for method in ("delta", "bootstrap"))
    for name in ("net", "gross"):
        assert (drawn[name].value, drawn[name].n) == (formula[name].value, formula[name].n)
        assert (drawn[name].excluded, drawn[name].note) == (formula[name].excluded, formula[name].note)
        assert drawn[name].high != formula[name].high


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_nobody_with_spend_above_zero_is_undefined(method):
    rows = [(1, "2024-01-01", 0.0), (1, "2024-02-29", 9.0), (2, "2024-01-09", 5.0), (2, "2024-01-10", -5.0)]
    with logs.opened(rows) as tx:
        table, rates = ly.revenue_retention(tx), revenue_retention_rate(tx, method=method)
    assert logs.close(table["net"], [math.nan])
    assert (table["customers"], table["excluded"], table["base_spend"]) == ([0], [2], [0.0])
    assert table.note == "months without a rate, since nobody spent more than zero in them: 1"
    for found in (table.net, table.gross, rates["net"], rates["gross"]):
        assert math.isnan(found.value)
        assert (found.n, found.excluded) == (0, 2)
        assert found.note.endswith("undefined: nobody spent more than zero in a complete period")
    assert "nan" not in str(table)


def test_one_customer_has_rates_and_no_interval():
    with logs.opened([(1, "2024-01-01", 10.0), (1, "2024-02-29", 5.0), (2, "2024-01-01", 0.0)]) as tx:
        table = ly.revenue_retention(tx)
    assert (table["net"], table.net.value, table.net.n) == ([0.5], 0.5, 1)
    assert logs.close(table["net_low"], [math.nan])
    assert "no interval: it needs two customers or more" in table.net.note
    assert table.note == "months without an interval, since it needs two customers or more: 1"


def test_a_short_window_says_so_once_a_rate():
    with logs.opened([(1, "2024-01-01", 10.0)]) as tx:
        table = ly.revenue_retention(tx, "year")
    assert len(table) == 0
    assert str(table).count("holds fewer than two complete years") == 2
    assert "fewer than two complete years" in table.note
    assert table.data.column_names == NAMES


def test_groups():
    shop = ["x", "x", "y", "y", "y", None, None, "z"]
    with logs.opened([(*row, name) for row, name in zip(GOLDEN, shop, strict=True)], "shop") as tx:
        tables = ly.revenue_retention(tx, by="shop")
        drawn = revenue_retention_rate(tx, by="shop", method="bootstrap")
    assert {shop: table["net"] for shop, table in tables.items() if shop in {"x", "y"}} == {"x": [1.5], "y": [1 / 6]}
    assert list(tables) == list(drawn) == ["x", "y", "z", None]
    for tables_of in (tables["z"].net, tables[None].net, drawn["z"]["net"], drawn[None]["gross"]):
        assert math.isnan(tables_of.value)
        assert "undefined" in tables_of.note


def test_result_protocol():
    with logs.opened(GOLDEN) as tx:
        table = ly.revenue_retention(tx)
    assert str(table).splitlines()[0].startswith("Net revenue retention by month: 50.0 % (95 % interval ")
    assert str(table).splitlines()[1].startswith("Gross revenue retention by month: 37.5 % (95 % interval ")
    found = table.to_dict()
    assert found["net"]["value"] == 0.5
    assert found["rows"][0]["period"] == "2024-01"
    assert "gross: As net" in found["definition"]
    assert isinstance(table.to_native(), pd.DataFrame)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda tx: ly.revenue_retention(tx, "semester"), "'quarter'"),
        (lambda tx: ly.revenue_retention(tx, confidence=95), "0.95"),
        (lambda tx: revenue_retention_rate(tx, method="wilson"), "'bootstrap'"),
        (lambda tx: revenue_retention_rate(tx, confidence=0, method="bootstrap"), "confidence=0"),
        (lambda tx: ly.revenue_retention(tx, by="amount", cohort="day"), "not both"),
    ],
)
def test_bad_arguments(call, hint):
    with logs.opened(GOLDEN) as tx, pytest.raises(InvalidArgument, match=hint):
        call(tx)
