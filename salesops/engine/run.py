"""From a request to published reports: plan, load, execute, collect, publish, index."""

import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from salesops import notes, words
from salesops.engine import document, execute, exports, handover, index, pages, plan, publish, record

_CODES = {"ParameterError": 2, "DataError": 3}
_PRECEDENCE = (2, 3, 1, 0)
_NONE = exports.Wanted()


class Made(NamedTuple):
    """How a report ended: its status, or why it failed."""

    report: str
    status: str
    failure: execute.Failure | None = None
    unmade: tuple[str, ...] = ()  # what was asked for beside the page and could not be made

    @property
    def code(self) -> int:
        """The exit code it would give alone."""
        if self.failure is None and self.unmade:
            return 1
        return _CODES.get(self.failure.error, 1) if self.failure else 0


def run(request: plan.Request, say: Callable[[str], None], *, progress: bool = False) -> int:
    """Make the requested reports; one that fails does not stop the others.

    Parameters
    ----------
    request
        What to make, from what, where to.
    say
        Receives each message for the person.
    progress
        Whether to draw progress bars.

    Returns
    -------
    int
        0 all published or nothing to report, 1 a report failed, 2 bad parameters, 3 bad data; of several
        2 before 3 before 1.

    Raises
    ------
    ParameterError, DataError
        What is found before any kernel starts.
    """
    exports.require(request.wanted)
    notes.read(request.root / notes.DEFAULT)  # its faults are told before anything runs
    pack = plan.pack(request.root)
    loaded = plan.load(plan.jobs(request), request.for_each, say)
    plan.require_one_source(loaded, request.out)
    made = []
    with publish.staging(request.out) as staged, handover.folder() as place:
        loaded = handover.companies(loaded, place)
        for number, each in enumerate(loaded, start=1):
            label = f"{number}/{len(loaded)} {each.job.name}" if progress else None
            out, wanted = request.out / each.folder, request.wanted
            made.append(make(each, staged, out, place=place, progress=label, wanted=wanted))
            say(_told(made[-1], each, request.out / each.folder))
        for folder in sorted({each.folder for each in loaded}):
            index.write(request.out / folder, staged, pack=pack)
    return exit_code(each.code for each in made)


def make(
    each: plan.Loaded,
    staged: Path,
    out: Path,
    *,
    place: Path,
    progress: str | None = None,
    wanted: exports.Wanted = _NONE,
) -> Made:
    """Execute, collect and publish one report, or keep what there is of it beside the last good one.

    Companies that are loaded already lie in `place`.
    """
    name, folder, started = each.job.name, out / each.as_of, record.now()
    execution = execute.Execution(nbformat.read(each.job.notebook, as_version=4))
    try:
        with words.written_in(each.company.locale), handover.folder() as lists:
            told = handover.environment(place, lists) | handover.notes_of(each.job)
            execution = _executed(each, out, told, progress)
            if execution.failure is None:
                status = document.write(each, execution.notebook, staged, out, started=started, aside=lists)
                at = (each.folder / each.as_of / f"{name}.html").as_posix()
                unmade = exports.write(wanted, staged, name, each.company, at=at)
        if execution.failure is None:
            publish.into_place(staged, folder, name)
            return Made(name, status, unmade=tuple(unmade))
        failure = execution.failure
    except Exception as fault:  # whatever is wrong with one report, the others go on and a page says so
        failure = execute.Failure(type(fault).__name__, str(fault), traceback=traceback.format_exc())
    _keep_partial(each, execution.notebook, failure, staged, folder)
    return Made(name, "failed", failure)


def exit_code(codes: Iterable[int]) -> int:
    """The one exit code of several reports.

    Examples
    --------
    >>> exit_code([0, 1, 3]), exit_code([3, 2, 1]), exit_code([])
    (3, 2, 0)
    """
    return min(codes, key=_PRECEDENCE.index, default=0)


def _executed(each: plan.Loaded, out: Path, told: dict[str, str], progress: str | None) -> execute.Execution:
    if each.company.opportunities.empty:
        return execute.Execution(document.nothing_to_report(each))
    values = {name: value.value for name, value in each.job.values.items()}
    return execute.execute(each.job.notebook, values, reports=out, told=told, progress=progress)


def _keep_partial(each: plan.Loaded, notebook: Any, failure: execute.Failure, staged: Path, folder: Path) -> None:
    name = each.job.name
    notebook.metadata.pop("papermill", None)
    kept = each.company.unnamed(nbformat.writes(notebook))
    (staged / f"{name}.failed.ipynb").write_text(kept, encoding="utf-8")
    page = pages.render(
        "failed",
        f"{index.title(name)}: not published",
        report=name,
        as_of=each.as_of,
        source=each.company.source,
        where=failure.where,
        message=failure.sentence,
        traceback=failure.traceback,
        last_good=f"{name}.html" if (folder / f"{name}.html").exists() else None,
    )
    (staged / f"{name}.failed.html").write_text(each.company.unnamed(page), encoding="utf-8")
    publish.failure_into_place(staged, folder, name)


def _told(made: Made, each: plan.Loaded, out: Path) -> str:
    if made.failure is None:
        said = f"{made.report}: {made.status}, {out / each.as_of / made.report}.html"
        return "\n  ".join([said, *made.unmade])
    return f"{made.report} failed: {each.job.notebook.name}\n  {made.failure.where}\n  {made.failure.sentence}"
