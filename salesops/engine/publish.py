"""Puts what a run wrote into its dated folder: whole, in order, or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from salesops.checks import ParameterError

# The page comes last: a page whose run id is not that of the files beside it is not published yet.
ORDER = (".ipynb", ".json", ".deals.parquet", ".deals.html", ".run.json", ".html")
# What is made from the page when asked for; none outlives the page it was made from.
EXPORTS = (".pdf", ".xlsx", ".pptx", ".eml", ".owner.eml")
_FAILED = (".failed.ipynb", ".failed.html")


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A folder beside the published ones, so that renaming is one step; it does not outlive the block.

    Raises
    ------
    ParameterError
        The folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".staging-", dir=out))
    except OSError as fault:
        raise ParameterError(f"--out {out}: cannot be written ({fault.strerror}). Choose another folder.") from fault
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def figures_files(folder: Path) -> dict[str, dict[str, Any]]:
    """The figures file of every report published in a dated folder, by name; what is not one is passed over."""
    found = {path.stem: _document(path) for path in sorted(folder.glob("*.json"))}
    return {name: each for name, each in found.items() if {"schema", "report", "run_id", "figures"} <= set(each)}


def run_record(folder: Path, report: str) -> dict[str, Any]:
    """The run record of a published report, empty where there is none."""
    return _document(folder / f"{report}.run.json")


def require_one_source(folder: Path, source: str) -> None:
    """Refuse a dated folder that holds another source's reports.

    Raises
    ------
    ParameterError
        It does; another ``--out`` is wanted.
    """
    for report, document in figures_files(folder).items():
        other = document.get("parameters", {}).get("source", source)
        if other != source:
            raise ParameterError(
                f"{folder}: holds reports of source '{other}' ({report}), not of '{source}'. Choose another --out."
            )


def into_place(staged: Path, folder: Path, report: str) -> None:
    """Rename a report's files into its dated folder, the page last, and drop what an earlier failure left."""
    folder.mkdir(parents=True, exist_ok=True)
    is_same = _content(staged / f"{report}.html") == _content(folder / f"{report}.html")
    for ending in EXPORTS:
        if (staged / f"{report}{ending}").exists():
            os.replace(staged / f"{report}{ending}", folder / f"{report}{ending}")
        elif not is_same:
            (folder / f"{report}{ending}").unlink(missing_ok=True)
    for ending in ORDER:
        os.replace(staged / f"{report}{ending}", folder / f"{report}{ending}")
    for ending in _FAILED:
        (folder / f"{report}{ending}").unlink(missing_ok=True)


def failure_into_place(staged: Path, folder: Path, report: str) -> None:
    """Rename the partial notebook and the failure page; the last good report stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending in _FAILED:
        os.replace(staged / f"{report}{ending}", folder / f"{report}{ending}")


def previous(out: Path, as_of: str, report: str) -> str | None:
    """The latest date before `as_of` that the report is published for."""
    earlier = [path.parent.name for path in out.glob(f"[0-9]*/{report}.html") if path.parent.name < as_of]
    return max(earlier, default=None)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
