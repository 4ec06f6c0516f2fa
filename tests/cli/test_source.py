"""Where rows come from: files, globs, standard input, databases."""

import gzip
import tempfile

import pytest

import loyalty as ly
from command import run


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, which must be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("orders.csv", ()),
        ("orders.parquet", ()),
        ("orders.duckdb", ("--table", "orders")),
        ("orders.sqlite", ("--table", "ORDERS")),
    ],
)
@pytest.mark.parametrize("piped", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_kind_of_source(files, tx, temporary, name, more, piped):
    source = "-" if piped else files[name]
    done = run("metrics", source, *more, "--only", "upsell_ratio", stdin=files[name].read_bytes() if piped else b"")
    assert done.code == 0, done.err
    assert done.err.splitlines()[-1] == str(tx)


def test_compressed_text_is_known_by_its_first_bytes(files, tx, temporary):
    done = run("metrics", "-", "--only", "upsell_ratio", stdin=gzip.compress(files["orders.csv"].read_bytes()))
    assert done.err.splitlines()[-1] == str(tx)


def test_several_files_and_globs(log, tx, tmp_path):
    for year, part in log.groupby(log["date"].dt.year):
        part.to_csv(tmp_path / f"{year} [a].csv", index=False)
    every = [tmp_path / "2022 [[]a].csv", tmp_path / "2023 [a].csv"]
    for sources in ([tmp_path / "*.csv"], every):
        done = run("metrics", *sources, "--only", "upsell_ratio")
        assert done.code == 0, done.err
        assert done.err.splitlines()[-1] == str(tx)


def test_tables_are_listed(files):
    for name in ("orders.duckdb", "orders.sqlite"):
        for more in ((), ("--table", "order")):
            done = run("metrics", files[name], *more)
            assert (done.code, done.out, done.err.count("\n")) == (2, b"", 1)
            assert "the tables are 'orders'" in done.err
            assert "--table" in done.err
            assert "table=" not in done.err


@pytest.mark.parametrize(
    ("sources", "stdin", "code", "said"),
    [
        (["none.csv"], b"", 2, "no file matches 'none.csv'"),
        (["no*.csv"], b"", 2, "no file matches"),
        (["-"], b"", 1, "standard input is empty"),
        (["-", "a.csv"], b"x", 2, "stands alone"),
        (["-"], b"customer_id,date,amount\n", 1, "no rows"),
        (["-"], b"PAR1 but not more of it", 1, "could not be read"),
        (["-"], b"customer_id,date,amount\n1,5.1.2024,3\n", 1, "'5.1.2024'"),
        (["-"], b"customer_id,date,amount\n1,2024-01-05,3,4,5\n", 1, "could not be read"),
        (["-"], b"\xff\xfe\x00\x01", 1, "could not be read"),
        ([], b"", 2, "Missing argument"),
    ],
)
def test_what_cannot_be_read(temporary, sources, stdin, code, said):
    done = run("metrics", *sources, "-y", stdin=stdin)
    assert (done.code, done.out) == (code, b""), done.err
    assert said in done.err
    assert done.err.splitlines()[-1].startswith("loyalty: ")
    assert "Traceback" not in done.err


def test_options_are_named_as_the_command_has_them(tmp_path):
    (tmp_path / "a.csv").write_text("customer_id,date,amount\n1,2024-02-30,3\n1,2024-01-05,3\n")
    said = run("metrics", tmp_path / "a.csv", "-q").err
    assert "or pass --invalid exclude to leave them out and count them" in said
    assert run("metrics", tmp_path / "a.csv", "--invalid", "exclude").code == 0
    (tmp_path / "a.csv").write_text("customer_id,date,amount\n1,2024-01-05T10:00:00Z,3\n")
    assert 'pass --timezone Europe/Paris (or "UTC", …)' in run("metrics", tmp_path / "a.csv", "-q").err
    assert run("metrics", tmp_path / "a.csv", "--timezone", "UTC", "--only", "upsell_ratio").code == 0
    assert "pass --order <column>" in run("metrics", tmp_path / "a.csv", "--occasion", "order", "-q").err


@pytest.mark.parametrize("name", ["orders.csv", "orders.sqlite"])
def test_rows_by_another_column_are_read_again(files, tx, name):
    done = run("metrics", files[name], *(("--table", "orders") if "sqlite" in name else ()), "--margin", "cost",
               "--only", "historical_value", "--json")  # fmt: skip
    expected = ly.historical_value(tx, "cost").mean.value
    assert done.code == 0, done.err
    assert f"{expected:.6f}"[:8] in done.text


def test_no_row_is_counted_twice(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("customer_id,date,amount\n1,2024-01-05,3\n")
    (tmp_path / "other.csv").symlink_to(path)
    for sources in (
        [path, path],
        [path, tmp_path / "o.*"],
        [tmp_path / "o*.csv"],
        [path, tmp_path / "." / "other.csv"],
    ):
        done = run("metrics", *sources)
        assert (done.code, done.out, done.err.count("\n")) == (2, b"", 1)
        assert "counted twice" in done.err


@pytest.mark.parametrize("address", ["https://example.org/a.csv", "s3://bucket/*.parquet"])
def test_nothing_is_fetched(address):
    for arguments in ((address,), ("none.csv", "--surveys", address)):
        done = run("metrics", *arguments)
        assert (done.code, done.out, done.err.count("\n")) == (2, b"", 1)
        assert f"{address!r} is no file of this machine" in done.err


def test_messages_say_what_to_do(files, tmp_path):
    (tmp_path / "empty.csv").touch()
    done = run("metrics", tmp_path / "empty.csv")
    assert (done.code, "is empty" in done.err) == (1, True)
    (tmp_path / "old.csv").write_bytes("customer_id,date,amount\nJosé,2024-01-05,3\n".encode("cp1252"))
    done = run("metrics", tmp_path / "old.csv")
    assert (done.code, "iconv -f WINDOWS-1252" in done.err) == (1, True)
    done = run("metrics", files["orders.csv"], "--surveys", files["orders.sqlite"])
    assert (done.code, "--table" in done.err, "export it" in done.err) == (2, False, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "--currency", "eur"),
        ("report", "--language", "fr"),
        ("report", "--listed", "5000"),
        ("report", "--inactive-after", "foo"),
        ("report", "--horizon", "1 year"),
        ("metrics", "--inactive-after", "foo"),
        ("score", "--horizon", "foo"),
        ("score", "--acquired-from", "foo"),
        ("backtest", "--split", "foo"),
    ],
)
def test_what_is_not_allowed_is_said_before_anything_is_read(files, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("loyalty.engines.open_source", lambda *_: pytest.fail("read"))
    done = run(arguments[0], files["orders.csv"], *arguments[1:])
    assert (done.code, done.out, done.err.count("\n")) == (2, b"", 1)
    assert arguments[1] in done.err
    assert repr(arguments[2]) in done.err or arguments[2] in done.err
