"""Results that the pictures of fits and summaries draw, made by hand: what a case draws does not hang on a model."""

import math

import numpy as np
import pyarrow as pa

from loyalty import plots
from loyalty.tables import Table

NAN = math.nan


def table(columns, name="a table", note="", **units):
    """Return a table with the units of its columns."""
    told = {"kind": "pandas", "sentence": "Mean 3, half below 2.", "definition": "What the columns mean."}
    return Table(name=name, data=pa.table(columns), note=note, units=units, **told)


def matrix(most=3, age=4, step=1.0, value=lambda x, t_x: 0.9 * t_x / (4 * (1 + x))):
    """Return a value for every combination that can be."""
    pairs = [(0, 0.0), *((x, step * k) for x in range(1, most + 1) for k in range(1, age + 1))]
    columns = {
        "frequency": [x for x, _ in pairs],
        "recency": [t for _, t in pairs],
        "value": [value(*p) for p in pairs],
    }
    return table(columns, recency="weeks", value="share")


def by_history(classes=((0, 0, 0, 0, 1411), (1, 1, 0, 0, 20), (1, 1, 2, 2, 5), (3, 9, 2, 2, 1)), kind=None):
    """Return customers in classes: those with whole times hold both ends, those with others the first one."""
    names = ("frequency_from", "frequency_to", "recency_from", "recency_to")
    columns = {name: pa.array([row[place] for row in classes], kind if kind and place > 1 else pa.int64())
               for place, name in enumerate(names)}  # fmt: skip
    return table(columns | {"customers": [float(row[4]) for row in classes]}, recency_from="days", recency_to="days")


def purchase_counts(classes=8, size=1411.0):
    counted = [size / 3**place for place in range(classes)]
    labels = [*map(str, range(classes - 1)), f"{classes - 1}+"]
    columns = {"purchases": range(classes), "label": labels, "customers": counted}
    return table({name: list(part) for name, part in columns.items()} | {"expected": [0.9 * n for n in counted]})


def repeat_purchases(observed=60):
    time = np.linspace(0.0, 52.0, 101)
    columns = {"time": time, "expected": np.sqrt(time), "low": 0.9 * np.sqrt(time), "high": 1.2 * np.sqrt(time)}
    return table(columns | {"observed": np.arange(101) < observed}, time="weeks")


def heterogeneity(rates=("purchase rate (per week)", "chance of dropping out after each repeat purchase"), note=""):
    value = np.linspace(0.01, 1.0, 50)
    columns = {
        "rate": [name for name in rates for _ in value],
        "value": np.tile(value, len(rates)),
        "density": np.tile(1.0 / value, len(rates)),
        "share": np.tile(value, len(rates)),
    }
    schema = pa.schema([("rate", pa.string()), *((name, pa.float64()) for name in ("value", "density", "share"))])
    return table(pa.table(columns, schema=schema).to_pydict() if rates else schema.empty_table().to_pydict(), note=note)


def spend_density(bars=12, first=2.0, ratio=1.4):
    edges = first * ratio ** np.arange(bars + 1)
    counted = np.array([float(10 * (bars - abs(bars // 2 - place))) for place in range(bars)])
    return table({"from": edges[:-1], "to": edges[1:], "customers": counted, "expected": 0.95 * counted})


def survival(observed=True):
    renewal = np.arange(6)
    share = 0.7**renewal
    columns = {"renewal": renewal, "survival": share, "low": share - 0.03, "high": np.minimum(share + 0.03, 1.0)}
    seen = {"observed": np.where(renewal < 4, 0.98 * share, NAN)} if observed else {}
    return table(columns | seen, renewal="renewals, one every year")


def survival_curves(cohorts=3):
    names = [*(f"cohort {place}" for place in range(cohorts)), None]
    rows = [(name, k, 0.8**k * (0.9 + 0.02 * place)) for place, name in enumerate(names) for k in range(5)]
    columns = {"cohort": pa.array([row[0] for row in rows], pa.string()), "renewal": [row[1] for row in rows],
               "customers": [100.0] * len(rows), "survival": [row[2] for row in rows]}  # fmt: skip
    return table(columns, renewal="renewals, one every year")


CASES = {
    "alive matrix": (plots.alive_matrix, matrix),
    "large alive matrix": (plots.alive_matrix, lambda: matrix(40, 39)),
    "matrix of one": (plots.purchase_matrix, lambda: matrix(1, 1, 0.05)),
    "purchase matrix": (plots.purchase_matrix, lambda: matrix(value=lambda x, t_x: 3.0 * x + t_x)),
    "customers by history": (plots.customer_matrix, by_history),
    "customers of one history": (plots.customer_matrix, lambda: by_history([(0, 0, 0, 0, 3)])),
    "purchase counts": (plots.purchase_counts, purchase_counts),
    "many purchase counts": (plots.purchase_counts, lambda: purchase_counts(60, 1e6)),
    "repeat purchases": (plots.repeat_purchases, repeat_purchases),
    "repeat purchases, all observed": (plots.repeat_purchases, lambda: repeat_purchases(101)),
    "heterogeneity": (plots.heterogeneity, heterogeneity),
    "heterogeneity of one": (plots.heterogeneity, lambda: heterogeneity(["purchase rate (per day)"])),
    "heterogeneity of none": (plots.heterogeneity, lambda: heterogeneity([], note="next to all have 0")),
    "spend density": (plots.spend_density, spend_density),
    "spend density of small sums": (plots.spend_density, lambda: spend_density(30, 1e-6, 3.0)),
    "spend density of one bar": (plots.spend_density, lambda: spend_density(1)),
    "survival": (plots.survival, survival),
    "survival by the model alone": (plots.survival, lambda: survival(observed=False)),
    "survival curves": (plots.survival_curves, survival_curves),
    "survival curves of many": (plots.survival_curves, lambda: survival_curves(30)),
    "survival of one cohort": (plots.survival_curves, lambda: survival_curves(1)),
}
