"""What a report was made from, each part hashed by itself, so that a later reader can tell what changed."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from salesops import crm, metrics, notes, what_changed
from salesops.checks import SalesopsError
from salesops.crm import source as sources
from salesops.engine import record


def of(
    company: crm.Company, inputs: list[dict[str, Any]], parameters: Mapping[str, Any], *, source: str, notebook: Path,
    written: str = "",
) -> dict[str, str]:  # fmt: skip
    """SHA-256 of each part: ``input``, ``mapping``, ``parameters``, ``code``, ``notebook``, ``packages``, ``notes``.

    ``input`` is the data alone; ``mapping`` is what the source's description says of them (comments do not count),
    the lookups, the stage map and the calendar; ``parameters`` are those that say how a report is made, so neither its
    day nor its period.

    Parameters
    ----------
    company
        As loaded.
    inputs
        Table, rows and hash of each input.
    parameters
        Resolved values, as they go to the figures file.
    source
        The parameter's own value: where the description lies.
    notebook
        The notebook's file.
    written
        Of `written`.
    """
    described = [entry for entry in inputs if _describes(entry["table"])]
    data = [entry for entry in inputs if not _describes(entry["table"])]
    lookups = [entry for entry in described if entry["table"] != sources.FILE]
    calendar = getattr(company, "calendar", None)
    mapping = {
        "description": _description(source) or [entry for entry in described if entry not in lookups],
        "lookups": lookups,
        "stages": _rows(getattr(company, "stages", None)),
        "calendar": asdict(calendar) if is_dataclass(calendar) else str(calendar),
        "currency": company.currency,
    }
    kept = {name: value for name, value in parameters.items() if name not in what_changed.ROLLING}
    return {
        "input": record.digest(data),
        "mapping": record.digest(mapping),
        "parameters": record.digest(kept),
        "code": record.code_hash(),
        "notebook": record.digest(notebook.read_text(encoding="utf-8")),
        "packages": record.digest(record.versions()),
        "notes": written or record.digest([]),
    }


def written(report: str, notebook: Path, *, source: str) -> str:
    """A hash of what people wrote that the page of a report shows: its own notes, and the ledger where it reads that.

    Parameters
    ----------
    report
        Its published name.
    notebook
        Its file; the notes lie in the folder beside it.
    source
        As the page names it.

    Examples
    --------
    >>> written("win_loss", Path("notebooks/none.ipynb"), source="nobody's") == record.digest([])
    True
    """
    folder = notebook.absolute().parents[1] / notes.DEFAULT
    shown: list[object] = [asdict(note) for note in notes.of_report(notes.read(folder), report, source=source)]
    reads_ledger = notebook.is_file() and "decisions.read(" in notebook.read_text(encoding="utf-8")
    if reads_ledger and (folder / notes.LEDGER).is_file():
        shown.append((folder / notes.LEDGER).read_text(encoding="utf-8"))
    return record.digest(shown)


def definitions(named: Iterable[str]) -> dict[str, str]:
    """A short hash of the definition of each metric: unit, clock, what it is made of, and its words.

    Examples
    --------
    >>> found = definitions(["win_rate", "win_rate"])
    >>> list(found), len(found["win_rate"])
    (['win_rate'], 12)
    """
    known = metrics.registry()
    parts = ("unit", "clock", "numerator", "denominator", "fields", "definition")
    found = {name: [getattr(known[name], part) for part in parts] for name in sorted(set(named)) if name in known}
    return {name: record.digest(content)[:12] for name, content in found.items()}


def _describes(table: str) -> bool:
    return table == sources.FILE or table.endswith(" lookup")


def _description(source: str) -> dict[str, Any]:
    """The source's description as it is understood; empty where there is none to read."""
    place = Path(source)
    file = place / sources.FILE if place.is_dir() else place
    if not file.is_file():
        return {}
    try:
        return sources.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SalesopsError):
        return {}


def _rows(stages: pd.DataFrame | None) -> list[dict[str, str]]:
    if stages is None:
        return []
    return stages.astype("str").to_dict("records")
