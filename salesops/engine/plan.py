"""What a request means: which reports, with which parameters, about which company; nothing runs here."""

import hashlib
import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from salesops import crm, words
from salesops.checks import ParameterError, did_you_mean
from salesops.crm import reconciliation
from salesops.engine import catalog, exports, parameters, schema, shelf
from salesops.engine.limits import Limits
from salesops.engine.parameters import Value
from salesops.periods import Period

PACK = Path("parameters") / "quarterly.yaml"
_GROUPS = 50  # values of a column that splits deals into groups worth a look
Found = TypeVar("Found")
PRIVATE = ("owner_id", "team")  # whose reports lie in a folder of their own


class Request(NamedTuple):
    """What a person asks for; paths are relative to the working directory."""

    root: Path = Path()
    out: Path = Path("reports")
    reports: tuple[str, ...] = ()
    parameters: Path | None = None
    assignments: tuple[str, ...] = ()
    for_each: str | None = None
    wanted: exports.Wanted = exports.Wanted()
    jobs: int | None = None  # reports at a time; as many as there are processors if empty
    retries: int = 2  # tries after the first, where a passing disturbance stopped it
    limits: Limits = Limits()
    max_age: int | None = None  # days that the newest record may be before the day of the reports
    schedule: str = ""  # the schedule it runs for, if any
    force: bool = True  # whether a report is run again whose page would be the same
    executor: str = "local"  # where reports are made: here, or on the cluster at an address
    part: str = ""  # which parts of a fan-out, as INDEX/OF; all without
    cold: bool = False  # whether each kernel starts by itself


class Job(NamedTuple):
    """One report to make: its published name, its notebook, and every parameter's value and origin."""

    name: str
    notebook: Path
    values: dict[str, Value]
    reads_reports: bool = False  # it quotes the other reports of its day, and starts when they are done
    part: str | None = None  # the value of the column that splits a report, where it is about one

    @property
    def source(self) -> str:
        """Where its data come from, as given."""
        return str(self.values["source"].value) if "source" in self.values else "sample"


class Loaded(NamedTuple):
    """A job with the company and the period it is about."""

    job: Job
    company: Any
    period: Period | None
    ties: bool | None = None  # whether the CRM's own totals agree; None where nobody stated them
    folder: Path = Path()  # under --out: a person's or a team's own, so that it can be handed over whole

    @property
    def as_of(self) -> str:
        """Name of the dated folder."""
        return self.company.as_of.isoformat()


def jobs(request: Request) -> list[Job]:
    """The reports of a request with their parameters resolved.

    Raises
    ------
    ParameterError
        A report, a file or a parameter is not what it should be.
    """
    found = catalog.find(request.root)
    file = _file(request)
    selected = catalog.select(found, _names(request, file, found))
    common, addressed = parameters.read_assignments(list(request.assignments), [each.name for each in selected])
    return [
        Job(
            each.name,
            each.notebook,
            parameters.resolve(each.name, schema.read(each.notebook), parameters.layers(each, file, common, addressed)),
            catalog.reads_reports(each.notebook),
        )
        for each in selected
    ]


def pack(root: Path) -> parameters.File | None:
    """The repository's own pack, whose order the index keeps; None where there is none."""
    return parameters.read_file(root / PACK) if (root / PACK).exists() else None


def load(
    wanted: list[Job], for_each: str | None, say: Callable[[str], None], *, read: Callable[..., Any] | None = None,
    part: str = "",
) -> list[Loaded]:  # fmt: skip
    """Each job with its company, every distinct source read once.

    Parameters
    ----------
    wanted
        The jobs.
    for_each
        Column of the opportunities, or team, and the values wanted as ``column=a,b``, all without; each job
        becomes one per value.
    say
        Told what no part holds.
    read
        Reads a source, as `crm.load` does; that without.
    part
        Which of the values, as of `chosen`; all without.

    Raises
    ------
    ParameterError, DataError
        A source cannot be read, or there is no such column.
    """
    if part and not for_each:
        raise ParameterError("--part: goes with --for-each. Say which column splits the reports.")
    if part:
        chosen([], part)  # a wrong one is told before anything is read
    companies: dict[str, Any] = {}
    read = crm.sharing(read or crm.load)
    loaded = [_loaded(job, companies, read) for job in wanted]
    compared = {source: _ties(source) for source in {each.job.source for each in loaded}}
    loaded = [each._replace(ties=compared[each.job.source]) for each in loaded]
    if for_each:
        parts = [(job, _folder(for_each, job)) for each in loaded for job in _parts(each, for_each, say)]
        parts = chosen(parts, part) if part else parts
        loaded = [_loaded(job, companies, read)._replace(ties=compared[job.source], folder=at) for job, at in parts]
    return loaded


def chosen(parts: Sequence[Found], part: str) -> list[Found]:
    """The parts of a fan-out whose number, from zero and modulo so many, is the one asked for.

    Parameters
    ----------
    parts
        All of them, in their order.
    part
        As ``INDEX/OF``, e.g. what each pod of an indexed Kubernetes Job is to make.

    Raises
    ------
    ParameterError
        It is not written so, or the index is not below the number.

    Examples
    --------
    >>> chosen(["APAC", "EMEA", "LATAM", "NA"], "1/3"), chosen(["APAC", "EMEA"], "2/3")
    (['EMEA'], [])
    >>> chosen([], "3/3")
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: --part: '3/3' is none. Write INDEX/OF with an index from 0, e.g. 0/3 to 2/3.
    """
    index, _, count = part.partition("/")
    if not (re.fullmatch("[0-9]+", index) and re.fullmatch("[0-9]+", count) and int(index) < int(count)):
        raise ParameterError(f"--part: '{part}' is none. Write INDEX/OF with an index from 0, e.g. 0/3 to 2/3.")
    return list(parts[int(index) :: int(count)])


def require_one_source(loaded: list[Loaded], out: Path) -> None:
    """Refuse to put reports of two sources into one dated folder.

    Raises
    ------
    ParameterError
        The folder holds another source's reports, or the jobs have two for one date.
    """
    sources: dict[str, str] = {}
    for each in loaded:
        folder, source = out / each.folder / each.as_of, each.company.source
        shelf.require_one_source(folder, source)
        if sources.setdefault(str(folder), source) != source:
            raise ParameterError(
                f"{folder}: sources '{sources[str(folder)]}' and '{source}' ({each.job.name}) would share it. "
                "Run them apart, each with its own --out."
            )


def part_names(report: str, values: list[Any]) -> dict[str, Any]:
    """A report's name for each value, safe as a file's and distinct.

    Examples
    --------
    >>> list(part_names("win_loss", ["EMEA", "North America"]))
    ['win_loss.EMEA', 'win_loss.North-America']
    >>> list(part_names("win_loss", ["a/b", "a b", "../index"]))
    ['win_loss.a-b-c14cdd', 'win_loss.a-b-c8687a', 'win_loss.index-dc8b8c']
    """
    plain = [re.sub(r"[^A-Za-z0-9_-]+", "-", str(value)).strip("-_")[:40] for value in values]
    folded = [slug.casefold() for slug in plain]
    return {
        f"{report}.{_distinct(slug, value, folded.count(slug.casefold()) > 1)}": value
        for slug, value in zip(plain, values, strict=True)
    }


def _names(request: Request, file: parameters.File | None, found: dict[str, catalog.Report]) -> list[str]:
    for name in file.per_report if file else ():
        catalog.select(found, [name])
    if request.reports:
        return list(request.reports)
    if file and file.reports is not None:
        return file.reports
    return [name for name, report in found.items() if report.variant is None]


def _file(request: Request) -> parameters.File | None:
    pack = request.root / PACK
    if request.parameters or pack.exists():
        return parameters.read_file(request.parameters or pack)
    return None


def _loaded(job: Job, companies: dict[str, Any], read: Callable[..., Any]) -> Loaded:
    values = {name: value.value for name, value in job.values.items()}
    # What says which data; of those a report does not take, `crm.load` has the defaults.
    wanted = {name: values[name] for name in inspect.signature(crm.load).parameters if name in values}
    key = repr(sorted(wanted.items()))
    if key not in companies:
        companies[key] = read(**wanted)
    company = companies[key]
    _require_column(job, company)
    period = company.period(values["period"]) if "period" in values else None
    if "as_of" in values and values["as_of"] is None:
        dated = job.values | {"as_of": Value(company.as_of, "the latest recorded event")}
        return Loaded(job._replace(values=dated), company, period)
    return Loaded(job, company, period)


def _require_column(job: Job, company: Any) -> None:
    """Refuse to split by what the deals do not have, nor the notebook makes: after "also" in the help of `by`."""
    if "by" not in job.values or company.opportunities.empty:
        return
    by, deals = job.values["by"], company.opportunities
    made = schema.read(job.notebook)["by"].help.partition("also ")[2].replace(",", " ").split()
    asked = by.value if isinstance(by.value, (list, tuple)) else [by.value]
    unknown = [name for name in asked if name not in [*deals.columns, *made]]
    if unknown:
        splits = [name for name in deals.columns if deals[name].dtype == "str" and deals[name].nunique() <= _GROUPS]
        hint = did_you_mean(str(unknown[0]), [*deals.columns, *made])
        raise ParameterError(
            f"{job.name}: by: opportunities have no column {unknown} ({by.origin}).{hint} "
            f"Columns of up to {_GROUPS} values: {', '.join([*splits, *made])}."
        )


def _ties(source: str) -> bool | None:
    bridge = reconciliation.beside(source)
    return bridge.ties if bridge else None


def _parts(each: Loaded, for_each: str, say: Callable[[str], None]) -> list[Job]:
    job = each.job
    if "where" not in job.values:
        raise ParameterError(f"{job.name}: has no parameter 'where', so --for-each cannot split it.")
    column, _, wanted = for_each.partition("=")
    values = _people(each, column, say) if column in PRIVATE else _values(each, column, say)
    named = part_names(job.name, values)  # of all values: a part has one name, whichever are wanted
    if wanted:
        texts = [wanted] if wanted in map(str, values) else wanted.split(",")
        asked = [_wanted(text.strip(), values, column) for text in texts]
        named = {name: value for value in asked for name, own in named.items() if own == value}
    parts = [_part(job, name, column, value) for name, value in named.items()]
    return parts if parts or column in PRIVATE else [job]


def _wanted(text: str, values: list[Any], column: str) -> Any:
    found = [value for value in values if str(value) == text]
    if not found:
        raise ParameterError(f"--for-each: no {column} '{text}'.{did_you_mean(text, map(str, values))}")
    return found[0]


def _values(each: Loaded, column: str, say: Callable[[str], None]) -> list[Any]:
    deals = each.company.opportunities
    if column not in deals:
        hint = did_you_mean(column, [*deals.columns, *PRIVATE])
        raise ParameterError(f"--for-each: opportunities have no column '{column}'.{hint}")
    unnamed = int(deals[column].isna().sum())
    if unnamed:
        say(f"{each.job.name}: {unnamed} of {len(deals)} deals have no {column} and are in no report.")
    return sorted(deals[column].dropna().unique().tolist(), key=str)


def _people(each: Loaded, column: str, say: Callable[[str], None]) -> list[str]:
    """People with deals, or their teams, who had not left before the period; without any reps the owners of deals."""
    company, reps = each.company, each.company.reps
    if column == "owner_id" and reps.empty:
        return _values(each, column, say)
    if not reps[column].notna().any():
        raise ParameterError(f"--for-each: the reps have no {column}.")
    if column == "owner_id" and company.hides(" ".join(reps["owner_id"].dropna())):
        raise ParameterError(
            "--for-each: owner_id splits by person, and the people_policy of the source shows groups only. Use team."
        )
    first = each.period.start if each.period else company.as_of
    sellers = reps[reps["owner_id"].isin(company.holders())]
    is_gone = sellers["left_date"] < pd.Timestamp(first)
    gone = int(sellers.loc[is_gone, "owner_id"].nunique())
    if gone and column == "owner_id":
        say(f"{each.job.name}: {gone} of {len(sellers)} people left before {words.day(first)} and have no report.")
    return sorted(sellers.loc[~is_gone, column].dropna().unique().tolist())


def _folder(for_each: str, job: Job) -> Path:
    column = for_each.partition("=")[0]
    return Path(column) / job.name.rpartition(".")[2] if column in PRIVATE else Path()


def _part(job: Job, name: str, column: str, value: Any) -> Job:
    # Dates compare as text in a filter; other values are written as Python would.
    own = f"{column} == {value!r}" if isinstance(value, (str, int, float)) else f"{column} == {str(value)!r}"
    rest = job.values["where"].value
    where = Value(f"({rest}) and {own}" if rest else own, f"{job.values['where'].origin}, --for-each")
    return job._replace(name=catalog.checked(name), values=job.values | {"where": where}, part=str(value))


def _distinct(slug: str, value: Any, is_shared: bool) -> str:
    if slug and not is_shared and not catalog.is_taken(slug):
        return slug
    return "-".join(filter(None, [slug, hashlib.sha256(str(value).encode()).hexdigest()[:6]]))
