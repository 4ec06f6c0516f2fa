"""A Chromium that opens pages from disk, and tells of everything that it should not have done."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lacking import lacking

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
AXE = ROOT / ".venv/node/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def chromium():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("browser", "playwright is missing: make test-browser installs it")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        lacking("browser", "Chromium is missing: apt-get install chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe():
    path = Path(os.environ.get("AXE_CORE", AXE))
    if not path.is_file():
        lacking("browser", "axe-core is missing: make test-browser installs it, or set AXE_CORE to axe.min.js")
    return path.read_text(encoding="utf-8")


@dataclass
class Opened:
    """A page with what it said and asked for, and what it may say."""

    page: object
    allowed: str
    errors: list = field(default_factory=list)
    requests: list = field(default_factory=list)


@pytest.fixture
def open_page(chromium):
    """Open a file in a context of its own; at the end no page may have complained or asked for anything else."""
    contexts, pages = [], []

    def open_(path, allowed="", **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        opened = Opened(context.new_page(), allowed)
        opened.page.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        pages.append((opened, path.as_uri()))
        opened.page.goto(path.as_uri())
        return opened.page

    yield open_
    for context in contexts:
        context.close()
    for opened, address in pages:
        assert [said for said in opened.errors if not (opened.allowed and opened.allowed in said)] == []
        elsewhere = [url for url in opened.requests if url.split("#")[0] != address and not url.startswith("data:")]
        assert elsewhere == [], "the page asked for something beside itself"
