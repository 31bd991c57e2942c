"""One line of JSON for every report of every run: what came of it, when, and why; `salesops status` reads them.

The lines lie in ``<out>/log/<year>-<month>.jsonl``, by the month (UTC) in which the report ended.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from salesops.engine import record, scrub

FOLDER = "log"
GOOD = ("ok", "partial", "empty", "unchanged")
FAILED = "failed"


def entry(
    *,
    report: str,
    outcome: str,
    started: str,
    finished: str,
    as_of: str | None = None,
    period: str | None = None,
    folder: str = "",
    source: str | None = None,
    run_id: str | None = None,
    cause: str | None = None,
    message: str | None = None,
    where: str | None = None,
    attempts: int = 1,
    peak_memory_bytes: int | None = None,
    schedule: str | None = None,
) -> dict[str, Any]:
    """What the log says of one report of one run; no path of the machine and no secret is in it.

    Parameters
    ----------
    report
        Its published name.
    outcome
        ``ok``, ``partial``, ``empty``, ``unchanged`` (it was not run) or ``failed``.
    started, finished
        Moments, as `record.now` writes them.
    as_of, period
        Day and period's label; empty where even the source could not be read.
    folder
        Of the report below the folder of all dates: a person's or a team's own; empty for it.
    source
        Label of the source.
    run_id
        Of the report as it stands published after this run.
    cause, message, where
        Why it failed, in which cell.
    attempts
        How often it was tried.
    peak_memory_bytes
        Of its kernel.
    schedule
        Name of the schedule it ran for.

    Examples
    --------
    >>> made = entry(report="funnel", outcome="ok", started="2026-10-01T06:00:00.000+00:00",
    ...              finished="2026-10-01T06:00:21.500+00:00", as_of="2026-09-30")
    >>> made["seconds"], made["outcome"], made["cause"]
    (21.5, 'ok', None)
    """
    return {
        "finished": finished, "started": started, "seconds": record.seconds(started, finished), "report": report,
        "folder": folder, "as_of": as_of, "period": period, "source": source, "outcome": outcome, "run_id": run_id,
        "cause": cause, "message": message and scrub.text(message), "where": where and scrub.text(where),
        "attempts": attempts, "peak_memory_bytes": peak_memory_bytes, "schedule": schedule,
    }  # fmt: skip


def append(out: Path, told: Mapping[str, Any]) -> None:
    """Add one line; several runs may do so at once, and one that is cut off spoils no other.

    Parameters
    ----------
    out
        The folder of all dates.
    told
        Of `entry`.

    Raises
    ------
    OSError
        It cannot be written.
    """
    place = out / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    line = json.dumps(dict(told), sort_keys=True, ensure_ascii=False, allow_nan=False)
    file = os.open(place / f"{told['finished'][:7]}.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        # What a crash left half written stays a line of its own, which `read` passes over.
        end = os.lseek(file, 0, os.SEEK_END)
        is_cut = end > 0 and os.lseek(file, -1, os.SEEK_END) >= 0 and os.read(file, 1) != b"\n"
        os.write(file, ("\n" * is_cut + line + "\n").encode())  # in one call, so that no other's line lies within
    finally:
        os.close(file)


def read(out: Path) -> list[dict[str, Any]]:
    """Every whole line of the log, in the order of their end; a folder without a log has none.

    Examples
    --------
    >>> read(Path("nowhere"))
    []
    """
    found = [each for path in sorted((out / FOLDER).glob("*.jsonl")) for each in _lines(path)]
    return sorted(found, key=lambda each: each["finished"])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_bytes().split(b"\n"):
        try:
            found = json.loads(text)
        except ValueError:  # cut off, or empty
            continue
        if isinstance(found, dict) and {"finished", "report", "outcome"} <= set(found):
            yield found
