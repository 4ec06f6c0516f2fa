"""Fits with stated parameters, and small tables of customers, for tests that are about what fits are used for.

The parameters are the published ones of the CDNOW sample (see `oracles.md`); weeks.
"""

import numpy as np
import pandas as pd

from loyalty.clv.models.lifetime import LifetimeFit
from loyalty.clv.models.spend import SpendFit
from loyalty.clv.summaries.summary import CustomerSummary
from loyalty.clv.valuation.value import CLVModel

PARAMS = {
    "ParetoNBD": {"r": 0.553277, "alpha": 10.577684, "s": 0.606240, "beta": 11.668738},
    "BGNBD": {"r": 0.2425945, "alpha": 4.4136019, "a": 0.7929199, "b": 2.4258881},
    "MBGNBD": {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614},
    "NBD": {"r": 0.384766, "alpha": 12.07202},
}
SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}

# Columns of `CustomerValue.customers` behind that of the customers.
COLUMNS = [
    "frequency",
    "recency",
    "age",
    "monetary_value",
    "p_alive",
    "expected_purchases",
    "expected_spend",
    "clv",
    "clv_low",
    "clv_high",
    "value_at_risk",
]


def spread(size, error=0.1):
    """Return a covariance of log parameters with correlations, all standard errors being `error`."""
    where = np.arange(size)
    return error**2 * 0.5 ** np.abs(where[:, None] - where)


def purchases(model="ParetoNBD", error=0.1, unit="week", **params):
    """Return a fit of purchases."""
    known = {**PARAMS[model], **params}
    return LifetimeFit(
        model=model,
        params=known,
        log_covariance=spread(len(known), error),
        identified=dict.fromkeys(known, True),
        log_likelihood=-1000.0,
        customers=100,
        unit=unit,
    )


def spend(error=0.1, **params):
    """Return a fit of spend."""
    known = {**SPEND, **params}
    correlations = {"adjusted": 0.05, "logs": 0.1, "ranks": 0.1, "plain": 0.1, "customers": 100}
    return SpendFit(
        model="GammaGamma",
        params=known,
        log_covariance=spread(len(known), error),
        identified=dict.fromkeys(known, True),
        log_likelihood=-500.0,
        customers=100,
        data={"independence": correlations},
    )


def model(name="ParetoNBD", **params):
    """Return a model of value."""
    return CLVModel(purchases=purchases(name, **params), spend=spend())


# Customers of every sort: new, silent, busy, gone, returned everything.
PEOPLE = pd.DataFrame(
    {
        "id": ["new", "silent", "once", "twice", "busy", "gone", "refunded", "often"],
        "frequency": [0, 0, 1, 2, 26, 7, 2, 60],
        "recency": [0.0, 0.0, 5.0, 30.43, 216 / 7, 10.0, 4.0, 37.0],
        "T": [0.0, 38.0, 30.0, 38.86, 31.0, 39.0, 20.0, 38.0],
        "spend": [0.0, 0.0, 20.0, 35.5, 40.0, 12.25, -3.0, 18.0],
    }
)


def people(frame=PEOPLE, unit="week", **columns):
    """Return the customers as a summary."""
    return CustomerSummary.of(frame, unit=unit, customer="id", monetary_value="spend", **columns)
