"""What tells two answers apart: the suite is worth no more than this."""

import copy
import math

import pandas as pd
import pytest

from conformance import answers

FRAME = pd.DataFrame({"customer_id": [7, 8, 9], "value": [5e6, 2.0, 2.0], "top": [True, False, False]})


def test_an_answer_is_the_same_as_itself_in_any_order():
    one, two = answers.canonical(FRAME), answers.canonical(FRAME.iloc[::-1])
    assert [*answers.differences(one, two)] == []
    assert answers.farthest(one, two) == 0.0


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (0.0, 1e-10),
        (1e-6, 1.00001e-6),
        (1, True),
        (False, 0),
        (None, math.nan),
        (math.nan, 0.0),
        ("1", 1),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        ([], {}),
    ],
)
def test_what_differs(one, two):
    assert [*answers.differences({"x": one}, {"x": two})]
    assert [*answers.differences({"x": two}, {"x": one})]


def test_rounding_counts_beside_the_largest_of_its_column_only():
    table = {"rows": [{"value": 5e6, "share": 0.0}, {"value": 0.0, "share": 0.5}]}
    near = copy.deepcopy(table)
    near["rows"][1]["value"] = 1e-7  # what is left of a sum of millions
    assert not [*answers.differences(table, near)]
    near["rows"][0]["share"] = 1e-7
    assert [*answers.differences(table, near)] == [".rows.0.share: 1e-07 and not 0.0"]


def test_ids_keep_their_type():
    one, two = answers.canonical(FRAME), answers.canonical(FRAME.astype({"customer_id": str}))
    assert [*answers.differences(one, two)] == [".id: 'String' and not 'Int64'"]
    assert not [*answers.differences(answers.with_ids(one, "String"), two)]


def test_a_promised_order_is_held():
    answers.canonical(answers.Ranked(FRAME, "value"))
    with pytest.raises(AssertionError, match=r"value: 5000000\.0 in row 2 is higher"):
        answers.canonical(answers.Ranked(FRAME.iloc[::-1], "value"))
