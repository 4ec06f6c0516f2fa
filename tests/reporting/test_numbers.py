"""The numbers behind the page: those of the public functions, and why there are none."""

import threading
import warnings
from unittest import mock

import pyarrow as pa
import pytest

import logs
import loyalty as ly
import reported
from loyalty.clv.valuation.terms import Terms
from loyalty.errors import ClosedError, LoyaltyWarning
from loyalty.periods import Window, day_number
from loyalty.reporting.numbers import compute
from loyalty.reporting.steps import STEPS, Asked, Lack, cohort_period


def same(mine, theirs):
    """Hold that two results say the same, up to the order in which an engine adds up."""
    if isinstance(theirs, ly.Estimate):
        rows = [[one.to_dict()] for one in (mine, theirs)]
    else:
        rows = [one.data.to_pylist() for one in (mine, theirs)]
    for first, second in zip(*rows, strict=True):
        assert first.keys() == second.keys()
        for name, value in second.items():
            numeric = isinstance(value, float)
            assert first[name] == (pytest.approx(value, nan_ok=True, rel=1e-9, abs=1e-9) if numeric else value), name


@pytest.fixture(scope="module")
def tx():
    with reported.shop_opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def numbers():
    return reported.full().numbers


def steps_of(tx, asked, *names):
    """Return the results of some steps alone: the whole page takes a second."""
    with mock.patch.dict(STEPS, {name: STEPS[name] for name in names}, clear=True):
        return compute(tx, asked)


# Number of the overview → where the report has it.
OVERVIEW = {
    "repurchase_rate": "repurchase",
    "retention_rate": "retention_rate",
    "churn_rate": "churn_rate",
    "inactivity_churn_rate": "silent",
    "net_revenue_retention": "revenue_retention.net",
    "gross_revenue_retention": "revenue_retention.gross",
    "mean_tenure": "tenure.mean",
    "median_tenure": "tenure.median",
    "median_survival_time": "tenure.survival_median",
    "historical_value": "historical_value.mean",
    "top_30_percent_revenue_share": "pareto.revenue_share",
    "customers_bringing_70_percent_of_revenue": "pareto.customer_share",
    "gini_of_revenue": "pareto.gini",
    "top_30_percent_profit_share": "profit.revenue_share",
    "customers_bringing_80_percent_of_profit": "profit.customer_share",
    "gini_of_profit": "profit.gini",
    "upsell_ratio": "upsell",
    "share_of_wallet": "wallet.overall",
    "mean_share_of_wallet": "wallet.mean",
    "net_promoter_score": "nps",
}


def test_estimates_are_those_of_the_overview(tx, numbers):
    _, scores, wallet = reported.shop()
    overview = ly.overview(tx, scores, wallet)
    spending = {f"spending.{name}": name for name in numbers["spending"].estimates()}
    places = OVERVIEW | {name: place for place, name in spending.items()}
    assert set(places) == set(overview.estimates)
    for name, place in places.items():
        step, _, inner = place.partition(".")
        same(getattr(numbers[step], inner) if inner else numbers[step], overview[name])


def test_tables_are_those_of_the_public_functions(tx, numbers):
    scored, value = ly.rfm(tx), ly.clv(tx, margin=numbers["value"].terms.margin)
    same(numbers["retention"], ly.retention(tx))
    same(numbers["revenue_retention"], ly.revenue_retention(tx))
    same(numbers["cohorts"], ly.cohorts(tx))
    same(numbers["gaps"], ly.purchase_gaps(tx))
    same(numbers["spend_distribution"], ly.spend_distribution(tx))
    same(numbers["tenure"].survival, ly.tenure(tx).survival)
    same(numbers["rfm"].segments, scored.segments)
    same(numbers["value"].total, value.total)
    assert numbers["value_by_segment"]["value"] == pytest.approx(
        value.by(scored.customers, column="segment")["value"], rel=1e-9
    )
    same(numbers["alive_by_recency"], value.alive_by_recency())
    same(numbers["purchase_counts"], value.model.purchases.purchase_counts(ly.summarize(tx)))


def test_customers_who_are_named_are_those_of_the_value(tx, numbers):
    value = ly.clv(tx, margin=numbers["value"].terms.margin)
    quiet, best = value.going_quiet(20), value.top(20)
    assert [row["customer"] for row in numbers["quiet"]] == quiet["customer_id"].astype(str).tolist()
    assert [row["customer"] for row in numbers["best"]] == best["customer_id"].astype(str).tolist()
    assert [row["purchases"] for row in numbers["best"]] == (best["frequency"] + 1).tolist()
    frame = reported.shop()[0]
    sold = frame[frame["amount"] >= 0]
    last = sold.groupby("customer_id")["date"].max().dt.date
    assert [row["last_purchase"] for row in numbers["best"]] == last.loc[best["customer_id"]].tolist()


def test_margin_where_costs_are_known_is_that_of_all_sales(numbers):
    sold, earned = numbers["spending"].revenue.value, numbers["historical_value"].total.value
    assert 0 < numbers["value"].terms.margin == earned / sold < 1


def test_a_margin_from_costs_is_said_with_few_digits():
    assert str(Terms(margin=0.399999)) == "365 days, margin 40 %, 10 % a year"
    assert str(Terms(margin=1 / 3)) == "365 days, margin 33.33 %, 10 % a year"


def test_a_margin_that_is_given_counts(tx):
    numbers = steps_of(tx, Asked(margin=0.25), "historical_value", "value")
    assert numbers["value"].terms.margin == 0.25
    same(numbers["historical_value"].mean, ly.historical_value(tx, 0.25).mean)
    table = Asked(margin=pa.table({"customer_id": [0], "margin": [0.1]}))
    with_table = steps_of(tx, table, "historical_value", "value")
    assert not with_table.has("historical_value")
    assert "customers have no finite number" in with_table.why("value")


def test_model_is_tested_on_the_past(tx, numbers):
    test = numbers["backtest"]
    assert list(test.fits) == [numbers["value"].model.purchases.model]
    assert test.days == pytest.approx(tx.window.days / 3, abs=1)
    fit = ly.MBGNBD().fit(ly.summarize(tx))
    told = steps_of(tx, Asked(model=fit), "historical_value", "spending", "value", "backtest")
    assert told["value"].model.purchases is fit
    assert told["backtest"].fits["MBGNBD"].log_likelihood != fit.log_likelihood  # a fit that knew the end is no test


@pytest.mark.parametrize(
    ("period", "last", "expected"),
    [
        ("day", "2024-01-20", "day"),
        ("day", "2024-03-31", "week"),
        ("week", "2024-12-31", "month"),
        ("month", "2026-12-31", "month"),
        ("month", "2027-01-31", "quarter"),
        ("month", "2034-12-31", "year"),
        ("year", "2094-12-31", "year"),
    ],
)
def test_period_of_cohorts_is_the_finest_that_can_be_read(period, last, expected):
    assert cohort_period(Window(day_number("2024-01-01"), day_number(last)), period) == expected


def test_what_is_missing_says_what_to_pass():
    numbers = reported.cdnow().numbers
    missing = {name for name in STEPS if not numbers.has(name)}
    assert missing == {"profit", "upsell", "nps", "wallet"}
    assert not any(numbers[name].given for name in missing)
    for name, word in (("profit", "cost="), ("upsell", "product="), ("nps", "surveys="), ("wallet", "wallet=")):
        assert word in numbers.why(name)
    assert numbers.why("repurchase") == ""


def test_what_rests_on_a_missing_result_has_its_reason():
    with logs.opened([(1, "2024-01-05", 10), (2, "2024-02-05", 5)]) as tx:
        numbers = compute(tx, Asked())
    assert numbers["value"].given
    for name in ("value_by_segment", "value_concentration", "alive_by_recency", "purchase_counts", "quiet", "best"):
        assert numbers[name] is numbers["value"]


def test_data_that_cannot_be_used_stop_nothing():
    _, scores, _ = reported.shop()
    with reported.shop_opened() as tx:
        wallet = pa.table({"customer_id": [10**9], "category_spend": [1.0]})
        numbers = steps_of(tx, Asked(surveys=scores.assign(score=11), wallet=wallet), "nps", "wallet", "repurchase")
    assert "whole number" in numbers.why("nps")
    assert "spell the ids alike" in numbers.why("wallet")
    assert numbers.has("repurchase")


def test_results_may_be_passed_ready_made(tx):
    _, scores, wallet = reported.shop()
    answers, shares = ly.nps(scores, "score"), ly.share_of_wallet(tx, wallet)
    numbers = steps_of(tx, Asked(surveys=answers, wallet=shares), "nps", "wallet")
    assert numbers["nps"] is answers
    assert numbers["wallet"] is shares
    groups = ly.nps(scores["score"], by=scores["score"] > 5)
    assert "per group" in steps_of(tx, Asked(surveys=groups), "nps").why("nps")
    assert steps_of(tx, Asked(surveys=scores["score"]), "nps")["nps"].value == answers.value


def test_mistakes_in_the_program_are_not_swallowed(monkeypatch, tx):
    def broken(_book):
        raise ZeroDivisionError

    monkeypatch.setitem(STEPS, "gaps", broken)
    with pytest.raises(ZeroDivisionError):
        steps_of(tx, Asked(), "gaps")


def test_closed_transactions_are_an_error():
    tx = reported.shop_opened()
    tx.close()
    with pytest.raises(ClosedError):
        compute(tx, Asked())


def test_warnings_are_kept_and_not_shown(monkeypatch, tx):
    def warning(_book):
        warnings.warn("this deserves a look", LoyaltyWarning, stacklevel=1)
        warnings.warn("this deserves a look", LoyaltyWarning, stacklevel=1)
        warnings.warn("somebody else's", RuntimeWarning, stacklevel=1)

    monkeypatch.setitem(STEPS, "gaps", warning)
    shown = warnings.showwarning
    with pytest.warns(RuntimeWarning, match="somebody else's") as caught:
        numbers = steps_of(tx, Asked(), "gaps")
    assert numbers.warned["gaps"] == ("this deserves a look",)
    assert [one.category for one in caught] == [RuntimeWarning]
    assert warnings.showwarning is shown
    assert numbers.to_dict()["warnings"] == {"gaps": ["this deserves a look"]}


def test_warnings_of_other_threads_are_theirs(monkeypatch, tx):
    def elsewhere():
        warnings.warn("of another thread", LoyaltyWarning, stacklevel=1)

    def step(_book):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    monkeypatch.setitem(STEPS, "gaps", step)
    with pytest.warns(LoyaltyWarning, match="of another thread"):
        numbers = steps_of(tx, Asked(), "gaps")
    assert numbers.warned["gaps"] == ()


def test_progress_tells_every_step_once(tx):
    told = []
    with mock.patch("loyalty.reporting.numbers._result"):  # what the steps do does not matter here
        compute(tx, Asked(listed=0), lambda *step: told.append(step))
    assert [done for done, _, _ in told] == list(range(len(STEPS) + 1))
    assert {total for _, total, _ in told} == {len(STEPS) + 1}
    assert told[1][2] == "retention"
    assert told[-1][2] == "page"


def test_nobody_is_named_where_nobody_is_to_be(tx):
    numbers = steps_of(tx, Asked(listed=0), "historical_value", "spending", "value", "quiet", "best")
    assert numbers["quiet"] == numbers["best"] == []
    assert not isinstance(numbers["quiet"], Lack)
