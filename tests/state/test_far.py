"""A state begun with a log of a cluster or a server, and batches that lie there."""

import random

import pyarrow as pa

import nightly
import sources
from loyalty.state.customer_state import CustomerState
from loyalty.transactions import transactions

CUT = nightly.day(20)


@sources.every_far
def test_a_log_and_a_batch_that_lie_elsewhere(source, tmp_path):
    rows = [row for row in nightly.random_rows(random.Random(5)) if row[1] is not None]
    parts = {"log": [row for row in rows if row[1] < CUT], "night": [row for row in rows if row[1] >= CUT]}
    far = {name: sources.make(source, nightly.frame(part), tmp_path, name=name) for name, part in parts.items()}
    with transactions(far["log"]) as tx:
        state = CustomerState.from_(tx)
    with state, transactions(pa.Table.from_pandas(nightly.frame(rows))) as whole:
        state.merge(far["night"], batch="night")
        expected = whole.hand_back(whole.customers, days=("first_day", "first_inside", "last_day"))
        found = state.customers.to_arrow_table()
        nightly.assert_same_frame(found.to_pandas(), expected.to_pandas(), ["customer_id"])
        assert found.num_rows == len({row[0] for row in rows} - {None})
        told = state.to_dict()
        assert (told["purchases"], told["rows_used"]) == (whole.n_purchases, whole.rows_used)
