"""Large logs in files: the law of `simulate`, in lots of customers, parted by month."""

import numpy as np
import pandas as pd
import pytest

from loyalty.datasets import simulate, simulate_files
from loyalty.errors import InvalidArgument, OutputError


def test_rows_are_those_of_the_lots_by_month(tmp_path):
    options = {"end": "2022-05-31", "returns": 0.1, "guests": 0.2, "times": True}
    files = simulate_files(tmp_path / "new" / "log", 700, seed=5, chunk=300, **options)
    assert [file.name for file in files] == [f"transactions-2022-0{month}.parquet" for month in range(1, 6)]
    log = pd.concat([pd.read_parquet(file).assign(month=file.stem[-7:]) for file in files])
    assert (log["date"].dt.strftime("%Y-%m") == log["month"]).all()
    assert list(log)[:-1] == list(simulate(5, seed=1))
    sold = log[log["amount"] > 0]
    assert sold["order_id"].is_unique
    assert (log.groupby("order_id")["customer_id"].nunique() <= 1).all()
    assert log["customer_id"].min() == 1
    assert 600 < log["customer_id"].max() <= 700
    lot = (log["customer_id"] - 1) // 300
    assert (lot.groupby(lot).size() > 100).all()
    assert 0.17 < sold["customer_id"].isna().mean() < 0.23


def test_customers_straddle_files_and_follow_the_law(tmp_path):
    files = simulate_files(tmp_path / "log", 20_000, seed=1, chunk=5_000)
    months = pd.concat([pd.read_parquet(file, columns=["customer_id"]).drop_duplicates() for file in files])
    assert months["customer_id"].nunique() == 20_000
    assert months.groupby("customer_id").size().gt(1).mean() > 0.4
    counts = pd.concat([pd.read_parquet(file, columns=["customer_id"]) for file in files]).groupby("customer_id").size()
    one = simulate(20_000, seed=2).groupby("customer_id").size()
    error = np.sqrt((counts.var() + one.var()) / 20_000)
    assert abs(counts.mean() - one.mean()) < 4 * error


def test_the_same_arguments_give_the_same_files(tmp_path):
    def read(name, **changes):
        return [
            file.read_bytes() for file in simulate_files(tmp_path / name, **{"customers": 50, "seed": 1, **changes})
        ]

    first = read("a")
    assert read("b") == first
    assert read("c", seed=2) != first


def test_what_cannot_be(tmp_path):
    (tmp_path / "note").write_text("")
    with pytest.raises(OutputError, match="holds 'note' already"):
        simulate_files(tmp_path, 10, seed=1)
    with pytest.raises(OutputError, match="cannot be used"):
        simulate_files(tmp_path / "note", 10, seed=1)
    with pytest.raises(InvalidArgument, match="folder=5 is no path"):
        simulate_files(5, 10, seed=1)
    for name, options in {"chunk": {"chunk": 0}, "margin": {"margin": 2}, "customers": {"customers": 0}}.items():
        with pytest.raises(InvalidArgument, match=name):
            simulate_files(tmp_path / "log", **{"customers": 10, "seed": 1, **options})
