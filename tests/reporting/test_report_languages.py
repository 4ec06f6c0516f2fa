"""Nothing of the pages stays English in Spanish."""

import dataclasses
import re
import warnings

import pyarrow as pa
import pytest

import logs
import loyalty as ly
import reported
from loyalty.errors import LoyaltyWarning
from loyalty.reporting.document import Library, Said
from loyalty.reporting.numbers import Numbers, _result
from loyalty.reporting.rendering.language import language, untranslated
from loyalty.reporting.sections.parts import absent
from loyalty.reporting.steps import STEPS, Asked, Book

ROWS = [(1, "2024-01-05", 10), (1, "2024-02-05", 10), (2, "2024-02-05", 5)]


@pytest.mark.slow
def test_nothing_of_the_pages_stays_english_in_spanish():
    for page in (reported.cdnow(), reported.full()):
        with untranslated() as missed:
            shown = page.html("es")
        assert missed == set()
        assert 'lang="en"' not in shown


@pytest.mark.parametrize(
    ("case", "period"),
    [
        *((case, "month") for case in ("one", "zero", "negative", "two")),
        pytest.param("one day", "month", marks=pytest.mark.slow),
        ("once", "week"),
        *(pytest.param("once", period, marks=pytest.mark.slow) for period in ("day", "month", "quarter", "year")),
    ],
)
def test_no_text_of_tiny_logs_stays_english_in_spanish(case, period):
    words = language("es")
    with untranslated() as missed:
        for text in reported.texts(tiny(case, period).document):
            words.plain(text)
    assert missed == set()


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("Undefined: customers do not differ in frequency, or not in mean spend", "No está definido: los clientes"),
        ("365 days, margin per customer, 10 % a year", "en 365 días, con el margen de cada cliente, al 10 % anual"),
        ("ParetoNBD was taken (lowest AIC, boundary); MBGNBD AIC 7.70 above the lowest, ridge, BGNBD failed.",
         "se eligió ParetoNBD (AIC más bajo, en un límite); MBGNBD: AIC 7,70 por encima del más bajo, con una cresta"),
        ("gone means 1 day of silence", "se ha ido quien pasa 1 día sin comprar"),
        ("4.128e+15", "4,128e+15"),
    ],
)  # fmt: skip
def test_texts_that_were_left_in_english(english, spanish):
    with untranslated() as missed:
        said = language("es").plain(Library(english)).replace("\xa0", " ")
    assert missed == set()
    assert said.lower().startswith(spanish.lower())


def test_a_margin_by_column_is_told_in_spanish_but_for_its_name():
    english = (
        "Expected value over 365 days, margin by column 'mcol', 10 % a year, of the customers of each group, its share "
        "of what all groups are worth, and means per customer"
    )
    with untranslated() as missed:
        said = language("es").plain(Library(english))
    assert missed == {"'mcol'"}
    assert "con el margen de la columna 'mcol'" in said


STRANGERS = {"customer_id": ["bob@y.com"], "category_spend": [3.0]}
BAD = {
    "surveys.column": {"surveys": pa.table({"a": [1]})},
    "surveys.rows": {"surveys": [11]},
    "surveys.file": {"surveys": "no.csv"},
    "surveys.grouped": {"surveys": ly.nps([9, 3], by=["a", "b"])},
    "surveys.other": {"surveys": 5},
    "wallet.column": {"wallet": pa.table({"a": [1]})},
    "wallet.rows": {"wallet": pa.table({"customer_id": ["ann@x.com"], "category_spend": [-4.0]})},
    "wallet.file": {"wallet": "no.csv"},
    "wallet.strangers": {"wallet": pa.table(STRANGERS)},
    "wallet.empty": {"wallet": pa.table(STRANGERS).slice(1)},
    "margin.column": {"margin": pa.table({"a": [1]})},
    "margin.rows": {"margin": pa.table({"customer_id": ["ann@x.com"], "margin": [0.3]})},
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_data_that_cannot_be_used_are_told_without_quoting_them(case):
    name = {"surveys": "nps", "wallet": "wallet", "margin": "value"}[case.split(".")[0]]
    asked = Asked(**BAD[case], model="NBD")
    with logs.opened([(who, f"2024-0{month}-05", 10) for who in ("ann@x.com", "eve@x.com") for month in (1, 2)]) as tx:
        numbers = dataclasses.replace(FACTLESS, asked=asked, results={name: result(name, Book(tx, asked, {}))})
    told = absent(numbers, name).why
    assert told == Said(f"unusable.{case}")
    for code in ("en", "es"):
        shown = language(code).plain(told)
        assert not re.search(r"@|csv|looked from", shown)


FACTLESS = Numbers(facts=None, asked=Asked(), results={}, warned={})


def result(name, book):
    """Return the result of one step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoyaltyWarning)  # so few customers leave the model open
        return _result(name, STEPS[name], book)


def tiny(case, period):
    rows = {
        "one": [(1, "2024-01-05", 10)],
        "once": [(place, f"2024-0{1 + place % 6}-11", 10.0 + place) for place in range(30)],
        "zero": [(place % 5, f"2024-0{1 + place % 6}-11", 0) for place in range(30)],
        "one day": [(place % 7, "2024-01-05", place) for place in range(30)],
        "negative": [(1, "2024-01-05", 10), (1, "2024-01-09", -30), (2, "2024-02-05", 5)],
        "two": ROWS,
    }[case]
    return reported.small(rows, period=period, surveys=[None])
