"""What every test and every docstring example gets, wherever it lives."""

import os
import signal
import sys

import pytest

# Before anything imports matplotlib: tests draw into memory, with or without a screen.
os.environ["MPLBACKEND"] = "Agg"

# A run in the background may have been told to ignore these; the processes that tests start and stop would inherit it.
for name in ("SIGINT", "SIGHUP"):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)


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
