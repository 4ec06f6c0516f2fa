import numpy as np
import pandas as pd
import polars as pl
import pytest

import handmade
import loyalty as ly
import other_tables
import sources
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.clv.valuation.margins import margins
from loyalty.clv.valuation.value import CLVModel
from loyalty.errors import ColumnError, InvalidArgument, InvalidRows

MODELS = CLVModel(purchases=handmade.purchases("BGNBD"), spend=handmade.spend())


def log(rows=400):
    """Return a log of CDNOW with a margin per row that differs within customers, some ids being text."""
    log = ly.datasets.cdnow_sample()
    log = log[log["customer_id"] <= 60].reset_index(drop=True)
    return log.assign(share=np.round(0.1 + 0.01 * (np.arange(len(log)) % 37), 2))


def first_shares(frame):
    """Return each customer's share at the first purchase: the largest amount of the day, then the smallest share."""
    ordered = frame.sort_values(["customer_id", "date", "amount", "share"], ascending=[True, True, False, True])
    return ordered.drop_duplicates("customer_id").set_index("customer_id")["share"]


@sources.every
def test_a_column_is_read_at_the_first_purchase(source, tmp_path):
    frame = log()
    with sources.opened(source, frame, tmp_path) as tx:
        value = MODELS.score(tx, margin="share")
        found = sources.rows(value.customers)
    with ly.transactions(frame) as tx:
        plain = sources.rows(MODELS.score(tx).customers)
    expected = {customer: share * plain[str(customer)]["clv"] for customer, share in first_shares(frame).items()}
    assert {int(customer): row["clv"] for customer, row in found.items()} == pytest.approx(expected, rel=1e-9)
    assert value.total.value == pytest.approx(sum(expected.values()), rel=1e-9)
    mean = first_shares(frame).mean()
    assert value.break_even_cost.value == pytest.approx(mean * MODELS.score(handmade.people()).break_even_cost.value)


@pytest.mark.parametrize("kind", ["pandas", "polars", "polars-lazy", "pyarrow", "parquet"])
def test_a_table_of_customers(kind, tmp_path):
    frame, shares = log(), first_shares(log())
    table = shares.rename("margin").reset_index().sample(frac=1.0, random_state=1)
    stranger = pd.DataFrame({"customer_id": [999_999], "margin": [np.nan]})
    table = pd.concat([table, stranger], ignore_index=True)
    with ly.transactions(frame) as tx:
        value = MODELS.score(tx, margin=other_tables.as_source(table, kind, tmp_path, None))
        expected = MODELS.score(tx, margin="share")
        pd.testing.assert_frame_equal(value.customers, expected.customers, rtol=1e-9)
        assert "margin" not in value.customers
        assert value.to_dict()["terms"]["margin"] == "per customer"
        assert "margin per customer" in str(value)


def test_a_table_for_a_summary():
    table = pl.DataFrame({"id": handmade.PEOPLE["id"].to_list(), "margin": [0.1 * n for n in range(8)]})
    people = MODELS.score(handmade.people(), margin=table).customers.set_index("id")
    plain = MODELS.score(handmade.people()).customers.set_index("id")
    expected = plain["clv"] * pd.Series([0.1 * n for n in range(8)], index=handmade.PEOPLE["id"])
    assert people["clv"].to_dict() == pytest.approx(expected.to_dict(), rel=1e-9, abs=1e-12)
    assert people.loc["new", ["clv", "clv_low", "clv_high"]].eq(0.0).all()


def test_later_edits_of_the_table_are_not_seen():
    table = pd.DataFrame({"id": handmade.PEOPLE["id"], "margin": 0.5})
    value = MODELS.score(handmade.people(), margin=table)
    before = value.customers
    table["margin"] = 7.0
    pd.testing.assert_frame_equal(value.customers, before)


def test_what_cannot_be_a_margin_is_refused():
    frame = log()
    holes = frame.assign(share=frame["share"].where(frame["customer_id"] != 7))
    with (
        ly.transactions(holes) as tx,
        pytest.raises(InvalidRows, match="1 of 60 customers have no finite number") as hit,
    ):
        MODELS.score(tx, margin="share")
    assert (hit.value.column, hit.value.count) == ("share", 1)
    with ly.transactions(frame.assign(share="high")) as tx:
        with pytest.raises(ColumnError, match="margin='share' is not a column of numbers"):
            MODELS.score(tx, margin="share")
        with pytest.raises(ColumnError, match=r"^margin='shar': .* Did you mean 'share'\? Pass margin="):
            MODELS.score(tx, margin="shar")
    table = pd.DataFrame({"customer_id": np.arange(1, 60), "margin": 0.3})
    with ly.transactions(frame) as tx:
        with pytest.raises(InvalidRows, match="1 of 60 customers have no finite number"):
            MODELS.score(tx, margin=table)
        with pytest.raises(InvalidRows, match="59 customers have several rows"):
            MODELS.score(tx, margin=pd.concat([table, table]))
        with pytest.raises(ColumnError, match="'margin'"):
            MODELS.score(tx, margin=table.rename(columns={"margin": "share"}))
        with pytest.raises(ColumnError, match="no numbers"):
            MODELS.score(tx, margin=table.assign(margin="much"))
        with pytest.raises(ColumnError, match="none would match"):
            MODELS.score(tx, margin=table.assign(customer_id=table["customer_id"].map("c{}".format)))


def test_summaries_have_no_columns_to_name():
    with pytest.raises(InvalidArgument, match="a summary has none besides its own"):
        MODELS.score(handmade.people(), margin="spend")
    nameless = CustomerSummary.of(handmade.PEOPLE, unit="week", monetary_value="spend")
    with pytest.raises(InvalidArgument, match="does not say who is who"):
        MODELS.score(nameless, margin=pd.DataFrame({"id": [1], "margin": [0.1]}))


def test_numbers_cost_nothing():
    found = margins(0.25, handmade.people(), None)
    assert (found.number, found.each, found.notes) == (0.25, None, ())


def test_margins_that_are_no_share_are_told():
    for margin in (0.0, 0.3, 1.0):
        assert not any("margin" in note for note in MODELS.score(handmade.people(), margin=margin).notes)
    notes = MODELS.score(handmade.people(), margin=30).notes
    assert notes[0] == (
        "margin=30 is above 1: customers bring 30 times what they spend. If 30 % was meant, pass margin=0.3."
    )
    assert margins(-0.5, handmade.people(), None).notes == (
        "margin=-0.5 is below 0: whatever is sold counts as a loss.",
    )  # fmt: skip
    each = [0.0, 1.0, 30.0, 1.5, -0.1, 0.2, 0.3, 2.0]
    table = pd.DataFrame({"id": handmade.PEOPLE["id"], "margin": each})
    expected = (
        "The margin of 3 customers is above 1: was a percentage meant?",
        "The margin of 1 customer is below 0: whatever they buy counts as a loss.",
    )
    assert margins(table, handmade.people(), None).notes == expected
    frame = log().assign(share=lambda rows: rows["customer_id"].isin([3, 4]) * 20.0)
    with ly.transactions(frame) as tx:
        assert MODELS.score(tx, margin="share").notes[0] == expected[0].replace("3", "2")


def test_customers_of_the_history_have_margins_too():
    frame = log()
    with ly.transactions(frame, observed_from="1997-04-01") as tx:
        assert summarize(tx).n_customers == 60
        assert MODELS.score(tx, margin="share").total.n == 60


def test_a_table_is_not_saved():
    models = CLVModel(
        purchases=MODELS.purchases, spend=MODELS.spend, terms=MODELS.terms.changed({"margin": pd.DataFrame({"a": [1]})})
    )
    with pytest.raises(InvalidArgument, match="not saved with a model"):
        models.to_dict()
