"""A published page as PDF, printed by the Chromium that the machine has; without one there is no PDF."""

import os
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from urllib.parse import urljoin

from salesops.checks import ParameterError, SalesopsError
from salesops.engine import handover

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 120
_PART = re.compile(rb"\(node\d{8}\)")
_PAPER = "<style>@page{size:A4}</style>"
_QUIET = (
    "--headless", "--disable-gpu", "--disable-extensions", "--disable-sync", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--no-pdf-header-footer", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


def browser() -> str:
    """Path of the browser that prints.

    Raises
    ------
    ParameterError
        None is on the PATH.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise ParameterError(
            f"--pdf: none of {', '.join(BROWSERS)} is on the PATH. Install Chromium, or leave --pdf out."
        )
    return found


def write(page: str, to: Path, *, day: str, address: str = "") -> None:
    """Print a page.

    Parameters
    ----------
    page
        Its HTML.
    to
        File to write.
    day
        Date the file says it was made on: the report's, so that the same page gives the same bytes.
    address
        Where the page will be read; links to files beside it lead there, and are plain text without it.

    Raises
    ------
    SalesopsError
        The browser gave no PDF.
    """
    with handover.folder() as place:
        source, made = place / "page.html", place / "page.pdf"
        source.write_text(linked(page, address).replace("</head>", f"{_PAPER}</head>", 1), encoding="utf-8")
        _print(source, made, place / "profile")
        to.write_bytes(numbered(dated(made.read_bytes(), day)))


def linked(page: str, address: str) -> str:
    """A page whose links work on paper: those to other files lead to the web address, or go.

    Examples
    --------
    >>> linked('<a href="#a">1</a> <a href="x.deals.html#k">2</a>', "https://reports.example/2026-09-30/x.html")
    '<a href="#a">1</a> <a href="https://reports.example/2026-09-30/x.deals.html#k">2</a>'
    >>> linked('<a class="so" href="x.deals.html#k">2</a>', "")
    '<a class="so">2</a>'
    """

    def led(found: re.Match) -> str:
        aim = unescape(found[1])
        if aim.startswith(("#", "https://", "http://")):
            return found[0]
        return f' href="{escape(urljoin(address, aim))}"' if address and not aim.startswith("data:") else ""

    return re.sub(r"(?<=<a)[^>]*>", lambda tag: re.sub(r' href="([^"]*)"', led, tag[0]), page)


def dated(content: bytes, day: str) -> bytes:
    """A PDF whose dates are midnight of a day; no byte moves, so its table of places holds.

    Examples
    --------
    >>> dated(b"/CreationDate (D:20311224180102+00'00')", "2026-09-30")
    b"/CreationDate (D:20260930000000+00'00')"
    """
    midnight = f"{day.replace('-', '')}000000".encode()
    return re.sub(rb"(?<=Date \(D:)\d{14}(\+\d\d'\d\d'|Z)?", lambda found: midnight + _utc(found[1]), content)


def numbered(content: bytes) -> bytes:
    """A PDF whose parts are numbered from one on, in the order they are in: the browser leaves out numbers at random.

    Examples
    --------
    >>> numbered(b"/ID (node00000197) /Headers [(node00000009)] /ID (node00000197)")
    b'/ID (node00000002) /Headers [(node00000001)] /ID (node00000002)'
    """
    known = sorted(set(_PART.findall(content)))
    new = {part: b"(node%08d)" % number for number, part in enumerate(known, start=1)}
    return _PART.sub(lambda found: new[found[0]], content)


def _utc(zone: bytes | None) -> bytes:
    return re.sub(rb"\d", b"0", zone or b"")


def _print(source: Path, made: Path, profile: Path) -> None:
    # A browser of the superuser, as in a container, starts without its sandbox only; it opens nothing but the page.
    free = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [browser(), *_QUIET, *free, f"--user-data-dir={profile}", f"--print-to-pdf={made}", source.as_uri()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as fault:
        raise SalesopsError(f"the browser did not print within {_SECONDS} seconds") from fault
    if not made.is_file() or not made.read_bytes().startswith(b"%PDF-"):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SalesopsError(f"the browser gave no PDF (exit code {done.returncode}): {last}")
