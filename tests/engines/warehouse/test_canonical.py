"""What PostgreSQL's types become: the rows, exclusions and errors that the embedded engine has for such values."""

import datetime as dt
import itertools

import pandas as pd
import pyarrow as pa
import pytest

import loyalty as ly
import postgres_server
import sources
from loyalty.errors import ColumnError, InvalidArgument, InvalidRows, UnsupportedSource

pytestmark = [
    pytest.mark.engines,
    pytest.mark.xdist_group("postgres"),
    # Ibis 12 asks pandas 3 and DuckDB 2 in words that they are giving up.
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
]

_names = itertools.count()
ROW = {"customer_id": "1", "date": "date '2024-01-05'", "amount": "1.0"}


@pytest.fixture(scope="module")
def server():
    started = postgres_server.server()
    started.run("CREATE EXTENSION IF NOT EXISTS citext", "CREATE EXTENSION IF NOT EXISTS hstore")
    return started


@pytest.fixture(scope="module")
def connection(server):
    return server.connect()


@pytest.fixture
def table(server, connection):
    """Return what makes a table of rows of SQL expressions, one row for each value of a column."""

    def make(role, values, kind, **others):
        name = f"typed_{next(_names)}"
        rows = [{**ROW, **others, role: value} for value in values]
        selects = [
            "SELECT "
            + ", ".join(f"({sql})" + (f"::{kind}" if key == role else "") + f" AS {key}" for key, sql in row.items())
            for row in rows
        ]
        server.run(f"CREATE TABLE {name} AS {' UNION ALL '.join(selects)}", f"GRANT SELECT ON {name} TO PUBLIC")
        return connection.table(name)

    return make


def ids_of(tx):
    return sorted(map(sources.text, tx.collect(tx.customers)["customer"].to_pylist()), key=str)


def counted(tx):
    return {row["reason"]: row["rows"] for row in tx.exclusions.data.to_pylist()}


# Ids.


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("smallint", ["1", "2", "NULL"], ["1", "2"]),
        ("integer", ["-1", "0", "2147483647"], ["-1", "0", "2147483647"]),
        ("bigint", ["9007199254740993", "9007199254740992"], ["9007199254740992", "9007199254740993"]),
        ("oid", ["7", "4294967295"], ["4294967295", "7"]),
        ("numeric", ["7", "12345678901234567890"], ["12345678901234567890", "7"]),
        ("numeric(38, 0)", ["7", "9007199254740993"], ["7", "9007199254740993"]),
        ("numeric(10, 2)", ["7.10", "7.1"], ["7.10"]),
        ("double precision", ["1", "'NaN'", "2.5"], ["1", "2.5"]),
        ("real", ["1", "'NaN'", "2.5"], ["1", "2.5"]),
        ("boolean", ["true", "false", "NULL"], ["False", "True"]),
        ("uuid", ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"], ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ("bytea", [r"'\x00ff'", "''"], ["b''", r"b'\x00\xff'"]),
        ("date", ["'2024-01-05'"], ["2024-01-05"]),
        ("timestamp", ["'2024-01-05 10:00:00.000001'"], ["2024-01-05T10:00:00.000001"]),
        ("time", ["'10:00:00'"], ["10:00:00"]),
        ("inet", ["'10.0.0.1'"], ["10.0.0.1/32"]),
        ("name", ["'anna'", "''"], ["anna"]),
        ('"char"', ["'a'"], ["a"]),
        ("character(5)", ["'ab'", "'ab   '", "'   '"], ["ab"]),
        ("varchar(5)", ["'ab'", "'ab '", "'A'"], ["A", "ab", "ab "]),
        ("text", ["''", "'  '", "E' \\t\\n\\r'", "'a'", "E'\\u00a0'", "' b'"], [" b", "a", "\u00a0"]),
    ],
)
def test_ids(table, kind, values, expected):
    with ly.transactions(table("customer_id", values, kind)) as tx:
        assert ids_of(tx) == sorted(expected, key=str)
        assert tx.rows_used + counted(tx).get("no_customer", 0) == len(values)
        assert tx.hand_back(tx.customers).count().execute() == len(expected)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("integer[]", "'{1}'", r"nested values \(array\)"),
        ("jsonb", "'{}'", r"nested values \(jsonb\)"),
        ("hstore", "'a=>1'", r"nested values \(hstore\)"),
        ("int4range", "'[1,2)'", r"nested values \(range\)"),
        ("interval", "'1 day'", "of type interval, which does not come back"),
        ("point", "'(1,2)'", "of type geometry, which does not come back"),
        ("citext", "'a'", "citext, in which ids of other spelling are equal"),
    ],
)
def test_ids_that_are_refused(table, kind, value, told):
    with pytest.raises(ColumnError, match=told):
        ly.transactions(table("customer_id", [value], kind))


def test_ids_are_told_apart_by_their_bytes_whatever_the_collation(server, connection):
    server.run(
        "CREATE COLLATION IF NOT EXISTS loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
        "CREATE TABLE collated (customer_id text COLLATE loose, date date, amount int, shop text COLLATE loose)",
        "INSERT INTO collated VALUES ('a', '2024-01-01', 1, 'x'), ('A', '2024-01-01', 1, 'X')",
        "INSERT INTO collated VALUES ('á', '2024-01-01', 1, 'x')",
        "GRANT SELECT ON collated TO PUBLIC",
    )
    with ly.transactions(connection.table("collated")) as tx:
        assert tx.n_customers == 3
        assert sorted(ly.repurchase_rate(tx, by="shop")) == ["X", "x"]


def test_enumerations_and_domains(server, connection):
    server.run(
        "CREATE TYPE level AS ENUM ('high', 'low')",
        "CREATE DOMAIN id AS integer CHECK (value > 0)",
        "CREATE TABLE levels (customer_id id, date date, amount money, level level)",
        "INSERT INTO levels VALUES (1, '2024-01-01', 2.5, 'low'), (1, '2024-01-01', 2.5, 'high')",
        "INSERT INTO levels VALUES (2, '2024-01-02', 4, NULL)",
        "GRANT SELECT ON levels TO PUBLIC",
    )
    with ly.transactions(connection.table("levels")) as tx:
        assert sorted(tx.collect(tx.customers)["spend"].to_pylist()) == [4.0, 5.0]
        assert list(ly.repurchase_rate(tx, by="level")) == ["high", None]
    with ly.transactions(connection.table("levels"), customer="level") as tx:
        assert ids_of(tx) == ["high", "low"]


# Amounts.


@pytest.mark.parametrize(
    ("kind", "values", "invalid"),
    [
        ("smallint", ["1", "NULL"], 1),
        ("numeric", ["1.10", "'NaN'", "'Infinity'", "1e100", "1e99", "1e-400", "-1e300", "NULL"], 5),
        ("numeric(10, 2)", ["1.10", "'NaN'"], 1),
        ("double precision", ["1.10", "'NaN'", "'-Infinity'", "1e100", "1e99", "1e-300"], 3),
        ("real", ["1.5", "'Infinity'"], 1),
        ("money", ["1.10", "NULL"], 1),
    ],
)
def test_amounts(table, kind, values, invalid):
    made = table("amount", values, kind)
    with ly.transactions(made, invalid="exclude") as tx:
        assert counted(tx) == {"invalid_amount": invalid}
    with pytest.raises(InvalidRows, match=f"{invalid} of {len(values)} rows have no usable amount in column 'amount'"):
        ly.transactions(made)


@pytest.mark.parametrize("kind", ["double precision", "numeric"])
def test_amounts_whose_squares_are_no_floats_count_as_none(table, kind):
    with ly.transactions(table("amount", ["1e-200", "3", "2e-101"], kind, customer_id="random()")) as tx:
        assert sorted(tx.collect(tx.customers)["spend"].to_pylist()) == [0.0, 0.0, 3.0]
        assert ly.spending(tx).revenue.value == 3.0
        assert "100.0 %" in str(ly.pareto(tx))


def test_missing_discounts_are_none_and_unusable_ones_are_not(table):
    made = table("off", ["NULL", "'NaN'", "'Infinity'", "2"], "numeric")
    with ly.transactions(made, discount="off", invalid="exclude") as tx:
        assert counted(tx) == {"invalid_discount": 1}
        assert tx.collect(tx.customers)["discount"].to_pylist() == [2.0]


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("text", "'1.5'", r"of type text, not a number: convert it first, for example with table\.mutate"),
        ("citext", "'1.5'", "of type citext, not a number: convert it first"),
        ("boolean", "true", "true and false are no sums of money"),
        ("date", "'2024-01-01'", "of type date, not a number: give a column of numbers"),
    ],
)
def test_amounts_that_are_refused(table, kind, value, told):
    with pytest.raises(ColumnError, match=told):
        ly.transactions(table("amount", [value], kind))


# Dates.


def days_of(tx):
    return sorted(tx.collect(tx.purchases.select("day"))["day"].to_pylist())


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_dates_outside_the_calendar(table, kind):
    values = ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'0001-01-01'", "'9999-12-31'", "'10000-01-01'", "NULL"]
    with ly.transactions(table("date", values, kind), invalid="exclude") as tx:
        assert counted(tx) == {"invalid_date": 5}
        assert [tx.observed_from, tx.observed_until] == [dt.date(1, 1, 1), dt.date(9999, 12, 31)]


TEXTS = [
    "2024-02-29", "2023-02-29", "2024-02-30", "0000-01-01", "0001-01-01", "9999-12-31", "2024-13-01", "2024-00-01",
    "2024-01-00", " 2024-01-05 ", "2024-01-05\n", "2024-1-5", "05/01/2024", "20240105", "", "soon", "2024-01-05x",
    "\uff12\uff10\uff12\uff14-01-05", "2024-01-05 10:00", "2024-01-05T10:00:00", "2024-01-05 10:00:00.5",
    "2024-01-05 23:59:59.999999999", "2024-01-05 24:00", "2024-01-05 24:00:00", "2024-01-05 24:00:01",
    "2024-01-05 25:00", "2024-01-05 10:60", "2024-01-05 10:00:60", "2024-01-05 10:00:00.1234567890",
    "2024-12-31 24:00:00", "infinity", "epoch", "today", "2024-01-05 BC", "2024-001",
]  # fmt: skip
ZONED = [
    "2024-03-31 00:30:00+01", "2024-03-31 00:30:00+0130", "2024-03-31 00:30:00-01:30", "2024-03-31T00:30Z",
    "2024-03-31 00:30-11", "2024-03-31 22:59:59.999999999Z", "2024-03-31 22:00Z", "2024-03-31 21:59:59Z",
    "2024-10-27 23:00:00Z", "2024-10-27 22:59:59Z", "2024-03-31 10:00:00+15:59", "2024-03-31 10:00:00+16",
    "2024-03-31 10:00:00+99:59", "2024-03-31 10:00:00+01:75", "2024-03-31 24:00:00Z", "2024-03-31 23:59:60Z",
    "2024-02-30 10:00Z", "0001-01-01 00:00:00+14", "9999-12-31 23:30:00-05", "2024-03-31 10:00:00z",
    "2024-03-31 10:00:00+1", "2024-03-31 10:00:00 +01", "1900-07-01 23:55:00Z", "1970-01-01 23:00Z",
]  # fmt: skip


def by_text(texts):
    ids = [f"k{place}" for place in range(len(texts))]
    return pd.DataFrame({"customer_id": ids, "date": pd.Series(texts, dtype=object), "amount": 1.0})


def first_days(tx):
    rows = tx.collect(tx.customers.select("customer", "first_day")).to_pylist()
    return {row["customer"]: row["first_day"] for row in rows}


@pytest.mark.parametrize(
    ("texts", "zone"), [(TEXTS, None), (ZONED, "Europe/Paris"), (ZONED, "Pacific/Apia"), (ZONED, "CET")]
)
@pytest.mark.parametrize("kind", ["text", "varchar(40)"])
def test_text_dates_are_read_as_the_embedded_engine_reads_them(server, connection, texts, zone, kind):
    frame = by_text(texts)
    server.load("spelled", frame, {"date": kind})
    with ly.transactions(frame, invalid="exclude", timezone=zone) as tx:
        expected, left_out = first_days(tx), counted(tx)
    with ly.transactions(connection.table("spelled"), invalid="exclude", timezone=zone) as tx:
        assert first_days(tx) == expected
        assert counted(tx) == left_out
    assert 5 < left_out["invalid_date"] < len(texts) - 5


@pytest.mark.parametrize(
    ("texts", "options", "told"),
    [
        (["2024-01-05", "2024-01-05 10:00Z"], {}, "bear a time zone"),
        (["2024-01-05", "2024-01-05 10:00Z"], {"timezone": "UTC"}, "mixes times with a zone and times without"),
        (["2024-01-05", "soon"], {"timezone": "UTC"}, "bear no time zone"),
        (["2024-01-05 10:00Z"], {"timezone": "Mars/Olympus"}, "no zone name"),
    ],
)
def test_zones_that_do_not_fit_text(server, connection, texts, options, told):
    server.load("spelled", by_text(texts))
    with pytest.raises(InvalidArgument, match=told):
        ly.transactions(connection.table("spelled"), **options)


def instants():
    nights = (
        pd.to_datetime(["2024-03-31", "2024-07-01", "2024-10-27", "2024-12-31"])
        .tz_localize("Europe/Paris")
        .tz_convert("UTC")
    )
    times = [
        night + pd.Timedelta(minutes=minutes) for night in nights for minutes in (-61, -1, 0, 59, 60, 119, 120, 1439)
    ]
    ids = [f"k{place}" for place in range(len(times))]
    return pd.DataFrame({"customer_id": ids, "date": pd.DatetimeIndex(times).as_unit("us"), "amount": 1.0})


@pytest.mark.parametrize(
    "zone", ["Europe/Paris", "America/New_York", "Asia/Kathmandu", "CET", "EST", "UTC", "EET", "MST7MDT"]
)
@pytest.mark.parametrize("session", ["UTC", "Pacific/Auckland"])
def test_instants_have_the_named_zone_s_date_whatever_the_session_s(server, zone, session):
    frame = instants()
    server.load("instants", frame)
    backend = server.connect()
    backend.con.execute(f"SET timezone = '{session}'")
    with ly.transactions(frame, timezone=zone) as tx:
        expected = first_days(tx)
    with ly.transactions(backend.table("instants"), timezone=zone) as tx:
        assert first_days(tx) == expected
    assert backend.con.execute("SHOW timezone").fetchone()[0] == session


def test_zones_that_do_not_fit_times(server, connection):
    server.load("instants", instants())
    with pytest.raises(InvalidArgument, match="pass timezone="):
        ly.transactions(connection.table("instants"))
    server.load("local", instants().assign(date=pd.Timestamp("2024-01-05")))
    with pytest.raises(InvalidArgument, match="bear no time zone"):
        ly.transactions(connection.table("local"), timezone="UTC")


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("integer", "20240105", r"holds numbers \(integer\), which could be 19970101"),
        ("numeric(8,0)", "20240105", r"holds numbers \(numeric\(8,0\)\)"),
        ("boolean", "true", "of type boolean, not a date"),
        ("time", "'10:00'", "of type time without time zone, not a date"),
    ],
)
def test_dates_that_are_refused(table, kind, value, told):
    with pytest.raises(ColumnError, match=told):
        ly.transactions(table("date", [value], kind))


def test_offenders_are_shown(table):
    with pytest.raises(InvalidRows, match=r"'-infinity'.*pass invalid=\"exclude\"") as caught:
        ly.transactions(table("date", ["'2024-01-01'", "'-infinity'"], "date"))
    assert caught.value.examples == ("'-infinity'",)


# Values to group by.


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("boolean", ["true", "NULL"], [True, None]),
        ("numeric(5, 2)", ["1.50"], [1.5]),
        ("numeric", ["1.50", "'NaN'"], [1.5, None]),
        ("double precision", ["1.50", "'NaN'"], [1.5, None]),
        ("date", ["'2024-01-05'"], [dt.date(2024, 1, 5)]),
        ("timestamp", ["'2024-01-05 10:00'"], [dt.datetime(2024, 1, 5, 10)]),
        ("interval", ["'1 day'"], ["1 day"]),
        ("uuid", ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"], ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ("citext", ["'Abc'"], ["Abc"]),
        ("text", ["''", "'ß'"], ["", "ß"]),
        ("time", ["'10:00'"], [dt.time(10)]),
    ],
)
def test_values_to_group_by(server, connection, kind, values, expected):
    name = f"grouped_{next(_names)}"
    rows = ", ".join(f"({place}, date '2024-01-05', 1, {value}::{kind})" for place, value in enumerate(values))
    server.run(
        f"CREATE TABLE {name} (customer_id int, date date, amount int, v {kind})",
        f"INSERT INTO {name} VALUES {rows}",  # noqa: S608
        f"GRANT SELECT ON {name} TO PUBLIC",
    )
    with ly.transactions(connection.table(name)) as tx:
        assert list(ly.repurchase_rate(tx, by="v")) == expected


def test_values_that_cannot_be_groups(table):
    with (
        ly.transactions(table("v", ["'{1}'"], "integer[]")) as tx,
        pytest.raises(ColumnError, match=r"by='v' holds nested"),
    ):
        ly.repurchase_rate(tx, by="v")


# Names, tables, backends.


def test_odd_names_of_columns_and_tables(server, connection):
    names = {"customer_id": 'a "b" \\ ;--', "date": "50 % off", "amount": "größe.x", "shop": "SELECT"}
    rows = {"customer_id": [1, 1, 2], "date": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-01-01"]),
            "amount": [1.0, 2.0, 3.0], "shop": ["a'b", "%s", "\\"]}  # fmt: skip
    server.load('we"ird %s', pd.DataFrame(rows).rename(columns=names))
    roles = {
        role: names[label] for role, label in (("customer", "customer_id"), ("date", "date"), ("amount", "amount"))
    }
    with ly.transactions(connection.table('we"ird %s'), **roles) as tx:
        assert list(ly.repurchase_rate(tx, by="SELECT")) == ["\\", "a'b"]
        assert ly.pareto(tx).customers.columns[0] == names["customer_id"]
        assert sorted(sources.as_pandas(tx.hand_back(tx.customers))[names["customer_id"]]) == [1, 2]


def test_a_column_of_the_result_keeps_its_name_before_the_caller_s(server, connection):
    server.load("clash", pd.DataFrame({"spend": [1], "date": pd.to_datetime(["2024-01-01"]), "amount": [2.0]}))
    with ly.transactions(connection.table("clash"), customer="spend") as tx:
        assert tx.hand_back(tx.customers.select("customer", "spend")).columns == ("customer_id", "spend")


def test_expressions_are_tables_too(server, connection):
    import ibis

    frame = pd.DataFrame({"customer_id": [1, 1, 2, 3], "date": ["2024-01-01", "2024-02-01", "2024-01-01", "2024-01-09"],
                          "cents": [100, 200, 300, 400]})  # fmt: skip
    server.load("booked", frame)
    lines = connection.table("booked")
    wanted = ibis.memtable({"customer_id": [1, 2]})
    table = lines.semi_join(wanted, "customer_id").mutate(amount=lines.cents / 100)
    with ly.transactions(table) as tx:
        assert tx.rows_in == 3
        assert ly.spending(tx).revenue.value == 6.0


def test_tables_of_other_databases():
    import ibis

    rows = pa.table({"customer_id": [1, 1], "date": ["2024-01-01", "2024-01-02"], "amount": [1.0, 2.0]})
    here = ibis.duckdb.connect()
    with ly.transactions(here.create_table("log", rows).filter(ibis._.amount > 0)) as tx:
        assert type(tx.hand_back(tx.customers)).__name__ == "DuckDBPyRelation"
        assert tx.n_purchases == 2
    there = ibis.sqlite.connect()
    with pytest.raises(UnsupportedSource, match=r"of the sqlite backend: .*table\.to_pyarrow\(\)"):
        ly.transactions(there.create_table("log", rows))
    unbound = ibis.table({"customer_id": "int64", "date": "date", "amount": "float64"}, name="nowhere")
    with pytest.raises(UnsupportedSource, match="has no connection"):
        ly.transactions(unbound)
    with pytest.raises(InvalidArgument, match="memory_limit='1GB': an Ibis table by its own database"):
        ly.transactions(there.table("log"), memory_limit="1GB")
