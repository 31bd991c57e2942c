"""What runs by itself: ``parameters/schedules.yaml``, read strictly, and the moments its entries are due."""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from salesops import plain_yaml
from salesops.checks import ParameterError, did_you_mean
from salesops.engine import catalog, exports, parameters

FILE = Path("parameters") / "schedules.yaml"
NOW = "now"
_LAG = {"yesterday": 1, "today": 0}
_CRON = "Write five fields: minute hour day month weekday, e.g. 0 6 * * 1 for Mondays at six."
# What cron and systemd both know; names, L, W, # and @ words are read differently or not at all.
_PLAIN = re.compile(r"[\d*/,-]+( +[\d*/,-]+){4}")
_NOT_IN_ARGS = ("--schedule", "--due", "--root")


class Schedule(NamedTuple):
    """One entry: what runs, when, from what, for whom; paths are as written, seen from the repository."""

    name: str
    cron: str
    parameters: str = ""
    reports: tuple[str, ...] = ()
    timezone: str = "UTC"
    as_of: str = "yesterday"
    period: str = ""
    source: str = ""
    snapshots: str = ""
    out: str = ""
    readers: tuple[str, ...] = ()
    owner: str = ""
    args: tuple[str, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of its moments."""
        return ZoneInfo(self.timezone)

    def data_day(self, due: datetime) -> date:
        """The last day of data of a run that is due at a moment: the day before it, whole, unless ``as_of: today``.

        Examples
        --------
        >>> monday = datetime.fromisoformat("2026-09-28T06:00:00-04:00")
        >>> str(Schedule("weekly", "0 6 * * 1", timezone="America/New_York").data_day(monday))
        '2026-09-27'
        """
        return due.astimezone(self.zone).date() - timedelta(days=_LAG[self.as_of])


def read(root: Path) -> dict[str, Schedule]:
    """The schedules of a repository, by name; none where there is no file.

    Raises
    ------
    ParameterError
        One line for each fault of the file: where, what, what to write.
    """
    path = root / FILE
    if not path.exists():
        return {}
    entries = _entries(path)
    found = catalog.find(root)
    faults = [f"{FILE.as_posix()}, {name}: {told}" for name, entry in entries.items() for told in _faults(name, entry)]
    if not faults:
        made = {name: _made(name, entry) for name, entry in entries.items()}
        faults = [f"{FILE.as_posix()}, {name}: {told}" for name in made for told in _misled(made[name], root, found)]
    if faults:
        raise ParameterError("\n".join(faults))
    return made


def find(root: Path, name: str) -> Schedule:
    """The schedule of a name.

    Raises
    ------
    ParameterError
        There is none, or the file has a fault.
    """
    schedules = read(root)
    if name not in schedules:
        listed = ", ".join(schedules) or "none"
        raise ParameterError(
            f"--schedule: {FILE.as_posix()} has no '{name}'. There are {listed}.{did_you_mean(name, schedules)}"
        )
    return schedules[name]


def arguments(schedule: Schedule, root: Path, *, due: datetime | None = None) -> list[str]:
    """What follows ``salesops run`` for a schedule, as a person would type it.

    Parameters
    ----------
    schedule
        The entry.
    root
        The repository, from where its paths are seen.
    due
        The moment it is due; without one the data say of which day they are.

    Examples
    --------
    >>> weekly = Schedule("weekly", "0 6 * * 1", parameters="parameters/weekly.yaml", owner="ops@example.com")
    >>> " ".join(arguments(weekly, Path(), due=datetime.fromisoformat("2026-09-28T06:00+00:00")))
    '--parameters parameters/weekly.yaml -p as_of=2026-09-27 --email --owner ops@example.com'
    """
    source = schedule.snapshots or schedule.source
    given = {
        "period": schedule.period,
        "source": str(root / source) if source not in ("", "sample") else source,
        "as_of": schedule.data_day(due).isoformat() if due else "",
    }
    said = ["--parameters", str(root / schedule.parameters)] * bool(schedule.parameters)
    said += [word for name, value in given.items() if value for word in ("-p", f"{name}={value}")]
    said += ["--out", str(root / schedule.out)] * bool(schedule.out)
    said += ["--email"] * bool(schedule.owner or schedule.readers)
    said += ["--owner", schedule.owner] * bool(schedule.owner)
    said += ["--readers", ",".join(schedule.readers)] * bool(schedule.readers)
    return [*schedule.reports, *said, *schedule.args]


def moment(text: str, schedule: Schedule, *, now: Callable[[], datetime]) -> datetime:
    """The moment a text names, in the time zone of a schedule.

    Parameters
    ----------
    text
        ``2026-09-28T06:00``, with an offset or without; ``2026-09-28`` for its midnight; or ``now``.
    schedule
        Whose zone holds where the text has none.
    now
        The clock, read for ``now`` alone.

    Examples
    --------
    >>> monday = Schedule("weekly", "0 6 * * 1", timezone="Europe/Berlin")
    >>> moment("2026-09-28T04:00:00+00:00", monday, now=datetime.now).isoformat()
    '2026-09-28T06:00:00+02:00'
    """
    try:
        found = now() if text == NOW else datetime.fromisoformat(text)
    except ValueError:
        raise ParameterError(f"'{text[:60]}' is no moment. Write 2026-09-28T06:00, or {NOW}.") from None
    return found.astimezone(schedule.zone) if found.tzinfo else found.replace(tzinfo=schedule.zone)


def last_due(schedule: Schedule, at: datetime) -> datetime:
    """The latest moment a schedule was due, at or before a moment.

    Examples
    --------
    >>> monday = Schedule("weekly", "0 6 * * 1")
    >>> last_due(monday, datetime.fromisoformat("2026-09-30T12:00+00:00")).isoformat()
    '2026-09-28T06:00:00+00:00'
    >>> last_due(monday, datetime.fromisoformat("2026-09-28T06:00+00:00")).isoformat()
    '2026-09-28T06:00:00+00:00'
    """
    later = at.astimezone(schedule.zone) + timedelta(minutes=1)
    return next(moment for moment in CronSim(schedule.cron, later, reverse=True) if moment <= at)


def next_due(schedule: Schedule, after: datetime, n: int = 1) -> list[datetime]:
    """The next so many moments a schedule is due, after a moment.

    A time of day that the clocks skip is due at the first minute after the gap, one that they repeat is due once.

    Examples
    --------
    >>> nightly = Schedule("nightly", "30 2 * * *", timezone="Europe/Berlin")
    >>> spring = datetime.fromisoformat("2026-03-28T12:00+01:00")
    >>> [str(moment) for moment in next_due(nightly, spring, n=2)]
    ['2026-03-29 03:00:00+02:00', '2026-03-30 02:30:00+02:00']
    """
    moments = CronSim(schedule.cron, after.astimezone(schedule.zone))
    return [next(moments) for _ in range(n)]


def between(schedule: Schedule, first: date, last: date) -> list[datetime]:
    """Every moment a schedule was due on the days from `first` to `last`, both included, oldest first.

    Examples
    --------
    >>> monday = Schedule("weekly", "0 6 * * 1")
    >>> [str(moment.date()) for moment in between(monday, date(2026, 9, 1), date(2026, 9, 14))]
    ['2026-09-07', '2026-09-14']
    """
    start = datetime(first.year, first.month, first.day, tzinfo=schedule.zone) - timedelta(minutes=1)
    found = []
    for due in CronSim(schedule.cron, start):
        if due.date() > last:
            return found
        if due.date() >= first:
            found.append(due)
    return found


def listed(schedules: dict[str, Schedule], at: Callable[[Schedule], datetime], n: int = 3) -> Iterator[str]:
    """A line for each schedule: its name, cron, zone, what it runs, and when it is due next, tabs between."""
    for each in schedules.values():
        what = " ".join(filter(None, [each.parameters, *each.reports]))
        moments = ", ".join(f"{due:%a %Y-%m-%d %H:%M %Z}" for due in next_due(each, at(each), n))
        yield "\t".join([each.name, each.cron, each.timezone, what, moments])


def _entries(path: Path) -> dict[str, Any]:
    try:
        found = plain_yaml.read(path.read_text(encoding="utf-8-sig"))
    except OSError as fault:
        raise ParameterError(f"{FILE.as_posix()}: cannot be read ({fault.strerror}). Check the file.") from fault
    except ValueError as fault:
        raise ParameterError(f"{FILE.as_posix()}: {fault}.") from fault
    if found is not None and not isinstance(found, dict):
        raise ParameterError(f"{FILE.as_posix()}: is no mapping. Write a name, a colon, and its lines below it.")
    return found or {}


def _faults(name: str, entry: Any) -> Iterator[str]:
    """What is wrong with the lines of an entry, each by itself."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", name):
        yield f"'{name[:60]}' cannot name a schedule. Use letters, digits, '_' and '-'."
    if not isinstance(entry, dict):
        yield f"holds no lines. It takes {', '.join(_FIELDS)}."
        return
    for key in entry:
        if key not in _FIELDS:
            yield f"unknown key '{key}'. It takes {', '.join(_FIELDS)}.{did_you_mean(key, _FIELDS)}"
    if not isinstance(entry.get("cron"), str):
        yield f"cron is missing. {_CRON}"
    for key, value in entry.items():
        told = _CHECKS.get(key, _no_text)(value) if key in _FIELDS and value is not None else None
        if told:
            yield f"{key} {told}"


def _made(name: str, entry: dict[str, Any]) -> Schedule:
    values = {key: tuple(_words(value)) if key in _LISTS else value for key, value in entry.items() if value}
    return Schedule(name, **values | {"cron": " ".join(entry["cron"].split())})


def _misled(schedule: Schedule, root: Path, found: dict[str, catalog.Report]) -> Iterator[str]:
    """What an entry names that is not there."""
    if bool(schedule.parameters) == bool(schedule.reports):
        yield "takes either reports or parameters. Write reports: [win_loss], or parameters: parameters/weekly.yaml."
    if schedule.snapshots and schedule.source in ("", "sample"):
        yield "snapshots needs a source to keep copies of. Write source: path/to/exports."
    names = list(schedule.reports)
    if schedule.parameters:
        try:
            names = parameters.read_file(root / schedule.parameters).reports or []
        except ParameterError as fault:
            yield f"parameters: {fault}"
    for name in names:
        if name not in found:
            yield f"there is no report '{name}'. There are {', '.join(found)}.{did_you_mean(name, found)}"
    try:
        exports.require(exports.Wanted(readers=schedule.readers, owner=schedule.owner))
    except ParameterError as fault:
        yield str(fault).replace("--", "", 1)


def _no_text(value: Any) -> str | None:
    return None if isinstance(value, str) and "\n" not in value else "is no text on one line. Write one."


def _no_list(value: Any) -> str | None:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return None
    return "is no list. Write [a, b]."


def _no_cron(value: Any) -> str | None:
    if not isinstance(value, str) or not _PLAIN.fullmatch(value.strip()):
        return f"'{value}' is not read. {_CRON}"
    try:
        due = next(CronSim(value, datetime(2000, 1, 1)), None)  # 50 years from any day hold every leap day and weekday
    except CronSimError as fault:
        return f"'{value}' is not read ({str(fault).lower()}). {_CRON}"
    return None if due else f"'{value}' is never due: no such day is in any year. {_CRON}"


def _no_zone(value: Any) -> str | None:
    known = available_timezones()
    if isinstance(value, str) and value in known:
        return None
    return (
        f"'{value}' is no time zone. Write one such as Europe/Berlin or America/New_York.{did_you_mean(value, known)}"
    )


def _no_lag(value: Any) -> str | None:
    return None if value in _LAG else f"'{value}' is not read. Write yesterday, or today for runs at the end of a day."


def _no_args(value: Any) -> str | None:
    if _no_list(value):
        return "is no list. Write words of salesops run such as [--pdf, --for-each, region]."
    own = [word for word in _words(value) if word.partition("=")[0] in _NOT_IN_ARGS]
    return f"may not hold {own[0]}. Leave it out." if own else None


def _words(value: Any) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else list(value)


_FIELDS = [field for field in Schedule._fields if field != "name"]
_LISTS = ("reports", "readers", "args")
_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "cron": _no_cron,
    "timezone": _no_zone,
    "as_of": _no_lag,
    "reports": _no_list,
    "readers": _no_list,
    "args": _no_args,
}
