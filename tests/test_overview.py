import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import logs
import loyalty as ly
import sources
from loyalty.errors import ColumnError, InvalidArgument

ALWAYS = [
    "repurchase_rate",
    "retention_rate",
    "churn_rate",
    "inactivity_churn_rate",
    "net_revenue_retention",
    "gross_revenue_retention",
    "mean_tenure",
    "median_tenure",
    "median_survival_time",
    "purchases",
    "revenue",
    "average_order_value",
    "sales_per_customer",
    "purchase_frequency",
    "mean_time_between_purchases",
    "median_time_between_purchases",
    "historical_value",
    "top_30_percent_revenue_share",
    "customers_bringing_70_percent_of_revenue",
    "gini_of_revenue",
]
LACKING = {
    "top_30_percent_profit_share": "name cost=<column> in transactions()",
    "upsell_ratio": "name product=<column> in transactions()",
    "share_of_wallet": "pass wallet=<table of category spend per customer>",
    "net_promoter_score": "pass surveys=<scores from 0 to 10>",
}

ROWS = [
    # customer, date, amount, kind, paid, off
    (1, "2024-01-01", 30.0, "tea", 10.0, 0.0),
    (1, "2024-02-09", 10.0, "cup", 4.0, 1.0),
    (2, "2024-01-09", 10.0, "tea", 2.0, 0.0),
    (3, "2024-02-10", 10.0, "tea", 12.0, 0.0),
    (3, "2024-03-31", 20.0, "tea", 12.0, 5.0),
    (None, "2024-02-10", 10.0, "tea", 12.0, 0.0),
]
ROLES = {"product": "kind", "cost": "paid", "discount": "off"}
WALLET = pd.DataFrame({"customer_id": [1, 2, 4], "category_spend": [100.0, 20.0, 50.0]})
SCORES = [10, 9, 9, 8, 3]


def opened(**options):
    return logs.opened(ROWS, "kind", "paid", "off", **options)


def test_every_number_is_that_of_its_metric():
    with opened(**ROLES) as tx:
        found = ly.overview(tx, surveys=SCORES, wallet=WALLET, inactive_after="30d", margin=0.5, confidence=0.9)
        one = {"confidence": 0.9}
        table = ly.revenue_retention(tx, **one)
        stay, spent = ly.tenure(tx, inactive_after="30d", **one), ly.spending(tx, **one)
        wallet, profit = ly.share_of_wallet(tx, WALLET, **one), ly.pareto(tx, revenue=0.8, value="profit", **one)
        expected = {
            "repurchase_rate": ly.repurchase_rate(tx, **one),
            "retention_rate": ly.retention_rate(tx, **one),
            "churn_rate": ly.churn_rate(tx, **one),
            "inactivity_churn_rate": ly.churn_rate(tx, inactive_after="30d", **one),
            "net_revenue_retention": table.net,
            "gross_revenue_retention": table.gross,
            "mean_tenure": stay.mean,
            "median_tenure": stay.median,
            "median_survival_time": stay.survival_median,
            **spent.estimates(),
            "historical_value": ly.historical_value(tx, 0.5, **one).mean,
            "top_30_percent_revenue_share": ly.pareto(tx, **one).revenue_share,
            "customers_bringing_70_percent_of_revenue": ly.pareto(tx, **one).customer_share,
            "gini_of_revenue": ly.pareto(tx, **one).gini,
            "top_30_percent_profit_share": profit.revenue_share,
            "customers_bringing_80_percent_of_profit": profit.customer_share,
            "gini_of_profit": profit.gini,
            "upsell_ratio": ly.upsell_ratio(tx, **one),
            "share_of_wallet": wallet.overall,
            "mean_share_of_wallet": wallet.mean,
            "net_promoter_score": ly.nps(SCORES, **one),
        }
    assert list(found.estimates) == list(expected)
    for name, estimate in expected.items():
        assert sources.same(found[name].to_dict(), estimate.to_dict()), name
    assert found.missing == {}
    assert "discount_rate" in found.estimates


def test_what_lacks_its_data_says_so():
    with opened() as tx:
        found = ly.overview(tx)
    assert list(found.estimates) == ALWAYS
    assert found.missing == LACKING
    lines = str(found).splitlines()
    assert lines[0].startswith("5 of 6 rows used: 5 purchases by 3 customers")
    assert lines[0].endswith("left out: 1 no_customer.")
    assert "Upsell ratio: not computed; name product=<column> in transactions()." in lines
    assert len(lines) == 1 + len(ALWAYS) + len(LACKING)


@pytest.mark.parametrize("kind", ["list", "array", "pandas series", "polars series", "arrow array", "pandas", "polars",
                                  "polars-lazy", "pyarrow", "path", "text path"])  # fmt: skip
def test_scores_of_every_kind(kind, tmp_path):
    frame = pd.DataFrame({"score": SCORES})
    frame.to_csv(tmp_path / "scores.csv", index=False)
    given = {
        "list": SCORES,
        "array": np.array(SCORES),
        "pandas series": frame["score"],
        "polars series": pl.Series(SCORES),
        "arrow array": pa.array(SCORES),
        "pandas": frame,
        "polars": pl.from_pandas(frame),
        "polars-lazy": pl.from_pandas(frame).lazy(),
        "pyarrow": pa.table({"score": SCORES}),
        "path": tmp_path / "scores.csv",
        "text path": str(tmp_path / "scores.csv"),
    }[kind]
    with opened() as tx:
        assert ly.overview(tx, surveys=given)["net_promoter_score"].value == 40.0


def test_the_column_of_scores_may_have_another_name():
    frame = pd.DataFrame({"answer": SCORES})
    with opened() as tx:
        assert ly.overview(tx, surveys=frame, score="answer")["net_promoter_score"].value == 40.0
        with pytest.raises(ColumnError, match="score='score': there is no such column"):
            ly.overview(tx, surveys=frame)


def test_results_that_needed_other_arguments_are_taken_as_they_are():
    wallet = WALLET.rename(columns={"category_spend": "market"})
    with opened() as tx:
        share, score = ly.share_of_wallet(tx, wallet, spend="market"), ly.nps(SCORES, method="wald")
        found = ly.overview(tx, surveys=score, wallet=share)
    assert found["net_promoter_score"] is score
    assert found["share_of_wallet"] is share.overall
    assert found["mean_share_of_wallet"] is share.mean


def test_a_total_of_nothing_has_no_shares_and_says_so():
    with logs.opened([(1, "2024-01-01", 0.0), (2, "2024-02-01", 5.0), (2, "2024-02-03", -9.0)]) as tx:
        found = ly.overview(tx)
    assert "top_30_percent_revenue_share" not in found.estimates
    assert "sums to" in found.missing["top_30_percent_revenue_share"]
    assert "Top 30 percent revenue share: not computed; the revenue of these 2 customers sums to" in str(found)
    assert ".." not in str(found)


def smallest():
    return logs.opened([(1, "2024-01-05", 5.0)])


def test_one_row_gives_a_page_without_a_hole():
    with smallest() as tx:
        found = ly.overview(tx)
    for name, estimate in found.estimates.items():
        assert math.isfinite(estimate.value) or "undefined" in estimate.note, name
        assert math.isfinite(estimate.low) or estimate.note, name
    assert "nan" not in str(found).lower()


@pytest.mark.parametrize("log", [opened, smallest])
def test_results_show_themselves(log):
    with log() as tx:
        found = ly.overview(tx)
    page = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(page) == ["transactions", "estimates", "missing"]
    assert page["transactions"]["rows_used"] == tx.rows_used
    assert list(page["estimates"]) == ALWAYS
    html = found._repr_html_()
    assert html.count("<table>") == 2
    assert "name product=&lt;column&gt; in transactions()" in html
    frame = found.to_native()
    assert frame["estimate"].tolist() == ALWAYS
    assert frame["value"].tolist() == pytest.approx([one.value for one in found.estimates.values()], nan_ok=True)
    shares = [one for one in found.estimates.values() if one.unit == "share"]
    assert len(found.plot().get_yticklabels()) == len(shares)
    with pytest.raises(AttributeError):
        found.kind = "polars"
    with pytest.raises(KeyError):
        found["upsell_ratio"]


@pytest.mark.parametrize(("kind", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame),
                                             ("polars-lazy", pl.DataFrame), ("pyarrow", pa.Table)])  # fmt: skip
def test_frames_are_of_the_callers_kind(kind, frame):
    with ly.transactions(sources.make(kind, logs.log(ROWS, "kind", "paid", "off"), None)) as tx:
        assert isinstance(ly.overview(tx).to_native(), frame)


def test_labels_from_outside_are_escaped():
    with logs.opened([(1, "2024-01-01", 5.0, "x")], "<script>", product="<script>") as tx:
        assert "<script>" not in ly.overview(tx)._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"period": "fortnight"}, "'quarter'"),
        ({"inactive_after": 180}, "90d"),
        ({"confidence": 95}, "0.95"),
        ({"margin": "rate"}, "margin='rate'"),
        ({"surveys": [11]}, "11"),
        ({"surveys": pd.Series(SCORES), "score": "score"}, "score='score' names a column of a table"),
    ],
)
def test_bad_arguments(arguments, hint):
    with opened() as tx, pytest.raises((InvalidArgument, ColumnError, ly.errors.InvalidRows), match=hint):
        ly.overview(tx, **arguments)


@pytest.mark.parametrize("seed", [3, 6, 8, 10])
def test_any_log_gives_a_page(seed):
    with logs.case(seed).opened() as tx:
        for period in logs.PERIODS:
            found = ly.overview(tx, period=period)
            text = str(found)
            assert "nan" not in text
            assert "None" not in text
            json.dumps(found.to_dict(), allow_nan=False)
