"""Fits at the edge of a model with beta-distributed chances, said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from loyalty.clv.models.limits import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loyalty.clv.models.fitting import Optimum

__all__ = ["Chance", "judge"]

# Stricter than for lifetime models (limits.py), which know a chance only through the times of purchases. Here every
# renewal or opportunity is seen: some thousands of them tell a chance of 1 in 1,000 from none, and cohorts of tens of
# thousands a sum of parameters of several hundred from an infinite one. Both are values that a sound fit may have.
_SURE = 1e-4  # a mean chance this near 0 or 1 is that
_ALIKE = 1e3  # first plus second parameter above which customers do not differ
_SPLIT = 1e-2  # the same below which the chance is either 0 or 1


class Chance(NamedTuple):
    """A chance that is beta-distributed over customers.

    Attributes:
        first: Name of its first parameter.
        second: Name of its second parameter.
        what: What it is the chance of, such as "buying".
    """

    first: str
    second: str
    what: str


def judge(
    names: Sequence[str],
    optimum: Optimum,
    chances: Sequence[Chance],
    known: Mapping[str, Any] | None = None,
) -> Verdict:
    """Return what kind of a fit an optimum is, and why.

    Args:
        names: Names of the parameters.
        optimum: Where the search ended.
        chances: The beta-distributed chances of the model.
        known: Sentences on why parameters cannot be determined, whatever the optimum looks like: what → sentence.
    """
    params = dict(zip(names, np.exp(optimum.log_params).tolist(), strict=True))
    identified = dict(zip(names, optimum.identified.tolist(), strict=True))
    notes = list((known or {}).values())
    at_limit = optimum.status == "boundary"
    for chance in chances:
        pair = (chance.first, chance.second)
        if all(identified[name] for name in pair):
            continue
        identified |= dict.fromkeys(pair, False)
        reason = _reason(chance, params[chance.first], params[chance.second])
        at_limit = at_limit or bool(reason)
        notes += [reason] if reason else []
    if known:
        identified = dict.fromkeys(names, False)
    loose = [name for name, sure in identified.items() if not sure]
    if not loose and optimum.status == "converged":
        return Verdict("converged", (), _flags(identified))
    status = "boundary" if at_limit else "ridge"
    listed = " and ".join(filter(None, [", ".join(loose[:-1]), loose[-1]])) if loose else "some parameters"
    notes.append(
        f"The data do not determine {listed} by themselves: read the fit by its predictions within what was observed, "
        "not by these numbers."
    )
    return Verdict(status, tuple(notes), _flags(identified))


def _flags(identified: Mapping[str, bool]) -> NDArray[np.bool_]:
    """Return which parameters are determined, in order."""
    return np.array(list(identified.values()), dtype=np.bool_)


def _reason(chance: Chance, first: float, second: float) -> str:
    """Return which limit a chance has gone to; nothing where it is at none."""
    mean, total = first / (first + second), first + second
    if mean < _SURE:
        return f"The likelihood is highest where the chance of {chance.what} is zero for everybody."
    if mean > 1.0 - _SURE:
        return f"The likelihood is highest where {chance.what} is certain for everybody."
    if total > _ALIKE:
        return (
            f"The likelihood is highest where the chance of {chance.what} is the same for everybody, "
            f"{mean:.3g}: the data show no difference between customers in it."
        )
    if total < _SPLIT:
        return f"The likelihood is highest where the chance of {chance.what} is 1 for {mean:.3g} of customers, else 0."
    return ""
