"""`loyalty backtest`."""

import io
import json

import pandas as pd

import loyalty as ly
from command import alike, run

SPLIT = "2022-12-31"


def test_json_is_the_backtest(files, tx):
    options = ("--model", "BGNBD", "--margin", "0.3", "--unit", "day", "--confidence", "0.8")
    done = run("backtest", files["orders.csv"], "--split", SPLIT, "--json", *options)
    assert done.code == 0, done.err
    expected = ly.backtest(tx, SPLIT, ["BGNBD"], margin=0.3, unit="day", confidence=0.8)
    assert alike(json.loads(done.text), expected.to_dict())


def test_table_shows_every_forecast(files, tx):
    done = run("backtest", files["orders.csv"], "--split", SPLIT, "--model", "BGNBD", "--model", "MBGNBD")
    expected = ly.backtest(tx, SPLIT, ["BGNBD", "MBGNBD"])
    assert done.code == 0
    assert done.text.splitlines()[0] == expected.sentence
    for row in expected.scores:
        assert f"{row['predicted']:,.0f}" in done.text
    assert "population mean" in done.text
    assert "acquired_from=" not in done.text


def test_rows_hold_what_was_expected_and_what_came(files, tx):
    done = run("backtest", files["orders.csv"], "--split", SPLIT, "--model", "BGNBD", "-o", "-", "-q")
    rows = pd.read_csv(io.BytesIO(done.out), dtype={"customer_id": str}).sort_values("customer_id", ignore_index=True)
    expected = ly.backtest(tx, SPLIT, ["BGNBD"]).customers.df().sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(rows, expected.astype(rows.dtypes), rtol=1e-12)


def test_what_is_refused(files):
    for arguments, said in (
        ((), "'--split'"),
        (("--split", "1999-01-01"), "--split '1999-01-01'"),
        (("--split", SPLIT, "--model", "LSTM"), "'LSTM' is not known"),
    ):
        done = run("backtest", files["orders.csv"], *arguments, "-q")
        assert (done.code, done.out) == (2, b"")
        assert said in done.err
        assert done.err.count("\n") == 1
