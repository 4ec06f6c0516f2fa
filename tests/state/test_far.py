"""A state begun with a log of a cluster or a server, and batches that lie there."""

import random

import pyarrow as pa

import nightly
import sources
from loyalty.state.customer_state import CustomerState
from loyalty.transactions import transactions

OPTIONS = {"order": "order", "occasion": "order", "cost": "cost", "discount": "discount"}
FIRST, SECOND = 20, 30  # the days on which the log and the first batch end


@sources.every_far
def test_a_log_and_batches_that_lie_elsewhere(source, tmp_path):
    rows = [row for row in nightly.random_rows(random.Random(5), rows=80) if row[1] is not None]
    cuts = [nightly.day(FIRST), nightly.day(SECOND)]
    log = [row for row in rows if row[1] < cuts[0]]
    one = [row for row in rows if cuts[0] <= row[1] < cuts[1]]
    two = [row for row in rows if row[1] >= cuts[1]]
    with transactions(sources.make(source, nightly.frame(log), tmp_path, name="log"), **OPTIONS) as tx:
        state = CustomerState.from_(tx)
    with state:
        state.merge(sources.make(source, nightly.frame(one), tmp_path, name="one"), batch="one")
        with transactions(sources.make(source, nightly.frame(two), tmp_path, name="two"), **OPTIONS) as tx:
            state.merge(tx, batch="two")
        with transactions(pa.Table.from_pandas(nightly.frame(rows)), **OPTIONS) as whole:
            days = ("first_day", "first_inside", "last_day")
            expected = whole.hand_back(whole.customers, days=days)
            assert state.to_dict()["purchases"] == whole.n_purchases
            assert state.to_dict()["rows_used"] == whole.rows_used
        found = state.customers.to_arrow_table()
        nightly.assert_same_frame(found.to_pandas(), expected.to_pandas(), ["customer_id"])
        assert found.num_rows == len({row[0] for row in rows} - {None})
