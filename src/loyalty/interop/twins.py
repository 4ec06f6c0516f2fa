"""Models that loyalty and lifetimes both have, and what each calls them and their parameters."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TWINS", "Twin"]


@dataclass(frozen=True, slots=True)
class Twin:
    """A model of ours and its class in lifetimes.

    Attributes:
        model: Name of our model.
        fitter: Name of the class.
        names: Its names of the parameters, in our order.
        columns: Its names of what it is fitted on: the columns of its `data`, the weights left out.
        simulator: Its function that draws customers; "" if there is none.
    """

    model: str
    fitter: str
    names: tuple[str, ...]
    columns: tuple[str, ...] = ("frequency", "recency", "T")
    simulator: str = ""


TWINS = (
    Twin("BGNBD", "BetaGeoFitter", ("r", "alpha", "a", "b"), simulator="beta_geometric_nbd_model"),
    Twin("MBGNBD", "ModifiedBetaGeoFitter", ("r", "alpha", "a", "b"), simulator="modified_beta_geometric_nbd_model"),
    Twin("ParetoNBD", "ParetoNBDFitter", ("r", "alpha", "s", "beta"), simulator="pareto_nbd_model"),
    Twin("GammaGamma", "GammaGammaFitter", ("p", "q", "v"), ("monetary_value", "frequency")),
    Twin(
        "BGBB",
        "BetaGeoBetaBinomFitter",
        ("alpha", "beta", "gamma", "delta"),
        ("frequency", "recency", "n_periods"),
        "beta_geometric_beta_binom_model",
    ),
)
