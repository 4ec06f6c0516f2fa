"""Whatever is handed over either works or raises a LoyaltyError that says what to do; nothing else escapes."""

import datetime as dt
import decimal
import gzip
import itertools
import math
import pickle
import uuid

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sources
from loyalty.errors import (
    ColumnError,
    EmptyData,
    InvalidArgument,
    InvalidRows,
    LoyaltyError,
    UnsupportedSource,
)
from loyalty.transactions import transactions

D = decimal.Decimal


def plain(n=3, **columns):
    """Return a log without fault, some of its columns replaced."""
    frame = pd.DataFrame({"customer_id": range(1, n + 1), "date": pd.Timestamp("2024-01-05"), "amount": 10.0})
    return frame.assign(**columns)


def objects(*values):
    return pd.Series(values, dtype=object)


# Columns.


@pytest.mark.parametrize("role", ["customer", "date", "amount"])
@sources.every
def test_missing_column(source, role, tmp_path):
    name = "customer_id" if role == "customer" else role
    data = sources.make(source, plain(), tmp_path)
    with pytest.raises(ColumnError, match=rf"{role}='{name}x'.*Did you mean '{name}'\?"):
        transactions(data, **{role: name + "x"})


@pytest.mark.parametrize("role", ["order", "product", "discount", "cost"])
def test_missing_further_column(role):
    with pytest.raises(ColumnError, match=f"{role}='nope'.*'customer_id', 'date', 'amount'"):
        transactions(plain(), **{role: "nope"})


@pytest.mark.parametrize("role", ["customer", "date", "amount"])
def test_a_column_that_must_be_named(role):
    with pytest.raises(ColumnError, match=f"{role}=None"):
        transactions(plain(), **{role: None})


def test_missing_column_for_groups():
    with transactions(plain()) as tx, pytest.raises(ColumnError, match=r"by='amuont'.*Did you mean 'amount'\?"):
        tx.first_values("amuont")


@pytest.mark.parametrize("name", ["customer_id", "date", "amount"])
def test_column_named_twice(name, tmp_path):
    frame = plain()
    twice = pd.concat([frame, frame[[name]]], axis=1)
    table = pa.table([pa.array(twice.iloc[:, place]) for place in range(4)], names=list(twice.columns))
    pq.write_table(table, tmp_path / "log.parquet")
    twice.to_csv(tmp_path / "log.csv", index=False)
    connection = duckdb.connect()
    connection.from_arrow(pa.Table.from_pandas(frame)).create("log")
    relation = connection.sql(f'SELECT *, "{name}" FROM log')  # noqa: S608 (one of three names)
    for data in (twice, table, tmp_path / "log.parquet", tmp_path / "log.csv", relation):
        with pytest.raises(ColumnError, match=f"'{name}' names 2 columns of the same name"):
            transactions(data)


def test_one_column_for_two_roles():
    said = "customer='date' and date='date' name one column: each needs one of its own"
    with pytest.raises(ColumnError, match=said):
        transactions(plain(), customer="date")
    with pytest.raises(ColumnError, match="customer='customer_id' and amount='customer_id' name one column"):
        transactions(plain(), amount="customer_id")


def test_columns_of_groups_named_twice():
    frame = pd.concat([plain(), pd.DataFrame([[1, 2]] * 3, columns=["by", "by"])], axis=1)
    with transactions(frame) as tx, pytest.raises(ColumnError, match="by='by' names 2 columns"):
        tx.first_values("by")


# Nothing to measure.


@sources.every
def test_no_rows(source, tmp_path):
    with pytest.raises(EmptyData, match="the table has no rows"):
        sources.opened(source, plain().iloc[:0], tmp_path)


@pytest.mark.parametrize(
    "data", [pd.DataFrame(), pd.DataFrame(index=[1, 2]), pl.DataFrame(), pl.LazyFrame(), pa.table({})]
)
def test_no_columns(data):
    with pytest.raises(EmptyData, match="the table has no columns"):
        transactions(data)


def test_no_rows_and_no_types():
    with pytest.raises(EmptyData, match="the table has no rows"):
        transactions(pd.DataFrame(columns=["customer_id", "date", "amount"]))


@pytest.mark.parametrize("ids", [None, np.nan, "", pd.NA, objects(None, "", np.nan)])
def test_only_guests(ids):
    with pytest.raises(EmptyData, match="no row can be used: 3 no_customer"):
        transactions(plain(customer_id=ids))


def test_only_returns():
    with pytest.raises(EmptyData, match=r"every amount is negative.*flip their sign"):
        transactions(plain(amount=-5.0))
    with pytest.raises(EmptyData, match="every amount is negative"):
        transactions(plain(amount=-5.0), returns="drop")


@pytest.mark.parametrize(
    "ends",
    [
        {"observed_from": "2024-01-06"},
        {"observed_until": "2024-01-04"},
        {"observed_from": "2025-01-01", "observed_until": "2025-12-31"},
        {"observed_from": "2023-01-01", "observed_until": "2023-12-31"},
    ],
)
def test_nothing_in_the_window(ends):
    with pytest.raises(EmptyData, match=r"no purchase lies in the observed window .*widen it"):
        transactions(plain(), **ends)


def test_only_returns_in_the_window():
    frame = plain(amount=[10.0, -1.0, -1.0], date=pd.to_datetime(["2024-01-05", "2024-02-05", "2024-02-06"]))
    with pytest.raises(EmptyData, match="no purchase lies in the observed window 2024-02-01 to …"):
        transactions(frame, observed_from="2024-02-01")


def test_only_orders_begun_before_the_window():
    frame = plain(customer_id=1, date=pd.to_datetime(["2024-01-05", "2024-02-05", "2024-02-06"]), order="x")
    with pytest.raises(EmptyData, match="no purchase begins in the observed window 2024-02-01 to 2024-02-06"):
        transactions(frame, observed_from="2024-02-01", order="order", occasion="order")


# Arguments.


def test_window_turned_round():
    with pytest.raises(InvalidArgument, match="observed_from='2024-02-01' comes after observed_until='2024-01-01'"):
        transactions(plain(), observed_from="2024-02-01", observed_until="2024-01-01")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observed_from": "03/04/2020"}, "observed_from='03/04/2020' is not an ISO date"),
        ({"observed_until": 20240101}, "observed_until=20240101 is not a date"),
        ({"observed_until": pd.Timestamp("2024-01-01", tz="UTC")}, "observed_until=.*bears a time zone"),
        ({"occasion": "visit"}, r"occasion='visit' is not known: allowed are 'day', 'order'"),
        ({"occasion": "order"}, r"pass order=<column>"),
        ({"returns": "nett"}, r"Did you mean 'net'\?"),
        ({"invalid": "drop"}, r"invalid='drop' is not known"),
        ({"timezone": "Europe/Paris"}, r"bear no time zone"),
        ({"occasion": None}, "occasion=None"),
        ({"returns": ["net"]}, r"returns=\['net'\]"),
    ],
)
def test_arguments(options, message):
    with pytest.raises(InvalidArgument, match=message):
        transactions(plain(), **options)


@pytest.mark.parametrize("zone", ["Europe/Pariss", "", "../etc/passwd", 5, "'; drop table x; --", "Europe/", None])
def test_time_zones_that_do_not_exist(zone):
    zoned = plain(date=pd.Timestamp("2024-01-05", tz="UTC"))
    for frame in (zoned, plain(date="2024-01-05T10:00:00Z")):
        with pytest.raises(InvalidArgument, match=r"time ?zone"):
            transactions(frame, timezone=zone)


# Dates.


NO_ISO_DATES = [
    "03/04/2020",
    "3/14/2020",
    "14.03.2020",
    "2020/03/14",
    "20200314",
    "2020-3-14",
    "2020-03",
    "2020-13-01",
    "2020-02-30",
    "0000-01-01",
    "10000-01-01",
    "-2020-01-01",
    "2020-W10-1",
    "14 Mar 2020",
    "yesterday",
    "today",
    "now",
    "epoch",
    "infinity",
    "2020-03-14 25:00",
    "2020-03-14T10",
    "2020-03-14 10:00 PM",
    "2020-03-14 10:00 Europe/Paris",
    "2020-03-1\uff14",  # a digit, but not one of ASCII
    "",
    "nan",
]


@pytest.mark.parametrize("kind", ["pandas", "polars", "csv"])
def test_text_that_is_no_iso_date(kind, tmp_path):
    frame = plain(n=len(NO_ISO_DATES) + 1, date=["2024-01-05", *NO_ISO_DATES])
    count = f"{len(NO_ISO_DATES)} of {len(NO_ISO_DATES) + 1} rows"
    with pytest.raises(InvalidRows, match=rf"{count} have no usable date in column 'date'.*YYYY-MM-DD.*to_datetime"):
        sources.opened(kind, frame, tmp_path)
    with sources.opened(kind, frame, tmp_path, invalid="exclude") as tx:
        assert set(sources.rows(tx.hand_back(tx.customers))) == {"1"}
        assert tx.exclusions["reason"] == ["invalid_date"]


def test_an_ambiguous_date_is_never_guessed():
    with pytest.raises(InvalidRows, match=r"1 of 3 rows .*\(.*first: row 1: '03/04/2020'\).*name its format") as caught:
        transactions(plain(date=["2024-01-05", "03/04/2020", "2024-01-06"]))
    error = caught.value
    assert (error.column, error.count, error.examples) == ("date", 1, ("row 1: '03/04/2020'",))


def test_the_way_out_works():
    frame = plain(date=["03/04/2020", "14/03/2020", "01/01/2020"])
    with transactions(frame.assign(date=pd.to_datetime(frame["date"], format="%d/%m/%Y"))) as tx:
        assert tx.observed_until == dt.date(2020, 4, 3)
    numbers = plain(date=[19970101, 19970102, 19970103])
    with pytest.raises(ColumnError) as caught:
        transactions(numbers)
    way_out = str(caught.value).split("for example with ")[1].rstrip(".")
    frame = numbers
    converted = eval(way_out, {"pandas": pd, "frame": frame})  # noqa: S307 (the library's own advice)
    with transactions(numbers.assign(date=converted)) as tx:
        assert tx.observed_until == dt.date(1997, 1, 3)


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (19970101, "holds numbers"),
        (1.7e9, "holds numbers"),
        (np.uint32(20240105), "holds numbers"),
        (pd.array([19970101, None, 3], dtype="Int64"), "holds numbers"),
        (True, "of type BOOLEAN, not a date"),
        (dt.time(10), "mixed or unusual types"),
        (pd.to_timedelta([1, 2, 3], unit="D"), "of type INTERVAL, not a date"),
        (objects("2024-01-05", dt.date(2024, 1, 5), None), r"mixed or unusual types \(date, str\)"),
        (
            objects(dt.datetime(2024, 1, 5), dt.datetime(2024, 1, 5, tzinfo=dt.UTC), None),
            "bear a time zone, others do not",
        ),
        (objects(dt.date(2024, 1, 5), dt.datetime(2024, 1, 5, tzinfo=dt.UTC), None), "bear a time zone, others do not"),
        (pd.Series(pd.interval_range(0, 3)), "no usable date"),
        (pd.Series([1j, 2j, 3j]), "cannot be read"),
        (objects([1], [2], [3]), "mixed or unusual types"),
    ],
)
def test_columns_that_hold_no_dates(dates, message):
    with pytest.raises((ColumnError, InvalidRows), match=message):
        transactions(plain(date=dates))


def test_periods_are_dates_only_where_they_are_days():
    with transactions(plain(date=pd.period_range("2024-01-05", periods=3, freq="D"))) as tx:
        assert tx.observed_until == dt.date(2024, 1, 7)
    with pytest.raises(InvalidRows, match="first: row 0: '2024-01'"):
        transactions(plain(date=pd.period_range("2024-01", periods=3, freq="M")))


@pytest.mark.parametrize(
    "dates", [None, pd.NaT, pd.Series([None] * 3, dtype="datetime64[ns]"), objects(None, pd.NaT, np.nan)]
)
def test_missing_dates(dates):
    with pytest.raises(InvalidRows, match="3 of 3 rows have no usable date"):
        transactions(plain(date=dates))
    with pytest.raises(EmptyData, match="no row can be used: 3 invalid_date"):
        transactions(plain(date=dates), invalid="exclude")


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_NS", "TIMESTAMPTZ"])
def test_dates_of_duckdb_that_python_cannot_hold(kind):
    texts = ["infinity", "-infinity", "2024-01-05"] + (
        [] if kind == "TIMESTAMP_NS" else ["0044-03-15 (BC)", "20000-01-01"]
    )
    union = " UNION ALL ".join(f"SELECT 1 AS customer_id, '{text}'::{kind} AS date, 1 AS amount" for text in texts)
    options = {"timezone": "UTC"} if kind == "TIMESTAMPTZ" else {}
    relation = sources.relation(union)
    with pytest.raises(InvalidRows, match=f"{len(texts) - 1} of {len(texts)} rows have no usable date"):
        transactions(relation, **options)
    with transactions(relation, invalid="exclude", **options) as tx:
        assert tx.observed_until == dt.date(2024, 1, 5)
        tx.collect(tx.first_values("amount"))


def test_zoned_times_want_a_zone():
    for dates in (
        pd.Timestamp("2024-01-05", tz="UTC"),
        "2024-01-05T10:00:00+02:00",
        dt.datetime(2024, 1, 5, tzinfo=dt.UTC),
    ):
        with pytest.raises(InvalidArgument, match='pass timezone="Europe/Paris"'):
            transactions(plain(date=dates))


@pytest.mark.parametrize("text", ["2024-01-05T10:00:00", "2024-01-05T10:00", "2024-01-05"])
def test_times_without_a_zone_beside_zoned_ones(text):
    frame = plain(date=["2024-01-05T10:00:00Z", text, "2024-01-05T10:00:00+02:00"])
    for invalid in ("raise", "exclude"):
        with pytest.raises(InvalidArgument, match="column 'date' mixes times with a zone and times without"):
            transactions(frame, timezone="UTC", invalid=invalid)


# Amounts.


@pytest.mark.parametrize(
    ("amounts", "message"),
    [
        ("10", "of type VARCHAR, not a number: convert it first, for example with pandas.to_numeric"),
        (objects("10", "20", None), "of type VARCHAR, not a number"),
        (True, "true and false are no sums of money"),
        (objects(True, False, None), "true and false are no sums of money"),
        (objects(True, 2, 3.5), r"mixed or unusual types \(bool, float, int\)"),
        (objects("1", 2, 3.5), "mixed or unusual types"),
        (pd.Timestamp("2024-01-05"), "not a number"),
        (pd.Timedelta(days=1), "not a number"),
        (pd.Categorical(["1", "2", "3"]), "not a number"),
        (objects(10**400, 1, 2), "cannot be read"),
        (objects(10**45, 1, 2), "more than 38 digits"),
        (objects(D("sNaN"), 1.0, 2), "cannot be read"),
        (pd.Series([1j, 2j, 3j]), "cannot be read"),
        (objects(b"1", b"2", b"3"), "not a number"),
        (objects({}, [], ()), "mixed or unusual types"),
    ],
)
def test_columns_that_hold_no_amounts(amounts, message):
    with pytest.raises(ColumnError, match=message):
        transactions(plain(amount=amounts))
    with pytest.raises(ColumnError, match=message):
        transactions(plain(price=amounts), cost="price")


UNUSABLE = [None, math.nan, math.inf, -math.inf, 1e101, -1e308, 1.7976931348623157e308]


@sources.every
def test_amounts_that_cannot_be_used(source, tmp_path):
    frame = plain(n=len(UNUSABLE) + 2, amount=[1.0, *UNUSABLE, 2.0])
    with pytest.raises(InvalidRows, match=r"7 of 9 rows have no usable amount in column 'amount'.*invalid=\"exclude\""):
        sources.opened(source, frame, tmp_path)
    with sources.opened(source, frame, tmp_path, invalid="exclude") as tx:
        assert (tx.exclusions["reason"], tx.exclusions["rows"]) == (["invalid_amount"], [7])
        assert {one: line["spend"] for one, line in sources.rows(tx.hand_back(tx.customers)).items()} == {
            "1": 1.0,
            "9": 2.0,
        }


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf])
def test_nan_from_arrow_and_polars_is_not_a_number_either(amount):
    columns = {"customer_id": [1, 2], "date": [dt.date(2024, 1, 5)] * 2, "amount": [1.0, amount]}
    for data in (pa.table(columns), pl.DataFrame(columns), pl.LazyFrame(columns)):
        with pytest.raises(InvalidRows, match="1 of 2 rows have no usable amount"):
            transactions(data)


def test_decimals_that_are_no_numbers():
    for amount in (D("NaN"), D("Infinity"), D("-Infinity"), None, pd.NA, pd.NaT):
        with pytest.raises(InvalidRows, match="1 of 3 rows have no usable amount"):
            transactions(plain(amount=objects(D("1.5"), amount, 2)))


@pytest.mark.parametrize(
    ("role", "values", "message"),
    [
        ("cost", [1.0, None, 2.0], "no usable cost in column 'x'.*leave cost= out"),
        ("discount", [1.0, math.inf, None], "no usable discount in column 'x'.*leave discount= out"),
    ],
)
def test_cost_and_discount_that_cannot_be_used(role, values, message):
    with pytest.raises(InvalidRows, match=message) as caught:
        transactions(plain(x=values), **{role: "x"})
    assert caught.value.column == "x"
    with transactions(plain(x=values), invalid="exclude", **{role: "x"}) as tx:
        assert tx.exclusions["reason"] == [f"invalid_{role}"]


NO_AMOUNTS = ["ten", "1,5", "1 000", "€5", "nan", "inf", "1e400", "--1", "0x10", "1.000,00", "true"]


def test_amounts_of_text_files(tmp_path):
    lines = [f'{place},2024-01-05,"{text}","{text}"' for place, text in enumerate(NO_AMOUNTS)]
    (tmp_path / "log.csv").write_text("\n".join(["customer_id,date,amount,off", "a,2024-01-05,1,", *lines]))
    with pytest.raises(InvalidRows, match="11 of 12 rows have no usable amount") as caught:
        transactions(tmp_path / "log.csv")
    assert set(caught.value.examples) <= {repr(text) for text in NO_AMOUNTS}
    ones = [line.replace(line.split('"')[1], "1", 1) for line in lines]
    (tmp_path / "off.csv").write_text("\n".join(["customer_id,date,amount,off", "a,2024-01-05,1,", *ones]))
    with pytest.raises(InvalidRows, match="11 of 12 rows have no usable discount"):
        transactions(tmp_path / "off.csv", discount="off")


def test_first_offenders_are_named_in_order():
    frame = plain(n=50, amount=[math.nan if place % 7 == 3 else 1.0 for place in range(50)])
    with pytest.raises(InvalidRows) as caught:
        transactions(frame)
    assert [example.split(":")[0] for example in caught.value.examples] == ["row 3", "row 10", "row 17"]
    assert caught.value.count == 7


def test_returns_refused():
    with pytest.raises(InvalidRows, match=r'2 rows have a negative amount and returns="error"') as caught:
        transactions(plain(amount=[1.0, -1.0, -2.0]), returns="error")
    assert (caught.value.column, caught.value.count) == ("amount", 2)
    with transactions(plain(), returns="error") as tx:
        assert tx.n_customers == 3


def test_errors_survive_pickling():
    with pytest.raises(InvalidRows) as caught:
        transactions(plain(amount=None))
    back = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 (our own bytes)
    assert (str(back), back.column, back.count, back.examples) == (
        str(caught.value),
        "amount",
        3,
        caught.value.examples,
    )


# Sources.


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        {"customer_id": [1]},
        [{"customer_id": 1}],
        [],
        (1, 2),
        "",
        b"log.csv",
        np.zeros((3, 3)),
        pd.Series([1.0]),
        pl.Series([1.0]),
        pa.array([1.0]),
        pa.chunked_array([[1.0]]),
        object(),
        pd.DataFrame,
    ],
)
def test_objects_that_are_no_tables(data):
    with pytest.raises((UnsupportedSource, InvalidArgument), match=r"data is an? |no file matches"):
        transactions(data)


def test_transactions_are_no_source():
    with transactions(plain()) as tx, pytest.raises(UnsupportedSource, match="Transactions"):
        transactions(tx)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing*.csv", "no file matches"),
        ("nothing.parquet", "no file matches"),
        ("", "is a folder: name its files"),
        ("log.xlsx", "the ending does not say what it is"),
        ("a\0b.csv", "no file matches"),
    ],
)
def test_paths(name, message, tmp_path):
    (tmp_path / "log.xlsx").write_text("x")
    with pytest.raises(InvalidArgument, match=message):
        transactions(str(tmp_path / name) if name else tmp_path)


def test_paths_of_two_kinds(tmp_path):
    plain().to_csv(tmp_path / "log.csv", index=False)
    plain().to_parquet(tmp_path / "log.parquet")
    with pytest.raises(InvalidArgument, match="mix Parquet and CSV"):
        transactions([tmp_path / "log.csv", tmp_path / "log.parquet"])


def test_parquet_that_is_broken(tmp_path):
    plain(n=5000).to_parquet(tmp_path / "log.parquet")
    whole = (tmp_path / "log.parquet").read_bytes()
    middle = bytearray(whole)
    middle[100:2000] = b"\0" * 1900
    for content in (b"", b"PAR1", whole[: len(whole) // 2], whole[:-4], bytes(middle), b"x" * 1000):
        (tmp_path / "broken.parquet").write_bytes(content)
        with pytest.raises(LoyaltyError):
            transactions(tmp_path / "broken.parquet")


HEAD = "customer_id,date,amount\n"
ROW = "1,2024-01-05,10\n"


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", EmptyData, "is empty: it has no line that names the columns"),
        ("\n", EmptyData, "no columns"),
        (HEAD, EmptyData, "no rows"),
        ("a,b\n1,2\n", ColumnError, "there is no such column"),
        (ROW * 3, ColumnError, "there is no such column"),
        ("export of 2024\n" + HEAD + ROW, UnsupportedSource, "could not be read"),
        (HEAD + ROW + "1,2024-01-05\n", UnsupportedSource, "line 3 has 2 fields, and the first line names 3 columns"),
        (HEAD + ROW + "1,2024-01-05,10,11\n", UnsupportedSource, "line 3 has 4 fields"),
        (HEAD + "1,2024-01-05,10,11\n" * 3, UnsupportedSource, "line 2 has 4 fields"),
        (HEAD + '"1\n2",2024-01-05,10\n\n' + "1,2024-01-05\n", UnsupportedSource, "line 5 has 2 fields"),
        (HEAD + ROW * 50_000 + "1,2024-01-05\n", UnsupportedSource, "line 50,002 has 2 fields.*parted by ','. Mend"),
        (HEAD + ROW * 50_000 + "1,2024-01-05,10,11\n", UnsupportedSource, "line 50,002 has 4 fields"),
        (HEAD + ROW + '"1,2024-01-05,10\n', UnsupportedSource, "could not be read"),
        (HEAD.encode() + "Zoé,2024-01-05,10\n".encode("latin-1"), UnsupportedSource, "could not be read"),
        (
            HEAD.encode() + ROW.encode() * 50_000 + "Zoé,2024-01-05,10\n".encode("latin-1"),
            UnsupportedSource,
            "Line: 50002",
        ),
        ((HEAD + ROW).encode("utf-16"), UnsupportedSource, "utf-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", UnsupportedSource, "utf-8"),
    ],
)
def test_text_files_that_do_not_fit(content, error, message, tmp_path):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(error, match=message):
        transactions(tmp_path / "log.csv")


def test_the_line_that_does_not_fit_is_found_among_many_files_and_in_compressed_ones(tmp_path):
    for name in ("a", "c"):
        plain().to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "b.csv").write_text(HEAD + ROW * 3 + "1,2024-01-05\n")
    with pytest.raises(UnsupportedSource, match=r"b\.csv' could not be read: line 5 has 2 fields"):
        transactions(str(tmp_path / "*.csv"))
    with gzip.open(tmp_path / "b.csv.gz", "wt") as file:
        file.write(HEAD + ROW + "1,2024-01-05\n")
    with pytest.raises(UnsupportedSource, match=r"b\.csv\.gz' could not be read: line 3 has 2 fields"):
        transactions(tmp_path / "b.csv.gz")


def test_compressed_files_that_are_broken(tmp_path):
    plain(n=5000).to_csv(tmp_path / "log.csv.gz", index=False)
    whole = (tmp_path / "log.csv.gz").read_bytes()
    broken = [b"", b"not gzip at all"]
    if int(duckdb.__version__.split(".")[0]) >= 2:  # DuckDB 1 takes the end of a broken file for the end of the data
        broken.append(whole[: len(whole) // 2])
    for content in broken:
        (tmp_path / "broken.csv.gz").write_bytes(content)
        with pytest.raises(LoyaltyError):
            transactions(tmp_path / "broken.csv.gz")


def test_relations_that_fail():
    connection = duckdb.connect()
    relation = connection.sql(
        "SELECT 1 AS customer_id, DATE '2024-01-05' AS date, x::INT AS amount FROM (VALUES ('a')) t(x)"
    )
    with pytest.raises(UnsupportedSource, match="Could not convert string 'a'"):
        transactions(relation)
    connection.close()
    with pytest.raises(UnsupportedSource, match="closed"):
        transactions(relation)


def test_lazy_frames_that_fail():
    frame = pl.LazyFrame({"customer_id": [1], "date": ["2024-01-05"], "amount": ["x"]})
    with pytest.raises(UnsupportedSource, match="nope"):
        transactions(frame.select("nope"))
    with pytest.raises(ColumnError, match="conversion"):
        transactions(frame.with_columns(pl.col("amount").cast(pl.Int64)))


# By values.


@pytest.mark.parametrize(
    "values",
    [
        objects([1], [2], [3]),
        objects({"a": 1}, {}, {}),
        objects(1, "a", 2.5),
        objects(*[uuid.UUID(int=1)] * 3),
        pd.Series([1j] * 3),
        objects(object(), object(), object()),
    ],
)
def test_values_that_make_no_groups(values):
    with transactions(plain(by=values)) as tx, pytest.raises(ColumnError, match="'by'"):
        tx.first_values("by")


@pytest.mark.parametrize(
    "values", [pl.Series([[1], [2], [3]]), pl.Series([{"a": 1}] * 3), pl.Series([object()] * 3, dtype=pl.Object)]
)
def test_values_of_polars_that_make_no_groups(values):
    frame = pl.from_pandas(plain()).with_columns(by=values)
    with transactions(frame) as tx, pytest.raises(ColumnError, match="by"):
        tx.first_values("by")


# Any dtype in any place: it works or says why not.

ODD = {
    "ints": [1, 2, 3],
    "huge ints": objects(10**400, -(10**400), 0),
    "floats": [1.5, math.nan, -math.inf],
    "float16": np.array([1, 2, 3], "float16"),
    "longdouble": np.array([1, 2, 3], "longdouble"),
    "complex": [1j, 2, 3],
    "bools": [True, False, True],
    "boolean NA": pd.array([True, None, False], dtype="boolean"),
    "text": ["a", "", None],
    "surrogates": objects("\ud800", "b", "c"),
    "numbers as text": ["1", "2.5", "x"],
    "bytes": objects(b"a", b"\xff", None),
    "bytearrays": objects(bytearray(b"a"), bytearray(b"b"), None),
    "dates": objects(dt.date(2024, 1, 5), dt.date.min, dt.date.max),
    "datetimes": objects(dt.datetime(2024, 1, 5), dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23)),
    "zoned": pd.to_datetime(["2024-01-05", "2024-01-06", None]).tz_localize("Asia/Kolkata"),
    "zones at the ends": objects(dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC), None),
    "times": objects(dt.time(1), dt.time(2), None),
    "timedeltas": pd.to_timedelta([1, 2, None], unit="h"),
    "Decimals": objects(D("1E+40"), D("1E-40"), D("NaN")),
    "UUIDs": objects(uuid.UUID(int=1), uuid.UUID(int=2), None),
    "lists": objects([1], [], None),
    "dicts": objects({}, {"a": 1}, None),
    "sets": objects({1}, {2}, None),
    "tuples": objects((1,), (1, 2), None),
    "arrays": objects(np.zeros(2), np.zeros(3), None),
    "frames": objects(pd.DataFrame(), pd.Series([1]), None),
    "classes": objects(int, str, None),
    "functions": objects(len, print, None),
    "mixed": objects(1, "a", None),
    "mixed numbers": objects(1, D("2.5"), 3.5),
    "mixed dates": objects("2024-01-05", dt.date(2024, 1, 5), 5),
    "NA of all kinds": objects(None, pd.NA, pd.NaT),
    "all NaN": [math.nan] * 3,
    "category": pd.Categorical(["a", None, "b"]),
    "category of mixed": pd.Categorical(objects(1, "a", None)),
    "empty category": pd.Categorical([None] * 3),
    "periods": pd.period_range("2024-01", periods=3, freq="Q"),
    "intervals": pd.interval_range(0, 3),
    "sparse": pd.arrays.SparseArray([0.0, 1.0, math.nan]),
    "Arrow lists": pd.array([[1], None, []], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    "Arrow structs": pd.array([{"a": 1}, None, {"a": 2}], dtype=pd.ArrowDtype(pa.struct({"a": pa.int64()}))),
    "Arrow decimal256": pd.array([D(10**50), None, D(1)], dtype=pd.ArrowDtype(pa.decimal256(60, 2))),
    "Arrow null": pd.array([None] * 3, dtype=pd.ArrowDtype(pa.null())),
    "Arrow durations": pd.array([dt.timedelta(1), None, dt.timedelta(2)], dtype=pd.ArrowDtype(pa.duration("s"))),
    "Arrow times": pd.array([dt.time(1), None, dt.time(2)], dtype=pd.ArrowDtype(pa.time64("us"))),
    "Arrow far dates": pd.array(
        pa.array([-(2**31) + 5, None, 2**31 - 5], pa.int32()).cast(pa.date32()), dtype=pd.ArrowDtype(pa.date32())
    ),
    "far seconds": np.array([-(2**62), 0, 2**62], dtype="datetime64[s]"),
}
PLACES = [
    "customer",
    "date",
    "amount",
    "by",
    *(pytest.param(role, marks=pytest.mark.slow) for role in ("order", "product", "cost")),
]


def use(tx):
    """Touch all that the ground floor offers."""
    tx.hand_back(tx.customers)
    tx.collect(tx.activity("month"))
    tx.collect(tx.first_days())
    tx.to_dict()
    return str(tx), repr(tx), tx._repr_html_()


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", PLACES)
def test_any_dtype_anywhere(kind, place):
    column = {"customer": "customer_id"}.get(place, place)
    frame = plain(**{column: ODD[kind]})
    named = {place: place} if place in {"order", "product", "cost", "discount"} else {}
    options = [{"invalid": "exclude"}] + ([{}] if place in {"date", "amount"} else [])
    for one in options:
        try:
            with transactions(frame, **named, **one, occasion="order" if place == "order" else "day") as tx:
                use(tx)
                if place == "by":
                    tx.collect(tx.first_values("by"))
                if place == "product":
                    tx.collect(tx.sale_rows())
        except LoyaltyError as error:
            assert len(str(error)) > 20  # noqa: PT017 (either outcome is right)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", list(itertools.combinations(ODD, 2)))
def test_two_odd_columns(kinds):
    for first, second in (kinds, kinds[::-1]):
        frame = plain(customer_id=ODD[first], date=ODD[second], order=ODD[first], by=ODD[second])
        try:
            with transactions(frame, order="order", occasion="order", invalid="exclude") as tx:
                use(tx)
                tx.collect(tx.first_values("by"))
        except LoyaltyError:
            pass


ODD_ARROW = {
    "null": pa.nulls(3),
    "run ends": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([1.5, 2.5])),
    "views": pa.array(["a", "b", None], pa.string_view()),
    "lists": pa.array([[1], None, []]),
    "structs": pa.array([{"a": 1}, None, {"a": 2}]),
    "maps": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "month_day_nano": pa.array([(1, 2, 3), None, (0, 0, 0)], pa.month_day_nano_interval()),
    "durations": pa.array([1, 2, None], pa.duration("ns")),
    "decimal256": pa.array([D(10**60), None, D(1)], pa.decimal256(76, 0)),
    "dictionary of dates": pa.array([dt.date(2024, 1, 5), None, dt.date(2024, 1, 5)]).dictionary_encode(),
    "dictionary of decimals": pa.array([D("1.5"), None, D("1.5")]).dictionary_encode(),
    "unions": pa.UnionArray.from_sparse(
        pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
    ),
    "far times": pa.array([-(2**62), 2**62, None], pa.int64()).cast(pa.timestamp("s")),
    "fixed lists": pa.array([[1], [2], None], pa.list_(pa.int64(), 1)),
}


@pytest.mark.parametrize("kind", ODD_ARROW)
@pytest.mark.parametrize("place", ["customer", "date", "amount", "by"])
def test_any_type_of_arrow_anywhere(kind, place):
    columns = {"customer_id": [1, 2, 3], "date": [dt.date(2024, 1, 5)] * 3, "amount": [1.0, 2.0, 3.0]}
    columns[{"customer": "customer_id"}.get(place, place)] = ODD_ARROW[kind]
    try:
        with transactions(pa.table(columns), invalid="exclude") as tx:
            use(tx)
            if place == "by":
                tx.collect(tx.first_values("by"))
    except LoyaltyError as error:
        assert len(str(error)) > 20  # noqa: PT017 (either outcome is right)
