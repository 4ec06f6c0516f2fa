"""`loyalty metrics`."""

import json

import pytest

import loyalty as ly
from command import alike, run
from loyalty.cli.commands.metrics import NAMES


def test_json_is_the_overview(files, tx):
    done = run("metrics", files["orders.csv"], "--json")
    assert done.code == 0
    assert alike(json.loads(done.text), ly.overview(tx).to_dict())


@pytest.mark.slow
def test_json_with_every_option(files, log, tmp_path):
    ly.datasets.simulate_scores(log["customer_id"], seed=1).rename(columns={"score": "answer"}).to_csv(
        tmp_path / "answers.csv", index=False
    )
    wallet = ly.datasets.simulate_wallet(log, seed=1)
    wallet.to_csv(tmp_path / "wallet.csv", index=False)
    columns = ("--order", "order_id", "--product", "product", "--cost", "cost", "--observed-from", "2022-03-01")
    rules = ("--observed-until", "2023-06-30", "--occasion", "order", "--returns", "drop", "--invalid", "exclude")
    asked = ("--period", "quarter", "--inactive-after", "26w", "--margin", "0.3", "--confidence", "0.9")
    more = ("--surveys", tmp_path / "answers.csv", "--score", "answer", "--wallet", tmp_path / "wallet.csv")
    done = run("metrics", files["orders.csv"], "--json", *columns, *rules, *asked, *more)
    assert done.code == 0, done.err
    opened = ly.transactions(
        files["orders.csv"], order="order_id", product="product", cost="cost", observed_from="2022-03-01",
        observed_until="2023-06-30", occasion="order", returns="drop", invalid="exclude",
    )  # fmt: skip
    expected = ly.overview(
        opened, str(tmp_path / "answers.csv"), str(tmp_path / "wallet.csv"), score="answer", period="quarter",
        inactive_after="26w", margin=0.3, confidence=0.9,
    )  # fmt: skip
    assert alike(json.loads(done.text), expected.to_dict())
    assert expected.missing == {}
    assert set(NAMES) == {*expected.estimates, "discount_rate"}


def test_table_shows_every_number(files, tx):
    done = run("metrics", files["orders.csv"])
    assert done.code == 0
    expected = ly.overview(tx)
    lines = done.text.splitlines()
    assert lines[0].split() == ["number", "value", "95", "%", "interval", "n"]
    shown = [line.split("  ")[0] for line in lines[2 : 2 + len(expected.estimates)]]
    assert shown == [f"{one.name[0].upper()}{one.name[1:]}" for one in expected.estimates.values()]
    assert f"{expected['repurchase_rate'].value:.1%}".replace("%", " %") in lines[2]
    assert "Not computed: upsell ratio (name --product <column>)." in lines
    assert all(len(line) <= 120 for line in lines[: 2 + len(expected.estimates)])


@pytest.mark.parametrize("form", ["--json", None])
def test_only(files, tx, form):
    done = run("metrics", files["orders.csv"], *filter(None, [form]), "--only", "upsell_ratio", "--only", "churn_rate")
    assert done.code == 0
    if form:
        shown = json.loads(done.text)
        expected = ly.overview(tx).to_dict()
        assert list(shown) == list(expected)
        assert shown["estimates"] == {"churn_rate": expected["estimates"]["churn_rate"]}
        assert shown["missing"] == {"upsell_ratio": expected["missing"]["upsell_ratio"]}
    else:
        assert [line.split("  ")[0] for line in done.text.splitlines()][2:] == [
            "Churn rate by month", "", "Not computed: upsell ratio (name --product <column>).",
        ]  # fmt: skip


def test_only_what_is_missing(files):
    assert run("metrics", files["orders.csv"], "--only", "upsell_ratio").text == (
        "Not computed: upsell ratio (name --product <column>).\n"
    )


def test_only_a_number_that_there_is_not(files):
    done = run("metrics", files["orders.csv"], "--only", "repurchase_rates")
    assert done.code == 2
    assert "Did you mean repurchase_rate?" in done.err
    assert done.out == b""


def test_what_was_read_is_said_beside_the_result(files, tx):
    done = run("metrics", files["orders.csv"])
    assert done.err.splitlines() == ["columns: customer = customer_id, date = date, amount = amount", str(tx)]
    named = ("--customer", "customer_id", "--date", "date", "--amount", "amount")
    assert run("metrics", files["orders.csv"], *named).err.splitlines() == [str(tx)]
    for arguments in (("metrics", files["orders.csv"], "--quiet"), ("-q", "metrics", files["orders.csv"])):
        assert run(*arguments).err == ""
