"""Reports that several tests look at, each made once."""

import dataclasses
import functools
import warnings

import logs
import loyalty as ly
from loyalty.errors import LoyaltyWarning
from loyalty.reporting.document import Cards, Library, Said, Section
from loyalty.reporting.report import report


@functools.cache
def cdnow():
    """Return the report of all of CDNOW."""
    with ly.transactions(ly.datasets.cdnow()) as tx:
        return report(tx, currency="USD", title="CDNOW")


@functools.cache
def shop():
    """Return a simulated log with every column, and what goes with it: frame, answers, wallets."""
    frame = ly.datasets.simulate(800, seed=7, returns=0.05, guests=0.05)
    scores = ly.datasets.simulate_scores(frame["customer_id"], seed=1)
    return frame, scores, ly.datasets.simulate_wallet(frame, seed=2)


def shop_opened(**options):
    """Return the transactions of the simulated log."""
    return ly.transactions(shop()[0], order="order_id", product="product", cost="cost", **options)


@functools.cache
def full():
    """Return the report of the simulated log with answers and wallets."""
    _, scores, wallet = shop()
    with shop_opened() as tx:
        return report(tx, surveys=scores, wallet=wallet)


def small(rows, **options):
    """Return the report of (customer, date, amount) rows, and hold that nothing is warned of outside the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", LoyaltyWarning)
        with logs.opened(rows) as tx:
            return report(tx, **options)


def section(page, anchor) -> Section:
    """Return a section of a report."""
    return next(one for one in page.document.sections if one.anchor == anchor)


def blocks(page, anchor, kind):
    """Return the blocks of a kind in a section."""
    return [block for block in section(page, anchor).blocks if isinstance(block, kind)]


def cards(page):
    """Return the cards of the first section by the anchor of their definition."""
    (found,) = blocks(page, "headlines", Cards)
    return {card.term: card for card in found.headlines}


def keys(page, anchor):
    """Return the keys of all sentences that stand alone in a section."""
    texts = [getattr(block, name, None) for block in section(page, anchor).blocks for name in ("text", "why")]
    return {text.key for text in [section(page, anchor).lead, *texts] if isinstance(text, Said)}


def texts(part):
    """Yield every text of a document, or of a part of it."""
    if isinstance(part, (Said, Library)):
        yield part
    elif dataclasses.is_dataclass(part):
        for one in dataclasses.fields(part):
            yield from texts(getattr(part, one.name))
    elif isinstance(part, (tuple, list)):
        for one in part:
            yield from texts(one)
