"""The page of a report that was not made, for a person who did not write it, and what is kept for who did."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

from salesops import words
from salesops.checks import SalesopsError
from salesops.engine import causes, exchange, execute, index, kinds, pages, plan, publish, scrub, shelf
from salesops.engine.parameters import File

FOLDER = "failed"  # beside the dated folders: of runs that stopped before their day was known
LONGEST, LONGEST_TRACE = 2_000, 20_000  # characters of a message and of its technical details
_HEAD = re.compile(r"Traceback \(most recent call last\):?[ \t]*\n?")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Link(NamedTuple):
    """A page to go to."""

    href: str
    label: str


def unnamed(failure: execute.Failure, company: Any) -> execute.Failure:
    """The failure without people who may not be shown, whatever a message or a line of code says of them.

    Parameters
    ----------
    failure
        Of a report about the company.
    company
        As loaded.
    """
    said = {name: company.unnamed(getattr(failure, name)) for name in ("message", "heading", "traceback")}
    return failure._replace(**said)


def keep(
    each: plan.Loaded, notebook: NotebookNode, failure: execute.Failure, staged: Path, out: Path, *,
    owner: str = "", attempts: int = 1, is_mailed: bool = False, pack: File | None = None,
) -> str:  # fmt: skip
    """Publish the failure page and the notebook as far as it ran; the last good report stays as it is.

    Parameters
    ----------
    each
        The report's job and company.
    notebook
        As far as it ran; it is changed.
    failure
        Of `unnamed`.
    staged
        Folder to write to.
    out
        The folder of dated folders the report is published in.
    owner
        Mail address of who looks after the report.
    attempts
        How often it was tried.
    is_mailed
        Whether the owner gets a mail; readers get none.
    pack
        As of `index.write`.

    Returns
    -------
    str
        Why the page itself could not be published, if so: nothing else is stopped by that.
    """
    name, folder = each.job.name, out / each.as_of
    try:
        text = each.company.unnamed(nbformat.writes(_partial(each, notebook)))
        (staged / f"{name}.failed.ipynb").write_text(text, encoding="utf-8")
        shown = each.company.unnamed(page(each, failure, out, owner=owner, attempts=attempts))
        (staged / f"{name}.failed.html").write_text(shown, encoding="utf-8")
        if is_mailed:
            from salesops.engine import mail

            mail.write_failure(shown, staged / f"{name}.failed.owner.eml", owner=owner)
        publish.failure_into_place(staged, folder, name, pack=pack)
    except OSError as fault:
        return f"its failure page could not be written either ({causes.strerror(fault)})."
    except SalesopsError as fault:
        if str(fault) == failure.message:  # the folder itself may not be written: once said is enough
            return ""
        return f"its failure page could not be written either: {fault}"
    return ""


def page(each: plan.Loaded, failure: execute.Failure, out: Path, *, owner: str = "", attempts: int = 1) -> str:
    """The failure page of a report whose source could be read.

    Parameters
    ----------
    each, failure, out, owner, attempts
        As of `keep`.
    """
    company, period = each.company, each.period
    opportunities = company.inputs.loc[company.inputs["table"] == "opportunities", "rows"]
    between = f", {words.day(period.start)} to {words.day(period.end)}" if period else ""
    facts = [
        ("Report", each.job.name),
        ("Period", f"{period.label}{between}" if period else ""),
        ("As of", words.day(company.as_of)),
        ("Source", company.source),
        ("Deals read", words.count(int(opportunities.sum()))),
        ("Newest record", words.day(company.data_through)),
        ("Tried", _times(attempts)),
    ]
    values = {name: value.value for name, value in each.job.values.items()} | {"source": company.source}
    given = [(name, kinds.shown(values[name]), value.origin) for name, value in each.job.values.items()]
    return _rendered(
        each.job.name, failure, facts, parameters=given, where=failure.where, owner=owner,
        last_good=_last_good(out, each.as_of, each.job.name), notebook=f"{each.job.name}.failed.ipynb",
    )  # fmt: skip


def name(request: plan.Request) -> str:
    """What a page is called that is about a whole run: its schedule, its one report, or its pack.

    Examples
    --------
    >>> name(plan.Request(schedule="weekly")), name(plan.Request(reports=("funnel",))), name(plan.Request())
    ('weekly', 'funnel', 'quarterly')
    >>> name(plan.Request(reports=("funnel", "leads"))), name(plan.Request(parameters=Path("../a b.yaml")))
    ('reports', 'a-b')
    """
    several = "reports" if request.reports else (request.parameters or plan.PACK).stem
    told = request.schedule or (request.reports[0] if len(request.reports) == 1 else several)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", told).strip("-.") or "run"


def keep_before(request: plan.Request, fault: Exception) -> None:
    """Leave a page beside the dated folders: what was asked for could not be begun, or not be finished.

    Parameters
    ----------
    request
        What was asked for.
    fault
        Why nothing came of it. Where even the page cannot be written, who ran it is told by the fault alone.
    """
    found, called = causes.of(fault), name(request)
    failure = execute.Failure(type(fault).__name__, str(fault), cause=found)
    asked = [text for text in request.assignments if text.partition("=")[0].rpartition(".")[2] in ("source", "as_of")]
    facts = [
        ("Reports", ", ".join(request.reports) or f"those of {called}"),
        ("Schedule", request.schedule),
        ("Asked for", scrub.text(", ".join(asked))),
    ]
    try:
        last = f"../latest/{called}.html" if (request.out / "latest" / f"{called}.html").exists() else "../index.html"
        good = Link(last, "The newest published") if (request.out / FOLDER / last).resolve().exists() else None
    except OSError:  # a folder that may not even be looked into: what came first is to be told
        good = None
    text = _rendered(called, failure, facts, owner=request.wanted.owner, last_good=good)
    with suppress(SalesopsError, OSError), publish.staging(request.out) as staged:
        (request.out / FOLDER).mkdir(exist_ok=True)
        exchange.write(request.out / FOLDER / f"{called}.html", text, staged)
        if request.wanted.email:
            from salesops.engine import mail

            mail.write_failure(text, staged / "owner.eml", owner=request.wanted.owner)
            (staged / "owner.eml").replace(request.out / FOLDER / f"{called}.owner.eml")


def clear(request: plan.Request, jobs: Iterable[plan.Job]) -> None:
    """Remove the page of `keep_before` that a run which came to its end has made outdated."""
    for called in {name(request), *(job.name for job in jobs)}:
        for ending in (".html", ".owner.eml"):
            (request.out / FOLDER / f"{called}{ending}").unlink(missing_ok=True)
    with suppress(OSError):  # others are left in it, or it is not there
        (request.out / FOLDER).rmdir()


def _rendered(
    called: str, failure: execute.Failure, facts: list[tuple[str, str]], *, last_good: Link | None, owner: str,
    where: str = "", notebook: str = "", parameters: list[tuple[str, str, str]] | None = None,
) -> str:  # fmt: skip
    return pages.render(
        "failed",
        f"{index.title(called)}: not published",
        cause=causes.told(failure.cause or "notebook code"),
        where=where,
        message=_cut(scrub.text(_plain(failure.sentence)), LONGEST),
        facts=[fact for fact in facts if fact[1]],
        parameters=parameters or [],
        last_good=last_good,
        owner=owner,
        notebook=notebook,
        traceback=_plain(scrub.text(failure.traceback))[-LONGEST_TRACE:].strip("\n"),
    )


def _partial(each: plan.Loaded, notebook: NotebookNode) -> NotebookNode:
    """The notebook with what it was given and said, but no path of the machine and no secret."""
    values = {name: value.value for name, value in each.job.values.items()}
    shown = values | ({"source": each.company.source} if "source" in values else {})
    return execute.scrubbed(notebook, shown, scrub.text)


def _last_good(out: Path, as_of: str, called: str) -> Link | None:
    """The report as it was published before: of this day, else of the last before it."""
    if (out / as_of / f"{called}.html").exists():
        return Link(f"{called}.html", f"The one made before as of {words.day(as_of)}")
    day = shelf.previous(out, as_of, called)
    return Link(f"../{day}/{called}.html", f"As of {words.day(day)}") if day else None


def _times(attempts: int) -> str:
    return "once" if attempts == 1 else f"{words.count(attempts)} times"


def _plain(text: str) -> str:
    """A message as people may read it: without the marks of code that a page may not hold."""
    return _ADDRESS.sub("", _HEAD.sub("", text))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
