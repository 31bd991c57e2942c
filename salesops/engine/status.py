"""How the reports of a folder stand: the last run of each, its last good one, when it is due next, what is overdue."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from salesops import words
from salesops.checks import ParameterError
from salesops.engine import log, parameters, prune, schedules, shelf

_GRACE = timedelta(hours=1)  # a run takes its time
_HEADS = ("report", "last run", "as of", "outcome", "cause", "seconds", "last good", "next due")
_NONE = "–"
_Key = tuple[str, str]  # report and folder


class Standing(NamedTuple):
    """One report of one folder: its last run, and its last good one.

    Parameters
    ----------
    report, folder
        The published name, and the person's or team's folder below that of all dates; empty for it.
    last
        What the log says of its last run; empty where the log has none.
    good
        Day of the newest good one that is published; empty where there is none.
    schedule
        Name of the schedule that makes it; empty where none does.
    due, next
        When it was last due and is due next.
    is_overdue
        Whether no run of it ended well since it was last due, an hour of grace over.
    """

    report: str
    folder: str
    last: Mapping[str, Any]
    good: str
    schedule: str = ""
    due: datetime | None = None
    next: datetime | None = None
    is_overdue: bool = False


def status(out: Path, root: Path, now: datetime, *, runs: int = 1, report: str | None = None) -> str:
    """A readable table of the last runs, and a sentence about what is overdue.

    Parameters
    ----------
    out
        The folder of all dates.
    root
        The repository, whose schedules say what is due.
    now
        The present moment.
    runs
        So many last runs of each report.
    report
        This one alone, with its variants.

    Raises
    ------
    ParameterError
        There is nothing to say of: no such folder, or no run of the report.
    """
    if not out.is_dir():
        raise ParameterError(f"--out {out}: there is no such folder. Say where the dated folders are.")
    entries = log.read(out)
    found = standings(out, entries, due(root, out), now)
    if report is not None:
        found = [each for each in found if report in (each.report, each.report.partition(".")[0])]
        if not found:
            raise ParameterError(f"there is no run of '{report}' in {out.name}, and no schedule that makes it.")
    shown = {(each.report, each.folder) for each in found}
    earlier = [each for each in entries if _key(each) in shown] if runs > 1 else []
    return "\n".join(filter(None, [table(found), _earlier(earlier, runs), overdue_sentence(found)]))


def standings(
    out: Path, entries: Iterable[Mapping[str, Any]], wanted: Mapping[str, schedules.Schedule], now: datetime
) -> list[Standing]:
    """Every report that ran, is published or should be, by folder and name.

    Parameters
    ----------
    out
        The folder of all dates.
    entries
        Of `log.read`.
    wanted
        The schedule of each report that one makes, as of `due`.
    now
        The present moment.
    """
    last, well = _last(entries)
    good = _published(out)
    known = {*last, *good}
    made_by = {key: each for name, each in wanted.items() for key in _made(name, each, known)}
    found = []
    for key in sorted({*known, *made_by}, key=lambda key: (key[1], key[0])):
        one = Standing(*key, last.get(key, {}), good.get(key, ""))
        found.append(_dated(one, made_by[key], now, well.get(key, {})) if key in made_by else one)
    return found


def due(root: Path, out: Path) -> dict[str, schedules.Schedule]:
    """The schedule that makes each report in a folder; of two the later one in the file."""
    found: dict[str, schedules.Schedule] = {}
    for each in schedules.read(root).values():
        place = root / (each.out or "reports")
        if place.resolve() == out.resolve():
            found |= dict.fromkeys(_reports(each, root), each)
    return found


def table(found: Iterable[Standing]) -> str:
    """The standings as text in columns; what is not known is a dash.

    Examples
    --------
    >>> ran = {"finished": "2026-10-01T06:00:21+00:00", "as_of": "2026-09-30", "outcome": "failed", "cause": "data",
    ...        "seconds": 21.4}
    >>> print(table([Standing("funnel", "", ran, "2026-08-31")]))
    report  last run              as of       outcome  cause  seconds  last good   next due
    funnel  2026-10-01 06:00 UTC  2026-09-30  failed   data        21  2026-08-31  –
    >>> table([])
    'Nothing was run or published here yet.'
    """
    rows = [_cells(each) for each in found]
    if not rows:
        return "Nothing was run or published here yet."
    return _columns([list(_HEADS), *rows])


def overdue_sentence(found: Iterable[Standing]) -> str:
    """Which reports are overdue; none where no schedule makes any.

    Examples
    --------
    >>> monday = datetime.fromisoformat("2026-09-28T06:00:00+00:00")
    >>> late = Standing("funnel", "", {}, "2026-09-20", schedule="weekly", due=monday, is_overdue=True)
    >>> overdue_sentence([late])
    'Overdue: funnel, since 2026-09-28 06:00 UTC (schedule weekly).'
    >>> overdue_sentence([late._replace(is_overdue=False)])
    'Nothing is overdue.'
    >>> overdue_sentence([Standing("funnel", "", {}, "")])
    ''
    """
    scheduled = [each for each in found if each.schedule]
    late = [each for each in scheduled if each.is_overdue]
    if not scheduled:
        return ""
    if not late:
        return "Nothing is overdue."
    said = [f"{each.report}, since {_moment(each.due)} (schedule {each.schedule})" for each in late]
    return f"Overdue: {'; '.join(said)}."


def _last(entries: Iterable[Mapping[str, Any]]) -> tuple[dict[_Key, Mapping[str, Any]], dict[_Key, Mapping[str, Any]]]:
    """The last run of each report, and the last that ended well; a past date that was made up for is neither."""
    entries = list(entries)
    newest: dict[_Key, str] = {}
    for each in entries:
        newest[_key(each)] = max(newest.get(_key(each), ""), each.get("as_of") or "")
    told = [each for each in entries if each.get("as_of") in (None, newest[_key(each)])]
    return {_key(each): each for each in told}, {_key(each): each for each in told if each["outcome"] in log.GOOD}


def _key(entry: Mapping[str, Any]) -> _Key:
    return entry["report"], entry.get("folder", "")


def _made(name: str, schedule: schedules.Schedule, known: set[_Key]) -> list[_Key]:
    """What a schedule makes of one report: itself, or, where it is split, the parts that there are."""
    parts = [key for key in known if key[0].startswith(f"{name}.")] if "--for-each" in schedule.args else []
    return parts or [(name, "")]


def _dated(one: Standing, schedule: schedules.Schedule, now: datetime, well: Mapping[str, Any]) -> Standing:
    last, following = schedules.last_due(schedule, now), schedules.next_due(schedule, now)[0]
    ended = datetime.fromisoformat(well["finished"]) if well else None
    is_late = now - last >= _GRACE and (ended is None or ended < last)
    return one._replace(schedule=schedule.name, due=last, next=following, is_overdue=is_late)


def _reports(schedule: schedules.Schedule, root: Path) -> list[str]:
    """The reports that a schedule makes: its own list, or that of its parameter file."""
    if schedule.reports:
        return list(schedule.reports)
    file = root / schedule.parameters if schedule.parameters else root / "parameters" / "quarterly.yaml"
    return (parameters.read_file(file).reports or []) if file.is_file() else []


def _published(out: Path) -> dict[_Key, str]:
    """The newest day of each report that has a page."""
    found: dict[_Key, str] = {}
    for home in prune.homes(out):
        folder = "" if home == out else home.relative_to(out).as_posix()
        for day in sorted(home.glob("[0-9]*")):
            names = [path.stem for path in day.glob("*.ipynb") if shelf.is_published(day, path.stem)]
            found |= {(name, folder): day.name for name in names if not name.endswith(".failed")}
    return found


def _cells(each: Standing) -> list[str]:
    ran = each.last
    took = ran.get("seconds")
    name = f"{each.folder}/{each.report}" if each.folder else each.report
    return [
        name,
        _moment(datetime.fromisoformat(ran["finished"])) if ran else _NONE,
        ran.get("as_of") or _NONE,
        ran.get("outcome") or _NONE,
        ran.get("cause") or _NONE,
        words.count(round(took)) if took is not None else _NONE,
        each.good or _NONE,
        _moment(each.next) + (" (overdue)" if each.is_overdue else "") if each.next else _NONE,
    ]


def _earlier(entries: list[Mapping[str, Any]], runs: int) -> str:
    """The last runs of each report, the newest first, where more than the last is asked for."""
    if not entries:
        return ""
    seen: dict[_Key, int] = {}
    rows = []
    for each in reversed(entries):
        key = _key(each)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= runs:
            rows.append([*_cells(Standing(*key, each, ""))[:6], each.get("message") or ""])
    return "\nLast runs, the newest first:\n" + _columns([[*_HEADS[:6], "message"], *rows])


def _columns(rows: list[list[str]]) -> str:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    justified = [str.rjust if name == "seconds" else str.ljust for name in rows[0]]
    lines = [[just(cell, n) for just, cell, n in zip(justified, row, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} {at.tzname()}"
