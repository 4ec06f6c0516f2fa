"""Nothing of the pages stays English in Spanish."""

import pytest

import reported
from loyalty.reporting.rendering.language import language, untranslated

ROWS = [(1, "2024-01-05", 10), (1, "2024-02-05", 10), (2, "2024-02-05", 5)]


def test_nothing_of_the_pages_stays_english_in_spanish():
    for page in (reported.cdnow(), reported.full()):
        with untranslated() as missed:
            shown = page.html("es")
        assert missed == set()
        assert 'lang="en"' not in shown


@pytest.mark.parametrize(
    ("case", "period"),
    [
        *((case, "month") for case in ("one", "zero", "one day", "negative", "two")),
        *(("once", period) for period in ("day", "week", "month", "quarter", "year")),
    ],
)
def test_no_text_of_tiny_logs_stays_english_in_spanish(case, period):
    words = language("es")
    with untranslated() as missed:
        for text in reported.texts(tiny(case, period).document):
            words.plain(text)
    assert missed == set()


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
