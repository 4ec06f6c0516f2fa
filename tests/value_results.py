"""Small results about value, histories and backtests as pictures take them, made by hand."""

import datetime as dt
import math
from types import SimpleNamespace

import pyarrow as pa

from loyalty.tables import Table

SCHEMA = pa.schema([(name, pa.float64()) for name in ("predicted", "actual", "bias", "rmse", "excess")])


def table(data, name="a table", note="", definition="What the columns mean."):
    return Table(name=name, data=pa.table(data), kind="pandas", sentence="", definition=definition, note=note)


def groups(names=("gold", "silver", None), values=(750.0, 250.5, 10.0), **changed):
    total = sum(values)
    shares = [value / total if total > 0 else math.nan for value in values]
    count = len(names)
    columns = {"tier": pa.array(names, pa.string()), "customers": [1200 + place for place in range(count)],
               "value": list(values), "share_of_value": shares, "mean_value": [value / 1200 for value in values],
               "mean_p_alive": [0.9 - 0.02 * place for place in range(count)],
               "expected_purchases": [3.0] * count}  # fmt: skip
    return table(columns, name="customer value by tier", **changed)


def concentration(**changed):
    columns = {"customers": [0, 1, 3, 5, 10], "cumulative_customers": [0.0, 0.1, 0.3, 0.5, 1.0],
               "cumulative_value": [0.0, 0.45, 0.8, 0.9, 1.0]}  # fmt: skip
    return table(columns, name="concentration of customer value", **changed)


def alive(purchases=("1", "2–3", "4–9", "10+"), **changed):
    rows = [
        (7 * week, name, 100 - 20 * week - place, 0.9 - 0.2 * week - 0.03 * place)
        for place, name in enumerate(purchases)
        for week in range(3)
    ]
    start, name, customers, p_alive = (list(column) for column in zip(*rows, strict=True))
    columns = {"days_from": start, "days_to": [day + 6 for day in start], "purchases": name, "customers": customers,
               "p_alive": p_alive}  # fmt: skip
    return table(columns, name="P(alive) by days since the last purchase", **changed)


def history(days=200, purchases=(0, 30, 31, 90), customer="ann", note=""):
    first = dt.date(2024, 1, 1)
    known = [[one for one in purchases if one <= day] for day in range(days)]
    columns = {
        "date": [first + dt.timedelta(days=day) for day in range(days)],
        "purchases_so_far": [len(one) for one in known],
        "p_alive": [0.99 ** (day - max(one)) for day, one in enumerate(known)],
    }
    made = tuple(first + dt.timedelta(days=day) for day in purchases)
    return SimpleNamespace(name=f"customer {customer}", data=pa.table(columns), definition="What it means.", note=note,
                           customer=customer, purchases=made)  # fmt: skip


def scores(models=("ParetoNBD", "BGNBD"), rules=("last_period", "customer_rate"), targets=("purchases", "revenue")):
    rows = []
    for target, size in zip(targets, (1.0, 13.0), strict=False):
        for place, name in enumerate((*rules, *models)):
            error = size * (2.5 - 0.2 * place)
            kind = "model" if name in models else "baseline"
            rows.append({"target": target, "name": name, "kind": kind, "rmse": error, "bias": 0.5 - 0.3 * place,
                         "excess": math.nan})  # fmt: skip
        mine = [row for row in rows if row["target"] == target]
        fitted = [row["rmse"] for row in mine if row["kind"] == "model"]
        for row in mine:
            row["excess"] = row["rmse"] ** 2 - min(fitted) ** 2 if fitted else math.nan
    names = ("target", "name", "kind", "rmse", "bias", "excess")
    return table({name: [row[name] for row in rows] for name in names}, name="forecasts against what happened")
