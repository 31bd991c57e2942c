"""What lies in a dated folder: which files a report is, and what the folder says of itself."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from salesops import figures_files
from salesops.checks import ParameterError

# The page comes last: a page whose run id is not that of the files beside it is not published yet.
ORDER = (".ipynb", ".json", ".deals.parquet", ".deals.html", ".run.json", ".html")
# What is made from the page when asked for; none outlives the page it was made from.
EXPORTS = (".pdf", ".xlsx", ".pptx", ".eml", ".owner.eml")
FAILED = (".failed.ipynb", ".failed.html", ".failed.owner.eml")  # the mail where one was asked for


def run_record(folder: Path, report: str) -> dict[str, Any]:
    """The run record of a published report, empty where there is none.

    Examples
    --------
    >>> run_record(Path("nowhere"), "win_loss")
    {}
    """
    return figures_files.mapping(folder / f"{report}.run.json")


def require_one_source(folder: Path, source: str) -> None:
    """Refuse a dated folder that holds another source's reports.

    Raises
    ------
    ParameterError
        It does; another ``--out`` is wanted.

    Examples
    --------
    >>> require_one_source(Path("nowhere"), "sample")
    """
    for path in sorted(folder.glob("*.json")):
        for other in _source(path):
            if other != source:
                raise ParameterError(
                    f"{folder}: holds reports of source '{other}' ({path.stem}), not of '{source}'. Choose another "
                    "--out."
                )


def once(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """A function of a file that is not called again while the file is the same: of forty reports each is read once.

    What it returns is shared and must not be changed.

    Examples
    --------
    >>> said = []
    >>> known = once(lambda path: said.append("read") or path.name)
    >>> known(Path(__file__)), known(Path(__file__)), said
    ('shelf.py', 'shelf.py', ['read'])
    """
    known: dict[tuple[int, ...], Any] = {}

    @wraps(read)
    def remembered(path: Path) -> Any:
        try:
            found = path.stat()
        except OSError:  # gone; what reads it knows what that means
            return read(path)
        # Published files are replaced, never written to, and a link to one is the same file.
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if identity not in known:
            known[identity] = read(path)
        return known[identity]

    return remembered


@once
def _source(path: Path) -> list[str]:
    """Whose data a figures file is of, where it says so."""
    values = figures_files.document_of(path).get("parameters", {})
    return [values["source"]] if "source" in values else []


def is_published(folder: Path, report: str) -> bool:
    """Whether a report's page is there; where `prune` removed it a small page stands in, without a notebook.

    Examples
    --------
    >>> is_published(Path("nowhere"), "win_loss")
    False
    """
    return all((folder / f"{report}{ending}").is_file() for ending in (".html", ".ipynb"))


def previous(out: Path, as_of: str, report: str) -> str | None:
    """The latest date before `as_of` that the report is published for.

    Examples
    --------
    >>> previous(Path("nowhere"), "2026-09-30", "win_loss") is None
    True
    """
    days = [path.parent.name for path in out.glob(f"[0-9]*/{report}.html") if path.parent.name < as_of]
    return max((day for day in days if is_published(out / day, report)), default=None)
