"""Batches that come twice, too late, too early, of another type; clocks; kinds of ids; damaged files."""

import datetime as dt
import json
import uuid

import pandas as pd
import pytest

import loyalty as ly
from loyalty.errors import ColumnError, InvalidArgument, InvalidModelFile, InvalidRows, OutputError
from loyalty.state.customer_state import CustomerState

LOG = {"customer_id": ["a", "b"], "date": ["2024-01-01", "2024-01-10"], "amount": [5.0, 7.0]}
NIGHT = {"customer_id": ["a", "c"], "date": ["2024-01-11", "2024-01-11"], "amount": [1.0, 2.0]}


@pytest.fixture
def state():
    with ly.transactions(pd.DataFrame(LOG)) as tx, CustomerState.from_(tx) as state:
        yield state


def night(**changed):
    return pd.DataFrame({**NIGHT, **changed})


def test_a_batch_comes_again(state):
    assert state.merge(night(), batch="n").new_customers == 1
    before = state.to_dict()
    again = state.merge(night().iloc[::-1], batch="n")  # in another order
    assert again.repeated
    assert state.to_dict() == before
    with pytest.raises(InvalidRows, match="'n' was merged before with 2 rows that were not the same"):
        state.merge(night(amount=[1.0, 2.5]), batch="n")
    with pytest.raises(InvalidArgument, match=r"use advance\(\)"):
        state.merge(night(), batch="n", observed_until="2024-02-01")
    assert state.to_dict() == before


def test_a_batch_that_came_empty_may_come_again_in_full(state):
    assert state.merge(night().iloc[:0], batch="n").rows == 0
    assert state.merge(night().iloc[:0], batch="n").repeated
    assert state.merge(night(), batch="n").new_customers == 1
    assert state.merge(night(), batch="n").repeated
    with pytest.raises(InvalidRows, match="'n' was merged before with 2 rows that were not the same"):
        state.merge(night().iloc[:0], batch="n")


def test_late_rows(state):
    late = night(date=["2024-01-02", "2024-01-11"])
    before = state.to_dict()
    with pytest.raises(
        InvalidRows, match="1 rows are too late: the earliest is of 2024-01-02, and days before 2024-01-03"
    ):
        state.merge(late, batch="n")
    assert state.to_dict() == before
    told = state.merge(late, batch="n", late="exclude")
    assert (told.too_late, told.rows) == (1, 2)
    assert state.to_dict()["exclusions"] == {"too_late": {"rows": 1, "amount": 1.0}}
    assert (state.to_dict()["rows_in"], state.to_dict()["rows_used"]) == (4, 3)


@pytest.mark.slow
def test_the_clock(state):
    assert state.open_from == dt.date(2024, 1, 3)
    state.merge(night(date=["2024-01-12", "2024-01-11"]), batch="n", observed_until="2024-01-11")
    assert state.to_dict()["exclusions"] == {"after_observed_until": {"rows": 1, "amount": 1.0}}
    assert state.to_dict()["purchases"] == 3
    state.advance("2024-01-12")  # its day has come
    assert state.to_dict()["exclusions"] == {}
    assert state.to_dict()["purchases"] == 4
    with pytest.raises(InvalidArgument, match="the clock only goes on"):
        state.advance("2024-01-11")
    with pytest.raises(InvalidRows, match="more than a year after"):
        state.merge(night(date=["2042-01-12", "2024-01-12"]), batch="typo")
    with pytest.raises(InvalidArgument, match="the clock never goes back"):
        state.merge(night(), batch="typo", observed_until="2042-01-12")
    with pytest.raises(InvalidArgument, match="the clock never goes back"):
        state.advance("9999-12-31")
    assert state.observed_until == dt.date(2024, 1, 12)


@pytest.mark.slow
def test_a_night_of_nothing(state):
    told = state.merge(night().head(0), batch="n", observed_until="2024-01-12")
    assert (told.rows, told.new_customers) == (0, 0)
    assert state.observed_until == dt.date(2024, 1, 12)
    assert state.to_dict()["customers"] == 2
    for _ in range(3):  # and everything is closed by and by
        state.advance(state.observed_until + dt.timedelta(days=30))
    assert state.to_dict()["purchases"] == 2


def test_what_a_batch_must_be(state):
    with pytest.raises(ColumnError, match="there is no such column"):
        state.merge(night().rename(columns={"amount": "total"}), batch="n")
    with pytest.raises(ColumnError, match=r"are whole numbers, those of the state are text: none would match"):
        state.merge(night(customer_id=[1, 2]), batch="n")
    with pytest.raises(InvalidRows, match="1 of 2 rows have no usable amount"):
        state.merge(night(amount=[1.0, None]), batch="n")
    with pytest.raises(InvalidArgument, match="batch=3 is no id"):
        state.merge(night(), batch=3)
    with pytest.raises(InvalidArgument, match="no column for 'cost'"):
        state.merge(night(), batch="n", columns={"cost": "amount"})
    with ly.transactions(night(), returns="drop") as tx, pytest.raises(InvalidArgument, match="returns='net', these"):
        state.merge(tx, batch="n")
    with pytest.raises(InvalidArgument, match="open the table first"):
        CustomerState.from_(pd.DataFrame(LOG))
    assert state.batches == ()
    state.merge(night().rename(columns={"amount": "total"}), batch=dt.date(2024, 1, 11), columns={"amount": "total"})
    assert state.batches == ("2024-01-11",)


@pytest.mark.slow
def test_a_batch_may_be_transactions(state):
    with ly.transactions(night(), observed_until="2024-01-15") as tx:
        state.merge(tx, batch="n")
    assert state.observed_until == dt.date(2024, 1, 15)
    assert state.to_dict()["customers"] == 3


IDS = {
    "integers": [1, 2, 3],
    "floats": [1.5, 2.0, 3.0],
    "text": ["å", "b", "日本"],
    "categories": pd.Categorical(["a", "b", "c"]),
    "coded integers": pd.Series([1, 2, 3], dtype=object),
    "uuids": [uuid.UUID(int=number) for number in (1, 2, 3)],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", IDS)
def test_ids(kind, tmp_path):
    log = pd.DataFrame(
        {"customer_id": IDS[kind], "date": ["2024-01-01", "2024-01-10", "2024-01-11"], "amount": [5.0, 7, 9]}
    )
    with ly.transactions(log.head(2)) as tx:
        state = CustomerState.from_(tx)
    state.save(tmp_path / "state")
    with CustomerState.load(tmp_path / "state") as state:
        state.merge(log.tail(2).assign(date="2024-01-12"), batch="n")
        found = state.customers.sort_values("first_day")
        assert [str(one) for one in found["customer_id"]] == [str(one) for one in IDS[kind]]
        assert found["purchases"].tolist() == [1, 2, 1]


@pytest.mark.slow
def test_whole_numbers_beside_nulls_are_whole_numbers():
    log = pd.DataFrame({"customer_id": [1, 2], "date": ["2024-01-01", "2024-01-10"], "amount": [5.0, 7.0]})
    with ly.transactions(log) as tx, CustomerState.from_(tx) as state:
        state.merge(log.assign(customer_id=[2.0, None], date="2024-01-11"), batch="n")
        assert state.to_dict()["customers"] == 2
        assert state.to_dict()["exclusions"] == {"no_customer": {"rows": 1, "amount": 7.0}}
        with pytest.raises(ColumnError, match="not all of them can be both"):
            state.merge(log.assign(customer_id=[2.5, 1.0], date="2024-01-11"), batch="m")


@pytest.mark.slow
def test_mixed_ids_are_refused():
    log = pd.DataFrame({"customer_id": [1, "1"], "date": ["2024-01-01", "2024-01-10"], "amount": [5.0, 7.0]})
    with ly.transactions(log) as tx, pytest.raises(ColumnError, match="several types"):
        CustomerState.from_(tx)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["polars", "polars-lazy", "pyarrow", "files"])
def test_kinds(kind, tmp_path):
    import polars as pl
    import pyarrow as pa

    log = pa.table(LOG)
    if kind == "files":
        pd.DataFrame(LOG).to_parquet(tmp_path / "log.parquet")
        log = str(tmp_path / "log.parquet")
    elif kind.startswith("polars"):
        log = pl.from_arrow(log).lazy() if kind == "polars-lazy" else pl.from_arrow(log)
    with ly.transactions(log) as tx:
        state = CustomerState.from_(tx)
        wanted = type(tx.hand_back(tx.customers))
    state.save(tmp_path / "state")
    with CustomerState.load(tmp_path / "state") as state:
        state.merge(night(), batch="n")
        found = state.customers
        assert type(found) is wanted
        found = found.collect() if kind == "polars-lazy" else found.to_arrow_table() if kind == "files" else found
        assert sorted(found["customer_id"].to_pylist() if kind in {"pyarrow", "files"} else found["customer_id"]) == [
            "a",
            "b",
            "c",
        ]


def test_a_folder(state, tmp_path):
    folder = tmp_path / "state"
    state.save(folder)
    state.merge(night(), batch="n")
    state.save(folder)
    with CustomerState.load(folder) as other:
        assert other.to_dict() == state.to_dict()
        assert other.exclusions.to_dict() == state.exclusions.to_dict()
        pd.testing.assert_frame_equal(
            *(one.customers.sort_values("customer_id").reset_index(drop=True) for one in (other, state))
        )
        other.save(tmp_path / "copy")  # a state may move
    with pytest.raises(OutputError, match="holds a state already"):
        CustomerState.load(tmp_path / "copy").save(folder)
    with pytest.raises(InvalidModelFile, match="holds no state"):
        CustomerState.load(tmp_path)


def test_damage_is_noticed(state, tmp_path):
    folder = tmp_path / "state"
    state.save(folder)
    header = folder / "state.json"
    kept = header.read_text()
    header.write_text(kept.replace('"lateness": 7', '"lateness": 8'))
    with pytest.raises(InvalidModelFile, match="its digest does not fit"):
        CustomerState.load(folder)
    header.write_text(kept[:-20])
    with pytest.raises(InvalidModelFile, match="cannot be read as the header"):
        CustomerState.load(folder)
    header.write_text(json.dumps({**json.loads(kept), "version": 2}))
    with pytest.raises(InvalidModelFile, match="later version"):
        CustomerState.load(folder)
    header.write_text(kept)
    segment = next(folder.glob("people-*.parquet"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(InvalidModelFile, match="was changed or damaged"):
        CustomerState.load(folder)
    segment.unlink()
    with pytest.raises(InvalidModelFile, match="is missing"):
        CustomerState.load(folder)


@pytest.mark.slow
def test_a_failed_save_leaves_the_state(state, tmp_path, monkeypatch):
    folder = tmp_path / "state"
    state.save(folder)
    state.merge(night(), batch="n")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("loyalty.state.saving.os.fsync", full)
        with pytest.raises(OutputError, match=r"No space left on device\. It is as it was"):
            state.save(folder)
    with CustomerState.load(folder) as other:
        assert other.batches == ()
    state.save(folder)
    with CustomerState.load(folder) as other:
        assert other.batches == ("n",)


@pytest.mark.slow
def test_a_summary_stays_as_it_was(state):
    summary = state.summarize("day")
    state.merge(night(), batch="n")
    assert len(summary.to_native()) == 2
    assert len(state.summarize("day").to_native()) == 3
