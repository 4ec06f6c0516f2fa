"""What the sections say: the published figures of CDNOW, and why there is nothing where there is nothing."""

import dataclasses
import datetime as dt
import functools
import json

import pandas as pd
import pytest

import logs
import reported
from loyalty import ledger
from loyalty.reporting.document import Absent, DataTable, Library, Notice, Paragraph, Picture, Quantity, Said, Verbatim
from loyalty.reporting.numbers import Facts, Numbers
from loyalty.reporting.rendering.catalogue import catalogue
from loyalty.reporting.rendering.language import language
from loyalty.reporting.report import report
from loyalty.reporting.sections import headlines
from loyalty.reporting.sections.parts import noted, of_people, warned
from loyalty.reporting.sections.rows import rows
from loyalty.reporting.steps import Asked
from reported import blocks, cards, keys, section, small

ANCHORS = [
    "headlines", "rows", "value", "forecast", "quiet", "concentration", "segments", "retention", "cohorts", "rhythm",
    "growth", "surveys",
]  # fmt: skip


def text(page, anchor):
    """Return everything that a section says, in English."""
    words, found = language("en"), section(page, anchor)
    said = [found.lead, *(getattr(block, name, None) for block in found.blocks for name in ("text", "why"))]
    return " ".join(words.plain(one) for one in said if one is not None)


# ---------------------------------------------------------------------------------------------------------------- CDNOW


def test_cards_of_cdnow_are_the_published_figures():
    # Figures of house: 11 516 of 23 570 customers came back; 7071 bring 77.951 %, 5149 bring 70 %.
    found = cards(reported.cdnow())
    assert 8 <= len(found) <= 12
    assert found["repurchase"].value == Quantity(11516 / 23570, "share")
    assert found["repurchase"].sentence.values["count"] == 49
    assert found["top"].value.value == pytest.approx(0.77951, abs=5e-6)
    assert found["vital"].value.value == pytest.approx(5149 / 23570)
    assert found["sales-per-customer"].value.value == pytest.approx(2_500_315.63 / 23570)
    assert found["repurchase"].span.low < 11516 / 23570 < found["repurchase"].span.high


def test_headline_of_cdnow():
    lead = section(reported.cdnow(), "headlines").lead
    assert lead.values["customers"] == Said("count.customers", {"count": 23570})
    assert lead.values["purchases"] == Said("count.purchases", {"count": 67591})
    assert (lead.values["first"], lead.values["last"]) == (dt.date(1997, 1, 1), dt.date(1998, 6, 30))
    assert lead.values["revenue"].value == pytest.approx(2_500_315.63)


def test_every_card_and_every_column_that_needs_it_is_defined():
    for page in (reported.cdnow(), reported.full()):
        terms = {term.anchor for term in page.document.terms}
        assert len(terms) == len(page.document.terms)
        assert set(cards(page)) <= terms
        assert {"p-alive", "value-at-risk", "expected-spend", "customer-value"} <= terms


def test_cohorts_of_cdnow():
    # Cohorts Jan/Feb/Mar 1997: 7846, 8476, 7248 customers, of whom 1157, 1312, 1032 bought in the next month.
    heat = blocks(reported.cdnow(), "cohorts", Picture)[0]
    assert [row[1] for row in heat.table.rows] == [7846, 8476, 7248]
    assert [row[3] for row in heat.table.rows] == [1157 / 7846, 1312 / 8476, 1032 / 7248]
    assert len(heat.table.columns) == 2 + 14  # of 18 months the first 13 and the last
    assert heat.table.rows[1][-1] is None  # February has not been followed that long
    assert heat.shaded


def test_rows_of_cdnow():
    page = reported.cdnow()
    assert section(page, "rows").lead == Said(
        "rows.lead_all", {"used": 69659, "rows": Said("count.rows", {"count": 69659}), "count": 0}
    )
    assert {"rows.nothing_left_out", "rows.no_history", "rows.occasion.day"} <= keys(page, "rows")


def test_forecast_of_cdnow_is_judged():
    page = reported.cdnow()
    scores = next(row for row in page.numbers["backtest"].scores if row["kind"] == "model")
    assert section(page, "forecast").lead.key == "forecast.verdict.good"
    assert section(page, "forecast").lead.values["off"].value == abs(scores["bias"]) < 0.10
    assert "forecast.too_few" in keys(page, "forecast")


def test_sections_are_all_there_in_order():
    for page in (reported.cdnow(), reported.full(), small([(1, "2024-01-05", 10)])):
        assert [one.anchor for one in page.document.sections] == ANCHORS


def test_pictures_say_what_is_to_be_seen():
    pictures = [block for anchor in ANCHORS for block in blocks(reported.full(), anchor, Picture)]
    assert len(pictures) == 17
    for picture in pictures:
        assert any(isinstance(value, Quantity) or value for value in picture.alt.values.values())
        assert picture.table is not None
    assert len({picture.alt.key for picture in pictures}) == 17


def test_gaps_and_their_finding():
    gaps = blocks(reported.cdnow(), "rhythm", Picture)[0]
    waits = reported.cdnow().numbers["gaps"]
    assert gaps.alt.values["waits"].values["count"] == 67591 - 23570 == sum(waits["count"])
    assert gaps.alt.values["share"].value == max(waits["count"]) / (67591 - 23570)


def test_tables_of_customers_name_them_as_the_caller_does():
    (table,) = blocks(reported.full(), "quiet", DataTable)
    numbers = reported.full().numbers["quiet"]
    assert [row[0] for row in table.rows] == [Verbatim(row["customer"]) for row in numbers]
    at_risk = [row[-1] for row in table.rows]
    assert at_risk == sorted(at_risk, reverse=True)
    assert table.sorted_by == (6, "descending")


# ---------------------------------------------------------------------------------------------------------- other logs


def test_left_out_rows_are_told_with_their_reason():
    page = reported.full()
    (table,) = blocks(page, "rows", DataTable)
    exclusions = page.numbers.facts.exclusions
    assert [row[1:3] for row in table.rows] == list(exclusions.values())
    assert {row[0].key for row in table.rows} == {f"excluded.{reason}" for reason in exclusions}


def test_every_reason_has_words():
    reasons = [ledger.NO_CUSTOMER, *ledger.INVALID.values(), ledger.BEFORE, ledger.AFTER, ledger.DROPPED,
               ledger.WITHOUT_PURCHASE, ledger.OF_EARLIER_PURCHASE]  # fmt: skip
    for code in ("en", "es"):
        assert {f"excluded.{reason}" for reason in reasons} <= catalogue(code).sentences.keys()


@pytest.mark.parametrize(
    ("until", "period", "expected"),
    [("2024-03-30", "month", True), ("2024-03-31", "month", False), ("2024-03-31", "week", False),
     ("2024-03-30", "week", True), ("2024-03-30", "day", False)],
)  # fmt: skip
def test_an_incomplete_last_period_is_told(until, period, expected):
    with logs.opened([(1, "2024-01-01", 5), (1, "2024-02-01", 5), (2, "2024-03-01", 5), (2, until, 3)]) as tx:
        assert ("rows.last_incomplete" in read(tx, period=period)) == expected


def read(tx, **asked):
    """Return the keys of what is said of the rows, which rests on no result."""
    numbers = Numbers(facts=Facts.of(tx), asked=Asked(**asked), results={}, warned={})
    return {block.text.key for block in rows(numbers).blocks if isinstance(block, (Notice, Paragraph))}


def test_history_is_told():
    with logs.opened([(1, "2023-12-05", 5), (1, "2024-02-01", 5), (2, "2024-03-31", 5)],
                     observed_from="2024-01-15") as tx:  # fmt: skip
        assert {"rows.history", "rows.first_incomplete"} <= read(tx)


def test_cohorts_that_would_be_too_many_are_coarser():
    days = pd.date_range("2020-01-01", "2024-12-31", freq="11D")
    page = small([(place % 40, day, 5.0) for place, day in enumerate(days)], model="NBD")
    assert page.numbers["cohorts"].period == "quarter"
    assert "cohorts.coarser" in keys(page, "cohorts")
    assert section(page, "cohorts").title.values["period"].key == "period.first_purchase.quarter"


def test_long_tables_keep_their_last_rows():
    days = pd.date_range("2024-01-01", "2024-03-31")
    page = small([(place % 3, day, 5.0) for place, day in enumerate(days)], period="day")
    table = blocks(page, "retention", Picture)[0].table
    assert len(table.rows) == 60
    assert table.caption.key == "part.last_rows"
    assert table.rows[-1][0].english == "2024-03-30"


def absences(page):
    """Return the sections that say that something is not there."""
    return {anchor for anchor in ANCHORS if blocks(page, anchor, Absent)}


def test_one_customer():
    page = small([(1, "2024-01-05", 10)])
    assert section(page, "concentration").lead.key == "concentration.one"
    assert section(page, "segments").lead.key == "segments.lead_one"
    assert cards(page)["repurchase"].sentence.key == "card.repurchase.none"
    assert {"value", "forecast", "quiet", "retention", "cohorts", "rhythm", "growth", "surveys"} <= absences(page)
    assert "None of 1 customer" in text(page, "value")
    assert "fewer than two complete months" in text(page, "retention")


def test_everybody_bought_once():
    page = small([(place, f"2024-0{1 + place % 6}-11", 10.0 + place) for place in range(30)])
    assert section(page, "rhythm").lead.key == "rhythm.lead_once"
    assert "nobody bought twice" in text(page, "rhythm")
    assert cards(page)["median-gap"].sentence.key == "part.undefined"
    assert cards(page)["retention"].sentence.key == "card.retention.none"
    assert {"value", "quiet"} <= absences(page)


def test_few_customers_are_counted_one_by_one():
    page = small([(1, "2024-01-05", 10), (1, "2024-01-09", 10), (2, "2024-01-20", 10), (3, "2024-01-20", 10)])
    sentence = cards(page)["repurchase"].sentence
    assert sentence == Said("card.repurchase", {"group": Said("group.these", {"count": 3}), "count": 1})


def test_only_zero_amounts():
    page = small([(place % 5, f"2024-0{1 + place % 6}-11", 0) for place in range(30)])
    assert "there are no shares of it" in text(page, "concentration")
    assert section(page, "segments").lead.key == "segments.lead_alike"
    assert "concentration" in absences(page)


def test_more_returned_than_bought():
    page = small([(1, "2024-01-05", 10), (1, "2024-01-09", -30), (2, "2024-02-05", 5)])
    assert section(page, "headlines").lead.values["revenue"].value == -15
    assert "sums to −15" in text(page, "concentration")


def test_one_day():
    page = small([(place % 7, "2024-01-05", place) for place in range(30)])
    assert {"value", "retention", "cohorts", "rhythm"} <= absences(page)
    assert keys(page, "rows") >= {"rows.window"}
    assert "1 day" in text(page, "rows")


def test_answers_that_nobody_gave_and_that_are_no_scores():
    rows = [(1, "2024-01-05", 10), (2, "2024-02-05", 5)]
    assert "nobody answered" in text(small(rows, surveys=[None]), "surveys")
    assert "no whole number" in text(small(rows, surveys=[11]), "surveys")
    assert section(small(rows, surveys=[10, 10, 0]), "surveys").lead.key == "surveys.lead"


def test_more_than_twelve_cards_leave_the_least_out():
    found = cards(reported.full())
    assert len(found) == 12
    assert {"nps", "wallet", "upsell", "value", "repurchase"} <= found.keys()
    assert "vital" not in found


def test_nobody_is_named_where_nobody_is_to_be():
    _, scores, _ = reported.shop()
    with reported.shop_opened() as tx:
        page = report(tx, listed=0, surveys=scores)
    assert keys(page, "quiet") == {"quiet.unlisted"}
    assert not blocks(page, "quiet", DataTable)
    assert not [one for one in blocks(page, "value", DataTable) if one.sorted_by]


def test_warnings_are_on_the_page():
    rows = [(place % 12, day, 5.0 + place % 7) for place, day in enumerate(pd.date_range("2024-01-01", periods=200))]
    page = small(rows)
    assert page.numbers.warned["value"]
    notices = [block.text.english for block in blocks(page, "value", Notice)]
    assert page.numbers.warned["value"][0] in notices


def test_a_warning_that_a_note_says_is_not_said_again():
    numbers = reported.cdnow().numbers
    told = "ParetoNBD (boundary): it lies on a boundary"
    changed = dataclasses.replace(numbers, warned={"value": (told, "MBGNBD: a and b are open", "of its own")})
    notes = ("ParetoNBD was taken: it lies on a boundary, and so on.", "a and b are open.")
    shown = [block.text.english for block in warned(changed, "value", told=notes)]
    assert shown == ["Of its own"]


def test_each_notice_stands_once_on_the_page():
    for page in (reported.cdnow(), reported.full()):
        said = [block.text for one in page.document.sections for block in one.blocks if isinstance(block, Notice)]
        english = [text.english for text in said if isinstance(text, Library)]
        assert len(english) == len(set(english)) > 0
        assert sum(text.startswith("Left out of the fit") for text in english) == 1


def test_whole_days_have_no_decimals():
    card = cards(reported.cdnow())["median-gap"]
    assert language("en").plain(card.value) == f"{int(card.value.value)}\N{NO-BREAK SPACE}days"


def test_notes_begin_with_a_capital_letter_and_arguments_do_not():
    assert noted("left out: 3").english == "Left out: 3"
    assert noted("score='x' is no column").english == "score='x' is no column"
    both = [card.note for page in (reported.full(), tiny_page()) for card in cards(page).values()]
    notes = [note.english for note in both if isinstance(note, Library)]
    assert notes
    assert all(not note[0].islower() for note in notes)


@functools.cache
def tiny_page():
    return small([(1, "2024-01-05", 10), (1, "2024-01-20", 10), (1, "2024-03-05", 10)], listed=0)


def test_one_customer_is_told_in_the_singular():
    page, words = tiny_page(), language("en")
    told = {key: words.plain(Said(key, values)) for key, values in (
        ("value.lead", {"count": 1, "value": 5, "mean": 5, "ahead": Said("value.ahead", {"count": 1})}),
        ("forecast.too_few", {"predicted": Said("count.repeats", {"count": Quantity(0.5, "tenths")}), "actual": 1,
                              "off": Quantity(0.49, "share")}),
    )}  # fmt: skip
    assert told["value.lead"] == "The one customer there is is expected to bring 5 over the next day."
    assert told["forecast.too_few"].replace("\xa0", " ") == (
        "It expected 0.5 repeat purchases, and 1 came: 49.0 % too few."
    )
    assert "1 customers" not in text(page, "value").replace("of 1 customers", "")


def test_customers_who_return_more_than_they_buy():
    bought = [(who, f"2024-0{month}-10", 10.0 if month % 2 else 1.0) for who in range(4) for month in range(1, 7)]
    returned = [(who, f"2024-0{month}-12", -30.0) for who in range(4) for month in (2, 4, 6)]
    page = small([*bought, *returned], listed=0, model="NBD")
    assert page.numbers["revenue_retention"].net.value < 0
    assert cards(page)["revenue-retention"].sentence.key == "card.revenue_retention.negative"
    assert "retention.revenue_negative" in keys(page, "retention")


def test_profit_has_a_curve_of_its_own():
    readings = [picture.alt.key for picture in blocks(reported.full(), "concentration", Picture)]
    assert readings == ["concentration.alt_revenue", "concentration.alt_profit"]


# ------------------------------------------------------------------------------------------------------------ sentences


@pytest.mark.parametrize(
    ("rate", "counts", "expected"),
    [
        (0.4886, {}, ("", "group.every", 100, 49)),
        (0.004, {}, ("", "group.every", 1_000, 4)),
        (0.0000004, {}, ("", "group.every", 1_000_000, 1)),
        (0.9999, {}, ("", "group.every", 10_000, 9_999)),
        (1 / 3, {"part": 2, "whole": 6}, ("", "group.these", 6, 2)),
        (0.5, {"part": 50, "whole": 100}, ("", "group.every", 100, 50)),
    ],
)
def test_shares_in_words(rate, counts, expected):
    ending, group, base, part = expected
    assert of_people("k", rate, **counts) == Said(f"k{ending}", {"group": Said(group, {"count": base}), "count": part})


@pytest.mark.parametrize(("rate", "key"), [(0.0, "k.none"), (1.0, "k.all"), (float("nan"), "part.undefined")])
def test_shares_of_nobody_and_of_everybody(rate, key):
    assert of_people("k", rate).key == key


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (9, 11))])
@pytest.mark.parametrize("code", ["en", "es"])
def test_every_sentence_of_messy_logs_can_be_said(seed, code):
    words, texts = language(code), list(reported.texts(messy(seed).document))
    assert len(texts) > 200
    assert all(words.plain(one) for one in texts)


@functools.cache
def messy(seed):
    case = logs.case(seed)
    with case.opened() as tx:
        page = report(tx, period=logs.PERIODS[seed % 5], surveys=[10, 9, 3, None], inactive_after="30d")
    json.dumps(page.to_dict(), allow_nan=False)
    return page


def test_a_card_sends_readers_of_doubts_to_the_section_that_tells_them():
    assert headlines._noted("value", "BGNBD (boundary): …").key == "card.value.doubt"
    assert headlines._noted("value", "") is None
    assert headlines._noted("repurchase", "left out: 3") == Library("Left out: 3")
