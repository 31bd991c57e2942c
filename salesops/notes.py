"""Notes by people: what they wrote beside a figure, kept in ``notes/`` and shown by it at every run."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from salesops import checks, handwritten, metrics, words
from salesops.handwritten import Field

FOLDER = "SALESOPS_NOTES"  # where notes are; a run tells the notebook by this variable
REPORT = "SALESOPS_REPORT"  # the name a report is published by, which a notebook does not know
DEFAULT = "notes"  # elsewhere, as in JupyterLab
LEDGER = "decisions.yaml"  # the decisions beside them, see `decisions`
LATEST = "latest"  # of the period a report is about, whichever that is
NOBODY = "a colleague"  # who signs where people are not shown by name


@dataclass(frozen=True)
class Note:
    """One note: the figure it is about, as it was then, and who wrote what.

    Parameters
    ----------
    report, metric, group, period
        The figure: the report's published name, the metric's column, the groups by column and the period's label,
        or ``latest``.
    author, date
        Who wrote it, and when.
    value, low, high
        The figure then, with its interval where it was written down.
    text
        What was written.
    source
        Only where the report is of this source; of any where empty.
    """

    report: str
    metric: str
    period: str
    author: str
    date: date
    value: float
    text: str
    group: Mapping[str, str | None]
    low: float | None = None
    high: float | None = None
    source: str | None = None


def folder() -> Path:
    """The folder that notes are in: the run's own, else ``notes`` here or, of a notebook in its folder, above.

    Examples
    --------
    >>> isinstance(folder(), Path)
    True
    """
    told = os.environ.get(FOLDER)
    if told:
        return Path(told)
    here = Path(DEFAULT)
    return here if here.is_dir() or Path.cwd().name != "notebooks" else Path("..") / DEFAULT


def read(place: Path) -> list[Note]:
    """Every note of a folder, file by file; a folder that is not there holds none.

    Raises
    ------
    DataError
        One line for each fault of each file.

    Examples
    --------
    >>> read(Path("nowhere"))
    []
    """
    if not place.is_dir():
        return []
    found, faults = [], [_strange(path) for path in sorted(place.iterdir()) if _is_strange(path)]
    for path in sorted(place.glob("*.yaml")):
        if path.name != LEDGER:
            try:
                found += [Note(**entry) for entry in handwritten.read(path, _FIELDS, noun="note", check=_checked)]
            except checks.DataError as fault:
                faults.append(str(fault))
    if faults:
        raise checks.DataError("\n".join(faults))
    return found


def of_report(notes: Iterable[Note], report: str, *, source: str = "") -> list[Note]:
    """The notes of one report, the oldest first."""
    own = [note for note in notes if note.report == report and note.source in (None, source)]
    return sorted(own, key=lambda note: note.date)


def of_page(report: str, company: Any) -> tuple[Note, ...]:
    """The notes of the report that is being made, as the people policy of its source lets them be shown.

    Parameters
    ----------
    report
        Its name, where no run tells another, as of a variant or a part.
    company
        With ``source``, ``hidden`` and ``unnamed``, as `crm.load` gives it.
    """
    own = of_report(read(folder()), os.environ.get(REPORT) or report, source=company.source)
    return tuple(allowed(own, company)) if own else ()


def by_figure(notes: Iterable[Note], figure: Mapping[str, Any], *, latest: str | None = None) -> list[Note]:
    """The notes about one figure, as the figures file lists it; what it is compared with has none.

    Parameters
    ----------
    notes
        Of one report.
    figure
        With ``metric``, ``statistic``, ``by``, ``period``, ``compared_with``.
    latest
        Label of the period the report is about.

    Examples
    --------
    >>> note = Note("win_loss", "win_rate", "2026Q3", "Ann Lee", date(2026, 10, 5), 0.24, "Hm.", {"segment": "SMB"})
    >>> figure = {"metric": "win_rate", "statistic": "value", "by": {"segment": "SMB"},
    ...     "period": {"label": "2026Q3"}, "compared_with": None}
    >>> len(by_figure([note], figure)), len(by_figure([note], figure | {"by": {}}))
    (1, 0)
    """
    if figure["compared_with"] is not None:
        return []
    label, by = figure["period"]["label"], _named(figure["by"])
    key = figure["metric"], figure["statistic"]
    return [
        note
        for note in notes
        if metrics.split(note.metric) == key
        and (latest if note.period == LATEST else note.period) == label
        and _named(note.group) == by
    ]


def signed(name: str, unnamed: Callable[[str], str], *, is_masked: bool) -> str:
    """A person's name as the people policy lets it stand on the page.

    Parameters
    ----------
    name
        As written.
    unnamed
        Puts something else in place of every person who may not be shown: `Company.unnamed`.
    is_masked
        Whether people are shown by anything but their names; whom the data do not know is then nobody in particular.

    Examples
    --------
    >>> signed("Ann Lee", str, is_masked=False), signed("Ann Lee", str, is_masked=True)
    ('Ann Lee', 'a colleague')
    >>> signed("Ann Lee", lambda text: text.replace("Ann Lee", "A. L."), is_masked=True)
    'A. L.'
    """
    shown = unnamed(name)
    return NOBODY if is_masked and shown == name else shown


def allowed(notes: Iterable[Note], company: Any) -> list[Note]:
    """The notes with every person in them shown as the people policy of the source has it."""
    is_masked, unnamed = bool(company.hidden), company.unnamed
    return [
        replace(
            note,
            author=signed(note.author, unnamed, is_masked=is_masked),
            text=unnamed(note.text),
            group={column: unnamed(item) if item else item for column, item in note.group.items()},
        )
        for note in notes
    ]


def about(note: Note) -> str:
    """What a note is about, in words.

    Examples
    --------
    >>> about(Note("win_loss", "win_rate", "2026Q3", "Ann", date(2026, 10, 5), 0.24, "Hm.", {"segment": "SMB"}))
    'Win rate, SMB, 2026Q3'
    """
    groups = [words.group(item, column) for column, item in note.group.items()]
    return ", ".join([words.label(note.metric), *groups, *([] if note.period == LATEST else [note.period])])


def _named(by: Mapping[str, Any]) -> dict[str, str]:
    return {column: words.group(item) for column, item in by.items()}


def _is_strange(path: Path) -> bool:
    return path.suffix != ".yaml" and path.name != "README.md" and not path.name.startswith(".")


def _strange(path: Path) -> str:
    return f"{path.parent.name}/{path.name}: is not read. Notes are files that end in .yaml; rename it or move it away."


def _metric(item: Any) -> str:
    if not isinstance(item, str) or metrics.split(item) is None:
        hint = checks.did_you_mean(str(item), metrics.registry())
        raise ValueError(f"is no metric.{hint}" if hint else "is no metric")
    return item


def _checked(entry: Mapping[str, Any]) -> Iterable[tuple[str, str, object]]:
    """What a note says against itself."""
    unit = metrics.registry()[metrics.split(entry["metric"])[0]].unit
    value, low, high = (entry[name] for name in ("value", "low", "high"))
    if unit == "rate" and abs(value) > 10:  # coverage is a rate that may be above one
        yield "value is a share above 1,000 %", "Write it as 24 % or as 0.24.", value
    if (low is None) != (high is None):
        yield "low and high are not both there", "Write both, as the figures file has them, or neither.", None
    elif low is not None and not low <= value <= high:
        yield "value lies outside low to high", "Copy the three from the figures file.", f"{low} {value} {high}"


_NUMBER = "Write it as the page shows it, such as 24 %, or as the figures file has it, such as 0.2432."
_FIELDS = {
    "report": Field(handwritten.text, "Write the report's name as `salesops list` shows it, such as win_loss."),
    "metric": Field(_metric, "Write its name as the definitions at the end of each page have it, such as win_rate."),
    "group": Field(handwritten.groups, "Write it as {segment: SMB}, or leave it out for the whole.", {}),
    "period": Field(handwritten.text, "Write the label on the page, such as 2026Q3, or latest."),
    "author": Field(handwritten.text, "Write who says it."),
    "date": Field(handwritten.day, "Write the day as 2026-10-05."),
    "value": Field(handwritten.number, _NUMBER),
    "low": Field(handwritten.number, _NUMBER, None),
    "high": Field(handwritten.number, _NUMBER, None),
    "text": Field(handwritten.text, f"Write one to three sentences, at most {handwritten.LONGEST} characters."),
    "source": Field(handwritten.text, "Write the source as the page's banner names it, or leave it out for any.", None),
}
