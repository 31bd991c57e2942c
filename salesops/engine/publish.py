"""Puts what a run wrote into its dated folder: whole, or not at all, whatever happens meanwhile.

A dated folder changes in one step (`exchange`) and by one run at a time (`locks`): after a kill at any moment it is
as it was or as it shall be, and of two runs into one folder neither loses what the other published. The order of
publication is that of the lock; no clock is read.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from salesops import figures_files
from salesops.checks import ParameterError, SalesopsError
from salesops.engine import exchange, index, locks
from salesops.engine.parameters import File
from salesops.engine.shelf import EXPORTS, FAILED, ORDER, require_one_source

_PREFIX = ".staging-"


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A folder beside the published ones, so that renaming is one step; it does not outlive the block.

    What killed runs left of theirs is removed first.

    Raises
    ------
    ParameterError
        The folder cannot be made.
    """
    with ExitStack() as opened:
        try:
            out.mkdir(parents=True, exist_ok=True)
            folder = opened.enter_context(locks.held(out, _PREFIX))
        except OSError as fault:
            raise ParameterError(
                f"--out {out}: cannot be written ({fault.strerror}). Choose another folder."
            ) from fault
        yield folder


def sweep(out: Path) -> None:
    """Remove what killed runs left of theirs beside the published folders."""
    locks.sweep(out, _PREFIX)


def into_place(staged: Path, folder: Path, report: str, *, pack: File | None = None) -> None:
    """Put a report's files and the folder's index into place in one step; what an earlier failure left goes.

    Parameters
    ----------
    staged
        Of `staging`; holds the report's files.
    folder
        The dated folder.
    report
        The published name.
    pack
        As of `index.write`.

    Raises
    ------
    ParameterError
        The folder cannot be written, or holds another source's reports.
    OSError
        The disk is full or failing; the folder is as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(folder.parent) as is_alone:
        document = figures_files.document_of(staged / f"{report}.json")
        if "source" in document.get("parameters", {}):  # another run may have put another's there since it was asked
            require_one_source(folder, document["parameters"]["source"])
        is_same = _content(staged / f"{report}.html") == _content(folder / f"{report}.html")
        made = [ending for ending in EXPORTS if (staged / f"{report}{ending}").exists()]
        gone = [*FAILED, *(ending for ending in EXPORTS if ending not in made and not is_same)]
        put = {f"{report}{ending}": staged / f"{report}{ending}" for ending in (*made, *ORDER)}
        drop = [f"{report}{ending}" for ending in gone]
        exchange.change(folder, staged, put, drop, is_alone=is_alone, finish=partial(index_of, pack=pack))


def failure_into_place(staged: Path, folder: Path, report: str, *, pack: File | None = None) -> None:
    """Put the partial notebook and the failure page into place; the last good report stays as it is.

    Parameters
    ----------
    staged, folder, report, pack
        As of `into_place`.

    Raises
    ------
    ParameterError
        The folder cannot be written.
    OSError
        The disk is full or failing; the folder is as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(folder.parent) as is_alone:
        made = [ending for ending in FAILED if (staged / f"{report}{ending}").exists()]
        put = {f"{report}{ending}": staged / f"{report}{ending}" for ending in made}
        drop = [f"{report}{ending}" for ending in FAILED if ending not in made]
        exchange.change(folder, staged, put, drop, is_alone=is_alone, finish=partial(index_of, pack=pack))


def index_of(made: Path, pack: File | None = None) -> None:
    """Write the list of a folder's reports into it, as of the content it is about to have."""
    try:
        text = index.of_day(made, pack)
    except SalesopsError:  # not fit: the folder keeps the one it has; the end of the run, which writes all, says so
        return
    place = made / "index.html"
    place.unlink(missing_ok=True)  # it is a link to the published one, which must not change under its readers
    place.write_text(text, encoding="utf-8")


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
