"""Figures files of published reports: the one door to what earlier reports said."""

import hashlib
import json
import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = "SALESOPS_REPORTS"  # where a run publishes; it tells the notebook by this variable
DEFAULT = "reports"  # elsewhere, as in JupyterLab
ASKED = "SALESOPS_ASKED"  # the file in which a run's notebook leaves what it read, so that a change of it is seen
ASKED_FILE = "asked.jsonl"  # its name, among the lists of deals that the notebook leaves

_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_NEEDED = {"report", "as_of", "parameters", "figures"}
_OWN = (
    "metric", "statistic", "value", "low", "high", "level", "n", "numerator", "denominator", "unit", "clock", "where",
    "compared_with",
)  # fmt: skip
_COLUMNS = (
    "as_of_date", "report", "run_id", "key", "metric", "statistic", "by", "period", "period_start", "period_end",
    "compared_with", "value", "low", "high", "level", "n", "numerator", "denominator", "unit", "clock", "where",
    "currency",
)  # fmt: skip
_NUMBERS = ("value", "low", "high", "level", "n", "numerator", "denominator")
_DAYS = ("as_of_date", "period_start", "period_end")


def folder() -> Path:
    """The folder that reports are published in: the run's own, else ``reports``.

    Examples
    --------
    >>> folder().name
    'reports'
    """
    return Path(os.environ.get(FOLDER) or DEFAULT)


def read(
    reports: Path,
    *,
    as_of: date | None = None,
    before: date | None = None,
    report: str | None = None,
    variants: bool = True,
    last: int | None = None,
) -> list[dict[str, Any]]:
    """The figures files published in a folder, oldest first; whole ones only.

    What is no figures file, is cut off, or lies in another day's folder than its own is passed over; a folder that is
    not there holds none.

    Parameters
    ----------
    reports
        Holds a folder for each day, named ``YYYY-MM-DD``, with the figures files of that day's reports.
    as_of
        Of this day alone.
    before
        Of earlier days alone, so that a report that is made again reads the same.
    report
        Of this report and its variants alone (``forecast``, ``forecast.west``).
    variants
        Whether its variants count; without, `report` is the whole name.
    last
        The latest so many alone; all if empty.

    Examples
    --------
    >>> read(Path("nowhere"))
    []
    """
    ending = "*.json" if report is None else f"{report}*.json" if variants else f"{report}.json"
    found: list[dict[str, Any]] = []
    for path in sorted(Path(reports).glob(f"{_DAY if as_of is None else as_of.isoformat()}/{ending}"), reverse=True):
        if last is not None and len(found) >= last:
            break
        if before is not None and path.parent.name >= before.isoformat():
            continue
        document = document_of(path)
        name = str(document.get("report", ""))
        is_asked = report is None or report in (name, name.split(".")[0] if variants else "")
        if is_asked and document.get("as_of") == path.parent.name:
            found.append(document)
    _told(found, as_of=as_of, before=before, report=report, variants=variants, last=last)
    return found[::-1]


def fingerprints(documents: Iterable[dict[str, Any]]) -> dict[str, str]:
    """A short hash of what each figures file says, the commit of its code apart, by day and report.

    Examples
    --------
    >>> found = fingerprints([{"as_of": "2026-09-30", "report": "funnel", "figures": []}])
    >>> {name: len(digest) for name, digest in found.items()}
    {'2026-09-30/funnel': 16}
    """
    told = {f"{each['as_of']}/{each['report']}": {**each, "code": None} for each in documents}
    texts = {name: json.dumps(said, sort_keys=True).encode() for name, said in sorted(told.items())}
    return {name: hashlib.sha256(text).hexdigest()[:16] for name, text in texts.items()}


def document_of(path: Path) -> dict[str, Any]:
    """One figures file, as it was written; empty where it is not a whole one.

    Examples
    --------
    >>> document_of(Path("nowhere.json"))
    {}
    """
    found = mapping(path)
    is_whole = set(found) >= _NEEDED
    is_whole = is_whole and isinstance(found["figures"], list) and isinstance(found["parameters"], dict)
    return found if is_whole else {}


def in_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """The figures file of every report in one dated folder, by the report's name; whole ones only.

    Parameters
    ----------
    folder
        Of one day; what in it is no figures file is passed over.

    Examples
    --------
    >>> in_folder(Path("nowhere"))
    {}
    """
    found = {path.stem: document_of(path) for path in sorted(Path(folder).glob("*.json"))}
    return {name: document for name, document in found.items() if document}


def mapping(path: Path) -> dict[str, Any]:
    """What a JSON file maps; empty where there is none, or it is cut off or no mapping.

    Examples
    --------
    >>> mapping(Path("nowhere.run.json"))
    {}
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def figures(documents: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Every figure of some figures files as a tidy frame.

    Parameters
    ----------
    documents
        Of `read`.

    Returns
    -------
    DataFrame
        One row per figure, in the files' order: ``as_of_date``, ``report``, ``run_id``, ``key`` (as the page's links
        name it), ``metric``, ``statistic``, ``by`` (the groups as JSON text, sorted; ``{}`` is the whole),
        ``period``, ``period_start``, ``period_end``, ``compared_with``, ``value``, ``low``, ``high``, ``level``,
        ``n``, ``numerator``, ``denominator``, ``unit``, ``clock``, ``where``, ``currency``.

    Examples
    --------
    >>> figure = {"metric": "win_rate", "statistic": "value", "by": {"segment": "SMB"}, "value": 0.25,
    ...     "period": {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}, "compared_with": None}
    >>> document = {"report": "win_loss", "as_of": "2026-10-01", "run_id": "0a", "figures": [figure]}
    >>> figures([document])[["report", "key", "by", "value"]]
         report                          key                  by  value
    0  win_loss  win_rate.segment-SMB.2026Q3  {"segment": "SMB"}   0.25
    >>> figures([]).empty
    True
    """
    rows = [_row(document, figure) for document in documents for figure in document["figures"]]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    numbers = {name: pd.to_numeric(table[name]).astype(float) for name in _NUMBERS}
    days = {name: pd.to_datetime(table[name]).astype("datetime64[us]") for name in _DAYS}
    texts = {name: table[name].astype("str") for name in _COLUMNS if name not in (*_NUMBERS, *_DAYS)}
    return table.assign(**numbers, **days, **texts)


def groups(by: dict[str, Any]) -> str:
    """The groups of a figure as text that two files can be matched by.

    Examples
    --------
    >>> groups({"segment": "SMB", "region": None})
    '{"region": null, "segment": "SMB"}'
    """
    return json.dumps(by, sort_keys=True, ensure_ascii=False)


def _row(document: dict[str, Any], figure: dict[str, Any]) -> dict[str, Any]:
    from salesops import report  # draws; whoever only reads files need not load it

    period = figure.get("period") or {}
    told = {name: figure.get(name) for name in _OWN}
    return told | {
        "as_of_date": document["as_of"],
        "report": document["report"],
        "run_id": document.get("run_id"),
        "key": report.figure_key(figure),
        "by": groups(figure["by"]),
        "period": period.get("label"),
        "period_start": period.get("start"),
        "period_end": period.get("end"),
        "currency": document.get("currency") or "",
    }


def _told(found: list[dict[str, Any]], **asked: Any) -> None:
    """Leave for the engine what was asked and found, where a run wants to know."""
    if os.environ.get(ASKED):
        question = {name: value.isoformat() if isinstance(value, date) else value for name, value in asked.items()}
        line = json.dumps({"asked": question, "found": fingerprints(found)}, sort_keys=True)
        with open(os.environ[ASKED], "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
