"""The BG/BB model of purchases at discrete opportunities: what it assumes, and how it is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loyalty import checks, wording
from loyalty.clv.kernels import _bgbb
from loyalty.clv.models import edges
from loyalty.clv.models.discrete_evaluation import read_history
from loyalty.clv.models.discrete_predictions import BGBBFit, Chances
from loyalty.clv.models.fitting import Problem, maximise
from loyalty.clv.summaries.cells import Cells
from loyalty.clv.summaries.opportunities import PERIOD_DAYS, Opportunities
from loyalty.errors import EmptyData, InvalidArgument, warn

__all__ = ["BGBB", "BGBBFit", "Chances"]

_BUYING = edges.Chance("alpha", "beta", "buying at an opportunity")
_LEAVING = edges.Chance("gamma", "delta", "dropping out before an opportunity")
_SMALL = 5_000  # cells up to which a fit is begun from several points


@dataclass(frozen=True, slots=True, kw_only=True)
class BGBB:
    """BG/BB: at each opportunity a customer who is alive buys with a chance of their own, or has dropped out before it.

    The chance of buying is Beta(α, β) over customers, that of dropping out before an opportunity Beta(γ, δ), and the
    two are independent. For purchases tied to occasions (an annual appeal, a conference, a monthly box) or recorded
    per period only. Source: Fader, Hardie & Shang (2010), Marketing Science 29, 1086-1108.

    Attributes:
        l2: Penalty that holds weakly determined parameters: l2 · Σ(log parameter)² is taken from the log-likelihood in
            the search. Log-likelihood, AIC and standard errors are reported without.

    Examples:
        >>> import pandas as pd
        >>> givers = pd.DataFrame({"x": [0, 1, 1, 2, 2, 3], "t_x": [0, 1, 3, 2, 3, 3], "size": [60, 15, 7, 8, 10, 9]})
        >>> years = Opportunities.of(givers.assign(n=3), period="year", frequency="x", recency="t_x", opportunities="n",
        ...                          weight="size")
        >>> fit = BGBB(l2=0.05).fit(years)
        >>> fit.names, fit.status
        (('alpha', 'beta', 'gamma', 'delta'), 'converged')
        >>> fit.p_alive(frequency=2, recency=3, opportunities=3)
        1.0
        >>> fit.expected_purchases(frequency=2, recency=3, opportunities=3, periods=5) > 1.5
        True
    """

    l2: float = 0.0

    def __post_init__(self) -> None:
        checks.number("l2", self.l2, low=0.0)

    def fit(self, data: Opportunities | Cells, *, period: str | None = None) -> BGBBFit:
        """Fit the model by maximum likelihood; the number of opportunities may differ from customer to customer.

        Args:
            data: Customers, as `opportunities` or `Opportunities.of` give them; authors may pass `Cells` (x, t_x, n).
            period: Period of `Cells`: "day", "week", "month", "quarter" or "year". Opportunities have their own.

        Returns:
            The fit. Its status is "ridge" where the data leave a combination of parameters open, "boundary" where the
            likelihood rises towards a limit (everybody alike, nobody drops out, …); the notes say which, a
            `LoyaltyWarning` says so too, and parameters that are not determined have no standard error.

        Raises:
            InvalidArgument: The data are none of these, or the period is missing or not allowed.
            EmptyData: Nobody had an opportunity, or nobody used one.
            ConvergenceError: The likelihood still rises where the search ended.
        """
        cells, period, notes, until = _read(data, period)
        if not cells.x.any():
            raise EmptyData(
                f"none of {cells.customers:,.0f} customers bought again: nothing can be learned about how often they "
                "buy or when they leave. Fit on more periods or on more customers."
            )
        optimum = maximise(_problem(cells, self.l2))
        verdict = edges.judge(_bgbb.NAMES, optimum, (_BUYING, _LEAVING), _cannot_tell(cells))
        if verdict.status != "converged":
            warn(f"BGBB: {' '.join(verdict.notes)}")
        return BGBBFit.of(
            "BGBB",
            _bgbb.NAMES,
            optimum,
            identified=dict(zip(_bgbb.NAMES, verdict.identified.tolist(), strict=True)),
            customers=cells.customers,
            status=verdict.status,
            notes=(*verdict.notes, *notes),
            unit=period,
            l2=self.l2,
            data={"until": wording.jsonable(until), "cells": len(cells), "opportunities": int(cells.T.max())},
        )


def _read(data: Any, period: str | None) -> tuple[Cells, str, tuple[str, ...], Any]:
    """Return the cells of opportunities with their period, notes and end."""
    if isinstance(data, Opportunities):
        if period is not None and period != data.period:
            raise InvalidArgument(
                f"period={period!r}: these opportunities are {data.period}s already. Leave period= out, or count them "
                f"with period={period!r}."
            )
        return data.cells, data.period, data.notes, data.until
    if isinstance(data, Cells):
        if period is None:
            raise InvalidArgument(f"cells have no period of their own: pass period= ({', '.join(PERIOD_DAYS)}).")
        checks.choice("period", period, tuple(PERIOD_DAYS))
        read_history(data.x, data.t_x, data.T)
        if not data.T.any() or not (data.weight > 0).all():
            raise EmptyData("nobody had an opportunity, or a weight is not above 0.")
        return data, period, (), None
    raise InvalidArgument(
        f"BGBB is fitted on opportunities, not on a {type(data).__name__}: make them with ly.opportunities(tx), or "
        "with ly.Opportunities.of(frame, period=...) from a table of frequency, recency and opportunities."
    )


def _problem(cells: Cells, l2: float) -> Problem:
    """Return the fit as a problem of maximisation.

    Small samples may have several maxima, the others where one of the two chances is nearly 0 or 1 for everybody: the
    search begins in each of these corners too.
    """
    start = _bgbb.start(cells)
    corners = [
        start + shift
        for shift in ((-4.0, -4.0, 0.0, 0.0), (0.0, 0.0, -4.0, -4.0), (0.0, 0.0, 3.0, 3.0), (-4.0, -4.0, 3.0, 3.0))
    ]
    return Problem(
        names=_bgbb.NAMES,
        evaluate=lambda theta: _bgbb.total(tuple(np.exp(theta).tolist()), cells),
        start=start,
        customers=cells.customers,
        l2=l2,
        starts=tuple(corners) if len(cells) <= _SMALL else (),
    )


def _cannot_tell(cells: Cells) -> dict[str, str]:
    """Return why parameters cannot be told apart, whatever the likelihood looks like."""
    if cells.T.max() > 1:
        return {}
    return {
        "one opportunity": "With one opportunity per customer, not buying and having left look the same: only the "
        "share who bought is determined."
    }
