"""A limit of memory: the same answers from disk, held by the whole process; results that never pass through Python."""

import gc
import json
import subprocess
import sys
import threading

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

import loyalty as ly
import sources
from loyalty.errors import ColumnError, InvalidArgument, OutputError

LOG = ly.datasets.simulate(400, seed=1, returns=0.05)


@pytest.fixture
def files(tmp_path):
    """A pattern of files by month, and the empty folder to spill into."""
    place = tmp_path / "log"
    ly.datasets.simulate_files(place, 400, seed=2, chunk=150, end="2022-06-30", returns=0.05)
    (tmp_path / "spill").mkdir()
    return str(place / "*.parquet"), tmp_path / "spill"


def results(tx):
    """Every result that has a row per customer."""
    return {
        "pareto": ly.pareto(tx),
        "rfm": ly.rfm(tx),
        "history": ly.historical_value(tx, margin=0.5),
        "summary": ly.summarize(tx),
        "value": ly.clv(tx, model="BG/NBD"),
    }


def rows(result):
    return result.customers if hasattr(result, "customers") else result.to_native()


@pytest.mark.slow
def test_answers_are_those_without_a_limit(files):
    pattern, spill = files
    with ly.transactions(pattern) as tx, ly.transactions(pattern, memory_limit="500MB", temp_directory=spill) as small:
        assert sources.same(ly.overview(small).to_dict(), ly.overview(tx).to_dict())
        assert small.to_dict() == tx.to_dict()
        found = results(small)
        for name, result in results(tx).items():
            assert sources.same(sources.rows(rows(found[name])), sources.rows(rows(result))), name


def test_tables_lie_in_the_folder_and_go_with_it(files):
    pattern, spill = files
    tx = ly.transactions(pattern, memory_limit="500MB", temp_directory=spill)
    assert list(spill.rglob("tables.duckdb"))
    tx.close()
    assert list(spill.iterdir()) == []
    forgotten = ly.transactions(pattern, memory_limit="500MB", temp_directory=spill)
    del forgotten
    gc.collect()
    assert list(spill.iterdir()) == []


def test_the_folder_goes_wherever_the_program_has_gone(files, monkeypatch):
    pattern, spill = files
    monkeypatch.chdir(spill.parent)
    tx = ly.transactions(pattern, memory_limit="500MB", temp_directory=spill.name)
    monkeypatch.chdir("/")
    assert ly.repurchase_rate(tx).n > 0
    tx.close()
    assert list(spill.iterdir()) == []


def test_a_result_outlives_everything_and_leaves_nothing(files):
    pattern, spill = files
    with ly.transactions(pattern, memory_limit="500MB", temp_directory=spill) as tx:
        found = ly.pareto(tx).customers
        n = tx.n_customers
    richest = found.filter("is_top").project("customer_id, value")
    shape = found.df()
    del found, tx
    gc.collect()
    read = []
    reader = threading.Thread(target=lambda: read.append(richest.fetchall()))
    reader.start()
    reader.join()
    assert len(shape) == n
    assert shape["rank"].is_monotonic_increasing
    assert read[0] == [tuple(row) for row in shape[shape["is_top"]][["customer_id", "value"]].itertuples(index=False)]
    if sys.platform == "linux":
        assert list(spill.iterdir()) == []


@pytest.mark.parametrize("limit", [None, "500MB"])
@pytest.mark.parametrize("source", ["pandas", "pandas-categorical", "polars", "pyarrow", "parquet", "csv", "duckdb"])
def test_a_row_per_customer_is_written(source, limit, tmp_path):
    frame = LOG.rename(columns={"customer_id": "Who"})
    with sources.opened(source, frame, tmp_path, customer="Who", memory_limit=limit) as tx:
        result = ly.pareto(tx)
        assert result.to_parquet(tmp_path / "out.parquet") is None
        written, expected = pq.read_table(tmp_path / "out.parquet"), sources.rows(result.customers, "Who")
        assert written.column_names[0] == "Who"
        assert sources.same(sources.rows(written, "Who"), expected)
        assert written["rank"].to_pylist() == sorted(written["rank"].to_pylist())
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("label", "kind"),
    [("VALUE", "pandas"), ("VALUE", "pandas-categorical"), ("VALUE", "polars"), ("", "pandas"), (0, "pandas")],
)
def test_the_columns_are_called_the_same_in_frame_and_file(label, kind, tmp_path):
    frame = LOG.head(3).rename(columns={"customer_id": label})
    with ly.transactions(sources.make(kind, frame, tmp_path, label), customer=label) as tx:
        result = ly.pareto(tx)
        result.to_parquet(tmp_path / "out.parquet")
        columns = list(result.customers.columns)
    assert columns[:2] == ["customer_id" if label != 0 else 0, "value"]
    assert pq.read_schema(tmp_path / "out.parquet").names == list(map(str, columns))


def test_dates_and_ids_keep_their_types(tmp_path):
    frame = LOG.assign(customer_id=LOG["customer_id"].astype("int16"))
    with ly.transactions(frame) as tx:
        days = ("first_day", "last_day")
        tx.engine.write(tx.customers, str(tmp_path / "out.parquet"), customer="customer_id", days=days)
        schema = pq.read_schema(tmp_path / "out.parquet")
    assert [str(schema.field(name).type) for name in ("customer_id", *days, "purchases")] == [
        "int16", "date32[day]", "date32[day]", "int64",
    ]  # fmt: skip


@pytest.mark.slow
def test_every_result_writes_what_it_hands_back(files, tmp_path):
    pattern, spill = files
    with ly.transactions(pattern, memory_limit="500MB", temp_directory=spill) as tx:
        for name, result in results(tx).items():
            result.to_parquet(tmp_path / f"{name}.parquet")
            written = duckdb.read_parquet(str(tmp_path / f"{name}.parquet")).to_arrow_table()
            handed = rows(result).to_arrow_table()
            assert written.schema == handed.schema, name
            assert sources.same(sources.rows(written), sources.rows(handed)), name


def test_ids_that_one_column_cannot_hold(tmp_path):
    frame = pd.DataFrame({"customer_id": pd.Series([1, "1"], dtype=object), "date": "2024-01-05", "amount": 2.0})
    with ly.transactions(frame) as tx, pytest.raises(ColumnError, match=r"cannot be written to Parquet.* into text"):
        ly.pareto(tx).to_parquet(tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path):
    (tmp_path / "out.parquet").write_text("mine")
    with ly.transactions(LOG) as tx:
        with pytest.raises(OutputError, match="is there already"):
            ly.rfm(tx).to_parquet(tmp_path / "out.parquet")
        with pytest.raises(OutputError, match="there is no folder"):
            ly.rfm(tx).to_parquet(tmp_path / "none" / "out.parquet")
        with pytest.raises(InvalidArgument, match="path=5 is no path"):
            ly.rfm(tx).to_parquet(5)
    assert (tmp_path / "out.parquet").read_text() == "mine"


@pytest.mark.parametrize("limit", ["lots", "5 apples", "", "-1GB", "1 2GB", "600", 5, 0.5])
def test_limits_that_are_none(limit):
    with pytest.raises(InvalidArgument, match=r"memory_limit=.* is no amount of memory with its unit"):
        ly.transactions(LOG, memory_limit=limit)


def test_a_label_that_another_column_has_in_other_letters(tmp_path):
    LOG.rename(columns={"customer_id": "Rank"}).to_parquet(tmp_path / "log.parquet")
    for limit in (None, "500MB"):
        with ly.transactions(tmp_path / "log.parquet", customer="Rank", memory_limit=limit) as tx:
            assert ly.pareto(tx).customers.columns[:3] == ["customer_id", "value", "rank"]


EVERYTHING = r"""
import json, re, sys
from pathlib import Path
import loyalty as ly
with ly.transactions(sys.argv[1], memory_limit=sys.argv[2], temp_directory=sys.argv[3], product="product") as tx:
    ly.overview(tx), ly.upsell_ratio(tx), ly.repurchase_rate(tx, by="product")
    ly.pareto(tx).to_parquet(sys.argv[4] + "/pareto.parquet"), ly.rfm(tx).to_parquet(sys.argv[4] + "/rfm.parquet")
    ly.clv(tx, model="Pareto/NBD").to_parquet(sys.argv[4] + "/value.parquet")
    # Not ru_maxrss, which begins with what the parent took.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps([tx.n_customers, int(peak[1]) * 1024]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc elsewhere")
def test_the_whole_process_keeps_to_the_limit(tmp_path):
    ly.datasets.simulate_files(tmp_path / "log", 600_000, seed=3)
    for name in ("spill", "out"):
        (tmp_path / name).mkdir()
    arguments = [str(tmp_path / "log" / "*.parquet"), "600MB", str(tmp_path / "spill"), str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", EVERYTHING, *arguments], capture_output=True, text=True, check=True)
    customers, peak = json.loads(done.stdout)
    assert customers == 600_000
    assert peak < 600e6, peak
    assert list((tmp_path / "spill").iterdir()) == []
    for path in (tmp_path / "out").iterdir():
        assert pq.read_metadata(path).num_rows == customers
