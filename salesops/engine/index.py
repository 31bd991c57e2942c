"""The pages that list what is published: one a date, and one over all dates."""

import re
from pathlib import Path
from typing import Any

from salesops import words
from salesops.engine import pages, publish

_STATUS = {"ok": "complete", "partial": "partial: a section is left out", "empty": "nothing to report"}
_SENTENCES = 2


def write(out: Path, staged: Path) -> None:
    """Write ``index.html`` of every dated folder and of ``out``, each renamed into place whole."""
    folders = sorted((path for path in out.iterdir() if re.fullmatch(r"\d{4}-\d\d-\d\d", path.name)), reverse=True)
    listed = []
    for folder in folders:
        reports = entries(folder)
        if reports:
            listed.append({"name": folder.name, "reports": reports, "source": _source(reports)})
            _place(pages.render("index", f"Reports as of {words.day(folder.name)}", reports=reports), staged, folder)
    _place(pages.render("dates", "Reports", folders=listed), staged, out)


def entries(folder: Path) -> list[dict[str, Any]]:
    """What a dated folder holds: each report with its title, status, first sentences and links."""
    published = publish.figures_files(folder)
    failed = {path.name.removesuffix(".failed.html") for path in folder.glob("*.failed.html")}
    return [_entry(folder, name, published.get(name), name in failed) for name in sorted({*published, *failed})]


def title(report: str) -> str:
    """A report's name as a heading.

    Examples
    --------
    >>> title("win_loss.emea")
    'Win loss – emea'
    """
    base, _, variant = report.partition(".")
    return words.label(base) + (f" – {variant}" if variant else "")


def _entry(folder: Path, name: str, document: dict[str, Any] | None, has_failed: bool) -> dict[str, Any]:
    found = document or {}
    return {
        "name": name,
        "title": publish.run_record(folder, name).get("title") or title(name),
        "status": "failed" if document is None else _STATUS.get(found["status"], found["status"]),
        "period": (found.get("period") or {}).get("label"),
        "source": found.get("parameters", {}).get("source"),
        "headlines": found.get("headlines", [])[:_SENTENCES],
        "href": f"{name}.html" if document else None,
        "failed_href": f"{name}.failed.html" if has_failed else None,
    }


def _source(reports: list[dict[str, Any]]) -> str:
    return next((report["source"] for report in reports if report["source"]), "")


def _place(text: str, staged: Path, folder: Path) -> None:
    page = staged / "index.html"
    page.write_text(text, encoding="utf-8")
    page.replace(folder / "index.html")
