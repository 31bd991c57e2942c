"""One command line, run on whatever machine is told to: what a worker of a cluster does. It loads no report.

The command is `salesops run` for one report. It may be run twice, or on two machines at once: it publishes in one step,
and each time the same.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

_EVERY = 0.5  # seconds between two looks whether the command is still wanted
_PATIENCE = 30  # seconds that it may take to stop
_LAST_LINES = 3


class Done(NamedTuple):
    """How a command ended: its exit code, what it says of each report, and the last it said to the person."""

    code: int
    reports: list[dict[str, Any]]
    said: str


class DiedError(Exception):
    """The command was killed; another try may go well."""


def run(arguments: Sequence[str], *, folder: str, leash: str) -> Done:
    """Run ``salesops`` with these arguments in a folder.

    It is stopped as soon as the leash is gone: whoever asked for it is then no longer there.

    Parameters
    ----------
    arguments
        Of the command line, ``--json`` among them. The environment is this machine's own.
    folder, leash
        The working directory, and a folder that is there as long as the command is wanted.

    Raises
    ------
    DiedError
        It was killed.

    Examples
    --------
    >>> done = run(["cache", "--json"], folder="nowhere", leash="nowhere")
    >>> done.code, done.said.endswith("does not see the folder 'nowhere'. Run the workers where it is mounted.")
    (2, True)
    """
    for place in (folder, leash):
        if not Path(place).is_dir():
            here = socket.gethostname()
            said = f"the worker on {here} does not see the folder '{place}'. Run the workers where it is mounted."
            return Done(2, [], said)
    command = [sys.executable, "-m", "salesops", *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, text=True, encoding="utf-8", errors="replace", **pipes) as process:
        try:
            out, said = _end(process, Path(leash))
        except BaseException:
            process.kill()
            raise
    if process.returncode < 0 and Path(leash).is_dir():
        raise DiedError(f"the command was killed by signal {-process.returncode} on {socket.gethostname()}")
    return Done(process.returncode, reports(out), "\n".join(said.splitlines()[-_LAST_LINES:]))


def reports(out: str) -> list[dict[str, Any]]:
    """What ``salesops run --json`` wrote: one line a report, as far as it came.

    Examples
    --------
    >>> reports('{"report": "funnel"}\\n{"repo')
    [{'report': 'funnel'}]
    """
    found = []
    for line in out.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        found += [told] if isinstance(told, dict) and "report" in told else []
    return found


def _end(process: subprocess.Popen, leash: Path) -> tuple[str, str]:
    """What it wrote; it is told to stop once, and killed where it does not."""
    waited = 0.0
    while True:
        try:
            return process.communicate(timeout=_EVERY)
        except subprocess.TimeoutExpired:
            if leash.is_dir():
                continue
        if not waited:
            process.terminate()
        elif waited > _PATIENCE:
            process.kill()
        waited += _EVERY
