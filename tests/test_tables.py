import copy
import datetime as dt
import json
import math
import pickle
import re
import uuid
from dataclasses import FrozenInstanceError, dataclass, replace

import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from loyalty import grouping, wording
from loyalty.errors import ColumnError, InvalidArgument
from loyalty.estimates import Estimate, proportion
from loyalty.tables import EstimateSet, Grouped, Table, as_arrow, estimate_rows, free_name, group_values, native
from loyalty.transactions import transactions


def table(**changes):
    data = pa.table(
        {
            "period": pa.array(["1997-01", "1997-02", None]),
            "start": pa.array([pd.Timestamp("1997-01-01").date(), None, None]),
            "rate": [0.25, math.nan, math.inf],
            "spend": [10.5, None, -3.0],
            "n": [1234, 0, 7],
        }
    )
    given = {"name": "retention", "data": data, "kind": "pandas", "sentence": "a < b.", "definition": "d"}
    return Table(**{**given, "units": {"rate": "share", "spend": "money"}, **changes})


KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}


@pytest.mark.parametrize("kind", KINDS)
def test_native(kind):
    found = table(kind=kind)
    frame = found.to_native()
    assert type(frame) is KINDS[kind]
    assert len(frame) == len(found) == 3
    assert isinstance(found.to_pandas(), pd.DataFrame)
    assert str(found.to_pandas()["start"].dtype).startswith("datetime64")
    assert native(found.data.slice(0, 0), kind).shape[1] == 5


def test_columns_and_streams():
    found = table()
    assert found["n"] == [1234, 0, 7]
    assert found["spend"] == [10.5, None, -3.0]
    with pytest.raises(KeyError):
        found["nope"]
    with pytest.raises(ColumnError) as caught:
        found["nope"]
    words = "retention has no column 'nope': the columns are 'period', 'start', 'rate', 'spend', 'n'."
    assert str(caught.value) == words
    assert next(iter(found)) == {
        "period": "1997-01",
        "start": dt.date(1997, 1, 1),
        "rate": 0.25,
        "spend": 10.5,
        "n": 1234,
    }
    assert len(list(found)) == 3
    assert bool(table(data=found.data.slice(0, 0)))
    assert pa.table(found).drop_columns("rate").equals(found.data.drop_columns("rate"))  # NaN equals nothing


def test_table_to_dict_is_json():
    found = json.loads(json.dumps(table(note="mind").to_dict(), allow_nan=False))
    assert (found["name"], found["definition"], found["note"]) == ("retention", "d", "mind")
    assert found["rows"][0] == {"period": "1997-01", "start": "1997-01-01", "rate": 0.25, "spend": 10.5, "n": 1234}
    assert [row["rate"] for row in found["rows"]] == [0.25, None, None]


def test_table_shows_itself():
    assert str(table()) == "a < b."
    assert str(table(note="mind")) == "a < b. Note: mind."
    html = table()._repr_html_()
    for text in ("25.0 %", "not defined", "1,234", "infinite", "-3.00", "<caption>retention</caption>"):
        assert text in html
    assert "…" not in html
    long = table(data=pa.table({"n": list(range(50))}), units={})._repr_html_()
    assert long.count("<tr>") == 1 + 20 + 1
    assert "…" in long


def test_table_is_frozen_and_has_no_picture_of_its_own():
    with pytest.raises(FrozenInstanceError):
        table().name = "x"
    with pytest.raises(InvalidArgument, match="no picture"):
        table().plot()


def test_html_is_escaped():
    data = pa.table({"<b>": ["<script>alert(1)</script>", '"&']})
    html = table(name="<i>", data=data, units={})._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<i>" not in html


# Sets of estimates.


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pair(EstimateSet):
    one: Estimate
    two: Estimate
    other: str = "not an estimate"


def pair(kind="pandas"):
    return Pair(
        kind=kind, one=proportion("one", 1, 4, definition="d"), two=proportion("two", 0, 0, definition="e", excluded=3)
    )


def test_estimate_set():
    found = pair()
    assert list(found.estimates()) == ["one", "two"]
    assert str(found).splitlines() == [str(found.one), str(found.two)]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["two"]["value"] is None
    assert "not defined" in found._repr_html_()
    assert found.plot() is not None


@pytest.mark.parametrize("kind", KINDS)
def test_estimate_set_as_a_frame(kind):
    frame = pair(kind).to_native()
    assert type(frame) is KINDS[kind]
    data = as_arrow(pair(kind))
    assert data.column_names[:2] == ["estimate", "value"]
    assert data["estimate"].to_pylist() == ["one", "two"]
    assert data["n"].to_pylist() == [4, 0]
    assert data["excluded"].to_pylist() == [0, 3]


# Groups.


def groups(**results):
    return Grouped(by="region", results=results, kind="pandas")


def test_grouped_is_a_mapping_in_order():
    found = Grouped(by="region", results={"n": 1, "s": 2, None: 3}, kind="pandas")
    assert list(found) == ["n", "s", None]
    assert (found["s"], found[None], len(found), "x" in found, found.get("x")) == (2, 3, 3, False, None)
    assert dict(found) == {"n": 1, "s": 2, None: 3}
    assert found.map(lambda value: value * 2) == {"n": 2, "s": 4, None: 6}
    assert str(found) == "region = n: 1\nregion = s: 2\nregion = (none): 3"
    with pytest.raises(KeyError):
        found["x"]
    with pytest.raises(InvalidArgument) as caught:
        found["x"]
    assert str(caught.value) == "there is no group 'x' of region: the groups are 'n', 's', None."
    many = Grouped(by="g", results=dict.fromkeys(range(12), 1), kind="pandas")
    with pytest.raises(KeyError, match=r"9, … \(12 in all\)"):
        many["9"]
    with pytest.raises(TypeError):
        found.results["n"] = 5
    assert copy.deepcopy(found) == found
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 (our own bytes)


def test_grouped_estimates():
    found = groups(n=proportion("rate", 1, 4, definition="d"), s=proportion("rate", 0, 0, definition="d"))
    frame = found.to_native()
    assert list(frame.columns)[:2] == ["region", "value"]
    assert frame["region"].tolist() == ["n", "s"]
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["by"] == "region"
    assert [row["group"] for row in data["groups"]] == ["n", "s"]
    assert data["groups"][1]["value"] is None
    assert cells(found)[1] == ["n", "25.0 %", "4.6 % to 69.9 %", "4", ""]
    assert caption(found) == "rate by region, 95 % intervals"
    assert found.plot() is not None


def test_grouped_tables():
    found = groups(n=table(), s=table())
    frame = found.to_native()
    assert frame.columns[0] == "region"
    assert frame["region"].tolist() == ["n"] * 3 + ["s"] * 3
    assert caption(found) == "retention by region"
    rows = cells(found)
    assert [row[0] for row in rows] == ["region", *["n"] * 3, *["s"] * 3]
    assert rows[1][1:] == ["1997-01", "1997-01-01", "25.0 %", "10.50", "1,234"]
    assert rows[2][1:] == ["1997-02", "", "not defined", "not defined", "0"]  # only what has a unit is not defined
    json.dumps(found.to_dict(), allow_nan=False)
    with pytest.raises(InvalidArgument, match="one group's result"):
        found.plot()


def test_grouped_by_a_name_that_the_result_uses():
    found = Grouped(by="value", results={"n": proportion("rate", 1, 4, definition="d")}, kind="pandas")
    assert list(found.to_native().columns)[:2] == ["value_group", "value"]
    tables = Grouped(by="period", results={"n": table()}, kind="pandas")
    assert list(tables.to_native().columns)[:2] == ["period_group", "period"]


def test_no_groups():
    assert len(groups()) == 0
    assert len(groups().to_native()) == 0
    assert groups().to_dict() == {"by": "region", "groups": []}


def cells(result):
    """The texts of an HTML table by row."""
    rows = re.findall("<tr>(.*?)</tr>", result._repr_html_())
    return [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in rows]


def caption(result):
    return re.search("<caption>(.*?)</caption>", result._repr_html_())[1]


def test_every_group_of_tables_is_shown():
    long = table(data=pa.table({"rate": [0.444] * 50}))
    rows = cells(Grouped(by="region", results=dict.fromkeys(["n", "s", "e", None], long), kind="pandas"))
    assert [row[0] for row in rows].count("n") == 6
    assert [row[0] for row in rows].count("(none)") == 6
    assert (rows[1], rows[6]) == (["n", "44.4 %"], ["n", "…"])


def test_groups_that_are_left_out_are_said_to_be():
    one, none = table(data=pa.table({"rate": [0.5]})), table(data=pa.table({"rate": pa.array([], pa.float64())}))
    for result in (one, pair(), proportion("rate", 1, 4, definition="d")):
        many = Grouped(by="g", results=dict.fromkeys(range(400), result), kind="pandas")
        rows = cells(many)
        assert len(rows) == 1 + 40 + 1
        assert set(rows[-1]) == {"…"}
        assert [row[0] for row in rows[1:41]] == list(map(str, range(40)))
        assert "(first 40 of 400 groups)" in caption(many)
    assert cells(groups(n=none, s=one))[1:] == [["n", ""], ["s", "50.0 %"]]


def test_groups_of_sets_are_a_row_each():
    found = Grouped(by="region", results={"n": pair(), None: pair()}, kind="pandas")
    row = ["25.0 % (4.6 % to 69.9 %)", "not defined"]
    assert cells(found) == [["region", "one", "two"], ["n", *row], ["(none)", *row]]
    assert caption(found) == "pair by region, 95 % intervals"
    assert caption(pair()) == "pair, 95 % intervals"


def test_groups_of_other_results_are_shown_one_by_one():
    @dataclass
    class Own:
        def _repr_html_(self):
            return "<b>own</b>"

    shown = Grouped(by="<r>", results={None: Own(), "s": 3} | dict.fromkeys(range(9), 1), kind="pandas")._repr_html_()
    assert shown.startswith("<p>&lt;r&gt; = (none)</p><b>own</b><p>&lt;r&gt; = s</p><p>3</p>")
    assert shown.endswith("<p>… (first 5 of 11 groups)</p>")


def test_groups_in_json_are_told_from_the_nulls():
    keys = [1.5, math.inf, -math.inf, dt.timedelta(days=1, hours=2), dt.date(2024, 1, 5), None]
    found = Grouped(by="k", results=dict.fromkeys(keys, pair()), kind="pandas").to_dict()
    words = [row["group"] for row in found["groups"]]
    assert words == [1.5, "inf", "-inf", "P1DT2H0M0S", "2024-01-05", None]
    json.dumps(found, allow_nan=False)


def test_a_missing_numerator_is_an_empty_cell():
    item = replace(proportion("rate", 1, 4, definition="d"), numerator=math.nan)
    assert ["numerator", ""] in cells(item)


def test_free_name():
    assert free_name("a", ["b"]) == "a"
    assert free_name("a", ["a", "a_group"]) == "a_group_group"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", None], ["a", None]),
        ([1, 2, None], [1, 2, None]),
        ([1, 2.5], [1.0, 2.5]),
        ([1, "a", None], ["1", "a", None]),
        ([True, "a"], ["True", "a"]),
        ([2**64, 1], None),
        ([2**63, 1], None),
        ([uuid.UUID(int=1), None], None),
        ([], []),
    ],
)
def test_group_values(values, expected):
    found = group_values(values).to_pylist()
    assert len(found) == len(values)
    if expected is not None:
        assert found == expected


def test_estimate_rows_of_nobody():
    data = estimate_rows("month", {"a": proportion("rate", 0, 0, definition="d")})
    assert math.isnan(data["value"][0].as_py())
    assert data["note"].to_pylist() == ["undefined: nobody is eligible"]


# Wording.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not defined"),
        (math.nan, "not defined"),
        (pd.NaT, "not defined"),
        (math.inf, "infinite"),
        (1234567, "1,234,567"),
        (2.0, "2"),
        (0.125, "0.12"),
        (0.001234, "0.00123"),
        (True, "True"),
        ("x", "x"),
        (pd.Timestamp("2024-01-05").date(), "2024-01-05"),
    ],
)
def test_plain(value, text):
    assert wording.plain(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, pd.NaT, None, float("-inf")])
def test_what_is_undefined_is_null_in_json(value):
    assert wording.jsonable(value) is None
    assert wording.jsonable([value, {"a": (value,)}]) == [None, {"a": [None]}]


def test_level():
    assert [wording.level(one) for one in (0.95, 0.5, 0.999999, 0.975)] == ["95 %", "50 %", "99.9999 %", "97.5 %"]


# Groups of a log.


@pytest.fixture
def tx():
    frame = pd.DataFrame(
        {
            "customer_id": [1, 2, 3, 3],
            "date": pd.to_datetime(["2024-01-05", "2024-01-06", "2024-02-01", "2024-02-02"]),
            "amount": [1.0, 2.0, 4.0, 8.0],
            "region": ["s", None, "n", "s"],
            "code": [10, 9, 9, 9],
        }
    )
    with transactions(frame) as found:
        yield found


def spend(tx, **by):
    sums = [nw.col("spend").sum()]
    return grouping.measure(tx, tx.customers, sums, lambda rows: rows[0]["spend"], **by)


def test_measure(tx):
    assert spend(tx) == 15.0
    assert dict(spend(tx, by="region")) == {"n": 12.0, "s": 1.0, None: 2.0}
    assert list(spend(tx, by="region")) == ["n", "s", None]
    assert list(spend(tx, by="code")) == [9, 10]
    assert dict(spend(tx, cohort="month")) == {"2024-01": 3.0, "2024-02": 12.0}
    assert (spend(tx, by="region").by, spend(tx, cohort="month").by) == ("region", "month of first purchase")


def test_measure_with_keys(tx):
    sums = [nw.col("spend").sum(), nw.len().alias("n")]
    found = grouping.measure(tx, tx.purchases, sums, lambda rows: rows, keys=["day"])
    assert [row["spend"] for row in found] == [1.0, 2.0, 4.0, 8.0]
    by = grouping.measure(
        tx, tx.purchases, sums, lambda rows: [row["spend"] for row in rows], keys=["day"], by="region"
    )
    assert dict(by) == {"n": [4.0, 8.0], "s": [1.0], None: [2.0]}


def test_measure_gives_every_group_even_where_the_frame_has_none_of_it(tx):
    few = tx.customers.filter(nw.col("spend") > 5)
    found = grouping.measure(tx, few, [nw.len().alias("n")], lambda rows: rows[0]["n"], by="region")
    assert dict(found) == {"n": 1, "s": 0, None: 0}


def test_measure_wants_one_grouping(tx):
    with pytest.raises(InvalidArgument, match="not both"):
        spend(tx, by="region", cohort="month")
    with pytest.raises(InvalidArgument, match="Did you mean 'month'"):
        spend(tx, cohort="months")
    with pytest.raises(ColumnError, match="Did you mean 'region'"):
        spend(tx, by="regio")


def test_too_many_groups():
    n = grouping.MOST_GROUPS + 1
    frame = pd.DataFrame({"customer_id": range(n), "date": pd.Timestamp("2024-01-05"), "amount": 1.0, "by": range(n)})
    with transactions(frame) as tx:
        with pytest.raises(InvalidArgument, match="10,001 groups"):
            spend(tx, by="by")
        assert spend(tx) == n
