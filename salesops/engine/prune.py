"""Which published reports may go to save room, and their removal; nothing that an address leads to ever breaks.

A report of a date goes as a whole. Its figures file and its run record stay, because *what changed*, trends and the
record of past forecasts read them; where its page was, a small one says so, as later pages and mails lead there.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from salesops import figures_files, words
from salesops.checks import ParameterError
from salesops.engine import exchange, index, links, locks, pages, publish, shelf
from salesops.engine.parameters import File

_DAY = r"\d{4}-\d\d-\d\d"
_LINK = re.compile(rf'href="(?:\.\./({_DAY})/)?([A-Za-z0-9][\w.-]*)\.html')
_MARK = 'class="so-removed"'  # of a page that stands in
_KEPT = (".json", ".run.json")
_ALL = (*shelf.ORDER, *shelf.EXPORTS, *shelf.FAILED)


class Keep(NamedTuple):
    """What stays, beside the last good report of each period and the newest of each name.

    Parameters
    ----------
    reports
        So many newest dates of each report.
    days
        The dates of so many days up to the newest one that is published; no clock is read.
    all_files
        Whether figures files and run records go too.
    """

    reports: int | None = None
    days: int | None = None
    all_files: bool = False


class Version(NamedTuple):
    """What there is of one report as of one day."""

    report: str
    day: str
    period: str | None
    is_good: bool  # it has its page, and is no stand-in of one that was pruned


class Going(NamedTuple):
    """A version that may go: its files, and their bytes."""

    version: Version
    files: tuple[str, ...]
    size: int


def prune(out: Path, keep: Keep, say: Callable[[str], None], *, is_sure: bool, pack: File | None = None) -> int:
    """Remove what need not be kept, or say what would go; returns the exit code.

    Parameters
    ----------
    out
        The folder of all dates.
    keep
        What stays.
    say
        Receives each line for the person.
    is_sure
        Whether to remove; without, nothing is touched.
    pack
        As of `index.write`.

    Raises
    ------
    ParameterError
        It is not said what to keep, or the folder is not one of reports.
    """
    _require(out, keep)
    found: list[Going] = []
    for home in homes(out):
        going = selected(home, keep)
        found += going
        for each in going:
            at = (home.relative_to(out) / each.version.day / each.version.report).as_posix()
            say(f"{at}\t{len(each.files)} files\t{size(each.size)}")
        if is_sure and (going or _hollow(home) or _idle(home)):
            _removed(out, home, keep, pack)
        elif is_sure:
            publish.sweep(home)
    say(told(len(found), sum(each.size for each in found), is_sure=is_sure, all_files=keep.all_files))
    return 0


def homes(out: Path) -> list[Path]:
    """The folders of dated folders: that of all dates, and those of persons and teams below it.

    Examples
    --------
    >>> homes(Path("nowhere"))
    [PosixPath('nowhere')]
    """
    own = (links.LATEST, links.BY_PERIOD)
    inner = {path.parent for path in out.glob("*/*/*") if path.is_dir() and re.fullmatch(_DAY, path.name)}
    return [out, *sorted(path for path in inner if path.parent.name not in own and not path.parent.is_symlink())]


def versions(home: Path) -> list[Version]:
    """Everything in a folder of dated folders: reports, failures, and figures files without a page; oldest first."""
    return [each for folder in sorted(home.glob("[0-9]*")) for each in _of_day(folder)]


def kept(found: Iterable[Version], keep: Keep) -> set[Version]:
    """The versions that stay.

    The newest good one of each report and period always stays, the newest of each report among them; so does a failure
    that no later good one has outdated.

    Examples
    --------
    >>> days = ("2026-07-31", "2026-08-31", "2026-09-30", "2026-10-31")
    >>> found = [Version("funnel", day, "2026Q4" if day > "2026-10" else "2026Q3", True) for day in days]
    >>> sorted(each.day for each in kept(found, Keep(reports=1)))
    ['2026-09-30', '2026-10-31']
    >>> sorted(each.day for each in kept(found, Keep(days=70)))
    ['2026-08-31', '2026-09-30', '2026-10-31']
    """
    found = list(found)
    good = sorted((each for each in found if each.is_good), key=lambda each: each.day)
    newest = {(each.report, each.period): each for each in good}
    last = max((each.day for each in good), default="")
    days = {each.report: sorted({other.day for other in good if other.report == each.report}) for each in found}
    first = {name: _first(own, keep, last) for name, own in days.items()}
    return {each for each in found if each.day >= first[each.report]} | set(newest.values())


def selected(home: Path, keep: Keep) -> list[Going]:
    """What may go of a folder of dated folders, oldest first."""
    found = versions(home)
    stay = kept(found, keep) | {each for each in found if (each.report, each.day) in _led_to(home)}
    going = [_going(home, each, keep) for each in found if each not in stay]
    return [each for each in going if each.files]


def size(n: int) -> str:
    """A number of bytes in words.

    Examples
    --------
    >>> size(0), size(2_560), size(1_234_567), size(3_400_000_000)
    ('0 kB', '3 kB', '1.2 MB', '3.4 GB')
    """
    for unit, worth in (("GB", 1e9), ("MB", 1e6)):
        if n >= worth:
            return f"{n / worth:.1f} {unit}"
    return f"{round(n / 1e3)} kB"


def told(n: int, total: int, *, is_sure: bool, all_files: bool = False) -> str:
    """What went, or would go, in one sentence.

    Examples
    --------
    >>> told(0, 0, is_sure=True)
    'Nothing to remove: all that is published is to be kept.'
    >>> told(1, 2_000_000, is_sure=False)
    '1 report would go, 2.0 MB; figures files and run records would stay. Add --yes to remove it.'
    >>> told(12, 30_000_000, is_sure=True)
    '12 reports removed, 30.0 MB; figures files and run records stay.'
    """
    if not n:
        return "Nothing to remove: all that is published is to be kept."
    what = f"{words.count(n)} {'report' if n == 1 else 'reports'}"
    stay = "" if all_files else f"; figures files and run records {'stay' if is_sure else 'would stay'}"
    if is_sure:
        return f"{what} removed, {size(total)}{stay}."
    return f"{what} would go, {size(total)}{stay}. Add --yes to remove {'it' if n == 1 else 'them'}."


def _require(out: Path, keep: Keep) -> None:
    if keep.reports is None and keep.days is None:
        raise ParameterError("prune: say what to keep: --keep 8 dates of each report, or --keep-days 400.")
    for option, number in (("--keep", keep.reports), ("--keep-days", keep.days)):
        if number is not None and number < 1:
            raise ParameterError(f"{option}: {number} is less than one. The newest of each report always stays.")
    if not out.is_dir():
        raise ParameterError(f"--out {out}: there is no such folder. Say where the dated folders are.")


def _of_day(folder: Path) -> Iterator[Version]:
    if not re.fullmatch(_DAY, folder.name) or folder.is_symlink():
        return
    known = figures_files.in_folder(folder)
    names = {name for name in known if shelf.is_published(folder, name)}
    failed = {path.name.removesuffix(shelf.FAILED[1]) for path in folder.glob(f"*{shelf.FAILED[1]}")}
    for name in sorted({*known, *failed}):
        period = (known.get(name, {}).get("period") or {}).get("label")
        yield Version(name, folder.name, period, name in names)


def _first(days: list[str], keep: Keep, last: str) -> str:
    """The first day of a report that stays; a report without a good one stays as it is."""
    if not days:
        return ""
    found = [days[-keep.reports :][0]] if keep.reports is not None else []
    if keep.days is not None:
        found.append((date.fromisoformat(last) - timedelta(days=keep.days)).isoformat())
    return min(found)


def _led_to(home: Path) -> set[tuple[str, str]]:
    """Report and day of every page that a stable address leads to, wherever a run or a person pointed it."""
    pages_of = [*home.glob(f"{links.LATEST}/*.html"), *home.glob(f"{links.BY_PERIOD}/*/*.html")]
    ends = [path.resolve() for path in pages_of if path.is_symlink()]
    return {(path.name.removesuffix(".html"), path.parent.name) for path in ends}


def _going(home: Path, version: Version, keep: Keep) -> Going:
    folder = home / version.day
    whole = [end for end in _ALL if version.is_good and end not in _KEPT]
    endings = _ALL if keep.all_files else whole or shelf.FAILED
    files = [f"{version.report}{end}" for end in endings if (folder / f"{version.report}{end}").is_file()]
    return Going(version, tuple(files), sum((folder / name).stat().st_size for name in files))


def _removed(out: Path, home: Path, keep: Keep, pack: File | None) -> None:
    """Remove what may go now, date by date in one step each; then what nothing leads to any more.

    A kill between two steps leaves whole dates and addresses that lead somewhere, but that the page over all dates may
    still lead to an outdated failure; the next run writes that page.
    """
    with publish.staging(out) as staged:
        with locks.exclusive(home) as is_alone:
            going = selected(home, keep)  # again: a run may have published meanwhile
            for day in sorted({each.version.day for each in going}):
                of_day = [each for each in going if each.version.day == day]
                _remove(home, staged, of_day, pack, is_alone=is_alone)
        index.write(home, staged, pack=pack)
        with locks.exclusive(home) as is_alone:
            for folder, names in _idle(home).items():
                exchange.change(folder, staged, {}, names, is_alone=is_alone)
            for number, folder in enumerate(_hollow(home)):
                folder.rename(staged / f"{number}-{folder.name}")
        index.write(home, staged, pack=pack)


def _remove(home: Path, staged: Path, going: list[Going], pack: File | None, *, is_alone: bool) -> None:
    """Take the reports of one date away; where a page was a small one stands in, as something may lead to it."""
    folder, put = home / going[0].version.day, {}
    for each in going:
        name = each.version.report
        if f"{name}.html" in each.files:
            path = staged / f"removed-{name}.html"
            path.write_text(_stand_in(folder, each.version, is_kept=f"{name}.json" not in each.files), encoding="utf-8")
            put[f"{name}.html"] = path
    drop = [name for each in going for name in each.files if name not in put]
    exchange.change(folder, staged, put, drop, is_alone=is_alone, finish=partial(publish.index_of, pack=pack))


def _stand_in(folder: Path, version: Version, *, is_kept: bool) -> str:
    newest = links.latest(version.report)
    return pages.render(
        "removed",
        shelf.run_record(folder, version.report).get("title") or index.title(version.report),
        report=version.report,
        as_of=version.day,
        is_kept=is_kept,
        newest=f"../{newest}" if (folder.parent / newest).exists() else None,
    )


def _idle(home: Path) -> dict[Path, list[str]]:
    """The pages that stand in for a report of which nothing is kept, and that no page leads to, by their folder."""
    known = {path: path.read_text(encoding="utf-8", errors="replace") for path in home.glob("[0-9]*/*.html")}
    known = {path: text for path, text in known.items() if path.name != "index.html"}
    standing = {path for path, text in known.items() if _MARK in text and not path.with_suffix(".json").exists()}
    led_to = {
        home / (day or path.parent.name) / f"{name}.html"
        for path, text in known.items()
        if path not in standing
        for day, name in _LINK.findall(text)
    }
    idle = sorted(standing - led_to)
    return {folder: [path.name for path in idle if path.parent == folder] for folder in {path.parent for path in idle}}


def _hollow(home: Path) -> list[Path]:
    """The dated folders that hold nothing any more but their index."""
    found = [path for path in sorted(home.glob("[0-9]*")) if re.fullmatch(_DAY, path.name) and not path.is_symlink()]
    return [path for path in found if path.is_dir() and {each.name for each in path.iterdir()} <= {"index.html"}]
