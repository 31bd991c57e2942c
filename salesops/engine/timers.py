"""Entries for what people already run: schedules as a crontab, or as systemd units."""

import re
import shlex
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from cronsim import CronSim

from salesops.checks import ParameterError
from salesops.engine.schedules import NOW, Schedule

KINDS = ("cron", "systemd")
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_CRON_TOLD = (
    "# CRON_TZ holds for the lines below it. Cronie reads it; Debian's own cron does not: install cronie there, set",
    "# the machine's zone, or use --emit systemd. What a run says is mailed to MAILTO: to its owner alone.",
)
_SKIPPED_TOLD = (
    "# Where the clocks go forward they may skip this moment, and systemd leaves it out: choose another hour,",
    "# or make that day's reports with salesops backfill.",
)


def command(schedule: Schedule, root: Path) -> list[str]:
    """The words of a job: this Python, this repository, the latest due moment."""
    words = [sys.executable, "-m", "salesops", "run", "--root", str(root.resolve())]
    return [*words, "--schedule", schedule.name, "--due", NOW]


def crontab(schedules: Iterable[Schedule], root: Path) -> str:
    """The lines of a crontab, each schedule with its time zone and its owner.

    Raises
    ------
    ParameterError
        A path has a line break.
    """
    lines = [*_CRON_TOLD]
    # MAILTO holds until the next one: who has none comes first, and is told as the machine's cron is set.
    for each in sorted(schedules, key=lambda each: bool(each.owner)):
        # cron takes a bare % for the end of the command
        said = shlex.join(_on_one_line(command(each, root))).replace("%", r"\%")
        to = [f'MAILTO="{each.owner}"'] * bool(each.owner)
        lines += [f"# {each.name}", f"CRON_TZ={each.timezone}", *to, f"{each.cron} {said}"]
    return "\n".join(lines) + "\n"


def units(schedule: Schedule, root: Path) -> dict[str, str]:
    """A service and its timer, by file name.

    Raises
    ------
    ParameterError
        A path has a line break.
    """
    said = " ".join(_quoted(word) for word in _on_one_line(command(schedule, root)))
    folder = str(root.resolve()).replace("%", "%%")
    service = [
        "[Unit]", f"Description=salesops: reports of the schedule {schedule.name}", "",
        "[Service]", "Type=oneshot", f"WorkingDirectory={folder}", f"ExecStart={said}",
    ]  # fmt: skip
    timer = [
        "[Unit]", f"Description=salesops: when the schedule {schedule.name} is due", "",
        "[Timer]", *_skipped(schedule), *(f"OnCalendar={when}" for when in calendar(schedule)),
        "Persistent=true", "", "[Install]", "WantedBy=timers.target",
    ]  # fmt: skip
    name = f"salesops-{schedule.name}"
    return {f"{name}.service": "\n".join(service) + "\n", f"{name}.timer": "\n".join(timer) + "\n"}


def calendar(schedule: Schedule) -> list[str]:
    """The moments of a schedule as systemd writes them; two lines where cron takes either of two kinds of day.

    Examples
    --------
    >>> calendar(Schedule("weekly", "0 6 * * 1", timezone="Europe/Berlin"))
    ['Mon *-*-* 06:00:00 Europe/Berlin']
    >>> calendar(Schedule("both", "*/30 6 1 1,7 5"))
    ['*-01,07-01 06:00,30:00 UTC', 'Fri *-01,07-* 06:00,30:00 UTC']
    """
    cron = CronSim(schedule.cron, datetime(2000, 1, 1))
    months, hours = _list(cron.months, 1, 12), _list(cron.hours, 0, 23)
    days, at = _list(cron.days, 1, 31), f"{hours}:{_list(cron.minutes, 0, 59)}:00 {schedule.timezone}"
    weekdays = {day % 7 for day in cron.weekdays}
    named = ",".join(_DAYS[day] for day in sorted(weekdays)) + " " if len(weekdays) < len(_DAYS) else ""
    if cron.day_and:
        return [f"{named}*-{months}-{days} {at}"]
    return [f"*-{months}-{days} {at}", f"{named}*-{months}-* {at}"]


def write(schedules: Iterable[Schedule], root: Path, folder: Path) -> list[Path]:
    """Put the units into a folder and return where they are."""
    made = [(folder / name, text) for each in schedules for name, text in units(each, root).items()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in made:
            path.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise ParameterError(f"--to {folder}: cannot be written ({fault.strerror}). Choose another folder.") from fault
    return [path for path, _ in made]


def _list(values: Iterable[int], low: int, high: int) -> str:
    chosen = sorted(values)
    return "*" if chosen == list(range(low, high + 1)) else ",".join(f"{value:02d}" for value in chosen)


def _skipped(schedule: Schedule) -> list[str]:
    """A remark where the clocks skip a moment: cron then runs just after, systemd does not."""
    if schedule.cron.startswith("*") or schedule.cron.split()[1].startswith("*"):
        return []  # due again within the hour
    cron, start = CronSim(schedule.cron, datetime(2000, 1, 1)), datetime(2026, 1, 1, tzinfo=schedule.zone)  # any year
    for due in CronSim(schedule.cron, start):
        if due > start + timedelta(days=366):
            return []
        if due.hour not in cron.hours or due.minute not in cron.minutes:
            return list(_SKIPPED_TOLD)
    return []


def _on_one_line(words: list[str]) -> list[str]:
    for word in words:
        if re.search(r"[\r\n\0]", word):
            raise ParameterError(f"--emit: {word!r} has a line break, which no entry can hold. Move the folder.")
    return words


def _quoted(word: str) -> str:
    """A word of ExecStart: % and $ stand for themselves, blanks and quotes stay inside it."""
    plain = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", plain):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
