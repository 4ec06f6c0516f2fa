"""Ready-made tables of customers: their columns read as a summary's, rows that cannot be a history refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import wording
from loyalty.errors import EmptyData, InvalidRows

if TYPE_CHECKING:
    from loyalty import engines

__all__ = ["KEYS", "argument", "refuse_impossible", "refuse_rows", "tidy"]

Frame = nw.LazyFrame[Any]

# What customers of a cell have in common, as the engine holds it: times are in whole days for logs.
KEYS = ("frequency", "recency_key", "age_key")


def argument(role: str) -> str:
    """Return the name of the argument that names a column."""
    return {"recency_key": "recency", "age_key": "age"}.get(role, role)


def tidy(rows: Frame, columns: Mapping[str, Any]) -> Frame:
    """Return the rows of a ready-made table, spend without a repeat purchase being nothing."""
    if "monetary_value" in columns:
        repeat = nw.col("frequency") > 0
        rows = rows.with_columns(monetary_value=nw.when(repeat).then(nw.col("monetary_value")).otherwise(nw.lit(0.0)))
    return rows


def refuse_impossible(engine: engines.Engine, kept: str, columns: Mapping[str, Any]) -> None:
    """Raise where a row of a ready-made table cannot be a customer's history."""
    x, recency, age = (nw.col(name) for name in KEYS)
    lacking = {role: nw.col(role).is_null() for role in columns if role not in {"customer", "monetary_value"}}
    wrong = {
        **{f"{argument(role)} missing or not finite": test for role, test in lacking.items()},
        "frequency negative or no whole number": (x < 0) | (x != x.floor()),
        "recency negative": recency < 0,
        "recency beyond age": recency > age,
        "recency without a repeat purchase": (x == 0) & (recency > 0),
    }
    if "monetary_value" in columns:
        wrong["monetary_value missing with a repeat purchase"] = (x > 0) & nw.col("monetary_value").is_null()
    words = "frequency counts repeat purchases only, and all times run from the first purchase."
    refuse_rows(engine, kept, columns, wrong, words)


def refuse_rows(
    engine: engines.Engine, kept: str, columns: Mapping[str, Any], wrong: Mapping[str, nw.Expr], words: str
) -> None:
    """Raise where a row is wrong in one of some ways, has no customer or weight, or repeats a customer.

    Args:
        engine: Where the table is.
        kept: Its name there.
        columns: Role to the caller's label.
        wrong: What is wrong, beginning with a role, to the rows where it is.
        words: What the columns mean, for the error.
    """
    wrong = dict(wrong)
    if "customer" in columns:
        wrong["customer missing"] = nw.col("customer").is_null()
    if "weight" in columns:
        wrong["weight not above 0"] = nw.col("weight") <= 0
    tests = {f"t{at}": nw.when(test).then(nw.lit(1)).otherwise(nw.lit(0)) for at, test in enumerate(wrong.values())}
    flagged = engine.table(kept).with_columns(**tests)
    counts = engine.collect(flagged.select(nw.len().alias("n"), *(nw.col(name).sum() for name in tests))).to_pylist()[0]
    if not counts["n"]:
        raise EmptyData("the table of customers has no rows.")
    for name, what in zip(tests, wrong, strict=True):
        if counts[name]:
            raise InvalidRows(
                f"{counts[name]:,} of {counts['n']:,} customers cannot be: {what}. Mend or leave out these rows; "
                f"{words}",
                column=str(columns.get(what.split(maxsplit=1)[0], "")),
                count=int(counts[name]),
            )
    if "customer" in columns:
        _refuse_repeated(engine, kept, columns["customer"])


def _refuse_repeated(engine: engines.Engine, kept: str, label: Any) -> None:
    """Raise where a customer has several rows: a summary has one for each."""
    many = engine.table(kept).group_by("customer").agg(n=nw.len()).filter(nw.col("n") > 1)
    repeated = engine.collect(many.select(n=nw.len())).to_pylist()[0]["n"]
    if repeated:
        raise InvalidRows(
            f"{wording.counted(repeated, 'customers')} in column {label!r} with more than one row: a summary has one "
            "row for each. If the table is a log of purchases, open it with transactions() and use summarize().",
            column=str(label),
            count=int(repeated),
        )
