"""The forms of a place: numbers, money, dates and lists as its readers write them; by Babel."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from loyalty import wording

__all__ = ["NUMBER", "Forms", "forms"]

# Numbers as the library writes them in English: 1,234.50 or -3 or 1.23e+17. Neither 1997-01 nor 0.1.0 holds any.
NUMBER = r"(?<![\w.,-])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]\d+)?(?!\w|[.,-]\d)"
_PLAIN = re.compile(r"(-?)(\d[\d,]*)(\.\d+)?")
_SPACE = "\N{NO-BREAK SPACE}"  # a number and its sign stay on one line
_MINUS = "\N{MINUS SIGN}"
_LARGE = 10_000  # money from here on is told without cents

# Of a language without a country Babel takes the form of the largest one. Here dates are in the order that most
# readers of English know, 1 January 1997, and the signs of currencies those of the largest country: "$" not "US$".
_DATES = {"en": "en_GB"}


@dataclass(frozen=True, slots=True)
class Forms:
    """How numbers, money, dates and lists are written.

    Attributes:
        numbers: Babel's locale of numbers.
        dates: Babel's locale of dates and lists.
        currency: Three letters, or "" for money without a sign.
    """

    numbers: Any
    dates: Any
    currency: str

    def digits(self, english: str) -> str:
        """Return a number that was written in English: "1,234.50" becomes "1.234,50"."""
        return _digits(self.numbers, english)

    def number(self, value: float, unit: str, *, beside: float = 0.0, cents: bool = False) -> str:
        """Return a finite number in its unit, without words: with percent sign or currency.

        Args:
            value: The number.
            unit: Its unit.
            beside: A number that is told with it: if either is large money, both have no cents.
            cents: Whether even large money has them, as the columns of tables do.
        """
        if unit == "level":
            return self.digits(f"{round(value * 100, 6):.8g}") + _SPACE + "%"
        if unit == "tenths":
            return self.digits(f"{value:,.1f}")
        if unit == "share":
            return self.digits(wording.number(value, unit)) + _SPACE + "%"
        if unit.startswith("money"):
            large = not cents and max(abs(value), abs(beside)) >= _LARGE
            english = _in_money(value, whole=large or _without_cents(self.currency))
            return _money(self.numbers, english, self.currency) if self.currency else self.digits(english)
        whole = unit == "count" or (isinstance(value, int) and unit in {"days", "points"})
        return self.digits(wording.plain(value) if whole else wording.number(value, unit))

    def bare(self, value: float, unit: str, beside: float = 0.0) -> str:
        """Return the first number of an interval, without a currency that is said once, behind the second."""
        if unit.startswith("money") and self.numbers.currency_formats["standard"].pattern.endswith("¤"):
            return replace(self, currency="").number(value, unit, beside=beside)
        return self.number(value, unit, beside=beside)

    def date(self, day: dt.date, length: str = "long") -> str:
        """Return a date: "1 January 1997", or of length "medium" "1 Jan 1997"."""
        return _date(self.dates, day, length)

    def month(self, day: dt.date) -> str:
        """Return the short name of the month of a day, as the ticks of an axis bear it."""
        from babel import dates

        return dates.format_date(day, "LLL", self.dates)

    def listed(self, items: Sequence[str]) -> str:
        """Return a list: "a, b and c"."""
        from babel import lists

        return lists.format_list(list(items), locale=self.dates)


@lru_cache(maxsize=32)
def forms(code: str, currency: str = "") -> Forms:
    """Return the forms of a language."""
    from babel import Locale

    return Forms(Locale.parse(code), Locale.parse(_DATES.get(code, code)), currency)


def _in_money(value: float, *, whole: bool) -> str:
    """Return an amount in English, with or without cents."""
    return wording.number(float(round(value)), "money").removesuffix(".00") if whole else wording.number(value, "money")


@lru_cache(maxsize=64)
def _without_cents(currency: str) -> bool:
    """Return whether a currency has no smaller unit, as the yen has none."""
    from babel import numbers

    return bool(currency) and numbers.get_currency_precision(currency) == 0


@lru_cache(maxsize=65_536)
def _digits(locale: Any, english: str) -> str:
    from babel import numbers

    found = _PLAIN.fullmatch(english)
    if found is None:  # 1.23e+17
        shown = english.replace(".", numbers.get_decimal_symbol(locale)) if english[-1:].isdigit() else english
        return shown.replace("-", _MINUS)
    # Only what was grouped is grouped: 1997 may be a year.
    pattern = _pattern("#,##0" if "," in english else "0", found[3])
    return numbers.format_decimal(Decimal(english.replace(",", "")), pattern, locale).replace("-", _MINUS)


def _money(locale: Any, english: str, currency: str) -> str:
    from babel import numbers

    found = _PLAIN.fullmatch(english)
    if found is None:
        return f"{_digits(locale, english)}{_SPACE}{currency}"
    pattern = _pattern("#,##0", found[3])
    whole = locale.currency_formats["standard"].pattern.replace("#,##0.00", pattern)
    if numbers.get_currency_symbol(currency, locale)[-1:].isalpha():
        whole = whole.replace("¤#", f"¤{_SPACE}#")  # "CHF 5", though "$5"
    amount = Decimal(english.replace(",", ""))
    return numbers.format_currency(amount, currency, whole, locale, currency_digits=False).replace("-", _MINUS)


def _pattern(whole: str, decimals: str | None) -> str:
    """Return Babel's pattern of a number with as many decimals as a text has: ".50" has two."""
    return f"{whole}.{'0' * (len(decimals) - 1)}" if decimals else whole


@lru_cache(maxsize=4_096)
def _date(locale: Any, day: dt.date, length: str) -> str:
    from babel import dates

    return dates.format_date(day, length, locale)
