"""Spend per purchase: the Gamma-Gamma model, its fit and what it expects of each customer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import checks, wording
from loyalty.clv.kernels import _gammagamma as kernel
from loyalty.clv.models import independence as assumption
from loyalty.clv.models import spend_limits, spend_search
from loyalty.clv.models.spend_tables import SpendTables
from loyalty.clv.models.uncertainty import Prediction
from loyalty.clv.summaries.histories import PLAIN
from loyalty.clv.summaries.spend_cells import SpendCells
from loyalty.errors import EmptyData, InvalidArgument, warn

if TYPE_CHECKING:
    from loyalty.clv.models.fitting import Optimum
    from loyalty.clv.models.independence import Independence
    from loyalty.clv.summaries.summary import CustomerSummary

__all__ = ["GammaGamma", "SpendFit"]

Floats = NDArray[np.float64]

_ALIKE = 1e-7  # mean spends that differ by less, relatively, are equal
_UNBOUNDED = 1e4  # a parameter that the data do not determine and that is larger has no bound


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaGamma:
    """The Gamma-Gamma model of spend: what a customer pays varies around a mean of their own, which stays.

    The amount of each purchase is Gamma distributed with shape p (the sum of n of a customer's with shape p·n) and a
    rate of the customer's own, and rates differ between customers as a Gamma distribution with shape q and rate gamma.
    How often somebody buys is taken to have nothing to do with how much: `SpendFit.independence` measures that.

    Attributes:
        l2: Penalty: l2 · (ln²p + ln²q + ln²(p·gamma/(q·typical spend))) is taken from the log-likelihood while
            searching, typical spend being the geometric mean of the customers' mean spends.

    Source: Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", note 025, eq. 1a and 5; Fader, Hardie &
    Lee (2005), Journal of Marketing Research 42, 415-430.
    """

    l2: float = 0.0
    name: ClassVar[str] = "GammaGamma"

    def __post_init__(self) -> None:
        checks.number("l2", self.l2, low=0.0)

    def fit(self, data: CustomerSummary | SpendCells) -> SpendFit:
        """Fit the model to the mean spends of customers with a repeat purchase.

        Args:
            data: A customer summary, or its spend cells.

        Returns:
            The fit. Its status is "boundary" where a parameter has no finite estimate (all spend equal, customers who
            do not differ, …) or q ≤ 1, so that the mean spend over all customers is infinite; `notes` say what that
            means, and a `LoyaltyWarning` is given.

        Raises:
            EmptyData: Nobody has a repeat purchase that cost anything.
            ConvergenceError: The search found no maximum.
            InvalidArgument: `data` holds no spend.

        Customers without a repeat purchase teach nothing about spend. Those whose repeat purchases cost nothing or less
        in all (free items, returns) cannot come from the model and are left out, counted in a note.

        Examples:
            >>> from loyalty.clv.summaries.spend_cells import SpendCells
            >>> cells = SpendCells.of([1, 1, 1, 2, 2, 5, 9, 9, 0], [5, 90, 20, 12, 60, 20, 55, 15, 0])
            >>> fit = GammaGamma().fit(cells)
            >>> round(fit.expected_spend(frequency=2, monetary_value=18.0), 2)
            25.96
        """
        cells = _cells(data)
        optimum = spend_search.optimum(cells, self.l2)
        found = dict(zip(kernel.NAMES, optimum.log_params, strict=True))
        p, q = math.exp(found["p"]), math.exp(found["q"])
        infinite = q <= 1.0
        notes = [*_left_out(cells), *_bounds(cells, optimum)]
        notes += [_INFINITE.format(q)] if infinite else []
        fit = SpendFit.of(
            self.name,
            kernel.NAMES,
            optimum,
            customers=cells.customers,
            status="boundary" if infinite else optimum.status,
            notes=tuple(notes),
            l2=float(self.l2),
            data=_facts(data, cells, p, q),
        )
        if fit.status != "converged":
            warn(f"{fit.model}: {' '.join(fit.notes)}")
        return fit


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SpendFit(SpendTables):
    """A fitted Gamma-Gamma model: `params` are p, q and gamma (in the currency of the data)."""

    @classmethod
    def parameter_names(cls, model: str) -> tuple[str, ...]:  # noqa: ARG003 (there is one model)
        """Return the names that the parameters must have."""
        return kernel.NAMES

    @property
    def population_mean(self) -> float:
        """Mean spend per purchase over all customers, p·gamma/(q − 1); infinite for q ≤ 1."""
        return self._of_one(0, 0.0)

    @classmethod
    def further(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Return no more fields, but raise where the correlations in what `to_dict` made cannot be."""
        if "independence" in saved["data"]:
            assumption.check(saved["data"]["independence"])
        return {}

    @cached_property
    def independence(self) -> Independence | None:
        """How frequency and mean spend went together among the customers it was fitted on (95 % intervals).

        None for a fit that was not made from customers.
        """
        found = self.data.get("independence")
        return None if found is None else assumption.independence(found)

    def expected_spend(
        self,
        summary: CustomerSummary | None = None,
        *,
        frequency: Any = None,
        monetary_value: Any = None,
        interval: str | None = None,
        confidence: float = 0.95,
    ) -> Any:
        """Return what a customer's next purchases are expected to cost each, given those known.

        That is p·(gamma + x·m̄)/(p·x + q − 1): the population's mean and the customer's own, weighted by how much is
        known of the customer.

        Args:
            summary: A customer summary; or give
            frequency: Repeat purchases x, a number or an array of shape (n,), and
            monetary_value: Mean spend m̄ of them, which is read where x > 0.
            interval: None; "confidence": of the expectation, for the errors of the parameters (delta method on the
                logarithm); "predictive": of the spend of the customer's next purchase, chance and the errors of the
                parameters together.
            confidence: Level of the interval.

        Returns:
            Numbers give a float, arrays an array; with an interval a `Prediction` of them. A summary gives a frame of
            its source's kind with the customers, `frequency`, `monetary_value`, `expected_spend` and, with an
            interval, `expected_spend_low` and `expected_spend_high`.

        Raises:
            InvalidArgument: A frequency is no whole number of at least 0, a mean spend is missing or not finite, or
                another argument is not allowed.

        A mean spend below 0 counts as 0: purchases that brought nothing are known to have done so and draw the
        expectation down, but not below what none would (the limit of the formula for ever smaller sums). Where
        p·x + q ≤ 1 the expectation is infinite, and so are the ends of its confidence interval.
        """
        if summary is None and interval is None and type(frequency) in PLAIN and type(monetary_value) in PLAIN:
            return self._of_one(float(frequency), float(monetary_value))
        if interval is not None:
            checks.choice("interval", interval, ("confidence", "predictive"))
            checks.confidence_level(confidence)
        if summary is not None:
            if frequency is not None or monetary_value is not None:
                raise InvalidArgument("give a summary, or frequency= and monetary_value=, not both.")
            return spend_limits.of_summary(self, summary, interval, confidence)
        x, mean, single = _customers(frequency, monetary_value)
        found = kernel.expected_spend(self.values, x, mean)
        if interval is None:
            return found.item() if single else found
        ends = spend_limits.limits(self, x, mean, interval, confidence)
        value, low, high = (one.item() if single else one for one in (found, *ends))
        return Prediction(value=value, low=low, high=high, confidence=confidence, kind=interval)

    def _of_one(self, frequency: float, monetary_value: float) -> float:
        """Return the expected spend of one customer, fast."""
        if not (frequency >= 0 and frequency % 1 == 0):
            raise _bad_frequency(frequency)
        if not (math.isfinite(monetary_value) or not frequency):
            raise _bad_mean(monetary_value)
        p, q, gamma = self.values
        below = (q - 1.0) + p * frequency
        spent = frequency * monetary_value if frequency and monetary_value > 0 else 0.0
        return p * (gamma + spent) / below if below > 0.0 else math.inf

    def spend_expression(self, frequency: nw.Expr, monetary_value: nw.Expr) -> nw.Expr:
        """Return `expected_spend` as an expression that an engine computes, by the same rules."""
        p, _, _ = self.values
        below = self.below_expression(frequency)
        above = self.scale_expression(frequency, monetary_value) * p
        if self._finite:
            return above / below
        safe = nw.when(below > 0.0).then(below).otherwise(nw.lit(1.0))
        return nw.when(below > 0.0).then(above / safe).otherwise(nw.lit(math.inf))

    def spend_square_expression(self, frequency: nw.Expr, monetary_value: nw.Expr) -> nw.Expr:
        """Return E[μ²], μ being the customer's own mean spend given what is known; infinite where p·x + q ≤ 2.

        Purchases vary around μ: the square of one of them has the expectation E[μ²]·(1 + 1/p), and the sum of n has
        the variance n²·(E[μ²] − E[μ]²) + n·E[μ²]/p.
        """
        p, q, _ = self.values
        scale, below = self.scale_expression(frequency, monetary_value) * p, self.below_expression(frequency)
        if q > 2.0:
            return scale * scale / (below * (below - 1.0))
        safe = nw.when(below > 1.0).then(below).otherwise(nw.lit(2.0))
        return nw.when(below > 1.0).then(scale * scale / (safe * (safe - 1.0))).otherwise(nw.lit(math.inf))

    def log_slopes(self, frequency: nw.Expr, monetary_value: nw.Expr) -> dict[str, nw.Expr]:
        """Return the derivatives of ln(expected spend) by ln p, ln q and ln gamma as expressions."""
        _, q, gamma = self.values
        below: nw.Expr = self.below_expression(frequency)
        if not self._finite:
            below = nw.when(below > 0.0).then(below).otherwise(nw.lit(math.nan))
        slopes = (
            nw.lit(q - 1.0) / below,
            nw.lit(-q) / below,
            nw.lit(gamma) / self.scale_expression(frequency, monetary_value),
        )
        return dict(zip(self.names, slopes, strict=True))

    @property
    def _finite(self) -> bool:
        """Whether the expectation of every customer is finite."""
        return self.values[1] > 1.0

    def below_expression(self, frequency: nw.Expr) -> nw.Expr:
        """Return p·x + q − 1."""
        p, q, _ = self.values
        return frequency.cast(nw.Float64) * p + (q - 1.0)

    def scale_expression(self, frequency: nw.Expr, monetary_value: nw.Expr) -> nw.Expr:
        """Return gamma + x·m̄, the customer's scale of spend."""
        known = (frequency > 0) & (monetary_value > 0)
        spent = nw.when(known).then(frequency * monetary_value).otherwise(nw.lit(0.0))
        return spent.cast(nw.Float64) + self.values[2]


def _cells(data: Any) -> SpendCells:
    """Return the spend cells of a summary, or raise where there is nothing to learn from."""
    cells = data if isinstance(data, SpendCells) else getattr(data, "spend_cells", None)
    if not isinstance(cells, SpendCells):
        raise InvalidArgument(
            f"GammaGamma is fitted on a customer summary, not a {type(data).__name__}: make one with "
            "ly.summarize(ly.transactions(table)), or with ly.CustomerSummary.of from a table that has it."
        )
    if not len(cells):
        why = "nobody has a repeat purchase"
        if cells.not_positive:
            who = wording.counted(cells.not_positive, "customers")
            why = f"the repeat purchases of {who} cost nothing or less in all, and nobody else has any"
        raise EmptyData(
            f"there is no spend to learn from: {why}. The Gamma-Gamma model needs customers with repeat purchases of "
            "a positive mean spend: observe longer, or look at amounts and returns."
        )
    return cells


_INFINITE = (
    "q = {:.3g} is not above 1: customers differ so much that the model's mean spend over all of them is infinite. The "
    "expected spend of customers with p·x + q ≤ 1 is so too, those without a repeat purchase among them."
)


def _left_out(cells: SpendCells) -> list[str]:
    """Return the note about customers whom the model cannot hold."""
    if not cells.not_positive:
        return []
    who = wording.counted(cells.not_positive, "customers")
    return [f"Left out of the fit: {who} whose repeat purchases cost nothing or less in all (free items, returns)."]


def _bounds(cells: SpendCells, optimum: Optimum) -> list[str]:
    """Return what it means that parameters have no finite estimate."""
    firm, (p, q, _) = optimum.identified, np.exp(optimum.log_params)
    if cells.high <= cells.low * (1.0 + _ALIKE) and not firm.any():
        mean = wording.quantity(cells.typical, "money")
        return [f"All mean spends are {mean}: p and q have no bound, and everybody is expected to spend that."]
    notes = []
    if not firm[0] and p > _UNBOUNDED:
        notes.append(
            "Customers with many purchases differ in mean spend as much as those with few: p has no bound, and "
            "everybody is expected to go on spending their own mean."
        )
    if not firm[1] and q > _UNBOUNDED:
        notes.append(
            "Customers differ in mean spend no more than chance makes them: q has no bound, and everybody is expected "
            "to spend nearly the same."
        )
    if not notes and not firm.all():
        vague = [name for name, known in zip(kernel.NAMES, firm, strict=True) if not known]
        notes.append(f"The data do not determine {' and '.join(vague)}: no standard error is given.")
    return notes


def _facts(data: Any, cells: SpendCells, p: float, q: float) -> dict[str, Any]:
    """Return what a fit remembers of its data, as JSON-ready values."""
    until = getattr(data, "until", None)
    return wording.jsonable(
        {
            "until": until,
            "customers": cells.customers,
            "without_repeat": cells.without_repeat,
            "not_positive": cells.not_positive,
            "typical_spend": cells.typical,
            "lowest_mean_spend": cells.low,
            "highest_mean_spend": cells.high,
            "cells": len(cells),
            "cells_exact": cells.exact,
            "independence": assumption.correlations(cells, p, q),
        }
    )


def _customers(frequency: Any, monetary_value: Any) -> tuple[Floats, Floats, bool]:
    """Return frequencies and mean spends as arrays of one shape, and whether they were numbers."""
    if frequency is None:
        raise InvalidArgument("give a summary, or frequency= and monetary_value= of the customers.")
    x, mean = (
        _floats("frequency", frequency),
        _floats("monetary_value", 0.0 if monetary_value is None else monetary_value),
    )
    wrong = ~((x >= 0) & (x % 1 == 0))
    if wrong.any():
        raise _bad_frequency(x[wrong].item(0))
    if monetary_value is None and (x > 0).any():
        raise InvalidArgument("monetary_value= is missing: give the mean spend of the repeat purchases.")
    try:
        x, mean = np.broadcast_arrays(x, mean)
    except ValueError as err:
        raise InvalidArgument(
            f"frequency and monetary_value must be of one length: their shapes are {x.shape} and {mean.shape}."
        ) from err
    unknown = (x > 0) & ~np.isfinite(mean)
    if unknown.any():
        raise _bad_mean(mean[unknown].item(0))
    return x, np.where(x > 0, mean, 0.0), x.ndim == 0


def _floats(name: str, value: Any) -> Floats:
    """Return numbers as an array of floats."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise InvalidArgument(f"{name}={value!r} holds something that is no number.") from err


def _bad_frequency(value: float) -> InvalidArgument:
    return InvalidArgument(f"frequency={value:g}: give the number of repeat purchases, whole and at least 0.")


def _bad_mean(value: float) -> InvalidArgument:
    return InvalidArgument(
        f"monetary_value={value:g} of a customer with repeat purchases: give their mean spend, a finite number."
    )
