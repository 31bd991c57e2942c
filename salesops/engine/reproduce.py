"""A published report made again from its run record and compared with itself, figure by figure; nothing is published.

The record says source by label, parameters, hashes of the inputs, code and packages. What of them is another today is
said before anything runs; other inputs end it, because their figures are no question of reproduction.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from salesops import figures_files, report, words
from salesops.checks import DataError, ParameterError
from salesops.engine import document, execute, figures, handover, kinds, parameters, plan, schema, unchanged

SAME, DIFFERENT, OTHER_INPUTS = 0, 1, 3
COMPARED = ("value", "low", "high", "n", "numerator", "denominator")
_TOLERANCE = 1e-9
_SHOWN = 20  # differences in the table
_IDENTITY = ("metric", "statistic", "by", "period", "compared_with")
# What each part of `unchanged.ingredients` is called; inputs, parameters and packages are told one by one.
_PARTS = {
    "code": "the code of salesops is another", "notebook": "the notebook is another",
    "modules": "modules that the notebook imports are others",
    "people": "people are shown otherwise, by the people policy or its key",
    "ties": "the CRM's own totals tie otherwise",
    "notes": "its notes are others", "decisions": "the decision ledger is another",
    "earlier": "the reports published before it are others", "reports": "the other reports it read are others",
}  # fmt: skip


class Recorded(NamedTuple):
    """A run record and the figures file beside it."""

    record: dict[str, Any]
    figures: dict[str, Any]
    out: Path  # the folder of dated folders


def reproduce(file: Path, *, root: Path, assignments: tuple[str, ...], say: Callable[[str], None]) -> int:
    """Make a published report again and compare every figure.

    Parameters
    ----------
    file
        Its run record, ``<report>.run.json``, with the figures file beside it.
    root
        The repository.
    assignments
        ``source=DIR`` where the record's label does not say where the source lies.
    say
        Receives each message for the person.

    Returns
    -------
    int
        0 every figure is the same to 1e-9, 1 one is not or the report failed, 3 the inputs are not those.

    Raises
    ------
    ParameterError, DataError
        There is no whole record, its source cannot be found, or its parameters are not those of the notebook.
    """
    recorded = read(file)
    [each] = plan.load([job(recorded.record, root, assignments)], None, say)
    others = inputs_told(recorded.record, each)
    for sentence in [*others, *standing_told(recorded.record, unchanged.ingredients(each, recorded.out))]:
        say(sentence)
    if others:
        say(f"{each.job.name}: not run, because the inputs are not those of run {recorded.record['run_id']}.")
        return OTHER_INPUTS
    made, failure = _made(each, recorded.out)
    if failure is not None:
        say(f"{each.job.name}: could not be made again: {failure.where}, {failure.sentence}")
        return DIFFERENT
    table = compared(recorded.figures["figures"], made["figures"])
    say(told(table, n=len(recorded.figures["figures"]), run_id=recorded.record["run_id"]))
    return DIFFERENT if len(table) else SAME


def read(file: Path) -> Recorded:
    """A run record with its figures file.

    Raises
    ------
    DataError
        Either is not there, is not whole, or they are of two runs.

    Examples
    --------
    >>> read(Path("nowhere/win_loss.run.json"))
    Traceback (most recent call last):
        ...
    salesops.checks.DataError: win_loss.run.json: is no run record. Give the file <report>.run.json of a dated folder.
    """
    found = figures_files.mapping(file)
    if not {"run_id", "report", "parameters", "as_of"} <= set(found) or not file.name.endswith(".run.json"):
        raise DataError(f"{file.name}: is no run record. Give the file <report>.run.json of a dated folder.")
    if not {"notebook", "inputs", "source"} <= set(found):
        raise DataError(
            f"{file.name}: was written by an earlier version, which did not record its inputs. Run it again."
        )
    beside = file.with_name(f"{found['report']}.json")
    said = figures_files.document_of(beside)
    if said.get("run_id") != found["run_id"]:
        wrong = f"is of run {said.get('run_id')}, not of {found['run_id']}" if said else "is not there or is not whole"
        raise DataError(f"{file.name}: the figures file {beside.name} beside it {wrong}. Keep the two together.")
    return Recorded(found, said, file.resolve().parents[1])


def job(record: Mapping[str, Any], root: Path, assignments: tuple[str, ...] = ()) -> plan.Job:
    """The job of a run record: its notebook with every recorded value.

    Parameters
    ----------
    record
        Of `read`.
    root
        The repository.
    assignments
        ``source=DIR``, or none.

    Raises
    ------
    ParameterError
        The notebook is gone, takes other parameters, or it is not said where the source lies.
    """
    notebook = root / "notebooks" / record["notebook"]
    if not notebook.is_file():
        raise ParameterError(
            f"there is no notebooks/{record['notebook']} here. Run from the repository, or say --root."
        )
    common, addressed = parameters.read_assignments(list(assignments), [record["report"]])
    beyond = [*addressed, *(name for name in common if name != "source")]
    if beyond:
        raise ParameterError(f"reproduce: '{beyond[0]}' cannot be set; the record says it. Only -p source=DIR can.")
    values = {name: _raw(each["value"]) for name, each in record["parameters"].items()}
    if "source" in values and "source" not in common and values["source"] != "sample":
        raise ParameterError(
            f"reproduce: the record names its source '{values['source']}', not where it lies. Say -p source=DIR."
        )
    layer = parameters.Layer(f"run {record['run_id']}", values | common)
    return plan.Job(record["report"], notebook, parameters.resolve(record["report"], schema.read(notebook), [layer]))


def inputs_told(record: Mapping[str, Any], each: plan.Loaded) -> list[str]:
    """A sentence for each input that is not the recorded one; none where the run has the same to work from."""
    then = {entry["table"]: entry for entry in record["inputs"]}
    rows = each.company.inputs[["table", "rows", "sha256"]].itertuples(index=False)
    now = {row.table: {"table": row.table, "rows": int(row.rows), "sha256": row.sha256} for row in rows}
    said = [_input_told(table, then.get(table), now.get(table)) for table in sorted({*then, *now})]
    moved = f"as of: {record['as_of']} then, {each.as_of} now." if record["as_of"] != each.as_of else ""
    return list(filter(None, [*said, moved]))


def standing_told(record: Mapping[str, Any], depends: Mapping[str, str]) -> list[str]:
    """A sentence for each thing beside the inputs that differs from the record: code, notebook, packages, notes."""
    if not record.get("depends"):
        return []
    found = unchanged.differing(record, depends)
    said = [f"beforehand: {_PARTS[part]}." for part in found if part in _PARTS]
    return said + (_packages_told(record) if "packages" in found else [])


def compared(then: list[dict[str, Any]], now: list[dict[str, Any]]) -> pd.DataFrame:
    """Every number of two lists of figures that differs by more than 1e-9, in the order of the first.

    Parameters
    ----------
    then, now
        Figures as in a figures file.

    Returns
    -------
    DataFrame
        One row per number: ``figure`` (as the page's links name it), ``what`` (value, low, high, n, numerator,
        denominator, or whole where one list has no such figure), ``then``, ``now``.

    Examples
    --------
    >>> one = {"metric": "win_rate", "statistic": "value", "by": {"segment": "SMB"}, "value": 0.25, "n": 4,
    ...     "period": {"label": "2026Q3"}, "compared_with": None}
    >>> compared([one], [one | {"value": 0.25 + 1e-12}]).empty
    True
    >>> compared([one], [one | {"value": 0.26}])
                            figure   what  then   now
    0  win_rate.segment-SMB.2026Q3  value  0.25  0.26
    >>> compared([one], [])[["what", "then", "now"]]
        what  then   now
    0  whole  0.25  None
    """
    before, after = ({_identity(each): each for each in listed} for listed in (then, now))
    rows = [row for key in {**before, **after} for row in _differing(before.get(key), after.get(key))]
    return pd.DataFrame(rows, columns=["figure", "what", "then", "now"], dtype=object)


def told(table: pd.DataFrame, *, n: int, run_id: str) -> str:
    """What a person reads of a comparison.

    Parameters
    ----------
    table
        Of `compared`.
    n
        Figures of the record.
    run_id
        Of the record.

    Examples
    --------
    >>> none = compared([], [])
    >>> told(none, n=214, run_id="0a")
    'identical: all 214 figures of run 0a came out the same.'
    >>> told(none, n=0, run_id="0a")
    'identical: run 0a has no figures, and none came out.'
    """
    if table.empty:
        if not n:
            return f"identical: run {run_id} has no figures, and none came out."
        which = "the one figure" if n == 1 else f"all {words.count(n)} figures"
        return f"identical: {which} of run {run_id} came out the same."
    differing = table["figure"].nunique()
    shown = (
        table.head(_SHOWN).astype(object).where(table.head(_SHOWN).notna(), "–").astype("str").to_string(index=False)
    )
    more = f"\n… and {words.count(len(table) - _SHOWN)} more" if len(table) > _SHOWN else ""
    has = "figure differs" if differing == 1 else "figures differ"
    return f"different: {words.count(differing)} {has} from the {words.count(n)} of run {run_id}.\n{shown}{more}"


def _made(each: plan.Loaded, out: Path) -> tuple[dict[str, Any], execute.Failure | None]:
    """What the figures file would be; the notebook reads the published reports and nothing is written among them."""
    with handover.folder() as place, handover.folder() as lists, words.written_in(each.company.locale):
        [each] = handover.companies([each], place)
        if each.company.opportunities.empty:
            done = execute.Execution(document.nothing_to_report(each))
        else:
            values = {name: value.value for name, value in each.job.values.items()}
            told_kernel = handover.environment(place, lists) | handover.notes_of(each.job)
            done = execute.execute(each.job.notebook, values, reports=out, told=told_kernel)
        if done.failure is not None:
            return {}, done.failure
        said = figures.collect(done.notebook, lists)
        content = document.figures_file(each, said, {name: value.value for name, value in each.job.values.items()})
        return json.loads(figures.dumps(content)), None  # as it would be read again


def _input_told(table: str, then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    if then is None or now is None:
        return (
            f"{table}: was not among the inputs and is now."
            if now
            else f"{table}: was among the inputs and is not now."
        )
    if then["sha256"] == now["sha256"]:
        return ""
    if then["rows"] == now["rows"]:
        return f"{table}: its content is another, of as many rows ({words.count(now['rows'])})."
    return f"{table}: {words.count(then['rows'])} rows then, {words.count(now['rows'])} now."


def _packages_told(record: Mapping[str, Any]) -> list[str]:
    from salesops.engine import record as records

    then, now = record.get("packages", {}), records.versions()
    said = [
        f"beforehand: {name} was {then.get(name, 'not there')}, is {now.get(name, 'not there')}."
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    return said or ["beforehand: packages that ours draw along are of other versions."]


def _identity(figure: Mapping[str, Any]) -> str:
    parts = [figure[name] for name in _IDENTITY[:-2]] + [figure["period"]["label"], figure["compared_with"]]
    return json.dumps(parts, sort_keys=True)


def _differing(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[list[Any]]:
    key = report.figure_key(then or now)
    if then is None or now is None:
        return [[key, "whole", then and then["value"], now and now["value"]]]
    return [
        [key, name, then.get(name), now.get(name)] for name in COMPARED if not _is_same(then.get(name), now.get(name))
    ]


def _is_same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _raw(value: Any) -> Any:
    """A recorded value as a parameter file would have it: scalars as text."""
    if isinstance(value, list):
        return [_raw(item) for item in value]
    if isinstance(value, dict):
        return {key: _raw(item) for key, item in value.items()}
    return value if value is None or isinstance(value, str) else kinds.shown(value)
