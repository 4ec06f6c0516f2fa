"""What a log's engine has summed up is brought into the state's own, a batch of rows at a time."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty.state import ids
from loyalty.state.batches import decoded

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import pyarrow as pa

    from loyalty import engines
    from loyalty.engines.stored import Stored
    from loyalty.state.settings import Settings

__all__ = ["brought"]

Frame = nw.LazyFrame[Any]


def brought(
    source: engines.Engine, frame: Frame, engine: Stored, settings: Settings, schema: pa.Schema, name: str
) -> str:
    """Keep rows of a log's engine in the state's.

    Args:
        source: The log's engine.
        frame: The rows, their columns in the order of the schema's.
        engine: The state's engine.
        settings: The rules of the state.
        schema: The columns that the state keeps.
        name: What the table is to be called.

    Returns:
        The name of the table.
    """
    families = {"order": settings.order_type} | ({} if source.coded else {"customer": settings.customer_type})
    # Begun here: the state's engine may take the batches from threads of its own.
    with closing(_given(source, frame, settings)) as given:
        return engine.keep_batches(schema, (_typed(batch, settings, schema, families) for batch in given), name)


def _given(source: engines.Engine, frame: Frame, settings: Settings) -> Generator[pa.RecordBatch]:
    """Return the rows as the log's engine gives them, ids that it knows by codes alone as themselves."""
    if not source.coded:
        return source.batches(frame)
    # They are of objects in memory, so they fit in there.
    table = decoded(source, frame, settings.columns["customer"], settings.customer_type)
    return (batch for batch in table.to_batches())


def _typed(batch: pa.RecordBatch, settings: Settings, schema: pa.Schema, families: Mapping[str, str]) -> pa.RecordBatch:
    """Return rows with the types of a state, and ids as it keeps them."""
    import pyarrow as pa

    columns = [
        ids.kept(batch[one.name], families[one.name], settings.columns[one.name])
        if one.name in families
        else batch[one.name].cast(one.type)
        for one in schema
    ]
    return pa.record_batch(columns, schema=schema)
