"""What lies in a dated folder: which files a report is, and what the folder says of itself."""

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
    for report, document in figures_files.in_folder(folder).items():
        other = document["parameters"].get("source", source)
        if other != source:
            raise ParameterError(
                f"{folder}: holds reports of source '{other}' ({report}), not of '{source}'. Choose another --out."
            )


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
