"""The page as HTML: whole, reachable, safe, and nothing in it from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from loyalty.errors import InvalidArgument
from loyalty.reporting.document import (
    Cards,
    Column,
    DataTable,
    Document,
    Headline,
    Library,
    Notice,
    Paragraph,
    Quantity,
    Said,
    Section,
    Verbatim,
)
from loyalty.reporting.rendering.names import visible
from loyalty.reporting.rendering.page import render
from reporting.rendering.sample_document import HOSTILE, sample

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Node:
    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent, self.children, self.parts = tag, attributes, parent, [], []

    def all(self, tag=None, **wanted):
        """Yield elements below, in order, by tag and attributes (class_ for class)."""
        for child in self.children:
            asked = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
            if (tag is None or child.tag == tag) and asked.items() <= child.attributes.items():
                yield child
            yield from child.all(tag, **wanted)

    @property
    def text(self):
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)


class Reader(HTMLParser):
    """Reads a page into nodes; an element that is closed out of order is an error."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.here = Node("", {}, None)

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len({name for name, _ in attrs}), (tag, attrs)
        node = Node(tag, dict(attrs), self.here)
        self.here.children.append(node)
        self.here.parts.append(node)
        if tag not in VOID:
            self.here = node

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.here = self.here.parent

    def handle_endtag(self, tag):
        assert tag == self.here.tag, (tag, self.here.tag)
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.parts.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.here is reader.root
    return reader.root


@pytest.fixture(scope="module", params=["en", "es"])
def page(request):
    return render(sample(), request.param)


@pytest.fixture(scope="module")
def tree(page):
    return read(page)


def test_the_page_is_one_whole_document(page, tree):
    assert page.startswith("<!doctype html>\n<html lang=")
    assert page.rstrip().endswith("</html>")
    page.encode("utf-8")  # no lone surrogate is left
    (html,) = tree.all("html")
    assert html.attributes["lang"] in {"en", "es"}
    assert html.attributes["dir"] == "ltr"
    assert [node.tag for node in tree.all() if node.tag in {"h1", "main", "header", "footer", "nav", "title"}] == [
        "title", "header", "h1", "nav", "main", "footer"
    ]  # fmt: skip
    assert next(tree.all("title")).text == "\u2068Loyalty at Nordlicht & Söhne\u2069"


def test_ids_are_unique_and_every_link_and_label_has_its_target(tree):
    ids = Counter(node.attributes["id"] for node in tree.all() if "id" in node.attributes)
    assert max(ids.values()) == 1
    links = [node.attributes["href"] for node in tree.all("a")]
    assert len(links) > 10
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    for node in tree.all():
        for label in node.attributes.get("aria-labelledby", "").split():
            assert label in ids


def test_contents_name_every_section(tree):
    (nav,) = tree.all("nav")
    sections = [node.attributes["id"] for node in next(tree.all("main")).children if node.tag == "section"]
    assert sections == ["headlines", "retention", "customers", "definitions"]
    assert [link.attributes["href"] for link in nav.all("a")] == [f"#{anchor}" for anchor in sections]


def test_headings_skip_no_level(tree):
    levels = [int(node.tag[1]) for node in tree.all() if re.fullmatch(r"h[1-6]", node.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def test_nothing_comes_from_elsewhere_and_nothing_goes_there(page, tree):
    rest = page.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", rest)
    for node in tree.all():
        for name in ("src", "action", "formaction", "poster", "data", "srcset"):
            assert name not in node.attributes, (node.tag, name)
        if "href" in node.attributes:
            assert node.attributes["href"].startswith(("#", "data:image/"))
        assert not any(name.startswith("on") for name in node.attributes), node.tag
    assert not list(tree.all("iframe"))
    assert not list(tree.all("form"))


def test_the_policy_allows_the_one_script_and_nothing_else(tree):
    (script,) = tree.all("script")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    (policy,) = tree.all("meta", http_equiv="Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.attributes["content"].split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert "localStorage" not in script.text
    assert "innerHTML" not in script.text


def test_pictures_have_words(tree):
    pictures = list(tree.all("svg"))
    assert len(pictures) == 4  # wide and narrow, light and dark
    assert all(node.attributes["role"] == "img" and node.attributes["aria-label"] for node in pictures)
    assert not list(tree.all("img"))
    for figure in tree.all("figure"):
        assert next(figure.all("figcaption")).text
    for box in tree.all(role="region"):
        assert box.attributes["tabindex"] == "0"
        assert box.attributes["aria-label"]


def test_what_tells_how_to_read_a_picture_stands_below_it_in_the_language(tree):
    (key,) = tree.all("p", class_="key")
    english = next(tree.all("html")).attributes["lang"] == "en"
    assert key.text.strip() == "Hatched: not observed." if english else "Hatched" not in key.text


def test_hostile_names_are_text_and_nothing_but_text(tree):
    table = next(node for node in tree.all("table") if "data-sortable" in node.attributes)
    shown = [row.children[0] for row in next(table.all("tbody")).children]
    for name, cell in zip(HOSTILE, shown, strict=False):
        clean = visible(name)
        assert cell.tag == "th"
        if not clean:
            assert cell.text in {"(no name)", "(sin nombre)"}
        elif len(clean) <= 60:
            assert cell.text == clean
            (bdi,) = cell.children
            assert (bdi.tag, bdi.children) == ("bdi", [])
        else:
            assert cell.text == "x" * 30 + "…" + "x" * 29
    # Elements that a name would have made are not there.
    assert len(list(tree.all("script"))) == 1
    assert not list(tree.all("b"))


def test_tables_are_readable_without_seeing_them(tree):
    tables = list(tree.all("table"))
    assert len(tables) == 3
    for table in tables:
        assert next(table.all("caption")).text
        assert all(cell.attributes["scope"] == "col" for cell in next(table.all("thead")).all("th"))
        width = len(list(next(table.all("thead")).all("th")))
        for row in next(table.all("tbody")).children:
            assert [cell.tag for cell in row.children] == ["th"] + ["td"] * (width - 1)
            assert row.children[0].attributes["scope"] == "row"


def test_what_is_sorted_is_the_value_and_not_how_it_is_written():
    table = DataTable(
        caption=Said("page.numbers"),
        columns=(Column(label=Library("name")), Column(label=Library("share"), kind="share")),
        rows=(
            (Verbatim("<b>"), 0.5),
            (Verbatim("c"), None),
            (Verbatim("d"), float("nan")),
            (Verbatim("e"), 1e-20),
            (Verbatim("f"), float("inf")),
        ),
        sortable=True,
        sorted_by=(1, "ascending"),
    )
    tree = read(render(Document(title=Said("page.contents"), subtitle=Said("page.private"), sections=(
        Section(anchor="a", title=Said("page.contents"), blocks=(table, replace(table, sortable=False))),
    ))))  # fmt: skip
    first, second = tree.all("table")
    body = [[cell.attributes.get("data-value") for cell in row.children] for row in next(first.all("tbody")).children]
    assert body == [["<b>", "0.5"], ["c", None], ["d", None], ["e", "1e-20"], ["f", "Infinity"]]
    name, share = next(first.all("thead")).all("th")
    assert "aria-sort" not in name.attributes
    assert share.attributes["aria-sort"] == "ascending"
    assert (name.attributes["data-kind"], share.attributes["data-kind"]) == ("text", "number")
    assert share.attributes["data-down"] == "Sorted by share, largest first"
    assert not any("data-value" in cell.attributes for cell in second.all())


def test_cards_say_value_interval_sentence_note_and_definition():
    tree = read(render(sample()))
    rate, spend, *_, undefined = tree.all("article")
    assert next(rate.all("p", class_="value")).text == "48.9\N{NO-BREAK SPACE}%"
    interval = next(rate.all("p", class_="interval")).text.replace("\N{NO-BREAK SPACE}", " ")
    assert interval == "95 % interval: 48.2 % to 49.5 %"
    assert next(rate.all("p", class_="sentence")).text.startswith("About half of the customers")
    assert not list(rate.all("p", class_="note"))
    assert "Returns are taken off" in next(spend.all("p", class_="note")).text
    (definition,) = rate.all("details")
    assert "divided by all customers" in definition.text
    assert next(definition.all("a")).attributes["href"] == "#term-repurchase-rate"
    assert next(undefined.all("p", class_="value")).text == "not defined"
    assert not list(undefined.all("p", class_="interval"))


def document(*blocks, **changes):
    section = Section(anchor="a", title=Said("page.contents"), blocks=blocks)
    return Document(title=Said("page.contents"), subtitle=Said("page.private"), sections=(section,), **changes)


def test_notices_in_a_row_are_one_list():
    notices = [Notice(Library(f"number {place}")) for place in range(3)]
    tree = read(render(document(*notices, Paragraph(Library("text")), notices[0])))
    several, one = tree.all(class_="notice")
    assert [item.text for item in several.all("li")] == ["number 0", "number 1", "number 2"]
    assert one.tag == "p"


def test_a_page_may_be_almost_empty():
    tree = read(render(Document(title=Verbatim(""), subtitle=Said("page.private"), sections=())))
    assert next(tree.all("h1")).text == "(no name)"
    assert not list(tree.all("section"))


def test_a_title_may_be_long_but_not_endless():
    tree = read(render(Document(title=Verbatim("word " * 1_000), subtitle=Said("page.private"), sections=())))
    assert len(next(tree.all("h1")).text) <= 160


def test_a_definition_that_is_not_there_is_an_error():
    headline = Headline(name=Library("x"), value=Quantity(1.0), sentence=Said("page.private"), term="nowhere")
    with pytest.raises(InvalidArgument, match='definition "nowhere"'):
        render(document(Cards((headline,))))


def test_an_unknown_language_is_an_error():
    with pytest.raises(InvalidArgument, match="there is en and es"):
        render(document(), "xx")


def test_progress_is_told_per_picture():
    told = []
    render(sample(), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_bytes_are_the_same_each_time():
    assert render(sample()) == render(sample())


def test_dark_colours_are_for_screens_only(page):
    style = page[page.index("<style>") : page.index("</style>")]
    for place in (found.start() for found in re.finditer("color-scheme:dark;", style)):
        assert style.rfind("@media screen", 0, place) > style.rfind("\n", 0, place - 1)


def test_the_page_is_small(page):
    assert len(page.encode()) < 150_000


def test_noise_of_adding_up_in_another_order_leaves_the_page_as_it_is():
    pages = set()
    for value in (578497.8419420294, 578497.8419420252):
        table = DataTable(caption=Said("page.contents"), columns=(Column(label=Verbatim("x"), kind="money"),),
                          rows=((value,), (Quantity(value, "money"),)), sortable=True)  # fmt: skip
        section = Section(anchor="a", title=Said("page.contents"), blocks=(table,))
        pages.add(render(Document(title=Verbatim("t"), subtitle=Said("page.private"), sections=(section,))))
    assert len(pages) == 1
    assert 'data-value="578497.841942"' in pages.pop()
