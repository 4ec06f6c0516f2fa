"""Customers to fit lifetime models on: the CDNOW sample, random awkward sets, and what lifetimes makes of them."""

import warnings

import numpy as np
import pandas as pd

from loyalty import datasets
from loyalty.clv.summaries.cells import Cells

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lifetimes

FITTERS = {
    "BGNBD": lifetimes.BetaGeoFitter,
    "MBGNBD": lifetimes.ModifiedBetaGeoFitter,
    "ParetoNBD": lifetimes.ParetoNBDFitter,
}


def cdnow_rows(days_per_unit=7.0, until="1997-09-30"):
    """Return x, t_x and T of the CDNOW sample, counted from its log by pandas: same-day rows are one purchase."""
    log = datasets.cdnow_sample()
    end = pd.Timestamp(until)
    days = log[log["date"] <= end].drop_duplicates(["customer_id", "date"])
    each = days.groupby("customer_id")["date"].agg(["min", "max", "size"])
    x = (each["size"] - 1).to_numpy(float)
    t_x = (each["max"] - each["min"]).dt.days.to_numpy(float) / days_per_unit
    T = (end - each["min"]).dt.days.to_numpy(float) / days_per_unit
    return x, t_x, T


def cdnow_cells(days_per_unit=7.0):
    """Return the cells of the CDNOW sample."""
    return Cells.of(*cdnow_rows(days_per_unit), step=1.0 / days_per_unit)


def awkward(seed):
    """Return x, t_x and T of a small, awkward set of customers on a grid of days; 10 kinds take turns.

    Nobody leaves (1), all leave soon (2), some were observed for a day (3), half leave at once (4), all leave at the
    same time (5), all are alike (6), all bought on the last day (7), nobody bought more than twice (8), more (9).
    """
    rng = np.random.default_rng(seed)
    kind = seed % 10
    n = int(rng.integers(60, 400) if kind == 9 else rng.integers(1, 60))
    horizon = int(rng.integers(5, 400))
    T = rng.integers(1 if kind == 3 else max(1, horizon // 3), horizon + 1, n).astype(float)
    r = rng.choice([0.1, 0.5, 2.0, 50.0])
    rate = rng.gamma(r, rng.choice([0.5, 3.0, 20.0]) / horizon / r, n)
    death = {
        1: np.full(n, np.inf),
        2: rng.exponential(horizon / 10, n),
        4: np.where(rng.random(n) < 0.5, 0.0, np.inf),
        5: np.full(n, horizon / 2.0),
    }.get(kind, horizon * rng.choice([0.05, 0.3, 1.0]) * rng.exponential(1.0, n) / rng.gamma(0.6, 1.0, n))
    x, t_x = np.zeros(n), np.zeros(n)
    for i in range(n):
        end = min(T[i], death[i])
        days = np.unique(np.ceil(rng.random(rng.poisson(rate[i] * end)) * end))
        days = days[days <= T[i]]
        x[i], t_x[i] = len(days), days[-1] if len(days) else 0.0
    if kind == 6:
        x[:], t_x[:], T[:] = x[0], t_x[0], T[0]
    if kind == 7:
        t_x = np.where(x > 0, T, 0.0)
    if kind == 8:
        x = np.minimum(x, 1.0)
    return x, t_x, T


def lifetimes_params(model, x, t_x, T):
    """Return the parameters that lifetimes finds, in our order of names; None where it gives up."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            fitted = FITTERS[model]().fit(x, t_x, T)
    except lifetimes.utils.ConvergenceError:
        return None
    return tuple(float(value) for value in fitted.params_)
