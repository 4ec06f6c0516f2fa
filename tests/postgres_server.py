"""The one PostgreSQL server of this process: in a folder of its own, on loopback, gone at the end.

Use it as

    pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres")]

    def test_x():
        server = postgres_server.server()
        server.load("log", frame)
        table = server.connect().table("log")

The first call takes some seconds; it skips the test, with the reason, where Ibis or PostgreSQL's programs are missing,
and fails it where LOYALTY_NO_SKIPS names "postgres". LOYALTY_POSTGRES_URL names another server to use, by the address
of a superuser: databases and users are made on it and dropped at the end.
"""

import atexit
import functools
import io
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from lacking import lacking

HOME = "shop"  # the database that holds the tables; in LOCKED nobody but the superuser may make temporary tables
LOCKED = "locked"
READER, CAUTIOUS = "reader", "cautious"  # may only select; as well, in transactions that are read-only by default
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",  # nothing may depend on when it comes
    "shared_buffers": "64MB",
    "max_connections": "40",
    "timezone": "Pacific/Auckland",  # nothing may depend on it
    "datestyle": "SQL, DMY",  # nor on this
}


def server():
    """Return this process's server, started on the first call."""
    started = _started()
    if isinstance(started, str):
        lacking("postgres", started)
    return started


class Server:
    """A running server.

    Attributes:
        address: Host, port, user and password of the superuser.
    """

    def __init__(self, address):
        self.address = address
        self._suffix = "_" + secrets.token_hex(4)  # for servers that others use too
        self._password = secrets.token_hex(8)
        self._prepare()

    def name(self, name):
        """Return what a database or user is called on the server."""
        return name + self._suffix

    def run(self, *statements, database=HOME):
        """Run statements as superuser; returns the rows of the last one, if it gives any."""
        import psycopg

        where = {**self.address, "dbname": self.name(database) if database else self.address["dbname"]}
        with psycopg.connect(**where, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def login(self, user=None, database=HOME):
        """Return what psycopg needs to connect: as superuser, or as one of the users made here."""
        who = {} if user is None else {"user": self.name(user), "password": self._password}
        return {**self.address, "dbname": self.name(database), **who}

    def connect(self, user=READER, database=HOME, **options):
        """Return an Ibis connection of its own; `user=None` is the superuser."""
        import ibis

        login = self.login(user, database)
        backend = ibis.postgres.connect(database=login.pop("dbname"), **login, **options)
        weakref.finalize(backend, backend.con.close)  # else psycopg warns of a connection that nobody closed
        return backend

    def load(self, table, frame, types=None, database=HOME):
        """Make a table from a pandas frame or Arrow table, replacing one of that name, views on it and all.

        Args:
            table: Its name.
            frame: The rows; text, numbers, dates, times and nulls.
            types: Column → PostgreSQL type, where it is not the obvious one.
            database: Where it lies.
        """
        import psycopg

        rows = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
        columns = {item.name: (types or {}).get(item.name) or _type(item.type) for item in rows.schema}
        made = ", ".join(f"{_quoted(name)} {kind}" for name, kind in columns.items())
        lines = io.BytesIO()
        pyarrow.csv.write_csv(rows, lines, pyarrow.csv.WriteOptions(include_header=False))
        with psycopg.connect(**self.login(None, database)) as connection, connection.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'").execute("SET datestyle = 'ISO'")
            cursor.execute(f"DROP TABLE IF EXISTS {_quoted(table)} CASCADE")
            cursor.execute(f"CREATE TABLE {_quoted(table)} ({made})")
            cursor.execute(f"GRANT SELECT ON {_quoted(table)} TO PUBLIC")
            with cursor.copy(f"COPY {_quoted(table)} FROM STDIN (FORMAT csv)") as copy:
                copy.write(lines.getvalue())

    def drop(self):
        """Remove what was made here."""
        for database in (HOME, LOCKED):
            self.run(f"DROP DATABASE IF EXISTS {self.name(database)} WITH (FORCE)", database=None)
        for user in (READER, CAUTIOUS):
            self.run(f"DROP ROLE IF EXISTS {self.name(user)}", database=None)

    def _prepare(self):
        """Make the databases and users."""
        for user in (READER, CAUTIOUS):
            self.run(f"CREATE ROLE {self.name(user)} LOGIN PASSWORD '{self._password}'", database=None)
        self.run(f"ALTER ROLE {self.name(CAUTIOUS)} SET default_transaction_read_only = on", database=None)
        for database in (HOME, LOCKED):
            self.run(f"CREATE DATABASE {self.name(database)}", database=None)
        self.run(f"REVOKE TEMPORARY ON DATABASE {self.name(LOCKED)} FROM PUBLIC", database=None)


def ours(backend):
    """Return the names of the library's tables that a connection sees."""
    query = "SELECT relname FROM pg_class WHERE relname LIKE 'loyalty%' ORDER BY 1"
    return [name for (name,) in backend.con.execute(query).fetchall()]


def _type(kind):
    """Return the PostgreSQL type for an Arrow type."""
    if pa.types.is_timestamp(kind):
        return "timestamp with time zone" if kind.tz else "timestamp"
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})"
    if pa.types.is_dictionary(kind):
        return _type(kind.value_type)
    tests = {
        "boolean": "boolean",
        "integer": "bigint",
        "float32": "real",
        "floating": "double precision",
        "date": "date",
    }
    return next((name for test, name in tests.items() if getattr(pa.types, f"is_{test}")(kind)), "text")


def _quoted(name):
    return '"' + str(name).replace('"', '""') + '"'


@functools.cache
def _started():
    """Return the server, or as text why there is none."""
    try:
        import ibis
        import psycopg

        _ = ibis.postgres
    except (ImportError, AttributeError):
        return "Ibis for PostgreSQL is missing: pip install 'loyalty-analytics[ibis]'"
    url = os.environ.get("LOYALTY_POSTGRES_URL")
    if url:
        address = {"dbname": "postgres", **psycopg.conninfo.conninfo_to_dict(url)}
    else:
        programs = _programs()
        if programs is None:
            return "PostgreSQL's programs initdb and postgres are missing: apt-get install postgresql"
        address = _start(programs)
    made = Server(address)
    if url:
        atexit.register(made.drop)
    return made


def _programs():
    """Return the folder with the server's programs, of the newest release there is."""
    in_path = shutil.which("initdb")
    folders = [Path(in_path).resolve().parent] if in_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    there = [folder for folder in folders if all((folder / name).exists() for name in ("initdb", "postgres"))]
    return there[0] if there else None


def _start(programs):
    """Start a server in a temporary folder; returns its address. As root it runs as the user `postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="loyalty-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    user = {}
    if os.getuid() == 0:  # which PostgreSQL refuses
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    password = secrets.token_hex(8)
    (folder / "password").write_text(password)
    (folder / "password").chmod(0o644)  # in a folder that nobody else can enter
    options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--encoding=UTF8"]
    locale = ["--locale=C", "--no-sync"]
    data = ["-D", str(folder / "data")]
    _run([programs / "initdb", *data, *options, *locale, *_sorting(programs)], user, folder)
    address = {
        "host": "127.0.0.1",
        "port": _free_port(),
        "user": "postgres",
        "password": password,
        "dbname": "postgres",
    }
    settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": address["port"]}.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "postgres", *data, *settings],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            **user,
        )
    atexit.register(_stop, process)
    _wait(process, address, folder / "log")
    return address


def _sorting(programs):
    """Return options for text that is not sorted by its bytes, so that what depends on its order shows."""
    said = subprocess.run([programs / "initdb", "--help"], capture_output=True, text=True, check=False).stdout
    return ["--locale-provider=icu", "--icu-locale=en-US"] if "--icu-locale" in said else []


def _run(command, user, folder):
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, **user)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr}{done.stdout}")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(process, address, log):
    """Wait until the server answers."""
    import psycopg

    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            psycopg.connect(**address, connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server did not start: {log.read_text()}")


def _stop(process):
    """Stop the server at once: nothing of it is kept."""
    process.send_signal(signal.SIGQUIT)
    process.wait(timeout=30)
