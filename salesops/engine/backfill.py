"""Past dates of a schedule as they would have been then: oldest first, so that each knows the one before it."""

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

from salesops.checks import DataError, ParameterError
from salesops.engine import plan, run

Make = Callable[..., int]
_CODES = {ParameterError: 2, DataError: 3}


def backfill(
    request: plan.Request,
    days: Iterable[date],
    say: Callable[[str], None],
    *,
    force: bool = False,
    make: Make = run.run,
) -> int:
    """Make the reports of a request as of each day; a day that fails does not stop the others.

    A report that is published for its day, and whose last run did not fail, is left as it is. Sources are replayed:
    nothing recorded after the day is known. Later reports that are published already keep their own comparison.

    Parameters
    ----------
    request
        What to make; its ``as_of`` is set to each day.
    days
        Last days of data, in any order.
    say
        Receives each message for the person.
    force
        Whether to make again what is there.
    make
        Makes the reports of one request and returns its exit code.

    Returns
    -------
    int
        As of `run.run`: the worst of all days.

    Raises
    ------
    ParameterError
        A report or a parameter is not what it should be.
    """
    names = [job.name for job in plan.jobs(request)]
    codes, failed = {}, []
    for day in sorted(set(days)):
        missing = names if force else _missing(request, day, names)
        if not missing:
            say(f"{day}: {', '.join(names)} published already.")
            codes[day] = 0
            continue
        codes[day] = _made(_as_of(request, day, missing), day, say, make)
        failed += [day] * bool(codes[day])
    say(_told(len(codes), failed))
    return run.exit_code(codes.values())


def _missing(request: plan.Request, day: date, names: list[str]) -> list[str]:
    """The reports that are not published for a day, or whose last run failed; of parts only the run itself knows."""
    folder = request.out / day.isoformat()
    return [name for name in names if request.for_each or not _is_good(folder, name)]


def _is_good(folder: Path, name: str) -> bool:
    return (folder / f"{name}.html").is_file() and not (folder / f"{name}.failed.html").exists()


def _as_of(request: plan.Request, day: date, names: list[str]) -> plan.Request:
    return request._replace(reports=tuple(names), assignments=(*request.assignments, f"as_of={day.isoformat()}"))


def _made(request: plan.Request, day: date, say: Callable[[str], None], make: Make) -> int:
    try:
        return make(request, say)
    except (ParameterError, DataError) as fault:
        say(f"{day}: {fault}")
        return _CODES[type(fault)]


def _told(n: int, failed: list[date]) -> str:
    if not n:
        return "Nothing was due on these days."
    due = "1 date" if n == 1 else f"{n} dates"
    if not failed:
        return f"{due} due: nothing failed."
    return f"{due} due, {len(failed)} of them with a failure: {', '.join(map(str, failed))}."
