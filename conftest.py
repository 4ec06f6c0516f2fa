"""What every test and every docstring example gets, wherever it lives."""

import os
import sys

import pytest

# Before anything imports matplotlib: tests draw into memory, with or without a screen.
os.environ["MPLBACKEND"] = "Agg"


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
