"""Numbers, dates, names and the library's texts, in the form of each language."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from markupsafe import Markup

from loyalty import wording
from loyalty.errors import InvalidArgument
from loyalty.reporting.document import Library, Quantity, Said, Span, Verbatim
from loyalty.reporting.rendering.forms import forms
from loyalty.reporting.rendering.language import language, untranslated
from loyalty.reporting.rendering.library_texts import Translator
from loyalty.reporting.rendering.names import shortened, visible

BLANK = "\N{NO-BREAK SPACE}"


def put(code, value, currency=""):
    return language(code, currency).plain(value).replace(BLANK, " ")


@pytest.mark.parametrize(
    ("value", "english", "spanish"),
    [
        (Quantity(0.4886, "share"), "48.9 %", "48,9 %"),
        (Quantity(1.0, "share"), "100.0 %", "100,0 %"),
        (Quantity(-0.00001, "share"), "0.0 %", "0,0 %"),
        (Quantity(12.34, "points"), "12.3 points", "12,3 puntos"),
        (Quantity(0.48861, "ratio"), "0.489", "0,489"),
        (Quantity(70.5, "days"), "70.5 days", "70,5 días"),
        (Quantity(30, "days"), "30 days", "30 días"),
        (Quantity(1.0, "purchases"), "1 purchase", "1 compra"),
        (Quantity(1_234_567, "count"), "1,234,567", "1.234.567"),
        (Quantity(1_234.5, "money"), "1,234.50", "1.234,50"),
        (Quantity(0.000_5, "money"), "0.00050", "0,00050"),
        (Quantity(-1_234.5, "money"), "−1,234.50", "−1.234,50"),
        (Quantity(1.23e17, "money"), "1.23e+17", "1,23e+17"),
        (Quantity(math.nan, "share"), "not defined", "no definido"),
        (Quantity(None, "days"), "not defined", "no definido"),
        (Quantity(math.inf, "ratio"), "infinite", "infinito"),
        (Quantity(-math.inf, "ratio"), "−infinite", "−infinito"),
        (Span(70.5, 73.9, "days"), "70.5 to 73.9 days", "70,5 a 73,9 días"),
        (Span(0.1, 0.25, "share"), "10.0 % to 25.0 %", "10,0 % a 25,0 %"),
        (Span(1.5, math.inf, "ratio"), "1.500 to infinite", "1,500 a infinito"),
        (dt.date(1997, 1, 1), "1 January 1997", "1 de enero de 1997"),
        (dt.datetime(1997, 1, 1, 12), "1 January 1997", "1 de enero de 1997"),
        (12_345, "12,345", "12.345"),
        ("a & b", "a & b", "a & b"),
        (["x", 2, "z"], "x, 2 and z", "x, 2 y z"),
        ([], "", ""),
    ],
)  # fmt: skip
def test_a_value_is_written_in_the_form_of_the_language(value, english, spanish):
    assert (put("en", value), put("es", value)) == (english, spanish)


def test_money_is_written_with_its_currency():
    assert put("en", Quantity(1_234.5, "money"), "EUR") == "€1,234.50"
    assert put("en", Quantity(1_234.5, "money"), "USD") == "$1,234.50"
    assert put("es", Quantity(1_234.5, "money"), "EUR") == "1.234,50 €"
    assert put("es", Quantity(-0.05, "money"), "EUR") == "−0,050 €"
    assert put("en", Quantity(2, "money"), "XTS") == "XTS 2.00"
    assert put("en", Span(1, 2, "money"), "EUR") == "€1.00 to €2.00"
    assert put("es", Span(1, 2, "money"), "EUR") == "1,00 a 2,00 €"
    assert put("es", Quantity(1e17, "money"), "EUR") == "1e+17 EUR"


@pytest.mark.parametrize("unit", ["share", "points", "ratio", "money", "days", "purchases"])
@pytest.mark.parametrize("value", [0.0, 0.04885, 0.5, 48.85, 999.995, 1_000.0, 9_456.785, -3.25])
def test_english_is_what_the_library_says_itself(value, unit):
    assert put("en", Quantity(value, unit)) == wording.quantity(value, unit).replace("-", "−")


def test_currencies_as_their_readers_write_them():
    assert put("en", Quantity(26_383.0, "money"), "CHF") == "CHF 26,383"
    assert language("en", "CHF").plain(Quantity(-5.0, "money")) == f"−CHF{BLANK}5.00"
    assert put("en", Quantity(202.44, "money"), "JPY") == "¥202"
    assert put("es", Quantity(202.44, "money"), "JPY") == "202 JPY"
    assert language("en", "JPY").cell(202.44, "money") == "¥202"


@pytest.mark.parametrize(
    ("value", "english", "spanish"),
    [
        (Quantity(0.999, "level"), "99.9 %", "99,9 %"),
        (Quantity(0.95, "level"), "95 %", "95 %"),
        (Quantity(0.075, "level"), "7.5 %", "7,5 %"),
        (Quantity(0.5, "tenths"), "0.5", "0,5"),
        (Quantity(34, "days"), "34 days", "34 días"),
        (Quantity(1, "days"), "1 day", "1 día"),
        (Library("4.128e+15"), "4.128e+15", "4,128e+15"),
        (Library("it is -0.04 (Pearson) in 2024-01"), "it is −0.04 (Pearson) in 2024-01", None),
        (Said("value.ahead", {"count": 1}), "over the next day", "en el próximo día"),
        (Said("value.ahead", {"count": 365}), "over the next 365 days", "en los próximos 365 días"),
    ],
)
def test_forms_of_the_page(value, english, spanish):
    assert put("en", value) == english
    assert spanish is None or put("es", value) == spanish


def test_what_a_number_needs_stays_on_its_line():
    assert BLANK + "%" in language("en").text(Quantity(0.5, "share"))
    assert BLANK + "%" in language("es").text(Span(0.1, 0.5, "share"))


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 fila"), (0, "0 filas"), (2, "2 filas"), (1_000_000, "1.000.000 filas")]
)
def test_a_count_chooses_the_plural(count, words):
    assert put("es", Said("count.rows", {"count": count})) == words
    assert put("es", Said("count.rows", {"count": Quantity(count)})) == words


def test_an_unknown_language_is_refused_with_those_there_are():
    for code in ("fr", "EN", "", None, "../en"):
        with pytest.raises(InvalidArgument, match="en and es"):
            language(code)


def test_a_sentence_or_a_value_that_is_not_there_is_an_error():
    with pytest.raises(InvalidArgument, match=r'no sentence "page\.nowhere" in en\.po'):
        language("en").text(Said("page.nowhere"))
    with pytest.raises(InvalidArgument, match=r'"page\.span" in es\.po names \{high\}'):
        language("es").text(Said("page.span", {"low": 1}))


def test_names_are_escaped_and_set_apart():
    text = language("en").text(Said("page.made_by", {"library": Verbatim('<script a="b">')}))
    assert isinstance(text, Markup)
    assert text == "Made by <bdi>&lt;script a=&#34;b&#34;&gt;</bdi>."
    assert language("en").plain(Verbatim("plain")) == "plain"
    assert language("en").plain(Verbatim("\u05d0\u05d1")) == "\u2068\u05d0\u05d1\u2069"
    assert language("es").text(Verbatim(" \n\0")) == "(sin nombre)"
    # A name that looks like a placeholder is none.
    assert put("en", Said("page.span", {"low": Verbatim("{high}"), "high": "x"})) == "{high} to x"


def test_a_long_name_is_shortened_in_its_middle_and_kept_whole_beside():
    name = "begin" + "<" * 500 + "end"
    text = language("en").text(Verbatim(name))
    assert text.count("&lt;") == 500 + text.split(">", 1)[1].count("&lt;")
    assert text.striptags().startswith("begin<")
    assert text.striptags().endswith("end")
    assert len(text.striptags()) == 60
    assert len(language("en").text(Verbatim("y" * 100_000))) < 2_200


def test_what_cannot_be_seen_is_taken_out():
    assert visible("a\u202eb\u2066c\u200e") == "abc"
    assert visible("one\r\ntwo\tthree\u2028four\xa0five") == "one two three four five"
    assert visible("\ud83d \0\x1b[31m") == "\ufffd [31m"
    assert visible("\N{WOMAN}\u200d\N{PERSONAL COMPUTER}") == "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}"
    assert visible(17) == "17"
    assert shortened("abcdef", 5) == "ab…ef"


def test_library_texts_stay_english_in_english_but_for_their_dates():
    assert put("en", Library("12,345 customers <b> until 1997-06-30")) == "12,345 customers <b> until 30 June 1997"
    assert put("en", Library("observed_until=1997-06-30, 1997-13-45")) == "observed_until=1997-06-30, 1997-13-45"
    assert language("en").text(Library("a <b>")) == "a &lt;b&gt;"


@pytest.fixture
def translator():
    texts = {
        "repurchase rate": "tasa de recompra",
        "customers left out: {}": "clientes excluidos: {}",
        "retention by {}": "retención por {}",
        "month": "mes",
        "revenue": "ingresos",
        "undefined": "sin definir",
        "pooled over all {}s": "sobre cada {} del total",
        "{} customers": "{} clientes",
        "{} of {} is above {}": "por encima de {2}: {0} de {1}",
        "share of the {}. It ends on {}.": "parte de: {}. Acaba el {}.",
        "the {} column that was named is empty": "la columna {} está vacía",
        "within 90 days": "en tres meses",
        "within {} days": "en {} días",
    }
    return Translator(texts, forms("es"))


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("repurchase rate", "tasa de recompra"),
        ("Repurchase rate", "Tasa de recompra"),
        ("repurchase rate.", "tasa de recompra."),
        ("customers left out: 12,345", "clientes excluidos: 12.345"),
        ("retention by month", "retención por mes"),
        ("Retention by month", "Retención por mes"),
        ("Pooled over all months.", "Sobre cada mes del total."),
        ("retention by month.", "retención por mes."),
        ("3 customers", "3 clientes"),
        ("1.5 of revenue is above 70 %", "por encima de 70 %: 1,5 de ingresos"),
        ("within 90 days", "en tres meses"),
        ("within 1,000 days", "en 1.000 días"),
        ("customers left out: 2; undefined", "clientes excluidos: 2; sin definir"),
        ("Undefined. Repurchase rate.", "Sin definir. Tasa de recompra."),
        ("share of the revenue. It ends on 1997-06-30.", "parte de: ingresos. Acaba el 30 de junio de 1997."),
        ("Repurchase rate: 48.9 %", "Tasa de recompra: 48,9 %"),
        ("48.9 % – 1,234.5", "48,9 % – 1.234,5"),
        ("1997-01", "1997-01"),
        ("", ""),
    ],
)
def test_a_library_text_is_found_by_its_template(translator, english, spanish):
    pieces = translator.pieces(english)
    assert "".join(piece.text for piece in pieces).replace(BLANK, " ") == spanish
    assert all(piece.known and not piece.missed for piece in pieces)


def test_a_template_may_hold_a_name_but_a_weak_one_does_not_swallow_everything(translator):
    (piece,) = translator.pieces("the <price> column that was named is empty")
    assert piece.text == "la columna <price> está vacía"
    assert piece.missed == ("<price>",)
    (piece,) = translator.pieces("money of a kind that nobody knows of customers")
    assert not piece.known
    assert piece.text == piece.missed[0] == "money of a kind that nobody knows of customers"


def test_what_nobody_translated_is_told_apart_and_collected():
    with untranslated() as missed:
        text = language("es").text(Library("customers; nobody <translated> this"))
    assert text == 'clientes; <span lang="en">nobody &lt;translated&gt; this</span>'
    assert missed == {"nobody <translated> this"}
    with untranslated() as missed:
        language("es").text(Library("customers"))
        language("en").text(Library("nobody translated that either"))
    assert missed == set()


def test_an_endless_word_inside_a_library_text_is_shortened():
    assert len(language("en").plain(Library("column " + "x" * 5_000))) < 80


def test_cells():
    spanish = language("es", "EUR")
    assert spanish.cell(None, "money") == "–"
    assert spanish.cell(math.nan, "share") == "–"
    assert spanish.cell(0.5, "share") == "50,0" + BLANK + "%"
    assert spanish.cell(1_234.5, "money") == "1.234,50" + BLANK + "€"
    assert spanish.cell(12, "count") == "12"
    assert spanish.cell(dt.date(1997, 6, 30), "date") == "30 jun 1997"
    assert spanish.cell(Verbatim("<b>"), "text") == "<bdi>&lt;b&gt;</bdi>"
    assert spanish.cell("<b>", "text") == "&lt;b&gt;"
    assert spanish.cell(Quantity(0.5, "share"), "text") == "50,0" + BLANK + "%"


def test_large_money_is_told_without_cents_but_not_in_columns():
    assert put("en", Quantity(769_654.96, "money")) == "769,655"
    assert put("es", Quantity(769_654.96, "money")) == "769.655"
    assert put("en", Span(9_991.27, 10_020.63, "money")) == "9,991 to 10,021"
    assert put("en", Span(9_991.27, 9_999.63, "money")) == "9,991.27 to 9,999.63"
    assert language("en").cell(769_654.96, "money") == "769,654.96"
