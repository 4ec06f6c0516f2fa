"""Reports of any model, source, id and name: names of the caller's are shown as text, whatever they hold."""

import functools
import random
import warnings

import pandas as pd
import pyarrow as pa
import pytest

import loyalty as ly
from loyalty.errors import LoyaltyWarning
from loyalty.reporting.report import report


@pytest.mark.parametrize("model", ["BG/NBD", pytest.param("ParetoNBD", marks=pytest.mark.slow), ly.MBGNBD(l2=0.1)])
def test_models_are_taken_as_by_clv(model):
    page_model = report_of_cdnow_sample(model).numbers["value"].model.purchases
    name = "BGNBD" if model == "BG/NBD" else getattr(model, "name", model)
    assert page_model.model == name


@functools.cache
def report_of_cdnow_sample(model, **more):
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        return report(tx, model=model, **more)


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "{count}", "a'b\"c&d", "$x_1$",
    "\u202egnp.exe", "\u05d0\u05d1\u05d2", "x" * 5_000, "tab\there", "half \ud83d".encode("utf-8", "replace").decode(),
    "-1", "=1+1",
]  # fmt: skip


def hostile():
    """Return a log whose customers, column and products bear names that would be code elsewhere."""
    days = pd.date_range("2024-01-01", periods=400)
    draw = random.Random(1)
    rows = [(draw.choice(HOSTILE), day, 5.0 + place % 9) for place, day in enumerate(days)]
    frame = pd.DataFrame(rows, columns=["<b>who</b>", "date", "amount"])
    return frame.assign(product=[HOSTILE[place % len(HOSTILE)] for place in range(len(frame))])


@pytest.mark.slow
def test_hostile_names_are_shown_as_text():
    with ly.transactions(hostile(), customer="<b>who</b>", product="product") as tx:
        page = report(tx, title="<script>alert(2)</script>", model="NBD", listed=20)
    named = [row["customer"] for row in page.numbers["best"]]
    assert set(named) == set(HOSTILE)
    for code in ("en", "es"):
        shown = page.html(code)
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert "&lt;script&gt;alert(1)" in shown
        assert "{{ 7*7 }}" in shown
        assert len(shown) < 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "ids",
    [
        [2**62, 2**62 + 1, 3],
        ["0001", "1", "x"],
        [1.5, 2.0, 3.0],
        pd.Categorical(["a", "b", "c"]),
        pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]),
    ],
    ids=["huge", "text", "floats", "categories", "dates"],
)
def test_ids_of_every_type_are_named(ids):
    days = pd.date_range("2024-01-01", periods=90)
    frame = pd.DataFrame({"customer_id": pd.Series(ids).iloc[[k * k % 3 for k in range(90)]].to_numpy(),
                          "date": days, "amount": [5.0 + k % 7 + k % 3 for k in range(90)]})  # fmt: skip
    with ly.transactions(frame) as tx:
        named = [row["customer"] for row in report(tx, model="NBD").numbers["best"]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LoyaltyWarning)
            kept = ly.clv(tx, model="NBD").top(20)["customer_id"]
    assert len(named) == len(kept)
    assert named == [str(int(one)) if isinstance(one, float) and one.is_integer() else str(one) for one in kept]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["polars", "pyarrow", "relation", "parquet"])
def test_other_sources_give_the_same_page(kind, tmp_path):
    frame = ly.datasets.cdnow_sample()
    if kind == "parquet":
        frame.to_parquet(tmp_path / "log.parquet")
        source = tmp_path / "log.parquet"
    elif kind == "relation":
        import duckdb

        source = duckdb.connect().from_arrow(pa.Table.from_pandas(frame))
    else:
        import polars as pl

        source = pa.Table.from_pandas(frame) if kind == "pyarrow" else pl.from_pandas(frame)
    with ly.transactions(source) as tx:
        page = report(tx, model="MBGNBD")
    mine = report_of_cdnow_sample("MBGNBD")
    assert [row["customer"] for row in page.numbers["best"]] == [row["customer"] for row in mine.numbers["best"]]
    assert str(page) == str(mine)
