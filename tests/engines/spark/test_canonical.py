"""A caller's columns on Spark: the same canonical rows, exclusions and errors as on DuckDB."""

import datetime as dt
import decimal

import pandas as pd
import pyarrow as pa
import pytest

import loyalty as ly
import sources
import spark_cluster
from loyalty import engines
from loyalty.errors import ColumnError, InvalidArgument, InvalidRows

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("spark")]

INF = float("inf")


def canonical(table, spec, value=None):
    """Return canonical rows in their order, through the column `n` named as cost; times where there is a day."""
    engine = engines.connect(table)
    try:
        rows = engine.collect(engine.rows(spec, value)).to_pylist()
    finally:
        engine.close()
    for row in rows:
        if row["day"] is None:
            row.pop("time", None)
    return sorted(rows, key=lambda row: row["cost"])


def spec(timezone=None, **columns):
    roles = {"customer": "id", "date": "day", "amount": "amount", "cost": "n"}
    return engines.RowSpec({**roles, **columns}, timezone)


def both(wanted, value=None, **columns):
    """Return the canonical rows of columns on DuckDB and on Spark."""
    length = len(next(iter(columns.values())))
    usual = {"id": ["a"] * length, "day": [dt.date(2024, 1, 5)] * length, "amount": [1.0] * length}
    table = pa.table({**usual, **columns, "n": [float(number) for number in range(length)]})
    frame = spark_cluster.frame(table, 2)
    return canonical(table, wanted, value), canonical(frame, wanted, value)


def test_ids_that_are_none_and_ids_that_only_look_so():
    ids = ["a", "", " ", "\t\r\n ", None, "ü", " x ", "\u00a0", "NaN", "null", "A", "0", "日本", "\x00", "😀"]
    here, there = both(spec(), id=ids)
    assert there == here
    assert [row["customer"] for row in there[:5]] == ["a", None, None, None, None]


def test_numbers_that_are_no_ids():
    here, there = both(spec(), id=pa.array([1.5, float("nan"), None, INF, -0.0, 2.0**60]))
    assert there == here


@pytest.mark.parametrize("role", ["amount", "cost", "discount"])
def test_sums_of_money(role):
    values = [0.0, -0.0, 1e99, 1e100, -1e100, INF, -INF, float("nan"), None, 0.1, 1e-300]
    table = pa.table(
        {
            "id": range(len(values)),
            "day": [dt.date(2024, 1, 5)] * len(values),
            "amount": [1.0] * len(values),
            "money": pa.array(values, pa.float64()),
        }
    )
    wanted = engines.RowSpec({"customer": "id", "date": "day", "amount": "amount", role: "money"})
    here, there = (
        {row["customer"]: row for row in engines_rows(one, wanted)} for one in (table, spark_cluster.frame(table))
    )
    assert there == here
    assert there[6][role] is None


def engines_rows(table, wanted):
    engine = engines.connect(table)
    try:
        return engine.collect(engine.rows(wanted)).to_pylist()
    finally:
        engine.close()


@pytest.mark.parametrize(
    "amounts",
    [
        pa.array([decimal.Decimal("12345678901234567890.123456789012345678"), decimal.Decimal("-0.10"), None]),
        pa.array([2**62, -1, None], pa.int64()),
        pa.array([127, -128, None], pa.int8()),
        pa.array([0.1, -1.5, None], pa.float32()),
        pa.nulls(3),
    ],
    ids=lambda array: str(array.type),
)
def test_types_of_amounts(amounts):
    here, there = both(spec(), amount=amounts)
    assert sources.same(there, here, 1e-15)


TEXT = [
    "2024-02-29", "2023-02-29", "2024-13-01", "2024-1-5", "24-01-05", "2024/01/05", "03/04/2020", "20240105", "",
    " 2024-01-05 ", "2024-01-05\n", "2024-01-05 10:30", "2024-01-05T10:30:59", "2024-01-05 10:30:59.123456",
    "2024-01-05 10:30:59.123456789", "2024-01-05 25:00", "2024-01-05 23:59:60", "2024-01-05 24:00:00",
    "2024-01-05 24:00", "2024-01-05T24:00:00.000", "2024-01-05 24:00:01", "2024-01-05 24:30", "9999-12-31 24:00",
    "2024-01-05 10:61", "2024-01-05 10", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "-2024-01-05",
    "2024-01-05x", "today", "epoch", "infinity", "1900-02-29", "2000-02-29", "2024-01-05  10:30", None,
    "\uff12\uff10\uff12\uff14-01-05", "1582-10-10", "2024-03-31 02:30",
]  # fmt: skip


def test_dates_spelled_out():
    here, there = both(spec(), value="amount", day=TEXT)
    assert there == here
    assert sum(row["day"] is not None for row in there) == sum(row["day"] is not None for row in here) > 10


ZONED = [
    "2024-01-05 23:30+00:00", "2024-01-05T23:30:59Z", "2024-07-05 22:30:00.5+00", "2024-03-31 00:59:59+00:00",
    "2024-03-31 01:00:00+00:00", "2024-10-27 00:30:00Z", "2024-10-27 01:30:00Z", "2024-01-05 23:30:00-0930",
    "2024-01-05 23:30:00+05:45", "2024-01-05 25:30:00+01:00", "0001-01-01 00:00:00+05:00", "9999-12-31 23:30:00Z",
    "1950-06-01 23:30:00Z", "1880-01-01 23:55:00Z", " 2024-01-05 23:30Z ", None,
    "2024-01-05 24:00Z", "2024-01-05 24:00:00+01", "2024-01-05 24:00:01Z",
]  # fmt: skip
MOMENTS = [
    "2024-01-05T23:30:00", "2024-03-31T00:59:59", "2024-03-31T01:00:00", "2024-10-27T00:30:00", "2024-10-27T01:30:00",
    "2024-04-06T14:30:00", "2024-01-05T23:59:59.999999", "1950-06-01T23:30:00", "1880-01-01T23:55:00", None,
    "0001-01-02T00:00:00", "9999-12-30T23:30:00",
]  # fmt: skip
ZONES = ["UTC", "Europe/Paris", "America/St_Johns", "Pacific/Auckland", "Asia/Kathmandu"]


@pytest.mark.parametrize("zone", ZONES)
def test_times_with_a_zone_spelled_out(zone):
    here, there = both(spec(zone), value="amount", day=ZONED)
    assert there == here


@pytest.mark.parametrize("zone", ZONES)
def test_points_in_time(zone):
    moments = pa.array(
        [dt.datetime.fromisoformat(text) if text else None for text in MOMENTS], pa.timestamp("us", "UTC")
    )
    here, there = both(spec(zone), value="amount", day=moments)
    assert there == here


def test_times_without_a_zone_and_the_ends_of_the_calendar():
    times = [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), dt.datetime(1582, 10, 10, 5),
             dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), dt.datetime(2024, 3, 31, 2, 30), None]  # fmt: skip
    here, there = both(spec(), value="amount", day=pa.array(times, pa.timestamp("us")))
    assert there == here
    dates = pa.array([one and one.date() for one in times], pa.date32())
    here, there = both(spec(), value="amount", day=dates)
    assert there == here


def test_days_beyond_the_calendar():
    session = spark_cluster.session()
    frame = session.sql(
        "SELECT 'a' AS customer_id, 1.0D AS amount, date_add(DATE'9999-12-31', 1) AS date UNION ALL "
        "SELECT 'b', 2.0D, date_add(DATE'0001-01-01', -1) UNION ALL SELECT 'c', 3.0D, DATE'2024-01-05'"
    )
    with pytest.raises(InvalidRows, match="2 of 3 rows have no usable date in column 'date'"):
        ly.transactions(frame)
    with ly.transactions(frame, invalid="exclude") as tx:
        assert tx.exclusions.data.to_pylist() == [{"reason": "invalid_date", "rows": 2, "amount": 3.0}]


def test_values_to_group_by():
    values = {
        "float": pa.array([1.5, float("nan"), None, -0.0]),
        "text": pa.array(["a", "", None, " "]),
        "date": pa.array([dt.date(2024, 1, 5), None, None, dt.date(1, 1, 1)]),
        "time": pa.array([dt.datetime(2024, 1, 5, 3), None, None, dt.datetime(1, 1, 1)], pa.timestamp("us")),
        "flag": pa.array([True, None, None, False]),
        "money": pa.array([decimal.Decimal("1.10"), None, None, decimal.Decimal(2)]),
        "bytes": pa.array([b"a", None, None, b""]),
    }
    for name, column in values.items():
        here, there = both(spec(), value=name, **{name: column})
        assert there == here, name


REFUSED = {
    "nested ids": ({"customer": "array(1)"}, ColumnError, r"customer='customer' holds nested values \(array<int>\)"),
    "structs of ids": ({"customer": "struct(1)"}, ColumnError, "holds nested values"),
    "spans as ids": ({"customer": "INTERVAL '1' DAY"}, ColumnError, "does not come back as it went in"),
    "text as amounts": ({"amount": "'1.5'"}, ColumnError, "amount='amount' is of type string, not a number: convert"),
    "flags as amounts": ({"amount": "true"}, ColumnError, "true and false are no sums of money"),
    "dates as amounts": ({"amount": "DATE'2024-01-05'"}, ColumnError, "give a column of numbers"),
    "numbers as dates": ({"date": "20240105"}, ColumnError, r"holds numbers \(int\), which could be 19970101"),
    "flags as dates": ({"date": "true"}, ColumnError, "is of type boolean, not a date"),
    "points in time": ({"date": "TIMESTAMP_LTZ'2024-01-05 10:00:00Z'"}, InvalidArgument, "bear a time zone"),
    "zoned text": ({"date": "'2024-01-05 10:00:00Z'"}, InvalidArgument, "bear a time zone"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_columns_that_cannot_serve(case):
    columns, kind, message = REFUSED[case]
    parts = {"customer": "'a'", "date": "DATE'2024-01-05'", "amount": "1.0D", **columns}
    frame = spark_cluster.session().sql("SELECT " + ", ".join(f"{sql} AS {name}" for name, sql in parts.items()))
    with pytest.raises(kind, match=message):
        ly.transactions(frame, customer="customer")


def test_zones_where_there_are_none():
    frame = spark_cluster.frame(pd.DataFrame({"customer_id": [1], "date": ["2024-01-05"], "amount": [1.0]}))
    with pytest.raises(InvalidArgument, match="bear no time zone"):
        ly.transactions(frame, timezone="UTC")
    mixed = pd.DataFrame({"customer_id": [1, 2], "date": ["2024-01-05", "2024-01-05 10:00Z"], "amount": [1.0, 2.0]})
    with pytest.raises(InvalidArgument, match="mixes times with a zone and times without"):
        ly.transactions(spark_cluster.frame(mixed), timezone="UTC")
    moments = spark_cluster.session().sql(
        "SELECT 1 AS customer_id, 1.0D AS amount, TIMESTAMP_LTZ'2024-01-05 10:00:00Z' AS date"
    )
    with pytest.raises(InvalidArgument, match="is no zone name"):
        ly.transactions(moments, timezone="Mars/Olympus")


IDS = {
    "tinyint": "CAST(id AS TINYINT)",
    "bigint": "id + 9007199254740993",
    "decimal(38,0)": "CAST(id AS DECIMAL(38,0)) + 12345678901234567890123456789012345678BD",
    "decimal(10,2)": "CAST(id AS DECIMAL(10,2)) / 1",
    "float": "CAST(id AS FLOAT) + 0.5F",
    "double": "id + 0.5D",
    "boolean": "id > 1",
    "string": "concat('ü', id)",
    "date": "date_add(DATE'2024-01-05', CAST(id AS INT))",
    "timestamp": "timestamp_seconds(id)",
    "timestamp_ntz": "TIMESTAMP_NTZ'2024-01-05 01:02:03' + make_dt_interval(CAST(id AS INT))",
    "binary": "CAST(concat('x', id) AS BINARY)",
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_come_back_as_they_went_in(kind):
    usual = "DATE'2024-01-05' AS date", "1.0D AS amount"
    source = spark_cluster.session().range(1, 4).selectExpr(f"CAST({IDS[kind]} AS {kind}) AS who", *usual)
    expected = sorted({row["who"] for row in source.select("who").toArrow().to_pylist()})
    with ly.transactions(source, customer="who") as tx:
        back = ly.summarize(tx).to_native()
        assert back.schema["who"].dataType.simpleString() == kind
        assert sorted(row["who"] for row in back.toArrow().to_pylist()) == expected


def test_text_is_compared_as_it_is_written():
    frame = spark_cluster.session().sql(
        "SELECT collate(who, 'UTF8_LCASE') AS customer_id, DATE'2024-01-05' AS date, 1.0D AS amount "
        "FROM VALUES ('a'), ('A') AS t(who)"
    )
    with ly.transactions(frame) as tx:
        assert tx.n_customers == 2


def test_column_names_that_spark_would_read_otherwise():
    names = ["a.b", "A.B", "with `quotes`", 'it\'s "one"', "*", "(x)", "customer", "twice", "twice", "day", "value"]
    rows = [("u", 5, dt.date(2024, 1, 5), 9.0, "n", "m", "k", 1, 2, "d", "v"),
            ("u", 6, dt.date(2024, 2, 5), 1.0, "n", "m", "k", 1, 2, "e", "w"),
            ("v", 7, dt.date(2024, 1, 6), 2.0, "s", "m", "l", 1, 2, "d", "v")]  # fmt: skip
    frame = spark_cluster.session().createDataFrame(rows, names)
    roles = {"customer": "a.b", "date": "with `quotes`", "amount": 'it\'s "one"'}
    with ly.transactions(frame, **roles) as tx:
        for label in ("*", "(x)", "customer", "day", "value", "A.B"):
            assert len(ly.repurchase_rate(tx, by=label)) in {1, 2, 3}
        assert ly.historical_value(tx).customers.columns[0] == "a.b"
        with pytest.raises(ColumnError, match="twice"):
            ly.repurchase_rate(tx, by="twice")
    with ly.transactions(frame, **{**roles, "customer": "value"}) as tx:
        assert ly.historical_value(tx).customers.columns[0] == "customer_id"  # `value` is taken
    with pytest.raises(ColumnError, match="missing"):
        ly.transactions(frame, **{**roles, "customer": "missing"})
