"""A PostgreSQL server that holds one log, and connections to it."""

import pytest

import postgres_server
from test_threads import log


@pytest.fixture(scope="module")
def server():
    started = postgres_server.server()
    started.load("log", log())
    return started


@pytest.fixture
def backend(server):
    made = server.connect()
    yield made
    made.con.close()
