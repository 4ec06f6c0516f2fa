"""The report: every number of a log on one page that a manager can read and an analyst can trust."""

from __future__ import annotations

import datetime as dt
import html
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from loyalty import checks, periods, writing
from loyalty.clv.valuation.terms import Terms
from loyalty.errors import InvalidArgument
from loyalty.reporting.document import Document, Library, Notice, Section, Verbatim
from loyalty.reporting.numbers import compute
from loyalty.reporting.rendering.language import language as spoken
from loyalty.reporting.sections.cohorts import cohorts
from loyalty.reporting.sections.concentration import concentration
from loyalty.reporting.sections.definitions import definitions
from loyalty.reporting.sections.forecast import forecast
from loyalty.reporting.sections.growth import growth
from loyalty.reporting.sections.headlines import headlines
from loyalty.reporting.sections.parts import counted, said
from loyalty.reporting.sections.quiet import quiet
from loyalty.reporting.sections.retention import retention
from loyalty.reporting.sections.rhythm import rhythm
from loyalty.reporting.sections.rows import rows
from loyalty.reporting.sections.segments import segments
from loyalty.reporting.sections.surveys import surveys
from loyalty.reporting.sections.value import value
from loyalty.reporting.steps import Asked, checked_model
from loyalty.transactions import takes_transactions

if TYPE_CHECKING:
    from loyalty.periods import PeriodName
    from loyalty.reporting.numbers import Numbers
    from loyalty.transactions import Transactions

__all__ = ["Report", "report"]

MOST_LISTED = 1_000  # customers by name: a page stays small
_SECTIONS = (headlines, rows, value, forecast, quiet, concentration, segments, retention, cohorts, rhythm, growth,
             surveys)  # fmt: skip
_TYPED = {ord("\N{NO-BREAK SPACE}"): " ", ord("\N{MINUS SIGN}"): "-"}  # signs that every terminal can show
_CURRENCY = re.compile(r"[A-Z]{3}")


@takes_transactions
def report(
    tx: Transactions,
    *,
    surveys: Any = None,
    score: Any = None,
    wallet: Any = None,
    margin: Any = None,
    horizon: str | dt.timedelta | None = "365d",
    annual_discount_rate: float = 0.10,
    model: Any = "auto",
    period: PeriodName = "month",
    inactive_after: str | dt.timedelta = "180d",
    confidence: float = 0.95,
    currency: str = "",
    title: str = "",
    language: str = "en",
    listed: int = 20,
    progress: Callable[[int, int, str], Any] | None = None,
) -> Report:
    """Put every number of a log on one page: `report(tx).save("report.html")`.

    The page is one file that loads nothing from anywhere: headline numbers with intervals and a plain sentence each,
    what was left out and why, who brings the revenue, whether customers come back, segments, what customers are worth,
    which valuable ones are going quiet, the definition of every number. What the data cannot give says why.

    Args:
        tx: The transactions; they stay open.
        surveys: Answers to "would you recommend us" from 0 to 10: anything that `nps` takes, or its result.
        score: Column of the scores where `surveys` is a table; "score" if None.
        wallet: Category spend per customer: a table with the customer column's name and "category_spend", or the result
            of `share_of_wallet`.
        margin: Share of spend that is earned: a number, a column of the transactions, or a table of customers, as in
            `clv`. None: sales less cost where the transactions name a column of costs, else all sales.
        horizon: How far ahead customers are valued, as in `clv`.
        annual_discount_rate: 0.10 for 10 % a year, as in `clv`.
        model: Model of purchases, as in `clv`.
        period: Period of retention and cohorts: "day", "week", "month", "quarter" or "year". Cohorts take the next
            coarser one in which there are at most 36 of them.
        inactive_after: Silence after which a customer counts as gone.
        confidence: Level of all intervals.
        currency: Three letters of ISO 4217 that money is shown with, such as "EUR"; "" for none.
        title: Title of the page; one of the catalogue if empty.
        language: "en" or "es": what `html` and `save` write where they are given no other.
        listed: How many customers are named, of those going quiet and of the most valuable; 0 for a page that leaves
            the house.
        progress: Called before each step with the number of steps done, of all steps, and what is done next.

    Returns:
        The report: `.save(path)`, `.html()`, `.to_dict()`.

    Raises:
        InvalidArgument: An argument is not allowed. (Surveys or wallets that cannot be used do not stop the page: their
            section says why.)
        ColumnError: `margin` names no column.
        ClosedError: The transactions were closed.

    What the library warns of on the way is told on the page. Nulls and ties: as in the functions whose results are
    shown.

    Examples:
        >>> import loyalty as ly
        >>> page = ly.report(ly.transactions(ly.datasets.cdnow_sample()), currency="USD", title="CDNOW")
        >>> print(str(page).splitlines()[1])
        Repurchase rate: 48.3 %. Of every 100 customers, 48 bought a second time.
        >>> page.save("report.html")
    """
    asked = Asked(
        surveys=surveys, score=score, wallet=wallet, margin=margin, horizon=horizon,
        annual_discount_rate=annual_discount_rate, model=model, period=period, inactive_after=inactive_after,
        confidence=confidence, listed=listed,
    )  # fmt: skip
    check(asked, language=language, currency=currency, title=title)
    if isinstance(margin, str):
        checks.column("margin", margin, tx.engine.labels)
    numbers = compute(tx, asked, progress)
    return Report(document=_document(numbers, currency, title), language=language, numbers=numbers)


def check(asked: Asked, *, language: str = "en", currency: str = "", title: str = "") -> None:
    """Refuse what is not allowed before the long work begins; no rows are needed for it.

    Args:
        asked: What is asked for.
        language: As in `report`.
        currency: As in `report`.
        title: As in `report`.

    Raises:
        InvalidArgument: An argument is not allowed.
    """
    checks.choice("period", asked.period, periods.PERIODS)
    periods.duration_days(asked.inactive_after, "inactive_after")
    checks.count("listed", asked.listed, low=0, high=MOST_LISTED)
    Terms(
        horizon=asked.horizon,
        margin=1.0 if asked.margin is None else asked.margin,
        annual_discount_rate=asked.annual_discount_rate,
        confidence=asked.confidence,
    )
    checked_model(asked.model)
    if not isinstance(title, str):
        raise InvalidArgument(f"title={title!r}: give text.")
    if not isinstance(currency, str) or (currency and not _known(currency)):
        raise InvalidArgument(f'currency={currency!r}: give the three letters of a currency, such as "EUR", or "".')
    spoken(language)


def _known(currency: str) -> bool:
    """Return whether letters are the code of a currency; XXX is that of none."""
    from babel.numbers import is_currency

    return bool(_CURRENCY.fullmatch(currency)) and currency != "XXX" and bool(is_currency(currency))


def _document(numbers: Numbers, currency: str, title: str) -> Document:
    """Return the page as data."""
    from loyalty import __version__

    facts = numbers.facts
    return Document(
        title=Verbatim(title) if title.strip() else said("report.title"),
        subtitle=said("report.subtitle", purchases=counted("purchases", facts.purchases), first=facts.first,
                      customers=counted("customers", facts.customers), last=facts.last),
        sections=_each_once(section(numbers) for section in _SECTIONS),
        terms=definitions(numbers),
        currency=currency,
        library=f"loyalty {__version__}",
    )  # fmt: skip


def _drawing(progress: Callable[[int, int, str], Any], done: int, total: int) -> None:
    """Tell how many pictures are drawn."""
    progress(done, total, "pictures")


def _each_once(sections: Iterable[Section]) -> tuple[Section, ...]:
    """Return sections without the notices that an earlier one has."""
    told: set[str] = set()
    kept = []
    for section in sections:
        blocks = []
        for block in section.blocks:
            if isinstance(block, Notice) and isinstance(block.text, Library):
                if block.text.english in told:
                    continue
                told.add(block.text.english)
            blocks.append(block)
        kept.append(replace(section, blocks=tuple(blocks)))
    return tuple(kept)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Report:
    """A page of results: data first, rendered when it is asked for. It does not need the transactions any more.

    Attributes:
        document: The page as data.
        language: The language that it is written in where no other is asked for.
        numbers: The results behind it, each a result or the reason why there is none.
    """

    document: Document
    language: str = "en"
    numbers: Numbers = field(repr=False)

    def html(self, language: str | None = None, *, progress: Callable[[int, int, str], Any] | None = None) -> str:
        """Return the page as one HTML text that loads nothing from anywhere.

        Args:
            language: "en" or "es"; that of the report if None.
            progress: Called after each picture with the number of pictures drawn, of all, and "pictures".

        Raises:
            InvalidArgument: There is no catalogue of that language.
        """
        from loyalty.reporting.rendering.page import render

        told = None if progress is None else partial(_drawing, progress)
        return render(self.document, self.language if language is None else language, progress=told)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        language: str | None = None,
        replace: bool = True,
        progress: Callable[[int, int, str], Any] | None = None,
    ) -> None:
        """Write the page to a file, whole or not at all.

        Args:
            path: Where to.
            language: As in `html`.
            replace: Whether a file that is there already may be replaced.
            progress: As in `html`.

        Raises:
            OutputError: There is such a file and it may not be replaced, or the place cannot be written to.
            InvalidArgument: There is no catalogue of that language.
        """
        writing.place_for(path, replace=replace)  # told before the long work
        writing.write(path, self.html(language, progress=progress).encode("utf-8"), replace=replace)

    def to_dict(self) -> dict[str, Any]:
        """Return all results as JSON-ready values; what is missing as {"missing": why}."""
        return self.numbers.to_dict()

    def __str__(self) -> str:
        words = spoken(self.language, self.document.currency)
        lines = [words.plain(self.document.sections[0].lead)]
        cards = [card for block in self.document.sections[0].blocks for card in getattr(block, "headlines", ())]
        for card in cards:
            name, value, sentence = (words.plain(part) for part in (card.name, card.value, card.sentence))
            lines.append(f"{name[:1].upper()}{name[1:]}: {value}. {sentence}")
        return "\n".join(lines).translate(_TYPED)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        page = html.escape(self.html())
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{page}" style="width: 100%; height: 40em; border: 0" '
            'title="report"></iframe>'
        )
