"""Customers under contract who renew or leave: the sBG and BdW models, how they are fitted, and what they predict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, periods
from loyalty.clv import _bdw, _sbg, edges, uncertainty
from loyalty.clv.counts import SurvivalCounts
from loyalty.clv.discounting import per_period
from loyalty.clv.fits import Fit
from loyalty.clv.fitting import Problem, maximise
from loyalty.clv.opportunities import PERIOD_DAYS
from loyalty.clv.uncertainty import Prediction
from loyalty.errors import InvalidArgument
from loyalty.tables import Table

__all__ = ["BDW", "SBG", "ContractFit", "ContractModel"]

Floats = NDArray[np.float64]
Values = tuple[float, ...]
Quantity = Callable[[Values, Floats], Floats]  # (params, renewals) → one value per customer

_LEAVING = edges.Chance("alpha", "beta", "leaving at a renewal")
_MOST = 100_000  # renewals, survived or ahead
_KERNELS: dict[str, ModuleType] = {"SBG": _sbg, "BDW": _bdw}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractModel:
    """What the models of renewals have in common.

    Attributes:
        l2: Penalty that holds weakly determined parameters: l2 · Σ(log parameter)² is taken from the log-likelihood in
            the search. Log-likelihood, AIC and standard errors are reported without.
    """

    l2: float = 0.0

    def __post_init__(self) -> None:
        checks.number("l2", self.l2, low=0.0)

    @property
    def name(self) -> str:
        """Name of the model."""
        return type(self).__name__

    def fit(self, data: SurvivalCounts) -> ContractFit:
        """Fit the model by maximum likelihood.

        The likelihood is that of every renewal that somebody came to: cohorts of different age, customers still there
        and customers first seen late all count for just what was observed of them.

        Args:
            data: What `survival_counts` gives.

        Returns:
            The fit. Its status is "ridge" where the data leave a combination of parameters open, "boundary" where the
            likelihood rises towards a limit (everybody alike, nobody leaves, …); the notes say which, a
            `LoyaltyWarning` says so too, and parameters that are not determined have no standard error.

        Raises:
            InvalidArgument: The data are none of these.
            ConvergenceError: The likelihood still rises where the search ended.
        """
        if not isinstance(data, SurvivalCounts):
            raise InvalidArgument(
                f"{self.name} is fitted on survival counts, not on a {type(data).__name__}: make them with "
                "ly.survival_counts(survivors=[1000, 631, 468]), or from a table of start and end dates."
            )
        kernel = _KERNELS[self.name]
        seen = data.at_risk > 0.0
        counts = (data.renewals[seen], data.lost[seen], data.kept[seen])
        optimum = maximise(
            Problem(
                names=kernel.NAMES,
                evaluate=lambda theta: kernel.total(tuple(np.exp(theta).tolist()), *counts),
                start=kernel.start(*counts),
                customers=data.customers,
                l2=self.l2,
            )
        )
        verdict = edges.judge(self.name, kernel.NAMES, optimum, (_LEAVING,), _cannot_tell(kernel.NAMES, counts))
        return ContractFit.of(
            self.name,
            kernel.NAMES,
            optimum,
            identified=verdict.identified,
            customers=data.customers,
            status=verdict.status,
            notes=(*verdict.notes, *data.notes),
            unit=data.period,
            l2=self.l2,
            data={"at_risk": data.at_risk.tolist(), "lost": data.lost.tolist()},
        )


def _cannot_tell(names: tuple[str, ...], counts: tuple[Floats, Floats, Floats]) -> dict[str, str]:
    """Return why parameters cannot be told apart, whatever the likelihood looks like."""
    renewals, lost, kept = counts
    known = {}
    if not lost.any():
        known["nobody left"] = "Nobody has left yet: the data only say that the chance of it is small."
    elif not kept.any():
        known["all left"] = "Nobody survived a renewal: the data only say that the chance of leaving is high."
    elif len(renewals) < len(names):
        seen = "a single renewal" if len(renewals) == 1 else f"{len(renewals)} renewals"
        known["few renewals"] = f"{len(names)} parameters cannot be told from {seen}: observe cohorts for longer."
    return known


class SBG(ContractModel):
    """Shifted beta-geometric: every customer leaves with the same chance at each renewal, a chance of their own.

    The chance is Beta(α, β) over customers. Retention of a cohort rises with tenure for one reason only: those with a
    high chance leave first. Source: Fader & Hardie (2007), Journal of Interactive Marketing 21(1), 76-90.

    Examples:
        >>> from loyalty.clv.counts import survival_counts
        >>> fit = SBG().fit(survival_counts(survivors=[1000, 631, 468, 382, 326, 289, 262, 241], period="year"))
        >>> print(fit)
        SBG of 1,000 customers: alpha 0.7041 ± 0.066, beta 1.182 ± 0.15; log-likelihood -1,680.265; converged.
        >>> fit.churn_probability(renewals=[0, 7])
        array([0.373, 0.079])
    """

    __slots__ = ()


class BDW(ContractModel):
    """Beta-discrete-Weibull: as the sBG, but each customer's chance of leaving may itself rise or fall with tenure.

    A customer with chance p survives t renewals with probability (1 − p)^(t^c); p is Beta(α, β) over customers, and
    c = 1 is the sBG. Source: Fader, Hardie, Liu, Davin & Steenburgh (2018), Journal of Interactive Marketing 43, 1-16.

    Examples:
        >>> from loyalty.clv.counts import survival_counts
        >>> fit = BDW().fit(survival_counts(survivors=[1000, 631, 468, 382, 326, 289, 262, 241], period="year"))
        >>> fit.params["c"] > 1, round(fit.log_likelihood, 3)
        (True, -1679.603)
    """

    __slots__ = ()


class ContractFit(Fit):
    """A fitted model of renewals: what `Fit` says of it, and its predictions.

    Customers are told apart by one number: `renewals=`, how often they have renewed so far (0: not yet). Numbers give
    numbers and arrays give arrays. Lengths of time are whole numbers of periods, the fit's `unit` each.

    Intervals are confidence intervals: how well the parameters are known, by the delta method on the scale of
    logarithms, for shares of log odds. Parameters that the data do not determine count as known there.
    """

    @classmethod
    def parameter_names(cls, model: str) -> tuple[str, ...]:
        """Return the names that the parameters of a model must have."""
        names: tuple[str, ...] = _KERNELS[checks.choice("model", model, tuple(_KERNELS))].NAMES
        return names

    @cached_property
    def kernel(self) -> Any:
        """The mathematics of the model; for authors."""
        return _KERNELS[self.model]

    @property
    def days_per_period(self) -> float:
        """Length of a period in days, on average.

        Raises:
            InvalidArgument: The period is not known.
        """
        if not self.unit:
            raise InvalidArgument(
                "an annual rate needs to know how often contracts are renewed: pass period= to survival_counts(), such "
                'as period="month".'
            )
        return PERIOD_DAYS.get(self.unit) or float(periods.duration_days(self.unit, "period"))

    def survival(self, renewals: int, *, confidence: float = 0.95) -> Table:
        """Return the share of new customers who survive each renewal.

        Args:
            renewals: Up to which renewal.
            confidence: Level of the intervals.

        Returns:
            A row per renewal from 0: `renewal`, `survival` with `low` and `high`.
        """
        ahead = np.arange(0.0, checks.count("renewals", renewals, high=_MOST) + 1.0)

        def share(params: Values, ahead: Floats) -> Floats:
            return np.exp(self.kernel.log_survival(params, 0.0, ahead))

        return self._curve(
            "survival", share, ahead, ahead, "Share of new customers who survive each renewal.", confidence
        )

    def retention(self, renewals: int, *, confidence: float = 0.95) -> Table:
        """Return the share who stay at each renewal, of the customers who come to it.

        Args:
            renewals: Up to which renewal.
            confidence: Level of the intervals.

        Returns:
            A row per renewal from 1: `renewal`, `retention` with `low` and `high`.
        """
        before = np.arange(0.0, checks.count("renewals", renewals, high=_MOST))

        def share(params: Values, before: Floats) -> Floats:
            return np.exp(self.kernel.log_survival(params, before, 1.0))

        definition = "Of the customers who come to a renewal, the share who stay."
        return self._curve("retention", share, before, before + 1.0, definition, confidence)

    def churn_probability(self, renewals: Any = 0, *, interval: str | None = None, confidence: float = 0.95) -> Any:
        """Return the probability of leaving at the next renewal.

        Args:
            renewals: Renewals so far, whole numbers.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            A number or an array; with an interval a `Prediction`.

        Raises:
            InvalidArgument: An argument is not allowed.
        """

        def leaving(params: Values, before: Floats) -> Floats:
            return -np.expm1(self.kernel.log_survival(params, before, 1.0))

        return self._predict(leaving, renewals, interval, confidence, 1.0)

    def expected_renewals(
        self,
        renewals: Any = 0,
        *,
        periods: int | None,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return how many more renewals to expect: the remaining tenure beyond the period that is paid for.

        Args:
            renewals: Renewals so far, whole numbers.
            periods: Count the next so many renewals only. None counts all: the mean is then infinite, and said to be,
                where α ≤ 1 (BdW: α·c ≤ 1), as some customers have next to no chance of leaving.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            A number or an array, from 0 to `periods`; with an interval a `Prediction`.

        Raises:
            InvalidArgument: An argument is not allowed.
        """
        far = _horizon(periods)

        def left(params: Values, before: Floats) -> Floats:
            return np.asarray(self.kernel.remaining(params, before, far), dtype=np.float64)

        return self._predict(left, renewals, interval, confidence, far)

    def discounted_lifetime(
        self,
        *,
        periods: int | None = None,
        annual_discount_rate: float = 0.10,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return the discounted expected lifetime (DEL) of a new customer: what one unit of money a period is worth.

        The first payment is made on the day of acquisition and counts 1, the one at the k-th renewal counts
        (1 + rate)^(−k·days per period/365.25) times the probability of surviving it.

        Args:
            periods: How many payments count, the first included; None is for ever.
            annual_discount_rate: 0.10 for 10 % a year; above 0 where all payments count, else above −1.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            A number; with an interval a `Prediction`.

        Raises:
            InvalidArgument: The period of the contracts is not known, the rate is not positive and the horizon
                infinite, or another argument is not allowed.

        Source: Fader & Hardie (2010), Customer-Base Valuation in a Contractual Setting, Marketing Science 29, 85-93.
        """
        far = _horizon(periods)
        worth = per_period(annual_discount_rate, self.days_per_period, far)

        def value(params: Values, before: Floats) -> Floats:
            if far <= 1.0:
                return np.ones(len(before))
            return 1.0 + np.asarray(self.kernel.remaining(params, before, far - 1.0, worth), dtype=np.float64)

        return self._predict(value, 0, interval, confidence, math.inf)

    def discounted_residual_lifetime(
        self,
        renewals: Any,
        *,
        periods: int | None = None,
        annual_discount_rate: float = 0.10,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return the discounted expected residual lifetime (DERL) of a customer who is about to decide on a renewal.

        The convention is that of Fader & Hardie's note on customer-base valuation in a contractual setting: one looks
        just before the next renewal, whose payment comes at once if it is made. It counts the probability of making
        it, the following one that of surviving both times (1 + rate)^(−days per period/365.25), and so on. (They count
        a customer with n − 1 renewals as n periods old.)

        Args:
            renewals: Renewals so far, whole numbers.
            periods: How many payments count; None is for ever.
            annual_discount_rate: 0.10 for 10 % a year; above 0 where all payments count, else above −1.
            interval: "confidence", or None for no interval.
            confidence: Level of the interval.

        Returns:
            A number or an array: payments of one unit; with an interval a `Prediction`.

        Raises:
            InvalidArgument: The period of the contracts is not known, the rate is not positive and the horizon
                infinite, or another argument is not allowed.

        Source: Fader & Hardie (2010), Marketing Science 29, 85-93.
        """
        far = _horizon(periods)
        worth = per_period(annual_discount_rate, self.days_per_period, far)

        def value(params: Values, before: Floats) -> Floats:
            return np.asarray(self.kernel.remaining(params, before, far, worth), dtype=np.float64) / worth

        return self._predict(value, renewals, interval, confidence, math.inf)

    # ------------------------------------------------------------------------------------------------------- inside

    def _limits(self, quantity: Quantity, renewals: Floats, confidence: float, top: float) -> tuple[Floats, ...]:
        """Return a quantity with its confidence interval by the delta method."""
        checks.confidence_level(confidence)
        value = np.broadcast_to(quantity(self.values, renewals), renewals.shape)
        slopes = uncertainty.log_differences(self.values, lambda params: quantity(params, renewals))
        spread = uncertainty.log_spread(slopes, self.log_covariance)
        return value, *uncertainty.spread_limits(value, spread, confidence, top)

    def _curve(
        self, name: str, share: Quantity, places: Floats, renewal: Floats, definition: str, confidence: float
    ) -> Table:
        """Return a share at each renewal as a table."""
        import pyarrow as pa

        value, low, high = self._limits(share, places, confidence, 1.0)
        return Table(
            name=f"{name} by {self.model}",
            data=pa.table({"renewal": renewal.astype(np.int64), name: value, "low": low, "high": high}),
            kind="pandas",
            sentence=f"{definition} At renewal {int(renewal[-1])} it is {value[-1]:.1%}.",
            definition=definition,
            units={name: "share", "low": "share", "high": "share"},
        )

    def _predict(self, quantity: Quantity, renewals: Any, interval: str | None, confidence: float, top: float) -> Any:
        """Return a prediction for renewals given as a number or an array, with or without an interval."""
        array = np.asarray(renewals)
        if array.dtype.kind not in "iuf" or not (
            (array >= 0).all() and (array <= _MOST).all() and (array == np.floor(array)).all()
        ):
            raise InvalidArgument(f"renewals={str(renewals)[:60]}: give whole numbers of at least 0, renewals so far.")
        flat = np.ascontiguousarray(array, dtype=np.float64).ravel()
        if interval is None:
            return _shaped(np.broadcast_to(quantity(self.values, flat), flat.shape), array.shape)
        checks.choice("interval", interval, ("confidence",))
        parts = self._limits(quantity, flat, confidence, top)
        value, low, high = (_shaped(part, array.shape) for part in parts)
        return Prediction(value=value, low=low, high=high, confidence=confidence, kind="confidence")


def _horizon(periods: int | None) -> float:
    """Return a number of periods ahead, infinity for None."""
    return math.inf if periods is None else float(checks.count("periods", periods, high=_MOST))


def _shaped(found: Floats, shape: tuple[int, ...]) -> Any:
    """Return an array in the shape of what was asked for; a number for a number."""
    return float(found[0]) if not shape else np.array(found).reshape(shape)
