"""Rows of one engine brought to another, some at a time where the engine they come from can give them so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loyalty.engines.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Generator

    import narwhals.stable.v2 as nw
    import pyarrow as pa

    from loyalty.engines.base import Engine

__all__ = ["batches"]


def batches(engine: Engine, frame: nw.LazyFrame[Any]) -> Generator[pa.RecordBatch]:
    """Give the rows of a query in batches; an engine that is not embedded collects them first."""
    if isinstance(engine, Embedded):
        yield from engine.batches(frame)
    else:
        yield from engine.collect(frame).to_batches()
