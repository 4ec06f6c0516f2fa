"""`loyalty segments`."""

import io
import json

import pandas as pd
import pyarrow.parquet as pq

import loyalty as ly
from command import alike, run


def expected(tx, **options):
    flags = ly.pareto(tx, **options).customers.df()[["customer_id", "is_top", "is_vital"]]
    return ly.rfm(tx).customers.df().merge(flags, on="customer_id")


def test_rows_are_scores_and_flags(files, tx, tmp_path):
    done = run("segments", files["orders.csv"], "-o", tmp_path / "out.parquet")
    assert done.code == 0, done.err
    rows = pq.read_table(tmp_path / "out.parquet").to_pandas()
    pd.testing.assert_frame_equal(rows, expected(tx))
    assert done.text.splitlines()[0].split() == (
        ["segment", "customers", "share", "revenue", "of", "revenue", "days", "silent", "purchases", "spend"]
    )
    assert str(ly.pareto(tx)) in done.text
    assert f"{len(rows)} customers written to {tmp_path / 'out.parquet'}" in done.err


def test_csv_on_standard_output_is_all_there_is(files, tx):
    done = run("segments", files["orders.csv"], "-o", "-", "--top", "0.1", "--vital", "0.5")
    assert done.code == 0
    rows = pd.read_csv(io.BytesIO(done.out), dtype={"customer_id": str, "rfm_score": str})
    wanted = expected(tx, customers=0.1, revenue=0.5)
    assert rows["customer_id"].str.len().eq(5).all()  # leading zeros stay
    pd.testing.assert_frame_equal(rows, wanted.astype(rows.dtypes))


def test_json_is_both_results(files, tx):
    done = run("segments", files["orders.csv"], "--json", "--bins", "4", "--confidence", "0.9")
    found = json.loads(done.text)
    assert alike(found["rfm"], ly.rfm(tx, 4).to_dict())
    assert alike(found["pareto"], ly.pareto(tx, confidence=0.9).to_dict())


def test_a_customer_column_named_as_a_flag_makes_room(tmp_path):
    (tmp_path / "a.csv").write_text("is_top,date,amount\na,2024-01-05,10\nb,2024-01-06,20\n")
    done = run("segments", tmp_path / "a.csv", "--customer", "is_top", "-o", "-")
    assert done.code == 0
    assert done.text.splitlines()[0].replace('"', "").split(",")[0] == "customer_id"
    assert done.text.splitlines()[0].count("is_top") == 1


def test_without_revenue_nobody_is_flagged(tmp_path):
    (tmp_path / "a.csv").write_text("customer_id,date,amount\na,2024-01-05,0\nb,2024-01-06,0\n")
    done = run("segments", tmp_path / "a.csv", "-o", tmp_path / "out.csv")
    assert done.code == 0
    assert "nobody is flagged" in done.err
    rows = pd.read_csv(tmp_path / "out.csv")
    assert rows[["is_top", "is_vital"]].isna().all(axis=None)
    assert json.loads(run("segments", tmp_path / "a.csv", "--json", "-q").text)["pareto"] is None
