"""The mean of spend: what a purchase is worth where the gamma-gamma model cannot say more of single customers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from loyalty import intervals, wording
from loyalty.errors import EmptyData, InvalidArgument

if TYPE_CHECKING:
    from loyalty.clv.summaries.summary import CustomerSummary
    from loyalty.transactions import Transactions

__all__ = ["MeanSpend"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class MeanSpend:
    """The mean spend of repeat purchases, the same for every customer.

    It says nothing of single customers: use it where the gamma-gamma model is not defined, or to see what the model
    adds. Like a fit it has parameters with errors, the customer being the sampling unit.

    Attributes:
        mean: Mean spend of a repeat purchase, in money.
        log_covariance: Variance of its logarithm, shape (1, 1).
        customers: Customers with a repeat purchase, or the sum of their weights.
        notes: What a reader must know, a sentence each.
    """

    mean: float
    log_covariance: Floats
    customers: float
    notes: tuple[str, ...] = ()
    model: str = "MeanSpend"
    status: str = "converged"
    names: tuple[str, ...] = ("mean",)

    @classmethod
    def of(cls, summary: CustomerSummary, notes: tuple[str, ...] = ()) -> MeanSpend:
        """Return the mean spend of a summary's repeat purchases.

        Args:
            summary: The customers.
            notes: Why the mean is taken.

        Raises:
            EmptyData: Nobody has a repeat purchase.
        """
        weight = nw.col("weight") if summary.weighted else nw.lit(1.0)
        x, spend = nw.col("frequency").cast(nw.Float64), nw.col("monetary_value")
        y = x * spend
        parts = {"n": weight, "x": weight * x, "y": weight * y, "xx": weight * x * x, "xy": weight * x * y,
                 "yy": weight * y * y}  # fmt: skip
        rows = summary.frame().filter(nw.col("frequency") > 0).select(**parts)
        sums = summary.collect(rows.select(*(nw.col(name).sum() for name in parts))).to_pylist()[0]
        if not sums["n"]:
            raise EmptyData("nobody has a repeat purchase: there is no spend to expect of one. Take a longer window.")
        return cls._from(sums, notes)

    @classmethod
    def of_all(cls, tx: Transactions, notes: tuple[str, ...] = ()) -> MeanSpend:
        """Return the mean spend of all purchases of the observed window, first ones included.

        Args:
            tx: The transactions.
            notes: Why it is taken.
        """
        x, y = nw.col("purchases").cast(nw.Float64), nw.col("spend")
        parts = {"n": nw.lit(1.0), "x": x, "y": y, "xx": x * x, "xy": x * y, "yy": y * y}
        rows = tx.customers.select(**parts)
        return cls._from(tx.collect(rows.select(*(nw.col(name).sum() for name in parts))).to_pylist()[0], notes)

    @classmethod
    def _from(cls, sums: Mapping[str, Any], notes: tuple[str, ...]) -> MeanSpend:
        """Return the ratio of sums of spend and purchases over customers."""
        moments = intervals.RatioMoments(**sums)
        error = moments.standard_error / abs(moments.ratio) if moments.ratio else 0.0
        variance = np.array([[0.0 if math.isnan(error) else error * error]])
        return cls(mean=moments.ratio, log_covariance=variance, customers=sums["n"], notes=notes)

    @cached_property
    def params(self) -> dict[str, float]:
        """The mean by its name."""
        return {"mean": self.mean}

    @property
    def independence(self) -> None:
        """Nothing: no assumption is made on how spend goes with the number of purchases."""
        return

    def spend_expression(self, frequency: nw.Expr, monetary_value: nw.Expr) -> nw.Expr:  # noqa: ARG002 (the same for all)
        """Return the expected spend of a purchase, as an expression in the engine."""
        return nw.lit(self.mean)

    def log_slopes(self, frequency: nw.Expr, monetary_value: nw.Expr) -> dict[str, nw.Expr]:  # noqa: ARG002
        """Return the derivative of its logarithm by the logarithm of the mean: 1."""
        return {"mean": nw.lit(1.0)}

    def expected_spend(self, *, frequency: Any, monetary_value: Any) -> Any:  # noqa: ARG002
        """Return the mean for every customer given."""
        found = np.full(np.shape(frequency), self.mean)
        return found if found.ndim else self.mean

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {
            "model": self.model,
            "mean": self.mean,
            "log_variance": float(self.log_covariance[0, 0]),
            "customers": self.customers,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> MeanSpend:
        """Return the mean spend that `to_dict` made.

        Raises:
            InvalidArgument: Something is missing or of a wrong kind.
        """
        numbers = [saved.get(name) for name in ("mean", "log_variance", "customers")]
        usable = all(isinstance(value, (int, float)) and math.isfinite(value) for value in numbers)
        notes = saved.get("notes")
        if not usable or not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
            raise InvalidArgument("the saved mean spend lacks a finite number or its notes: save the model again.")
        mean, variance, customers = (float(value) for value in numbers)  # type: ignore[arg-type]
        return cls(mean=mean, log_covariance=np.array([[max(variance, 0.0)]]), customers=customers, notes=tuple(notes))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a JSON file, which `loyalty.load` reads back."""
        from loyalty.clv import saving

        saving.save(self, path)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        error = math.sqrt(float(self.log_covariance[0, 0])) * abs(self.mean)
        notes = f" Note: {' '.join(self.notes)}" if self.notes else ""
        return (
            f"Mean spend {wording.quantity(self.mean, 'money')} ± {wording.quantity(error, 'money')} of "
            f"{wording.counted(self.customers, 'customers')} with a repeat purchase.{notes}"
        )
