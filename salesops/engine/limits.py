"""What a run may take: time for a cell, time for all of it, memory of a notebook's kernel; and how to stop it.

Memory is what a kernel really holds (resident and swapped out, of ``/proc``), looked at twenty times a second. A limit
of the system on addresses (``RLIMIT_AS``, ``RLIMIT_DATA``) would count what BLAS, Arrow and DuckDB reserve for each
thread and never touch, and the company's tables, which every kernel maps and few read whole: it would end reports that
need little, or be too wide to hold. A kernel cannot touch more than some hundred megabytes between two looks. What it
starts is not counted with it.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDoneError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from salesops.checks import ParameterError, SalesopsError

Found = TypeVar("Found")

MEGABYTE = 1 << 20
_EVERY = 0.05  # seconds between two looks at a kernel
_GROUP, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_HELD = ("VmRSS", "VmSwap")


class Limits(NamedTuple):
    """Seconds of a whole run and of a cell, megabytes of a kernel; without a limit where empty."""

    timeout: float | None = None
    cell_timeout: int | None = None
    memory: int | None = None


class RunTimeoutError(SalesopsError):
    """The whole run took longer than it may."""


class StoppedError(Exception):
    """A person or the system stopped the run."""


class Watch:
    """One kernel: the most memory it held, and why it was ended, if it was ended by us."""

    def __init__(self, process: subprocess.Popen):
        self.process = process
        self.peak: int | None = None
        self.ended = ""  # "out of memory", "run timeout" or "stopped"
        self.oom_kills = oom_kills()

    def look(self) -> int:
        """Bytes it holds now; the most is kept."""
        held = memory(self.process.pid)
        if held:
            self.peak = max(self.peak or 0, held["VmHWM"])
        return sum(held.get(name, 0) for name in _HELD)

    def end(self, why: str) -> None:
        """End it and what it started, at once."""
        self.ended = self.ended or why
        with suppress(OSError):  # it has ended
            if os.getpgid(self.process.pid) == self.process.pid:  # never our own group
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()


class Guard:
    """The limits of one run, its end in time, and the way to stop all that runs.

    Parameters
    ----------
    limits
        What a run may take.
    clock
        Seconds that never go back; the time of day does not matter.
    """

    def __init__(self, limits: Limits = Limits(), clock: Callable[[], float] = time.monotonic):  # noqa: B008
        self.limits, self._clock = limits, clock
        self._end = None if limits.timeout is None else clock() + limits.timeout
        self._stopped = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether the time of the whole run is up."""
        return self._end is not None and self._clock() >= self._end

    def stop(self) -> None:
        """Stop every kernel that runs, and let none begin."""
        self._stopped.set()

    def require(self) -> None:
        """Refuse to go on.

        Raises
        ------
        StoppedError
            The run was stopped.
        RunTimeoutError
            Its time is up.

        Examples
        --------
        >>> Guard().require()
        >>> Guard(Limits(timeout=0.0)).require()
        Traceback (most recent call last):
            ...
        salesops.engine.limits.RunTimeoutError: the whole run may take 0 s (--timeout), and they are over.
        """
        self.require_running()
        if self.is_over:
            raise RunTimeoutError(self.overdue)

    def require_running(self) -> None:
        """Refuse to go on once the run was stopped; what is nearly done may take longer than the run may.

        Raises
        ------
        StoppedError
            It was.
        """
        if self._stopped.is_set():
            raise StoppedError

    @property
    def overdue(self) -> str:
        """What is said when the time is up."""
        return f"the whole run may take {self.limits.timeout:g} s (--timeout), and they are over."

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than the run may take, and not once it is stopped."""
        left = seconds if self._end is None else min(seconds, self._end - self._clock())
        self._stopped.wait(max(left, 0.0))

    def within(self, work: Callable[[], Found]) -> Found:
        """What work gives, if it gives it in time; a file that never answers does not hold up the run for ever.

        Raises
        ------
        RunTimeoutError
            It does not; what it began goes on until the process ends.

        Examples
        --------
        >>> Guard(Limits(timeout=5.0)).within(lambda: "done")
        'done'
        """
        if self._end is None:
            return work()
        done: Future[Found] = Future()
        threading.Thread(target=_into, args=(done, work), daemon=True).start()
        try:
            return done.result(max(self._end - self._clock(), 0.0))
        except NotDoneError:
            if done.done():  # it was work that raised it
                raise
            raise RunTimeoutError(self.overdue) from None

    @contextmanager
    def watching(self, process: subprocess.Popen) -> Iterator[Watch]:
        """Hold a kernel to the limits as long as the block lasts."""
        watch, done = Watch(process), threading.Event()
        thread = threading.Thread(target=self._look, args=(watch, done), daemon=True)
        thread.start()
        try:
            yield watch
        finally:
            done.set()
            thread.join()

    def _look(self, watch: Watch, done: threading.Event) -> None:
        while not watch.ended:
            held = watch.look()
            why = self._why(held)
            if why:
                watch.end(why)
            if done.wait(_EVERY):
                return

    def _why(self, held: int) -> str:
        if self._stopped.is_set():
            return "stopped"
        if self.is_over:
            return "run timeout"
        most = self.limits.memory
        return "out of memory" if most is not None and held > most * MEGABYTE else ""


def require(limits: Limits, *, jobs: int | None = None, retries: int = 0, max_age: int | None = None) -> None:
    """Refuse limits that mean nothing, or that this system cannot hold anyone to.

    Parameters
    ----------
    limits
        Of time and memory.
    jobs, retries, max_age
        Reports at a time, tries after the first, and days of age; any number of jobs, and any age, if empty.

    Raises
    ------
    ParameterError
        A limit is not above zero, or memory cannot be read here.

    Examples
    --------
    >>> require(Limits(timeout=600.0, cell_timeout=60))
    >>> require(Limits(cell_timeout=0))
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: --cell-timeout: 0 is no limit. Give seconds above 0.
    """
    for name, unit in (("timeout", "seconds"), ("cell_timeout", "seconds"), ("memory", "megabytes")):
        value = getattr(limits, name)
        if value is not None and not value > 0:
            raise ParameterError(f"--{name.replace('_', '-')}: {value:g} is no limit. Give {unit} above 0.")
    for name, value, least in (("jobs", jobs, 1), ("retries", retries, 0), ("max-age", max_age, 0)):
        if value is not None and value < least:
            raise ParameterError(f"--{name}: {value} is too few. Give {least} or more.")
    if limits.memory is not None and not memory(os.getpid()):
        raise ParameterError("--memory: this system does not say what a process holds (no /proc). Leave it out.")


def cores() -> int:
    """Processors that this process may use.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory(pid: int) -> dict[str, int]:
    """Bytes a process holds (``VmRSS``, ``VmSwap``) and the most it held (``VmHWM``); empty where nobody says so.

    Examples
    --------
    >>> memory(-1)
    {}
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = dict(line.split(":", 1) for line in lines if line.startswith(("VmHWM", "VmRSS", "VmSwap")))
    return {name: int(text.split()[0]) * 1024 for name, text in found.items()}


def oom_kills(group: Path = _GROUP) -> int | None:
    """How many processes of our control group the system has killed for memory; empty where it does not say.

    Parameters
    ----------
    group
        Where control groups are mounted.

    Examples
    --------
    >>> oom_kills(Path("nowhere")) is None
    True
    """
    try:
        lines = _OWN_GROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, at = line.split(":", 2)
        places = {"": ("", "memory.events"), "memory": ("memory", "memory.oom_control")}
        if controllers in places:
            below, name = places[controllers]
            found = _count(group / below / at.lstrip("/") / name)
            if found is None:  # inside a container its own group is the root
                found = _count(group / below / name)
            if found is not None:
                return found
    return None


def _count(path: Path) -> int | None:
    try:
        counts = dict(line.split() for line in path.read_text(encoding="utf-8").splitlines())
        return int(counts["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None


def _into(done: Future, work: Callable[[], object]) -> None:
    try:
        found = work()
    except BaseException as fault:  # handed to who waits
        done.set_exception(fault)
    else:
        done.set_result(found)
