import math

import narwhals.stable.v2 as nw
import pytest

import logs
from loyalty.errors import InvalidArgument
from loyalty.intervals import RatioMoments
from loyalty.metrics.ratios import RatioSpec, bootstrapped, moment_sums, moments_of, ratio_of_sums

ROWS = [(customer, f"2024-01-0{1 + customer % 3}", float(customer)) for customer in range(9)] * 2
SPEC = RatioSpec(name="share of rows", definition="d", unit="share")


def frame(tx):
    return tx.customers.select("customer", y=nw.col("spend"), x=nw.col("purchases"))


def test_moments_by_hand():
    row = {"a_n": 2, "a_y": 3.0, "a_x": 4, "a_yy": 5.0, "a_xy": 6.0, "a_xx": None}
    assert moments_of(row, "a_") == RatioMoments(2, 3.0, 4.0, 5.0, 6.0, 0.0)


def test_sums_are_those_of_arrays():
    with logs.opened(ROWS) as tx:
        row = tx.collect(frame(tx).select(*moment_sums(prefix="p_"))).to_pylist()[0]
        swapped = tx.collect(frame(tx).select(*moment_sums("x", "y"))).to_pylist()[0]
    spend = [2.0 * customer for customer in range(9)]
    assert moments_of(row, "p_") == RatioMoments(9, 72.0, 9.0, sum(s * s for s in spend), 72.0, 9.0)
    assert moments_of(swapped).y == 9.0
    assert moments_of(swapped).xx == moments_of(row, "p_").yy


def test_sums_over_nobody_are_zero():
    with logs.opened(ROWS) as tx:
        nobody = frame(tx).filter(nw.col("x") > 9)
        row = tx.collect(nobody.select(*moment_sums())).to_pylist()[0]
        found = ratio_of_sums(tx, nobody, SPEC)
        drawn = ratio_of_sums(tx, nobody, RatioSpec(name="n", definition="d", unit="ratio", method="bootstrap"))
    assert moments_of(row) == RatioMoments(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for one in (found, drawn):
        assert math.isnan(one.value)
        assert (one.n, one.note) == (0, "undefined: the denominator is zero")


def test_both_methods_give_the_same_value():
    with logs.opened(ROWS) as tx:
        formula = ratio_of_sums(tx, frame(tx), SPEC)
        drawn = ratio_of_sums(tx, frame(tx), RatioSpec(name="n", definition="d", unit="ratio", method="bootstrap"))
    assert (formula.value, formula.n, formula.numerator) == (8.0, 9, 72.0)
    assert (drawn.value, drawn.n, drawn.numerator) == (8.0, 9, 72.0)
    assert drawn.low < 8.0 < drawn.high
    assert logs.close(logs.limits(formula), logs.ratio([(2 * customer, 1) for customer in range(9)]))


def test_pairs_are_counted():
    found = bootstrapped([{"y": 1.0, "x": 2.0, "n": 30}, {"y": 0.0, "x": 1.0, "n": 10}], SPEC)
    assert (found.value, found.n, found.denominator) == (30 / 70, 40, 70)


@pytest.mark.parametrize(("y", "expected"), [(0.0, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_a_bounded_share_at_its_end_has_wilsons_limits(y, expected, method):
    spec = RatioSpec(name="n", definition="d", unit="share", bounded=True, method=method)
    with logs.opened(ROWS) as tx:
        found = ratio_of_sums(tx, tx.customers.select("customer", y=nw.lit(y), x=nw.lit(1.0)), spec)
        free = ratio_of_sums(tx, tx.customers.select("customer", y=nw.lit(y), x=nw.lit(1.0)), SPEC)
    assert logs.close(logs.limits(found), logs.wilson(9 * expected, 9))
    assert found.method == "wilson"
    assert (free.low, free.high) == (expected, expected)  # a ratio that is no share may be anything


@pytest.mark.parametrize(("field", "value"), [("confidence", 1.0), ("method", "jackknife")])
def test_bad_arguments(field, value):
    spec = RatioSpec(name="n", definition="d", unit="share", **{field: value})
    with logs.opened(ROWS) as tx, pytest.raises(InvalidArgument, match=field):
        ratio_of_sums(tx, frame(tx), spec)
