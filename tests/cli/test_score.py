"""`loyalty score`."""

import io
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

import loyalty as ly
from command import alike, run

TERMS = ("--horizon", "26w", "--margin", "0.3", "--discount-rate", "0.05", "--confidence", "0.9")
GIVEN = {"horizon": "26w", "margin": 0.3, "annual_discount_rate": 0.05, "confidence": 0.9}


def test_rows_are_those_of_clv(files, tx, tmp_path):
    done = run("score", files["orders.csv"], "--model", "BGNBD", *TERMS, "-o", tmp_path / "out.parquet")
    assert done.code == 0, done.err
    value = ly.clv(tx, model="BGNBD", **GIVEN)
    pd.testing.assert_frame_equal(pq.read_table(tmp_path / "out.parquet").to_pandas(), value.customers.df())
    assert "Value of all customers" in done.text
    assert all(note.split("(")[0] in done.text for note in value.notes)
    assert "acquired_from=" not in done.text


def test_json_is_the_value(files, tx):
    found = run(
        "score", files["orders.csv"], "--model", "MBGNBD", "--json", "--service-cost", "2", "--acquisition-cost", "9"
    )
    value = ly.clv(tx, model="MBGNBD", service_cost=2.0, acquisition_cost=9.0)
    assert alike(json.loads(found.text), value.to_dict())


def test_a_saved_model_scores_again(files, tx, tmp_path):
    model = tmp_path / "model.json"
    fitted = run("score", files["orders.csv"], "--model", "BGNBD", "--margin", "0.3", "--save-model", model, "-o", "-")
    assert fitted.code == 0
    assert isinstance(ly.load(model), ly.CLVModel)
    again = run("score", files["orders.csv"], "--model", model, "-o", "-")
    assert again.code == 0
    one, other = (pd.read_csv(io.BytesIO(done.out), dtype={"customer_id": str}) for done in (fitted, again))
    pd.testing.assert_frame_equal(one, other, rtol=1e-9)  # threads add in any order
    other = run("score", files["orders.csv"], "--model", model, "--margin", "0.6", "-o", "-")
    once, twice = (pd.read_csv(io.BytesIO(done.out))["clv"].sum() for done in (again, other))
    assert twice == pytest.approx(2 * once)


def test_a_saved_model_of_purchases_alone(files, tx, tmp_path):
    ly.BGNBD().fit(ly.summarize(tx)).save(tmp_path / "fit.json")
    done = run("score", files["orders.csv"], "--model", tmp_path / "fit.json", "--json", "-q")
    fit = ly.load(tmp_path / "fit.json")
    assert alike(json.loads(done.text)["total"], ly.clv(tx, model=fit).to_dict()["total"])


def test_fitted_on_some_only(files, tx):
    found = run("score", files["orders.csv"], "--model", "BGNBD", "--acquired-from", "2022-03-01", "--json", "-q")
    assert (
        json.loads(found.text)["purchases"]
        == ly.clv(tx, model="BGNBD", acquired_from="2022-03-01").to_dict()["purchases"]
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--model", "none.json"), 2, "neither a file nor one of auto"),
        (("--model", "{broken}"), 1, "no saved model"),
        (("--model", "{other}"), 1, "says nothing of value"),
        (("--model", "{fit}", "--acquired-from", "2024-01-01"), 2, "a saved one is fitted"),
        (("--horizon", "12"), 2, "--horizon"),
        (("--confidence", "2"), 2, "--confidence"),
        (("--margin", "no such column"), 1, "--margin 'no such column'"),
        (("-o", "out.xlsx"), 2, ".parquet or .csv"),
    ],
)
def test_what_is_refused(files, tx, tmp_path, arguments, code, said):
    (tmp_path / "broken.json").write_text("{}")
    ly.BGNBD().fit(ly.summarize(tx)).save(tmp_path / "fit.json")
    ly.clv(tx, model="BGNBD").model.spend.save(tmp_path / "other.json")
    names = {name: tmp_path / f"{name}.json" for name in ("broken", "other", "fit")}
    done = run("score", files["orders.csv"], *(argument.format(**names) for argument in arguments))
    assert (done.code, done.out) == (code, b"")
    assert said in done.err
    assert done.err.count("\n") == (3 if code == 1 and "--margin" in arguments else done.err.count("\n"))
