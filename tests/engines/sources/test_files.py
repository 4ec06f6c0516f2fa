import pytest

from loyalty.engines.sources.files import Files, _top_fields, open_files, projection
from loyalty.errors import ColumnError, InvalidArgument

FIELDS = [
    ("root", 3),
    ("a", None),
    ("nested", 2),
    ("x", 1),
    ("list", 1),
    ("element", None),
    ("amount", None),
    ("a", None),
]


def test_names_of_a_parquet_schema():
    assert _top_fields(FIELDS) == [("a", None), ("nested", 2), ("a", None)]
    assert _top_fields([("root", 0)]) == []
    assert _top_fields([("root", None)]) == []
    assert _top_fields(FIELDS + FIELDS) == [("a", None), ("nested", 2), ("a", None)]


def test_columns_are_taken_by_place():
    assert projection([2, 0]) == "#3 AS c0, #1 AS c1"


@pytest.mark.parametrize(
    ("header", "separator", "names"),
    [
        ("a,b", ",", ["a", "b"]),
        ("a;b;c,d", ";", ["a", "b", "c,d"]),
        ('"x;y;z",b', ",", ["x;y;z", "b"]),
        ("a\tb", "\t", ["a", "b"]),
        ("a|b", "|", ["a", "b"]),
        (" a , b ", ",", ["a", "b"]),
        ('"a ""b""",c', ",", ['a "b"', "c"]),
        ("alone", ",", ["alone"]),
        ("a,A,a", ",", ["a", "A", "a"]),
    ],
)
def test_the_first_line_of_a_text_file(header, separator, names, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(header + "\n" + separator.join("1" * len(names)) + "\n")
    files = open_files([str(path)])
    assert files.labels == names
    assert files.separator == separator
    assert files.arrow(list(dict.fromkeys(names))).num_rows == 1


def test_further_files_add_their_names(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("c,b\n1,2\n")
    files = open_files([str(tmp_path / "*.csv")])
    assert files.labels == ["a", "b", "c"]
    assert files.arrow(["b"])["c0"].to_pylist() == ["2", "2"]
    with pytest.raises(ColumnError, match=r"column 'c' is in the file '.*2\.csv' but not in '.*1\.csv'"):
        files.arrow(["b", "c"])


def test_paths_are_sorted(tmp_path):
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text("x\n1\n")
    found = open_files([str(tmp_path / "*.csv")])
    assert isinstance(found, Files)
    assert [path[-5:] for path in found.paths] == ["a.csv", "b.csv"]


def test_a_file_is_not_counted_twice(tmp_path):
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text("x\n1\n")
    with pytest.raises(InvalidArgument, match=r"a\.csv' is met twice, whose rows would be counted twice"):
        open_files([str(tmp_path / "*.csv"), str(tmp_path / "a.csv")])
    (tmp_path / "c.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(InvalidArgument, match="are one file"):
        open_files([str(tmp_path / "*.csv")])


@pytest.mark.parametrize(
    "name", ["log.PARQUET", "log.pq", "log.CSV", "log.tsv", "log.txt", "log.csv.gz", "log.csv.zst"]
)
def test_endings(name, tmp_path):
    (tmp_path / name).write_text("x")
    assert open_files([str(tmp_path / name)]).text is not name.lower().endswith(("parquet", "pq"))


@pytest.mark.parametrize("name", ["log", "log.xlsx", "log.json", "log.parquet.bak", "csv"])
def test_endings_that_say_nothing(name, tmp_path):
    (tmp_path / name).write_text("x")
    with pytest.raises(InvalidArgument, match="the ending does not say what it is"):
        open_files([str(tmp_path / name)])
