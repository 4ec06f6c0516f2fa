"""Folders that Spark fills: whole, or not there at all."""

import narwhals.stable.v2 as nw
import pandas as pd
import pyarrow.dataset
import pytest

import loyalty as ly
import sources
import spark_cluster
from loyalty.errors import OutputError

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("spark")]
LOG = pd.DataFrame(
    {
        "customer_id": [f"c{number % 40}" for number in range(120)],
        "date": pd.Timestamp("2024-01-01") + pd.to_timedelta([number % 91 for number in range(120)], unit="D"),
        "amount": [number % 7 + 1.0 for number in range(120)],
    }
)


@pytest.fixture(scope="module")
def tx():
    with ly.transactions(spark_cluster.frame(LOG)) as opened:
        yield opened


@pytest.fixture(scope="module")
def here():
    with ly.transactions(LOG) as opened:
        yield opened


def written(path):
    return sources.rows(pyarrow.dataset.dataset(path).to_table().to_pandas(date_as_object=False))


def test_results_to_parquet(tx, here, tmp_path):
    path = str(tmp_path / "a % folder" / "scores")
    ly.historical_value(tx).to_parquet(path)
    assert sources.same(written(path), sources.rows(ly.historical_value(here).customers))
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "a % folder").rglob("*")}
    with pytest.raises(OutputError, match="it is there already: choose another path"):
        ly.pareto(tx).to_parquet(path)
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "a % folder").rglob("*")}


def test_days_are_written_as_days(tx, here, tmp_path):
    path, days = str(tmp_path / "customers"), ("first_day", "last_day", "first_inside")
    tx.engine.write(tx.customers, path, customer="customer_id", days=days)
    assert sources.same(written(path), sources.rows(here.hand_back(here.customers, days)))


def test_a_write_that_fails_leaves_nothing(tx, tmp_path):
    folder = tmp_path / "scores"
    with pytest.raises(OutputError, match=r"scores' cannot be written: .*no such luck"):
        tx.engine.write(_one_bad(tx), str(folder), customer="customer_id")
    assert not folder.exists()
    tx.engine.write(tx.customers, f"file://{folder}", customer="customer_id")  # the same path, once it can be done
    assert len(written(str(folder))) == tx.n_customers


def _one_bad(tx):
    """Return the customers, one of whom cannot be computed while others are slow to be."""
    from pyspark.sql import functions

    bad = functions.expr(
        "CASE WHEN customer = 'c7' THEN raise_error('no such luck') "
        "ELSE spend + length(sha2(repeat(customer, 2000000), 512)) - 128 END"
    )
    frame = tx.engine._kept["customers"].repartition(6, "customer").withColumn("spend", bad)
    return nw.from_native(frame)


def test_what_was_there_before_stays(tx, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("mine")
    (tmp_path / "file").write_text("no folder")
    for path in (tmp_path / "mine", tmp_path / "file"):
        with pytest.raises(OutputError, match="it is there already"):
            tx.engine.write(tx.customers, str(path), customer="customer_id")
    for path in (tmp_path / "file" / "under", "nowhere://bucket/scores"):
        with pytest.raises(OutputError, match="cannot be written"):
            tx.engine.write(tx.customers, str(path), customer="customer_id")
    assert (tmp_path / "mine" / "note").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "no folder"


def test_a_folder_that_appears_meanwhile_is_not_ours(tx, tmp_path, monkeypatch):
    """Spark looks again itself: what another wrote between the two looks is not removed."""
    from pyspark.sql.readwriter import DataFrameWriter

    parquet = DataFrameWriter.parquet

    def late(self, path):
        (tmp_path / "scores").mkdir()
        (tmp_path / "scores" / "theirs").write_text("theirs")
        return parquet(self, path)

    monkeypatch.setattr(DataFrameWriter, "parquet", late)
    with pytest.raises(OutputError, match="it is there already"):
        tx.engine.write(tx.customers, str(tmp_path / "scores"), customer="customer_id")
    assert [file.name for file in (tmp_path / "scores").iterdir()] == ["theirs"]
