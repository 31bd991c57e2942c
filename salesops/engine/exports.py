"""What is made from a published report for other programs: PDF, workbook, slides and mail.

Each is made from the report's files, so its figures are theirs; none is made unless asked for, and a
run that asks for none imports nothing of it.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from salesops.checks import ParameterError, SalesopsError

_ADDRESS = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")


class Wanted(NamedTuple):
    """Which files to make beside each page, and what the mail says of where they lie."""

    pdf: bool = False
    xlsx: bool = False
    pptx: bool = False
    email: bool = False
    base_url: str = ""
    readers: tuple[str, ...] = ()
    owner: str = ""


def require(wanted: Wanted) -> None:
    """Refuse what cannot be made, before any report runs.

    Raises
    ------
    ParameterError
        There is no browser to print with, or an address is none.
    """
    if wanted.pdf:
        from salesops.engine import pdf

        pdf.browser()
    if wanted.base_url and not re.match(r"https?://[^/\s]+[^\s\"'<>]*$", wanted.base_url):
        raise ParameterError(
            f"--base-url: '{wanted.base_url}' is no web address. Write it as https://reports.example.com/sales."
        )
    for option, addresses in (("--readers", wanted.readers), ("--owner", filter(None, [wanted.owner]))):
        wrong = [text for text in addresses if not _ADDRESS.fullmatch(text)]
        if wrong:
            raise ParameterError(f"{option}: '{wrong[0]}' is no mail address. Write it as name@example.com.")


def write(wanted: Wanted, staged: Path, name: str, company: Any, *, at: str) -> list[str]:
    """Make what is wanted from a report's files; one that cannot be made leaves nothing, and its reason is returned.

    Parameters
    ----------
    wanted
        Which files.
    staged
        Where the report's files lie, and these go.
    name
        Of the report.
    company
        What it is about: names and the people policy come from it.
    at
        The page's place below the base address.
    """
    if not any((wanted.pdf, wanted.xlsx, wanted.pptx, wanted.email)):
        return []
    from salesops.engine import printed

    report = printed.read(staged, name, company, wanted.base_url, at)
    return [fault for ending, make in _makers(report, wanted) if (fault := _made(report, ending, make))]


def _makers(report: Any, wanted: Wanted) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Ending and maker of each file; the mail comes last, as it takes the PDF along."""
    from salesops.engine import mail

    if wanted.pdf:
        from salesops.engine import pdf

        yield ".pdf", lambda to: pdf.write(report.page, to, day=report.day, address=report.address)
    if wanted.xlsx:
        from salesops.engine import workbook

        yield ".xlsx", lambda to: workbook.write(report, to)
    if wanted.pptx:
        from salesops.engine import slides

        yield ".pptx", lambda to: slides.write(report, to)
    if wanted.email:
        yield ".eml", lambda to: mail.write(report, to, readers=wanted.readers, pdf=_pdf(report))
        yield ".owner.eml", lambda to: mail.write_owner(report, to, owner=wanted.owner)


def _pdf(report: Any) -> Path | None:
    path = report.folder / f"{report.name}.pdf"
    return path if path.exists() else None


def _made(report: Any, ending: str, make: Callable[[Path], None]) -> str:
    """Nothing, or why a file is not there."""
    to = report.folder / f"{report.name}{ending}"
    try:
        make(to)
        _require_unnamed(report, to)
    except Exception as fault:  # the page and the other files are whole; this one is said
        to.unlink(missing_ok=True)
        kind = "" if isinstance(fault, SalesopsError) else f"{type(fault).__name__}: "
        return f"{to.name} was not made: {kind}{fault}"
    return ""


def _require_unnamed(report: Any, path: Path) -> None:
    """Refuse a person who may not be shown; what is printed is the page, which was read before."""
    from salesops.engine import mail, zipped

    if path.suffix == ".pdf":
        return
    said = mail.text(path) if path.suffix == ".eml" else zipped.text(path)
    if report.company.hides(said):
        raise SalesopsError("it shows a person who may not be shown to its readers.")
