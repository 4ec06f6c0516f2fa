"""Files that are written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loyalty import writing
from loyalty.errors import InvalidArgument, LoyaltyError, OutputError
from loyalty.writing import place_for, whole_file, write

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
bound = pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """A setter of the umask that puts the old one back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.fixture
def no_links(monkeypatch):
    """A file system without links."""

    def link(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)


# -------------------------------------------------------------------------------------------------------- what is there


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("name", ["page.html", "no ending", ".hidden", "añb 'c\".x", "-"])
def test_a_new_file(tmp_path, name, replace):
    assert write(tmp_path / name, b"one\r\n\0", replace=replace) == tmp_path / name
    assert (tmp_path / name).read_bytes() == b"one\r\n\0"
    assert listed(tmp_path) == [name]


def test_a_file_that_is_there(tmp_path):
    path = write(tmp_path / "page.html", b"a longer first one")
    with pytest.raises(OutputError, match=r"page\.html' is there already: choose another name"):
        write(path, b"two", replace=False)
    assert path.read_bytes() == b"a longer first one"
    write(str(path), b"two")
    assert path.read_bytes() == b"two"
    write(path, b"")
    assert path.read_bytes() == b""
    assert listed(tmp_path) == ["page.html"]


def test_relative_paths_are_those_of_the_start(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with whole_file("page.html") as beside:
        os.chdir("elsewhere")
        beside.write_bytes(b"one")
    assert (tmp_path / "page.html").read_bytes() == b"one"
    assert listed(tmp_path / "elsewhere") == []


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "page.html"
    with whole_file(path) as beside:
        assert beside.suffix == ".html"
        assert beside.read_bytes() == b""
        beside.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"


def test_a_file_that_another_program_puts_there(tmp_path):
    """Such as one that writes beside, too, and moves."""
    write(tmp_path / "page.html", b"zero").chmod(0o640)
    with whole_file(tmp_path / "page.html") as beside:
        beside.unlink()
        write(beside, b"one")
    assert (tmp_path / "page.html").read_bytes() == b"one"
    assert os.name == "nt" or permissions(tmp_path / "page.html") == 0o640
    assert listed(tmp_path) == ["page.html"]


# ---------------------------------------------------------------------------------------------------- links and devices


@posix
@pytest.mark.parametrize("replace", [True, False])
def test_links_stay(tmp_path, replace):
    (tmp_path / "far").mkdir()
    link = tmp_path / "link"
    link.symlink_to("far/page.html")
    write(link, b"one", replace=replace)  # to what is not there yet
    assert link.is_symlink()
    assert (tmp_path / "far" / "page.html").read_bytes() == b"one"
    with pytest.raises(OutputError, match="is there already"):
        write(link, b"two", replace=False)
    write(link, b"two")
    assert link.is_symlink()
    assert link.read_bytes() == b"two"
    assert listed(tmp_path) + listed(tmp_path / "far") == ["far", "link", "page.html"]


@posix
def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "three").symlink_to("missing/page.html")
    for name in ("one", "two", "three"):
        with pytest.raises(OutputError, match="cannot be written"):
            write(tmp_path / name, b"one")
    assert listed(tmp_path) == ["one", "three", "two"]


@posix
def test_devices_and_pipes_are_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path(os.devnull)):
        before = path.stat()
        with pytest.raises(OutputError, match="no ordinary file"):
            write(path, b"one")  # without waiting for somebody who reads
        assert path.stat().st_ino == before.st_ino
    assert listed(tmp_path) == ["pipe"]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout")
@pytest.mark.parametrize("to", ["pipe", "file", "file that was deleted"])
def test_standard_output_is_not_replaced(tmp_path, to):
    code = (
        "import sys; from loyalty.errors import OutputError; from loyalty.writing import write\n"
        "for path in sys.argv[1:]:\n"
        "    try: write(path, b'one')\n"
        "    except OutputError as err: print(err, flush=True)\n"
    )
    out = tmp_path / "out.txt"
    paths = ["/dev/stdout", "/dev/stderr", str(out)] if to == "file" else ["/dev/stdout", "/dev/stderr"]
    with out.open("wb+") as file:
        if to == "file that was deleted":
            out.unlink()
        stream = subprocess.PIPE if to == "pipe" else file
        done = subprocess.run([sys.executable, "-c", code, *paths], stdout=stream, stderr=subprocess.STDOUT, check=True)
        file.seek(0)
        lines = (done.stdout or file.read()).decode().splitlines()
    assert [line.split(": ")[1].split(".")[0] for line in lines] == ["it is no ordinary file"] * len(paths)
    assert listed(tmp_path) == ([] if to == "file that was deleted" else ["out.txt"])


# ---------------------------------------------------------------------------------------------- places that cannot be


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "a folder"), (".", "a folder"), ("..", "a folder"), ("folder", "a folder"),
        ("missing/page.html", "there is no folder '.*missing'"), ("page.html/page.html", "Not a directory"),
        ("a\0b", "null"), ("\ud800" * 2, "ud800"), ("a" * 300, "too long"), ("a/" * 5000, "too long"),
        (3, "^3 cannot"), (None, "^None cannot"), (b"page.html", "^b'page"), (1.5, "^1.5"), ([], "^.. cannot"),
        (Path(), "a folder"),
    ],
)  # fmt: skip
def test_where_nothing_can_be_written(path, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "page.html").write_text("zero")
    with pytest.raises(OutputError, match=why) as caught:
        place_for(path)
    with pytest.raises(OutputError, match=why):
        write(path, b"one")
    with pytest.raises(OutputError, match=why), whole_file(path):
        pytest.fail("the work began")
    assert "Pass a path in a folder that is there and yours to write in." in str(caught.value)
    assert len(str(caught.value)) < 500 + 2 * len(str(tmp_path))
    assert listed(tmp_path) == ["folder", "page.html"]
    assert (tmp_path / "page.html").read_text() == "zero"


def test_a_folder_is_told_as_one_though_nothing_may_be_replaced(tmp_path):
    with pytest.raises(OutputError, match="it is a folder"):
        place_for(tmp_path, replace=False)


@bound
@pytest.mark.parametrize("mode", [0o555, 0o600, 0o000])
def test_folders_of_others(tmp_path, mode):
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    try:
        with pytest.raises(OutputError, match=r"cannot be written: (the folder .* is not yours|Permission denied)"):
            write(folder / "page.html", b"one")
    finally:
        folder.chmod(0o700)
    assert listed(folder) == []


@bound
def test_a_protected_file_is_not_replaced(tmp_path):
    path = write(tmp_path / "page.html", b"one")
    path.chmod(0o444)
    with pytest.raises(OutputError, match="it is write-protected"):
        write(path, b"two")
    assert path.read_bytes() == b"one"


def test_what_may_not_be_written_is_asked_of_the_system(tmp_path, monkeypatch):
    path = write(tmp_path / "page.html", b"one")
    monkeypatch.setattr(os, "access", lambda where, _: Path(where) != path)
    with pytest.raises(OutputError, match="it is write-protected"):
        write(path, b"two")
    monkeypatch.setattr(os, "access", lambda where, _: Path(where) != tmp_path)
    for name in ("page.html", "new.html"):
        with pytest.raises(OutputError, match=r"the folder .* is not yours to write in"):
            place_for(tmp_path / name)


def test_a_place_is_all_links_followed(tmp_path):
    assert place_for(tmp_path / "missing" / ".." / "page.html") == tmp_path.resolve() / "page.html"
    assert listed(tmp_path) == []
    assert issubclass(OutputError, LoyaltyError)
    assert issubclass(OutputError, OSError)


# ---------------------------------------------------------------------------------------------------------- permissions


@posix
@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_new_files_have_the_usual_permissions(tmp_path, umask, mask, mode, replace):
    umask(mask)
    assert permissions(write(tmp_path / "page.html", b"one", replace=replace)) == mode


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755, 0o200])
def test_permissions_of_a_file_stay(tmp_path, umask, mode):
    umask(0o027)
    path = write(tmp_path / "page.html", b"one")
    path.chmod(mode)
    with whole_file(path) as beside:
        assert permissions(beside) & ~mode == 0  # nobody else reads meanwhile what they could not before
        beside.write_bytes(b"two")
    assert permissions(path) == mode
    assert path.stat().st_size == 3


# --------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, InvalidArgument])
def test_what_fails_leaves_all_as_it_was(tmp_path, error, replace, there):
    path = tmp_path / "page.html"
    if there:
        write(path, b"zero")
        replace = True

    def fail():
        with whole_file(path, replace=replace) as beside:
            beside.write_bytes(b"one")
            raise error("why")

    with pytest.raises(error, match="why"):
        fail()
    assert listed(tmp_path) == (["page.html"] if there else [])
    assert not there or path.read_bytes() == b"zero"


@pytest.mark.parametrize("end", ["close", "throw", "forget"])
def test_a_generator_that_is_not_finished_leaves_nothing(tmp_path, end):
    def pages():
        with whole_file(tmp_path / "page.html") as beside, beside.open("wb") as file:
            while True:
                file.write(b"one")
                yield

    running = pages()
    next(running)
    assert len(listed(tmp_path)) == 1
    if end == "close":
        running.close()
    elif end == "throw":
        with pytest.raises(KeyboardInterrupt):
            running.throw(KeyboardInterrupt)
    else:
        del running
    assert listed(tmp_path) == []


@pytest.mark.parametrize("replace", [True, False])
def test_errors_about_something_else_pass_as_they_are(tmp_path, replace):
    (tmp_path / "there").write_text("")

    def attempt(act):
        with whole_file(tmp_path / "page.html", replace=replace) as beside:
            beside.write_bytes(b"one")
            act()

    causes = {
        FileNotFoundError: (tmp_path / "missing").read_bytes,
        FileExistsError: (tmp_path / "there").mkdir,
        NotADirectoryError: (tmp_path / "there" / "x").read_bytes,
        ConnectionResetError: lambda: (_ for _ in ()).throw(ConnectionResetError(errno.ECONNRESET, "reset")),
        TimeoutError: lambda: (_ for _ in ()).throw(TimeoutError("too slow")),
    }
    for kind, act in causes.items():
        with pytest.raises(kind) as caught:
            attempt(act)
        assert not isinstance(caught.value, OutputError)

    def full_elsewhere():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "another/file")

    with pytest.raises(OSError, match="another/file") as caught:
        attempt(full_elsewhere)
    assert not isinstance(caught.value, OutputError)
    with pytest.raises(OutputError, match=r"inner\.html"):  # of another file that is written meanwhile
        attempt(lambda: write(tmp_path / "missing" / "inner.html", b""))
    assert listed(tmp_path) == ["there"]


def test_errors_about_the_file_are_told(tmp_path, monkeypatch):
    def attempt(act):
        with whole_file(tmp_path / "page.html") as beside:
            act(beside)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")  # as write() has it, without a name

    with pytest.raises(
        OutputError, match=r"'.*page\.html' cannot be written: No space left on device\. Pass"
    ) as caught:
        attempt(full)
    assert caught.value.__cause__.errno == errno.ENOSPC
    with pytest.raises(OutputError, match="cannot be written: File exists"):
        attempt(lambda beside: beside.open("xb"))
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        attempt(lambda beside: (beside / "x").touch())
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        attempt(Path.unlink)  # what is to be moved is gone
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        write(tmp_path / "page.html", b"one")
    assert listed(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX limits")
def test_no_room_in_earnest(tmp_path):
    """A limit on the size of files is a full disk that a test can have."""
    code = (
        "import resource, signal, sys; from loyalty.errors import OutputError; from loyalty.writing import whole_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n"
        "    with whole_file(sys.argv[1]) as beside, beside.open('wb', buffering=0) as file:\n"
        "        while True: file.write(b'x' * 100)\n"
        "except OutputError as err: print(err)\n"
    )
    path = str(tmp_path / "page.html")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert "page.html' cannot be written: File too large." in done.stdout
    assert listed(tmp_path) == []


def test_a_write_that_fails_in_any_way_is_told(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OutputError, match="cannot be written: Input/output error"):
        write(tmp_path / "page.html", b"one")
    assert listed(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EACCES, "Permission denied")])
@pytest.mark.parametrize(
    ("name", "replace"), [("fsync", True), ("replace", True), ("fsync", False), ("replace", False)]
)
def test_an_end_in_the_last_steps_leaves_nothing(tmp_path, monkeypatch, no_links, name, replace, error):
    def broken(*_):
        raise error

    monkeypatch.setattr(os, name, broken)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else OutputError):
        write(tmp_path / "page.html", b"one", replace=replace)
    assert listed(tmp_path) == []


# ---------------------------------------------------------------------------------------------------------------- races


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_comes_up_meanwhile_is_not_replaced(tmp_path, links, request):
    if not links:
        request.getfixturevalue("no_links")
    path = tmp_path / "page.html"

    def late():
        with whole_file(path, replace=False) as beside:
            beside.write_bytes(b"one")
            path.write_bytes(b"somebody else's")

    with pytest.raises(OutputError, match="is there already"):
        late()
    assert path.read_bytes() == b"somebody else's"
    assert listed(tmp_path) == ["page.html"]


@pytest.mark.parametrize("links", [True, False])
def test_of_many_writers_one_comes_first(tmp_path, links, request):
    if not links:
        request.getfixturevalue("no_links")
    path, start, results = tmp_path / "page.html", threading.Barrier(8), []

    def attempt(content):
        try:
            with whole_file(path, replace=False) as beside:
                beside.write_bytes(content)
                start.wait(10)  # all have begun while the name was free
            results.append(content)
        except OutputError:
            results.append(None)

    threads = [threading.Thread(target=attempt, args=(b"%d" % n * 100_000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    (winner,) = [content for content in results if content]
    assert path.read_bytes() == winner
    assert listed(tmp_path) == ["page.html"]


def test_readers_never_see_half_a_file(tmp_path):
    path = write(tmp_path / "page.html", b"0" * 300_000)
    done = threading.Event()

    def rewrite():
        for n in range(60):
            write(path, b"%d" % (n % 10) * 300_000)
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    while not done.is_set():
        content = path.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
    writer.join()


@posix
def test_a_folder_that_is_taken_away(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()

    def move_away():
        with whole_file(folder / "page.html") as beside:
            beside.write_bytes(b"one")
            folder.rename(tmp_path / "elsewhere")

    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        move_away()
    assert not folder.exists()


def test_public_names():
    assert {"write", "whole_file", "place_for"} == set(writing.__all__)
