"""What every test and every docstring example gets, wherever it lives."""

import os
import signal
import sys

import pytest

# Before anything imports matplotlib: tests draw into memory, with or without a screen.
os.environ["MPLBACKEND"] = "Agg"

# A run in the background may have been told to ignore Ctrl-C; the processes that tests start and stop would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _close_figures():
    """Close what a test drew: matplotlib warns from the twentieth open figure on, and warnings are errors."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(autouse=True)
def _docstrings_write_elsewhere(request):
    """Run the examples of docstrings in a folder of their own: some save files."""
    if isinstance(request.node, pytest.DoctestItem):
        request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
