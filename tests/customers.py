"""Customers of a random log with all their purchases, read off its rows one by one: for models of lifetimes."""

from collections import defaultdict

import logs
from naive_rows import Naive


def bought(case):
    """Return {customer: [(day, spend), …]}, the first purchase first, what came before the window included."""
    options = {name: case.options[name] for name in ("occasion", "returns")}
    found = defaultdict(list)
    # Returns of purchases before the window reduce them here, where those purchases count.
    for one in Naive(case.rows, last=case.naive.last, money=logs.MONEY, **options).everything.values():
        found[one.customer].append((one.day, one.sums["amount"]))
    return {customer: sorted(mine, key=lambda one: (one[0], -one[1])) for customer, mine in found.items()}
