"""Whether a published report is still what a run would make: from everything its page depends on, each part hashed.

The parts are in the run record as ``depends``; a report whose parts, files and exports are all as recorded is not run
again. What a notebook reads past `crm.load`, `notes`, `decisions` and `figures_files` is not seen: run it with
``--force``.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from salesops import figures_files, notes
from salesops.engine import changed, exports, imported, record, shelf

_LEDGER = "decisions"  # the module that reads the ledger
_NONE = exports.Wanted()


class Standing(NamedTuple):
    """A published report that need not be run again."""

    run_id: str
    as_of: str
    status: str

    @property
    def sentence(self) -> str:
        """What is said instead of running it.

        Examples
        --------
        >>> Standing("0123456789abcdef", "2026-09-30", "ok").sentence
        'unchanged: 0123456789abcdef, made as of 2026-09-30'
        """
        return f"unchanged: {self.run_id}, made as of {self.as_of}"


def ingredients(each: Any, out: Path) -> dict[str, str]:
    """A hash of each thing that a report's page depends on, as it is now, before the report is run.

    ``notebook``, ``code`` (the package), ``modules`` (of the notebook's own), ``packages`` (all installed),
    ``parameters`` (values and origins), ``data``, ``people`` (as the policy and its key let them be shown), ``ties``,
    ``notes``, ``decisions`` (where the notebook mentions them), ``earlier`` (what was published before, as *what
    changed* reads it) and ``reports`` (others' figures files, as its notebook read them when it was last run here).

    Parameters
    ----------
    each
        `plan.Loaded`: the job and its company.
    out
        The folder of dated folders the report is published in.
    """
    job, company = each.job, each.company
    values = {name: [repr(_label(name, value.value, company)), value.origin] for name, value in job.values.items()}
    found = {
        "report": [job.name, each.as_of, str(each.period)],
        "notebook": hashlib.sha256(job.notebook.read_bytes()).hexdigest(),
        "code": record.code_hash(),
        "modules": imported.modules(job.notebook),
        "packages": imported.packages(),
        "parameters": values,
        "data": [company.inputs[["table", "rows", "sha256"]].astype("str").to_numpy().tolist(), company.data_through],
        "people": _people(company),
        "ties": each.ties,
        "notes": _notes(job, company),
        "decisions": _decisions(job),
        "earlier": _earlier(out, job.name, each.as_of),
    }
    read = _reread(out, shelf.run_record(out / each.as_of, job.name))
    hashed = {name: record.digest(content) for name, content in found.items()}
    return hashed | {"reports": reports_digest(read, job.name, each.as_of)}


def exports_of(wanted: exports.Wanted) -> dict[str, str]:
    """A hash of what each file beside the page is asked to say, by its ending.

    Examples
    --------
    >>> found = exports_of(exports.Wanted(pdf=True, email=True, readers=("ann@example.com",)))
    >>> list(found), found[".pdf"] == exports_of(exports.Wanted(pdf=True))[".pdf"]
    (['.pdf', '.eml', '.owner.eml'], True)
    """
    asked = {".pdf": wanted.pdf, ".xlsx": wanted.xlsx, ".pptx": wanted.pptx, ".eml": wanted.email}
    asked[".owner.eml"] = wanted.email
    told = {".eml": [list(wanted.readers), wanted.pdf], ".owner.eml": wanted.owner}
    return {end: record.digest([wanted.base_url, told.get(end)]) for end, is_asked in asked.items() if is_asked}


def standing(each: Any, out: Path, depends: Mapping[str, str], wanted: exports.Wanted = _NONE) -> Standing | None:
    """The published report, if it is whole and a run would make the same; nothing where it has to be run.

    It has to be where a part differs, a file is missing or is not the one that was published, a file asked for beside
    the page is not there or was made with other settings, or the last run of it failed.

    Parameters
    ----------
    each
        `plan.Loaded`.
    out
        The folder of dated folders the report is published in.
    depends
        Of `ingredients`, taken now.
    wanted
        The files asked for beside the page.
    """
    folder, name = out / each.as_of, each.job.name
    found = shelf.run_record(folder, name)
    is_same = bool(found.get("depends")) and not differing(found, depends)
    if not is_same or hashes(folder, name) != found.get("files") or (folder / f"{name}.failed.html").exists():
        return None
    known = found.get("exports", {})
    if any(
        known.get(end) != told or not (folder / f"{name}{end}").is_file() for end, told in exports_of(wanted).items()
    ):
        return None
    return Standing(found["run_id"], each.as_of, found["outcome"])


def differing(found: Mapping[str, Any], depends: Mapping[str, str]) -> list[str]:
    """The parts in which a run record differs from what holds now.

    Examples
    --------
    >>> differing({"depends": {"data": "a", "notes": "b"}}, {"data": "a", "notes": "c", "ties": "d"})
    ['notes', 'ties']
    """
    known = found.get("depends", {})
    return [name for name in sorted({*known, *depends}) if known.get(name) != depends.get(name)]


def hashes(folder: Path, name: str) -> dict[str, str]:
    """SHA-256 of each file of a report by its ending, for the run record; of one that is not there none.

    Examples
    --------
    >>> hashes(Path("nowhere"), "win_loss")
    {}
    """
    paths = {ending: folder / f"{name}{ending}" for ending in shelf.ORDER if ending != ".run.json"}
    return {end: hashlib.sha256(path.read_bytes()).hexdigest() for end, path in paths.items() if path.is_file()}


def read_by(notebook_left: Path) -> list[dict[str, Any]]:
    """What a notebook read of other reports, as its kernel left it: each question once, with what it found.

    Parameters
    ----------
    notebook_left
        The folder in which the kernel left it.
    """
    file = notebook_left / figures_files.ASKED_FILE
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [json.loads(line) for line in dict.fromkeys(lines)]


def reports_digest(answers: Iterable[Mapping[str, str]], name: str, as_of: str) -> str:
    """The part ``reports`` of `ingredients`.

    Whatever a report finds of itself as of its own day, and of its variants there, is what an earlier run of it left,
    and does not count.

    Parameters
    ----------
    answers
        What each question found: a hash by day and report.
    name, as_of
        Of the report that asked.
    """
    own = f"{as_of}/{name.partition('.')[0]}"
    return record.digest([{at: told for at, told in each.items() if at.partition(".")[0] != own} for each in answers])


def _label(name: str, value: Any, company: Any) -> Any:
    """Where a machine keeps the source changes nothing of the page."""
    return company.source if name == "source" else value


def _people(company: Any) -> list[Any]:
    """Who is shown and how: a policy's key changes codes, and is in no file of the source."""
    shown = [pd.util.hash_pandas_object(frame, index=False).sum() for frame in (_owners(company), company.reps)]
    return [[str(number) for number in shown], list(company.policy), company.locale, company.currency]


def _owners(company: Any) -> pd.DataFrame:
    return company.all_opportunities[["opportunity_id", "owner_id"]].astype("str")


def _notes(job: Any, company: Any) -> list[str]:
    own = notes.of_report(notes.read(_notes_folder(job)), job.name, source=company.source)
    return [repr(note) for note in own]


def _decisions(job: Any) -> str:
    """The ledger, where the notebook reads it."""
    ledger = _notes_folder(job) / notes.LEDGER
    is_read = _LEDGER in imported.names(job.notebook)
    return hashlib.sha256(ledger.read_bytes()).hexdigest() if is_read and ledger.is_file() else ""


def _notes_folder(job: Any) -> Path:
    return job.notebook.parents[1] / notes.DEFAULT


def _earlier(out: Path, name: str, as_of: str) -> list[Any]:
    """What the page shows of the reports before it, and which of them it leads to."""
    return [shelf.previous(out, as_of, name), figures_files.fingerprints(changed.earlier(out, name, as_of))]


def _reread(out: Path, found: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What the notebook would find of other reports now, if it asks what it asked when it was last run."""
    for question in (each["asked"] for each in found.get("read", [])):
        days = {name: date.fromisoformat(question[name]) for name in ("as_of", "before") if question[name]}
        rest = {name: question[name] for name in ("report", "variants", "last")}
        yield figures_files.fingerprints(figures_files.read(out, **days, **rest))
