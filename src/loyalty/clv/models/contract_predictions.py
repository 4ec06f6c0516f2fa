"""What a fitted model of renewals predicts: who stays, for how long, and what their payments are worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loyalty import checks, periods
from loyalty.clv.kernels import _bdw, _sbg
from loyalty.clv.models import answers, outlasting, uncertainty
from loyalty.clv.models.discounting import per_period
from loyalty.clv.models.fits import Fit
from loyalty.clv.models.fitted_survival import fitted_survival
from loyalty.clv.models.heterogeneity import heterogeneity
from loyalty.clv.summaries.opportunities import PERIOD_DAYS
from loyalty.clv.summaries.survival_curves import renewal_words
from loyalty.errors import InvalidArgument
from loyalty.tables import Table

if TYPE_CHECKING:
    from loyalty.clv.models.uncertainty import Prediction

__all__ = ["KERNELS", "ContractFit"]

Floats = NDArray[np.float64]
Values = tuple[float, ...]
Quantity = Callable[[Values, Floats], Floats]  # (params, renewals) → one value per customer

KERNELS: dict[str, ModuleType] = {"SBG": _sbg, "BDW": _bdw}
_MOST = 100_000  # renewals, survived or ahead


class ContractFit(Fit):
    """A fitted model of renewals: what `Fit` says of it, and its predictions.

    Customers are told apart by one number: `renewals=`, how often they have renewed so far (0: not yet). Numbers give
    numbers and arrays give arrays. Lengths of time are whole numbers of periods, the fit's `unit` each.

    `interval="confidence"` adds how well the parameters are known, by the delta method on the scale of logarithms, for
    shares of log odds. Parameters that the data do not determine count as known there; where a prediction depends on
    no others its interval is NaN. `expected_renewals` also has predictive intervals: what the customer will do.
    """

    @classmethod
    def parameter_names(cls, model: str) -> tuple[str, ...]:
        """Return the names that the parameters of a model must have."""
        names: tuple[str, ...] = KERNELS[checks.choice("model", model, tuple(KERNELS))].NAMES
        return names

    @cached_property
    def kernel(self) -> Any:
        """The mathematics of the model; for authors."""
        return KERNELS[self.model]

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
            return np.asarray(np.exp(self.kernel.log_survival(params, 0.0, ahead)), dtype=np.float64)

        return self._curve(
            "survival", share, ahead, ahead, "Share of new customers who survive each renewal.", confidence
        )

    def fitted_survival(self, renewals: int | None = None, *, confidence: float = 0.95) -> Table:
        """Return the share of new customers who survive each renewal: by the model, and as it was observed.

        Args:
            renewals: Up to which renewal; None: as far as it was observed, but 12 at least.
            confidence: Level of the intervals.

        Returns:
            A row per renewal from 0: `renewal`, `observed` (the product of the retentions that the model was fitted on,
            Kaplan & Meier 1958; NaN where nobody was observed for so long), `survival` with `low` and `high`. Chart:
            curves.

        Raises:
            InvalidArgument: An argument is not allowed.

        Examples:
            >>> from loyalty.clv.models.contractual import SBG
            >>> from loyalty.clv.summaries.counts import survival_counts
            >>> fit = SBG().fit(survival_counts(survivors=[1000, 631, 468, 382], period="year"))
            >>> rows = list(fit.fitted_survival())
            >>> [round(row["observed"], 3) for row in rows[:4]], [round(row["survival"], 3) for row in rows[:4]]
            ([1.0, 0.631, 0.468, 0.382], [1.0, 0.63, 0.471, 0.382])
        """
        return fitted_survival(self, renewals, confidence)

    def heterogeneity(self) -> Table:
        """Return how customers differ: the distribution over them of their own chance of leaving, Beta(α, β).

        In the sBG it is the chance at every renewal; in the BdW that at the first, and c says how it changes.

        Returns:
            A row per point of the curve: `rate` (which chance), `value`, `density` (over customers) and `share` (of
            customers at or below the value). It begins after 0, and ends before 1, where the density is infinite
            there. Chart: the curve.
        """
        return heterogeneity(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw survival by the model and as it was observed (`fitted_survival`); returns the matplotlib Axes."""
        return self.fitted_survival().plot(ax=ax)

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
            return np.asarray(np.exp(self.kernel.log_survival(params, before, 1.0)), dtype=np.float64)

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
        return self._predict(self._leaving, renewals, interval, confidence, 1.0)

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
            interval: "confidence": how well the expectation is known. "predictive": what the customer will really do,
                the uncertainty of the parameters included (quantiles of the mixture of distributions over 2·k sigma
                points of the log parameters; whole numbers, infinite above 10^15, and they may lie on one side of the
                expectation). None for no interval.
            confidence: Level of the interval.

        Returns:
            A number or an array, from 0 to `periods`; with an interval a `Prediction`.

        Raises:
            InvalidArgument: An argument is not allowed.
        """
        far = _horizon(periods)

        def left(params: Values, before: Floats) -> Floats:
            return np.asarray(self.kernel.remaining(params, before, far), dtype=np.float64)

        if interval == "predictive":
            return self._will_renew(left, renewals, confidence, far)
        return self._predict(left, renewals, interval, confidence, far, ("confidence", "predictive"))

    def median_renewals(self, renewals: Any = 0) -> Any:
        """Return how many more renewals a customer makes with probability one half at most: the median of what is left.

        It is the smallest number that no more than half of such customers exceed, 0 where half of them or more leave
        at the next renewal. Unlike the mean it is finite in every fit, though beyond 10^15 renewals, where next to
        nobody leaves, infinite is said.

        Args:
            renewals: Renewals so far, whole numbers.

        Returns:
            A whole number, as a float, or an array of them.

        Raises:
            InvalidArgument: `renewals` is not allowed.

        Examples:
            >>> from loyalty.clv.models.contractual import SBG
            >>> from loyalty.clv.summaries.counts import survival_counts
            >>> fit = SBG().fit(survival_counts(survivors=[1000, 631, 468, 382, 326, 289, 262, 241]))
            >>> fit.median_renewals([0, 1, 7])
            array([ 1.,  3., 13.])
        """
        flat, shape = _read(renewals)
        return answers.shaped(self._quantile([self.values], flat, 0.5, math.inf), shape)

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

    def _leaving(self, params: Values, before: Floats) -> Floats:
        """Return the probability of leaving at the next renewal."""
        return np.asarray(-np.expm1(self.kernel.log_survival(params, before, 1.0)), dtype=np.float64)

    def _limits(self, quantity: Quantity, renewals: Floats, confidence: float, top: float) -> tuple[Floats, ...]:
        """Return a quantity with its confidence interval."""
        checks.confidence_level(confidence)

        def at(params: Values) -> Floats:
            return np.broadcast_to(quantity(params, renewals), renewals.shape)

        return uncertainty.delta_limits(self, at, confidence, top)

    def _will_renew(self, left: Quantity, renewals: Any, confidence: float, far: float) -> Prediction:
        """Return expected renewals with the interval of what customers will really do."""
        flat, shape = _read(renewals)
        value = np.broadcast_to(left(self.values, flat), flat.shape)
        _, *sure = self._limits(self._leaving, flat, confidence, 1.0)  # finite where the mean may not be
        points, tail = uncertainty.sigma_points(self.values, self.log_covariance), (1.0 - confidence) / 2.0
        ends = (self._quantile(points, flat, share, far) for share in (1.0 - tail, tail))
        low, high = uncertainty.where_known(tuple(ends), tuple(sure))
        return answers.of_arrays((value, low, high), shape, (confidence, "predictive"))

    def _quantile(self, points: list[Values], renewals: Floats, share: float, far: float) -> Floats:
        """Return the smallest numbers of further renewals that are exceeded with no more than some probability.

        The distribution is the mean of those at several parameter sets; equal customers are looked at once.
        """
        distinct, place = np.unique(renewals, return_inverse=True)

        def outlast(places: NDArray[np.int64], number: Floats) -> Floats:
            shares = [np.exp(self.kernel.log_survival(params, distinct[places], number)) for params in points]
            return np.asarray(np.mean(shares, axis=0), dtype=np.float64)

        return outlasting.quantile(outlast, len(distinct), share, far)[place]

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
            units={"renewal": renewal_words(self.unit), name: "share", "low": "share", "high": "share"},
            chart="survival" if name == "survival" else "",
        )

    def _predict(
        self,
        quantity: Quantity,
        renewals: Any,
        interval: str | None,
        confidence: float,
        top: float,
        kinds: tuple[str, ...] = ("confidence",),
    ) -> Any:
        """Return a prediction for renewals given as a number or an array, with or without a confidence interval."""
        flat, shape = _read(renewals)
        if interval is None:
            return answers.shaped(np.broadcast_to(quantity(self.values, flat), flat.shape), shape)
        checks.choice("interval", interval, kinds)
        return answers.of_arrays(self._limits(quantity, flat, confidence, top), shape, (confidence, "confidence"))


def _read(renewals: Any) -> tuple[Floats, tuple[int, ...]]:
    """Return renewals so far as an array of shape (n,), checked, and the shape they were given in."""
    array = np.asarray(renewals)
    if array.dtype.kind not in "iuf" or not (
        (array >= 0).all() and (array <= _MOST).all() and (array == np.floor(array)).all()
    ):
        raise InvalidArgument(f"renewals={str(renewals)[:60]}: give whole numbers of at least 0, renewals so far.")
    return np.ascontiguousarray(array, dtype=np.float64).ravel(), array.shape


def _horizon(periods: int | None) -> float:
    """Return a number of periods ahead, infinity for None."""
    return math.inf if periods is None else float(checks.count("periods", periods, high=_MOST))
