"""Which columns are meant: those named, those of the default names, or those proposed and confirmed; never a guess."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loyalty.cli import looks
from loyalty.cli.failures import WrongUsage, one_line

if TYPE_CHECKING:
    from loyalty.cli.options import Source

__all__ = ["named", "told"]

_DEFAULTS = {"customer": "customer_id", "date": "date", "amount": "amount"}
_SHOWN = 12  # columns


@dataclass(frozen=True, slots=True)
class _Proposal:
    """The column that would be taken for a role, or those that it could be.

    Attributes:
        role: "customer", "date" or "amount".
        candidates: The columns that look like it: one is a proposal, several are a question.
        looks: What the candidates hold, in words, in the same order.
        misfit: Why a column that is named like it is no candidate; empty where there is none.
    """

    role: str
    candidates: tuple[str, ...]
    looks: tuple[str, ...]
    misfit: str = ""

    @property
    def column(self) -> str | None:
        """The column proposed; None where there is none, or more than one."""
        return self.candidates[0] if len(self.candidates) == 1 else None


def named(source: Source, data: Any) -> dict[str, str] | None:
    """Return role → column for the customer, the date and the amount; None where they are not known.

    What is proposed, and how to confirm it, has then been said on standard error.

    Args:
        source: What was asked for.
        data: The opened source.

    Raises:
        WrongUsage: A column that is named is not there.
    """
    labels = [str(label) for label in data.labels]
    _check_named(source, labels)
    found = {role: getattr(source, role) for role in _DEFAULTS}
    for role, default in _DEFAULTS.items():
        if found[role] is None and labels.count(default) == 1:
            found[role] = default
    lacking = [role for role in _DEFAULTS if found[role] is None]
    if not lacking:
        return found
    proposals = _proposals(lacking, set(filter(None, found.values())), labels, data)
    if source.accept_columns and all(proposal.column for proposal in proposals):
        return found | {proposal.role: proposal.column for proposal in proposals}
    _say(found, proposals, labels, accepted=source.accept_columns)
    return None


def told(source: Source, columns: dict[str, str]) -> str:
    """Return a line that says which columns are taken, where not all of them were named."""
    if all(getattr(source, role) for role in columns):
        return ""
    return "columns: " + ", ".join(f"{role} = {column}" for role, column in columns.items())


def _check_named(source: Source, labels: Sequence[str]) -> None:
    """Raise where a column is named that is not there, before anything is read."""
    import difflib

    for role in ("customer", "date", "amount", "order", "product", "discount", "cost"):
        column = getattr(source, role)
        if column is None or labels.count(column) == 1:
            continue
        if column in labels:
            raise WrongUsage(f"--{role} {column!r} names {labels.count(column)} columns: rename all but one of them.")
        near = difflib.get_close_matches(column.casefold(), [label.casefold() for label in labels], n=1)
        meant = [label for label in labels if label.casefold() in near][:1]
        hint = f" Did you mean {meant[0]!r}?" if meant else ""
        raise WrongUsage(f"--{role} {column!r}: there is no such column; the columns are {_listed(labels)}.{hint}")


def _proposals(roles: Sequence[str], taken: set[str], labels: Sequence[str], data: Any) -> list[_Proposal]:
    """Return what looks like each role: by its name first, else by what only one column holds."""
    free = [label for label in labels if label not in taken and labels.count(label) == 1]
    head = data.head(looks.ROWS)
    seen = {label: looks.look(head.column(labels.index(label))) for label in free}
    found: dict[str, list[str]] = {}
    for role in roles:
        found[role] = looks.by_name(role, seen)
        seen = {label: look for label, look in seen.items() if label not in found[role]}
    for role in roles:
        found[role] = found[role] or looks.by_kind(role, seen)
        seen = {label: look for label, look in seen.items() if label not in found[role]}
    every = {label: looks.look(head.column(labels.index(label))) for label in free}
    return [
        _Proposal(
            role,
            tuple(found[role]),
            tuple(every[label].words for label in found[role]),
            "" if found[role] else _misfit(role, labels, every),
        )
        for role in roles
    ]


def _misfit(role: str, labels: Sequence[str], every: Mapping[str, looks.Look]) -> str:
    """Return why a column of a fitting name does not do: it stands twice, or holds something else."""
    for label in looks.named_like(role, labels):
        if labels.count(label) > 1:
            return f"{label!r} stands {labels.count(label)} times: rename all but one of them"
        if label in every:
            return f"{label!r} holds {every[label].words}"
    return ""


def _say(found: dict[str, Any], proposals: Sequence[_Proposal], labels: Sequence[str], *, accepted: bool) -> None:
    """Say what would be taken, and the command that takes it."""
    clear = all(proposal.column for proposal in proposals)
    lines = [
        "loyalty: not all columns are named. " + ("These look like them:" if clear else "What looks like them:"),
        "",
    ]
    lines += [f"  {role:<9} {one_line(column)}" for role, column in found.items() if column]
    for proposal in proposals:
        lines += _lines(proposal)
    if not clear:
        lines += ["", f"The columns are {_listed(labels)}."]
    lines += ["", _remedy(clear=clear, accepted=accepted), ""]
    named_now = {role: column for role, column in found.items() if column}
    named_now |= {proposal.role: proposal.column or "COLUMN" for proposal in proposals}
    lines += [f"  {_command(named_now)}", ""]
    sys.stderr.write("\n".join(lines))
    sys.stderr.flush()


def _remedy(*, clear: bool, accepted: bool) -> str:
    """Return what to do: -y serves only where there is one column for each role."""
    if clear:
        return "Run it again with the columns named (or with -y, which takes what is proposed):"
    return (
        "Name what is not clear (-y takes only what is clear):" if accepted else "Run it again with the columns named:"
    )


def _lines(proposal: _Proposal) -> list[str]:
    """Return the lines of one role."""
    if not proposal.candidates:
        why = f"; {one_line(proposal.misfit)}" if proposal.misfit else ""
        return [f"  {proposal.role:<9} ?  no column looks like it{why}"]
    if proposal.column:
        return [f"  {proposal.role:<9} {one_line(proposal.column)}  ({one_line(proposal.looks[0])})"]
    choices = zip(proposal.candidates, proposal.looks, strict=True)
    listed = ", ".join(f"{one_line(label)} ({one_line(look)})" for label, look in choices)
    return [f"  {proposal.role:<9} ?  one of {listed}"]


def _command(columns: dict[str, str]) -> str:
    """Return the command that was called, with the columns named."""
    given = [part for part in sys.argv[1:] if part not in {"-y", "--accept-columns"}]
    options: list[str] = []
    for role, column in columns.items():
        if any(part == f"--{role}" or part.startswith(f"--{role}=") for part in given):
            continue
        options += [f"--{role}={column}"] if column.startswith("-") else [f"--{role}", column]
    place = given.index("--") if "--" in given else len(given)
    return one_line(shlex.join(["loyalty", *given[:place], *options, *given[place:]]))


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:_SHOWN])) + (", …" if len(labels) > _SHOWN else "")
