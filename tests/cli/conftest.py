"""A small log as every kind of file, under names that are not the defaults and under those that are."""

import sqlite3

import duckdb
import pytest

import loyalty as ly


@pytest.fixture(scope="session")
def log():
    frame = ly.datasets.simulate(300, seed=4, returns=0.02, guests=0.02)
    ids = frame["customer_id"].map("{:05}".format, na_action="ignore").astype(object)
    return frame.assign(customer_id=ids)


@pytest.fixture(scope="session")
def files(log, tmp_path_factory):
    """Name → file with the log: orders.csv, orders.parquet, orders.duckdb, orders.sqlite and client.csv."""
    folder = tmp_path_factory.mktemp("log")
    paths = {name: folder / name for name in ("orders.csv", "orders.parquet", "orders.duckdb", "orders.sqlite")}
    log.to_csv(paths["orders.csv"], index=False)
    log.to_parquet(paths["orders.parquet"], index=False)
    with duckdb.connect(paths["orders.duckdb"]) as connection:
        connection.execute(f"CREATE TABLE orders AS FROM '{paths['orders.parquet']}'")
    with sqlite3.connect(paths["orders.sqlite"]) as connection:
        log.assign(date=log["date"].dt.strftime("%Y-%m-%d")).to_sql("orders", connection, index=False)
    connection.close()
    paths["client.csv"] = folder / "client.csv"
    other = log.rename(columns={"customer_id": "client", "date": "day", "amount": "total"})
    other[["client", "day", "total"]].to_csv(paths["client.csv"], index=False)
    return paths


@pytest.fixture(scope="session")
def tx(files):
    with ly.transactions(files["orders.csv"]) as opened:
        yield opened
