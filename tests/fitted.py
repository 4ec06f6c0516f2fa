"""Fits with parameters of one's choice, for tests that want to know what comes out."""

import math

import numpy as np

from loyalty.clv.models.discrete_predictions import BGBBFit
from loyalty.clv.models.predictions import LifetimeFit, kernel_of
from loyalty.clv.models.spend import SpendFit


def lifetime(model, *values, unit="week"):
    """Return a fit of a lifetime model whose parameters are known for certain."""
    return _fit(LifetimeFit, model, kernel_of(model).names, values, unit)


def discrete(*values, unit="year"):
    """Return a BG/BB fit whose parameters are known for certain."""
    return _fit(BGBBFit, "BGBB", ("alpha", "beta", "gamma", "delta"), values, unit)


def spend(p, q, gamma):
    """Return a Gamma-Gamma fit whose parameters are known for certain."""
    return _fit(SpendFit, "GammaGamma", ("p", "q", "gamma"), (p, q, gamma), "")


def _fit(kind, model, names, values, unit):
    return kind(
        model=model,
        params=dict(zip(names, map(float, values), strict=True)),
        log_covariance=np.zeros((len(names), len(names))),
        identified=dict.fromkeys(names, True),
        log_likelihood=math.nan,
        customers=1.0,
        unit=unit,
    )
