"""What a log's engine has summed up comes over in batches, and what is wrong with one of them is told as such."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from loyalty.errors import ColumnError
from loyalty.state.customer_state import CustomerState
from loyalty.transactions import transactions

pytestmark = pytest.mark.slow


def log_of(ids):
    """Return a row of each customer long ago, and one of somebody else lately."""
    days = [dt.date(2024, 1, 1)] * len(ids) + [dt.date(2024, 6, 1)]
    return pa.table(
        {
            "customer_id": pa.concat_arrays([ids, pa.array([0], ids.type)]),
            "date": days,
            "amount": np.arange(len(ids) + 1.0),
        }
    )


def test_all_batches_arrive():
    ids = pa.array(np.arange(1, 300_001))
    with transactions(log_of(ids)) as tx:
        lengths = [batch.num_rows for batch in tx.engine.batches(tx.customers)]
        assert max(lengths) < sum(lengths) == 300_001
        with CustomerState.from_(tx) as state:
            found = state.customers.sort_by("customer_id")
    assert found["customer_id"].to_pylist() == list(range(300_001))
    assert found["spend"].to_pylist() == [300_000.0, *map(float, range(300_000))]


def test_ids_that_are_too_large_are_told_as_such():
    ids = pa.array([1, 2**63 + 1], pa.uint64())
    with transactions(log_of(ids)) as tx, pytest.raises(ColumnError, match="too large to be kept as numbers"):
        CustomerState.from_(tx)
