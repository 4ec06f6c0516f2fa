"""The page as a person meets it: it opens from disk, reads, folds, sorts and prints, and asks for nothing."""

import re

import pytest

import report_pages as pages

pytestmark = pytest.mark.browser

PHONE, LAPTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def cdnow(folder):
    return pages.cdnow(folder)


@pytest.fixture(scope="session")
def spanish(folder):
    return pages.cdnow(folder, "es")


@pytest.fixture(scope="session")
def hostile(folder):
    return pages.hostile(folder)


def overflow(page):
    """Return by how many pixels the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def violations(page, axe):
    """Return what axe-core finds to be serious or critical."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (problem["id"], problem["impact"], [node["html"][:200] for node in problem["nodes"][:3]])
        for problem in found
        if problem["impact"] in ("serious", "critical")
    ]


def test_it_opens_and_shows_the_numbers(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP)
    assert page.locator("h1").count() == 1
    assert page.locator(".card").count() >= 8
    assert "23,570" in page.locator("header").inner_text()
    assert re.search(r"48\.9\s%", page.locator("main").inner_text())  # the repurchase rate
    assert page.locator("figure").count() >= 8
    for picture in page.locator("main svg:visible").all():
        box = picture.bounding_box()
        assert box["width"] > 200, box
        assert box["height"] > 80, box


def test_every_link_leads_somewhere(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP)
    targets = page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
    assert len(targets) > 10
    assert [target for target in targets if not target.startswith("#")] == []
    assert page.evaluate("names => names.filter(name => !document.getElementById(name.slice(1)))", targets) == []


def test_the_contents_lead_to_a_section(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP)
    link = page.locator("nav ol a").nth(3)
    anchor = link.get_attribute("href")
    link.click()
    page.wait_for_timeout(1_200)  # scrolling is smooth
    assert page.evaluate("document.scrollingElement.scrollTop") > 200
    assert page.url.endswith(anchor)
    assert 0 <= page.locator(anchor).bounding_box()["y"] < LAPTOP["height"]


def test_a_definition_is_one_click_away(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP)
    card = page.locator(".card").first
    assert not card.locator("details p").first.is_visible()
    card.locator("summary").click()
    assert card.locator("details p").first.is_visible()
    assert len(card.locator("details p").first.inner_text()) > 30


def shown(table, column):
    cells = table.locator(f"tbody tr > *:nth-child({column + 1})")
    return cells.evaluate_all("cells => cells.map(cell => cell.dataset.value ?? null)")


def numeric(headings):
    """Return the place of the first column of numbers."""
    kinds = headings.evaluate_all("cells => cells.map(cell => cell.dataset.kind)")
    return kinds.index("number")


def test_tables_sort_by_click_and_by_key(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP)
    table = page.locator("main table[data-sortable]:visible").first
    headings = table.locator("thead th")
    place = numeric(headings)
    heading = headings.nth(place)
    before = sorted(map(str, shown(table, place)))
    heading.locator("button").click()
    first = heading.get_attribute("aria-sort")
    assert first in ("ascending", "descending")
    assert page.locator("#announcement").inner_text()
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") not in (None, first)
    values = [float(value) for value in shown(table, place) if value is not None]
    assert len(values) > 1
    assert values == sorted(values, reverse=heading.get_attribute("aria-sort") == "descending")
    assert sorted(map(str, shown(table, place))) == before
    assert table.locator("[aria-sort]").count() == 1


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 2200])
@pytest.mark.parametrize("which", ["cdnow", "spanish", "hostile"])
def test_no_sideways_scroll(request, open_page, which, width):
    page = open_page(request.getfixturevalue(which), viewport={"width": width, "height": 800})
    assert overflow(page) == 0
    page.eval_on_selector_all("details", "all => all.forEach(details => { details.open = true; })")
    assert overflow(page) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["cdnow", "hostile"])
@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_accessible(request, open_page, axe, which, scheme, viewport):
    page = open_page(request.getfixturevalue(which), viewport=viewport, color_scheme=scheme, bypass_csp=True)
    page.eval_on_selector_all("details", "all => all.forEach(details => { details.open = true; })")
    assert violations(page, axe) == []


def test_the_button_turns_dark_and_back(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP, color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator("#theme")
    button.click()
    assert page.evaluate(ground) != light
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert page.evaluate(ground) == light


def test_dark_is_the_choice_of_the_system(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP, color_scheme="dark")
    red, green, blue = map(
        int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body.parentNode).backgroundColor"))[:3]
    )
    assert red + green + blue < 200


def test_everything_is_reached_by_keyboard(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    stops = page.evaluate("[...document.querySelectorAll('a[href], button, summary, [tabindex=\"0\"]')].length")
    assert stops > 20


def test_print_is_light_and_without_buttons(open_page, cdnow, tmp_path):
    page = open_page(cdnow, viewport=LAPTOP, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="light")
    assert not page.locator("#theme").is_visible()
    assert overflow(page) == 0
    assert page.locator("#definitions").is_visible()
    printed = tmp_path / "page.pdf"
    page.pdf(path=printed, format="A4")
    assert printed.read_bytes().startswith(b"%PDF")


def test_it_works_without_scripts(open_page, cdnow):
    page = open_page(cdnow, viewport=LAPTOP, java_script_enabled=False)
    assert page.locator(".card").count() >= 8
    page.locator(".card summary").first.click()
    assert page.locator(".card details[open]").count() == 1
    assert page.locator("thead button").count() == 0


def test_spanish_in_its_own_form(open_page, spanish):
    page = open_page(spanish, viewport=LAPTOP)
    assert page.locator("html").get_attribute("lang") == "es"
    words = page.locator("main").inner_text()
    assert "23.570" in page.locator("header").inner_text()
    assert re.search(r"48,9\s%", words)
    assert "48.9" not in words
    left = page.eval_on_selector_all("main [lang=en]", "all => all.map(node => node.textContent)")
    assert left == []


def test_hostile_names_stay_text(open_page, hostile):
    page = open_page(hostile, viewport=LAPTOP)
    page.eval_on_selector_all("details", "all => all.forEach(details => { details.open = true; })")
    for press in page.locator("thead button:visible").all():
        press.click()
    assert page.evaluate("window.attacked") is None
    assert page.locator("script").count() == 1
    assert page.locator("main img, main iframe, main object, main b, [onload], [onerror], [onclick]").count() == 0
    words = page.locator("main").inner_text()
    assert "<script>window.attacked" in words
    assert "49" not in page.title()


def test_a_script_that_got_in_would_not_run(open_page, hostile):
    """The page's own policy forbids every script but the one that it came with."""
    page = open_page(hostile, allowed="Content Security Policy", viewport=LAPTOP)
    refused = page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener("securitypolicyviolation", event => resolve(event.violatedDirective));
            const script = document.createElement("script");
            script.textContent = "window.attacked = true";
            document.body.append(script);
        })"""
    )
    assert refused.startswith("script-src")
    assert page.evaluate("window.attacked") is None
