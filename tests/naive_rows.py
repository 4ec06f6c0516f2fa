"""The row rules once more, one row at a time and as plainly as can be: the oracle for `loyalty.ledger`."""

import datetime as dt
from collections import defaultdict

EPOCH = dt.date(1970, 1, 1)


def day_of(date):
    return (date - EPOCH).days


class Purchase:
    def __init__(self, row):
        self.customer, self.day, self.order = row["customer"], row["day"], row.get("order")
        self.sums = defaultdict(float)
        self.gross = 0.0

    def add(self, row, money):
        for name in money:
            self.sums[name] += row[name]


def why_invalid(row, money):
    """Return the reason for which a row can never be used, or None."""
    if row["customer"] is None:
        return "no_customer"
    if row["day"] is None:
        return "invalid_date"
    for name in ("amount", "cost", "discount"):
        if name in money and row[name] is None:
            return f"invalid_{name}"
    return None


class Naive:
    """Purchases, customers and exclusions of rows (dicts of customer, day, amount, order, cost, discount)."""

    def __init__(self, rows, *, first=None, last=None, occasion="day", returns="net", money=("amount",)):
        self.money, self.occasion = money, occasion
        self.excluded = defaultdict(lambda: [0, 0.0])
        fit = []
        for row in rows:
            reason = why_invalid(row, money)
            if reason:
                self.exclude(reason, row)
            else:
                fit.append(row)
        seen = [row["day"] for row in fit if last is None or row["day"] <= last]
        self.first = min(seen) if first is None else first
        self.last = max(seen) if last is None else last
        usable = []
        for row in fit:
            if row["amount"] < 0 and returns == "drop":
                self.exclude("return_dropped", row)
            elif row["day"] > self.last:
                self.exclude("after_observed_until", row)
            else:
                usable.append(row)
        self.sales = [row for row in usable if row["amount"] >= 0]
        self.book([row for row in usable if row["amount"] < 0])

    def exclude(self, reason, row):
        self.excluded[reason][0] += 1
        self.excluded[reason][1] += row["amount"] or 0.0

    def key(self, row):
        if self.occasion == "day":
            return row["customer"], row["day"]
        if row.get("order") is None:
            return row["customer"], None, row["day"]
        return row["customer"], row["order"]

    def book(self, returned):
        made = {}
        for row in self.sales:
            key = self.key(row)
            purchase = made.setdefault(key, Purchase(row))
            purchase.day = min(purchase.day, row["day"])
            purchase.add(row, self.money)
            purchase.gross += row["amount"]
        for row in self.sales:
            if made[self.key(row)].day < self.first:
                self.exclude("before_observed_from", row)
        for row in returned:
            target = self.own_order(row, made) or self.latest(row, made)
            if row["day"] < self.first:
                self.exclude("before_observed_from", row)
            elif target is None:
                self.exclude("return_without_purchase", row)
            elif target.day < self.first:
                self.exclude("return_of_purchase_before_observed_from", row)
            else:
                target.add(row, self.money)
        self.everything = made
        self.purchases = {key: one for key, one in made.items() if one.day >= self.first}

    def own_order(self, row, made):
        if row.get("order") is None:
            return None
        same = [sale for sale in self.sales if (sale["customer"], sale["order"]) == (row["customer"], row["order"])]
        if not same:
            return None
        debut = min(same, key=lambda sale: sale["day"])
        return made[self.key(debut)] if debut["day"] <= row["day"] else None

    def latest(self, row, made):
        earlier = [one for one in made.values() if one.customer == row["customer"] and one.day <= row["day"]]
        return max(earlier, key=lambda one: (one.day, one.gross, one.order or ""), default=None)

    @property
    def exclusions(self):
        return {reason: tuple(found) for reason, found in self.excluded.items()}

    def customers(self):
        """Return {customer: {column: value}} of those who bought in the window."""
        found = {}
        for customer in {one.customer for one in self.purchases.values()}:
            mine = [one for one in self.purchases.values() if one.customer == customer]
            first = min(one.day for one in self.everything.values() if one.customer == customer)
            debut = [one.sums["amount"] for one in mine if one.day == first]
            sums = {"spend" if name == "amount" else name: sum(one.sums[name] for one in mine) for name in self.money}
            found[customer] = {
                "first_day": first,
                "first_inside": min(one.day for one in mine),
                "last_day": max(one.day for one in mine),
                "purchases": len(mine),
                **sums,
                "first_spend": max(debut, default=0.0),
                "acquired_before": int(first < self.first),
            }
        return found
