"""What can go wrong with files, disks and memory: an error that names the file and the way out, and nothing left."""

import decimal
import gc
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import loyalty as ly
from loyalty.engines.failures import plain_errors
from loyalty.errors import ColumnError, EmptyData, InvalidArgument, LoyaltyError, OutputError, UnsupportedSource


def log(n=2000):
    rng = np.random.default_rng(0)
    days = rng.integers(0, 200, n)
    return pa.table(
        {
            "customer_id": rng.integers(0, 300, n),
            "date": pa.array(np.datetime64("2024-01-01", "us") + days.astype("m8[D]"), pa.timestamp("us")),
            "amount": rng.gamma(2, 10, n).round(2),
            "shop": rng.choice(["n", "s"], n),
        }
    )


@pytest.fixture
def place(tmp_path):
    """A folder with files a and b of one log, and an empty folder to spill into."""
    for name in ("log", "spill", "out"):
        (tmp_path / name).mkdir()
    for name in "ab":
        pq.write_table(log(), tmp_path / "log" / f"{name}.parquet")
    return tmp_path


def opened(place, **options):
    return ly.transactions(str(place / "log" / "*.parquet"), temp_directory=place / "spill", **options)


def left(place):
    gc.collect()
    return [path.name for name in ("spill", "out") for path in (place / name).rglob("*")]


def rewrite(place, change, name="b"):
    path = place / "log" / f"{name}.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def cast(column, kind):
    return lambda table: table.set_column(
        table.column_names.index(column), column, table[column].cast(kind, safe=False)
    )


# Files that differ.


def test_further_columns_and_another_order_do_no_harm(place):
    with opened(place) as tx:
        expected = tx.to_dict()
    rewrite(place, lambda table: table.append_column("note", pa.nulls(len(table))).select(
        ["note", "shop", "amount", "date", "customer_id"]
    ))  # fmt: skip
    with opened(place) as tx:
        assert tx.to_dict() == expected


@pytest.mark.parametrize("limit", [None, "500MB"])
@pytest.mark.parametrize("column", ["customer_id", "date", "amount"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_column_that_a_file_lacks(place, name, column, limit):
    rewrite(place, lambda table: table.drop_columns(column), name)
    other = "b" if name == "a" else "a"
    said = (
        rf"column '{column}' is in the file '.*{other}\.parquet' but not in '.*{name}\.parquet'.* open the files apart"
    )
    with pytest.raises(ColumnError, match=said):
        opened(place, memory_limit=limit)
    assert left(place) == []


def test_a_further_column_that_a_file_lacks_matters_when_it_is_asked_for(place):
    rewrite(place, lambda table: table.drop_columns("shop"))
    with opened(place) as tx, pytest.raises(ColumnError, match=r"column 'shop' is in .*a\.parquet' but not in"):
        ly.repurchase_rate(tx, by="shop")


@pytest.mark.parametrize(
    ("column", "kind", "types"),
    [
        ("customer_id", pa.string(), r"type BIGINT in .*a\.parquet' and of type VARCHAR in .*b\.parquet'"),
        ("customer_id", pa.float64(), "type BIGINT in .* type DOUBLE"),
        ("amount", pa.string(), "type DOUBLE in .* type VARCHAR"),
        ("date", pa.string(), "type TIMESTAMP in .* type VARCHAR"),
        ("date", pa.timestamp("us", "UTC"), "type TIMESTAMP in .* type TIMESTAMP WITH TIME ZONE"),
        ("date", pa.int64(), "type TIMESTAMP in .* type BIGINT"),
    ],
)
def test_a_column_of_another_type(place, column, kind, types):
    rewrite(place, cast(column, kind))
    with pytest.raises(ColumnError, match=rf"column '{column}' is of {types}.* Write them with one type"):
        opened(place)
    assert left(place) == []


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("customer_id", pa.int32()),
        ("customer_id", pa.uint16()),
        ("amount", pa.float32()),
        ("amount", pa.int64()),
        ("date", pa.timestamp("ms")),
        ("date", pa.date32()),
    ],
)
def test_types_that_hold_the_same_values(place, column, kind):
    for name in "ab":  # so that nothing is lost by the cast
        rewrite(place, lambda table: cast("amount", pa.float64())(cast("amount", pa.int64())(table)), name)
    with opened(place) as tx:
        expected = ly.overview(tx).to_dict(), tx.n_customers
    rewrite(place, cast(column, kind))
    with opened(place) as tx:
        assert (ly.overview(tx).to_dict(), tx.n_customers) == expected


@pytest.mark.parametrize("missing", ["a", "b", "c"])
@pytest.mark.parametrize(
    ("column", "kinds"),
    [
        ("customer_id", ("int64", "float64")),
        ("customer_id", ("string", "int64")),
        ("amount", ("float64", "string")),
    ],
)
def test_a_file_of_nulls_hides_no_difference_between_the_others(place, missing, column, kinds):
    def nulls(table):
        return table.set_column(table.column_names.index(column), column, pa.nulls(len(table)))

    others = [name for name in "abc" if name != missing]
    pq.write_table(log(), place / "log" / "c.parquet")
    rewrite(place, nulls, missing)
    for name, kind in zip(others, kinds, strict=True):
        rewrite(place, cast(column, kind), name)
    said = rf"column '{column}' is of type .* in the file '.*{others[0]}\.parquet' and of type .*{others[1]}\.parquet'"
    with pytest.raises(ColumnError, match=said):
        opened(place)


SUM = decimal.Decimal("1234567.89")


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        ((pa.array([SUM], pa.decimal128(12, 2)), pa.array([0.5])), 1234568.39),
        ((pa.array([SUM], pa.decimal128(12, 2)), pa.array([2**53], pa.int64())), 2**53 + 1234567.89),
        ((pa.array([SUM], pa.decimal128(12, 2)), pa.array([SUM], pa.decimal128(30, 8))), 2469135.78),
        ((pa.array([1234567.89]), pa.array([0.5], pa.float32())), 1234568.39),
        ((pa.array([2**24 + 1], pa.int64()), pa.array([0.5])), 2**24 + 1.5),
        ((pa.array([2**24 + 1], pa.uint32()), pa.nulls(1), pa.array([SUM], pa.decimal128(12, 2))), 18011784.89),
        ((pa.array([SUM], pa.decimal128(12, 2)), pa.array([0.5], pa.float32())), None),
        ((pa.array([2**24 + 1], pa.int64()), pa.array([0.5], pa.float32())), None),
        ((pa.array([SUM], pa.decimal128(12, 2)), pa.array([1], pa.decimal128(38, 0))), None),
        ((pa.array([1.0]), pa.array([0.5], pa.float32()), pa.array([SUM], pa.decimal128(12, 2))), None),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_sums_of_money_of_several_types_stay_as_they_are(tmp_path, amounts, total, turned):
    for place, array in enumerate(amounts[::-1] if turned else amounts):
        row = {"customer_id": pa.array([1]), "date": pa.array(["2024-01-05"]), "amount": array}
        pq.write_table(pa.table(row), tmp_path / f"{place}.parquet")
    if total is None:
        with pytest.raises(ColumnError, match="would be cast to the other in silence"):
            ly.transactions(str(tmp_path / "*.parquet"))
        return
    with ly.transactions(str(tmp_path / "*.parquet"), invalid="exclude") as tx:
        assert tx.customers.select("spend").collect().item() == pytest.approx(total, rel=1e-15)


def test_text_files_that_lack_a_column(tmp_path):
    (tmp_path / "1.csv").write_text("customer_id,date,amount\na,2024-01-05,1\n")
    (tmp_path / "2.csv").write_text("customer_id,date\nb,2024-01-06\n")
    with pytest.raises(ColumnError, match=r"column 'amount' is in the file '.*1\.csv' but not in '.*2\.csv'"):
        ly.transactions(str(tmp_path / "*.csv"))


# Files that are broken.


def broken(data):
    """Return what can have become of a file's bytes."""
    third = len(data) // 3
    return {
        "cut": data[: len(data) // 2],
        "without footer": data[:-8],
        "a part missing": data[:100] + data[third:],
        "a part overwritten": data[:third]
        + bytes(np.random.default_rng(1).integers(0, 256, 500, np.uint8))
        + data[third + 500 :],
        "footer overwritten": data[:-300] + b"\xff" * 292 + data[-8:],
        "something else": b"customer_id,date,amount\n1,2024-01-01,5\n",
        "two bytes": b"PA",
    }


@pytest.mark.parametrize("limit", [None, "500MB"])
@pytest.mark.parametrize("what", list(broken(bytes(3000))))
def test_a_damaged_file_is_named(place, what, limit):
    path = place / "log" / "b.parquet"
    pq.write_table(log(50_000), path, compression="zstd")
    path.write_bytes(broken(path.read_bytes())[what])
    with pytest.raises(UnsupportedSource, match=r"b\.parquet.*damaged or was not written to its end.*leave it out"):
        opened(place, memory_limit=limit)
    assert left(place) == []


@pytest.mark.parametrize("change", [Path.unlink, lambda path: pq.write_table(log(10), path)])
def test_a_file_that_is_gone_or_changed_meanwhile(place, change):
    with opened(place) as tx:
        change(place / "log" / "b.parquet")
        with pytest.raises(UnsupportedSource, match=r"files changed since they were opened: '.*b\.parquet'.*again"):
            ly.repurchase_rate(tx, by="shop")
        assert float(ly.repurchase_rate(tx)) > 0  # what was kept is there


def test_no_files_and_empty_files(place):
    with pytest.raises(InvalidArgument, match="empty list"):
        ly.transactions([])
    with pytest.raises(InvalidArgument, match="no file matches"):
        ly.transactions(str(place / "none" / "*.parquet"))
    with pytest.raises(InvalidArgument, match="is a folder"):
        ly.transactions(str(place / "log"))
    (place / "log" / "b.parquet").write_bytes(b"")
    with pytest.raises(EmptyData, match=r"b\.parquet' is empty"):
        opened(place)


def test_a_file_without_rows_is_one_like_others(place):
    with ly.transactions(place / "log" / "a.parquet") as tx:
        expected = tx.to_dict()
    rewrite(place, lambda table: table.slice(0, 0))
    with opened(place) as tx:
        assert tx.to_dict() == expected


OPEN = """
import os, sys
import loyalty as ly
ly.transactions(sys.argv[1]).close()  # what is loaded on first use is loaded
if os.geteuid() == 0:  # who may read everything
    os.setresuid(65534, 65534, 65534)
try:
    ly.transactions(sys.argv[2], temp_directory=sys.argv[3]).close()
except ly.errors.LoyaltyError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
def test_a_file_that_may_not_be_read(place):
    (place / "log" / "b.parquet").chmod(0)
    for path in [place, *place.parents]:
        if os.access(path, os.W_OK) and not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o055)
    (place / "spill").chmod(0o777)
    arguments = [str(place / "log" / name) for name in ("a.parquet", "*.parquet")]
    command = [sys.executable, "-c", OPEN, *arguments, str(place / "spill")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.match(r"UnsupportedSource the file '.*b\.parquet' could not be read: .*Permission denied", done.stdout)
    assert left(place) == []


# Disks and memory.

LIMITED = """
import resource, sys
from pathlib import Path
import loyalty as ly
pattern, spill, out, limit, when, size = sys.argv[1:]
def full():
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
if when == "opening":
    full()
try:
    with ly.transactions(pattern, memory_limit=limit, temp_directory=spill) as tx:
        value = ly.pareto(tx)
        full()
        value.to_parquet(out + "/out.parquet") if when == "writing" else value.customers
    print("nothing happened")
except ly.errors.LoyaltyError as error:
    print(type(error).__name__, error)
print([str(path) for folder in (spill, out) for path in Path(folder).rglob("*")])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
@pytest.mark.parametrize(
    ("when", "size", "said"),
    [
        ("opening", 1_000_000, "no room left in .*spill.* temp_directory="),
        ("reading", 500_000, "no room left in .*spill.* temp_directory="),
        ("writing", 200_000, r"out\.parquet cannot be written: its disk is full. Pass a path"),
    ],
)
def test_a_full_disk(place, when, size, said):
    """Files may grow to a size and no further, which is what a full disk looks like to a program."""
    ly.datasets.simulate_files(place / "big", 100_000, seed=1)
    folders = [str(place / "big" / "*.parquet"), str(place / "spill"), str(place / "out")]
    arguments = [*folders, "500MB", when, str(size)]
    done = subprocess.run([sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True, check=True)
    message, rest = done.stdout.splitlines()
    assert message.startswith("OutputError")
    assert re.search(said, message), message
    assert rest == "[]"
    assert left(place) == []


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if (
        sys.platform != "linux"
        or os.geteuid() != 0
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("file systems cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full(place, tiny_disk):
    files = ly.datasets.simulate_files(place / "big", 100_000, seed=1)
    with pytest.raises(OutputError, match=r"no room left in .*disk.*larger disk with temp_directory="):
        ly.transactions(files, memory_limit="500MB", temp_directory=tiny_disk)
    assert list(tiny_disk.iterdir()) == []
    with ly.transactions(files, memory_limit="500MB", temp_directory=place / "spill") as tx:
        (tiny_disk / "filler").write_bytes(bytes(3_800_000))
        with pytest.raises(OutputError, match=r"out\.parquet cannot be written: its disk is full"):
            ly.rfm(tx).to_parquet(tiny_disk / "out.parquet")
        assert [path.name for path in tiny_disk.iterdir()] == ["filler"]
        ly.rfm(tx).to_parquet(place / "out" / "out.parquet")  # the engine stays of use
    assert left(place) == ["out.parquet"]


@pytest.mark.slow
def test_memory_that_does_not_suffice(place):
    files = ly.datasets.simulate_files(place / "big", 100_000, seed=1)
    with pytest.raises(InvalidArgument, match=r"memory allowed does not suffice.*larger memory_limit="):
        ly.transactions(files, memory_limit="4MB", temp_directory=place / "spill")
    assert left(place) == []


def test_a_folder_to_spill_into_that_cannot_be(place):
    (place / "file").write_text("")
    for folder in (place / "file", place / "file" / "inside", place / "mistyped" / "inside"):
        with pytest.raises(OutputError, match=r"temp_directory=.* cannot be used"):
            ly.transactions(str(place / "log" / "*.parquet"), temp_directory=folder)
    assert not (place / "mistyped").exists()


@pytest.mark.parametrize("told", [RuntimeError("Query interrupted"), duckdb.InvalidInputException(
    "Invalid Input Error: counting the rows of the Arrow source failed: KeyboardInterrupt: "
)])  # fmt: skip
def test_what_duckdb_makes_of_ctrl_c_is_a_keyboard_interrupt(told):
    with pytest.raises(KeyboardInterrupt), plain_errors("the rows"):
        raise told
    with pytest.raises(RuntimeError, match="interrupted by hand"), plain_errors("the rows"):
        raise RuntimeError("interrupted by hand")


def test_a_folder_whose_removal_is_broken_off_is_removed_when_asked_again(place, monkeypatch):
    spill = place / "tmp"
    spill.mkdir(exist_ok=True)
    tx = ly.transactions(str(place / "log" / "*.parquet"), memory_limit="500MB", temp_directory=spill)
    usual = shutil.rmtree

    def interrupted(*given, **named):
        monkeypatch.setattr(shutil, "rmtree", usual)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tx.close()
    assert list(spill.iterdir())
    tx.close()
    assert list(spill.iterdir()) == []


def open_files():
    """Return how many files this process has open, where that is told."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.is_dir() else 0


def test_no_connection_is_left_after_failures(place):
    (place / "log" / "b.parquet").write_bytes(b"PAR1 nothing PAR1")
    before = open_files()
    for _ in range(3):
        with pytest.raises(LoyaltyError):
            opened(place, memory_limit="500MB")
    gc.collect()
    assert open_files() <= before
    assert duckdb.sql("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
