"""Sums of money as whole numbers: what is equal is so whatever its last digit."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.places import Places


@pytest.mark.parametrize(
    ("largest", "digits"),
    [(None, 2), (0.0, 2), (1.0, 12), (999.99, 9), (1000.0, 9), (1000.01, 8), (1e-5, 17), (1e10, 2), (1e12, 2),
     (2e12, 1), (1e14, 0), (1e15, -1), (1e100, -86), (1e-310, 300), (1000.0 + 1e-12, 9)],
)  # fmt: skip
def test_digits_by_hand(largest, digits):
    assert Places.for_largest(largest).digits == digits
    assert Places(digits).unit == float(Fraction(10) ** -digits)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8), st.integers(1, 10**12))
def test_cents_in_any_order_have_their_own_place(cents, largest):
    places = Places.for_largest(max(largest, sum(map(abs, cents))) / 100)
    factor = 10 ** (places.digits - 2)
    orders = itertools.islice(itertools.permutations(cents), 24)
    sums = {sum(cent / 100 for cent in order) for order in orders}
    assert {int(place) for place in places.of(sorted(sums))} == {sum(cents) * factor}


@given(st.lists(st.floats(-1e90, 1e90, allow_nan=False), min_size=1, max_size=20))
def test_an_engine_finds_the_same_places(values):
    places = Places.for_largest(max(map(abs, values)))
    frame = nw.from_native(duckdb.from_arrow(pa.table({"v": pa.array(values, pa.float64())})))
    found = frame.select(place=places.column(nw.col("v"))).collect("pyarrow")["place"].to_list()
    assert found == places.of(values).astype(np.int64).tolist()


def test_coarser_places_by_hand():
    places = Places(2, coarser=1)
    assert places.unit == 0.1
    found = places.of([0.0, 0.004, 0.01, 0.1, 0.11, -0.004, -0.01, -0.1, -0.11, math.inf, math.nan])
    assert found[:-1].tolist() == [0, 0, 1, 1, 2, 0, -1, -1, -2, math.inf]
    assert math.isnan(found[-1])
    # Whatever digits the sums end in, the coarser place is that of the cents.
    assert 0.1 + 0.2 > 0.3
    assert places.of([0.1 + 0.2, 0.3, 0.7 + 0.1, 0.8]).tolist() == [3, 3, 8, 8]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1e90, 1e90, allow_nan=False), min_size=1, max_size=20), st.integers(1, 12))
def test_an_engine_finds_the_same_coarser_places(values, coarser):
    places = replace(Places.for_largest(max(map(abs, values))), coarser=coarser)
    frame = nw.from_native(duckdb.from_arrow(pa.table({"v": pa.array(values, pa.float64())})))
    found = frame.select(place=places.column(nw.col("v"))).collect("pyarrow")["place"].to_list()
    assert found == places.of(values).astype(np.int64).tolist()
    fine = [int(place) for place in replace(places, coarser=0).of(values)]
    assert found == [math.copysign(1, place) * -(-abs(place) // 10**coarser) for place in fine]


def test_halves_go_up_and_what_is_no_number_stays_so():
    found = Places(0).of([0.5, -0.5, 1.5, -1.5, math.inf, math.nan, 1e300])
    assert found[:4].tolist() == [1.0, 0.0, 2.0, -1.0]
    assert found[4] == math.inf
    assert math.isnan(found[5])
    assert Places(300).of([1e300])[0] == math.inf
