"""A run handed to a cluster of Dask: each report, and each part of a fan-out, is one `salesops run` on a worker.

The cluster schedules, retries and restarts; here is only what is asked of it. The workers see the same folders under
the same names, and have an environment of their own: no password is sent. A worker that is killed is started again by
its nanny, and what it was at work on is made again.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from salesops.checks import DataError, ParameterError
from salesops.engine import commands, failures, index, plan, publish
from salesops.engine.limits import Guard, RunTimeoutError

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL, DASK = "local", "dask://"
_ANSWER = 10  # seconds in which a scheduler answers
_EXTRAS = ("pdf", "xlsx", "pptx", "email")


class Ended(NamedTuple):
    """How a report ended on a worker; as `run.Made` for a summary and an exit code."""

    report: str
    status: str
    seconds: float
    cause: str
    code: int
    told: str
    has_begun: bool = True  # whether its kernel could be begun: else only a page beside the dated folders tells of it


def require(executor: str) -> None:
    """Refuse an executor that there is not.

    Raises
    ------
    ParameterError
        It is neither this machine nor the address of a scheduler.

    Examples
    --------
    >>> require("local"), require("dask://10.0.0.5:8786")
    (None, None)
    >>> require("dusk://10.0.0.5:8786")
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: --executor: 'dusk://10.0.0.5:8786' is none. Write local, or dask://HOST:PORT with \
the address of a Dask scheduler.
    """
    host, mark, port = executor.removeprefix(DASK).rpartition(":")
    if executor != LOCAL and not (executor.startswith(DASK) and host and mark and port.isdigit()):
        raise ParameterError(
            f"--executor: '{executor}' is none. Write local, or dask://HOST:PORT with the address of a Dask scheduler."
        )


def words(each: plan.Loaded, request: plan.Request) -> list[str]:
    """The command that makes one report of a request, wherever it is run.

    Parameters
    ----------
    each
        The report, or its part.
    request
        What was asked for; the paths stay as they were written.

    Examples
    --------
    >>> job = plan.Job("funnel.EMEA", Path("notebooks/funnel.ipynb"), {}, part="EMEA")
    >>> asked = plan.Request(assignments=("period=2026Q3",), for_each="region", retries=1)
    >>> print(*words(plan.Loaded(job, None, None), asked))
    run funnel --for-each region=EMEA -p period=2026Q3 --root . --out reports --jobs 1 --retries 1 --force --json
    """
    job, wanted, limits = each.job, request.wanted, request.limits
    report = job.name if job.part is None else job.name.rpartition(".")[0]
    column = (request.for_each or "").partition("=")[0]
    pairs = [
        ("--for-each", None if job.part is None else f"{column}={job.part}"),
        *(("-p", text) for text in request.assignments), ("--parameters", request.parameters),
        ("--root", request.root), ("--out", request.out), ("--jobs", 1), ("--retries", request.retries),
        ("--timeout", limits.timeout), ("--cell-timeout", limits.cell_timeout), ("--memory", limits.memory),
        ("--max-age", request.max_age), ("--base-url", wanted.base_url or None),
        ("--readers", ",".join(wanted.readers) or None), ("--owner", wanted.owner or None),
        ("--for-schedule", request.schedule or None),
    ]  # fmt: skip
    switches = [f"--{name}" for name in _EXTRAS if getattr(wanted, name)]
    switches += ["--force"] * request.force + ["--cold"] * request.cold + ["--json"]
    return ["run", report, *(str(part) for pair in pairs if pair[1] is not None for part in pair), *switches]


def made(loaded: list[plan.Loaded], request: plan.Request, guard: Guard, say: Callable[[str], None]) -> list[Ended]:
    """Make reports on the workers of a cluster, those that read others after the others; said in the order asked for.

    Parameters
    ----------
    loaded
        The reports and parts, those that read others last.
    request
        What was asked for, with the address of the cluster.
    guard
        Of the whole run.
    say
        Receives each message for the person.

    Raises
    ------
    ParameterError
        Dask is not installed, or the cluster does not answer.
    """
    client, ends = _client(request.executor, say), []
    with client, publish.staging(request.out) as leash:
        for is_last in (False, True):
            group = [each for each in loaded if each.job.reads_reports == is_last]
            for one in _each_made(client, group, request, leash, guard):
                say(one.told)
                ends.append(one)
        for folder in sorted({each.folder for each in loaded}):
            index.write(request.out / folder, leash, pack=plan.pack(request.root))
    lost = [one for one in ends if not one.has_begun]
    if lost:
        kind = {2: ParameterError, 3: DataError}.get(lost[0].code, OSError)
        failures.keep_before(request, kind("; ".join(one.told for one in lost)))
    return ends


def _client(executor: str, say: Callable[[str], None]) -> "Client":
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise ParameterError(
            "--executor: Dask is not installed here. Install it with: pip install 'salesops[dask]'"
        ) from None
    is_secret = dask.config.get("distributed.comm.require-encryption", None)
    address = ("tls://" if is_secret else "tcp://") + executor.removeprefix(DASK)
    why = ""
    try:
        client = Client(address, timeout=_ANSWER, name="salesops", set_as_default=False)
    except (OSError, ValueError, RuntimeError) as fault:
        why = type(fault).__name__
    if why:  # raised here: what holds the fault holds a client half made, whose end would be waited for
        raise ParameterError(
            f"--executor {executor}: no scheduler answers there ({why}). Start one with `dask scheduler` and workers "
            "with `dask worker`, or write the right address."
        )
    if not client.scheduler_info(n_workers=-1)["workers"]:
        say(f"{executor}: there is no worker yet; waiting for one.")
    return client


def _each_made(
    client: "Client", group: list[plan.Loaded], request: plan.Request, leash: Path, guard: Guard
) -> Iterator[Ended]:
    """How each ended, in their order; what is not done when this is left is no longer wanted."""
    where = {"folder": os.getcwd(), "leash": str(leash.absolute())}
    works = [
        client.submit(
            commands.run, words(each, request), **where, key=f"{each.job.name}-{uuid.uuid4().hex}", pure=False,
            retries=request.retries,
        )
        for each in group
    ]  # fmt: skip
    try:
        for each, work in zip(group, works, strict=True):
            yield _ended(each.job.name, work, guard)
    finally:
        client.cancel(works, force=True)


def _ended(name: str, work: "Future", guard: Guard) -> Ended:
    from distributed import KilledWorker

    try:
        done = guard.within(work.result)
    except RunTimeoutError as fault:
        return _lost(name, str(fault), "run timeout")
    except commands.DiedError as fault:
        return _lost(name, f"{fault}.", "kernel killed")
    except KilledWorker:
        return _lost(name, "every worker that made it died. Look into the workers' logs.", "kernel killed")
    except Exception as fault:  # of the cluster: it went away, or its workers have no salesops
        return _lost(name, f"{type(fault).__name__}: {' '.join(str(fault).split())}", "input/output")
    return ended(name, done)


def ended(name: str, done: commands.Done) -> Ended:
    """How a report ended, by what its command said.

    Parameters
    ----------
    name
        The report's published name.
    done
        Of `commands.run`.

    Examples
    --------
    >>> told = {"report": "funnel", "outcome": "ok", "seconds": 9.5, "cause": None, "exit_code": 0, "told": "ok"}
    >>> ended("funnel", commands.Done(0, [told], ""))[:5]
    ('funnel', 'ok', 9.5, '', 0)
    >>> ended("funnel", commands.Done(3, [], "deals.csv: is empty.")).told
    'funnel failed: deals.csv: is empty.'
    """
    mine = next((told for told in done.reports if told["report"] == name), None)
    if mine is not None:
        return Ended(name, mine["outcome"], mine["seconds"], mine["cause"] or "", mine["exit_code"], mine["told"])
    cause = {2: "parameters", 3: "data"}.get(done.code, "input/output")
    if not done.code:  # it made something else: the data are others by now
        return _lost(name, "its command ended well and did not make it. Run it again.", cause)
    return _lost(name, done.said, cause, done.code)


def _lost(name: str, why: str, cause: str, code: int = 1) -> Ended:
    return Ended(name, "failed", 0.0, cause, code, f"{name} failed: {why}", has_begun=False)
