"""Addresses that stay: the newest report of each name, and the newest of each name and period.

``latest/<report>.html`` and ``by-period/<period>/<report>.html`` are relative symbolic links into the dated folders;
where the file system has none, copies.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from salesops.engine import exchange
from salesops.engine.shelf import EXPORTS, ORDER

LATEST, BY_PERIOD = "latest", "by-period"
_DAY = r"\d{4}-\d\d-\d\d"
# A page's link to the one before it starts one folder up; under a period the dated folders are two folders up.
_UP, _TWICE_UP = b'href="../', b'href="../../'


class Published(NamedTuple):
    """A report in its dated folder."""

    report: str
    day: str
    period: str | None


def latest(report: str) -> str:
    """Where the newest report of a name is, seen from the folder of all dates.

    Examples
    --------
    >>> latest("win_loss.emea")
    'latest/win_loss.emea.html'
    """
    return f"{LATEST}/{report}.html"


def by_period(report: str, period: str) -> str:
    """Where the newest report about a period is, seen from the folder of all dates.

    Examples
    --------
    >>> by_period("win_loss", "2026Q3"), by_period("win_loss", "2026-07-01/2026-09-30")
    ('by-period/2026Q3/win_loss.html', 'by-period/2026-07-01-2026-09-30/win_loss.html')
    """
    return f"{BY_PERIOD}/{folder_name(period)}/{report}.html"


def folder_name(period: str) -> str:
    """A period's label, safe as a folder's name; six hexadecimal digits follow where more than a slash had to go.

    Examples
    --------
    >>> folder_name("2026Q3"), folder_name("2026-07-01/2026-09-30"), folder_name("../../etc")
    ('2026Q3', '2026-07-01-2026-09-30', 'etc-74ccf3')
    """
    plain = period.replace("/", "-")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", plain) and not re.fullmatch(_DAY, plain):
        return plain
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", period).strip("-_")[:40]
    return "-".join(filter(None, [slug, hashlib.sha256(period.encode()).hexdigest()[:6]]))


def place(out: Path, staged: Path, published: Iterable[Published], *, is_alone: bool) -> None:
    """Lead every stable address to the newest report it can; none is absent meanwhile.

    All addresses of one folder move in one step, so that the files under them are of one run.

    Parameters
    ----------
    out
        The folder of all dates.
    staged
        A folder of this run's own on the same file system, where links are made before they are put into place.
    published
        Every report of every date that an address may lead to.
    is_alone
        Whether `out` is locked; as of `exchange.change`.

    Raises
    ------
    ParameterError
        Something else lies at an address.
    """
    make = _link if _can_link(staged) else _copy
    folders: dict[str, dict[str, str]] = {}
    for address, aim in _wanted(out, published).items():
        parent, _, name = address.rpartition("/")
        folders.setdefault(parent, {})[name] = aim
    for parent, aims in folders.items():
        with tempfile.TemporaryDirectory(prefix="links-", dir=staged) as box:
            made = ((name, make(out, Path(box), f"{parent}/{name}", aim)) for name, aim in aims.items())
            _put(out / parent, staged, {name: path for name, path in made if path is not None}, is_alone=is_alone)


def tidy(out: Path, staged: Path, published: Iterable[Published], *, is_alone: bool) -> None:
    """Remove the links and copies that no report stands behind any more; what a person put there stays.

    Parameters
    ----------
    out, staged, published, is_alone
        As of `place`.
    """
    wanted = _wanted(out, published)
    for folder in _folders(out):
        gone = [path for path in folder.iterdir() if path.relative_to(out).as_posix() not in wanted and _is_ours(path)]
        # By its run record a copy is known for one of ours: that goes last.
        names = sorted((path.name for path in gone), key=lambda name: (name.endswith(".run.json"), name))
        if names:
            exchange.change(folder, staged, {}, names, is_alone=is_alone and folder.name != BY_PERIOD)
        if not any(folder.iterdir()):
            folder.rmdir()


def _folders(out: Path) -> list[Path]:
    """The folders of addresses, the inner ones first; never one that a link leads to."""
    inner = [path for path in sorted((out / BY_PERIOD).glob("*")) if path.is_dir()]
    return [path for path in [*inner, out / BY_PERIOD, out / LATEST] if path.is_dir() and not path.is_symlink()]


def _wanted(out: Path, published: Iterable[Published]) -> dict[str, str]:
    """Each address and its aim, both seen from `out`; of a report's files the page comes last."""
    newest: dict[str, Published] = {}
    for each in sorted(published, key=lambda each: each.day):
        newest[latest(each.report)] = each
        if each.period is not None:
            newest[by_period(each.report, each.period)] = each
    days = {each.day for each in newest.values() if each.period is not None}
    found = {f"{BY_PERIOD}/{day}": day for day in _before(out, days)}
    for page, each in sorted(newest.items()):
        for ending in (*EXPORTS, *ORDER):
            aim = f"{each.day}/{each.report}{ending}"
            if (out / aim).exists():
                found[page.removesuffix(".html") + ending] = aim
    return found


def _before(out: Path, days: set[str]) -> list[str]:
    """The dated folders that pages of these days may call the one before."""
    last = max(days, default="")
    return sorted(path.name for path in out.iterdir() if re.fullmatch(_DAY, path.name) and path.name < last)


def _can_link(staged: Path) -> bool:
    probe = staged / "link"
    try:
        os.symlink("nowhere", probe)
    except (OSError, NotImplementedError):
        return False
    probe.unlink()
    return True


def _link(out: Path, box: Path, address: str, aim: str) -> Path | None:
    """A link to be put at an address, or nothing where it is there."""
    target = "../" * address.count("/") + aim
    if (out / address).is_symlink() and os.readlink(out / address) == target:
        return None
    made = box / Path(address).name
    os.symlink(target, made, target_is_directory=(out / aim).is_dir())
    return made


def _copy(out: Path, box: Path, address: str, aim: str) -> Path | None:
    """A copy to be put at an address, or nothing where it is there."""
    if (out / aim).is_dir():
        return None
    content, at = (out / aim).read_bytes(), out / address
    if address.startswith(BY_PERIOD) and address.endswith(".html"):
        content = content.replace(_UP, _TWICE_UP)
    if at.is_file() and not at.is_symlink() and at.read_bytes() == content:
        return None
    made = box / at.name
    made.write_bytes(content)
    return made


def _put(folder: Path, staged: Path, put: dict[str, Path], *, is_alone: bool) -> None:
    if put:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the periods' folders lie links to dates, each for itself: no reason to make the folders anew.
        exchange.change(folder, staged, put, is_alone=is_alone and folder.name != BY_PERIOD)


def _is_ours(path: Path) -> bool:
    """Whether a run put it there: a link into a dated folder, or a copy of a report's file."""
    if path.is_symlink():
        return bool(re.match(rf"(\.\./)+{_DAY}(/|$)", os.readlink(path).replace(os.sep, "/")))
    endings = [ending for ending in (*EXPORTS, *ORDER) if path.name.endswith(ending)]
    names = [path.name.removesuffix(ending) for ending in endings]
    return path.is_file() and any((path.parent / f"{name}.run.json").exists() for name in names)
