"""Notebooks as they are committed: outputs gone, but for the text of cells tagged nbval-check-output."""

import argparse
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def stripped(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with only what a review should read."""
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"c{number:02d}"
        cell.metadata = {key: cell.metadata[key] for key in ("tags",) if cell.metadata.get(key)}
        if cell.cell_type == "code":
            is_checked = "nbval-check-output" in cell.metadata.get("tags", [])
            cell.outputs = [_text_only(output, number) for output in cell.outputs] if is_checked else []
            cell.execution_count = number if is_checked else None  # nbval takes an unnumbered cell for one never run
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return nbformat.from_dict(notebook)


def _text_only(output: dict, number: int) -> dict:
    return {
        "output_type": "execute_result",
        "execution_count": number,
        "metadata": {},
        "data": {"text/plain": output["data"]["text/plain"]},
    }


def text(notebook: nbformat.NotebookNode) -> str:
    """The notebook as a file's text."""
    return nbformat.writes(notebook, version=4, indent=1, sort_keys=True) + "\n"


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook run as it stands, on the sample, no report having been published before."""
    environment = os.environ | {"SALESOPS_REPORTS": os.devnull, "SALESOPS_NOTES": os.devnull}
    return NotebookClient(notebook, kernel_name="python3", timeout=600).execute(env=environment)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--run", action="store_true", help="run first, so that the checked text is what comes out now")
    options.add_argument("paths", nargs="+", type=Path)
    chosen = options.parse_args()
    for path in chosen.paths:
        found = nbformat.read(path, as_version=4)
        path.write_text(text(stripped(executed(found) if chosen.run else found)), encoding="utf-8")
