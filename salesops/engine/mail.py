"""A published report as two mails ready to be sent: one for its readers, one for who makes it.

Sending is left to the mail program people have: the files open there as drafts.
"""

import hashlib
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from salesops import words
from salesops.engine import pages, printed

_A_ROW = 2  # tiles side by side: a phone shows two


def write(report: printed.Published, to: Path, *, readers: tuple[str, ...] = (), pdf: Path | None = None) -> None:
    """Write the readers' mail: the first sentences, the tiles, a link; and the printed page where there is one.

    Parameters
    ----------
    report
        What to tell.
    to
        File to write.
    readers
        Addresses; the mail program asks where there are none.
    pdf
        The printed page.
    """
    tiles = printed.tiles(report.page)
    facts = _facts(report) | {"tiles": tiles, "rows": [tiles[at : at + _A_ROW] for at in range(0, len(tiles), _A_ROW)]}
    message = _message(report.subject, readers, "reader", facts)
    if pdf is not None:
        message.add_attachment(pdf.read_bytes(), maintype="application", subtype="pdf", filename=f"{report.name}.pdf")
    to.write_bytes(_settled(message, report.content["run_id"]))


def write_owner(report: printed.Published, to: Path, *, owner: str = "") -> None:
    """Write the owner's mail: what was left out, set aside or withheld, and what the report was made from."""
    message = _message(f"For its owner: {report.subject}", (owner,) if owner else (), "owner", _facts(report))
    to.write_bytes(_settled(message, report.content["run_id"]))


def write_failure(page: str, to: Path, *, owner: str = "") -> None:
    """Write the owner's mail about a report that was not made: the words of its failure page, technical details apart.

    Parameters
    ----------
    page
        The failure page.
    to
        File to write.
    owner
        Address; the mail program asks where there is none.
    """
    from bs4 import BeautifulSoup

    body = BeautifulSoup(page, "html.parser").body
    for each in body.select("script, style, template, details, caption"):
        each.decompose()
    title = _said(body.find("h1"))
    parts = [(_said(each.find("h2")), _lines(each)) for each in body.select("section")]
    message = _message(title, (owner,) if owner else (), "failed", {"title": title, "parts": parts})
    to.write_bytes(_settled(message, hashlib.sha256(page.encode()).hexdigest()[:16]))


def text(path: Path) -> str:
    """Every word of a mail, files that go with it apart."""
    from email import message_from_bytes
    from email.policy import default

    message = message_from_bytes(path.read_bytes(), policy=default)
    bodies = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    return "\n".join([*(f"{name}: {value}" for name, value in message.items()), *bodies])


def _said(tag: Any) -> str:
    return " ".join(tag.get_text().split())


def _lines(section: Any) -> list[str]:
    """Each paragraph and each row of a table as a line."""
    rows = [": ".join(_said(cell) for cell in row.select("th, td")) for row in section.select("tbody tr")]
    return [*rows, *(_said(each) for each in section.select("p, li") if _said(each))]


def _facts(report: printed.Published) -> dict[str, Any]:
    content, period = report.content, report.content["period"]
    span = f"{period['label']}, {words.day(period['start'])} to {words.day(period['end'])}" if period["label"] else ""
    return {
        "title": report.title,
        "span": span,
        "as_of": words.day(report.day),
        "sentences": content["headlines"],
        "address": report.address,
        "file": f"{report.name}.html",
        "source": content["parameters"].get("source", ""),
        "policy": " ".join(report.company.policy),
        "status": content["status"],
        "left_out": content["sections_left_out"],
        "exclusions": content["exclusions"],
        "inputs": content["inputs"],
        "code": content["code"],
        "run_id": content["run_id"],
    }


def _message(subject: str, to: tuple[str, ...], template: str, facts: dict[str, Any]) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["Subject"] = " ".join(subject.split())
    if to:
        message["To"] = ", ".join(to)
    message["X-Unsent"] = "1"  # mail programs that know it open the file as a draft
    plain = pages.environment(is_html=False).get_template(f"{template}.txt.j2").render(**facts)
    message.set_content(plain, cte="quoted-printable")
    message.add_alternative(
        pages.environment().get_template(f"{template}.mail.j2").render(**facts), subtype="html", cte="quoted-printable"
    )
    return message


def _settled(message: EmailMessage, run_id: str) -> bytes:
    """The bytes of a mail, the same for the same report: its boundaries follow from the run, and it has no date."""
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_salesops_{run_id}_{number}")
    return message.as_bytes()
