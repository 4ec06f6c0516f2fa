"""Tables of DuckDB and SQLite files: found, typed, read as any other source, and never written to."""

import sqlite3

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

import loyalty as ly
from loyalty.engines import open_source
from loyalty.engines.sources.databases import _places, database_kind, open_table
from loyalty.errors import ColumnError, InvalidArgument, UnsupportedSource
from loyalty.transactions import transactions

ROWS = [("007", "2024-01-05", 20.0), ("007", "2024-02-01", 5.0), ("b", "2024-01-09", 8), (None, "2024-01-10", 3.0)]
SAID = "3 of 4 rows used: 3 purchases by 2 customers, 2024-01-05 to 2024-02-01; left out: 1 no_customer."


def as_duckdb(path):
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE orders (customer_id TEXT, date TEXT, amount DOUBLE)")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", ROWS)
        connection.execute("CREATE VIEW recent AS SELECT * FROM orders WHERE date > '2024-01-06'")
        connection.execute('CREATE SCHEMA "old ""shop"')
        connection.execute('CREATE TABLE "old ""shop"."the; orders" AS FROM orders LIMIT 1')


def as_sqlite(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (customer_id TEXT, date TEXT, amount NUMERIC)")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", ROWS)
        connection.execute("CREATE VIEW recent AS SELECT * FROM orders WHERE date > '2024-01-06'")
        connection.execute('CREATE TABLE "the ""; orders" AS SELECT * FROM orders LIMIT 1')
    connection.close()


MAKERS = {"duckdb": as_duckdb, "sqlite": as_sqlite}


@pytest.fixture(params=MAKERS)
def shop(request, tmp_path):
    path = tmp_path / "shop of 100%?#'s.csv"  # the ending says nothing
    MAKERS[request.param](path)
    return path


@pytest.fixture
def sqlite_table(tmp_path):
    """A maker of SQLite files with one column x."""

    def make(values, declared=""):
        path = tmp_path / "one.db"
        with sqlite3.connect(path) as connection:
            connection.execute(f"CREATE TABLE t (x {declared})")
            connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        connection.close()
        return open_table(path, "t")

    return make


def test_kind_is_told_by_the_first_bytes(tmp_path):
    for kind, make in MAKERS.items():
        make(tmp_path / kind)
        assert database_kind(tmp_path / kind) == kind
    (tmp_path / "text.db").write_text("customer_id,date,amount\n")
    (tmp_path / "empty.db").touch()
    assert [database_kind(tmp_path / name) for name in ("text.db", "empty.db", "none.db", ".")] == [""] * 4
    assert database_kind("a\0b") == ""


def test_rows_are_those_of_a_frame(shop):
    frame = pd.DataFrame(ROWS, columns=["customer_id", "date", "amount"])
    with transactions(shop, table="orders") as tx, transactions(frame) as expected:
        assert str(tx) == str(expected) == SAID
        assert ly.overview(tx).to_dict() == ly.overview(expected).to_dict()
        assert sorted(ly.historical_value(tx).customers.df()["customer_id"]) == ["007", "b"]
        assert sorted(ly.repurchase_rate(tx, by="amount")) == [8.0, 20.0]  # columns not named are read when asked for


def test_views_and_any_case(shop):
    with transactions(str(shop), table="RECENT") as tx:
        assert tx.rows_in == 3
    with transactions([shop], table="Recent") as tx:
        assert tx.rows_in == 3


def test_hostile_names(tmp_path):
    as_duckdb(tmp_path / "d")
    as_sqlite(tmp_path / "s")
    assert sorted(_places(str(tmp_path / "d"))) == ['old "shop.the; orders', "orders", "recent"]
    assert sorted(_places(str(tmp_path / "s"))) == ["orders", "recent", 'the "; orders']
    for name, table in (("d", 'old "shop.the; orders'), ("s", 'the "; orders')):
        with transactions(tmp_path / name, table=table) as tx:
            assert tx.rows_in == 1


def test_hostile_columns(tmp_path):
    label = 'x" y; -- 客\n'
    with sqlite3.connect(tmp_path / "s") as connection:
        connection.execute(f'CREATE TABLE t ({label.replace(chr(34), chr(34) * 2).join(chr(34) * 2)}, d, "select")')
        connection.execute("INSERT INTO t VALUES (1, '2024-01-05', 2.5)")
    connection.close()
    with transactions(tmp_path / "s", table="t", customer=label, date="d", amount="select") as tx:
        assert ly.historical_value(tx).customers.fetchall()[0][:3] == (1, 1, 2.5)


@pytest.mark.parametrize("table", [None, "order", 7])
def test_no_such_table_lists_those_there(shop, table):
    with pytest.raises(InvalidArgument, match="'orders', 'recent'"):
        transactions(shop, table=table)


def test_a_table_is_for_databases_only(tmp_path):
    as_sqlite(tmp_path / "s")
    (tmp_path / "a.csv").write_text("customer_id,date,amount\n1,2024-01-05,2\n")
    with pytest.raises(InvalidArgument, match=r"a\.csv' is no DuckDB or SQLite file"):
        transactions(tmp_path / "a.csv", table="orders")
    with pytest.raises(InvalidArgument, match="leave it out"):
        transactions(pd.DataFrame(ROWS), table="orders")
    with pytest.raises(InvalidArgument, match="one database at a time"):
        transactions([tmp_path / "a.csv", tmp_path / "s"], table="orders")


def test_an_empty_database_holds_no_table(tmp_path):
    sqlite3.connect(tmp_path / "s").execute("PRAGMA user_version = 1").connection.close()
    with pytest.raises(InvalidArgument, match="it holds no table"):
        transactions(tmp_path / "s")


def test_damaged_files(tmp_path):
    as_duckdb(tmp_path / "d")
    as_sqlite(tmp_path / "s")
    for name in ("d", "s"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
        with pytest.raises(UnsupportedSource, match="could not be read"):
            transactions(tmp_path / name, table="orders")


def test_nothing_is_written(shop):
    before = shop.read_bytes(), sorted(shop.parent.iterdir())
    with transactions(shop, table="orders") as tx:
        ly.overview(tx)
    assert (shop.read_bytes(), sorted(shop.parent.iterdir())) == before


def test_a_file_in_a_folder_that_cannot_be_written_to(shop):
    shop.chmod(0o400)
    shop.parent.chmod(0o500)
    try:
        with transactions(shop, table="orders") as tx:
            assert str(tx) == SAID
    finally:
        shop.parent.chmod(0o700)


def test_a_sqlite_file_that_changed_is_refused(tmp_path):
    as_sqlite(tmp_path / "s")
    with transactions(tmp_path / "s", table="orders") as tx:
        connection = sqlite3.connect(tmp_path / "s")
        connection.execute("INSERT INTO orders VALUES ('c', '2024-02-01', 7)")
        connection.commit()
        connection.close()
        with pytest.raises(UnsupportedSource, match="changed since it was opened"):
            ly.repurchase_rate(tx, by="amount")


def test_rows_in_a_write_ahead_log_are_read(tmp_path):
    as_sqlite(tmp_path / "s")
    writer = sqlite3.connect(tmp_path / "s")
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("INSERT INTO orders VALUES ('c', '2024-02-01', 7)")
    writer.commit()
    with transactions(tmp_path / "s", table="orders") as tx:
        assert (tx.rows_in, tx.n_customers) == (5, 3)
    writer.close()


def test_a_duckdb_file_is_free_again_once_closed(tmp_path):
    as_duckdb(tmp_path / "d")
    tx = transactions(tmp_path / "d", table="orders")
    with pytest.raises(duckdb.Error), duckdb.connect(tmp_path / "d"):
        pass
    with transactions(tmp_path / "d", table="recent") as other:  # a second reader may
        assert other.rows_in == 3
    tx.close()
    with duckdb.connect(tmp_path / "d") as writer:
        writer.execute("DELETE FROM orders")
        with pytest.raises(UnsupportedSource, match="could not be read"):
            transactions(tmp_path / "d", table="orders")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2**62], pa.int64()),
        ([1, 2.5, None], pa.float64()),
        (["007", None, ""], pa.string()),
        ([None, None], pa.null()),
        ([], pa.null()),
    ],
)
def test_types_are_those_of_all_values(sqlite_table, values, kind):
    read = sqlite_table(values).arrow(["x"])
    assert read.schema == pa.schema({"c0": kind})
    assert read["c0"].to_pylist() == values


def test_types_are_decided_over_the_whole_column(sqlite_table):
    values = [1] * 120_000 + [2.5]
    read = sqlite_table(values).arrow(["x", "x"])
    assert read.schema.types == [pa.float64()] * 2
    assert pa.compute.sum(read["c1"]).as_py() == 120_002.5


@pytest.mark.parametrize("values", [[1, "1"], [2.5, "x"], [b"\x00"], [2**53 + 1, 0.5], [-(2**63), 0.5]])
def test_values_that_do_not_go_together(sqlite_table, values):
    with pytest.raises(ColumnError, match="CAST"):
        sqlite_table(values).arrow(["x"])


def test_text_that_is_none(tmp_path):
    with sqlite3.connect(tmp_path / "s") as connection:
        connection.execute("CREATE TABLE t (x TEXT)")
        connection.execute("INSERT INTO t VALUES (CAST(x'ff' AS TEXT))")
    connection.close()
    with pytest.raises(UnsupportedSource, match="could not be read"):
        open_table(tmp_path / "s", "t").arrow(["x"])


def test_head(shop):
    table = open_table(shop, "orders")
    assert list(table.labels) == ["customer_id", "date", "amount"]
    head = table.head(2)
    assert head.num_rows == 2
    assert head.column_names == ["c0", "c1", "c2"]
    assert set(head["c0"].to_pylist()) <= {"007", "b", None}


def test_head_of_files(tmp_path):
    (tmp_path / "a.csv").write_text("a;a;b\n1;2;3\n4;5;6\n")
    head = open_source(tmp_path / "a.csv").head(1)
    assert head.to_pylist() == [{"c0": "1", "c1": "2", "c2": "3"}]


def test_sqlite_tables_of_many_columns(tmp_path):
    names = [f"x{place}" for place in range(1, 701)]
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute(f"CREATE TABLE t (customer_id, {', '.join(names)})")
        connection.execute("INSERT INTO t (customer_id, x1, x99, x100, x333, x700) VALUES ('a', 1, 2.5, 'b', 2, 'c')")
    connection.close()
    table = open_table(tmp_path / "a.db", "t")
    found = dict(zip(table.labels, table.head(5).to_pylist()[0].values(), strict=True))
    assert {name: value for name, value in found.items() if value is not None} == {
        "customer_id": "a", "x1": 1, "x99": 2.5, "x100": "b", "x333": 2, "x700": "c"
    }  # fmt: skip


def test_own_connections_load_nothing_from_elsewhere():
    from loyalty.engines import connections

    with connections.brief() as connection:
        found = connection.sql("SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%known_extensions'")
        assert dict(found.fetchall()) == dict.fromkeys(
            ("autoinstall_known_extensions", "autoload_known_extensions"), "false"
        )
        with pytest.raises(duckdb.Error, match="httpfs"):
            connection.read_csv("http://localhost:1/a.csv")
