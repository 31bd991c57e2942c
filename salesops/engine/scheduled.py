"""The commands of schedules: what a person or a scheduler types, turned into what `salesops run` takes."""

import argparse
import contextlib
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from salesops.checks import ParameterError
from salesops.engine import schedules, timers

if TYPE_CHECKING:
    from salesops.engine import plan

_ADDED = ("assignments",)  # given twice they add up; of the rest the command line wins


def options(given: argparse.Namespace, parser: argparse.ArgumentParser, say: Callable[[str], None]) -> Any:
    """The options of a scheduled run: the schedule's, where the command line says nothing else.

    A schedule with ``snapshots`` keeps its dated copy first, and the run reads the copies.

    Raises
    ------
    ParameterError
        There is no such schedule, or the file has a fault.
    """
    if not given.schedule:
        raise ParameterError("--due: goes with --schedule. Say which, or set the day with -p as_of=2026-09-30.")
    schedule = schedules.find(given.root, given.schedule)
    due = None
    if given.due:
        due = schedules.last_due(schedule, schedules.moment(given.due, schedule, now=_now))
        say(f"{schedule.name}: due {due:%A %Y-%m-%d %H:%M %Z}, data through {schedule.data_day(due)}.")
    if schedule.snapshots:
        from salesops.crm import snapshots

        source, kept = given.root / schedule.source, given.root / schedule.snapshots
        say(snapshots.append(source, kept, as_of=due.date() if due else None))
    return _joined(given, schedule, parser, due)


def backfill(
    given: argparse.Namespace, parser: argparse.ArgumentParser, request: Callable, say: Callable[[str], None]
) -> int:
    """Make the past dates of a schedule; see `past.backfill`."""
    from salesops.engine import backfill as past
    from salesops.engine import plan as plans
    from salesops.engine import run  # with them comes all that runs reports

    if not given.schedule:
        raise ParameterError("backfill: --schedule is missing. Its cron says which days were due.")
    schedule = schedules.find(given.root, given.schedule)
    first, last = _day("--from", given.first), _day("--to", given.last)
    if last < first:
        raise ParameterError(f"--from {first}: is after --to {last}. Write the earlier day first.")
    days = [schedule.data_day(due) for due in schedules.between(schedule, first, last)]
    wanted: plan.Request = request(_joined(given, schedule, parser, None))
    with run.kernels(plans.jobs(wanted), wanted) as zygote:
        return past.backfill(wanted, days, say, force=given.force, make=partial(run.run, zygote=zygote))


def told(given: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """What `salesops schedule` prints: the list, or the entries that `--emit` asks for.

    Raises
    ------
    ParameterError
        The file has a fault, or there is no such schedule.
    """
    found = schedules.read(given.root)
    chosen = {given.name: schedules.find(given.root, given.name)} if given.name else found
    if not chosen:
        raise ParameterError(f"{schedules.FILE.as_posix()}: holds no schedule. README.md has an example.")
    if given.to and given.emit != "systemd":
        raise ParameterError("--to: goes with --emit systemd. A crontab is one file: write it with > FILE.")
    for each in chosen.values():
        _base(each, given, parser, None)
    if given.emit == "cron":
        return timers.crontab(chosen.values(), given.root).rstrip("\n")
    if given.emit == "systemd" and given.to:
        return "\n".join(map(str, timers.write(chosen.values(), given.root, given.to)))
    if given.emit == "systemd":
        return "\n".join(
            f"# {name}\n{text}" for each in chosen.values() for name, text in timers.units(each, given.root).items()
        )
    return "\n".join(schedules.listed(chosen, lambda each: schedules.moment(given.after, each, now=_now)))


def _joined(
    given: argparse.Namespace, schedule: schedules.Schedule, parser: argparse.ArgumentParser, due: datetime | None
) -> argparse.Namespace:
    base, plain = _base(schedule, given, parser, due), parser.parse_args(["run"])
    joined = argparse.Namespace(**vars(given))
    for name, usual in vars(plain).items():
        own = getattr(given, name, usual)
        if name in _ADDED:
            setattr(joined, name, [*getattr(base, name), *own])
        elif own == usual and name != "command":
            setattr(joined, name, getattr(base, name))
    return joined


def _base(
    schedule: schedules.Schedule, given: argparse.Namespace, parser: argparse.ArgumentParser, due: datetime | None
) -> argparse.Namespace:
    """What the schedule alone says, read by the parser of the command line."""
    complaint = io.StringIO()
    words = ["run", "--root", str(given.root), *schedules.arguments(schedule, given.root, due=due)]
    try:
        with contextlib.redirect_stderr(complaint):
            found = parser.parse_args(words)
    except SystemExit:
        said = complaint.getvalue().strip().rpartition("error: ")[2]
        raise ParameterError(
            f"{schedules.FILE.as_posix()}, {schedule.name}: args: {said}. See salesops run --help."
        ) from None
    found.schedule = schedule.name
    return found


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ParameterError(f"{option}: '{text[:60]}' is no day. Write it as 2026-09-30.") from None


def _now() -> datetime:
    """The clock, for who asks when a schedule is due next, or for the moment that is due now."""
    return datetime.now(UTC)
