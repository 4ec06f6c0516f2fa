"""Spark's plans of tables that are kept: how they stay small, and our caches apart from everybody else's."""

from __future__ import annotations

from typing import Any

__all__ = ["without_past"]


def without_past(frame: Any) -> Any:
    """Return the same rows as a frame whose plan begins with them.

    A plan holds those of all cached tables it reads, each as often as it is read, and Spark writes it out for every
    query: after five tables that are made of each other the text fills the driver's memory. Here the plan ends, while
    Spark still knows how to compute the rows again should an executor die, which a local checkpoint would forget. It
    equals no other plan, too, so that uncaching it takes no cache from anybody else.

    The stages before the last one run at once. Where Spark has no such door the frame itself is returned.
    """
    try:
        java, session = frame._jdf, frame.sparkSession  # noqa: SLF001 (PySpark has no public way)
        rows = java.queryExecution().toRdd()
        cut = session._jsparkSession.internalCreateDataFrame(rows, java.schema(), False)  # noqa: SLF001, FBT003
    except Exception as err:
        if not (type(err).__module__.startswith("py4j.") and "does not exist" in str(err)):  # the frame has a mistake
            raise
        return frame.select("*")
    return type(frame)(cut, session)
