"""The pages that the browser opens: the real log in two languages, and one whose names are attacks."""

import random

import pandas as pd

import loyalty as ly

ATTACKS = [
    "<script>window.attacked = true</script>",
    "<img src=x onerror='window.attacked = true'>",
    "</title></style></script><script>window.attacked = true</script>",
    '"><svg onload="window.attacked = true">',
    "javascript:window.attacked=true",
    "{{ 7 * 7 }}{% raw %}",
    "שלום \u202eevil\u202c",
    "long" * 1_200,
    "$\\frac{1}{0}$ <b>&amp;</b>",
    "url(http://example.com/x.png)",
]


def cdnow(folder, language="en"):
    path = folder / f"cdnow-{language}.html"
    with ly.transactions(ly.datasets.cdnow()) as tx:
        scores = ly.datasets.simulate_scores(500, seed=7)
        ly.report(tx, language=language, surveys=scores, currency="USD").save(path)
    return path


def hostile(folder):
    """Customers, products, columns, title and currency sign: everything that a caller can name is an attack."""
    chance = random.Random(5)
    customers = [f"{ATTACKS[number % len(ATTACKS)]} {number}" for number in range(300)]
    rows = [
        (customer, ATTACKS[chance.randrange(len(ATTACKS))], day, round(chance.lognormvariate(3, 1), 2))
        for customer in customers
        for day in sorted(
            pd.Timestamp("2023-01-01") + pd.Timedelta(days=chance.randrange(700))
            for _ in range(chance.choice([1, 1, 2, 4, 9]))
        )
    ]
    names = ["<script>window.attacked = true</script> id", "<b onclick='window.attacked=true'>thing</b>", "day", "paid"]
    frame = pd.DataFrame(rows, columns=names)
    path = folder / "hostile.html"
    with ly.transactions(frame, customer=names[0], product=names[1], date="day", amount="paid") as tx:
        ly.report(tx, title=ATTACKS[2]).save(path)
    return path
