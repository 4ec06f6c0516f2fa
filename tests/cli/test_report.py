"""`loyalty report` and `loyalty demo`: what they hand to `loyalty.report`, and where the page goes."""

import types

import pytest

from command import run


class Page:
    """What `loyalty.report` returns, as far as the command knows it."""

    numbers = types.SimpleNamespace(has=bool)

    def html(self, progress=lambda *_told: None):
        progress(1, 1, "pictures")
        return "<!doctype html><title>Ä</title>"


@pytest.fixture
def asked(monkeypatch):
    """What `loyalty.report` was called with."""
    calls = []

    def report(tx, *, progress=None, **choices):
        progress(1, 2, "counting")
        calls.append({"tx": str(tx), **choices})
        return Page()

    monkeypatch.setattr("loyalty.reporting.report.report", report)
    return calls


DEFAULTS = {
    "title": "", "language": "en", "currency": "", "listed": 20, "period": "month", "inactive_after": "180d",
    "margin": None, "horizon": "365d", "annual_discount_rate": 0.10, "model": "auto", "surveys": None, "score": None,
    "wallet": None, "confidence": 0.95,
}  # fmt: skip


def test_defaults(files, tx, asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("report", files["orders.csv"])
    assert (done.code, done.out) == (0, b""), done.err
    assert asked == [{"tx": str(tx), **DEFAULTS}]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == Page().html()
    assert done.err.splitlines()[-1] == "page written to report.html (0.0 MB)"
    assert run("report", files["orders.csv"]).code == 3
    assert run("report", files["orders.csv"], "--force").code == 0


def test_every_option(files, asked, tmp_path):
    for name in ("s.csv", "w.csv"):
        (tmp_path / name).write_text("x\n1\n")
    given = {
        "title": "Our [red]shop", "language": "es", "currency": "EUR", "listed": 0, "period": "week",
        "inactive_after": "90d", "margin": "cost", "horizon": "52w", "discount_rate": 0.2, "model": "MBGNBD",
        "surveys": str(tmp_path / "s.csv"), "score": "x", "wallet": str(tmp_path / "w.csv"), "confidence": 0.9,
    }  # fmt: skip
    options = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    done = run("report", files["orders.csv"], *options, "-o", tmp_path / "a.html")
    assert done.code == 0, done.err
    given["annual_discount_rate"] = given.pop("discount_rate")
    assert {name: value for name, value in asked[0].items() if name != "tx"} == given


def test_the_page_on_standard_output(files, asked):
    done = run("report", files["orders.csv"], "-o", "-", "-q")
    assert (done.code, done.out.decode(), done.err) == (0, Page().html(), "")


def test_the_place_is_looked_at_first(files, asked, tmp_path):
    (tmp_path / "a.html").write_text("mine")
    for place, code in ((tmp_path / "a.html", 3), (tmp_path / "none" / "a.html", 3), (tmp_path, 3)):
        assert run("report", files["orders.csv"], "-o", place).code == code
        assert run("demo", "-o", place).code == code
    assert asked == []


def test_demo(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("demo", "--language", "es")
    assert done.code == 0, done.err
    assert asked[0]["tx"].startswith("69,659 of 69,659 rows used")
    assert {name: value for name, value in asked[0].items() if name != "tx"} == {"language": "es", "currency": "USD"}
    assert (tmp_path / "loyalty-demo.html").read_text(encoding="utf-8") == Page().html()


@pytest.mark.parametrize("option", ["--surveys", "--wallet"])
@pytest.mark.parametrize("command", ["report", "metrics"])
def test_a_table_beside_the_rows_that_is_not_there(files, asked, command, option):
    done = run(command, files["orders.csv"], option, "none.csv")
    assert (done.code, done.out, done.err.count("\n"), asked) == (2, b"", 1, [])
    assert "no file matches 'none.csv'" in done.err


@pytest.mark.slow
def test_the_page_itself(files, tmp_path):
    done = run("report", files["orders.csv"], "--title", "<b>Ours</b>", "--currency", "EUR", "-o", tmp_path / "a.html")
    assert done.code == 0, done.err
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "&lt;b&gt;Ours&lt;/b&gt;" in page
    assert "€" in page
    said = run("report", files["orders.csv"], "--language", "xx", "-q", "-o", "-")
    assert (said.code, said.out) == (2, b"")
    assert said.err.startswith("loyalty: --language 'xx'")


def test_a_file_that_cannot_be_used_is_no_page(tmp_path):
    rows, answers = tmp_path / "rows.csv", tmp_path / "answers.csv"
    rows.write_text("customer_id,date,amount\na,2024-01-01,5\na,2024-02-01,5\nb,2024-01-03,7\n")
    answers.write_text("rating\n9\n")
    for column, why in ((), "score"), (("--score", "rating"), None):
        done = run("report", rows, "--surveys", answers, *column, "-o", tmp_path / "page.html", "--force")
        assert done.code == (1 if why else 0), done
        assert (tmp_path / "page.html").exists() is not bool(why)
        assert (why or "") in done.err
