"""From a request to published reports: plan, load, execute, collect, publish, index; several at a time."""

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import NamedTuple

import nbformat

from salesops import checks, crm, notes, words
from salesops.engine import (
    causes,
    document,
    execute,
    exports,
    failures,
    handover,
    index,
    limits,
    log,
    order,
    parameters,
    plan,
    publish,
    record,
    remote,
    retries,
    shelf,
    unchanged,
    warm,
)  # fmt: skip

_CODES = {"ParameterError": 2, "DataError": 3, "StaleError": 3}
_PRECEDENCE = (2, 3, 1, 0)
_NONE = exports.Wanted()
# Drawing is not made for several threads, and two reports of one folder are published one after the other anyway.
_PUBLISHING = threading.Lock()


class Made(NamedTuple):
    """How a report ended: its status, or why it failed; and what it took."""

    report: str
    status: str
    failure: execute.Failure | None = None
    unmade: tuple[str, ...] = ()  # what was asked for beside the page and could not be made
    seconds: float = 0.0
    started: str = ""
    finished: str = ""
    attempts: int = 1
    peak_memory_bytes: int | None = None
    standing: unchanged.Standing | None = None  # what is published, where it need not be run again

    @property
    def code(self) -> int:
        """The exit code it would give alone."""
        if self.failure is None and self.unmade:
            return 1
        return _CODES.get(self.failure.error, 1) if self.failure else 0

    @property
    def cause(self) -> str:
        """One of `causes.CAUSES`; empty where it did not fail."""
        return self.failure.cause if self.failure else ""


class Terms(NamedTuple):
    """On what terms reports are made: limits, tries, how old data may be, and who looks after them."""

    guard: limits.Guard = limits.Guard()
    retries: int = 0
    sleep: Callable[[float], object] = time.sleep
    max_age: int | None = None
    owner: str = ""
    schedule: str = ""
    is_forced: bool = True  # whether a report is run whose page would be the same
    pack: parameters.File | None = None  # in whose order the index lists reports
    zygote: warm.Zygote | None = None  # what forks kernels


def run(
    request: plan.Request,
    say: Callable[[str], None],
    *,
    progress: bool = False,
    sleep: Callable[[float], object] | None = None,
    tell: Callable[[dict[str, object]], None] | None = None,
    zygote: warm.Zygote | None = None,
) -> int:
    """Make the requested reports, several at a time; one that fails does not stop the others.

    What is said, in which order, and every figure are the same however many run at a time. Reports that read others
    start when all others are done.

    Parameters
    ----------
    request
        What to make, from what, where to, within which limits.
    say
        Receives each message for the person.
    progress
        Whether to draw progress bars, where one report runs at a time.
    sleep
        Waits so many seconds before another try; the clock without.
    tell
        Receives what the log says of each report, its exit code and what was said of it; for other programs.
    zygote
        What forks kernels, where one run is of several; without, the run has its own. See `kernels`.

    Returns
    -------
    int
        0 all published or nothing to report, 1 a report failed, 2 bad parameters, 3 bad data; of several
        2 before 3 before 1.

    Raises
    ------
    ParameterError, DataError, RunTimeoutError
        What is found before any kernel starts. Unless it is a parameter that a person typed, a page beside the dated
        folders says so.
    """
    started, guard = record.now(), limits.Guard(request.limits)
    terms = Terms(
        guard, request.retries, sleep or guard.sleep, request.max_age, request.wanted.owner, request.schedule,
        request.force, zygote=zygote,
    )  # fmt: skip
    try:
        return _run(request, terms, say, progress, tell)
    except Exception as fault:
        if request.schedule or not isinstance(fault, checks.ParameterError):
            failures.keep_before(request, fault)
            _log(request, _entry_before(request, fault, started), say)
        raise
    except BaseException:
        guard.stop()
        raise


def _run(request: plan.Request, terms: Terms, say: Callable[[str], None], progress: bool, tell: Callable | None) -> int:
    exports.require(request.wanted)
    limits.require(request.limits, jobs=request.jobs, retries=request.retries, max_age=request.max_age)
    remote.require(request.executor)
    notes.read(request.root / notes.DEFAULT)  # its faults are told before anything runs
    jobs, terms = plan.jobs(request), terms._replace(pack=plan.pack(request.root))
    with nullcontext(terms.zygote) if terms.zygote else kernels(jobs, request) as zygote:
        return _run_jobs(jobs, request, terms._replace(zygote=zygote), say, progress, tell)


def _run_jobs(
    jobs: list[plan.Job], request: plan.Request, terms: Terms, say: Callable[[str], None], progress: bool,
    tell: Callable | None,
) -> int:  # fmt: skip
    if terms.zygote and (request.force or not _is_published(request.out, jobs)):
        terms.zygote.begin()  # while the data are read
    read = _reader(terms, say)
    loaded = terms.guard.within(lambda: plan.load(jobs, request.for_each, say, read=read, part=request.part))
    words.set_locale(loaded[-1].company.locale if loaded else "en")  # of the index; it was read in another thread
    plan.require_one_source(loaded, request.out)
    loaded = sorted(loaded, key=lambda each: each.job.reads_reports)  # these after the others, else as asked
    if request.executor != remote.LOCAL:
        made = remote.made(loaded, request, terms.guard, say)
    else:
        made = _made_here(loaded, request, terms, say, progress, tell)
    if all(getattr(one, "has_begun", True) for one in made):
        failures.clear(request, jobs)
    if request.for_each:
        say(summary(made))
    return exit_code(each.code for each in made)


def _made_here(
    loaded: list[plan.Loaded], request: plan.Request, terms: Terms, say: Callable[[str], None], progress: bool,
    tell: Callable | None,
) -> list[Made]:  # fmt: skip
    made = []
    with publish.staging(request.out) as staged, handover.folder() as place:
        loaded = handover.companies(loaded, place)
        # Closed before the folders go: whatever stops us, no report is still at work in them.
        with closing(_each_made(loaded, request, staged, place, terms, progress)) as ends:
            for each, one in zip(loaded, ends, strict=True):
                made.append(one)
                told, entry = _told(one, each, request.out / each.folder), _entry(one, each, request)
                say(told)
                _log(request, entry, say)
                if tell:
                    tell(entry | {"exit_code": one.code, "told": told})
        for folder in sorted({each.folder for each in loaded}):
            index.write(request.out / folder, staged, pack=terms.pack)
    return made


def make(
    each: plan.Loaded,
    staged: Path,
    out: Path,
    *,
    place: Path,
    progress: str | None = None,
    wanted: exports.Wanted = _NONE,
    terms: Terms = Terms(),  # noqa: B008
) -> Made:
    """Execute, collect and publish one report, or keep what there is of it beside the last good one.

    Companies that are loaded already lie in `place`. What a passing disturbance stopped is tried again, as of the
    same day.

    Raises
    ------
    StoppedError
        The run was stopped; nothing of the report is published.
    """
    begun, started = time.monotonic(), record.now()

    def once(attempt: int) -> tuple[Made, execute.Execution]:
        return _once(each, staged, out, place, progress, wanted, terms, started, attempt)

    made, execution = retries.until(
        once, lambda found: bool(found[0].failure and found[0].failure.is_passing), retries=terms.retries,
        sleep=terms.sleep,
    )  # fmt: skip
    if made.failure is not None:
        terms.guard.require_running()  # what being stopped brought about is no failure
        failure = failures.unnamed(made.failure, each.company)
        kept = failures.keep(
            each, execution.notebook, failure, staged, out, owner=terms.owner, attempts=made.attempts,
            is_mailed=wanted.email, pack=terms.pack,
        )  # fmt: skip
        made = made._replace(failure=failure, unmade=tuple(filter(None, [kept])))
    took = {"seconds": time.monotonic() - begun, "started": started, "finished": record.now()}
    return made._replace(**took, peak_memory_bytes=execution.peak_memory_bytes)


def kernels(jobs: list[plan.Job], request: plan.Request) -> AbstractContextManager[warm.Zygote | None]:
    """What forks the kernels of these jobs as long as the block lasts; none where each shall start by itself."""
    notebooks, environment = [job.notebook for job in jobs], execute.kernel_environment()
    return warm.zygote(notebooks, environment, is_wanted=not request.cold and request.executor == "local")


def exit_code(codes: Iterable[int]) -> int:
    """The one exit code of several reports.

    Examples
    --------
    >>> exit_code([0, 1, 3]), exit_code([3, 2, 1]), exit_code([])
    (3, 2, 0)
    """
    return min(codes, key=_PRECEDENCE.index, default=0)


def summary(made: Iterable[Made | remote.Ended]) -> str:
    """A table of how each part of a fan-out ended.

    Examples
    --------
    >>> crashed = execute.Failure("KeyError", "'amount'", cause="notebook code")
    >>> print(summary([Made("funnel.EMEA", "ok", seconds=12.34), Made("funnel.APAC", "failed", crashed, seconds=3.0)]))
    report  part  status  seconds  cause
    funnel  EMEA  ok         12.3
    funnel  APAC  failed      3.0  notebook code
    """
    rows = [("report", "part", "status", "seconds", "cause")]
    for each in made:
        report, _, part = each.report.rpartition(".")
        rows.append((report or part, part if report else "", each.status, f"{each.seconds:.1f}", each.cause))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[*map(str.ljust, row[:3], wide), row[3].rjust(wide[3]), row[4]] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _each_made(
    loaded: list[plan.Loaded], request: plan.Request, staged: Path, place: Path, terms: Terms, progress: bool
) -> Iterator[Made]:
    """Each report's end, in the order of the reports; those that read others begin when all others have ended."""
    at_once = request.jobs or limits.cores()
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        try:
            for is_last in (False, True):
                group = [at for at, each in enumerate(loaded) if each.job.reads_reports == is_last]
                group = group if at_once == 1 else order.longest_first(loaded, group, request.out)
                shown = progress and at_once == 1
                labels = {at: f"{at + 1}/{len(loaded)} {loaded[at].job.name}" if shown else None for at in group}
                works = {
                    at: pool.submit(_in_thread, loaded[at], staged / str(at), request, place, labels[at], terms)
                    for at in group
                }
                for at in sorted(group):
                    yield works[at].result()
        except BaseException:
            terms.guard.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _in_thread(
    each: plan.Loaded, staged: Path, request: plan.Request, place: Path, label: str | None, terms: Terms
) -> Made:
    out = request.out / each.folder
    with execute.own_loop():
        return make(each, staged, out, place=place, progress=label, wanted=request.wanted, terms=terms)


def _once(
    each: plan.Loaded, staged: Path, out: Path, place: Path, progress: str | None, wanted: exports.Wanted,
    terms: Terms, started: str, attempt: int,
) -> tuple[Made, execute.Execution]:  # fmt: skip
    """One try."""
    name = each.job.name
    execution = execute.Execution(nbformat.read(each.job.notebook, as_version=4))
    try:
        staged.mkdir(exist_ok=True)
        terms.guard.require()
        require_fresh(each, terms.max_age)
        depends = unchanged.ingredients(each, out)
        standing = None if terms.is_forced else unchanged.standing(each, out, depends, wanted)
        if standing:
            return Made(name, "unchanged", standing=standing), execution
        run = record.Run(started, depends, unchanged.exports_of(wanted), attempt, schedule=terms.schedule or None)
        with words.written_in(each.company.locale), handover.folder() as lists:
            told = handover.environment(place, lists) | handover.notes_of(each.job)
            execution = _executed(each, out, told, progress, terms)._replace(attempts=attempt)
            if execution.failure is None:
                with _PUBLISHING:
                    run = run._replace(peak_memory_bytes=execution.peak_memory_bytes)
                    made = _published(each, execution, staged, out, lists, wanted, terms, run)
                return made._replace(attempts=attempt), execution
        failure = execution.failure
    except limits.StoppedError:
        raise
    except Exception as fault:  # whatever is wrong with one report, the others go on and a page says so
        failure = _failure(fault)
    return Made(name, "failed", failure, attempts=attempt), execution


def _published(
    each: plan.Loaded, execution: execute.Execution, staged: Path, out: Path, lists: Path, wanted: exports.Wanted,
    terms: Terms, run: record.Run,
) -> Made:  # fmt: skip
    name = each.job.name
    terms.guard.require_running()
    status = document.write(each, execution.notebook, staged, out, run=run, aside=lists)
    at = (each.folder / each.as_of / f"{name}.html").as_posix()
    unmade = exports.write(wanted, staged, name, each.company, at=at)
    terms.guard.require_running()
    publish.into_place(staged, out / each.as_of, name, pack=terms.pack)
    return Made(name, status, unmade=tuple(unmade))


def require_fresh(each: plan.Loaded, max_age: int | None) -> None:
    """Refuse data whose newest record is too long before the day the report is as of.

    Without an ``as_of`` that is the day of the newest record itself, and nothing is too old.

    Parameters
    ----------
    each
        The job and its company.
    max_age
        Days; any age is good without.

    Raises
    ------
    StaleError
        They are older.
    """
    if max_age is None:
        return
    company = each.company
    age = (company.as_of - company.data_through).days
    if age > max_age:
        raise checks.StaleError(
            f"{company.source}: the newest record is of {words.day(company.data_through)}, {age} days before "
            f"{words.day(company.as_of)}, and may be {max_age} days old (--max-age). Export anew."
        )


def _is_published(out: Path, jobs: list[plan.Job]) -> bool:
    """Whether each report is there of some day, so that perhaps none has to run."""
    return all(any(out.glob(f"[0-9]*/{job.name}.html")) for job in jobs)


def _reader(terms: Terms, say: Callable[[str], None]) -> Callable[..., crm.Company]:
    """Reads a source, again where that was disturbed."""

    days: dict[str, object] = {}  # whatever arrives meanwhile, a source is read again as of the day it was read first

    def read(**asked: object) -> crm.Company:
        source = str(asked.get("source"))
        if "as_of" in asked and asked["as_of"] is None:
            asked["as_of"] = days.get(source)

        def once(attempt: int) -> crm.Company | Exception:
            terms.guard.require()
            try:
                return crm.load(**asked)
            except Exception as fault:
                if attempt <= terms.retries and causes.is_passing(fault):
                    said = f"{fault} Trying again in {retries.pause(attempt):g} s."
                    say(f"reading the source was disturbed ({attempt} of {terms.retries + 1}): {said}")
                return fault

        found = retries.until(once, _is_passing, retries=terms.retries, sleep=terms.sleep)
        if isinstance(found, Exception):
            raise found
        days.setdefault(source, found.as_of)
        return found

    return read


def _is_passing(found: object) -> bool:
    return isinstance(found, Exception) and causes.is_passing(found)


def _executed(
    each: plan.Loaded, out: Path, told: dict[str, str], progress: str | None, terms: Terms
) -> execute.Execution:
    if each.company.opportunities.empty:
        return execute.Execution(document.nothing_to_report(each))
    values = {name: value.value for name, value in each.job.values.items()}
    return execute.execute(
        each.job.notebook, values, reports=out, told=told, progress=progress, guard=terms.guard, zygote=terms.zygote
    )


def _failure(fault: Exception) -> execute.Failure:
    trace = "".join(traceback.format_exception(fault))
    told = execute.Failure(type(fault).__name__, str(fault), traceback=trace)
    return told._replace(cause=causes.of(fault), is_passing=causes.is_passing(fault))


def _told(made: Made, each: plan.Loaded, out: Path) -> str:
    if made.standing:
        return f"{made.report}: {made.standing.sentence}"
    if made.failure is None:
        said = f"{made.report}: {made.status}, {out / each.as_of / made.report}.html"
        return "\n  ".join([said, *made.unmade])
    lines = [f"{made.report} failed: {each.job.notebook.name}", made.failure.where, made.failure.sentence]
    return "\n  ".join([*lines, *made.unmade])


def _entry(made: Made, each: plan.Loaded, request: plan.Request) -> dict[str, object]:
    folder = request.out / each.folder / each.as_of
    message, where = (made.failure.sentence, made.failure.where) if made.failure else (None, None)
    return log.entry(
        report=made.report, outcome=made.status, started=made.started, finished=made.finished, as_of=each.as_of,
        period=each.period.label if each.period else None, folder=each.folder.as_posix() if each.folder.parts else "",
        source=each.company.source, run_id=shelf.run_record(folder, made.report).get("run_id"),
        cause=made.cause or None, message=message, where=where,
        attempts=made.attempts, peak_memory_bytes=made.peak_memory_bytes, schedule=request.schedule or None,
    )  # fmt: skip


def _entry_before(request: plan.Request, fault: Exception, started: str) -> dict[str, object]:
    return log.entry(
        report=failures.name(request), outcome=log.FAILED, started=started, finished=record.now(),
        cause=causes.of(fault), message=str(fault), schedule=request.schedule or None,
    )  # fmt: skip


def _log(request: plan.Request, entry: dict[str, object], say: Callable[[str], None]) -> None:
    """Add a line to the log; one that cannot be written is said and stops nothing."""
    try:
        log.append(request.out, entry)
    except OSError as fault:
        say(f"the log in {request.out / log.FOLDER} could not be written ({causes.strerror(fault)}).")
