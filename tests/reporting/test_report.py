"""`ly.report` as callers meet it: arguments, files, JSON, notebooks."""

import copy
import dataclasses
import importlib
import json
import os
import subprocess
import sys

import pytest

import logs
import loyalty as ly
import reported
from loyalty.errors import ClosedError, ColumnError, InvalidArgument, OutputError
from loyalty.reporting.document import Said, Verbatim
from loyalty.reporting.report import Report, report

ROWS = [(1, "2024-01-05", 10), (1, "2024-02-05", 10), (2, "2024-02-05", 5)]


@pytest.fixture
def tx():
    with logs.opened(ROWS) as opened:
        yield opened


def test_the_function_is_not_hidden_by_its_room():
    for name in ("reporting.report", "reporting.document", "reporting.sections.parts", "reporting.rendering.page"):
        importlib.import_module(f"loyalty.{name}")
        assert ly.report is report
    code = (
        "import loyalty.reporting.numbers as n, loyalty.reporting.report as r, loyalty as ly; "
        "assert ly.report is r.report and ly.Report is r.Report and n.compute"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_printed_and_the_transactions_stay_open(tx, capfd):
    report(tx)
    assert capfd.readouterr() == ("", "")
    assert float(ly.repurchase_rate(tx)) == 0.5


def test_a_report_outlives_its_transactions(tx, capfd):
    page = report(tx)
    tx.close()
    assert page.html().startswith("<!doctype html>")
    assert capfd.readouterr() == ("", "")
    assert json.loads(json.dumps(page.to_dict(), allow_nan=False))["transactions"]["customers"] == 2
    with pytest.raises(ClosedError):
        report(tx)


def test_a_report_cannot_be_changed():
    page = reported.cdnow()
    with pytest.raises(AttributeError):
        page.language = "es"
    assert isinstance(copy.copy(page), Report)


def test_text_is_the_first_numbers_in_sentences():
    lines = str(reported.cdnow()).splitlines()
    assert lines[0] == (
        "23,570 customers made 67,591 purchases from 1 January 1997 to 30 June 1998, worth $2,500,316 net of returns."
    )
    assert lines[1] == "Repurchase rate: 48.9 %. Of every 100 customers, 49 bought a second time."
    assert len(lines) == 1 + len(reported.cards(reported.cdnow()))


def test_dictionary_holds_every_result():
    told = reported.full().to_dict()
    json.dumps(told, allow_nan=False)
    assert told["results"]["repurchase"] == reported.full().numbers["repurchase"].to_dict()
    assert told["asked"]["surveys"] == told["asked"]["wallet"] == "given"
    assert told["asked"]["horizon"] == "365d"
    assert told["results"]["quiet"][0]["last_purchase"].startswith("202")
    missing = reported.cdnow().to_dict()["results"]["nps"]
    assert missing == {"missing": "no answers were given: pass surveys=<scores from 0 to 10>."}


def without_pictures(page):
    """Return a report of the first numbers alone: pictures take most of the time."""
    document = dataclasses.replace(page.document, sections=page.document.sections[:1])
    return dataclasses.replace(page, document=document)


def test_saved_whole_and_replaced_only_if_it_may_be(tx, tmp_path):
    page, place = without_pictures(report(tx, title="Shop")), tmp_path / "report.html"
    page.save(place)
    first = place.read_text(encoding="utf-8")
    assert first == page.html()
    with pytest.raises(OutputError, match="there already"):
        page.save(place, replace=False, language="es")
    assert place.read_text(encoding="utf-8") == first
    page.save(os.fspath(place), language="es")
    assert '<html lang="es"' in place.read_text(encoding="utf-8")
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(OutputError):
        page.save(tmp_path / "nowhere" / "report.html")


def test_pictures_that_are_drawn_are_told(tx):
    page, told = report(tx), []
    kept = next(one for one in page.document.sections if one.anchor == "concentration")
    some = dataclasses.replace(page, document=dataclasses.replace(page.document, sections=(kept,), terms=()))
    assert some.html(progress=lambda *step: told.append(step)) == some.html()
    assert told == [(1, 1, "pictures")]


def test_notebooks_show_the_page_in_a_frame(tx):
    shown = without_pictures(report(tx, title="<i>Shop</i>"))._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts" srcdoc=')
    assert "<i>Shop" not in shown
    assert shown.count("<") == 2  # the frame, and nothing of the page outside its attribute


def test_title_and_currency(tx):
    page = report(tx, title="Shop", currency="EUR")
    assert page.document.title == Verbatim("Shop")
    assert reported.full().document.title == Said("report.title", {})
    assert "€25.00" in without_pictures(page).html()


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"period": "fortnight"}, "period="),
        ({"inactive_after": 180}, "inactive_after="),
        ({"confidence": 95}, "confidence="),
        ({"listed": -1}, "listed="),
        ({"listed": 10**6}, "listed="),
        ({"currency": "euro"}, "currency="),
        ({"currency": None}, "currency="),
        ({"currency": "XXX"}, "currency="),
        ({"currency": "ZZZ"}, "currency="),
        ({"title": 7}, "title="),
        ({"language": "fr"}, "language="),
        ({"horizon": "1 year"}, "horizon="),
        ({"annual_discount_rate": -0.1}, "annual_discount_rate="),
        ({"horizon": None, "annual_discount_rate": 0.0}, "horizon="),
        ({"model": "BGBB"}, "model="),
        ({"model": 7}, "model="),
        ({"margin": True}, "margin="),
    ],
)
def test_arguments_that_are_not_allowed(tx, given, word):
    with pytest.raises(InvalidArgument, match=word):
        report(tx, **given)


def test_a_margin_that_is_no_column_is_told_at_once(tx):
    with pytest.raises(ColumnError, match=r"margin='amuont'.*'amount'"):
        report(tx, margin="amuont")


def test_a_table_is_no_transactions():
    with pytest.raises(InvalidArgument, match="report takes transactions"):
        report(logs.log(ROWS))
