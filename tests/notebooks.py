"""Runs notebooks; as a script (`make notebook`), in place."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(source: Path, folder: Path) -> nbformat.NotebookNode:
    """Return the notebook with fresh outputs, its kernel started in `folder`; a cell that fails raises."""
    notebook = nbformat.read(source, as_version=4)
    # No times and no version of Python are kept, so that a new run changes only what came out differently.
    place = {"metadata": {"path": folder}}
    NotebookClient(notebook, kernel_name="python3", record_timing=False, resources=place).execute()
    notebook.metadata.language_info = {"name": "python"}
    return notebook


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        nbformat.write(execute(path, path.parent), path)
