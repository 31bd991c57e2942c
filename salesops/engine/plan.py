"""What a request means: which reports, with which parameters, about which company; nothing runs here."""

import hashlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from salesops import crm
from salesops.checks import ParameterError, did_you_mean
from salesops.crm import reconciliation
from salesops.engine import catalog, parameters, publish, schema
from salesops.engine.parameters import Value
from salesops.periods import Period

PACK = Path("parameters") / "quarterly.yaml"


class Request(NamedTuple):
    """What a person asks for; paths are relative to the working directory."""

    root: Path = Path()
    out: Path = Path("reports")
    reports: tuple[str, ...] = ()
    parameters: Path | None = None
    assignments: tuple[str, ...] = ()
    for_each: str | None = None


class Job(NamedTuple):
    """One report to make: its published name, its notebook, and every parameter's value and origin."""

    name: str
    notebook: Path
    values: dict[str, Value]

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
        )
        for each in selected
    ]


def load(wanted: list[Job], for_each: str | None, say: Callable[[str], None]) -> list[Loaded]:
    """Each job with its company, every distinct source read once.

    Parameters
    ----------
    wanted
        The jobs.
    for_each
        Column of the opportunities; each job becomes one per distinct value of it.
    say
        Told what no part holds.

    Raises
    ------
    ParameterError, DataError
        A source cannot be read, or there is no such column.
    """
    companies: dict[str, Any] = {}
    loaded = [_loaded(job, companies) for job in wanted]
    compared = {source: _ties(source) for source in {each.job.source for each in loaded}}
    loaded = [each._replace(ties=compared[each.job.source]) for each in loaded]
    if for_each:
        parts = [job for each in loaded for job in _parts(each, for_each, say)]
        loaded = [_loaded(job, companies)._replace(ties=compared[job.source]) for job in parts]
    return loaded


def require_one_source(loaded: list[Loaded], out: Path) -> None:
    """Refuse to put reports of two sources into one dated folder.

    Raises
    ------
    ParameterError
        The folder holds another source's reports, or the jobs have two for one date.
    """
    sources: dict[str, str] = {}
    for each in loaded:
        folder, source = out / each.as_of, each.company.source
        publish.require_one_source(folder, source)
        if sources.setdefault(each.as_of, source) != source:
            raise ParameterError(
                f"{folder}: sources '{sources[each.as_of]}' and '{source}' ({each.job.name}) would share it. "
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


def _loaded(job: Job, companies: dict[str, Any]) -> Loaded:
    values = {name: value.value for name, value in job.values.items()}
    # What says which data; of those a report does not take, `crm.load` has the defaults.
    wanted = {name: values[name] for name in inspect.signature(crm.load).parameters if name in values}
    key = repr(sorted(wanted.items()))
    if key not in companies:
        companies[key] = crm.load(**wanted)
    company = companies[key]
    period = company.period(values["period"]) if "period" in values else None
    if "as_of" in values and values["as_of"] is None:
        dated = job.values | {"as_of": Value(company.as_of, "the latest recorded event")}
        return Loaded(job._replace(values=dated), company, period)
    return Loaded(job, company, period)


def _ties(source: str) -> bool | None:
    bridge = reconciliation.beside(source)
    return bridge.ties if bridge else None


def _parts(each: Loaded, column: str, say: Callable[[str], None]) -> list[Job]:
    job, deals = each.job, each.company.opportunities
    if "where" not in job.values:
        raise ParameterError(f"{job.name}: has no parameter 'where', so --for-each cannot split it.")
    if column not in deals:
        hint = did_you_mean(column, deals.columns)
        raise ParameterError(f"--for-each: opportunities have no column '{column}'.{hint}")
    unnamed = int(deals[column].isna().sum())
    if unnamed:
        say(f"{job.name}: {unnamed} of {len(deals)} deals have no {column} and are in no report.")
    values = sorted(deals[column].dropna().unique().tolist(), key=str)
    return [_part(job, name, column, value) for name, value in part_names(job.name, values).items()] or [job]


def _part(job: Job, name: str, column: str, value: Any) -> Job:
    # Dates compare as text in a filter; other values are written as Python would.
    own = f"{column} == {value!r}" if isinstance(value, (str, int, float)) else f"{column} == {str(value)!r}"
    rest = job.values["where"].value
    where = Value(f"({rest}) and {own}" if rest else own, f"{job.values['where'].origin}, --for-each")
    return job._replace(name=catalog.checked(name), values=job.values | {"where": where})


def _distinct(slug: str, value: Any, is_shared: bool) -> str:
    if slug and not is_shared and not catalog.is_taken(slug):
        return slug
    return "-".join(filter(None, [slug, hashlib.sha256(str(value).encode()).hexdigest()[:6]]))
