"""Which model of purchases and which of spend: one that is named, one that is given, or the one that fits best."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from loyalty import checks, wording
from loyalty.clv.models.lifetime import MODELS, LifetimeFit
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.models.spend import GammaGamma, SpendFit
from loyalty.errors import ConvergenceError, EmptyData, InvalidArgument, LoyaltyError, warn
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary
    from loyalty.transactions import Transactions

__all__ = ["AUTO", "CLOSE", "Candidate", "choose_purchases", "choose_spend", "comparison"]

# What model="auto" fits. Among models whose AIC is close, the first of these is taken: in the Pareto/NBD customers may
# leave without having bought, and P(alive) of a single purchase falls with time, as it should; in the MBG/NBD they may
# leave after the first purchase too; in the BG/NBD a customer without a repeat purchase is alive for ever.
AUTO = ("ParetoNBD", "MBGNBD", "BGNBD")
CLOSE = 2.0  # of AIC: models no further apart are told apart by little else than chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model of purchases that was tried.

    Attributes:
        model: Its name.
        log_likelihood: Of all customers; NaN where the fit failed.
        aic: Akaike's information criterion; NaN as above.
        status: "converged", "ridge", "boundary" or "failed".
        chosen: Whether it was taken.
        note: What is to be said about the fit.
    """

    model: str
    log_likelihood: float
    aic: float
    status: str
    chosen: bool = False
    note: str = ""

    @classmethod
    def of(cls, fit: LifetimeFit, *, chosen: bool = False) -> Self:
        """Return the candidate that a fit is."""
        return cls(
            model=fit.model,
            log_likelihood=fit.log_likelihood,
            aic=fit.aic,
            status=fit.status,
            chosen=chosen,
            note=" ".join(fit.notes),
        )

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Return a candidate that `dataclasses.asdict` made, None standing for NaN."""
        kinds = {"model": str, "status": str, "chosen": bool, "note": str}
        numbers = {name: saved.get(name) for name in ("log_likelihood", "aic")}
        if not all(isinstance(saved.get(name), kind) for name, kind in kinds.items()):
            raise InvalidArgument("a compared model of the saved model lacks its name, status or note: save it again.")
        if not all(value is None or isinstance(value, (int, float)) for value in numbers.values()):
            raise InvalidArgument("a compared model of the saved model has no number as AIC: save it again.")
        known: dict[str, Any] = {name: math.nan if value is None else float(value) for name, value in numbers.items()}
        return cls(**known, **{name: saved[name] for name in kinds})


def choose_purchases(model: Any, summary: CustomerSummary) -> tuple[LifetimeFit, tuple[Candidate, ...]]:
    """Return the fitted model of purchases and all that were tried.

    Args:
        model: "auto", the name of a model in any spelling, a model such as `ParetoNBD(l2=0.1)`, or a fit.
        summary: The customers to fit it on.

    Raises:
        InvalidArgument: It is none of these.
        ConvergenceError: The model, or every model of "auto", could not be fitted.
    """
    if isinstance(model, str) and _plain(model) == "auto":
        return _best(summary)
    fit = model if isinstance(model, LifetimeFit) else _spec(model).fit(summary)
    return fit, (Candidate.of(fit, chosen=True),)


def _spec(model: Any) -> Any:
    """Return the model that is meant."""
    if isinstance(model, str):
        names = {_plain(name): kind for name, kind in MODELS.items()}
        if _plain(model) not in names:
            checks.choice("model", model, ["auto", *MODELS])
        return names[_plain(model)]()
    if isinstance(model, tuple(MODELS.values())):
        return model
    raise InvalidArgument(
        f'model={model!r}: give "auto", a name ({", ".join(MODELS)}), a model such as BGNBD(), or its fit.'
    )


def _plain(name: str) -> str:
    """Return a name without case and punctuation: "BG/NBD" is "bgnbd"."""
    return re.sub(r"[^a-z]", "", name.lower())


def _best(summary: CustomerSummary) -> tuple[LifetimeFit, tuple[Candidate, ...]]:
    """Return the best fit: of those within 2 of the lowest AIC a converged one, the first in the order of `AUTO`."""
    fits: dict[str, LifetimeFit] = {}
    limits: dict[str, str] = {}  # what there is to warn of, if that model is taken
    tried: list[Candidate] = []
    for name in AUTO:
        try:
            fits[name], limits[name] = MODELS[name]().judged(summary)
        except ConvergenceError as err:
            failed = Candidate(model=name, log_likelihood=math.nan, aic=math.nan, status="failed", note=str(err))
            tried.append(failed)
        else:
            tried.append(Candidate.of(fits[name]))
    if not fits:
        raise ConvergenceError(
            f"none of {', '.join(AUTO)} could be fitted: {tried[0].note} Look at ly.summarize(tx): lifetime models "
            "need customers who bought again."
        )
    lowest = min(fit.aic for fit in fits.values())
    near = [name for name in AUTO if name in fits and fits[name].aic <= lowest + CLOSE]
    best = min(near, key=lambda name: (fits[name].status != "converged", AUTO.index(name)))
    if limits[best]:
        warn(limits[best])
    return fits[best], tuple(dataclasses.replace(one, chosen=one.model == best) for one in tried)


def comparison(tried: Sequence[Candidate], kind: str) -> Table:
    """Return the models that were tried as a table."""
    import pyarrow as pa

    known = [one.aic for one in tried if not math.isnan(one.aic)]
    lowest = min(known, default=math.nan)
    columns = {
        "model": pa.array([one.model for one in tried], pa.string()),
        "log_likelihood": pa.array([one.log_likelihood for one in tried], pa.float64()),
        "aic": pa.array([one.aic for one in tried], pa.float64()),
        "delta_aic": pa.array([one.aic - lowest for one in tried], pa.float64()),
        "status": pa.array([one.status for one in tried], pa.string()),
        "chosen": pa.array([one.chosen for one in tried], pa.bool_()),
        "note": pa.array([one.note for one in tried], pa.string()),
    }
    return Table(
        name="models of purchases",
        data=pa.table(columns),
        kind=kind,
        sentence=_said(tried, lowest),
        definition="Models fitted on the same customers by Akaike's information criterion (smaller is better): of "
        f"those within {CLOSE:g} of the lowest a converged one, the first of {', '.join(AUTO)}.",
    )


def _said(tried: Sequence[Candidate], lowest: float) -> str:
    """Return the choice in one sentence."""
    taken = next((one for one in tried if one.chosen), tried[0])
    others = [f"{one.model} {_apart(one, lowest)}" for one in tried if one is not taken]
    if not others:
        return f"{taken.model}, as asked for."
    return f"{taken.model} was taken ({_apart(taken, lowest)}); {', '.join(others)}."


def _apart(one: Candidate, lowest: float) -> str:
    """Return how far a model lies from the best."""
    if math.isnan(one.aic):
        return "could not be fitted"
    state = "" if one.status == "converged" else f", {one.status}"
    apart = one.aic - lowest
    return ("lowest AIC" if apart == 0.0 else f"AIC {wording.plain(round(apart, 2))} above the lowest") + state


def choose_spend(spend_model: Any, summary: CustomerSummary, tx: Transactions | None) -> SpendFit | MeanSpend:
    """Return the fitted model of spend.

    Args:
        spend_model: None for the gamma-gamma model where it is defined and the mean of spend where it is not, "mean"
            for the mean, "GammaGamma" in any spelling, a model such as `GammaGamma(l2=0.1)`, or a fit.
        summary: The customers to fit it on.
        tx: The transactions that they come from, where there are any.

    Raises:
        InvalidArgument: It is none of these, or the summary has no spend.
        ConvergenceError: The gamma-gamma model was asked for and could not be fitted.
    """
    if isinstance(spend_model, (SpendFit, MeanSpend)):
        return spend_model
    if not summary.has_spend:
        raise InvalidArgument(
            "this summary holds no spend: pass monetary_value=<column> to CustomerSummary.of, or a fitted spend_model."
        )
    if isinstance(spend_model, GammaGamma):
        return spend_model.fit(summary)
    name = None if spend_model is None else _plain(spend_model) if isinstance(spend_model, str) else ""
    if name == "mean":
        return _mean(summary, tx, ())
    if name == "gammagamma":
        return GammaGamma().fit(summary)
    if name is None:
        return _gamma_gamma_or_mean(summary, tx)
    raise InvalidArgument(
        f'spend_model={spend_model!r}: give None, "mean", "GammaGamma", a model such as GammaGamma(), or its fit.'
    )


def _gamma_gamma_or_mean(summary: CustomerSummary, tx: Transactions | None) -> SpendFit | MeanSpend:
    """Return the gamma-gamma fit, or the mean of spend with the reason why."""
    try:
        fit = GammaGamma().fit(summary)
    except (ConvergenceError, EmptyData, InvalidArgument) as err:
        return _mean(summary, tx, (f"The mean of spend is taken for every customer: {_without_way_out(err)}",))
    if fit.params["q"] > 1.0:
        return fit
    why = (
        f"The mean of spend is taken for every customer: customers differ so much in what they spend that the "
        f"gamma-gamma model has no finite mean (q {fit.params['q']:.3g} is at most 1)."
    )
    return _mean(summary, tx, (why,))


def _without_way_out(err: LoyaltyError) -> str:
    """Return what went wrong, in one sentence, without what to do about it."""
    return re.split(r"(?<=[.:]) (?=[A-Z])", str(err))[0].rstrip(".:") + "."


def _mean(summary: CustomerSummary, tx: Transactions | None, notes: tuple[str, ...]) -> MeanSpend:
    """Return the mean of repeat spend; of all spend where no repeat purchase brought any."""
    try:
        found = MeanSpend.of(summary, notes)
    except EmptyData:
        if tx is None:
            raise
    else:
        if found.mean > 0.0 or tx is None:
            return found
    return MeanSpend.of_all(tx, (*notes, "It is the mean of all purchases: repeat purchases brought nothing."))
